"""What a test in another process orders beside faults: presses, where they go, and channels that are of no use."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from aiohttp import web
from pydantic import BaseModel, ConfigDict, ValidationError

from versus_py.simulators.slack.interactions import NotShown

_Order = TypeVar("_Order", bound=BaseModel)


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
    """Which channels are archived, and to which the bot was not invited; those that it does not name are in order."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    archived: tuple[str, ...] = ()
    not_joined: tuple[str, ...] = ()


def order_routes(
    press: Callable[[PressOrder], Awaitable[dict[str, object]]],
    send_to: Callable[[str | None], None],
    set_channels: Callable[[ChannelsOrder], None],
) -> list[web.RouteDef]:
    """POST /control/press, /control/interactions and /control/channels, each with its order.

    A press is answered with how the app took it, the others with the order.
    """

    async def post_press(request: web.Request) -> web.Response:
        order = await _order(PressOrder, request)
        try:
            return web.json_response(await press(order))
        except NotShown as exc:
            return web.json_response({"error": str(exc)}, status=404)

    async def post_interactions(request: web.Request) -> web.Response:
        order = await _order(InteractionsOrder, request)
        send_to(order.url)
        return web.json_response(order.model_dump())

    async def post_channels(request: web.Request) -> web.Response:
        order = await _order(ChannelsOrder, request)
        set_channels(order)
        return web.json_response(order.model_dump())

    return [
        web.post("/control/press", post_press),
        web.post("/control/interactions", post_interactions),
        web.post("/control/channels", post_channels),
    ]


async def _order(model: type[_Order], request: web.Request) -> _Order:
    try:
        return model.model_validate_json(await request.read())
    except ValidationError as exc:
        said = "; ".join(f"{'.'.join(map(str, it['loc']))}: {it['msg']}" for it in exc.errors())
        raise web.HTTPBadRequest(text=said) from None
