"""The forms of the pages: each changes incidents as the API does, and leads back to the page with what was done."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import structlog
from aiohttp import web

from versus_py.clock import Clock
from versus_py.config import Config
from versus_py.engine.lifecycle import Decision, Lifecycle
from versus_py.errors import Unreadable
from versus_py.incidents.actions import Action
from versus_py.incidents.heartbeats import is_heartbeat
from versus_py.incidents.model import Incident, IncidentId
from versus_py.incidents.updates import counted
from versus_py.interactions.answers import Standing
from versus_py.targets import Called
from versus_py.web.api.views import utc
from versus_py.web.deeds import Deeds
from versus_py.web.pages.forms import Form, read_form
from versus_py.web.pages.ui import choices
from versus_py.web.pages.ui.board import Board
from versus_py.web.pages.ui.guard import Page, UiGuard
from versus_py.web.pages.ui.reading import Reading
from versus_py.web.pages.ui.rows import cut
from versus_py.web.pages.ui.said import say
from versus_py.web.pages.ui.shell import see_other
from versus_py.web.pages.ui.viewer import Role, Viewer
from versus_py.web.pages.ui.views import QUERY_MAX

log = structlog.get_logger()

SAID_TITLE_MAX = 90
MANY_MAX = 2000
"""The most incidents that one form acknowledges, so that it is answered in seconds."""

TOGETHER = 50

DIGITS_MAX = 16
"""Of a time in ms."""

_DONE = {
    Action.ACKNOWLEDGE: "Acknowledged",
    Action.UNACKNOWLEDGE: "Not acknowledged any more, and the wait starts again",
    Action.RESOLVE: "Resolved",
    Action.ESCALATE: "Escalated",
    Action.SNOOZE: "Snoozed",
    Action.SEVERITY: "Severity changed",
    Action.ROUTE: "Routed, and its escalation starts again",
}

_Handler = Callable[[web.Request, Viewer], Awaitable[web.StreamResponse]]


class Acting:
    """The handlers. *called* tells what people call a target."""

    def __init__(
        self,
        config: Config,
        reading: Reading,
        board: Board,
        *,
        lifecycle: Lifecycle,
        deeds: Deeds,
        clock: Clock,
        called: Called,
    ) -> None:
        self._config = config
        self._reading = reading
        self._board = board
        self._lifecycle = lifecycle
        self._deeds = deeds
        self._clock = clock
        self._called = called
        self._standing = Standing(_Plain(), called)

    def routes(self, ui: UiGuard) -> list[web.RouteDef]:
        """All of them need a responder."""
        handlers: Mapping[str, _Handler] = {
            "/incidents/acknowledge": self.acknowledge_some,
            "/incidents/acknowledge-all": self.acknowledge_all,
            "/incidents/snooze": self.snooze_some,
            "/incidents/resolve": self.resolve_some,
            "/incidents/{id}/comment": self.comment,
            "/incidents/{id}/retry": self.retry,
            "/failed/retry": self.retry_all,
            **{f"/incidents/{{id}}/{action}": self._handler(action) for action in Action},
        }
        pages: dict[str, Page] = {path: ui(it, needs=Role.RESPONDER) for path, it in handlers.items()}
        return [web.post(path, it) for path, it in pages.items()]

    def _handler(self, action: Action) -> _Handler:
        async def handler(request: web.Request, viewer: Viewer) -> web.Response:
            form = await read_form(request)
            return await self._answer(request, viewer, form, lambda: self._decision(action, form, viewer), action)

        return handler

    async def comment(self, request: web.Request, viewer: Viewer) -> web.Response:
        form = await read_form(request)
        said = {"text": form.one("text")}
        return await self._answer(request, viewer, form, lambda: self._deeds.comment(said, viewer.actor))

    async def retry(self, request: web.Request, viewer: Viewer) -> web.Response:
        """What was given up, and what refuses our credentials: of the `target` that is named, or of all."""
        form, incident_id = await read_form(request), _id(request)
        target = form.one("target")
        incident, is_retried = await self._lifecycle.retry(incident_id, viewer.actor, target)
        if incident is None:
            raise await self._reading.unknown(incident_id)
        done = "Tried again now" if is_retried else "Nothing was given up"
        return self._back(request, form, f"{done}: {self._called(target)}" if target else done)

    async def retry_all(self, request: web.Request, viewer: Viewer) -> web.Response:
        """Everything that was given up, of every incident."""
        number, has_more = await self._lifecycle.retry_all(viewer.actor)
        more = "; there are more: press again" if has_more else ""
        text = f"{counted(number, 'incident')} tried again{more}" if number else "Nothing was given up"
        return say(request, see_other(request, "/failed"), text)

    async def acknowledge_some(self, request: web.Request, viewer: Viewer) -> web.Response:
        """Those that are selected."""
        form = await read_form(request)
        return await self._some(request, form, self._deeds.acknowledge(viewer.actor), "acknowledged")

    async def snooze_some(self, request: web.Request, viewer: Viewer) -> web.Response:
        form = await read_form(request)
        return await self._some(request, form, self._decision(Action.SNOOZE, form, viewer), "snoozed")

    async def resolve_some(self, request: web.Request, viewer: Viewer) -> web.Response:
        form = await read_form(request)
        return await self._some(request, form, self._decision(Action.RESOLVE, form, viewer), "resolved")

    async def acknowledge_all(self, request: web.Request, viewer: Viewer) -> web.Response:
        """What waits, matches the filter, and was there when the page was made: `until`."""
        form = await read_form(request)
        until, query = form.one("until"), form.one("q")[:QUERY_MAX]
        if not until.isdecimal() or len(until) > DIGITS_MAX:
            raise web.HTTPBadRequest(text="until is not a time in ms: open the page again")
        rows = await self._board.rows()
        ids = [it.id for it in rows if not it.is_taken and it.matches(query) and it.waiting_since_ms <= int(until)]
        return await self._many(request, form, ids[:MANY_MAX], self._deeds.acknowledge(viewer.actor), "acknowledged")

    async def _answer(
        self,
        request: web.Request,
        viewer: Viewer,
        form: Form,
        decide: Callable[[], Decision],
        action: Action | None = None,
    ) -> web.Response:
        """Back to the page; what is not understood is said on the incident's page, which keeps what was typed."""
        incident_id = _id(request)
        try:
            decision = decide()
        except web.HTTPBadRequest as exc:
            found = await self._reading.known(request)
            return await self._reading.page_of(request, found, flash=f"Nothing was changed: {exc.text}", status=400)
        try:
            incident, is_changed = await self._lifecycle.act(incident_id, decision)
        except Unreadable:
            await self._reading.known(request)  # raises what people are told
            raise
        if incident is None:
            raise await self._reading.unknown(incident_id)
        log.info("ui.acted", incident=incident_id, action=action or "comment", by=viewer.name, is_changed=is_changed)
        return self._back(request, form, self._said(action, incident, viewer, form, is_changed=is_changed))

    def _decision(self, action: Action, form: Form, viewer: Viewer) -> Decision:
        """Raises HTTPBadRequest."""
        by = viewer.actor
        said = {name: form.one(name) for name in ("comment", "minutes", "severity", "policy", "channel")}
        match action:
            case Action.ACKNOWLEDGE:
                return self._deeds.acknowledge(by)
            case Action.UNACKNOWLEDGE:
                return self._deeds.unacknowledge(by)
            case Action.RESOLVE:
                return self._deeds.resolve(said, by)
            case Action.ESCALATE:
                return self._deeds.escalate(by)
            case Action.SNOOZE:
                return self._deeds.snooze(self._minutes(form), by)
            case Action.SEVERITY:
                return self._deeds.set_severity(said, by)
            case Action.ROUTE:
                return self._deeds.route(self._deeds.route_of(said), by)

    def _minutes(self, form: Form) -> Mapping[str, Any]:
        """So many, or until the time interval that is named begins."""
        name = form.one("until")
        if not name:
            return {"minutes": form.one("minutes")}
        now_ms = self._clock.now_ms()
        opens_at_ms = choices.opens_at_ms(self._config, name, now_ms)
        if opens_at_ms is None or opens_at_ms <= now_ms:
            raise web.HTTPBadRequest(text="no time interval of that name begins later")
        return {"minutes": (opens_at_ms - now_ms) / 60_000}

    def _said(self, action: Action | None, incident: Incident, viewer: Viewer, form: Form, *, is_changed: bool) -> str:
        if action is None:
            return "Comment kept" if is_changed else "That was said a moment ago"
        if is_changed or (action is Action.ACKNOWLEDGE and incident.is_renewable):
            return f"{_DONE[action]}: {cut(' '.join(incident.title.split()), SAID_TITLE_MAX)}"
        why = self._deeds.why_not_escalated(incident) if action is Action.ESCALATE else ""
        if action is Action.ROUTE:
            why = self._deeds.why_not_routed(incident, self._deeds.route_of({it: form.one(it) for it in _ROUTE}))
        return f"Nothing was changed: {why}" if why else self._standing.how_it_stands(action, incident, viewer.actor)

    async def _some(self, request: web.Request, form: Form, decide: Decision, done: str) -> web.Response:
        ids = [IncidentId(it) for it in dict.fromkeys(form.all("id")) if not is_heartbeat(IncidentId(it))]
        return await self._many(request, form, ids, decide, done)

    async def _many(
        self, request: web.Request, form: Form, ids: Sequence[IncidentId], decide: Decision, done: str
    ) -> web.Response:
        number = 0
        for start in range(0, len(ids), TOGETHER):
            acts = (self._is_changed(it, decide) for it in ids[start : start + TOGETHER])
            for it in await asyncio.gather(*acts, return_exceptions=True):  # none goes on after the answer
                if isinstance(it, BaseException):
                    raise it
                number += it
        rest = len(ids) - number
        unchanged = f"; {counted(rest, 'other')} as they were" if rest else ""
        text = f"{counted(number, 'incident')} {done}{unchanged}" if ids else "No incident was selected"
        return self._back(request, form, text)

    async def _is_changed(self, incident_id: IncidentId, decide: Decision) -> bool:
        """False also for one that is gone, or cannot be read: the others are acted on."""
        try:
            return (await self._lifecycle.act(incident_id, decide))[1]
        except Unreadable as exc:
            log.error("incident.unreadable", incident=incident_id, error=str(exc))  # noqa: TRY400
            return False

    def _back(self, request: web.Request, form: Form, text: str) -> web.Response:
        """To Now, with the filter that it had, to Failed, or to the incident."""
        if form.one("back") == "failed":
            return say(request, see_other(request, "/failed"), text)
        query = form.one("q")[:QUERY_MAX]
        now = f"/?{urlencode({'q': query})}" if query else "/"
        is_about_one = "id" in request.match_info and form.one("back") != "now"
        return say(request, see_other(request, f"/incidents/{_id(request)}" if is_about_one else now), text)


_ROUTE = ("policy", "channel")


def _id(request: web.Request) -> IncidentId:
    incident_id = IncidentId(request.match_info["id"])
    if is_heartbeat(incident_id):
        raise web.HTTPNotFound(text="No such incident: it is a heartbeat.")
    return incident_id


class _Plain:
    """No markup."""

    def bold(self, text: str) -> str:
        return text

    def link(self, url: str, label: str) -> str:  # noqa: ARG002 - the page has it
        return label

    def date(self, at_ms: int) -> str:
        return f"at {utc(at_ms)}"
