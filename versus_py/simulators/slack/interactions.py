"""People press things: the payload that Slack sends the app for it, signed, and what the app may answer."""

import asyncio
import hashlib
import hmac
import itertools
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import aiohttp
from aiohttp import web

from versus_py.simulators.slack.answers import SlackError, arguments_of, is_set
from versus_py.simulators.slack.blocks import Element, Placed, options_of, placed
from versus_py.simulators.slack.delivery import Delivery, Press, answered, late
from versus_py.simulators.slack.messages import APP_ID, TEAM_DOMAIN, TEAM_ID, Ephemeral, PostedMessage
from versus_py.simulators.slack.validation import TEXT_POST_MAX, read_content
from versus_py.simulators.slack.views import Views
from versus_py.simulators.slack.workspace import Workspace

ANSWER_WITHIN_S = 3.0  # docs.slack.dev/interactivity/handling-user-interaction: acknowledge within 3 seconds
RESPONSE_URL_USES = 5  # the same page: 5 times within 30 minutes
RESPONSE_URL_LIFE_S = 30 * 60
USER_AGENT = "Slackbot 1.0 (+https://api.slack.com/robots)"

Payload = dict[str, Any]


class NotShown(LookupError):
    """The message shows nothing like it that could be pressed."""


@dataclass(slots=True)
class _ResponseUrl:
    message: PostedMessage
    user: str
    until_s: float
    uses: int = 0


class Interactions:
    """The way from a button of *workspace* to the app at *url*, and from there back to a response_url."""

    def __init__(
        self,
        workspace: Workspace,
        views: Views,
        *,
        signing_secret: str,
        now_s: Callable[[], float],
        base_url: Callable[[], str],
    ) -> None:
        self._workspace = workspace
        self._views = views
        self._signing_secret = signing_secret
        self._now_s = now_s
        self._base_url = base_url
        self._numbers = itertools.count(1)
        self._response_urls: dict[str, _ResponseUrl] = {}

    def payload(self, message: PostedMessage, press: Press, *, block_id: str | None = None) -> Payload:
        """The block_actions payload; raises NotShown."""
        where = _find(message, press.action_id, block_id)
        user, ts = self._workspace.user(press.user), self._workspace.new_ts()
        return {
            "type": "block_actions",
            "team": {"id": TEAM_ID, "domain": TEAM_DOMAIN},
            "user": {"id": user.id, "username": user.name, "name": user.name, "team_id": TEAM_ID},
            "api_app_id": APP_ID,
            "token": "deprecated",
            "container": _container(message, where),
            "trigger_id": self._views.new_trigger(user.id),
            "channel": {"id": message.channel, "name": self._workspace.channel_name(message.channel)},
            "message": message.described(),
            "state": {"values": {}},
            "response_url": self._new_response_url(message, press.user),
            "actions": [_action(where, press.option) | {"action_ts": ts}],
        }

    def sign(self, body: bytes, timestamp: int | str) -> str:
        """X-Slack-Signature: docs.slack.dev/authentication/verifying-requests-from-slack."""
        base = f"v0:{timestamp}:".encode() + body
        return f"v0={hmac.new(self._signing_secret.encode(), base, hashlib.sha256).hexdigest()}"

    def request(self, payload: Payload, timestamp: int | None = None) -> tuple[bytes, dict[str, str]]:
        """Body and headers, signed now or at *timestamp*."""
        body = urlencode({"payload": json.dumps(payload)}).encode()
        return self.signed(body, "application/x-www-form-urlencoded", timestamp)

    def signed(self, body: bytes, content_type: str, timestamp: int | None = None) -> tuple[bytes, dict[str, str]]:
        """The same of any body."""
        at = int(self._now_s()) if timestamp is None else timestamp
        headers = {
            "Content-Type": content_type,
            "User-Agent": USER_AGENT,
            "X-Slack-Request-Timestamp": str(at),
            "X-Slack-Signature": self.sign(body, at),
        }
        return body, headers

    async def take_response(self, request: web.Request) -> web.Response:
        """What the app says by a response_url."""
        known = self._response_urls.get(request.match_info["secret"])
        if known is None or self._now_s() > known.until_s:
            return web.json_response({"ok": False, "error": "expired_url"}, status=404)
        if known.uses >= RESPONSE_URL_USES:
            return web.json_response({"ok": False, "error": "used_url"}, status=404)
        known.uses += 1
        try:
            self._respond(known, await arguments_of(request))
        except SlackError as exc:
            return web.json_response({"ok": False, "error": str(exc)}, status=400)
        return web.json_response({"ok": True})

    def clear(self) -> None:
        """The response_urls are void."""
        self._response_urls.clear()

    def _new_response_url(self, message: PostedMessage, user: str) -> str:
        secret = secrets.token_urlsafe(18)
        self._response_urls[secret] = _ResponseUrl(message, user, self._now_s() + RESPONSE_URL_LIFE_S)
        return f"{self._base_url()}/actions/{TEAM_ID}/{next(self._numbers)}/{secret}"

    def _respond(self, known: _ResponseUrl, arguments: dict[str, Any]) -> None:
        message = known.message
        if is_set(arguments, "delete_original"):
            self._workspace.delete_message(message.ts)
            return
        content = read_content(arguments, text_max=TEXT_POST_MAX)
        thread = self._workspace.parent(message.channel, arguments.get("thread_ts"))
        if is_set(arguments, "replace_original"):
            message.edit(content.text, content.attachments, content.blocks)
        elif arguments.get("response_type") == "in_channel":
            self._workspace.add_message(message.channel, content, thread=thread)
        else:
            thread_ts = None if thread is None else thread.ts
            answer = Ephemeral(message.channel, known.user, content.text, self._workspace.new_ts(), thread_ts)
            self._workspace.ephemerals.append(answer)


async def post(url: str, body: bytes, headers: dict[str, str], within_s: float) -> Delivery:
    """Send the app what was prepared, and wait for its answer as long as Slack does."""
    started_s = time.perf_counter()
    try:
        async with (
            asyncio.timeout(within_s),
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
            session.post(url, data=body, headers=headers, allow_redirects=False) as response,
        ):
            text = await response.text(errors="replace")
            return answered("http", response.status, text, time.perf_counter() - started_s)
    except TimeoutError:
        return late("http", within_s, time.perf_counter() - started_s)
    except (aiohttp.ClientError, OSError, ValueError) as exc:
        seconds = time.perf_counter() - started_s
        return Delivery("http", None, "", seconds, f"the app cannot be reached: {exc or type(exc).__name__}")


def _find(message: PostedMessage, action_id: str, block_id: str | None) -> Placed:
    for it in placed(message.blocks, message.attachments):
        if it.element["action_id"] == action_id and block_id in {None, it.block_id}:
            return it
    raise NotShown(f"message {message.ts} shows no {action_id!r}")


def _container(message: PostedMessage, where: Placed) -> dict[str, Any]:
    container: dict[str, Any] = {"type": "message", "message_ts": message.ts}
    if where.attachment_id is not None:
        container |= {"type": "message_attachment", "attachment_id": where.attachment_id, "is_app_unfurl": False}
    container |= {"channel_id": message.channel, "is_ephemeral": False}
    return container | ({"thread_ts": message.thread_ts} if message.thread_ts else {})


def _action(where: Placed, option: str | None) -> dict[str, Any]:
    element = where.element
    action = {"type": element["type"], "action_id": element["action_id"], "block_id": where.block_id}
    if element["type"] == "button":
        if option is not None:
            raise NotShown(f"{element['action_id']!r} is a button and offers no {option!r}")
        return action | {name: element[name] for name in ("text", "value", "style") if name in element}
    return action | {"selected_option": _option(element, option)}


def _option(element: Element, value: str | None) -> dict[str, Any]:
    for option in options_of(element):
        if option["value"] == value:
            return {"text": option["text"], "value": option["value"]}
    raise NotShown(f"{element['action_id']!r} offers no {value!r}")
