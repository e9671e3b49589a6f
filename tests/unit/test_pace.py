"""Turns at a destination: spaced, fair, and pushed back when the destination asks for it."""

import pytest

from tests.support.clock import FakeClock
from versus_py.targets import NotYet
from versus_py.targets.pace import Pace


@pytest.fixture
def pace(clock):
    return Pace(clock, interval_ms=1000)


def turn(pace: Pace, who: str, destination: str = "C1") -> int | None:
    """When to come back; None when it is their turn now."""
    try:
        pace.take(destination, who)
    except NotYet as exc:
        return exc.at_ms
    return None


def test_the_first_goes_at_once_and_the_others_get_turns_of_their_own(pace, clock):
    now = clock.now_ms()

    assert [turn(pace, who) for who in "abc"] == [None, now + 1000, now + 2000]


def test_those_who_come_back_at_their_turn_go(pace, clock):
    for who in "abc":
        turn(pace, who)

    clock.advance(seconds=1)
    assert turn(pace, "b") is None
    clock.advance(seconds=1)
    assert turn(pace, "c") is None


def test_a_newcomer_does_not_overtake(pace, clock):
    for who in "abc":
        turn(pace, who)
    clock.advance(seconds=1)

    assert turn(pace, "new") == clock.now_ms() + 2000


def test_coming_early_keeps_the_turn(pace, clock):
    turn(pace, "a")
    first = turn(pace, "b")

    assert turn(pace, "b") == first


def test_latecomers_do_not_go_all_at_once(pace, clock):
    for who in "abc":
        turn(pace, who)
    clock.advance(minutes=1)

    assert turn(pace, "b") is None
    later = turn(pace, "c")
    assert later is not None
    assert later >= clock.now_ms() + 1000


def test_destinations_do_not_wait_for_each_other(pace):
    assert turn(pace, "a", "C1") is None
    assert turn(pace, "a", "C2") is None


def test_a_block_moves_everybody_behind_it_in_order(pace, clock):
    for who in "abc":
        turn(pace, who)
    pace.block("C1", 30)
    until = clock.now_ms() + 30_000

    assert turn(pace, "b") == until
    assert turn(pace, "c") == until + 1000
    assert turn(pace, "new") == until + 2000
    assert turn(pace, "a", "C2") is None


def test_those_who_never_come_back_do_not_pile_up(clock):
    pace = Pace(clock, interval_ms=1)
    for number in range(12_000):
        turn(pace, f"who-{number}")
    for number in range(1_500):
        turn(pace, "who", f"C{number}")

    assert len(pace._queues) <= 1_000
    assert all(len(queue.turns) <= 10_000 for queue in pace._queues.values())


def test_no_interval_means_no_waiting_until_a_block():
    clock = FakeClock()
    pace = Pace(clock, interval_ms=0)

    assert [turn(pace, who) for who in "abc"] == [None, None, None]
    pace.block("C1", 5)
    assert turn(pace, "d") == clock.now_ms() + 5000
    clock.advance(seconds=5)
    assert turn(pace, "d") is None
