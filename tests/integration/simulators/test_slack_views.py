"""The modals of the simulated Slack: opened by a press, within seconds, and sent or closed by people."""

import copy
import json
from typing import Any
from urllib.parse import parse_qs

import pytest

from tests.integration.conftest import TOKEN
from versus_py.simulators.slack import NotShown
from versus_py.simulators.slack.validation import Content

TEXT = {"type": "plain_text", "text": "Why?"}
VIEW = {
    "type": "modal",
    "callback_id": "why",
    "title": {"type": "plain_text", "text": "Resolve"},
    "submit": {"type": "plain_text", "text": "Send"},
    "private_metadata": "x",
    "blocks": [
        {"type": "section", "text": TEXT},
        {
            "type": "input",
            "block_id": "why",
            "label": TEXT,
            "element": {"type": "plain_text_input", "action_id": "text"},
        },
    ],
}


@pytest.fixture
def trigger(slack):
    """A trigger_id of a press by Ana."""
    button = {"type": "button", "action_id": "ask", "text": TEXT}
    actions = {"type": "actions", "block_id": "b", "elements": [button]}
    message = slack.add_message("C1", Content("…", [], [actions]))

    def press():
        body, _ = slack.prepare_press(message, "ask")
        return json.loads(parse_qs(body.decode())["payload"][0])["trigger_id"]

    return press


async def opened(session, slack_url, view, trigger_id):
    headers = {"Authorization": f"Bearer {TOKEN}"}
    arguments = {"view": view, "trigger_id": trigger_id}
    async with session.post(f"{slack_url}/api/views.open", json=arguments, headers=headers) as response:
        return await response.json()


async def test_a_trigger_opens_one_modal_within_three_seconds(session, slack_url, slack, trigger, clock):
    first, late = trigger(), trigger()

    answers = [await opened(session, slack_url, VIEW, it) for it in (first, first, "7.7.7")]
    clock.advance(seconds=4)
    answers.append(await opened(session, slack_url, VIEW, late))

    errors = [it.get("error") for it in answers]
    assert errors == [None, "exchanged_trigger_id", "invalid_trigger_id", "expired_trigger_id"]
    assert answers[0]["view"]["state"] == {"values": {"why": {"text": {"type": "plain_text_input", "value": None}}}}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["type"], "home"),
        (["title", "text"], "x" * 25),
        (["submit"], {"type": "mrkdwn", "text": "Send"}),
        (["private_metadata"], "x" * 3001),
        (["blocks"], []),
        (["blocks", 1, "label"], None),
        (["blocks", 1, "hint"], {"type": "plain_text", "text": ""}),
        (["blocks", 1, "element", "type"], "checkboxes"),
        (["blocks", 1, "element", "max_length"], 3001),
        (["blocks", 0, "type"], "nothing"),
    ],
)
async def test_a_modal_that_slack_would_not_take_is_refused(session, slack_url, slack, trigger, path, value):
    view = copy.deepcopy(VIEW)
    *parents, last = path
    place: Any = view
    for it in parents:
        place = place[it]
    place[last] = value

    answer = await opened(session, slack_url, view, trigger())

    assert answer["error"] == "invalid_arguments"
    assert slack.views.open == {}


async def test_a_modal_with_an_input_needs_a_button_to_send_it(session, slack_url, trigger):
    view = {name: it for name, it in VIEW.items() if name != "submit"}

    assert (await opened(session, slack_url, view, trigger()))["error"] == "invalid_arguments"


async def test_a_modal_is_shown_to_the_one_who_pressed_and_can_be_closed(session, slack_url, slack, trigger):
    await opened(session, slack_url, VIEW, trigger())

    async with session.get(f"{slack_url}/?as=U0ANA") as mine, session.get(f"{slack_url}/?as=U0BEN") as other:
        assert 'name="why"' in await mine.text()
        assert 'name="why"' not in await other.text()
    await session.post(f"{slack_url}/views", data={"viewer": "U0ANA", "do": "close"})

    assert slack.views.open == {}
    with pytest.raises(NotShown):
        await slack.submit("U0ANA", why="x")


async def test_a_modal_stays_open_while_the_app_does_not_take_it(session, slack_url, slack, trigger):
    await opened(session, slack_url, VIEW, trigger())

    await session.post(f"{slack_url}/views", data={"viewer": "U0ANA", "do": "submit", "why": "x"})

    assert slack.deliveries[-1].via == "nobody"
    assert list(slack.views.open) == ["U0ANA"]
