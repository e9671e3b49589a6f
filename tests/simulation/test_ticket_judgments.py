"""A made-up ticket that is wrong in one way is found by its judgment."""

from typing import Any

import pytest

from tests.simulation.course import ACKNOWLEDGED, RESOLVED, TRIGGERED
from tests.simulation.ticket_judgments import SeenTicket, judge_ticket
from versus_py.incidents.copies import replace


def incident(status: str = TRIGGERED, severity: str = "error") -> dict[str, Any]:
    return {"status": status, "severity": severity, "created_at": "1970-01-01T00:00:10+00:00"}


GOOD = SeenTicket("INC0010001", "1", "2", ["i-0"], {"i-0": incident()}, messages=1)
CALLED = replace(GOOD, priority="1", was_called=True)
UNKNOWN = SeenTicket("INC0010001", "2", "2")


@pytest.mark.parametrize(
    "seen",
    [
        GOOD,
        CALLED,
        UNKNOWN,
        replace(GOOD, state="3"),
        replace(GOOD, state="2", was_raised=True),
        replace(GOOD, state="2", incidents={"i-0": incident(ACKNOWLEDGED)}),
        replace(GOOD, state="7", incidents={"i-0": incident(RESOLVED)}),
        replace(GOOD, accepted=[]),
        replace(GOOD, written={"Noted": 20_000}, replies=["ana: Noted"]),
        replace(GOOD, written={"Noted": 5_000}),
        replace(GOOD, state="6", incidents={"i-0": incident(RESOLVED)}, written={"Noted": 20_000}, may_be_unread=True),
    ],
)
def test_what_is_as_it_should_be_is_not_found(seen):
    assert list(judge_ticket(seen)) == []


@pytest.mark.parametrize(
    ("seen", "what"),
    [
        (replace(GOOD, incidents={"i-1": incident()}, messages=2), "two incidents of a ticket"),
        (replace(GOOD, incidents={}), "a ticket that was lost"),
        (replace(GOOD, records=["INC0010002"]), "a second record of a ticket"),
        (replace(GOOD, messages=0), "not one message of a ticket"),
        (replace(GOOD, messages=2), "not one message of a ticket"),
        (replace(GOOD, state="2"), "two sides that do not agree"),
        (replace(GOOD, state="6"), "two sides that do not agree"),
        (replace(GOOD, incidents={"i-0": incident(ACKNOWLEDGED)}), "two sides that do not agree"),
        (replace(GOOD, incidents={"i-0": incident(RESOLVED)}), "two sides that do not agree"),
        (replace(GOOD, written={"Noted": 20_000}), "not told once in the thread"),
        (replace(GOOD, written={"Noted": 5_000}, replies=["Noted", "Noted"]), "not told once in the thread"),
        (replace(GOOD, priority="3"), "two severities that do not agree"),
    ],
)
def test_what_is_wrong_is_found(seen, what):
    assert [it for it, _ in judge_ticket(seen)] == [what]
