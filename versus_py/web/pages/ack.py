"""The page behind the link that acknowledges: a GET looks, a POST acknowledges."""

from collections.abc import Sequence
from typing import Any

import structlog
from aiohttp import web

from versus_py.ack_links import AckLinks, Verdict
from versus_py.engine.lifecycle import AFTER_A_LOSS, NOT_READ, Lifecycle
from versus_py.errors import Unreadable
from versus_py.incidents.model import Actor, Incident, IncidentId, Status
from versus_py.incidents.overview import overview
from versus_py.store import Store
from versus_py.targets import Called
from versus_py.web.answers import json_answer
from versus_py.web.api.views import LINES, rfc3339, utc
from versus_py.web.pages.rendering import pages

log = structlog.get_logger()

BY_LINK = Actor("the ACK link")


class AckPage:
    """The handlers of /api/ack/<id>.

    *restricted_by* are the titles of channels where only some may act: who opens a link is not known, so with any of
    them nobody acts by one, however old it is.
    """

    def __init__(
        self, links: AckLinks, store: Store, lifecycle: Lifecycle, *, called: Called, restricted_by: Sequence[str]
    ) -> None:
        self._links = links
        self._store = store
        self._lifecycle = lifecycle
        self._called = called
        self._restricted_by = restricted_by

    async def get(self, request: web.Request) -> web.Response:
        """Changes nothing: scanners open links, and run the scripts of the page. The page has a button that posts."""
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        try:
            incident = await self._store.get(_id(request))
        except Unreadable as exc:
            return _unreadable(request, exc)
        if incident is None:
            return await self._unknown(request)
        if incident.status is Status.TRIGGERED:
            return _answer(request, 200, incident, "Acknowledge this incident?", "", asks="Acknowledge")
        asks = "Renew acknowledgment" if incident.is_renewable else ""
        return _answer(request, 200, incident, *_standing(incident, self._called), asks=asks)

    async def post(self, request: web.Request) -> web.Response:
        """201 the first time, 200 after: then it renews an acknowledgment that ends."""
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        try:
            incident, is_first = await self._lifecycle.acknowledge(_id(request), BY_LINK)
        except Unreadable as exc:
            return _unreadable(request, exc)
        if incident is None:
            return await self._unknown(request)
        if is_first:
            return _answer(request, 201, incident, "Acknowledged", _acknowledged(incident, self._called))
        if incident.ack_ends_at_ms is not None:
            return _answer(request, 200, incident, "Acknowledgment renewed", _acknowledged(incident, self._called))
        return _answer(request, 200, incident, *_standing(incident, self._called))

    async def _unknown(self, request: web.Request) -> web.Response:
        lost_at_ms = await self._lifecycle.lost_at_ms(_id(request))
        if lost_at_ms is None:
            return _answer(request, 404, None, "No such incident", "It is over, and its time to be kept too.")
        text = f"Redis lost its data at {utc(lost_at_ms)}. {AFTER_A_LOSS}"
        return _answer(request, 404, None, "No such incident any more", text)

    def _refusal(self, request: web.Request) -> web.Response | None:
        expires_s, signature = request.query.get("exp", ""), request.query.get("sig", "")
        match self._links.check(_id(request), expires_s, signature):
            case Verdict.VALID if self._restricted_by:
                text = "Only some people may do that here, and a link does not tell who opens it. "
                how = f"Use the buttons in {' or '.join(self._restricted_by)}, the API, or: versus incidents ack"
                return _answer(request, 403, None, "Links do not acknowledge here", text + how)
            case Verdict.VALID:
                return None
            case Verdict.EXPIRED:
                text = "It is too old. Acknowledge with the newest message, or with: versus incidents ack"
                return _answer(request, 403, None, "This link has expired", text)
            case Verdict.INVALID:
                text = "This server did not sign it for this incident. "
                how = "Acknowledge with the newest message, or with: versus incidents ack"
                return _answer(request, 401, None, "This link is not valid", text + how)


def _id(request: web.Request) -> IncidentId:
    return IncidentId(request.match_info["id"])


def _unreadable(request: web.Request, exc: Unreadable) -> web.Response:
    log.error("request.unreadable", path=request.path, error=str(exc))
    return _answer(request, 503, None, "Nothing was changed", NOT_READ)


def _standing(incident: Incident, called: Called) -> tuple[str, str]:
    """Headline and sentence for an incident that somebody has, or that is over."""
    if incident.status is Status.RESOLVED:
        return "Already resolved", f"By {incident.resolved_by}, {utc(incident.resolved_at_ms)}. {_record(incident)}"
    return "Already acknowledged", _acknowledged(incident, called)


def _acknowledged(incident: Incident, called: Called) -> str:
    """By whom, when, and what it means."""
    return f"By {incident.acknowledged_by}, {utc(incident.acknowledged_at_ms)}. {_consequence(incident, called)}"


def _consequence(incident: Incident, called: Called) -> str:
    """What the acknowledgment means for the escalation: whether it came first was decided when it was saved."""
    if incident.policy.count <= 1 and not incident.providers:
        return "This incident does not escalate."
    fallback = incident.policy.fallback
    never = {*incident.told, *(fallback.targets if fallback else ())}
    spared = [target for target in incident.policy.targets if target not in never]
    name = ", ".join(map(called, spared or incident.later_targets[:1]))
    ends_at_ms = incident.ack_ends_at_ms
    if spared and ends_at_ms is not None:
        return f"{name} will not be called before {utc(ends_at_ms)}. If it still fires then, the wait starts again."
    if spared:
        return f"{name} will not be called."
    if incident.record.label:
        return _record(incident)
    return f"The wait was already over: the escalation to {name} had begun, and may still create a record."


def _record(incident: Incident) -> str:
    label = incident.record.label
    return f"It had been escalated as {label}." if label else ""


def _answer(
    request: web.Request,
    status: int,
    incident: Incident | None,
    headline: str,
    text: str,
    *,
    asks: str = "",
) -> web.Response:
    """A page for browsers, JSON for everything else. What it *asks* is on its button, which posts to the same link."""
    if "text/html" in request.headers.get("Accept", ""):
        page = pages.get_template("ack.html").render(
            incident=incident,
            shown=None if incident is None else overview(incident, lines=LINES),
            pages={} if incident is None else _links(incident),
            headline=headline,
            text=text.strip(),
            asks=asks,
        )
        return web.Response(text=page, status=status, content_type="text/html")
    if incident is None:
        return json_answer({"error": f"{headline}. {text}"}, status)
    data: dict[str, Any] = {
        "id": incident.id,
        "status": incident.status,
        "acknowledged_by": incident.acknowledged_by and incident.acknowledged_by.name,
        "acknowledged_at": rfc3339(incident.acknowledged_at_ms),
        "record": incident.record.label or None,
        "message": _message(incident, headline, text, asks),
    }
    return json_answer(data, status)


def _links(incident: Incident) -> dict[str, str]:
    """Where to look further: runbook, dashboard, the alert's own page, and its channels, which is the way back."""
    shown = overview(incident, lines=1)
    pages = {incident.source: incident.url, "Source": shown.url, **shown.links}
    channels = {it.url for name, it in incident.deliveries.items() if name not in incident.providers}
    back = {f"Back to the channel{f' ({at})' if at > 1 else ''}": url for at, url in enumerate(sorted(channels), 1)}
    return {name: url for name, url in (pages | back).items() if url.startswith(("https://", "http://"))}


def _message(incident: Incident, headline: str, text: str, asks: str) -> str:
    if incident.status is Status.TRIGGERED and asks:
        return "POST to this URL to acknowledge"
    said = f"{headline}. {text}".strip()
    return f"{said} POST to this URL to renew the acknowledgment" if asks else said
