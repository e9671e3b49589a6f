"""The workspace over HTTP: the Web API, and a page to look at."""

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import asdict
from types import MappingProxyType
from typing import Any

from aiohttp import web

from versus_py.simulators.faults import Fault, Faults, control_routes
from versus_py.simulators.slack.answers import RateLimited, SlackError, arguments_of
from versus_py.simulators.slack.messages import PEOPLE, User
from versus_py.simulators.slack.methods import SCOPES, Methods
from versus_py.simulators.slack.page import Page
from versus_py.simulators.slack.rates import Allowances
from versus_py.simulators.slack.workspace import Workspace

GROUPS = MappingProxyType({"S0ONCALL": ("U0ANA",)})


class SlackSimulator(Workspace):
    """The state of a workspace, and its API in front.

    *token* None takes any bot token, which was given *scopes*.
    """

    def __init__(
        self,
        *,
        token: str | None = None,
        channels: Iterable[str] | None = None,
        scopes: Iterable[str] = SCOPES,
        users: Iterable[User] = PEOPLE,
        groups: Mapping[str, Iterable[str]] = GROUPS,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(channels=channels, users=users, groups=groups, now_s=now_s)
        self._token = token
        self._scopes = list(scopes)
        self._allowances = Allowances(now_s)
        self._base_url = "http://localhost"  # until the app has called
        self._methods = Methods(self, self._allowances, scopes=self._scopes, base_url=lambda: self._base_url)
        self._page = Page(self)
        self.calls: list[str] = []  # every method that was called, in order
        self.faults = Faults(_refuse)

    def app(self) -> web.Application:
        app = web.Application()
        for name, method in self._methods.by_name.items():
            handler = self.faults.suffered(self._called(name))
            app.router.add_post(f"/api/{name}", handler)
            if method.reads:
                app.router.add_get(f"/api/{name}", handler, allow_head=False)
        app.router.add_get("/", self._page.show)
        app.router.add_get(r"/archives/{channel}/p{digits:\d{7,}}", self._page.find)
        app.add_routes(control_routes(self.faults, self.state, self.reset))
        return app

    def state(self) -> dict[str, Any]:
        return {
            "messages": [message.state() for message in self.messages],
            "replies": [reply.state() for reply in self.replies],
            "ephemerals": [asdict(it) for it in self.ephemerals],
            "calls": self.calls,
        }

    def reset(self) -> None:
        self.clear()
        self.calls.clear()
        self._allowances.clear()

    def _called(self, name: str) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handle(request: web.Request) -> web.Response:
            self.calls.append(name)
            self._base_url = f"{request.scheme}://{request.host}"
            try:
                self._authenticate(request)
                answer = self._methods.call(name, await arguments_of(request))
                return web.json_response(answer, headers={"x-oauth-scopes": ",".join(self._scopes)})
            except RateLimited as exc:
                return _ratelimited({"Retry-After": str(exc.seconds)})
            except SlackError as exc:
                return web.json_response({"ok": False, "error": str(exc)} | exc.more)

        return handle

    def _authenticate(self, request: web.Request) -> None:
        token = _bearer(request)
        if token.startswith("xapp-"):
            raise SlackError("not_allowed_token_type")
        if not token.startswith("xoxb-") or self._token not in {None, token}:
            raise SlackError("invalid_auth")


def _bearer(request: web.Request) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme != "Bearer" or not token:
        raise SlackError("not_authed")
    return token


def _refuse(fault: Fault) -> web.Response:
    headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
    if fault.kind == "429":
        return _ratelimited(headers)
    return web.Response(
        text="<html>Server Error</html>", content_type="text/html", status=int(fault.kind), headers=headers
    )


def _ratelimited(headers: dict[str, str]) -> web.Response:
    return web.json_response({"ok": False, "error": "ratelimited"}, status=429, headers=headers)
