"""Triage by people: how grave an incident is, and who deals with it. Pure: no I/O, no clock."""

from dataclasses import dataclass

from versus_py.incidents.copies import replace
from versus_py.incidents.model import Actor, Entry, Event, Incident, SaidSeverity, Status
from versus_py.incidents.policies import Asked
from versus_py.incidents.rounds import PolicyOf, as_before
from versus_py.incidents.severity import highest_severity, is_graver, is_severity, level_of
from versus_py.incidents.transitions import Change, begin_anew, follow_sooner, notice_news, tell
from versus_py.incidents.updates import seen_as, with_content


@dataclass(frozen=True, slots=True)
class Route:
    """Where a person sends an incident: to a policy, with a channel of it to another place, or both."""

    said: str  # for people, such as "to policy leads"
    policy: str = ""  # by its name; "": the one that it has by its labels, or by its request
    channel: str = ""  # the target; "": every channel stays where it is
    place: str = ""
    default_place: str = ""  # where the channel goes by itself

    def is_taken_by(self, incident: Incident) -> bool:
        """Whether it goes there already."""
        policy = incident.policy
        is_there = policy.destinations.get(self.channel, self.default_place) == self.place
        return self.policy in {"", policy.name} and (not self.channel or is_there)


def set_severity(
    incident: Incident, severity: str, by: Actor, now_ms: int, policy_of: PolicyOf = as_before
) -> Change | None:
    """A person says how grave it is, whatever its alerts say, see `updates.with_severity`.

    A graver one is news: its policy is matched anew, and the wait begins again for who dealt with it, unless that is
    the person who says so. None when it is so already, or resolved.
    """
    if incident.status is Status.RESOLVED or _is_the_same(severity, incident.severity):
        return None
    is_raised = is_graver(severity, incident.severity)
    event = Event.SEVERITY_RAISED if is_raised else Event.SEVERITY_CHANGED
    news = (Entry(now_ms, event, f"{incident.severity} → {severity}", by),)
    changed = with_content(incident, _as_said(incident, severity))
    if not is_raised:
        return tell(incident, changed, news, now_ms)
    if _is_dealt_with_by(incident, by):
        changed = replace(changed, seen_severity=severity)
    change = tell(incident, follow_sooner(changed, policy_of(changed, now_ms), now_ms, is_graver=True), news, now_ms)
    begun = notice_news(change.incident, now_ms, policy_of)
    return change if begun is None else change.then(begun)


def route(incident: Incident, to: Route, by: Actor, now_ms: int, policy_of: PolicyOf = as_before) -> Change | None:
    """A person has others deal with it: its escalation starts again, by another policy or in another place.

    A record that it has stays its record. What its request asked of waits, escalating and further targets does not
    count for a policy that a person chose. None when it goes there already, its policy does not tell that channel, or
    it is resolved.
    """
    if incident.status is Status.RESOLVED or to.is_taken_by(incident):
        return None
    routed = _with_asked(incident, to)
    if to.channel and to.channel not in policy_of(routed, now_ms).targets:
        return None
    moved = (to.channel,) if to.channel else ()
    return _begun_elsewhere(routed, moved, to.said, by, now_ms, policy_of)


def rerouted(
    incident: Incident, asked: Asked, said: str, by: Actor, now_ms: int, policy_of: PolicyOf = as_before
) -> Change:
    """The same for all that *asked* says; *said* is for people."""
    before = incident.policy.destinations
    routed = replace(incident, policy=replace(incident.policy, asked=asked))
    after = policy_of(routed, now_ms).destinations
    moved = tuple(it for it in {*before, *after} if before.get(it) != after.get(it))
    return _begun_elsewhere(routed, moved, said, by, now_ms, policy_of)


def _begun_elsewhere(
    routed: Incident, moved: tuple[str, ...], said: str, by: Actor, now_ms: int, policy_of: PolicyOf
) -> Change:
    """Its escalation from the start, the channels *moved* in another place."""
    news = (Entry(now_ms, Event.ROUTED, said, by),)
    routed = replace(routed, moved={**routed.moved, **dict.fromkeys(moved, now_ms)})
    change = begin_anew(routed, news, now_ms, policy_of)
    return replace(change, timers={**_timers_of_records(change.incident, now_ms), **change.timers})


def _timers_of_records(incident: Incident, now_ms: int) -> dict[str, int | None]:
    """For the providers that have one: those that no step to come tells have to hear of it now."""
    return {target: now_ms for target in incident.policy.providers if target in incident.told}


def _as_said(incident: Incident, severity: str) -> Incident:
    """The severity that its alerts have is kept with it."""
    firing = [alert.severity for alert in incident.firing if alert.severity]
    before, asked = incident.said_severity, incident.policy.asked
    if before is None:
        before = SaidSeverity("", incident.severity, "" if asked is None else asked.severity)
    said = replace(before, severity=severity, alerts=highest_severity(firing) if firing else before.alerts)
    return replace(seen_as(incident, severity), severity=severity, said_severity=said)


def _is_the_same(severity: str, other: str) -> bool:
    """Whether it is the same by another name, which no policy may match: that would end the escalation."""
    return severity == other or (is_severity(severity) and level_of(severity) is level_of(other))


def _is_dealt_with_by(incident: Incident, person: Actor) -> bool:
    """Whether that person has acknowledged or snoozed it."""
    by = incident.acknowledged_by if incident.status is Status.ACKNOWLEDGED else None
    by = incident.snooze.by if incident.snooze is not None else by
    return by is not None and (by == person or by.is_same(person))


def _with_asked(incident: Incident, to: Route) -> Incident:
    """What rounds from now on go by; of what an earlier version stored, only the destinations are known."""
    policy = incident.policy
    asked = policy.asked or Asked(destinations=policy.destinations)
    if to.policy:
        asked = replace(asked, policy=to.policy, wait_ms=None, escalates=None, notify=())
    if to.channel:
        asked = replace(asked, destinations={**asked.destinations, to.channel: to.place})
    return replace(incident, policy=replace(policy, asked=asked))
