"""Which incidents are open, without reading any."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from versus_py.incidents.model import IncidentId, Status
from versus_py.incidents.partitions import partitions
from versus_py.incidents.places import Place
from versus_py.store import keys
from versus_py.store.calls import Call, RedisClient, answers, load_script, run_all
from versus_py.store.codec import load_place

STRETCH = 500
"""How many incidents one script asks about: it blocks Redis only for so long."""

TOGETHER = 8
"""So many scripts are sent in one round trip."""

LOOK_AGAIN_MS = 60_000
"""How often what was resolved long ago is looked at again: Redis may have lost what it wrote last."""


@dataclass(frozen=True, slots=True)
class Standing:
    """An incident that is open."""

    version: int
    place: Place | None  # None: only who reads it knows


class Standings:
    """Remembers what was resolved for longer than *reopen_ms*: most of what is kept, and not to be asked every time."""

    def __init__(self, redis: RedisClient, *, reopen_ms: int) -> None:
        self._redis = redis
        self._reopen_ms = reopen_ms
        self._stand = load_script(redis, "stand")
        self._resolved: dict[IncidentId, int] = {}  # -> when it was first seen to be
        self._looked_at_all_ms: int | None = None

    async def all_open(self, *, now_ms: int) -> Mapping[IncidentId, Standing]:
        """Every incident that is open, in no order. Raises StoreUnavailable."""
        indexes = [keys.in_partition(partition, "incidents") for partition in partitions()]
        listed = await answers(self._redis, [("ZRANGE", it, 0, -1) for it in indexes])
        is_all = self._looked_at_all_ms is None or now_ms - self._looked_at_all_ms >= LOOK_AGAIN_MS
        stretches = [it for ids in listed for it in _stretches(ids if is_all else self._unsettled(ids, now_ms))]
        found: dict[IncidentId, Standing] = {}
        resolved: dict[IncidentId, int] = {} if is_all else {**self._resolved}
        for start in range(0, len(stretches), TOGETHER):
            some = stretches[start : start + TOGETHER]
            calls = [Call(self._stand, [keys.incident(it) for it in ids], ()) for ids in some]
            for ids, said in zip(some, await run_all(self._redis, calls), strict=True):
                for incident_id, status, version, place in zip(ids, said[::3], said[1::3], said[2::3], strict=True):
                    if status == Status.RESOLVED:
                        resolved[incident_id] = self._resolved.get(incident_id, now_ms)
                    elif version:
                        found[incident_id] = Standing(int(version), load_place(place))
                        resolved.pop(incident_id, None)
        self._resolved = resolved
        self._looked_at_all_ms = now_ms if is_all else self._looked_at_all_ms
        return found

    def _unsettled(self, ids: Sequence[IncidentId], now_ms: int) -> list[IncidentId]:
        """Without those that nothing reopens any more."""
        long_ago_ms = now_ms - self._reopen_ms
        return [it for it in ids if self._resolved.get(it, now_ms) >= long_ago_ms]


def _stretches(ids: Sequence[IncidentId]) -> Iterator[Sequence[IncidentId]]:
    return (ids[start : start + STRETCH] for start in range(0, len(ids), STRETCH))
