"""Faults under load, and what must hold whatever happens."""

import asyncio
import random

import pytest

from tests.faults.load import Load, make_plans
from tests.faults.world import World

pytestmark = pytest.mark.timeout(600)


async def test_without_a_fault_everything_comes_true(world: World):
    for _ in range(2):
        await world.add_replica()

    events = await Load(world, seed=1).run(make_plans(45, seed=1, seconds=6))

    assert not (await world.judged(events)).findings


async def test_replicas_that_are_killed_every_second_lose_nothing_and_do_nothing_twice(world: World):
    for _ in range(3):
        await world.add_replica()
    dice = random.Random(2)

    async def kill_one_every_second() -> None:
        while True:
            await asyncio.sleep(1)
            replica = dice.choice(world.replicas)
            await replica.program.kill()
            replica.program.start()

    async with asyncio.TaskGroup() as tasks:
        killing = tasks.create_task(kill_one_every_second())
        events = await Load(world, seed=2).run(make_plans(60, seed=2, seconds=20))
        killing.cancel()

    report = await world.judged(events)
    assert not report.findings
