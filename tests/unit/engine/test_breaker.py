"""A circuit: open after failures in a row, one probe at a time, closed by any answer."""

import asyncio
from contextlib import ExitStack, suppress

import pytest
import structlog

from tests.support.clock import FakeClock
from versus_py.engine.breaker import (
    OPEN_FIRST_MS,
    OPEN_MAX_MS,
    OPENS_AFTER,
    PROBE_MS,
    UNTRIED_FIRST_MS,
    Breakers,
    HeldBack,
)
from versus_py.engine.retries import SPREAD
from versus_py.errors import Permanent, StoreUnavailable, Transient, Unreachable
from versus_py.incidents.model import Delivery
from versus_py.targets import NotYet


@pytest.fixture(autouse=True)
def _no_jitter(monkeypatch):
    monkeypatch.setattr(SPREAD, "uniform", lambda low, _high: low)


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def changes():
    return []


@pytest.fixture
def breakers(clock, changes):
    return Breakers(clock, lambda system, is_open: changes.append((system, is_open)))


def _raise(error: BaseException | None) -> None:
    if error is not None:
        raise error


def call(breakers, error: BaseException | None = None, *, system="servicenow", who="i-1", was_made=True):
    """A call that ends so; whether it was made."""
    try:
        with breakers.guard(system, who) as it:
            it.was_made = was_made
            _raise(error)
    except HeldBack:
        return False
    except BaseException as exc:
        if exc is not error:
            raise
    return True


def fail(breakers, times=OPENS_AFTER, *, of=2, **more):
    return [call(breakers, Unreachable("down"), who=f"i-{number % of}", **more) for number in range(times)]


def test_it_opens_after_failures_in_a_row_and_holds_back(breakers, clock, changes):
    assert fail(breakers, OPENS_AFTER - 1) == [True] * (OPENS_AFTER - 1)
    assert changes == []

    fail(breakers, 1)

    assert changes == [("servicenow", True)]
    assert breakers.open_systems == ("servicenow",)
    with pytest.raises(HeldBack, match="down") as held, breakers.guard("servicenow", "i-9"):
        pytest.fail("it was called")
    assert held.value.until_ms == clock.now_ms() + OPEN_FIRST_MS


def test_one_incident_that_fails_alone_does_not_stop_the_others(breakers):
    fail(breakers, 20, of=1)

    assert breakers.open_systems == ()
    assert call(breakers)


def test_other_systems_go_on(breakers):
    fail(breakers)

    assert call(breakers, system="servicenow:infra")
    assert not call(breakers, system="servicenow")


@pytest.mark.parametrize(
    "error",
    [None, Permanent("refused"), Transient("429"), NotYet(1, "its thread waits", Delivery(label="posted"))],
    ids=["success", "refusal", "rate limit", "half done"],
)
def test_any_answer_in_between_starts_the_count_again(breakers, error):
    fail(breakers, OPENS_AFTER - 1)
    call(breakers, error)
    fail(breakers, OPENS_AFTER - 1)

    assert breakers.open_systems == ()


@pytest.mark.parametrize(
    ("error", "was_made"),
    [
        (NotYet(1, "not its turn"), True),
        (StoreUnavailable("Redis"), True),
        (asyncio.CancelledError(), True),
        (None, False),
    ],
    ids=["a turn", "Redis", "cancelled", "nothing to ask"],
)
def test_what_asked_nothing_says_nothing(breakers, clock, error, was_made):
    fail(breakers, OPENS_AFTER - 1)
    call(breakers, error, was_made=was_made)
    fail(breakers, 1)
    assert breakers.open_systems == ("servicenow",)
    clock.advance(ms=OPEN_FIRST_MS)

    assert call(breakers, error, was_made=was_made)

    assert breakers.open_systems == ("servicenow",)
    assert call(breakers)  # the next one is the probe
    assert breakers.open_systems == ()


def test_a_time_out_is_a_failure(breakers):
    for number in range(OPENS_AFTER):
        call(breakers, TimeoutError(), who=f"i-{number}")

    assert breakers.open_systems == ("servicenow",)


def test_one_probe_at_a_time_and_its_success_lets_all_through(breakers, clock, changes):
    fail(breakers)
    clock.advance(ms=OPEN_FIRST_MS)

    with breakers.guard("servicenow", "i-7") as probe:
        assert probe.is_probe
        assert not call(breakers, who="i-8")

    assert changes == [("servicenow", True), ("servicenow", False)]
    assert call(breakers, who="i-8")


def test_a_probe_that_fails_is_followed_by_another_later_and_later(breakers, clock, changes):
    fail(breakers)
    waits = []
    for _ in range(5):
        with pytest.raises(HeldBack) as held, breakers.guard("servicenow", "i-1"):
            pytest.fail("it was called")
        waits.append(held.value.until_ms - clock.now_ms())
        clock.advance(ms=waits[-1])
        assert fail(breakers, 1) == [True]

    assert waits == [OPEN_FIRST_MS, 2 * OPEN_FIRST_MS, 4 * OPEN_FIRST_MS, OPEN_MAX_MS, OPEN_MAX_MS]
    assert changes == [("servicenow", True)]


def test_calls_that_are_on_their_way_at_once_are_counted_and_do_not_lengthen_it(breakers, clock, changes):
    with ExitStack() as calls:
        for number in range(2 * OPENS_AFTER):
            calls.enter_context(suppress(Unreachable))
            calls.enter_context(breakers.guard("servicenow", f"i-{number}"))
            calls.callback(clock.advance, ms=100)
            calls.push(lambda *_: _raise(Unreachable("down")))

    assert changes == [("servicenow", True)]
    clock.advance(ms=OPEN_FIRST_MS - 500)
    assert call(breakers)


def test_a_probe_that_never_ends_is_replaced(breakers, clock):
    fail(breakers)
    clock.advance(ms=OPEN_FIRST_MS)
    with breakers.guard("servicenow", "i-7"):
        clock.advance(ms=PROBE_MS)

        with breakers.guard("servicenow", "i-8") as other:
            assert other.is_probe


def test_it_is_logged_once(breakers, clock):
    with structlog.testing.capture_logs() as lines:
        fail(breakers)
        clock.advance(ms=OPEN_FIRST_MS)
        call(breakers)

    assert [(line["event"], line["log_level"], line["system"]) for line in lines] == [
        ("breaker.opened", "warning", "servicenow"),
        ("breaker.closed", "info", "servicenow"),
    ]


def test_the_first_to_probe_is_one_that_has_not_failed(breakers, clock):
    fail(breakers, 12, of=12)
    assert not call(breakers, who="healthy")
    clock.advance(ms=OPEN_FIRST_MS)

    assert not any(call(breakers, Unreachable("down"), who=f"i-{number}") for number in range(5))
    assert call(breakers, who="healthy")
    assert breakers.open_systems == ()


def test_one_that_has_failed_probes_when_those_that_have_not_do_not_come(breakers, clock):
    fail(breakers)
    assert not call(breakers, who="acknowledged since")
    clock.advance(ms=OPEN_FIRST_MS + UNTRIED_FIRST_MS)

    assert call(breakers, who="i-0")
    assert breakers.open_systems == ()


def test_a_clock_that_is_set_back_holds_nothing_back_for_longer(breakers, clock):
    fail(breakers)

    clock.advance(hours=-1)

    assert call(breakers, who="i-8")
