"""Telling that something was refused, without letting those who bring it about fill the log."""

from collections.abc import Callable

import structlog

log = structlog.get_logger()

REFUSALS_EVERY_MS = 60_000
"""Whoever reaches the port can have requests refused; the log is not to fill up with them."""


class Refusals:
    """Says that requests were refused: the first at once, then how many there were, at most once a minute."""

    def __init__(self, event: str, now_ms: Callable[[], int]) -> None:
        self._event = event
        self._now_ms = now_ms
        self._untold = 0
        self._next_ms = 0

    def note(self, **latest: object) -> None:
        """One more; *latest* is what there is to say of it."""
        self._untold += 1
        now_ms = self._now_ms()
        if now_ms >= self._next_ms:
            log.warning(self._event, requests=self._untold, **latest)
            self._untold, self._next_ms = 0, now_ms + REFUSALS_EVERY_MS
