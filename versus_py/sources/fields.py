"""Reading what senders send: lenient about shapes, strict about what comes out."""

import math
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

from versus_py.incidents.identity import steady_title
from versus_py.incidents.severity import highest_severity

TITLE_MAX = 250
"""Longest title, in characters; it has to fit one line of a chat and a record's summary."""

_YEAR_9999_MS = 253_370_764_800_000  # later times cannot be shown in every time zone
_LATEST_S = 100_000_000_000  # as seconds in the year 5138, as milliseconds in 1973: larger numbers are milliseconds

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
)
_PAGES = {"Runbook": ("runbook_url", "runbook"), "Dashboard": ("dashboard_url", "dashboard")}
_SEVERITY = ("severity", "level", "priority", "urgency")

STATUS = ("status", "state", "alert_status", "event_action")
"""Fields that say whether it fires or is over."""

_RESOLVED = {"resolved", "resolve", "ok", "closed", "close", "recovered", "recovery", "cleared", "normal", "inactive"}

STRONG_IDENTITY = ("dedup_key", "deduplication_key", "dedupKey", "fingerprint", "alias", "incident_key")
"""Fields that are there to tell one incident from others."""

WEAK_IDENTITY = (
    "alert_id",
    "alertId",
    "incident_id",
    "id",
    "uuid",
    "event_id",
    "MessageId",  # of SNS, which may deliver a message more than once
)
"""Fields that number what a tool has: the numbers of another tool may be the same."""

IDENTITY = (*STRONG_IDENTITY, *WEAK_IDENTITY)

_MONITORED = (
    *_RESOURCE,
    "host_name",
    "service_name",
    "service_description",
    "check",
    "check_name",
    "monitor",
    "monitor_name",
)
_MOMENT = re.compile(
    r"((starts?|ends?|creat|updat|resolv|clos|recover|start|end|last|event)(ed|d|ing)?)?(at|on|time|date|timestamp)|duration"
)
"""Fields that an alert has and its end has not, or the other way round."""


def severity(payload: Mapping[str, Any]) -> str:
    """What the usual fields say of how grave it is."""
    return highest_severity([first_text(payload, _SEVERITY)])


def is_resolved(payload: Mapping[str, Any]) -> bool:
    """Whether the usual fields say that it is over."""
    return first_text(payload, STATUS).lower() in _RESOLVED


def identity(payload: Mapping[str, Any]) -> str:
    """What tells its incident from others, as the sender has it; "" when no usual field does."""
    return first_text(payload, IDENTITY)


def identity_key(payload: Mapping[str, Any], title: str) -> str:
    """The same as part of a dedup key, with what else it takes to be of one tool and about one thing; "" without any.

    A field that only numbers things counts together with the names of the other fields, which are a tool's own, and
    with what it is about. A number that is about nothing counts with the title as well.
    """
    if strong := first_text(payload, STRONG_IDENTITY):
        return strong
    weak = first_text(payload, WEAK_IDENTITY)
    if not weak:
        return ""
    labels = payload.get("labels")
    found = (*((labels,) if isinstance(labels, Mapping) else ()), payload)
    about = [said for it in found for name in _MONITORED if (said := text(it.get(name)))]
    names = sorted(
        name for name in payload if name not in STATUS and not _MOMENT.fullmatch(re.sub("[_-]", "", name.lower()))
    )
    if weak.isdecimal() and not about:
        about = [steady_title(title)]
    tool = sha256("\n".join(names).encode(errors="replace")).hexdigest()[:12]
    return "\n".join((weak, *about, f"fields {tool}"))


def resource(labels: Mapping[str, Any]) -> str:
    """What it is about, from the usual labels."""
    return first_text(labels, _RESOURCE)


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
    # Readers of URLs drop line breaks and the like, each in its own way.
    return url if parts.scheme in {"http", "https"} and parts.hostname and url.isprintable() else ""


def first_url(payload: Mapping[str, Any], names: Iterable[str]) -> str:
    """The first of the named fields that is a URL of the web."""
    return next((url for name in names if (url := web_url(payload.get(name)))), "")


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
