"""The workspace as a person sees it."""

from aiohttp import web
from jinja2 import Environment, PackageLoader, select_autoescape

from versus_py.simulators.mrkdwn import to_html
from versus_py.simulators.slack.workspace import Workspace

_pages = Environment(loader=PackageLoader("versus_py.simulators", "pages"), autoescape=select_autoescape(default=True))
_pages.filters["mrkdwn"] = to_html


class Page:
    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    async def show(self, _: web.Request) -> web.Response:
        names = dict.fromkeys(message.channel for message in self._workspace.messages)
        channels = {name: self._workspace.shown_in(name) for name in names}
        page = _pages.get_template("slack.html").render(channels=channels)
        return web.Response(text=page, content_type="text/html")

    async def find(self, request: web.Request) -> web.Response:
        """Where a permalink leads."""
        digits = request.match_info["digits"]
        raise web.HTTPFound(f"/#{digits[:-6]}.{digits[-6:]}")
