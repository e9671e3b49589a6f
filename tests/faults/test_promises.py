"""What the checker takes for promised, and what not: journals of one alert, as a load may write them."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.faults.checker import Evidence, check
from tests.faults.journal import Answer, Did, Event
from tests.faults.promises import NEVER_MS, Alert
from versus_py.incidents.copies import replace

WAIT_MS = 4000
LASTS_MS = 6000
TOOK_MS = 10
"""How long each request takes."""


def event(did: Did, sent_ms: int, answer: Answer = Answer.TAKEN, **more: Any) -> Event:
    made = Event(did, "Alert", sent_ms, sent_ms + TOOK_MS, answer, incident_id="one", wait_ms=WAIT_MS)
    return replace(made, **more)


def alert(*events: Event) -> Alert:
    """One that fires at 0, and what is done about it."""
    return Alert("Alert", (FIRES, *events), clock_slack_ms=0)


def lasting(sent_ms: int) -> Event:
    """An acknowledgment that ends."""
    return event(Did.ACKNOWLEDGE, sent_ms, lasts_ms=LASTS_MS, lasts_until_ms=sent_ms + LASTS_MS)


FIRES = event(Did.TRIGGER, 0, escalates_at_ms=WAIT_MS)
ACKNOWLEDGED = event(Did.ACKNOWLEDGE, 1000)
JOINED = event(Did.JOIN, 2000, escalates_at_ms=2000 + WAIT_MS)
JOINED_UNHEARD = event(Did.JOIN, 2000, Answer.UNKNOWN)
SENT_AGAIN = event(Did.JOIN, 3000, escalates_at_ms=2000 + WAIT_MS)


def test_what_joins_an_acknowledged_group_has_to_escalate_after_a_wait_of_its_own():
    joined = alert(ACKNOWLEDGED, JOINED)

    assert joined.due_ms == 2000 + WAIT_MS
    assert joined.has_to_escalate
    assert not joined.may_be_acknowledged


@pytest.mark.parametrize(
    ("sent_ms", "due_ms"),
    [pytest.param(5000, NEVER_MS, id="in time"), pytest.param(7000, 2000 + WAIT_MS, id="too late")],
)
def test_what_joins_and_is_acknowledged_has_no_record_when_that_was_in_time(sent_ms, due_ms):
    joined = alert(ACKNOWLEDGED, JOINED, event(Did.ACKNOWLEDGE, sent_ms))

    assert joined.due_ms == due_ms
    assert joined.is_acknowledged
    assert not joined.has_to_escalate


def test_a_wait_may_have_begun_with_the_first_attempt_to_begin_it():
    [promise] = alert(ACKNOWLEDGED, JOINED_UNHEARD, SENT_AGAIN).promises()

    assert promise.earliest_ms == 2000 + WAIT_MS
    assert promise.latest_ms == 3000 + TOOK_MS + WAIT_MS


def test_a_wait_that_may_have_begun_promises_neither_a_record_nor_that_there_is_none():
    joined = alert(ACKNOWLEDGED, JOINED_UNHEARD)

    assert not joined.was_ended_in_time
    assert not joined.has_to_escalate
    assert joined.may_be_acknowledged
    assert not joined.is_acknowledged


def test_an_acknowledgment_that_may_come_late_may_hold_whatever_joins():
    late = event(Did.ACKNOWLEDGE, 500, Answer.UNKNOWN, may_come_late=True)
    joined = alert(late, ACKNOWLEDGED, JOINED)

    [promise] = joined.promises()
    assert not promise.waits_until_ms
    assert joined.may_be_acknowledged
    assert not joined.has_to_escalate


def test_an_acknowledgment_that_ends_puts_the_record_off_for_as_long_as_it_lasts_and_a_wait():
    acknowledged = alert(lasting(1000))

    assert acknowledged.due_ms == 1000 + LASTS_MS + WAIT_MS
    assert acknowledged.has_to_escalate
    assert not acknowledged.may_be_acknowledged


def test_what_joins_after_the_wait_behind_an_acknowledgment_puts_no_record_off():
    joined = event(Did.JOIN, 12_000, escalates_at_ms=12_000 + WAIT_MS)

    assert alert(lasting(1000), joined).due_ms == 1000 + LASTS_MS + WAIT_MS
    assert alert(lasting(1000), JOINED_UNHEARD, joined).due_ms == 2000 + WAIT_MS


def test_an_acknowledgment_whose_end_nobody_was_told_lasts_from_when_it_was_sent():
    assert alert(replace(lasting(1000), lasts_until_ms=None)).due_ms == 1000 + LASTS_MS + WAIT_MS


@pytest.mark.parametrize(
    ("sent_ms", "due_ms"),
    [
        pytest.param(5000, 5000 + LASTS_MS + WAIT_MS, id="renewed"),
        pytest.param(9000, 9000 + LASTS_MS + WAIT_MS, id="in the wait after it"),
        pytest.param(12_000, 1000 + LASTS_MS + WAIT_MS, id="after that"),
    ],
)
def test_a_further_acknowledgment_counts_until_the_wait_after_the_first_is_over(sent_ms, due_ms):
    assert alert(lasting(1000), lasting(sent_ms)).due_ms == due_ms


@pytest.mark.parametrize(("sent_ms", "is_in_time"), [(10_000, True), (12_000, False)])
def test_a_resolve_is_in_time_until_the_wait_after_an_acknowledgment_is_over(sent_ms, is_in_time):
    resolved = alert(lasting(1000), event(Did.RESOLVE, sent_ms))

    assert resolved.was_ended_in_time is is_in_time
    assert not resolved.has_to_escalate


def test_what_ends_for_one_sender_waits_as_it_did():
    another, ended = event(Did.TRIGGER, 1000, escalates_at_ms=WAIT_MS), event(Did.END_FOR_ONE, 2000)
    ends_for_one = alert(another, ended)

    *_, promise = ends_for_one.promises()
    assert promise.event is ended
    assert (promise.waits_until_ms, promise.latest_ms) == (WAIT_MS, TOOK_MS + WAIT_MS)
    assert ends_for_one.has_to_escalate


def test_what_another_sender_lists_after_the_escalation_may_begin_a_wait_when_the_rest_ends():
    another, ended = event(Did.TRIGGER, 5000), event(Did.END_FOR_ONE, 6000)

    *_, promise = alert(another, ended).promises()

    assert promise.event is ended
    assert promise.latest_ms == 6000 + TOOK_MS + WAIT_MS


def test_an_incident_that_a_request_without_an_answer_has_made_is_found_too():
    incident = {"title": "Alert happened", "status": "triggered", "outcome": "escalated", "record": None}
    incidents = [incident | {"id": "one"}, incident | {"id": "two"}]

    report = check(Evidence([FIRES], [], [], incidents, {}))

    assert "more than one incident" in {it.what for it in report.findings}


def record(incident_id: str = "one", *, opened_ms: int, number: str = "INC1") -> dict[str, str]:
    """As ServiceNow's table has it. It tells whole seconds."""
    opened = f"{datetime.fromtimestamp(opened_ms // 1000, UTC):%Y-%m-%d %H:%M:%S}"
    return {"correlation_id": incident_id, "number": number, "state": "1", "sys_created_on": opened}


def findings(*events: Event, records: Sequence[Mapping[str, str]] = (), late_ms: int | None = None) -> set[str]:
    report = check(Evidence(events, records, [], [INCIDENT], {}), clock_slack_ms=0, late_ms=late_ms)
    return {it.what for it in report.findings}


INCIDENT = {"id": "one", "title": "Alert happened", "status": "triggered", "outcome": "escalated", "record": "INC1"}
LATE = "a record long after the wait was over"
EARLY = "a record before the wait was over"
MEANWHILE_EMPTIED = Event(Did.EMPTIED, "", 10_000, 10_000, Answer.TAKEN)
FIRES_AGAIN = event(Did.TRIGGER, 13_000, escalates_at_ms=13_000 + WAIT_MS)


@pytest.mark.parametrize(("opened_ms", "is_late"), [(WAIT_MS + 2000, False), (WAIT_MS + 3000, True)])
def test_a_record_is_late_where_it_comes_later_than_the_bound(opened_ms, is_late):
    found = findings(FIRES, records=[record(opened_ms=opened_ms)], late_ms=2000)

    assert (LATE in found) is is_late


@pytest.mark.parametrize(
    "events",
    [
        pytest.param([replace(FIRES, is_hindered=True)], id="hindered"),
        pytest.param([FIRES, event(Did.SNOOZE, 1000, Answer.UNKNOWN)], id="perhaps snoozed"),
        pytest.param([FIRES, event(Did.ACKNOWLEDGE, WAIT_MS + 1000)], id="acknowledged too late"),
    ],
)
def test_a_record_that_may_come_late_is_not_late(events):
    assert LATE not in findings(*events, records=[record(opened_ms=60_000)], late_ms=2000)


def test_what_was_promised_before_redis_was_emptied_is_no_promise_any_more():
    report = check(Evidence([FIRES, ACKNOWLEDGED, MEANWHILE_EMPTIED], [record(opened_ms=5000)], [], [], {}))

    assert report.findings == []
    assert report.counted["lost"] == 1


def test_what_fires_again_after_redis_was_emptied_is_promised_again_and_may_have_its_old_record():
    found = findings(FIRES, MEANWHILE_EMPTIED, FIRES_AGAIN, records=[record(opened_ms=5000)])

    assert EARLY not in found
    assert "more than one record" not in found
    assert EARLY in findings(FIRES, MEANWHILE_EMPTIED, FIRES_AGAIN, records=[record(opened_ms=13_000)])
    assert "no record" in findings(FIRES, MEANWHILE_EMPTIED, FIRES_AGAIN)


def test_what_fires_again_after_redis_was_emptied_is_neither_another_incident_nor_another_record():
    another = [record(opened_ms=5000), record("two", opened_ms=17_000, number="INC2")]

    found = findings(FIRES, MEANWHILE_EMPTIED, replace(FIRES_AGAIN, incident_id="two"), records=another)

    assert {"more than one incident", "more than one record"} <= found


CHAIN, OPENS_MS = "Chain0-1", 60_000
CHAIN_FIRES = replace(FIRES, name=CHAIN)
HELD_FIRES = replace(FIRES, name="Held1", opens_ms=OPENS_MS, escalates_at_ms=OPENS_MS)


def message(channel: str, at_ms: int, *, status: str = "Escalated", replies: Sequence[str] = ()) -> dict[str, Any]:
    about = {"event_payload": {"incident": "one"}}
    text = f"*{status}* INC1"
    return {"channel": channel, "ts": f"{at_ms / 1000:.6f}", "text": text, "replies": replies, "metadata": about}


def found_by_policy(*events: Event, messages: Sequence[Mapping[str, Any]], status: str = "triggered") -> set[str]:
    """Of an alert that has its record in time, if nobody dealt with it."""
    name = events[0].name
    incident = INCIDENT | {"title": f"{name} happened", "status": status}
    records = [record(opened_ms=OPENS_MS + WAIT_MS + 1000)] if status == "triggered" else []
    report = check(Evidence(events, records, messages, [incident], {}), clock_slack_ms=0)
    return {it.what for it in report.findings}


def test_a_chain_that_is_told_in_time_breaks_nothing():
    told = [message("C0FAULT00", 100), message("C0LEADS00", WAIT_MS + 100, replies=["Nobody has acknowledged"])]

    assert found_by_policy(CHAIN_FIRES, messages=told) == set()


@pytest.mark.parametrize(
    ("leads", "what"),
    [
        pytest.param([], "no message of a later step", id="never"),
        pytest.param([message("C0LEADS00", 1000)], "a later step before its time", id="early"),
        pytest.param([message("C0LEADS00", 5000)] * 2, "more than one message of a later step", id="twice"),
        pytest.param(
            [message("C0LEADS00", 5000, replies=["Nobody has acknowledged"] * 2)],
            "told again more often than there are rounds",
            id="too many rounds",
        ),
    ],
)
def test_a_later_step_that_is_not_told_as_it_has_to_be_is_found(leads, what):
    assert found_by_policy(CHAIN_FIRES, messages=[message("C0FAULT00", 100), *leads]) == {what}


def test_a_later_step_of_what_was_acknowledged_in_time_is_found():
    acknowledged = replace(ACKNOWLEDGED, name=CHAIN)
    told = [message(it, 5000, status="Acknowledged") for it in ("C0FAULT00", "C0LEADS00")]

    found = found_by_policy(CHAIN_FIRES, acknowledged, messages=told, status="acknowledged")

    assert found == {"a later step although it was ended in time"}


def test_a_snooze_of_a_later_round_moves_no_first_record():
    late = event(Did.SNOOZE, WAIT_MS + 2000, escalates_at_ms=60_000)

    snoozed = Alert(CHAIN, (CHAIN_FIRES, late), clock_slack_ms=0)

    assert snoozed.due_ms == WAIT_MS


def test_what_is_held_has_its_record_a_wait_after_its_hours_have_begun():
    assert Alert("Held1", (HELD_FIRES,), clock_slack_ms=0).due_ms == OPENS_MS + WAIT_MS
    assert found_by_policy(HELD_FIRES, messages=[message("C0FAULT00", OPENS_MS + 100)]) == set()


def test_what_is_held_and_told_before_its_hours_is_found():
    assert found_by_policy(HELD_FIRES, messages=[message("C0FAULT00", 100)]) == {"told before the hours begin"}


@pytest.mark.parametrize("messages", [[], [message("C0FAULT00", OPENS_MS + 100, status="Acknowledged")]])
def test_what_was_acknowledged_before_its_hours_is_told_to_nobody(messages):
    acknowledged = replace(ACKNOWLEDGED, name="Held1", opens_ms=OPENS_MS)

    found = found_by_policy(HELD_FIRES, acknowledged, messages=messages, status="acknowledged")

    assert found == ({"told although it was ended before the hours began"} if messages else set())
