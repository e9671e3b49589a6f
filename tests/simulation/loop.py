# mypy: disable-error-code="override, assignment, no-any-return"
"""An event loop with virtual time that runs many processes: each has its own queue and its own clock.

Time passes only when nobody can run: then it jumps to the next timer. Within a process, callbacks run in the order in
which asyncio would run them; whose turn it is among processes is drawn. So one seed has one course of events.
"""

import asyncio
import contextvars
import heapq
from collections import deque
from collections.abc import Callable
from random import Random
from typing import Any

CURRENT: contextvars.ContextVar["Process | None"] = contextvars.ContextVar("process", default=None)
"""The process whose callback runs; tasks and callbacks that it starts are its own."""


class Stuck(Exception):
    """Nobody can run any more, and nothing is waited for; or there is no end."""


class Process:
    """What dies, stands still and goes on as a whole.

    A process that dies leaves its callbacks behind: it ends at any await, and no `finally` of it is run.
    """

    def __init__(self, loop: "SimulatedLoop", name: str) -> None:
        self.name = name
        self.is_dead = False
        self.is_still = False  # it does not run, and its callbacks wait
        self.context = contextvars.Context()
        self.context.run(CURRENT.set, self)
        self._loop = loop
        self.queue: deque[Any] = deque()
        self.position: int | None = None  # among those that can run
        self.stood_still_s = 0.0  # how far its monotonic clock is behind
        self.on_death: dict[object, Callable[[], None]] = {}
        """Called when it dies, by who wants to know."""
        self._clock_stopped_at_s: float | None = None
        self.waiting_timers: list[tuple[float, int, Any, Process]] = []  # came due while the clock stood still

    def __repr__(self) -> str:
        return f"<{self.name}>"

    @property
    def is_running(self) -> bool:
        return not self.is_dead and not self.is_still

    @property
    def is_clock_stopped(self) -> bool:
        return self._clock_stopped_at_s is not None

    def time_s(self, now_s: float) -> float:
        """What its monotonic clock says when it is *now_s*."""
        if self._clock_stopped_at_s is not None:
            now_s = self._clock_stopped_at_s
        return now_s - self.stood_still_s

    def kill(self) -> None:
        self.is_dead = True
        self.queue.clear()
        self._loop.cannot_run(self)
        for tell in self.on_death.values():
            tell()
        self.on_death.clear()

    def freeze(self, *, stops_clock: bool = False) -> None:
        """Stand still, as after SIGSTOP or in a long pause; with *stops_clock* as on a machine that is suspended."""
        self.is_still = True
        if stops_clock:
            self._clock_stopped_at_s = self._loop.now_s
        self._loop.cannot_run(self)

    def thaw(self) -> None:
        if self._clock_stopped_at_s is not None:
            stood_s = self._loop.now_s - self._clock_stopped_at_s
            self._clock_stopped_at_s = None
            self.stood_still_s += stood_s
            self._loop.delay_timers(self, stood_s)
        self.is_still = False
        # As asyncio does after a pause: what timers call runs before what was woken by answers.
        self.queue = deque(sorted(self.queue, key=lambda it: not isinstance(it, asyncio.TimerHandle)))
        if self.queue and not self.is_dead:
            self._loop.can_run(self)

    def spawn(self, coroutine: Any) -> asyncio.Task[Any]:
        """A task of this process."""
        task: asyncio.Task[Any] = self._loop.create_task(coroutine, context=self.context.copy())
        return task


class _Task(asyncio.Task[Any]):
    """With a hash that does not depend on where it is in memory: sets of tasks are iterated in one order."""

    def __init__(self, coroutine: Any, *, number: int, **options: Any) -> None:
        self._number = number
        super().__init__(coroutine, **options)

    def __hash__(self) -> int:
        return self._number

    def __eq__(self, other: object) -> bool:
        return self is other


class SimulatedLoop(asyncio.BaseEventLoop):
    """*steps_max* callbacks at most: a program that never waits has no end otherwise."""

    def __init__(self, dice: Random, *, steps_max: int = 20_000_000) -> None:
        super().__init__()
        self.now_s = 0.0
        self.steps = 0
        self.environment = Process(self, "environment")
        """Everything that is no process of ours: networks, servers, time."""
        self.unhandled: list[str] = []
        self._dice = dice
        self._steps_max = steps_max
        self._runnable: list[Process] = []
        self._timers: list[tuple[float, int, Any, Process]] = []
        self._timers_set = 0
        self._tasks_made = 0
        self.set_task_factory(self._make_task)
        self.set_exception_handler(self._note_unhandled)

    def time(self) -> float:
        process = CURRENT.get()
        return self.now_s if process is None else process.time_s(self.now_s)

    # -- who can run

    def can_run(self, process: Process) -> None:
        if process.position is None:
            process.position = len(self._runnable)
            self._runnable.append(process)

    def cannot_run(self, process: Process) -> None:
        if process.position is None:
            return
        last = self._runnable.pop()
        if last is not process:
            self._runnable[process.position] = last
            last.position = process.position
        process.position = None

    def delay_timers(self, process: Process, by_s: float) -> None:
        """Those of a process whose clock stood still are due later."""
        self._timers[:] = [
            (when_s + by_s if owner is process else when_s, number, handle, owner)
            for when_s, number, handle, owner in (*self._timers, *process.waiting_timers)
        ]
        process.waiting_timers.clear()
        heapq.heapify(self._timers)

    # -- what asyncio asks of a loop

    def call_soon(self, callback: Callable[..., object], *args: Any, context: Any = None) -> asyncio.Handle:
        handle: Any = asyncio.Handle(callback, args, self, context)
        process = handle._context.get(CURRENT) or self.environment
        if not process.is_dead:
            process.queue.append(handle)
            if process.position is None and not process.is_still:
                self.can_run(process)
        return handle

    call_soon_threadsafe = call_soon

    def call_later(self, delay: float, callback: Callable[..., object], *args: Any, context: Any = None) -> Any:
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def call_at(self, when: float, callback: Callable[..., object], *args: Any, context: Any = None) -> Any:
        handle: Any = asyncio.TimerHandle(when, callback, args, self, context)
        owner = handle._context.get(CURRENT) or self.environment
        due_s = when + (self.now_s - owner.time_s(self.now_s))
        self._timers_set += 1
        heapq.heappush(self._timers, (due_s, self._timers_set, handle, owner))
        handle._scheduled = True
        return handle

    def call_in(self, delay_s: float, callback: Callable[..., object], *args: Any) -> Any:
        """As something that the environment does after *delay_s*, whoever is dead by then."""
        handle: Any = asyncio.Handle(callback, args, self, self.environment.context)
        self._timers_set += 1
        heapq.heappush(self._timers, (self.now_s + delay_s, self._timers_set, handle, self.environment))
        return handle

    def run_in_executor(self, *_: Any) -> Any:
        raise RuntimeError("a simulation has no threads")

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        pass

    def _write_to_self(self) -> None:
        pass

    def close(self) -> None:
        self._timers.clear()
        self._runnable.clear()
        self._closed = True

    def _run_once(self) -> None:
        """One step, and more of them until the loop is stopped: asyncio's own call for each costs as much as a step."""
        runnable, timers, random = self._runnable, self._timers, self._dice.random
        while True:
            if not runnable:
                self._pass_time()
            if timers and timers[0][0] <= self.now_s:
                self._enqueue_due()
            if not runnable:
                return
            process = runnable[0 if len(runnable) == 1 else int(random() * len(runnable))]
            handle = process.queue.popleft()
            if not process.queue:
                self.cannot_run(process)
            if not handle._cancelled:
                self.steps += 1
                if self.steps > self._steps_max:
                    raise Stuck(f"no end after {self.steps} steps")
                try:
                    handle._context.run(handle._callback, *handle._args)
                except (Exception, asyncio.CancelledError) as exc:  # noqa: BLE001 - asyncio's loop says it and goes on
                    message = f"Exception in callback {getattr(handle._callback, '__qualname__', '')}"
                    self.call_exception_handler({"message": message, "exception": exc})
            if self._stopping:  # type: ignore[attr-defined]
                return

    def _enqueue_due(self) -> None:
        while self._timers and self._timers[0][0] <= self.now_s:
            timer = heapq.heappop(self._timers)
            _, _, handle, owner = timer
            if owner.is_clock_stopped:
                owner.waiting_timers.append(timer)
            elif not handle._cancelled:
                self._enqueue(handle, owner)

    def _pass_time(self) -> None:
        while self._timers and (self._timers[0][2]._cancelled or self._timers[0][3].is_dead):
            heapq.heappop(self._timers)
        if self._timers:
            self.now_s = max(self.now_s, self._timers[0][0])
        elif not self._stopping:  # type: ignore[attr-defined]
            raise Stuck("nobody waits for anything")

    def _enqueue(self, handle: Any, process: Process) -> None:
        if process.is_dead:
            return
        process.queue.append(handle)
        if not process.is_still:
            self.can_run(process)

    def _make_task(self, _: Any, coroutine: Any, **options: Any) -> Any:
        self._tasks_made += 1
        task: Any = _Task(coroutine, number=self._tasks_made, loop=self, **options)
        task._log_destroy_pending = False  # those of the dead are
        return task

    def _note_unhandled(self, _: Any, context: dict[str, Any]) -> None:
        self.unhandled.append(f"at {self.now_s:.3f}: {context.get('message')} {context.get('exception')!r}")
