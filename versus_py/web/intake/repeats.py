"""Bodies that came lately and would only be counted once more: these need not be read again."""

from collections import OrderedDict
from dataclasses import dataclass
from hashlib import sha256

from aiohttp import web

from versus_py.incidents.repeats import Again

REMEMBERED_MAX = 4096
"""The most bodies that are remembered; the one that did not come for longest is forgotten first."""


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
