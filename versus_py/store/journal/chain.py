"""The text of a journal: JSON lines that are numbered, each with the hash of the one before.

A line is `{"n":17,"previous":"…",…,"hash":"…"}`; its hash is that of all its text before `,"hash":`. The first line of
a journal, and of each file of one, is an anchor: `{"journal":1,"algorithm":"sha256","n":16,"hash":"…"}`. It says how
hashes are made, and which line came before: one in another file, or one that is not kept any more. lua/journal.lua
writes the same.
"""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha1, sha256
from typing import Any

import orjson
from pydantic import TypeAdapter, ValidationError

from versus_py.errors import VersusError

FORMAT = 1
"""What an anchor says of how lines are written."""

_HASHES: dict[str, Callable[[bytes], Any]] = {
    "sha1": lambda text: sha1(text, usedforsecurity=False),  # the only one that Redis' scripts have
    "sha256": sha256,
}
ANCHOR_START = '{"journal":'
_HASH_START = ',"hash":"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """One notification that was accepted, as the journal tells of it: no text of a payload, and no secret."""

    at_ms: int
    process: str  # which one accepted it
    sender: str  # the name of its token; "" where that is not known
    source: str
    item: int  # its place in the request, from 1
    body: str  # SHA-256 of the request's body, in hex
    key: str | None  # SHA-256 of the dedup key; None for a resolve of nothing known that has none
    incident: str | None  # None for a resolve of nothing known
    outcome: str
    version: int | None  # of the incident, after that


@dataclass(frozen=True, slots=True, kw_only=True)
class Line(Acceptance):
    """The same with its place in the chain."""

    n: int
    previous: str
    hash: str
    missed: int = 0  # notifications that were accepted before it, and that could not be written


@dataclass(frozen=True, slots=True)
class Anchor:
    """The first line of a journal, or of a file of one."""

    journal: int  # FORMAT
    algorithm: str
    n: int
    hash: str


@dataclass(frozen=True, slots=True)
class Head:
    """The last line of a chain, by its number and hash."""

    n: int
    hash: str


_LINE = TypeAdapter(Line)
_ANCHOR = TypeAdapter(Anchor)


def beginning(algorithm: str) -> Head:
    """What the first line of a chain follows."""
    return Head(0, "0" * len(_hash("", algorithm)))


def anchor_text(head: Head, algorithm: str) -> str:
    return f'{ANCHOR_START}{FORMAT},"algorithm":"{algorithm}","n":{head.n},"hash":"{head.hash}"}}'


def content_of(accepted: Acceptance) -> str:
    """The part of a line that does not depend on its place, without braces."""
    return orjson.dumps(accepted).decode()[1:-1]


def sealed(head: Head, content: str, algorithm: str) -> tuple[str, Head]:
    """The line with that content after *head*, and the head that it is then."""
    text = _start_of_line(head) + content
    after = Head(head.n + 1, _hash(text, algorithm))
    return f'{text}{_HASH_START}{after.hash}"}}', after


def read_anchor(text: str) -> Anchor | None:
    """None when it is no anchor. Raises VersusError when a newer version wrote it."""
    if not text.startswith(ANCHOR_START):
        return None
    try:
        anchor = _ANCHOR.validate_json(text)
    except ValidationError:
        return None
    if anchor.journal > FORMAT or anchor.algorithm not in _HASHES:
        raise VersusError("a newer version of versus_py wrote this journal: read it with that version")
    return anchor


def read_line(text: str) -> Line | None:
    """None when it is no line; whether its hash is right, `is_whole` tells."""
    try:
        return _LINE.validate_json(text)
    except ValidationError:
        return None


def is_whole(line: Line, text: str, algorithm: str) -> bool:
    """Whether the line is as it was written, by its own hash."""
    hashed, _, rest = text.rpartition(_HASH_START)
    return rest == f'{line.hash}"}}' and line.hash == _hash(hashed, algorithm)


class Chain:
    """Follows a journal from its first line. What breaks the chain is told to *broken*, with the line's number.

    In a file, a line that was not written to its end is told to *torn*: the process or the machine died.
    """

    def __init__(self, broken: Callable[[int, str], None], torn: Callable[[int], None] | None = None) -> None:
        self._broken = broken
        self._torn = torn
        self.head: Head | None = None
        self.algorithm = ""
        self.first = 0  # the number of the first line, or of the one that is to come

    def follow(self, text: str) -> Line | None:
        """The line, if it is as it was written; None for an anchor, and for what cannot be trusted."""
        if (anchor := read_anchor(text)) is not None:
            self._follow_anchor(anchor)
            return None
        line = read_line(text)
        if self.head is None:
            return self._begin_without_anchor(line, text)
        if line is None:
            self._unreadable(self.head, text)
            return None
        return self._follow_line(self.head, line, text)

    def end(self, head: Head) -> None:
        """What else is known of the last line."""
        if self.head is None or head == self.head:
            return
        if head.n > self.head.n:
            self._broken(self.head.n + 1, f"{_lines(self.head.n + 1, head.n)} missing at the end")
        else:
            self._broken(self.head.n, f"it is not the last line that was written: that is {head.n}")

    def _follow_anchor(self, anchor: Anchor) -> None:
        head = Head(anchor.n, anchor.hash)
        if self.head is None:
            self.first = anchor.n + 1
        elif anchor.n > self.head.n:
            self._broken(self.head.n + 1, f"{_lines(self.head.n + 1, anchor.n)} missing")
        elif head != self.head:
            self._broken(anchor.n + 1, f"the chain begins anew after line {self.head.n}")
        self.head, self.algorithm = head, anchor.algorithm

    def _begin_without_anchor(self, line: Line | None, text: str) -> Line | None:
        number = 1 if line is None else line.n
        self._broken(number, "the journal's first line is missing, or was changed")
        if line is None:
            return None
        self.algorithm = "sha1" if len(line.hash) == len(_hash("", "sha1")) else "sha256"
        self.first = line.n
        return self._follow_line(Head(line.n - 1, line.previous), line, text)

    def _unreadable(self, head: Head, text: str) -> None:
        start = _start_of_line(head)
        if self._torn is not None and (text.startswith(start) or start.startswith(text)):
            self._torn(head.n + 1)
        else:
            self._broken(head.n + 1, "it cannot be read")
            # Its hash is not known: what comes next is taken to follow it.
            self.head = Head(head.n + 1, "")

    def _follow_line(self, head: Head, line: Line, text: str) -> Line | None:
        if not is_whole(line, text, self.algorithm):
            self._broken(head.n + 1, "it was changed")
            self.head = Head(head.n + 1, line.hash)
            return None
        if line.n <= head.n:
            self._broken(line.n, f"it stands after line {head.n}")
            return line
        if line.n > head.n + 1:
            self._broken(head.n + 1, f"{_lines(head.n + 1, line.n - 1)} missing")
        elif head.hash and line.previous != head.hash:
            self._broken(line.n, "it does not follow the line before: that one was changed, and its hash made anew")
        self.head = Head(line.n, line.hash)
        return line


def _start_of_line(head: Head) -> str:
    return f'{{"n":{head.n + 1},"previous":"{head.hash}",'


def _hash(text: str, algorithm: str) -> str:
    return str(_HASHES[algorithm](text.encode()).hexdigest())


def _lines(first: int, last: int) -> str:
    return f"line {first} is" if first == last else f"lines {first} to {last} are"
