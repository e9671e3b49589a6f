"""Reading heartbeats: which are expected, and when each came last."""

from typing import Any

from aiohttp import web

from versus_py.config import ExpectedHeartbeat
from versus_py.engine.heartbeats import Heartbeats
from versus_py.incidents.heartbeats import expected_by_ms, is_silent, labels_of, opened_incident, sent_by
from versus_py.incidents.model import Incident
from versus_py.web.answers import json_answer
from versus_py.web.api.views import rfc3339


class HeartbeatsApi:
    """The handler of GET /api/heartbeats."""

    def __init__(self, heartbeats: Heartbeats) -> None:
        self._heartbeats = heartbeats

    async def list(self, _: web.Request) -> web.Response:
        """`{"heartbeats": […]}` in the order of the configuration; one that never came has no last beat."""
        found = await self._heartbeats.known()
        shown = [[heartbeat_view(it, one) for one in known] or [heartbeat_view(it, None)] for it, known in found]
        return json_answer({"heartbeats": [view for views in shown for view in views]})


def heartbeat_view(expected: ExpectedHeartbeat, known: Incident | None) -> dict[str, Any]:
    """A heartbeat as JSON; *known* None: it never came."""
    last_ms = None if known is None else known.waiting_since_ms
    return {
        "name": expected.name,
        "labels": expected.of(labels_of(known)) if known else {},
        "every": expected.every,
        "policy": expected.policy or None,
        "last_beat": rfc3339(last_ms),
        "sent_by": sent_by(known) or None if known else None,
        "expected_by": rfc3339(expected_by_ms(known)) if known else None,
        "silent_since": rfc3339(last_ms) if known and is_silent(known) else None,
        "incident": opened_incident(known) if known else None,
    }
