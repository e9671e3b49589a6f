"""What answers promise, worked out from made-up deeds: each interval, each status, each doubt."""

import math
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.simulation.course import ACKNOWLEDGED, RESOLVED, TRIGGERED, Course
from tests.simulation.history import Act, Did, Listed
from tests.simulation.waits import Rules
from versus_py.incidents.copies import replace

WAIT_MS = 60_000.0
RULES = Rules(wait_ms=WAIT_MS)


def rfc3339(at_ms: float) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")


def act(did: Did, at_ms: float, *, took_ms: float = 100.0, status: int | None = 201, **more: Any) -> Act:
    return Act(did, at_ms, at_ms + took_ms, more.pop("over_ms", at_ms + took_ms), status, **more)


def listed(at_ms: float, *alerts: Listed, status: str = TRIGGERED, **more: Any) -> Act:
    said = {"id": "i-0", "status": status} | more.pop("said", {})
    return act(Did.LIST, at_ms, alerts=alerts or (Listed("db-1", "warning", 0),), said=said, **more)


def begun(rules: Rules = RULES) -> Course:
    """An incident whose wait ends at 61,000."""
    course = Course(rules)
    course.take(listed(1000, said={"escalates_at": rfc3339(1000 + WAIT_MS)}))
    return course


def over() -> Listed:
    """The first alert, as its sender says that it has ended."""
    return Listed("db-1", "warning", 0, is_over=True)


def test_an_alert_waits_from_its_notification_on():
    course = begun()

    [wait] = course.waits

    assert (wait.due_lo_ms, wait.due_hi_ms) == (61_000, 61_000)
    assert wait.has_to_escalate()
    assert course.statuses == {TRIGGERED}


def test_without_an_answered_moment_the_wait_ends_between_two():
    course = Course(Rules(wait_ms=WAIT_MS, has_sure_clock=False))

    course.take(listed(1000, took_ms=400, said={"escalates_at": rfc3339(99_000)}))

    assert (course.waits[0].due_lo_ms, course.waits[0].due_hi_ms) == (61_000, 61_400)
    assert course.problems == []


def test_an_answered_moment_that_cannot_be_is_a_problem():
    course = Course(RULES)

    course.take(listed(1000, said={"escalates_at": rfc3339(1000 + WAIT_MS + 900)}))

    assert [what for what, _ in course.problems] == ["another end of the wait"]


def test_an_answer_without_a_moment_is_a_problem_while_it_has_to_wait():
    course = Course(RULES)

    course.take(listed(1000))

    assert [what for what, _ in course.problems] == ["does not wait"]


@pytest.mark.parametrize(("at_ms", "is_in_time"), [(50_000, True), (60_300, True), (60_500, False), (62_000, False)])
def test_an_acknowledgment_is_in_time_when_it_was_over_before_the_wait_was(at_ms: float, is_in_time: bool):
    course = begun()

    course.take(act(Did.ACKNOWLEDGE, at_ms))

    assert course.waits[0].was_ended_in_time(RULES.slack_ms) is is_in_time
    assert course.statuses == {ACKNOWLEDGED}


def test_an_attempt_that_may_still_have_an_effect_ends_nothing_in_time():
    course = begun()

    course.take(act(Did.ACKNOWLEDGE, 50_000, over_ms=70_000.0, attempts=2))

    assert not course.waits[0].was_ended_in_time(RULES.slack_ms)


def test_what_nobody_answered_is_in_doubt():
    course = begun()

    course.take(act(Did.ACKNOWLEDGE, 50_000, status=None))

    assert "acknowledge" in course.doubt


def test_giving_back_begins_a_whole_wait():
    course = begun()
    course.take(act(Did.ACKNOWLEDGE, 5000))

    course.take(act(Did.GIVE_BACK, 8000, said={"escalates_at": rfc3339(68_050), "status": TRIGGERED}))

    assert (course.waits[-1].due_lo_ms, course.given_back) == (68_050, 1)


def test_a_snooze_moves_the_end_of_the_wait():
    course = begun()

    course.take(act(Did.SNOOZE, 5000, minutes=2, said={"escalates_at": rfc3339(61_000 + 120_000)}))

    assert course.waits[0].due_lo_ms == 181_000


def test_a_snooze_at_the_end_of_the_wait_moved_it_if_the_answer_says_so():
    course, other = begun(), begun()

    course.take(act(Did.SNOOZE, 60_900, minutes=2, said={"escalates_at": rfc3339(61_000 + 120_000)}))
    other.take(act(Did.SNOOZE, 60_900, minutes=2, status=200, said={"escalates_at": None}))

    assert (course.waits[0].due_lo_ms, other.waits[0].due_lo_ms) == (181_000, 61_000)


def test_a_snooze_at_the_end_of_the_wait_that_is_answered_with_nothing_may_have_moved_it():
    course = begun()

    course.take(act(Did.SNOOZE, 60_900, minutes=2))

    assert course.waits[0].due_lo_ms == 61_000
    assert course.waits[0].due_hi_ms > 181_000


def test_a_graver_alert_ends_a_snooze_and_waits_anew():
    course = begun()
    course.take(act(Did.SNOOZE, 5000, minutes=2))

    joined = Listed("db-2", "critical", 9000)
    course.take(listed(9000, Listed("db-1", "warning", 0), joined, said={"escalates_at": rfc3339(69_050)}))

    assert (course.waits[-1].due_lo_ms, course.retriggered, len(course.waits)) == (69_050, 1, 2)
    assert course.waits[0].was_ended_in_time(RULES.slack_ms)


def test_escalating_by_hand_ends_a_snooze_and_a_graver_alert_is_no_news_then():
    course = begun()
    course.take(act(Did.SNOOZE, 5000, minutes=30))
    course.take(act(Did.ESCALATE, 8000))

    course.take(listed(9000, Listed("db-1", "warning", 0), Listed("db-2", "critical", 9000)))

    assert (course.problems, len(course.waits), course.retriggered) == ([], 1, 0)


def test_what_fires_after_a_resolve_waits_anew():
    course = begun()
    course.take(listed(5000, over(), status=RESOLVED))

    course.take(listed(9000, said={"escalates_at": rfc3339(69_050)}))

    assert (len(course.waits), course.reopened) == (2, 1)
    assert course.statuses == {TRIGGERED}


def test_an_alert_that_another_sender_lists_goes_on_when_the_first_ones_ends():
    course = begun()
    course.take(listed(5000, Listed("db-2", "warning", 5000, sender="other")))

    course.take(listed(7000, over()))

    assert course.statuses == {TRIGGERED}


def test_an_alert_with_the_same_start_is_over_for_every_sender():
    course = begun()
    course.take(listed(5000, Listed("db-1", "warning", 0, sender="peer")))

    course.take(listed(7000, over(), status=RESOLVED))

    assert course.statuses == {RESOLVED}


def test_what_replaces_an_acknowledged_alert_waits_anew():
    course = begun()
    course.take(act(Did.ACKNOWLEDGE, 5000))

    course.take(listed(9000, over(), Listed("db-2", "warning", 9000), said={"escalates_at": rfc3339(69_050)}))

    assert course.statuses == {TRIGGERED}
    assert course.retriggered == 1


def test_a_graver_alert_that_joins_an_acknowledged_one_waits_anew():
    course = begun()
    course.take(act(Did.ACKNOWLEDGE, 5000))

    joined = Listed("db-2", "critical", 9000)
    course.take(listed(9000, Listed("db-1", "warning", 0), joined, said={"escalates_at": rfc3339(69_050)}))

    assert course.statuses == {TRIGGERED}


def test_an_alert_that_is_no_graver_joins_an_acknowledgment():
    course = begun()
    course.take(act(Did.ACKNOWLEDGE, 5000))

    course.take(listed(9000, Listed("db-1", "warning", 0), Listed("db-2", "warning", 9000), status=ACKNOWLEDGED))

    assert course.statuses == {ACKNOWLEDGED}
    assert len(course.waits) == 1


@pytest.mark.parametrize(("escalates_at", "waits"), [(None, 1), (rfc3339(121_050), 2)])
def test_what_replaces_an_alert_that_may_have_escalated_waits_anew_if_the_answer_says_so(
    escalates_at: str | None, waits: int
):
    course = begun()
    said = {"outcome": "updated", "escalates_at": escalates_at}

    course.take(listed(61_000, over(), Listed("db-2", "warning", 61_000), said=said))

    assert (len(course.waits), course.doubt) == (waits, "")


def test_what_replaces_an_alert_that_may_have_escalated_is_in_doubt_after_a_lost_answer():
    course = begun()

    course.take(listed(61_000, over(), Listed("db-2", "warning", 61_000), attempts=2))

    assert course.doubt


def test_an_acknowledgment_that_ends_waits_anew():
    course = begun(Rules(wait_ms=WAIT_MS, ack_timeout_ms=120_000))
    course.take(act(Did.ACKNOWLEDGE, 5000, said={"acknowledged_until": rfc3339(125_050)}))

    course.finish(500_000)

    assert course.statuses == {TRIGGERED}
    assert course.waits[-1].has_to_escalate()
    assert course.waits[-1].due_lo_ms == 125_000 + WAIT_MS


def test_an_acknowledgment_may_have_ended_before_somebody_worked_on_its_record():
    course = begun(Rules(wait_ms=WAIT_MS, ack_timeout_ms=120_000))
    course.take(act(Did.ACKNOWLEDGE, 5000, said={"acknowledged_until": rfc3339(125_050)}))
    course.touch_record(450_000, closes=False)

    course.finish(500_000)

    assert course.statuses == {ACKNOWLEDGED, TRIGGERED}
    assert not course.waits[-1].has_to_escalate()


def test_what_joined_is_news_after_a_wait_that_may_have_ended_at_once():
    course = begun(Rules(wait_ms=WAIT_MS, may_end_at_once=True))
    told = {"outcome": "reopened", "status": TRIGGERED, "escalates_at": rfc3339(30_000 + WAIT_MS)}

    course.take(listed(20_000, Listed("db-1", "warning", 0), Listed("db-2", "warning", 19_000)))
    course.take(listed(30_000, over(), Listed("db-2", "warning", 19_000), said=told))

    assert course.retriggered == 1


def test_an_answer_tells_whether_the_acknowledgment_had_ended():
    course = begun(Rules(wait_ms=WAIT_MS, ack_timeout_ms=120_000))
    course.take(act(Did.ACKNOWLEDGE, 5000))

    course.take(listed(125_000, status=ACKNOWLEDGED))

    assert course.statuses == {ACKNOWLEDGED}
    assert course.problems == []
    assert course.ack_ends_ms == (125_000, 125_100)


def test_another_end_of_the_acknowledgment_is_a_problem():
    course = begun(Rules(wait_ms=WAIT_MS, ack_timeout_ms=120_000))

    course.take(act(Did.ACKNOWLEDGE, 5000, said={"acknowledged_until": rfc3339(200_000)}))

    assert [what for what, _ in course.problems] == ["another end of the acknowledgment"]


def test_escalating_by_hand_ends_the_wait():
    course = begun()

    course.take(act(Did.ESCALATE, 5000))

    assert (course.waits[0].due_lo_ms, course.waits[0].due_hi_ms) == (5000, 5100)


def test_a_status_that_cannot_be_is_a_problem():
    course = begun()

    course.take(act(Did.ACKNOWLEDGE, 5000, said={"status": TRIGGERED}))

    assert [what for what, _ in course.problems] == ["status answered"]


@pytest.mark.parametrize("did", [Did.ACKNOWLEDGE, Did.LIST, Did.RESOLVE])
def test_a_refusal_is_a_problem(did: Did):
    course = begun()

    course.take(act(did, 5000, status=400))

    assert len(course.problems) == 1


def test_deeds_at_once_whose_order_decides_are_in_doubt():
    course = begun()

    course.take_together([act(Did.ACKNOWLEDGE, 5000), act(Did.GIVE_BACK, 5000)])

    assert course.doubt


def test_an_acknowledgment_and_a_resolve_at_once_resolve_in_any_order():
    course = begun()

    course.take_together([act(Did.RESOLVE, 5000), act(Did.ACKNOWLEDGE, 5010)])

    assert course.statuses == {RESOLVED}
    assert not course.doubt
    assert course.waits[0].was_ended_in_time(RULES.slack_ms)


@pytest.mark.parametrize("joins_first", [True, False])
def test_what_joins_and_a_closed_record_are_in_doubt(joins_first: bool):
    course = begun()
    course.take(act(Did.ACKNOWLEDGE, 65_000))
    joined = listed(70_000, Listed("db-1", "warning", 0), Listed("db-2", "warning", 70_000), status=ACKNOWLEDGED)
    deeds = [lambda: course.take(joined), lambda: course.touch_record(70_000, closes=True)]

    for deed in deeds if joins_first else deeds[::-1]:
        deed()

    assert course.doubt


def test_a_comment_keeps_an_acknowledgment_longer_if_it_is_seen_in_time():
    course = begun(Rules(wait_ms=WAIT_MS, ack_timeout_ms=120_000))
    course.take(act(Did.ACKNOWLEDGE, 65_000, said={"acknowledged_until": rfc3339(185_050)}))

    course.touch_record(100_000, closes=False)

    assert course.ack_ends_ms == (185_000, 220_000)


def test_who_acts_after_the_alertmanager_was_asked_may_find_it_over():
    course = begun()
    course.is_over_at_alertmanager = True

    course.take(act(Did.ACKNOWLEDGE, 65_000, said={"status": RESOLVED}))

    assert course.doubt
    assert course.problems == []


@pytest.mark.parametrize(("now_ms", "is_doubted"), [(30_000, False), (400_000, True)])
def test_what_fires_again_at_an_alertmanager_that_may_have_been_asked_may_have_been_over(now_ms, is_doubted):
    course = begun()
    course.is_over_at_alertmanager = True

    course.fire_at_alertmanager(now_ms)

    assert (bool(course.doubt), course.is_over_at_alertmanager) == (is_doubted, False)


def test_a_wait_may_end_at_once_where_no_channel_takes_the_message():
    course = Course(Rules(wait_ms=WAIT_MS, may_end_at_once=True))

    course.take(listed(1000, said={"escalates_at": rfc3339(1050)}))

    assert course.problems == []


def test_an_equal_alert_of_another_sender_that_began_after_the_snooze_was_not_seen():
    course = begun()
    course.take(act(Did.SNOOZE, 5000, minutes=2))
    course.take(listed(9000, Listed("db-1", "warning", 9000, sender="other")))

    course.take(listed(12_000, over(), said={"escalates_at": rfc3339(72_050)}))

    assert (course.waits[-1].due_lo_ms, course.retriggered) == (72_050, 1)


def test_an_incident_that_was_answered_before_is_not_created():
    course = begun()

    course.take(listed(2000, said={"outcome": "created"}))

    assert [what for what, _ in course.problems] == ["created another time"]


def test_an_escalation_that_is_refused_after_a_lost_answer_is_in_doubt():
    course = begun()

    course.take(act(Did.ESCALATE, 2000, status=409, attempts=2))

    assert course.doubt


def test_an_escalation_that_changed_nothing_while_it_waited_was_done_before():
    """A replica that lost Redis' answer finds its own change."""
    course = begun()

    course.take(act(Did.ESCALATE, 5000, status=200, said={"escalates_at": None}))

    assert (course.waits[0].due_lo_ms, course.escalated_by_hand) == (5000, 1)


def test_an_escalation_that_changed_nothing_and_waits_on_is_a_problem():
    course = begun()

    course.take(act(Did.ESCALATE, 5000, status=200, said={"escalates_at": rfc3339(61_000)}))

    assert [what for what, _ in course.problems] == ["escalation refused"]


def test_a_record_that_is_in_the_way_of_an_escalation_before_there_can_be_one_is_in_doubt():
    course, later = begun(), begun()

    course.take(act(Did.ESCALATE, 5000, status=409))
    later.take(act(Did.ESCALATE, 65_000, status=409))

    assert course.doubt
    assert not later.doubt


STEPS = Rules(wait_ms=WAIT_MS, record_after_ms=30_000.0, has_steps=True)


@pytest.mark.parametrize(("at_ms", "first_due_ms"), [(50_000, math.inf), (70_000, math.inf), (92_000, 91_000)])
def test_a_record_may_be_prevented_until_its_own_step(at_ms: float, first_due_ms: float):
    course = begun(STEPS)

    course.take(act(Did.ACKNOWLEDGE, at_ms))

    assert course.first_due_ms(STEPS.record_after_ms) == first_due_ms


def test_a_snooze_between_two_steps_is_in_doubt():
    course = begun(STEPS)

    course.take(act(Did.SNOOZE, 70_000, minutes=1))

    assert course.doubt


def test_news_after_a_snooze_are_in_doubt_where_the_answer_may_tell_of_the_step_to_come():
    """What joined before the second step was known by then: nothing begins, and the third step is still to come."""
    course = begun(STEPS)
    both = Listed("db-1", "warning", 0), Listed("db-2", "warning", 9000)
    course.take(act(Did.SNOOZE, 5000, minutes=1, said={"escalates_at": rfc3339(61_000 + 60_000)}))
    course.take(listed(119_000, *both, said={"escalates_at": rfc3339(121_000)}))

    course.take(listed(130_000, over(), both[1], said={"escalates_at": rfc3339(241_000)}))

    assert (course.problems, len(course.waits)) == ([], 1)
    assert course.doubt


def test_what_is_held_waits_from_the_beginning_of_its_hours_on():
    course = Course(replace(STEPS, opens_ms=31_000.0))

    course.take(listed(1000, said={"escalates_at": rfc3339(31_000)}))

    assert (course.waits[0].due_lo_ms, course.waits[0].due_hi_ms) == (91_000, 91_000)
    assert course.problems == []
    assert not course.may_be_untold


def test_what_is_acknowledged_before_its_hours_is_told_to_nobody():
    course = Course(replace(STEPS, opens_ms=31_000.0))
    course.take(listed(1000, said={"escalates_at": rfc3339(31_000)}))

    course.take(act(Did.ACKNOWLEDGE, 5000))

    assert course.is_untold
