"""The incidents that Redis holds, for the checks of systems: read, and nothing else."""

from collections.abc import AsyncIterator

from versus_py.config import Config
from versus_py.errors import StoreUnavailable
from versus_py.store import Page, Store
from versus_py.store.connection import connect
from versus_py.targets.check import Check, CheckStatus
from versus_py.targets.system import Wanted

NAME = "Incidents"
_NEWER = (
    "start the newer version that wrote them, then run: versus retry --all; versus incidents list names all of them"
)

PAGE = 200
PAGES_MAX = 10
"""So much is read at most: the checks have seconds."""

NAMED_MAX = 5


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
            page = Page((*page.incidents, *more.incidents), more.cursor, (*page.unread, *more.unread))
        return page


async def examine(config: Config) -> AsyncIterator[Check]:
    """Those that cannot be read, of the newest ones and of what was given up; nothing when there are none."""
    if config.redis.is_embedded:
        return
    async with connect(config.redis) as client:
        store = Store(client, retention_ms=0, reopen_ms=0)
        try:
            newest, given_up = await store.page(limit=PAGE), await store.given_up(limit=PAGE)
        except StoreUnavailable:
            return  # which the check of Redis says
    unread = sorted({it.incident_id for it in newest.unread} | {it.incident_id for it in given_up.unread})
    if unread:
        named = ", ".join(unread[:NAMED_MAX]) + (", …" if len(unread) > NAMED_MAX else "")
        yield Check(NAME, CheckStatus.FAILED, f"{len(unread)} cannot be read by this version: {named}", _NEWER)
