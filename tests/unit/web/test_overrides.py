"""Query parameters: understood, or ignored with a warning. Never an error, and never a changed configuration."""

from dataclasses import dataclass
from typing import get_args

import pytest
from multidict import MultiDict

from tests.support.factories import make_alert, make_notification
from versus_py.config import OverrideLimits
from versus_py.config.intake import SourceName
from versus_py.engine.policies import Policies
from versus_py.incidents.policies import Policy, Step, When
from versus_py.sources import SOURCES
from versus_py.systems import model
from versus_py.web.intake.overrides import Overrides, read_overrides

SLACK = {"enable": True, "token": "xoxb-1", "channel_id": "C1"}
SERVICENOW = {
    "instance_url": "https://a.example",
    "username": "u",
    "password": "p",
    "other_instance_urls": {"infra": "https://infra.example"},
}


def config(**oncall):
    return model().model_validate(
        {"alert": {"slack": SLACK}, "oncall": {"enable": True, "wait_minutes": 3, "servicenow": SERVICENOW, **oncall}}
    )


@dataclass(frozen=True)
class Read:
    """What a query was read as, and the policy that it comes to where no route matches."""

    overrides: Overrides
    policy: Policy

    def __getattr__(self, name):
        return getattr(self.overrides, name)


def read(*pairs, **oncall):
    return read_with(pairs, config(**oncall))


def read_with(query, config, *limits):
    overrides = read_overrides(MultiDict(query), config, *limits)
    return Read(overrides, Policies(config).for_labels({}, 0, overrides.asked))


def test_without_overrides_the_configuration_stands():
    found = read()

    assert found.policy.channels == ("slack",)
    assert found.policy.oncall == "servicenow"
    assert found.policy.wait_ms == 180_000
    assert found.policy.destinations == {}
    assert found.warnings == ()


def test_all_overrides_are_taken():
    found = read(
        ("oncall_enable", "true"),
        ("oncall_wait_minutes", "0.5"),
        ("servicenow_other_instance", "infra"),
        ("slack_channel_id", "C0OTHER"),
    )

    assert found.policy.wait_ms == 30_000
    assert found.policy.destinations == {"servicenow": "infra", "slack": "C0OTHER"}
    assert found.warnings == ()


def test_oncall_can_be_switched_off():
    assert read(("oncall_enable", "FALSE")).policy.oncall is None


@pytest.mark.parametrize(("value", "escalates"), [("T", True), ("t", True), ("True", True), ("F", False), ("f", False)])
def test_the_booleans_of_go_templates_are_read(value, escalates):
    found = read(("oncall_enable", value))

    assert (found.policy.oncall is not None) is escalates
    assert found.warnings == ()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("oncall_enable", "maybe", "true and false"),
        ("oncall_wait_minutes", "5m", "a number from 0 to 10080 (7 days)"),
        ("oncall_wait_minutes", "-1", "0 to 10080"),
        ("oncall_wait_minutes", "nan", "0 to 10080"),
        ("oncall_wait_minutes", "inf", "0 to 10080"),
        ("oncall_wait_minutes", "10081", "0 to 10080"),
        ("oncall_wait_minutes", "", "0 to 10080"),
        ("servicenow_other_instance", "nowhere", "infra"),
        ("slack_channel_id", "<!channel>", "C0123456789"),
        ("slack_channel_id", "", "C0123456789"),
        ("oncall_wait_minute", "5", "did you mean oncall_wait_minutes?"),
        ("ONCALL_WAIT_MINUTES", "5", "did you mean oncall_wait_minutes?"),
        ("zzz", "5", "known are incident_per, oncall_enable"),
        ("telegram_chat_id", "5", "this server does not post to Telegram"),
    ],
)
def test_a_mistake_is_ignored_with_a_warning(name, value, said):
    found = read((name, value))

    assert found.policy == read().policy
    [warning] = found.warnings
    assert said in warning
    assert name in warning


@pytest.mark.parametrize("value", ["0", "10080", "7.25"])
def test_the_bounds_of_the_wait_belong_to_it(value):
    assert read(("oncall_wait_minutes", value)).policy.wait_ms == round(float(value) * 60_000)


def test_of_two_values_the_first_counts():
    found = read(("oncall_wait_minutes", "5"), ("oncall_wait_minutes", "9"))

    assert found.policy.wait_ms == 300_000
    assert "more than once" in found.warnings[0]


def test_initialized_only_escalates_for_those_who_ask():
    assert read(enable=False, initialized_only=True).policy.oncall is None
    assert read(("oncall_enable", "true"), enable=False, initialized_only=True).policy.oncall == "servicenow"


def test_enable_wins_over_initialized_only():
    assert read(enable=True, initialized_only=True).policy.oncall == "servicenow"
    assert read(("oncall_enable", "false"), enable=True, initialized_only=True).policy.oncall is None


@pytest.mark.parametrize(
    ("oncall", "said"),
    [
        ({"enable": False, "initialized_only": True}, "off unless the request says oncall_enable=true"),
        ({"enable": False}, "off in the configuration"),
    ],
)
def test_a_wait_that_has_no_effect_is_told(oncall, said):
    found = read(("oncall_wait_minutes", "5"), **oncall)

    assert found.policy.oncall is None
    assert found.warnings == (f"oncall_wait_minutes has no effect: on-call is {said}",)


def test_oncall_that_is_off_in_the_configuration_cannot_be_asked_for():
    found = read(("oncall_enable", "true"), enable=False)

    assert found.policy.oncall is None
    assert "oncall.enable" in found.warnings[0]


ROUTES = [
    {"matchers": ['team="db"', 'severity="critical"'], "channel_id": "C0DB", "mention": "<@U1>", "wait_minutes": 10},
    {"matchers": ['{team=~"db|web"}'], "channel_id": "C0WEB"},
    {"matchers": ['owner=~".+"'], "wait_minutes": 0},
    {"matchers": ['owner=""', 'site="b"'], "mention": "<!here>"},
]


def routed(*alerts, query=(), enable_slack=True, oncall=True):
    """The policy for a notification with these alerts."""
    found = config(enable=oncall).model_dump()
    found["alert"]["slack"] |= {"routes": ROUTES, "enable": enable_slack}
    parsed = model().model_validate(found)
    return Policies(parsed).of(make_notification(*alerts), 0, read_overrides(MultiDict(query), parsed).asked)


def shown(policy):
    return policy.destinations.get("slack"), policy.mentions.get("slack", ""), (policy.wait_ms or 0) / 60_000


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        pytest.param({"team": "db"}, ("C0DB", "<@U1>", 10), id="a route sets all of it"),
        pytest.param({"team": "db", "severity": "info"}, ("C0WEB", "", 3), id="the next one, where one does not match"),
        pytest.param({"team": "db", "owner": "ana"}, ("C0DB", "<@U1>", 10), id="the first of two that match"),
        pytest.param({"owner": "ana"}, (None, "", 0), id="a wait of none"),
        pytest.param({"site": "b"}, (None, "<!here>", 3), id="a mention only"),
        pytest.param({"team": "dba"}, (None, "", 3), id="none"),
    ],
)
def test_the_first_route_that_matches_counts(labels, expected):
    assert shown(routed(make_alert(**labels))) == expected


def test_without_routes_every_notification_has_the_policy_of_the_request():
    found = read(("slack_channel_id", "C0OTHER"))

    assert Policies(config()).of(make_notification(), 0, found.asked) == found.policy


@pytest.mark.parametrize(
    ("alerts", "channel"),
    [
        pytest.param([("A", True, "db"), ("B", True, "db")], "C0DB", id="they agree"),
        pytest.param([("A", True, "db"), ("B", True, "web")], None, id="they disagree"),
        pytest.param([("A", True, "db"), ("B", False, "web")], "C0DB", id="what is over does not count"),
        pytest.param([("A", False, "db"), ("B", False, "db")], "C0DB", id="none fires, they agree"),
        pytest.param([("A", False, "db"), ("B", False, "web")], None, id="none fires, they disagree"),
    ],
)
def test_what_fires_has_to_agree_on_a_label(alerts, channel):
    policy = routed(*(make_alert(name, firing=firing, team=team) for name, firing, team in alerts))

    assert policy.destinations.get("slack") == channel


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"slack_channel_id": "C0OTHER"}, ("C0OTHER", "<@U1>", 10)),
        ({"oncall_wait_minutes": "7"}, ("C0DB", "<@U1>", 7)),
        ({"oncall_wait_minutes": "0"}, ("C0DB", "<@U1>", 0)),
        ({"oncall_wait_minutes": "3"}, ("C0DB", "<@U1>", 3)),  # though it is the configuration's too
        ({"oncall_wait_minutes": "soon", "slack_channel_id": ""}, ("C0DB", "<@U1>", 10)),  # mistaken: not given
        ({"servicenow_other_instance": "infra"}, ("C0DB", "<@U1>", 10)),
    ],
)
def test_what_the_request_asks_for_wins_over_the_route(query, expected):
    policy = routed(make_alert(team="db"), query=query)

    assert shown(policy) == expected
    assert policy.destinations.get("servicenow") == query.get("servicenow_other_instance")


def test_the_wait_of_a_route_does_not_switch_oncall_on():
    assert routed(make_alert(team="db"), oncall=False).oncall is None
    assert routed(make_alert(team="db"), query={"oncall_enable": "false"}).oncall is None


def test_routes_of_a_slack_that_is_off_do_nothing():
    assert shown(routed(make_alert(team="db"), enable_slack=False)) == (None, "", 3)


def test_a_flood_of_parameters_is_cut_off():
    found = read(*((f"name{number}", "x") for number in range(900)))

    assert len(found.warnings) == 21
    assert found.warnings[-1] == "only the first 20 query parameters were read"


def test_a_long_value_is_not_repeated_whole():
    assert len(read(("slack_channel_id", "x" * 5000)).warnings[0]) < 300


def test_the_sources_that_a_token_may_name_are_those_that_there_are():
    assert set(get_args(SourceName)) == set(SOURCES)


def test_limits_do_not_concern_what_the_request_does_not_ask_for():
    limits = OverrideLimits(channels=(), instances=(), min_wait_minutes=10, max_wait_minutes=20, oncall=False)

    found = read_with((), config(), limits)

    assert found.policy == read().policy
    assert found.warnings == ()


def test_an_incident_falls_back_to_where_the_configuration_says():
    to_instance = read(fallback={"servicenow_other_instance": "infra", "after_minutes": 2}).policy
    to_channel = read(fallback={"slack_channel_id": "C0FALLBACK"}).policy

    assert to_instance.fallback == Step(("servicenow:infra",), 120_000, When.FAILED)
    assert to_channel.fallback == Step(("slack:C0FALLBACK",), 900_000, When.FAILED)
    assert read().policy.fallback is None


@pytest.mark.parametrize("pair", [("servicenow_other_instance", "infra"), ("oncall_enable", "false")])
def test_what_escalates_there_anyway_or_not_at_all_does_not_fall_back(pair):
    assert read(pair, fallback={"servicenow_other_instance": "infra"}).policy.fallback is None


POLICIES = [
    {
        "name": "critical",
        "match": ['severity="critical"'],
        "steps": [{"notify": ["slack"]}, {"notify": ["servicenow"]}],
    },
    {"name": "low", "match": ['severity="info"'], "steps": [{"notify": ["slack"]}]},
]


def chosen(query, limits=None, *, policy=""):
    """The name of the policy, and what was warned of."""
    oncall = {"enable": True, "servicenow": SERVICENOW}
    parsed = model().model_validate({"alert": {"slack": SLACK}, "oncall": oncall, "policies": POLICIES})
    overrides = read_overrides(MultiDict(query), parsed, limits or OverrideLimits(), policy=policy)
    return Policies(parsed).for_labels({"severity": "critical"}, 0, overrides.asked).name, overrides.warnings


@pytest.mark.parametrize(
    ("limits", "policy", "expected"),
    [
        pytest.param({}, "", "low", id="asked for"),
        pytest.param({"policies": ("low",)}, "", "low", id="among those allowed"),
        pytest.param({"policies": ("critical",)}, "", "critical", id="not among those allowed"),
        pytest.param({"policies": ()}, "", "critical", id="none allowed"),
        pytest.param({}, "critical", "critical", id="the token has one"),
    ],
)
def test_a_request_chooses_a_policy_as_far_as_its_token_lets_it(limits, policy, expected):
    name, warnings = chosen([("policy", "low")], OverrideLimits(**limits), policy=policy)

    assert name == expected
    assert bool(warnings) is (expected != "low")


def test_a_policy_that_there_is_not_is_ignored_with_those_that_there_are():
    name, [warning] = chosen([("policy", "lwo")])

    assert name == "critical"
    assert warning == "query parameter policy=lwo was ignored; allowed: critical, low"


def test_the_policy_of_a_token_needs_no_match_and_no_query():
    assert chosen([], policy="low") == ("low", ())
