"""What is wrong about one incident in the end: what was promised, against what Slack and ServiceNow hold.

Each judgment is a function of what was seen; none uses code of the engine. What is in doubt is judged only by what
holds whatever happened.
"""

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.simulation.course import ACKNOWLEDGED, RESOLVED, TRIGGERED, Course

Verdict = tuple[str, str]
"""What is broken, and the detail."""

OVER_STATES = frozenset({"6", "7", "8"})
"""Of ServiceNow: Resolved, Closed, Canceled."""

IN_PROGRESS = "2"
POSTED_ANEW_MAX = 3
"""An incident whose messages cannot be edited is posted anew once, and once more when somebody is needed again."""


@dataclass(frozen=True, slots=True)
class Record:
    """A row of ServiceNow, and when it was first there, ms."""

    number: str
    state: str
    created_ms: float
    may_be_forgotten: bool = False  # Redis lost what was written when it was created
    may_be_outdated: bool = False  # the same of when it was last changed


@dataclass(frozen=True, slots=True)
class Message:
    """A message about the incident in one channel, with the replies of its thread."""

    channel: str
    text: str
    shown: str  # all of it
    replies: Sequence[str] = ()
    told: Sequence[Mapping[str, Any]] = ()  # what each of the replies says in its metadata
    posted_ms: float = math.inf
    may_be_outdated: bool = False  # Redis lost what was written when it was last edited


@dataclass(frozen=True, slots=True)
class Seen:
    """What there is of one incident in the end. `incident` is the API's, None when it knows of none."""

    incident: Mapping[str, Any] | None
    records: Sequence[Record] = ()
    messages: Sequence[Message] = ()
    is_in_storm: bool = False  # a message that stands for many has it


@dataclass(frozen=True, slots=True)
class Bounds:
    """How late and how inexact things may be. `late_ms` None: within what the world waits in the end."""

    late_ms: float | None = None
    slack_ms: float = 500.0
    channel: str = "C0ALERTS"
    later_channel: str = ""  # that of a step before the record; "": there is none
    may_refuse: bool = False  # Slack refuses the credentials for a while
    takes_edits: bool = True
    may_refuse_links: bool = False  # Redis lost the key that signs them


def judge(course: Course, seen: Seen, bounds: Bounds) -> Iterator[Verdict]:
    """All that is broken."""
    for found in (_answers(course, bounds), _identity(course, seen, bounds), _records(course, seen, bounds)):
        yield from found
    if bounds.later_channel and not course.doubt:
        yield from _later_step(course, seen, bounds)
        yield from _held(course, seen, bounds)
    if seen.incident is not None:
        yield from _status(course, seen.incident)
        yield from _states(course, seen, seen.incident)
        yield from _shown(course, seen, seen.incident, bounds)
        yield from _threads(course, seen, bounds)


def _answers(course: Course, bounds: Bounds) -> Iterator[Verdict]:
    """What people were answered."""
    refused = {"acknowledgment refused"} if bounds.may_refuse_links else set()
    yield from ((what, detail) for what, detail in course.problems if what not in refused)


def _identity(course: Course, seen: Seen, bounds: Bounds) -> Iterator[Verdict]:
    if seen.incident is None and not course.doubt:
        yield "lost", str(course)
    if len(seen.records) > 1 + course.closings:
        yield "two records", f"{course.id}: {[it.number for it in seen.records]}"
    by_channel = Counter(it.channel for it in seen.messages)
    for channel, number in by_channel.items():
        if number > (1 if bounds.takes_edits else POSTED_ANEW_MAX):
            yield "two messages", f"{course.id}: {number} in {channel}"


def _records(course: Course, seen: Seen, bounds: Bounds) -> Iterator[Verdict]:
    if course.doubt:
        return
    first_ms = course.first_due_ms(course.rules.record_after_ms)
    has_to = any(it.has_to_escalate() for it in course.waits) and not course.is_over_at_alertmanager
    if seen.records and bounds.may_refuse:  # a wait ends at once as long as Slack takes no message
        return
    if seen.records and math.isinf(first_ms):
        yield "a record of what was ended in time", str(course)
        return
    if not seen.records:
        if has_to:
            yield "no record", str(course)
        return
    created_ms = seen.records[0].created_ms
    # What Redis lost of an escalation, people were answered without: a snooze after it has another end then.
    if created_ms + bounds.slack_ms < first_ms and not seen.records[0].may_be_forgotten:
        yield "a record too early", f"{first_ms - created_ms:.0f} ms: {course}"
    late_ms = created_ms - course.waits[0].due_hi_ms - course.rules.record_after_ms
    is_first = len(course.waits) == 1 and course.waits[0].has_to_escalate()
    if bounds.late_ms is not None and is_first and late_ms > bounds.late_ms:
        yield "a record too late", f"{late_ms:.0f} ms: {course}"


def _later_step(course: Course, seen: Seen, bounds: Bounds) -> Iterator[Verdict]:
    """The channel of a step before the record: told once its time has come unless ended, and never before."""
    own, first_ms = [it for it in seen.messages if it.channel == bounds.later_channel], course.first_due_ms()
    if bounds.may_refuse:  # a wait ends at once as long as Slack takes no message
        return
    if not own:
        is_to_be = seen.incident is not None and seen.incident["status"] == TRIGGERED
        if is_to_be and any(it.has_to_escalate() for it in course.waits):
            yield "a step that was not told", str(course)
        return
    if math.isinf(first_ms):
        yield "a step of what was ended in time", str(course)
    elif own[0].posted_ms + bounds.slack_ms < first_ms:
        yield "a step too early", f"{first_ms - own[0].posted_ms:.0f} ms: {course}"
    late_ms = own[0].posted_ms - course.waits[0].due_hi_ms
    is_first = len(course.waits) == 1 and course.waits[0].has_to_escalate()
    if bounds.late_ms is not None and is_first and late_ms > bounds.late_ms:
        yield "a step too late", f"{late_ms:.0f} ms: {course}"


def _held(course: Course, seen: Seen, bounds: Bounds) -> Iterator[Verdict]:
    """Nobody is told before the hours begin."""
    opens_ms = course.rules.opens_ms
    for message in seen.messages:
        if message.posted_ms + bounds.slack_ms < opens_ms:
            yield "told before its hours", f"{opens_ms - message.posted_ms:.0f} ms: {course}"
    if opens_ms and seen.messages and course.is_untold:
        yield "told although it was ended before its hours", str(course)


def _status(course: Course, incident: Mapping[str, Any]) -> Iterator[Verdict]:
    wanted = set(course.statuses)
    if course.is_over_at_alertmanager:
        wanted.add(RESOLVED)
    if not course.doubt and incident["status"] not in wanted:
        yield "wrong status", f"{incident['status']}, not {' or '.join(sorted(wanted))}: {course}"
    if incident["outcome"] is None:
        yield "no outcome", str(course)


def _states(course: Course, seen: Seen, incident: Mapping[str, Any]) -> Iterator[Verdict]:
    """Of its records, as the API tells of the incident: also where that is in doubt, they have to agree."""
    status, told = incident["status"], incident["record"]
    if status == TRIGGERED and not seen.records and incident["outcome"] != "suppressed":
        yield "escalates, and has no record", str(course)
    is_fallback = told is not None and any(it.channel in told for it in seen.messages)
    if not seen.records:
        if told and not is_fallback:
            yield "a record that is not there", f"{told}: {course}"
        return
    if course.closings:
        return
    [*_, last] = seen.records
    if told != last.number and _may_have_forgotten(last, status):
        return
    if told != last.number and not is_fallback:
        yield "a record that is not known", f"{last.number}, not {told}: {course}"
    if status == RESOLVED and last.state not in OVER_STATES:
        yield "a record that is open though all is over", f"state {last.state}: {course}"
    if status == TRIGGERED and last.state in OVER_STATES and not last.may_be_outdated:
        yield "a record that is over though it goes on", f"state {last.state}: {course}"
    if status == ACKNOWLEDGED and _escalated_before_that(course, last) and last.state != IN_PROGRESS:
        yield "a record that is not in progress though acknowledged", f"state {last.state}: {course}"


def _may_have_forgotten(record: Record, status: str) -> bool:
    """Redis lost that there is a record, and nobody looks for it any more: docs/design.md names the window.

    Nobody need have done anything just then: what was lost is a step of the service, not a deed.
    """
    return record.may_be_forgotten and status in {ACKNOWLEDGED, RESOLVED}


def _escalated_before_that(course: Course, record: Record) -> bool:
    """The record is of the wait that the acknowledgment came too late for, for sure.

    One that was there before the wait was over is of an earlier wait, however late its creation had its effect.
    """
    if course.doubt or not course.waits:
        return False
    last = course.waits[-1]
    return last.end_lo_ms is not None and last.due_hi_ms < record.created_ms < last.end_lo_ms


def _shown(course: Course, seen: Seen, incident: Mapping[str, Any], bounds: Bounds) -> Iterator[Verdict]:
    own = [it for it in seen.messages if it.channel == bounds.channel]
    if not own:
        is_held = course.rules.opens_ms and (course.doubt or course.may_be_untold)
        if not seen.is_in_storm and not is_held:
            yield "no message", str(course)
        return
    [*_, message] = own
    wanted = _headline(incident)
    if not bounds.takes_edits:
        if not _is_said_below(wanted, message):
            yield "a thread that is not up to date", f"{message.text!r} {message.replies} lack {wanted}: {course}"
        return
    # What Redis lost together with its being shown is shown until the next change: docs/design.md names the window.
    if f"*{wanted}*" not in message.text and not message.may_be_outdated:
        yield "a message that is not up to date", f"{message.text!r} lacks {wanted}: {course}"
    if not seen.records:
        return
    [*_, last] = seen.records
    is_known = incident["record"] == last.number or not _may_have_forgotten(last, incident["status"])
    if is_known and last.number not in message.text + message.shown:
        yield "a message without its record", f"{last.number}: {course}"


def _is_said_below(wanted: str, message: Message) -> bool:
    """How an incident stands whose message cannot be edited: in the message, or in its thread."""
    is_told = wanted == "Escalated" and any("Escalated to" in it for it in message.replies)
    return is_told or any(f"*{wanted}*" in it for it in (message.text, *message.replies))


def _headline(incident: Mapping[str, Any]) -> str:
    if incident["outcome"] == "suppressed":
        return "Suppressed"
    if incident["outcome"] == "failed":
        return "Escalation failed"
    return "Escalated" if incident["status"] == TRIGGERED else str(incident["status"]).capitalize()


def _threads(course: Course, seen: Seen, bounds: Bounds) -> Iterator[Verdict]:
    """What the thread was told, it was told once.

    What Redis has lost is counted anew, so that a number may stand for two things: then their texts tell them apart.
    So do those of two acknowledgments in a moment, below a message that cannot be edited.
    """
    for message in seen.messages:
        told = Counter(
            (json.dumps(what, sort_keys=True), reply if course.doubt or "standing" in what else "")
            for what, reply in zip(message.told, message.replies, strict=False)
            if what
        )
        for (what, _), number in told.items():
            if number > 1:
                yield "a thread that was told twice", f"{what} {message.replies}: {course}"
        if message.channel == bounds.channel and not course.doubt:
            yield from _lines(course, message)


def _lines(course: Course, message: Message) -> Iterator[Verdict]:
    said = "\n".join(message.replies)
    # What joins when people have closed the record begins another wait.
    waits = len(course.waits) + course.escalated_by_hand + course.closings
    most = {
        "Given back by": course.given_back,
        "Reopened:": course.reopened + (len(course.acts) if course.rules.has_last_look else 0),
        "Triggered again": course.retriggered + course.closings,
        "Escalated to ServiceNow": waits * (1 + course.rules.repeat),
        "Nobody has acknowledged": waits * course.rules.repeat,
    }
    for line, number in most.items():
        if said.count(line) > number:
            yield "a line too often", f"{line!r} {said.count(line)} times, not {number}: {course}"
    for number in range(1, course.comments + 1):
        if said.count(f"Comment {number} on") > 1:
            yield "a line too often", f"comment {number}: {course}"
