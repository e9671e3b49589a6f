"""Who has signed in, as a signed cookie: the server keeps nothing.

The signature needs the key of all links and a gateway secret: a new one of either ends every session made with the old.
"""

import base64
import binascii
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

import orjson

from versus_py.clock import Clock
from versus_py.errors import StoreUnavailable
from versus_py.web.pages.ui.viewer import Role, Viewer

COOKIE_MAX = 2048
"""Longer ones are none of ours."""


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody who has signed in, and until when that holds."""

    viewer: Viewer
    ends_at_ms: int


class Sessions:
    """Makes and reads the cookie; *signing_key* tells the key of all links, None until it is known."""

    def __init__(self, signing_key: Callable[[], str | None], clock: Clock, *, lasts_ms: int) -> None:
        self._signing_key = signing_key
        self._clock = clock
        self.lasts_ms = lasts_ms

    def cookie(self, viewer: Viewer, secret: str) -> str:
        """The value for *viewer*, who has shown *secret*."""
        ends_at_ms = self._clock.now_ms() + self.lasts_ms
        said = orjson.dumps([viewer.name, viewer.email, int(viewer.role), ends_at_ms])
        payload = base64.urlsafe_b64encode(said).decode().rstrip("=")
        return f"{payload}.{self._signature(payload, secret)}"

    def is_signed(self, cookie: str, secret: str) -> bool:
        """Whether the cookie was made here with *secret*. Compares in constant time."""
        payload, _, signature = cookie[:COOKIE_MAX].rpartition(".")
        return hmac.compare_digest(_bytes(signature), _bytes(self._signature(payload, secret)))

    def read(self, cookie: str) -> Session | None:
        """What a cookie says, once `is_signed` holds; None when its time is over."""
        payload = cookie.rpartition(".")[0]
        try:
            name, email, role, ends_at_ms = orjson.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
            session = Session(Viewer(name, email, Role(role)), ends_at_ms)
        except (binascii.Error, ValueError, TypeError):  # signed by another version
            return None
        return session if self._clock.now_ms() < session.ends_at_ms else None

    def _signature(self, payload: str, secret: str) -> str:
        signing_key = self._signing_key()
        if signing_key is None:
            raise StoreUnavailable("the signing key is in Redis, which has not answered yet")
        key = hmac.new(signing_key.encode(), b"session of the web UI\n" + _bytes(secret), sha256).digest()
        return hmac.new(key, _bytes(payload), sha256).hexdigest()


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogateescape")
