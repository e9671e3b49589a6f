"""What incidents that are stored cost: their bytes in Redis, the service's memory, and what becomes slower by them.

Sections `bytes`, `stored`, `ready`, and `size`, which is the cost of an alert by the alerts of its request.
"""

import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import uvloop

from benchmarks import load, noop, payloads
from benchmarks.intake import ONCALL, SETTINGS, accepted, one
from benchmarks.machine import cores
from benchmarks.processes import SECRET, Bed, Process, RedisServer, opened, until
from benchmarks.results import Results
from versus_py.web.guard import HEADER

BYTES = "bytes"
STORED = "stored"
READY = "ready"
WAITING = "with what waits"
SIZE = "size"
SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500)
SIZES_IN_SHORT = (1, 5, 20, 100, 500)

AT_ONCE = 50
"""Incidents in one request while they are stored."""

PAYLOAD = ":payload:"
"""In the keys of kept payloads, which are not counted: `keep_payload: false` does without them."""

CREATES = 500
"""New groups in a round with what is stored."""

LOOKS = 50
"""Pages that are asked for, one after the other."""

NOOP_SETTINGS: dict[str, Any] = {**SETTINGS, "oncall": {**ONCALL, "provider": noop.NAME}}


def measure_bytes(results: Results, *, count: int) -> None:
    """Bytes of Redis that an incident takes while it waits, by the number of its alerts."""
    for alerts in (1, 5):
        with opened() as bed:
            server = bed.redis()
            service = bed.versus(server, SETTINGS)
            empty = _used(server)
            template = payloads.request(payloads.alertmanager(alerts))
            accepted(service, payloads.new_groups(template, count))
            service.kill()
            counted, kept = _bytes_of_keys(server)
            values = {"keys_bytes": counted / count, "kept_bytes": kept / count}
            whole = (_used(server) - empty) / count
            results.add(BYTES, f"{alerts} alert{'s' * (alerts > 1)}", 0, **values, used_bytes=whole, incidents=count)


def measure_size(results: Results, *, rounds: int, seconds: float, sizes: tuple[int, ...]) -> None:
    """New groups of more and more alerts, each beside the bare handler."""
    with opened() as bed:
        there = {
            "bare": bed.module("benchmarks.baseline", core=cores().measured),
            "versus": bed.versus(bed.redis(), SETTINGS),
        }
        for number in range(rounds):
            for alerts, to in itertools.product(sizes if number % 2 == 0 else sizes[::-1], there):
                template = payloads.request(payloads.alertmanager(alerts))
                values = one(there[to], payloads.new_groups(template), seconds)
                results.add(SIZE, f"{alerts}: {to}", number, **values, alerts=alerts)


def measure_stored(results: Results, *, steps: tuple[int, ...], rounds: int, seconds: float, budget_s: float) -> None:
    """More and more incidents that wait, each accepted by the service; what accepting, finding and claiming costs then.

    Ends early when accepting them takes longer than *budget_s*.
    """
    with opened() as bed:
        server = bed.redis()
        bare = bed.module("benchmarks.baseline", core=cores().measured)
        service = _started(results, "empty", bed, server, rounds)
        ends_at, stored = time.perf_counter() + budget_s, 0
        for step in steps:
            stored += _store(service, step - stored, ends_at)
            is_reached = stored >= step - AT_ONCE
            if not is_reached:
                results.missing[f"{STORED}: {step:,}"] = f"{stored:,} were accepted in the time that the run has for it"
            case = f"{step if is_reached else stored:,}"
            results.add(
                STORED, case, 0, incidents=stored, resident_bytes=service.memory_bytes, redis_bytes=_used(server)
            )
            for number in range(rounds):
                _at(results, bed, case, number, bare=bare, service=service, seconds=seconds)
            stored = server.count("pending")
            if not is_reached:
                break
        service.kill()
        _started(results, WAITING, bed, server, rounds)


def _started(results: Results, case: str, bed: Bed, server: RedisServer, rounds: int) -> Process:
    """The last of so many starts."""
    environment = noop.plug_in(bed.folder)
    for number in range(rounds):
        service = bed.versus(server, NOOP_SETTINGS, env=environment)
        seconds = time.perf_counter() - service.began_at
        results.add(READY, case, number, seconds=seconds, pending=server.count("pending"))
        if number < rounds - 1:
            service.kill()
    return service


def _at(results: Results, bed: Bed, case: str, number: int, *, bare: Process, service: Process, seconds: float) -> None:
    """A round with what is stored now: the bare handler, new groups, the first page, and how late single ones are."""
    template = payloads.request(payloads.alertmanager(5))
    results.add(STORED, f"{case}: bare", number, **one(bare, payloads.new_groups(template), seconds))
    few = payloads.new_groups(template, CREATES)  # so that there are hardly more afterwards
    results.add(STORED, f"{case}: new groups", number, **one(service, few, float("inf")))
    page = f"GET /api/incidents HTTP/1.1\r\nHost: 127.0.0.1\r\n{HEADER}: {SECRET}\r\n\r\n".encode()
    pages = uvloop.run(load.send(service.port, itertools.repeat(page, LOOKS), connections=1))
    values = {"p50_ms": pages.percentile_ms(0.50), "p99_ms": pages.percentile_ms(0.99)}
    results.add(STORED, f"{case}: first page", number, **values)
    late_ms = singles_late_ms(service, bed.folder / "notes", count=round(100 * seconds))
    values = {f"late_{name}_ms": load.percentile(late_ms, part) for name, part in (("p50", 0.5), ("p99", 0.99))}
    results.add(STORED, f"{case}: one due", number, **values, late_max_ms=max(late_ms), singles=len(late_ms))


def singles_late_ms(service: Process, notes: Path, *, count: int) -> list[float]:
    """How late each of *count* incidents escalates that come due one after the other, while nothing else does."""
    before = len(noop.lateness_ms(notes))
    came = uvloop.run(load.send(service.port, _singles(count), connections=1))
    until(lambda: len(noop.lateness_ms(notes)) >= before + came.accepted, what="the last single escalation")
    return noop.lateness_ms(notes)[before:]


SPACED_S = 0.025
"""Between two that come due alone."""


def _singles(count: int) -> Iterator[bytes]:
    due_at = time.time() + 1.0
    for number in range(count):
        wait_s = due_at + number * SPACED_S - time.time()
        template = payloads.request(payloads.alertmanager(1), {"oncall_wait_minutes": f"{max(0.0, wait_s) / 60:.6f}"})
        yield from payloads.new_groups(template, 1)


def _store(service: Process, count: int, ends_at: float) -> int:
    """Have so many accepted, fifty in a request; how many were in time."""

    def requests() -> Iterator[bytes]:
        template = payloads.request(payloads.array(AT_ONCE, payloads.alertmanager(1)))
        for it in payloads.new_groups(template, max(0, count) // AT_ONCE):
            if time.perf_counter() > ends_at:
                return
            yield it

    if count < AT_ONCE:
        return 0
    return AT_ONCE * uvloop.run(load.send(service.port, requests(), connections=16)).accepted


def _bytes_of_keys(server: RedisServer) -> tuple[int, int]:
    """Of all keys but the kept payloads, and of these."""
    counted = kept = 0
    for batch in _batches(server.client.scan_iter(count=1000), 1000):
        pipeline = server.client.pipeline(transaction=False)
        for key in batch:
            pipeline.memory_usage(key, samples=0)
        for key, found in zip(batch, pipeline.execute(), strict=True):
            if PAYLOAD in key:
                kept += found or 0
            else:
                counted += found or 0
    return counted, kept


def _batches(keys: Iterator[str], size: int) -> Iterator[list[str]]:
    while batch := [*itertools.islice(keys, size)]:
        yield batch


def _used(server: RedisServer) -> int:
    """What Redis has allocated for data, without the buffers of its append-only file and of clients."""
    found: dict[str, Any] = server.client.memory_stats()
    return int(found["total.allocated"]) - int(found["aof.buffer"]) - int(found["clients.normal"])
