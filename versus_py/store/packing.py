"""JSON as it is stored: compressed, by a dictionary of what all incidents have in common.

The packed text is base64, so that it is a value of JSON, and clients that decode replies as UTF-8 can read it. Versions
that do not know it have to see in its surroundings that they may not work on it.

`dictionary.txt` is part of the format: what it has packed can be unpacked with exactly the same bytes only.
"""

import sys
from binascii import a2b_base64, b2a_base64
from importlib import resources

if sys.version_info >= (3, 14):
    from compression.zstd import ZstdCompressor, ZstdDecompressor, ZstdDict, ZstdError
else:
    from backports.zstd import ZstdCompressor, ZstdDecompressor, ZstdDict, ZstdError

LEVEL = 3
"""Of zstd. With a dictionary this small, higher levels cost more time than they save bytes."""

UNPACKED_MAX = 64 * 1024 * 1024
"""The most bytes that are unpacked: many times what an incident may hold."""

_DICTIONARY = ZstdDict(resources.files(__package__).joinpath("dictionary.txt").read_bytes(), is_raw=True)
_COMPRESSOR = ZstdCompressor(level=LEVEL, zstd_dict=_DICTIONARY.as_digested_dict)


def pack(json: bytes) -> bytes:
    """Text without quotes and backslashes."""
    return b2a_base64(_COMPRESSOR.compress(json, ZstdCompressor.FLUSH_FRAME), newline=False)


def unpack(text: str) -> bytes:
    """What was packed. Raises ValueError where nothing was."""
    frame = ZstdDecompressor(_DICTIONARY)
    try:
        json = frame.decompress(a2b_base64(text), UNPACKED_MAX)
    except (ZstdError, EOFError) as exc:
        raise ValueError("no packed text") from exc
    if not frame.eof:
        raise ValueError("packed text without its end")
    return json
