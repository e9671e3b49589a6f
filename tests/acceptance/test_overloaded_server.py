"""The real process under what is meant to bring it down: it goes on taking alerts, and its memory stays bounded."""

import asyncio
import gzip
import resource
import socket
import time
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path

import pytest

from tests.acceptance.conftest import request
from tests.support.servers import Process
from tests.support.waiting import wait_until
from versus_py.simulators.slack.simulator import SIGNING_SECRET
from versus_py.targets.slack.requests import PATH as SLACK_PATH

MIB = 1024 * 1024
CONNECTIONS_MAX = 300
GROWTH_MAX = 150 * MIB
"""Generous: what one body and the bound on connections may cost, but nothing for each of what is sent."""


def memory(process: Process) -> int:
    """What the process holds, in bytes."""
    pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def open_files(process: Process) -> int:
    return len(list(Path(f"/proc/{process.pid}/fd").iterdir()))


@pytest.fixture
def server(world):
    """A server, its process, and what it held before anything was sent but one alert."""
    alert = world.alert(signing_secret=SIGNING_SECRET) | {"debug_body": False}
    url, process = world.serve(max_connections=CONNECTIONS_MAX, alert=alert)
    request(f"{url}/api/incidents", {"title": "Before"})
    return url, process, memory(process)


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2])


def is_taken(url: str) -> bool:
    """Whether an alert is, as opposed to its connection being closed because all others are being answered."""
    try:
        return bool(request(f"{url}/api/incidents", {"title": "Meanwhile"}))
    except OSError:
        return False


def test_a_thousand_connections_that_say_half_a_thing_keep_nobody_out(server):
    url, process, before = server

    async def attack() -> None:
        opened = []
        for _ in range(1000):
            _, writer = await asyncio.open_connection("127.0.0.1", port_of(url))
            writer.write(b"POST /api/incidents HTTP/1.1\r\nHost: a\r\nX-Half: ")
            opened.append(writer)
        answer = await asyncio.to_thread(request, f"{url}/api/incidents", {"title": "Meanwhile"})
        assert answer["incidents"][0]["outcome"] == "created"
        assert open_files(process) < CONNECTIONS_MAX + 150
        for writer in opened:
            writer.close()

    asyncio.run(attack())

    assert memory(process) - before < GROWTH_MAX
    wait_until(lambda: open_files(process) < 100, what="the connections to be closed")


def test_those_who_never_read_their_answers_keep_nobody_out(world):
    most = 30
    url, process = world.serve(max_connections=most, alert=world.alert() | {"debug_body": False})
    request(f"{url}/api/incidents", {"title": "Before"})
    before, files = memory(process), open_files(process)
    ask = b"GET /api/openapi.json HTTP/1.1\r\nHost: a\r\n\r\n" * 200  # more than the system keeps for the caller
    with ExitStack() as opened:
        begun = 0
        while begun < 200:
            caller = opened.enter_context(socket.socket())
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            with suppress(ConnectionError):  # it is not taken while all the others are being answered
                caller.connect(("127.0.0.1", port_of(url)))
                caller.sendall(ask)
                begun += len(caller.recv(1))

        wait_until(partial(is_taken, url), what="an alert to be taken")
        wait_until(lambda: open_files(process) < files + most + 10, what="no more to be open than are allowed")
        assert memory(process) - before < GROWTH_MAX


def signed_by_nobody() -> str:
    """Headers that only the body could prove wrong."""
    return f"X-Slack-Request-Timestamp: {int(time.time())}\r\nX-Slack-Signature: v0={'0' * 64}\r\n"


@pytest.mark.parametrize("path", ["/api/incidents", SLACK_PATH])
def test_bodies_that_never_end_keep_nobody_out(server, path):
    url, process, before = server
    head = f"POST {path} HTTP/1.1\r\nHost: a\r\n{signed_by_nobody()}Content-Length: 1000000\r\n\r\n"
    half = head.encode() + b" " * 60_000

    async def attack() -> None:
        opened = []
        for _ in range(CONNECTIONS_MAX + 50):
            _, writer = await asyncio.open_connection("127.0.0.1", port_of(url))
            writer.write(half)
            opened.append(writer)
        answer = await asyncio.to_thread(request, f"{url}/api/incidents", {"title": "Meanwhile"})
        assert answer["incidents"][0]["outcome"] == "created"
        for writer in opened:
            writer.close()

    asyncio.run(attack())

    assert memory(process) - before < GROWTH_MAX


def test_bombs_are_refused_and_leave_nothing_behind(server):
    url, process, before = server
    bomb = gzip.compress(b" " * 512 * MIB)
    head = f"POST /api/incidents HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\nContent-Length: {len(bomb)}\r\n\r\n"

    async def send() -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(url))
        writer.write(head.encode() + bomb)
        status = await reader.readline()
        writer.close()
        return status

    async def attack() -> list[bytes]:
        return await asyncio.gather(*(send() for _ in range(30)))

    answers = asyncio.run(attack())

    assert {answer.split()[1] for answer in answers} == {b"413"}
    assert memory(process) - before < GROWTH_MAX
    assert request(f"{url}/api/incidents", {"title": "After"})["incidents"][0]["outcome"] == "created"
