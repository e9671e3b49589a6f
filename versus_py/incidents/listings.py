"""When an alert is over, by what everybody who lists it says. Pure.

Several senders may list one alert: the peers of an Alertmanager cluster, two independent ones with the same chart, or
one with two routes. What each of them last said is kept with the alert (`Alert.listings`).

- Listed as resolved: over for who lists it so. For the others too when they are the same sender by its token, or when
  it began at the same time: peers of one cluster agree on that, and independent senders do not.
- Of one sender, an alert has one start. Another one means that it moved: a restart, or replicas of Prometheus that were
  merged. A start that comes back after that is of another Alertmanager with the same address; each then has its end.
- Left out of a complete list: over for that lister, provided that its sender never lists resolved alerts
  (`send_resolved: false`). Where it does, what is left out is silenced, inhibited, or lost in a reload: it still fires.
  So it does where what was left out came back as if nothing had happened.
- An alert fires for as long as it does for anybody.

What comes without a name for its list, as from most sources, is listed by "": nobody in particular, for whom everybody
speaks.
"""

from collections.abc import Mapping

from versus_py.incidents.copies import replace
from versus_py.incidents.model import (
    TOKEN_SENDER,
    Alert,
    AlertStatus,
    Listing,
    Notification,
    earlier,
    is_earlier,
    sender_of,
)
from versus_py.incidents.updates import MAX_ALERTS

LISTERS_MAX = 20
"""The most listers of one alert: an address that changes with every restart must not fill a record."""

NOBODY = ""
"""The lister of what is in no list."""

PAST_STARTS_MAX = 3
"""The most earlier starts of one alert that are remembered: enough to tell two senders, and a late copy."""


def merged(
    known: tuple[Alert, ...], notification: Notification, now_ms: int, *, seen_at_ms: int | None = None
) -> tuple[Alert, ...]:
    """The alerts of an incident after *notification*, in their order; *known* itself when nothing has changed.

    *seen_at_ms* is when the incident was acknowledged, or escalated.
    """
    lister = notification.lister
    reports = notification.reports_resolves or notification.lists_resolves
    was_cut = len(known) >= MAX_ALERTS
    found = {alert.fingerprint: alert for alert in known}
    if not notification.is_complete:
        seen_at_ms = None
    listed = set()
    for told in notification.alerts:
        listed.add(told.fingerprint)
        before = found.get(told.fingerprint)
        if before is None:
            found[told.fingerprint] = _first_told(told, lister, seen_at_ms if was_cut else None)
        else:
            found[told.fingerprint] = _told(before, told, lister, seen_at_ms)
    for fingerprint, alert in found.items():
        if fingerprint not in listed:
            found[fingerprint] = _left_out(alert, notification, lister, now_ms, reports=reports)
    after = tuple(found.values())
    return known if after == known else after


def omits_what_fires(known: tuple[Alert, ...], notification: Notification) -> bool:
    """Whether *notification* lists what its lister had left out, from the same start: so that was not over.

    Two Alertmanagers with one address look like a sender that leaves out, in turns, what the other one lists.
    """
    lister = notification.lister
    left_out = {
        alert.fingerprint: alert for alert in known if not alert.is_firing and alert.unlisted_since_ms is not None
    }
    pairs = ((left_out.get(told.fingerprint), told) for told in notification.alerts if told.is_firing)
    return bool(lister) and any(
        alert is not None
        and lister in alert.listings
        and told.starts_at_ms is not None
        and alert.listings[lister].starts_at_ms == told.starts_at_ms
        for alert, told in pairs
    )


def seen(alerts: tuple[Alert, ...]) -> tuple[Alert, ...]:
    """*alerts*, as people know them now."""
    return tuple(replace(alert, listings=_seen(_listings(alert))) for alert in alerts)


def ended(alerts: tuple[Alert, ...], now_ms: int) -> tuple[Alert, ...]:
    """*alerts*, over for everybody."""
    return tuple(_over(alert, now_ms) if alert.is_firing else alert for alert in alerts)


def _over(alert: Alert, now_ms: int) -> Alert:
    listings = {name: replace(it, is_firing=False, has_moved=False) for name, it in _listings(alert).items()}
    return replace(alert, status=AlertStatus.RESOLVED, ends_at_ms=now_ms, listings=listings, unlisted_since_ms=None)


def _first_told(told: Alert, lister: str, known_until_ms: int | None) -> Alert:
    """An alert that is not known; where too many were there to be kept, what began until then may have been in it."""
    is_seen = known_until_ms is not None and told.starts_at_ms is not None and told.starts_at_ms <= known_until_ms
    listing = Listing(told.starts_at_ms, is_firing=told.is_firing, is_seen=is_seen)
    return replace(told, listings={lister: listing}, unlisted_since_ms=None)


def _told(known: Alert, told: Alert, lister: str, seen_at_ms: int | None) -> Alert:
    """An alert after *lister* has told it; *seen_at_ms* None: a start that moves begins nothing new."""
    if _is_repeat(known, told, lister):
        return known
    listings = dict(_listings(known)) if known.is_firing or not told.is_firing else _of_the_past(known)
    name = _name_in(listings, lister, told)
    before = listings.pop(name, None) or listings.pop(NOBODY, None)
    if _is_stale(told, before, name):
        return known
    if told.is_firing:
        is_seen = _was_seen(told, before, listings, seen_at_ms)
        listings = _as_moved(listings, before, told, lister)
        listings[name] = Listing(told.starts_at_ms, is_firing=True, is_seen=is_seen)
    else:
        ended = replace(before or Listing(), is_firing=False, has_moved=False)
        starts_at_ms = told.starts_at_ms if told.starts_at_ms is not None else ended.starts_at_ms
        listings = {
            name: replace(it, is_firing=False, has_moved=False) if _speaks_for(lister, told, name, it) else it
            for name, it in listings.items()
        }
        if lister in listings and listings[lister].is_firing:  # that one is of somebody else then
            other = listings.pop(lister)
            listings[earlier(lister, other.starts_at_ms)] = other
            name = lister
        listings[name] = replace(ended, starts_at_ms=starts_at_ms)
        if any(it.is_firing for it in listings.values()):
            return replace(known, listings=_bounded(listings))
    starts = [it.starts_at_ms for it in listings.values() if it.is_firing and it.starts_at_ms is not None]
    if not told.is_firing:  # some say when it ended, or nothing, in place of when it began
        starts = [at_ms for at_ms in (known.starts_at_ms, told.starts_at_ms) if at_ms is not None]
    starts_at_ms = min(starts) if starts else told.starts_at_ms
    said = told if told.is_firing else _with_what_is_known(told, known)
    return replace(said, listings=_bounded(listings), starts_at_ms=starts_at_ms, unlisted_since_ms=None)


def _with_what_is_known(told: Alert, known: Alert) -> Alert:
    """An end with what the alert said before: many senders only name what has ended, and people ask what it was."""
    return replace(
        told,
        labels={**known.labels, **told.labels},
        annotations={**known.annotations, **told.annotations},
        links={**known.links, **told.links},
        title=told.title or known.title,
        severity=told.severity or known.severity,
        url=told.url or known.url,
        resource=told.resource or known.resource,
    )


def _of_the_past(alert: Alert) -> dict[str, Listing]:
    """The listings of an alert that was over and fires anew."""
    return {name: replace(it, has_moved=False, is_past=True) for name, it in _listings(alert).items()}


def _name_in(listings: Mapping[str, Listing], lister: str, told: Alert) -> str:
    """What the listing is kept as: its lister's name, or that of an earlier start of the same lister."""
    name = earlier(lister, told.starts_at_ms)
    return name if name in listings else lister


def _as_moved(listings: Mapping[str, Listing], before: Listing | None, told: Alert, lister: str) -> dict[str, Listing]:
    """The other *listings* when *lister* gives the start of *told*: a new one takes the place of its sender's others.

    A start that is known displaces nothing: who gives it may be somebody else than who gave the others. Nor does one
    that comes after an end: the others go on beside it.
    """
    others = dict(listings)
    if lister == NOBODY or (before is not None and before.starts_at_ms == told.starts_at_ms):
        return others
    sender = sender_of(lister)
    is_next = before is not None and not before.is_firing and not before.has_moved
    is_new = not is_next and told.starts_at_ms not in {
        it.starts_at_ms for name, it in listings.items() if sender_of(name) == sender
    }
    if before is not None and before.starts_at_ms is not None:
        others[earlier(lister, before.starts_at_ms)] = before
    return {
        name: replace(it, is_firing=False, has_moved=True)
        if is_new and it.is_firing and sender_of(name) == sender
        else it
        for name, it in others.items()
    }


def _is_repeat(known: Alert, told: Alert, lister: str) -> bool:
    """Whether *lister* only says again what it said; most of what comes is that, and there may be a thousand."""
    before = known.listings.get(lister)
    return (
        told.is_firing
        and before is not None
        and before.is_firing
        and before.starts_at_ms == told.starts_at_ms == known.starts_at_ms
        and known.is_firing
        and known.unlisted_since_ms is None
        and (known.labels, known.annotations, known.links) == (told.labels, told.annotations, told.links)
        and (known.title, known.severity, known.url, known.resource)
        == (told.title, told.severity, told.url, told.resource)
    )


def _was_seen(told: Alert, before: Listing | None, others: Mapping[str, Listing], seen_at_ms: int | None) -> bool:
    """Whether what fires now was in the incident when people dealt with it.

    Alertmanager moves a start back when it merges what several Prometheus say; so it is still the same, unless it began
    after people dealt with the one before: the end of that was not told, as that of a silenced alert is not.
    """
    is_same = before is not None and before.starts_at_ms == told.starts_at_ms
    if before is not None and before.is_seen and (before.is_firing or is_same):
        starts_at_ms = told.starts_at_ms
        began_anew = seen_at_ms is not None and starts_at_ms is not None and starts_at_ms > seen_at_ms
        return is_same or not began_anew
    return any(it.is_seen and it.starts_at_ms == told.starts_at_ms for it in others.values())


def _speaks_for(lister: str, told: Alert, name: str, listing: Listing) -> bool:
    """Whether what *lister* lists as resolved is over for the lister *name* too."""
    if NOBODY in {lister, name}:
        return True
    sender = sender_of(lister)
    is_same_sender = sender.startswith(TOKEN_SENDER) and sender == sender_of(name)
    return is_same_sender or (told.starts_at_ms is not None and listing.starts_at_ms == told.starts_at_ms)


def _left_out(alert: Alert, notification: Notification, lister: str, now_ms: int, *, reports: bool) -> Alert:
    """An alert that is not in the list."""
    was_left_out = not alert.is_firing and alert.unlisted_since_ms is not None
    if reports and was_left_out and any(sender_of(it) == sender_of(lister) for it in alert.listings):
        return _revived(alert, lister)
    listings = _listings(alert)
    names = [name for name, it in listings.items() if it.is_firing and (name == NOBODY or _is_of(lister, name))]
    if not notification.is_complete or not alert.is_firing or not names:
        return alert
    if reports or len(names) > 1:  # of two with one address, the list says nothing about the other's
        since_ms = now_ms if alert.unlisted_since_ms is None else alert.unlisted_since_ms
        return replace(alert, unlisted_since_ms=since_ms)
    listings = {name: replace(it, is_firing=it.is_firing and name not in names) for name, it in listings.items()}
    if any(it.is_firing for it in listings.values()):
        return replace(alert, listings=listings)
    return replace(alert, status=AlertStatus.RESOLVED, ends_at_ms=now_ms, listings=listings, unlisted_since_ms=now_ms)


def _is_of(lister: str, name: str) -> bool:
    return name == lister or name.startswith(f"{lister}.")


def _revived(alert: Alert, lister: str) -> Alert:
    """It was taken to be over, as its sender seemed to list no resolved alerts; now it has."""
    listings = {
        name: replace(it, is_firing=it.is_firing or (sender_of(name) == sender_of(lister) and not is_earlier(name)))
        for name, it in alert.listings.items()
    }
    return replace(alert, status=AlertStatus.FIRING, ends_at_ms=None, listings=listings)


def _is_stale(told: Alert, before: Listing | None, name: str) -> bool:
    """Whether *told* is older news than what its lister said *before*.

    An end counts by itself: Alertmanager may move a start back, merging replicas. What fires is a late copy where that
    start is known to be over, and another one has come since.
    """
    if before is None or before.starts_at_ms is None:
        return False
    if told.is_firing and name != NOBODY:
        return is_earlier(name) and not before.is_firing and not before.has_moved
    said_ms = [told.starts_at_ms, None if told.is_firing else told.ends_at_ms]
    latest_ms = max((it for it in said_ms if it is not None), default=None)
    return latest_ms is not None and latest_ms < before.starts_at_ms


def _listings(alert: Alert) -> Mapping[str, Listing]:
    return alert.listings or {NOBODY: Listing(alert.starts_at_ms, alert.is_firing)}


def _seen(listings: Mapping[str, Listing]) -> dict[str, Listing]:
    return {name: replace(it, is_seen=True) for name, it in listings.items()}


def _bounded(listings: dict[str, Listing]) -> dict[str, Listing]:
    """Without the oldest ones when there are too many; those for whom it is over go first."""
    past = [name for name, it in listings.items() if is_earlier(name) and not it.is_firing]
    for name in past[:-PAST_STARTS_MAX]:
        del listings[name]
    for is_firing in (False, True):
        for name in [name for name, it in listings.items() if it.is_firing is is_firing]:
            if len(listings) <= LISTERS_MAX:
                return listings
            del listings[name]
    return listings
