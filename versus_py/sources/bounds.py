"""Bounds of what is kept of an alert: whatever is sent, an incident has a size."""

from collections.abc import Mapping
from hashlib import sha256

from versus_py.incidents.copies import replace
from versus_py.incidents.model import Alert, Notification, SenderRequest
from versus_py.incidents.redaction import hides_at, may_hide

VALUE_MAX = 4000
"""Characters of one label, or one annotation: what a description in ServiceNow holds."""

PAIRS_MAX = 100
"""Labels of one alert, and annotations."""

NAME_MAX = 200
"""Characters of a name: of a label, a receiver, a resource."""

URL_MAX = 3000
"""Longer ones are left out: Slack takes no longer links, and a part of one leads nowhere."""

KEY_MAX = 1000
"""Characters of a dedup key, or of a fingerprint, that are kept as they are."""

WARNING_MAX = 500
WARNINGS_MAX = 50


def bounded(notification: Notification) -> Notification:
    """*notification* without secrets, everything cut to its bound, and a warning when it was. The same for the same."""
    whole = tuple(map(_without_secrets, notification.alerts))
    alerts = tuple(map(_alert, whole))
    is_cut = alerts != whole
    warnings = tuple(_cut(it, WARNING_MAX) for it in notification.warnings[:WARNINGS_MAX])
    if is_cut:
        warnings = (*warnings, f"what is longer than {VALUE_MAX} characters, or beyond {PAIRS_MAX} labels, was cut off")
    return replace(
        notification,
        alerts=alerts,
        receiver=_cut(notification.receiver, NAME_MAX),
        dedup_key=None if notification.dedup_key is None else _key(notification.dedup_key),
        older_keys=tuple(map(_key, notification.older_keys)),
        url=_url(notification.url),
        asks=notification.asks and _request(notification.asks),
        warnings=warnings,
    )


def _without_secrets(alert: Alert) -> Alert:
    if not any(map(may_hide, (*alert.labels, *alert.annotations))):
        return alert
    labels, annotations = (
        {name: text for name, text in pairs.items() if not hides_at(name, text)}
        for pairs in (alert.labels, alert.annotations)
    )
    return replace(alert, labels=labels, annotations=annotations)


def _request(asks: SenderRequest) -> SenderRequest:
    return replace(asks, comment=_cut(asks.comment, VALUE_MAX), description=_cut(asks.description, VALUE_MAX))


def _alert(alert: Alert) -> Alert:
    if _is_small(alert):
        return alert
    return replace(
        alert,
        fingerprint=_key(alert.fingerprint),
        labels=_pairs(alert.labels),
        annotations=_pairs(alert.annotations),
        severity=_cut(alert.severity, NAME_MAX),
        resource=_cut(alert.resource, NAME_MAX),
        url=_url(alert.url),
        links={_cut(name, NAME_MAX): url for name, url in alert.links.items() if len(url) <= URL_MAX},
    )


def _is_small(alert: Alert) -> bool:
    """Most are, and need no look at each of their parts."""
    return (
        alert.text_size <= VALUE_MAX
        and len(alert.labels) + len(alert.annotations) <= PAIRS_MAX
        and max(len(alert.severity), len(alert.resource)) <= NAME_MAX
        and len(alert.url) <= URL_MAX
        and len(alert.fingerprint) <= KEY_MAX
    )


def _pairs(pairs: Mapping[str, str]) -> dict[str, str]:
    return {_cut(name, NAME_MAX): _cut(text, VALUE_MAX) for name, text in [*pairs.items()][:PAIRS_MAX]}


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _url(url: str) -> str:
    return url if len(url) <= URL_MAX else ""


def _key(key: str) -> str:
    """A key that is too long, by its beginning and its digest."""
    if len(key) <= KEY_MAX:
        return key
    return f"{key[:NAME_MAX]}…{sha256(key.encode(errors='replace')).hexdigest()}"
