"""What the page of one incident says."""

import pytest

from tests.support.clock import START_MS
from tests.support.factories import make_alert, make_incident, make_policy
from versus_py.incidents import transitions
from versus_py.incidents.copies import replace
from versus_py.incidents.model import Actor, Comment, Delivery, Entry, Event
from versus_py.incidents.policies import Policy, Step
from versus_py.web.pages.ui.detail import detail_of
from versus_py.web.pages.ui.timeline import ENTRIES, timeline_of

MINUTE_MS = 60_000
ANA = Actor("Ana Diaz")
STEPS = Policy(
    name="critical",
    steps=(Step(("slack",)), Step(("slack:leads",), 10 * MINUTE_MS), Step(("servicenow",), 5 * MINUTE_MS)),
    providers=("servicenow",),
    repeat=2,
)


def detail(incident, *entries, **asked):
    return detail_of(incident, entries, str, **asked)


def changed(change):
    assert change is not None
    return change.incident


def test_a_triggered_one_is_to_be_acknowledged():
    shown = detail(make_incident())

    assert shown.primary == "acknowledge"
    assert {"acknowledge", "resolve", "escalate", "snooze", "severity", "route"} == shown.actions
    assert shown.escalates_to == "servicenow"


def test_an_acknowledged_one_is_to_be_resolved():
    shown = detail(changed(transitions.acknowledge(make_incident(), ANA, START_MS)))

    assert shown.primary == "resolve"
    assert "unacknowledge" in shown.actions
    assert "snooze" not in shown.actions
    assert shown.escalates_to == "servicenow"


def test_an_acknowledgment_that_ends_is_to_be_renewed_and_may_be_snoozed():
    incident = make_incident(policy=make_policy(ack_timeout_ms=60 * MINUTE_MS))

    shown = detail(changed(transitions.acknowledge(incident, ANA, START_MS)))

    assert shown.primary == "renew"
    assert "snooze" in shown.actions


def test_a_resolved_one_has_nothing_to_press():
    shown = detail(changed(transitions.resolve(make_incident(), ANA, START_MS + 1, "replaced the disk")))

    assert (shown.primary, shown.actions) == ("", frozenset())
    assert (shown.status, shown.resolved_by, shown.resolve_comment) == ("resolved", "Ana Diaz", "replaced the disk")


def test_the_steps_say_who_was_told_and_who_is_next_and_when():
    incident = make_incident(policy=STEPS)
    incident = replace(incident, deliveries={"slack": Delivery({"ts": "1"}, synced_at_ms=START_MS)})

    shown = detail(incident)

    assert [(it.state, it.targets, it.at_ms) for it in shown.steps] == [
        ("done", "slack", START_MS),
        ("next", "slack:leads", START_MS + 10 * MINUTE_MS),
        ("later", "servicenow", START_MS + 15 * MINUTE_MS),
    ]
    assert shown.rounds_to_come == 2
    assert (shown.coming.position.step, shown.coming.position.steps) == (2, 3)


def test_a_step_that_failed_says_so():
    failed = {"slack": Delivery(failed_at_ms=START_MS, error="channel_not_found")}

    shown = detail(replace(make_incident(policy=STEPS), deliveries=failed))

    assert shown.steps[0].state == "failed"


def test_steps_that_an_acknowledgment_spared_are_skipped():
    shown = detail(changed(transitions.acknowledge(make_incident(policy=STEPS), ANA, START_MS)))

    assert [it.state for it in shown.steps] == ["late", "skipped", "skipped"]
    assert shown.rounds_to_come == 0


def test_alerts_say_once_what_they_share_and_what_differs_in_a_table():
    alerts = [make_alert("Crash", cluster="eu", pod=f"p{n}", fingerprint=str(n)) for n in range(3)]
    over = make_alert("Crash", firing=False, cluster="eu", pod="p9", fingerprint="9")

    shown = detail(make_incident(*alerts, over)).alerts

    assert shown.overview.labels["cluster"] == "eu"
    assert shown.columns[0] == "pod"
    assert [it.labels["pod"] for it in shown.lines] == ["p0", "p1", "p2"]
    assert (shown.count, shown.firing) == ("3 of 4 alerts firing", 3)
    assert "p9" in shown.resolved


def test_alerts_are_bounded_and_all_are_there_when_asked_for():
    incident = make_incident(*[make_alert("Crash", pod=f"p{n}", fingerprint=str(n)) for n in range(50)])

    assert (len(detail(incident).alerts.lines), detail(incident).alerts.left_out) == (20, 30)
    assert len(detail(incident, all_alerts=True).alerts.lines) == 50


@pytest.mark.parametrize(
    ("delivery", "state", "may_retry"),
    [
        pytest.param(Delivery({"ts": "1"}, synced_at_ms=START_MS), "ok", False, id="in sync"),
        pytest.param(Delivery({"ts": "1"}, synced_at_ms=START_MS - 1), "behind", False, id="older"),
        pytest.param(Delivery(error="429", attempts=3, failing_since_ms=START_MS), "failing", False, id="failing"),
        pytest.param(Delivery(error="no", failed_at_ms=START_MS), "failed", True, id="given up"),
        pytest.param(Delivery(error="401", is_refused=True, failing_since_ms=1), "refused", True, id="credentials"),
        pytest.param(Delivery(), "waiting", False, id="not yet"),
    ],
)
def test_a_delivery_says_how_it_stands(delivery, state, may_retry):
    shown = detail(replace(make_incident(), deliveries={"slack": delivery})).deliveries[0]

    assert (shown.name, shown.state, shown.may_retry) == ("slack", state, may_retry)
    assert (shown.error, shown.attempts) == (delivery.error, delivery.attempts)


def test_a_target_of_a_step_to_come_is_waited_for():
    shown = {it.name: it for it in detail(make_incident()).deliveries}["servicenow"]

    assert (shown.state, shown.at_ms) == ("waiting", START_MS + 5 * MINUTE_MS)


def test_links_lead_to_pages_only():
    incident = make_incident(url="javascript:alert(1)")
    incident = replace(incident, deliveries={"slack": Delivery({"ts": "1"}, url="https://slack.example/1")})

    assert detail(incident).links == (("Source", "http://prometheus/graph"), ("slack", "https://slack.example/1"))


def test_the_page_of_a_ticket_is_linked_once_by_its_number():
    to = "https://dev12345.service-now.com/incident.do?sys_id=1"
    incident = make_incident(replace(make_alert("Mail"), url=to), source="servicenow", url=to)
    record = Delivery({"sys_id": "1"}, label="INC0010001", url=to)

    links = detail(replace(incident, deliveries={"servicenow": record})).links

    assert links == (("servicenow INC0010001", to),)


def test_the_timeline_says_who_did_what():
    entries = [
        Entry(1, Event.TRIGGERED, "3 alerts from alertmanager"),
        Entry(2, Event.ESCALATING, "step 2 of 3: nobody acknowledged"),
        Entry(3, Event.ACKNOWLEDGED, by=ANA),
        Entry(4, Event.COMMENTED, "on it", ANA),
        Entry(5, Event.RESOLVED, "fixed", ANA),
        Entry(6, Event("of a newer version"), "words"),
    ]

    lines = timeline_of(make_incident(), entries).lines

    assert [(it.who, it.what, it.detail, it.quote) for it in lines] == [
        ("", "Triggered by", "3 alerts from alertmanager", ""),
        ("", "Escalating:", "step 2 of 3: nobody acknowledged", ""),
        ("Ana Diaz", "acknowledged", "", ""),
        ("Ana Diaz", "commented", "", "on it"),
        ("Ana Diaz", "resolved", "", "fixed"),
        ("", "Of a newer version:", "words", ""),
    ]


def test_what_people_wrote_in_the_record_stands_in_its_place_and_once():
    comments = (Comment(2, "Ben", "looking"), Comment(4, "Ana Diaz", "on it"))
    incident = replace(make_incident(), deliveries={"servicenow": Delivery({"id": "1"}, "INC1", comments=comments)})
    entries = [Entry(1, Event.TRIGGERED), Entry(3, Event.COMMENTED, "on it", ANA), Entry(5, Event.RESOLVED)]

    lines = timeline_of(incident, entries).lines

    assert [(it.at_ms, it.who, it.what) for it in lines] == [
        (1, "", "Triggered"),
        (2, "Ben", "in INC1"),
        (3, "Ana Diaz", "commented"),
        (5, "", "Resolved"),
    ]


def test_a_long_timeline_begins_with_its_latest():
    entries = [Entry(number, Event.JOINED, str(number)) for number in range(500)]

    shown = timeline_of(make_incident(), entries)

    assert (len(shown.lines), shown.lines[-1].detail, shown.earlier) == (ENTRIES, "499", 500 - ENTRIES)
    assert len(timeline_of(make_incident(), entries, limit=None).lines) == 500


def test_every_event_that_people_bring_about_is_told():
    told = [timeline_of(make_incident(), [Entry(1, event, "x", ANA)]).lines[0] for event in Event]

    assert all(it.who == "Ana Diaz" for it in told)
    assert all(it.what for it in told)
