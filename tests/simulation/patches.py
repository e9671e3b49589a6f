"""What Python and libraries offer no other way to hand in: the machine's clocks, chance, and where the log goes."""

import gc
import os
import random
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from functools import cache
from random import Random
from typing import Any
from unittest import mock

import structlog
from aiohttp import web_app

from versus_py import clock

Log = Callable[[str, Mapping[str, Any]], None]
"""Called with the level and the event of each line."""

COLLECTIONS = 2
"""Before the first world of a process: the first one keeps what a finalizer awaits."""


class _Clocks:
    """The time module of the process that asks."""

    def __init__(self, wall_ms: Callable[[], float], counter_ms: Callable[[], float]) -> None:
        self._wall_ms, self._counter_ms = wall_ms, counter_ms

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)

    def time_ns(self) -> int:
        return int(self._wall_ms() * 1e6)

    def monotonic_ns(self) -> int:
        return int(self._counter_ms() * 1e6)

    def clock_gettime_ns(self, _: int) -> int:
        return int(self._counter_ms() * 1e6)


@cache
def _set_apart() -> None:
    """What there is before the first world is not looked at when the garbage of a world is collected."""
    for _ in range(COLLECTIONS):
        gc.collect()
    gc.freeze()


@contextmanager
def simulated_chance(seed: int) -> Iterator[None]:
    """Keys, ids and names are drawn from *seed*: for all that belongs to a world, from its first part on.

    Its garbage is collected in its end only, as finalizers would draw as well.
    """
    _set_apart()
    gc.disable()
    dice = Random(f"keys {seed}")
    state = random.getstate()
    random.seed(seed)
    try:
        with (
            mock.patch.object(os, "urandom", dice.randbytes),
            mock.patch.object(random, "_urandom", dice.randbytes),
        ):
            yield
    finally:
        random.setstate(state)
        gc.enable()


@contextmanager
def simulated_surroundings(
    *, wall_ms: Callable[[], float], counter_ms: Callable[[], float], log: Log
) -> Iterator[None]:
    """For one world, which is the only one in this process meanwhile."""

    def keep(_: Any, method: str, event: MutableMapping[str, Any]) -> Any:
        log(method, {**event, "exc_info": repr(sys.exc_info()[1])} if event.get("exc_info") is True else event)
        raise structlog.DropEvent

    configured = structlog.get_config()
    structlog.configure(processors=[structlog.contextvars.merge_contextvars, keep], cache_logger_on_first_use=False)
    try:
        with (
            warnings.catch_warnings(action="ignore", category=RuntimeWarning),
            mock.patch.object(sys, "unraisablehook"),
            mock.patch.object(clock, "time", _Clocks(wall_ms, counter_ms)),
        ):
            yield
            web_app._cached_build_middleware.cache_clear()  # which holds every handler that was ever asked
            gc.collect()  # what the dead leave behind, whose finalizers find no loop
    finally:
        structlog.configure(**configured)
