"""What Slack's events say that somebody wrote, and as what it is kept."""

import copy
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given

from tests.support.payloads import damaged, json_values
from versus_py.errors import BadPayload
from versus_py.targets.interactive import Reply
from versus_py.targets.slack.events import FILES_MAX, challenge_of, read_replies
from versus_py.targets.slack.plain import mentioned, plain

# The form of docs.slack.dev/apis/events-api and docs.slack.dev/reference/events/message.
PAYLOAD: dict[str, Any] = {
    "token": "one-long-verification-token",
    "team_id": "T1",
    "api_app_id": "A1",
    "event": {
        "type": "message",
        "client_msg_id": "dd4d4b5e-0000",
        "user": "U1",
        "text": "The disk is being replaced",
        "ts": "1700000042.000200",
        "thread_ts": "1700000000.000100",
        "parent_user_id": "U0BOT",
        "channel": "C1",
        "event_ts": "1700000042.000200",
        "channel_type": "channel",
    },
    "type": "event_callback",
    "event_id": "Ev123",
    "event_time": 1700000042,
}


def payload(**event):
    """With something else about the message; None leaves it out."""
    changed = copy.deepcopy(PAYLOAD)
    changed["event"] |= event
    changed["event"] = {name: value for name, value in changed["event"].items() if value is not None}
    return changed


def test_a_reply_says_who_wrote_what_in_which_thread():
    [reply] = read_replies(PAYLOAD)

    assert isinstance(reply, Reply)
    assert (reply.user_id, reply.actor.name) == ("U1", "U1")
    assert reply.locator == "C1\n1700000000.000100"
    assert reply.text == "The disk is being replaced"


@pytest.mark.parametrize(
    "event",
    [
        pytest.param({"bot_id": "B1"}, id="by a bot"),
        pytest.param({"user": "USLACKBOT"}, id="by Slack's bot"),
        pytest.param({"user": None}, id="by nobody"),
        pytest.param({"thread_ts": None}, id="in no thread"),
        pytest.param({"thread_ts": "1700000042.000200"}, id="at the head of a thread"),
        pytest.param({"subtype": "message_changed", "hidden": True, "message": {"text": "x"}}, id="an edit"),
        pytest.param({"subtype": "message_deleted", "hidden": True, "previous_message": {}}, id="a deletion"),
        pytest.param({"subtype": "message_replied"}, id="that there is a reply"),
        pytest.param({"subtype": "bot_message"}, id="by an older kind of bot"),
        pytest.param({"subtype": "channel_join"}, id="that somebody came"),
        pytest.param({"subtype": ["thread_broadcast"]}, id="of no known kind"),
        pytest.param({"hidden": True}, id="hidden"),
        pytest.param({"text": " "}, id="empty"),
        pytest.param({"type": "reaction_added"}, id="no message"),
    ],
)
def test_what_is_no_reply_of_a_person_is_nothing(event):
    assert read_replies(payload(**event)) == ()


@pytest.mark.parametrize("subtype", ["thread_broadcast", "file_share"])
def test_a_reply_that_is_shown_in_the_channel_or_has_files_is_one(subtype):
    assert len(read_replies(payload(subtype=subtype))) == 1


def test_files_are_named_with_where_they_are():
    files = [{"name": "disk <1>.png", "permalink": "https://acme.slack.com/files/U1/F1"}, {"name": "b.txt"}, {}, "x"]

    [reply] = read_replies(payload(subtype="file_share", text="", files=files))

    assert plain(reply.text, {}) == "disk 1 .png (https://acme.slack.com/files/U1/F1)\nb.txt"


def test_only_so_many_files_are_named():
    [reply] = read_replies(payload(files=[{"name": f"{number}.png"} for number in range(FILES_MAX + 5)]))

    assert len(reply.text.splitlines()) == 1 + FILES_MAX


def test_one_message_is_one_request_whatever_event_tells_of_it():
    again = payload() | {"event_id": "Ev124", "event_time": 1700000100}
    [first], [second], [other] = map(read_replies, (PAYLOAD, again, payload(ts="1700000043.000200")))

    assert first.request_id == second.request_id != other.request_id


@pytest.mark.parametrize(
    ("event", "name"),
    [
        ({"ts": "now"}, "event.ts"),
        ({"thread_ts": 1700000000}, "event.thread_ts"),
        ({"channel": "#alerts"}, "event.channel"),
        ({"user": {"id": "U1"}}, "event.user"),
        ({"text": ["x"]}, "event.text"),
    ],
)
def test_what_slack_does_not_send_is_refused_by_name(event, name):
    with pytest.raises(BadPayload, match=name):
        read_replies(payload(**event))


@pytest.mark.parametrize("said", [[], "x", None, {}, {"type": 1}, {"type": "event_callback", "event": []}])
def test_what_is_no_event_is_refused(said):
    with pytest.raises(BadPayload):
        read_replies(said)


@pytest.mark.parametrize("said", [{"type": "url_verification", "challenge": "x"}, {"type": "app_rate_limited"}])
def test_what_tells_of_no_message_is_nothing(said):
    assert read_replies(said) == ()


def test_a_challenge_is_what_slack_wants_to_hear():
    assert challenge_of({"type": "url_verification", "challenge": "3eZbrw1aB"}) == "3eZbrw1aB"
    assert challenge_of(PAYLOAD) == ""


@pytest.mark.parametrize("challenge", [None, "", 5, "two words", "<script>\n", "x" * 256])
def test_a_challenge_that_slack_would_not_send_is_not_repeated(challenge):
    with pytest.raises(BadPayload, match="challenge"):
        challenge_of({"type": "url_verification", "challenge": challenge})


@given(json_values)
def test_whatever_comes_is_read_or_refused(value):
    with suppress(BadPayload):
        read_replies(value)


@given(damaged(PAYLOAD))
def test_whatever_is_wrong_with_an_event_it_is_read_or_refused(value):
    with suppress(BadPayload):
        read_replies(value)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a &lt; b &amp;&amp; c &gt; d", "a < b && c > d"),
        ("&amp;lt;", "&lt;"),
        (
            "see <https://acme.example/run?a=1&amp;b=2|the runbook>",
            "see the runbook (https://acme.example/run?a=1&b=2)",
        ),
        ("<https://acme.example>", "https://acme.example"),
        ("<https://acme.example|https://acme.example>", "https://acme.example"),
        ("<http://acme.example|acme.example>", "acme.example (http://acme.example)"),
        ("<mailto:ana@example.com|ana@example.com>", "ana@example.com"),
        ("<tel:+4930123|+4930123>", "+4930123"),
        ("<@U1>, <@U2>, <@U3|chi>", "@Ana Diaz, @U2, @chi"),
        ("<#C1|alerts> and <#C2>", "#alerts and #C2"),
        ("<!here> <!channel> <!subteam^S1|@oncall> <!subteam^S2>", "@here @channel @oncall @S2"),
        ("<!date^1392734382^{date}|18 Feb 2014>", "18 Feb 2014"),
        ("*bold* _it_ `code`", "*bold* _it_ `code`"),
        ("  two\nlines  ", "two\nlines"),
        ("<>", ""),
        ("a <b", "a <b"),
    ],
)
def test_markup_is_plain_text(text, shown):
    assert plain(text, {"U1": "Ana Diaz"}) == shown


def test_who_is_mentioned_is_told_once_each():
    assert mentioned("<@U1> <@W2|ben> <@U1> <!here> @U3 &lt;@U4&gt;") == ("U1", "W2")


@given(json_values)
def test_no_text_breaks_the_reading_of_markup(value):
    assert isinstance(plain(str(value), {}), str)
