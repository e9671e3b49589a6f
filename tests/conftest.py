"""Fixtures that more than one tier of tests uses."""

import gc
import os
from collections import Counter
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from redis.asyncio import Redis
from xdist.scheduler.loadscope import LoadScopeScheduling

from tests.support import evidence, fuzzing
from tests.support.clock import FakeClock
from tests.support.redis_servers import SharedRedis, redis_server, valkey_server
from tests.support.servers import run_redis
from versus_py.store import Store, batches

hypothesis.settings.register_profile("without deadlines", deadline=None)
if not os.environ.get("CI"):  # there it is Hypothesis' own profile, which has none either
    hypothesis.settings.load_profile("without deadlines")

APART = ("tests/acceptance/", "tests/faults/")
"""Where no test shares a server with another, and each takes long."""

DAY_MS = 24 * 3600 * 1000
MINUTE_MS = 60_000


class ByModule(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no annotations
    """Keeps the tests of a module on one worker, so that module fixtures start once; those in APART go one by one."""

    def _split_scope(self, nodeid: str) -> str:
        return nodeid if nodeid.startswith(APART) else nodeid.partition("::")[0]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByModule:
    config.option.loadscopereorder = False  # the order is that of `_turns`
    return ByModule(config, log)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int | None:
    """Workers for `-n auto`: three for each core that this process may use, because slow tests mostly wait."""
    return None if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ else 3 * len(os.sched_getaffinity(0))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        try:
            folder = evidence.keep(item)
        except Exception as exc:  # noqa: BLE001 - the run goes on, and the report says why there is none
            report.sections.append(("evidence could not be kept", repr(exc)))
        else:
            report.sections += [(evidence.SECTION, str(folder))] if folder else []
    return report


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Of several tests with one id, pytest-xdist would run a single one, and nobody would hear of the others."""
    ids = Counter(item.nodeid for item in items)
    if twice := [nodeid for nodeid, number in ids.items() if number > 1]:
        raise pytest.UsageError(f"several tests have the same id: {', '.join(twice)}")
    items.sort(key=_turns(items))


def _turns(items: Sequence[pytest.Item]) -> Callable[[pytest.Item], float]:
    """Those that mostly wait are spread among those that compute, so that neither leave a core idle.

    They come in the first part, whose others are integration tests: unit tests take no time to speak of.
    """
    waiting = [it.nodeid for it in items if it.nodeid.startswith(APART)]
    places = {nodeid: 0.4 * place / len(waiting) for place, nodeid in enumerate(waiting)}
    computing = [it.nodeid for it in items if it.nodeid not in places]
    places |= {nodeid: place / len(computing) for place, nodeid in enumerate(computing)}
    return lambda item: places[item.nodeid]


def pytest_collection_finish() -> None:
    """Thousands of collected tests make each garbage collection slow: leave them out, and collect less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workeroutput"):  # in a worker of xdist: the counts go to the one that prints them
        session.config.workeroutput["fuzzed"] = fuzzing.tried


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    for name, inputs in getattr(node, "workeroutput", {}).get("fuzzed", {}).items():
        fuzzing.count(name, inputs)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if fuzzing.tried:
        terminalreporter.write_line(fuzzing.summary())
    for report in (*terminalreporter.getreports("failed"), *terminalreporter.getreports("error")):
        for name, folder in report.sections:
            if name == evidence.SECTION:
                terminalreporter.write_line(f"logs and screenshots of {report.nodeid}: {folder}")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(scope="session", params=["redis", "valkey"])
def redis_socket(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A server of the run's own: Debian's redis-server, and the Valkey that is embedded."""
    binary = redis_server() if request.param == "redis" else valkey_server()
    with run_redis(binary, tmp_path_factory.mktemp(request.param)) as path:
        yield path


@pytest.fixture(scope="session")
def running_valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedRedis]:
    with run_redis(valkey_server(), tmp_path_factory.mktemp("shared")) as path:
        yield SharedRedis(path)


@pytest.fixture
def shared_redis(running_valkey: SharedRedis) -> Iterator[SharedRedis]:
    """The embedded Valkey, empty, for tests that ask for no other server."""
    running_valkey.empty()
    yield running_valkey
    running_valkey.come_back()


@pytest.fixture
async def redis(redis_socket: Path) -> AsyncIterator[Redis]:
    """A client of an empty server."""
    async with Redis(unix_socket_path=str(redis_socket), decode_responses=True) as client:
        await client.flushall()
        yield client
        await batches.finish(client)


@pytest.fixture
def store(redis: Redis) -> Store:
    return Store(redis, retention_ms=7 * DAY_MS, reopen_ms=5 * MINUTE_MS, settle_ms=MINUTE_MS)
