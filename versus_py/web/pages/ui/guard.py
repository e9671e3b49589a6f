"""Who may see a page of the web UI, and act on it."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from versus_py.web.pages.ui.viewer import Role, Viewer

UiHandler = Callable[[web.Request, Viewer], Awaitable[web.StreamResponse]]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class UiGuard:
    """Wraps the handlers of pages: `ui(handler, needs=Role.RESPONDER)`."""

    def __call__(self, handler: UiHandler, needs: Role = Role.VIEWER) -> Handler:
        """Answers with *handler* for who is signed in and has the role; else with a page that says why not."""
        raise NotImplementedError
