"""What every page of the web UI has in common: the frame around it, its headers, and the start of its links.

A page is a handler that takes the request and the `Viewer`; `UiGuard` lets only those in who may see it:

    web.get("/", ui(now.get), allow_head=False)
    web.post("/incidents/{id}/acknowledge", ui(incident.acknowledge, needs=Role.RESPONDER))

    async def get(self, request: web.Request, viewer: Viewer) -> web.Response:
        return render(request, "ui/now.html", title="Now", page="now", live="/stream?", waiting=5, …)

Values that the frame knows: `title`, `page` (now, history, failed, policies, health), `live` (the path of the stream
that the page listens to) and `at` (the last change that it knows of), `alone` (no navigation), `linked` (no script
either), `waiting` and `failed` (counts in the navigation), `flash` (what was done).
Templates get `url(path)`, which puts the prefix before a path of this server, and `viewer`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web
from jinja2 import Template

from versus_py.clock import Clock
from versus_py.config import Config
from versus_py.web.pages.rendering import pages
from versus_py.web.pages.ui.viewer import Viewer

THEMES = ("auto", "light", "dark")

PAGE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Under no-referrer, browsers send `Origin: null` with a form, and plain http has nothing else to tell by.
    "Referrer-Policy": "same-origin",
}


LINKED_HEADERS = PAGE_HEADERS | {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",  # the address carries a signature
}
"""Of pages that open by a signed link: whatever renders one, such as a mail scanner, runs no script of it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the navigation. The first ones are tabs on phones, the others are below More."""

    page: str
    path: str
    word: str
    icon: str
    is_first: bool = False


NAVIGATION = (
    Entry("now", "/", "Now", "now", is_first=True),
    Entry("history", "/history", "History", "hist", is_first=True),
    Entry("health", "/health", "Health", "heart", is_first=True),
    Entry("failed", "/failed", "Failed", "fail"),
    Entry("policies", "/policies", "Policies", "steps"),
)


class Shell:
    """What the pages of one server share."""

    def __init__(self, config: Config, clock: Clock, router: web.UrlDispatcher) -> None:
        base = urlsplit(config.link_base)
        self._router = router
        self.config = config
        self.clock = clock
        self.prefix = base.path
        """The path of public_host, which a proxy takes off: every link begins with it."""
        self.is_https = base.scheme == "https"
        has_secret = bool(config.gateway_secret.get_secret_value()) or config.generates_gateway_secret
        self.is_open = config.ui.auth == "gateway_secret" and not has_secret
        """Whether there is no secret, so that this machine comes in without one."""
        self.signs_in = config.ui.auth == "gateway_secret" and has_secret
        """Whether people sign in here, with the gateway secret."""

    @cached_property
    def navigation(self) -> tuple[Entry, ...]:
        """The pages that there are."""
        served = {it.canonical for it in self._router.resources()}
        return tuple(it for it in NAVIGATION if it.path in served)

    def cookie(self, name: str) -> str:
        """What the cookie is called: browsers hold the prefixes to what they promise, where they can be used."""
        if not self.is_https:
            return f"versus-{name}"
        return f"__Secure-versus-{name}" if self.prefix else f"__Host-versus-{name}"

    def set_cookie(self, response: web.Response, name: str, value: str, *, max_age_s: int) -> None:
        """Keep *value* in the browser, out of reach of scripts; an age of 0 removes it."""
        response.set_cookie(
            self.cookie(name),
            value,
            max_age=max_age_s,
            path=self.prefix or "/",
            secure=self.is_https,
            httponly=True,
            samesite="Lax",
        )

    def theme(self, request: web.Request) -> str:
        found = request.cookies.get(self.cookie("theme"))
        return found if found in THEMES else "auto"

    def html(self, template: Template, *, viewer: Viewer | None, **values: Any) -> str:
        """The template as *viewer* sees it. With `frame=PART`, of a page only what is in the frame."""
        said = {
            "url": lambda path: f"{self.prefix}{path}",
            "now_ms": self.clock.now_ms(),
            "viewer": viewer,
            "is_open": self.is_open,
            "signs_in": self.signs_in,
            "navigation": self.navigation,
            "shadow": self.config.is_shadow,
            "frame": "ui/base.html",
        }
        return template.render(said | values)


PART = "ui/part.html"

SHELL = web.AppKey("shell", Shell)
VIEWER = web.RequestKey("viewer", Viewer)
"""Set once it is known who asks."""


def render(
    request: web.Request,
    template: str,
    *,
    status: int = 200,
    headers: Mapping[str, str] = PAGE_HEADERS,
    **values: Any,
) -> web.Response:
    """A page. What is in *values* is escaped where the template prints it."""
    shell = request.app[SHELL]
    text = shell.html(pages.get_template(template), viewer=request.get(VIEWER), theme=shell.theme(request), **values)
    response = web.Response(text=text, status=status, content_type="text/html", headers=headers)
    response.enable_compression()
    return response


def see_other(request: web.Request, path: str) -> web.Response:
    """The answer to a form: look at *path* of this server, without the prefix."""
    return web.Response(status=303, headers={**PAGE_HEADERS, "Location": f"{request.app[SHELL].prefix}{path}"})
