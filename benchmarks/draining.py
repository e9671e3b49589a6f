"""Many escalations due in the same second: section `drain`. Beside them a bare client that sends the same requests."""

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate, product
from pathlib import Path
from typing import Any

import orjson

from benchmarks import noop, payloads
from benchmarks.intake import ONCALL, SERVICENOW, accepted
from benchmarks.load import percentile
from benchmarks.machine import cores, on_core
from benchmarks.processes import Bed, Process, RedisServer, opened, until
from benchmarks.results import Results

SECTION = "drain"
BARE = "bare aiohttp client"
CONCURRENCY = 32
"""Requests at once to ServiceNow: the service's own default."""

AT_ONCE = 50
"""Incidents in one request while they are accepted, where all go to the same channel."""

DRAINED_WITHIN_S = 300.0
FIRST_PACE = 300.0
TRIES = 5
SPARE_S = 0.5
"""Between the last that is accepted and the first that is due, at the pace of before."""

Requests = Mapping[str, str]
"""The first look-up, and the first record with its path before it."""

Drained = tuple[dict[str, float], Requests | None]
"""What was measured, and the requests that each ticket took."""


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
DURABLE = tuple(
    Case(f"no-op target, redis.durability: {it}", noop.NAME, durability=it) for it in ("fsync", "replicated")
)


class TooSlow(Exception):
    """They came due before all were accepted and posted, or some were refused."""


def measure(results: Results, *, rounds: int, counts: tuple[int, ...], cases: tuple[Case, ...] = CASES) -> None:
    """Every case with every count in turn, *rounds* times, every other round backwards; with Slack the first count.

    With Slack, each drain has processes of its own: a workspace takes some fifty edits a minute, so that those of one
    drain would still be waiting in the next one.
    """
    paces = dict.fromkeys(cases, FIRST_PACE)
    with opened() as bed:
        stages = {it: _Stage.start(bed, it) for it in cases if not it.slack}
        for number, count in product(range(rounds), counts):
            for case in cases if number % 2 == 0 else cases[::-1]:
                if case.slack and count != counts[0]:
                    continue
                values, requests = _tried(case, count, paces, stages.get(case))
                results.add(SECTION, f"{count:,} due: {case.name}", number, **values)
                if requests is not None and not case.slack:
                    results.add(SECTION, f"{count:,} due: {BARE}", number, **bare(requests, count))


def _tried(case: Case, count: int, paces: dict[Case, float], stage: "_Stage | None") -> Drained:
    """What came of one drain. When accepting takes longer than thought, once more; raises TooSlow in the end.

    *paces* are how many were accepted a second so far, and with Slack posted.
    """
    for _ in range(TRIES):
        try:
            with opened() as own:
                return (stage or _Stage.start(own, case)).drained(count, paces)
        except TooSlow:
            paces[case] /= 3
            if stage is not None:
                stage.drop()
    raise TooSlow(f"{count} incidents were not accepted before they were due, {TRIES} times")


@dataclass
class _Stage:
    """The processes of a case."""

    case: Case
    server: RedisServer
    stub: Process
    service: Process
    notes: Path

    @classmethod
    def start(cls, bed: Bed, case: Case) -> "_Stage":
        server, stub = bed.redis(), bed.module("benchmarks.stub", core=cores().around)
        if case.durability == "replicated":
            bed.redis("--replicaof", "127.0.0.1", str(server.port))
        environment = noop.plug_in(bed.folder)
        return cls(case, server, stub, bed.versus(server, _settings(case, stub), env=environment), bed.folder / "notes")

    def drained(self, count: int, paces: dict[Case, float]) -> Drained:
        """Raises TooSlow."""
        began_at, noted = time.time(), len(noop.noted(self.notes))
        due_at = began_at + count / paces[self.case] + SPARE_S
        due_ms = self._accepted(count, due_at)
        paces[self.case] = max(paces[self.case], 0.8 * count / (time.time() - began_at))
        time.sleep(max(0.0, due_at - time.time()))
        used_s = self.service.cpu_s
        self._wait()
        seconds = time.time() - due_at
        values = {"rate": count / seconds, "cpu_us": 1e6 * (self.service.cpu_s - used_s) / count}
        if self.case.provider == noop.NAME:
            return values | _timeliness(noop.noted(self.notes)[noted:]), None
        seen = self.stub.get("/control/seen")
        came = [(due_ms[incident], 1000 * at) for incident, at in seen["records"]]
        if len(came) != count:
            raise RuntimeError(f"{len(came)} records of {count} incidents")
        return values | _timeliness(came), {"search": seen["search"], "create": seen["create"]}

    def _accepted(self, count: int, due_at: float) -> dict[str, float]:
        """Each incident, and when it is due. Raises TooSlow."""
        due_ms = dict(_due(accepted(self.service, _requests(self.case, count, due_at)).bodies))
        while self.case.slack and int(self.stub.get("/control/count")["posts"]) < count and time.time() < due_at:
            time.sleep(0.05)
        if len(due_ms) != count or time.time() > due_at:
            raise TooSlow
        return due_ms

    def drop(self) -> None:
        """Let pass what is still to come of a drain that does not count."""
        self._wait()
        self.stub.get("/control/seen")

    def _wait(self) -> None:
        """Until nothing is to escalate any more."""
        until(lambda: self.server.count("pending") == 0, what="the drain", within_s=DRAINED_WITHIN_S, every_s=0.005)


def bare(requests: Requests, count: int) -> dict[str, float]:
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
        for one in orjson.loads(it).get("incidents", ()):
            if one["escalates_at"]:
                yield one["id"], 1000 * datetime.fromisoformat(one["escalates_at"]).timestamp()


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
