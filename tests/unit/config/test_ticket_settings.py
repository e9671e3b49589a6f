"""What is said of the settings of tickets that come in."""

from typing import Any

import pytest
import yaml

from tests.support.tickets import TOKEN, ticket_settings
from versus_py.errors import ConfigError
from versus_py.systems import parse_config

OTHER = "other-token-0123456789"
INFRA = {"instance_url": "https://infra.example"}


def problems(settings: dict[str, Any]) -> list[str]:
    try:
        parse_config(yaml.safe_dump(settings), {})
    except ConfigError as exc:
        return list(exc.problems)
    return []


def warnings(**settings: Any) -> list[str]:
    config = parse_config(yaml.safe_dump(ticket_settings(**settings)), {})
    return [it for it in config.warnings() if "oncall.servicenow" in it]


def test_what_the_documentation_shows_is_fine():
    mapped: Any = {
        "priority_map": {
            1: "critical",
            "2": {"severity": "P2", "wait": "10m"},
            "5": {"severity": "info", "oncall": False},
        },
        "routing_field": "assignment_group",
        "routing": {"Network": "leads", "Database": {"channel": "slack:leads", "wait": "1h", "mention": "<!here>"}},
        "other_instance_urls": {"infra": {**INFRA, "events": {"token": OTHER}}},
    }

    assert problems(ticket_settings(**mapped)) == []
    assert warnings(**mapped) == []


SOURCE = {"name": "a", "token": "a" * 16}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        pytest.param({"events": {"token": "short"}}, "events.token: has 5 characters", id="a short token"),
        pytest.param(
            {"events": {"previous_tokens": ["short"]}}, "events.previous_tokens.0: has 5 characters", id="an old one"
        ),
        pytest.param(
            {"events": {"token": "", "previous_tokens": [OTHER]}},
            "events.previous_tokens: is set without token",
            id="an old one alone",
        ),
        pytest.param(
            {"events": {"sources": [{"name": "a", "token": TOKEN}]}},
            "events.sources.0.token: is another sender's too, so that it does not tell who sends: "
            "see oncall.servicenow.events",
            id="two rules with one token",
        ),
        pytest.param(
            {"events": {"sources": [{**SOURCE, "token": OTHER, "previous_tokens": [TOKEN]}]}},
            "events.sources.0.previous_tokens.0: is another sender's too",
            id="another's token as an old one",
        ),
        pytest.param(
            {"other_instance_urls": {"infra": {**INFRA, "events": {"token": TOKEN}}}},
            "other_instance_urls.infra.events.token: is another sender's too",
            id="two instances with one token",
        ),
        pytest.param(
            {"events": {"sources": [SOURCE, {**SOURCE, "token": "b" * 16}]}},
            "events.sources.1.name: is 'a', as that of another source is",
            id="two sources of one name",
        ),
        pytest.param(
            {"events": {"sources": [{**SOURCE, "policy": "lead"}]}},
            "events.sources.0.policy: is 'lead'; did you mean 'leads'?",
            id="a source's policy",
        ),
        pytest.param(
            {"events": {"sources": [{**SOURCE, "severity": "bad"}]}},
            "events.sources.0.severity: is 'bad'; allowed: critical",
            id="a source's severity",
        ),
        pytest.param({"priority_map": {"1": "bad"}}, "priority_map.1.severity: is 'bad'", id="a priority's severity"),
        pytest.param(
            {"events": {"escalate": ["steps", "raise"]}},
            "events.escalate: is steps, raise; allowed is steps alone",
            id="steps and something",
        ),
        pytest.param(
            {"events": {"escalate": ["rise"]}}, "events.escalate.0: is 'rise'; allowed: channel", id="no word"
        ),
        pytest.param(
            {"events": {"escalate": ["servicenow"]}}, "events.escalate.0: is 'servicenow'; allowed", id="no channel"
        ),
        pytest.param(
            {"events": {"escalate": ["slack:lead"]}},
            "events.escalate.0: is 'slack:lead'; did you mean 'slack:leads'?",
            id="no such channel",
        ),
        pytest.param({"events": {"escalate": ["raise", "raise"]}}, "events.escalate.1: is 'raise', as", id="twice"),
        pytest.param({"routing": {"a": "leads"}}, "routing_field: is required with routing", id="no routing_field"),
        pytest.param(
            {"routing_field": "category", "routing": {"a": "lead"}},
            "routing.a.policy: is 'lead'; did you mean 'leads'?",
            id="a route's policy",
        ),
        pytest.param(
            {"routing_field": "category", "routing": {"a": {"channel": "lead"}}},
            "routing.a.channel: is 'lead'; allowed: a channel by its name (slack:leads), or its id",
            id="a route's channel",
        ),
        pytest.param(
            {"routing_field": "category", "routing": {"a": {"channel": "teams:leads"}}},
            "routing.a.channel: is 'teams:leads'",
            id="a channel of nothing",
        ),
        pytest.param(
            {"routing_field": "category", "routing": {"a": {"mention": "everybody"}}},
            "routing.a.mention: is 'everybody'",
            id="a route's mention",
        ),
        pytest.param(
            {"routing_field": "category", "routing": {"a": {"notify": ["slack:lead"]}}},
            "routing.a.notify.0: is 'slack:lead'; did you mean 'slack:leads'?",
            id="a route's target",
        ),
        pytest.param(
            {"routing_field": "category", "routing": {"a": {"notify": ["slack:leads", "slakc"]}}},
            "routing.a.notify.1: is 'slakc'; did you mean 'slack'?",
            id="a target of nothing",
        ),
        pytest.param(
            {"routing_field": "category", "routing": {"a": {"notify": ["slack:leads", "slack:leads"]}}},
            "routing.a.notify.1: is 'slack:leads', as another one is",
            id="a target twice",
        ),
        pytest.param(
            {"routing_field": "category", "routing": {"a": {"notify": ["servicenow"]}}},
            "routing.a.notify.0: is 'servicenow', where the tickets come from",
            id="a second ticket",
        ),
        pytest.param(
            {
                "other_instance_urls": {
                    "infra": {**INFRA, "routing_field": "category", "routing": {"a": {"notify": ["servicenow:infra"]}}}
                }
            },
            "other_instance_urls.infra.routing.a.notify.0: is 'servicenow:infra', where the tickets come from",
            id="a second ticket of another instance",
        ),
        pytest.param(
            {"routing_field": "category", "routing": {"Network": "leads", "network": "leads"}},
            "routing.network: is there more than once",
            id="a route twice",
        ),
        pytest.param(
            {"routing_field": "Assignment group"},
            "routing_field: is 'Assignment group'; must be the name of a column and not its label",
            id="a label for routing_field",
        ),
        pytest.param(
            {"priority_map": {"2 - High": "error"}},
            "priority_map.2 - High.[key]: is '2 - High'; must be the number of a priority without its label",
            id="a label for a priority",
        ),
        pytest.param(
            {"states": {"open": ["3", "6"]}},
            "states: has '6' as resolved and as open; name it once",
            id="a state twice",
        ),
        pytest.param({"lifecycle": "plain"}, "lifecycle: is plain, but events needs incident", id="no lifecycle"),
        pytest.param({"instance_url": None}, "instance_url: is required", id="no instance"),
        pytest.param(
            {"other_instance_urls": {"default": INFRA}}, "other_instance_urls.default: needs another name", id="default"
        ),
    ],
)
def test_what_does_not_go_together_is_said_once_with_its_path(settings, said):
    found = problems(ticket_settings(**settings))

    assert [it for it in found if it.startswith(f"oncall.servicenow.{said}")]
    assert len(found) == 1
    assert TOKEN not in str(found)
    assert OTHER not in str(found)


def test_a_token_where_a_mapping_belongs_is_answered_with_what_to_write_and_not_shown():
    settings = ticket_settings()
    settings["oncall"]["servicenow"]["events"] = OTHER

    assert problems(settings) == [
        'oncall.servicenow.events: must be a mapping, such as events: {token: "${SERVICENOW_EVENTS_TOKEN}"}'
    ]


def test_a_token_of_the_intake_is_no_token_of_tickets():
    settings = ticket_settings() | {"intake": {"tokens": [{"name": "prometheus", "token": TOKEN}]}}

    [problem] = problems(settings)

    assert problem.startswith("oncall.servicenow.events.token: is another sender's too")


def test_tickets_need_an_escalation_that_is_prepared():
    settings = ticket_settings()
    settings["oncall"]["enable"] = False

    [problem] = problems(settings)

    assert problem.startswith("oncall.servicenow.events: needs oncall.enable: true or oncall.initialized_only: true")


def test_what_other_instances_share_is_said_once():
    shared: Any = {"priority_map": {"1": "bad"}, "other_instance_urls": {"infra": INFRA, "app": INFRA}}

    assert len(problems(ticket_settings(**shared))) == 1


def test_a_severity_of_ones_own_is_known():
    settings = ticket_settings(priority_map={"1": "Hair on fire"}) | {"severity_map": {"hair on fire": "critical"}}

    assert problems(settings) == []


def test_a_policy_that_a_route_names_needs_no_labels_of_its_own():
    first = {"name": "all", "steps": [{"notify": ["slack"]}]}
    settings = ticket_settings(routing_field="category", routing={"a": "leads"})
    settings["policies"] = [first, *settings["policies"]]

    assert problems(settings) == []


def test_what_routes_notify_is_built_and_may_be_another_instance():
    route = {"notify": ["slack:leads", "servicenow:infra"]}
    settings = ticket_settings(
        routing_field="category", routing={"a": route}, other_instance_urls={"infra": "https://infra.example"}
    )

    config = parse_config(yaml.safe_dump(settings), {})

    assert {"slack:leads", "servicenow:infra"} <= {*config.policy_targets()}


OFF = {"events": {"token": ""}}


@pytest.mark.parametrize("channel", ["leads", "slack:leads", "C0LEADS001", "C0ALERTS01", "slack:C0OTHER001"])
def test_a_channel_goes_by_its_name_or_its_id(channel):
    assert problems(ticket_settings(routing_field="category", routing={"a": {"channel": channel}})) == []


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({**OFF, "priority_map": {"1": "critical"}}, "priority_map has no effect without events.token"),
        (OFF, "events.token is empty: no tickets are taken"),
        ({"routing_field": "category"}, "routing_field has no effect without routing"),
        ({"routing_field": "category", "routing": {"a": {}}}, "routing.a changes nothing"),
        (
            {"bidirectional": False, "events": {"escalate": ["channel", "raise"]}},
            "events.escalate: raise has no effect with bidirectional: false",
        ),
        ({"auth": {"type": "api_key", "api_key": "k"}}, "events.user is not set, and auth.type api_key"),
    ],
)
def test_what_works_and_is_hardly_meant_is_warned_about(settings, said):
    [warning] = warnings(**settings)

    assert warning.startswith(f"oncall.servicenow.{said}")


@pytest.mark.parametrize(
    "settings",
    [
        {"bidirectional": False},
        {"bidirectional": True, **OFF},
        {"bidirectional": True, **OFF, "priority_map": {"1": "info"}},
    ],
)
def test_what_is_meant_is_not_warned_about(settings):
    assert warnings(**settings) == []


def test_no_token_of_tickets_is_shown():
    others = {"infra": {**INFRA, "events": {"token": OTHER}}}
    config = parse_config(yaml.safe_dump(ticket_settings(events={"sources": [SOURCE]}, other_instance_urls=others)), {})

    assert {TOKEN, OTHER, SOURCE["token"]} <= set(config.secrets())
    assert not [it for it in (TOKEN, OTHER, SOURCE["token"]) if it in str(config.masked()) or it in repr(config)]


@pytest.mark.parametrize(
    ("notify", "events", "is_said"),
    [
        pytest.param(["servicenow"], {}, True, id="the system that the ticket comes from"),
        pytest.param(["servicenow", "slack"], {}, False, id="and a channel"),
        pytest.param(["servicenow"], {"token": ""}, False, id="where no tickets come in"),
    ],
)
def test_a_policy_that_notifies_nobody_of_a_ticket_is_warned_of(notify, events, is_said):
    settings = ticket_settings(events=events) | {"policies": [{"name": "a", "steps": [{"notify": notify}]}]}

    said = list(parse_config(yaml.safe_dump(settings), {}).warnings())

    expected = (
        "policies.0 (a) notifies ServiceNow only: nobody is notified of a ticket that comes from there and matches it"
    )
    assert (expected in said) is is_said
