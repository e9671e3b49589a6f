"""streaq: https://streaq.readthedocs.io. Worker: `streaq run benchmarks.peers.streaq_jobs:worker`."""

import asyncio
from datetime import UTC, datetime

from streaq import Worker

from benchmarks.peers.jobs import enqueue_many, ran, redis_url

worker = Worker(redis_url=redis_url())


@worker.task
async def job(number: int, due: float) -> None:
    ran(number, due)


async def _enqueue() -> None:
    async def one(number: int, due: float) -> None:
        await job.enqueue(number, due).start(schedule=datetime.fromtimestamp(due, UTC))

    async with worker:
        await enqueue_many(one)


if __name__ == "__main__":
    asyncio.run(_enqueue())
