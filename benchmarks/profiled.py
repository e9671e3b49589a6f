"""`versus serve`, which notes now and then where it is: `python -m benchmarks.profiled NOTES serve -c config.yaml`.

SIGUSR1 begins, SIGUSR2 writes what was noted since to NOTES, as JSON: a stage and how often it was met.
"""

import json
import signal
import sys
from collections import Counter
from functools import cache
from pathlib import Path
from types import FrameType

from versus_py.cli import app

EVERY_S = 0.004
"""Of CPU time: the tick of most kernels, which such a timer follows. A handler of Python runs between two of its
instructions: what C does counts for what called it."""

REST = "event loop"

_STAGES = {
    "/aiohttp/": "aiohttp",
    "/versus_py/sources/": "reading the payload",
    "/versus_py/web/intake/reading": "reading the payload",
    "/versus_py/web/intake/contents": "reading the payload",
    "/versus_py/web/intake/overrides": "reading the payload",
    "/versus_py/web/intake/severities": "reading the payload",
    "/versus_py/incidents/grouping": "reading the payload",
    "/versus_py/incidents/redaction": "packing the kept payload",
    "/versus_py/incidents/payloads": "packing the kept payload",
    "/versus_py/incidents/": "deciding: identity, policy, transition",
    "/versus_py/engine/worker": "worker",
    "/versus_py/engine/": "deciding: identity, policy, transition",
    "/versus_py/store/wire": "client of Redis",
    "/versus_py/store/batches": "client of Redis",
    "/versus_py/store/calls": "client of Redis",
    "/versus_py/store/announcements": "client of Redis",
    "/versus_py/store/changes": "client of Redis",
    "/redis/": "client of Redis",
    "/versus_py/store/": "commands for Redis",
    "/versus_py/telemetry/": "log and metrics",
    "/structlog/": "log and metrics",
    "/prometheus_client/": "log and metrics",
    "/versus_py/web/": "handler and middlewares",
    "/asyncio/": REST,
}
"""Parts of a file's path -> the stage; the first that matches. Other files count for what called them."""


STAGES = frozenset(_STAGES.values())


@cache
def _stage_of(path: str) -> str | None:
    return next((stage for part, stage in _STAGES.items() if part in path), None)


def stage(frame: FrameType | None) -> str:
    """Of the innermost frame that has one."""
    while frame is not None:
        if (found := _stage_of(frame.f_code.co_filename)) is not None:
            return found
        frame = frame.f_back
    return REST


def main() -> None:
    notes, *arguments = sys.argv[1:]
    met: Counter[str] = Counter()

    def begin(_number: int, _frame: FrameType | None) -> None:
        met.clear()
        signal.setitimer(signal.ITIMER_PROF, EVERY_S, EVERY_S)

    def write(_number: int, _frame: FrameType | None) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        whole = Path(f"{notes}.new")
        whole.write_text(json.dumps(met))
        whole.rename(notes)

    signal.signal(signal.SIGPROF, lambda _, frame: met.update((stage(frame),)))
    signal.signal(signal.SIGUSR1, begin)
    signal.signal(signal.SIGUSR2, write)
    app(arguments)


if __name__ == "__main__":
    main()
