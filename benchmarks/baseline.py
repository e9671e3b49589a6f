"""The limit on one core: aiohttp and orjson, and nothing else. Beside it, each figure of the intake is a ratio."""

import asyncio
import sys

import orjson
import uvloop
from aiohttp import web


async def accept(request: web.Request) -> web.Response:
    payload = orjson.loads(await request.read())
    answer = {"status": "accepted", "alerts": len(payload)}
    return web.Response(body=orjson.dumps(answer), status=201, content_type="application/json")


async def serve(port: int) -> None:
    app = web.Application()
    app.router.add_post("/api/incidents", accept)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
