"""Reading what senders send: lenient about shapes, strict about what comes out."""

import math
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

TITLE_MAX = 250
"""Longest title, in characters; it has to fit one line of a chat and a record's summary."""

_YEAR_9999_MS = 253_370_764_800_000  # later times cannot be shown in every time zone
_LATEST_S = 100_000_000_000  # as seconds in the year 5138, as milliseconds in 1973: larger numbers are milliseconds

_KNOWN_URL_MAX = 500  # characters of one that is worth being remembered

_RESOURCE = (
    "instance",
    "pod",
    "host",
    "hostname",
    "node",
    "nodename",
    "server",
    "server_name",
    "device",
    "service",
    "service_name",
)
_NESTED = (dict, list)
_PAGES = {"Runbook": ("runbook_url", "runbook"), "Dashboard": ("dashboard_url", "dashboard")}


def resource(labels: Mapping[str, Any]) -> str:
    """What it is about, from the usual labels."""
    return first_text(labels, _RESOURCE)


def text(value: Any) -> str:
    """A scalar as text; "" for anything that is none."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        return str(value)
    return ""


def text_map(value: Any) -> dict[str, str]:
    """The scalars of a mapping, as text; empty when it is no mapping."""
    if isinstance(value, dict):
        try:  # most have texts only
            return stripped(value)
        except AttributeError:
            pass
    elif not isinstance(value, Mapping):
        return {}
    return {
        str(key): item.strip() if isinstance(item, str) else text(item)
        for key, item in value.items()
        if isinstance(item, str) or not (item is None or isinstance(item, _NESTED))
    }


def stripped(texts: dict[str, str]) -> dict[str, str]:
    """The same of a mapping of nothing but texts."""
    return {name: text.strip() for name, text in texts.items()}


def first_text(payload: Mapping[str, Any], names: Iterable[str]) -> str:
    """The first of the named fields that says something."""
    for name in names:
        if name in payload and (found := text(payload[name])):
            return found
    return ""


def title(value: str) -> str:
    """One line, not too long."""
    line = " ".join(value.split())
    return line if len(line) <= TITLE_MAX else f"{line[: TITLE_MAX - 1]}…"


def web_url(value: Any) -> str:
    """An http or https URL; "" for anything else, which must not become a link."""
    url = value.strip() if isinstance(value, str) else text(value)
    return _known_url(url) if len(url) <= _KNOWN_URL_MAX else _url(url)


@lru_cache(maxsize=1024)
def _known_url(url: str) -> str:
    """The same URLs come with each alert of a rule."""
    return _url(url)


def _url(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    # Readers of URLs drop line breaks and the like, each in its own way.
    return url if parts.scheme in {"http", "https"} and parts.hostname and url.isprintable() else ""


def first_url(payload: Mapping[str, Any], names: Iterable[str]) -> str:
    """The first of the named fields that is a URL of the web."""
    for name in names:
        if name in payload and (url := web_url(payload[name])):
            return url
    return ""


def links(payload: Mapping[str, Any], pages: Mapping[str, Iterable[str]] = _PAGES) -> dict[str, str]:
    """Pages to look at: what to call each -> its URL. *pages* says which fields may hold it."""
    return {page: url for page, names in pages.items() if (url := first_url(payload, names))}


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


def epoch_ms(value: Any) -> int | None:
    """Seconds since the epoch as ms, or ms as they are; None when it is neither."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < _YEAR_9999_MS:
        return None
    return int(value * 1000 if value < _LATEST_S else value) or None
