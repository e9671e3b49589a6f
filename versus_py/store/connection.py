"""Connecting to Redis, and looking at whether it can be trusted with incidents."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from redis.asyncio import BlockingConnectionPool, Connection, Redis, SSLConnection
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import ExponentialWithJitterBackoff, NoBackoff
from redis.exceptions import ResponseError

from versus_py.config import RedisConfig
from versus_py.errors import StoreUnavailable, VersusError
from versus_py.incidents.partitions import use_partitions
from versus_py.store import batches
from versus_py.store.calls import FAILURES, RedisClient, Server, primaries, unavailable
from versus_py.store.clients import ClusterClient, SentinelPool
from versus_py.store.durability import sync_refusal
from versus_py.store.embedded import (
    EmbeddedServer,
    holds_incidents,
    outlast_orphan,
    run_embedded,
    socket_in_use,
    url_of,
)
from versus_py.store.partitioning import check_partitions
from versus_py.store.wire import lighten

CONNECT_TIMEOUT_S = 2.0
ANSWER_TIMEOUT_S = 5.0
CONNECTIONS_MAX = 50
"""Most connections of one process; who needs a further one waits for it."""

OLDEST_VERSION = (6, 2)
"""The oldest Redis that knows what the scripts say: SET … PXAT."""

_SSL_OPTIONS = {"tls_ca_file": "ssl_ca_certs", "tls_cert_file": "ssl_certfile", "tls_key_file": "ssl_keyfile"}
"""What redis-py calls the files of TLS."""

_RETRIES = 2
"""Reconnects within one call, for connections that a restart of Redis left half-open.

Scripts bear repetition: what a call did whose answer was lost is not done twice, but for a repeat that counts twice.
The second answer may say that it was done before.
"""


@asynccontextmanager
async def open_redis(config: RedisConfig, data_dir: Path) -> AsyncIterator[tuple[RedisClient, EmbeddedServer | None]]:
    """A client for the configured Redis, or for a server of our own when none is configured."""
    if not config.is_embedded:
        async with connect(config) as client:
            yield client, None
        return
    async with (
        run_embedded(data_dir, syncs_at_once=config.durability == "fsync") as server,
        connect(RedisConfig(url=url_of(server.socket))) as client,
    ):
        yield client, server


@asynccontextmanager
async def reach_redis(config: RedisConfig, data_dir: Path) -> AsyncIterator[RedisClient]:
    """A client for what is kept already, beside the service: of the embedded server, also while that runs.

    While it does not, one is started for this. Raises VersusError when nothing is kept in *data_dir*, it cannot be
    reached, or is spread over another number of partitions.
    """
    use_partitions(config.partitions)
    async with _reach(config, data_dir) as client:
        await check_partitions(client)
        yield client


@asynccontextmanager
async def _reach(config: RedisConfig, data_dir: Path) -> AsyncIterator[RedisClient]:
    if not config.is_embedded:
        async with connect(config) as client:
            yield client
        return
    await outlast_orphan(data_dir)
    if (socket := socket_in_use(data_dir)) is not None:
        async with connect(RedisConfig(url=url_of(socket))) as client:
            yield client
    elif not holds_incidents(data_dir):
        raise VersusError(f"nothing is kept in data_dir {str(data_dir)!r}: name the folder of the server")
    else:
        async with open_redis(config, data_dir) as (client, _):
            yield client


@asynccontextmanager
async def connect(config: RedisConfig) -> AsyncIterator[RedisClient]:
    """A client that connects when it is first used, and again whenever a connection was lost."""
    if config.cluster.hosts:
        cluster = _cluster(config)
        try:
            async with _finished(cluster):
                yield cluster
        finally:
            await cluster.leave()
    elif config.sentinel.hosts:
        async with make_sentinel(config) as sentinel:
            options = _pool_options(config) | {"connection_pool_class": SentinelPool}
            async with (
                sentinel.master_for(config.sentinel.master_name, **options) as primary,
                _finished(primary),
            ):
                lighten(primary.connection_pool)
                yield primary
    else:
        async with _single(config) as client, _finished(client):
            yield client


@asynccontextmanager
async def _finished(client: RedisClient) -> AsyncIterator[None]:
    try:
        yield
    finally:
        await batches.finish(client)


def make_sentinel(config: RedisConfig) -> Sentinel:
    """The sentinels, to be asked. One that does not answer costs a connect timeout, and the next is asked."""
    return Sentinel(  # type: ignore[no-untyped-call]  # redis-py leaves it unannotated
        [_host_port(it) for it in config.sentinel.hosts],
        sentinel_kwargs={
            "username": config.sentinel.username,
            "password": config.sentinel.password.get_secret_value() or None,
            "socket_connect_timeout": CONNECT_TIMEOUT_S / 2,
            "socket_timeout": CONNECT_TIMEOUT_S / 2,
            "retry": Retry(NoBackoff(), 0),
            **_tls_options(config),
        },
    )


def _single(config: RedisConfig) -> Redis:
    options = _pool_options(config)
    if config.url is not None:
        for name in ("db", "username", "password", "ssl"):
            options.pop(name, None)
        pool = BlockingConnectionPool.from_url(config.url.get_secret_value(), **options)
    else:
        connection_class = SSLConnection if options.pop("ssl", False) else Connection
        options |= {"host": config.host, "port": config.port, "connection_class": connection_class}
        pool = BlockingConnectionPool(**options)
    lighten(pool)
    return Redis.from_pool(pool)


def _cluster(config: RedisConfig) -> ClusterClient:
    return ClusterClient(
        startup_nodes=[ClusterNode(*_host_port(it)) for it in config.cluster.hosts],
        require_full_coverage=False,  # the incidents of other nodes go on
        reinitialize_steps=0,  # a slot that has moved says where to
        calls_max=CONNECTIONS_MAX,
        wait_s=ANSWER_TIMEOUT_S,
        **_options(config),
    )


def _pool_options(config: RedisConfig) -> dict[str, Any]:
    waiting = {"max_connections": CONNECTIONS_MAX, "timeout": ANSWER_TIMEOUT_S}  # for a free connection
    return _options(config) | waiting | {"db": config.db}


def _options(config: RedisConfig) -> dict[str, Any]:
    return {
        "decode_responses": True,
        "encoding_errors": "replace",  # bytes that are no text damage one incident, which is unreadable then
        "socket_connect_timeout": CONNECT_TIMEOUT_S,
        "socket_timeout": ANSWER_TIMEOUT_S,
        "retry": Retry(ExponentialWithJitterBackoff(base=0.05, cap=0.5), _RETRIES),
        "client_name": "versus",
        "username": config.username,
        "password": config.password.get_secret_value() or None,
        **_tls_options(config),
    }


def _tls_options(config: RedisConfig) -> dict[str, Any]:
    if not config.uses_tls:
        return {}
    options: dict[str, Any] = {"ssl": True}
    if config.insecure_skip_verify:
        options |= {"ssl_cert_reqs": "none", "ssl_check_hostname": False}
    return options | {_SSL_OPTIONS[name]: str(path) for name, path in config.tls_files.items()}


def _host_port(address: str) -> tuple[str, int]:
    parts = urlsplit(f"//{address}")
    return str(parts.hostname), int(parts.port or 0)


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What a Redis server says of itself."""

    version: str  # Redis' own numbering, also Valkey's; "" when it does not tell
    is_replica: bool
    tells_settings: bool  # managed services do not
    warnings: tuple[str, ...]  # what in its set-up could lose incidents
    refusals: tuple[str, ...] = ()  # why alerts are answered with 503
    servers: int = 1  # that hold incidents: of a cluster all primaries

    @property
    def is_too_old(self) -> bool:
        return bool(_numbers(self.version)) and _numbers(self.version) < OLDEST_VERSION


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())


async def inspect_server(config: RedisConfig) -> ServerFacts:
    """Ask the configured server about itself; nothing is written. Raises StoreUnavailable when it does not answer.

    Of a cluster its primaries are asked, and the facts are those of the worst.
    """
    async with connect(config) as client:
        try:
            told = [await _told(server, config) for server in await primaries(client)]
            around = await _around(client, config)
        except FAILURES as exc:
            raise unavailable(exc) from exc
    if not told:
        raise StoreUnavailable("none of its nodes holds anything")
    return ServerFacts(
        version=min((it.version for it in told), key=_numbers),
        is_replica=any(it.is_replica for it in told),
        tells_settings=all(it.tells_settings for it in told),
        warnings=tuple(dict.fromkeys([*(warning for it in told for warning in it.warnings), *around])),
        refusals=tuple(dict.fromkeys(refusal for it in told for refusal in it.refusals)),
        servers=len(told),
    )


async def durability_warnings(client: RedisClient, config: RedisConfig) -> list[str]:
    """What in the servers' set-up could lose incidents, or keeps them from being as sure as configured.

    Empty also when a server does not tell.
    """
    try:
        told = [await _told(server, config) for server in await primaries(client)]
        return list(dict.fromkeys(said for it in told for said in (*it.refusals, *it.warnings)))
    except FAILURES:
        return []


async def _told(server: Server, config: RedisConfig) -> ServerFacts:
    await server.execute_command("PING")
    info, settings = await _info(server), await _settings(server)
    warnings = [*_could_lose_incidents(settings or {}), *await _not_provided(server, config, info, settings or {})]
    prefix = f"{server.name}: " if isinstance(server, ClusterNode) else ""
    return ServerFacts(
        version=str(info.get("redis_version", "")),
        is_replica=info.get("role") in {"slave", "replica"},
        tells_settings=settings is not None,
        warnings=tuple(f"{prefix}{warning}" for warning in warnings),
        refusals=tuple(f"{prefix}{refusal}" for refusal in _refusals(config, info)),
    )


async def _around(client: RedisClient, config: RedisConfig) -> list[str]:
    """What could keep the sentinels or the cluster from putting another server in the place of one that is lost."""
    if isinstance(client, RedisCluster):
        return await _cluster_warnings(client)
    if not config.sentinel.hosts:
        return []
    async with make_sentinel(config) as sentinels:
        return [
            f"sentinel {address} does not answer: {exc}; start it, or correct redis.sentinel"
            for address, one in zip(config.sentinel.hosts, sentinels.sentinels, strict=True)
            if (exc := await _failure(one)) is not None
        ]


async def _cluster_warnings(cluster: RedisCluster) -> list[str]:
    info = await cluster.cluster_info()
    warnings = []
    if info.get("cluster_state") != "ok":
        warnings.append(f"cluster_state is {info.get('cluster_state')}: incidents wait for it; see CLUSTER INFO")
    replicated = {primary.name for primary, *replicas in cluster.nodes_manager.slots_cache.values() if replicas}
    warnings += [
        f"{node.name} has no replica: its incidents wait for it when it is lost; add a replica"
        for node in cluster.get_primaries()
        if node.name not in replicated
    ]
    return warnings


async def _failure(server: Redis) -> Exception | None:
    try:
        await server.ping()
    except FAILURES as exc:
        return exc
    return None


def _refusals(config: RedisConfig, info: Mapping[str, Any]) -> list[str]:
    """Sentences; what is not told is taken to be right."""
    refusals = []
    used, limit = int(info.get("used_memory", 0)), int(info.get("maxmemory", 0))
    if 0 < limit <= used and info.get("maxmemory_policy") == "noeviction":
        refusals.append(f"it is full: {used} of {limit} bytes are used; raise maxmemory")
    attached = info.get("connected_slaves", config.replicas)
    if config.durability == "replicated" and attached < config.replicas:
        missing = f"redis.durability is replicated, but {attached} of {config.replicas} replicas are attached: "
        refusals.append(missing + "alerts are answered with 503 until they are; start them, or set redis.replicas")
    return refusals


async def _not_provided(
    server: Server, config: RedisConfig, info: Mapping[str, Any], settings: Mapping[str, Any]
) -> list[str]:
    """Why the server is less sure of a write than redis.durability asks for."""
    if config.durability == "fsync" and settings.get("appendfsync") != "always":
        refusal = await sync_refusal(server)
        if refusal is None and not waits_for_the_disk(info):
            refusal = "its WAITAOF answers before the disk has it"
        if refusal is not None:
            missing = f"redis.durability is fsync, but the server cannot tell what is on disk ({refusal}): a power cut "
            return [missing + "can lose what was accepted; set appendonly yes and appendfsync always"]
    return []


def waits_for_the_disk(info: Mapping[str, Any]) -> bool:
    """Whether WAITAOF can be believed without appendfsync always.

    With everysec, it answers up to a second early until Redis 8 (github.com/redis/redis/pull/13793), and in every
    Valkey up to 9.1.
    """
    return "valkey_version" not in info and _numbers(str(info.get("redis_version", ""))) >= (8, 0)


async def _info(server: Server) -> dict[str, Any]:
    """Empty where an access control list forbids the question."""
    try:
        return dict(await server.execute_command("INFO"))
    except ResponseError:
        return {}


async def _settings(server: Server) -> dict[str, Any] | None:
    """The server's settings; None when it does not tell them, as managed services do."""
    settings: dict[Any, Any] = {}
    try:
        for name in ("maxmemory", "maxmemory-policy", "appendonly", "appendfsync"):  # several at once: from Redis 7
            settings |= await server.execute_command("CONFIG GET", name)
    except ResponseError:
        return None
    return settings


def _could_lose_incidents(settings: Mapping[str, Any]) -> list[str]:
    """Sentences; a setting that is not told is taken to be right."""
    policy = settings.get("maxmemory-policy", "noeviction")
    limit = int(str(settings.get("maxmemory", 0)))
    warnings = []
    if policy != "noeviction":
        when = f"once {limit} bytes are used" if limit else "as soon as maxmemory is set"
        warnings.append(f"maxmemory-policy is {policy}: Redis drops incidents {when}; set it to noeviction")
    if settings.get("appendonly", "yes") != "yes":
        warnings.append("appendonly is off: a restart of Redis loses incidents; set appendonly yes")
    elif settings.get("appendfsync") == "no":
        warnings.append(
            "appendfsync is no: a power cut loses what the system has not written to disk; set appendfsync everysec"
        )
    return warnings
