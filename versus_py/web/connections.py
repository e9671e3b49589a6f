"""Listening, with a bound on the connections: who opens many and says or takes nothing does not keep others out."""

import asyncio
import resource
from typing import cast

import structlog
from aiohttp import ClientRequest, hdrs, http_parser, web
from aiohttp.typedefs import Handler

from versus_py.web.unparsed import Noted, RequestHandler

log = structlog.get_logger()

IDLE_TIMEOUT_S = 75.0
"""How long a connection may be without a complete request head, at its start and between requests.

aiohttp's keep-alive timer runs from the start and knows no half a head, so that it is a deadline for the head too.
"""

ANSWER_TIMEOUT_S = 30.0
"""How long a caller may leave something of an answer untaken. aiohttp would wait for it for ever."""

LINGERING_S = 2.0
"""How long what is left of a refused body is read, so that the sender sees the answer before the connection closes."""

HEADERS_MAX = 64
"""Most headers of a request; each may have 8 KiB."""

BACKLOG = 256
"""Most connections that wait to be accepted. All of them may be at once, before it is seen that they are too many."""

OTHER_FILES = 128 + BACKLOG
"""Files that the process needs beside the connections of callers: Redis, Slack, ServiceNow, the log, the backlog."""


class _Connection(asyncio.Protocol):
    """Between a socket and aiohttp, which closes in good order only: after what was written is taken, if ever."""

    def __init__(self, handler: web.RequestHandler, connections: "_Connections") -> None:
        self.request: web.Request | None = None  # that is being answered
        self._handler = handler
        self._connections = connections
        self._transport: asyncio.Transport | None = None
        self._is_aborted = False
        self._deadline: asyncio.TimerHandle | None = None

    @property
    def is_busy(self) -> bool:
        """Whether a whole request is being answered; one whose body is still to come has no claim to stay."""
        return self.request is not None and self.request.content.is_eof()

    def abort(self) -> None:
        """Close it now, whatever was not sent yet."""
        self._is_aborted = True
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if self._is_aborted:
            self._transport.abort()
            return
        self._transport.set_write_buffer_limits(high=0)  # writing is paused from the first byte that is not taken
        self._handler.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        self._handler.data_received(data)

    def eof_received(self) -> None:
        self._handler.eof_received()

    def pause_writing(self) -> None:
        self._deadline = asyncio.get_running_loop().call_later(ANSWER_TIMEOUT_S, self.abort)
        self._handler.pause_writing()

    def resume_writing(self) -> None:
        self._forget_deadline()
        self._handler.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget_deadline()
        self._connections.forget(self._handler)
        self._handler.connection_lost(exc)

    def _forget_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class _Connections:
    """Those that are open, beginning with the one that has been idle for longest."""

    def __init__(self, noted: Noted | None) -> None:
        self.noted = noted
        self._open: dict[web.RequestHandler, _Connection] = {}

    def add(self, handler: web.RequestHandler) -> _Connection:
        """A new one counts from now on: a burst is accepted before the first of it has its transport."""
        found = self._open[handler] = _Connection(handler, self)
        return found

    def forget(self, handler: web.RequestHandler) -> None:
        self._open.pop(handler, None)

    def make_room(self, *, most: int) -> bool:
        """Whether there is room for one more, if need be by closing the one that has been idle for longest."""
        if len(self._open) < most:
            return True
        idle = next((handler for handler, it in self._open.items() if not it.is_busy), None)
        if idle is None:
            return False
        self._open.pop(idle).abort()
        return True

    def note(self, request: web.Request, *, is_answered: bool) -> None:
        """*request* is to be answered, or was: its connection is the last one to be closed for another."""
        connection = self._touch(request.protocol)
        if connection is not None:
            connection.request = None if is_answered else request

    def _touch(self, handler: web.RequestHandler) -> _Connection | None:
        """Its connection, which was idle until now; None where it was closed, or does not come from a `BoundedSite`."""
        found = self._open.pop(handler, None)
        if found is not None:
            self._open[handler] = found
        return found


_CONNECTIONS: web.AppKey[_Connections] = web.AppKey("connections", _Connections)


def look_after_connections(app: web.Application, noted: Noted | None = None) -> None:
    """From now on, *app* knows which connections have a request that is being answered, and when each had its last.

    *noted* is told of each request that could not be parsed.
    One that is answered before its packed body was read is closed at once.
    """
    connections = app[_CONNECTIONS] = _Connections(noted)

    @web.middleware
    async def answering(request: web.Request, handler: Handler) -> web.StreamResponse:
        connections.note(request, is_answered=False)
        try:
            answer = await handler(request)
            if "Content-Encoding" in request.headers and not request.content.is_eof():
                await _send_and_close(request, answer)
            return answer
        finally:
            connections.note(request, is_answered=True)

    app.middlewares.insert(0, answering)


async def _send_and_close(request: web.Request, answer: web.StreamResponse) -> None:
    """aiohttp would read on for a while, and unpack what it reads: half a megabyte can be 512."""
    answer.force_close()
    await answer.prepare(request)
    await answer.write_eof()
    request.protocol.force_close()


def make_runner(app: web.Application, *, shutdown_timeout_s: float) -> web.AppRunner:
    """A runner whose connections are closed when they say nothing."""
    _take_no_zstd()
    return web.AppRunner(
        app,
        access_log=None,
        shutdown_timeout=shutdown_timeout_s,
        keepalive_timeout=IDLE_TIMEOUT_S,
        lingering_time=LINGERING_S,
        max_headers=HEADERS_MAX,
    )


def _take_no_zstd() -> None:
    """Refuse bodies that are packed with zstd: aiohttp would unpack them, and a frame may ask for 128 MiB of memory.

    It has no setting for that, and what it does not unpack it must not ask others for.
    """
    http_parser.HAS_ZSTD = False  # type: ignore[attr-defined]  # its own import
    ClientRequest.DEFAULT_HEADERS[hdrs.ACCEPT_ENCODING] = "gzip, deflate"


class BoundedSite(web.BaseSite):
    """Listens on a TCP port, and keeps at most *most* connections.

    For one more, the one is closed that has been idle for longest; one whose request has arrived and is being answered
    never is. When all of them are, the new one is closed. Who does not take what is written to it is closed as well.
    With *shares_port*, other processes listen on the port too, and the kernel spreads new connections over all.
    """

    def __init__(self, runner: web.AppRunner, host: str, port: int, *, most: int, shares_port: bool = False) -> None:
        super().__init__(runner, backlog=BACKLOG)
        self._shares_port = shares_port
        self._host = host
        self._port = port
        self._most = most
        self._connections = runner.app[_CONNECTIONS]

    @property
    def name(self) -> str:
        """The address, as URLs have it."""
        return f"http://{self._host}:{self._port}"

    async def start(self) -> None:
        """Listen from now on. Raises OSError."""
        await super().start()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            self._admit, self._host, self._port, backlog=self._backlog, reuse_port=self._shares_port or None
        )

    def _admit(self) -> asyncio.Protocol:
        server = self._runner.server
        if server is None or not self._connections.make_room(most=self._most):
            return _Closed()
        return self._connections.add(RequestHandler(server, self._connections.noted))


class _Closed(asyncio.Protocol):
    """A connection that is not taken."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()


def connections_allowed(wanted: int) -> int:
    """*wanted*, or as many as this process may have files for, which is raised as far as the system lets us."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < needed:
        target = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))
        if target < needed:
            log.warning("service.few_files", limit=target, connections=max(1, target - OTHER_FILES))
            return max(1, target - OTHER_FILES)
    return wanted
