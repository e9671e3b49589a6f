"""What is open: where each incident is, and the rows of those that somebody looks at.

Each row is made once for a version of its incident, whoever looks.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from versus_py.clock import Clock
from versus_py.errors import StoreUnavailable, Unreadable
from versus_py.incidents.model import IncidentId, Status
from versus_py.store import Store
from versus_py.store.standings import Standing
from versus_py.targets import Called
from versus_py.web.pages.ui.now import Now, now_of, wanted
from versus_py.web.pages.ui.rows import Row, Spot, row_of

READ_AT_ONCE = 25
"""Others are served in between."""

_UNKNOWN = -1


@dataclass(frozen=True, slots=True)
class Sight:
    """What is open, in no order."""

    spots: tuple[Row | Spot, ...] = ()  # a row, where it was read already
    unread: tuple[IncidentId, ...] = ()  # those that this version cannot read, as far as that is known


class Board:
    """*called* tells what people call a target."""

    def __init__(self, store: Store, clock: Clock, called: Called) -> None:
        self._store = store
        self._clock = clock
        self._called = called
        self._open: dict[IncidentId, Row | Spot] = {}
        self._unread: dict[IncidentId, int] = {}  # -> the version that cannot be read
        self._looking = asyncio.Lock()
        self._begun = 0

    async def look(self) -> Sight:
        """How things stand now, at the earliest when this was called. Raises StoreUnavailable."""
        asked = self._begun
        async with self._looking:
            if self._begun <= asked:  # else somebody began to look since, and has looked for us too
                self._begun += 1
                try:
                    await self._look()
                except StoreUnavailable:
                    self._begun -= 1  # who waits has to look
                    raise
            return self.sight

    async def now(self, *, query: str = "", waiting_after: str = "", taken_after: str = "") -> Now:
        """What Now shows at the moment. Raises ValueError for a cursor that is none."""
        await self.look()
        return await self.known_now(query=query, waiting_after=waiting_after, taken_after=taken_after)

    async def known_now(self, *, query: str = "", waiting_after: str = "", taken_after: str = "") -> Now:
        """The same by what is known, without a look."""
        part = {"query": query, "waiting_after": waiting_after, "taken_after": taken_after}
        async with self._looking:  # what another look replaces meanwhile would leave a hole
            await self._have_rows(wanted(self._open.values(), **part))
            return now_of(self._open.values(), **part, unread=len(self._unread))

    async def rows(self) -> Sequence[Row]:
        """All that is open, each read. Raises StoreUnavailable."""
        await self.look()
        async with self._looking:
            await self._have_rows([*self._open])
            return [it for it in self._open.values() if isinstance(it, Row)]

    async def read_again(self, ids: Iterable[IncidentId]) -> None:
        """These have changed, or may have."""
        async with self._looking:
            await self._read(dict.fromkeys(ids, _UNKNOWN), self._open)

    async def counts(self) -> dict[str, Any]:
        """What the navigation counts; nothing while Redis cannot be asked, so that the page is there."""
        try:
            spots = (await self.look()).spots
            return {
                "waiting": sum(not it.is_taken for it in spots),
                "failed": await self._store.history.failed_count(),
            }
        except StoreUnavailable:
            return {}

    @property
    def sight(self) -> Sight:
        """As it was seen last."""
        return Sight(tuple(self._open.values()), tuple(self._unread))

    @property
    def versions(self) -> Mapping[IncidentId, int]:
        return {it: spot.version for it, spot in self._open.items()}

    @property
    def waiting(self) -> int:
        """How many wait for an acknowledgment."""
        return sum(not it.is_taken for it in self._open.values())

    async def _look(self) -> None:
        found = await self._store.standings.all_open(now_ms=self._clock.now_ms())
        self._unread = {it: version for it, version in self._unread.items() if _is_at(found, it, version)}
        known = {it: spot for it, spot in self._open.items() if _is_at(found, it, spot.version)}
        rest = {it: at for it, at in found.items() if it not in known and it not in self._unread}
        known |= {it: Spot(it, at.version, at.place) for it, at in rest.items() if at.place is not None}
        await self._read({it: at.version for it, at in rest.items() if at.place is None}, known)
        self._open = known

    async def _have_rows(self, ids: Sequence[IncidentId]) -> None:
        missing = ((it, self._open.get(it)) for it in ids)
        await self._read({it: spot.version for it, spot in missing if isinstance(spot, Spot)}, self._open)

    async def _read(self, versions: Mapping[IncidentId, int], into: dict[IncidentId, Row | Spot]) -> None:
        """Those of *versions*, as far as they are known."""
        ids = [*versions]
        for start in range(0, len(ids), READ_AT_ONCE):
            some = ids[start : start + READ_AT_ONCE]
            for incident_id, found in zip(some, await self._store.get_each(some), strict=True):
                into.pop(incident_id, None)
                self._unread.pop(incident_id, None)
                if isinstance(found, Unreadable):
                    self._unread[incident_id] = versions[incident_id]
                elif found is not None and found.status is not Status.RESOLVED:
                    into[incident_id] = row_of(found, self._called)
            await asyncio.sleep(0)


def _is_at(found: Mapping[IncidentId, Standing], incident_id: IncidentId, version: int) -> bool:
    standing = found.get(incident_id)
    return standing is not None and standing.version == version
