"""What an incident is: its alerts, its policy, how far its targets are. Pure data: no I/O, no clock."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from hashlib import sha256
from operator import attrgetter
from typing import Any, NewType

from msgspec import Struct, field
from propcache.api import cached_property

from versus_py.incidents.copies import replace
from versus_py.incidents.partitions import partition_of
from versus_py.incidents.policies import Policy
from versus_py.incidents.sides import Report, Side

IncidentId = NewType("IncidentId", str)

NAME_MAX = 100
"""The most characters of an alert's name where several are listed."""

FALLBACK_GRACE_MS = 5 * 60_000
"""How much longer a first on-call provider gets that has not failed: it may only wait for its turn, or for a worker."""

SUPPRESSED_LOOK_MS = 5 * 60_000
"""The longest time between two looks at what is silenced or inhibited."""

ACK_MAX_MS = 7 * 24 * 3600_000
"""The longest that an acknowledgment with a timeout lasts, whatever people do meanwhile."""

TOKEN_SENDER = "t"  # noqa: S105 - no secret
"""What the name of a lister begins with whose sender is known by its token."""

INCIDENT_ID = "[0-9a-f]{20}-[0-9]{1,2}"
"""A regular expression for the ids that `incident_id` makes."""


class Status(StrEnum):
    """Where an incident stands."""

    TRIGGERED = "triggered"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


class AlertStatus(StrEnum):
    """Whether one alert is happening."""

    FIRING = "firing"
    RESOLVED = "resolved"


class Outcome(StrEnum):
    """What a notification did."""

    CREATED = "created"
    UPDATED = "updated"
    RESOLVED = "resolved"
    REOPENED = "reopened"
    IGNORED = "ignored"


class Ending(StrEnum):
    """How an incident's wait ended; see `Incident.ending`."""

    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"
    SUPPRESSED = "suppressed"
    ESCALATED = "escalated"
    FAILED = "failed"


class Event(StrEnum):
    """What an entry of the timeline is about."""

    TRIGGERED = "triggered"
    WARNING = "warning"
    POSTED = "posted"
    JOINED = "joined"
    LEFT = "left"
    SEVERITY_RAISED = "severity raised"
    SEVERITY_CHANGED = "severity changed"
    RESCHEDULED = "escalation rescheduled"
    ROUTED = "routed"
    ACKNOWLEDGED = "acknowledged"
    COMMENTED = "commented"
    ACK_RENEWED = "acknowledgment renewed"
    ACK_ENDED = "acknowledgment ended"
    UNACKNOWLEDGED = "unacknowledged"
    IDENTIFIED = "identified"
    SNOOZED = "snoozed"
    SNOOZE_OVER = "snooze over"
    SUPPRESSED = "suppressed"
    HELD = "held"
    HOLD_ENDED = "hold ended"
    WAIT_ENDED = "wait ended"
    ESCALATING = "escalating"
    CALLED_AGAIN = "called again"
    ESCALATED = "escalated"
    FAILED = "failed"
    GIVEN_UP = "given up"
    REFUSED = "refused"
    RETRY = "retry"
    RESOLVED = "resolved"
    REOPENED = "reopened"
    RETRIGGERED = "triggered again"
    ASSIGNED = "assigned"
    ON_HOLD = "put on hold"
    REOPENED_THERE = "record reopened"
    STILL_FIRING = "still firing"
    REPAIRED = "found by comparing"

    @classmethod
    def _missing_(cls, value: object) -> "Event | None":
        """An event that only a newer version knows: it is shown and kept as it is written."""
        if not isinstance(value, str):
            return None
        unknown = str.__new__(cls, value)
        unknown._name_ = unknown._value_ = value
        return unknown


class Listing(Struct, frozen=True):
    """What one lister last said of an alert."""

    starts_at_ms: int | None = None
    is_firing: bool = True
    is_seen: bool = False  # it was in the incident when that was acknowledged, snoozed, or escalated
    has_moved: bool = False  # it fired, and its sender has given another start since
    is_past: bool = False  # it was over before the alert fired anew


class Alert(Struct, frozen=True, dict=True):
    """One thing that fires and resolves."""

    fingerprint: str
    status: AlertStatus
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    starts_at_ms: int | None = None  # None: its source does not say
    ends_at_ms: int | None = None
    title: str = ""  # what it would be called on its own; "" where that is its notification's title
    severity: str = ""
    url: str = ""  # where the alert came from: the expression's graph, a rule's page
    resource: str = ""  # what it is about, by the name its source has for it: a host, an instance, a pod
    links: Mapping[str, str] = field(default_factory=dict)  # further pages: what to call one -> its URL
    listings: Mapping[str, Listing] = field(default_factory=dict)  # `Notification.lister` -> what it last said
    unlisted_since_ms: int | None = None  # its lister has left it out since then, and did not say that it is over

    @property
    def is_firing(self) -> bool:
        return self.status is AlertStatus.FIRING

    @property
    def is_seen(self) -> bool:
        """Whether what fires was in the incident when it was acknowledged, snoozed, or escalated."""
        return any(it.is_firing and it.is_seen for it in self.listings.values())

    @property
    def is_in_doubt(self) -> bool:
        """Whether it may be over although nobody says so: it is left out, or over for somebody else who listed it."""
        is_over_for_one = any(not it.is_firing and not it.has_moved for it in self._latest_listings.values())
        return self.is_firing and (self.unlisted_since_ms is not None or is_over_for_one)

    @property
    def senders(self) -> Counter[str]:
        """How many there are, at the least, behind the tokens or addresses of those who have listed it.

        Of those who agree on when it began, the last: they are peers, or one that has another address now.
        """
        live = {it.starts_at_ms: sender_of(name) for name, it in self.listings.items() if it.is_firing or it.has_moved}
        over = {it.starts_at_ms: sender_of(name) for name, it in self._latest_listings.items()}
        gone = {sender for starts_at_ms, sender in over.items() if starts_at_ms not in live}
        return Counter(sender for sender in live.values() if sender) | Counter(sender for sender in gone if sender)

    @property
    def _latest_listings(self) -> dict[str, Listing]:
        """The last one of each lister, since the alert fires."""
        return {name: it for name, it in self.listings.items() if not is_earlier(name) and not it.is_past}

    @cached_property
    def text_size(self) -> int:
        """How many characters it holds, but for the short ones."""
        labels, annotations, links = self.labels, self.annotations, self.links
        texts = [*labels, *labels.values(), *annotations, *annotations.values(), *links, *links.values()]
        return len("".join(texts))  # a fraction of the time that a sum of their lengths takes

    @property
    def name(self) -> str:
        """A few words to tell it from others."""
        name = self.labels.get("alertname") or self.title or self.fingerprint
        return (f"{name} on {self.resource}" if self.resource and self.resource not in name else name)[:NAME_MAX]


class SenderRequest(Struct, frozen=True):
    """What a sender wants to happen to an incident that is known, beside what it says of the alerts."""

    acknowledges: bool = False
    comment: str = ""  # "": none
    title: str = ""  # instead of the present one
    description: str = ""  # of its alert, instead of the present one


class Notification(Struct, frozen=True, dict=True):
    """What one payload says about one incident."""

    source: str
    title: str
    severity: str
    alerts: tuple[Alert, ...]
    severity_sent: str = ""  # the name in full that its severity was read from; "": that is the whole name
    dedup_key: str | None = None  # None: the source has no identity to offer, so this is an incident of its own
    older_keys: tuple[str, ...] = ()  # what earlier versions, or fewer settings, made of the same identity
    sender: str = ""  # the name of the intake token that it came with
    group: str = ""  # its sender's name for the list that this is, such as Alertmanager's groupKey; "": it is no list
    namespace: str = ""  # what alerts' fingerprints are unique in, beside source and receiver: Grafana's organisation
    receiver: str = ""  # the sender's name for where it sends this, such as Alertmanager's receiver
    is_complete: bool = False  # it lists everything of its group that fires
    is_keyed: bool = False  # the configuration's template made its key, so that nothing else tells its incident
    is_keyed_by_sender: bool = False  # its sender says later what to do by the key alone, and no template makes another
    is_titled: bool = True  # the payload has a title of its own; else its key or its fields stand in for one
    is_ungrouped: bool = False  # its alerts came in one payload by chance: each is an incident of its own
    reports_resolves: bool = False  # its origin has listed resolved alerts: what it leaves out is not over
    truncated_alerts: int = 0  # alerts that the sender cut off
    url: str = ""
    asks: SenderRequest | None = None  # to happen to the incident, if it is known; without alerts, that is all it says
    warnings: tuple[str, ...] = ()
    payload: Mapping[str, Any] | None = None  # the body that says so, where it is to be kept

    @cached_property
    def is_firing(self) -> bool:
        return any(alert.is_firing for alert in self.alerts)

    @cached_property
    def lists_resolves(self) -> bool:
        return any(not alert.is_firing for alert in self.alerts)

    @cached_property
    def lister(self) -> str:
        """Who lists its alerts: a short name of the sender, a dot, and one of its list; "" for what is no list.

        The sender is the token where there is one, else the address that it gives as its own. The peers of one
        Alertmanager cluster have different addresses, and two clusters may have lists of the same name.
        """
        if not self.group:
            return ""
        sender = f"{TOKEN_SENDER}{_short(self.sender)}" if self.sender else f"u{_short(self.url)}"
        return f"{sender}.{_short(self.group)}"

    @property
    def origin(self) -> str:
        """The sender and its receiver: whether resolved alerts are sent is a setting of the two. "": it is no list."""
        return f"{self.sender or self.url}\n{self.receiver}" if self.group else ""


PolicyFor = Callable[[Notification, int], Policy]
"""The policy of the incident that a notification creates at some time; each of a request's has its own."""


class Comment(Struct, frozen=True):
    """What somebody wrote on a target's side of the incident."""

    at_ms: int
    by: str
    text: str
    email: str = ""  # of who wrote it; "": not known


class Delivery(Struct, frozen=True, eq=False):  # noqa: PLW1641 - it holds mappings
    """How far one target is in sync."""

    reference: Mapping[str, str] = field(default_factory=dict)  # what the target needs to find its side again
    label: str = ""  # what people call it, such as INC0010001
    url: str = ""  # where people look at it
    locator: str = ""  # what requests of the target's system name it by, such as a channel and a message; "": nothing
    version: int = 0  # the incident's version that it shows
    synced_at_ms: int | None = None  # what it shows is at least as new as this
    note: str = ""  # what people should know of it, such as that it went to another channel
    end_note: str = ""  # how its end over there is another than it should have been
    attempts: int = 0  # without success since the last one
    attempts_without_effect: int = 0  # how many of these surely did nothing
    failing_since_ms: int | None = None
    failed_at_ms: int | None = None  # given up; the next change of the incident, or somebody's word, tries once more
    error: str = ""
    is_refused: bool = False  # it fails because our credentials are refused
    is_late: bool = False  # it fails for so long that people have to hear of it
    retry_at_ms: int | None = None  # when it is tried again, where that is not soon
    look_again_at_ms: int | None = None  # when to sync again although nothing changes until then; None: no need
    comments: tuple[Comment, ...] = ()  # the latest that people wrote there, oldest first
    comment_count: int = 0  # how many there ever were: the number of the last one
    is_over: bool | None = None  # people have closed it over there, whatever the incident is; None: nobody looks
    over_since_ms: int | None = None  # when that was seen first
    touched_at_ms: int | None = None  # when somebody was last seen to work on it over there, beside comments
    settles_at_ms: int | None = None  # until when what an attempt sent may still take effect: not to be sent again
    report: Report | None = None  # how this sync saw the record; not stored
    unknown: Mapping[str, Any] = field(default_factory=dict)  # what a newer version wrote, as it is stored

    def __eq__(self, other: object) -> bool:
        """Whether all that is stored of both is the same."""
        return isinstance(other, Delivery) and _stored_of_delivery(self) == _stored_of_delivery(other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def unless_given_up_by(self, at_ms: int) -> "Delivery":
        """This one, but for a failure of that time or before it: somebody asked to try again.

        That there were attempts stays: any of them may have had an effect that nobody recorded.
        """
        if self.failed_at_ms is None or self.failed_at_ms > at_ms:
            return self
        return replace(self.mended(), failed_at_ms=None)

    def mended(self) -> "Delivery":
        """Nothing is in the way any more, as far as is known."""
        return replace(self, failing_since_ms=None, error="", is_refused=False, is_late=False, retry_at_ms=None)


_NO_DELIVERY = Delivery()
_stored_of_delivery = attrgetter(*(it for it in Delivery.__struct_fields__ if it != "report"))


class Actor(Struct, frozen=True):
    """Who does something to an incident: a person, or a source that says that it is over."""

    name: str
    email: str = ""  # "": not known
    ids: Mapping[str, str] = field(default_factory=dict)  # system -> what it calls this person

    def __str__(self) -> str:
        return f"{self.name} ({self.email})" if self.email else self.name

    def is_same(self, other: "Actor") -> bool:
        """Whether some system calls both the same."""
        return any(other.ids.get(system) == user_id for system, user_id in self.ids.items())


class Entry(Struct, frozen=True):
    """One line of an incident's timeline."""

    at_ms: int
    event: Event
    detail: str = ""
    by: Actor | None = None
    said_at: str = ""  # the target at which it was said or done: who knows it there is not told; "": anywhere
    locator: str = ""  # of a comment in a thread: of the message there, which has it already; see `Delivery.locator`
    whom: Actor | None = None  # the person that it is about, if its detail names one


class Suppression(Struct, frozen=True):
    """Why the on-call provider is not called although the wait is over: all that fires is silenced or inhibited."""

    at_ms: int
    by: str  # who silenced it and why, or that it is inhibited
    until_ms: int | None = None  # when the silence ends; None: not known


class Snooze(Struct, frozen=True):
    """Somebody asked to be left alone; the rest of the wait goes on afterwards."""

    until_ms: int
    by: Actor
    record: str = ""  # the target whose record is on hold: it ends when that changes; "": somebody said how long


class SaidSeverity(Struct, frozen=True):
    """A severity that a person gave an incident."""

    severity: str
    alerts: str  # what its alerts had then
    asked: str = ""  # what matchers saw by the request that it came with, see `Asked.severity`


class Call(Struct, frozen=True):
    """That a target's step has come, in the present wait: it is to show the incident, or to say it once more."""

    step: int  # its number, see `Policy.step`
    due_ms: int
    at_ms: int  # when that was written down
    mention: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)


class Incident(Struct, frozen=True, eq=False, dict=True):  # noqa: PLW1641 - it holds mappings
    """What a person acknowledges and what escalates."""

    id: IncidentId
    dedup_key: str
    source: str
    title: str
    severity: str
    alerts: tuple[Alert, ...]
    policy: Policy
    created_at_ms: int
    updated_at_ms: int
    waiting_since_ms: int  # when the present wait began: at creation, when it was reopened, or un-acknowledged
    escalates_at_ms: int | None = None  # when the next step is due; None: there is none
    next_step: int = 0  # its number, or that of all steps
    calls: Mapping[str, Call] = field(default_factory=dict)  # target -> its latest step that has come in this wait
    told: tuple[str, ...] = ()  # the targets that may show it: called in this wait, or an earlier one
    origin: str = ""  # the target whose record it came from; "": it came from alerts
    sides: Mapping[str, Side] = field(default_factory=dict)  # target -> how its record was last seen
    suppression: Suppression | None = None  # of the present wait
    snooze: Snooze | None = None  # of the present wait; `escalates_at_ms` is after its end
    status: Status = Status.TRIGGERED
    acknowledged_at_ms: int | None = None
    acknowledged_by: Actor | None = None
    ack_renewed_at_ms: int | None = None  # when somebody last said here that it is still worked on
    seen_severity: str = ""  # when it was acknowledged, snoozed, or escalated; "": that was not yet
    said_severity: SaidSeverity | None = None  # by a person; None: the severity is that of its alerts
    moved: Mapping[str, int] = field(default_factory=dict)  # channel -> when a person had it go to another place, ms
    resolved_at_ms: int | None = None
    resolved_by: Actor | None = None
    occurrences: int = 1
    truncated_alerts: int = 0
    receiver: str = ""
    sender: str = ""  # the name of the intake token that it first came with
    namespace: str = ""  # what its alerts' fingerprints are unique in: Grafana's organisation
    aliases: tuple[str, ...] = ()  # further dedup keys that name it
    has_other_senders: bool = False  # some of it came from another source or receiver than the first
    url: str = ""
    warnings: tuple[str, ...] = ()
    news: tuple[Entry, ...] = ()  # the latest changes that those who were told of it want to hear of, oldest first
    news_count: int = 0  # how many there ever were: the number of the last one
    opening: tuple[Entry, ...] = ()  # what its timeline begins with
    payload_digest: str = ""  # of the body that is kept with it
    content_count: int = 0  # how often what its alerts say has changed
    handled: tuple[str, ...] = ()  # ids of the latest requests that were applied, so that none is applied twice
    retried: Mapping[str, int] = field(default_factory=dict)  # target -> the failure that counts no more, by its time
    version: int = 0
    confirmations: int = 0  # repeats that were written as a whole since it changed
    repeats: int = 0  # of its occurrences, those that were only counted
    written_at_ms: int = 0  # when it changed otherwise; 0: it is not stored
    deliveries: Mapping[str, Delivery] = field(default_factory=dict)
    unknown: Mapping[str, Any] = field(default_factory=dict)  # what a newer version wrote, as it is stored
    payload: Mapping[str, Any] | None = None  # the last body, where a template asks for it
    schema: int = 0  # the layout that it is stored in; 0: not at all

    def __eq__(self, other: object) -> bool:
        """Whether both are about the same, however they are stored."""
        return isinstance(other, Incident) and _content(self) == _content(other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    @cached_property
    def escalations(self) -> Mapping[str, Call]:
        """What was told because nobody acknowledged: all calls but those of channels by the first step."""
        providers = self.policy.providers
        return {target: it for target, it in self.calls.items() if it.step > 0 or target in providers}

    @property
    def escalation_began_at_ms(self) -> int | None:
        """When the first of them was written down; None before that."""
        return min((it.at_ms for it in self.escalations.values()), default=None)

    @property
    def is_escalating(self) -> bool:
        """Whether somebody was told, in the present wait, because nobody acknowledged."""
        return bool(self.escalations)

    @property
    def is_waiting(self) -> bool:
        """Whether a step is to come unless somebody acknowledges."""
        return self.status is Status.TRIGGERED and self.escalates_at_ms is not None

    @property
    def is_held(self) -> bool:
        """Whether nobody is told before its policy's hours begin."""
        return self.is_waiting and self.next_step == 0 and self.policy.opens_at_ms is not None

    def is_due(self, now_ms: int) -> bool:
        """Whether the time of a step has come, and nobody acknowledged."""
        return self.is_waiting and self.escalates_at_ms is not None and self.escalates_at_ms <= now_ms

    @property
    def next_targets(self) -> tuple[str, ...]:
        """Who is told by the step to come."""
        return self.policy.step(self.next_step).targets if self.is_waiting else ()

    def due_ms(self, target: str) -> int | None:
        """When *target* is told next by a step to come; None when it is not."""
        due_ms = self.escalates_at_ms
        if not self.is_waiting or due_ms is None or target not in self.policy.targets:
            return None
        for number in range(self.next_step, self.policy.count):
            due_ms += self.policy.delay_ms(number) if number > self.next_step else 0
            if target in self.policy.step(number).targets:
                return due_ms
        return None

    @property
    def last_due_ms(self) -> int | None:
        """When the last of the steps to come is due; where none is, when the latest escalation was; else None."""
        if self.escalates_at_ms is None:
            return max((it.due_ms for it in self.escalations.values()), default=None)
        return self.escalates_at_ms + sum(map(self.policy.delay_ms, range(self.next_step + 1, self.policy.count)))

    def escalates_to(self, target: str) -> bool:
        """Whether *target* is told because nobody acknowledged, or will be."""
        return target in self.providers or target in self.escalations

    def is_called(self, target: str) -> bool:
        """Whether it is *target*'s turn in the present wait, or has been."""
        return self.call_of(target) is not None

    def call_of(self, target: str) -> Call | None:
        """The latest call of *target* in the present wait; a fallback's is that of the first provider."""
        fallback = self.policy.fallback
        if target not in self.calls and fallback is not None and target in fallback.targets:
            return self.calls.get(self.policy.oncall or "")
        return self.calls.get(target)

    def mention_of(self, target: str) -> str:
        """Who *target* mentions, as its step or a route says; "" when neither does."""
        fallback, call, mentions = self.policy.fallback, self.calls.get(target), self.policy.mentions
        if fallback is not None and target in fallback.targets:
            return fallback.mention or mentions.get(system_of(target), "")
        return (call.mention if call else "") or mentions.get(target, "")

    @property
    def later_targets(self) -> tuple[str, ...]:
        """Who was told because nobody acknowledged, beside the channels of the first step; and the providers."""
        first = self.policy.channels
        return tuple(dict.fromkeys((*self.providers, *(it for it in self.escalations if it not in first))))

    @property
    def latest_call(self) -> Call | None:
        """The latest escalation; None before the first."""
        return max(self.escalations.values(), key=lambda it: it.at_ms, default=None)

    @property
    def dealt_with_by(self) -> Entry | None:
        """The news of the acknowledgment or the resolve that its status is of; None while it is triggered."""
        events = {Status.ACKNOWLEDGED: Event.ACKNOWLEDGED, Status.RESOLVED: Event.RESOLVED}
        return next((it for it in reversed(self.news) if it.event is events.get(self.status)), None)

    @cached_property
    def firing(self) -> tuple[Alert, ...]:
        return tuple([alert for alert in self.alerts if alert.is_firing])

    @property
    def resolve_comment(self) -> str:
        """What the person who resolved it said of that; "" while it is open, and where nobody said anything."""
        ends = (it.detail for it in reversed(self.news) if it.event is Event.RESOLVED)
        return next(ends, "") if self.status is Status.RESOLVED else ""

    @property
    def senders(self) -> int:
        """How many senders list what fires, or have: at the least, as two may have one address."""
        most: Counter[str] = Counter()
        for alert in self.firing:
            most |= alert.senders
        return most.total()

    @property
    def may_be_over(self) -> bool:
        """Whether people know of it, and all that fires in it is in doubt."""
        is_known = self.is_dealt_with and not self.is_waiting and self.status is not Status.RESOLVED
        return is_known and bool(self.firing) and all(alert.is_in_doubt for alert in self.firing)

    @property
    def is_dealt_with(self) -> bool:
        """Whether people know of it, so that only news has them told again: acknowledged, snoozed, or escalated."""
        has_escalated = self.is_escalating and not self.is_waiting
        return self.status is Status.ACKNOWLEDGED or self.snooze is not None or has_escalated

    @property
    def ack_ends_at_ms(self) -> int | None:
        """When the acknowledgment ends unless somebody is seen to be at it; None: never, or there is none."""
        began_ms, timeout_ms = self.acknowledged_at_ms, self.policy.ack_timeout_ms
        if self.status is not Status.ACKNOWLEDGED or began_ms is None or not timeout_ms:
            return None
        if self._is_closed_by_people:
            return None
        seen_ms = [began_ms, self.ack_renewed_at_ms or 0]
        for delivery in map(self.delivery, self.providers):
            seen_ms += [delivery.touched_at_ms or 0, *(it.at_ms for it in delivery.comments[-1:])]
        return min(max(seen_ms) + timeout_ms, began_ms + ACK_MAX_MS)

    @property
    def is_renewable(self) -> bool:
        """Whether a further acknowledgment would have this one last longer."""
        ends_at_ms, began_ms = self.ack_ends_at_ms, self.acknowledged_at_ms
        return ends_at_ms is not None and began_ms is not None and ends_at_ms < began_ms + ACK_MAX_MS

    @property
    def _is_closed_by_people(self) -> bool:
        """Whether they have closed its record and its source, which keeps no list of what fires, was silent since.

        Many such sources never say that something is over.
        """
        last_ms = max(self.acknowledged_at_ms or 0, self.record.over_since_ms or 0)
        is_listed = any(name for alert in self.firing for name in alert.listings)
        return self.record.is_over is True and not is_listed and self.updated_at_ms <= last_ms

    def is_as(self, asked: "Incident") -> bool:
        """Whether the same fires as when somebody was *asked* about it."""
        now, then = ({(alert.fingerprint, alert.starts_at_ms) for alert in it.firing} for it in (self, asked))
        return now == then

    @property
    def providers(self) -> tuple[str, ...]:
        """The targets that keep a record of it, and the fallback for them, the first one first."""
        fallback = self.policy.fallback
        origin = (self.origin,) if self.origin else ()
        return tuple(dict.fromkeys((*origin, *self.policy.providers, *(fallback.targets if fallback else ()))))

    @property
    def escalated_to(self) -> str:
        """The provider that has it; where none does, the first one."""
        return max(self.providers, key=lambda it: (self.has_told(it), bool(self.delivery(it).label)), default="")

    @property
    def record(self) -> Delivery:
        """That provider's side of it; an empty delivery where there is none."""
        return self.delivery(self.escalated_to)

    @property
    def escalated_by(self) -> Actor | None:
        """Who asked for the latest escalation; None where the wait ended by itself."""
        asked, call = (entry for entry in self.news if entry.event is Event.ESCALATING), self.latest_call
        return next((entry.by for entry in asked if call is not None and entry.at_ms == call.at_ms), None)

    @property
    def has_open_record(self) -> bool:
        """Whether it has escalated, and what it escalated as is known not to be over."""
        is_open = self.status is not Status.RESOLVED and self.record.is_over is False
        return is_open and self.has_told(self.escalated_to)

    @property
    def comments(self) -> tuple[tuple[Delivery, Comment], ...]:
        """What people wrote at its providers, as far as it is kept, oldest first, each with where it is."""
        sides = [self.delivery(target) for target in self.providers]
        return tuple(sorted(((side, it) for side in sides for it in side.comments), key=lambda pair: pair[1].at_ms))

    @property
    def comment_count(self) -> int:
        """How many there ever were."""
        return sum(self.delivery(target).comment_count for target in self.providers)

    @cached_property
    def ending(self) -> Ending | None:
        """How the present wait ended; None while it is undecided."""
        escalated = [self._in_turn(target) for target in self.escalations]
        has_escalated = any(self.has_told(target) for targets in escalated for target in targets)
        if self.status is not Status.TRIGGERED:
            if has_escalated:
                return Ending.ESCALATED
            return Ending.ACKNOWLEDGED if self.acknowledged_at_ms is not None else Ending.RESOLVED
        if self.is_waiting:
            return None if self.suppression is None else Ending.SUPPRESSED
        if has_escalated:
            return Ending.ESCALATED
        has_failed = escalated and all(self.has_failed(target) for targets in escalated for target in targets)
        return Ending.FAILED if has_failed else None

    @cached_property
    def owed_at_ms(self) -> int | None:
        """When the first of what is owed was due, or is, while it may still come to that; None when nothing is owed.

        What is silenced is owed again once the silence ends, as far as somebody knows when that is; what is
        acknowledged, when the acknowledgment ends.
        """
        if self.ack_ends_at_ms is not None:
            return self.ack_ends_at_ms
        times: list[int | None] = [self.escalations[target].due_ms for target in self.owing]
        if self.is_waiting:
            times.append(self.escalates_at_ms if self.suppression is None else self.suppression.until_ms)
        return min((it for it in times if it is not None), default=None)

    @property
    def owed_by(self) -> str | None:
        """Whose timer brings what is owed: of an escalation, of the step to come, of the end of an acknowledgment."""
        for target in self.owing:
            return next((it for it in self._in_turn(target) if not self.has_failed(it)), target)
        return next(iter(self.next_targets), self.policy.keeper)

    @cached_property
    def owing(self) -> list[str]:
        """Who has yet to be told of an escalation, by themselves or by the fallback; those first who are due first."""
        if self.status is not Status.TRIGGERED:
            return []
        owing = [target for target in self.escalations if not self._is_settled(target)]
        return sorted(owing, key=lambda target: self.escalations[target].due_ms)

    def _is_settled(self, target: str) -> bool:
        """Whether *target* has the escalation, or its fallback does, or both were given up."""
        in_turn = self._in_turn(target)
        return any(map(self.has_told, in_turn)) or all(map(self.has_failed, in_turn))

    def _in_turn(self, target: str) -> tuple[str, ...]:
        """*target*, and what steps in when it fails."""
        fallback = self.policy.fallback
        return (target, *fallback.targets) if fallback and target == self.policy.oncall else (target,)

    @property
    def is_suppressed_without_end(self) -> bool:
        """Whether all that fires is silenced, and nobody knows until when, as what is inhibited is."""
        if self.suppression is None or self.suppression.until_ms is not None:
            return False
        return self.ending is Ending.SUPPRESSED

    @property
    def fallback_due_ms(self) -> int | None:
        """When the fallback is due to be synced; None as long as there is nothing for it to do."""
        fallback, oncall = self.policy.fallback, self.policy.oncall
        call = None if oncall is None else self.calls.get(oncall)
        if fallback is None or oncall is None:
            return None
        target = fallback.targets[0]
        known, first = self.delivery(target), self.delivery(oncall)
        if self.status is not Status.TRIGGERED or call is None:
            return self.updated_at_ms if known.reference or known.attempts else None
        if self.has_told(target) or self.has_failed(oncall):
            return call.at_ms
        if self.has_told(oncall):
            return None
        failing_ms = first.failing_since_ms
        since_ms = call.at_ms + FALLBACK_GRACE_MS if failing_ms is None else max(failing_ms, call.at_ms)
        return since_ms if self.is_refused_by(oncall) else since_ms + fallback.after_ms

    def is_fallback(self, target: str) -> bool:
        """Whether *target* steps in when the on-call provider fails."""
        return self.policy.fallback is not None and target in self.policy.fallback.targets

    @property
    def held_up_by(self) -> str | None:
        """Who does not get the escalation for a reason that people have to hear of; None without one."""
        if self.ending is not None or self.status is not Status.TRIGGERED:
            return None
        in_turn = (it for target in self.owing for it in self._in_turn(target))
        return next((target for target in in_turn if self._is_held_up_at(target)), None)

    def wants(self, target: str) -> bool:
        """Whether *target* is to show it, if it does not; the fallback is not, once the first provider has it."""
        is_spared = self.is_fallback(target) and self.fallback_due_ms is None
        return self.status is Status.TRIGGERED and self.is_called(target) and not is_spared

    def has_told(self, target: str) -> bool:
        """Whether *target* has shown it since its latest call."""
        it, call = self.delivery(target), self.call_of(target)
        is_known = bool(it.reference) and call is not None and it.synced_at_ms is not None
        return is_known and call is not None and (it.synced_at_ms or 0) >= call.at_ms

    def has_failed(self, target: str) -> bool:
        """Whether *target* was given up since its latest call; a failure of an earlier one says nothing about it."""
        failed_ms, call = self.delivery(target).failed_at_ms, self.call_of(target)
        return failed_ms is not None and call is not None and failed_ms >= call.at_ms

    def is_refused_by(self, target: str) -> bool:
        """Whether *target* has refused our credentials in this wait: that takes a person to mend."""
        return self.delivery(target).is_refused and self._fails_in_this_wait(target)

    def _is_held_up_at(self, target: str) -> bool:
        it = self.delivery(target)
        return (it.is_refused or it.is_late) and self._fails_in_this_wait(target)

    def _fails_in_this_wait(self, target: str) -> bool:
        return (self.delivery(target).failing_since_ms or 0) >= self.waiting_since_ms

    def news_after(self, number: int) -> tuple[Entry, ...]:
        """The news that came after the one with that *number*, as far as they are kept."""
        missed = self.news_count - number
        return self.news[-missed:] if missed > 0 else ()

    def delivery(self, target: str) -> Delivery:
        return self.deliveries.get(target, _NO_DELIVERY)

    def target_at(self, system: str, locator: str) -> str | None:
        """The target whose side that *system* names so; None when there is none."""
        sides = ((target, it) for target, it in self.deliveries.items() if system_of(target) == system)
        return next((target for target, it in sides if it.locator == locator), None)

    @property
    def given_up(self) -> tuple[str, ...]:
        """The targets that do not show what it is now, and are not tried any more."""
        return tuple(name for name, it in self.deliveries.items() if it.failed_at_ms is not None)

    @property
    def refused(self) -> tuple[str, ...]:
        """The targets that refuse our credentials, and are still tried."""
        return tuple(name for name, it in self.deliveries.items() if it.is_refused and it.failed_at_ms is None)

    def with_deliveries(self, deliveries: Mapping[str, Delivery], *, version: int | None = None) -> "Incident":
        """With what is recorded of its targets, as far as it still counts; with the *version* that is stored."""
        counting = {name: it.unless_given_up_by(self.retried.get(name, -1)) for name, it in deliveries.items()}
        return replace(self, deliveries=counting, version=self.version if version is None else version)


_HOW_IT_IS_STORED = frozenset(["opening", "confirmations", "repeats", "written_at_ms", "payload", "schema"])
_content = attrgetter(*(it for it in Incident.__struct_fields__ if it not in _HOW_IT_IS_STORED))


def common(mappings: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """What all of them say alike."""
    first, *others = mappings or [{}]
    return {key: value for key, value in first.items() if all(other.get(key) == value for other in others)}


def system_of(target: str) -> str:
    """The name of the system that *target* belongs to: `slack` of `slack:C0123`."""
    return target.partition(":")[0]


def sender_of(lister: str) -> str:
    """The sender's part of a `Notification.lister`."""
    return lister.partition(".")[0]


def earlier(lister: str, starts_at_ms: int | None) -> str:
    """What the listing with that start is kept as when its lister has given another start since."""
    return f"{lister}.{starts_at_ms}"


def is_earlier(name: str) -> bool:
    """Whether that is the name of such a listing."""
    return name.count(".") > 1


def _short(text: str) -> str:
    return sha256(text.encode(errors="replace")).hexdigest()[:10]


def incident_id(dedup_key: str, episode_start_ms: int, installation: str = "") -> IncidentId:
    """The id of the incident that began at *episode_start_ms*: 20 hex digits, a dash, its partition.

    *installation* tells those of one installation from those of others that write into the same places. It is
    a hash, so that two replicas, a retry, or a Redis that forgot its last second arrive at the same id,
    and so that it is safe in an encoded query of ServiceNow and in a URL, whatever the dedup key holds.
    """
    place = f"{installation}\n" if installation else ""
    digest = sha256(f"{place}{dedup_key}\n{episode_start_ms}".encode(errors="replace")).hexdigest()
    return IncidentId(f"{digest[:20]}-{partition_of(dedup_key)}")


def is_incident_id(text: str) -> bool:
    """Whether it looks like an id that `incident_id` has made."""
    return re.fullmatch(INCIDENT_ID, text, re.ASCII) is not None
