"""Business rules of a simulated instance, from what a person does there to the incident here."""

import pytest

from tests.support.tickets import TOKEN
from versus_py.simulators.servicenow.people import RecordOrder
from versus_py.simulators.servicenow.rule import BusinessRule, Passage
from versus_py.web.tickets import paths

RULE = "rule-token-0123456789"
SETTINGS = {
    "events": {
        "token": TOKEN,
        "sources": [{"name": "network", "token": RULE, "severity": "notice", "policy": "leads"}],
    },
    "priority_map": {"1": "critical"},
    "references": {},
}
LEADS = {"policies": [{"name": "leads", "match": ['team="leads"'], "steps": [{"notify": ["slack"]}]}]}
PATH, _ = paths("/api/servicenow/events")


@pytest.fixture
def posting(engine):
    """Has what people do posted, by a rule with that token."""
    engine.servicenow.rules.passage = Passage(by_hand=True)

    def rule(token, shape):
        url = str(engine.http.make_url(PATH))
        engine.servicenow.rules.add(BusinessRule(name="versus", url=url, token=token, shape=shape))

    return rule


async def done(engine, **order):
    """Somebody does it, and it is posted; the sys_id, and what was answered."""
    sys_id = engine.servicenow.act(RecordOrder(**order))
    posted = await engine.servicenow.rules.run_due(now=True)
    return sys_id, [it.status for it in posted]


@pytest.mark.parametrize("servicenow_settings", [SETTINGS])
@pytest.mark.parametrize("settings", [LEADS])
@pytest.mark.parametrize("shape", ["script", "raw"])
async def test_what_people_do_there_happens_here(engine, posting, shape):
    posting(TOKEN, shape)

    sys_id, created = await done(engine, do="create", short_description="Disk full", impact="1", urgency="1")
    await engine.settle()
    [incident] = (await (await engine.http.get("/api/incidents")).json())["incidents"]
    _, changed = await done(engine, do="change", record=sys_id, state="2", by="ana")
    await engine.settle()

    assert (created, changed) == ([201], [201])
    assert (incident["severity"], incident["source"]) == ("critical", "servicenow")
    assert (await engine.detail(incident["id"]))["status"] == "acknowledged"
    assert len(engine.servicenow.incidents) == 1


@pytest.mark.parametrize("servicenow_settings", [SETTINGS])
@pytest.mark.parametrize("settings", [LEADS])
async def test_what_a_rule_says_of_its_tickets_holds_when_their_records_are_read_too(engine, posting):
    posting(RULE, "script")

    sys_id, _ = await done(engine, do="create", short_description="Disk full", impact="3", urgency="3")
    await engine.settle()
    [incident] = (await (await engine.http.get("/api/incidents")).json())["incidents"]
    engine.servicenow.act(RecordOrder(do="change", record=sys_id, short_description="Disk full on db-7"))
    engine.servicenow.rules.forget()
    await engine.http.post(f"/api/incidents/{incident['id']}/acknowledge", json={"by": "ana"})
    await engine.settle()

    found = await engine.store.get(incident["id"])
    assert (found.severity, found.policy.name) == ("notice", "leads")
    assert found.sides["servicenow"].severity == "notice"
    assert found.sides["servicenow"].title == "Disk full on db-7"
