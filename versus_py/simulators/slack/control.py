"""What a test in another process orders beside faults: presses, errors, and what people do to messages and channels."""

from collections.abc import Awaitable, Callable, Mapping
from inspect import isawaitable
from typing import Literal, TypeVar

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from versus_py.simulators.slack.errors import UnknownName
from versus_py.simulators.slack.interactions import NotShown

_Order = TypeVar("_Order", bound=BaseModel)
_Answer = dict[str, object] | None


class PressOrder(BaseModel):
    """Who presses what in which message; *option* is a menu's value."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    channel: str
    ts: str
    action_id: str
    user: str = "U0ANA"
    option: str | None = None
    block_id: str | None = None


class InteractionsOrder(BaseModel):
    """Where interactions are posted; None takes it back."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str | None


class ChannelsOrder(BaseModel):
    """Which channels are not just public ones with the bot in them; those that it does not name are.

    A private channel that the bot has not joined does not exist for it. *names* are what people call channels, by id.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    archived: tuple[str, ...] = ()
    not_joined: tuple[str, ...] = ()
    private: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()  # there are no such channels
    without_threads: tuple[str, ...] = ()  # they take no replies
    names: Mapping[str, str] = Field(default_factory=dict)


class MessageOrder(BaseModel):
    """What somebody does to a message: a thread that is locked takes no replies."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    channel: str
    ts: str
    do: Literal["delete", "lock", "unlock"]


class WriteOrder(BaseModel):
    """What somebody writes: a reply to the message *ts*, one of another app's bot, or a message beside it.

    Or what somebody does to what is written there: an edit, or its deletion. *text* is what Slack makes of it: markup.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    channel: str
    ts: str = ""
    text: str = ""
    user: str = "U0ANA"
    do: Literal["reply", "bot", "message", "edit", "delete"] = "reply"
    broadcast: bool = False
    files: tuple[str, ...] = ()


def take(
    model: type[_Order], act: Callable[[_Order], Awaitable[_Answer] | _Answer]
) -> Callable[[web.Request], Awaitable[web.Response]]:
    """A handler for an order in JSON: answered with what *act* returns, or with the order.

    400 for an order that cannot be understood, 404 for one about something that is not shown.
    """

    async def handle(request: web.Request) -> web.Response:
        order = await _order(model, request)
        try:
            done = act(order)
            answer = await done if isawaitable(done) else done
        except NotShown as exc:
            return web.json_response({"error": str(exc)}, status=404)
        except UnknownName as exc:
            return web.json_response({"error": str(exc)}, status=400)
        return web.json_response(order.model_dump() if answer is None else answer)

    return handle


async def _order(model: type[_Order], request: web.Request) -> _Order:
    try:
        return model.model_validate_json(await request.read())
    except ValidationError as exc:
        said = "; ".join(f"{'.'.join(map(str, it['loc']))}: {it['msg']}" for it in exc.errors())
        raise web.HTTPBadRequest(text=f"{said}; allowed are {', '.join(model.model_fields)}") from None
