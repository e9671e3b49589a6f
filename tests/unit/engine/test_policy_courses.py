"""What is shown of policies is what the engine makes of them."""

import pytest

from tests.support.factories import make_incident
from tests.support.policies import BERLIN, CRITICAL, LOW, MINUTE_MS, NIGHT_MS, make_config
from versus_py.engine.courses import (
    MADE,
    Course,
    duration,
    labels_from,
    notification_of,
    schedule,
    shown_policies,
    shown_policy,
)
from versus_py.engine.policies import Policies
from versus_py.incidents.copies import replace
from versus_py.incidents.policies import Asked
from versus_py.incidents.transitions import begin_step

CONFIG = make_config(CRITICAL, LOW)
NOTHING = Asked()


def course(labels, config=CONFIG, at_ms=NIGHT_MS, asked=NOTHING):
    return Course(Policies(config).for_labels(labels, at_ms, asked), labels, at_ms)


def test_policies_are_listed_in_the_order_in_which_they_are_tried_and_the_one_from_oncall_last():
    assert [(it.name, it.match, it.hours, it.steps) for it in shown_policies(CONFIG)] == [
        (
            "critical",
            'severity="critical"',
            "always",
            "at once: slack; after 10m: slack:leads; after 1h30m: servicenow; 2 rounds",
        ),
        ("low", 'severity="info"', "in office", "at once: slack"),
        (MADE, "what no policy matches", "always", "at once: slack; after 3m: servicenow"),
    ]


def test_the_policy_from_oncall_is_not_listed_after_one_that_matches_everything():
    rest = {"name": "rest", "steps": [{"notify": ["slack"]}], "not_in": ["office"]}

    assert [(it.name, it.match, it.hours) for it in shown_policies(make_config(LOW, rest))] == [
        ("low", 'severity="info"', "in office"),
        ("rest", "everything", "not in office"),
    ]


def test_a_policy_is_shown_with_its_places_mentions_and_fields():
    assert shown_policy(CONFIG, "critical").pairs(CONFIG) == [
        ("policy", "critical"),
        ("match", 'severity="critical"'),
        ("hours", "always"),
        ("step 1", "at once: slack (C0ALERTS)"),
        ("step 2", "after 10m: slack:leads (C0LEADS0), mentions <!subteam^S0123456789>"),
        ("step 3", "after 1h30m: servicenow, urgency: 1, the next step waits if it fails"),
        ("rounds", "2"),
        ("ack timeout", "4h"),
    ]


def test_the_policy_from_oncall_is_shown_with_its_fallback():
    pairs = shown_policy(CONFIG, "").pairs(CONFIG)

    assert ("if servicenow fails for 15m", "slack:C0FALLBK") in pairs


def test_a_policy_with_a_provider_is_shown_with_it_where_only_requests_switch_on_call_on():
    config = make_config(CRITICAL, oncall={"initialized_only": True})

    assert shown_policy(config, "critical").steps == shown_policy(CONFIG, "critical").steps
    assert shown_policy(config, "").steps == "at once: slack"


def test_every_step_of_every_round_is_due_when_the_engine_begins_it():
    policy = course({"severity": "critical"}).policy
    incident = make_incident(policy=policy, now_ms=NIGHT_MS)
    begun = [NIGHT_MS]
    while incident.escalates_at_ms is not None:
        begun.append(incident.escalates_at_ms)
        change = begin_step(incident, incident.escalates_at_ms, lambda it, _: it.policy)
        assert change
        incident = change.incident

    assert [it.at_ms for it in schedule(policy, NIGHT_MS)] == begun
    assert [(it.round, it.number) for it in schedule(policy, NIGHT_MS)] == [
        (1, 1),
        (1, 2),
        (1, 3),
        (2, 1),
        (2, 2),
        (2, 3),
    ]


def test_instants_are_those_of_the_clock_on_the_wall_across_a_change_of_the_clocks():
    lines = [line for line in course({"severity": "critical"}).lines(CONFIG, BERLIN) if "step" in line]

    assert lines[:3] == [
        "round 1, step 1  2027-03-28 01:30:00 +01:00  slack (C0ALERTS)",
        "round 1, step 2  2027-03-28 01:40:00 +01:00  slack:leads (C0LEADS0), mentions <!subteam^S0123456789>",
        "round 1, step 3  2027-03-28 04:10:00 +02:00  servicenow, urgency: 1, the next step waits if it fails",
    ]


def test_what_is_held_says_until_when_and_its_steps_begin_then():
    lines = list(course({"severity": "info"}).lines(CONFIG, BERLIN))

    assert "held until   2027-03-29 08:00:00 +02:00" in lines
    assert lines[-1] == "round 1, step 1  2027-03-29 08:00:00 +02:00  slack (C0ALERTS)"


def test_overrides_and_routes_lead_elsewhere():
    routed = make_config(CRITICAL, routes=[{"matchers": ["team=db"], "slack": {"channel_id": "C0DBTEAM"}}])
    asked = Asked(wait_ms=5 * MINUTE_MS)

    found = course({"severity": "critical", "team": "db"}, routed, asked=asked).as_json(routed, BERLIN)

    assert [it["due_at"][11:16] for it in found["steps"][:3]] == ["01:30", "01:35", "01:35"]
    assert found["steps"][0]["targets"] == [{"target": "slack", "place": "C0DBTEAM", "mention": None}]


def test_who_is_mentioned_is_said_by_the_step_else_by_a_route_else_by_the_severity():
    slack = {"enable": True, "channels": {"leads": "C0LEADS0"}, "mention": {"critical": "<!here>"}}
    routes = [{"matchers": ["team=db"], "slack": {"mention": "<@U0DBTEAM>"}}]
    config = make_config(CRITICAL, alert={"slack": slack}, routes=routes)

    def mentions(**labels):
        steps = course({"severity": "critical", **labels}, config).as_json(config, BERLIN)["steps"][:3]
        return [it["mention"] for step in steps for it in step["targets"]]

    assert mentions() == ["<!here>", "<!subteam^S0123456789>", None]
    assert mentions(team="db") == ["<@U0DBTEAM>", "<!subteam^S0123456789>", None]


def test_the_course_is_told_to_machines_with_offsets():
    found = course({"severity": "info"}).as_json(CONFIG, BERLIN)

    assert (found["policy"], found["at"]) == ("low", "2027-03-28T01:30:00+01:00")
    assert found["held_until"] == found["steps"][0]["due_at"] == "2027-03-29T08:00:00+02:00"
    assert course({}).as_json(CONFIG, BERLIN)["policy"] is None


def test_labels_are_read_as_matchers_write_them():
    assert labels_from(["severity=critical,team=db", 'what="a, b"']) == {
        "severity": "critical",
        "team": "db",
        "what": "a, b",
    }


@pytest.mark.parametrize(
    "text",
    [
        'severity=critical team=db what="a, b=c  d"',
        '{severity = critical, team = db,  what="a, b=c  d"}',
        '  severity="critical"\nteam="db"\twhat="a, b=c  d" ',
    ],
)
def test_labels_may_stand_with_spaces_between(text):
    assert labels_from([text]) == {"severity": "critical", "team": "db", "what": "a, b=c  d"}


def test_a_value_without_quotes_may_have_spaces_in_it():
    assert labels_from(["alertname=Disk is full, team=db"]) == {"alertname": "Disk is full", "team": "db"}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("severity", "is no matcher"),
        ("team=db severity!=critical", "severity!='critical' is no label: write NAME=VALUE"),
        ("severity!=critical", "severity!='critical' is no label: write NAME=VALUE"),
        ("team=a,team=b", "label team is both 'a' and 'b'"),
    ],
)
def test_what_is_no_label_is_refused(text, problem):
    with pytest.raises(ValueError, match=problem):
        labels_from([text])


def test_an_incident_of_labels_alone_has_the_severity_of_its_label():
    notification = notification_of({"severity": "info"})

    assert Policies(CONFIG).of(notification, NIGHT_MS).name == "low"
    assert Policies(CONFIG).of(notification, NIGHT_MS, Asked(severity="critical")).name == "critical"
    assert Policies(CONFIG).of(replace(notification, alerts=()), NIGHT_MS).name == "low"


@pytest.mark.parametrize(
    ("ms", "text"), [(0, "0s"), (90_000, "1m30s"), (5_400_000, "1h30m"), (86_400_500, "1d500ms"), (604_800_000, "7d")]
)
def test_durations_are_written_as_prometheus_does(ms, text):
    assert duration(ms) == text
