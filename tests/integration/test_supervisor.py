"""The supervisor, with small processes in place of servers: they say that they are up, and end by SIGTERM."""

import asyncio
import errno
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support.servers import free_port
from tests.support.waiting import DEADLINE_S, until, wait_until
from versus_py import supervisor
from versus_py.errors import VersusError
from versus_py.supervisor import serve_command, supervise
from versus_py.systems import model

CHILD = """
import json, os, signal, socket, sys
order = json.loads(sys.argv[-1])
with open(sys.argv[1], "a") as started:
    started.write(json.dumps({"pid": os.getpid(), **order}) + chr(10))
"""
UP = "control = socket.socket(fileno=order['control']); control.sendall(b'up')"
SERVING = f"{UP}; control.recv(1)"
HANGING = f"signal.signal(signal.SIGTERM, signal.SIG_IGN); {UP}; control.recv(1)"
FAILING = "sys.exit(3)"

SUPERVISOR = """
import asyncio, sys
from versus_py.supervisor import supervise
from versus_py.systems import model
settings = {"processes": 2, "port": int(sys.argv[1]), "host": "127.0.0.1", "redis": {"host": "nowhere"}}
config = model().model_validate(settings)
asyncio.run(supervise(config, sys.argv[2:], asyncio.Event()))
"""


def config(**settings):
    everything = {"host": "127.0.0.1", "port": free_port(), "processes": 2, "redis": {"host": "nowhere"}}
    return model().model_validate(everything | settings)


def orders(notes: Path):
    """What each process was started with, and its id; in the order of their starts."""
    return [json.loads(line) for line in notes.read_text().splitlines()] if notes.exists() else []


def is_gone(pid: int) -> bool:
    """Whether it has ended, waited for or not."""
    try:
        return "Z" in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True


@pytest.fixture
def notes(tmp_path):
    return tmp_path / "started"


def command(notes: Path, what: str = SERVING):
    return [sys.executable, "-S", "-c", CHILD + what, str(notes)]


@asynccontextmanager
async def supervised(settings, started):
    """Until the block is left; then all has to end soon."""
    stop = asyncio.Event()
    task = asyncio.create_task(supervise(settings, started, stop))
    try:
        yield
    finally:
        stop.set()
        async with asyncio.timeout(DEADLINE_S):
            await task


async def test_each_process_has_its_number_and_all_end_with_the_supervisor(notes):
    async with supervised(config(processes=3), command(notes)):
        await until(lambda: len(orders(notes)) == 3)

        folder = Path(orders(notes)[0]["member"]["folder"])

        assert sorted(it["member"]["number"] for it in orders(notes)) == [0, 1, 2]
        assert folder.is_dir()
    assert all(is_gone(it["pid"]) for it in orders(notes))
    assert not folder.exists()


async def test_a_process_that_dies_is_started_again_with_its_number(notes, monkeypatch, logs):
    monkeypatch.setattr(supervisor, "RESTART_S", 0.01)
    async with supervised(config(), command(notes)):
        await until(lambda: len(orders(notes)) == 2)
        [killed] = [it for it in orders(notes) if it["member"]["number"] == 1]
        os.kill(killed["pid"], signal.SIGKILL)

        await until(lambda: len(orders(notes)) == 3)

        *_, again = orders(notes)
        assert again["member"] == killed["member"] | {"restarts": 1}
    assert logs.expect_error("process.died")["how"] == "killed by SIGKILL"


async def test_a_process_that_never_starts_ends_all_with_a_sentence(notes):
    with pytest.raises(ExceptionGroup) as failed:
        await supervise(config(), command(notes, FAILING), asyncio.Event())

    assert any("of 2 did not start (exit status 3): its error is above" in str(it) for it in failed.value.exceptions)
    assert all(isinstance(it, VersusError) for it in failed.value.exceptions)


async def test_a_process_that_cannot_be_started_again_for_a_while_is_tried_again(notes, monkeypatch, logs):
    """As when memory is short, which may be what ended it."""
    monkeypatch.setattr(supervisor, "RESTART_S", 0.01)
    start, failures = asyncio.create_subprocess_exec, [OSError(errno.EAGAIN, "Resource temporarily unavailable")]

    async def started(*arguments, **options):
        if len(orders(notes)) == 2 and failures:
            raise failures.pop()
        return await start(*arguments, **options)

    async with supervised(config(), command(notes)):
        await until(lambda: len(orders(notes)) == 2)
        monkeypatch.setattr(asyncio, "create_subprocess_exec", started)
        os.kill(orders(notes)[0]["pid"], signal.SIGKILL)

        await until(lambda: len(orders(notes)) == 3)
    assert [it["how"] for it in logs if it["event"] == "process.died"] == [
        "killed by SIGKILL",
        "Resource temporarily unavailable",
    ]
    logs.expect_error("process.died")


async def test_a_process_that_cannot_be_started_at_all_ends_all_with_a_sentence(notes):
    with pytest.raises(ExceptionGroup) as failed:
        await supervise(config(), ["/nowhere/versus"], asyncio.Event())

    assert any("of 2 did not start (No such file or directory)" in str(it) for it in failed.value.exceptions)


async def test_what_does_not_end_is_killed(notes, monkeypatch, logs):
    monkeypatch.setattr(supervisor, "DRAIN_S", 0.1)
    async with supervised(config(), command(notes, HANGING)):
        await until(lambda: len(orders(notes)) == 2)
    assert all(is_gone(it["pid"]) for it in orders(notes))
    logs.expect_error("process.does_not_end")


async def test_a_port_that_is_taken_is_one_sentence(notes):
    async with await asyncio.start_server(lambda *_: None, "127.0.0.1", 0) as other:
        port = other.sockets[0].getsockname()[1]

        with pytest.raises(VersusError, match=rf"cannot listen on 127\.0\.0\.1:{port} \(host, port\)"):
            await supervise(config(port=port), command(notes), asyncio.Event())
    assert orders(notes) == []


def at(monkeypatch, *hosts: str):
    """The addresses of every host."""
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (it, 0)) for it in hosts]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)


async def test_an_address_that_the_machine_lacks_is_left_out(notes, monkeypatch):
    at(monkeypatch, "192.0.2.1", "127.0.0.1")  # as ::1 of localhost, where IPv6 is off
    async with supervised(config(host="localhost"), command(notes)):
        await until(lambda: len(orders(notes)) == 2)


async def test_a_host_that_the_machine_lacks_is_one_sentence(notes, monkeypatch):
    at(monkeypatch, "192.0.2.1")
    with pytest.raises(VersusError, match=r"cannot listen on elsewhere:1 \(host, port\): Cannot assign"):
        await supervise(config(host="elsewhere", port=1), command(notes), asyncio.Event())


async def test_the_embedded_server_is_the_supervisors(notes, tmp_path):
    settings = config(redis={}, data_dir=tmp_path / "data")
    async with supervised(settings, command(notes)):
        await until(lambda: len(orders(notes)) == 2)

        order = orders(notes)[0]

        assert Path(order["redis"]).is_socket()
        assert order["member"]["has_embedded"]


def test_a_process_imports_no_more_from_the_working_directory_than_its_supervisor(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [it for it in sys.path if it])
    (tmp_path / "typer.py").write_text("raise SystemExit('from the working directory')")
    started = serve_command(Path("config.yaml"))

    done = subprocess.run(
        [*started[: started.index("serve")], "--version"],
        env={name: it for name, it in os.environ.items() if name != "PYTHONPATH"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")


def test_a_supervisor_that_is_killed_leaves_nothing_behind(notes):
    with subprocess.Popen([sys.executable, "-c", SUPERVISOR, str(free_port()), *command(notes)]) as process:
        wait_until(lambda: len(orders(notes)) == 2, what="both processes")
        process.kill()

    wait_until(lambda: all(is_gone(it["pid"]) for it in orders(notes)), what="both to end")
    shutil.rmtree(orders(notes)[0]["member"]["folder"])  # which real processes do
