"""The clock that all replicas share, and what they note about it in Redis."""

from versus_py.clock import ClockNotes
from versus_py.errors import StoreUnavailable
from versus_py.store import keys
from versus_py.store.calls import RedisClient, answered, is_cluster, load_script, server_time

KEEP_MS = 30 * 24 * 3600_000
"""How long what is noted is kept after the last replica has looked."""


_FIELDS = ["lead_ms", "lead_since_ms", "seen_ms", "machine_ahead_ms"]


class SharedTime:
    """Redis' clock. Every method raises StoreUnavailable."""

    def __init__(self, redis: RedisClient) -> None:
        self._redis = redis
        self._known = ClockNotes()
        self._note = load_script(redis, "note")
        self._set_lead = load_script(redis, "set_lead")

    async def server_ms(self) -> int:
        """What Redis' own clock says; of a cluster, always the same node's."""
        seconds, microseconds = await server_time(self._redis)
        return seconds * 1000 + microseconds // 1000

    async def notes(self) -> ClockNotes:
        """What replicas have noted; of a cluster, what was read last while the node that has it is away."""
        try:
            found = await answered(self._redis.hmget(keys.CLOCK, _FIELDS))
        except StoreUnavailable:
            if not is_cluster(self._redis):
                raise
            return self._known
        lead_ms, lead_since_ms, seen_ms, machine_ahead_ms = (None if it is None else int(it) for it in found)
        self._known = ClockNotes(lead_ms or 0, lead_since_ms or 0, seen_ms, machine_ahead_ms or 0)
        return self._known

    async def now_ms(self) -> int:
        """The time that replicas go by, as far as they agree."""
        notes = await self.notes()
        return notes.shared_ms(await self.server_ms())

    async def note_seen(self, at_ms: int, *, machine_ahead_ms: int) -> None:
        """A replica found that the shared time, which is *at_ms* now, is what it should be."""
        noted = [KEEP_MS, "seen_ms", at_ms, "machine_ahead_ms", machine_ahead_ms]
        await answered(self._note([keys.CLOCK], noted))

    async def set_lead(self, known: ClockNotes, lead_ms: int, *, server_ms: int) -> bool:
        """Redis' clock is *lead_ms* ahead of the shared time; False when another replica said something else."""
        args = [known.lead_since_ms, lead_ms, server_ms, KEEP_MS]
        return bool(await answered(self._set_lead([keys.CLOCK], args)))
