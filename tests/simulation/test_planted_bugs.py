"""The simulation finds bugs that are planted, each within 100 seeds of the profile that is meant for it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from tests.simulation import bugs
from tests.simulation.bugs import BUGS

SEEDS_MAX = 100
FIRST = 1
SAMPLED = ("believe every clock",)
"""Played by every run of the tests: they are found by the first seed."""

_FOUND = re.compile(r"^seed (\d+) ", re.MULTILINE)
_ROOT = Path(__file__).parents[2]


def test_each_planted_bug_has_its_place_in_the_code_of_today() -> None:
    bugs.check()


def attempt(name: str) -> ParameterSet:
    return pytest.param(name, marks=() if name in SAMPLED else pytest.mark.long)


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", [*map(attempt, BUGS)])
def test_a_planted_bug_is_found_within_a_hundred_seeds_and_is_what_breaks_the_promise(name: str) -> None:
    profile = BUGS[name].profile
    told = _simulate("--bug", name, "--stop", "--first", str(FIRST), "--seeds", str(SEEDS_MAX), "--processes", "1")

    found = _FOUND.search(told.stdout)

    assert found is not None, told.stdout + told.stderr
    assert _simulate("--seed", found.group(1), "--profile", profile).returncode == 0, "also without the bug"


def _simulate(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.simulation", *arguments]
    return subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False)
