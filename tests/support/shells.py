"""A shell in which `versus` is a process that is forked from one which has imported it: see forking.py."""

import json
import multiprocessing.connection
import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.support.forking import ForkedProcess
from tests.support.servers import ended
from tests.support.waiting import wait_until

_COMMAND = """#!{python} -SE
import json, os, signal, socket, sys
with socket.socket(socket.AF_UNIX) as asked:
    asked.connect({path!r})
    signal.signal(signal.SIGTERM, lambda *_: asked.shutdown(socket.SHUT_WR))
    request = {{"pid": os.getpid(), "arguments": sys.argv[1:], "environment": dict(os.environ), "folder": os.getcwd()}}
    asked.sendall(json.dumps(request).encode() + b"\\n")
    sys.exit(int(asked.makefile().readline() or 1))
"""
"""`versus`, as the shell finds it: it hands its arguments and its files to the test's process, and waits for the end.

SIGTERM is passed on, by an end of what it sends.
"""


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    status: int
    printed: str


class Shell:
    """One bash, in which one command after the other is run."""

    def __init__(self, folder: Path, process: subprocess.Popen[str], notes: Path) -> None:
        self.folder = folder
        self._process = process
        self._notes = notes
        self._number = 0

    def run(self, command: str, *, timeout_s: float = 60) -> Done:
        """Run it to its end; what it prints on either output is in the result."""
        self._number += 1
        printed, status = (self._notes / f"{self._number}.{it}" for it in ("out", "status"))
        self.feed(f"{{ {command}\n}} </dev/null >>{printed} 2>&1\necho $? >{status}.new; mv {status}.new {status}\n")
        wait_until(status.exists, timeout_s=timeout_s, what=f"the end of {command!r}")
        return Done(int(status.read_text()), printed.read_text(errors="replace"))

    def start(self, command: str) -> Path:
        """Run it in the background, until the shell ends; the path of what it prints."""
        self._number += 1
        printed = self._notes / f"{self._number}.out"
        printed.touch()
        output = "" if ">" in command else f">>{printed} 2>&1"
        self.feed(f"{command.rstrip('& ')} </dev/null {output} &\n")
        return printed

    def feed(self, text: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(text)
        self._process.stdin.flush()


@contextmanager
def run_shell(folder: Path, programs: Path, environment: Mapping[str, str]) -> Iterator[Shell]:
    """A bash in *folder*, whose PATH begins with *programs* (which has to hold what serve_versus has put there)."""
    notes = Path(tempfile.mkdtemp(prefix="notes-", dir=programs))
    everything = {**environment, "PATH": f"{programs}{os.pathsep}{environment.get('PATH', os.defpath)}"}
    process = subprocess.Popen(
        ["bash", "--noprofile", "--norc"], stdin=subprocess.PIPE, cwd=folder, env=everything, text=True
    )
    shell = Shell(folder, process, notes)
    with process, ended(process):
        shell.feed("set -m -o pipefail\n")
        yield shell
        with suppress(BrokenPipeError):
            shell.feed("kill $(jobs -p) 2>/dev/null; exit\n")
        process.communicate(timeout=20)


@contextmanager
def serve_versus(programs: Path) -> Iterator[None]:
    """Put `versus` into the folder *programs*, and start what it asks to be started."""
    programs.mkdir(parents=True, exist_ok=True)
    path = programs / "asked"
    command = programs / "versus"
    command.write_text(_COMMAND.format(python=sys.executable, path=str(path)))
    command.chmod(0o755)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        threading.Thread(target=_accept, args=(listening,), daemon=True).start()
        yield
        listening.shutdown(socket.SHUT_RDWR)


def _accept(listening: socket.socket) -> None:
    with suppress(OSError):
        while True:
            asked, _ = listening.accept()
            threading.Thread(target=_answer, args=(asked,), daemon=True).start()


def _answer(asked: socket.socket) -> None:
    """Start what is asked for, on the files of whoever asks; end it when they end."""
    with asked, asked.makefile() as lines:
        request = json.loads(lines.readline())
        stdin, stdout, stderr = (Path(f"/proc/{request['pid']}/fd/{number}") for number in range(3))
        process = ForkedProcess(
            tuple(request["arguments"]),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            env=request["environment"],
            folder=Path(request["folder"]),
        )
        with ended(process):
            if asked in multiprocessing.connection.wait([process.sentinel, asked]):
                process.terminate()
            with suppress(OSError):
                asked.sendall(b"%d\n" % process.wait(30))
