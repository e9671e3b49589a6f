"""One seed has one course of events, in any process; and what goes wrong in it does so again by its script."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.effects import Fault, Script
from tests.simulation.knobs import FaultKind, Knobs
from tests.simulation.scripts import Recording, shrunk

ROOT = Path(__file__).parents[2]
TRACES = """
import os
from versus_py.incidents.copies import replace
from tests.simulation.knobs import PROFILES, knobs_for
from tests.simulation.play import play

jobs = [*zip(range(SEEDS), list(PROFILES) * 2), *((seed, "tickets") for seed in range(SEEDS, SEEDS + SEEDS // 4))]
said = []
for seed, profile in jobs if os.environ["PYTHONHASHSEED"] == "1" else reversed(jobs):
    world = play(seed, replace(knobs_for(seed, profile), minutes=2.0, alerts=2, wait_minutes=1.0))
    said.append((seed, profile, world.effects.number, world.effects.trace, world.loop.steps, world.violations))
for line in sorted(said):
    print(*line)
"""

BROKEN = """
from tests.simulation.bugs import BUGS
from tests.simulation.knobs import knobs_for
from tests.simulation.play import play

BUGS["forget every third"].plant()
world = play(2, knobs_for(2, "all"))
assert world.violations and world.effects.happened
again = play(2, world.knobs, world.effects.happened)
assert again.violations == world.violations
print(world.effects.number, world.effects.trace, again.effects.trace, world.violations, world.effects.happened)
"""


def said_by_both(program: str) -> list[str]:
    """What it prints in two processes that have their sets of texts in different orders."""
    running = [
        subprocess.Popen(
            [sys.executable, "-c", program],
            env=os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)},
            cwd=ROOT,
            text=True,
            stdout=subprocess.PIPE,
        )
        for hash_seed in ("1", "2")
    ]
    said = [it.communicate(timeout=200)[0] for it in running]
    assert [it.returncode for it in running] == [0, 0]
    return said


@pytest.mark.timeout(240)
@pytest.mark.parametrize("seeds", [4, pytest.param(20, marks=pytest.mark.long)])
def test_a_seed_has_the_same_effects_in_two_processes_whatever_was_played_before(seeds: int) -> None:
    """Of tickets a quarter more, as the others do not come to that profile."""
    first, second = said_by_both(f"SEEDS = {seeds}\n{TRACES}")

    assert len(first.splitlines()) == seeds + seeds // 4
    assert first == second


@pytest.mark.timeout(240)
def test_a_broken_promise_is_the_same_in_two_processes_and_by_its_script() -> None:
    first, second = said_by_both(BROKEN)

    assert first == second


def fault(number: int) -> Fault:
    return Fault(FaultKind.PROCESS_KILLED, {"after_ms": float(number), "down_s": 2.0})


def test_a_script_is_shrunk_to_the_faults_that_are_needed() -> None:
    script = {number: fault(number) for number in range(40)}

    def broken(tried: Script) -> str | None:
        return "no record" if {7, 31} <= tried.keys() else "something else" if len(tried) == 1 else None

    assert shrunk(script, broken) == {7: fault(7), 31: fault(31)}


def test_what_breaks_without_any_fault_is_shrunk_to_none() -> None:
    assert shrunk({number: fault(number) for number in range(5)}, lambda _: "no record") == {}


def test_a_recording_is_read_as_it_was_written(tmp_path: Path) -> None:
    knobs = Knobs("all", faults={FaultKind.REDIS_DOWN: 0.01})
    recording = Recording(5, knobs, {3: fault(3)}, "no record")

    recording.write(tmp_path / "it.json")

    assert Recording.read(tmp_path / "it.json") == recording
