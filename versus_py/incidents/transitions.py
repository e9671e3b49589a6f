"""What may happen to incidents. Pure: no I/O, no clock.

Every transition is a function `(incident, what happened, now) -> Change`: the incident as it is then, the timers
to arm, and what the timeline will say. It returns None when nothing changes. Saving a change, and deciding again
when another replica was faster, is `lifecycle`'s job.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from msgspec import Struct

from versus_py.incidents.copies import replace
from versus_py.incidents.listings import ended, merged, seen
from versus_py.incidents.model import (
    Actor,
    Alert,
    Ending,
    Entry,
    Event,
    Incident,
    Notification,
    Outcome,
    SenderRequest,
    Snooze,
    Status,
    Suppression,
    incident_id,
)
from versus_py.incidents.policies import Policy
from versus_py.incidents.rounds import (
    PolicyOf,
    as_before,
    at_next_round,
    begun,
    is_lost,
    opened,
    sooner,
    step_of,
    with_round,
)
from versus_py.incidents.severity import is_graver
from versus_py.incidents.timers import (
    all_timers,
    channel_timers,
    due_timers,
    fallback_timer,
    known_by_ms,
    record_timers,
    sooner_timers,
    timers_after_the_wait,
    timers_of_update,
    told_timers,
    watch_timer,
)
from versus_py.incidents.updates import (
    MAX_WARNINGS,
    bounded,
    counted,
    has_other_senders,
    joined_and_left,
    names_of,
    receiver_of,
    severity_of,
    url_of,
    warnings_after,
    why_not_over,
    with_content,
    with_severity,
)

MAX_ALIASES = 50
"""The most further dedup keys that name one incident."""

SHOW_ESCALATING_AFTER_MS = 2000
"""Channels show that an escalation has begun this much later: mostly its record is there sooner, and shown at once."""

MAX_NEWS = 20
"""The most news kept with one incident; a target that missed older ones shows what they came to."""

MAX_HANDLED = 20
"""The most requests of which an incident knows that they were applied."""

COMMENT_MAX = 1000
"""The most characters of a comment that are kept: a sender's, and a person's on a resolve."""

COMMENT_REPEATED_MS = 5 * 60_000
"""The same comment once more within this time is a request that was sent again."""


_ROSE = "the severity rose"


class Change(Struct, frozen=True):
    """What to write: the incident as it is now, the timers to arm, and what the timeline says."""

    incident: Incident
    outcome: Outcome
    timers: Mapping[str, int | None]  # target -> when its sync is due, ms; None: it is not
    entries: tuple[Entry, ...] = ()
    before: Incident | None = None  # what was there, as it is stored; None for a new incident
    payload: str = ""  # the body that it comes of, packed, to be kept with it; "" keeps the one that is there
    is_renewal: bool = False  # it only restarts a timer: nobody is told, and who asked for it changed nothing

    def then(self, later: "Change") -> "Change":
        """Both as one, *later* having been decided on this one's incident."""
        timers = {**self.timers, **later.timers}
        entries = (*self.entries, *later.entries)
        return replace(later, timers=timers, entries=entries, before=self.before, payload=later.payload or self.payload)


def episode_start_ms(notification: Notification) -> int | None:
    """When the first of what fires began; None where no alert says."""
    starts = [alert.starts_at_ms for alert in notification.alerts if alert.is_firing and alert.starts_at_ms is not None]
    return min(starts, default=None)


def trigger(
    notification: Notification,
    policy: Policy,
    *,
    dedup_key: str,
    now_ms: int,
    installation: str = "",
    episode_ms: int | None = None,
) -> Change:
    """A new incident. *episode_ms* is part of its id; without it, when the first of what fires began is."""
    start_ms = episode_start_ms(notification) if episode_ms is None else episode_ms
    incident = Incident(
        id=incident_id(dedup_key, now_ms if start_ms is None else start_ms, installation),
        dedup_key=dedup_key,
        source=notification.source,
        title=notification.title,
        severity=notification.severity,
        alerts=bounded(merged((), notification, now_ms)),
        policy=policy,
        created_at_ms=now_ms,
        updated_at_ms=now_ms,
        waiting_since_ms=now_ms,
        truncated_alerts=notification.truncated_alerts,
        receiver=notification.receiver,
        sender=notification.sender,
        namespace=notification.namespace,
        url=notification.url,
        warnings=notification.warnings[:MAX_WARNINGS],
        version=1,
    )
    incident = _seen_if_told(with_round(incident, policy, now_ms))
    entries = [Entry(now_ms, Event.TRIGGERED, f"{counted(len(incident.firing), 'alert')} from {incident.source}")]
    entries += [Entry(now_ms, Event.WARNING, warning) for warning in incident.warnings]
    entries += _at_once_entries(incident, now_ms)
    return Change(incident, Outcome.CREATED, all_timers(incident, now_ms), tuple(entries))


def observe(
    incident: Incident,
    notification: Notification,
    now_ms: int,
    policy: Policy | None = None,
    policy_of: PolicyOf = as_before,
) -> Change | None:
    """A further notification about a known incident: an update, a resolve, a reopening, or news that begins a wait.

    *policy* is the one that it would give an incident of its own; None: the same.
    """
    awake = end_snooze(incident, now_ms)
    if awake is not None:  # no channel has to show that, so that nobody looked
        later = observe(awake.incident, notification, now_ms, policy, policy_of)
        return None if later is None else awake.then(later)
    seen_at_ms = incident.acknowledged_at_ms or incident.escalation_began_at_ms
    alerts = bounded(merged(incident.alerts, notification, now_ms, seen_at_ms=seen_at_ms))
    fires = any(alert.is_firing for alert in alerts)
    if notification.is_firing:
        if not fires:
            return None  # older news than what is known
        if incident.status is Status.RESOLVED:
            return _reopen(incident, notification, alerts, now_ms, policy, policy_of)
        return _update(incident, notification, alerts, now_ms, policy, policy_of)
    if incident.status is Status.RESOLVED:  # what is over must not fire on, should it reopen
        return None if alerts is incident.alerts else Change(replace(incident, alerts=alerts), Outcome.IGNORED, {})
    if notification.truncated_alerts or fires:
        return _update(incident, notification, alerts, now_ms, warning=why_not_over(notification, alerts))
    return _resolved(replace(incident, alerts=alerts), by=Actor(notification.source), now_ms=now_ms)


def acknowledge(incident: Incident, by: Actor, now_ms: int) -> Change | None:
    """A person takes it. The first name stands; None when it was resolved before, or acknowledged for ever.

    Where acknowledgments end, a further one has it last longer.
    """
    if incident.status is Status.ACKNOWLEDGED:
        return _renewed(incident, now_ms, Entry(now_ms, Event.ACK_RENEWED, by=by), now_ms)
    if incident.status is not Status.TRIGGERED:
        return None
    news = (Entry(now_ms, Event.ACKNOWLEDGED, by=by),)
    acknowledged = _with_news(
        replace(
            _seen(incident),
            status=Status.ACKNOWLEDGED,
            acknowledged_at_ms=now_ms,
            acknowledged_by=by,
            ack_renewed_at_ms=None,
            snooze=None,
            updated_at_ms=now_ms,
        ),
        news,
    )
    return Change(acknowledged, Outcome.UPDATED, timers_after_the_wait(acknowledged, by, now_ms), news)


def fulfil(incident: Incident, asked: SenderRequest, by: Actor, now_ms: int) -> Change | None:
    """What a sender asks for; None when nothing changes by it. What is resolved takes comments only."""
    steps: list[Callable[[Incident], Change | None]] = []
    if asked.comment:
        steps.append(lambda it: comment(it, asked.comment, by, now_ms))
    if asked.title or asked.description:
        steps.append(lambda it: correct(it, asked.title, asked.description, now_ms))
    if asked.acknowledges:
        steps.append(lambda it: acknowledge(it, by, now_ms))
    change: Change | None = None
    for step in steps:
        later = step(change.incident if change else incident)
        change = change.then(later) if change and later else later or change
    return change


def comment(
    incident: Incident, text: str, by: Actor, now_ms: int, *, said_at: str = "", locator: str = ""
) -> Change | None:
    """Somebody says something about it, which has an acknowledgment that ends last longer.

    *said_at* is the target where it was written, *locator* that of its side. None when it is what was said a moment
    ago.
    """
    text = text if len(text) <= COMMENT_MAX else f"{text[: COMMENT_MAX - 1]}…"
    entry = Entry(now_ms, Event.COMMENTED, text, by, said_at, locator)
    if any(replace(it, at_ms=now_ms) == entry and it.at_ms + COMMENT_REPEATED_MS > now_ms for it in incident.news):
        return None
    renewed_ms = incident.ack_renewed_at_ms if incident.ack_ends_at_ms is None else now_ms
    told_ms = known_by_ms(by, now_ms)
    return tell(incident, replace(incident, ack_renewed_at_ms=renewed_ms), (entry,), now_ms, told_ms=told_ms)


def tell(
    before: Incident, after: Incident, news: tuple[Entry, ...], now_ms: int, *, told_ms: int | None = None
) -> Change:
    """*after* with *news*, of which all hear who may show it, at *told_ms* where that is not now.

    With the timers of its policy, if that is another.
    """
    told = _with_news(replace(after, updated_at_ms=now_ms), news)
    timers = watch_timer(told, now_ms) if told.ack_ends_at_ms != before.ack_ends_at_ms else {}
    timers |= told_timers(told, now_ms if told_ms is None else told_ms)
    if told.policy != before.policy:
        timers |= all_timers(told, now_ms)
    return Change(told, Outcome.UPDATED, timers, (*news, *_sooner_entries(before, told, now_ms)))


def begin_anew(incident: Incident, news: tuple[Entry, ...], now_ms: int, policy_of: PolicyOf) -> Change:
    """Triggered as *news* say, with a whole round before it."""
    waiting = _with_news(_waiting_anew(incident, now_ms, policy_of), news)
    entries = (*news, *_at_once_entries(waiting, now_ms))
    return Change(waiting, Outcome.UPDATED, all_timers(waiting, now_ms), entries)


def correct(incident: Incident, title: str, description: str, now_ms: int) -> Change | None:
    """It is called, or described, in other words; "" leaves them. None when it is so already, or resolved."""
    if incident.status is Status.RESOLVED:
        return None
    alerts = tuple(_described(it, title, description) for it in incident.alerts)
    corrected = replace(incident, title=title or incident.title, alerts=alerts)
    if corrected == incident:
        return None
    corrected = with_content(incident, replace(corrected, updated_at_ms=now_ms))
    return Change(corrected, Outcome.UPDATED, told_timers(corrected, now_ms))


def _described(alert: Alert, title: str, description: str) -> Alert:
    texts = {**alert.annotations, "description": description} if description else alert.annotations
    return replace(alert, title=title or alert.title, annotations=texts)


def _renewed(incident: Incident, at_ms: int, entry: Entry, now_ms: int) -> Change | None:
    """Somebody is still at it, as of *at_ms*; None where the acknowledgment does not end."""
    if incident.ack_ends_at_ms is None:
        return None
    renewed = replace(incident, ack_renewed_at_ms=max(at_ms, incident.ack_renewed_at_ms or 0))
    timers = channel_timers(renewed, now_ms) | watch_timer(renewed, now_ms)
    return Change(renewed, Outcome.UPDATED, timers, (entry,), is_renewal=True)


def end_acknowledgment(incident: Incident, now_ms: int, policy_of: PolicyOf = as_before) -> Change | None:
    """It was acknowledged, still fires, and nobody was seen to be at it for too long: the wait starts again.

    None when there is no acknowledgment that has ended by now.
    """
    ends_at_ms = incident.ack_ends_at_ms
    if ends_at_ms is None or ends_at_ms > now_ms:
        return None
    said = f"acknowledged by {incident.acknowledged_by} at {_utc(incident.acknowledged_at_ms or now_ms)}"
    news = (Entry(now_ms, Event.ACK_ENDED, f"{said}, and it still fires"),)
    return begin_anew(incident, news, now_ms, policy_of)


def unacknowledge(incident: Incident, by: Actor, now_ms: int, policy_of: PolicyOf = as_before) -> Change | None:
    """A person gives it back: the wait starts again. None when it is not acknowledged."""
    if incident.status is not Status.ACKNOWLEDGED:
        return None
    news = (Entry(now_ms, Event.UNACKNOWLEDGED, by=by),)
    return begin_anew(incident, news, now_ms, policy_of)


def resolve(incident: Incident, by: Actor, now_ms: int, comment: str = "") -> Change | None:
    """A person says that it is over, and perhaps why; None when it was resolved before."""
    if incident.status is Status.RESOLVED:
        return None
    return _resolved(incident, by=by, now_ms=now_ms, comment=comment)


def escalate(incident: Incident, by: Actor, now_ms: int, policy_of: PolicyOf = as_before) -> Change | None:
    """A person wants the next step to be told now, whoever has acknowledged.

    An escalation that was given up is tried once more. None when there is no step beside the first, it is resolved,
    the last step is being told, or was, and what it was told as is not over yet.
    """
    if not may_escalate(incident):
        return None
    news = (Entry(now_ms, Event.ESCALATING, by=by),)
    if not incident.is_waiting and incident.ending is not Ending.FAILED:
        incident = _where_it_was(incident, _waiting_anew(incident, now_ms, policy_of))
    elif not incident.is_waiting:  # the last step was given up
        incident = replace(incident, next_step=incident.next_step - 1, escalates_at_ms=now_ms)
    incident = replace(opened(_seen(incident), now_ms), suppression=None, snooze=None, updated_at_ms=now_ms)
    incident = at_next_round(incident, policy_of, now_ms)
    escalating = begun(incident, now_ms, now_ms) if incident.is_waiting else incident
    timers = all_timers(escalating, now_ms) | fallback_timer(escalating)
    return Change(_with_news(escalating, news), Outcome.UPDATED, timers, news)


def _where_it_was(acknowledged: Incident, anew: Incident) -> Incident:
    """What was acknowledged in the middle of a round goes on there: who was told then is not told first again."""
    was_in_the_middle = 0 < acknowledged.next_step < acknowledged.policy.count
    is_the_same = (anew.policy.name, anew.policy.steps) == (acknowledged.policy.name, acknowledged.policy.steps)
    if acknowledged.status is not Status.ACKNOWLEDGED or not was_in_the_middle or not is_the_same:
        return anew
    return replace(anew, next_step=acknowledged.next_step, calls=acknowledged.calls)


def may_escalate(incident: Incident) -> bool:
    """Whether somebody's word would have the next step told."""
    if incident.policy.count <= 1 or incident.status is Status.RESOLVED:
        return False
    if incident.is_waiting:
        return True
    if incident.has_open_record:
        return False
    has_begun = incident.status is Status.TRIGGERED and incident.is_escalating and incident.ending is not Ending.FAILED
    return not has_begun or incident.record.is_over is True


def retry(
    incident: Incident, by: Actor, now_ms: int, *, target: str = "", name_of: Callable[[str], str] = str
) -> Change | None:
    """A person wants what was given up to be tried again, as if for the first time; None when nothing was.

    That is every target, or the one *target*. What refuses our credentials has its timers: that they are due sooner is
    up to the caller. *name_of* tells what people call a target.
    """
    given_up, refused = (
        tuple(it for it in targets if target in {"", it}) for targets in (incident.given_up, incident.refused)
    )
    if not given_up and not refused:
        return None
    failures = {target: incident.delivery(target).failed_at_ms or now_ms for target in given_up}
    retried = replace(incident, retried={**incident.retried, **failures}, updated_at_ms=now_ms)
    retried = retried.with_deliveries(incident.deliveries)
    timers: dict[str, int | None] = dict.fromkeys(given_up, now_ms)
    if set(incident.providers) & set(given_up):
        timers |= channel_timers(retried, now_ms)
    timers |= {target: retried.due_ms(target) or now_ms for target in given_up if not retried.is_called(target)}
    entries = tuple(Entry(now_ms, Event.RETRY, name_of(target), by) for target in (*given_up, *refused))
    return Change(retried, Outcome.UPDATED, timers, entries)


def give_up(incident: Incident, target: str, what: str, now_ms: int, event: Event = Event.GIVEN_UP) -> Change | None:
    """A target is not tried any more, or for minutes; *what* says which one, and why. The record is told.

    Where the latest step can be told nowhere any more, nobody can acknowledge: the next one is due, unless the policy
    has it wait. None when that is known.
    """
    is_known = any(
        it.event is event and it.detail == what and it.at_ms >= incident.waiting_since_ms for it in incident.news
    )
    told = incident if is_known else _with_news(incident, (Entry(now_ms, event, what),))
    timers: dict[str, int | None] = {}
    entries: tuple[Entry, ...] = ()
    if not is_known:
        timers |= record_timers(incident, now_ms)
    if is_lost(incident, but=target) and incident.snooze is None and _waits_longer(incident, now_ms):
        told = replace(told, escalates_at_ms=now_ms, updated_at_ms=now_ms)
        timers |= due_timers(told) | sooner_timers(incident, told, now_ms) | dict.fromkeys(told.next_targets, now_ms)
        entries = (Entry(now_ms, Event.WAIT_ENDED, "it cannot be told anywhere, so nobody can acknowledge"),)
    return None if told is incident else Change(told, Outcome.UPDATED, timers, entries)


def snooze(incident: Incident, until_ms: int, by: Actor, now_ms: int) -> Change | None:
    """A person wants to be left alone until then; what is left of the wait goes on afterwards.

    A later one counts from now, whatever an earlier one said. What is acknowledged stays so until then at least. None
    when nothing waits, or *until_ms* is over.
    """
    if incident.ack_ends_at_ms is not None and until_ms > now_ms:
        entry = Entry(now_ms, Event.SNOOZED, f"until {_utc(until_ms)}", by)
        renewed_ms = max(now_ms, until_ms - incident.policy.ack_timeout_ms)
        change = _renewed(incident, renewed_ms, entry, now_ms)
        ends_at_ms = until_ms if change is None else change.incident.ack_ends_at_ms or until_ms
        if change is None or incident.ack_ends_at_ms == ends_at_ms < until_ms:  # it lasts as long as it may
            return None
        entry = replace(entry, detail=f"until {_utc(min(until_ms, ends_at_ms))}")
        return replace(change, entries=(entry,), is_renewal=False)
    if not incident.is_waiting or incident.escalates_at_ms is None or until_ms <= now_ms:
        return None
    opens_ms = (incident.policy.opens_at_ms or 0) if incident.is_held else 0  # the wait does not go on before that
    wait_goes_on_ms = max(now_ms, opens_ms, 0 if incident.snooze is None else incident.snooze.until_ms)
    due_ms = max(until_ms, opens_ms) + max(0, incident.escalates_at_ms - wait_goes_on_ms)
    snoozed = replace(
        _seen(incident),
        snooze=Snooze(until_ms, by),
        suppression=None,
        escalates_at_ms=due_ms,
        updated_at_ms=now_ms,
    )
    entry = Entry(now_ms, Event.SNOOZED, f"until {_utc(until_ms)}", by)
    return Change(snoozed, Outcome.UPDATED, all_timers(snoozed, now_ms), (entry,))


def end_snooze(incident: Incident, now_ms: int) -> Change | None:
    """Takes back a snooze whose time is over; None without one."""
    if incident.snooze is None or incident.snooze.until_ms > now_ms:
        return None
    news = (Entry(now_ms, Event.SNOOZE_OVER),)
    awake = _with_news(replace(incident, snooze=None, updated_at_ms=now_ms), news)
    return Change(awake, Outcome.UPDATED, channel_timers(awake, now_ms), news)


def identify(incident: Incident, actor: Actor, now_ms: int) -> Change | None:
    """Who did something is known by name now; None when that says nothing new."""

    def known(by: Actor | None) -> Actor | None:
        return actor if by is not None and by.is_same(actor) else by

    identified = replace(
        incident,
        acknowledged_by=known(incident.acknowledged_by),
        resolved_by=known(incident.resolved_by),
        snooze=incident.snooze and replace(incident.snooze, by=known(incident.snooze.by) or actor),
        news=tuple(replace(entry, by=known(entry.by)) for entry in incident.news),
    )
    if not actor.ids or identified == incident:
        return None
    entry = Entry(now_ms, Event.IDENTIFIED, f"{', '.join(actor.ids.values())} is {actor}")
    return Change(identified, Outcome.UPDATED, told_timers(identified, now_ms), (entry,))


def once(change: Change | None, request_id: str) -> Change | None:
    """*change* as the effect of that request, which has no other; `handled` says whether it had it."""
    if change is None or not request_id or change.is_renewal:
        return change
    incident = change.incident
    handled = (*incident.handled, request_id)[-MAX_HANDLED:]
    return replace(change, incident=replace(incident, handled=handled))


def begin_step(incident: Incident, now_ms: int, policy_of: PolicyOf = as_before) -> Change | None:
    """The time of a step has come and nobody acknowledged. Saved before its targets are called.

    An acknowledgment saved before this one wins, and they are never called; one saved after it is told that the
    escalation had begun. Steps that are due by now follow at once. None when there is nothing to begin.
    """
    if not incident.is_due(now_ms):
        return None
    entries: list[Entry] = []
    due_ms = _was_due_at(incident, now_ms)
    after = replace(_seen(incident), suppression=None, snooze=None, escalates_at_ms=due_ms)
    while after.is_due(now_ms):
        after = at_next_round(after, policy_of, now_ms)
        if after.escalates_at_ms is not None:
            was_held = after.is_held
            after = begun(after, after.escalates_at_ms, now_ms)
            entries.append(_begin_entry(after, now_ms, was_held=was_held))
    shown_ms = now_ms if incident.is_held else now_ms + SHOW_ESCALATING_AFTER_MS
    called = [target for target, call in after.calls.items() if call != incident.calls.get(target)]
    timers = channel_timers(after, shown_ms) | due_timers(after) | sooner_timers(incident, after, now_ms)
    timers |= dict.fromkeys(called, now_ms)
    return Change(after, Outcome.UPDATED, timers | fallback_timer(after), tuple(entries))


def _begin_entry(incident: Incident, now_ms: int, *, was_held: bool) -> Entry:
    """For the timeline: why the step begins."""
    if was_held:
        return Entry(now_ms, Event.HOLD_ENDED, "its hours have begun")
    waited_s = (now_ms - incident.waiting_since_ms) // 1000
    said = f"not acknowledged for {waited_s} s" if incident.policy.wait_ms else "without a wait"
    return _escalating(incident, said, now_ms)


def _at_once_entries(incident: Incident, now_ms: int) -> tuple[Entry, ...]:
    """For the timeline, of a round that begins: that it is held, or that its first step calls on-call providers."""
    at_once = (_escalating(incident, "without a wait", now_ms),) if incident.is_escalating else ()
    return (*_hold_entries(incident, now_ms), *at_once)


def _sooner_entries(before: Incident, after: Incident, now_ms: int) -> tuple[Entry, ...]:
    """The same, where it follows another policy from now on, if that has called somebody by it."""
    return () if after.escalations.keys() <= before.escalations.keys() else _at_once_entries(after, now_ms)


def _escalating(incident: Incident, why: str, now_ms: int) -> Entry:
    """With its step, where the policy has a name."""
    return Entry(now_ms, Event.ESCALATING, f"{step_of(incident)}: {why}" if incident.policy.name else why)


def _hold_entries(incident: Incident, now_ms: int) -> tuple[Entry, ...]:
    """For the timeline, where nobody is told before the hours of the policy begin."""
    if not incident.is_held:
        return ()
    return (Entry(now_ms, Event.HELD, f"until {_utc(incident.escalates_at_ms or now_ms)}"),)


def _was_due_at(incident: Incident, now_ms: int) -> int | None:
    """When the escalation that begins now should have begun: what was silenced until a moment ago is not late."""
    if incident.suppression is None:
        return incident.escalates_at_ms
    until_ms = incident.suppression.until_ms
    return now_ms if until_ms is None else min(until_ms, now_ms)


def end_quietly(incident: Incident, asked: Incident, by: Actor, now_ms: int) -> Change | None:
    """The wait is over, or it may be over anyway, and *by* says that nothing of it fires any more.

    None when that was said of something else: it changed since the incident was read as *asked*.
    """
    if not (incident.is_due(now_ms) or incident.may_be_over) or not incident.is_as(asked):
        return None
    return _resolved(replace(incident, alerts=ended(incident.alerts, now_ms)), by=by, now_ms=now_ms)


def suppress(incident: Incident, asked: Incident, by: str, until_ms: int | None, now_ms: int) -> Change | None:
    """The wait is over, but all that fires is silenced or inhibited: nobody is called as long as that is so.

    None when that is known, or was said of something else than what is due now.
    """
    known = incident.suppression
    is_due = incident.is_due(now_ms) and incident.is_as(asked)
    if not is_due or (known is not None and (known.by, known.until_ms) == (by, until_ms)):
        return None
    suppressed = replace(incident, suppression=Suppression(now_ms, by, until_ms), updated_at_ms=now_ms)
    entry = Entry(now_ms, Event.SUPPRESSED, by)
    return Change(suppressed, Outcome.UPDATED, channel_timers(suppressed, now_ms), (entry,))


def _waits_longer(incident: Incident, now_ms: int) -> bool:
    due_ms = incident.escalates_at_ms
    return incident.status is Status.TRIGGERED and due_ms is not None and due_ms > now_ms


def named(incident: Incident, alias: str) -> Incident:
    """It has a further dedup key from now on."""
    if alias == incident.dedup_key or alias in incident.aliases:
        return incident
    return replace(incident, aliases=(*incident.aliases, alias)[-MAX_ALIASES:])


def notice_news(incident: Incident, now_ms: int, policy_of: PolicyOf = as_before) -> Change | None:
    """Begins a wait when the incident, though people know of it, fires for a reason that they do not know.

    Of a record that is over nobody may have known when the reason came. None when there is no such news.
    """
    why = _news_behind(incident)
    return _retriggered(incident, why, now_ms, policy_of) if why else None


def _news_behind(incident: Incident) -> str:
    """What people who dealt with the incident do not know, and have to; "" when that is nothing."""
    # What is not listed any more may be over: it must not hide what is listed.
    firing = [alert for alert in incident.firing if alert.unlisted_since_ms is None]
    if incident.status is Status.RESOLVED or not incident.is_dealt_with or not firing:
        return ""
    unseen = [alert for alert in firing if not alert.is_seen]
    if len(unseen) == len(firing):
        return f"what was known is over, and this fires: {names_of(unseen, incident.alerts)}"
    has_escalated = incident.is_escalating and not incident.is_waiting and incident.status is Status.TRIGGERED
    if not has_escalated and is_graver(incident.severity, incident.seen_severity):
        return f"{_ROSE} from {incident.seen_severity} to {incident.severity}"
    has_record = incident.status is Status.ACKNOWLEDGED or incident.ending is Ending.ESCALATED
    if unseen and has_record and incident.record.is_over is True:
        return f"{incident.record.label} is over, and this fires: {names_of(unseen, incident.alerts)}"
    return ""


def _retriggered(incident: Incident, why: str, now_ms: int, policy_of: PolicyOf) -> Change:
    news = (Entry(now_ms, Event.RETRIGGERED, why),)
    return replace(begin_anew(incident, news, now_ms, policy_of), outcome=Outcome.REOPENED)


def _update(
    incident: Incident,
    notification: Notification,
    alerts: tuple[Alert, ...],
    now_ms: int,
    policy: Policy | None = None,
    policy_of: PolicyOf = as_before,
    *,
    warning: str = "",
) -> Change:
    entries = (Entry(now_ms, Event.WARNING, warning),) if warning and warning not in incident.warnings else ()
    updated = replace(
        incident,
        title=notification.title if notification.is_firing else incident.title,
        url=url_of(incident, notification, alerts),
        alerts=alerts,
        truncated_alerts=notification.truncated_alerts,
        occurrences=incident.occurrences + 1,
        receiver=receiver_of(incident, notification),
        has_other_senders=has_other_senders(incident, notification),
        warnings=warnings_after(incident, alerts, warning),
        updated_at_ms=now_ms,
    )
    updated = with_content(incident, with_severity(updated, severity_of(incident, notification, alerts)))
    news = joined_and_left(incident, updated, now_ms)
    is_graver_now = is_graver(updated.severity, incident.severity)
    why = _news_behind(updated)
    if is_graver_now and why:
        why = why if why.startswith(_ROSE) else f"{why}; {_ROSE} from {incident.severity} to {updated.severity}"
    elif is_graver_now:
        news = (*news, Entry(now_ms, Event.SEVERITY_RAISED, f"{incident.severity} → {updated.severity}"))
    updated = _with_news(updated, news)
    if policy is not None and (is_graver_now or any(entry.event is Event.JOINED for entry in news)):
        updated = follow_sooner(updated, _as_said(updated, policy, now_ms, policy_of), now_ms, is_graver=is_graver_now)
    change = Change(updated, Outcome.UPDATED, timers_of_update(incident, updated, news, notification, now_ms))
    change = replace(change, entries=(*news, *_sooner_entries(incident, updated, now_ms), *entries))
    return change.then(_retriggered(updated, why, now_ms, policy_of)) if why else change


def _seen(incident: Incident) -> Incident:
    """People know of all that is in it."""
    return replace(incident, alerts=seen(incident.alerts), seen_severity=incident.severity)


def _seen_if_told(incident: Incident) -> Incident:
    """People know of all that is in it where a first step called on-call providers, and nothing is to come."""
    return _seen(incident) if incident.is_escalating and not incident.is_waiting else incident


def follow_sooner(incident: Incident, policy: Policy, now_ms: int, *, is_graver: bool) -> Incident:
    """By *policy* from now on, where that tells somebody sooner."""
    after = sooner(incident, policy, now_ms, is_graver=is_graver)
    return after if after.calls == incident.calls else _seen_if_told(after)


def _with_news(incident: Incident, news: tuple[Entry, ...]) -> Incident:
    kept = (*incident.news, *news)[-MAX_NEWS:]
    return replace(incident, news=kept, news_count=incident.news_count + len(news))


def _resolved(incident: Incident, *, by: Actor, now_ms: int, comment: str = "") -> Change:
    news = (Entry(now_ms, Event.RESOLVED, comment, by=by),)
    resolved = _with_news(
        replace(
            incident,
            status=Status.RESOLVED,
            resolved_at_ms=now_ms,
            resolved_by=by,
            snooze=None,
            warnings=warnings_after(incident, ()),
            updated_at_ms=now_ms,
        ),
        news,
    )
    return Change(resolved, Outcome.RESOLVED, timers_after_the_wait(resolved, by, now_ms), news)


def _reopen(
    incident: Incident,
    notification: Notification,
    alerts: tuple[Alert, ...],
    now_ms: int,
    policy: Policy | None,
    policy_of: PolicyOf,
) -> Change:
    news = (Entry(now_ms, Event.REOPENED, "it fires again"),)
    known = {alert.fingerprint for alert in incident.alerts}
    has_joined = any(alert.is_firing and alert.fingerprint not in known for alert in alerts)
    fires = replace(
        incident,
        content_count=incident.content_count + 1,
        title=notification.title,
        alerts=alerts,
        truncated_alerts=notification.truncated_alerts,
        occurrences=incident.occurrences + 1,
        receiver=receiver_of(incident, notification),
        has_other_senders=has_other_senders(incident, notification),
        warnings=warnings_after(incident, alerts),
    )
    fires = with_severity(fires, severity_of(incident, notification, alerts))
    is_graver_now = is_graver(fires.severity, incident.severity)
    reopened = _waiting_anew(fires, now_ms, policy_of)
    if policy is not None and (is_graver_now or has_joined):
        reopened = follow_sooner(reopened, _as_said(fires, policy, now_ms, policy_of), now_ms, is_graver=is_graver_now)
    entries = (*news, *_at_once_entries(reopened, now_ms))
    return Change(_with_news(reopened, news), Outcome.REOPENED, all_timers(reopened, now_ms), entries)


def _as_said(incident: Incident, policy: Policy, now_ms: int, policy_of: PolicyOf) -> Policy:
    """*policy*, which what has come would have by itself; where a person's severity stands, what that one leads to."""
    return policy if incident.said_severity is None else policy_of(incident, now_ms)


def _waiting_anew(incident: Incident, now_ms: int, policy_of: PolicyOf) -> Incident:
    """Triggered, with a whole round before it, whatever was done about it before."""
    waiting = replace(
        incident,
        status=Status.TRIGGERED,
        updated_at_ms=now_ms,
        waiting_since_ms=now_ms,
        suppression=None,
        snooze=None,
        acknowledged_at_ms=None,
        acknowledged_by=None,
        ack_renewed_at_ms=None,
        seen_severity="",
        resolved_at_ms=None,
        resolved_by=None,
    )
    return _seen_if_told(with_round(waiting, policy_of(incident, now_ms), now_ms))


def _utc(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
