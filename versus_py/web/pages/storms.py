"""The page behind the link of a storm's message: its incidents, and a way to acknowledge each."""

from collections.abc import Sequence

from aiohttp import web
from jinja2 import Environment, PackageLoader, select_autoescape

from versus_py.ack_links import AckLinks, Verdict, storm_subject
from versus_py.incidents.model import Incident, Status
from versus_py.incidents.severity import severity_rank
from versus_py.store import Store, Storms
from versus_py.web.api.views import utc

SHOWN_MAX = 500
"""The most incidents on the page; the API lists them all."""

_pages = Environment(loader=PackageLoader("versus_py.web.pages"), autoescape=select_autoescape(default=True))
_pages.filters["utc"] = utc


class StormPage:
    """The handler of /api/storms/<place>/<id>. Changes nothing: each incident's link leads to its own page."""

    def __init__(self, links: AckLinks, store: Store, storms: Storms, *, has_ack_links: bool) -> None:
        self._links = links
        self._store = store
        self._storms = storms
        self._has_ack_links = has_ack_links

    async def get(self, request: web.Request) -> web.Response:
        """The incidents that still need somebody first, the worst of them at the top."""
        place, storm_id = request.match_info["place"], request.match_info["id"]
        expires_s, signature = request.query.get("exp", ""), request.query.get("sig", "")
        match self._links.check(storm_subject(place, storm_id), expires_s, signature):
            case Verdict.EXPIRED:
                raise web.HTTPForbidden(text="this link has expired")
            case Verdict.INVALID:
                raise web.HTTPUnauthorized(text="this link is not one that this server signed for this storm")
            case Verdict.VALID:
                pass
        storm = await self._storms.get(place, storm_id)
        if storm is None:
            raise web.HTTPNotFound(text="no such storm: it is over, and its time to be kept too")
        members = sorted(storm.members, key=lambda it: _urgency(storm.members[it].standing, storm.members[it].severity))
        found = [it for it in await self._store.get_readable(members[:SHOWN_MAX]) if it is not None]
        rows = [(incident, self._ack_url(incident)) for incident in found]
        text = _pages.get_template("storm.html").render(
            storm=storm,
            status=_worst(found),
            rows=rows,
            left_out=len(members) - len(rows),
            has_ack_links=self._has_ack_links,
        )
        return web.Response(text=text, content_type="text/html")

    def _ack_url(self, incident: Incident) -> str | None:
        is_offered = incident.status is Status.TRIGGERED and self._has_ack_links
        return self._links.url(incident) if is_offered else None


def _worst(incidents: Sequence[Incident]) -> Status:
    """Where those stand that need somebody most: the page has their colour."""
    found = {incident.status for incident in incidents}
    return next((status for status in Status if status in found), Status.RESOLVED)


def _urgency(standing: str, severity: str) -> tuple[bool, int]:
    return standing in {Status.ACKNOWLEDGED, Status.RESOLVED}, severity_rank(severity)
