"""The checks of `versus doctor`, run in the background of a server when somebody wants to see them, and kept.

They ask remote systems, so that no request waits for them, and however many people ask, they run at most now and then.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import structlog
from pydantic import TypeAdapter

from versus_py.clock import Clock, monotonic_ms
from versus_py.errors import StoreUnavailable
from versus_py.store.replicas import Replicas
from versus_py.targets.check import Check, CheckStatus

log = structlog.get_logger()

FRESH_MS = 5 * 60_000
"""How long findings are shown before they are looked for again, if somebody looks at them."""

REST_MS = 10_000
"""The shortest time between the end of a checkup and the start of the next one."""

TIMEOUT_S = 60.0
"""How long a checkup may take; each of its checks has a shorter limit of its own."""

CHECKS_MAX = 200
TEXT_MAX = 1000

Diagnose = Callable[[], Awaitable[Sequence[Check]]]


@dataclass(frozen=True, slots=True)
class Findings:
    """What a checkup found."""

    at_ms: int  # when it ended
    by: str  # the replica
    checks: tuple[Check, ...]


_FINDINGS = TypeAdapter(Findings)


class Checkup:
    """Runs *diagnose* when it is asked to. *by* is what this replica is called."""

    def __init__(
        self, diagnose: Diagnose, replicas: Replicas, clock: Clock, *, by: str, rest_ms: int = REST_MS
    ) -> None:
        self._diagnose = diagnose
        self._replicas = replicas
        self._clock = clock
        self._by = by
        self._rest_ms = rest_ms
        self._asked = asyncio.Event()
        self._settled = asyncio.Event()
        self._settled.set()
        self._ended_ms: int | None = None  # by a clock of this machine
        self._own: Findings | None = None

    @property
    def is_under_way(self) -> bool:
        return not self._settled.is_set()

    def ask(self) -> None:
        """Have the checks run, unless they do so already, or have just done so."""
        if self._ended_ms is None or monotonic_ms() - self._ended_ms >= self._rest_ms:
            self._settled.clear()
            self._asked.set()

    async def settled_within(self, seconds: float) -> bool:
        """Wait for what was asked for, but no longer than that; whether it is there."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._settled.wait()
        return self._settled.is_set()

    async def latest(self) -> Findings | None:
        """What the last checkup of any replica found; of this one only, while Redis cannot be asked."""
        try:
            text = await self._replicas.checkup()
            shared = None if text is None else _FINDINGS.validate_json(text)
        except (StoreUnavailable, ValueError):  # pydantic's errors are ValueErrors
            shared = None
        found = [it for it in (self._own, shared) if it is not None]
        return max(found, key=lambda it: it.at_ms, default=None)

    async def refresh(self, *, alone: bool = False) -> Findings | None:
        """The latest, *alone* that of this replica; if it is old, the checks run, and are there the next time."""
        found = self._own if alone else await self.latest()
        if found is None or self._clock.now_ms() - found.at_ms >= FRESH_MS:
            self.ask()
        return found

    async def run(self, stop: asyncio.Event) -> None:
        """Run the checks whenever it is asked for, until this is cancelled; a running one is given up then."""
        while not stop.is_set():
            await self._asked.wait()
            self._asked.clear()
            try:
                await self._look()
            finally:
                self._ended_ms = monotonic_ms()
                self._settled.set()

    async def _look(self) -> None:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                checks = await self._diagnose()
        except Exception as exc:  # whatever a check does, the server runs
            log.exception("checkup.crashed")
            crashed = f"unexpected {type(exc).__name__}"
            checks = [Check("Checkup", CheckStatus.FAILED, crashed, "look into the log, and report it as a bug")]
        with suppress(StoreUnavailable):
            self._own = Findings(self._clock.now_ms(), self._by, tuple(map(_cut, checks[:CHECKS_MAX])))
            await self._replicas.keep_checkup(_FINDINGS.dump_json(self._own).decode())


def _cut(check: Check) -> Check:
    name, found, advice = (text[:TEXT_MAX] for text in (check.name, check.found, check.advice))
    return Check(name, check.status, found, advice)
