"""Connecting to Redis, and looking at whether it can be trusted with incidents."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from redis.asyncio import BlockingConnectionPool, Connection, Redis, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import RedisError

from versus_py.config import RedisConfig
from versus_py.store.embedded import EmbeddedServer, run_embedded

CONNECT_TIMEOUT_S = 2.0
ANSWER_TIMEOUT_S = 5.0
CONNECTIONS_MAX = 50
"""Most connections of one process; who needs a further one waits for it."""

_RETRIES = 2
"""Reconnects within one call, for connections that a restart of Redis left half-open. Scripts bear repetition."""


@asynccontextmanager
async def open_redis(config: RedisConfig, data_dir: Path) -> AsyncIterator[tuple[Redis, EmbeddedServer | None]]:
    """A client for the configured Redis, or for a server of our own when none is configured."""
    if not config.is_embedded:
        async with connect(config) as client:
            yield client, None
        return
    async with run_embedded(data_dir) as server, connect(RedisConfig(url=f"unix://{server.socket}")) as client:
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


async def durability_warnings(client: Redis) -> list[str]:
    """What in the server's set-up could lose incidents; empty also when the server does not tell."""
    try:
        policy = (await client.config_get("maxmemory-policy")).get("maxmemory-policy", "noeviction")
        limit = int(str((await client.config_get("maxmemory")).get("maxmemory", 0)))
        append_only = (await client.config_get("appendonly")).get("appendonly", "yes")
    except RedisError:
        return []  # managed services refuse CONFIG
    warnings = []
    if policy != "noeviction":
        when = f"once {limit} bytes are used" if limit else "as soon as maxmemory is set"
        warnings.append(f"maxmemory-policy is {policy}: Redis drops incidents {when}; set it to noeviction")
    if append_only != "yes":
        warnings.append("appendonly is off: a restart of Redis loses incidents; set appendonly yes")
    return warnings
