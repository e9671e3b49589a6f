"""Lists of incidents, a page at a time: all of them, newest first, and what was given up."""

import heapq
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from versus_py.incidents.model import PARTITIONS, Delivery, Incident, IncidentId
from versus_py.store import keys
from versus_py.store.calls import RedisClient, answered

T = TypeVar("T")

Row = tuple[int, str]
"""An entry of an index: its time in ms, and its member."""

Read = Callable[[Sequence[IncidentId]], Awaitable[Sequence[Incident | None]]]
"""Reads incidents, None for each that is gone or cannot be read."""

PAGES_SCANNED = 20
"""Stretches of the index looked at for one page, when few incidents have the wanted status."""


@dataclass(frozen=True, slots=True)
class Page:
    """A part of the incidents, newest first; *cursor* continues it, None at the end."""

    incidents: tuple[Incident, ...]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class GivenUp:
    """A target that an incident was given up for."""

    incident: Incident
    target: str

    @property
    def delivery(self) -> Delivery:
        return self.incident.delivery(self.target)


@dataclass(frozen=True, slots=True)
class GivenUpPage:
    """A part of what was given up, latest first; *cursor* continues it, None at the end."""

    found: tuple[GivenUp, ...]
    cursor: str | None


async def page(
    redis: RedisClient, read: Read, *, wanted: Callable[[Incident], bool] | None, limit: int, cursor: str | None
) -> Page:
    """See `Store.page`."""

    async def found_in(rows: Sequence[Row]) -> list[Incident | None]:
        incidents = await read([IncidentId(name) for _, name in rows])
        return [it if it is not None and (wanted is None or wanted(it)) else None for it in incidents]

    return Page(*await _scanned(redis, "incidents", found_in, limit, cursor))


async def given_up(redis: RedisClient, read: Read, *, limit: int, cursor: str | None) -> GivenUpPage:
    """See `Store.given_up`."""

    async def found_in(rows: Sequence[Row]) -> list[GivenUp | None]:
        members = [keys.split_member(member) for _, member in rows]
        incidents = await read([incident_id for incident_id, _ in members])
        pairs = zip(incidents, (target for _, target in members), strict=True)
        return [GivenUp(it, target) if it is not None and target in it.given_up else None for it, target in pairs]

    return GivenUpPage(*await _scanned(redis, "failed", found_in, limit, cursor))


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
    for partition in range(PARTITIONS):
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
