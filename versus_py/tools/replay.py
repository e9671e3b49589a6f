"""`versus replay`: recorded payloads run through the real transitions, and what would have happened is told.

No server, no Redis, no Slack: time is that of the recording, and every decision is `incident`'s. In place of the store
there are three dictionaries. Other than in the store, nothing is forgotten when its retention is over.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime, tzinfo
from enum import StrEnum
from typing import Any

from versus_py.errors import BadPayload
from versus_py.incidents import transitions
from versus_py.incidents.copies import replace
from versus_py.incidents.model import Actor, Event, Incident, IncidentId, Notification, Outcome, PolicyFor, Status
from versus_py.incidents.rounds import PolicyOf, as_before
from versus_py.incidents.transitions import Change
from versus_py.incidents.triage import set_severity
from versus_py.systems import called
from versus_py.tools.recordings import Acted, Action, Posted, Read, Record
from versus_py.web.api.views import rfc3339

TITLE_WIDTH = 28


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the timeline."""

    at_ms: int
    what: str
    title: str
    incident: str = ""  # its id; "" where there is none
    details: tuple[str, ...] = ()
    by: str = ""
    escalates_at_ms: int | None = None  # the wait that begins here ends then

    def line(self, zone: tzinfo | None = None) -> str:
        """For people, in *zone*; None is this machine's."""
        said = [f"by {self.by}"] if self.by else []
        said += self.details
        if self.escalates_at_ms is not None:
            said.append(f"escalates {_moment(self.escalates_at_ms, zone):%H:%M:%S} unless acknowledged")
        title = self.title if len(self.title) <= TITLE_WIDTH else f"{self.title[: TITLE_WIDTH - 1]}…"
        moment = f"{_moment(self.at_ms, zone):%Y-%m-%d %H:%M:%S}"
        return f"{moment}  {title:<{TITLE_WIDTH}}  {self.what:<12}  {'; '.join(said)}".rstrip()

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        return {
            "at": rfc3339(self.at_ms),
            "event": self.what,
            "incident": self.incident or None,
            "title": self.title,
            "details": self.details,
            "by": self.by or None,
            "escalates_at": rfc3339(self.escalates_at_ms),
        }


class TellingKind(StrEnum):
    """What a target gets when it is told."""

    RECORD = "record"
    MESSAGE = "message"
    REMINDER = "reminder"  # a line in a thread, or a work note, as it has a message or a record


@dataclass(frozen=True, slots=True)
class Telling:
    """That a target was told of an incident."""

    at_ms: int
    incident: IncidentId
    title: str
    kind: TellingKind
    place: str  # what people call the target, and its channel


@dataclass(slots=True)
class Summary:
    """How often what happened."""

    payloads: int = 0
    incidents: int = 0
    held: int = 0  # until the hours of their policy began
    messages: int = 0
    reminders: int = 0  # lines in threads, and work notes, of steps that tell a target again
    edits: int = 0
    acknowledged: int = 0
    resolved_in_time: int = 0  # before the wait was over, and without an acknowledgment
    reopened: int = 0
    records_created: int = 0
    records_resolved: int = 0
    still_open: int = 0

    def line(self) -> str:
        """For people."""
        return ", ".join(f"{it.name.replace('_', ' ')} {getattr(self, it.name)}" for it in fields(self))

    def as_json(self) -> dict[str, int]:
        """For machines."""
        return asdict(self)


class Replay:
    """The incidents of a recording. *places* says by target where it is, where no policy says it.

    *reopen_ms* is how long after its resolve a dedup key still names an incident, *policy_of* what the configuration
    says of one whose next round begins.
    """

    def __init__(
        self, read: Read, *, reopen_ms: int, places: Mapping[str, str], policy_of: PolicyOf = as_before
    ) -> None:
        self._read = read
        self._reopen_ms = reopen_ms
        self._places = places
        self._policy_of = policy_of
        self._incidents: dict[IncidentId, Incident] = {}
        self._named: dict[str, IncidentId] = {}  # dedup key -> the incident it named last
        self._due_ms: dict[IncidentId, int] = {}  # when the next step is due, or an acknowledgment ends
        self._shown: dict[IncidentId, dict[str, bool]] = {}  # targets that show it -> whether they show its end
        self.summary = Summary()
        self.tellings: list[Telling] = []
        self.problems: list[str] = []

    def run(self, records: Iterable[Record]) -> Iterator[Line]:
        """What would have happened, in order of time, until the last wait has ended.

        Afterwards `summary` says how often what happened, and `problems` which records were left out and why.
        """
        for record in sorted(records, key=lambda it: it.at_ms):
            yield from self._escalate(record.at_ms)
            try:
                yield from self._post(record) if isinstance(record, Posted) else self._act(record)
            except BadPayload as exc:
                self.problems.append(f"{record.where}: {exc}")
        yield from self._escalate()
        self.summary.still_open = sum(it.status is not Status.RESOLVED for it in self._incidents.values())

    def _escalate(self, until_ms: int | None = None) -> Iterator[Line]:
        """The steps and ends of acknowledgments that are due until then; None: all steps, whatever people do later."""
        while self._due_ms:
            incident_id, due_ms = min(self._due_ms.items(), key=lambda item: (item[1], item[0]))
            incident = self._incidents[incident_id]
            if until_ms is not None and due_ms > until_ms:
                return
            if incident.status is Status.TRIGGERED:
                change = transitions.begin_step(incident, due_ms, self._policy_of)
                assert change is not None  # noqa: S101 - only waits that go on are due
                yield self._applied(change, due_ms, _began(incident))
            elif until_ms is None:
                del self._due_ms[incident_id]
            else:
                change = transitions.end_acknowledgment(incident, due_ms, self._policy_of)
                assert change is not None  # noqa: S101 - only what ends is due
                yield self._applied(change, due_ms, "unacknowledged")

    def _post(self, posted: Posted) -> Iterator[Line]:
        notifications, policy_for, warnings = self._read(posted)
        self.summary.payloads += 1
        if not notifications:
            yield Line(posted.at_ms, "ignored", "", details=tuple(warnings))
        for number, notification in enumerate(notifications):
            said = replace(notification, warnings=(*warnings, *notification.warnings))
            # Without an identity, an incident of its own, by the place in the recording: another configuration may
            # have come to fewer incidents by then. No source's dedup key has an empty line in it there.
            own_key = f"{notification.source}\n\n{self.summary.payloads} {number}"
            yield self._accept(said, said.dedup_key or own_key, policy_for, posted.at_ms)

    def _accept(self, notification: Notification, dedup_key: str, policy_for: PolicyFor, now_ms: int) -> Line:
        """As `Lifecycle.accept` does it."""
        known = self._find(dedup_key, now_ms)
        if known is None:
            if not notification.is_firing:
                details = ("a resolve of nothing known", *notification.warnings)
                return Line(now_ms, "ignored", notification.title, details=details)
            change = transitions.trigger(
                notification, policy_for(notification, now_ms), dedup_key=dedup_key, now_ms=now_ms
            )
            self._named[dedup_key] = change.incident.id
            known = self._incidents.get(change.incident.id)
            if known is None:
                return self._created(change, now_ms)
        policy = policy_for(notification, now_ms)
        observed = transitions.observe(known, notification, now_ms, policy, self._policy_of)
        if observed is None:
            return Line(now_ms, "ignored", known.title, known.id, ("no news",))
        return self._observed(known, observed, now_ms)

    def _find(self, dedup_key: str, now_ms: int) -> Incident | None:
        """The incident that *dedup_key* names: an open one, or one resolved less than *reopen_ms* ago."""
        known = self._incidents.get(self._named.get(dedup_key, IncidentId("")))
        if known is None or known.resolved_at_ms is None or now_ms < known.resolved_at_ms + self._reopen_ms:
            return known
        return None

    def _created(self, change: Change, now_ms: int) -> Line:
        self.summary.incidents += 1
        self.summary.held += change.incident.is_held
        return self._applied(change, now_ms, "triggered")

    def _observed(self, before: Incident, change: Change, now_ms: int) -> Line:
        if change.outcome is Outcome.RESOLVED:
            return self._resolved(before, change, now_ms)
        self.summary.reopened += change.outcome is Outcome.REOPENED
        return self._applied(change, now_ms, change.outcome.value, f"seen {change.incident.occurrences} times")

    def _resolved(self, before: Incident, change: Change, now_ms: int) -> Line:
        records = self._open_records(before)
        if before.status is Status.TRIGGERED and not records:
            self.summary.resolved_in_time += 1
        self.summary.records_resolved += len(records)
        self._shown[before.id] = dict.fromkeys(self._shown.get(before.id, {}), True)
        return self._applied(change, now_ms, "resolved", *(self._record(it, before, "resolved") for it in records))

    def _act(self, acted: Acted) -> Iterator[Line]:
        incident = self._open_incident(acted.incident)
        change = self._decided(incident, acted)
        if change is None:
            yield Line(acted.at_ms, "ignored", incident.title, incident.id, (_unchanged(incident, acted),), acted.by)
        elif acted.action is Action.RESOLVE:
            yield self._resolved(incident, change, acted.at_ms)
        elif acted.action is Action.ACKNOWLEDGE:
            self.summary.acknowledged += incident.status is Status.TRIGGERED
            moved = (self._record(it, incident, "moved to In Progress") for it in self._open_records(incident))
            yield self._applied(change, acted.at_ms, "acknowledged", *moved)
        else:
            yield self._applied(change, acted.at_ms, _DONE[acted.action])

    def _decided(self, incident: Incident, acted: Acted) -> Change | None:
        by, at_ms = Actor(acted.by), acted.at_ms
        match acted.action:
            case Action.ACKNOWLEDGE:
                return transitions.acknowledge(incident, by, at_ms)
            case Action.UNACKNOWLEDGE:
                return transitions.unacknowledge(incident, by, at_ms, self._policy_of)
            case Action.RESOLVE:
                return transitions.resolve(incident, by, at_ms)
            case Action.ESCALATE:
                return transitions.escalate(incident, by, at_ms, self._policy_of)
            case Action.SNOOZE:
                return transitions.snooze(incident, acted.until_ms or at_ms, by, at_ms)
            case Action.SET_SEVERITY:
                return set_severity(incident, acted.severity, by, at_ms, self._policy_of)

    def _open_incident(self, name: str) -> Incident:
        """Raises BadPayload when there is no such open incident, or more than one."""
        found = [
            it
            for it in self._incidents.values()
            if it.status is not Status.RESOLVED and name in {it.id, it.dedup_key, it.title}
        ]
        if len(found) == 1:
            return found[0]
        if not found:
            raise BadPayload(f"no incident is open whose title, dedup key or id is {name!r}")
        raise BadPayload(f"{len(found)} open incidents are called {name!r}; name one by its dedup key or id")

    def _applied(self, change: Change, now_ms: int, what: str, *effects: str) -> Line:
        """Keep the incident as it is now, with the wait that goes on, and tell those who are called."""
        incident = change.incident
        before = self._incidents.get(incident.id)
        self._incidents[incident.id] = incident
        due_ms = incident.escalates_at_ms if incident.is_waiting else incident.ack_ends_at_ms
        if due_ms is not None:
            self._due_ms[incident.id] = due_ms
        else:
            self._due_ms.pop(incident.id, None)
        edited = self._edited(incident)
        calls = {} if before is None else before.calls
        called = [target for target, call in incident.calls.items() if call != calls.get(target)]
        told = [self._told(target, incident, now_ms) for target in called]
        begins = change.outcome in {Outcome.CREATED, Outcome.REOPENED}
        return Line(
            now_ms,
            what,
            incident.title,
            incident.id,
            (*_said(change), *effects, *(it for it in told if it), *edited),
            next((str(entry.by) for entry in change.entries if entry.by), ""),
            incident.escalates_at_ms if begins and incident.next_step else None,
        )

    def _edited(self, incident: Incident) -> list[str]:
        """The messages of the incident that are there change with it."""
        shown = [it for it in self._shown.get(incident.id, {}) if it not in incident.providers]
        self.summary.edits += len(shown)
        return [f"{called()(target)} message edited" for target in shown]

    def _told(self, target: str, incident: Incident, now_ms: int) -> str:
        """What *target* gets; "" for a message that is there, which a new wait does not say again."""
        shown = self._shown.setdefault(incident.id, {})
        is_record, is_known, is_over = target in incident.policy.providers, target in shown, shown.get(target, False)
        shown[target] = False
        if not is_known:
            kind = TellingKind.RECORD if is_record else TellingKind.MESSAGE
            self.summary.records_created += is_record
            self.summary.messages += not is_record
        elif incident.calls[target].step == 0 and not is_record:
            return ""
        else:
            kind = TellingKind.REMINDER
            self.summary.reminders += 1
        place = self._place(target, incident)
        self.tellings.append(Telling(now_ms, incident.id, incident.title, kind, place))
        if is_record:
            again = "moved to In Progress again" if is_over else "given a work note"
            return self._record(target, incident, again if is_known else "created")
        return f"{place} told again" if is_known else place

    def _place(self, target: str, incident: Incident) -> str:
        place = incident.policy.destinations.get(target) or self._places.get(target, "")
        return f"{called()(target)} {place}".rstrip()

    def _record(self, target: str, incident: Incident, effect: str) -> str:
        return f"{self._place(target, incident)} record would be {effect}"

    def _open_records(self, incident: Incident) -> list[str]:
        shown = self._shown.get(incident.id, {})
        return [target for target, is_over in shown.items() if target in incident.policy.providers and not is_over]


_DONE = {
    Action.UNACKNOWLEDGE: "unacknowledged",
    Action.ESCALATE: "escalated",
    Action.SNOOZE: "snoozed",
    Action.SET_SEVERITY: "severity set",
}


def _began(before: Incident) -> str:
    """What the step that is due is to people: the first one is no escalation."""
    if before.next_step:
        return "escalated"
    return "opened" if before.is_held else "told"


def _unchanged(incident: Incident, acted: Acted) -> str:
    """Why it changed nothing, as far as that is simple."""
    if acted.action is Action.ACKNOWLEDGE:
        return f"acknowledged by {incident.acknowledged_by} before"
    return f"{acted.action.replace('_', ' ')} changes nothing"


_SAID_BEFORE = {Event.WARNING: "warning: ", Event.HELD: "held "}


def _said(change: Change) -> Iterator[str]:
    """What the incident's timeline says of it."""
    for entry in change.entries:
        if entry.detail:
            yield f"{_SAID_BEFORE.get(entry.event, '')}{entry.detail}"


def _moment(at_ms: int, zone: tzinfo | None) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(zone)
