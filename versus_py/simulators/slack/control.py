"""What a test in another process orders beside faults: presses, and where they go."""

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


def press_routes(
    press: Callable[[PressOrder], Awaitable[dict[str, object]]], send_to: Callable[[str | None], None]
) -> list[web.RouteDef]:
    """POST /control/press with a PressOrder, answers how the app took it; POST /control/interactions with a URL."""

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

    return [web.post("/control/press", post_press), web.post("/control/interactions", post_interactions)]


async def _order(model: type[_Order], request: web.Request) -> _Order:
    try:
        return model.model_validate_json(await request.read())
    except ValidationError as exc:
        said = "; ".join(f"{'.'.join(map(str, it['loc']))}: {it['msg']}" for it in exc.errors())
        raise web.HTTPBadRequest(text=said) from None
