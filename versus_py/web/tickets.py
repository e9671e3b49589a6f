"""Tickets come in, at POST /api/servicenow/events and the like, and are answered once they are written down."""

from collections.abc import Awaitable, Callable
from typing import NoReturn

import structlog
from aiohttp import web

from versus_py.clock import Clock
from versus_py.config import Config
from versus_py.engine.lifecycle import Accepted
from versus_py.errors import BadPayload
from versus_py.incidents.model import Outcome
from versus_py.incidents.redaction import redacted
from versus_py.incidents.sides import Ticket
from versus_py.store.journal import Journal
from versus_py.targets.feed import BODY_MAX_BYTES, Feed, FeedSource
from versus_py.telemetry.metrics import Metrics
from versus_py.telemetry.throttled import ThrottledLog
from versus_py.web.accepting import (
    BODY_TIMEOUT_S,
    LOGGED_BODY_MAX,
    answering_in_time,
    first_warnings,
    outcome_view,
)
from versus_py.web.answers import json_answer
from versus_py.web.intake.contents import too_large
from versus_py.web.intake.journalling import acceptance, body_digest
from versus_py.web.intake.overload import Arrivals, Pace, Slots
from versus_py.web.tokens import CHALLENGE, Tokens

log = structlog.get_logger()

_NAME_MAX = 40

Take = Callable[[Ticket], Awaitable[Accepted]]
"""Has a ticket written down. Raises BadPayload for one that is not to be taken, and StoreUnavailable."""


def paths(events_path: str) -> tuple[str, str]:
    """The routes of a system: that of its main instance, and those of the others."""
    return events_path, f"{events_path}/{{instance}}"


class TicketDoor:
    """The routes of *system*, such as `servicenow`. Nothing but Redis is called while a sender waits."""

    def __init__(
        self,
        system: str,
        title: str,
        feed: Feed,
        take: Take,
        *,
        config: Config,
        clock: Clock,
        metrics: Metrics,
        journal: Journal | None = None,
    ) -> None:
        self._system = system
        self._title = title
        self._feed = feed
        self._take = take
        self._is_logged = config.alert.debug_body
        self._clock = clock
        self._metrics = metrics
        self._journal = journal
        self._tokens = {name: Tokens(feed.tokens(name)) for name in feed.instances}
        self._pace = Pace(config.intake, clock)
        self._arrivals = Arrivals()
        self._slots = Slots(config.intake, clock)
        self._strangers = ThrottledLog("intake.sender_refused", clock.now_ms)
        self._refusals = ThrottledLog("intake.refused", clock.now_ms)
        for outcome in Outcome:
            metrics.notifications_accepted.labels(system, outcome)

    async def post(self, request: web.Request) -> web.Response:
        """201 when the ticket is written down; 503 when it was not, and the sender should try again."""
        source = self._identify(request)
        self._pace.check(f"{self._system}\n{source.instance}\n{source.name}", request.remote)
        try:
            body = await self._arrivals.read(request.clone(client_max_size=BODY_MAX_BYTES), within_s=BODY_TIMEOUT_S)
            async with self._slots.slot(request, len(body)):
                return await self._taken(request, source, body)
        except web.HTTPClientError as exc:
            # A business rule only logs what it is answered, if that: nobody else would ever say so.
            self._refuse(request, source, exc)

    def _identify(self, request: web.Request) -> FeedSource:
        """Whose token the request has. Raises 404 where none is set, and 401."""
        instance = request.match_info.get("instance", "")
        tokens = self._tokens.get(instance)
        if tokens is None:
            which = f"the instance {instance[:_NAME_MAX]!r}" if instance else "its main instance"
            raise web.HTTPNotFound(text=f"{self._title} sends no tickets here: no token is set for {which} (events)")
        authorization = request.headers.getall("Authorization", [])
        _, owners = tokens.shown_in(authorization[0]) if len(authorization) == 1 else (None, [])
        if not owners:
            self._strangers.note(remote=request.remote, system=self._system)
            raise web.HTTPUnauthorized(
                text=self._advice(bool(authorization), instance),
                headers=CHALLENGE,
            )
        return owners[0]

    def _advice(self, is_sent: bool, instance: str) -> str:
        what = "the token is wrong" if is_sent else "the request has no header Authorization"
        setting = f"oncall.{self._system}.{f'other_instance_urls.{instance}.' if instance else ''}events"
        return (
            f"{what}: send that of {setting} (token, or a token of sources) as Authorization: Bearer <token>, "
            "or as the password of Basic"
        )

    def _refuse(self, request: web.Request, source: FeedSource, exc: web.HTTPClientError) -> NoReturn:
        if isinstance(exc, web.HTTPRequestEntityTooLarge):
            exc = too_large(BODY_MAX_BYTES, f"the body is larger than {BODY_MAX_BYTES} bytes; send one ticket")
        self._refusals.note(remote=request.remote, sender=self._named(source), status=exc.status, error=exc.text)
        raise exc from None

    def _named(self, source: FeedSource) -> str:
        """For the log."""
        return "/".join(filter(None, (self._system, source.instance, source.name)))

    async def _taken(self, request: web.Request, source: FeedSource, body: bytes) -> web.Response:
        if self._is_logged:
            shown = redacted(body[:LOGGED_BODY_MAX].decode(errors="replace"))
            log.info("tickets.body", sender=self._named(source), body=shown)
        try:
            ticket = self._feed.read(source, body)
            accepted = await self._written(ticket, body)
        except BadPayload as exc:
            raise web.HTTPBadRequest(text=str(exc)) from None
        warnings = first_warnings(tuple(ticket.warnings))
        for warning in warnings:
            log.warning("intake.warning", remote=request.remote, sender=self._named(source), warning=warning)
        self._metrics.notifications_accepted.labels(self._system, accepted.outcome).inc()
        log.info(
            "intake.accepted",
            outcome=accepted.outcome,
            incident=accepted.incident.id if accepted.incident else None,
            source=self._system,
            sender=self._named(source),
            ticket=ticket.number,
        )
        said = {"status": "Incident created", "incidents": [outcome_view(accepted)], "warnings": warnings}
        return json_answer(said, 201)

    async def _written(self, ticket: Ticket, body: bytes) -> Accepted:
        """In the journal too."""
        async with answering_in_time():
            accepted = await self._take(ticket)
            if self._journal is not None:
                line = acceptance(
                    accepted,
                    body_digest(body),
                    source=self._system,
                    dedup_key=ticket.dedup_key,
                    sender=ticket.sender,
                    at_ms=self._clock.now_ms(),
                )
                await self._journal.add([line])
            return accepted
