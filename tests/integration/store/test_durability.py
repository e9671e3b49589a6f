"""What `create`, `save` and the answers of people wait for: the disk, or replicas."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support.claims import claim_due
from tests.support.clock import FakeClock
from tests.support.factories import POLICY, make_alert, make_notification
from tests.support.redis_servers import RedisServer, redis_server, replicates, valkey_server
from tests.support.waiting import DEADLINE_S, until
from versus_py.config import RedisConfig
from versus_py.engine.lifecycle import Lifecycle
from versus_py.errors import StoreUnavailable
from versus_py.incidents.model import Actor, Outcome, Status
from versus_py.incidents.transitions import Change, trigger
from versus_py.store import Store, durability, keys
from versus_py.store.calls import Call, RedisClient, load_script
from versus_py.store.connection import (
    connect,
    durability_warnings,
    inspect_server,
    open_redis,
    waits_for_the_disk,
)
from versus_py.store.durability import durability_for

DAY_MS = 24 * 3600 * 1000
APPENDS = ("--appendonly", "yes", "--appendfsync", "everysec")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(time.time_ns() // 1_000_000)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    """A server that appends to a file, and knows WAITAOF."""
    with RedisServer(valkey_server(), tmp_path / "primary", APPENDS) as found:
        yield found


def config_for(server: RedisServer, mode: str, **settings: object) -> RedisConfig:
    return RedisConfig.model_validate({"url": server.url, "durability": mode, **settings})


def store_on(client: RedisClient, config: RedisConfig) -> Store:
    lasting = durability_for(client, config)
    return Store(client, retention_ms=7 * DAY_MS, reopen_ms=300_000, durability=lasting)


@asynccontextmanager
async def opened(server: RedisServer, mode: str, **settings: object) -> AsyncIterator[Store]:
    config = config_for(server, mode, **settings)
    async with connect(config) as client:
        yield store_on(client, config)


def change(clock: FakeClock, number: int = 0) -> Change:
    return trigger(make_notification(), POLICY, dedup_key=f"group {number}", now_ms=clock.now_ms())


async def create(store: Store, clock: FakeClock, number: int = 0) -> None:
    assert await store.create([(change(clock, number), "")], now_ms=clock.now_ms()) == [""]


def calls_of(server: RedisServer, command: str) -> int:
    with server.client() as client:
        found = client.info("commandstats")
    assert isinstance(found, dict)
    return int(found.get(f"cmdstat_{command}", {"calls": 0})["calls"])


@pytest.mark.parametrize(("mode", "syncs"), [("memory", 0), ("fsync", 1)])
async def test_a_new_key_of_the_links_is_as_sure_as_an_incident(server, mode, syncs):
    async with opened(server, mode) as store:
        made = {await store.signing_key() for _ in range(3)}

    assert len(made) == 1
    assert calls_of(server, "waitaof") == syncs


async def test_in_memory_nothing_is_waited_for(server, clock):
    async with opened(server, "memory") as store:
        await create(store, clock)

    assert calls_of(server, "waitaof") == calls_of(server, "wait") == 0


async def test_what_was_created_is_read_back(server, clock):
    async with opened(server, "fsync") as store:
        await create(store, clock)

        found = await store.get(change(clock).incident.id)

    assert found == change(clock).incident


async def test_a_create_that_the_disk_does_not_confirm_is_not_accepted(server, clock, monkeypatch):
    monkeypatch.setattr(durability, "WAIT_MS", 50)
    with server.client() as client:
        client.config_set("appendfsync", "no")
    async with opened(server, "fsync") as store:
        with pytest.raises(StoreUnavailable, match="not on disk within 50 ms"):
            await create(store, clock)

        with server.client() as client:
            client.config_set("appendfsync", "always")
        assert await store.create([(change(clock), "")], now_ms=clock.now_ms()) == [change(clock).incident.id]


async def test_those_who_come_together_share_the_wait(server, clock):
    async with opened(server, "fsync") as store:
        await asyncio.gather(*(create(store, clock, number) for number in range(100)))

    assert calls_of(server, "evalsha") >= 100
    assert calls_of(server, "waitaof") < 10


async def test_a_group_is_bounded(server, clock, monkeypatch):
    monkeypatch.setattr(durability, "GROUP_MAX", 10)
    async with opened(server, "fsync") as store:
        await asyncio.gather(*(create(store, clock, number) for number in range(50)))

    assert calls_of(server, "waitaof") >= 5


async def test_each_of_a_group_gets_its_own_answer(server, clock):
    async with opened(server, "fsync") as store:
        await create(store, clock, 1)

        known, unknown = await store.create([(change(clock, 1), ""), (change(clock, 2), "")], now_ms=clock.now_ms())

    assert (known, unknown) == (change(clock, 1).incident.id, "")


async def test_who_leaves_takes_nobody_else_along(server, clock):
    async with opened(server, "fsync") as store:
        first = asyncio.create_task(create(store, clock, 0))
        await until(lambda: calls_of(server, "waitaof"))
        others = [asyncio.create_task(create(store, clock, number)) for number in range(1, 6)]

        first.cancel()
        await asyncio.gather(*others)

        ids = [change(clock, number).incident.id for number in range(1, 6)]
        assert all(await store.get_each(ids))


async def test_a_group_whose_sender_leaves_is_sent_by_the_next(server, clock):
    with server.client() as client:
        client.config_set("appendfsync", "no")  # so that the group is under way until it is switched back
    async with opened(server, "fsync") as store:
        waiting = [asyncio.create_task(store.create([(change(clock, number), "")], now_ms=0)) for number in range(3)]
        await until(lambda: calls_of(server, "waitaof") or blocked(server))
        waiting[0].cancel()
        with server.client() as client:
            client.config_set("appendfsync", "always")

        _, second, third = await asyncio.gather(*waiting, return_exceptions=True)

    assert all(isinstance(it, list) for it in (second, third))


async def test_who_leaves_takes_no_other_along_who_waits_for_the_same(server, clock, monkeypatch):
    monkeypatch.setattr(durability, "WAIT_MS", 500)
    async with opened(server, "memory") as store:
        await create(store, clock)
    same = [change(clock).incident.id]

    async with opened(server, "replicated") as store:  # which takes the half second, as there is no replica
        sending = asyncio.create_task(store.settle(same))
        await until(lambda: blocked(server))
        staying, leaving = (asyncio.create_task(store.settle(same)) for _ in range(2))
        await asyncio.sleep(0)
        leaving.cancel()

        async with asyncio.timeout(DEADLINE_S):
            *others, left = await asyncio.gather(sending, staying, leaving, return_exceptions=True)

    assert [type(it) for it in others] == [StoreUnavailable, StoreUnavailable]
    assert isinstance(left, asyncio.CancelledError)
    assert calls_of(server, "wait") == 2


def blocked(server: RedisServer) -> int:
    with server.client() as client:
        found = client.info("clients")
    assert isinstance(found, dict)
    return int(found["blocked_clients"])


async def test_a_server_that_forgot_the_scripts_is_given_them(server, clock):
    async with opened(server, "fsync") as store:
        await create(store, clock, 0)
        with server.client() as client:
            client.script_flush()

        await create(store, clock, 1)


async def test_without_its_replica_a_change_is_not_accepted_though_written(server, clock, monkeypatch, tmp_path):
    monkeypatch.setattr(durability, "WAIT_MS", 100)
    async with opened(server, "replicated") as store:
        with pytest.raises(StoreUnavailable, match="0 of 1 replicas"):
            await create(store, clock)
        assert await store.get(change(clock).incident.id)
        with pytest.raises(StoreUnavailable, match="0 of 1 replicas"):
            await store.prove_writable()

    monkeypatch.setattr(durability, "WAIT_MS", 2000)
    with RedisServer(valkey_server(), tmp_path / "replica", ("--replicaof", f"127.0.0.1 {server.port}")) as replica:
        await until(lambda: replicates(replica), what="the replica being in sync")
        async with opened(server, "replicated") as store:
            await store.prove_writable()
            await create(store, clock, 1)
            with replica.client() as client:
                assert client.exists(keys.incident(change(clock, 1).incident.id))


async def test_what_changes_nothing_is_answered_only_when_what_it_goes_by_is_as_sure(server, clock, monkeypatch):
    monkeypatch.setattr(durability, "WAIT_MS", 50)
    async with opened(server, "memory") as store:
        await create(store, clock)
    incident_id = change(clock).incident.id
    over = [make_notification(make_alert(firing=False), dedup_key="group 0")]

    async with opened(server, "replicated") as store:
        lifecycle = Lifecycle(store, clock)
        for _ in range(2):  # the second time it is acknowledged already, as far as Redis knows
            with pytest.raises(StoreUnavailable):
                await lifecycle.acknowledge(incident_id, Actor("ana"))
        for _ in range(2):
            with pytest.raises(StoreUnavailable):
                await lifecycle.accept(over, lambda *_: POLICY)
        found = await store.get(incident_id)
    assert found is not None
    assert found.status is Status.RESOLVED

    async with opened(server, "memory") as store:
        [accepted] = await Lifecycle(store, clock).accept(over, lambda *_: POLICY)
    assert accepted.outcome is Outcome.IGNORED


async def test_the_end_of_a_wait_does_not_wait_for_a_replica_that_is_gone(server, clock):
    async with opened(server, "memory") as store:
        await create(store, clock)
    clock.advance(minutes=6)

    async with opened(server, "replicated") as store:
        waiting = await store.get(change(clock).incident.id)
        assert waiting is not None
        incident = await Lifecycle(store, clock).begin_step(waiting)

    assert incident is not None
    assert calls_of(server, "wait") == 0


async def test_a_channel_is_given_up_while_a_replica_is_gone(server, clock):
    async with opened(server, "memory") as store:
        await create(store, clock)

    async with opened(server, "replicated") as store:
        incident, is_news = await Lifecycle(store, clock).give_up(change(clock).incident.id, "slack", "it is archived")

    assert incident is not None
    assert is_news
    assert calls_of(server, "wait") == 0


async def test_a_claim_that_begins_is_as_sure_and_does_not_wait_for_a_replica_that_is_gone(server, clock, monkeypatch):
    monkeypatch.setattr(durability, "WAIT_MS", 50)
    async with opened(server, "memory") as store:
        await create(store, clock)
    clock.advance(minutes=6)

    async with opened(server, "replicated") as store:
        claims, _ = await claim_due(store, now_ms=clock.now_ms(), lease_ms=60_000, limit=10)
        assert calls_of(server, "wait") == 0
        assert await store.timers.begin(claims[0])
        assert calls_of(server, "wait") == 1
        none, _ = await claim_due(store, now_ms=clock.now_ms(), lease_ms=60_000, limit=10)

    assert {it.incident_id for it in claims} == {change(clock).incident.id}
    assert none == []
    assert calls_of(server, "wait") == 1


async def test_a_server_that_cannot_tell_is_told_about_at_the_start_and_taken_all_the_same(tmp_path, clock):
    with RedisServer(redis_server(), tmp_path / "old", APPENDS) as server:
        with server.client() as meddler:
            if "waitaof" in meddler.command():
                pytest.skip("this Redis knows WAITAOF")
        config = config_for(server, "fsync")
        async with connect(config) as client:
            [warning] = await durability_warnings(client, config)
            await create(store_on(client, config), clock)
        facts = await inspect_server(config)

        assert re.match(r"redis.durability is fsync, but the server cannot tell .*unknown command", warning)
        assert facts.warnings == (warning,)

        with server.client() as meddler:
            meddler.config_set("appendfsync", "always")
        async with connect(config) as client:
            assert await durability_warnings(client, config) == []


async def test_a_server_without_a_file_is_told_about_once_and_taken_all_the_same(tmp_path, clock, logs):
    with RedisServer(valkey_server(), tmp_path / "fileless") as server:
        config = config_for(server, "fsync")
        async with connect(config) as client:
            store = store_on(client, config)
            await create(store, clock, 1)
            await create(store, clock, 2)

            assert any("cannot tell what is on disk" in it for it in await durability_warnings(client, config))

    assert [line["event"] for line in logs if line["log_level"] == "warning"] == ["redis.not_durable"]


async def test_a_server_that_tells_too_early_is_told_about(server):
    config = config_for(server, "fsync")
    async with connect(config) as client:
        [warning] = await durability_warnings(client, config)
        await client.config_set("appendfsync", "always")
        assert await durability_warnings(client, config) == []

    assert "WAITAOF answers before the disk has it" in warning


@pytest.mark.parametrize(
    ("info", "is_believed"),
    [
        ({"redis_version": "7.4.1"}, False),
        ({"redis_version": "7.2.4", "valkey_version": "9.1.2"}, False),
        ({"redis_version": "8.0.0"}, True),
        ({"redis_version": "8.2", "valkey_version": "10.0"}, False),
        ({}, False),
    ],
    ids=str,
)
def test_whose_waitaof_is_believed_without_appendfsync_always(info, is_believed):
    assert waits_for_the_disk(info) is is_believed


async def test_missing_replicas_are_told_at_the_start(server):
    config = config_for(server, "replicated", replicas=2)
    async with connect(config) as client:
        [warning] = await durability_warnings(client, config)

    assert "0 of 2 replicas are attached" in warning


async def test_the_embedded_server_writes_each_change_to_disk_when_asked(tmp_path, clock):
    config = RedisConfig(durability="fsync")
    async with open_redis(config, tmp_path) as (client, _):
        assert await client.config_get("appendfsync") == {"appendfsync": "always"}
        assert await durability_warnings(client, config) == []
        await create(store_on(client, config), clock)


async def test_a_server_that_is_gone_is_unavailable(server, clock):
    async with opened(server, "fsync") as store:
        await create(store, clock)
        server.kill()
        with pytest.raises(StoreUnavailable):
            await create(store, clock, 1)

        server.start()
        await create(store, clock, 2)


async def test_what_is_refused_to_one_is_no_error_of_the_others_in_its_group(server):
    config = config_for(server, "fsync")
    async with connect(config) as client:
        lasting = durability_for(client, config)
        assert lasting is not None
        arm = load_script(client, "arm")
        names = ("timers", "running", "attempts")
        good, bad = (
            Call(arm, [keys.in_partition(0, it), *(keys.in_partition(0, name) for name in names)], [it, 1])
            for it in ("good", "bad")
        )
        await client.set(bad.keys[0], "no hash")
        await lasting.settle(good.keys[:1])

        turn = lasting._lanes["0"].turn
        async with turn:  # so that both are in one group
            together = [asyncio.create_task(lasting.run([it])) for it in (bad, good)]
            await until(lambda: len(lasting._lanes["0"].waiting) == 2)
        refused, answered = await asyncio.gather(*together, return_exceptions=True)

        assert isinstance(refused, StoreUnavailable)
        assert answered == [0]
