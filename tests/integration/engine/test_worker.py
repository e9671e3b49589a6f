"""The worker's loop: bounded, woken by news, asleep until something is due, and never past its lease."""

import asyncio
import time
from contextlib import asynccontextmanager

import pytest
import structlog

from tests.integration.conftest import LEASE_MS
from tests.support.claims import claim_due
from tests.support.clock import FakeClock
from tests.support.factories import POLICY, make_notification
from tests.support.waiting import DEADLINE_S, until
from versus_py.clock import SystemClock
from versus_py.engine.last_look import Escalate, Verdict
from versus_py.engine.lifecycle import Lifecycle
from versus_py.engine.worker import CHANGES_APART_S, STORE_AGAIN_MS, SYNC_MAX_S, Worker
from versus_py.errors import StoreUnavailable
from versus_py.incidents.copies import replace
from versus_py.incidents.model import Delivery, Incident, Status
from versus_py.incidents.policies import Policy, made
from versus_py.store import Claim
from versus_py.systems import called, registered
from versus_py.targets.servicenow.connection import UNANSWERED_SETTLES_S
from versus_py.targets.slack.api import LATE_POST_S


class Recorder:
    """A target that notes what it is asked, and how much at once."""

    def __init__(self) -> None:
        self.synced: list[Incident] = []
        self.at_once = 0
        self.most_at_once = 0

    def system(self, incident: Incident) -> str:
        return "recorder"

    async def sync(self, incident: Incident, *, attempt: int) -> Delivery:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0.01)
        self.at_once -= 1
        self.synced.append(incident)
        return Delivery(reference={"id": "1"}, label="one")


@pytest.fixture
def channel():
    return Recorder()


@pytest.fixture
def oncall():
    return Recorder()


def make_worker(store, clock, channel, oncall, **max_concurrent: int) -> Worker:
    lifecycle = Lifecycle(store, clock)
    targets = {"slack": channel, "servicenow": oncall}
    settles_within_s = max(it.abilities.settles_within_s for it in registered())
    return Worker(
        store,
        lifecycle,
        clock,
        targets=targets,
        called=called(),
        settles_within_s=settles_within_s,
        max_concurrent=max_concurrent,
    )


@asynccontextmanager
async def running(worker: Worker):
    task = asyncio.ensure_future(worker.run())
    try:
        yield
    finally:
        worker.stop()
        async with asyncio.timeout(DEADLINE_S):
            await task


async def accept(store, clock, policy: Policy = POLICY, dedup_key: str = "group") -> Incident:
    [accepted] = await Lifecycle(store, clock).accept([make_notification(dedup_key=dedup_key)], lambda *_: policy)
    assert accepted.incident
    return accepted.incident


@pytest.mark.usefixtures("wakes_by_news_only")
async def test_new_work_wakes_a_worker_that_would_sleep_for_an_hour(store, channel, oncall):
    clock = SystemClock()
    async with running(make_worker(store, clock, channel, oncall)):
        await accept(store, clock, dedup_key="first")
        await until(lambda: len(channel.synced) == 1)
        await accept(store, clock, dedup_key="second")

        await until(lambda: len(channel.synced) == 2)


@pytest.mark.usefixtures("wakes_by_news_only")
async def test_what_is_armed_between_the_first_look_and_the_first_listening_is_heard(
    store, channel, oncall, monkeypatch
):
    clock, next_change, may_listen = SystemClock(), store.next_change, asyncio.Event()
    worker = make_worker(store, clock, channel, oncall)

    async def late(after, *, block_ms):
        await may_listen.wait()
        return await next_change(after, block_ms=block_ms)

    monkeypatch.setattr(store, "next_change", late)
    async with running(worker):
        await until(lambda: worker.turned_at_ms)
        await accept(store, clock)
        await until(store.changes.kept)
        may_listen.set()

        await until(lambda: channel.synced)


@pytest.mark.usefixtures("wakes_by_news_only")
async def test_a_worker_wakes_by_itself_when_something_comes_due(store, channel, oncall):
    clock = SystemClock()
    await accept(store, clock, made(channels=("slack",), oncall="servicenow", wait_ms=300))

    async with running(make_worker(store, clock, channel, oncall)):
        await until(lambda: oncall.synced)

    assert oncall.synced[0].status is Status.TRIGGERED
    assert oncall.synced[0].is_escalating


async def test_a_redis_that_answers_and_refuses_is_not_asked_without_a_pause(store, channel, oncall, monkeypatch):
    """As one that is full does: a timer may be claimed and given back, and nothing else be written."""
    clock = FakeClock(time.time_ns() // 1_000_000)
    await accept(store, clock, made(channels=(), oncall="servicenow", wait_ms=0))
    worker = make_worker(store, clock, channel, oncall)

    async def refused(_: object) -> None:
        raise StoreUnavailable("command not allowed when used memory > 'maxmemory'")

    with monkeypatch.context() as full:
        full.setattr(Lifecycle, "begin_step", lambda _, read: refused(read))
        await worker.run_due()
        claims, next_ms = await claim_due(store, now_ms=clock.now_ms(), lease_ms=60_000, limit=10)
    assert (claims, next_ms) == ([], clock.now_ms() + STORE_AGAIN_MS)

    clock.advance(ms=STORE_AGAIN_MS)
    await worker.run_due()
    assert [it.is_escalating for it in oncall.synced] == [True]


async def test_a_system_never_gets_more_at_once_than_configured(store, channel, oncall):
    clock = SystemClock()
    for number in range(12):
        await accept(store, clock, dedup_key=f"group-{number}")

    async with running(make_worker(store, clock, channel, oncall, recorder=3)):
        await until(lambda: len(channel.synced) == 12)

    assert channel.most_at_once == 3
    assert len({incident.id for incident in channel.synced}) == 12


async def test_whatever_is_logged_during_a_sync_names_its_incident_and_target(store, channel, oncall):
    bound = []

    class Asking(Recorder):
        async def sync(self, incident: Incident, *, attempt: int) -> Delivery:
            bound.append(structlog.contextvars.get_contextvars())
            return await super().sync(incident, attempt=attempt)

    clock = SystemClock()
    incident = await accept(store, clock)

    await make_worker(store, clock, Asking(), oncall).run_due()

    assert bound == [{"incident": incident.id, "target": "slack"}]
    assert structlog.contextvars.get_contextvars() == {}


async def test_a_claim_that_is_too_old_for_a_sync_is_given_back_untouched(store, channel, oncall):
    clock = FakeClock(time.time_ns() // 1_000_000)
    await accept(store, clock)
    worker = make_worker(store, clock, channel, oncall)
    [claim], _ = await claim_due(store, now_ms=clock.now_ms(), lease_ms=worker.lease_ms, limit=1)
    clock.advance(seconds=45)

    await worker._work(claim)

    assert channel.synced == []
    await worker.run_due()
    assert len(channel.synced) == 1


async def test_a_process_that_stood_still_while_its_claim_was_confirmed_sends_nothing(
    store, channel, oncall, monkeypatch
):
    clock = FakeClock(time.time_ns() // 1_000_000)
    await accept(store, clock)
    worker = make_worker(store, clock, channel, oncall)
    begin = store.timers.begin

    async def begin_and_stand_still(claim: Claim) -> bool:
        holds: bool = await begin(claim)
        clock.advance(seconds=143)
        return holds

    [claim], _ = await claim_due(store, now_ms=clock.now_ms(), lease_ms=worker.lease_ms, limit=1)
    monkeypatch.setattr(store.timers, "begin", begin_and_stand_still)
    await worker._work(claim)

    assert channel.synced == []


def test_what_a_worker_sent_before_it_died_has_had_its_effect_when_the_next_one_looks():
    assert max(UNANSWERED_SETTLES_S, LATE_POST_S) < LEASE_MS / 1000 - SYNC_MAX_S


async def test_a_sync_in_which_redis_went_away_was_an_attempt(store, oncall):
    """What it sent before that is looked for, so that it is not sent twice."""

    class Forgetful(Recorder):
        def __init__(self) -> None:
            super().__init__()
            self.attempts: list[int] = []

        async def sync(self, incident: Incident, *, attempt: int) -> Delivery:
            self.attempts.append(attempt)
            if attempt == 1:
                raise StoreUnavailable("gone, after the message was posted")
            return await super().sync(incident, attempt=attempt)

    clock = FakeClock(time.time_ns() // 1_000_000)
    await accept(store, clock)
    channel = Forgetful()
    worker = make_worker(store, clock, channel, oncall)

    for _ in range(2):
        [claim], _ = await claim_due(store, now_ms=clock.now_ms(), lease_ms=worker.lease_ms, limit=1)
        await worker._work(claim)
        clock.advance(seconds=10)

    assert channel.attempts == [1, 2]


async def test_a_second_provider_that_was_only_held_back_fails_no_more_once_it_is_not_needed(store, channel, oncall):
    clock = FakeClock(time.time_ns() // 1_000_000)
    policy = made(channels=("slack",), oncall="servicenow", fallback="servicenow:infra")
    incident = await accept(store, clock, policy)
    held_back = Delivery(failing_since_ms=incident.created_at_ms, error="it is down")
    known = replace(incident, status=Status.ACKNOWLEDGED, deliveries={"servicenow:infra": held_back})
    claim = Claim(incident.id, "servicenow:infra", clock.now_ms() + LEASE_MS, attempt=1)

    completion = await make_worker(store, clock, channel, oncall)._sync(claim, known)

    assert (completion.how, completion.delivery) == ("done", Delivery())


async def test_what_was_cut_off_before_anything_was_sent_is_due_at_once(store, oncall):
    """As a last look that takes its time when the process is to stop."""
    clock = FakeClock(time.time_ns() // 1_000_000)
    incident = await accept(store, clock, made(channels=(), oncall="servicenow", wait_ms=0))
    worker = make_worker(store, clock, oncall, oncall)
    asked = asyncio.Event()

    class Hanging:
        async def ask(self, _: Incident) -> Verdict:
            asked.set()
            await asyncio.Event().wait()
            return Escalate()

    worker._last_look = Hanging()
    [claim], _ = await claim_due(store, now_ms=clock.now_ms(), lease_ms=worker.lease_ms, limit=1)
    task = asyncio.ensure_future(worker._work(claim))
    await asked.wait()
    task.cancel()
    await asyncio.wait([task])

    [again], _ = await claim_due(store, now_ms=clock.now_ms(), lease_ms=worker.lease_ms, limit=1)
    assert (again.incident_id, again.attempt) == (incident.id, 1)


async def test_what_somebody_else_has_taken_is_not_sent(store, channel, oncall, logs):
    clock = FakeClock(time.time_ns() // 1_000_000)
    await accept(store, clock, made(channels=("slack",), oncall=None))
    worker = make_worker(store, clock, channel, oncall)
    [claim], _ = await claim_due(store, now_ms=clock.now_ms(), lease_ms=1000, limit=1)
    clock.advance(seconds=1)
    await claim_due(store, now_ms=clock.now_ms(), lease_ms=worker.lease_ms, limit=1)

    await worker._work(replace(claim, token=clock.now_ms() + worker.lease_ms - 1))

    assert channel.synced == []
    assert [line["event"] for line in logs if line["log_level"] == "warning"] == ["sync.lease_lost"]


async def test_a_clock_that_is_set_back_holds_up_no_look(store, channel, oncall, monkeypatch):
    class Set(SystemClock):
        ahead_ms = 0

        def now_ms(self) -> int:
            return super().now_ms() + self.ahead_ms

    async def hears_nothing(_: Worker) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(Worker, "_follow_changes", hears_nothing)
    monkeypatch.setattr("versus_py.engine.worker.IDLE_MAX_S", 0.05)
    clock = Set()
    worker = make_worker(store, clock, channel, oncall)
    await accept(store, clock, dedup_key="before")
    async with running(worker):
        await until(lambda: len(channel.synced) == 1)
        clock.ahead_ms = -3_600_000

        await accept(store, clock, dedup_key="after")
        await until(lambda: len(channel.synced) == 2)


async def test_changes_that_come_in_quick_succession_are_asked_for_in_pieces(store, channel, oncall, monkeypatch):
    worker = make_worker(store, FakeClock(time.time_ns() // 1_000_000), channel, oncall)
    said = iter([("1-0", None), ("1-0", None), ("2-0", None)])
    waits: list[float] = []

    async def next_change(after, *, block_ms):
        found = next(said, None)
        if found is None:
            worker.stop()
        return found or (after, None)

    async def waited(seconds):
        waits.append(seconds)
        return False

    monkeypatch.setattr(store, "next_change", next_change)
    monkeypatch.setattr(worker, "stopped_within", waited)

    await worker._follow_changes()

    assert waits == [CHANGES_APART_S] * 2  # after news only


async def test_a_redis_that_does_not_answer_keeps_no_worker_from_stopping(store, channel, oncall, monkeypatch, logs):
    monkeypatch.setattr("versus_py.engine.worker.STOP_GRACE_S", 0.05)
    clock, asked = SystemClock(), asyncio.Event()

    async def complete(*_: object, **__: object) -> None:
        asked.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(store, "complete", complete)
    await accept(store, clock)
    worker = make_worker(store, clock, channel, oncall)

    async def sync(*_: object, **__: object) -> None:
        worker.stop()
        await asyncio.Event().wait()

    monkeypatch.setattr(channel, "sync", sync)
    async with running(worker):
        await asked.wait()

    assert logs.expect_error("sync.not_recorded")["error"] == "no answer in time"
