"""`versus audit`: whether everything that the journal says was accepted came to exactly one outcome.

It reads the journal and Redis, not a server: the server may run meanwhile, or not.
"""

from collections.abc import Sequence
from pathlib import Path

from versus_py.config import Config
from versus_py.engine.watchdog import GRACE_MS
from versus_py.engine.worker import lease_ms
from versus_py.errors import VersusError
from versus_py.store.calls import RedisClient
from versus_py.store.connection import reach_redis
from versus_py.store.inspection import Inspection
from versus_py.store.journal import JournalFile, StoredJournal, Written
from versus_py.systems import registered
from versus_py.tools.audit.audit import Audit
from versus_py.tools.audit.report import Finding, Report, What

__all__ = ["Audit", "Finding", "Report", "What", "audit"]

DAY_MS = 24 * 3600 * 1000


async def audit(config: Config, files: Sequence[Path] = ()) -> Report:
    """Compare the configured journal, or those in *files*, with Redis. Raises VersusError when that cannot be done."""
    if not files and config.journal.keep == "none":
        raise VersusError(
            "journal.keep is none: no journal is kept here; set it to redis or file, or name a journal with --journal"
        )
    async with reach_redis(config.redis, config.data_dir) as client:
        inspection, retention_ms = Inspection(client), round(config.retention_days * DAY_MS)
        checking = Audit(inspection, inspection.now_ms, retention_ms=retention_ms, grace_ms=_grace_ms(config))
        return await checking.run(_journals(config, files, client))


def _journals(config: Config, files: Sequence[Path], client: RedisClient) -> list[Written]:
    if files:
        return [JournalFile(it) for it in files]
    return [JournalFile(config.journal_file) if config.journal.keep == "file" else StoredJournal(client)]


def _grace_ms(config: Config) -> int:
    """As the watchdog's: a worker that died costs as much as a lease."""
    used = {part.NAME for part in config.systems_in_use()}
    settles_within_s = max((it.abilities.settles_within_s for it in registered() if it.name in used), default=0.0)
    return lease_ms(settles_within_s) + GRACE_MS
