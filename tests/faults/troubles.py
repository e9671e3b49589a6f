"""What goes wrong with the systems around the engine, other than that they are away: they refuse, are full, or lie."""

import asyncio
import random
from contextlib import suppress
from typing import Any

from redis.exceptions import RedisError

from tests.faults.scenario import RedisT, Trouble
from tests.faults.stories import REFUSED_NAME
from tests.faults.world import SLOW_INSTANCE, OneRedis, World
from tests.support.waiting import until

CREATE = {"method": "POST", "path": "/api/now/table/incident"}
HOUR_S = 3600


async def lose_replies(world: World[Any], _: random.Random) -> None:
    """To the first records and messages."""
    await world.servicenow.fault(kind="lost_reply", times=10, **CREATE)
    await world.slack.fault(kind="lost_reply", times=3, path="/api/chat.postMessage")


def refuse_credentials(seconds: float) -> Trouble[Any]:
    """ServiceNow's, for so long; then they are accepted again."""

    async def trouble(world: World[Any], _: random.Random) -> None:
        await world.servicenow.fault(kind="401", times=None)
        await asyncio.sleep(seconds)
        await world.servicenow.repair()

    return trouble


def fill_redis(seconds: float) -> Trouble[OneRedis]:
    """It has no memory for anything new for so long, again and again; the first time while the first alerts wait."""

    async def trouble(world: World[OneRedis], dice: random.Random) -> None:
        await until(world.has_messages, what="the first message")
        await asyncio.sleep(dice.uniform(2, 3))
        while True:
            with suppress(RedisError, OSError):  # that it is away, too
                await world.redis.limit_memory(1)
            await asyncio.sleep(seconds)
            with suppress(RedisError, OSError):
                await world.redis.limit_memory(0)
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


def refuse_edits(*channels: str) -> Trouble[Any]:
    """Slack's refusal of every edit in these channels, for good."""

    async def trouble(world: World[Any], _: random.Random) -> None:
        for channel in channels:
            await world.slack.order_error(error="edit_window_closed", times=None, method="chat.update", channel=channel)
        world.uneditable.update(channels)

    return trouble


def refuse_records(seconds: float) -> Trouble[Any]:
    """A rule of ServiceNow's refuses those with that name, for so long."""

    async def trouble(world: World[Any], _: random.Random) -> None:
        await world.servicenow.fault(kind="500", times=None, text=REFUSED_NAME, **CREATE)
        await asyncio.sleep(seconds)
        await world.servicenow.repair()

    return trouble


async def be_slow(world: World[Any], _: random.Random) -> None:
    """One of two instances, all the time."""
    await world.instances[SLOW_INSTANCE].fault(kind="slow", times=None, seconds=1)


def one_after_the_other(*troubles: Trouble[RedisT]) -> Trouble[RedisT]:
    """Each until it ends."""

    async def trouble(world: World[RedisT], dice: random.Random) -> None:
        for it in troubles:
            await it(world, dice)

    return trouble
