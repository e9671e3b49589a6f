"""Grafana's alerting webhook: Alertmanager's shape, and what Grafana adds to it.

Source: grafana.com/docs, "Configure the webhook notifier for Alerting".
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from versus_py.config import SourcesConfig
from versus_py.incidents.model import Alert, Notification
from versus_py.sources import alertmanager, fields

NAME = "grafana"

VERSION = "1"
"""Alertmanager's own is "4"."""

_PAGES = {"Silence": ("silenceURL",), "Dashboard": ("dashboardURL",), "Panel": ("panelURL",), "Image": ("imageURL",)}


def recognizes(payload: Mapping[str, Any]) -> bool:
    return alertmanager.recognizes(payload) and "orgId" in payload and payload.get("version") == VERSION


def parse(payload: Mapping[str, Any], settings: SourcesConfig) -> Notification:  # noqa: ARG001 - it has none
    """The group as it is now. Raises BadPayload when nothing in it is an alert."""
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
