"""The dedup keys that earlier versions made of a payload: what was open then is found by them until it is forgotten."""

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from versus_py.incidents.identity import steady_title
from versus_py.sources import fields

_TITLE = (
    *("title", "summary", "subject", "alertname", "alert_name", "name", "message", "msg", "description", "text", "log"),
    *("Subject", "Message"),
)
_STATUS = {"status", "state", "alert_status", "event_action"}
_STRONG = ("dedup_key", "deduplication_key", "dedupKey", "fingerprint", "alias", "incident_key")
_WEAK = ("alert_id", "alertId", "incident_id", "id", "uuid", "event_id", "MessageId")
_FIRST = (
    *("dedup_key", "deduplication_key", "dedupKey", "fingerprint", "alert_id", "alertId", "incident_id"),
    *("incident_key", "id", "uuid", "MessageId"),
)
_MONITORED = (
    *("instance", "pod", "host", "hostname", "node", "nodename", "server", "server_name", "device", "service"),
    *("host_name", "service_name", "service_description", "check", "check_name", "monitor", "monitor_name"),
)
_MOMENT = re.compile(
    r"((starts?|ends?|creat|updat|resolv|clos|recover|start|end|last|event)(ed|d|ing)?)?(at|on|time|date|timestamp)|duration"
)


def earlier_keys(payload: Mapping[str, Any]) -> tuple[str, ...]:
    """Without the name of the source, those of the newest version first."""
    keys = (_with_fields(payload), fields.first_text(payload, _FIRST))
    return tuple(dict.fromkeys(filter(None, keys)))


def _with_fields(payload: Mapping[str, Any]) -> str:
    if strong := fields.first_text(payload, _STRONG):
        return strong
    weak = fields.first_text(payload, _WEAK)
    if not weak:
        return ""
    labels = payload.get("labels")
    found = (*((labels,) if isinstance(labels, Mapping) else ()), payload)
    about = [said for it in found for name in _MONITORED if (said := fields.text(it.get(name)))]
    names = sorted(
        name for name in payload if name not in _STATUS and not _MOMENT.fullmatch(re.sub("[_-]", "", name.lower()))
    )
    if weak.isdecimal() and not about:
        about = [steady_title(_title(payload))]
    tool = sha256("\n".join(names).encode(errors="replace")).hexdigest()[:12]
    return "\n".join((weak, *about, f"fields {tool}"))


def _title(payload: Mapping[str, Any]) -> str:
    labels: dict[str, str] = {}
    for name in ("labels", "tags"):
        labels |= fields.text_map(payload.get(name))
    return fields.title(fields.first_text(payload, _TITLE) or fields.first_text(labels, _TITLE))
