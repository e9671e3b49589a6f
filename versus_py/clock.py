"""Where the time comes from: integer milliseconds since the epoch, handed in so that tests can move it."""

import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Protocol

from versus_py.errors import StoreUnavailable

GOOD_ENOUGH_MS = 50
"""How wrong the time may be and is still taken."""

DRIFT_MAX = 0.0002
"""How much a machine's clock may gain or lose: twice what a bad crystal does."""

JUMP_MS = 2_000
"""A server whose clock says something that is this much off what it should say has jumped. Less is followed at once."""

STEADY_MS = 5 * 60_000
"""How long a clock that has jumped has to go on steadily until it is not waited for any more."""

SET_RIGHT_MIN_MS = 10_000
"""A jump that is smaller is not told from a pause of this machine by what its clock says."""

AGREES_MS = 1_000
"""How far two replicas' times may be apart."""

START_DOUBT_MS = 60_000
"""What a process that starts accepts as the difference between its machine's clock and the shared time, unseen."""

SEEN_WITHIN_MS = 90_000
"""A replica that was right about the time so recently vouches for it to one that starts: each looks twice a minute."""

LEAD_FADES = DRIFT_MAX
"""How fast the shared time goes back to the server's after a jump: no wait is more wrong by that than by a crystal."""


def monotonic_ms() -> int:
    return time.monotonic_ns() // 1_000_000


def boottime_ms() -> int:
    """As `monotonic_ms`, but it goes on while the machine is suspended."""
    try:
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000
    except (AttributeError, OSError):  # not Linux
        return monotonic_ms()


def wall_ms() -> int:
    return time.time_ns() // 1_000_000


class Clock(Protocol):
    """Tells the time."""

    def now_ms(self) -> int:
        """Milliseconds since the epoch, UTC. Raises StoreUnavailable while the time is not known."""


class SystemClock:
    """The time of this machine."""

    def now_ms(self) -> int:
        return wall_ms()


class Skew(Protocol):
    """What the store has to know of clocks, beside the time."""

    @property
    def server_ahead_ms(self) -> int:
        """How far the server's own clock, by which it expires keys, is ahead of the shared time."""

    def leapt_ms(self, within_ms: int) -> int:
        """How far the time has leapt forward within the last *within_ms* that really passed."""


@dataclass(frozen=True, slots=True)
class ClockNotes:
    """What replicas have noted at the shared server about its clock.

    After a jump of that clock, the shared time goes on as before: *lead_ms* is how far the clock was ahead of it at
    *lead_since_ms*, by that clock. From then on the lead fades.
    """

    lead_ms: int = 0
    lead_since_ms: int = 0
    seen_ms: int | None = None  # the latest shared time that some replica found to be right; None: nobody has
    machine_ahead_ms: int = 0  # how far the clock of that replica's machine was ahead of it

    def shared_ms(self, server_ms: int) -> int:
        """The time that all replicas go by, when the server's clock says *server_ms*."""
        faded_ms = round(max(0, server_ms - self.lead_since_ms) * LEAD_FADES)
        left_ms = max(0, abs(self.lead_ms) - faded_ms)
        return server_ms - (left_ms if self.lead_ms > 0 else -left_ms)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server's clock said, and when, by this machine's counter, and by its clock."""

    server_ms: int
    asked_at_ms: int
    answered_at_ms: int
    machine_ms: int  # when it was answered

    @property
    def took_ms(self) -> int:
        return self.answered_at_ms - self.asked_at_ms


class Judgment(Enum):
    """What becomes of an answer."""

    FOLLOWED = auto()
    TOO_SLOW = auto()  # it took so long that what is known is better
    DOUBTED = auto()  # the clock has jumped: it is not followed
    STILL_DOUBTED = auto()
    BACK = auto()  # it says again what was expected
    CONFIRMED = auto()  # this machine's clock, or another replica, says the same: it is followed
    SET_RIGHT = auto()  # set to what this machine's clock says all along, or back together with it: waits go on
    STEADY = auto()  # nobody confirms it, and it stays so: waits go on as they were


@dataclass(frozen=True, slots=True)
class Doubt:
    """A jump that is not confirmed."""

    jump_ms: int
    since_ms: int  # by this machine's counter
    shared_ms: int = 0  # the time that was not believed
    seen_ms: int | None = None  # what had been seen by then
    lead_since_ms: int = 0  # of what had been noted by then


@dataclass(frozen=True, slots=True)
class _Reading:
    """An answer and the notes, as of the moment when the answer came."""

    at_ms: int  # by this machine's counter
    error_ms: float
    server_ms: int
    shared_ms: int
    machine_ms: int
    notes: ClockNotes


class SharedClock:
    """The time that all replicas share: a server's, carried forward by this machine's counter.

    A replica whose wall clock is wrong, or is set while it runs, tells the same time as the others. Until the first
    answer there is no time: an alert that was accepted by this machine's own would escalate when nobody expects it.

    A jump of the server's clock is not believed. Until it is confirmed, the time goes on from the last good answer by
    the counter, which also counts while the machine is suspended.
    """

    def __init__(self, counter_ms: Callable[[], int] = boottime_ms, machine_ms: Callable[[], int] = wall_ms) -> None:
        self._counter_ms = counter_ms
        self._machine_ms = machine_ms
        self._set_at_ms = counter_ms()
        self._first_set_at_ms: int | None = None
        self._offset_ms: int | None = None  # of the shared time to the counter
        self._server_offset_ms = 0  # of the server's own clock
        self._machine_offset_ms = 0  # of this machine's clock, when the time was set
        self._lead_since_ms = 0  # of the notes that it was set by
        self._error_ms = math.inf  # how wrong it may have been when it was set
        self._leaps: list[tuple[int, int]] = []  # when, by the counter, and how far
        self.doubt: Doubt | None = None
        """The jump of the server's clock that is waited for to be confirmed."""

    @property
    def is_set(self) -> bool:
        return self._offset_ms is not None

    def now_ms(self) -> int:
        if self._offset_ms is None:
            raise StoreUnavailable("Redis has not told the time yet")
        return self._counter_ms() + self._offset_ms

    @property
    def is_proven(self) -> bool:
        """Whether it goes for so long that it may vouch for the time to other replicas."""
        first_ms = self._first_set_at_ms
        return first_ms is not None and self._counter_ms() - first_ms >= STEADY_MS

    async def ask(self, server_ms: Callable[[], Awaitable[int]]) -> Answer:
        """What the server's clock says. Raises what *server_ms* raises."""
        asked_at_ms = self._counter_ms()
        said_ms = await server_ms()
        return Answer(said_ms, asked_at_ms, self._counter_ms(), self._machine_ms())

    @property
    def server_ahead_ms(self) -> int:
        return 0 if self._offset_ms is None else self._server_offset_ms - self._offset_ms

    @property
    def machine_ahead_ms(self) -> int:
        """How far this machine's clock is ahead of the shared time."""
        return self._machine_ms() - self.now_ms()

    def leapt_ms(self, within_ms: int) -> int:
        since_ms = self._counter_ms() - within_ms
        self._leaps = [(at_ms, far_ms) for at_ms, far_ms in self._leaps if at_ms > since_ms]
        return sum(far_ms for _, far_ms in self._leaps)

    def consider(self, answer: Answer, notes: ClockNotes) -> Judgment:
        """Go by the answer, unless it is doubtful.

        One that took long may have been true at its beginning or at its end: it is left aside, unless the last one
        was no better, counting what this machine's clock may have drifted since.
        """
        it = _reading(answer, notes)
        at_ms, error_ms = it.at_ms, it.error_ms
        if self._offset_ms is None:
            return self._start(it)
        doubt_ms = self._error_ms + (at_ms - self._set_at_ms) * DRIFT_MAX
        jump_ms = it.shared_ms - (at_ms + self._offset_ms)
        tolerance_ms = JUMP_MS + error_ms + doubt_ms
        if abs(jump_ms) > tolerance_ms:
            return self._judge(it, jump_ms, tolerance_ms)
        was_doubted, self.doubt = self.doubt is not None, None
        is_better = error_ms <= max(GOOD_ENOUGH_MS, doubt_ms)
        if is_better:
            self._set(it, it.shared_ms)
        return Judgment.BACK if was_doubted else Judgment.FOLLOWED if is_better else Judgment.TOO_SLOW

    def _start(self, it: _Reading) -> Judgment:
        """The first answer. Where nobody vouches for it, and this machine's clock says less, that is gone by."""
        shared_ms = _believable(it)
        self._set(it, shared_ms)
        if shared_ms == it.shared_ms:
            return Judgment.FOLLOWED
        return self._begin_doubt(it, it.shared_ms - shared_ms)

    def _begin_doubt(self, it: _Reading, jump_ms: int) -> Judgment:
        self.doubt = Doubt(jump_ms, it.at_ms, it.shared_ms, it.notes.seen_ms, it.notes.lead_since_ms)
        return Judgment.DOUBTED

    def _judge(self, it: _Reading, jump_ms: int, tolerance_ms: float) -> Judgment:
        def is_about(one_ms: int, other_ms: int) -> bool:
            return abs(one_ms - other_ms) <= tolerance_ms

        expected_ms, machine_moved_ms = it.shared_ms - jump_ms, it.machine_ms - it.at_ms - self._machine_offset_ms
        has_machine_jumped = is_about(it.machine_ms, it.shared_ms) and is_about(machine_moved_ms, jump_ms)
        # No time is given back by that. After a start it is followed: the machine may have begun with a wrong clock.
        was_set_back = has_machine_jumped and jump_ms < 0 and self.is_proven
        is_followed = has_machine_jumped and not was_set_back
        # The server's own clock goes on, and a replica has said since what it is ahead: else two would contradict
        # each other for ever.
        known_since_ms = self._lead_since_ms if self.doubt is None else self.doubt.lead_since_ms
        is_another_lead = it.notes.lead_since_ms > known_since_ms and is_about(
            it.server_ms, it.at_ms + self._server_offset_ms
        )
        if self._is_vouched_for(it, expected_ms + tolerance_ms) or is_followed or is_another_lead:
            if jump_ms > 0:
                self._leaps.append((it.at_ms, jump_ms))
            self._set(it, it.shared_ms)
            return Judgment.CONFIRMED
        self._server_offset_ms = it.server_ms - it.at_ms
        was_right_before = is_about(it.machine_ms, it.server_ms) and is_about(machine_moved_ms, 0)
        was_set_right = was_right_before and abs(jump_ms) > SET_RIGHT_MIN_MS
        if is_about(it.server_ms, expected_ms) or was_set_right or was_set_back:
            self._begin_doubt(it, jump_ms)
            return Judgment.SET_RIGHT
        if self.doubt is None or not is_about(self.doubt.jump_ms, jump_ms):
            return self._begin_doubt(it, jump_ms)
        self.doubt = replace(self.doubt, seen_ms=it.notes.seen_ms)  # a late note of before
        return Judgment.STEADY if it.at_ms - self.doubt.since_ms >= STEADY_MS else Judgment.STILL_DOUBTED

    def _is_vouched_for(self, it: _Reading, at_most_ms: float) -> bool:
        """Whether another replica found the time to be right that is doubted here: it is this one that lost time.

        It has been where this one expects nobody to be, more than *at_most_ms*, or was right since the doubt began.
        """
        seen_ms, doubt = it.notes.seen_ms, self.doubt
        if seen_ms is None:
            return False
        if doubt is None or seen_ms == doubt.seen_ms:
            return seen_ms > at_most_ms
        return doubt.shared_ms - AGREES_MS <= seen_ms <= it.shared_ms + AGREES_MS

    def _set(self, it: _Reading, shared_ms: int) -> None:
        self.doubt = None
        self._set_at_ms, self._error_ms = it.at_ms, it.error_ms
        if self._first_set_at_ms is None:
            self._first_set_at_ms = it.at_ms
        self._offset_ms = shared_ms - it.at_ms
        self._server_offset_ms = it.server_ms - it.at_ms
        self._machine_offset_ms = it.machine_ms - it.at_ms
        self._lead_since_ms = it.notes.lead_since_ms


def _reading(answer: Answer, notes: ClockNotes) -> _Reading:
    error_ms = answer.took_ms / 2
    server_ms = answer.server_ms + round(error_ms)
    shared_ms = notes.shared_ms(server_ms)
    return _Reading(answer.answered_at_ms, error_ms, server_ms, shared_ms, answer.machine_ms, notes)


def _believable(it: _Reading) -> int:
    """What a process that starts goes by.

    The shared time never goes back, and nothing may escalate early: of what the clocks say, the earliest that is not
    before what a replica has seen.
    """
    seen_ms = it.notes.seen_ms
    by_machine = (it.machine_ms, it.machine_ms - it.notes.machine_ahead_ms)  # which may be as wrong as it was then
    if seen_ms is None or any(abs(it.shared_ms - at_ms) <= START_DOUBT_MS for at_ms in by_machine):
        return it.shared_ms
    if -JUMP_MS <= it.shared_ms - seen_ms <= SEEN_WITHIN_MS:
        return it.shared_ms
    possible = [at_ms for at_ms in (it.shared_ms, *by_machine) if at_ms >= seen_ms - JUMP_MS]
    return min(possible, default=seen_ms)
