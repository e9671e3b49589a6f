"""Whether what was promised was kept. Knows nothing of versus_py's code: only what anybody can see from outside.

It reads the load's journal, the tables of the simulated ServiceNow and Slack, the API's list, and how many timers are
left in Redis. What is ambiguous by nature (an acknowledgment that raced the end of the wait, a request whose answer
was lost) is told apart and counted.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.faults.journal import Answer, Did, Event
from tests.faults.policies import LEADS
from tests.faults.promises import BEGINNINGS, Alert, Promise

RESOLVED_STATE = "6"  # ServiceNow's
CLOCK_SLACK_MS = 250
"""How far the service's clock may be from this machine's: it follows Redis', by answers that take this much."""


POSTED_ANEW_MAX = 3
"""An incident whose messages cannot be edited is posted anew once, and once more when somebody is needed again."""

SAID_AGAIN = "Nobody has acknowledged"
"""In the thread of a message, by a further round."""

SAID_OF_RECORDS = "Escalated to"
"""In the thread of a message."""

UNDER_WAY_MS = 2000
"""What was being sent when Redis was emptied has its effect within this time."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is there after everything has settled."""

    events: Sequence[Event]
    records: Sequence[Mapping[str, str]]  # ServiceNow's table
    messages: Sequence[Mapping[str, Any]]  # Slack's, each with its replies, oldest first
    incidents: Sequence[Mapping[str, Any]]  # the API's list
    left: Mapping[str, int]  # what Redis still has to do: timers, running, failed -> how many
    uneditable: Collection[str] = ()  # channels whose messages Slack does not let be edited

    @property
    def emptied_at_ms(self) -> int | None:
        """When Redis lost what it had, the last time; None when it never did."""
        return max((it.answered_ms for it in self.events if it.did is Did.EMPTIED), default=None)

    @property
    def lost(self) -> Sequence[Event]:
        """What was done before that: its promises are no more."""
        until_ms = self.emptied_at_ms or 0
        return [it for it in self.events if it.sent_ms < until_ms]

    @property
    def kept(self) -> Sequence[Event]:
        """What was done since."""
        since_ms = self.emptied_at_ms or 0
        return [it for it in self.events if it.sent_ms >= since_ms and it.did is not Did.EMPTIED]


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
    latest_ms: int = 0
    """How long after its wait the latest record was created, where there is a bound for that."""

    def __str__(self) -> str:
        lines = [", ".join(f"{name}: {number}" for name, number in sorted(self.counted.items()))]
        lines += [f"latest record: {self.latest_ms} ms after its wait"] if self.latest_ms else []
        return "\n".join([*lines, *(f"BROKEN {it.what}: {it.name} {it.detail}" for it in self.findings)])


class _Check:
    def __init__(self, evidence: Evidence, *, clock_slack_ms: int, late_ms: int | None) -> None:
        self._evidence = evidence
        self._clock_slack_ms = clock_slack_ms
        self._late_ms = late_ms
        self._records = _grouped(evidence.records, lambda it: it["correlation_id"])
        self._messages = _grouped(evidence.messages, _about)
        self._incidents = {it["id"]: it for it in evidence.incidents}
        self.report = Report()

    def run(self) -> Report:
        for name, events in _grouped(self._evidence.kept, lambda it: it.name).items():
            self._alert(Alert(name, events, clock_slack_ms=self._clock_slack_ms))
        if self._evidence.lost:
            self._still_once()
        for kind, number in self._evidence.left.items():
            if number:
                self._broken(f"{kind} left in Redis", "", str(number))
        lost_ids = {it.incident_id for it in self._evidence.lost}
        for incident_id in (*self._records, *self._messages):
            if incident_id not in self._incidents and incident_id not in lost_ids:
                self._broken("something about an incident that the API does not know", incident_id)
        return self.report

    def _still_once(self) -> None:
        """What comes again after a loss is what it was: with the same id, its message, and its record."""
        self.report.counted["lost"] = len({it.name for it in self._evidence.lost})
        for name, events in _grouped(self._evidence.events, lambda it: it.name).items():
            ids = {it.incident_id for it in events if it.incident_id}
            self._number_of_incidents(name, ids)
            for what, found in (("record", self._records), ("message", self._messages)):
                if sum(len(found.get(it, [])) for it in ids) > 1:
                    self._broken(f"more than one {what}", name, "after a loss")

    def _broken(self, what: str, name: str, detail: str = "") -> None:
        self.report.findings.append(Finding(what, name, detail))

    def _alert(self, alert: Alert) -> None:
        count = self.report.counted
        count["alerts"] += 1
        count["answers lost"] += alert.answers.count(Answer.UNKNOWN)
        if not alert.taken:
            self._never_taken(alert)
            return
        count["accepted"] += 1
        self._number_of_incidents(alert.name, alert.ids | self._called(alert.name))
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
        self._not_too_late(alert, records)
        self._state_of_records(alert, incident, records)
        self._shown(alert, incident_id, incident, records)

    def _never_taken(self, alert: Alert) -> None:
        """Nothing was promised; if it is there all the same, it must not be there twice."""
        self.report.counted["never accepted"] += 1
        ids = self._called(alert.name)
        self._number_of_incidents(alert.name, ids)
        for incident_id in ids:
            if len(self._records.get(incident_id, [])) > 1:
                self._broken("more than one record", alert.name, incident_id)

    def _called(self, name: str) -> set[str]:
        """Incidents of that name: a request without an answer may have made one."""
        return {key for key, it in self._incidents.items() if it["title"].split()[0] == name}

    def _number_of_incidents(self, name: str, ids: Collection[str]) -> None:
        if len(ids) > 1:
            self._broken("more than one incident", name, ", ".join(sorted(ids)))

    def _deadline(self, alert: Alert) -> None:
        if alert.told_due_ms is not None:
            self._told(alert, alert.told_due_ms, alert.earliest_due_ms, alert.latest_due_ms)
        for promise in alert.promises():
            self._promised(alert, promise)
        for it in alert.attempts(Did.ACKNOWLEDGE):
            self._lasts(alert, it)

    def _promised(self, alert: Alert, promise: Promise) -> None:
        told_ms, answered_ms = promise.event.escalates_at_ms, promise.event.answered_ms
        if told_ms is not None:
            self._told(alert, told_ms, promise.earliest_ms, promise.latest_ms)
        elif answered_ms < promise.waits_until_ms - self._clock_slack_ms:
            self._broken("does not wait although that was taken", alert.name, promise.event.did)

    def _told(self, alert: Alert, told_ms: int, earliest_ms: int, latest_ms: int) -> None:
        if not earliest_ms - self._clock_slack_ms <= told_ms <= latest_ms + self._clock_slack_ms:
            off_ms = told_ms - latest_ms
            self._broken("deadline not when the wait ends", alert.name, f"{off_ms} ms from the latest that it can be")

    def _lasts(self, alert: Alert, it: Event) -> None:
        if it.lasts_until_ms is None:
            return
        earliest_ms, latest_ms = it.sent_ms + it.lasts_ms, it.answered_ms + it.lasts_ms
        if not earliest_ms - self._clock_slack_ms <= it.lasts_until_ms <= latest_ms + self._clock_slack_ms:
            self._broken(
                "acknowledged for another time than it lasts", alert.name, f"{it.lasts_until_ms - latest_ms} ms"
            )

    def _not_too_early(self, alert: Alert, records: Sequence[Mapping[str, str]]) -> None:
        if alert.was_ended_in_time:
            return
        for record in records:
            opened_ms = _opened_ms(record)
            if opened_ms < (self._evidence.emptied_at_ms or 0) + UNDER_WAY_MS:
                continue
            if opened_ms + 1000 < alert.due_ms - self._clock_slack_ms:
                self._broken("a record before the wait was over", alert.name, f"{alert.due_ms - opened_ms} ms")

    def _not_too_late(self, alert: Alert, records: Sequence[Mapping[str, str]]) -> None:
        if self._late_ms is None or alert.is_hindered or not alert.is_due_for_sure:
            return
        self.report.counted["had to come in time"] += 1
        for record in records:
            late_ms = _opened_ms(record) - alert.due_ms
            self.report.latest_ms = max(self.report.latest_ms, late_ms)
            if late_ms > self._late_ms:
                self._broken("a record long after the wait was over", alert.name, f"{late_ms} ms")

    def _outcome(self, alert: Alert, incident: Mapping[str, Any]) -> None:
        if incident["outcome"] is None:
            self._broken("no outcome", alert.name, str(incident["status"]))
        wanted = self._statuses(alert)
        if incident["status"] not in wanted:
            self._broken("wrong status", alert.name, f"{incident['status']}, not {' or '.join(sorted(wanted))}")

    def _statuses(self, alert: Alert) -> set[str]:
        """What it may be in the end, by what was promised."""
        statuses = set()
        if not alert.is_sure(Did.RESOLVE) or alert.may_be_reopened:
            if not alert.is_acknowledged or alert.may_be_reopened:
                statuses.add("triggered")
            if alert.may_be_acknowledged:
                statuses.add("acknowledged")
        if alert.is_possible(Did.RESOLVE):
            statuses.add("resolved")
        return statuses

    def _number_of_records(self, alert: Alert, records: Sequence[Mapping[str, str]]) -> None:
        count, number = self.report.counted, len(records)
        if number > 1:
            self._broken("more than one record", alert.name, ", ".join(it["number"] for it in records))
        if alert.may_be_reopened:
            count["ambiguous: a late trigger may have come after the resolve"] += 1
        elif alert.was_ended_in_time:
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
        self, alert: Alert, incident: Mapping[str, Any], records: Sequence[Mapping[str, str]]
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
        alert: Alert,
        incident_id: str,
        incident: Mapping[str, Any],
        records: Sequence[Mapping[str, str]],
    ) -> None:
        found = self._messages.get(incident_id, [])
        messages = [it for it in found if it["channel"] not in LEADS.values()]
        if not self._is_held_right(alert, messages):
            return
        if alert.has_rounds:
            self._later_step(alert, str(incident["status"]), [it for it in found if it not in messages])
            self._said_again(alert, found)
        if not messages:
            self._broken("no message", alert.name)
            return
        is_editable = messages[-1]["channel"] not in self._evidence.uneditable
        if len(messages) > (1 if is_editable else POSTED_ANEW_MAX):
            self._broken("more than one message", alert.name, str(len(messages)))
        shown = [messages[-1]] if is_editable else messages
        self._up_to_date(alert, str(incident["status"]), messages[-1], is_editable=is_editable)
        for record in records:
            if record["number"] not in json.dumps(shown):
                self._broken("message without its record", alert.name, record["number"])

    def _is_held_right(self, alert: Alert, messages: Sequence[Mapping[str, Any]]) -> bool:
        """Nobody is told before its hours begin; whether there is a message to look at."""
        if not alert.opens_ms:
            return True
        for message in messages:
            early_ms = alert.opens_ms - _posted_ms(message)
            if early_ms > self._clock_slack_ms:
                self._broken("told before the hours begin", alert.name, f"{early_ms} ms")
        if messages or not alert.may_end_before_its_hours:
            if alert.was_ended_before_its_hours:
                self._broken("told although it was ended before the hours began", alert.name)
            return True
        self.report.counted["ended before its hours, and never told"] += 1
        return False

    def _later_step(self, alert: Alert, status: str, messages: Sequence[Mapping[str, Any]]) -> None:
        """That of the leads: due with the record."""
        if len(messages) > 1:
            self._broken("more than one message of a later step", alert.name, str(len(messages)))
        if messages and alert.was_ended_in_time:
            self._broken("a later step although it was ended in time", alert.name)
        elif not messages and alert.has_to_escalate and status == "triggered":  # else it may have come too late
            self._broken("no message of a later step", alert.name)
        for message in messages:
            early_ms = alert.due_ms - _posted_ms(message)
            if not alert.was_ended_in_time and early_ms > self._clock_slack_ms:
                self._broken("a later step before its time", alert.name, f"{early_ms} ms")
            self._up_to_date(alert, status, message, is_editable=True)

    def _said_again(self, alert: Alert, messages: Sequence[Mapping[str, Any]]) -> None:
        """Its steps are gone through twice: each channel is told again once, at the most."""
        begun = 1 + len(alert.attempts(*BEGINNINGS))
        for message in messages:
            again = sum(SAID_AGAIN in str(it) for it in message["replies"])
            self.report.counted["told again"] += again
            if again > begun:
                self._broken("told again more often than there are rounds", alert.name, f"{again} times")

    def _up_to_date(self, alert: Alert, status: str, message: Mapping[str, Any], *, is_editable: bool) -> None:
        """What cannot be edited says in its thread how the incident stands."""
        texts = [message["text"]] if is_editable else [message["text"], *message["replies"]]
        said = "*Escalated*" if status == "triggered" else f"*{status.capitalize()}*"
        is_told = status == "triggered" and any(SAID_OF_RECORDS in it for it in texts[1:])
        if not is_told and not any(said in it for it in texts):
            self._broken("message not up to date", alert.name, f"{texts!r} lacks {said}")


def check(evidence: Evidence, *, clock_slack_ms: int = CLOCK_SLACK_MS, late_ms: int | None = None) -> Report:
    """*clock_slack_ms* is more where the network to Redis is slow: nobody knows when on its way an answer was true.

    Records have to be created within *late_ms* after their wait, but for those that something hinders.
    """
    return _Check(evidence, clock_slack_ms=clock_slack_ms, late_ms=late_ms).run()


def _opened_ms(record: Mapping[str, str]) -> int:
    """When it was created. ServiceNow tells whole seconds: it was up to one later."""
    return round(datetime.fromisoformat(record["sys_created_on"]).replace(tzinfo=UTC).timestamp() * 1000)


def _posted_ms(message: Mapping[str, Any]) -> int:
    return round(float(message["ts"]) * 1000)


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
