"""Slack: whether the token is good, what it may do, and whether the channel takes messages."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from versus_py.config import SlackConfig
from versus_py.doctor.check import Check, CheckStatus
from versus_py.errors import VersusError
from versus_py.targets.slack import ADVICE

NAME = "Slack"
SCOPES = "Slack scopes"
CHANNEL = "Slack channel"
POST = "Slack test message"

NEEDED = "chat:write"
PUBLIC = "chat:write.public"
OPTIONAL = {
    PUBLIC: "to post to public channels it was not invited to",
    "channels:read": "to check public channels here",
    "groups:read": "to check private channels here",
}
TEST_TEXT = "This is a test message of `versus doctor`: versus_py can post here. Nothing has happened."


class _NoAnswer(VersusError):
    """Slack did not answer, or not like Slack."""


class _Refused(VersusError):
    """Slack said no: *code* says why, and *needed* which scope is missing, if that is why."""

    def __init__(self, code: str, needed: str) -> None:
        super().__init__(f"Slack says {code}")
        self.code = code
        self.needed = needed


async def examine(config: SlackConfig, session: aiohttp.ClientSession, *, post_test: bool) -> AsyncIterator[Check]:
    """*post_test* posts a message to the channel, which people see."""
    if not config.enable:
        yield Check(NAME, CheckStatus.SKIPPED, "alert.slack.enable is false")
        return
    client = AsyncWebClient(
        token=config.token.get_secret_value(), base_url=f"{config.api_url}/", session=session, retry_handlers=[]
    )
    try:
        reply = await _call(client, "auth.test")
    except _NoAnswer as exc:
        yield Check(NAME, CheckStatus.FAILED, str(exc), "check alert.slack.api_url, and the way to it")
        return
    except _Refused as exc:
        advice = ADVICE.get(exc.code, "check alert.slack.token: the bot token, xoxb-…, of the app")
        yield Check(NAME, CheckStatus.FAILED, str(exc), advice)
        return
    yield Check(NAME, CheckStatus.OK, f"{reply.get('user', '?')} in {reply.get('team', '?')}")
    scopes = _scopes(reply)
    yield _about_scopes(scopes)
    yield await _channel(client, config.channel_id, scopes)
    if post_test:
        yield await _post(client, config.channel_id)


def _scopes(reply: AsyncSlackResponse) -> frozenset[str]:
    """What the token may do; empty when Slack does not tell."""
    headers = {str(name).lower(): value for name, value in reply.headers.items()}
    return frozenset(scope.strip() for scope in str(headers.get("x-oauth-scopes", "")).split(",") if scope.strip())


def _about_scopes(scopes: frozenset[str]) -> Check:
    if not scopes:
        return Check(SCOPES, CheckStatus.WARNING, "Slack does not tell them", f"make sure that the app has {NEEDED}")
    found = ", ".join(sorted(scopes))
    if NEEDED not in scopes:
        advice = f"give the app the scope {NEEDED} (OAuth & Permissions) and install it again"
        return Check(SCOPES, CheckStatus.FAILED, f"{NEEDED} is missing; there are {found}", advice)
    missing = [f"{scope} {purpose}" for scope, purpose in OPTIONAL.items() if scope not in scopes]
    return Check(SCOPES, CheckStatus.OK, found, f"optional: {', '.join(missing)}" if missing else "")


async def _channel(client: AsyncWebClient, channel: str, scopes: frozenset[str]) -> Check:
    try:
        reply = await _call(client, "conversations.info", channel=channel)
    except _NoAnswer as exc:
        return Check(CHANNEL, CheckStatus.FAILED, str(exc), "try again; if it stays so, look at status.slack.com")
    except _Refused as exc:
        if exc.code == "missing_scope":
            advice = f"run this with --post to try it, or give the app the scope {exc.needed}"
            return Check(CHANNEL, CheckStatus.WARNING, f"{channel}: cannot be told without {exc.needed}", advice)
        return Check(CHANNEL, CheckStatus.FAILED, f"{channel}: {exc}", ADVICE.get(exc.code, ""))
    return _about_channel(channel, reply.get("channel") or {}, scopes)


def _about_channel(channel: str, described: dict[str, Any], scopes: frozenset[str]) -> Check:
    found = f"{channel}, #{described.get('name', '?')}"
    if described.get("is_archived"):
        return Check(CHANNEL, CheckStatus.FAILED, f"{found}: is archived", ADVICE["is_archived"])
    if described.get("is_member"):
        return Check(CHANNEL, CheckStatus.OK, found)
    if PUBLIC in scopes and not described.get("is_private"):
        return Check(CHANNEL, CheckStatus.OK, f"{found}: not joined, but public")
    return Check(CHANNEL, CheckStatus.FAILED, f"{found}: the bot is not in it", ADVICE["not_in_channel"])


async def _post(client: AsyncWebClient, channel: str) -> Check:
    try:
        await _call(client, "chat.postMessage", channel=channel, text=TEST_TEXT)
    except _NoAnswer as exc:
        return Check(POST, CheckStatus.FAILED, f"{channel}: {exc}", "look whether the message is there all the same")
    except _Refused as exc:
        return Check(POST, CheckStatus.FAILED, f"{channel}: {exc}", ADVICE.get(exc.code, ""))
    return Check(POST, CheckStatus.OK, f"posted to {channel}")


async def _call(client: AsyncWebClient, method: str, **arguments: str) -> AsyncSlackResponse:
    """Raises _NoAnswer or _Refused. Nothing is tried again."""
    try:
        if method == "chat.postMessage":
            reply = await client.api_call(method, json=arguments)
        elif arguments:
            reply = await client.api_call(method, http_verb="GET", params=arguments)
        else:
            reply = await client.api_call(method)
    except SlackApiError as exc:
        raise _refusal(exc) from None
    except TimeoutError:
        raise _NoAnswer("Slack did not answer in time") from None
    except (aiohttp.ClientError, OSError) as exc:
        raise _NoAnswer(f"Slack cannot be reached: {exc or type(exc).__name__}") from exc
    except (AttributeError, ValueError):  # slack-sdk, on a body that is not JSON
        raise _NoAnswer("Slack answered with something that is not JSON") from None
    if not isinstance(reply.data, dict):
        raise _NoAnswer("Slack answered with something that is not JSON")
    return reply


def _refusal(exc: SlackApiError) -> VersusError:
    """`response` is a SlackResponse, or aiohttp's own when the body was broken JSON."""
    data = getattr(exc.response, "data", None)
    data = data if isinstance(data, dict) else {}
    if code := data.get("error"):
        return _Refused(str(code), str(data.get("needed", "channels:read")))
    status = getattr(exc.response, "status_code", None) or getattr(exc.response, "status", "?")
    return _NoAnswer(f"what answered {status} is not Slack")
