"""What was given up: it is announced on the other side, listed, and tried again when somebody asks for that."""

from datetime import UTC, datetime

import pytest

from tests.integration.conftest import CHANNEL, Engine
from versus_py.simulators import Fault
from versus_py.tools.samples import alertmanager


def firing(name: str = "DiskFull"):
    return alertmanager(name, starts_at=datetime(2026, 5, 4, tzinfo=UTC), is_resolved=False)


async def given_up(engine: Engine, **query: str):
    response = await engine.http.get("/api/incidents", params={"failed": "true", **query})
    assert response.status == 200
    return await response.json()


async def retry(engine: Engine, incident_id: str):
    return await engine.http.post(f"/api/incidents/{incident_id}/retry", json={"by": "ana"})


@pytest.fixture
async def refused(engine, logs) -> str:
    """The id of an incident whose escalation was given up."""
    engine.servicenow.faults.order(Fault(kind="400", times=None))
    [created] = (await engine.post(firing()))["incidents"]
    await engine.after(minutes=5)
    logs.expect_error("sync.failed")
    return str(created["id"])


async def test_what_was_given_up_is_listed_with_its_target_time_and_reason(engine, refused):
    await engine.post(firing("Other"), oncall_enable="false")

    page = await given_up(engine)

    [found] = page["incidents"]
    assert found["id"] == refused
    assert found["outcome"] == "failed"
    assert found["failed"]["target"] == "servicenow"
    assert found["failed"]["since"] == (await engine.detail(refused))["deliveries"]["servicenow"]["failed_at"]
    assert "ServiceNow answered 400" in found["failed"]["error"]
    assert page["next"] is None


async def test_a_retry_makes_the_record_and_the_message_shows_it(engine, refused):
    engine.servicenow.faults.clear()

    response = await retry(engine, refused)
    assert response.status == 201
    assert (await response.json())["outcome"] is None
    assert (await given_up(engine))["incidents"] == []
    await engine.settle()

    [record] = engine.servicenow.incidents
    assert record["number"] in engine.slack.messages[0].shown
    detail = await engine.detail(refused)
    assert detail["outcome"] == "escalated"
    [entry] = [it for it in detail["timeline"] if it["event"] == "retry"]
    assert (entry["detail"], entry["by"]) == ("ServiceNow", "ana")
    assert (await given_up(engine))["incidents"] == []
    assert (await retry(engine, refused)).status == 200


async def test_a_retry_that_is_refused_again_is_given_up_again(engine, refused, logs):
    await retry(engine, refused)
    await engine.settle()

    logs.expect_error("sync.failed")
    [found] = (await given_up(engine))["incidents"]
    assert found["id"] == refused


async def test_a_retry_has_all_the_time_that_the_first_attempts_had(engine, logs):
    engine.servicenow.faults.order(Fault(kind="503", times=None))
    [created] = (await engine.post(firing()))["incidents"]
    for _ in range(30):
        await engine.after(hours=1)
    assert "failing for" in logs.expect_error("sync.failed")["error"]

    await retry(engine, created["id"])
    for _ in range(10):
        await engine.after(hours=1)

    delivery = (await engine.detail(created["id"]))["deliveries"]["servicenow"]
    assert delivery["failed_at"] is None
    assert delivery["failing_since"] is not None
    engine.servicenow.faults.clear()
    await engine.after(hours=1)
    assert len(engine.servicenow.incidents) == 1


async def test_a_retry_looks_whether_what_was_given_up_was_done_after_all(engine, logs):
    """The post that nobody answered was made."""
    engine.slack.faults.order(Fault(kind="lost_reply", times=1, path="/api/chat.postMessage"))
    engine.slack.faults.order(Fault(kind="503", times=None))
    [created] = (await engine.post(firing(), oncall_enable="false"))["incidents"]
    for _ in range(30):
        await engine.after(hours=1)
    logs.expect_error("sync.failed")
    engine.slack.faults.clear()

    await retry(engine, created["id"])
    await engine.settle()

    assert len(engine.slack.messages) == 1
    assert (await given_up(engine))["incidents"] == []


async def test_everything_that_was_given_up_can_be_tried_again_at_once(engine, logs):
    engine.servicenow.faults.order(Fault(kind="400", times=None))
    for number in range(60):
        await engine.post(firing(f"Alert{number}"), oncall_wait_minutes="0")
    await engine.settle()
    logs.expect_error("sync.failed")
    engine.servicenow.faults.clear()

    response = await engine.http.post("/api/retry", json={"by": "ana"})
    assert response.status == 201
    assert await response.json() == {"retried": 60, "more": False}
    await engine.settle()

    assert len(engine.servicenow.incidents) == 60
    again = await engine.http.post("/api/retry", json={"by": "ana"})
    assert (again.status, await again.json()) == (200, {"retried": 0, "more": False})


async def test_one_request_tries_only_so_many_again_and_says_that_there_are_more(engine, logs, monkeypatch):
    monkeypatch.setattr("versus_py.engine.lifecycle.RETRIED_TOGETHER", 2)
    monkeypatch.setattr("versus_py.engine.lifecycle.RETRIES_MAX", 4)
    engine.servicenow.faults.order(Fault(kind="400", times=None))
    for number in range(5):
        await engine.post(firing(f"Alert{number}"), oncall_wait_minutes="0")
    await engine.settle()
    logs.expect_error("sync.failed")

    answers = [await (await engine.http.post("/api/retry?by=ana")).json() for _ in range(2)]

    assert answers == [{"retried": 4, "more": True}, {"retried": 1, "more": False}]


async def test_the_list_of_what_was_given_up_has_pages(engine, logs):
    engine.servicenow.faults.order(Fault(kind="400", times=None))
    created = [(await engine.post(firing(f"Alert{it}"), oncall_wait_minutes="0"))["incidents"][0] for it in range(5)]
    await engine.settle()
    logs.expect_error("sync.failed")

    first = await given_up(engine, limit="3")
    second = await given_up(engine, limit="3", cursor=first["next"])

    ids = [it["id"] for it in first["incidents"] + second["incidents"]]
    assert len(first["incidents"]) == 3
    assert sorted(ids) == sorted(it["id"] for it in created)
    assert second["next"] is None


@pytest.mark.parametrize("query", ["failed=maybe", "failed=true&status=resolved", "failed=true&cursor=x"])
async def test_a_list_that_cannot_be_made_is_a_bad_request(engine, query):
    assert (await engine.http.get(f"/api/incidents?{query}")).status == 400


async def test_an_incident_that_nobody_knows_cannot_be_tried_again(engine):
    assert (await retry(engine, "0123456789abcdef0123-0")).status == 404


async def test_an_escalation_that_was_given_up_is_said_in_the_message_and_its_thread(engine, refused):
    [message] = engine.slack.messages

    assert "escalation to ServiceNow failed: ServiceNow answered 400" in message.shown
    assert any("Escalation to ServiceNow failed" in reply for reply in message.replies)


async def test_a_record_that_there_is_says_once_that_slack_was_given_up(engine, logs):
    await engine.post(firing())
    await engine.after(minutes=6)
    [record] = engine.servicenow.incidents
    engine.slack.archived.add(CHANNEL)

    for _ in range(2):
        await engine.post(firing())
        await engine.settle()

    assert "is_inactive" in logs.expect_error("sync.failed")["error"]
    [note] = engine.servicenow.notes[record["sys_id"]]
    assert "not tried any more: Slack: Slack says is_inactive" in note


async def test_a_new_record_says_that_slack_was_given_up(engine, logs):
    engine.slack.archived.add(CHANNEL)

    await engine.post(firing())
    await engine.settle()

    logs.expect_error("sync.failed")
    [record] = engine.servicenow.incidents
    [note] = engine.servicenow.notes[record["sys_id"]]
    assert "not tried any more: Slack: Slack says is_archived" in note


async def test_a_channel_that_is_given_up_is_not_tried_again_because_of_that(engine, logs):
    """What its failure changes in the incident is no change to show."""
    engine.slack.archived.add(CHANNEL)

    await engine.post(firing(), oncall_enable="false")
    await engine.settle()

    logs.expect_error("sync.failed")
    assert engine.slack.calls.count("chat.postMessage") == 1


async def test_slack_that_was_given_up_and_works_again_shows_how_it_stands(engine, logs):
    engine.slack.archived.add(CHANNEL)
    [created] = (await engine.post(firing()))["incidents"]
    await engine.settle()
    logs.expect_error("sync.failed")
    engine.slack.archived.clear()

    await retry(engine, created["id"])
    await engine.settle()

    [record] = engine.servicenow.incidents
    assert record["number"] in engine.slack.messages[0].shown
    assert (await given_up(engine))["incidents"] == []


async def test_a_second_escalation_has_all_the_time_that_the_first_one_had(engine):
    """What failed a moment before somebody took it does not count against the next one, days later."""
    engine.servicenow.faults.order(Fault(kind="503", times=None))
    [created] = (await engine.post(firing()))["incidents"]
    await engine.after(minutes=5)
    url = f"/api/incidents/{created['id']}"
    await engine.http.post(f"{url}/acknowledge?by=ana")
    engine.servicenow.faults.clear()
    await engine.after(hours=30)
    await engine.http.post(f"{url}/unacknowledge?by=ana")
    await engine.settle()
    engine.servicenow.faults.order(Fault(kind="503", times=None))

    await engine.after(minutes=6)

    assert (await engine.detail(created["id"]))["deliveries"]["servicenow"]["failed_at"] is None
    engine.servicenow.faults.clear()
    await engine.after(minutes=10)
    assert (await engine.detail(created["id"]))["outcome"] == "escalated"
