"""A world: replicas of versus_py, the Redis that they share, Slack, ServiceNow, the network between, and its faults."""

import asyncio
import json
import math
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from random import Random
from typing import Any, Self

from aiohttp import web
from yarl import URL

from tests.simulation import settings
from tests.simulation.effects import Effect, Effects, Script
from tests.simulation.knobs import FaultKind, Knobs
from tests.simulation.loop import CURRENT, Process, SimulatedLoop
from tests.simulation.network import Answer, Lost, Network, RedisLink, Request, Session
from tests.simulation.patches import simulated_surroundings
from tests.simulation.processes import Replica
from tests.simulation.redis import Server
from tests.simulation.redis_client import Client
from versus_py.clock import STEADY_MS
from versus_py.incidents.partitions import DEFAULT, use_partitions
from versus_py.simulators import Fault as Misbehaviour
from versus_py.simulators import ServiceNowSimulator, SlackSimulator

_SPELLS = {FaultKind.HTTP_LIMITED: "429", FaultKind.HTTP_FAILS: "500", FaultKind.HTTP_REFUSED: "401"}


class RemoteHost:
    """A remote system: its simulator's application, which nobody kills. *faults* are the simulator's own."""

    def __init__(self, loop: SimulatedLoop, application: web.Application, faults: Any = None) -> None:
        application.freeze()
        self.application: web.Application | None = application
        self.process = loop.environment
        self._loop = loop
        self._faults = faults
        self._spell: tuple[str, float] | None = None  # what is answered, and to which share of requests
        self._until_s = 0.0

    def receive(self, effect: Effect) -> None:
        if self._spell is None or self._loop.now_s >= self._until_s:
            return
        kind, share = self._spell
        if effect.number * 2_654_435_761 % 1000 < share * 1000:
            retry_after = 1 if kind == "429" else None
            self._faults.order(Misbehaviour(kind=kind, times=1, retry_after=retry_after))

    def misbehave(self, kind: str, *, seconds: float, share: float) -> None:
        if self._faults is not None:
            self._spell, self._until_s = (kind, share), self._loop.now_s + seconds

    def behave(self) -> None:
        self._spell = None


class World:
    """Everything of one seed. With a *script*, its faults happen in place of those that would be drawn.

    Use it within `with simulated_chance(seed), World(seed, knobs) as world:`; there is one at a time in a process.
    """

    def __init__(
        self, seed: int, knobs: Knobs, script: Script | None = None, *, keeps_log: bool = False, stops: bool = False
    ) -> None:
        self.seed, self.knobs = seed, knobs
        self.loop = SimulatedLoop(Random(f"turns {seed}"))
        self.effects = Effects(seed, knobs, script, now_s=lambda: self.loop.now_s, log=self.log)
        self.violations: list[tuple[float, str, str]] = []
        """When, what, and the details."""
        self.errors: list[tuple[float, str, Mapping[str, Any]]] = []
        """The lines of the log at ERROR: when, by which process, and the event."""
        self.lines: list[str] = []
        self.counts: Counter[str] = Counter()
        self.on_loss: Callable[[str, float | None], None] = lambda _, __: None
        """Called when Redis loses data: why, and since when in ms; None: everything."""
        self.on_doubt: Callable[[str], None] = lambda _: None
        """Called when what goes on may be otherwise than it was, and why."""
        self._jumped_s = -math.inf
        self._keeps_log = keeps_log
        self._stops = stops
        self._redis_step_ms = knobs.redis_offset_ms
        self._redis_down_until_s = 0.0
        self._stack = ExitStack()
        self.server = Server(self._redis_ms, lambda: int(self.now_ms()))
        self.slack = SlackSimulator(token=settings.SLACK_TOKEN, now_s=self.now_s)
        self.servicenow = ServiceNowSimulator(password=settings.PASSWORD, now_s=self.now_s)
        self.hosts: dict[str, Any] = {}
        self.add_host(settings.SLACK, self.slack.app(), self.slack.faults)
        self.add_host(settings.SERVICENOW, self.servicenow.app(), self.servicenow.faults)
        self.network = Network(self.loop, self.effects, self.hosts, self._strike)
        link = RedisLink(self.loop, self.effects, self.server, self._strike, lambda: self.is_redis_down)
        self.config = settings.config_for(knobs)
        self.replicas = [
            Replica(
                f"replica-{number}",
                self.loop,
                self.config,
                Random(f"replica {number} {seed}"),
                wall_ms=self.now_ms,
                open_redis=lambda: Client(link),
                open_session=lambda timeout_s: Session(self.network, timeout_s),
                idle_factor=settings.IDLE_FACTOR,
                started=self._note_start,
                ended=lambda how: self.violation("a replica ended by itself", how),
            )
            for number in range(knobs.replicas)
        ]
        self.hosts |= {replica.name: replica for replica in self.replicas}
        self.people = Process(self.loop, "people")
        """Who senders and people are: they run as long as the world does."""

    def __enter__(self) -> Self:
        self._stack.enter_context(
            simulated_surroundings(wall_ms=self._wall_ms, counter_ms=self._counter_ms, log=self._note_line)
        )
        use_partitions(self.config.redis.partitions)
        self._stack.callback(use_partitions, DEFAULT)
        asyncio.set_event_loop(self.loop)
        self._stack.callback(asyncio.set_event_loop, None)
        self._stack.callback(self.loop.close)
        return self

    def __exit__(self, *_: object) -> None:
        for process in (self.people, self.loop.environment, *(it.process for it in self.replicas)):
            process.kill()
        self.replicas.clear()  # nothing else holds what they were doing, which can be collected
        self.hosts.clear()
        self.server.appended.clear()
        self._stack.close()

    def now_ms(self) -> float:
        """Real time, ms since the epoch: what nobody in the world knows exactly."""
        return settings.START_MS + self.loop.now_s * 1000

    def now_s(self) -> float:
        return self.now_ms() / 1000

    @property
    def is_redis_down(self) -> bool:
        return self.loop.now_s < self._redis_down_until_s

    def add_host(self, name: str, application: web.Application, faults: Any = None) -> None:
        """A remote system that is reached at http://*name*."""
        self.hosts[name] = RemoteHost(self.loop, application, faults)

    async def request(
        self,
        replica: Replica,
        method: str,
        path: str,
        *,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 10.0,
    ) -> tuple[Answer, asyncio.Event]:
        """What a replica answers to people or a sender, and the event that is set when the request is surely over.

        *body* is bytes, or data to send as JSON. Raises Lost when no answer came.
        """
        sent = dict(headers or {})
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        url = URL(f"http://{replica.name}{path}")
        return await self.network.request(Request(method, url, sent, body or b""), timeout_s)

    def violation(self, what: str, detail: str) -> None:
        """Something that must not be."""
        self.violations.append((round(self.loop.now_s, 3), what, detail))
        if self._stops:
            self.loop.stop()

    def log(self, event: str, **fields: Any) -> None:
        """For who reads the course of a seed."""
        if self._keeps_log:
            said = " ".join(f"{key}={value}" for key, value in fields.items())
            self.lines.append(f"{self.loop.now_s:10.3f} {_name(CURRENT.get()):12} {event} {said}")

    def start(self) -> None:
        """All replicas."""
        for replica in self.replicas:
            replica.start()

    def heal(self) -> None:
        """From now on nothing goes wrong, and all that was wrong goes right."""
        self.effects.are_faulty = False
        self._redis_down_until_s = 0.0
        self.server.is_full = False
        for host in self.hosts.values():
            if isinstance(host, RemoteHost):
                host.behave()

    # -- faults

    def _strike(self, effect: Effect, caller: Process) -> None:
        """What goes wrong at an effect, beside what the effect itself suffers."""
        if effect.fault is None:
            return
        kind, how = effect.fault.kind, effect.fault.how
        self.counts[kind] += 1
        self.log(f"fault {kind}", effect=effect.number, **how)
        family = kind.value.partition(".")[0]
        if family == "process":
            self._strike_process(kind, how, caller)
        elif family == "redis":
            self._strike_redis(kind, how)
        elif kind in _SPELLS:
            self.hosts[effect.where].misbehave(_SPELLS[kind], seconds=how["seconds"], share=how["share"])

    def _strike_process(self, kind: FaultKind, how: Mapping[str, Any], process: Process) -> None:
        replica = next((it for it in self.replicas if it.process is process), None)
        if replica is None:
            return
        after_s = how["after_ms"] / 1000
        match kind:
            case FaultKind.PROCESS_KILLED:
                self.loop.call_in(after_s, replica.kill, process, how["down_s"])
            case FaultKind.PROCESS_STOPPED:
                self.loop.call_in(after_s, replica.stop, process, how["down_s"])
            case FaultKind.PROCESS_FROZEN:
                self.loop.call_in(after_s, replica.freeze, process, how["seconds"])
            case FaultKind.PROCESS_SUSPENDED:
                self.loop.call_in(after_s, lambda: replica.freeze(process, how["seconds"], stops_clock=True))

    def _strike_redis(self, kind: FaultKind, how: Mapping[str, Any]) -> None:
        match kind:
            case FaultKind.REDIS_DOWN:
                self._redis_down_until_s = self.loop.now_s + how["seconds"]
            case FaultKind.REDIS_FULL:
                self.server.is_full = True
                self.loop.call_in(how["seconds"], self._free_memory)
            case FaultKind.REDIS_LOSES:
                self.server.lose_last(how["ms"])
                self.on_loss("Redis lost its last moment", self.now_ms() - how["ms"])
                self._redis_down_until_s = self.loop.now_s + 0.5
            case FaultKind.REDIS_EMPTIED:
                self.server.empty()
                self.on_loss("Redis was emptied", None)
            case FaultKind.REDIS_STEPS | FaultKind.REDIS_JUMPS:
                self._redis_step_ms += how["ms"]
                if kind is FaultKind.REDIS_JUMPS:
                    self._jumped_s = self.loop.now_s

    def _note_start(self) -> None:
        """Where no replica is left that knew the time before a jump, they go by it: docs/operations.md says so."""
        is_lost = all(it.started_s > self._jumped_s for it in self.replicas)
        if is_lost and self.loop.now_s <= self._jumped_s + STEADY_MS / 1000:
            self.on_doubt("Redis' clock was set, and every replica was restarted")

    def _free_memory(self) -> None:
        self.server.is_full = False

    def _redis_ms(self) -> int:
        return int(settings.START_MS + self.loop.now_s * 1000 + self._redis_step_ms)

    # -- what patches ask for

    def _running(self) -> Replica | None:
        process = CURRENT.get()
        for it in self.replicas:
            if it.process is process:
                return it
        return None

    def _wall_ms(self) -> float:
        replica = self._running()
        return self.now_ms() if replica is None else replica.machine_ms()

    def _counter_ms(self) -> float:
        replica = self._running()
        return self.loop.now_s * 1000 if replica is None else replica.counter_ms()

    def _note_line(self, level: str, event: Mapping[str, Any]) -> None:
        if level in {"error", "critical", "exception"}:
            self.errors.append((self.loop.now_s, _name(CURRENT.get()), dict(event)))
        if self._keeps_log:
            self.log(f"{level} {event.get('event')}", **{key: value for key, value in event.items() if key != "event"})


def _name(process: Process | None) -> str:
    return "environment" if process is None else process.name


__all__ = ["Lost", "World"]
