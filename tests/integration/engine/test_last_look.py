"""The last look before a ticket: real Alertmanagers with real silences, and everything that is a doubt."""

import asyncio
import json
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.integration.conftest import Engine
from tests.support.claims import claim_due
from tests.support.factories import make_alert, make_incident, make_notification
from tests.support.servers import find_program, free_port, run_program
from tests.support.waiting import wait_until
from versus_py.config import AlertmanagerConfig
from versus_py.engine import last_look
from versus_py.engine.alertmanager_api import Doubt
from versus_py.engine.last_look import AlertmanagerLook, Escalate, Over, Suppressed, raise_if_unknowable
from versus_py.engine.retries import SPREAD
from versus_py.incidents.copies import replace
from versus_py.incidents.listings import merged
from versus_py.incidents.model import Alert
from versus_py.simulators import run_app
from versus_py.store import keys

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

    def peers(self) -> int:
        """How many it has in its cluster, itself included."""
        return len(call(f"{self.url}/api/v2/status")["cluster"]["peers"])

    def calm_down(self) -> None:
        """Nothing fires any more, and nothing is silenced."""
        for name in self.listed():
            self.resolve(name)
        for silence in call(f"{self.url}/api/v2/silences"):
            if silence["status"]["state"] != "expired":
                call(f"{self.url}/api/v2/silence/{silence['id']}", method="DELETE")

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


@contextmanager
def run_alertmanager(folder: Path, *options: str) -> Iterator[RealAlertmanager]:
    binary = find_program("prometheus-alertmanager", "prometheus-alertmanager")
    (folder / "alertmanager.yml").write_text(ALERTMANAGER)
    port = free_port()
    command = [binary, f"--config.file={folder / 'alertmanager.yml'}", f"--storage.path={folder}", *options]
    with run_program([*command, f"--web.listen-address=127.0.0.1:{port}"], log=folder / "log"):
        found = RealAlertmanager(f"http://127.0.0.1:{port}")
        wait_until(found.is_ready, what="Alertmanager")
        yield found


@pytest.fixture(scope="module")
def running(tmp_path_factory) -> Iterator[RealAlertmanager]:
    with run_alertmanager(tmp_path_factory.mktemp("alertmanager"), "--cluster.listen-address=") as found:
        yield found


@pytest.fixture(scope="module")
def running_peers(tmp_path_factory) -> Iterator[list[RealAlertmanager]]:
    ports = [free_port(), free_port()]
    peers = [f"--cluster.peer=127.0.0.1:{port}" for port in ports]
    with ExitStack() as stack:
        found = [
            stack.enter_context(
                run_alertmanager(tmp_path_factory.mktemp("peer"), f"--cluster.listen-address=127.0.0.1:{port}", *peers)
            )
            for port in ports
        ]
        wait_until(lambda: {it.peers() for it in found} == {2}, what="a cluster of two")
        yield found


@pytest.fixture
def alertmanager(running):
    """The real one, with nothing that fires and no silence."""
    running.calm_down()
    return running


@pytest.fixture
def peers(running_peers):
    """Two real ones in a cluster, likewise."""
    for peer in running_peers:
        peer.calm_down()
    return running_peers


@pytest.fixture
def settings(running) -> dict[str, Any]:
    return {"alertmanager": {"url": running.url}}


@pytest.fixture
def looking(engine, clock, session, monkeypatch):
    """The engine with an Alertmanager to ask, which is believed as soon as it is up."""
    monkeypatch.setattr(last_look, "UPTIME_MIN_MS", -60_000)
    engine.worker._last_look = AlertmanagerLook(engine.config.alertmanager, clock=clock, session=session)
    return engine


@pytest.fixture(autouse=True)
def _no_jitter(monkeypatch):
    monkeypatch.setattr(SPREAD, "uniform", lambda low, _high: low)


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
    alertmanager.silence("DiskFull", minutes=1)  # by its own clock, which hardly moves
    await looking.after(minutes=5)
    assert (await only(looking))["outcome"] == "suppressed"

    _, next_ms = await claim_due(looking.store, now_ms=clock.now_ms(), lease_ms=1, limit=10)

    assert 0 < next_ms - clock.now_ms() < 60_000  # any other look is five minutes later


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


async def test_what_is_inhibited_is_on_the_ledger_by_its_next_look_and_brought_back_when_that_is_lost(
    looking, alertmanager, logs
):
    alertmanager.fire("DiskFull")
    [created] = (await looking.post(alertmanager.payload("DiskFull")))["incidents"]
    alertmanager.fire("Datacentre")
    wait_until(lambda: alertmanager.listed()["DiskFull"]["status"]["inhibitedBy"], what="the inhibition")
    for _ in range(40):
        await looking.after(minutes=1)
        standing = await looking.watchdog.look()
        assert (standing.pending, standing.overdue) == (1, 0)
    timers = keys.of_incident(created["id"], "timers")
    assert await looking.store._redis.zrem(timers, f"{created['id']}|servicenow") == 1
    alertmanager.resolve("Datacentre")

    looking.clock.advance(minutes=8)
    await looking.watchdog.look()
    await looking.settle()

    assert len(looking.servicenow.incidents) == 1
    logs.expect_error("escalation.overdue")
    logs.expect_error("escalation.rearmed")


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


# A cluster of two. Alerts are not gossiped: each knows what was sent to itself.


@pytest.fixture
def looking_at(looking, clock, session):
    """The engine, with these Alertmanagers to ask."""

    def look(*alertmanagers: RealAlertmanager) -> Any:
        config = AlertmanagerConfig.model_validate({"url": [it.url for it in alertmanagers]})
        looking.worker._last_look = AlertmanagerLook(config, clock=clock, session=session)
        return looking

    return look


async def test_one_peer_of_a_cluster_that_lists_nothing_is_not_believed(looking_at, peers, logs):
    first, second = peers
    engine = looking_at(first)
    second.fire("DiskFull")

    await engine.post(second.payload("DiskFull"))
    await engine.after(minutes=6)

    assert len(engine.servicenow.incidents) == 1
    [doubt] = [line["reason"] for line in logs if line["event"] == "last_look.doubt"]
    assert doubt == "alertmanager.url, with 1 URL, reaches 1 of the cluster's 2 peers"


async def test_what_fires_at_one_of_the_peers_that_are_asked_escalates(looking_at, peers, logs):
    engine = looking_at(*peers)
    peers[1].fire("DiskFull")

    await engine.post(peers[1].payload("DiskFull"))
    await engine.after(minutes=6)

    assert len(engine.servicenow.incidents) == 1
    assert [line["verdict"] for line in logs if line["event"] == "last_look.answered"] == ["escalate"]


async def test_what_is_over_at_every_peer_is_resolved_quietly(looking_at, peers):
    engine = looking_at(*peers)
    for peer in peers:
        peer.fire("DiskFull")
    await engine.post(peers[0].payload("DiskFull"))
    for peer in peers:
        peer.resolve("DiskFull")

    await engine.after(minutes=6)

    assert engine.servicenow.calls == []
    assert (await only(engine))["outcome"] == "resolved"


async def test_a_silence_of_one_peer_is_one_of_all_and_is_believed_of_each(looking_at, peers):
    first, second = peers
    engine = looking_at(second)
    for peer in peers:
        peer.fire("DiskFull")
    await engine.post(first.payload("DiskFull"))
    first.silence("DiskFull", minutes=60)
    wait_until(lambda: second.listed()["DiskFull"]["status"]["silencedBy"], what="the silence at the other peer")

    await engine.after(minutes=6)

    assert engine.servicenow.calls == []
    assert (await only(engine))["suppressed_by"] == "silenced by ana (planned work)"


async def test_an_inhibition_that_the_other_peer_may_not_know_of_stops_nothing(looking_at, peers):
    first, second = peers
    engine = looking_at(first)
    for peer in peers:
        peer.fire("DiskFull")
    await engine.post(second.payload("DiskFull"))
    first.fire("Datacentre")
    wait_until(lambda: first.listed()["DiskFull"]["status"]["inhibitedBy"], what="the inhibition")

    await engine.after(minutes=6)

    assert len(engine.servicenow.incidents) == 1


# What no real Alertmanager does at will.

FINGERPRINT = "0123456789abcdef"
ALERT = make_alert(fingerprint=FINGERPRINT)
KNOWN = {"fingerprint": FINGERPRINT, "status": {"state": "suppressed", "silencedBy": ["s1"], "inhibitedBy": []}}
SILENCE = {"endsAt": "2030-01-01T00:00:00Z", "createdBy": "ana", "comment": ""}
STATUS = {"uptime": "2020-01-01T00:00:00Z", "cluster": {"status": "disabled", "peers": []}}
RECEIVERS = [{"name": "team"}]


def status_of(name: str, *peers: str, **changes: Any) -> dict[str, Any]:
    """The status of the peer with this *name* in a cluster of these *peers*."""
    return STATUS | {"cluster": {"status": "ready", "name": name, "peers": [{"name": it} for it in peers]}} | changes


async def ask_each(
    session, clock, each: Sequence[dict[str, Any]], incident: Any = None, **config: Any
) -> tuple[Any, list[web.Request]]:
    """The verdict of Alertmanagers, one with each of these answers, and the requests they got."""
    asked: list[web.Request] = []

    def serving(answers: dict[str, Any]) -> web.Application:
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
        return app

    async with AsyncExitStack() as stack:
        urls = [await stack.enter_async_context(run_app(serving(answers))) for answers in each]
        look = AlertmanagerLook(AlertmanagerConfig.model_validate({"url": urls} | config), clock=clock, session=session)
        return await look.ask(incident or make_incident(ALERT, receiver="team")), asked


async def ask(
    session, clock, answers: dict[str, Any], incident: Any = None, **config: Any
) -> tuple[Any, list[web.Request]]:
    """The same of one Alertmanager."""
    return await ask_each(session, clock, [answers], incident, **config)


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
        {"alerts": [], "status": {"uptime": "2020-01-01T00:00:00Z"}},
        {"alerts": [], "status": STATUS | {"cluster": {"status": "ready"}}},
        {"alerts": [], "status": STATUS | {"cluster": {"status": "ready", "name": "a", "peers": []}}},
        {"alerts": [], "status": STATUS | {"cluster": {"status": "ready", "name": "a", "peers": {"name": "a"}}}},
        {"alerts": [], "status": STATUS | {"cluster": {"status": "ready", "name": "a", "peers": [{"name": 1}]}}},
        {"alerts": [], "status": STATUS | {"cluster": {"status": "disabled", "name": "a", "peers": [{"name": "b"}]}}},
    ],
    ids=str,
)
async def test_every_doubt_escalates(session, clock, answers):
    assert (await ask(session, clock, answers))[0] == Escalate()


async def test_an_answer_without_end_is_a_doubt(session, clock, monkeypatch):
    monkeypatch.setattr("versus_py.engine.alertmanager_api.BODY_MAX", 1000)

    assert (await ask(session, clock, {"alerts": [KNOWN | {"x": "y" * 2000}]}))[0] == Escalate()


HOUR_S = 3600


@pytest.mark.parametrize("ahead_s", [HOUR_S, -HOUR_S])
async def test_what_an_alertmanager_says_of_times_is_by_its_own_clock(session, clock, ahead_s):
    now_s = clock.now_ms() / 1000
    ends_ms = round(now_s + 600 + ahead_s) * 1000
    headers = {"Date": formatdate(now_s + ahead_s, usegmt=True)}
    silence = SILENCE | {"endsAt": datetime.fromtimestamp(ends_ms / 1000, UTC).isoformat()}
    uptimes = {at_s: datetime.fromtimestamp(now_s + ahead_s - at_s, UTC).isoformat() for at_s in (500, 700)}

    suppressed, _ = await ask(session, clock, {"silence": web.json_response(silence, headers=headers)})
    verdicts = [
        (await ask(session, clock, {"alerts": [], "status": web.json_response(status, headers=headers)}))[0]
        for status in (STATUS | {"uptime": it} for it in uptimes.values())
    ]

    assert suppressed.until_ms == pytest.approx(ends_ms - ahead_s * 1000, abs=2000)
    assert verdicts[0] == Escalate()
    assert isinstance(verdicts[1], Over)


async def test_nobody_there_is_a_doubt(session, clock):
    look = AlertmanagerLook(
        AlertmanagerConfig.model_validate({"url": "http://127.0.0.1:1"}), clock=clock, session=session
    )

    assert await look.ask(make_incident(ALERT, receiver="team")) == Escalate()


async def test_an_answer_that_takes_too_long_is_a_doubt(session, clock, monkeypatch):
    monkeypatch.setattr("versus_py.engine.last_look.TIMEOUT_S", 0.1)
    release = asyncio.Event()
    asyncio.get_running_loop().call_later(0.3, release.set)

    assert (await ask(session, clock, {"alerts": release}))[0] == Escalate()


async def test_incidents_of_other_sources_are_not_asked_about(session, clock):
    look = AlertmanagerLook(
        AlertmanagerConfig.model_validate({"url": "http://127.0.0.1:1"}), clock=clock, session=session
    )

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
    look = AlertmanagerLook(
        AlertmanagerConfig.model_validate({"url": "http://127.0.0.1:1"}), clock=clock, session=session
    )

    assert await look.ask(incident) == Escalate()


async def test_an_alert_that_is_not_known_beside_a_silenced_one_is_a_doubt(session, clock):
    both = make_incident(ALERT, make_alert("Other", fingerprint="fedcba9876543210"), receiver="team")

    verdict, _ = await ask(session, clock, {"status": {"uptime": "2099-01-01T00:00:00Z"}}, incident=both)

    assert verdict == Escalate()


NOTHING: dict[str, Any] = {"alerts": []}
FIRING = {"alerts": [KNOWN | {"status": {"state": "active"}}]}
A, B = {"status": status_of("a", "a", "b")}, {"status": status_of("b", "a", "b")}
INHIBITED = {"alerts": [KNOWN | {"status": {"state": "suppressed", "inhibitedBy": ["fedcba9876543210"]}}]}


@pytest.mark.parametrize(
    ("each", "verdict"),
    [
        pytest.param([NOTHING | A, NOTHING | B], Over, id="over at both"),
        pytest.param([NOTHING, NOTHING], Over, id="over at two that are no cluster"),
        pytest.param([NOTHING, NOTHING | {"status": status_of("a", "a")}], Over, id="one alone and a cluster of one"),
        pytest.param([NOTHING | A, FIRING | B], Escalate, id="fires at the second"),
        pytest.param([{} | A, FIRING | B], Escalate, id="silenced at the first, fires at the second"),
        pytest.param([{} | A, NOTHING | B], Suppressed, id="silenced at the first"),
        pytest.param([{}, INHIBITED], Suppressed, id="silenced at the first, inhibited at the second"),
        pytest.param([INHIBITED | A, INHIBITED | B], Suppressed, id="inhibited at both"),
        pytest.param([INHIBITED | A], Escalate, id="inhibited at one that has a peer"),
        pytest.param([{} | A], Suppressed, id="silenced at one that has a peer"),
        pytest.param([NOTHING | A], Escalate, id="over at one that has a peer"),
        pytest.param([NOTHING | A, NOTHING], Escalate, id="a peer and one that is none"),
        pytest.param([NOTHING | A, NOTHING | A], Escalate, id="one peer twice"),
        pytest.param([NOTHING | {"status": status_of("a", "a")}] * 2, Escalate, id="one that is alone twice"),
        pytest.param(
            [NOTHING | A, NOTHING | {"status": status_of("b", "a", "b", "c")}], Escalate, id="only one knows the third"
        ),
        pytest.param(
            [NOTHING | A, NOTHING | {"status": status_of("b", "a", "b", uptime="2099-01-01T00:00:00Z")}],
            Escalate,
            id="the second just started",
        ),
        pytest.param([NOTHING | A, NOTHING | B | {"receivers": []}], Escalate, id="the second has no such receiver"),
        pytest.param([NOTHING | A, NOTHING | B | {"status": web.Response(status=403)}], Escalate, id="no status"),
        pytest.param([{}, {"alerts": web.Response(status=500)}], Escalate, id="silenced at the first, error"),
        pytest.param([{}, {"alerts": {}}], Escalate, id="silenced at the first, odd answer"),
    ],
)
async def test_what_several_alertmanagers_say_together(session, clock, each, verdict):
    assert isinstance((await ask_each(session, clock, each))[0], verdict)


async def test_of_two_alerts_one_may_be_over_at_both_while_the_other_is_silenced(session, clock):
    both = make_incident(ALERT, make_alert("Other", fingerprint="fedcba9876543210"), receiver="team")

    assert isinstance((await ask_each(session, clock, [{} | A, NOTHING | B], both))[0], Suppressed)
    assert (await ask_each(session, clock, [{} | A], both))[0] == Escalate()


async def test_silences_at_alertmanagers_that_are_no_cluster_count_until_the_first_end(session, clock):
    sooner = KNOWN | {"status": {"state": "suppressed", "silencedBy": ["s2"]}}
    each = [{}, {"alerts": [sooner], "silence": SILENCE | {"endsAt": "2029-01-01T00:00:00Z", "createdBy": "ben"}}]

    verdict, asked = await ask_each(session, clock, each)

    assert verdict == Suppressed("silenced by ana; silenced by ben", 1861920000000)
    assert [it.path for it in asked if "silence/" in it.path] == ["/api/v2/silence/s1", "/api/v2/silence/s2"]


async def test_a_silence_that_all_peers_name_is_read_once(session, clock):
    _, asked = await ask_each(session, clock, [{} | A, {} | B])

    assert [it.path for it in asked if "silence/" in it.path] == ["/api/v2/silence/s1"]


async def test_all_are_asked_at_once_and_what_hangs_or_fails_is_named(session, clock, monkeypatch, logs):
    monkeypatch.setattr("versus_py.engine.last_look.TIMEOUT_S", 0.2)
    release = asyncio.Event()
    asyncio.get_running_loop().call_later(0.5, release.set)
    each: list[dict[str, Any]] = [
        {"alerts": release},
        {"alerts": web.Response(status=502)},
        NOTHING,
        {"alerts": release},
    ]

    verdict, asked = await ask_each(session, clock, each, auth={"username": "u", "password": "pr1vate"})

    assert verdict == Escalate()
    assert [it.path for it in asked] == ["/api/v2/alerts"] * 4
    [doubt] = [line for line in logs if line["event"] == "last_look.doubt"]
    reasons = dict(it.split(": ") for it in doubt["reason"].split("; "))
    assert [*reasons.values()] == ["no answer within 0.2 s", "/api/v2/alerts answered 502", "no answer within 0.2 s"]
    assert reasons.keys() < {str(it.url.origin()) for it in asked}
    assert "pr1vate" not in str(doubt)


@pytest.mark.parametrize(("senders", "urls", "is_doubt"), [(1, 1, False), (2, 2, False), (2, 1, True), (3, 2, True)])
def test_more_senders_than_there_are_to_ask_are_a_doubt(senders, urls, is_doubt):
    with pytest.raises(Doubt, match="senders have listed") if is_doubt else nullcontext():
        raise_if_unknowable(make_incident(ALERT), urls=urls, senders=senders)


EU, US = "http://am-eu:9093", "http://am-us:9093"


@pytest.mark.parametrize(
    ("told", "senders"),
    [
        pytest.param([(EU, 0), (EU, 0)], 1, id="one"),
        pytest.param([(EU, 0), (US, 0)], 1, id="one that has moved, or a peer"),
        pytest.param([(EU, 0), (US, 1)], 2, id="two with equal labels"),
        pytest.param([(EU, 0), (US, 1), (EU, "over")], 2, id="two, over for one"),
        pytest.param([(EU, 0), (EU, 1)], 2, id="two with one address, perhaps"),
    ],
)
def test_everybody_who_has_listed_what_fires_counts(told, senders):
    alerts: tuple[Alert, ...] = ()
    for sender, minutes in told:
        found = make_alert("A", firing=minutes != "over", starts_at_ms=60_000 * (0 if minutes == "over" else minutes))
        alerts = merged(alerts, make_notification(found, url=sender, group="g"), 1)

    assert replace(make_incident(), alerts=alerts).senders == senders


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


@pytest.mark.parametrize("action", ["acknowledge", "escalate"])
async def test_what_is_in_doubt_after_people_dealt_with_it_ends_when_alertmanager_says_so(
    looking, alertmanager, action
):
    alertmanager.fire("DiskFull", "HostDown")
    await looking.post(alertmanager.payload("DiskFull", "HostDown"))
    incident_id = (await only(looking))["id"]
    await looking.http.post(f"/api/incidents/{incident_id}/{action}?by=ana")
    await looking.settle()
    ending = alertmanager.payload("DiskFull")
    ending["alerts"][0] |= {"status": "resolved", "endsAt": datetime.now(UTC).isoformat()}

    await looking.post(ending)
    await looking.settle()
    assert (await only(looking))["status"] != "resolved"  # the other one still fires
    alertmanager.resolve("DiskFull")
    alertmanager.resolve("HostDown")
    await looking.after(minutes=6)

    assert (await only(looking))["status"] == "resolved"
    assert [it["state"] for it in looking.servicenow.incidents] == ([] if action == "acknowledge" else ["6"])


async def test_what_was_in_doubt_before_somebody_acknowledged_is_looked_at(engine):
    await engine.post(group("A", "B"))
    await engine.post(group(resolved=("C",)))  # so that it is known to list what is over
    await engine.post(group("B"))
    await engine.post(group(resolved=("B",)))
    found = await only(engine)
    assert found["status"] == "triggered"
    await engine.http.post(f"/api/incidents/{found['id']}/acknowledge?by=ana")

    class Sure:
        async def ask(self, _):
            return Over("am")

    engine.worker._last_look = Sure()
    await engine.settle()

    assert (await only(engine))["status"] == "resolved"


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
