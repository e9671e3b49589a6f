"""The load generator: raw connections with pre-built requests, each sent when the one before it was answered."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import cast

CONNECTIONS = 64
_HEAD_ENDS = b"\r\n\r\n"
_LENGTH = b"ontent-Length: "
_OK = b"HTTP/1.1 2"


@dataclass(slots=True)
class Load:
    """What came of one run of it."""

    seconds: float = 0.0  # until the last answer
    accepted: int = 0
    refused: int = 0
    first_refusal: str = ""
    latencies_s: list[float] = field(default_factory=list)
    busy: float = 0.0  # the part of a core that the generator itself used
    bodies: list[bytes] = field(default_factory=list)  # in the order of the answers, where they were asked for

    @property
    def rate(self) -> float:
        """Accepted requests a second."""
        return self.accepted / self.seconds

    def percentile_ms(self, part: float) -> float:
        return 1000 * percentile(self.latencies_s, part)


def percentile(values: list[float], part: float) -> float:
    """The least value that *part* of all values do not exceed; 0 for no values."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else 0.0


async def send(
    port: int,
    requests: Iterator[bytes],
    *,
    seconds: float = float("inf"),
    connections: int = CONNECTIONS,
    keep_bodies: bool = False,
) -> Load:
    """Send *requests* until there are no more, or the time is over; then wait for what is on its way.

    Raises ConnectionError when the server closes a connection, or refuses all requests.
    """
    load, loop = Load(), asyncio.get_running_loop()
    opened = [
        await loop.create_connection(lambda: _Connection(load, keep_bodies), "127.0.0.1", port)
        for _ in range(connections)
    ]
    used_s, began = time.process_time(), time.perf_counter()
    for _, it in opened:
        it.begin(requests, began + seconds)
    await asyncio.gather(*(it.done for _, it in opened))
    ended = time.perf_counter()
    load.busy = (time.process_time() - used_s) / (ended - began)
    load.seconds = ended - began  # also of what was answered after the time was over: all of that is counted
    for transport, _ in opened:
        transport.close()
    if not load.accepted:
        raise ConnectionError(f"none of {load.refused} requests was accepted: {load.first_refusal}")
    return load


class _Connection(asyncio.Protocol):
    """One keep-alive connection, with one request on its way."""

    def __init__(self, load: Load, keep_bodies: bool) -> None:
        self._load = load
        self._keep_bodies = keep_bodies
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._sent_at = 0.0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # which uvloop's is, but not by its class

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(exc or ConnectionError("the server closed the connection"))

    def begin(self, requests: Iterator[bytes], until: float) -> None:
        self._requests, self._until = requests, until
        self._send_next()

    def _send_next(self) -> None:
        now = time.perf_counter()
        request = next(self._requests, None) if now < self._until else None
        if request is None or self._transport is None:
            self.done.set_result(None)
            return
        self._sent_at = now
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        data = self._buffer + data if self._buffer else data
        head = data.find(_HEAD_ENDS)
        at = data.find(_LENGTH, 0, head) + len(_LENGTH)
        if head < 0 or len(data) < head + 4 + int(data[at : data.index(b"\r", at)]):
            self._buffer = data
            return
        self._buffer = b""
        self._note(data, head)
        self._send_next()

    def _note(self, answer: bytes, head: int) -> None:
        load, now = self._load, time.perf_counter()
        if answer.startswith(_OK):
            load.accepted += 1
        else:
            load.refused += 1
            load.first_refusal = load.first_refusal or answer[:500].decode(errors="replace")
        load.latencies_s.append(now - self._sent_at)
        if self._keep_bodies:
            load.bodies.append(answer[head + 4 :])
