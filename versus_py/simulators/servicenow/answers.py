"""The words of an instance: results, and errors in the shape that all of them have."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from aiohttp import web

BODY_MAX = 10 * 1024 * 1024
OPERATION_FAILED = "Operation Failed"


class Refused(Exception):
    """The request is answered with this error."""

    def __init__(
        self, status: int, message: str, detail: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.detail, self.headers = status, message, detail, headers


def acl_exception(verb: str) -> Refused:
    """The rows' access control says no; *verb* is Insert, Update or Delete."""
    return Refused(HTTPStatus.FORBIDDEN, OPERATION_FAILED, f"ACL Exception {verb} Failed due to security constraints")


def answer(data: Any, status: int = HTTPStatus.OK, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.json_response(data, status=status, headers=headers)


def error(refused: Refused) -> web.Response:
    body = {"error": {"message": refused.message, "detail": refused.detail}, "status": "failure"}
    return answer(body, refused.status, refused.headers)


async def json_body(request: web.Request) -> dict[str, str]:
    """The fields that are written; like the original's, all of them strings."""
    if request.content_type != "application/json":
        raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Unsupported media type", request.content_type)
    try:
        data = json.loads(await request.text())
    except web.HTTPRequestEntityTooLarge:
        raise _unreadable(f"The payload is larger than {BODY_MAX} bytes") from None
    except ValueError:
        raise _unreadable("The payload is not valid JSON") from None
    if not isinstance(data, dict):
        raise _unreadable("The payload is not a JSON object")
    return {name: _text(value) for name, value in data.items()}


def _unreadable(detail: str) -> Refused:
    return Refused(HTTPStatus.BAD_REQUEST, "Exception while reading request", detail)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
