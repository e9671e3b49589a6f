"""`versus serve --processes 2`: one server, whichever of its processes is asked, and whichever dies."""

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import redis

from tests.acceptance.conftest import answers, request
from tests.acceptance.test_processes import claimed, post
from tests.support.forking import call_versus
from tests.support.servers import free_port
from tests.support.waiting import wait_until

pytestmark = pytest.mark.long

START_S = 180.0
"""Three interpreters start, two of them after the first."""


@pytest.fixture
def several(world):
    """Starts a server of two processes, by the real command; its URL, the supervisor, and what it logged."""

    def serve(**settings):
        port = free_port()
        path = world.write_config(**({"public_host": f"http://127.0.0.1:{port}", "port": port} | settings))
        command = [sys.executable, "-m", "versus_py", "serve", "-c", str(path), "--processes", "2"]
        process = world.run(command, name="several")
        url = f"http://127.0.0.1:{port}"
        ready = f"{url} to be ready"
        wait_until(lambda: process.poll() is not None or answers(f"{url}/readyz"), what=ready, timeout_s=START_S)
        assert process.poll() is None, world.logged()
        return url, process

    return serve


def lines(world, event):
    found = [json.loads(line) for line in world.logged().splitlines() if line.startswith("{")]
    return [it for it in found if it["event"] == event]


def pids(world):
    """Of the processes that were started last, by their numbers."""
    return {it["process"]: it["pid"] for it in lines(world, "process.started")}


def is_alive(pid):
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


def metric(url, name):
    with urllib.request.urlopen(f"{url}/metrics", timeout=20) as response:
        found = [line.rpartition(" ") for line in response.read().decode().splitlines() if line.startswith(name)]
    return sum(float(value) for _, _, value in found)


def readiness(url):
    try:
        return request(f"{url}/readyz")
    except urllib.error.HTTPError as refused:
        with refused:
            return json.loads(refused.read())
    except OSError:
        return {"status": "away", "worker": ""}


def test_both_processes_are_one_server_on_one_embedded_store(world, several):
    url, process = several()

    with ThreadPoolExecutor(8) as pool:
        ids = {it["id"] for it in pool.map(lambda number: post(url, f"Alert{number}"), range(20))}

    wait_until(lambda: len(world.servicenow.records) >= 20, what="all records")
    assert sorted(it["correlation_id"] for it in world.servicenow.records) == sorted(ids)
    wait_until(lambda: len(world.slack.messages("Escalated")) == 20, what="all messages")
    assert {metric(url, "versus_notifications_accepted_total{") for _ in range(6)} == {20}
    assert metric(url, "versus_processes") == 2
    assert {it.get("process") for it in lines(world, "service.started")} == {0, 1}
    assert len(lines(world, "redis.embedded")) == 1

    process.send_signal(signal.SIGTERM)

    assert process.wait(60) == 0
    assert len(lines(world, "service.stopped")) == 2
    assert not any(is_alive(pid) for pid in pids(world).values())


def test_a_process_that_is_killed_is_started_again_and_no_count_falls(world, several):
    url, _ = several(public_host="http://127.0.0.1")
    for number in range(10):
        post(url, f"Alert{number}", 60)
    before = pids(world)

    os.kill(before[0], signal.SIGKILL)

    wait_until(lambda: readiness(url)["worker"] == "process 0 does not answer", what="the whole not to be ready")
    assert metric(url, "versus_notifications_accepted_total{") == 10
    wait_until(lambda: readiness(url)["status"] == "ready", what="the whole to be ready again", timeout_s=START_S)
    assert pids(world)[0] != before[0]
    assert pids(world)[1] == before[1]
    assert metric(url, "versus_notifications_accepted_total{") == 10
    assert metric(url, "versus_process_restarts_total") == 1
    assert len(lines(world, "process.died")) == 1


def test_one_process_holds_the_connection_to_slack(world, several):
    url, _ = several(alert=world.alert(app_token="xapp-1-A0DEMO-app-secret"))
    wait_until(lambda: world.slack.state()["connections"] == 1, what="the connection")
    first = pids(world)[0]

    os.kill(first, signal.SIGKILL)
    wait_until(lambda: pids(world)[0] != first, what="its process to be started again")

    wait_until(lambda: readiness(url)["status"] == "ready", what="the whole to be ready again", timeout_s=START_S)
    wait_until(lambda: world.slack.state()["connections"] == 1, what="the connection of the new process")
    assert {it["process"] for it in lines(world, "slack.socket_connected")} == {0}


def test_when_the_supervisor_is_killed_all_end_and_nothing_is_lost(world, several):
    url, process = several()
    kept = post(url, "Kept", 60)
    order = Path(f"/proc/{pids(world)[0]}/cmdline").read_text().rstrip("\0").rpartition("\0")[2]
    folder = Path(json.loads(order)["member"]["folder"])
    assert folder.is_dir()

    process.kill()
    process.wait(10)

    wait_until(lambda: not any(is_alive(pid) for pid in pids(world).values()), what="the processes to end")
    assert not folder.exists()
    again, _ = several()
    assert request(f"{again}/api/incidents/{kept['id']}")["status"] == "triggered"


def test_a_signal_leaves_nothing_claimed(world, several, redis_settings):
    world.servicenow.fault(kind="slow", seconds=60)
    url, process = several(**redis_settings)
    post(url, "InFlight", 0.01)
    with redis.Redis.from_url(redis_settings["redis"]["url"], decode_responses=True) as client:
        wait_until(lambda: len(claimed(client)) == 1, what="ServiceNow to be called")

        process.send_signal(signal.SIGINT)

        assert process.wait(60) == 0
        assert claimed(client) == []


def test_a_journal_in_a_file_is_refused(world):
    path = world.write_config(journal={"keep": "file"})

    refused = call_versus("serve", "-c", str(path), "--processes", "2")

    assert refused.returncode == 1
    assert "journal.keep: is file with processes: 2" in refused.stderr


def test_what_keeps_a_process_from_starting_ends_all(world, several):
    port = free_port()
    path = world.write_config(port=port, host="192.0.2.1")

    failed = subprocess.run(
        [sys.executable, "-m", "versus_py", "serve", "-c", str(path), "--processes", "2"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert failed.returncode == 1
    assert "cannot listen on 192.0.2.1:" in failed.stderr
    assert "Traceback" not in failed.stderr
