"""The streams of open tabs: how many there may be, and what each has still to be sent."""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

from aiohttp import HttpVersion11, web

from versus_py.telemetry.metrics import Metrics

STREAMS_MAX = 1000
"""The most of one replica."""

HELD_MAX_BYTES = 512 * 1024
"""What may wait for a tab that takes nothing, before the next message."""

RETRY_AFTER_S = 10


class Message:
    """What is sent to many tabs."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.chunk = b"%x\r\n%b\r\n" % (len(data), data)
        """The same as HTTP/1.1 has it in an answer without a length."""


class Stream:
    """One tab's; *ends_at_ms* is when its session does.

    What is put is written to the transport at once, and not by the task of the handler: hundreds of tasks would wake
    for each beat.
    """

    def __init__(self, ends_at_ms: int) -> None:
        self.ends_at_ms = ends_at_ms
        self._waiting: list[Message] = []  # for the head of the answer to be sent
        self._transport: asyncio.WriteTransport | None = None
        self._is_chunked = False
        self._ended = asyncio.Event()

    async def send(self, request: web.Request) -> web.StreamResponse:
        """The answer, until `end`, or until the tab is gone."""
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"})
        self._is_chunked = request.version >= HttpVersion11
        if self._is_chunked:
            response.enable_chunked_encoding()
        with suppress(ConnectionError):  # it is gone
            await response.prepare(request)
            await response.write(b"".join(it.data for it in self._taken()))
            self._transport = request.transport
            if self._transport is None:  # it has just gone: what is put would be kept
                return response
            for message in self._taken():
                self.put(message)
            await self._ended.wait()
            await response.write_eof()
        return response

    @property
    def is_gone(self) -> bool:
        """Whether the tab has closed its connection, which `put` would see too."""
        return self._transport is not None and self._transport.is_closing()

    def begin_with(self, messages: Iterable[Message]) -> None:
        """Send these before all that was put until now. Only before `send`."""
        self._waiting[:0] = messages

    def put(self, message: Message) -> bool:
        """Send it. False: the tab takes too little, and its connection was closed."""
        transport = self._transport
        if self._ended.is_set():
            return True
        if transport is None:
            self._waiting.append(message)
        elif self.is_gone:
            self.end()
        elif transport.get_write_buffer_size() > HELD_MAX_BYTES:
            self.end()
            transport.abort()
            return False
        else:
            transport.write(message.chunk if self._is_chunked else message.data)
        return True

    def end(self) -> None:
        """Nothing more is sent."""
        self._ended.set()

    def _taken(self) -> list[Message]:
        taken, self._waiting = self._waiting, []
        return taken


class Streams:
    """Those of one replica, at most *most*."""

    def __init__(self, metrics: Metrics, *, most: int) -> None:
        self._metrics = metrics
        self._most = min(STREAMS_MAX, most)
        self._open: set[Stream] = set()
        self._has_some = asyncio.Event()
        self._is_closed = False

    def __iter__(self) -> Iterator[Stream]:
        return iter([*self._open])

    def __bool__(self) -> bool:
        return bool(self._open)

    async def wait(self) -> None:
        """Until there is one."""
        await self._has_some.wait()

    @contextmanager
    def opened(self, stream: Stream) -> Iterator[None]:
        """While it is open. Raises HTTPServiceUnavailable when there are too many, and while this process ends."""
        if len(self._open) >= self._most:
            self._forget_gone()
        if self._is_closed or len(self._open) >= self._most:
            raise web.HTTPServiceUnavailable(
                text="This server ends." if self._is_closed else f"{self._most} tabs are open, and no more may be.",
                headers={"Retry-After": str(RETRY_AFTER_S)},
            )
        self._open.add(stream)
        self._note()
        try:
            yield
        finally:
            self._open.discard(stream)
            self._note()

    async def close(self, _: object = None) -> None:
        """End all, and take no more: a server that ends would wait for them."""
        self._is_closed = True
        for stream in self:
            stream.end()

    def _forget_gone(self) -> None:
        """Those of tabs that were closed since the last beat."""
        for stream in self:
            if stream.is_gone:
                stream.end()
                self._open.discard(stream)

    def _note(self) -> None:
        self._metrics.ui_streams.set(len(self._open))
        if self._open:
            self._has_some.set()
        else:
            self._has_some.clear()
