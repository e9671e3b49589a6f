"""Escalation policies, from the payload to the messages and records: each test's name is what is promised."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.integration.conftest import CHANNEL, Engine
from versus_py.engine.retries import SPREAD
from versus_py.incidents.model import Event
from versus_py.simulators import Fault
from versus_py.tools.audit.timeline import contradiction
from versus_py.tools.samples import alertmanager

LEADS, WEB = "C0LEADS", "C0WEB"
LEADS_MENTION = "<!subteam^S0LEADS>"
NOON_S = round(datetime(2027, 3, 3, 11, tzinfo=UTC).timestamp())  # a Wednesday, 12:00 in Berlin

OFFICE: dict[str, Any] = {
    "name": "office",
    "time_intervals": [
        {
            "weekdays": ["monday:friday"],
            "times": [{"start_time": "08:00", "end_time": "18:00"}],
            "location": "Europe/Berlin",
        }
    ],
}
CHAIN: dict[str, Any] = {
    "name": "critical",
    "match": ['severity="critical"'],
    "steps": [
        {"notify": ["slack"]},
        {"after": "10m", "notify": ["slack:leads"], "mention": LEADS_MENTION},
        {"after": "15m", "notify": ["servicenow"]},
    ],
}


def policies(*found, **settings):
    """A test's configuration with these policies."""
    return pytest.mark.parametrize(
        ("settings", "slack_settings"),
        [({"policies": [*found], **settings}, {"channels": {"leads": LEADS}})],
        ids=[""],
    )


def changed(policy, **keys):
    return {**policy, **keys}


@pytest.fixture(autouse=True)
def _no_jitter(monkeypatch):
    """Retries after the shortest time, so that tests know when."""
    monkeypatch.setattr(SPREAD, "uniform", lambda low, _high: low)


async def fire(engine: Engine, name: str = "DiskFull", severity: str = "critical", query=None, **settings) -> str:
    """The id of the incident."""
    body = alertmanager(name, starts_at=datetime.fromtimestamp(engine.clock.now_ms() / 1000, UTC), **settings)
    for alert in body["alerts"]:
        alert["labels"]["severity"] = severity
    [created] = (await engine.post(body, **(query or {})))["incidents"]
    await engine.settle()
    return str(created["id"])


async def act(engine: Engine, incident: str, what: str, **query) -> None:
    """What a person does."""
    response = await engine.http.post(f"/api/incidents/{incident}/{what}", params={"by": "ana", **query})
    assert response.status == 201, await response.text()
    await engine.settle()


def told(engine: Engine) -> list[str]:
    """The channels that have a message."""
    return [message.channel for message in engine.slack.messages]


def thread(engine: Engine, channel: str = CHANNEL) -> list[str]:
    """What the thread of the channel's only message was told."""
    [message] = [it for it in engine.slack.messages if it.channel == channel]
    return list(message.replies)


@policies(CHAIN)
async def test_each_step_is_told_at_its_time_and_not_before(engine):
    await fire(engine)
    assert told(engine) == [CHANNEL]

    await engine.after(minutes=9)
    assert told(engine) == [CHANNEL]
    await engine.after(minutes=1)
    assert told(engine) == [CHANNEL, LEADS]
    assert LEADS_MENTION in engine.slack.messages[1].text
    await engine.after(minutes=13)
    assert engine.servicenow.incidents == []
    await engine.after(minutes=2)

    [record] = engine.servicenow.incidents
    assert record["number"] in engine.slack.messages[0].shown


@policies(CHAIN)
async def test_what_is_acknowledged_before_a_step_is_never_told_to_later_ones(engine):
    incident = await fire(engine)
    await engine.after(minutes=11)

    await act(engine, incident, "acknowledge")
    await engine.after(hours=5)

    assert told(engine) == [CHANNEL, LEADS]
    assert engine.servicenow.calls == []
    assert all("*Acknowledged*" in message.text for message in engine.slack.messages)


@policies(CHAIN)
async def test_every_destination_has_a_message_of_its_own_that_is_kept_up_to_date(engine):
    await fire(engine)
    await engine.after(minutes=11)

    await fire(engine, is_resolved=True)

    assert told(engine) == [CHANNEL, LEADS]
    assert all("*Resolved*" in message.text for message in engine.slack.messages)


@policies(changed(CHAIN, steps=[{"notify": ["slack"]}, {"notify": ["slack:leads"]}, {"notify": ["servicenow"]}]))
async def test_steps_without_after_follow_at_once(engine):
    await fire(engine)

    assert told(engine) == [CHANNEL, LEADS]
    assert len(engine.servicenow.incidents) == 1


@policies(changed(CHAIN, repeat=2))
async def test_repeat_2_is_two_further_rounds_with_one_message_in_each_channel_and_one_record(engine):
    incident = await fire(engine)
    await engine.after(minutes=12)
    for _ in range(3):
        await engine.after(minutes=40)

    assert sorted(told(engine)) == sorted([CHANNEL, LEADS])
    [record] = engine.servicenow.incidents
    again = [it for it in thread(engine) if "Nobody has acknowledged" in it]
    assert len(again) == 2
    assert "step 1 of 3, round 2" in again[0]
    assert "step 1 of 3, round 3" in again[1]
    assert [LEADS_MENTION in it for it in thread(engine, LEADS) if "Nobody has acknowledged" in it] == [True, True]
    notes = [it for it in engine.servicenow.notes[record["sys_id"]] if "nobody has acknowledged" in it]
    assert len(notes) == 2
    await engine.after(hours=10)
    assert len([it for it in thread(engine) if "Nobody has acknowledged" in it]) == 2
    assert (await engine.detail(incident))["outcome"] == "escalated"


@policies(changed(CHAIN, steps=[{"notify": ["slack"]}], repeat=2))
async def test_a_further_round_begins_a_minute_after_the_last_step_at_the_soonest(engine):
    incident = await fire(engine)
    for _ in range(4):
        await engine.after(minutes=0.5)

    timeline = (await engine.detail(incident))["timeline"]
    began = [datetime.fromisoformat(it["at"]) for it in timeline if it["event"] in {"triggered", "escalating"}]
    assert [round((it - began[0]).total_seconds() / 60) for it in began] == [0, 1, 2]


@policies(changed(CHAIN, steps=[{"notify": ["slack"]}, {"after": "1m", "notify": ["slack:leads"]}], repeat=1))
async def test_what_is_acknowledged_while_slack_is_down_is_shown_afterwards_where_it_belongs(engine):
    engine.slack.faults.order(Fault(kind="500", times=None))
    incident = await fire(engine)
    for _ in range(4):
        await engine.after(minutes=1)
    await act(engine, incident, "acknowledge")

    engine.slack.faults.clear()
    await engine.after(minutes=10)

    assert told(engine) == [CHANNEL]  # it is too late to call the leads
    assert "*Acknowledged*" in engine.slack.messages[0].text


@policies(changed(CHAIN, repeat=1))
async def test_an_acknowledgment_ends_the_rounds(engine):
    incident = await fire(engine)
    await engine.after(minutes=26)

    await act(engine, incident, "acknowledge")
    await engine.after(hours=3)

    assert not any("Nobody has acknowledged" in it for it in thread(engine))


@policies(changed(CHAIN, steps=[*CHAIN["steps"][:2], {**CHAIN["steps"][2], "fields": {"urgency": "1"}}], repeat=1))
async def test_a_record_gets_the_fields_of_its_step(engine):
    await fire(engine)
    await engine.after(minutes=26)

    [record] = engine.servicenow.incidents
    assert record["urgency"] == "1"


NEXT_LEVEL = {
    "name": "levels",
    "steps": [
        {"notify": ["servicenow"], "fields": {"urgency": "3"}},
        {"after": "30m", "notify": ["servicenow"], "fields": {"urgency": "1"}},
    ],
}


@policies(NEXT_LEVEL)
async def test_a_record_that_exists_gets_a_work_note_and_the_fields_of_the_next_step_and_no_second_one(engine):
    await fire(engine)
    [record] = engine.servicenow.incidents
    assert record["urgency"] == "3"

    await engine.after(minutes=30)

    [record] = engine.servicenow.incidents
    assert record["urgency"] == "1"
    [note] = [it for it in engine.servicenow.notes[record["sys_id"]] if "nobody has acknowledged" in it]
    assert "step 2 of 2, round 1" in note


@policies(CHAIN)
async def test_a_step_that_fails_has_the_next_one_come_at_once(engine, logs):
    engine.slack.archived |= {CHANNEL, LEADS}
    await fire(engine)

    assert told(engine) == []
    assert engine.servicenow.incidents != []
    logs.expect_error("sync.failed")


@policies(changed(CHAIN, steps=[{**CHAIN["steps"][0], "on_failure": "wait"}, *CHAIN["steps"][1:]]))
async def test_a_step_that_fails_and_waits_leaves_the_next_one_its_time(engine, logs):
    engine.slack.archived.add(CHANNEL)
    await fire(engine)
    assert told(engine) == []

    await engine.after(minutes=9)
    assert told(engine) == []
    await engine.after(minutes=1)
    assert told(engine) == [LEADS]
    logs.expect_error("sync.failed")


@policies(changed(CHAIN, ack_timeout="4h"))
async def test_an_acknowledgment_that_ends_begins_again_with_the_first_step(engine):
    incident = await fire(engine)
    await act(engine, incident, "acknowledge")
    await engine.settle()

    await engine.after(hours=4)
    assert (await engine.detail(incident))["status"] == "triggered"
    assert "The acknowledgment has ended" in thread(engine)[-1]
    await engine.after(minutes=10)

    assert told(engine) == [CHANNEL, LEADS]


@policies(CHAIN)
async def test_a_snooze_holds_the_clock_of_the_round(engine):
    incident = await fire(engine)
    await engine.after(minutes=4)

    await act(engine, incident, "snooze", minutes=30)
    await engine.after(minutes=35)
    assert told(engine) == [CHANNEL]
    await engine.after(minutes=1)

    assert told(engine) == [CHANNEL, LEADS]


LOW = {"name": "low", "match": ['severity="info"'], "in": ["office"], "steps": [{"notify": ["slack"]}]}


def at(engine: Engine, day: int, hour: int, minute: int = 0) -> None:
    """It is that time in Berlin, in March 2027, before the clocks are set forward."""
    wanted_ms = round(datetime(2027, 3, day, hour - 1, minute, tzinfo=UTC).timestamp() * 1000)
    engine.clock.advance(seconds=(wanted_ms - engine.clock.now_ms()) / 1000)


@policies(LOW, time_intervals=[{"name": "office", "time_intervals": [{"years": ["2020"]}]}])
async def test_what_would_be_held_for_more_than_ten_years_is_told_at_once(engine):
    """Hours whose years are over must not keep alerts from people for ever."""
    await fire(engine, severity="info")

    assert told(engine) == [CHANNEL]


@policies(LOW, time_intervals=[OFFICE])
async def test_what_comes_off_hours_is_held_until_they_begin(engine):
    at(engine, 3, 22)
    incident = await fire(engine, severity="info")
    assert told(engine) == []
    assert (await engine.detail(incident))["timeline"][1]["event"] == "held"

    at(engine, 4, 7, 59)
    await engine.worker.run_due()
    assert told(engine) == []
    at(engine, 4, 8)
    await engine.settle()

    assert told(engine) == [CHANNEL]


@policies(LOW, time_intervals=[OFFICE])
async def test_what_is_held_is_owed_and_shown_with_the_instant_of_its_opening(engine):
    at(engine, 3, 22)
    incident = await fire(engine, severity="info")

    assert (await engine.watchdog.look()).pending == 1
    shown = datetime.fromisoformat((await engine.detail(incident))["held_until"])
    assert shown == datetime(2027, 3, 4, 7, tzinfo=UTC)  # 08:00 in Berlin


@policies(LOW, time_intervals=[OFFICE])
async def test_what_is_resolved_while_it_is_held_is_never_told(engine):
    at(engine, 3, 22)
    await fire(engine, severity="info")

    await fire(engine, severity="info", is_resolved=True)
    at(engine, 4, 12)
    await engine.settle()

    assert told(engine) == []


@policies(
    changed(LOW, steps=[{"notify": ["slack"]}, {"after": "15m", "notify": ["slack:leads"]}]), time_intervals=[OFFICE]
)
async def test_what_came_before_closing_time_still_escalates_after_it(engine):
    at(engine, 3, 17, 50)
    await fire(engine, severity="info")
    assert told(engine) == [CHANNEL]

    at(engine, 3, 18, 5)
    await engine.settle()

    assert told(engine) == [CHANNEL, LEADS]


@policies(CHAIN, LOW, time_intervals=[OFFICE])
async def test_what_is_held_is_told_at_once_when_its_severity_rises_to_a_policy_without_hours(engine):
    at(engine, 3, 22)
    await fire(engine, severity="info")
    assert told(engine) == []

    await fire(engine, severity="critical")

    assert told(engine) == [CHANNEL]


@policies(CHAIN)
async def test_where_no_policy_matches_the_configured_wait_goes_on_meaning_what_it_means(engine):
    await fire(engine, severity="warning")
    await engine.after(minutes=5)

    assert told(engine) == [CHANNEL]
    assert len(engine.servicenow.incidents) == 1


@policies(CHAIN)
async def test_oncall_wait_minutes_moves_the_first_provider_and_takes_along_what_would_come_later(engine):
    await fire(engine, query={"oncall_wait_minutes": "3"})

    await engine.after(minutes=3)

    assert told(engine) == [CHANNEL, LEADS]
    assert len(engine.servicenow.incidents) == 1


@policies(CHAIN)
async def test_oncall_enable_false_takes_the_providers_out(engine):
    await fire(engine, query={"oncall_enable": "false"})

    await engine.after(hours=2)

    assert told(engine) == [CHANNEL, LEADS]
    assert engine.servicenow.calls == []


@policies(CHAIN)
async def test_slack_channel_id_replaces_the_plain_channel_only(engine):
    await fire(engine, query={"slack_channel_id": WEB})
    await engine.after(minutes=11)

    assert told(engine) == [WEB, LEADS]


@policies(CHAIN)
async def test_a_request_may_choose_a_policy_by_its_name(engine):
    await fire(engine, severity="warning", query={"policy": "critical"})
    await engine.after(minutes=11)

    assert told(engine) == [CHANNEL, LEADS]


@policies(CHAIN)
async def test_messages_say_which_step_it_is_and_who_is_next(engine):
    await fire(engine)
    [message] = engine.slack.messages
    assert "step 1 of 3, round 1, next: Slack leads <!date^" in message.shown

    await engine.after(minutes=11)

    assert "step 2 of 3, round 1, next: ServiceNow <!date^" in engine.slack.messages[0].shown


@policies(CHAIN)
async def test_a_person_who_escalates_has_the_next_step_told_now(engine):
    incident = await fire(engine)

    await act(engine, incident, "escalate")
    await engine.settle()
    assert told(engine) == [CHANNEL, LEADS]
    await act(engine, incident, "escalate")
    await engine.settle()

    assert len(engine.servicenow.incidents) == 1


@policies(changed(CHAIN, repeat=1))
async def test_the_ledger_counts_what_is_owed_until_the_last_round_is_told(engine):
    await fire(engine)

    for minutes in (9, 10, 10, 20, 20):
        assert (await engine.watchdog.look()).pending == 1
        await engine.after(minutes=minutes)

    assert (await engine.watchdog.look()).pending == 0


@policies(
    changed(LOW, steps=[{"notify": ["slack"], "mention": LEADS_MENTION}], ack_timeout="4h"), time_intervals=[OFFICE]
)
async def test_what_begins_again_when_its_hours_begin_is_told_in_its_thread(engine):
    at(engine, 3, 16)
    await act(engine, await fire(engine, severity="info"), "acknowledge")
    at(engine, 3, 20, 1)
    await engine.settle()

    at(engine, 4, 8)
    await engine.settle()

    assert LEADS_MENTION in thread(engine)[-1]


@policies(LOW, time_intervals=[OFFICE])
async def test_what_begins_again_off_hours_says_in_its_timeline_that_it_is_held(engine):
    at(engine, 3, 22)
    incident = await fire(engine, severity="info")
    await act(engine, incident, "acknowledge")

    await act(engine, incident, "unacknowledge")

    assert [entry["event"] for entry in (await engine.detail(incident))["timeline"]].count("held") == 2


@policies({"name": "later", "steps": [{"after": "5m", "notify": ["slack"]}]})
async def test_a_first_step_that_comes_later_is_no_hold(engine):
    incident = await fire(engine)

    detail = await engine.detail(incident)

    assert detail["held_until"] is None
    assert "held" not in [entry["event"] for entry in detail["timeline"]]


AT_ONCE = {"name": "all", "steps": [{"notify": ["slack", "servicenow"]}, {"after": "10m", "notify": ["slack:leads"]}]}


@policies(changed(AT_ONCE, ack_timeout="30m", repeat=1))
async def test_what_escalates_without_a_wait_says_so_whenever_a_round_begins(engine):
    incident_id = await fire(engine)
    await engine.settle()
    told = await engine.store.timeline(incident_id)

    async def is_in_order() -> bool:
        incident = await engine.store.get(incident_id)
        return not contradiction(incident, await engine.store.timeline(incident_id))

    assert [it.detail for it in told if it.event is Event.ESCALATING] == ["step 1 of 2, round 1: without a wait"]
    assert await is_in_order()
    for action, minutes in (("acknowledge", 40), ("resolve", 1)):
        response = await engine.http.post(f"/api/incidents/{incident_id}/{action}", params={"by": "ana"})
        assert response.status == 201
        await engine.after(minutes=minutes)
        assert await is_in_order()
    await fire(engine)
    await engine.after(minutes=12)

    assert await is_in_order()
    told = await engine.store.timeline(incident_id)
    assert sum(it.event is Event.ESCALATING for it in told) >= 3
