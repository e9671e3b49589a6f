"""Tells the other replicas that this one runs, and how it stands, for pages and commands that show all of them."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from uuid import uuid4

from versus_py import __version__
from versus_py.clock import SharedClock, boottime_ms
from versus_py.engine.health import STARTING, Health
from versus_py.errors import StoreUnavailable
from versus_py.store.replicas import Replica, Replicas

EVERY_S = 10.0
"""How often a replica says so."""

STARTING_EVERY_S = 1.0
"""The same until its worker has begun."""

GONE_MS = 45_000
"""A replica that said nothing for so long is gone, or cannot reach Redis: it missed some four times."""

LEAVE_TIMEOUT_S = 1.0


class Presence:
    """Says it, from the start of the process until its end."""

    def __init__(self, replicas: Replicas, about: Callable[[], Replica], *, every_s: float = EVERY_S) -> None:
        self._replicas = replicas
        self._about = about
        self._every_s = every_s

    async def everyone(self, *, alone: bool = False) -> list[Replica]:
        """All that run, or did lately, by host; this one as it stands now.

        Only this one if *alone*, or while Redis cannot be asked.
        """
        own = self._about()
        known: list[Replica] = []
        if not alone:
            with suppress(StoreUnavailable):
                known = await self._replicas.known()
        return sorted([own, *(it for it in known if it.name != own.name)], key=lambda it: (it.host, it.started_ms))

    async def run(self, stop: asyncio.Event) -> None:
        """Until *stop* is set; then the others need not look for this one. Redis may come and go meanwhile."""
        # Looks at *stop* by itself: a cancellation that meets an answer can get lost in redis-py.
        while not stop.is_set():
            wait_s = self._every_s
            with suppress(StoreUnavailable):  # which the watchdog says
                own = self._about()
                await self._replicas.attend(own)
                wait_s = min(wait_s, STARTING_EVERY_S) if own.worker == STARTING else wait_s
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await stop.wait()
        with suppress(StoreUnavailable, TimeoutError):
            async with asyncio.timeout(LEAVE_TIMEOUT_S):
                await self._replicas.leave(self._about().name)


def describes(
    clock: SharedClock, health: Health, *, has_api: bool, counter_ms: Callable[[], int] = boottime_ms
) -> Callable[[], Replica]:
    """What to say of this process, each time anew. Raises StoreUnavailable while the time is not known."""
    host = socket.gethostname()
    name = f"{host} {uuid4().hex[:8]}"
    counted_from_ms = counter_ms()

    def about() -> Replica:
        now_ms = clock.now_ms()
        return Replica(
            name=name,
            host=host,
            version=__version__,
            started_ms=now_ms - (counter_ms() - counted_from_ms),
            seen_ms=now_ms,
            worker=health.worker,
            has_api=has_api,
            running=health.running,
            ahead_ms=clock.machine_ahead_ms,
            circuits=health.circuits,
            refused=health.refusals,
            paces=health.paces,
        )

    return about
