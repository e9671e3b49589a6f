"""What a notification changes about an incident, apart from what follows from it. Pure."""

from collections.abc import Sequence

from versus_py.incidents import labels
from versus_py.incidents.copies import replace
from versus_py.incidents.model import Alert, Entry, Event, Incident, Notification, sender_of
from versus_py.incidents.severity import highest_severity, is_graver

MAX_ALERTS = 1000
"""The most alerts kept with one incident; a storm in one group must not grow a record without end."""

ALERTS_TEXT_MAX = 1024 * 1024
"""The most characters of labels, annotations and links kept with one incident; alerts beyond that lose theirs.

That is what one body holds by default (`max_body_bytes`).
"""

NAMES_SHOWN = 10
"""The most alerts that news mention by name."""


MAX_WARNINGS = 20
"""The most warnings kept with one incident."""

_NOT_BELIEVED = "a resolve was not believed: "
_ELSEWHERE = "not resolved: another sender lists "
_UNLISTED = "not resolved: its sender does not list "


def why_not_over(notification: Notification, alerts: tuple[Alert, ...]) -> str:
    """Why a notification that lists nothing firing does not resolve the incident, when that may surprise; else ""."""
    listed = {alert.fingerprint for alert in notification.alerts}
    lister = notification.lister
    firing = [alert for alert in alerts if alert.is_firing]
    mine = [alert for alert in firing if alert.fingerprint in listed]
    if any(lister not in alert.listings or alert.listings[lister].is_firing for alert in mine):
        return f"{_NOT_BELIEVED}what it says is over began before what is known to fire"
    return _listed_elsewhere(mine, firing) or _unlisted(firing)


def warnings_after(incident: Incident, alerts: tuple[Alert, ...], warning: str = "") -> tuple[str, ...]:
    """Those of the incident with a further one, if any; of why it is not resolved only what still holds of *alerts*."""
    firing = [alert for alert in alerts if alert.is_firing]
    kept = [_as_it_is_now(it, firing) for it in incident.warnings]
    others = [it for it in dict.fromkeys(kept) if it and it != warning]
    return (*others[: MAX_WARNINGS - 1], warning) if warning else tuple(others)


def _as_it_is_now(warning: str, firing: list[Alert]) -> str:
    if warning.startswith(_ELSEWHERE):
        elsewhere = [it for it in firing if any(not on.is_firing for on in it.listings.values())]
        return _listed_elsewhere(elsewhere, firing)
    if warning.startswith(_UNLISTED):
        return _unlisted(firing)
    return "" if warning.startswith(_NOT_BELIEVED) else warning


def _listed_elsewhere(alerts: list[Alert], firing: list[Alert]) -> str:
    return f"{_ELSEWHERE}{names_of(alerts, firing)} too, and did not say that it is over" if alerts else ""


def _unlisted(firing: list[Alert]) -> str:
    unlisted = [alert for alert in firing if alert.unlisted_since_ms is not None]
    return f"{_UNLISTED}{names_of(unlisted, firing)} any more, and did not say that it is over" if unlisted else ""


def with_content(before: Incident, after: Incident) -> Incident:
    """Counted, when what its alerts say to people is another; who lists them is not."""
    said_before, said = ((it.title, it.severity, it.url) for it in (before, after))
    is_same = said_before == said and (before.alerts is after.alerts or _shown(before.alerts) == _shown(after.alerts))
    return after if is_same else replace(after, content_count=before.content_count + 1)


def _shown(alerts: tuple[Alert, ...]) -> list[Alert]:
    return [replace(alert, listings={}) for alert in alerts]


def severity_of(incident: Incident, notification: Notification, alerts: tuple[Alert, ...]) -> str:
    """The highest of what fires; what the notification says where the alerts themselves have none."""
    firing = [alert.severity for alert in alerts if alert.is_firing and alert.severity]
    if firing:
        return highest_severity(firing)
    return notification.severity if notification.is_firing else incident.severity


def with_severity(incident: Incident, own: str) -> Incident:
    """With the severity of its alerts, *own*.

    One that a person gave stands, until the alerts' is graver than it, and graver than theirs was then.
    """
    said = incident.said_severity
    if said is None:
        return replace(incident, severity=own)
    if not (is_graver(own, said.alerts) and is_graver(own, said.severity)):
        return incident
    return replace(seen_as(incident, said.asked), severity=own, said_severity=None)


def seen_as(incident: Incident, severity: str) -> Incident:
    """Matchers of policies see that severity from now on, where it is not stored by an earlier version."""
    asked = incident.policy.asked
    if asked is None:
        return incident
    return replace(incident, policy=replace(incident.policy, asked=replace(asked, severity=severity)))


def has_other_senders(incident: Incident, notification: Notification) -> bool:
    sender = (notification.source, notification.receiver)
    is_other = sender != (incident.source, incident.receiver) and not _is_renamed(incident, notification)
    return incident.has_other_senders or is_other


def receiver_of(incident: Incident, notification: Notification) -> str:
    return notification.receiver if _is_renamed(incident, notification) else incident.receiver


def url_of(incident: Incident, notification: Notification, alerts: tuple[Alert, ...]) -> str:
    """Where the incident came from; where that lists nothing of it any more, where the rest comes from."""
    if not notification.is_firing or not notification.group or not incident.url:
        return incident.url
    first = sender_of(replace(notification, url=incident.url).lister)
    listers = {sender_of(name) for alert in alerts for name, it in alert.listings.items() if it.is_firing}
    return incident.url if first in listers or "" in listers else notification.url


def _is_renamed(incident: Incident, notification: Notification) -> bool:
    """Whether another receiver is the same by another name: what a template joins may be of any."""
    is_list = bool(notification.group) and not notification.is_keyed
    return is_list and notification.source == incident.source


def joined_and_left(before: Incident, after: Incident, now_ms: int) -> tuple[Entry, ...]:
    """What fires now and did not, and the other way round, as news."""
    old = {alert.fingerprint: alert for alert in before.firing}
    new = {alert.fingerprint: alert for alert in after.firing}
    joined = [alert for fingerprint, alert in new.items() if fingerprint not in old]
    left = [alert for fingerprint, alert in old.items() if fingerprint not in new]
    said = ((Event.JOINED, "joined", joined), (Event.LEFT, "resolved", left))
    return tuple(
        Entry(now_ms, event, f"{counted(len(alerts), 'alert')} {what}: {names_of(alerts, after.alerts)}")
        for event, what, alerts in said
        if alerts
    )


def names_of(alerts: Sequence[Alert], among: Sequence[Alert]) -> str:
    """A few of *alerts*, each with what tells it from the others in the incident."""
    return labels.names_of(alerts, among, limit=NAMES_SHOWN)


def bounded(alerts: tuple[Alert, ...]) -> tuple[Alert, ...]:
    """Not too many, and of some not their texts, when these are too long in all; those that fire come first."""
    if len(alerts) > MAX_ALERTS:
        alerts = tuple(sorted(alerts, key=lambda alert: not alert.is_firing)[:MAX_ALERTS])
    if sum(alert.text_size for alert in alerts) <= ALERTS_TEXT_MAX:
        return alerts
    left, kept = ALERTS_TEXT_MAX, [*alerts]
    for at in sorted(range(len(kept)), key=lambda it: not kept[it].is_firing):
        left -= kept[at].text_size
        if left < 0:
            kept[at] = replace(kept[at], labels=_named(kept[at]), annotations={}, links={})
    return tuple(kept)


def _named(alert: Alert) -> dict[str, str]:
    """The label that it is called by."""
    return {name: text for name, text in alert.labels.items() if name == "alertname"}


def counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
