"""One press in a storm's message acknowledges each of its incidents, by name."""

import asyncio

import pytest

from tests.integration.conftest import make_storms
from versus_py.engine import storms
from versus_py.engine.lifecycle import Lifecycle
from versus_py.engine.storms import StormAcknowledgment
from versus_py.errors import StoreUnavailable
from versus_py.incidents.model import Actor, Incident, IncidentId, Status
from versus_py.simulators.slack.simulator import SIGNING_SECRET
from versus_py.store import Storm, keys
from versus_py.systems import called
from versus_py.targets.slack.actions import ACKNOWLEDGE_ALL

ANA = Actor("Ana Diaz", "ana@example.com", {"slack": "U0ANA"})
BEN = Actor("Ben Okafor", "ben@example.com", {"slack": "U0BEN"})


@pytest.fixture
def slack_settings():
    return {"signing_secret": SIGNING_SECRET, "storm": {"threshold": 1}}


def digest(engine):
    [found] = [it for it in engine.slack.messages if "storm" in it.text]
    return found


def buttons(engine) -> list[str]:
    return [
        element["text"]["text"]
        for attachment in digest(engine).attachments
        for block in attachment["blocks"]
        for element in block["elements"]
    ]


async def the_storm(engine) -> Storm:
    [(place, storm_id), *_] = await make_storms(engine.store).kept()
    found = await make_storms(engine.store).get(place, storm_id)
    assert found is not None
    return found


async def members(engine, storm: Storm) -> list[Incident]:
    found = await engine.store.get_readable([*storm.members])
    return [it for it in found if it is not None]


def names(incidents: list[Incident]) -> set[str]:
    """Who acknowledged them."""
    return {it.acknowledged_by.name if it.acknowledged_by else "" for it in incidents}


@pytest.fixture
async def storm(engine) -> Storm:
    """A storm of some incidents, with its message."""
    for number in range(10):
        await engine.post({"title": f"Alert{number}", "id": f"d{number}"})
    await engine.settle()
    return await the_storm(engine)


async def press(engine, user="U0ANA"):
    """A press that Slack is satisfied with, and all that follows from it."""
    delivery = await engine.slack.press(digest(engine), ACKNOWLEDGE_ALL, user=user)
    assert (delivery.status, delivery.trouble) == (200, "")
    await engine.follow_ups.settled()


def told(engine):
    return [(it.user, it.text) for it in engine.slack.ephemerals]


async def test_each_incident_is_acknowledged_by_name_and_none_escalates(engine, storm):
    assert buttons(engine) == [f"Acknowledge all ({len(storm.members)})"]

    await press(engine)

    found = await members(engine, storm)
    assert {it.status for it in found} == {Status.ACKNOWLEDGED}
    assert names(found) == {ANA.name}
    assert told(engine) == [("U0ANA", f"Acknowledged {len(found)} incidents.")]
    await engine.after(minutes=6)
    assert not {it.id for it in found} & {record["correlation_id"] for record in engine.servicenow.incidents}


async def test_the_message_says_who_has_them_and_offers_nothing_any_more(engine, storm):
    await press(engine)
    await engine.settle()

    assert f"{len(storm.members)} acknowledged by Ana Diaz" in digest(engine).text
    assert buttons(engine) == []


async def test_what_somebody_has_or_is_over_stays_so_and_is_said(engine, storm):
    first, second, *_ = storm.members
    await engine.http.post(f"/api/incidents/{first}/acknowledge", params={"by": "ben"})
    await engine.http.post(f"/api/incidents/{second}/resolve", params={"by": "ben"})

    await press(engine)

    assert told(engine)[0][1] == "Acknowledged 7 incidents; 1 is acknowledged by *ben*, 1 is resolved."
    assert (await engine.store.get(first)).acknowledged_by == Actor("ben")
    assert (await engine.store.get(second)).status is Status.RESOLVED


async def test_where_all_are_acknowledged_the_press_says_by_whom(engine, storm):
    await press(engine)

    await press(engine, user="U0BEN")

    assert told(engine)[-1] == ("U0BEN", "Nothing to acknowledge: 9 are acknowledged by *Ana Diaz*.")


async def test_what_the_message_shows_as_acknowledged_or_resolved_is_counted_too(engine, storm):
    first, second, *_ = storm.members
    await engine.http.post(f"/api/incidents/{first}/acknowledge", params={"by": "ben"})
    await engine.http.post(f"/api/incidents/{second}/resolve", params={"by": "ben"})
    await engine.settle()

    await press(engine)

    assert told(engine)[0][1] == "Acknowledged 7 incidents; 1 is acknowledged by *ben*, 1 is resolved."


def test_of_many_people_the_answer_names_those_who_have_the_most():
    kept = {(storms._Result.ALREADY, f"P{number}"): 9 - number for number in range(storms.NAMED_MAX + 2)}

    text = storms.Tally((), 0, kept).text()

    assert text.startswith("Nothing to acknowledge: 9 are acknowledged by P0, 8 are acknowledged by P1,")
    assert text.endswith("5 are acknowledged by P4, 7 are acknowledged by others.")


async def test_an_acknowledgment_that_ends_is_not_renewed_by_the_way(engine, storm):
    await press(engine)
    before = {it.id: (it.version, it.ack_renewed_at_ms) for it in await members(engine, storm)}

    await press(engine, user="U0BEN")

    assert {it.id: (it.version, it.ack_renewed_at_ms) for it in await members(engine, storm)} == before


async def test_the_same_request_again_acknowledges_nothing_that_was_given_back_meanwhile(engine, storm):
    body, headers = engine.slack.prepare_press(digest(engine), ACKNOWLEDGE_ALL)
    await engine.slack.deliver(body, headers)
    [one, *_] = storm.members
    await engine.http.post(f"/api/incidents/{one}/unacknowledge", params={"by": "ana"})

    await engine.slack.deliver(body, headers)
    await engine.follow_ups.settled()

    assert (await engine.store.get(one)).status is Status.TRIGGERED


async def test_a_request_that_died_before_it_was_noted_takes_nothing_that_was_given_back_meanwhile(engine, storm):
    acknowledgment = StormAcknowledgment(make_storms(engine.store), engine.lifecycle)
    await acknowledgment.acknowledge(storm.place, storm.id, ANA, within_s=5, request_id="r1")
    [one, *_] = storm.members
    await engine.http.post(f"/api/incidents/{one}/unacknowledge", params={"by": "ana"})

    again = await acknowledgment.acknowledge(storm.place, storm.id, ANA, within_s=5, request_id="r1")

    assert (await engine.store.get(one)).status is Status.TRIGGERED
    assert again is not None
    assert len(again.acknowledged) == len(storm.members)


async def test_two_people_at_two_replicas_share_the_incidents_and_each_has_one_name(engine, storm):
    elsewhere = StormAcknowledgment(make_storms(engine.store), Lifecycle(engine.store, engine.clock, called=called()))
    here = StormAcknowledgment(make_storms(engine.store), engine.lifecycle)

    tallies = await asyncio.gather(
        here.acknowledge(storm.place, storm.id, ANA, within_s=5),
        elsewhere.acknowledge(storm.place, storm.id, BEN, within_s=5),
    )

    found = await members(engine, storm)
    for tally, who in zip(tallies, (ANA, BEN), strict=True):
        assert tally is not None
        assert names([it for it in found if it.id in tally.acknowledged]) <= {who.name}
    assert sum(len(it.acknowledged) for it in tallies if it) == len(storm.members)


async def test_who_dies_half_way_leaves_what_was_done_and_the_rest_can_be_acknowledged(engine, storm, monkeypatch):
    monkeypatch.setattr(storms, "TOGETHER", 1)
    act, taken = engine.lifecycle.act, list[IncidentId]()

    async def dies(incident_id, *args):
        if len(taken) == 3:
            raise asyncio.CancelledError
        taken.append(incident_id)
        return await act(incident_id, *args)

    monkeypatch.setattr(engine.lifecycle, "act", dies)
    with pytest.raises(asyncio.CancelledError):
        await StormAcknowledgment(make_storms(engine.store), engine.lifecycle).acknowledge(
            storm.place, storm.id, ANA, within_s=5
        )
    monkeypatch.undo()
    half = {it.id for it in await members(engine, storm) if it.status is Status.ACKNOWLEDGED}
    await press(engine, user="U0BEN")

    after = await members(engine, storm)
    assert half == {*taken}
    assert names([it for it in after if it.id in half]) == {ANA.name}
    assert names([it for it in after if it.id not in half]) == {BEN.name}


async def test_what_a_request_has_no_time_for_is_left_and_said(engine, storm, monkeypatch):
    monkeypatch.setattr(storms, "TOGETHER", 2)
    acknowledgment = StormAcknowledgment(make_storms(engine.store), engine.lifecycle)

    tally = await acknowledgment.acknowledge(storm.place, storm.id, ANA, within_s=0)

    assert tally is not None
    assert (len(tally.acknowledged), tally.left) == (2, len(storm.members) - 2)
    assert tally.text().endswith(f"{tally.left} more need somebody: acknowledge all once more.")


async def test_one_request_writes_a_bounded_number_and_the_same_again_goes_on(engine, storm, monkeypatch):
    monkeypatch.setattr(storms, "TOGETHER", 2)
    monkeypatch.setattr(storms, "AT_ONCE", 4)
    acknowledgment = StormAcknowledgment(make_storms(engine.store), engine.lifecycle)

    tallies = [await acknowledgment.acknowledge(storm.place, storm.id, ANA, within_s=5) for _ in range(3)]

    assert [len(it.acknowledged) for it in tallies if it] == [4, 4, len(storm.members) - 8]


async def test_one_press_takes_also_what_slacks_deadline_leaves_no_time_for(engine, storm, monkeypatch):
    monkeypatch.setattr(storms, "TOGETHER", 2)
    monkeypatch.setattr("versus_py.interactions.desk.AT_ONCE_SHARE", 0)

    await press(engine)

    assert {it.status for it in await members(engine, storm)} == {Status.ACKNOWLEDGED}
    assert told(engine) == [("U0ANA", f"Acknowledged {len(storm.members)} incidents.")]


async def test_what_failed_is_said_and_a_further_press_takes_it(engine, storm, monkeypatch):
    [broken, *_] = storm.members
    act = engine.lifecycle.act

    async def fails(incident_id, *args):
        if incident_id == broken:
            raise StoreUnavailable("Redis is full")
        return await act(incident_id, *args)

    monkeypatch.setattr(engine.lifecycle, "act", fails)
    await press(engine)
    monkeypatch.undo()
    before = (await engine.store.get(broken)).status
    await press(engine)

    assert "1 could not be acknowledged: acknowledge all once more." in told(engine)[0][1]
    assert before is Status.TRIGGERED
    assert (await engine.store.get(broken)).acknowledged_by == ANA


async def test_a_redis_that_takes_nothing_is_told_to_slack_and_the_press_counts_when_it_comes_again(
    engine, storm, monkeypatch
):
    async def away(*_args):
        raise StoreUnavailable("Redis is away")

    body, headers = engine.slack.prepare_press(digest(engine), ACKNOWLEDGE_ALL)
    monkeypatch.setattr(engine.lifecycle, "act", away)
    refused = await engine.slack.deliver(body, headers)
    monkeypatch.undo()
    taken = await engine.slack.deliver(body, headers)
    await engine.follow_ups.settled()

    assert (refused.status, taken.status) == (503, 200)
    assert {it.status for it in await members(engine, storm)} == {Status.ACKNOWLEDGED}


@pytest.mark.parametrize(
    "slack_settings",
    [{"signing_secret": SIGNING_SECRET, "storm": {"threshold": 1}, "allowed_users": ["U0BEN"]}],
)
async def test_who_may_not_acknowledge_acknowledges_nothing_and_hears_who_may(engine, storm):
    await press(engine)

    assert {it.status for it in await members(engine, storm)} == {Status.TRIGGERED}
    assert "<@U0BEN>" in told(engine)[0][1]


@pytest.mark.parametrize(
    "slack_settings",
    [
        {"storm": {"threshold": 1}},
        {"signing_secret": SIGNING_SECRET, "storm": {"threshold": 1}, "actions": {"acknowledge": False}},
    ],
    ids=["no way to tell who presses", "switched off"],
)
async def test_without_buttons_that_tell_who_presses_them_there_is_none(engine, storm):
    assert storm.members
    assert buttons(engine) == []


async def test_a_storm_that_is_forgotten_is_told_so(engine, storm):
    shown = digest(engine)
    await engine.store._redis.delete(keys.storm(storm.place, storm.id))
    await make_storms(engine.store).dismiss(storm.place, storm.id)

    delivery = await engine.slack.press(shown, ACKNOWLEDGE_ALL, user="U0ANA")
    await engine.follow_ups.settled()

    assert delivery.status == 200
    assert "this alert storm is not known any more" in told(engine)[0][1]
