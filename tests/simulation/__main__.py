"""Plays seeds, and says which broke a promise: `python -m tests.simulation --help`."""

import argparse
import json
import multiprocessing
import os
import secrets
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.simulation.bugs import BUGS
from tests.simulation.effects import Script
from tests.simulation.knobs import PROFILES, Knobs, knobs_for
from tests.simulation.planted import table
from tests.simulation.play import play
from tests.simulation.scripts import Broken, Recording, shrunk
from tests.simulation.world import World

SEEDS = 300
SHOWN_MAX = 6
"""Violations of one seed that are shown."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one seed."""

    seed: int
    profile: str
    hours: float
    trace: int
    violations: tuple[tuple[float, str, str], ...]


def main() -> int:
    asked = _arguments()
    if asked.planted:
        return _print_table([asked.bug] if asked.bug else list(BUGS), asked.processes)
    if asked.bug:
        BUGS[asked.bug].plant()
    if asked.script is not None:
        return _show(_replayed(asked.script, verbose=asked.verbose), asked.grep)
    if asked.seed is not None:
        world = play(asked.seed, knobs_for(asked.seed, asked.profile), keeps_log=asked.verbose)
        if asked.keep is not None and world.violations:
            _keep(world, asked.keep)
        return _show(world, asked.grep)
    first = secrets.randbelow(10**9) if asked.first is None else asked.first
    profiles = [asked.profile] if asked.profile != "each" else list(PROFILES)
    jobs = [(first + number, profiles[number % len(profiles)]) for number in range(asked.seeds)]
    print(
        f"{len(jobs)} seeds from {first} on, of {asked.profile}: --first {first} --seeds {asked.seeds} plays them again"
    )
    return _play_all(jobs, asked.processes, stops=asked.stop)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=SEEDS, help="how many")
    parser.add_argument("--first", type=int, help="the first of them; fresh ones without it")
    parser.add_argument("--profile", default="each", choices=["each", *PROFILES])
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--stop", action="store_true", help="at the first broken promise")
    parser.add_argument("--bug", choices=list(BUGS), help="plant this one")
    parser.add_argument("--planted", action="store_true", help="print how many seeds each bug takes to be found")
    parser.add_argument("--seed", type=int, help="only this one, in this process")
    parser.add_argument("--keep", type=Path, help="with --seed: write its faults, as few as needed, to this file")
    parser.add_argument("--script", type=Path, help="play a file of found/ again")
    parser.add_argument(
        "-v", dest="verbose", action="store_true", help="with --seed or --script: every line of its course"
    )
    parser.add_argument("--grep", default="", help="with -v: only lines with this")
    asked = parser.parse_args()
    if asked.profile == "each" and asked.bug:
        asked.profile = BUGS[asked.bug].profile
    elif asked.profile == "each" and asked.seed is not None:
        asked.profile = "all"
    return asked


def _print_table(names: list[str], processes: int) -> int:
    lines = [*map(_printed, table(names, processes))]
    return 1 if any("not found" in line for line in lines) else 0


def _printed(line: str) -> str:
    print(line, flush=True)
    return line


def _play_all(jobs: Iterable[tuple[int, str]], processes: int, *, stops: bool) -> int:
    begun, hours, count, broken = time.perf_counter(), 0.0, 0, Counter[str]()
    for outcome in _outcomes(jobs, processes, stops=stops):
        hours += outcome.hours
        count += 1
        if outcome.violations:
            broken[outcome.violations[0][1]] += 1
            print(f"seed {outcome.seed} {outcome.profile}: --seed {outcome.seed} --profile {outcome.profile} -v")
            for at_s, what, detail in outcome.violations[:SHOWN_MAX]:
                print(f"  {at_s:.3f} {what}: {detail[:600]}", flush=True)
            if stops:
                break
    took_s = time.perf_counter() - begun
    print(f"{count} seeds, {hours:.0f} simulated hours in {took_s:.0f} s; {broken.total()} broke a promise")
    for what, times in broken.most_common():
        print(f"  {times} {what}")
    return 1 if broken else 0


def _outcomes(jobs: Iterable[tuple[int, str]], processes: int, *, stops: bool) -> Iterator[Outcome]:
    outcome = partial(_outcome, stops=stops)
    if processes == 1:
        yield from map(outcome, jobs)
        return
    with multiprocessing.get_context("fork").Pool(processes) as pool:
        yield from pool.imap(outcome, jobs)


def _outcome(job: tuple[int, str], *, stops: bool) -> Outcome:
    seed, profile = job
    world = play(seed, knobs_for(seed, profile), stops=stops)
    return Outcome(seed, profile, world.loop.now_s / 3600, world.effects.trace, tuple(world.violations))


def _replayed(path: Path, *, verbose: bool) -> World:
    it = Recording.read(path)
    return play(it.seed, it.knobs, it.faults, keeps_log=verbose)


def _keep(world: World, path: Path) -> None:
    """Play again with fewer and fewer faults, and write the least that breaks the same promise."""
    broke = world.violations[0][1]
    Recording(world.seed, world.knobs, shrunk(world.effects.happened, _breaking(world.seed, world.knobs)), broke).write(
        path
    )
    print(f"wrote {path}")


def _breaking(seed: int, knobs: Knobs) -> Broken:
    def broken(script: Script) -> str | None:
        violations = play(seed, knobs, script).violations
        return violations[0][1] if violations else None

    return broken


def _show(world: World, grep: str) -> int:
    for line in world.lines:
        if grep in line:
            print(line)
    for at_s, what, detail in world.violations:
        print(f"{at_s:.3f} {what}: {detail}")
    faults = {number: fault.as_json() for number, fault in world.effects.happened.items()}
    print(f"seed {world.seed}, {world.knobs}, {world.loop.now_s / 60:.0f} min, trace {world.effects.trace}")
    print(f"faults {json.dumps(faults)}")
    print("a promise was broken" if world.violations else "every promise was kept")
    return 1 if world.violations else 0


if __name__ == "__main__":
    sys.exit(main())
