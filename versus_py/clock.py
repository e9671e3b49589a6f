"""Where the time comes from: integer milliseconds since the epoch, handed in so that tests can move it."""

import time
from typing import Protocol


class Clock(Protocol):
    """Tells the time."""

    def now_ms(self) -> int:
        """Milliseconds since the epoch, UTC."""


class SystemClock:
    """The time of this machine."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000


class SharedClock:
    """The time of a server that all replicas share, carried forward by this machine's monotonic clock.

    A replica whose wall clock is wrong, or is set while it runs, tells the same time as the others.
    Until the first `follow`, this machine's own time has to do.
    """

    def __init__(self) -> None:
        self._offset_ms = SystemClock().now_ms() - _monotonic_ms()

    def follow(self, server_ms: int) -> None:
        """From now on, the time is *server_ms* plus what passes."""
        self._offset_ms = server_ms - _monotonic_ms()

    def now_ms(self) -> int:
        return _monotonic_ms() + self._offset_ms


def _monotonic_ms() -> int:
    return time.monotonic_ns() // 1_000_000
