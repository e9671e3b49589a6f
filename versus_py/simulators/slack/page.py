"""The workspace as a person sees it, who can press what is shown."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from functools import partial
from urllib.parse import quote
from zoneinfo import ZoneInfo

from aiohttp import web
from jinja2 import Environment, PackageLoader, select_autoescape
from markupsafe import Markup
from pydantic import ValidationError

from versus_py.simulators.mrkdwn import Reader, plain_to_html, to_html
from versus_py.simulators.slack.admin_page import STATES
from versus_py.simulators.slack.blocks import Element, elements_of, options_of
from versus_py.simulators.slack.control import MessageOrder, PressOrder, WriteOrder
from versus_py.simulators.slack.delivery import Delivery
from versus_py.simulators.slack.errors import Errors
from versus_py.simulators.slack.interactions import NotShown
from versus_py.simulators.slack.views import Views
from versus_py.simulators.slack.workspace import Workspace, us_of

pages = Environment(loader=PackageLoader("versus_py.simulators", "pages"), autoescape=select_autoescape(default=True))
pages.globals |= {"elements_of": elements_of, "options_of": options_of}


class Page:
    """*press*, *submit*, *change* and *reply* do what a form orders.

    The last of *deliveries* is shown where it was made, if the app failed. What was pressed here and is not shown any
    more is told on top, until the next press.
    """

    def __init__(
        self,
        workspace: Workspace,
        *,
        press: Callable[[PressOrder], Awaitable[object]],
        views: Views,
        submit: Callable[..., Awaitable[object]],
        change: Callable[[MessageOrder], object],
        reply: Callable[[WriteOrder], Awaitable[None]],
        errors: Errors,
        deliveries: Sequence[Delivery],
        now_s: Callable[[], float],
    ) -> None:
        self._workspace = workspace
        self._press = press
        self._views = views
        self._submit = submit
        self._change = change
        self._reply = reply
        self._errors = errors
        self._deliveries = deliveries
        self._now_s = now_s
        self._missed = ""

    async def show(self, request: web.Request) -> web.Response:
        people = self._workspace.users
        viewer = request.query.get("as", "")
        if viewer not in people:
            viewer = next(iter(people), "U0ANA")
        reader = Reader({user.id: user.real_name for user in people.values()}, self._now_s())
        ephemerals = [it for it in self._workspace.ephemerals if it.user == viewer]
        used = [it.channel for it in self._workspace.messages] + [it.channel for it in ephemerals]
        workspace = self._workspace
        page = pages.get_template("slack.html").render(
            at=partial(_time, now_s=self._now_s(), zone=ZoneInfo(workspace.user(viewer).tz)),
            channel_name=workspace.channel_name,
            errors=self._errors.ordered,
            **{name: getattr(workspace, name) for name in (*STATES, "locked")},
            channels={name: self._workspace.shown_in(name) for name in dict.fromkeys(used)},
            ephemerals=ephemerals,
            people=people.values(),
            viewer=viewer,
            modal=self._views.open.get(viewer),
            names=reader.names,
            missed=self._missed,
            trouble=self._trouble(),
            mrkdwn=partial(to_html, reader=reader),
            said=partial(_said, reader=reader),
        )
        return web.Response(text=page, content_type="text/html")

    async def take_press(self, request: web.Request) -> web.Response:
        """A form that was sent; leads back to where it was."""
        try:
            order = PressOrder.model_validate({name: value for name, value in (await request.post()).items() if value})
        except ValidationError:
            raise web.HTTPBadRequest(text="what is pressed, by whom, and in which message?") from None
        self._missed = ""
        try:
            await self._press(order)
        except NotShown as exc:
            self._missed = f"{exc}; it has changed meanwhile"
        raise web.HTTPSeeOther(f"/?as={order.user}")

    async def take_change(self, request: web.Request) -> web.Response:
        """What somebody does to a message; leads back to where it was."""
        fields = {name: str(value) for name, value in (await request.post()).items()}
        viewer = fields.pop("viewer", "")
        try:
            self._change(MessageOrder.model_validate(fields))
        except ValidationError:
            raise web.HTTPBadRequest(text="what is done, and to which message?") from None
        except NotShown as exc:
            self._missed = f"{exc}; it has changed meanwhile"
        raise web.HTTPSeeOther(f"/?as={viewer}")

    async def take_reply(self, request: web.Request) -> web.Response:
        """What somebody writes in a thread; leads back to where it was."""
        fields = {name: str(value) for name, value in (await request.post()).items()}
        try:
            order = WriteOrder.model_validate(fields)
        except ValidationError:
            raise web.HTTPBadRequest(text="what is written, by whom, and to which message?") from None
        self._missed = ""
        try:
            await self._reply(order)
        except NotShown as exc:
            self._missed = f"{exc}; it has changed meanwhile"
        raise web.HTTPSeeOther(f"/?as={order.user}#{order.ts}")

    async def take_view(self, request: web.Request) -> web.Response:
        """The modal that is open, sent or closed; leads back to where it was."""
        fields = {name: str(value) for name, value in (await request.post()).items()}
        viewer, do = fields.pop("viewer", ""), fields.pop("do", "submit")
        self._missed = ""
        if do == "close":
            self._views.open.pop(viewer, None)
            raise web.HTTPSeeOther(f"/?as={viewer}")
        try:
            await self._submit(viewer, **fields)
        except NotShown as exc:
            self._missed = f"{exc} any more"
        raise web.HTTPSeeOther(f"/?as={viewer}")

    async def find(self, request: web.Request) -> web.Response:
        """Where a permalink leads."""
        digits = request.match_info["digits"]
        raise web.HTTPFound(f"/#{digits[:-6]}.{digits[-6:]}")

    async def find_channel(self, request: web.Request) -> web.Response:
        """Where a link to a channel leads."""
        raise web.HTTPFound(f"/#{quote(request.query.get('channel', ''))}")

    def clear(self) -> None:
        """Nothing was pressed."""
        self._missed = ""

    def _trouble(self) -> dict[str, str]:
        """What went wrong with the last press, by the ts of its message."""
        last = self._deliveries[-1] if self._deliveries else None
        return {} if last is None or last.press is None or not last.trouble else {last.press.ts: last.trouble}


def _time(ts: str, *, now_s: float, zone: ZoneInfo) -> str:
    """When a message was posted, as somebody in *zone* reads it: without the date on the same day."""
    posted, now = (datetime.fromtimestamp(it, zone) for it in (us_of(ts) / 1_000_000, now_s))
    return f"{posted:%H:%M}" if posted.date() == now.date() else f"{posted:%d %b %Y, %H:%M}"


def _said(text: Element, *, reader: Reader) -> Markup:
    """A text object."""
    return to_html(text["text"], reader) if text["type"] == "mrkdwn" else plain_to_html(text["text"])
