"""A TCP proxy that misbehaves: between any two, to cut, stall, delay, half-close, or end in the middle of something."""

import asyncio
import random
import re
import socket
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum

CONNECT_TIMEOUT_S = 2.0
CHUNK = 65_536

TIME = b"*1\r\n$4\r\nTIME\r\n"
"""As a client asks Redis for the time, by itself."""

TOLD = re.compile(rb"\*2\r\n\$10\r\n([0-9]{10})\r\n(\$[0-9]\r\n[0-9]+\r\n)")
"""And what Redis says: seconds, and microseconds."""


class Way(StrEnum):
    """In which direction bytes go."""

    THERE = "there"  # from the client to the server
    BACK = "back"


@dataclass(slots=True)
class _Cut:
    """The connection on which so many more bytes went that way ends there."""

    way: Way
    bytes_left: int


class FaultProxy:
    """Forwards to the first of *upstreams* that takes a connection, beginning anywhere; passes until told otherwise."""

    def __init__(self, upstreams: Sequence[tuple[str, int]]) -> None:
        self.upstreams = list(upstreams)
        self.port = 0
        self.delay_s = 0.0  # of every piece, both ways
        self.ahead_s = 0  # how far Redis' clock is ahead, by what it says
        self._is_refusing = False
        self._flows = asyncio.Event()
        self._flows.set()
        self._cuts: list[_Cut] = []
        self._open: set[_Connection] = set()
        self.cuts_made = 0

    def refuse(self) -> None:
        """Cut what is open, and take no connections until `mend`."""
        self._is_refusing = True
        self.cut()

    def stall(self) -> None:
        """Take connections and bytes, and hand on nothing until `mend`."""
        self._flows.clear()

    def cut(self) -> None:
        """Reset every connection."""
        for connection in [*self._open]:
            connection.abort()

    def half_close(self) -> None:
        """Tell every client that the server says no more, and go on listening to them."""
        for connection in [*self._open]:
            connection.half_close()

    def cut_in_the_middle(self, way: Way, after_bytes: int) -> None:
        """Reset one connection when so many bytes of the next traffic have gone that way; those have arrived.

        Back, after 0: what was asked is done, and nobody hears of it.
        """
        self._cuts.append(_Cut(way, after_bytes))

    def mend(self) -> None:
        """Pass everything again. What stalled goes on; what was cut stays cut."""
        self._is_refusing = False
        self.delay_s = 0.0
        self.ahead_s = 0
        self._cuts.clear()
        self._flows.set()

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until either end closes it."""
        if self._is_refusing:
            _reset(writer)
            return
        upstream = await self._connect()
        if upstream is None:
            _reset(writer)
            return
        connection = _Connection(writer, upstream[1])
        self._open.add(connection)
        try:
            async with asyncio.TaskGroup() as pumps:
                pumps.create_task(self._pump(reader, upstream[1], Way.THERE, connection))
                pumps.create_task(self._pump(upstream[0], writer, Way.BACK, connection))
        finally:
            self._open.discard(connection)
            connection.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        for host, port in random.sample(self.upstreams, len(self.upstreams)):
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(CONNECT_TIMEOUT_S):
                    return await asyncio.open_connection(host, port)
        return None

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: Way, connection: "_Connection"
    ) -> None:
        with suppress(OSError, RuntimeError):  # that it is closed already, or half
            while data := await reader.read(CHUNK):
                await self._flows.wait()
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                data = connection.with_time(way, data, self.ahead_s)
                passed = self._passed(way, data)
                writer.write(data if passed is None else data[:passed])
                await writer.drain()
                if passed is not None:
                    self.cuts_made += 1
                    connection.abort()
                    return
            if writer.can_write_eof():
                writer.write_eof()
            return
        connection.abort()

    def _passed(self, way: Way, data: bytes) -> int | None:
        """How much of *data* is handed on before the connection is cut; None: all of it, and it goes on."""
        for cut in self._cuts:
            if cut.way is way:
                if len(data) > cut.bytes_left:
                    self._cuts.remove(cut)
                    return cut.bytes_left
                cut.bytes_left -= len(data)
                return None
        return None


class _Connection:
    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self._client = client
        self._server = server
        self._asks_for_time = False

    def with_time(self, way: Way, data: bytes, ahead_s: int) -> bytes:
        """*data*, with the time so much later where it is the answer to that question."""
        if way is Way.THERE:
            self._asks_for_time = data == TIME
            return data
        told = TOLD.fullmatch(data) if self._asks_for_time else None
        return data if told is None else b"*2\r\n$10\r\n%d\r\n%s" % (int(told[1]) + ahead_s, told[2])

    def abort(self) -> None:
        """What went to the server arrives there; a reset would take it back."""
        _reset(self._client)
        self._server.close()

    def half_close(self) -> None:
        with suppress(OSError, RuntimeError):
            self._client.write_eof()

    def close(self) -> None:
        self._client.close()
        self._server.close()


def _reset(writer: asyncio.StreamWriter) -> None:
    at_once = struct.pack("ii", 1, 0)  # SO_LINGER with no time to linger: socket(7)
    with suppress(OSError):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
    writer.transport.abort()


@asynccontextmanager
async def run_proxy(*upstreams: tuple[str, int]) -> AsyncIterator[FaultProxy]:
    """A proxy on a port of its own, until the block is left."""
    proxy = FaultProxy(upstreams)
    server = await asyncio.start_server(proxy.take, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        proxy.mend()
        proxy.cut()
        for _ in range(100):  # the connections' own ends
            if not proxy._open:
                break
            await asyncio.sleep(0.01)
