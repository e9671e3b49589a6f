"""How an incident goes through the rounds of its policy."""

import pytest

from tests.support.factories import make_incident, make_notification
from versus_py.incidents.copies import replace
from versus_py.incidents.model import Actor, Delivery, Status
from versus_py.incidents.policies import OnFailure, Policy, Step
from versus_py.incidents.rounds import is_lost, step_of
from versus_py.incidents.transitions import (
    acknowledge,
    begin_step,
    comment,
    end_acknowledgment,
    escalate,
    may_escalate,
    observe,
    snooze,
    unacknowledge,
)

MINUTE_MS = 60_000
ANA = Actor("ana")
CHAIN = Policy(
    (Step(("slack",)), Step(("slack:leads",), 10 * MINUTE_MS), Step(("servicenow",), 15 * MINUTE_MS)),
    name="critical",
    providers=("servicenow",),
    repeat=1,
)


def changed(change):
    """What did change."""
    assert change is not None
    return change


def start(policy=CHAIN):
    incident = make_incident(policy=policy)
    return incident, incident.created_at_ms


def passed(incident, minutes):
    """What has begun *minutes* after it came."""
    change = begin_step(incident, incident.created_at_ms + minutes * MINUTE_MS)
    return incident if change is None else change.incident


def test_the_step_to_come_is_told_by_what_has_begun():
    incident, start_ms = start()

    assert [incident.due_ms(it) for it in ("slack", "slack:leads", "servicenow")] == [
        start_ms + minutes * MINUTE_MS for minutes in (40, 10, 25)
    ]
    assert incident.next_targets == ("slack:leads",)
    assert not incident.is_called("slack:leads")
    assert step_of(passed(incident, 10)) == "step 2 of 3, round 1"


def test_what_was_missed_in_an_outage_is_told_at_once_and_what_is_to_come_keeps_its_time():
    incident, start_ms = start()

    late = passed(incident, 30)

    assert [*late.calls] == ["slack", "slack:leads", "servicenow"]
    assert [it.due_ms - start_ms for it in late.calls.values()] == [0, 10 * MINUTE_MS, 25 * MINUTE_MS]
    assert late.escalates_at_ms == start_ms + 40 * MINUTE_MS


def test_no_step_comes_after_the_last_round():
    incident, _ = start()

    over = passed(incident, 1000)

    assert not over.is_waiting
    assert over.next_step == CHAIN.count
    assert begin_step(over, over.created_at_ms + 10_000 * MINUTE_MS) is None


def test_of_what_is_acknowledged_no_step_begins_and_no_timer_of_a_later_one_is_left():
    incident, start_ms = start()

    change = changed(acknowledge(incident, ANA, start_ms + MINUTE_MS))

    assert change.timers["slack:leads"] is change.timers["servicenow"] is None
    assert begin_step(change.incident, start_ms + 100 * MINUTE_MS) is None


def test_a_round_that_repeats_goes_by_the_policy_of_now():
    incident, start_ms = start()
    shorter = replace(CHAIN, steps=(Step(("slack:web",)), *CHAIN.steps[1:]))

    again = changed(begin_step(passed(incident, 25), start_ms + 40 * MINUTE_MS, lambda *_: shorter)).incident

    assert "slack:web" in again.calls
    assert again.calls["slack"].step == 0


def test_a_round_that_the_policy_of_now_does_not_have_does_not_begin():
    incident, start_ms = start()

    over = changed(begin_step(passed(incident, 25), start_ms + 40 * MINUTE_MS, lambda *_: replace(CHAIN, repeat=0)))

    assert not over.incident.is_waiting
    assert over.incident.calls["slack"].step == 0


@pytest.mark.parametrize("again", [unacknowledge, end_acknowledgment], ids=["given back", "timed out"])
def test_a_round_after_an_acknowledgment_goes_by_the_policy_of_now(again):
    incident, start_ms = start(replace(CHAIN, ack_timeout_ms=60 * MINUTE_MS))
    acked = changed(acknowledge(incident, ANA, start_ms + MINUTE_MS)).incident
    at_ms = start_ms + 61 * MINUTE_MS
    arguments = (acked, ANA, at_ms) if again is unacknowledge else (acked, at_ms)

    anew = changed(again(*arguments, lambda *_: replace(CHAIN, name="other"))).incident

    assert (anew.status, anew.next_step, anew.policy.name) == (Status.TRIGGERED, 1, "other")
    assert anew.escalates_at_ms == at_ms + 10 * MINUTE_MS


def test_a_provider_that_a_policy_of_now_does_not_have_hears_how_it_ends():
    incident, _ = start()
    late = passed(incident, 26)
    acked = changed(acknowledge(late, ANA, late.created_at_ms + 27 * MINUTE_MS)).incident

    anew = changed(unacknowledge(acked, ANA, acked.updated_at_ms, lambda *_: Policy((Step(("slack",)),)))).incident
    ended = changed(acknowledge(anew, ANA, anew.updated_at_ms + 1))

    assert ended.timers["servicenow"] == anew.updated_at_ms + 1


def test_a_comment_has_an_acknowledgment_last_longer():
    incident, start_ms = start(replace(CHAIN, ack_timeout_ms=60 * MINUTE_MS))
    acked = changed(acknowledge(incident, ANA, start_ms)).incident

    change = changed(comment(acked, "still at it", ANA, start_ms + 30 * MINUTE_MS))

    assert change.incident.ack_ends_at_ms == start_ms + 90 * MINUTE_MS
    assert change.timers["servicenow"] == start_ms + 90 * MINUTE_MS


def test_a_snooze_in_the_middle_of_a_round_moves_the_rest_of_it():
    incident, start_ms = start()
    told = passed(incident, 10)

    snoozed = changed(snooze(told, start_ms + 60 * MINUTE_MS, ANA, start_ms + 20 * MINUTE_MS)).incident

    assert snoozed.due_ms("servicenow") == start_ms + 65 * MINUTE_MS
    assert snoozed.due_ms("slack") == start_ms + 80 * MINUTE_MS


def test_a_snooze_of_what_is_held_never_ends_the_hold():
    incident, start_ms = start()
    held = held_until(incident, start_ms + 600 * MINUTE_MS)

    snoozed = changed(snooze(held, start_ms + 60 * MINUTE_MS, ANA, start_ms)).incident

    assert snoozed.escalates_at_ms == start_ms + 600 * MINUTE_MS


def held_until(incident, opens_at_ms):
    held = make_incident(policy=replace(incident.policy, opens_at_ms=opens_at_ms))
    assert held.is_held
    return held


def test_a_person_who_escalates_has_one_step_come_after_the_other():
    incident, start_ms = start()

    first = changed(escalate(incident, ANA, start_ms + 1)).incident
    second = changed(escalate(first, ANA, start_ms + 2)).incident

    assert [*first.calls] == ["slack", "slack:leads"]
    assert first.escalates_at_ms == start_ms + 1 + 15 * MINUTE_MS
    assert [*second.calls] == ["slack", "slack:leads", "servicenow"]


def test_nobody_can_escalate_what_has_one_step():
    assert not may_escalate(make_incident(policy=Policy((Step(("slack",)),), name="low")))


LOST = {"slack:leads": Delivery(failed_at_ms=2**50)}


@pytest.mark.parametrize(
    ("on_failure", "deliveries", "lost"),
    [
        pytest.param(OnFailure.NEXT, {}, True, id="its only target"),
        pytest.param(OnFailure.WAIT, {}, False, id="it waits"),
    ],
)
def test_a_step_that_reaches_nobody_is_lost_unless_it_waits(on_failure, deliveries, lost):
    steps = (CHAIN.steps[0], replace(CHAIN.steps[1], on_failure=on_failure), CHAIN.steps[2])
    incident = replace(passed(make_incident(policy=replace(CHAIN, steps=steps)), 10), deliveries=deliveries)

    assert is_lost(incident, but="slack:leads") is lost


def test_a_step_of_which_one_target_may_still_be_told_is_not_lost():
    steps = (CHAIN.steps[0], Step(("slack:leads", "slack:web"), 10 * MINUTE_MS), CHAIN.steps[2])
    incident = passed(make_incident(policy=replace(CHAIN, steps=steps)), 10)

    assert not is_lost(incident, but="slack:web")
    assert is_lost(replace(incident, deliveries=LOST), but="slack:web")


def test_the_last_step_of_a_round_that_is_lost_does_not_bring_the_next_round():
    assert not is_lost(passed(make_incident(policy=CHAIN), 25), but="servicenow")


def test_what_a_first_step_escalates_is_known_to_people():
    at_once = Policy((Step(("slack", "servicenow")),), name="at once", providers=("servicenow",))
    incident = make_incident(policy=at_once)

    again = changed(observe(incident, make_notification(), incident.created_at_ms + MINUTE_MS)).incident

    assert again.calls == incident.calls
    assert "triggered again" not in [entry.event for entry in again.news]


def test_a_severity_that_rises_to_a_sooner_policy_is_told_by_that_and_nobody_twice():
    low = Policy((Step(("slack",)), Step(("servicenow",), 60 * MINUTE_MS)), name="low", providers=("servicenow",))
    incident = replace(make_incident(policy=low), severity="warning")
    graver = make_notification()

    change = changed(observe(incident, graver, incident.created_at_ms + MINUTE_MS, CHAIN))

    assert change.incident.policy.name == "critical"
    assert change.incident.calls["slack"] == incident.calls["slack"]
    assert change.timers["slack:leads"] == incident.created_at_ms + 11 * MINUTE_MS


def test_a_severity_that_rises_to_a_later_policy_changes_no_time():
    soon = Policy((Step(("slack",)), Step(("servicenow",), 5 * MINUTE_MS)), name="low", providers=("servicenow",))
    incident = replace(make_incident(policy=soon), severity="warning")
    graver = make_notification()

    after = changed(observe(incident, graver, incident.created_at_ms + MINUTE_MS, CHAIN)).incident

    assert (after.policy.name, after.escalates_at_ms) == ("low", incident.escalates_at_ms)
