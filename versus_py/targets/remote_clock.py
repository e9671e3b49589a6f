"""The clock of another system, as far as its answers tell: by it, its times are compared with ours."""

import math
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from typing import Any

import structlog

from versus_py.clock import Clock
from versus_py.errors import StoreUnavailable
from versus_py.targets.check import Check, CheckStatus

log = structlog.get_logger()

NOT_APART_MS = 2_000
"""Less cannot be told: `Date` has whole seconds, and an answer is on its way for a while."""

FAR_APART_MS = 30_000
"""More is logged, and told by `versus doctor`."""

ON_ITS_WAY_MAX_MS = 10_000
"""An answer that took longer tells no time."""

RETRY_AFTER_MAX_S = 3600.0


class RemoteClock:
    """The clock of *system*, beside the shared one. Until its first answer, both are taken to be the same."""

    def __init__(self, system: str, clock: Clock) -> None:
        self._system = system
        self._clock = clock
        self._is_far_apart = False
        self.is_known = False
        self.ahead_ms = 0
        """How far it is ahead of the shared time; 0 when that cannot be told."""

    def asked_at_ms(self) -> int | None:
        """Now, when something is asked, for `note`; None when that is not known."""
        try:
            return self._clock.now_ms()
        except StoreUnavailable:
            return None

    def note(self, headers: Any, asked_at_ms: int | None) -> None:
        """What an answer that came just now says; *headers* are a mapping whose names have no case.

        One that was long on its way says little: this machine may have stood still when it had come.
        """
        said_ms, now_ms = date_ms(headers.get("Date")), self.asked_at_ms()
        if said_ms is None or now_ms is None or asked_at_ms is None or now_ms - asked_at_ms > ON_ITS_WAY_MAX_MS:
            return
        ahead_ms = said_ms + 500 - now_ms  # in the middle of its second
        self.is_known = True
        self.ahead_ms = ahead_ms if abs(ahead_ms) > NOT_APART_MS else 0
        is_far_apart = abs(ahead_ms) > FAR_APART_MS
        if is_far_apart and not self._is_far_apart:
            log.warning("clock.differs", system=self._system, ahead_s=round(ahead_ms / 1000))
        self._is_far_apart = is_far_apart

    def checks(self, name: str) -> Iterator[Check]:
        """For the doctor: one, by that name, when the two clocks are far apart."""
        if abs(self.ahead_ms) > FAR_APART_MS:
            seconds = f"{abs(self.ahead_ms) / 1000:.0f} s {'ahead of' if self.ahead_ms > 0 else 'behind'}"
            advice = "set the clock of Redis' machine by NTP; if that is right, this system's is wrong"
            yield Check(name, CheckStatus.WARNING, f"{self._system}'s clock is {seconds} Redis'", advice)

    def now_ms(self) -> int:
        """What it says now."""
        return self.theirs(self._clock.now_ms())

    def theirs(self, at_ms: int) -> int:
        """The moment *at_ms* of the shared time by this clock."""
        return at_ms + self.ahead_ms

    def ours(self, at_ms: int) -> int:
        """The moment *at_ms* of this clock by the shared time."""
        return at_ms - self.ahead_ms


def date_ms(text: str | None) -> int | None:
    """A date of HTTP; None when it is none."""
    try:
        return None if text is None else round(parsedate_to_datetime(text).timestamp() * 1000)
    except (ValueError, OverflowError):
        return None


def retry_after_s(headers: Any) -> float | None:
    """The header `Retry-After`, at most an hour; None when it says nothing.

    A date counts from that of the answer: both are by the clock of who wrote them.
    """
    text = headers.get("Retry-After")
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        until_ms, said_ms = date_ms(text), date_ms(headers.get("Date"))
        if until_ms is None or said_ms is None:
            return None
        seconds = (until_ms - said_ms) / 1000
    if math.isnan(seconds):
        return None
    return min(RETRY_AFTER_MAX_S, max(0.0, seconds))
