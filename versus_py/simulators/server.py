"""Serving a simulator on this machine."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from email.utils import formatdate

from aiohttp import web

from versus_py.errors import VersusError

LOOPBACK = "127.0.0.1"


@asynccontextmanager
async def run_app(app: web.Application, *, host: str = LOOPBACK, port: int = 0) -> AsyncIterator[str]:
    """Serve *app* until the block is left; yields its URL. Port 0 takes a free one."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as exc:
            raise VersusError(f"cannot listen on {host}:{port}: {exc.strerror or exc}") from None
        bound = runner.addresses[0][1]
        yield f"http://{host}:{bound}"
    finally:
        await runner.cleanup()


def tell_date(app: web.Application, now_s: Callable[[], float]) -> None:
    """Have every answer say the time by the simulator's clock."""

    async def tell(_request: web.Request, response: web.StreamResponse) -> None:
        response.headers["Date"] = formatdate(now_s(), usegmt=True)

    app.on_response_prepare.append(tell)
