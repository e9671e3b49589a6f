"""A ServiceNow or a Slack that is down: left alone but for probes, and all that waited follows when it is back."""

from datetime import UTC, datetime

import pytest

from tests.integration.conftest import Engine
from versus_py.engine.breaker import OPENS_AFTER
from versus_py.engine.retries import SPREAD
from versus_py.simulators import Fault
from versus_py.tools.samples import alertmanager

pytestmark = pytest.mark.orderly

SOME = 20
DOWN = Fault(kind="down", times=None)


@pytest.fixture(autouse=True)
def _no_jitter(monkeypatch):
    monkeypatch.setattr(SPREAD, "uniform", lambda low, _high: low)


@pytest.fixture
def slack_settings():
    """Every incident has a message of its own."""
    return {"storm": {"threshold": 1000}}


def firing(name: str):
    return alertmanager(name, starts_at=datetime(2026, 5, 4, tzinfo=UTC), is_resolved=False)


async def many(engine: Engine, **query: str) -> list[str]:
    answers = [await engine.post(firing(f"Alert{number}"), **query) for number in range(SOME)]
    return [answer["incidents"][0]["id"] for answer in answers]


def opened(logs) -> list[str]:
    return [line["system"] for line in logs if line["event"] == "breaker.opened"]


@pytest.mark.parametrize(
    "kind", ["down", "html200", *(pytest.param(it, marks=pytest.mark.long) for it in ("503", "html503"))]
)
async def test_a_servicenow_that_is_down_gets_probes_and_not_everybodys_attempts(engine, logs, kind):
    engine.servicenow.faults.order(Fault(kind=kind, times=None))
    await many(engine, oncall_wait_minutes="0")
    for _ in range(10):
        await engine.after(minutes=1)
    attempts = [line for line in logs if line["event"] == "sync.retry"]

    assert opened(logs) == ["servicenow"]
    # Those that were on their way when it opened, and then a probe a minute, or somewhat more.
    assert len(attempts) <= SOME + 20
    for _ in range(10):
        await engine.after(minutes=1)
    more = [line for line in logs if line["event"] == "sync.retry"][len(attempts) :]
    assert 5 <= len(more) <= 15


async def test_all_that_was_held_back_follows_when_it_is_up_again_each_once(engine, logs):
    engine.servicenow.faults.order(DOWN)
    ids = await many(engine, oncall_wait_minutes="0")
    await engine.after(minutes=30)
    engine.servicenow.faults.clear()

    for _ in range(5):
        await engine.after(minutes=1)

    assert sorted(record["correlation_id"] for record in engine.servicenow.incidents) == sorted(ids)
    assert [line["system"] for line in logs if line["event"] == "breaker.closed"] == ["servicenow"]
    for incident_id in ids:
        detail = await engine.detail(incident_id)
        assert detail["outcome"] == "escalated"
        assert detail["deliveries"]["servicenow"]["failing_since"] is None


async def test_what_is_held_back_says_so_and_counts_no_attempt(engine, logs):
    engine.servicenow.faults.order(DOWN)
    await many(engine, oncall_wait_minutes="0")
    await engine.settle()
    assert opened(logs) == ["servicenow"]

    [created] = (await engine.post(firing("Late"), oncall_wait_minutes="0"))["incidents"]
    await engine.worker.run_due()
    engine.clock.advance(seconds=2)
    await engine.settle()

    delivery = (await engine.detail(created["id"]))["deliveries"]["servicenow"]
    assert delivery["attempts"] <= 1
    assert delivery["failing_since"] is not None
    assert "ServiceNow cannot be reached" in delivery["error"]
    [message] = [it for it in engine.slack.messages if "Late" in it.text]
    assert "is being retried: ServiceNow cannot be reached" in message.shown


async def test_time_that_it_is_held_back_counts_for_giving_up(engine, logs):
    engine.servicenow.faults.order(DOWN)
    ids = await many(engine, oncall_wait_minutes="0")
    for _ in range(26):
        await engine.after(hours=1)

    assert "failing for" in logs.expect_error("sync.failed")["error"]
    for incident_id in ids:
        assert (await engine.detail(incident_id))["outcome"] == "failed"


async def test_refusals_and_rate_limits_open_nothing(engine, logs):
    engine.servicenow.faults.order(Fault(kind="429", times=None, retry_after=1))
    await many(engine, oncall_wait_minutes="0")
    await engine.after(minutes=2)
    engine.servicenow.faults.clear()
    engine.servicenow.faults.order(Fault(kind="400", times=None))
    await engine.after(minutes=2)

    logs.expect_error("sync.failed")
    assert opened(logs) == []


async def test_an_instance_that_is_down_stops_no_other(engine, servicenow_infra, logs):
    engine.servicenow.faults.order(DOWN)
    await many(engine, oncall_wait_minutes="0")
    await engine.settle()
    assert opened(logs) == ["servicenow"]

    await engine.post(firing("Elsewhere"), oncall_wait_minutes="0", servicenow_other_instance="infra")
    await engine.settle()

    assert len(servicenow_infra.incidents) == 1


async def test_a_slack_that_is_down_stops_no_escalation_and_gets_every_message_later(engine, logs):
    engine.slack.faults.order(DOWN)
    await many(engine)
    await engine.after(minutes=6)
    assert opened(logs) == ["slack"]
    assert len(engine.servicenow.incidents) == SOME
    engine.slack.faults.clear()

    for _ in range(6):
        await engine.after(minutes=1)

    assert len(engine.slack.messages) == SOME
    assert all("*Escalated*" in message.text for message in engine.slack.messages)


async def test_an_acknowledgment_during_the_outage_is_no_failure_afterwards(engine, logs):
    engine.servicenow.faults.order(DOWN)
    ids = await many(engine, oncall_wait_minutes="0")
    await engine.settle()
    for incident_id in ids:
        await engine.http.post(f"/api/incidents/{incident_id}/acknowledge?by=ana")
    engine.servicenow.faults.clear()
    for _ in range(5):
        await engine.after(minutes=1)

    assert engine.servicenow.incidents == []
    for incident_id in ids:
        assert (await engine.detail(incident_id))["outcome"] == "acknowledged"
    assert len(ids) > OPENS_AFTER


async def test_what_needs_no_request_any_more_neither_waits_nor_says_that_it_is_up(engine, logs):
    engine.servicenow.faults.order(DOWN)
    await many(engine, oncall_wait_minutes="0")
    await engine.settle()
    [created] = (await engine.post(firing("Late"), oncall_wait_minutes="0"))["incidents"]
    await engine.worker.run_due()
    assert (await engine.detail(created["id"]))["deliveries"]["servicenow"]["failing_since"]

    await engine.http.post(f"/api/incidents/{created['id']}/acknowledge?by=ana")
    for _ in range(3):
        await engine.after(minutes=1)

    delivery = (await engine.detail(created["id"]))["deliveries"]["servicenow"]
    assert (delivery["failing_since"], delivery["error"]) == (None, None)
    assert opened(logs) == ["servicenow"]
    assert [line for line in logs if line["event"] == "breaker.closed"] == []


POISONED = 12


@pytest.fixture
def servicenow_settings():
    return {"fields": {"short_description": "{{ incident.title }}"}}


@pytest.mark.parametrize("kind", ["500", "late500"])
async def test_records_that_a_rule_refuses_keep_no_other_waiting(engine, logs, kind):
    engine.servicenow.faults.order(Fault(kind=kind, method="POST", text="Poison", times=None))
    for number in range(POISONED):
        await engine.post(firing(f"Poison{number}"), oncall_wait_minutes="0")
    await engine.settle()

    await engine.post(firing("Healthy"), oncall_wait_minutes="0")
    await engine.worker.run_due()

    assert "Healthy on db-7" in {record["short_description"] for record in engine.servicenow.incidents}
    assert opened(logs) == []
    await engine.after(minutes=30)
    assert [it for it in logs if it["event"] == "breaker.opened"] == []


async def test_updates_that_a_rule_refuses_open_no_circuit(engine, logs):
    ids = await many(engine, oncall_wait_minutes="0")
    await engine.settle()
    engine.servicenow.faults.order(Fault(kind="500", method="PATCH", times=None))
    for incident_id in ids:
        await engine.http.post(f"/api/incidents/{incident_id}/acknowledge?by=ana")
    await engine.settle()
    assert opened(logs) == []

    engine.servicenow.faults.clear()
    await engine.after(minutes=6)
    assert {record["state"] for record in engine.servicenow.incidents} == {"2"}


@pytest.mark.parametrize("fault", [{"kind": "500", "method": "GET"}, {"kind": "502"}, {"kind": "504"}, {"kind": "503"}])
async def test_a_read_that_fails_and_what_stands_before_an_instance_are_an_outage(engine, logs, fault):
    engine.servicenow.faults.order(Fault(times=None, **fault))
    await many(engine, oncall_wait_minutes="0")
    for _ in range(3):
        await engine.after(minutes=1)

    assert opened(logs) == ["servicenow"]


async def test_reads_that_fail_for_some_incidents_keep_a_new_one_waiting_for_the_next_probe_at_most(engine, logs):
    poisoned = await many(engine, oncall_wait_minutes="0")
    await engine.settle()
    engine.servicenow.faults.order(Fault(kind="500", method="GET", path="/api/now/table/incident/", times=None))
    for incident_id in poisoned:
        await engine.http.post(f"/api/incidents/{incident_id}/acknowledge?by=ana")
    await engine.worker.run_due()
    assert opened(logs) == ["servicenow"]
    await engine.post(firing("Healthy"), oncall_wait_minutes="0")

    await engine.settle()

    assert "Healthy on db-7" in {record["short_description"] for record in engine.servicenow.incidents}


@pytest.mark.parametrize("servicenow_settings", [{"fields": {"cmdb_ci": "{{ labels.instance }}"}}])
async def test_a_table_of_names_that_fails_keeps_no_record_waiting(engine, logs):
    engine.servicenow.faults.order(Fault(kind="503", path="/api/now/table/cmdb_ci", times=None))
    ids = await many(engine, oncall_wait_minutes="0")

    await engine.settle()

    assert sorted(record["correlation_id"] for record in engine.servicenow.incidents) == sorted(ids)
    assert opened(logs) == []
