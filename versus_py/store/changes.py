"""The stream of changes: which incident has changed, and when its first timer is due, if any is."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from versus_py.incidents.model import IncidentId
from versus_py.store import keys
from versus_py.store.calls import RedisClient, answered

KEPT = 1000
"""Entries kept, about."""

NOT_DUE_MS = 2**53
"""As a due time: nothing is."""

_ID_MAX = 40

BEGINNING = "0-0"
"""Before the first entry."""


class Changed(Struct, frozen=True):
    """An entry. *id* grows from one to the next: it is where to go on from."""

    id: str
    incident_id: IncidentId
    due_ms: int | None  # None: nothing is due by it

    @classmethod
    def of(cls, entry_id: str, fields: Mapping[str, str]) -> "Changed":
        """An older version does not say when something is due: then it is at once."""
        due_ms = int(fields.get("due", 0))
        return cls(entry_id, IncidentId(fields.get("incident", "")), None if due_ms >= NOT_DUE_MS else due_ms)


class Changes:
    """Reads the stream. A convenience for who is in a hurry: an entry may get lost. Raises StoreUnavailable."""

    def __init__(self, redis: RedisClient) -> None:
        self._redis = redis

    async def after(self, after: str, *, block_ms: int | None) -> Sequence[Changed]:
        """What came after the entry with that id; waits for some, but no longer than *block_ms*."""
        reply = await answered(self._redis.xread({keys.EVENTS: after}, count=KEPT, block=block_ms))
        return [Changed.of(*entry) for found in _streams(reply) for entry in found]

    async def kept(self) -> Sequence[Changed]:
        """All that are kept, oldest first."""
        return [Changed.of(*entry) for entry in await answered(self._redis.xrange(keys.EVENTS))]

    async def latest(self) -> str:
        """The id of the last entry."""
        found = await answered(self._redis.xrevrange(keys.EVENTS, count=1))
        return str(found[0][0]) if found else BEGINNING


def position(entry_id: str) -> tuple[int, int]:
    """The id as what can be compared. Raises ValueError for what is none."""
    at_ms, _, number = entry_id.partition("-")
    if not (at_ms.isdecimal() and number.isdecimal() and len(entry_id) <= _ID_MAX):
        raise ValueError("no id of an entry")
    return int(at_ms), int(number)


def _streams(reply: Any) -> Iterator[list[tuple[str, Mapping[str, str]]]]:
    """The entries of each stream in XREAD's answer, whose shape depends on the protocol's version."""
    if isinstance(reply, Mapping):
        for entries in reply.values():
            yield entries[0]
    else:
        for _, entries in reply or []:
            yield entries
