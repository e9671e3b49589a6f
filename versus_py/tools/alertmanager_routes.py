"""Which incidents each route of an Alertmanager sends, and which policies they get. Pure.

An alert goes the way that prometheus/alertmanager, dispatch/route.go, sends it.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from versus_py.config import Config
from versus_py.engine.policies import Policies
from versus_py.incidents.matchers import Matcher, parse_matchers
from versus_py.incidents.policies import Asked, Policy
from versus_py.tools.kinds import Origin, made_up


@dataclass(frozen=True, slots=True)
class Node:
    """A route, with those below it."""

    line: int  # by which it is known
    matchers: tuple[Matcher, ...]
    goes_on: bool  # `continue`: later routes beside it are tried too
    below: tuple["Node", ...]

    def reached(self, labels: Mapping[str, str]) -> list[int]:
        """The routes that alerts with these *labels* end in; empty when it does not match."""
        if not all(it.matches(labels) for it in self.matchers):
            return []
        found: list[int] = []
        for node in self.below:
            ends = node.reached(labels)
            found += ends
            if ends and not node.goes_on:
                break
        return found or [self.line]

    def groups(self) -> Iterator[tuple[Matcher, ...]]:
        """The matchers of each route."""
        yield self.matchers
        for node in self.below:
            yield from node.groups()


def matchers_of(texts: list[str]) -> tuple[Matcher, ...]:
    """The matchers in *texts*. One that cannot be read here may match or not: as one of a label of its own does."""
    found: list[Matcher] = []
    for text in texts:
        try:
            found += parse_matchers(text)
        except ValueError:
            found.append(Matcher(text, "=", "matches"))
    return tuple(found)


def policies_of_routes(root: Node, lines: Collection[int], config: Config, asked: Asked) -> dict[int, list[Policy]]:
    """The policies that incidents get which the routes in these *lines* send, each once."""
    try:
        return _policies_by_line(root, lines, config, asked)
    except ValueError:  # more than can be tried for all of them
        return {line: _policies_of_one(root, line, config, asked) for line in lines}


def _policies_of_one(root: Node, line: int, config: Config, asked: Asked) -> list[Policy]:
    try:
        return _policies_by_line(root, [line], config, asked)[line]
    except ValueError:  # and for that one: as if nothing were known of their labels
        return [Policies(config).for_labels({}, 0, asked)]


def _policies_by_line(root: Node, lines: Collection[int], config: Config, asked: Asked) -> dict[int, list[Policy]]:
    def is_wanted(labels: Mapping[str, str]) -> bool:
        return not {*lines}.isdisjoint(root.reached(labels))

    kinds, _ = made_up(is_wanted, [*root.groups()], config, Origin(asked), 0)
    found: dict[int, dict[tuple[object, ...], Policy]] = {line: {} for line in lines}
    for kind in kinds:
        policy = kind.policy_at(0)
        for line in found.keys() & {*root.reached(kind.labels)}:
            found[line][policy.name, policy.wait_ms, policy.oncall_after_ms] = policy
    return {line: [*policies.values()] for line, policies in found.items()}
