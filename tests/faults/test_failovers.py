"""Redis of many servers under load: a primary that is lost behind Sentinel, nodes and slots of a cluster.

With durability replicated nothing that was accepted may be lost, whichever server goes.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.crc import key_slot

from tests.faults.scenario import at_length, judged_under
from tests.faults.world import AnyRedis, World, open_world
from tests.support.redis_servers import (
    ClusterWorld,
    RedisServer,
    SentinelWorld,
    redis_server,
    replicates,
    run_cluster,
    run_sentinel,
    valkey_server,
)
from tests.support.waiting import until
from versus_py.incidents.partitions import partitions

pytestmark = pytest.mark.timeout(600)

REPLICATED = {"durability": "replicated", "replicas": 1}
OPTIONS = ("--appendonly", "yes", "--repl-diskless-sync-delay", "0")
KEY_EVERY_S = 0.01
"""How slowly a slot moves, so that requests meet one that is here and there."""


async def comes_true(condition: Callable[[], bool], what: str) -> None:
    """As `until`, for what asks servers."""
    await until(lambda: asyncio.to_thread(condition), what=what)


class ManyServers:
    """What is begun with them is finished, also when the scenario ends meanwhile."""

    _deed: asyncio.Task[None] | None = None

    async def finished(self, deed: Coroutine[Any, Any, None]) -> None:
        self._deed = asyncio.create_task(deed)
        await asyncio.shield(self._deed)

    async def mend(self) -> None:
        if self._deed is not None:
            await self._deed


class SentinelRedis(ManyServers):
    """A primary, its replica, and three sentinels."""

    servers: SentinelWorld

    def __init__(self, folder: Path, stack: AsyncExitStack) -> None:
        self._folder = folder / "redis"
        self._stack = stack
        self.failovers = 0

    async def start(self) -> None:
        self.servers = self._stack.enter_context(run_sentinel(self._folder, redis_server(), *OPTIONS))

    async def settings(self) -> dict[str, Any]:
        return {"redis": self.servers.settings | REPLICATED}

    @asynccontextmanager
    async def reached(self) -> AsyncIterator[AnyRedis]:
        async with redis.asyncio.Redis(port=self.servers.primary_port(), decode_responses=True) as client:
            yield client

    async def fail_over(self, dice: random.Random) -> None:
        """Kill the primary; the other one is promoted, and some time later gets the first as its replica."""
        lost, other = sorted(self.servers.servers, key=lambda it: it.port != self.servers.primary_port())
        lost.kill()
        await comes_true(lambda: self.servers.is_primary(other), "the replica being promoted")
        self.failovers += 1
        await asyncio.sleep(dice.uniform(0, 2))
        # Sentinel tells who is there to follow another one; it has not told this one.
        lost.options = (*OPTIONS, "--replicaof", f"127.0.0.1 {other.port}")
        await asyncio.to_thread(lost.start)
        await comes_true(lambda: replicates(lost), "the replica being in sync")


class ClusterRedis(ManyServers):
    """Three primaries with a replica each."""

    servers: ClusterWorld

    def __init__(self, folder: Path, stack: AsyncExitStack) -> None:
        self._folder = folder / "redis"
        self._stack = stack
        self.moves = self.takeovers = 0

    @property
    def nodes(self) -> list[RedisServer]:
        return [*self.servers.primaries, *self.servers.replicas]

    async def start(self) -> None:
        options = (*OPTIONS, "--cluster-replica-validity-factor", "0")
        self.servers = self._stack.enter_context(run_cluster(self._folder, valkey_server(), *options, replicas=1))

    async def settings(self) -> dict[str, Any]:
        return {"redis": self.servers.settings | REPLICATED}

    @asynccontextmanager
    async def reached(self) -> AsyncIterator[AnyRedis]:
        nodes = [ClusterNode("127.0.0.1", it.port) for it in self.nodes]
        async with RedisCluster(startup_nodes=nodes, decode_responses=True) as client:
            yield client

    async def move(self, slot: int, dice: random.Random) -> None:
        """To another primary, one key at a time."""
        source = primary_of(slot, self.nodes[0])
        target = dice.choice(sorted({port for *_, port in slots_by(self.nodes[0])} - {source}))
        moving = (self._node(source), self._node(target), lambda: time.sleep(KEY_EVERY_S))
        await asyncio.to_thread(self.servers.move_slot, slot, *moving)
        await comes_true(lambda: self._all_say(slot, {target}), "the slot being known to have moved")
        self.moves += 1

    async def lose_the_owner_of(self, slot: int, dice: random.Random) -> None:
        """Its replica takes over, and some time later it comes back as the replica of that."""
        lost = self._node(primary_of(slot, self.nodes[0]))
        lost.kill()
        others = {it.port for it in self.nodes} - {lost.port}
        await comes_true(lambda: self._all_say(slot, others), "the replica taking over")
        self.takeovers += 1
        await asyncio.sleep(dice.uniform(0, 2))
        await asyncio.to_thread(lost.start)
        await comes_true(self._is_whole, "the cluster being whole again")

    def _is_whole(self) -> bool:
        return self.servers.is_ok(self.nodes) and all(map(self.servers.shows_replicas, self.nodes))

    def _all_say(self, slot: int, ports: set[int]) -> bool:
        return all(primary_of(slot, it) in ports for it in self.nodes if it.process is not None)

    def _node(self, port: int) -> RedisServer:
        return next(it for it in self.nodes if it.port == port)


def slots_by(node: RedisServer) -> list[tuple[int, int, int]]:
    """First and last slot of each range, and the port of its primary, as *node* sees it."""
    with node.client() as client:
        ranges = client.execute_command("CLUSTER SLOTS")
    return [(first, last, port) for first, last, (_, port, *_), *_ in ranges]


def primary_of(slot: int, asked: RedisServer) -> int:
    """The port of whom *asked* takes to hold it; 0 for nobody."""
    return next((port for first, last, port in slots_by(asked) if first <= slot <= last), 0)


@pytest.fixture
async def sentinels(tmp_path: Path) -> AsyncIterator[World[SentinelRedis]]:
    async with open_world(tmp_path, SentinelRedis) as opened:
        yield opened


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[World[ClusterRedis]]:
    async with open_world(tmp_path, ClusterRedis) as opened:
        yield opened


async def lose_the_primary(world: World[SentinelRedis], dice: random.Random) -> None:
    while True:
        await asyncio.sleep(dice.uniform(1, 3))
        await world.redis.finished(world.redis.fail_over(dice))


async def move_and_lose(world: World[ClusterRedis], dice: random.Random) -> None:
    """A partition is moved to another node, which is lost then."""
    while True:
        slot = key_slot(str(dice.choice(partitions())).encode())
        await asyncio.sleep(dice.uniform(1, 3))
        await world.redis.finished(world.redis.move(slot, dice))
        await world.redis.finished(world.redis.lose_the_owner_of(slot, dice))


@at_length
@pytest.mark.parametrize(("alerts", "seconds"), [pytest.param(24, 7, marks=pytest.mark.sample), (60, 20)])
async def test_primaries_behind_sentinel_that_are_lost_lose_nothing(sentinels: World[SentinelRedis], alerts, seconds):
    await judged_under(sentinels, lose_the_primary, seed=12, alerts=alerts, seconds=seconds)

    assert sentinels.redis.failovers
    assert {it.program.starts for it in sentinels.replicas} == {1}


@at_length
async def test_partitions_that_move_between_nodes_that_are_lost_lose_nothing(cluster: World[ClusterRedis]):
    await judged_under(cluster, move_and_lose, seed=13)

    assert cluster.redis.moves > 1
    assert cluster.redis.takeovers > 1
    assert {it.program.starts for it in cluster.replicas} == {1}
