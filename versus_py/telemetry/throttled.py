"""Lines of the log that whoever brings them about could fill it with: the first at once, then one a minute."""

from collections.abc import Callable
from typing import Literal

import structlog

log = structlog.get_logger()

EVERY_MS = 60_000
"""The shortest time between two lines."""


class ThrottledLog:
    """Says the first time at once, then how often it was, at most once a minute.

    The line of the log has the *level*, the number by the name *counted_as*, and what was noted last.
    """

    def __init__(
        self,
        event: str,
        now_ms: Callable[[], int],
        *,
        level: Literal["warning", "error"] = "warning",
        counted_as: str = "requests",
    ) -> None:
        self._event = event
        self._now_ms = now_ms
        self._level = level
        self._counted_as = counted_as
        self._untold = 0
        self._next_ms = 0

    def note(self, **latest: object) -> None:
        """One more; *latest* is what there is to say of it."""
        self._untold += 1
        now_ms = self._now_ms()
        if now_ms >= self._next_ms:
            getattr(log, self._level)(self._event, **{self._counted_as: self._untold}, **latest)
            self._untold, self._next_ms = 0, now_ms + EVERY_MS
