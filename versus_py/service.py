"""The composition root: builds everything from a Config, runs it, and stops it."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import aiohttp
import structlog
from aiohttp import web

from versus_py import __version__
from versus_py.ack_links import AckLinks
from versus_py.clock import Clock, SharedClock
from versus_py.config import Config, RedisConfig
from versus_py.engine.health import Health
from versus_py.engine.last_look import AlertmanagerLook
from versus_py.engine.lifecycle import Lifecycle
from versus_py.engine.retries import RetryPolicy
from versus_py.engine.watchdog import Watchdog
from versus_py.engine.worker import Worker
from versus_py.errors import ConfigError, StoreUnavailable, VersusError
from versus_py.incidents.model import IncidentId
from versus_py.interactions import Desk, SocketMode
from versus_py.sources.sns import SnsDoor
from versus_py.store import Ledger, Store, Storms, Turns
from versus_py.store.calls import RedisClient
from versus_py.store.connection import durability_warnings, open_redis
from versus_py.store.durability import durability_for
from versus_py.store.embedded import EmbeddedServer
from versus_py.store.people import KnownPeople
from versus_py.store.requests import TakenRequests
from versus_py.targets import Target, servicenow, slack
from versus_py.telemetry.heartbeat import Heartbeat
from versus_py.telemetry.metrics import Metrics
from versus_py.web import SlackDoor, create_app, create_monitoring_app
from versus_py.web.connections import BoundedSite, connections_allowed, make_runner

log = structlog.get_logger()

CLOCK_EVERY_S = 30.0
"""How often the clock is set by Redis'; a crystal drifts by less than 10 ms in that time."""

SHUTDOWN_TIMEOUT_S = 3.0
"""How long requests that are being answered may take after the word to stop."""

FIRST_TIME_TIMEOUT_S = 2.0
"""How long the port waits to be opened for Redis to tell the time; after that, alerts are refused until it does."""

DAY_MS = 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class _Parts:
    """What runs, built and connected."""

    app: web.Application
    monitoring: web.Application  # of a worker without the API
    worker: Worker
    watchdog: Watchdog
    heartbeat: Heartbeat | None
    store: Store
    clock: SharedClock
    links: AckLinks
    sns: SnsDoor
    desk: Desk | None  # takes what people press in Slack; None where nobody can
    socket: SocketMode | None
    digests: slack.StormMessages | None
    redis: RedisClient
    redis_config: RedisConfig
    embedded: EmbeddedServer | None


async def serve(config: Config, stop: asyncio.Event, *, with_api: bool = True) -> None:
    """Run the API and a worker until *stop* is set; only a worker without *with_api*.

    Then: take no new requests, finish or give back what the worker holds, and leave. Raises VersusError when
    the start is impossible, and an ExceptionGroup when a loop died, or ended by itself, which the log names: the
    process should end, and be started again.
    """
    if not with_api and config.redis.is_embedded:
        raise ConfigError(["redis.host: is required for a worker of its own; without it incidents are in this process"])
    for warning in config.warnings():
        log.warning("config.warning", warning=warning)
    async with _build(config) as parts, asyncio.TaskGroup() as loops:
        app, port = (parts.app, config.port) if with_api else (parts.monitoring, config.metrics.port)
        runner = make_runner(app, shutdown_timeout_s=SHUTDOWN_TIMEOUT_S)
        background = _start(_background(parts, stop), stop, loops)
        working = _start(_working(parts, stop), stop, loops)
        try:
            await _tell_time(parts)
            if port is not None:
                most = connections_allowed(config.max_connections)
                settings = "host, port" if with_api else "host, metrics.port"
                await _listen(runner, config.host, port, settings, most=most)
            log.info(
                "service.started", name=config.name, version=__version__, url=config.link_base if with_api else None
            )
            await stop.wait()
        finally:
            stop.set()
            parts.worker.stop()
            await runner.cleanup()
            await asyncio.wait(working)
            for task in background:
                task.cancel()
        log.info("service.stopped")


@asynccontextmanager
async def _build(config: Config) -> AsyncIterator[_Parts]:
    async with AsyncExitStack() as stack:
        client, embedded = await stack.enter_async_context(open_redis(config.redis, config.data_dir))
        session = await stack.enter_async_context(
            aiohttp.ClientSession(
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=slack.TIMEOUT_S),
                headers={"User-Agent": f"versus_py/{__version__}"},
            )
        )
        clock = SharedClock()
        metrics = Metrics()
        retention_ms = round(config.retention_days * DAY_MS)
        turns = Turns(client)
        storms = Storms(client, retention_ms=retention_ms)
        store = Store(
            client,
            retention_ms=retention_ms,
            reopen_ms=round(config.oncall.reopen_minutes * 60_000),
            durability=durability_for(client, config.redis),
            metrics=metrics,
        )
        ledger = Ledger(client)
        lifecycle = Lifecycle(store, clock, metrics)
        previous = [key.get_secret_value() for key in config.ack.previous_signing_keys]
        links = AckLinks(config.link_base, clock, config.ack.signing_key.get_secret_value() or None, previous=previous)
        messages = _slack(config, store, clock, session, links, turns=turns, storms=storms)
        worker = Worker(
            store,
            lifecycle,
            clock,
            channels={} if messages is None else {slack.NAME: messages.target},
            oncall=_oncall(config, clock, session, turns, messages),
            last_look=AlertmanagerLook(config.alertmanager, clock=clock, session=session)
            if config.alertmanager.url
            else None,
            retries=RetryPolicy(round(config.oncall.retry_for_hours * 3_600_000)),
            metrics=metrics,
        )
        watchdog = Watchdog(store, ledger, clock, metrics)
        health = Health(store, clock, metrics, worker=worker, watchdog=watchdog)
        sns = SnsDoor(config.sources.cloudwatch, session)
        desk = _desk(config, lifecycle, client, session)
        app = create_app(
            config,
            store=store,
            lifecycle=lifecycle,
            storms=storms,
            links=links,
            sns=sns,
            slack=_slack_door(config, desk, clock),
            metrics=metrics,
            health=health,
            clock=clock,
        )
        socket = _socket_mode(config, desk, session)
        digests = None if messages is None else messages.storms
        yield _Parts(
            app=app,
            monitoring=create_monitoring_app(config, metrics, health),
            worker=worker,
            watchdog=watchdog,
            heartbeat=Heartbeat(config.heartbeat, session, metrics, health.trouble) if config.heartbeat.url else None,
            store=store,
            clock=clock,
            links=links,
            sns=sns,
            desk=desk,
            socket=socket,
            digests=digests,
            redis=client,
            redis_config=config.redis,
            embedded=embedded,
        )


def _slack(
    config: Config,
    store: Store,
    clock: SharedClock,
    session: aiohttp.ClientSession,
    links: AckLinks,
    *,
    turns: Turns,
    storms: Storms,
) -> slack.Slack | None:
    if not config.alert.slack.enable:
        return None

    async def wake(incident_id: IncidentId) -> None:
        await store.arm(incident_id, slack.NAME, now_ms=clock.now_ms())

    return slack.make_slack(
        config.alert.slack,
        slack.SlackApi(config.alert.slack, session),
        clock=clock,
        turns=turns,
        storms=storms,
        ack_url=links.url,
        storm_url=links.storm_url,
        wake=wake,
        fallback=config.oncall.fallback,
    )


def _oncall(
    config: Config, clock: Clock, session: aiohttp.ClientSession, turns: Turns, messages: slack.Slack | None
) -> dict[str, Target]:
    if not config.oncall.is_prepared:
        return {}

    def target(name: str, default: str | None = None) -> Target:
        return servicenow.ServiceNowTarget(
            config.oncall.servicenow,
            clock=clock,
            session=session,
            turns=turns,
            service=config.name,
            name=name,
            default=default,
        )

    found = {servicenow.NAME: target(servicenow.NAME)}
    fallback = config.oncall.fallback
    if fallback.target is not None and fallback.servicenow_other_instance:
        found[fallback.target] = target(fallback.target, fallback.servicenow_other_instance)
    elif fallback.target is not None and messages is not None and messages.fallback is not None:
        found[fallback.target] = messages.fallback
    return found


def _desk(config: Config, lifecycle: Lifecycle, redis: RedisClient, session: aiohttp.ClientSession) -> Desk | None:
    slack_config = config.alert.slack
    if not slack_config.enable or not slack_config.is_interactive:
        return None
    api = slack.SlackApi(slack_config, session)
    return Desk(slack_config, lifecycle=lifecycle, people=KnownPeople(redis), requests=TakenRequests(redis), api=api)


def _slack_door(config: Config, desk: Desk | None, clock: SharedClock) -> SlackDoor | None:
    secret = config.alert.slack.signing_secret.get_secret_value()
    return SlackDoor(secret, desk, clock) if desk is not None and secret else None


def _socket_mode(config: Config, desk: Desk | None, session: aiohttp.ClientSession) -> SocketMode | None:
    if desk is None or not config.alert.slack.app_token.get_secret_value():
        return None
    return SocketMode(config.alert.slack, desk, session)


_Loops = dict[str, Coroutine[Any, Any, None]]
"""What runs for as long as the process does, each by its name in the log."""


def _background(parts: _Parts, stop: asyncio.Event) -> _Loops:
    """The loops that are cancelled in the end."""
    loops: _Loops = {
        "clock": _follow_clock(parts, stop),
        "sns": parts.sns.run(stop),
        "watchdog": parts.watchdog.run(stop),
    }
    if parts.heartbeat is not None:
        loops["heartbeat"] = parts.heartbeat.run(stop)
    if parts.embedded is not None:
        loops["embedded redis"] = parts.embedded.watch()
    return loops


def _working(parts: _Parts, stop: asyncio.Event) -> _Loops:
    """The loops that end by themselves, soon after *stop*."""
    found = {"interactions": parts.desk, "socket mode": parts.socket, "storms": parts.digests}
    return {"worker": _work(parts)} | {name: it.run(stop) for name, it in found.items() if it is not None}


def _start(named: _Loops, stop: asyncio.Event, loops: asyncio.TaskGroup) -> list[asyncio.Task[None]]:
    return [loops.create_task(_owned(name, work, stop)) for name, work in named.items()]


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


async def _listen(runner: web.AppRunner, host: str, port: int, settings: str, *, most: int) -> None:
    await runner.setup()
    try:
        await BoundedSite(runner, host, port, most=most).start()
    except OSError as exc:
        reason = str(exc) if exc.errno is None else os.strerror(exc.errno)
        raise VersusError(f"cannot listen on {host}:{port} ({settings}): {reason}") from None


async def _tell_time(parts: _Parts) -> None:
    """So that the first alert has not to be refused. Where Redis is away, the worker goes on asking."""
    with suppress(StoreUnavailable, TimeoutError):
        async with asyncio.timeout(FIRST_TIME_TIMEOUT_S):
            await parts.clock.follow(parts.store.server_time_ms)


async def _work(parts: _Parts) -> None:
    """The worker, as soon as Redis has told the time and the key that links are signed with."""
    while True:
        try:
            await parts.clock.follow(parts.store.server_time_ms)
            if parts.links.key is None:
                parts.links.key = await parts.store.signing_key()
            break
        except StoreUnavailable as exc:
            log.warning("redis.unavailable", error=str(exc))
            if await parts.worker.stopped_within(1):
                return
    for warning in await durability_warnings(parts.redis, parts.redis_config):
        log.warning("redis.warning", warning=warning)
    await parts.worker.run()


async def _follow_clock(parts: _Parts, stop: asyncio.Event) -> None:
    # Looks at *stop* by itself: a cancellation that meets an answer can get lost in redis-py.
    while not stop.is_set():
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOCK_EVERY_S):
                await stop.wait()
        try:
            await parts.clock.follow(parts.store.server_time_ms)
        except StoreUnavailable as exc:
            log.warning("redis.unavailable", error=str(exc))
