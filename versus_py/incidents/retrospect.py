"""How an incident stood at some moment, by its timeline. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from versus_py.incidents.model import Actor, Entry, Event, Incident, Status

BECOMES: Mapping[Event, Status] = {
    Event.TRIGGERED: Status.TRIGGERED,
    Event.REOPENED: Status.TRIGGERED,
    Event.RETRIGGERED: Status.TRIGGERED,
    Event.ROUTED: Status.TRIGGERED,
    Event.UNACKNOWLEDGED: Status.TRIGGERED,
    Event.ACK_ENDED: Status.TRIGGERED,
    Event.ESCALATING: Status.TRIGGERED,
    Event.ACKNOWLEDGED: Status.ACKNOWLEDGED,
    Event.RESOLVED: Status.RESOLVED,
}
"""What gives an incident its status."""

_QUIET = {Event.SNOOZED: "snoozed", Event.SUPPRESSED: "suppressed", Event.HELD: "held"}
"""What is said more exactly of one that is triggered, until something of it ends that."""

_LOUD = frozenset({*BECOMES, Event.SNOOZE_OVER, Event.HOLD_ENDED, Event.WAIT_ENDED})

_TOLD = frozenset({*BECOMES, *_QUIET, Event.ESCALATED, Event.FAILED, Event.GIVEN_UP})
"""What of what came after that moment is worth to be told first."""

_SEVERITIES = frozenset({Event.SEVERITY_RAISED, Event.SEVERITY_CHANGED})


@dataclass(frozen=True, slots=True)
class Then:
    """How it stood. *since_ms* is when that began, *by* who brought it about."""

    standing: str  # triggered, acknowledged, snoozed, suppressed or held; "": not known any more
    since_ms: int
    by: Actor | None
    severity: str
    began_ms: int  # when it had begun, or last opened again
    escalated_at_ms: int | None  # when it had escalated last, since then
    next: Entry | None  # the first thing of weight that came after


def standing_at(incident: Incident, timeline: Sequence[Entry], at_ms: int) -> Then | None:
    """How it stood at *at_ms*, that included; None when it was not open.

    The oldest entries of a long timeline are not kept: before them, only that it had been created is known.
    """
    if incident.created_at_ms > at_ms:
        return None
    past = [it for it in timeline if it.at_ms <= at_ms]
    standing, since_ms, by = "", incident.created_at_ms, None
    began_ms, escalated_at_ms = incident.created_at_ms, None
    for it in past:
        status = BECOMES.get(it.event)
        if it.event is Event.ESCALATING:
            escalated_at_ms = it.at_ms
        if it.event in {Event.REOPENED, Event.TRIGGERED}:
            began_ms, escalated_at_ms = it.at_ms, None
        after = _standing_after(it, standing, status)
        if after != standing:
            standing, since_ms, by = after, it.at_ms, it.by
    if standing == Status.RESOLVED:
        return None
    if not past and _is_over_before(incident, timeline, at_ms):
        return None
    return Then(
        standing=standing,
        since_ms=since_ms,
        by=by,
        severity=_severity_at(incident, timeline, at_ms),
        began_ms=began_ms,
        escalated_at_ms=escalated_at_ms,
        next=next((it for it in timeline if it.at_ms > at_ms and it.event in _TOLD), None),
    )


def _standing_after(entry: Entry, standing: str, status: Status | None) -> str:
    if status is not None:
        return status.value
    if standing in {Status.ACKNOWLEDGED, Status.RESOLVED}:
        return standing
    if entry.event in _QUIET:
        return _QUIET[entry.event]
    return Status.TRIGGERED.value if entry.event in _LOUD and standing else standing


def _is_over_before(incident: Incident, timeline: Sequence[Entry], at_ms: int) -> bool:
    """Whether it had been resolved then, although nothing of that time is kept."""
    first = next((it for it in timeline if it.event in BECOMES), None)
    return (first is not None and first.event is Event.REOPENED) or (incident.resolved_at_ms or at_ms) < at_ms


def _severity_at(incident: Incident, timeline: Sequence[Entry], at_ms: int) -> str:
    """What the first change after that moment says it was before."""
    later = (it.detail for it in timeline if it.at_ms > at_ms and it.event in _SEVERITIES)
    before, arrow, _ = next(later, "").partition(" → ")
    return before if arrow else incident.severity
