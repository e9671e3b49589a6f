"""Any JSON object: an alert by its usual field names. What no other source recognises is still an alert."""

from collections.abc import Mapping
from typing import Any

from versus_py.config import SourcesConfig
from versus_py.incident import Alert, AlertStatus, Notification
from versus_py.sources import fields

NAME = "generic"

_TITLE = (
    "title",
    "summary",
    "subject",
    "alertname",
    "alert_name",
    "name",
    "message",
    "msg",
    "description",
    "text",
    "log",
)
_SEVERITY = ("severity", "level", "priority", "urgency")
_STATUS = ("status", "state", "alert_status", "event_action")
_RESOLVED = {"resolved", "resolve", "ok", "closed", "close", "recovered", "recovery", "cleared", "normal", "inactive"}
_IDENTITY = (
    "dedup_key",
    "deduplication_key",
    "dedupKey",
    "fingerprint",
    "alert_id",
    "alertId",
    "incident_id",
    "incident_key",
    "id",
    "uuid",
)
_URL = ("url", "link", "web_url", "html_url", "source_url", "generatorURL", "dashboard_url")
_STARTS_AT = ("startsAt", "starts_at")
_LABELS = ("labels", "tags")
_ANNOTATIONS = "annotations"
_READ = {*_TITLE, *_STATUS, *_IDENTITY, *_URL, *_STARTS_AT}  # what becomes something better than a label


def recognizes(payload: Mapping[str, Any]) -> bool:  # noqa: ARG001 - any object will do
    return True


def parse(payload: Mapping[str, Any], settings: SourcesConfig) -> Notification:  # noqa: ARG001 - it has none
    """One alert. Without a field that identifies it, each payload is an incident of its own."""
    everything = fields.text_map(payload)
    labels = {name: value for name, value in everything.items() if name not in _READ}
    for name in _LABELS:
        labels |= fields.text_map(payload.get(name))
    identity = fields.first_text(payload, _IDENTITY)
    is_resolved = fields.first_text(payload, _STATUS).lower() in _RESOLVED
    title = fields.title(fields.first_text(payload, _TITLE) or fields.first_text(labels, _TITLE))
    said = {
        name: everything[name] for name in _TITLE if everything.get(name) and fields.title(everything[name]) != title
    }
    starts = (fields.time_ms(payload.get(name)) for name in _STARTS_AT)
    alert = Alert(
        fingerprint=identity,
        status=AlertStatus.RESOLVED if is_resolved else AlertStatus.FIRING,
        labels=labels,
        annotations=said | fields.text_map(payload.get(_ANNOTATIONS)),
        starts_at_ms=next((start for start in starts if start is not None), None),
        url=next((url for name in _URL if (url := fields.web_url(payload.get(name)))), ""),
    )
    return Notification(
        source=NAME,
        title=title or "Alert without a title",
        severity=fields.highest_severity([fields.first_text({**labels, **everything}, _SEVERITY)]),
        alerts=(alert,),
        dedup_key=f"{NAME}\n{identity}" if identity else None,
        url=alert.url,
        warnings=() if title else (f"no title found; looked for {', '.join(_TITLE)}",),
    )
