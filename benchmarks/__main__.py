"""Measure, and write BENCHMARKS.md: `python -m benchmarks [--full | --tiny] [--only SECTION,…] [--into FOLDER]`."""

import argparse
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import draining, intake, machine, replicas, report, stages, stored
from benchmarks.peers import run as peers
from benchmarks.processes import redis_server
from benchmarks.results import Results


@dataclass(frozen=True, slots=True)
class Form:
    """How much of everything."""

    name: str
    rounds: int
    seconds: float  # of one case of the intake in one round
    due: tuple[int, ...]  # escalations at once
    counted: int  # incidents whose bytes are counted
    sizes: tuple[int, ...]  # alerts in a request
    steps: tuple[int, ...]  # incidents that wait
    budget_s: float  # for having these accepted
    jobs: int = 0  # of each peer's burst
    trickle_s: float = 0  # for so long, others come due
    replicas: tuple[int, ...] = ()  # so many on one Redis, and on a cluster
    shared_due: int = 0  # escalations at once for these
    is_full: bool = False


SHORT = Form("short", 5, 0.25, (1_000,), 2_000, stored.SIZES_IN_SHORT, (1_000, 10_000), 30)
FULL = Form(
    "full",
    rounds=5,
    seconds=0.6,
    due=(2_000, 10_000),
    counted=10_000,
    sizes=stored.SIZES,
    steps=(10_000, 100_000, 1_000_000),
    budget_s=300,
    jobs=20_000,
    trickle_s=10,
    replicas=(1, 2, 4),
    shared_due=500,
    is_full=True,
)
TINY = Form("tiny", 1, 0.1, (50,), 50, (1, 5), (100, 200), 30, replicas=(1, 2), shared_due=50)
"""To see that it works; its figures say nothing."""


def sections(form: Form) -> Mapping[str, Callable[[Results], None]]:
    found: dict[str, Callable[[Results], None]] = {
        intake.SECTION: lambda it: intake.measure(it, rounds=form.rounds, seconds=form.seconds),
        stages.SECTION: lambda it: stages.measure(it, rounds=form.rounds, seconds=form.seconds),
        draining.SECTION: lambda it: draining.measure(it, rounds=form.rounds, counts=form.due),
        stored.BYTES: lambda it: stored.measure_bytes(it, count=form.counted),
        stored.SIZE: lambda it: stored.measure_size(it, rounds=form.rounds, seconds=form.seconds, sizes=form.sizes),
        stored.STORED: lambda it: stored.measure_stored(
            it, steps=form.steps, rounds=form.rounds, seconds=form.seconds, budget_s=form.budget_s
        ),
    }
    if form.replicas:
        found[replicas.SECTION] = lambda it: replicas.measure(
            it, rounds=form.rounds, seconds=form.seconds / 2, replicas=form.replicas, due=form.shared_due
        )
    if form.is_full:
        found[intake.DURABILITY] = lambda it: intake.measure_durability(it, rounds=form.rounds, seconds=form.seconds)
        found["drain, durable"] = lambda it: draining.measure(
            it, rounds=form.rounds, counts=(form.shared_due,), cases=draining.DURABLE
        )
        found[peers.SECTION] = lambda it: peers.measure(it, jobs=form.jobs, seconds=form.trickle_s)
    return found


def main() -> int:
    options = _options()
    form = FULL if options.full else TINY if options.tiny else SHORT
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started ends too
    os.sched_setaffinity(0, {machine.cores().around})
    results = Results(about=_about(form))
    if not options.anyway:
        reached = intake.baseline()
        if reached < intake.BASELINE_MIN:
            sys.stderr.write(
                f"void: the bare handler reaches {reached:,.0f} of {intake.BASELINE_MIN:,} requests/s: this machine "
                "is too slow, or too busy. --anyway measures all the same.\n"
            )
            return 1
    for name, measure in sections(form).items():
        if not options.only or name in options.only.split(","):
            began = time.perf_counter()
            try:
                measure(results)
            except Exception as exc:  # noqa: BLE001 - the other sections are measured all the same
                traceback.print_exc()
                results.missing[name] = f"{type(exc).__name__}: {exc}"
            sys.stderr.write(f"{name}: {time.perf_counter() - began:.0f} s\n")
    into = options.into or (report.ROOT if not (results.void or options.tiny or options.only) else None)
    if into is None:
        sys.stdout.write(report.page(results))
    else:
        report.write(results, into)
    if results.void:
        sys.stderr.write(f"void: {results.void}\n")
    return 1 if results.void else 0


def _about(form: Form) -> dict[str, object]:
    command = "make bench FULL=1" if form.is_full else "make bench"
    return {
        "form": f"{form.name} (`{command}`), rounds: {form.rounds}, every other one backwards",
        "measured": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": machine.commit(),
        "machine": machine.described(),
        "versions": machine.versions({"Redis": [redis_server(), "--version"]}),
        "Redis": "appendonly yes, appendfsync everysec, no rewrite while measuring, by TCP on the same machine",
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure, and write BENCHMARKS.md.")
    parser.add_argument("--full", action="store_true", help="everything, for 25 minutes; else what takes three")
    parser.add_argument("--tiny", action="store_true", help="to see that it works: prints the page")
    parser.add_argument("--only", default="", help="sections, with commas between them: prints the page")
    parser.add_argument("--into", type=Path, help="a folder to write everything into, in place of the tree")
    parser.add_argument("--anyway", action="store_true", help="also on a machine that is too slow or too busy")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
