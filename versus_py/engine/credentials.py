"""Credentials that a system refuses: everything that needs them waits, but for one request now and then.

Each request with a wrong password may count towards a lock of the account. So one request goes first where nothing was
accepted lately, and while credentials are refused, all replicas together send one every few minutes. As soon as one is
accepted, all that waits follows.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from random import Random

import structlog

from versus_py.clock import Clock
from versus_py.engine.retries import SPREAD
from versus_py.errors import CredentialsRefused, StoreUnavailable, VersusError
from versus_py.incidents.model import IncidentId
from versus_py.store.refusals import Refusals
from versus_py.targets import NotYet

log = structlog.get_logger()

PROBE_EVERY_MS = 5 * 60_000
"""How often refused credentials are tried again."""

PROBE_MS = 60_000
"""How long a probe may take: longer than a sync does."""

SPREAD_MS = 5_000
"""What waits comes back within so much time of each other, not all at once."""

PROVEN_MS = 60_000
"""How long credentials that were accepted are taken to be good. After that, one request goes first."""

FIRST_S = 5.0
"""How long the others wait for the answer to that one."""

OnChange = Callable[[str, bool], None]
"""Is called with a system, and whether it refuses our credentials now."""


class StillRefused(VersusError):
    """The system refuses our credentials; ask again at *until_ms*. *was_sent*: it has just said so."""

    def __init__(self, until_ms: int, reason: str, *, was_sent: bool) -> None:
        super().__init__(reason)
        self.until_ms = until_ms
        self.was_sent = was_sent


@dataclass(slots=True)
class Request:
    """What is sent with the credentials."""

    is_probe: bool = False
    is_first: bool = False
    was_accepted: bool = False  # to be set when the system did what was asked


@dataclass(slots=True)
class _Refused:
    error: str
    tried_ms: int  # when this process last tried


class Credentials:
    """Which systems refuse the credentials of this process, by their names. Methods raise StoreUnavailable."""

    def __init__(
        self,
        refusals: Refusals,
        clock: Clock,
        on_change: OnChange | None = None,
        *,
        random: Random = SPREAD,
    ) -> None:
        self._refusals = refusals
        self._clock = clock
        self._on_change = on_change
        self._random = random
        self._refused: dict[str, _Refused] = {}
        self._proven_ms: dict[str, int] = {}  # system -> when it last accepted them
        self._first: dict[str, asyncio.Event] = {}  # system -> the answer to the request that goes first

    @property
    def refused_systems(self) -> tuple[str, ...]:
        return tuple(sorted(self._refused))

    @property
    def refusals(self) -> Mapping[str, str]:
        """How each of these systems refused them last."""
        return {system: it.error for system, it in self._refused.items()}

    async def begin(self, names: Iterable[str]) -> None:
        """At the start of a process: what was refused before is tried once, at once. *names* are those of targets."""
        known = {name.partition(":")[0] for name in names}
        for system in await self._refusals.systems():
            if system.partition(":")[0] in known:
                self._refused[system] = _Refused(await self._refusals.error(system), tried_ms=0)
                self._tell(system, is_refused=True)
                await self._refusals.allow_probe(system)
                await self._refusals.hurry(system, now_ms=self._clock.now_ms())

    async def refresh(self) -> None:
        """Forget what another replica has found to be accepted since."""
        for system, refused in [*self._refused.items()]:
            if await self._refusals.accepted_ms(system) > refused.tried_ms:
                self._forget(system)

    @asynccontextmanager
    async def guard(self, system: str, incident_id: IncidentId, target: str) -> AsyncIterator[Request]:
        """Around what sends something to *system* about an incident. Raises StillRefused."""
        request = await self._enter(system, incident_id, target)
        try:
            yield request
        except CredentialsRefused as exc:
            refused = await self._refuse(system, incident_id, target, str(exc))
            refused.without_effect = exc.without_effect
            raise refused from exc
        except NotYet as exc:
            await self._settle(system, request, was_accepted=exc.delivery is not None)
            raise
        except Exception:
            await self._settle(system, request, was_accepted=False)
            raise
        else:
            await self._settle(system, request, was_accepted=request.was_accepted)
        finally:
            if request.is_first:
                self._first.pop(system).set()

    async def _enter(self, system: str, incident_id: IncidentId, target: str) -> Request:
        if system not in self._refused and not self._is_proven(system):
            if system not in self._first:
                self._first[system] = asyncio.Event()
                return Request(is_first=True)
            with suppress(TimeoutError):
                async with asyncio.timeout(FIRST_S):
                    await self._first[system].wait()
        refused = self._refused.get(system)
        if refused is None:
            return Request()
        now_ms = self._clock.now_ms()
        tried_ms, refused.tried_ms = refused.tried_ms, now_ms  # at once, so that no other asks as one who has not tried
        next_ms: int | None = now_ms
        try:
            next_ms = await self._refusals.take_probe(
                system, now_ms=now_ms, until_ms=now_ms + PROBE_MS, tried_ms=tried_ms
            )
        finally:
            if next_ms is not None:
                refused.tried_ms = tried_ms
        if next_ms is None:
            return Request(is_probe=True)
        raise await self._held(system, incident_id, target, next_ms, refused.error, was_sent=False)

    async def _refuse(self, system: str, incident_id: IncidentId, target: str, error: str) -> StillRefused:
        now_ms = self._clock.now_ms()
        if system not in self._refused:
            log.error("credentials.refused", system=system, error=error)
            self._tell(system, is_refused=True)
        self._refused[system] = _Refused(error, now_ms)
        self._proven_ms.pop(system, None)
        next_ms = now_ms + PROBE_EVERY_MS
        await self._refusals.refuse(system, error, next_probe_ms=next_ms)
        return await self._held(system, incident_id, target, next_ms, error, was_sent=True)

    async def _held(
        self, system: str, incident_id: IncidentId, target: str, next_ms: int, error: str, *, was_sent: bool
    ) -> StillRefused:
        due_ms = next_ms + round(self._random.uniform(0, SPREAD_MS))
        await self._refusals.wait(system, incident_id, target, due_ms=due_ms)
        return StillRefused(due_ms, error, was_sent=was_sent)

    async def _settle(self, system: str, request: Request, *, was_accepted: bool) -> None:
        """What is neither accepted nor refused says nothing of the credentials: the next one may try.

        What the system did counts, whether or not this can be noted now: the next success notes it.
        """
        was_proven = self._is_proven(system)
        if was_accepted:
            self._proven_ms[system] = self._clock.now_ms()
        try:
            if was_accepted and system in self._refused:
                await self._refusals.accept(system, now_ms=self._clock.now_ms())
                self._forget(system)
            elif was_accepted and not was_proven and system in await self._refusals.systems():
                # Another replica has credentials that are refused: what it put aside can be done here.
                await self._refusals.hurry(system, now_ms=self._clock.now_ms())
            elif request.is_probe:
                await self._refusals.allow_probe(system)
        except StoreUnavailable as exc:
            log.warning("credentials.not_noted", system=system, error=str(exc))

    def _is_proven(self, system: str) -> bool:
        return self._clock.now_ms() - self._proven_ms.get(system, -PROVEN_MS) < PROVEN_MS

    def _forget(self, system: str) -> None:
        if self._refused.pop(system, None) is not None:
            log.info("credentials.accepted", system=system)
            self._tell(system, is_refused=False)

    def _tell(self, system: str, *, is_refused: bool) -> None:
        if self._on_change is not None:
            self._on_change(system, is_refused)
