"""The column that a record is found by, and tables that lack columns of an incident."""

from typing import Any

import pytest

from tests.integration.conftest import Engine, make_turns
from tests.integration.targets.test_records import group, resolve
from versus_py.incidents.copies import replace
from versus_py.incidents.model import Actor
from versus_py.incidents.transitions import resolve as resolve_incident
from versus_py.simulators import Fault
from versus_py.targets.servicenow.target import ServiceNowTarget

TITLED = {"key_field": "short_description", "fields": {"short_description": "{{ incident.title }}"}}


async def escalated(engine: Engine) -> dict[str, str]:
    await engine.post(group("DiskFull"))
    await engine.after(minutes=6)
    [record] = engine.servicenow.incidents
    return record


async def incident_id(engine: Engine) -> str:
    answer = await (await engine.http.get("/api/incidents")).json()
    [incident] = answer["incidents"]
    return str(incident["id"])


@pytest.mark.parametrize(
    ("servicenow_settings", "holds"),
    [
        ({"key_field": "short_description"}, "Incident {id}"),
        (TITLED, "DiskFull is bad [{id}]"),
        ({"key_field": "correlation_display"}, "{id}"),
        ({"key_field": "description", "fields": {"description": "{{ 'x' * 5000 }}"}}, "… [{id}]"),
    ],
)
async def test_a_record_that_an_unanswered_request_made_is_found_by_its_key(engine, servicenow_settings, holds):
    engine.servicenow.absent_columns = {"correlation_id"}
    engine.servicenow.faults.order(Fault(kind="lost_reply", method="POST"))

    record = await escalated(engine)
    await engine.after(minutes=5)

    assert len(engine.servicenow.incidents) == 1
    held = record[servicenow_settings["key_field"]]
    assert held.endswith(holds.format(id=await incident_id(engine)))
    assert len(held) <= 4000
    assert "correlation_id" not in record


PLAIN = {
    **TITLED,
    "lifecycle": "plain",
    "fields": {"short_description": "{{ incident.title }}", "description": "open"},
    "resolve_fields": {"description": "over"},
}


@pytest.mark.parametrize("servicenow_settings", [PLAIN])
async def test_the_key_is_not_written_again_where_a_plain_record_is_written_anew(engine):
    record = await escalated(engine)
    key = record["short_description"]
    await engine.post(group(resolved=("DiskFull",)))
    await engine.after(minutes=1)

    payload = group("DiskFull")
    payload["alerts"][0]["annotations"]["summary"] = "Another title"
    await engine.post(payload)
    await engine.after(minutes=6)

    assert (record["short_description"], record["description"]) == (key, "open")


async def test_a_table_that_ignores_the_key_is_told_where_people_look(engine, logs):
    engine.servicenow.absent_columns = {"correlation_id"}

    record = await escalated(engine)

    [message] = engine.slack.messages
    said = f"correlation_id of {record['number']} does not hold the incident's id"
    assert said in message.shown
    assert "set oncall.servicenow.key_field" in message.shown
    assert "servicenow.key_not_kept" in [it["event"] for it in logs]


@pytest.mark.parametrize(
    ("absent", "said"),
    [({"close_code"}, "has no close_code"), ({"state", "close_code"}, "has no state and no close_code")],
)
@pytest.mark.parametrize("servicenow_settings", [{"resolve_fields": {"description": "over"}}])
async def test_a_table_without_a_lifecycle_is_treated_as_plain_and_says_so(engine, absent, said, logs):
    engine.servicenow.absent_columns = absent
    record = await escalated(engine)

    await resolve(engine, comment="Replaced")

    assert record.get("state", "1") == "1"
    assert (record["description"], record["close_notes"]) == ("over", "")
    assert engine.servicenow.notes == {}
    [message] = engine.slack.messages
    assert f"table incident {said}: it is treated as lifecycle plain" in message.shown
    assert [it["event"] for it in logs].count("servicenow.table_is_plain") == 1


@pytest.mark.parametrize("servicenow_settings", [{"resolve_fields": {"description": "over"}}])
async def test_a_table_without_a_lifecycle_stays_plain_for_its_records_after_a_restart(engine, config, session, clock):
    engine.servicenow.absent_columns = {"close_code"}
    record = await escalated(engine)
    restarted = ServiceNowTarget(config.oncall.servicenow, clock=clock, session=session, turns=make_turns())
    incident = await engine.store.get(await incident_id(engine))
    resolved = _resolved(incident, engine)

    await restarted.sync(resolved, attempt=1)

    assert (record["state"], record["description"]) == ("1", "over")


def _resolved(incident: Any, engine: Engine) -> Any:
    change = resolve_incident(incident, Actor("ana"), engine.clock.now_ms())
    assert change
    return replace(change.incident, deliveries=incident.deliveries)
