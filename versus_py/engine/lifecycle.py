"""Applying what happens to incidents: read, decide, save, and again when another replica was faster."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from uuid import uuid4
from weakref import WeakValueDictionary

import structlog

from versus_py.clock import Clock
from versus_py.errors import StoreUnavailable
from versus_py.incidents import transitions
from versus_py.incidents.model import Actor, Incident, IncidentId, Notification, Outcome, PolicyFor
from versus_py.incidents.transitions import Change
from versus_py.store import Store
from versus_py.targets import Called
from versus_py.telemetry.metrics import Metrics

log = structlog.get_logger()

Decision = Callable[[Incident, int], Change | None]
"""What becomes of an incident at some time; None when nothing does."""

BATCH = 100
"""The most incidents that one round trip to Redis carries; a script for each blocks it only for so long."""

RETRIES_MAX = 2000
"""The most failures that one request has tried again, so that it is answered in seconds."""

RETRIED_TOGETHER = 50

MAX_CONFLICTS = 50
"""How often one change is decided again before it counts as failed; each time somebody else got through."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became of a notification; *incident* is None when it was a resolve of nothing known."""

    outcome: Outcome
    incident: Incident | None


@dataclass(slots=True)
class _Arrivals:
    """What came for one dedup key, in order, and what became of it so far."""

    dedup_key: str
    notifications: list[Notification]
    accepted: list[Accepted] = field(default_factory=list)
    stale_id: IncidentId | None = None  # what the key named, and what turned out to be gone

    @property
    def pending(self) -> list[Notification]:
        return self.notifications[len(self.accepted) :]


class Lifecycle:
    """The incidents, and what may happen to them. Every method raises StoreUnavailable.

    *called* tells what people call a target.
    """

    def __init__(self, store: Store, clock: Clock, metrics: Metrics | None = None, *, called: Called = str) -> None:
        self._called = called
        self._store = store
        self._clock = clock
        self._metrics = metrics or Metrics()
        self._locks: WeakValueDictionary[IncidentId, asyncio.Lock] = WeakValueDictionary()

    async def accept(
        self, notifications: Sequence[Notification], policy_for: PolicyFor, warnings: Sequence[str] = ()
    ) -> list[Accepted]:
        """Write down what *notifications* say, in their order; when this returns, it survives a crash.

        *policy_for* and *warnings* are those of the request, and hold for the incidents that this creates. Many are
        written by few round trips. When it raises, some may have been written: the same again is seen as a repeat.
        """
        by_key: dict[str, _Arrivals] = {}
        keys = []
        for it in notifications:
            key = it.dedup_key or f"{it.source}\n{uuid4()}"
            arrivals = by_key.setdefault(key, _Arrivals(key, []))
            arrivals.notifications.append(replace(it, warnings=(*warnings, *it.warnings)))
            keys.append(key)
        for _ in range(MAX_CONFLICTS):
            pending = [arrivals for arrivals in by_key.values() if arrivals.pending]
            if not pending:
                answers = {key: iter(arrivals.accepted) for key, arrivals in by_key.items()}
                return [next(answers[key]) for key in keys]
            for start in range(0, len(pending), BATCH):
                await self._accept_some(pending[start : start + BATCH], policy_for)
        raise StoreUnavailable(f"the incident of dedup key {pending[0].dedup_key!r} keeps changing")

    async def act(
        self, incident_id: IncidentId, decide: Decision, request_id: str = ""
    ) -> tuple[Incident | None, bool]:
        """What a person does: the incident as it is now, and whether this changed it; None when it is unknown.

        A request with an id has its effect once, also when it is sent again at the same time.
        """

        def decided(incident: Incident, now_ms: int) -> Change | None:
            if request_id and request_id in incident.handled:
                return None
            return transitions.once(decide(incident, now_ms), request_id)

        incident, change = await self._apply(incident_id, decided, durably=True)
        if change is None:
            await self._store.settle([incident_id])  # what this answer tells may be news to Redis too
        return incident, change is not None

    async def acknowledge(self, incident_id: IncidentId, by: Actor) -> tuple[Incident | None, bool]:
        """The incident as it is now, and whether this call acknowledged it; None when it is unknown."""
        return await self.act(incident_id, lambda it, now_ms: transitions.acknowledge(it, by, now_ms))

    async def resolve(self, incident_id: IncidentId, by: Actor) -> tuple[Incident | None, bool]:
        """The incident as it is now, and whether this call resolved it; None when it is unknown."""
        return await self.act(incident_id, lambda it, now_ms: transitions.resolve(it, by, now_ms))

    async def identify(self, incident_id: IncidentId, actor: Actor) -> None:
        """Say by name who has been known by an id only."""
        await self._apply(incident_id, lambda it, now_ms: transitions.identify(it, actor, now_ms))

    async def end_snooze(self, incident_id: IncidentId) -> Incident | None:
        """The incident as it is now, its snooze taken back if that is over."""
        incident, _ = await self._apply(incident_id, transitions.end_snooze)
        return incident

    async def begin_escalation(self, incident_id: IncidentId) -> Incident | None:
        """The incident as it is now, marked as escalating if its wait is over and nobody acknowledged."""
        incident, _ = await self._apply(incident_id, transitions.begin_escalation)
        return incident

    async def end_quietly(self, asked: Incident, by: str) -> Incident | None:
        """The incident as it is now: resolved, if it still is what *by* was asked about."""
        incident, _ = await self._apply(
            asked.id, lambda it, now_ms: transitions.end_quietly(it, asked, Actor(by), now_ms)
        )
        return incident

    async def suppress(self, asked: Incident, by: str, until_ms: int | None) -> Incident | None:
        """The incident as it is now: its escalation put off, if it still is what was asked about."""
        incident, _ = await self._apply(
            asked.id, lambda it, now_ms: transitions.suppress(it, asked, by, until_ms, now_ms)
        )
        return incident

    async def give_up(self, incident_id: IncidentId, channel: str, error: str) -> tuple[Incident | None, bool]:
        """Tell the record that a channel is not tried any more, and end the wait when nobody can acknowledge.

        The incident as it is now, and whether this changed it.
        """
        what = f"{self._called(channel)}: {error}"
        incident, change = await self._apply(
            incident_id, lambda it, now_ms: transitions.give_up(it, channel, what, now_ms)
        )
        return incident, change is not None

    async def retry(self, incident_id: IncidentId, by: Actor) -> tuple[Incident | None, bool]:
        """Try again what was given up: the incident as it is now, and whether there was any; None when unknown."""
        return await self.act(incident_id, lambda it, now_ms: transitions.retry(it, by, now_ms, name_of=self._called))

    async def retry_all(self, by: Actor) -> tuple[int, bool]:
        """The same for every incident: of how many, and whether there are more than this tried at once."""
        cursor, number = None, 0
        for _ in range(RETRIES_MAX // RETRIED_TOGETHER):
            page = await self._store.given_up(limit=RETRIED_TOGETHER, cursor=cursor)
            ids = {it.incident.id for it in page.found}
            number += sum(is_retried for _, is_retried in await asyncio.gather(*(self.retry(it, by) for it in ids)))
            cursor = page.cursor
            if cursor is None:
                return number, False
        return number, True

    async def _accept_some(self, pending: Sequence[_Arrivals], policy_for: PolicyFor) -> None:
        """One step for each: an incident created, a known one changed, or nothing, when somebody else was faster."""
        known = await self._created(pending, policy_for) | await self._found(pending)
        async with AsyncExitStack() as locks:
            for incident_id in sorted(known):  # in one order everywhere, so that nobody waits in a circle
                await locks.enter_async_context(self._lock(incident_id))
            await self._observed(known)

    async def _created(self, pending: Sequence[_Arrivals], policy_for: PolicyFor) -> dict[IncidentId, _Arrivals]:
        """Create an incident for what fires; what exists already is returned."""
        firing = [arrivals for arrivals in pending if arrivals.pending[0].is_firing]
        now_ms = self._clock.now_ms()
        changes = [
            transitions.trigger(it.pending[0], policy_for(it.pending[0]), dedup_key=it.dedup_key, now_ms=now_ms)
            for it in firing
        ]
        existing = await self._store.create(
            [(change, arrivals.stale_id) for change, arrivals in zip(changes, firing, strict=True)], now_ms=now_ms
        )
        for change, arrivals, existing_id in zip(changes, firing, existing, strict=True):
            if existing_id is None:
                _log_change(change)
                arrivals.accepted.append(Accepted(Outcome.CREATED, change.incident))
        return {known: arrivals for known, arrivals in zip(existing, firing, strict=True) if known is not None}

    async def _found(self, pending: Sequence[_Arrivals]) -> dict[IncidentId, _Arrivals]:
        """The incidents of what is over; a resolve of nothing known is done with."""
        over = [arrivals for arrivals in pending if arrivals.pending and not arrivals.pending[0].is_firing]
        known: dict[IncidentId, _Arrivals] = {}
        for arrivals, found in zip(over, await self._store.find([it.dedup_key for it in over]), strict=True):
            if found is None or found == arrivals.stale_id:
                while arrivals.pending and not arrivals.pending[0].is_firing:
                    arrivals.accepted.append(Accepted(Outcome.IGNORED, None))
            else:
                known[found] = arrivals
        return known

    async def _observed(self, known: Mapping[IncidentId, _Arrivals]) -> None:
        """Apply what is pending to incidents that exist, all of one incident in one save."""
        now_ms = self._clock.now_ms()
        changes: list[tuple[_Arrivals, Incident, Change, list[Outcome]]] = []
        unchanged: list[IncidentId] = []
        for (incident_id, arrivals), incident in zip(
            known.items(), await self._store.get_all(list(known)), strict=True
        ):
            if incident is None:
                arrivals.stale_id = incident_id
                continue
            change, outcomes = _folded(incident, arrivals.pending, now_ms)
            if change is None:
                arrivals.accepted += [Accepted(outcome, incident) for outcome in outcomes]
                unchanged.append(incident_id)
            else:
                changes.append((arrivals, incident, change, outcomes))
        await self._store.settle(unchanged)
        saved = await self._store.save([change for _, _, change, _ in changes], now_ms=now_ms)
        for (arrivals, before, change, outcomes), is_saved in zip(changes, saved, strict=True):
            if is_saved:
                _log_change(change)
                self._metrics.observe_change(before, change.incident, now_ms)
                incident = replace(change.incident, version=change.incident.version + 1)
                arrivals.accepted += [Accepted(outcome, incident) for outcome in outcomes]

    async def _apply(
        self, incident_id: IncidentId, decide: Decision, *, durably: bool = False
    ) -> tuple[Incident | None, Change | None]:
        """The incident afterwards and the change, which is None when there was nothing to change.

        *durably* when somebody is told; what only a worker goes by would be found out again.
        """
        # Those of one process take turns, so that a storm on one incident is no contest; other replicas conflict.
        async with self._lock(incident_id):
            return await self._decide_and_save(incident_id, decide, durably=durably)

    def _lock(self, incident_id: IncidentId) -> asyncio.Lock:
        return self._locks.setdefault(incident_id, asyncio.Lock())

    async def _decide_and_save(
        self, incident_id: IncidentId, decide: Decision, *, durably: bool
    ) -> tuple[Incident | None, Change | None]:
        for _ in range(MAX_CONFLICTS):
            incident = await self._store.get(incident_id)
            if incident is None:
                return None, None
            now_ms = self._clock.now_ms()
            change = decide(incident, now_ms)
            if change is None:
                return incident, None
            [is_saved] = await self._store.save([change], now_ms=now_ms, durably=durably)
            if is_saved:
                _log_change(change)
                self._metrics.observe_change(incident, change.incident, now_ms)
                return replace(change.incident, version=incident.version + 1), change
        raise StoreUnavailable(f"incident {incident_id} keeps changing")


def _folded(
    incident: Incident, notifications: Sequence[Notification], now_ms: int
) -> tuple[Change | None, list[Outcome]]:
    """One change for all of them, None when they say nothing new, and the outcome of each."""
    change: Change | None = None
    outcomes = []
    for notification in notifications:
        step = transitions.observe(change.incident if change else incident, notification, now_ms)
        outcomes.append(step.outcome if step else Outcome.IGNORED)
        if step is not None:
            change = change.then(step) if change else step
    return change, outcomes


def _log_change(change: Change) -> None:
    for entry in change.entries:
        said = {"detail": entry.detail, "by": str(entry.by or "")}
        log.info(
            "incident.changed",
            incident=change.incident.id,
            what=entry.event.value,
            **{name: value for name, value in said.items() if value},
        )
