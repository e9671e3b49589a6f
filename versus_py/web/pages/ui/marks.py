"""Short texts that say whether something is as it was. Pure."""

from typing import Any
from zlib import crc32


def mark(value: Any) -> str:
    """The same for what looks the same, at every replica."""
    return f"{crc32(repr(value).encode(errors='replace')):08x}"
