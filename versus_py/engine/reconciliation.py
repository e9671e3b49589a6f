"""Incidents compared with their records now and then: what their systems tell of changes may get lost, or come late.

Each difference is repaired by hearing the record as it is, so that one that was told in the meantime changes nothing.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from versus_py.clock import Clock
from versus_py.engine.tickets import Tickets
from versus_py.errors import Permanent, StoreUnavailable, Transient
from versus_py.incidents.copies import replace
from versus_py.incidents.model import Incident, Outcome, Status, system_of
from versus_py.incidents.sides import Side
from versus_py.incidents.tickets import differences
from versus_py.store import Store
from versus_py.targets.feed import Feed
from versus_py.targets.target import NotYet
from versus_py.telemetry.metrics import Metrics

log = structlog.get_logger()

BATCH = 100
"""Incidents whose records are asked for at once."""

LOOK_EVERY_S = 15.0
"""How often to see whether it is time to compare."""

SWEEP_MAX_S = 240.0
"""How long one comparison of all records of a target may take; the next one goes on with the rest."""

ENDED_FOR_MS = 3600_000
"""What was resolved is compared for so long: its record may not have been told."""


@dataclass(frozen=True, slots=True)
class _Rest:
    """What a comparison that did not come to its end has left to the next one."""

    cursor: str | None = None  # of the page at which it ended; of the next one, where that was its first
    drift: int = 0  # of what it has compared


class Reconciliation:
    """Compares, one replica at a time. *targets* are those whose systems have a feed."""

    def __init__(
        self,
        tickets: Tickets,
        targets: Sequence[str],
        *,
        store: Store,
        clock: Clock,
        metrics: Metrics,
        look_every_s: float = LOOK_EVERY_S,
    ) -> None:
        self._tickets = tickets
        self._targets = targets
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._look_every_s = look_every_s
        self._compared_ms: dict[str, int] = {}
        self._rest: dict[str, _Rest] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Compare when it is time, until *stop* is set. Redis and the systems may come and go meanwhile.

        Each target by itself: one that is slow holds up no other.
        """
        async with asyncio.TaskGroup() as loops:
            for target in self._targets:
                loops.create_task(self._run(target, stop))

    async def _run(self, target: str, stop: asyncio.Event) -> None:
        while not stop.is_set():
            await self._compare_in_turn(target)
            try:
                async with asyncio.timeout(self._look_every_s):
                    await stop.wait()
            except TimeoutError:
                continue

    async def _compare_in_turn(self, target: str) -> None:
        every_ms = self._tickets.feeds[system_of(target)].compares_every_ms(target)
        if every_ms is None:
            return
        try:
            if target in await self._store.refusals.systems():
                return  # each request with a refused password may count towards a lock of the account
            if not await self._store.takes_turn(f"compare:{target}", for_ms=every_ms):
                self._forget_drift(target, every_ms)
                return
            self._compared_ms[target] = self._clock.now_ms()
            async with asyncio.timeout(SWEEP_MAX_S):
                await self.compare(target)
        except (Transient, Permanent, NotYet, StoreUnavailable, TimeoutError) as exc:
            log.warning("records.not_compared", target=target, error=str(exc) or "it took too long")
        except Exception:
            log.exception("records.not_compared", target=target)

    def _forget_drift(self, target: str, every_ms: int) -> None:
        """Another replica has compared since: its number counts, and this one's is of the past."""
        if target in self._compared_ms and self._compared_ms[target] + every_ms <= self._clock.now_ms():
            del self._compared_ms[target]
            self._metrics.servicenow_drift.labels(target).set(0)

    async def compare(self, target: str) -> int:
        """Hear how all records of *target* are; how many do not agree with their incidents afterwards, and should.

        The target of such a one is woken, to write what is missing. After one that has failed, or took too long, it
        goes on with what that one has left. A page that fails twice is left out, so that it holds up no other.
        """
        rest, repaired = self._rest.get(target, _Rest()), 0
        cursor, drift = rest.cursor, rest.drift

        def wanted(incident: Incident) -> bool:
            return is_compared(incident, target, self._clock.now_ms())

        while True:
            page = await self._store.page(wanted=wanted, limit=BATCH, cursor=cursor)
            self._rest[target] = _Rest(page.cursor if cursor == rest.cursor else cursor, drift)
            repaired_here, drift_here = await self._compare_page(target, page.incidents)
            repaired, drift = repaired + repaired_here, drift + drift_here
            cursor = page.cursor
            if cursor is None:
                break
        del self._rest[target]
        self._metrics.servicenow_drift.labels(target).set(drift)
        if repaired or drift:
            log.info("records.compared", target=target, repaired=repaired, drift=drift)
        return drift

    async def _compare_page(self, target: str, incidents: Sequence[Incident]) -> tuple[int, int]:
        """How many were repaired, and how many do not agree afterwards."""
        feed = self._tickets.feeds[system_of(target)]
        reports = await feed.look(target, incidents) if incidents else {}
        drift, repaired = 0, 0
        for incident in incidents:
            report = reports.get(incident.id)
            if report is None:
                continue
            heard, outcome = await self._tickets.hear(incident.id, replace(report, is_repair=True))
            repaired += outcome is not Outcome.IGNORED
            if heard is not None and _drifts(heard, target, report.side, feed):
                drift += 1
                await self._store.arm(incident.id, target, now_ms=self._clock.now_ms())
        return repaired, drift


def is_compared(incident: Incident, target: str, now_ms: int) -> bool:
    """Whether it has a record at *target*, and is open or was resolved a short time ago."""
    is_past = incident.status is Status.RESOLVED and (incident.resolved_at_ms or 0) + ENDED_FOR_MS < now_ms
    return bool(incident.delivery(target).reference) and not is_past


def _drifts(incident: Incident, target: str, side: Side, feed: Feed) -> bool:
    """Whether the record is not as it should be: over when its incident is, where that is written to it.

    *side* is how it was read; it may have been told of since. What is open although the end of its record was heard
    was reopened here. Its record is, once it is called again.
    """
    known = incident.sides.get(target, side)
    if not differences(incident, max(known, side, key=lambda it: it.revision)):
        return False
    return feed.writes_ends(target, incident) if incident.status is Status.RESOLVED else not known.standing.is_over
