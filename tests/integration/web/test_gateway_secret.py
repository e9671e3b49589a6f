"""The generated secret of a server that people reach from elsewhere: nobody is let in for being on this machine."""

import pytest
from aiohttp.test_utils import TestClient, TestServer

from tests.support.waiting import DEADLINE_S
from versus_py.engine.health import Health
from versus_py.store import keys
from versus_py.web import create_monitoring_app
from versus_py.web.guard import HEADER, Guard

ALERT = {"title": "Disk full", "id": "d1", "severity": "high"}
NONE = {HEADER: ""}


@pytest.fixture
async def alert_id(engine):
    return (await engine.post(ALERT))["incidents"][0]["id"]


@pytest.mark.parametrize("path", ["/api/incidents", "/api/incidents/{id}", "/api/incidents/{id}/payload", "/metrics"])
async def test_a_program_on_this_machine_reads_with_the_secret_only(engine, alert_id, path):
    url = path.format(id=alert_id)

    refused = await engine.http.get(url, headers=NONE)
    secret = await engine.store.gateway_secret()
    answered = [
        (await engine.http.get(url, headers=headers)).status
        for headers in ({HEADER: secret}, NONE | {"Authorization": f"Bearer {secret}"}, {HEADER: secret[:-1]})
    ]

    assert refused.status == 401
    assert "`versus gateway-secret` shows" in (await refused.json())["error"]
    assert answered == [200, 200, 401]


@pytest.mark.parametrize("action", ["acknowledge", "unacknowledge", "resolve", "escalate", "snooze", "retry"])
async def test_a_program_on_this_machine_acts_with_the_secret_only(engine, alert_id, action):
    url = f"/api/incidents/{alert_id}/{action}?by=ana&minutes=5"

    refused = await engine.http.post(url, headers=NONE)
    refused_for_all = await engine.http.post("/api/retry?by=ana", headers=NONE)

    assert (refused.status, refused_for_all.status) == (401, 401)
    assert (await engine.detail(alert_id))["status"] == "triggered"
    assert (await engine.http.post(url)).ok


@pytest.mark.parametrize("path", ["/healthz", "/api/openapi.json", "/static/ui.css"])
async def test_what_is_open_stays_open(engine, path):
    assert (await engine.http.get(path, headers=NONE)).status == 200


async def test_a_worker_of_its_own_shows_its_metrics_to_those_with_the_secret(engine):
    health = Health(engine.store, engine.clock, engine.metrics, worker=engine.worker, watchdog=engine.watchdog)
    app = create_monitoring_app(engine.metrics, health, Guard.of(engine.config, engine.store))
    async with TestClient(TestServer(app)) as http:
        refused = await http.get("/metrics")
        answered = await http.get("/metrics", headers={HEADER: await engine.store.gateway_secret()})

    assert (refused.status, answered.status) == (401, 200)


async def test_metrics_are_shown_while_redis_is_away(engine):
    engine.redis_server.go_away()
    try:
        known = await engine.http.get("/metrics", timeout=DEADLINE_S)
    finally:
        engine.redis_server.come_back()

    assert known.status == 200


@pytest.mark.parametrize("settings", [{"gateway_secret": "of-the-configuration"}])
async def test_a_secret_that_is_set_later_takes_the_place_of_the_generated_one(engine):
    generated = await engine.store.gateway_secret()

    answered = [
        (await engine.http.get("/api/incidents", headers={HEADER: it})).status
        for it in (generated, "of-the-configuration")
    ]

    assert answered == [401, 200]


@pytest.mark.parametrize("settings", [{"public_host": None}, {"gateway_secret": "of-the-configuration"}])
async def test_where_no_secret_is_generated_redis_keeps_none(engine, engine_redis):
    await engine_redis.delete(keys.GATEWAY_SECRET)

    await engine.http.get("/api/incidents")

    assert await engine_redis.get(keys.GATEWAY_SECRET) is None
