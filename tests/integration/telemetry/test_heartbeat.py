"""The sign of life: sent while everything goes on, withheld when not, and never led elsewhere."""

import asyncio

import pytest
from aiohttp import web

from tests.support.waiting import DEADLINE_S, until
from versus_py.config import HeartbeatConfig
from versus_py.simulators import run_app
from versus_py.telemetry.heartbeat import Heartbeat
from versus_py.telemetry.metrics import Metrics


class Listener:
    """Somebody who waits for signs of life."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.answer = web.Response

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._hear)
        return app

    async def _hear(self, request: web.Request) -> web.Response:
        self.heard.append(f"{request.method} {request.path}")
        return self.answer()


@pytest.fixture
def listener():
    return Listener()


@pytest.fixture
async def url(listener):
    async with run_app(listener.app()) as found:
        yield found


@pytest.fixture
def make(session, url):
    def build(trouble: str = "", address: str = f"{url}/secret-path", every_seconds: float = 60) -> Heartbeat:
        config = HeartbeatConfig(url=address, every_seconds=every_seconds)

        async def said() -> str:
            return trouble

        return Heartbeat(config, session, Metrics(), said)

    return build


async def test_it_is_one_get(make, listener):
    assert await make().beat()
    assert listener.heard == ["GET /secret-path"]


async def test_trouble_withholds_it_and_is_told(make, listener, logs):
    assert not await make("the worker is stalled").beat()
    assert listener.heard == []
    assert [line["reason"] for line in logs if line["event"] == "heartbeat.withheld"] == ["the worker is stalled"]


async def test_a_redirect_is_not_followed(make, listener, logs):
    listener.answer = lambda: web.Response(status=302, headers={"Location": "/elsewhere"})

    assert not await make().beat()

    assert listener.heard == ["GET /secret-path"]
    assert [line["error"] for line in logs if line["event"] == "heartbeat.failed"] == ["answered 302"]


async def test_nobody_there_is_told_without_the_address(make, listener, logs):
    assert not await make(address="http://127.0.0.1:1/secret-path").beat()

    [line] = [line for line in logs if line["event"] == "heartbeat.failed"]
    assert "secret-path" not in str(line)
    assert "127.0.0.1" not in str(line)


async def test_no_answer_in_time_is_told(make, listener, logs, monkeypatch):
    monkeypatch.setattr("versus_py.telemetry.heartbeat.TIMEOUT_S", 0.05)
    released = asyncio.Event()

    async def held(request: web.Request) -> web.Response:
        await released.wait()
        return web.Response()

    app = web.Application()
    app.router.add_get("/", held)
    async with run_app(app) as slow:
        assert not await make(address=slow).beat()
        released.set()

    assert [line["error"] for line in logs if line["event"] == "heartbeat.failed"] == ["no answer within 0.05 s"]


async def test_it_goes_on_until_the_word_to_stop(make, listener):
    stop = asyncio.Event()
    heartbeat = make(every_seconds=1)
    heartbeat._config = HeartbeatConfig.model_construct(url=heartbeat._config.url, every_seconds=0.01)
    running = asyncio.create_task(heartbeat.run(stop))
    await until(lambda: len(listener.heard) >= 3)

    stop.set()

    async with asyncio.timeout(DEADLINE_S):
        await running


async def test_an_address_that_cannot_be_one_ends_no_loop(make, logs):
    assert not await make(address="http://a..b/secret-path").beat()

    [line] = [line for line in logs if line["event"] == "heartbeat.failed"]
    assert "secret-path" not in str(line)
