"""The last body that an incident came with, from the intake to those who ask for it."""

import random
import string

import pytest

from tests.support.groups import alert, group
from versus_py.incidents.model import IncidentId
from versus_py.store import keys


async def posted(engine, payload, **query):
    answers = (await engine.post(payload, **query))["incidents"]
    return [it["id"] for it in answers]


async def body_of(engine, incident_id):
    response = await engine.http.get(f"/api/incidents/{incident_id}/payload")
    return response.status, await response.json()


async def test_the_last_body_is_kept_without_secrets(engine):
    [incident_id] = await posted(engine, {"title": "T", "dedup_key": "k", "routing_key": "R0", "n": 1})
    await posted(engine, {"title": "T", "dedup_key": "k", "routing_key": "R0", "n": 2})

    assert await body_of(engine, incident_id) == (
        200,
        {"title": "T", "dedup_key": "k", "routing_key": "[removed]", "n": 2},
    )
    stored = await engine.store.payload(IncidentId(incident_id))
    assert len(stored) <= 64 * 1024
    assert await engine.store._redis.pttl(keys.payload(IncidentId(incident_id))) > 0


async def test_what_is_kept_is_never_older_than_the_last_body_however_large_that_is(engine):
    dice = random.Random(1)
    text = "".join(dice.choices(string.ascii_letters, k=900_000))
    large = [[text[at : at + 1000] for at in range(start, start + 50_000, 1000)] for start in range(0, 900_000, 50_000)]
    [incident_id] = await posted(engine, {"n": 1, "title": "T", "dedup_key": "k"})

    await posted(engine, {"n": 2, "title": "T", "dedup_key": "k", "large": large})

    status, body = await body_of(engine, incident_id)
    assert (status, body["n"]) == (200, 2)
    assert len(await engine.store.payload(IncidentId(incident_id))) <= 64 * 1024


async def test_of_a_group_each_alert_keeps_its_own_part(engine):
    payload = group(*(alert("Disk", instance=name) for name in "ab"))

    _, second = await posted(engine, payload, incident_per="alert")

    _, body = await body_of(engine, second)
    assert [it["labels"]["instance"] for it in body["alerts"]] == ["b"]


@pytest.mark.parametrize("settings", [{"keep_payload": False}])
async def test_nothing_is_kept_where_that_is_switched_off(engine):
    [incident_id] = await posted(engine, {"title": "T"})

    status, said = await body_of(engine, incident_id)

    assert status == 404
    assert "keep_payload" in said["error"]
    assert await engine.store.payload(IncidentId(incident_id)) == ""


async def test_an_incident_that_is_unknown_has_no_body(engine):
    assert (await body_of(engine, "nothing-0"))[0] == 404


@pytest.mark.parametrize(
    "servicenow_settings", [{"fields": {"short_description": "{{ payload.service }} on {{ payload.hosts[0] }}"}}]
)
async def test_templates_see_it(engine):
    await posted(engine, {"title": "T", "service": "checkout", "hosts": ["db-7", "db-8"]})
    await engine.after(minutes=6)

    [record] = engine.servicenow.incidents
    assert record["short_description"] == "checkout on db-7"


@pytest.mark.parametrize(
    ("fields", "shows"),
    [({"description": "{{ payload.x }}"}, True), ({"description": "payload: {{ severity }}"}, False)],
)
def test_it_is_fetched_only_for_templates_that_show_it(config, fields, shows):
    servicenow = config.oncall.servicenow.model_copy(update={"fields": fields})
    oncall = config.oncall.model_copy(update={"servicenow": servicenow})

    assert config.model_copy(update={"oncall": oncall}).shows_payload is shows
