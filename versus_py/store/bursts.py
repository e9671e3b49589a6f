"""How many deliveries came due at once: by minute for two hours, and for 30 days the most of each day."""

from collections.abc import Mapping
from dataclasses import dataclass

from versus_py.store import keys
from versus_py.store.calls import RedisClient, answered, load_script

MINUTE_MS = 60_000
DAY_MINUTES = 24 * 60

COUNTED_MINUTES = 120
"""How long a minute is counted on: what was due then may be claimed so much later."""

KEPT_DAYS = 30


@dataclass(frozen=True, slots=True)
class Burst:
    """The minute in which the most deliveries came due."""

    deliveries: int
    at_ms: int  # when the minute began


class Bursts:
    """Counts them for all replicas. Every method raises StoreUnavailable."""

    def __init__(self, redis: RedisClient) -> None:
        self._redis = redis
        self._note = load_script(redis, "note_due")

    async def note(self, due: Mapping[tuple[int, str], int], *, now_ms: int) -> None:
        """So many more deliveries of a system came due in a minute since the epoch: (minute, system) -> how many."""
        minute = now_ms // MINUTE_MS
        counted = [it for (at, system), count in due.items() for it in (at, system, count)]
        expires_in_ms = (KEPT_DAYS + 1) * DAY_MINUTES * MINUTE_MS
        first = [minute - COUNTED_MINUTES, minute // DAY_MINUTES - KEPT_DAYS, expires_in_ms]
        await answered(self._note([keys.DUE_MINUTES, keys.DUE_DAYS], [*first, *counted]))

    async def largest(self, *, now_ms: int) -> Mapping[str, Burst]:
        """Of each system, the largest of the last 30 days; without those that nothing was due for."""
        first_day = now_ms // MINUTE_MS // DAY_MINUTES - KEPT_DAYS
        found: dict[str, Burst] = {}
        for field, most in (await answered(self._redis.hgetall(keys.DUE_DAYS))).items():
            (day, _, system), (count, _, minute) = field.partition("|"), most.partition(" ")
            burst = Burst(int(count), int(minute) * MINUTE_MS)
            if int(day) >= first_day and (system not in found or found[system].deliveries < burst.deliveries):
                found[system] = burst
        return found
