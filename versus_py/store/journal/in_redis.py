"""The journal in Redis: one chain for all replicas."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

from versus_py.errors import VersusError
from versus_py.store import keys
from versus_py.store.calls import Call, RedisClient, answered, load_script, run_all
from versus_py.store.durability import Durability
from versus_py.store.journal.chain import Acceptance, Head, beginning, content_of, read_anchor
from versus_py.store.journal.journal import Stretch
from versus_py.telemetry.metrics import Metrics

ALGORITHM = "sha1"
"""The only hash that Redis' scripts can compute; a script has to, for lines of several replicas to make one chain."""

BATCH = 100
"""Lines that one call of the script appends."""

DROPPED_MAX = 2 * BATCH
"""Lines that one call drops at the most: faster than they come."""

STRETCH = 1000
"""Lines that are read at once."""

_KEYS = (keys.JOURNAL, keys.JOURNAL_HEAD)


class RedisJournal:
    """Appends to the chain. *keep_ms* is how long a line is kept; *durability* as that of the store."""

    name = "Redis"
    not_written = 0

    def __init__(
        self, redis: RedisClient, *, keep_ms: int, durability: Durability | None = None, metrics: Metrics | None = None
    ) -> None:
        self._redis = redis
        self._keep_ms = keep_ms
        self._durability = durability
        self._metrics = metrics or Metrics()
        self._append = load_script(redis, "journal")

    async def add(self, accepted: Sequence[Acceptance]) -> None:
        """Write a line for each, all in one round trip. Raises StoreUnavailable; some may be written all the same."""
        calls = [self._call(accepted[start : start + BATCH]) for start in range(0, len(accepted), BATCH)]
        with self._metrics.redis_call.time():
            if self._durability is not None:
                await self._durability.run(calls)
            else:
                await run_all(self._redis, calls)
        self._metrics.journal_lines.labels("written").inc(len(accepted))

    def _call(self, accepted: Sequence[Acceptance]) -> Call:
        now_ms = accepted[0].at_ms
        args: list[Any] = [beginning(ALGORITHM).hash, now_ms - self._keep_ms, DROPPED_MAX, now_ms + self._keep_ms]
        return Call(self._append, _KEYS, [*args, *map(content_of, accepted)])


class StoredJournal:
    """Reads the chain, also while lines are appended and dropped."""

    name = "Redis"
    is_file = False

    def __init__(self, redis: RedisClient) -> None:
        self._read = load_script(redis, "read_journal")

    async def stretches(self) -> AsyncIterator[Stretch]:
        """All of it from its first line. Raises StoreUnavailable, and VersusError when it cannot be read to its end."""
        place, first = 0, None
        while True:
            anchor, number, last_hash, *lines = await self._stretch(place, place + STRETCH - 1)
            begins = read_anchor(anchor)
            dropped = begins.n - first if begins is not None and first is not None else 0
            if dropped >= place > 0 or dropped < 0:
                raise VersusError("lines were dropped from the journal before they could be read: try again")
            if dropped:
                place, first = place - dropped, begins.n if begins else None
                continue
            first = begins.n if begins is not None else first
            is_last = len(lines) < STRETCH
            yield Stretch(lines, Head(int(number), last_hash) if is_last and number else None)
            if is_last:
                return
            place += len(lines)

    async def _stretch(self, start: int, end: int) -> list[str]:
        try:
            reply: list[str] = await answered(self._read(_KEYS, [start, end]))
        except UnicodeDecodeError:
            raise VersusError("the journal in Redis holds what is no text: somebody else wrote into it") from None
        return reply
