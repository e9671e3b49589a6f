"""The last look before a ticket: a real Alertmanager with real silences, and everything that is a doubt."""

import asyncio
import json
import random
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web

from tests.integration.conftest import Engine
from tests.support.factories import make_alert, make_incident
from tests.support.servers import find_program, free_port, run_program
from tests.support.waiting import wait_until
from versus_py.config import AlertmanagerConfig
from versus_py.engine.last_look import AlertmanagerLook, Escalate, Over, Suppressed
from versus_py.simulators import run_app

ALERTMANAGER = """
route: {receiver: versus.team-a, group_wait: 1h}
receivers: [{name: versus.team-a}]
inhibit_rules:
  - source_matchers: [alertname="Datacentre"]
    target_matchers: [alertname="DiskFull"]
"""
RECEIVER = r"versus\.team-a"  # as Alertmanager quotes it in payloads


def call(url: str, data: Any = None, method: str | None = None) -> Any:
    body = None if data is None else json.dumps(data).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=5) as response:
        text = response.read()
        return json.loads(text) if text else None


class RealAlertmanager:
    def __init__(self, url: str) -> None:
        self.url = url

    def is_ready(self) -> bool:
        try:
            call(f"{self.url}/api/v2/status")
        except OSError:
            return False
        return True

    def fire(self, *names: str, **labels: str) -> None:
        now = datetime.now(UTC).isoformat()
        alerts = [{"labels": {"alertname": name, "severity": "critical"} | labels, "startsAt": now} for name in names]
        call(f"{self.url}/api/v2/alerts", alerts)
        wait_until(lambda: set(names) <= self.listed().keys(), what="the alerts to be listed")

    def resolve(self, name: str) -> None:
        past = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
        alert = {"labels": self.listed()[name]["labels"], "endsAt": past}
        call(f"{self.url}/api/v2/alerts", [alert])
        wait_until(lambda: name not in self.listed(), what="the alert to be over")

    def listed(self) -> dict[str, Any]:
        return {alert["labels"]["alertname"]: alert for alert in call(f"{self.url}/api/v2/alerts")}

    def silence(self, name: str, *, minutes: float, by: str = "ana", comment: str = "planned work") -> str:
        silence = {
            "matchers": [{"name": "alertname", "value": name, "isRegex": False, "isEqual": True}],
            "startsAt": datetime.now(UTC).isoformat(),
            "endsAt": (datetime.now(UTC) + timedelta(minutes=minutes)).isoformat(),
            "createdBy": by,
            "comment": comment,
        }
        silence_id: str = call(f"{self.url}/api/v2/silences", silence)["silenceID"]
        self._until(name, "suppressed")
        return silence_id

    def expire(self, silence_id: str, name: str) -> None:
        call(f"{self.url}/api/v2/silence/{silence_id}", method="DELETE")
        self._until(name, "active")

    def _until(self, name: str, state: str) -> None:
        wait_until(lambda: self.listed()[name]["status"]["state"] in {state, "unprocessed"}, what=f"{name} {state}")

    def payload(self, *names: str) -> dict[str, Any]:
        """What it would post for a group of these."""
        listed = self.listed()
        alerts = [
            {
                "status": "firing",
                "labels": listed[name]["labels"],
                "startsAt": listed[name]["startsAt"],
                "fingerprint": listed[name]["fingerprint"],
            }
            for name in names
        ]
        return {"receiver": RECEIVER, "alerts": alerts, "groupKey": "{}:{}", "groupLabels": {}, "version": "4"}


@pytest.fixture(scope="module")
def running(tmp_path_factory) -> Iterator[RealAlertmanager]:
    binary = find_program("prometheus-alertmanager", "prometheus-alertmanager")
    folder = tmp_path_factory.mktemp("alertmanager")
    (folder / "alertmanager.yml").write_text(ALERTMANAGER)
    port = free_port()
    command = [binary, f"--config.file={folder / 'alertmanager.yml'}", f"--storage.path={folder}"]
    command += ["--cluster.listen-address=", f"--web.listen-address=127.0.0.1:{port}"]
    with run_program(command, log=folder / "log"):
        found = RealAlertmanager(f"http://127.0.0.1:{port}")
        wait_until(found.is_ready, what="Alertmanager")
        yield found


@pytest.fixture
def alertmanager(running):
    """The real one, with nothing that fires and no silence."""
    for name in running.listed():
        running.resolve(name)
    for silence in call(f"{running.url}/api/v2/silences"):
        if silence["status"]["state"] != "expired":
            call(f"{running.url}/api/v2/silence/{silence['id']}", method="DELETE")
    return running


@pytest.fixture
def settings(running) -> dict[str, Any]:
    return {"alertmanager": {"url": running.url}}


@pytest.fixture
def looking(engine, clock, session):
    """The engine with an Alertmanager to ask, which has been up for long enough."""
    engine.worker._last_look = AlertmanagerLook(engine.config.alertmanager, clock=clock, session=session)
    clock.advance(minutes=20)
    return engine


@pytest.fixture(autouse=True)
def _no_jitter(monkeypatch):
    monkeypatch.setattr(random, "uniform", lambda low, _high: low)


async def only(engine: Engine) -> dict[str, Any]:
    [listed] = (await (await engine.http.get("/api/incidents")).json())["incidents"]
    return await engine.detail(listed["id"])


async def test_what_still_fires_escalates(looking, alertmanager):
    alertmanager.fire("DiskFull")

    await looking.post(alertmanager.payload("DiskFull"))
    await looking.after(minutes=6)

    assert len(looking.servicenow.incidents) == 1


async def test_what_fires_no_more_is_resolved_quietly(looking, alertmanager):
    alertmanager.fire("DiskFull", "HostDown", instance='db-7 "main"\\x')
    await looking.post(alertmanager.payload("DiskFull", "HostDown"))
    alertmanager.resolve("DiskFull")
    alertmanager.resolve("HostDown")

    await looking.after(minutes=6)

    assert looking.servicenow.calls == []
    assert (await only(looking))["outcome"] == "resolved"
    assert "*Resolved*" in looking.slack.messages[0].text
    assert "Alertmanager, asked before the escalation" in looking.slack.messages[0].shown


async def test_one_of_many_that_fires_is_enough(looking, alertmanager):
    alertmanager.fire("DiskFull", "HostDown")
    await looking.post(alertmanager.payload("DiskFull", "HostDown"))
    alertmanager.resolve("DiskFull")

    await looking.after(minutes=6)

    assert len(looking.servicenow.incidents) == 1


async def test_labels_with_quotes_and_the_like_are_asked_for_as_they_are(looking, alertmanager):
    alertmanager.fire("DiskFull", path='C:\\"x"', umlaut="größe {a=~b}, ☃")

    await looking.post(alertmanager.payload("DiskFull"))
    await looking.after(minutes=6)

    assert len(looking.servicenow.incidents) == 1


async def test_what_is_silenced_waits_for_the_end_of_the_silence_and_then_escalates(looking, alertmanager):
    alertmanager.fire("DiskFull")
    await looking.post(alertmanager.payload("DiskFull"))
    silence = alertmanager.silence("DiskFull", minutes=60)

    await looking.after(minutes=6)

    assert looking.servicenow.calls == []
    found = await only(looking)
    assert found["outcome"] == "suppressed"
    assert found["suppressed_by"] == "silenced by ana (planned work)"
    [message] = looking.slack.messages
    assert "*Suppressed*" in message.text
    assert "silenced by ana (planned work) until <!date^" in message.shown
    await looking.after(minutes=20)
    assert looking.servicenow.calls == []
    assert [entry["event"] for entry in found["timeline"]].count("suppressed") == 1

    alertmanager.expire(silence, "DiskFull")
    await looking.after(minutes=5)

    assert len(looking.servicenow.incidents) == 1
    assert "*Escalated*" in message.text


async def test_what_is_looked_at_again_when_the_silence_ends(looking, alertmanager, clock):
    alertmanager.fire("DiskFull")
    await looking.post(alertmanager.payload("DiskFull"))
    alertmanager.silence("DiskFull", minutes=26)  # of which 20 and more are over by our clock
    await looking.after(minutes=5)
    assert (await only(looking))["outcome"] == "suppressed"

    _, next_ms = await looking.store.claim(now_ms=clock.now_ms(), lease_ms=1, limit=0)

    assert next_ms - clock.now_ms() < 60_000


async def test_somebody_may_acknowledge_what_is_silenced(looking, alertmanager):
    alertmanager.fire("DiskFull")
    await looking.post(alertmanager.payload("DiskFull"))
    silence = alertmanager.silence("DiskFull", minutes=60)
    await looking.after(minutes=6)
    found = await only(looking)

    await looking.http.post(f"/api/incidents/{found['id']}/acknowledge?by=ben")
    alertmanager.expire(silence, "DiskFull")
    await looking.after(hours=1)

    assert looking.servicenow.calls == []
    assert (await only(looking))["outcome"] == "acknowledged"


async def test_a_silence_on_one_of_two_alerts_stops_nothing(looking, alertmanager):
    alertmanager.fire("DiskFull", "HostDown")
    await looking.post(alertmanager.payload("DiskFull", "HostDown"))
    alertmanager.silence("HostDown", minutes=60)

    await looking.after(minutes=6)

    assert len(looking.servicenow.incidents) == 1


async def test_what_is_inhibited_waits_as_long_as_it_is(looking, alertmanager):
    alertmanager.fire("DiskFull")
    await looking.post(alertmanager.payload("DiskFull"))
    alertmanager.fire("Datacentre")
    wait_until(lambda: alertmanager.listed()["DiskFull"]["status"]["inhibitedBy"], what="the inhibition")

    await looking.after(minutes=6)
    assert looking.servicenow.calls == []
    assert (await only(looking))["suppressed_by"] == "inhibited by another alert"

    alertmanager.resolve("Datacentre")
    await looking.after(minutes=6)

    assert len(looking.servicenow.incidents) == 1


async def test_an_alertmanager_that_was_just_started_is_not_believed(engine, alertmanager, clock, session, logs):
    engine.worker._last_look = AlertmanagerLook(engine.config.alertmanager, clock=clock, session=session)
    alertmanager.fire("DiskFull")
    await engine.post(alertmanager.payload("DiskFull"))
    alertmanager.resolve("DiskFull")

    await engine.after(minutes=5)

    assert len(engine.servicenow.incidents) == 1
    [doubt] = [line["reason"] for line in logs if line["event"] == "last_look.doubt"]
    assert "has not been up for 10 minutes" in doubt


async def test_another_alertmanager_than_the_one_that_sent_it_is_not_believed(looking, alertmanager, logs):
    alertmanager.fire("DiskFull")
    await looking.post(alertmanager.payload("DiskFull") | {"receiver": "somebody-elses"})
    alertmanager.resolve("DiskFull")

    await looking.after(minutes=6)

    assert len(looking.servicenow.incidents) == 1
    assert any("no receiver 'somebody-elses'" in str(line.get("reason")) for line in logs)


async def test_a_repeat_while_it_is_silenced_changes_nothing_and_a_resolve_ends_it(looking, alertmanager):
    alertmanager.fire("DiskFull")
    payload = alertmanager.payload("DiskFull")
    await looking.post(payload)
    alertmanager.silence("DiskFull", minutes=60)
    await looking.after(minutes=6)

    await looking.post(payload)
    await looking.after(minutes=1)
    assert (await only(looking))["outcome"] == "suppressed"
    payload["alerts"][0]["status"] = "resolved"
    await looking.post(payload)
    await looking.after(minutes=10)

    assert looking.servicenow.calls == []
    assert (await only(looking))["outcome"] == "resolved"


# What no real Alertmanager does at will.

FINGERPRINT = "0123456789abcdef"
ALERT = make_alert(fingerprint=FINGERPRINT)
KNOWN = {"fingerprint": FINGERPRINT, "status": {"state": "suppressed", "silencedBy": ["s1"], "inhibitedBy": []}}
SILENCE = {"endsAt": "2030-01-01T00:00:00Z", "createdBy": "ana", "comment": ""}
STATUS = {"uptime": "2020-01-01T00:00:00Z"}
RECEIVERS = [{"name": "team"}]


async def ask(
    session, clock, answers: dict[str, Any], incident: Any = None, **config: Any
) -> tuple[Any, list[web.Request]]:
    """The verdict of an Alertmanager with these answers, and the requests it got."""
    asked: list[web.Request] = []
    everything = {"alerts": [KNOWN], "silence": SILENCE, "status": STATUS, "receivers": RECEIVERS} | answers

    async def handle(request: web.Request) -> web.Response:
        asked.append(request)
        answer = everything[request.path.split("/")[3]]
        if isinstance(answer, asyncio.Event):
            await answer.wait()
            return web.Response()
        return answer if isinstance(answer, web.Response) else web.json_response(answer)

    app = web.Application()
    app.router.add_get("/{path:.*}", handle)
    async with run_app(app) as url:
        look = AlertmanagerLook(AlertmanagerConfig.model_validate({"url": url} | config), clock=clock, session=session)
        return await look.ask(incident or make_incident(ALERT, receiver="team")), asked


async def test_all_being_well_the_verdict_is_what_is_said(session, clock):
    assert (await ask(session, clock, {}))[0] == Suppressed("silenced by ana", 1893456000000)
    assert isinstance((await ask(session, clock, {"alerts": []}))[0], Over)


@pytest.mark.parametrize(
    "answers",
    [
        {"alerts": {}},
        {"alerts": web.Response(text="<html>", content_type="text/html")},
        {"alerts": web.Response(status=500)},
        {"alerts": web.Response(status=302, headers={"Location": "/api/v2/status"})},
        {"alerts": [KNOWN, {"fingerprint": FINGERPRINT, "status": {"state": "active"}}]},
        {"alerts": [{"fingerprint": FINGERPRINT, "status": {"state": "unprocessed"}}]},
        {"alerts": [{"fingerprint": FINGERPRINT}]},
        {"alerts": [{"fingerprint": FINGERPRINT, "status": {"state": "suppressed"}}]},
        {"alerts": [{"fingerprint": FINGERPRINT, "status": {"state": "suppressed", "silencedBy": ["../status"]}}]},
        {"silence": web.Response(status=404)},
        {"silence": {"createdBy": "ana"}},
        {"silence": {"endsAt": "soon"}},
        {"alerts": [], "status": {}},
        {"alerts": [], "status": {"uptime": "2099-01-01T00:00:00Z"}},
        {"alerts": [], "status": web.Response(status=503)},
        {"alerts": [], "receivers": []},
        {"alerts": [], "receivers": {"name": "team"}},
    ],
    ids=str,
)
async def test_every_doubt_escalates(session, clock, answers):
    assert (await ask(session, clock, answers))[0] == Escalate()


async def test_an_answer_without_end_is_a_doubt(session, clock, monkeypatch):
    monkeypatch.setattr("versus_py.engine.alertmanager_api.BODY_MAX", 1000)

    assert (await ask(session, clock, {"alerts": [KNOWN | {"x": "y" * 2000}]}))[0] == Escalate()


async def test_nobody_there_is_a_doubt(session, clock):
    look = AlertmanagerLook(AlertmanagerConfig(url="http://127.0.0.1:1"), clock=clock, session=session)

    assert await look.ask(make_incident(ALERT, receiver="team")) == Escalate()


async def test_an_answer_that_takes_too_long_is_a_doubt(session, clock, monkeypatch):
    monkeypatch.setattr("versus_py.engine.last_look.TIMEOUT_S", 0.1)
    release = asyncio.Event()
    asyncio.get_running_loop().call_later(0.3, release.set)

    assert (await ask(session, clock, {"alerts": release}))[0] == Escalate()


async def test_incidents_of_other_sources_are_not_asked_about(session, clock):
    look = AlertmanagerLook(AlertmanagerConfig(url="http://127.0.0.1:1"), clock=clock, session=session)

    assert await look.ask(make_incident(source="grafana")) == Escalate()


@pytest.mark.parametrize(
    ("auth", "header"),
    [
        ({}, None),
        ({"bearer_token": "t0ken"}, "Bearer t0ken"),
        ({"username": "u", "password": "p"}, "Basic dTpw"),
    ],
)
async def test_it_logs_in_as_configured(session, clock, auth, header):
    _, asked = await ask(session, clock, {}, auth=auth)

    assert asked[0].headers.get("Authorization") == header


@pytest.mark.parametrize(
    "incident",
    [
        make_incident(ALERT, receiver="team", truncated_alerts=3),
        make_incident(ALERT, make_alert("Other", fingerprint="labels-0123"), receiver="team"),
        replace(make_incident(ALERT, receiver="team"), has_other_senders=True),
    ],
    ids=["cut off", "no fingerprint", "other senders"],
)
async def test_what_alertmanager_cannot_know_is_not_asked(session, clock, incident):
    look = AlertmanagerLook(AlertmanagerConfig(url="http://127.0.0.1:1"), clock=clock, session=session)

    assert await look.ask(incident) == Escalate()


async def test_an_alert_that_is_not_known_beside_a_silenced_one_is_a_doubt(session, clock):
    both = make_incident(ALERT, make_alert("Other", fingerprint="fedcba9876543210"), receiver="team")

    verdict, _ = await ask(session, clock, {"status": {"uptime": "2099-01-01T00:00:00Z"}}, incident=both)

    assert verdict == Escalate()


class Look:
    """A look during which something happens."""

    def __init__(self, during, verdict):
        self.during, self.verdict, self.asked = during, verdict, 0

    async def ask(self, _):
        self.asked += 1
        if self.asked == 1:
            await self.during()
        return self.verdict if self.asked == 1 else Escalate()


def group(*names: str, resolved: tuple[str, ...] = ()) -> dict[str, Any]:
    alerts = [
        {"status": "resolved" if name in resolved else "firing", "labels": {"alertname": name}, "fingerprint": name}
        for name in (*names, *resolved)
    ]
    return {"receiver": "r", "alerts": alerts, "groupKey": "{}:{}", "version": "4"}


@pytest.mark.parametrize("verdict", [Over("am"), Suppressed("ana", None)])
async def test_an_alert_that_joins_during_the_look_is_looked_at_anew(engine, verdict):
    await engine.post(group("A"))
    engine.worker._last_look = Look(lambda: engine.post(group("B", resolved=("A",))), verdict)

    await engine.after(minutes=6)

    assert (await only(engine))["outcome"] == "escalated"
    assert engine.worker._last_look.asked == 2


@pytest.mark.parametrize("verdict", [Over("am"), Suppressed("ana", None), Escalate()])
async def test_an_acknowledgment_during_the_look_stands(engine, verdict):
    await engine.post(group("A"))

    async def acknowledge():
        found = await only(engine)
        await engine.http.post(f"/api/incidents/{found['id']}/acknowledge?by=ana")

    engine.worker._last_look = Look(acknowledge, verdict)
    await engine.after(minutes=6)

    assert (await only(engine))["outcome"] == "acknowledged"
    assert engine.servicenow.calls == []


async def test_a_look_that_fails_stops_no_escalation(engine, logs):
    class Broken:
        async def ask(self, _):
            raise TypeError("odd")

    engine.worker._last_look = Broken()
    await engine.post(group("A"))
    await engine.after(minutes=6)

    logs.expect_error("last_look.crashed")
    assert (await only(engine))["outcome"] == "escalated"


async def test_an_alert_that_joins_what_is_silenced_is_looked_at_at_once(engine):
    async def nothing():
        pass

    engine.worker._last_look = Look(nothing, Suppressed("ana", None))
    await engine.post(group("A"))
    await engine.after(minutes=5)
    assert (await only(engine))["outcome"] == "suppressed"

    await engine.post(group("A", "B"))
    await engine.worker.run_due()

    assert len(engine.servicenow.incidents) == 1
