"""The clocks of processes that stand still, and of machines that are suspended."""

from collections.abc import Callable
from random import Random

import pytest

from tests.simulation.knobs import FaultKind, knobs_for
from tests.simulation.loop import Process, SimulatedLoop
from tests.simulation.world import World
from versus_py.incidents.copies import replace


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


@pytest.mark.parametrize(("restarted", "after_s", "is_doubtful"), [(2, 100, True), (1, 100, False), (2, 400, False)])
def test_a_clock_that_is_set_may_be_followed_where_no_replica_is_left_that_knew_better(restarted, after_s, is_doubtful):
    doubts: list[str] = []
    with World(1, replace(knobs_for(1, "jump"), replicas=2)) as world:
        world.on_doubt = doubts.append
        world._strike_redis(FaultKind.REDIS_JUMPS, {"ms": 130_000})
        world.loop.now_s += after_s
        for replica in world.replicas[:restarted]:
            replica.started_s = world.loop.now_s
        world._note_start()

    assert bool(doubts) is is_doubtful
