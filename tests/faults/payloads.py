"""What Alertmanager posts: the alerts of a group, with the names that it has for the group."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any


@dataclass(frozen=True, slots=True)
class Listed:
    """An alert in a list. One of the same name and instance has the same fingerprint."""

    name: str
    starts_at: datetime
    instance: str = "db-1"
    severity: str = "warning"
    is_over: bool = False

    @property
    def over(self) -> "Listed":
        return replace(self, is_over=True)

    @property
    def labels(self) -> dict[str, str]:
        return {"alertname": self.name, "instance": self.instance, "severity": self.severity}

    @property
    def status(self) -> str:
        return "resolved" if self.is_over else "firing"

    def payload(self) -> dict[str, Any]:
        return {
            "status": self.status,
            "labels": self.labels,
            "annotations": {"summary": f"{self.name} happened"},
            "startsAt": self.starts_at.isoformat(),
            "endsAt": datetime.now(UTC).isoformat() if self.is_over else "0001-01-01T00:00:00Z",
            "generatorURL": "http://prometheus.example/graph",
            "fingerprint": sha256(json.dumps(self.labels).encode()).hexdigest()[:16],
        }


@dataclass(frozen=True, slots=True)
class Sender:
    """What an Alertmanager calls itself and a group; all groups are of the alerts of one name, at least."""

    url: str = "http://alertmanager.example"
    receiver: str = "versus"
    route: str = "{}"  # the path of the route, which the groupKey begins with
    group_by: tuple[str, ...] = ("alertname",)

    def payload(self, alerts: Sequence[Listed]) -> dict[str, Any]:
        """Its list of them."""
        shared = dict(set.intersection(*(set(alert.labels.items()) for alert in alerts)))
        group = {name: shared[name] for name in self.group_by}
        named = ", ".join(f'{name}="{value}"' for name, value in group.items())
        return {
            "receiver": self.receiver,
            "status": "resolved" if all(alert.is_over for alert in alerts) else "firing",
            "alerts": [alert.payload() for alert in alerts],
            "groupLabels": group,
            "commonLabels": shared,
            "commonAnnotations": {},
            "externalURL": self.url,
            "version": "4",
            "groupKey": f"{self.route}:{{{named}}}",
            "truncatedAlerts": 0,
        }


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
