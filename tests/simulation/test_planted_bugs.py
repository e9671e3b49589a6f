"""The simulation finds bugs that are planted, each within 100 seeds of the profile that is meant for it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from tests.simulation import bugs
from tests.simulation.bugs import BUGS
from tests.simulation.knobs import knobs_for
from tests.simulation.planted import FIRST
from tests.simulation.play import play

SAMPLED = ("be early",)
"""Played by every run of the tests: the first seed finds it, in its first minutes."""

_NEEDED = re.compile(r"\| (\d+) \|$", re.MULTILINE)
_ROOT = Path(__file__).parents[2]


def test_each_planted_bug_has_its_place_in_the_code_of_today() -> None:
    bugs.check()


def attempt(name: str) -> ParameterSet:
    return pytest.param(name, marks=() if name in SAMPLED else pytest.mark.long)


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", [*map(attempt, BUGS)])
def test_a_planted_bug_is_found_within_a_hundred_seeds_and_is_what_breaks_the_promise(name: str) -> None:
    profile = BUGS[name].profile
    command = [sys.executable, "-m", "tests.simulation", "--planted", "--bug", name, "--processes", "1"]
    told = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False)

    needed = _NEEDED.search(told.stdout)

    assert needed is not None, told.stdout + told.stderr
    seed = FIRST + int(needed[1]) - 1
    assert play(seed, knobs_for(seed, profile)).violations == [], "also without the bug"
