"""What the API and `versus incidents show` say of an incident's policy while it goes on."""

from datetime import datetime

from tests.integration.engine.test_escalation_policies import (
    CHAIN,
    LEADS,
    LOW,
    OFFICE,
    act,
    at,
    changed,
    fire,
    policies,
)
from versus_py.cli.standing import progress, time_of, to_come


async def shown(engine, incident):
    async with engine.http.get(f"/api/incidents/{incident}") as response:
        assert response.status == 200
        return await response.json()


def states(it):
    return [step["states"] for step in it["policy"]["steps"]]


def minutes_after(it, moment):
    return (datetime.fromisoformat(moment) - datetime.fromisoformat(it["created_at"])).total_seconds() / 60


@policies(changed(CHAIN, repeat=1))
async def test_the_steps_of_the_round_are_told_one_after_the_other(engine):
    incident = await fire(engine)
    it = await shown(engine, incident)
    assert states(it) == [{"slack": "told"}, {"slack:leads": "pending"}, {"servicenow": "pending"}]
    assert [minutes_after(it, step["due_at"]) for step in it["policy"]["steps"]] == [0, 10, 25]

    await engine.after(minutes=10)
    it = await shown(engine, incident)
    assert states(it)[1] == {"slack:leads": "told"}
    assert it["step"] == {"step": 2, "steps": 3, "round": 1, "rounds": 2}
    assert to_come(it) == [f"next: servicenow at {time_of(it['next']['due_at'])}, step 3 of 3, round 1 of 2"]

    await engine.after(minutes=15)
    it = await shown(engine, incident)
    assert states(it)[2] == {"servicenow": "told"}
    assert (it["next"]["step"], it["next"]["round"], minutes_after(it, it["next"]["due_at"])) == (1, 2, 40)

    await engine.after(minutes=15)
    it = await shown(engine, incident)
    assert it["step"] == {"step": 1, "steps": 3, "round": 2, "rounds": 2}
    assert states(it)[0] == {"slack": "told"}
    assert progress(it)[0] == "policy critical: step 1 of 3, round 2 of 2"


@policies(CHAIN)
async def test_a_step_that_failed_says_so(engine, logs):
    engine.slack.unknown.add(LEADS)
    incident = await fire(engine)

    await engine.after(minutes=10)

    logs.expect_error("sync.failed")
    assert states(await shown(engine, incident))[1] == {"slack:leads": "failed"}


@policies(LOW, time_intervals=[OFFICE])
async def test_a_list_has_what_is_held_and_says_until_when(engine):
    at(engine, 3, 22)
    incident = await fire(engine, severity="info")

    async with engine.http.get("/api/incidents", params={"status": "held"}) as response:
        [it] = (await response.json())["incidents"]

    assert it["id"] == incident
    assert it["step"] is None
    assert it["held_until"] == it["next"]["due_at"]
    await act(engine, incident, "acknowledge")
    assert (await shown(engine, incident))["held_until"] is None
