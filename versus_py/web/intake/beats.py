"""Beats of heartbeats among what is posted: alerts that must keep coming, and are no incidents."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from versus_py.config import ExpectedHeartbeat
from versus_py.incidents.copies import replace
from versus_py.incidents.heartbeats import Beat, without
from versus_py.incidents.model import Alert, Notification
from versus_py.incidents.policies import Asked
from versus_py.sources import fields


@dataclass(frozen=True, slots=True)
class Found:
    """What a payload says, apart from its beats; None when that is nothing."""

    rest: Notification | None
    beats: tuple[Beat, ...] = ()


def found_in(notification: Notification, expected: Sequence[ExpectedHeartbeat], asked: Asked, sender: str) -> Found:
    """The beats in *notification* of the token *sender*, and what is left.

    An alert that is resolved is no beat, and no incident either. Of a list, an empty rest says that the others in it
    are over.
    """
    labels = [(it, _labels(it)) for it in notification.alerts] if expected else []
    matching = [(alert, said, it) for alert, said in labels for it in expected if it.matches(said)]
    if not matching:
        return Found(notification)
    sent_by = sender or notification.url or notification.source
    beats = [
        replace(beat_of(it, said, asked, sender, sent_by), url=alert.url)
        for alert, said, it in matching
        if alert.is_firing
    ]
    rest = without(notification, tuple(alert for alert, _, _ in matching))
    rest = replace(rest, title=fields.title(rest.title))
    return Found(rest if rest.alerts or rest.group else None, tuple(beats))


def beat_of(expected: ExpectedHeartbeat, labels: Mapping[str, str], asked: Asked, sender: str, sent_by: str) -> Beat:
    """A beat with these *labels*, by a request that *asked* something of its incidents."""
    return Beat(
        heartbeat=expected.name,
        every_ms=expected.every_ms,
        of=expected.of(labels),
        labels=labels,
        asked=replace(asked, policy=expected.policy or asked.policy, severity=""),
        sender=sender,
        sent_by=sent_by,
    )


def _labels(alert: Alert) -> dict[str, str]:
    """What matchers see: its labels, and its severity where they have none."""
    return {"severity": alert.severity, **alert.labels} if alert.severity else dict(alert.labels)
