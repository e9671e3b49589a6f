"""How the Web API is asked, and how it refuses."""

import json
from typing import Any

from aiohttp import web

Arguments = dict[str, Any]

_JSON_ARGUMENTS = ("attachments", "blocks", "metadata")


class SlackError(Exception):
    """`{"ok": false, "error": …}`, with what else the answer says."""

    def __init__(self, code: str, **more: Any) -> None:
        super().__init__(code)
        self.more = more


class RateLimited(Exception):
    """Asked too often; *seconds* is the Retry-After."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"again in {seconds} s")
        self.seconds = seconds


async def arguments_of(request: web.Request) -> Arguments:
    """What the method is called with: JSON, a form, or the query of a GET."""
    if request.method == "GET":
        return _from_form(dict(request.query))
    if request.content_type == "application/json":
        try:
            data = await request.json()
        except json.JSONDecodeError:
            raise SlackError("invalid_json") from None
        if not isinstance(data, dict):
            raise SlackError("json_not_object")
        return data
    return _from_form(dict(await request.post()))


def is_set(arguments: Arguments, name: str) -> bool:
    """A boolean argument, which a form spells as text."""
    return str(arguments.get(name)).lower() in {"true", "1"}


def _from_form(fields: Arguments) -> Arguments:
    """The fields, with those that carry JSON read."""
    return {name: _structure(value) if name in _JSON_ARGUMENTS else value for name, value in fields.items()}


def _structure(value: Any) -> Any:
    """What the JSON says; text that is none stays, for the checks to refuse."""
    try:
        return json.loads(value)
    except ValueError:
        return value
