"""Telling that requests were refused, without letting those who send them fill the log."""

import structlog

from versus_py.clock import Clock

log = structlog.get_logger()

REFUSALS_EVERY_MS = 60_000
"""Whoever reaches the port can have requests refused; the log is not to fill up with them."""


class Refusals:
    """Says that requests were refused: the first at once, then how many there were, at most once a minute."""

    def __init__(self, event: str, clock: Clock) -> None:
        self._event = event
        self._clock = clock
        self._untold = 0
        self._next_ms = 0

    def note(self, remote: str | None, **more: object) -> None:
        """One more, the latest from *remote*."""
        self._untold += 1
        now_ms = self._clock.now_ms()
        if now_ms >= self._next_ms:
            log.warning(self._event, remote=remote, requests=self._untold, **more)
            self._untold, self._next_ms = 0, now_ms + REFUSALS_EVERY_MS
