"""What this process delivers when much is due, and the most that ever was: so that a burst is no surprise."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from versus_py.clock import Clock
from versus_py.errors import StoreUnavailable
from versus_py.incidents import heartbeats
from versus_py.store.bursts import COUNTED_MINUTES, MINUTE_MS, Bursts
from versus_py.store.replicas import Pace
from versus_py.telemetry.metrics import Metrics

EVERY_S = 10.0
"""How often what came due is written down."""

READ_EVERY_MS = 60_000
"""How often the largest burst is read again, for the metric."""


class Came:
    """What came due at this process, and is not written down yet: (minute since the epoch, system) -> how many."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[int, str]] = Counter()

    def note(self, system: str, due_ms: int) -> None:
        self._counts[due_ms // MINUTE_MS, system] += 1

    def take(self) -> Counter[tuple[int, str]]:
        """All of it, from now on the caller's."""
        taken, self._counts = self._counts, Counter()
        return taken

    def give_back(self, taken: Counter[tuple[int, str]], *, now_ms: int) -> None:
        """It could not be written down. What is too old to be counted is dropped, so that it stays little."""
        first = now_ms // MINUTE_MS - COUNTED_MINUTES
        self._counts += Counter({key: count for key, count in taken.items() if key[0] >= first})


class Capacity:
    """Writes down what came due, and tells Prometheus the largest burst."""

    def __init__(
        self,
        bursts: Bursts,
        came: Came,
        clock: Clock,
        metrics: Metrics,
        *,
        every_s: float = EVERY_S,
    ) -> None:
        self._bursts = bursts
        self._came = came
        self._clock = clock
        self._metrics = metrics
        self._every_s = every_s
        self._read_at_ms = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Until *stop* is set, and once more then. Redis may come and go meanwhile."""
        while not stop.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(self._every_s):
                    await stop.wait()
            with suppress(StoreUnavailable):  # which the watchdog says
                await self.write(self._clock.now_ms())

    async def write(self, now_ms: int) -> None:
        """Raises StoreUnavailable, and keeps what it could not write."""
        if taken := self._came.take():
            try:
                await self._bursts.note(taken, now_ms=now_ms)
            except StoreUnavailable:
                self._came.give_back(taken, now_ms=now_ms)
                raise
        if now_ms >= self._read_at_ms:
            for system, burst in (await self._bursts.largest(now_ms=now_ms)).items():
                self._metrics.largest_burst.labels(system).set(burst.deliveries)
            self._read_at_ms = now_ms + READ_EVERY_MS


@dataclass(frozen=True, slots=True)
class Drain:
    """How fast replicas deliver to one system together."""

    replicas: int
    slots: int  # deliveries at once
    most_slots: int  # what the limit may rise to
    seconds: float  # that one takes, on average of all slots

    @property
    def per_second(self) -> float:
        """What the slots of now deliver: each is free again after as long as a delivery takes."""
        return self.slots / self.seconds

    @property
    def most_per_second(self) -> float:
        """The same with all slots that the limit may rise to, if the system bears them as fast."""
        return self.most_slots / self.seconds

    def last_is_late_s(self, deliveries: int) -> float:
        """How late the last one is of so many that come due at the same moment."""
        return deliveries / self.per_second


def drained(paces: list[Mapping[str, Pace]]) -> dict[str, Drain]:
    """What replicas do together, by system; *paces* are those of each."""
    found: dict[str, Drain] = {}
    for system in sorted({name for it in paces for name in it if name != heartbeats.TARGET}):
        mine = [it[system] for it in paces if system in it]
        slots = sum(it.slots for it in mine)
        per_second = sum(it.slots / it.seconds for it in mine)
        found[system] = Drain(len(mine), slots, sum(it.most for it in mine), slots / per_second)
    return found
