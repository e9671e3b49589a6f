"""What goes to Redis, and comes from there, is what redis-py would send and read."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import (
    BlockingConnectionPool,
    Connection,
    Redis,
    SSLConnection,
    UnixDomainSocketConnection,
    connection,
)
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import SentinelManagedConnection
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import DataError, ReadOnlyError, RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from tests.support.waiting import until
from versus_py.config import RedisConfig
from versus_py.incidents.model import Status
from versus_py.store.connection import connect
from versus_py.store.wire import Light, exchanged, lighten

ARGUMENTS = st.text() | st.binary() | st.integers() | st.floats(allow_nan=False) | st.sampled_from(Status)
COMMANDS = st.lists(st.tuples(st.sampled_from(["GET", "CLIENT SETNAME", "EVALSHA"]), ARGUMENTS, ARGUMENTS))


def light(pool: BlockingConnectionPool) -> Connection:
    lighten(pool)
    made = pool.make_connection()
    assert isinstance(made, Light)
    return made


def test_each_kind_of_connection_stays_what_it_is():
    for url, kind in (
        ("redis://h", Connection),
        ("rediss://h", SSLConnection),
        ("unix:///s", UnixDomainSocketConnection),
    ):
        assert isinstance(light(BlockingConnectionPool.from_url(url)), kind)


@given(COMMANDS)
def test_the_bytes_are_the_same(commands):
    theirs, ours = Connection(), light(BlockingConnectionPool())

    assert b"".join(ours.pack_commands(commands)) == b"".join(theirs.pack_commands(commands))
    for command in commands:
        assert b"".join(ours.pack_command(*command)) == b"".join(theirs.pack_command(*command))


@pytest.mark.parametrize("argument", [None, True, ["a"], object()])
def test_what_is_no_argument_is_refused_as_by_redis_py(argument):
    ours = light(BlockingConnectionPool())

    with pytest.raises(DataError):
        ours.pack_command("SET", argument)
    with pytest.raises(DataError):
        ours.pack_commands([("SET", argument)])


@pytest.mark.parametrize(
    "keys",
    [{}, {"url": "unix:///socket"}, {"tls": True}, {"sentinel": {"hosts": ["127.0.0.1:1"], "master_name": "m"}}],
    ids=["tcp", "unix", "tls", "sentinel"],
)
async def test_the_clients_have_such_connections(keys):
    async with connect(RedisConfig(**keys)) as client:
        assert isinstance(client, Redis)
        assert isinstance(client.connection_pool.make_connection(), Light)


REPLIES = [b"+OK\r\n", b":7\r\n", b"$2\r\nab\r\n", b"_\r\n", b"*2\r\n:1\r\n$1\r\nx\r\n", b"%1\r\n+a\r\n:1\r\n"]
ERRORS = [b"-WRONGTYPE of a command\r\n", b"-NOSCRIPT no\r\n"]
NEWS = b">2\r\n+news\r\n:1\r\n"


async def read_all(connection: Connection, sent: list[bytes], count: int) -> list[object]:
    """What *connection* reads of what comes in these pieces."""
    stream = asyncio.StreamReader()
    connection._reader = stream
    connection._parser.on_connect(connection)
    found: list[object] = []
    for piece in sent:
        stream.feed_data(piece)
    stream.feed_eof()
    for _ in range(count):
        try:
            found.append(await connection.read_response())
        except RedisError as exc:
            found.append((type(exc), str(exc)))
    return found


@given(
    st.lists(st.sampled_from([*REPLIES, *ERRORS, NEWS]), max_size=8), st.integers(0, 60), st.sampled_from([b"", b"?"])
)
async def test_the_replies_are_the_same(replies, cut, broken):
    text = b"".join(replies) + broken
    pieces = [it for it in (text[:cut], text[cut:]) if it]
    kept = light(BlockingConnectionPool(decode_responses=True))

    theirs = await read_all(Connection(decode_responses=True), pieces, len(replies) + 1)

    assert await read_all(kept, pieces, len(replies) + 1) == theirs


async def test_a_reply_that_is_there_needs_no_deadline(monkeypatch):
    kept = light(BlockingConnectionPool(decode_responses=True, socket_timeout=5))
    deadlines: list[float] = []

    def noted(seconds: float) -> asyncio.Timeout:
        deadlines.append(seconds)
        return asyncio.timeout(seconds)

    monkeypatch.setattr(connection, "async_timeout", noted)

    found = await read_all(kept, [b":1\r\n:2\r\n:3\r\n"], 3)

    assert found == [1, 2, 3]
    assert deadlines == [5]


@asynccontextmanager
async def served(
    replies: bytes,
    *,
    reads: bool = True,
    pool_class: type[BlockingConnectionPool] = BlockingConnectionPool,
    connection_class: type[Connection] = Connection,
) -> AsyncIterator[tuple[Redis, list[bytes]]]:
    """A client with light connections, and what its server has read, which answers each piece with *replies*."""
    read: list[bytes] = []
    serving: list[asyncio.Task[None]] = []
    is_over = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.append(cast("asyncio.Task[None]", asyncio.current_task()))
        while reads and (piece := await reader.read(1 << 20)):
            read.append(piece)
            writer.write(replies)
        if not reads:
            await is_over.wait()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        options: dict[str, Any] = {"socket_timeout": 0.2, "retry": Retry(NoBackoff(), 0)}
        options |= {
            "protocol": 2,
            "driver_info": None,
            "connection_class": connection_class,
        }  # it says nothing before the first command
        host, port = server.sockets[0].getsockname()
        pool = pool_class(host=host, port=port, decode_responses=True, **options)
        lighten(pool)
        async with Redis.from_pool(pool) as client:
            yield client, read
        is_over.set()
        await asyncio.gather(*serving)


async def test_an_exchange_is_what_a_pipeline_would_be():
    commands = [("HGETALL", "h"), ("GET", "missing"), ("GET", "h"), ("PING",)]
    replies = b"*2\r\n$1\r\na\r\n$1\r\n1\r\n$-1\r\n-WRONGTYPE of a key\r\n+PONG\r\n"
    async with served(replies) as (client, read):
        pipeline = client.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        theirs = await pipeline.execute(raise_on_error=False)
        ours = await exchanged(client, commands)

    assert [repr(it) for it in ours] == [repr(it) for it in theirs]
    assert read[0] == read[1]


async def test_what_the_system_does_not_take_at_once_has_a_deadline():
    async with served(b"", reads=False) as (client, _):
        with pytest.raises(RedisTimeoutError, match="writing"):
            await exchanged(client, [("SET", "k", "v" * (64 << 20))])

        [connection] = client.connection_pool._available_connections
        assert not connection.is_connected


async def test_an_answer_that_does_not_come_has_a_deadline():
    async with served(b"") as (client, _):
        with pytest.raises(RedisTimeoutError, match="reading"):
            await exchanged(client, [("PING",)])


class OfSentinel(BlockingConnectionPool):
    """One of whose connections Sentinel tells where the primary is."""

    is_master, check_connection = True, False

    def make_connection(self) -> Any:
        return self.connection_class(**self.connection_kwargs | {"connection_pool": self})

    async def get_master_address(self) -> tuple[str, int]:
        return self.connection_kwargs["host"], self.connection_kwargs["port"]


READONLY = b"-READONLY You can't write against a read only replica.\r\n"


@pytest.mark.parametrize("before", [b"", b"+PONG\r\n"], ids=["at once", "after others"])
async def test_a_primary_that_became_a_replica_is_left_where_sentinel_knows_another(before):
    commands = [("PING",), ("SET", "k", "v")][-(1 + bool(before)) :]
    replies = before + READONLY
    async with served(replies, pool_class=OfSentinel, connection_class=SentinelManagedConnection) as (client, _):
        with pytest.raises(RedisConnectionError):
            await exchanged(client, commands)

        [connection] = client.connection_pool._available_connections
        assert not connection.is_connected


async def test_what_a_replica_refuses_is_asked_once_more_on_a_new_connection_and_costs_nobody_else_an_answer():
    async with served(b"+PONG\r\n" + READONLY) as (client, read):
        [first] = await exchanged(client, [("PING",)])
        read.clear()

        said, refused = await exchanged(client, [("PING",), ("SET", "k", "v")])

    assert (first, said) == (True, True)
    assert isinstance(refused, ReadOnlyError)
    assert sum(piece.count(b"SET") for piece in read) == 2


async def test_whoever_is_cancelled_leaves_no_answer_for_the_next_one():
    async with served(b"+PONG\r\n") as (client, read):
        await exchanged(client, [("PING",)])
        task = asyncio.create_task(exchanged(client, [("PING",), ("PING",)]))
        await until(lambda: len(read) == 2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        assert await exchanged(client, [("PING",)]) == [True]
