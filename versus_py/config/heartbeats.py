"""Heartbeats: signals that must keep coming, such as Prometheus' Watchdog, and whose silence is an incident."""

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field

from versus_py.config.parts import Duration, Part, duration_ms, in_form
from versus_py.config.policies import policy_name_problem
from versus_py.config.routes import Matchers
from versus_py.config.severities import KnownSeverity
from versus_py.incidents.heartbeats import heartbeat_key, labels_of
from versus_py.incidents.matchers import Matcher, parse_matchers
from versus_py.incidents.model import Incident

if TYPE_CHECKING:
    from versus_py.config.model import Config

EVERY_MIN_MS = 10_000
"""The shortest time: what monitoring sends may be late by seconds at any time."""


def _long_enough(value: str) -> str:
    if duration_ms(value) < EVERY_MIN_MS:
        raise ValueError(f"must be at least {EVERY_MIN_MS // 1000}s")
    return value


HeartbeatName = Annotated[
    str,
    *in_form(
        "[A-Za-z0-9][A-Za-z0-9._-]{0,49}",
        "a name of at most 50 letters, digits, dots, hyphens and underscores, as it is part of a URL",
    ),
]
LabelName = Annotated[str, *in_form("[a-zA-Z_][a-zA-Z0-9_]*", "the name of a label")]


class ExpectedHeartbeat(Part):
    """A signal that must keep coming: alerts that match, or POST /api/heartbeats/NAME."""

    name: HeartbeatName
    """What it is called, in the URL too."""
    match: Matchers = ()
    """Alertmanager's label matchers, such as alertname="Watchdog"; an alert that all of them match is a beat.

    Without any, only POST /api/heartbeats/NAME is.
    """
    every: Annotated[Duration, AfterValidator(_long_enough)]
    """The longest time between two beats, such as 5m."""
    per: Annotated[tuple[LabelName, ...], Field(json_schema_extra={"uniqueItems": True})] = ()
    """Labels each of whose values is a heartbeat of its own, such as cluster."""
    severity: KnownSeverity = "critical"
    """The severity of the incident that its silence is."""
    policy: str = ""
    """The policy of that incident; without one, the first that matches its labels."""

    @property
    def every_ms(self) -> int:
        return duration_ms(self.every)

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether an alert with these *labels* is a beat."""
        return bool(self._matchers) and all(matcher.matches(labels) for matcher in self._matchers)

    def of(self, labels: Mapping[str, str]) -> dict[str, str]:
        """Which of those of this name an alert with these *labels* is a beat of."""
        return {name: labels.get(name, "") for name in self.per}

    def is_for(self, known: Incident) -> bool:
        """Whether the heartbeat that is stored as *known* is one of these."""
        is_named_so = known.title == self.name  # there may be thousands of others
        return is_named_so and known.dedup_key == heartbeat_key(self.name, self.of(labels_of(known)))

    @cached_property
    def _matchers(self) -> tuple[Matcher, ...]:
        return tuple(matcher for text in self.match for matcher in parse_matchers(text))


def heartbeat_problems(config: "Config") -> Iterator[str]:
    """Names that stand twice, and matchers that would take alerts which are none."""
    names = [it.name for it in config.heartbeats]
    for index, it in enumerate(config.heartbeats):
        if it.name in names[:index]:
            yield f"heartbeats.{index}.name: is {it.name!r}, as that of another heartbeat is"
        if it.matches({}):
            yield (
                f"heartbeats.{index}.match: matches alerts without any labels too, so that they would be beats and no "
                'incidents; add what tells the heartbeat, such as alertname="Watchdog"'
            )


def heartbeat_policy_problems(config: "Config") -> Iterator[str]:
    """Policies that they name and that there are not."""
    for index, it in enumerate(config.heartbeats):
        if it.policy:
            yield from policy_name_problem(f"heartbeats.{index}.policy", it.policy, config.policies)
