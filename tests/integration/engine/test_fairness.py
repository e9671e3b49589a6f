"""One slow system, one full channel, one bad incident: the others are not held up, and what waits costs nothing."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from tests.support.factories import make_notification
from tests.support.waiting import DEADLINE_S, until
from versus_py.clock import SystemClock
from versus_py.engine.lifecycle import Lifecycle
from versus_py.engine.queue import Place
from versus_py.engine.worker import CROWDED_LOOK_MS, Worker
from versus_py.errors import RateLimited
from versus_py.incidents.copies import replace
from versus_py.incidents.model import Delivery, Incident, Outcome
from versus_py.incidents.partitions import partitions
from versus_py.incidents.policies import made
from versus_py.incidents.transitions import Change
from versus_py.store import keys
from versus_py.targets import NotYet

MANY = 60

pytestmark = pytest.mark.parametrize(
    "redis_socket", ["valkey", pytest.param("redis", marks=pytest.mark.long)], indirect=True
)


class Places:
    """A target with several places, and systems named after them where *apart*: some answer when they are let."""

    def __init__(self, *, apart: bool = False, slow: str = "slow") -> None:
        self._apart, self._slow = apart, slow
        self.sole_system: str | None = None
        self.let = asyncio.Event()
        self.under_way = 0
        self.most_under_way = 0
        self.done: list[str] = []

    def system(self, incident: Incident) -> str:
        return f"places:{self._destination(incident)}" if self._apart else "places"

    def _destination(self, incident: Incident) -> str:
        return incident.policy.destinations["places"]

    async def sync(self, incident: Incident, *, attempt: int) -> Delivery:
        place = self._destination(incident)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        if place == self._slow:
            await self.let.wait()
        self.under_way -= 1
        self.done.append(place)
        return Delivery(reference={"id": "1"}, label="one")


def make_worker(store, target, **max_concurrent: int) -> Worker:
    clock = SystemClock()
    return Worker(
        store,
        Lifecycle(store, clock),
        clock,
        targets={"places": target},
        called=str,
        settles_within_s=60,
        max_concurrent=max_concurrent,
    )


@asynccontextmanager
async def running(worker: Worker, target: Places):
    task = asyncio.ensure_future(worker.run())
    try:
        yield
    finally:
        target.let.set()
        worker.stop()
        async with asyncio.timeout(DEADLINE_S):
            await task


async def due(store, place: str, count: int = 1, *, wait_ms: int = 0) -> None:
    policy = made(channels=(), oncall="places", wait_ms=wait_ms, destinations={"places": place})
    names = [f"{place} {number}" for number in range(count)]
    notifications = [make_notification(dedup_key=name) for name in names]
    await Lifecycle(store, SystemClock()).accept(notifications, lambda *_: policy)


async def claimed(store) -> int:
    return sum([await store._redis.zcard(keys.in_partition(it, "running")) for it in partitions()])


async def calls_of(store, command: str) -> int:
    found = await store._redis.info("commandstats")
    return int(found.get(f"cmdstat_{command}", {}).get("calls", 0))


async def test_a_system_that_does_not_answer_keeps_no_other_waiting(store):
    target = Places(apart=True)
    await due(store, "slow", MANY)
    async with running(make_worker(store, target), target):
        await until(lambda: target.under_way == 8)

        await due(store, "healthy", 5)

        await until(lambda: target.done == ["healthy"] * 5)


async def test_a_place_that_does_not_answer_keeps_no_other_of_its_system_waiting(store):
    target = Places()
    await due(store, "other")
    await due(store, "slow", MANY)
    async with running(make_worker(store, target, places=4), target):
        await until(lambda: target.under_way == 3)

        await due(store, "healthy")

        await until(lambda: "healthy" in target.done)


async def test_nothing_is_claimed_that_has_no_slot_and_what_waits_is_not_polled(store):
    target = Places()
    await due(store, "slow", MANY)
    async with running(make_worker(store, target, places=4), target):
        await until(lambda: target.under_way == 4)
        claims = await calls_of(store, "hincrby")

        await due(store, "slow 2", 1)  # a worker looks at it
        assert await claimed(store) == 4
        assert await calls_of(store, "hincrby") == claims

        target.let.set()
        await until(lambda: len(target.done) == MANY + 1)
    assert target.most_under_way == 4
    assert await claimed(store) == 0


@pytest.mark.usefixtures("wakes_by_news_only")
async def test_what_comes_due_later_wakes_no_worker_and_is_done_in_time(store, monkeypatch):
    target = Places()
    worker = make_worker(store, target)
    looks = []
    look = store.timers.look

    async def counted(**how):
        looks.append(how)
        return await look(**how)

    monkeypatch.setattr(store.timers, "look", counted)
    async with running(worker, target):
        await until(lambda: looks)
        before = len(looks)

        await due(store, "in an hour", 5, wait_ms=3600_000)
        await due(store, "soon", wait_ms=300)

        await until(lambda: target.done == ["soon"])
    assert len(looks) - before <= 3


async def test_more_than_one_look_holds_is_all_done(store, monkeypatch):
    monkeypatch.setattr("versus_py.engine.worker.LOOK_MAX", 5)
    monkeypatch.setattr("versus_py.engine.worker.GLANCE_MAX", 3)
    monkeypatch.setattr("versus_py.engine.worker.FEW", 2)
    target = Places()
    target.let.set()
    await due(store, "slow", MANY)

    async with running(make_worker(store, target), target):
        await until(lambda: len(target.done) == MANY)


@pytest.mark.parametrize(("few", "put_off_ms"), [(2, CROWDED_LOOK_MS), (MANY, 0)], ids=["much waits", "little waits"])
async def test_news_are_looked_at_together_while_much_waits(store, monkeypatch, few, put_off_ms):
    monkeypatch.setattr("versus_py.engine.worker.FEW", few)
    target = Places()
    await due(store, "slow", MANY)
    worker = make_worker(store, target, places=4)
    async with running(worker, target):
        await until(lambda: len(worker._queue) == MANY - 4)
        now_ms = SystemClock().now_ms()
        worker._look_at_ms = now_ms + 3_000

        worker._note_due(now_ms)

        assert put_off_ms <= worker._look_at_ms - now_ms < 3_000
        assert worker._look_at_ms == now_ms or put_off_ms
        target.let.set()
        await until(lambda: len(target.done) == MANY)


@pytest.mark.parametrize(
    ("before_ms", "wide_every_ms", "is_found"),
    [(1_900, 0, True), (1_900, 60_000, False), (50, 60_000, True)],
    ids=["a clock that is behind", "until it is looked for", "on its way to Redis"],
)
async def test_what_was_armed_before_the_last_look_is_found_though_much_waits(
    store, monkeypatch, before_ms, wide_every_ms, is_found
):
    monkeypatch.setattr("versus_py.engine.worker.FEW", 2)
    monkeypatch.setattr("versus_py.engine.worker.WIDE_LOOK_EVERY_MS", wide_every_ms)
    target = Places(apart=True)
    await due(store, "slow", MANY)
    await due(store, "late", wait_ms=3600_000)
    await due(store, "seen", wait_ms=3600_000)
    worker = make_worker(store, target, places=4)
    async with running(worker, target):
        await until(lambda: len(worker._queue) == MANY - 4 and worker._whole_look_at_ms > 0)
        worker._whole_look_at_ms += 3600_000
        await arm(store, "late", worker._looked_at_ms - before_ms)
        await arm(store, "seen", worker._looked_at_ms + 1)
        worker._note_due(SystemClock().now_ms())
        await until(lambda: "seen" in target.done)

        assert ("late" in target.done) is is_found
        target.let.set()
        await until(lambda: target.done.count("slow") == MANY)


async def arm(store, place: str, at_ms: int) -> None:
    """Have its step due then, as somebody else has written it."""
    [named], _, _ = await store.find([f"{place} 0"])
    incident = await store.get(named)
    early = replace(incident, escalates_at_ms=at_ms)
    await store.save([Change(early, Outcome.UPDATED, {"places": at_ms}, before=incident)], now_ms=at_ms)


@pytest.fixture
def read(store, monkeypatch) -> list[str]:
    """The targets of timers whose incident is read to find out whose turn it is."""
    found: list[str] = []
    glance = store.timers.glance

    async def noted(timers):
        found.extend(it.target for it in timers)
        return await glance(timers)

    monkeypatch.setattr(store.timers, "glance", noted)
    return found


@pytest.mark.parametrize("sole", ["places", None])
async def test_no_incident_is_read_to_find_the_place_of_a_sole_system(store, read, sole):
    target = Places()
    target.sole_system = sole
    await due(store, "fast")

    async with running(make_worker(store, target), target):
        await until(lambda: target.done == ["fast"])

    assert bool(read) is (sole is None)


class Twice(Places):
    """It wants to be called once more, in a moment."""

    async def sync(self, incident: Incident, *, attempt: int) -> Delivery:
        delivery = await super().sync(incident, attempt=attempt)
        if len(self.done) == 1:
            raise NotYet(SystemClock().now_ms(), "in a moment", delivery)
        return delivery


async def test_who_comes_back_is_not_read_again_to_find_its_place(store, read):
    target = Twice()
    await due(store, "fast")

    async with running(make_worker(store, target), target):
        await until(lambda: target.done == ["fast"] * 2)

    assert read == ["places"]


class Moving(Places):
    """Its first call shows that another system has the incident, and it wants to be called again much later."""

    def system(self, incident: Incident) -> str:
        return "places:new" if incident.delivery("places").reference else "places:old"

    async def sync(self, incident: Incident, *, attempt: int) -> Delivery:
        raise NotYet(SystemClock().now_ms() + 3_600_000, "later", await super().sync(incident, attempt=attempt))


async def test_a_place_is_remembered_as_the_sync_has_left_it(store):
    target = Moving()
    worker = make_worker(store, target)
    await due(store, "fast")

    await worker.run_due()

    [[_, found]] = worker._places._met.items()
    assert found == Place("places:new", "fast")


async def test_two_workers_share_what_waits_and_do_nothing_twice(store):
    one, other = Places(), Places()
    await due(store, "slow", MANY)
    async with (
        running(make_worker(store, one, places=4), one),
        running(make_worker(store, other, places=4), other),
    ):
        await until(lambda: one.under_way == other.under_way == 4)

        one.let.set()
        await until(lambda: len(one.done) == MANY - 4)
        other.let.set()
        await until(lambda: len(one.done) + len(other.done) == MANY)


async def test_a_system_that_asks_for_less_gets_less_at_once(store):
    class Strict(Places):
        async def sync(self, incident: Incident, *, attempt: int) -> Delivery:
            if self.under_way >= 5:
                raise RateLimited("too many at once", retry_after_s=0)
            return await super().sync(incident, attempt=attempt)

    target = Strict()
    await due(store, "slow", MANY)
    worker = make_worker(store, target)
    async with running(worker, target):
        await until(lambda: worker._queue.limit("places").now == 4)

        assert target.under_way == 5


@pytest.mark.parametrize("error", [RuntimeError("a bug"), KeyError("places")])
async def test_a_target_that_cannot_say_where_it_goes_ends_no_worker(store, logs, error):
    class Broken(Places):
        def system(self, incident: Incident) -> str:
            raise error

    target = Broken()
    await due(store, "fast")
    async with running(make_worker(store, target), target):
        await until(lambda: any(line["event"] == "sync.crashed" for line in logs))
    logs.expect_error("sync.crashed")
