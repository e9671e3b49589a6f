"""`versus capacity`, on a Redis with what replicas say of themselves."""

import asyncio
import json
import time

import pytest
import yaml
from typer.testing import CliRunner

from versus_py.cli import app
from versus_py.store.bursts import MINUTE_MS, Bursts
from versus_py.store.replicas import Pace, Replica, Replicas


@pytest.fixture
def capacity(redis_socket, tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump({"redis": {"url": f"unix://{redis_socket}"}}))

    async def run(*options):
        return await asyncio.to_thread(CliRunner().invoke, app, ["capacity", "-c", str(path), *options])

    return run


async def replica(redis, name, **paces):
    now_ms = time.time_ns() // 1_000_000
    await Replicas(redis).attend(Replica(name, "host", "1", now_ms, now_ms, paces=paces))
    return now_ms


async def test_it_adds_up_what_replicas_deliver_and_says_how_late_the_largest_burst_would_be(capacity, redis):
    await replica(redis, "a", servicenow=Pace(8, 32, 0.1000000001))
    now_ms = await replica(redis, "b", servicenow=Pace(12, 32, 0.1000000001))
    await Bursts(redis).note({(now_ms // MINUTE_MS, "servicenow"): 4000}, now_ms=now_ms)

    shown, told = await capacity(), await capacity("--json")

    assert shown.exit_code == 0
    assert "servicenow: delivers now: 200.0/s (20 slots of 2 replicas, 0.100 s a delivery); " in shown.stdout
    assert "; with all slots: 640.0/s (64 slots); " in shown.stdout
    assert "; largest burst of 30 days: 4,000 in the minute of 20" in shown.stdout
    assert shown.stdout.endswith("; last delivery of that burst: 20 s late\n")
    [found] = json.loads(told.stdout)
    assert found["per_second"] == pytest.approx(200)
    assert (found["largest_burst"], found["replicas"], found["delivery_seconds"]) == (4000, 2, 0.1)
    assert found["last_late_seconds"] == pytest.approx(20)


async def test_a_system_that_nothing_was_delivered_to_is_not_known(capacity, redis):
    now_ms = await replica(redis, "a")
    await Bursts(redis).note({(now_ms // MINUTE_MS, "slack"): 4}, now_ms=now_ms)

    shown = await capacity()

    [line] = shown.stdout.splitlines()
    assert line.startswith(
        "slack: delivers now: not known, no delivery is reported yet; largest burst of 30 days: 4 in "
    )
    assert line.count(";") == 1


async def test_without_a_replica_nothing_can_be_told(capacity, redis):
    found = await capacity()

    assert found.exit_code == 1
    assert "no replica runs" in found.stderr
