"""Slack: whether the token is good, what it may do, and whether the channels take messages."""

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import aiohttp
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from versus_py.clock import Clock
from versus_py.config import SlackConfig
from versus_py.errors import Transient
from versus_py.incidents.copies import replace
from versus_py.targets.check import Check, CheckStatus
from versus_py.targets.slack.api import ADVICE, Refused, SlackApi
from versus_py.targets.slack.requests import PATH
from versus_py.targets.slack.scopes import (
    BOT_EVENTS,
    CHANNELS,
    EMAILS,
    GROUPS,
    HISTORY,
    OPTIONAL,
    PRIVATE_HISTORY,
    PUBLIC,
    PURPOSES,
    WRITE,
)
from versus_py.targets.slack.socket_mode import app_token_advice, open_connection

NAME = "Slack"
CLOCK = "Slack clock"
SCOPES = "Slack scopes"
PEOPLE = "Slack people"
CHANNEL = "Slack channel"
POST = "Slack test message"
SOCKET = "Slack Socket Mode"
BUTTONS = "Slack buttons"
REPLIES = "Slack replies"

OTHERS_MAX = 20
"""The most channels beside the default one that are looked at."""

TEST_TEXT = "This is a test message of `versus doctor`: versus_py can post here. Nothing has happened."


async def examine(
    config: SlackConfig,
    session: aiohttp.ClientSession,
    *,
    public_host: str | None,
    post_test: bool,
    clock: Clock | None = None,
    others: Sequence[str] = (),
    needs_emails: bool = False,
) -> AsyncIterator[Check]:
    """*public_host* is where Slack's requests are to come; *post_test* posts to the channel, which people see.

    *clock* is the one that replicas go by.
    *others* are further channels that are posted to, those of policies and of the fallback before those of routes.
    *needs_emails* says that people act in other systems too, and are known by their e-mail addresses.
    """
    if not config.enable:
        yield Check(NAME, CheckStatus.SKIPPED, "alert.slack.enable is false")
        return
    api = SlackApi(config, session, clock=clock)
    try:
        reply = await api.post("auth.test")
    except Transient as exc:
        yield Check(NAME, CheckStatus.FAILED, str(exc), "check alert.slack.api_url, and the way to it")
        return
    except Refused as exc:
        advice = exc.advice or "check alert.slack.token: the bot token, xoxb-…, of the app"
        yield Check(NAME, CheckStatus.FAILED, f"Slack says {exc.code}", advice)
        return
    yield Check(NAME, CheckStatus.OK, f"{reply.get('user', '?')} in {reply.get('team', '?')}")
    scopes = _scopes(reply)
    for check in (*api.clock.checks(CLOCK), *_about_all_scopes(scopes, config, needs_emails=needs_emails)):
        yield check
    yield await _channel(api, config.channel_id, scopes)
    async for check in _others(api, config, others, scopes):
        yield check
    if post_test:
        yield await _post(api, config.channel_id)
    if config.takes_replies:
        yield _replies(scopes)
    if config.uses_socket_mode:
        yield await _socket(config, session)
    if config.signing_secret.get_secret_value():
        yield _requests(config, public_host)


def _scopes(reply: AsyncSlackResponse) -> frozenset[str]:
    """What the token may do; empty when Slack does not tell."""
    headers = {str(name).lower(): value for name, value in reply.headers.items()}
    return frozenset(scope.strip() for scope in str(headers.get("x-oauth-scopes", "")).split(",") if scope.strip())


def _about_scopes(scopes: frozenset[str], *, needs_groups: bool) -> Check:
    if not scopes:
        return Check(SCOPES, CheckStatus.WARNING, "Slack does not tell them", f"make sure that the app has {WRITE}")
    found = ", ".join(sorted(scopes))
    if WRITE not in scopes:
        advice = f"give the app the scope {WRITE} (OAuth & Permissions) and install it again"
        return Check(SCOPES, CheckStatus.FAILED, f"{WRITE} is missing; there are {found}", advice)
    if needs_groups and GROUPS not in scopes:
        advice = f"give the app the scope {GROUPS} and install it again: nobody is known to be in allowed_groups"
        return Check(SCOPES, CheckStatus.FAILED, f"{GROUPS} is missing; there are {found}", advice)
    missing = [f"{scope} {PURPOSES[scope]}" for scope in OPTIONAL if scope not in scopes]
    return Check(SCOPES, CheckStatus.OK, found, f"optional: {', '.join(missing)}" if missing else "")


def _about_all_scopes(scopes: frozenset[str], config: SlackConfig, *, needs_emails: bool) -> Iterator[Check]:
    yield _about_scopes(scopes, needs_groups=bool(config.allowed_groups))
    if not needs_emails or not scopes or EMAILS in scopes:
        return
    found = f"{EMAILS} is missing: people who act in another system are shown by their names there, not as Slack users"
    yield Check(PEOPLE, CheckStatus.WARNING, found, f"give the app the scope {EMAILS}, and install it again")


async def _others(
    api: SlackApi, config: SlackConfig, others: Sequence[str], scopes: frozenset[str]
) -> AsyncIterator[Check]:
    """The other channels, each of them once."""
    named = dict.fromkeys(channel for channel in others if channel not in {"", config.channel_id})
    for channel in list(named)[:OTHERS_MAX]:
        yield replace(await _channel(api, channel, scopes), name=f"{CHANNEL} {channel}")
    if len(named) > OTHERS_MAX:
        found = f"{len(named) - OTHERS_MAX} more channels were not looked at"
        yield Check(f"{CHANNEL}s", CheckStatus.SKIPPED, found)


async def _channel(api: SlackApi, channel: str, scopes: frozenset[str]) -> Check:
    try:
        reply = await api.get("conversations.info", channel=channel)
    except Transient as exc:
        return Check(CHANNEL, CheckStatus.FAILED, str(exc), "try again; if it stays so, look at status.slack.com")
    except Refused as exc:
        if exc.code == "missing_scope":
            needed = exc.needed or CHANNELS
            advice = f"run this with --post to try it, or give the app the scope {needed}"
            return Check(CHANNEL, CheckStatus.WARNING, f"{channel}: cannot be told without {needed}", advice)
        return Check(CHANNEL, CheckStatus.FAILED, f"{channel}: Slack says {exc.code}", exc.advice)
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


async def _post(api: SlackApi, channel: str) -> Check:
    try:
        await api.post("chat.postMessage", channel=channel, text=TEST_TEXT)
    except Transient as exc:
        return Check(POST, CheckStatus.FAILED, f"{channel}: {exc}", "look whether the message is there all the same")
    except Refused as exc:
        return Check(POST, CheckStatus.FAILED, f"{channel}: Slack says {exc.code}", exc.advice)
    return Check(POST, CheckStatus.OK, f"posted to {channel}")


async def _socket(config: SlackConfig, session: aiohttp.ClientSession) -> Check:
    """Asks for a connection, and does not use it."""
    try:
        await open_connection(config, session)
    except Transient as exc:
        return Check(SOCKET, CheckStatus.FAILED, str(exc), "try again; if it stays so, look at status.slack.com")
    except Refused as exc:
        return Check(SOCKET, CheckStatus.FAILED, f"Slack says {exc.code}", app_token_advice(exc))
    return Check(SOCKET, CheckStatus.OK, "the app-level token opens connections")


def _replies(scopes: frozenset[str]) -> Check:
    """Nothing is asked: which events the app subscribes to, only its own settings tell."""
    missing = [scope for scope in (HISTORY, PRIVATE_HISTORY) if scopes and scope not in scopes]
    if missing:
        where = {HISTORY: "public channels", PRIVATE_HISTORY: "private channels"}
        lost = " and ".join(where[it] for it in missing)
        found = f"{', '.join(missing)}: missing, so that replies in threads of {lost} are no comments"
        advice = "give the app the scope, and install it again; or set alert.slack.take_replies: false"
        return Check(REPLIES, CheckStatus.WARNING, found, advice)
    advice = f"the app has to subscribe to the bot events {' and '.join(BOT_EVENTS)}: reply in a thread to try it"
    return Check(REPLIES, CheckStatus.SKIPPED, "whether Slack tells of replies cannot be told from here", advice)


def _requests(config: SlackConfig, public_host: str | None) -> Check:
    """Nothing is asked: only Slack can send what it would send."""
    if config.uses_socket_mode:
        found = "alert.slack.signing_secret is not used: with app_token, Slack uses Socket Mode and sends no requests"
        return Check(BUTTONS, CheckStatus.SKIPPED, found, "set one of the two")
    in_the_way = config.in_the_way_of_requests(public_host)
    if in_the_way is not None:
        advice = "set public_host to an address that Slack reaches over https, or use Socket Mode (app_token) instead"
        return Check(BUTTONS, CheckStatus.WARNING, in_the_way, advice)
    advice = f"press a button of a message to try it; the app's Request URL has to be {public_host}{PATH}"
    return Check(BUTTONS, CheckStatus.SKIPPED, "whether Slack's requests arrive cannot be told from here", advice)
