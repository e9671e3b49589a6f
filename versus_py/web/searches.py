"""What a list of incidents is asked for: by the API, by the page of the past, and by its exports."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from aiohttp import web

from versus_py.incidents.moments import instant_ms
from versus_py.incidents.searching import Search, parse_search
from versus_py.store import Span

_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_MINUTE = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?:Z|[+-]\d\d:\d\d)?", re.ASCII)
_MINUTE_MS = 60_000


@dataclass(frozen=True, slots=True)
class Asked:
    """What to look for, and among which incidents: those that began in the span."""

    search: Search
    span: Span

    @property
    def is_all(self) -> bool:
        return self.search.is_any and self.span == Span()


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
        return _midnight_ms(day + timedelta(days=1), zone) - 1
    at_ms = read_moment("to", text, zone)
    return at_ms + _MINUTE_MS - 1 if _MINUTE.fullmatch(text) else at_ms


def _midnight_ms(day: date, zone: tzinfo) -> int:
    return round(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp() * 1000)
