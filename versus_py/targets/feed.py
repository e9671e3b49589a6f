"""A system whose records come in by themselves, and are kept in sync both ways: the third role of a target.

It is no channel, as nobody is told there, and no on-call provider, as nobody is called. Where one of its records is
an incident's `origin`, calling its target has that record made more urgent, and never makes another.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from versus_py.errors import BadPayload
from versus_py.incidents.model import Incident
from versus_py.incidents.sides import Report, Ticket
from versus_py.incidents.tickets import OnHold

BODY_MAX_BYTES = 1024 * 1024
"""Of one record, as it is sent. One of ServiceNow has some 100 columns of at most some 4000 characters each."""


class UnknownState(BadPayload):
    """A record is in a state that the configuration does not name."""


@dataclass(frozen=True, slots=True)
class FeedSource:
    """Who sends records: one of the tokens that are configured."""

    instance: str  # "" for the default one
    name: str  # the sender's, as it is kept with incidents


class Feed(Protocol):
    """What comes from one system. Pure, but for `look`."""

    @property
    def instances(self) -> Sequence[str]:
        """Those that may send, by their names; "" for the default one."""

    def tokens(self, instance: str) -> Sequence[tuple[FeedSource, str]]:
        """Whose each token is. Compared by whoever asks, in constant time."""

    def read(self, source: FeedSource, body: bytes) -> Ticket:
        """The record that *body* is. Raises BadPayload."""

    def on_hold(self, target: str, incident: Incident) -> OnHold:
        """What it does to the incident that its record at *target* is put on hold."""

    def writes_ends(self, target: str, incident: Incident) -> bool:
        """Whether the record that the incident has at *target* is ended when it is resolved here."""

    def compares_every_ms(self, target: str) -> int | None:
        """How often the records of *target* are compared with their incidents; None: never."""

    async def look(self, target: str, incidents: Sequence[Incident]) -> Mapping[str, Report | None]:
        """How the records of these are now, by the incident's id; None for what is gone.

        One request for many. Raises Transient and Permanent.
        """
