"""Signed links, good for a limited time: to acknowledge one incident, and to list those of a storm."""

import hashlib
import hmac
from collections.abc import Sequence
from enum import Enum
from typing import Protocol
from urllib.parse import quote

from versus_py.clock import Clock
from versus_py.errors import StoreUnavailable

PATH = "/api/ack"

DAY_MS = 24 * 3600 * 1000
"""A link is good for at least a day, and for a day after the wait, or after the end of the acknowledgment."""


STORM_PATH = "/api/storms"

STORM_MS = 7 * DAY_MS
"""A list of a storm is good for a week."""


def same_until_ms(from_ms: int) -> int:
    """Until when a link that has to be good from then on stays the same; the next one is good for a day longer."""
    return -(-from_ms // DAY_MS) * DAY_MS


def storm_subject(place: str, storm_id: str) -> str:
    """What a link to a storm is about; no incident's id has spaces."""
    return f"storm {place} {storm_id}"


class Acknowledgeable(Protocol):
    """What a link acknowledges: an incident."""

    @property
    def id(self) -> str: ...

    @property
    def last_due_ms(self) -> int | None: ...

    @property
    def ack_ends_at_ms(self) -> int | None: ...


def needed_until_ms(incident: Acknowledgeable) -> int:
    """Until when somebody may want to acknowledge it, or to renew that, as far as it is known."""
    return max(incident.last_due_ms or 0, incident.ack_ends_at_ms or 0)


class Verdict(Enum):
    """What a link is worth."""

    VALID = "valid"
    EXPIRED = "expired"
    INVALID = "invalid"


class AckLinks:
    """Makes and checks links; *key* is the secret that all replicas share, or None until it is known.

    Links that were made with one of the *previous* keys are good too, for as long as they last.
    """

    def __init__(self, base_url: str, clock: Clock, key: str | None = None, *, previous: Sequence[str] = ()) -> None:
        self._base_url = base_url
        self._clock = clock
        self._previous = tuple(previous)
        self.key = key

    def url(self, incident: Acknowledgeable) -> str:
        """The link for *incident*. The same all day, so that a message is edited for its link once a day at most."""
        from_ms = max(self._clock.now_ms(), needed_until_ms(incident))
        expires_s = (same_until_ms(from_ms) + DAY_MS) // 1000
        return (
            f"{self._base_url}{PATH}/{incident.id}?exp={expires_s}&sig={self._signature(incident.id, str(expires_s))}"
        )

    def storm_url(self, place: str, storm_id: str) -> str:
        """The link to the list of a storm's incidents."""
        expires_s = (same_until_ms(self._clock.now_ms()) + STORM_MS) // 1000
        subject = storm_subject(place, storm_id)
        path = f"{STORM_PATH}/{quote(place, safe=':')}/{quote(storm_id)}"
        return f"{self._base_url}{path}?exp={expires_s}&sig={self._signature(subject, str(expires_s))}"

    def check(self, subject: str, expires_s: str, signature: str) -> Verdict:
        """Of a link about *subject*: an incident's id, or a storm's `storm_subject`.

        Compares in constant time, and looks at the expiry only of links that we signed.
        """
        given = signature.encode(errors="replace")
        good = [_signature(key, subject, expires_s).encode() for key in (self._known_key(), *self._previous)]
        if not sum(hmac.compare_digest(it, given) for it in good):  # always all of them
            return Verdict.INVALID
        return Verdict.VALID if self._clock.now_ms() < int(expires_s) * 1000 else Verdict.EXPIRED

    def _signature(self, subject: str, expires_s: str) -> str:
        return _signature(self._known_key(), subject, expires_s)

    def _known_key(self) -> str:
        if self.key is None:
            raise StoreUnavailable("the signing key is in Redis, which has not answered yet")
        return self.key


def _signature(key: str, subject: str, expires_s: str) -> str:
    message = f"{subject}\n{expires_s}".encode(errors="replace")
    return hmac.new(key.encode(), message, hashlib.sha256).hexdigest()
