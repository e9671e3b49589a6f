"""What a channel offers whose messages people can press something in; `interactions` knows channels by this alone."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol

from multidict import MultiMapping

from versus_py.errors import VersusError
from versus_py.incidents.actions import Action
from versus_py.incidents.model import Actor, Incident, IncidentId


class Permission(Enum):
    """Whether somebody may act."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"  # who may cannot be told yet


@dataclass(frozen=True, slots=True, kw_only=True)
class Interaction:
    """Something that somebody did in the messages of one system."""

    system: str
    actor: Actor  # as far as the request itself tells; with their id in that system
    request_id: str  # the same for the same interaction only, however often it is sent

    @property
    def user_id(self) -> str:
        return self.actor.ids[self.system]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply(Interaction):
    """What somebody wrote in the thread of some message, which is an incident's or is not."""

    locator: str  # of the message that the thread belongs to, see `Delivery.locator`
    text: str  # in the system's markup
    mentioned: tuple[str, ...] = ()  # the ids of people in it


@dataclass(frozen=True, slots=True, kw_only=True)
class Press(Interaction):
    """Something that somebody asked for."""

    where: Mapping[str, str] = field(default_factory=dict)  # what the system needs to answer
    action: Action


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentPress(Press):
    """An action on one incident."""

    incident_id: IncidentId
    choice: str = ""  # of a snooze: so many minutes, or a time of day; a severity; the policy of a route
    place: str = ""  # the channel of a route
    comment: str = ""  # of a resolve: why it is over


@dataclass(frozen=True, slots=True, kw_only=True)
class FormPress(Press):
    """Wants to say more about what is to be done: a form opens, and nothing is done before it is sent."""

    action: Action = Action.RESOLVE
    incident_id: IncidentId


@dataclass(frozen=True, slots=True, kw_only=True)
class StormPress(Press):
    """Acknowledging all that needs somebody in a storm."""

    action: Action = Action.ACKNOWLEDGE
    place: str
    storm_id: str


Take = Callable[[Sequence[Interaction]], Awaitable[None]]
"""When it returns, what presses ask for has happened, or the person will hear why not, and replies are written down.

Raises StoreUnavailable.
"""

Loop = Callable[[asyncio.Event], Coroutine[Any, Any, None]]
"""Runs until the event is set, and ends soon after that."""


class Markup(Protocol):
    """How a channel writes what is not plain text."""

    def bold(self, text: str) -> str:
        """*text* is plain."""

    def link(self, url: str, label: str) -> str: ...

    def date(self, at_ms: int) -> str: ...


class NotSigned(VersusError):
    """A request is not one that the system has signed just now."""


class Inbound(Protocol):
    """Requests of the system's own: what people pressed or wrote. The server reads their bodies, in bounds."""

    @property
    def body_within_s(self) -> float: ...

    @property
    def body_max_bytes(self) -> int: ...

    def may_be_signed(self, headers: MultiMapping[str], length: int | None) -> bool:
        """Whether some body of that *length* could make it right; without one, none is read."""

    async def take(self, headers: MultiMapping[str], body: bytes) -> str:
        """What to answer; "" mostly. Raises NotSigned; BadPayload; and StoreUnavailable to have it sent again."""


@dataclass(frozen=True, slots=True)
class WaysIn:
    """How presses come in: by requests, by loops that fetch them, or both."""

    inbound: Inbound | None = None
    loops: Mapping[str, Loop] = field(default_factory=dict)


class Interactive(Protocol):
    """A channel in whose messages people can press something."""

    @property
    def markup(self) -> Markup: ...

    @property
    def take_within_s(self) -> float:
        """How long the system waits for an answer to a press."""

    def ways_in(self, take: Take) -> WaysIn: ...

    def permission(self, press: Press) -> Permission:
        """What is known now; nobody waits for the system to tell."""

    def who_may(self) -> str:
        """Those who may act, in its markup, to be said to somebody who may not."""

    def is_offered(self, action: Action) -> bool:
        """Whether the configuration lets people do that here."""

    def plain(self, text: str, names: Mapping[str, str]) -> str:
        """*text* in its markup as plain text; *names* are those of people, by their ids."""

    def snoozed_until_ms(self, choice: str, now_ms: int) -> int: ...

    async def open_form(self, press: FormPress, incident: Incident) -> None:
        """Ask the one who pressed for more; the form comes back as a press. Raises Transient and Permanent."""

    async def answer(self, press: Press, text: str) -> None:
        """Tell the one who pressed, and nobody else. Raises Transient and Permanent."""

    async def describe(self, actor: Actor) -> tuple[Actor, int]:
        """Who that is by name and e-mail, and for how many ms to believe it. Raises Transient and Permanent."""

    async def keep_members(self) -> None:
        """Keep up to date who may act, until it is cancelled; returns at once where there is nothing to keep."""
