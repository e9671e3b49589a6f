"""The limit of draining: a bare aiohttp client that sends the same two requests for each ticket."""

import asyncio
import sys
import time
from pathlib import Path

import aiohttp
import orjson
import uvloop


async def drain(
    base: str, search: str, create: str, body: bytes, *, tickets: int, concurrency: int
) -> dict[str, float]:
    """Tickets a second, and the CPU seconds of all of them."""
    headers = {"Accept": "application/json", "Content-Type": "application/json"}
    numbers = iter(range(tickets))

    async def work(session: aiohttp.ClientSession) -> None:
        for _ in numbers:
            async with session.get(base + search) as found:
                assert not orjson.loads(await found.read())["result"]
            async with session.post(base + create, data=body, headers=headers) as created:
                assert orjson.loads(await created.read())["result"]["sys_id"]

    async with aiohttp.ClientSession(auth=aiohttp.BasicAuth("user", "password")) as session:
        began, used_s = time.perf_counter(), time.process_time()
        await asyncio.gather(*(work(session) for _ in range(concurrency)))
        return {"rate": tickets / (time.perf_counter() - began), "cpu_s": time.process_time() - used_s}


if __name__ == "__main__":
    asked = orjson.loads(Path(sys.argv[1]).read_bytes())
    base, search, create, body = (asked.pop(name) for name in ("base", "search", "create", "body"))
    found = uvloop.run(drain(base, search, create, body.encode(), **asked))
    sys.stdout.write(orjson.dumps(found).decode())
