"""Faults under load, and what must hold whatever happens: see the checker.

Without FAULTS=all in the environment, those of a few kinds are played. Each prints its seed and what it came to.
"""

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from tests.faults.load import Load, make_plans
from tests.faults.proxy import Way
from tests.faults.tempo import LEASE_S
from tests.faults.world import Simulator, World

pytestmark = pytest.mark.timeout(600)
at_length = pytest.mark.skipif(not os.environ.get("FAULTS"), reason="played by: make faults")

Trouble = Callable[[World, random.Random], Coroutine[Any, Any, None]]
"""What goes wrong again and again, until it is cancelled; then the world is mended."""


@asynccontextmanager
async def suffering(world: World, trouble: Trouble, *, seed: int) -> AsyncIterator[None]:
    """The block, with that trouble; in order again after it."""
    async with asyncio.TaskGroup() as tasks:
        troubling = tasks.create_task(trouble(world, random.Random(seed)))
        yield
        troubling.cancel()
        with suppress(asyncio.CancelledError):
            await troubling
    await world.mend()


async def judged_under(
    world: World, trouble: Trouble, *, seed: int, replicas: int = 3, alerts: int = 60, seconds: float = 20
) -> None:
    """The load in a world with that trouble comes to what it should."""
    for _ in range(replicas - len(world.replicas)):
        await world.add_replica()
    load = Load(world, seed=seed)
    async with suffering(world, trouble, seed=seed):
        events = await load.run(make_plans(alerts, seed=seed, seconds=seconds))
    report = await world.judged(events)
    assert not report.findings


async def kill_one_every_second(world: World, dice: random.Random) -> None:
    while True:
        await asyncio.sleep(1)
        replica = dice.choice(world.replicas)
        await replica.program.kill()
        replica.program.start()


async def restart_redis(world: World, dice: random.Random) -> None:
    while True:
        await asyncio.sleep(dice.uniform(2, 4))
        await world.redis.program.kill()
        await asyncio.sleep(dice.uniform(0.1, 2))
        await world.redis.start()


async def cut_in_the_middle(world: World, dice: random.Random) -> None:
    """Of a script's request, so that half of it arrives; of its answer, so that nobody hears what it did."""
    while True:
        await asyncio.sleep(dice.uniform(0.02, 0.15))
        proxy = dice.choice(world.redis.proxies)
        proxy.cut_in_the_middle(dice.choice([*Way]), dice.choice([0, dice.randrange(2000)]))


async def weaken_the_network(world: World, dice: random.Random) -> None:
    """Between replicas and Redis: it stalls, is slow, resets, and takes one direction away."""
    while True:
        proxy = dice.choice(world.redis.proxies)
        match dice.randrange(4):
            case 0:
                proxy.stall()
            case 1:
                proxy.delay_s = 0.2
            case 2:
                proxy.refuse()
            case 3:
                proxy.half_close()
        await asyncio.sleep(dice.uniform(0.5, 3))
        proxy.mend()


async def pause_past_the_lease(world: World, dice: random.Random) -> None:
    while True:
        await asyncio.sleep(dice.uniform(0.5, 1.5))
        replica = dice.choice(world.replicas)
        replica.program.signal(signal.SIGSTOP)
        await asyncio.sleep(LEASE_S + 2)
        replica.program.signal(signal.SIGCONT)


async def restart_one_after_the_other(world: World, _: random.Random) -> None:
    while True:
        for replica in world.replicas:
            assert await replica.program.stop() == 0
            replica.program.start()
            await world.ready(replica)


def misbehave(*systems: str, kinds: tuple[str, ...]) -> Trouble:
    """The systems that are simulated, for some requests at a time."""

    async def trouble(world: World, dice: random.Random) -> None:
        found: list[Simulator] = [getattr(world, system) for system in systems]
        while True:
            await asyncio.sleep(dice.uniform(0.2, 0.6))
            kind = dice.choice(kinds)
            more = {"retry_after": 1} if kind == "429" else {"seconds": 4} if kind in {"slow", "cut_off"} else {}
            await dice.choice(found).fault(kind=kind, times=dice.randint(1, 3), **more)

    return trouble


def be_away(*systems: str, kind: str) -> Trouble:
    """The systems that are simulated, for all requests for longer than a wait."""

    async def trouble(world: World, dice: random.Random) -> None:
        found: list[Simulator] = [getattr(world, system) for system in systems]
        more = {"retry_after": 1} if kind == "429" else {"seconds": 4}
        while True:
            for simulator in found:
                await simulator.fault(kind=kind, times=None, **more)
            await asyncio.sleep(8)
            for simulator in found:
                await simulator.repair()
            await asyncio.sleep(dice.uniform(1, 3))

    return trouble


async def nothing(_: World, __: random.Random) -> None:
    await asyncio.sleep(3600)


KINDS = ("down", "slow", "lost_reply", "cut_off", "truncated", "429", "500", "503", "html503", "html200")


@at_length
async def test_without_a_fault_everything_comes_true(world: World):
    await judged_under(world, nothing, seed=1, replicas=2)


async def test_replicas_that_are_killed_every_second_lose_nothing_and_do_nothing_twice(world: World):
    await judged_under(world, kill_one_every_second, seed=2)


async def test_redis_that_is_killed_and_started_again_ends_no_replica_and_loses_nothing(world: World):
    await judged_under(world, restart_redis, seed=3)

    assert {it.program.starts for it in world.replicas} == {1}


async def test_connections_to_redis_that_end_in_the_middle_of_a_script_lose_nothing(world: World):
    await judged_under(world, cut_in_the_middle, seed=4)

    assert sum(it.cuts_made for it in world.redis.proxies) > 50


async def test_slack_and_servicenow_that_misbehave_in_every_way_get_everything_once(world: World):
    await judged_under(world, misbehave("slack", "servicenow", kinds=KINDS), seed=5)


@at_length
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("system", ["slack", "servicenow"])
async def test_a_system_that_is_away_for_longer_than_a_wait_gets_everything_once(world: World, system, kind):
    await judged_under(world, be_away(system, kind=kind), seed=6, replicas=2, alerts=36, seconds=12)


@at_length
async def test_a_bad_network_to_redis_loses_nothing(world: World):
    await judged_under(world, weaken_the_network, seed=7)


@at_length
async def test_replicas_that_stand_still_for_longer_than_their_leases_do_nothing_twice(world: World):
    await judged_under(world, pause_past_the_lease, seed=8)


@at_length
async def test_a_rolling_restart_under_load_is_not_noticed(world: World):
    await judged_under(world, restart_one_after_the_other, seed=9)
