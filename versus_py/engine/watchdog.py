"""The watchdog: says what is overdue by the ledger, and that Redis lost its data, until somebody mends it."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import structlog

from versus_py.clock import Clock, monotonic_ms
from versus_py.errors import StoreUnavailable, Unreadable
from versus_py.incidents.model import IncidentId
from versus_py.incidents.partitions import partitions
from versus_py.store import Ledger, Loss, Markers, Standing, Store
from versus_py.telemetry.metrics import Metrics
from versus_py.telemetry.throttled import ThrottledLog

log = structlog.get_logger()

LOOK_EVERY_S = 5.0
GRACE_MS = 15_000
"""How much later than by a lease, which a worker that died costs, an escalation may be before it counts as overdue."""

RENEW_EVERY_MS = 6 * 3600_000
"""How often all that is open is looked through for what has to be kept for longer."""

TOLD_EVERY_MS = 60_000
"""How often the log says the same of an incident."""

TOLD_AT_ONCE = 5
"""Most incidents that one look logs; the number of all is with each."""


_ACCEPT = "find out why Redis lost its data, then run: versus accept-empty"


class Watchdog:
    """Looks at the escalations of all replicas; every process has one. *lease_ms* is how long a claim lasts.

    *on_loss* is called when Redis has lost its data, once in a process for each loss. Without *renews*, another process
    of the machine keeps what is open.
    """

    def __init__(
        self,
        store: Store,
        ledger: Ledger,
        clock: Clock,
        metrics: Metrics,
        *,
        lease_ms: int,
        markers: Markers,
        on_loss: Callable[[Loss], Awaitable[None]] | None = None,
        look_every_s: float = LOOK_EVERY_S,
        renews: bool = True,
    ) -> None:
        self.grace_ms = lease_ms + GRACE_MS
        self._store = store
        self._ledger = ledger
        self._clock = clock
        self._metrics = metrics
        self._markers = markers
        self._on_loss = on_loss
        self._look_every_s = look_every_s
        self._renews = renews
        self._lost = ThrottledLog("store.emptied", monotonic_ms, level="error", counted_as="looks")
        self._handled_loss_ms: int | None = None
        self._unreadable = ThrottledLog("incident.unreadable", monotonic_ms, level="error", counted_as="looks")
        self._told_ms: dict[IncidentId, int] = {}
        self._renew_at_ms = 0
        self._renewing = dict.fromkeys(partitions(), 0)  # partition -> the number to go on from
        self.standing: Standing | None = None
        """What the last look found; None before the first."""
        self.looked_at_ms: int | None = None
        """When everything was looked at last."""
        self.loss: Loss | None = None
        """What Redis has lost and no operator has accepted."""

    async def run(self, stop: asyncio.Event) -> None:
        """Look every few seconds, until *stop* is set. Redis may come and go meanwhile."""
        # Looks at *stop* by itself: a cancellation that meets an answer can get lost in redis-py.
        while not stop.is_set():
            try:
                await self.look()
                if self._renews:
                    await self.renew()
            except StoreUnavailable as exc:
                log.warning("watchdog.store_unavailable", error=str(exc))
            try:
                async with asyncio.timeout(self._look_every_s):
                    await stop.wait()
            except TimeoutError:
                continue

    async def look(self) -> Standing:
        """How things stand now; what is overdue is told, and what nobody would come back to is armed again."""
        now_ms = self._clock.now_ms()
        await self._compare(now_ms)
        standing = await self._ledger.look(now_ms=now_ms, due_before_ms=now_ms - self.grace_ms)
        self.standing = standing
        if standing.partitions_lost:
            log.warning("watchdog.store_unavailable", partitions=standing.partitions_lost)
        else:
            self.looked_at_ms = now_ms
        self._show(standing)
        self._tell(standing, now_ms)
        await self._bring_back(standing.overdue_ids, now_ms)
        return standing

    async def renew(self) -> None:
        """Keep what is open from being forgotten: a bounded part of it each time, and all of it several times a day."""
        now_ms = self._clock.now_ms()
        if not self._renewing and now_ms >= self._renew_at_ms:
            self._renewing = dict.fromkeys(partitions(), 0)
        for partition, start in [*self._renewing.items()]:
            try:
                next_start = await self._store.renew(partition, start, now_ms=now_ms)
            except StoreUnavailable as exc:  # of a cluster, the other nodes are there
                log.warning("watchdog.store_unavailable", error=str(exc))
                continue
            if next_start is None:
                del self._renewing[partition]
                self._renew_at_ms = now_ms + RENEW_EVERY_MS
            else:
                self._renewing[partition] = next_start

    async def _compare(self, now_ms: int) -> None:
        """Whether Redis holds the data that it held at the last look."""
        self.loss = loss = await self._markers.look(now_ms=now_ms)
        self._metrics.store_emptied.set(loss is not None)
        if loss is None:
            return
        self._lost.note(how=str(loss), at=str(datetime.fromtimestamp(loss.at_ms / 1000, UTC)), advice=_ACCEPT)
        if self._on_loss is not None and loss.at_ms != self._handled_loss_ms:
            await self._on_loss(loss)
        self._handled_loss_ms = loss.at_ms

    def _show(self, standing: Standing) -> None:
        self._metrics.escalations_pending.set(standing.pending)
        self._metrics.escalations_overdue.set(standing.overdue)
        for state, number in (
            ("due", standing.timers_due),
            ("waiting", standing.timers_waiting),
            ("running", standing.running),
            ("failed", standing.failed),
        ):
            self._metrics.timers.labels(state).set(number)

    def _tell(self, standing: Standing, now_ms: int) -> None:
        self._told_ms = {it: told_ms for it, told_ms in self._told_ms.items() if told_ms > now_ms - TOLD_EVERY_MS}
        untold = [it for it in standing.overdue_ids if it not in self._told_ms]
        for incident_id in untold[:TOLD_AT_ONCE]:
            self._told_ms[incident_id] = now_ms
            log.error("escalation.overdue", incident=incident_id, overdue=standing.overdue)

    async def _bring_back(self, incident_ids: tuple[IncidentId, ...], now_ms: int) -> None:
        for incident_id in incident_ids:
            try:
                incident = await self._store.get(incident_id)
            except Unreadable as exc:
                self._unreadable.note(incident=incident_id, error=str(exc))
                continue
            match await self._ledger.rearm(incident_id, incident, now_ms=now_ms):
                case "armed":
                    self._metrics.escalations_rearmed.inc()
                    log.error("escalation.rearmed", incident=incident_id)
                case "gone":
                    log.error("escalation.forgotten", incident=incident_id)
