"""Alertmanager's webhook as Alertmanager itself writes it: read from the body at once, by the types of its fields.

Another tool's, or one that is written by hand, is read field by field: see `alertmanager`. Both ways come to the same.

Source: github.com/prometheus/alertmanager, notify/webhook (Message) and template (Data, Alert).
"""

from typing import Annotated

import msgspec
from msgspec import Meta, Struct, field

from versus_py.incidents.payloads import Written

ALERTS_MAX = 1000
"""Of more, some would have to be left out: they are looked at one by one."""


class Item(Struct, frozen=True, forbid_unknown_fields=True):
    """One alert of the list."""

    status: str
    labels: dict[str, str]
    annotations: dict[str, str]
    starts_at: str = field(name="startsAt")
    ends_at: str = field(name="endsAt")
    generator_url: str = field(name="generatorURL")
    fingerprint: str


class Group(Struct, frozen=True, forbid_unknown_fields=True):
    """All that a body holds. What was cut off has warnings, and is not read so."""

    receiver: str
    status: str
    alerts: Annotated[list[Item], Meta(min_length=1, max_length=ALERTS_MAX)]
    group_labels: dict[str, str] = field(name="groupLabels")
    common_labels: dict[str, str] = field(name="commonLabels")
    common_annotations: dict[str, str] = field(name="commonAnnotations")
    external_url: str = field(name="externalURL")
    version: str
    group_key: str = field(name="groupKey")
    truncated_alerts: Annotated[int, Meta(ge=0, le=0)] = field(name="truncatedAlerts", default=0)
    notification_reason: str = ""  # since 0.32
    route_labels: dict[str, str] = field(name="routeLabels", default_factory=dict)  # since 0.34


class Webhook(Written):
    """The payload, and what it holds."""

    def __init__(self, body: bytes, group: Group) -> None:
        super().__init__(body)
        self.group = group


_decode = msgspec.json.Decoder(Group).decode


def read_webhook(body: bytes) -> Webhook | None:
    """None for any other body, be it one of Alertmanager too."""
    try:
        return Webhook(body, _decode(body))
    except msgspec.DecodeError:
        return None
