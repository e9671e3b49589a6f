"""Until when a sync may send requests.

`asyncio.timeout` ends a sync that takes too long, but its clock stands still while the machine is suspended. So each
request asks here first: what is sent after the claim has ended may be sent by another replica, too.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar

from versus_py.clock import Clock

_DEADLINE: ContextVar[tuple[Clock, int] | None] = ContextVar("deadline", default=None)


@asynccontextmanager
async def within(clock: Clock, seconds: float) -> AsyncIterator[None]:
    """The time of one sync, by *clock* and by that of the event loop. Raises TimeoutError when it is over."""
    before = _DEADLINE.get()
    _DEADLINE.set((clock, clock.now_ms() + round(seconds * 1000)))
    try:
        async with asyncio.timeout(seconds):
            yield
    finally:
        _DEADLINE.set(before)


def raise_if_over() -> None:
    """To be called before each request of a sync. Raises TimeoutError when the time of the sync is over."""
    deadline = _DEADLINE.get()
    if deadline is None:
        return
    clock, until_ms = deadline
    if clock.now_ms() >= until_ms:
        raise TimeoutError("the time of the sync is over")
