"""Heartbeats: signals that must keep coming, and the incident that begins when one does not. Pure.

A heartbeat is stored as an incident is, and is none: no list shows it. Its policy has two steps with one target, the
engine's own: at once, and after the time within which the next beat must come. Each beat begins a round. So the second
step begins when no beat has come in time, as an escalation begins when nobody has acknowledged in time: with the same
timer, claim, ledger and retries. The target opens the incident of the silence, and resolves it after the next beat.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from versus_py.incidents.copies import replace
from versus_py.incidents.model import (
    Alert,
    AlertStatus,
    Incident,
    IncidentId,
    Notification,
    Outcome,
    incident_id,
)
from versus_py.incidents.policies import Asked, Policy, Step
from versus_py.incidents.rounds import with_round
from versus_py.incidents.severity import highest_severity
from versus_py.incidents.transitions import Change, begin_step

TARGET = "heartbeat"
"""The target of heartbeats, and the source of the incidents that their silence is."""

LATE_MS = 15_000
"""A silence that is noticed so much later than it was due: nobody was at work, and beats were refused."""

CATCH_UP_MS = 5 * 60_000
"""How long senders then have to come again, if that is less than the usual time."""

VALUE_SHOWN_MAX = 50
"""The most characters of a label's value in the title."""

_PREFIX = "heartbeat-"
_SENT_BY = "sent_by"
_INCIDENT = "incident"


@dataclass(frozen=True, slots=True)
class Beat:
    """A sign of life."""

    heartbeat: str  # its name in the configuration
    every_ms: int  # the next one must come within this time
    of: Mapping[str, str] = field(default_factory=dict)  # the labels that tell it from others of that name
    labels: Mapping[str, str] = field(default_factory=dict)  # those of the alert that it is; *of* at least
    asked: Asked = field(default_factory=Asked)  # what its request asks of the incident that its silence would be
    sender: str = ""  # the name of the intake token that it came with
    sent_by: str = ""  # the same for people, or an address
    url: str = ""  # the page that it came from

    @property
    def key(self) -> str:
        """What heartbeats are told apart by."""
        return heartbeat_key(self.heartbeat, self.of)


def heartbeat_key(name: str, of: Mapping[str, str]) -> str:
    """The dedup key of the heartbeat with that *name* in the configuration, of those labels."""
    # Quoted, as a value may hold anything.
    return "\n".join(("heartbeat", name, *(f"{label}={value!r}" for label, value in sorted(of.items()))))


def heartbeat_id(key: str, installation: str = "") -> IncidentId:
    """Of the heartbeat with that key, for ever."""
    return IncidentId(f"{_PREFIX}{incident_id(key, 0, installation)}")


def is_heartbeat(it: str) -> bool:
    """Whether the id *it* is that of a heartbeat, and not of an incident."""
    return it.startswith(_PREFIX)


def first(beat: Beat, now_ms: int, installation: str = "") -> Change:
    """The heartbeat, from its first beat on."""
    new = Incident(
        id=heartbeat_id(beat.key, installation),
        dedup_key=beat.key,
        source=TARGET,
        title=beat.heartbeat,
        severity="",
        alerts=(),
        policy=Policy(),
        created_at_ms=now_ms,
        updated_at_ms=now_ms,
        waiting_since_ms=now_ms,
        version=1,
    )
    # At once too: Redis may have lost the heartbeat, and not the incident of its silence.
    return Change(_beaten(new, beat, now_ms), Outcome.CREATED, {TARGET: now_ms})


def beaten(heartbeat: Incident, beat: Beat, now_ms: int) -> Change:
    """The heartbeat after a further beat: the time for the next one begins."""
    after = _beaten(heartbeat, beat, now_ms)
    is_known = not is_silent(heartbeat) and heartbeat.delivery(TARGET).reference == dict(reference(None))
    return Change(after, Outcome.UPDATED, {TARGET: after.escalates_at_ms if is_known else now_ms})


def fall_silent(heartbeat: Incident, now_ms: int) -> Change | None:
    """No beat came in time. None when one did.

    After an outage of ours, senders have some time to come again. Only a further outage gives them more.
    """
    due_ms = heartbeat.escalates_at_ms
    if due_ms is not None and now_ms > due_ms + _late_ms(heartbeat, due_ms):
        again_ms = now_ms + min(heartbeat.policy.wait_ms or 0, CATCH_UP_MS)
        return Change(replace(heartbeat, escalates_at_ms=again_ms), Outcome.UPDATED, {TARGET: again_ms})
    change = begin_step(heartbeat, now_ms)
    return None if change is None else replace(change, entries=())


def is_silent(heartbeat: Incident) -> bool:
    """Whether the time for its next beat is over."""
    return heartbeat.is_escalating


def expected_by_ms(heartbeat: Incident) -> int:
    """When the beat after the last one is due; of one that is silent, when it was."""
    due_ms = heartbeat.escalates_at_ms
    return heartbeat.waiting_since_ms + (heartbeat.policy.wait_ms or 0) if due_ms is None else due_ms


def reference(opened: IncidentId | None) -> Mapping[str, str]:
    """What the target keeps with a heartbeat: the incident of the silence that goes on."""
    return {_INCIDENT: opened or ""}


def opened_incident(heartbeat: Incident) -> IncidentId | None:
    """The incident of the silence that goes on; None without one."""
    found = heartbeat.delivery(TARGET).reference.get(_INCIDENT)
    return IncidentId(found) if found and is_silent(heartbeat) else None


def labels_of(heartbeat: Incident) -> Mapping[str, str]:
    """Those of its last beat."""
    return heartbeat.alerts[0].labels if heartbeat.alerts else {}


def sent_by(heartbeat: Incident) -> str:
    """Who sent the last beat."""
    return heartbeat.alerts[0].annotations.get(_SENT_BY, "") if heartbeat.alerts else ""


def called(name: str, of: Mapping[str, str]) -> str:
    """What people call the heartbeat with that *name* and *of* as its labels, in one line that a terminal can show."""
    labels = ", ".join(f"{label}={_one_line(value) or 'none'}" for label, value in of.items())
    return f"{name} ({labels})" if labels else name


def notification_of(heartbeat: Incident, of: Mapping[str, str], *, every: str, severity: str) -> Notification:
    """What the heartbeat, with *of* as its labels, says of the incident of its silence: that it goes on, or is over.

    *every* is how often it has to come, as the configuration writes it.
    """
    name = called(heartbeat.title, of)
    alert = Alert(
        fingerprint=heartbeat.dedup_key.replace("\n", " "),
        status=AlertStatus.FIRING if is_silent(heartbeat) else AlertStatus.RESOLVED,
        labels={**labels_of(heartbeat), "heartbeat": heartbeat.title, "severity": severity},
        annotations={"description": _description(heartbeat, every)},
        starts_at_ms=heartbeat.waiting_since_ms if is_silent(heartbeat) else None,
        ends_at_ms=None if is_silent(heartbeat) else heartbeat.waiting_since_ms,
        severity=severity,
        url=heartbeat.alerts[0].url if heartbeat.alerts else "",
    )
    return Notification(
        source=TARGET,
        title=f"{name} has been silent for {every}",
        severity=severity,
        alerts=(alert,),
        dedup_key=f"silence of\n{heartbeat.dedup_key}",
        sender=heartbeat.sender,
        is_keyed=True,
        is_complete=True,
        url=heartbeat.url,
    )


def without(notification: Notification, beats: tuple[Alert, ...]) -> Notification:
    """*notification* without those of its alerts that are *beats*, called after what is left."""
    if not beats:
        return notification
    taken = set(map(id, beats))
    alerts = tuple(it for it in notification.alerts if id(it) not in taken)
    firing = [it for it in alerts if it.is_firing] or alerts
    titles = dict.fromkeys(it.title for it in firing if it.title)
    names = dict.fromkeys(it.name for it in firing)
    title = next(iter(titles)) if len(titles) == 1 else ", ".join(names)
    severities = [it.severity for it in firing if it.severity]
    return replace(
        notification,
        alerts=alerts,
        title=title or notification.title,
        severity=highest_severity(severities) if severities else notification.severity,
    )


def _late_ms(heartbeat: Incident, due_ms: int) -> int:
    """How late its silence may be noticed so that it counts: more after senders had more time.

    Else a worker that is always a little late, as under load, would put it off for ever.
    """
    is_put_off = due_ms > heartbeat.waiting_since_ms + (heartbeat.policy.wait_ms or 0)
    return CATCH_UP_MS if is_put_off else LATE_MS


def _beaten(heartbeat: Incident, beat: Beat, now_ms: int) -> Incident:
    policy = Policy(steps=(Step((TARGET,)), Step((TARGET,), beat.every_ms)), asked=beat.asked)
    said = {_SENT_BY: beat.sent_by}
    alert = Alert(TARGET, AlertStatus.FIRING, labels=beat.labels, annotations=said, url=beat.url)
    alive = replace(heartbeat, alerts=(alert,), sender=beat.sender, updated_at_ms=now_ms, waiting_since_ms=now_ms)
    return with_round(alive, policy, now_ms)


def _one_line(value: str) -> str:
    line = " ".join("".join(char if char.isprintable() else " " for char in value).split())
    return line if len(line) <= VALUE_SHOWN_MAX else f"{line[: VALUE_SHOWN_MAX - 1]}…"


def _description(heartbeat: Incident, every: str) -> str:
    last = datetime.fromtimestamp(heartbeat.waiting_since_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    when = f"{last}, from {sent_by(heartbeat)}" if sent_by(heartbeat) else last
    if not is_silent(heartbeat):
        return f"The heartbeat came again at {when}."
    what_to_do = "look whether its sender runs, and reaches this server"
    return f"The last heartbeat came at {when}. One has to come every {every}: {what_to_do}."
