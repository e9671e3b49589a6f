"""Redis behind Sentinel: connecting, and a real failover."""

import asyncio
import gc
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.integration.conftest import accepted
from tests.support.claims import claim_due
from tests.support.clock import FakeClock
from tests.support.factories import POLICY, make_notification
from tests.support.redis_servers import SentinelWorld, redis_server, run_sentinel
from tests.support.waiting import until
from versus_py.config import RedisConfig
from versus_py.engine.lifecycle import Lifecycle
from versus_py.errors import StoreUnavailable
from versus_py.incidents.model import Actor
from versus_py.store import Store, keys
from versus_py.store.connection import connect, inspect_server
from versus_py.store.durability import durability_for

DAY_MS = 24 * 3600 * 1000

# A connection to a server that is killed just as it is made can be dropped by redis-py without closing its socket.
pytestmark = [
    pytest.mark.cluster,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """What is dropped here is not found out in a later test."""
    yield
    gc.collect()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(time.time_ns() // 1_000_000)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[SentinelWorld]:
    with run_sentinel(tmp_path, redis_server(), "--appendonly", "yes") as found:
        yield found


@pytest.fixture(scope="module")
def intact_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SentinelWorld]:
    """For the tests that lose no primary."""
    with run_sentinel(tmp_path_factory.mktemp("sentinel"), redis_server(), "--appendonly", "yes") as found:
        yield found


def config_for(world: SentinelWorld, **settings: object) -> RedisConfig:
    return RedisConfig.model_validate({**world.settings, **settings})


@pytest.mark.parametrize("mode", ["memory", "replicated"])
async def test_after_a_failover_the_new_primary_has_what_was_accepted_and_takes_more(world, clock, mode):
    config = config_for(world, durability=mode)
    async with connect(config) as client:
        lasting = durability_for(client, config)
        store = Store(client, retention_ms=7 * DAY_MS, reopen_ms=300_000, durability=lasting)
        lifecycle = Lifecycle(store, clock)
        ids = [await accepted(lifecycle, number) for number in range(20)]
        if mode == "memory":
            await client.execute_command("WAIT", 1, 2000)  # only the other mode promises it

        world.servers[0].kill()
        if mode == "replicated":
            await until(partial(asyncio.to_thread, world.has_failed_over), what="the failover")
            lifecycle = Lifecycle(Store(client, retention_ms=7 * DAY_MS, reopen_ms=300_000), clock)
        ids += await asyncio.gather(*(accepted(lifecycle, number) for number in range(20, 40)))

        assert all(await store.get_each(ids))
        # One sentinel may not yet have heard from the one that made the new primary.
        await until(partial(asyncio.to_thread, world.has_failed_over), what="the failover")
        _, is_new = await lifecycle.acknowledge(ids[0], Actor("ana"))
        assert is_new
        clock.advance(minutes=10)
        claims, _ = await claim_due(store, now_ms=clock.now_ms(), lease_ms=60_000, limit=100)
        assert {it.incident_id for it in claims} == set(ids)


async def test_replicated_refuses_while_the_only_replica_is_the_primary(world, clock):
    config = config_for(world, durability="replicated")
    async with connect(config) as client:
        lasting = durability_for(client, config)
        lifecycle = Lifecycle(Store(client, retention_ms=7 * DAY_MS, reopen_ms=300_000, durability=lasting), clock)
        world.servers[0].kill()
        await until(partial(asyncio.to_thread, world.has_failed_over), what="the failover")
        with pytest.raises(StoreUnavailable):
            await lifecycle.accept([make_notification()], lambda *_: POLICY)


async def test_the_primary_that_comes_back_is_no_primary_any_more(world, clock):
    async with connect(config_for(world)) as client:
        store = Store(client, retention_ms=7 * DAY_MS, reopen_ms=300_000)
        lifecycle = Lifecycle(store, clock)
        world.servers[0].pause()
        await until(partial(asyncio.to_thread, world.has_failed_over), what="the failover")
        incident_id = await accepted(lifecycle, 1)

        world.servers[0].resume()
        await accepted(lifecycle, 2)

        assert await store.get(incident_id)
        with world.servers[1].client() as primary:
            assert primary.exists(keys.incident(incident_id))


async def test_the_doctor_asks_the_primary_and_each_sentinel(intact_world):
    facts = await inspect_server(config_for(intact_world, durability="replicated"))
    assert (facts.is_replica, facts.warnings) == (False, ())

    intact_world.sentinels[0].kill()
    try:
        [warning] = (await inspect_server(config_for(intact_world))).warnings
    finally:
        intact_world.sentinels[0].start()
    assert f"sentinel 127.0.0.1:{intact_world.sentinels[0].port} does not answer" in warning


async def test_a_name_that_the_sentinels_do_not_know_is_named(intact_world):
    config = RedisConfig.model_validate({"sentinel": {**intact_world.settings["sentinel"], "master_name": "alarms"}})

    with pytest.raises(StoreUnavailable, match="alarms"):
        await inspect_server(config)
