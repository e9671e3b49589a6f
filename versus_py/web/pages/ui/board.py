"""The rows of all open incidents. Each is made once for a version of its incident, whoever looks."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from versus_py.clock import Clock
from versus_py.errors import Unreadable
from versus_py.incidents.model import IncidentId, Status
from versus_py.store import Store
from versus_py.targets import Called
from versus_py.web.pages.ui.rows import Row, row_of

READ_AT_ONCE = 25
"""Others are served in between."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What is open, in no order."""

    rows: tuple[Row, ...] = ()
    unread: tuple[IncidentId, ...] = ()  # those that this version cannot read


class Board:
    """*called* tells what people call a target."""

    def __init__(self, store: Store, clock: Clock, called: Called) -> None:
        self._store = store
        self._clock = clock
        self._called = called
        self._rows: dict[IncidentId, Row] = {}
        self._looking = asyncio.Lock()
        self._begun = 0
        self._sight = Sight()

    async def look(self) -> Sight:
        """How things stand now, at the earliest when this was called. Raises StoreUnavailable."""
        asked = self._begun
        async with self._looking:
            if self._begun <= asked:  # else somebody began to look since, and has looked for us too
                self._begun += 1
                self._sight = await self._looked()
            return self._sight

    async def _looked(self) -> Sight:
        versions = await self._store.standings.open_versions(now_ms=self._clock.now_ms())
        known = {it: row for it, row in self._rows.items() if versions.get(it) == row.version}
        changed = [it for it in versions if it not in known]
        unread: list[IncidentId] = []
        for start in range(0, len(changed), READ_AT_ONCE):
            unread += await self._read(changed[start : start + READ_AT_ONCE], known)
        self._rows = known
        return Sight(tuple(known.values()), tuple(unread))

    async def _read(self, ids: Sequence[IncidentId], into: dict[IncidentId, Row]) -> list[IncidentId]:
        """Those of *ids* that cannot be read; the rest is put *into* the rows."""
        unread = []
        for incident_id, found in zip(ids, await self._store.get_each(ids), strict=True):
            if isinstance(found, Unreadable):
                unread.append(incident_id)
            elif found is not None and found.status is not Status.RESOLVED:
                into[incident_id] = row_of(found, self._called)
        await asyncio.sleep(0)
        return unread
