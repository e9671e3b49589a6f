"""Instants as people write them: what the clock skips or shows twice is said."""

from zoneinfo import ZoneInfo

import pytest

from versus_py.incidents.moments import instant_ms, shown

BERLIN = ZoneInfo("Europe/Berlin")
SPRING_MS = 1_806_193_800_000  # 2027-03-28T00:30Z


@pytest.mark.parametrize(
    "text", ["2027-03-28T01:30", "2027-03-28 01:30:00", "2027-03-28T01:30+01:00", "2027-03-28T00:30Z"]
)
def test_a_time_is_read_by_the_clock_of_the_zone_or_by_the_offset_in_it(text):
    assert instant_ms(text, BERLIN) == (SPRING_MS, "")


def test_a_time_that_the_clock_skips_does_not_exist():
    with pytest.raises(ValueError, match=r"'2027-03-28T02:30' does not exist: .* to 03:30 \+02:00 or later"):
        instant_ms("2027-03-28T02:30", BERLIN)


def test_a_time_that_comes_twice_is_the_first_and_says_so():
    at_ms, warning = instant_ms("2026-10-25T02:30", BERLIN)

    assert shown(at_ms, BERLIN) == "2026-10-25 02:30:00 +02:00"
    assert "comes twice, as the clock is put back: 02:30 +02:00 and 02:30 +01:00" in warning
    assert instant_ms("2026-10-25T02:30+01:00", BERLIN) == (at_ms + 3_600_000, "")


@pytest.mark.parametrize("text", ["", "10:30", "2027-02-30", "tomorrow", "2027-03-28T25:00"])
def test_what_is_no_time_is_refused_with_one_that_is(text):
    with pytest.raises(ValueError, match="is no time: write one such as 2027-03-28T01:30"):
        instant_ms(text, BERLIN)


@pytest.mark.parametrize("text", ["0001-01-01", "9999-12-31T23:59", "9999-12-31T23:59-12:00"])
def test_what_is_too_far_away_is_refused(text):
    with pytest.raises(ValueError, match="is too far away: write a year from 1971 to 2099"):
        instant_ms(text, BERLIN)
