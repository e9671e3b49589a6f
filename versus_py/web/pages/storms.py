"""The page behind the link of a storm's message: its incidents, and a way to acknowledge each, or all."""

from collections.abc import Sequence

from aiohttp import web

from versus_py.ack_links import AckLinks, Verdict, storm_subject
from versus_py.engine.storms import StormAcknowledgment
from versus_py.incidents.model import Actor, Incident, Status
from versus_py.incidents.severity import severity_rank
from versus_py.store import Member, Store, Storms
from versus_py.web.pages.ack import BY_LINK
from versus_py.web.pages.forms import read_form
from versus_py.web.pages.rendering import pages
from versus_py.web.pages.ui.viewer import clean_name

SHOWN_MAX = 500
"""The most incidents on the page; the API lists them all."""

FIELDS_MAX = 5

ACKNOWLEDGE_WITHIN_S = 10.0
"""After so long, a request acknowledges no more: the page says how many are left."""


class StormPage:
    """The handlers of /api/storms/<place>/<id>. A GET changes nothing: a POST acknowledges what needs somebody."""

    def __init__(
        self, links: AckLinks, store: Store, storms: Storms, acknowledgment: StormAcknowledgment, *, has_ack_links: bool
    ) -> None:
        self._links = links
        self._store = store
        self._storms = storms
        self._acknowledgment = acknowledgment
        self._has_ack_links = has_ack_links

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
        by = _by((await read_form(request, fields_max=FIELDS_MAX)).one("name"))
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
        rows = [(incident, self._ack_url(incident)) for incident in found]
        text = pages.get_template("storm.html").render(
            storm=storm,
            status=_worst(found),
            rows=rows,
            left_out=len(members) - len(rows),
            has_ack_links=self._has_ack_links,
            waiting=sum(it.status is Status.TRIGGERED for it in found),
            done=done,
        )
        return web.Response(text=text, content_type="text/html")

    def _ack_url(self, incident: Incident) -> str | None:
        is_offered = incident.status is Status.TRIGGERED and self._has_ack_links
        return self._links.url(incident) if is_offered else None


def _worst(incidents: Sequence[Incident]) -> Status:
    """Where those stand that need somebody most: the page has their colour."""
    found = {incident.status for incident in incidents}
    return next((status for status in Status if status in found), Status.RESOLVED)


def _urgency(member: Member) -> tuple[bool, int]:
    return not member.is_waiting, severity_rank(member.severity)


def _named(request: web.Request) -> tuple[str, str]:
    return request.match_info["place"], request.match_info["id"]


def _by(said: str) -> Actor:
    """Who says to act: nobody checks that, so that the link is named too."""
    name = clean_name(said)
    return Actor(f"{name}, by {BY_LINK.name}") if name else BY_LINK
