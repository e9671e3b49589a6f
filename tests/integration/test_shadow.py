"""versus serve --shadow: the same life of an incident, and nothing reaches a system."""

import asyncio
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.support.servers import free_port
from tests.support.waiting import DEADLINE_S, until
from versus_py.errors import ConfigError
from versus_py.service import serve
from versus_py.systems import model, registered
from versus_py.tools.shadow import compare

ALERT: dict[str, Any] = {
    "version": "4",
    "groupKey": "{}:{alertname='DiskFull'}",
    "status": "firing",
    "receiver": "versus",
    "alerts": [
        {
            "status": "firing",
            "labels": {"alertname": "DiskFull", "severity": "critical"},
            "annotations": {},
            "startsAt": "2026-11-29T10:00:00Z",
            "fingerprint": "f1",
        }
    ],
}


@pytest.fixture
async def asked():
    """The requests that a system gets, and where it is."""
    requests = []

    async def take(request):
        requests.append(request.path)
        return web.json_response({"ok": True, "ts": "1.1", "channel": "C0123456789", "result": []})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", take)
    async with TestServer(app) as server:
        yield requests, str(server.make_url("")).rstrip("/")


@pytest.fixture
def config(asked, tmp_path):
    url = asked[1]
    return model().model_validate(
        {
            "host": "127.0.0.1",
            "port": free_port(),
            "data_dir": tmp_path,
            "retention_days": 1,
            "alert": {
                "slack": {
                    "enable": True,
                    "token": "xoxb-1",
                    "channel_id": "C0123456789",
                    "api_url": url,
                    "app_token": "xapp-1",
                }
            },
            "oncall": {
                "enable": True,
                "wait_minutes": 0,
                "servicenow": {
                    "instance_url": url,
                    "username": "u",
                    "password": "p",
                    "allow_insecure_http": True,
                    "events": {"token": "events-token-of-24-chars"},
                },
            },
            "redis": {"host": "127.0.0.1", "port": 1},
            "heartbeat": {"url": f"{url}/heartbeat", "every_seconds": 1},
        }
    )


@asynccontextmanager
async def running(config):
    stop, up = asyncio.Event(), asyncio.Event()
    task = asyncio.create_task(serve(config, stop, systems=registered(), when_up=up.set))
    try:
        async with asyncio.timeout(DEADLINE_S):
            await asyncio.wait([task, asyncio.create_task(up.wait())], return_when=asyncio.FIRST_COMPLETED)
        yield f"http://127.0.0.1:{config.port}"
    finally:
        stop.set()
        async with asyncio.timeout(DEADLINE_S):
            await task


async def test_nothing_reaches_a_system_and_the_report_says_what_would_have(asked, config, session, tmp_path):
    async with running(config.as_shadow()) as url:
        for body in (ALERT, ALERT, {**ALERT, "alerts": [{**ALERT["alerts"][0], "fingerprint": "f2"}]}):
            async with session.post(f"{url}/api/incidents", json=body) as response:
                assert response.status == 201
                [said] = (await response.json())["incidents"]

        async def is_escalated():
            async with session.get(f"{url}/api/incidents/{said['id']}") as response:
                deliveries = (await response.json())["deliveries"]
            return {name for name, it in deliveries.items() if it["label"] == "(shadow)"} == {"slack", "servicenow"}

        await until(is_escalated)
        async with session.get(f"{url}/readyz") as response:
            assert (await response.json())["shadow"] is True
        async with session.get(f"{url}/login", headers={"Accept": "text/html"}) as response:
            assert "Nothing here was posted" in await response.text()
        async with session.post(f"{url}/api/servicenow/events", json={}) as response:
            assert response.status == 404

    found = await compare(config, days=1)

    assert asked[0] == []
    assert (found.total.requests, found.total.their_messages, found.total.their_tickets) == (3, 3, 3)
    assert (found.total.messages, found.total.tickets) == (1, 1)
    assert [(it.incident, it.messages, it.tickets) for it in found.incidents] == [(said["id"], 1, 1)]
    assert (tmp_path / "shadow" / "SHADOW").is_file()
    assert (tmp_path / "shadow").stat().st_mode & 0o077 == 0  # payloads and names are in it


async def test_no_other_server_takes_the_folder_of_a_shadow(config, tmp_path):
    async with running(config.as_shadow()):
        pass
    ours = model().model_validate({"data_dir": tmp_path / "shadow", "port": config.port, "host": "127.0.0.1"})

    with pytest.raises(ConfigError, match="holds the incidents of a shadow"):
        await serve(ours, asyncio.Event(), systems=registered())


async def test_a_shadow_takes_no_folder_of_another_server(config, tmp_path):
    (tmp_path / "shadow").mkdir()
    (tmp_path / "shadow" / "appendonly.aof").touch()

    with pytest.raises(ConfigError, match="is not empty, and is not a shadow's folder"):
        await serve(config.as_shadow(), asyncio.Event(), systems=registered())
