"""What an Alertmanager posts: its alerts of a group, with the names that it has for the group."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from tests.support.groups import group
from versus_py.incidents.copies import replace


@dataclass(frozen=True, slots=True)
class Listed:
    """An alert in a list. Its fingerprint is made of its labels, as Alertmanager's is."""

    name: str
    starts_at: datetime
    instance: str = "db-1"
    severity: str = "warning"
    is_over: bool = False

    @property
    def over(self) -> "Listed":
        return replace(self, is_over=True)

    def payload(self) -> dict[str, Any]:
        labels = {"alertname": self.name, "instance": self.instance, "severity": self.severity}
        return {
            "status": "resolved" if self.is_over else "firing",
            "labels": labels,
            "annotations": {"summary": f"{self.name} happened"},
            "startsAt": self.starts_at.isoformat(),
            "endsAt": datetime.now(UTC).isoformat() if self.is_over else "0001-01-01T00:00:00Z",
            "generatorURL": "http://prometheus.example/graph",
            "fingerprint": sha256(json.dumps(labels).encode()).hexdigest()[:16],
        }


@dataclass(frozen=True, slots=True)
class Sender:
    """What an Alertmanager calls itself, and a group. A group is of alerts of one name."""

    url: str = "http://alertmanager.example"
    receiver: str = "versus"
    route: str = "{}"
    group_by: tuple[str, ...] = ("alertname",)

    def payload(self, alerts: Sequence[Listed]) -> dict[str, Any]:
        """Its list of them."""
        listed = [alert.payload() for alert in alerts]
        return group(*listed, sender=self.url, receiver=self.receiver, route=self.route, by=self.group_by)


SENDER = Sender()
OTHER_SENDER = Sender(url="http://alertmanager.other.example")
"""It knows nothing of the first one, and its groups have the same names."""

MOVED = (
    Sender(route='{}/{severity="warning"}'),
    Sender(group_by=("alertname", "severity")),
    Sender(receiver="versus-renamed"),
    Sender(receiver="versus-renamed", route='{}/{severity="warning"}', group_by=("alertname", "instance")),
)
"""The first one after somebody has edited its configuration."""
