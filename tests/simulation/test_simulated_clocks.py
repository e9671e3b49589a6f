"""The clocks of processes that stand still, and of machines that are suspended."""

from collections.abc import Callable
from random import Random

import pytest

from tests.simulation.loop import Process, SimulatedLoop


@pytest.mark.parametrize(("stops_clock", "due_s"), [(False, 7.0), (True, 10.0)], ids=["frozen", "suspended"])
def test_a_timer_of_a_process_that_stands_still_is_due_by_the_clock_of_the_process(stops_clock: bool, due_s: float):
    loop = SimulatedLoop(Random(1))
    process = Process(loop, "replica")
    called: list[float] = []

    def in_process(do: Callable[[], object]) -> None:
        process.context.copy().run(do)

    in_process(lambda: loop.call_later(5, lambda: called.append(loop.now_s)))
    loop.call_in(2, lambda: process.freeze(stops_clock=stops_clock))
    loop.call_in(7, process.thaw)
    loop.call_in(30, loop.stop)
    loop.run_forever()
    loop.close()

    assert called == [due_s]
