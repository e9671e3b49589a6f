"""What would differ between two replays of one recording."""

from datetime import UTC

import pytest

from tests.support.clock import START_MS
from versus_py.incidents.model import IncidentId
from versus_py.tools.comparison import differences, said
from versus_py.tools.replay import Telling, TellingKind

MINUTE_MS = 60_000
RECORD, MESSAGE, REMINDER = TellingKind.RECORD, TellingKind.MESSAGE, TellingKind.REMINDER


def telling(minute, kind=RECORD, place="ServiceNow", incident="a"):
    return Telling(START_MS + minute * MINUTE_MS, IncidentId(incident), f"title of {incident}", kind, place)


def test_the_same_tellings_do_not_differ():
    tellings = [telling(5), telling(0, MESSAGE, "Slack"), telling(5, incident="b")]

    assert differences(tellings, reversed(tellings)) == []


@pytest.mark.parametrize(
    ("before", "after", "sentences"),
    [
        ([telling(5), telling(5, incident="b")], [], ["records: 2 fewer"]),
        ([], [telling(5)], ["records: 1 more"]),
        (
            [telling(5), telling(6, incident="b")],
            [telling(9), telling(4, incident="b")],
            ["records: 1 later, 1 sooner"],
        ),
        ([telling(5)], [telling(5, place="ServiceNow infra")], ["records: 1 fewer, 1 more"]),
        (
            [telling(5), telling(0, MESSAGE, "Slack")],
            [telling(6), telling(1, MESSAGE, "Slack")],
            ["records: 1 later", "messages: 1 later"],
        ),
        (
            [telling(5, REMINDER), telling(9, REMINDER)],
            [telling(5, REMINDER), telling(10, REMINDER), telling(15, REMINDER)],
            ["reminders: 1 more, 1 later"],
        ),
    ],
)
def test_what_differs_is_counted(before, after, sentences):
    assert list(said(differences(before, after))) == sentences


def test_each_difference_is_shown_in_order_of_time_with_both_instants():
    found = differences([telling(5, incident="b"), telling(3)], [telling(7, incident="b")])

    assert [it.line(UTC) for it in found] == [
        "fewer   record    title of a                    ServiceNow: 2026-05-04 10:23:00 +00:00 → never",
        f"later   record    title of b {'':18} ServiceNow: 2026-05-04 10:25:00 +00:00 → 2026-05-04 10:27:00 +00:00",
    ]
    assert found[0].as_json()["after"] is None
    assert found[1].as_json()["change"] == "later"
