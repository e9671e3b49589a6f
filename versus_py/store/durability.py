"""How sure a write is before somebody is told that it happened: in memory, on disk, or on replicas.

WAIT and WAITAOF look at the writes of their own connection only. So what is to last goes out in groups: the scripts, a
write that is certain to be one, and the wait, all on one connection. Whatever server that connection leads to, also
right after a failover, it has taken all of it when it says so. Who comes while a group is under way shares the next.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from redis.asyncio.cluster import PipelineCommand, RedisCluster
from redis.exceptions import (
    AskError,
    ClusterDownError,
    MovedError,
    NoScriptError,
    ResponseError,
    TryAgainError,
)

from versus_py.config import RedisConfig
from versus_py.errors import StoreUnavailable
from versus_py.store import batches, keys
from versus_py.store.calls import (
    FAILURES,
    Call,
    Command,
    RedisClient,
    Server,
    answered,
    answers,
    is_cluster,
    is_failure,
    load_script,
    run_each,
    unavailable,
)

log = structlog.get_logger()

WAIT_MS = 2000
"""How long Redis may take to make a group last; who waits for it gives up a little later by themselves."""

GROUP_MAX = 200
"""Calls in one group; more would keep Redis from others for too long."""

_ELSEWHERE = (MovedError, AskError, TryAgainError, ClusterDownError)
_TRIES = 20
_TRY_AGAIN_S = 0.1


@dataclass(slots=True, eq=False)  # two callers who want the same are two
class _Entry:
    """What one caller wants to have written, and what came of it."""

    calls: Sequence[Call]
    replies: list[Any] | None = None
    error: StoreUnavailable | None = None

    @property
    def is_done(self) -> bool:
        return self.replies is not None or self.error is not None

    def take(self, replies: list[Any]) -> None:
        """What was answered; what is refused to one is no error of the others in its group."""
        refusal = next((reply for reply in replies if isinstance(reply, Exception)), None)
        if refusal is None:
            self.replies = replies
        else:
            self.error = unavailable(refusal)


@dataclass(slots=True)
class _Lane:
    """Those who wait for the next group. On a cluster each partition has its own, as it is on one node."""

    waiting: list[_Entry] = field(default_factory=list)
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    def take(self) -> list[_Entry]:
        """The next group: the first ones, at least one."""
        group: list[_Entry] = []
        while self.waiting and (not group or sum(len(it.calls) for it in (*group, self.waiting[0])) <= GROUP_MAX):
            group.append(self.waiting.pop(0))
        return group


class Durability:
    """Runs scripts that write; when a method returns, what they wrote is as sure as the configuration asks for.

    Every method raises StoreUnavailable: then it may be written all the same, but is not as sure.
    """

    def __init__(self, redis: RedisClient, wait: Command) -> None:
        self._redis = redis
        self._wait = wait
        self._put = load_script(redis, "put")
        self._lanes: dict[str, _Lane] = {}
        self._has_warned = False

    async def run(self, calls: Sequence[Call]) -> list[Any]:
        """What each script answers. A script whose group is interrupted is run again: ours bear repetition."""
        by_partition: dict[str, list[int]] = {}
        for index, call in enumerate(calls):
            by_partition.setdefault(self._partition(call.keys[0]), []).append(index)
        entries = await self._outcomes({name: [calls[it] for it in found] for name, found in by_partition.items()})
        replies: list[Any] = [None] * len(calls)
        for name, indexes in by_partition.items():
            for index, reply in zip(indexes, entries[name], strict=True):
                replies[index] = reply
        return replies

    async def settle(self, written: Sequence[str]) -> None:
        """What somebody wrote to these keys before is as sure as what `run` writes."""
        await self._outcomes({self._partition(key): [] for key in written})

    def _partition(self, key: str) -> str:
        """What shares a lane: on one server, everything."""
        return keys.partition_of_key(key) if is_cluster(self._redis) else "0"

    async def _outcomes(self, calls: Mapping[str, Sequence[Call]]) -> dict[str, list[Any]]:
        async with asyncio.TaskGroup() as lanes:
            tasks = {name: lanes.create_task(self._outcome(name, found)) for name, found in calls.items()}
        return {name: _replies_or_raise(task.result()) for name, task in tasks.items()}

    async def _outcome(self, partition: str, calls: Sequence[Call]) -> _Entry:
        """Waits for a group, or sends the next one for all who wait. Errors are in the entry: others share them."""
        lane = self._lanes.setdefault(partition, _Lane())
        entry = _Entry(calls)
        lane.waiting.append(entry)
        try:
            while not entry.is_done:
                async with lane.turn:
                    if not entry.is_done:
                        await self._send_next(lane, partition)
        finally:
            if entry in lane.waiting:  # cancelled: nobody wants to know any more
                lane.waiting.remove(entry)
        return entry

    async def _send_next(self, lane: _Lane, partition: str) -> None:
        group = lane.take()
        try:
            replies = iter(await self._commit([call for it in group for call in it.calls], partition))
            for it in group:
                it.take([next(replies) for _ in it.calls])
        except StoreUnavailable as exc:
            for it in group:
                it.error = exc
        finally:
            # Who sends for the others may be cancelled meanwhile: the next of them does it again.
            lane.waiting[:0] = [it for it in group if not it.is_done]

    async def _commit(self, calls: Sequence[Call], partition: str) -> list[Any]:
        """What the scripts answered, errors too, and it lasts. All are run before it is said that they do not."""
        doubts: list[Exception | None] = []

        async def send(commands: Sequence[Command]) -> list[Any]:
            replies, doubt = await self._lasting(commands, partition)
            # A script that the server does not know has written nothing that could be in doubt.
            if not commands or not all(isinstance(reply, NoScriptError) for reply in replies):
                doubts.append(doubt)
            return replies

        replies = await run_each(calls, send)
        if (doubt := next(filter(None, doubts), None)) is not None:
            raise unavailable(doubt) from doubt
        return replies

    async def _lasting(self, commands: Sequence[Command], partition: str) -> tuple[list[Any], Exception | None]:
        """Answers and errors, and why what they wrote may not last."""
        barrier = Call(self._put, [keys.in_partition(partition, "barrier")], ["1", "", ""])
        command = barrier.whole_command
        *replies, written, waited = await self._on_one_connection([*commands, command, self._wait], barrier.keys[0])
        if self._put.is_missing(written, command):
            return await self._lasting(commands, partition)
        return replies, written if isinstance(written, Exception) else self._doubt(waited)

    def _doubt(self, waited: Any) -> Exception | None:
        match waited:
            case ResponseError():
                self._warn(str(waited))
            case Exception():
                return waited
            case list() if int(waited[0]) < 1:
                return TimeoutError(f"not on disk within {WAIT_MS} ms")
            case int() if waited < self._wait[1]:
                return TimeoutError(f"{waited} of {self._wait[1]} replicas have it after {WAIT_MS} ms")
        return None

    def _warn(self, reason: str) -> None:
        """Once. The server was asked at the start, but this one may be another: refusing alerts would help nobody."""
        if not self._has_warned and "unknown command" not in reason:  # which a restart does not change
            self._has_warned = True
            log.warning("redis.not_durable", reason=reason, advice="see docs/redis.md, Durability")

    async def _on_one_connection(self, commands: Sequence[Command], key: str) -> list[Any]:
        if not is_cluster(self._redis):
            replies: list[Any] = await answered(batches.pipelined(self._redis, commands))
            return replies
        for _ in range(_TRIES):
            replies = await _on_node(self._redis, commands, key)
            if not any(map(_is_elsewhere, replies)):
                return replies
            await answers(self._redis, [("EXISTS", key)])  # finds out where the partition is now
            await asyncio.sleep(_TRY_AGAIN_S)
        raise StoreUnavailable("the partition keeps moving between nodes")


def wait_command(config: RedisConfig) -> Command | None:
    """What makes Redis answer when all that the connection wrote lasts; None when that is not asked for."""
    match config.durability:
        case "memory":
            return None
        case "fsync":
            return ("WAITAOF", 1, 0, WAIT_MS)
        case "replicated":
            return ("WAIT", config.replicas, WAIT_MS)


def durability_for(redis: RedisClient, config: RedisConfig) -> Durability | None:
    """None when memory is enough."""
    wait = wait_command(config)
    return None if wait is None else Durability(redis, wait)


async def sync_refusal(server: Server) -> str | None:
    """Why the server cannot tell when a write is on disk; None when it can. Raises what redis-py raises."""
    try:
        await server.execute_command("WAITAOF", 1, 0, 100)
    except ResponseError as exc:
        return str(exc).partition(", with args")[0]
    return None


def _is_elsewhere(reply: Any) -> bool:
    """Whether it is no answer, but says that another node may have one."""
    return isinstance(reply, _ELSEWHERE) or (is_failure(reply) and not isinstance(reply, ResponseError))


def _replies_or_raise(entry: _Entry) -> list[Any]:
    if entry.error is not None:
        raise type(entry.error)(str(entry.error)) from entry.error
    return entry.replies or []


async def _on_node(redis: RedisCluster, commands: Sequence[Command], key: str) -> list[Any]:
    """Answers and errors of the node that holds *key*."""
    queued = [PipelineCommand(position, *command) for position, command in enumerate(commands)]
    try:
        await redis.initialize()
        node = redis.get_node_from_key(key)
        if node is None:
            raise StoreUnavailable("no node of the cluster holds it")
        await node.execute_pipeline(queued)
    except (*FAILURES, RuntimeError) as exc:
        if not is_failure(exc):
            raise
        return [exc] * len(queued)
    return [it.result for it in queued]
