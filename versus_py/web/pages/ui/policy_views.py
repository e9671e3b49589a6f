"""What the page of policies shows: each policy with its steps and hours, and a dry run of labels. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from zoneinfo import ZoneInfo

from versus_py.config import Config
from versus_py.config.parts import ChannelPart
from versus_py.engine.courses import (
    Course,
    Due,
    Shown,
    labels_from,
    mentions_of,
    notification_of,
    quoted,
    schedule,
    shown_policies,
    targets_of,
)
from versus_py.engine.policies import Policies, labels_of
from versus_py.incidents.matchers import Matcher, parse_matchers
from versus_py.incidents.model import system_of
from versus_py.incidents.moments import instant_ms, shown, wall
from versus_py.incidents.policies import Asked, OnFailure, Policy, Step
from versus_py.targets import Called
from versus_py.web.pages.ui.choices import SEVERITIES
from versus_py.web.pages.ui.hours import Week, named_hours, week_of, zones_of
from versus_py.web.pages.ui.ladder import Ladder, ladder_of
from versus_py.web.pages.ui.moments import span

LABELS_MAX = 2000
MADE_NAME = "everything else"
"""What the page calls the policy that is made from oncall."""


@dataclass(frozen=True, slots=True)
class StepShown:
    """A step: whom it tells, and how."""

    targets: str
    when: str  # since the start of the round
    mentions: tuple[str, ...]
    more: tuple[str, ...]  # what its records get, and what happens when it fails


@dataclass(frozen=True, slots=True)
class HoursShown:
    """An interval in which a policy tells people, or tells nobody."""

    is_open: bool
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class PolicyShown:
    """A policy, in the order in which they are tried."""

    number: int
    name: str
    is_made: bool  # from the keys of oncall
    matchers: tuple[Matcher, ...]
    named_by: tuple[str, ...]  # what it is for besides, whatever the labels are
    hours: tuple[HoursShown, ...]
    week: Week | None
    ladder: Ladder | None
    steps: tuple[StepShown, ...]
    again: tuple[str, str] | None  # how often, and how: "2 times more", "from the start, every 40 min"
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Asking:
    """The fields of the dry run, as they were typed."""

    labels: str = ""
    severity: str = ""
    at: str = ""
    zone: str = ""

    @property
    def is_empty(self) -> bool:
        return not (self.labels.strip() or self.severity or self.at)


@dataclass(frozen=True, slots=True)
class DueShown:
    """A step of a round, both counted from 1."""

    round: int
    step: int
    at: str  # such as Sat 28 Nov 01:30
    exactly: str  # with the distance from UTC
    after: str
    shown: StepShown


@dataclass(frozen=True, slots=True)
class DryRun:
    """What becomes of an incident, if nobody acknowledges."""

    policy: str
    labels: Mapping[str, str]
    at: str
    held_until: str  # "" when people are told at once
    dues: tuple[DueShown, ...]
    rounds: int
    notes: tuple[str, ...]
    warning: str


def policies_shown(config: Config, called: Called, now_ms: int) -> Iterator[PolicyShown]:
    """All that incidents may have, the first that is tried first."""
    for number, it in enumerate(shown_policies(config), start=1):
        yield _policy(config, called, number, it, now_ms)


def zones(config: Config) -> list[str]:
    """What the dry run offers: the zones of the intervals first."""
    return list(dict.fromkeys((*zones_of(config), "UTC")))


def dry_run(config: Config, called: Called, asking: Asking, now_ms: int) -> DryRun:
    """Raises ValueError with a sentence."""
    if len(asking.labels) > LABELS_MAX:
        raise ValueError(f"the labels are longer than {LABELS_MAX} characters")
    if asking.zone not in zones(config):
        raise ValueError(f"no time zone {asking.zone!r}: choose one of {', '.join(zones(config))}")
    zone = ZoneInfo(asking.zone)
    severity = [f"severity={quoted(asking.severity)}"] if asking.severity else []
    labels = labels_from([asking.labels, *severity])
    at_ms, warning = instant_ms(asking.at, zone) if asking.at else (now_ms, "")
    notification = notification_of(labels)
    policy = Policies(config).of(notification, at_ms)
    known = labels_of(notification.alerts, notification.severity, Asked())
    return _run(config, called, Course(policy, known, at_ms), zone, warning)


def _run(config: Config, called: Called, course: Course, zone: tzinfo, warning: str) -> DryRun:
    policy = course.policy
    opens_ms = policy.opens_at_ms

    def due_shown(due: Due) -> DueShown:
        begun = _step(config, called, policy, due.step, "", course.severity)
        after = span(due.at_ms - course.at_ms) if due.at_ms > course.at_ms else "at once"
        return DueShown(due.round, due.number, _moment(due.at_ms, zone), shown(due.at_ms, zone), after, begun)

    return DryRun(
        policy=policy.name or MADE_NAME,
        labels=course.labels,
        at=shown(course.at_ms, zone),
        held_until="" if opens_ms is None else _moment(opens_ms, zone),
        dues=tuple(due_shown(it) for it in schedule(policy, course.at_ms)),
        rounds=policy.repeat + 1,
        notes=tuple(_notes(config, called, policy)),
        warning=warning,
    )


def _moment(at_ms: int, zone: tzinfo) -> str:
    moment = wall(at_ms, zone)
    return f"{moment:%a} {moment.day} {moment:%b} {moment:{'%H:%M:%S' if moment.second else '%H:%M'}}"


def _policy(config: Config, called: Called, number: int, it: Shown, now_ms: int) -> PolicyShown:
    settings, policy = it.settings, it.policy
    matchers = () if settings is None else tuple(each for text in settings.match for each in parse_matchers(text))
    severity = next((each.value for each in matchers if each.name == "severity" and each.operator == "="), None)
    return PolicyShown(
        number=number,
        name=policy.name or MADE_NAME,
        is_made=settings is None,
        matchers=matchers,
        named_by=() if settings is None else tuple(_named_by(config, settings.name)),
        hours=() if settings is None else tuple(_hours(config, settings.within, settings.not_in)),
        week=None if settings is None else week_of(settings, now_ms),
        ladder=ladder_of(policy),
        steps=tuple(_steps(config, called, policy, severity)),
        again=_again(policy),
        notes=tuple(_notes(config, called, policy)),
    )


def _named_by(config: Config, name: str) -> Iterator[str]:
    for sender in config.intake.tokens:
        if name == sender.policy:
            yield f"all that comes with the token {sender.name}"
        elif name in (sender.overrides.policies or ()):
            yield f"what the token {sender.name} asks for by its name"
    yield from (f"the heartbeat {it.name}" for it in config.heartbeats if it.policy == name)
    yield from (f"tickets of {it.TITLE}" for it in config.systems.values() if name in it.named_policies)


def _hours(config: Config, within: Sequence[str], not_in: Sequence[str]) -> Iterator[HoursShown]:
    yield from (HoursShown(True, name, text) for name, text in named_hours(config, within))
    yield from (HoursShown(False, name, text) for name, text in named_hours(config, not_in))


def _steps(config: Config, called: Called, policy: Policy, severity: str | None) -> Iterator[StepShown]:
    after_ms = 0
    for number, step in enumerate(policy.timed):
        after_ms += policy.delay_ms(number)
        when = f"after {span(after_ms)}" if after_ms else "at once"
        yield _step(config, called, policy, step, when, severity)


def _step(config: Config, called: Called, policy: Policy, step: Step, when: str, severity: str | None) -> StepShown:
    mentions = dict.fromkeys(mentions_of(config, policy, step, severity).values())
    if severity is None and not mentions:
        mentions = dict.fromkeys(_by_severity(config, step))
    more = [f"{column}: {value}" for column, value in step.fields.items()]
    more += ["the next step keeps its time if this one fails"] if step.on_failure is OnFailure.WAIT else []
    return StepShown(
        ", ".join(targets_of(config, policy, step, called)) or "nobody", when, tuple(mentions), tuple(more)
    )


def _by_severity(config: Config, step: Step) -> Iterator[str]:
    """Whom its channels mention, where only the incident's severity says it."""
    parts = dict.fromkeys(system_of(it) for it in step.targets)
    for part in (config.systems[name] for name in parts):
        if isinstance(part, ChannelPart):
            named = ((severity, part.mention_for(severity)) for severity in SEVERITIES)
            yield from (f"{mention} if {severity}" for severity, mention in named if mention)


def _again(policy: Policy) -> tuple[str, str] | None:
    if not policy.repeat:
        return None
    every_ms = sum(policy.delay_ms(number) for number in range(1, len(policy.timed) + 1))
    times = {1: "once", 2: "twice"}.get(policy.repeat, f"{policy.repeat} times")
    return f"{times} more", f"from the start, every {span(every_ms)}"


def _notes(config: Config, called: Called, policy: Policy) -> Iterator[str]:
    if policy.opens_at_ms is not None:
        yield "What is resolved before its hours begin is never sent."
    if policy.fallback is not None and policy.oncall is not None:
        told = ", ".join(targets_of(config, policy, policy.fallback, called))
        yield f"If {called(policy.oncall)} fails for {span(policy.fallback.after_ms)}, {told} is notified."
    if policy.ack_timeout_ms:
        yield f"An acknowledgment ends after {span(policy.ack_timeout_ms)} if it still fires; then it starts again."
    if policy.count > 1 and all(it.on_failure is OnFailure.NEXT for it in policy.timed):
        yield "If a step can notify nobody, the next one comes at once."
