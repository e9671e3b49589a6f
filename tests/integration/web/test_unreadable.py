"""An incident that cannot be read is named wherever it is met, and keeps no other from what is asked for."""

import asyncio
from typing import Any

import pytest

from tests.integration.conftest import Engine
from tests.integration.interactions.test_interactions import message, press, told
from tests.support.factories import make_incident
from versus_py.cli.incidents import incidents_app
from versus_py.incidents.copies import replace
from versus_py.incidents.model import IncidentId, Status
from versus_py.simulators.slack.simulator import SIGNING_SECRET
from versus_py.store import keys
from versus_py.store.pages import READ_AGAIN

BAD, GOOD, NEW = ({"title": name, "dedup_key": name} for name in ("Bad", "Good", "New"))


@pytest.fixture
def slack_settings():
    return {"signing_secret": SIGNING_SECRET}


@pytest.fixture
async def ids(engine: Engine, logs) -> tuple[IncidentId, IncidentId]:
    """One that a newer version wrote, and one that is as it should be."""
    bad, good = [(await engine.post(it))["incidents"][0]["id"] for it in (BAD, GOOD)]
    await engine.store._redis.hset(keys.incident(bad), "status", "of a newer version")
    return bad, good


async def post(engine: Engine, payload) -> tuple[int, dict[str, Any]]:
    response = await engine.http.post("/api/incidents", json=payload)
    return response.status, await response.json()


async def test_the_others_of_a_request_are_written_down_and_each_has_its_outcome(engine, ids, logs):
    bad, good = ids

    status, said = await post(engine, [BAD, GOOD, NEW])
    again_status, again = await post(engine, [GOOD, NEW])

    logs.expect_error("intake.partly_accepted")
    assert (status, said["error"]) == (503, "1 of 3 were not written down: send it again")
    assert [it["outcome"] for it in said["incidents"]] == ["refused", "updated", "created"]
    assert bad in said["incidents"][0]["error"]
    assert (again_status, [it["outcome"] for it in again["incidents"]]) == (201, ["updated", "updated"])
    assert (await engine.store.get(good)).occurrences == 3


async def test_a_request_about_nothing_else_is_to_be_sent_again(engine, ids, logs):
    status, said = await post(engine, [BAD, BAD])

    logs.expect_error("request.unreadable")
    assert status == 503
    assert ids[0] in said["error"]


async def test_a_full_redis_refuses_what_is_new_and_takes_the_rest_of_the_request(engine, logs):
    [known] = (await engine.post(GOOD))["incidents"]
    await engine.store._redis.config_set("maxmemory", 1)
    try:
        status, said = await post(engine, [NEW, {**GOOD, "status": "resolved"}])
    finally:
        await engine.store._redis.config_set("maxmemory", 0)

    logs.expect_error("intake.partly_accepted")
    assert status == 503
    assert [it["outcome"] for it in said["incidents"]] == ["refused", "resolved"]
    assert (await engine.store.get(known["id"])).status is Status.RESOLVED


@pytest.mark.parametrize("settings", [{"journal": {"keep": "redis"}}])
async def test_the_journal_has_a_line_for_each_that_was_accepted(engine, ids, logs):
    await post(engine, [BAD, GOOD])

    logs.expect_error("intake.partly_accepted")
    lines = await engine.store._redis.lrange(keys.JOURNAL, 1, -1)
    assert sum(f'"incident":"{ids[1]}"' in line for line in lines) == 2
    assert sum(f'"incident":"{ids[0]}"' in line for line in lines) == 1


@pytest.mark.parametrize("query", [{}, {"status": "triggered"}])
async def test_a_list_names_it_beside_the_others(engine, ids, logs, query):
    response = await engine.http.get("/api/incidents", params=query)

    page = await response.json()
    assert [it["id"] for it in page["incidents"]] == [ids[1]]
    [unread] = page["unreadable"]
    assert unread["id"] == ids[0]
    assert "a newer version may have written it" in unread["error"]


async def test_the_command_lists_it(engine, ids, logs, capsys):
    url = str(engine.http.make_url("")).rstrip("/")

    secret = await engine.store.gateway_secret()

    await asyncio.to_thread(incidents_app, ["list", "--url", url, "--gateway-secret", secret], standalone_mode=False)

    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [row[:2] for row in rows] == [[ids[0], "unreadable"], [ids[1], "triggered"]]


async def test_who_presses_a_button_hears_that_it_cannot_be_read(engine, ids, logs):
    await press(engine, message(engine, ids[0]), "acknowledge")

    logs.expect_error("incident.unreadable")
    [(_, text)] = told(engine)
    assert text.startswith("Nothing was changed: this incident is stored in a way that this version")


@pytest.mark.parametrize("method", ["get", "post"])
async def test_who_opens_a_link_hears_that_it_cannot_be_read(engine, ids, logs, method):
    link = engine.links.url(replace(make_incident(), id=ids[0])).removeprefix("https://versus.example")

    response = await getattr(engine.http, method)(link)

    logs.expect_error("request.unreadable")
    assert response.status == 503
    assert "cannot read" in (await response.json())["error"]


# What nobody can read for long


async def unread_for(engine: Engine, hours: float) -> None:
    """Met again and again."""
    for _ in range(round(hours * 2)):
        engine.clock.advance(minutes=30)
        await engine.worker.run_due()


@pytest.mark.long
async def test_it_is_given_up_as_other_failures_are_and_its_escalation_has_failed(engine, ids, logs):
    bad, _ = ids
    await unread_for(engine, 24.5)
    standing = await engine.watchdog.look()
    response = await engine.http.get("/api/incidents", params={"failed": "true"})

    page = await response.json()
    for event in ("incident.unreadable", "sync.failed"):
        assert logs.expect_error(event)["incident"] == bad
    assert {(it["id"], it["failed"]["target"]) for it in page["unreadable"]} == {(bad, "slack"), (bad, "servicenow")}
    assert (standing.failed, standing.overdue) == (2, 0)
    assert engine.measured("versus_incident_outcomes_total", outcome="failed") == 1
    assert "cannot be read" in (await engine.store.timeline(bad))[-1].detail
    assert await engine.worker.run_due() == 0


async def test_before_that_it_is_overdue_and_tried_on(engine, ids, logs):
    await unread_for(engine, 3)
    standing = await engine.watchdog.look()

    for event in ("incident.unreadable", "escalation.overdue"):
        logs.expect_error(event)
    assert (standing.failed, standing.overdue_ids) == (0, (ids[0],))


@pytest.mark.long
async def test_the_time_counts_anew_when_somebody_could_read_it(engine, ids, logs):
    bad, _ = ids
    name = keys.incident(bad)
    for _ in range(2):
        await unread_for(engine, 20)
        await engine.store._redis.hset(name, "status", "triggered")
        await engine.settle()
        await engine.store._redis.hset(name, "status", "of a newer version")
        await engine.store.arm(bad, "slack", now_ms=engine.clock.now_ms())

    logs.expect_error("incident.unreadable")
    assert (await engine.watchdog.look()).failed == 0


@pytest.mark.parametrize("path", ["/api/retry", "/api/incidents/{id}/retry"])
async def test_once_it_can_be_read_again_a_retry_escalates_it(engine, ids, logs, path):
    bad, _ = ids
    await unread_for(engine, 24.5)
    for event in ("incident.unreadable", "sync.failed"):
        logs.expect_error(event)
    await engine.store._redis.hset(keys.incident(bad), "status", "triggered")
    listed = await (await engine.http.get("/api/incidents", params={"failed": "true"})).json()

    response = await engine.http.post(path.format(id=bad), json={"by": "ana"})
    await engine.settle()

    assert {it["error"] for it in listed["unreadable"]} == {READ_AGAIN}
    assert response.status == 201
    assert bad in {it["correlation_id"] for it in engine.servicenow.incidents}
    assert (await engine.detail(bad))["outcome"] == "escalated"
    assert (await (await engine.http.get("/api/incidents", params={"failed": "true"})).json())["unreadable"] == []
