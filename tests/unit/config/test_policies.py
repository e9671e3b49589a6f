"""Escalation policies in the configuration: what they come to, and how everything that is wrong with them is told."""

from datetime import UTC, datetime
from typing import Any

import jsonschema
import pytest
import yaml

from tests.support import toys
from versus_py.config import parse_config as parse_config_as
from versus_py.errors import ConfigError
from versus_py.systems import BUILT_IN, model, parse_config

SYSTEMS = """
alert: {slack: {enable: true, token: xoxb-1, channel_id: C1, channels: {leads: C0123456789, db: C2}}}
oncall:
  enable: true
  servicenow:
    instance_url: https://dev1.service-now.com
    username: u
    password: p
    other_instance_urls: {infra: "https://infra.service-now.com"}
time_intervals:
  - name: office
    time_intervals: [{weekdays: ['monday:friday'], times: [{start_time: '08:00', end_time: '18:00'}]}]
  - {name: summer, time_intervals: [{months: [june:august]}]}
"""


def config_of(policies: str, more: str = ""):
    return parse_config(f"{SYSTEMS}\n{more}\npolicies: [{policies}]", {})


def problems(policies: str, more: str = "") -> list[str]:
    with pytest.raises(ConfigError) as caught:
        config_of(policies, more)
    return list(caught.value.problems)


def step_problems(step: str) -> list[str]:
    return [it.removeprefix("policies.0.steps.0.") for it in problems(f"{{name: a, steps: [{step}]}}")]


def at(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def test_steps_have_their_waits_targets_and_what_they_send():
    [policy] = config_of("""{name: critical, match: ['severity="critical"', 'team=~"db|web"'], steps: [
        {notify: [slack]},
        {after: 10m, notify: ['slack:leads'], mention: '<!subteam^S0123456789>'},
        {after: 1h30m, notify: [servicenow], fields: {assignment_group: Leads, urgency: 1}, on_failure: wait}],
        repeat: 2, ack_timeout: 4h}""").policies

    assert policy.matches({"severity": "critical", "team": "db"})
    assert not policy.matches({"severity": "critical", "team": "net"})
    assert [it.after_ms for it in policy.steps] == [0, 600_000, 5_400_000]
    assert [it.notify for it in policy.steps] == [("slack",), ("slack:leads",), ("servicenow",)]
    assert [it.mention for it in policy.steps] == ["", "<!subteam^S0123456789>", ""]
    assert policy.steps[2].fields == {"assignment_group": "Leads", "urgency": "1"}
    assert [it.on_failure for it in policy.steps] == ["next", "next", "wait"]
    assert (policy.repeat, policy.ack_timeout_ms, policy.hours) == (2, 4 * 3_600_000, None)


def test_a_policy_without_match_is_for_every_incident():
    [policy] = config_of("{name: all, steps: [{notify: [slack]}]}").policies

    assert policy.matches({})


def test_hours_are_those_of_all_intervals_that_it_names():
    [policy] = config_of("{name: low, in: [office], not_in: [summer], steps: [{notify: [slack]}]}").policies

    assert policy.hours is not None
    assert policy.hours.opens_at(at("2026-05-30T12:00")) == at("2026-09-01T08:00")
    assert policy.hours.opens_at(at("2026-05-29T12:00")) == at("2026-05-29T12:00")


def test_places_are_those_that_policies_or_the_fallback_name():
    config = config_of(
        "{name: a, steps: [{notify: [slack, 'slack:leads']}, {notify: ['servicenow:infra', 'slack:C9', 'slack:db']}]}"
    )

    assert config.places("slack") == {"slack:leads": "C0123456789", "slack:C9": "C9", "slack:db": "C2"}
    assert config.places("servicenow") == {"servicenow:infra": "infra"}


def test_the_place_of_the_fallback_is_one_of_them():
    config = parse_config(
        SYSTEMS.replace("enable: true\n", "enable: true\n  fallback: {slack_channel_id: C7}\n", 1), {}
    )

    assert (config.places("slack"), config.places("servicenow")) == ({"slack:C7": "C7"}, {})


@pytest.mark.parametrize(
    ("step", "told"),
    [
        ("{notify: [slak]}", "notify.0: is 'slak'; did you mean 'slack'?"),
        ("{notify: [slak], mention: '<!here>', fields: {urgency: 1}}", "notify.0: is 'slak'; did you mean 'slack'?"),
        ("{notify: ['slack:leeds']}", "notify.0: is 'slack:leeds'; did you mean 'slack:leads'?"),
        (
            "{notify: [telegram]}",
            "notify.0: is 'telegram'; there are the targets slack, slack:leads, slack:db, servicenow, servicenow:infra",
        ),
        (
            "{notify: ['slack:#general']}",
            "notify.0: is 'slack:#general'; allowed after the colon: a name of alert.slack.channels (leads, db), or a",
        ),
        (
            "{notify: ['slack:']}",
            "notify.0: is 'slack:'; allowed after the colon: a name of alert.slack.channels (leads, ",
        ),
        (
            "{notify: ['slack:C1']}",
            "notify.0: is 'slack:C1'; allowed after the colon: any channel but this one, alert.slack.channel_id, ",
        ),
        (
            "{notify: ['slack:C2']}",
            "notify.0: is 'slack:C2'; allowed after the colon: db, which names this channel in ",
        ),
        ("{notify: ['servicenow:app']}", "notify.0: is 'servicenow:app'; allowed after the colon: infra"),
        ("{notify: [slack, slack]}", "notify.1: is 'slack', as another one of this step is"),
        ("{notify: []}", "notify: is a list; must name at least one"),
        ("{after: 5m}", "notify: is required"),
        (
            "{notify: [slack], after: 5}",
            "after: is 5; must be a duration of whole numbers with units, such as 90s, 10m",
        ),
        ("{notify: [slack], after: 8d}", "after: is '8d'; must be at most 7d"),
        ("{notify: [slack], mention: '@leads'}", "mention: is '@leads'; must be Slack's form of a mention, such as "),
        ("{notify: [servicenow], mention: '<!here>'}", "mention: needs a channel in notify, such as slack"),
        ("{notify: [slack], fields: {urgency: 1}}", "fields: needs an on-call provider in notify, such as servicenow"),
        ("{notify: [servicenow], fields: {Urgency: 1}}", "fields.Urgency: must be the name of a column"),
        ("{notify: [servicenow], fields: {correlation_id: 1}}", "fields.correlation_id: must be another column"),
        ("{notify: [servicenow], fields: {urgency: '{{ x'}}", "fields.urgency: is '{{ x'; must be a Jinja2 template"),
        ("{notify: [slack], on_failure: stop}", "on_failure: is 'stop'; input should be 'next' or 'wait'"),
        ("{notfy: [slack], notify: [slack]}", "notfy: is not a known key; did you mean 'notify'?"),
    ],
)
def test_a_mistake_in_a_step_is_told_by_its_path(step, told):
    [problem] = step_problems(step)

    assert problem.startswith(told)


@pytest.mark.parametrize(
    ("policies", "told"),
    [
        ("{name: a, steps: []}", "policies.0.steps: is a list; must have at least one step in it"),
        ("{name: a}", "policies.0.steps: is required"),
        (
            f"{{name: {'a' * 51}, steps: [{{notify: [slack]}}]}}",
            f"policies.0.name: is '{'a' * 51}'; must be at most 50 characters long",
        ),
        ("{steps: [{notify: [slack]}]}", "policies.0.name: is required"),
        ("{name: a, repeat: 10, steps: [{notify: [slack]}]}", "policies.0.repeat: is 10; "),
        ("{name: a, ack_timeout: 8d, steps: [{notify: [slack]}]}", "policies.0.ack_timeout: is '8d'; must be at most"),
        ("{name: a, within: [office], steps: [{notify: [slack]}]}", "policies.0.within: is not a known key; "),
        ("{name: a, in: [offce], steps: [{notify: [slack]}]}", "policies.0.in.0: is 'offce'; did you mean 'office'?"),
        (
            "{name: a, not_in: [holidays], steps: [{notify: [slack]}]}",
            "policies.0.not_in.0: is 'holidays'; there are the time_intervals office, summer",
        ),
        ("{name: a, in: [office], not_in: [office], steps: [{notify: [slack]}]}", "policies.0.in: is never open"),
        (
            "{name: a, match: ['severity'], steps: [{notify: [slack]}]}",
            "policies.0.match.0: is 'severity'; 'severity' is no",
        ),
        (
            "{name: a, match: [a=b], steps: [{notify: [slack]}]}, {name: a, steps: [{notify: [slack]}]}",
            "policies.1.name: is 'a', as that of another policy is",
        ),
    ],
)
def test_a_mistake_in_a_policy_is_told_by_its_path(policies, told):
    [problem] = problems(policies)

    assert problem.startswith(told)


STEPS = "steps: [{{notify: [slack]}}]"
BOTH = f"{{{{name: first, match: [{{}}], {STEPS}}}}}, {{{{name: second, match: [{{}}], {STEPS}}}}}"


@pytest.mark.parametrize(
    "policies",
    [
        "{name: first, steps: [{notify: [slack]}]}, {name: second, match: [a=b], steps: [{notify: [slack]}]}",
        BOTH.format("a=b", "a=b"),
        BOTH.format("'a=b,c=d'", "c=d, a=b"),
        BOTH.format("a=b", "c=d, a=b"),
        BOTH.format("'a=~\"b|c\"'", "a=b"),
        BOTH.format("a!=c", "a=b"),
    ],
)
def test_a_policy_that_another_one_leaves_nothing_is_an_error_unless_a_sender_names_it(policies):
    [problem] = problems(policies)
    assert problem.startswith(
        "policies.1: no labels lead to it, as 'first' before it matches all that it matches; move it up"
    )

    for said in ("policy: second", "overrides: {policies: [second]}"):
        assert config_of(policies, f"intake: {{tokens: [{{name: a, token: token-0123456789, {said}}}]}}").policies


def test_a_policy_that_may_be_reached_is_no_error():
    assert len(config_of(BOTH.format("a=b, c=d", "a=b")).policies) == 2
    assert len(config_of(BOTH.format("a=b", "a=~b")).policies) == 2
    assert len(config_of(BOTH.format("'a=~\"c|d\"'", "a=b")).policies) == 2
    assert len(config_of(BOTH.format("c=~d", "a=b")).policies) == 2


@pytest.mark.parametrize("match", ["a=b, a=c", "a=b, a!=b", "'a=~c', a=b"])
def test_a_policy_whose_matchers_contradict_each_other_is_an_error_unless_a_sender_names_it(match):
    policies = f"{{name: never, match: [{match}], steps: [{{notify: [slack]}}]}}"

    assert problems(policies) == ["policies.0.match: no labels lead to it, as its matchers are never all true"]
    assert config_of(policies, "intake: {tokens: [{name: a, token: token-0123456789, policy: never}]}").policies


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("policy: lo", "intake.tokens.0.policy: is 'lo'; did you mean 'low'?"),
        (
            "overrides: {policies: [low, hgh]}",
            "intake.tokens.0.overrides.policies.1: is 'hgh'; there are the policies low",
        ),
        (
            "policy: low, overrides: {policies: [low]}",
            "intake.tokens.0.overrides.policies: is set together with policy, which leaves nothing to choose",
        ),
    ],
)
def test_a_token_names_policies_that_there_are(said, told):
    more = f"intake: {{tokens: [{{name: a, token: token-0123456789, {said}}}]}}"

    assert problems("{name: low, steps: [{notify: [slack]}]}", more) == [told]


@pytest.mark.parametrize(
    ("off", "target", "needed"),
    [
        ({"alert": {"slack": {"enable": False}}}, "slack:C5", "alert.slack.enable: true"),
        ({"oncall": {"enable": False}}, "servicenow", "oncall.enable: true or oncall.initialized_only: true"),
    ],
)
def test_a_target_of_a_system_that_is_off_is_an_error(off, target, needed):
    data = yaml.safe_load(SYSTEMS)
    for section, changed in off.items():
        data[section] |= changed
    data["policies"] = [{"name": "a", "steps": [{"notify": [target]}]}]

    with pytest.raises(ConfigError) as caught:
        parse_config(yaml.safe_dump(data), {})

    assert list(caught.value.problems) == [f"policies.0.steps.0.notify.0: is {target!r}, which needs {needed}"]


def test_all_that_is_wrong_is_told_at_once_and_nothing_that_only_follows_from_it():
    """What a mistaken list holds is not known, so that nothing is said of names that may be in it."""
    found = problems(
        "{name: a, in: [night], steps: [{notify: [slck]}], repat: 1}",
        "intake: {tokens: [{name: a, token: token-0123456789, policy: a, sorces: []}]}",
    )

    assert found == [
        "intake.tokens.0.sorces: is not a known key; did you mean 'sources'?",
        "policies.0.repat: is not a known key; did you mean 'repeat'?",
    ]


def test_a_mistaken_name_of_a_channel_is_told_and_not_that_a_policy_has_it():
    with pytest.raises(ConfigError) as caught:
        parse_config(
            SYSTEMS.replace("leads: C0123456789", "leads: '#leads'")
            + "policies: [{name: a, steps: [{notify: ['slack:leads']}]}]",
            {},
        )

    assert list(caught.value.problems) == [
        "alert.slack.channels.leads: is '#leads'; must be a channel's id, such as C0123456789, and not a name"
    ]


@pytest.mark.parametrize(
    ("channels", "told"),
    [
        ("{leads: C1}", "alert.slack.channels.leads: is 'C1', as alert.slack.channel_id is"),
        ("{leads: C2, others: C2}", "alert.slack.channels.others: is 'C2', as alert.slack.channels.leads is"),
        ("{Leads: C2}", "alert.slack.channels.Leads.[key]: is 'Leads'; must be a name of lower-case letters"),
    ],
)
def test_a_channel_has_one_name(channels, told):
    with pytest.raises(ConfigError) as caught:
        parse_config(SYSTEMS.replace("{leads: C0123456789, db: C2}", channels), {})

    [problem] = caught.value.problems
    assert problem.startswith(told)


def test_the_key_of_a_record_is_never_a_field_of_a_step():
    data = yaml.safe_load(SYSTEMS)
    data["oncall"]["servicenow"]["other_instance_urls"]["infra"] = {
        "instance_url": "https://i.example",
        "key_field": "u_key",
    }
    steps = [
        {"notify": ["servicenow"], "fields": {"u_key": "1"}},
        {"notify": ["servicenow:infra"], "fields": {"u_key": "1"}},
    ]
    data["policies"] = [{"name": "a", "steps": steps}]

    with pytest.raises(ConfigError) as caught:
        parse_config(yaml.safe_dump(data), {})

    assert list(caught.value.problems) == [
        "policies.0.steps.1.fields.u_key: is the column of key_field, which is never written again; leave it out"
    ]


def test_a_priority_in_a_step_is_warned_of_as_elsewhere():
    config = config_of("{name: a, steps: [{notify: [servicenow], fields: {priority: 1}}]}")

    assert "policies.0.steps.0.fields.priority is computed by ServiceNow: set impact and urgency instead" in list(
        config.warnings()
    )


@pytest.mark.parametrize(
    ("oncall", "notify", "is_told"),
    [
        ("enable: false, initialized_only: true", "servicenow, 'servicenow:infra'", True),
        ("enable: false, initialized_only: true", "servicenow, slack", False),
        ("enable: true", "servicenow", False),
    ],
)
def test_a_policy_that_may_notify_nobody_is_warned_of(oncall, notify, is_told):
    systems = SYSTEMS.replace("enable: true\n", f"{oncall.replace(', ', chr(10) + '  ')}\n")
    found = parse_config(f"{systems}\npolicies: [{{name: a, steps: [{{notify: [{notify}]}}]}}]", {})

    warned = [it for it in found.warnings() if it.startswith("policies.0 (a) notifies on-call providers only")]
    assert bool(warned) is is_told


def test_a_step_whose_field_shows_the_payload_keeps_it():
    config = config_of("{name: a, steps: [{notify: [servicenow], fields: {comments: '{{ payload.x }}'}}]}")

    assert config.shows_payload


def with_toys(policies: list[dict[str, Any]]):
    url = "http://127.0.0.1:1"
    data = {"alert": {"board": {"enable": True, "url": url}}, "oncall": {"enable": True, "pager": {"url": url}}}
    systems = (toys.BOARD, toys.PAGER)
    return parse_config_as(yaml.safe_dump({**data, "policies": policies}), {}, model=model((*systems,)))


def test_targets_of_systems_that_are_installed_are_like_those_built_in():
    config = with_toys(
        [{"name": "a", "steps": [{"notify": ["board", "board:lobby", "pager:night"], "mention": "all"}]}]
    )

    assert (config.places("board"), config.places("pager")) == ({"board:lobby": "lobby"}, {"pager:night": "night"})
    with pytest.raises(ConfigError, match=r"notify\.0: is 'pager:noon'; allowed after the colon: day, night"):
        with_toys([{"name": "a", "steps": [{"notify": ["pager:noon"]}]}])


def test_a_provider_that_only_a_policy_names_is_in_use():
    url = "http://127.0.0.1:1"
    systems = model((*BUILT_IN, toys.PAGER))
    data = yaml.safe_load(SYSTEMS)
    data["policies"] = [{"name": "a", "steps": [{"notify": ["pager"]}]}]
    data["oncall"]["pager"] = {"url": url}

    config = parse_config_as(yaml.safe_dump(data), {}, model=systems)

    assert [it.NAME for it in config.systems_in_use()] == ["slack", "servicenow", "pager"]
    del data["oncall"]["pager"]
    with pytest.raises(ConfigError, match=r"oncall\.pager\.url: is required"):
        parse_config_as(yaml.safe_dump(data), {}, model=systems)


def test_the_schema_and_what_is_shown_have_the_keys_of_the_file():
    text = f"{SYSTEMS}\npolicies: [{{name: a, in: [office], steps: [{{notify: [slack]}}]}}]"
    schema = model().json_schema()

    jsonschema.validate(yaml.safe_load(text), schema)

    [shown] = parse_config(text, {}).masked()["policies"]
    assert shown["in"] == ["office"]
    assert "within" not in shown
