"""What the web UI costs: its first page with many open incidents, and open tabs while nothing happens.

    python -m benchmarks.web_ui [--incidents N] [--tabs N] [--idle SECONDS]

Starts `redis-server` and a real `versus serve`, and takes the page right after a restart of the server, and later.
CPU time is that of the server's process, as /proc has it.
"""

import argparse
import asyncio
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import yaml

HERE = Path(__file__).parent.parent
PATIENCE_S = 120.0
PAGES = 20
SETTLE_S = 15.0
OPEN = 40
"""Incidents that are open while tabs are measured."""
HTML = {"Accept": "text/html", "Accept-Encoding": "identity"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Bed:
    """A Redis server, and a replica that can be started again."""

    def __init__(self, folder: Path, stack: AsyncExitStack, session: aiohttp.ClientSession) -> None:
        self.folder = folder
        self.stack = stack
        self.session = session
        self.redis_port, self.port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._config = folder / "config.yaml"
        self._config.write_text(
            yaml.safe_dump(
                {
                    "host": "127.0.0.1",
                    "port": self.port,
                    "public_host": self.url,
                    "max_connections": 5000,
                    "log": {"format": "json", "level": "warning"},
                    "redis": {"url": f"redis://127.0.0.1:{self.redis_port}/0"},
                    "oncall": {"enable": False, "wait_minutes": 60},
                    "alert": {"slack": {"enable": False}},
                }
            )
        )

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        log = (self.folder / "log").open("ab")
        process = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | {"PYTHONPATH": str(HERE)})
        self.stack.callback(log.close)
        self.stack.callback(end, process)
        return process

    def redis(self) -> None:
        self.start("redis-server", "--port", str(self.redis_port), "--bind", "127.0.0.1", "--save", "")

    async def serve(self) -> subprocess.Popen[bytes]:
        process = self.start(sys.executable, "-m", "versus_py", "serve", "-c", str(self._config))
        ends_at = time.monotonic() + PATIENCE_S
        while time.monotonic() < ends_at and process.poll() is None:
            try:
                async with self.session.get(f"{self.url}/readyz") as response:
                    if response.status < 500:
                        return process
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.1)
        raise SystemExit(f"the server does not answer:\n{(self.folder / 'log').read_text()}")

    async def fill(self, number: int, first: int = 0) -> None:
        """So many groups, of some alerts each, with labels as they are in life."""
        for at in range(first, first + number):
            body = group(at)
            async with self.session.post(f"{self.url}/api/incidents", json=body) as response:
                assert response.status == 201, await response.text()

    async def listen(self, heard: list[float]) -> None:
        """One tab: notes when it was sent something other than a beat."""
        async with self.session.get(f"{self.url}/stream?after=0-0") as response:
            assert response.status == 200, await response.text()
            async for line in response.content:
                heard += [time.monotonic()] if line == b"event: swap\n" else []

    async def open_streams(self) -> float:
        async with self.session.get(f"{self.url}/metrics") as response:
            lines = (await response.text()).splitlines()
        return float(next(it.split()[1] for it in lines if it.startswith("versus_ui_streams ")))

    async def page(self) -> tuple[float, int]:
        """How long it took, in s, and its bytes."""
        begun = time.perf_counter()
        async with self.session.get(self.url, headers=HTML) as response:
            text = await response.read()
            assert response.status == 200, text
            return time.perf_counter() - begun, len(text)


def end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait()


def cpu_s(process: subprocess.Popen[bytes]) -> float:
    """What it has used so far."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def group(at: int) -> dict[str, object]:
    return {
        "receiver": "versus",
        "status": "firing",
        "groupKey": f"group-{at}",
        "externalURL": "http://alertmanager.example",
        "version": "4",
        "groupLabels": {"alertname": f"DiskFull{at}"},
        "commonLabels": {"alertname": f"DiskFull{at}", "severity": "critical", "team": "storage", "cluster": "eu-1"},
        "commonAnnotations": {"summary": f"Disk of db-{at} will be full within an hour"},
        "alerts": [
            {
                "status": "firing",
                "fingerprint": f"{at:08x}{number:08x}",
                "labels": {
                    "alertname": f"DiskFull{at}",
                    "severity": "critical",
                    "team": "storage",
                    "cluster": "eu-1",
                    "instance": f"db-{at}-{number}:9100",
                    "mountpoint": "/var/lib/postgresql",
                },
                "annotations": {"summary": f"Disk of db-{at} will be full within an hour"},
                "startsAt": "2026-11-28T03:02:14Z",
                "endsAt": "0001-01-01T00:00:00Z",
                "generatorURL": "http://prometheus.example/graph",
            }
            for number in range(1 + at % 4)
        ],
    }


@asynccontextmanager
async def opened() -> AsyncIterator[Bed]:
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=10)
    connector = aiohttp.TCPConnector(limit=0)
    with tempfile.TemporaryDirectory() as folder:
        async with AsyncExitStack() as stack:
            session = await stack.enter_async_context(aiohttp.ClientSession(timeout=timeout, connector=connector))
            bed = Bed(Path(folder), stack, session)
            bed.redis()
            yield bed


async def measure_page(bed: Bed, incidents: int) -> None:
    first_process = await bed.serve()
    await bed.fill(incidents)
    end(first_process)
    process = await bed.serve()
    begun_s = cpu_s(process)
    first_s, size = await bed.page()
    first_cpu_s = cpu_s(process) - begun_s
    later = [(await bed.page())[0] for _ in range(PAGES)]
    later_cpu_s = (cpu_s(process) - begun_s - first_cpu_s) / PAGES
    said(f"{incidents} open incidents: the page has {size / 1000:.0f} KB")
    said(f"first request after a start: {milliseconds(first_s)}, of CPU time {milliseconds(first_cpu_s)}")
    later_s = statistics.median(later)
    said(f"median of {PAGES} later ones: {milliseconds(later_s)}, of CPU time {milliseconds(later_cpu_s)}")


async def measure_tabs(bed: Bed, tabs: int, idle_s: float) -> None:
    """What open tabs of Now cost while nothing happens, and how soon each hears of an incident."""
    process = await bed.serve()
    resting_share = await share_of_a_core(process, idle_s / 2)
    heard: list[float] = []
    async with asyncio.TaskGroup() as listening:
        listeners = [listening.create_task(bed.listen(heard)) for _ in range(tabs)]
        while await bed.open_streams() < tabs:
            await asyncio.sleep(0.2)
        await asyncio.sleep(SETTLE_S)
        share = await share_of_a_core(process, idle_s)
        begun_s, begun_cpu_s = time.monotonic(), cpu_s(process)
        heard.clear()
        await bed.fill(1, first=1_000_000)
        while len(heard) < tabs and time.monotonic() < begun_s + PATIENCE_S:
            await asyncio.sleep(0.05)
        told_s, told_cpu_s = max(heard) - begun_s, cpu_s(process) - begun_cpu_s
        for listener in listeners:
            listener.cancel()
    said(f"{tabs} tabs, nothing happens, {idle_s:.0f} s: {share:.2%} of a core; without tabs {resting_share:.2%}")
    said(f"all of them hear of an incident within {milliseconds(told_s)}, of CPU time {milliseconds(told_cpu_s)}")


async def share_of_a_core(process: subprocess.Popen[bytes], for_s: float) -> float:
    begun_s, begun_cpu_s = time.monotonic(), cpu_s(process)
    await asyncio.sleep(for_s)
    return (cpu_s(process) - begun_cpu_s) / (time.monotonic() - begun_s)


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"


def said(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.web_ui", description=__doc__.splitlines()[0])
    parser.add_argument("--incidents", type=int, default=2000, help="that are open (2000)")
    parser.add_argument("--tabs", type=int, default=500, help="that are open (500)")
    parser.add_argument("--idle", type=float, default=60, help="how long their cost is measured, s (60)")
    options = parser.parse_args(arguments)
    async with opened() as bed:
        await measure_page(bed, options.incidents)
    async with opened() as bed:
        process = await bed.serve()
        await bed.fill(OPEN)
        end(process)
        await measure_tabs(bed, options.tabs, options.idle)


if __name__ == "__main__":
    asyncio.run(main())
