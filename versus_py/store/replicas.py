"""What replicas tell each other about themselves: that they run, how they stand, and what the last checkup found."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import TypeAdapter

from versus_py.store import keys
from versus_py.store.calls import RedisClient, answered, load_script

FORGOTTEN_AFTER_MS = 3600_000
"""How long a replica that says nothing any more is known."""

CHECKUP_KEPT_MS = 24 * 3600_000


@dataclass(frozen=True, slots=True)
class Circuit:
    """A system that a replica leaves alone for a while, because it does not answer."""

    error: str
    next_probe_ms: int


@dataclass(frozen=True, slots=True)
class Pace:
    """How a replica delivers to one system."""

    slots: int  # deliveries that it lets run at once now
    most: int  # and at most
    seconds: float  # that one takes; while all slots were taken, if they ever were


@dataclass(frozen=True, slots=True)
class Replica:
    """One running process, as it stood at *seen_ms*. Times are ms since the epoch."""

    name: str  # no other has it
    host: str
    version: str
    started_ms: int
    seen_ms: int
    worker: str = "ok"  # or what is wrong with it
    has_api: bool = True
    running: int = 0  # syncs that are under way
    ahead_ms: int = 0  # how far the clock of its machine is ahead of the time that replicas go by
    circuits: Mapping[str, Circuit] = field(default_factory=dict)  # by system
    refused: Mapping[str, str] = field(default_factory=dict)  # system that refuses its credentials -> how
    paces: Mapping[str, Pace] = field(default_factory=dict)  # by system, where something was delivered


_REPLICA = TypeAdapter(Replica)


class Replicas:
    """Says that a replica is here, and reads who else is. Every method raises StoreUnavailable."""

    def __init__(self, redis: RedisClient) -> None:
        self._redis = redis
        self._attend = load_script(redis, "attend")
        self._put = load_script(redis, "put")
        self._gone: list[str] = []

    async def attend(self, own: Replica) -> None:
        """The replica stands like that now. What is long gone is forgotten."""
        standing = _REPLICA.dump_json(own).decode()
        reply = await answered(self._attend([keys.REPLICAS], [FORGOTTEN_AFTER_MS, own.name, standing, *self._gone]))
        known = _read(dict(zip(reply[::2], reply[1::2], strict=True)))
        self._gone = [name for name, it in known.items() if it is None or it.seen_ms < own.seen_ms - FORGOTTEN_AFTER_MS]

    async def leave(self, name: str) -> None:
        """The replica ends, and nobody has to look for it."""
        await answered(self._attend([keys.REPLICAS], [FORGOTTEN_AFTER_MS, name, ""]))

    async def known(self) -> list[Replica]:
        """Those that run, and those that said nothing for a while, in no order. What cannot be read is left out."""
        found = _read(await answered(self._redis.hgetall(keys.REPLICAS)))
        return [it for it in found.values() if it is not None]

    async def keep_checkup(self, text: str) -> None:
        """For every replica to show."""
        await answered(self._put([keys.CHECKUP], [text, CHECKUP_KEPT_MS, ""]))

    async def checkup(self) -> str | None:
        """The latest that was kept."""
        found = await answered(self._redis.get(keys.CHECKUP))
        return None if found is None else str(found)


def _read(found: Mapping[str, str]) -> dict[str, Replica | None]:
    """None for what another version wrote in a way that this one does not know."""
    read: dict[str, Replica | None] = {}
    for name, text in found.items():
        try:
            read[name] = _REPLICA.validate_json(text)
        except ValueError:  # pydantic's errors are ValueErrors
            read[name] = None
    return read
