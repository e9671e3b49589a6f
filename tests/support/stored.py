"""The texts that are stored of incidents, as JSON that a test can look into and change."""

from collections.abc import Mapping
from typing import Any

import orjson

from versus_py.store import packing

_OUTSIDE = ("schema", "readable_from", "place")
"""What is not packed, in its order."""


def unpacked(text: str | bytes | None) -> dict[str, Any]:
    """All that the text of an incident, or of a delivery, says."""
    assert text is not None
    found: dict[str, Any] = orjson.loads(text)
    packed = found.pop("packed", None)
    return found if packed is None else found | orjson.loads(packing.unpack(packed))


def packed(data: Mapping[str, Any]) -> str:
    """The text that says so."""
    outside = {name: data[name] for name in _OUTSIDE if name in data}
    inside = packing.pack(orjson.dumps({name: it for name, it in data.items() if name not in outside}))
    return orjson.dumps(outside | {"packed": inside.decode()}).decode()
