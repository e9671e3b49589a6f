"""What says of an incident again what is known: it is counted, and nothing else is written. Pure.

Most of what comes is that. What is written with each other change, so that it lasts, is written again with a repeat
once a minute: how long the incident is kept, and its names. So it is with the first repeats after a change, too, until
all alerts were named again: who wrote that may have died, or lost its connection, before it wrote their names.
"""

from msgspec import Struct

from versus_py.incidents.copies import replace
from versus_py.incidents.model import Ending, Incident, IncidentId, Notification, Outcome
from versus_py.incidents.timers import channel_timers
from versus_py.incidents.transitions import Change

NAMED_AGAIN_MAX = 20
"""The most alerts of one incident that a notification of nothing new names again."""

WRITTEN_EVERY_MS = 60_000
"""How long repeats are only counted after an incident was written as a whole."""


class Again(Struct, frozen=True):
    """What the same notification does as long as nothing else happens to its incident: it is counted."""

    incident_id: IncidentId
    dedup_key: str
    written_version: int  # as it was written as a whole
    targets: tuple[str, ...]  # that show how often it was
    until_ms: int  # from then on it is written as a whole


def is_repeat(change: Change, now_ms: int) -> bool:
    """Whether it only counts, so soon after repeats were written as a whole that named all alerts."""
    before = change.before
    if before is None or not _are_named(before, before.confirmations):
        return False
    return now_ms - before.written_at_ms < WRITTEN_EVERY_MS and says_nothing_new(change, now_ms)


def confirmations(change: Change, now_ms: int) -> int:
    """How many repeats will have been written as a whole since the incident changed, once *change* is written so."""
    return change.before.confirmations + 1 if change.before is not None and says_nothing_new(change, now_ms) else 0


def _are_named(incident: Incident, confirmations: int) -> bool:
    return confirmations * NAMED_AGAIN_MAX >= max(len(incident.firing), 1)


def again(change: Change, notification: Notification, now_ms: int) -> Again | None:
    """What *notification* does when it comes once more, after it has led to *change*; None: that is to be decided anew.

    That is so where anything but another change of the incident could make it do something else: what its targets come
    to, what else is known of its sender, or who else lists its alerts.
    """
    before, incident = change.before, change.incident
    if before is None or not says_nothing_new(change, now_ms) or not _is_all_it_says(incident, notification):
        return None
    if before.suppression is not None or before.ending is Ending.FAILED:
        return None
    if before.is_dealt_with and not all(alert.is_seen for alert in before.alerts):
        return None
    is_counted = is_repeat(change, now_ms)
    if not is_counted and not _are_named(incident, before.confirmations + 1):
        return None
    written_version = before.version - before.repeats + (0 if is_counted else 1)
    return Again(
        incident_id=incident.id,
        dedup_key=incident.dedup_key,
        written_version=written_version,
        targets=tuple(channel_timers(incident, now_ms)),
        until_ms=(before.written_at_ms if is_counted else now_ms) + WRITTEN_EVERY_MS,
    )


def says_nothing_new(change: Change, now_ms: int) -> bool:
    """Whether all that it changes is how often the incident was notified of, and when it was last."""
    before, after = change.before, change.incident
    if before is None or change.outcome is not Outcome.UPDATED or change.entries or change.payload:
        return False
    if after.occurrences <= before.occurrences or any(due_ms != now_ms for due_ms in change.timers.values()):
        return False
    return replace(after, occurrences=before.occurrences, updated_at_ms=before.updated_at_ms) == before


def _is_all_it_says(incident: Incident, notification: Notification) -> bool:
    """Whether *notification* lists all that is in the incident, all of it fires, and nobody else lists any of it."""
    lister = notification.lister
    if not lister or notification.asks is not None:
        return False
    if {alert.fingerprint for alert in incident.alerts} != {alert.fingerprint for alert in notification.alerts}:
        return False
    firing = all(alert.is_firing for alert in (*notification.alerts, *incident.alerts))
    return firing and all(alert.listings.keys() == {lister} for alert in incident.alerts)
