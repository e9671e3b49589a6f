"""A Redis Cluster: the store on it, while slots move and nodes are lost."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis.crc import key_slot

from tests.integration.conftest import accepted
from tests.support.clock import FakeClock
from tests.support.factories import POLICY, make_notification
from tests.support.redis_servers import ClusterWorld, redis_server, run_cluster, valkey_server
from tests.support.waiting import DEADLINE_S, until
from versus_py.config import RedisConfig
from versus_py.engine.lifecycle import Lifecycle
from versus_py.errors import StoreUnavailable
from versus_py.incidents.model import Actor, IncidentId
from versus_py.incidents.transitions import Change, trigger
from versus_py.store import Ledger, Store, keys
from versus_py.store.calls import RedisClient
from versus_py.store.connection import connect, inspect_server
from versus_py.store.durability import durability_for

pytestmark = pytest.mark.cluster

DAY_MS = 24 * 3600 * 1000


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(time.time_ns() // 1_000_000)


@pytest.fixture(scope="module")
def running_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterWorld]:
    with run_cluster(tmp_path_factory.mktemp("cluster"), redis_server()) as found:
        yield found


@pytest.fixture
def cluster(running_cluster: ClusterWorld) -> ClusterWorld:
    """In order, whatever the test before has done to it, and empty."""
    running_cluster.mend()
    running_cluster.empty()
    return running_cluster


DURABLE = ("--appendonly", "yes", "--appendfsync", "always", "--cluster-replica-validity-factor", "0")


@pytest.fixture
def replicated(tmp_path: Path) -> Iterator[ClusterWorld]:
    with run_cluster(tmp_path, valkey_server(), *DURABLE, replicas=1) as found:
        yield found


@pytest.fixture(scope="module")
def intact_replicated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterWorld]:
    """For the tests that lose no node and move no slot."""
    with run_cluster(tmp_path_factory.mktemp("replicated"), valkey_server(), *DURABLE, replicas=1) as found:
        yield found


def config_for(world: ClusterWorld, **settings: object) -> RedisConfig:
    return RedisConfig.model_validate({**world.settings, **settings})


def store_on(client: RedisClient, config: RedisConfig | None = None) -> Store:
    durability = None if config is None else durability_for(client, config)
    return Store(client, retention_ms=7 * DAY_MS, reopen_ms=300_000, durability=durability)


def change(clock: FakeClock, number: int) -> Change:
    return trigger(make_notification(), POLICY, dedup_key=f"group {number}", now_ms=clock.now_ms())


async def escalating(store: Store, clock: FakeClock) -> set[IncidentId]:
    """Whose timers there are, as a worker finds them."""
    clock.advance(minutes=10)
    found: set[IncidentId] = set()
    async with asyncio.timeout(DEADLINE_S):
        while True:
            claims, next_ms = await store.claim(now_ms=clock.now_ms(), lease_ms=60_000, limit=50)
            found |= {it.incident_id for it in claims}
            if not claims and (next_ms is None or next_ms > clock.now_ms()):
                return found


async def test_incidents_are_spread_over_the_nodes(cluster, clock):
    async with connect(config_for(cluster)) as client:
        store = store_on(client)
        changes = [(change(clock, number), "") for number in range(40)]

        assert await store.create(changes, now_ms=clock.now_ms()) == [""] * 40
        page = await store.page(limit=100)

        assert {it.id for it in page.incidents} == {it.incident.id for it, _ in changes}
        assert len({cluster.owner_of(keys.incident(it.incident.id)).port for it, _ in changes}) > 1
        assert await escalating(store, clock) == {it.incident.id for it, _ in changes}


async def test_more_callers_than_connections_wait_for_their_turn(cluster):
    async with connect(config_for(cluster)) as client:
        assert all(await asyncio.gather(*(client.set(f"key {number}", "1") for number in range(500))))


async def test_all_who_ask_are_told_the_time_by_the_same_node(cluster):
    async with connect(config_for(cluster)) as client:
        for _ in range(6):
            await store_on(client).server_time_ms()

    counted = [
        client_info(node, "commandstats").get("cmdstat_time", {"calls": 0})["calls"] for node in cluster.primaries
    ]
    assert sorted(counted) == [0, 0, 6]


def client_info(node, section):
    with node.client() as client:
        return client.info(section)


async def test_a_script_flush_on_all_nodes_is_no_loss(cluster, clock):
    async with connect(config_for(cluster)) as client:
        store = store_on(client)
        for node in cluster.primaries:
            with node.client() as meddler:
                meddler.script_flush()

        assert await store.create([(change(clock, it), "") for it in range(20)], now_ms=0) == [""] * 20
        assert len(await escalating(store, clock)) == 20


@pytest.mark.parametrize("mode", ["memory", "replicated"])
async def test_a_slot_moves_while_incidents_are_made_and_none_is_lost(replicated, clock, mode):
    config = config_for(replicated, durability=mode)
    async with connect(config) as client:
        store = store_on(client, config)
        lifecycle = Lifecycle(store, clock)
        ids = [await accepted(lifecycle, number) for number in range(20)]
        key = keys.incident(ids[0])
        source = replicated.owner_of(key)
        target = next(it for it in replicated.primaries if it is not source)
        moved = asyncio.create_task(
            asyncio.to_thread(replicated.move_slot, key_slot(key.encode()), source, target, lambda: time.sleep(0.01))
        )

        number = 20
        while not moved.done():
            ids += await asyncio.gather(*(accepted(lifecycle, number + extra) for extra in range(5)))
            number += 5
        await moved

        assert all(await store.get_all(ids))
        assert await escalating(store, clock) == set(ids)
        assert len(ids) > 20
        with target.client() as looking:
            assert looking.exists(key)


async def test_a_lost_node_keeps_only_its_own_incidents_waiting(cluster, clock, logs):
    async with connect(config_for(cluster)) as client:
        store = store_on(client)
        changes = [change(clock, number) for number in range(40)]
        await store.create([(it, "") for it in changes], now_ms=clock.now_ms())
        lost = cluster.owner_of(keys.incident(changes[0].incident.id))
        elsewhere = {it.incident.id for it in changes if cluster.owner_of(keys.incident(it.incident.id)) is not lost}

        lost.kill()

        assert elsewhere
        assert await escalating(store, clock) == elsewhere
        standing = await Ledger(client).look(now_ms=clock.now_ms(), due_before_ms=clock.now_ms())
        assert standing.partitions_lost > 0
        assert standing.pending == len(elsewhere)
        assert await store.server_time_ms() > 0
    assert {line["event"] for line in logs} == {"redis.partition_unavailable"}


@pytest.mark.parametrize("mode", ["fsync", "replicated"])
async def test_a_replica_takes_over_and_nothing_that_was_accepted_is_lost(replicated, clock, mode):
    config = config_for(replicated, durability=mode)
    async with connect(config) as client:
        store = store_on(client, config)
        lifecycle = Lifecycle(store, clock)
        ids = [await accepted(lifecycle, number) for number in range(30)]
        lost = replicated.owner_of(keys.incident(ids[0]))
        if mode != "replicated":
            with lost.client() as meddler:
                meddler.wait(1, 2000)  # only that mode promises it

        lost.kill()
        if mode == "replicated":  # the one replica that is left has none itself
            lifecycle = Lifecycle(store_on(client), clock)
        ids += await asyncio.gather(*(accepted(lifecycle, number) for number in range(30, 60)))

        assert all(await store.get_all(ids))
        assert await escalating(store, clock) == set(ids)
        _, is_new = await lifecycle.acknowledge(ids[0], Actor("ana"))
        assert is_new


async def test_a_cluster_that_is_away_at_the_start_is_connected_to_when_it_is_there(cluster, clock):
    async with connect(config_for(cluster)) as client:
        store = store_on(client)
        for node in cluster.primaries:
            node.kill()
        with pytest.raises(StoreUnavailable):
            await store.server_time_ms()
        for node in cluster.primaries:
            node.start()

        await accepted(Lifecycle(store, clock), 1)


async def test_the_doctor_is_told_what_is_missing(cluster):
    facts = await inspect_server(config_for(cluster, durability="replicated"))

    assert facts.servers == 3
    assert sum("has no replica" in it for it in facts.warnings) == 3
    assert sum("0 of 1 replicas are attached" in it for it in facts.refusals) == 3
    await until(lambda: cluster.is_ok(cluster.primaries))


@pytest.mark.parametrize("mode", ["fsync", "replicated"])
async def test_a_cluster_in_order_takes_writes_as_surely_as_asked(intact_replicated, mode):
    config = config_for(intact_replicated, durability=mode)
    async with connect(config) as client:
        await store_on(client, config).prove_writable()


async def test_a_cluster_in_order_is_in_order(intact_replicated):
    facts = await inspect_server(config_for(intact_replicated, durability="fsync"))

    assert (facts.servers, facts.warnings, facts.tells_settings, facts.is_too_old) == (3, (), True, False)
