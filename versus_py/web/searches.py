"""What a list of incidents is asked for: by the API, by the page of the past, and by its exports."""

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from aiohttp import web

from versus_py.incidents.model import Incident
from versus_py.incidents.moments import YEARS, instant_ms
from versus_py.incidents.searching import Search, parse_search
from versus_py.store import Span

_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_MINUTE = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?:Z|[+-]\d\d:\d\d)?", re.ASCII)
_MINUTE_MS = 60_000


MATCHING_S = 1.0
"""How long the looks of one search may take in all: nothing else runs in the meantime."""


class TooCostly(ValueError):
    """A search has taken more time than it may."""


class Patient:
    """*matches*, for as long as it takes no more than MATCHING_S in all; then it raises TooCostly."""

    def __init__(self, matches: Callable[[Incident], bool], clock: Callable[[], float] = time.perf_counter) -> None:
        self._matches = matches
        self._clock = clock
        self._left_s = MATCHING_S

    def __call__(self, incident: Incident) -> bool:
        began_s = self._clock()
        is_wanted = self._matches(incident)
        self._left_s -= self._clock() - began_s
        if self._left_s < 0:
            raise TooCostly("the search takes too long: make its regular expressions simpler")
        return is_wanted


@dataclass(frozen=True, slots=True)
class Asked:
    """What to look for, and among which incidents: those that began in the span."""

    search: Search
    span: Span

    @property
    def is_all(self) -> bool:
        return self.search.is_any and self.span == Span()

    @property
    def wanted(self) -> Callable[[Incident], bool] | None:
        """Whether an incident is what is looked for, for one search; None where all of the span are."""
        return None if self.search.is_any else Patient(self.search.matches)


def read_asked(query: Mapping[str, str], zone: tzinfo = UTC) -> Asked:
    """Of `q`, `status`, `severity`, `outcome`, `from` and `to`; times without an offset are of *zone*.

    A `to` that is a day or a minute means the whole of it. Raises HTTPBadRequest.
    """
    begin, end = query.get("from", "").strip(), query.get("to", "").strip()
    try:
        search = parse_search(
            query.get("q", ""),
            status=query.get("status", ""),
            severity=query.get("severity", "").strip(),
            outcome=query.get("outcome", ""),
        )
        span = Span(
            read_moment("from", begin, zone) if begin else None,
            _end_ms(end, zone) if end else None,
        )
    except ValueError as exc:
        raise web.HTTPBadRequest(text=str(exc)) from None
    return Asked(search, span)


def read_zone(name: str) -> tzinfo:
    """The time zone of that name; UTC for "". Raises HTTPBadRequest."""
    try:
        return ZoneInfo(name) if name and name != "UTC" else UTC
    except (ValueError, OSError, LookupError):  # what is no name, a directory, or not known
        text = f"tz is {name[:60]!r}, which is no time zone: write one such as Europe/Berlin"
        raise web.HTTPBadRequest(text=text) from None


def read_moment(name: str, text: str, zone: tzinfo) -> int:
    """The instant in ms. Raises ValueError with a sentence that says *name*."""
    try:
        return instant_ms(text, zone)[0]
    except ValueError as exc:
        raise ValueError(f"{name}: {exc}") from None


def _end_ms(text: str, zone: tzinfo) -> int:
    if _DAY.fullmatch(text):
        try:
            day = date.fromisoformat(text)
        except ValueError:
            return read_moment("to", text, zone)
        if day.year not in YEARS:  # which that says
            return read_moment("to", text, zone)
        return _midnight_ms(day + timedelta(days=1), zone) - 1
    at_ms = read_moment("to", text, zone)
    return at_ms + _MINUTE_MS - 1 if _MINUTE.fullmatch(text) else at_ms


def _midnight_ms(day: date, zone: tzinfo) -> int:
    return round(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp() * 1000)
