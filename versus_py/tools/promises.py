"""`versus policy prove`: whether policies keep promises such as `severity="critical" reaches servicenow within 30m`.

A promise is checked for kinds of incidents: recorded ones, or all that matchers tell apart. What a policy does changes
with the time only where its hours begin or end; while it is held, an incident waits the longer the earlier it comes. So
the first minute, and every boundary after it, stand for every minute of the year. Pure.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from difflib import get_close_matches
from typing import Any

from versus_py.config import Config
from versus_py.config.parts import duration_ms
from versus_py.config.policies import system_and_place
from versus_py.engine.courses import Course, duration, place_of, schedule
from versus_py.incidents.intervals import Hours
from versus_py.incidents.matchers import Matcher, parse_matchers
from versus_py.incidents.moments import shown, wall
from versus_py.incidents.policies import Policy
from versus_py.tools.kinds import Kind

MINUTE_MS = 60_000
YEAR_MS = 366 * 24 * 60 * MINUTE_MS

_FORMS = "write MATCHERS reaches TARGET within DURATION, or MATCHERS never reaches TARGET"
_WITHIN = re.compile(r"(?P<match>.*?)\s*\breaches\s+(?P<target>\S+)\s+within\s+(?P<within>\S+)", re.DOTALL)
_NEVER = re.compile(r"(?P<match>.*?)\s*\bnever\s+reaches\s+(?P<target>\S+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Promise:
    """What is promised of incidents with certain labels."""

    text: str
    matchers: tuple[Matcher, ...]  # empty: all incidents
    target: str  # with a place after a colon that one, else any place of the system
    within_ms: int | None  # None: it is never reached

    def is_about(self, labels: Mapping[str, str]) -> bool:
        return all(it.matches(labels) for it in self.matchers)


@dataclass(frozen=True, slots=True)
class CounterExample:
    """An incident of which a promise does not hold."""

    promise: Promise
    kind: Kind
    at_ms: int
    policy: Policy
    reached_ms: int | None  # when the target is told, if at all

    @property
    def course(self) -> Course:
        """What happens instead."""
        return Course(self.policy, self.kind.labels, self.at_ms)

    @property
    def reached(self) -> str:
        """What is wrong, in a few words."""
        if self.reached_ms is None:
            return f"{self.promise.target} is never reached"
        return f"{self.promise.target} is reached after {duration(self.reached_ms - self.at_ms)}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a promise holds for all kinds of incidents that it is about."""

    promise: Promise
    kinds: int
    from_ms: int
    counter_example: CounterExample | None
    inexact: Sequence[str] = ()  # labels of which not all values that matchers tell apart are known

    def lines(self, config: Config, zone: tzinfo | None) -> Iterator[str]:
        """For people."""
        found = self.counter_example
        if found is None:
            year = f"{YEAR_MS // MINUTE_MS} minutes from {shown(self.from_ms, zone)}"
            yield f"holds: {self.promise.text} ({_counted(self.kinds)}, {year})"
            return
        yield f"fails: {self.promise.text}"
        yield f"  {found.reached}"
        if found.kind.origin:
            yield f"  from         {found.kind.origin}"
        yield from (f"  {line}" for line in found.course.lines(config, zone, rounds=1))

    @property
    def warnings(self) -> Iterator[str]:
        """What the verdict does not say."""
        if not self.kinds:
            yield f"{self.promise.text}: no incident has such labels, so nothing was checked"
        for label in self.inexact:
            yield f"label {label}: a regular expression is too unusual to check every value that it tells apart"

    def as_json(self, config: Config, zone: tzinfo | None) -> dict[str, Any]:
        """For machines."""
        found = self.counter_example
        said = {"promise": self.promise.text, "holds": found is None, "kinds": self.kinds, "inexact": self.inexact}
        if found is None:
            return said | {"counter_example": None}
        reached = None if found.reached_ms is None else wall(found.reached_ms, zone).isoformat()
        more = {"from": found.kind.origin or None, "reached_at": reached}
        return said | {"counter_example": found.course.as_json(config, zone) | more}


def _counted(kinds: int) -> str:
    return f"{kinds} kind{'' if kinds == 1 else 's'} of incidents"


def verdict_of(
    promise: Promise, kinds: Sequence[Kind], config: Config, from_ms: int, *, inexact: Sequence[str] = ()
) -> Verdict:
    """Checks every minute of a year from then."""
    concerned = [it for it in kinds if promise.is_about(it.labels)]
    found = first_counter_example(promise, concerned, config, from_ms)
    return Verdict(promise, len(concerned), from_ms, found, inexact)


def read_promise(text: str, config: Config) -> Promise:
    """Raises ValueError with a sentence that says what is allowed."""
    stripped = text.strip()
    found = _WITHIN.fullmatch(stripped) or _NEVER.fullmatch(stripped)
    if found is None or found["match"].endswith(" never"):
        raise ValueError(f"{stripped!r} is no promise: {_FORMS}")
    try:
        matchers = parse_matchers(found["match"])
        within_ms = duration_ms(found["within"]) if found.re is _WITHIN else None
    except ValueError as exc:
        raise ValueError(f"{stripped!r}: {exc}") from None
    problem = _target_problem(found["target"], config)
    if problem:
        raise ValueError(f"{stripped!r}: {problem}")
    return Promise(stripped, matchers, found["target"], within_ms)


def _target_problem(target: str, config: Config) -> str:
    """What is wrong with it, in a sentence; "" when it is one."""
    name, place = system_and_place(target)
    part = config.systems.get(name)
    if part is None:
        known = [
            it for part in config.systems.values() for it in (part.NAME, *(f"{part.NAME}:{of}" for of in part.places))
        ]
        close = get_close_matches(target, known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known)}"
        return f"there is no target {target!r}; {hint}"
    allowed = "" if place is None else part.place_problem(place)
    return f"there is no target {target!r}; allowed after the colon: {allowed}" if allowed else ""


def first_counter_example(
    promise: Promise, kinds: Iterable[Kind], config: Config, from_ms: int
) -> CounterExample | None:
    """Of the first of these *kinds* that has one within a year from then; None when the promise holds for all."""
    kept: set[str] = set()
    for kind in kinds:
        policy = repr(kind.policy_at(from_ms))  # kinds with the same one now have the same at all times
        if policy in kept:
            continue
        found = _counter_example(promise, kind, config, from_ms)
        if found is not None:
            return found
        kept.add(policy)
    return None


def _counter_example(promise: Promise, kind: Kind, config: Config, from_ms: int) -> CounterExample | None:
    for at_ms in _boundaries(kind.hours, from_ms):
        policy = kind.policy_at(at_ms)
        reached_ms = _reached_ms(promise, policy, config, at_ms)
        if not _is_kept(promise, at_ms, reached_ms):
            return CounterExample(promise, kind, at_ms, policy, reached_ms)
    return None


def _is_kept(promise: Promise, at_ms: int, reached_ms: int | None) -> bool:
    if promise.within_ms is None:
        return reached_ms is None
    return reached_ms is not None and reached_ms - at_ms <= promise.within_ms


def _reached_ms(promise: Promise, policy: Policy, config: Config, at_ms: int) -> int | None:
    """When the first step is due that tells the target; for one that is never to be reached, also if others fail."""
    dues = [it.at_ms for it in schedule(policy, at_ms) if _names(promise, policy, config, it.step.targets)]
    fallback = policy.fallback
    if promise.within_ms is None and fallback and _names(promise, policy, config, fallback.targets):
        dues.append(at_ms + (policy.oncall_after_ms or 0) + fallback.after_ms)
    return min(dues, default=None)


def _names(promise: Promise, policy: Policy, config: Config, targets: Sequence[str]) -> bool:
    """Whether the promise's target is one of these, or the same place by another name."""
    name, place = system_and_place(promise.target)
    same = [target for target in targets if system_and_place(target)[0] == name]
    if place is None:
        return bool(same)
    wanted = config.systems[name].places.get(place, place)
    return any(place_of(config, policy, target) == wanted for target in same)


def _boundaries(hours: Hours | None, from_ms: int) -> Iterator[int]:
    """The first minute, and every later one of the year at which hours begin or end."""
    yield from_ms
    if hours is not None:
        for at_ms in hours.changes(from_ms):
            if at_ms >= from_ms + YEAR_MS:
                return
            yield at_ms
