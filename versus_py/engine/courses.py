"""What the policies of a configuration do about an incident, and when, told to people and to machines. Pure.

Every decision is that of `Policies`: this asks it for policies, and counts their steps.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any

from versus_py.config import Config
from versus_py.config.parts import ChannelPart
from versus_py.config.policies import PolicyConfig, system_and_place
from versus_py.engine.policies import Policies
from versus_py.incidents.matchers import parse_matchers
from versus_py.incidents.model import Alert, AlertStatus, Notification
from versus_py.incidents.moments import shown, wall
from versus_py.incidents.policies import Asked, OnFailure, Policy, Step
from versus_py.incidents.severity import UNKNOWN_SEVERITY
from versus_py.targets import Called

MADE = "(from oncall)"
"""What a policy is called that is made from the keys of oncall."""

_BETWEEN = re.compile(r'("(?:[^"\\]|\\.)*")|(?<=[^\s{,])\s+(?=[^\s{}=~!,"]+\s*!?[=~])')
"""White space before the next label, outside of quotes."""

_UNITS_MS = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}


@dataclass(frozen=True, slots=True)
class Due:
    """One step of one round, both counted from 1, and when it is due if nobody acknowledges."""

    round: int
    number: int
    step: Step
    at_ms: int


@dataclass(frozen=True, slots=True)
class Shown:
    """A policy that incidents may have."""

    policy: Policy
    settings: PolicyConfig | None  # None: made from the keys of oncall, where no policy matches

    @property
    def name(self) -> str:
        return self.policy.name or MADE

    @property
    def match(self) -> str:
        """Its matchers, or what it is for without any."""
        if self.settings is None:
            return "what no policy matches"
        return ", ".join(self.settings.match) or "everything"

    @property
    def hours(self) -> str:
        """The time intervals within which people are told, or are not."""
        named = (("in", self.settings.within), ("not in", self.settings.not_in)) if self.settings else ()
        return ", ".join(f"{word} {' or '.join(names)}" for word, names in named if names) or "always"

    @property
    def steps(self) -> str:
        """In one line."""
        steps = "; ".join(f"{_when(step)}: {', '.join(step.targets) or 'nobody'}" for step in self.policy.timed)
        return f"{steps}; {self.policy.repeat + 1} rounds" if self.policy.repeat else steps

    def pairs(self, config: Config) -> list[tuple[str, str]]:
        """Names and values, one for each step."""
        policy = self.policy
        steps = [
            (f"step {number}", f"{_when(step)}: {step_text(config, policy, step)}")
            for number, step in enumerate(policy.timed, start=1)
        ]
        return [
            ("policy", self.name),
            ("match", self.match),
            ("hours", self.hours),
            *steps,
            *fallback_pairs(config, policy),
            ("rounds", str(policy.repeat + 1)),
            ("ack timeout", duration(policy.ack_timeout_ms) if policy.ack_timeout_ms else "never"),
        ]

    def as_json(self, config: Config) -> dict[str, Any]:
        """For machines."""
        settings, policy = self.settings, self.policy
        return {
            "name": policy.name or None,
            "match": settings.match if settings else None,
            "in": settings.within if settings else (),
            "not_in": settings.not_in if settings else (),
            "steps": [_step_json(config, policy, step) for step in policy.timed],
            "fallback": _step_json(config, policy, policy.fallback) if policy.fallback else None,
            "rounds": policy.repeat + 1,
            "ack_timeout": duration(policy.ack_timeout_ms) if policy.ack_timeout_ms else None,
        }


@dataclass(frozen=True, slots=True)
class Course:
    """What becomes of an incident that comes at an instant, if nobody acknowledges it."""

    policy: Policy
    labels: Mapping[str, str]
    at_ms: int

    @property
    def severity(self) -> str:
        """As its label says."""
        return self.labels.get("severity", UNKNOWN_SEVERITY)

    def lines(self, config: Config, zone: tzinfo | None, *, rounds: int | None = None) -> Iterator[str]:
        """For people, with instants in *zone*; of so many *rounds*, None being all."""
        policy = self.policy
        yield f"policy       {policy.name or MADE}"
        yield f"labels       {labels_text(self.labels)}"
        yield f"at           {shown(self.at_ms, zone)}"
        if policy.opens_at_ms is not None:
            yield f"held until   {shown(policy.opens_at_ms, zone)}"
        if policy.ack_timeout_ms:
            yield f"ack timeout  {duration(policy.ack_timeout_ms)}"
        for due in schedule(policy, self.at_ms):
            if rounds is None or due.round <= rounds:
                where = f"round {due.round}, step {due.number}"
                yield f"{where}  {shown(due.at_ms, zone)}  {step_text(config, policy, due.step, self.severity)}"
        for name, value in fallback_pairs(config, policy):
            yield f"{name}: {value}"

    def as_json(self, config: Config, zone: tzinfo | None) -> dict[str, Any]:
        """For machines."""
        policy = self.policy
        steps = (
            {"round": due.round, "step": due.number, "due_at": _moment(due.at_ms, zone)}
            | _step_json(config, policy, due.step, self.severity)
            for due in schedule(policy, self.at_ms)
        )
        return {
            "policy": policy.name or None,
            "labels": dict(self.labels),
            "at": _moment(self.at_ms, zone),
            "held_until": None if policy.opens_at_ms is None else _moment(policy.opens_at_ms, zone),
            "ack_timeout": duration(policy.ack_timeout_ms) if policy.ack_timeout_ms else None,
            "steps": list(steps),
            "fallback": _step_json(config, policy, policy.fallback) if policy.fallback else None,
        }


def _when(step: Step) -> str:
    return f"after {duration(step.after_ms)}" if step.after_ms else "at once"


def _moment(at_ms: int, zone: tzinfo | None) -> str:
    return wall(at_ms, zone).isoformat()


def duration(ms: int) -> str:
    """As Prometheus writes it, such as 1h30m."""
    said = ""
    for unit, unit_ms in _UNITS_MS.items():
        count, ms = divmod(ms, unit_ms)
        said += f"{count}{unit}" if count else ""
    return said or "0s"


def shown_policies(config: Config) -> Iterator[Shown]:
    """In the order in which they are tried. The last one is made from oncall, if incidents may come to it."""
    yield from (shown_policy(config, it.name) for it in config.policies)
    if all(it.match for it in config.policies):
        yield shown_policy(config, "")


def shown_policy(config: Config, name: str) -> Shown:
    """The policy with that *name*; "" is the one made from oncall."""
    own = next((it for it in config.policies if it.name == name), None)
    known = config.model_copy(update={"policies": () if own is None else config.policies})
    return Shown(Policies(known).for_labels({}, 0, Asked(policy=name, escalates=True if name else None)), own)


def schedule(policy: Policy, at_ms: int) -> Iterator[Due]:
    """The steps of all rounds of an incident that comes then, if nobody acknowledges and all can be told."""
    due_ms = max(at_ms, policy.opens_at_ms or at_ms)
    for number in range(policy.count):
        due_ms += policy.delay_ms(number)
        yield Due(policy.round(number) + 1, number % len(policy.timed) + 1, policy.step(number), due_ms)


def place_of(config: Config, policy: Policy, target: str) -> str:
    """The channel or instance that it is there; "" where that has no name."""
    part = config.systems[system_and_place(target)[0]]
    default = getattr(part, "default_destination", "")
    return policy.destinations.get(target) or config.places(part.NAME).get(target) or default


def targets_of(config: Config, policy: Policy, step: Step, called: Called = str) -> list[str]:
    """Its targets as they are *called*, each with its place where the name does not say it."""
    places = ((it, place_of(config, policy, it)) for it in step.targets)
    return [f"{called(it)} ({place})" if place and not it.endswith(f":{place}") else called(it) for it, place in places]


def step_text(config: Config, policy: Policy, step: Step, severity: str | None = None) -> str:
    """Whom it tells, and how; of incidents with that *severity*, where it is known."""
    mentions = dict.fromkeys(mentions_of(config, policy, step, severity).values())
    said = [*(targets_of(config, policy, step) or ["nobody"]), *(f"mentions {it}" for it in mentions)]
    said += [f"{column}: {value}" for column, value in step.fields.items()]
    return ", ".join([*said, *(["the next step waits if it fails"] if step.on_failure is OnFailure.WAIT else [])])


def fallback_pairs(config: Config, policy: Policy) -> list[tuple[str, str]]:
    """When the fallback is told, and which one it is; empty where there is none."""
    step = policy.fallback
    if step is None or policy.oncall is None:
        return []
    return [(f"if {policy.oncall} fails for {duration(step.after_ms)}", step_text(config, policy, step))]


def _step_json(config: Config, policy: Policy, step: Step, severity: str | None = None) -> dict[str, Any]:
    mentions = mentions_of(config, policy, step, severity)
    targets = [
        {"target": it, "place": place_of(config, policy, it) or None, "mention": mentions.get(it)}
        for it in step.targets
    ]
    said = {"after": duration(step.after_ms), "targets": targets, "fields": dict(step.fields)}
    return said | {"on_failure": step.on_failure}


def mentions_of(config: Config, policy: Policy, step: Step, severity: str | None) -> dict[str, str]:
    """Target -> who the step, else a route, else the *severity* has it mention."""
    said: dict[str, str] = {}
    for target in step.targets:
        part = config.systems[system_and_place(target)[0]]
        if isinstance(part, ChannelPart):
            by_severity = "" if severity is None else part.mention_for(severity)
            said[target] = step.mention or policy.mentions.get(target) or by_severity
    return {target: mention for target, mention in said.items() if mention}


def labels_text(labels: Mapping[str, str]) -> str:
    """As --labels takes them."""
    return ", ".join(f"{name}={quoted(value)}" for name, value in labels.items()) or "none"


def quoted(value: str) -> str:
    """A label's value in the double quotes of matchers."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def labels_from(texts: list[str]) -> dict[str, str]:
    """The labels in texts such as severity=critical,team="a, b", or with spaces between. Raises ValueError."""
    labels: dict[str, str] = {}
    for matcher in (it for text in texts for it in parse_matchers(_with_commas(text))):
        if matcher.operator != "=":
            raise ValueError(f"{matcher.name}{matcher.operator}{matcher.value!r} is no label: write NAME=VALUE")
        if labels.setdefault(matcher.name, matcher.value) != matcher.value:
            raise ValueError(f"label {matcher.name} is both {labels[matcher.name]!r} and {matcher.value!r}")
    return labels


def _with_commas(text: str) -> str:
    return _BETWEEN.sub(lambda found: found[1] or ", ", text)


def notification_of(labels: Mapping[str, str]) -> Notification:
    """One alert with these *labels*, as a source reads it."""
    severity = labels.get("severity", UNKNOWN_SEVERITY)
    alert = Alert("policy test", AlertStatus.FIRING, labels, severity=severity)
    return Notification("policy test", labels.get("alertname", "policy test"), severity, (alert,))
