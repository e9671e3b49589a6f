"""The ledger and the watchdog: what may still escalate is known apart from its timers, and comes back without them."""

import asyncio
from typing import Any

import pytest
from redis.asyncio import Redis

from tests.integration.conftest import LEASE_MS, Engine
from tests.support.claims import claim_due
from tests.support.factories import POLICY, make_alert, make_notification
from tests.support.waiting import until
from versus_py.engine.retries import SPREAD
from versus_py.engine.watchdog import GRACE_MS, TOLD_AT_ONCE
from versus_py.errors import StoreUnavailable
from versus_py.incidents.copies import replace
from versus_py.incidents.model import Actor, Delivery, IncidentId, Status
from versus_py.incidents.partitions import partitions
from versus_py.incidents.transitions import acknowledge, begin_step, observe, trigger
from versus_py.simulators import Fault
from versus_py.store import Completion, Ledger, keys


@pytest.fixture(autouse=True)
def _no_jitter(monkeypatch):
    monkeypatch.setattr(SPREAD, "uniform", lambda low, _high: low)


async def post(engine: Engine, key: str = "group", **query: str) -> IncidentId:
    answer = await engine.post({"title": key, "dedup_key": key}, **query)
    return IncidentId(answer["incidents"][0]["id"])


async def resolve(engine: Engine, key: str = "group") -> None:
    await engine.post({"title": key, "dedup_key": key, "status": "resolved"})


async def ledger_of(redis: Redis) -> dict[str, int]:
    """The whole ledger."""
    found: dict[str, int] = {}
    for partition in partitions():
        pairs: Any = await redis.zrange(keys.in_partition(partition, "pending"), 0, -1, withscores=True)
        found |= {member: int(score) for member, score in pairs}
    return found


async def forget_timers(redis: Redis) -> None:
    """What must never happen: the timers are lost, and nobody is at work on them."""
    for partition in partitions():
        for name in ("timers", "running", "attempts"):
            await redis.delete(keys.in_partition(partition, name))


async def test_what_may_still_escalate_is_on_the_ledger_with_its_deadline(engine):
    began_ms = engine.clock.now_ms()

    incident_id = await post(engine)

    assert await ledger_of(engine.store._redis) == {incident_id: began_ms + 5 * 60_000}


async def test_what_never_escalates_is_not_on_the_ledger(engine):
    await post(engine, oncall_enable="false")

    assert await ledger_of(engine.store._redis) == {}


@pytest.mark.parametrize("action", ["acknowledge", "resolve"])
async def test_what_a_person_does_settles_it(engine, action):
    incident_id = await post(engine)

    await engine.http.post(f"/api/incidents/{incident_id}/{action}?by=ana")

    assert await ledger_of(engine.store._redis) == {}


async def test_the_end_of_the_alerts_settles_it_and_firing_again_owes_it_anew(engine):
    incident_id = await post(engine)
    await resolve(engine)
    settled = await ledger_of(engine.store._redis)
    engine.clock.advance(minutes=1)

    await post(engine)

    assert settled == {}
    assert await ledger_of(engine.store._redis) == {incident_id: engine.clock.now_ms() + 5 * 60_000}


async def test_a_record_settles_it(engine):
    await post(engine)
    await engine.settle()
    assert len(await ledger_of(engine.store._redis)) == 1

    await engine.after(minutes=5)

    assert len(engine.servicenow.incidents) == 1
    assert await ledger_of(engine.store._redis) == {}


async def test_what_is_retried_is_still_owed(engine):
    engine.servicenow.faults.order(Fault(kind="503", times=None))
    incident_id = await post(engine)

    await engine.after(minutes=5)

    assert await ledger_of(engine.store._redis) == {incident_id: engine.clock.now_ms() - 12_000}


async def test_giving_up_settles_it(engine, logs):
    engine.servicenow.faults.order(Fault(kind="400", times=None))
    await post(engine)

    await engine.after(minutes=5)

    logs.expect_error("sync.failed")
    assert await ledger_of(engine.store._redis) == {}


async def test_a_claim_that_is_settled_leaves_the_ledger_alone_when_the_incident_moved_on(engine):
    """Given back to the pool and owed again, while its record was being made."""
    await post(engine)
    engine.clock.advance(minutes=5)
    [*claims], _ = await claim_due(engine.store, now_ms=engine.clock.now_ms(), lease_ms=LEASE_MS, limit=10)
    [oncall] = [it for it in claims if it.target == "servicenow"]
    incident = await engine.lifecycle.begin_step(oncall.incident())
    assert incident
    completed = engine.worker._done(oncall, incident, await engine.worker._call(oncall, incident))
    for action in ("acknowledge", "unacknowledge"):
        await engine.http.post(f"/api/incidents/{incident.id}/{action}?by=ana")

    assert completed.owed_at_ms(engine.clock.now_ms()) == ""
    assert await engine.store.complete(oncall, completed, now_ms=engine.clock.now_ms())
    assert await ledger_of(engine.store._redis) == {incident.id: engine.clock.now_ms() + 5 * 60_000}


async def test_an_acknowledgment_after_the_claim_wins_over_the_step_that_is_due(engine):
    incident_id = await post(engine)
    engine.clock.advance(minutes=5)
    claims, _ = await claim_due(engine.store, now_ms=engine.clock.now_ms(), lease_ms=LEASE_MS, limit=10)
    [oncall] = [it for it in claims if it.target == "servicenow"]
    await engine.http.post(f"/api/incidents/{incident_id}/acknowledge?by=ana")

    incident = await engine.lifecycle.begin_step(oncall.incident())

    assert incident.status is Status.ACKNOWLEDGED
    assert not incident.is_escalating


@pytest.mark.parametrize("settings", [{"alert": {"slack": {"enable": False}}}])
async def test_what_was_decided_before_the_record_was_there_does_not_owe_it_again(engine):
    await post(engine)
    engine.clock.advance(minutes=5)
    [oncall], _ = await claim_due(engine.store, now_ms=engine.clock.now_ms(), lease_ms=LEASE_MS, limit=10)
    incident = await engine.lifecycle.begin_step(oncall.incident())
    assert incident
    decided = observe(incident, make_notification(make_alert("Another"), dedup_key="group"), engine.clock.now_ms())
    assert decided

    await engine.worker._give_back(oncall, await engine.worker._sync(oncall, incident))

    assert await engine.store.save([decided], now_ms=engine.clock.now_ms()) == [False]
    assert await ledger_of(engine.store._redis) == {}


async def test_an_incident_that_cannot_be_read_is_told_and_left_alone(engine, logs):
    unreadable, readable = await post(engine, "newer"), await post(engine, "older")
    await engine.settle()
    await forget_timers(engine.store._redis)
    await engine.store._redis.hset(keys.incident(unreadable), "status", "of a newer version")
    engine.clock.advance(minutes=8)

    for _ in range(2):
        await engine.watchdog.look()

    for event in ("escalation.overdue", "escalation.rearmed", "incident.unreadable"):
        logs.expect_error(event)
    await engine.settle()
    assert [it["correlation_id"] for it in engine.servicenow.incidents] == [readable]
    assert (await ledger_of(engine.store._redis)).keys() == {unreadable}


async def test_an_escalation_without_timer_or_claim_comes_back(engine, logs):
    incident_id = await post(engine)
    await engine.settle()
    await forget_timers(engine.store._redis)
    await engine.after(minutes=10)
    assert engine.servicenow.incidents == []

    await engine.watchdog.look()
    await engine.settle()

    assert [it["correlation_id"] for it in engine.servicenow.incidents] == [incident_id]
    assert logs.expect_error("escalation.overdue")["incident"] == incident_id
    assert logs.expect_error("escalation.rearmed")["incident"] == incident_id
    assert engine.measured("versus_escalations_rearmed_total") == 1
    await engine.watchdog.look()
    assert engine.measured("versus_escalations_overdue") == 0


async def test_what_is_late_within_reason_is_not_overdue(engine):
    await post(engine)
    engine.clock.advance(minutes=5, ms=LEASE_MS + GRACE_MS)

    assert (await engine.watchdog.look()).overdue == 0


async def test_what_is_only_overdue_is_told_and_left_to_its_timer(engine, logs):
    await post(engine)
    engine.clock.advance(minutes=5, ms=LEASE_MS + GRACE_MS + 1)

    standing = await engine.watchdog.look()

    assert (standing.overdue, standing.timers_due) == (1, 2)
    assert logs.expect_error("escalation.overdue")["overdue"] == 1
    assert engine.measured("versus_escalations_rearmed_total") == 0


async def test_a_claim_that_runs_is_left_alone(engine, logs):
    await post(engine)
    engine.clock.advance(minutes=5, ms=LEASE_MS + GRACE_MS + 1)
    await claim_due(engine.store, now_ms=engine.clock.now_ms(), lease_ms=LEASE_MS, limit=10)

    await engine.watchdog.look()

    logs.expect_error("escalation.overdue")
    assert engine.measured("versus_escalations_rearmed_total") == 0
    assert engine.measured("versus_timers", state="running") == 2


async def test_an_incident_is_told_once_a_minute_and_few_at_once(engine, logs):
    for number in range(TOLD_AT_ONCE + 2):
        await post(engine, f"group-{number}")
    engine.clock.advance(minutes=5, ms=LEASE_MS + GRACE_MS + 1)
    told = []
    for _ in range(3):
        await engine.watchdog.look()
        told.append([line["incident"] for line in logs if line["event"] == "escalation.overdue"])
        logs.clear()
    engine.clock.advance(seconds=60)

    await engine.watchdog.look()

    assert [len(it) for it in told] == [TOLD_AT_ONCE, 2, 0]
    assert len(set(told[0] + told[1])) == TOLD_AT_ONCE + 2
    assert len([line for line in logs if line["event"] == "escalation.overdue"]) == TOLD_AT_ONCE
    logs.expect_error("escalation.overdue")


async def test_what_lies_behind_many_is_reached_too(engine, logs, monkeypatch):
    monkeypatch.setattr("versus_py.store.ledger.STRETCH", 1)
    for number in range(2 * len(partitions())):
        await post(engine, f"group-{number}")
    await forget_timers(engine.store._redis)
    engine.clock.advance(minutes=5, ms=LEASE_MS + GRACE_MS + 1)

    for _ in range(2 * len(partitions()) + 1):
        await engine.watchdog.look()

    logs.expect_error("escalation.overdue")
    logs.expect_error("escalation.rearmed")
    assert engine.measured("versus_escalations_rearmed_total") == 2 * len(partitions())


async def test_a_forgotten_incident_is_told_and_taken_off_the_ledger(engine, logs):
    incident_id = await post(engine)
    await engine.store._redis.delete(keys.incident(incident_id))
    engine.clock.advance(minutes=5, ms=LEASE_MS + GRACE_MS + 1)

    await engine.watchdog.look()

    logs.expect_error("escalation.overdue")
    assert logs.expect_error("escalation.forgotten")["incident"] == incident_id
    assert await ledger_of(engine.store._redis) == {}


async def test_the_gauges_say_how_things_stand(engine):
    await post(engine)
    await post(engine, "other", oncall_enable="false")
    await engine.watchdog.look()

    assert engine.measured("versus_escalations_pending") == 1
    assert engine.measured("versus_escalations_overdue") == 0
    assert engine.measured("versus_timers", state="due") == 2
    assert engine.measured("versus_timers", state="waiting") == 1


async def test_the_ledger_holds_on_real_servers(redis, store, clock):
    """The scripts on Redis and on Valkey: owed, settled, brought back."""
    ledger = Ledger(redis)
    change = trigger(make_notification(), POLICY, dedup_key="group", now_ms=clock.now_ms())
    await store.create([(change, "")], now_ms=clock.now_ms())
    due_ms = change.incident.owed_at_ms or 0
    assert await ledger_of(redis) == {change.incident.id: due_ms}
    await forget_timers(redis)
    early = await ledger.rearm(change.incident.id, change.incident, now_ms=due_ms - 1)

    armed = await ledger.rearm(change.incident.id, change.incident, now_ms=due_ms)
    again = await ledger.rearm(change.incident.id, change.incident, now_ms=due_ms)

    assert (early, armed, again) == ("", "armed", "")
    taken = acknowledge(change.incident, Actor("ana"), clock.now_ms())
    assert await store.save([taken], now_ms=clock.now_ms()) == [True]
    assert await ledger_of(redis) == {}
    assert await ledger.rearm(change.incident.id, change.incident, now_ms=due_ms) == ""


@pytest.mark.parametrize(("moved_on", "left"), [(False, 0), (True, 1)], ids=["seen", "moved on"])
async def test_completing_settles_on_real_servers_unless_the_incident_moved_on(redis, store, clock, moved_on, left):
    change = trigger(make_notification(), POLICY, dedup_key="group", now_ms=clock.now_ms())
    await store.create([(change, "")], now_ms=clock.now_ms())
    clock.advance(minutes=5)
    claims, _ = await claim_due(store, now_ms=clock.now_ms(), lease_ms=LEASE_MS, limit=10)
    [claim] = [it for it in claims if it.target == "servicenow"]
    begun = begin_step(change.incident, clock.now_ms())
    assert begun
    assert await store.save([begun], now_ms=clock.now_ms()) == [True]
    record = Delivery(reference={"sys_id": "1"}, synced_at_ms=clock.now_ms())
    told = replace(begun.incident, deliveries={"servicenow": record})
    completion = Completion("done", 1 if moved_on else 2, delivery=record, before=begun.incident, after=told)

    assert await store.complete(claim, completion, now_ms=clock.now_ms())

    assert len(await ledger_of(redis)) == left


async def test_the_loop_outlives_an_absence_of_redis(engine, logs, monkeypatch):
    monkeypatch.setattr("versus_py.engine.watchdog.LOOK_EVERY_S", 0.01)
    stop = asyncio.Event()
    engine.redis_server.go_away()
    running = asyncio.create_task(engine.watchdog.run(stop))
    await until(lambda: any(line["event"] == "watchdog.store_unavailable" for line in logs))
    with pytest.raises(StoreUnavailable):
        await engine.watchdog.look()

    engine.redis_server.come_back()

    await until(lambda: engine.watchdog.standing is not None)
    stop.set()
    await running
