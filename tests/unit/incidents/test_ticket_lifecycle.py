"""What happens to a ticket, and what it does to its incident: each row of the lifecycle by a test of its name."""

from itertools import permutations
from typing import Any

import pytest

from tests.support.clock import START_MS
from tests.support.factories import make_alert, make_incident, make_notification, make_policy
from versus_py.incidents.copies import replace
from versus_py.incidents.model import Actor, Delivery, Entry, Event, Incident, Outcome, Status
from versus_py.incidents.policies import Asked, Policy, Step
from versus_py.incidents.sides import Report, Side, Standing, Ticket
from versus_py.incidents.tickets import (
    LIFECYCLE,
    ON_HOLD_MAX_MS,
    ON_ITS_WAY_MS,
    Does,
    OnHold,
    begin,
    differences,
    hear,
    notification_of,
    ticket_id,
)
from versus_py.incidents.transitions import (
    Change,
    acknowledge,
    begin_step,
    comment,
    end_acknowledgment,
    end_snooze,
    observe,
    resolve,
    snooze,
    unacknowledge,
)
from versus_py.incidents.triage import Route, route, set_severity

SERVICENOW = "servicenow"
ANA = Actor("Ana Diaz", "ana@example.com", {"slack": "U0ANA"})
BEN = Actor("Ben", "ben@example.com", {SERVICENOW: "ben.oz"})
MINUTE_MS = 60_000
WAIT_MS = 5 * MINUTE_MS
NOW = START_MS + MINUTE_MS
OTHERS = [it for it in Standing if it is not Standing.NEW]
OVER = [Standing.RESOLVED, Standing.CLOSED]


def by_ticket(incident: Incident, now_ms: int = NOW) -> Policy:
    """As a configuration has it: with the wait, the policy and the places that the ticket asks for."""
    return policy_for(incident.policy.asked or Asked())


def policy_for(asked: Asked) -> Policy:
    told = Step(("slack",))
    if asked.escalates is False:
        return Policy((told,), asked.policy, destinations=asked.destinations, asked=asked)
    called = Step(("slack", SERVICENOW), WAIT_MS if asked.wait_ms is None else asked.wait_ms)
    steps = (told, replace(called, targets=("slack:leads", SERVICENOW)) if asked.policy else called)
    return Policy(steps, asked.policy, (SERVICENOW,), destinations=asked.destinations, asked=asked)


ASKED = Asked(severity="warning", origin=SERVICENOW)


def side(standing: Standing = Standing.NEW, revision: int = 0, **fields: str) -> Side:
    values: dict[str, Any] = {"severity": "warning", "title": "The mail is down", "group": "g-mail", **fields}
    return Side(revision, standing, **values)


def report(standing: Standing = Standing.NEW, revision: int = 1, **fields) -> Report:
    """By Ben; fields of the side are among *fields*."""
    own = {
        name: fields.pop(name)
        for name in ("assignee", "group", "severity", "route", "title", "priority")
        if name in fields
    }
    names = {it: fields.pop(f"{it}_name") for it in ("assignee", "group") if f"{it}_name" in fields}
    values = {"by": BEN.name, "email": BEN.email, "user": "ben.oz", "asked": ASKED}
    return Report(SERVICENOW, side(standing, revision, **own), **{**values, **names, **fields})


def ticket(standing: Standing = Standing.NEW) -> Ticket:
    return Ticket(
        report(standing, revision=0, labels={"category": "mail"}),
        locator="default\nabc",
        dedup_key="servicenow\ndefault\nabc",
        number="INC0010001",
        url="https://servicenow.example/incident.do?sys_id=abc",
        reference={"sys_id": "abc", "source": "1"},
        description="Nobody gets mail",
        sender="rule",
    )


def begun(asked: Asked = ASKED) -> Change:
    it = ticket()
    return begin(it, notification_of(it, SERVICENOW), policy_for(asked), START_MS)


def triggered(asked: Asked = ASKED) -> Incident:
    return begun(asked).incident


def test_what_matchers_see_of_an_incident_is_what_its_ticket_has_now():
    moved = hear(triggered(), report(labels={"category": "storage"}), START_MS)

    assert moved is not None
    assert [it.labels for it in moved.incident.alerts] == [{"category": "storage"}]
    later = hear(moved.incident, report(revision=2), START_MS)  # by a sync, which asks for fewer columns
    assert later is not None
    assert [it.labels for it in later.incident.alerts] == [{"category": "storage"}]


def acknowledged() -> Incident:
    return after(acknowledge(triggered(), ANA, START_MS))


def resolved() -> Incident:
    return after(resolve(triggered(), ANA, START_MS))


BY_STATUS = {Status.TRIGGERED: triggered, Status.ACKNOWLEDGED: acknowledged, Status.RESOLVED: resolved}


def done(change: Change | None) -> Change:
    assert change
    return change


def after(change: Change | None) -> Incident:
    return done(change).incident


def heard(incident: Incident, *reports: Report, now_ms: int = NOW, **settings) -> Change:
    """All of them, as one change."""
    change = Change(incident, Outcome.IGNORED, {})
    for it in reports:
        later = hear(change.incident, it, now_ms, policy_of=by_ticket, **settings)
        change = change.then(later) if later else change
    return change


def at(incident: Incident, standing: Standing, revision: int = 1) -> Incident:
    """The incident, its ticket having been seen there, whatever that did."""
    return replace(incident, sides={SERVICENOW: side(standing, revision)})


def events(change: Change) -> list[Event]:
    return [it.event for it in change.entries]


def is_as_before(before: Incident, change: Change) -> bool:
    """Whether nothing but what was seen of the ticket has changed, and nobody is told."""
    return (
        change.outcome is Outcome.IGNORED
        and replace(change.incident, sides=before.sides) == before
        and not change.timers
        and not change.entries
    )


# A ticket is created


def test_created_as_new_triggers_an_incident_with_a_message_and_a_wait():
    change = begun()
    incident = change.incident

    assert (incident.status, change.outcome) == (Status.TRIGGERED, Outcome.CREATED)
    assert (incident.title, incident.severity, incident.source) == ("The mail is down", "warning", SERVICENOW)
    assert incident.escalates_at_ms == START_MS + WAIT_MS
    assert change.timers["slack"] == START_MS
    assert change.timers[SERVICENOW] == START_MS


def test_its_ticket_is_its_record_from_the_start_so_that_nobody_looks_for_one_or_makes_another():
    incident = triggered()

    assert incident.origin == SERVICENOW
    assert incident.sides == {SERVICENOW: side()}
    assert incident.delivery(SERVICENOW).reference == {"sys_id": "abc", "source": "1"}
    assert incident.delivery(SERVICENOW).label == "INC0010001"
    assert incident.delivery(SERVICENOW).locator == "default\nabc"
    assert SERVICENOW in incident.told
    assert incident.ending is None
    assert not incident.has_told(SERVICENOW)


def test_a_ticket_has_one_episode_whenever_it_is_opened():
    first = begun().incident
    later = begin(ticket(), notification_of(ticket(), SERVICENOW), policy_for(ASKED), NOW).incident

    assert first.id == later.id == ticket_id("servicenow\ndefault\nabc")
    assert ticket_id("servicenow\ndefault\nabc", "here") != first.id
    assert ticket_id("servicenow\ninfra\nabc") != first.id


def test_a_ticket_without_a_title_is_called_by_its_number():
    untitled = replace(ticket(), report=replace(ticket().report, side=side(title="")))

    assert notification_of(untitled, SERVICENOW).title == "INC0010001"


@pytest.mark.parametrize("standing", OTHERS)
def test_created_in_any_other_state_is_refused(standing):
    assert LIFECYCLE[standing][None] is Does.IS_REFUSED


@pytest.mark.parametrize("status", [None, *Status])
@pytest.mark.parametrize("standing", Standing)
def test_the_table_has_every_row(standing, status):
    assert isinstance(LIFECYCLE[standing][status], Does)


# A ticket is updated


def test_updated_as_new_and_unknown_triggers_an_incident():
    assert LIFECYCLE[Standing.NEW][None] is Does.BEGINS


@pytest.mark.parametrize("status", [Status.TRIGGERED, Status.ACKNOWLEDGED])
def test_updated_as_new_and_known_changes_nothing(status):
    before = BY_STATUS[status]()

    change = heard(before, report())

    assert is_as_before(before, change)
    assert change.incident.sides[SERVICENOW].revision == 1


def test_updated_as_new_and_resolved_here_is_dropped():
    before = resolved()

    assert is_as_before(before, heard(before, report()))


def test_in_progress_acknowledges_as_the_user_of_servicenow():
    change = heard(triggered(), report(Standing.IN_PROGRESS))

    assert (change.incident.status, change.outcome) == (Status.ACKNOWLEDGED, Outcome.UPDATED)
    assert change.incident.acknowledged_by == BEN
    assert change.timers["slack"] == NOW


def test_in_progress_keeps_the_first_name_where_it_is_acknowledged():
    before = acknowledged()

    change = heard(before, report(Standing.IN_PROGRESS))

    assert is_as_before(before, change)
    assert change.incident.acknowledged_by == ANA


def test_in_progress_stops_an_escalation_that_is_pending():
    incident = heard(triggered(), report(Standing.IN_PROGRESS)).incident

    assert begin_step(incident, START_MS + WAIT_MS, by_ticket) is None


@pytest.mark.parametrize("standing", OVER)
@pytest.mark.parametrize("status", [Status.TRIGGERED, Status.ACKNOWLEDGED])
def test_resolved_closed_and_canceled_resolve(standing, status):
    change = heard(BY_STATUS[status](), report(standing, comment="the disk was full"))
    incident = change.incident

    assert (incident.status, change.outcome) == (Status.RESOLVED, Outcome.RESOLVED)
    assert (incident.resolved_by, incident.resolve_comment) == (BEN, "the disk was full")
    assert not incident.firing
    assert Event.STILL_FIRING not in events(change)


@pytest.mark.parametrize("standing", OVER)
def test_resolved_closed_and_canceled_change_nothing_where_it_is_resolved(standing):
    before = resolved()

    assert is_as_before(before, heard(before, report(standing)))


def test_resolved_and_closed_a_week_later_is_resolved_once():
    first = heard(triggered(), report(Standing.RESOLVED)).incident

    assert is_as_before(first, heard(first, report(Standing.CLOSED, revision=2), now_ms=NOW + ON_HOLD_MAX_MS))


# On hold


def test_on_hold_snoozes_until_it_changes_and_at_most_for_seven_days():
    change = heard(triggered(), report(Standing.ON_HOLD))
    incident = change.incident

    assert incident.status is Status.TRIGGERED
    assert incident.snooze is not None
    assert (incident.snooze.until_ms, incident.snooze.by) == (NOW + ON_HOLD_MAX_MS, BEN)
    assert incident.snooze.record == SERVICENOW
    assert events(change) == [Event.SNOOZED, Event.ON_HOLD]
    assert change.timers["slack"] == NOW


def test_after_seven_days_on_hold_it_is_told_and_the_wait_goes_on():
    held = heard(triggered(), report(Standing.ON_HOLD)).incident
    over_ms = NOW + ON_HOLD_MAX_MS
    assert end_snooze(held, over_ms - 1) is None
    awake = after(end_snooze(held, over_ms))

    assert begin_step(awake, over_ms, by_ticket) is None
    escalated = after(begin_step(awake, over_ms + WAIT_MS, by_ticket))
    assert escalated.is_called(SERVICENOW)


def test_taken_off_hold_it_is_triggered_again_with_a_whole_wait():
    held = heard(triggered(), report(Standing.ON_HOLD)).incident

    change = heard(held, report(Standing.NEW, revision=2), now_ms=NOW + 3 * MINUTE_MS)

    assert change.incident.snooze is None
    assert change.incident.escalates_at_ms == NOW + 3 * MINUTE_MS + WAIT_MS
    assert events(change) == [Event.RETRIGGERED]
    assert change.timers["slack"] == NOW + 3 * MINUTE_MS


def test_taken_off_hold_by_who_works_on_it_it_is_acknowledged():
    held = heard(triggered(), report(Standing.ON_HOLD)).incident

    incident = heard(held, report(Standing.IN_PROGRESS, revision=2)).incident

    assert (incident.status, incident.snooze) == (Status.ACKNOWLEDGED, None)


@pytest.mark.parametrize("standing", OVER)
def test_resolved_while_it_is_on_hold_it_is_resolved(standing):
    held = heard(triggered(), report(Standing.ON_HOLD)).incident

    incident = heard(held, report(standing, revision=2)).incident

    assert (incident.status, incident.snooze) == (Status.RESOLVED, None)


def test_a_snooze_of_a_person_is_not_ended_by_the_ticket():
    snoozed = after(snooze(triggered(), NOW + 30 * MINUTE_MS, ANA, START_MS))
    before = at(snoozed, Standing.ON_HOLD)

    assert is_as_before(before, heard(before, report(revision=2)))


def test_another_edit_while_it_is_on_hold_does_not_make_that_longer():
    held = heard(triggered(), report(Standing.ON_HOLD)).incident

    change = heard(held, report(Standing.ON_HOLD, revision=2), now_ms=NOW + MINUTE_MS)

    assert is_as_before(held, change)


def test_acknowledged_while_it_is_on_hold_and_taken_off_hold_stays_acknowledged():
    held = heard(triggered(), report(Standing.ON_HOLD)).incident
    before = after(acknowledge(held, ANA, NOW))

    assert is_as_before(before, heard(before, report(Standing.NEW, revision=2)))


def test_un_acknowledged_here_is_never_taken_back_because_the_ticket_still_says_in_progress():
    acked = heard(triggered(), report(Standing.IN_PROGRESS)).incident
    before = after(unacknowledge(acked, ANA, NOW, by_ticket))

    change = heard(before, report(Standing.IN_PROGRESS, revision=2))

    assert is_as_before(before, change)


def test_an_acknowledgment_that_timed_out_is_not_taken_back_either():
    before = heard(replace(triggered(), policy=replace(policy_for(ASKED), ack_timeout_ms=WAIT_MS)), report()).incident
    acked = heard(before, report(Standing.IN_PROGRESS, revision=2)).incident
    ended = after(end_acknowledgment(acked, NOW + WAIT_MS, lambda it, _: it.policy))

    assert is_as_before(ended, heard(ended, report(Standing.IN_PROGRESS, revision=3)))


def test_un_acknowledged_and_put_on_hold_it_is_snoozed():
    acked = heard(triggered(), report(Standing.IN_PROGRESS)).incident
    before = after(unacknowledge(acked, ANA, NOW, by_ticket))

    assert heard(before, report(Standing.ON_HOLD, revision=2)).incident.snooze is not None


def test_acknowledged_and_put_on_hold_the_thread_says_so():
    change = heard(acknowledged(), report(Standing.ON_HOLD))

    assert change.incident.status is Status.ACKNOWLEDGED
    assert events(change) == [Event.ON_HOLD]
    assert change.entries[0].detail == "INC0010001 is on hold now"


def test_on_hold_acknowledges_where_that_is_configured():
    change = heard(triggered(), report(Standing.ON_HOLD), on_hold=OnHold.ACKNOWLEDGE)

    assert (change.incident.status, change.incident.acknowledged_by) == (Status.ACKNOWLEDGED, BEN)
    assert events(change) == [Event.ACKNOWLEDGED, Event.ON_HOLD]


def test_on_hold_is_only_said_where_that_is_configured():
    before = triggered()

    change = heard(before, report(Standing.ON_HOLD), on_hold=OnHold.NOTHING)

    assert events(change) == [Event.ON_HOLD]
    assert change.incident.escalates_at_ms == before.escalates_at_ms


def test_on_hold_where_nothing_is_to_come_is_said():
    change = heard(triggered(replace(ASKED, escalates=False)), report(Standing.ON_HOLD))

    assert (change.incident.snooze, events(change)) == (None, [Event.ON_HOLD])


# Reopened there; still firing here


@pytest.mark.parametrize("standing", [Standing.NEW, Standing.IN_PROGRESS, Standing.ON_HOLD])
@pytest.mark.parametrize("was", OVER)
def test_reopened_there_changes_nothing_and_one_line_says_so(was, standing):
    before = at(resolved(), was)

    change = heard(before, report(standing, revision=2), report(standing, revision=3))

    assert change.incident.status is Status.RESOLVED
    assert events(change) == [Event.REOPENED_THERE]
    [entry] = change.entries
    assert (entry.detail, entry.by) == (f"INC0010001 is {standing} now", BEN)
    assert change.incident.news[-1] == entry
    assert change.timers["slack"] == NOW


def test_reopened_there_and_taken_on_there_is_one_line():
    before = at(resolved(), Standing.RESOLVED)

    change = heard(before, report(revision=2), report(Standing.IN_PROGRESS, revision=3))

    assert events(change) == [Event.REOPENED_THERE]


def test_resolved_here_before_somebody_there_has_taken_it_is_no_reopening():
    before = resolved()

    assert is_as_before(before, heard(before, report(Standing.IN_PROGRESS)))


def our_record(*alerts) -> Incident:
    """Of alerts, with a record that was made for it."""
    incident = make_incident(*alerts, policy=make_policy(asked=Asked(destinations={"slack": "C0ASKED"})))
    called = after(begin_step(incident, START_MS + WAIT_MS))
    shown = Delivery({"sys_id": "abc"}, "INC0010001", locator="default\nabc", version=1, synced_at_ms=NOW)
    return replace(called, deliveries={SERVICENOW: shown}, sides={SERVICENOW: side(title="DiskFull")})


def test_resolved_there_while_alerts_fire_is_resolved_and_the_thread_names_them():
    change = heard(our_record(make_alert("DiskFull"), make_alert("Load")), report(Standing.RESOLVED))

    assert (change.incident.status, change.outcome) == (Status.RESOLVED, Outcome.RESOLVED)
    assert events(change) == [Event.RESOLVED, Event.STILL_FIRING]
    assert "DiskFull" in change.entries[1].detail
    assert "Load" in change.entries[1].detail
    assert len(change.incident.firing) == 2


def test_resolved_there_while_alerts_fire_the_next_notification_reopens_it():
    incident = heard(our_record(), report(Standing.RESOLVED)).incident

    change = done(observe(incident, make_notification(), NOW + MINUTE_MS))

    assert (change.outcome, change.incident.status) == (Outcome.REOPENED, Status.TRIGGERED)
    assert is_as_before(change.incident, heard(change.incident, report(Standing.RESOLVED, revision=2)))


def test_a_record_that_we_made_acknowledges_and_stops_what_is_pending():
    change = heard(our_record(), report(Standing.IN_PROGRESS))

    assert change.incident.acknowledged_by == BEN
    assert change.timers["slack"] == NOW
    assert begin_step(change.incident, NOW + 100 * WAIT_MS) is None


def test_the_title_of_a_record_that_we_made_is_not_the_incidents():
    change = heard(our_record(), report(title="Disk full on web-1"))

    assert change.incident.title == "DiskFull"


def test_a_record_that_is_seen_for_the_first_time_was_new_before():
    before = replace(our_record(), sides={})

    assert is_as_before(before, heard(before, report(severity="critical", assignee="u-ben")))
    assert heard(before, report(Standing.IN_PROGRESS)).incident.status is Status.ACKNOWLEDGED


def test_in_progress_of_before_both_sides_were_in_sync_takes_no_acknowledgment_that_ended_back():
    before = after(acknowledge(replace(our_record(), sides={}), ANA, START_MS))
    given_back = after(unacknowledge(before, ANA, NOW))

    first = heard(given_back, report(Standing.IN_PROGRESS)).incident

    assert first.status is Status.TRIGGERED
    assert heard(first, report(Standing.RESOLVED, revision=2)).incident.status is Status.RESOLVED


@pytest.mark.parametrize("standing", OVER)
def test_the_end_of_before_both_sides_were_in_sync_does_not_resolve_what_fires_again(standing):
    before = after(resolve(replace(our_record(), sides={}), ANA, START_MS))
    reopened = done(observe(before, make_notification(), NOW)).incident

    assert reopened.status is Status.TRIGGERED
    assert heard(reopened, report(standing)).incident.status is Status.TRIGGERED


def test_the_rule_that_has_sent_a_ticket_last_is_its_sender():
    moved = heard(triggered(), report(sender="other"), report(revision=2)).incident

    assert moved.sender == "other"
    assert heard(our_record(), report(sender="other")).incident.sender == our_record().sender


# Severity


def test_a_raised_priority_raises_the_severity():
    change = heard(triggered(), report(severity="critical"))

    assert change.incident.severity == "critical"
    assert (change.entries[0].event, change.entries[0].by) == (Event.SEVERITY_RAISED, BEN)


def test_raised_there_and_further_here_the_graver_severity_stays():
    before = after(set_severity(triggered(), "critical", ANA, START_MS))

    change = heard(before, report(severity="error"))

    assert (change.incident.severity, change.entries) == ("critical", ())


def test_raised_here_and_lowered_there_later_it_is_lowered():
    before = after(set_severity(triggered(), "critical", ANA, START_MS))

    assert heard(before, report(severity="info")).incident.severity == "info"


def test_a_raised_priority_begins_a_wait_where_somebody_else_has_acknowledged():
    change = heard(acknowledged(), report(severity="critical"))

    assert change.incident.status is Status.TRIGGERED
    assert change.incident.escalates_at_ms == NOW + WAIT_MS
    assert events(change) == [Event.SEVERITY_RAISED, Event.RETRIGGERED]


def test_a_raised_priority_begins_no_wait_for_who_has_acknowledged_and_raises_it():
    acked = heard(triggered(), report(Standing.IN_PROGRESS)).incident

    change = heard(acked, report(Standing.IN_PROGRESS, revision=2, severity="critical"))

    assert (change.incident.status, change.incident.severity) == (Status.ACKNOWLEDGED, "critical")


def test_a_lowered_priority_lowers_the_severity_and_begins_no_wait():
    before = acknowledged()

    change = heard(before, report(severity="info"))

    assert (change.incident.status, change.incident.severity) == (Status.ACKNOWLEDGED, "info")
    assert events(change) == [Event.SEVERITY_CHANGED]


def test_a_lowered_priority_moves_no_wait_that_runs():
    before = triggered()
    lower = replace(ASKED, severity="info", wait_ms=30 * MINUTE_MS)

    incident = heard(before, report(severity="info", asked=lower)).incident

    assert incident.escalates_at_ms == before.escalates_at_ms


def test_a_lowered_priority_that_does_not_escalate_ends_the_wait():
    quiet = replace(ASKED, severity="info", escalates=False)

    change = heard(triggered(), report(severity="info", asked=quiet))

    assert (change.incident.status, change.incident.is_waiting) == (Status.TRIGGERED, False)
    assert change.incident.owed_at_ms is None
    assert change.timers["slack"] == NOW


def test_what_has_escalated_goes_on_when_its_priority_is_lowered_to_one_that_does_not():
    called = begin_step(triggered(), START_MS + WAIT_MS)
    assert called is not None
    quiet = replace(ASKED, severity="info", escalates=False)

    incident = heard(called.incident, report(severity="info", asked=quiet)).incident

    assert incident.calls == called.incident.calls
    assert SERVICENOW in incident.providers


def test_a_raised_priority_has_the_wait_that_it_asks_for():
    asked = replace(ASKED, wait_ms=30 * MINUTE_MS)
    graver = replace(ASKED, severity="critical", wait_ms=2 * MINUTE_MS)

    change = heard(triggered(asked), report(severity="critical", asked=graver))

    assert change.incident.escalates_at_ms == NOW + 2 * MINUTE_MS
    assert change.timers[SERVICENOW] is not None


def test_a_priority_that_does_not_escalate_does_once_it_is_raised_to_one_that_does():
    before = triggered(replace(ASKED, escalates=False))
    assert not before.is_waiting
    graver = replace(ASKED, severity="critical", escalates=True)

    incident = heard(before, report(severity="critical", asked=graver)).incident

    assert incident.escalates_at_ms == NOW + WAIT_MS


# A priority of the same severity


def with_priority(asked: Asked = ASKED) -> Incident:
    """Triggered by a ticket whose priority is 2."""
    incident = triggered(asked)
    return replace(incident, sides={SERVICENOW: replace(incident.sides[SERVICENOW], priority="2")})


def test_a_priority_of_the_same_severity_with_a_shorter_wait_escalates_sooner_and_the_thread_says_so():
    before = with_priority(replace(ASKED, wait_ms=30 * MINUTE_MS))

    change = heard(before, report(priority="1", asked=replace(ASKED, wait_ms=2 * MINUTE_MS)))

    assert change.incident.escalates_at_ms == NOW + 2 * MINUTE_MS
    assert change.incident.waiting_since_ms == before.waiting_since_ms
    assert change.timers[SERVICENOW] is not None
    [entry] = change.entries
    assert (entry.event, entry.detail) == (Event.RESCHEDULED, "priority 2 → 1, it escalates sooner")
    assert (entry.said_at, entry.by) == (SERVICENOW, BEN)
    assert change.incident.news[-1] == entry


def test_a_priority_of_the_same_severity_with_a_longer_wait_moves_none_that_runs_and_counts_for_later_ones():
    before = with_priority()
    longer = replace(ASKED, wait_ms=30 * MINUTE_MS)

    change = heard(before, report(priority="3", asked=longer))

    assert change.incident.escalates_at_ms == before.escalates_at_ms
    assert change.entries == ()
    assert change.incident.policy.asked == longer


@pytest.mark.parametrize("escalates", [False, True])
def test_a_priority_of_the_same_severity_says_whether_it_escalates(escalates):
    before = with_priority(replace(ASKED, escalates=not escalates))

    change = heard(before, report(priority="3", asked=replace(ASKED, escalates=escalates)))

    assert change.incident.is_waiting is escalates
    assert events(change) == [Event.RESCHEDULED]


def test_a_priority_of_the_same_severity_leaves_those_who_have_acknowledged():
    before = after(acknowledge(with_priority(replace(ASKED, wait_ms=30 * MINUTE_MS)), ANA, NOW))

    change = heard(before, report(priority="1", asked=replace(ASKED, wait_ms=MINUTE_MS)))

    assert (change.incident.status, change.entries) == (Status.ACKNOWLEDGED, ())


@pytest.mark.parametrize(
    ("known", "now"), [pytest.param("", "2", id="not known before"), pytest.param("2", "", id="hidden now")]
)
def test_a_priority_that_is_known_on_one_side_only_is_no_news(known, now):
    before = triggered(replace(ASKED, wait_ms=30 * MINUTE_MS))
    before = replace(before, sides={SERVICENOW: replace(before.sides[SERVICENOW], priority=known)})

    change = heard(before, report(priority=now, asked=replace(ASKED, wait_ms=MINUTE_MS)))

    assert change.incident.escalates_at_ms == before.escalates_at_ms


def test_a_priority_of_another_severity_is_heard_once():
    before = with_priority(replace(ASKED, wait_ms=30 * MINUTE_MS))
    graver = replace(ASKED, severity="critical", wait_ms=2 * MINUTE_MS)

    assert events(heard(before, report(severity="critical", priority="1", asked=graver))) == [Event.SEVERITY_RAISED]


def test_a_priority_that_means_nothing_here_leaves_the_severity():
    before = triggered()

    assert is_as_before(before, heard(before, report(severity="")))


def test_a_raised_priority_of_a_record_that_we_made_keeps_what_its_request_asked_for():
    before = our_record()

    incident = heard(before, report(severity="EMERGENCY", asked=Asked(wait_ms=1))).incident

    assert incident.policy.asked is not None
    assert incident.policy.asked.wait_ms is None


# Routing and assignment


def test_assigned_there_it_is_known_to_whom_and_the_same_one_is_not_told_again():
    given = report(revision=1, assignee="u1", assignee_name="Ana Diaz", assignee_email="ana@example.com")
    given = replace(given, group="Mail")
    moved = replace(given, side=replace(given.side, revision=2, group="g1"), group="DBA")

    first, second = heard(triggered(), given, moved).incident.news[-2:]

    assert (first.detail, first.whom) == ("to Ana Diaz, Mail", Actor("Ana Diaz", "ana@example.com"))
    assert (second.detail, second.whom) == ("to Ana Diaz, DBA", None)


def test_those_who_were_known_by_user_name_are_named_once_that_is_known_also_where_nothing_else_is_new():
    by_user_name = report(Standing.IN_PROGRESS, by="ben.oz", email="")
    named = replace(by_user_name, people={"ben.oz": (BEN.name, BEN.email)})
    before = heard(triggered(), by_user_name).incident

    change = heard(before, named)

    assert change.incident.acknowledged_by == Actor(BEN.name, BEN.email, {SERVICENOW: "ben.oz"})
    assert [it.event for it in change.entries] == [Event.IDENTIFIED]
    assert change.incident.news_count == before.news_count
    assert heard(change.incident, named).entries == ()


def test_what_is_new_counts_where_somebody_is_named_at_the_same_time():
    before = heard(triggered(), report(Standing.IN_PROGRESS, by="ben.oz", email="")).incident

    over = report(Standing.RESOLVED, revision=2, people={"ben.oz": (BEN.name, BEN.email)})
    incident = heard(before, over).incident

    assert incident.status is Status.RESOLVED
    assert incident.acknowledged_by is not None
    assert incident.acknowledged_by.name == BEN.name


LEADS = replace(ASKED, policy="leads", destinations={"slack": "C0LEADS"}, mention="<!here>")


def routed_report(asked: Asked | None = LEADS, revision: int = 1, **fields) -> Report:
    return report(revision=revision, asked=asked, **{"route": "g-leads", "routed": "to policy leads", **fields})


def test_reassigned_to_another_group_it_goes_to_the_policy_and_the_channel_of_that():
    change = heard(triggered(), routed_report())
    incident = change.incident

    assert (incident.policy.name, incident.policy.destinations) == ("leads", {"slack": "C0LEADS"})
    assert incident.policy.asked == LEADS
    assert (change.entries[0].event, change.entries[0].detail) == (Event.ROUTED, "to policy leads")


def test_reassigned_to_a_group_that_only_notifies_others_its_escalation_starts_again():
    asked = replace(ASKED, notify=("slack:dba",))

    change = heard(acknowledged(), routed_report(asked, routed="to slack:dba"))

    assert change.incident.policy.asked == asked
    assert change.incident.status is Status.TRIGGERED
    assert (change.entries[0].event, change.entries[0].detail) == (Event.ROUTED, "to slack:dba")


def test_a_policy_that_a_person_chose_notifies_nobody_else_whom_the_group_has_notified():
    led = heard(triggered(), routed_report(replace(LEADS, notify=("slack:dba",)))).incident

    elsewhere = after(route(led, Route("to policy network", policy="network"), ANA, NOW, by_ticket))

    assert elsewhere.policy.asked is not None
    assert elsewhere.policy.asked.notify == ()


def test_reassigned_its_message_moves():
    change = heard(triggered(), routed_report())

    assert change.incident.moved == {"slack": NOW}
    assert change.timers["slack"] == NOW


def test_reassigned_its_wait_begins_again():
    change = heard(triggered(), routed_report())

    assert change.incident.escalates_at_ms == NOW + WAIT_MS
    assert change.timers["slack:leads"] == NOW + WAIT_MS


def test_reassigned_what_was_acknowledged_is_triggered_again():
    incident = heard(acknowledged(), routed_report()).incident

    assert (incident.status, incident.acknowledged_by) == (Status.TRIGGERED, None)


def unread_report(revision: int = 1, **fields) -> Report:
    it = report(revision=revision, **fields)
    return replace(it, side=replace(it.side, is_route_unread=True))


def test_a_group_whose_name_was_not_sent_leads_where_it_does_once_its_name_is_read():
    unread = heard(triggered(), unread_report(group="g-leads")).incident

    change = heard(unread, routed_report(group="g-leads"), routed_report(group="g-leads"))

    assert unread.policy.name == ""
    assert change.incident.policy.name == "leads"
    assert [it.event for it in change.incident.news].count(Event.ROUTED) == 1


def test_a_group_whose_name_was_not_sent_does_not_take_back_where_a_person_has_routed_it():
    led = heard(triggered(), routed_report()).incident
    elsewhere = after(route(led, Route("to policy network", policy="network"), ANA, NOW, by_ticket))

    unread = heard(elsewhere, unread_report(revision=2, title="Another title"))
    incident = heard(unread.incident, routed_report(revision=2), routed_report(revision=3)).incident

    assert incident.policy.name == "network"


def test_a_group_whose_name_nobody_may_read_leaves_where_it_goes():
    led = heard(triggered(), routed_report()).incident

    assert heard(led, unread_report(revision=2), unread_report(revision=3)).incident.policy.name == "leads"


def test_reassigned_to_a_group_that_leads_nowhere_it_goes_back_to_the_default():
    led = heard(triggered(), routed_report()).incident

    change = heard(led, report(revision=2, route="g-unknown"))

    assert (change.incident.policy.name, change.incident.policy.destinations) == ("", {})
    assert change.entries[0].detail == "by default"
    assert change.incident.moved == {"slack": NOW}


def test_reassigned_to_nobody_where_nothing_is_asked_it_goes_back_to_the_default():
    led = heard(triggered(), routed_report()).incident

    change = heard(led, routed_report(None, revision=2, route="", routed=""))

    assert change.incident.policy.name == ""
    assert change.incident.origin == SERVICENOW
    assert change.incident.policy.asked is not None
    assert change.incident.policy.asked.origin == SERVICENOW


def test_reassigned_within_what_leads_to_the_same_place_moves_nothing():
    before = triggered()

    assert is_as_before(before, heard(before, report(route="g-other")))


def test_a_record_that_we_made_goes_where_a_known_group_leads():
    incident = heard(our_record(), routed_report()).incident

    assert incident.policy.name == "leads"


def test_a_record_that_we_made_stays_where_its_request_wanted_it_with_a_group_that_leads_nowhere():
    before = our_record()

    incident = heard(before, report(route="g-unknown", title="DiskFull")).incident

    assert incident.policy == before.policy


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        pytest.param(
            {"assignee": "u-ben", "assignee_name": "Ben", "group_name": "Mail"}, "to Ben, Mail", id="a person"
        ),
        pytest.param({"group": "g-web", "group_name": "Web"}, "to Web", id="a group"),
        pytest.param({"group": ""}, "to nobody", id="nobody"),
        pytest.param({"assignee": "u-ben", "group": ""}, "to somebody", id="nobody knows the name"),
        pytest.param({"assignee": "u-ben", "group": "g-mail"}, "to somebody", id="nobody knows the names"),
        pytest.param({"group": "g-web"}, "to another group", id="nobody knows the name of the group"),
        pytest.param({"assignee": "u-ben", "group": "g-web"}, "to somebody, another group", id="nor of both"),
    ],
)
def test_an_assignment_is_said_in_the_thread(fields, said):
    change = heard(triggered(), report(**fields))

    assert [(it.event, it.detail, it.by) for it in change.entries] == [(Event.ASSIGNED, said, BEN)]
    assert change.timers["slack"] == NOW


def test_another_title_of_the_ticket_is_the_incidents():
    change = heard(triggered(), report(title="No mail in Ulm"))

    assert change.incident.title == "No mail in Ulm"
    assert change.timers["slack"] == NOW


def test_an_empty_title_leaves_the_one_that_it_had():
    assert heard(triggered(), report(title="")).incident.title == "The mail is down"


# What is late, repeated, reordered, and our own


def test_the_same_report_again_changes_nothing():
    incident = heard(triggered(), report(Standing.IN_PROGRESS)).incident

    assert hear(incident, report(Standing.IN_PROGRESS), NOW) is None


def test_a_report_that_is_late_changes_nothing():
    incident = heard(triggered(), report(Standing.RESOLVED, revision=5)).incident

    assert hear(incident, report(Standing.IN_PROGRESS, revision=4), NOW) is None


COURSE = (
    report(revision=1, group="g-web"),
    report(Standing.IN_PROGRESS, revision=2, group="g-web"),
    report(Standing.ON_HOLD, revision=3, group="g-web", severity="critical"),
    report(Standing.RESOLVED, revision=4, group="g-web", severity="critical"),
)


@pytest.mark.parametrize("order", [*permutations(range(4))], ids=str)
def test_in_whatever_order_and_how_often_reports_come_the_last_state_counts(order):
    reports = [COURSE[it] for it in (*order, *reversed(order))]

    incident = heard(triggered(), *reports).incident

    assert incident.sides[SERVICENOW] == COURSE[-1].side
    assert incident.status is Status.RESOLVED
    assert [it.event for it in incident.news].count(Event.RESOLVED) == 1


def test_what_we_wrote_is_seen_and_no_news():
    before = triggered()

    change = heard(before, report(Standing.IN_PROGRESS, is_own=True))

    assert is_as_before(before, change)
    assert change.incident.sides[SERVICENOW] == side(Standing.IN_PROGRESS, 1)


def test_after_what_we_wrote_only_what_a_person_has_changed_since_is_news():
    own = report(revision=1, severity="critical", is_own=True)

    change = heard(triggered(), own, report(revision=2, severity="critical", assignee="u-ben"))

    assert events(change) == [Event.ASSIGNED]


def test_what_others_wrote_before_us_is_not_hidden_by_what_we_wrote():
    """The event of revision 1, which assigns it, is lost; our own write makes revision 2."""
    before = triggered()
    own = report(Standing.IN_PROGRESS, revision=2, assignee="u-ben", is_own=True)

    assert hear(before, own, NOW) is None
    change = heard(before, own, replace(own, is_own=False, wrote=frozenset({"standing"})))

    assert events(change) == [Event.ASSIGNED]


def test_our_own_new_record_is_not_seen_by_its_event():
    assert hear(replace(our_record(), sides={}), report(is_own=True), NOW) is None


def test_what_a_sync_has_written_itself_is_no_news_and_the_rest_is():
    change = heard(
        triggered(), report(Standing.IN_PROGRESS, severity="critical", wrote=frozenset({"standing", "assignee"}))
    )

    assert change.incident.status is Status.TRIGGERED
    assert change.incident.severity == "critical"
    assert change.incident.sides[SERVICENOW].standing is Standing.IN_PROGRESS


def test_what_a_sync_has_written_over_a_change_that_was_heard_meanwhile_is_news():
    before = triggered()
    lowered = after(hear(before, report(severity="info"), NOW))
    wrote = report(severity="critical", revision=2, wrote=frozenset({"severity"}), since=before.sides[SERVICENOW])

    assert lowered.severity == "info"
    assert heard(lowered, wrote).incident.severity == "critical"


def test_what_a_sync_has_written_itself_is_no_reopening():
    before = at(our_record(), Standing.RESOLVED, 0)

    assert is_as_before(
        before,
        heard(before, report(Standing.IN_PROGRESS, title="DiskFull", wrote=frozenset({"standing"}))),
    )


def deed_of(change: Change) -> Entry:
    by = change.incident.dealt_with_by
    assert by is not None
    return by


OVERWRITTEN = {
    "by its event": {"is_own": True},
    "by what the sync saw": {"wrote": frozenset({"standing"}), "since": side()},
}


@pytest.mark.parametrize("told", OVERWRITTEN.values(), ids=OVERWRITTEN)
def test_an_end_over_which_we_wrote_an_acknowledgment_is_written_again(told):
    there = heard(acknowledged(), report(Standing.RESOLVED, comment="Done."))
    assert deed_of(there).said_at == SERVICENOW

    change = heard(there.incident, report(Standing.IN_PROGRESS, revision=2, **told))

    assert change.incident.status is Status.RESOLVED
    assert Event.REOPENED_THERE not in events(change)
    assert (deed_of(change).by, deed_of(change).detail, deed_of(change).said_at) == (BEN, "Done.", "")
    assert change.timers == {SERVICENOW: NOW}
    assert deed_of(there).event is Event.RESOLVED


UNTOUCHED = {
    "without a state": report(Standing.RESOLVED, revision=2, severity="critical", is_own=True),
    "of another end": report(Standing.CLOSED, revision=2, is_own=True),
    "by a person": report(Standing.IN_PROGRESS, revision=2),
}


@pytest.mark.parametrize("written", UNTOUCHED.values(), ids=UNTOUCHED)
def test_what_does_not_undo_the_end_has_nothing_written_again(written):
    there = heard(acknowledged(), report(Standing.RESOLVED))

    change = heard(there.incident, written)

    assert deed_of(change).said_at == SERVICENOW


def test_what_our_user_reopens_later_stays_open():
    there = heard(acknowledged(), report(Standing.RESOLVED))
    later_ms = NOW + ON_ITS_WAY_MS

    change = heard(there.incident, report(Standing.IN_PROGRESS, revision=2, is_own=True), now_ms=later_ms)

    assert deed_of(change).said_at == SERVICENOW
    assert change.timers == {}


def test_who_is_not_known_is_called_as_the_system_is():
    incident = heard(triggered(), report(Standing.IN_PROGRESS, by="", email="", user=""), called="ServiceNow").incident

    assert incident.acknowledged_by == Actor("ServiceNow")


def test_of_several_instances_each_record_has_its_own_side():
    other = replace(report(Standing.NEW, revision=7), target="servicenow:infra")

    incident = heard(triggered(), other).incident

    assert incident.sides == {SERVICENOW: side(), "servicenow:infra": side(revision=7)}


# Several changes in one report


def test_all_that_changes_at_once_is_heard():
    everything = routed_report(
        replace(LEADS, severity="critical"),
        title="No mail in Ulm",
        severity="critical",
        assignee="u-ben",
        assignee_name="Ben",
    )
    everything = replace(everything, side=replace(everything.side, standing=Standing.IN_PROGRESS))

    change = heard(triggered(), everything)
    incident = change.incident

    assert (incident.title, incident.severity, incident.policy.name) == ("No mail in Ulm", "critical", "leads")
    assert (incident.status, incident.acknowledged_by) == (Status.ACKNOWLEDGED, BEN)
    assert events(change) == [Event.SEVERITY_RAISED, Event.ROUTED, Event.ASSIGNED, Event.ACKNOWLEDGED]
    assert [it.event for it in incident.news] == events(change)
    assert (change.timers["slack"], change.timers[SERVICENOW]) == (NOW, NOW)
    assert change.timers["slack:leads"] is None


def test_raised_and_resolved_at_once_it_is_resolved_and_nothing_is_pending():
    change = heard(acknowledged(), report(Standing.RESOLVED, severity="critical"))

    assert (change.incident.status, change.outcome) == (Status.RESOLVED, Outcome.RESOLVED)
    assert change.incident.severity == "critical"
    assert not change.incident.is_waiting


def test_reassigned_and_put_on_hold_at_once_it_waits_nowhere():
    change = heard(triggered(), replace(routed_report(), side=side(Standing.ON_HOLD, 1, route="g-leads")))

    assert change.incident.policy.name == "leads"
    assert change.incident.snooze is not None
    assert change.timers["slack:leads"] == NOW + ON_HOLD_MAX_MS + WAIT_MS


def test_reassigned_while_it_is_on_hold_it_waits_nowhere_and_no_longer():
    held = heard(triggered(), report(Standing.ON_HOLD)).incident
    moved = replace(routed_report(), side=side(Standing.ON_HOLD, 2, route="g-leads"))

    change = heard(held, moved, now_ms=NOW + MINUTE_MS)

    assert change.incident.policy.name == "leads"
    assert change.incident.snooze == held.snooze
    assert change.timers["slack:leads"] == NOW + ON_HOLD_MAX_MS + WAIT_MS
    assert change.timers["slack"] == NOW + MINUTE_MS
    assert events(change) == [Event.ROUTED]


def test_reassigned_and_taken_off_hold_at_once_the_wait_begins_again():
    held = heard(triggered(), report(Standing.ON_HOLD)).incident
    moved = replace(routed_report(), side=side(Standing.NEW, 2, route="g-leads"))

    change = heard(held, moved, now_ms=NOW + MINUTE_MS)

    assert change.incident.snooze is None
    assert change.timers["slack:leads"] == NOW + MINUTE_MS + WAIT_MS


def test_what_changes_of_a_resolved_incident_keeps_it_still():
    before = resolved()
    everything = routed_report(title="No mail in Ulm", severity="critical", assignee="u-ben", group="g-leads")

    change = heard(before, everything)

    assert is_as_before(before, change)
    assert change.incident.sides[SERVICENOW] == everything.side


def test_news_beyond_those_that_are_kept_are_said_there_too():
    busy = triggered()
    for number in range(30):
        busy = after(comment(busy, f"still there, {number}", ANA, NOW))

    incident = heard(busy, report(Standing.IN_PROGRESS, assignee="u-ben")).incident

    assert [it.said_at for it in incident.news] == [*[""] * 18, SERVICENOW, SERVICENOW]


@pytest.mark.parametrize(
    "told",
    [
        report(Standing.IN_PROGRESS, assignee="u-ben"),
        report(Standing.ON_HOLD, severity="critical"),
        report(Standing.RESOLVED, comment="the disk was full"),
        routed_report(),
    ],
    ids=["acknowledged and assigned", "held and raised", "resolved", "routed"],
)
def test_what_was_heard_of_a_ticket_is_never_written_to_it(told):
    before = after(comment(triggered(), "it is mine", ANA, NOW))

    change = heard(before, told)

    new = change.incident.news[len(before.news) :]
    assert {it.said_at for it in (*new, *change.entries)} == {SERVICENOW}
    assert change.incident.news[: len(before.news)] == before.news


def test_what_is_found_by_comparing_is_in_the_timeline_and_not_in_the_thread():
    change = heard(triggered(), report(Standing.IN_PROGRESS, assignee="u-ben", is_repair=True), called="ServiceNow")

    assert events(change) == [Event.ASSIGNED, Event.ACKNOWLEDGED, Event.REPAIRED]
    assert change.entries[-1].detail == "ServiceNow: assignee, state"
    assert Event.REPAIRED not in [it.event for it in change.incident.news]


def test_comparing_what_was_told_in_the_meantime_finds_nothing():
    incident = heard(triggered(), report(Standing.IN_PROGRESS)).incident

    assert hear(incident, report(Standing.IN_PROGRESS, is_repair=True), NOW) is None
    assert not heard(incident, report(Standing.IN_PROGRESS, revision=2, is_repair=True)).entries


def test_a_record_of_a_restored_instance_counts_again_once_comparing_finds_it_set_back():
    before = at(triggered(), Standing.NEW, revision=9)
    set_back = report(revision=4, is_repair=True, since=before.sides[SERVICENOW])

    incident = heard(before, set_back).incident

    assert incident.sides[SERVICENOW].revision == 4
    assert incident.status is Status.TRIGGERED
    assert heard(incident, report(Standing.IN_PROGRESS, revision=5)).incident.status is Status.ACKNOWLEDGED


@pytest.mark.parametrize(
    "late",
    [
        pytest.param({"is_repair": False}, id="an event"),
        pytest.param({"is_repair": True, "since": None}, id="read before it was known"),
        pytest.param({"is_repair": True, "since": side(revision=8)}, id="read before the latest event"),
    ],
)
def test_what_may_be_late_does_not_set_a_record_back(late):
    before = at(triggered(), Standing.NEW, revision=9)

    assert is_as_before(before, heard(before, report(Standing.RESOLVED, revision=4, **late)))


# What people do here


def test_acknowledged_here_the_ticket_hears_and_it_was_not_said_there():
    change = done(acknowledge(triggered(), ANA, NOW))

    assert change.timers[SERVICENOW] is not None
    assert change.incident.news[-1].said_at == ""
    assert change.incident.acknowledged_by == ANA


def test_resolved_here_the_ticket_hears_with_the_comment():
    change = done(resolve(triggered(), ANA, NOW, "the disk was full"))

    assert change.timers[SERVICENOW] is not None
    assert change.incident.resolve_comment == "the disk was full"


def test_commented_here_the_ticket_hears():
    change = done(comment(triggered(), "it is mine", ANA, NOW))

    assert change.timers[SERVICENOW] == NOW
    assert change.incident.news[-1].said_at == ""


def test_raised_here_the_escalation_begins_again_and_the_ticket_hears():
    change = done(set_severity(acknowledged(), "critical", BEN, NOW, by_ticket))

    assert change.incident.escalates_at_ms == NOW + WAIT_MS
    assert change.timers[SERVICENOW] == NOW


def test_re_routed_here_the_escalation_begins_again_and_the_ticket_hears():
    change = done(route(acknowledged(), Route("to policy leads", policy="leads"), ANA, NOW, by_ticket))

    assert (change.incident.status, change.incident.policy.name) == (Status.TRIGGERED, "leads")
    assert change.incident.escalates_at_ms == NOW + WAIT_MS
    assert change.timers[SERVICENOW] == NOW
    assert change.incident.origin == SERVICENOW


def test_when_nobody_acknowledges_the_ticket_is_called_and_stays_the_only_one():
    change = done(begin_step(triggered(), START_MS + WAIT_MS, by_ticket))

    assert change.incident.is_called(SERVICENOW)
    assert change.timers[SERVICENOW] == START_MS + WAIT_MS
    assert change.incident.delivery(SERVICENOW).label == "INC0010001"
    assert change.incident.providers == (SERVICENOW,)


# Who agrees


@pytest.mark.parametrize(
    ("status", "standing", "found"),
    [
        (Status.TRIGGERED, Standing.NEW, ()),
        (Status.TRIGGERED, Standing.IN_PROGRESS, ()),
        (Status.ACKNOWLEDGED, Standing.NEW, ()),
        (Status.RESOLVED, Standing.CLOSED, ()),
        (Status.RESOLVED, Standing.IN_PROGRESS, ("resolved here, in progress there",)),
        (Status.TRIGGERED, Standing.RESOLVED, ("triggered here, resolved there",)),
        (Status.ACKNOWLEDGED, Standing.CLOSED, ("acknowledged here, closed there",)),
    ],
)
def test_an_incident_and_its_ticket_differ_when_one_of_them_is_over(status, standing, found):
    assert differences(BY_STATUS[status](), side(standing)) == found


def test_a_ticket_that_was_reopened_there_agrees_with_its_incident():
    incident = heard(at(resolved(), Standing.RESOLVED), report(Standing.IN_PROGRESS, revision=2)).incident

    assert differences(incident, incident.sides[SERVICENOW]) == ()


def test_a_reopening_of_before_the_last_end_does_not_count():
    first = heard(at(resolved(), Standing.RESOLVED), report(revision=2)).incident
    old = replace(first, resolved_at_ms=NOW + MINUTE_MS)

    assert differences(old, side()) == ("resolved here, new there",)


def test_an_entry_knows_where_it_was_said():
    assert Entry(NOW, Event.COMMENTED).said_at == ""
