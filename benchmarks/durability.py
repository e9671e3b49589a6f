"""What redis.durability costs: alerts accepted a second in memory and on disk, side by side on the embedded server.

    python -m benchmarks.durability [rounds]

Both servers run at the same time and take turns, so that a noisy machine disturbs both alike; the figure is the median
of each round's ratio. It is of the engine alone, without HTTP.
"""

import asyncio
import itertools
import logging
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Literal

import structlog

from versus_py.clock import SharedClock
from versus_py.config import RedisConfig
from versus_py.engine.lifecycle import Lifecycle
from versus_py.engine.timekeeping import Timekeeper
from versus_py.incidents.copies import replace
from versus_py.incidents.model import Alert, AlertStatus, Notification
from versus_py.incidents.policies import made
from versus_py.store import SharedTime, Store
from versus_py.store.connection import open_redis
from versus_py.store.durability import durability_for
from versus_py.telemetry.metrics import Metrics

ALERTS = 1000
SENDERS = (1, 16, 64)
ROUNDS = 7
ALERT = Alert(
    fingerprint="disk",
    status=AlertStatus.FIRING,
    labels={"alertname": "DiskFull", "severity": "critical"},
    annotations={"summary": "The disk of db1 is full"},
    starts_at_ms=1,
    ends_at_ms=None,
    url="",
)
NOTIFICATION = Notification(source="alertmanager", title="DiskFull", severity="critical", alerts=(ALERT,))
POLICY = made(channels=("slack",), oncall="servicenow", wait_ms=300_000)


async def opened(stack: AsyncExitStack, durability: Literal["memory", "fsync"]) -> Lifecycle:
    folder = stack.enter_context(tempfile.TemporaryDirectory())
    config = RedisConfig(durability=durability)
    client, _ = await stack.enter_async_context(open_redis(config, Path(folder)))
    store = Store(client, retention_ms=86_400_000, reopen_ms=300_000, durability=durability_for(client, config))
    clock = SharedClock()
    await Timekeeper(clock, SharedTime(client), Metrics()).follow()
    return Lifecycle(store, clock)


async def alerts_a_second(lifecycle: Lifecycle, senders: int, numbers: Iterator[int]) -> float:
    """Each of the senders sends its next alert when the last one was accepted."""

    async def send() -> None:
        for _ in range(ALERTS // senders):
            await lifecycle.accept([replace(NOTIFICATION, dedup_key=f"disk {next(numbers)}")], lambda *_: POLICY)

    began = time.perf_counter()
    async with asyncio.TaskGroup() as sending:
        for _ in range(senders):
            sending.create_task(send())
    return ALERTS / (time.perf_counter() - began)


async def main(rounds: int) -> None:
    numbers = itertools.count()
    async with AsyncExitStack() as stack:
        memory, disk = await opened(stack, "memory"), await opened(stack, "fsync")
        sys.stdout.write(
            "| senders at once | memory, alerts/s | fsync, alerts/s | fsync / memory |\n|---|---|---|---|\n"
        )
        for senders in SENDERS:
            pairs = [
                (await alerts_a_second(memory, senders, numbers), await alerts_a_second(disk, senders, numbers))
                for _ in range(rounds)
            ]
            fast, slow = (statistics.median(side) for side in zip(*pairs, strict=True))
            ratio = statistics.median(on_disk / in_memory for in_memory, on_disk in pairs)
            sys.stdout.write(f"| {senders} | {fast:.0f} | {slow:.0f} | {ratio:.2f} |\n")


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS))
