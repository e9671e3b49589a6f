"""Whatever is accepted is told and escalated too: the simulators refuse what Slack and ServiceNow would refuse."""

import asyncio

import pytest

# Its fixtures, by name.
from tests.integration.conftest import (  # noqa: F401
    clock,
    config,
    engine,
    engine_redis,
    fallback,
    journal,
    logs,
    metrics,
    servicenow,
    servicenow_infra,
    servicenow_infra_url,
    servicenow_settings,
    servicenow_url,
    session,
    settings,
    slack,
    slack_settings,
    slack_url,
)
from tests.support.fuzzing import share
from tests.support.nasty import GOOD, Nasty
from versus_py.incidents.model import Status

BATCH = 10


@pytest.mark.parametrize("per", ["group", "alert"])
async def test_what_is_accepted_has_a_message_and_a_record(engine, nasty: Nasty, per):  # noqa: F811
    inputs = iter(share("the engine", 1))
    while True:
        bodies = [nasty.json_text().encode(errors="surrogatepass") for _ in zip(range(BATCH), inputs, strict=False)]
        if not bodies:
            break
        for body in bodies:
            response = await engine.http.post("/api/incidents", data=body, params={"incident_per": per})
            assert response.status in {201, 400, 403}, body[:2000]
        good = (await engine.post(GOOD))["incidents"][0]["id"]
        await engine.after(minutes=5)
        await engine.settle()
        await expect_synced(engine, bodies)
        assert (await engine.store.get(good)).record.label


async def expect_synced(engine, bodies) -> None:  # noqa: F811
    """Each incident is shown in Slack, and the record of each that fires was made."""
    page = await engine.store.page(limit=200)
    for incident in page.incidents:
        said = f"{incident.id} {str(incident)[:1500]} of {[body[:300] for body in bodies]}"
        errors = {name: it.error for name, it in incident.deliveries.items() if it.error}
        assert not errors, f"{errors} {said}"
        if incident.status is Status.TRIGGERED:
            assert incident.record.label, said
        await asyncio.sleep(0)
