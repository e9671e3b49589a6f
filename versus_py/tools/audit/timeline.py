"""Whether an incident is what its timeline says. Pure."""

from collections.abc import Sequence
from datetime import UTC, datetime

from versus_py.incidents.model import Entry, Event, Incident, Status
from versus_py.incidents.retrospect import BECOMES

_STAYS = frozenset(
    {
        Event.WARNING,
        Event.POSTED,
        Event.JOINED,
        Event.LEFT,
        Event.SEVERITY_RAISED,
        Event.SEVERITY_CHANGED,
        Event.RESCHEDULED,
        Event.ACK_RENEWED,
        Event.COMMENTED,
        Event.IDENTIFIED,
        Event.SNOOZED,
        Event.SNOOZE_OVER,
        Event.SUPPRESSED,
        Event.HELD,
        Event.CALLED_AGAIN,
        Event.HOLD_ENDED,
        Event.WAIT_ENDED,
        Event.ESCALATED,
        Event.FAILED,
        Event.GIVEN_UP,
        Event.REFUSED,
        Event.RETRY,
        Event.ASSIGNED,
        Event.ON_HOLD,
        Event.REOPENED_THERE,
        Event.STILL_FIRING,
        Event.REPAIRED,
    }
)
"""What leaves the status as it is. Anything else is of a newer version: what it does is not known."""


def contradiction(incident: Incident, timeline: Sequence[Entry]) -> str:
    """A sentence; "" when there is none, or when the timeline does not go back far enough to tell."""
    status: Status | None = None
    may_have_begun = not timeline or timeline[0].event is not Event.TRIGGERED  # its first entries are not kept
    for entry in timeline:
        if entry.event is Event.ESCALATING:
            if entry.by is None and status in {Status.ACKNOWLEDGED, Status.RESOLVED}:
                return f"its escalation began at {_time(entry.at_ms)} by itself, when it was {status}"
            may_have_begun = True
        if entry.event is Event.ESCALATED and not may_have_begun:
            return f"it escalated at {_time(entry.at_ms)} ({entry.detail}), and no wait had ended"
        if entry.event not in _STAYS:
            status = BECOMES.get(entry.event)
            may_have_begun = may_have_begun or status is None
    if status is not None and status is not incident.status:
        return f"it is {incident.status}, and by its timeline {status}"
    return ""


def _time(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")
