"""The OpenAPI document is served to everybody, and the answers that it promises are what comes."""

from urllib.parse import urlsplit

import pytest

from tests.integration.web.test_storm_page import acknowledge_all, storm_page
from tests.support.openapi import METHODS, strict_document
from tests.support.tickets import RAW, TOKEN
from versus_py.simulators import Fault
from versus_py.simulators.slack.simulator import SIGNING_SECRET
from versus_py.sources.records import EVENTS_PATH
from versus_py.targets.slack.requests import PATH as SLACK_PATH
from versus_py.web.api.openapi import PATH, document
from versus_py.web.tickets import paths

ALERT = {"title": "Disk full", "id": "d1", "severity": "high"}
INTAKE_TOKEN = "ops-token-0123456789"
STATIC = tuple(f"/static/{it}" for it in ("ui.css", "ui.js", "icon.svg"))
MAY_ACKNOWLEDGE = {"name": "ops", "token": INTAKE_TOKEN, "acknowledge": True}


@pytest.fixture
def servicenow_settings():
    infra = {"instance_url": "http://127.0.0.1:1", "events": {"token": TOKEN[::-1]}}
    return {"events": {"token": TOKEN}, "other_instance_urls": {"infra": infra}}


@pytest.fixture
def slack_settings():
    return {"signing_secret": SIGNING_SECRET, "storm": {"threshold": 1}}


@pytest.mark.parametrize("settings", [{"gateway_secret": "the-secret"}])
async def test_anybody_may_read_it(engine):
    response = await engine.http.get(PATH, headers={"X-Forwarded-For": "192.0.2.7"})

    assert response.status == 200
    assert await response.json() == document()


async def test_every_example_of_a_payload_is_accepted(engine):
    described = strict_document()["paths"]["/api/incidents"]["post"]["requestBody"]["content"]["application/json"]

    for example in described["examples"].values():
        assert (await engine.post(example["value"]))["warnings"] == []


@pytest.mark.parametrize(
    "settings", [{"intake": {"tokens": [MAY_ACKNOWLEDGE]}, "heartbeats": [{"name": "backup", "every": "1d"}]}]
)
async def test_every_way_in_which_an_operation_may_succeed_is_seen_and_as_described(engine, logs):
    promised = {
        (method.upper(), path, int(status))
        for path, item in strict_document()["paths"].items()
        for method in METHODS & item.keys()
        for status in item[method]["responses"]
        if status.startswith("2")
    }

    engine.http.session.headers["Authorization"] = f"Bearer {INTAKE_TOKEN}"
    await use_everything(engine, logs)

    assert promised - engine.answers.seen == set()  # and the fixture compares what was answered


async def use_everything(engine, logs):
    """Each operation; a new route is to be used here too."""
    [created] = (await engine.post(ALERT))["incidents"]
    link = urlsplit(engine.links.url(await engine.store.get(created["id"])))
    for use in (engine.http.get, engine.http.post, engine.http.post):
        assert (await use(f"{link.path}?{link.query}")).ok
    said = {"by": "ana", "minutes": 5, "severity": "info", "channel": "C0DATABASE", "text": "On it"}
    acts = ("acknowledge", "unacknowledge", "acknowledge", "unacknowledge", "snooze", "severity", "route", "comments")
    for action in (*acts, "escalate", "resolve"):
        for _ in range(2):  # the second changes nothing
            assert (await engine.http.post(f"/api/incidents/{created['id']}/{action}", json=said)).ok
    assert (await engine.http.post(f"/api/incidents/{created['id']}/snooze?by=ana&minutes=5")).status == 200
    await engine.settle()
    engine.servicenow.faults.order(Fault(kind="400", times=None))
    [failed] = (await engine.post({"title": "Host down", "id": "h1"}, oncall_wait_minutes="0"))["incidents"]
    for url in (f"/api/incidents/{failed['id']}/retry?by=ana", "/api/retry?by=ana"):
        await engine.settle()
        assert (await engine.http.get("/api/incidents?failed=true")).ok
        assert [(await engine.http.post(url)).status for _ in range(2)] == [201, 200]  # the second finds nothing
    await engine.settle()
    logs.expect_error("sync.failed")
    shown = f"/api/incidents/{created['id']}"
    for path in ("/api/incidents", shown, f"{shown}/payload", *STATIC, PATH):
        assert (await engine.http.get(path)).ok
    assert (await engine.http.post("/api/login-links")).ok
    assert (await engine.http.post("/api/heartbeats/backup")).ok
    assert (await engine.http.get("/api/heartbeats")).ok
    for path in ("/healthz", "/readyz", "/metrics"):
        assert (await engine.http.get(path)).ok
    await use_drop_in_addresses(engine)
    await storm_page(engine)
    await acknowledge_all(engine)
    body = b'payload={"type": "view_closed"}'
    timestamp = engine.clock.now_ms() // 1000
    headers = {"X-Slack-Request-Timestamp": str(timestamp), "X-Slack-Signature": engine.slack.sign(body, timestamp)}
    assert (await engine.http.post(SLACK_PATH, data=body, headers=headers)).status == 200
    ticket, [main, other] = {**RAW, "state": "1"}, paths(EVENTS_PATH)
    for path, token in ((main, TOKEN), (other.format(instance="infra"), TOKEN[::-1])):
        answer = await engine.http.post(path, json=ticket, headers={"Authorization": f"Bearer {token}"})
        assert answer.status == 201


async def use_drop_in_addresses(engine):
    assert (await engine.http.post("/sns", json=ALERT)).status == 201
    event = {"event_action": "trigger", "payload": {"summary": "Disk full"}}
    assert (await engine.http.post("/v2/enqueue", json=event)).status == 202
    headers = {"Authorization": f"GenieKey {INTAKE_TOKEN}"}
    body = {"message": "Disk full", "note": "seen", "description": "full"}
    for base in ("/v2/alerts", "/jsm/ops/integration/v2/alerts"):
        for action in ("", "/a/acknowledge", "/a/close", "/a/notes"):
            answer = await engine.http.post(f"{base}{action}?identifierType=alias", json=body, headers=headers)
            assert answer.status == 202
        for action in ("/a/message", "/a/description"):
            assert (await engine.http.put(f"{base}{action}", json=body, headers=headers)).status == 202
        request_id = (await answer.json())["requestId"]
        assert (await engine.http.get(f"{base}/requests/{request_id}", headers=headers)).status == 200
