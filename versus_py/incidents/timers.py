"""Which timers a change arms or disarms: target -> when its sync is due, in ms; None: it is not. Pure."""

from versus_py.incidents.model import Actor, Ending, Entry, Incident, Notification, Status

IDENTIFY_MS = 2000
"""The on-call provider hears this much later of what somebody did who is known by an id only: soon by name too.

So does every channel of what such a person wrote: a reply in a thread keeps the name that it is posted with.
"""


def channel_timers(incident: Incident, at_ms: int) -> dict[str, int | None]:
    """For the channels that may show it."""
    return {target: at_ms for target in incident.told if target not in incident.providers}


def record_timers(incident: Incident, at_ms: int) -> dict[str, int | None]:
    """For the providers that may have a record; while nobody has dealt with it, those called in the present wait.

    The ticket that it came from is a record from the start.
    """
    is_open = incident.status is Status.TRIGGERED
    told = (target for target in incident.providers if target in incident.told)
    return {it: at_ms for it in told if not is_open or incident.is_called(it) or it == incident.origin}


def told_timers(incident: Incident, at_ms: int) -> dict[str, int | None]:
    return channel_timers(incident, at_ms) | record_timers(incident, at_ms)


def due_timers(incident: Incident) -> dict[str, int | None]:
    """For who is told by a step to come, and was not yet in this wait: else it comes back by itself."""
    dues = {target: incident.due_ms(target) for target in incident.policy.targets if target not in incident.calls}
    return {target: due_ms for target, due_ms in dues.items() if due_ms is not None}


def sooner_timers(before: Incident, after: Incident, now_ms: int) -> dict[str, int | None]:
    """For who was told before, and comes back too late: at the time that its next step had before."""
    dues = {target: (before.due_ms(target), after.due_ms(target)) for target in after.calls}
    sooner = (it for it, (old, new) in dues.items() if new is not None and (old is None or new < old))
    return dict.fromkeys(sooner, now_ms)


def watch_timer(incident: Incident, now_ms: int) -> dict[str, int | None]:
    """For what is seen to with the keeper, after people dealt with the incident.

    That is when the acknowledgment ends, or before that when the keeper wants to look again. At once where the
    incident may be over. A channel that shows it comes back by itself.
    """
    keeper, ends_at_ms = incident.policy.keeper, incident.ack_ends_at_ms
    if keeper is None:
        return {}
    if incident.may_be_over:
        return {keeper: now_ms}
    if ends_at_ms is None:
        return {} if keeper in incident.told else {keeper: None}
    if keeper in channel_timers(incident, now_ms):
        return {}
    look_ms = incident.delivery(keeper).look_again_at_ms
    return {keeper: ends_at_ms if look_ms is None else min(look_ms, ends_at_ms)}


def all_timers(incident: Incident, now_ms: int) -> dict[str, int | None]:
    """For all that may show it now, and for who is told by a step to come."""
    timers = due_timers(incident) | channel_timers(incident, now_ms) | dict.fromkeys(incident.calls, now_ms)
    timers |= {incident.origin: now_ms} if incident.origin else {}
    if incident.fallback_due_ms is not None:
        timers |= dict.fromkeys(incident.policy.fallback.targets if incident.policy.fallback else (), now_ms)
    return timers


def fallback_timer(incident: Incident) -> dict[str, int | None]:
    """For an escalation that has just begun: to look then whether the first provider has it."""
    fallback = incident.policy.fallback
    if fallback is None or not incident.is_called(fallback.targets[0]):
        return {}
    return dict.fromkeys(fallback.targets, incident.fallback_due_ms)


def known_by_ms(by: Actor, now_ms: int) -> int:
    """When it should be known who that is."""
    return now_ms + IDENTIFY_MS if by.ids and not by.email else now_ms


def timers_after_the_wait(incident: Incident, by: Actor, now_ms: int) -> dict[str, int | None]:
    """Channels show the news at once; providers hear of it only if they were called before, and others never."""
    at_ms = known_by_ms(by, now_ms)
    never = {target: None for target in incident.policy.targets if target not in incident.told}
    timers = never | channel_timers(incident, now_ms) | record_timers(incident, at_ms)
    is_told = incident.policy.keeper in incident.told
    return timers if is_told else timers | watch_timer(incident, now_ms)


def timers_of_update(
    before: Incident, after: Incident, news: tuple[Entry, ...], notification: Notification, now_ms: int
) -> dict[str, int | None]:
    timers = channel_timers(after, now_ms)
    is_due_otherwise = after.escalates_at_ms != before.escalates_at_ms or due_timers(after) != due_timers(before)
    if after.is_waiting and is_due_otherwise:
        timers |= all_timers(after, now_ms)
    if after.ack_ends_at_ms != before.ack_ends_at_ms or after.may_be_over is not before.may_be_over:
        timers |= watch_timer(after, now_ms)
    if news or after.content_count != before.content_count:
        timers |= record_timers(after, now_ms)
    # Without news too when it failed: it goes on, and perhaps somebody has repaired what was wrong. What is said to
    # be silenced is looked at again: Alertmanager does not tell of what is.
    if after.ending is Ending.FAILED:
        timers |= dict.fromkeys((*after.escalations, *after.providers), now_ms)
    elif after.suppression is not None and notification.is_firing:
        timers |= dict.fromkeys(after.next_targets, now_ms)
    return timers
