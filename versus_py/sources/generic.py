"""Any JSON object: an alert by its usual field names. What no other source recognises is still an alert."""

from collections.abc import Mapping
from typing import Any

from versus_py.config import SourcesConfig
from versus_py.incidents.model import Alert, AlertStatus, Notification
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
    "Subject",
    "Message",
)
_URL = ("url", "link", "web_url", "html_url", "source_url", "generatorURL", "dashboard_url")
_STARTS_AT = ("startsAt", "starts_at")
_LABELS = ("labels", "tags")
_ANNOTATIONS = "annotations"
_READ = {*_TITLE, *fields.STATUS, *fields.IDENTITY, *_URL, *_STARTS_AT}  # what becomes something better than a label
_OLDER_IDENTITY = (
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
    "MessageId",
)
"""Of which the key was made, by itself, before 1.0: what was open then is found by it until it is forgotten."""

_ENVELOPE = {"Signature", "SignatureVersion", "SigningCertURL", "UnsubscribeURL"}  # of SNS; the last acts on a click


def recognizes(payload: Mapping[str, Any]) -> bool:  # noqa: ARG001 - any object will do
    return True


def parse(payload: Mapping[str, Any], settings: SourcesConfig) -> Notification:  # noqa: ARG001 - it has none
    """One alert. Without a field that identifies it, each payload is an incident of its own."""
    everything = fields.text_map(payload)
    labels = {name: value for name, value in everything.items() if name not in _READ | _ENVELOPE}
    for name in _LABELS:
        labels |= fields.text_map(payload.get(name))
    annotations = fields.text_map(payload.get(_ANNOTATIONS))
    identity, older = fields.identity(payload), fields.first_text(payload, _OLDER_IDENTITY)
    title = fields.title(fields.first_text(payload, _TITLE) or fields.first_text(labels, _TITLE))
    said = {
        name.lower(): everything[name]
        for name in _TITLE
        if everything.get(name) and fields.title(everything[name]) != title
    }
    starts = (fields.time_ms(payload.get(name)) for name in _STARTS_AT)
    alert = Alert(
        fingerprint=identity,
        status=AlertStatus.RESOLVED if fields.is_resolved(payload) else AlertStatus.FIRING,
        labels=labels,
        annotations=said | annotations,
        starts_at_ms=next((start for start in starts if start is not None), None),
        url=fields.first_url(payload, _URL),
        resource=fields.resource(labels),
        links=fields.links(labels | annotations),
    )
    key = fields.identity_key(payload, title)
    return Notification(
        source=NAME,
        title=title or "Alert without a title",
        severity=fields.severity({**labels, **everything}),
        alerts=(alert,),
        dedup_key=f"{NAME}\n{key}" if key else None,
        older_keys=(f"{NAME}\n{older}",) if older and older != key else (),
        url=alert.url,
        warnings=() if title else (f"no title found; looked for {', '.join(_TITLE)}",),
    )
