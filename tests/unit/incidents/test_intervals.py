"""Time intervals: what Alertmanager takes, and when they open, held against a scan minute by minute."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from versus_py.incidents.intervals import (
    Hours,
    TimeInterval,
    parse_days_of_month,
    parse_months,
    parse_time,
    parse_weekdays,
    parse_years,
)

MINUTE_MS = 60_000
DAY_MS = 24 * 60 * MINUTE_MS

NIGHT = TimeInterval(times=((30, 90), (120, 150)))
OVER_THE_CHANGE = TimeInterval(times=((60, 165),))
OFFICE = TimeInterval(weekdays=((1, 5),), times=((540, 1020),))
WEEKEND = TimeInterval(weekdays=((0, 0), (6, 6)))
WHOLE_DAYS = TimeInterval(weekdays=((4, 4),))
LATE = TimeInterval(times=((23 * 60 + 30, 24 * 60),))


def at(text: str, zone: str = "UTC") -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


def in_zone(interval: TimeInterval, zone: str) -> TimeInterval:
    fields = {name: getattr(interval, name) for name in ("times", "weekdays", "days_of_month", "months", "years")}
    return TimeInterval(**fields, zone=ZoneInfo(zone))


def scanned(hours: Hours, instants: list[int]) -> dict[int, int]:
    """Instant -> the next one of them, itself included, at which it is open; without those of which it is not known."""
    found: dict[int, int] = {}
    for instant in reversed(instants):
        if hours.contains(instant):
            found[instant] = instant
        elif instant + (instants[1] - instants[0]) in found:
            found[instant] = found[instant + (instants[1] - instants[0])]
    return found


CHANGES = [
    ("Europe/Berlin", "2027-03-28"),  # 02:00 becomes 03:00
    ("Europe/Berlin", "2026-10-25"),  # 03:00 becomes 02:00
    ("Australia/Lord_Howe", "2026-10-04"),  # by half an hour
    ("Australia/Lord_Howe", "2027-04-04"),
    ("Africa/Cairo", "2027-04-30"),  # 00:00 becomes 01:00
    ("Africa/Cairo", "2026-10-30"),  # 00:00 becomes 23:00 of the day before
    ("America/Santiago", "2026-09-06"),
    ("America/Santiago", "2027-04-04"),
    ("Pacific/Apia", "2011-12-30"),  # a day that there was not
]


@pytest.mark.parametrize(("zone", "day"), CHANGES, ids=[f"{zone} {day}" for zone, day in CHANGES])
def test_an_opening_is_the_first_open_minute_also_where_clocks_change(zone, day):
    start = at(day) - 36 * 60 * MINUTE_MS
    minutes = [start + minute * MINUTE_MS for minute in range(3 * 24 * 60)]
    intervals = [in_zone(it, zone) for it in (NIGHT, OVER_THE_CHANGE, OFFICE, WEEKEND, WHOLE_DAYS, LATE)]
    both = [Hours(outside=(intervals[1], intervals[4])), Hours((intervals[2], intervals[3]), (intervals[0],))]
    for hours in (*(Hours((it,)) for it in intervals), *both):
        expected = scanned(hours, minutes)
        for instant in minutes[::97]:
            if instant in expected:
                assert hours.opens_at(instant) == expected[instant]


def test_two_changes_within_a_week_are_both_known():
    """Recife began summer time on 8 October 2000, and gave it up on the 15th."""
    recife = Hours((in_zone(LATE, "America/Recife"),))
    minutes = [at("2000-10-04") + minute * MINUTE_MS for minute in range(14 * 24 * 60)]
    expected = scanned(recife, minutes)

    for instant in minutes[::487]:
        if instant in expected:
            assert recife.opens_at(instant) == expected[instant]


def test_hours_of_several_zones_open_where_all_of_them_say_so():
    office = Hours(
        (in_zone(OFFICE, "Europe/Berlin"), in_zone(OFFICE, "America/New_York")), (in_zone(LATE, "Asia/Tokyo"),)
    )
    minutes = [at("2026-10-23") + minute * MINUTE_MS for minute in range(5 * 24 * 60)]
    expected = scanned(office, minutes)

    assert {it: office.opens_at(it) for it in minutes[::61] if it in expected} == {
        it: expected[it] for it in minutes[::61] if it in expected
    }


DATES = {
    "the last three days": TimeInterval(days_of_month=((-3, -1),)),
    "from the 29th": TimeInterval(days_of_month=((29, 31),)),
    "the 31st": TimeInterval(days_of_month=((31, 31),), times=((600, 660),)),
    "the 20th to the last but one": TimeInterval(days_of_month=((20, -2),), months=((2, 2),)),
    "summer": TimeInterval(months=((6, 8),), weekdays=((1, 1),)),
    "two years": TimeInterval(years=((2023, 2023), (2025, 2027)), months=((12, 12),)),
    "Friday the 13th": TimeInterval(weekdays=((5, 5),), days_of_month=((13, 13),)),
    "Christmas": TimeInterval(days={date(2024, 12, 25), date(2025, 12, 25)}),
}


@pytest.mark.parametrize("interval", DATES.values(), ids=DATES)
def test_an_opening_is_the_first_open_hour_by_days_months_and_years(interval):
    hours = [at("2023-12-20") + hour * 60 * MINUTE_MS for hour in range(2 * 366 * 24)]
    expected = scanned(Hours((interval,)), hours)

    assert expected
    for instant in hours[::997]:
        if instant in expected:
            assert interval.next_opening(instant) == expected[instant]


def is_open_on(days: str, text: str) -> bool:
    return TimeInterval(days_of_month=(parse_days_of_month(days),)).contains(at(text))


@pytest.mark.parametrize(
    ("days", "open_on", "closed_on"),
    [
        ("-1", ["2024-02-29", "2023-02-28", "2026-04-30"], ["2024-02-28", "2026-04-29"]),
        ("-31:-30", ["2026-01-01", "2026-01-02", "2026-04-01"], ["2026-01-03", "2026-04-02", "2026-02-01"]),
        ("30:31", ["2026-01-30", "2026-04-30"], ["2026-02-28", "2026-01-29"]),
        ("1:31", ["2026-02-01", "2026-02-28"], []),
        ("27:-1", ["2026-02-27", "2026-01-31"], ["2026-02-26"]),
    ],
)
def test_days_of_the_month_are_those_of_each_month(days, open_on, closed_on):
    assert [it for it in open_on if not is_open_on(days, it)] == []
    assert [it for it in closed_on if is_open_on(days, it)] == []


def test_a_time_ends_before_its_last_minute_and_begins_with_its_first():
    interval = TimeInterval(times=((parse_time("08:00"), parse_time("18:00")),))

    shown = ["2026-05-04T07:59:59.999", "2026-05-04T08:00", "2026-05-04T17:59:59.999", "2026-05-04T18:00"]
    assert [interval.contains(at(it)) for it in shown] == [False, True, True, False]


def test_an_opening_is_told_to_the_millisecond():
    interval = in_zone(OFFICE, "Europe/Berlin")

    assert interval.next_opening(at("2026-05-02T12:34:56.789")) == at("2026-05-04T09:00", "Europe/Berlin")
    assert interval.next_opening(at("2026-05-04T12:34:56.789")) == at("2026-05-04T12:34:56.789")


def test_what_is_always_open_opens_at_once_and_what_never_opens_does_not():
    now = at("2026-05-04")
    never = TimeInterval(days_of_month=((30, 30),), months=((2, 2),))

    assert (Hours().opens_at(now), TimeInterval().next_opening(now)) == (now, now)
    assert never.next_opening(now) is None
    assert not Hours((never,)).ever_opens
    assert not Hours((OFFICE,), (OFFICE,)).ever_opens


def test_years_that_are_over_did_open_and_do_so_no_more():
    over = Hours((TimeInterval(years=((2020, 2020),)),))

    assert over.opens_at(at("2026-05-04")) is None
    assert over.ever_opens


def test_a_leap_day_is_found_across_a_century_without_one():
    leap_day = TimeInterval(days_of_month=((29, 29),), months=((2, 2),))

    assert leap_day.next_opening(at("2096-03-01")) == at("2104-02-29")


def test_what_is_closed_in_one_interval_opens_when_that_ends():
    hours = Hours(outside=(WEEKEND, TimeInterval(times=((0, 8 * 60),))))

    assert hours.opens_at(at("2026-05-02T12:00")) == at("2026-05-04T08:00")


def test_changes_come_in_order_and_after_the_instant_they_are_asked_for():
    zone = in_zone(NIGHT, "Africa/Cairo")
    start = at("2026-10-27T00:30", "Africa/Cairo")
    changes = [it for it, _ in zip(zone.changes(start), range(40), strict=False)]

    assert changes[0] > start
    assert all(before <= after for before, after in pairwise(changes))


@pytest.mark.parametrize(
    ("parse", "text", "bounds"),
    [
        (parse_weekdays, "Monday:FRIDAY", (1, 5)),
        (parse_weekdays, "sunday", (0, 0)),
        (parse_months, "may:August", (5, 8)),
        (parse_months, "1:december", (1, 12)),
        (parse_months, "03", (3, 3)),
        (parse_days_of_month, "1:5", (1, 5)),
        (parse_days_of_month, "-3:-1", (-3, -1)),
        (parse_days_of_month, "28:-1", None),
        (parse_days_of_month, "27:-1", (27, -1)),
        (parse_days_of_month, "-5:5", None),
        (parse_days_of_month, "5:3", None),
        (parse_days_of_month, "-1:-3", None),
        (parse_days_of_month, "0", None),
        (parse_days_of_month, "32", None),
        (parse_days_of_month, "1:2:3", None),
        (parse_days_of_month, "", None),
        (parse_years, "2026:2028", (2026, 2028)),
        (parse_years, "2028:2026", None),
        (parse_years, "next", None),
        (parse_weekdays, "saturday:sunday", None),
        (parse_weekdays, "mon", None),
        (parse_weekdays, "monday:", None),
        (parse_weekdays, " monday", None),
        (parse_months, "13", None),
        (parse_months, "0", None),
        (parse_months, "december:january", None),
    ],
)
def test_ranges_are_those_that_alertmanager_takes(parse, text, bounds):
    if bounds is not None:
        assert parse(text) == bounds
    else:
        with pytest.raises(ValueError, match="must be a"):
            parse(text)


@pytest.mark.parametrize(("text", "minute"), [("00:00", 0), ("08:05", 485), ("23:59", 1439), ("24:00", 1440)])
def test_times_of_day_are_minutes(text, minute):
    assert parse_time(text) == minute


@pytest.mark.parametrize(
    "text", ["8:00", "24:01", "25:00", "08:60", "0800", "", "08:00:00", "0\N{ARABIC-INDIC DIGIT EIGHT}:00"]
)
def test_what_is_no_time_of_day_is_refused(text):
    with pytest.raises(ValueError, match="such as 08:00"):
        parse_time(text)


def test_days_are_those_of_the_location():
    christmas = TimeInterval(days={date(2026, 12, 25)}, zone=ZoneInfo("Europe/Berlin"))

    assert christmas.next_opening(at("2026-12-20")) == at("2026-12-25", "Europe/Berlin")
    closes = next(it for it in christmas.changes(at("2026-12-25", "Europe/Berlin")) if not christmas.contains(it))
    assert datetime.fromtimestamp(closes / 1000, UTC) == datetime(2026, 12, 25, 23, tzinfo=UTC)
    assert timedelta(milliseconds=closes - at("2026-12-25", "Europe/Berlin")) == timedelta(days=1)


@pytest.mark.parametrize(
    "hours",
    [
        Hours((OFFICE,)),
        Hours((OFFICE, WEEKEND)),
        Hours((), (NIGHT,)),
        Hours((in_zone(OVER_THE_CHANGE, "Europe/Berlin"),), (WHOLE_DAYS,)),
        Hours((TimeInterval(years=((2020, 2021),)),)),
        Hours((LATE, in_zone(NIGHT, "Asia/Kathmandu"))),
    ],
)
def test_the_stretches_in_which_it_is_open_are_those_of_a_scan(hours):
    begin, end = at("2027-03-26T10:07"), at("2027-03-30T10:07")

    found = list(hours.open_between(begin, end))

    open_at = [it for it in range(begin, end, MINUTE_MS) if any(first <= it < last for first, last in found)]
    assert open_at == [it for it in range(begin, end, MINUTE_MS) if hours.contains(it)]
    assert all(first < last for first, last in found)
    assert all(last < first for (_, last), (first, _) in pairwise(found)), "neighbours are one"


def test_what_opens_in_years_is_not_searched_for_in_a_week():
    looked_at = set()

    class LeapDays:
        def __contains__(self, day):
            looked_at.add(day)
            return False

    hours = Hours((TimeInterval(days=LeapDays()),))

    assert list(hours.open_between(at("2026-11-28"), at("2026-12-05"))) == []
    assert max(looked_at) < date(2027, 1, 1)
