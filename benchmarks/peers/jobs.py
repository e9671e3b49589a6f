"""What the scripts of all peers share: which jobs there are, and the note of a job that ran. Standard library only.

`python -m benchmarks.peers.NAME_jobs COUNT FIRST_DUE SPREAD` enqueues, and prints how long that took.
"""

import asyncio
import json
import os
import struct
import sys
import time
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

PORT = "BENCHMARKS_REDIS_PORT"
NOTES = "BENCHMARKS_NOTES"
AT_ONCE = 64
"""Jobs that a client with asyncio enqueues at the same time."""

_NOTE = struct.Struct("<Qdd")
_notes = os.open(os.environ.get(NOTES, os.devnull), os.O_CREAT | os.O_APPEND | os.O_WRONLY)

Job = tuple[int, float]
"""Its number, and when it is due, in seconds since the epoch."""


def redis_port() -> int:
    return int(os.environ.get(PORT, "6379"))


def redis_url() -> str:
    return f"redis://127.0.0.1:{redis_port()}"


def ran(number: int, due: float) -> None:
    """The job: it notes that it ran, and when."""
    os.write(_notes, _NOTE.pack(number, due, time.time()))


def noted(path: Path) -> list[tuple[int, float, float]]:
    """The number of each job that ran, when it was due, and when it ran."""
    whole = path.read_bytes() if path.exists() else b""
    return [*_NOTE.iter_unpack(whole[: len(whole) // _NOTE.size * _NOTE.size])]


def asked() -> list[Job]:
    """The jobs that the command line asks for."""
    count, first, spread = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
    return [(number, first + spread * number / count) for number in range(count)]


def enqueue_each(enqueue: Callable[[int, float], object]) -> None:
    """One after the other, each durable in Redis when *enqueue* returns."""
    jobs = asked()
    began = time.perf_counter()
    for number, due in jobs:
        enqueue(number, due)
    _tell(time.perf_counter() - began)


async def enqueue_many(enqueue: Callable[[int, float], Awaitable[object]]) -> None:
    """So many at the same time, each durable in Redis when *enqueue* returns."""
    jobs = iter(asked())

    async def work(mine: Iterable[Job]) -> None:
        for number, due in mine:
            await enqueue(number, due)

    began = time.perf_counter()
    await asyncio.gather(*(work(jobs) for _ in range(AT_ONCE)))
    _tell(time.perf_counter() - began)


def _tell(seconds: float) -> None:
    sys.stdout.write(json.dumps({"seconds": seconds}))
