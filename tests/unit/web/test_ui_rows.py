"""What a row of a list says of an incident."""

import pytest

from tests.support.clock import START_MS
from tests.support.factories import make_alert, make_incident, make_policy
from versus_py.incidents import transitions
from versus_py.incidents.copies import replace
from versus_py.incidents.model import Actor, Alert, Call, Delivery, Suppression
from versus_py.incidents.policies import Policy, Step
from versus_py.web.pages.ui.rows import Severity, row_of

MINUTE_MS = 60_000
ANA = Actor("Ana Diaz")


def row(incident):
    return row_of(incident, lambda target: target.upper())


def changed(change):
    assert change is not None
    return change.incident


def test_what_waits_says_when_it_escalates_and_to_whom():
    shown = row(make_incident())

    assert not shown.is_taken
    assert (shown.due_ms, shown.due_to, shown.sort) == (START_MS + 5 * MINUTE_MS, "SERVICENOW", shown.due_ms)
    assert shown.due_from_ms == START_MS
    assert (shown.status, shown.escalated_at_ms, shown.held_by) == ("triggered", None, "")


@pytest.mark.parametrize(
    ("left_ms", "tone", "is_hot"),
    [
        pytest.param(300_000, "", False, id="five minutes"),
        pytest.param(299_000, "soon", False, id="less"),
        pytest.param(119_000, "hot", True, id="less than two"),
        pytest.param(-5_000, "hot", True, id="over"),
    ],
)
def test_the_countdown_turns_amber_and_then_red(left_ms, tone, is_hot):
    shown = row(make_incident())

    now_ms = shown.due_ms - left_ms

    assert (shown.tone(now_ms), shown.is_hot(now_ms)) == (tone, is_hot)


def test_what_never_escalates_comes_after_all_that_does():
    never, later = row(make_incident(policy=make_policy(oncall=None))), row(make_incident())

    assert never.due_ms is None
    assert never.sort > later.sort


def test_what_has_escalated_says_since_when_and_as_what():
    incident = make_incident()
    incident = changed(transitions.begin_step(incident, START_MS + 5 * MINUTE_MS))
    incident = replace(incident, deliveries={"servicenow": Delivery({"id": "1"}, "INC1", "https://sn/1")})

    shown = row(incident)

    assert (shown.escalated_at_ms, shown.due_ms) == (START_MS + 5 * MINUTE_MS, None)
    assert (shown.record, shown.record_url) == ("INC1", "https://sn/1")
    assert shown.is_hot(START_MS)


def test_an_acknowledged_one_says_by_whom_since_when_and_until_when():
    incident = make_incident(policy=make_policy(ack_timeout_ms=60 * MINUTE_MS))
    acknowledged = changed(transitions.acknowledge(incident, ANA, START_MS + MINUTE_MS))

    shown = row(acknowledged)

    assert (shown.taken_at_ms, shown.taken_by.name, shown.taken_by.initials) == (START_MS + MINUTE_MS, "Ana Diaz", "AD")
    assert shown.back_at_ms == START_MS + 61 * MINUTE_MS
    assert shown.due_ms is None


def test_a_snoozed_one_is_taken_until_the_snooze_ends():
    snoozed = changed(transitions.snooze(make_incident(), START_MS + 60 * MINUTE_MS, ANA, START_MS + MINUTE_MS))

    shown = row(snoozed)

    assert (shown.status, shown.is_taken, shown.taken_by.name) == ("snoozed", True, "Ana Diaz")
    assert shown.back_at_ms == START_MS + 60 * MINUTE_MS


def test_a_silenced_one_says_so_and_comes_after_what_escalates():
    silenced = replace(make_incident(), suppression=Suppression(START_MS, "ben: deploy", START_MS + 9 * MINUTE_MS))

    shown = row(silenced)

    assert (shown.status, shown.held_by, shown.held_until_ms) == ("suppressed", "silenced", START_MS + 9 * MINUTE_MS)
    assert shown.due_ms is None
    assert shown.sort > row(make_incident()).sort


def test_one_outside_of_hours_says_when_they_begin():
    policy = Policy(name="day", steps=(Step(("slack",)),), opens_at_ms=START_MS + 60 * MINUTE_MS)

    shown = row(make_incident(policy=policy))

    assert (shown.status, shown.held_by, shown.held_until_ms) == ("held", "outside of hours", START_MS + 60 * MINUTE_MS)
    assert shown.tone(START_MS + 59 * MINUTE_MS) == ""


def test_it_names_what_all_alerts_share_and_counts_them():
    alerts = [
        make_alert("A", cluster="eu", pod="a", fingerprint="1"),
        make_alert("B", cluster="eu", pod="b", fingerprint="2"),
    ]

    shown = row(make_incident(*alerts))

    assert shown.alerts == 2
    assert shown.labels == (("cluster", "eu"),)


@pytest.mark.parametrize(
    ("query", "matches"),
    [
        ("", True),
        ("diskfull", True),
        ("DISK db-7", True),
        ("instance=db-7", True),
        ("instance=db", False),
        ("instance=db-8", False),
        ("diskfull nothing", False),
    ],
)
def test_a_filter_is_words_and_labels_in_any_case(query, matches):
    shown = row(make_incident(make_alert(instance="db-7")))

    assert shown.matches(query) is matches


@pytest.mark.parametrize(
    ("name", "looks"),
    [
        ("critical", ("Critical", "red", "crit")),
        ("P1", ("P1", "red", "crit")),
        ("error", ("Error", "red", "crit")),
        ("warning", ("Warning", "amber", "warn")),
        ("info", ("Info", "", "info")),
        ("unheard of", ("Unheard of", "", "info")),
    ],
)
def test_a_severity_keeps_its_name_and_looks_as_its_level(name, looks):
    found = Severity.of(name)

    assert (found.name, found.tone, found.icon) == looks


def test_a_link_leads_to_a_page_only():
    record = {"servicenow": Delivery({"id": "1"}, "INC1", "javascript:alert(1)")}
    incident = replace(make_incident(), deliveries=record, calls={"servicenow": Call(1, START_MS, START_MS)})

    assert row(incident).record_url == ""


def test_a_title_is_one_line_and_bounded():
    shown = row(make_incident(title="a\nb " + "c" * 500))

    assert shown.title.startswith("a b c")
    assert len(shown.title) <= 160


def test_a_hostile_alert_is_counted_by_what_it_takes():
    mild, hostile = row(make_incident()), row(make_incident(title='"' * 160))

    assert hostile.size > mild.size + 2 * 160 * len("&quot;") - 100


def test_what_a_filter_looks_at_is_bounded():
    alerts = [Alert(str(n), make_alert().status, labels={"pod": f"{n}-{'x' * 200}"}) for n in range(500)]

    assert len(row(make_incident(*alerts)).text) < 10_000
