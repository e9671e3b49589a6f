"""Calling Redis, single or a cluster: scripts from files, many commands at once, and one error for everything."""

import asyncio
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha1
from importlib import resources
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.exceptions import NoScriptError, RedisClusterException, RedisError

from versus_py.errors import StoreUnavailable

RedisClient = Redis | RedisCluster
Server = Redis | ClusterNode
"""One server, to be asked about itself."""

Command = tuple[Any, ...]
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


def is_cluster(redis: RedisClient) -> bool:
    return isinstance(redis, RedisCluster)


async def primaries(redis: RedisClient) -> list[Server]:
    """The servers that take writes. Raises what redis-py raises."""
    if isinstance(redis, RedisCluster):
        await redis.initialize()
        return list(redis.get_primaries())
    return [redis]


async def server_time(redis: RedisClient) -> tuple[int, int]:
    """Seconds and microseconds of one server's clock: of a cluster, the same one for everybody, while it is there.

    Raises as `answered`.
    """
    if isinstance(redis, RedisCluster):
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
    return StoreUnavailable(f"Redis did not take it: {exc or type(exc).__name__}")


@dataclass(frozen=True, slots=True)
class Script:
    """One of our scripts, and the client that runs it."""

    redis: RedisClient
    text: str
    sha: str

    async def __call__(self, keys: Sequence[str], args: Sequence[Any]) -> Any:
        call = Call(self, keys, args)
        try:
            return await self.redis.execute_command(*call.command)
        except NoScriptError:
            return await self.redis.execute_command(*call.whole_command)


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a script."""

    script: Script
    keys: Sequence[str]
    args: Sequence[Any]

    @property
    def command(self) -> Command:
        return ("EVALSHA", self.script.sha, len(self.keys), *self.keys, *self.args)

    @property
    def whole_command(self) -> Command:
        """For a server that does not know the script: a new one, or one that took over. It knows it afterwards."""
        return ("EVAL", self.script.text, len(self.keys), *self.keys, *self.args)


def load_script(redis: RedisClient, name: str) -> Script:
    """The script in lua/<name>.lua."""
    text = resources.files(__package__).joinpath("lua", f"{name}.lua").read_text()
    return Script(redis, text, sha1(text.encode(), usedforsecurity=False).hexdigest())


async def answers(redis: RedisClient, commands: Sequence[Command]) -> list[Any]:
    """What Redis answers to each command, all sent in one round trip. Raises StoreUnavailable when any failed."""
    return _whole(await _replies(redis, commands))


async def optional_answers(redis: RedisClient, commands: Sequence[Command]) -> list[Any]:
    """The same for commands whose answers are not needed: StoreUnavailable in place of one that a cluster's node owes.

    Raises StoreUnavailable where there is one server only: nothing goes on without that.
    """
    if not isinstance(redis, RedisCluster):
        return await answers(redis, commands)
    return list(await asyncio.gather(*(_optional_answer(redis, it) for it in commands)))


async def _optional_answer(cluster: RedisCluster, command: Command) -> Any:
    try:
        async with asyncio.timeout(OPTIONAL_TIMEOUT_S):
            return await answered(cluster.execute_command(*command))
    except StoreUnavailable as exc:
        return exc
    except TimeoutError as exc:
        return unavailable(exc)


async def run_all(redis: RedisClient, calls: Sequence[Call]) -> list[Any]:
    """What the scripts answer, all sent in one round trip. Raises StoreUnavailable when any failed."""
    replies = await _replies(redis, [call.command for call in calls])
    unknown = [index for index, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
    again = await _replies(redis, [calls[index].whole_command for index in unknown])
    for index, reply in zip(unknown, again, strict=True):
        replies[index] = reply
    return _whole(replies)


async def _replies(redis: RedisClient, commands: Sequence[Command]) -> list[Any]:
    """Answers and errors. What one server answers comes in one round trip; a cluster is asked each by itself, since
    a pipeline of redis-py does not find out by itself that another node has taken over."""
    if isinstance(redis, RedisCluster):
        return list(await asyncio.gather(*(redis.execute_command(*it) for it in commands), return_exceptions=True))
    pipeline = redis.pipeline(transaction=False)
    for command in commands:
        pipeline.execute_command(*command)
    replies: list[Any] = await answered(pipeline.execute(raise_on_error=False))
    return replies


def _whole(replies: list[Any]) -> list[Any]:
    for reply in replies:
        if is_failure(reply):
            raise unavailable(reply) from reply
        if isinstance(reply, BaseException):
            raise reply
    return replies
