"""Incidents and the tickets that they are kept in sync with: what happens there, and what it does here. Pure.

A ticket is the record of an incident at a system that tells of changes. Changes count, not states: only what differs
from how the ticket was last seen is news. What was heard from a ticket is never written to it, see `Entry.said_at`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum

from versus_py.incidents.copies import replace
from versus_py.incidents.listings import ended
from versus_py.incidents.model import (
    Actor,
    Alert,
    AlertStatus,
    Delivery,
    Entry,
    Event,
    Incident,
    IncidentId,
    Notification,
    Outcome,
    Status,
    incident_id,
    system_of,
)
from versus_py.incidents.policies import Asked, Policy
from versus_py.incidents.rounds import PolicyOf, as_before, no_more_than
from versus_py.incidents.severity import UNKNOWN_SEVERITY, is_graver
from versus_py.incidents.sides import Report, Side, Standing, Ticket, in_words
from versus_py.incidents.timers import record_timers
from versus_py.incidents.transitions import (
    Change,
    acknowledge,
    begin_anew,
    correct,
    follow_sooner,
    identify,
    resolve,
    snooze,
    tell,
    trigger,
)
from versus_py.incidents.triage import rerouted, set_severity
from versus_py.incidents.updates import names_of

ON_HOLD_MAX_MS = 7 * 24 * 3600_000
"""The longest that a ticket which is on hold keeps its incident snoozed."""

BY_DEFAULT = "by default"
"""Where a routing key leads that nothing is configured for, for people."""

ON_ITS_WAY_MS = 5 * 60_000
"""No write takes so long: what our user changes later, somebody does on purpose who has that user's password."""

EPISODE_MS = 0
"""A ticket has one episode, whenever it was opened: its incident has the same id for ever."""


class Does(Enum):
    """What a ticket does to the incident."""

    BEGINS = "an incident is triggered"
    IS_REFUSED = "nothing: it is answered by 400"
    CHANGES_NOTHING = "nothing"
    ACKNOWLEDGES = "it is acknowledged"
    HOLDS = "it is snoozed, or what on_hold says"
    RESOLVES = "it is resolved"
    IS_SAID = "its thread and its timeline say that the ticket was reopened, if it was over"


LIFECYCLE: Mapping[Standing, Mapping[Status | None, Does]] = {
    Standing.NEW: {
        None: Does.BEGINS,
        Status.TRIGGERED: Does.CHANGES_NOTHING,
        Status.ACKNOWLEDGED: Does.CHANGES_NOTHING,
        Status.RESOLVED: Does.IS_SAID,
    },
    Standing.IN_PROGRESS: {
        None: Does.IS_REFUSED,
        Status.TRIGGERED: Does.ACKNOWLEDGES,
        Status.ACKNOWLEDGED: Does.CHANGES_NOTHING,
        Status.RESOLVED: Does.IS_SAID,
    },
    Standing.ON_HOLD: {
        None: Does.IS_REFUSED,
        Status.TRIGGERED: Does.HOLDS,
        Status.ACKNOWLEDGED: Does.HOLDS,
        Status.RESOLVED: Does.IS_SAID,
    },
    Standing.RESOLVED: {
        None: Does.IS_REFUSED,
        Status.TRIGGERED: Does.RESOLVES,
        Status.ACKNOWLEDGED: Does.RESOLVES,
        Status.RESOLVED: Does.CHANGES_NOTHING,
    },
    Standing.CLOSED: {
        None: Does.IS_REFUSED,
        Status.TRIGGERED: Does.RESOLVES,
        Status.ACKNOWLEDGED: Does.RESOLVES,
        Status.RESOLVED: Does.CHANGES_NOTHING,
    },
}
"""What a ticket that has come to stand somewhere does to an incident of that status; None: there is none yet."""


class OnHold(StrEnum):
    """What putting a ticket on hold does to its incident."""

    SNOOZE = "snooze"
    ACKNOWLEDGE = "acknowledge"
    NOTHING = "nothing"


def ticket_id(dedup_key: str, installation: str = "") -> IncidentId:
    """The id of the incident that begins with the ticket of that key."""
    return incident_id(dedup_key, EPISODE_MS, installation)


def notification_of(ticket: Ticket, source: str) -> Notification:
    """What a ticket says, as an alert of its own would."""
    side = ticket.report.side
    annotations = {"description": ticket.description} if ticket.description else {}
    alert = Alert(
        fingerprint=ticket.locator,
        status=AlertStatus.FIRING,
        labels=ticket.report.labels,
        annotations=annotations,
        title=side.title,
        severity=side.severity,
        url=ticket.url,
    )
    return Notification(
        source=source,
        title=side.title or ticket.number,
        severity=side.severity or UNKNOWN_SEVERITY,
        alerts=(alert,),
        dedup_key=ticket.dedup_key,
        sender=ticket.sender,
        url=ticket.url,
        warnings=tuple(ticket.warnings),
    )


def begin(ticket: Ticket, notification: Notification, policy: Policy, now_ms: int, installation: str = "") -> Change:
    """The incident of a new ticket, which it shows from the start: nobody looks for it, or makes another."""
    target = ticket.report.target
    change = trigger(
        notification,
        policy,
        dedup_key=ticket.dedup_key,
        now_ms=now_ms,
        installation=installation,
        episode_ms=EPISODE_MS,
    )
    shown = Delivery(
        reference=ticket.reference,
        label=ticket.number,
        url=ticket.url,
        locator=ticket.locator,
        version=change.incident.version,
        synced_at_ms=now_ms,
    )
    incident = replace(
        change.incident,
        origin=target,
        sides={target: ticket.report.side},
        told=tuple(dict.fromkeys((*change.incident.told, target))),
        deliveries={target: shown},
    )
    return replace(change, incident=incident, timers={**change.timers, target: now_ms})


@dataclass(frozen=True, slots=True)
class Heard:
    """What a report is heard with."""

    report: Report
    by: Actor
    known: Side | None
    is_its_ticket: bool  # the incident began with it
    now_ms: int
    on_hold: OnHold
    policy_of: PolicyOf

    @property
    def side(self) -> Side:
        return self.report.side

    @property
    def was_over(self) -> bool:
        return self.known is not None and self.known.standing.is_over


def hear(
    incident: Incident,
    report: Report,
    now_ms: int,
    *,
    on_hold: OnHold = OnHold.SNOOZE,
    policy_of: PolicyOf = as_before,
    called: str = "",
) -> Change | None:
    """What somebody has done to the incident's ticket; None when it says nothing new.

    *called* is who did it where that is not known. A report that is late, or comes again, changes nothing, unless
    comparing has found that the record was set back. What was written here is seen, and is no news; where others wrote
    between, it hides what they did, and is not even seen.
    """
    named = _with_names(incident, report, now_ms)
    if named is not None:
        later = hear(
            named.incident, replace(report, people={}), now_ms, on_hold=on_hold, policy_of=policy_of, called=called
        )
        return named if later is None else named.then(later)
    known = incident.sides.get(report.target)
    side = report.side.after(known) or _set_back(report, known)
    if side is None:
        return None
    wrote = report.wrote | (_stood_before(incident, side) if known is None else frozenset())
    report = replace(report, side=side, wrote=wrote)
    if report.is_own and (known is None or report.side.revision > known.revision + 1):
        return None
    news = report.news_since(known)
    user = {system_of(report.target): report.user} if report.user else {}
    by, is_its_ticket = Actor(report.by or called, report.email, user), incident.origin == report.target
    heard = Heard(report, by, known, is_its_ticket, now_ms, on_hold, policy_of)
    sender = report.sender if is_its_ticket and report.sender is not None else incident.sender
    seen = replace(_relabelled(incident, report), sides={**incident.sides, report.target: report.side}, sender=sender)
    change = Change(seen, Outcome.IGNORED, {})
    undone = _undone(incident, heard)
    for names, step in _STEPS:
        is_news = names & (news - {"standing"} if undone else news)
        later = step(change.incident, heard) if is_news else None
        change = change.then(later) if later else change
    change = _said_at(report.target, incident, change)
    if undone:
        change = change.then(_to_say_again(change.incident, undone, now_ms))
    if report.is_repair and news:
        said = f"{called or report.target}: {in_words(news)}"
        change = replace(change, entries=(*change.entries, Entry(now_ms, Event.REPAIRED, said)))
    return change


def _undone(incident: Incident, heard: Heard) -> Entry | None:
    """The end that a person gave to the ticket and that we have undone, by a write that had begun before.

    Nothing there can be written on the condition that nobody else has: between reading and writing, people act.
    """
    is_ours = heard.report.is_own or "standing" in heard.report.wrote
    if incident.status is not Status.RESOLVED or not is_ours or not heard.was_over or heard.side.standing.is_over:
        return None
    end = incident.dealt_with_by
    is_said_there = end is not None and end.said_at == heard.report.target
    return end if end is not None and is_said_there and heard.now_ms < end.at_ms + ON_ITS_WAY_MS else None


def _to_say_again(incident: Incident, undone: Entry, now_ms: int) -> Change:
    """With *undone* as if it had been said here, so that the record is told of it."""
    news = tuple(replace(it, said_at="") if it is undone else it for it in incident.news)
    untold = replace(incident, news=news)
    return Change(untold, Outcome.IGNORED, record_timers(untold, now_ms))


def is_to_be_said_again(before: Incident, after: Incident) -> bool:
    """Whether hearing of the record has found since *before* that it is to be told of its end once more."""
    end = before.dealt_with_by
    return end is not None and end.said_at != "" and after.dealt_with_by == replace(end, said_at="")


def _set_back(report: Report, known: Side | None) -> Side | None:
    """The side of a record that has an earlier revision than it had, as after its instance was restored; else None.

    Only comparing finds that: it reads the record after *known* was there, while an event may just be late.
    """
    if known is None or not report.is_repair or report.since != known or report.side.revision >= known.revision:
        return None
    return replace(report.side, route=known.route) if report.side.is_route_unread else report.side


def _with_names(incident: Incident, report: Report, now_ms: int) -> Change | None:
    """Those by name who did something there and were known by their user names; None where that is nobody."""
    system, change = system_of(report.target), None
    for user, (name, email) in report.people.items():
        actor = Actor(name, email, {system: user})
        later = identify(incident if change is None else change.incident, actor, now_ms)
        change = later if change is None or later is None else change.then(later)
    return change


def _stood_before(incident: Incident, side: Side) -> frozenset[str]:
    """The standing, where the incident has stood so before its record was seen for the first time: we wrote that.

    So was a record of before it was kept in sync both ways, whose incident is not what it was then any more.
    """
    written = {Standing.IN_PROGRESS: Event.ACKNOWLEDGED, Standing.RESOLVED: Event.RESOLVED}
    written[Standing.CLOSED] = Event.RESOLVED  # which follows by itself, some days later
    has_stood_so = any(entry.event is written.get(side.standing) for entry in incident.news)
    return frozenset({"standing"}) if has_stood_so else frozenset()


def _relabelled(incident: Incident, report: Report) -> Incident:
    """What began with the ticket has the labels that this has now: later rounds match by them."""
    if incident.origin != report.target or not report.labels:
        return incident
    alerts = tuple(replace(it, labels=report.labels) for it in incident.alerts)
    return incident if alerts == incident.alerts else replace(incident, alerts=alerts)


def differences(incident: Incident, side: Side) -> tuple[str, ...]:
    """In what an incident and its ticket do not agree, for people; a ticket that goes on after its end was reopened."""
    is_over, was_reopened = incident.status is Status.RESOLVED, _was_reopened(incident)
    found = []
    if is_over and not side.standing.is_over and not was_reopened:
        found.append(f"resolved here, {side.standing} there")
    if not is_over and side.standing.is_over:
        found.append(f"{incident.status} here, {side.standing} there")
    return tuple(found)


def _was_reopened(incident: Incident) -> bool:
    since_ms = incident.resolved_at_ms or 0
    return any(it.event is Event.REOPENED_THERE and it.at_ms >= since_ms for it in incident.news)


def _stands(incident: Incident, heard: Heard) -> Change | None:
    does = LIFECYCLE[heard.side.standing][incident.status]
    match does:
        case Does.ACKNOWLEDGES:
            return acknowledge(incident, heard.by, heard.now_ms)
        case Does.HOLDS:
            return _held(incident, heard)
        case Does.RESOLVES:
            return _resolved(incident, heard)
        case Does.IS_SAID if heard.was_over:
            return _with_line(incident, heard, Event.REOPENED_THERE, f"{_label(incident, heard)} is {_now(heard)}")
        case Does.CHANGES_NOTHING if heard.side.standing is Standing.NEW:
            return _taken_off_hold(incident, heard)
        case _:
            return None


def _held(incident: Incident, heard: Heard) -> Change | None:
    held = _held_as_configured(incident, heard)
    said = f"{_label(incident, heard)} is {_now(heard)}"
    line = _with_line(held.incident if held else incident, heard, Event.ON_HOLD, said)
    return held.then(line) if held else line


def _held_as_configured(incident: Incident, heard: Heard) -> Change | None:
    """None where nobody waits: then it is only said."""
    if incident.status is Status.TRIGGERED and heard.on_hold is OnHold.ACKNOWLEDGE:
        return acknowledge(incident, heard.by, heard.now_ms)
    if incident.status is not Status.TRIGGERED or heard.on_hold is not OnHold.SNOOZE:
        return None
    return _snoozed(incident, heard.now_ms + ON_HOLD_MAX_MS, heard.by, heard)


def _snoozed(incident: Incident, until_ms: int, by: Actor, heard: Heard) -> Change | None:
    """Snoozed by the ticket, which may end that before."""
    held = snooze(incident, until_ms, by, heard.now_ms)
    if held is None or held.incident.snooze is None:
        return held
    by_record = replace(held.incident.snooze, record=heard.report.target)
    return replace(held, incident=replace(held.incident, snooze=by_record))


def _still_held(before: Incident, after: Incident, heard: Heard) -> Change | None:
    """What was snoozed by the ticket is so wherever it goes, and no longer than it was; None where it was not."""
    held = before.snooze
    if held is None or held.record != heard.report.target or heard.side.standing is not Standing.ON_HOLD:
        return None
    return _snoozed(after, held.until_ms, held.by, heard)


def _taken_off_hold(incident: Incident, heard: Heard) -> Change | None:
    """What was snoozed for as long as the ticket is on hold is triggered again."""
    if incident.snooze is None or incident.snooze.record != heard.report.target:
        return None
    news = (Entry(heard.now_ms, Event.RETRIGGERED, f"{_label(incident, heard)} is {_now(heard)}", heard.by),)
    return begin_anew(incident, news, heard.now_ms, heard.policy_of)


def _resolved(incident: Incident, heard: Heard) -> Change | None:
    """What began with the ticket ends with it; of an incident of alerts, the thread is told what still fires."""
    before = replace(incident, alerts=ended(incident.alerts, heard.now_ms)) if heard.is_its_ticket else incident
    change = resolve(before, heard.by, heard.now_ms, heard.report.comment)
    if change is None or not before.firing:
        return change
    still = f"{names_of(list(before.firing), before.alerts)}: the next notification reopens the incident"
    entry = Entry(heard.now_ms, Event.STILL_FIRING, still)  # that is so by itself
    told = change.then(tell(change.incident, change.incident, (entry,), heard.now_ms))
    return replace(told, outcome=change.outcome)


def _graver(incident: Incident, heard: Heard) -> Change | None:
    """Its severity is another one. Of its own ticket, the priority says how long the wait is, and whether it escalates.

    What is less grave goes on as it has begun, unless it does not escalate at all. Where both sides have raised it, the
    graver one stays.
    """
    if not heard.side.severity or _is_raised_less(incident, heard):
        return None
    to, asked = heard.report.asked, incident.policy.asked
    if heard.is_its_ticket and to is not None and asked is not None:
        asked = replace(asked, wait_ms=to.wait_ms, escalates=to.escalates)
        incident = replace(incident, policy=replace(incident.policy, asked=asked))
        if to.escalates is False:
            incident = no_more_than(incident, heard.policy_of(incident, heard.now_ms))
    return set_severity(incident, heard.side.severity, heard.by, heard.now_ms, heard.policy_of)


def _due_otherwise(incident: Incident, heard: Heard) -> Change | None:
    """Its priority is another one of the same severity, which asks for another wait, or does not escalate.

    A shorter wait brings the escalation forward. A longer one changes none that has begun: people go by what they were
    told. Those who have acknowledged it go on.
    """
    known, to, asked = heard.known, heard.report.asked, incident.policy.asked
    if known is None or known.severity != heard.side.severity or incident.status is Status.RESOLVED:
        return None  # what is of another severity is heard with that
    if not heard.is_its_ticket or to is None or asked is None:
        return None
    after = replace(asked, wait_ms=to.wait_ms, escalates=to.escalates)
    if after == asked:
        return None
    changed = replace(incident, policy=replace(incident.policy, asked=after))
    policy = heard.policy_of(changed, heard.now_ms)
    if to.escalates is False:
        changed, effect = no_more_than(changed, policy), "it does not escalate any more"
    else:
        changed, effect = follow_sooner(changed, policy, heard.now_ms, is_graver=True), "it escalates sooner"
    said = f"priority {known.priority} → {heard.side.priority}, {effect}"
    is_other = changed.escalates_at_ms != incident.escalates_at_ms
    news = (Entry(heard.now_ms, Event.RESCHEDULED, said, heard.by),) if is_other else ()
    return tell(incident, changed, news, heard.now_ms)


def _is_raised_less(incident: Incident, heard: Heard) -> bool:
    """Whether it was raised there, and further here meanwhile."""
    there, before = heard.side.severity, heard.known.severity if heard.known is not None else ""
    return bool(before) and is_graver(there, before) and is_graver(incident.severity, there)


def _routed(incident: Incident, heard: Heard) -> Change | None:
    """Others deal with it: its escalation starts again.

    A key that leads nowhere in particular leads a ticket by default. What came from alerts stays where these have it.
    """
    to = heard.report.asked or Asked()
    leads = bool(to.policy or to.destinations or to.notify or to.mention)
    if incident.status is Status.RESOLVED or not (leads or heard.is_its_ticket):
        return None
    before = incident.policy.asked or Asked()
    asked = replace(
        before,
        policy=to.policy,
        destinations=to.destinations,
        notify=to.notify,
        mention=to.mention,
        wait_ms=to.wait_ms,
    )
    if asked == before:
        return None
    said = heard.report.routed or BY_DEFAULT
    change = rerouted(incident, asked, said, heard.by, heard.now_ms, heard.policy_of)
    held = _still_held(incident, change.incident, heard)
    return change if held is None else change.then(replace(held, entries=()))  # its timeline has the snooze


def _assigned(incident: Incident, heard: Heard) -> Change | None:
    """Ids of the system mean nothing to people: who is not told by name is somebody."""
    if incident.status is Status.RESOLVED:
        return None
    side, known = heard.side, heard.known
    name = heard.report.assignee or heard.report.assignee_email
    is_another_group = side.group and (known is None or side.group != known.group)
    group = heard.report.group or ("another group" if is_another_group else "")
    said = ", ".join(it for it in (name or (side.assignee and "somebody"), group) if it) or "nobody"
    is_new = known is None or side.assignee != known.assignee
    whom = Actor(name, heard.report.assignee_email) if name and is_new else None
    return _with_line(incident, heard, Event.ASSIGNED, f"to {said}", whom)


def _retitled(incident: Incident, heard: Heard) -> Change | None:
    if not heard.is_its_ticket or not heard.side.title:
        return None
    return correct(incident, heard.side.title, "", heard.now_ms)


_STEPS = (
    ({"title"}, _retitled),
    ({"severity"}, _graver),
    ({"priority"}, _due_otherwise),
    ({"route"}, _routed),
    ({"group", "assignee"}, _assigned),
    ({"standing"}, _stands),
)
"""What is done about fields of `Side` that have changed: the end comes last."""


def _with_line(incident: Incident, heard: Heard, event: Event, said: str, whom: Actor | None = None) -> Change:
    return tell(incident, incident, (Entry(heard.now_ms, event, said, heard.by, whom=whom),), heard.now_ms)


def _label(incident: Incident, heard: Heard) -> str:
    return incident.delivery(heard.report.target).label or "its record"


def _now(heard: Heard) -> str:
    return f"{heard.side.standing} now"


def _said_at(target: str, before: Incident, change: Change) -> Change:
    """What is new was said there, in the news and in the timeline."""
    after = change.incident
    known = max(0, len(after.news) - (after.news_count - before.news_count))
    said, entries = ([replace(it, said_at=target) for it in new] for new in (after.news[known:], change.entries))
    return replace(change, incident=replace(after, news=(*after.news[:known], *said)), entries=tuple(entries))
