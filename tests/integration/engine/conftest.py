"""Two processes, on one Redis."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from tests.integration.conftest import DAY_MS
from tests.support.clock import FakeClock
from tests.support.redis_servers import SharedRedis
from tests.support.replicas import Replica
from tests.support.waiting import DEADLINE_S
from versus_py.store import Store
from versus_py.store.connection import connect


@pytest.fixture
async def replicas(shared_redis: SharedRedis, clock: FakeClock) -> AsyncIterator[list[Replica]]:
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(connect(shared_redis.config)) for _ in range(2)]
        stores = [Store(it, retention_ms=7 * DAY_MS, reopen_ms=5 * 60_000, settle_ms=60_000) for it in clients]
        yield [Replica(it, clock) for it in stores]


@pytest.fixture
def here(replicas: list[Replica]) -> Replica:
    return replicas[0]


@pytest.fixture
def there(replicas: list[Replica]) -> Replica:
    return replicas[1]


@pytest.fixture
def wakes_by_news_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker looks by itself once an hour, and news have all the time that they need on a busy machine."""
    monkeypatch.setattr("versus_py.engine.worker.IDLE_MAX_S", 3600)
    monkeypatch.setattr("versus_py.store.announcements.TIMEOUT_S", DEADLINE_S)
