"""What is due and waits for a free slot: by system, and in it by place, each with its fair share. Pure.

A timer that waits here is nobody's: it is leased when a slot is free, by whichever replica has one.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush

from versus_py.store import Due
from versus_py.store.replicas import Pace

START = 8
"""How many syncs of a system run at once until it is known how it bears them."""

LEAST = 4
"""It is never fewer, unless the configuration says so: one that hangs must not hold up all others."""

FAST_S = 3.0
"""A sync that takes no longer says that the system could bear more of them; so does one that takes no longer than
twice the quickest, where all are slow."""


STALE_MAX = 64
"""How many offers may be out of date, beside one for each place, before the heap is built anew."""

PACE_WEIGHT = 0.1
"""How much of the pace each delivery says: it follows the last twenty or so."""


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where a sync goes: *system* is what slows down or fails as one, *name* tells its channels apart."""

    system: str
    name: str = ""


class Limit:
    """How many syncs of one system run at once: up while its answers are fast, down when it is overloaded.

    Never more than *most*. It doubles with each round until the system is overloaded for the first time, and grows by
    one with each round after that; it halves once for all that were under way together.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._now = float(min(START, most))
        self._quickest_s = float("inf")
        self._was_lowered = False
        self._lowered_at_s = float("-inf")
        self._took_s: dict[bool, float] = {}  # by whether all slots were taken

    @property
    def pace(self) -> Pace | None:
        """None before the first delivery.

        Those count that took place while all slots were taken: what they wait for then is in their time, also the CPU.
        """
        seconds = self._took_s.get(True, self._took_s.get(False))
        return None if seconds is None else Pace(self.now, self.most, seconds)

    def note_pace(self, took_s: float, *, was_full: bool) -> None:
        """A delivery has kept a slot for so long, all in all."""
        known_s = self._took_s.get(was_full)
        took_s = max(took_s, 1e-6)
        self._took_s[was_full] = took_s if known_s is None else known_s + PACE_WEIGHT * (took_s - known_s)

    @property
    def now(self) -> int:
        return int(self._now)

    def raise_after(self, took_s: float, *, was_full: bool) -> None:
        """A sync has succeeded. *was_full*: no slot was free, so that another limit would have made a difference."""
        self._quickest_s = min(self._quickest_s, took_s)
        if was_full and took_s <= max(FAST_S, 2 * self._quickest_s):
            self._now = min(self.most, self._now + (1 / self._now if self._was_lowered else 1))

    def lower(self, began_s: float, now_s: float) -> None:
        """A sync that began then was told to slow down, or was not answered in time."""
        if began_s >= self._lowered_at_s:
            self._now = max(float(min(LEAST, self.most)), self._now / 2)
            self._was_lowered = True
            self._lowered_at_s = now_s


@dataclass(slots=True)
class _Line:
    """What waits for one place."""

    running: int = 0
    waiting: list[Due] = field(default_factory=list)  # a heap; what has left meanwhile is still in it

    @property
    def is_idle(self) -> bool:
        return not (self.running or self.waiting)


@dataclass(slots=True)
class _System:
    limit: Limit
    lines: dict[Place, _Line] = field(default_factory=dict)
    running: int = 0
    has_places: bool = False  # it ever had more than one
    # A heap of (slots that a place has, what is due there first, the place). A place that changes gets a new entry.
    offers: list[tuple[int, Due, Place]] = field(default_factory=list)

    def offer(self, place: Place) -> None:
        """What waits for *place* may be taken, as its line is now."""
        line = self.lines[place]
        heappush(self.offers, (line.running, line.waiting[0], place))
        if len(self.offers) > 2 * len(self.lines) + STALE_MAX:
            self.offers = [(it.running, it.waiting[0], name) for name, it in self.lines.items() if it.waiting]
            heapify(self.offers)

    @property
    def most_of_one(self) -> int:
        """How many slots one place may have: where there are others, some are left for them."""
        limit = self.limit.now
        return max(1, limit - max(1, limit // 8)) if self.has_places else limit


class DueQueue:
    """Timers that wait, and the slots that are taken. *most* says how many syncs of a system there may be at once."""

    def __init__(self, most: Callable[[str], int]) -> None:
        self._most = most
        self._systems: dict[str, _System] = {}
        self._waiting: dict[tuple[str, str], tuple[Due, Place]] = {}  # by incident and target

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, due: Due) -> bool:
        known = self._waiting.get((due.incident_id, due.target))
        return known is not None and known[0].due_ms <= due.due_ms

    def put(self, due: Due, place: Place) -> None:
        """Have it wait for a slot of *place*; instead of an earlier one of the same incident and target."""
        self._waiting[due.incident_id, due.target] = (due, place)
        system = self._system(place.system)
        line = system.lines.setdefault(place, _Line())
        heappush(line.waiting, due)
        if line.waiting[0] is due:
            system.offer(place)
        system.has_places = system.has_places or len(system.lines) > 1

    def keep(self, due: Iterable[Due]) -> None:
        """Forget all others: they are somebody else's by now, or not due any more."""
        kept = {(it.incident_id, it.target) for it in due}
        self._waiting = {name: found for name, found in self._waiting.items() if name in kept}

    def take(self) -> list[tuple[Due, Place]]:
        """What has a slot now, which is taken: of each place in turn, what is due first. Give it back by `free`."""
        taken: list[tuple[Due, Place]] = []
        for system in self._systems.values():
            while system.running < system.limit.now and (found := self._next(system)) is not None:
                taken.append(found)
        return taken

    def free(self, place: Place) -> None:
        """A slot of *place* is not needed any more."""
        system = self._system(place.system)
        line = system.lines[place]
        line.running -= 1
        system.running -= 1
        if line.is_idle:
            del system.lines[place]
        elif line.waiting:
            system.offer(place)

    def is_full(self, system: str) -> bool:
        """Whether all slots of the system are taken."""
        found = self._system(system)
        return found.running >= found.limit.now

    def paces(self) -> dict[str, Pace]:
        """By system, where something was delivered."""
        found = {name: it.limit.pace for name, it in self._systems.items()}
        return {name: pace for name, pace in found.items() if pace is not None}

    def limit(self, system: str) -> Limit:
        return self._system(system).limit

    def _next(self, system: _System) -> tuple[Due, Place] | None:
        """From the place with the fewest slots, and among these what is due first."""
        while system.offers:
            running, due, place = system.offers[0]
            line = system.lines.get(place)
            if line is None or (running, due) != (line.running, line.waiting[0] if line.waiting else None):
                heappop(system.offers)
            elif self._waiting.get((due.incident_id, due.target)) != (due, place):  # it has left meanwhile
                heappop(system.offers)
                self._drop(system, place)
            elif running >= system.most_of_one:
                return None
            else:
                line.running += 1
                system.running += 1
                del self._waiting[due.incident_id, due.target]
                heappop(system.offers)
                self._drop(system, place)
                return due, place
        return None

    def _drop(self, system: _System, place: Place) -> None:
        """Take what is due first out of the line of *place*."""
        line = system.lines[place]
        heappop(line.waiting)
        if line.waiting:
            system.offer(place)
        elif line.is_idle:
            del system.lines[place]

    def _system(self, name: str) -> _System:
        found = self._systems.get(name)
        if found is None:
            found = self._systems[name] = _System(Limit(self._most(name)))
        return found
