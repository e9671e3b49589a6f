"""When the policies' time intervals are open: in words, and as a picture of the coming week. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from versus_py.config import Config
from versus_py.config.policies import PolicyConfig
from versus_py.config.time_intervals import Interval, NamedIntervals
from versus_py.incidents.intervals import Hours
from versus_py.incidents.moments import wall
from versus_py.web.pages.ui.moments import TO

DAYS = 7
GAP = 0.6
"""Between two days, in percent of the width."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a day in which people are told; in percent of the picture's width."""

    x: str
    width: str
    text: str  # the times


@dataclass(frozen=True, slots=True)
class Day:
    """A day of the picture."""

    x: str
    width: str
    weekday: str
    number: int  # of the month
    open: tuple[Stretch, ...]

    @property
    def text(self) -> str:
        """For those who do not see the picture."""
        return f"{self.weekday} {self.number}: {', '.join(it.text for it in self.open) or 'closed'}"


@dataclass(frozen=True, slots=True)
class Week:
    """The coming days, today first, by the clock of *zone*."""

    days: tuple[Day, ...]
    zone: str

    @property
    def text(self) -> str:
        return "; ".join(it.text for it in self.days)


def week_of(policy: PolicyConfig, now_ms: int) -> Week | None:
    """None for a policy without hours. Its clock is that of the first interval that it names."""
    hours = policy.hours
    if hours is None:
        return None
    zone = next((it.zone for it in (*hours.within, *hours.outside)), UTC)
    today = wall(now_ms, zone).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    midnights = [_ms(today + timedelta(days=number), zone) for number in range(DAYS + 1)]
    days = [_day(hours, number, midnights[number : number + 2], zone) for number in range(DAYS)]
    return Week(tuple(days), str(zone))


def _ms(moment: datetime, zone: tzinfo) -> int:
    return round(moment.replace(tzinfo=zone).timestamp() * 1000)


def _day(hours: Hours, number: int, midnights: Sequence[int], zone: tzinfo) -> Day:
    begin_ms, end_ms = midnights
    left, width = number * 100 / DAYS, 100 / DAYS - GAP

    def across(at_ms: int) -> float:
        return width * (at_ms - begin_ms) / (end_ms - begin_ms)

    def clock(at_ms: int) -> str:
        return "24:00" if at_ms == end_ms else f"{wall(at_ms, zone):%H:%M}"

    def stretch(first: int, last: int) -> Stretch:
        x, wide = left + across(first), across(last) - across(first)
        return Stretch(percent(x), percent(wide), f"{clock(first)}{TO}{clock(last)}")

    found = tuple(stretch(*it) for it in hours.open_between(begin_ms, end_ms))
    begin = wall(begin_ms, zone)
    return Day(percent(left), percent(width), f"{begin:%a}", begin.day, found)


def percent(number: float) -> str:
    """As an attribute of SVG."""
    return f"{number:.2f}%"


def named_hours(config: Config, names: Sequence[str]) -> list[tuple[str, str]]:
    """The intervals of these names, each with what it says."""
    found = {it.name: it for it in config.time_intervals}
    return [(name, _said(found[name])) for name in names if name in found]


def _said(named: NamedIntervals) -> str:
    """Days, dates and times, and the zone whose clock counts."""
    said = [_interval(it) for it in named.time_intervals]
    said += [f"holidays of {named.holidays}, {named.location}"] if named.holidays else []
    return "; ".join(said)


def _interval(it: Interval) -> str:
    days = [*map(_range, it.weekdays), *(f"day {_range(day)}" for day in it.days_of_month)]
    dates = [*map(_range, it.months), *map(_range, it.years)]
    times = [f"{part.start_time}{TO}{part.end_time}" for part in it.times]
    parts = (", ".join(part) for part in (days, dates, times))
    return " ".join([*filter(None, parts), *([] if days or dates or times else ["always"]), it.location])


def _range(text: str) -> str:
    """Names of days and months in their first three letters; numbers as they are."""
    return TO.join(_short(part) for part in text.split(":"))


def _short(name: str) -> str:
    return name[:3].capitalize() if name.isalpha() else name


def zones_of(config: Config) -> Iterator[str]:
    """Those that its intervals name, each once."""
    named = ((it.location for it in known.time_intervals) for known in config.time_intervals)
    yield from dict.fromkeys(zone for zones in named for zone in zones)
