"""What an incident's timeline shows of its outcome."""

import pytest

from tests.support.clock import START_MS
from tests.support.factories import make_incident
from versus_py.incidents.copies import replace
from versus_py.incidents.model import Actor, Entry, Event, Status
from versus_py.tools.audit.timeline import contradiction

ANA = Actor("ana")


def entries(*events):
    """One second apart; those of a person come with one."""
    pairs = [it if isinstance(it, tuple) else (it, None) for it in events]
    return [Entry(START_MS + 1000 * index, event, by=by) for index, (event, by) in enumerate(pairs)]


def said(status, *events):
    return contradiction(replace(make_incident(), status=status), entries(*events))


@pytest.mark.parametrize(
    ("status", "events"),
    [
        pytest.param(Status.TRIGGERED, [Event.TRIGGERED, Event.WARNING, Event.POSTED], id="it waits"),
        pytest.param(Status.TRIGGERED, [Event.TRIGGERED, Event.ESCALATING, Event.ESCALATED], id="it escalated"),
        pytest.param(
            Status.ACKNOWLEDGED,
            [Event.TRIGGERED, Event.ESCALATING, Event.ACKNOWLEDGED, Event.ESCALATED],
            id="acknowledged while its record was made",
        ),
        pytest.param(
            Status.TRIGGERED,
            [Event.TRIGGERED, Event.ACKNOWLEDGED, (Event.ESCALATING, ANA), Event.ESCALATED],
            id="somebody wanted it to escalate all the same",
        ),
        pytest.param(
            Status.TRIGGERED,
            [Event.TRIGGERED, Event.ACKNOWLEDGED, Event.UNACKNOWLEDGED, Event.ESCALATING, Event.ESCALATED],
            id="given back",
        ),
        pytest.param(
            Status.RESOLVED,
            [Event.TRIGGERED, Event.ESCALATING, Event.FAILED, Event.RETRY, Event.ESCALATED, Event.RESOLVED],
            id="escalated when it was tried again",
        ),
        pytest.param(
            Status.TRIGGERED,
            [Event.TRIGGERED, Event.RESOLVED, Event.REOPENED, Event.ESCALATING, Event.ESCALATED],
            id="reopened",
        ),
        pytest.param(
            Status.RESOLVED,
            [Event.TRIGGERED, Event.ACKNOWLEDGED, Event("out of hours"), Event.ESCALATING, Event.RESOLVED],
            id="something that only a newer version knows",
        ),
        pytest.param(Status.TRIGGERED, [Event.POSTED, Event.ESCALATED], id="its beginning is not kept"),
        pytest.param(Status.RESOLVED, [], id="nothing is kept"),
    ],
)
def test_what_can_happen_is_no_contradiction(status, events):
    assert said(status, *events) == ""


@pytest.mark.parametrize("ended", [Event.ACKNOWLEDGED, Event.RESOLVED])
def test_an_escalation_that_begins_by_itself_after_the_wait_was_ended_contradicts(ended):
    assert said(Status.TRIGGERED, Event.TRIGGERED, ended, Event.ESCALATING).startswith("its escalation began at 2026")


def test_a_record_of_an_incident_that_was_acknowledged_in_time_contradicts():
    said_ = said(Status.ACKNOWLEDGED, Event.TRIGGERED, Event.ACKNOWLEDGED, Event.ESCALATED)

    assert said_.endswith("and no wait had ended")


@pytest.mark.parametrize(
    ("status", "last"),
    [
        (Status.TRIGGERED, Event.ACKNOWLEDGED),
        (Status.ACKNOWLEDGED, Event.UNACKNOWLEDGED),
        (Status.RESOLVED, Event.REOPENED),
        (Status.ACKNOWLEDGED, Event.RESOLVED),
    ],
)
def test_a_status_that_nothing_brought_about_contradicts(status, last):
    assert said(status, Event.TRIGGERED, Event.RESOLVED, last).startswith(f"it is {status}, and by its timeline")


def test_every_event_is_known_to_change_the_status_or_not():
    for event in Event:
        before = [Event.TRIGGERED, Event.ESCALATING, event]
        assert any(said(status, *before) == "" for status in Status)
        assert any(said(status, *before) != "" for status in Status), event
