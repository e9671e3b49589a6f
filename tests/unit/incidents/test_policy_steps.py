"""Policies alone: their steps in rounds, and what a request changes about them."""

import pytest

from versus_py.incidents.policies import ROUND_MIN_MS, Policy, Step, When, made, with_oncall_after, without_providers

MINUTE_MS = 60_000


def chain(*steps, providers=("servicenow",), **keys):
    """A policy of (target, minutes after the step before)."""
    return Policy(tuple(Step((target,), minutes * MINUTE_MS) for target, minutes in steps), providers=providers, **keys)


def dues(policy):
    """Minutes after the start, by the targets of each step."""
    total, found = 0.0, []
    for number in range(policy.count):
        total += policy.delay_ms(number) / MINUTE_MS
        found.append(("+".join(policy.step(number).targets), total))
    return found


def test_a_further_round_begins_the_last_steps_after_later():
    policy = chain(("slack", 0), ("slack:leads", 10), ("servicenow", 15), repeat=2)

    assert policy.count == 9
    assert dues(policy)[2:5] == [("servicenow", 25), ("slack", 40), ("slack:leads", 50)]
    assert [policy.round(number) for number in (0, 2, 3, 8)] == [0, 0, 1, 2]


def test_rounds_of_steps_that_follow_at_once_are_a_minute_apart():
    policy = chain(("slack", 0), ("servicenow", 0), repeat=1)

    assert dues(policy) == [("slack", 0), ("servicenow", 0), ("slack", ROUND_MIN_MS / MINUTE_MS), ("servicenow", 1)]


@pytest.mark.parametrize(
    ("minutes", "expected"),
    [
        pytest.param(3, [0, 3, 3, 9], id="what would come later comes with it"),
        pytest.param(15, [0, 10, 15, 21], id="what comes sooner stays"),
        pytest.param(60, [0, 10, 60, 66], id="later steps keep their distance"),
        pytest.param(0, [0, 0, 0, 6], id="at once"),
    ],
)
def test_the_first_provider_is_moved(minutes, expected):
    policy = chain(("slack", 0), ("slack:leads", 10), ("servicenow", 15), ("servicenow:infra", 6))

    moved = with_oncall_after(policy, minutes * MINUTE_MS)

    assert [at for _, at in dues(moved)] == expected


def test_a_wait_moves_nothing_where_nobody_keeps_a_record():
    policy = chain(("slack", 0), ("slack:leads", 10), providers=())

    assert with_oncall_after(policy, 3 * MINUTE_MS) == policy


def test_the_steps_of_providers_go_and_the_others_keep_their_times():
    policy = Policy(
        (Step(("slack",)), Step(("servicenow",), 5 * MINUTE_MS), Step(("slack:leads", "servicenow"), 10 * MINUTE_MS)),
        providers=("servicenow",),
    )

    assert dues(without_providers(policy)) == [("slack", 0), ("slack:leads", 15)]


def test_a_policy_of_providers_alone_tells_nobody_without_them():
    assert dues(without_providers(chain(("servicenow", 5)))) == [("", 0)]


def test_the_made_policy_has_a_fallback_that_is_no_step_of_the_round():
    policy = made(channels=("slack",), oncall="servicenow", wait_ms=1, fallback="slack:C0", fallback_after_ms=2)

    assert dues(policy) == [("slack", 0), ("servicenow", 1 / MINUTE_MS)]
    assert policy.fallback == Step(("slack:C0",), 2, When.FAILED)
    assert policy.targets == ("slack", "servicenow", "slack:C0")


def test_without_a_provider_the_made_policy_never_escalates():
    policy = made(channels=("slack",), wait_ms=1, fallback="slack:C0", ack_timeout_ms=3)

    assert dues(policy) == [("slack", 0)]
    assert (policy.fallback, policy.ack_timeout_ms, policy.keeper) == (None, 0, None)


def test_channels_that_are_told_with_the_provider_do_not_wait_for_it():
    policy = Policy((Step(("slack", "servicenow")), Step(("slack:leads",), 10 * MINUTE_MS)), providers=("servicenow",))

    assert dues(with_oncall_after(policy, 30 * MINUTE_MS)) == [("slack", 0), ("servicenow", 30), ("slack:leads", 40)]
