"""What lists can be asked for, and when somebody's word escalates what has escalated before."""

import pytest

from tests.integration.engine.test_engine import firing
from versus_py.incidents.actions import Action, possible_actions


async def post(engine, name):
    return (await engine.post(firing(engine, name)))["incidents"][0]["id"]


async def listed(engine, **query):
    async with engine.http.get("/api/incidents", params=query) as response:
        assert response.status == 200
        return await response.json()


async def act(engine, incident_id, action, **more):
    async with engine.http.post(f"/api/incidents/{incident_id}/{action}", params={"by": "ana", **more}) as response:
        return response.status, await response.json()


@pytest.fixture
async def ids(engine):
    """One of each standing, by its word."""
    found = {"escalated": await post(engine, "Escalated")}
    await engine.after(minutes=6)
    for name in ("triggered", "snoozed", "acknowledged", "resolved"):
        found[name] = await post(engine, name.capitalize())
    await act(engine, found["snoozed"], "snooze", minutes="60")
    await act(engine, found["acknowledged"], "acknowledge")
    await act(engine, found["resolved"], "resolve")
    await engine.settle()
    return found


@pytest.mark.parametrize("word", ["escalated", "snoozed", "acknowledged", "resolved"])
async def test_a_list_is_asked_for_by_the_words_that_it_uses(engine, ids, word):
    page = await listed(engine, status=word)

    assert [it["id"] for it in page["incidents"]] == [ids[word]]


async def test_what_is_triggered_includes_what_has_a_word_of_its_own(engine, ids):
    page = await listed(engine, status="triggered")

    assert {it["id"] for it in page["incidents"]} == {ids[word] for word in ("triggered", "snoozed", "escalated")}


async def test_a_word_that_is_none_is_refused_with_those_that_are(engine):
    async with engine.http.get("/api/incidents", params={"status": "escalating"}) as response:
        said = (await response.json())["error"]

    assert response.status == 400
    assert "allowed: triggered, acknowledged, resolved, snoozed, held, suppressed, escalated, failed" in said


@pytest.mark.parametrize(("limit", "is_all"), [(4, False), (5, True), (6, True)])
async def test_a_page_goes_on_only_where_there_is_more(engine, ids, limit, is_all):
    page = await listed(engine, limit=str(limit))

    assert (page["next"] is None) is is_all
    rest = [] if is_all else (await listed(engine, limit="50", cursor=page["next"]))["incidents"]
    assert {it["id"] for it in page["incidents"] + rest} == set(ids.values())
    assert len(page["incidents"]) + len(rest) == len(ids)


async def test_what_has_an_open_record_and_somebody_who_cares_is_not_escalated_again(engine):
    incident_id = await post(engine, "DiskFull")
    await engine.after(minutes=6)
    await act(engine, incident_id, "acknowledge")
    await engine.settle()
    [record] = engine.servicenow.incidents

    status, said = await act(engine, incident_id, "escalate")
    await engine.settle()

    incident = await engine.store.get(incident_id)
    assert (status, said["error"]) == (
        409,
        f"it has escalated to ServiceNow as {record['number']}, which is not over",
    )
    assert incident.status == "acknowledged"
    assert Action.ESCALATE not in possible_actions(incident)
    assert len(engine.servicenow.incidents) == 1


async def test_what_people_have_closed_over_there_is_escalated_again_as_a_new_record(engine):
    incident_id = await post(engine, "DiskFull")
    await engine.after(minutes=6)
    await act(engine, incident_id, "acknowledge")
    await engine.settle()
    engine.servicenow.incidents[0]["state"] = "7"
    await engine.after(minutes=6)  # by then somebody has looked at it

    incident = await engine.store.get(incident_id)
    status, _ = await act(engine, incident_id, "escalate")
    await engine.settle()

    assert Action.ESCALATE in possible_actions(incident)
    assert status == 201
    closed, new = engine.servicenow.incidents
    assert (closed["state"], new["state"]) == ("7", "1")


async def test_before_the_new_wait_is_over_somebodys_word_escalates_at_once(engine):
    incident_id = await post(engine, "DiskFull")
    await engine.after(minutes=6)
    await act(engine, incident_id, "acknowledge")
    await act(engine, incident_id, "unacknowledge")
    await engine.settle()

    status, _ = await act(engine, incident_id, "escalate")
    await engine.settle()

    assert status == 201
    assert len(engine.servicenow.incidents) == 1


@pytest.mark.parametrize("state", ["6", "7"])
async def test_what_is_still_triggered_and_closed_over_there_is_escalated_again(engine, state):
    incident_id = await post(engine, "DiskFull")
    await engine.after(minutes=6)
    engine.servicenow.incidents[0]["state"] = state
    await engine.after(minutes=6)

    status, _ = await act(engine, incident_id, "escalate")
    await engine.settle()

    assert status == 201
    states = [it["state"] for it in engine.servicenow.incidents]
    assert states == (["2"] if state == "6" else ["7", "1"])  # what is only resolved is opened again
    assert not (await engine.store.get(incident_id)).record.is_over


async def test_what_is_resolved_says_how_it_stands(engine):
    incident_id = await post(engine, "DiskFull")
    await engine.after(minutes=6)
    await act(engine, incident_id, "resolve")
    await engine.settle()

    assert (await act(engine, incident_id, "escalate"))[0] == 200


@pytest.mark.parametrize("servicenow_settings", [{"comments_every_minutes": 0}])
async def test_where_nobody_looks_whether_a_record_is_over_somebodys_word_counts(engine, servicenow_settings):
    incident_id = await post(engine, "DiskFull")
    await engine.after(minutes=6)
    await act(engine, incident_id, "acknowledge")
    await engine.settle()

    status, _ = await act(engine, incident_id, "escalate")
    await engine.settle()

    assert status == 201
    assert len(engine.servicenow.incidents) == 1
