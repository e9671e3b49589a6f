"""The supervisor of `versus serve --processes N`: starts the processes, starts again what dies, and ends them all.

They listen on one port, and the kernel spreads connections over them. Each holds one end of a socket, at whose other
end is the supervisor: through it a process says that it is up, and learns that the supervisor is gone.
"""

import asyncio
import errno
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import structlog
from pydantic import TypeAdapter

from versus_py.config import Config
from versus_py.engine.group import Member
from versus_py.errors import VersusError
from versus_py.store.embedded import EmbeddedServer, run_embedded, url_of
from versus_py.telemetry.shared import forget_gauges

log = structlog.get_logger()

DRAIN_S = 45.0
"""How long a process may take to end; what takes longer than STOP_TIMEOUT_S in `service` hangs. Then it is killed."""

WITHOUT_STORE_S = 5.0
"""The same for a process whose store is gone too."""

RESTART_S = 0.5
RESTART_MAX_S = 30.0
"""After how long what died is started again: the first time, and at most. It doubles with each time."""

STEADY_S = 60.0
"""A process that ran for so long begins with RESTART_S again."""

DISK_EVERY_S = 1.0
"""How often the processes learn whether the embedded server can write its files."""

SAID_S = 1.0
"""How long what a process has said may take to arrive after its end."""

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - metrics are written there by each request: a disk could hold it up
UP = b"up"


@dataclass(frozen=True, slots=True)
class Order:
    """What a process is started with."""

    member: Member
    control: int  # the file descriptor of its end of the socket
    redis: Path | None = None  # the socket of the embedded server

    def applied(self, config: Config) -> Config:
        """*config* with the embedded server that runs already."""
        if self.redis is None:
            return config
        return config.model_copy(update={"redis": config.redis.model_copy(update={"url": url_of(self.redis)})})


_ORDER = TypeAdapter(Order)


def read_order(text: str) -> Order:
    """Raises ValueError."""
    return _ORDER.validate_json(text)


async def supervise(config: Config, command: Sequence[str], stop: asyncio.Event) -> None:
    """Keep `config.processes` running, by *command* with an order as its last argument, until *stop* is set.

    Raises VersusError when one of them cannot be started at all, and an ExceptionGroup of them when the embedded server
    ended.
    """
    _raise_if_taken(config.host, config.port)
    with _folder() as folder:
        async with _embedded(config) as server:
            members = [Member(it, config.processes, folder, 0, server is not None) for it in range(config.processes)]
            keepers = [_Keeper(it, command, None if server is None else server.socket) for it in members]
            log.info("supervisor.started", processes=config.processes, pid=os.getpid())
            async with asyncio.TaskGroup() as tasks:
                coroutines = [] if server is None else [server.watch(), _note_disk(server, members[0])]
                watches = [tasks.create_task(it) for it in coroutines]
                await asyncio.wait([tasks.create_task(it.run(stop)) for it in keepers])
                for it in watches:
                    it.cancel()
    log.info("supervisor.stopped")


class _Keeper:
    """Keeps one process running."""

    def __init__(self, member: Member, command: Sequence[str], redis: Path | None) -> None:
        self._member = member
        self._command = command
        self._redis = redis
        self._was_ever_up = False
        self._wait_s = RESTART_S

    async def run(self, stop: asyncio.Event) -> None:
        """Until *stop* is set. Raises VersusError when it was never up."""
        while not stop.is_set():
            began_s = time.monotonic()
            said = ": its error is above"
            try:
                how = _how(await self._run_once(stop))
            except OSError as exc:  # memory or processes are short, as they are after what killed it
                how, said = exc.strerror or str(exc), ""
            if stop.is_set():
                return
            number = self._member.number
            if not self._was_ever_up:
                raise VersusError(f"process {number} of {self._member.count} did not start ({how}){said}")
            if time.monotonic() - began_s > STEADY_S:
                self._wait_s = RESTART_S
            log.error("process.died", process=number, how=how, restart_in_s=self._wait_s)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._wait_s):
                    await stop.wait()
            self._wait_s = min(2 * self._wait_s, RESTART_MAX_S)
            self._member = replace(self._member, restarts=self._member.restarts + 1)

    async def _run_once(self, stop: asyncio.Event) -> int:
        """The exit status of the process, which is stopped when *stop* is set, or this is cancelled."""
        ours, theirs = socket.socketpair()
        with ours:
            with theirs:
                process = await self._start(theirs.fileno())
            ours.setblocking(False)
            following = asyncio.create_task(self._follow(ours))
            ended, stopped = asyncio.create_task(process.wait()), asyncio.create_task(stop.wait())
            try:
                await asyncio.wait([ended, stopped], return_when=asyncio.FIRST_COMPLETED)
            finally:
                await _end(process)
                await asyncio.wait([following], timeout=SAID_S)
                for task in (following, ended, stopped):
                    task.cancel()
                forget_gauges(self._member.folder, self._member.number)
        return process.returncode or 0

    async def _start(self, control: int) -> asyncio.subprocess.Process:
        order = _ORDER.dump_json(Order(self._member, control, self._redis)).decode()
        process = await asyncio.create_subprocess_exec(
            *self._command,
            order,
            stdin=asyncio.subprocess.DEVNULL,
            pass_fds=(control,),
            start_new_session=True,  # a Ctrl-C in the terminal is ours to pass on: a second signal would end it at once
        )
        log.info("process.started", process=self._member.number, pid=process.pid)
        return process

    async def _follow(self, control: socket.socket) -> None:
        """What the process says: that it is up."""
        loop = asyncio.get_running_loop()
        with suppress(OSError):
            while said := await loop.sock_recv(control, 16):
                self._was_ever_up = self._was_ever_up or said.startswith(UP)


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(DRAIN_S):
            await process.wait()
    except TimeoutError:
        log.error("process.does_not_end", pid=process.pid)  # noqa: TRY400 - the time is all that there is to say
        process.kill()
        await process.wait()


def _how(status: int) -> str:
    """How a process ended."""
    return f"killed by {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"


class Supervised:
    """The supervisor, as a process sees it that was started by it."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._control = socket.socket(fileno=order.control)
        self._is_gone = False

    def say_up(self) -> None:
        """The process serves."""
        with suppress(OSError):  # the supervisor is gone, and the other thread does what there is to do
            self._control.sendall(UP)

    @contextmanager
    def followed(self, stop: asyncio.Event) -> Iterator[None]:
        """Have *stop* set when the supervisor is gone, and the process end at once when it was to stop already.

        By a thread, so that a process that hangs ends as well, DRAIN_S later. The embedded server ends with the
        supervisor, so that there is little to wait for.
        """
        loop = asyncio.get_running_loop()
        threading.Thread(target=self._wait, args=(loop, stop), name="supervisor", daemon=True).start()
        try:
            yield
        finally:
            if self._is_gone:
                self._clear_away()

    def _wait(self, loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
        with suppress(OSError):
            while self._control.recv(16):
                pass
        self._is_gone = True
        if stop.is_set():
            self._clear_away()
            os._exit(1)
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(stop.set)
        drain_s = DRAIN_S if self._order.redis is None else WITHOUT_STORE_S
        log.error("supervisor.gone", drain_s=drain_s)
        time.sleep(drain_s)
        self._clear_away()
        os._exit(1)

    def _clear_away(self) -> None:
        """In place of the supervisor."""
        shutil.rmtree(self._order.member.folder, ignore_errors=True)


def serve_command(config: Path, *, port: int | None = None) -> list[str]:
    """What starts a process of the server, on another *port* than the configuration's; its order follows."""
    elsewhere = [] if port is None else ["--port", str(port)]
    # Modules of the working directory are imported by -m, and only there: anybody could put one into /tmp.
    safely = [] if {"", str(Path.cwd())} & {*sys.path} else ["-P"]
    return [sys.executable, *safely, "-m", "versus_py", "serve", "--config", str(config), *elsewhere, "--member"]


@contextmanager
def _folder() -> Iterator[Path]:
    """For the sockets and metrics of the processes."""
    is_there = SHARED_MEMORY.is_dir() and os.access(SHARED_MEMORY, os.W_OK)
    with tempfile.TemporaryDirectory(
        prefix="versus-", dir=SHARED_MEMORY if is_there else None, ignore_cleanup_errors=True
    ) as name:
        yield Path(name)


@asynccontextmanager
async def _embedded(config: Config) -> AsyncIterator[EmbeddedServer | None]:
    """The embedded server, where the configuration names no other."""
    if not config.redis.is_embedded:
        yield None
        return
    async with run_embedded(config.data_dir, syncs_at_once=config.redis.durability == "fsync") as server:
        yield server


async def _note_disk(server: EmbeddedServer, member: Member) -> None:
    while True:
        if server.is_on_disk:
            member.not_on_disk.unlink(missing_ok=True)
        else:
            member.not_on_disk.touch()
        await asyncio.sleep(DISK_EVERY_S)


def _raise_if_taken(host: str, port: int) -> None:
    """Processes that share a port are not refused when another program of this user has it, and shares it too.

    Of the addresses of *host*, those that this machine lacks are left out, as where IPv6 is off.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        missing = [exc for family, _, _, _, address in found if (exc := _missing(family, address)) is not None]
    except OSError as exc:
        raise VersusError(f"cannot listen on {host}:{port} (host, port): {exc.strerror or exc}") from None
    if len(missing) == len(found):
        raise VersusError(f"cannot listen on {host}:{port} (host, port): {missing[0].strerror}")


def _missing(family: int, address: tuple[Any, ...]) -> OSError | None:
    """Why this machine does not have *address*; None where it has. Raises OSError where it is taken."""
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind(address)
    except OSError as exc:
        if exc.errno not in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}:
            raise
        return exc
    return None
