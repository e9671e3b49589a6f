"""Pictures of the web UI for the README: `python -m tests.pictures` runs this file. `make test` leaves it out."""

import asyncio
import os
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import Engine
from tests.pictures import browser
from tests.support.png import shrunk

DESK = {"width": 1180, "height": 640, "deviceScaleFactor": 1, "mobile": False}
PHONE = {"width": 390, "height": 640, "deviceScaleFactor": 1.25, "mobile": True}
NIGHT = 3
"""The hour that the pictures show, whenever they are made."""

ANA = {"Remote-User": "ana", "Remote-Name": "Ana Diaz", "Remote-Email": "ana@example.com"}


@pytest.fixture
def out() -> Path:
    """The folder for the pictures."""
    return Path(os.environ["PICTURES"])


@pytest.fixture
def settings() -> dict[str, Any]:
    proxy = {"auth": "proxy", "trusted_proxies": ["127.0.0.1"], "headers": {"preset": "authelia"}}
    steps = [
        {"notify": ["slack"]},
        {"after": "12m", "notify": ["slack:leads"]},
        {"after": "10m", "notify": ["servicenow"]},
    ]
    urgent = [{"notify": ["slack"]}, {"after": "8m", "notify": ["servicenow"]}]
    policies = [
        {"name": "urgent", "match": ['severity="critical"'], "steps": urgent, "ack_timeout": "4h"},
        {"name": "standard", "steps": steps, "ack_timeout": "4h"},
    ]
    return {"ui": proxy, "policies": policies}


@pytest.fixture
def slack_settings() -> dict[str, Any]:
    return {"channels": {"leads": "C0LEADS"}}


class Night:
    """What comes in, and what people do about it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def comes(self, summary: str, *pods: str, text: str = "", severity: str = "critical", **labels: str) -> str:
        """An alert, or one for each pod; the id of its incident."""
        began = datetime.fromtimestamp(self._engine.clock.now_ms() / 1000, UTC) - timedelta(seconds=70)
        name = summary.partition(":")[0].partition(" ")[0]
        alerts = [
            {
                "status": "firing",
                "labels": {"alertname": name, "severity": severity, **labels, **({"pod": pod} if pod else {})},
                "annotations": {
                    "summary": summary,
                    "description": text,
                    "runbook_url": "https://wiki.example.com/runbook",
                    "dashboard_url": "https://grafana.example.com/d/shop",
                },
                "startsAt": began.isoformat(),
                "generatorURL": "https://prometheus.example.com/graph",
                "fingerprint": f"{zlib.crc32(f'{summary} {pod}'.encode()):016x}",
            }
            for pod in pods or ("",)
        ]
        group = {"version": "4", "status": "firing", "groupKey": summary, "alerts": alerts}
        made = await self._engine.post(group | {"externalURL": "https://alertmanager.example.com"})
        await self._engine.settle()
        return str(made["incidents"][0]["id"])

    async def act(self, incident_id: str, action: str, **said: Any) -> None:
        await self._engine.http.post(f"/api/incidents/{incident_id}/{action}", json={"by": "Ben Okafor", **said})
        await self._engine.settle()


async def played(engine: Engine) -> str:
    """A night with something in every state; the id of the incident whose page is shown."""
    it = Night(engine)
    lag = await it.comes("ReplicationLag on db-3: 41 min behind", severity="warning", instance="db-3", team="storage")
    await it.act(lag, "acknowledge")
    await engine.after(minutes=31)
    budget = await it.comes("ErrorBudgetBurn: login 6 × over budget", severity="warning", slo="login", team="web")
    await it.act(budget, "acknowledge", by="Chi Tanaka")
    await engine.after(minutes=9)
    await it.comes("DiskFull on db-7: 98 % of /var/lib/postgresql", instance="db-7", team="storage")
    await engine.after(minutes=5)
    await it.comes("Payment queue stuck: 4,812 settlements wait", queue="settlement", team="payments")
    await engine.after(minutes=3.5)
    pods = (f"cart-{it}" for it in ("x2vqk", "mm4tz", "8rw5c", "kk9pl", "c7d2f"))
    text = "Customers cannot pay while no pod of cart is ready."
    shown = await it.comes("5 pods crash-looping in shop", *pods, text=text, namespace="shop", cluster="eu-1")
    await it.act(shown, "comments", text="the 02:55 deploy of cart; rolling back")
    await engine.after(minutes=1.4)
    await it.comes("HighLatency: checkout-api p99 at 2.4 s", severity="warning", service="checkout-api", team="web")
    await engine.after(minutes=1)
    return shown


def zone_of(at_ms: int) -> str:
    """Where it is night then."""
    ahead = (datetime.fromtimestamp(at_ms / 1000, UTC).hour - NIGHT + 12) % 24 - 12
    return f"Etc/GMT{ahead:+d}" if ahead else "Etc/GMT"


def taken(url: str, incident_id: str, at_ms: int) -> Mapping[str, bytes]:
    """Each by its name."""
    dark = [{"name": "prefers-color-scheme", "value": "dark"}]
    with browser() as driver:
        driver.execute_cdp_cmd("Network.enable", {})
        driver.execute_cdp_cmd("Network.setExtraHTTPHeaders", {"headers": ANA})
        driver.execute_cdp_cmd("Emulation.setTimezoneOverride", {"timezoneId": zone_of(at_ms)})
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": dark})
        pictures = {}
        for name, path, size in (("ui-now", "", DESK), ("ui-incident", f"incidents/{incident_id}", PHONE)):
            driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
            driver.get(f"{url}{path}")
            pictures[name] = shrunk(driver.get_screenshot_as_png())
    return pictures


async def test_pictures(engine: Engine, out: Path) -> None:
    shown = await played(engine)
    url = str(engine.http.make_url("/"))

    found = await asyncio.to_thread(taken, url, shown, engine.clock.now_ms())

    for name, picture in found.items():
        (out / f"{name}.png").write_bytes(picture)
