"""Listening, with a bound on the connections: who opens many and says nothing does not keep others out."""

import asyncio
import resource

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

log = structlog.get_logger()

IDLE_TIMEOUT_S = 75.0
"""How long a connection may be without a complete request head, at its start and between requests.

aiohttp's keep-alive timer runs from the start and knows no half a head, so that it is a deadline for the head too.
"""

LINGERING_S = 2.0
"""How long what is left of a refused body is read, so that the sender sees the answer before the connection closes."""

HEADERS_MAX = 64
"""Most headers of a request; each may have 8 KiB."""

OTHER_FILES = 128
"""Files that the process needs beside the connections of callers: Redis, Slack, ServiceNow, the log."""

BACKLOG = 256

_BUSY: web.AppKey[set[object]] = web.AppKey("busy_connections", set)


def note_busy(app: web.Application) -> None:
    """From now on, *app* knows which connections have a request that is being answered."""
    busy: set[object] = set()
    app[_BUSY] = busy

    @web.middleware
    async def busy_while_answering(request: web.Request, handler: Handler) -> web.StreamResponse:
        busy.add(request.protocol)
        try:
            return await handler(request)
        finally:
            busy.discard(request.protocol)

    app.middlewares.insert(0, busy_while_answering)


def make_runner(app: web.Application, *, shutdown_timeout_s: float) -> web.AppRunner:
    """A runner whose connections are closed when they say nothing."""
    return web.AppRunner(
        app,
        access_log=None,
        shutdown_timeout=shutdown_timeout_s,
        keepalive_timeout=IDLE_TIMEOUT_S,
        lingering_time=LINGERING_S,
        max_headers=HEADERS_MAX,
    )


class BoundedSite(web.BaseSite):
    """Listens on a TCP port, and keeps at most *most* connections.

    For one more, the one is closed that has been idle for longest; one that is being answered never is. When all of
    them are, the new one is closed.
    """

    def __init__(self, runner: web.AppRunner, host: str, port: int, *, most: int) -> None:
        super().__init__(runner, backlog=BACKLOG)
        self._host = host
        self._port = port
        self._most = most
        self._busy = runner.app[_BUSY]

    @property
    def name(self) -> str:
        """The address, as URLs have it."""
        return f"http://{self._host}:{self._port}"

    async def start(self) -> None:
        """Listen from now on. Raises OSError."""
        await super().start()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._admit, self._host, self._port, backlog=self._backlog)

    def _admit(self) -> asyncio.Protocol:
        server = self._runner.server
        if server is None:
            return _Closed()
        connections = server.connections
        if len(connections) >= self._most:
            live = [it for it in connections if it.transport is not None]
            if len(live) >= self._most:
                idle = next((it for it in live if it not in self._busy), None)
                if idle is None:
                    return _Closed()
                idle.force_close()
        return server()


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
