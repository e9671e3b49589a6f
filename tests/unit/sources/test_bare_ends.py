"""Ends that say less than the alert did: what it was about stays known."""

import pytest

from versus_py import sources
from versus_py.incidents.copies import replace
from versus_py.incidents.listings import merged

EVENT = {"routing_key": "k", "dedup_key": "d-1"}
PAGERDUTY = {
    **EVENT,
    "event_action": "trigger",
    "payload": {"summary": "Disk full", "source": "db-1", "severity": "critical", "custom_details": {"pod": "a"}},
}
OPSGENIE = {"message": "Disk full", "alias": "a-1", "priority": "P1", "entity": "db-1", "description": "90 % used"}
GENERIC = {"title": "Disk full", "dedup_key": "g", "host": "db-1", "severity": "critical"}


@pytest.mark.parametrize(
    ("fires", "ends", "says"),
    [
        pytest.param(PAGERDUTY, {**EVENT, "event_action": "resolve"}, {}, id="pagerduty"),
        pytest.param(
            PAGERDUTY, {**EVENT, "event_action": "resolve", "client": "bot"}, {"client": "bot"}, id="pagerduty's client"
        ),
        pytest.param(OPSGENIE, {"action": "Close", "alias": "a-1"}, {}, id="opsgenie"),
        pytest.param(
            OPSGENIE,
            {"action": "Close", "alias": "a-1", "note": "Restarted", "source": "script"},
            {"source": "script"},
            id="opsgenie with a note",
        ),
        pytest.param(GENERIC, {"dedup_key": "g", "status": "resolved", "by": "bot"}, {"by": "bot"}, id="generic"),
    ],
)
def test_an_end_without_a_title_keeps_what_the_alert_was_about_and_adds_what_it_says(fires, ends, says):
    [known] = merged((), sources.parse(fires), 1)

    [alert] = merged((known,), sources.parse(ends), 2)

    assert not alert.is_firing
    about = replace(alert, status=known.status, listings=known.listings, ends_at_ms=known.ends_at_ms)
    assert about == replace(known, labels={**known.labels, **says})


def test_the_title_that_an_end_has_counts():
    [known] = merged((), sources.parse(OPSGENIE), 1)

    [alert] = merged((known,), sources.parse({"action": "Close", "alias": "a-1", "message": "Disk has room"}), 2)

    assert alert.title == "Disk has room"
