"""The simulated Slack behaves like the original where it hurts, also to Slack's own client."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from urllib.parse import parse_qs
from zoneinfo import ZoneInfo

import aiohttp
import pytest
from aiohttp import web as server
from slack_sdk.errors import SlackApiError
from slack_sdk.signature import Clock, SignatureVerifier
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.response import SocketModeResponse
from slack_sdk.web.async_client import AsyncWebClient

from tests.integration.conftest import TOKEN
from tests.support.clock import FakeClock
from tests.support.waiting import until
from versus_py.simulators import Fault, SlackSimulator, run_app
from versus_py.simulators.slack import SCOPES, NotShown


@pytest.fixture
def web(session, slack_url) -> AsyncWebClient:
    """Slack's own client."""
    return AsyncWebClient(TOKEN, base_url=f"{slack_url}/api/", session=session, retry_handlers=[])


async def refusal(answer):
    """The error of a call that is refused."""
    with pytest.raises(SlackApiError) as caught:
        await answer
    return caught.value.response["error"]


async def call(session, slack_url, method, **arguments):
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with session.post(f"{slack_url}/api/{method}", json=arguments, headers=headers) as response:
        return response, await response.json()


async def test_slack_says_no_with_status_200(session, slack_url):
    async with session.post(f"{slack_url}/api/auth.test", headers={"Authorization": "Bearer xoxb-other"}) as response:
        assert response.status == 200
        assert await response.json() == {"ok": False, "error": "invalid_auth"}
    assert (await call(session, slack_url, "auth.test"))[1]["ok"]


async def test_slack_limits_posts_of_one_channel_and_not_of_others(session, slack_url, clock):
    answers = [(await call(session, slack_url, "chat.postMessage", channel="C1", text="x"))[0] for _ in range(4)]

    assert [answer.status for answer in answers] == [200, 200, 200, 429]
    assert answers[-1].headers["Retry-After"] == "1"
    assert (await call(session, slack_url, "chat.postMessage", channel="C2", text="x"))[1]["ok"]
    clock.advance(seconds=1)
    assert (await call(session, slack_url, "chat.postMessage", channel="C1", text="x"))[1]["ok"]


async def ask(session, slack_url, channel):
    headers = {"Authorization": f"Bearer {TOKEN}"}
    url = f"{slack_url}/api/conversations.info"
    async with session.get(url, params={"channel": channel}, headers=headers) as response:
        return await response.json()


async def test_slack_describes_channels_by_id_also_archived_ones_and_those_that_the_bot_has_not_joined(
    session, slack, slack_url
):
    slack.archived.add("C1")
    slack.not_joined.add("C2")

    described = [(await ask(session, slack_url, name))["channel"] for name in ("C1", "C2")]

    assert [(it["id"], it["is_archived"], it["is_member"]) for it in described] == [
        ("C1", True, True),
        ("C2", False, False),
    ]
    assert await ask(session, slack_url, "#alerts") == {"ok": False, "error": "channel_not_found"}


async def test_slack_names_the_scopes_of_the_token_and_the_one_that_a_method_lacks(session):
    simulator = SlackSimulator(token=TOKEN, scopes=["chat:write"])
    simulator.not_joined.add("C1")
    async with run_app(simulator.app()) as url:
        response, _ = await call(session, url, "auth.test")
        refused = await ask(session, url, "C1")
        _, posted = await call(session, url, "chat.postMessage", channel="C1", text="x")

    assert response.headers["x-oauth-scopes"] == "chat:write"
    assert refused == {"ok": False, "error": "missing_scope", "needed": "channels:read", "provided": "chat:write"}
    assert posted["error"] == "not_in_channel"


SECTION = {"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3001}}
BUTTON = {"type": "button", "text": {"type": "plain_text", "text": "x" * 76}}
ACTIONS = {"type": "actions", "elements": [BUTTON]}


@pytest.mark.parametrize(
    ("method", "arguments", "error"),
    [
        ("chat.postMessage", {"channel": "C1"}, "no_text"),
        ("chat.postMessage", {"channel": "X1", "text": "x"}, None),
        ("chat.postMessage", {"channel": "C1", "blocks": [SECTION]}, "invalid_blocks"),
        (
            "chat.postMessage",
            {"channel": "C1", "blocks": [ACTIONS]},
            "invalid_blocks",
        ),
        ("chat.postMessage", {"channel": "C1", "text": "x", "attachments": [{}] * 101}, "too_many_attachments"),
        ("chat.update", {"channel": "C1", "ts": "1.0", "text": "x"}, "message_not_found"),
        ("chat.update", {"channel": "#alerts", "ts": "1.0", "text": "x"}, "channel_not_found"),
    ],
)
async def test_slack_checks_what_it_is_sent(session, slack_url, method, arguments, error):
    _, answer = await call(session, slack_url, method, **arguments)

    assert answer.get("error") == error


def element(kind, **more):
    return {"type": kind, "action_id": "a"} | more


def plain(text):
    return {"type": "plain_text", "text": text}


def option(text="o", value="o"):
    return {"text": plain(text), "value": value}


def actions(*elements):
    return {"type": "actions", "elements": list(elements)}


def section(**more):
    return {"type": "section"} | more


@pytest.mark.parametrize(
    "block",
    [
        actions(element("button", text=plain("OK"), value="v" * 2000, confirm={"text": plain("Sure?")})),
        actions(element("static_select", placeholder=plain("p" * 150), options=[option()] * 100)),
        actions(element("static_select", option_groups=[{"label": plain("g"), "options": [option()]}])),
        actions(element("static_select", options=[option()], initial_option=option())),
        actions(element("overflow", options=[option()] * 5)),
        section(fields=[plain("f" * 1000)] * 10),
        section(text=plain("x"), accessory=element("overflow", options=[option()])),
        section(text=plain("x"), accessory={"type": "image", "image_url": "https://x", "alt_text": "x"}),
        {"type": "header", "text": plain("h" * 150)},
        {"type": "context", "elements": [{"type": "image", "image_url": "https://x", "alt_text": "x"}]},
        {"type": "divider"},
    ],
)
async def test_slack_takes_blocks_within_their_limits(web, slack, block):
    await web.chat_postMessage(channel="C1", text="x", blocks=[block])

    assert [it["type"] for it in slack.messages[0].blocks] == [block["type"]]


@pytest.mark.parametrize(
    "blocks",
    [
        [{"type": "no_such_block"}],
        [actions()],
        [actions(element("no_such_element"))],
        [actions(element("button", text=plain("")))],
        [actions(element("button", text={"type": "mrkdwn", "text": "x"}))],
        [actions(element("button", text=plain("x"), value="v" * 2001))],
        [actions(element("button", text=plain("x"), url="u" * 3001))],
        [actions(element("button", text=plain("x"), style="loud"))],
        [actions(element("button", text=plain("x"), confirm={"text": plain("x" * 301)}))],
        [actions(element("button", text=plain("x"), confirm={"title": plain("x")}))],
        [actions(element("button", text=plain("x")) | {"action_id": "a" * 256})],
        [actions(*[element("button", text=plain("x"))] * 2)],
        [actions(*[{"type": "button", "text": plain("x")}] * 26)],
        [actions(element("static_select"))],
        [actions(element("static_select", options=[option()] * 101))],
        [actions(element("static_select", options=[option(value="v" * 151)]))],
        [actions(element("static_select", options=[option()], option_groups=[{"options": [option()]}]))],
        [actions(element("static_select", options=[option()], initial_option=option("other")))],
        [actions(element("static_select", placeholder=plain("p" * 151), options=[option()]))],
        [actions(element("overflow", options=[option()] * 6))],
        [actions(element("overflow", options=[option("x" * 76)]))],
        [section()],
        [section(fields=[plain("x")] * 11)],
        [section(fields=[plain("x" * 2001)])],
        [section(text="not an object")],
        [section(text=plain("x"), accessory="none")],
        [section(text=plain("x"), accessory=element("no_such_element"))],
        [{"type": "header", "text": plain("x" * 151)}],
        [{"type": "header", "text": {"type": "mrkdwn", "text": "x"}}],
        [{"type": "image", "image_url": "https://x", "alt_text": "x" * 2001}],
        [{"type": "context", "elements": [plain("x")] * 11}],
        [{"type": "divider", "block_id": "b" * 256}],
        [{"type": "divider", "block_id": "same"}] * 2,
        [{"type": "divider"}] * 51,
    ],
)
async def test_slack_refuses_blocks_beyond_them(web, slack, blocks):
    assert await refusal(web.chat_postMessage(channel="C1", text="x", blocks=blocks)) == "invalid_blocks"
    assert slack.messages == []


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ({"text": "x" * 40_001}, "msg_too_long"),
        ({"text": "x", "blocks": "none"}, "invalid_blocks_format"),
        ({"text": "x", "attachments": ["none"]}, "invalid_attachments"),
        ({"text": "x", "blocks": [section(text=plain("x" * 3000))] * 5}, "msg_blocks_too_long"),
        ({"text": "x", "metadata": "none"}, "invalid_metadata_format"),
        ({"text": "x", "metadata": {"event_type": "", "event_payload": {}}}, "invalid_metadata_format"),
        ({"text": "x", "metadata": {"event_type": 1, "event_payload": {}}}, "invalid_metadata_format"),
        ({"text": "x", "metadata": {"event_type": "e", "event_payload": "p"}}, "invalid_metadata_format"),
        ({"text": "x", "metadata": {"event_type": "e", "event_payload": {"p": "x" * 16_384}}}, "metadata_too_large"),
        ({"text": "x", "reply_broadcast": True}, "invalid_arguments"),
        ({"text": "x", "thread_ts": "1.000000"}, "cannot_reply_to_message"),
    ],
)
async def test_slack_refuses_what_is_no_message(session, slack, slack_url, content, error):
    _, answer = await call(session, slack_url, "chat.postMessage", channel="C1", **content)

    assert (answer["ok"], answer["error"]) == (False, error)
    assert slack.messages == []


async def test_an_edit_has_less_room_than_a_post(web):
    posted = await web.chat_postMessage(channel="C1", text="x" * 4001)

    assert await refusal(web.chat_update(channel="C1", ts=posted["ts"], text="x" * 4001)) == "msg_too_long"


async def test_an_edit_keeps_attachments_that_it_leaves_out_and_text_alone_takes_the_place_of_blocks(web, slack):
    posted = await web.chat_postMessage(
        channel="C1", text="x", blocks=[{"type": "divider"}], attachments=[{"color": "#f00"}]
    )

    await web.chat_update(channel="C1", ts=posted["ts"], text="y")

    [message] = slack.messages
    assert (message.text, message.blocks, message.attachments) == ("y", [], [{"color": "#f00"}])
    assert (message.edits, message.versions) == (1, ["x", "y"])
    await web.chat_update(channel="C1", ts=posted["ts"], text="y", attachments=[])
    assert message.attachments == []


async def test_replies_are_messages_of_their_own_below_the_one_that_they_answer(web, slack, clock):
    posted = await web.chat_postMessage(channel="C1", text="parent")
    await web.chat_postMessage(channel="C1", text="quiet", thread_ts=posted["ts"])
    loud = await web.chat_postMessage(channel="C1", text="loud", thread_ts=posted["ts"], reply_broadcast=True)
    await web.chat_update(channel="C1", ts=loud["ts"], text="louder")
    clock.advance(seconds=1)

    [message] = slack.messages
    assert message.replies == ["quiet", "louder"]
    assert [(it.thread_ts, it.is_broadcast, it.edits) for it in slack.replies_of(message)] == [
        (message.ts, False, 0),
        (message.ts, True, 1),
    ]
    to_a_reply = web.chat_postMessage(channel="C1", text="x", thread_ts=loud["ts"])
    assert await refusal(to_a_reply) == "cannot_reply_to_message"


async def test_replies_count_as_posts_of_the_channel(web):
    posted = await web.chat_postMessage(channel="C1", text="x")
    for _ in range(2):
        await web.chat_postMessage(channel="C1", text="x", thread_ts=posted["ts"])

    assert await refusal(web.chat_postMessage(channel="C1", text="x", thread_ts=posted["ts"])) == "ratelimited"


async def test_a_ts_is_the_time_and_no_two_messages_have_the_same(web, slack, clock):
    stamps = [(await web.chat_postMessage(channel=f"C{number}", text="x"))["ts"] for number in range(3)]
    clock.advance(seconds=1)
    later = (await web.chat_postMessage(channel="C1", text="x"))["ts"]

    assert len(set(stamps)) == 3
    assert [float(ts) for ts in (*stamps, later)] == sorted(float(ts) for ts in (*stamps, later))
    assert float(later) == pytest.approx(clock.now_ms() / 1000, abs=0.001)


async def test_metadata_is_kept_by_edits_that_do_not_speak_of_it(web, slack):
    metadata = {"event_type": "incident", "event_payload": {"id": "i1"}}
    posted = await web.chat_postMessage(channel="C1", text="x", metadata=metadata)
    [message] = slack.messages

    await web.chat_update(channel="C1", ts=posted["ts"], text="y")
    assert message.metadata == metadata
    await web.chat_update(channel="C1", ts=posted["ts"], text="y", metadata=metadata | {"event_payload": {"id": "i2"}})
    assert message.metadata == {"event_type": "incident", "event_payload": {"id": "i2"}}
    await web.chat_update(channel="C1", ts=posted["ts"], text="y", metadata={})
    assert message.metadata is None


async def test_what_was_deleted_and_what_others_said_cannot_be_edited(web, slack):
    posted = await web.chat_postMessage(channel="C1", text="x")
    foreign = slack.say("C1", "hello", user="U0BEN")

    assert await refusal(web.chat_update(channel="C1", ts=foreign.ts, text="x")) == "cant_update_message"
    slack.delete_message(posted["ts"])
    assert await refusal(web.chat_update(channel="C1", ts=posted["ts"], text="x")) == "message_not_found"


async def test_edits_are_limited_in_the_workspace(web, clock):
    posted = await web.chat_postMessage(channel="C1", text="x")
    for number in range(50):
        await web.chat_update(channel="C1", ts=posted["ts"], text=str(number))

    with pytest.raises(SlackApiError) as caught:
        await web.chat_update(channel="C1", ts=posted["ts"], text="x")

    response = caught.value.response
    assert (response.status_code, response["error"], response.headers["Retry-After"]) == (429, "ratelimited", "2")
    clock.advance(seconds=2)
    await web.chat_update(channel="C1", ts=posted["ts"], text="x")


async def said(web, slack, count):
    """A channel in which somebody said 0, 1, 2…"""
    return [slack.say("C1", str(number)) for number in range(count)]


def texts(answer):
    return [it["text"] for it in answer["messages"]]


async def test_history_tells_the_newest_first_of_messages_and_of_replies_that_are_broadcast(web, slack):
    parent, _ = await said(web, slack, 2)
    await web.chat_postMessage(channel="C1", text="quiet", thread_ts=parent.ts)
    await web.chat_postMessage(channel="C1", text="loud", thread_ts=parent.ts, reply_broadcast=True)
    await web.chat_postMessage(channel="C2", text="elsewhere")

    answer = await web.conversations_history(channel="C1")

    assert texts(answer) == ["loud", "1", "0"]
    assert answer["has_more"] is False
    broadcast, _, described = answer["messages"]
    assert (broadcast["subtype"], broadcast["thread_ts"], broadcast["bot_id"]) == (
        "thread_broadcast",
        parent.ts,
        "B0DEMO",
    )
    assert (described["reply_count"], described["thread_ts"], described["user"]) == (2, parent.ts, "U0ANA")


async def test_history_comes_in_pages_which_new_messages_do_not_shift(web, slack):
    await said(web, slack, 5)

    first = await web.conversations_history(channel="C1", limit=2)
    slack.say("C1", "new")
    second = await web.conversations_history(channel="C1", limit=2, cursor=first["response_metadata"]["next_cursor"])
    third = await web.conversations_history(channel="C1", limit=2, cursor=second["response_metadata"]["next_cursor"])

    assert [texts(it) for it in (first, second, third)] == [["4", "3"], ["2", "1"], ["0"]]
    assert [it["has_more"] for it in (first, second, third)] == [True, True, False]


async def test_history_has_a_window_whose_edges_are_out_unless_asked_for(web, slack):
    messages = await said(web, slack, 4)
    window = {"channel": "C1", "oldest": messages[0].ts, "latest": messages[3].ts}

    assert texts(await web.conversations_history(**window)) == ["2", "1"]
    assert texts(await web.conversations_history(**window, inclusive=True)) == ["3", "2", "1", "0"]


async def test_history_tells_metadata_only_when_asked(web):
    metadata = {"event_type": "incident", "event_payload": {"id": "i1"}}
    await web.chat_postMessage(channel="C1", text="x", metadata=metadata)

    without = await web.conversations_history(channel="C1")
    with_all = await web.conversations_history(channel="C1", include_all_metadata=True)

    assert "metadata" not in without["messages"][0]
    assert with_all["messages"][0]["metadata"] == metadata


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"limit": 1000}, "invalid_limit"),
        ({"limit": 0}, "invalid_limit"),
        ({"limit": "many"}, "invalid_limit"),
        ({"cursor": "bmV4dF90czox"}, "invalid_cursor"),
        ({"cursor": "?"}, "invalid_cursor"),
        ({"oldest": "yesterday"}, "invalid_ts_oldest"),
        ({"latest": "Infinity"}, "invalid_ts_latest"),
        ({"channel": "#alerts"}, "channel_not_found"),
    ],
)
async def test_history_checks_what_it_is_asked(session, slack_url, arguments, error):
    _, answer = await call(session, slack_url, "conversations.history", **({"channel": "C1"} | arguments))

    assert answer.get("error") == error


async def test_history_is_asked_by_query_by_form_and_by_json(session, slack, slack_url):
    slack.say("C1", "hello")
    url, headers = f"{slack_url}/api/conversations.history", {"Authorization": f"Bearer {TOKEN}"}
    for how in (
        {"method": "GET", "params": {"channel": "C1"}},
        {"method": "POST", "data": {"channel": "C1"}},
        {"method": "POST", "json": {"channel": "C1"}},
    ):
        async with session.request(url=url, headers=headers, **how) as response:
            assert texts(await response.json()) == ["hello"]


async def test_history_of_a_channel_is_for_members_also_where_the_bot_may_post(web, slack):
    slack.not_joined.add("C1")

    await web.chat_postMessage(channel="C1", text="x")

    assert await refusal(web.conversations_history(channel="C1")) == "not_in_channel"
    assert await refusal(web.conversations_replies(channel="C1", ts="1.000000")) == "not_in_channel"


async def test_a_thread_is_told_from_its_parent_on_in_pages(web, slack):
    parent = slack.say("C1", "parent")
    for number in range(3):
        slack.say("C1", str(number), thread=parent)

    first = await web.conversations_replies(channel="C1", ts=parent.ts, limit=2)
    second = await web.conversations_replies(
        channel="C1", ts=parent.ts, cursor=first["response_metadata"]["next_cursor"]
    )

    assert (texts(first), texts(second)) == (["parent", "0"], ["1", "2"])
    assert await refusal(web.conversations_replies(channel="C1", ts="1.000000")) == "thread_not_found"


@pytest.mark.parametrize(
    ("method", "arguments", "scope"),
    [
        ("chat.postEphemeral", {"channel": "C1", "user": "U0ANA", "text": "x"}, "chat:write"),
        ("conversations.history", {"channel": "C1"}, "channels:history"),
        ("conversations.replies", {"channel": "C1", "ts": "1"}, "channels:history"),
        ("users.info", {"user": "U0ANA"}, "users:read"),
        ("users.lookupByEmail", {"email": "ana@example.com"}, "users:read.email"),
        ("usergroups.users.list", {"usergroup": "S0ONCALL"}, "usergroups:read"),
    ],
)
async def test_methods_need_their_scope(session, method, arguments, scope):
    simulator = SlackSimulator(scopes=[it for it in SCOPES if it != scope])
    async with run_app(simulator.app()) as url:
        _, refused = await call(session, url, method, **arguments)

    assert (refused["error"], refused["needed"]) == ("missing_scope", scope)
    assert scope not in refused["provided"].split(",")


async def test_people_are_known_by_id_and_their_address_by_a_scope_of_its_own(web, session):
    about = (await web.users_info(user="U0ANA"))["user"]
    async with run_app(SlackSimulator(scopes=["users:read"]).app()) as url:
        _, without = await call(session, url, "users.info", user="U0ANA")

    assert (about["id"], about["name"], about["real_name"]) == ("U0ANA", "ana", "Ana Diaz")
    assert about["profile"] == {"real_name": "Ana Diaz", "display_name": "ana", "email": "ana@example.com"}
    assert "tz" in about
    assert "email" not in without["user"]["profile"]
    assert await refusal(web.users_info(user="U0NOBODY")) == "user_not_found"


async def test_people_are_found_by_their_address_in_any_case(web, session, slack_url):
    found = (await web.users_lookupByEmail(email="Ana@Example.com"))["user"]
    _, missing = await call(session, slack_url, "users.lookupByEmail")

    assert (found["id"], found["profile"]["email"]) == ("U0ANA", "ana@example.com")
    assert await refusal(web.users_lookupByEmail(email="nobody@example.com")) == "users_not_found"
    assert missing["error"] == "invalid_arguments"
    assert missing["response_metadata"]["messages"] == ["[ERROR] missing required field: email"]


async def test_groups_have_members(web):
    assert (await web.usergroups_users_list(usergroup="S0ONCALL"))["users"] == ["U0ANA"]
    assert await refusal(web.usergroups_users_list(usergroup="S0OTHER")) == "no_such_subteam"


async def test_what_only_one_person_sees_is_kept_and_not_found_again(web, slack):
    parent = slack.say("C1", "parent")

    told = await web.chat_postEphemeral(channel="C1", user="U0ANA", text="psst", thread_ts=parent.ts)

    [only] = slack.ephemerals
    assert (only.channel, only.user, only.text, only.thread_ts) == ("C1", "U0ANA", "psst", parent.ts)
    assert texts(await web.conversations_replies(channel="C1", ts=parent.ts)) == ["parent"]
    assert await refusal(web.chat_update(channel="C1", ts=told["message_ts"], text="x")) == "message_not_found"
    stranger = web.chat_postEphemeral(channel="C1", user="U0NOBODY", text="x")
    assert await refusal(stranger) == "user_not_in_channel"


async def test_every_message_has_a_link_which_leads_to_it(web, slack, slack_url, session):
    parent = slack.say("C1", "parent")
    reply = slack.say("C1", "reply", thread=parent)

    link = (await web.chat_getPermalink(channel="C1", message_ts=parent.ts))["permalink"]
    of_reply = (await web.chat_getPermalink(channel="C1", message_ts=reply.ts))["permalink"]

    assert link == f"{slack_url}/archives/C1/p{parent.ts.replace('.', '')}"
    assert of_reply.endswith(f"p{reply.ts.replace('.', '')}?thread_ts={parent.ts}&cid=C1")
    async with session.get(link) as response:
        assert response.history[0].headers["Location"] == f"/#{parent.ts}"
        assert "parent" in await response.text()
    assert await refusal(web.chat_getPermalink(channel="C1", message_ts="1.000000")) == "message_not_found"


async def test_a_token_of_the_app_is_not_one_of_the_bot(session, slack_url):
    headers = {"Authorization": "Bearer xapp-1"}
    async with session.post(f"{slack_url}/api/auth.test", headers=headers) as response:
        assert (await response.json())["error"] == "not_allowed_token_type"


@pytest.mark.parametrize("method", ["conversations.history", "users.info", "chat.postEphemeral", "chat.getPermalink"])
async def test_every_method_suffers_faults(session, slack, slack_url, method):
    slack.faults.order(Fault(kind="503", path=f"/api/{method}"))

    response, _ = await call_raw(session, slack_url, method)

    assert response.status == 503


async def call_raw(session, slack_url, method):
    async with session.post(f"{slack_url}/api/{method}", headers={"Authorization": f"Bearer {TOKEN}"}) as response:
        return response, await response.text()


async def test_the_state_of_the_workspace_is_told_to_other_processes_and_can_be_forgotten(
    session, web, slack, slack_url
):
    posted = await web.chat_postMessage(channel="C1", text="parent")
    await web.chat_postMessage(channel="C1", text="reply", thread_ts=posted["ts"])
    await web.chat_postEphemeral(channel="C1", user="U0ANA", text="psst")

    async with session.get(f"{slack_url}/control/state") as response:
        state = await response.json()
    async with session.post(f"{slack_url}/control/reset") as response:
        assert response.status == 204

    assert [(it["text"], it["replies"], it["button_url"]) for it in state["messages"]] == [("parent", ["reply"], None)]
    assert [(it["text"], it["thread_ts"]) for it in state["replies"]] == [("reply", posted["ts"])]
    assert [it["text"] for it in state["ephemerals"]] == ["psst"]
    assert state["calls"] == ["chat.postMessage", "chat.postMessage", "chat.postEphemeral"]
    assert (slack.messages, slack.ephemerals, slack.calls) == ([], [], [])


class App:
    """An app that takes interactions; it answers once *may_answer* is set."""

    def __init__(self) -> None:
        self.status = 200
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.requests: list[tuple[bytes, dict[str, str]]] = []

    async def take(self, request: server.Request) -> server.Response:
        self.requests.append((await request.read(), dict(request.headers)))
        await self.may_answer.wait()
        return server.Response(status=self.status, text="taken")

    @property
    def payloads(self):
        return [json.loads(parse_qs(body.decode())["payload"][0]) for body, _ in self.requests]


@pytest.fixture
async def app(slack) -> AsyncIterator[App]:
    found = App()
    application = server.Application()
    application.router.add_post("/slack", found.take)
    async with run_app(application) as url:
        slack.interactions_url = f"{url}/slack"
        yield found
        found.may_answer.set()


class SlackClock(Clock):
    """The clock of the test, as Slack's client wants it."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock

    def now(self) -> float:
        return self._clock.now_ms() / 1000


@pytest.fixture
def verifier(clock) -> SignatureVerifier:
    """What Slack's own client takes for a request of Slack's."""
    return SignatureVerifier("slack-signing-secret", clock=SlackClock(clock))


ACK = element("button", text=plain("Acknowledge")) | {"action_id": "ack", "value": "i1", "style": "primary"}
LINK = element("button", text=plain("Open"), url="https://versus.example") | {"action_id": "open"}
SNOOZE = element("static_select", options=[option("1 hour", "60"), option("1 day", "1440")]) | {"action_id": "snooze"}
MORE = element("overflow", options=[option("Resolve", "resolve")]) | {"action_id": "more"}


@pytest.fixture
async def message(web, slack):
    """A message with something to press."""
    blocks = [{"block_id": "main"} | actions(ACK, LINK, SNOOZE), section(text=plain("x"), accessory=MORE)]
    await web.chat_postMessage(channel="C1", text="x", blocks=blocks)
    return slack.messages[0]


async def test_a_press_is_what_slack_documents_and_signed_as_its_client_checks(
    slack, slack_url, app, message, clock, verifier
):
    delivery = await slack.press(message, "ack", user="U0BEN")

    [(body, headers)] = app.requests
    [payload] = app.payloads
    assert verifier.is_valid_request(body, headers)
    assert headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert (payload["type"], payload["team"]["id"], payload["api_app_id"]) == ("block_actions", "T0DEMO", "A0DEMO")
    assert payload["user"] == {"id": "U0BEN", "username": "ben", "name": "ben", "team_id": "T0DEMO"}
    assert payload["container"] == {
        "type": "message",
        "message_ts": message.ts,
        "channel_id": "C1",
        "is_ephemeral": False,
    }
    assert payload["channel"] == {"id": "C1", "name": "c1"}
    assert (payload["message"]["ts"], payload["message"]["blocks"][0]["block_id"]) == (message.ts, "main")
    assert payload["response_url"].startswith(f"{slack_url}/actions/")
    [action] = payload["actions"]
    assert float(action.pop("action_ts")) == pytest.approx(clock.now_ms() / 1000, abs=0.01)
    assert action == {
        "type": "button",
        "action_id": "ack",
        "block_id": "main",
        "text": plain("Acknowledge"),
        "value": "i1",
        "style": "primary",
    }
    assert (delivery.status, delivery.body, delivery.in_time, delivery.trouble) == (200, "taken", True, "")
    assert slack.deliveries == [delivery]


@pytest.mark.parametrize(
    ("action_id", "value", "block_id", "kind", "text"),
    [("snooze", "1440", "main", "static_select", "1 day"), ("more", "resolve", "b1", "overflow", "Resolve")],
)
async def test_a_choice_in_a_menu_is_told(slack, app, message, action_id, value, block_id, kind, text):
    await slack.press(message, action_id, option=value)

    [action] = app.payloads[0]["actions"]
    del action["action_ts"]
    selected = {"text": plain(text), "value": value}
    assert action == {"type": kind, "action_id": action_id, "block_id": block_id, "selected_option": selected}


async def test_a_button_that_opens_a_link_tells_the_app_as_well(slack, app, message):
    await slack.press(message, "open")

    assert [it["action_id"] for it in app.payloads[0]["actions"]] == ["open"]


async def test_every_press_is_one_of_its_own_also_in_the_same_second(slack, app, message):
    await slack.press(message, "ack")
    await slack.press(message, "ack")

    first, second = app.payloads
    for name in ("trigger_id", "response_url"):
        assert first[name] != second[name]
    assert first["actions"][0]["action_ts"] != second["actions"][0]["action_ts"]


async def test_a_press_in_an_attachment_of_a_reply_says_where_it_is(web, slack, app, message):
    attachment = {"color": "#f00", "blocks": [actions(ACK)]}
    await web.chat_postMessage(channel="C1", text="y", thread_ts=message.ts, attachments=[{}, attachment])
    [reply] = slack.replies_of(message)

    await slack.press(reply, "ack")

    container = app.payloads[0]["container"]
    assert (container["type"], container["attachment_id"]) == ("message_attachment", 2)
    assert (container["message_ts"], container["thread_ts"]) == (reply.ts, message.ts)


async def test_the_same_action_in_two_blocks_is_told_apart_by_the_block(web, slack, app):
    blocks = [{"block_id": name} | actions(ACK | {"value": name}) for name in ("first", "second")]
    await web.chat_postMessage(channel="C1", text="x", blocks=blocks)

    await slack.press(slack.messages[0], "ack", block_id="second")

    assert app.payloads[0]["actions"][0]["value"] == "second"


@pytest.mark.parametrize(("action_id", "value"), [("none", None), ("snooze", "99"), ("snooze", None), ("ack", "60")])
async def test_what_is_not_shown_cannot_be_pressed(slack, app, message, action_id, value):
    with pytest.raises(NotShown):
        await slack.press(message, action_id, option=value)

    assert app.requests == []


async def test_a_prepared_press_can_be_replayed_and_tampered_with(slack, app, message, clock, verifier):
    body, headers = slack.prepare_press(message, "ack")
    _, old = slack.prepare_press(message, "ack", timestamp=clock.now_ms() // 1000 - 301)

    for _ in range(2):
        assert (await slack.deliver(body, headers)).status == 200
    await slack.deliver(body.replace(b"i1", b"i2"), headers)
    await slack.deliver(body, old)
    resigned = headers | {"X-Slack-Signature": slack.sign(b"other", headers["X-Slack-Request-Timestamp"])}
    await slack.deliver(b"other", resigned)

    assert [verifier.is_valid_request(*request) for request in app.requests] == [True, True, False, False, True]


async def test_an_app_that_does_not_answer_in_time_is_not_waited_for(slack, app, message):
    app.may_answer.clear()
    slack.answer_within_s = 0.1

    delivery = await slack.press(message, "ack")

    assert (delivery.status, delivery.in_time, delivery.trouble) == (None, False, "the app did not answer in 0.1 s")
    assert 0.1 <= delivery.seconds < 3


async def test_an_answer_other_than_200_is_trouble(slack, app, message):
    app.status = 500

    delivery = await slack.press(message, "ack")

    assert (delivery.status, delivery.in_time, delivery.trouble) == (500, True, "the app answered 500")


async def test_an_app_that_is_not_there_is_trouble(slack, message):
    nowhere = await slack.press(message, "ack")
    slack.interactions_url = "http://127.0.0.1:9/slack"
    unreachable = await slack.press(message, "ack")

    assert (nowhere.via, nowhere.in_time) == ("nobody", False)
    assert "cannot be reached" in unreachable.trouble
    assert slack.deliveries == [nowhere, unreachable]


@pytest.fixture
async def respond(slack, app, message, session):
    """Posts to the response_url of a press of Ana's."""
    await slack.press(message, "ack")

    async def post(**arguments):
        async with session.post(app.payloads[0]["response_url"], json=arguments) as response:
            return response.status, await response.json()

    return post


async def test_an_answer_is_for_the_one_who_pressed_unless_it_is_for_the_channel(slack, respond):
    await respond(text="psst")
    await respond(text="hear, hear", response_type="in_channel")

    [only] = slack.ephemerals
    assert (only.channel, only.user, only.text) == ("C1", "U0ANA", "psst")
    assert [it.text for it in slack.messages] == ["x", "hear, hear"]


async def test_an_answer_can_take_the_place_of_the_message_or_remove_it(slack, respond, message):
    assert await respond(text="done", replace_original=True) == (200, {"ok": True})
    assert (message.text, message.blocks, message.edits) == ("done", [], 1)
    await respond(delete_original=True)
    assert slack.messages == []


async def test_a_response_url_is_good_for_five_answers(slack, respond):
    answers = [await respond(text=str(number)) for number in range(6)]

    assert [status for status, _ in answers] == [200] * 5 + [404]
    assert answers[-1][1] == {"ok": False, "error": "used_url"}
    assert len(slack.ephemerals) == 5


async def test_a_response_url_is_good_for_half_an_hour_and_only_for_messages(respond, clock):
    assert await respond() == (400, {"ok": False, "error": "no_text"})
    clock.advance(minutes=30)
    assert (await respond(text="x"))[0] == 200
    clock.advance(seconds=1)
    assert await respond(text="x") == (404, {"ok": False, "error": "expired_url"})


async def test_presses_are_ordered_over_http(session, slack, slack_url, app, message):
    app_url, slack.interactions_url = slack.interactions_url, None
    async with session.post(f"{slack_url}/control/interactions", json={"url": app_url}) as response:
        assert response.status == 200
    order = {"channel": "C1", "ts": message.ts, "action_id": "snooze", "user": "U0BEN", "option": "60"}
    async with session.post(f"{slack_url}/control/press", json=order) as response:
        result = await response.json()
    async with session.get(f"{slack_url}/control/state") as response:
        state = await response.json()

    assert (result["status"], result["body"], result["in_time"], result["via"]) == (200, "taken", True, "http")
    assert result["press"] == order
    assert state["deliveries"] == [result]
    assert app.payloads[0]["user"]["id"] == "U0BEN"


async def test_channels_die_and_come_back_as_ordered_over_http(session, slack, slack_url):
    slack.scopes.remove("chat:write.public")

    async def post(channel):
        return (await call(session, slack_url, "chat.postMessage", channel=channel, text="x"))[1].get("error")

    order = {"archived": ["C1"], "not_joined": ["C2"]}
    async with session.post(f"{slack_url}/control/channels", json=order) as response:
        assert (response.status, (await response.json()) | order) == (200, await response.json())
    assert [await post("C1"), await post("C2"), await post("C3")] == ["is_archived", "not_in_channel", None]
    async with session.post(f"{slack_url}/control/channels", json={"archived": ["C3"]}) as response:
        assert response.status == 200
    assert [await post("C1"), await post("C2"), await post("C3")] == [None, None, "is_archived"]

    slack.reset()
    assert await post("C3") is None


async def order(session, slack_url, what, **order):
    async with session.post(f"{slack_url}/control/{what}", json=order) as response:
        assert response.status == 200


async def test_an_error_is_answered_for_its_method_its_channel_and_so_many_times(session, web, slack, slack_url):
    posted = await web.chat_postMessage(channel="C1", text="x")
    await order(session, slack_url, "errors", error="edit_window_closed", method="chat.update", channel="C1", times=2)

    async def edit(channel="C1"):
        return web.chat_update(channel=channel, ts=posted["ts"], text="y")

    assert (await web.chat_postMessage(channel="C1", text="x"))["ok"]
    assert await refusal(await edit("C2")) == "message_not_found"
    assert [await refusal(await edit()) for _ in range(2)] == ["edit_window_closed"] * 2
    assert (await (await edit()))["ok"]
    assert slack.errors.ordered == []


async def test_an_error_on_order_is_an_answer_with_status_200_until_it_is_taken_back(session, slack_url):
    await order(session, slack_url, "errors", error="token_expired", times=None)

    for method in ("auth.test", "chat.postMessage", "apps.connections.open"):
        token = "xapp-1" if method.startswith("apps.") else TOKEN
        async with session.post(f"{slack_url}/api/{method}", headers={"Authorization": f"Bearer {token}"}) as response:
            assert (response.status, await response.json()) == (200, {"ok": False, "error": "token_expired"})
    async with session.delete(f"{slack_url}/control/errors") as response:
        assert response.status == 204
    assert (await call(session, slack_url, "auth.test"))[1]["ok"]


async def test_a_rate_limit_on_order_is_429_with_its_retry_after(session, slack_url):
    await order(session, slack_url, "errors", error="ratelimited", method="chat.update", retry_after=9)

    response, body = await call(session, slack_url, "chat.update")

    assert (response.status, response.headers["Retry-After"], body["error"]) == (429, "9", "ratelimited")


async def test_a_missing_scope_on_order_names_the_one_of_the_method(session, slack_url):
    await order(session, slack_url, "errors", error="missing_scope")

    _, body = await call(session, slack_url, "users.info", user="U0ANA")

    assert (body["error"], body["needed"]) == ("missing_scope", "users:read")


async def test_an_error_can_come_although_the_method_was_carried_out(session, slack, slack_url):
    await order(session, slack_url, "errors", error="fatal_error", done=True)

    _, body = await call(session, slack_url, "chat.postMessage", channel="C1", text="x")

    assert (body["error"], [it.text for it in slack.messages]) == ("fatal_error", ["x"])


async def test_an_error_for_one_message_leaves_the_others_alone(session, web, slack_url):
    first, second = [await web.chat_postMessage(channel="C1", text="x") for _ in range(2)]
    await order(session, slack_url, "errors", error="cant_update_message", ts=first["ts"], times=None)

    assert (await web.chat_update(channel="C1", ts=second["ts"], text="y"))["ok"]
    assert await refusal(web.chat_update(channel="C1", ts=first["ts"], text="y")) == "cant_update_message"


async def test_a_fault_401_is_the_answer_of_slack_and_no_page(session, slack, slack_url):
    slack.faults.order(Fault(kind="401"))

    response, body = await call(session, slack_url, "auth.test")

    assert (response.status, body) == (200, {"ok": False, "error": "invalid_auth"})


async def test_a_private_channel_exists_for_a_bot_that_is_in_it_and_has_its_own_scopes(session, slack, slack_url):
    await order(session, slack_url, "channels", private=["C0SECRET", "C0TEAM"], not_joined=["C0SECRET"])

    async def post(channel):
        return (await call(session, slack_url, "chat.postMessage", channel=channel, text="x"))[1].get("error")

    assert [await post("C0SECRET"), await post("C0TEAM")] == ["channel_not_found", None]
    assert (await ask(session, slack_url, "C0TEAM"))["channel"]["is_private"]
    assert await ask(session, slack_url, "C0SECRET") == {"ok": False, "error": "channel_not_found"}
    slack.scopes.remove("groups:read")
    assert (await ask(session, slack_url, "C0TEAM"))["needed"] == "groups:read"
    assert (await ask(session, slack_url, "C0OTHER"))["ok"]


async def test_an_unknown_channel_does_not_exist_and_a_name_leads_to_its_channel(session, slack, slack_url):
    await order(session, slack_url, "channels", unknown=["C0OLD"], names={"C0123": "db-alerts"})

    async def post(channel):
        return (await call(session, slack_url, "chat.postMessage", channel=channel, text="x"))[1]

    assert (await post("C0OLD"))["error"] == "channel_not_found"
    assert [(await post(name))["channel"] for name in ("#db-alerts", "C0123", "#alerts")] == [
        "C0123",
        "C0123",
        "C0ALERTS",
    ]
    assert (await ask(session, slack_url, "C0123"))["channel"]["name"] == "db-alerts"


async def test_people_delete_messages_and_lock_threads(session, web, slack, slack_url, clock):
    deleted, locked = [(await web.chat_postMessage(channel="C1", text="x"))["ts"] for _ in range(2)]

    await order(session, slack_url, "messages", channel="C1", ts=deleted, do="delete")
    await order(session, slack_url, "messages", channel="C1", ts=locked, do="lock")

    assert [it.ts for it in slack.messages] == [locked]
    reply = {"channel": "C1", "text": "x", "thread_ts": locked}
    assert await refusal(web.chat_postMessage(**reply)) == "restricted_action_thread_locked"
    await order(session, slack_url, "messages", channel="C1", ts=locked, do="unlock")
    clock.advance(seconds=1)
    assert (await web.chat_postMessage(**reply))["ok"]


@pytest.mark.parametrize(
    ("path", "order", "status", "said"),
    [
        ("press", {"channel": "C1", "ts": "1.000000", "action_id": "ack"}, 404, "there is no message 1.000000 in C1"),
        ("press", {"channel": "C1"}, 400, "action_id: Field required"),
        ("interactions", {"to": "x"}, 400, "url: Field required"),
        ("channels", {"archived": "C1"}, 400, "archived: Input should be a valid array"),
        ("channels", {"closed": ["C1"]}, 400, "closed: Extra inputs are not permitted"),
        ("messages", {"channel": "C1", "ts": "1.000000", "do": "delete"}, 404, "there is no message 1.000000 in C1"),
        ("messages", {"channel": "C1", "ts": "1.000000", "do": "burn"}, 400, "do: Input should be 'delete', 'lock'"),
        ("errors", {"error": "cant_edit"}, 400, "error: 'cant_edit' does not exist; allowed are access_denied, "),
        ("errors", {"error": "no_text", "method": "chat.edit"}, 400, "allowed are apps.connections.open, auth.test, "),
        ("errors", {"error": "no_text", "times": 0}, 400, "times: Input should be greater than or equal to 1"),
        ("faults", {"kind": "503", "method": "chat.update"}, 400, "method: Input should be 'GET', 'HEAD', 'POST'"),
        ("faults", {"kind": "503", "path": "chat.update"}, 400, "path begins with /"),
    ],
)
async def test_orders_that_make_no_sense_are_refused(session, slack_url, path, order, status, said):
    async with session.post(f"{slack_url}/control/{path}", json=order) as response:
        assert response.status == status
        assert said in await response.text()


APP_TOKEN = "xapp-1"


async def open_socket_url(session, slack_url, token=APP_TOKEN):
    headers = {"Authorization": f"Bearer {token}"}
    async with session.post(f"{slack_url}/api/apps.connections.open", headers=headers) as response:
        return await response.json()


@pytest.fixture
async def sockets() -> AsyncIterator[AsyncExitStack]:
    """What closes the sockets of a test."""
    async with AsyncExitStack() as stack:
        yield stack


@pytest.fixture
def connect(session, slack_url, sockets):
    """Opens a plain socket that has said hello."""

    async def opened():
        answer = await open_socket_url(session, slack_url)
        socket = await sockets.enter_async_context(session.ws_connect(answer["url"]))
        assert (await socket.receive_json())["type"] == "hello"
        return socket

    return opened


@asynccontextmanager
async def sdk_client(session, slack_url, ping_interval=30):
    """Slack's own client, connected, which acknowledges all that it gets.

    It gives a socket up that takes longer than half of *ping_interval*, in seconds, to answer a ping: on a busy machine
    that is one that works, if it is short.
    """
    client = SocketModeClient(
        APP_TOKEN,
        web_client=AsyncWebClient(base_url=f"{slack_url}/api/", session=session),
        ping_interval=ping_interval,
    )
    taken = []

    async def take(_, request):
        taken.append(request)
        await client.send_socket_mode_response(SocketModeResponse(envelope_id=request.envelope_id))

    client.socket_mode_request_listeners.append(take)
    await client.connect()
    try:
        yield taken
    finally:
        await client.close()


async def test_a_press_reaches_slacks_own_client_by_its_socket(session, slack, slack_url, message):
    async with sdk_client(session, slack_url) as taken:
        await until(lambda: slack.connections == 1)
        delivery = await slack.press(message, "ack", user="U0BEN")
        await until(lambda: taken)

    [request] = taken
    assert (request.type, request.accepts_response_payload) == ("interactive", True)
    assert (request.payload["type"], request.payload["user"]["id"]) == ("block_actions", "U0BEN")
    assert (delivery.via, delivery.status, delivery.in_time, delivery.trouble) == ("socket", 200, True, "")
    assert slack.deliveries == [delivery]
    assert [ack.envelope_id for ack in slack.socket.acks] == [request.envelope_id]
    await until(lambda: slack.connections == 0)


async def is_acknowledged_by_another_socket(slack, message):
    """Whether a press reaches the client that has connected again; its first socket may still take some."""
    delivery = await slack.press(message, "ack")
    return delivery.in_time and slack.socket.acks[-1].connection > 1


@pytest.mark.parametrize("reason", ["warning", "refresh_requested", "link_disabled"])
async def test_slacks_own_client_comes_back_after_a_disconnect(session, slack, slack_url, message, reason):
    async with sdk_client(session, slack_url):
        await until(lambda: slack.connections == 1)
        await slack.socket.disconnect(reason)

        await until(lambda: is_acknowledged_by_another_socket(slack, message))


@pytest.mark.parametrize("how", ["closed", "cut"])
async def test_slacks_own_client_comes_back_when_the_socket_ends(session, slack, slack_url, message, how):
    async with sdk_client(session, slack_url, ping_interval=1):
        await until(lambda: slack.connections == 1)
        if how == "cut":
            slack.socket.cut()
        else:
            await slack.socket.close()

        await until(lambda: is_acknowledged_by_another_socket(slack, message))


async def test_a_socket_says_hello_and_its_url_is_good_for_one(session, slack, slack_url, sockets):
    url = (await open_socket_url(session, slack_url))["url"]

    socket = await sockets.enter_async_context(session.ws_connect(url))
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await session.ws_connect(url)

    hello = await socket.receive_json()
    assert (hello["type"], hello["num_connections"], hello["connection_info"]) == ("hello", 1, {"app_id": "A0DEMO"})
    assert hello["debug_info"]["approximate_connection_time"] > 0
    assert caught.value.status == 401
    assert slack.connections == 1


@pytest.mark.parametrize(
    ("token", "error"),
    [(TOKEN, "not_allowed_token_type"), ("xapp-2", "invalid_auth"), ("other", "invalid_auth"), ("", "not_authed")],
)
async def test_only_the_token_of_the_app_opens_a_socket(session, token, error):
    async with run_app(SlackSimulator(app_token=APP_TOKEN).app()) as url:
        assert await open_socket_url(session, url, token) == {"ok": False, "error": error}
        assert (await open_socket_url(session, url))["ok"]


async def test_opening_sockets_suffers_faults_and_has_a_limit(session, slack, slack_url):
    slack.faults.order(Fault(kind="429", retry_after=7))

    assert await open_socket_url(session, slack_url) == {"ok": False, "error": "ratelimited"}
    answers = [await open_socket_url(session, slack_url) for _ in range(51)]
    assert [answer["ok"] for answer in answers] == [True] * 50 + [False]


async def test_a_url_for_interactions_goes_before_the_sockets(slack, app, message, connect):
    await connect()

    assert (await slack.press(message, "ack")).via == "http"


async def test_presses_go_to_each_socket_in_turn(slack, message, connect):
    slack.answer_within_s = 0.01
    first, second = await connect(), await connect()
    for _ in range(4):
        await slack.press(message, "ack")

    for socket in (first, second):
        assert [(await socket.receive_json())["type"] for _ in range(2)] == ["interactive"] * 2
        with pytest.raises(TimeoutError):
            await socket.receive(timeout=0.01)


async def test_an_envelope_that_is_not_acknowledged_is_noticed(slack, message, connect):
    slack.answer_within_s = 0.05
    socket = await connect()

    delivery = await slack.press(message, "ack")

    envelope = await socket.receive_json()
    assert (delivery.via, delivery.in_time, delivery.trouble) == ("socket", False, "the app did not answer in 0.05 s")
    assert slack.socket.unacknowledged == [envelope["envelope_id"]]
    await socket.send_json({"envelope_id": envelope["envelope_id"]})
    await until(lambda: slack.socket.acks)


async def test_the_same_envelope_can_come_twice_and_an_answer_may_carry_a_payload(slack, connect):
    socket = await connect()
    deliveries = []
    for _ in range(2):
        sending = asyncio.ensure_future(slack.socket.send({"type": "x"}, within_s=3, envelope_id="e1"))
        envelope = await socket.receive_json()
        await socket.send_str("not JSON")
        await socket.send_json({"payload": "for no envelope"})
        await socket.send_json({"envelope_id": envelope["envelope_id"], "payload": {"text": "hi"}})
        deliveries.append(await sending)

    assert [(it.status, json.loads(it.body)) for it in deliveries] == [(200, {"text": "hi"})] * 2
    assert [(ack.envelope_id, ack.payload, ack.connection) for ack in slack.socket.acks] == [
        ("e1", {"text": "hi"}, 1)
    ] * 2


async def test_the_same_envelope_twice_at_once_is_two_to_acknowledge(slack, connect):
    socket = await connect()
    sending = asyncio.gather(*[slack.socket.send({}, within_s=0.1, envelope_id="e1") for _ in range(2)])
    await socket.receive_json()
    await socket.send_json({"envelope_id": (await socket.receive_json())["envelope_id"]})

    assert [it.in_time for it in await sending] == [True, False]


async def test_a_disconnect_names_its_reason_and_leaves_the_socket_open_until_it_is_closed(slack, connect):
    socket = await connect()

    await slack.socket.disconnect("link_disabled")
    frame = await socket.receive_json()
    assert (frame["type"], frame["reason"], slack.connections) == ("disconnect", "link_disabled", 1)
    closing = asyncio.ensure_future(slack.socket.close())
    assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
    await closing
    await until(lambda: slack.connections == 0)


async def test_a_socket_can_break_off_without_a_word(slack, connect):
    socket = await connect()

    slack.socket.cut()

    assert (await socket.receive()).type in {aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR}
    assert socket.close_code == aiohttp.WSCloseCode.ABNORMAL_CLOSURE
    await until(lambda: slack.connections == 0)


@pytest.fixture
def browse(session, slack_url):
    """The page, as text."""

    async def fetch(path="/"):
        async with session.get(f"{slack_url}{path}") as response:
            assert response.status == 200
            return await response.text()

    return fetch


def form_of(page, action_id, option=None):
    """The fields of the form that presses it."""
    forms = [dict(re.findall(r'name="(\w+)" value="([^"]*)"', form)) for form in page.split("<form")[1:]]
    [found] = [form for form in forms if (form.get("action_id"), form.get("option")) == (action_id, option)]
    return found


async def press_on_page(session, slack_url, form):
    async with session.post(f"{slack_url}/press", data=form, allow_redirects=False) as response:
        return response.status, response.headers.get("Location"), await response.text()


async def test_the_page_shows_all_that_a_block_says(web, browse):
    blocks = [
        {"type": "header", "text": plain("Disk :fire:")},
        section(text={"type": "mrkdwn", "text": "*bold*"}, fields=[plain("one"), plain("*two*")]),
        {"type": "context", "elements": [{"type": "mrkdwn", "text": "<@U0ANA>"}]},
        {"type": "divider"},
    ]
    await web.chat_postMessage(channel="C1", text="headline", blocks=blocks)

    page = await browse()

    for shown in (
        "headline",
        "<h3>Disk 🔥</h3>",
        "<b>bold</b>",
        "<p>one</p>",
        "<p>*two*</p>",
        "@Ana Diaz</mark>",
        "<hr>",
    ):
        assert shown in page


async def test_the_page_presses_buttons_and_choices_as_the_person_who_looks(
    session, slack, slack_url, app, message, browse
):
    page = await browse("/?as=U0BEN")

    status, back, _ = await press_on_page(session, slack_url, form_of(page, "ack"))
    await press_on_page(session, slack_url, form_of(page, "snooze", "60"))
    await press_on_page(session, slack_url, form_of(page, "more", "resolve"))

    assert (status, back) == (303, "/?as=U0BEN")
    assert [it["actions"][0]["action_id"] for it in app.payloads] == ["ack", "snooze", "more"]
    assert {it["user"]["id"] for it in app.payloads} == {"U0BEN"}
    assert '<a class="btn " href="https://versus.example"' in page
    assert "⚠️" not in await browse()


async def test_the_page_shows_at_the_message_that_the_app_failed_until_it_works_again(slack, app, message, browse):
    app.status = 500
    await slack.press(message, "ack")
    assert "⚠️ the app answered 500" in await browse()

    app.status = 200
    await slack.press(message, "ack")
    assert "⚠️" not in await browse()


async def test_a_form_without_a_message_is_refused(session, slack_url, message, browse):
    form = form_of(await browse(), "ack") | {"ts": ""}

    status, _, said = await press_on_page(session, slack_url, form)

    assert (status, "which message" in said) == (400, True)


@pytest.mark.parametrize("how", ["edited", "deleted"])
async def test_the_page_says_that_what_is_pressed_is_not_there_any_more(
    session, slack, slack_url, app, web, message, browse, how
):
    form = form_of(await browse("/?as=U0BEN"), "ack")
    if how == "edited":
        await web.chat_update(channel="C1", ts=message.ts, text="x", blocks=[section(text=plain("done"))])
    else:
        slack.delete_message(message.ts)

    status, back, _ = await press_on_page(session, slack_url, form)
    page = await browse(back)

    assert (status, back) == (303, "/?as=U0BEN")
    assert "⚠️" in page
    assert "it has changed meanwhile" in page
    assert app.payloads == []


@pytest.mark.parametrize("after", ["a press", "a reset"])
async def test_that_something_is_not_there_any_more_is_said_until_the_next_press(
    session, slack, slack_url, app, message, browse, after
):
    form = form_of(await browse(), "ack")
    await press_on_page(session, slack_url, form | {"action_id": "gone"})
    assert "⚠️" in await browse()

    if after == "a press":
        await press_on_page(session, slack_url, form)
    else:
        slack.reset()

    assert "⚠️" not in await browse()


async def test_the_page_shows_threads_and_broadcast_replies_in_the_channel_as_well(web, slack, browse):
    parent = slack.say("C1", "parent", user="U0CHI")
    await web.chat_postMessage(channel="C1", text="quiet", thread_ts=parent.ts)
    await web.chat_postMessage(channel="C1", text="loud", thread_ts=parent.ts, reply_broadcast=True)

    page = await browse()

    assert "Chi Tanaka" in page
    assert (page.count("quiet"), page.count("loud"), page.count("replied to a thread")) == (1, 2, 1)
    assert page.count(f'id="{slack.replies[1].ts}"') == 1


async def test_the_page_shows_what_is_for_one_person_to_that_one(web, slack, browse):
    parent = slack.say("C1", "parent")
    await web.chat_postEphemeral(channel="C1", user="U0BEN", text="for the channel")
    await web.chat_postEphemeral(channel="C1", user="U0BEN", text="for the thread", thread_ts=parent.ts)

    of_ana, of_ben = await browse(), await browse("/?as=U0BEN")

    assert "for the" not in of_ana
    assert (of_ben.count("for the channel"), of_ben.count("for the thread")) == (1, 1)


async def test_the_page_names_channels_and_tells_times_where_the_reader_is(slack, browse, clock):
    message = slack.say("C0TEAM", "hello")
    utc = datetime.fromtimestamp(clock.now_ms() / 1000, UTC)

    of_ana, of_chi = await browse(), await browse("/?as=U0CHI")

    for page, zone in ((of_ana, "Europe/Madrid"), (of_chi, "Asia/Tokyo")):
        assert f'<time title="{message.ts}">{utc.astimezone(ZoneInfo(zone)):%H:%M}</time>' in page
    assert "# team" in of_ana
    clock.advance(hours=24)
    assert f"{utc.astimezone(ZoneInfo('Europe/Madrid')):%d %b %Y, %H:%M}</time>" in await browse()


async def test_the_page_deletes_messages_and_locks_threads(session, slack, slack_url, browse):
    message = slack.say("C1", "hello")

    async def press(do):
        form = {"channel": "C1", "ts": message.ts, "viewer": "U0BEN", "do": do}
        async with session.post(f"{slack_url}/messages", data=form, allow_redirects=False) as response:
            return response.status, response.headers.get("Location")

    assert await press("lock") == (303, "/?as=U0BEN")
    assert "the thread is locked" in await browse()
    assert (await press("burn"))[0] == 400
    await press("delete")
    assert slack.messages == []
    await press("delete")
    assert "it has changed meanwhile" in await browse()


async def administer(session, slack_url, what, **form):
    async with session.post(f"{slack_url}/admin/{what}", data=form) as response:
        return response.status, await response.text()


async def test_the_administrators_page_orders_errors_and_takes_them_back(session, web, slack_url, browse):
    assert "ratelimited" in await browse("/admin")
    form = {"error": "msg_too_long", "method": "chat.postMessage", "channel": "", "times": "", "retry_after": ""}

    status, page = await administer(session, slack_url, "errors", **form)

    assert (status, "<td>msg_too_long</td>" in page, "<td>all</td>" in page) == (200, True, True)
    assert "1 error on order" in await browse()
    assert await refusal(web.chat_postMessage(channel="C1", text="x")) == "msg_too_long"
    await administer(session, slack_url, "errors/back", index="0")
    assert (await web.chat_postMessage(channel="C1", text="x"))["ok"]
    for wrong, said in ({"error": "odd"}, "does not exist"), ({"error": "no_text", "times": "x"}, "times: "):
        status, page = await administer(session, slack_url, "errors", **wrong)
        assert (status, said in page) == (400, True)


async def test_the_administrators_page_changes_channels(session, web, slack, slack_url, browse):
    slack.say("C0TEAM", "hello")

    await administer(session, slack_url, "channels", channel="C0TEAM", state="archived")
    await administer(session, slack_url, "channels", channel="C0TEAM", name="#the-team")

    assert await refusal(web.chat_postMessage(channel="C0TEAM", text="x")) == "is_archived"
    assert "the-team" in await browse()
    await administer(session, slack_url, "channels", channel="C0TEAM", state="archived")
    assert (await web.chat_postMessage(channel="#the-team", text="x"))["channel"] == "C0TEAM"
    assert (await administer(session, slack_url, "channels", channel="C0TEAM", state="odd"))[0] == 400
