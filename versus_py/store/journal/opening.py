"""The journal that the configuration asks for."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from versus_py.config import Config
from versus_py.store.calls import RedisClient
from versus_py.store.durability import Durability
from versus_py.store.journal.file import Appender, FileJournal
from versus_py.store.journal.in_redis import RedisJournal
from versus_py.store.journal.journal import Journal
from versus_py.telemetry.metrics import Metrics

DAY_MS = 24 * 3600 * 1000


@asynccontextmanager
async def open_journal(
    config: Config, redis: RedisClient, *, durability: Durability | None, metrics: Metrics
) -> AsyncIterator[Journal | None]:
    """None where none is kept. Raises VersusError when its file cannot be used.

    A line in Redis is kept for a day longer than an incident that does not change any more.
    """
    match config.journal.keep:
        case "none":
            yield None
        case "redis":
            keep_ms = round(config.retention_days * DAY_MS) + DAY_MS
            yield RedisJournal(redis, keep_ms=keep_ms, durability=durability, metrics=metrics)
        case "file":
            async with FileJournal(Appender(config.journal_file), metrics) as journal:
                yield journal
