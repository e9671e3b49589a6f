"""Which incidents are open, without reading any."""

from collections.abc import Mapping

from versus_py.incidents.model import PARTITIONS, IncidentId, Status
from versus_py.store import keys
from versus_py.store.calls import RedisClient, answers

STRETCH = 1000
"""How many incidents one round trip asks about."""

LOOK_AGAIN_MS = 60_000
"""How often what was resolved long ago is looked at again: Redis may have lost what it wrote last."""


class Standings:
    """Remembers what was resolved for longer than *reopen_ms*: most of what is kept, and not to be asked every time."""

    def __init__(self, redis: RedisClient, *, reopen_ms: int) -> None:
        self._redis = redis
        self._reopen_ms = reopen_ms
        self._resolved: dict[IncidentId, int] = {}  # -> when it was first seen to be
        self._looked_at_all_ms: int | None = None

    async def open_versions(self, *, now_ms: int) -> Mapping[IncidentId, int]:
        """The version of each incident that is open, in no order. Raises StoreUnavailable."""
        indexes = [keys.in_partition(partition, "incidents") for partition in range(PARTITIONS)]
        listed = [
            IncidentId(it)
            for ids in await answers(self._redis, [("ZRANGE", it, 0, -1) for it in indexes])
            for it in ids
        ]
        is_all = self._looked_at_all_ms is None or now_ms - self._looked_at_all_ms >= LOOK_AGAIN_MS
        asked = listed if is_all else [it for it in listed if not self._is_over_for_good(it, now_ms)]
        found: dict[IncidentId, int] = {}
        resolved: dict[IncidentId, int] = {} if is_all else self._resolved
        for start in range(0, len(asked), STRETCH):
            ids = asked[start : start + STRETCH]
            said = await answers(self._redis, [("HMGET", keys.incident(it), "status", "version") for it in ids])
            for incident_id, (status, version) in zip(ids, said, strict=True):
                if status == Status.RESOLVED:
                    resolved[incident_id] = self._resolved.get(incident_id, now_ms)
                elif version is not None:
                    found[incident_id] = int(version)
                    resolved.pop(incident_id, None)
        self._resolved = resolved
        self._looked_at_all_ms = now_ms if is_all else self._looked_at_all_ms
        return found

    def _is_over_for_good(self, incident_id: IncidentId, now_ms: int) -> bool:
        seen_ms = self._resolved.get(incident_id)
        return seen_ms is not None and now_ms - seen_ms > self._reopen_ms
