"""How many seeds each planted bug takes until it is found: `python -m tests.simulation --planted`."""

import multiprocessing
from collections.abc import Iterator

from tests.simulation.bugs import BUGS
from tests.simulation.knobs import knobs_for
from tests.simulation.play import play

SEEDS_MAX = 100
FIRST = 1


def table(names: list[str], processes: int) -> Iterator[str]:
    """In Markdown, a line for each bug as soon as it is known; "not found" where SEEDS_MAX seeds are too few."""
    yield "| bug | profile | seeds needed |"
    yield "|---|---|---|"
    # A bug is planted for good, so each has a process of its own.
    with multiprocessing.get_context("fork").Pool(processes, maxtasksperchild=1) as pool:
        for name, needed in zip(names, pool.imap(seeds_needed, names, chunksize=1), strict=True):
            yield f"| {name} | {BUGS[name].profile} | {needed or 'not found'} |"


def seeds_needed(name: str) -> int | None:
    """Plant the bug in this process, and play seeds until one breaks a promise; None when none does."""
    bug = BUGS[name]
    bug.plant()
    for number in range(SEEDS_MAX):
        if play(FIRST + number, knobs_for(FIRST + number, bug.profile), stops=True).violations:
            return number + 1
    return None
