"""taskiq with taskiq-redis: https://taskiq-python.github.io. A scheduler and a worker, each a process."""

import asyncio
from datetime import UTC, datetime

from taskiq import TaskiqScheduler
from taskiq_redis import ListRedisScheduleSource, RedisStreamBroker

from benchmarks.peers.jobs import enqueue_many, ran, redis_url

broker = RedisStreamBroker(redis_url())
source = ListRedisScheduleSource(redis_url())
scheduler = TaskiqScheduler(broker, sources=[source])


@broker.task("job")
async def job(number: int, due: float) -> None:
    ran(number, due)


async def _enqueue() -> None:
    await source.startup()

    async def one(number: int, due: float) -> None:
        await job.schedule_by_time(source, datetime.fromtimestamp(due, UTC), number, due)

    await enqueue_many(one)


if __name__ == "__main__":
    asyncio.run(_enqueue())
