"""What several callers want of one Redis server in the same turn of the event loop goes there in one pipeline.

A call by itself costs redis-py a connection of the pool, a task and a write; under load most turns have many calls.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any
from weakref import WeakKeyDictionary

from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster
from redis.exceptions import DataError

from versus_py.store import wire

Command = tuple[Any, ...]
"""A command's name and its arguments."""

FINISH_S = 2.0
"""How long what is on its way to Redis may take when its client is about to be closed."""

_NOT_SENT = (DataError, UnicodeEncodeError)
"""What redis-py raises while it packs commands: before it sends any of them."""


class _Batch:
    """The calls of one turn; each gets its own replies, in its order."""

    def __init__(self, redis: Redis, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._redis = redis
        self._calls: list[tuple[Sequence[Command], asyncio.Future[list[Any]]]] = []
        loop.call_soon(self._begin)

    def add(self, commands: Sequence[Command]) -> asyncio.Future[list[Any]]:
        future: asyncio.Future[list[Any]] = self.loop.create_future()
        self._calls.append((commands, future))
        return future

    def _begin(self) -> None:
        if _next.get(self._redis) is self:
            del _next[self._redis]
        start(self._redis, self._send())

    async def _send(self) -> None:
        # Who was cancelled before it began wants nothing any more.
        calls = [it for it in self._calls if not it[1].done()]
        try:
            replies = iter(await pipelined(self._redis, [it for commands, _ in calls for it in commands]))
            for commands, future in calls:
                _answer(future, [next(replies) for _ in commands])
        except _NOT_SENT as exc:
            if len(calls) == 1:
                _fail(calls[0][1], exc)
            else:  # one of them cannot be sent, and the others are not to know
                await asyncio.gather(*(self._send_alone(*it) for it in calls))
        except Exception as exc:  # noqa: BLE001 - it goes to whose call it is, and none is sent twice
            for _, future in calls:
                _fail(future, exc)
        except BaseException:
            for _, future in calls:
                future.cancel()
            raise

    async def _send_alone(self, commands: Sequence[Command], future: asyncio.Future[list[Any]]) -> None:
        try:
            _answer(future, await pipelined(self._redis, commands))
        except Exception as exc:  # noqa: BLE001 - it goes to whose call it is
            _fail(future, exc)


_next: WeakKeyDictionary[Redis, _Batch] = WeakKeyDictionary()
_sending: dict[asyncio.Task[None], Redis | RedisCluster] = {}


def start(redis: Redis | RedisCluster, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """Have *work* done beside what its caller does; it ends before *redis* is closed, see `finish`."""
    task = asyncio.get_running_loop().create_task(work)
    _sending[task] = redis
    task.add_done_callback(_sending.pop)
    return task


async def finish(redis: Redis | RedisCluster) -> None:
    """Before *redis* is closed: nothing of it is on its way afterwards. What takes longer than FINISH_S is given up."""
    await asyncio.sleep(0)  # what is wanted in this turn goes on its way
    if tasks := [task for task, client in _sending.items() if client is redis]:
        _, late = await asyncio.wait(tasks, timeout=FINISH_S)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)


async def replies(redis: Redis, commands: Sequence[Command]) -> list[Any]:
    """Answers and errors to each of *commands*, with those that others want now. Raises what redis-py raises.

    Who is cancelled does not keep the others from their answers; what was sent is carried out all the same.
    """
    if not commands:
        return []
    loop, batch = asyncio.get_running_loop(), _next.get(redis)
    if batch is None or batch.loop is not loop:
        batch = _next[redis] = _Batch(redis, loop)
    return await batch.add(commands)


async def pipelined(redis: Redis, commands: Sequence[Command]) -> list[Any]:
    """Answers and errors to *commands*, all on one connection. Raises what redis-py raises."""
    if wire.is_light(redis):
        return await wire.exchanged(redis, commands)
    pipeline = redis.pipeline(transaction=False)
    for command in commands:
        pipeline.execute_command(*command)
    found: list[Any] = await pipeline.execute(raise_on_error=False)
    return found


def _answer(future: asyncio.Future[list[Any]], found: list[Any]) -> None:
    if not future.done():
        future.set_result(found)


def _fail(future: asyncio.Future[list[Any]], exc: Exception) -> None:
    if not future.done():
        future.set_exception(exc)
