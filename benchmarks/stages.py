"""Where the CPU time of a request goes: section `stages`. The service says now and then where it is, see `profiled`."""

import os
import signal
import sys
from pathlib import Path

import orjson

from benchmarks.intake import SETTINGS, one, requests_of_five
from benchmarks.machine import cores
from benchmarks.processes import Bed, Process, free_port, opened, until, versus_config
from benchmarks.profiled import STAGES
from benchmarks.results import Results

SECTION = "stages"
BARE = "the bare handler, all of it"
KINDS = ("new groups", "repeats")


def measure(results: Results, *, rounds: int, seconds: float) -> None:
    """CPU time by stage: its part of what was noted, of the CPU time that a request took."""
    with opened() as bed:
        bare, notes = bed.module("benchmarks.baseline", core=cores().measured), bed.folder / "stages.json"
        service = _started(bed, notes)
        for kind in KINDS:
            requests = requests_of_five()[kind]
            one(service, requests, seconds / 2)  # the first requests of a process are slow
            for number in range(rounds):
                values = one(bare, requests, seconds)
                results.add(SECTION, f"{kind}: {BARE}", number, cpu_us=values["cpu_us"])
                notes.unlink(missing_ok=True)
                os.kill(service.pid, signal.SIGUSR1)
                cpu_us = one(service, requests, seconds)["cpu_us"]
                os.kill(service.pid, signal.SIGUSR2)
                until(notes.exists, what="the notes of stages")
                met = dict.fromkeys(sorted(STAGES), 0) | orjson.loads(notes.read_bytes())
                for stage, times in met.items():
                    results.add(SECTION, f"{kind}: {stage}", number, cpu_us=cpu_us * times / sum(met.values()))


def _started(bed: Bed, notes: Path) -> Process:
    """`versus serve` that takes notes."""
    port = free_port()
    path = versus_config(bed, port, bed.redis(), SETTINGS)
    command = [sys.executable, "-m", "benchmarks.profiled", str(notes), "serve", "-c", str(path)]
    service = bed.start(command, core=cores().measured, port=port)
    until(lambda: service.is_ready("/readyz"), what="versus serve")
    return service
