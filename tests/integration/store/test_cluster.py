"""A Redis Cluster: the store on it, while slots move and nodes are lost."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from redis.crc import key_slot

from tests.integration.conftest import accepted
from tests.support.claims import claim_due
from tests.support.clock import FakeClock
from tests.support.factories import POLICY, make_alert, make_notification
from tests.support.redis_servers import ClusterWorld, RedisServer, redis_server, run_cluster, valkey_server
from tests.support.waiting import DEADLINE_S, until
from versus_py.config import RedisConfig
from versus_py.engine.lifecycle import Accepted, Lifecycle
from versus_py.engine.watchdog import Watchdog
from versus_py.errors import StoreUnavailable
from versus_py.incidents.copies import replace
from versus_py.incidents.model import Actor, Alert, AlertStatus, Delivery, IncidentId, Notification, Outcome
from versus_py.incidents.transitions import Change, trigger
from versus_py.store import Completion, Ledger, Markers, SharedTime, Store, keys
from versus_py.store.calls import RedisClient
from versus_py.store.connection import connect, inspect_server
from versus_py.store.durability import durability_for
from versus_py.telemetry.metrics import Metrics

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
            claims, next_ms = await claim_due(store, now_ms=clock.now_ms(), lease_ms=60_000, limit=50)
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
            await SharedTime(client).server_ms()

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

        assert all(await store.get_each(ids))
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
        assert await SharedTime(client).server_ms() > 0
    assert {line["event"] for line in logs} == {"redis.partition_unavailable"}


def elsewhere(cluster: ClusterWorld, lost: RedisServer, key_of: Callable[[str], str], *, on_it: bool) -> str:
    """A name whose key is on the node that is to be lost, or on another one."""
    names = map(str, itertools.count())
    return next(it for it in names if (cluster.owner_of(key_of(it)) is lost) is on_it)


@dataclass
class Parted:
    """An incident whose own node stays, and what else is known of it is on a node that can be killed."""

    cluster: ClusterWorld
    store: Store
    clock: FakeClock
    lost: RedisServer
    lifecycle: Lifecycle

    async def accept(self, notification: Notification) -> Accepted:
        [accepted] = await self.lifecycle.accept([notification], lambda *_: POLICY)
        return accepted

    def listed(self, *alerts: Alert, key: str = "", **fields: Any) -> Notification:
        """A list whose sender is on the node that is lost, of an incident that is not."""
        url = elsewhere(self.cluster, self.lost, lambda it: keys.resolves(f"{it}\nversus"), on_it=True)
        own = key or elsewhere(self.cluster, self.lost, keys.dedup, on_it=False)
        return make_notification(*alerts, dedup_key=own, group="{}", url=url, receiver="versus", **fields)

    def alert(self, *, on_it: bool) -> Alert:
        """One whose name is on the node that is lost, or not."""
        start_ms = self.clock.now_ms()
        fingerprint = elsewhere(self.cluster, self.lost, lambda it: keys.alert(it, start_ms)[0], on_it=on_it)
        return make_alert(f"Alert{fingerprint}", fingerprint=fingerprint, starts_at_ms=start_ms)


@pytest.fixture
async def parted(cluster: ClusterWorld, clock: FakeClock) -> AsyncIterator[Parted]:
    async with connect(config_for(cluster)) as client:
        store = store_on(client)
        yield Parted(cluster, store, clock, cluster.primaries[0], Lifecycle(store, clock))


async def test_a_list_is_taken_while_the_node_is_lost_that_knows_its_sender_and_leaves_nothing_out(parted, logs):
    stays, goes = make_alert("Stays"), make_alert("Goes")
    await parted.accept(parted.listed(stays, goes))
    parted.lost.kill()

    accepted = await parted.accept(parted.listed(stays))

    assert [it.is_firing for it in accepted.incident.alerts] == [
        True,
        True,
    ]  # nobody knows whether its sender lists ends
    assert "sender.resolves_unknown" in {line["event"] for line in logs}


async def test_a_list_is_taken_in_seconds_while_the_node_hangs_that_knows_its_sender(parted):
    alert = make_alert()
    await parted.accept(parted.listed(alert))
    parted.lost.pause()

    try:
        async with asyncio.timeout(DEADLINE_S):
            accepted = await parted.accept(parted.listed(alert))
    finally:
        parted.lost.resume()

    assert accepted.outcome is Outcome.UPDATED


async def test_a_sender_is_asked_about_again_when_its_node_is_back(parted):
    stays, goes = make_alert("Stays"), make_alert("Goes")
    await parted.accept(parted.listed(stays, goes))
    parted.lost.kill()
    await parted.accept(parted.listed(stays, goes))
    parted.cluster.mend()

    accepted = await parted.accept(parted.listed(stays))

    assert {it.labels["alertname"] for it in accepted.incident.firing} == {"Stays"}


async def test_an_end_is_taken_while_the_node_is_lost_that_is_to_know_its_sender(parted):
    alert = make_alert("Disk")
    await parted.accept(parted.listed(alert))
    parted.lost.kill()

    accepted = await parted.accept(parted.listed(replace(alert, status=AlertStatus.RESOLVED)))

    assert accepted.outcome is Outcome.RESOLVED
    parted.cluster.mend()
    await parted.accept(parted.listed(alert, make_alert("Other", firing=False)))  # and is written down afterwards
    origin = parted.listed(alert).origin
    assert await parted.store.find([], [origin]) == ([], [True], [])


async def test_a_change_is_saved_while_the_node_of_a_further_key_is_lost(parted, logs):
    alert = make_alert("Disk", starts_at_ms=parted.clock.now_ms())
    created = await parted.accept(parted.listed(alert))
    moved = elsewhere(parted.cluster, parted.lost, keys.dedup, on_it=True)
    await parted.accept(parted.listed(alert, key=moved, older_keys=(created.incident.dedup_key,)))
    parted.lost.kill()

    updated = await parted.accept(parted.listed(alert, make_alert("Other")))

    assert (updated.outcome, updated.incident.aliases) == (Outcome.UPDATED, (moved,))
    assert "incident.names_unavailable" in {line["event"] for line in logs}


async def test_an_alert_is_taken_while_the_node_of_its_name_is_lost_and_those_of_other_nodes_are_found(parted):
    here, there = parted.alert(on_it=False), parted.alert(on_it=True)
    known = await parted.accept(parted.listed(here))
    moved = elsewhere(parted.cluster, parted.lost, lambda it: keys.dedup(f"moved {it}"), on_it=False)
    parted.lost.kill()

    accepted = await parted.accept(parted.listed(there, here, key=f"moved {moved}"))

    assert accepted.incident.id == known.incident.id
    assert {it.fingerprint for it in accepted.incident.firing} == {here.fingerprint, there.fingerprint}


async def test_open_incidents_are_kept_for_longer_while_a_node_with_further_names_of_them_is_lost(parted):
    alert = parted.alert(on_it=True)
    created = await parted.accept(parted.listed(alert))
    moved = elsewhere(parted.cluster, parted.lost, keys.dedup, on_it=True)
    await parted.accept(parted.listed(alert, key=moved, older_keys=(created.incident.dedup_key,)))
    key = keys.incident(created.incident.id)
    redis = parted.store._redis
    watchdog = Watchdog(parted.store, Ledger(redis), parted.clock, Metrics(), lease_ms=1000, markers=Markers(redis))
    parted.lost.kill()
    with parted.cluster.owner_of(key).client() as meddler:
        meddler.pexpire(key, DAY_MS)

    await watchdog.renew()

    with parted.cluster.owner_of(key).client() as looking:
        assert looking.pttl(key) > 6 * DAY_MS


async def test_a_claim_is_given_back_while_the_node_of_its_locators_key_is_lost(parted, logs):
    created = await parted.accept(parted.listed(parted.alert(on_it=False)))
    locator = elsewhere(parted.cluster, parted.lost, lambda it: keys.reference("slack", it), on_it=True)
    claims, _ = await claim_due(parted.store, now_ms=parted.clock.now_ms(), lease_ms=60_000, limit=1)
    parted.lost.kill()

    done = Completion("done", 1, delivery=Delivery({"ts": "1"}, locator=locator), names_locator=True)
    is_held = await parted.store.complete(claims[0], done, now_ms=parted.clock.now_ms())

    assert is_held
    assert (await parted.store.get(created.incident.id)).delivery("slack").locator == locator
    assert "incident.reference_unavailable" in {line["event"] for line in logs}


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

        assert all(await store.get_each(ids))
        assert await escalating(store, clock) == set(ids)
        _, is_new = await lifecycle.acknowledge(ids[0], Actor("ana"))
        assert is_new


async def test_a_cluster_that_is_away_at_the_start_is_connected_to_when_it_is_there(cluster, clock):
    async with connect(config_for(cluster)) as client:
        store = store_on(client)
        for node in cluster.primaries:
            node.kill()
        with pytest.raises(StoreUnavailable):
            await SharedTime(client).server_ms()
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
