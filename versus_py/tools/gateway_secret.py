"""The secret that a server's API takes, as its configuration and its Redis tell it."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from versus_py.config import Config
from versus_py.config.parts import LOOPBACK
from versus_py.errors import ConfigError, VersusError
from versus_py.store.connection import reach_redis
from versus_py.store.embedded import socket_in_use
from versus_py.store.gateway_secret import gateway_secret, rotate_gateway_secret
from versus_py.systems import load_config

REDIS_TIMEOUT_S = 3.0
"""How long Redis may take, before a command goes on without a secret."""


@dataclass(frozen=True, slots=True)
class Found:
    """A secret, or why there is none; neither where none is needed."""

    secret: str = ""
    problem: str = ""


async def secret_in_use(config: Config, *, rotate: bool = False) -> str:
    """The secret of the API of the server with this configuration; with *rotate*, a new one.

    Raises VersusError when there is none, Redis cannot be reached, or it is not to be rotated here.
    """
    if config.gateway_secret.get_secret_value():
        if rotate:
            raise VersusError("gateway_secret is set in the configuration: change it there")
        return config.gateway_secret.get_secret_value()
    if not config.generates_gateway_secret:
        raise VersusError(
            f"the API takes no secret, but requests from this machine only: people reach this server at "
            f"{config.link_base}; to have a secret, set gateway_secret or a public_host elsewhere"
        )
    async with reach_redis(config.redis, config.data_dir) as redis:
        return await (rotate_gateway_secret(redis) if rotate else gateway_secret(redis))


async def find_secret(path: Path, environ: Mapping[str, str], url: str) -> Found:
    """The secret for the server at *url*, where the configuration at *path* is that server's."""
    try:
        config = load_config(path, environ)
        if not _is_at(url, config):
            return Found(problem=f"{path} is the configuration of another server")
        if config.redis.is_embedded and socket_in_use(config.data_dir) is None:
            return Found(problem=f"no server runs on data_dir {str(config.data_dir)!r}")
        async with asyncio.timeout(REDIS_TIMEOUT_S):
            return Found(await secret_in_use(config))
    except ConfigError as exc:
        return Found(problem=f"{path} does not tell it: {exc.problems[0]}")
    except TimeoutError:
        return Found(problem=f"Redis, which keeps it, did not answer within {REDIS_TIMEOUT_S:g} s")
    except VersusError as exc:
        return Found(problem=str(exc))


def _is_at(url: str, config: Config) -> bool:
    """Whether this is the address of the server with that configuration: others do not get its secret."""
    if url.rstrip("/") == config.public_host:
        return True
    with suppress(ValueError):
        parts = urlsplit(url)
        return parts.hostname in {*LOOPBACK, config.host} and parts.port == config.port
    return False
