"""`versus replay`: recorded payloads run through the real transitions, and what would have happened is told.

No server, no Redis, no Slack: time is that of the recording, and every decision is `incident`'s. In place of the store
there are three dictionaries. Other than in the store, nothing is forgotten when its retention is over.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime, tzinfo
from typing import Any

from versus_py.errors import BadPayload
from versus_py.incidents import transitions
from versus_py.incidents.model import Actor, Event, Incident, IncidentId, Notification, Outcome, PolicyFor, Status
from versus_py.incidents.transitions import Change
from versus_py.systems import called
from versus_py.tools.recordings import Acted, Posted, Read, Record
from versus_py.web.api.views import rfc3339

TITLE_WIDTH = 28


@dataclass(frozen=True, slots=True)
class Step:
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


@dataclass(slots=True)
class Summary:
    """How often what happened."""

    payloads: int = 0
    incidents: int = 0
    messages: int = 0
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
    """The incidents of a recording. *channels* says by target where messages go that are sent nowhere else.

    *reopen_ms* is how long after its resolve a dedup key still names an incident.
    """

    def __init__(self, read: Read, *, reopen_ms: int, channels: Mapping[str, str]) -> None:
        self._read = read
        self._reopen_ms = reopen_ms
        self._channels = channels
        self._incidents: dict[IncidentId, Incident] = {}
        self._named: dict[str, IncidentId] = {}  # dedup key -> the incident it named last
        self._due_ms: dict[IncidentId, int] = {}  # when a wait ends, or an acknowledgment
        self._records: set[IncidentId] = set()  # those with a record that is not resolved
        self.summary = Summary()
        self.problems: list[str] = []

    def run(self, records: Iterable[Record]) -> Iterator[Step]:
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

    def _escalate(self, until_ms: int | None = None) -> Iterator[Step]:
        """The waits and acknowledgments that end until then; None: all waits, as nobody knows what people do then."""
        while self._due_ms:
            incident_id, due_ms = min(self._due_ms.items(), key=lambda item: (item[1], item[0]))
            incident = self._incidents[incident_id]
            if until_ms is not None and due_ms > until_ms:
                return
            if incident.status is Status.TRIGGERED:
                yield self._escalated(incident, due_ms)
            elif until_ms is None:
                del self._due_ms[incident_id]
            else:
                change = transitions.end_acknowledgment(incident, due_ms)
                assert change is not None  # noqa: S101 - only what ends is due
                yield self._applied(change, due_ms, "unacknowledged")

    def _escalated(self, incident: Incident, due_ms: int) -> Step:
        change = transitions.begin_step(incident, due_ms)
        assert change is not None  # noqa: S101 - only waits that go on are due
        is_first = incident.policy.oncall not in incident.told
        self._records.add(incident.id)
        self.summary.records_created += is_first
        effect = "would be created" if is_first else "would be moved to In Progress again"
        return self._applied(change, due_ms, "escalated", _record_of(incident, effect))

    def _post(self, posted: Posted) -> Iterator[Step]:
        notifications, policy_for, warnings = self._read(posted.body, posted.query)
        self.summary.payloads += 1
        if not notifications:
            yield Step(posted.at_ms, "ignored", "", details=tuple(warnings))
        for notification in notifications:
            said = replace(notification, warnings=(*warnings, *notification.warnings))
            yield self._accept(said, policy_for, posted.at_ms)

    def _accept(self, notification: Notification, policy_for: PolicyFor, now_ms: int) -> Step:
        """As `Lifecycle.accept` does it."""
        # Without an identity, an incident of its own: no source's dedup key has an empty line in it there.
        dedup_key = notification.dedup_key or f"{notification.source}\n\n{self.summary.incidents}"
        known = self._find(dedup_key, now_ms)
        if known is None:
            if not notification.is_firing:
                return Step(now_ms, "ignored", notification.title, details=("a resolve of nothing known",))
            change = transitions.trigger(
                notification, policy_for(notification, now_ms), dedup_key=dedup_key, now_ms=now_ms
            )
            self._named[dedup_key] = change.incident.id
            known = self._incidents.get(change.incident.id)
            if known is None:
                return self._created(change, now_ms)
        observed = transitions.observe(known, notification, now_ms, policy_for(notification, now_ms))
        if observed is None:
            return Step(now_ms, "ignored", known.title, known.id, ("no news",))
        return self._observed(known, observed, now_ms)

    def _find(self, dedup_key: str, now_ms: int) -> Incident | None:
        """The incident that *dedup_key* names: an open one, or one resolved less than *reopen_ms* ago."""
        known = self._incidents.get(self._named.get(dedup_key, IncidentId("")))
        if known is None or known.resolved_at_ms is None or now_ms < known.resolved_at_ms + self._reopen_ms:
            return known
        return None

    def _created(self, change: Change, now_ms: int) -> Step:
        policy = change.incident.policy
        self.summary.incidents += 1
        self.summary.messages += len(policy.channels)
        places = {name: policy.destinations.get(name) or self._channels.get(name, "") for name in policy.channels}
        told = [f"{called()(name)} {place}".rstrip() for name, place in places.items()]
        return self._applied(change, now_ms, "triggered", *told)

    def _observed(self, before: Incident, change: Change, now_ms: int) -> Step:
        if change.outcome is Outcome.RESOLVED:
            return self._resolved(before, change, now_ms)
        self.summary.reopened += change.outcome is Outcome.REOPENED
        return self._applied(change, now_ms, change.outcome.value, f"seen {change.incident.occurrences} times")

    def _resolved(self, before: Incident, change: Change, now_ms: int) -> Step:
        if before.id in self._records:
            self._records.remove(before.id)
            self.summary.records_resolved += 1
            return self._applied(change, now_ms, "resolved", _record_of(before, "would be resolved"))
        if before.status is Status.TRIGGERED:
            self.summary.resolved_in_time += 1
        return self._applied(change, now_ms, "resolved")

    def _act(self, acted: Acted) -> Iterator[Step]:
        incident = self._open_incident(acted.incident)
        if acted.action == "resolve":
            change = transitions.resolve(incident, Actor(acted.by), acted.at_ms)
            if change is not None:
                yield self._resolved(incident, change, acted.at_ms)
            return
        change = transitions.acknowledge(incident, Actor(acted.by), acted.at_ms)
        if change is None:
            said = f"acknowledged by {incident.acknowledged_by} before"
            yield Step(acted.at_ms, "ignored", incident.title, incident.id, (said,), acted.by)
            return
        self.summary.acknowledged += 1
        effects = [_record_of(incident, "would be moved to In Progress")] if incident.id in self._records else []
        yield self._applied(change, acted.at_ms, "acknowledged", *effects)

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

    def _applied(self, change: Change, now_ms: int, what: str, *effects: str) -> Step:
        """Keep the incident as it is now, with the wait that goes on."""
        incident = change.incident
        self._incidents[incident.id] = incident
        due_ms = incident.escalates_at_ms if incident.is_waiting else incident.ack_ends_at_ms
        if due_ms is not None:
            self._due_ms[incident.id] = due_ms
        else:
            self._due_ms.pop(incident.id, None)
        begins = change.outcome in {Outcome.CREATED, Outcome.REOPENED}
        if change.outcome is not Outcome.CREATED:
            self.summary.edits += len(incident.policy.channels)
            effects += tuple(f"{called()(name)} message edited" for name in incident.policy.channels)
        return Step(
            now_ms,
            what,
            incident.title,
            incident.id,
            (*_said(change), *effects),
            next((str(entry.by) for entry in change.entries if entry.by), ""),
            incident.escalates_at_ms if begins else None,
        )


def _said(change: Change) -> Iterator[str]:
    """What the incident's timeline says of it."""
    for entry in change.entries:
        if entry.detail:
            yield f"warning: {entry.detail}" if entry.event is Event.WARNING else entry.detail


def _record_of(incident: Incident, effect: str) -> str:
    return f"{called()(incident.policy.oncall or '')} record {effect}"


def _moment(at_ms: int, zone: tzinfo | None) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(zone)
