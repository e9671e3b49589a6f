"""Bodies that came lately and would only be counted once more: these need not be read again."""

import asyncio
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256

from aiohttp import web

from versus_py.incidents.repeats import Again

REMEMBERED_MAX = 4096
"""The most bodies that are remembered; the one that did not come for longest is forgotten first."""

WAIT_S = 0.5
"""How long the same body waits for others that are being read, all in all. Nothing is wrong with reading each."""


@dataclass(frozen=True, slots=True)
class Known:
    """What a body led to."""

    again: Again
    source: str
    answer: bytes


@dataclass(slots=True)
class Reading:
    """A body that is read now."""

    is_over: asyncio.Event = field(default_factory=asyncio.Event)
    may_be_known: bool = True  # else each has to be read, and none needs to wait


class Repeats:
    """What is known of bodies, by what they say, who sent them, and what their query asks for."""

    def __init__(self) -> None:
        self._known: OrderedDict[bytes, Known] = OrderedDict()
        self._being_read: dict[bytes, Reading] = {}

    def key(self, request: web.Request, sender: str, body: bytes) -> bytes:
        """What tells requests apart; *sender* is the name of a token."""
        digest = sha256(f"{sender}\n{request.rel_url.raw_query_string}\n".encode(errors="surrogateescape"))
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

    def forget(self, key: bytes, known: Known) -> None:
        """Unless something newer is known by now."""
        if self._known.get(key) is known:
            del self._known[key]

    @contextmanager
    def reading(self, key: bytes) -> Iterator[Reading]:
        """While a body is read; the same that comes meanwhile may wait for it."""
        reading = Reading()
        if key in self._being_read:
            yield reading
            return
        self._being_read[key] = reading
        try:
            yield reading
        finally:
            del self._being_read[key]
            reading.is_over.set()

    def is_being_read(self, key: bytes) -> bool:
        return key in self._being_read

    async def is_worth_asking_again(self, key: bytes, until: float) -> bool:
        """Whether the same body was being read, and there is something to learn from it now.

        *until* is the loop's time at which waiting for that ends.
        """
        reading = self._being_read.get(key)
        if reading is None:
            return False
        try:
            async with asyncio.timeout_at(until):
                await reading.is_over.wait()
        except TimeoutError:
            return False
        return reading.may_be_known
