"""Incidents with their timelines, many at once and as they are stored, for those who check what became of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from versus_py.errors import Unreadable
from versus_py.incidents.model import Entry, Incident, IncidentId
from versus_py.store import keys
from versus_py.store.calls import RedisClient, answers
from versus_py.store.codec import load_entry, load_incident
from versus_py.store.shared_time import SharedTime


@dataclass(frozen=True, slots=True)
class Inspected:
    """What is stored of an incident; *problem* says why that cannot be read."""

    incident: Incident | None
    timeline: tuple[Entry, ...] = ()
    problem: str = ""


class Inspection:
    """Reads, and changes nothing. Every method raises StoreUnavailable."""

    def __init__(self, redis: RedisClient) -> None:
        self._redis = redis

    async def now_ms(self) -> int:
        """By the clock that all replicas share."""
        return await SharedTime(self._redis).now_ms()

    async def look(self, incident_ids: Sequence[IncidentId]) -> list[Inspected]:
        """Each of them, in one round trip. An incident and its timeline may be from before and after a change."""
        commands = [
            command
            for it in incident_ids
            for command in (("HGETALL", keys.incident(it)), ("LRANGE", keys.timeline(it), 0, -1))
        ]
        found = await answers(self._redis, commands)
        return [_read(*it) for it in zip(incident_ids, found[::2], found[1::2], strict=True)]

    async def named_by(self, dedup_keys: Sequence[str]) -> list[IncidentId | None]:
        """The incident that the next alert of each of these keys would join."""
        found = await answers(self._redis, [("GET", keys.dedup(it)) for it in dedup_keys])
        return [None if it is None else IncidentId(it) for it in found]


def _read(incident_id: IncidentId, fields: Mapping[str, str], lines: Sequence[str]) -> Inspected:
    try:
        incident = load_incident(incident_id, fields)
        return Inspected(incident, (*(incident.opening if incident else ()), *map(load_entry, lines)))
    except (Unreadable, ValueError) as exc:  # pydantic's and orjson's errors are ValueErrors
        return Inspected(None, problem=str(exc).partition("\n")[0])
