"""Bodies that came lately and would only be counted once more: these need not be read again."""

import asyncio
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256

from aiohttp import web

from versus_py.incidents.repeats import Again

REMEMBERED_MAX = 4096
"""The most bodies that are remembered; the one that did not come for longest is forgotten first."""

READINGS = 2
"""How often a body has to be read until it is known: the first time it is new, the second time it is a repeat."""

WAIT_S = 0.5
"""How long the same body waits for one that is being read. Nothing is wrong with reading both."""


@dataclass(frozen=True, slots=True)
class Known:
    """What a body led to."""

    again: Again
    source: str
    answer: bytes


class Repeats:
    """What is known of bodies, by what they say, who sent them, and what their query asks for."""

    def __init__(self) -> None:
        self._known: OrderedDict[bytes, Known] = OrderedDict()
        self._being_read: dict[bytes, asyncio.Event] = {}

    def key(self, request: web.Request, sender: str, body: bytes) -> bytes:
        """What tells requests apart; *sender* is the name of a token."""
        digest = sha256(f"{sender}\n{request.query_string}\n".encode(errors="surrogateescape"))
        digest.update(body)
        return digest.digest()

    def find(self, key: bytes) -> Known | None:
        found = self._known.get(key)
        if found is not None:
            self._known.move_to_end(key)
        return found

    def learn(self, key: bytes, known: Known) -> None:
        self._known[key] = known
        self._known.move_to_end(key)
        if len(self._known) > REMEMBERED_MAX:
            self._known.popitem(last=False)

    def forget(self, key: bytes) -> None:
        self._known.pop(key, None)

    @contextmanager
    def reading(self, key: bytes) -> Iterator[None]:
        """While a body is read; the same that comes meanwhile may wait for it."""
        if key in self._being_read:
            yield
            return
        is_read = self._being_read[key] = asyncio.Event()
        try:
            yield
        finally:
            del self._being_read[key]
            is_read.set()

    async def waited_for(self, key: bytes) -> bool:
        """Whether the same body was being read, which is over now, or takes long."""
        is_read = self._being_read.get(key)
        if is_read is None:
            return False
        with suppress(TimeoutError):
            async with asyncio.timeout(WAIT_S):
                await is_read.wait()
        return True
