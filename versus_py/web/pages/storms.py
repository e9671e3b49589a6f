"""The page behind the link of a storm's message: its incidents, and a way to acknowledge each, or all."""

from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from versus_py.ack_links import STORM_PATH, AckLinks, Verdict, storm_subject
from versus_py.engine.storms import StormAcknowledgment
from versus_py.incidents.model import Incident, Status
from versus_py.incidents.severity import severity_rank
from versus_py.store import Member, Store, Storms
from versus_py.targets import Called
from versus_py.web.pages.forms import read_form
from versus_py.web.pages.linked import FIELDS_MAX, actor_of, refusing, render_linked
from versus_py.web.pages.ui.rows import Row, row_of

SHOWN_MAX = 500
"""The most incidents on the page; the API lists them all."""

ACKNOWLEDGE_WITHIN_S = 10.0
"""After so long, a request acknowledges no more: the page says how many are left."""


@dataclass(frozen=True, slots=True)
class _Shown:
    """An incident of the storm. *ack_url* leads to the page that acknowledges it, where that is offered."""

    row: Row
    is_waiting: bool
    resolved_by: str
    resolved_at_ms: int | None
    ack_url: str


class StormPage:
    """The handlers of /api/storms/<place>/<id>. A GET changes nothing: a POST acknowledges what needs somebody."""

    def __init__(
        self,
        links: AckLinks,
        store: Store,
        storms: Storms,
        acknowledgment: StormAcknowledgment,
        *,
        called: Called,
        has_ack_links: bool,
        known_name: Callable[[web.Request], str],
    ) -> None:
        self._links = links
        self._store = store
        self._storms = storms
        self._acknowledgment = acknowledgment
        self._called = called
        self._has_ack_links = has_ack_links
        self._known_name = known_name

    def routes(self) -> list[web.RouteDef]:
        path = f"{STORM_PATH}/{{place}}/{{id}}"
        return [web.get(path, refusing(self.get), allow_head=False), web.post(path, refusing(self.post))]

    async def get(self, request: web.Request) -> web.Response:
        """The incidents that still need somebody first, the worst of them at the top."""
        self._check(request)
        return await self._page(request)

    async def post(self, request: web.Request) -> web.Response:
        """The same page, with what was done and what was not. The same again goes on."""
        self._check(request)
        if not self._has_ack_links:
            raise web.HTTPForbidden(text="a link does not tell who opens it: acknowledge with versus incidents ack")
        place, storm_id = _named(request)
        by = actor_of(await read_form(request, fields_max=FIELDS_MAX))
        tally = await self._acknowledgment.acknowledge(place, storm_id, by, within_s=ACKNOWLEDGE_WITHIN_S)
        return await self._page(request, done="" if tally is None else tally.text())

    def _check(self, request: web.Request) -> None:
        place, storm_id = _named(request)
        expires_s, signature = request.query.get("exp", ""), request.query.get("sig", "")
        match self._links.check(storm_subject(place, storm_id), expires_s, signature):
            case Verdict.EXPIRED:
                raise web.HTTPForbidden(text="this link has expired")
            case Verdict.INVALID:
                raise web.HTTPUnauthorized(text="this link is not one that this server signed for this storm")
            case Verdict.VALID:
                pass

    async def _page(self, request: web.Request, done: str = "") -> web.Response:
        place, storm_id = _named(request)
        storm = await self._storms.get(place, storm_id)
        if storm is None:
            raise web.HTTPNotFound(text="no such storm: it is over, and its time to be kept too")
        members = sorted(storm.members, key=lambda it: _urgency(storm.members[it]))
        found = [it for it in await self._store.get_readable(members[:SHOWN_MAX]) if it is not None]
        shown = [self._shown(it) for it in found]
        waiting = [it for it in shown if it.is_waiting]
        return render_linked(
            request,
            "storm.html",
            title=f"Alert storm: {len(members)} incidents",
            storm=storm,
            waiting=waiting,
            others=[it for it in shown if not it.is_waiting],
            left_out=len(members) - len(shown),
            has_ack_links=self._has_ack_links,
            name=self._known_name(request),
            done=done,
        )

    def _shown(self, incident: Incident) -> _Shown:
        is_waiting = incident.status is Status.TRIGGERED
        by = "" if incident.resolved_by is None else incident.resolved_by.name
        url = self._links.url(incident) if is_waiting and self._has_ack_links else ""
        return _Shown(row_of(incident, self._called), is_waiting, by, incident.resolved_at_ms, url)


def _urgency(member: Member) -> tuple[bool, int]:
    return not member.is_waiting, severity_rank(member.severity)


def _named(request: web.Request) -> tuple[str, str]:
    return request.match_info["place"], request.match_info["id"]
