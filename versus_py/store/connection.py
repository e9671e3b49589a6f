"""Connecting to Redis, and looking at whether it can be trusted with incidents."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from redis.asyncio import BlockingConnectionPool, Connection, Redis, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import ResponseError

from versus_py.config import RedisConfig
from versus_py.store.calls import FAILURES, RedisClient, answered, unavailable
from versus_py.store.durability import sync_refusal
from versus_py.store.embedded import EmbeddedServer, run_embedded

CONNECT_TIMEOUT_S = 2.0
ANSWER_TIMEOUT_S = 5.0
CONNECTIONS_MAX = 50
"""Most connections of one process; who needs a further one waits for it."""

SYNCS_SINCE = "Redis 7.2 or Valkey"
"""What knows the command WAITAOF."""

OLDEST_VERSION = (6, 2)
"""The oldest Redis that knows what the scripts say: SET … PXAT."""

_RETRIES = 2
"""Reconnects within one call, for connections that a restart of Redis left half-open. Scripts bear repetition."""


@asynccontextmanager
async def open_redis(config: RedisConfig, data_dir: Path) -> AsyncIterator[tuple[Redis, EmbeddedServer | None]]:
    """A client for the configured Redis, or for a server of our own when none is configured."""
    if not config.is_embedded:
        async with connect(config) as client:
            yield client, None
        return
    async with (
        run_embedded(data_dir, syncs_at_once=config.durability == "fsync") as server,
        connect(RedisConfig(url=SecretStr(f"unix://{server.socket}"))) as client,
    ):
        yield client, server


def connect(config: RedisConfig) -> Redis:
    """A client that connects when it is first used, and again whenever a connection was lost."""
    options: dict[str, Any] = {
        "decode_responses": True,
        "socket_connect_timeout": CONNECT_TIMEOUT_S,
        "socket_timeout": ANSWER_TIMEOUT_S,
        "retry": Retry(ExponentialWithJitterBackoff(base=0.05, cap=0.5), _RETRIES),
        "client_name": "versus",
        "max_connections": CONNECTIONS_MAX,
        "timeout": ANSWER_TIMEOUT_S,  # for a free connection
    }
    uses_tls = config.tls if config.url is None else config.url.get_secret_value().startswith("rediss://")
    if uses_tls and config.insecure_skip_verify:
        options |= {"ssl_cert_reqs": "none", "ssl_check_hostname": False}
    if config.url is not None:
        return Redis.from_pool(BlockingConnectionPool.from_url(config.url.get_secret_value(), **options))
    options |= {"host": config.host, "port": config.port, "db": config.db, "username": config.username}
    options["password"] = config.password.get_secret_value() or None
    connection_class = SSLConnection if config.tls else Connection
    return Redis.from_pool(BlockingConnectionPool(connection_class=connection_class, **options))


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What a Redis server says of itself."""

    version: str  # Redis' own numbering, also Valkey's; "" when it does not tell
    is_replica: bool
    tells_settings: bool  # managed services do not
    warnings: tuple[str, ...]  # what in its set-up could lose incidents

    @property
    def is_too_old(self) -> bool:
        numbers = tuple(int(part) for part in self.version.split(".")[:2] if part.isdecimal())
        return bool(numbers) and numbers < OLDEST_VERSION


async def inspect_server(config: RedisConfig) -> ServerFacts:
    """Ask the configured server about itself; nothing is written. Raises StoreUnavailable when it does not answer."""
    async with connect(config) as client:
        await answered(client.ping())
        try:
            info = await _info(client)
            settings = await _settings(client)
            missing = await _not_provided(client, config, info, settings or {})
        except FAILURES as exc:
            raise unavailable(exc) from exc
    return ServerFacts(
        version=str(info.get("redis_version", "")),
        is_replica=info.get("role") in {"slave", "replica"},
        tells_settings=settings is not None,
        warnings=(*_could_lose_incidents(settings or {}), *missing),
    )


async def durability_warnings(client: RedisClient, config: RedisConfig) -> list[str]:
    """What in the server's set-up could lose incidents, or keeps it from being as sure as configured.

    Empty also when the server does not tell.
    """
    try:
        info, settings = await _info(client), await _settings(client) or {}
        return [*_could_lose_incidents(settings), *await _not_provided(client, config, info, settings)]
    except FAILURES:
        return []


async def _not_provided(
    client: RedisClient, config: RedisConfig, info: Mapping[str, Any], settings: Mapping[str, Any]
) -> list[str]:
    """Why the server is less sure of a write than redis.durability asks for."""
    if config.durability == "replicated":
        attached = info.get("connected_slaves", config.replicas)
        if attached < config.replicas:
            missing = f"redis.durability is replicated, but {attached} of {config.replicas} replicas are attached: "
            return [missing + "alerts are answered with 503 until they are; start them, or set redis.replicas"]
    if config.durability == "fsync":
        refusal = await sync_refusal(client)
        if refusal is not None and settings.get("appendfsync") != "always":
            missing = f"redis.durability is fsync, but Redis cannot tell what is on disk ({refusal}): a power cut can "
            return [
                f"{missing}lose what was accepted; use {SYNCS_SINCE} with appendonly yes, or set appendfsync always"
            ]
    return []


async def _info(client: RedisClient) -> dict[str, Any]:
    """Empty where an access control list forbids the question."""
    try:
        return dict(await client.info())
    except ResponseError:
        return {}


async def _settings(client: RedisClient) -> dict[str, Any] | None:
    """The server's settings; None when it does not tell them, as managed services do."""
    settings: dict[Any, Any] = {}
    try:
        for name in ("maxmemory", "maxmemory-policy", "appendonly", "appendfsync"):  # several at once: from Redis 7
            settings |= await client.config_get(name)
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
