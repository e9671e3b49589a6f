"""Notification groups as Alertmanager posts them, of any alerts, senders, routes and receivers."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

START = datetime(2026, 5, 4, 10, tzinfo=UTC)


def alert(name: str, *, minutes: float = 0, over: bool = False, summary: str = "", **labels: str) -> dict[str, Any]:
    """An alert that began *minutes* after START; its fingerprint is made of its labels, as Alertmanager's is."""
    labels = {"alertname": name, "severity": "warning"} | labels
    text = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
    return {
        "status": "resolved" if over else "firing",
        "labels": labels,
        "annotations": {"summary": summary or f"{name} is bad"},
        "startsAt": (START + timedelta(minutes=minutes)).isoformat(),
        "endsAt": (START + timedelta(days=365)).isoformat() if over else "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus.example/graph",
        "fingerprint": sha256(text.encode()).hexdigest()[:16],
    }


def group(
    *alerts: Mapping[str, Any],
    sender: str = "http://am-eu:9093",
    receiver: str = "versus",
    route: str = "{}",
    by: Iterable[str] = ("alertname",),
) -> dict[str, Any]:
    """What *sender* posts of them, grouped *by* labels of the first."""
    labels = {name: alerts[0]["labels"][name] for name in by if name in alerts[0]["labels"]}
    named = ", ".join(f'{name}="{value}"' for name, value in labels.items())
    return {
        "receiver": receiver,
        "status": "firing" if any(it["status"] == "firing" for it in alerts) else "resolved",
        "alerts": list(alerts),
        "groupLabels": labels,
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": sender,
        "version": "4",
        "groupKey": f"{route}:{{{named}}}",
        "truncatedAlerts": 0,
    }
