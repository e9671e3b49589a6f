"""Who has signed in, as a signed cookie, and links that sign in once: the server keeps nothing of a session.

The signature needs the key of all links and a gateway secret: a new one of either ends every session made with the old.
"""

import base64
import binascii
import hmac
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import orjson

from versus_py.clock import Clock
from versus_py.errors import StoreUnavailable
from versus_py.web.pages.ui.viewer import Role, Viewer

SIGNED_MAX = 2048
"""What is longer is none of ours."""

LINK_MS = 3_600_000
"""How long a link that signs in once is good."""

_COOKIE, _LINK = "session of the web UI", "link that signs in to the web UI"


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody who has signed in, and until when that holds."""

    viewer: Viewer
    ends_at_ms: int


@dataclass(frozen=True, slots=True)
class SignInLink:
    """A link that signs in once. *id* tells it from others."""

    id: str
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
        return self._signed(_COOKIE, [viewer.name, viewer.email, int(viewer.role), ends_at_ms], secret)

    def is_signed(self, cookie: str, secret: str) -> bool:
        """Whether the cookie was made here with *secret*. Compares in constant time."""
        return self._is_signed(_COOKIE, cookie, secret)

    def read(self, cookie: str) -> Session | None:
        """What a cookie says, once `is_signed` holds; None when its time is over."""
        try:
            name, email, role, ends_at_ms = _said(cookie)
            session = Session(Viewer(name, email, Role(role)), ends_at_ms)
        except (binascii.Error, ValueError, TypeError):  # signed by another version
            return None
        return session if self._clock.now_ms() < session.ends_at_ms else None

    def link_token(self, secret: str) -> str:
        """For a link that signs in once, made for somebody who has shown *secret*."""
        return self._signed(_LINK, [secrets.token_urlsafe(16), self._clock.now_ms() + LINK_MS], secret)

    def is_signed_link(self, token: str, secret: str) -> bool:
        """As `is_signed`, of the token of a link."""
        return self._is_signed(_LINK, token, secret)

    def read_link(self, token: str) -> SignInLink | None:
        """The link, once `is_signed_link` holds; None when its time is over. Whether it was used is not known here."""
        try:
            link = SignInLink(*_said(token))
        except (binascii.Error, ValueError, TypeError):  # signed by another version
            return None
        return link if self._clock.now_ms() < link.ends_at_ms else None

    def _signed(self, purpose: str, said: Sequence[str | int], secret: str) -> str:
        payload = base64.urlsafe_b64encode(orjson.dumps(said)).decode().rstrip("=")
        return f"{payload}.{self._signature(purpose, payload, secret)}"

    def _is_signed(self, purpose: str, text: str, secret: str) -> bool:
        payload, _, signature = text[:SIGNED_MAX].rpartition(".")
        return hmac.compare_digest(_bytes(signature), _bytes(self._signature(purpose, payload, secret)))

    def _signature(self, purpose: str, payload: str, secret: str) -> str:
        signing_key = self._signing_key()
        if signing_key is None:
            raise StoreUnavailable("the signing key is in Redis, which has not answered yet")
        key = hmac.new(signing_key.encode(), _bytes(f"{purpose}\n{secret}"), sha256).digest()
        return hmac.new(key, _bytes(payload), sha256).hexdigest()


def _said(signed: str) -> Sequence[Any]:
    payload = signed.rpartition(".")[0]
    found: Sequence[Any] = orjson.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return found


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogateescape")
