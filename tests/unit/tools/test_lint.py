"""What breaks the way from an alert to a record is found in alertmanager.yml, and nothing else is said."""

from pathlib import Path

import pytest
import yaml

from versus_py.errors import ConfigError
from versus_py.systems import model
from versus_py.tools.lint import Severity, duration_ms, lint

ROOT = Path(__file__).parents[3]
URL = "http://versus:3000/api/incidents"
ERROR, WARNING, NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE
GROUPED = {"group_by": ["alertname", "cluster"], "group_interval": "1m"}


def make_config(**oncall):
    return model().model_validate({"oncall": {"enable": True, **oncall}})


def lint_webhook(webhook=None, *, route=None, config=None, **settings):
    """The findings of a file with one webhook that leads here."""
    webhook = {"url": URL, **settings} if webhook is None else webhook
    data = {
        "route": {"receiver": "versus", **GROUPED, **(route or {})},
        "receivers": [{"name": "versus", "webhook_configs": [webhook]}],
    }
    return lint(yaml.safe_dump(data), config)


def lint_routes(*routes, receivers=("versus",), **settings):
    """The findings of a tree of routes, whose root leads elsewhere."""
    data = {
        "route": {"receiver": "elsewhere", **GROUPED, **settings, "routes": list(routes)},
        "receivers": [
            {"name": "elsewhere", "webhook_configs": [{"url": "https://other.example/hook"}]},
            *({"name": name, "webhook_configs": [{"url": URL}]} for name in receivers),
        ],
    }
    return lint(yaml.safe_dump(data))


def said(findings):
    return [(finding.severity, finding.what.partition(":")[0]) for finding in findings]


def test_the_shipped_configuration_is_fine():
    assert lint((ROOT / "config" / "alertmanager" / "alertmanager.yml").read_text()) == []


def test_the_configuration_of_versus_incident_never_tells_that_an_alert_is_over():
    found = lint((ROOT / "tests" / "data" / "versus_incident_alertmanager.yml").read_text())

    unsaid = [(it.line, it.where) for it in found if it.what.startswith("send_resolved is false")]
    assert unsaid == [
        (22, "receiver 'versus-no-oncall'"),
        (26, "receiver 'versus-with-ack'"),
        (30, "receiver 'versus-immediate'"),
        (34, "receiver 'versus-servicenow-infra'"),
    ]
    late = [it.where for it in found if it.what.startswith("group_interval (5m) is not shorter")]
    assert late == [
        "route {}/{severity=\"critical\"} to receiver 'versus-with-ack'",
        "route {}/{team=\"infrastructure\"} to receiver 'versus-servicenow-infra'",
    ]
    assert [it.where for it in found if it.severity is NOTE] == [
        "route {}/{severity=\"warning\"} to receiver 'versus-no-oncall' and 4 more"
    ]
    assert len(found) == 7


def test_every_finding_says_what_to_do():
    found = lint((ROOT / "tests" / "data" / "versus_incident_alertmanager.yml").read_text())

    assert all(finding.advice for finding in found)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("route: [", "this is not YAML in line 1"),
        ("a: b: c", "this is not YAML in line 1"),
        ("at: 2026-99-99", "this is not YAML: it has"),
        ("\x00", "this is not YAML: it has"),
        ("- a\n- b", "the file holds a list"),
        ("just text", "the file holds a text"),
        ("", "the file holds nothing"),
        ("!!python/object:os.system x", "this is not YAML in line 1"),
        ("[" * 5000, "nested too deeply"),
    ],
    ids=["open", "colons", "date", "nul", "list", "text", "empty", "object", "deep"],
)
def test_what_is_no_mapping_in_yaml_is_an_error(text, problem):
    with pytest.raises(ConfigError, match=problem):
        lint(text)


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "{route: null, receivers: null}",
        "{route: [], receivers: {}}",
        "{route: text, receivers: [1, null, {}, {name: null}]}",
        "{receivers: [{name: x, webhook_configs: null}]}",
        "{receivers: [{name: x, webhook_configs: [null, 1, {}, {url: null}, {url: [1]}, {url: 'http://[::bad'}]}]}",
    ],
)
def test_a_file_with_holes_in_it_is_one_through_which_no_alert_arrives(text):
    assert said(lint(text)) == [(ERROR, "no webhook has a url that ends in /api/incidents, so no alert arrives here")]


def test_a_route_that_contains_itself_is_walked_once():
    text = f"""
      route: &root {{receiver: versus, group_by: [a], group_interval: 1m, routes: [*root]}}
      receivers: [{{name: versus, webhook_configs: [{{url: {URL}}}]}}]
    """

    assert {finding.severity for finding in lint(text)} <= {WARNING}


@pytest.mark.parametrize(
    ("settings", "severity", "what"),
    [
        ({"send_resolved": False}, WARNING, "send_resolved is false"),
        ({"max_alerts": 10}, WARNING, "max_alerts is set"),
        ({"url": f"{URL}/"}, ERROR, "its url has a slash at the end of the path, which is answered 404"),
        ({"url": f"{URL}?servicenow_other_instance=münchen"}, ERROR, "its url has characters that are not ASCII"),
        ({"url": f"{URL}?slack_channel_id={{{{ .GroupLabels.team }}}}"}, WARNING, "its url is a template, which"),
        ({"url": f"{URL}?wait=5"}, WARNING, "query parameter wait is not known"),
        ({"url": f"{URL}?oncall_wait_minute=5"}, WARNING, "query parameter oncall_wait_minute is not known"),
        ({"url": f"{URL}?oncall_wait_minutes=99999"}, WARNING, "query parameter oncall_wait_minutes=99999 was"),
        ({"url": f"{URL}?oncall_enable=true&oncall_enable=false"}, WARNING, "query parameter oncall_enable stands"),
        ({"url": f"{URL}?servicenow_other_instance="}, WARNING, "query parameter servicenow_other_instance= was"),
    ],
)
def test_what_is_odd_about_a_webhook_is_told(settings, severity, what):
    [finding] = lint_webhook(**settings)

    assert finding.severity is severity
    assert finding.what.startswith(what)
    assert finding.where == "receiver 'versus'"
    assert finding.line == 4  # receivers, - name, webhook_configs, - …


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"send_resolved": True},
        {"max_alerts": 0},
        {"url": f"{URL}?oncall_wait_minutes=5&oncall_enable=true"},
        {"url": f"{URL}?servicenow_other_instance=anything"},
        {"url": "https://versus.example/behind/a/proxy/api/incidents"},
        {"http_config": {"follow_redirects": False}},
    ],
)
def test_what_is_in_order_is_not_mentioned(settings):
    assert lint_webhook(**settings) == []


def test_a_webhook_that_leads_elsewhere_is_none_of_our_business():
    assert lint_routes({"receiver": "versus", "matchers": ["a=b"]}) == []


def test_other_instances_are_known_where_the_configuration_is_given():
    config = make_config(servicenow={"other_instance_urls": {"infra": "https://infra.example"}})

    assert lint_webhook(url=f"{URL}?servicenow_other_instance=infra", config=config) == []
    [finding] = lint_webhook(url=f"{URL}?servicenow_other_instance=other", config=config)
    assert finding.what == "query parameter servicenow_other_instance=other was ignored; allowed: infra"


def test_a_url_with_a_password_is_not_repeated():
    found = lint_webhook(url="http://user:s3cret@versus/api/incidents/?token=s3cret", send_resolved=False)

    assert len(found) == 3
    assert "s3cret" not in str(found)


def test_a_url_in_a_file_cannot_be_looked_at():
    found = lint_webhook({"url_file": "/etc/versus.url"})

    assert said(found) == [
        (WARNING, "no webhook has a url that ends in /api/incidents, so no alert arrives here"),
        (NOTE, "url_file"),
    ]


@pytest.mark.parametrize(
    ("value", "ms"),
    [
        ("0", 0),
        ("1ms", 1),
        ("30s", 30_000),
        ("5m", 300_000),
        ("1h30m", 5_400_000),
        ("4h", 14_400_000),
        ("1d", 86_400_000),
        ("2w", 1_209_600_000),
        ("1y", 31_536_000_000),
        ("", None),
        ("5", None),
        ("5 m", None),
        ("1.5h", None),
        ("30m1h", None),
        ("-5m", None),
        ("five", None),
    ],
)
def test_durations_are_prometheus_durations(value, ms):
    assert duration_ms(value) == ms


TIMING = [
    pytest.param("1m", "4h", 5, [], id="in order"),
    pytest.param("1m", "5m", 5, [], id="repeats with the end of the wait"),
    pytest.param("1m", "4m", 5, ["repeat_interval"], id="repeats before"),
    pytest.param("4m", "1m", 7, ["repeat_interval"], id="repeats with the groups interval"),
    pytest.param("4m", "5m", 7, [], id="repeats with every second one"),
    pytest.param("5m", "4h", 5, ["group_interval"], id="tells the end of an alert too late"),
    pytest.param("1d", "2w", 5, ["group_interval"], id="tells it much too late"),
    pytest.param("5m", "1m", 0, [], id="no wait"),
    pytest.param("1m", "1m", "5&oncall_enable=false", [], id="no on-call"),
]


@pytest.mark.parametrize(("group_interval", "repeat_interval", "wait", "names"), TIMING)
def test_intervals_are_held_against_the_wait(group_interval, repeat_interval, wait, names):
    route = {"group_interval": group_interval, "repeat_interval": repeat_interval}

    found = lint_webhook(url=f"{URL}?oncall_wait_minutes={wait}", route=route)

    assert [(it.severity, it.what.partition(" ")[0]) for it in found] == [(WARNING, name) for name in names]


def test_the_wait_is_that_of_the_configuration():
    route = {"repeat_interval": "20m"}

    assert lint_webhook(route=route, config=make_config(wait_minutes=20)) == []
    [finding] = lint_webhook(route=route, config=make_config(wait_minutes=21))
    assert "shorter than the wait of 21 minutes" in finding.what
    [finding] = lint_webhook(route={"group_interval": "2m"}, config=make_config(wait_minutes=1))
    assert "shorter than the wait of 1 minute:" in finding.what


@pytest.mark.parametrize(("wait", "advised"), [(0.5, "15s"), (1, "30s"), (2, "1m"), (60, "1m")])
def test_the_group_interval_that_is_advised_is_shorter_than_the_wait(wait, advised):
    route = {"group_interval": "2h", "repeat_interval": "4h"}

    [finding] = lint_webhook(route=route, config=make_config(wait_minutes=wait))

    assert finding.advice == f"make group_interval shorter than the wait, such as {advised}"


def with_policies(*policies, **oncall):
    settings = {"alert": {"slack": {"enable": True}}, "oncall": {"enable": True, **oncall}, "policies": policies}
    return model().model_validate(settings)


def policy(name, minutes, target="servicenow", **more):
    steps = [{"notify": ["slack"]}, {"after": f"{minutes}m", "notify": [target]}]
    return {"name": name, "steps": steps, **more}


SLOW = policy("slow", 30, match=['severity="critical"'])


@pytest.mark.parametrize(
    ("matchers", "is_told"),
    [
        pytest.param(['severity="critical"'], True, id="of all that it sends"),
        pytest.param(['severity=~"critical|error"'], True, id="of some of it"),
        pytest.param(['severity="warning"'], False, id="of what it does not send"),
        pytest.param(['team="db"'], True, id="of what it may send"),
        pytest.param(['severity!="critical"', 'team="db"'], False, id="of what it leaves out"),
        pytest.param(["severity=~`critical`"], True, id="of what it sends or not: that cannot be read here"),
    ],
)
def test_intervals_are_held_against_the_policies_of_what_a_route_sends(matchers, is_told):
    route = {"routes": [{"matchers": matchers, "repeat_interval": "10m"}]}

    found = lint_webhook(route=route, config=with_policies(SLOW, wait_minutes=5))

    said = ["repeat_interval (10m) is shorter than the wait of 30 minutes of policy 'slow'"]
    assert [it.what.partition(":")[0] for it in found] == said * is_told


@pytest.mark.parametrize("most", [1, 2])
def test_where_labels_can_go_more_ways_than_can_be_tried_nothing_counts_as_known_of_them(monkeypatch, most):
    monkeypatch.setattr("versus_py.tools.kinds.SETS_MAX", most)
    route = {"repeat_interval": "4m", "routes": [{"matchers": ['team="db"']}, {"matchers": ['team="web"']}]}

    found = lint_webhook(route=route, config=with_policies(SLOW, wait_minutes=5))

    assert [it.what.partition(":")[0] for it in found] == [
        "repeat_interval (4m) is shorter than the wait of 5 minutes"
    ] * 3


@pytest.mark.parametrize("goes_on", [False, True])
def test_what_a_route_before_takes_has_no_policy_at_the_one_after(goes_on):
    before = {"matchers": ['severity="critical"'], "continue": goes_on}
    after = {"matchers": ['team="db"'], "repeat_interval": "10m"}

    found = lint_webhook(route={"routes": [before, after]}, config=with_policies(SLOW, wait_minutes=5))

    assert any("'slow'" in it.what for it in found) is goes_on


def test_of_several_policies_the_worst_is_named_and_the_others_are_counted():
    config = with_policies(SLOW, policy("quick", 2), wait_minutes=5)
    route = {"repeat_interval": "1m", "group_interval": "1m"}

    [finding] = lint_webhook(route=route, config=config)
    assert "is shorter than the wait of 30 minutes of policy 'slow', and of 1 more:" in finding.what
    [finding] = lint_webhook(route={"group_interval": "5m"}, config=config)
    assert "is not shorter than the wait of 2 minutes of policy 'quick':" in finding.what
    assert finding.what.endswith("after its record was created")


def test_the_end_of_an_alert_may_be_late_for_a_record_or_for_whom_a_later_step_tells():
    config = with_policies(policy("leads", 2, "slack:C0LEADS0"))

    [finding] = lint_webhook(route={"group_interval": "5m"}, config=config)

    assert finding.what.endswith("may be told only after others were told of it")


def test_a_policy_of_the_url_is_the_one_that_counts():
    config = with_policies(SLOW, policy("quick", 2), wait_minutes=5)
    route = {"repeat_interval": "10m"}

    assert lint_webhook(url=f"{URL}?policy=quick", route=route, config=config) == []
    [finding] = lint_webhook(url=f"{URL}?policy=slow", route=route, config=config)
    assert "policy 'slow'" in finding.what
    [finding] = lint_webhook(url=f"{URL}?policy=slow&oncall_wait_minutes=11", route=route, config=config)
    assert "the wait of 11 minutes of policy 'slow'" in finding.what


@pytest.mark.parametrize(
    "http_config",
    [
        {"authorization": {"type": "Bearer", "credentials": "0123456789abcdef"}},
        {"basic_auth": {"username": "kube", "password": "0123456789abcdef"}},
    ],
)
def test_the_token_that_a_webhook_sends_says_its_policy_and_what_its_url_may_ask_for(http_config):
    tokens = [{"name": "kube", "token": "0123456789abcdef", "policy": "slow", "overrides": {"max_wait_minutes": 20}}]
    settings = with_policies(SLOW, wait_minutes=5).model_dump(by_alias=True, exclude_unset=True)
    config = model().model_validate({**settings, "intake": {"tokens": tokens}})

    limited, timed = lint_webhook(
        url=f"{URL}?oncall_wait_minutes=60", http_config=http_config, route={"repeat_interval": "10m"}, config=config
    )

    assert "repeat_interval (10m) is shorter than the wait of 20 minutes of policy 'slow'" in timed.what
    assert limited.what.startswith("query parameter oncall_wait_minutes=60 became 20")
    assert "0123456789abcdef" not in str((limited, timed))


def test_a_policy_of_the_url_that_does_not_exist_is_told_where_the_configuration_is_given():
    [finding] = lint_webhook(url=f"{URL}?policy=slwo", config=with_policies(SLOW))

    assert finding.what == "query parameter policy=slwo was ignored; allowed: slow"
    assert lint_webhook(url=f"{URL}?policy=slwo") == []


def test_late_news_is_no_matter_where_alertmanager_is_asked_before_a_record_is_created():
    config = model().model_validate({"oncall": {"enable": True}, "alertmanager": {"url": "http://alertmanager:9093"}})

    assert lint_webhook(route={"group_interval": "5m"}, config=config) == []


@pytest.mark.parametrize("name", ["group_interval", "repeat_interval"])
@pytest.mark.parametrize("value", ["soon", "0", 5, "0s", "1.5h"])
def test_an_interval_that_is_none_is_an_error(name, value):
    [finding] = lint_webhook(route={name: value})

    assert finding.severity is ERROR
    assert finding.what == f"{name} is '{value}', which is no duration"


def test_intervals_are_inherited_and_overridden_on_the_way():
    found = lint_routes(
        {
            "receiver": "versus",
            "match": {"team": "db"},
            "repeat_interval": "1m",
            "routes": [
                {"matchers": ['severity="info"']},
                {"match_re": {"severity": "crit.*"}, "repeat_interval": "4h"},
            ],
        }
    )

    assert [it.where for it in found] == [
        "route {}/{team=\"db\"} to receiver 'versus'",
        'route {}/{team="db"}/{severity="info"} to receiver \'versus\'',
    ]
    assert all(it.what.startswith("repeat_interval (1m)") for it in found)


@pytest.mark.parametrize(
    ("above", "below", "expected"),
    [
        pytest.param(None, None, [WARNING], id="nowhere"),
        pytest.param(["cluster"], None, [], id="inherited"),
        pytest.param(["cluster"], [], [], id="an empty list inherits"),
        pytest.param([], [], [WARNING], id="empty everywhere"),
        pytest.param(None, ["cluster"], [], id="set below"),
        pytest.param(["..."], None, [NOTE], id="everything"),
        pytest.param(["..."], ["cluster"], [], id="everything, overridden"),
        pytest.param(["cluster"], ["..."], [NOTE], id="everything below"),
    ],
)
def test_group_by_is_looked_for_on_the_way(above, below, expected):
    found = lint_routes({"receiver": "versus", "matchers": ["a=b"], "group_by": below}, group_by=above)

    assert [it.severity for it in found] == expected
    assert all("group_by" in it.what for it in found)


@pytest.mark.parametrize(
    ("group_by", "is_told"),
    [
        (["alertname", "service"], True),
        (["alertname", "cluster"], False),
        (["k8s_cluster"], False),
        (["..."], False),
    ],
)
def test_groups_that_may_be_of_two_clusters_are_told(group_by, is_told):
    found = [it for it in lint_webhook(route={"group_by": group_by}) if "tells clusters apart" in it.what]

    assert [(it.severity, it.where) for it in found] == [(NOTE, "route {} to receiver 'versus'")] * is_told
    assert all(it.advice.startswith("add cluster to group_by") for it in found)


def test_groups_of_two_clusters_are_told_once_for_all_routes():
    apart = {"receiver": "versus", "matchers": ["a=b"], "group_by": ["cluster"]}
    mixed = [{"receiver": "versus", "matchers": [f"a={value}"], "group_by": ["service"]} for value in "cde"]
    elsewhere = {"receiver": "elsewhere", "matchers": ["a=f"], "group_by": ["service"]}

    [found] = lint_routes(elsewhere, apart, *mixed)

    assert found.where == "route {}/{a=c} to receiver 'versus' and 2 more"


def test_clusters_are_no_matter_where_every_alert_is_an_incident():
    config = model().model_validate({"incident_per": "alert", "oncall": {"enable": True}})

    assert lint_webhook(route={"group_by": ["service"]}, config=config) == []
    assert lint_webhook(route={"group_by": ["service"]}, url=f"{URL}?incident_per=alert") == []


def test_grouping_is_no_matter_where_every_alert_is_an_incident():
    config = model().model_validate({"incident_per": "alert", "oncall": {"enable": True}})

    assert lint_webhook(route={"group_by": []}, config=config) == []
    assert lint_webhook(route={"group_by": []}, url=f"{URL}?incident_per=alert") == []
    assert lint_webhook(route={"group_by": []}, url=f"{URL}?incident_per=group", config=config) != []


def test_a_receiver_that_no_route_leads_to_is_told():
    found = lint_routes({"receiver": "versus", "matchers": ["a=b"]}, receivers=("versus", "forgotten"))

    assert [(it.where, it.what) for it in found] == [
        ("receiver 'forgotten'", "no route leads to this receiver, so it is never used")
    ]


@pytest.mark.parametrize(
    ("routes", "is_reached"),
    [
        pytest.param([{"receiver": "elsewhere"}, {"receiver": "versus", "match": {"a": "b"}}], False, id="hidden"),
        pytest.param(
            [{"receiver": "elsewhere", "continue": True}, {"receiver": "versus", "match": {"a": "b"}}],
            True,
            id="goes on",
        ),
        pytest.param(
            [{"receiver": "elsewhere", "match": {"a": "b"}}, {"receiver": "versus", "match": {"a": "b"}}],
            True,
            id="after one with a condition",
        ),
        pytest.param(
            [{"receiver": "versus", "matchers": ["a=b"], "routes": [{"receiver": "elsewhere"}]}],
            False,
            id="below takes everything",
        ),
        pytest.param(
            [{"receiver": "versus", "matchers": ["a=b"], "routes": [{"receiver": "elsewhere", "continue": True}]}],
            False,
            id="below takes everything and goes on",
        ),
    ],
)
def test_a_route_behind_one_that_takes_everything_leads_nowhere(routes, is_reached):
    found = lint_routes(*routes)

    assert bool(found) is not is_reached
    assert all(it.what.startswith("no route leads to this receiver") for it in found)


def test_a_receiver_that_is_not_defined_is_an_error():
    findings = lint_routes({"receiver": "ghost", "matchers": ["x=y"]}, {"receiver": "versus", "matchers": ["x=z"]})

    assert (ERROR, "its receiver 'ghost' is not defined, so that Alertmanager refuses the file") in said(findings)


@pytest.mark.parametrize(("path", "is_told"), [("/api/incident", True), ("/api/incidentes", True), ("/hook", False)])
def test_a_path_that_is_nearly_ours_is_told(path, is_told):
    findings = lint(
        yaml.safe_dump(
            {
                "route": {"receiver": "versus", **GROUPED, "routes": [{"receiver": "typo", "matchers": ["x=y"]}]},
                "receivers": [
                    {"name": "versus", "webhook_configs": [{"url": URL}]},
                    {"name": "typo", "webhook_configs": [{"url": f"http://versus:3000{path}"}]},
                ],
            }
        )
    )

    assert [finding.severity for finding in findings] == ([WARNING] if is_told else [])


WATCHDOG = {"name": "watchdog", "match": ['alertname="Watchdog"'], "every": "5m"}


def lint_watchdog(route, *heartbeats):
    config = model().model_validate({"oncall": {"enable": True}, "heartbeats": list(heartbeats or (WATCHDOG,))})
    data = {
        "route": {"receiver": "versus", **GROUPED, "routes": [route] if route else []},
        "receivers": [{"name": "versus", "webhook_configs": [{"url": URL}]}],
    }
    return lint(yaml.safe_dump(data), config)


@pytest.mark.parametrize(
    "matching", [{"matchers": ['alertname="Watchdog"']}, {"match": {"alertname": "Watchdog"}}], ids=str
)
def test_a_route_that_repeats_a_heartbeat_often_enough_is_fine(matching):
    assert lint_watchdog({**matching, "group_interval": "1m", "repeat_interval": "1m"}) == []


@pytest.mark.parametrize("repeat", ["4m", "4h"])
def test_a_heartbeat_that_is_repeated_too_seldom_is_silent_though_it_fires(repeat):
    [found] = lint_watchdog({"matchers": ["alertname=Watchdog"], "repeat_interval": repeat})

    assert found.severity is WARNING
    assert "in which the heartbeat 'watchdog' must come" in found.what


def test_a_route_of_a_heartbeat_need_not_tell_clusters_apart():
    often = {"group_interval": "1m", "repeat_interval": "1m", "group_by": ["alertname"]}

    assert lint_watchdog({"matchers": ["alertname=Watchdog"], **often}) == []


def test_intervals_of_a_heartbeats_route_that_are_none_are_found():
    found = lint_watchdog({"matchers": ["alertname=Watchdog"], "repeat_interval": "often"})

    assert said(found) == [(ERROR, "repeat_interval is 'often', which is no duration")]


def test_a_heartbeat_without_a_route_of_its_own_is_noted():
    [found] = lint_watchdog(None)

    assert (found.severity, found.where) == (NOTE, "heartbeat 'watchdog'")


@pytest.mark.parametrize(("every", "advised"), [("10s", "2s"), ("2m", "30s"), ("5m", "1m"), ("25h", "1m")])
def test_the_intervals_that_are_advised_for_a_heartbeat_let_one_come_late(every, advised):
    seldom = {"matchers": ["alertname=Watchdog"], "group_interval": "12h", "repeat_interval": "14h"}

    [of_its_route] = lint_watchdog(seldom, {**WATCHDOG, "every": every})
    [without_one] = lint_watchdog(None, {**WATCHDOG, "every": every})

    assert of_its_route.advice == f"set both to {advised} in this route, or raise every"
    assert f"group_interval: {advised} and repeat_interval: {advised};" in without_one.advice


def test_a_heartbeat_that_no_alert_is_needs_no_route():
    assert lint_watchdog(None, {"name": "backup", "every": "1d"}) == []
