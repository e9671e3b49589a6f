"""The menu of further actions in Slack: a form asks for the severity, or where to route, and what is sent is done."""

from typing import Any

import pytest

from tests.integration.conftest import CHANNEL
from tests.integration.interactions.test_interactions import ALERT
from versus_py.incidents.actions import Action
from versus_py.incidents.model import Status
from versus_py.simulators.slack.simulator import SIGNING_SECRET
from versus_py.targets.slack.actions import MORE

DBA = "C0DATABASE"


@pytest.fixture
def policies() -> list[dict[str, Any]]:
    return [{"name": "dba", "match": ['team="dba"'], "steps": [{"notify": ["slack:leads"]}]}]


@pytest.fixture
def settings(policies):
    return {"policies": policies}


@pytest.fixture
def slack_settings():
    return {"signing_secret": SIGNING_SECRET, "channels": {"leads": "C0LEADS"}}


@pytest.fixture
async def incident_id(engine):
    """Of an incident whose message is posted."""
    [created] = (await engine.post(ALERT))["incidents"]
    await engine.settle()
    return created["id"]


async def ask(engine, incident_id, action, user="U0ANA"):
    """Somebody chooses one of the further actions in the menu of the first message."""
    delivery = await engine.slack.press(engine.slack.messages[0], MORE, user=user, option=f"{incident_id} {action}")
    assert (delivery.status, delivery.body) == (200, "")
    await engine.follow_ups.settled()


async def send(engine, user="U0ANA", **chosen):
    delivery = await engine.slack.submit(user, **chosen)
    assert (delivery.status, delivery.body) == (200, "")
    await engine.follow_ups.settled()
    await engine.settle()


def told(engine, user):
    """What only that person was told."""
    return [it.text for it in engine.slack.ephemerals if it.user == user]


def inputs(engine, user="U0ANA"):
    """What the open form asks for: the choices of each menu."""
    found = {it["block_id"]: it["element"] for it in engine.slack.views.open[user].inputs}
    return {name: [option["value"] for option in it.get("options", [])] for name, it in found.items()}


async def test_a_severity_is_set_by_who_chose_it_in_the_form(engine, incident_id):
    await ask(engine, incident_id, Action.SEVERITY)
    assert inputs(engine) == {"severity": ["critical", "error", "warning", "notice", "info", "debug"]}

    await send(engine, severity="critical")

    found = await engine.store.get(incident_id)
    assert found.severity == "critical"
    assert "The severity was raised by *Ana Diaz*: high → critical" in engine.slack.messages[0].replies[-1]


async def test_a_route_is_done_by_who_chose_the_policy_in_the_form(engine, incident_id):
    await ask(engine, incident_id, Action.ROUTE)
    assert inputs(engine) == {"policy": ["dba"], "place": []}

    await send(engine, policy="dba")

    assert (await engine.store.get(incident_id)).policy.name == "dba"
    assert [it.channel for it in engine.slack.messages] == [CHANNEL, "C0LEADS"]


async def test_a_route_to_a_channel_moves_the_message_and_its_buttons_work_there(engine, incident_id):
    await ask(engine, incident_id, Action.ROUTE)

    await send(engine, place=DBA)

    [before, now] = engine.slack.messages
    assert (before.text.split()[0], now.channel) == (":arrow_right:", DBA)
    await engine.slack.press(now, Action.ACKNOWLEDGE, user="U0BEN")
    assert (await engine.store.get(incident_id)).status is Status.ACKNOWLEDGED


@pytest.mark.parametrize("policies", [[]])
async def test_without_policies_the_form_asks_for_a_channel(engine, incident_id):
    await ask(engine, incident_id, Action.ROUTE)

    assert inputs(engine) == {"place": []}


async def test_who_chooses_nothing_or_what_there_is_already_is_told_that_nothing_was_changed(engine, incident_id):
    await ask(engine, incident_id, Action.ROUTE)
    await send(engine)
    assert told(engine, "U0ANA") == ["Nothing was changed: say where to: policy, channel, or both."]

    await ask(engine, incident_id, Action.ROUTE)
    await send(engine, place=CHANNEL)

    assert told(engine, "U0ANA")[-1].startswith("*Disk full*: it goes there already")


@pytest.mark.parametrize("action", [Action.SEVERITY, Action.ROUTE])
async def test_no_form_opens_for_what_is_resolved(engine, incident_id, action):
    message = engine.slack.messages[0]
    body, headers = engine.slack.prepare_press(message, MORE, user="U0ANA", option=f"{incident_id} {action}")
    await engine.http.post(f"/api/incidents/{incident_id}/resolve?by=ben")

    await engine.http.post("/api/slack/interactions", data=body, headers=headers)
    await engine.follow_ups.settled()

    assert engine.slack.views.open == {}
    assert "ben* resolved it" in told(engine, "U0ANA")[-1]


@pytest.mark.parametrize("action", [Action.SEVERITY, Action.ROUTE])
@pytest.mark.parametrize("slack_settings", [{"signing_secret": SIGNING_SECRET, "allowed_users": ["U0BEN"]}])
@pytest.mark.parametrize("policies", [[]])
async def test_only_those_who_may_press_buttons_may_do_this(engine, incident_id, action):
    await ask(engine, incident_id, action)

    assert engine.slack.views.open == {}
    assert "you are not among those who may do that" in told(engine, "U0ANA")[-1]
