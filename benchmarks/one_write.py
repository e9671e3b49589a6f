"""The baseline plus one EVALSHA a request by redis-py, as anyone would write it: the payload, and a timer for it."""

import asyncio
import itertools
import sys
import time

import orjson
import uvloop
from aiohttp import web
from redis.asyncio import Redis

WRITE = """
redis.call('HSET', KEYS[1], 'version', 1, 'payload', ARGV[1])
redis.call('PEXPIREAT', KEYS[1], ARGV[2])
redis.call('ZADD', KEYS[2], ARGV[2], KEYS[1])
return 1
"""
WAIT_MS = 180_000


async def serve(port: int, redis_port: int) -> None:
    redis = Redis(port=redis_port)
    write = redis.register_script(WRITE)
    numbers = itertools.count()

    async def accept(request: web.Request) -> web.Response:
        body = await request.read()
        payload = orjson.loads(body)
        due_ms = time.time_ns() // 1_000_000 + WAIT_MS
        await write(keys=[f"one_write:{next(numbers)}", "one_write:timers"], args=[body, due_ms])
        answer = {"status": "accepted", "alerts": len(payload)}
        return web.Response(body=orjson.dumps(answer), status=201, content_type="application/json")

    app = web.Application()
    app.router.add_post("/api/incidents", accept)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), int(sys.argv[2])))
