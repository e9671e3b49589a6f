"""What Alertmanagers post, and the Alertmanager that is asked before a record is created."""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from aiohttp import web

from tests.simulation.history import Listed

SENDER, OTHER_SENDER = "http://am.sim:9093", "http://other-am.sim:9093"
"""Two that know nothing of each other, and call their groups the same."""

RECEIVER = "versus"
POISONED = "Poisoned"
"""The names of alerts that a rule of ServiceNow refuses begin so."""

_ZERO_TIME = "0001-01-01T00:00:00Z"  # Alertmanager's for "has not ended"


def rfc3339(at_ms: float) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")


def labels_of(name: str, alert: Listed) -> dict[str, str]:
    return {"alertname": name, "instance": alert.instance, "severity": alert.severity}


def fingerprint(name: str, alert: Listed) -> str:
    """Made of the labels, as Alertmanager's is."""
    return sha256(json.dumps(labels_of(name, alert), sort_keys=True).encode()).hexdigest()[:16]


def payload(name: str, alerts: Sequence[Listed], now_ms: float, route: str = "") -> dict[str, Any]:
    """A notification about the group of all alerts called *name*, by the sender of its first, on this *route*."""
    listed = [
        {
            "status": "resolved" if it.is_over else "firing",
            "labels": labels_of(name, it),
            "annotations": {"summary": f"{name} on {it.instance}"},
            "startsAt": rfc3339(it.starts_ms),
            "endsAt": rfc3339(now_ms) if it.is_over else _ZERO_TIME,
            "generatorURL": "http://prometheus.sim/graph",
            "fingerprint": fingerprint(name, it),
        }
        for it in alerts
    ]
    return {
        "receiver": RECEIVER,
        "status": "resolved" if all(it.is_over for it in alerts) else "firing",
        "alerts": listed,
        "groupLabels": {"alertname": name},
        "commonLabels": {"alertname": name},
        "commonAnnotations": {},
        "externalURL": alerts[0].sender or SENDER,
        "version": "4",
        "groupKey": f'{{}}{route}:{{alertname="{name}"}}',
        "truncatedAlerts": 0,
    }


class Alertmanager:
    """The API of one that sends to the service: what fires now, and nothing of what was sent."""

    def __init__(self, now_ms: Callable[[], float]) -> None:
        self._started_ms = now_ms() - 3_600_000
        self._firing: dict[str, tuple[str, Listed]] = {}

    def fire(self, name: str, alert: Listed) -> None:
        self._firing[fingerprint(name, alert)] = name, alert

    def end(self, name: str, alert: Listed) -> None:
        self._firing.pop(fingerprint(name, alert), None)

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/api/v2/alerts", self._alerts)
        app.router.add_get("/api/v2/status", self._status)
        app.router.add_get("/api/v2/receivers", self._receivers)
        return app

    async def _alerts(self, _: web.Request) -> web.Response:
        """All of them, whatever the filter: the service has to look for its own."""
        status = {"state": "active", "silencedBy": [], "inhibitedBy": []}
        listed = [
            {"fingerprint": key, "labels": labels_of(name, it), "startsAt": rfc3339(it.starts_ms), "status": status}
            for key, (name, it) in self._firing.items()
        ]
        return web.json_response(listed)

    async def _status(self, _: web.Request) -> web.Response:
        cluster = {"status": "disabled", "peers": []}
        return web.json_response({"uptime": rfc3339(self._started_ms), "cluster": cluster})

    async def _receivers(self, _: web.Request) -> web.Response:
        return web.json_response([{"name": RECEIVER}])
