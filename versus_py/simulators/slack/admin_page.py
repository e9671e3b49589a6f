"""The page of the workspace's administrators: errors on order, and the states of channels."""

from aiohttp import web
from jinja2 import Environment
from pydantic import ValidationError

from versus_py.simulators.slack.errors import ERRORS, ErrorOrder, Errors, UnknownName
from versus_py.simulators.slack.workspace import Workspace

STATES = ("archived", "not_joined", "private", "unknown")
_PATH = "/admin"


class AdminPage:
    """Shows and changes *workspace* and *errors*."""

    def __init__(self, workspace: Workspace, errors: Errors, pages: Environment) -> None:
        self._workspace = workspace
        self._errors = errors
        self._pages = pages

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get(_PATH, self._show),
            web.post(f"{_PATH}/errors", self._order_error),
            web.post(f"{_PATH}/errors/back", self._take_back),
            web.post(f"{_PATH}/channels", self._change_channel),
        ]

    async def _show(self, _: web.Request) -> web.Response:
        return self._page()

    def _page(self, trouble: str = "", status: int = 200) -> web.Response:
        workspace = self._workspace
        text = self._pages.get_template("slack_admin.html").render(
            trouble=trouble,
            errors=self._errors.ordered,
            error_names=ERRORS,
            methods=self._errors.methods,
            channels=workspace.known_channels(),
            channel_name=workspace.channel_name,
            **{state: getattr(workspace, state) for state in STATES},
        )
        return web.Response(text=text, content_type="text/html", status=status)

    async def _order_error(self, request: web.Request) -> web.Response:
        """A field that is left empty is left out; no *times* is all."""
        fields = {name: str(value) for name, value in (await request.post()).items() if value}
        try:
            self._errors.order(ErrorOrder.model_validate({"times": None} | fields))
        except UnknownName as exc:
            return self._page(str(exc), 400)
        except ValidationError as exc:
            return self._page("; ".join(f"{it['loc'][0]}: {it['msg']}" for it in exc.errors()), 400)
        raise web.HTTPSeeOther(_PATH)

    async def _take_back(self, request: web.Request) -> web.Response:
        index = str((await request.post()).get("index", ""))
        if index.isdecimal():
            self._errors.take_back(int(index))
        raise web.HTTPSeeOther(_PATH)

    async def _change_channel(self, request: web.Request) -> web.Response:
        """Turns one of its STATES on or off, or gives it a name."""
        fields = {name: str(value).strip() for name, value in (await request.post()).items()}
        channel, state, name = (fields.get(it, "") for it in ("channel", "state", "name"))
        if not channel or (state not in STATES and not name):
            return self._page(f"a channel's id, with a name or a state: {', '.join(STATES)}", 400)
        if name:
            self._workspace.channel_names[channel] = name.lstrip("#")
        else:
            found: set[str] = getattr(self._workspace, state)
            found ^= {channel}
        raise web.HTTPSeeOther(_PATH)
