"""How fast alerts are accepted, beside a handler that does nothing: section `intake`, and `durability`."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import uvloop

from benchmarks import load, payloads
from benchmarks.machine import cores
from benchmarks.processes import WEEK_MINUTES, Bed, Process, RedisServer, opened
from benchmarks.results import Results

SECTION = "intake"
DURABILITY = "durability"
SIZES = (1, 5, 100)
BASELINE_MIN = 12_000
"""Requests a second of five alerts that the bare handler has to reach, or the run is void."""

KNOWN_AFTER = 3
"""How often a group has come when its repeats are measured: the first two are read, see `web.intake.repeats`."""

PATIENCE_S = 60.0

SERVICENOW = {
    "instance_url": "http://127.0.0.1:9",
    "allow_insecure_http": True,
    "username": "user",
    "password": "password",
    "comments_every_minutes": 0,
}

ONCALL = {"enable": True, "wait_minutes": WEEK_MINUTES, "servicenow": SERVICENOW}
"""What is accepted waits for ServiceNow, for a week; no channel is told."""

SETTINGS: Mapping[str, Any] = {"alert": {"slack": {"enable": False}}, "oncall": ONCALL}


@dataclass(frozen=True, slots=True)
class Case:
    """One kind of request, and to whom it goes."""

    name: str
    to: str  # bare, one_write, or versus
    body: payloads.Body
    alerts: int
    query: Mapping[str, str]
    groups: int = 0  # that all of it repeats; 0: each request is about a new one
    beside: str = ""  # the case that it is a ratio of

    @property
    def template(self) -> bytes:
        """With alerts that begin now."""
        return payloads.request(self.body, self.query)

    @property
    def requests(self) -> Iterator[bytes]:
        """Without an end."""
        return payloads.repeats(self.template, self.groups) if self.groups else payloads.new_groups(self.template)


def cases() -> list[Case]:
    """Neighbours are compared with each other."""
    found: list[Case] = []
    for alerts in SIZES:
        body, name = payloads.alertmanager(alerts), f"{alerts} alert{'s' * (alerts > 1)}"
        bare = f"{name}: bare"
        found += [
            Case(bare, "bare", body, alerts, {}),
            Case(f"{name}: bare + one EVALSHA", "one_write", body, alerts, {}, beside=bare),
            Case(f"{name}: new groups", "versus", body, alerts, {}, beside=bare),
            Case(f"{name}: repeats of one group", "versus", body, alerts, {}, groups=1, beside=bare),
        ]
    others = {
        "5 alerts, repeats of 500 groups": (payloads.alertmanager(5), 5, {}, 500),
        "5 alerts, incident_per=alert": (payloads.alertmanager(5), 5, {"incident_per": "alert"}, 0),
        "array of 10 groups of 1 alert": (payloads.array(10, payloads.alertmanager(1)), 10, {}, 0),
        "Grafana, 5 alerts": (payloads.grafana(5), 5, {}, 0),
        "generic, 1 alert": (payloads.generic(), 1, {}, 0),
    }
    for name, (body, alerts, query, groups) in others.items():
        bare = f"{name}: bare"
        found += [
            Case(bare, "bare", body, alerts, query, groups),
            Case(f"{name}: versus", "versus", body, alerts, query, groups, beside=bare),
        ]
    return found


def beside() -> dict[str, str]:
    """Each case that is a ratio -> what it is one of."""
    return {it.name: it.beside for it in cases() if it.beside}


def baseline() -> float:
    """Requests a second of five alerts that the bare handler reaches now."""
    with opened() as bed:
        process = bed.module("benchmarks.baseline", core=cores().measured)
        template = payloads.request(payloads.alertmanager(5))
        return max(_send(process, payloads.new_groups(template), 0.5).rate for _ in range(3))


def measure(results: Results, *, rounds: int, seconds: float) -> None:
    """All cases in turn, *rounds* times, every other round backwards. Declares the run void on too slow a machine."""
    with opened() as bed:
        server = bed.redis()
        there = {
            "bare": bed.module("benchmarks.baseline", core=cores().measured),
            "one_write": bed.module("benchmarks.one_write", str(server.port), core=cores().measured),
            "versus": bed.versus(server, SETTINGS),
        }
        everything = cases()
        for process in there.values():  # the first requests of a process are slow
            _send(process, everything[0].requests, seconds / 2)
        for number in range(rounds):
            for case in everything if number % 2 == 0 else everything[::-1]:
                requests = case.requests
                if case.to == "versus" and case.groups:
                    accepted(there[case.to], islice(requests, KNOWN_AFTER * case.groups))
                values = one(there[case.to], requests, seconds)
                results.add(SECTION, case.name, number, **values, bytes=payloads.size(case.body), alerts=case.alerts)
    reached = results.spread(SECTION, "5 alerts: bare", "rate")
    if reached is not None and reached.median < BASELINE_MIN:
        results.void = (
            f"the bare handler reaches {reached.median:,.0f} requests a second of the {BASELINE_MIN:,} that it has to"
        )


def measure_durability(results: Results, *, rounds: int, seconds: float) -> None:
    """New groups and repeats of five alerts, with each setting of `redis.durability` in turn."""
    with opened() as bed:
        served = {name: bed.versus(server, _durable(name)) for name, server in _servers(bed).items()}
        for number in range(rounds):
            for name, process in [*served.items()][:: 1 if number % 2 == 0 else -1]:
                for kind, requests in requests_of_five().items():
                    values = one(process, requests, seconds)
                    results.add(DURABILITY, f"{kind}: {name}", number, **values)


def _servers(bed: Bed) -> dict[str, RedisServer]:
    """A Redis for each setting, so that none has the others' load in its file."""
    found = {name: bed.redis() for name in ("memory", "fsync", "replicated")}
    bed.redis("--replicaof", "127.0.0.1", str(found["replicated"].port))
    return found


def _durable(name: str) -> dict[str, Any]:
    return {**SETTINGS, "redis": {"durability": name}}


def requests_of_five() -> dict[str, Iterator[bytes]]:
    """Of five alerts that begin now, by their kind."""
    template = payloads.request(payloads.alertmanager(5))
    return {"new groups": payloads.new_groups(template), "repeats": payloads.repeats(template)}


def one(process: Process, requests: Iterator[bytes], seconds: float) -> dict[str, float]:
    """Requests a second, their percentiles, and the CPU that one took."""
    used_s = process.cpu_s
    came = _send(process, requests, seconds)
    return {
        "rate": came.rate,
        "p50_ms": came.percentile_ms(0.50),
        "p99_ms": came.percentile_ms(0.99),
        "cpu_us": 1e6 * (process.cpu_s - used_s) / came.accepted,
        "refused": came.refused,
        "generator": came.busy,
    }


def _send(process: Process, requests: Iterator[bytes], seconds: float) -> load.Load:
    return uvloop.run(load.send(process.port, requests, seconds=seconds))


def accepted(process: Process, templates: Sequence[bytes] | Iterator[bytes], *, connections: int = 16) -> load.Load:
    """Have all of these accepted, as fast as that goes; with the answers."""
    return uvloop.run(load.send(process.port, iter(templates), connections=connections, keep_bodies=True))
