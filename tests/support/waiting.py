"""Waiting until it is so: tests wait for a condition, never for a time, and never for ever.

The deadlines are far longer than it ever takes, also on a machine that is busy with something else: they end a test
that hangs, and say nothing about how fast anything is.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest

DEADLINE_S = 60.0


def wait_until(condition: Callable[[], object], *, timeout_s: float = DEADLINE_S, what: str = "the condition") -> None:
    """Ask until the answer is yes; fails the test when it does not come in time."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.02)
    pytest.fail(f"{what} did not come true within {timeout_s:g} s")


async def until(
    condition: Callable[[], object | Awaitable[object]], *, timeout_s: float = DEADLINE_S, what: str = "the condition"
) -> None:
    """As `wait_until`, while the loop goes on. *condition* may be a coroutine function."""
    try:
        async with asyncio.timeout(timeout_s):
            while True:
                said = condition()
                if await said if isinstance(said, Awaitable) else said:
                    return
                await asyncio.sleep(0.01)
    except TimeoutError:
        pytest.fail(f"{what} did not come true within {timeout_s:g} s")
