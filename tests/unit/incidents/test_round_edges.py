"""Which step an incident has come to, and when the next one is due: what a reference model of it has found."""

from dataclasses import replace
from typing import Any

from tests.support.clock import START_MS
from tests.support.factories import make_incident, make_notification
from versus_py.incidents.model import Actor, Delivery, Ending, Outcome
from versus_py.incidents.policies import Policy, Step
from versus_py.incidents.transitions import (
    acknowledge,
    begin_step,
    escalate,
    give_up,
    notice_news,
    observe,
    snooze,
    unacknowledge,
)

MINUTE_MS = 60_000
NOW = START_MS
HOUR = NOW + 60 * MINUTE_MS
ANA = Actor("ana")


def make_steps(*steps: tuple[str, int], **keys: Any) -> Policy:
    """Each of one target, so many minutes after the one before."""
    named = tuple(dict.fromkeys(target for target, _ in steps if target.startswith("servicenow")))
    found = tuple(Step((target,), minutes * MINUTE_MS) for target, minutes in steps)
    return replace(Policy(steps=found, name="chain", providers=named), **keys)


def test_what_a_provider_is_told_at_once_is_no_news_a_moment_later():
    incident = make_incident(policy=make_steps(("servicenow", 0)))

    assert notice_news(incident, NOW) is None


def test_a_snooze_holds_the_clock_of_a_first_step_that_is_not_told_at_once():
    incident = make_incident(policy=make_steps(("slack", 10)))

    snoozed = snooze(incident, HOUR, ANA, NOW + 4 * MINUTE_MS)

    assert snoozed is not None
    assert snoozed.incident.escalates_at_ms == HOUR + 6 * MINUTE_MS


def test_a_shorter_snooze_of_what_is_held_leaves_it_to_its_hours():
    incident = make_incident(policy=make_steps(("slack", 0), opens_at_ms=HOUR))
    longer = snooze(incident, HOUR + 30 * MINUTE_MS, ANA, NOW)
    assert longer is not None
    assert longer.incident.escalates_at_ms == HOUR + 30 * MINUTE_MS

    shorter = snooze(longer.incident, NOW + 5 * MINUTE_MS, ANA, NOW)

    assert shorter is not None
    assert shorter.incident.escalates_at_ms == HOUR


def test_when_a_step_comes_sooner_so_do_those_whom_later_steps_tell_again():
    steps = ("slack", 0), ("slack:leads", 10), ("slack:boss", 10), ("slack", 10)
    begun = begin_step(make_incident(policy=make_steps(*steps)), NOW + 10 * MINUTE_MS)
    assert begun is not None

    lost = give_up(begun.incident, "slack:leads", "gone", NOW + 10 * MINUTE_MS)

    assert lost is not None
    assert lost.incident.due_ms("slack") == NOW + 20 * MINUTE_MS
    assert lost.timers["slack"] == NOW + 10 * MINUTE_MS  # it comes back by itself then


def test_a_further_round_has_timers_for_whom_only_the_policy_of_now_tells_again():
    incident = make_incident(policy=make_steps(("slack", 0), ("servicenow", 10), repeat=1))
    begun = begin_step(incident, NOW + 10 * MINUTE_MS)
    assert begun is not None
    hurried = make_steps(("slack", 0), ("servicenow", 1), repeat=1)

    again = begin_step(begun.incident, NOW + 20 * MINUTE_MS, lambda *_: hurried)

    assert again is not None
    assert again.incident.due_ms("servicenow") == NOW + 21 * MINUTE_MS
    assert again.timers["servicenow"] == NOW + 20 * MINUTE_MS  # it comes back by itself then


def test_a_severity_that_rises_between_two_steps_while_it_is_snoozed_has_everybody_told_again():
    steps = ("slack", 0), ("slack:leads", 10), ("servicenow", 10)
    begun = begin_step(make_incident(policy=make_steps(*steps), severity="warning"), NOW + 10 * MINUTE_MS)
    assert begun is not None
    snoozed = snooze(begun.incident, HOUR, ANA, NOW + 11 * MINUTE_MS)
    assert snoozed is not None

    graver = observe(snoozed.incident, make_notification(severity="critical"), NOW + 12 * MINUTE_MS)

    assert graver is not None
    assert graver.outcome is Outcome.REOPENED
    assert graver.incident.snooze is None
    assert graver.incident.escalates_at_ms == NOW + 22 * MINUTE_MS


def test_what_is_escalated_by_a_person_tells_no_step_that_its_policy_does_not_have_any_more():
    taken = acknowledge(make_incident(policy=make_steps(("slack", 0), ("servicenow", 10))), ANA, NOW)
    assert taken is not None

    escalated = escalate(taken.incident, ANA, NOW + 1, lambda *_: make_steps(("slack", 0)))

    assert escalated is not None
    assert {target: call.step for target, call in escalated.incident.calls.items()} == {"slack": 0}
    assert escalated.incident.next_step == 1


def test_a_provider_of_an_earlier_policy_does_not_keep_a_failed_escalation_owed():
    taken = acknowledge(make_incident(policy=make_steps(("servicenow:infra", 0))), ANA, NOW)
    assert taken is not None
    given_back = unacknowledge(taken.incident, ANA, NOW + 1, lambda *_: make_steps(("servicenow", 0)))
    assert given_back is not None
    assert given_back.incident.policy.providers == ("servicenow", "servicenow:infra")

    failed = replace(given_back.incident, deliveries={"servicenow": Delivery(failed_at_ms=NOW + 2)})

    assert failed.ending is Ending.FAILED
    assert failed.owed_at_ms is None
