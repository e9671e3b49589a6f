"""Who people are, as far as somebody has asked a system: shared by all replicas, and forgotten after a while."""

import msgspec

from versus_py.incidents.model import Actor
from versus_py.store import keys
from versus_py.store.calls import RedisClient, answered, load_script

_decode = msgspec.json.Decoder(Actor).decode


class KnownPeople:
    """People by a system and their id in it. Every method raises StoreUnavailable."""

    def __init__(self, redis: RedisClient) -> None:
        self._redis = redis
        self._put = load_script(redis, "put")

    async def get(self, system: str, user_id: str) -> Actor | None:
        """None when nobody has asked yet, or it is too long ago."""
        found = await answered(self._redis.get(keys.person(system, user_id)))
        return None if found is None else _decode(found)

    async def keep(self, system: str, person: Actor, *, for_ms: int) -> None:
        """*person* has an id in *system*."""
        name = keys.person(system, person.ids[system])
        await answered(self._put([name], [msgspec.json.encode(person), for_ms, ""]))
