"""Where an open incident is among the others, and that it is stored with it."""

import pytest

from tests.support.clock import START_MS
from tests.support.factories import make_incident, make_policy
from versus_py.incidents.copies import replace
from versus_py.incidents.model import Actor, Call, Snooze, Status, Suppression
from versus_py.incidents.places import NEVER, Kind, Place, place_of
from versus_py.store.codec import SCHEMA, dump_incident, load_place

WAITS = make_incident()
DUE_MS = START_MS + 5 * 60_000
ACKNOWLEDGED = replace(WAITS, status=Status.ACKNOWLEDGED, acknowledged_at_ms=START_MS + 7)
SNOOZED = replace(WAITS, snooze=Snooze(DUE_MS, Actor("ana")))
ESCALATED = replace(WAITS, escalates_at_ms=None, calls={"servicenow": Call(1, DUE_MS, DUE_MS + 5)})
SILENCED = replace(WAITS, suppression=Suppression(START_MS, "a silence"))
HELD = replace(WAITS, policy=replace(make_policy(), opens_at_ms=DUE_MS), next_step=0)
STEPLESS = replace(WAITS, escalates_at_ms=None)

PLACES = [
    pytest.param(WAITS, Place(Kind.STEP, DUE_MS), id="it waits for a step"),
    pytest.param(ACKNOWLEDGED, Place(Kind.TAKEN, START_MS + 7), id="acknowledged"),
    pytest.param(SNOOZED, Place(Kind.TAKEN, START_MS), id="snoozed"),
    pytest.param(ESCALATED, Place(Kind.ESCALATED, DUE_MS + 5), id="escalated"),
    pytest.param(SILENCED, Place(Kind.NOTHING, NEVER + START_MS), id="silenced"),
    pytest.param(HELD, Place(Kind.HOURS, DUE_MS), id="outside of hours"),
    pytest.param(STEPLESS, Place(Kind.NOTHING, NEVER + START_MS), id="no step"),
]


@pytest.mark.parametrize(("incident", "place"), PLACES)
def test_each_has_its_place(incident, place):
    assert place_of(incident) == place


@pytest.mark.parametrize(("incident", "place"), PLACES)
def test_the_place_is_read_from_the_beginning_of_what_is_stored(incident, place):
    text = dump_incident(incident).decode()

    assert load_place(text[:80]) == place


@pytest.mark.parametrize(
    "text",
    ["", "{}", '{"schema":5,"readable_from":4,"id":"a"', f'{{"schema":99,"readable_from":{SCHEMA + 1},"place":"w1"'],
)
def test_without_a_place_or_of_a_newer_version_it_has_to_be_read(text):
    assert load_place(text) is None


@pytest.mark.parametrize("text", ["", "w", "x1", "1"])
def test_what_is_no_place_is_refused(text):
    with pytest.raises(ValueError, match=r"."):
        Place.parse(text)
