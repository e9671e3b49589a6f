"""What is between processes: requests through the real web applications, and calls of Redis, with what gets lost.

An effect has its effect at one moment, and its answer arrives at another. What a process has sent arrives also when it
is dead by then; what a dead process was doing for somebody else is over.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import SimpleNamespace, TracebackType
from typing import Any, Protocol, Self
from urllib.parse import urlencode

import aiohttp
import orjson
from aiohttp import web
from aiohttp.http import HttpVersion11, RawRequestMessage
from aiohttp.streams import StreamReader
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from tests.simulation import redis_client
from tests.simulation.effects import FRONT, REDIS, Effect, Effects
from tests.simulation.knobs import FaultKind
from tests.simulation.loop import CURRENT, Process, SimulatedLoop
from tests.simulation.redis import Server
from tests.simulation.redis_client import Command

REDIS_TIMEOUT_S = 5.0
"""As versus_py configures redis-py."""

RESET_AFTER_S = 0.2
"""When a client notices that the process at the other end has died."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent."""

    method: str
    url: URL
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True)
class Answer:
    """What is answered, as far as versus_py and slack-sdk ask for it of aiohttp's."""

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes

    @property
    def content_type(self) -> str:
        return self.headers.get("Content-Type", "application/octet-stream").partition(";")[0]

    @cached_property
    def content(self) -> "_Content":
        return _Content(self.body)

    @property
    def data(self) -> Any:
        """Its JSON; None without any."""
        return json.loads(self.body) if self.body and self.content_type.endswith("json") else None

    async def read(self) -> bytes:
        return self.body

    async def text(self) -> str:
        return self.body.decode()

    async def json(self, **_: Any) -> Any:
        if not self.content_type.endswith("json"):
            raise aiohttp.ContentTypeError(SimpleNamespace(real_url=URL("http://simulated")), ())  # type: ignore[arg-type]
        return json.loads(self.body)


class _Content:
    """A body that is there already."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def iter_any(self) -> AsyncIterator[bytes]:
        yield self._body

    async def read(self, _: int = -1) -> bytes:
        body, self._body = self._body, b""
        return body

    def at_eof(self) -> bool:
        return not self._body


class Host(Protocol):
    """What answers requests."""

    @property
    def application(self) -> web.Application | None:
        """None while nobody listens."""

    @property
    def process(self) -> Process:
        """In which it answers."""

    def receive(self, effect: Effect) -> None:
        """A request arrives, and will be handed to the application."""


class Lost(Exception):
    """No answer came. *is_over* is set when the request can have no effect any more."""

    def __init__(self, reason: str, is_over: asyncio.Event) -> None:
        super().__init__(reason)
        self.is_over = is_over


class Network:
    """Carries requests to hosts, and calls to Redis. *strike* makes what goes wrong at an effect happen."""

    def __init__(
        self,
        loop: SimulatedLoop,
        effects: Effects,
        hosts: Mapping[str, Host],
        strike: Callable[[Effect, Process], None],
    ) -> None:
        self._loop = loop
        self._effects = effects
        self._hosts = hosts
        self._strike = strike

    async def request(self, request: Request, timeout_s: float) -> tuple[Answer, asyncio.Event]:
        """The answer, and the event that is set when the request can have no further effect.

        Raises Lost, with what aiohttp would raise as its cause.
        """
        host = self._hosts[str(request.url.host)]
        caller = CURRENT.get() or self._loop.environment
        where = FRONT if host.process is not self._loop.environment else str(request.url.host)
        effect = self._effects.begin(where, caller.name, is_ours=where != FRONT)
        self._strike(effect, caller)
        way = _Way(self._loop, self._effects, effect, request, host)
        way.start()
        try:
            async with asyncio.timeout(timeout_s):
                return await way.answer, way.is_over
        except TimeoutError as exc:
            raise Lost("no answer in time", way.is_over) from exc
        except (aiohttp.ClientError, OSError) as exc:
            raise Lost(str(exc), way.is_over) from exc


class _Way:
    """One request on its way there and back."""

    def __init__(self, loop: SimulatedLoop, effects: Effects, effect: Effect, request: Request, host: Host) -> None:
        self._loop, self._effects, self._effect, self._request, self._host = loop, effects, effect, request, host
        self.answer: asyncio.Future[Answer] = loop.create_future()
        self.is_over = asyncio.Event()
        self._left = 1  # times that it may still have an effect

    def start(self) -> None:
        there_s, _ = _delays(self._effect)
        if self._effect.suffers(FaultKind.HTTP_LOST_BEFORE, FaultKind.FRONT_LOST_BEFORE):
            self._loop.call_in(there_s, self._lose, aiohttp.ServerDisconnectedError())
            self.is_over.set()
            return
        if self._effect.suffers(FaultKind.HTTP_DOUBLED) and self._request.method == "GET":
            self._left = 2
            self._loop.call_in(there_s * 2, self._arrive)
        self._loop.call_in(there_s, self._arrive)

    def _arrive(self) -> None:
        process = self._host.process
        if self._host.application is None or process.is_dead:
            self._lose(_refused(str(self._request.url.host)))
            self._end()
            return
        self._host.receive(self._effect)
        self._note("arrives", self._request.url.raw_query_string, self._request.body)
        process.on_death[self] = self._hang_up
        process.spawn(self._handle(process, self._host.application))

    async def _handle(self, process: Process, application: web.Application) -> None:
        answer = await respond(application, self._loop, self._request)
        process.on_death.pop(self, None)
        self._note("is not answered" if answer is None else f"is answered {answer.status}", answer and answer.body)
        _, back_s = _delays(self._effect)
        self._end()
        if answer is None or self._effect.suffers(FaultKind.HTTP_LOST_AFTER, FaultKind.FRONT_LOST_AFTER):
            self._loop.call_in(back_s, self._lose, aiohttp.ServerDisconnectedError())
        else:
            self._loop.call_in(back_s, self._settle, answer)

    def _hang_up(self) -> None:
        """The process that would have answered is dead."""
        self._loop.call_in(RESET_AFTER_S, self._end)
        self._loop.call_in(RESET_AFTER_S, self._lose, aiohttp.ServerDisconnectedError())

    def _note(self, what: str, *content: object) -> None:
        url = self._request.url
        self._effects.note(self._effect, f"{self._request.method} {url.host}{url.path} {what}", *content)

    def _settle(self, answer: Answer) -> None:
        if not self.answer.done():
            self.answer.set_result(answer)

    def _lose(self, exc: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(exc)
            self.answer.exception()  # somebody looked at it, also when the caller is dead

    def _end(self) -> None:
        self._left -= 1
        if self._left <= 0:
            self.is_over.set()


def _delays(effect: Effect) -> tuple[float, float]:
    if effect.fault is None or not effect.suffers(FaultKind.HTTP_SLOW, FaultKind.FRONT_SLOW, FaultKind.REDIS_SLOW):
        return effect.there_s, effect.back_s
    slow_s = {"there": 0.0, "back": 0.0} | {effect.fault.how["way"]: effect.fault.how["seconds"]}
    return effect.there_s + slow_s["there"], effect.back_s + slow_s["back"]


def _refused(host: str) -> Exception:
    key = SimpleNamespace(host=host, port=80, is_ssl=False, ssl=None)
    return aiohttp.ClientConnectorError(key, OSError(111, "Connection refused"))  # type: ignore[arg-type]


class RedisLink:
    """The way from the process that calls to the server. *is_down* tells whether nobody reaches it."""

    def __init__(
        self,
        loop: SimulatedLoop,
        effects: Effects,
        server: Server,
        strike: Callable[[Effect, Process], None],
        is_down: Callable[[], bool],
    ) -> None:
        self.server = server
        self._loop, self._effects, self._strike, self._is_down = loop, effects, strike, is_down

    async def call(self, apply: Callable[[], Any], commands: Sequence[Command]) -> Any:
        caller = CURRENT.get() or self._loop.environment
        effect = self._effects.begin(REDIS, caller.name, is_ours=True)
        self._strike(effect, caller)
        answer: asyncio.Future[Any] = self._loop.create_future()
        there_s, back_s = _delays(effect)

        def settle(reply: Any) -> None:
            if not answer.done():
                answer.set_result(reply)

        def fail(exc: Exception) -> None:
            if not answer.done():
                answer.set_exception(exc)
                answer.exception()

        def arrive() -> None:
            if self._is_down():
                self._loop.call_in(back_s, fail, redis_client.refused())
                return
            reply = apply()
            self._effects.note(effect, f"Redis {self.server.name_of(commands[0])}", commands, _in_order(reply))
            if effect.suffers(FaultKind.REDIS_LOST_AFTER):
                self._loop.call_in(back_s, fail, redis_client.lost())
            else:
                self._loop.call_in(back_s, settle, reply)

        if effect.suffers(FaultKind.REDIS_LOST_BEFORE):
            self._loop.call_in(there_s, fail, redis_client.lost())
        else:
            self._loop.call_in(there_s, arrive)
        if there_s + back_s > REDIS_TIMEOUT_S:
            self._loop.call_in(REDIS_TIMEOUT_S, fail, redis_client.late())
        return await answer


def _in_order(reply: Any) -> Any:
    return sorted(reply) if isinstance(reply, set) else reply


class Session:
    """aiohttp's ClientSession, as far as versus_py and slack-sdk use it."""

    closed = False

    def __init__(self, network: Network, timeout_s: float) -> None:
        self._network = network
        self._timeout_s = timeout_s

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    def get(self, url: Any, **options: Any) -> "_Asked":
        return self.request("GET", url, **options)

    def post(self, url: Any, **options: Any) -> "_Asked":
        return self.request("POST", url, **options)

    def request(
        self,
        method: str,
        url: Any,
        *,
        params: Mapping[str, Any] | Iterable[tuple[str, Any]] | None = None,
        data: bytes | Mapping[str, Any] | None = None,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
        timeout: aiohttp.ClientTimeout | None = None,
        **_: Any,
    ) -> "_Asked":
        target = URL(str(url))
        if params:
            pairs = params.items() if isinstance(params, Mapping) else params
            target = target.update_query([(key, str(value)) for key, value in pairs])
        sent = CIMultiDict(headers or {})
        body = b""
        if json is not None:
            body = orjson.dumps(json)
            sent.setdefault("Content-Type", "application/json")
        elif isinstance(data, Mapping):
            body = urlencode(data).encode()
            sent.setdefault("Content-Type", "application/x-www-form-urlencoded")
        elif data is not None:
            body = bytes(data)
        total_s = self._timeout_s if timeout is None or timeout.total is None else timeout.total
        return _Asked(self._network, Request(method, target, sent, body), total_s)


class _Asked:
    """What `async with` and `await` make of a request."""

    def __init__(self, network: Network, request: Request, timeout_s: float) -> None:
        self._network, self._request, self._timeout_s = network, request, timeout_s

    async def __aenter__(self) -> Answer:
        try:
            answer, _ = await self._network.request(self._request, self._timeout_s)
        except Lost as exc:
            raise exc.__cause__ or exc from None
        return answer

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def __await__(self) -> Any:
        return self.__aenter__().__await__()


async def respond(application: web.Application, loop: SimulatedLoop, request: Request) -> Answer | None:
    """What the application answers. None when it hung up instead."""
    protocol = _Protocol()
    try:
        received = _as_received(application, loop, protocol, request)
        response = await application._handle(received)
    except web.HTTPException as exc:
        response = exc
    await application.on_response_prepare.send(received, response)  # a simulator says the time by its clock
    if protocol.transport.is_aborted:
        return None
    body = response.body if isinstance(response, web.Response) else b""
    if not isinstance(body, bytes | bytearray | None):
        body = body._value
    return Answer(response.status, CIMultiDictProxy(response.headers), bytes(body or b""))


class _Transport:
    is_aborted = False

    def abort(self) -> None:
        self.is_aborted = True

    def get_extra_info(self, _: str, default: Any = None) -> Any:
        return default


class _Protocol:
    """What a request asks of its connection."""

    peername = ("127.0.0.1", 50000)
    sockname = ("127.0.0.1", 3000)
    ssl_context = None
    max_field_size = max_line_length = 8190
    max_headers = 128
    _reading_paused = False

    def __init__(self) -> None:
        self.transport = _Transport()

    def pause_reading(self, **_: Any) -> None:
        pass

    def resume_reading(self, **_: Any) -> None:
        pass

    def force_close(self) -> None:
        pass


def _as_received(
    application: web.Application, loop: SimulatedLoop, protocol: _Protocol, request: Request
) -> web.Request:
    headers = CIMultiDict(request.headers)
    headers.setdefault("Host", request.url.authority)
    headers.setdefault("Accept", "*/*")
    content = StreamReader(protocol, 2**16, loop=loop)  # type: ignore[arg-type]
    if request.body:
        headers["Content-Length"] = str(len(request.body))
        content.feed_data(request.body)
    content.feed_eof()
    message = RawRequestMessage(
        request.method,
        request.url.raw_path_qs,
        HttpVersion11,
        CIMultiDictProxy(headers),
        tuple((key.encode(), value.encode()) for key, value in headers.items()),
        False,
        None,
        False,
        False,
        request.url.relative(),
    )
    return web.Request(
        message,
        content,
        protocol,  # type: ignore[arg-type]
        None,  # type: ignore[arg-type] # nothing is written piece by piece
        None,  # type: ignore[arg-type]
        loop,
        client_max_size=application._client_max_size,
        host=request.url.authority,
        remote="127.0.0.1",
        scheme="http",
    )
