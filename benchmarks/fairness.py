"""How long others wait for what is slow, refused, full or dead: real processes, beside an earlier tree if one is named.

    python -m benchmarks.fairness [--before TREE] [--only CASE,…] [--drained N]

Each case starts `redis-server`, the simulators of this tree, and `versus serve` of each tree in turn.
"""

import argparse
import asyncio
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from versus_py.tools.samples import alertmanager

HERE = Path(__file__).parent.parent
PATIENCE_S = 150.0
QUIET, STORM = "C0QUIET", "C0STORM"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Bed:
    """Everything that runs for one case."""

    tree: Path
    folder: Path
    stack: AsyncExitStack
    session: aiohttp.ClientSession
    redis_port: int
    slack: str
    instances: Mapping[str, str]

    async def serve(self, **settings: Any) -> tuple[str, subprocess.Popen[bytes]]:
        """One replica; its URL and its process."""
        port = free_port()
        path = self.folder / f"{port}.yaml"
        path.write_text(yaml.safe_dump(self._settings(port, settings)))
        process = self.start([sys.executable, "-m", "versus_py", "serve", "-c", str(path)], tree=self.tree)
        await self.answers(f"http://127.0.0.1:{port}/healthz")
        return f"http://127.0.0.1:{port}", process

    def _settings(self, port: int, settings: Mapping[str, Any]) -> dict[str, Any]:
        servicenow = {
            "instance_url": self.instances["slow"],
            "username": "versus.integration",
            "password": "secret",
            "fields": {"short_description": "{{ incident.title }}"},
            "comments_every_minutes": 0,
            "other_instance_urls": {"healthy": self.instances["healthy"]},
            **settings.get("servicenow", {}),
        }
        return {
            "host": "127.0.0.1",
            "port": port,
            "public_host": "http://127.0.0.1",
            "log": {"format": "json", "level": "warning"},
            "redis": {"url": f"redis://127.0.0.1:{self.redis_port}/0"},
            "alert": {"slack": {"enable": False, **settings.get("slack", {})}},
            "oncall": {"enable": True, "wait_minutes": 0, "servicenow": servicenow},
            **{name: it for name, it in settings.items() if name not in {"slack", "servicenow"}},
        }

    def start(self, command: Sequence[str], tree: Path = HERE) -> subprocess.Popen[bytes]:
        log = (self.folder / "log").open("ab")
        process = subprocess.Popen(
            command, stdout=log, stderr=log, env=os.environ | {"PYTHONPATH": str(tree)}, cwd=tree
        )

        def end() -> None:
            process.kill()
            process.wait()
            log.close()

        self.stack.callback(end)
        return process

    async def answers(self, url: str) -> None:
        await until(lambda: self._status(url), what=url)

    async def _status(self, url: str) -> bool:
        try:
            async with self.session.get(url) as response:
                return response.status < 500
        except aiohttp.ClientError:
            return False

    async def post(self, url: str, names: Sequence[str], **query: str) -> None:
        for first in range(0, len(names), 50):
            bodies = [
                {"title": it, "fingerprint": it, "status": "firing", "severity": "critical"}
                for it in names[first : first + 50]
            ]
            async with self.session.post(f"{url}/api/incidents", json=bodies, params=query) as response:
                assert response.status == 201, await response.text()

    async def fault(self, simulator: str, **fault: Any) -> None:
        async with self.session.post(f"{simulator}/control/faults", json=fault) as response:
            assert response.status == 201, await response.text()

    async def records(self, instance: str) -> list[str]:
        async with self.session.get(f"{self.instances[instance]}/control/state") as response:
            return [it["short_description"] for it in (await response.json())["tables"]["incident"]]

    async def messages(self, channel: str) -> int:
        async with self.session.get(f"{self.slack}/control/state") as response:
            return sum(it["channel"] == channel for it in (await response.json())["messages"])


async def until(condition: Callable[[], Awaitable[bool]], *, what: str, every_s: float = 0.02) -> float:
    """How long it took, seconds; infinite after PATIENCE_S."""
    began = time.perf_counter()
    while not await condition():
        if time.perf_counter() - began > PATIENCE_S:
            return float("inf")
        await asyncio.sleep(every_s)
    del what
    return time.perf_counter() - began


@asynccontextmanager
async def opened(tree: Path) -> AsyncIterator[Bed]:
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        redis_port, slack_port = free_port(), free_port()
        ports = {"slow": free_port(), "healthy": free_port()}
        urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
        bed = Bed(tree, folder, stack, session, redis_port, f"http://127.0.0.1:{slack_port}", urls)
        bed.start(["redis-server", "--port", str(redis_port), "--save", "", "--dir", str(folder)])
        simulate = [sys.executable, "-m", "versus_py", "simulate"]
        bed.start([*simulate, "slack", "--port", str(slack_port)])
        for port in ports.values():
            bed.start([*simulate, "servicenow", "--port", str(port)])
        for url in (bed.slack, *urls.values()):
            await bed.answers(f"{url}/control/state")
        yield bed


async def poison(bed: Bed) -> str:
    """Twelve incidents that a rule of the instance refuses, then a healthy one: when it has its record."""
    url, _ = await bed.serve()
    await bed.fault(bed.instances["slow"], kind="500", text="Poison", times=None)
    await bed.post(url, [f"Poison {number}" for number in range(12)])
    await asyncio.sleep(15)
    await bed.post(url, ["Healthy"])

    async def is_there() -> bool:
        return "Healthy" in await bed.records("slow")

    return f"{await until(is_there, what='the healthy record'):.1f} s"


async def slow_instance(bed: Bed) -> str:
    """120 due at an instance of 1 s an answer, and five at another: when the last of the five has its record."""
    url, _ = await bed.serve()
    await bed.fault(bed.instances["slow"], kind="slow", seconds=1, times=None)
    await bed.post(url, [f"Slow {number}" for number in range(120)])
    await bed.post(url, [f"Healthy {number}" for number in range(5)], servicenow_other_instance="healthy")

    async def are_there() -> bool:
        return len(await bed.records("healthy")) == 5

    return f"{await until(are_there, what='the healthy records'):.2f} s"


async def drain(bed: Bed, count: int) -> str:
    """Many due at an instance of 1 s an answer, 32 calls at once: escalations a second, and CPU each."""
    slow = {"servicenow": {"max_concurrent": 32}} if "max_concurrent" in _settings_of(bed.tree) else {}
    url, process = await bed.serve(**slow)
    await bed.fault(bed.instances["slow"], kind="slow", seconds=1, times=None)
    await bed.post(url, [f"Slow {number}" for number in range(count)])
    await asyncio.sleep(5)
    used_s, began = cpu_s(process), time.perf_counter()
    done_before = len(await bed.records("slow"))
    await asyncio.sleep(60)
    done = len(await bed.records("slow")) - done_before
    took_s, used_s = time.perf_counter() - began, cpu_s(process) - used_s
    return f"{done / took_s:.1f}/s, {1000 * used_s / max(1, done):.1f} ms"


def _settings_of(tree: Path) -> str:
    return (tree / "versus_py" / "config" / "parts.py").read_text()


def cpu_s(process: subprocess.Popen[bytes]) -> float:
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def failed_create(bed: Bed) -> str:
    """A create that is answered with 500 and did not land: when the record is there."""
    url, _ = await bed.serve()
    await bed.fault(bed.instances["slow"], kind="500", method="POST")
    await bed.post(url, ["Once"])

    async def is_there() -> bool:
        return await bed.records("slow") == ["Once"]

    return f"{await until(is_there, what='the record'):.1f} s"


async def killed_replica(bed: Bed) -> str:
    """A replica that is killed while its claims wait for Alertmanager's word: when another has made the records."""

    asked = asyncio.Event()

    async def hang(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        asked.set()
        await asyncio.sleep(PATIENCE_S)

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    bed.stack.callback(server.close)
    port = server.sockets[0].getsockname()[1]
    url, process = await bed.serve(alertmanager={"url": f"http://127.0.0.1:{port}"})
    payload = alertmanager("Held", starts_at=datetime.now(UTC), is_resolved=False)
    wait = {"oncall_wait_minutes": "0.02"}
    async with bed.session.post(f"{url}/api/incidents", json=payload, params=wait) as response:
        assert response.status == 201, await response.text()
    async with asyncio.timeout(PATIENCE_S):
        await asked.wait()
    process.kill()
    await bed.serve()

    async def is_there() -> bool:
        return len(await bed.records("slow")) == 1

    return f"{await until(is_there, what='the record'):.1f} s"


async def quiet_channel(bed: Bed) -> str:
    """An alert for a quiet channel, ten times during a storm in another: the median and the most until it is posted."""
    slack = {"enable": True, "token": "xoxb-b", "channel_id": STORM, "api_url": f"{bed.slack}/api"}
    url, _ = await bed.serve(slack=slack, oncall={"enable": False})
    storm = asyncio.create_task(_storm(bed, url))
    await asyncio.sleep(1)
    took = []
    for number in range(10):
        channel = f"{QUIET}{number}"
        await bed.post(url, [f"Quiet {number}"], slack_channel_id=channel)

        async def is_there(channel: str = channel) -> bool:
            return await bed.messages(channel) == 1

        took.append(await until(is_there, what="the message", every_s=0.005))
        await asyncio.sleep(0.3)
    storm.cancel()
    took.sort()
    return f"{took[5]:.2f} s, {took[-1]:.2f} s"


async def _storm(bed: Bed, url: str) -> None:
    for number in range(10_000):
        await bed.post(url, [f"Storm {number} {extra}" for extra in range(5)])
        await asyncio.sleep(0.05)


CASES: Mapping[str, Callable[[Bed], Awaitable[str]]] = {
    "poison": poison,
    "slow_instance": slow_instance,
    "failed_create": failed_create,
    "killed_replica": killed_replica,
    "quiet_channel": quiet_channel,
}


async def main(options: argparse.Namespace) -> None:
    cases: Mapping[str, Callable[[Bed], Awaitable[str]]] = {
        **CASES,
        "drain": lambda bed: drain(bed, options.drained),
    }
    trees = [*([options.before] if options.before else []), HERE]
    sys.stdout.write(f"| case | {' | '.join(map(str, trees))} |\n|{'---|' * (len(trees) + 1)}\n")
    for name in options.only.split(",") if options.only else cases:
        sys.stdout.write(f"| {name} |")
        for tree in trees:
            async with opened(tree) as bed:
                sys.stdout.write(f" {await cases[name](bed)} |")
                sys.stdout.flush()
        sys.stdout.write("\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--before", type=Path)
    parser.add_argument("--only", default="")
    parser.add_argument("--drained", type=int, default=2000)
    asyncio.run(main(parser.parse_args()))
