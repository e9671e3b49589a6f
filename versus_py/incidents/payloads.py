"""The last body that an incident came with, as it is kept: without secrets, and small. Pure."""

import json
import zlib
from base64 import b64decode, b64encode, b85decode
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any

import orjson

from versus_py.incidents.redaction import may_change, redacted

PACKED_MAX = 64 * 1024
"""The most characters that are kept of one."""

_BASE64 = "."
"""What a text in base64 begins with; one in base85, as earlier versions wrote, never does."""

_WINDOW_BITS, _MEMORY_LEVEL = 13, 6
"""Of zlib: with its defaults it takes a quarter of a megabyte from the system for each payload, and gives it back."""

_SHORTER = ((50, 1000), (20, 300), (5, 100), (1, 50))
"""Of what does not fit, each list and each object keeps so many items, and each text so many characters: the first that
fits. By the last, LEVELS_MAX levels always do."""


class Written(Mapping[str, Any]):
    """A payload by the JSON that says it, of few levels, which is read when somebody looks into it."""

    def __init__(self, json: bytes) -> None:
        self.json = json
        self._read: dict[str, Any] | None = None

    def __getitem__(self, name: str) -> Any:
        return self._whole[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._whole)

    def __len__(self) -> int:
        return len(self._whole)

    @property
    def _whole(self) -> dict[str, Any]:
        if self._read is None:
            self._read = orjson.loads(self.json)
        return self._read


def pack(payload: Mapping[str, Any], known_digest: str = "") -> tuple[str, str]:
    """The digest of *payload*, and it as one line of text, of what is too large its beginning; "" when it is known."""
    raw = _raw(payload)
    digest = sha256(raw).hexdigest()[:16] if raw else ""
    if digest and digest == known_digest:
        return digest, ""
    levels = None if isinstance(payload, Written) else payload
    clean = redacted(payload) if not raw or may_change(levels, raw) else payload
    if not raw:
        clean = _storable(clean)
    packed = _packed(raw if clean is payload else _dumped(clean))
    for items, text in _SHORTER:
        if len(packed) <= PACKED_MAX:
            break
        packed = _packed(_dumped(_shortened(clean, items, text)))
    return digest, packed


def unpack(packed: str) -> dict[str, Any]:
    """What was packed."""
    is_base64 = packed.startswith(_BASE64)
    found: dict[str, Any] = json.loads(zlib.decompress(b64decode(packed[1:]) if is_base64 else b85decode(packed)))
    return found


def _raw(payload: Mapping[str, Any]) -> bytes:
    """As JSON; b"" where the encoder refuses it: too deep, numbers of more than 64 bits, halves of characters."""
    if isinstance(payload, Written):
        return payload.json
    try:
        return orjson.dumps(payload)
    except TypeError:
        return b""


def _dumped(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError:  # text with halves of characters, which only Python writes
        return json.dumps(value).encode()


def _packed(text: bytes) -> str:
    compressor = zlib.compressobj(1, zlib.DEFLATED, _WINDOW_BITS, _MEMORY_LEVEL)
    return _BASE64 + b64encode(compressor.compress(text) + compressor.flush()).decode()


def _storable(value: Any) -> Any:
    """What orjson takes: no numbers of more than 64 bits."""
    if isinstance(value, Mapping):
        return {name: _storable(it) for name, it in value.items()}
    if isinstance(value, list):
        return [_storable(it) for it in value]
    return str(value) if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 1 << 63 else value


def _shortened(value: Any, items: int, text: int) -> Any:
    if isinstance(value, Mapping):
        return {name[:text]: _shortened(it, items, text) for name, it in [*value.items()][:items]}
    if isinstance(value, list):
        return [_shortened(it, items, text) for it in value[:items]]
    return f"{value[:text]}…" if isinstance(value, str) and len(value) > text else value
