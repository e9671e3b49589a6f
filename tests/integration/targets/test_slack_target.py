"""Slack's odd answers, each translated into what to do next."""

import aiohttp
import pytest
from fakeredis import FakeAsyncRedis

from tests.integration.conftest import DAY_MS, around
from tests.support.answers import canned_answers
from tests.support.factories import POLICY, make_incident
from tests.support.servers import free_port
from versus_py.ack_links import AckLinks
from versus_py.config import SlackConfig
from versus_py.errors import CredentialsRefused, Permanent, Transient
from versus_py.incidents.copies import replace
from versus_py.store import Store
from versus_py.systems import model
from versus_py.targets.slack.api import LATE_POST_S, SlackApi
from versus_py.targets.slack.system import SLACK
from versus_py.targets.slack.target import DEAD_MS

POST = "https://slack.com/api/chat.postMessage"


@pytest.fixture
async def target(session, clock):
    slack = {"enable": True, "token": "xoxb-secret", "channel_id": "C1"}
    config = model().model_validate({"alert": {"slack": slack}})
    async with FakeAsyncRedis(decode_responses=True) as redis:
        store = Store(redis, retention_ms=DAY_MS, reopen_ms=0)
        links = AckLinks("https://versus.example", clock, "key")
        yield SLACK.build(around(config, clock, store, session, links)).targets["slack"]


@pytest.fixture
def slack_answers():
    with canned_answers() as answers:
        yield answers


@pytest.mark.parametrize(
    "code",
    [
        "channel_not_found",
        "not_in_channel",
        "is_archived",
        "restricted_action",
        "never_heard_of_this",
    ],
)
async def test_permanent_refusals(target, slack_answers, code):
    slack_answers.post(POST, payload={"ok": False, "error": code})

    with pytest.raises(Permanent, match=f"Slack says {code}") as caught:
        await target.sync(make_incident(), attempt=1)
    assert "xoxb" not in str(caught.value)


@pytest.mark.parametrize(
    "code",
    [
        "invalid_auth",
        "not_authed",
        "account_inactive",
        "token_revoked",
        "token_expired",
        "missing_scope",
        "not_allowed_token_type",
        "ekm_access_denied",
    ],
)
async def test_refused_credentials_are_told_from_what_is_refused_for_good(target, slack_answers, code):
    slack_answers.post(POST, payload={"ok": False, "error": code})

    with pytest.raises(CredentialsRefused, match=f"Slack says {code}") as caught:
        await target.sync(make_incident(), attempt=1)
    assert "xoxb" not in str(caught.value)


@pytest.mark.parametrize(
    "code", ["ratelimited", "rate_limited", "service_unavailable", "internal_error", "fatal_error", "request_timeout"]
)
async def test_transient_refusals(target, slack_answers, code):
    slack_answers.post(POST, payload={"ok": False, "error": code})

    with pytest.raises(Transient):
        await target.sync(make_incident(), attempt=1)


async def test_a_used_up_quota_takes_long(target, slack_answers):
    slack_answers.post(POST, payload={"ok": False, "error": "message_limit_exceeded"})

    with pytest.raises(Transient) as caught:
        await target.sync(make_incident(), attempt=1)
    assert caught.value.retry_after_s == 600


@pytest.mark.parametrize(
    ("header", "seconds"), [("30", 30), ("0", 1), ("odd", 1), (None, 1), ("99999999", 3600), ("nan", 1)]
)
async def test_rate_limits_name_their_time(target, slack_answers, header, seconds):
    headers = {} if header is None else {"Retry-After": header}
    slack_answers.post(POST, status=429, payload={"ok": False, "error": "ratelimited"}, headers=headers)

    with pytest.raises(Transient) as caught:
        await target.sync(make_incident(), attempt=1)
    assert caught.value.retry_after_s == seconds


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 500, "body": "<html>", "content_type": "text/html"},
        {"status": 502, "body": "", "content_type": "text/html"},
        {"status": 200, "body": "ok", "content_type": "text/plain"},
        {"status": 200, "body": "<html>", "content_type": "text/html"},
        {"status": 200, "body": '{"ok": tr', "content_type": "application/json"},
        {"status": 200, "body": "[]", "content_type": "application/json"},
        {"status": 200, "body": "", "content_type": "application/json"},
        {"exception": TimeoutError()},
        {"exception": aiohttp.ServerDisconnectedError()},
        {"exception": aiohttp.ClientPayloadError("cut")},
        {"exception": ConnectionResetError()},
    ],
    ids=str,
)
async def test_what_is_no_answer_is_transient(target, slack_answers, answer):
    slack_answers.post(POST, **answer)

    with pytest.raises(Transient):
        await target.sync(make_incident(), attempt=1)


UNANSWERED = [
    {"status": 500, "body": "<html>", "content_type": "text/html"},
    {"status": 503, "payload": {"ok": False, "error": "service_unavailable"}},
    {"status": 200, "body": "<html>", "content_type": "text/html"},
    {"status": 200, "body": "[]", "content_type": "application/json"},
    {"exception": TimeoutError()},
    {"exception": aiohttp.ServerDisconnectedError()},
    {"exception": ConnectionResetError()},
]


@pytest.mark.parametrize("answer", UNANSWERED, ids=str)
@pytest.mark.parametrize(
    ("method", "wait_s"), [("chat.postMessage", LATE_POST_S), ("chat.update", None), ("chat.postEphemeral", None)]
)
async def test_a_post_without_an_answer_is_given_time_to_appear_before_it_is_looked_for(
    session, slack_answers, method, wait_s, answer
):
    slack_answers.post(f"https://slack.com/api/{method}", **answer)

    with pytest.raises(Transient) as caught:
        await SlackApi(SlackConfig(token="xoxb-secret"), session).post(method)
    assert caught.value.retry_after_s == wait_s


async def test_a_post_for_which_there_was_no_connection_is_tried_again_as_soon_as_ever(session):
    config = SlackConfig(token="xoxb-secret", api_url=f"http://127.0.0.1:{free_port()}/api")

    with pytest.raises(Transient) as caught:
        await SlackApi(config, session).post("chat.postMessage")
    assert caught.value.retry_after_s is None
    assert caught.value.without_effect


async def test_only_channels_that_were_refused_of_late_are_remembered(target, slack_answers, clock):
    for number in range(3):
        slack_answers.post(POST, payload={"ok": False, "error": "channel_not_found"})
        slack_answers.post(POST, payload={"ok": True, "channel": "C1", "ts": f"170000000{number}.000100"})
        policy = replace(POLICY, destinations={"slack": f"C0NONE{number}"})
        await target.sync(make_incident(policy=policy), attempt=1)
        clock.advance(ms=DEAD_MS)

    assert list(target._dead) == ["C0NONE2"]


async def test_nothing_is_sent_twice_by_the_library_itself(target, slack_answers):
    slack_answers.post(POST, exception=aiohttp.ServerDisconnectedError(), repeat=True)

    with pytest.raises(Transient):
        await target.sync(make_incident(), attempt=1)

    assert sum(len(calls) for calls in slack_answers.requests.values()) == 1


async def test_unfurling_is_off_and_the_token_is_in_the_header_only(target, slack_answers):
    slack_answers.post(POST, payload={"ok": True, "channel": "C1", "ts": "1700000000.000100"})

    delivery = await target.sync(make_incident(), attempt=1)

    [call] = next(iter(slack_answers.requests.values()))
    assert call.kwargs["json"]["unfurl_links"] is False
    assert call.kwargs["json"]["unfurl_media"] is False
    assert "xoxb" not in str(call.kwargs["json"])
    assert delivery.reference["ts"] == "1700000000.000100"
