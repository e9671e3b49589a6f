"""What waits for a slot: bounded by system, fair between places, oldest first; and how many slots there are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from versus_py.engine.queue import FAST_S, LEAST, STALE_MAX, START, DueQueue, Limit, Place
from versus_py.incidents.model import IncidentId
from versus_py.store import Due
from versus_py.store.replicas import Pace

STORM, QUIET = Place("slack", "storm"), Place("slack", "quiet")


def due(number: int, *, at_ms: int | None = None) -> Due:
    return Due(number if at_ms is None else at_ms, IncidentId(f"i-{number}"), "slack")


@pytest.fixture
def queue():
    return DueQueue(lambda _: 4)


def numbers(taken) -> list[str]:
    return [it.incident_id for it, _ in taken]


def test_no_more_is_taken_than_there_are_slots_and_the_oldest_first(queue):
    for number in (5, 3, 1, 4, 2, 0):
        queue.put(due(number), Place("servicenow"))

    assert numbers(queue.take()) == ["i-0", "i-1", "i-2", "i-3"]
    assert queue.take() == []
    queue.free(Place("servicenow"))
    assert numbers(queue.take()) == ["i-4"]
    assert len(queue) == 1


def test_a_system_that_is_full_takes_no_slot_of_another(queue):
    for number in range(9):
        queue.put(due(number), Place("servicenow"))
    queue.take()

    queue.put(due(9), Place("servicenow:infra"))

    assert numbers(queue.take()) == ["i-9"]


def test_the_next_slot_is_that_of_the_place_with_the_fewest(queue):
    for number in range(9):
        queue.put(due(number), STORM)
    queue.take()
    queue.put(due(9), QUIET)

    queue.free(STORM)

    assert numbers(queue.take()) == ["i-9"]


def test_where_there_are_several_places_none_takes_every_slot(queue):
    queue.put(due(0), QUIET)
    queue.put(due(1), STORM)
    queue.take()
    queue.free(QUIET)
    queue.free(STORM)
    for number in range(2, 9):
        queue.put(due(number), STORM)

    assert len(queue.take()) == 3
    queue.put(due(9), QUIET)
    assert numbers(queue.take()) == ["i-9"]


def test_what_is_armed_anew_waits_once_and_by_its_new_time(queue):
    queue.put(due(1, at_ms=10), QUIET)
    queue.put(due(2, at_ms=5), QUIET)
    assert due(1, at_ms=10) in queue
    assert due(1, at_ms=3) not in queue

    queue.put(due(1, at_ms=3), QUIET)

    assert numbers(queue.take()) == ["i-1", "i-2"]


def test_what_is_not_due_any_more_is_forgotten(queue):
    queue.put(due(1), QUIET)
    queue.put(due(2), QUIET)

    queue.keep([due(2)])

    assert numbers(queue.take()) == ["i-2"]
    assert due(1) not in queue


class Plain:
    """The same in a few lines: all places are looked at for each slot."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.waiting: dict[IncidentId, tuple[Due, Place]] = {}
        self.running: list[Place] = []
        self.had_places: set[str] = set()

    def put(self, it: Due, place: Place) -> None:
        self.waiting[it.incident_id] = (it, place)
        if {other for _, other in self.waiting.values()} | {*self.running} > {place}:
            self.had_places.add("slack")

    def take(self) -> list[tuple[Due, Place]]:
        taken = []
        of_one = max(1, self.most - max(1, self.most // 8)) if self.had_places else self.most
        while len(self.running) < self.most:
            free = [(self.running.count(place), it, place) for it, place in self.waiting.values()]
            free = [it for it in free if it[0] < of_one]
            if not free:
                break
            _, it, place = min(free)
            del self.waiting[it.incident_id]
            self.running.append(place)
            taken.append((it, place))
        return taken


@given(
    st.lists(st.tuples(st.sampled_from("ptfk"), st.integers(0, 9), st.integers(0, 30), st.integers(0, 5)), max_size=60)
)
def test_it_is_as_if_all_places_were_looked_at(steps):
    queue, plain = DueQueue(lambda _: 5), Plain(5)
    for what, number, at_ms, name in steps:
        if what == "p":
            for it in (queue, plain):
                it.put(due(number, at_ms=at_ms), Place("slack", str(name)))
        elif what == "f" and plain.running:
            queue.free(plain.running.pop(name % len(plain.running)))
        elif what == "k":
            kept = [it for it, _ in plain.waiting.values() if it.due_ms % 2]
            queue.keep(kept)
            plain.waiting = {it.incident_id: plain.waiting[it.incident_id] for it in kept}
        else:
            assert queue.take() == plain.take()
        assert len(queue) == len(plain.waiting)


def test_what_is_out_of_date_is_looked_through_now_and_then(queue):
    for number in range(5_000):
        queue.put(due(number), Place("slack", str(number % 10)))
    for _ in range(1_000):
        for _, place in queue.take():
            queue.free(place)

    assert len(queue) == 1_000
    assert len(queue._systems["slack"].offers) <= 2 * 10 + STALE_MAX


def answered(limit: Limit, times: int, *, took_s: float = 0.1, was_full: bool = True) -> int:
    for _ in range(times):
        limit.raise_after(took_s, was_full=was_full)
    return limit.now


def test_a_limit_rises_while_answers_are_fast_up_to_what_is_configured():
    limit = Limit(32)
    assert limit.now == START

    assert answered(limit, START) == 2 * START
    assert answered(limit, 100) == 32


def test_a_limit_rises_at_a_system_that_is_slow_and_gets_no_slower():
    assert answered(Limit(32), 100, took_s=4 * FAST_S) == 32


@pytest.mark.parametrize("how", [{"took_s": FAST_S + 0.1}, {"was_full": False}], ids=["slow", "with slots to spare"])
def test_a_limit_does_not_rise_for_answers_that_are(how):
    limit = Limit(32)
    answered(limit, 1, was_full=False)

    assert answered(limit, 100, **how) == START


def test_a_limit_halves_once_for_all_that_were_under_way_and_then_rises_by_one_a_round():
    limit = Limit(64)
    answered(limit, 100)

    for number in range(10):
        limit.lower(began_s=1.0, now_s=2.0 + number / 10)

    assert limit.now == 32
    assert answered(limit, 33) == 33
    limit.lower(began_s=2.5, now_s=3.0)
    assert limit.now == 16


def test_a_limit_never_falls_below_the_least_or_what_is_configured():
    for most, least in ((32, LEAST), (2, 2), (1, 1)):
        limit = Limit(most)
        for second in range(10):
            limit.lower(began_s=second, now_s=second + 0.5)
        assert limit.now == least


def test_the_pace_is_that_of_a_time_when_all_slots_were_taken():
    limit, found = Limit(32), []
    for took_s, was_full in ((0.2, False), (0.5, True), (0.1, False)):
        found.append(limit.pace)
        limit.note_pace(took_s, was_full=was_full)

    assert [*found, limit.pace] == [None, Pace(8, 32, 0.2), Pace(8, 32, 0.5), Pace(8, 32, 0.5)]


def test_the_pace_follows_what_deliveries_take():
    limit = Limit(8)
    for _ in range(100):
        limit.note_pace(1.0, was_full=True)
    for _ in range(100):
        limit.note_pace(0.2, was_full=True)

    assert limit.pace is not None
    assert limit.pace.seconds == pytest.approx(0.2, rel=0.01)
