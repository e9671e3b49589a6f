"""Which incident a message or a record belongs to, by what the requests of its system call it.

Such a key is in no incident's partition, so that no script of a partition can write it. It is written beside the
incident, and in this order: first the key, then the delivery with the locator, then, with each change, the key again.

- A process that dies in between leaves a key to an incident whose delivery does not have the locator. Who reads the key
  looks at the delivery too, so that it leads nowhere. The next attempt finds or makes the other side, and writes both.
- A key whose node of a cluster is away is not written, and keeps no claim from being given back: the incident's next
  change writes it, and the watchdog, which renews what is open.
"""

from collections.abc import Sequence

import structlog

from versus_py.errors import StoreUnavailable
from versus_py.incidents.model import Incident, IncidentId, system_of
from versus_py.store import keys
from versus_py.store.calls import Call, RedisClient, answered, load_script, run_optionally

log = structlog.get_logger()


class References:
    """Incidents by a system and a locator. Every method raises StoreUnavailable."""

    def __init__(self, redis: RedisClient) -> None:
        self._redis = redis
        self._put = load_script(redis, "put")

    async def named(self, system: str, locator: str) -> IncidentId | None:
        """The incident that the key names; whether it has such a delivery is not looked at."""
        found = await answered(self._redis.get(keys.reference(system, locator)))
        return None if found is None else IncidentId(found)

    def write(self, incident_id: IncidentId, system: str, locator: str, *, for_ms: int) -> Call:
        """Has the key name an incident for so long."""
        return Call(self._put, [keys.reference(system, locator)], [incident_id, max(1, for_ms), ""])

    def renewals(self, incident: Incident, *, for_ms: int) -> list[Call]:
        """The same again for all of its deliveries."""
        return [
            self.write(incident.id, system_of(target), it.locator, for_ms=for_ms)
            for target, it in incident.deliveries.items()
            if it.locator
        ]

    async def run(self, calls: Sequence[Call]) -> None:
        """What `write` and `renewals` return. Of a cluster, a node that is away is in the log, and no error."""
        replies = await run_optionally(self._redis, calls) if calls else []
        if failure := next((str(it) for it in replies if isinstance(it, StoreUnavailable)), ""):
            log.warning("incident.reference_unavailable", error=failure)
