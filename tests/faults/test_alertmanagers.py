"""Two Alertmanagers, each sending every group: as a cluster that tells itself what was sent, and as one that cannot."""

import asyncio
import json
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest

from tests.faults.journal import Answer, Did, Event
from tests.faults.scenario import at_length, suffering
from tests.faults.test_scenarios import kill_one_every
from tests.faults.world import OneRedis, Program, World, launcher
from tests.support.servers import find_program, free_port
from tests.support.waiting import until

pytestmark = [pytest.mark.timeout(300), at_length]

WAIT_S = 6
CHANNELS = 4
LAG_MS = 5000
"""One that lags tells of a firing alert after the other told that it is over, and corrects itself at its next flush."""

NAMES = [f"Doubled{number}" for number in range(24)]
RECEIVER = "http://127.0.0.1:{port}/api/incidents?oncall_wait_minutes={wait}&slack_channel_id=C0LANE{channel}"


def config(port: int) -> dict[str, Any]:
    """Alertmanager's, with a receiver for each channel."""
    lanes = [str(number) for number in range(CHANNELS)]
    urls = {lane: RECEIVER.format(port=port, wait=WAIT_S / 60, channel=lane) for lane in lanes}
    return {
        "route": {
            "receiver": "0",
            "group_by": ["alertname"],
            "group_wait": "1s",
            "group_interval": "1s",
            "repeat_interval": "2s",
            "routes": [{"receiver": lane, "matchers": [f'lane="{lane}"']} for lane in lanes],
        },
        "receivers": [
            {"name": lane, "webhook_configs": [{"url": url, "send_resolved": True}]} for lane, url in urls.items()
        ],
    }


class Alertmanager:
    """One of Debian's, with or without peers."""

    def __init__(self, world: World[OneRedis], name: str, peers: Sequence["Alertmanager"] | None) -> None:
        binary = find_program("prometheus-alertmanager", "prometheus-alertmanager")
        folder = world.folder / name
        folder.mkdir()
        path = folder / "alertmanager.yml"
        path.write_text(json.dumps(config(world.front.port)))  # which is YAML, too
        self.port, self.cluster_port = free_port(), free_port()
        listen = "" if peers is None else f"127.0.0.1:{self.cluster_port}"
        started = [binary, f"--config.file={path}", f"--storage.path={folder}", f"--cluster.listen-address={listen}"]
        started += [f"--cluster.peer=127.0.0.1:{peer.cluster_port}" for peer in peers or ()]
        started += [f"--web.listen-address=127.0.0.1:{self.port}", "--cluster.peer-timeout=1s"]
        self.program = Program(launcher(started), folder.with_suffix(".log"))
        self._session = world.session
        world.stack.push_async_callback(self.program.end)

    async def start(self) -> None:
        self.program.start()
        await until(self._is_ready, what="Alertmanager")

    async def send(self, names: Sequence[str], *, is_over: bool = False) -> None:
        """As Prometheus does, which sends everything to each of them."""
        ends = {"endsAt": datetime.now(UTC).isoformat()} if is_over else {}
        alerts = [
            {
                "labels": {"alertname": name, "severity": "critical", "lane": str(NAMES.index(name) % CHANNELS)},
                "annotations": {"summary": f"{name} happened"},
                "startsAt": STARTS_AT,
                **ends,
            }
            for name in names
        ]
        async with self._session.post(f"http://127.0.0.1:{self.port}/api/v2/alerts", json=alerts) as response:
            assert response.status == 200, await response.text()

    async def _is_ready(self) -> bool:
        with suppress(aiohttp.ClientError):
            async with self._session.get(f"http://127.0.0.1:{self.port}/-/ready") as response:
                return response.status == 200
        return False


STARTS_AT = datetime.now(UTC).isoformat()


def seen(did: Did, name: str, sent_ms: int, incident_id: str = "") -> Event:
    """What Alertmanager has got through by now."""
    wait_ms = WAIT_S * 1000 if did is Did.TRIGGER else 0
    return Event(did, name, sent_ms, now_ms(), Answer.TAKEN, wait_ms=wait_ms, incident_id=incident_id)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


async def incidents_of(world: World[OneRedis]) -> dict[str, dict[str, Any]]:
    return {it["title"].split()[0]: it for it in await world.incidents()}


@pytest.mark.parametrize("is_cluster", [True, False], ids=["that gossip", "that know nothing of each other"])
async def test_two_alertmanagers_make_one_incident_of_each_group(world: World[OneRedis], is_cluster):
    for _ in range(3):
        await world.add_replica()
    senders: list[Alertmanager] = []
    for name in ("first", "second"):
        senders.append(Alertmanager(world, name, senders if is_cluster else None))
        await senders[-1].start()
    events: list[Event] = []

    async with suffering(world, kill_one_every(1), seed=12):
        sent_ms = now_ms()
        for sender in senders:
            await sender.send(NAMES)

        async def are_all_there() -> bool:
            with suppress(aiohttp.ClientError, KeyError):
                return (await incidents_of(world)).keys() == set(NAMES)
            return False

        await until(are_all_there, what="an incident of each group")
        await asyncio.sleep(WAIT_S)  # repeats of both go on, and waits end
    known = await incidents_of(world)
    events += [seen(Did.TRIGGER, name, sent_ms, known[name]["id"]) for name in NAMES]

    async def have_all_records() -> bool:
        records: list[Any] = (await world.servicenow.state())["tables"]["incident"]
        return len(records) >= len(NAMES)

    await until(have_all_records, what="the records")
    over = NAMES[::2]
    events += [seen(Did.SAW_RECORD, name, now_ms()) for name in NAMES]
    sent_ms = now_ms()
    for sender in senders:
        await sender.send(over, is_over=True)

    last_open_ms = now_ms()

    async def stay_over() -> bool:
        nonlocal last_open_ms
        if [it["status"] for it in await world.incidents()].count("resolved") != len(over):
            last_open_ms = now_ms()
        return now_ms() - last_open_ms > LAG_MS

    await until(stay_over, what="half of them to be over for good")
    events += [seen(Did.RESOLVE, name, sent_ms) for name in over]
    for sender in senders:
        await sender.program.kill()
    report = await world.judged(events)
    assert not report.findings
    assert report.counted["had to escalate"] == len(NAMES)
