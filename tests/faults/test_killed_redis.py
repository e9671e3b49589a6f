"""Ten thousand alerts over HTTP, while their Redis is killed (-9) again and again: what was accepted is there."""

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path

import aiohttp
import pytest

from tests.faults.scenario import at_length, suffering
from tests.faults.world import OneRedis, World, open_world

pytestmark = pytest.mark.timeout(600)

ENOUGH = 10_000
SENDERS = 60
REPLICAS = 2
PAUSE_S = 0.2
"""How long a sender that was refused waits."""

PATIENCE_S = 400.0


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World[OneRedis]]:
    async with open_world(tmp_path, partial(OneRedis, appendfsync="always", durability="fsync")) as opened:
        yield opened


async def kill_redis(world: World[OneRedis], dice: random.Random) -> None:
    while True:
        await asyncio.sleep(dice.uniform(2, 5))
        await world.redis.program.kill()
        await asyncio.sleep(dice.uniform(0, 1))
        await world.redis.start()


async def send_until_enough(world: World[OneRedis]) -> set[str]:
    """Alerts of many senders at once; the ids of what was accepted."""
    accepted: set[str] = set()
    numbers = itertools.count()

    async def send(replica: str) -> None:
        while len(accepted) < ENOUGH:
            taken = await post(world.session, replica, next(numbers))
            if taken is None:
                await asyncio.sleep(PAUSE_S)
            else:
                accepted.add(taken)

    replicas: Iterator[str] = itertools.cycle(it.url for it in world.replicas)
    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as senders:
        for _ in range(SENDERS):
            senders.create_task(send(next(replicas)))
    return accepted


async def post(session: aiohttp.ClientSession, replica: str, number: int) -> str | None:
    """The incident's id; None when nothing was promised."""
    alert = {"title": f"Alert {number}", "status": "firing"}
    async with session.post(f"{replica}/api/incidents?oncall_enable=false", json=alert) as response:
        if response.status == 503:
            return None
        assert response.status == 201, await response.text()
        [incident] = (await response.json())["incidents"]
        return str(incident["id"])


@at_length
async def test_with_fsync_a_redis_that_is_killed_loses_none_of_ten_thousand_accepted(world: World[OneRedis]):
    for _ in range(REPLICAS):
        await world.add_replica()

    async with suffering(world, kill_redis, seed=14):
        accepted = await send_until_enough(world)

    kept = {it["id"] for it in await world.incidents()}
    print(f"accepted: {len(accepted)}, kept: {len(kept)}, Redis started: {world.redis.program.starts} times")
    assert len(accepted) >= ENOUGH
    assert not accepted - kept
    assert world.redis.program.starts > 2
