"""What tells one incident from another: the parts of a dedup key. Pure."""

import re

from versus_py.incidents.model import Incident, Notification

_BRACKETS = re.compile(r"\[[^\]]*\]|\([^)]*\)")
_STATE = re.compile(
    r"\b(?:acknowledged|alarm|alert|alerting|clear|cleared|closed?|critical|down|error|failed|failing|firing|green|healthy"
    r"|info|new|normal|ok|okay|open|operational|passed|problem|recovered|recovery|red|resolved?|success|succeeded"
    r"|triggered|unhealthy|up|updated|warn|warning|yellow)\b"
)
_UNIT = r"\s?(?:%|ms|s|m|min|h|d|[kmgt]?i?b)(?:/s)?"
_MEASURED = re.compile(
    rf"(?<!\S)\(?(?:[<>=]+\s?[-+]?\d+(?:[.,]\d+)?(?:{_UNIT})?|[-+]?\d+[.,:]\d+(?:{_UNIT})?|[-+]?\d+{_UNIT})[.,;:!)]*(?!\S)"
)
"""A measured value: 91 %, 1.5s, > 90, 12:30. A bare number may be a name: port 8080, store 1204."""
_WORD = re.compile(r"\w+")


def dedup_key(source: str, receiver: str, name: str, namespace: str = "") -> str:
    """The key of what its source calls *name*, within *namespace* where names are unique only there."""
    return "\n".join((source, receiver, *([namespace] if namespace else []), name))


def of_sender(key: str, sender: str) -> str:
    """*key* of that sender alone, where it has a name: two senders may call different things the same."""
    return f"token {sender}\n{key}" if sender else key


def steady_title(title: str) -> str:
    """*title* without what differs between an alert, a repeat and its end: [FIRING:1], DOWN and UP, 91 and 92 %."""
    return " ".join(_WORD.findall(_STATE.sub(" ", _MEASURED.sub(" ", _BRACKETS.sub(" ", title.casefold())))))


def is_the_same(incident: Incident, notification: Notification) -> bool:
    """Whether *notification* may be about *incident*, which an older key of it names.

    Older keys were made of less: another sender, or another tool, may have called something else so.
    """
    if not _is_of_one_sender(incident, notification):
        return False
    if notification.group:
        return True
    names = {name for alert in notification.alerts for name in alert.labels}
    known = {name for alert in incident.alerts for name in alert.labels}
    has_number = any(alert.fingerprint.isdecimal() for alert in notification.alerts)
    is_end = not notification.is_firing and not has_number
    return is_end or names == known or steady_title(incident.title) == steady_title(notification.title)


def shares_an_alert(incident: Incident, notification: Notification) -> bool:
    """Whether *notification* lists an alert that is in *incident*: the same labels, and the same start.

    A fingerprint alone does not tell: some senders make up their own.
    """
    known = {alert.fingerprint: alert for alert in incident.alerts}
    pairs = ((known.get(told.fingerprint), told) for told in notification.alerts)
    is_of_one = _is_of_one_sender(incident, notification) and incident.namespace == notification.namespace
    return is_of_one and any(
        alert is not None
        and alert.labels.items() <= told.labels.items()
        and told.starts_at_ms in {it.starts_at_ms for it in alert.listings.values()}
        for alert, told in pairs
    )


def _is_of_one_sender(incident: Incident, notification: Notification) -> bool:
    """A sender without a name may have got one since, or lost it."""
    return "" in {incident.sender, notification.sender} or incident.sender == notification.sender
