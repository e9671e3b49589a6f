"""Taking turns at destinations that allow so many requests a second, across all replicas."""

from msgspec import Struct

from versus_py.store import keys
from versus_py.store.calls import RedisClient, answered, load_script

GRACE_MS = 5_000
"""Who comes this much later than told has lost the place: the process that held it may be gone."""

KEEP_MS = 3600 * 1000
"""Longer than anybody is told to wait at once."""

KNOWN_MS = 1_000
"""How long to believe that a destination is not held back."""


class Rate(Struct, frozen=True):
    """One turn in *interval_ms*, of which up to *burst* may be saved up."""

    interval_ms: int
    burst: int = 1


class Turn(Struct, frozen=True):
    """Somebody's turn: theirs now when *wait_until_ms* is None. *ahead* are those who are served before."""

    wait_until_ms: int | None
    ahead: int


class Turns:
    """Hands out turns at destinations, each by itself. Every method raises StoreUnavailable."""

    def __init__(self, redis: RedisClient) -> None:
        self._redis = redis
        self._take = load_script(redis, "take_turn")
        self._hold_back = load_script(redis, "hold_back")
        self._held_back: dict[str, tuple[int, int]] = {}  # destination -> when it was asked for, and until when that is

    async def take(
        self, destination: str, who: str, rate: Rate, *, now_ms: int, behind_ms: int = 0, only_place: bool = False
    ) -> Turn:
        """Take the turn of *who*, or a place: first come first served, but as if they came *behind_ms* later.

        The place is kept for who comes back when told; a turn that is taken is not given back. With *only_place*, a
        turn that is there is not taken: it is left to who comes for it next, be it *who* or somebody else.
        """
        names, takes = ("waiting", "promised", "free_at"), "" if only_place else "1"
        at_ms, ahead = await answered(
            self._take(
                keys=[keys.at_destination(destination, name) for name in names],
                args=[who, now_ms + behind_ms, now_ms, rate.interval_ms, rate.burst, GRACE_MS, KEEP_MS, takes],
            )
        )
        return Turn(None if int(at_ms) <= now_ms else int(at_ms), int(ahead))

    async def held_back_until(self, destination: str, *, now_ms: int) -> int | None:
        """Until when nobody has a turn there; None when it is not held back.

        For destinations without a rate. What another replica held back is known within KNOWN_MS.
        """
        asked_ms, until_ms = self._held_back.get(destination, (-KNOWN_MS, 0))
        if now_ms >= asked_ms + KNOWN_MS:
            until_ms = int(await answered(self._redis.get(keys.at_destination(destination, "free_at"))) or 0)
            self._held_back[destination] = (now_ms, until_ms)
        return until_ms if until_ms > now_ms else None

    async def leave(self, destination: str, who: str) -> None:
        """Give the place of *who* to those behind."""
        for name in ("waiting", "promised"):
            await answered(self._redis.zrem(keys.at_destination(destination, name), who))

    async def hold_back(self, destination: str, rate: Rate, *, until_ms: int) -> None:
        """Let nobody have a turn before that time; the places stay as they are."""
        free_at_ms = until_ms + (rate.burst - 1) * rate.interval_ms
        self._held_back.pop(destination, None)
        await answered(self._hold_back(keys=[keys.at_destination(destination, "free_at")], args=[free_at_ms, KEEP_MS]))
