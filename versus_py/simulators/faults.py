"""Misbehaviour on demand: what the next requests will suffer, and the API to order it."""

import asyncio
from collections.abc import Callable
from typing import Any, Literal, get_args

from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import BaseModel, ConfigDict, Field, ValidationError

FaultKind = Literal["down", "slow", "429", "500", "503", "html200", "lost_reply"]


class Fault(BaseModel):
    """What happens to requests.

    - down: the connection is closed without an answer, and nothing is done
    - slow: the answer comes *seconds* late
    - 429, 500, 503: that answer, and nothing is done; *retry_after* in seconds, if any, is the header
    - html200: a page with status 200, and nothing is done
    - lost_reply: it is done, and the connection closed without an answer
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: FaultKind
    times: int | None = Field(1, ge=1)  # how many requests; None: all, until taken back
    method: str | None = None  # only requests with this HTTP method
    seconds: float = Field(5, ge=0, le=600)
    retry_after: int | None = Field(None, ge=0)


class Faults:
    """The faults that are ordered, the oldest first."""

    def __init__(self, refuse: Callable[[Fault], web.Response]) -> None:
        self._refuse = refuse
        self._ordered: list[tuple[Fault, int | None]] = []

    def order(self, fault: Fault) -> None:
        self._ordered.append((fault, fault.times))

    def clear(self) -> None:
        self._ordered.clear()

    def suffered(self, handler: Handler) -> Handler:
        """*handler*, with the faults that are ordered."""

        async def suffering(request: web.Request) -> web.StreamResponse:
            fault = self._take(request.method)
            if fault is None:
                return await handler(request)
            match fault.kind:
                case "slow":
                    await request.read()  # so that it is done also when the client has given up by then
                    await asyncio.sleep(fault.seconds)
                    return await handler(request)
                case "lost_reply":
                    await handler(request)
                    return _hang_up(request)
                case "down":
                    return _hang_up(request)
                case "html200":
                    return web.Response(text=_HIBERNATING, content_type="text/html")
                case _:
                    return self._refuse(fault)

        return suffering

    def _take(self, method: str) -> Fault | None:
        for index, (fault, left) in enumerate(self._ordered):
            if fault.method in {None, method}:
                if left is not None and left <= 1:
                    del self._ordered[index]
                elif left is not None:
                    self._ordered[index] = (fault, left - 1)
                return fault
        return None


_HIBERNATING = (
    "<html><head><title>Instance Hibernating page</title></head><body>Your instance is hibernating</body></html>"
)


def _hang_up(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


def control_routes(faults: Faults, state: Callable[[], Any], reset: Callable[[], None]) -> list[web.RouteDef]:
    """GET /control/state; POST /control/faults with a fault as JSON; DELETE /control/faults; POST /control/reset."""

    async def get_state(_: web.Request) -> web.Response:
        return web.json_response(state())

    async def post_fault(request: web.Request) -> web.Response:
        try:
            fault = Fault.model_validate_json(await request.read())
        except ValidationError as exc:
            kinds = ", ".join(get_args(FaultKind))
            return web.json_response({"error": f"kinds are {kinds}; {exc.errors()[0]['msg']}"}, status=400)
        faults.order(fault)
        return web.json_response(fault.model_dump(), status=201)

    async def delete_faults(_: web.Request) -> web.Response:
        faults.clear()
        return web.Response(status=204)

    async def post_reset(_: web.Request) -> web.Response:
        faults.clear()
        reset()
        return web.Response(status=204)

    return [
        web.get("/control/state", get_state),
        web.post("/control/faults", post_fault),
        web.delete("/control/faults", delete_faults),
        web.post("/control/reset", post_reset),
    ]
