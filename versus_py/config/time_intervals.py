"""Named time intervals, as Alertmanager's configuration has them, and public holidays beside them."""

from collections.abc import Callable, Container, Iterator, Sequence
from datetime import date
from functools import cached_property
from importlib import import_module
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, model_validator

from versus_py.clock import wall_ms
from versus_py.config.parts import Part, TimeZone, some
from versus_py.incidents.intervals import (
    SEARCHED_YEARS,
    Bounds,
    Hours,
    TimeInterval,
    parse_days_of_month,
    parse_months,
    parse_time,
    parse_weekdays,
    parse_years,
)


def readable(parse: Callable[[str], Any]) -> AfterValidator:
    """For texts that *parse* takes; they stay as they are written."""

    def checked(value: str) -> str:
        parse(value)
        return value

    return AfterValidator(checked)


def _holidays(value: str) -> str:
    if value:
        days_off(value)
    return value


def days_off(place: str) -> Container[date]:
    """The public holidays of a country such as DE, or of a part of it such as DE-BE. Raises ValueError."""
    try:
        package = import_module("holidays")
    except ImportError:
        raise ValueError("needs the package holidays, which is not installed; versus-py[holidays] has it") from None
    country, _, subdivision = place.partition("-")
    try:
        found: Container[date] = package.country_holidays(country, subdiv=subdivision or None)
    except (NotImplementedError, TypeError):
        known = package.list_supported_countries().get(country)
        if known is None:
            raise ValueError("must be a country such as DE, or a country and a part of it such as DE-BE") from None
        raise ValueError(f"must be {country}, or {country}- and one of {', '.join(known) or 'no parts'}") from None
    return found


_TEXT_OR_NUMBER = Field(json_schema_extra={"type": ["string", "integer"]})

Time = Annotated[str, readable(parse_time)]
Weekdays = Annotated[str, readable(parse_weekdays)]
Days = Annotated[str, readable(parse_days_of_month), _TEXT_OR_NUMBER]
Months = Annotated[str, readable(parse_months), _TEXT_OR_NUMBER]
Years = Annotated[str, readable(parse_years), _TEXT_OR_NUMBER]
Some = some("have something in it; leave it out where it does not matter")
"""To Alertmanager, an empty list is an interval that is never open."""


class Times(Part):
    """A part of each day."""

    start_time: Time
    """When it starts, such as 08:00."""
    end_time: Time
    """When it is over, 24:00 at the latest."""

    @model_validator(mode="after")
    def _ends_after_its_start(self) -> Self:
        begin, end = self.bounds
        if begin >= end:
            raise ValueError("must have an end_time after its start_time; for a time past midnight, write two")
        return self

    @property
    def bounds(self) -> Bounds:
        """In minutes of the day."""
        return parse_time(self.start_time), parse_time(self.end_time)


class Interval(Part):
    """An interval of Alertmanager's: open where all that it says is true."""

    times: Annotated[tuple[Times, ...], Some] = ()
    """Times of the day, by the clock of the location."""
    weekdays: Annotated[tuple[Weekdays, ...], Some] = ()
    """Weekdays such as saturday, and ranges such as monday:friday."""
    days_of_month: Annotated[tuple[Days, ...], Some] = ()
    """Days such as 1, and ranges such as 1:5; -1 is the last of the month."""
    months: Annotated[tuple[Months, ...], Some] = ()
    """Months by number or name, and ranges such as may:august."""
    years: Annotated[tuple[Years, ...], Some] = ()
    """Years, and ranges such as 2026:2028."""
    location: TimeZone = "UTC"
    """The time zone, such as Europe/Berlin."""

    @property
    def compiled(self) -> TimeInterval:
        """As it is asked for instants."""
        return TimeInterval(
            times=tuple(it.bounds for it in self.times) or None,
            weekdays=tuple(map(parse_weekdays, self.weekdays)) or None,
            days_of_month=tuple(map(parse_days_of_month, self.days_of_month)) or None,
            months=tuple(map(parse_months, self.months)) or None,
            years=tuple(map(parse_years, self.years)) or None,
            zone=ZoneInfo(self.location),
        )


class NamedIntervals(Part):
    """Intervals that policies name; it is open where any of them is."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    """What policies call it."""
    time_intervals: tuple[Interval, ...] = ()
    """The intervals, as Alertmanager's time_intervals have them."""
    holidays: Annotated[str, AfterValidator(_holidays)] = ""
    """Public holidays of a country such as DE, or of a part of it such as DE-BE; needs versus-py[holidays]."""
    location: TimeZone = "UTC"
    """The time zone in which the holidays begin and end; each of time_intervals has its own."""

    @cached_property
    def compiled(self) -> tuple[TimeInterval, ...]:
        """As they are asked for instants."""
        off = [TimeInterval(days=days_off(self.holidays), zone=ZoneInfo(self.location))] if self.holidays else []
        return (*(it.compiled for it in self.time_intervals), *off)


def interval_problems(named: Sequence[NamedIntervals]) -> Iterator[str]:
    """What does not go together."""
    names: set[str] = set()
    for index, it in enumerate(named):
        path = f"time_intervals.{index}"
        if it.name in names:
            yield f"{path}.name: is {it.name!r}, as that of another one is"
        names.add(it.name)
        if not it.compiled:
            yield f"{path}: has neither time_intervals nor holidays"
        if it.time_intervals and not it.holidays and "location" in it.model_fields_set:
            yield f"{path}.location: is that of holidays, which it has none of; move it to each of its time_intervals"
        for at, interval in enumerate(it.time_intervals):
            if not Hours((interval.compiled,)).ever_opens:
                yield f"{path}.time_intervals.{at}: is never open: there is no day that is as it says"


def interval_warnings(named: Sequence[NamedIntervals]) -> Iterator[str]:
    """What works, but is hardly what was meant."""
    for index, it in enumerate(named):
        if it.compiled and Hours(it.compiled).opens_at(wall_ms()) is None:
            yield f"time_intervals.{index} ({it.name}) is not open in the next {SEARCHED_YEARS} years"
