"""Whether what was promised was kept. Knows nothing of versus_py's code: only what anybody can see from outside.

It reads the load's journal, the tables of the simulated ServiceNow and Slack, the API's list, and how many timers are
left in Redis. What is ambiguous by nature (an acknowledgment that raced the end of the wait, a request whose answer
was lost) is told apart and counted.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.faults.journal import Answer, Did, Event

RESOLVED_STATE = "6"  # ServiceNow's
NEVER_MS = 1 << 62
CLOCK_SLACK_MS = 250
"""How far the service's clock may be from this machine's: it follows Redis', by answers that take this much."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is there after everything has settled."""

    events: Sequence[Event]
    records: Sequence[Mapping[str, str]]  # ServiceNow's table
    messages: Sequence[Mapping[str, Any]]  # Slack's, without replies
    incidents: Sequence[Mapping[str, Any]]  # the API's list
    left: Mapping[str, int]  # what Redis still has to do: timers, running, failed -> how many


@dataclass(frozen=True, slots=True)
class Finding:
    """A broken promise."""

    what: str
    name: str
    detail: str = ""


@dataclass(slots=True)
class Report:
    """What was found, and how much was looked at: `counted` says what of it was ambiguous, and why."""

    findings: list[Finding] = field(default_factory=list)
    counted: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        lines = [", ".join(f"{name}: {number}" for name, number in sorted(self.counted.items()))]
        return "\n".join([*lines, *(f"BROKEN {it.what}: {it.name} {it.detail}" for it in self.findings)])


@dataclass(frozen=True, slots=True)
class Promise:
    """An answer that says when a wait ends, and between when that has to be."""

    event: Event
    earliest_ms: int
    latest_ms: int


class _Alert:
    """One alert's part of the journal."""

    def __init__(self, name: str, events: Sequence[Event]) -> None:
        self.name = name
        self._events = events
        self.taken = [it for it in self._of(Did.TRIGGER) if it.answer is Answer.TAKEN]
        self.ids = {it.incident_id for it in self.taken}
        self.answers = [it.answer for it in events if it.did is not Did.SAW_RECORD]

    def _of(self, *did: Did) -> list[Event]:
        return [it for it in self._events if it.did in did]

    def attempts(self, *did: Did) -> list[Event]:
        """Those that happened, or may have."""
        return [it for it in self._of(*did) if it.answer is not Answer.REFUSED]

    def is_sure(self, did: Did) -> bool:
        return any(it.answer is Answer.TAKEN for it in self._of(did))

    def is_possible(self, did: Did) -> bool:
        return bool(self.attempts(did))

    @property
    def earliest_due_ms(self) -> int:
        first = self.attempts(Did.TRIGGER)[0]
        return first.sent_ms + first.wait_ms

    @property
    def latest_due_ms(self) -> int:
        first = self.taken[0]
        return first.answered_ms + first.wait_ms

    @property
    def told_due_ms(self) -> int | None:
        return next((it.escalates_at_ms for it in self.taken if it.escalates_at_ms is not None), None)

    @property
    def first_due_ms(self) -> int:
        """When its first wait ends at the earliest."""
        return self.earliest_due_ms if self.told_due_ms is None else self.told_due_ms

    def was_taken_before(self, due_ms: int, *did: Did) -> bool:
        return any(it.answer is Answer.TAKEN and it.answered_ms < due_ms for it in self._of(*did))

    @property
    def was_given_back(self) -> bool:
        """For sure, and nobody has it again: an acknowledgment that nobody waited for may come after that."""
        return self.is_sure(Did.GIVE_BACK) and not any(it.may_come_late for it in self._of(Did.ACKNOWLEDGE))

    def was_ended_in_time(self, clock_slack_ms: int) -> bool:
        """Somebody was promised, before the wait was over, that it would not escalate."""
        ends = (Did.RESOLVE,) if self.is_possible(Did.GIVE_BACK) else (Did.ACKNOWLEDGE, Did.RESOLVE)
        return self.was_taken_before(self.first_due_ms - clock_slack_ms, *ends)

    @property
    def has_to_escalate(self) -> bool:
        """Nobody even tried to end it before its record was seen, or it was given back."""
        seen_ms = min((it.sent_ms for it in self._of(Did.SAW_RECORD)), default=NEVER_MS)
        ends = (Did.RESOLVE,) if self.was_given_back else (Did.ACKNOWLEDGE, Did.RESOLVE)
        return all(it.sent_ms >= seen_ms for it in self.attempts(*ends))

    def promises(self, did: Did) -> Iterator["Promise"]:
        """Of whoever gave it back or snoozed it: when it escalates after that."""
        attempts = self.attempts(did)
        for it in attempts:
            if it.answer is not Answer.TAKEN:
                continue
            first_ms = attempts[0].sent_ms  # which may have been what counts
            if did is Did.GIVE_BACK:
                yield Promise(it, first_ms + it.wait_ms, it.answered_ms + it.wait_ms)
            else:
                took_ms = it.answered_ms - first_ms
                yield Promise(it, self.earliest_due_ms + it.wait_ms, self.latest_due_ms + it.wait_ms + took_ms)

    def due_ms(self, clock_slack_ms: int) -> int:
        """Before when it has no record, as it was promised last."""
        promised = [it.event.escalates_at_ms for it in self.promises(Did.SNOOZE)]
        if self.was_taken_before(self.first_due_ms - clock_slack_ms, Did.ACKNOWLEDGE):
            promised += [it.event.escalates_at_ms for it in self.promises(Did.GIVE_BACK)]
        return max((it for it in promised if it is not None), default=self.first_due_ms)

    @property
    def may_be_reopened(self) -> bool:
        """A trigger that somebody stopped waiting for may have come after the resolve."""
        return self.is_possible(Did.RESOLVE) and any(it.may_come_late for it in self._of(Did.TRIGGER))


class _Check:
    def __init__(self, evidence: Evidence, *, clock_slack_ms: int) -> None:
        self._evidence = evidence
        self._clock_slack_ms = clock_slack_ms
        self._records = _grouped(evidence.records, lambda it: it["correlation_id"])
        self._messages = _grouped(evidence.messages, _about)
        self._incidents = {it["id"]: it for it in evidence.incidents}
        self.report = Report()

    def run(self) -> Report:
        names = _grouped(self._evidence.events, lambda it: it.name)
        for name, events in names.items():
            self._alert(_Alert(name, events))
        for kind, number in self._evidence.left.items():
            if number:
                self._broken(f"{kind} left in Redis", "", str(number))
        for incident_id in (*self._records, *self._messages):
            if incident_id not in self._incidents:
                self._broken("something about an incident that the API does not know", incident_id)
        return self.report

    def _broken(self, what: str, name: str, detail: str = "") -> None:
        self.report.findings.append(Finding(what, name, detail))

    def _alert(self, alert: _Alert) -> None:
        count = self.report.counted
        count["alerts"] += 1
        count["answers lost"] += alert.answers.count(Answer.UNKNOWN)
        if not alert.taken:
            self._never_taken(alert)
            return
        count["accepted"] += 1
        if len(alert.ids) > 1:
            self._broken("more than one incident", alert.name, ", ".join(sorted(alert.ids)))
        incident_id = alert.taken[0].incident_id
        incident = self._incidents.get(incident_id)
        if incident is None:
            self._broken("lost", alert.name, incident_id)
            return
        self._deadline(alert)
        self._outcome(alert, incident)
        records = self._records.get(incident_id, [])
        self._number_of_records(alert, records)
        self._not_too_early(alert, records)
        self._state_of_records(alert, incident, records)
        self._shown(alert, incident_id, incident, records)

    def _never_taken(self, alert: _Alert) -> None:
        """Nothing was promised; if it is there all the same, it must not be there twice."""
        self.report.counted["never accepted"] += 1
        ids = [key for key, it in self._incidents.items() if it["title"].split()[0] == alert.name]
        if len(ids) > 1:
            self._broken("more than one incident", alert.name, ", ".join(ids))
        for incident_id in ids:
            if len(self._records.get(incident_id, [])) > 1:
                self._broken("more than one record", alert.name, incident_id)

    def _deadline(self, alert: _Alert) -> None:
        if alert.told_due_ms is not None:
            self._told(alert, alert.told_due_ms, alert.earliest_due_ms, alert.latest_due_ms)
        for did in (Did.GIVE_BACK, Did.SNOOZE):
            for it in alert.promises(did):
                self._promised(alert, it)

    def _promised(self, alert: _Alert, promise: Promise) -> None:
        told_ms, answered_ms = promise.event.escalates_at_ms, promise.event.answered_ms
        if told_ms is not None:
            self._told(alert, told_ms, promise.earliest_ms, promise.latest_ms)
            return
        is_snooze = promise.event.did is Did.SNOOZE
        waits_until_ms = alert.earliest_due_ms if is_snooze else promise.earliest_ms
        if answered_ms < waits_until_ms - self._clock_slack_ms and (is_snooze or alert.was_given_back):
            self._broken("does not wait although that was taken", alert.name, promise.event.did)

    def _told(self, alert: _Alert, told_ms: int, earliest_ms: int, latest_ms: int) -> None:
        if not earliest_ms - self._clock_slack_ms <= told_ms <= latest_ms + self._clock_slack_ms:
            off_ms = told_ms - latest_ms
            self._broken("deadline not when the wait ends", alert.name, f"{off_ms} ms from the latest that it can be")

    def _not_too_early(self, alert: _Alert, records: Sequence[Mapping[str, str]]) -> None:
        due_ms = alert.due_ms(self._clock_slack_ms)
        for record in records:
            # ServiceNow tells whole seconds.
            opened_ms = round(datetime.fromisoformat(record["sys_created_on"]).replace(tzinfo=UTC).timestamp() * 1000)
            if opened_ms + 1000 < due_ms - self._clock_slack_ms:
                self._broken("a record before the wait was over", alert.name, f"{due_ms - opened_ms} ms")

    def _outcome(self, alert: _Alert, incident: Mapping[str, Any]) -> None:
        if incident["outcome"] is None:
            self._broken("no outcome", alert.name, str(incident["status"]))
        wanted = self._statuses(alert)
        if incident["status"] not in wanted:
            self._broken("wrong status", alert.name, f"{incident['status']}, not {' or '.join(sorted(wanted))}")

    def _statuses(self, alert: _Alert) -> set[str]:
        """What it may be in the end, by what was promised."""
        statuses = set()
        if not alert.is_sure(Did.RESOLVE) or alert.may_be_reopened:
            if not alert.is_sure(Did.ACKNOWLEDGE) or alert.may_be_reopened or alert.is_possible(Did.GIVE_BACK):
                statuses.add("triggered")
            if alert.is_possible(Did.ACKNOWLEDGE) and not alert.was_given_back:
                statuses.add("acknowledged")
        if alert.is_possible(Did.RESOLVE):
            statuses.add("resolved")
        return statuses

    def _number_of_records(self, alert: _Alert, records: Sequence[Mapping[str, str]]) -> None:
        count, number = self.report.counted, len(records)
        if number > 1:
            self._broken("more than one record", alert.name, ", ".join(it["number"] for it in records))
        if alert.may_be_reopened:
            count["ambiguous: a late trigger may have come after the resolve"] += 1
        elif alert.was_ended_in_time(self._clock_slack_ms):
            count["ended in time"] += 1
            if number:
                self._broken("a record although it was ended in time", alert.name, records[0]["number"])
        elif alert.has_to_escalate:
            count["had to escalate"] += 1
            if not number:
                self._broken("no record", alert.name)
        else:
            count[f"ambiguous: raced the end of the wait, {'escalated' if number else 'did not escalate'}"] += 1

    def _state_of_records(
        self, alert: _Alert, incident: Mapping[str, Any], records: Sequence[Mapping[str, str]]
    ) -> None:
        for record in records:
            if incident["status"] == "resolved" and record["state"] != RESOLVED_STATE:
                self._broken("record open although it is resolved", alert.name, f"state {record['state']}")
            if incident["status"] != "resolved" and record["state"] == RESOLVED_STATE:
                self._broken("record closed although it goes on", alert.name, incident["status"])
            if incident["record"] != record["number"]:
                self._broken("record that the API does not tell of", alert.name, record["number"])

    def _shown(
        self,
        alert: _Alert,
        incident_id: str,
        incident: Mapping[str, Any],
        records: Sequence[Mapping[str, str]],
    ) -> None:
        messages = self._messages.get(incident_id, [])
        if not messages:
            self._broken("no message", alert.name)
            return
        if len(messages) > 1:
            self._broken("more than one message", alert.name, str(len(messages)))
        status = incident["status"]
        said = "*Escalated*" if status == "triggered" else f"*{status.capitalize()}*"
        last = messages[-1]
        if said not in last["text"]:
            self._broken("message not up to date", alert.name, f"{last['text']!r} lacks {said}")
        for record in records:
            if record["number"] not in json.dumps(last):
                self._broken("message without its record", alert.name, record["number"])


def check(evidence: Evidence, *, clock_slack_ms: int = CLOCK_SLACK_MS) -> Report:
    """*clock_slack_ms* is more where the network to Redis is slow: nobody knows when on its way an answer was true."""
    return _Check(evidence, clock_slack_ms=clock_slack_ms).run()


def _grouped(items: Sequence[Any], key: Any) -> dict[str, list[Any]]:
    groups: dict[str, list[Any]] = defaultdict(list)
    for item in items:
        groups[key(item)].append(item)
    return dict(groups)


def _about(message: Mapping[str, Any]) -> str:
    """The incident that a message says in its metadata that it is about."""
    payload = (message.get("metadata") or {}).get("event_payload") or {}
    return str(payload.get("incident", ""))


def own_messages(messages: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Those that are about an incident, and no reply in a thread."""
    return (it for it in messages if not it.get("thread_ts") and _about(it))
