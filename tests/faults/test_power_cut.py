"""What was accepted is still there after a power cut: kill -9, and the append-only file cut back to what was synced."""

import asyncio
import itertools
import logging
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from tests.support.clock import FakeClock
from tests.support.factories import POLICY, make_notification
from tests.support.redis_servers import RedisServer, valkey_server
from tests.support.servers import find_program
from versus_py.config import RedisConfig
from versus_py.engine.lifecycle import Lifecycle
from versus_py.errors import StoreUnavailable
from versus_py.incidents.model import IncidentId
from versus_py.store import Store
from versus_py.store.connection import connect
from versus_py.store.durability import durability_for

SHIM = Path(__file__).with_name("unsynced.c")
DAY_MS = 24 * 3600 * 1000
SENDERS = 200
CUTS = 4
ACCEPTED_PER_CUT = 2_600


class Mains:
    """The power of a server: cut, what was not synced is gone."""

    def __init__(self, server: RedisServer, account: Path) -> None:
        self.server = server
        self._account = account

    def cut(self) -> None:
        """Kill the server, and cut back its file."""
        self.server.kill()
        for path in (self.server.folder / "appendonlydir").glob("*.incr.aof"):
            with path.open("r+b") as file:
                file.truncate(self._synced(path))

    def restore(self) -> None:
        """Start the server again. It may cut off half a command at the end, so the account begins anew with that."""
        self.server.start()
        files = (self.server.folder / "appendonlydir").glob("*.incr.aof")
        self._account.write_text("".join(f"{path.stat().st_size} {path}\n" for path in files))

    def _synced(self, path: Path) -> int:
        """How much of a file is on disk."""
        lines = (line.split(" ", 1) for line in self._account.read_text().splitlines())
        return max((int(size) for size, synced in lines if synced == str(path)), default=0)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Nobody reads ten thousand lines."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    library = tmp_path_factory.mktemp("shim") / "unsynced.so"
    compiler = find_program("gcc", "gcc libc6-dev")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-Wall", "-Werror", str(SHIM), "-o", str(library)], check=True)
    return library


@pytest.fixture
def mains(shim: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Mains]:
    account = tmp_path / "synced.log"
    # No rewriting of the file: its account is that of one file.
    options = ("--appendonly", "yes", "--appendfsync", request.param, "--auto-aof-rewrite-percentage", "0")
    env = {"LD_PRELOAD": str(shim), "UNSYNCED_LOG": str(account)}
    with RedisServer(valkey_server(), tmp_path / "server", options, env) as server:
        yield Mains(server, account)


async def send_until_cut(lifecycle: Lifecycle, numbers: Iterator[int], enough: int, mains: Mains) -> set[IncidentId]:
    """Many senders at once until *enough* were accepted; then the power is cut under their hands. What was accepted."""
    accepted: set[IncidentId] = set()
    is_off = asyncio.Event()

    async def send() -> None:
        while not is_off.is_set():
            try:
                [it] = await lifecycle.accept(
                    [make_notification(dedup_key=f"group {next(numbers)}")], lambda *_: POLICY
                )
            except StoreUnavailable:
                return
            assert it.incident is not None
            accepted.add(it.incident.id)

    async def cut() -> None:
        while len(accepted) < enough:
            await asyncio.sleep(0)
        await asyncio.to_thread(mains.cut)
        is_off.set()

    async with asyncio.timeout(120), asyncio.TaskGroup() as work:
        work.create_task(cut())
        for _ in range(SENDERS):
            work.create_task(send())
    return accepted


async def lost_in_power_cuts(mains: Mains, mode: str, cuts: int) -> tuple[int, int]:
    """How many were accepted, and how many of those are gone afterwards."""
    config = RedisConfig.model_validate({"url": mains.server.url, "durability": mode})
    numbers = itertools.count()
    accepted: set[IncidentId] = set()
    for _ in range(cuts):
        async with connect(config) as client:
            store = Store(client, retention_ms=DAY_MS, reopen_ms=0, durability=durability_for(client, config))
            lifecycle = Lifecycle(store, FakeClock(time.time_ns() // 1_000_000))
            accepted |= await send_until_cut(lifecycle, numbers, ACCEPTED_PER_CUT, mains)
        mains.restore()
    async with connect(config) as client:
        found = await Store(client, retention_ms=DAY_MS, reopen_ms=0).get_each(sorted(accepted))
    return len(accepted), sum(it is None for it in found)


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("mains", ["always"], indirect=True)
async def test_with_fsync_a_power_cut_loses_nothing_of_ten_thousand_accepted(mains):
    accepted, lost = await lost_in_power_cuts(mains, "fsync", CUTS)

    assert accepted >= 10_000
    assert lost == 0


@pytest.mark.timeout(300)
@pytest.mark.parametrize("mains", ["everysec"], indirect=True)
async def test_in_memory_a_power_cut_loses_the_last_moment(mains):
    for _ in range(5):  # a cut right after everything was synced loses nothing
        accepted, lost = await lost_in_power_cuts(mains, "memory", 1)
        if lost:
            break

    assert 0 < lost < accepted
