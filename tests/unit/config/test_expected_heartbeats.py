"""heartbeats: what is read, and what is refused, all at once and by its place."""

import pytest

from versus_py.config import parse_config
from versus_py.errors import ConfigError
from versus_py.systems import model

POLICIES = """
policies:
  - {name: all, steps: [{notify: [slack]}]}
  - {name: deadman, match: ['severity="critical"'], steps: [{notify: [slack]}]}
"""
SLACK = "alert: {slack: {enable: true, token: xoxb-0123456789, channel_id: C0123456789}}"


def parse(heartbeats: str, more: str = ""):
    return parse_config(f"heartbeats: [{heartbeats}]\n{SLACK}\n{more}", {}, model=model())


def problems(heartbeats: str, more: str = "") -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        parse(heartbeats, more)
    return caught.value.problems


def test_an_alert_that_all_matchers_match_is_a_beat():
    [found] = parse(
        """{name: watchdog, match: ['alertname="Watchdog"', 'cluster=~"eu|us"'], every: 1h30m}"""
    ).heartbeats

    assert found.matches({"alertname": "Watchdog", "cluster": "eu"})
    assert not found.matches({"alertname": "Watchdog", "cluster": "asia"})
    assert (found.every_ms, found.severity, found.policy, found.per) == (90 * 60_000, "critical", "", ())


def test_without_matchers_no_alert_is_a_beat():
    [found] = parse("{name: backup, every: 1d}").heartbeats

    assert not found.matches({})
    assert not found.matches({"alertname": "Watchdog"})


def test_labels_tell_heartbeats_of_one_name_apart():
    [found] = parse("{name: watchdog, every: 5m, per: [cluster, zone]}").heartbeats

    assert found.of({"cluster": "eu", "team": "db"}) == {"cluster": "eu", "zone": ""}


@pytest.mark.parametrize(
    ("heartbeat", "problem"),
    [
        ("{every: 5m}", "heartbeats.0.name: is required"),
        ("{name: a}", "heartbeats.0.every: is required"),
        ("{name: a/b, every: 5m}", "heartbeats.0.name: is 'a/b'; must be a name of at most 50 letters, digits,"),
        ("{name: 'a b', every: 5m}", "heartbeats.0.name: is 'a b'; must be a name"),
        ("{name: a, every: 5}", "heartbeats.0.every: is 5; must be a duration of whole numbers with units"),
        ("{name: a, every: 9s}", "heartbeats.0.every: is '9s'; must be at least 10s"),
        ("{name: a, every: 8d}", "heartbeats.0.every: is '8d'; must be at most 7d"),
        ("{name: a, every: 5m, match: ['']}", "heartbeats.0.match.0: is ''; must hold a matcher"),
        ("{name: a, every: 5m, match: []}", "heartbeats.0.match: is a list; must have at least one matcher"),
        ("{name: a, every: 5m, per: [a-b]}", "heartbeats.0.per.0: is 'a-b'; must be the name of a label"),
        ("{name: a, every: 5m, severity: bad}", "heartbeats.0.severity: is 'bad'; must be a known severity"),
        ("{name: a, every: 5m, polcy: x}", "heartbeats.0.polcy: is not a known key; did you mean 'policy'?"),
        ("{name: a, every: 5m}, {name: a, every: 1h}", "heartbeats.1.name: is 'a', as that of another heartbeat is"),
        ("{name: a, every: 5m, match: ['team!=\"db\"']}", "heartbeats.0.match: matches alerts without any labels too"),
        ("{name: a, every: 5m, match: ['job=~\".*\"']}", "heartbeats.0.match: matches alerts without any labels too"),
        ("{name: a, every: 5m, policy: al}", "heartbeats.0.policy: is 'al'; did you mean 'all'?"),
    ],
)
def test_what_is_wrong_is_told_by_its_place(heartbeat, problem):
    [found] = problems(heartbeat, "policies: [{name: all, steps: [{notify: [slack]}]}]")

    assert found.startswith(problem)


def test_all_that_is_wrong_is_told_at_once():
    assert len(problems("{name: a/b, every: 5m}, {name: a, every: 1s, match: [x]}")) == 3


def test_a_mistaken_heartbeat_makes_no_policy_look_unused():
    [found] = problems("{name: a, every: 1s, policy: deadman}", POLICIES)

    assert found.startswith("heartbeats.0.every")


def test_a_policy_that_only_a_heartbeat_names_is_used():
    policies = [it.name for it in parse("{name: a, every: 5m, policy: deadman}", POLICIES).policies]

    assert policies == ["all", "deadman"]
    [found] = problems("{name: a, every: 5m}", POLICIES)
    assert found.startswith("policies.1: no labels lead to it")


def test_a_sign_of_life_of_our_own_is_another_setting():
    found = parse("{name: a, every: 5m}", "heartbeat: {url: 'https://hc.example/ping', every_seconds: 30}")

    assert found.heartbeat.every_seconds == 30
    assert [it.name for it in found.heartbeats] == ["a"]
