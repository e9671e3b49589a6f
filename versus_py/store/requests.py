"""Which requests of people were taken: shared by all replicas, and forgotten when they cannot be sent again."""

from versus_py.store import keys
from versus_py.store.calls import RedisClient, answered, load_script

KEEP_MS = 10 * 60 * 1000
"""As long as one of Slack's signatures can hold at all: 5 minutes before the time in it, and 5 after."""


class TakenRequests:
    """Requests by their id. Every method raises StoreUnavailable."""

    def __init__(self, redis: RedisClient) -> None:
        self._redis = redis
        self._put = load_script(redis, "put")

    async def has(self, request_id: str) -> bool:
        """Whether it was taken lately, here or by another replica."""
        return bool(await answered(self._redis.exists(keys.taken_request(request_id))))

    async def add(self, request_id: str) -> None:
        """It was taken, whether or not it changed something."""
        await answered(self._put([keys.taken_request(request_id)], ["1", KEEP_MS, ""]))
