"""Several replicas on one Redis and on a cluster, and several processes on one port: section `replicas`."""

import asyncio
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis
import uvloop
from redis.cluster import ClusterNode, RedisCluster

from benchmarks import load, noop, payloads
from benchmarks.intake import ONCALL, SETTINGS
from benchmarks.machine import cores, cpu_of_tree_s
from benchmarks.processes import Bed, Process, RedisServer, free_port, opened, until, versus_config
from benchmarks.results import Results
from versus_py.incidents.partitions import partitions
from versus_py.store import keys

SECTION = "replicas"
ONE_REDIS = "one Redis"
CLUSTER = "cluster of 3 nodes"
PROCESSES = "--processes"

NODES = 3
SLOTS = 16384
BUS = 10_000
"""What Redis adds to a port for the bus of the cluster, where nothing else is configured."""

AT_ONCE = 50
DRAINED_WITHIN_S = 120.0
FIRST_PACE = 300.0
SPARE_S = 1.0
TRIES = 5

NOOP_SETTINGS: dict[str, Any] = {**SETTINGS, "oncall": {**ONCALL, "provider": noop.NAME}}


@dataclass(frozen=True, slots=True)
class Case:
    """So many replicas, or processes of one replica, on a kind of Redis."""

    kind: str
    replicas: int
    processes: int = 1

    @property
    def name(self) -> str:
        if self.processes > 1:
            return f"{self.kind}: 1 replica, {PROCESSES} {self.processes}"
        return f"{self.kind}: {self.replicas} replica{'s' * (self.replicas > 1)}"

    @property
    def beside(self) -> str:
        """The case with one replica on the same."""
        return Case(self.kind, 1).name


def measure(results: Results, *, rounds: int, seconds: float, replicas: Sequence[int], due: int) -> None:
    """Every case in turn, *rounds* times, every other round backwards; each has a Redis of its own."""
    for kind in (ONE_REDIS, CLUSTER):
        wanted = [Case(kind, it) for it in replicas]
        wanted += [Case(kind, 1, processes=2)] if kind == ONE_REDIS else []
        with opened() as bed:
            stages = [_Stage.start(bed, it) for it in wanted]
            for number in range(rounds):
                for it in stages if number % 2 == 0 else stages[::-1]:
                    results.add(SECTION, f"{it.case.name}: new groups", number, **it.accept(seconds))
                    results.add(SECTION, f"{it.case.name}: drain", number, **it.drain(due))


@dataclass
class _Stage:
    """The processes of a case."""

    case: Case
    nodes: list[RedisServer]
    client: "redis.Redis | RedisCluster"
    services: list[Process]
    notes: Path
    pace: float = FIRST_PACE

    @classmethod
    def start(cls, bed: Bed, case: Case) -> "_Stage":
        folder = bed.folder / f"stage-{bed.started}"
        folder.mkdir()
        environment = noop.plug_in(folder)
        nodes, client = _redis(bed, case.kind)
        services = [_served(bed, case, nodes, environment) for _ in range(case.replicas)]
        for it in services:
            until(lambda it=it: it.is_ready("/readyz"), what="versus serve")  # type: ignore[misc]  # its own default
        return cls(case, nodes, client, services, folder / "notes")

    @property
    def cpu_s(self) -> float:
        """Of all replicas and their processes."""
        return sum(cpu_of_tree_s(it.pid) for it in self.services)

    @property
    def redis_s(self) -> float:
        """The CPU that Redis has used, of all nodes."""
        return sum(it.process.cpu_s for it in self.nodes)

    def accept(self, seconds: float) -> dict[str, float]:
        """New groups of five alerts, spread over all replicas."""
        used_s, redis_s = self.cpu_s, self.redis_s
        template = payloads.request(payloads.alertmanager(5))
        came = uvloop.run(_sent([it.port for it in self.services], template, seconds))
        accepted = sum(it.accepted for it in came)
        latencies_s = [it for one in came for it in one.latencies_s]
        return {
            "rate": sum(it.rate for it in came),
            "p99_ms": 1000 * load.percentile(latencies_s, 0.99),
            "cpu_us": 1e6 * (self.cpu_s - used_s) / accepted,
            "redis_us": 1e6 * (self.redis_s - redis_s) / accepted,
            "nodes": len(self.nodes),
            "generator": max(it.busy for it in came),
        }

    def drain(self, count: int) -> dict[str, float]:
        """So many due in the same second: how fast they are completed, and how many were called twice."""
        for _ in range(TRIES):
            noted, due_at = len(noop.noted(self.notes)), time.time() + count / self.pace + SPARE_S
            came = uvloop.run(load.send(self.services[0].port, _due(count, due_at), connections=16))
            is_in_time = time.time() < due_at
            self.pace = max(self.pace, 0.8 * count / came.seconds) if is_in_time else self.pace / 3
            time.sleep(max(0.0, due_at - time.time()))
            used_s, redis_s = self.cpu_s, self.redis_s
            until(lambda: self._owed() == 0, what="the drain", within_s=DRAINED_WITHIN_S, every_s=0.005)
            seconds = time.time() - due_at
            if is_in_time and came.accepted * AT_ONCE == count:
                return {
                    "rate": count / seconds,
                    "cpu_us": 1e6 * (self.cpu_s - used_s) / count,
                    "redis_us": 1e6 * (self.redis_s - redis_s) / count,
                    "nodes": len(self.nodes),
                    "twice": len(noop.noted(self.notes)) - noted - count,
                }
        raise RuntimeError(f"{count} incidents were not accepted before they were due, {TRIES} times")

    def _owed(self) -> int:
        """Incidents that are still to escalate within the hour; those of the intake wait for a week."""
        soon_ms = 1000 * time.time() + 3600_000
        found = [self.client.zcount(keys.in_partition(it, "pending"), "-inf", soon_ms) for it in partitions()]
        return sum(map(int, found))


async def _sent(ports: Sequence[int], template: bytes, seconds: float) -> list[load.Load]:
    """The connections of one load generator, spread evenly."""
    requests = payloads.new_groups(template)
    each = load.CONNECTIONS // len(ports)
    sending = [load.send(port, requests, seconds=seconds, connections=each) for port in ports]
    return list(await asyncio.gather(*sending))


def _due(count: int, due_at: float) -> Iterator[bytes]:
    for _ in range(count // AT_ONCE):
        query = {"oncall_wait_minutes": f"{max(0.0, due_at - time.time()) / 60:.6f}"}
        body = payloads.array(AT_ONCE, payloads.alertmanager(1))
        yield from payloads.new_groups(payloads.request(body, query), 1)


def _served(bed: Bed, case: Case, nodes: Sequence[RedisServer], environment: Mapping[str, str]) -> Process:
    """One replica; the cores that it may use are those of all of them."""
    port = free_port()
    hosts = [f"127.0.0.1:{it.port}" for it in nodes]
    where: dict[str, Any] = {"url": None, "cluster": {"hosts": hosts}} if case.kind == CLUSTER else {}
    path = versus_config(bed, port, nodes[0], {**NOOP_SETTINGS, "redis": where})
    command = [sys.executable, "-m", "versus_py", "serve", "-c", str(path)]
    command += [PROCESSES, str(case.processes)] if case.processes > 1 else []
    return bed.start(command, core=cores().replicas, port=port, env=environment)


def _redis(bed: Bed, kind: str) -> "tuple[list[RedisServer], redis.Redis | RedisCluster]":
    if kind == ONE_REDIS:
        server = bed.redis()
        return [server], server.client
    options = ("--cluster-enabled", "yes", "--cluster-require-full-coverage", "no")
    nodes = [bed.redis(*options, port=_port_of_cluster()) for _ in range(NODES)]
    for number, node in enumerate(nodes):
        first, last = number * SLOTS // NODES, (number + 1) * SLOTS // NODES - 1
        _say(node, "CLUSTER ADDSLOTSRANGE", first, last)
        _say(node, "CLUSTER SET-CONFIG-EPOCH", number + 1)
    for node in nodes[1:]:
        _say(node, "CLUSTER MEET", "127.0.0.1", nodes[0].port)
    until(lambda: all(map(_knows_all, nodes)), what="the cluster")
    where = [ClusterNode("127.0.0.1", it.port) for it in nodes]  # type: ignore[no-untyped-call]  # redis-py
    return nodes, RedisCluster(startup_nodes=where)


def _say(node: RedisServer, *words: str | int) -> Any:
    return node.client.execute_command(*words)  # type: ignore[no-untyped-call]  # redis-py leaves it unannotated


def _knows_all(node: RedisServer) -> bool:
    with suppress(redis.RedisError):
        info = _say(node, "CLUSTER INFO")
        return bool(info["cluster_state"] == "ok" and int(info["cluster_known_nodes"]) == NODES)
    return False


def _port_of_cluster() -> int:
    """One whose bus has a port too."""
    while True:
        port = free_port()
        if port + BUS < 1 << 16:
            return port
