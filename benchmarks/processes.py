"""What runs while something is measured: redis-server, `versus serve`, the stubs; started on their cores, and ended."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import orjson
import redis
import yaml

from benchmarks.machine import cores, cpu_s, memory_bytes, on_core
from versus_py.incidents.partitions import partitions
from versus_py.store import keys

ROOT = Path(__file__).parent.parent
PATIENCE_S = 60.0
SECRET = "benchmarks-gateway-secret"  # noqa: S105 - of services that live for minutes
WEEK_MINUTES = 7 * 24 * 60


@dataclass
class Process:
    """One process, and where it answers."""

    popen: subprocess.Popen[bytes]
    port: int
    log: Path
    began_at: float  # as time.perf_counter says it
    is_group: bool = False  # its children end with it

    @property
    def pid(self) -> int:
        return self.popen.pid

    @property
    def cpu_s(self) -> float:
        return cpu_s(self.pid)

    @property
    def memory_bytes(self) -> int:
        return memory_bytes(self.pid)

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Any:
        """The JSON that it answers. Raises OSError."""
        with urlopen(
            Request(f"http://127.0.0.1:{self.port}{path}", headers=dict(headers or {})), timeout=PATIENCE_S
        ) as answer:
            return orjson.loads(answer.read())

    def is_ready(self, path: str) -> bool:
        """Raises RuntimeError with the end of its log when it has ended."""
        if self.popen.poll() is not None:
            raise RuntimeError(f"a process ended: {self.log.read_text()[-2000:]}")
        url = f"http://127.0.0.1:{self.port}{path}"
        with suppress(OSError), urlopen(url, timeout=PATIENCE_S) as answer:
            return bool(answer.status == 200)
        return False

    def kill(self) -> None:
        if self.is_group and self.popen.poll() is None:
            os.killpg(self.pid, signal.SIGKILL)
        self.popen.kill()
        self.popen.wait()


@dataclass
class Bed:
    """The processes of one measurement; all end with it."""

    folder: Path
    stack: ExitStack
    started: int = field(default=0)

    def start(
        self,
        command: Sequence[str],
        *,
        core: int | frozenset[int],
        port: int,
        env: Mapping[str, str] | None = None,
        group: bool = False,
    ) -> Process:
        """It runs on *core*, or on any of several, with its log in a file. As a *group*, its children end with it."""
        self.started += 1
        log = self.folder / f"{self.started}.log"
        environment = os.environ | {"PYTHONPATH": str(ROOT)} | dict(env or {})
        with log.open("ab") as output, on_core(core):
            began_at = time.perf_counter()
            popen = subprocess.Popen(
                command, stdout=output, stderr=output, cwd=ROOT, env=environment, start_new_session=group
            )
        process = Process(popen, port, log, began_at, group)
        self.stack.callback(process.kill)
        return process

    def module(
        self, name: str, *arguments: str, core: int, ready: str = "", env: Mapping[str, str] | None = None
    ) -> Process:
        """`python -m NAME PORT …`; with *ready*, once that path is answered, and else once the port is open."""
        port = free_port()
        process = self.start([sys.executable, "-m", name, str(port), *arguments], core=core, port=port, env=env)
        until(lambda: process.is_ready(ready) if ready else _is_open(process), what=name)
        return process

    def redis(self, *options: str, port: int | None = None) -> "RedisServer":
        """An empty one: its append-only file is on, synced every second."""
        port, number = port or free_port(), self.started
        folder = self.folder / f"redis-{number}"
        folder.mkdir()
        command = [redis_server(), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", ""]
        command += ["--appendonly", "yes", "--appendfsync", "everysec", "--auto-aof-rewrite-percentage", "0", *options]
        process = self.start(command, core=cores().around, port=port)
        client = redis.Redis(port=port, decode_responses=True)
        self.stack.callback(client.close)
        until(lambda: _answers(client), what="redis-server")
        return RedisServer(process, client)

    def versus(
        self, server: "RedisServer", settings: Mapping[str, Any], *, env: Mapping[str, str] | None = None
    ) -> Process:
        """`versus serve` as shipped but for these *settings*, once it is ready."""
        port = free_port()
        path = versus_config(self, port, server, settings)
        command = [sys.executable, "-m", "versus_py", "serve", "-c", str(path)]
        process = self.start(command, core=cores().measured, port=port, env=env)
        until(lambda: process.is_ready("/readyz"), what="versus serve", every_s=0.005)
        return process


@dataclass
class RedisServer:
    """A Redis, and a client to look at it."""

    process: Process
    client: redis.Redis

    @property
    def port(self) -> int:
        return self.process.port

    def count(self, name: str) -> int:
        """Members of a sorted set that each partition has."""
        pipeline = self.client.pipeline(transaction=False)
        for partition in partitions():
            pipeline.zcard(keys.in_partition(partition, name))
        return sum(pipeline.execute())


@contextmanager
def opened() -> Iterator[Bed]:
    with ExitStack() as stack:
        yield Bed(Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="versus-bench-"))), stack)


def versus_config(bed: Bed, port: int, server: RedisServer, settings: Mapping[str, Any]) -> Path:
    """The file of a service with these settings."""
    path = bed.folder / f"{port}.yaml"
    path.write_text(yaml.safe_dump(service_settings(port, server, settings)))
    return path


def service_settings(port: int, server: RedisServer, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration of a service: *settings*, and where it listens and keeps incidents unless they say so."""
    return {
        "host": "127.0.0.1",
        "port": port,
        "public_host": "http://127.0.0.1",
        "gateway_secret": SECRET,
        "log": {"format": "json"},
        **settings,
        "redis": {"url": f"redis://127.0.0.1:{server.port}/0", **settings.get("redis", {})},
    }


def until(condition: Callable[[], bool], *, what: str, every_s: float = 0.02, within_s: float = PATIENCE_S) -> None:
    """Wait for *condition*. Raises TimeoutError."""
    ends_at = time.perf_counter() + within_s
    while not condition():
        if time.perf_counter() > ends_at:
            raise TimeoutError(f"{what}: not within {within_s:g} s")
        time.sleep(every_s)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def redis_server() -> str:
    """Debian's, not what a wheel brings into the virtual environment."""
    own = str(Path(sys.executable).parent)
    path = os.pathsep.join(
        it for it in os.environ["PATH"].split(os.pathsep) if os.path.realpath(it) != os.path.realpath(own)
    )
    found = shutil.which("redis-server", path=path)
    if found is None:
        raise SystemExit("redis-server is not installed (Debian: apt-get install redis-server)")
    return found


def _is_open(process: Process) -> bool:
    if process.popen.poll() is not None:
        raise RuntimeError(f"a process ended: {process.log.read_text()[-2000:]}")
    with suppress(OSError), socket.create_connection(("127.0.0.1", process.port)):
        return True
    return False


def _answers(client: redis.Redis) -> bool:
    with suppress(redis.RedisError):
        return bool(client.ping())
    return False
