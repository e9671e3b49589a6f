"""What is not even a request that can be parsed is answered as every other error, told to the log, and counted."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
import structlog
from aiohttp import web

from tests.support.clock import FakeClock
from tests.support.servers import free_port
from tests.support.waiting import DEADLINE_S
from versus_py.telemetry.metrics import Metrics
from versus_py.web.connections import BoundedSite, look_after_connections, make_runner
from versus_py.web.unparsed import noting


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
async def port(metrics) -> AsyncIterator[int]:
    app = web.Application()
    look_after_connections(app, noting(metrics, FakeClock()))
    runner, port = make_runner(app, shutdown_timeout_s=1), free_port()
    await runner.setup()
    await BoundedSite(runner, "127.0.0.1", port, most=10).start()
    try:
        yield port
    finally:
        await runner.cleanup()


async def answer(port: int, request: bytes) -> tuple[bytes, dict[str, str]]:
    """The status line and the body."""
    async with asyncio.timeout(DEADLINE_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request)
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
    assert b"application/json" in head
    return head.splitlines()[0], json.loads(body)


def post(target: str = "/api/incidents", *headers: str, body: bytes = b"{}") -> bytes:
    lines = (f"POST {target} HTTP/1.1", "Host: versus", f"Content-Length: {len(body)}", *headers)
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@pytest.mark.parametrize(
    ("request_bytes", "said"),
    [
        (post("/api/incidents?servicenow_other_instance=münchen&token=hunter2"), "percent-encode what is not ASCII"),
        (post("/api/incidents", "Content-Encoding: zstd", body=b"\x28\xb5\x2f\xfd"), "send it unpacked, or use gzip"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", "is it meant for HTTPS?"),
        (post("/api/incidents", "X: " + "x" * 20_000), "too long"),
        (post("/api/incidents", "no header"), "the request is not valid HTTP"),
    ],
    ids=["letters in the URL", "zstd", "TLS", "a long header", "a broken header"],
)
async def test_a_request_that_cannot_be_parsed_is_answered_logged_and_counted(port, metrics, request_bytes, said):
    with structlog.testing.capture_logs() as lines:
        status, body = await answer(port, request_bytes)

    assert status.split()[1] == b"400"
    assert list(body) == ["error"]
    assert said in body["error"]
    [line] = lines
    assert (line["event"], line["log_level"], line["remote"], line["error"]) == (
        "request.unparsed",
        "warning",
        "127.0.0.1",
        body["error"],
    )
    assert "hunter2" not in repr((line, body))
    assert b'versus_requests_refused_total{reason="bad_request"} 1.0' in metrics.text()


async def test_many_of_them_are_counted_and_do_not_fill_the_log(port, metrics):
    with structlog.testing.capture_logs() as lines:
        for _ in range(5):
            await answer(port, post("/ü"))

    assert len(lines) == 1
    assert b'versus_requests_refused_total{reason="bad_request"} 5.0' in metrics.text()
