"""Payloads to try with: what each source would send, starting now."""

from collections.abc import Callable
from datetime import datetime
from typing import Any


def alertmanager(name: str = "DiskFull", *, starts_at: datetime, is_resolved: bool = False) -> dict[str, Any]:
    """What Alertmanager posts for a group of one alert."""
    status = "resolved" if is_resolved else "firing"
    labels = {"alertname": name, "severity": "critical", "instance": "db-7:9100", "team": "storage"}
    annotations = {
        "summary": f"{name} on db-7",
        "description": "A sample, to see what such an alert looks like.",
    }
    alert = {
        "status": status,
        "labels": labels,
        "annotations": annotations,
        "startsAt": starts_at.isoformat(),
        "endsAt": starts_at.isoformat() if is_resolved else "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus.example:9090/graph?g0.expr=sample",
        "fingerprint": f"{sum(name.encode()):016x}",
    }
    return {
        "receiver": "versus",
        "status": status,
        "alerts": [alert],
        "groupLabels": {"alertname": name},
        "commonLabels": labels,
        "commonAnnotations": annotations,
        "externalURL": "http://alertmanager.example:9093",
        "version": "4",
        "groupKey": f'{{}}:{{alertname="{name}"}}',
        "truncatedAlerts": 0,
    }


def generic(name: str = "Backup", *, starts_at: datetime, is_resolved: bool = False) -> dict[str, Any]:
    """What a script of one's own might post."""
    return {
        "title": f"{name} failed on db-7",
        "severity": "warning",
        "status": "resolved" if is_resolved else "firing",
        "dedup_key": f"{name.lower()}-db-7",
        "message": "pg_dump ended with status 1",
        "startsAt": starts_at.isoformat(),
    }


SAMPLES: dict[str, Callable[..., dict[str, Any]]] = {"alertmanager": alertmanager, "generic": generic}
