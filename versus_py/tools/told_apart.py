"""Which values of a label its matchers can tell apart: one value for each combination of what they say.

Regular expressions are taken apart into automata that run side by side, together with one for the values that other
matchers compare with: every state that they can reach together is visited once. Values have no line breaks, and digits
are ASCII. Pure.
"""

import re
import warnings
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from re import _constants as sre  # private
from re import _parser  # private
from typing import Any

from versus_py.incidents.matchers import Matcher

OTHER = "other"
"""The first value to try for a label that is as no matcher says."""

STATES_MAX = 20_000
"""The most states of one automaton."""

JOINT_MAX = 5000
"""The most states that several automata are followed through together."""

_USUAL = "ax0_-. AX\u00e9"
_CATEGORIES = {
    "CATEGORY_DIGIT": r"\d",
    "CATEGORY_NOT_DIGIT": r"\D",
    "CATEGORY_SPACE": r"\s",
    "CATEGORY_NOT_SPACE": r"\S",
    "CATEGORY_WORD": r"\w",
    "CATEGORY_NOT_WORD": r"\W",
}

_Test = Callable[[str], bool]
_Joint = tuple[str | None, tuple[frozenset[int], ...]]


class _Unusual(Exception):
    """A regular expression with something in it that no automaton of these can do, such as a word's edge."""


@dataclass(frozen=True, slots=True)
class Values:
    """Values of one label."""

    found: tuple[str, ...]  # "" is a label that is missing
    is_exact: bool  # else a regular expression is too unusual, and values that tell it apart may be left out


def values_apart(matchers: Collection[Matcher]) -> Values:
    """Values of the label that all *matchers* are about: at least one for each combination of their answers."""
    compared = [it.value for it in matchers if it.pattern is None]
    found = {_answers(value, matchers): value for value in reversed(["", *compared, OTHER])}
    patterns = list(dict.fromkeys(it.value for it in matchers if it.pattern is not None))
    try:
        for value in _reached([_Automaton.of(it) for it in patterns], compared):
            found.setdefault(_answers(value, matchers), value)
    except _Unusual:
        for value in (word for it in patterns for word in re.findall(r"\w[\w.-]*", it)):
            found.setdefault(_answers(value, matchers), value)
        return Values(tuple(sorted(found.values())), is_exact=False)
    return Values(tuple(sorted(found.values())), is_exact=True)


def _answers(value: str, matchers: Collection[Matcher]) -> tuple[bool, ...]:
    return tuple(it.matches({it.name: value}) for it in matchers)


@dataclass(slots=True)
class _Automaton:
    """A nondeterministic one, whose states are numbers; 0 is where it starts."""

    steps: list[list[tuple[_Test, int]]] = field(default_factory=lambda: [[]])
    free: list[list[tuple[str, int]]] = field(default_factory=lambda: [[]])  # "", or where it has to be: ^ or $
    characters: set[str] = field(default_factory=set)  # those at which it may make a difference which one comes
    end: int = 0

    @classmethod
    def of(cls, pattern: str) -> "_Automaton":
        """Raises _Unusual."""
        found = cls()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # of what RE2 reads in another way, such as [[:alpha:]]
                parsed = _parser.parse(pattern, re.ASCII)
        except (re.error, RecursionError, OverflowError, Warning):
            raise _Unusual from None
        found.end = found._sequence(parsed, 0, parsed.state.flags)
        return found

    def start(self) -> frozenset[int]:
        return self._closed({0}, "^")

    def after(self, states: frozenset[int], character: str) -> frozenset[int]:
        return self._closed({to for state in states for test, to in self.steps[state] if test(character)}, "")

    def _closed(self, states: set[int], place: str) -> frozenset[int]:
        pending = list(states)
        while pending:
            for where, to in self.free[pending.pop()]:
                if where in {"", place} and to not in states:
                    states.add(to)
                    pending.append(to)
        return frozenset(states)

    def _state(self) -> int:
        if len(self.steps) >= STATES_MAX:
            raise _Unusual
        self.steps.append([])
        self.free.append([])
        return len(self.steps) - 1

    def _sequence(self, items: Any, at: int, flags: int) -> int:
        for operation, argument in items:
            at = self._item(str(operation), argument, at, flags)
        return at

    def _item(self, operation: str, argument: Any, at: int, flags: int) -> int:
        """The state after it."""
        match operation:
            case "BRANCH":
                ends = [self._sequence(branch, self._freely(at), flags) for branch in argument[1]]
                return self._joined(ends)
            case "SUBPATTERN":
                _, added, removed, items = argument
                return self._sequence(items, at, (flags | added) & ~removed)
            case "MAX_REPEAT" | "MIN_REPEAT":
                least, most, items = argument
                return self._repeated(least, most, items, at, flags)
            case "AT":
                return self._freely(at, _place(str(argument)))
            case _:
                test = self._test(operation, argument, flags)
                to = self._state()
                self.steps[at].append((test, to))
                return to

    def _repeated(self, least: int, most: Any, items: Any, at: int, flags: int) -> int:
        for _ in range(least):
            at = self._sequence(items, at, flags)
        if most is sre.MAXREPEAT:
            begin = self._freely(at)
            self.free[self._sequence(items, begin, flags)].append(("", begin))
            return self._freely(begin)
        ends = [at]
        for _ in range(most - least):
            ends.append(self._sequence(items, self._freely(ends[-1]), flags))
        return self._joined(ends)

    def _freely(self, at: int, where: str = "") -> int:
        to = self._state()
        self.free[at].append((where, to))
        return to

    def _joined(self, ends: Sequence[int]) -> int:
        to = self._state()
        for end in ends:
            self.free[end].append(("", to))
        return to

    def _test(self, operation: str, argument: Any, flags: int) -> _Test:
        text = _class_text(operation, argument)
        self.characters |= set(_edges(operation, argument))
        matches = re.compile(text, flags & (re.IGNORECASE | re.DOTALL | re.ASCII)).fullmatch
        return lambda character: matches(character) is not None


def _place(argument: str) -> str:
    """Raises _Unusual for the edges of words."""
    if argument in {"AT_BEGINNING", "AT_BEGINNING_STRING"}:
        return "^"
    if argument in {"AT_END", "AT_END_STRING"}:
        return "$"
    raise _Unusual


def _class_text(operation: str, argument: Any) -> str:
    """What matches one character, written as a regular expression. Raises _Unusual."""
    match operation:
        case "LITERAL":
            return re.escape(chr(argument))
        case "NOT_LITERAL":
            return f"[^{re.escape(chr(argument))}]"
        case "ANY":
            return "."
        case "RANGE":
            return f"{re.escape(chr(argument[0]))}-{re.escape(chr(argument[1]))}"
        case "CATEGORY":
            return _CATEGORIES[str(argument)]
        case "NEGATE":
            return "^"
        case "IN":
            return f"[{''.join(_class_text(str(kind), it) for kind, it in argument)}]"
    raise _Unusual


def _edges(operation: str, argument: Any) -> Iterator[str]:
    """The characters that are the first or the last of what it tells apart, and those beside them."""
    match operation:
        case "LITERAL" | "NOT_LITERAL":
            yield from (chr(argument), chr(argument).swapcase())
        case "RANGE":
            numbers = (argument[0] - 1, *argument, argument[1] + 1)
            yield from (chr(it) for it in numbers if 0 <= it <= 0x10FFFF)  # noqa: PLR2004 - Unicode's last
        case "IN":
            for kind, it in argument:
                yield from _edges(str(kind), it)


def _reached(automata: Sequence[_Automaton], compared: Sequence[str]) -> Iterator[str]:
    """A shortest text for each state that the automata and the texts to compare with can be in together.

    Raises _Unusual when these are too many.
    """
    own = sorted({character for it in automata for character in it.characters if len(character) == 1})
    alphabet = dict.fromkeys([*_USUAL[:1], *own, *(character for text in compared for character in text), *_USUAL])
    prefixes = {text[:length] for text in compared for length in range(len(text) + 1)}
    start: _Joint = ("", tuple(it.start() for it in automata))
    seen, pending = {start}, deque([("", start)])
    while pending:
        text, (prefix, states) = pending.popleft()
        yield text
        for character in alphabet:
            longer = None if prefix is None else f"{prefix}{character}"
            after = tuple(it.after(at, character) for it, at in zip(automata, states, strict=True))
            joint: _Joint = (longer if longer in prefixes else None, after)
            if joint not in seen:
                seen.add(joint)
                pending.append((text + character, joint))
        if len(seen) > JOINT_MAX:
            raise _Unusual
