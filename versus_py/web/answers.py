"""How every answer looks: JSON with a sentence for errors, and headers that keep browsers careful."""

from dataclasses import dataclass, field
from typing import Any

import orjson
import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from versus_py.errors import StoreFull, StoreUnavailable, Unreadable

log = structlog.get_logger()

RETRY_AFTER_S = 5

_KEPT_HEADERS = ("Allow", "Retry-After", "WWW-Authenticate")

_SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",  # a link to acknowledge carries its signature
    "X-Content-Type-Options": "nosniff",
}


def json_answer(data: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(body=orjson.dumps(data), status=status, content_type="application/json", headers=headers)


def error_answer(status: int, message: str, headers: dict[str, str] | None = None) -> web.Response:
    return json_answer({"error": message}, status, headers)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a request gets no other answer."""

    status: int
    message: str
    headers: dict[str, str] = field(default_factory=dict)


@web.middleware
async def errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every error as `{"error": …}`; what nobody expected is logged, and not shown to the sender."""
    try:
        return await handler(request)
    except Exception as exc:  # noqa: BLE001 - what nobody expected is logged with its traceback
        failure = failure_of(exc, request)
        answer = error_answer(failure.status, failure.message, failure.headers)
        return closing_if_broken(request, answer)


def failure_of(exc: Exception, request: web.Request) -> Failure:
    """What *exc* means to who sent *request*, once it is in the log."""
    match exc:
        case StoreUnavailable():
            log.warning("request.store_unavailable", path=request.path, error=str(exc))
            said = "Redis cannot be read or written at the moment, or not as surely as redis.durability asks for"
            full = "Redis is full and takes no new alert"
            return _again(f"{full if isinstance(exc, StoreFull) else said}: send it again")
        case Unreadable():
            log.error("request.unreadable", path=request.path, error=str(exc))
            return _again(str(exc))
        case web.HTTPException():
            kept = {name: exc.headers[name] for name in _KEPT_HEADERS if name in exc.headers}
            is_said = exc.text and not exc.text.startswith(f"{exc.status}:")
            return Failure(exc.status, str(exc.text) if is_said else f"{exc.reason}: {request.path}", kept)
        case _:
            log.error("request.crashed", method=request.method, path=request.path, exc_info=exc)
            return Failure(500, "internal error; the log says more")


def closing_if_broken(request: web.Request, answer: web.Response) -> web.Response:
    """aiohttp ends a connection with a broken body: the next request must not go there."""
    if request.content.exception() is not None:
        answer.force_close()
    return answer


def _again(message: str) -> Failure:
    return Failure(503, message, {"Retry-After": str(RETRY_AFTER_S)})


async def add_security_headers(_: web.Request, response: web.StreamResponse) -> None:
    for name, value in _SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
