"""Time intervals in Alertmanager's syntax: prometheus/alertmanager, docs/configuration.md, "<time_interval>".

What its time_intervals take is taken, but for the location Local, and means the same: an interval holds the instants
whose wall clock, in the interval's location, is as all of its fields say. Weekdays and months are counted as
Alertmanager does, with sunday and january first, so that a range cannot go past saturday or december, nor a time past
midnight. Instants are milliseconds since the epoch.
"""

import re
from bisect import bisect_left
from calendar import monthrange
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from heapq import merge
from itertools import chain, takewhile

Bounds = tuple[int, int]
"""The first and the last of a range."""

DAY_MINUTES = 24 * 60
SEARCHED_YEARS = 10
"""How far ahead an opening is looked for. A 29 February comes at least every 8 years."""

_MINUTE_MS = 60_000
_DAY_MS = DAY_MINUTES * _MINUTE_MS
_STRETCH_MS = 5 * _DAY_MS
"""Two changes of a zone's clocks are further apart: a week in Recife in October 2000, and in Gaza in years to come."""

_MONTH_DAYS = 31
_MONTHS = 12
_SHORTEST_MONTH = 28

_WEEKDAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_MONTH_NAMES = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])|(24):(00)", re.ASCII)
_INTEGER = re.compile(r"[+-]?[0-9]{1,9}", re.ASCII)


def parse_time(text: str) -> int:
    """A time of day in minutes. Raises ValueError, as the other parsers do, with what is allowed."""
    found = _TIME.fullmatch(text)
    if found is None:
        raise ValueError("must be a time of day from 00:00 to 24:00, such as 08:00")
    hours, minutes = filter(None, found.groups())
    return int(hours) * 60 + int(minutes)


def parse_weekdays(text: str) -> Bounds:
    """One weekday or several, in any case; sunday is 0."""
    bounds = _bounds(text, lambda it: _WEEKDAYS.index(it) if it in _WEEKDAYS else None)
    if bounds is None or bounds[0] > bounds[1]:
        raise ValueError("must be a weekday or a range of them, such as monday:friday; the week is sunday to saturday")
    return bounds


def parse_days_of_month(text: str) -> Bounds:
    """One day or several; -1 is the last of the month, whatever its length."""
    bounds = _bounds(text, _integer)
    if bounds is None or not _is_range_of_days(*bounds):
        raise ValueError(
            "must be a day from 1 to 31, or from -1, the last of the month, to -31, or a range of them whose end is "
            "not before its start, such as 1:5 or -3:-1"
        )
    return bounds


def parse_months(text: str) -> Bounds:
    """One month or several, by number or by name in any case."""
    bounds = _bounds(text, lambda it: _MONTH_NAMES.index(it) + 1 if it in _MONTH_NAMES else _integer(it))
    if bounds is None or not 1 <= bounds[0] <= bounds[1] <= _MONTHS:
        raise ValueError("must be a month, by name or from 1 to 12, or a range of them in one year, such as may:august")
    return bounds


def parse_years(text: str) -> Bounds:
    """One year or several."""
    bounds = _bounds(text, _integer)
    if bounds is None or bounds[0] > bounds[1]:
        raise ValueError("must be a year, or a range of them whose end is not before its start, such as 2026:2028")
    return bounds


def _bounds(text: str, number: Callable[[str], int | None]) -> Bounds | None:
    """The numbers on both sides of the colon, or the same twice without one; None where *number* knows one not."""
    first, colon, last = text.lower().partition(":")
    begin, end = number(first), number(last if colon else first)
    return None if begin is None or end is None else (begin, end)


def _integer(text: str) -> int | None:
    return int(text) if _INTEGER.fullmatch(text) else None


def _is_range_of_days(begin: int, end: int) -> bool:
    """Whether there may be a month with such days. Alertmanager measures negative ones by the shortest month."""
    if not all(1 <= abs(day) <= _MONTH_DAYS for day in (begin, end)) or begin < 0 < end:
        return False
    first, last = (day if day > 0 else _SHORTEST_MONTH + day for day in (begin, end))
    return first <= last


@dataclass(frozen=True, slots=True)
class TimeInterval:
    """The instants whose wall clock is as every field says; a field that is None says nothing."""

    times: tuple[Bounds, ...] | None = None  # minutes of the day; the last one does not belong to it
    weekdays: tuple[Bounds, ...] | None = None
    days_of_month: tuple[Bounds, ...] | None = None
    months: tuple[Bounds, ...] | None = None
    years: tuple[Bounds, ...] | None = None
    days: Container[date] | None = None  # such as holidays
    zone: tzinfo = UTC

    def contains(self, at_ms: int) -> bool:
        """Whether the interval is open then."""
        wall = datetime.fromtimestamp(at_ms / 1000, self.zone)
        minute = wall.hour * 60 + wall.minute
        return any(begin <= minute < end for begin, end in self._times) and self._has_day(wall.date())

    def next_opening(self, at_ms: int) -> int | None:
        """The first instant from *at_ms* on at which it is open; None if it does not open within SEARCHED_YEARS."""
        return Hours((self,)).opens_at(at_ms)

    def changes(self, after_ms: int, until_ms: int | None = None) -> Iterator[int]:
        """Every instant after *after_ms* at which it may open or close, in order, as far as it is searched.

        It ends some days after *until_ms*, where that is given.
        """
        edges = sorted({minute for bounds in self._times for minute in bounds})
        before_ms = None
        for begin_ms, end_ms, offset_ms in _stretches(after_ms, self.zone):
            if before_ms not in {None, offset_ms}:
                yield begin_ms
            before_ms = offset_ms
            if until_ms is not None and begin_ms > until_ms:
                return
            first, last = (_wall(at_ms, offset_ms).date() for at_ms in (begin_ms, end_ms))
            if self.years is not None and first.year > max(end for _, end in self.years):
                return
            for day in filter(self._has_day, _days(first, last)):
                midnight_ms = (day.toordinal() - _EPOCH.toordinal()) * _DAY_MS - offset_ms
                instants = (midnight_ms + minute * _MINUTE_MS for minute in edges)
                yield from (it for it in instants if begin_ms < it <= end_ms)

    @property
    def _times(self) -> tuple[Bounds, ...]:
        return ((0, DAY_MINUTES),) if self.times is None else self.times

    def _has_day(self, day: date) -> bool:
        return (
            _is_in(day.isoweekday() % 7, self.weekdays)
            and _is_in(day.month, self.months)
            and _is_in(day.year, self.years)
            and (self.days_of_month is None or _is_in(day.day, _in_month(self.days_of_month, day)))
            and (self.days is None or day in self.days)
        )


def _is_in(number: int, ranges: tuple[Bounds, ...] | None) -> bool:
    return ranges is None or any(begin <= number <= end for begin, end in ranges)


def _in_month(ranges: tuple[Bounds, ...], day: date) -> tuple[Bounds, ...]:
    """The days of the month that *day* is in, with negative ones counted from its end."""
    after_last = monthrange(day.year, day.month)[1] + 1
    return tuple((begin + after_last * (begin < 0), end + after_last * (end < 0)) for begin, end in ranges)


@dataclass(frozen=True, slots=True)
class Hours:
    """When people may be notified: within any of some intervals (always, without any), and not within any of others."""

    within: tuple[TimeInterval, ...] = ()
    outside: tuple[TimeInterval, ...] = ()

    def contains(self, at_ms: int) -> bool:
        """Whether it is open then."""
        is_within = not self.within or any(it.contains(at_ms) for it in self.within)
        return is_within and not any(it.contains(at_ms) for it in self.outside)

    def opens_at(self, at_ms: int) -> int | None:
        """The first instant from *at_ms* on at which it is open; None if it does not open within SEARCHED_YEARS."""
        if self.contains(at_ms):
            return at_ms
        return next(filter(self.contains, self.changes(at_ms)), None)

    def changes(self, after_ms: int, until_ms: int | None = None) -> Iterator[int]:
        """Every instant after *after_ms* at which it may open or close, in order, as far as it is searched.

        It ends some days after *until_ms*, where that is given.
        """
        return merge(*(it.changes(after_ms, until_ms) for it in (*self.within, *self.outside)))

    def open_between(self, begin_ms: int, end_ms: int) -> Iterator[Bounds]:
        """Begin and end of each stretch in which it is open between these instants, in order."""
        inner = takewhile(lambda it: it < end_ms, self.changes(begin_ms, end_ms))
        opened_ms = None
        for edge_ms in chain([begin_ms], inner):
            is_open = self.contains(edge_ms)
            if is_open and opened_ms is None:
                opened_ms = edge_ms
            elif not is_open and opened_ms is not None:
                yield opened_ms, edge_ms
                opened_ms = None
        if opened_ms is not None:
            yield opened_ms, end_ms

    @property
    def ever_opens(self) -> bool:
        """Whether there is an instant from 1970 to 2100 at which it is open, whatever the time is now.

        Without years in it, weekdays and leap days come again after 28 years.
        """
        has_years = any(it.years is not None for it in (*self.within, *self.outside))
        first, last = (1970, 2100) if has_years else (2000, 2030)
        starts = (datetime(year, 1, 1, tzinfo=UTC) for year in range(first, last, SEARCHED_YEARS))
        return any(self.opens_at(round(it.timestamp() * 1000)) is not None for it in starts)


_EPOCH = date(1970, 1, 1)


def _days(first: date, last: date) -> Iterator[date]:
    return map(date.fromordinal, range(first.toordinal(), last.toordinal() + 1))


def _wall(at_ms: int, offset_ms: int) -> datetime:
    """What a clock so far from UTC shows."""
    return datetime.fromtimestamp((at_ms + offset_ms) / 1000, UTC)


def _offset_ms(at_ms: int, zone: tzinfo) -> int:
    offset = datetime.fromtimestamp(at_ms / 1000, zone).utcoffset() or timedelta()
    return round(offset.total_seconds() * 1000)


def _stretches(begin_ms: int, zone: tzinfo) -> Iterator[tuple[int, int, int]]:
    """The time from *begin_ms* on in pieces of some days, each with its end and the zone's distance from UTC.

    The distance is the same throughout a piece, so that its wall clock neither skips nor repeats anything.
    """
    until_ms = begin_ms + SEARCHED_YEARS * 366 * _DAY_MS
    offset_ms = _offset_ms(begin_ms, zone)
    while begin_ms < until_ms:
        end_ms = begin_ms + _STRETCH_MS
        if _offset_ms(end_ms, zone) != offset_ms:
            end_ms = _changeover_ms(begin_ms, end_ms, zone)
        yield begin_ms, end_ms, offset_ms
        begin_ms, offset_ms = end_ms, _offset_ms(end_ms, zone)


def _changeover_ms(begin_ms: int, end_ms: int, zone: tzinfo) -> int:
    """The first instant at which the zone's distance from UTC is not that at the beginning."""
    offset_ms = _offset_ms(begin_ms, zone)
    return begin_ms + bisect_left(range(begin_ms, end_ms), True, key=lambda at_ms: _offset_ms(at_ms, zone) != offset_ms)
