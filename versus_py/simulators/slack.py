"""A Slack: auth.test, conversations.info, chat.postMessage and chat.update, with its limits and its ways to refuse.

What it checks is what docs.slack.dev says of those methods and of Block Kit; one message a second in a channel,
with short bursts, is the documented rate.
"""

import itertools
import json
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from aiohttp import web
from jinja2 import Environment, PackageLoader, select_autoescape

from versus_py.simulators.faults import Fault, Faults, control_routes
from versus_py.simulators.mrkdwn import to_html

BURST = 3
POSTS_PER_S = 1.0
TEXT_POST_MAX = 40_000
TEXT_UPDATE_MAX = 4_000
BLOCKS_MAX = 50
BLOCK_CHARACTERS_MAX = 13_000
ATTACHMENTS_MAX = 100
SECTION_MAX = 3_000
CONTEXT_ELEMENTS_MAX = 10
ACTION_ELEMENTS_MAX = 25
LABEL_MAX = 75
URL_MAX = 3_000

SCOPES = ("chat:write", "chat:write.public", "channels:read")
_NEEDED = {"chat.postMessage": "chat:write", "chat.update": "chat:write", "conversations.info": "channels:read"}

_pages = Environment(loader=PackageLoader("versus_py.simulators", "pages"), autoescape=select_autoescape(default=True))
_pages.filters["mrkdwn"] = to_html


@dataclass(slots=True)
class PostedMessage:
    """One message of a channel, as it is now."""

    channel: str
    ts: str
    text: str
    attachments: list[dict[str, Any]]
    blocks: list[dict[str, Any]]
    edits: int = 0
    versions: list[str] = field(default_factory=list)  # the texts it had
    replies: list[str] = field(default_factory=list)  # its thread

    @property
    def button_url(self) -> str | None:
        """Where its button leads; None without one."""
        for block in _all_blocks(self.blocks, self.attachments):
            for element in block.get("elements", []):
                if block.get("type") == "actions" and element.get("url"):
                    return str(element["url"])
        return None

    @property
    def shown(self) -> str:
        """Everything a reader sees, markup and all."""
        return "\n".join([self.text, *(_text_of(block) for block in _all_blocks(self.blocks, self.attachments))])


class SlackError(Exception):
    """`{"ok": false, "error": …}`, with what else the answer says."""

    def __init__(self, code: str, **more: str) -> None:
        super().__init__(code)
        self.more = more


class SlackSimulator:
    """The state of a workspace, and its API in front.

    With *channels*, no others exist; without, every id that starts with C does. *token* None takes any bot token,
    which was given *scopes*.
    """

    def __init__(
        self,
        *,
        token: str | None = None,
        channels: Iterable[str] | None = None,
        scopes: Iterable[str] = SCOPES,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._token = token
        self._channels = None if channels is None else set(channels)
        self._scopes = list(scopes)
        self._now_s = now_s
        self._counter = itertools.count(100)
        self._allowance: dict[str, tuple[float, float]] = {}
        self.messages: list[PostedMessage] = []
        self.archived: set[str] = set()
        self.not_joined: set[str] = set()  # public channels that the bot was not invited to
        self.calls: list[str] = []  # every method that was called, in order
        self.faults = Faults(_refuse)

    def app(self) -> web.Application:
        app = web.Application()
        methods = {
            "auth.test": self._auth_test,
            "chat.postMessage": self._post_message,
            "chat.update": self._update,
        }
        for name, method in methods.items():
            app.router.add_post(f"/api/{name}", self.faults.suffered(self._method(name, method)))
        describe = self._method("conversations.info", self._describe_channel)
        app.router.add_get("/api/conversations.info", self.faults.suffered(describe), allow_head=False)
        app.router.add_get("/", self._page)
        app.add_routes(control_routes(self.faults, self.state, self.reset))
        return app

    def state(self) -> dict[str, Any]:
        messages = [asdict(message) | {"button_url": message.button_url} for message in self.messages]
        return {"messages": messages, "calls": self.calls}

    def reset(self) -> None:
        self.messages.clear()
        self.calls.clear()
        self._allowance.clear()

    def _method(self, name: str, method: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[web.Request], Any]:
        async def handle(request: web.Request) -> web.Response:
            self.calls.append(name)
            try:
                self._authenticate(request)
                self._check_scope(name)
                answer = {"ok": True} | method(await _arguments(request))
                return web.json_response(answer, headers={"x-oauth-scopes": ",".join(self._scopes)})
            except _RateLimited as exc:
                headers = {"Retry-After": str(exc.seconds)}
                return web.json_response({"ok": False, "error": "ratelimited"}, status=429, headers=headers)
            except SlackError as exc:
                return web.json_response({"ok": False, "error": str(exc)} | exc.more)

        return handle

    def _authenticate(self, request: web.Request) -> None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or not token:
            raise SlackError("not_authed")
        if not token.startswith("xoxb-") or self._token not in {None, token}:
            raise SlackError("invalid_auth")

    def _check_scope(self, method: str) -> None:
        needed = _NEEDED.get(method)
        if needed is not None and needed not in self._scopes:
            raise SlackError("missing_scope", needed=needed, provided=",".join(self._scopes))

    def _auth_test(self, _: dict[str, Any]) -> dict[str, Any]:
        return {"team": "Demo", "team_id": "T0DEMO", "user": "versus", "user_id": "U0DEMO", "bot_id": "B0DEMO"}

    def _post_message(self, arguments: dict[str, Any]) -> dict[str, Any]:
        channel = self._open_channel(arguments)
        if channel in self.not_joined and "chat:write.public" not in self._scopes:
            raise SlackError("not_in_channel")
        self._spend(channel)
        content = _content(arguments, text_max=TEXT_POST_MAX)
        ts = f"{int(time.time())}.{next(self._counter):06d}"
        if "thread_ts" in arguments:
            self._find(channel, arguments["thread_ts"], "cannot_reply_to_message").replies.append(content["text"])
            return {"channel": channel, "ts": ts, "message": {"text": content["text"]}}
        message = PostedMessage(channel, ts, **content)
        message.versions.append(message.text)
        self.messages.append(message)
        return {"channel": channel, "ts": ts, "message": {"text": message.text}}

    def _update(self, arguments: dict[str, Any]) -> dict[str, Any]:
        channel = self._open_channel(arguments, is_id=True)
        message = self._find(channel, arguments.get("ts"), "message_not_found")
        content = _content(arguments, text_max=TEXT_UPDATE_MAX)
        message.text, message.attachments, message.blocks = content["text"], content["attachments"], content["blocks"]
        message.edits += 1
        message.versions.append(message.text)
        return {"channel": channel, "ts": message.ts, "text": message.text}

    def _find(self, channel: str, ts: Any, otherwise: str) -> PostedMessage:
        found = next((message for message in self.messages if (message.channel, message.ts) == (channel, ts)), None)
        if found is None:
            raise SlackError(otherwise)
        return found

    def _channel(self, arguments: dict[str, Any], *, is_id: bool = False) -> str:
        """The channel's id. A name is answered with an id, and is good for posting only."""
        name = str(arguments.get("channel", ""))
        if self._channels is None and not is_id and not name.startswith("C"):
            name = f"C{name.lstrip('#').upper().replace('-', '')}"
        exists = name.startswith("C") if self._channels is None else name in self._channels
        if not exists:
            raise SlackError("channel_not_found")
        return name

    def _open_channel(self, arguments: dict[str, Any], *, is_id: bool = False) -> str:
        channel = self._channel(arguments, is_id=is_id)
        if channel in self.archived:
            raise SlackError("is_archived")
        return channel

    def _describe_channel(self, arguments: dict[str, Any]) -> dict[str, Any]:
        channel = self._channel(arguments, is_id=True)
        described = {"id": channel, "name": channel.lower(), "is_channel": True, "is_private": False}
        described |= {"is_archived": channel in self.archived, "is_member": channel not in self.not_joined}
        return {"channel": described}

    def _spend(self, channel: str) -> None:
        now_s = self._now_s()
        left, since_s = self._allowance.get(channel, (float(BURST), now_s))
        left = min(float(BURST), left + (now_s - since_s) * POSTS_PER_S)
        if left < 1:
            self._allowance[channel] = (left, now_s)
            raise _RateLimited(1)
        self._allowance[channel] = (left - 1, now_s)

    async def _page(self, _: web.Request) -> web.Response:
        by_channel: dict[str, list[PostedMessage]] = {}
        for message in self.messages:
            by_channel.setdefault(message.channel, []).append(message)
        page = _pages.get_template("slack.html").render(channels=by_channel)
        return web.Response(text=page, content_type="text/html")


class _RateLimited(Exception):
    def __init__(self, seconds: int) -> None:
        super().__init__(f"again in {seconds} s")
        self.seconds = seconds


def _refuse(fault: Fault) -> web.Response:
    headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
    if fault.kind == "429":
        return web.json_response({"ok": False, "error": "ratelimited"}, status=429, headers=headers)
    return web.Response(
        text="<html>Server Error</html>", content_type="text/html", status=int(fault.kind), headers=headers
    )


async def _arguments(request: web.Request) -> dict[str, Any]:
    if request.method == "GET":
        return dict(request.query)
    if request.content_type == "application/json":
        try:
            data = await request.json()
        except json.JSONDecodeError:
            raise SlackError("invalid_json") from None
        if not isinstance(data, dict):
            raise SlackError("json_not_object")
        return data
    return dict(await request.post())


def _content(arguments: dict[str, Any], *, text_max: int) -> dict[str, Any]:
    """What a message says, checked like Slack does."""
    text = arguments.get("text") or ""
    attachments = arguments.get("attachments") or []
    blocks = arguments.get("blocks") or []
    if not text and not attachments and not blocks:
        raise SlackError("no_text")
    if len(text) > text_max:
        raise SlackError("msg_too_long")
    if len(attachments) > ATTACHMENTS_MAX:
        raise SlackError("too_many_attachments")
    every = list(_all_blocks(blocks, attachments))
    if len(every) > BLOCKS_MAX or not all(_is_valid(block) for block in every):
        raise SlackError("invalid_blocks")
    if sum(len(_text_of(block)) for block in every) > BLOCK_CHARACTERS_MAX:
        raise SlackError("msg_blocks_too_long")
    return {"text": text, "attachments": attachments, "blocks": blocks}


def _all_blocks(blocks: list[dict[str, Any]], attachments: list[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    yield from blocks
    for attachment in attachments:
        yield from attachment.get("blocks", [])


def _is_valid(block: dict[str, Any]) -> bool:
    elements = block.get("elements", [])
    match block.get("type"):
        case "section":
            return 0 < len(block.get("text", {}).get("text", "")) <= SECTION_MAX
        case "context":
            return 0 < len(elements) <= CONTEXT_ELEMENTS_MAX and all(element.get("text") for element in elements)
        case "actions":
            return 0 < len(elements) <= ACTION_ELEMENTS_MAX and all(_is_valid_button(element) for element in elements)
        case "divider":
            return True
        case _:
            return False


def _is_valid_button(element: dict[str, Any]) -> bool:
    label = element.get("text", {}).get("text", "")
    has_style = element.get("style", "primary") in {"primary", "danger"}
    return has_style and 0 < len(label) <= LABEL_MAX and len(element.get("url", "")) <= URL_MAX


def _text_of(block: dict[str, Any]) -> str:
    texts = [block.get("text", {}).get("text", "")]
    for element in block.get("elements", []):
        text = element.get("text", "")
        texts.append(text if isinstance(text, str) else text.get("text", ""))
    return "\n".join(text for text in texts if text)
