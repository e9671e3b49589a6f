"""Requests that aiohttp's parser refuses: no route and no middleware ever sees them."""

from collections.abc import Callable
from http import HTTPStatus

from aiohttp import web
from aiohttp.http_exceptions import BadHttpMethod, ContentEncodingError, InvalidURLError, LineTooLong

from versus_py.clock import Clock
from versus_py.telemetry.metrics import Metrics
from versus_py.telemetry.throttled import ThrottledLog
from versus_py.web.answers import error_answer

Noted = Callable[[str | None, int, str], None]
"""Takes the address that a refused request came from, the status of its answer, and what was wrong."""

_WRONG = (
    (
        InvalidURLError,
        "the URL has a character that URLs may not have; percent-encode what is not ASCII, such as ü as %C3%BC",
    ),
    (ContentEncodingError, "the body is packed in a way that cannot be unpacked here; send it unpacked, or use gzip"),
    (LineTooLong, "a line of the request, or one of its headers, is too long"),
    (BadHttpMethod, "this is no request in HTTP; is it meant for HTTPS?"),
)


class RequestHandler(web.RequestHandler):
    """Answers what cannot be parsed as every other error is answered, and has it *noted*."""

    __slots__ = ("_noted",)

    def __init__(self, server: web.Server, noted: Noted | None) -> None:
        super().__init__(server, loop=server._loop, **server._kwargs)  # noqa: SLF001 - as the server itself does it
        self._noted = noted

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = HTTPStatus.INTERNAL_SERVER_ERROR,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The answer. What is no fault of the request is left to aiohttp."""
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or request.writer.output_size > 0:
            return super().handle_error(request, status, exc, message)
        said = wrong(exc)
        if self._noted is not None:
            self._noted(request.remote, status, said)
        answer = error_answer(status, said)
        answer.force_close()
        return answer


def wrong(exc: BaseException | None) -> str:
    """What is wrong with a request, and what to do; nothing of the request itself, which may hold a secret."""
    known = (said for kind, said in _WRONG if isinstance(exc, kind))
    return next(known, "the request is not valid HTTP")


def noting(metrics: Metrics, clock: Clock) -> Noted:
    """Logs them, the first at once, and counts them."""
    lines = ThrottledLog("request.unparsed", clock.now_ms)

    def note(remote: str | None, status: int, error: str) -> None:
        metrics.requests_refused.labels("bad_request").inc()
        lines.note(remote=remote, status=status, error=error)

    return note
