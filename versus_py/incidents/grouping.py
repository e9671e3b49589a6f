"""What belongs to one incident: a payload as a whole or each of its alerts, by the source's dedup key or one's own."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from versus_py.incidents.copies import replace
from versus_py.incidents.identity import dedup_key, of_sender
from versus_py.incidents.model import Alert, Notification, common
from versus_py.incidents.severity import highest_severity
from versus_py.templating import TemplateFailed, TemplateText


@dataclass(frozen=True, slots=True)
class Grouping:
    """How notifications become incidents. *dedup_key* None leaves it to the sources."""

    per_alert: bool = False
    dedup_key: TemplateText | None = None

    @property
    def is_by_alerts(self) -> bool:
        """Whether alerts tell their incident, and not the list that they are in."""
        return self.per_alert or self.dedup_key is not None

    def arrange(self, notification: Notification) -> list[Notification]:
        """One notification for each incident, in their order; each alert is in exactly one of them."""
        is_split = self.per_alert or notification.is_ungrouped
        parts = _each(notification) if is_split and notification.alerts else [notification]
        if self.dedup_key is None:
            return [_of_sender(part) for part in parts]
        found: dict[str, Notification] = {}
        for part in parts:
            keyed = replace(_keyed(part, self.dedup_key), group=notification.group)
            known = found.get(keyed.dedup_key or "")
            found[keyed.dedup_key or f"\n{len(found)}"] = keyed if known is None else _joined(known, keyed)
        return list(found.values())


def _each(notification: Notification) -> list[Notification]:
    """A notification for each alert, with its part of the body."""
    bodies = _bodies(notification.payload, len(notification.alerts))
    return [
        replace(_alone(notification, alert), payload=body)
        for alert, body in zip(notification.alerts, bodies, strict=True)
    ]


def _bodies(payload: Mapping[str, Any] | None, number: int) -> list[Mapping[str, Any] | None]:
    """The body of each alert alone; none where it is not known which part that is."""
    if payload is None or number == 1:
        return [payload] * number
    listed = payload.get("alerts")
    if not isinstance(listed, list) or len(listed) != number:
        return [None] * number
    return [{**payload, "alerts": [it]} for it in listed]


def _alone(notification: Notification, alert: Alert) -> Notification:
    key, older = notification.dedup_key, notification.older_keys
    if key is not None and alert.fingerprint:
        source, receiver = notification.source, notification.receiver
        older_key = dedup_key(source, receiver, alert.fingerprint)
        if notification.group or len(notification.alerts) > 1:
            key, older = dedup_key(source, receiver, alert.fingerprint, notification.namespace), (older_key,)
        else:  # there is no other in it, and its key says more
            older = (*older, older_key)
    # A list of its own: of the others that came with it, it says nothing.
    group = f"{notification.group}\n{alert.fingerprint}" if notification.group else ""
    return replace(
        notification,
        group=group,
        title=alert.title or notification.title,
        severity=alert.severity or notification.severity,
        alerts=(alert,),
        dedup_key=key,
        older_keys=tuple(it for it in older if it != key),
        is_complete=True,  # about this alert there is no more to say
        truncated_alerts=0,
    )


def _of_sender(notification: Notification) -> Notification:
    key, sender = notification.dedup_key, notification.sender
    if key is None or not sender:
        return notification
    return replace(notification, dedup_key=of_sender(key, sender), older_keys=(key, *notification.older_keys))


def _keyed(notification: Notification, template: TemplateText) -> Notification:
    """With the key that the template makes; with its own, and a warning, when it makes none.

    Also with its own where the sender's later requests have nothing but that.
    """
    notification = replace(notification, alerts=tuple(_identified(alert) for alert in notification.alerts))
    own = _of_sender(notification)
    if notification.is_keyed_by_sender:
        return own
    try:
        key = template.render(_values(notification))
    except TemplateFailed as exc:
        return _warned(own, f"{exc}; the source's own dedup key was used")
    if not key:
        return _warned(own, "dedup_key came out empty; the source's own was used")
    # Alerts of other payloads may share the key, so that this one does not say what is over.
    return replace(notification, dedup_key=f"template\n{key}", older_keys=(), is_keyed=True, is_complete=False)


def _identified(alert: Alert) -> Alert:
    """An alert that other payloads' alerts of the same key can be told from, also when its source cannot name it."""
    if alert.fingerprint:
        return alert
    said = [alert.title, *sorted(f"{name}={value}" for name, value in alert.labels.items())]
    return replace(alert, fingerprint=sha256("\n".join(said).encode(errors="replace")).hexdigest()[:32])


def _values(notification: Notification) -> dict[str, Any]:
    alerts = notification.alerts
    return {
        "labels": common([alert.labels for alert in alerts]),
        "annotations": common([alert.annotations for alert in alerts]),
        "fingerprint": alerts[0].fingerprint if len(alerts) == 1 else "",
        "resource": alerts[0].resource if len(alerts) == 1 else "",
        "title": notification.title,
        "severity": notification.severity,
        "source": notification.source,
        "sender": notification.sender,
        "receiver": notification.receiver,
    }


def _joined(first: Notification, second: Notification) -> Notification:
    said = [it for it in (first, second) if it.is_firing] or (first, second)
    return replace(
        first,
        severity=highest_severity(it.severity for it in said),
        alerts=(*first.alerts, *second.alerts),
        warnings=tuple(dict.fromkeys((*first.warnings, *second.warnings))),
    )


def _warned(notification: Notification, warning: str) -> Notification:
    return replace(notification, warnings=(*notification.warnings, warning))
