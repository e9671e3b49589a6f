"""The pictures in the docs: each can be made, and none is large."""

import re
import struct
import zlib
from xml.etree import ElementTree as ET

import pytest

from tests.pictures import UI_NAMES, alertmanager_group, of_payload, of_the_docs
from tests.support.png import shrunk
from tests.ticket_pictures import NAMES

PICTURE_MAX_BYTES = 60_000


def test_every_picture_of_the_docs_is_there_small_and_shown(request):
    root = request.config.rootpath
    docs = root / "docs"
    pages = (root / "README.md", *docs.rglob("*.md"))
    shown = {name for it in pages for name in re.findall(r"pictures/([\w-]+)\.png", it.read_text())}
    files = {path.stem: path.stat().st_size for path in (docs / "pictures").glob("*.png")}

    assert files.keys() == shown == {*(it.name for it in of_the_docs()), *NAMES, *UI_NAMES}
    assert max(files.values()) < PICTURE_MAX_BYTES


def test_every_drawing_of_the_docs_is_shown_says_what_it_is_and_loads_nothing(request):
    docs = request.config.rootpath / "docs"
    pages = "".join(it.read_text() for it in (docs.parent / "README.md", *docs.rglob("*.md")))

    for path in (docs / "pictures").glob("*.svg"):
        drawing = ET.fromstring(path.read_text())
        assert f"pictures/{path.name})" in pages
        assert [it.tag.rpartition("}")[2] for it in drawing][:2] == ["title", "desc"]
        assert not [it for it in drawing.iter() if any("href" in name for name in it.attrib)]


def test_a_payload_that_begins_nothing_has_no_picture():
    payload = alertmanager_group()
    for alert in payload["alerts"]:
        alert["status"] = "resolved"

    assert [*of_payload("over", payload)] == []


@pytest.mark.parametrize("kind", range(5), ids=["none", "sub", "up", "average", "paeth"])
def test_a_shrunk_picture_has_the_pixels_of_the_first(kind):
    """Written with each filter of PNG, and read again from a palette."""
    rows = [bytes([10, 20, 30, 200, 100, 0]), bytes([10, 20, 30, 0, 0, 255])]
    lines, above = [], bytes(6)
    for row in rows:
        written = (value - added for value, added in zip(row, guesses(kind, row, above), strict=True))
        lines.append(bytes([kind, *(value & 255 for value in written)]))
        above = row

    small = shrunk(png(b"".join(lines)))

    palette, indices = chunk(small, b"PLTE"), zlib.decompress(chunk(small, b"IDAT"))
    pixels = [palette[3 * at : 3 * at + 3] for at in indices[1:3] + indices[4:6]]
    assert b"".join(pixels) == b"".join(rows)


def guesses(kind, row, above):
    left, corner = bytes(3) + row[:3], bytes(3) + above[:3]
    match kind:
        case 0:
            return bytes(6)
        case 1:
            return left
        case 2:
            return above
        case 3:
            return [(one + other) // 2 for one, other in zip(left, above, strict=True)]
        case _:
            return [paeth(*it) for it in zip(left, above, corner, strict=True)]


def paeth(left, up, corner):
    guess = left + up - corner
    return min((left, up, corner), key=lambda it: abs(guess - it))


def png(data):
    header = struct.pack(">IIBBBBB", 2, 2, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(data)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(it)) + name + it + struct.pack(">I", zlib.crc32(name + it)) for name, it in parts
    )


def chunk(picture, name):
    at = picture.index(name)
    (length,) = struct.unpack(">I", picture[at - 4 : at])
    return picture[at + 4 : at + 4 + length]
