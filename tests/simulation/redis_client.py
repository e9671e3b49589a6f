"""A client of the simulated Redis, as one process has it: redis-py's methods, over a network that loses things."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from tests.simulation.redis import Server

Command = Sequence[Any]
RETRIES = 2
"""As versus_py configures redis-py."""


class Link(Protocol):
    """The way from a process to a server."""

    @property
    def server(self) -> Server: ...

    async def call(self, apply: Callable[[], Any], commands: Sequence[Command]) -> Any:
        """What *apply* returns, which runs *commands* when they arrive. Raises redis-py's ConnectionError."""


class Client(Redis):
    """Sends what redis-py's methods build. It has no connections: every call is one effect."""

    def __init__(self, link: Link) -> None:  # not redis-py's, which would make a pool
        self._link = link
        self._retry = Retry(ExponentialWithJitterBackoff(base=0.05, cap=0.5), RETRIES)

    def __del__(self, *_: Any, **__: Any) -> None:
        pass

    def __repr__(self) -> str:
        return "<simulated client>"

    async def aclose(self, *_: Any, **__: Any) -> None:
        pass

    def pipeline(self, *_: Any, **__: Any) -> Any:
        return _Pipeline(self)

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        options.pop("keys", None)  # which is for redis-py's own cache
        command, block_s = _without_block(args)
        if block_s is not None:
            return await self._blocked(command, block_s, options)
        reply = await self._sent(lambda: _reply(self._link.server, command, options), [command])
        if isinstance(reply, Exception):
            raise reply
        return reply

    async def run_all(self, commands: Sequence[Command]) -> list[Any]:
        """In one round trip; errors in place of the replies of those that were refused."""
        server = self._link.server
        replies: list[Any] = await self._sent(lambda: [_reply(server, it, {}) for it in commands], commands)
        return replies

    async def _sent(self, apply: Callable[[], Any], commands: Sequence[Command]) -> Any:
        return await self._retry.call_with_retry(partial(self._link.call, apply, commands), _disconnect)

    async def _blocked(self, command: Command, block_s: float, options: dict[str, Any]) -> Any:
        """XREAD: what there is; without any, what comes within the time. The call is made when it can be answered.

        After an entry that is named: $ would be the last one of that time, not of now.
        """
        server = self._link.server
        reply = _reply(server, command, options)
        if not reply:
            await self._appended_within(block_s)
        return _raised(await self._sent(lambda: _reply(server, command, options), [command]))

    async def _appended_within(self, seconds: float) -> None:
        server, came = self._link.server, asyncio.get_running_loop().create_future()

        def note(_: str) -> None:
            if not came.done():
                came.set_result(None)

        server.appended.append(note)
        try:
            async with asyncio.timeout(seconds):
                await came
        except TimeoutError:
            pass
        finally:
            server.appended.remove(note)


class _Pipeline:
    """Commands that are sent in one round trip."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._commands: list[Command] = []

    def execute_command(self, *args: Any) -> "_Pipeline":
        self._commands.append(args)
        return self

    async def execute(self, raise_on_error: bool = True) -> list[Any]:
        commands, self._commands = self._commands, []
        replies = await self._client.run_all(commands) if commands else []
        for reply in replies if raise_on_error else ():
            _raised(reply)
        return replies


async def _disconnect(*_: Any) -> None:
    """There is no connection."""


def _reply(server: Server, command: Command, options: dict[str, Any]) -> Any:
    try:
        return server.execute(command, **options)
    except Exception as exc:  # noqa: BLE001 - it is the reply
        return exc


def _raised(reply: Any) -> Any:
    if isinstance(reply, Exception):
        raise reply
    return reply


def _without_block(args: Command) -> tuple[Command, float | None]:
    if args[0] == "XREAD" and b"BLOCK" in args:
        index = list(args).index(b"BLOCK")
        return [*args[:index], *args[index + 2 :]], int(args[index + 1]) / 1000
    return args, None


def lost() -> Exception:
    return RedisConnectionError("Connection reset by peer")


def refused() -> Exception:
    return RedisConnectionError("Error 111 connecting to redis: Connection refused")


def late() -> Exception:
    return RedisTimeoutError("Timeout reading from redis")
