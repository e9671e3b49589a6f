"""A Redis that is full: what is new is refused, and what was accepted comes to its end. On each kind of server."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from tests.integration.conftest import DAY_MS, Engine
from tests.integration.engine.test_credentials import change_password, mend_password, minutes_pass
from tests.integration.engine.test_engine import firing
from tests.integration.interactions.test_interactions import message, press
from tests.support.redis_servers import SharedRedis, oldest_redis_server, redis_server, valkey_server
from tests.support.servers import run_redis
from versus_py.engine.health import Health
from versus_py.engine.lately import Lately
from versus_py.incidents.model import IncidentId, Status
from versus_py.simulators.slack.simulator import SIGNING_SECRET
from versus_py.store import keys
from versus_py.store.durability import durability_for
from versus_py.store.shared_time import SharedTime

SERVERS = {"redis-6.2": oldest_redis_server, "redis": redis_server, "valkey": valkey_server}


@pytest.fixture(scope="module", params=SERVERS)
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedRedis]:
    with run_redis(SERVERS[request.param](), tmp_path_factory.mktemp("full")) as path:
        yield SharedRedis(path)


@pytest.fixture
def shared_redis(running: SharedRedis) -> SharedRedis:
    running.empty()
    return running


@pytest.fixture
def slack_settings():
    return {"signing_secret": SIGNING_SECRET, "storm": {"threshold": 5}}


@asynccontextmanager
async def full(engine: Engine) -> AsyncIterator[None]:
    """More is used than may be, as long as the block lasts."""
    await engine.store._redis.config_set("maxmemory", 1)
    try:
        yield
    finally:
        await engine.store._redis.config_set("maxmemory", 0)


async def accepted(engine: Engine, name: str) -> IncidentId:
    answer = await engine.post(firing(engine, name))
    return IncidentId(answer["incidents"][0]["id"])


async def answer(engine: Engine, payload) -> tuple[int, str]:
    response = await engine.http.post("/api/incidents", json=payload)
    return response.status, (await response.json()).get("error", "")


async def test_what_is_new_is_refused_until_there_is_room(engine):
    async with full(engine):
        refused = await answer(engine, firing(engine, "Late"))
    taken, _ = await answer(engine, firing(engine, "Late"))

    assert refused == (503, "Redis is full and takes no new alert: send it again")
    assert taken == 201
    assert len((await engine.store.page()).incidents) == 1


@pytest.mark.parametrize("durability", ["memory", "replicated"])
async def test_what_is_known_is_still_updated_by_a_process_that_does_not_remember_it(engine, config, durability):
    settings = config.redis.model_copy(update={"durability": durability, "replicas": 0})
    engine.store._durability = durability_for(engine.store._redis, settings)
    incident_id = await accepted(engine, "Disk")
    engine.lifecycle._lately = Lately(10)  # as after a restart: it is taken to be new

    async with full(engine):
        status, _ = await answer(engine, firing(engine, "Disk"))

    assert status == 201
    counted = (await engine.store.get(incident_id)).occurrences
    assert counted == 2 or (durability == "replicated" and counted == 3)  # a group that is sent again counts again


async def test_what_was_accepted_is_posted_and_escalates(engine):
    incident_id = await accepted(engine, "Disk")

    async with full(engine):
        await engine.settle()
        posted = len(engine.slack.messages)
        await engine.after(minutes=6)

    assert posted == 1
    assert [record["correlation_id"] for record in engine.servicenow.incidents] == [incident_id]
    detail = await engine.detail(incident_id)
    assert detail["outcome"] == "escalated"
    assert "Escalated" in engine.slack.messages[0].text


async def test_people_acknowledge_by_button_link_and_api(engine):
    pressed, linked, asked = [await accepted(engine, name) for name in ("Pressed", "Linked", "Asked")]
    await engine.settle()
    link = engine.links.url(await engine.store.get(linked)).removeprefix("https://versus.example")

    async with full(engine):
        await press(engine, message(engine, pressed), "acknowledge")
        by_link = await engine.http.post(link)
        by_api = await engine.http.post(f"/api/incidents/{asked}/acknowledge", json={"by": "ana"})
        await engine.after(minutes=6)

    assert (by_link.status, by_api.status) == (201, 201)
    assert [(await engine.store.get(it)).status for it in (pressed, linked, asked)] == [Status.ACKNOWLEDGED] * 3
    assert (await engine.store.get(pressed)).acknowledged_by.name == "Ana Diaz"
    assert engine.servicenow.incidents == []


async def test_a_resolve_ends_the_wait_and_news_of_what_is_known_is_taken(engine):
    resolved, grown = await accepted(engine, "Resolved"), await accepted(engine, "Grown")

    async with full(engine):
        over = await answer(engine, firing(engine, "Resolved", is_resolved=True))
        again = await answer(engine, firing(engine, "Grown"))
        await engine.after(minutes=6)

    assert (over[0], again[0]) == (201, 201)
    assert (await engine.store.get(resolved)).status is Status.RESOLVED
    assert (await engine.store.get(grown)).occurrences == 2
    assert [record["correlation_id"] for record in engine.servicenow.incidents] == [grown]


async def test_a_storm_gets_its_message(engine):
    for number in range(12):
        await accepted(engine, f"Alert{number}")

    async with full(engine):
        for _ in range(8):
            await engine.settle()

    assert sum("storm" in it.text for it in engine.slack.messages) == 1


async def test_a_timer_that_was_lost_is_brought_back(engine, logs):
    incident_id = await accepted(engine, "Disk")
    await engine.settle()
    await engine.store._redis.delete(keys.of_incident(incident_id, "timers"))

    async with full(engine):
        engine.clock.advance(minutes=8)
        await engine.watchdog.look()
        await engine.settle()

    logs.expect_error("escalation.overdue")
    logs.expect_error("escalation.rearmed")
    assert [record["correlation_id"] for record in engine.servicenow.incidents] == [incident_id]


async def test_what_is_open_is_kept_for_longer(engine):
    incident_id = await accepted(engine, "Disk")
    key = keys.incident(incident_id)
    await engine.store._redis.pexpire(key, DAY_MS)

    async with full(engine):
        await engine.watchdog.renew()

    assert await engine.store._redis.pttl(key) > 6 * DAY_MS


async def test_a_process_that_starts_has_the_key_of_the_links(engine):
    key = await engine.store.signing_key()

    async with full(engine):
        assert await engine.store.signing_key() == key


async def test_who_follows_hears_of_changes(engine):
    incident_id = await accepted(engine, "Disk")
    seen, _ = await engine.store.next_change("0", block_ms=5000)

    async with full(engine):
        await engine.http.post(f"/api/incidents/{incident_id}/acknowledge", json={"by": "ana"})

    assert (await engine.store.next_change(seen, block_ms=5000))[0] != seen


async def test_it_is_ready_for_acknowledgments_and_gives_no_sign_of_life(engine, logs):
    await engine.worker.run_due()
    health = Health(engine.store, engine.clock, engine.metrics, worker=engine.worker, watchdog=engine.watchdog)

    async with full(engine):
        response = await engine.http.get("/readyz")
        trouble = await health.trouble()

    logs.expect_error("health.redis_full")
    body = await response.json()
    assert (response.status, body["status"], body["redis"]) == (200, "degraded", "full")
    assert trouble == "Redis is full: new alerts are refused"


async def test_an_acknowledgment_is_as_sure_as_before(engine, config):
    incident_id = await accepted(engine, "Disk")
    replicated = config.redis.model_copy(update={"durability": "replicated", "replicas": 0})
    engine.store._durability = durability_for(engine.store._redis, replicated)

    async with full(engine):
        response = await engine.http.post(f"/api/incidents/{incident_id}/acknowledge", json={"by": "ana"})

    assert response.status == 201


async def test_servers_are_told_where_they_can_be_told(engine, running):
    await accepted(engine, "Disk")
    await engine.settle()
    version = (await engine.store._redis.info("server"))["redis_version"]

    texts = engine.store._save.texts, engine.store._complete.texts, engine.store._create.texts

    can_be_told = not version.startswith("6.")
    assert [it[0].startswith("#!lua flags=allow-oom\n") for it in texts] == [True, can_be_told, False]


async def test_credentials_that_are_refused_and_mended_escalate(engine, logs):
    incident_id = await accepted(engine, "Disk")
    change_password(engine)

    async with full(engine):
        await engine.after(minutes=6)
        mend_password(engine)
        await minutes_pass(engine, 8)

    logs.expect_error("credentials.refused")
    assert [record["correlation_id"] for record in engine.servicenow.incidents] == [incident_id]


async def test_the_clock_is_followed(engine):
    shared, now_ms = SharedTime(engine.store._redis), engine.clock.now_ms()

    async with full(engine):
        await shared.note_seen(now_ms, machine_ahead_ms=0)
        is_noted = await shared.set_lead(await shared.notes(), 5, server_ms=now_ms)

    assert is_noted
    assert (await shared.notes()).lead_ms == 5
