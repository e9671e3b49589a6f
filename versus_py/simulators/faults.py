"""Misbehaviour on demand: what the next requests will suffer, and the API to order it."""

import asyncio
import json
from collections.abc import Callable
from typing import Any, Literal, get_args

from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import BaseModel, ConfigDict, Field, ValidationError

FaultKind = Literal[
    "down",
    "slow",
    "lost_reply",
    "cut_off",
    "truncated",
    "400",
    "401",
    "429",
    "500",
    "late500",
    "502",
    "503",
    "504",
    "html503",
    "html200",
    "302",
]

HttpMethod = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]


class Fault(BaseModel):
    """What happens to requests.

    - down: the connection is closed without an answer, and nothing is done
    - slow: the answer comes *seconds* late
    - lost_reply: it is done, and the connection closed without an answer
    - cut_off: the time that the server allows is over: a GET is answered with half of the rows and an error beside
      them; everything else is done *seconds* late, and the connection closed without an answer
    - truncated: it is done, and the JSON of the answer ends in the middle
    - 400, 401, 429, 500, 502, 503, 504: that answer, and nothing is done; *retry_after* in seconds, if any, is the
      header.
      Of Slack, 401 is what its API says of a bad token: 200 with `"ok": false`
    - late500: it is done, and then answered with 500, as by a rule that throws after the write
    - html503, html200: a page with that status, and nothing is done
    - 302: sent elsewhere, and nothing is done
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: FaultKind
    times: int | None = Field(1, ge=1)  # how many requests; None: all, until taken back
    method: HttpMethod | None = None  # only requests with this HTTP method
    path: str | None = Field(None, pattern="^/")  # only requests whose path begins so
    text: str | None = None  # only requests with this in their body: one record that a rule refuses
    above: int | None = Field(None, ge=0)  # only while so many others are being answered: a full queue
    seconds: float = Field(5, ge=0, le=600)
    retry_after: int | None = Field(None, ge=0)


class Faults:
    """The faults that are ordered, the oldest first."""

    def __init__(self, refuse: Callable[[Fault], web.Response]) -> None:
        self._refuse = refuse
        self._ordered: list[tuple[Fault, int | None]] = []
        self._being_answered = 0

    def order(self, fault: Fault) -> None:
        self._ordered.append((fault, fault.times))

    def clear(self) -> None:
        self._ordered.clear()

    @property
    def are_over(self) -> bool:
        """Whether each was suffered as often as it was ordered; some may go on."""
        return not self._ordered

    def suffered(self, handler: Handler) -> Handler:
        """*handler*, with the faults that are ordered."""

        async def counted(request: web.Request) -> web.StreamResponse:
            self._being_answered += 1
            try:
                return await suffering(request)
            finally:
                self._being_answered -= 1

        async def suffering(request: web.Request) -> web.StreamResponse:
            has_texts = any(fault.text is not None for fault, _ in self._ordered)
            fault = self._take(request, await request.text() if has_texts else "")
            if fault is None:
                return await handler(request)
            match fault.kind:
                case "slow" | "lost_reply" | "cut_off" | "truncated":
                    return await _badly_done(fault, handler, request)
                case "late500":
                    await handler(request)
                    return self._refuse(fault.model_copy(update={"kind": "500"}))
                case "down":
                    return _hang_up(request)
                case "html200":
                    return web.Response(text=_HIBERNATING, content_type="text/html")
                case "html503":
                    return web.Response(text=_UNAVAILABLE, content_type="text/html", status=503)
                case "302":
                    return web.Response(status=302, headers={"Location": "https://developer.servicenow.com"})
                case _:
                    return self._refuse(fault)

        return counted

    def _take(self, request: web.Request, body: str) -> Fault | None:
        for index, (fault, left) in enumerate(self._ordered):
            if self._hits(fault, request, body):
                if left is not None and left <= 1:
                    del self._ordered[index]
                elif left is not None:
                    self._ordered[index] = (fault, left - 1)
                return fault
        return None

    def _hits(self, fault: Fault, request: web.Request, body: str) -> bool:
        return (
            fault.method in {None, request.method}
            and request.path.startswith(fault.path or "")
            and (fault.text is None or fault.text in body)
            and (fault.above is None or self._being_answered > fault.above)
        )


_HIBERNATING = (
    "<html><head><title>Instance Hibernating page</title></head><body>Your instance is hibernating</body></html>"
)
_UNAVAILABLE = "<html><head><title>Service Unavailable</title></head><body>Try again later</body></html>"
_CANCELLED = "Transaction cancelled: maximum execution time exceeded"


async def _badly_done(fault: Fault, handler: Handler, request: web.Request) -> web.StreamResponse:
    is_answered_in_part = fault.kind == "cut_off" and request.method == "GET"
    if fault.kind in {"slow", "cut_off"} and not is_answered_in_part:
        await request.read()  # so that it is done also when the client has given up by then
        await asyncio.sleep(fault.seconds)
    response = await handler(request)
    if is_answered_in_part:
        return _with_error(response)
    if fault.kind == "truncated":
        return _truncated(response)
    return response if fault.kind == "slow" else _hang_up(request)


def _with_error(response: web.StreamResponse) -> web.StreamResponse:
    if isinstance(response, web.Response) and response.text:
        data = json.loads(response.text)
        if isinstance(result := data.get("result"), list):
            data["result"] = result[: len(result) // 2]
        data |= {"error": {"message": _CANCELLED, "detail": None}, "status": "failure"}
        response.text = json.dumps(data)
    return response


def _truncated(response: web.StreamResponse) -> web.StreamResponse:
    if isinstance(response, web.Response) and response.text:
        response.text = response.text[: len(response.text) // 2]
    return response


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
            wrong = exc.errors()[0]
            kinds, field = ", ".join(get_args(FaultKind)), ".".join(map(str, wrong["loc"]))
            said = f"{field}: {wrong['msg']}; kinds are {kinds}; method is one of HTTP's, path begins with /"
            return web.json_response({"error": said}, status=400)
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
