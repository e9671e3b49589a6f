"""Redis: whether it answers, is new enough, and keeps what it is given."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime

from versus_py.clock import ClockNotes, SharedClock
from versus_py.config import Config, RedisConfig
from versus_py.errors import StoreUnavailable, VersusError
from versus_py.store import Loss, Markers, SharedTime
from versus_py.store.connection import OLDEST_VERSION, ServerFacts, connect, inspect_server
from versus_py.store.embedded import inspect_embedded
from versus_py.store.partitioning import OtherPartitions, check_partitions
from versus_py.targets.check import Check, CheckStatus
from versus_py.targets.remote_clock import FAR_APART_MS

NAME = "Redis"
CLOCK = "Redis clock"
DATA = "Redis data"
DURABILITY = "Redis durability"

_ACCEPT = "find out why, look after what was open by hand, then run: versus accept-empty"

CLOCK_TIMEOUT_S = 2.0


async def examine(config: Config) -> AsyncIterator[Check]:
    if config.redis.is_embedded:
        yield _embedded(config)
        return
    try:
        facts = await inspect_server(config.redis)
    except StoreUnavailable as exc:
        yield Check(NAME, CheckStatus.FAILED, str(exc), _advice(config.redis))
        return
    yield _server(facts)
    if (other := await _other_partitions(config.redis)) is not None:
        yield Check(DATA, CheckStatus.FAILED, other.found, other.advice)
    if (loss := await _lost(config.redis)) is not None:
        at = datetime.fromtimestamp(loss.at_ms / 1000, UTC)
        yield Check(DATA, CheckStatus.FAILED, f"lost at {at:%Y-%m-%d %H:%M:%S UTC}: {loss}", _ACCEPT)
    for check in _clocks(await shared_clock(config)):
        yield check
    for check in _durability(facts):
        yield check


async def _other_partitions(config: RedisConfig) -> OtherPartitions | None:
    """What keeps a server with this configuration from starting."""
    async with connect(config) as client:
        try:
            await check_partitions(client)
        except OtherPartitions as exc:
            return exc
    return None


async def _lost(config: RedisConfig) -> Loss | None:
    """What a server noticed and nobody has accepted."""
    async with connect(config) as client:
        return await Markers(client).open_loss()


async def shared_clock(config: Config) -> SharedClock | None:
    """The clock that replicas go by; None where it cannot be asked, or is this machine's: an embedded server's."""
    if config.redis.is_embedded:
        return None
    clock = SharedClock()
    try:
        async with asyncio.timeout(CLOCK_TIMEOUT_S), connect(config.redis) as client:
            shared = SharedTime(client)
            notes = await shared.notes()
            clock.consider(await clock.ask(shared.server_ms), ClockNotes(notes.lead_ms, notes.lead_since_ms))
    except (StoreUnavailable, TimeoutError):
        return None
    return clock


def _clocks(clock: SharedClock | None) -> Iterator[Check]:
    if clock is None:
        return
    for name, ahead_ms in (
        ("the time that replicas go by, since it has jumped", clock.server_ahead_ms),
        ("this machine's clock", clock.server_ahead_ms - clock.machine_ahead_ms),
    ):
        if abs(ahead_ms) > FAR_APART_MS:
            found = f"it is {abs(ahead_ms) / 1000:.0f} s {'ahead of' if ahead_ms > 0 else 'behind'} {name}"
            yield Check(CLOCK, CheckStatus.WARNING, found, "set the clocks of both machines by NTP")


def _advice(config: RedisConfig) -> str:
    if config.sentinel.hosts:
        return "check redis.sentinel and redis.password, and that the sentinels and the primary run"
    if config.cluster.hosts:
        return "check redis.cluster.hosts, redis.password and redis.tls, and that the nodes run"
    where = "redis.url" if config.url else "redis.host, redis.port, redis.password and redis.tls"
    return f"check {where}, and that the server runs"


def _embedded(config: Config) -> Check:
    """Nothing is started: a second server on a data_dir in use would be the end of the first."""
    try:
        holder = inspect_embedded(config.data_dir)
    except VersusError as exc:
        return Check(NAME, CheckStatus.FAILED, str(exc), "name a folder that can be written, or set redis.host")
    use = f"in use by process {holder}" if holder else "can be written"
    return Check(NAME, CheckStatus.OK, f"embedded Valkey; data_dir {str(config.data_dir)!r} {use}")


def _server(facts: ServerFacts) -> Check:
    oldest = ".".join(map(str, OLDEST_VERSION))
    if facts.is_replica:
        return Check(NAME, CheckStatus.FAILED, "this is a replica, which takes no writes", "name the primary")
    if facts.is_too_old:
        return Check(NAME, CheckStatus.FAILED, f"version {facts.version}", f"use Redis {oldest} or later, or Valkey")
    if not facts.version:
        return Check(
            NAME, CheckStatus.WARNING, "it answers, but tells no version", f"make sure it is {oldest} or later"
        )
    said = f"version {facts.version}" if facts.servers == 1 else f"{facts.servers} primaries, version {facts.version}"
    return Check(NAME, CheckStatus.OK, said)


def _durability(facts: ServerFacts) -> list[Check]:
    checks = [_check(CheckStatus.FAILED, it) for it in facts.refusals]
    checks += [_check(CheckStatus.WARNING, it) for it in facts.warnings]
    if not facts.tells_settings:
        advice = "make sure that it evicts nothing (noeviction) and keeps an append-only file"
        checks.append(Check(DURABILITY, CheckStatus.WARNING, "it does not tell its settings", advice))
    return checks or [Check(DURABILITY, CheckStatus.OK, "noeviction, append-only file")]


def _check(status: CheckStatus, sentence: str) -> Check:
    found, _, advice = sentence.partition("; ")
    return Check(DURABILITY, status, found, advice)
