"""The composition root: builds everything from a Config, runs it, and stops it."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from random import Random

import aiohttp
import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from versus_py import __version__
from versus_py.ack_links import AckLinks
from versus_py.clock import SharedClock, boottime_ms, monotonic_ms, wall_ms
from versus_py.config import Config, RedisConfig
from versus_py.engine.capacity import EVERY_S as DUE_WRITTEN_EVERY_S
from versus_py.engine.capacity import Capacity
from versus_py.engine.checkup import Checkup, Diagnose
from versus_py.engine.choices import Choices
from versus_py.engine.group import Group, Member
from versus_py.engine.health import Health
from versus_py.engine.heartbeats import SilenceTarget
from versus_py.engine.last_look import AlertmanagerLook, LastLook
from versus_py.engine.lifecycle import Lifecycle
from versus_py.engine.policies import Policies
from versus_py.engine.presence import EVERY_S as PRESENT_EVERY_S
from versus_py.engine.presence import Presence, describes
from versus_py.engine.reconciliation import LOOK_EVERY_S as LOOK_FOR_TURN_S
from versus_py.engine.reconciliation import Reconciliation
from versus_py.engine.retries import SPREAD, RetryPolicy
from versus_py.engine.storms import StormAcknowledgment
from versus_py.engine.tickets import Tickets
from versus_py.engine.timekeeping import Timekeeper
from versus_py.engine.watchdog import LOOK_EVERY_S, Watchdog
from versus_py.engine.worker import Worker
from versus_py.errors import ConfigError, StoreUnavailable, VersusError
from versus_py.incidents import heartbeats
from versus_py.incidents.model import Incident, IncidentId, system_of
from versus_py.incidents.partitions import use_partitions
from versus_py.interactions import Desk
from versus_py.sources.sns import SnsDoor
from versus_py.store import Ledger, Loss, Markers, SharedTime, Store, Storms, Turns
from versus_py.store.bursts import Bursts
from versus_py.store.calls import RedisClient
from versus_py.store.connection import durability_warnings, open_redis
from versus_py.store.durability import durability_for
from versus_py.store.embedded import EmbeddedServer
from versus_py.store.journal import Journal, open_journal
from versus_py.store.partitioning import fix_partitions
from versus_py.store.people import KnownPeople
from versus_py.store.replicas import Replicas
from versus_py.store.requests import TakenRequests
from versus_py.store.shadow import mark_shadow, raise_if_shadow
from versus_py.targets import titles
from versus_py.targets.interactive import Loop, WaysIn
from versus_py.targets.shadow import shadowed
from versus_py.targets.system import Parts, Surroundings, System
from versus_py.telemetry.heartbeat import Heartbeat
from versus_py.telemetry.metrics import Metrics
from versus_py.telemetry.throttled import ThrottledLog
from versus_py.web import LIVE, InboundDoor, create_app, create_monitoring_app
from versus_py.web.connections import BoundedSite, connections_allowed, make_runner
from versus_py.web.guard import Guard
from versus_py.web.inbound import switched_off
from versus_py.web.tickets import TicketDoor
from versus_py.web.tickets import paths as ticket_paths

log = structlog.get_logger()

SHUTDOWN_TIMEOUT_S = 3.0
"""How long requests that are being answered may take after the word to stop."""

STOP_TIMEOUT_S = 30.0
"""How long the loops may take that end by themselves; the longest of ours, the worker, takes some five."""

FIRST_TIME_TIMEOUT_S = 2.0
"""How long the port waits to be opened for Redis to tell the time; after that, alerts are refused until it does."""

SESSION_TIMEOUT_S = 15.0
SESSION_CONNECTIONS = 20
"""To each host, of the session that is no system's: to Alertmanager, SNS and the heartbeat."""

DAY_MS = 24 * 3600 * 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """What the service takes from its machine and reaches over the network: a simulation hands in its own."""

    open_redis: Callable[
        [RedisConfig, Path], AbstractAsyncContextManager[tuple[RedisClient, EmbeddedServer | None]]
    ] = open_redis
    open_session: Callable[[float, int], AbstractAsyncContextManager[aiohttp.ClientSession]] = field(
        default_factory=lambda: _session
    )
    """With a timeout in seconds, and so many connections to each host."""
    listen: Callable[[web.AppRunner, Config, bool], Awaitable[None]] = field(default_factory=lambda: _listen)
    """Serves the runner's application at the address of the configuration: with the API, or without."""
    counter_ms: Callable[[], int] = boottime_ms
    """Counts on while the machine is suspended."""
    machine_ms: Callable[[], int] = wall_ms
    random: Random = SPREAD
    """Spreads retries; keys and names are drawn elsewhere."""
    idle_factor: float = 1.0
    """How much less often than usual loops look for what they were not told of."""


class _Core:
    """What every replica has, whatever the systems around it: the clock, the store and what decides."""

    def __init__(
        self, config: Config, redis: RedisClient, systems: Sequence[System], outside: Outside, member: Member | None
    ) -> None:
        self.outside = outside
        self.member = member
        self.config = config
        self.redis = redis
        self.systems = _in_use(config, systems)
        self.called = titles({it.name: it.title for it in systems})
        self.max_concurrent = {part.NAME: part.max_concurrent for part in config.systems_in_use()}
        self.clock = SharedClock(outside.counter_ms, outside.machine_ms)
        self.metrics = Metrics(None if member is None else member.folder)
        if member is not None and member.restarts:
            self.metrics.process_restarts.inc()
        self.timekeeper = Timekeeper(self.clock, SharedTime(redis), self.metrics)
        self._is_spread_right = False
        self.unavailable = ThrottledLog("redis.unavailable", monotonic_ms, counted_as="times")
        retention_ms = round(config.retention_days * DAY_MS)
        self.settles_within_s = max((it.abilities.settles_within_s for it in self.systems), default=0.0)
        self.durability = durability_for(redis, config.redis)
        self.store = Store(
            redis,
            retention_ms=retention_ms,
            reopen_ms=round(config.oncall.reopen_minutes * 60_000),
            settle_ms=round(self.settles_within_s * 1000),
            durability=self.durability,
            skew=self.clock,
            metrics=self.metrics,
        )
        self.turns = Turns(redis)
        self.storms = Storms(redis, retention_ms=retention_ms)
        self.policies = Policies(config)
        self.lifecycle = Lifecycle(
            self.store,
            self.clock,
            self.metrics,
            called=self.called,
            policy_of=self.policies.of_known,
            installation=config.installation_name,
        )
        previous = [key.get_secret_value() for key in config.ack.previous_signing_keys]
        key = config.ack.signing_key.get_secret_value() or None
        self.links = AckLinks(config.link_base, self.clock, key, previous=previous)

    @property
    def leads(self) -> bool:
        """Whether this process does what one of a machine has to do."""
        return self.member is None or self.member.leads

    async def restore(self, loss: Loss) -> None:
        """After Redis lost its data: write again what this process knows, such as the key of all links.

        Raises OtherPartitions when what it holds now is spread otherwise.
        """
        await fix_partitions(self.redis)
        self.lifecycle.write_again()
        if self.config.ack.signing_key.get_secret_value() or self.links.key is None:
            return
        if loss.is_found_here:
            await self.store.keep_signing_key(self.links.key)
        else:
            self.links.key = await self.store.signing_key(self.links.key)

    async def ask_time(self) -> None:
        """Ask Redis for the time, without which nothing is accepted or written; first how its incidents are spread."""
        if not self._is_spread_right:
            await fix_partitions(self.redis)
            self._is_spread_right = True
        await self.timekeeper.follow()

    async def wake(self, incident_id: IncidentId, target: str) -> None:
        """Have *target* sync an incident although it did not change."""
        await self.store.arm(incident_id, target, now_ms=self.clock.now_ms())

    def _ack_url(self, incident: Incident) -> str | None:
        """None where a channel lets only some act: who opens a link is not known."""
        return None if any(it.is_restricted for it in self.config.alert.enabled.values()) else self.links.url(incident)

    def around(self, session: aiohttp.ClientSession) -> Surroundings:
        """What the targets of one system are built with."""
        return Surroundings(
            config=self.config,
            clock=self.clock,
            session=session,
            turns=self.turns,
            storms=self.storms,
            called=self.called,
            ack_url=self._ack_url,
            storm_url=self.links.storm_url,
            wake=self.wake,
            idle_factor=self.outside.idle_factor,
        )


class _Around:
    """The systems that the configuration uses, built: their targets, their loops, and what people press."""

    def __init__(self, core: _Core, built: Mapping[System, Parts], known: Sequence[System]) -> None:
        self.targets = {name: it for parts in built.values() for name, it in parts.targets.items()}
        interactive = {system.name: it.interactive for system, it in built.items() if it.interactive is not None}
        self.desk = Desk(
            interactive,
            lifecycle=core.lifecycle,
            storms=StormAcknowledgment(core.storms, core.lifecycle),
            people=KnownPeople(core.redis),
            requests=TakenRequests(core.redis),
            called=core.called,
            choices=Choices.of(core.config, core.called),
        )
        feeds = {system.name: it.feed for system, it in built.items() if it.feed is not None}
        self.tickets = Tickets(
            feeds,
            store=core.store,
            lifecycle=core.lifecycle,
            policies=core.policies,
            clock=core.clock,
            called=core.called,
            installation=core.config.installation_name,
        )
        self.loops: dict[str, Loop] = {}
        self._add({"interactions": self.desk.run} if interactive else {})
        self._add({"reconciliation": self._reconciliation(core).run} if feeds and core.leads else {})
        self.inbound: dict[str, Handler] = {
            it.inbound_path: switched_off(it.inbound_is_off) for it in known if it.inbound_path
        }
        for system, parts in built.items():
            self._add(parts.loops)
            ways = parts.interactive.ways_in(self.desk.take) if parts.interactive is not None else WaysIn()
            self._add(ways.loops if core.leads else {})
            if ways.inbound is not None:
                door = InboundDoor(system.name, system.title, ways.inbound, core.clock)
                self.inbound[system.inbound_path] = door.post

    def _reconciliation(self, core: _Core) -> Reconciliation:
        return Reconciliation(
            self.tickets,
            [it for it in self.targets if system_of(it) in self.tickets.feeds],
            store=core.store,
            clock=core.clock,
            metrics=core.metrics,
            look_every_s=LOOK_FOR_TURN_S * core.outside.idle_factor,
        )

    def _add(self, loops: Mapping[str, Loop]) -> None:
        for name, loop in loops.items():
            if name in {*self.loops, *_OWN_LOOPS}:
                raise ConfigError([f"two systems have a loop that is called {name!r}"])
            self.loops[name] = loop

    def raise_if_missing(self, config: Config) -> None:
        """What the configuration names has to be there before it is needed. Raises ConfigError."""
        oncall = config.oncall
        escalation = (oncall.provider, oncall.fallback.target) if oncall.is_prepared else ()
        wanted = {*config.alert.enabled, *escalation, *config.policy_targets()}
        if missing := wanted - {None, *self.targets}:
            raise ConfigError([f"{name}: its system has no such target" for name in sorted(map(str, missing))])


_OWN_LOOPS = (
    "worker",
    "clock",
    "sns",
    "watchdog",
    "presence",
    "capacity",
    "checkup",
    "heartbeat",
    "embedded redis",
    "web ui",
    "group",
)


@dataclass(frozen=True, slots=True)
class _Running:
    """What runs, built and connected."""

    core: _Core
    app: web.Application
    monitoring: web.Application  # of a worker without the API
    worker: Worker
    background: Mapping[str, Loop]  # the loops that are cancelled in the end
    working: Mapping[str, Loop]  # those that end by themselves, soon after the word to stop


async def serve(
    config: Config,
    stop: asyncio.Event,
    *,
    systems: Sequence[System],
    with_api: bool = True,
    diagnose: Diagnose | None = None,
    surroundings: Outside | None = None,
    when_up: Callable[[], None] = lambda: None,
    member: Member | None = None,
) -> None:
    """Run the API and a worker until *stop* is set, or only a worker. *config* says which of the *systems* are used.

    *diagnose* runs the checks of `versus doctor`, which the web UI shows. *when_up* is called once the port is open.
    *member* says which of several processes on one port this is.

    Then: take no new requests, finish or give back what the worker holds, and leave. Raises VersusError when
    the start is impossible, and an ExceptionGroup when a loop died, or ended by itself, which the log names: the
    process should end, and be started again.
    """
    if not with_api and config.redis.is_embedded:
        raise ConfigError(["redis.host: is required for a worker of its own; without it incidents are in this process"])
    if member is None or member.leads:
        for warning in config.warnings():
            log.warning("config.warning", warning=warning)
    use_partitions(config.redis.partitions)
    if config.is_shadow:
        mark_shadow(config.data_dir)
        systems = [shadowed(it) for it in systems]
        log.warning("service.shadow", said="nothing is posted and no record is created", data_dir=str(config.data_dir))
    elif config.redis.is_embedded:
        raise_if_shadow(config.data_dir)
    outside = surroundings or Outside()
    if member is not None:
        outside = replace(outside, listen=partial(_listen, shares_port=True))
    building = _build(config, systems, outside, diagnose, with_api=with_api, member=member)
    async with building as built, asyncio.TaskGroup() as loops:
        app = built.app if with_api else built.monitoring
        runner = make_runner(app, shutdown_timeout_s=SHUTDOWN_TIMEOUT_S)
        await _prepare(built.core)
        background = _start(built.background, stop, loops)
        working = _start(built.working, stop, loops)
        try:
            await outside.listen(runner, config, with_api)
            when_up()
            log.info(
                "service.started", name=config.name, version=__version__, url=config.link_base if with_api else None
            )
            await stop.wait()
        finally:
            stop.set()
            built.worker.stop()
            await runner.cleanup()
            _, late = await asyncio.wait(working, timeout=STOP_TIMEOUT_S)
            for task in late:
                log.error("loop.does_not_end", loop=task.get_name())
                task.cancel()
            for task in background:
                task.cancel()
        log.info("service.stopped")


def _last_look(core: _Core, session: aiohttp.ClientSession) -> LastLook | None:
    """None when the configuration names no Alertmanager to ask."""
    config = core.config.alertmanager
    return AlertmanagerLook(config, clock=core.clock, session=session) if config.urls else None


def _worker(core: _Core, around: _Around, last_look: LastLook | None) -> Worker:
    return Worker(
        core.store,
        core.lifecycle,
        core.clock,
        hear=around.tickets.hear,
        targets={**around.targets, heartbeats.TARGET: SilenceTarget(core.config, core.lifecycle)},
        called=core.called,
        settles_within_s=core.settles_within_s,
        max_concurrent=core.max_concurrent,
        last_look=last_look,
        retries=RetryPolicy(round(core.config.oncall.retry_for_hours * 3_600_000), random=core.outside.random),
        random=core.outside.random,
        idle_factor=core.outside.idle_factor,
        with_payloads=core.config.shows_payload,
        metrics=core.metrics,
    )


def _ticket_doors(
    core: _Core, tickets: Tickets, known: Sequence[System], journal: Journal | None
) -> dict[str, Handler]:
    """The routes of tickets, by path, also of systems whose tickets are not taken."""
    doors: dict[str, Handler] = {}
    for system in (it for it in known if it.events_path):
        feed = tickets.feeds.get(system.name)
        handler: Handler = switched_off(f"{system.title} is not in use here: no tickets of it are taken")
        if feed is not None:
            handler = TicketDoor(
                system.name,
                system.title,
                feed,
                tickets.take,
                config=core.config,
                clock=core.clock,
                metrics=core.metrics,
                journal=journal,
            ).post
        doors |= dict.fromkeys(ticket_paths(system.events_path), handler)
    return doors


def _watchdog(core: _Core, worker: Worker, *, remembers: bool) -> Watchdog:
    """*remembers*: in a file beside the embedded server's, which one process writes."""
    return Watchdog(
        core.store,
        Ledger(core.redis),
        core.clock,
        core.metrics,
        lease_ms=worker.lease_ms,
        markers=Markers(core.redis, core.config.data_dir / "markers.json" if remembers else None),
        on_loss=core.restore,
        look_every_s=LOOK_EVERY_S * core.outside.idle_factor,
        renews=core.leads,
    )


def _capacity(core: _Core, worker: Worker) -> Capacity:
    every_s = DUE_WRITTEN_EVERY_S * core.outside.idle_factor
    return Capacity(Bursts(core.redis), worker.came, core.clock, core.metrics, every_s=every_s)


@asynccontextmanager
async def _build(
    config: Config,
    systems: Sequence[System],
    outside: Outside,
    diagnose: Diagnose | None,
    *,
    with_api: bool,
    member: Member | None,
) -> AsyncIterator[_Running]:
    async with AsyncExitStack() as stack:
        redis, embedded = await stack.enter_async_context(outside.open_redis(config.redis, config.data_dir))
        core = _Core(config, redis, systems, outside, member)
        journal = None
        if with_api:
            opening = open_journal(config, redis, durability=core.durability, metrics=core.metrics)
            journal = await stack.enter_async_context(opening)
        sessions = {
            it: await stack.enter_async_context(
                outside.open_session(it.timeout_s, it.connections + core.max_concurrent[it.name])
            )
            for it in core.systems
        }
        around = _Around(core, {it: it.build(core.around(session)) for it, session in sessions.items()}, systems)
        around.raise_if_missing(config)
        session = await stack.enter_async_context(outside.open_session(SESSION_TIMEOUT_S, SESSION_CONNECTIONS))
        worker = _worker(core, around, _last_look(core, session))
        has_embedded = embedded is not None or (member is not None and member.has_embedded)
        watchdog = _watchdog(core, worker, remembers=has_embedded and core.leads)
        health = Health(
            core.store,
            core.clock,
            core.metrics,
            worker=worker,
            watchdog=watchdog,
            is_on_disk=lambda: (embedded is None or embedded.is_on_disk) and (member is None or member.is_on_disk),
        )
        group = None if member is None else Group(member, health.readiness, health.trouble)
        replicas = Replicas(redis)
        about = describes(core.clock, health, has_api=with_api, counter_ms=outside.counter_ms)
        presence = Presence(replicas, about, every_s=PRESENT_EVERY_S * outside.idle_factor)
        checkup = None if diagnose is None else Checkup(diagnose, replicas, core.clock, by=socket.gethostname())
        sns = SnsDoor(config.sources.cloudwatch, session)
        app = create_app(
            config,
            store=core.store,
            lifecycle=core.lifecycle,
            storms=core.storms,
            links=core.links,
            sns=sns,
            called=core.called,
            inbound=around.inbound,
            tickets=_ticket_doors(core, around.tickets, systems, journal),
            metrics=core.metrics,
            health=health,
            clock=core.clock,
            journal=journal,
            presence=presence,
            checkup=checkup,
            group=group,
        )
        background: dict[str, Loop] = {
            "clock": partial(_follow_clock, core),
            "sns": sns.run,
            "watchdog": watchdog.run,
            "presence": presence.run,
            "capacity": _capacity(core, worker).run,
        }
        if with_api:
            background |= {"web ui": app[LIVE].run} | ({} if checkup is None else {"checkup": checkup.run})
        if group is not None:
            background["group"] = group.run
        if config.heartbeat.url and core.leads:
            trouble = (group or health).trouble
            background["heartbeat"] = Heartbeat(config.heartbeat, session, core.metrics, trouble).run
        if embedded is not None:
            background["embedded redis"] = lambda _: embedded.watch()
        yield _Running(
            core=core,
            app=app,
            monitoring=create_monitoring_app(core.metrics, health, Guard.of(config, core.store)),
            worker=worker,
            background=background,
            working={"worker": lambda _: _work(core, worker), **around.loops},
        )


def _in_use(config: Config, systems: Sequence[System]) -> tuple[System, ...]:
    """Those that the configuration uses."""
    used = {part.NAME for part in config.systems_in_use()}
    return tuple(it for it in systems if it.name in used)


def _session(timeout_s: float, connections: int) -> aiohttp.ClientSession:
    """With so many *connections* to each host: one that is slow takes none of another's."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, limit_per_host=connections),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=timeout_s),
        headers={"User-Agent": f"versus_py/{__version__}"},
    )


def _start(named: Mapping[str, Loop], stop: asyncio.Event, loops: asyncio.TaskGroup) -> list[asyncio.Task[None]]:
    """Each by its name in the log."""
    return [loops.create_task(_owned(name, loop(stop), stop), name=name) for name, loop in named.items()]


async def _owned(name: str, work: Awaitable[None], stop: asyncio.Event) -> None:
    """A loop, whose end before *stop* is an error whichever way it comes about; a TaskGroup overlooks two of three."""
    try:
        await work
    except asyncio.CancelledError:
        if stop.is_set() or _is_cancelled():
            raise
        reason = "it was cancelled, and nobody did it"
    except VersusError as exc:
        log.error("loop.died", loop=name, error=str(exc))  # noqa: TRY400 - a sentence that says it all
        raise
    except Exception:
        log.exception("loop.died", loop=name)
        raise
    else:
        if stop.is_set():
            return
        reason = "it ended by itself"
    log.error("loop.died", loop=name, error=reason)
    raise VersusError(f"the loop {name!r} died: {reason}")


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def _listen(runner: web.AppRunner, config: Config, with_api: bool, *, shares_port: bool = False) -> None:
    """At the port of the API, or at that of metrics, where there is one."""
    host, port = config.host, config.port if with_api else config.metrics.port
    if port is None:
        return
    most = connections_allowed(config.max_connections)
    await runner.setup()
    try:
        await BoundedSite(runner, host, port, most=most, shares_port=shares_port).start()
    except OSError as exc:
        reason = str(exc) if exc.errno is None else os.strerror(exc.errno)
        settings = "host, port" if with_api else "host, metrics.port"
        raise VersusError(f"cannot listen on {host}:{port} ({settings}): {reason}") from None


async def _prepare(core: _Core) -> None:
    """So that the first alert and link have not to be refused. Where Redis is away, the worker goes on asking."""
    with suppress(StoreUnavailable, TimeoutError):
        async with asyncio.timeout(FIRST_TIME_TIMEOUT_S):
            await _ask_redis(core)


async def _ask_redis(core: _Core) -> None:
    """For the time, and for the key that links are signed with."""
    await core.ask_time()
    if core.links.key is None:
        core.links.key = await core.store.signing_key()


async def _work(core: _Core, worker: Worker) -> None:
    """The worker, as soon as Redis has told what `_ask_redis` asks for."""
    while True:
        try:
            await _ask_redis(core)
            break
        except StoreUnavailable as exc:
            core.unavailable.note(error=str(exc))
            if await worker.stopped_within(1):
                return
    for warning in await durability_warnings(core.redis, core.config.redis):
        log.warning("redis.warning", warning=warning)
    await worker.run()


async def _follow_clock(core: _Core, stop: asyncio.Event) -> None:
    # Looks at *stop* by itself: a cancellation that meets an answer can get lost in redis-py.
    while not stop.is_set():
        with suppress(TimeoutError):
            async with asyncio.timeout(core.timekeeper.every_s):
                await stop.wait()
        try:
            await core.ask_time()
        except StoreUnavailable as exc:
            core.unavailable.note(error=str(exc))
