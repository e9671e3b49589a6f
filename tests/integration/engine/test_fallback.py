"""When the first on-call provider fails, the second one escalates; what both have ends together."""

from datetime import UTC, datetime

import pytest

from tests.integration.conftest import CHANNEL, Engine
from tests.support.claims import claim_due
from versus_py.engine.retries import SPREAD
from versus_py.incidents.partitions import partitions
from versus_py.simulators import Fault
from versus_py.store import keys
from versus_py.tools.samples import alertmanager

DOWN = Fault(kind="down", times=None)
ON_CALL = "<!subteam^S0ONCALL>"
INSTANCE = {"servicenow_other_instance": "infra"}
IN_SLACK = {"slack_channel_id": "C0FALLBACK", "mention": ON_CALL}

to_the_instance = pytest.mark.parametrize("fallback", [INSTANCE])
to_slack = pytest.mark.parametrize("fallback", [IN_SLACK])


@pytest.fixture(autouse=True)
def _no_jitter(monkeypatch):
    monkeypatch.setattr(SPREAD, "uniform", lambda _low, high: high)


def firing(name: str = "DiskFull", *, is_resolved: bool = False):
    return alertmanager(name, starts_at=datetime(2026, 5, 4, tzinfo=UTC), is_resolved=is_resolved)


async def escalated(engine: Engine, minutes: int, **query: str) -> str:
    """The id of an incident whose escalation began so many minutes ago."""
    [created] = (await engine.post(firing(), **query))["incidents"]
    await engine.after(minutes=5)
    for _ in range(minutes):
        await engine.after(minutes=1)
    return str(created["id"])


async def minutes_pass(engine: Engine, minutes: int) -> None:
    for _ in range(minutes):
        await engine.after(minutes=1)


def in_fallback_channel(engine: Engine):
    return [it for it in engine.slack.messages if it.channel == "C0FALLBACK"]


@to_the_instance
async def test_a_first_provider_that_works_is_the_only_one(engine, servicenow_infra):
    incident_id = await escalated(engine, 40)
    await engine.post(firing(is_resolved=True))
    await minutes_pass(engine, 2)

    assert len(engine.servicenow.incidents) == 1
    assert servicenow_infra.calls == []
    assert (await engine.detail(incident_id))["policy"]["fallback"] == "servicenow:infra"


@to_the_instance
async def test_the_second_escalates_when_the_first_has_failed_for_long_enough(engine, servicenow_infra):
    engine.servicenow.faults.order(DOWN)
    incident_id = await escalated(engine, 10)
    assert servicenow_infra.incidents == []
    assert (await engine.detail(incident_id))["outcome"] is None

    await minutes_pass(engine, 6)

    [record] = servicenow_infra.incidents
    assert record["correlation_id"] == incident_id
    detail = await engine.detail(incident_id)
    assert (detail["outcome"], detail["record"]) == ("escalated", record["number"])
    assert f"ServiceNow infra {record['number']}" in [it["detail"] for it in detail["timeline"]]
    shown = engine.slack.messages[0].shown
    assert "escalation to ServiceNow is being retried" in shown
    assert f"ServiceNow infra <{record_url(detail)}|{record['number']}>" in shown
    assert any("Escalated to ServiceNow infra" in reply for reply in engine.slack.messages[0].replies)


def record_url(detail) -> str:
    return str(detail["record_url"]).replace("&", "&amp;")


@to_the_instance
async def test_once_the_first_works_again_both_have_it_and_both_end_with_it(engine, servicenow_infra):
    engine.servicenow.faults.order(DOWN)
    incident_id = await escalated(engine, 20)
    engine.servicenow.faults.clear()
    await minutes_pass(engine, 7)

    [first], [second] = engine.servicenow.incidents, servicenow_infra.incidents
    assert first["correlation_id"] == second["correlation_id"] == incident_id
    shown = engine.slack.messages[0].shown
    assert first["number"] in shown
    assert "ServiceNow infra" in shown
    assert (await engine.detail(incident_id))["outcome"] == "escalated"

    await engine.http.post(f"/api/incidents/{incident_id}/acknowledge?by=ana")
    await engine.settle()
    assert [record["state"] for record in (first, second)] == ["2", "2"]
    await engine.post(firing(is_resolved=True))
    await engine.settle()
    assert [it["state"] for it in (*engine.servicenow.incidents, *servicenow_infra.incidents)] == ["6", "6"]


@to_the_instance
async def test_comments_of_both_records_are_said_in_the_thread(engine, servicenow_infra):
    engine.servicenow.faults.order(DOWN)
    await escalated(engine, 20)
    servicenow_infra.comment(servicenow_infra.incidents[0]["number"], "On it", by="ana")
    await minutes_pass(engine, 6)
    engine.servicenow.faults.clear()
    await minutes_pass(engine, 7)

    engine.servicenow.comment(engine.servicenow.incidents[0]["number"], "Me too", by="ben")
    await minutes_pass(engine, 6)

    said = "\n".join(engine.slack.messages[0].replies)
    assert said.count("On it") == 1
    assert said.count("Me too") == 1


@to_the_instance
async def test_a_first_that_refuses_for_good_is_not_waited_for(engine, servicenow_infra, logs):
    engine.servicenow.faults.order(Fault(kind="400", times=None))

    incident_id = await escalated(engine, 0)

    logs.expect_error("sync.failed")
    assert len(servicenow_infra.incidents) == 1
    assert (await engine.detail(incident_id))["outcome"] == "escalated"
    assert "escalation to ServiceNow failed" in engine.slack.messages[0].shown


@to_the_instance
async def test_it_has_failed_only_when_both_were_given_up(engine, servicenow_infra, logs):
    engine.servicenow.faults.order(Fault(kind="400", times=None))
    servicenow_infra.faults.order(Fault(kind="400", times=None))

    incident_id = await escalated(engine, 0)

    logs.expect_error("sync.failed")
    detail = await engine.detail(incident_id)
    assert detail["outcome"] == "failed"
    assert {name for name, it in detail["deliveries"].items() if it["failed_at"]} == {"servicenow", "servicenow:infra"}
    engine.servicenow.faults.clear()
    servicenow_infra.faults.clear()
    await engine.http.post(f"/api/incidents/{incident_id}/retry?by=ana")
    await minutes_pass(engine, 20)
    assert (await engine.detail(incident_id))["outcome"] == "escalated"
    assert len(engine.servicenow.incidents) == 1
    assert servicenow_infra.incidents == []


@to_the_instance
async def test_acknowledged_before_the_second_is_due_it_is_never_called(engine, servicenow_infra):
    engine.servicenow.faults.order(DOWN)
    incident_id = await escalated(engine, 5)

    await engine.http.post(f"/api/incidents/{incident_id}/acknowledge?by=ana")
    await minutes_pass(engine, 30)

    assert servicenow_infra.calls == []


@to_the_instance
async def test_what_the_breaker_holds_back_falls_back_too(engine, servicenow_infra):
    engine.servicenow.faults.order(DOWN)
    for number in range(12):
        await engine.post(firing(f"Alert{number}"), oncall_wait_minutes="0")
    await minutes_pass(engine, 25)

    assert len(servicenow_infra.incidents) == 12


@to_the_instance
async def test_a_second_wait_begins_with_the_first_provider_again(engine, servicenow_infra):
    engine.servicenow.faults.order(DOWN)
    incident_id = await escalated(engine, 20)
    engine.servicenow.faults.clear()
    await engine.post(firing(is_resolved=True))
    await engine.settle()
    assert servicenow_infra.incidents[0]["state"] == "6"

    await engine.post(firing())
    await minutes_pass(engine, 40)

    [record] = engine.servicenow.incidents
    assert (await engine.detail(incident_id))["record"] == record["number"]
    assert [it["state"] for it in servicenow_infra.incidents] == ["6"]


@to_the_instance
async def test_an_incident_of_the_fallbacks_own_instance_has_none(engine, servicenow_infra):
    servicenow_infra.faults.order(DOWN)
    incident_id = await escalated(engine, 20, servicenow_other_instance="infra")

    assert (await engine.detail(incident_id))["policy"]["fallback"] is None
    assert engine.servicenow.calls == []


@to_slack
@pytest.mark.parametrize("kind", ["down", "lost_reply"])
async def test_a_message_in_the_channel_of_the_fallback_is_not_taken_for_its_own(engine, kind):
    engine.servicenow.faults.order(DOWN)
    incident_id = await escalated(engine, 3, slack_channel_id="C0FALLBACK")
    engine.slack.faults.order(Fault(kind=kind, path="/api/chat.postMessage", times=1))

    await minutes_pass(engine, 20)

    [first, second] = in_fallback_channel(engine)
    assert ON_CALL not in first.shown
    assert ON_CALL in second.shown
    deliveries = (await engine.detail(incident_id))["deliveries"]
    shown = [deliveries[name]["label"] for name in ("slack", "slack:C0FALLBACK")]
    assert shown == [f"message {it.ts} in C0FALLBACK" for it in (first, second)]


@to_slack
async def test_another_channel_is_told_and_somebody_mentioned(engine):
    engine.servicenow.faults.order(DOWN)
    incident_id = await escalated(engine, 10)
    assert in_fallback_channel(engine) == []

    await minutes_pass(engine, 6)

    [message] = in_fallback_channel(engine)
    assert ON_CALL in message.text
    assert "*Escalated*" in message.text
    [own] = [it for it in engine.slack.messages if it.channel == CHANNEL]
    assert ON_CALL not in own.text
    assert "*Escalated*" in own.text
    assert "Slack C0FALLBACK" in own.shown
    detail = await engine.detail(incident_id)
    assert detail["outcome"] == "escalated"
    engine.servicenow.faults.clear()
    await minutes_pass(engine, 7)
    [record] = engine.servicenow.incidents
    assert record["number"] in in_fallback_channel(engine)[0].shown
    await engine.post(firing(is_resolved=True))
    await engine.settle()
    assert "*Resolved*" in in_fallback_channel(engine)[0].text
    assert engine.servicenow.incidents[0]["state"] == "6"
    assert len(in_fallback_channel(engine)) == 1


@to_slack
async def test_a_first_provider_that_works_leaves_the_channel_alone(engine):
    await escalated(engine, 30)
    await engine.post(firing(is_resolved=True))
    await minutes_pass(engine, 2)

    assert in_fallback_channel(engine) == []


@to_the_instance
async def test_nothing_is_left_to_do_when_all_has_ended(engine):
    engine.servicenow.faults.order(DOWN)
    await escalated(engine, 20)
    engine.servicenow.faults.clear()
    await engine.post(firing(is_resolved=True))
    await minutes_pass(engine, 10)

    claims, next_ms = await claim_due(engine.store, now_ms=engine.clock.now_ms(), lease_ms=1000, limit=10)
    assert claims == []
    assert next_ms is None or next_ms > engine.clock.now_ms() + 60_000


@to_the_instance
async def test_a_first_that_was_given_up_is_not_armed_again_while_the_second_is_tried(engine, servicenow_infra, logs):
    engine.servicenow.faults.order(Fault(kind="400", times=None))
    servicenow_infra.faults.order(DOWN)
    incident_id = await escalated(engine, 20)
    entries = len((await engine.detail(incident_id))["timeline"])

    for _ in range(3):
        await engine.watchdog.look()
        await engine.settle()

    logs.expect_error("sync.failed")
    logs.expect_error("escalation.overdue")
    assert engine.measured("versus_escalations_rearmed_total") == 0
    assert len((await engine.detail(incident_id))["timeline"]) == entries


@to_the_instance
async def test_a_second_that_nobody_would_come_back_to_is_armed_again(engine, servicenow_infra, logs):
    engine.servicenow.faults.order(Fault(kind="400", times=None))
    servicenow_infra.faults.order(DOWN)
    await escalated(engine, 20)
    for partition in partitions():
        for name in ("timers", "running", "attempts"):
            await engine.store._redis.delete(keys.in_partition(partition, name))
    servicenow_infra.faults.clear()

    await engine.watchdog.look()
    await engine.after(minutes=2)

    for event in ("sync.failed", "escalation.overdue", "escalation.rearmed"):
        logs.expect_error(event)
    assert len(servicenow_infra.incidents) == 1


@to_the_instance
async def test_a_second_that_was_down_makes_no_record_once_the_first_has_one(engine, servicenow_infra):
    engine.servicenow.faults.order(DOWN)
    servicenow_infra.faults.order(DOWN)
    incident_id = await escalated(engine, 17)
    engine.servicenow.faults.clear()
    await minutes_pass(engine, 6)
    assert (await engine.detail(incident_id))["outcome"] == "escalated"

    servicenow_infra.faults.clear()
    await minutes_pass(engine, 10)

    assert len(engine.servicenow.incidents) == 1
    assert servicenow_infra.incidents == []


@to_slack
async def test_a_channel_that_was_down_calls_nobody_about_what_is_acknowledged(engine):
    engine.servicenow.faults.order(DOWN)
    incident_id = await escalated(engine, 12)
    engine.slack.faults.order(DOWN)
    await minutes_pass(engine, 8)
    await engine.http.post(f"/api/incidents/{incident_id}/acknowledge?by=ana")

    engine.slack.faults.clear()
    await minutes_pass(engine, 15)

    assert in_fallback_channel(engine) == []
    assert "Acknowledged" in engine.slack.messages[0].shown


async def time_passes(engine: Engine, *, seconds: int) -> None:
    """With a clock that moves between any two looks."""
    for _ in range(seconds * 5):
        claims, _ = await claim_due(
            engine.store, now_ms=engine.clock.now_ms(), lease_ms=engine.worker.lease_ms, limit=32
        )
        for claim in claims:
            await engine.worker._work(claim)
        engine.clock.advance(ms=200)


@to_the_instance
async def test_a_second_that_has_it_and_then_refuses_is_given_up_once(engine, servicenow_infra, logs):
    engine.servicenow.faults.order(DOWN)
    incident_id = await escalated(engine, 20)
    engine.servicenow.faults.clear()
    await minutes_pass(engine, 7)
    servicenow_infra.faults.order(Fault(kind="400", times=None))

    await engine.post(firing(is_resolved=True))
    await time_passes(engine, seconds=20)

    logs.expect_error("sync.failed")
    failed = [it for it in (await engine.detail(incident_id))["timeline"] if it["event"] == "failed"]
    assert len(failed) == 1


@to_slack
async def test_a_channel_that_has_it_and_is_then_archived_is_given_up_once(engine, logs):
    engine.servicenow.faults.order(DOWN)
    incident_id = await escalated(engine, 17)
    engine.slack.archived = {"C0FALLBACK"}

    await engine.http.post(f"/api/incidents/{incident_id}/acknowledge?by=ana")
    await time_passes(engine, seconds=20)

    logs.expect_error("sync.failed")
    failed = [it for it in (await engine.detail(incident_id))["timeline"] if it["event"] == "failed"]
    assert len(failed) == 1


@to_the_instance
async def test_a_failure_of_an_earlier_escalation_does_not_call_the_second_in_the_next(engine, servicenow_infra, logs):
    engine.servicenow.faults.order(Fault(kind="400", times=None))
    await escalated(engine, 2)
    await engine.post(firing(is_resolved=True))
    await engine.settle()
    [before] = servicenow_infra.incidents
    before["state"] = "7"  # closed, so that it would take another one
    engine.servicenow.faults.clear()

    await engine.post(firing())
    await engine.settle()
    engine.clock.advance(minutes=5)
    await time_passes(engine, seconds=20)

    logs.expect_error("sync.failed")
    assert len(engine.servicenow.incidents) == 1
    assert servicenow_infra.incidents == [before]


@to_the_instance
async def test_a_sync_under_way_is_not_taken_for_the_escalation_that_begins_meanwhile(engine, servicenow_infra):
    incident_id = await escalated(engine, 3)
    await engine.http.post(f"/api/incidents/{incident_id}/acknowledge?by=ana")
    engine.clock.advance(seconds=10)
    claims, _ = await claim_due(engine.store, now_ms=engine.clock.now_ms(), lease_ms=engine.worker.lease_ms, limit=32)
    [claim] = [it for it in claims if it.target == "servicenow"]
    acknowledged = await engine.store.get(claim.incident_id)
    assert acknowledged
    delivery = await engine.worker._call(claim, acknowledged)

    engine.clock.advance(seconds=1)
    await engine.http.post(f"/api/incidents/{incident_id}/unacknowledge?by=ben")
    await engine.http.post(f"/api/incidents/{incident_id}/escalate?by=ben")
    engine.clock.advance(seconds=1)
    completed = engine.worker._done(claim, acknowledged, delivery)
    assert await engine.store.complete(claim, completed, now_ms=engine.clock.now_ms())

    assert (await engine.detail(incident_id))["outcome"] is None
    engine.servicenow.faults.order(DOWN)
    await minutes_pass(engine, 30)
    [record] = servicenow_infra.incidents
    detail = await engine.detail(incident_id)
    assert (detail["outcome"], detail["record"]) == ("escalated", record["number"])
    assert any("Escalated to ServiceNow infra as" in reply for reply in engine.slack.messages[0].replies)
