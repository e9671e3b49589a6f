"""The other side of an incident: its record at a system that it is kept in sync with, both ways. Pure data.

Changes count, not states: what was last seen of the record is kept, and only what differs from that is news from there.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum

from versus_py.incidents.copies import replace
from versus_py.incidents.policies import Asked


class Standing(StrEnum):
    """Where a record stands, whatever its system calls that."""

    NEW = "new"
    IN_PROGRESS = "in progress"
    ON_HOLD = "on hold"
    RESOLVED = "resolved"
    CLOSED = "closed"  # for good, or canceled

    @property
    def is_over(self) -> bool:
        return self in {Standing.RESOLVED, Standing.CLOSED}


@dataclass(frozen=True, slots=True)
class Side:
    """How a record was last seen."""

    revision: int  # of the record, by its system: a later one has a higher number
    standing: Standing
    assignee: str = ""  # what its system calls that person; "": nobody
    group: str = ""  # the same of those it is assigned to
    severity: str = ""  # what its priority means here; "": nothing
    route: str = ""  # its routing key; "": none
    title: str = ""
    is_route_unread: bool = False  # only an id of the routing key was sent: *route* is as it was known before
    priority: str = ""  # what its system calls it: two may mean the same severity; "": not known

    def differs_in(self, before: "Side") -> frozenset[str]:
        """The names of the fields in which it is another than *before*, but for what tells how it was seen."""
        names = (it.name for it in fields(self) if it.name not in {"revision", "is_route_unread"})
        return frozenset(name for name in names if getattr(self, name) != getattr(before, name))

    def after(self, known: "Side | None") -> "Side | None":
        """It as what is seen after *known*; None where that is as new, and knows as much.

        A routing key that was not read is as it was before, and may be read of the same revision later.
        """
        if known is None or self.revision > known.revision:
            return self if known is None or not self.is_route_unread else replace(self, route=known.route)
        is_read_now = known.is_route_unread and not self.is_route_unread and self.revision == known.revision
        return replace(known, route=self.route, is_route_unread=False) if is_read_now else None


_NAMES = {"standing": "state", "route": "routing key"}


def in_words(names: Collection[str]) -> str:
    """Fields of `Side` as people call them, by which they find them in the record."""
    return ", ".join(sorted(_NAMES.get(it, it) for it in names))


@dataclass(frozen=True, slots=True)
class Report:
    """How a record is now, as its system has said."""

    target: str  # whose record: the name of a target
    side: Side
    by: str = ""  # who changed it last, by name; "": not known
    email: str = ""
    user: str = ""  # what its system calls that person
    is_own: bool = False  # that was ourselves: nothing of it is news
    wrote: frozenset[str] = frozenset()  # fields of `Side` that we have just written ourselves: no news either
    since: Side | None = None  # how it was known when we did that; None: not at all
    assignee: str = ""  # by name
    assignee_email: str = ""
    group: str = ""
    comment: str = ""  # what was said of its end
    labels: Mapping[str, str] = field(default_factory=dict)  # what matchers see of it; none: not known
    asked: Asked | None = None  # what its priority and its routing key ask of the escalation; None: nothing
    routed: str = ""  # where the routing key leads, for people: "to policy leads"
    is_repair: bool = False  # it was found by comparing, and nobody had told
    sender: str | None = None  # the source that sent it, see `Ticket.sender`; None: it was read
    people: Mapping[str, tuple[str, str]] = field(default_factory=dict)  # what its system calls somebody -> name, email

    def news_since(self, before: Side | None) -> frozenset[str]:
        """The fields of `Side` that somebody else has changed. What is seen for the first time was new before.

        What we wrote is news again where a change from before that was taken over while we were writing.
        """
        if self.is_own:
            return frozenset()
        known = before or replace(self.side, standing=Standing.NEW)
        overtaken = frozenset[str]() if self.since is None else known.differs_in(self.since)
        unread = {"route"} if self.side.is_route_unread else set[str]()
        if not (known.priority and self.side.priority):
            unread.add("priority")
        return self.side.differs_in(known) - (self.wrote - overtaken) - unread


@dataclass(frozen=True, slots=True)
class Ticket:
    """A record that came in by itself, and what an incident would be that begins with it."""

    report: Report
    locator: str  # see `Delivery.locator`
    dedup_key: str
    number: str
    url: str
    reference: Mapping[str, str]  # of the delivery
    description: str = ""
    incident_id: str = ""  # of the incident that the record itself names: that is one of ours
    sender: str = ""  # the name of the source that it came from; "": the instance has one only
    warnings: Collection[str] = ()
