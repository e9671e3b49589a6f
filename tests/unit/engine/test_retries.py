"""When what failed is tried again, and until when."""

import pytest

from versus_py.engine.retries import SPREAD, RetryPolicy

HOUR_MS = 3600_000


@pytest.mark.parametrize(
    ("attempt", "most_s"),
    [
        pytest.param(1, 2, id="first"),
        pytest.param(2, 4, id="second"),
        pytest.param(5, 32, id="fifth"),
        pytest.param(9, 300, id="no longer than the longest"),
        pytest.param(10_000, 300, id="however many there were"),
    ],
)
def test_the_wait_is_a_random_part_of_a_span_that_doubles(attempt, most_s, monkeypatch):
    policy = RetryPolicy()
    monkeypatch.setattr(SPREAD, "uniform", lambda _low, high: high)
    assert policy.wait_s(attempt) == most_s
    monkeypatch.setattr(SPREAD, "uniform", lambda low, _high: low)
    assert policy.wait_s(attempt) == 1


@pytest.mark.parametrize(("asked_s", "waited_s"), [(90, 90), (0.5, 2), (None, 2)])
def test_the_targets_own_word_only_lengthens_the_wait(asked_s, waited_s, monkeypatch):
    monkeypatch.setattr(SPREAD, "uniform", lambda _low, high: high)

    assert RetryPolicy().wait_s(1, asked_s) == waited_s


def test_what_fails_for_too_long_is_over_however_often_it_was_tried():
    policy = RetryPolicy(give_up_after_ms=2 * HOUR_MS)

    assert not policy.is_over(1000, 1000 + 2 * HOUR_MS - 1)
    assert policy.is_over(1000, 1000 + 2 * HOUR_MS)
