"""The commands of a simulated Redis, with the options that are in use; another option is refused as a wrong one.

Replies are those of RESP3: numbers as numbers, maps as dicts. What changes data is handed to `_note` as it is to be
repeated from an append-only file: with absolute times, and with the id that an entry of a stream was given.
"""

import inspect
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import translate
from functools import lru_cache
from math import inf
from typing import Any, TypeVar

from redis.exceptions import ResponseError

from tests.simulation.redis_values import (
    INT64,
    Hash,
    Interval,
    Members,
    SortedSet,
    Stream,
    Value,
    bounds,
    id_text,
    integer,
    refusal,
    score,
    stream_id,
)

ValueT = TypeVar("ValueT", str, list[str], Hash, Members, SortedSet, Stream)

Effect = tuple[str, ...]
"""A command that changed something, as it is repeated."""


class Ok(str):
    """A status, which is no string to a script."""

    __slots__ = ()


OK = Ok("OK")


class Scored(list[list[Any]]):
    """Pairs of a member and its score."""


@dataclass(frozen=True, slots=True)
class Command:
    run: Callable[..., Any]
    fewest: int
    most: float
    writes: bool
    takes_memory: bool
    notes_itself: bool


COMMANDS: dict[str, Command] = {}

CommandT = TypeVar("CommandT", bound=Callable[..., Any])


def _command(
    *, writes: bool = False, takes_memory: bool = False, notes_itself: bool = False
) -> Callable[[CommandT], CommandT]:
    """A method as the command of its name. *takes_memory*: a full server refuses it."""

    def register(method: CommandT) -> CommandT:
        parameters = [*inspect.signature(method).parameters.values()][1:]
        plain = [it for it in parameters if it.kind is it.POSITIONAL_OR_KEYWORD]
        fewest = sum(it.default is it.empty for it in plain)
        most = len(plain) if len(plain) == len(parameters) else inf
        COMMANDS[method.__name__.strip("_").upper()] = Command(
            method, fewest, most, writes or takes_memory, takes_memory, notes_itself
        )
        return method

    return register


class Keyspace:
    """Keys, their values, and when they expire by the clock *now_ms*.

    *note* is told of every effect, *appended* the key of a stream that has grown.
    """

    def __init__(
        self, now_ms: Callable[[], int], *, note: Callable[[Effect], None], appended: Callable[[str], None]
    ) -> None:
        self.now_ms = now_ms
        self.values: dict[str, Value] = {}
        self.expires_at_ms: dict[str, int] = {}
        self._note = note
        self._appended = appended
        self._is_loading = False

    def run(self, name: str, words: Sequence[str]) -> Any:
        """The reply of one of the COMMANDS; what is none of them comes from a script. Raises ResponseError."""
        command = COMMANDS.get(name)
        if command is None:
            raise refusal("ERR Unknown Redis command called from script")
        if not command.fewest <= len(words) <= command.most:
            raise refusal(f"ERR wrong number of arguments for '{name.lower()}' command")
        reply = command.run(self, *words)
        if command.writes and not command.notes_itself:
            self._note((name, *words))
        return reply

    def load(self, effects: Iterable[Effect]) -> None:
        """Repeat what was noted. Nothing expires meanwhile: when something had, that is an effect too."""
        note, self._note, self._is_loading = self._note, _forget, True
        for name, *words in effects:
            self.run(name, words)
        self._note, self._is_loading = note, False

    # -- keys

    def find(self, key: str) -> Value | None:
        """What lives. What has expired goes, and that is an effect of its own."""
        at_ms = self.expires_at_ms.get(key)
        if at_ms is not None and not self._is_loading and self.now_ms() > at_ms:
            self._drop(key)
            self._note(("DEL", key))
            return None
        return self.values.get(key)

    def _drop(self, key: str) -> bool:
        self.expires_at_ms.pop(key, None)
        return self.values.pop(key, None) is not None

    def _read(self, key: str, kind: type[ValueT]) -> ValueT | None:
        value = self.find(key)
        if value is not None and type(value) is not kind:
            raise refusal("WRONGTYPE Operation against a key holding the wrong kind of value")
        return value

    def _made(self, key: str, kind: type[ValueT]) -> ValueT:
        value = self._read(key, kind)
        if value is None:
            value = self.values[key] = kind()
        return value

    def _drop_if_empty(self, key: str, value: Value) -> None:
        if not value:
            self._drop(key)

    def _expire(self, key: str, at_ms: int) -> int:
        if self.find(key) is None:
            return 0
        if at_ms <= self.now_ms() and not self._is_loading:
            self._drop(key)
            self._note(("DEL", key))
        else:
            self.expires_at_ms[key] = at_ms
            self._note(("PEXPIREAT", key, str(at_ms)))
        return 1

    @_command(writes=True)
    def delete(self, *keys: str) -> int:
        return sum(self.find(key) is not None and self._drop(key) for key in keys)

    @_command()
    def exists(self, *keys: str) -> int:
        return sum(self.find(key) is not None for key in keys)

    @_command(writes=True, notes_itself=True)
    def pexpire(self, key: str, ms: str) -> int:
        return self._expire(key, self.now_ms() + integer(ms))

    @_command(writes=True, notes_itself=True)
    def pexpireat(self, key: str, at_ms: str) -> int:
        return self._expire(key, integer(at_ms))

    @_command()
    def pttl(self, key: str) -> int:
        if self.find(key) is None:
            return -2
        at_ms = self.expires_at_ms.get(key)
        return -1 if at_ms is None else at_ms - self.now_ms()

    @_command()
    def pexpiretime(self, key: str) -> int:
        return -2 if self.find(key) is None else self.expires_at_ms.get(key, -1)

    @_command(writes=True)
    def flushall(self) -> Ok:
        self.values.clear()
        self.expires_at_ms.clear()
        return OK

    # -- strings

    @_command()
    def get(self, key: str) -> str | None:
        return self._read(key, str)

    @_command(takes_memory=True, notes_itself=True)
    def set(self, key: str, value: str, *options: str) -> Ok | None:
        asked = _SetOptions.of(options, self.now_ms())
        if asked.is_new and self.find(key) is not None:
            return None
        at_ms = self.expires_at_ms.get(key) if asked.keeps_ttl and self.find(key) is not None else asked.at_ms
        self._drop(key)
        self.values[key] = value
        if at_ms is not None:
            self.expires_at_ms[key] = at_ms
        self._note(("SET", key, value, *(() if at_ms is None else ("PXAT", str(at_ms)))))
        return OK

    # -- hashes

    @_command()
    def hget(self, key: str, name: str) -> str | None:
        value = self._read(key, Hash)
        return None if value is None else value.get(name)

    @_command()
    def hmget(self, key: str, name: str, *names: str) -> list[str | None]:
        value = self._read(key, Hash)
        return [None] * (1 + len(names)) if value is None else [value.get(it) for it in (name, *names)]

    @_command()
    def hgetall(self, key: str) -> dict[str, str]:
        return dict(self._read(key, Hash) or {})

    @_command()
    def hexists(self, key: str, name: str) -> int:
        return int(name in (self._read(key, Hash) or ()))

    @_command(takes_memory=True)
    def hset(self, key: str, name: str, text: str, *more: str) -> int:
        _even(more, "hset")
        value = self._made(key, Hash)
        before = len(value)
        value[name] = text
        value.update(zip(more[::2], more[1::2], strict=True))
        return len(value) - before

    @_command(takes_memory=True)
    def hsetnx(self, key: str, name: str, text: str) -> int:
        value = self._made(key, Hash)
        if name in value:
            return 0
        value[name] = text
        return 1

    @_command(writes=True)
    def hdel(self, key: str, name: str, *names: str) -> int:
        value = self._read(key, Hash)
        if value is None:
            return 0
        gone = sum(value.pop(it, None) is not None for it in (name, *names))
        self._drop_if_empty(key, value)
        return gone

    @_command(takes_memory=True)
    def hincrby(self, key: str, name: str, by: str) -> int:
        step = integer(by)
        value = self._read(key, Hash) or Hash()
        try:
            number = integer(value.get(name, "0")) + step
        except ResponseError:
            raise refusal("ERR hash value is not an integer") from None
        if not -INT64 <= number < INT64:
            raise refusal("ERR increment or decrement would overflow")
        self._made(key, Hash)[name] = str(number)
        return number

    # -- sorted sets

    @_command(takes_memory=True)
    def zadd(self, key: str, first: str, second: str, *more: str) -> int:
        is_new_only = first.upper() == "NX"
        words = [*([] if is_new_only else [first]), second, *more]
        if len(words) % 2 or not words:
            raise refusal("ERR syntax error")
        pairs = [(score(at), member) for at, member in zip(words[::2], words[1::2], strict=True)]
        value = self._made(key, SortedSet)
        return sum(value.put(member, at) for at, member in pairs if not (is_new_only and member in value.scores))

    @_command(writes=True)
    def zrem(self, key: str, member: str, *members: str) -> int:
        value = self._read(key, SortedSet)
        if value is None:
            return 0
        gone = sum(map(value.remove, (member, *members)))
        self._drop_if_empty(key, value)
        return gone

    @_command()
    def zscore(self, key: str, member: str) -> float | None:
        value = self._read(key, SortedSet)
        return None if value is None else value.scores.get(member)

    @_command()
    def zrank(self, key: str, member: str) -> int | None:
        value = self._read(key, SortedSet)
        return None if value is None else value.rank(member)

    @_command()
    def zcard(self, key: str) -> int:
        return len(self._read(key, SortedSet) or ())

    @_command()
    def zcount(self, key: str, lowest: str, highest: str) -> int:
        return len(self._between(key, Interval.of(lowest, highest)))

    @_command()
    def zrange(self, key: str, first: str, last: str, *options: str) -> list[Any]:
        shape = _Shape.of(options, takes_limit=False)
        start, stop = integer(first), integer(last)
        value = self._read(key, SortedSet) or SortedSet()
        return shape.show(value.order[slice(*bounds(len(value), start, stop))])

    @_command()
    def zrangebyscore(self, key: str, lowest: str, highest: str, *options: str) -> list[Any]:
        shape = _Shape.of(options)
        return shape.show(self._between(key, Interval.of(lowest, highest)))

    @_command()
    def zrevrangebyscore(self, key: str, highest: str, lowest: str, *options: str) -> list[Any]:
        shape = _Shape.of(options)
        return shape.show(self._between(key, Interval.of(lowest, highest))[::-1])

    def _between(self, key: str, interval: Interval) -> list[tuple[float, str]]:
        value = self._read(key, SortedSet)
        return [] if value is None else value.between(interval)

    @_command(writes=True)
    def zpopmin(self, key: str, count: str = "1") -> Scored:
        number = integer(count)
        if number < 0:
            raise refusal("ERR value is out of range, must be positive")
        value = self._read(key, SortedSet)
        if value is None:
            return Scored()
        found = value.order[:number]
        for _, member in found:
            value.remove(member)
        self._drop_if_empty(key, value)
        return Scored([member, at] for at, member in found)

    @_command()
    def zscan(self, key: str, cursor: str, *options: str) -> list[Any]:
        """All at once, in one go, as a small set is told."""
        integer(cursor)
        asked = _words(options, {"MATCH": 1, "COUNT": 1})
        pattern = re.compile(translate(asked.get("MATCH", ["*"])[0]))
        order = (self._read(key, SortedSet) or SortedSet()).order
        return ["0", [text for at, member in order if pattern.match(member) for text in (member, repr(at))]]

    # -- lists

    @_command(takes_memory=True)
    def rpush(self, key: str, text: str, *texts: str) -> int:
        value = self._made(key, list)
        value += [text, *texts]
        return len(value)

    @_command()
    def lrange(self, key: str, first: str, last: str) -> list[str]:
        start, stop = integer(first), integer(last)
        value = self._read(key, list) or []
        return value[slice(*bounds(len(value), start, stop))]

    @_command(writes=True)
    def ltrim(self, key: str, first: str, last: str) -> Ok:
        start, stop = integer(first), integer(last)
        value = self._read(key, list)
        if value is not None:
            value[:] = value[slice(*bounds(len(value), start, stop))]
            self._drop_if_empty(key, value)
        return OK

    @_command()
    def lindex(self, key: str, index: str) -> str | None:
        value = self._read(key, list) or []
        at = integer(index)
        return value[at] if -len(value) <= at < len(value) else None

    @_command(takes_memory=True)
    def lset(self, key: str, index: str, text: str) -> Ok:
        value = self._read(key, list)
        if value is None:
            raise refusal("ERR no such key")
        at = integer(index)
        if not -len(value) <= at < len(value):
            raise refusal("ERR index out of range")
        value[at] = text
        return OK

    @_command(writes=True)
    def lpop(self, key: str) -> str | None:
        return self._popped(key, 0)

    @_command(writes=True)
    def rpop(self, key: str) -> str | None:
        return self._popped(key, -1)

    def _popped(self, key: str, index: int) -> str | None:
        value = self._read(key, list)
        if value is None:
            return None
        text = value.pop(index)
        self._drop_if_empty(key, value)
        return text

    # -- sets

    @_command(takes_memory=True)
    def sadd(self, key: str, member: str, *members: str) -> int:
        value = self._made(key, Members)
        before = len(value)
        value.update(dict.fromkeys((member, *members)))
        return len(value) - before

    @_command(writes=True)
    def srem(self, key: str, member: str, *members: str) -> int:
        value = self._read(key, Members)
        if value is None:
            return 0
        before = len(value)
        for it in (member, *members):
            value.pop(it, None)
        gone = before - len(value)
        self._drop_if_empty(key, value)
        return gone

    @_command()
    def smembers(self, key: str) -> list[str]:
        return list(self._read(key, Members) or ())

    @_command()
    def sismember(self, key: str, member: str) -> int:
        return int(member in (self._read(key, Members) or ()))

    # -- streams

    @_command(takes_memory=True, notes_itself=True)
    def xadd(self, key: str, id_: str, *pairs: str) -> str:
        if not pairs or len(pairs) % 2:
            raise refusal("ERR wrong number of arguments for 'xadd' command")
        stream = self._read(key, Stream) or Stream()
        at = stream.next_id(self.now_ms()) if id_ == "*" else stream_id(id_)
        if at <= stream.last_id:
            raise refusal("ERR The ID specified in XADD is equal or smaller than the target stream top item")
        self._made(key, Stream).add(at, pairs)
        self._note(("XADD", key, id_text(at), *pairs))
        self._appended(key)
        return id_text(at)

    @_command(writes=True)
    def xtrim(self, key: str, how: str, *words: str) -> int:
        """Exactly also after "~", where a server may keep some more."""
        if how.upper() != "MAXLEN" or len(words) not in (1, 2) or (len(words) == 2 and words[0] not in "~="):
            raise refusal("ERR syntax error")
        most = integer(words[-1])
        if most < 0:
            raise refusal("ERR The MAXLEN argument must be >= 0.")
        stream = self._read(key, Stream)
        return 0 if stream is None else stream.trim(most)

    @_command()
    def xread(self, *words: str) -> dict[str, list[list[Any]]] | None:
        """What is there. Who wants to wait for more asks again: BLOCK is for a client."""
        options, keys, after = _read_words(words)
        most = int(options.get("COUNT", ["0"])[0]) or None
        found: dict[str, list[list[Any]]] = {}
        for key, id_ in zip(keys, after, strict=True):
            stream = self._read(key, Stream) or Stream()
            entries = stream.after(stream.last_id if id_ == "$" else stream_id(id_))[:most]
            if entries:
                found[key] = [[id_text(at), pairs] for at, pairs in entries]
        return found or None


COMMANDS["DEL"] = COMMANDS.pop("DELETE")


@dataclass(frozen=True, slots=True)
class _SetOptions:
    is_new: bool
    keeps_ttl: bool
    at_ms: int | None

    @classmethod
    def of(cls, options: Sequence[str], now_ms: int) -> "_SetOptions":
        asked = _words(options, {"NX": 0, "KEEPTTL": 0, "PX": 1, "PXAT": 1})
        if len(asked.keys() & {"KEEPTTL", "PX", "PXAT"}) > 1:
            raise refusal("ERR syntax error")
        times = [integer(it) for name in ("PX", "PXAT") for it in asked.get(name, [])]
        if any(it <= 0 for it in times):
            raise refusal("ERR invalid expire time in 'set' command")
        at_ms = times[0] + (now_ms if "PX" in asked else 0) if times else None
        return cls("NX" in asked, "KEEPTTL" in asked, at_ms)


def _words(words: Iterable[str], known: dict[str, int]) -> dict[str, list[str]]:
    """Options and the words that follow each; *known* says how many those are."""
    left = list(words)
    found: dict[str, list[str]] = {}
    while left:
        name = left.pop(0).upper()
        count = known.get(name)
        if count is None or len(left) < count:
            raise refusal("ERR syntax error")
        found[name], left = left[:count], left[count:]
    return found


def _read_words(words: Sequence[str]) -> tuple[dict[str, list[str]], Sequence[str], Sequence[str]]:
    at = next((index for index, it in enumerate(words) if it.upper() == "STREAMS"), len(words))
    keys_and_ids = words[at + 1 :]
    if not keys_and_ids or len(keys_and_ids) % 2:
        raise refusal("ERR Unbalanced 'xread' list of streams: for each stream key an ID or '$' must be specified.")
    half = len(keys_and_ids) // 2
    return _words(words[:at], {"COUNT": 1, "BLOCK": 1}), keys_and_ids[:half], keys_and_ids[half:]


@dataclass(frozen=True, slots=True)
class _Shape:
    """Which part of what is found is shown, and whether with scores."""

    first: int
    count: int
    has_scores: bool

    @classmethod
    @lru_cache(maxsize=1000)
    def of(cls, options: tuple[str, ...], *, takes_limit: bool = True) -> "_Shape":
        asked = _words(options, {"WITHSCORES": 0} | ({"LIMIT": 2} if takes_limit else {}))
        first, count = map(integer, asked.get("LIMIT", ["0", "-1"]))
        return cls(first, count, "WITHSCORES" in asked)

    def show(self, found: list[tuple[float, str]]) -> list[Any]:
        if self.first < 0:
            return []
        part = found[self.first : None if self.count < 0 else self.first + self.count]
        if self.has_scores:
            return Scored([member, at] for at, member in part)
        return [member for _, member in part]


def _forget(_: Effect) -> None:
    """What is read from an append-only file is in it."""


def _even(words: Sequence[str], name: str) -> None:
    if len(words) % 2:
        raise refusal(f"ERR wrong number of arguments for '{name}' command")
