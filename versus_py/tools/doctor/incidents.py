"""The incidents that Redis holds, for the checks of systems: read, and nothing else."""

import asyncio
from collections.abc import AsyncIterator

from versus_py.config import Config
from versus_py.errors import StoreUnavailable, VersusError
from versus_py.store import Page, Store
from versus_py.store.connection import connect, reach_redis
from versus_py.store.embedded import holds_incidents, socket_in_use
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


async def stored_incidents(config: Config, reading: asyncio.Lock, wanted: Wanted) -> Page:
    """Those that are *wanted*, newest first; a cursor says that there are more. Raises StoreUnavailable.

    Of an embedded Valkey also while no server runs: one is started for this, and for one who is *reading* at a time.
    """
    async with reading:
        if is_empty(config):
            return Page((), None)
        try:
            return await _read(config, wanted)
        except StoreUnavailable:
            raise
        except VersusError as exc:
            raise StoreUnavailable(str(exc)) from exc


def is_empty(config: Config) -> bool:
    """Whether there is only a folder for an embedded Valkey, in which nothing was ever kept."""
    return config.redis.is_embedded and not holds_incidents(config.data_dir) and not socket_in_use(config.data_dir)


async def _read(config: Config, wanted: Wanted) -> Page:
    async with reach_redis(config.redis, config.data_dir) as client:
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
