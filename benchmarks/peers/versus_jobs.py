"""The timers of versus_py alone: without incidents, what they say, and whom they tell. Worker: with `work` after it."""

import asyncio
import os
import sys
import time

import structlog
import uvloop

from benchmarks.peers.jobs import AT_ONCE, enqueue_many, ran, redis_url
from versus_py.config import RedisConfig
from versus_py.incidents.model import IncidentId
from versus_py.incidents.partitions import partitions
from versus_py.store import Claim, Completion, Due, Store, keys
from versus_py.store.calls import answered
from versus_py.store.connection import connect

DAY_MS = 24 * 3_600_000
LEASE_MS = 5_000
LOOK_MAX = 500
WORKER = f"benchmarks-{os.getpid()}"
IDLE_S = 1.0
"""Between two looks, when nothing is due before."""


async def _enqueue() -> None:
    async with connect(_config()) as client:

        async def one(number: int, due: float) -> None:
            incident_id, due_ms = IncidentId(f"{number:08d}-{number % len(partitions())}"), round(1000 * due)
            name = keys.member(incident_id, str(due_ms))
            await answered(client.zadd(keys.of_incident(incident_id, "timers"), {name: due_ms}))

        await enqueue_many(one)


async def _work() -> None:
    async with connect(_config()) as client:
        store, slots = Store(client, retention_ms=DAY_MS, reopen_ms=0), asyncio.Semaphore(AT_ONCE)

        async def run(claim: Claim) -> None:
            async with slots:
                ran(int(claim.incident_id.partition("-")[0]), int(claim.target) / 1000)
                await store.complete(claim, Completion("done", 0), now_ms=_now_ms())

        while True:
            found = await store.timers.look(now_ms=_now_ms(), lease_ms=LEASE_MS, limit=LOOK_MAX, worker=WORKER)
            async with asyncio.TaskGroup() as running:
                for claim in await _claimed(store, found.due):
                    running.create_task(run(claim))
            if not found.due:
                wait_s = IDLE_S if found.next_ms is None else found.next_ms / 1000 - time.time()
                await asyncio.sleep(min(max(wait_s, 0.0), IDLE_S))


async def _claimed(store: Store, due: tuple[Due, ...]) -> list[Claim]:
    if not due:
        return []
    claims = await store.timers.claim(due, now_ms=_now_ms(), lease_ms=LEASE_MS, worker=WORKER)
    return [it for it in claims if it is not None]


def _config() -> RedisConfig:
    return RedisConfig.model_validate({"url": f"{redis_url()}/0"})


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    uvloop.run(_work() if sys.argv[1] == "work" else _enqueue())
