"""A connection to Redis that is reset while it is in use, on the event loop that the service runs on."""

import asyncio
import socket
import struct

import pytest
import uvloop
from redis.asyncio import Redis

from tests.support.waiting import until
from versus_py.errors import StoreUnavailable
from versus_py.store.calls import answered

RESET = struct.pack("ii", 1, 0)  # SO_LINGER with no time to linger: socket(7)


class ResettingServer:
    """Answers everything alike, until it resets all that is open."""

    def __init__(self) -> None:
        self._writers: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        while data := await reader.read(1000):
            writer.write(b"+OK\r\n" * data.count(b"*"))

    def reset(self) -> None:
        for writer in self._writers:
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            writer.transport.abort()


async def ask_after_a_reset() -> None:
    peer = ResettingServer()
    server = await asyncio.start_server(peer.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with Redis(port=port, protocol=2, single_connection_client=True) as client:
        await answered(client.get("some"))
        peer.reset()
        assert client.connection is not None
        writer = client.connection._writer
        assert writer is not None
        await until(writer.transport.is_closing)
        try:
            await answered(client.get("some"))
        finally:
            server.close()


def test_a_reset_is_redis_being_away_and_no_bug():
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner, pytest.raises(StoreUnavailable, match="closed"):
        runner.run(ask_after_a_reset())


async def test_another_runtime_error_is_a_bug():
    async def broken() -> None:
        raise RuntimeError("generator raised StopIteration")

    with pytest.raises(RuntimeError, match="StopIteration"):
        await answered(broken())
