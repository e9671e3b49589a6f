"""Leaves a system alone that is down: one circuit for each, closed, open, or half-open with one probe at a time.

What is held back stays in the durable queue of timers, so that a circuit is a time to come back at, by the clock that
all go by, and not an exception for the caller: the libraries for it do neither.

Each process has its own. What one would tell another is found out by it with OPENS_AFTER requests, and so nothing is
shared that could be wrong: a replica without a way out of its network keeps no other from escalating.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random

import structlog

from versus_py.clock import Clock
from versus_py.engine.retries import SPREAD
from versus_py.errors import CredentialsRefused, Permanent, Transient, Unreachable, VersusError
from versus_py.store.replicas import Circuit
from versus_py.targets import NotYet

log = structlog.get_logger()

OPENS_AFTER = 5
"""So many failures in a row, of two incidents or more, mean that it is down. One alone may itself be the cause."""

OPEN_FIRST_MS = 10_000
OPEN_MAX_MS = 60_000
"""How long until the next probe; doubled after each that fails."""

PROBE_MS = 60_000
"""How long a probe may take: longer than a sync does."""

LOOK_AGAIN_MS = 5_000
"""When those that are held back ask again while a probe is on its way."""

SPREAD_MS = 5_000
"""They come back within so much time of each other, not all at once."""

UNTRIED_FIRST_MS = 2 * SPREAD_MS
"""How much later one that has failed may probe, while others are held back that have not."""

KNOWN_MAX = 1000
"""Incidents of a system that are known to have failed, or to be held back."""

OnChange = Callable[[str, bool], None]
"""Is called with a system, and whether its circuit is open now."""


class HeldBack(VersusError):
    """The system is down as far as is known; ask again at *until_ms*."""

    def __init__(self, until_ms: int, reason: str) -> None:
        super().__init__(reason)
        self.until_ms = until_ms


@dataclass(slots=True)
class _Circuit:
    failures: int = 0
    failing: set[str] = field(default_factory=set)  # whose failures these were
    untried: set[str] = field(default_factory=set)  # held back, and not among these
    error: str = ""
    open_ms: int = 0  # how long it is open between two probes; 0: it is closed
    next_probe_ms: int = 0
    probe_until_ms: int = 0  # a probe is on its way; 0: none is

    @property
    def is_open(self) -> bool:
        return self.open_ms > 0

    def close(self) -> None:
        self.failures = self.open_ms = 0
        self.failing.clear()
        self.untried.clear()


@dataclass(slots=True)
class Call:
    """One call of a system."""

    is_probe: bool
    was_made: bool = True  # to be set to False when there was nothing to ask, which says nothing about the system


class Breakers:
    """The circuits of this process, by system."""

    def __init__(self, clock: Clock, on_change: OnChange | None = None, *, random: Random = SPREAD) -> None:
        self._clock = clock
        self._on_change = on_change
        self._random = random
        self._circuits: dict[str, _Circuit] = {}

    @property
    def open_systems(self) -> tuple[str, ...]:
        return tuple(sorted(name for name, circuit in self._circuits.items() if circuit.is_open))

    @property
    def open_circuits(self) -> Mapping[str, Circuit]:
        """Why each of these systems is left alone, and until when."""
        return {name: Circuit(it.error, it.next_probe_ms) for name, it in self._circuits.items() if it.is_open}

    @contextmanager
    def guard(self, system: str, who: str) -> Iterator[Call]:
        """Around what calls *system* on behalf of *who*. Raises HeldBack while it is to be left alone."""
        circuit = self._circuits.setdefault(system, _Circuit())
        call = Call(self._enter(circuit, who))
        try:
            yield call
        except (Unreachable, TimeoutError) as exc:
            self._fail(system, circuit, who, str(exc) or "no answer in time", is_probe=call.is_probe)
            raise
        except NotYet as exc:
            if exc.delivery is not None:
                self._succeed(system)
            raise
        except (Transient, Permanent, CredentialsRefused):
            self._succeed(system)  # a refusal is an answer
            raise
        else:
            if call.was_made:
                self._succeed(system)
        finally:
            if call.is_probe:
                circuit.probe_until_ms = 0

    def _enter(self, circuit: _Circuit, who: str) -> bool:
        """Whether this call is a probe. Who has failed may be the cause: those who have not are the first to probe."""
        if not circuit.is_open:
            return False
        now_ms = self._clock.now_ms()
        spread_ms = round(self._random.uniform(0, SPREAD_MS))
        has_failed = who in circuit.failing
        probe_at_ms = circuit.next_probe_ms + (UNTRIED_FIRST_MS if has_failed and circuit.untried else 0)
        # A time that is further away is one of before the clock was set back.
        if now_ms < probe_at_ms <= now_ms + OPEN_MAX_MS + UNTRIED_FIRST_MS:
            if not has_failed and len(circuit.untried) < KNOWN_MAX:
                circuit.untried.add(who)
            raise HeldBack(probe_at_ms + spread_ms, circuit.error)
        if now_ms < circuit.probe_until_ms <= now_ms + PROBE_MS:
            raise HeldBack(now_ms + LOOK_AGAIN_MS + spread_ms, circuit.error)
        circuit.untried.discard(who)
        circuit.probe_until_ms = now_ms + PROBE_MS
        return True

    def _fail(self, system: str, circuit: _Circuit, who: str, error: str, *, is_probe: bool) -> None:
        circuit.error = error
        circuit.failures += 1
        if len(circuit.failing) < KNOWN_MAX:
            circuit.failing.add(who)
        if is_probe:
            self._wait(circuit, min(OPEN_MAX_MS, 2 * circuit.open_ms))
        elif not circuit.is_open and circuit.failures >= OPENS_AFTER and len(circuit.failing) > 1:
            self._wait(circuit, OPEN_FIRST_MS)
            log.warning("breaker.opened", system=system, failures=circuit.failures, error=error)
            self._tell(system, is_open=True)

    def _wait(self, circuit: _Circuit, open_ms: int) -> None:
        circuit.open_ms = open_ms
        circuit.next_probe_ms = self._clock.now_ms() + open_ms

    def _succeed(self, system: str) -> None:
        circuit = self._circuits[system]
        was_open = circuit.is_open
        circuit.close()
        if was_open:
            log.info("breaker.closed", system=system)
            self._tell(system, is_open=False)

    def _tell(self, system: str, *, is_open: bool) -> None:
        if self._on_change is not None:
            self._on_change(system, is_open)
