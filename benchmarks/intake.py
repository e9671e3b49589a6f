"""How fast alerts are accepted, beside a handler that does nothing: section `intake`, and `durability`."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
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
    requests: Callable[[bytes], Iterator[bytes]] = payloads.new_groups
    beside: str = ""  # the case that it is a ratio of

    @property
    def template(self) -> bytes:
        """With alerts that begin now."""
        return payloads.request(self.body, self.query)


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
            Case(f"{name}: repeats of one group", "versus", body, alerts, {}, payloads.repeats, beside=bare),
        ]
    others = {
        "5 alerts, repeats of 1,000 groups": (payloads.alertmanager(5), 5, {}, _of_many),
        "5 alerts, incident_per=alert": (payloads.alertmanager(5), 5, {"incident_per": "alert"}, payloads.new_groups),
        "array of 10 groups of 1 alert": (payloads.array(10, payloads.alertmanager(1)), 10, {}, payloads.new_groups),
        "Grafana, 5 alerts": (payloads.grafana(5), 5, {}, payloads.new_groups),
        "generic, 1 alert": (payloads.generic(), 1, {}, payloads.new_groups),
    }
    for name, (body, alerts, query, requests) in others.items():
        bare = f"{name}: bare"
        found += [
            Case(bare, "bare", body, alerts, query, requests),
            Case(f"{name}: versus", "versus", body, alerts, query, requests, beside=bare),
        ]
    return found


def _of_many(template: bytes) -> Iterator[bytes]:
    return payloads.repeats(template, groups=1000)


def beside() -> dict[str, str]:
    """Each case that is a ratio -> what it is one of."""
    return {it.name: it.beside for it in cases() if it.beside}


def baseline() -> float:
    """Requests a second of five alerts that the bare handler reaches now."""
    with opened() as bed:
        process = bed.module("benchmarks.baseline", core=cores().measured)
        template = payloads.request(payloads.alertmanager(5))
        return max(_send(process, template, payloads.new_groups, 0.5).rate for _ in range(3))


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
            _send(process, everything[0].template, payloads.new_groups, seconds / 2)
        for number in range(rounds):
            for case in everything if number % 2 == 0 else everything[::-1]:
                values = one(there[case.to], case.template, case.requests, seconds)
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
                template = payloads.request(payloads.alertmanager(5))
                for kind, requests in (("new groups", payloads.new_groups), ("repeats", payloads.repeats)):
                    values = one(process, template, requests, seconds)
                    results.add(DURABILITY, f"{kind}: {name}", number, **values)


def _servers(bed: Bed) -> dict[str, RedisServer]:
    """A Redis for each setting, so that none has the others' load in its file."""
    found = {name: bed.redis() for name in ("memory", "fsync", "replicated")}
    bed.redis("--replicaof", "127.0.0.1", str(found["replicated"].port))
    return found


def _durable(name: str) -> dict[str, Any]:
    return {**SETTINGS, "redis": {"durability": name}}


def one(
    process: Process, template: bytes, requests: Callable[[bytes], Iterator[bytes]], seconds: float
) -> dict[str, float]:
    """Requests a second, their percentiles, and the CPU that one took."""
    used_s = process.cpu_s
    came = _send(process, template, requests, seconds)
    return {
        "rate": came.rate,
        "p50_ms": came.percentile_ms(0.50),
        "p99_ms": came.percentile_ms(0.99),
        "cpu_us": 1e6 * (process.cpu_s - used_s) / came.accepted,
        "refused": came.refused,
        "generator": came.busy,
    }


def _send(process: Process, template: bytes, requests: Callable[[bytes], Iterator[bytes]], seconds: float) -> load.Load:
    return uvloop.run(load.send(process.port, requests(template), seconds=seconds))


def accepted(process: Process, templates: Sequence[bytes] | Iterator[bytes], *, connections: int = 16) -> load.Load:
    """Have all of these accepted, as fast as that goes; with the answers."""
    return uvloop.run(load.send(process.port, iter(templates), connections=connections, keep_bodies=True))
