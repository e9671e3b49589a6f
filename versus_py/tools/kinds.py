"""Kinds of incidents that the policies of a configuration tell apart: those of a recording, or all that can be."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from versus_py.config import Config
from versus_py.engine.policies import Policies, labels_of
from versus_py.errors import BadPayload
from versus_py.incidents.intervals import Hours
from versus_py.incidents.matchers import Matcher, parse_matchers
from versus_py.incidents.policies import Asked, Policy
from versus_py.tools.recordings import Posted, Read
from versus_py.tools.told_apart import Values, values_apart

PolicyAt = Callable[[int], Policy]
"""The policy of incidents of one kind that come at an instant, in ms."""

SETS_MAX = 5000
"""The most sets of labels that are made up."""


@dataclass(frozen=True, slots=True)
class Kind:
    """Incidents that all go the same way."""

    labels: Mapping[str, str]
    policy_at: PolicyAt
    hours: Hours | None = None  # those of its policy
    origin: str = ""  # where it is recorded, or who sends it


@dataclass(frozen=True, slots=True)
class Origin:
    """Who sends incidents, and what is the same for all of them."""

    asked: Asked
    name: str = ""  # for people; "": any request
    labels: Mapping[str, str] = field(default_factory=dict)
    matchers: tuple[Matcher, ...] = ()  # their labels match all of these

    @property
    def known(self) -> Mapping[str, str]:
        """The labels that they all have."""
        return {**self.labels, "severity": self.asked.severity} if self.asked.severity else self.labels


def origins_of_heartbeats(config: Config) -> Iterator[Origin]:
    """Heartbeats with a policy of their own; their incidents have a severity of their own too."""
    for it in config.heartbeats:
        matchers = (matcher for text in it.match for matcher in parse_matchers(text))
        if it.policy:
            yield Origin(
                Asked(policy=it.policy),
                f"heartbeat {it.name!r}",
                {"heartbeat": it.name, "severity": it.severity},
                tuple(matcher for matcher in matchers if matcher.name != "severity"),
            )


def recorded(records: Iterable[Posted], read: Read, config: Config) -> tuple[list[Kind], list[str]]:
    """The kinds of incidents that *records* would create, and a sentence for each that cannot be read."""
    hours, problems = _hours_by_name(config), []
    kinds: dict[str, Kind] = {}
    for record in records:
        try:
            notifications, policy_for, _ = read(record)
        except BadPayload as exc:
            problems.append(f"{record.where}: {exc}")
            continue
        for it in filter(lambda it: it.is_firing, notifications):
            policy = policy_for(it, record.at_ms)
            labels = labels_of(it.alerts, it.severity, policy.asked or Asked())
            kind = Kind(labels, partial(policy_for, it), hours.get(policy.name), record.where)
            kinds.setdefault(f"{sorted(labels.items())}{policy.asked}", kind)
    return list(kinds.values()), problems


def made_up(
    is_wanted: Callable[[Mapping[str, str]], bool],
    asks_for: Sequence[Collection[Matcher]],
    config: Config,
    origin: Origin,
    now_ms: int,
) -> tuple[list[Kind], list[str]]:
    """A kind of incidents for each way that wanted labels may go; groups of matchers in *asks_for* say what is wanted.

    Also the labels of which some values may be left out. Raises ValueError when there are too many kinds.
    """
    policies, hours = Policies(config), _hours_by_name(config)
    groups = [
        *asks_for,
        origin.matchers,
        *(it.matchers for it in config.route_leads()),
        *(it.matchers for it in config.policies),
    ]
    values = label_values(matcher for group in groups for matcher in group)

    def is_sent(labels: Mapping[str, str]) -> bool:
        return all(it.matches(labels) for it in origin.matchers) and is_wanted(labels)

    def policy_at(at_ms: int, labels: Mapping[str, str]) -> Policy:
        return policies.for_labels(labels, at_ms, origin.asked)

    decisions = Decisions(lambda labels: is_sent(labels) and policy_at(now_ms, labels), groups)
    kinds = [
        Kind(labels, partial(policy_at, labels=labels), hours.get(policy_at(now_ms, labels).name), origin.name)
        for labels in label_sets(decisions, lambda name: values[name].found, origin.known)
        if is_sent(labels)
    ]
    return kinds, sorted(name for name, it in values.items() if not it.is_exact)


def _hours_by_name(config: Config) -> dict[str, Hours]:
    return {it.name: it.hours for it in config.policies if it.hours is not None}


class _Undecided(Exception):
    """A label was asked for that nothing is known of yet."""


class _Labels(dict[str, str]):
    """Labels of which some are known; the others must not be asked for."""

    def get(self, key: str, default: object = None) -> str:  # noqa: ARG002 - nothing stands for it
        return self[key]

    def __missing__(self, key: str) -> str:
        raise _Undecided(key)


class Decisions:
    """Tells which label to try next, for a decision by *groups* of matchers of which all have to match."""

    def __init__(self, decide: Callable[[Mapping[str, str]], object], groups: Sequence[Collection[Matcher]]) -> None:
        self._decide = decide
        self._groups = groups
        self._uses = Counter(name for group in groups for name in {it.name for it in group})

    def needs(self, labels: Mapping[str, str]) -> str | None:
        """A label that matters beside these; None when none does.

        One that many groups ask for rules most of them out, whatever it is: so it comes first.
        """
        open_groups = [group for group in self._groups if not _is_out(group, labels)]
        asked = _Labels(labels)
        while (name := self._asked_for(asked)) is not None:
            together = {it.name for group in open_groups if _names(group, name) for it in group} - asked.keys()
            if together:
                return max(together, key=lambda it: (self._uses[it], it))
            asked[name] = ""  # whatever it is, something else has decided
        return None

    def _asked_for(self, labels: "_Labels") -> str | None:
        try:
            self._decide(labels)
        except _Undecided as asked:
            return str(asked)
        return None


def _names(group: Collection[Matcher], label: str) -> bool:
    return any(it.name == label for it in group)


def _is_out(group: Collection[Matcher], labels: Mapping[str, str]) -> bool:
    return any(it.name in labels and not it.matches(labels) for it in group)


def label_sets(
    decisions: Decisions, values: Callable[[str], Sequence[str]], known: Mapping[str, str]
) -> Iterator[Mapping[str, str]]:
    """A set of labels for each way that a decision may go: those *known*, and all *values* of those that matter.

    Labels that are missing are left out. Raises ValueError when there are too many.
    """
    pending: list[Mapping[str, str]] = [known]
    count = 0
    while pending:
        labels = pending.pop()
        name = decisions.needs(labels)
        if name is None:
            count += 1
            yield {label: value for label, value in sorted(labels.items()) if value}
        else:
            pending += [{**labels, name: value} for value in reversed(values(name))]
        if count + len(pending) > SETS_MAX:
            raise ValueError(f"matchers tell more than {SETS_MAX} sets of labels apart: name recorded ones")


def label_values(matchers: Iterable[Matcher]) -> dict[str, Values]:
    """By label, the values that *matchers* tell apart."""
    named: dict[str, list[Matcher]] = {}
    for matcher in matchers:
        named.setdefault(matcher.name, []).append(matcher)
    return {name: values_apart(own) for name, own in named.items()}
