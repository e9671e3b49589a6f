"""The workspace over HTTP: the Web API, the interactions that it sends, and a page to look at."""

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

from aiohttp import web

from versus_py.simulators.face import face_routes
from versus_py.simulators.faults import Fault, Faults, control_routes
from versus_py.simulators.server import tell_date
from versus_py.simulators.slack.admin_page import AdminPage
from versus_py.simulators.slack.answers import Arguments, RateLimited, SlackError, arguments_of
from versus_py.simulators.slack.control import (
    ChannelsOrder,
    InteractionsOrder,
    MessageOrder,
    PressOrder,
    WriteOrder,
    take,
)
from versus_py.simulators.slack.delivery import UNDELIVERABLE, Delivery, Press
from versus_py.simulators.slack.errors import ErrorOrder, Errors
from versus_py.simulators.slack.events import (
    OTHER_BOT_ID,
    Event,
    Events,
    as_request,
    as_typed,
    deletion_event,
    edit_event,
    message_event,
)
from versus_py.simulators.slack.interactions import ANSWER_WITHIN_S, Interactions, NotShown, post
from versus_py.simulators.slack.messages import PEOPLE, TEAM_DOMAIN, PostedMessage, User
from versus_py.simulators.slack.methods import SCOPES, TIER_3, Methods
from versus_py.simulators.slack.page import Page, pages
from versus_py.simulators.slack.rates import Allowances
from versus_py.simulators.slack.socket_mode import SocketMode
from versus_py.simulators.slack.validation import Content
from versus_py.simulators.slack.views import Values, Views
from versus_py.simulators.slack.workspace import Workspace

SIGNING_SECRET = "slack-signing-secret"  # noqa: S105 - a simulator's
_OPEN = "apps.connections.open"
GROUPS = MappingProxyType({"S0ONCALL": ("U0ANA",)})


class SlackSimulator(Workspace):
    """The state of a workspace, and its API in front.

    *token* None takes any bot token, which was given *scopes*. Interactions are signed with *signing_secret* and posted
    to *interactions_url*, which can be set later, too; without it they go by a socket that is open, to an app whose
    token is *app_token*, or any.
    """

    def __init__(
        self,
        *,
        token: str | None = None,
        channels: Iterable[str] | None = None,
        scopes: Iterable[str] = SCOPES,
        users: Iterable[User] = PEOPLE,
        groups: Mapping[str, Iterable[str]] = GROUPS,
        signing_secret: str = SIGNING_SECRET,
        app_token: str | None = None,
        interactions_url: str | None = None,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(channels=channels, users=users, groups=groups, now_s=now_s)
        self._token = token
        self._app_token = app_token
        self.scopes = list(scopes)
        self._now_s = now_s
        self._allowances = Allowances(now_s)
        self._base_url = "http://localhost"  # until the app has called
        self.views = Views(now_s)
        self._methods = Methods(self, self._allowances, self.views, scopes=self.scopes, base_url=self._reached_at)
        self._interactions = Interactions(
            self, self.views, signing_secret=signing_secret, now_s=now_s, base_url=self._reached_at
        )
        self.socket = SocketMode()
        self.events = Events(self._send_event, now_s)
        self.interactions_url = interactions_url  # also of events, which an app may have go elsewhere
        self.subscriptions = {"message.channels", "message.groups"}  # the events that the app wants to hear of
        self.answer_within_s = ANSWER_WITHIN_S
        self.deliveries: list[Delivery] = []  # how the app took what was pressed, in order
        self.errors = Errors({*self._methods.by_name, _OPEN}, self.channel_id)
        self._page = Page(
            self,
            press=self._press_as_ordered,
            views=self.views,
            submit=self.submit,
            change=self.change_message,
            reply=self._reply_as_typed,
            errors=self.errors,
            deliveries=self.deliveries,
            now_s=now_s,
        )
        self._admin_page = AdminPage(self, self.errors, pages)
        self.calls: list[str] = []  # every method that was called, in order
        self.faults = Faults(_refuse)

    def app(self) -> web.Application:
        app = web.Application()
        tell_date(app, self._now_s)
        for name, method in self._methods.by_name.items():
            handler = self.faults.suffered(self._called(name))
            app.router.add_post(f"/api/{name}", handler)
            if method.reads:
                app.router.add_get(f"/api/{name}", handler, allow_head=False)
        app.router.add_get("/", self._page.show)
        app.add_routes(face_routes())
        app.router.add_post("/press", self._page.take_press)
        app.router.add_post("/messages", self._page.take_change)
        app.router.add_post("/views", self._page.take_view)
        app.router.add_post("/replies", self._page.take_reply)
        app.add_routes(self._admin_page.routes())
        app.router.add_get("/app_redirect", self._page.find_channel)
        app.router.add_get(r"/archives/{channel}/p{digits:\d{7,}}", self._page.find)
        app.router.add_post(f"/api/{_OPEN}", self.faults.suffered(self._open_connection))
        app.router.add_get("/link/", self.socket.connect)
        app.on_shutdown.append(self._hang_up)
        app.router.add_post("/actions/{team}/{number}/{secret}", self.faults.suffered(self._interactions.take_response))
        app.add_routes(control_routes(self.faults, self.state, self.reset))
        app.router.add_post("/control/press", take(PressOrder, self._press_as_ordered))
        app.router.add_post("/control/interactions", take(InteractionsOrder, self._send_interactions_to))
        app.router.add_post("/control/channels", take(ChannelsOrder, self._set_channels))
        app.router.add_post("/control/messages", take(MessageOrder, self.change_message))
        app.router.add_post("/control/writings", take(WriteOrder, self._write_as_ordered))
        app.router.add_post("/control/errors", take(ErrorOrder, self.errors.order))
        app.router.add_delete("/control/errors", self._clear_errors)
        return app

    @property
    def connections(self) -> int:
        """How many sockets of the app are open."""
        return self.socket.connections

    async def press(
        self,
        message: PostedMessage,
        action_id: str,
        *,
        user: str = "U0ANA",
        option: str | None = None,
        block_id: str | None = None,
    ) -> Delivery:
        """Somebody presses a button, or chooses *option* in a menu, and the app has 3 seconds to answer.

        Raises NotShown when the message, as it is now, has no such thing.
        """
        press = Press(message.channel, message.ts, action_id, user, option)
        payload = self._interactions.payload(message, press, block_id=block_id)
        delivery = replace(await self._send(payload), press=press)
        self.deliveries.append(delivery)
        return delivery

    async def submit(self, user: str, **texts: str) -> Delivery:
        """Somebody sends the modal that is open, with *texts* by the block_id of their input.

        It closes when the app has answered with nothing. Raises NotShown when none is open.
        """
        view = self.views.open.get(user)
        if view is None:
            raise NotShown(f"{user} sees no modal")
        values: Values = {
            block["block_id"]: {block["element"]["action_id"]: texts.get(block["block_id"])} for block in view.inputs
        }
        delivery = await self._send(self.views.submission(view, self.user(user), values))
        self.deliveries.append(delivery)
        if delivery.status == HTTPStatus.OK and not delivery.body:
            self.views.open.pop(user, None)
        return delivery

    async def _send(self, payload: dict[str, Any]) -> Delivery:
        """An interaction, to the URL or by a socket."""
        if self.interactions_url is None:
            return await self.socket.send(payload, within_s=self.answer_within_s)
        body, headers = self._interactions.request(payload)
        return await post(self.interactions_url, body, headers, self.answer_within_s)

    def prepare_press(
        self,
        message: PostedMessage,
        action_id: str,
        *,
        user: str = "U0ANA",
        option: str | None = None,
        block_id: str | None = None,
        timestamp: int | None = None,
    ) -> tuple[bytes, dict[str, str]]:
        """The signed request of a press, to be tampered with, and sent by *deliver* any number of times."""
        press = Press(message.channel, message.ts, action_id, user, option)
        return self._interactions.request(self._interactions.payload(message, press, block_id=block_id), timestamp)

    def sign(self, body: bytes, timestamp: int | str) -> str:
        """The X-Slack-Signature of a body that is sent at *timestamp*."""
        return self._interactions.sign(body, timestamp)

    async def deliver(self, body: bytes, headers: dict[str, str]) -> Delivery:
        """Send a request that was prepared to the interactions URL."""
        delivery = UNDELIVERABLE
        if self.interactions_url is not None:
            delivery = await post(self.interactions_url, body, headers, self.answer_within_s)
        self.deliveries.append(delivery)
        return delivery

    async def reply(
        self,
        message: PostedMessage,
        text: str,
        *,
        user: str = "U0ANA",
        broadcast: bool = False,
        files: Sequence[str] = (),
    ) -> PostedMessage:
        """A person writes *text*, which is markup, in the thread of a message; the app is told of it."""
        order = WriteOrder(
            channel=message.channel, ts=message.ts, text=text, user=user, broadcast=broadcast, files=tuple(files)
        )
        return await self.write(order)

    async def write(self, order: WriteOrder) -> PostedMessage:
        """What the order says is written, edited or deleted, and the app is told of it. Raises NotShown."""
        written, event = self._written(order)
        await self._tell(event, self.events.tell)
        return written

    async def tell(self, event: Event) -> None:
        """The app is told of an event, whatever has happened."""
        await self._tell(event, self.events.tell)

    def prepare_event(self, payload: Event, *, timestamp: int | None = None) -> tuple[bytes, dict[str, str]]:
        """The signed request of an outer event, to be tampered with, and sent by *deliver* any number of times."""
        return self._interactions.signed(as_request(payload), "application/json", timestamp)

    def change_message(self, order: MessageOrder) -> None:
        """Somebody deletes a message or a reply, or locks a message's thread. Raises NotShown."""
        if self.find(order.channel, order.ts) is None:
            raise NotShown(f"there is no message {order.ts} in {order.channel}")
        match order.do:
            case "delete":
                self.delete_message(order.ts)
            case "lock":
                self.locked.add(order.ts)
            case "unlock":
                self.locked.discard(order.ts)

    def state(self) -> dict[str, Any]:
        return {
            "messages": [message.state() for message in self.messages],
            "replies": [reply.state() for reply in self.replies],
            "ephemerals": [asdict(it) for it in self.ephemerals],
            "views": [asdict(it) for it in self.views.open.values()],
            "deliveries": [_told(it) for it in self.deliveries],
            "event_deliveries": [_told(it) for it in self.events.deliveries],
            "connections": self.connections,
            "errors": [order.model_dump() | {"left": left} for order, left in self.errors.ordered],
            "calls": self.calls,
        }

    def reset(self) -> None:
        self.clear()
        self._set_channels(ChannelsOrder())
        self.errors.clear()
        self.calls.clear()
        self.deliveries.clear()
        self.events.deliveries.clear()
        self._interactions.clear()
        self.views.clear()
        self._page.clear()
        self._allowances.clear()

    def _written(self, order: WriteOrder) -> tuple[PostedMessage, Event]:
        """The message that the order is about, as it is by that, and the event. Raises NotShown."""
        about = {"channel_type": "group" if order.channel in self.private else "channel"}
        if order.do == "message":
            written = self.say(order.channel, order.text, user=order.user)
            return written, message_event(written, **about)
        found = self.find(order.channel, order.ts)
        if found is None or (order.do in {"reply", "bot"} and found.thread_ts is not None):
            raise NotShown(f"there is no message {order.ts} in {order.channel}")
        if order.do == "edit":
            previous = found.text
            found.edit(order.text, found.attachments, found.blocks)
            return found, edit_event(found, **about, ts=self.new_ts(), previous=previous)
        if order.do == "delete":
            self.delete_message(found.ts)
            return found, deletion_event(found, **about, ts=self.new_ts())
        content, user = Content(order.text, [], []), "U0OTHER" if order.do == "bot" else order.user
        written = self.add_message(order.channel, content, user=user, thread=found, is_broadcast=order.broadcast)
        more: Event = {"parent_user_id": found.user} | ({"bot_id": OTHER_BOT_ID} if order.do == "bot" else {})
        more |= {"subtype": "file_share", "files": [self._file(it) for it in order.files]} if order.files else {}
        return written, message_event(written, **about, **more)

    def _file(self, name: str) -> dict[str, Any]:
        return {"id": "F0DEMO", "name": name, "permalink": f"https://{TEAM_DOMAIN}.slack.example/files/U0ANA/F0DEMO"}

    async def _tell(self, event: Event, how: Callable[[Event], Awaitable[None]]) -> None:
        """If the app subscribes to such events, is in the channel, and has the scope that they take."""
        is_private = event["channel"] in self.private
        subscription = "message.groups" if is_private else "message.channels"
        scope = "groups:history" if is_private else "channels:history"
        if subscription in self.subscriptions and scope in self.scopes and event["channel"] not in self.not_joined:
            await how(self.events.wrapped(event))

    async def _send_event(self, payload: Event, retry: dict[str, str]) -> Delivery:
        """To the URL or by a socket, as interactions go."""
        if self.interactions_url is None:
            attempt = int(retry.get("X-Slack-Retry-Num", 0))
            event = {"retry_attempt": attempt, "retry_reason": retry.get("X-Slack-Retry-Reason", "")}
            return await self.socket.send(payload, within_s=self.answer_within_s, event=event)
        body, headers = self.prepare_event(payload)
        return await post(self.interactions_url, body, headers | retry, self.answer_within_s)

    async def _write_as_ordered(self, order: WriteOrder) -> dict[str, object]:
        written, event = self._written(order)
        await self._tell(event, self.events.tell_soon)
        return {"ts": written.ts}

    async def _reply_as_typed(self, order: WriteOrder) -> None:
        await self._write_as_ordered(order.model_copy(update={"text": as_typed(order.text, [*self.users.values()])}))

    async def _press_as_ordered(self, order: PressOrder) -> dict[str, object]:
        message = self.find(order.channel, order.ts)
        if message is None:
            raise NotShown(f"there is no message {order.ts} in {order.channel}")
        delivery = await self.press(
            message, order.action_id, user=order.user, option=order.option, block_id=order.block_id
        )
        return _told(delivery)

    def _send_interactions_to(self, order: InteractionsOrder) -> None:
        self.interactions_url = order.url

    def _set_channels(self, order: ChannelsOrder) -> None:
        self.archived, self.not_joined = set(order.archived), set(order.not_joined)
        self.without_threads = set(order.without_threads)
        self.private, self.unknown = set(order.private), set(order.unknown)
        self.channel_names = dict(order.names)

    async def _clear_errors(self, _: web.Request) -> web.Response:
        self.errors.clear()
        return web.Response(status=204)

    def _reached_at(self) -> str:
        return self._base_url

    async def _hang_up(self, _: web.Application) -> None:
        await self.events.close()
        await self.socket.close()

    def _called(self, name: str) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handle(request: web.Request) -> web.Response:
            self.calls.append(name)
            self._base_url = f"{request.scheme}://{request.host}"
            try:
                self._authenticate(request)
                answer = self._answered(name, await arguments_of(request))
                return web.json_response(answer, headers={"x-oauth-scopes": ",".join(self.scopes)})
            except (RateLimited, SlackError) as exc:
                return _refusal(exc)

        return handle

    def _answered(self, name: str, arguments: Arguments) -> dict[str, Any]:
        """What the method answers, or the error that is on order. Raises SlackError or RateLimited."""
        ordered = self.errors.take(name, arguments)
        if ordered is None:
            return self._methods.call(name, arguments)
        if ordered.done:
            self._methods.call(name, arguments)
        about = self._methods.about_scope(self._methods.scope(name, arguments))
        raise ordered.refusal(**about if ordered.error == "missing_scope" else {})

    async def _open_connection(self, request: web.Request) -> web.Response:
        """apps.connections.open, the one method that takes the app's token."""
        self.calls.append(_OPEN)
        try:
            self._authenticate_app(request)
            if ordered := self.errors.take(_OPEN, {}):
                raise ordered.refusal()
            self._allowances.spend(_OPEN, burst=TIER_3, per_s=TIER_3 / 60)
            return web.json_response({"ok": True, "url": self.socket.new_url(request)})
        except (RateLimited, SlackError) as exc:
            return _refusal(exc)

    def _authenticate(self, request: web.Request) -> None:
        token = _bearer(request)
        if token.startswith("xapp-"):
            raise SlackError("not_allowed_token_type")
        if not token.startswith("xoxb-") or self._token not in {None, token}:
            raise SlackError("invalid_auth")

    def _authenticate_app(self, request: web.Request) -> None:
        token = _bearer(request)
        if token.startswith("xoxb-"):
            raise SlackError("not_allowed_token_type")
        if not token.startswith("xapp-") or self._app_token not in {None, token}:
            raise SlackError("invalid_auth")


def _told(delivery: Delivery) -> dict[str, object]:
    return asdict(delivery) | {"in_time": delivery.in_time}


def _bearer(request: web.Request) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme != "Bearer" or not token:
        raise SlackError("not_authed")
    return token


def _refusal(exc: RateLimited | SlackError) -> web.Response:
    if isinstance(exc, RateLimited):
        return _ratelimited({"Retry-After": str(exc.seconds)})
    return web.json_response({"ok": False, "error": str(exc)} | exc.more)


def _refuse(fault: Fault) -> web.Response:
    headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
    if fault.kind == "429":
        return _ratelimited(headers)
    if fault.kind == "401":  # also that is an answer of the API's, with status 200
        return _refusal(SlackError("invalid_auth"))
    return web.Response(
        text="<html>Server Error</html>", content_type="text/html", status=int(fault.kind), headers=headers
    )


def _ratelimited(headers: dict[str, str]) -> web.Response:
    return web.json_response({"ok": False, "error": "ratelimited"}, status=429, headers=headers)
