"""Tickets that come in: each has one incident, whatever comes how often and in whatever order, and from whom."""

import asyncio
from collections.abc import Awaitable
from random import Random

import pytest

from tests.support.claims import claim_due
from tests.support.feeds import SERVICENOW, make_ticket
from tests.support.replicas import Replica
from versus_py.engine.lifecycle import Accepted
from versus_py.engine.tickets import NotTaken
from versus_py.engine.worker import Worker
from versus_py.incidents.copies import replace
from versus_py.incidents.model import Actor, Delivery, Event, Incident, Outcome, Status
from versus_py.incidents.sides import Report, Side, Standing
from versus_py.incidents.tickets import OnHold, ticket_id
from versus_py.incidents.triage import Route, route
from versus_py.store import keys
from versus_py.systems import called
from versus_py.targets.servicenow.connection import UNANSWERED_SETTLES_S

# Each ticket has one incident


async def test_a_new_ticket_is_written_down_with_its_record_and_its_timers(here):
    accepted = await here.take()

    assert accepted.outcome is Outcome.CREATED
    [incident] = await here.all()
    assert (incident.origin, incident.status, incident.title) == (SERVICENOW, Status.TRIGGERED, "Ticket abc")
    assert incident.delivery(SERVICENOW).reference["sys_id"] == "abc"
    assert incident.sides[SERVICENOW] == Side(0, Standing.NEW, severity="warning", title="Ticket abc")
    assert incident == accepted.incident
    assert await here.store.incident_at(SERVICENOW, "default\nabc") == incident.id
    claims, _ = await claim_due(here.store, now_ms=here.clock.now_ms(), lease_ms=60_000, limit=10)
    assert {it.target for it in claims} == {"slack", SERVICENOW}


async def test_twenty_events_at_once_to_two_replicas_make_one_incident(replicas):
    accepted = await asyncio.gather(*(replicas[it % 2].take() for it in range(20)))

    assert sorted(it.outcome for it in accepted) == [Outcome.CREATED, *[Outcome.IGNORED] * 19]
    [incident] = await replicas[0].all()
    assert [it.incident and it.incident.id for it in accepted] == [incident.id] * 20
    assert await replicas[0].events(incident) == [Event.TRIGGERED]


COURSE = [
    (Standing.NEW, 0),
    (Standing.NEW, 1),
    (Standing.IN_PROGRESS, 2),
    (Standing.ON_HOLD, 3),
    (Standing.IN_PROGRESS, 4),
    (Standing.RESOLVED, 5),
    (Standing.CLOSED, 6),
]


@pytest.mark.parametrize("seed", range(8))
async def test_events_at_once_in_any_order_to_two_replicas_end_as_the_ticket_does(replicas, seed):
    random = Random(seed)
    course = [*COURSE, *COURSE, *COURSE[:1] * 3]
    random.shuffle(course)
    some = [replicas[random.randrange(2)].take("abc", *it) for it in course]

    await asyncio.gather(*some, return_exceptions=True)
    await asyncio.gather(*(replicas[random.randrange(2)].take("abc", *it) for it in reversed(COURSE)))

    [incident] = await replicas[0].all()
    assert incident.status is Status.RESOLVED
    assert incident.sides[SERVICENOW].revision == 6
    entries = await replicas[0].events(incident)
    assert (entries.count(Event.TRIGGERED), entries.count(Event.RESOLVED)) == (1, 1)
    assert entries.count(Event.ACKNOWLEDGED) <= 2


async def test_two_tickets_and_two_instances_have_an_incident_each(here):
    for sys_id, instance in (("abc", ""), ("def", ""), ("abc", "infra")):
        assert (await here.take(sys_id, instance=instance)).outcome is Outcome.CREATED

    assert sorted(it.origin for it in await here.all()) == [SERVICENOW, SERVICENOW, "servicenow:infra"]


async def test_another_process_knows_the_ticket(here, there):
    incident = await here.taken()

    accepted = await there.take("abc", Standing.IN_PROGRESS, 1)

    assert accepted.outcome is Outcome.UPDATED
    assert (await here.get(incident)).acknowledged_by == Actor("Ben", "ben@example.com", {SERVICENOW: "ben.oz"})


async def test_an_installation_that_has_another_name_now_knows_the_ticket(here, there):
    incident = await here.taken()
    renamed = Replica(there.store, there.clock, installation="renamed")

    by_locator = await renamed.take("abc", Standing.NEW, 1)
    await here.store._redis.delete(keys.reference(SERVICENOW, "default\nabc"))
    by_key = await renamed.take("abc", Standing.NEW, 2)

    assert [it.incident and it.incident.id for it in (by_locator, by_key)] == [incident.id] * 2
    assert by_key.outcome is Outcome.IGNORED
    assert len(await here.all()) == 1


async def test_a_ticket_whose_incident_is_gone_but_for_its_name_begins_another_one(here):
    gone = await here.taken()
    await here.store._redis.delete(keys.incident(gone.id))

    accepted = await here.take("abc", Standing.NEW, 1)

    assert accepted.outcome is Outcome.CREATED
    assert [it.id for it in await here.all()] == [gone.id]
    assert (await here.take("abc", Standing.IN_PROGRESS, 2)).outcome is Outcome.UPDATED


@pytest.mark.parametrize("standing", [it for it in Standing if it is not Standing.NEW])
async def test_an_unknown_ticket_that_is_not_new_is_refused_and_nothing_is_made(here, standing):
    with pytest.raises(NotTaken, match=f"INC-abc is {standing}, and no incident is known"):
        await here.take("abc", standing, 1)

    assert await here.all() == []
    assert await here.store._redis.keys("versus:*") == []


async def test_a_new_ticket_by_our_own_user_begins_nothing(here):
    with pytest.raises(NotTaken, match="own user"):
        await here.take(is_own=True)

    assert await here.all() == []


async def test_a_ticket_that_is_updated_as_new_and_unknown_begins_an_incident(here):
    accepted = await here.take("abc", Standing.NEW, 7)

    assert accepted.outcome is Outcome.CREATED
    assert accepted.incident.sides[SERVICENOW].revision == 7


@pytest.mark.parametrize("revision", [0, 1])
async def test_a_ticket_that_is_updated_as_new_and_resolved_here_is_dropped(here, revision):
    incident = await here.taken()
    await here.lifecycle.resolve(incident.id, Actor("ana"))

    accepted = await here.take("abc", Standing.NEW, revision)

    assert (accepted.outcome, accepted.incident.status) == (Outcome.IGNORED, Status.RESOLVED)
    assert len(await here.all()) == 1


async def test_resolved_long_ago_it_is_still_known_and_begins_no_other(here):
    incident = await here.taken()
    await here.lifecycle.resolve(incident.id, Actor("ana"))
    here.clock.advance(hours=48)
    for key in (keys.dedup(incident.dedup_key), keys.reference(SERVICENOW, "default\nabc")):
        await here.store._redis.delete(key)

    accepted = await here.take("abc", Standing.NEW, 9)

    assert (accepted.outcome, accepted.incident.id) == (Outcome.IGNORED, incident.id)
    assert len(await here.all()) == 1


async def test_one_that_is_gone_between_the_look_and_the_write_is_not_made_twice(here, there):
    """Two replicas have both seen that nothing is there."""
    ticket = make_ticket()
    first, second = here.tickets._begun(ticket), there.tickets._begun(ticket)

    assert await here.lifecycle.begin(first) is None
    assert await there.lifecycle.begin(second) == first.incident.id


async def test_reopened_there_is_one_line_however_often_that_is_told(here, there):
    incident = await here.taken()
    await here.take("abc", Standing.RESOLVED, 1)

    accepted = await asyncio.gather(*(it.take("abc", Standing.IN_PROGRESS, 2) for it in (here, there) * 5))

    assert sorted(it.outcome for it in accepted) == [*[Outcome.IGNORED] * 9, Outcome.UPDATED]
    assert (await here.events(incident)).count(Event.REOPENED_THERE) == 1
    assert (await here.get(incident)).status is Status.RESOLVED


async def test_what_on_hold_does_is_the_instances_setting(here):
    here.feed.held = OnHold.ACKNOWLEDGE
    await here.taken()

    accepted = await here.take("abc", Standing.ON_HOLD, 1)

    assert accepted.incident.status is Status.ACKNOWLEDGED


async def test_who_is_not_known_is_called_as_the_system_is(here):
    await here.taken()

    accepted = await here.take("abc", Standing.IN_PROGRESS, 1, by="", email="", user="")

    assert str(accepted.incident.acknowledged_by) == "ServiceNow"


async def test_resolved_there_stops_what_is_pending(here):
    incident = await here.taken()
    await here.take("abc", Standing.RESOLVED, 1)
    here.clock.advance(hours=1)

    assert not (await here.lifecycle.begin_step(incident)).is_called(SERVICENOW)


async def test_a_re_routed_ticket_is_still_the_only_one(here):
    incident = await here.taken()
    to = Route("to C0OTHER", channel="slack", place="C0OTHER")
    await here.lifecycle.act(
        incident.id, lambda it, now_ms: route(it, to, Actor("ana"), now_ms, here.lifecycle.policy_of)
    )
    here.clock.advance(minutes=6)

    escalated = await here.lifecycle.begin_step(incident)

    assert escalated.is_called(SERVICENOW)
    assert escalated.providers == (SERVICENOW,)


@pytest.mark.parametrize(("is_own", "woken"), [(False, {SERVICENOW}), (True, set())], ids=["a person", "we"])
async def test_a_ticket_is_looked_at_when_somebody_else_has_changed_it(here, is_own, woken):
    await here.taken()
    await here.done()

    accepted = await here.take("abc", Standing.NEW, 1, is_own=is_own)

    assert accepted.incident.sides[SERVICENOW].revision == 1
    assert await here.done() == woken


# Records that were made here


async def test_a_record_that_names_our_incident_is_joined_with_it(here):
    incident = await here.ours()

    accepted = await here.take("ours", Standing.IN_PROGRESS, 3, incident_id=incident.id)

    assert (accepted.outcome, accepted.incident.id) == (Outcome.UPDATED, incident.id)
    assert accepted.incident.status is Status.ACKNOWLEDGED
    assert len(await here.all()) == 1


async def test_a_record_that_is_ours_is_found_by_what_its_system_calls_it(here):
    incident = await here.ours()

    accepted = await here.take("ours", Standing.RESOLVED, 3)

    assert (accepted.outcome, accepted.incident.id) == (Outcome.RESOLVED, incident.id)


async def test_the_first_event_of_our_own_record_changes_nothing(here):
    incident = await here.ours()

    accepted = await here.take("ours", incident_id=incident.id, is_own=True)

    assert accepted == Accepted(Outcome.IGNORED, incident)


async def test_a_record_is_joined_before_its_sync_has_said_where_it_is(here):
    incident = await here.ours(locator="")

    accepted = await here.take("ours", Standing.IN_PROGRESS, 1, incident_id=incident.id)

    assert accepted.incident.status is Status.ACKNOWLEDGED


@pytest.mark.parametrize("instance", ["", "infra"])
@pytest.mark.parametrize("standing", Standing)
async def test_a_copy_of_our_record_is_refused_and_changes_nothing(here, standing, instance):
    incident = await here.ours()

    with pytest.raises(NotTaken, match=f"INC-copy names incident {incident.id}, whose record is INC-ours"):
        await here.take("copy", standing, 5, incident_id=incident.id, instance=instance)

    assert await here.all() == [incident]


async def test_a_record_that_names_an_incident_which_is_not_known_is_refused_and_begins_none(here):
    unknown = ticket_id("another")

    with pytest.raises(NotTaken, match=f"names incident {unknown}, which is not known here"):
        await here.take("abc", incident_id=unknown)

    assert await here.all() == []


async def test_a_record_of_the_instance_that_a_request_chose_is_the_one_of_its_target(here):
    incident = await here.ours(locator="infra\nours", destinations={SERVICENOW: "infra"})

    accepted = await here.take("ours", Standing.IN_PROGRESS, 2, instance="infra", incident_id=incident.id)

    assert accepted.incident.status is Status.ACKNOWLEDGED
    assert {*accepted.incident.sides} == {SERVICENOW}
    assert accepted.incident.news[-1].said_at == SERVICENOW


# What a sync has seen


class Shown:
    """A target whose syncs see *reports*, one after the other."""

    def __init__(self, *reports: Report) -> None:
        self.reports = [*reports]
        self.synced: list[Incident] = []
        self.meanwhile: list[Awaitable[object]] = []
        """What happens while they go on, one in each."""

    def system(self, incident: Incident) -> str:
        return "shown"

    async def sync(self, incident: Incident, *, attempt: int) -> Delivery:
        self.synced.append(incident)
        if self.meanwhile:
            await self.meanwhile.pop(0)
        report = self.reports.pop(0) if self.reports else None
        return replace(incident.delivery(SERVICENOW), reference={"sys_id": "abc"}, label="INC-abc", report=report)


def worker_of(replica: Replica, record: Shown) -> tuple[Worker, Shown]:
    channel = Shown()
    found = Worker(
        replica.store,
        replica.lifecycle,
        replica.clock,
        targets={"slack": channel, SERVICENOW: record},
        called=called(),
        settles_within_s=UNANSWERED_SETTLES_S,
        hear=replica.tickets.hear,
    )
    return found, channel


def seen(standing: Standing, revision: int, **fields) -> Report:
    return make_ticket("abc", standing, revision, **fields).report


async def test_what_a_sync_sees_of_the_ticket_is_heard_and_the_channels_show_it(here):
    incident = await here.taken()
    record = Shown(seen(Standing.IN_PROGRESS, 1))
    worker, channel = worker_of(here, record)

    for _ in range(3):
        await worker.run_due()
        here.clock.advance(seconds=3)

    assert (await here.get(incident)).status is Status.ACKNOWLEDGED
    assert channel.synced[-1].status is Status.ACKNOWLEDGED
    assert len(record.synced) == 1


async def test_an_acknowledgment_while_a_sync_sees_nothing_new_is_for_the_next_one(here):
    incident = await here.taken()
    record = Shown(seen(Standing.NEW, 0))
    record.meanwhile = [here.lifecycle.acknowledge(incident.id, Actor("ana"))]
    worker, _ = worker_of(here, record)

    await worker.run_due()
    await worker.run_due()

    assert [it.status for it in record.synced] == [Status.TRIGGERED, Status.ACKNOWLEDGED]


async def test_an_event_that_overtakes_what_a_sync_sees_is_for_the_next_one(here):
    incident = await here.taken()
    record = Shown(seen(Standing.NEW, 1))
    record.meanwhile = [here.take("abc", Standing.IN_PROGRESS, 2)]
    worker, _ = worker_of(here, record)

    await worker.run_due()
    await worker.run_due()

    assert [it.status for it in record.synced] == [Status.TRIGGERED, Status.ACKNOWLEDGED]
    assert (await here.get(incident)).sides[SERVICENOW].revision == 2


async def test_an_end_over_which_an_earlier_attempt_wrote_is_for_the_next_sync(here):
    incident = await here.taken()
    record = Shown()
    worker, _ = worker_of(here, record)
    await here.lifecycle.acknowledge(incident.id, Actor("ana"))
    await worker.run_due()
    await here.take("abc", Standing.RESOLVED, 1)
    before = (await here.get(incident)).sides[SERVICENOW]
    record.reports.append(seen(Standing.IN_PROGRESS, 2, wrote=frozenset({"standing"}), since=before))
    record.synced.clear()

    for _ in range(3):
        await worker.run_due()
        here.clock.advance(seconds=3)

    told = [it.dealt_with_by.said_at for it in record.synced if it.dealt_with_by]
    assert told == [SERVICENOW, ""]


async def test_a_sync_that_writes_last_does_not_hide_what_a_person_has_changed_before(here):
    incident = await here.taken()
    worker, _ = worker_of(here, Shown(seen(Standing.RESOLVED, 3, is_own=True, wrote=frozenset({"severity"}))))

    await worker.run_due()

    assert (await here.get(incident)).status is Status.RESOLVED


async def test_a_sync_and_an_event_that_say_the_same_have_one_effect(here, there):
    incident = await here.taken()
    worker, _ = worker_of(here, Shown(seen(Standing.IN_PROGRESS, 1)))

    await asyncio.gather(worker.run_due(), there.take("abc", Standing.IN_PROGRESS, 1))

    assert (await here.events(incident)).count(Event.ACKNOWLEDGED) == 1


async def test_a_report_of_an_incident_that_is_gone_changes_nothing(here):
    gone = ticket_id("gone")

    assert await here.tickets.hear(gone, seen(Standing.RESOLVED, 1)) == (None, Outcome.IGNORED)


async def test_a_report_that_reopens_nothing_is_kept_as_seen(here):
    incident = await here.taken()

    found, outcome = await here.tickets.hear(incident.id, seen(Standing.NEW, 4))

    assert outcome is Outcome.IGNORED
    assert found.sides[SERVICENOW].revision == 4
    assert (await here.get(incident)).sides == found.sides
