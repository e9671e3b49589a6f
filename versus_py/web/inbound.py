"""Requests of a channel's own: read in bounds, let in when they are signed."""

from collections.abc import Awaitable, Callable
from typing import NoReturn

import structlog
from aiohttp import web

from versus_py.clock import Clock
from versus_py.errors import BadPayload
from versus_py.targets.interactive import Inbound, NotSigned
from versus_py.telemetry.throttled import ThrottledLog
from versus_py.web.intake.overload import Arrivals

log = structlog.get_logger()

ARRIVING_MAX = 64
"""Most bodies of one system that are being read, apart from those of the intake: neither keeps the other's out."""


class InboundDoor:
    """The route of *system*, such as `slack`."""

    def __init__(self, system: str, title: str, inbound: Inbound, clock: Clock) -> None:
        self._system = system
        self._title = title
        self._inbound = inbound
        self._arrivals = Arrivals(most=ARRIVING_MAX)
        self._refusals = ThrottledLog("inbound.refused", clock.now_ms)

    async def post(self, request: web.Request) -> web.Response:
        """200 once what was pressed has happened; 503 when it has not, and the person is told by the system."""
        if not self._inbound.may_be_signed(request.headers, request.content_length):
            self._refuse(request)
        if "Content-Encoding" in request.headers:
            raise web.HTTPUnsupportedMediaType(
                text=f"{self._title} does not pack what it sends: leave Content-Encoding out"
            )
        bounded = request.clone(client_max_size=self._inbound.body_max_bytes)
        body = await self._arrivals.read(bounded, within_s=self._inbound.body_within_s)
        try:
            answer = await self._inbound.take(request.headers, body)
        except NotSigned:
            self._refuse(request)
        except BadPayload as exc:
            log.warning("inbound.unreadable", system=self._system, error=str(exc))
            raise web.HTTPBadRequest(text=str(exc)) from None
        return web.Response(text=answer)

    def _refuse(self, request: web.Request) -> NoReturn:
        self._refusals.note(system=self._system, remote=request.remote)
        raise web.HTTPUnauthorized(text=f"this is not a request that {self._title} has signed for this app just now")


def switched_off(why: str) -> Callable[[web.Request], Awaitable[NoReturn]]:
    """For a route that nobody takes requests at: nothing that comes there could be believed."""

    async def post(_: web.Request) -> NoReturn:
        raise web.HTTPNotFound(text=why)

    return post
