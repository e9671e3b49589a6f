"""Whether this process can do its work: for load balancers, for Prometheus, and for a sign of life."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import structlog

from versus_py.clock import Clock, monotonic_ms
from versus_py.engine.watchdog import Watchdog
from versus_py.engine.worker import Worker
from versus_py.errors import StoreFull, StoreUnavailable
from versus_py.incidents import heartbeats
from versus_py.incidents.updates import counted
from versus_py.store import Loss, Standing, Store
from versus_py.store.replicas import Circuit, Pace
from versus_py.telemetry.metrics import Metrics
from versus_py.telemetry.throttled import ThrottledLog

log = structlog.get_logger()

WRITE_TIMEOUT_S = 4.0
"""As long as an alert waits for Redis; whether a write lasts is known after half of it."""

FRESH_FOR_S = 1.0
"""How long an answer is given again: whoever asks often does not keep Redis busy."""

STARTING = "starting"
"""What is said of a worker that has not looked yet at what is due."""

UNREADY_AFTER_LOSS_MS = 120_000
"""How long nobody is ready after Redis lost its data. Alerts that arrive meanwhile are accepted."""


@dataclass(frozen=True, slots=True)
class Readiness:
    """What can be done, each part in a word: "ok", or what is wrong."""

    redis: str  # "full", and "emptied" while a loss of data is not accepted, are no reason to refuse what comes
    worker: str
    targets: Mapping[str, str]  # "open": left alone for a while because it does not answer; "refused": our credentials
    overdue: int
    has_just_lost: bool = False  # Redis, its data: so that whoever supervises the process takes notice

    @property
    def is_ready(self) -> bool:
        """Whether requests should come here.

        A target that does not answer is no reason to send them elsewhere: what is accepted waits, and no other
        replica would reach it either. Nor is a full Redis: acknowledgments and resolves are still taken.
        """
        return self.redis in {"ok", "full", "emptied"} and self.worker == "ok" and not self.has_just_lost

    @property
    def status(self) -> str:
        if not self.is_ready:
            return "unready"
        parts = (self.redis, *self.targets.values())
        return "degraded" if self.overdue or any(it != "ok" for it in parts) else "ready"


class Health:
    """Looks at the parts of this process. *is_on_disk* tells whether the embedded server can write its files."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        metrics: Metrics,
        *,
        worker: Worker,
        watchdog: Watchdog,
        is_on_disk: Callable[[], bool] = lambda: True,
    ) -> None:
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._worker = worker
        self._watchdog = watchdog
        self._is_on_disk = is_on_disk
        # A worker whose hands are all full may have no time for Redis as long as a claim lasts.
        self._stalled_after_ms = watchdog.grace_ms
        self._asking = asyncio.Lock()
        self._known: tuple[float, str] | None = None
        self._full = ThrottledLog("health.redis_full", monotonic_ms, level="error", counted_as="times")

    @property
    def worker(self) -> str:
        """ "ok", or what is wrong with it."""
        return self._worker_says()

    @property
    def running(self) -> int:
        """How many syncs are under way in this process."""
        return self._worker.running

    @property
    def circuits(self) -> Mapping[str, Circuit]:
        """The systems that this process leaves alone for a while."""
        return self._worker.circuits

    @property
    def refusals(self) -> Mapping[str, str]:
        """The systems that refuse its credentials, and how."""
        return self._worker.refusals

    @property
    def paces(self) -> Mapping[str, Pace]:
        """How fast this process delivers to each system."""
        return self._worker.paces

    @property
    def standing(self) -> Standing | None:
        """How many escalations, timers and failures there are, of all replicas; None before the first look."""
        return self._watchdog.standing

    @property
    def loss(self) -> Loss | None:
        """What Redis has lost and no operator has accepted."""
        return self._watchdog.loss

    async def readiness(self) -> Readiness:
        standing, loss = self._watchdog.standing, self._watchdog.loss
        redis = await self._redis()
        return Readiness(
            redis="emptied" if redis == "ok" and loss is not None else redis,
            worker=self._worker_says(),
            targets=dict.fromkeys((it for it in self._worker.target_names if it != heartbeats.TARGET), "ok")
            | dict.fromkeys(self._worker.left_alone, "open")
            | dict.fromkeys(self._worker.refusing, "refused"),
            overdue=0 if standing is None else standing.overdue,
            has_just_lost=loss is not None and self._clock.now_ms() < loss.at_ms + UNREADY_AFTER_LOSS_MS,
        )

    async def trouble(self) -> str:
        """Why there should be no sign of life; "" when everything goes on."""
        if (said := self._worker_says()) != "ok":
            return f"the worker is {said}"
        redis = await self._redis()
        if redis == "full":
            return "Redis is full: new alerts are refused"
        if redis == "not_on_disk":
            return "the files of the embedded server are gone and cannot be written: a restart would lose everything"
        if redis != "ok":
            return "Redis takes no writes, or not as surely as redis.durability asks for: alerts are refused"
        if self._watchdog.loss is not None:
            return "Redis lost its data; once you know why, run: versus accept-empty"
        standing, looked_at_ms = self._watchdog.standing, self._watchdog.looked_at_ms
        if standing is None or looked_at_ms is None:
            return "nobody has looked yet at what is overdue"
        if self._clock.now_ms() - looked_at_ms > self._stalled_after_ms:
            return "nobody could look for a while at what is overdue"
        overdue = standing.overdue
        return f"{counted(overdue, 'escalation')} {'is' if overdue == 1 else 'are'} overdue" if overdue else ""

    def _worker_says(self) -> str:
        turned_at_ms = self._worker.turned_at_ms
        if turned_at_ms is None:
            return STARTING
        return "ok" if self._clock.now_ms() - turned_at_ms <= self._stalled_after_ms else "stalled"

    async def _redis(self) -> str:
        async with self._asking:  # who asks meanwhile gets the same answer
            loop = asyncio.get_running_loop()
            if self._known is None or loop.time() - self._known[0] >= FRESH_FOR_S:
                said = await self._written()
                self._known = (loop.time(), said)
            return self._known[1]

    async def _written(self) -> str:
        try:
            async with asyncio.timeout(WRITE_TIMEOUT_S):
                await self._store.prove_writable()
        except StoreFull as exc:
            self._full.note(error=str(exc), advice="raise maxmemory: new alerts are refused")
            return "full"
        except (StoreUnavailable, TimeoutError) as exc:
            log.warning("health.redis_unavailable", error=str(exc) or f"no answer within {WRITE_TIMEOUT_S:g} s")
            return "unavailable"
        return "ok" if self._is_on_disk() else "not_on_disk"
