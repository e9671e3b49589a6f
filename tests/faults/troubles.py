"""What goes wrong with the systems around the engine, other than that they are away: they refuse, are full, or lie."""

import asyncio
import random
from contextlib import suppress
from typing import Any

from redis.exceptions import RedisError

from tests.faults.scenario import Trouble
from tests.faults.world import OneRedis, World

CREATE = {"method": "POST", "path": "/api/now/table/incident"}
HOUR_S = 3600


async def for_ever() -> None:
    await asyncio.sleep(HOUR_S)


async def lose_replies(world: World[Any], _: random.Random) -> None:
    """To the first records and messages."""
    await world.servicenow.fault(kind="lost_reply", times=10, **CREATE)
    await world.slack.fault(kind="lost_reply", times=3, path="/api/chat.postMessage")
    await for_ever()


def refuse_credentials(seconds: float) -> Trouble[Any]:
    """ServiceNow's, for so long; then they are accepted again."""

    async def trouble(world: World[Any], _: random.Random) -> None:
        await world.servicenow.fault(kind="401", times=None)
        await asyncio.sleep(seconds)
        await world.servicenow.repair()
        await for_ever()

    return trouble


def fill_redis(seconds: float) -> Trouble[OneRedis]:
    """It has no memory for anything new for so long, again and again; the first time while the first alerts wait."""

    async def trouble(world: World[OneRedis], dice: random.Random) -> None:
        await asyncio.sleep(dice.uniform(2, 3))
        while True:
            with suppress(RedisError, OSError):  # that it is away, too
                await world.redis.limit_memory(1)
            await asyncio.sleep(seconds)
            await world.redis.mend()
            await asyncio.sleep(dice.uniform(2, 4))

    return trouble


def move_the_clock(seconds: float) -> Trouble[OneRedis]:
    """Redis' clock jumps by an hour, and goes back after so long, again and again."""

    async def trouble(world: World[OneRedis], dice: random.Random) -> None:
        while True:
            await asyncio.sleep(dice.uniform(0.5, 2))
            ahead_s = dice.choice([HOUR_S, -HOUR_S])
            for proxy in world.redis.proxies:
                proxy.ahead_s = ahead_s
            await asyncio.sleep(seconds)
            for proxy in world.redis.proxies:
                proxy.ahead_s = 0

    return trouble
