"""What Now shows, and in which order."""

import pytest

from tests.support.clock import START_MS
from tests.support.factories import make_incident
from versus_py.incidents.copies import replace
from versus_py.incidents.model import IncidentId
from versus_py.incidents.places import Kind, Place
from versus_py.web.pages.ui.now import ROWS_MAX, Reach, cursor_of, now_of, wanted
from versus_py.web.pages.ui.rows import Person, Spot, row_of

ROW = row_of(make_incident(), str)


def waiting(name, due_ms, **fields):
    return replace(ROW, id=IncidentId(name), place=Place(Kind.STEP, due_ms), due_ms=due_ms, **fields)


def taken(name, at_ms):
    return replace(
        ROW, id=IncidentId(name), place=Place(Kind.TAKEN, at_ms), taken_at_ms=at_ms, taken_by=Person("Ana", "A")
    )


def ids(part):
    return [it.id for it in part.rows]


def test_the_soonest_escalation_comes_first_and_the_oldest_acknowledgment():
    now = now_of([waiting("b", 20), taken("d", 9), waiting("a", 10), taken("c", 8)])

    assert ids(now.waiting) == ["a", "b"]
    assert ids(now.taken) == ["c", "d"]
    assert now.next is not None
    assert now.next.id == "a"
    assert (now.waiting.total, now.waiting_in_all, now.is_empty) == (2, 2, False)


def test_nothing_open_is_empty():
    assert now_of([]).is_empty


def test_what_cannot_be_read_is_not_nothing():
    assert not now_of([], unread=1).is_empty


def test_a_filter_that_finds_nothing_is_not_empty():
    now = now_of([waiting("a", 10)], query="nothing")

    assert (now.waiting.total, now.waiting_in_all, now.is_empty) == (0, 1, False)


def test_the_next_one_is_not_one_that_is_held():
    now = now_of([replace(waiting("a", 10), place=Place(Kind.HOURS, 10)), waiting("b", 20)])

    assert now.next is not None
    assert now.next.id == "b"


def test_of_thousands_only_what_a_page_shows_is_wanted():
    spots = [spot(f"{number:04}", Kind.ESCALATED, number) for number in range(100)]
    spots += [spot(f"{number:04}", Kind.STEP, number) for number in range(100, 2000)]
    spots += [spot(f"t{number:04}", Kind.TAKEN, number) for number in range(100)]

    found = wanted(spots)
    now = now_of([waiting(it.id, it.sort) if it.id in found and not it.is_taken else it for it in spots])

    assert len(found) < 100
    assert found[:2] == ["0000", "0001"]
    assert found[-1] == "0100", "the one that escalates next, though it is on another page"
    assert (now.waiting.total, now.taken.total) == (2000, 100)
    assert ids(now.waiting) == found[: len(now.waiting.rows)]
    assert wanted(spots, waiting_after="1998.1998")[0] == "1999"
    assert len(wanted(spots, query="disk")) == len(spots)


def spot(name, kind, sort):
    return Spot(IncidentId(name), 1, Place(kind, sort))


def test_pages_by_cursor_hold_every_row_once():
    rows = [waiting(f"{number:04}", START_MS + number // 3) for number in range(500)]
    seen, after = [], ""
    while True:
        part = now_of(rows, waiting_after=after).waiting
        assert len(part.rows) <= ROWS_MAX
        seen += ids(part)
        assert part.left == 500 - len(seen)
        if not (after := part.cursor):
            break

    assert seen == [it.id for it in rows]


def test_a_cursor_of_a_row_that_is_gone_goes_on_after_it():
    rows = [waiting("a", 10), waiting("b", 20), waiting("c", 30)]
    after = cursor_of(rows[1])

    assert ids(now_of([rows[0], rows[2]], waiting_after=after).waiting) == ["c"]


@pytest.mark.parametrize("cursor", ["x", "1e9.a", "-1.a", "9" * 30 + ".a"])
def test_what_is_no_cursor_is_refused(cursor):
    with pytest.raises(ValueError, match="no cursor"):
        now_of([], waiting_after=cursor)


def test_large_rows_fill_a_page_sooner_and_one_is_always_there():
    large = [waiting(f"{number}", number, title="<" * 160, labels=(("a", "<" * 20_000),)) for number in range(3)]

    assert len(now_of(large).waiting.rows) == 1


def test_reach_names_what_is_in_trouble():
    reach = Reach("unavailable", {"Slack": "ok", "ServiceNow": "open"}, 0)

    assert not reach.is_well
    assert reach.troubled == (("Redis", "unavailable"), ("ServiceNow", "open"))
    assert not Reach("ok", {}, overdue=1).is_well
    assert Reach("ok", {"Slack": "ok"}, 0).is_well
