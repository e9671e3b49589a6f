"""Incidents of the past, a page at a time: what a search finds, and what was open at some moment.

An index lists incidents by when they were created, and nothing else. So a search reads one after another, and one call
reads a bounded number of them: a page says how far it has looked, and its cursor goes on from there.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from versus_py.clock import monotonic_ms
from versus_py.errors import Unreadable
from versus_py.incidents.model import Entry, Incident, IncidentId, Status
from versus_py.incidents.partitions import partitions
from versus_py.store import keys
from versus_py.store.calls import Command, RedisClient, answered, answers
from versus_py.store.codec import load_entry, load_resolved_at_ms
from versus_py.store.pages import Read, Unread

LOOKED_AT_MAX = 1_000
"""The most incidents that one search reads."""

LOOKED_FOR_MS = 2_000
"""How long one search reads, about: incidents may be large."""

GLANCED_AT_MAX = 5_000
"""The most incidents of which one call asks when they were resolved."""

_READ_TOGETHER = 25
"""Others are served in between."""

_LISTED_TOGETHER = 200
_GLANCED_AT_TOGETHER = 250

_NEXT = "~"
"""Makes of an id the text that sorts right after it."""

_DIGITS_MAX = 16
_NAME_MAX = 64

Row = tuple[int, str]
"""An incident's place in the index: when it was created, ms, and its id."""


@dataclass(frozen=True, slots=True)
class Span:
    """Incidents that were created from then until then, both included; None: without that bound."""

    from_ms: int | None = None
    until_ms: int | None = None


@dataclass(frozen=True, slots=True)
class SearchPage:
    """What a search found, newest first. A cursor is a place between two incidents; None where nothing comes after."""

    incidents: tuple[Incident, ...]
    unread: tuple[Unread, ...]  # in the same part, whatever was looked for
    older: str | None
    newer: str | None
    looked_at: int
    is_cut: bool  # there were more to look at than one call may


@dataclass(frozen=True, slots=True)
class WasOpen:
    """An incident that was not over, as it is now, with its timeline."""

    incident: Incident
    timeline: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class OpenThen:
    """What was open, the latest first. *older* is None when that is all of it."""

    found: tuple[WasOpen, ...]
    unread: tuple[Unread, ...]
    older: str | None
    looked_at: int


class History:
    """Reads, and changes nothing. *read* reads incidents. Every method raises StoreUnavailable."""

    def __init__(self, redis: RedisClient, read: Read) -> None:
        self._redis = redis
        self._read = read

    async def search(
        self,
        wanted: Callable[[Incident], bool] | None = None,
        span: Span = Span(),
        *,
        limit: int = 50,
        older_than: str | None = None,
        newer_than: str | None = None,
    ) -> SearchPage:
        """Up to *limit* incidents that are *wanted*, on one side of a cursor; without one, the newest.

        Raises ValueError for a cursor that is none, and what *wanted* raises.
        """
        is_upwards = newer_than is not None
        cursor = newer_than if is_upwards else older_than
        begin = None if cursor is None else _parse(cursor)
        incidents: list[Incident] = []
        unread: list[Unread] = []
        place, looked_at, ends_at_ms = begin, 0, monotonic_ms() + LOOKED_FOR_MS
        async for rows in self._stretches(span, begin, is_upwards=is_upwards):
            for row, it in zip(rows, await self._read([IncidentId(name) for _, name in rows]), strict=True):
                if len(incidents) == limit:
                    break
                looked_at += 1
                place = _beyond(row) if is_upwards else row
                if isinstance(it, Unreadable):
                    unread.append(Unread(IncidentId(row[1]), str(it)))
                elif it is not None and (wanted is None or wanted(it)):
                    incidents.append(it)
            if len(incidents) == limit or looked_at >= LOOKED_AT_MAX or monotonic_ms() >= ends_at_ms:
                break
            await asyncio.sleep(0)
        has_more = bool(await self._rows(span, place, 1, is_upwards=is_upwards))
        end = None if place is None or not has_more else _cursor(place)
        begin_cursor = None if begin is None else _cursor(begin)
        if is_upwards:
            incidents.reverse()
            unread.reverse()
        return SearchPage(
            tuple(incidents),
            tuple(unread),
            older=begin_cursor if is_upwards else end,
            newer=end if is_upwards else begin_cursor,
            looked_at=looked_at,
            is_cut=has_more and len(incidents) < limit,
        )

    async def count(self, span: Span) -> int:
        """How many are listed; some of the oldest may be gone."""
        low, high = _bounds(span)
        return sum(map(int, await self._of_partitions("ZCOUNT", "incidents", low, high)))

    async def failed_count(self) -> int:
        """How many deliveries were given up and have not succeeded since."""
        return sum(map(int, await self._of_partitions("ZCARD", "failed")))

    async def lost_at_ms(self) -> int | None:
        """When Redis last lost data of incidents; None when it never did."""
        found = await self._of_partitions("HGET", "marker", "lost_at_ms")
        return max((int(it) for it in found if it is not None), default=None)

    async def open_at(self, at_ms: int, *, limit: int, older_than: str | None = None) -> OpenThen:
        """What was created by then and was not resolved yet, or is open again. Raises ValueError, as `search`.

        One call asks about a bounded number of incidents: *older* goes on from there. What was resolved and opened
        again since then is among it.
        """
        place = None if older_than is None else _parse(older_than)
        found: list[Row] = []
        looked_at = 0
        is_all = False
        while len(found) < limit and looked_at < GLANCED_AT_MAX and not is_all:
            rows = await self._rows(Span(until_ms=at_ms), place, _GLANCED_AT_TOGETHER)
            for row, resolved_at_ms in zip(rows, await self._resolved_at_ms(rows), strict=True):
                if len(found) == limit:
                    break
                looked_at += 1
                place = row
                if resolved_at_ms is None or resolved_at_ms > at_ms:
                    found.append(row)
            else:
                is_all = len(rows) < _GLANCED_AT_TOGETHER
        was_open, unread = await self._with_timelines(found)
        return OpenThen(was_open, unread, None if is_all or place is None else _cursor(place), looked_at)

    async def _resolved_at_ms(self, rows: Sequence[Row]) -> list[int | None]:
        """When each was resolved; None for what is open, or cannot be read; 0 for what is gone."""
        commands: list[Command] = [("HMGET", keys.incident(IncidentId(it)), "status", "incident") for _, it in rows]
        return [_resolved_at_ms(status, text) for status, text in await answers(self._redis, commands)]

    async def _with_timelines(self, rows: Iterable[Row]) -> tuple[tuple[WasOpen, ...], tuple[Unread, ...]]:
        ids = [IncidentId(it) for _, it in rows]
        found: list[WasOpen] = []
        unread: list[Unread] = []
        for start in range(0, len(ids), _READ_TOGETHER):
            some = ids[start : start + _READ_TOGETHER]
            incidents = await self._read(some)
            timelines = await answers(self._redis, [("LRANGE", keys.timeline(it), 0, -1) for it in some])
            for incident_id, it, lines in zip(some, incidents, timelines, strict=True):
                if isinstance(it, Unreadable):
                    unread.append(Unread(incident_id, str(it)))
                elif it is not None:
                    found.append(WasOpen(it, (*it.opening, *map(load_entry, lines))))
            await asyncio.sleep(0)
        return tuple(found), tuple(unread)

    async def _stretches(self, span: Span, place: Row | None, *, is_upwards: bool) -> AsyncIterator[list[Row]]:
        """All rows on that side of the place, so many at a time as are read together."""
        while True:
            rows = await self._rows(span, place, _LISTED_TOGETHER, is_upwards=is_upwards)
            for start in range(0, len(rows), _READ_TOGETHER):
                yield rows[start : start + _READ_TOGETHER]
            if len(rows) < _LISTED_TOGETHER:
                return
            place = _beyond(rows[-1]) if is_upwards else rows[-1]

    async def _rows(self, span: Span, place: Row | None, number: int, *, is_upwards: bool = False) -> list[Row]:
        """Up to *number* before that place, the newest first; upwards, those from it on, the oldest first."""
        parts = [self._rows_of(it, span, place, number, is_upwards=is_upwards) for it in partitions()]
        rows = [row for part in await asyncio.gather(*parts) for row in part]
        return sorted(rows, reverse=not is_upwards)[:number]

    async def _rows_of(
        self, partition: int, span: Span, place: Row | None, number: int, *, is_upwards: bool
    ) -> list[Row]:
        low, high = _bounds(span, place, is_upwards=is_upwards)
        index = keys.in_partition(partition, "incidents")
        rows: list[Row] = []
        start = 0
        while len(rows) < number:  # of those created in the same millisecond, some may be on the other side
            if is_upwards:
                asked = self._redis.zrangebyscore(index, low, high, start=start, num=number, withscores=True)
            else:
                asked = self._redis.zrevrangebyscore(index, high, low, start=start, num=number, withscores=True)
            found = [(int(at_ms), name) for name, at_ms in await answered(asked)]
            rows += [it for it in found if place is None or (it >= place if is_upwards else it < place)]
            start += len(found)
            if len(found) < number:
                break
        return rows[:number]

    async def _of_partitions(self, command: str, name: str, *args: str | int) -> list[Any]:
        return await answers(self._redis, [(command, keys.in_partition(it, name), *args) for it in partitions()])


def _bounds(span: Span, place: Row | None = None, *, is_upwards: bool = False) -> tuple[str | int, str | int]:
    """The least and the greatest score."""
    lows = [it for it in (span.from_ms, place[0] if place is not None and is_upwards else None) if it is not None]
    highs = [it for it in (span.until_ms, place[0] if place is not None and not is_upwards else None) if it is not None]
    return max(lows, default="-inf"), min(highs, default="+inf")


def _resolved_at_ms(status: str | None, text: str | None) -> int | None:
    if status is None or text is None:
        return 0
    if status != Status.RESOLVED:
        return None
    try:
        return load_resolved_at_ms(text)
    except ValueError:  # said when it is read as a whole
        return None


def _beyond(row: Row) -> Row:
    """The place right after it: where those newer than it begin."""
    return row[0], f"{row[1]}{_NEXT}"


def _cursor(place: Row) -> str:
    return f"{place[0]}:{place[1]}"


def _parse(cursor: str) -> Row:
    at_ms, colon, name = cursor.partition(":")
    if not colon or not at_ms.isdecimal() or len(at_ms) > _DIGITS_MAX or len(name) > _NAME_MAX:
        raise ValueError("no cursor")
    return int(at_ms), name
