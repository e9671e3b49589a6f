"""Tokens that senders show, as Authorization: Bearer, or as the password of Basic."""

import base64
import binascii
import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Generic, TypeVar

CHALLENGE = {"WWW-Authenticate": 'Bearer realm="versus", Basic realm="versus", charset="UTF-8"'}
"""With an answer of 401."""

_AUTHORIZATION_MAX = 4096

Owner = TypeVar("Owner")


@dataclass(frozen=True, slots=True)
class _Known(Generic[Owner]):
    """A token that is taken; only its digest, so that comparing takes as long whatever its length."""

    digest: bytes
    owner: Owner


class Tokens(Generic[Owner]):
    """The tokens that are taken, each with whose it is."""

    def __init__(self, tokens: Iterable[tuple[Owner, str]]) -> None:
        self._known = [_Known(_digest(token), owner) for owner, token in tokens]

    def __bool__(self) -> bool:
        return bool(self._known)

    def shown_in(self, authorization: str) -> tuple[str | None, list[Owner]]:
        """The user that a header names, None with Bearer and GenieKey; and whose the token in it is."""
        user, token = _credentials(authorization)
        digest = _digest(token)
        return user, [it.owner for it in self._known if hmac.compare_digest(it.digest, digest)]  # always all of them


def _credentials(authorization: str) -> tuple[str | None, str]:
    """The user, None with Bearer and GenieKey, and the token; an empty one when it cannot be read."""
    scheme, _, value = authorization[:_AUTHORIZATION_MAX].partition(" ")
    if scheme.lower() in {"bearer", "geniekey"}:
        return None, value.strip()
    if scheme.lower() != "basic":
        return None, ""
    try:
        user, _, token = base64.b64decode(value.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return None, ""
    return user, token


def _digest(token: str) -> bytes:
    return sha256(token.encode(errors="surrogateescape")).digest()
