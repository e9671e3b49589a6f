"""What History says of an incident, and how what was open at a moment is ordered."""

import pytest

from tests.support.clock import START_MS
from tests.support.factories import make_alert, make_incident
from versus_py.incidents import transitions
from versus_py.incidents.copies import replace
from versus_py.incidents.model import Actor, Delivery, Entry, Event, Incident, Status
from versus_py.store import WasOpen
from versus_py.web.pages.ui.past import SAID_MAX, open_at, past_row

ANA, ALERTMANAGER = Actor("Ana Diaz"), Actor("alertmanager")
MINUTE_MS = 60_000


def acknowledged(minutes: float = 2, by: Actor = ANA) -> Incident:
    change = transitions.acknowledge(make_incident(), by, START_MS + round(minutes * MINUTE_MS))
    assert change is not None
    return change.incident


def resolved(incident: Incident, minutes: float, by: Actor) -> Incident:
    change = transitions.resolve(incident, by, START_MS + round(minutes * MINUTE_MS))
    assert change is not None
    return change.incident


def escalated() -> Incident:
    change = transitions.begin_step(make_incident(), START_MS + 5 * MINUTE_MS)
    assert change is not None
    record = Delivery(reference={"sys_id": "1"}, label="INC0010427", synced_at_ms=START_MS + 6 * MINUTE_MS)
    return change.incident.with_deliveries({"servicenow": record})


def silenced() -> Incident:
    incident = make_incident()
    change = transitions.suppress(incident, incident, "silenced by ops", None, START_MS + 5 * MINUTE_MS)
    assert change is not None
    return change.incident


@pytest.mark.parametrize(
    ("incident", "said"),
    [
        (make_incident(), "step 1 of 2"),
        (acknowledged(), "Ana Diaz after 2 min"),
        (resolved(acknowledged(), 62, ANA), "Ana Diaz after 2 min · 1 h 2 min in all"),
        (resolved(make_incident(), 6, ALERTMANAGER), "over by itself after 6 min"),
        (resolved(make_incident(), 6, ANA), "resolved by Ana Diaz after 6 min"),
        (escalated(), "escalated, INC0010427"),
        (resolved(escalated(), 9, ALERTMANAGER), "escalated, INC0010427 · over by itself after 9 min"),
        (silenced(), "silenced by ops"),
    ],
)
def test_it_says_how_it_went(incident, said):
    assert past_row(incident, str).said == said


def test_what_it_says_is_cut():
    assert len(past_row(acknowledged(by=Actor("x" * 500)), str).said) == SAID_MAX


def was_open(name: str, severity: str, *entries: Entry) -> WasOpen:
    incident = make_incident(make_alert(name), dedup_key=name, title=name, severity=severity)
    return WasOpen(incident, (Entry(START_MS, Event.TRIGGERED), *entries))


def test_what_waited_comes_gravest_first_and_what_somebody_had_oldest_first():
    def taken(minutes: int) -> Entry:
        return Entry(START_MS + minutes * MINUTE_MS, Event.ACKNOWLEDGED, by=ANA)

    found = [
        was_open("a", "warning"),
        was_open("b", "critical"),
        was_open("c", "info", taken(3)),
        was_open("d", "critical", taken(4)),
        was_open("e", "error", Entry(START_MS + 1, Event.RESOLVED, by=ANA)),
    ]

    shown = open_at(found, START_MS + 10 * MINUTE_MS, str)

    assert [it.title for it in shown.waiting] == ["b", "a"]
    assert [it.title for it in shown.taken] == ["c", "d"]
    assert shown.total == 4
    assert shown.taken[0].by is not None
    assert shown.taken[0].by.initials == "AD"


def test_what_is_not_known_counts_as_waiting():
    incident = replace(make_incident(), status=Status.TRIGGERED)

    shown = open_at([WasOpen(incident, (Entry(START_MS + MINUTE_MS, Event.ESCALATING),))], START_MS + 1, str)

    assert [(it.standing, it.next) for it in shown.waiting] == [("", "Escalating")]
