"""What the replicas share of credentials that a system refuses: when one may try again, and what waits for that.

Each replica finds out by itself that its credentials are refused: another one may have others. Only the requests that
try them again are shared out, as each of them may count towards a lock of the account.
"""

from versus_py.incidents.model import IncidentId
from versus_py.store import keys
from versus_py.store.calls import Call, RedisClient, answered, load_script, run_all

KEEP_MS = 8 * 24 * 3600_000
"""Longer than anything is tried again."""

BATCH = 100


class Refusals:
    """Refused credentials, by the name of the system. Every method raises StoreUnavailable. Times are ms."""

    def __init__(self, redis: RedisClient) -> None:
        self._redis = redis
        self._take_probe = load_script(redis, "take_probe")
        self._hurry = load_script(redis, "hurry")
        self._enlist = load_script(redis, "enlist")
        self._park = load_script(redis, "park")
        self._note_fields = load_script(redis, "note")

    async def systems(self) -> frozenset[str]:
        """Those that refused the credentials of a replica, and have accepted those of none since."""
        return frozenset(await answered(self._redis.smembers(keys.REFUSED)))

    async def refuse(self, system: str, error: str, *, next_probe_ms: int) -> None:
        """It refuses, in words of *error*. Nobody is to try before that time."""
        await answered(self._enlist([keys.REFUSED], [system, ""]))
        await self._note(system, error=error, next_probe_ms=next_probe_ms)

    async def error(self, system: str) -> str:
        """How it refused them last; "" when it never did."""
        return str(await answered(self._redis.hget(keys.refused(system), "error")) or "")

    async def take_probe(self, system: str, *, now_ms: int, until_ms: int, tried_ms: int) -> int | None:
        """Take the right to one request; None, or the time of the next one. For who last tried at *tried_ms*.

        Whoever takes it says `refuse` or `accept` afterwards; else the next one is at *until_ms*.
        """
        next_ms = await answered(self._take_probe([keys.refused(system)], [now_ms, until_ms, tried_ms]))
        return int(next_ms) if next_ms else None

    async def allow_probe(self, system: str) -> None:
        """Whoever comes next may try."""
        await self._note(system, next_probe_ms=0)

    async def wait(self, system: str, incident_id: IncidentId, target: str, *, due_ms: int) -> None:
        """A timer that is to be due then waits for the credentials to be accepted."""
        waiting = keys.waiting_for_probe(system)
        await answered(self._park([waiting], [keys.member(incident_id, target), due_ms, KEEP_MS]))

    async def accept(self, system: str, *, now_ms: int) -> None:
        """It accepts them again: all that waits is due now."""
        await answered(self._redis.srem(keys.REFUSED, system))
        await self._note(system, accepted_ms=now_ms, next_probe_ms=0)
        await self.hurry(system, now_ms=now_ms)

    async def accepted_ms(self, system: str) -> int:
        """When it last accepted credentials that were refused before; 0 when it never did."""
        return int(await answered(self._redis.hget(keys.refused(system), "accepted_ms")) or 0)

    async def hurry(self, system: str, *, now_ms: int) -> int:
        """Have all that waits come now, but for what is not due by that any more; how many there are."""
        number = 0
        while found := await answered(self._redis.zpopmin(keys.waiting_for_probe(system), BATCH)):
            number += await self._made_due(found, now_ms)
        return number

    async def hurry_all(self, *, now_ms: int) -> int:
        """The same for every system that refuses, and let one of each try."""
        number = 0
        for system in await self.systems():
            await self.allow_probe(system)
            number += await self.hurry(system, now_ms=now_ms)
        return number

    async def hurry_one(self, incident_id: IncidentId, target: str, *, now_ms: int) -> None:
        """The same for one incident at one target, and let it try."""
        member = keys.member(incident_id, target)
        for system in await self.systems():
            due_ms = await answered(self._redis.zscore(keys.waiting_for_probe(system), member))
            if due_ms is not None:
                await self.allow_probe(system)
                await self._made_due([(member, due_ms)], now_ms)

    async def _made_due(self, waiting: list[tuple[str, float]], now_ms: int) -> int:
        calls = []
        for member, due_ms in waiting:
            incident_id, _ = keys.split_member(member)
            calls.append(Call(self._hurry, [keys.of_incident(incident_id, "timers")], [member, round(due_ms), now_ms]))
        return sum(await run_all(self._redis, calls))

    async def _note(self, system: str, **values: str | int) -> None:
        pairs = [part for pair in values.items() for part in pair]
        await answered(self._note_fields([keys.refused(system)], [KEEP_MS, *pairs]))
