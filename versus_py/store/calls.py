"""Calling Redis, single or a cluster: scripts from files, many commands at once, and one error for everything."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from hashlib import sha1
from importlib import resources
from typing import Any

from msgspec import Struct
from redis.asyncio import Redis
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.exceptions import NoScriptError, RedisClusterException, RedisError, ResponseError
from typing_extensions import TypeIs

from versus_py.errors import StoreFull, StoreUnavailable
from versus_py.store import batches

RedisClient = Redis | RedisCluster
Server = Redis | ClusterNode
"""One server, to be asked about itself."""

Command = batches.Command
"""A command's name and its arguments."""

FAILURES = (RedisError, RedisClusterException, OSError, TimeoutError)
"""What redis-py raises; what it says about clusters is no RedisError."""

OPTIONAL_TIMEOUT_S = 2.0
"""How long a node of a cluster may take to answer what is not needed to go on."""

_CLOSED = "the handler is closed"
"""What uvloop says to who writes to a connection that was reset since it was taken; redis-py hands it on as it is."""


async def answered(answer: Awaitable[Any] | Any) -> Any:
    """What Redis answers. redis-py declares one broad type for every command's answer; ours is always awaitable.

    Everything that can go wrong between us and Redis becomes StoreUnavailable here.
    """
    try:
        return await answer
    except (*FAILURES, RuntimeError) as exc:
        if not is_failure(exc):
            raise
        raise unavailable(exc) from exc


def is_failure(exc: object) -> bool:
    """Whether it says that Redis cannot be reached, or refused something."""
    return isinstance(exc, FAILURES) or (isinstance(exc, RuntimeError) and _CLOSED in str(exc))


def is_cluster(redis: RedisClient) -> TypeIs[RedisCluster]:
    """By what it is not: whether it is one takes redis-py's abstract classes fifteen times as long to say."""
    return not isinstance(redis, Redis)


async def primaries(redis: RedisClient) -> list[Server]:
    """The servers that take writes. Raises what redis-py raises."""
    if is_cluster(redis):
        await redis.initialize()
        return list(redis.get_primaries())
    return [redis]


async def server_time(redis: RedisClient) -> tuple[int, int]:
    """Seconds and microseconds of one server's clock: of a cluster, the same one for everybody, while it is there.

    Raises as `answered`.
    """
    if is_cluster(redis):
        await answered(redis.initialize())
        seconds, microseconds = await _first_answer(redis, "TIME")
    else:
        seconds, microseconds = await answered(redis.time())
    return int(seconds), int(microseconds)


async def _first_answer(cluster: RedisCluster, command: str) -> Any:
    """What the first node says; while that is away, the next one."""
    nodes = sorted(cluster.get_primaries(), key=lambda node: node.name)
    for node in nodes[:-1]:
        with suppress(StoreUnavailable):
            return await answered(cluster.execute_command(command, target_nodes=node))
    return await answered(cluster.execute_command(command, target_nodes=nodes[-1] if nodes else None))


def unavailable(exc: BaseException) -> StoreUnavailable:
    kind = StoreFull if _FULL in str(exc) else StoreUnavailable
    return kind(f"Redis did not take it: {exc or type(exc).__name__}")


REFUSED_WHEN_FULL = frozenset({"create", "journal"})
"""The scripts that a full server refuses. The others finish what was accepted, and run on a full server too.

Redis 7 and newer let a script do so that says it in its first line, which older versions cannot read. Those refuse a
script whose first write may take memory. So the first write of each of the others frees some, or changes when something
expires.
"""

_TEXTS_MAX = 2
_NO_FLAGS = "unexpected symbol near '#'"
_ALSO_WHEN_FULL = "#!lua flags=allow-oom\n"
_FULL = "command not allowed when used memory > 'maxmemory'"


@dataclass(slots=True, eq=False)
class Script:
    """One of our scripts, and the client that runs it. *texts* are the ways to write it, the best first."""

    redis: RedisClient
    texts: tuple[str, ...]

    async def __call__(self, keys: Sequence[str], args: Sequence[Any]) -> Any:
        [reply] = await run_each([Call(self, keys, args)], self._send)
        if isinstance(reply, Exception):
            raise reply
        return reply

    def is_missing(self, reply: Any, command: Command) -> bool:
        """Whether the server does not have the script by its hash, or cannot read the text that was sent."""
        if isinstance(reply, NoScriptError):
            return True
        is_unreadable = isinstance(reply, ResponseError) and _NO_FLAGS in str(reply)
        if is_unreadable and command[1] != self.texts[-1]:
            self.texts = self.texts[-1:]
            return True
        return False

    async def _send(self, commands: Sequence[Command]) -> list[Any]:
        if not is_cluster(self.redis):
            return await _replies(self.redis, commands)
        [command] = commands
        try:
            return [await self.redis.execute_command(*command)]
        except ResponseError as exc:
            return [exc]


class Call(Struct, frozen=True):
    """One call of a script."""

    script: Script
    keys: Sequence[str]
    args: Sequence[Any]

    @property
    def command(self) -> Command:
        return ("EVALSHA", _sha(self.script.texts[0]), len(self.keys), *self.keys, *self.args)

    @property
    def whole_command(self) -> Command:
        """For a server that does not know the script: a new one, or one that took over. It knows it afterwards."""
        return ("EVAL", self.script.texts[0], len(self.keys), *self.keys, *self.args)


@cache
def _sha(text: str) -> str:
    return sha1(text.encode(), usedforsecurity=False).hexdigest()


def load_script(redis: RedisClient, name: str) -> Script:
    """The script in lua/<name>.lua."""
    text = resources.files(__package__).joinpath("lua", f"{name}.lua").read_text()
    return Script(redis, (text,) if name in REFUSED_WHEN_FULL else (f"{_ALSO_WHEN_FULL}{text}", text))


async def answers(redis: RedisClient, commands: Sequence[Command]) -> list[Any]:
    """What Redis answers to each command, all sent in one round trip. Raises StoreUnavailable when any failed."""
    return _whole(await _replies(redis, commands))


async def optional_answers(redis: RedisClient, commands: Sequence[Command]) -> list[Any]:
    """The same for commands whose answers are not needed: StoreUnavailable in place of one that a cluster's node owes.

    Raises StoreUnavailable where there is one server only: nothing goes on without that.
    """
    if not is_cluster(redis):
        return await answers(redis, commands)
    return list(await asyncio.gather(*(_optional_answer(redis.execute_command(*it)) for it in commands)))


async def _optional_answer(answer: Awaitable[Any]) -> Any:
    try:
        async with asyncio.timeout(OPTIONAL_TIMEOUT_S):
            return await answered(answer)
    except StoreUnavailable as exc:
        return exc
    except TimeoutError as exc:
        return unavailable(exc)


async def run_all(redis: RedisClient, calls: Sequence[Call]) -> list[Any]:
    """What the scripts answer, all sent in one round trip. Raises StoreUnavailable when any failed."""
    return _whole(await run_each(calls, partial(_replies, redis)))


async def run_apart(redis: RedisClient, calls: Sequence[Call]) -> list[Any]:
    """The same, with a StoreUnavailable in place of what failed. Raises it when nothing was answered at all."""
    return [unavailable(it) if is_failure(it) else it for it in await run_each(calls, partial(_replies, redis))]


async def run_optionally(redis: RedisClient, calls: Sequence[Call]) -> list[Any]:
    """The same for calls whose answers are not needed, as `optional_answers`."""
    if not is_cluster(redis):
        return await run_all(redis, calls)
    return list(await asyncio.gather(*(_optional_answer(it.script(it.keys, it.args)) for it in calls)))


async def run_each(calls: Sequence[Call], send: Callable[[Sequence[Command]], Awaitable[list[Any]]]) -> list[Any]:
    """Answers and errors. What a server does not know by its hash is sent as text, and once more where it has to be."""
    commands = [call.command for call in calls]
    replies = await send(commands)
    for _ in range(_TEXTS_MAX):
        missing = [index for index, it in enumerate(calls) if it.script.is_missing(replies[index], commands[index])]
        if not missing:
            break
        for index in missing:
            commands[index] = calls[index].whole_command
        again = await send([commands[index] for index in missing])
        for index, reply in zip(missing, again, strict=True):
            replies[index] = reply
    return replies


async def _replies(redis: RedisClient, commands: Sequence[Command]) -> list[Any]:
    """Answers and errors. What one server answers comes in one round trip, with what others want of it now.

    A cluster is asked each by itself: a pipeline of redis-py does not find out that another node has taken over.
    """
    if is_cluster(redis):
        return list(await asyncio.gather(*(redis.execute_command(*it) for it in commands), return_exceptions=True))
    found: list[Any] = await answered(batches.replies(redis, commands))
    return found


def _whole(replies: list[Any]) -> list[Any]:
    for reply in replies:
        if is_failure(reply):
            raise unavailable(reply) from reply
        if isinstance(reply, BaseException):
            raise reply
    return replies
