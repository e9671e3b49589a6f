"""Times as pages write them: as the script would."""

import pytest

from tests.support.clock import START_MS
from versus_py.web.pages.ui import moments


@pytest.mark.parametrize(
    ("left_ms", "text"),
    [(0, "now"), (-1, "now"), (1, "0:01"), (59_001, "1:00"), (252_000, "4:12"), (3_600_000, "1 h 0 min")],
)
def test_a_countdown(left_ms, text):
    assert moments.left(START_MS + left_ms, START_MS) == text


@pytest.mark.parametrize(
    ("span_ms", "text"), [(-5, "0 s"), (59_999, "59 s"), (60_000, "1 min"), (7_560_000, "2 h 6 min")]
)
def test_an_age(span_ms, text):
    assert moments.lasted(span_ms) == text


def test_moments_are_written_in_utc():
    at_ms = 1_795_834_934_000

    assert moments.iso(at_ms) == "2026-11-28T03:02:14Z"
    assert (moments.hours(at_ms), moments.hours(at_ms, seconds=True)) == ("03:02", "03:02:14")
    assert moments.day(at_ms) == "28 Nov 03:02 UTC"


def test_the_time_of_day_alone_is_for_what_is_near():
    assert moments.is_of_today(START_MS - moments.TODAY_MS + 1, START_MS)
    assert not moments.is_of_today(START_MS - moments.TODAY_MS, START_MS)
