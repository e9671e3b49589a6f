"""Opsgenie's Alert API, and that of Jira Service Management, for senders of which only the host is changed.

Answers: docs.opsgenie.com, "Alert API"; developer.atlassian.com, "Jira Service Management ops, integration events".
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Any
from uuid import uuid4

import structlog
from aiohttp import web

from versus_py.clock import Clock
from versus_py.engine.lifecycle import Accepted, Refused
from versus_py.errors import StoreUnavailable
from versus_py.incidents.model import IncidentId
from versus_py.sources import fields, opsgenie
from versus_py.store import Store
from versus_py.web.answers import Failure, json_answer
from versus_py.web.api.views import rfc3339
from versus_py.web.intake.contents import Contents, raise_unless_done, read_one
from versus_py.web.intake.foreign import Handler, with_errors_as
from versus_py.web.intake.intake import Intake
from versus_py.web.intake.senders import Sender

log = structlog.get_logger()

BASES = ("", "/jsm/ops/integration")
"""What comes before /v2/alerts: of Opsgenie nothing, of Jira Service Management this."""

KEEP_TIMEOUT_S = 1.0
"""How long the result of a request may take to be kept: what the request asked for is done by then."""

_DONE = {
    opsgenie.CREATE: "Created alert",
    opsgenie.ACKNOWLEDGE: "Acknowledged alert",
    opsgenie.CLOSE: "Closed alert",
    opsgenie.ADD_NOTE: "Added note",
    opsgenie.UPDATE_MESSAGE: "Updated message",
    opsgenie.UPDATE_DESCRIPTION: "Updated description",
}
_NEEDED = {
    opsgenie.CREATE: "message",
    opsgenie.ADD_NOTE: "note",
    opsgenie.UPDATE_MESSAGE: "message",
    opsgenie.UPDATE_DESCRIPTION: "description",
}
"""The field that the body has to have, by the action."""


class Opsgenie:
    """The addresses of alerts."""

    def __init__(self, intake: Intake, store: Store, clock: Clock) -> None:
        self._intake = intake
        self._store = store
        self._clock = clock

    def routes(self) -> list[web.RouteDef]:
        return [route for base in BASES for route in self._routes(f"{base}/v2/alerts")]

    def _routes(self, path: str) -> list[web.RouteDef]:
        one = f"{path}/{{id}}"
        return [
            web.post(path, _handler(partial(self._act, opsgenie.CREATE))),
            web.post(f"{one}/acknowledge", _handler(partial(self._act, opsgenie.ACKNOWLEDGE))),
            web.post(f"{one}/close", _handler(partial(self._act, opsgenie.CLOSE))),
            web.post(f"{one}/notes", _handler(partial(self._act, opsgenie.ADD_NOTE))),
            web.put(f"{one}/message", _handler(partial(self._act, opsgenie.UPDATE_MESSAGE))),
            web.put(f"{one}/description", _handler(partial(self._act, opsgenie.UPDATE_DESCRIPTION))),
            web.get(f"{path}/requests/{{id}}", _handler(self._result), allow_head=False),
        ]

    async def _act(self, action: str, request: web.Request) -> web.Response:
        """202 with the id of the request when it is written down, whether or not there is such an alert."""
        sender = self._intake.identify(request)
        alias = "" if action == opsgenie.CREATE else await self._alias(request, sender)
        read = partial(_read, action, alias)
        taken = await self._intake.take(request, read, sender=sender, ignoring=("identifierType",))
        raise_unless_done(taken)
        request_id = str(uuid4())
        [asked] = taken.contents.payloads
        result = self._result_of(action, asked["alias"], next(iter(taken.results), None))
        with suppress(StoreUnavailable, TimeoutError):  # what was asked for is done, and this is only told who asks
            async with asyncio.timeout(KEEP_TIMEOUT_S):
                await self._store.sender_requests.keep(request_id, {"sender": sender.name, "data": result})
        return json_answer({"result": "Request will be processed", "took": 0.0, "requestId": request_id}, 202)

    async def _result(self, request: web.Request) -> web.Response:
        """What became of a request of the same sender."""
        sender, request_id = self._intake.identify(request), request.match_info["id"]
        kept = await self._store.sender_requests.find(request_id)
        if kept is None or kept["sender"] != sender.name:
            raise web.HTTPNotFound(text="Request not found. It might not be processed, yet.")
        return json_answer({"data": kept["data"], "took": 0.0, "requestId": request_id})

    async def _alias(self, request: web.Request, sender: Sender) -> str:
        """The alias of the alert that the address names; one that nothing has, where it names none of the sender's."""
        name, kind = request.match_info["id"], request.query.get("identifierType", "id")
        match kind:
            case "alias":
                return name
            case "id":
                incident = await self._store.get(IncidentId(name))
                is_known = incident is not None and incident.source == opsgenie.NAME and incident.sender == sender.name
                return incident.alerts[0].fingerprint if incident and is_known and incident.alerts else f"id {name}"
            case _:
                raise web.HTTPUnprocessableEntity(text=f"identifierType is {kind[:50]!r}; allowed: alias, id")

    def _result_of(self, action: str, alias: str, done: Accepted | Refused | None) -> Mapping[str, Any]:
        incident = done.incident if isinstance(done, Accepted) else None
        is_success = incident is not None
        return {
            "success": is_success,
            "isSuccess": is_success,
            "action": action,
            "status": _DONE[action] if is_success else "Alert does not exist",
            "processedAt": rfc3339(self._clock.now_ms()),
            "alertId": incident.id if incident else "",
            "alias": alias,
        }


def _handler(handler: Handler) -> Handler:
    return with_errors_as(_error, handler)


def _read(action: str, alias: str, body: bytes) -> Contents:
    """The body with what its address says. It may be empty where nothing has to be in it."""
    found = read_one(body if body.strip() else b"{}")
    needed = _NEEDED.get(action)
    if needed is not None and not fields.text(found.get(needed)):
        raise web.HTTPUnprocessableEntity(text=f"{needed} is missing or blank")
    alias = alias or fields.text(found.get("alias")) or str(uuid4())
    return Contents([{**found, "action": action, "alias": alias}])


def _error(failure: Failure) -> web.Response:
    said = {"message": failure.message, "took": 0.0, "requestId": str(uuid4())}
    return json_answer(said, failure.status, failure.headers)
