"""Taking turns at a destination that allows so many requests a second, or has asked to be left alone."""

from collections import OrderedDict
from dataclasses import dataclass, field

from versus_py.clock import Clock
from versus_py.targets.target import NotYet

_TURNS_MAX = 10_000
"""Turns kept for one destination; beyond that, those given out first are forgotten, and are given out anew."""

_DESTINATIONS_MAX = 1_000


@dataclass(slots=True)
class _Queue:
    free_at_ms: int = 0  # the first turn that nobody has
    last_ms: int | None = None  # when somebody last had one
    turns: OrderedDict[str, int] = field(default_factory=OrderedDict)


class Pace:
    """Hands out turns, *interval_ms* apart, for each destination by itself and first come first served.

    Who is too early is told to come back by NotYet, at a time that is then kept free for them.
    """

    def __init__(self, clock: Clock, *, interval_ms: int) -> None:
        self._clock = clock
        self._interval_ms = interval_ms
        self._queues: OrderedDict[str, _Queue] = OrderedDict()

    def take(self, destination: str, who: str) -> None:
        """Take the turn of *who*. Raises NotYet when it has not come."""
        queue = self._queue(destination)
        now_ms = self._clock.now_ms()
        turn_ms = queue.turns.pop(who, None)
        if turn_ms is None:
            turn_ms = self._next_turn(queue)
        if turn_ms <= now_ms and queue.last_ms is not None and now_ms < queue.last_ms + self._interval_ms:
            turn_ms = self._next_turn(queue)  # late for its own turn, and somebody has just had another
        if turn_ms > now_ms:
            queue.turns[who] = turn_ms
            while len(queue.turns) > _TURNS_MAX:
                queue.turns.popitem(last=False)
            raise NotYet(turn_ms, f"waiting for its turn at {destination}")
        queue.last_ms = now_ms

    def block(self, destination: str, seconds: float) -> None:
        """Leave *destination* alone for so long; turns already given out move behind it, in their order."""
        queue = self._queue(destination)
        turn_ms = self._clock.now_ms() + round(seconds * 1000)
        for who in sorted(queue.turns, key=lambda who: queue.turns[who]):
            queue.turns[who] = turn_ms
            turn_ms += self._interval_ms
        queue.free_at_ms = max(queue.free_at_ms, turn_ms)

    def _next_turn(self, queue: _Queue) -> int:
        earliest_ms = 0 if queue.last_ms is None else queue.last_ms + self._interval_ms
        turn_ms = max(queue.free_at_ms, earliest_ms, self._clock.now_ms())
        queue.free_at_ms = turn_ms + self._interval_ms
        return turn_ms

    def _queue(self, destination: str) -> _Queue:
        queue = self._queues.setdefault(destination, _Queue())
        self._queues.move_to_end(destination)
        while len(self._queues) > _DESTINATIONS_MAX:
            self._queues.popitem(last=False)
        return queue
