"""Resolving with a comment in Slack: a form opens, and what is written in it becomes the close notes."""

import pytest

from tests.integration.interactions.test_interactions import ALERT, told
from versus_py.incidents.model import Status
from versus_py.simulators import Fault
from versus_py.simulators.slack.errors import ErrorOrder
from versus_py.simulators.slack.simulator import SIGNING_SECRET
from versus_py.targets.slack.actions import RESOLVE_WITH_COMMENT


@pytest.fixture
def slack_settings():
    return {"signing_secret": SIGNING_SECRET}


@pytest.fixture
async def incident_id(engine):
    """Of an incident whose message is posted."""
    [created] = (await engine.post(ALERT))["incidents"]
    await engine.settle()
    return created["id"]


async def ask(engine, user="U0ANA"):
    """Somebody presses the button for a comment on the one message there is."""
    [message] = engine.slack.messages
    delivery = await engine.slack.press(message, RESOLVE_WITH_COMMENT, user=user)
    assert (delivery.status, delivery.body) == (200, "")
    await engine.follow_ups.settled()


async def send(engine, user="U0ANA", **texts):
    delivery = await engine.slack.submit(user, **texts)
    assert (delivery.status, delivery.body) == (200, "")
    await engine.follow_ups.settled()
    await engine.settle()


async def test_the_form_names_the_incident_and_nothing_is_done_before_it_is_sent(engine, incident_id):
    await ask(engine)

    shown = engine.slack.views.open["U0ANA"].view
    assert shown["blocks"][0]["text"]["text"] == "Disk full"
    assert (await engine.store.get(incident_id)).status is Status.TRIGGERED


async def test_what_is_written_becomes_the_close_notes_and_a_line_in_the_thread(engine, incident_id):
    await engine.after(minutes=10)
    await ask(engine)

    await send(engine, comment="Replaced the disk")

    found = await engine.store.get(incident_id)
    assert (found.status, found.resolved_by.name) == (Status.RESOLVED, "Ana Diaz")
    [record] = engine.servicenow.incidents
    assert record["close_notes"] == "Replaced the disk\nResolved by Ana Diaz (ana@example.com)."
    [message] = engine.slack.messages
    assert "Replaced the disk" in message.replies[-1]
    assert engine.slack.views.open == {}
    assert told(engine) == []


async def test_a_form_that_is_sent_empty_resolves_without_a_comment(engine, incident_id):
    await ask(engine)

    await send(engine)

    found = await engine.store.get(incident_id)
    assert (found.status, found.resolve_comment) == (Status.RESOLVED, "")


async def test_whoever_sends_the_form_second_hears_who_was_first(engine, incident_id):
    await ask(engine)
    await ask(engine, user="U0BEN")
    await send(engine, comment="first")

    await send(engine, user="U0BEN", comment="second")

    assert (await engine.store.get(incident_id)).resolve_comment == "first"
    [(user, text)] = told(engine)
    assert user == "U0BEN"
    assert "*Ana Diaz* resolved it" in text


async def test_no_form_opens_for_what_is_resolved_already(engine, incident_id):
    [message] = engine.slack.messages
    body, headers = engine.slack.prepare_press(message, RESOLVE_WITH_COMMENT, user="U0BEN")
    await ask(engine)
    await send(engine)

    await engine.slack.deliver(body, headers)
    await engine.follow_ups.settled()

    assert engine.slack.views.open == {}
    assert "resolved it" in told(engine)[-1][1]


async def test_a_press_that_is_answered_too_late_for_a_form_says_so(engine, incident_id, clock):
    [message] = engine.slack.messages
    body, headers = engine.slack.prepare_press(message, RESOLVE_WITH_COMMENT)
    clock.advance(seconds=4)

    await engine.slack.deliver(body, headers)
    await engine.follow_ups.settled()

    assert engine.slack.views.open == {}
    assert told(engine) == [
        ("U0ANA", "Nothing was changed: the form did not open (expired_trigger_id). Press the button again.")
    ]
    assert (await engine.store.get(incident_id)).status is Status.TRIGGERED


@pytest.mark.parametrize("slack_settings", [{"signing_secret": SIGNING_SECRET, "allowed_users": ["U0BEN"]}])
async def test_who_may_not_act_gets_no_form(engine, incident_id):
    await ask(engine)

    assert engine.slack.views.open == {}
    assert "you are not among those who may do that" in told(engine)[0][1]


@pytest.mark.parametrize("slack_settings", [{"signing_secret": SIGNING_SECRET, "actions": {"resolve": False}}])
async def test_the_button_is_switched_off_with_resolve(engine, incident_id):
    [message] = engine.slack.messages

    assert RESOLVE_WITH_COMMENT not in str(message.attachments)


async def test_a_form_that_slack_refuses_is_told_to_the_person(engine, incident_id):
    engine.slack.errors.order(ErrorOrder(error="view_too_large", method="views.open"))

    await ask(engine)

    assert "the form did not open (view_too_large)" in told(engine)[0][1]


async def test_a_form_opens_also_when_slack_fails_once(engine, incident_id):
    engine.slack.faults.order(Fault(kind="503", path="/api/views.open"))

    await ask(engine)

    assert list(engine.slack.views.open) == ["U0ANA"]
