"""A full disk under the embedded Valkey: nothing that was accepted is lost, nothing more is accepted meanwhile."""

import asyncio
import random
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import redis.asyncio

from tests.faults.scenario import at_length, judged_under
from tests.faults.world import AnyRedis, Program, World, open_world
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(300)

DISK = "6m"
IN_A_SMALL_DISK = ("unshare", "--map-root-user", "--mount", "sh", "-c")


class EmbeddedRedis:
    """The server that the only replica runs by itself, its files on a small disk that nobody else sees."""

    def __init__(self, folder: Path, _: AsyncExitStack) -> None:
        self.disk = folder / "disk"
        self.disk.mkdir(parents=True)
        self.log = folder / "replica-0.log"

    @property
    def wrapper(self) -> tuple[str, ...]:
        """Runs a command in a namespace of its own, where the disk is small."""
        mount = f'mount -t tmpfs -o size={DISK} none {self.disk} && exec "$@"'
        return (*IN_A_SMALL_DISK, mount, "sh")

    def seen_by(self, program: Program) -> Path:
        """The disk as that program sees it."""
        return Path(f"/proc/{program.pid}/root{self.disk}")

    async def start(self) -> None:
        """With the replica."""

    async def settings(self) -> dict[str, Any]:
        return {"data_dir": str(self.disk / "data")}

    @asynccontextmanager
    async def reached(self) -> AsyncIterator[AnyRedis]:
        line = next(line for line in self.log.read_text().splitlines() if "redis.embedded" in line)
        pid, socket = line.split('"pid": ')[1].split(",")[0].rstrip("}"), line.split('"socket": "')[1].split('"')[0]
        with TemporaryDirectory() as folder:
            short = Path(folder) / "disk"  # a socket's path has 107 characters at the most
            short.symlink_to(f"/proc/{pid}/root{Path(socket).parent}")
            path = str(short / Path(socket).name)
            async with redis.asyncio.Redis(
                unix_socket_path=path, decode_responses=True, single_connection_client=True
            ) as client:
                yield client

    async def mend(self) -> None:
        """Nothing to do."""


def why_no_disk() -> str:
    """What stands against it here; "" for nothing."""
    probe = subprocess.run([*IN_A_SMALL_DISK, "mount -t tmpfs none /mnt"], capture_output=True, check=False)
    return probe.stderr.decode().strip() or "unknown" if probe.returncode else ""


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World[EmbeddedRedis]]:
    if reason := why_no_disk():
        pytest.skip(f"this machine lets nobody mount a small disk: {reason}")
    async with open_world(tmp_path, EmbeddedRedis) as opened:
        yield opened


async def is_taken(world: World[EmbeddedRedis]) -> bool:
    """Whether an alert is accepted, one that nobody has to look at."""
    payload = {"title": "Long", "status": "firing", "message": "x" * 20_000}
    async with world.session.post(f"{world.replicas[0].url}/api/incidents?oncall_enable=false", json=payload) as it:
        assert it.status in {201, 503}
        return it.status == 201


def fill(file: Path) -> None:
    """Write until the disk is full."""
    with file.open("wb", buffering=0) as opened, suppress(OSError):
        while True:
            opened.write(b"x" * 4096)


async def fill_the_disk(world: World[EmbeddedRedis], _: random.Random) -> None:
    """Once, while all that was accepted waits, and until after the waits have ended."""
    [replica] = world.replicas
    await asyncio.sleep(2)
    filler = world.redis.seen_by(replica.program) / "filler"
    fill(filler)

    async def is_refused() -> bool:
        return not await is_taken(world)

    await until(is_refused, what="an alert to be refused")
    assert await world.answers(replica)
    await asyncio.sleep(6)
    assert await is_refused()
    filler.unlink()
    await until(lambda: is_taken(world), what="alerts to be taken again")
    await asyncio.sleep(3600)


@at_length
async def test_a_full_disk_loses_nothing_and_refuses_until_there_is_room(world: World[EmbeddedRedis]):
    replica = await world.add_replica(wrapper=world.redis.wrapper)

    await judged_under(world, fill_the_disk, seed=11, replicas=1, alerts=45, seconds=15)

    assert replica.program.starts == 1
    assert "MISCONF" in replica.program.log.read_text()
