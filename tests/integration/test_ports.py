"""The ports of tests: two runs on one machine share none."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.servers import PORTS_EACH, free_port

ROOT = Path(__file__).parents[2]
PROGRAM = "from tests.support.servers import free_port; print(free_port(), flush=True); input()"


@contextmanager
def another_run() -> Iterator[int]:
    """A port that another process was told of, which goes on meanwhile."""
    command = [sys.executable, "-c", PROGRAM]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        try:
            yield int(process.stdout.readline())
        finally:
            process.communicate("\n", timeout=30)


def test_processes_that_run_at_the_same_time_have_ports_of_their_own():
    with another_run() as first, another_run() as second:
        stretches = {port // PORTS_EACH for port in (first, second, free_port())}

    assert len(stretches) == 3


def test_a_process_is_told_of_every_port_before_one_comes_again():
    told = [free_port() for _ in range(PORTS_EACH // 2)]

    assert len(set(told)) == len(told)
    assert len({port // PORTS_EACH for port in told}) == 1
