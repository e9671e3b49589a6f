"""The policy of an incident that came from a ticket: its ticket is raised, and there is never a second one."""

from typing import Any

import pytest

from tests.support import toys
from tests.support.clock import START_MS
from tests.support.factories import make_notification
from tests.support.policies import CRITICAL, MINUTE_MS, make_config
from versus_py.config import Config
from versus_py.engine.policies import Policies
from versus_py.incidents.copies import replace
from versus_py.incidents.model import Alert, AlertStatus, Incident
from versus_py.incidents.policies import Asked, Policy, When
from versus_py.incidents.transitions import trigger
from versus_py.systems import BUILT_IN, model

SERVICENOW, INFRA, SLACK, LEADS = "servicenow", "servicenow:infra", "slack", "slack:leads"
WAIT_MS = 5 * MINUTE_MS


def config_of(*policies: dict[str, Any], oncall: dict[str, Any] | None = None, **servicenow: Any) -> Config:
    """With tickets that come from ServiceNow and from its instance infra."""
    instance = {
        "instance_url": "https://servicenow.example",
        "username": "versus",
        "password": "x",
        "other_instance_urls": {
            "infra": {"instance_url": "https://infra.example", "events": servicenow.get("events", {})}
        },
        **servicenow,
    }
    fallback = {"servicenow_other_instance": "infra"}
    oncall = {"enable": True, "wait_minutes": 5, "fallback": fallback, **(oncall or {})}
    return make_config(*policies, oncall={**oncall, "servicenow": instance})


def events(*escalate: str, **more: Any) -> dict[str, Any]:
    found = {"token": "a-token-of-the-business-rule", **more}
    return {"events": {**found, "escalate": list(escalate)} if escalate else found}


def policy_of(config: Config, labels: dict[str, str] | None = None, **asked: Any) -> Policy:
    return Policies(config).for_labels(labels or {}, START_MS, Asked(**{"origin": SERVICENOW, **asked}))


def course(policy: Policy) -> list[tuple[tuple[str, ...], int]]:
    """The targets of each step, and how long after the one before it is due."""
    return [(step.targets, policy.delay_ms(number)) for number, step in enumerate(policy.timed)]


# The policy that is made


@pytest.mark.parametrize(
    ("escalate", "told"),
    [
        pytest.param((), (SLACK, SERVICENOW), id="by default"),
        pytest.param(("channel", "raise"), (SLACK, SERVICENOW), id="channel and raise"),
        pytest.param(("raise",), (SERVICENOW,), id="raise"),
        pytest.param(("channel",), (SLACK,), id="channel"),
        pytest.param((LEADS,), (LEADS,), id="another channel"),
        pytest.param((LEADS, "raise"), (LEADS, SERVICENOW), id="another channel and raise"),
        pytest.param(("steps",), (SERVICENOW,), id="the steps that alerts have"),
    ],
)
def test_a_made_policy_goes_on_after_its_wait_as_the_tickets_instance_says(escalate, told):
    policy = policy_of(config_of(**events(*escalate)))

    assert course(policy) == [((SLACK,), 0), (told, WAIT_MS)]
    assert policy.providers == tuple(it for it in told if it == SERVICENOW)


def test_the_channel_is_told_again_with_the_mention_when_nobody_acknowledges():
    policy = policy_of(config_of(**events()), mention="<!here>")

    assert policy.mentions == {SLACK: "<!here>"}
    assert policy.step(1).targets == (SLACK, SERVICENOW)


def test_the_mention_that_a_ticket_asks_for_is_for_every_channel_that_is_told():
    policy = policy_of(config_of(**events(LEADS, "raise")), mention="<!here>")

    assert policy.mentions == {SLACK: "<!here>", LEADS: "<!here>"}


def test_a_ticket_that_is_routed_to_the_place_of_the_channel_that_is_told_next_has_one_message():
    policy = policy_of(config_of(**events(LEADS)), destinations={SLACK: "C0LEADS0"})

    assert course(policy) == [((SLACK,), 0), ((SLACK,), WAIT_MS)]


@pytest.mark.parametrize("escalate", [(), ("raise",), ("channel",), (LEADS,), ("steps",)], ids=str)
def test_the_fallback_of_a_ticket_is_left_out(escalate):
    policy = policy_of(config_of(**events(*escalate)))

    assert policy.fallback is None
    assert all(step.when is not When.FAILED for step in policy.steps)
    assert INFRA not in policy.targets


@pytest.mark.parametrize(
    ("escalate", "steps"),
    [
        pytest.param((), [(SLACK,), (SLACK,)], id="by default"),
        pytest.param(("raise",), [(SLACK,)], id="raise"),
        pytest.param(("steps",), [(SLACK,)], id="the steps that alerts have"),
        pytest.param((LEADS, "raise"), [(SLACK,), (LEADS,)], id="another channel and raise"),
    ],
)
def test_what_is_not_written_to_is_not_raised(escalate, steps):
    policy = policy_of(config_of(bidirectional=False, **events(*escalate)))

    assert [step.targets for step in policy.steps] == steps
    assert policy.providers == ()


def test_a_ticket_of_another_instance_is_raised_itself():
    policy = policy_of(config_of(**events("raise")), origin=INFRA)

    assert course(policy) == [((SLACK,), 0), ((INFRA,), WAIT_MS)]
    assert policy.providers == (INFRA,)


def test_where_a_request_or_a_route_sends_records_means_nothing_to_a_ticket():
    policy = policy_of(config_of(**events("steps")), destinations={SERVICENOW: "infra", SLACK: "C0OTHER"})

    assert policy.destinations == {SLACK: "C0OTHER"}
    assert policy.targets == (SLACK, SERVICENOW)


def test_the_wait_is_the_one_that_the_priority_asks_for():
    policy = policy_of(config_of(**events()), wait_ms=2 * MINUTE_MS)

    assert (policy.wait_ms, policy.oncall_after_ms) == (2 * MINUTE_MS, 2 * MINUTE_MS)


# Whom a route notifies besides

DUTY = {"name": "duty", "steps": [{"notify": [SLACK]}, {"after": "1m", "notify": [SLACK]}]}


def routed(*policies: dict[str, Any], notify: tuple[str, ...] = (LEADS, INFRA), **more: Any) -> Config:
    route = {"notify": list(notify)}
    return config_of(*policies, routing_field="category", routing={"a": route}, **{**events(), **more})


def test_channels_of_a_route_are_notified_at_once_and_providers_with_the_step_that_raises_the_ticket():
    policy = policy_of(routed(), notify=(LEADS, INFRA))

    assert course(policy) == [((SLACK, LEADS), 0), ((SLACK, SERVICENOW, INFRA), WAIT_MS)]
    assert policy.providers == (SERVICENOW, INFRA)


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        pytest.param([{"notify": [SLACK]}], [((SLACK,), 0), ((INFRA,), 2 * MINUTE_MS)], id="a step of its own"),
        pytest.param(DUTY["steps"], [((SLACK,), 0), ((SLACK, INFRA), MINUTE_MS)], id="the second step"),
        pytest.param(
            [{"notify": [SLACK]}, {"after": "1m", "notify": [SLACK]}, {"after": "1m", "notify": [SERVICENOW]}],
            [((SLACK,), 0), ((SLACK,), MINUTE_MS), ((SERVICENOW, INFRA), MINUTE_MS)],
            id="the step that raises the ticket",
        ),
    ],
)
def test_a_provider_that_a_route_names_is_called_when_nobody_acknowledges(steps, told):
    config = routed({"name": "duty", "steps": steps}, **events("steps"))

    assert course(policy_of(config, policy="duty", notify=(INFRA,), wait_ms=2 * MINUTE_MS)) == told


def test_what_does_not_escalate_calls_nobody_whom_a_route_names_but_notifies_its_channels():
    policy = policy_of(routed(), notify=(LEADS, INFRA), escalates=False)

    assert course(policy) == [((SLACK, LEADS), 0)]
    assert policy.providers == ()


def test_the_ticket_itself_and_what_is_not_configured_any_more_are_left_out():
    policy = policy_of(routed(), notify=(INFRA, "slack:gone"), origin=INFRA)

    assert course(policy) == [((SLACK,), 0), ((SLACK, INFRA), WAIT_MS)]


def test_a_channel_that_a_route_names_twice_has_one_message_and_the_mention():
    policy = policy_of(routed(), notify=(LEADS,), destinations={SLACK: "C0LEADS0"}, mention="<!here>")

    assert policy.step(0).targets == (SLACK,)
    assert policy_of(routed(), notify=(LEADS,), mention="<!here>").mentions == {SLACK: "<!here>", LEADS: "<!here>"}


def test_a_wait_of_nothing_raises_at_once():
    assert course(policy_of(config_of(**events("raise")), wait_ms=0)) == [((SLACK,), 0), ((SERVICENOW,), 0)]


def test_a_priority_that_does_not_escalate_tells_the_channels_alone():
    policy = policy_of(config_of(**events()), escalates=False)

    assert course(policy) == [((SLACK,), 0)]
    assert (policy.providers, policy.wait_ms) == ((), None)


def test_without_on_call_nothing_escalates_but_by_a_priority_that_says_so():
    config = config_of(oncall={"enable": False, "initialized_only": True}, **events())

    assert course(policy_of(config)) == [((SLACK,), 0)]
    assert course(policy_of(config, escalates=True)) == [((SLACK,), 0), ((SLACK, SERVICENOW), WAIT_MS)]


def test_an_acknowledgment_ends_as_that_of_an_alert_does():
    config = config_of(oncall={"ack_timeout_minutes": 60}, **events())

    assert policy_of(config).ack_timeout_ms == 60 * MINUTE_MS


def test_what_came_from_alerts_has_its_record_and_its_fallback():
    policy = policy_of(config_of(**events()), origin="")

    assert course(policy) == [((SLACK,), 0), ((SERVICENOW,), WAIT_MS)]
    assert policy.fallback is not None


def with_pager(*escalate: str) -> Config:
    """Incidents of alerts page somebody, in ServiceNow are only tickets."""
    channels = {"enable": True, "channel_id": "C0ALERTS", "channels": {"leads": "C0LEADS0"}}
    instance = {
        "instance_url": "https://servicenow.example",
        "username": "versus",
        "password": "x",
        **events(*escalate),
    }
    oncall = {"enable": True, "provider": "pager", "wait_minutes": 5, "pager": {"url": "http://pager.example"}}
    values = {"alert": {"slack": channels}, "oncall": {**oncall, "servicenow": {**instance, **events(*escalate)}}}
    return model((*BUILT_IN, toys.PAGER)).model_validate(values)


def test_a_ticket_is_raised_also_where_another_system_is_on_call():
    policy = policy_of(with_pager("channel", "raise"))

    assert course(policy) == [((SLACK,), 0), ((SLACK, SERVICENOW), WAIT_MS)]
    assert (policy.providers, policy.oncall) == ((SERVICENOW,), SERVICENOW)


def test_a_ticket_pages_where_another_system_is_on_call_and_the_steps_are_asked_for():
    policy = policy_of(with_pager("steps"))

    assert course(policy) == [((SLACK,), 0), (("pager",), WAIT_MS)]
    assert policy.providers == ("pager",)


# A policy by its name


def test_the_records_of_a_named_policy_are_its_ticket():
    policy = policy_of(config_of(CRITICAL, **events()), policy="critical")

    assert course(policy) == [((SLACK,), 0), ((LEADS,), 10 * MINUTE_MS), ((SERVICENOW,), 90 * MINUTE_MS)]
    assert (policy.name, policy.providers) == ("critical", (SERVICENOW,))
    assert (policy.repeat, policy.ack_timeout_ms) == (1, 240 * MINUTE_MS)


def test_the_records_of_a_named_policy_are_the_ticket_of_the_other_instance():
    two = {**CRITICAL, "steps": [{"notify": [SLACK, SERVICENOW]}, {"after": "10m", "notify": [INFRA]}]}

    policy = policy_of(config_of(two, **events()), policy="critical", origin=INFRA)

    assert course(policy) == [((SLACK, INFRA), 0), ((INFRA,), 10 * MINUTE_MS)]
    assert policy.providers == (INFRA,)


def test_a_step_for_two_records_raises_the_one_ticket_once():
    two = {**CRITICAL, "steps": [{"notify": [SLACK]}, {"after": "10m", "notify": [SERVICENOW, INFRA]}]}

    assert course(policy_of(config_of(two, **events()), policy="critical"))[1] == ((SERVICENOW,), 10 * MINUTE_MS)


@pytest.mark.parametrize(
    "config",
    [
        pytest.param(config_of(CRITICAL, bidirectional=False, **events()), id="tickets are not written to"),
        pytest.param(config_of(CRITICAL, bidirectional=False, **events("steps")), id="nor by steps"),
        pytest.param(config_of(CRITICAL, **events("channel")), id="only the channel is told"),
    ],
)
def test_a_named_policy_goes_on_without_its_records_where_nothing_is_raised(config):
    policy = policy_of(config, policy="critical")

    assert course(policy) == [((SLACK,), 0), ((LEADS,), 10 * MINUTE_MS)]
    assert policy.providers == ()
    assert policy.repeat == 1


def test_a_named_policy_of_records_alone_tells_nobody_where_nothing_is_raised():
    alone = {**CRITICAL, "steps": [{"notify": [SERVICENOW]}]}

    policy = policy_of(config_of(alone, bidirectional=False, **events()), policy="critical")

    assert (policy.targets, policy.count) == ((), 1)


def test_a_named_policy_has_the_wait_that_the_priority_asks_for():
    policy = policy_of(config_of(CRITICAL, **events()), policy="critical", wait_ms=5 * MINUTE_MS)

    assert policy.oncall_after_ms == 5 * MINUTE_MS
    assert policy.providers == (SERVICENOW,)


def test_a_named_policy_of_a_priority_that_does_not_escalate_tells_channels():
    policy = policy_of(config_of(CRITICAL, **events()), policy="critical", escalates=False)

    assert course(policy) == [((SLACK,), 0), ((LEADS,), 10 * MINUTE_MS)]


def test_a_ticket_has_the_policy_that_its_labels_lead_to():
    group = {**CRITICAL, "match": ['assignment_group="Database"']}

    assert policy_of(config_of(group, **events()), {"assignment_group": "Database"}).name == "critical"
    assert policy_of(config_of(group, **events()), {"assignment_group": "Web"}).name == ""


def test_the_mention_of_a_step_stays_in_a_policy_that_is_routed_with_another():
    policy = policy_of(config_of(CRITICAL, **events()), policy="critical", mention="<!here>")

    assert policy.step(1).mention == "<!subteam^S0123456789>"
    assert policy.mentions == {SLACK: "<!here>", LEADS: "<!here>"}


# Later rounds


def ticket_of(config: Config, **asked: Any) -> Incident:
    alert = Alert("default\nabc", AlertStatus.FIRING, severity="warning")
    found = make_notification(alert, source=SERVICENOW, severity="warning", dedup_key="servicenow\ndefault\nabc")
    policy = policy_of(config, **asked)
    incident = trigger(found, policy, dedup_key="servicenow\ndefault\nabc", now_ms=START_MS, episode_ms=0).incident
    return replace(incident, origin=SERVICENOW)


@pytest.mark.parametrize("policy", ["", "critical"])
def test_a_later_round_raises_the_same_ticket(policy):
    config = config_of(CRITICAL, **events())
    incident = ticket_of(config, policy=policy)

    later = Policies(config).of_known(incident, START_MS + 60 * MINUTE_MS)

    assert later == incident.policy
    assert incident.providers == (SERVICENOW,)


def test_a_ticket_that_an_older_version_has_routed_is_still_the_only_one():
    config = config_of(CRITICAL, **events())
    incident = ticket_of(config)
    routed = replace(incident, policy=replace(incident.policy, asked=Asked(policy="critical")))

    later = Policies(config).of_known(routed, START_MS)

    assert later.asked == Asked(policy="critical", origin=SERVICENOW)
    assert later.fallback is None


def test_a_policy_that_is_gone_from_the_configuration_leaves_the_made_one_with_the_ticket():
    incident = ticket_of(config_of(CRITICAL, **events()), policy="critical")

    later = Policies(config_of(**events())).of_known(incident, START_MS)

    assert course(later) == [((SLACK,), 0), ((SLACK, SERVICENOW), WAIT_MS)]


def test_a_ticket_whose_instance_sends_no_more_is_still_the_only_one():
    incident = ticket_of(config_of(**events()))

    later = Policies(config_of()).of_known(incident, START_MS)

    assert [step.targets for step in later.steps] == [(SLACK,), (SLACK,)]
