"""Which step an incident has come to, and when the next one is due: what a reference model of it has found."""

from typing import Any

from tests.support.clock import START_MS
from tests.support.factories import make_alert, make_incident, make_notification
from versus_py.incidents.copies import replace
from versus_py.incidents.model import Actor, Delivery, Ending, Outcome
from versus_py.incidents.policies import Policy, Step, without_providers
from versus_py.incidents.transitions import (
    acknowledge,
    begin_step,
    escalate,
    give_up,
    notice_news,
    observe,
    snooze,
    suppress,
    unacknowledge,
)

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
NOW = START_MS
HOUR = NOW + HOUR_MS
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


def joined(incident, policy, minutes, **keys):
    """After an alert has joined it that many minutes later, whose own policy is *policy*."""
    both = make_notification(make_alert("DiskFull"), make_alert("HostDown"), **keys)
    change = observe(incident, both, NOW + minutes * MINUTE_MS, policy)
    assert change is not None
    return change.incident


CHAIN = make_steps(("slack", 0), ("slack:leads", 10), ("servicenow", 15))


def test_what_joins_from_elsewhere_takes_no_record_away():
    incident = make_incident(policy=make_steps(("slack", 0), ("servicenow", 30), name="databases"))
    rest = make_steps(("slack", 0), ("slack:leads", 10), name="rest")

    assert joined(incident, rest, 1).policy.name == "databases"


def test_what_joins_does_not_put_off_who_is_still_to_be_told():
    begun = begin_step(make_incident(policy=CHAIN), NOW + 10 * MINUTE_MS)
    assert begun is not None

    after = joined(begun.incident, CHAIN, 11)

    assert after.due_ms("servicenow") == NOW + 25 * MINUTE_MS


def test_a_severity_that_rises_makes_no_record_later():
    soon = make_steps(("slack", 0), ("servicenow", 12), name="warning")
    incident = replace(make_incident(policy=soon), severity="warning")

    after = joined(incident, CHAIN, 1)

    assert after.severity == "critical"
    assert after.due_ms("servicenow") == NOW + 12 * MINUTE_MS


def test_what_joins_and_is_not_graver_leaves_the_mention():
    mine = make_steps(("slack", 0), ("servicenow", 30), mentions={"slack": "@db"})
    other = make_steps(("slack", 0), ("servicenow", 5), mentions={"slack": "@web"})

    after = joined(make_incident(policy=mine), other, 1)

    assert after.due_ms("servicenow") == NOW + 6 * MINUTE_MS
    assert after.policy.mentions == {"slack": "@db"}


def test_a_first_step_that_comes_later_is_not_held():
    assert not make_incident(policy=make_steps(("slack", 5))).is_held


def test_a_failure_of_an_earlier_wait_does_not_make_a_step_lost():
    both = Policy((Step(("slack", "slack:web")), Step(("servicenow",), 60 * MINUTE_MS)), providers=("servicenow",))
    failed_before = {"slack": Delivery(failed_at_ms=NOW - 1)}
    incident = replace(make_incident(policy=both), deliveries=failed_before)

    change = give_up(incident, "slack:web", "gone", NOW + 1)

    assert change is not None
    assert change.incident.escalates_at_ms == NOW + 60 * MINUTE_MS


def test_a_failure_does_not_end_a_snooze():
    snoozed = snooze(make_incident(policy=CHAIN), HOUR, ANA, NOW)
    assert snoozed is not None

    change = give_up(snoozed.incident, "slack", "gone", NOW + 1)

    assert change is not None
    assert change.incident.escalates_at_ms == snoozed.incident.escalates_at_ms


def test_who_escalates_what_was_acknowledged_in_the_middle_of_a_round_has_the_next_step_told():
    told = begin_step(make_incident(policy=CHAIN), NOW + 10 * MINUTE_MS)
    assert told is not None
    acked = acknowledge(told.incident, ANA, NOW + 11 * MINUTE_MS)
    assert acked is not None

    change = escalate(acked.incident, ANA, NOW + 12 * MINUTE_MS)

    assert change is not None
    assert change.incident.calls["slack:leads"] == told.incident.calls["slack:leads"]
    assert change.incident.calls["servicenow"].at_ms == NOW + 12 * MINUTE_MS


def test_without_anybody_left_to_tell_nothing_is_owed_or_kept():
    alone = without_providers(make_steps(("servicenow", 0), repeat=1, ack_timeout_ms=HOUR))
    acked = acknowledge(make_incident(policy=alone), ANA, NOW + 1)

    assert (alone.keeper, alone.count) == (None, 1)
    assert acked is not None
    assert acked.incident.owed_at_ms is None


def test_a_silence_holds_the_clock_of_the_round():
    chain = make_incident(policy=make_steps(("slack", 0), ("slack:leads", 10), ("servicenow", 10)))
    silenced = suppress(chain, chain, "a silence", NOW + 40 * MINUTE_MS, NOW + 10 * MINUTE_MS)
    assert silenced is not None

    told = begin_step(silenced.incident, NOW + 40 * MINUTE_MS)

    assert told is not None
    assert told.incident.calls["slack:leads"].due_ms == NOW + 40 * MINUTE_MS
    assert told.incident.escalates_at_ms == NOW + 50 * MINUTE_MS


def test_an_acknowledgment_lasts_seven_days_at_most_whatever_people_do_meanwhile():
    policy = make_steps(("slack", 0), ("servicenow", 10), ack_timeout_ms=24 * HOUR_MS)
    taken = acknowledge(make_incident(policy=policy), ANA, NOW)
    assert taken is not None

    again = acknowledge(taken.incident, ANA, NOW + 6 * 24 * HOUR_MS + 1)

    assert again is not None
    assert again.incident.ack_ends_at_ms == NOW + 7 * 24 * HOUR_MS


def test_a_target_that_failed_before_it_was_called_again_may_be_told_now():
    chain = make_incident(policy=make_steps(("slack", 0), ("slack", 10), ("servicenow", 10)))
    failed = replace(chain, deliveries={"slack": Delivery(failed_at_ms=NOW + MINUTE_MS)})
    begun = begin_step(failed, NOW + 10 * MINUTE_MS)
    assert begun is not None

    lost = give_up(begun.incident, "slack:leads", "gone", NOW + 10 * MINUTE_MS)

    assert lost is not None
    assert lost.incident.escalates_at_ms == NOW + 20 * MINUTE_MS
