"""Reading incidents, and acting on them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson
from aiohttp import web

from versus_py.engine.lifecycle import Decision, Lifecycle
from versus_py.incidents.heartbeats import is_heartbeat
from versus_py.incidents.model import Actor, Incident, IncidentId
from versus_py.incidents.payloads import unpack
from versus_py.store import Store
from versus_py.web.answers import json_answer
from versus_py.web.api.views import detail, failure, summary, unread, unread_failure
from versus_py.web.deeds import NAME_MAX, Deeds
from versus_py.web.guard import Guard
from versus_py.web.intake.bodies import read_whole
from versus_py.web.searches import TooCostly, read_asked

PAGE_DEFAULT = 50
PAGE_MAX = 200

BODY_TIMEOUT_S = 10.0
_LIMIT_DIGITS_MAX = 9
"""Python refuses to read numbers of thousands of digits."""


class Api:
    """The handlers below /api/incidents, but for the intake."""

    def __init__(self, store: Store, lifecycle: Lifecycle, deeds: Deeds) -> None:
        self._store = store
        self._lifecycle = lifecycle
        self._deeds = deeds

    def routes(self, guarded: Guard) -> Sequence[web.RouteDef]:
        return (
            web.get("/api/incidents", guarded(self.list), allow_head=False),
            web.get("/api/incidents/{id}", guarded(self.show), allow_head=False),
            web.get("/api/incidents/{id}/payload", guarded(self.payload), allow_head=False),
            web.post("/api/incidents/{id}/acknowledge", guarded(self.acknowledge)),
            web.post("/api/incidents/{id}/unacknowledge", guarded(self.unacknowledge)),
            web.post("/api/incidents/{id}/resolve", guarded(self.resolve)),
            web.post("/api/incidents/{id}/comments", guarded(self.comment)),
            web.post("/api/incidents/{id}/escalate", guarded(self.escalate)),
            web.post("/api/incidents/{id}/snooze", guarded(self.snooze)),
            web.post("/api/incidents/{id}/severity", guarded(self.set_severity)),
            web.post("/api/incidents/{id}/route", guarded(self.route)),
            web.post("/api/incidents/{id}/retry", guarded(self.retry)),
            web.post("/api/retry", guarded(self.retry_all)),
        )

    async def list(self, request: web.Request) -> web.Response:
        """`{"incidents": […], "unreadable": […], "next": cursor or null}`, newest first."""
        only_failed, limit = _only_failed(request.query.get("failed")), _limit(request.query.get("limit"))
        cursor = request.query.get("cursor")
        try:
            if only_failed:
                return await self._failures(request, limit, cursor)
            asked = read_asked(request.query)
            page = await self._store.history.search(asked.wanted, asked.span, limit=limit, older_than=cursor)
        except TooCostly as exc:
            raise web.HTTPBadRequest(text=str(exc)) from None
        except ValueError:
            raise web.HTTPBadRequest(text="cursor is not one that a page gave as next") from None
        return _page([summary(it) for it in page.incidents], [unread(it) for it in page.unread], page.older)

    async def _failures(self, request: web.Request, limit: int, cursor: str | None) -> web.Response:
        """Raises ValueError for a cursor that is none."""
        others = [name for name in ("q", "status", "severity", "outcome", "from", "to") if name in request.query]
        if others:
            raise web.HTTPBadRequest(text=f"failed=true and {others[0]} exclude each other")
        page = await self._store.given_up(limit=limit, cursor=cursor)
        return _page([failure(it) for it in page.found], [unread_failure(it) for it in page.unread], page.cursor)

    async def show(self, request: web.Request) -> web.Response:
        return await self._detail(_known(await self._store.get(_id(request)), request))

    async def payload(self, request: web.Request) -> web.Response:
        """The last body that it came with, as it is kept."""
        incident = _known(await self._store.get(_id(request)), request)
        packed = await self._store.payload(incident.id)
        if not packed:
            raise web.HTTPNotFound(text="no body is kept of it: keep_payload was false when it came")
        return json_answer(unpack(packed))

    async def acknowledge(self, request: web.Request) -> web.Response:
        """201 the first time, 200 after."""
        return await self._act(request, self._deeds.acknowledge(_by(await _said(request))))

    async def resolve(self, request: web.Request) -> web.Response:
        """201 the first time, 200 after; a `comment` counts the first time."""
        said = await _said(request)
        by = _by(said)
        return await self._act(request, self._deeds.resolve(said, by))

    async def comment(self, request: web.Request) -> web.Response:
        """Its `text`, also on what is resolved: 201, or 200 and how it stands when it was said a moment ago."""
        said = await _said(request)
        by = _by(said)
        return await self._act(request, self._deeds.comment(said, by))

    async def unacknowledge(self, request: web.Request) -> web.Response:
        """201 when it was acknowledged, else 200 and how it stands."""
        return await self._act(request, self._deeds.unacknowledge(_by(await _said(request))))

    async def escalate(self, request: web.Request) -> web.Response:
        """201 when this began the escalation, 409 while it has a record that is open, else 200 and how it stands."""
        decide = self._deeds.escalate(_by(await _said(request)))
        return await self._act(request, decide, self._deeds.why_not_escalated)

    async def snooze(self, request: web.Request) -> web.Response:
        """For so many `minutes`: 201, or 200 and how it stands when nothing waits."""
        said = await _said(request)
        by = _by(said)
        return await self._act(request, self._deeds.snooze(said, by))

    async def set_severity(self, request: web.Request) -> web.Response:
        """To the `severity` that is named: 201, or 200 and how it stands when it is that already, or resolved."""
        said = await _said(request)
        by = _by(said)
        return await self._act(request, self._deeds.set_severity(said, by))

    async def route(self, request: web.Request) -> web.Response:
        """To a `policy`, a `channel`, or both: 201, or 200 and how it stands when it goes there already, or is over.

        409 where its policy does not tell that channel.
        """
        said = await _said(request)
        by, to = _by(said), self._deeds.route_of(said)
        return await self._act(request, self._deeds.route(to, by), lambda it: self._deeds.why_not_routed(it, to))

    async def retry(self, request: web.Request) -> web.Response:
        """Try again what was given up, or the `target` of it that is named: 201, or 200 when nothing was."""
        said = await _said(request)
        target = said.get("target", "")
        if not isinstance(target, str):
            raise web.HTTPBadRequest(text="target is not a text, such as slack")
        incident, is_retried = await self._lifecycle.retry(_id(request), _by(said), target)
        return await self._detail(_known(incident, request), 201 if is_retried else 200)

    async def retry_all(self, request: web.Request) -> web.Response:
        """The same for every incident: `{"retried": 12, "more": false}`."""
        number, has_more = await self._lifecycle.retry_all(_by(await _said(request)))
        return json_answer({"retried": number, "more": has_more}, 201 if number else 200)

    async def _act(
        self, request: web.Request, decide: Decision, why_not: Callable[[Incident], str] = lambda _: ""
    ) -> web.Response:
        """201 when that changed something, 409 when not and *why_not* says what is in the way, else 200."""
        incident, is_changed = await self._lifecycle.act(_id(request), decide)
        found = _known(incident, request)
        if not is_changed and (text := why_not(found)):
            raise web.HTTPConflict(text=text)
        return await self._detail(found, 201 if is_changed else 200)

    async def _detail(self, incident: Incident, status: int = 200) -> web.Response:
        return json_answer(detail(incident, await self._store.timeline(incident.id)), status)


def _id(request: web.Request) -> IncidentId:
    incident_id = IncidentId(request.match_info["id"])
    if is_heartbeat(incident_id):
        raise web.HTTPNotFound(text=f"no incident {incident_id!r}: it is a heartbeat; see GET /api/heartbeats")
    return incident_id


def _known(incident: Incident | None, request: web.Request) -> Incident:
    if incident is None:
        why = "it never was, its time is over, or Redis lost it"
        raise web.HTTPNotFound(text=f"no incident {request.match_info['id']!r}: {why}")
    return incident


def _only_failed(value: str | None) -> bool:
    if value not in {None, "true", "false"}:
        raise web.HTTPBadRequest(text=f"failed is {value!r}; allowed: true, false")
    return value == "true"


def _page(
    incidents: Sequence[Mapping[str, Any]], unreadable: Sequence[Mapping[str, Any]], cursor: str | None
) -> web.Response:
    return json_answer({"incidents": incidents, "unreadable": unreadable, "next": cursor})


def _limit(value: str | None) -> int:
    limit = (
        PAGE_DEFAULT if value is None else int(value) if value.isdecimal() and len(value) <= _LIMIT_DIGITS_MAX else 0
    )
    if not 1 <= limit <= PAGE_MAX:
        raise web.HTTPBadRequest(text=f"limit is {value!r}; allowed: 1 to {PAGE_MAX}")
    return limit


async def _said(request: web.Request) -> Mapping[str, Any]:
    """The JSON object in the body, and the query parameters, which win."""
    try:
        body = orjson.loads(await read_whole(request, within_s=BODY_TIMEOUT_S) or b"{}")
    except orjson.JSONDecodeError:
        if "by" not in request.query:
            raise web.HTTPBadRequest(text='the body is not JSON; send {"by": "your name"}') from None
        body = None
    return (body if isinstance(body, dict) else {}) | dict(request.query)


def _by(said: Mapping[str, Any]) -> Actor:
    """Who acts: `{"by": "ana"}` in the body, or `?by=ana`."""
    name = said.get("by")
    if not isinstance(name, str) or not name.strip() or len(name) > NAME_MAX:
        raise web.HTTPBadRequest(text=f'say who you are: {{"by": "your name"}}, 1 to {NAME_MAX} characters')
    return Actor(name.strip())
