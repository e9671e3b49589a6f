"""The embedded server: durable, for one process, and gone with it."""

import asyncio
import os
import platform
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis.asyncio import Redis

from tests.support.waiting import DEADLINE_S, until, wait_until
from versus_py.config import RedisConfig
from versus_py.errors import VersusError
from versus_py.store import Markers, embedded
from versus_py.store.calls import RedisClient
from versus_py.store.connection import durability_warnings, open_redis, reach_redis
from versus_py.store.embedded import DataDirInUse, EmbeddedServer, inspect_embedded, outlast_orphan, run_embedded

HOLDER = """
import asyncio, sys
from pathlib import Path
from redis.asyncio import Redis
from versus_py.store.embedded import run_embedded

async def main():
    async with run_embedded(Path(sys.argv[1])) as server:
        client = Redis(unix_socket_path=str(server.socket))
        await client.set("kept", "yes")
        print(server.process.pid, file=sys.stderr, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()


@pytest.fixture
def holder(tmp_path):
    """Another process with an embedded server on tmp_path; its process, and the server's id."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    assert process.stderr
    try:
        yield process, int(process.stderr.readline())
    finally:
        process.kill()
        process.wait(10)
        process.stderr.close()


async def test_what_was_written_survives_a_restart(tmp_path):
    for expected in (None, "yes"):
        async with open_redis(RedisConfig(), tmp_path) as (client, _):
            assert await client.get("kept") == expected
            await client.set("kept", "yes")


async def test_what_was_written_survives_a_kill_of_its_parent_which_ends_it(tmp_path, holder):
    process, server_pid = holder
    process.send_signal(signal.SIGKILL)
    process.wait(10)

    async with open_redis(RedisConfig(), tmp_path) as (client, _):  # waits for the orphan to end
        assert await client.get("kept") == "yes"
        assert not is_alive(server_pid)


async def test_a_second_process_on_the_same_folder_is_refused(tmp_path, holder):
    process, _ = holder

    with pytest.raises(DataDirInUse, match=f"in use by process {process.pid}"):
        async with run_embedded(tmp_path):
            pass


async def test_the_server_appends_to_a_file_evicts_nothing_and_listens_on_no_port(tmp_path):
    async with open_redis(RedisConfig(), tmp_path) as (client, _):
        assert await client.config_get("appendonly") == {"appendonly": "yes"}
        assert await client.config_get("port") == {"port": "0"}
        assert await durability_warnings(client, RedisConfig()) == []
    assert (tmp_path / "appendonlydir").is_dir()
    assert not (tmp_path / "valkey.sock").exists()


async def test_nobody_else_on_the_machine_may_read_the_data(tmp_path):
    folder = tmp_path / "new"

    async with open_redis(RedisConfig(), folder):
        assert folder.stat().st_mode & 0o077 == 0
        assert (folder / "valkey.sock").stat().st_mode & 0o077 == 0


async def test_a_folder_with_a_long_path_works_too(tmp_path):
    folder = tmp_path / ("long-" * 30)

    async with open_redis(RedisConfig(), folder) as (client, _):
        assert await client.ping()


async def test_a_server_that_ends_by_itself_is_noticed(tmp_path):
    async with run_embedded(tmp_path) as server:
        watching = asyncio.ensure_future(server.watch())
        server.process.kill()

        with pytest.raises(VersusError, match="ended by itself"):
            async with asyncio.timeout(DEADLINE_S):
                await watching


async def test_a_server_that_does_not_start_says_where_to_look(tmp_path):
    (tmp_path / "appendonlydir").write_text("in the way")

    with pytest.raises(VersusError, match=r"did not start .* see .*valkey\.log"):
        async with run_embedded(tmp_path):
            pass


async def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(VersusError, match=r"data_dir .* cannot be used"):
        async with run_embedded(tmp_path / "file" / "data"):
            pass


def test_a_free_folder_is_looked_at_without_a_trace(tmp_path):
    assert inspect_embedded(tmp_path / "not" / "there" / "yet") is None
    assert list(tmp_path.iterdir()) == []


async def test_a_folder_in_use_names_its_process_and_is_left_alone(tmp_path):
    async with open_redis(RedisConfig(), tmp_path) as (client, _):
        assert inspect_embedded(tmp_path) == str(os.getpid())
        assert await client.ping()
    assert inspect_embedded(tmp_path) is None


@pytest.mark.parametrize("below", ["", "data"])
def test_a_folder_that_cannot_be_written_is_told_beforehand(tmp_path, below):
    (tmp_path / "file").write_text("")

    with pytest.raises(VersusError, match=r"data_dir .*file.* cannot be used: Not a directory"):
        inspect_embedded(tmp_path / "file" / below)


async def test_what_is_kept_is_reached_while_another_process_runs_its_server(tmp_path, holder):
    async with reach_redis(RedisConfig(), tmp_path) as client:
        assert await client.get("kept") == "yes"
    process, server_pid = holder
    assert process.poll() is None
    assert is_alive(server_pid)


async def test_what_is_kept_is_reached_by_a_new_server_when_the_one_there_ends_with_its_killed_parent(tmp_path, holder):
    process, server_pid = holder
    os.kill(server_pid, signal.SIGSTOP)  # it takes its time to end
    process.kill()
    process.wait(10)

    async def kept() -> object:
        async with reach_redis(RedisConfig(), tmp_path) as client:
            return await client.get("kept")

    reached = asyncio.create_task(kept())
    await asyncio.sleep(0)
    assert is_alive(server_pid)
    os.kill(server_pid, signal.SIGKILL)

    assert await reached == "yes"


async def test_a_server_that_does_not_end_with_its_killed_parent_is_not_waited_for_without_end(
    tmp_path, holder, monkeypatch
):
    monkeypatch.setattr(embedded, "ORPHAN_TIMEOUT_S", 0)
    process, server_pid = holder
    os.kill(server_pid, signal.SIGSTOP)
    process.kill()
    process.wait(10)

    await outlast_orphan(tmp_path)

    assert is_alive(server_pid)
    os.kill(server_pid, signal.SIGKILL)


async def test_what_is_kept_is_reached_while_nobody_runs_its_server(tmp_path):
    async with open_redis(RedisConfig(), tmp_path) as (client, _):
        await client.set("kept", "yes")

    async with reach_redis(RedisConfig(), tmp_path) as client:
        assert await client.get("kept") == "yes"
    assert inspect_embedded(tmp_path) is None


async def test_where_nothing_is_kept_nothing_is_begun(tmp_path):
    folder = tmp_path / "wrong"

    with pytest.raises(VersusError, match=r"nothing is kept in data_dir .*wrong"):
        async with reach_redis(RedisConfig(), folder):
            pass

    assert not folder.exists()


async def test_a_running_server_whose_socket_is_elsewhere_is_said_to_be_out_of_reach(tmp_path):
    folder = tmp_path / ("long-" * 30)

    async with open_redis(RedisConfig(), folder):
        with pytest.raises(VersusError, match=rf"in use by process {os.getpid()}, .* stop that process first"):
            async with reach_redis(RedisConfig(), folder):
                pass


async def test_a_configured_server_is_reached_as_ever(redis, redis_socket, tmp_path):
    await redis.set("kept", "yes")

    async with reach_redis(RedisConfig.model_validate({"url": f"unix://{redis_socket}"}), tmp_path) as client:
        assert await client.get("kept") == "yes"


def test_a_machine_without_an_embedded_server_is_told_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(platform, "machine", lambda: "pdp11")

    with pytest.raises(VersusError, match=r"no embedded Valkey server for this machine: set redis\.host"):
        inspect_embedded(tmp_path)


async def test_it_is_gone_when_the_block_is_left(tmp_path):
    async with run_embedded(tmp_path) as server:
        pid = server.process.pid

    wait_until(lambda: not is_alive(pid), what="the server's end")


async def test_a_redis_that_could_lose_incidents_is_warned_about(redis: Redis):
    await redis.config_set("maxmemory-policy", "allkeys-lru")
    try:
        warnings = await durability_warnings(redis, RedisConfig())
    finally:
        await redis.config_set("maxmemory-policy", "noeviction")

    assert any("allkeys-lru" in warning and "noeviction" in warning for warning in warnings)
    assert any("appendonly" in warning for warning in warnings)


# Its files


NOW = 1_700_000_000_000
FOLDER = "appendonlydir"
INCREMENT = f"{FOLDER}/appendonly.aof.1.incr.aof"

BROKEN = {
    "the files": lambda data_dir: shutil.rmtree(data_dir / FOLDER),
    "one file": lambda data_dir: (data_dir / INCREMENT).unlink(),
    "the manifest": lambda data_dir: (data_dir / FOLDER / "appendonly.aof.manifest").unlink(),
    "half of a file": lambda data_dir: os.truncate(data_dir / INCREMENT, (data_dir / INCREMENT).stat().st_size // 2),
}


@pytest.fixture(autouse=True)
def _at_once(monkeypatch):
    monkeypatch.setattr(embedded, "CONFIRM_AFTER_S", 0.05)
    monkeypatch.setattr(embedded, "LOOK_EVERY_S", 0.05)


async def kept_in(data_dir: Path) -> int:
    """How many of a hundred values a server has that starts now."""
    async with open_redis(RedisConfig(), data_dir) as (client, _):
        return sum(value is not None for value in await client.mget([f"k{number}" for number in range(100)]))


@asynccontextmanager
async def opened(data_dir: Path) -> AsyncIterator[tuple[RedisClient, EmbeddedServer]]:
    async with open_redis(RedisConfig(), data_dir) as (client, server):
        assert server
        yield client, server


async def fill(client) -> None:
    for number in range(100):
        await client.set(f"k{number}", "x" * 100)


@pytest.mark.parametrize("broken", BROKEN)
async def test_files_that_are_deleted_or_cut_while_it_runs_are_written_again(tmp_path, logs, broken):
    async with opened(tmp_path) as (client, server):
        await fill(client)
        await server.look()
        BROKEN[broken](tmp_path)

        await server.look()

        server.process.kill()
        await server.process.wait()
    assert logs.expect_error("redis.files_lost")["is_written_again"] is True
    assert await kept_in(tmp_path) == 100


async def test_files_that_are_deleted_just_before_it_stops_are_written_again(tmp_path, logs):
    async with open_redis(RedisConfig(), tmp_path) as (client, _):
        await fill(client)
        shutil.rmtree(tmp_path / FOLDER)

    logs.expect_error("redis.files_lost")
    assert await kept_in(tmp_path) == 100


@pytest.mark.parametrize("how", ["looks", "stops"])
async def test_a_folder_that_another_process_has_made_anew_is_left_to_it(tmp_path, logs, how):
    data_dir, beside = tmp_path / "data", tmp_path / f"data.{os.getpid()}"
    async with opened(data_dir) as (client, server):
        await client.set("whose", "the first's")
        shutil.rmtree(data_dir)
        async with opened(data_dir) as (new_client, new_server):
            await new_client.set("whose", "the second's")
            if how == "looks":
                with pytest.raises(VersusError, match=r"another process has used .* is in '.*data\.\d+'"):
                    await server.look()
            else:
                await embedded._end(server)

            assert logs.expect_error("redis.files_lost")["data_dir"] == str(beside)
            await new_server.look()
            assert new_server.is_on_disk
            new_server.process.kill()
            await new_server.process.wait()

    for folder, whose in ((data_dir, "the second's"), (beside, "the first's")):
        async with opened(folder) as (client, _):
            assert await client.get("whose") == whose


async def test_a_folder_that_is_deleted_while_it_runs_is_written_again_and_ends_the_process(tmp_path, logs):
    data_dir = tmp_path / "data"
    async with opened(data_dir) as (client, server):
        await fill(client)
        shutil.rmtree(data_dir)

        with pytest.raises(VersusError, match=r"was deleted .* written again, and is there after a restart"):
            await server.watch()

    logs.expect_error("redis.files_lost")
    assert await kept_in(data_dir) == 100


async def test_files_that_cannot_be_written_again_are_said_until_they_can(tmp_path, logs):
    data_dir = tmp_path / "data"
    async with opened(data_dir) as (client, server):
        await fill(client)
        shutil.rmtree(data_dir)
        data_dir.write_text("in the way")

        await server.look()
        was_on_disk = server.is_on_disk
        data_dir.unlink()
        with pytest.raises(VersusError, match="is there after a restart"):
            await server.look()

    line = logs.expect_error("redis.files_lost")
    assert (line["is_written_again"], "do not restart" in line["advice"]) == (False, True)
    assert (was_on_disk, server.is_on_disk) == (False, True)
    assert await kept_in(data_dir) == 100


async def test_files_that_the_server_replaces_are_not_taken_for_lost(tmp_path):
    async with opened(tmp_path) as (client, server):
        for _ in range(5):
            await fill(client)
            await server.client.bgrewriteaof()
            await until(lambda: is_replaced(server))


async def is_replaced(server: EmbeddedServer) -> bool:
    await server.look()
    return not (await server.client.info("persistence"))["aof_rewrite_in_progress"]


async def test_a_file_that_was_cut_while_it_was_stopped_is_a_loss(tmp_path, logs):
    async with open_redis(RedisConfig(), tmp_path) as (client, _):
        markers = Markers(client, tmp_path / "markers.json")
        for number in range(100):
            await client.set(f"k{number}", "x" * 100)
            await markers.look(now_ms=NOW + number * 5_000)
    os.truncate(tmp_path / INCREMENT, (tmp_path / INCREMENT).stat().st_size * 6 // 10 + 3)

    async with open_redis(RedisConfig(), tmp_path) as (client, _):
        found = await Markers(client, tmp_path / "markers.json").look(now_ms=NOW + 600_000)

    assert found
    assert str(found) == "set back"
    assert [line["file"] for line in logs if line["event"] == "redis.file_cut"] == ["appendonly.aof.1.incr.aof"]


async def test_a_kill_is_no_loss(tmp_path):
    for run in range(3):
        async with opened(tmp_path) as (client, server):
            markers = Markers(client, tmp_path / "markers.json")
            for number in range(5):
                assert await markers.look(now_ms=NOW + run * 3_600_000 + number * 5_000) is None
            server.process.kill()
            await server.process.wait()


@pytest.mark.parametrize("name", ["a#b", "a?b=c", "a%41b", "a b", os.fsdecode(b"a\xff")])
async def test_the_name_of_the_folder_may_have_what_means_something_in_a_url(tmp_path, name):
    async with open_redis(RedisConfig(), tmp_path / name) as (client, _):
        await client.set("kept", "yes")
        async with reach_redis(RedisConfig(), tmp_path / name) as beside:
            assert await beside.get("kept") == "yes"
    assert [it.name for it in tmp_path.iterdir()] == [name]
