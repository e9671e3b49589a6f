"""The last body of an incident, as a page shows it. Pure."""

from dataclasses import dataclass

import orjson

from versus_py.incidents.payloads import unpack

SHOWN_MAX = 16_000
"""The most characters; the API has all of it."""

_KB = 1000


@dataclass(frozen=True, slots=True)
class PayloadShown:
    """JSON, indented."""

    text: str
    size: str
    is_cut: bool


def payload_shown(packed: str) -> PayloadShown | None:
    """None when none is kept."""
    if not packed:
        return None
    text = orjson.dumps(unpack(packed), option=orjson.OPT_INDENT_2).decode()
    size = f"{len(text) / _KB:.1f} KB" if len(text) >= _KB else f"{len(text)} bytes"
    return PayloadShown(text[:SHOWN_MAX], size, is_cut=len(text) > SHOWN_MAX)
