"""In what incidents and their records do not agree: looked at, and nothing is changed."""

import pytest

from tests.integration.conftest import Engine
from tests.integration.targets.test_records import group
from tests.integration.targets.test_slack_thread import act
from versus_py.simulators.servicenow import RecordOrder
from versus_py.systems import registered
from versus_py.tools.record_diff import Difference, record_differences

on = pytest.mark.parametrize("servicenow_settings", [{"events": {"token": "events-token-0123456789"}}])


async def escalated(engine: Engine) -> str:
    answer = await engine.post(group("DiskFull"))
    await engine.after(minutes=5)
    return str(answer["incidents"][0]["id"])


def by_ben(engine: Engine, do: str) -> None:
    [record] = engine.servicenow.incidents
    engine.servicenow.act(RecordOrder(record=record["number"], do=do, by="ben"))


async def differences(engine: Engine) -> list[Difference]:
    config = engine.config.model_copy(update={"redis": engine.redis_server.config})
    return await record_differences(config, registered())


@on
async def test_a_record_that_is_as_its_incident_is_not_listed(engine):
    incident_id = await escalated(engine)
    assert await differences(engine) == []
    await act(engine, incident_id, "acknowledge")
    await engine.settle()

    assert await differences(engine) == []


@on
async def test_what_somebody_did_there_and_nobody_has_told_is_listed_with_who_did_it(engine):
    incident_id = await escalated(engine)
    by_ben(engine, "resolve")
    calls = len(engine.servicenow.calls)

    [found] = await differences(engine)

    assert (found.incident_id, found.record) == (incident_id, "INC0010001")
    assert found.differs == "triggered here, resolved there; changed there, not applied here yet: state"
    assert found.changed_by == "Ben Okafor (admin)"
    assert all(call.startswith("GET") for call in engine.servicenow.calls[calls:])
    assert (await engine.detail(incident_id))["status"] == "triggered"


@on
async def test_a_record_that_is_gone_is_listed(engine):
    await escalated(engine)
    by_ben(engine, "delete")

    [found] = await differences(engine)

    assert "gone" in found.differs


@on
async def test_a_record_whose_end_could_not_be_written_is_listed(engine, logs):
    incident_id = await escalated(engine)
    engine.servicenow.abort_rule = "Keep open"
    await act(engine, incident_id, "resolve")
    await engine.settle()

    [found] = await differences(engine)

    logs.expect_error("sync.failed")
    assert (found.incident_id, found.differs) == (incident_id, "resolved here, new there")


@pytest.mark.parametrize(
    "servicenow_settings", [{"events": {"token": "events-token-0123456789"}, "on_resolve": "nothing"}]
)
async def test_a_record_that_stays_open_by_configuration_is_not_listed(engine):
    incident_id = await escalated(engine)
    await act(engine, incident_id, "resolve")
    await engine.settle()

    assert await differences(engine) == []


@on
async def test_a_record_of_an_incident_that_is_over_is_not_listed_when_it_is_gone(engine):
    incident_id = await escalated(engine)
    await act(engine, incident_id, "resolve")
    await engine.settle()
    by_ben(engine, "delete")

    assert await differences(engine) == []


async def test_without_tickets_nothing_is_compared(engine):
    await escalated(engine)
    by_ben(engine, "resolve")

    assert await differences(engine) == []
