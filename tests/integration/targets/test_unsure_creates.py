"""A create that failed or was not answered: looked for within seconds, and sent again as soon as that is safe."""

from datetime import UTC, datetime

import aiohttp
import pytest

from tests.integration.conftest import Engine
from versus_py.simulators import Fault
from versus_py.simulators.servicenow.login import CLIENT_ID, CLIENT_SECRET
from versus_py.tools.samples import alertmanager

CREATE = "POST /api/now/table/incident"


@pytest.fixture
def settings():
    return {"alert": {"slack": {"enable": False}}}


async def escalated(engine: Engine, *faults: Fault) -> str:
    """An incident that escalates at once, and meets these; its id."""
    for fault in faults:
        engine.servicenow.faults.order(fault)
    payload = alertmanager("DiskFull", starts_at=datetime(2026, 5, 4, tzinfo=UTC), is_resolved=False)
    posted = await engine.post(payload, oncall_wait_minutes="0")
    await engine.worker.run_due()
    return str(posted["incidents"][0]["id"])


async def seconds_pass(engine: Engine, seconds: int) -> None:
    for _ in range(seconds):
        engine.clock.advance(seconds=1)
        await engine.worker.run_due()


def creates(engine: Engine) -> int:
    return engine.servicenow.calls.count(CREATE)


@pytest.fixture
def failing():
    return {"method": "POST", "path": "/api/now/table/incident"}


async def test_a_create_that_a_rule_ended_is_sent_again_within_seconds(engine, failing):
    incident_id = await escalated(engine, Fault(kind="500", **failing))
    assert engine.servicenow.incidents == []

    await seconds_pass(engine, 15)

    assert [it["correlation_id"] for it in engine.servicenow.incidents] == [incident_id]
    assert (await engine.detail(incident_id))["outcome"] == "escalated"


@pytest.mark.parametrize("kind", ["late500", "lost_reply", "truncated"])
async def test_a_record_that_was_made_all_the_same_is_adopted_within_seconds(engine, failing, kind):
    incident_id = await escalated(engine, Fault(kind=kind, **failing))

    await seconds_pass(engine, 5)

    assert (await engine.detail(incident_id))["outcome"] == "escalated"
    await seconds_pass(engine, 70)
    assert len(engine.servicenow.incidents) == creates(engine) == 1


@pytest.mark.parametrize("kind", ["502", "503", "504", "html503", "html200", "down"])
async def test_a_create_that_may_still_be_at_work_is_looked_for_and_not_sent_again_before_a_minute(
    engine, failing, kind
):
    incident_id = await escalated(engine, Fault(kind=kind, **failing))
    asked = len(engine.servicenow.calls)

    await seconds_pass(engine, 59)
    assert len(engine.servicenow.calls) - asked >= 3
    assert engine.servicenow.incidents == []

    await seconds_pass(engine, 5)
    assert [it["correlation_id"] for it in engine.servicenow.incidents] == [incident_id]
    assert (await engine.detail(incident_id))["outcome"] == "escalated"


async def test_a_record_that_appears_late_is_adopted_also_when_somebody_has_acknowledged(engine, session, failing):
    incident_id = await escalated(engine, Fault(kind="504", **failing))
    await seconds_pass(engine, 5)
    await engine.http.post(f"/api/incidents/{incident_id}/acknowledge?by=ana")
    await seconds_pass(engine, 5)

    fields = {"correlation_id": incident_id, "short_description": "it was at work for half a minute"}
    url = f"{engine.config.oncall.servicenow.instance_url}/api/now/table/incident"
    instance = engine.config.oncall.servicenow
    auth = aiohttp.encode_basic_auth(instance.username, instance.password.get_secret_value())
    async with session.post(url, json=fields, headers={"Authorization": auth}) as response:
        assert response.status == 201
    await seconds_pass(engine, 60)

    [record] = engine.servicenow.incidents
    assert record["state"] == "2"


async def test_what_was_acknowledged_before_the_record_appears_is_not_created_after_all(engine, failing):
    incident_id = await escalated(engine, Fault(kind="504", **failing))
    await engine.http.post(f"/api/incidents/{incident_id}/acknowledge?by=ana")

    await seconds_pass(engine, 90)

    assert engine.servicenow.incidents == []
    assert (await engine.detail(incident_id))["outcome"] == "acknowledged"


OAUTH = {"auth": {"type": "oauth_client_credentials", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}}


@pytest.mark.parametrize("servicenow_settings", [OAUTH])
async def test_a_login_that_was_not_answered_is_tried_again_within_seconds(engine):
    """A token that nobody got does no harm."""
    incident_id = await escalated(engine, Fault(kind="503", path="/oauth_token.do"))

    await seconds_pass(engine, 5)

    assert [it["correlation_id"] for it in engine.servicenow.incidents] == [incident_id]
