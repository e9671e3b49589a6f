"""Socket Mode: the app opens a websocket, and interactions come as envelopes that it acknowledges."""

import asyncio
import json
import secrets
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Literal

from aiohttp import WSMsgType, web

from versus_py.simulators.slack.delivery import UNDELIVERABLE, Delivery, answered, late
from versus_py.simulators.slack.messages import APP_ID

Reason = Literal["warning", "refresh_requested", "link_disabled"]

CONNECTION_LIFE_S = 18_060


@dataclass(frozen=True, slots=True)
class Ack:
    """What the app sent for an envelope; *connection* is the number of the socket it came by, from 1 on."""

    envelope_id: str
    payload: Any
    connection: int


@dataclass(frozen=True, slots=True, eq=False)
class _Connection:
    number: int
    socket: web.WebSocketResponse
    transport: asyncio.Transport | None


class SocketMode:
    """The sockets of one app."""

    def __init__(self) -> None:
        self._tickets: set[str] = set()
        self._open: list[_Connection] = []
        self._opened = 0
        self._turn = 0
        self._awaited: dict[str, list[asyncio.Future[Ack]]] = {}
        self.acks: list[Ack] = []  # in the order in which they came, also those that nobody waits for
        self.unacknowledged: list[str] = []  # the envelopes whose acknowledgment did not come in time

    @property
    def connections(self) -> int:
        """How many sockets are open."""
        return len(self._open)

    def new_url(self, request: web.Request) -> str:
        """Where to connect, once."""
        ticket = secrets.token_urlsafe(18)
        self._tickets.add(ticket)
        scheme = "wss" if request.scheme == "https" else "ws"
        return f"{scheme}://{request.host}/link/?ticket={ticket}&app_id={APP_ID}"

    async def connect(self, request: web.Request) -> web.WebSocketResponse:
        """Serve one socket until either side closes it."""
        ticket = request.query.get("ticket", "")
        if ticket not in self._tickets:
            raise web.HTTPUnauthorized(text="the ticket is not known, or was used")
        self._tickets.remove(ticket)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self._opened += 1
        connection = _Connection(self._opened, socket, request.transport)
        self._open.append(connection)
        try:
            await socket.send_json(self._hello(request))
            async for frame in socket:
                if frame.type == WSMsgType.TEXT:
                    self._take(connection, frame.data)
        finally:
            self._open.remove(connection)
        return socket

    async def send(
        self, payload: Any, *, within_s: float, envelope_id: str | None = None, event: Mapping[str, Any] | None = None
    ) -> Delivery:
        """Send an interaction by one of the sockets, each in turn, and wait for its acknowledgment.

        With *event*, which says which attempt it is, the payload is an event instead.

        An *envelope_id* that was sent before makes it the same envelope once more.
        """
        if not self._open:
            return UNDELIVERABLE
        connection = self._open[self._turn % len(self._open)]
        self._turn += 1
        envelope_id = envelope_id or str(uuid.uuid4())
        started_s = time.perf_counter()
        awaited: asyncio.Future[Ack] = asyncio.get_running_loop().create_future()
        self._awaited.setdefault(envelope_id, []).append(awaited)
        try:
            async with asyncio.timeout(within_s):
                await connection.socket.send_json(_envelope(envelope_id, payload, event))
                ack = await awaited
        except (TimeoutError, ConnectionError):
            self.unacknowledged.append(envelope_id)
            return late("socket", within_s, time.perf_counter() - started_s)
        finally:
            self._awaited[envelope_id].remove(awaited)
        body = "" if ack.payload is None else json.dumps(ack.payload)
        return answered("socket", HTTPStatus.OK, body, time.perf_counter() - started_s)

    async def disconnect(self, reason: Reason = "warning") -> None:
        """Announce to every socket that it will be closed; `close` does it."""
        frame = {"type": "disconnect", "reason": reason, "debug_info": {"host": "simulator"}}
        for connection in list(self._open):
            await connection.socket.send_json(frame)

    def cut(self) -> None:
        """Every socket breaks off, without a word."""
        for connection in self._open:
            if connection.transport is not None:
                connection.transport.abort()

    async def close(self) -> None:
        """Every socket is closed as it should be."""
        for connection in list(self._open):
            await connection.socket.close()

    def _hello(self, request: web.Request) -> dict[str, Any]:
        return {
            "type": "hello",
            "num_connections": self.connections,
            "connection_info": {"app_id": APP_ID},
            "debug_info": {
                "host": request.host,
                "build_number": 1,
                "approximate_connection_time": CONNECTION_LIFE_S,
            },
        }

    def _take(self, connection: _Connection, data: str) -> None:
        """An acknowledgment; whatever else the app says is not heard, as Slack does not."""
        try:
            said = json.loads(data)
        except ValueError:
            return
        if not isinstance(said, dict) or not isinstance(envelope_id := said.get("envelope_id"), str):
            return
        ack = Ack(envelope_id, said.get("payload"), connection.number)
        self.acks.append(ack)
        awaited = next((it for it in self._awaited.get(envelope_id, []) if not it.done()), None)
        if awaited is not None:
            awaited.set_result(ack)


def _envelope(envelope_id: str, payload: Any, event: Mapping[str, Any] | None) -> dict[str, Any]:
    if event is not None:
        about = {"type": "events_api", "envelope_id": envelope_id, "accepts_response_payload": False}
        return about | dict(event) | {"payload": payload}
    return {
        "type": "interactive",
        "envelope_id": envelope_id,
        "accepts_response_payload": True,
        "payload": payload,
    }
