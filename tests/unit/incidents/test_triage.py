"""People say how grave an incident is, and who deals with it."""

from typing import Any

import pytest

from tests.support.clock import START_MS
from tests.support.factories import make_alert, make_incident, make_notification, make_policy
from versus_py.incidents.copies import replace
from versus_py.incidents.model import Actor, Event, Incident, Notification, Status
from versus_py.incidents.policies import Asked, Policy, Step
from versus_py.incidents.transitions import (
    Change,
    acknowledge,
    begin_step,
    end_acknowledgment,
    observe,
    resolve,
    snooze,
    unacknowledge,
)
from versus_py.incidents.triage import Route, route, set_severity

ANA = Actor("Ana Diaz", "ana@example.com", {"slack": "U0ANA"})
BEN = Actor("ben")
NOW = START_MS + 60_000
MINUTE_MS = 60_000


def done(change: Change | None) -> Change:
    assert change
    return change


def after(change: Change | None) -> Incident:
    return done(change).incident


def asked_of(incident: Incident) -> Asked:
    assert incident.policy.asked
    return incident.policy.asked


def of_severity(severity: str, name: str = "DiskFull") -> Notification:
    alert = replace(make_alert(name, severity=severity), severity=severity)
    return make_notification(alert, severity=severity)


def incident_of(severity: str, policy: Policy | None = None) -> Incident:
    alert = replace(make_alert(severity=severity), severity=severity)
    return make_incident(alert, severity=severity, policy=policy or make_policy(asked=Asked()))


def by_severity(incident: Incident, now_ms: int = NOW) -> Policy:
    """As a configuration has it: what is critical pages at once, and the rest has half an hour."""
    asked = incident.policy.asked or Asked()
    severity = asked.severity or incident.severity
    if severity == "critical":
        steps = (Step(("slack",)), Step(("slack:leads",)), Step(("servicenow",), 60_000))
        return Policy(steps, "critical", ("servicenow",), asked=asked)
    return Policy((Step(("slack",)), Step(("servicenow",), 30 * 60_000)), "rest", ("servicenow",), asked=asked)


RAISED = [Event.SEVERITY_RAISED]
AGAIN = [Event.SEVERITY_RAISED, Event.RETRIGGERED]


# Severity


def test_a_severity_is_said_with_who_said_it_and_every_target_that_shows_the_incident_hears():
    change = done(set_severity(incident_of("warning"), "critical", ANA, NOW))

    assert after(change).severity == "critical"
    [entry] = change.entries
    assert (entry.event, entry.detail, entry.by) == (Event.SEVERITY_RAISED, "warning → critical", ANA)
    assert change.timers["slack"] == NOW
    assert after(change).content_count == 1


@pytest.mark.parametrize("severity", ["info", "warning"])
def test_one_that_is_not_graver_is_no_alarm_but_is_told(severity):
    acked = after(acknowledge(incident_of("error"), BEN, START_MS))

    change = done(set_severity(acked, severity, ANA, NOW))

    assert [it.event for it in change.entries] == [Event.SEVERITY_CHANGED]
    assert (after(change).status, after(change).severity) == (Status.ACKNOWLEDGED, severity)
    assert change.timers["slack"] == NOW


@pytest.mark.parametrize(
    ("own", "stands"),
    [
        pytest.param(["warning"], "info", id="as they were"),
        pytest.param(["info", "warning"], "info", id="lower, and as they were again"),
        pytest.param(["error"], "error", id="graver than they were"),
    ],
)
def test_a_severity_stands_until_the_alerts_are_graver_than_they_were_then(own, stands):
    incident = after(set_severity(incident_of("warning"), "info", ANA, NOW))

    for severity in own:
        incident = after(observe(incident, of_severity(severity), NOW))

    assert incident.severity == stands


@pytest.mark.parametrize("name", ["crit", "CRITICAL", "P1", "page"])
def test_another_name_of_the_severity_that_it_has_changes_nothing(name):
    assert set_severity(incident_of("critical"), name, ANA, NOW) is None


def test_two_names_that_nobody_knows_are_two_severities():
    assert set_severity(incident_of("purple"), "green", ANA, NOW) is not None


def test_alerts_that_get_graver_and_are_not_as_grave_as_said_lower_nothing():
    incident = after(set_severity(incident_of("info"), "critical", ANA, NOW))

    incident = after(observe(incident, of_severity("warning"), NOW))

    assert incident.severity == "critical"


def test_a_severity_that_is_said_twice_is_still_measured_by_the_alerts():
    incident = after(set_severity(incident_of("warning"), "critical", ANA, NOW))
    incident = after(set_severity(incident, "info", BEN, NOW))

    assert after(observe(incident, of_severity("warning"), NOW)).severity == "info"
    assert after(observe(incident, of_severity("error"), NOW)).severity == "error"


def test_a_severity_outlives_a_resolve_and_a_reopening():
    incident = after(resolve(after(set_severity(incident_of("warning"), "info", ANA, NOW)), ANA, NOW))

    assert after(observe(incident, of_severity("warning"), NOW)).severity == "info"


def test_matchers_see_what_a_person_said_and_what_the_request_said_once_that_is_over():
    incident = incident_of("warning", make_policy(asked=Asked(severity="warning")))

    lowered = after(set_severity(incident, "info", ANA, NOW))
    risen = after(observe(lowered, of_severity("critical"), NOW))

    assert asked_of(lowered).severity == "info"
    assert (asked_of(risen).severity, risen.said_severity) == ("warning", None)


@pytest.mark.parametrize(
    ("dealt_with", "said_by", "events"),
    [
        pytest.param(lambda it: it, ANA, RAISED, id="nobody did"),
        pytest.param(lambda it: after(acknowledge(it, BEN, START_MS)), ANA, AGAIN, id="acknowledged by another"),
        pytest.param(lambda it: after(acknowledge(it, ANA, START_MS)), ANA, RAISED, id="by the same"),
        pytest.param(
            lambda it: after(acknowledge(it, Actor("ana", ids={"slack": "U0ANA"}), START_MS)),
            ANA,
            RAISED,
            id="by the same, who had no name",
        ),
        pytest.param(lambda it: after(snooze(it, NOW + MINUTE_MS, BEN, START_MS)), ANA, AGAIN, id="snoozed"),
        pytest.param(lambda it: after(snooze(it, NOW + MINUTE_MS, BEN, START_MS)), BEN, RAISED, id="by the same too"),
    ],
)
def test_a_graver_severity_begins_a_wait_for_who_dealt_with_it_but_not_for_who_says_so(dealt_with, said_by, events):
    change = done(set_severity(dealt_with(incident_of("warning")), "critical", said_by, NOW))

    assert [it.event for it in change.entries] == events
    if events == AGAIN:
        assert (after(change).status, after(change).waiting_since_ms) == (Status.TRIGGERED, NOW)
        assert change.timers["servicenow"] == NOW + 5 * MINUTE_MS


def test_a_graver_severity_is_followed_by_its_policy_where_that_is_due_sooner():
    rest = incident_of("warning", by_severity(incident_of("warning")))

    change = done(set_severity(rest, "critical", ANA, NOW, by_severity))

    assert after(change).policy.name == "critical"
    assert change.timers["slack:leads"] == NOW
    assert change.timers["servicenow"] == NOW + MINUTE_MS


def test_what_is_held_is_told_at_once_where_a_graver_severity_leads_to_a_policy_without_hours():
    held = incident_of("warning", replace(by_severity(incident_of("warning")), opens_at_ms=NOW + 3600_000))

    change = done(set_severity(held, "critical", ANA, NOW, by_severity))

    assert held.calls == {}
    assert after(change).calls.keys() == {"slack"}
    assert change.timers["slack"] == change.timers["slack:leads"] == NOW


def test_a_lower_severity_leaves_the_round_that_goes_on_and_counts_in_the_next():
    incident = incident_of("critical", by_severity(incident_of("critical")))

    lowered = after(set_severity(incident, "info", ANA, NOW, by_severity))
    acked = after(acknowledge(lowered, ANA, NOW))

    assert (lowered.policy.name, lowered.escalates_at_ms) == ("critical", incident.escalates_at_ms)
    assert after(unacknowledge(acked, ANA, NOW, by_severity)).policy.name == "rest"


def test_what_joins_is_of_the_severity_that_a_person_said():
    rest = incident_of("warning", by_severity(incident_of("warning")))
    lowered = after(set_severity(rest, "info", ANA, NOW, by_severity))
    critical = by_severity(incident_of("critical"))

    joined = observe(
        lowered, replace(of_severity("warning", "Other"), is_complete=False), NOW, critical, policy_of=by_severity
    )

    assert after(joined).policy.name == "rest"


def test_a_raise_of_what_is_acknowledged_keeps_the_end_of_the_acknowledgment_on_time():
    policy = make_policy(ack_timeout_ms=4 * 3600_000, asked=Asked())
    acked = after(acknowledge(incident_of("warning", policy), ANA, START_MS))

    raised = after(set_severity(acked, "critical", ANA, NOW))

    assert raised.ack_ends_at_ms == acked.ack_ends_at_ms
    assert end_acknowledgment(raised, START_MS + 4 * 3600_000) is not None


@pytest.mark.parametrize(
    "incident",
    [
        pytest.param(incident_of("critical"), id="it is that already"),
        pytest.param(after(resolve(incident_of("warning"), ANA, START_MS)), id="it is resolved"),
    ],
)
def test_a_severity_changes_nothing_where_there_is_nothing_to_change(incident):
    assert set_severity(incident, "critical", ANA, NOW) is None


# Route


LEADS = Route("to policy leads", "leads")
ELSEWHERE = Route("to Slack C0DBA", channel="slack", place="C0DBA", default_place="C0ALERTS")


def as_asked(incident: Incident, now_ms: int) -> Policy:
    """As a configuration has it, with a policy that may be named."""
    asked = incident.policy.asked or Asked()
    if asked.policy == "leads":
        return Policy((Step(("slack:leads",)),), "leads", asked=asked, destinations=asked.destinations)
    return make_policy(asked=asked, destinations=asked.destinations)


def plain(**asked: Any) -> Incident:
    return make_incident(policy=make_policy(asked=Asked(**asked)))


def test_a_policy_that_a_person_names_begins_its_first_round():
    change = done(route(after(acknowledge(plain(), BEN, START_MS)), LEADS, ANA, NOW, as_asked))

    routed = after(change)
    assert (routed.status, routed.policy.name, routed.waiting_since_ms) == (Status.TRIGGERED, "leads", NOW)
    assert change.timers["slack:leads"] == NOW
    assert change.timers["slack"] == NOW  # its message stays, and says so
    [entry] = change.entries
    assert (entry.event, entry.detail, entry.by) == (Event.ROUTED, "to policy leads", ANA)


def test_later_rounds_go_by_it_too():
    routed = after(route(plain(), LEADS, ANA, NOW, as_asked))
    acked = after(acknowledge(routed, ANA, NOW))

    assert after(unacknowledge(acked, ANA, NOW, as_asked)).policy.name == "leads"


def test_the_waits_that_a_request_asked_for_do_not_count_for_a_policy_that_a_person_named():
    incident = plain(wait_ms=1000, escalates=False, severity="info", destinations={"slack": "C0TEAM"})

    asked = after(route(incident, LEADS, ANA, NOW, as_asked)).policy.asked

    assert asked == Asked(policy="leads", severity="info", destinations={"slack": "C0TEAM"})


def test_a_channel_that_a_person_names_has_the_message_go_there_in_this_round_and_later_ones():
    change = done(route(plain(wait_ms=1000), ELSEWHERE, ANA, NOW, as_asked))

    routed = after(change)
    assert routed.policy.destinations == asked_of(routed).destinations == {"slack": "C0DBA"}
    assert asked_of(routed).wait_ms == 1000
    assert routed.moved == {"slack": NOW}
    assert change.timers["slack"] == NOW


def test_a_record_that_it_has_stays_its_record():
    escalated = after(begin_step(plain(), START_MS + 5 * MINUTE_MS))

    change = done(route(escalated, LEADS, ANA, NOW, as_asked))

    assert after(change).policy.providers == ("servicenow",)
    assert "servicenow" in after(change).told


@pytest.mark.parametrize(
    ("incident", "to"),
    [
        pytest.param(after(resolve(plain(), ANA, START_MS)), LEADS, id="it is resolved"),
        pytest.param(after(route(plain(), LEADS, ANA, NOW, as_asked)), LEADS, id="it goes by that policy"),
        pytest.param(after(route(plain(), ELSEWHERE, ANA, NOW, as_asked)), ELSEWHERE, id="it is there"),
        pytest.param(plain(), replace(ELSEWHERE, place="C0ALERTS"), id="it is there by itself"),
        pytest.param(
            after(route(plain(), LEADS, ANA, NOW, as_asked)), ELSEWHERE, id="its policy does not tell that channel"
        ),
    ],
)
def test_a_route_changes_nothing_where_there_is_nothing_to_change(incident, to):
    assert route(incident, to, ANA, NOW, as_asked) is None


def test_it_may_come_back_to_where_it_was():
    there = after(route(plain(), ELSEWHERE, ANA, NOW, as_asked))

    back = after(route(there, replace(ELSEWHERE, place="C0ALERTS"), ANA, NOW + 1, as_asked))

    assert back.moved == {"slack": NOW + 1}


def test_an_incident_of_an_earlier_version_is_routed_with_its_destinations():
    incident = make_incident(policy=make_policy(destinations={"servicenow": "infra"}))

    routed = after(route(incident, LEADS, ANA, NOW, as_asked))

    assert (routed.policy.name, routed.policy.destinations) == ("leads", {"servicenow": "infra"})


def test_a_severity_whose_policy_calls_an_on_call_provider_at_once_says_so():
    waits = make_policy()
    at_once = replace(waits, name="all", steps=(Step(targets=("slack", "servicenow")),))
    incident = make_incident(make_alert(severity="warning"), policy=waits)

    change = done(set_severity(replace(incident, severity="warning"), "critical", ANA, NOW, lambda *_: at_once))

    assert [it.event for it in change.entries] == [Event.SEVERITY_RAISED, Event.ESCALATING]
    assert change.incident.is_escalating
