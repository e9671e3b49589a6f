"""Who may see a page of the web UI, and act on it."""

from collections.abc import Awaitable, Callable
from urllib.parse import quote, unquote

from aiohttp import web

from versus_py.web.answers import Failure, closing_if_broken, failure_of
from versus_py.web.guard import Guard, is_on_this_machine
from versus_py.web.pages.ui.origins import is_from_our_page
from versus_py.web.pages.ui.proxies import ProxyHeaders
from versus_py.web.pages.ui.sessions import Sessions
from versus_py.web.pages.ui.shell import VIEWER, Shell, render, see_other
from versus_py.web.pages.ui.viewer import Role, Viewer, clean_name

SESSION = "session"
NAME = "name"
"""The cookies."""

ENDS_AT_MS = web.RequestKey("ends_at_ms", int)
"""When the session ends that a request belongs to; not set where there is none."""

Page = Callable[[web.Request], Awaitable[web.StreamResponse]]
UiHandler = Callable[[web.Request, Viewer], Awaitable[web.StreamResponse]]

TITLES = {403: "Not allowed", 404: "Not found", 500: "Internal error", 503: "Not available now"}
"""Of pages that say why there is no other, by status."""


class UiGuard:
    """Wraps the handlers of pages: `ui(handler, needs=Role.RESPONDER)`."""

    def __init__(self, shell: Shell, secrets: Guard, sessions: Sessions) -> None:
        self._shell = shell
        self._secrets = secrets
        self._sessions = sessions
        self._proxy = ProxyHeaders(shell.config.ui) if shell.config.ui.auth == "proxy" else None

    def __call__(self, handler: UiHandler, needs: Role = Role.VIEWER) -> Page:
        """Answers with *handler* for who is signed in and has the role; else with a page that says why not."""

        async def guarded(request: web.Request) -> web.StreamResponse:
            viewer = await self.viewer(request)
            if viewer is None:
                return _to_login(request)
            request[VIEWER] = viewer
            if viewer.role < needs:
                raise web.HTTPForbidden(text=f"You are a {viewer.role.label}: you can look, not act.")
            return await handler(request, viewer)

        return self.page(guarded)

    def page(self, handler: Page) -> Page:
        """For pages that need no signing in: a form comes from a page of ours, and an error is a page too."""

        async def guarded(request: web.Request) -> web.StreamResponse:
            try:
                self._check_origin(request)
                return await handler(request)
            except Exception as exc:
                if not _takes_html(request):
                    raise
                return closing_if_broken(request, _refusal(request, failure_of(exc, request)))

        guarded.is_page = True  # type: ignore[attr-defined]  # for `is_page`
        return guarded

    async def viewer(self, request: web.Request) -> Viewer | None:
        """Who asks; None for somebody who has to sign in. Raises the answer for whoever cannot."""
        if self._proxy is not None:
            return self._proxy.viewer(request)
        if self._shell.is_open:
            return self._on_this_machine(request)
        cookie = request.cookies.get(self._shell.cookie(SESSION), "")
        if not cookie or not await self._secrets.satisfies(lambda secret: self._sessions.is_signed(cookie, secret)):
            return None
        session = self._sessions.read(cookie)
        if session is None:
            return None
        request[ENDS_AT_MS] = session.ends_at_ms
        return session.viewer

    def known_name(self, request: web.Request) -> str:
        """The name that this browser keeps; "" for none."""
        return clean_name(unquote(request.cookies.get(self._shell.cookie(NAME), "")))

    def _on_this_machine(self, request: web.Request) -> Viewer:
        if not is_on_this_machine(request):
            raise web.HTTPForbidden(
                text="Without a gateway_secret in the configuration, the web UI is for browsers on this machine only. "
                "In a container, none is: set gateway_secret, and sign in with it."
            )
        return Viewer(self.known_name(request), "", Role.RESPONDER)

    def _check_origin(self, request: web.Request) -> None:
        if request.method not in {"GET", "HEAD"} and not is_from_our_page(request, self._shell.config.public_host):
            raise web.HTTPForbidden(
                text=f"No page of this server sent this form. Open {self._shell.config.link_base}/ and press again."
            )


def is_page(handler: object) -> bool:
    """Whether *handler* is a page of the web UI: made for people, and no part of the API."""
    return getattr(handler, "is_page", False)


def _takes_html(request: web.Request) -> bool:
    return "text/html" in request.headers.get("Accept", "")


def _to_login(request: web.Request) -> web.Response:
    """And back to the page that was asked for."""
    if not _takes_html(request):
        raise web.HTTPUnauthorized(text="sign in to the web UI")
    is_page = request.method == "GET" and request.path != "/"
    return see_other(request, f"/login?next={quote(request.path_qs, safe='')}" if is_page else "/login")


def _refusal(request: web.Request, failure: Failure) -> web.Response:
    answer = render(
        request,
        "ui/refused.html",
        status=failure.status,
        title=TITLES.get(failure.status, "Not understood"),
        message=f"{failure.message[:1].upper()}{failure.message[1:]}",
        alone=VIEWER not in request,
    )
    answer.headers.update(failure.headers)
    return answer
