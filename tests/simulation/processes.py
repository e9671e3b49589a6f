"""A replica of versus_py: the real service, in a process that starts, dies, stands still, and is told to stop."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from random import Random
from typing import Any

from aiohttp import web

from tests.simulation.effects import Effect
from tests.simulation.loop import Process, SimulatedLoop
from versus_py.config import Config
from versus_py.service import Outside, serve
from versus_py.systems import BUILT_IN

DRIFT_MAX = 1e-4
"""How much a machine's clock gains or loses."""

STOPS_WITHIN_S = 60.0
"""How long a replica may take to stop; longer is a fault of its own."""


class Replica:
    """A machine with its clocks, and the process of versus_py that runs on it.

    *open_redis* and *open_session* lead to the world's network. *ended* is called when the service ended by itself,
    *killed* when the process is no more.
    """

    def __init__(
        self,
        name: str,
        loop: SimulatedLoop,
        config: Config,
        dice: Random,
        *,
        wall_ms: Callable[[], float],
        open_redis: Callable[[], Any],
        open_session: Callable[[float], Any],
        idle_factor: float,
        started: Callable[[], None],
        ended: Callable[[str], None],
    ) -> None:
        self.name = name
        self.application: web.Application | None = None
        self.process = Process(loop, f"{name}.0")
        self.process.kill()
        self.wall_offset_ms = 0.0
        """How far the machine's clock is ahead of real time."""
        self.starts = 0
        self.started_s = 0.0
        self._loop = loop
        self._config = config
        self._dice = dice
        self._drift = 1 + dice.uniform(-DRIFT_MAX, DRIFT_MAX)
        self._booted_ms = dice.uniform(0, 1e9)
        self._counter_stood_still_ms = 0.0
        self._wall_ms = wall_ms
        self._open_redis = open_redis
        self._open_session = open_session
        self._idle_factor = idle_factor
        self._started = started
        self._ended = ended
        self._stop = asyncio.Event()
        self._task: asyncio.Task[Any] | None = None

    @property
    def is_up(self) -> bool:
        return self.process.is_running and self.application is not None

    def counter_ms(self) -> int:
        """As CLOCK_BOOTTIME: it goes on while the machine is suspended."""
        return int(self._loop.now_s * 1000 * self._drift + self._booted_ms - self._counter_stood_still_ms)

    def machine_ms(self) -> int:
        return int(self._wall_ms() + self.wall_offset_ms)

    def receive(self, effect: Effect) -> None:
        """Of what arrives, the process makes what it wants."""

    def start(self) -> None:
        """Unless it runs already."""
        if not self.process.is_dead:
            return
        self.starts += 1
        self.started_s = self._loop.now_s
        self.process = Process(self._loop, f"{self.name}.{self.starts}")
        self.application = None
        self._stop = asyncio.Event()
        self._task = self.process.spawn(self._serve(self.process))
        self._started()

    def kill(self, process: Process, down_s: float) -> None:
        """SIGKILL, and a new start; nothing where another one runs by now."""
        if process is not self.process or process.is_dead:
            return
        process.kill()
        self.application = None
        self._loop.call_in(down_s, self.start)

    def freeze(self, process: Process, seconds: float, *, stops_clock: bool = False) -> None:
        """It stands still; with *stops_clock*, the machine is suspended."""
        if process is not self.process or not process.is_running:
            return
        process.freeze(stops_clock=stops_clock)
        self._loop.call_in(seconds, process.thaw)

    def stop(self, process: Process, down_s: float) -> None:
        """SIGTERM, and a new start when it has ended."""
        if process is not self.process or not process.is_running or self._task is None:
            return
        process.context.copy().run(self._stop.set)
        self._await_end(process, down_s, self._loop.now_s + STOPS_WITHIN_S)

    def _await_end(self, process: Process, down_s: float, until_s: float) -> None:
        if process.is_dead or self._task is None:
            return
        if process.is_still:
            until_s = self._loop.now_s + STOPS_WITHIN_S
        if self._task.done():
            self.kill(process, down_s)
        elif self._loop.now_s > until_s:
            self._ended(f"{process.name} did not stop within {STOPS_WITHIN_S:g} s")
        else:
            self._loop.call_in(0.1, self._await_end, process, down_s, until_s)

    async def _serve(self, process: Process) -> None:
        outside = Outside(
            open_redis=self._redis,
            open_session=lambda timeout_s, _: self._open_session(timeout_s),
            listen=self._listen,
            counter_ms=self.counter_ms,
            machine_ms=self.machine_ms,
            random=Random(f"{process.name} {self._dice.random()}"),
            idle_factor=self._idle_factor,
        )
        try:
            await serve(self._config, self._stop, systems=BUILT_IN, surroundings=outside)
        except Exception as exc:  # noqa: BLE001 - whatever ends it
            causes = getattr(exc, "exceptions", ())
            if not process.is_dead:  # else Python has just thrown away what it left
                self._ended(f"{process.name}: {exc!r} {causes!r}")
        if process is self.process:
            self.application = None

    @asynccontextmanager
    async def _redis(self, *_: Any) -> AsyncIterator[Any]:
        yield self._open_redis(), None

    async def _listen(self, runner: web.AppRunner, *_: Any) -> None:
        await runner.setup()
        self.application = runner.app
