"""What is done after a channel has its answer: a few at a time, each with a deadline, and none in another's way."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

import structlog

from versus_py.errors import StoreUnavailable, Transient, VersusError

log = structlog.get_logger()

WAITING_MAX = 1000
CONCURRENCY = 4
ATTEMPTS = 3
DEADLINE_S = 30.0
GRACE_S = 2.0
"""How long what is left may take after the word to stop."""


@dataclass(frozen=True, slots=True)
class _FollowUp:
    what: str
    work: Callable[[], Awaitable[None]]
    about: Mapping[str, str]  # for every line of the log meanwhile


class FollowUps:
    """Work that waits for its turn. What fails for good is logged: it is only said, or only adds a name."""

    def __init__(self, *, retry_s: float = 1.0, deadline_s: float = DEADLINE_S) -> None:
        self._retry_s = retry_s
        self._deadline_s = deadline_s
        self._queue: asyncio.Queue[_FollowUp] = asyncio.Queue(WAITING_MAX)
        self._is_over = False

    def add(self, what: str, work: Callable[[], Awaitable[None]], **about: str) -> None:
        """Do *work* soon, and once more when it raises Transient or StoreUnavailable.

        *what* is its name in the log; *about*, such as its incident, is in every line that is logged meanwhile.
        """
        try:
            self._queue.put_nowait(_FollowUp(what, work, about))
        except asyncio.QueueFull:
            log.warning("interaction.follow_up_dropped", what=what, waiting=WAITING_MAX, **about)

    async def settled(self) -> None:
        """Wait until nothing is left to do."""
        await self._queue.join()

    async def run(self, stop: asyncio.Event) -> None:
        """Work until *stop*, then for GRACE_S at the most."""
        try:
            async with asyncio.TaskGroup() as loops:
                working = [loops.create_task(self._work_off()) for _ in range(CONCURRENCY)]
                await stop.wait()
                with suppress(TimeoutError):
                    async with asyncio.timeout(GRACE_S):
                        await self.settled()
                self._is_over = True
                for task in working:
                    task.cancel()
        finally:
            self._is_over = True

    async def _work_off(self) -> None:
        # Looks whether it is over by itself: a cancellation that meets an answer can get lost in redis-py.
        while not self._is_over:
            it = await self._queue.get()
            try:
                with structlog.contextvars.bound_contextvars(**it.about):
                    await self._do(it)
            finally:
                self._queue.task_done()

    async def _do(self, it: _FollowUp) -> None:
        try:
            async with asyncio.timeout(self._deadline_s):
                await self._try(it)
        except TimeoutError:
            log.warning("interaction.follow_up_failed", what=it.what, error=f"not done within {self._deadline_s:g} s")
        except VersusError as exc:
            log.warning("interaction.follow_up_failed", what=it.what, error=str(exc))
        except Exception:
            log.exception("interaction.follow_up_crashed", what=it.what)

    async def _try(self, it: _FollowUp) -> None:
        for attempt in range(1, ATTEMPTS):
            try:
                return await it.work()
            except (Transient, StoreUnavailable) as exc:
                wait_s = self._retry_s * 2 ** (attempt - 1)
                if isinstance(exc, Transient) and exc.retry_after_s is not None:
                    wait_s = exc.retry_after_s
                if wait_s >= self._deadline_s:
                    raise
            await asyncio.sleep(wait_s)
        return await it.work()
