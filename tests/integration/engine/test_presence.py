"""Replicas tell each other that they run, and how they stand."""

import asyncio

import pytest

from tests.integration.conftest import Engine
from versus_py import __version__
from versus_py.clock import ClockNotes, SharedClock
from versus_py.engine.health import Health
from versus_py.engine.presence import Presence, describes
from versus_py.errors import StoreUnavailable
from versus_py.incidents.copies import replace
from versus_py.store import keys
from versus_py.store.replicas import FORGOTTEN_AFTER_MS, Circuit, Replica, Replicas

DEADLINE_S = 5.0
FIRST = Replica("a 1", "versus-0", "1.2.0", 1_000, 500_000, circuits={"slack": Circuit("down", 7)}, refused={"x": "no"})
SECOND = Replica("b 1", "versus-1", "1.2.0", 2_000, 500_000, has_api=False)


@pytest.fixture
def replicas(engine_redis) -> Replicas:
    return Replicas(engine_redis)


async def test_each_says_how_it_stands_and_all_are_known(replicas):
    await replicas.attend(SECOND)
    await replicas.attend(FIRST)
    await replicas.attend(replace(FIRST, running=2))

    assert sorted(await replicas.known(), key=lambda it: it.name) == [replace(FIRST, running=2), SECOND]


async def test_one_that_leaves_is_not_looked_for(replicas):
    await replicas.attend(FIRST)
    await replicas.attend(SECOND)
    await replicas.leave(FIRST.name)

    assert await replicas.known() == [SECOND]


async def test_one_that_says_nothing_for_an_hour_is_forgotten(replicas):
    await replicas.attend(FIRST)
    later = replace(SECOND, seen_ms=FIRST.seen_ms + FORGOTTEN_AFTER_MS)
    for seen_ms in (later.seen_ms, later.seen_ms, later.seen_ms + 1, later.seen_ms + 2):
        assert FIRST in await replicas.known()
        await replicas.attend(replace(later, seen_ms=seen_ms))

    assert [it.name for it in await replicas.known()] == [SECOND.name]


async def test_what_cannot_be_read_is_left_out_and_forgotten(replicas, engine_redis):
    await engine_redis.hset(keys.REPLICAS, "c 1", '{"other": "version"}')
    for _ in range(2):
        await replicas.attend(FIRST)

    assert await replicas.known() == [FIRST]
    assert await engine_redis.hkeys(keys.REPLICAS) == [FIRST.name]
    assert 0 < await engine_redis.pttl(keys.REPLICAS) <= FORGOTTEN_AFTER_MS


async def test_what_a_later_version_says_beside_is_read_over(replicas, engine_redis):
    text = (await _stored(replicas, engine_redis)).replace('"running":0', '"running":0,"mood":"good"')
    await engine_redis.hset(keys.REPLICAS, FIRST.name, text)

    assert await replicas.known() == [FIRST]


async def _stored(replicas: Replicas, redis) -> str:
    await replicas.attend(FIRST)
    return str(await redis.hget(keys.REPLICAS, FIRST.name))


async def test_a_process_says_so_while_it_runs_and_leaves_at_its_end(replicas):
    stop = asyncio.Event()
    running = asyncio.create_task(Presence(replicas, lambda: FIRST, every_s=0.01).run(stop))
    async with asyncio.timeout(DEADLINE_S):
        while not await replicas.known():
            await asyncio.sleep(0.01)
        stop.set()
        await running

    assert await replicas.known() == []


async def test_everyone_is_by_host_and_this_one_as_it_stands_now(replicas):
    third = replace(SECOND, name="c 1", host="versus-0", started_ms=500)
    for it in (FIRST, SECOND, third):
        await replicas.attend(it)
    presence = Presence(replicas, lambda: replace(FIRST, running=9))

    assert await presence.everyone() == [third, replace(FIRST, running=9), SECOND]
    assert await presence.everyone(alone=True) == [replace(FIRST, running=9)]


async def test_while_redis_is_away_this_one_is_known(replicas, monkeypatch):
    async def away() -> list[Replica]:
        raise StoreUnavailable("away")

    monkeypatch.setattr(replicas, "known", away)

    assert await Presence(replicas, lambda: FIRST).everyone() == [FIRST]


async def test_a_redis_that_comes_and_goes_does_not_end_it(replicas, monkeypatch):
    asked = asyncio.Event()

    async def away(_: Replica) -> None:
        asked.set()
        raise StoreUnavailable("away")

    monkeypatch.setattr(replicas, "attend", away)
    stop = asyncio.Event()
    running = asyncio.create_task(Presence(replicas, lambda: FIRST, every_s=0.01).run(stop))
    async with asyncio.timeout(DEADLINE_S):
        for _ in range(3):
            asked.clear()
            await asked.wait()
        stop.set()
        await running


async def test_what_is_said_of_a_process_is_how_it_stands(engine: Engine):
    counter = [1_000]
    clock = SharedClock(lambda: counter[0], lambda: 1_795_834_934_000)
    health = Health(engine.store, engine.clock, engine.metrics, worker=engine.worker, watchdog=engine.watchdog)
    about = describes(clock, health, has_api=True, counter_ms=lambda: counter[0])
    with pytest.raises(StoreUnavailable):
        about()

    async def server_ms() -> int:
        return 1_795_834_934_000

    clock.consider(await clock.ask(server_ms), ClockNotes())
    counter[0] += 5_000

    found = about()

    assert (found.version, found.worker, found.has_api) == (__version__, "starting", True)
    assert found.seen_ms - found.started_ms == 5_000
    assert found.ahead_ms == -5_000
    assert about().name == found.name
