"""Escalation policies: which steps incidents with certain labels go through, and within which hours."""

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field, PrivateAttr

from versus_py.config.parts import (
    ChannelPart,
    Duration,
    Number,
    Part,
    ProviderPart,
    SystemPart,
    Template,
    duration_ms,
    some,
)
from versus_py.config.routes import Matchers
from versus_py.config.time_intervals import NamedIntervals
from versus_py.incidents.intervals import Hours, TimeInterval
from versus_py.incidents.matchers import Matcher, parse_matchers

if TYPE_CHECKING:
    from versus_py.config.model import Config

NAME_MAX = 50
REPEAT_MAX = 9


def _name(value: str) -> str:
    if not value.strip() or not value.isprintable():
        raise ValueError("must be a name")
    if len(value) > NAME_MAX:
        raise ValueError(f"must be at most {NAME_MAX} characters long")
    return value


PolicyName = Annotated[str, AfterValidator(_name), Field(json_schema_extra={"maxLength": NAME_MAX})]
Names = Annotated[tuple[str, ...], some("name at least one")]


class StepConfig(Part):
    """Targets that are notified together."""

    after: Duration = "0s"
    """How long after the step before, such as 10m; of the first step, after the start."""
    notify: Names
    """Targets: slack and servicenow, or one of their places, such as slack:leads."""
    mention: str = ""
    """Who is mentioned in its channels, such as <!subteam^S0123456789>, instead of by route or severity."""
    fields: dict[str, Template] = {}
    """Column -> template, for records that it creates, instead of what their fields say."""
    on_failure: Literal["next", "wait"] = "next"
    """When nobody can be notified: the next step is due at once (next), or at its time (wait)."""

    @property
    def after_ms(self) -> int:
        return duration_ms(self.after)


class PolicyConfig(Part):
    """The steps that incidents with certain labels go through."""

    name: PolicyName
    """What it is called."""
    match: Matchers = ()
    """Alertmanager's label matchers, such as severity="critical"; all of them have to match, and without any all do."""
    within: Names = Field((), alias="in")
    """Names of time intervals; outside of them, nobody is notified until one begins."""
    not_in: Names = ()
    """Names of time intervals; within them, nobody is notified until they end."""
    steps: Annotated[tuple[StepConfig, ...], some("have at least one step in it")]
    """Whom to notify, one after the other, until somebody acknowledges."""
    repeat: Annotated[int, Number] = Field(0, ge=0, le=REPEAT_MAX)
    """How often the steps are gone through again."""
    ack_timeout: Duration = "0s"
    """How long an acknowledgment lasts while the incident fires; then the steps begin again. 0s: for ever."""

    _hours: Hours | None = PrivateAttr(None)

    @property
    def ack_timeout_ms(self) -> int:
        return duration_ms(self.ack_timeout)

    @property
    def hours(self) -> Hours | None:
        """When people may be notified; None: always. Set when the whole configuration is read."""
        return self._hours

    def keep_hours(self, named: Mapping[str, tuple[TimeInterval, ...]]) -> None:
        """Look up the intervals that it names, as far as there are such."""
        within, outside = ([it for name in names for it in named.get(name, ())] for names in (self.within, self.not_in))
        self._hours = Hours(tuple(within), tuple(outside)) if within or outside else None

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether it is for incidents with these *labels*."""
        return all(matcher.matches(labels) for matcher in self.matchers)

    @cached_property
    def matchers(self) -> frozenset[Matcher]:
        """Parsed; empty when it matches all."""
        return frozenset(matcher for text in self.match for matcher in parse_matchers(text))

    @property
    def targets(self) -> tuple[str, ...]:
        """All that its steps name, each once."""
        return tuple(dict.fromkeys(target for step in self.steps for target in step.notify))


def system_and_place(target: str) -> tuple[str, str | None]:
    """The system that a target is one of, and what stands after the colon; None where there is no colon."""
    system, colon, place = target.partition(":")
    return system, place if colon else None


def policy_problems(config: "Config") -> Iterator[str]:
    """What does not go together, and what names something that there is not."""
    named = {it.name: it for it in config.time_intervals}
    for index, policy in enumerate(config.policies):
        path, before = f"policies.{index}", config.policies[:index]
        if any(it.name == policy.name for it in before):
            yield f"{path}.name: is {policy.name!r}, as that of another policy is"
        yield from _hours_problems(path, policy, named)
        yield from _unreachable(path, policy, before, config)
        for at, step in enumerate(policy.steps):
            yield from _step_problems(f"{path}.steps.{at}", step, config)


def policy_warnings(config: "Config") -> Iterator[str]:
    """What works, but is hardly what was meant."""
    if not config.oncall.is_prepared:
        return
    for index, policy in enumerate(config.policies):
        systems = {system_and_place(target)[0] for target in policy.targets}
        for part in config.oncall.parts.values():
            if part.ticket_targets and systems == {part.NAME}:
                yield (
                    f"policies.{index} ({policy.name}) notifies {part.TITLE} only: nobody is notified of a ticket that "
                    "comes from there and matches it"
                )
        if not config.oncall.by_default and systems <= config.oncall.parts.keys():
            yield (
                f"policies.{index} ({policy.name}) notifies on-call providers only: with oncall.initialized_only, "
                "nobody is notified of an incident whose request does not say oncall_enable=true"
            )


def policy_name_problem(path: str, name: str, policies: Sequence[PolicyConfig]) -> Iterator[str]:
    """What is said of a *name* at *path* that no policy has."""
    names = [it.name for it in policies]
    if name not in names:
        yield f"{path}: is {name!r}; {_hint(name, names, 'policies')}"


def _hours_problems(path: str, policy: PolicyConfig, named: Mapping[str, NamedIntervals]) -> Iterator[str]:
    unknown = False
    for key, names in (("in", policy.within), ("not_in", policy.not_in)):
        for at, name in enumerate(names):
            if name not in named:
                unknown = True
                yield f"{path}.{key}.{at}: is {name!r}; {_hint(name, named, 'time_intervals')}"
    if not unknown and policy.hours is not None and not policy.hours.ever_opens:
        yield f"{path}.{'in' if policy.within else 'not_in'}: is never open: nobody would ever be notified"


def _unreachable(path: str, policy: PolicyConfig, before: Sequence[PolicyConfig], config: "Config") -> Iterator[str]:
    """Policies are tried in order: one whose matchers all follow from its own leaves it nothing."""
    of_systems = {name for it in config.systems.values() for name in it.named_policies}
    if policy.name in config.intake.named_policies | of_systems | {it.policy for it in config.heartbeats}:
        return
    exact = {it.name: it.value for it in policy.matchers if it.operator == "="}
    if any(it.name in exact and not it.matches(exact) for it in policy.matchers):
        yield f"{path}.match: no labels lead to it, as its matchers are never all true"
        return

    def follows(matcher: Matcher) -> bool:
        return matcher in policy.matchers or (matcher.name in exact and matcher.matches(exact))

    taking = next((it for it in before if all(map(follows, it.matchers))), None)
    if taking is not None:
        yield (
            f"{path}: no labels lead to it, as {taking.name!r} before it matches all that it matches; move it up, "
            "change its match, or name it at a token of intake or at a heartbeat"
        )


def _step_problems(path: str, step: StepConfig, config: "Config") -> Iterator[str]:
    parts: dict[str, SystemPart] = {}
    for at, target in enumerate(step.notify):
        if target in step.notify[:at]:
            yield f"{path}.notify.{at}: is {target!r}, as another one of this step is"
        part = config.systems.get(system_and_place(target)[0])
        yield from target_problems(f"{path}.notify.{at}", target, config)
        if part is not None:
            parts[target] = part
    if parts.keys() != set(step.notify):
        return  # what an unknown target takes is not known
    yield from _mention_problems(f"{path}.mention", step, parts)
    yield from _field_problems(f"{path}.fields", step, parts)


def target_problems(path: str, target: str, config: "Config") -> Iterator[str]:
    """What is said of a *target* at *path* that nothing can be sent to."""
    name, place = system_and_place(target)
    part = config.systems.get(name)
    if part is None:
        known = [name for it in config.systems.values() for name in (it.NAME, *(f"{it.NAME}:{of}" for of in it.places))]
        yield f"{path}: is {target!r}; {_hint(target, known, 'targets')}"
        return
    needed = part.needed_to_notify(config)
    if needed:
        yield f"{path}: is {target!r}, which needs {needed}"
    allowed = "" if place is None else part.place_problem(place)
    if allowed:
        close = get_close_matches(place or "", list(part.places), n=1)
        hint = f"did you mean {f'{part.NAME}:{close[0]}'!r}?" if close else f"allowed after the colon: {allowed}"
        yield f"{path}: is {target!r}; {hint}"


def _mention_problems(path: str, step: StepConfig, parts: Mapping[str, SystemPart]) -> Iterator[str]:
    channels = [part for part in parts.values() if isinstance(part, ChannelPart)]
    if step.mention and not channels:
        yield f"{path}: needs a channel in notify, such as slack"
    for problem in dict.fromkeys(it.mention_problem(step.mention) for it in channels if step.mention):
        if problem:
            yield f"{path}: is {step.mention!r}; {problem}"


def _field_problems(path: str, step: StepConfig, parts: Mapping[str, SystemPart]) -> Iterator[str]:
    providers = {target: part for target, part in parts.items() if isinstance(part, ProviderPart)}
    if step.fields and not providers:
        yield f"{path}: needs an on-call provider in notify, such as servicenow"
    told = {
        f"{path}.{column}: {problem}"
        for target, part in providers.items()
        for column in step.fields
        if (problem := part.field_problem(column, system_and_place(target)[1]))
    }
    yield from sorted(told)


def _hint(name: str, known: Mapping[str, object] | Sequence[str], what: str) -> str:
    close = get_close_matches(name, list(known), n=1)
    return f"did you mean {close[0]!r}?" if close else f"there are the {what} {', '.join(known) or 'none'}"
