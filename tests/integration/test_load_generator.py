"""The load generator of the benchmarks, against a server that answers in pieces."""

import asyncio

import pytest

from benchmarks import load


class Answers(asyncio.Protocol):
    """Answers each request with the next status, in two pieces."""

    def __init__(self, statuses: list[int]) -> None:
        self.statuses = statuses

    def connection_made(self, transport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        status = self.statuses.pop(0)
        self.transport.write(f"HTTP/1.1 {status} x\r\nContent-Length: 4\r\n\r\n12".encode())
        asyncio.get_running_loop().call_soon(self.transport.write, b"34")


async def loaded(statuses: list[int]) -> load.Load:
    server = await asyncio.get_running_loop().create_server(lambda: Answers(statuses), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        return await load.send(port, iter([b"x"] * len(statuses)), connections=2, keep_bodies=True)


async def test_the_load_counts_whole_answers_and_apart_from_them_what_is_refused():
    found = await loaded([201, 503, 201, 200])

    assert (found.accepted, found.refused) == (3, 1)
    assert found.rate == pytest.approx(3 / found.seconds)
    assert found.bodies == [b"1234"] * 4
    assert found.first_refusal.startswith("HTTP/1.1 503")


async def test_a_load_that_is_refused_altogether_is_no_figure():
    with pytest.raises(ConnectionError, match=r"none of 2 requests was accepted: HTTP/1\.1 503"):
        await loaded([503, 503])
