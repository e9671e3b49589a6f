"""The page of health in the web UI: who sees it and may have it checked; it waits for nobody, and tells no secret."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from html import unescape
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import TestClient, TestServer

from tests.integration.conftest import PASSWORD, TOKEN, Engine, make_storms
from tests.integration.web.test_ui_incidents import ANA, BEN, HOSTILE, OURS, SETTINGS, created, toast
from versus_py.engine.checkup import Checkup
from versus_py.engine.health import Health
from versus_py.engine.presence import Presence
from versus_py.errors import StoreUnavailable
from versus_py.simulators.slack.errors import ErrorOrder
from versus_py.sources.sns import SnsDoor
from versus_py.store.journal import Journal
from versus_py.store.replicas import Circuit, Replica, Replicas
from versus_py.systems import called
from versus_py.targets.check import Check, CheckStatus
from versus_py.web import create_app

GATEWAY_SECRET = "gateway-secret-of-health"
FOUND = [
    Check("Redis", CheckStatus.OK, "version 7.4"),
    Check("Slack", CheckStatus.FAILED, f"Slack says invalid_auth to {TOKEN}", "set alert.slack.token"),
    Check(f"Alertmanager http://ana:pass@am/{PASSWORD}", CheckStatus.WARNING, HOSTILE, HOSTILE),
]


class Doctor:
    """Answers when it may."""

    def __init__(self) -> None:
        self.runs = 0
        self.may_end = asyncio.Event()
        self.may_end.set()

    async def __call__(self) -> Sequence[Check]:
        self.runs += 1
        await self.may_end.wait()
        return FOUND


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, Any]:
    beats = [{"name": "nightly", "every": "1h"}, {"name": "never", "every": "1h"}]
    journal = {"keep": "file", "file": str(tmp_path / "journal.jsonl")}
    return {**SETTINGS, "gateway_secret": GATEWAY_SECRET, "heartbeats": beats, "journal": journal}


@pytest.fixture
def slack_settings() -> dict[str, Any]:
    return {"channels": {"leads": "C0LEADS"}}


@pytest.fixture
def doctor() -> Doctor:
    return Doctor()


@pytest.fixture
async def http(
    engine: Engine, session: aiohttp.ClientSession, journal: Journal, doctor: Doctor
) -> AsyncIterator[TestClient[Any, Any]]:
    """As the service builds it."""

    def here() -> Replica:
        now_ms = engine.clock.now_ms()
        return Replica("a 1", "versus-0", "1.2.0", now_ms - 5_000, now_ms, circuits=engine.worker.circuits)

    replicas = Replicas(engine.store._redis)
    checkup = Checkup(doctor, replicas, engine.clock, by="versus-0", rest_ms=0)
    app = create_app(
        engine.config,
        store=engine.store,
        lifecycle=engine.lifecycle,
        storms=make_storms(engine.store),
        links=engine.links,
        sns=SnsDoor(engine.config.sources.cloudwatch, session),
        called=called(),
        metrics=engine.metrics,
        health=Health(engine.store, engine.clock, engine.metrics, worker=engine.worker, watchdog=engine.watchdog),
        clock=engine.clock,
        journal=journal,
        presence=Presence(replicas, here),
        checkup=checkup,
    )
    running = asyncio.create_task(checkup.run(asyncio.Event()))
    await engine.worker.run_due()
    await engine.watchdog.look()
    async with TestClient(TestServer(app)) as client:
        yield client
    running.cancel()


async def health(http: TestClient[Any, Any], who: Mapping[str, str] = ANA) -> str:
    response = await http.get("/health", headers={**OURS, **who})
    text = await response.text()
    assert response.status == 200, text
    return text


async def check(http: TestClient[Any, Any], who: Mapping[str, str] = ANA, **headers: str) -> tuple[int, str]:
    """The status of the form's answer, and what the page says of it then."""
    response = await http.post("/health", headers={**OURS, **who, **headers}, allow_redirects=False)
    if response.status != 303:
        return response.status, await response.text()
    assert response.headers["Location"] == "/health"
    cookies = "; ".join(f"{name}={it.value}" for name, it in response.cookies.items())
    shown = await http.get("/health", headers={**OURS, **who, "Cookie": cookies})
    return response.status, toast(await shown.text())


def rows(text: str) -> dict[str, str]:
    """The name of each finding -> its word."""
    found = re.findall(r'<li class="row"><p class="due[^>]*>.*?</svg>(\w+)</p><div class="what"><h3>(.*?)</h3>', text)
    return {unescape(name): word for word, name in found}


async def test_the_first_look_waits_for_no_check_and_the_next_one_shows_them(http, doctor):
    doctor.may_end.clear()

    text = await health(http)
    assert "Not checked yet" in text
    assert "The checks run now" in text
    assert "Look again" in text, "also without a script"
    assert rows(text)["Escalations"] == "OK"

    doctor.may_end.set()
    assert await check(http) == (303, "Checked")
    text = await health(http)
    assert rows(text) | {"Slack": "Failed", "Redis": "OK"} == rows(text)
    assert "by versus-0" in text
    assert "To do:</b> set alert.slack.token" in text


async def test_a_form_is_answered_although_the_checks_hang(http, doctor, monkeypatch):
    monkeypatch.setattr("versus_py.web.pages.ui.health_page.SETTLES_S", 0.01)
    doctor.may_end.clear()

    assert await check(http) == (303, "Still checking")
    doctor.may_end.set()


async def test_no_request_asks_a_remote_system(engine, http, doctor, slack, servicenow):
    doctor.may_end.clear()
    before = len(slack.calls), len(servicenow.calls)

    await health(http)
    await health(http, BEN)

    assert (len(slack.calls), len(servicenow.calls)) == before
    assert doctor.runs == 1, "in the background, and once"


async def test_a_viewer_sees_the_same_and_may_not_have_it_checked(http, doctor):
    await check(http)

    text = await health(http, BEN)

    assert rows(text)["Slack"] == "Failed"
    assert "Check now" not in text
    status, said = await check(http, BEN)
    assert status == 403
    assert "you can look, not act" in said
    assert doctor.runs == 1


async def test_a_form_of_another_site_checks_nothing(http, doctor):
    status, _ = await check(http, ANA, **{"Sec-Fetch-Site": "cross-site"})

    assert (status, doctor.runs) == (403, 0)


@pytest.mark.parametrize("who", [ANA, BEN], ids=["responder", "viewer"])
async def test_no_secret_is_shown_and_html_is_text(engine, http, who):
    replica = Replica("b 1", HOSTILE, HOSTILE, 0, engine.clock.now_ms(), circuits={"slack": Circuit(f"of {TOKEN}", 0)})
    await Replicas(engine.store._redis).attend(replica)
    await check(http)

    text = await health(http, who)

    for secret in (*engine.config.secrets(), GATEWAY_SECRET, "ana:pass"):
        assert secret not in text
    assert "does not answer" in text
    assert "Slack says invalid_auth to **********" in text
    assert "<script>alert" not in text
    assert HOSTILE in unescape(text)


async def test_queue_failures_heartbeats_journal_and_replicas_are_shown(engine, http, slack, logs):
    slack.errors.order(ErrorOrder(error="channel_not_found", method="chat.postMessage", times=None))
    incident_id = await created(engine)
    await engine.http.post("/api/heartbeats/nightly")
    now_ms = engine.clock.now_ms()
    replicas = Replicas(engine.store._redis)
    await replicas.attend(Replica("b 1", "versus-1", "1.1.0", now_ms - 5_000, now_ms, has_api=False, ahead_ms=3))
    await engine.watchdog.look()

    text = await health(http)

    assert rows(text) == {
        "Failed deliveries": "Warning",
        "Replicas": "Warning",
        "Heartbeat never": "Warning",
        "Redis": "OK",
        "Escalations": "OK",
        "Slack": "OK",
        "Slack leads": "OK",
        "ServiceNow": "OK",
        "Heartbeat nightly": "OK",
        "Journal": "OK",
    }
    assert "run different versions: 1.1.0, 1.2.0" in text
    assert "versus-1 <small>worker</small>" in text
    assert "+3 ms" in text
    assert "have it sent: POST /api/heartbeats/never" in text
    assert str(engine.config.journal_file) in text
    assert incident_id not in text
    assert "Alerts are accepted, and escalate." in text
    logs.expect_error("sync.failed")


async def test_a_silent_heartbeat_leads_to_its_incident(engine, http):
    await engine.http.post("/api/heartbeats/nightly")
    await engine.after(hours=1)

    text = await health(http)

    assert rows(text)["Heartbeat nightly"] == "Failed"
    assert re.search(r'href="/incidents/[^"]+">Show</a>', text)


async def test_the_page_is_there_while_redis_is_away(engine, http, monkeypatch, logs):
    async def away(*_: object, **__: object) -> Any:
        raise StoreUnavailable("away")

    monkeypatch.setattr(engine.store, "prove_writable", away)
    for owner, name in ((engine.store, "heartbeats"), (engine.store.standings, "all_open"), (Replicas, "known")):
        monkeypatch.setattr(owner, name, pytest.fail)

    text = await health(http)

    assert rows(text)["Redis"] == "Failed"
    assert '<th scope="row">versus-0</th>' in text
    assert "check that it runs and is reached" in text


async def test_without_a_doctor_the_page_says_what_the_server_knows(engine):
    response = await engine.http.get("/health", headers={**OURS, **ANA})
    text = await response.text()

    assert response.status == 200
    assert "Check now" not in text
    assert "versus doctor" in text
    response = await engine.http.post("/health", headers={**OURS, **ANA})
    assert response.status == 404
