"""What is wrong about one ticket in the end: its incident, its message, and whether both sides agree.

As in `judgments`, each is a function of what was seen, and none uses code of the engine.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.simulation.course import ACKNOWLEDGED, RESOLVED, TRIGGERED
from tests.simulation.judgments import IN_PROGRESS, OVER_STATES, Verdict

NEW, ON_HOLD = "1", "3"

BEGAN_WITHIN_MS = 5000.0
"""How far the clocks of the service and of ServiceNow are from each other, with steps."""

SEVERITIES: Mapping[str, str] = {"1": "critical", "2": "error", "3": "warning", "4": "notice", "5": "info"}
"""What a priority of ServiceNow means where nothing is configured: docs/servicenow.md."""


@dataclass(frozen=True, slots=True)
class SeenTicket:
    """A ticket, and what there is of it here. *incidents* are those of the API that show it, by id.

    An event that was lost is not sent again, so that a ticket of which none was accepted needs no incident.
    """

    number: str
    state: str
    priority: str
    accepted: Sequence[str] = ()  # the incidents that its events were answered with
    incidents: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    messages: int = 0  # in the channel, about any of these
    records: Sequence[str] = ()  # that were created for any of these
    written: Mapping[str, float] = field(default_factory=dict)  # what people wrote there, and when, ms
    replies: Sequence[str] = ()  # the lines of its thread
    may_be_unread: bool = False  # a request to ServiceNow may fail
    was_called: bool = False  # nobody acknowledged in time, so that its urgency was raised by one
    was_raised: bool = False  # somebody changed its urgency: a graver one begins another wait, and leaves the state


def judge_ticket(seen: SeenTicket) -> Iterator[Verdict]:
    """All that is broken."""
    ids = {*seen.accepted, *seen.incidents}
    if len(ids) > 1:
        yield "two incidents of a ticket", f"{seen.number}: {sorted(ids)}"
    if seen.accepted and not seen.incidents:
        yield "a ticket that was lost", f"{seen.number}: {seen.accepted}"
    if seen.records:
        yield "a second record of a ticket", f"{seen.number}: {list(seen.records)}"
    if seen.messages != len(ids):
        yield "not one message of a ticket", f"{seen.number}: {seen.messages}"
    for incident in seen.incidents.values():
        yield from _told(seen, incident)
        yield from _sides(seen, incident)


def _told(seen: SeenTicket, incident: Mapping[str, Any]) -> Iterator[Verdict]:
    """What people wrote is in the thread once, unless it is from before the ticket came here: that nobody reads.

    Where reading fails as the incident ends, nobody tries again: docs/servicenow.md says so.
    """
    may_be_unread = seen.may_be_unread and incident["status"] == RESOLVED
    began_ms = datetime.fromisoformat(incident["created_at"]).timestamp() * 1000
    for text, at_ms in seen.written.items():
        told = sum(text in it for it in seen.replies)
        if told > 1 or (not told and not may_be_unread and at_ms > began_ms + BEGAN_WITHIN_MS):
            yield "not told once in the thread", f"{seen.number}: {text!r} {told} times: {list(seen.replies)}"


def _sides(seen: SeenTicket, incident: Mapping[str, Any]) -> Iterator[Verdict]:
    status = incident["status"]
    if seen.state not in _states(status, was_raised=seen.was_raised):
        yield "two sides that do not agree", f"{seen.number}: {status}, and the ticket has state {seen.state}"
    if status != RESOLVED and not seen.was_called and incident["severity"] != SEVERITIES[seen.priority]:
        said = f"{incident['severity']}, and the ticket has priority {seen.priority}"
        yield "two severities that do not agree", f"{seen.number}: {said}"


def _states(status: str, *, was_raised: bool) -> frozenset[str]:
    """Those that a ticket may have. What is on hold is snoozed."""
    if status == RESOLVED:
        return OVER_STATES
    taken = frozenset({IN_PROGRESS, ON_HOLD})
    if status == ACKNOWLEDGED:
        return taken
    assert status == TRIGGERED
    return frozenset({NEW, ON_HOLD}) | (taken if was_raised else frozenset())
