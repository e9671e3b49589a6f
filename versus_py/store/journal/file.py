"""The journal in a file: a chain of its own for each process, one writer, and a bound on what it takes of the disk."""

import asyncio
import fcntl
import os
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Self

import structlog

from versus_py.clock import monotonic_ms
from versus_py.errors import VersusError
from versus_py.store.journal.chain import (
    ANCHOR_START,
    Acceptance,
    Head,
    anchor_text,
    beginning,
    content_of,
    is_whole,
    read_anchor,
    read_line,
    sealed,
)
from versus_py.store.journal.journal import Stretch
from versus_py.telemetry.metrics import Metrics
from versus_py.telemetry.throttled import ThrottledLog

log = structlog.get_logger()

ALGORITHM = "sha256"

SIZE_MAX = 64 * 1024 * 1024
"""Bytes of a file; then the next one is begun."""

FILES_MAX = 10
"""Files that are kept, with the one that is written; the eldest goes first."""

WRITE_TIMEOUT_S = 1.0
"""How long a request waits for the disk; then it is answered without its lines."""

TAIL_BYTES = 64 * 1024
"""How far back the last whole line is looked for."""

LINE_MAX = 64 * 1024
"""Bytes that are read of what may be no line."""

STRETCH = 1000
"""Lines that are read at once."""


class FileJournal:
    """Appends to a file, by a thread of its own. What cannot be written is logged and counted, and costs no alert."""

    def __init__(self, appender: "Appender", metrics: Metrics) -> None:
        self._appender = appender
        self._metrics = metrics
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="journal")
        # By a clock of this machine: the disk may be full while Redis is away.
        self._failures = ThrottledLog("journal.not_written", monotonic_ms, level="error")
        self.name = str(appender.path)
        self.not_written = 0

    async def __aenter__(self) -> Self:
        """Raises VersusError when the file cannot be used."""
        try:
            await asyncio.wrap_future(self._thread.submit(self._appender.open))
        except VersusError:
            self._thread.shutdown(wait=False)
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        closing = self._thread.submit(self._appender.close)
        self._thread.shutdown(wait=False)
        with suppress(TimeoutError):
            async with asyncio.timeout(WRITE_TIMEOUT_S):
                await asyncio.wrap_future(closing)

    async def add(self, accepted: Sequence[Acceptance]) -> None:
        """Write a line for each. Says by the log, and in the next line, what could not be written."""
        writing = self._thread.submit(self._appender.append, [content_of(it) for it in accepted])
        try:
            async with asyncio.timeout(WRITE_TIMEOUT_S):
                await asyncio.wrap_future(writing)
        except (OSError, VersusError) as exc:
            if writing.cancel():  # it has not begun: what has tells by itself what it could not write
                self._appender.miss(len(accepted))
            self.not_written += len(accepted)
            self._metrics.journal_lines.labels("not_written").inc(len(accepted))
            self._failures.note(error=str(exc) or f"the disk did not take it within {WRITE_TIMEOUT_S:g} s")
        else:
            self._metrics.journal_lines.labels("written").inc(len(accepted))


@dataclass(frozen=True, slots=True)
class _Tail:
    """The end of a file: its last whole line, and whether something that is none comes after it."""

    head: Head
    is_torn: bool
    ends_a_line: bool


class Appender:
    """The file, to be written by one thread at a time. After an error it is opened anew with the next line.

    Errors are OSError, and VersusError where the file is somebody else's.
    """

    def __init__(self, path: Path, *, size_max: int = SIZE_MAX, files_max: int = FILES_MAX) -> None:
        self.path = path
        self._size_max = size_max
        self._files_max = files_max
        self._file: int | None = None
        self._size = 0
        self._head = beginning(ALGORITHM)
        self._has_to_break = False  # the last line has no end yet
        self._missed = 0
        self._counting = threading.Lock()

    def open(self) -> None:
        """Take the file, and find where its chain goes on. Raises VersusError when it cannot be used."""
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._reopen()
        except OSError as exc:
            raise VersusError(f"journal.file {str(self.path)!r} cannot be used: {exc.strerror or exc}") from None

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def miss(self, number: int) -> None:
        """So many notifications are not written: the next line says so. For any thread."""
        with self._counting:
            self._missed += number

    def append(self, contents: Sequence[str]) -> None:
        """Write a line of each content, in one write."""
        try:
            self._append(contents)
        except (OSError, VersusError):
            self.miss(len(contents))
            self.close()
            raise

    def _append(self, contents: Sequence[str]) -> None:
        file = self._file if self._file is not None else self._reopen()
        if self._size >= self._size_max:
            file = self._rotate()
        missed = self._missed
        first, *others = contents
        head, texts = self._head, []
        for content in (f'"missed":{missed},{first}' if missed else first, *others):
            text, head = sealed(head, content, ALGORITHM)
            texts.append(text)
        self._write(file, "\n".join(texts))
        self._head = head
        self.miss(-missed)

    def _write(self, file: int, text: str) -> None:
        """All of it, or nothing."""
        data = b"\n" * self._has_to_break + text.encode() + b"\n"
        left = memoryview(data)
        try:
            while left:
                left = left[os.write(file, left) :]
        except OSError:
            with suppress(OSError):
                os.ftruncate(file, self._size)
            raise
        self._size += len(data)
        self._has_to_break = False

    def _reopen(self) -> int:
        self.close()
        file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            self._lock(file)
            self._go_on(file)
        except BaseException:
            os.close(file)
            raise
        self._file = file
        return file

    def _lock(self, file: int) -> None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise VersusError(
                f"journal.file {str(self.path)!r} is in use by another process: give each one a file of its own"
            ) from None

    def _go_on(self, file: int) -> None:
        """After the file's last whole line; a file that is new begins where the one before ended."""
        self._size, self._has_to_break = _size_but_for_half_an_anchor(file), False
        if self._size == 0:
            self._head = self._end_of_previous()
            self._write(file, anchor_text(self._head, ALGORITHM))
            return
        tail = _tail(file, self.path)
        self._head, self._has_to_break = tail.head, not tail.ends_a_line
        if tail.is_torn:
            log.warning("journal.torn", file=str(self.path), after=tail.head.n)

    def _end_of_previous(self) -> Head:
        """Where the chain goes on in a new file."""
        with suppress(FileNotFoundError), self._numbered(1).open("rb") as file:
            return _tail(file.fileno(), self._numbered(1)).head
        return beginning(ALGORITHM)

    def _rotate(self) -> int:
        self.close()
        for number in range(self._files_max - 2, 0, -1):
            with suppress(FileNotFoundError):
                self._numbered(number).replace(self._numbered(number + 1))
        self.path.replace(self._numbered(1))
        return self._reopen()

    def _numbered(self, number: int) -> Path:
        return _numbered(self.path, number)


def _numbered(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")


def _size_but_for_half_an_anchor(file: int) -> int:
    """Nothing else was written when that was."""
    text = os.pread(file, LINE_MAX, 0)
    if b"\n" not in text and (ANCHOR_START.startswith(_text(text)) or _text(text).startswith(ANCHOR_START)):
        os.ftruncate(file, 0)
    return os.fstat(file).st_size


def _tail(file: int, path: Path) -> _Tail:
    """Raises VersusError when it is no journal of ours."""
    anchor = read_anchor(_text(os.pread(file, LINE_MAX, 0).partition(b"\n")[0]))
    if anchor is None or anchor.algorithm != ALGORITHM:
        raise VersusError(f"journal.file {str(path)!r} is no journal of versus_py: name another file, or move it away")
    size = os.fstat(file).st_size
    start = max(0, size - TAIL_BYTES)
    *lines, rest = os.pread(file, TAIL_BYTES, start).split(b"\n")
    if start:
        del lines[:1]
    whole_rest = _head_of(_text(rest))
    if whole_rest is not None:
        return _Tail(whole_rest, is_torn=False, ends_a_line=False)
    found = next((head for head in map(_head_of, map(_text, reversed(lines))) if head is not None), None)
    if found is None:
        raise VersusError(f"journal.file {str(path)!r} has no whole line at its end: move it away")
    return _Tail(found, is_torn=bool(rest), ends_a_line=not rest)


def _head_of(text: str) -> Head | None:
    """None when it is no whole line."""
    if (anchor := read_anchor(text)) is not None:
        return Head(anchor.n, anchor.hash)
    line = read_line(text)
    return Head(line.n, line.hash) if line is not None and is_whole(line, text, ALGORITHM) else None


def _text(line: bytes) -> str:
    return line.decode(errors="replace")


class JournalFile:
    """A journal in a file, and in those that were written before it, FILE.1 and so on. It may be written meanwhile."""

    is_file = True

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def name(self) -> str:
        return str(self._path)

    async def stretches(self) -> AsyncIterator[Stretch]:
        """All of it from its first line. Raises VersusError when it cannot be read."""
        try:
            with _opened(self._path) as files:
                for file in files:
                    while lines := await asyncio.to_thread(_some_lines, file):
                        yield Stretch([_text(it).removesuffix("\n") for it in lines])
                        if not lines[-1].endswith(b"\n"):
                            break  # it is being written
        except OSError as exc:
            raise VersusError(f"the journal {self.name!r} cannot be read: {exc.strerror or exc}") from None


@contextmanager
def _opened(path: Path) -> Iterator[list[BinaryIO]]:
    """The files of a journal, the eldest first. They are opened the other way round: one may move on meanwhile."""
    files = [path.open("rb")]
    try:
        for number in range(1, FILES_MAX):
            with suppress(FileNotFoundError):
                files.append(_numbered(path, number).open("rb"))
        by_inode = {os.fstat(it.fileno()).st_ino: it for it in files}
        yield [*reversed(by_inode.values())]
    finally:
        for file in files:
            file.close()


def _some_lines(file: BinaryIO) -> list[bytes]:
    return [*islice(iter(lambda: file.readline(LINE_MAX), b""), STRETCH)]
