"""Processes that are killed, doubled, stopped, or started wrong."""

import os
import signal
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from urllib.parse import urlencode

import pytest
import redis

from tests.acceptance.conftest import PASSWORD, TOKEN, answers, kill, request
from tests.support.forking import IN_QUICK_TEMPO, call_versus
from tests.support.servers import find_program, free_port, run_redis
from tests.support.waiting import wait_until
from versus_py.systems import model
from versus_py.tools.samples import alertmanager


def post(server: str, name: str, wait_minutes: float = 0.05, *, is_resolved: bool = False):
    payload = alertmanager(name, starts_at=datetime(2026, 5, 4, tzinfo=UTC), is_resolved=is_resolved)
    return request(f"{server}/api/incidents?oncall_wait_minutes={wait_minutes}", payload)["incidents"][0]


def test_a_kill_in_the_middle_of_a_wait_loses_nothing(world):
    world.main = IN_QUICK_TEMPO  # what the killed worker held is nobody else's until its lease ends
    server, process = world.serve()
    kept = post(server, "Kept", 0.1)
    acknowledged = post(server, "Acknowledged", 0.1)
    wait_until(lambda: len(world.slack.messages()) == 2, what="both messages")
    request(f"{server}/api/incidents/{acknowledged['id']}/acknowledge?by=ana", {})
    kill(process)
    due = datetime.fromisoformat(kept["escalates_at"])
    wait_until(lambda: datetime.now(UTC) > due, what="the wait to end while nobody runs")
    assert world.servicenow.records == []

    server, _ = world.serve()

    wait_until(lambda: len(world.servicenow.records) == 1, what="the record after the restart")
    [record] = world.servicenow.records
    assert record["correlation_id"] == kept["id"]
    for name, said in (("Kept", "Escalated"), ("Acknowledged", "Acknowledged*")):
        wait_until(partial(world.slack.shows, name, said), what=f"the message of {name} to say so")
    assert len(world.slack.messages()) == 2


def test_a_link_from_before_a_restart_still_acknowledges(world):
    server, process = world.serve()
    post(server, "Linked", 5)
    wait_until(lambda: world.slack.messages("Linked"), what="the message")
    url = world.slack.messages("Linked")[0]["button_url"]
    kill(process)

    world.serve(port=int(server.rpartition(":")[2]))

    assert request(url, {})["status"] == "acknowledged"


def test_two_replicas_on_one_redis_create_exactly_one_record_for_each_incident(world, redis_settings):
    servers = [world.serve(**redis_settings)[0] for _ in range(2)]
    extra = world.versus("worker", "-c", str(next(world.folder.glob("config-*.yaml"))), name="worker")
    with ThreadPoolExecutor(8) as pool:
        sent = [pool.submit(post, servers[number % 2], f"Alert{number // 3}") for number in range(60)]
    ids = {it.result()["id"] for it in sent}

    wait_until(lambda: len(world.servicenow.records) >= 20, timeout_s=60, what="all records")
    wait_until(lambda: len(world.slack.messages("Escalated")) == 20, timeout_s=90, what="all messages")
    assert len(ids) == 20
    assert sorted(it["correlation_id"] for it in world.servicenow.records) == sorted(ids)
    assert len(world.slack.messages()) == 20
    assert extra.poll() is None


def test_when_one_of_two_replicas_is_killed_the_other_does_its_work(world, redis_settings):
    world.main = IN_QUICK_TEMPO
    first, process = world.serve(**redis_settings)
    second, _ = world.serve(**redis_settings)
    ids = {post(first, f"Alert{number}")["id"] for number in range(6)}
    kill(process)

    wait_until(lambda: len(world.servicenow.records) >= 6, what="all records")
    assert {it["correlation_id"] for it in world.servicenow.records} == ids
    assert len(world.servicenow.records) == 6
    assert request(f"{second}/healthz") == {"status": "ok"}


def test_servicenow_that_is_away_for_the_whole_wait_gets_its_record_when_it_is_back(world):
    world.servicenow.fault(kind="503", times=None)
    server, _ = world.serve()
    post(server, "Patient", 0)
    wait_until(lambda: "being retried" in str(world.slack.messages("Patient")), what="the trouble to be shown")

    world.servicenow.repair()

    wait_until(lambda: len(world.servicenow.records) == 1, what="the record")


def test_redis_that_goes_away_and_comes_back_ends_no_process_and_loses_no_timer(world, tmp_path):
    binary = find_program("redis-server", "redis-server")
    with run_redis(binary, tmp_path / "redis", "--appendonly", "yes") as socket:
        server, process = world.serve(redis={"url": f"unix://{socket}"})
        waiting = post(server, "Waiting", 0.1)
    with pytest.raises(urllib.error.HTTPError, match="503") as refused:
        post(server, "Refused")
    refused.value.close()
    assert process.poll() is None

    with run_redis(binary, tmp_path / "redis", "--appendonly", "yes"):
        wait_until(lambda: len(world.servicenow.records) == 1, what="the record")
        assert world.servicenow.records[0]["correlation_id"] == waiting["id"]
        post(server, "After")
        wait_until(lambda: world.slack.messages("After"), what="the next message")


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.long)])
def test_a_signal_stops_the_server_in_time_and_leaves_nothing_claimed(world, redis_settings, signal_number):
    world.servicenow.fault(kind="slow", seconds=60)
    servicenow = world.settings["oncall"]["servicenow"] | {"timeout_seconds": 40}
    server, process = world.serve(**redis_settings, oncall=world.settings["oncall"] | {"servicenow": servicenow})
    incident = post(server, "InFlight", 0.01)
    with redis.Redis.from_url(redis_settings["redis"]["url"], decode_responses=True) as client:
        wait_until(lambda: claimed(client) == [f"{incident['id']}|servicenow"], what="ServiceNow to be called")

        process.send_signal(signal_number)
        status = process.wait(30)

        assert status == 0
        assert "service.stopped" in world.logged()
        assert claimed(client) == []


def claimed(client: redis.Redis) -> list[str]:
    """What a worker is at, as `<incident id>|<target>`."""
    return [str(member) for key in client.keys("*:running") for member in client.zrange(key, 0, -1)]


def test_a_second_server_on_the_same_folder_is_refused_with_a_sentence(world):
    _, process = world.serve()
    path = world.write_config(port=free_port())

    second = call_versus("serve", "-c", str(path))

    assert second.returncode == 1
    assert f"is in use by process {process.pid}" in second.stderr
    assert "Traceback" not in second.stderr


def test_a_port_that_is_taken_is_one_sentence(world):
    server, _ = world.serve()
    path = world.write_config(port=int(server.rpartition(":")[2]), data_dir=str(world.folder / "other"))

    second = call_versus("serve", "-c", str(path))

    assert second.returncode == 1
    assert "error: cannot listen on 127.0.0.1:" in second.stderr
    assert "Traceback" not in second.stderr


def test_a_worker_without_redis_is_refused(world):
    path = world.write_config()

    refused = call_versus("worker", "-c", str(path))

    assert refused.returncode == 1
    assert "redis.host: is required" in refused.stderr


SECRETS = {
    "gateway_secret": "gateway-secret-1",
    "previous_gateway_secrets": ["gateway-secret-0"],
    "ack": {"signing_key": "signing-secret-1", "previous_signing_keys": ["signing-secret-0"]},
    "intake": {
        "tokens": [{"name": "tests", "token": "intake-secret-000001", "previous_tokens": ["intake-secret-000000"]}]
    },
    "sources": {"sentry": {"client_secret": "sentry-secret-1"}},
    "alertmanager": {"auth": {"bearer_token": "alertmanager-secret-1"}},
}
PATHS = (
    "/",
    "/healthz",
    "/readyz",
    "/metrics",
    "/api/openapi.json",
    "/static/ui.css",
    "/api/incidents",
    "/api/ack/x?exp=1&sig=1",
    "/api/storms/C1/x?exp=1&sig=1",
    "/api/slack/interactions",
)


def every_answer(server: str, secret: str, token: str) -> str:
    """Status lines, headers and bodies: with what lets one in, and without."""
    found = []
    for headers in ({}, {"X-Gateway-Secret": secret, "Authorization": f"Bearer {token}", "Accept": "text/html"}):
        for path in PATHS:
            for data in (None, b'{"title": "All", "by": "ana"}', b"no JSON"):
                asked = urllib.request.Request(f"{server}{path}", data, headers)
                try:
                    with urllib.request.urlopen(asked, timeout=10) as response:
                        found.append(f"{response.headers}{response.read().decode()}")
                except urllib.error.HTTPError as exc:
                    found.append(f"{exc.headers}{exc.read().decode()}")
    return "\n".join(found)


def checked_health(server: str, secret: str) -> str:
    """The page of health, with what the doctor has found in the background."""
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    browser.addheaders = [("Accept", "text/html"), ("Sec-Fetch-Site", "same-origin")]
    browser.open(f"{server}/login", urlencode({"name": "Ana", "secret": secret}).encode(), timeout=10).close()
    shown = ""

    def is_checked() -> bool:
        nonlocal shown
        with browser.open(f"{server}/health", timeout=10) as response:
            shown = response.read().decode()
        return "as <code>versus doctor</code> does" in shown and "under way</span>" not in shown

    wait_until(is_checked, what="the checks")
    return shown


def test_no_log_line_page_or_answer_shows_a_secret(world):
    slack = world.alert(signing_secret="slack-signing-secret-1", app_token="xapp-app-secret-1")
    server, process = world.serve(alert=slack, **SECRETS)
    headers = {"Authorization": "Bearer intake-secret-000000"}
    echoed = {"title": "Secret", "severity": "critical", "id": "s1"}
    [created] = request(f"{server}/api/incidents?oncall_wait_minutes=0", echoed, headers=headers)["incidents"]
    wait_until(lambda: len(world.servicenow.records) == 1, what="the record")
    gateway = {"X-Gateway-Secret": "gateway-secret-1"}
    shown = request(f"{server}/api/incidents/{created['id']}", headers=gateway)
    answers = every_answer(server, "gateway-secret-0", "intake-secret-000001")
    every_answer(server, "gateway-secret-wrong", "intake-secret-wrong")
    health = checked_health(server, "gateway-secret-1")
    kill(process)
    world.settings["oncall"]["servicenow"]["password"] = "wrong-secret"
    server, _ = world.serve(data_dir=str(world.folder / "other"))
    post(server, "Refused", 0)
    wait_until(lambda: "credentials.refused" in world.logged(), what="the refused login to be logged")

    text = world.logged() + str(shown) + answers + health + str(world.slack.state())
    hidden = [TOKEN, PASSWORD, "wrong-secret", "intake-secret-wrong", "gateway-secret-wrong"]
    hidden += ["slack-signing-secret-1", "xapp-app-secret-1", *model().model_validate(SECRETS).secrets()]
    assert len(hidden) == 15
    assert "incident.changed" in text
    assert "ServiceNow columns" in health, "what only the doctor asks for"
    for secret in hidden:
        assert secret not in text


def test_a_loop_that_dies_ends_the_process_with_an_error_that_names_it(world):
    _, process = world.serve()
    [line] = [line for line in world.logged().splitlines() if "redis.embedded" in line]

    os.kill(int(line.split('"pid": ')[1].split(",")[0].rstrip("}")), signal.SIGKILL)

    assert process.wait(30) == 1
    [died] = [line for line in world.logged().splitlines() if "loop.died" in line]
    assert '"loop": "embedded redis"' in died
    assert '"level": "error"' in died


def test_a_worker_says_on_its_metrics_port_that_it_is_ready_and_what_it_did(world, redis_settings):
    server, _ = world.serve(**redis_settings)
    port = free_port()
    config = str(next(world.folder.glob("config-*.yaml")))
    world.versus("worker", "-c", config, "--metrics-port", str(port), name="worker")
    wait_until(lambda: answers(f"http://127.0.0.1:{port}/healthz"), what="the worker to answer")
    wait_until(lambda: is_ready(f"http://127.0.0.1:{port}"), what="the worker to be ready")
    wait_until(lambda: is_ready(server), what="the server to be ready")

    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as response:
        assert b"versus_build_info" in response.read()


def is_ready(server: str) -> bool:
    try:
        return bool(request(f"{server}/readyz")["status"] == "ready")
    except urllib.error.HTTPError as refused:
        refused.close()
        return False


def test_the_embedded_server_says_so_in_one_line_and_ends_with_the_process(world):
    _, process = world.serve()
    lines = [line for line in world.logged().splitlines() if "redis.embedded" in line]

    assert len(lines) == 1
    pid = int(lines[0].split('"pid": ')[1].split(",")[0].rstrip("}"))
    kill(process)
    wait_until(lambda: not Path(f"/proc/{pid}").exists() or "Z (zombie)" in Path(f"/proc/{pid}/status").read_text())
