"""What happens to an incident, decided without I/O."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.clock import START_MS
from tests.support.factories import POLICY, make_alert, make_incident, make_notification, make_policy
from versus_py.incidents.copies import replace
from versus_py.incidents.model import (
    ACK_MAX_MS,
    Actor,
    Alert,
    AlertStatus,
    Delivery,
    Ending,
    Entry,
    Event,
    Incident,
    Outcome,
    SenderRequest,
    Snooze,
    Status,
    Suppression,
    incident_id,
)
from versus_py.incidents.partitions import partition_of
from versus_py.incidents.policies import made
from versus_py.incidents.timers import IDENTIFY_MS
from versus_py.incidents.transitions import (
    COMMENT_MAX,
    COMMENT_REPEATED_MS,
    MAX_HANDLED,
    SHOW_ESCALATING_AFTER_MS,
    Change,
    acknowledge,
    begin_step,
    comment,
    end_quietly,
    end_snooze,
    escalate,
    fulfil,
    give_up,
    identify,
    observe,
    once,
    resolve,
    retry,
    snooze,
    trigger,
    unacknowledge,
)
from versus_py.incidents.updates import MAX_ALERTS

MINUTE_MS = 60_000
NOW = START_MS
DUE = NOW + 5 * MINUTE_MS
ANA = Actor("ana", ids={"slack": "U0ANA"})
BEN = Actor("ben")


def changed(change: Change | None) -> Change:
    assert change is not None
    return change


def acknowledged(incident: Incident, now_ms: int = NOW + MINUTE_MS) -> Incident:
    return changed(acknowledge(incident, ANA, now_ms)).incident


def resolved(incident: Incident, now_ms: int = NOW + MINUTE_MS) -> Incident:
    return changed(resolve(incident, Actor("ana"), now_ms)).incident


def escalating(incident: Incident, now_ms: int = DUE) -> Incident:
    return changed(begin_step(incident, now_ms)).incident


def test_trigger_arms_channels_at_once_and_oncall_after_the_wait():
    change = trigger(make_notification(), POLICY, dedup_key="group", now_ms=NOW)

    assert change.timers == {"slack": NOW, "servicenow": DUE}
    assert change.incident.escalates_at_ms == DUE
    assert change.outcome is Outcome.CREATED


def test_trigger_without_oncall_arms_no_escalation():
    change = trigger(make_notification(), made(channels=("slack",)), dedup_key="group", now_ms=NOW)

    assert change.timers == {"slack": NOW}
    assert change.incident.escalates_at_ms is None


def test_trigger_writes_the_requests_warnings_into_the_timeline():
    change = trigger(make_notification(warnings=("odd parameter",)), POLICY, dedup_key="group", now_ms=NOW)

    assert [(entry.event, entry.detail) for entry in change.entries] == [
        ("triggered", "1 alert from alertmanager"),
        ("warning", "odd parameter"),
    ]


def test_the_id_is_the_same_on_every_replica_and_differs_by_episode():
    early, late = make_alert(starts_at_ms=1000), make_alert("Other", starts_at_ms=2000)
    here = make_incident(early, late, now_ms=NOW)
    there = make_incident(late, early, now_ms=NOW + 999)

    assert here.id == there.id == incident_id("group", 1000)
    assert make_incident(late).id != here.id


def test_an_id_ends_in_its_partition_and_is_safe_in_a_query():
    dedup_key = '{}/{severity="critical"}:{alertname="^NQ"}'

    made = incident_id(dedup_key, 1)

    assert made.endswith(f"-{partition_of(dedup_key)}")
    assert made.replace("-", "").isalnum()


def test_resolved_alerts_do_not_count_for_the_start_of_an_episode():
    over = make_alert("Over", firing=False, starts_at_ms=1)

    assert make_incident(over, make_alert(starts_at_ms=500)).id == incident_id("group", 500)


def test_a_repeat_moves_no_wait_and_counts():
    incident = make_incident()

    change = changed(observe(incident, make_notification(), NOW + 2 * MINUTE_MS))

    assert change.outcome is Outcome.UPDATED
    assert change.incident.escalates_at_ms == DUE
    assert change.incident.occurrences == 2
    assert change.timers == {"slack": NOW + 2 * MINUTE_MS}
    assert change.entries == ()


def test_a_repeat_does_not_unacknowledge():
    change = changed(observe(acknowledged(make_incident()), make_notification(), NOW + 2 * MINUTE_MS))

    assert change.incident.status is Status.ACKNOWLEDGED
    assert "servicenow" not in change.timers


def test_alerts_join_and_leave_an_open_incident():
    incident = make_incident(make_alert("A"), make_alert("B"))
    payload = make_notification(make_alert("A"), make_alert("B", firing=False), make_alert("C"), title="New title")

    change = changed(observe(incident, payload, NOW))

    assert [alert.fingerprint for alert in change.incident.firing] == ["fp-A", "fp-C"]
    assert change.incident.title == "New title"
    assert [entry.detail for entry in change.entries] == ["1 alert joined: C", "1 alert resolved: B"]
    assert change.incident.news == change.entries


def test_an_acknowledgment_stands_when_alerts_join_a_group_that_goes_on():
    incident = acknowledged(make_incident(make_alert("A")))
    payload = make_notification(make_alert("A"), make_alert("B", starts_at_ms=NOW + 9 * MINUTE_MS))

    assert changed(observe(incident, payload, NOW + 9 * MINUTE_MS)).incident.status is Status.ACKNOWLEDGED


def test_what_fires_when_all_that_was_acknowledged_is_over_waits_anew():
    incident = acknowledged(make_incident(make_alert("A")))
    payload = make_notification(make_alert("A", firing=False), make_alert("B", starts_at_ms=NOW + 9 * MINUTE_MS))

    change = changed(observe(incident, payload, NOW + 9 * MINUTE_MS))

    assert change.incident.status is Status.TRIGGERED
    assert change.incident.escalates_at_ms == NOW + 14 * MINUTE_MS
    assert change.incident.news[-1].event is Event.RETRIGGERED


def test_a_new_episode_of_a_group_whose_resolves_are_not_sent_is_not_silenced_by_an_old_acknowledgment():
    incident = acknowledged(make_incident(make_alert("A")))
    later = NOW + 24 * 60 * MINUTE_MS
    payload = make_notification(make_alert("A", starts_at_ms=later - 1))

    change = changed(observe(incident, payload, later))

    assert change.outcome is Outcome.REOPENED
    assert change.timers == {"slack": later, "servicenow": later + 5 * MINUTE_MS}


def test_a_new_episode_after_an_escalation_whose_end_nobody_told_waits_and_escalates_again():
    incident = escalating(make_incident(make_alert("A")))
    later = NOW + 48 * 60 * MINUTE_MS

    change = changed(observe(incident, make_notification(make_alert("A", starts_at_ms=later - 1)), later))

    assert change.outcome is Outcome.REOPENED
    assert change.timers["servicenow"] == later + 5 * MINUTE_MS
    assert not change.incident.is_escalating


def test_those_who_joined_behind_an_acknowledgment_wait_when_they_outlast_those_who_were_there():
    late = make_alert("B", starts_at_ms=NOW + 2 * MINUTE_MS)
    incident = acknowledged(make_incident(make_alert("A")))
    for payload in (
        make_notification(make_alert("A"), late),
        make_notification(make_alert("A", firing=False), late),
        make_notification(late),
    ):
        incident = changed(observe(incident, payload, NOW + 3 * MINUTE_MS)).incident

    assert incident.status is Status.TRIGGERED


def test_a_resolve_whose_start_moved_back_resolves():
    incident = make_incident(make_alert(starts_at_ms=20_000))
    over = replace(make_alert(firing=False, starts_at_ms=5_000), ends_at_ms=90_000)

    assert changed(observe(incident, make_notification(over), NOW)).outcome is Outcome.RESOLVED


def test_a_source_that_gives_no_times_never_undoes_an_acknowledgment():
    incident = acknowledged(make_incident(make_alert(starts_at_ms=None)))
    payload = make_notification(make_alert(starts_at_ms=None))

    assert changed(observe(incident, payload, NOW + 99 * MINUTE_MS)).outcome is Outcome.UPDATED


def test_resolving_before_the_wait_is_over_disarms_the_escalation():
    change = changed(observe(make_incident(), make_notification(make_alert(firing=False)), NOW + MINUTE_MS))

    assert change.outcome is Outcome.RESOLVED
    assert change.timers == {"slack": NOW + MINUTE_MS, "servicenow": None}
    assert change.incident.resolved_by == Actor("alertmanager")


def test_resolving_after_an_escalation_tells_the_provider():
    change = changed(resolve(escalating(make_incident()), Actor("ana"), DUE + 1))

    assert change.timers["servicenow"] == DUE + 1


def test_an_incident_resolves_only_when_all_its_alerts_have():
    incident = make_incident(make_alert("A"), make_alert("B"))
    half = make_notification(make_alert("A", firing=False), is_complete=False)
    other_half = make_notification(make_alert("B", firing=False), is_complete=False)

    after_half = changed(observe(incident, half, NOW))
    after_all = changed(observe(after_half.incident, other_half, NOW))

    assert after_half.incident.status is Status.TRIGGERED
    assert after_all.incident.status is Status.RESOLVED


def test_a_resolve_says_nothing_about_what_it_leaves_out():
    incident = make_incident(make_alert("A"), make_alert("B"))

    change = changed(observe(incident, make_notification(make_alert("A", firing=False)), NOW))

    assert change.outcome is Outcome.UPDATED
    assert [alert.unlisted_since_ms for alert in change.incident.firing] == [NOW]
    assert "does not list B any more" in change.incident.warnings[-1]


def test_a_truncated_resolve_resolves_nothing():
    cut = make_notification(make_alert(firing=False), is_complete=False, truncated_alerts=3)

    change = changed(observe(make_incident(), cut, NOW))

    assert change.incident.status is Status.TRIGGERED
    assert change.incident.truncated_alerts == 3


def test_a_stale_resolve_changes_no_alert_that_started_later():
    incident = make_incident(make_alert(starts_at_ms=2000))

    stale = make_notification(replace(make_alert(firing=False, starts_at_ms=1000), ends_at_ms=1500))
    change = changed(observe(incident, stale, NOW))
    again = changed(observe(change.incident, stale, NOW))
    later = changed(observe(again.incident, make_notification(make_alert(starts_at_ms=2000)), NOW))

    assert change.incident.status is Status.TRIGGERED
    assert "was not believed" in change.entries[-1].detail
    assert (len(again.incident.warnings), again.entries) == (1, ())
    assert later.incident.warnings == ()


def test_a_repeat_tries_a_failed_escalation_once_more():
    failed = replace(escalating(make_incident()), deliveries={"servicenow": Delivery(failed_at_ms=DUE)})

    assert changed(observe(failed, make_notification(), DUE + 1)).timers["servicenow"] == DUE + 1
    assert "servicenow" not in changed(observe(acknowledged(failed), make_notification(), DUE + 1)).timers


def test_a_resolve_of_something_resolved_is_ignored_but_for_what_is_over():
    over = make_notification(make_alert(firing=False))

    change = changed(observe(resolved(make_incident()), over, NOW))

    assert (change.outcome, change.timers, change.entries) == (Outcome.IGNORED, {}, ())
    assert not change.incident.firing
    assert observe(change.incident, over, NOW) is None


def test_what_ends_quietly_is_over_in_all_its_alerts():
    change = changed(end_quietly(due := make_incident(), due, Actor("am"), DUE))

    assert change.outcome is Outcome.RESOLVED
    assert not change.incident.firing


def test_an_acknowledgment_counts_from_when_what_joins_brings_an_end_to_it():
    acked = acknowledged(make_incident(policy=make_policy(oncall=None)))
    policy = make_policy(ack_timeout_ms=60 * MINUTE_MS)
    later = NOW + 600 * MINUTE_MS

    change = changed(observe(acked, make_notification(make_alert(), make_alert("Other")), later, policy))

    assert change.incident.ack_ends_at_ms == later + 60 * MINUTE_MS
    assert change.timers["servicenow"] == later + 60 * MINUTE_MS


def test_older_news_than_what_is_known_does_not_reopen():
    over = changed(observe(make_incident(), make_notification(make_alert(firing=False, starts_at_ms=NOW + 5)), NOW))

    assert observe(over.incident, make_notification(make_alert(starts_at_ms=NOW)), NOW) is None


def test_a_firing_payload_reopens_a_resolved_incident_and_the_wait_starts_again():
    later = NOW + 3 * MINUTE_MS

    change = changed(observe(resolved(acknowledged(make_incident())), make_notification(), later))

    assert change.outcome is Outcome.REOPENED
    assert change.incident.status is Status.TRIGGERED
    assert change.incident.acknowledged_at_ms is None
    assert change.incident.escalates_at_ms == later + 5 * MINUTE_MS
    assert change.timers == {"slack": later, "servicenow": later + 5 * MINUTE_MS}


def test_a_record_of_an_earlier_wait_is_resolved_again_although_the_second_wait_was_short():
    again = changed(observe(resolved(escalating(make_incident())), make_notification(), DUE + MINUTE_MS)).incident

    change = changed(resolve(again, Actor("ana"), DUE + 2 * MINUTE_MS))

    assert not again.is_escalating
    assert change.timers["servicenow"] == DUE + 2 * MINUTE_MS


def test_acknowledging_in_time_disarms_the_escalation():
    change = changed(acknowledge(make_incident(), Actor("ana"), DUE - 1))

    assert change.timers == {"slack": DUE - 1, "servicenow": None}


def test_acknowledging_after_the_escalation_began_tells_the_provider():
    change = changed(acknowledge(escalating(make_incident()), Actor("ana"), DUE + 1))

    assert change.timers == {"slack": DUE + 1, "servicenow": DUE + 1}


@pytest.mark.parametrize("first", [acknowledged, resolved])
def test_the_first_acknowledgment_stands(first):
    assert acknowledge(first(make_incident()), Actor("ben"), NOW + 2) is None


def test_resolving_twice_changes_nothing():
    assert resolve(resolved(make_incident()), Actor("ben"), NOW) is None


@pytest.mark.parametrize(
    ("incident", "now_ms"),
    [
        pytest.param(make_incident(), DUE - 1, id="not due"),
        pytest.param(acknowledged(make_incident()), DUE, id="acknowledged"),
        pytest.param(resolved(make_incident()), DUE, id="resolved"),
        pytest.param(escalating(make_incident()), DUE, id="begun"),
        pytest.param(make_incident(policy=made(channels=("slack",))), DUE, id="no on-call"),
    ],
)
def test_an_escalation_begins_once_and_only_when_nobody_acknowledged(incident, now_ms):
    assert begin_step(incident, now_ms) is None


def test_a_wait_of_zero_escalates_at_once():
    incident = make_incident(policy=make_policy(wait_ms=0))

    assert escalating(incident, NOW).is_escalating


def test_channels_show_an_escalation_also_when_its_record_stays_the_same():
    change = changed(begin_step(make_incident(), DUE))

    assert change.timers == {"slack": DUE + SHOW_ESCALATING_AFTER_MS, "servicenow": DUE}


def test_a_channel_that_cannot_be_told_ends_the_wait():
    change = changed(give_up(make_incident(), "slack", "Slack: is_archived", NOW + 1))

    assert change.incident.escalates_at_ms == NOW + 1
    assert change.timers == {"servicenow": NOW + 1}


def test_a_channel_that_shows_it_does_not_end_the_wait_when_it_is_given_up():
    shown = replace(make_incident(), deliveries={"slack": Delivery(label="message 1")})

    change = changed(give_up(shown, "slack", "Slack: is_archived", NOW + 1))

    assert change.incident.escalates_at_ms == DUE
    assert change.timers == {}


@pytest.mark.parametrize(
    "incident",
    [acknowledged(make_incident()), resolved(make_incident()), make_incident(policy=made(channels=("slack",)))],
)
def test_there_is_no_wait_to_end(incident):
    change = changed(give_up(incident, "slack", "Slack: is_archived", NOW))

    assert change.incident.escalates_at_ms == incident.escalates_at_ms
    assert change.timers == {}


def test_a_channel_that_fails_again_in_the_same_way_is_no_news():
    incident = acknowledged(make_incident())
    once_told = changed(give_up(incident, "slack", "Slack: is_archived", NOW)).incident

    assert give_up(once_told, "slack", "Slack: is_archived", NOW + 1) is None
    assert give_up(once_told, "slack", "Slack: invalid_auth", NOW + 1) is not None


def test_a_record_that_there_is_hears_that_a_channel_was_given_up():
    change = changed(give_up(escalating(make_incident()), "slack", "Slack: is_archived", DUE + 1))

    assert change.timers == {"servicenow": DUE + 1}
    assert change.incident.news[-1].detail == "Slack: is_archived"


def test_a_retry_forgets_the_failure_and_nothing_else():
    failed = Delivery(attempts=7, failing_since_ms=DUE, failed_at_ms=DUE + 5, error="down", label="INC1")
    incident = replace(escalating(make_incident()), deliveries={"servicenow": failed, "slack": Delivery(label="m")})

    change = changed(retry(incident, BEN, DUE + 9, name_of=str.upper))

    assert incident.ending is Ending.FAILED
    assert change.incident.ending is None
    assert change.incident.delivery("servicenow") == Delivery(attempts=7, label="INC1")
    assert change.timers == {"servicenow": DUE + 9, "slack": DUE + 9}
    assert change.entries == (Entry(DUE + 9, Event.RETRY, "SERVICENOW", BEN),)
    assert retry(change.incident, BEN, DUE + 10) is None


def test_a_failure_after_the_retry_counts_again():
    first, later = Delivery(failed_at_ms=DUE + 5), Delivery(failed_at_ms=DUE + 20)
    incident = replace(escalating(make_incident()), deliveries={"servicenow": first})

    retried = changed(retry(incident, BEN, DUE + 9)).incident

    assert retried.with_deliveries({"servicenow": first}).given_up == ()
    assert retried.with_deliveries({"servicenow": later}).given_up == ("servicenow",)


def test_a_retry_does_not_shorten_a_wait_that_began_anew():
    failed = {"servicenow": Delivery(failed_at_ms=NOW)}
    waiting = replace(make_incident(), deliveries=failed)

    assert changed(retry(waiting, BEN, NOW + 1)).timers["servicenow"] == DUE


RECORD = Delivery(reference={"sys_id": "1"}, label="INC1", synced_at_ms=DUE)


@pytest.mark.parametrize(
    ("incident", "record", "ending"),
    [
        pytest.param(make_incident(), Delivery(), None, id="waiting"),
        pytest.param(escalating(make_incident()), Delivery(), None, id="begun, no record yet"),
        pytest.param(escalating(make_incident()), RECORD, Ending.ESCALATED, id="escalated"),
        pytest.param(
            acknowledged(escalating(make_incident())), RECORD, Ending.ESCALATED, id="escalated, then acknowledged"
        ),
        pytest.param(
            acknowledged(escalating(make_incident())), Delivery(), Ending.ACKNOWLEDGED, id="acknowledged meanwhile"
        ),
        pytest.param(acknowledged(make_incident()), Delivery(), Ending.ACKNOWLEDGED, id="acknowledged"),
        pytest.param(resolved(make_incident()), Delivery(), Ending.RESOLVED, id="resolved"),
        pytest.param(resolved(acknowledged(make_incident())), Delivery(), Ending.ACKNOWLEDGED, id="both"),
        pytest.param(escalating(make_incident()), Delivery(failed_at_ms=DUE), Ending.FAILED, id="failed"),
        pytest.param(escalating(make_incident(), DUE + 1), Delivery(failed_at_ms=DUE), None, id="tried once more"),
        pytest.param(make_incident(), RECORD, None, id="reopened, its old record does not count"),
        pytest.param(escalating(make_incident(), DUE + 1), RECORD, None, id="escalating again"),
        pytest.param(
            escalating(make_incident(), DUE + 1),
            replace(RECORD, failed_at_ms=DUE + 1),
            Ending.FAILED,
            id="failed again",
        ),
    ],
)
def test_every_incident_ends_in_one_outcome(incident, record, ending):
    assert replace(incident, deliveries={"servicenow": record}).ending is ending


SILENCED = Suppression(DUE, "silenced by ana", DUE + MINUTE_MS)


@pytest.mark.parametrize(
    ("incident", "record", "owed_at_ms"),
    [
        pytest.param(make_incident(), Delivery(), DUE, id="waiting"),
        pytest.param(make_incident(policy=make_policy(oncall=None)), Delivery(), None, id="never escalates"),
        pytest.param(escalating(make_incident(), DUE + 5), Delivery(), DUE, id="begun, no record yet"),
        pytest.param(escalating(make_incident()), RECORD, None, id="escalated"),
        pytest.param(escalating(make_incident()), Delivery(failed_at_ms=DUE), None, id="given up"),
        pytest.param(acknowledged(make_incident()), Delivery(), None, id="acknowledged"),
        pytest.param(resolved(make_incident()), Delivery(), None, id="resolved"),
        pytest.param(make_incident(), RECORD, DUE, id="reopened, its old record does not count"),
        pytest.param(replace(make_incident(), suppression=SILENCED), Delivery(), DUE + MINUTE_MS, id="silenced"),
        pytest.param(
            replace(make_incident(), suppression=replace(SILENCED, until_ms=None)), Delivery(), None, id="inhibited"
        ),
    ],
)
def test_an_escalation_is_owed_until_there_is_an_outcome(incident, record, owed_at_ms):
    assert replace(incident, deliveries={"servicenow": record}).owed_at_ms == owed_at_ms


@pytest.mark.parametrize(
    ("until_ms", "due_ms"),
    [
        pytest.param(DUE + MINUTE_MS, DUE + MINUTE_MS, id="it ended by itself"),
        pytest.param(DUE + 3 * MINUTE_MS, DUE + 2 * MINUTE_MS, id="somebody took it back"),
        pytest.param(None, DUE + 2 * MINUTE_MS, id="nobody knew when it would end"),
    ],
)
def test_what_was_silenced_is_due_when_the_silence_ends(until_ms, due_ms):
    silenced = replace(make_incident(), suppression=replace(SILENCED, until_ms=until_ms))

    assert changed(begin_step(silenced, DUE + 2 * MINUTE_MS)).incident.last_due_ms == due_ms


def test_alerts_are_bounded_and_those_that_fire_are_kept():
    over = [make_alert(f"over-{number}", firing=False) for number in range(MAX_ALERTS)]
    incident = make_incident(*over, make_alert("fires"))

    assert len(incident.alerts) == MAX_ALERTS
    assert [alert.fingerprint for alert in incident.firing] == ["fp-fires"]


alerts = st.builds(
    Alert,
    fingerprint=st.sampled_from("abc"),
    status=st.sampled_from(AlertStatus),
    starts_at_ms=st.one_of(st.none(), st.integers(1, 5)),
)
listed_alerts = st.lists(alerts, min_size=1, max_size=3, unique_by=lambda alert: alert.fingerprint)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("notify"), listed_alerts, st.booleans()),
        st.tuples(st.just("acknowledge")),
        st.tuples(st.just("resolve")),
        st.tuples(st.just("begin")),
        st.tuples(st.just("pass"), st.integers(0, 10 * MINUTE_MS)),
    ),
    max_size=25,
)


@given(steps)
@example(  # what is left out may be over, and then something else fires that people know
    [
        ("notify", [make_alert("b", firing=False, starts_at_ms=None)], True),
        ("acknowledge",),
        ("notify", [make_alert("b", starts_at_ms=None)], True),
    ]
)
def test_whatever_happens_the_timers_fit_the_status(happenings):
    """A model of the timers alone: one that is armed for the provider means that it may be called, and only then."""
    now_ms = NOW
    change = trigger(make_notification(), POLICY, dedup_key="group", now_ms=now_ms)
    incident, armed = change.incident, dict(change.timers)
    for kind, *arguments in happenings:
        match kind:
            case "pass":
                now_ms += arguments[0]
                continue
            case "notify":
                step = observe(incident, make_notification(*arguments[0], is_complete=arguments[1]), now_ms)
            case "acknowledge":
                step = acknowledge(incident, Actor("ana"), now_ms)
            case "resolve":
                step = resolve(incident, Actor("ana"), now_ms)
            case _:
                step = begin_step(incident, now_ms)
        if step is None:
            continue
        incident = step.incident
        armed |= step.timers
        if incident.status is Status.TRIGGERED:
            assert armed["servicenow"] is not None
            assert incident.last_due_ms == incident.waiting_since_ms + 5 * MINUTE_MS
        elif "servicenow" not in incident.told:
            assert armed["servicenow"] is None or incident.may_be_over  # it is not called, but Alertmanager is asked
        assert (incident.acknowledged_at_ms is not None) or incident.status is not Status.ACKNOWLEDGED
        assert (incident.resolved_at_ms is not None) == (incident.status is Status.RESOLVED)
        assert not incident.is_escalating or "servicenow" in incident.told


def test_giving_it_back_starts_the_wait_again():
    given_back_ms = NOW + 2 * MINUTE_MS
    change = changed(unacknowledge(acknowledged(make_incident()), BEN, given_back_ms))

    incident = change.incident
    assert incident.status is Status.TRIGGERED
    assert incident.acknowledged_by is None
    assert incident.is_waiting
    assert incident.escalates_at_ms == given_back_ms + 5 * MINUTE_MS
    assert change.timers == {"slack": given_back_ms, "servicenow": incident.escalates_at_ms}
    assert [(entry.event, entry.by) for entry in change.entries] == [("unacknowledged", BEN)]


def test_giving_it_back_after_the_escalation_leads_to_another_one():
    incident = acknowledged(escalating(make_incident()), DUE + 1000)

    given_back = changed(unacknowledge(incident, BEN, DUE + 2000)).incident

    assert not given_back.is_escalating
    assert "servicenow" in given_back.told
    assert begin_step(given_back, DUE + 2000 + 5 * MINUTE_MS) is not None


@pytest.mark.parametrize("status", ["triggered", "resolved"])
def test_only_what_is_acknowledged_can_be_given_back(status):
    incident = make_incident() if status == "triggered" else resolved(make_incident())

    assert unacknowledge(incident, BEN, NOW + 2000) is None


def test_a_person_escalates_at_once():
    change = changed(escalate(make_incident(), ANA, NOW + 1000))

    assert change.incident.is_escalating
    assert "servicenow" in change.incident.told
    assert change.timers == {"slack": NOW + 1000, "servicenow": NOW + 1000}
    assert begin_step(change.incident, NOW + 1000) is None  # it has begun


def test_a_person_may_escalate_what_somebody_acknowledged():
    incident = changed(escalate(acknowledged(make_incident()), BEN, NOW + 2000)).incident

    assert incident.status is Status.TRIGGERED
    assert incident.is_escalating
    assert incident.acknowledged_by is None


def test_what_escalates_already_is_not_escalated_twice():
    assert escalate(escalating(make_incident()), ANA, DUE + 1) is None
    assert escalate(changed(escalate(make_incident(), ANA, NOW + 1)).incident, BEN, NOW + 2) is None


def test_an_escalation_that_was_given_up_can_be_tried_again():
    failed = replace(escalating(make_incident()), deliveries={"servicenow": Delivery(failed_at_ms=DUE + 1, error="no")})

    change = changed(escalate(failed, ANA, DUE + 2))

    assert change.timers["servicenow"] == DUE + 2


@pytest.mark.parametrize("how", ["resolved", "never escalates"])
def test_what_is_over_or_has_nowhere_to_go_cannot_be_escalated(how):
    nowhere = make_policy(oncall=None)
    incident = resolved(make_incident()) if how == "resolved" else make_incident(policy=nowhere)

    assert escalate(incident, ANA, NOW + 2000) is None


def test_after_a_snooze_the_rest_of_the_wait_goes_on():
    until_ms = NOW + 60 * MINUTE_MS
    change = changed(snooze(make_incident(), until_ms, ANA, NOW + 2 * MINUTE_MS))

    assert change.incident.escalates_at_ms == until_ms + 3 * MINUTE_MS
    assert change.timers == {"slack": NOW + 2 * MINUTE_MS, "servicenow": until_ms + 3 * MINUTE_MS}
    assert change.entries[0].by == ANA
    assert begin_step(change.incident, until_ms) is None


def test_another_snooze_takes_the_place_of_the_first():
    first_ms, second_ms = NOW + 60 * MINUTE_MS, NOW + 15 * MINUTE_MS
    snoozed = changed(snooze(make_incident(), first_ms, ANA, NOW + MINUTE_MS)).incident

    again = changed(snooze(snoozed, second_ms, BEN, NOW + 2 * MINUTE_MS)).incident

    assert again.snooze == Snooze(second_ms, BEN)
    assert again.escalates_at_ms == second_ms + 4 * MINUTE_MS


def test_a_snooze_of_what_is_overdue_leaves_no_wait():
    until_ms = DUE + 60 * MINUTE_MS

    assert changed(snooze(make_incident(), until_ms, ANA, DUE + MINUTE_MS)).incident.escalates_at_ms == until_ms


@pytest.mark.parametrize(
    "incident",
    [
        pytest.param(lambda: acknowledged(make_incident()), id="acknowledged"),
        pytest.param(lambda: resolved(make_incident()), id="resolved"),
        pytest.param(lambda: escalating(make_incident()), id="escalating"),
        pytest.param(lambda: make_incident(policy=make_policy(oncall=None)), id="never escalates"),
    ],
)
def test_only_what_waits_can_be_snoozed(incident):
    assert snooze(incident(), DUE + 60 * MINUTE_MS, ANA, DUE + 1) is None


def test_a_snooze_into_the_past_is_none():
    assert snooze(make_incident(), NOW, ANA, NOW) is None


def test_a_snooze_of_what_is_acknowledged_lasts_no_longer_than_an_acknowledgment_may():
    policy = make_policy(ack_timeout_ms=ACK_MAX_MS // 2)
    acknowledged = changed(acknowledge(make_incident(policy=policy), ANA, NOW)).incident
    later = changed(snooze(acknowledged, NOW + ACK_MAX_MS // 2, BEN, NOW + MINUTE_MS)).incident
    last_ms = NOW + 2 * MINUTE_MS

    change = changed(snooze(later, NOW + 2 * ACK_MAX_MS, ANA, last_ms))

    assert change.incident.ack_ends_at_ms == NOW + ACK_MAX_MS
    assert [it.detail for it in change.entries] == ["until 2026-05-11 10:20 UTC"]
    assert snooze(change.incident, NOW + 2 * ACK_MAX_MS, ANA, last_ms) is None


def test_a_snooze_ends_when_its_time_is_over_and_that_is_news():
    until_ms = NOW + 15 * MINUTE_MS
    snoozed = changed(snooze(make_incident(), until_ms, ANA, NOW)).incident

    assert end_snooze(snoozed, until_ms - 1) is None
    change = changed(end_snooze(snoozed, until_ms))

    assert change.incident.snooze is None
    assert change.incident.escalates_at_ms == snoozed.escalates_at_ms
    assert change.timers == {"slack": until_ms}
    assert change.incident.news[-1].event == "snooze over"
    assert end_snooze(change.incident, until_ms + 1) is None


@pytest.mark.parametrize("what", ["acknowledge", "resolve", "escalate"])
def test_whatever_a_person_does_ends_the_snooze(what):
    snoozed = changed(snooze(make_incident(), NOW + 60 * MINUTE_MS, ANA, NOW)).incident
    act = {"acknowledge": acknowledge, "resolve": resolve, "escalate": escalate}[what]

    assert changed(act(snoozed, BEN, NOW + 1)).incident.snooze is None


def test_a_snoozed_incident_that_resolves_and_fires_again_is_not_snoozed():
    snoozed = changed(snooze(make_incident(), NOW + 60 * MINUTE_MS, ANA, NOW)).incident
    over = changed(observe(snoozed, make_notification(make_alert(firing=False)), NOW + 1)).incident

    again = changed(observe(over, make_notification(make_alert(starts_at_ms=NOW + 2)), NOW + 3)).incident

    assert again.snooze is None
    assert again.escalates_at_ms == NOW + 3 + 5 * MINUTE_MS


def test_who_is_known_by_an_id_gets_a_name_wherever_the_incident_tells_of_them():
    known = Actor("Ana Diaz", "ana@example.com", {"slack": "U0ANA"})
    incident = acknowledged(escalating(make_incident()), DUE + 1)

    change = changed(identify(incident, known, DUE + 2))

    assert change.incident.acknowledged_by == known
    assert change.incident.news[-1].by == known
    assert change.incident.news_count == incident.news_count
    assert change.timers == {"slack": DUE + 2, "servicenow": DUE + 2}
    assert "U0ANA is Ana Diaz (ana@example.com)" in change.entries[0].detail
    assert identify(change.incident, known, DUE + 3) is None


@pytest.mark.parametrize(
    "actor", [Actor("Ben", "ben@example.com", {"slack": "U0BEN"}), Actor("somebody", "x@example.com")]
)
def test_a_name_is_given_to_nobody_else(actor):
    assert identify(acknowledged(make_incident()), actor, NOW + 2000) is None


def test_the_provider_hears_a_moment_later_of_who_is_known_by_an_id_only():
    by_id = changed(acknowledge(escalating(make_incident()), ANA, DUE + 1))
    by_name = changed(acknowledge(escalating(make_incident()), BEN, DUE + 1))

    assert by_id.timers["servicenow"] == DUE + 1 + IDENTIFY_MS
    assert by_name.timers["servicenow"] == DUE + 1


def test_an_incident_remembers_the_latest_requests_that_it_has_applied():
    incident = make_incident()
    for number in range(MAX_HANDLED + 5):
        step = acknowledge if incident.status is Status.TRIGGERED else unacknowledge
        incident = changed(once(step(incident, BEN, NOW + number), f"r{number}")).incident

    assert incident.handled == tuple(f"r{number}" for number in range(5, MAX_HANDLED + 5))


def test_what_changes_nothing_is_not_remembered():
    assert once(None, "r1") is None
    assert changed(once(acknowledge(make_incident(), BEN, NOW), "")).incident.handled == ()


WITH_FALLBACK = make_policy(fallback="servicenow:infra", fallback_after_ms=15 * MINUTE_MS)
FALLING = escalating(make_incident(policy=WITH_FALLBACK))
HAS_IT = Delivery(reference={"sys_id": "1"}, label="INC1", synced_at_ms=DUE)
FALLEN_BACK = replace(FALLING, deliveries={"servicenow:infra": HAS_IT})


@pytest.mark.parametrize(
    ("first", "due_ms"),
    [
        pytest.param(Delivery(), DUE + 20 * MINUTE_MS, id="not even tried"),
        pytest.param(Delivery(failing_since_ms=DUE + 1000), DUE + 1000 + 15 * MINUTE_MS, id="fails"),
        pytest.param(Delivery(failing_since_ms=NOW), DUE + 15 * MINUTE_MS, id="failed before the escalation too"),
        pytest.param(Delivery(failed_at_ms=DUE + 1), DUE, id="given up"),
        pytest.param(Delivery(failed_at_ms=NOW), DUE + 20 * MINUTE_MS, id="given up in an earlier escalation"),
        pytest.param(HAS_IT, None, id="has it"),
        pytest.param(
            replace(HAS_IT, synced_at_ms=NOW, failing_since_ms=DUE + 1000),
            DUE + 1000 + 15 * MINUTE_MS,
            id="has it from an earlier wait",
        ),
        pytest.param(replace(HAS_IT, failing_since_ms=DUE + 1000), None, id="has it, not up to date"),
    ],
)
def test_when_the_fallback_is_due_goes_by_the_first_provider(first, due_ms):
    assert replace(FALLING, deliveries={"servicenow": first}).fallback_due_ms == due_ms


def test_without_an_escalation_there_is_nothing_to_fall_back_from():
    waiting = make_incident(policy=WITH_FALLBACK)
    failing = {"servicenow": Delivery(failing_since_ms=NOW, failed_at_ms=NOW)}

    assert replace(waiting, deliveries=failing).fallback_due_ms is None
    assert replace(acknowledged(FALLING), deliveries=failing).fallback_due_ms is None
    assert escalating(make_incident()).fallback_due_ms is None


def test_what_the_fallback_has_is_kept_up_to_date():
    assert FALLEN_BACK.ending is Ending.ESCALATED
    assert FALLEN_BACK.escalated_to == "servicenow:infra"
    for first, has_it in ((replace(HAS_IT, synced_at_ms=NOW), "servicenow:infra"), (HAS_IT, "servicenow")):
        both = {"servicenow": first, "servicenow:infra": HAS_IT}  # at first, that of an earlier wait
        assert FALLEN_BACK.with_deliveries(both).escalated_to == has_it
    change = changed(acknowledge(FALLEN_BACK, BEN, DUE + 9))

    assert change.timers == {"slack": DUE + 9, "servicenow": DUE + 9, "servicenow:infra": DUE + 9}
    assert change.incident.fallback_due_ms == DUE + 9


def test_it_has_failed_when_both_providers_were_given_up():
    given_up = Delivery(failed_at_ms=DUE + 1)

    assert replace(FALLING, deliveries={"servicenow": given_up}).ending is None
    assert replace(FALLING, deliveries={"servicenow": given_up, "servicenow:infra": given_up}).ending is Ending.FAILED


@pytest.mark.parametrize("begin", [begin_step, lambda it, now_ms: escalate(it, BEN, now_ms)])
def test_an_escalation_arms_the_look_at_whether_it_came_through(begin):
    change = changed(begin(make_incident(policy=WITH_FALLBACK), DUE))

    assert change.timers["servicenow:infra"] == DUE + 20 * MINUTE_MS


OPS = Actor("ops")
COMMENT = SenderRequest(comment="I look at it")


def test_a_senders_comment_is_news_for_channels_and_leaves_the_wait():
    change = changed(fulfil(make_incident(), COMMENT, OPS, NOW))

    assert change.entries == (Entry(NOW, Event.COMMENTED, "I look at it", OPS),)
    assert change.incident.news == change.entries
    assert set(change.timers) == set(POLICY.channels)
    assert change.incident.escalates_at_ms == make_incident().escalates_at_ms


def test_the_provider_hears_of_a_comment_once_it_has_been_called():
    change = changed(fulfil(changed(begin_step(make_incident(), DUE)).incident, COMMENT, OPS, DUE))

    assert [change.timers[it] for it in change.incident.providers] == [DUE]


@pytest.mark.parametrize(("later_ms", "is_news"), [(1, False), (COMMENT_REPEATED_MS, True)])
def test_the_same_comment_soon_after_is_a_request_that_was_sent_again(later_ms, is_news):
    commented = changed(fulfil(make_incident(), COMMENT, OPS, NOW)).incident

    assert (fulfil(commented, COMMENT, OPS, NOW + later_ms) is not None) is is_news


def test_a_comment_by_an_id_only_waits_for_the_name_everywhere_and_one_by_a_name_does_not():
    escalated = escalating(make_incident())
    by_id, by_name = Actor("U0ANA", ids={"slack": "U0ANA"}), Actor("ana")

    later, at_once = (changed(comment(escalated, "On it", it, NOW)).timers for it in (by_id, by_name))

    assert later == dict.fromkeys(("slack", "servicenow"), NOW + IDENTIFY_MS)
    assert at_once == dict.fromkeys(("slack", "servicenow"), NOW)


def test_who_is_identified_has_the_comment_told_at_once():
    said = changed(comment(make_incident(), "On it", Actor("U0ANA", ids={"slack": "U0ANA"}), NOW)).incident

    change = changed(identify(said, Actor("Ana Diaz", "ana@example.com", {"slack": "U0ANA"}), NOW + 200))

    assert change.timers == {"slack": NOW + 200}
    assert [str(it.by) for it in change.incident.news] == ["Ana Diaz (ana@example.com)"]


def test_a_comment_keeps_where_it_was_written_and_the_same_in_another_thread_is_another():
    incident, by = make_incident(), Actor("ana")
    first = changed(comment(incident, "On it", by, NOW, said_at="slack", locator="C1\n1.1")).incident

    second = comment(first, "On it", by, NOW + 1, said_at="slack:leads", locator="C2\n1.2")

    assert comment(first, "On it", by, NOW + 1, said_at="slack", locator="C1\n1.1") is None
    assert [(it.said_at, it.locator) for it in changed(second).incident.news] == [
        ("slack", "C1\n1.1"),
        ("slack:leads", "C2\n1.2"),
    ]


def test_a_long_comment_is_cut():
    change = changed(fulfil(make_incident(), SenderRequest(comment="x" * 5000), OPS, NOW))

    assert len(change.entries[0].detail) == COMMENT_MAX


def test_a_sender_acknowledges_and_says_why():
    change = changed(fulfil(make_incident(), replace(COMMENT, acknowledges=True), OPS, NOW))

    assert [it.event for it in change.entries] == [Event.COMMENTED, Event.ACKNOWLEDGED]
    assert (change.incident.status, change.incident.acknowledged_by) == (Status.ACKNOWLEDGED, OPS)
    assert [change.timers[it] for it in change.incident.providers] == [None]


def test_other_words_are_shown_and_the_same_words_change_nothing():
    asked = SenderRequest(title="Fuller", description="1 %")

    corrected = changed(fulfil(make_incident(), asked, OPS, NOW)).incident

    assert corrected.title == "Fuller"
    assert corrected.alerts[0].annotations["description"] == "1 %"
    assert corrected.content_count == make_incident().content_count + 1
    assert fulfil(corrected, asked, OPS, NOW) is None


def test_what_is_resolved_takes_comments_and_nothing_else():
    over = changed(resolve(make_incident(), ANA, NOW)).incident

    assert fulfil(over, SenderRequest(acknowledges=True, title="x"), OPS, NOW) is None
    assert changed(fulfil(over, COMMENT, OPS, NOW)).incident.status is Status.RESOLVED
