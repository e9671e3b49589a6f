"""What answers tell of another system's clock."""

from email.utils import formatdate

import pytest

from tests.support.clock import START_MS, FakeClock
from versus_py.errors import StoreUnavailable
from versus_py.targets.check import CheckStatus
from versus_py.targets.remote_clock import RemoteClock, retry_after_s


class NoClock:
    def now_ms(self) -> int:
        raise StoreUnavailable("Redis has not told the time yet")


def said(seconds: float) -> dict[str, str]:
    return {"Date": formatdate(START_MS / 1000 + seconds, usegmt=True)}


@pytest.fixture
def remote() -> RemoteClock:
    return RemoteClock("Slack", FakeClock(START_MS))


def test_before_the_first_answer_it_is_ours(remote):
    assert not remote.is_known
    assert remote.now_ms() == START_MS


@pytest.mark.parametrize("seconds", [1, -2, 0])
def test_what_cannot_be_told_from_the_way_is_no_difference(remote, seconds):
    remote.note(said(seconds), START_MS)

    assert remote.is_known
    assert remote.now_ms() == START_MS


@pytest.mark.parametrize("seconds", [40, -40, 7200])
def test_times_are_exchanged_by_the_difference(remote, seconds):
    remote.note(said(seconds), START_MS)

    assert remote.now_ms() == START_MS + seconds * 1000 + 500
    assert remote.ours(remote.theirs(12345)) == 12345


@pytest.mark.parametrize("headers", [{}, {"Date": ""}, {"Date": "soon"}, {"Date": "Mon, 99 Foo 2026 99:99:99 GMT"}])
def test_an_answer_that_says_nothing_of_the_time_changes_nothing(remote, headers):
    remote.note(said(100), START_MS)
    remote.note(headers, START_MS)

    assert remote.ahead_ms == 100_500


def test_an_answer_that_was_long_on_its_way_changes_nothing():
    """As while the machine stood still: its time is that of long ago."""
    clock = FakeClock(START_MS)
    remote = RemoteClock("Slack", clock)
    remote.note(said(0), remote.asked_at_ms())
    asked_at_ms = remote.asked_at_ms()
    clock.advance(minutes=6)

    remote.note(said(0), asked_at_ms)

    assert (remote.ahead_ms, remote.is_known) == (0, True)


def test_while_there_is_no_time_of_our_own_nothing_is_known():
    remote = RemoteClock("Slack", NoClock())

    remote.note(said(100), remote.asked_at_ms())

    assert not remote.is_known


@pytest.mark.parametrize(("seconds", "found"), [(3600, "3600 s ahead of"), (-3600, "3600 s behind")])
def test_the_doctor_tells_what_is_far_apart(remote, seconds, found):
    remote.note(said(seconds), START_MS)

    [check] = remote.checks("Slack clock")

    assert (check.name, check.status) == ("Slack clock", CheckStatus.WARNING)
    assert check.found.startswith(f"Slack's clock is {found[:3]}")
    assert check.found.endswith(f"{found.partition('s ')[2]} Redis'")


def test_the_doctor_tells_nothing_of_what_is_not(remote):
    remote.note(said(20), START_MS)

    assert list(remote.checks("Slack clock")) == []


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "30"}, 30),
        ({"Retry-After": "1e9"}, 3600),
        ({"Retry-After": "-5"}, 0),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": said(90)["Date"]} | said(0), 90),
        ({"Retry-After": said(90)["Date"]} | said(100), 0),
        ({"Retry-After": said(90)["Date"]}, None),
    ],
)
def test_when_to_come_back_is_a_number_or_a_date_by_the_clock_of_who_says_so(headers, seconds):
    assert retry_after_s(headers) == seconds
