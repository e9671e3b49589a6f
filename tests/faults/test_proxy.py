"""The proxy does to connections what it is told, and nothing else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from redis.asyncio import Redis

from tests.faults.proxy import FaultProxy, Way, run_proxy
from tests.support.redis_servers import RedisServer, redis_server

Client = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
def heard() -> list[bytes]:
    """What has arrived at the server."""
    return []


@pytest.fixture
async def proxy(heard) -> AsyncIterator[FaultProxy]:
    """In front of a server that answers whatever it hears with the same."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(1000):
                heard.append(data)
                writer.write(data)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with run_proxy(server.sockets[0].getsockname()[:2]) as running:
        yield running
    server.close()


@pytest.fixture
async def client(proxy) -> AsyncIterator[Client]:
    async with AsyncExitStack() as stack:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        stack.callback(writer.close)
        yield reader, writer


async def test_it_passes_both_ways(client):
    reader, writer = client

    writer.write(b"hello")

    assert await reader.readexactly(5) == b"hello"


async def test_a_cut_in_the_middle_of_a_request_lets_just_that_much_arrive(proxy, client, heard):
    reader, writer = client
    proxy.cut_in_the_middle(Way.THERE, 3)

    writer.write(b"hello")

    with pytest.raises(ConnectionError):
        await reader.readexactly(1)
    assert proxy.cuts_made == 1
    async with asyncio.timeout(5):
        while b"".join(heard) != b"hel":
            await asyncio.sleep(0.01)


async def test_a_cut_before_the_answer_lets_the_request_arrive(proxy, client, heard):
    reader, writer = client
    proxy.cut_in_the_middle(Way.BACK, 0)

    writer.write(b"hello")

    with pytest.raises(ConnectionError):
        await reader.readexactly(1)
    assert b"".join(heard) == b"hello"


async def test_what_stalls_goes_on_when_it_is_mended(proxy, client, heard):
    reader, writer = client
    proxy.stall()
    writer.write(b"hello")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await reader.readexactly(5)
    assert heard == []

    proxy.mend()

    assert await reader.readexactly(5) == b"hello"


async def test_a_half_close_ends_what_the_client_hears_but_not_what_it_says(proxy, client, heard):
    reader, writer = client
    writer.write(b"one")
    assert await reader.readexactly(3) == b"one"

    proxy.half_close()
    assert await reader.read() == b""
    writer.write(b"two")

    async with asyncio.timeout(5):
        while b"".join(heard) != b"onetwo":
            await asyncio.sleep(0.01)


async def test_it_takes_nothing_while_it_refuses(proxy):
    proxy.refuse()
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    with pytest.raises(ConnectionError):
        await reader.readexactly(1)
    writer.close()

    proxy.mend()
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    writer.write(b"hello")

    assert await reader.readexactly(5) == b"hello"
    writer.close()


async def test_what_redis_says_of_the_time_is_moved_and_nothing_else_is(tmp_path):
    with RedisServer(redis_server(), tmp_path) as server:
        async with (
            run_proxy(("127.0.0.1", server.port)) as running,
            Redis(port=running.port) as moved,
            Redis(port=server.port) as plain,
        ):
            running.ahead_s = 3600
            later = (await moved.time())[0] - (await plain.time())[0]
            await moved.rpush("list", "1777890000", "123456")

            assert later in {3600, 3599}
            assert await moved.lrange("list", 0, -1) == [b"1777890000", b"123456"]
