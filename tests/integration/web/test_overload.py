"""More than can be taken: refused with a word on when to come again, and whoever behaves gets through."""

import asyncio
import gzip
import socket
import zlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from tests.support.clock import FakeClock
from tests.support.servers import free_port
from tests.support.waiting import DEADLINE_S, until
from versus_py.config import IntakeConfig
from versus_py.web import connections
from versus_py.web.connections import BoundedSite, look_after_connections, make_runner
from versus_py.web.intake.overload import Arrivals, Pace

PATH = "/api/incidents"
ALERT = {"title": "Disk full", "id": "d1"}
TOKENS = [{"name": "a", "token": "token-of-a-0123456789"}, {"name": "b", "token": "token-of-b-0123456789"}]


async def post(engine, data=ALERT, token=None):
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return await engine.http.post(PATH, data=orjson.dumps(data), headers=headers)


@asynccontextmanager
async def stalled(engine, incident_id) -> AsyncIterator[None]:
    """While somebody else is at work on the incident, nothing is written about it."""
    async with engine.lifecycle._lock(incident_id):
        yield


# Requests at work


@pytest.mark.parametrize("settings", [{"intake": {"max_working": 1, "max_waiting": 1}}])
async def test_beyond_those_at_work_and_those_that_wait_requests_are_asked_to_come_again(engine, logs):
    incident_id = (await engine.post(ALERT))["incidents"][0]["id"]
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(stalled(engine, incident_id))
        async with asyncio.TaskGroup() as group:
            posted = [group.create_task(post(engine)) for _ in range(5)]
            while sum(task.done() for task in posted) < 3:
                await asyncio.wait([task for task in posted if not task.done()], return_when=asyncio.FIRST_COMPLETED)
            await stack.aclose()

    responses = [task.result() for task in posted]
    assert sorted(it.status for it in responses) == [201, 201, 503, 503, 503]
    assert {it.headers.get("Retry-After") for it in responses if it.status == 503} == {"5"}
    assert (await engine.detail(incident_id))["occurrences"] == 3
    assert [line["requests"] for line in logs if line["event"] == "intake.overloaded"] == [1]
    assert (await post(engine)).status == 201


@pytest.mark.parametrize("settings", [{"intake": {"max_working": 1, "max_waiting": 5}}])
async def test_who_waits_for_too_long_is_asked_to_come_again(engine, monkeypatch):
    monkeypatch.setattr("versus_py.web.intake.overload.TURN_TIMEOUT_S", 0.01)
    incident_id = (await engine.post(ALERT))["incidents"][0]["id"]
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(stalled(engine, incident_id))
        async with asyncio.TaskGroup() as group:
            posted = [group.create_task(post(engine)) for _ in range(3)]
            while sum(task.done() for task in posted) < 2:
                await asyncio.wait([task for task in posted if not task.done()], return_when=asyncio.FIRST_COMPLETED)
            await stack.aclose()

    assert sorted(task.result().status for task in posted) == [201, 503, 503]


@pytest.mark.parametrize("settings", [{"intake": {"max_working": 1, "max_waiting": 5}}])
async def test_what_waits_is_bounded_by_its_size_too(engine, monkeypatch):
    monkeypatch.setattr("versus_py.web.intake.overload.HELD_MAX_BYTES", 100)
    incident_id = (await engine.post(ALERT))["incidents"][0]["id"]
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(stalled(engine, incident_id))
        async with asyncio.TaskGroup() as group:
            posted = [group.create_task(post(engine, ALERT | {"more": "x" * 200})) for _ in range(4)]
            while sum(task.done() for task in posted) < 2:
                await asyncio.wait([task for task in posted if not task.done()], return_when=asyncio.FIRST_COMPLETED)
            await stack.aclose()

    assert sorted(task.result().status for task in posted) == [201, 201, 503, 503]


# Bodies that drip in


class Bodies:
    """A server for two bodies at a time that arrive slowly."""

    def __init__(self) -> None:
        self.finish = asyncio.Event()
        self._arrivals = Arrivals(most=2)
        self._arriving: list[str] = []
        self.app = web.Application()
        self.app.router.add_post("/", self._post)

    async def _post(self, request: web.Request) -> web.Response:
        self._arriving.append(request.query["name"])
        body = await self._arrivals.read(request, within_s=30)
        return web.Response(text=body.decode())

    async def dripping(self):
        yield b"a"
        await self.finish.wait()
        yield b"b"

    async def in_two_parts(self, name):
        yield b"qu"
        while name not in self._arriving:
            await asyncio.sleep(0)
        yield b"ick"

    async def two_slow_ones(self, http, group):
        slow = []
        for name in ("first", "second"):
            slow.append(group.create_task(http.post("/", params={"name": name}, data=self.dripping())))
            while name not in self._arriving:
                await asyncio.sleep(0)
        return slow


async def test_for_one_more_body_the_one_that_arrives_for_longest_is_given_up():
    bodies = Bodies()

    async with TestClient(TestServer(bodies.app)) as http, asyncio.TaskGroup() as group:
        slow = await bodies.two_slow_ones(http, group)

        quick = await http.post("/", params={"name": "third"}, data=bodies.in_two_parts("third"))
        first = await slow[0]
        bodies.finish.set()
        second = await slow[1]

        assert (quick.status, await quick.text()) == (200, "quick")
        assert (first.status, first.headers["Retry-After"]) == (503, "5")
        assert (second.status, await second.text()) == (200, "ab")


async def test_a_body_that_came_with_its_head_needs_no_place():
    bodies = Bodies()

    async with TestClient(TestServer(bodies.app)) as http, asyncio.TaskGroup() as group:
        slow = await bodies.two_slow_ones(http, group)

        quick = await http.post("/", params={"name": "third"}, data=b"quick")
        bodies.finish.set()

        assert (quick.status, await quick.text()) == (200, "quick")
        assert [(await it).status for it in slow] == [200, 200]


# How fast senders come


@pytest.mark.parametrize("settings", [{"intake": {"tokens": TOKENS, "requests_per_second": 2, "burst": 3}}])
async def test_a_sender_that_comes_too_fast_is_told_when_to_come_and_does_not_slow_others(engine, clock):
    a, b = (it["token"] for it in TOKENS)
    for _ in range(3):
        assert (await post(engine, token=a)).status == 201

    refused = await post(engine, token=a)
    other = await post(engine, token=b)
    clock.advance(seconds=int(refused.headers["Retry-After"]))
    later = await post(engine, token=a)

    assert (refused.status, other.status, later.status) == (503, 201, 201)


def allowed(pace: Pace, times: int, sender="a", remote="192.0.2.1") -> int:
    """How many of so many requests are let through."""
    found = 0
    for _ in range(times):
        try:
            pace.check(sender, remote)
        except web.HTTPServiceUnavailable:
            continue
        found += 1
    return found


def pace_of(clock: FakeClock, **settings) -> Pace:
    return Pace(IntakeConfig.model_validate(settings), clock)


def test_after_a_burst_it_goes_by_the_rate():
    clock = FakeClock()
    pace = pace_of(clock, requests_per_second=10, burst=20)

    counts = [allowed(pace, 100)]
    for _ in range(3):
        clock.advance(seconds=1)
        counts.append(allowed(pace, 100))
    clock.advance(minutes=1)
    counts.append(allowed(pace, 100))

    assert counts == [20, 10, 10, 10, 20]


def test_a_clock_that_is_set_back_keeps_nobody_out():
    clock = FakeClock()
    pace = pace_of(clock, requests_per_second=10, burst=20)
    assert allowed(pace, 100) == 20

    clock.advance(hours=-1)

    assert allowed(pace, 100) == 20


def test_without_tokens_the_address_counts():
    pace = pace_of(FakeClock(), requests_per_second=1, burst=1)

    assert allowed(pace, 2, sender="", remote="192.0.2.1") == 1
    assert allowed(pace, 2, sender="", remote="192.0.2.2") == 1


def test_the_memory_of_senders_is_bounded(monkeypatch):
    monkeypatch.setattr("versus_py.web.intake.overload.SENDERS_MAX", 10)
    pace = pace_of(FakeClock(), requests_per_second=1, burst=1)

    for number in range(100):
        allowed(pace, 1, sender="", remote=f"192.0.2.{number}")

    assert len(pace._spent_until_ms) == 10


def test_without_a_rate_nobody_is_slowed():
    assert allowed(pace_of(FakeClock()), 5000) == 5000


# Connections


LARGE = 32 * 1024 * 1024
"""More than the system keeps for a caller who does not read."""


@dataclass
class Site:
    """A server: where it is, what lets its slow answers go, what came, and what it has open."""

    port: int
    runner: web.AppRunner
    go: asyncio.Event = field(default_factory=asyncio.Event)
    came: list[str] = field(default_factory=list)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def has_begun(self, number: int) -> bool:
        """Whether so many requests came."""
        return len(self.came) >= number

    def open(self) -> int:
        """How many connections have a socket, also one that is only waiting to be closed."""
        assert self.runner.server is not None
        return len(self.runner.server.connections)


@asynccontextmanager
async def site(*, most: int) -> AsyncIterator[Site]:
    async def slow(request: web.Request) -> web.Response:
        found.came.append(request.path)
        await found.go.wait()
        return web.Response(text="slow")

    async def quick(_: web.Request) -> web.Response:
        return web.Response(text="quick")

    async def large(request: web.Request) -> web.Response:
        found.came.append(request.path)
        return web.Response(body=bytes(LARGE))

    async def taking(request: web.Request) -> web.Response:
        found.came.append(request.path)
        return web.Response(body=await request.read())

    app = web.Application()
    look_after_connections(app)
    app.add_routes([web.get("/slow", slow), web.get("/quick", quick), web.get("/large", large), web.post("/", taking)])
    found = Site(free_port(), make_runner(app, shutdown_timeout_s=1))
    await found.runner.setup()
    await BoundedSite(found.runner, "127.0.0.1", found.port, most=most).start()
    try:
        yield found
    finally:
        found.go.set()
        await found.runner.cleanup()


async def connect(port: int, said: bytes = b"") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(said)
    await writer.drain()
    return reader, writer


async def test_idle_connections_make_room_for_one_that_asks(session):
    async with site(most=10) as server:
        idle = [await connect(server.port, b"GET /quick HTTP/1.1\r\nHost: a\r\nX-Half") for _ in range(30)]

        async with asyncio.timeout(DEADLINE_S):
            assert await _text(session, server.url("/quick")) == "quick"
            closed = [await reader.read() for reader, _ in idle[:20]]

        assert set(closed) == {b""}
        for _, writer in idle:
            writer.close()


async def test_the_connection_that_is_closed_for_another_is_the_one_that_was_idle_for_longest():
    async with site(most=2) as server, asyncio.timeout(DEADLINE_S):
        ask = b"GET /quick HTTP/1.1\r\nHost: a\r\n\r\n"
        first, second = await connect(server.port, ask), await connect(server.port, ask)
        for reader, writer in (first, second, first):
            writer.write(ask)
            await reader.readuntil(b"quick")
        await first[0].readuntil(b"quick")

        third = await connect(server.port, ask)
        await third[0].readuntil(b"quick")
        await second[0].read()
        first[1].write(ask)
        await first[0].readuntil(b"quick")

        for _, writer in (first, second, third):
            writer.close()


async def test_a_connection_whose_body_does_not_come_makes_room_too(session):
    async with site(most=2) as server, asyncio.timeout(DEADLINE_S):
        half = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345"
        halves = [await connect(server.port, half) for _ in range(2)]
        await until(partial(server.has_begun, 2))

        assert await _text(session, server.url("/quick")) == "quick"

        for _, writer in halves:
            writer.close()


async def test_connections_that_come_all_at_once_are_no_more_than_are_allowed():
    async with site(most=10) as server:
        burst = []
        for _ in range(100):  # accepted together, as the loop has had no turn yet
            caller = socket.create_connection(("127.0.0.1", server.port))
            caller.setblocking(False)
            burst.append(caller)

        await until(lambda: sum(map(_is_closed, burst)) == 90, what="all but ten to be closed")

        assert server.open() == 10
        for caller in burst:
            caller.close()


def _is_closed(caller: socket.socket) -> bool:
    try:
        return caller.recv(1) == b""
    except BlockingIOError:
        return False


def ask_and_never_read(port: int) -> socket.socket:
    caller = socket.socket()
    caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    caller.connect(("127.0.0.1", port))
    caller.sendall(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n" * 3)
    return caller


async def test_those_who_never_read_their_answers_make_room_as_well(session):
    async with site(most=5) as server:
        callers = []
        for number in range(1, 21):
            callers.append(ask_and_never_read(server.port))
            await until(partial(server.has_begun, number))

        async with asyncio.timeout(DEADLINE_S):
            assert await _text(session, server.url("/quick")) == "quick"
        await until(lambda: server.open() <= 5, what="no more than five to be open")

        for caller in callers:
            caller.close()


async def test_a_packed_body_that_nobody_has_asked_for_is_not_unpacked(monkeypatch):
    """The connection is closed instead of being read on, as it is for a while with other bodies."""
    monkeypatch.setattr("versus_py.web.connections.LINGERING_S", 2 * DEADLINE_S)
    head = "GET /quick HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\nContent-Length: 1000000\r\n\r\n"
    async with site(most=10) as found:
        reader, writer = await connect(found.port, head.encode() + gzip.compress(bytes(MIB)))

        async with asyncio.timeout(DEADLINE_S):
            answer = await reader.read()
        writer.close()

    assert answer.startswith(b"HTTP/1.1 200")
    assert b"Connection: close" in answer
    assert answer.endswith(b"quick")


async def test_who_does_not_read_the_answer_in_time_is_closed(monkeypatch):
    monkeypatch.setattr(connections, "ANSWER_TIMEOUT_S", 0.05)
    async with site(most=10) as server:
        caller = ask_and_never_read(server.port)
        await until(partial(server.has_begun, 1))

        await until(lambda: server.open() == 0, what="the connection to be closed")

        caller.close()


async def test_who_reads_a_large_answer_has_all_of_it(session):
    async with site(most=10) as server, session.get(server.url("/large")) as response:
        assert await response.read() == bytes(LARGE)


async def test_a_connection_that_is_being_answered_is_never_closed_for_another(session):
    async with site(most=2) as server, asyncio.TaskGroup() as group:
        answers = [group.create_task(_text(session, server.url("/slow"))) for _ in range(2)]
        await until(partial(server.has_begun, 2))

        reader, writer = await connect(server.port)
        async with asyncio.timeout(DEADLINE_S):
            assert await reader.read() == b""  # there is no room, and nobody idle
        writer.close()
        server.go.set()

        assert [await answer for answer in answers] == ["slow", "slow"]


async def _text(session, url: str) -> str:
    async with session.get(url) as response:
        found: str = await response.text()
        return found


@pytest.mark.parametrize("said", [b"", b"GET /quick HTTP/1.1\r\nHost: a\r\nX-Half"])
async def test_a_connection_that_does_not_finish_its_request_head_is_closed(monkeypatch, said):
    monkeypatch.setattr(connections, "IDLE_TIMEOUT_S", 0.05)
    async with site(most=10) as server, asyncio.timeout(DEADLINE_S):
        reader, writer = await connect(server.port, said)

        assert await reader.read() == b""

        writer.close()


async def test_a_head_with_too_many_headers_is_refused():
    async with site(most=10) as server, asyncio.timeout(DEADLINE_S):
        head = "".join(f"X-{number}: a\r\n" for number in range(100))
        reader, writer = await connect(server.port, f"GET /quick HTTP/1.1\r\nHost: a\r\n{head}\r\n".encode())

        assert b" 400 " in await reader.readline()

        writer.close()


# Bodies that are more than they seem


MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        pytest.param("gzip", gzip.compress(b" " * 64 * MIB), id="gzip"),
        pytest.param("deflate", zlib.compress(b" " * 64 * MIB), id="deflate"),
    ],
)
async def test_what_unpacks_to_more_than_is_allowed_is_refused(engine, encoding, packed):
    assert len(packed) < MIB

    response = await engine.http.post(PATH, data=packed, headers={"Content-Encoding": encoding})

    assert response.status == 413
    assert "max_body_bytes" in (await response.json())["error"]


async def test_what_is_packed_and_fits_is_taken(engine):
    response = await engine.http.post(
        PATH, data=gzip.compress(orjson.dumps(ALERT)), headers={"Content-Encoding": "gzip"}
    )

    assert response.status == 201


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "compress", "é"])
async def test_a_packing_that_is_not_known_is_no_500(engine, encoding):
    response = await engine.http.post(PATH, data=orjson.dumps(ALERT), headers={"Content-Encoding": encoding})

    assert response.status in {201, 400, 415}


@pytest.mark.parametrize(
    "body", [b"[" * 500_000, b'{"a":' * 150_000, b'{"title": "x", "a": ' + b"[" * 900 + b"]" * 900 + b"}"]
)
async def test_deep_nesting_is_refused_or_taken_and_never_a_500(engine, body):
    response = await engine.http.post(PATH, data=body)

    assert response.status in {201, 400}
