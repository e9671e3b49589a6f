"""Many escalations due in the same second: section `drain`. Beside them a bare client that sends the same requests."""

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from pathlib import Path
from typing import Any

import orjson

from benchmarks import noop, payloads
from benchmarks.intake import ONCALL, SERVICENOW, accepted
from benchmarks.load import percentile
from benchmarks.machine import cores, on_core
from benchmarks.processes import Bed, Process, opened, until
from benchmarks.results import Results

SECTION = "drain"
BARE = "bare aiohttp client"
CONCURRENCY = 32
"""Requests at once to ServiceNow: the service's own default."""

AT_ONCE = 50
"""Incidents in one request while they are accepted, where all go to the same channel."""

DRAINED_WITHIN_S = 300.0


@dataclass(frozen=True, slots=True)
class Case:
    """What is due at what."""

    name: str
    provider: str
    slack: bool = False
    durability: str = "memory"


CASES = (
    Case("no-op target", noop.NAME),
    Case("ServiceNow", "servicenow"),
    Case("ServiceNow and Slack", "servicenow", slack=True),
)
DURABLE = Case("no-op target, redis.durability: fsync", noop.NAME, durability="fsync")


class TooSlow(Exception):
    """They came due before all were accepted and posted."""


def measure(results: Results, *, rounds: int, counts: tuple[int, ...], cases: tuple[Case, ...] = CASES) -> None:
    """Every case with every count in turn, each with processes of its own."""
    pace = dict.fromkeys((it.name for it in cases), 300.0)  # accepted a second, so far
    for number in range(rounds):
        for count in counts:
            for case in cases if number % 2 == 0 else cases[::-1]:
                values, requests = _drained(case, count, pace)
                results.add(SECTION, f"{count:,} due: {case.name}", number, **values)
                if requests is not None and not case.slack:
                    results.add(SECTION, f"{count:,} due: {BARE}", number, **bare(requests, count))


def _drained(case: Case, count: int, pace: dict[str, float]) -> tuple[dict[str, float], dict[str, Any] | None]:
    """One drain, and the requests that each ticket took. When accepting takes longer than thought, once more."""
    while True:
        try:
            with opened() as bed:
                return _drain(bed, case, count, pace)
        except TooSlow:
            pace[case.name] /= 2


def _drain(bed: Bed, case: Case, count: int, pace: dict[str, float]) -> tuple[dict[str, float], dict[str, Any] | None]:
    server, stub = bed.redis(), bed.module("benchmarks.stub", core=cores().around)
    service = bed.versus(server, _settings(case, stub), env=noop.plug_in(bed.folder))
    due_at = time.time() + count / pace[case.name] + 1
    began_at = time.time()
    answers = accepted(service, _requests(case, count, due_at)).bodies
    due_ms = dict(_due(answers))
    if len(due_ms) != count:
        raise RuntimeError(f"{len(due_ms)} of {count} incidents are to escalate: {answers[0][:500]!r}")
    while case.slack and _seen(stub, "posts") < count:
        _not_later_than(due_at)
        time.sleep(0.05)
    _not_later_than(due_at)
    pace[case.name] = max(pace[case.name], 0.8 * count / (time.time() - began_at))
    time.sleep(max(0.0, due_at - time.time()))
    used_s = service.cpu_s
    until(lambda: server.count("pending") == 0, what="the drain", within_s=DRAINED_WITHIN_S, every_s=0.01)
    seconds = time.time() - due_at
    values = {"rate": count / seconds, "cpu_us": 1e6 * (service.cpu_s - used_s) / count}
    if case.provider == noop.NAME:
        return values | _timeliness(noop.noted(bed.folder / "notes")), None
    seen = stub.get("/control/seen")
    came = [(due_ms[incident], 1000 * at) for incident, at in seen["records"]]
    if len(came) != count:
        raise RuntimeError(f"{len(came)} records of {count} incidents")
    requests = {"base": f"http://127.0.0.1:{stub.port}", "search": seen["search"], "create": seen["create"]}
    return values | _timeliness(came), requests


def bare(requests: Mapping[str, str], count: int) -> dict[str, float]:
    """A bare client, with the requests that the service sent."""
    create, body = requests["create"].split("\n", 1)
    with opened() as bed:
        stub = bed.module("benchmarks.stub", core=cores().around)
        asked: dict[str, Any] = {**requests, "base": f"http://127.0.0.1:{stub.port}", "create": create, "body": body}
        path = bed.folder / "asked.json"
        path.write_bytes(orjson.dumps(asked | {"tickets": count, "concurrency": CONCURRENCY}))
        with on_core(cores().measured):
            command = [sys.executable, "-m", "benchmarks.bare_client", str(path)]
            said = subprocess.run(command, capture_output=True, check=True, cwd=Path(__file__).parent.parent).stdout
    found = orjson.loads(said)
    return {"rate": found["rate"], "cpu_us": 1e6 * found["cpu_s"] / count}


def _settings(case: Case, stub: Process) -> dict[str, Any]:
    servicenow = {**SERVICENOW, "instance_url": f"http://127.0.0.1:{stub.port}"}
    slack = {
        "enable": case.slack,
        "token": "xoxb-1",
        "channel_id": "C0",
        "api_url": f"http://127.0.0.1:{stub.port}/api",
    }
    return {
        "alert": {"slack": slack},
        "oncall": {**ONCALL, "provider": case.provider, "servicenow": servicenow},
        "redis": {"durability": case.durability},
    }


def _requests(case: Case, count: int, due_at: float) -> Iterator[bytes]:
    """All are due at the same moment, but for the time that a request takes to arrive.

    With Slack, each has a channel of its own, as one takes a message a second only.
    """
    each = 1 if case.slack else AT_ONCE
    for first in range(0, count, each):
        body = payloads.alertmanager(1)
        wanted = body if each == 1 else payloads.array(min(each, count - first), body)
        query = {"oncall_wait_minutes": f"{max(0.0, due_at - time.time()) / 60:.6f}"}
        if case.slack:
            query["slack_channel_id"] = f"C{first:08d}"
        yield from payloads.new_groups(payloads.request(wanted, query), 1)


def _due(bodies: list[bytes]) -> Iterator[tuple[str, float]]:
    """Each incident, and when it is due, as the service has answered."""
    for it in bodies:
        for one in orjson.loads(it)["incidents"]:
            if one["escalates_at"]:
                yield one["id"], 1000 * datetime.fromisoformat(one["escalates_at"]).timestamp()


def _seen(stub: Process, what: str) -> int:
    """So many so far."""
    return int(stub.get("/control/count")[what])


def _not_later_than(due_at: float) -> None:
    if time.time() > due_at:
        raise TooSlow


def _timeliness(came: Sequence[tuple[float, float]]) -> dict[str, float]:
    """Of pairs of when one was due and when it came, in the order in which they came."""
    late_ms = [at_ms - due_ms for due_ms, at_ms in came]
    latest_due = accumulate((due_ms for due_ms, _ in came), max)
    return {
        "late_p50_ms": percentile(late_ms, 0.50),
        "late_p99_ms": percentile(late_ms, 0.99),
        "late_max_ms": max(late_ms),
        "overtaken_ms": max(latest - due_ms for latest, (due_ms, _) in zip(latest_due, came, strict=True)),
    }
