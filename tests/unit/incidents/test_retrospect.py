"""How an incident stood at a moment of its past."""

import pytest

from tests.support.clock import START_MS
from tests.support.factories import make_alert, make_incident
from versus_py.incidents.copies import replace
from versus_py.incidents.model import Actor, Entry, Event, Incident, Status
from versus_py.incidents.retrospect import BECOMES, standing_at

ANA, BEN = Actor("Ana Diaz"), Actor("Ben Okafor")
MINUTE_MS = 60_000


def at(minutes: float) -> int:
    return START_MS + round(minutes * MINUTE_MS)


def entry(minutes: float, event: Event, detail: str = "", by: Actor | None = None) -> Entry:
    return Entry(at(minutes), event, detail, by)


STORY = (
    entry(0, Event.TRIGGERED, "1 alert from alertmanager"),
    entry(1, Event.POSTED, "Slack"),
    entry(5, Event.ESCALATING, "not acknowledged for 300 s"),
    entry(6, Event.ESCALATED, "INC0010001"),
    entry(10, Event.ACKNOWLEDGED, by=ANA),
    entry(20, Event.UNACKNOWLEDGED, by=ANA),
    entry(21, Event.SNOOZED, "until later", BEN),
    entry(30, Event.SNOOZE_OVER),
    entry(31, Event.SUPPRESSED, "silenced by ops"),
    entry(35, Event.ACKNOWLEDGED, by=BEN),
    entry(36, Event.COMMENTED, "looking", BEN),
    entry(40, Event.RESOLVED, by=BEN),
    entry(44, Event.REOPENED, "it fires again"),
    entry(50, Event.RESOLVED, by=Actor("alertmanager")),
)


@pytest.fixture
def incident() -> Incident:
    found = make_incident(make_alert())
    return replace(found, status=Status.RESOLVED, resolved_at_ms=at(50), resolved_by=Actor("alertmanager"))


@pytest.mark.parametrize(
    ("minutes", "standing", "since", "by"),
    [
        (0, "triggered", 0, None),
        (4.99, "triggered", 0, None),
        (5, "triggered", 0, None),
        (10, "acknowledged", 10, ANA),
        (19, "acknowledged", 10, ANA),
        (20, "triggered", 20, ANA),
        (25, "snoozed", 21, BEN),
        (30, "triggered", 30, None),
        (33, "suppressed", 31, None),
        (39.9, "acknowledged", 35, BEN),
        (44, "triggered", 44, None),
    ],
)
def test_it_stood_as_its_timeline_says(incident, minutes, standing, since, by):
    then = standing_at(incident, STORY, at(minutes))

    assert then is not None
    assert (then.standing, then.since_ms, then.by) == (standing, at(since), by)


@pytest.mark.parametrize("minutes", [-0.01, 40, 43.9, 50, 500])
def test_it_was_not_open(incident, minutes):
    assert standing_at(incident, STORY, at(minutes)) is None


def test_it_says_what_came_next_and_whether_it_had_escalated(incident):
    before, after, again = (standing_at(incident, STORY, at(it)) for it in (2, 7, 45))

    assert before is not None
    assert after is not None
    assert again is not None
    assert before.next is not None
    assert (before.next.event, before.escalated_at_ms) == (Event.ESCALATING, None)
    assert after.next is not None
    assert (after.next.event, after.escalated_at_ms) == (Event.ACKNOWLEDGED, at(5))
    assert (again.began_ms, again.escalated_at_ms) == (at(44), None)


def test_of_a_timeline_whose_beginning_is_not_kept_only_that_it_was_open_is_known(incident):
    then = standing_at(incident, STORY[4:], at(3))

    assert then is not None
    assert (then.standing, then.began_ms) == ("", START_MS)


def test_a_beginning_that_is_not_kept_and_that_ended_before_is_not_open(incident):
    assert standing_at(incident, STORY[12:], at(43)) is None


def test_the_severity_is_that_of_then(incident):
    story = (
        STORY[0],
        entry(2, Event.SEVERITY_RAISED, "warning → error"),
        entry(4, Event.SEVERITY_CHANGED, "error → info"),
    )
    raised = replace(incident, severity="info", status=Status.TRIGGERED, resolved_at_ms=None)

    found = [standing_at(raised, story, at(it)) for it in (1, 3, 5)]

    assert [it and it.severity for it in found] == ["warning", "error", "info"]


def test_every_status_comes_about_somehow():
    assert {*BECOMES.values()} == {*Status}
