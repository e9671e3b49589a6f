"""Incidents compared with their records: what was not told is repaired, once, and by one replica at a time."""

import asyncio

import pytest

from tests.support.factories import POLICY, make_notification
from tests.support.feeds import COMPARE_EVERY_MS, SERVICENOW
from tests.support.replicas import Replica
from tests.support.waiting import until
from versus_py.engine import reconciliation
from versus_py.engine.reconciliation import BATCH, ENDED_FOR_MS, Reconciliation
from versus_py.errors import Permanent, RateLimited, StoreUnavailable, Unreachable
from versus_py.incidents.copies import replace
from versus_py.incidents.model import Actor, Event, Status
from versus_py.incidents.sides import Standing
from versus_py.store import keys
from versus_py.targets import NotYet
from versus_py.telemetry.metrics import Metrics

ANA = Actor("ana")


class Comparing:
    """The loop of one replica."""

    def __init__(self, replica: Replica, *targets: str) -> None:
        self.metrics = Metrics()
        self.loop = Reconciliation(
            replica.tickets,
            targets or [SERVICENOW],
            store=replica.store,
            clock=replica.clock,
            metrics=self.metrics,
            look_every_s=0.01,
        )

    async def all(self) -> int:
        return await self.loop.compare(SERVICENOW)

    async def in_turn(self) -> None:
        await self.loop._compare_in_turn(SERVICENOW)

    @property
    def drift(self) -> float | None:
        return self.metrics.registry.get_sample_value("versus_servicenow_drift", {"target": SERVICENOW})


@pytest.fixture
def comparing(here: Replica) -> Comparing:
    return Comparing(here)


async def next_turn(replica: Replica) -> None:
    """The turn is over: Redis ends it by its own clock."""
    replica.clock.advance(ms=COMPARE_EVERY_MS)
    await replica.store._redis.delete(keys.turn(f"compare:{SERVICENOW}"))


# What is repaired


@pytest.mark.parametrize(("revision", "woken"), [(0, set()), (1, {SERVICENOW})], ids=["as it was", "changed"])
async def test_a_ticket_that_somebody_has_changed_is_looked_at_as_they_may_have_commented(
    here, comparing, revision, woken
):
    incident = await here.taken()
    await here.done()
    here.feed.stands(incident, Standing.NEW, revision=revision)

    await comparing.all()

    assert await here.done() == woken


@pytest.mark.parametrize(
    ("standing", "status"),
    [
        (Standing.IN_PROGRESS, Status.ACKNOWLEDGED),
        (Standing.RESOLVED, Status.RESOLVED),
        (Standing.CLOSED, Status.RESOLVED),
    ],
)
async def test_what_was_not_told_is_heard_and_in_the_timeline(here, comparing, standing, status):
    incident = await here.taken()
    here.feed.stands(incident, standing, revision=3)

    assert await comparing.all() == 0

    found = await here.get(incident)
    assert found.status is status
    entries = await here.store.timeline(incident.id)
    assert (entries[-1].event, entries[-1].detail) == (Event.REPAIRED, "ServiceNow: state")
    assert entries[-2].by == Actor("Ben", "ben@example.com", {SERVICENOW: "ben.oz"})
    assert "slack" in await here.done()


async def test_every_field_that_was_not_told_is_heard(here, comparing):
    incident = await here.taken()
    here.feed.stands(incident, Standing.NEW, revision=3)
    report = here.feed.reports[incident.id]
    here.feed.reports[incident.id] = replace(report, side=replace(report.side, severity="critical", assignee="u-ben"))

    await comparing.all()

    assert (await here.get(incident)).severity == "critical"
    assert await here.events(incident) == [Event.TRIGGERED, Event.SEVERITY_RAISED, Event.ASSIGNED, Event.REPAIRED]


async def test_comparing_again_repairs_nothing_and_writes_nothing(here, comparing):
    incident = await here.taken()
    here.feed.stands(incident, Standing.IN_PROGRESS, revision=3)
    await comparing.all()
    repaired = await here.get(incident)

    await comparing.all()

    assert await here.get(incident) == repaired
    assert (await here.events(incident)).count(Event.REPAIRED) == 1


async def test_what_agrees_is_left_alone(here, comparing):
    incident = await here.taken()
    here.feed.stands(incident, Standing.NEW, revision=0)

    assert await comparing.all() == 0
    assert await here.get(incident) == incident
    assert comparing.drift == 0


async def test_a_record_that_we_made_is_repaired_too(here, comparing):
    incident = await here.ours()
    here.feed.stands(incident, Standing.RESOLVED, revision=3)

    await comparing.all()

    assert (await here.get(incident)).status is Status.RESOLVED


async def test_a_record_that_is_gone_changes_nothing(here, comparing):
    incident = await here.taken()
    here.feed.reports[incident.id] = None

    assert await comparing.all() == 0
    assert await here.get(incident) == incident


async def test_what_nobody_has_told_of_here_is_left_to_who_writes_it(here, comparing):
    """The record was changed last by us, and the sync that did so has not ended."""
    incident = await here.taken()
    here.feed.stands(incident, Standing.IN_PROGRESS, revision=3, is_own=True)

    await comparing.all()

    assert await here.get(incident) == incident


# What does not agree


async def test_resolved_here_and_open_there_its_target_is_woken_until_it_is_over(here, comparing):
    incident = await here.taken()
    await here.lifecycle.resolve(incident.id, ANA)
    await here.done()
    here.feed.stands(incident, Standing.NEW, revision=1)

    assert await comparing.all() == 1
    assert comparing.drift == 1
    assert await here.done() == {SERVICENOW}

    here.feed.stands(incident, Standing.RESOLVED, revision=2)
    assert await comparing.all() == 0
    assert comparing.drift == 0


async def test_a_ticket_that_is_never_written_to_may_stay_open(here, comparing):
    here.feed.writes = False
    incident = await here.taken()
    await here.lifecycle.resolve(incident.id, ANA)
    await here.done()
    here.feed.stands(incident, Standing.NEW, revision=0)

    assert await comparing.all() == 0
    assert await here.done() == set()


async def test_a_ticket_that_was_reopened_there_stays_open(here, comparing):
    incident = await here.taken()
    await here.take("abc", Standing.RESOLVED, 1)
    await here.done()
    here.feed.stands(incident, Standing.IN_PROGRESS, revision=2)

    assert await comparing.all() == 0
    assert (await here.events(incident))[-2:] == [Event.REOPENED_THERE, Event.REPAIRED]
    assert await comparing.all() == 0


async def test_an_incident_that_was_reopened_here_stays_open_and_its_record_over_until_it_is_called(
    here,
    comparing,
):
    incident = await here.ours()
    here.feed.stands(incident, Standing.RESOLVED, revision=3)
    await comparing.all()
    policy = incident.policy
    await here.lifecycle.accept([make_notification()], lambda *_: policy)

    assert await comparing.all() == 0
    assert (await here.get(incident)).status is Status.TRIGGERED
    assert comparing.drift == 0


async def test_what_ended_long_ago_is_not_compared(here, comparing):
    incident = await here.taken()
    await here.lifecycle.resolve(incident.id, ANA)
    await comparing.all()
    here.clock.advance(ms=ENDED_FOR_MS + 1)
    await comparing.all()

    assert here.feed.looks == [(SERVICENOW, 1)]


async def test_what_has_no_record_there_is_not_compared(here, comparing):
    await here.taken("abc", instance="infra")
    await here.lifecycle.accept([make_notification()], lambda *_: POLICY)

    await comparing.all()

    assert here.feed.looks == []


async def test_a_hundred_are_asked_for_at_once(here, comparing):
    number = 2 * BATCH + 5
    for at in range(number):
        incident = await here.taken(f"{at}")
        here.feed.stands(incident, Standing.IN_PROGRESS, revision=1)

    await comparing.all()

    looked = [many for _, many in here.feed.looks]
    assert (max(looked), sum(looked)) == (BATCH, number)
    assert {it.status for it in await here.all()} == {Status.ACKNOWLEDGED}


# In turn


async def test_one_replica_compares_at_a_time(here, there, comparing):
    await here.taken()
    other = Comparing(there)

    await asyncio.gather(*(it.in_turn() for it in (comparing, other) * 3))
    assert len([*here.feed.looks, *there.feed.looks]) == 1

    await next_turn(here)
    await asyncio.gather(comparing.in_turn(), other.in_turn())
    assert len([*here.feed.looks, *there.feed.looks]) == 2


async def test_the_number_of_a_replica_that_no_longer_compares_is_not_kept(here, there, comparing):
    incident = await here.taken()
    await here.lifecycle.resolve(incident.id, ANA)
    here.feed.stands(incident, Standing.NEW, revision=1)
    there.feed.stands(incident, Standing.RESOLVED, revision=2)
    await comparing.in_turn()
    await comparing.in_turn()
    assert comparing.drift == 1

    await next_turn(here)
    await Comparing(there).in_turn()
    await comparing.in_turn()

    assert comparing.drift == 0


async def test_while_credentials_are_refused_nothing_is_compared(here, comparing):
    incident = await here.taken()
    here.feed.stands(incident, Standing.IN_PROGRESS, revision=1)
    await here.store.refusals.refuse(SERVICENOW, "wrong password", next_probe_ms=0)

    await comparing.in_turn()
    looks = len(here.feed.looks)
    await here.store.refusals.accept(SERVICENOW, now_ms=here.clock.now_ms())
    await comparing.in_turn()

    assert looks == 0
    assert (await here.get(incident)).status is Status.ACKNOWLEDGED


async def test_what_is_never_compared_takes_no_turn(here, comparing):
    here.feed.every_ms = None
    await here.taken()

    await comparing.in_turn()

    assert here.feed.looks == []
    assert not await here.store._redis.exists(keys.turn(f"compare:{SERVICENOW}"))


@pytest.mark.parametrize(
    "failure",
    [
        RateLimited("too many requests", retry_after_s=60),
        NotYet(60, "the instance has asked to be left alone"),
        Unreachable("no answer"),
        Permanent("no such table"),
        StoreUnavailable("Redis is gone"),
        TimeoutError(),
    ],
    ids=lambda it: type(it).__name__,
)
async def test_a_failure_ends_the_comparison_quietly_and_the_next_one_is_whole(here, comparing, logs, failure):
    incident = await here.taken()
    here.feed.stands(incident, Standing.IN_PROGRESS, revision=1)
    here.feed.fails.append(failure)

    await comparing.in_turn()

    [line] = [it for it in logs if it["event"] == "records.not_compared"]
    assert (line["log_level"], line["target"]) == ("warning", SERVICENOW)
    assert (await here.get(incident)).status is Status.TRIGGERED
    await next_turn(here)
    await comparing.in_turn()
    assert (await here.get(incident)).status is Status.ACKNOWLEDGED


async def test_after_one_that_took_too_long_the_next_comparison_goes_on_with_the_rest(here, comparing, monkeypatch):
    monkeypatch.setattr(reconciliation, "BATCH", 2)
    tickets = []
    for at in range(6):
        here.clock.advance(seconds=1)
        tickets.append(await here.taken(f"{at}"))
    for it in tickets:
        here.feed.stands(it, Standing.IN_PROGRESS, revision=1)

    async def ending_with(*failures: Exception) -> list[int]:
        """The tickets that were heard by then."""
        here.feed.fails = [*failures]
        await comparing.in_turn()
        await next_turn(here)
        found = [await here.get(it) for it in tickets]
        return [at for at, it in enumerate(found) if it.status is Status.ACKNOWLEDGED]

    assert await ending_with(TimeoutError()) == []
    assert await ending_with() == [0, 1, 2, 3]
    assert await ending_with() == [0, 1, 2, 3, 4, 5]


async def test_a_page_that_failed_is_the_first_of_the_next_comparison(here, comparing, monkeypatch):
    monkeypatch.setattr(reconciliation, "BATCH", 1)
    oldest = await here.taken("oldest")
    here.clock.advance(seconds=1)
    await here.taken("newest")
    here.feed.stands(oldest, Standing.RESOLVED, revision=1)
    look, failures = here.feed.look, [RateLimited("too many requests")]

    async def look_or_fail(target, incidents):
        if oldest in incidents and failures:
            raise failures.pop()
        return await look(target, incidents)

    monkeypatch.setattr(here.feed, "look", look_or_fail)
    await comparing.in_turn()
    await next_turn(here)
    before = len(here.feed.looks)
    await comparing.in_turn()

    assert len(here.feed.looks) == before + 1
    assert (await here.get(oldest)).status is Status.RESOLVED


async def test_a_page_that_always_fails_keeps_no_other_from_being_compared(here, comparing, monkeypatch):
    monkeypatch.setattr(reconciliation, "BATCH", 1)
    oldest = await here.taken("oldest")
    here.clock.advance(seconds=1)
    refused = await here.taken("refused")
    here.clock.advance(seconds=1)
    await here.taken("newest")
    here.feed.stands(oldest, Standing.RESOLVED, revision=1)
    look = here.feed.look

    async def look_or_refuse(target, incidents):
        if refused in incidents:
            raise Permanent("this one is refused")
        return await look(target, incidents)

    monkeypatch.setattr(here.feed, "look", look_or_refuse)
    for _ in range(3):
        await comparing.in_turn()
        await next_turn(here)

    assert (await here.get(oldest)).status is Status.RESOLVED


async def test_a_bug_is_logged_and_the_loop_goes_on(here, comparing, logs):
    await here.taken()
    here.feed.fails.append(KeyError("sys_id"))

    await comparing.in_turn()

    assert logs.expect_error("records.not_compared")["target"] == SERVICENOW


async def test_an_instance_that_does_not_answer_holds_up_no_other(here):
    slow, other = await here.taken("abc"), await here.taken("def", instance="infra")
    here.feed.stands(slow, Standing.RESOLVED, revision=1)
    here.feed.stands(other, Standing.RESOLVED, revision=1, instance="infra")
    comparing, look, stop = Comparing(here, SERVICENOW, "servicenow:infra"), here.feed.look, asyncio.Event()

    async def look_unless_slow(target, incidents):
        if slow in incidents:
            await stop.wait()
        return await look(target, incidents)

    here.feed.look = look_unless_slow
    running = asyncio.create_task(comparing.loop.run(stop))

    async def is_heard() -> bool:
        return (await here.get(other)).status is Status.RESOLVED

    await until(is_heard)
    still = (await here.get(slow)).status
    stop.set()
    await running

    assert still is Status.TRIGGERED


async def test_the_loop_ends_when_it_is_told_to(here, comparing):
    await here.taken()
    stop = asyncio.Event()
    running = asyncio.create_task(comparing.loop.run(stop))
    await until(lambda: bool(here.feed.looks))

    stop.set()

    await asyncio.wait_for(running, 5)


# While events come in


@pytest.mark.parametrize("revision", [2, 3, 4], ids=["one that is older", "the same", "one that is newer"])
async def test_an_event_that_comes_during_a_comparison_has_its_effect_once(here, there, comparing, revision):
    incident = await here.taken()
    here.feed.stands(incident, Standing.IN_PROGRESS, revision=3)
    here.feed.going_on = asyncio.Event()
    comparison = asyncio.create_task(comparing.all())
    await until(lambda: bool(here.feed.looks))

    await there.take("abc", Standing.IN_PROGRESS, revision)
    here.feed.going_on.set()
    await comparison

    assert await here.events(incident) == [Event.TRIGGERED, Event.ACKNOWLEDGED]
    assert (await here.get(incident)).sides[SERVICENOW].revision == max(revision, 3)


async def test_what_is_resolved_by_an_event_during_a_comparison_stays_so(here, there, comparing):
    incident = await here.taken()
    here.feed.stands(incident, Standing.IN_PROGRESS, revision=3)
    here.feed.going_on = asyncio.Event()
    comparison = asyncio.create_task(comparing.all())
    await until(lambda: bool(here.feed.looks))

    await there.take("abc", Standing.RESOLVED, 4)
    here.feed.going_on.set()

    assert await comparison == 0
    assert (await here.get(incident)).status is Status.RESOLVED
    assert Event.REOPENED_THERE not in await here.events(incident)


async def test_comparisons_of_two_replicas_and_events_at_once_repair_once(here, there, comparing):
    incidents = [await here.taken(f"{number}") for number in range(20)]
    for replica in (here, there):
        for incident in incidents:
            replica.feed.stands(incident, Standing.RESOLVED, revision=3)
    events = [it.take(f"{number}", Standing.RESOLVED, 3) for number in range(10) for it in (here, there)]

    await asyncio.gather(comparing.all(), Comparing(there).all(), *events)

    for incident in incidents:
        entries = await here.events(incident)
        assert entries.count(Event.RESOLVED) == 1
        assert entries.count(Event.REPAIRED) <= 1
    assert {it.status for it in await here.all()} == {Status.RESOLVED}
