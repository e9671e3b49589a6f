"""arq: https://arq-docs.helpmanual.io. Worker: `arq benchmarks.peers.arq_jobs.WorkerSettings`."""

import asyncio
from datetime import UTC, datetime
from typing import Any, ClassVar

from arq import create_pool
from arq.connections import RedisSettings

from benchmarks.peers.jobs import enqueue_many, ran, redis_port


async def job(_context: dict[str, Any], number: int, due: float) -> None:
    ran(number, due)


class WorkerSettings:
    functions: ClassVar = [job]
    redis_settings = RedisSettings(host="127.0.0.1", port=redis_port())


async def _enqueue() -> None:
    pool = await create_pool(WorkerSettings.redis_settings)

    async def one(number: int, due: float) -> None:
        await pool.enqueue_job("job", number, due, _defer_until=datetime.fromtimestamp(due, UTC))

    await enqueue_many(one)


if __name__ == "__main__":
    asyncio.run(_enqueue())
