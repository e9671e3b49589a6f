"""POST /v2/enqueue: PagerDuty's Events API v2, for senders of which only the host is changed.

Answers: developer.pagerduty.com, "Events API v2", response codes.
"""

from http import HTTPStatus
from typing import Any
from uuid import uuid4

from aiohttp import web

from versus_py.sources import fields
from versus_py.sources.pagerduty import ACTIONS
from versus_py.web.answers import Failure, json_answer
from versus_py.web.intake.contents import Contents, raise_unless_done, read_one
from versus_py.web.intake.foreign import TOO_MANY_REQUESTS, with_errors_as
from versus_py.web.intake.intake import Intake
from versus_py.web.intake.reading import Payload

PATH = "/v2/enqueue"
ROUTING_KEY = "X-Routing-Key"

_RETRIED_FROM = 500
_KEPT = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, TOO_MANY_REQUESTS}
"""Beside those that are tried again, everything else is 400 there."""


class PagerDuty:
    """The address of events."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    def routes(self) -> list[web.RouteDef]:
        return [web.post(PATH, with_errors_as(_error, self._enqueue))]

    async def _enqueue(self, request: web.Request) -> web.Response:
        """202 with the event's dedup_key, which is made where it has none, when it is written down."""
        in_head = request.headers.get(ROUTING_KEY, "")
        is_in_head = bool(in_head) or "Authorization" in request.headers
        sender = self._intake.identify(request, in_head) if is_in_head else None
        taken = await self._intake.take(request, _read, sender=sender)
        raise_unless_done(taken)
        [event] = taken.contents.payloads
        return json_answer({"status": "success", "message": "Event processed", "dedup_key": event["dedup_key"]}, 202)


def _read(body: bytes) -> Contents:
    event = read_one(body)
    action, key = fields.text(event.get("event_action")), fields.text(event.get("dedup_key"))
    if wrong := _wrong(event, action, key):
        raise web.HTTPBadRequest(text=wrong)
    return Contents([{**event, "dedup_key": key or uuid4().hex}], key=fields.text(event.get("routing_key")))


def _wrong(event: Payload, action: str, key: str) -> str:
    """What PagerDuty too would refuse; "" for an event that says what it is about."""
    payload: Any = event.get("payload")
    summary = fields.text(payload.get("summary")) if isinstance(payload, dict) else ""
    if action not in ACTIONS:
        return f"'event_action' is {action[:50]!r}; allowed: {', '.join(ACTIONS)}"
    if action == "trigger":
        return "" if summary else "'payload.summary' is missing or blank"
    return "" if key else f"'dedup_key' is missing or blank, so the event does not say what to {action}"


def _error(failure: Failure) -> web.Response:
    if failure.status >= _RETRIED_FROM or failure.status in _KEPT:
        status = "throttle exceeded" if failure.status == TOO_MANY_REQUESTS else "error"
        return json_answer({"status": status, "message": failure.message}, failure.status, failure.headers)
    said = {"status": "invalid event", "message": "Event object is invalid", "errors": [failure.message]}
    return json_answer(said, HTTPStatus.BAD_REQUEST)
