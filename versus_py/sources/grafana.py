"""Grafana's alerting webhook: Alertmanager's shape, and what Grafana adds to it.

Source: grafana.com/docs, "Configure the webhook notifier for Alerting"; v8.5, "Alert notifications", webhook.
"""

from collections.abc import Mapping
from typing import Any

from versus_py.config import SourcesConfig
from versus_py.errors import BadPayload
from versus_py.incidents.copies import replace
from versus_py.incidents.model import Alert, AlertStatus, Notification, common
from versus_py.incidents.severity import highest_severity
from versus_py.sources import alertmanager, fields

NAME = "grafana"

VERSION = "1"
"""Alertmanager's own is "4"."""

_PAGES = {"Silence": ("silenceURL",), "Dashboard": ("dashboardURL",), "Panel": ("panelURL",), "Image": ("imageURL",)}


_LEGACY = {"ruleId", "ruleName", "state"}
"""What Grafana sent until version 8 has, and with legacy alerting until version 10."""

_LEGACY_IS_OVER = {"ok", "paused"}
_IMAGE = {"Image": ("imageUrl",)}


def recognizes(payload: Mapping[str, Any]) -> bool:
    """A group with an organisation, or a rule of legacy alerting."""
    return _is_legacy(payload) or _is_group(payload)


def _is_legacy(payload: Mapping[str, Any]) -> bool:
    return payload.keys() >= _LEGACY


def _is_group(payload: Mapping[str, Any]) -> bool:
    return alertmanager.recognizes(payload) and "orgId" in payload and payload.get("version") == VERSION


def parse(payload: Mapping[str, Any], settings: SourcesConfig) -> Notification:  # noqa: ARG001 - it has none
    """The group as it is now, or the rule. Raises BadPayload when nothing in it is an alert, or the rule has no id."""
    if not _is_group(payload):
        return _rule(payload)
    # Organisations of one Grafana have receivers and rules of their own, which may be called the same.
    return alertmanager.read_group(payload, NAME, _alert, namespace=f"org {fields.text(payload['orgId'])}")


def _alert(item: Mapping[str, Any]) -> Alert:
    alert = alertmanager.read_alert(item)
    values = _values(item)
    return replace(
        alert,
        annotations={"values": values, **alert.annotations} if values else alert.annotations,
        links={**alert.links, **fields.links(item, _PAGES)},
    )


def _values(item: Mapping[str, Any]) -> str:
    """What the rule's queries gave; the older text form when there are no numbers."""
    numbers = fields.text_map(item.get("values"))
    return ", ".join(f"{name}={number}" for name, number in numbers.items()) or fields.text(item.get("valueString"))


def _rule(payload: Mapping[str, Any]) -> Notification:
    """A rule of legacy alerting; what its queries gave are its labels and values."""
    rule_id = fields.text(payload["ruleId"])
    if not rule_id:
        raise BadPayload("its ruleId is empty")
    name = fields.text(payload["ruleName"]) or f"rule {rule_id}"
    identity = f"org {fields.text(payload.get('orgId'))} rule {rule_id}"
    matches = payload.get("evalMatches")
    listed = [it for it in matches if isinstance(it, Mapping)] if isinstance(matches, list) else []
    values = ", ".join(f"{fields.text(it.get('metric'))}={fields.text(it.get('value'))}" for it in listed)
    said = {"message": fields.text(payload.get("message")), "values": values}
    labels = {"alertname": name} | fields.text_map(payload.get("tags"))
    labels |= common([fields.text_map(it.get("tags")) for it in listed])
    is_over = fields.text(payload["state"]).lower() in _LEGACY_IS_OVER
    alert = Alert(
        fingerprint=identity,
        status=AlertStatus.RESOLVED if is_over else AlertStatus.FIRING,
        labels=labels,
        annotations={label: text for label, text in said.items() if text},
        url=fields.web_url(payload.get("ruleUrl")),
        resource=fields.resource(labels),
        links=fields.links(payload, _IMAGE),
    )
    return Notification(
        source=NAME,
        title=fields.title(fields.text(payload.get("title")) or name),
        severity=highest_severity([labels.get("severity", "")]),
        alerts=(alert,),
        dedup_key=f"{NAME}\n{identity}",
        url=alert.url,
    )
