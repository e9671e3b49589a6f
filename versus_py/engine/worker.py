"""The worker: claims timers that are due, syncs each with its target, and gives the claim back.

It knows targets by what they are for, not by name: channels are told at once, an on-call provider when nobody
acknowledged in time.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from random import Random
from typing import TypedDict
from uuid import uuid4

import msgspec
import structlog

from versus_py.clock import Clock, monotonic_ms
from versus_py.engine.breaker import Breakers, HeldBack
from versus_py.engine.capacity import Came
from versus_py.engine.credentials import Credentials, StillRefused
from versus_py.engine.last_look import Escalate, LastLook, Over, Suppressed, Verdict
from versus_py.engine.lately import Lately
from versus_py.engine.lifecycle import Lifecycle
from versus_py.engine.queue import DueQueue, Place
from versus_py.engine.retries import SPREAD, RetryPolicy
from versus_py.errors import Permanent, RateLimited, StoreUnavailable, Transient, Unreachable, Unreadable, VersusError
from versus_py.incidents import transitions
from versus_py.incidents.copies import replace
from versus_py.incidents.model import (
    SUPPRESSED_LOOK_MS,
    Delivery,
    Ending,
    Entry,
    Event,
    Incident,
    IncidentId,
    Outcome,
)
from versus_py.incidents.payloads import unpack
from versus_py.incidents.sides import Report
from versus_py.incidents.tickets import is_to_be_said_again
from versus_py.store import Claim, Completion, Due, Store
from versus_py.store.changes import BEGINNING
from versus_py.store.replicas import Circuit, Pace
from versus_py.targets import Called, NotYet, Target, deadline
from versus_py.telemetry.metrics import Metrics
from versus_py.telemetry.throttled import ThrottledLog

log = structlog.get_logger()

_encode = msgspec.json.Encoder(enc_hook=repr).encode
"""Raises UnicodeEncodeError for a text that is none; of anything else, the store knows whether it can write it."""

SYNC_MAX_S = 50.0
"""How long after its claim a sync ends at the latest."""

LEASE_MARGIN_S = 10.0
"""How much longer a lease is than a sync, and what it has sent, may take: whoever claims next finds it."""

SYNC_MIN_S = 10.0
"""With less time left than this, a sync does not begin."""

GIVE_BACK_TIMEOUT_S = 600.0
"""How long to go on trying to write down what came of a sync while Redis is away."""

LOOK_AGAIN_MS = SUPPRESSED_LOOK_MS
"""The longest time between two looks at what is silenced: a silence may be taken back before its end."""

LOOK_AGAIN_MIN_MS = 10_000
"""And the shortest, should Alertmanager's clock be behind ours."""

LOOK_AGAIN_SOON_MS = 1_000
"""The shortest time until a target that wants to look again is called."""

HELD_UP_MS = 30_000
"""An escalation that its target puts off for so long is shown as one that fails."""

LATE_MS = 5 * 60_000
"""People are told of an escalation that has failed for so long, or will have by its next attempt."""

CHANGES_FOR_MS = 2_000
"""How long one call waits for news of what is armed."""

CHANGES_APART_S = 0.01
"""How long after some news the next are asked for: of many, each call then brings several."""

FAR_MS = 6 * 60_000
"""The time of the next attempt is shown where it is further away than this: beyond every backoff."""

STORE_AGAIN_MS = 1_000
"""When to ask Redis again that did not answer, or that answers and refuses, as one that is full does."""

LOCATOR_NAMED_MS = 12 * 3600_000
"""How often the syncs of one incident write the key of its locator again, which outlives that by days."""

UNREADABLE_AGAIN_MS = 5_000
"""When what this version may not work on is due again: soon, for a replica of another version to take it."""

_WHATEVER_VERSION = 2**53
"""As the version that was seen: nothing is due any sooner because an incident that cannot be read has changed."""

IDLE_MAX_S = 3.0
"""The longest time between two looks at what is due, in case the news of a change got lost."""

LOOK_MAX = 500
"""Timers of a partition that one call looks at."""

GLANCE_MAX = 100
"""Incidents that one call looks at to know where they go."""

FEW = 200
"""With no more than this waiting, every look is at all that is due."""

CROWDED_LOOK_MS = 20
"""How long a look is put off while more than FEW wait: each look reads again what has come due lately."""

OVERLAP_MS = 100
"""How much before the last look a timer is due that it may not have seen: it was on its way to Redis."""

WIDE_OVERLAP_MS, WIDE_LOOK_EVERY_MS = 2_000, 500
"""The same of one that a clock armed which is behind, or that took longer; and how often such are looked for. Each look
reads again all that came due in that time, and of a storm that is thousands."""

WAITING_MAX = 20_000
"""Timers that are known to wait; what is due after so many others is looked for when they have become fewer."""

PLACES_MAX = 2000
"""Syncs to come of which it is remembered where they go; of the others, the incident is read to find out."""

MAX_CONCURRENT = 32
"""Syncs of one system at once, where nothing is configured."""

TRIM_EVERY_S = 60.0
STOP_GRACE_S = 5.0
"""How long syncs may finish after the word to stop; then they are cancelled and their claims given back."""


Hear = Callable[[IncidentId, Report], Awaitable[tuple[Incident | None, Outcome]]]


class LeaseLost(VersusError):
    """A claim is somebody else's by now: nothing was sent, and nothing may be."""


class _Outcome(TypedDict, total=False):
    before: Incident
    after: Incident


class Worker:
    """Syncs what is due. Several workers, in one process or many, share the work through the store.

    *targets* are those that incidents are synced with, by name; *called* tells what people call one.
    What is sent to any of them and not answered takes effect *settles_within_s* after it was sent, or never.
    *max_concurrent* says by a system's own name how many syncs of it, or of each of its instances, run at once.
    *with_payloads*: some template shows the body that an incident came with. *idle_factor* says how much less often
    than usual it looks for what it was not told of. *hear* takes what a sync has seen of an incident's record.
    """

    def __init__(
        self,
        store: Store,
        lifecycle: Lifecycle,
        clock: Clock,
        *,
        targets: Mapping[str, Target],
        called: Called,
        settles_within_s: float,
        last_look: LastLook | None = None,
        hear: Hear | None = None,
        max_concurrent: Mapping[str, int] | None = None,
        retries: RetryPolicy | None = None,
        random: Random = SPREAD,
        idle_factor: float = 1.0,
        with_payloads: bool = False,
        metrics: Metrics | None = None,
    ) -> None:
        self._store = store
        self._with_payloads = with_payloads
        self._lifecycle = lifecycle
        self._clock = clock
        self._targets = targets
        self._called = called
        self._settles_s = settles_within_s + LEASE_MARGIN_S
        self.lease_ms = lease_ms(settles_within_s)
        """How long a claim is nobody else's. A worker that dies costs what it held this much time."""
        self._last_look = last_look
        self._hear = hear
        self._max_concurrent = max_concurrent or {}
        self._metrics = metrics or Metrics()
        for target in self._targets:
            self._metrics.retries.labels(target)
            for how in ("done", "retry", "postponed", "failed"):
                self._metrics.syncs.labels(target, how)
        self.turned_at_ms: int | None = None
        """When Redis last answered what is due."""
        self._retries = retries or RetryPolicy()
        self._idle_factor = idle_factor
        self._idle_max_ms = round(IDLE_MAX_S * idle_factor * 1000)
        self._breakers = Breakers(clock, on_change=self._metrics.breaker_changed, random=random)
        self._credentials = Credentials(
            store.refusals, clock, on_change=self._metrics.credentials_changed, random=random
        )
        self._knows_refused = False
        for name in self._targets:
            self._metrics.breaker_changed(name, is_open=False)
            self._metrics.credentials_changed(name, is_refused=False)
        self._unreadable = ThrottledLog("incident.unreadable", clock.now_ms, level="error", counted_as="claims")
        # By a clock of this machine: while Redis is away, there may be no other.
        self._unavailable = ThrottledLog("worker.store_unavailable", monotonic_ms, counted_as="times")
        self._name = uuid4().hex
        self._begun: set[Claim] = set()  # claims that may have sent something
        self._queue = DueQueue(self._most_of)
        self._places = Lately[tuple[IncidentId, str], Place](PLACES_MAX)  # by incident and target
        self.came = Came()
        """What came due, to be written down."""
        self._running: set[asyncio.Task[None]] = set()
        self._look_at_ms = 0
        self._looked_at_ms = 0
        self._whole_look_at_ms = 0
        self._looked_widely_at_ms = 0
        self._wake = asyncio.Event()
        self._stop = asyncio.Event()

    @property
    def target_names(self) -> tuple[str, ...]:
        return tuple(self._targets)

    @property
    def left_alone(self) -> tuple[str, ...]:
        """The systems that are not called for a while because they do not answer."""
        return self._breakers.open_systems

    @property
    def refusing(self) -> tuple[str, ...]:
        """The systems that refuse our credentials."""
        return self._credentials.refused_systems

    @property
    def circuits(self) -> Mapping[str, Circuit]:
        """Why each system of `left_alone` is, and until when."""
        return self._breakers.open_circuits

    @property
    def refusals(self) -> Mapping[str, str]:
        """How each system of `refusing` said so."""
        return self._credentials.refusals

    @property
    def paces(self) -> Mapping[str, Pace]:
        """How fast each system takes what is delivered."""
        return self._queue.paces()

    @property
    def running(self) -> int:
        """How many syncs are under way."""
        return len(self._running)

    async def run_due(self) -> int:
        """Sync everything that is due, until nothing is; returns how many syncs that took."""
        total = 0
        while True:
            self._whole_look_at_ms = 0
            async with asyncio.TaskGroup() as syncs:
                started = await self._look(syncs) + await self._start(syncs)
            if not started:
                return total
            total += started

    async def run(self) -> None:
        """Work until `stop`, then let what runs finish within STOP_GRACE_S. Redis may come and go meanwhile."""
        async with asyncio.TaskGroup() as loops:
            helpers = [loops.create_task(self._follow_changes()), loops.create_task(self._trim_now_and_then())]
            try:
                await self._dispatch()
            finally:
                self.stop()
                for helper in helpers:
                    helper.cancel()

    def stop(self) -> None:
        """Take no new work."""
        self._stop.set()
        self._wake.set()

    async def stopped_within(self, seconds: float) -> bool:
        """Wait for `stop`, but no longer than that; whether it came."""
        return await _happens_within(self._stop, seconds)

    async def _dispatch(self) -> None:
        async with asyncio.TaskGroup() as syncs:
            while not self._stop.is_set():
                self._wake.clear()
                await self._start_or_wait(syncs)
                await self._sleep()
            if self._running:
                await asyncio.wait(self._running, timeout=STOP_GRACE_S)
            for task in self._running:
                task.cancel()

    async def _start_or_wait(self, syncs: asyncio.TaskGroup) -> None:
        """Start what has a slot; nothing until Redis may be back, where it is away."""
        try:
            now_ms = self._clock.now_ms()
            if self._look_at_ms > now_ms + self._idle_max_ms:  # the clock was set back
                self._look_at_ms = self._whole_look_at_ms = now_ms
            if now_ms >= self._look_at_ms:
                await self._look(syncs)
            await self._start(syncs)
        except StoreUnavailable as exc:
            self._unavailable.note(error=str(exc))
            self._look_at_ms = self._clock.now_ms() + STORE_AGAIN_MS
            self._whole_look_at_ms = 0

    async def _look(self, syncs: asyncio.TaskGroup) -> int:
        """Have everything that is due wait for its slot, and start what has one; how many that were.

        With much that waits, only what came due since the last look is looked at, but for every few seconds.
        """
        if not self._knows_refused:
            await self._credentials.begin(self._targets)
            self._knows_refused = True
        now_ms = self._clock.now_ms()
        is_whole = now_ms >= self._whole_look_at_ms or len(self._queue) <= FEW
        is_wide = is_whole or now_ms >= self._looked_widely_at_ms + WIDE_LOOK_EVERY_MS
        narrow_ms, wide_ms = self._looked_at_ms - OVERLAP_MS, self._looked_widely_at_ms - WIDE_OVERLAP_MS
        from_ms = None if is_whole else min(narrow_ms, wide_ms) if is_wide else narrow_ms
        self._look_at_ms = now_ms + self._idle_max_ms
        started, seen, is_all = 0, list[Due](), True
        pages = self._store.timers.pages(
            now_ms=now_ms, lease_ms=self.lease_ms, limit=LOOK_MAX, from_ms=from_ms, worker=self._name
        )
        async with aclosing(pages):
            async for found in pages:
                self._note_turn()
                self._note_due(found.next_ms)
                seen += found.due
                started += await self._admit([it for it in found.due if it not in self._queue], syncs)
                is_all = found.more_from_ms is None
                if len(self._queue) >= WAITING_MAX:
                    break
        self._looked_at_ms = now_ms
        if is_wide:
            self._looked_widely_at_ms = now_ms
        if is_whole:
            self._whole_look_at_ms = now_ms + self._idle_max_ms
            if is_all:
                self._queue.keep(seen)
        return started

    async def _admit(self, due: Sequence[Due], syncs: asyncio.TaskGroup) -> int:
        """Have these wait for their slots, and start what has one."""
        started = 0
        for first in range(0, len(due), GLANCE_MAX):
            batch = due[first : first + GLANCE_MAX]
            known = {it: self._known_place(it) for it in batch}
            unknown = [it for it, place in known.items() if place is None]
            incidents = dict(zip(unknown, await self._store.timers.glance(unknown), strict=True))
            for it, place in known.items():
                self._queue.put(it, place or self._place(it.target, incidents[it]))
            started += await self._start(syncs)
        return started

    def _known_place(self, due: Due) -> Place | None:
        """Where its sync goes, whatever the incident is or by what was seen of it lately; None: it has to be read."""
        system = self._sole_system(due.target)
        return self._places.take((due.incident_id, due.target)) if system is None else Place(system)

    def _sole_system(self, target: str) -> str | None:
        found: str | None = getattr(self._targets.get(target), "sole_system", None)
        return found

    def _note_places(self, claim: Claim, incident: Incident, completion: Completion) -> None:
        """Remember where the syncs go that come next, so that the incident need not be read to find out."""
        come_next = completion.arm if completion.at_ms is None else (*completion.arm, claim.target)
        told = incident if completion.delivery is None else _told(claim, incident, completion.delivery)
        for target in come_next:
            if self._sole_system(target) is None:
                self._places.note((incident.id, target), self._place(target, told))

    async def _start(self, syncs: asyncio.TaskGroup) -> int:
        """Claim what has a slot, and sync it; how many that were."""
        started = 0
        while taken := self._queue.take():
            try:
                now_ms = self._clock.now_ms()
                claims = await self._store.timers.claim(
                    [it for it, _ in taken], now_ms=now_ms, lease_ms=self.lease_ms, worker=self._name
                )
            except BaseException:
                for _, place in taken:
                    self._queue.free(place)
                raise
            self._note_turn()
            for (due, place), claim in zip(taken, claims, strict=True):
                if claim is None:
                    self._queue.free(place)
                    continue
                if claim.attempt == 1:
                    self.came.note(place.system, due.due_ms)
                task = syncs.create_task(self._work_in(place, claim))
                self._running.add(task)
                task.add_done_callback(self._running.discard)
                started += 1
        return started

    def _place(self, name: str, incident: Incident | None) -> Place:
        """Where a sync to the target *name* goes; what cannot be known goes nowhere, and the sync says why."""
        target = self._targets.get(name)
        if target is None or incident is None:
            return Place("")
        try:
            return Place(target.system(incident), incident.policy.destinations.get(name, ""))
        except Exception:  # noqa: BLE001 - the sync meets it again, and logs it
            return Place("")

    def _most_of(self, system: str) -> int:
        return self._max_concurrent.get(system.partition(":")[0], MAX_CONCURRENT)

    def _note_turn(self) -> None:
        self.turned_at_ms = self._clock.now_ms()
        self._metrics.worker_turned.set(self.turned_at_ms / 1000)

    def _note_due(self, due_ms: int | None) -> None:
        """Something comes due then. A worker that would sleep for longer wakes up to sleep less."""
        if due_ms is not None and len(self._queue) > FEW:
            due_ms = max(due_ms, self._clock.now_ms() + CROWDED_LOOK_MS)
        if due_ms is not None and due_ms < self._look_at_ms:
            self._look_at_ms = due_ms
            self._wake.set()

    async def _sleep(self) -> None:
        wait_s = (self._look_at_ms - self._clock.now_ms()) / 1000
        if wait_s > 0:
            await _happens_within(self._wake, wait_s)

    async def _follow_changes(self) -> None:
        # Looks at the word to stop by itself: a cancellation that meets an answer can get lost in redis-py.
        # From the beginning of the stream: else news that came between the first look and the first read are missed.
        last, block_ms = BEGINNING, round(CHANGES_FOR_MS * self._idle_factor)
        while not self._stop.is_set():
            try:
                before, (last, due_ms) = last, await self._store.next_change(last, block_ms=block_ms)
                self._note_due(due_ms)
                if last != before:
                    await self.stopped_within(CHANGES_APART_S)
            except StoreUnavailable:
                await self.stopped_within(1)

    async def _trim_now_and_then(self) -> None:
        while not await self.stopped_within(TRIM_EVERY_S * self._idle_factor):
            try:
                await self._credentials.refresh()
                await self._store.trim(now_ms=self._clock.now_ms())
            except StoreUnavailable as exc:
                self._unavailable.note(error=str(exc))

    async def _work_in(self, place: Place, claim: Claim) -> None:
        """One claim, in a slot of *place*."""
        now_s = asyncio.get_running_loop().time
        began_s, was_full = now_s(), self._queue.is_full(place.system)
        try:
            if await self._work(claim):
                self._note_pace(place.system, now_s() - began_s, was_full=was_full)
        finally:
            self._queue.free(place)
            self._wake.set()

    def _note_pace(self, system: str, took_s: float, *, was_full: bool) -> None:
        limit = self._queue.limit(system)
        limit.note_pace(took_s, was_full=was_full)
        if (pace := limit.pace) is not None:
            self._metrics.drain.labels(system).set(pace.slots / pace.seconds)

    async def _work(self, claim: Claim) -> bool:
        """One claim, from its sync to giving it back; whether something was delivered.

        Raises nothing but the cancellation.
        """
        structlog.contextvars.bind_contextvars(incident=claim.incident_id, target=claim.target)  # of this task
        try:
            completion = await self._worked(claim)
            is_delivered = claim in self._begun and completion.how == "done"
        except LeaseLost:
            log.warning("sync.lease_lost", incident=claim.incident_id, target=claim.target)
            return False
        finally:
            self._begun.discard(claim)
        self._count(claim, completion)
        try:
            await self._give_back(claim, completion)
        except Exception:
            log.exception("sync.crashed", incident=claim.incident_id, target=claim.target)
            again = Completion("retry", completion.seen_version, at_ms=self._again_ms(claim))
            await self._give_back(claim, again)
            return False
        return is_delivered

    async def _worked(self, claim: Claim) -> Completion:
        seen_version = 0
        try:
            incident = claim.incident()
            if incident is not None:
                seen_version = incident.version
                incident = await self._as_time_has_it(claim, incident)
            if incident is None:
                log.error("sync.incident_gone", incident=claim.incident_id, target=claim.target)
                return Completion("done", 0)
            seen_version = incident.version
            completion = await self._sync(claim, incident)
            self._note_places(claim, incident, completion)
            before, names_locator = incident.delivery(claim.target), False
            if completion.delivery is not None:
                names_locator = _names_locator(before, completion.delivery, self._clock.now_ms())
            return replace(completion, dedup_key=incident.dedup_key, names_locator=names_locator)
        except StoreUnavailable as exc:
            self._unavailable.note(incident=claim.incident_id, error=str(exc))
            if claim not in self._begun:
                return Completion("postponed", seen_version, at_ms=self._clock.now_ms() + STORE_AGAIN_MS)
            # It may have sent something before: that was an attempt, and the next one looks for it.
            return Completion("retry", seen_version, at_ms=self._again_ms(claim))
        except Unreadable as exc:
            self._unreadable.note(incident=claim.incident_id, error=str(exc))
            return await self._cannot_be_read(claim, str(exc))
        except LeaseLost:
            raise
        except Exception:
            # A bug that one incident meets must not end the others' worker.
            log.exception("sync.crashed", incident=claim.incident_id, target=claim.target)
            return Completion("retry", seen_version, at_ms=self._again_ms(claim))
        except asyncio.CancelledError:
            await self._give_back(claim, self._cut_off(claim, seen_version))
            raise

    def _cut_off(self, claim: Claim, seen_version: int) -> Completion:
        """What was sent may still take effect, so that the next attempt is as late as after a crash."""
        if claim in self._begun:
            return Completion("retry", seen_version, at_ms=claim.token)
        return Completion("postponed", seen_version, at_ms=self._clock.now_ms())

    async def _cannot_be_read(self, claim: Claim, error: str) -> Completion:
        """Given back, which is no attempt, for a replica that can; given up when there is none for so long."""
        now_ms = self._clock.now_ms()
        later = Completion("postponed", _WHATEVER_VERSION, at_ms=now_ms + UNREADABLE_AGAIN_MS)
        try:
            found = await self._store.note_unread(claim.incident_id, now_ms=now_ms)
        except StoreUnavailable:
            return later
        if found is None or not self._retries.is_over(found.since_ms, now_ms):
            return later
        said = f"{error} (for {(now_ms - found.since_ms) / 3_600_000:.1f} hours)"
        log.error("sync.failed", incident=claim.incident_id, target=claim.target, attempt=claim.attempt, error=said)
        entry = Entry(now_ms, Event.FAILED, f"{self._called(claim.target)}: {said}")
        return Completion("failed", found.version, entries=(entry,), ends_escalation=found.is_due)

    def _again_ms(self, claim: Claim) -> int:
        return self._clock.now_ms() + round(self._retries.wait_s(claim.attempt) * 1000)

    def _count(self, claim: Claim, completion: Completion) -> None:
        target = claim.target if claim.target in self._targets else "other"
        self._metrics.syncs.labels(target, completion.how).inc()
        if completion.how == "retry":
            self._metrics.retries.labels(target).inc()

    async def _as_time_has_it(self, claim: Claim, before: Incident) -> Incident | None:
        """The incident to sync. What time has brought is written down first: the end of a snooze, of the wait."""
        incident: Incident | None = before
        now_ms = self._clock.now_ms()
        if before.snooze is not None and before.snooze.until_ms <= now_ms:
            incident = await self._lifecycle.end_snooze(before)
        elif _has_lapsed(before, now_ms):
            incident = await self._lifecycle.end_acknowledgment(before)
        elif transitions.notice_news(before, now_ms) is not None:
            incident = await self._lifecycle.notice_news(before)
        if incident is None:
            return None
        now_ms = self._clock.now_ms()
        is_due, own_ms = incident.is_due(now_ms), incident.due_ms(claim.target)
        has_come = own_ms is not None and own_ms <= now_ms  # also where those whose step is next are backing off
        if not (is_due and has_come) and claim.target != incident.policy.keeper:
            return incident
        is_asked = is_due or incident.may_be_over
        if self._last_look is None or not is_asked:
            return await self._lifecycle.begin_step(incident)
        match await self._looked(self._last_look, incident):
            case Over(by):
                return await self._lifecycle.end_quietly(incident, by)
            case Suppressed(by, until_ms):
                return await self._lifecycle.suppress(incident, by, until_ms)
            case Escalate():
                return await self._lifecycle.begin_step(incident)

    async def _looked(self, last_look: LastLook, incident: Incident) -> Verdict:
        """What the last look says; a look that fails stops no escalation."""
        try:
            return await last_look.ask(incident)
        except Exception:
            log.exception("last_look.crashed", incident=incident.id)
            return Escalate()

    def _claimed_at_ms(self, claim: Claim) -> int:
        return claim.token - self.lease_ms

    @contextmanager
    def _measured(self, system: str) -> Iterator[None]:
        """Around a call: how the system bears it says how many there may be at once."""
        limit, now_s = self._queue.limit(system), asyncio.get_running_loop().time
        began_s = now_s()
        try:
            yield
        except (RateLimited, Unreachable, TimeoutError):
            limit.lower(began_s, now_s())
            raise
        limit.raise_after(now_s() - began_s, was_full=self._queue.is_full(system))

    async def _sync(self, claim: Claim, incident: Incident) -> Completion:
        if _needs_nothing(claim, incident):
            after = _not_failing(incident.delivery(claim.target))
            at_ms = self._again_at_ms(claim, incident, self._clock.now_ms())
            return Completion("done", incident.version, at_ms=at_ms, delivery=after)
        try:
            delivery = await self._call(claim, incident)
            return self._done(claim, await self._heard(claim, incident, delivery), delivery)
        except (NotYet, HeldBack) as exc:
            return await self._postponed(claim, incident, exc)
        except StillRefused as exc:
            return _with_effect_of(exc, await self._refused(claim, incident, exc))
        except Permanent as exc:
            return _with_effect_of(exc, await self._give_up(claim, incident, str(exc)))
        except Transient as exc:
            retry = await self._retry(claim, incident, str(exc), exc.retry_after_s, exc.settles_s)
            return _with_effect_of(exc, retry)
        except TimeoutError:
            return await self._retry(claim, incident, "no answer in time", self._settles_s)
        except (StoreUnavailable, LeaseLost):
            raise
        except Exception as exc:
            # A bug in one target must not take the others' incidents with it.
            log.exception("sync.crashed", incident=incident.id, target=claim.target)
            return await self._retry(claim, incident, f"internal error: {type(exc).__name__}", None)

    async def _heard(self, claim: Claim, incident: Incident, delivery: Delivery) -> Incident:
        """The incident with what the sync has seen of its record; as it was, where anything else has changed.

        That others have changed it as often as hearing would have does not make it what was synced.
        """
        if delivery.report is None or self._hear is None:
            return incident
        side = delivery.report.side
        heard, _ = await self._hear(incident.id, replace(delivery.report, is_own=False))
        if heard is None:
            return incident
        was_news = heard.sides.get(claim.target) == side != incident.sides.get(claim.target)
        is_only_that = was_news and heard.version == incident.version + 1
        is_called_as_before = heard.call_of(claim.target) == incident.call_of(claim.target)
        is_all = is_only_that and is_called_as_before and not is_to_be_said_again(incident, heard)
        return heard if is_all else incident

    async def _call(self, claim: Claim, incident: Incident) -> Delivery:
        now_ms = self._clock.now_ms()
        target = self._targets.get(claim.target)
        if target is None:
            raise Permanent(f"{self._called(claim.target)} is not configured any more")
        due_ms = _due_ms(incident, claim.target, now_ms)
        if not incident.is_called(claim.target) and due_ms is not None and not _is_shown(incident, claim.target):
            raise NotYet(due_ms, "its step has not come: somebody may still acknowledge, or it is silenced")
        if incident.is_fallback(claim.target) and (incident.fallback_due_ms or 0) > now_ms:
            raise NotYet(incident.fallback_due_ms or now_ms, "the first provider may still work")
        before = incident.delivery(claim.target)
        if self._with_payloads and (packed := await self._store.payload(incident.id)):
            incident = replace(incident, payload=unpack(packed))
        system = target.system(incident)
        async with self._credentials.guard(system, incident.id, claim.target) as request:
            with self._breakers.guard(system, incident.id) as call, self._measured(system):
                if not await self._store.timers.begin(claim):
                    raise LeaseLost
                left_s = self._left_s(claim)  # only now: the process may have stood still until that was answered
                self._begun.add(claim)
                async with deadline.within(self._clock, left_s):
                    # Also the first attempt after it was given up is not the first.
                    attempt = max(claim.attempt, before.attempts + 1) - before.attempts_without_effect
                    after = await target.sync(incident, attempt=attempt)
                _encode(after)  # raises for what cannot be written: that ends this sync, not the worker
                # A target may tell its locator without a call: that of a delivery which an older version wrote.
                call.was_made = request.was_accepted = replace(after, locator=before.locator) != before
                return after

    def _left_s(self, claim: Claim) -> float:
        """How long a sync may take that begins now. Raises NotYet when that is too short."""
        now_ms = self._clock.now_ms()
        left_s = SYNC_MAX_S - (now_ms - self._claimed_at_ms(claim)) / 1000
        if left_s < SYNC_MIN_S:
            raise NotYet(now_ms, "its claim is too old to begin")
        return left_s

    async def _refused(self, claim: Claim, incident: Incident, exc: StillRefused) -> Completion:
        """Tried again for as long as what fails in passing; people and the fallback need not wait that long."""
        now_ms, error = self._clock.now_ms(), str(exc)
        before = incident.delivery(claim.target)
        since_ms = _failing_since_ms(claim, incident) or now_ms
        if self._retries.is_over(since_ms, now_ms):
            return await self._give_up_late(claim, incident, error, since_ms)
        attempts = claim.attempt if exc.was_sent else before.attempts
        until_ms = _or_at_its_step(claim, incident, exc.until_ms, now_ms)
        after = self._failing(before, since_ms, error, exc.until_ms)
        after = replace(after, attempts=attempts, is_refused=True, retry_at_ms=None)
        if exc.was_sent or not before.is_refused:
            log.warning("sync.refused", incident=incident.id, target=claim.target, error=error)
        seen_version, told = await self._announce_failure(claim, incident, error, Event.REFUSED)
        is_next = claim.target in told.next_targets and told.is_due(now_ms)
        return Completion(
            "retry" if exc.was_sent else "postponed",
            seen_version,
            at_ms=now_ms + LOOK_AGAIN_SOON_MS if is_next else until_ms,
            delivery=None if after == before else after,
            arm=self._shown_by(claim, incident, _told(claim, incident, after)),
        )

    async def _held_back(self, claim: Claim, incident: Incident, error: str, until_ms: int) -> Completion:
        """No attempt; but the time that a target may fail for goes by, and people are told that it does."""
        before = incident.delivery(claim.target)
        since_ms = _failing_since_ms(claim, incident) or self._clock.now_ms()
        if self._retries.is_over(since_ms, self._clock.now_ms()):
            return await self._give_up_late(claim, incident, error, since_ms)
        after = self._failing(before, since_ms, error, until_ms)
        return Completion(
            "postponed",
            incident.version,
            at_ms=_or_at_its_step(claim, incident, until_ms, self._clock.now_ms()),
            delivery=None if after == before else after,
            arm=self._shown_by(claim, incident, _told(claim, incident, after)),
        )

    async def _postponed(self, claim: Claim, incident: Incident, exc: NotYet | HeldBack) -> Completion:
        if isinstance(exc, HeldBack):
            return await self._held_back(claim, incident, str(exc), exc.until_ms)
        if exc.delivery is None and _holds_up(exc, claim, incident, self._clock.now_ms()):
            return await self._held_back(claim, incident, str(exc), exc.at_ms)
        if exc.delivery is None:
            is_looked_at = claim.target in incident.next_targets and incident.is_suppressed_without_end
            next_ms = exc.at_ms if is_looked_at else None
            at_ms = _or_at_its_end(claim, incident, exc.at_ms, self._clock.now_ms())
            return Completion("postponed", incident.version, at_ms=at_ms, looked_at_next_ms=next_ms)
        unknown = incident.delivery(claim.target).unknown
        achieved = replace(exc.delivery, version=incident.version, unknown=unknown)
        entries = self._first_shown(claim, incident, _told(claim, incident, achieved))
        now_ms = self._clock.now_ms()
        at_ms = _or_at_its_step(claim, incident, _or_at_its_end(claim, incident, exc.at_ms, now_ms), now_ms)
        return Completion("postponed", incident.version, at_ms=at_ms, delivery=achieved, entries=entries)

    def _again_at_ms(self, claim: Claim, incident: Incident, now_ms: int) -> int | None:
        """When the target wants to look again, is told by a step to come, or what is seen to with the keeper is due.

        Not at once: a target that does not move on must not keep the worker busy.
        """
        times = [incident.delivery(claim.target).look_again_at_ms, _due_ms(incident, claim.target, now_ms)]
        if claim.target == incident.policy.keeper:
            times.append(incident.ack_ends_at_ms)
            if self._last_look is not None and incident.may_be_over:
                times.append(now_ms + LOOK_AGAIN_MS)
        due = [at_ms for at_ms in times if at_ms is not None]
        return max(min(due), now_ms + LOOK_AGAIN_SOON_MS) if due else None

    def _first_shown(self, claim: Claim, incident: Incident, told: Incident) -> tuple[Entry, ...]:
        """For the timeline, when the target has something that it did not have before, or what it has counts again.

        *told* is the incident with it.
        """
        label, before = told.delivery(claim.target).label, incident.delivery(claim.target).label
        if not label:
            return ()
        if label == before and (told.ending is not Ending.ESCALATED or incident.ending is Ending.ESCALATED):
            return ()
        event = Event.ESCALATED if incident.escalates_to(claim.target) else Event.POSTED
        again = ", noted again" if label == before else ""
        entry = Entry(self._clock.now_ms(), event, f"{self._called(claim.target)} {label}{again}")
        log.info("incident.changed", incident=incident.id, what=event.value, detail=entry.detail)
        return (entry,)

    def _done(self, claim: Claim, incident: Incident, delivery: Delivery) -> Completion:
        if not delivery.reference and incident.escalates_to(claim.target) and incident.wants(claim.target):
            # It would be overdue for ever: nobody could tell that it has escalated.
            raise Permanent(f"{self._called(claim.target)} says that it has the incident, and not where")
        before = incident.delivery(claim.target)
        over_since_ms = _over_since_ms(before, delivery, self._clock.now_ms())
        after = replace(delivery, version=incident.version, unknown=before.unknown, over_since_ms=over_since_ms)
        if after.reference:  # else nothing was there and nothing was to do, which mends no earlier failure
            # A step that began while it was under way was not seen by it.
            call = incident.call_of(claim.target)
            seen_ms = max(self._claimed_at_ms(claim), call.at_ms if call is not None else 0)
            after = replace(
                after.mended(),
                synced_at_ms=seen_ms,
                attempts=0,
                attempts_without_effect=0,
                failed_at_ms=None,
                settles_at_ms=None,
            )
        elif not after.attempts:  # it was held back and has never been attempted
            after = after.mended()
        log.debug("sync.done", incident=incident.id, target=claim.target, version=incident.version)
        told = _told(claim, incident, after)
        return Completion(
            "done",
            incident.version,
            **_outcome(claim, incident, told),
            at_ms=self._again_at_ms(claim, told, self._clock.now_ms()),
            delivery=after,
            arm=tuple(dict.fromkeys((*self._shown_by(claim, incident, told), *_owing_too(claim, incident, told)))),
            entries=self._first_shown(claim, incident, told),
        )

    async def _retry(
        self,
        claim: Claim,
        incident: Incident,
        error: str,
        retry_after_s: float | None,
        settles_s: float | None = None,
    ) -> Completion:
        now_ms = self._clock.now_ms()
        before = incident.delivery(claim.target)
        since_ms = _failing_since_ms(claim, incident) or now_ms
        if self._retries.is_over(since_ms, now_ms):
            return await self._give_up_late(claim, incident, error, since_ms)
        wait_s = self._retries.wait_s(claim.attempt, retry_after_s)
        at_ms = now_ms + round(wait_s * 1000)
        log.warning(
            "sync.retry",
            incident=incident.id,
            target=claim.target,
            attempt=claim.attempt,
            error=error,
            retry_in_s=round(wait_s, 1),
        )
        settles_at_ms = before.settles_at_ms if settles_s is None else now_ms + round(settles_s * 1000)
        failing = self._failing(before, since_ms, error, at_ms)
        after = replace(failing, attempts=claim.attempt, settles_at_ms=settles_at_ms)
        told = _told(claim, incident, after)
        return Completion(
            "retry",
            incident.version,
            at_ms=_or_at_its_step(claim, told, at_ms, now_ms),
            delivery=after,
            arm=self._shown_by(claim, incident, told),
        )

    def _failing(self, before: Delivery, since_ms: int, error: str, at_ms: int) -> Delivery:
        """What fails since then and is tried again at *at_ms*."""
        return replace(
            before,
            failing_since_ms=since_ms,
            error=error,
            is_refused=False,
            is_late=at_ms - since_ms >= LATE_MS,
            retry_at_ms=at_ms if at_ms - self._clock.now_ms() > FAR_MS else None,
        )

    async def _give_up_late(self, claim: Claim, incident: Incident, error: str, since_ms: int) -> Completion:
        hours = (self._clock.now_ms() - since_ms) / 3_600_000
        return await self._give_up(claim, incident, f"{error} (failing for {hours:.1f} hours)")

    async def _give_up(self, claim: Claim, incident: Incident, error: str) -> Completion:
        now_ms = self._clock.now_ms()
        log.error("sync.failed", incident=incident.id, target=claim.target, attempt=claim.attempt, error=error)
        before = incident.delivery(claim.target)
        after = replace(before, attempts=claim.attempt, failed_at_ms=now_ms, error=error)
        seen_version, told = await self._announce_failure(claim, incident, error)
        # A failure begins no step early while the incident is snoozed; looked at when the snooze ends, it does.
        again_ms = None if told.snooze is None else told.snooze.until_ms
        return Completion(
            "failed",
            seen_version,
            at_ms=self._again_at_ms(claim, _told(claim, told, replace(after, look_again_at_ms=again_ms)), now_ms),
            **_outcome(claim, incident, _told(claim, incident, after)),
            delivery=after,
            arm=self._shown_by(claim, incident, _told(claim, incident, after)),
            entries=(Entry(now_ms, Event.FAILED, f"{self._called(claim.target)}: {error}"),),
        )

    async def _announce_failure(
        self, claim: Claim, incident: Incident, error: str, event: Event = Event.GIVEN_UP
    ) -> tuple[int, Incident]:
        """Tell the record, and have the next step come.

        Returns the version up to which nothing is news, and the incident as it is now.
        """
        if claim.target in incident.providers and not incident.is_waiting:
            return incident.version, incident
        told, is_news = await self._lifecycle.give_up(incident.id, claim.target, error, event)
        is_only_that = is_news and told is not None and told.version == incident.version + 1
        return incident.version + 1 if is_only_that else incident.version, told or incident

    def _shown_by(self, claim: Claim, incident: Incident, told: Incident) -> tuple[str, ...]:
        """Who is told what became of an escalation, when that is news: the channels, and the one that steps in.

        *told* is the incident with it. That one as soon as it has to, and then also of what it came to itself: in a
        channel, its message says so. Not of its own failure for good, as that would be tried again.
        """
        if not incident.escalates_to(claim.target):
            return ()
        after = told.delivery(claim.target)
        is_news = _visible(incident.delivery(claim.target)) != _visible(after) or told.ending is not incident.ending
        if not is_news:
            return ()
        channels = tuple(it for it in incident.told if it not in incident.providers and it != claim.target)
        step = incident.policy.fallback
        if step is None or claim.target not in incident.providers:
            return channels
        [fallback] = step.targets
        first_fails = after.failing_since_ms is not None or after.failed_at_ms is not None
        steps_in = claim.target != fallback and first_fails
        is_there = bool(told.delivery(fallback).reference) and not (claim.target == fallback and after.failed_at_ms)
        return (*channels, fallback) if steps_in or is_there else channels

    async def _give_back(self, claim: Claim, completion: Completion) -> None:
        """Write down what came of a claim. While Redis is away nobody else can take it either, so go on trying."""
        now_s = asyncio.get_running_loop().time
        deadline_s = now_s() + (STOP_GRACE_S if self._stop.is_set() else GIVE_BACK_TIMEOUT_S)
        while True:
            try:
                async with asyncio.timeout_at(deadline_s):
                    held = await self._store.complete(claim, completion, now_ms=self._clock.now_ms())
            except (StoreUnavailable, TimeoutError) as exc:
                if now_s() >= deadline_s:
                    error = str(exc) or "no answer in time"
                    log.error("sync.not_recorded", incident=claim.incident_id, target=claim.target, error=error)  # noqa: TRY400
                    return
                await asyncio.sleep(0.5)
            else:
                if not held:
                    log.warning("sync.lease_lost", incident=claim.incident_id, target=claim.target)
                elif completion.before is not None and completion.after is not None:
                    self._metrics.observe_change(completion.before, completion.after, self._clock.now_ms())
                return


def _with_effect_of(exc: VersusError, completion: Completion) -> Completion:
    """That this attempt surely did nothing is kept with the delivery, if that is so."""
    after = completion.delivery
    if after is None or not exc.without_effect:
        return completion
    return replace(completion, delivery=replace(after, attempts_without_effect=after.attempts_without_effect + 1))


def lease_ms(settles_within_s: float) -> int:
    """How long a claim is nobody else's, where what a target was sent takes effect within that time."""
    return round((SYNC_MAX_S + settles_within_s + LEASE_MARGIN_S) * 1000)


def _owing_too(claim: Claim, incident: Incident, told: Incident) -> tuple[str, ...]:
    """Who else has yet to be notified of the escalation that this target has by now.

    Their sync may be under way, and knows nothing of this one. Without another look, each would leave on the ledger
    what the other had to do, and nothing would take it off.
    """
    return tuple(told.owing) if claim.target in incident.owing and claim.target not in told.owing else ()


def _told(claim: Claim, incident: Incident, delivery: Delivery) -> Incident:
    """The incident with what the claim's target has come to."""
    return replace(incident, deliveries={**incident.deliveries, claim.target: delivery})


def _outcome(claim: Claim, incident: Incident, told: Incident) -> _Outcome:
    """What the incident comes to by this; nothing where no escalation has a part in it."""
    return {"before": incident, "after": told} if incident.escalates_to(claim.target) else {}


def _failing_since_ms(claim: Claim, incident: Incident) -> int | None:
    """Since when the claim's target fails; of an escalation, that of an earlier wait says nothing about this one."""
    since_ms = incident.delivery(claim.target).failing_since_ms
    is_of_this_wait = since_ms is not None and since_ms >= incident.waiting_since_ms
    return since_ms if is_of_this_wait or not incident.escalates_to(claim.target) else None


def _needs_nothing(claim: Claim, incident: Incident) -> bool:
    """Whether its target is a fallback whose turn it is not, or one that was never called and is not to be."""
    if claim.attempt > 1:
        return False
    if incident.is_fallback(claim.target) and incident.fallback_due_ms is None:
        return True
    before = incident.delivery(claim.target)
    was_called = bool(before.attempts or before.reference)
    is_channel = claim.target in incident.told and claim.target not in incident.providers
    is_to_be = incident.due_ms(claim.target) is not None or incident.wants(claim.target)
    return not (was_called or is_channel or is_to_be)


def _is_shown(incident: Incident, target: str) -> bool:
    """Whether a channel has it from an earlier wait, or it came from there: people see what changes before its step."""
    is_channel = target in incident.told and target not in incident.providers
    return (is_channel or target == incident.origin) and bool(incident.delivery(target).reference)


def _not_failing(delivery: Delivery) -> Delivery | None:
    """Of a provider that is not needed; None when it says no more than what is there."""
    if delivery.failing_since_ms is None or delivery.failed_at_ms is not None:
        return None
    return delivery.mended()


def _has_lapsed(incident: Incident, now_ms: int) -> bool:
    """Whether its acknowledgment has ended, for all that is known of what people do at the provider.

    A record that was not looked at since then is looked at first, unless it cannot be.
    """
    ends_at_ms = incident.ack_ends_at_ms
    if ends_at_ms is None or ends_at_ms > now_ms:
        return False
    record = incident.record
    is_watched = record.is_over is False and record.failing_since_ms is None and now_ms < ends_at_ms + LOOK_AGAIN_MS
    return not is_watched or (record.synced_at_ms or 0) >= ends_at_ms


def _names_locator(before: Delivery, after: Delivery, now_ms: int) -> bool:
    """Whether the key of its locator is to be written: it is new, or no sync of this half of a day has written it."""
    is_of_another_half = now_ms // LOCATOR_NAMED_MS != (before.synced_at_ms or 0) // LOCATOR_NAMED_MS
    return bool(after.locator) and (after.locator != before.locator or is_of_another_half)


def _over_since_ms(before: Delivery, after: Delivery, now_ms: int) -> int | None:
    if not after.is_over:
        return None
    return now_ms if before.over_since_ms is None else before.over_since_ms


def _due_ms(incident: Incident, target: str, now_ms: int) -> int | None:
    """When *target* is told by a step to come; for what is silenced by then, when to look again."""
    due_ms = incident.due_ms(target)
    if due_ms is None or incident.suppression is None or not incident.is_due(now_ms):
        return due_ms
    again_ms, until_ms = now_ms + LOOK_AGAIN_MS, incident.suppression.until_ms
    return again_ms if until_ms is None else min(again_ms, max(until_ms, now_ms + LOOK_AGAIN_MIN_MS))


def _or_at_its_end(claim: Claim, incident: Incident, at_ms: int, now_ms: int) -> int:
    """When a claim that is postponed until *at_ms* is due: no later than its acknowledgment ends, come what may."""
    ends_at_ms = incident.ack_ends_at_ms
    if claim.target != incident.policy.keeper or ends_at_ms is None:
        return at_ms
    return min(at_ms, max(ends_at_ms + LOOK_AGAIN_MS, now_ms + LOOK_AGAIN_SOON_MS))


def _or_at_its_step(claim: Claim, incident: Incident, at_ms: int, now_ms: int) -> int:
    """When a target that is tried again at *at_ms* is due: no later than its next step, which it has to begin.

    Unless what an attempt has sent may still take effect then.
    """
    due_ms, settles_at_ms = incident.due_ms(claim.target), incident.delivery(claim.target).settles_at_ms or 0
    return at_ms if due_ms is None or due_ms <= max(now_ms, settles_at_ms) else min(at_ms, due_ms)


def _holds_up(exc: NotYet, claim: Claim, incident: Incident, now_ms: int) -> bool:
    """Whether an escalation waits for its target for so long that it has to be shown as failing."""
    if not incident.escalates_to(claim.target) or not incident.wants(claim.target):
        return False
    if incident.has_told(claim.target):
        return False
    is_spared = incident.is_fallback(claim.target) and (incident.fallback_due_ms or 0) > now_ms
    return not is_spared and exc.at_ms - now_ms >= HELD_UP_MS


async def _happens_within(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True


def _visible(delivery: Delivery) -> tuple[object, ...]:
    """What channels show of another target."""
    is_failing = delivery.failing_since_ms is not None or delivery.failed_at_ms is not None
    trouble = (is_failing, delivery.is_refused, delivery.is_late, delivery.retry_at_ms, delivery.failed_at_ms)
    return delivery.label, delivery.url, delivery.note, delivery.end_note, trouble, delivery.comment_count
