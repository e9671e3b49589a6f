"""Redis' clock jumps: waits end when they would have, what is being sent is nobody else's, and people hear of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import pytest

from tests.faults.proxy import FaultProxy, run_proxy
from tests.support.factories import make_alert, make_notification
from tests.support.redis_servers import RedisServer, redis_server
from tests.support.waiting import until
from versus_py import clock as clocks
from versus_py.clock import SharedClock
from versus_py.config import RedisConfig
from versus_py.engine.lifecycle import Lifecycle
from versus_py.engine.timekeeping import Timekeeper
from versus_py.engine.watchdog import Watchdog
from versus_py.engine.worker import Worker
from versus_py.incidents.model import Delivery, Incident
from versus_py.incidents.policies import made
from versus_py.store import Ledger, Markers, SharedTime, Store
from versus_py.store.connection import connect
from versus_py.telemetry.metrics import Metrics

DAY_MS = 24 * 3600_000
HOUR_S = 3600
WAIT_S = 300
POLICY = made(oncall="pager", wait_ms=WAIT_S * 1000)


@dataclass
class Pager:
    """A provider that answers when it may."""

    may_answer: asyncio.Event = field(default_factory=asyncio.Event)
    asked: int = 0

    def system(self, incident: Incident) -> str:
        return "pager"

    async def sync(self, incident: Incident, *, attempt: int) -> Delivery:
        self.asked += 1
        await self.may_answer.wait()
        return Delivery(reference={"id": "1"}, label="P1")


class Replica:
    """A process with a clock of its own, on a machine that it shares with the others."""

    def __init__(self, world: "World", client) -> None:
        self.clock = SharedClock(
            lambda: clocks.boottime_ms() + world.passed_ms,
            lambda: clocks.wall_ms() + world.passed_ms + world.machine_ahead_ms,
        )
        self.metrics = Metrics()
        store = Store(client, retention_ms=7 * DAY_MS, reopen_ms=5 * 60_000, skew=self.clock, metrics=self.metrics)
        self.store = store
        self.lifecycle = Lifecycle(store, self.clock)
        self.timekeeper = Timekeeper(self.clock, SharedTime(client), self.metrics)
        self.worker = Worker(
            store, self.lifecycle, self.clock, targets={"pager": world.pager}, called=str, settles_within_s=60
        )
        self.watchdog = Watchdog(
            store, Ledger(client), self.clock, self.metrics, lease_ms=self.worker.lease_ms, markers=Markers(client)
        )

    def jumps(self, outcome: str) -> float | None:
        return self.metrics.registry.get_sample_value("versus_clock_jumps_total", {"outcome": outcome})

    async def accept(self, *, wait_s: int = WAIT_S) -> Incident:
        notification, policy = (
            make_notification(make_alert(starts_at_ms=None)),
            made(oncall="pager", wait_ms=wait_s * 1000),
        )
        [accepted] = await self.lifecycle.accept([notification], lambda *_: policy)
        assert accepted.incident is not None
        return accepted.incident


@dataclass
class World:
    """One Redis, whose clock and whose replicas' machines a test sets."""

    proxy: FaultProxy
    stack: AsyncExitStack
    pager: Pager = field(default_factory=Pager)
    passed_ms: int = 0
    machine_ahead_ms: int = 0
    replicas: list[Replica] = field(default_factory=list)

    async def start_replica(self) -> Replica:
        url = f"redis://127.0.0.1:{self.proxy.port}/0"
        client = await self.stack.enter_async_context(connect(RedisConfig.model_validate({"url": url})))
        replica = Replica(self, client)
        await replica.timekeeper.follow()
        self.replicas.append(replica)
        return replica

    def jump(self, seconds: int) -> None:
        self.proxy.ahead_s += seconds

    async def after(self, *, seconds: int) -> None:
        """Time that passes everywhere; every replica asks for it in the end."""
        self.passed_ms += seconds * 1000
        self.proxy.ahead_s += seconds
        for replica in self.replicas:
            await replica.timekeeper.follow()

    async def work(self) -> int:
        """What every replica has done of what is due."""
        return sum([await replica.worker.run_due() for replica in self.replicas])


@pytest.fixture
async def world(tmp_path) -> AsyncIterator[World]:
    with RedisServer(redis_server(), tmp_path) as server:
        async with run_proxy(("127.0.0.1", server.port)) as proxy, AsyncExitStack() as stack:
            world = World(proxy, stack)
            world.pager.may_answer.set()
            await world.start_replica()
            await world.start_replica()
            yield world


@pytest.mark.parametrize("jump_s", [HOUR_S, -HOUR_S])
async def test_a_wait_ends_when_it_would_have_although_redis_has_jumped(world: World, jump_s, logs):
    one, other = world.replicas
    incident = await one.accept()
    world.jump(jump_s)

    await world.after(seconds=WAIT_S - 30)
    assert await world.work() == 0
    await world.after(seconds=30)
    assert await world.work() == 1

    assert world.pager.asked == 1
    assert "not acknowledged for 300 s" in [it.detail for it in await other.store.timeline(incident.id)]
    assert [it.jumps("noticed") for it in world.replicas] == [1, 1]
    [line, _] = [line for line in logs if line["event"] == "clock.jumped"]
    assert line["redis_ahead_s"] == pytest.approx(jump_s, abs=1)
    assert line["machine_ahead_s"] == pytest.approx(0, abs=1)


async def test_a_wait_ends_when_it_would_have_although_the_machine_that_redis_runs_on_too_is_set_back(world, logs):
    await world.after(seconds=400)
    await world.replicas[0].accept()
    world.jump(-HOUR_S)
    world.machine_ahead_ms -= HOUR_S * 1000

    await world.after(seconds=WAIT_S - 30)
    assert await world.work() == 0
    await world.after(seconds=31)  # what it is ahead fades as slowly as a crystal drifts: 60 ms by then
    assert await world.work() == 1

    assert world.pager.asked == 1
    assert sum(it.jumps("set_right") or 0 for it in world.replicas) >= 1
    assert "clock.jump_stays" not in [line["event"] for line in logs]


@pytest.mark.parametrize("jump_s", [HOUR_S, -HOUR_S])
async def test_a_jump_that_stays_is_an_error_and_ends_no_wait_early_or_late(world: World, jump_s, logs):
    await world.after(seconds=10)
    world.jump(jump_s)
    await world.after(seconds=5)
    await world.replicas[0].accept(wait_s=10 * 60)
    for _ in range(5 * 60 // 10 + 1):
        await world.after(seconds=10)
        assert await world.work() == 0
    await world.after(seconds=4 * 60)
    assert await world.work() == 0
    await world.after(seconds=60)

    assert await world.work() == 1
    assert world.pager.asked == 1
    await world.after(seconds=5)
    assert [it.clock.doubt for it in world.replicas] == [None, None]
    assert sum(it.jumps("unconfirmed") or 0 for it in world.replicas) == 1
    assert logs.expect_error("clock.jump_stays")["redis_ahead_s"] == pytest.approx(jump_s, abs=1)


@pytest.mark.parametrize("jump_s", [HOUR_S, -HOUR_S])
@pytest.mark.parametrize("after_s", [60, 400], ids=["in-doubt", "decided"])
async def test_a_replica_that_starts_after_a_jump_goes_by_the_time_of_the_others(world: World, jump_s, after_s, logs):
    await world.replicas[0].accept()
    world.jump(jump_s)
    await world.after(seconds=40)
    for _ in range(after_s // 20):
        await world.after(seconds=5)

    late = await world.start_replica()

    assert late.clock.now_ms() == pytest.approx(world.replicas[0].clock.now_ms(), abs=1000)
    assert await world.work() == 0
    if after_s == 400:
        await world.after(seconds=5)
    logs[:] = [line for line in logs if line["event"] != "clock.jump_stays"]


async def test_a_replica_that_starts_while_the_clock_of_a_first_jump_is_set_back_goes_by_the_time_of_the_others(
    world: World, logs
):
    world.jump(430)
    while not any(it.jumps("unconfirmed") for it in world.replicas):
        await world.after(seconds=5)
    world.jump(-300)
    for _ in range(120 // 5):
        await world.after(seconds=5)

    late = await world.start_replica()

    for replica in (*world.replicas, late):
        assert replica.clock.machine_ahead_ms == pytest.approx(0, abs=1000)
    logs[:] = [line for line in logs if line["event"] != "clock.jump_stays"]


@pytest.mark.parametrize("machine_too", [False, True], ids=["redis-alone", "with-the-machine"])
async def test_a_jump_beyond_the_lease_while_a_record_is_created_makes_no_second_one(world: World, machine_too):
    one, other = world.replicas
    await one.accept()
    await world.after(seconds=WAIT_S)
    world.pager.may_answer.clear()
    creating = asyncio.create_task(one.worker.run_due())
    await until(lambda: world.pager.asked == 1)

    world.jump(HOUR_S)
    world.machine_ahead_ms += HOUR_S * 1000 if machine_too else 0
    await world.after(seconds=5)
    assert await other.worker.run_due() == 0
    world.pager.may_answer.set()

    assert await creating == 1
    await world.after(seconds=200)
    assert await world.work() == 0
    assert world.pager.asked == 1


async def test_nothing_is_overdue_because_redis_has_jumped(world: World):
    await world.replicas[0].accept()
    world.jump(HOUR_S)
    await world.after(seconds=30)

    assert [(await it.watchdog.look()).overdue for it in world.replicas] == [0, 0]


async def test_time_that_passes_while_a_machine_is_suspended_counts(world: World):
    incident = await world.replicas[0].accept()

    await world.after(seconds=HOUR_S)

    assert await world.work() == 1
    assert [it.jumps("noticed") for it in world.replicas] == [0, 0]
    [said] = [it.detail for it in await world.replicas[0].store.timeline(incident.id) if "acknowledged" in it.detail]
    assert said == "not acknowledged for 3600 s"


@pytest.mark.parametrize("ahead_s", [HOUR_S, -HOUR_S])
async def test_keys_expire_by_the_clock_of_the_server(world: World, ahead_s):
    one = world.replicas[0]
    incident = await one.accept()
    world.jump(ahead_s)
    await one.timekeeper.follow()

    await one.lifecycle.accept([make_notification(make_alert(starts_at_ms=None))], lambda *_: POLICY)

    left_ms = await one.store._redis.pttl(f"versus:{{{incident.id.rpartition('-')[2]}}}:incident:{incident.id}")
    assert left_ms == pytest.approx(7 * DAY_MS + WAIT_S * 1000 + ahead_s * 1000, abs=20_000)
