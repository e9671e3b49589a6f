"""Addresses of other services: their senders get answers, errors too, as they know them from there."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from versus_py.web.answers import Failure, closing_if_broken, failure_of
from versus_py.web.intake.overload import Overloaded

TOO_MANY_REQUESTS = 429

Handler = Callable[[web.Request], Awaitable[web.Response]]


def with_errors_as(answer: Callable[[Failure], web.Response], handler: Handler) -> Handler:
    """*handler*, whose failures are answered by *answer*. Overload is 429 there, which their senders try again."""

    async def handle(request: web.Request) -> web.Response:
        try:
            return await handler(request)
        except Exception as exc:  # noqa: BLE001 - what nobody expected is logged with its traceback
            failure = failure_of(exc, request)
            if isinstance(exc, Overloaded):
                failure = Failure(TOO_MANY_REQUESTS, failure.message, failure.headers)
            return closing_if_broken(request, answer(failure))

    return handle
