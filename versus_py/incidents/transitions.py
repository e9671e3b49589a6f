"""What may happen to incidents. Pure: no I/O, no clock.

Every transition is a function `(incident, what happened, now) -> Change`: the incident as it is then, the timers
to arm, and what the timeline will say. It returns None when nothing changes. Saving a change, and deciding again
when another replica was faster, is `lifecycle`'s job.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from versus_py.incidents.model import (
    Actor,
    Alert,
    AlertStatus,
    Ending,
    Entry,
    Event,
    Incident,
    Notification,
    Outcome,
    Policy,
    Snooze,
    Status,
    Suppression,
    incident_id,
)
from versus_py.incidents.severity import highest_severity

MAX_ALERTS = 1000
"""The most alerts kept with one incident; a storm in one group must not grow a record without end."""

SHOW_ESCALATING_AFTER_MS = 2000
"""Channels show that an escalation has begun this much later: mostly its record is there sooner, and shown at once."""

MAX_WARNINGS = 20
"""The most warnings kept with one incident."""

MAX_NEWS = 20
"""The most news kept with one incident; a target that missed older ones shows what they came to."""

MAX_HANDLED = 20
"""The most requests of which an incident knows that they were applied."""

IDENTIFY_MS = 2000
"""The on-call provider hears this much later of what somebody did who is known by an id only: soon by name too."""

NAMES_SHOWN = 10
"""The most alerts that news mention by name."""


@dataclass(frozen=True, slots=True)
class Change:
    """What to write: the incident as it is now, the timers to arm, and what the timeline says."""

    incident: Incident
    outcome: Outcome
    timers: Mapping[str, int | None]  # target -> when its sync is due, ms; None: it is not
    entries: tuple[Entry, ...] = ()

    def then(self, later: "Change") -> "Change":
        """Both as one, *later* having been decided on this one's incident."""
        timers = {**self.timers, **later.timers}
        return Change(later.incident, later.outcome, timers, (*self.entries, *later.entries))


def trigger(notification: Notification, policy: Policy, *, dedup_key: str, now_ms: int) -> Change:
    """A new incident."""
    starts = [alert.starts_at_ms for alert in notification.alerts if alert.is_firing and alert.starts_at_ms is not None]
    incident = Incident(
        id=incident_id(dedup_key, min(starts, default=now_ms)),
        dedup_key=dedup_key,
        source=notification.source,
        title=notification.title,
        severity=notification.severity,
        alerts=_bounded(notification.alerts),
        policy=policy,
        created_at_ms=now_ms,
        updated_at_ms=now_ms,
        waiting_since_ms=now_ms,
        escalates_at_ms=_escalates_at(policy, now_ms),
        truncated_alerts=notification.truncated_alerts,
        receiver=notification.receiver,
        url=notification.url,
        warnings=notification.warnings[:MAX_WARNINGS],
        version=1,
    )
    entries = [Entry(now_ms, Event.TRIGGERED, f"{_count(len(incident.firing), 'alert')} from {incident.source}")]
    entries += [Entry(now_ms, Event.WARNING, warning) for warning in incident.warnings]
    return Change(incident, Outcome.CREATED, _all_timers(incident, now_ms), tuple(entries))


def observe(incident: Incident, notification: Notification, now_ms: int) -> Change | None:
    """A further notification about a known incident: an update, a resolve, or a reopening."""
    alerts = _merged(incident.alerts, notification, now_ms)
    if notification.is_firing:
        if not any(alert.is_firing for alert in alerts):
            return None  # older news than what is known
        if incident.status is Status.RESOLVED:
            return _reopen(incident, notification, alerts, now_ms, "it fires again")
        if _is_another_episode(incident, notification):
            return _reopen(incident, notification, alerts, now_ms, "what was known is over, and it fires again")
        return _update(incident, notification, alerts, now_ms)
    if incident.status is Status.RESOLVED:
        return None
    if notification.truncated_alerts or any(alert.is_firing for alert in alerts):
        return _update(incident, notification, alerts, now_ms, _not_all_over(notification, alerts))
    return _resolved(replace(incident, alerts=alerts), by=Actor(notification.source), now_ms=now_ms)


def acknowledge(incident: Incident, by: Actor, now_ms: int) -> Change | None:
    """A person takes it. The first name stands; None when it was acknowledged or resolved before."""
    if incident.status is not Status.TRIGGERED:
        return None
    news = (Entry(now_ms, Event.ACKNOWLEDGED, by=by),)
    acknowledged = _with_news(
        replace(
            incident,
            status=Status.ACKNOWLEDGED,
            acknowledged_at_ms=now_ms,
            acknowledged_by=by,
            snooze=None,
            updated_at_ms=now_ms,
        ),
        news,
    )
    return Change(acknowledged, Outcome.UPDATED, _timers_after_the_wait(acknowledged, by, now_ms), news)


def unacknowledge(incident: Incident, by: Actor, now_ms: int) -> Change | None:
    """A person gives it back: the wait starts again. None when it is not acknowledged."""
    if incident.status is not Status.ACKNOWLEDGED:
        return None
    news = (Entry(now_ms, Event.UNACKNOWLEDGED, by=by),)
    waiting = _waiting_anew(incident, now_ms)
    return Change(_with_news(waiting, news), Outcome.UPDATED, _all_timers(waiting, now_ms), news)


def resolve(incident: Incident, by: Actor, now_ms: int) -> Change | None:
    """A person says that it is over; None when it was resolved before."""
    if incident.status is Status.RESOLVED:
        return None
    return _resolved(incident, by=by, now_ms=now_ms)


def escalate(incident: Incident, by: Actor, now_ms: int) -> Change | None:
    """A person wants the on-call provider to be called now, whoever has acknowledged.

    An escalation that was given up is tried once more. None when it never escalates, is resolved, is escalating, or has
    escalated as something that is not over yet.
    """
    oncall = incident.policy.oncall
    if oncall is None or not may_escalate(incident):
        return None
    news = (Entry(now_ms, Event.ESCALATING, by=by),)
    is_anew = incident.status is not Status.TRIGGERED or incident.ending is Ending.ESCALATED
    escalating = replace(
        _waiting_anew(incident, now_ms) if is_anew else incident,
        escalates_at_ms=now_ms,
        escalation_began_at_ms=now_ms,
        suppression=None,
        snooze=None,
        may_have_record=True,
        updated_at_ms=now_ms,
    )
    timers = _all_timers(escalating, now_ms) | _fallback_timer(escalating)
    return Change(_with_news(escalating, news), Outcome.UPDATED, timers, news)


def may_escalate(incident: Incident) -> bool:
    """Whether somebody's word would call the on-call provider."""
    if incident.policy.oncall is None or incident.status is Status.RESOLVED or incident.has_open_record:
        return False
    has_begun = incident.status is Status.TRIGGERED and incident.is_escalating and incident.ending is not Ending.FAILED
    return not has_begun or incident.record.is_over is True


def retry(incident: Incident, by: Actor, now_ms: int, *, name_of: Callable[[str], str] = str) -> Change | None:
    """A person wants what was given up to be tried again, as if for the first time; None when nothing was.

    *name_of* tells what people call a target.
    """
    given_up = incident.given_up
    if not given_up:
        return None
    failures = {target: incident.delivery(target).failed_at_ms or now_ms for target in given_up}
    retried = replace(incident, retried={**incident.retried, **failures}, updated_at_ms=now_ms)
    retried = retried.with_deliveries(incident.deliveries)
    timers: dict[str, int | None] = dict.fromkeys(given_up, now_ms)
    oncall = incident.policy.oncall
    if set(incident.providers) & set(given_up):
        timers |= _channel_timers(retried, now_ms)
    if oncall in given_up:
        timers[oncall] = retried.escalates_at_ms if retried.is_waiting else now_ms
    entries = tuple(Entry(now_ms, Event.RETRY, name_of(target), by) for target in given_up)
    return Change(retried, Outcome.UPDATED, timers, entries)


def give_up(incident: Incident, target: str, what: str, now_ms: int) -> Change | None:
    """A channel is not tried any more; *what* says which one, and why. The record is told.

    Where no channel can be told any more, nobody can acknowledge: the wait ends. None when that is known.
    """
    is_known = any(
        it.event is Event.GIVEN_UP and it.detail == what and it.at_ms >= incident.waiting_since_ms
        for it in incident.news
    )
    told = incident if is_known else _with_news(incident, (Entry(now_ms, Event.GIVEN_UP, what),))
    timers: dict[str, int | None] = {}
    entries: tuple[Entry, ...] = ()
    oncall = incident.policy.oncall
    if not is_known and incident.may_have_record and not incident.is_waiting:
        timers |= dict.fromkeys(incident.providers, now_ms)
    if oncall is not None and _nobody_was_told(incident, but=target) and _waits_longer(incident, now_ms):
        told = replace(told, escalates_at_ms=now_ms, updated_at_ms=now_ms)
        timers[oncall] = now_ms
        entries = (Entry(now_ms, Event.WAIT_ENDED, "it cannot be told anywhere, so nobody can acknowledge"),)
    return None if told is incident else Change(told, Outcome.UPDATED, timers, entries)


def snooze(incident: Incident, until_ms: int, by: Actor, now_ms: int) -> Change | None:
    """A person wants to be left alone until then; what is left of the wait goes on afterwards.

    A later one counts from now, whatever an earlier one said. None when nothing waits, or *until_ms* is over.
    """
    if not incident.is_waiting or incident.escalates_at_ms is None or until_ms <= now_ms:
        return None
    wait_goes_on_ms = now_ms if incident.snooze is None else max(now_ms, incident.snooze.until_ms)
    snoozed = replace(
        incident,
        snooze=Snooze(until_ms, by),
        suppression=None,
        escalates_at_ms=until_ms + max(0, incident.escalates_at_ms - wait_goes_on_ms),
        updated_at_ms=now_ms,
    )
    entry = Entry(now_ms, Event.SNOOZED, f"until {_utc(until_ms)}", by)
    return Change(snoozed, Outcome.UPDATED, _all_timers(snoozed, now_ms), (entry,))


def end_snooze(incident: Incident, now_ms: int) -> Change | None:
    """Takes back a snooze whose time is over; None without one."""
    if incident.snooze is None or incident.snooze.until_ms > now_ms:
        return None
    news = (Entry(now_ms, Event.SNOOZE_OVER),)
    awake = _with_news(replace(incident, snooze=None, updated_at_ms=now_ms), news)
    return Change(awake, Outcome.UPDATED, _channel_timers(awake, now_ms), news)


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
    timers = _channel_timers(identified, now_ms)
    if identified.may_have_record and not identified.is_waiting:
        timers |= dict.fromkeys(identified.providers, now_ms)
    return Change(identified, Outcome.UPDATED, timers, (entry,))


def once(change: Change | None, request_id: str) -> Change | None:
    """*change* as the effect of that request, which has no other; `handled` says whether it had it."""
    if change is None or not request_id:
        return change
    incident = change.incident
    handled = (*incident.handled, request_id)[-MAX_HANDLED:]
    return replace(change, incident=replace(incident, handled=handled))


def begin_escalation(incident: Incident, now_ms: int) -> Change | None:
    """The wait is over and nobody acknowledged. Saved before the on-call provider is called.

    An acknowledgment saved before this one wins, and the provider is never called; one saved after it
    is told that the escalation had begun. None when there is nothing to begin.
    """
    if not incident.is_due(now_ms):
        return None
    waited_s = (now_ms - incident.waiting_since_ms) // 1000
    said = f"not acknowledged for {waited_s} s" if incident.policy.wait_ms else "without a wait"
    begun = replace(
        incident,
        escalates_at_ms=_was_due_at(incident, now_ms),
        escalation_began_at_ms=now_ms,
        suppression=None,
        snooze=None,
        may_have_record=True,
    )
    timers = _channel_timers(incident, now_ms + SHOW_ESCALATING_AFTER_MS) | _fallback_timer(begun)
    return Change(begun, Outcome.UPDATED, timers, (Entry(now_ms, Event.ESCALATING, said),))


def _was_due_at(incident: Incident, now_ms: int) -> int | None:
    """When the escalation that begins now should have begun: what was silenced until a moment ago is not late."""
    if incident.suppression is None:
        return incident.escalates_at_ms
    until_ms = incident.suppression.until_ms
    return now_ms if until_ms is None else min(until_ms, now_ms)


def end_quietly(incident: Incident, asked: Incident, by: Actor, now_ms: int) -> Change | None:
    """The wait is over, and *by* says that nothing of it fires any more.

    None when that was said of something else: it changed since the incident was read as *asked*.
    """
    return _resolved(incident, by=by, now_ms=now_ms) if incident.is_due_as(asked, now_ms) else None


def suppress(incident: Incident, asked: Incident, by: str, until_ms: int | None, now_ms: int) -> Change | None:
    """The wait is over, but all that fires is silenced or inhibited: nobody is called as long as that is so.

    None when that is known, or was said of something else than what is due now.
    """
    known = incident.suppression
    if not incident.is_due_as(asked, now_ms) or (known is not None and (known.by, known.until_ms) == (by, until_ms)):
        return None
    suppressed = replace(incident, suppression=Suppression(now_ms, by, until_ms), updated_at_ms=now_ms)
    entry = Entry(now_ms, Event.SUPPRESSED, by)
    return Change(suppressed, Outcome.UPDATED, _channel_timers(suppressed, now_ms), (entry,))


def _waits_longer(incident: Incident, now_ms: int) -> bool:
    due_ms = incident.escalates_at_ms
    return incident.status is Status.TRIGGERED and due_ms is not None and due_ms > now_ms


def _nobody_was_told(incident: Incident, *, but: str) -> bool:
    """Whether the incident is on no channel, and the others than *but* have been given up."""
    deliveries = {name: incident.delivery(name) for name in incident.policy.channels}
    return not any(it.label for it in deliveries.values()) and all(
        it.failed_at_ms is not None for name, it in deliveries.items() if name != but
    )


def _not_all_over(notification: Notification, alerts: tuple[Alert, ...]) -> str:
    """Why a notification that lists nothing firing does not resolve the incident, when that may surprise; else ""."""
    listed = {alert.fingerprint for alert in notification.alerts}
    if any(alert.is_firing and alert.fingerprint in listed for alert in alerts):
        return "a resolve was not believed: what it says is over began before what is known to fire"
    return ""


def _update(
    incident: Incident, notification: Notification, alerts: tuple[Alert, ...], now_ms: int, warning: str = ""
) -> Change:
    entries = (Entry(now_ms, Event.WARNING, warning),) if warning else ()
    warnings = incident.warnings if not warning or warning in incident.warnings else (*incident.warnings, warning)
    updated = replace(
        incident,
        title=notification.title if notification.is_firing else incident.title,
        severity=_severity(incident, notification, alerts),
        alerts=alerts,
        truncated_alerts=notification.truncated_alerts,
        occurrences=incident.occurrences + 1,
        has_other_senders=_has_other_senders(incident, notification),
        warnings=warnings[:MAX_WARNINGS],
        updated_at_ms=now_ms,
    )
    news = _joined_and_left(incident, updated, now_ms)
    updated = _with_news(updated, news)
    timers = _channel_timers(updated, now_ms)
    has_record = updated.may_have_record and not updated.is_waiting
    # Without news too when it failed: it goes on, and perhaps somebody has repaired what was wrong. What is said to
    # be silenced is looked at again: Alertmanager does not tell of what is.
    is_doubtful = updated.ending is Ending.FAILED or (updated.suppression is not None and notification.is_firing)
    if is_doubtful or (news and has_record):
        timers |= dict.fromkeys(updated.providers, now_ms)
    return Change(updated, Outcome.UPDATED, timers, (*news, *entries))


def _severity(incident: Incident, notification: Notification, alerts: tuple[Alert, ...]) -> str:
    """The highest of what fires; what the notification says where the alerts themselves have none."""
    firing = [alert.severity for alert in alerts if alert.is_firing and alert.severity]
    if firing:
        return highest_severity(firing)
    return notification.severity if notification.is_firing else incident.severity


def _has_other_senders(incident: Incident, notification: Notification) -> bool:
    sender = (notification.source, notification.receiver)
    return incident.has_other_senders or sender != (incident.source, incident.receiver)


def _with_news(incident: Incident, news: tuple[Entry, ...]) -> Incident:
    kept = (*incident.news, *news)[-MAX_NEWS:]
    return replace(incident, news=kept, news_count=incident.news_count + len(news))


def _joined_and_left(before: Incident, after: Incident, now_ms: int) -> tuple[Entry, ...]:
    old = {alert.fingerprint: alert for alert in before.firing}
    new = {alert.fingerprint: alert for alert in after.firing}
    joined = [alert for fingerprint, alert in new.items() if fingerprint not in old]
    left = [alert for fingerprint, alert in old.items() if fingerprint not in new]
    news = [Entry(now_ms, Event.JOINED, f"{_count(len(joined), 'alert')} joined: {_names(joined)}")] if joined else []
    news += [Entry(now_ms, Event.LEFT, f"{_count(len(left), 'alert')} resolved: {_names(left)}")] if left else []
    return tuple(news)


def _names(alerts: list[Alert]) -> str:
    names = ", ".join(alert.name for alert in alerts[:NAMES_SHOWN])
    return names if len(alerts) <= NAMES_SHOWN else f"{names} and {len(alerts) - NAMES_SHOWN} more"


def _resolved(incident: Incident, *, by: Actor, now_ms: int) -> Change:
    news = (Entry(now_ms, Event.RESOLVED, by=by),)
    resolved = _with_news(
        replace(
            incident,
            status=Status.RESOLVED,
            resolved_at_ms=now_ms,
            resolved_by=by,
            snooze=None,
            updated_at_ms=now_ms,
        ),
        news,
    )
    return Change(resolved, Outcome.RESOLVED, _timers_after_the_wait(resolved, by, now_ms), news)


def _reopen(
    incident: Incident, notification: Notification, alerts: tuple[Alert, ...], now_ms: int, reason: str
) -> Change:
    news = (Entry(now_ms, Event.REOPENED, reason),)
    reopened = replace(
        _waiting_anew(incident, now_ms),
        title=notification.title,
        severity=_severity(incident, notification, alerts),
        alerts=alerts,
        truncated_alerts=notification.truncated_alerts,
        occurrences=incident.occurrences + 1,
        has_other_senders=_has_other_senders(incident, notification),
    )
    return Change(_with_news(reopened, news), Outcome.REOPENED, _all_timers(reopened, now_ms), news)


def _waiting_anew(incident: Incident, now_ms: int) -> Incident:
    """Triggered, with a whole wait before it, whatever was done about it before."""
    return replace(
        incident,
        status=Status.TRIGGERED,
        updated_at_ms=now_ms,
        waiting_since_ms=now_ms,
        escalates_at_ms=_escalates_at(incident.policy, now_ms),
        escalation_began_at_ms=None,
        suppression=None,
        snooze=None,
        acknowledged_at_ms=None,
        acknowledged_by=None,
        resolved_at_ms=None,
        resolved_by=None,
    )


def _is_another_episode(incident: Incident, notification: Notification) -> bool:
    """Whether everything that was acknowledged or escalated is over, though nobody said so.

    A sender that is told not to report resolves (Alertmanager's `send_resolved: false`) leaves an incident open for
    ever, and what was done about it would silence whatever comes later. So: when the list is complete, all that
    fires started after that, and none of it was known, it was about something else.
    """
    dealt_with_ms = incident.acknowledged_at_ms or incident.escalation_began_at_ms
    if dealt_with_ms is None or not notification.is_complete:
        return False
    listed_as_resolved = {alert.fingerprint for alert in notification.alerts if not alert.is_firing}
    if any(alert.fingerprint in listed_as_resolved for alert in incident.firing):
        return False  # the sender does report resolves: alerts came and went within one open group
    known = {(alert.fingerprint, alert.starts_at_ms) for alert in incident.firing}
    return all(
        alert.starts_at_ms is not None
        and alert.starts_at_ms > dealt_with_ms
        and (alert.fingerprint, alert.starts_at_ms) not in known
        for alert in notification.alerts
        if alert.is_firing
    )


def _merged(known: tuple[Alert, ...], notification: Notification, now_ms: int) -> tuple[Alert, ...]:
    """The alerts of the incident after *notification*: the later start wins, so that stale news changes nothing."""
    merged = {alert.fingerprint: alert for alert in known}
    listed = set()
    for alert in notification.alerts:
        listed.add(alert.fingerprint)
        if not _is_stale(alert, merged.get(alert.fingerprint)):
            merged[alert.fingerprint] = alert
    if notification.is_complete:
        for fingerprint, alert in merged.items():
            if alert.is_firing and fingerprint not in listed:
                merged[fingerprint] = replace(alert, status=AlertStatus.RESOLVED, ends_at_ms=now_ms)
    return _bounded(tuple(merged.values()))


def _is_stale(alert: Alert, known: Alert | None) -> bool:
    """Whether *alert* is older news. An end counts by itself: Alertmanager may move a start back, merging replicas."""
    if known is None or known.starts_at_ms is None:
        return False
    latest_ms = alert.starts_at_ms if alert.is_firing or alert.ends_at_ms is None else alert.ends_at_ms
    return latest_ms is not None and latest_ms < known.starts_at_ms


def _bounded(alerts: tuple[Alert, ...]) -> tuple[Alert, ...]:
    if len(alerts) <= MAX_ALERTS:
        return alerts
    return tuple(sorted(alerts, key=lambda alert: not alert.is_firing)[:MAX_ALERTS])


def _escalates_at(policy: Policy, now_ms: int) -> int | None:
    return None if policy.oncall is None else now_ms + policy.wait_ms


def _channel_timers(incident: Incident, now_ms: int) -> dict[str, int | None]:
    return dict.fromkeys(incident.policy.channels, now_ms)


def _all_timers(incident: Incident, now_ms: int) -> dict[str, int | None]:
    timers = _channel_timers(incident, now_ms)
    if incident.policy.oncall is not None:
        timers[incident.policy.oncall] = incident.escalates_at_ms
    if incident.policy.fallback is not None and incident.fallback_due_ms is not None:
        timers[incident.policy.fallback] = now_ms
    return timers


def _fallback_timer(incident: Incident) -> dict[str, int | None]:
    """For an escalation that has just begun: to look then whether the first provider has it."""
    fallback = incident.policy.fallback
    return {} if fallback is None else {fallback: incident.fallback_due_ms}


def _timers_after_the_wait(incident: Incident, by: Actor, now_ms: int) -> dict[str, int | None]:
    """Channels show the news at once; the provider hears of it only if it was called before."""
    timers = _channel_timers(incident, now_ms)
    at_ms = now_ms + IDENTIFY_MS if by.ids and not by.email else now_ms
    timers |= dict.fromkeys(incident.providers, at_ms if incident.may_have_record else None)
    return timers


def _utc(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
