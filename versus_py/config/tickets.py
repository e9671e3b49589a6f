"""Tickets that come from a system and are kept in sync with it: who sends them, and what their fields mean here."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from versus_py.config.parts import ChannelPart, Duration, Number, Part, Secret, Secrets, duration_ms

STEPS = "steps"
"""In `escalate`: what the policy says."""

CHANNEL = "channel"
"""In `escalate`: the channels of the first step once more, with the mention."""

RAISE = "raise"
"""In `escalate`: the ticket's urgency is raised by one, with a work note."""


class TicketSource(Part):
    """One of several business rules of an instance."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$")
    """What to call it, in logs and as the sender of its incidents."""
    token: Secret
    """What it sends as Authorization: Bearer."""
    previous_tokens: Secrets = ()
    """Tokens that are still taken, until the rule has the new one."""
    policy: str = ""
    """The policy of its incidents; without one, the first that matches."""
    severity: str = ""
    """The severity of its incidents where priority_map has none."""


class TicketEvents(Part):
    """What a business rule of the instance sends, and what becomes of it. Off as long as there is no token."""

    EXAMPLE = '{token: "${SERVICENOW_EVENTS_TOKEN}"}'

    token: Secret = SecretStr("")
    """What the rule sends as Authorization: Bearer, or as the password of Basic."""
    previous_tokens: Secrets = ()
    """Tokens that are still taken, until the rule has the new one."""
    sources: tuple[TicketSource, ...] = ()
    """Several rules of one instance, each with a token of its own."""
    user: str = ""
    """The user_name of the integration user, where the login does not tell it (API key, client credentials)."""
    escalate: tuple[str, ...] = (CHANNEL, RAISE)
    """What happens when nobody acknowledges a ticket in time: channel, raise, a channel such as slack:leads, or steps
    for those of the policy. There is never a second ticket."""
    on_hold: Literal["snooze", "acknowledge", "nothing"] = "snooze"
    """What a ticket that is put on hold does to its incident."""
    compare_every_minutes: Annotated[float, Number] = Field(10.0, ge=0, le=1440, allow_inf_nan=False)
    """How often open incidents are compared with their records, as events may get lost; 0: never."""

    @property
    def is_on(self) -> bool:
        return bool(self.token.get_secret_value()) or bool(self.sources)

    def source(self, name: str) -> TicketSource | None:
        """The one of that name; None where it is the only rule, or not configured any more."""
        return next((it for it in self.sources if it.name == name), None)


class PriorityLeads(Part):
    """What a ticket's priority means here."""

    severity: str
    """Critical, warning, …: by severity_map too."""
    wait: Duration | None = None
    """How long people have to acknowledge; without it, as the policy has it."""
    oncall: bool | None = None
    """Whether it escalates at all; without it, as the configuration has it."""

    @property
    def wait_ms(self) -> int | None:
        return None if self.wait is None else duration_ms(self.wait)


class TicketRoute(Part):
    """Where a routing key leads."""

    policy: str = ""
    """A policy by its name."""
    channel: str = ""
    """A channel by its name or id, such as leads, or slack:leads."""
    notify: tuple[str, ...] = ()
    """Further targets, as steps of policies name them: channels at once, on-call providers when nobody acknowledges."""
    wait: Duration | None = None
    """How long people have to acknowledge; without it, as the policy has it."""
    mention: str = ""
    """Who is mentioned."""

    @property
    def wait_ms(self) -> int | None:
        return None if self.wait is None else duration_ms(self.wait)


def _severity_alone(value: Any) -> Any:
    return {"severity": value} if isinstance(value, str) else value


def _policy_alone(value: Any) -> Any:
    return {"policy": value} if isinstance(value, str) else value


def _priority_number(value: str) -> str:
    if not re.fullmatch(r"-?[A-Za-z0-9_]{1,40}", value):
        raise ValueError('must be the number of a priority without its label, such as "2"')
    return value


PriorityMap = dict[
    Annotated[str, AfterValidator(_priority_number)],
    Annotated[PriorityLeads, BeforeValidator(_severity_alone, json_schema_input_type=str | PriorityLeads)],
]
"""The number of a priority -> a severity, or a mapping."""

Routing = dict[str, Annotated[TicketRoute, BeforeValidator(_policy_alone, json_schema_input_type=str | TicketRoute)]]
"""Routing key -> a policy, or a mapping."""


def channel_of(name: str, channels: Mapping[str, ChannelPart]) -> tuple[str, str] | None:
    """The system of the channel that a route calls *name*, and its place there; None where *channels* have none.

    It is `slack:leads`, or what stands after the colon alone: a name of a place before an id.
    """
    system, colon, rest = name.partition(":")
    if colon:
        place = _place_in(channels[system], rest) if system in channels else None
        return None if place is None else (system, place)
    named = ((it, part.places[name]) for it, part in channels.items() if name in part.places)
    others = ((it, place) for it, part in channels.items() if (place := _place_in(part, name)) is not None)
    return next(named, None) or next(others, None)


def _place_in(channel: ChannelPart, name: str) -> str | None:
    """The place that is called so there, by its name or its id; None without one."""
    known = {channel.default_destination, *channel.places.values()} - {""}
    if name in channel.places:
        return channel.places[name]
    return name if name in known or not channel.place_problem(name) else None
