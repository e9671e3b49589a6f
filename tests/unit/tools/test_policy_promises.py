"""A promise holds for every minute of a year, or there is an incident for which it does not."""

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.factories import make_alert, make_notification
from tests.support.policies import BERLIN, CRITICAL, LOW, MINUTE_MS, NIGHT_MS, make_config
from versus_py.engine.courses import schedule
from versus_py.engine.policies import Policies
from versus_py.errors import BadPayload
from versus_py.incidents.matchers import parse_matchers
from versus_py.incidents.policies import Asked
from versus_py.tools.kinds import Decisions, Origin, label_sets, made_up, origins_of_heartbeats, recorded
from versus_py.tools.promises import read_promise, verdict_of
from versus_py.tools.recordings import Posted

CONFIG = make_config(CRITICAL, LOW)
NOTHING = Asked()
NOW_MS = NIGHT_MS


def verdict(text, config=CONFIG, asked=NOTHING, now_ms=NOW_MS):
    promise = read_promise(text, config)
    kinds, inexact = made_up(promise.is_about, [promise.matchers], config, Origin(asked), now_ms)
    return verdict_of(promise, kinds, config, now_ms, inexact=inexact)


def fails_for(text, config=CONFIG, asked=NOTHING):
    """The labels of the counter-example; None when there is none."""
    found = verdict(text, config, asked).counter_example
    return None if found is None else dict(found.kind.labels)


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ('severity="critical" reaches servicenow within 1h40m', None),
        ('severity="critical" reaches servicenow within 1h39m', {"severity": "critical"}),
        ('severity="critical" reaches slack:leads within 10m', None),
        ('severity="critical" reaches slack within 0s', None),
        ('severity="info" never reaches servicenow', None),
        ('severity="info" reaches servicenow within 7d', {"severity": "info"}),
        ("severity=critical never reaches servicenow", {"severity": "critical"}),
        ('severity!~"critical|info" reaches servicenow within 3m', None),
        ("{} reaches slack within 1h", {"severity": "info"}),
        ("reaches slack within 3d", None),
        ('severity="warning" never reaches slack:C0FALLBK', {"severity": "warning"}),
        ('severity="critical" never reaches slack:C0FALLBK', None),
    ],
)
def test_promises(text, labels):
    assert fails_for(text) == labels


def test_a_target_without_a_place_is_any_place_of_the_system():
    policy = {"name": "all", "steps": [{"notify": ["slack:leads"]}]}

    assert fails_for("reaches slack within 1m", make_config(policy)) is None
    assert fails_for("never reaches slack", make_config(policy)) == {}


def test_a_place_is_reached_by_whatever_name_leads_there():
    routes = [{"matchers": ["team=db"], "slack": {"channel_id": "C0LEADS0"}}]
    config = make_config(LOW, routes=routes)

    assert fails_for('severity="info" never reaches slack:leads', config) == {"severity": "info", "team": "db"}
    assert fails_for('severity="info", team!="db" never reaches slack:leads', config) is None


def test_what_is_held_fails_at_the_first_minute_at_which_it_waits_too_long():
    after_easter_ms = NOW_MS + 3 * 24 * 60 * MINUTE_MS
    found = verdict('severity="info" reaches slack within 61h59m', now_ms=after_easter_ms).counter_example

    assert found is not None
    assert datetime.fromtimestamp(found.at_ms / 1000, BERLIN).isoformat() == "2027-04-02T18:00:00+02:00"
    assert found.reached == "slack is reached after 2d14h"  # on monday at 08:00


def test_an_hour_more_is_seen_in_the_night_in_which_clocks_are_put_back():
    """From friday 18:00 to monday 08:00 there are 62 hours, and once a year 63."""
    found = verdict('severity="info" reaches slack within 62h').counter_example

    assert found is not None
    assert datetime.fromtimestamp(found.at_ms / 1000, BERLIN).isoformat() == "2027-10-29T18:00:00+02:00"
    assert fails_for('severity="info" reaches slack within 63h') is None


@pytest.mark.parametrize("hours", [{"in": ["office"]}, {"not_in": ["office"]}])
@pytest.mark.parametrize("within", ["1h", "10h", "14h", "29h"])
def test_the_first_counter_example_is_that_of_a_scan_of_every_minute(hours, within):
    config = make_config({"name": "all", "steps": [{"notify": ["slack"]}], **hours})
    policies, days = Policies(config), 3
    found = verdict(f"reaches slack within {within}", config).counter_example
    within_ms = int(within[:-1]) * 60 * MINUTE_MS

    def wait_ms(at_ms):
        return next(schedule(policies.for_labels({}, at_ms), at_ms)).at_ms - at_ms

    minutes = range(NOW_MS, NOW_MS + days * 24 * 60 * MINUTE_MS, MINUTE_MS)
    first = next((at_ms for at_ms in minutes if wait_ms(at_ms) > within_ms), None)
    assert (found and found.at_ms) == first or (first is None and found and found.at_ms >= minutes.stop)


def test_overrides_count():
    assert fails_for('severity="critical" never reaches servicenow', asked=Asked(escalates=False)) is None
    assert fails_for('severity="critical" reaches servicenow within 5m', asked=Asked(wait_ms=5 * MINUTE_MS)) is None
    assert fails_for('severity="critical" reaches slack within 0s', asked=Asked(severity="critical")) is None


def test_the_silence_of_a_heartbeat_with_a_policy_of_its_own_is_an_incident_too():
    heartbeats = [
        {"name": "watchdog", "match": ["alertname=Watchdog"], "every": "5m", "severity": "critical", "policy": "low"},
        {"name": "backup", "every": "1d"},
    ]
    config = make_config(CRITICAL, LOW, heartbeats=heartbeats)
    promise = read_promise('severity="critical" reaches servicenow within 2h', config)
    [origin] = origins_of_heartbeats(config)

    kinds, _ = made_up(promise.is_about, [promise.matchers], config, origin, NOW_MS)
    found = verdict_of(promise, kinds, config, NOW_MS).counter_example

    assert found is not None
    assert found.kind.origin == "heartbeat 'watchdog'"
    assert found.kind.labels == {"alertname": "Watchdog", "heartbeat": "watchdog", "severity": "critical"}


def test_only_labels_that_make_a_difference_are_tried():
    policies = [
        {
            "name": str(number),
            "match": [f'team{number}=~"a.*|b"', f"service=s{number}"],
            "steps": [{"notify": ["slack"]}],
        }
        for number in range(12)
    ]
    found = verdict("reaches slack within 1m", make_config(*policies))

    assert found.counter_example is None
    assert found.kinds == 12 * 2 + 1  # of each service a team that matches and one that does not; no such service


MATCHERS = st.sampled_from(["a=x", "a!=x", 'a=~"x.*"', 'a=~".*y"', "b=x", 'b!~"x|y"', 'b=""', "c=z", 'c=~".+"'])
RANDOM_POLICIES = st.lists(st.lists(MATCHERS, min_size=1, max_size=3, unique=True), max_size=4)
LABELS = st.dictionaries(st.sampled_from("abc"), st.sampled_from(["", "x", "y", "z", "xy", "other one"]))


@given(policies=RANDOM_POLICIES, wanted=MATCHERS, labels=LABELS)
def test_whatever_the_labels_are_a_kind_has_their_policy(policies, wanted, labels):
    config = make_config(
        *({"name": str(at), "match": match, "steps": [{"notify": ["slack"]}]} for at, match in enumerate(policies))
    )
    promise = read_promise(f"{wanted} reaches slack within 1m", config)

    kinds, _ = made_up(promise.is_about, [promise.matchers], config, Origin(NOTHING), NOW_MS)

    assert all(promise.is_about(it.labels) for it in kinds)
    assert all(Policies(config).for_labels(it.labels, NOW_MS) == it.policy_at(NOW_MS) for it in kinds)
    if promise.is_about(labels):
        assert Policies(config).for_labels(labels, NOW_MS).name in {it.policy_at(NOW_MS).name for it in kinds}


def test_too_many_sets_of_labels_are_refused_with_what_to_do(monkeypatch):
    monkeypatch.setattr("versus_py.tools.kinds.SETS_MAX", 100)
    groups = [parse_matchers(f"label{number}=a") for number in range(7)]
    decisions = Decisions(lambda labels: [it.matches(labels) for group in groups for it in group], groups)

    with pytest.raises(ValueError, match="name recorded ones"):
        list(label_sets(decisions, lambda _: ("", "a"), {}))


def test_a_promise_about_nothing_warns_and_an_unusual_expression_too():
    assert any("nothing was checked" in it for it in verdict('a="1",a="2" reaches slack within 1m').warnings)
    odd = {"name": "odd", "match": [r'team=~"\\bdb.*"'], "steps": [{"notify": ["slack"]}]}
    assert any("label team" in it for it in verdict("reaches slack within 1m", make_config(odd)).warnings)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is no promise: write MATCHERS reaches TARGET within DURATION, or MATCHERS never reaches TARGET"),
        ('severity="critical" reaches slack', "is no promise"),
        ('severity="critical" reaches slack in 5m', "is no promise"),
        ("severity=critical never reaches slack within 5m", "is no promise"),
        ("severity reaches slack within 5m", "'severity' is no matcher"),
        ("{} reaches slack within 5", "must be a duration of whole numbers with units, such as 90s"),
        ("{} reaches slak within 5m", "there is no target 'slak'; did you mean 'slack'?"),
        ("{} reaches pager within 5m", "there is no target 'pager'; there are slack, slack:leads, servicenow"),
        ("{} reaches slack:leeds within 5m", "there is no target 'slack:leeds'; allowed after the colon"),
        ("{} never reaches servicenow:nowhere", "there is no target 'servicenow:nowhere'; allowed after the colon"),
    ],
)
def test_what_is_no_promise_is_refused_with_what_is_allowed(text, problem):
    with pytest.raises(ValueError, match=re.escape(problem)):
        read_promise(text, CONFIG)


def kinds_of(*bodies):
    policies = Policies(CONFIG)

    def read(posted):
        body, query = posted.body, posted.query
        if body == b"broken":
            raise BadPayload("not this one")
        labels = dict(pair.split("=") for pair in body.decode().split())
        asked = Asked(escalates=False) if query == "off" else NOTHING
        found = [make_notification(make_alert(firing="over" not in labels, **labels))]
        return found, lambda it, now_ms: policies.of(it, now_ms, asked), []

    return recorded([Posted(f"f:{at}", NOW_MS, body, query) for at, (body, query) in enumerate(bodies)], read, CONFIG)


def test_recorded_incidents_are_checked_each_with_the_query_that_it_came_with():
    kinds, problems = kinds_of((b"severity=critical", ""), (b"severity=critical", ""), (b"severity=critical", "off"))
    promise = read_promise('severity="critical" reaches servicenow within 2h', CONFIG)

    found = verdict_of(promise, kinds, CONFIG, NOW_MS)

    assert (found.kinds, problems) == (2, [])
    assert found.counter_example is not None
    assert found.counter_example.kind.origin == "f:2"
    assert found.counter_example.reached == "servicenow is never reached"


def test_a_recorded_end_is_no_incident_and_a_body_that_cannot_be_read_is_reported():
    kinds, problems = kinds_of((b"severity=info over=yes", ""), (b"broken", ""))

    assert kinds == []
    assert problems == ["f:1: not this one"]


def test_a_verdict_is_shown_with_what_happens_instead():
    found = verdict('severity="info" reaches slack within 1h')

    assert list(found.lines(CONFIG, BERLIN)) == [
        'fails: severity="info" reaches slack within 1h',
        "  slack is reached after 1d5h30m",
        "  policy       low",
        '  labels       severity="info"',
        "  at           2027-03-28 01:30:00 +01:00",
        "  held until   2027-03-29 08:00:00 +02:00",
        "  round 1, step 1  2027-03-29 08:00:00 +02:00  slack (C0ALERTS)",
    ]
    assert found.as_json(CONFIG, UTC)["counter_example"]["reached_at"] == "2027-03-29T06:00:00+00:00"
    kept = verdict('severity="info" never reaches servicenow')
    [line] = kept.lines(CONFIG, BERLIN)
    assert line.endswith("servicenow (1 kind of incidents, 527040 minutes from 2027-03-28 01:30:00 +01:00)")
