"""What happened to an incident, as lines that people read. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import merge

from versus_py.incidents.model import Entry, Event, Incident

ENTRIES = 60
"""The latest that a page begins with."""


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that happened. *who* did it, if anybody; *quote* is what they wrote."""

    at_ms: int
    icon: str
    who: str
    what: str
    detail: str = ""
    quote: str = ""


@dataclass(frozen=True, slots=True)
class Timeline:
    """The latest lines, oldest first; *earlier* is the number of those before them."""

    lines: tuple[Line, ...]
    earlier: int


_DEEDS = {
    Event.ACKNOWLEDGED: ("ack", "acknowledged"),
    Event.ACK_RENEWED: ("ack", "renewed the acknowledgment"),
    Event.UNACKNOWLEDGED: ("trig", "took back the acknowledgment: the wait starts again"),
    Event.SNOOZED: ("moon", "snoozed"),
    Event.RESOLVED: ("done", "resolved"),
    Event.ESCALATING: ("up", "escalated"),
    Event.RETRY: ("retry", "had it tried again:"),
    Event.ROUTED: ("out", "routed it"),
    Event.SEVERITY_RAISED: ("up", "raised the severity:"),
    Event.SEVERITY_CHANGED: ("down", "changed the severity:"),
    Event.RESCHEDULED: ("wait", "changed the priority:"),
    Event.ASSIGNED: ("ack", "assigned it"),
    Event.ON_HOLD: ("held", "put it on hold:"),
    Event.REOPENED_THERE: ("info", "reopened the record:"),
}
"""What people do -> its icon, and what is said after the name."""

_EVENTS = {
    Event.TRIGGERED: ("trig", "Triggered by"),
    Event.WARNING: ("warn", "Warning:"),
    Event.POSTED: ("hash", "Posted:"),
    Event.JOINED: ("plus", "Joined:"),
    Event.LEFT: ("done", "Over:"),
    Event.SEVERITY_RAISED: ("up", "The severity rose:"),
    Event.SEVERITY_CHANGED: ("down", "The severity changed:"),
    Event.ACK_ENDED: ("bell", "The acknowledgment ended:"),
    Event.SNOOZE_OVER: ("bell", "The snooze is over: the wait goes on"),
    Event.SUPPRESSED: ("held", "Not escalated:"),
    Event.HELD: ("held", "Held:"),
    Event.HOLD_ENDED: ("bell", "The hold ended"),
    Event.WAIT_ENDED: ("wait", "The wait ended:"),
    Event.ESCALATING: ("up", "Escalating:"),
    Event.CALLED_AGAIN: ("up", "Called again:"),
    Event.ESCALATED: ("up", "Escalated:"),
    Event.FAILED: ("fail", "Failed:"),
    Event.GIVEN_UP: ("fail", "Given up:"),
    Event.REFUSED: ("fail", "Credentials refused:"),
    Event.RESOLVED: ("done", "Resolved"),
    Event.REOPENED: ("trig", "Reopened:"),
    Event.RETRIGGERED: ("trig", "Triggered again:"),
    Event.STILL_FIRING: ("warn", "Still firing:"),
    Event.REPAIRED: ("info", "Found by comparing:"),
}
"""What comes about by itself."""


def timeline_of(incident: Incident, entries: Sequence[Entry], *, limit: int | None = ENTRIES) -> Timeline:
    """With what people wrote at its records, as far as it is kept there; *limit* None: all of it."""
    said = (
        Line(it.at_ms, "say", it.by, f"in {side.label or 'the record'}", quote=it.text)
        for side, it in incident.comments
    )
    noted = {(it.by.name, it.detail) for it in entries if it.event is Event.COMMENTED and it.by is not None}
    fresh = (it for it in said if (it.who, it.quote) not in noted)
    lines = list(merge((_line(it) for it in entries), fresh, key=lambda it: it.at_ms))
    shown = lines if limit is None else lines[-limit:]
    return Timeline(tuple(shown), len(lines) - len(shown))


def _line(entry: Entry) -> Line:
    who, detail = "" if entry.by is None else entry.by.name, entry.detail
    if entry.event is Event.COMMENTED:
        return Line(entry.at_ms, "say", who, "commented", quote=detail)
    if entry.event is Event.RESOLVED and who:
        return Line(entry.at_ms, "done", who, "resolved", quote=detail)
    if who and entry.event in _DEEDS:
        return Line(entry.at_ms, _DEEDS[entry.event][0], who, _DEEDS[entry.event][1], detail)
    icon, what = _EVENTS.get(entry.event, ("info", f"{entry.event[:1].upper()}{entry.event[1:]}:"))
    return Line(entry.at_ms, icon, who, what if detail else what.rstrip(":").removesuffix(" by"), detail)
