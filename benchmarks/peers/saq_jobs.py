"""saq: https://saq-py.readthedocs.io. Worker: `saq benchmarks.peers.saq_jobs.settings`. Times are whole seconds."""

import asyncio
import math
from typing import Any

from saq import Queue

from benchmarks.peers.jobs import enqueue_many, ran, redis_url

queue = Queue.from_url(redis_url())


async def job(_context: dict[str, Any], *, number: int, due: float) -> None:
    ran(number, due)


settings = {"queue": queue, "functions": [job], "concurrency": 10}


async def _enqueue() -> None:
    await queue.connect()

    async def one(number: int, due: float) -> None:
        await queue.enqueue("job", number=number, due=due, scheduled=math.ceil(due))

    await enqueue_many(one)


if __name__ == "__main__":
    asyncio.run(_enqueue())
