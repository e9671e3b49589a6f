"""Signing in and out, and what a browser keeps of somebody: the name and the theme."""

import re
from urllib.parse import quote, urlsplit

import structlog
from aiohttp import web

from versus_py.clock import monotonic_ms
from versus_py.telemetry.throttled import ThrottledLog
from versus_py.web.guard import Guard
from versus_py.web.pages.forms import read_form
from versus_py.web.pages.ui.guard import NAME, SESSION, UiGuard
from versus_py.web.pages.ui.sessions import Sessions
from versus_py.web.pages.ui.shell import SHELL, THEMES, Shell, render, see_other
from versus_py.web.pages.ui.viewer import Role, Viewer, clean_name

log = structlog.get_logger()

YEAR_S = 365 * 24 * 3600

_OUR_PATH = re.compile(r"/(?![/\\])[!-\[\]-~]{0,2000}")
"""A path of this server, and not //host, which browsers take for another one; nor with a backslash, taken for a /."""


class SigningIn:
    """The handlers of /login, /logout, /you and /theme."""

    def __init__(self, shell: Shell, secrets: Guard, sessions: Sessions, ui: UiGuard) -> None:
        self._shell = shell
        self._secrets = secrets
        self._sessions = sessions
        self._ui = ui
        self._refusals = ThrottledLog("ui.sign_in_refused", monotonic_ms, counted_as="times")

    def routes(self) -> list[web.RouteDef]:
        ui = self._ui
        return [
            web.get("/login", ui.page(self.ask), allow_head=False),
            web.post("/login", ui.page(self.sign_in)),
            web.post("/logout", ui.page(self.sign_out)),
            web.post("/theme", ui.page(self.set_theme)),
            web.get("/you", ui(self.you), allow_head=False),
            web.post("/you", ui(self.keep_name)),
        ]

    async def ask(self, request: web.Request) -> web.StreamResponse:
        """The form; for who is in already, the page that was asked for."""
        following = _our_path(request.query.get("next", ""))
        if await self._ui.viewer(request) is not None:
            return see_other(request, following)
        return self._form(request, following)

    async def sign_in(self, request: web.Request) -> web.StreamResponse:
        if not self._shell.signs_in:
            raise web.HTTPNotFound(text="nobody signs in here with the gateway secret")
        form = await read_form(request)
        following, secret, name = _our_path(form.one("next")), form.one("secret"), clean_name(form.one("name"))
        if not await self._secrets.matches(secret):
            self._refusals.note(remote=request.remote)
            return self._form(request, following, name=name, error="That secret is not right.", status=403)
        if not name:
            return self._form(request, following, error="Tell your name: others see who acts.", status=400)
        answer = see_other(request, following)
        cookie = self._sessions.cookie(Viewer(name, "", Role.RESPONDER), secret)
        self._shell.set_cookie(answer, SESSION, cookie, max_age_s=self._sessions.lasts_ms // 1000)
        self._keep_name(answer, name)
        log.info("ui.signed_in", name=name, remote=request.remote)
        return answer

    async def sign_out(self, request: web.Request) -> web.StreamResponse:
        """Forget the session in this browser; its name stays."""
        answer = see_other(request, "/login" if self._shell.signs_in else "/")
        self._shell.set_cookie(answer, SESSION, "", max_age_s=0)
        return answer

    async def set_theme(self, request: web.Request) -> web.StreamResponse:
        """Then the page again from which it was set."""
        theme = (await read_form(request)).one("theme")
        if theme not in THEMES:
            raise web.HTTPBadRequest(text=f"the theme {theme[:20]!r} is not known; allowed: {', '.join(THEMES)}")
        answer = see_other(request, self._came_from(request))
        self._shell.set_cookie(answer, "theme", theme, max_age_s=YEAR_S)
        return answer

    async def you(self, request: web.Request, _: Viewer) -> web.StreamResponse:
        return render(request, "ui/you.html", title="You", page="you")

    async def keep_name(self, request: web.Request, _: Viewer) -> web.StreamResponse:
        """Where nobody signs in. Elsewhere the name comes with that."""
        if not self._shell.is_open:
            raise web.HTTPForbidden(text="Your name came with signing in: sign in again to change it.")
        name = clean_name((await read_form(request)).one("name"))
        answer = see_other(request, "/you")
        self._keep_name(answer, name)
        return answer

    def _form(
        self, request: web.Request, following: str, *, name: str = "", error: str = "", status: int = 200
    ) -> web.Response:
        return render(
            request,
            "ui/login.html",
            status=status,
            title="Sign in",
            alone=True,
            next=following,
            name=name or self._ui.known_name(request),
            error=error,
            lasts=_hours(self._shell.config.ui.session_hours),
            is_generated=self._shell.config.generates_gateway_secret,
        )

    def _keep_name(self, answer: web.Response, name: str) -> None:
        self._shell.set_cookie(answer, NAME, quote(name), max_age_s=YEAR_S)

    def _came_from(self, request: web.Request) -> str:
        """The path, without the prefix, of the page that sent a form."""
        parts = urlsplit(request.headers.get("Referer", ""))
        found = f"{parts.path}?{parts.query}" if parts.query else parts.path
        return _our_path(found.removeprefix(request.app[SHELL].prefix))


def _our_path(text: str) -> str:
    """Where to go on; the start page for what is none of ours."""
    return text if _OUR_PATH.fullmatch(text) else "/"


def _hours(hours: float) -> str:
    return "1 hour" if hours == 1 else f"{hours:g} hours"
