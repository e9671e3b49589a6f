"""The page behind the link that acknowledges: a GET looks, a POST acknowledges."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import structlog
from aiohttp import web

from versus_py.ack_links import PATH, AckLinks, Verdict
from versus_py.engine.lifecycle import AFTER_A_LOSS, NOT_READ, Lifecycle
from versus_py.errors import Unreadable
from versus_py.incidents.model import Incident, IncidentId, Status
from versus_py.store import Store
from versus_py.targets import Called
from versus_py.web.answers import json_answer
from versus_py.web.api.views import rfc3339, utc
from versus_py.web.pages.ack_view import ack_view
from versus_py.web.pages.forms import Form, read_form
from versus_py.web.pages.linked import FIELDS_MAX, actor_of, refusal, refusing, render_linked, takes_html

log = structlog.get_logger()

_FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class _Said:
    """A headline and a sentence. *asks* is what the button says, which posts to the same link; "": no button."""

    headline: str
    text: str = ""
    asks: str = ""
    short: str = ""  # of *text*, what matters to who has pressed
    is_done: bool = False  # by this request


class AckPage:
    """The handlers of /api/ack/<id>.

    *restricted_by* are the titles of channels where only some may act: who opens a link is not known, so with any of
    them nobody acts by one, however old it is. *known_name* tells the name that a browser keeps.
    """

    def __init__(
        self,
        links: AckLinks,
        store: Store,
        lifecycle: Lifecycle,
        *,
        called: Called,
        restricted_by: Sequence[str],
        known_name: Callable[[web.Request], str],
    ) -> None:
        self._links = links
        self._store = store
        self._lifecycle = lifecycle
        self._called = called
        self._restricted_by = restricted_by
        self._known_name = known_name

    def routes(self) -> list[web.RouteDef]:
        path = f"{PATH}/{{id}}"
        return [web.get(path, refusing(self.get), allow_head=False), web.post(path, refusing(self.post))]

    async def get(self, request: web.Request) -> web.Response:
        """Changes nothing: scanners open links, and run the scripts of the page. The page has a button that posts."""
        refused = self._refusal(request)
        if refused is not None:
            return refused
        try:
            incident = await self._store.get(_id(request))
        except Unreadable as exc:
            return _unreadable(request, exc)
        if incident is None:
            return await self._unknown(request)
        return await self._answer(request, 200, incident, self._asked(incident))

    async def post(self, request: web.Request) -> web.Response:
        """201 the first time, 200 after: then it renews an acknowledgment that ends."""
        refused = self._refusal(request)
        if refused is not None:
            return refused
        by = actor_of(await _form(request))
        try:
            incident, is_first = await self._lifecycle.acknowledge(_id(request), by)
        except Unreadable as exc:
            return _unreadable(request, exc)
        if incident is None:
            return await self._unknown(request)
        if is_first:
            said = self._done("Acknowledged", incident)
        elif incident.ack_ends_at_ms is not None:
            said = self._done("Acknowledgment renewed", incident)
        else:
            said = _standing(incident, self._called)
        return await self._answer(request, 201 if is_first else 200, incident, said)

    def _asked(self, incident: Incident) -> _Said:
        """How it stands, and what the button does."""
        if incident.status is Status.TRIGGERED:
            return _Said("Not acknowledged yet", asks="Acknowledge")
        return _standing(incident, self._called, asks="Renew acknowledgment" if incident.is_renewable else "")

    def _done(self, headline: str, incident: Incident) -> _Said:
        short = _consequence(incident, self._called)
        return _Said(headline, _acknowledged(incident, self._called), short=short, is_done=True)

    async def _answer(self, request: web.Request, status: int, incident: Incident, said: _Said) -> web.Response:
        """A page for browsers, JSON for everything else."""
        if not takes_html(request):
            return json_answer(_as_json(incident, said), status)
        return render_linked(
            request,
            "ack.html",
            status=status,
            title=f"{said.headline}: {incident.title}",
            it=ack_view(incident, await self._store.timeline(incident.id), self._called),
            said=said,
            name=self._known_name(request),
        )

    async def _unknown(self, request: web.Request) -> web.Response:
        lost_at_ms = await self._lifecycle.lost_at_ms(_id(request))
        if lost_at_ms is None:
            return _refused(request, 404, "No such incident", "It is over, and its time to be kept too.")
        text = f"Redis lost its data at {utc(lost_at_ms)}. {AFTER_A_LOSS}"
        return _refused(request, 404, "No such incident any more", text)

    def _refusal(self, request: web.Request) -> web.Response | None:
        expires_s, signature = request.query.get("exp", ""), request.query.get("sig", "")
        match self._links.check(_id(request), expires_s, signature):
            case Verdict.VALID if self._restricted_by:
                text = "Only some people may do that here, and a link does not tell who opens it. "
                how = f"Use the buttons in {' or '.join(self._restricted_by)}, the API, or: versus incidents ack"
                return _refused(request, 403, "Links do not acknowledge here", text + how)
            case Verdict.VALID:
                return None
            case Verdict.EXPIRED:
                text = "It is too old. Acknowledge with the newest message, or with: versus incidents ack"
                return _refused(request, 403, "This link has expired", text)
            case Verdict.INVALID:
                text = "This server did not sign it for this incident. "
                how = "Acknowledge with the newest message, or with: versus incidents ack"
                return _refused(request, 401, "This link is not valid", text + how)


def _id(request: web.Request) -> IncidentId:
    return IncidentId(request.match_info["id"])


def _unreadable(request: web.Request, exc: Unreadable) -> web.Response:
    log.error("request.unreadable", path=request.path, error=str(exc))
    return _refused(request, 503, "Nothing was changed", NOT_READ)


async def _form(request: web.Request) -> Form:
    """What was filled in. A body that is no form acknowledges as well: programs send what they like."""
    if request.content_type != _FORM:
        return Form()
    with suppress(web.HTTPBadRequest):
        return await read_form(request, fields_max=FIELDS_MAX)
    return Form()


def _standing(incident: Incident, called: Called, *, asks: str = "") -> _Said:
    """What is said of an incident that somebody has, or that is over."""
    if incident.status is Status.RESOLVED:
        text = f"By {incident.resolved_by}, {utc(incident.resolved_at_ms)}. {_record(incident)}"
        return _Said("Already resolved", text.strip(), asks)
    return _Said("Already acknowledged", _acknowledged(incident, called).strip(), asks)


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


def _refused(request: web.Request, status: int, headline: str, text: str) -> web.Response:
    if takes_html(request):
        return refusal(request, status, headline, text)
    return json_answer({"error": f"{headline}. {text}"}, status)


def _as_json(incident: Incident, said: _Said) -> dict[str, Any]:
    return {
        "id": incident.id,
        "status": incident.status,
        "acknowledged_by": incident.acknowledged_by and incident.acknowledged_by.name,
        "acknowledged_at": rfc3339(incident.acknowledged_at_ms),
        "record": incident.record.label or None,
        "message": _message(incident, said),
    }


def _message(incident: Incident, said: _Said) -> str:
    if incident.status is Status.TRIGGERED and said.asks:
        return "POST to this URL to acknowledge"
    text = f"{said.headline}. {said.text}".strip()
    return f"{text} POST to this URL to renew the acknowledgment" if said.asks else text
