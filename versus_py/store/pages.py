"""Lists of incidents, a page at a time: all of them, newest first, and what was given up."""

import heapq
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from versus_py.errors import Unreadable
from versus_py.incidents.model import Delivery, Incident, IncidentId
from versus_py.incidents.partitions import partitions
from versus_py.store import keys
from versus_py.store.calls import RedisClient, answered

T = TypeVar("T")

Row = tuple[int, str]
"""An entry of an index: its time in ms, and its member."""

Read = Callable[[Sequence[IncidentId]], Awaitable[Sequence[Incident | Unreadable | None]]]
"""Reads incidents: for each that cannot be read, why; None for one that is gone."""

READ_AGAIN = "it could not be read; it can be now: versus retry tries it again"

PAGES_SCANNED = 20
"""Stretches of the index looked at for one page, when few incidents have the wanted status."""


@dataclass(frozen=True, slots=True)
class Unread:
    """An incident that is there, and that this version cannot read."""

    incident_id: IncidentId
    error: str


@dataclass(frozen=True, slots=True)
class Page:
    """A part of the incidents, newest first; *cursor* continues it, None at the end."""

    incidents: tuple[Incident, ...]
    cursor: str | None
    unread: tuple[Unread, ...] = ()  # in the same part, whatever was wanted


@dataclass(frozen=True, slots=True)
class GivenUp:
    """A target that an incident was given up for."""

    incident: Incident
    target: str

    @property
    def delivery(self) -> Delivery:
        return self.incident.delivery(self.target)


@dataclass(frozen=True, slots=True)
class UnreadFailure:
    """A target that an incident was given up for because it cannot be read, or that was given up before."""

    incident_id: IncidentId
    target: str
    at_ms: int
    error: str


@dataclass(frozen=True, slots=True)
class GivenUpPage:
    """A part of what was given up, latest first; *cursor* continues it, None at the end."""

    found: tuple[GivenUp, ...]
    cursor: str | None
    unread: tuple[UnreadFailure, ...] = ()


async def page(
    redis: RedisClient, read: Read, *, wanted: Callable[[Incident], bool] | None, limit: int, cursor: str | None
) -> Page:
    """See `Store.page`."""

    def shown(incident_id: IncidentId, it: Incident | Unreadable | None) -> Incident | Unread | None:
        if isinstance(it, Unreadable):
            return Unread(incident_id, str(it))
        return it if it is not None and (wanted is None or wanted(it)) else None

    async def found_in(rows: Sequence[Row]) -> list[Incident | Unread | None]:
        ids = [IncidentId(name) for _, name in rows]
        return [shown(incident_id, it) for incident_id, it in zip(ids, await read(ids), strict=True)]

    found, after = await _scanned(redis, "incidents", found_in, limit, cursor)
    incidents = tuple(it for it in found if isinstance(it, Incident))
    return Page(incidents, after, tuple(it for it in found if isinstance(it, Unread)))


async def given_up(redis: RedisClient, read: Read, *, limit: int, cursor: str | None) -> GivenUpPage:
    """See `Store.given_up`."""

    def shown(row: Row, it: Incident | Unreadable | None) -> GivenUp | UnreadFailure | None:
        incident_id, target = keys.split_member(row[1])
        if isinstance(it, Unreadable):
            return UnreadFailure(incident_id, target, row[0], str(it))
        if it is None or target in it.given_up:
            return None if it is None else GivenUp(it, target)
        # It does not know that it was given up: it could not be read then.
        return None if target in it.retried else UnreadFailure(incident_id, target, row[0], READ_AGAIN)

    async def found_in(rows: Sequence[Row]) -> list[GivenUp | UnreadFailure | None]:
        incidents = await read([keys.split_member(member)[0] for _, member in rows])
        return [shown(row, it) for row, it in zip(rows, incidents, strict=True)]

    found, after = await _scanned(redis, "failed", found_in, limit, cursor)
    return GivenUpPage(
        tuple(it for it in found if isinstance(it, GivenUp)),
        after,
        tuple(it for it in found if isinstance(it, UnreadFailure)),
    )


async def _scanned(
    redis: RedisClient,
    index: str,
    found_in: Callable[[Sequence[Row]], Awaitable[Sequence[T | None]]],
    limit: int,
    cursor: str | None,
) -> tuple[tuple[T, ...], str | None]:
    """Up to *limit* of what *found_in* finds in rows of the index, and the cursor of what comes after."""
    before = None if cursor is None else _parse_cursor(cursor)
    found: list[T] = []
    for _ in range(PAGES_SCANNED):
        rows = await _newest(redis, index, before, limit + 1)
        for row, it in zip(rows, await found_in(rows), strict=True):
            if it is not None and len(found) == limit:
                return tuple(found), None if before is None else _cursor(before)
            if it is not None:
                found.append(it)
            before = row
        if len(rows) <= limit or before is None:
            return tuple(found), None
    return tuple(found), None if before is None else _cursor(before)


async def _newest(redis: RedisClient, index: str, before: Row | None, number: int) -> Sequence[Row]:
    """The newest *number* entries of all partitions' *index* that come after *before*."""
    rows: list[Row] = []
    for partition in partitions():
        rows += await _newest_of(redis, keys.in_partition(partition, index), before, number)
    return heapq.nlargest(number, rows)


async def _newest_of(redis: RedisClient, index: str, before: Row | None, number: int) -> Sequence[Row]:
    highest = "+inf" if before is None else before[0]
    rows: list[Row] = []
    for start in range(0, 1 << 30, number):
        part = await answered(redis.zrevrangebyscore(index, highest, "-inf", start=start, num=number, withscores=True))
        pairs = [(int(at_ms), member) for member, at_ms in part]
        rows += [pair for pair in pairs if before is None or pair < before]
        if len(rows) >= number or len(pairs) < number:
            break
    return rows[:number]


def _cursor(row: Row) -> str:
    return f"{row[0]}:{row[1]}"


def _parse_cursor(cursor: str) -> Row:
    at_ms, _, member = cursor.partition(":")
    return int(at_ms), member
