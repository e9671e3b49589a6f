"""A load in a world with some trouble."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeAlias, TypeVar

import pytest

from tests.faults.checker import CLOCK_SLACK_MS, Report
from tests.faults.journal import Answer, Did, Event
from tests.faults.load import Load
from tests.faults.policies import Kind, opening_ms, settings
from tests.faults.requests import now_ms
from tests.faults.stories import STORIES, STORIES_OF_CHAINS, STORIES_OF_HOURS, Hindrance, Story, make_plans
from tests.faults.tempo import LATE_S
from tests.faults.world import OneRedis, RedisWorld, World

RedisT = TypeVar("RedisT", bound=RedisWorld)
TestT = TypeVar("TestT", bound=Callable[..., object])

Trouble: TypeAlias = Callable[[World[RedisT], random.Random], Coroutine[Any, Any, None]]
"""What goes wrong again and again, until it is cancelled; then the world is mended."""

LATE_MS = 6000
"""More than anything is late by itself on a machine that has much to do."""

at_length = pytest.mark.long
"""Played by `make faults`."""


def sampled(test: TestT) -> TestT:
    """Of those, one that CI plays every time."""
    marked: TestT = pytest.mark.long(pytest.mark.sample(test))
    return marked


@asynccontextmanager
async def suffering(world: World[RedisT], trouble: Trouble[RedisT], *, seed: int) -> AsyncIterator[None]:
    """The block, with that trouble; in order again after it."""
    async with asyncio.TaskGroup() as tasks:
        troubling = tasks.create_task(trouble(world, random.Random(seed)))
        yield
        troubling.cancel()
        with suppress(asyncio.CancelledError):
            await troubling
    await world.mend()


async def empty_redis(world: World[OneRedis], load: Load) -> list[Event]:
    """While escalations are under way; a while later, everything that fires is listed again. The journal of all."""
    await world.redis.empty()
    at_ms = now_ms()
    load.journal.add(Event(Did.EMPTIED, "", at_ms, at_ms, Answer.TAKEN))
    await asyncio.sleep(LATE_S)
    return await load.list_again()


async def judged_under(
    world: World[RedisT],
    trouble: Trouble[RedisT],
    *,
    seed: int,
    replicas: int = 3,
    alerts: int = 72,
    seconds: float = 24,
    wait_s: float = 4,
    stories: Sequence[Story] = STORIES,
    ack_lasts_s: float = 0,
    clock_slack_ms: int = CLOCK_SLACK_MS,
    hindrances: Sequence[Hindrance] = (),
    late_ms: int | None = None,
) -> None:
    """The load in a world with that trouble comes to what it should. With *ack_lasts_s*, acknowledgments end.

    A third of it meets *hindrances*. With *late_ms*, the rest has its records within that time after the wait.
    """
    world.oncall["ack_timeout_minutes"] = ack_lasts_s / 60
    for _ in range(replicas - len(world.replicas)):
        await world.add_replica()
    load = Load(world, seed=seed)
    async with suffering(world, trouble, seed=seed):
        plans = make_plans(
            alerts,
            seed=seed,
            seconds=seconds,
            wait_s=wait_s,
            stories=stories,
            ack_lasts_s=ack_lasts_s,
            hindrances=hindrances,
        )
        events = await load.run(plans)
    report = await world.judged(events, clock_slack_ms=clock_slack_ms, late_ms=late_ms)
    assert not report.findings


async def judged_by_policies(
    world: World[RedisT],
    trouble: Trouble[RedisT],
    *,
    seed: int,
    seconds: float = 20,
    clock_slack_ms: int = CLOCK_SLACK_MS,
) -> Report:
    """The same where alerts have three kinds of policies. The report, without findings."""
    opens_ms = opening_ms()
    world.policies |= settings(opens_ms)
    for _ in range(3):
        await world.add_replica()
    load = Load(world, seed=seed)
    async with suffering(world, trouble, seed=seed):
        plans = [
            *make_plans(24, seed=seed, seconds=seconds),
            *make_plans(33, seed=seed, seconds=seconds, stories=STORIES_OF_CHAINS, kind=Kind.CHAIN),
            *make_plans(18, seed=seed, seconds=seconds, stories=STORIES_OF_HOURS, kind=Kind.HELD, opens_ms=opens_ms),
        ]
        events = await load.run(plans)
    report = await world.judged(events, clock_slack_ms=clock_slack_ms)
    assert not report.findings
    return report
