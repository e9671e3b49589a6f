"""Connections to Redis that cost less than redis-py's for asyncio, and send and receive the same.

- Commands are packed by hiredis, in C: an eighth of the time, and a create has forty arguments.
- What the system takes at once is sent without a deadline; redis-py starts a task for it.
- A reply that has arrived with others is taken at once: redis-py sets a deadline for each, which costs more than the
  reply. The first one of a pipeline still has its deadline, and so has what comes late.
- Several commands are sent and read by the connection itself, without redis-py's Pipeline and its record of each.
"""

import asyncio
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import hiredis
from redis._parsers.hiredis import NOT_ENOUGH_DATA
from redis.asyncio import Connection, ConnectionPool, Redis
from redis.asyncio.sentinel import SentinelManagedConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import DataError, ReadOnlyError, RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

if TYPE_CHECKING:
    _Base = Connection
else:
    _Base = object


_SPECIAL = (RedisError, hiredis.PushNotification)


class Light(_Base):
    """Beside a class of redis-py's connections."""

    def pack_command(self, *args: Any) -> list[bytes]:
        """Raises DataError for what is no text, bytes or number."""
        return [_packed(args)]

    def pack_commands(self, commands: Iterable[Iterable[Any]]) -> list[bytes]:
        return [b"".join(_packed(tuple(it)) for it in commands)]

    async def send_packed_command(self, command: bytes | str | Iterable[bytes], check_health: bool = True) -> None:
        """As redis-py's, which is asked where it has to connect before, or to look whether it still is."""
        if not self.is_connected or self.health_check_interval or isinstance(command, bytes | str):
            await super().send_packed_command(command, check_health)
            return
        writer: Any = self._writer
        try:
            writer.writelines(command)
            if writer.transport.get_write_buffer_size():
                async with asyncio.timeout(self.socket_timeout):
                    await writer.drain()
        except TimeoutError:
            await self.disconnect(nowait=True)
            raise RedisTimeoutError("Timeout writing to socket") from None
        except OSError as exc:
            await self.disconnect(nowait=True)
            raise RedisConnectionError(f"Error while writing to socket: {exc}") from exc
        except BaseException:
            await self.disconnect(nowait=True)
            raise

    async def exchange(self, commands: Sequence[Sequence[Any]]) -> list[Any]:
        """The replies to *commands*, errors too."""
        await self.send_packed_command(self.pack_commands(commands))
        return [await self._reply() for _ in commands]

    async def _reply(self) -> Any:
        try:
            return await self.read_response()
        except ResponseError as exc:
            return exc

    async def read_response(self, *args: Any, **options: Any) -> Any:
        """As redis-py's, which is asked for everything but a plain reply that is there."""
        parser: Any = self._parser
        is_plain = not args and not options
        while is_plain and parser._connected and parser._reader.has_data():  # noqa: SLF001 - no public way to look
            try:
                reply = parser._reader.gets()  # noqa: SLF001
            except BaseException:  # it is no Redis that answers so
                await self.disconnect(nowait=True)
                raise
            if reply is NOT_ENOUGH_DATA:
                break
            if not isinstance(reply, _SPECIAL):
                return reply
            if not isinstance(reply, hiredis.PushNotification):
                await self._raise(reply)
            await parser.handle_push_response(reply)
        return await super().read_response(*args, **options)

    async def _raise(self, error: RedisError) -> NoReturn:
        """As redis-py does: an error about one command keeps the connection. Behind Sentinel, READONLY closes it."""
        if isinstance(error, ReadOnlyError) and isinstance(self, SentinelManagedConnection):
            await self.disconnect()
            raise RedisConnectionError("the primary is a replica now") from error
        if not isinstance(error, ResponseError):
            await self.disconnect(nowait=True)
        raise error


def lighten(pool: ConnectionPool) -> None:
    """Have *pool* make such connections; it has made none yet."""
    kind = pool.connection_class
    pool.connection_class = type(kind.__name__, (Light, kind), {})


def is_light(redis: Redis) -> bool:
    """Whether its connections are such: those of a simulated server are none."""
    pool = getattr(redis, "connection_pool", None)
    return pool is not None and issubclass(pool.connection_class, Light)


async def exchanged(redis: Redis, commands: Sequence[Sequence[Any]]) -> list[Any]:
    """What a pipeline of redis-py would return, of one whose connections are light.

    Where a replica refuses something, all is asked once more on a new connection: the address may be that of another
    server by now, and what the replica said of the rest is old.
    """
    pool: Any = redis.connection_pool
    called_back = redis.response_callbacks
    replies = await _replies(pool, commands)
    if any(isinstance(reply, ReadOnlyError) for reply in replies):
        await leave_idle(pool)
        replies = await _replies(pool, commands)
    return [
        reply if isinstance(reply, Exception) or (back := called_back.get(command[0])) is None else back(reply)
        for command, reply in zip(commands, replies, strict=True)
    ]


async def leave_idle(pool: Any) -> None:
    """Close the connections of *pool* that nobody uses. They are taken out before: who took one meanwhile would have it
    closed under the hands.
    """
    idle, pool._available_connections = pool._available_connections, []  # noqa: SLF001 - redis-py closes them in place
    await asyncio.gather(*(it.disconnect() for it in idle), return_exceptions=True)


async def _replies(pool: Any, commands: Sequence[Sequence[Any]]) -> list[Any]:
    connection = await pool.get_connection()
    try:
        replies: list[Any] = await connection.retry.call_with_retry(
            lambda: connection.exchange(commands), lambda _: connection.disconnect()
        )
    finally:
        await pool.release(connection)
    return replies


def _packed(args: tuple[Any, ...]) -> bytes:
    name, *others = args
    if isinstance(name, str) and " " in name:  # redis-py's own, such as CLIENT SETNAME
        args = (*name.split(), *others)
    try:
        packed: bytes = hiredis.pack_command(args)
    except TypeError as exc:
        raise DataError(str(exc)) from None
    return packed
