"""What people may name when they act on incidents, as the configuration has it: severities, policies, channels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

from versus_py.config import Config
from versus_py.config.parts import ChannelPart
from versus_py.errors import VersusError
from versus_py.incidents.severity import known_as, known_names
from versus_py.incidents.triage import Route
from versus_py.targets import Called

SHOWN_MAX = 80
"""The most characters of what somebody wrote that an error repeats."""


class UnknownChoice(VersusError):
    """Something was named that does not exist; the message says what is allowed."""


@dataclass(frozen=True, slots=True)
class Choices:
    """Every method raises UnknownChoice."""

    severity_map: Mapping[str, str] = field(default_factory=dict)
    policies: tuple[str, ...] = ()
    channels: tuple[ChannelPart, ...] = ()
    called: Called = str

    @classmethod
    def of(cls, config: Config, called: Called = str) -> "Choices":
        policies = tuple(it.name for it in config.policies)
        return cls(config.severity_map, policies, tuple(config.alert.enabled.values()), called)

    def severity(self, name: str) -> str:
        """The severity of that name, by severity_map too."""
        severity = known_as(name.strip(), self.severity_map)
        if severity is None:
            raise UnknownChoice(f"severity is {_shown(name)}; allowed: {known_names(self.severity_map)}")
        return severity

    def route(self, policy: str = "", channel: str = "") -> Route:
        """To a policy by its name, to a channel by its name or id, or to both.

        A channel of a system that is not the first may have the system's name before it, as in slack:C0123456789.
        """
        if not policy and not channel:
            raise UnknownChoice("say where to: policy, channel, or both")
        if policy and policy not in self.policies:
            raise UnknownChoice(f"policy is {_shown(policy)}; {_hint(policy, self.policies)}")
        to_policy = f"to policy {policy}" if policy else ""
        if not channel:
            return Route(to_policy, policy)
        part, place = self._place(channel)
        said = " and ".join(it for it in (to_policy, f"to {self.called(part.NAME)} {place}") if it)
        return Route(said, policy, part.NAME, place, part.default_destination)

    def _place(self, channel: str) -> tuple[ChannelPart, str]:
        """The channel's system, and the place as the system knows it."""
        if not self.channels:
            raise UnknownChoice(f"channel is {_shown(channel)}; no channel is enabled below alert")
        system, _, rest = channel.partition(":")
        named = next((it for it in self.channels if system == it.NAME and rest), None)
        part, place = (self.channels[0], channel) if named is None else (named, rest)
        if place in part.places:
            return part, part.places[place]
        allowed = "" if place in {part.default_destination, *part.places.values()} else part.place_problem(place)
        if allowed:
            raise UnknownChoice(f"channel is {_shown(channel)}; allowed: {allowed}")
        return part, place


def _hint(name: str, known: Sequence[str]) -> str:
    if not known:
        return "no policies are configured"
    close = get_close_matches(name, known, n=1)
    guess = f"did you mean {close[0]!r}? " if close else ""
    return f"{guess}allowed: {', '.join(known)}"


def _shown(name: str) -> str:
    return repr(name if len(name) <= SHOWN_MAX else f"{name[:SHOWN_MAX]}…")
