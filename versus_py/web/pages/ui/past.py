"""What History shows, and what was open at some moment. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from versus_py.incidents.model import Entry, Incident, IncidentId, Status
from versus_py.incidents.progress import position_of
from versus_py.incidents.retrospect import Then, standing_at
from versus_py.incidents.severity import severity_rank
from versus_py.store import WasOpen
from versus_py.targets import Called
from versus_py.web.pages.ui.moments import lasted
from versus_py.web.pages.ui.rows import Person, Row, Severity, cut, row_of
from versus_py.web.pages.ui.timeline import timeline_of

SAID_MAX = 120


@dataclass(frozen=True, slots=True)
class PastRow:
    """An incident in the list of all of them."""

    row: Row
    began_ms: int  # when it was created: the list is ordered by that
    said: str  # how it went


@dataclass(frozen=True, slots=True)
class ThenRow:
    """An incident as it stood at a moment."""

    id: IncidentId
    title: str
    severity: Severity
    labels: tuple[tuple[str, str], ...]
    standing: str  # "": not known
    began_ms: int
    since_ms: int
    by: Person | None
    escalated_at_ms: int | None
    next: str  # what came then; "": nothing has
    next_at_ms: int


@dataclass(frozen=True, slots=True)
class OpenAt:
    """What was open: what waited, the gravest first; then what somebody had, the oldest first."""

    waiting: tuple[ThenRow, ...]
    taken: tuple[ThenRow, ...]

    @property
    def total(self) -> int:
        return len(self.waiting) + len(self.taken)


def past_row(incident: Incident, called: Called) -> PastRow:
    """*called* tells what people call a target."""
    return PastRow(row_of(incident, called), incident.created_at_ms, cut(" · ".join(_said(incident)), SAID_MAX))


def open_at(found: Sequence[WasOpen], at_ms: int, called: Called) -> OpenAt:
    """What of *found* was open, by the timelines. Titles and labels are those of now."""
    rows = [
        (_then_row(it.incident, then, called), severity_rank(then.severity))
        for it in found
        if (then := standing_at(it.incident, it.timeline, at_ms)) is not None
    ]
    waiting = sorted(
        (it for it in rows if it[0].standing not in _TAKEN), key=lambda it: (it[1], it[0].began_ms, it[0].id)
    )
    taken = sorted((it for it, _ in rows if it.standing in _TAKEN), key=lambda it: (it.since_ms, it.id))
    return OpenAt(tuple(it for it, _ in waiting), tuple(taken))


_TAKEN = {Status.ACKNOWLEDGED.value, "snoozed"}


def _then_row(incident: Incident, then: Then, called: Called) -> ThenRow:
    row = row_of(incident, called)
    return ThenRow(
        id=incident.id,
        title=row.title,
        severity=Severity.of(then.severity),
        labels=row.labels,
        standing=then.standing,
        began_ms=then.began_ms,
        since_ms=then.since_ms,
        by=Person.of(then.by) if then.standing in _TAKEN else None,
        escalated_at_ms=then.escalated_at_ms,
        next="" if then.next is None else _next(incident, then.next),
        next_at_ms=0 if then.next is None else then.next.at_ms,
    )


def _next(incident: Incident, entry: Entry) -> str:
    [line] = timeline_of(incident, [entry], limit=1).lines
    return cut(f"{line.who} {line.what} {line.detail}".strip().removesuffix(":"), SAID_MAX)


def _said(incident: Incident) -> list[str]:
    """Its escalation, who took it after how long, and how it ended."""
    said = []
    if incident.is_escalating:
        label = incident.record.label
        said.append(f"escalated, {label}" if label else "escalated")
    elif incident.suppression is not None and incident.status is not Status.ACKNOWLEDGED:
        said.append(incident.suppression.by)
    elif incident.status is Status.TRIGGERED and (at := position_of(incident)) and at.steps * at.rounds > 1:
        said.append(f"step {at.step} of {at.steps}")
    taken_at_ms = incident.acknowledged_at_ms
    if taken_at_ms is not None and incident.acknowledged_by is not None:
        said.append(f"{incident.acknowledged_by.name} after {lasted(taken_at_ms - incident.waiting_since_ms)}")
    if incident.resolved_at_ms is None:
        return said
    in_all = lasted(incident.resolved_at_ms - incident.created_at_ms)
    if said and taken_at_ms is not None:
        return [*said, f"{in_all} in all"]
    by = incident.resolved_by
    if by is None or by.name == incident.source:
        return [*said, f"over by itself after {in_all}"]
    return [*said, f"resolved by {by.name} after {in_all}"]
