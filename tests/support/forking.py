"""Runs `versus` in a process that is forked from one which has imported it already: it saves a second of CPU each time.

It differs from `python -m versus_py` in two ways: what is read from the environment at import is that of the process it
is forked from, and all forks share one hash seed. Tests of start-up or shutdown start a new interpreter.
"""

import atexit
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
"""The entry point to call in the new process: `module:function`."""

IN_QUICK_TEMPO = "tests.faults.run_versus:main"
"""The same, with leases and backoffs of seconds instead of minutes: tests/faults/tempo.py."""

_preloaded: list[str] = []

PRELOADED = ("versus_py.cli", "tests.faults.run_versus")

_children = threading.Lock()
"""multiprocessing looks at all children whenever one is started or asked, and does not expect that from two threads."""

_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(["tests.support.forking_preload"])


class ForkedProcess:
    """A forked process, with the part of `subprocess.Popen` that tests use."""

    def __init__(
        self,
        arguments: tuple[str, ...],
        *,
        stdout: Path,
        stderr: Path | None = None,
        stdin: Path | None = None,
        env: Mapping[str, str] | None = None,
        main: str = VERSUS,
        folder: Path | None = None,
    ) -> None:
        for output in (stdout, stderr or stdout):
            output.touch()  # it is there as soon as there is a process, as with Popen
        files = [str(stdin or os.devnull), str(stdout), str(stderr or stdout)]
        everything = dict(os.environ if env is None else env)
        self._arguments = arguments
        self._process = _forks.Process(
            target=_run, args=(main, arguments, files, everything, str(folder or Path.cwd())), daemon=True
        )
        self._code: int | None = None
        with _children:
            self._process.start()

    @property
    def sentinel(self) -> int:
        """What `multiprocessing.connection.wait` takes: ready when the process has ended."""
        return self._process.sentinel

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        with _children:
            if self._code is None:
                self._code = self._process.exitcode
            return self._code

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
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
            raise subprocess.TimeoutExpired(arguments, timeout_s, out.read_text(), err.read_text()) from None
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
    buffering = 1 if env.get("PYTHONUNBUFFERED") else -1
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", buffering=buffering, closefd=False)
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", buffering=1, errors="backslashreplace", closefd=False)
    os.environ.clear()
    os.environ.update(env)
    time.tzset()
    os.chdir(folder)
    sys.argv = ["versus", *arguments]
    assert PRELOADED[0] in _preloaded, "the process that is forked from has not imported the program: run from the root"
    module, _, name = main.partition(":")
    try:
        getattr(importlib.import_module(module), name)()
    finally:  # as an interpreter that ends: what nobody awaited is said
        atexit._run_exitfuncs()
        gc.collect()


def preload() -> None:
    """In the process that is forked from: import everything, and freeze it, so that no collection looks at it."""
    for module in PRELOADED:
        importlib.import_module(module)
        _preloaded.append(module)
    gc.collect()
    gc.freeze()
