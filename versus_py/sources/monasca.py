"""Monasca's webhook notifications: one incident per alarm.

Source: github.com/openstack/monasca-notification, plugins/webhook_notifier.py.
"""

from collections.abc import Mapping
from typing import Any

from versus_py.config import SourcesConfig
from versus_py.errors import BadPayload, NotAnAlert
from versus_py.incidents.model import Alert, AlertStatus, Notification, common
from versus_py.incidents.severity import highest_severity, is_severity
from versus_py.sources import fields

NAME = "monasca"

_SHAPE = {"alarm_id", "alarm_name", "state"}


def recognizes(payload: Mapping[str, Any]) -> bool:
    return payload.keys() >= _SHAPE


def parse(payload: Mapping[str, Any], settings: SourcesConfig) -> Notification:
    """The alarm as it is now: OK is over, UNDETERMINED is what the settings say, and every other state fires.

    Raises BadPayload without an alarm_id, and NotAnAlert for UNDETERMINED where that is to be ignored.
    """
    alarm_id = fields.text(payload["alarm_id"])
    if not alarm_id:
        raise BadPayload("its alarm_id is empty")
    name = fields.text(payload.get("alarm_name")) or alarm_id
    state = fields.text(payload["state"])
    status = _status(state, name, settings)
    is_firing = status is AlertStatus.FIRING
    at_ms = fields.epoch_ms(payload.get("alarm_timestamp"))
    labels = _labels(payload, name)
    resource = fields.resource(labels)
    alert = Alert(
        fingerprint=alarm_id,
        status=status,
        labels=labels,
        annotations=_annotations(payload),
        starts_at_ms=at_ms if is_firing else None,
        ends_at_ms=None if is_firing else at_ms,
        resource=resource,
    )
    return Notification(
        source=NAME,
        title=fields.title(f"{name} on {resource}" if resource else name),
        severity=highest_severity([state if is_severity(state) else labels.get("severity", "")]),
        alerts=(alert,),
        dedup_key=f"{NAME}\n{alarm_id}",
        # From OK, what it was before is over, also when that was not told.
        is_complete=fields.text(payload.get("old_state")).upper() == "OK",
    )


def _status(state: str, alarm: str, settings: SourcesConfig) -> AlertStatus:
    match state.upper(), settings.monasca.undetermined:
        case ("OK", _) | ("UNDETERMINED", "resolve"):
            return AlertStatus.RESOLVED
        case ("UNDETERMINED", "ignore"):
            raise NotAnAlert(
                f"Monasca's alarm {alarm!r} is UNDETERMINED, which sources.monasca.undetermined says to ignore"
            )
        case _:
            return AlertStatus.FIRING


def _labels(payload: Mapping[str, Any], name: str) -> dict[str, str]:
    """What identifies it to people: its name, its metrics, the dimensions on which these agree, and its tenant."""
    listed = payload.get("metrics")
    metrics = listed if isinstance(listed, list) else [listed]  # one that stands alone is a list of one
    names = dict.fromkeys(
        text for it in metrics if (text := fields.text(it.get("name") if isinstance(it, Mapping) else it))
    )
    labels = {"alertname": name, "metric": ", ".join(names)}
    labels |= common([fields.text_map(it.get("dimensions")) for it in metrics if isinstance(it, Mapping)])
    labels["alarm_definition_id"] = fields.text(payload.get("alarm_definition_id"))
    labels["tenant_id"] = fields.text(payload.get("tenant_id"))
    return {label: value for label, value in labels.items() if value}


def _annotations(payload: Mapping[str, Any]) -> dict[str, str]:
    said = {
        "description": fields.text(payload.get("alarm_description")),
        "message": fields.text(payload.get("message")),
        "old_state": fields.text(payload.get("old_state")),
    }
    return {name: value for name, value in said.items() if value}
