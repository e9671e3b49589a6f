"""Incidents, and what may happen to them. Pure: no I/O, no clock.

Every transition is a function `(incident, what happened, now) -> Change`: the incident as it is then, the timers
to arm, and what the timeline will say. It returns None when nothing changes. Saving a change, and deciding again
when another replica was faster, is `lifecycle`'s job.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from hashlib import sha256
from typing import NewType

from versus_py.severity import highest_severity

IncidentId = NewType("IncidentId", str)

MAX_ALERTS = 1000
"""The most alerts kept with one incident; a storm in one group must not grow a record without end."""

SHOW_ESCALATING_AFTER_MS = 2000
"""Channels show that an escalation has begun this much later: mostly its record is there sooner, and shown at once."""

MAX_WARNINGS = 20
"""The most warnings kept with one incident."""

MAX_NEWS = 20
"""The most news kept with one incident; a target that missed older ones shows what they came to."""

NAMES_SHOWN = 10
NAME_MAX = 100
"""The most alerts that news mention by name, and the most characters of such a name."""

PARTITIONS = 4
"""How many hash slots incidents spread over (Redis Cluster). Changing it orphans what is stored."""


class Status(StrEnum):
    """Where an incident stands."""

    TRIGGERED = "triggered"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


class AlertStatus(StrEnum):
    """Whether one alert is happening."""

    FIRING = "firing"
    RESOLVED = "resolved"


class Outcome(StrEnum):
    """What a notification did."""

    CREATED = "created"
    UPDATED = "updated"
    RESOLVED = "resolved"
    REOPENED = "reopened"
    IGNORED = "ignored"


class Ending(StrEnum):
    """How an incident's wait ended; see `Incident.ending`."""

    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"
    SUPPRESSED = "suppressed"
    ESCALATED = "escalated"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Alert:
    """One thing that fires and resolves."""

    fingerprint: str
    status: AlertStatus
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    starts_at_ms: int | None = None  # None: its source does not say
    ends_at_ms: int | None = None
    title: str = ""  # what it would be called on its own; "" where that is its notification's title
    severity: str = ""
    url: str = ""  # where the alert came from: the expression's graph, a rule's page
    resource: str = ""  # what it is about, by the name its source has for it: a host, an instance, a pod
    links: Mapping[str, str] = field(default_factory=dict)  # further pages: what to call one -> its URL

    @property
    def is_firing(self) -> bool:
        return self.status is AlertStatus.FIRING

    @property
    def name(self) -> str:
        """A few words to tell it from others."""
        name = self.labels.get("alertname") or self.title or self.fingerprint
        return (f"{name} on {self.resource}" if self.resource and self.resource not in name else name)[:NAME_MAX]


@dataclass(frozen=True, slots=True)
class Notification:
    """What one payload says about one incident."""

    source: str
    title: str
    severity: str
    alerts: tuple[Alert, ...]
    dedup_key: str | None = None  # None: the source has no identity to offer, so this is an incident of its own
    receiver: str = ""  # the sender's name for where it sends this, such as Alertmanager's receiver
    is_complete: bool = False  # it lists everything of its group that fires: what it leaves out is over
    truncated_alerts: int = 0  # alerts that the sender cut off
    url: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def is_firing(self) -> bool:
        return any(alert.is_firing for alert in self.alerts)


@dataclass(frozen=True, slots=True)
class Policy:
    """Where an incident is shown and how it escalates; fixed by the request that creates it."""

    channels: tuple[str, ...] = ()  # targets told at once
    oncall: str | None = None  # the target told when the wait is over; None: it never escalates
    wait_ms: int = 0
    destinations: Mapping[str, str] = field(default_factory=dict)  # target -> channel, instance; else its default


@dataclass(frozen=True, slots=True)
class Delivery:
    """How far one target is in sync."""

    reference: Mapping[str, str] = field(default_factory=dict)  # what the target needs to find its side again
    label: str = ""  # what people call it, such as INC0010001
    url: str = ""  # where people look at it
    version: int = 0  # the incident's version that it shows
    synced_at_ms: int | None = None  # when it last came to show it
    note: str = ""  # what people should know of it, such as that it went to another channel
    attempts: int = 0  # without success since the last one
    failing_since_ms: int | None = None
    failed_at_ms: int | None = None  # given up; the next change of the incident tries once more
    error: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of an incident's timeline."""

    at_ms: int
    event: str
    detail: str = ""
    by: str = ""


@dataclass(frozen=True, slots=True)
class Suppression:
    """Why the on-call provider is not called although the wait is over: all that fires is silenced or inhibited."""

    at_ms: int
    by: str  # who silenced it and why, or that it is inhibited
    until_ms: int | None = None  # when the silence ends; None: not known


@dataclass(frozen=True, slots=True)
class Incident:
    """What a person acknowledges and what escalates."""

    id: IncidentId
    dedup_key: str
    source: str
    title: str
    severity: str
    alerts: tuple[Alert, ...]
    policy: Policy
    created_at_ms: int
    updated_at_ms: int
    waiting_since_ms: int  # when the present wait began: at creation, or when it was reopened
    escalates_at_ms: int | None = None  # None: never
    escalation_began_at_ms: int | None = None  # the present wait ran out before anybody acknowledged
    suppression: Suppression | None = None  # of the present wait
    may_have_record: bool = False  # the on-call provider was called, or was about to be, in this wait or an earlier one
    status: Status = Status.TRIGGERED
    acknowledged_at_ms: int | None = None
    acknowledged_by: str = ""
    resolved_at_ms: int | None = None
    resolved_by: str = ""
    occurrences: int = 1
    truncated_alerts: int = 0
    receiver: str = ""
    has_other_senders: bool = False  # some of it came from another source or receiver than the first
    url: str = ""
    warnings: tuple[str, ...] = ()
    news: tuple[Entry, ...] = ()  # the latest changes that those who were told of it want to hear of, oldest first
    news_count: int = 0  # how many there ever were: the number of the last one
    version: int = 0
    deliveries: Mapping[str, Delivery] = field(default_factory=dict)

    @property
    def is_escalating(self) -> bool:
        """Whether the present wait ran out before anybody acknowledged."""
        return self.escalation_began_at_ms is not None

    @property
    def is_waiting(self) -> bool:
        """Whether it escalates unless somebody acknowledges."""
        return self.status is Status.TRIGGERED and not self.is_escalating and self.escalates_at_ms is not None

    def is_due(self, now_ms: int) -> bool:
        """Whether the wait is over, and nobody acknowledged."""
        return self.is_waiting and self.escalates_at_ms is not None and self.escalates_at_ms <= now_ms

    @property
    def firing(self) -> tuple[Alert, ...]:
        return tuple(alert for alert in self.alerts if alert.is_firing)

    def is_due_as(self, asked: "Incident", now_ms: int) -> bool:
        """Whether it is due, and the same fires as when somebody was *asked* about it."""
        now, then = ({(alert.fingerprint, alert.starts_at_ms) for alert in it.firing} for it in (self, asked))
        return self.is_due(now_ms) and now == then

    @property
    def record(self) -> Delivery:
        """The on-call provider's side of it; an empty delivery where there is none."""
        return self.delivery(self.policy.oncall or "")

    @property
    def ending(self) -> Ending | None:
        """How the present wait ended; None while it is undecided."""
        began_ms, synced_ms = self.escalation_began_at_ms, self.record.synced_at_ms
        if self.record.reference and began_ms is not None and synced_ms is not None and synced_ms >= began_ms:
            return Ending.ESCALATED
        if self.status is not Status.TRIGGERED:
            return Ending.ACKNOWLEDGED if self.acknowledged_at_ms is not None else Ending.RESOLVED
        if self.is_escalating and self.record.failed_at_ms is not None:
            return Ending.FAILED
        return None if self.is_escalating or self.suppression is None else Ending.SUPPRESSED

    def news_after(self, number: int) -> tuple[Entry, ...]:
        """The news that came after the one with that *number*, as far as they are kept."""
        missed = self.news_count - number
        return self.news[-missed:] if missed > 0 else ()

    def delivery(self, target: str) -> Delivery:
        return self.deliveries.get(target, Delivery())


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


def common(mappings: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """What all of them say alike."""
    first, *others = mappings or [{}]
    return {key: value for key, value in first.items() if all(other.get(key) == value for other in others)}


def partition_of(dedup_key: str) -> int:
    """The partition that everything about *dedup_key* is kept in."""
    return int.from_bytes(sha256(dedup_key.encode()).digest()[:4]) % PARTITIONS


def incident_id(dedup_key: str, episode_start_ms: int) -> IncidentId:
    """The id of the incident that began at *episode_start_ms*: 20 hex digits, a dash, its partition.

    A hash, so that two replicas, a retry, or a Redis that forgot its last second arrive at the same id,
    and so that it is safe in an encoded query of ServiceNow and in a URL, whatever the dedup key holds.
    """
    digest = sha256(f"{dedup_key}\n{episode_start_ms}".encode()).hexdigest()
    return IncidentId(f"{digest[:20]}-{partition_of(dedup_key)}")


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
    entries = [Entry(now_ms, "triggered", f"{_count(len(incident.firing), 'alert')} from {incident.source}")]
    entries += [Entry(now_ms, "warning", warning) for warning in incident.warnings]
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
    return _resolved(replace(incident, alerts=alerts), by=notification.source, now_ms=now_ms)


def acknowledge(incident: Incident, by: str, now_ms: int) -> Change | None:
    """A person takes it. The first name stands; None when it was acknowledged or resolved before."""
    if incident.status is not Status.TRIGGERED:
        return None
    news = (Entry(now_ms, "acknowledged", by=by),)
    acknowledged = _with_news(
        replace(
            incident,
            status=Status.ACKNOWLEDGED,
            acknowledged_at_ms=now_ms,
            acknowledged_by=by,
            updated_at_ms=now_ms,
        ),
        news,
    )
    return Change(acknowledged, Outcome.UPDATED, _timers_after_the_wait(acknowledged, now_ms), news)


def resolve(incident: Incident, by: str, now_ms: int) -> Change | None:
    """A person says that it is over; None when it was resolved before."""
    if incident.status is Status.RESOLVED:
        return None
    return _resolved(incident, by=by, now_ms=now_ms)


def begin_escalation(incident: Incident, now_ms: int) -> Change | None:
    """The wait is over and nobody acknowledged. Saved before the on-call provider is called.

    An acknowledgment saved before this one wins, and the provider is never called; one saved after it
    is told that the escalation had begun. None when there is nothing to begin.
    """
    if not incident.is_due(now_ms):
        return None
    waited_s = (now_ms - incident.waiting_since_ms) // 1000
    said = f"not acknowledged for {waited_s} s" if incident.policy.wait_ms else "without a wait"
    return Change(
        replace(incident, escalation_began_at_ms=now_ms, suppression=None, may_have_record=True),
        Outcome.UPDATED,
        _channel_timers(incident, now_ms + SHOW_ESCALATING_AFTER_MS),
        (Entry(now_ms, "escalating", said),),
    )


def end_quietly(incident: Incident, asked: Incident, by: str, now_ms: int) -> Change | None:
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
    entry = Entry(now_ms, "suppressed", by)
    return Change(suppressed, Outcome.UPDATED, _channel_timers(suppressed, now_ms), (entry,))


def escalate_now(incident: Incident, reason: str, now_ms: int) -> Change | None:
    """Ends the wait; None when there is none. Used when nobody can be told, so nobody can acknowledge."""
    oncall, due_ms = incident.policy.oncall, incident.escalates_at_ms
    if incident.status is not Status.TRIGGERED or oncall is None or due_ms is None or due_ms <= now_ms:
        return None
    return Change(
        replace(incident, escalates_at_ms=now_ms, updated_at_ms=now_ms),
        Outcome.UPDATED,
        {oncall: now_ms},
        (Entry(now_ms, "wait ended", reason),),
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
    entries = (Entry(now_ms, "warning", warning),) if warning else ()
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
    if updated.policy.oncall is not None and (is_doubtful or (news and has_record)):
        timers[updated.policy.oncall] = now_ms
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
    news = [Entry(now_ms, "joined", f"{_count(len(joined), 'alert')} joined: {_names(joined)}")] if joined else []
    news += [Entry(now_ms, "left", f"{_count(len(left), 'alert')} resolved: {_names(left)}")] if left else []
    return tuple(news)


def _names(alerts: list[Alert]) -> str:
    names = ", ".join(alert.name for alert in alerts[:NAMES_SHOWN])
    return names if len(alerts) <= NAMES_SHOWN else f"{names} and {len(alerts) - NAMES_SHOWN} more"


def _resolved(incident: Incident, *, by: str, now_ms: int) -> Change:
    news = (Entry(now_ms, "resolved", by=by),)
    resolved = _with_news(
        replace(
            incident,
            status=Status.RESOLVED,
            resolved_at_ms=now_ms,
            resolved_by=by,
            updated_at_ms=now_ms,
        ),
        news,
    )
    return Change(resolved, Outcome.RESOLVED, _timers_after_the_wait(resolved, now_ms), news)


def _reopen(
    incident: Incident, notification: Notification, alerts: tuple[Alert, ...], now_ms: int, reason: str
) -> Change:
    news = (Entry(now_ms, "reopened", reason),)
    reopened = replace(
        incident,
        status=Status.TRIGGERED,
        title=notification.title,
        severity=_severity(incident, notification, alerts),
        alerts=alerts,
        truncated_alerts=notification.truncated_alerts,
        occurrences=incident.occurrences + 1,
        has_other_senders=_has_other_senders(incident, notification),
        updated_at_ms=now_ms,
        waiting_since_ms=now_ms,
        escalates_at_ms=_escalates_at(incident.policy, now_ms),
        escalation_began_at_ms=None,
        suppression=None,
        acknowledged_at_ms=None,
        acknowledged_by="",
        resolved_at_ms=None,
        resolved_by="",
    )
    return Change(_with_news(reopened, news), Outcome.REOPENED, _all_timers(reopened, now_ms), news)


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
    return timers


def _timers_after_the_wait(incident: Incident, now_ms: int) -> dict[str, int | None]:
    """Channels show the news at once; the provider hears of it only if it was called before."""
    timers = _channel_timers(incident, now_ms)
    if incident.policy.oncall is not None:
        timers[incident.policy.oncall] = now_ms if incident.may_have_record else None
    return timers


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
