"""How every answer looks: JSON with a sentence for errors, and headers that keep browsers careful."""

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


@web.middleware
async def errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every error as `{"error": …}`; what nobody expected is logged, and not shown to the sender."""
    try:
        return await handler(request)
    except StoreUnavailable as exc:
        log.warning("request.store_unavailable", path=request.path, error=str(exc))
        headers = {"Retry-After": str(RETRY_AFTER_S)}
        said = "Redis cannot be read or written at the moment, or not as surely as redis.durability asks for"
        full = "Redis is full and takes no new alert"
        return error_answer(503, f"{full if isinstance(exc, StoreFull) else said}: send it again", headers)
    except Unreadable as exc:
        log.error("request.unreadable", path=request.path, error=str(exc))  # noqa: TRY400
        return error_answer(503, str(exc), {"Retry-After": str(RETRY_AFTER_S)})
    except web.HTTPException as exc:
        kept = {name: exc.headers[name] for name in _KEPT_HEADERS if name in exc.headers}
        said = exc.text if exc.text and not exc.text.startswith(f"{exc.status}:") else f"{exc.reason}: {request.path}"
        answer = error_answer(exc.status, said, kept)
        if request.content.exception() is not None:
            answer.force_close()  # aiohttp ends a connection with a broken body: the next request must not go there
        return answer
    except Exception:
        log.exception("request.crashed", method=request.method, path=request.path)
        return error_answer(500, "internal error; the log says more")


async def add_security_headers(_: web.Request, response: web.StreamResponse) -> None:
    for name, value in _SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
