"""An incident as a row of a list: all that is said of it there, with every time as an instant. Pure."""

from dataclasses import dataclass, fields
from html import escape

from versus_py.incidents.labels import shown_labels
from versus_py.incidents.model import Actor, Ending, Incident, IncidentId, Status, common
from versus_py.incidents.overview import shown_alerts, subject
from versus_py.incidents.places import Kind, Place, escalated_at_ms, place_of, taken_at_ms
from versus_py.incidents.progress import held_until_ms, next_of
from versus_py.incidents.searching import searched_text
from versus_py.incidents.severity import Level, level_of
from versus_py.targets import Called
from versus_py.web.pages.ui.marks import mark

TITLE_MAX = 160
LABELS_MAX = 3

URGENT_MS = 120_000
SOON_MS = 300_000

FRAME_BYTES = 1_500
"""What a row takes beside what its incident says: tags, icons, times."""


@dataclass(frozen=True, slots=True)
class Severity:
    """A severity by its own name, and what it looks like."""

    name: str
    tone: str  # red, amber, or ""
    icon: str

    @classmethod
    def of(cls, name: str) -> "Severity":
        level, shown = level_of(name), name[:1].upper() + name[1:]
        if level <= Level.ERROR:
            return cls(shown, "red", "crit")
        return cls(shown, "amber", "warn") if level is Level.WARNING else cls(shown, "", "info")


@dataclass(frozen=True, slots=True)
class Person:
    """Who did something."""

    name: str
    initials: str

    @classmethod
    def of(cls, actor: Actor | None) -> "Person | None":
        if actor is None:
            return None
        words = actor.name.split()
        return cls(actor.name, "".join(it[0] for it in (words[:1] + words[1:][-1:])).upper() or "?")


class _Placed:
    """What has its place among all that is open."""

    __slots__ = ()

    place: Place

    @property
    def sort(self) -> int:
        """Within its list, the first one has the least."""
        return self.place.sort

    @property
    def is_taken(self) -> bool:
        return self.place.is_taken

    @property
    def is_coming(self) -> bool:
        """Whether a step is to come that nothing holds."""
        return self.place.kind is Kind.STEP


@dataclass(frozen=True, slots=True)
class Spot(_Placed):
    """An open incident that was not read: where it is among the others."""

    id: IncidentId
    version: int
    place: Place


@dataclass(frozen=True, slots=True)
class Row(_Placed):
    """What waits has no *taken_at_ms*; what somebody acknowledged or snoozed has one."""

    id: IncidentId
    version: int
    title: str
    severity: Severity
    status: str  # triggered, acknowledged, snoozed, suppressed, held, escalated
    place: Place
    since_ms: int
    waiting_since_ms: int
    alerts: int
    labels: tuple[tuple[str, str], ...]
    told: str  # the places that show it
    record: str  # what people call it there; "": none
    record_url: str
    due_ms: int | None  # when the next step is due
    due_from_ms: int  # when that wait began
    due_to: str  # whom it tells
    escalated_at_ms: int | None  # when the last step was told; None while one is to come
    held_until_ms: int | None  # until when nobody is told: snoozed, silenced, or outside of hours
    held_by: str  # what holds it
    taken_at_ms: int | None  # of what is snoozed, when its wait began: when somebody snoozed it is not kept
    taken_by: Person | None
    back_at_ms: int | None  # when it waits again, unless somebody says more
    text: str  # what a filter looks at, in lower case
    pairs: frozenset[str]  # `name=value` of its labels, in lower case

    def is_hot(self, now_ms: int) -> bool:
        """Whether it is to be pressed first: it escalates soon, or has."""
        return self.escalated_at_ms is not None or (self.due_ms is not None and self.due_ms - now_ms < URGENT_MS)

    def tone(self, now_ms: int) -> str:
        """The class of its countdown."""
        if self.due_ms is None or self.held_by or self.due_ms - now_ms >= SOON_MS:
            return ""
        return "hot" if self.due_ms - now_ms < URGENT_MS else "soon"

    @property
    def mark(self) -> str:
        """Another one when it looks different."""
        return mark([getattr(self, it.name) for it in fields(self) if it.name not in {"text", "pairs", "version"}])

    @property
    def size(self) -> int:
        """About how many bytes it takes on a page."""
        said = [self.title, self.title, self.told, self.record, self.record_url, self.due_to, self.held_by]
        said += [part for pair in self.labels for part in pair]
        said += [self.taken_by.name] if self.taken_by else []
        return FRAME_BYTES + sum(len(escape(it).encode(errors="replace")) for it in said)

    def matches(self, query: str) -> bool:
        """Whether it has every word of *query*, each a text or a `label=value`, in any case."""
        return all(word in self.pairs if "=" in word else word in self.text for word in query.casefold().split())


def row_of(incident: Incident, called: Called) -> Row:
    """The row of an open incident; *called* tells what people call a target."""
    coming = next_of(incident)
    acknowledged = incident.status is Status.ACKNOWLEDGED
    held_ms, held_by = _held(incident)
    labels = shown_labels(common([it.labels for it in shown_alerts(incident)]), (incident.title,))
    record = incident.record
    text, pairs = searched_text(incident)
    return Row(
        id=incident.id,
        version=incident.version,
        title=cut(" ".join(subject(incident).split()) or incident.id, TITLE_MAX),
        severity=Severity.of(incident.severity),
        status=standing(incident),
        place=place_of(incident),
        since_ms=since_ms(incident),
        waiting_since_ms=incident.waiting_since_ms,
        alerts=len(incident.firing) or len(incident.alerts),
        labels=tuple((name, value) for name, value in labels.items() if name != "severity")[:LABELS_MAX],
        told=cut(", ".join(map(called, shown_at(incident))), TITLE_MAX),
        record=cut(record.label, 40),
        record_url=web_page(record.url),
        due_ms=None if acknowledged or coming is None else coming.due_ms,
        due_from_ms=_due_from_ms(incident),
        due_to="" if coming is None else _named(coming.targets, called),
        escalated_at_ms=escalated_at_ms(incident),
        held_until_ms=held_ms,
        held_by=held_by,
        taken_at_ms=taken_at_ms(incident),
        taken_by=Person.of(taker(incident)),
        back_at_ms=incident.snooze.until_ms if incident.snooze else incident.ack_ends_at_ms,
        text=text,
        pairs=pairs,
    )


def standing(incident: Incident) -> str:
    """The status, more exactly where it is triggered."""
    if incident.status is not Status.TRIGGERED:
        return incident.status.value
    if incident.snooze is not None:
        return "snoozed"
    if incident.ending is Ending.SUPPRESSED:
        return "suppressed"
    return "held" if incident.is_held else "triggered"


def taker(incident: Incident) -> Actor | None:
    """Who has it; None while it waits."""
    if incident.snooze is not None:
        return incident.snooze.by
    return incident.acknowledged_by if incident.status is Status.ACKNOWLEDGED else None


def since_ms(incident: Incident) -> int:
    """When the first of its alerts began, as far as that is known."""
    starts = (it.starts_at_ms for it in shown_alerts(incident) if it.starts_at_ms is not None)
    return min(starts, default=incident.created_at_ms)


def shown_at(incident: Incident) -> tuple[str, ...]:
    """The channels that show it."""
    return tuple(it for it in incident.deliveries if it not in incident.providers and incident.delivery(it).reference)


def web_page(url: str) -> str:
    """*url* where a link may lead there; else "": a script is no page."""
    return url if url.startswith(("https://", "http://")) else ""


def cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _named(targets: tuple[str, ...], called: Called) -> str:
    more = f" +{len(targets) - 1}" if len(targets) > 1 else ""
    return f"{called(targets[0])}{more}" if targets else "nobody"


def _held(incident: Incident) -> tuple[int | None, str]:
    """Until when nobody is told, as far as that is known, and by what."""
    if incident.status is not Status.TRIGGERED:
        return None, ""
    if incident.snooze is not None:
        return incident.snooze.until_ms, "snoozed"
    if incident.ending is Ending.SUPPRESSED and incident.suppression is not None:
        return incident.suppression.until_ms, "silenced"
    return held_until_ms(incident), "outside of hours" if incident.is_held else ""


def _due_from_ms(incident: Incident) -> int:
    """When the step before the next one was due: from then on people have time."""
    due_ms = incident.escalates_at_ms
    if due_ms is None or not incident.is_waiting:
        return incident.waiting_since_ms
    return due_ms - incident.policy.delay_ms(incident.next_step)
