"""Any JSON object: an alert by the usual names of its fields. What no other source recognizes is still an alert.

`tables` says which names those are, `search` finds them, `reader` makes of them what an alert is.
"""

from collections.abc import Mapping
from typing import Any

from versus_py.config import SourcesConfig
from versus_py.incidents.copies import replace
from versus_py.incidents.model import Alert, AlertStatus, Notification
from versus_py.sources import alertmanager, fields
from versus_py.sources.generic.earlier import earlier_keys
from versus_py.sources.generic.reader import Reading, read, start_ms

__all__ = ["NAME", "parse", "read", "recognizes"]

NAME = "generic"

_ALERT_OF_ALERTMANAGER = frozenset(
    ("labels", "annotations", "startsAt", "endsAt", "generatorURL", "fingerprint", "status", "receivers", "updatedAt")
)


def recognizes(payload: Mapping[str, Any]) -> bool:  # noqa: ARG001 - any object will do
    """Always."""
    return True


def parse(payload: Mapping[str, Any], settings: SourcesConfig) -> Notification:  # noqa: ARG001 - it has none
    """One alert. What nothing identifies is an incident of its own each time.

    Raises NotAnAlert when all it says is that somebody has acknowledged it elsewhere.
    """
    older = tuple(f"{NAME}\n{key}" for key in earlier_keys(payload))
    if _is_alert_of_alertmanager(payload):
        found = alertmanager.read_group(
            {"alerts": [payload], "groupLabels": payload["labels"]}, NAME, alertmanager.read_alert
        )
        return _with_older(found, older)
    return _with_older(_notification(read(payload)), older)


def _is_alert_of_alertmanager(payload: Mapping[str, Any]) -> bool:
    labels = payload.get("labels")
    return payload.keys() <= _ALERT_OF_ALERTMANAGER and bool(fields.text_map(labels).get("alertname"))


def _notification(found: Reading) -> Notification:
    alert = Alert(
        fingerprint=found.identity.text,
        status=AlertStatus.RESOLVED if found.standing.is_over else AlertStatus.FIRING,
        labels=found.labels,
        annotations=found.annotations,
        starts_at_ms=start_ms(found.start) if found.start else None,
        url=fields.web_url(found.link.value) if found.link else "",
        resource=found.resource.text if found.resource else "",
        links=found.pages,
    )
    return Notification(
        source=NAME,
        title=found.title_text,
        is_titled=found.title is not None,
        severity=found.severity_text,
        severity_sent=found.severity_sent,
        alerts=(alert,),
        dedup_key=f"{NAME}\n{found.identity.key}" if found.identity.key else None,
        url=alert.url,
        warnings=found.warnings,
    )


def _with_older(found: Notification, older: tuple[str, ...]) -> Notification:
    return replace(found, older_keys=tuple(key for key in older if key != found.dedup_key))
