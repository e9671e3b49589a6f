"""Small PNGs: a screenshot with a palette takes a fifth of what a browser writes."""

import struct
import zlib
from collections import Counter
from collections.abc import Iterator

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOURS_MAX = 256
_Pixel = tuple[int, int, int]


def shrunk(png: bytes) -> bytes:
    """The same picture with at most 256 colours; *png* has 8 bits a channel, as screenshots have."""
    width, height, rows = _pixels(png)
    counts = Counter(pixel for row in rows for pixel in row)
    palette = [pixel for pixel, _ in counts.most_common(_COLOURS_MAX)]
    index = {pixel: at for at, pixel in enumerate(palette)}
    for pixel in counts.keys() - index.keys():
        index[pixel] = min(range(len(palette)), key=lambda at: _distance(palette[at], pixel))
    data = b"".join(b"\x00" + bytes(index[pixel] for pixel in row) for row in rows)
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"PLTE", bytes(part for pixel in palette for part in pixel)))
    return _SIGNATURE + b"".join(_chunk(*it) for it in (*chunks, (b"IDAT", zlib.compress(data, 9)), (b"IEND", b"")))


def _pixels(png: bytes) -> tuple[int, int, list[list[_Pixel]]]:
    """Width, height and rows."""
    chunks = [*_chunks(png)]
    width, height, depth, colour = struct.unpack(">IIBB", dict(chunks)[b"IHDR"][:10])
    assert (depth, colour) in {(8, 2), (8, 6)}, "it is no screenshot: 8 bits a channel, RGB or RGBA"
    size = 3 if colour == 2 else 4
    raw = zlib.decompress(b"".join(data for name, data in chunks if name == b"IDAT"))
    rows, above = [], bytes(width * size)
    for start in range(0, len(raw), width * size + 1):
        above = _unfiltered(raw[start], raw[start + 1 : start + 1 + width * size], above, size)
        rows.append([(above[at], above[at + 1], above[at + 2]) for at in range(0, width * size, size)])
    return width, height, rows


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(_SIGNATURE)
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        yield png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        at += length + 12


def _unfiltered(kind: int, line: bytes, above: bytes, size: int) -> bytes:
    """A row as it is; w3.org/TR/png, "Filtering", says what it was made of."""
    row = bytearray(line)
    for at, value in enumerate(line):
        left, up = (row[at - size] if at >= size else 0), above[at]
        corner = above[at - size] if at >= size else 0
        added = (0, left, up, (left + up) // 2, _paeth(left, up, corner))[kind]
        row[at] = (value + added) & 255
    return bytes(row)


def _paeth(left: int, up: int, corner: int) -> int:
    guess = left + up - corner
    return min((left, up, corner), key=lambda it: abs(guess - it))


def _distance(one: _Pixel, other: _Pixel) -> int:
    return sum((a - b) ** 2 for a, b in zip(one, other, strict=True))


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
