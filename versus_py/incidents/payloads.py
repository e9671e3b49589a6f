"""The last body that an incident came with, as it is kept: without secrets, and small. Pure."""

import json
import re
import zlib
from base64 import b85decode, b85encode
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import orjson

PACKED_MAX = 64 * 1024
"""The most characters that are kept of one."""

REMOVED = "[removed]"
"""In place of a secret."""

_SECRET = re.compile(
    r"(routing|service|x?api|integration)key|(access|api|auth|bearer)?token|bearer|(db)?(password|passwd)|(client)?secret"
    r"|authorization"
)
_LEVELS_MAX = 20
_SHORT_ITEMS, _SHORT_TEXT = 50, 1000
"""Of what does not fit, each list and each object keeps so many items, and each text so many characters."""


def pack(payload: Mapping[str, Any], known_digest: str = "") -> tuple[str, str]:
    """The digest of *payload*, and it as one line of text; "" when that is known, or not even its beginning fits."""
    try:
        raw = orjson.dumps(payload)
    except TypeError:  # deeper, or with other numbers and texts, than it takes
        raw = b""
    digest = sha256(raw).hexdigest()[:16] if raw else ""
    if digest and digest == known_digest:
        return digest, ""
    clean = _clean(payload, _LEVELS_MAX)
    text = _dumped(clean)
    packed = _packed(text)
    if len(packed) > PACKED_MAX:
        packed = _packed(_dumped(_shortened(clean)))
    return digest, packed if len(packed) <= PACKED_MAX else ""


def unpack(packed: str) -> dict[str, Any]:
    """What was packed."""
    found: dict[str, Any] = json.loads(zlib.decompress(b85decode(packed)))
    return found


def is_secret(name: str) -> bool:
    """Whether what is called so has to stay unknown."""
    return _SECRET.fullmatch(re.sub(r"[^a-z]", "", name.lower())) is not None


def _dumped(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError:  # text with halves of characters, which only Python writes
        return json.dumps(value).encode()


def _packed(text: bytes) -> str:
    return b85encode(zlib.compress(text, level=1)).decode()


def _clean(value: Any, levels: int) -> Any:
    if isinstance(value, Mapping):
        if not levels:
            return REMOVED
        return {
            str(name): REMOVED if is_secret(str(name)) and it else _clean(it, levels - 1) for name, it in value.items()
        }
    if isinstance(value, list):
        return [_clean(it, levels - 1) for it in value] if levels else REMOVED
    # What orjson does not take: numbers of more than 64 bits.
    return str(value) if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 1 << 63 else value


def _shortened(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name[:_SHORT_TEXT]: _shortened(it) for name, it in [*value.items()][:_SHORT_ITEMS]}
    if isinstance(value, list):
        return [_shortened(it) for it in value[:_SHORT_ITEMS]]
    return f"{value[:_SHORT_TEXT]}…" if isinstance(value, str) and len(value) > _SHORT_TEXT else value
