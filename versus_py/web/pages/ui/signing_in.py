"""Signing in and out, and what a browser keeps of somebody: the name and the theme."""

import re
from typing import Protocol
from urllib.parse import quote, urlsplit

import structlog
from aiohttp import web

from versus_py.clock import monotonic_ms
from versus_py.telemetry.throttled import ThrottledLog
from versus_py.web.answers import json_answer
from versus_py.web.guard import Guard, given_secret
from versus_py.web.pages.forms import read_form
from versus_py.web.pages.ui.guard import NAME, SESSION, UiGuard
from versus_py.web.pages.ui.sessions import LINK_MS, Sessions
from versus_py.web.pages.ui.shell import SHELL, THEMES, Shell, render, see_other
from versus_py.web.pages.ui.viewer import Role, Viewer, clean_name

log = structlog.get_logger()

LINKS_PATH = "/api/login-links"
LINK_IS_OVER = "This link has been used or has expired. Sign in with the gateway secret, or make a new link."

YEAR_S = 365 * 24 * 3600

_OUR_PATH = re.compile(r"/(?![/\\])[!-\[\]-~]{0,2000}")
"""A path of this server, and not //host, which browsers take for another one; nor with a backslash, taken for a /."""


class Once(Protocol):
    """Tells whether something is done for the first time: the store."""

    async def takes_turn(self, name: str, *, for_ms: int) -> bool: ...


class SigningIn:
    """The handlers of /login, /logout, /you and /theme, and of the API for links that sign in once."""

    def __init__(self, shell: Shell, secrets: Guard, sessions: Sessions, ui: UiGuard, once: Once) -> None:
        self._shell = shell
        self._secrets = secrets
        self._sessions = sessions
        self._ui = ui
        self._once = once
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
            web.post(LINKS_PATH, self._secrets(self.make_link)),
        ]

    async def ask(self, request: web.Request) -> web.StreamResponse:
        """The form; for who is in already, the page that was asked for."""
        following = _our_path(request.query.get("next", ""))
        if await self._ui.viewer(request) is not None:
            return see_other(request, following)
        link = request.query.get("link", "")
        if link and await self._secret_of(link) is None:
            return self._form(request, following, error=LINK_IS_OVER)
        return self._form(request, following, link=link)

    async def make_link(self, request: web.Request) -> web.Response:
        """A link that signs in once, in a browser that does not know the secret."""
        if not self._shell.signs_in:
            raise web.HTTPConflict(text="nobody signs in here with the gateway secret: open the web UI as it is")
        token = self._sessions.link_token(given_secret(request))
        said = {"url": f"{self._shell.config.link_base}/login?link={token}", "valid_for_s": LINK_MS // 1000}
        return json_answer(said, 201)

    async def sign_in(self, request: web.Request) -> web.StreamResponse:
        if not self._shell.signs_in:
            raise web.HTTPNotFound(text="nobody signs in here with the gateway secret")
        form = await read_form(request)
        following, link, name = _our_path(form.one("next")), form.one("link"), clean_name(form.one("name"))
        secret = (await self._secret_of(link) or "") if link else form.one("secret")
        if not await self._secrets.matches(secret):
            self._refusals.note(remote=request.remote)
            error = LINK_IS_OVER if link else "That secret is not right."
            return self._form(request, following, name=name, error=error, status=403)
        if not name:
            return self._form(request, following, link=link, error="Tell your name: others see who acts.", status=400)
        if link and not await self._uses_up(link):
            return self._form(request, following, name=name, error=LINK_IS_OVER, status=403)
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

    async def _secret_of(self, link: str) -> str | None:
        """The secret that a link was made with; None for one that is not ours, or is over."""
        found: list[str] = []

        def is_signed(secret: str) -> bool:
            if self._sessions.is_signed_link(link, secret):
                found.append(secret)
            return bool(found)

        is_good = await self._secrets.satisfies(is_signed) and self._sessions.read_link(link) is not None
        return found[-1] if is_good else None

    async def _uses_up(self, link: str) -> bool:
        """Whether this is its first use, at any replica."""
        found = self._sessions.read_link(link)
        return found is not None and await self._once.takes_turn(f"link:{found.id}", for_ms=LINK_MS)

    def _form(
        self,
        request: web.Request,
        following: str,
        *,
        name: str = "",
        link: str = "",
        error: str = "",
        status: int = 200,
    ) -> web.Response:
        return render(
            request,
            "ui/login.html",
            status=status,
            title="Sign in",
            alone=True,
            next=following,
            name=name or self._ui.known_name(request),
            link=link,
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
