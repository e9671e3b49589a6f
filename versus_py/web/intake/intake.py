"""Payloads come in, at POST /api/incidents or another address, and are answered once they are written down."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import lru_cache, partial
from itertools import product
from typing import Any, TypeVar

import orjson
import structlog
from aiohttp import web
from multidict import MultiDict
from prometheus_client import Counter
from yarl import URL

from versus_py.clock import Clock
from versus_py.config import Config
from versus_py.engine.heartbeats import Heartbeats
from versus_py.engine.lifecycle import Accepted, Lifecycle, PartlyAccepted, Refused
from versus_py.engine.policies import Policies
from versus_py.errors import WrongAddress
from versus_py.incidents.heartbeats import Beat
from versus_py.incidents.model import Incident, IncidentId, Notification, Outcome
from versus_py.incidents.redaction import redacted
from versus_py.sources import SOURCES
from versus_py.store.journal import Journal
from versus_py.telemetry.metrics import Metrics
from versus_py.telemetry.throttled import ThrottledLog
from versus_py.web.accepting import (
    BODY_TIMEOUT_S,
    LOGGED_BODY_MAX,
    answering_in_time,
    first_warnings,
    outcome_view,
)
from versus_py.web.answers import RETRY_AFTER_S, json_answer
from versus_py.web.intake.contents import Contents, ReadContents, Taken, read_posted, too_large
from versus_py.web.intake.journalling import acceptances
from versus_py.web.intake.overload import Arrivals, Pace, Slots
from versus_py.web.intake.overrides import Overrides, read_overrides
from versus_py.web.intake.reading import Reader
from versus_py.web.intake.repeats import WAIT_S, Known, Repeats
from versus_py.web.intake.senders import Sender, Senders
from versus_py.web.intake.trust import Trust

log = structlog.get_logger()

T = TypeVar("T")


BEATS_WITHIN_S = 3.0
"""How long beats may take: less than a request, so that alerts that came with them are counted and logged."""

KNOWN_QUERIES_MAX = 256
"""Query strings of which it is remembered what they ask for."""

KNOWN_QUERY_MAX = 1000
"""The most characters of one that is worth being remembered."""


class Intake:
    """Accepts payloads. Nothing but Redis is called while a sender waits."""

    def __init__(
        self,
        config: Config,
        lifecycle: Lifecycle,
        trust: Trust,
        clock: Clock,
        metrics: Metrics,
        journal: Journal | None = None,
        *,
        heartbeats: Heartbeats,
    ) -> None:
        self._config = config
        self._lifecycle = lifecycle
        self._trust = trust
        self._clock = clock
        self._journal = journal
        self._heartbeats = heartbeats
        self._senders = Senders(config, clock)
        self._pace = Pace(config.intake, clock)
        self._arrivals = Arrivals()
        self._slots = Slots(config.intake, clock)
        self._refusals = ThrottledLog("intake.refused", clock.now_ms)
        self._metrics = metrics
        self._counters = {
            (source, outcome): metrics.notifications_accepted.labels(source, outcome)
            for source, outcome in product(SOURCES, Outcome)
        }
        # What the journal and the log of bodies say of a request, only who reads it knows.
        self._repeats = Repeats() if journal is None and not config.alert.debug_body else None
        self._reader = Reader(config)
        self._known_overrides = lru_cache(KNOWN_QUERIES_MAX)(self._read_overrides)
        self._policies = Policies(config)

    async def post(self, request: web.Request) -> web.Response:
        """201 when all of it is written down; 503 when it was not, and the sender should try again."""
        sender = self.identify(request)

        async def work(body: bytes) -> web.Response:
            if self._repeats is None:
                return _answered(await self._take(request, sender, body, read_posted(body)))
            key = self._repeats.key(request, sender.name, body)
            known = await self._repeated(self._repeats, key, sender)
            return known or await self._read(self._repeats, key, request, sender, body)

        return await self._in_turn(request, sender, work)

    def identify(self, request: web.Request, key: str = "") -> Sender:
        """Who sends this, by its head, or by its token *key*; one more of its requests. Raises 401 and 503."""
        sender = self._senders.identify(request, key)
        self._pace.check(sender.name, request.remote)
        return sender

    async def take(
        self,
        request: web.Request,
        read: ReadContents,
        *,
        sender: Sender | None = None,
        ignoring: Collection[str] = (),
    ) -> Taken:
        """Have what *request* brings written down, as far as it can be.

        *sender* None: the body has the sender's token. *ignoring* are parameters of the query that are no overrides.
        Raises the answer when it is refused as a whole, StoreUnavailable when none of it can be written down.
        """

        async def work(body: bytes) -> Taken:
            contents = read(body)
            known = sender or self.identify(request, contents.key)
            return await self._take(request, known, body, contents, ignoring)

        return await self._in_turn(request, sender, work)

    async def _in_turn(self, request: web.Request, sender: Sender | None, work: Callable[[bytes], Awaitable[T]]) -> T:
        """The result of *work* with the body, once it is the request's turn. A refusal is logged.

        Raises StoreUnavailable before senders give up: Monasca's wait 5 s.
        """
        try:
            body = await self._body(request)
            async with self._slots.slot(request, len(body)), answering_in_time():
                return await work(body)
        except web.HTTPClientError as exc:
            # Most senders drop what is refused for good, Alertmanager too: nobody else would ever say so.
            name = sender.name if sender else ""
            self._refusals.note(remote=request.remote, sender=name, status=exc.status, error=exc.text)
            raise

    async def _repeated(self, repeats: Repeats, key: bytes, sender: Sender) -> web.Response | None:
        """The answer to a body that is known, or soon is, once it is counted; None where it has to be read.

        Raises StoreUnavailable.
        """
        answer = await self._counted(repeats, key, sender)
        if answer is None and repeats.is_being_read(key):
            ends_at = asyncio.get_running_loop().time() + WAIT_S
            while answer is None and await repeats.is_worth_asking_again(key, ends_at):
                answer = await self._counted(repeats, key, sender)
        return answer

    async def _counted(self, repeats: Repeats, key: bytes, sender: Sender) -> web.Response | None:
        known = repeats.find(key)
        if known is None:
            return None
        if not await self._lifecycle.repeat(known.again):
            repeats.forget(key, known)
            return None
        self._note_accepted(Outcome.UPDATED, known.again.incident_id, known.source, sender)
        return _created(known.answer)

    async def _read(
        self, repeats: Repeats, key: bytes, request: web.Request, sender: Sender, body: bytes
    ) -> web.Response:
        """The answer to a body that is read. What it led to is remembered where it would do no more than be counted."""
        with repeats.reading(key) as reading:
            taken = await self._take(request, sender, body, read_posted(body))
            answer = _answered(taken)
            reading.may_be_known = not (taken.warnings or taken.beats) and len(taken.results) == 1
            if reading.may_be_known and isinstance(answer.body, bytes):
                [result] = taken.results
                if isinstance(result, Accepted) and result.again and result.incident:
                    repeats.learn(key, Known(result.again, result.incident.source, answer.body))
            return answer

    async def _take(
        self,
        request: web.Request,
        sender: Sender,
        body: bytes,
        contents: Contents,
        ignoring: Collection[str] = (),
    ) -> Taken:
        if self._config.alert.debug_body:
            shown = redacted(body[:LOGGED_BODY_MAX].decode(errors="replace"))
            log.info("intake.body", sender=sender.name, query=request.query_string, body=shown)
        overrides = self._overrides(request, sender, ignoring)
        payloads, refused = self._trust.believed(contents.payloads, body, request.headers)
        # Afterwards: without what nobody signed, a payload may be of another source.
        payloads, left_out = sender.may_post(payloads, overrides.source)
        try:
            reading = self._reader.read(payloads, overrides, sender.name)
        except WrongAddress as exc:
            raise web.HTTPBadRequest(text=str(exc)) from None
        notifications, not_allowed = sender.may_ask(reading.notifications)
        warnings = [*contents.warnings, *left_out, *refused, *overrides.warnings, *reading.warnings]
        warnings += [not_allowed] if not_allowed else []
        for it in filter(None, notifications):
            warnings += it.warnings
        warnings = first_warnings(warnings)
        for warning in warnings:
            log.warning("intake.warning", remote=request.remote, sender=sender.name, warning=warning)
        results = await self._accept(notifications, reading.beats, overrides, sender, body)
        return Taken(contents, results, warnings, not_allowed, reading.beats)

    def _overrides(self, request: web.Request, sender: Sender, ignoring: Collection[str]) -> Overrides:
        """What the query asks for. Most senders have one address for all that they send."""
        query_string = request.rel_url.raw_query_string
        if ignoring or len(query_string) > KNOWN_QUERY_MAX:
            query = MultiDict((name, value) for name, value in request.query.items() if name not in ignoring)
            return read_overrides(query, self._config, sender.limits, policy=sender.policy)
        return self._known_overrides(query_string, sender)

    def _read_overrides(self, query: str, sender: Sender) -> Overrides:
        parsed = URL.build(query_string=query, encoded=True).query
        return read_overrides(parsed, self._config, sender.limits, policy=sender.policy)

    async def _accept(
        self,
        notifications: Sequence[Notification | None],
        beats: Sequence[Beat],
        overrides: Overrides,
        sender: Sender,
        body: bytes,
    ) -> list[Accepted | Refused | None]:
        """Written down, in the journal too. Raises StoreUnavailable.

        Where some are not written down, the others are all the same.
        """
        news = [it for it in notifications if it is not None]
        accepting = self._written(news, overrides, sender, body)
        found: Sequence[Accepted | Refused] | BaseException
        noted: Sequence[Incident] | BaseException = ()
        if beats:
            found, noted = await asyncio.gather(accepting, self._noted(beats), return_exceptions=True)
        else:
            found = await accepting
        if isinstance(found, BaseException):
            raise found
        accepted = iter(found)
        results = [None if it is None else next(accepted) for it in notifications]
        for it, outcome in zip(notifications, results, strict=True):
            if it is not None and isinstance(outcome, Accepted):
                incident_id = outcome.incident.id if outcome.incident else None
                self._note_accepted(outcome.outcome, incident_id, it.source, sender)
        if isinstance(noted, BaseException):  # only now: what is written down is counted and logged all the same
            raise noted
        return results

    def _note_accepted(self, outcome: Outcome, incident_id: IncidentId | None, source: str, sender: Sender) -> None:
        """For the metrics and the log."""
        self._counter(source, outcome).inc()
        log.info("intake.accepted", outcome=outcome, incident=incident_id, source=source, sender=sender.name)

    def _counter(self, source: str, outcome: Outcome) -> Counter:
        """That of a known source is at hand: to look it up by its labels takes a lock."""
        return self._counters.get((source, outcome)) or self._metrics.notifications_accepted.labels("other", outcome)

    async def take_beat(self, request: web.Request, beat: Beat) -> Incident:
        """Have a *beat* that is a request of its own written down: the heartbeat then. Raises StoreUnavailable."""
        async with self._slots.slot(request, 0):
            [known] = await self._noted([beat])
            return known

    async def _noted(self, beats: Sequence[Beat]) -> list[Incident]:
        """Written down, or StoreUnavailable before the whole request is late: alerts beside them are answered for."""
        async with answering_in_time(BEATS_WITHIN_S):
            return await self._heartbeats.note(beats)

    async def _written(
        self, news: Sequence[Notification], overrides: Overrides, sender: Sender, body: bytes
    ) -> Sequence[Accepted | Refused]:
        found: Sequence[Accepted | Refused]
        try:
            found = await self._lifecycle.accept(
                news, partial(self._policies.of, asked=overrides.asked), overrides.warnings
            )
        except PartlyAccepted as exc:
            log.error("intake.partly_accepted", error=str(exc))  # noqa: TRY400 - a sentence that says it all
            found = exc.results
        if self._journal is not None and found:
            now_ms = self._clock.now_ms()
            await self._journal.add(acceptances(body, news, found, sender=sender.name, at_ms=now_ms))
        return found

    async def _body(self, request: web.Request) -> bytes:
        try:
            return await self._arrivals.read(request, within_s=BODY_TIMEOUT_S)
        except web.HTTPRequestEntityTooLarge:
            limit = self._config.max_body_bytes
            raise too_large(
                limit,
                f"the body is larger than {limit} bytes; send fewer alerts at once "
                "(Alertmanager: max_alerts), or raise max_body_bytes",
            ) from None


def _answered(taken: Taken) -> web.Response:
    answers, warnings = [outcome_view(it) for it in taken.results], taken.warnings
    if taken.not_written:
        said = f"{len(taken.not_written)} of {len(answers)} were not written down: send it again"
        headers = {"Retry-After": str(RETRY_AFTER_S)}
        return json_answer({"error": said, "incidents": answers, "warnings": warnings}, 503, headers)
    status: dict[str, Any] = {"status": "Incident created"}
    if taken.contents.are_many or len(answers) > 1:
        status = {"status": "Incidents created", "count": len(answers)}
    if taken.beats:
        status["heartbeats"] = list(dict.fromkeys(it.heartbeat for it in taken.beats))
    return _created(orjson.dumps(status | {"incidents": answers, "warnings": warnings}))


def _created(answer: bytes) -> web.Response:
    return web.Response(body=answer, status=201, content_type="application/json")
