"""The command `versus` as a process, forked from one that has imported it already.

It does what `python -m versus_py` does, without the second of CPU that its imports take: the tests start hundreds.
"""

import gc
import importlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.support.servers import ended

VERSUS = "versus_py.cli:app"
"""What is called in the new process: module and name, as in an entry point."""

IN_QUICK_TEMPO = "tests.faults.run_versus:main"
"""The same with leases and backoffs of seconds, so that a test need not wait for minutes."""

PRELOADED = ("versus_py.cli", "tests.faults.run_versus")

_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(["tests.support.forking_preload"])


class ForkedProcess:
    """What tests use of `subprocess.Popen`, for a process that another one has forked."""

    def __init__(
        self,
        arguments: tuple[str, ...],
        *,
        stdout: Path,
        stderr: Path | None = None,
        stdin: Path | None = None,
        env: Mapping[str, str] | None = None,
        main: str = VERSUS,
    ) -> None:
        for output in (stdout, stderr or stdout):
            output.touch()  # it is there as soon as there is a process, as with Popen
        files = [str(stdin or os.devnull), str(stdout), str(stderr or stdout)]
        everything = dict(os.environ if env is None else env)
        self._arguments = arguments
        self._process = _forks.Process(
            target=_run, args=(main, arguments, files, everything, str(Path.cwd())), daemon=True
        )
        self._reading = threading.Lock()
        self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self.poll()

    def poll(self) -> int | None:
        with self._reading:
            return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Raises subprocess.TimeoutExpired, as Popen does."""
        multiprocessing.connection.wait([self._process.sentinel], timeout)
        code = self.poll()
        if code is None:
            raise subprocess.TimeoutExpired(self._arguments, timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def call_versus(
    *arguments: str, stdin: str | None = None, timeout_s: float = 90, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command to its end, as `subprocess.run` does; what it printed is in the result.

    Raises subprocess.TimeoutExpired, after the process has been killed.
    """
    with tempfile.TemporaryDirectory() as folder:
        given, out, err = (Path(folder) / name for name in ("stdin", "stdout", "stderr"))
        given.write_text(stdin or "")
        process = ForkedProcess(arguments, stdin=given, stdout=out, stderr=err, env=env)
        try:
            code = process.wait(timeout_s)
        finally:
            process.kill()
        return subprocess.CompletedProcess(arguments, code, out.read_text(), err.read_text())


@contextmanager
def running_versus(
    arguments: Sequence[str], *, log: Path, env: Mapping[str, str] | None = None, main: str = VERSUS
) -> Iterator[ForkedProcess]:
    """The command, for as long as the block lasts; what it prints goes to *log*."""
    with ended(ForkedProcess(tuple(arguments), stdout=log, env=env, main=main)) as process:
        yield process


def _run(main: str, arguments: tuple[str, ...], files: list[str], env: dict[str, str], folder: str) -> None:
    """In the new process: make it as if it had been started with these, and call *main*."""
    flags = (os.O_RDONLY, *[os.O_WRONLY | os.O_APPEND | os.O_CREAT] * 2)
    for number, (path, flag) in enumerate(zip(files, flags, strict=True)):
        opened = os.open(path, flag, 0o644)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", buffering=1, closefd=False)
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", buffering=1, closefd=False)
    os.environ.clear()
    os.environ.update(env)
    time.tzset()
    os.chdir(folder)
    sys.argv = ["versus", *arguments]
    module, _, name = main.partition(":")
    getattr(importlib.import_module(module), name)()


def preload() -> None:
    """In the process that the others are forked from: import everything, and leave it out of later collections."""
    for module in PRELOADED:
        importlib.import_module(module)
    gc.collect()
    gc.freeze()
