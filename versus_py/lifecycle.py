"""Applying what happens to incidents: read, decide, save, and again when another replica was faster."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from uuid import uuid4
from weakref import WeakValueDictionary

import structlog

from versus_py import incident as transitions
from versus_py.clock import Clock
from versus_py.errors import StoreUnavailable
from versus_py.incident import Change, Incident, IncidentId, Notification, Outcome, Policy
from versus_py.store import Store

log = structlog.get_logger()

MAX_CONFLICTS = 50
"""How often one change is decided again before it counts as failed; each time somebody else got through."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became of a notification; *incident* is None when it was a resolve of nothing known."""

    outcome: Outcome
    incident: Incident | None


class Lifecycle:
    """The incidents, and what may happen to them. Every method raises StoreUnavailable."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._locks: WeakValueDictionary[IncidentId, asyncio.Lock] = WeakValueDictionary()

    async def accept(self, notification: Notification, policy: Policy, warnings: Sequence[str] = ()) -> Accepted:
        """Write down what *notification* says; when this returns, it survives a crash.

        *policy* and *warnings* are those of the request, and hold for an incident that this creates.
        """
        dedup_key = notification.dedup_key or f"{notification.source}\n{uuid4()}"
        notification = replace(notification, warnings=(*warnings, *notification.warnings))
        stale_id: IncidentId | None = None
        for _ in range(MAX_CONFLICTS):
            known_id = await self._known_or_created(notification, policy, dedup_key, stale_id)
            if isinstance(known_id, Accepted):
                return known_id
            incident, change = await self._apply(
                known_id, lambda it, now_ms: transitions.observe(it, notification, now_ms)
            )
            if incident is not None:
                return Accepted(change.outcome if change else Outcome.IGNORED, incident)
            stale_id = known_id
        raise StoreUnavailable(f"the incident of dedup key {dedup_key!r} keeps changing")

    async def acknowledge(self, incident_id: IncidentId, by: str) -> tuple[Incident | None, bool]:
        """The incident as it is now, and whether this call acknowledged it; None when it is unknown."""
        incident, change = await self._apply(incident_id, lambda it, now_ms: transitions.acknowledge(it, by, now_ms))
        return incident, change is not None

    async def resolve(self, incident_id: IncidentId, by: str) -> tuple[Incident | None, bool]:
        """The incident as it is now, and whether this call resolved it; None when it is unknown."""
        incident, change = await self._apply(incident_id, lambda it, now_ms: transitions.resolve(it, by, now_ms))
        return incident, change is not None

    async def begin_escalation(self, incident_id: IncidentId) -> Incident | None:
        """The incident as it is now, marked as escalating if its wait is over and nobody acknowledged."""
        incident, _ = await self._apply(incident_id, transitions.begin_escalation)
        return incident

    async def escalate_now(self, incident_id: IncidentId, reason: str) -> Incident | None:
        """The incident as it is now, its wait ended."""
        incident, _ = await self._apply(incident_id, lambda it, now_ms: transitions.escalate_now(it, reason, now_ms))
        return incident

    async def _known_or_created(
        self, notification: Notification, policy: Policy, dedup_key: str, stale_id: IncidentId | None
    ) -> IncidentId | Accepted:
        if not notification.is_firing:
            known_id = await self._store.find(dedup_key)
            return Accepted(Outcome.IGNORED, None) if known_id is None or known_id == stale_id else known_id
        now_ms = self._clock.now_ms()
        change = transitions.trigger(notification, policy, dedup_key=dedup_key, now_ms=now_ms)
        existing = await self._store.create(change, now_ms=now_ms, stale_id=stale_id)
        if existing is not None:
            return existing
        _log_change(change)
        return Accepted(Outcome.CREATED, change.incident)

    async def _apply(
        self, incident_id: IncidentId, decide: Callable[[Incident, int], Change | None]
    ) -> tuple[Incident | None, Change | None]:
        """The incident afterwards and the change, which is None when there was nothing to change."""
        # Those of one process take turns, so that a storm on one incident is no contest; other replicas conflict.
        async with self._locks.setdefault(incident_id, asyncio.Lock()):
            return await self._decide_and_save(incident_id, decide)

    async def _decide_and_save(
        self, incident_id: IncidentId, decide: Callable[[Incident, int], Change | None]
    ) -> tuple[Incident | None, Change | None]:
        for _ in range(MAX_CONFLICTS):
            incident = await self._store.get(incident_id)
            if incident is None:
                return None, None
            now_ms = self._clock.now_ms()
            change = decide(incident, now_ms)
            if change is None:
                return incident, None
            if await self._store.save(change, now_ms=now_ms):
                _log_change(change)
                return replace(change.incident, version=incident.version + 1), change
        raise StoreUnavailable(f"incident {incident_id} keeps changing")


def _log_change(change: Change) -> None:
    for entry in change.entries:
        said = {"detail": entry.detail, "by": entry.by}
        log.info(
            "incident.changed",
            incident=change.incident.id,
            what=entry.event,
            **{name: value for name, value in said.items() if value},
        )
