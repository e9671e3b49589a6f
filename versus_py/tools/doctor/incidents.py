"""The incidents that Redis holds, for the checks of systems: read, and nothing else."""

from versus_py.config import Config
from versus_py.errors import StoreUnavailable
from versus_py.store import Page, Store
from versus_py.store.connection import connect
from versus_py.targets.system import Wanted

PAGE = 200
PAGES_MAX = 10
"""So much is read at most: the checks have seconds."""


async def stored_incidents(config: Config, wanted: Wanted) -> Page:
    """Those that are *wanted*, newest first; a cursor says that there are more. Raises StoreUnavailable."""
    if config.redis.is_embedded:
        raise StoreUnavailable("they are in an embedded Valkey, which only the process that runs it can reach")
    async with connect(config.redis) as client:
        store = Store(client, retention_ms=0, reopen_ms=0)  # which only matter to what writes
        page = await store.page(wanted=wanted, limit=PAGE)
        for _ in range(PAGES_MAX - 1):
            if page.cursor is None:
                break
            more = await store.page(wanted=wanted, limit=PAGE, cursor=page.cursor)
            page = Page((*page.incidents, *more.incidents), more.cursor)
        return page
