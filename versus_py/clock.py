"""Where the time comes from: integer milliseconds since the epoch, handed in so that tests can move it."""

import math
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

from versus_py.errors import StoreUnavailable

GOOD_ENOUGH_MS = 50
"""How wrong the time may be and is still taken: a server whose clock was set is soon followed."""

DRIFT_MAX = 0.0002
"""How much a machine's clock may gain or lose: twice what a bad crystal does."""


def monotonic_ms() -> int:
    return time.monotonic_ns() // 1_000_000


class Clock(Protocol):
    """Tells the time."""

    def now_ms(self) -> int:
        """Milliseconds since the epoch, UTC. Raises StoreUnavailable while the time is not known."""


class SystemClock:
    """The time of this machine."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000


class SharedClock:
    """The time of a server that all replicas share, carried forward by this machine's monotonic clock.

    A replica whose wall clock is wrong, or is set while it runs, tells the same time as the others. Until the first
    `follow` there is no time: an alert that was accepted by this machine's own would escalate when nobody expects it.
    """

    def __init__(self, monotonic_ms: Callable[[], int] = monotonic_ms) -> None:
        self._monotonic_ms = monotonic_ms
        self._set_at_ms = monotonic_ms()
        self._offset_ms: int | None = None
        self._error_ms = math.inf  # how wrong it may have been when it was set

    async def follow(self, server_time_ms: Callable[[], Awaitable[int]]) -> None:
        """From now on, the time is what the server says, plus what passes.

        An answer that took long may have been true at its beginning or at its end: it is left aside, unless the last
        one was no better, counting what this machine's clock may have drifted since.
        """
        asked_at_ms = self._monotonic_ms()
        server_ms = await server_time_ms()
        answered_at_ms = self._monotonic_ms()
        error_ms = (answered_at_ms - asked_at_ms) / 2
        doubt_ms = self._error_ms + (answered_at_ms - self._set_at_ms) * DRIFT_MAX
        if error_ms <= max(GOOD_ENOUGH_MS, doubt_ms):
            self._set_at_ms, self._error_ms = answered_at_ms, error_ms
            self._offset_ms = server_ms + round(error_ms) - answered_at_ms

    def now_ms(self) -> int:
        if self._offset_ms is None:
            raise StoreUnavailable("Redis has not told the time yet")
        return self._monotonic_ms() + self._offset_ms
