"""redis-py's clients, as we need them where it leaves something open: behind Sentinel, and on a cluster."""

import asyncio
from typing import Any

from redis.asyncio import BlockingConnectionPool
from redis.asyncio.cluster import RedisCluster
from redis.asyncio.sentinel import SentinelConnectionPool

from versus_py.store.wire import leave_idle


class SentinelPool(SentinelConnectionPool, BlockingConnectionPool):
    """Asks the sentinels for the primary at each connect; who finds no free connection waits for one."""

    async def get_master_address(self) -> tuple[str, int]:
        """As redis-py's, but for how idle connections to the last primary are closed."""
        address: tuple[str, int] = await self.sentinel_manager.discover_master(self.service_name)
        if address != self.master_address:
            self.master_address = address
            await leave_idle(self)
        return address


class ClusterClient(RedisCluster):
    """A client of a cluster on which who finds no free connection waits, and the loss of one node is not that of all.

    redis-py closes every connection, also those that others wait on, when one node says that the cluster is down: here
    it looks anew where everything is, and leaves the connections to the other nodes alone.
    """

    def __init__(self, *, calls_max: int, wait_s: float, **options: Any) -> None:
        super().__init__(max_connections=2 * calls_max, **options)
        self._calls = asyncio.Semaphore(calls_max)
        self._wait_s = wait_s
        self._is_leaving = False

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """Raises TimeoutError when no connection becomes free."""
        async with asyncio.timeout(self._wait_s):
            await self._calls.acquire()
        try:
            await self.initialize()
            return await super().execute_command(*args, **options)
        finally:
            self._calls.release()

    async def aclose(self) -> None:
        if self._is_leaving:
            await super().aclose()
        else:
            self._initialize = True

    async def leave(self) -> None:
        """Close all connections; nothing else is called afterwards."""
        self._is_leaving = True
        self._initialize = False  # redis-py closes nothing while it is about to look anew where everything is
        await self.aclose()
