"""Upgrades, replicas of several versions at once, and going back: everything escalates once, and nothing is lost.

`tests/data/layout-1.json` is what a deployment without schema numbers had in Redis, Slack and ServiceNow.
"""

import re
from contextlib import contextmanager
from typing import Any

import orjson
import pytest

from tests.integration.conftest import Engine
from tests.integration.engine.test_engine import firing
from tests.support.payloads import DATA
from tests.support.stored import packed, unpacked
from versus_py.errors import Unreadable
from versus_py.incidents.model import Actor, Status
from versus_py.simulators.slack.messages import PostedMessage
from versus_py.store import codec, keys

DUMP = (DATA / "layout-1.json").read_text()
OPEN = ("Open", "Storm0", "Storm1", "Storm2", "Storm3", "Storm4", "Storm5")


@pytest.fixture
def slack_settings():
    return {"storm": {"threshold": 2}}


@pytest.fixture
async def ids(engine: Engine) -> dict[str, str]:
    """The dump; the ids of its incidents by their names."""
    found: dict[str, str] = (await restored(engine, DUMP))["ids"]
    return found


async def restored(engine: Engine, text: str) -> dict[str, Any]:
    """A dump, as if it was made just now, in the engine's Redis and in the simulators around it."""
    made_at_ms = orjson.loads(text)["now_ms"]
    later_s = (engine.clock.now_ms() - made_at_ms) // 1000
    engine.clock.advance(ms=made_at_ms + later_s * 1000 - engine.clock.now_ms())
    day = str(made_at_ms)[:5]
    text = text.replace("https://servicenow.example", engine.config.oncall.servicenow.instance_url)
    text = re.sub(rf"\b{day}\d{{8}}\b", lambda it: str(int(it[0]) + later_s * 1000), text)
    text = re.sub(rf"\b({day}\d{{5}})(\.\d{{6}})\b", lambda it: f"{int(it[1]) + later_s}{it[2]}", text)
    dump: dict[str, Any] = orjson.loads(text)
    for key, stored in dump["redis"].items():
        await restore(engine, key, stored["type"], stored["value"])
    engine.slack.messages[:] = [message(it) for it in dump["slack"]]
    engine.servicenow.incidents.extend(dump["servicenow"])
    return dump


async def restore(engine, key, kind, value):
    redis = engine.store._redis
    match kind:
        case "hash":
            await redis.hset(key, mapping=value)
        case "zset":
            await redis.zadd(key, value)
        case "list":
            await redis.rpush(key, *value)
        case "set":
            await redis.sadd(key, *value)
        case "string":
            await redis.set(key, value)


def message(it):
    thread = [message(reply) for reply in it["thread"]]
    return PostedMessage(it["channel"], it["ts"], it["text"], [], [], metadata=it["metadata"], thread=thread)


async def test_after_an_upgrade_everything_goes_on_and_nothing_is_told_or_created_twice(engine, ids):
    told = [it.ts for it in engine.slack.messages]
    escalated = ids["Escalated"]

    again = (await engine.post(firing(engine, "Open")))["incidents"][0]
    await engine.settle()
    for _ in range(12):
        await engine.after(minutes=1)

    assert (again["id"], again["outcome"]) == (ids["Open"], "updated")
    assert [it.ts for it in engine.slack.messages] == told
    assert sorted(it["correlation_id"] for it in engine.servicenow.incidents) == sorted(
        [escalated, *(ids[name] for name in OPEN)]
    )


async def test_after_an_upgrade_people_and_mentions_are_still_known(engine, ids):
    ana = Actor("Ana Maria Diaz", "ana@example.com", {"slack": "U0ANA"})

    acknowledged = await engine.lifecycle.identify(ids["Acknowledged"], ana)
    opened = await engine.store.get(ids["Open"])

    assert (await engine.store.get(ids["Acknowledged"])).acknowledged_by == ana, acknowledged
    assert opened.policy.mentions == {"slack": "<!here>"}
    assert all(it.by.ids == {"slack": "U0ANA"} for it in await engine.store.timeline(ids["Acknowledged"]) if it.by)


async def test_after_an_upgrade_an_incident_is_stored_anew_when_it_changes(engine, ids):
    redis, key = engine.store._redis, keys.incident(ids["Open"])

    await engine.lifecycle.acknowledge(ids["Open"], Actor("ana"))
    await engine.settle()

    fields = await redis.hgetall(key)
    assert {unpacked(it)["schema"] for name, it in fields.items() if name not in {"version", "status"}} == {
        codec.SCHEMA
    }
    assert (await engine.store.get(ids["Open"])).acknowledged_by == Actor("ana")


NEWER = codec.SCHEMA + 1


@contextmanager
def a_newer_replica(monkeypatch):
    """This code, one schema on."""
    with monkeypatch.context() as patched:
        patched.setattr(codec, "SCHEMA", NEWER)
        yield


PLACES = {
    "the incident": ("incident", []),
    "its policy": ("incident", ["policy"]),
    "its alert": ("incident", ["alerts", 0]),
    "its news": ("incident", ["news", 0]),
    "who acknowledged": ("incident", ["acknowledged_by"]),
    "its message": ("delivery:slack", []),
}


async def add_field(engine, incident_id, field, path, readable_from=codec.SCHEMA):
    """What a newer version has written, with a field that nobody else knows."""
    redis, key = engine.store._redis, keys.incident(incident_id)
    data = part = unpacked(await redis.hget(key, field))
    for step in path:
        part = part[step]
    part["colour"] = "teal"
    await redis.hset(key, field, packed(data))
    numbers = {"schema": NEWER, "readable_from": readable_from}
    for numbered in {"incident", field}:
        await redis.hset(key, numbered, packed(unpacked(await redis.hget(key, numbered)) | numbers))


async def field_of(engine, incident_id, field, path):
    part = unpacked(await engine.store._redis.hget(keys.incident(incident_id), field))
    for step in path:
        part = part[step]
    return part.get("colour")


@pytest.fixture
async def news(engine):
    """An incident that was acknowledged and given back, with news for its thread."""
    [created] = (await engine.post(firing(engine, "DiskFull")))["incidents"]
    await engine.settle()
    for action in ("acknowledge", "unacknowledge", "acknowledge"):
        await engine.http.post(f"/api/incidents/{created['id']}/{action}?by=ana")
        await engine.settle()
    return created["id"]


@pytest.mark.parametrize(("field", "path"), PLACES.values(), ids=PLACES)
async def test_an_older_replica_keeps_what_it_does_not_know(engine, news, field, path):
    await add_field(engine, news, field, path)

    another = firing(engine, "DiskFull")
    another["alerts"].append(another["alerts"][0] | {"fingerprint": "0123456789abcdef"})
    await engine.post(another)
    await engine.settle()
    await engine.lifecycle.acknowledge(news, Actor("ben"))
    await engine.settle()

    assert await field_of(engine, news, field, path) == "teal"
    stored = await engine.store._redis.hget(keys.incident(news), field)
    assert orjson.loads(stored)["schema"] == NEWER
    assert await engine.store.get(news) is not None


async def test_what_was_known_of_one_person_is_not_kept_of_another(engine, news):
    await add_field(engine, news, "incident", ["acknowledged_by"])

    await engine.http.post(f"/api/incidents/{news}/unacknowledge?by=ben")
    await engine.http.post(f"/api/incidents/{news}/acknowledge?by=ben")

    assert (await engine.store.get(news)).acknowledged_by == Actor("ben")
    assert await field_of(engine, news, "incident", ["acknowledged_by"]) is None


async def test_going_back_one_version_escalates_everything_once(engine):
    ids = [(await engine.post(firing(engine, name)))["incidents"][0]["id"] for name in ("One", "Two")]
    await engine.settle()
    await add_field(engine, ids[0], "incident", [])

    await engine.after(minutes=6)

    assert sorted(it["correlation_id"] for it in engine.servicenow.incidents) == sorted(ids)
    assert len(engine.slack.messages) == len(ids)
    assert await field_of(engine, ids[0], "incident", []) == "teal"


async def test_what_an_older_replica_may_not_work_on_waits_for_a_newer_one(engine, monkeypatch, logs):
    [created] = (await engine.post(firing(engine, "DiskFull")))["incidents"]
    await engine.settle()
    await add_field(engine, created["id"], "incident", [], readable_from=NEWER)

    said = rf"{created['id']} is of schema {NEWER}"
    await engine.after(minutes=10)
    standing = await engine.watchdog.look()
    with pytest.raises(Unreadable, match=said):
        await engine.store.get(created["id"])
    await engine.worker.run_due()

    assert engine.servicenow.incidents == []
    assert standing.overdue_ids == (created["id"],)
    for event in ("incident.unreadable", "escalation.overdue"):
        assert created["id"] in str(logs.expect_error(event))
    attempts = await engine.store._redis.hgetall(keys.of_incident(created["id"], "attempts"))
    assert attempts == {}

    with a_newer_replica(monkeypatch):
        await engine.after(minutes=1)
        found = await engine.store.get(created["id"])

    assert [it["correlation_id"] for it in engine.servicenow.incidents] == [created["id"]]
    assert found.status is Status.TRIGGERED


async def test_an_event_that_only_a_newer_version_knows_is_shown_as_it_is_written(engine):
    [created] = (await engine.post(firing(engine, "DiskFull")))["incidents"]
    line = orjson.dumps({"at_ms": 1, "event": "handed over", "detail": "to the next shift", "by": None})
    await engine.store._redis.rpush(keys.timeline(created["id"]), line)

    detail = await engine.detail(created["id"])

    assert detail["timeline"][-1]["event"] == "handed over"
