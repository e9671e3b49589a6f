"""Time intervals in the configuration: what Alertmanager's files say, and what is wrong, by its path."""

import sys
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from versus_py.errors import ConfigError
from versus_py.incidents.intervals import Hours
from versus_py.systems import parse_config

BERLIN = ZoneInfo("Europe/Berlin")


def hours(text: str) -> Hours:
    """Of the first item of time_intervals."""
    return Hours(parse_config(f"time_intervals:\n{text}", {}).time_intervals[0].compiled)


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse_config(f"time_intervals: [{text}]", {})
    return list(caught.value.problems)


def at(text: str, zone: ZoneInfo = BERLIN) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp() * 1000)


def test_what_stands_in_an_alertmanagers_file_is_read_as_it_reads_it():
    found = hours("""
    - name: offhours
      time_intervals:
      - times:
        - start_time: 20:00
          end_time: 24:00
        - start_time: 00:00
          end_time: 08:00
        weekdays: ['Monday:Friday', saturday]
        days_of_month: [1:15, -1]
        months: [1:3, december]
        years: [2026, 2027:2030]
        location: Europe/Berlin
      - weekdays: [sunday]
    """)

    assert found.contains(at("2026-01-15T20:00"))
    assert found.contains(at("2026-03-31T07:59"))
    closed = ["2026-01-15T19:59", "2026-01-16T20:00", "2026-04-01T20:00", "2031-01-06T20:00"]
    assert [it for it in closed if found.contains(at(it))] == []
    assert found.contains(at("2026-07-05T00:00", ZoneInfo("UTC")))  # no location is UTC
    assert not found.contains(at("2026-07-05T00:00"))


def test_holidays_are_days_of_their_location_beside_intervals():
    text = "- {name: free, holidays: DE-BE, location: Europe/Berlin, time_intervals: [{weekdays: [saturday]}]}"

    found = hours(text)

    assert found.contains(at("2027-03-08T00:00"))  # in Berlin, and hardly anywhere else
    assert found.contains(at("2027-03-08T23:59"))
    assert not found.contains(at("2027-03-09T00:00"))
    assert not hours(text.replace("DE-BE", "DE")).contains(at("2027-03-08T12:00"))
    assert found.contains(at("2027-03-06T12:00"))


def test_holidays_need_a_package_that_nothing_else_does(monkeypatch):
    monkeypatch.setitem(sys.modules, "holidays", None)

    [told] = problems("{name: free, holidays: DE}")

    assert told.startswith("time_intervals.0.holidays: is 'DE'; needs the package holidays, which is not installed")
    assert parse_config("time_intervals: [{name: a, time_intervals: [{weekdays: [monday]}]}]", {}).time_intervals


INTERVAL = "time_intervals.0.time_intervals.0"


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("{weekdays: [mon]}", f"{INTERVAL}.weekdays.0: is 'mon'; must be a weekday or a range"),
        ("{weekdays: ['friday:monday']}", f"{INTERVAL}.weekdays.0: is 'friday:monday'; must be a weekday"),
        ("{days_of_month: [32]}", f"{INTERVAL}.days_of_month.0: is 32; must be a day from 1 to 31"),
        ("{days_of_month: [5:1]}", f"{INTERVAL}.days_of_month.0: is '5:1'; must be a day from 1 to 31"),
        ("{months: [0]}", f"{INTERVAL}.months.0: is 0; must be a month"),
        ("{years: [soon]}", f"{INTERVAL}.years.0: is 'soon'; must be a year"),
        ("{location: Local}", f"{INTERVAL}.location: is 'Local'; must be a time zone such as UTC"),
        ("{weekdays: []}", f"{INTERVAL}.weekdays: is a list; must have something in it"),
        (
            "{times: [{start_time: 25:00, end_time: 24:00}]}",
            f"{INTERVAL}.times.0.start_time: is '25:00'; must be a time",
        ),
        ("{times: [{start_time: 8, end_time: 18:00}]}", f"{INTERVAL}.times.0.start_time: is 8; must be a time"),
        ("{times: [{start_time: 900, end_time: 18:00}]}", f"{INTERVAL}.times.0.start_time: is 900; must be a time"),
        ("{times: [{start_time: '08:00'}]}", f"{INTERVAL}.times.0.end_time: is required"),
        (
            "{times: [{start_time: '22:00', end_time: '06:00'}]}",
            f"{INTERVAL}.times.0: is a mapping; must have an end_time after its start_time; for a time past midnight",
        ),
        ("{time: []}", f"{INTERVAL}.time: is not a known key; did you mean 'times'?"),
        (
            "{times: [{start: '08:00', start_time: '08:00', end_time: '09:00'}]}",
            f"{INTERVAL}.times.0.start: is not a known",
        ),
        ("{days_of_month: [30], months: [february]}", f"{INTERVAL}: is never open: there is no day that is as it says"),
        ("{days_of_month: [29], months: [2], years: ['2025:2027']}", f"{INTERVAL}: is never open"),
    ],
)
def test_a_mistake_in_an_interval_is_told_by_its_path(written, problem):
    [told] = problems(f"{{name: a, time_intervals: [{written}]}}")

    assert told.startswith(problem)


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("{name: a}", "time_intervals.0: has neither time_intervals nor holidays"),
        ("{name: a, holidays: XX}", "time_intervals.0.holidays: is 'XX'; must be a country such as DE"),
        ("{name: a, holidays: DE-XX}", "time_intervals.0.holidays: is 'DE-XX'; must be DE, or DE- and one of BB, BE"),
        (
            "{name: a, location: Europe/Berlin, time_intervals: [{months: [1]}]}",
            "time_intervals.0.location: is that of holidays, which it has none of",
        ),
        ("{time_intervals: [{months: [1]}]}", "time_intervals.0.name: is required"),
        (
            "{name: a, time_intervals: [{months: [1]}]}, {name: a, time_intervals: [{months: [2]}]}",
            "time_intervals.1.name: is 'a', as that of another one is",
        ),
    ],
)
def test_a_mistake_in_an_item_is_told_by_its_path(written, problem):
    [told] = problems(written)

    assert told.startswith(problem)


def test_an_interval_that_is_over_for_good_is_a_warning_and_no_error():
    """The configuration of a running installation goes on loading when a year ends."""
    config = parse_config("time_intervals: [{name: old, time_intervals: [{years: [2020]}]}]", {})

    assert "time_intervals.0 (old) is not open in the next 10 years" in list(config.warnings())
