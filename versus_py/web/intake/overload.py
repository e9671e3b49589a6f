"""Bounds on what comes in at once: whatever is sent, and however slowly, memory has a limit and others get through."""

import asyncio
import math
from dataclasses import dataclass
from typing import NoReturn

from aiohttp import web

from versus_py.clock import Clock
from versus_py.config import IntakeConfig
from versus_py.telemetry.throttled import ThrottledLog
from versus_py.web.answers import RETRY_AFTER_S
from versus_py.web.intake.bodies import read_arrived, read_whole

ARRIVING_MAX = 256
"""Most bodies that are being read. An honest one takes milliseconds; those that drip in are not to keep others out."""

HELD_MAX_BYTES = 64 * 1024 * 1024
"""Most bytes of bodies that wait for their turn, beside the one that is the first."""

TURN_TIMEOUT_S = 2.0
"""How long a request waits for its turn. With what Redis may take, that is less than a sender's patience of 10 s."""

SENDERS_MAX = 4096
"""Most senders whose pace is remembered; the one that was quiet for longest is forgotten first."""


class Overloaded(web.HTTPServiceUnavailable):
    """Too much comes at once: it has to be sent again."""


class Arrivals:
    """Reads bodies, so many at a time: for one more, the one that has been arriving for longest is given up."""

    def __init__(self, *, most: int = ARRIVING_MAX) -> None:
        self._most = most
        self._arriving: dict[asyncio.Timeout, None] = {}  # in the order in which they began

    async def read(self, request: web.Request, *, within_s: float) -> bytes:
        """The bytes as they came. Raises what `read_whole` does, and 503 when it had to make room."""
        if request.content.is_eof():  # as with most: it came with the head, and takes no place
            return await read_arrived(request)
        while len(self._arriving) >= self._most:
            eldest = next(iter(self._arriving))
            del self._arriving[eldest]
            eldest.reschedule(0)
        try:
            async with asyncio.timeout(None) as place:
                self._arriving[place] = None
                return await read_whole(request, within_s=within_s)
        except TimeoutError:
            raise _overloaded("too many bodies arrive too slowly: send it again") from None
        finally:
            self._arriving.pop(place, None)


class Slots:
    """So many requests at work, so many that wait for their turn, and no more."""

    def __init__(self, config: IntakeConfig, clock: Clock) -> None:
        self._at_work = asyncio.Semaphore(config.max_working)
        self._waiting_max = config.max_waiting
        self._waiting = 0
        self._held_bytes = 0
        self._refusals = ThrottledLog("intake.overloaded", clock.now_ms)

    def slot(self, request: web.Request, size: int) -> "_Slot":
        """The turn of a request whose body has *size* bytes. Raises 503 when it would have to wait for too long."""
        return _Slot(self, request, size)

    def leave(self) -> None:
        self._at_work.release()

    async def enter(self, request: web.Request, size: int) -> None:
        """Wait for the turn of a request. Raises as `slot`; else `leave` has to follow."""
        if not self._at_work.locked():
            await self._at_work.acquire()  # which is at once
            return
        too_many_bytes = self._waiting > 0 and self._held_bytes + size > HELD_MAX_BYTES
        if self._waiting >= self._waiting_max or too_many_bytes:
            self._refuse(request)
        self._waiting += 1
        self._held_bytes += size
        try:
            async with asyncio.timeout(TURN_TIMEOUT_S):
                await self._at_work.acquire()
        except TimeoutError:
            self._refuse(request)
        finally:
            self._waiting -= 1
            self._held_bytes -= size

    def _refuse(self, request: web.Request) -> NoReturn:
        self._refusals.note(remote=request.remote, waiting=self._waiting)
        raise _overloaded("too many requests at once: send it again")


@dataclass(slots=True)
class _Slot:
    slots: Slots
    request: web.Request
    size: int

    async def __aenter__(self) -> None:
        await self.slots.enter(self.request, self.size)

    async def __aexit__(self, *_: object) -> None:
        self.slots.leave()


class Pace:
    """How fast each sender may come: so many requests a second, and a burst of some more after a quiet time."""

    def __init__(self, config: IntakeConfig, clock: Clock) -> None:
        self._per_second = config.requests_per_second
        self._burst = config.burst
        self._clock = clock
        self._spent_until_ms: dict[str, float] = {}  # sender -> when all that it has spent is paid back
        self._refusals = ThrottledLog("intake.too_fast", clock.now_ms)

    def check(self, sender: str, remote: str | None) -> None:
        """Count a request of *sender*; the address counts where it has no name. Raises 503."""
        if self._per_second is None:
            return
        key = sender or f"\n{remote}"
        cost_ms, now_ms = 1000 / self._per_second, self._clock.now_ms()
        spent_until_ms = max(self._spent_until_ms.pop(key, 0), now_ms)
        if spent_until_ms > now_ms + self._burst * cost_ms:  # more than can be spent: the clock was set back
            spent_until_ms = now_ms
        wait_ms = spent_until_ms + cost_ms - now_ms - self._burst * cost_ms
        self._spent_until_ms[key] = spent_until_ms + (0 if wait_ms > 0 else cost_ms)
        if len(self._spent_until_ms) > SENDERS_MAX:
            del self._spent_until_ms[next(iter(self._spent_until_ms))]
        if wait_ms > 0:
            self._refusals.note(remote=remote, sender=sender)
            # Not 429: Alertmanager takes that for a refusal for good, and does not send it again.
            raise _overloaded(
                f"more than {self._per_second:g} requests a second: slow down, and send more alerts at once",
                retry_after_s=math.ceil(wait_ms / 1000),
            )


def _overloaded(text: str, *, retry_after_s: int = RETRY_AFTER_S) -> Overloaded:
    """503: Alertmanager and most others send it again."""
    return Overloaded(text=text, headers={"Retry-After": str(retry_after_s)})
