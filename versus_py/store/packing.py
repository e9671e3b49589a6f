"""JSON as it is stored: compressed, by a dictionary of what all incidents have in common.

The packed text is base64, so that it is a value of JSON, and clients that decode replies as UTF-8 can read it. Versions
that do not know it have to see in its surroundings that they may not work on it.

`dictionary.txt` is part of the format: what it has packed can be unpacked with exactly the same bytes only.
"""

from binascii import a2b_base64, b2a_base64
from importlib import resources
from threading import Lock

from zstandard import (
    DICT_TYPE_RAWCONTENT,
    ZstdCompressionDict,
    ZstdCompressor,
    ZstdDecompressor,
    ZstdError,
    frame_content_size,
)

LEVEL = 3
"""Of zstd. With a dictionary this small, higher levels cost more time than they save bytes."""

UNPACKED_MAX = 64 * 1024 * 1024
"""The most bytes that are unpacked: many times what an incident may hold."""

_DICTIONARY = ZstdCompressionDict(
    resources.files(__package__).joinpath("dictionary.txt").read_bytes(), dict_type=DICT_TYPE_RAWCONTENT
)
_DICTIONARY.precompute_compress(LEVEL)
# Each has a context of its own: to make one takes longer than to work on a text. Only one thread may use it at a time.
_compress = ZstdCompressor(LEVEL, _DICTIONARY).compress
_decompress = ZstdDecompressor(_DICTIONARY).decompress
_packing, _unpacking = Lock(), Lock()


def pack(json: bytes) -> bytes:
    """Text without quotes and backslashes."""
    with _packing:
        frame = _compress(json)
    return b2a_base64(frame, newline=False)


def unpack(text: str) -> bytes:
    """What was packed. Raises ValueError where nothing was."""
    frame = a2b_base64(text)
    try:
        if frame_content_size(frame) > UNPACKED_MAX:
            raise ValueError(f"packed text of more than {UNPACKED_MAX} bytes")
        with _unpacking:
            return _decompress(frame, UNPACKED_MAX, allow_extra_data=False)
    except ZstdError as exc:
        raise ValueError("no packed text, or not all of it") from exc
