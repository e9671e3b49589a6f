"""The simulated Slack tells of what is written as the original does: signed, by URL or socket, and up to four times."""

# ruff: noqa: F811 - fixtures of another file

import json

import pytest

from tests.integration.simulators.test_slack_simulator import (  # noqa: F401 - fixtures
    app,
    browse,
    connect,
    order,
    sdk_client,
    sockets,
    verifier,
    web,
)
from tests.support.waiting import until
from versus_py.simulators.slack import NotShown
from versus_py.simulators.slack.control import WriteOrder


@pytest.fixture
async def posted(web, slack):
    """A message of the app's."""
    slack.events.waits_s = (0, 0, 0)
    await web.chat_postMessage(channel="C1", text="x")
    return slack.messages[0]


def events(app):
    return [json.loads(body) for body, _ in app.requests]


async def test_a_reply_is_told_as_slack_documents_it_and_signed_as_its_client_checks(
    slack,
    app,
    posted,
    verifier,
):
    reply = await slack.reply(posted, "On it &amp; more", user="U0BEN")

    [(body, headers)] = app.requests
    [outer] = events(app)
    assert verifier.is_valid_request(body, headers)
    assert headers["Content-Type"] == "application/json"
    assert "X-Slack-Retry-Num" not in headers
    assert (outer["type"], outer["team_id"], outer["api_app_id"]) == ("event_callback", "T0DEMO", "A0DEMO")
    assert outer["event_id"].startswith("Ev")
    assert outer["event"] == {
        "type": "message",
        "user": "U0BEN",
        "text": "On it &amp; more",
        "ts": reply.ts,
        "team": "T0DEMO",
        "channel": "C1",
        "event_ts": reply.ts,
        "channel_type": "channel",
        "thread_ts": posted.ts,
        "parent_user_id": "U0DEMO",
    }
    assert posted.replies == ["On it &amp; more"]


async def test_what_is_not_taken_is_told_three_times_more_with_the_same_id(slack, app, posted):
    app.status = 503

    await slack.reply(posted, "On it")

    headers = [found for _, found in app.requests]
    assert [it.get("X-Slack-Retry-Num") for it in headers] == [None, "1", "2", "3"]
    assert [it.get("X-Slack-Retry-Reason") for it in headers] == [None, *["http_error"] * 3]
    assert len({it["event_id"] for it in events(app)}) == 1


async def test_an_app_that_does_not_answer_is_told_again_until_it_does(slack, app, posted):
    slack.answer_within_s = 0.05
    app.may_answer.clear()
    slack.events.waits_s = (0,)

    await slack.reply(posted, "On it")

    assert [it[1].get("X-Slack-Retry-Reason") for it in app.requests] == [None, "http_timeout"]
    assert [it.status for it in slack.events.deliveries] == [None, None]


@pytest.mark.parametrize(
    ("do", "subtype", "bot"),
    [
        ("bot", None, "B0OTHER"),
        ("message", None, None),
        ("edit", "message_changed", None),
        ("delete", "message_deleted", None),
    ],
)
async def test_other_writings_are_told_of_too(slack, app, posted, do, subtype, bot):
    reply = await slack.reply(posted, "On it")

    ts = reply.ts if do in {"edit", "delete"} else posted.ts
    await slack.write(WriteOrder(channel="C1", ts=ts, text="Other", do=do))

    event = events(app)[-1]["event"]
    assert (event.get("subtype"), event.get("bot_id")) == (subtype, bot)
    assert ("thread_ts" in event) is (do == "bot")
    if do == "edit":
        assert (event["message"]["text"], event["previous_message"]["text"]) == ("Other", "On it")


async def test_files_and_replies_that_the_channel_shows_say_so(slack, app, posted):
    await slack.reply(posted, "See", broadcast=True)
    await slack.reply(posted, "See", files=["disk.png"])

    assert [it["event"]["subtype"] for it in events(app)] == ["thread_broadcast", "file_share"]
    assert events(app)[1]["event"]["files"][0]["name"] == "disk.png"


async def test_an_app_hears_only_of_what_it_subscribes_to_and_may_read(slack, app, posted):
    async def told():
        before = len(app.requests)
        await slack.reply(posted, "On it")
        return [it["event"]["channel_type"] for it in events(app)[before:]]

    everywhere = await told()
    slack.private.add("C1")
    private = await told()
    slack.scopes.remove("groups:history")
    without_scope = await told()
    slack.private.clear()
    slack.not_joined.add("C1")
    without_bot = await told()
    slack.not_joined.clear()
    slack.subscriptions.remove("message.channels")

    assert (everywhere, private, without_scope, without_bot, await told()) == (["channel"], ["group"], [], [], [])


async def test_an_event_reaches_slacks_own_client_by_its_socket(session, slack, slack_url, posted):
    async with sdk_client(session, slack_url) as taken:
        await slack.reply(posted, "On it")

    assert [(it.type, it.payload["event"]["text"], it.retry_attempt) for it in taken] == [("events_api", "On it", 0)]
    assert [(it.via, it.status) for it in slack.events.deliveries] == [("socket", 200)]


async def test_an_envelope_that_is_not_acknowledged_comes_again(slack, posted, connect):
    socket = await connect()
    slack.answer_within_s = 0.05
    slack.events.waits_s = (0,)

    await slack.reply(posted, "On it")

    first, second = [await socket.receive_json() for _ in range(2)]
    assert (first["retry_attempt"], second["retry_attempt"]) == (0, 1)
    assert second["retry_reason"] == "http_timeout"
    assert first["payload"] == second["payload"]
    assert first["accepts_response_payload"] is False


async def test_another_process_orders_what_is_written(session, slack, slack_url, app, posted):
    await order(session, slack_url, "writings", channel="C1", ts=posted.ts, text="On it", user="U0BEN")

    [told] = events(app)
    assert (told["event"]["user"], told["event"]["text"]) == ("U0BEN", "On it")
    assert posted.replies == ["On it"]


async def test_nobody_replies_to_what_is_not_there_or_is_a_reply(slack, posted):
    reply = await slack.reply(posted, "On it")

    for ts in (reply.ts, "1.000000"):
        with pytest.raises(NotShown):
            await slack.write(WriteOrder(channel="C1", ts=ts, text="x"))


async def test_on_the_page_a_person_types_a_reply(session, slack, slack_url, app, posted, browse):
    form = {"channel": "C1", "ts": posted.ts, "user": "U0BEN", "text": "a < b, see https://acme.example/1 @ana @nobody"}
    async with session.post(f"{slack_url}/replies", data=form, allow_redirects=False) as response:
        assert (response.status, response.headers["Location"]) == (303, f"/?as=U0BEN#{posted.ts}")

    [told] = events(app)
    assert told["event"]["text"] == "a &lt; b, see <https://acme.example/1> <@U0ANA> @nobody"
    assert 'name="text"' in await browse()
    assert "Ben Okafor" in await browse()


async def test_on_the_page_nobody_waits_for_slacks_retries(session, slack, slack_url, app, posted):
    app.status = 503
    slack.events.waits_s = (0, 3600)
    form = {"channel": "C1", "ts": posted.ts, "user": "U0BEN", "text": "On it"}

    async with session.post(f"{slack_url}/replies", data=form, allow_redirects=False) as response:
        assert response.status == 303

    await until(lambda: len(app.requests) == 2)


async def test_a_form_that_says_not_where_is_refused(session, slack_url):
    async with session.post(f"{slack_url}/replies", data={"text": "x"}) as response:
        assert response.status == 400
