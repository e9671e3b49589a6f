"""Faults under load, and what must hold whatever happens: see the checker.

CI plays those that are marked `sample`, `make faults` all. Each prints its seed and what it came to.
"""

import asyncio
import json
import os
import random
import signal
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.faults.load import Load
from tests.faults.proxy import Way
from tests.faults.scenario import (
    LATE_MS,
    Trouble,
    at_length,
    empty_redis,
    judged_by_policies,
    judged_under,
    sampled,
)
from tests.faults.stories import (
    CHANNELS,
    STORIES,
    STORIES_BEFORE_A_LOSS,
    STORIES_OF_ACK_TIMEOUTS,
    Hindrance,
    make_plans,
)
from tests.faults.tempo import LEASE_S
from tests.faults.troubles import (
    be_slow,
    fill_redis,
    move_the_clock,
    one_after_the_other,
    refuse_credentials,
    refuse_edits,
    refuse_records,
)
from tests.faults.world import SLOW_INSTANCE, OneRedis, Simulator, World
from tests.support.servers import missing

pytestmark = pytest.mark.timeout(600)


def kill_one_every(seconds: float) -> Trouble[Any]:
    """A replica that any of them may be, and start it again at once."""

    async def trouble(world: World[Any], dice: random.Random) -> None:
        while True:
            await asyncio.sleep(seconds)
            replica = dice.choice(world.replicas)
            try:
                await replica.program.kill()
            finally:  # also where the trouble ends meanwhile: else nobody would start it again
                replica.program.start()

    return trouble


async def restart_redis(world: World[OneRedis], dice: random.Random) -> None:
    while True:
        await asyncio.sleep(dice.uniform(2, 4))
        await world.redis.program.kill()
        await asyncio.sleep(dice.uniform(0.1, 2))
        await world.redis.start()


async def cut_in_the_middle(world: World[OneRedis], dice: random.Random) -> None:
    """Of a script's request, so that half of it arrives; of its answer, so that nobody hears what it did."""
    while True:
        await asyncio.sleep(dice.uniform(0.02, 0.15))
        proxy = dice.choice(world.redis.proxies)
        proxy.cut_in_the_middle(dice.choice([*Way]), dice.choice([0, dice.randrange(2000)]))


async def weaken_the_network(world: World[OneRedis], dice: random.Random) -> None:
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


async def pause_past_the_lease(world: World[OneRedis], dice: random.Random) -> None:
    while True:
        await asyncio.sleep(dice.uniform(0.5, 1.5))
        replica = dice.choice(world.replicas)
        replica.program.signal(signal.SIGSTOP)
        await asyncio.sleep(LEASE_S + 2)
        replica.program.signal(signal.SIGCONT)


async def restart_one_after_the_other(world: World[OneRedis], _: random.Random) -> None:
    while True:
        for replica in world.replicas:
            assert await replica.program.stop() == 0
            replica.program.start()
            await world.ready(replica)


def misbehave(*systems: str, kinds: tuple[str, ...]) -> Trouble[OneRedis]:
    """The systems that are simulated, for some requests at a time."""

    async def trouble(world: World[OneRedis], dice: random.Random) -> None:
        found: list[Simulator] = [getattr(world, system) for system in systems]
        while True:
            await asyncio.sleep(dice.uniform(0.2, 0.6))
            kind = dice.choice(kinds)
            more = {"retry_after": 1} if kind == "429" else {"seconds": 4} if kind in {"slow", "cut_off"} else {}
            await dice.choice(found).fault(kind=kind, times=dice.randint(1, 3), **more)

    return trouble


def be_away(*systems: str, kind: str) -> Trouble[OneRedis]:
    """The systems that are simulated, for all requests for longer than a wait."""

    async def trouble(world: World[OneRedis], dice: random.Random) -> None:
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


async def nothing(_: World[OneRedis], __: random.Random) -> None:
    await asyncio.sleep(3600)


def all_at_once(*troubles: Trouble[OneRedis]) -> Trouble[OneRedis]:
    """Each by its own dice."""

    async def trouble(world: World[OneRedis], dice: random.Random) -> None:
        async with asyncio.TaskGroup() as tasks:
            for it in troubles:
                tasks.create_task(it(world, random.Random(dice.random())))

    return trouble


SLOW_MS = 3000
"""How long an answer of Redis may be on its way where the network is weak."""

ACK_LASTS_S = 6
"""Longer than a wait, so that the record of a wait that went on is seen."""

KINDS = ("down", "slow", "lost_reply", "cut_off", "truncated", "429", "500", "503", "html503", "html200")


@at_length
async def test_without_a_fault_everything_comes_true(world: World[OneRedis]):
    await judged_under(world, nothing, seed=1, replicas=2)


@sampled
async def test_replicas_that_are_killed_every_second_lose_nothing_and_do_nothing_twice(world: World[OneRedis]):
    await judged_under(world, kill_one_every(1), seed=2)


@sampled
async def test_redis_that_is_killed_and_started_again_ends_no_replica_and_loses_nothing(world: World[OneRedis]):
    await judged_under(world, restart_redis, seed=3)

    assert {it.program.starts for it in world.replicas} == {1}


@sampled
async def test_connections_to_redis_that_end_in_the_middle_of_a_script_lose_nothing(world: World[OneRedis]):
    await judged_under(world, cut_in_the_middle, seed=4)

    assert sum(it.cuts_made for it in world.redis.proxies) > 50


@sampled
async def test_slack_and_servicenow_that_misbehave_in_every_way_get_everything_once(world: World[OneRedis]):
    await judged_under(world, misbehave("slack", "servicenow", kinds=KINDS), seed=5)


@at_length
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("system", ["slack", "servicenow"])
async def test_a_system_that_is_away_for_longer_than_a_wait_gets_everything_once(world: World[OneRedis], system, kind):
    await judged_under(world, be_away(system, kind=kind), seed=6, replicas=2, alerts=36, seconds=12)


@at_length
async def test_a_bad_network_to_redis_loses_nothing(world: World[OneRedis]):
    await judged_under(world, weaken_the_network, seed=7, clock_slack_ms=SLOW_MS)


@at_length
async def test_replicas_that_stand_still_for_longer_than_their_leases_do_nothing_twice(world: World[OneRedis]):
    await judged_under(world, pause_past_the_lease, seed=8)


@at_length
async def test_a_rolling_restart_under_load_is_not_noticed(world: World[OneRedis]):
    await judged_under(world, restart_one_after_the_other, seed=9)


@at_length
async def test_replicas_whose_clocks_jump_by_an_hour_escalate_neither_early_nor_late(world: World[OneRedis]):
    clocks = [world.folder / f"clock-{number}" for number in range(3)]
    for clock in clocks:
        clock.write_text("+0")
        await world.add_replica(env=faked_clock(clock))

    async def set_clocks(_: World[OneRedis], dice: random.Random) -> None:
        while True:
            await asyncio.sleep(dice.uniform(0.5, 2))
            dice.choice(clocks).write_text(dice.choice(["+1h", "-1h", "+0"]))

    await judged_under(world, set_clocks, seed=10)

    assert any(is_an_hour_off(it.program.log.read_text()) for it in world.replicas)


def faked_clock(file: Path) -> dict[str, str]:
    """The environment in which a program's clock is as far off as *file* says, at any time."""
    library = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
    if library is None:
        missing("libfaketime is not installed (Debian: apt-get install libfaketime)")
    return {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(file),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "NO_FAKE_STAT": "1",
    }


def is_an_hour_off(log: str) -> bool:
    """Whether the lines' times jump."""
    times = [datetime.fromisoformat(json.loads(line)["timestamp"]) for line in log.splitlines() if line[:1] == "{"]
    return max(times) - min(times) > timedelta(minutes=50)


@at_length
@pytest.mark.parametrize(
    ("trouble", "seed"),
    [
        pytest.param(nothing, 20, id="without a fault"),
        pytest.param(kill_one_every(1), 21, id="replicas that are killed", marks=pytest.mark.sample),
        pytest.param(misbehave("slack", "servicenow", kinds=KINDS), 22, id="systems that misbehave"),
    ],
)
async def test_acknowledgments_that_end_are_followed_by_a_wait_and_one_record(world: World[OneRedis], trouble, seed):
    stories = (*STORIES, *STORIES_OF_ACK_TIMEOUTS)
    await judged_under(world, trouble, seed=seed, alerts=2 * len(stories), stories=stories, ack_lasts_s=ACK_LASTS_S)


@at_length
@pytest.mark.parametrize(
    ("trouble", "seed"),
    [
        pytest.param(nothing, 25, id="without a fault"),
        pytest.param(kill_one_every(2), 26, id="replicas that are killed"),
        pytest.param(restart_redis, 27, id="Redis that is killed"),
        pytest.param(misbehave("slack", "servicenow", kinds=KINDS), 28, id="systems that misbehave"),
    ],
)
async def test_each_step_of_a_policy_is_told_once_its_time_has_come_and_never_before(
    world: World[OneRedis], trouble, seed
):
    report = await judged_by_policies(world, trouble, seed=seed)

    assert report.counted["told again"] > 0
    assert report.counted["ended before its hours, and never told"] > 0


@at_length
async def test_credentials_that_are_refused_for_a_while_escalate_everything_once(world: World[OneRedis]):
    refused_s = 12

    await judged_under(world, refuse_credentials(refused_s), seed=30, late_ms=refused_s * 1000 + LATE_MS)

    assert all(it.has_said("credentials.accepted") for it in world.replicas)


@at_length
async def test_a_full_redis_holds_up_nothing_that_was_accepted(world: World[OneRedis]):
    await judged_under(world, fill_redis(12), seed=31, late_ms=LATE_MS)


@at_length
async def test_what_comes_again_after_redis_lost_its_data_is_what_it_was(world: World[OneRedis]):
    stories = STORIES_BEFORE_A_LOSS
    for _ in range(3):
        await world.add_replica()
    load = Load(world, seed=35)

    await load.run(make_plans(5 * len(stories), seed=35, seconds=12, stories=stories))
    events = await empty_redis(world, load)

    report = await world.judged(events)
    assert not report.findings
    assert report.counted["had to escalate"] > len(stories)


@at_length
async def test_messages_that_cannot_be_edited_are_posted_anew_and_their_threads_say_the_rest(world: World[OneRedis]):
    await judged_under(world, refuse_edits(*CHANNELS[::2]), seed=36)


@at_length
@pytest.mark.parametrize("seconds", [pytest.param(5, id="goes back"), pytest.param(20, id="stays")])
async def test_a_clock_of_redis_that_jumps_ends_no_wait_early_or_late(world: World[OneRedis], seconds):
    trouble = all_at_once(move_the_clock(seconds), kill_one_every(6))

    await judged_under(world, trouble, seed=32, late_ms=round(LEASE_S * 1000) + LATE_MS)

    assert any(it.has_said("clock.jumped") for it in world.replicas)


@at_length
async def test_what_refuses_is_full_slow_or_wrong_holds_up_nothing_else(world: World[OneRedis]):
    await world.add_instance(SLOW_INSTANCE)
    refusing = (refuse_records(8), refuse_edits(*CHANNELS[::4]))
    trouble = all_at_once(*refusing, be_slow, fill_redis(4), move_the_clock(4))
    hindrances = [Hindrance.REFUSED, Hindrance.SLOW]

    await judged_under(world, trouble, seed=37, alerts=40, seconds=8, hindrances=hindrances, late_ms=LATE_MS)


@at_length
async def test_records_that_are_refused_hold_up_no_others(world: World[OneRedis]):
    hindrances = [Hindrance.REFUSED]

    await judged_under(world, refuse_records(25), seed=33, seconds=12, hindrances=hindrances, late_ms=LATE_MS)


@at_length
async def test_a_slow_instance_holds_up_no_other(world: World[OneRedis]):
    await world.add_instance(SLOW_INSTANCE)

    await judged_under(world, be_slow, seed=34, seconds=12, hindrances=[Hindrance.SLOW], late_ms=LATE_MS)


@at_length
@pytest.mark.parametrize("seed", [int(os.environ.get("FAULTS_SEED") or 100)])
async def test_everything_at_once_loses_nothing_and_does_nothing_twice(world: World[OneRedis], seed):
    misbehaving = misbehave("slack", "servicenow", kinds=KINDS)
    trouble = all_at_once(kill_one_every(4), restart_redis, cut_in_the_middle, weaken_the_network, misbehaving)

    await judged_under(world, trouble, seed=seed, alerts=120, seconds=45, clock_slack_ms=SLOW_MS)


@at_length
@pytest.mark.parametrize("seed", [int(os.environ.get("FAULTS_SEED") or 101)])
async def test_everything_at_once_also_what_refuses_is_full_slow_or_wrong(world: World[OneRedis], seed):
    await world.add_instance(SLOW_INSTANCE)
    misbehaving = misbehave("slack", "servicenow", kinds=KINDS)
    refusing = one_after_the_other(refuse_credentials(10), refuse_records(15))
    old = (kill_one_every(4), restart_redis, cut_in_the_middle, misbehaving)
    new = (refusing, be_slow, fill_redis(4), move_the_clock(6), refuse_edits(*CHANNELS[::4]))

    await judged_under(
        world,
        all_at_once(*old, *new),
        seed=seed,
        alerts=120,
        seconds=45,
        clock_slack_ms=SLOW_MS,
        hindrances=[Hindrance.REFUSED, Hindrance.SLOW],
    )
