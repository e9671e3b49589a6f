"""The generated secret of the API: made once, and shared by every replica, every restart and the command line."""

import secrets

from versus_py.store import keys
from versus_py.store.calls import RedisClient, answered


async def gateway_secret(redis: RedisClient, known: str | None = None) -> str:
    """The secret. Where Redis has none, it becomes *known*, or a new one. Raises StoreUnavailable."""
    kept = await answered(redis.get(keys.GATEWAY_SECRET))
    if kept is None:
        await answered(redis.set(keys.GATEWAY_SECRET, known or _new(), nx=True))  # another replica may be faster
        kept = await answered(redis.get(keys.GATEWAY_SECRET))
    return str(kept)


async def rotate_gateway_secret(redis: RedisClient) -> str:
    """A new secret in the place of the old one. Raises StoreUnavailable."""
    made = _new()
    await answered(redis.set(keys.GATEWAY_SECRET, made))
    return made


def _new() -> str:
    return secrets.token_hex(32)
