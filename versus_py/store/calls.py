"""Calling Redis: scripts from files, and one error for everything that goes wrong."""

from collections.abc import Awaitable
from importlib import resources
from typing import Any

from redis.asyncio import Redis
from redis.commands.core import AsyncScript
from redis.exceptions import RedisError

from versus_py.errors import StoreUnavailable


async def answered(answer: Awaitable[Any] | Any) -> Any:
    """What Redis answers. redis-py declares one broad type for every command's answer; ours is always awaitable.

    Everything that can go wrong between us and Redis becomes StoreUnavailable here.
    """
    try:
        return await answer
    except (RedisError, OSError, TimeoutError) as exc:
        raise unavailable(exc) from exc


def unavailable(exc: Exception) -> StoreUnavailable:
    return StoreUnavailable(f"Redis did not take it: {exc or type(exc).__name__}")


def load_script(redis: Redis, name: str) -> AsyncScript:
    """The script in lua/<name>.lua."""
    return redis.register_script(resources.files(__package__).joinpath("lua", f"{name}.lua").read_text())
