"""What became of requests that were answered before their senders could know: asked for by the id of the request."""

from collections.abc import Mapping
from typing import Any

import orjson

from versus_py.store import keys
from versus_py.store.calls import RedisClient, answered, load_script

KEEP_MS = 3600_000
"""How long it is known; senders that ask do so within seconds."""


class SenderRequests:
    """Results of requests. Every method raises StoreUnavailable."""

    def __init__(self, redis: RedisClient) -> None:
        self._redis = redis
        self._put = load_script(redis, "put")

    async def keep(self, request_id: str, result: Mapping[str, Any]) -> None:
        """The result, of JSON, of a request that *request_id* names."""
        await answered(self._put([keys.sender_request(request_id)], [orjson.dumps(result), KEEP_MS, ""]))

    async def find(self, request_id: str) -> Mapping[str, Any] | None:
        """None when there is no such request, or it is too long ago."""
        found = await answered(self._redis.get(keys.sender_request(request_id)))
        if found is None:
            return None
        result: Mapping[str, Any] = orjson.loads(found)
        return result
