"""Lines of journals that a test does not care about, filled in."""

import resource
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.clock import START_MS
from versus_py.store.journal import Acceptance, Chain, Head, Line, Written
from versus_py.store.journal.chain import anchor_text, beginning, content_of, sealed


def make_acceptance(**fields: Any) -> Acceptance:
    values: dict[str, Any] = {
        "at_ms": START_MS,
        "process": "replica-1:17",
        "sender": "alertmanager",
        "source": "alertmanager",
        "item": 1,
        "body": "b" * 64,
        "key": "c" * 64,
        "incident": "0123456789abcdef0123-1",
        "outcome": "created",
        "version": 1,
    }
    return Acceptance(**(values | fields))


def make_lines(accepted: Sequence[Acceptance], algorithm: str = "sha256") -> list[str]:
    """A journal of these: its anchor, and a line of each."""
    head = beginning(algorithm)
    texts = [anchor_text(head, algorithm)]
    for it in accepted:
        text, head = sealed(head, content_of(it), algorithm)
        texts.append(text)
    return texts


class Followed:
    """A journal that was followed to its end: its good lines, and what broke its chain."""

    def __init__(self, texts: Sequence[str], *, is_file: bool = True) -> None:
        self.broken: list[tuple[int, str]] = []
        self.torn: list[int] = []
        self.chain = Chain(lambda line, what: self.broken.append((line, what)), self.torn.append if is_file else None)
        self.lines: list[Line] = [line for line in map(self.chain.follow, texts) if line is not None]

    @property
    def head(self) -> Head:
        """The last line that was followed."""
        assert self.chain.head is not None
        return self.chain.head


async def read(journal: Written) -> list[str]:
    """Every line of it, the anchors too."""
    return [text async for stretch in journal.stretches() for text in stretch.lines]


async def followed(journal: Written) -> Followed:
    found = Followed([], is_file=journal.is_file)
    async for stretch in journal.stretches():
        found.lines += [line for line in map(found.chain.follow, stretch.lines) if line is not None]
        if stretch.head is not None:
            found.chain.end(stretch.head)
    return found


def lines_of(path: Path) -> list[str]:
    return path.read_text().splitlines()


@contextmanager
def full_disk(size: int) -> Iterator[None]:
    """No file that this process writes grows beyond *size* bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # for an error instead of a signal
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
