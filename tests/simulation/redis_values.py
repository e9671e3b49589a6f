"""What a simulated Redis keeps under a key, and how it reads numbers."""

import re
from bisect import bisect_left, bisect_right, insort
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from math import inf

from redis._parsers.base import BaseParser
from redis.exceptions import ResponseError

INT64 = 1 << 63


def refusal(text: str) -> Exception:
    """The error that redis-py raises when a server answers with *text*."""
    parsed: Exception = BaseParser.parse_error(text)
    return parsed


def text_of(value: str | bytes | float) -> str:
    """An argument as redis-py sends it."""
    if value.__class__ is int or isinstance(value, str):
        return str(value)
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, bool):
        raise TypeError(f"redis-py sends no {value!r}")
    return repr(value)


def number_text(value: float) -> str:
    """A number as a script hands it to a command, or reads it as a score."""
    if value in (inf, -inf):
        return "inf" if value > 0 else "-inf"
    return str(int(value)) if value == int(value) else f"{value:.17g}"


_INTEGER = re.compile(r"-?[1-9]\d*|0")
_FLOAT = re.compile(r"[+-]?(inf(inity)?|(\d+\.?\d*|\.\d+)(e[+-]?\d+)?)", re.IGNORECASE)


@lru_cache(maxsize=1000)
def integer(text: str) -> int:
    value = int(text) if _INTEGER.fullmatch(text) else INT64
    if not -INT64 <= value < INT64:
        raise refusal("ERR value is not an integer or out of range")
    return value


def score(text: str) -> float:
    if not _FLOAT.fullmatch(text):
        raise refusal("ERR value is not a valid float")
    return float(text)


def bounds(length: int, first: int, last: int) -> tuple[int, int]:
    """*first* and *last* as a slice: both count from the end when negative, and the last one is in it."""
    start = max(0, first + length if first < 0 else first)
    stop = (last + length if last < 0 else last) + 1
    return start, max(start, stop)


class Hash(dict[str, str]):
    """Fields in the order in which they came."""


class Members(dict[str, None]):
    """A set, in the order in which its members came: the order of a Python set depends on PYTHONHASHSEED."""


@dataclass(slots=True)
class SortedSet:
    """Members by score, those of one score by their bytes."""

    scores: dict[str, float] = field(default_factory=dict)
    order: list[tuple[float, str]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.scores)

    def put(self, member: str, at: float) -> bool:
        """Whether it is new."""
        before = self.scores.get(member)
        if before is not None:
            self._take_out(member, before)
        self.scores[member] = at
        insort(self.order, (at, member))
        return before is None

    def remove(self, member: str) -> bool:
        """Whether it was there."""
        before = self.scores.pop(member, None)
        if before is None:
            return False
        self._take_out(member, before)
        return True

    def _take_out(self, member: str, at: float) -> None:
        del self.order[bisect_left(self.order, (at, member))]

    def rank(self, member: str) -> int | None:
        at = self.scores.get(member)
        return None if at is None else bisect_left(self.order, (at, member))

    def between(self, interval: "Interval") -> list[tuple[float, str]]:
        low, high = interval.low, interval.high
        start = (bisect_right if interval.excludes_low else bisect_left)(self.order, low, key=_score)
        stop = (bisect_left if interval.excludes_high else bisect_right)(self.order, high, key=_score)
        return self.order[start:stop]


@dataclass(frozen=True, slots=True)
class Interval:
    """Scores between two bounds, in the words of ZRANGEBYSCORE: a bound after "(" is not in it."""

    low: float
    excludes_low: bool
    high: float
    excludes_high: bool

    @classmethod
    @lru_cache(maxsize=1000)
    def of(cls, lowest: str, highest: str) -> "Interval":
        return cls(*_bound(lowest), *_bound(highest))


def _score(entry: tuple[float, str]) -> float:
    return entry[0]


def _bound(text: str) -> tuple[float, bool]:
    number = text.removeprefix("(")
    if not _FLOAT.fullmatch(number):
        raise refusal("ERR min or max is not a float")
    return float(number), number is not text


StreamId = tuple[int, int]


@dataclass(slots=True)
class Stream:
    """Entries by their ids, which only grow. It goes on to be there when it has none."""

    entries: list[tuple[StreamId, list[str]]] = field(default_factory=list)
    last_id: StreamId = (0, 0)

    def next_id(self, now_ms: int) -> StreamId:
        """Of an entry that is added now; the clock may have been set back."""
        ms, number = self.last_id
        return (now_ms, 0) if now_ms > ms else (ms, number + 1)

    def add(self, id_: StreamId, fields: Sequence[str]) -> None:
        self.entries.append((id_, list(fields)))
        self.last_id = id_

    def after(self, id_: StreamId) -> list[tuple[StreamId, list[str]]]:
        return self.entries[bisect_right(self.entries, id_, key=_id) :]

    def trim(self, most: int) -> int:
        """How many are gone."""
        surplus = max(0, len(self.entries) - most)
        del self.entries[:surplus]
        return surplus


def _id(entry: tuple[StreamId, list[str]]) -> StreamId:
    return entry[0]


def stream_id(text: str) -> StreamId:
    ms, _, number = text.partition("-")
    try:
        return integer(ms), integer(number or "0")
    except ResponseError:
        raise refusal("ERR Invalid stream ID specified as stream command argument") from None


def id_text(id_: StreamId) -> str:
    return f"{id_[0]}-{id_[1]}"


Value = str | list[str] | Hash | Members | SortedSet | Stream
