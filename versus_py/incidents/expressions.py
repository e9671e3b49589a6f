"""Regular expressions of people who must not keep the server busy: the time to match grows as the text does. Pure.

Python's take exponential time for some expressions, such as `(a+)+b`, and nothing else runs meanwhile. These are what
RE2, and so Alertmanager, takes of them: no lookaround, no backreference, no word boundary. A state machine follows all
ways through the expression at once, and remembers its steps.
"""

import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NoReturn, TypeVar

K = TypeVar("K")
V = TypeVar("V")

PLACES_MAX = 250
"""How large an expression may be; `x{3}` counts as three."""

STEPS_MAX = 500_000
"""What one expression may cost in all: about a second."""

KNOWN_MAX = 5_000
"""How many steps, and how many results, are remembered."""

_TIMES_MAX = 1000
_DEPTH_MAX = 50

_TOKENS = re.compile(
    r"""(?P<open>\(\?:|\(\?P<\w+>|\((?!\?))
      | (?P<close>\))
      | (?P<or>\|)
      | (?P<times>(?:[*+?]|\{\d+\}|\{\d+,\d*\}|\{,\d+\})\??)
      | (?P<begin>\^)
      | (?P<end>\$)
      | (?P<one>\[\^?\]?(?:\\.|[^\]\\])*\]
          | \\(?:[dDwWsSntrfv]|x[0-9a-fA-F]{2}|[^A-Za-z0-9])
          | [^\\\[()])
    """,
    re.VERBOSE | re.DOTALL,
)
_IGNORES_CASE = "(?i)"
_AT_ONCE = {"*": (0, None), "+": (1, None), "?": (0, 1)}


class TooCostly(ValueError):
    """An expression has taken more time than it may."""


@dataclass(frozen=True, slots=True)
class _One:
    """A part that takes one character."""

    pattern: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class _Edge:
    at: Literal["begin", "end"]


@dataclass(frozen=True, slots=True)
class _Sequence:
    parts: tuple["_Part", ...]


@dataclass(frozen=True, slots=True)
class _Either:
    parts: tuple["_Part", ...]


@dataclass(frozen=True, slots=True)
class _Times:
    part: "_Part"
    least: int
    most: int | None  # None: without end


_Part = _One | _Edge | _Sequence | _Either | _Times


@dataclass(frozen=True, slots=True)
class _Place:
    """Somewhere in the expression: it takes one character, or leads on without, perhaps at an edge of the text only."""

    ways: tuple[int, ...]
    one: re.Pattern[str] | None = None
    edge: str = ""


class Expression:
    """A regular expression, for as long as one request takes."""

    def __init__(self, text: str) -> None:
        """Raises ValueError with what is wrong with it, as the end of a sentence that begins with "it"."""
        self.pattern = text
        self._left = STEPS_MAX
        self._places: list[_Place] = [_Place(())]  # the first of the list is the last of the text
        self._begin = self._built(_Parser(text).part, 0)
        self._steps: dict[tuple[frozenset[int], str], frozenset[int]] = {}
        self._results: dict[str, bool] = {}

    def fullmatch(self, text: str) -> bool:
        """Whether it matches *text* as a whole. Raises TooCostly."""
        known = self._results.get(text)
        if known is None:
            known = self._matches(text)
            _keep(self._results, text, known)
        return known

    def _matches(self, text: str) -> bool:
        places = self._reached((self._begin,), "begin", "" if text else "end")
        for character in text:
            after = self._steps.get((places, character))
            if after is None:
                after = self._step(places, character)
                _keep(self._steps, (places, character), after)
            if not after:
                return False
            places = after
        return 0 in (self._reached(places, "end") if text else places)

    def _step(self, places: frozenset[int], character: str) -> frozenset[int]:
        taken = (it for it in map(self._places.__getitem__, places) if it.one is not None)
        return self._reached([way for it in taken if it.one and it.one.fullmatch(character) for way in it.ways])

    def _reached(self, places: Iterable[int], *edges: str) -> frozenset[int]:
        """These places, and those that they lead to without a character."""
        found = set(places)
        rest = list(found)
        while rest:
            place = self._places[rest.pop()]
            if place.one is None and (not place.edge or place.edge in edges):
                rest += {*place.ways} - found
                found.update(place.ways)
        self._left -= 1 + len(found)
        if self._left < 0:
            raise TooCostly(f"the regular expression {self.pattern!r} takes too long: make it simpler")
        return frozenset(found)

    def _built(self, part: _Part, after: int) -> int:
        """Where *part* begins that goes on at *after*."""
        match part:
            case _One(pattern):
                return self._added(_Place((after,), one=pattern))
            case _Edge(at):
                return self._added(_Place((after,), edge=at))
            case _Either(parts):
                return self._added(_Place(tuple(self._built(it, after) for it in parts)))
            case _Sequence(parts):
                for it in reversed(parts):
                    after = self._built(it, after)
                return after
            case _Times():
                return self._built_times(part, after)

    def _built_times(self, part: _Times, after: int) -> int:
        if part.most is None:
            loop = self._added(_Place(()))
            self._places[loop] = _Place((self._built(part.part, loop), after))
            after = loop
        else:
            end = after
            for _ in range(part.most - part.least):
                after = self._added(_Place((self._built(part.part, after), end)))
        for _ in range(part.least):
            after = self._built(part.part, after)
        return after

    def _added(self, place: _Place) -> int:
        if len(self._places) > PLACES_MAX:
            raise ValueError(f"it is too large: it may have {PLACES_MAX} places, and x{{3}} counts as three")
        self._places.append(place)
        return len(self._places) - 1


class _Parser:
    """Reads the text of an expression."""

    def __init__(self, text: str) -> None:
        self._flags = re.DOTALL
        if text.startswith(_IGNORES_CASE):
            self._flags, text = self._flags | re.IGNORECASE, text.removeprefix(_IGNORES_CASE)
        self._text = text
        self._at = 0
        self._depth = 0
        self.part = self._either()
        if self._at < len(text):
            _refuse("has a parenthesis that is not opened")

    def _either(self) -> _Part:
        parts = [self._sequence()]
        while self._takes("or"):
            parts.append(self._sequence())
        return parts[0] if len(parts) == 1 else _Either(tuple(parts))

    def _sequence(self) -> _Part:
        parts: list[_Part] = []
        while (found := self._next()) and found.lastgroup not in {"or", "close"}:
            self._at = found.end()
            parts.append(self._repeated(self._single(found)))
        return _Sequence(tuple(parts))

    def _single(self, found: re.Match[str]) -> _Part:
        match found.lastgroup:
            case "open":
                self._depth += 1
                if self._depth > _DEPTH_MAX:
                    _refuse("is nested too deeply")
                inner = self._either()
                self._depth -= 1
                if not self._takes("close"):
                    _refuse("has a parenthesis that is not closed")
                return inner
            case "times":
                return _refuse("has nothing to repeat")
            case "begin":
                return _Edge("begin")
            case "end":
                return _Edge("end")
            case _:
                return _One(self._one(found[0]))

    def _repeated(self, part: _Part) -> _Part:
        found = self._next()
        if found is None or found.lastgroup != "times":
            return part
        self._at = found.end()
        text = found[0][:-1] if len(found[0]) > 1 and found[0].endswith("?") else found[0]
        least, most = _AT_ONCE[text] if text in _AT_ONCE else _bounds(text)
        again = self._next()
        if again is not None and again.lastgroup == "times":
            _refuse("repeats what is repeated: put it in parentheses")
        return _Times(part, least, most)

    def _one(self, text: str) -> re.Pattern[str]:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # of what RE2 reads in another way, such as [[:alpha:]]
                return re.compile(re.escape(text) if len(text) == 1 and text != "." else text, self._flags)
        except (re.error, Warning) as exc:
            raise ValueError(f"it has {text!r}: {exc}") from None

    def _takes(self, kind: str) -> bool:
        found = self._next()
        if found is None or found.lastgroup != kind:
            return False
        self._at = found.end()
        return True

    def _next(self) -> re.Match[str] | None:
        """The token to come; None at the end."""
        if self._at >= len(self._text):
            return None
        found = _TOKENS.match(self._text, self._at)
        if found is None:
            _refuse(f"has something that is not understood: {self._text[self._at : self._at + 10]!r}")
        return found


def _bounds(text: str) -> tuple[int, int | None]:
    """Of `{2}`, `{2,}`, `{2,3}` and `{,3}`."""
    first, comma, last = text[1:-1].partition(",")
    least = int(first or 0)
    most = int(last) if last else None if comma else least
    if max(least, most or 0) > _TIMES_MAX or (most is not None and most < least):
        _refuse(f"has {text}, which is no number of times up to {_TIMES_MAX}")
    return least, most


def _keep(known: dict[K, V], key: K, value: V) -> None:
    if len(known) >= KNOWN_MAX:
        known.clear()
    known[key] = value


def _refuse(what: str) -> NoReturn:
    raise ValueError(f"it {what}")
