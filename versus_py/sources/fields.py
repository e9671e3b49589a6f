"""Reading what senders send: lenient about shapes, strict about what comes out."""

import math
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from versus_py.severity import highest_severity

__all__ = ["first_text", "highest_severity", "text", "text_map", "time_ms", "title", "web_url"]

TITLE_MAX = 250
"""Longest title, in characters; it has to fit one line of a chat and a ticket's summary."""

_YEAR_9999_MS = 253_370_764_800_000  # later times cannot be shown in every time zone


def text(value: Any) -> str:
    """A scalar as text; "" for anything that is none."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        return str(value)
    return ""


def text_map(value: Any) -> dict[str, str]:
    """The scalars of a mapping, as text; empty when it is no mapping."""
    if not isinstance(value, Mapping):
        return {}
    return {
        str(key): text(item) for key, item in value.items() if not isinstance(item, dict | list) and item is not None
    }


def first_text(payload: Mapping[str, Any], names: Iterable[str]) -> str:
    """The first of the named fields that says something."""
    return next((found for name in names if (found := text(payload.get(name)))), "")


def title(value: str) -> str:
    """One line, not too long."""
    line = " ".join(value.split())
    return line if len(line) <= TITLE_MAX else f"{line[: TITLE_MAX - 1]}…"


def web_url(value: Any) -> str:
    """An http or https URL; "" for anything else, which must not become a link."""
    url = text(value)
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return url if parts.scheme in {"http", "https"} and parts.hostname else ""


def time_ms(value: Any) -> int | None:
    """An RFC 3339 time as ms since the epoch; None when it is none.

    A time before the epoch is none: Go writes the year 1 for "not set".
    """
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        return None
    ms = int(moment.timestamp() * 1000)
    return ms if 0 < ms < _YEAR_9999_MS else None
