"""Logging in to an instance: Basic, OAuth tokens from /oauth_token.do, and the API key."""

import base64
import binascii
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from aiohttp import web

from versus_py.simulators.servicenow.answers import Refused
from versus_py.simulators.servicenow.switches import Switches

CLIENT_ID = "versus-client"
CLIENT_SECRET = "client-secret"  # noqa: S105 - a simulator's
ACCESS_LIFE_S = 1799  # the expires_in of a fresh token: servicenow.com/docs, "OAuth API request parameters"
REFRESH_LIFE_S = 100 * 24 * 3600.0  # the default there
ACCESS_DENIED = {"error_description": "access_denied", "error": "server_error"}


@dataclass(frozen=True, slots=True)
class _Token:
    value: str
    ends_s: float


class Login:
    """Who gets in. Without *api_key*, no key does."""

    def __init__(
        self,
        switches: Switches,
        *,
        is_user: Callable[[str, str], bool],
        client_id: str,
        client_secret: str,
        api_key: str | None,
        now_s: Callable[[], float],
    ) -> None:
        self._switches = switches
        self._is_user = is_user
        self._client = (client_id, client_secret)
        self._api_key = api_key
        self._now_s = now_s
        self._living: list[_Token] = []  # tokens that were replaced by a refresh included
        self._current: dict[str, _Token] = {}  # by the grant that it was first given for
        self._refresh: _Token | None = None

    def check(self, request: web.Request) -> None:
        """Raises Refused, in the words of newer instances for Basic and of older ones for tokens."""
        if self._api_key is not None and request.headers.get("x-sn-apikey") == self._api_key:
            return
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if scheme == "Bearer":
            if not any(token.value == given and self._lives(token) for token in self._living):
                raise not_authenticated("BEARER", "User Not Authenticated")
        elif scheme != "Basic" or not self._switches.allows_basic or not self._is_user(*_decoded(given)):
            raise not_authenticated()

    def revoke_tokens(self) -> None:
        """End all access tokens; refresh tokens are good for new ones."""
        self._living.clear()
        self._current.clear()

    def forget(self) -> None:
        """End every token."""
        self.revoke_tokens()
        self._refresh = None

    async def grant(self, request: web.Request) -> dict[str, Any] | None:
        """The reply of /oauth_token.do; None for nearly every kind of failure, which the original does not tell apart.

        Within its life, the same token is given again.
        """
        is_form = request.content_type == "application/x-www-form-urlencoded"
        form = {name: str(value) for name, value in (await request.post()).items()} if is_form else {}
        grant = form.get("grant_type", "")
        if grant not in self._switches.grants or (form.get("client_id"), form.get("client_secret")) != self._client:
            return None
        match grant:
            case "client_credentials":
                return self._reply(self._current_token(grant))
            case "password" if self._is_user(form.get("username", ""), form.get("password", "")):
                if self._refresh is None or not self._lives(self._refresh):
                    self._refresh = self._new_token(REFRESH_LIFE_S)
                return self._reply(self._current_token(grant), self._refresh)
            case "refresh_token" if self._is_refresh(form.get("refresh_token", "")):
                return self._reply(self._new_access_token("password"), self._refresh)
            case _:
                return None

    def _is_refresh(self, value: str) -> bool:
        return self._refresh is not None and self._refresh.value == value and self._lives(self._refresh)

    def _current_token(self, grant: str) -> _Token:
        token = self._current.get(grant)
        return token if token and self._lives(token) else self._new_access_token(grant)

    def _new_access_token(self, grant: str) -> _Token:
        token = self._new_token(ACCESS_LIFE_S)
        self._living.append(token)
        self._current[grant] = token
        return token

    def _new_token(self, life_s: float) -> _Token:
        return _Token(secrets.token_urlsafe(48), self._now_s() + life_s)

    def _lives(self, token: _Token) -> bool:
        return self._now_s() < token.ends_s

    def _reply(self, access: _Token, refresh: _Token | None = None) -> dict[str, Any]:
        reply = {
            "access_token": access.value,
            "scope": "useraccount",
            "token_type": "Bearer",
            "expires_in": int(access.ends_s - self._now_s()),
        }
        return reply if refresh is None else reply | {"refresh_token": refresh.value}


def not_authenticated(scheme: str = "BASIC", message: str = "User is not authenticated") -> Refused:
    headers = {"WWW-Authenticate": f'{scheme} realm="Service-now"'}
    return Refused(HTTPStatus.UNAUTHORIZED, message, "Required to provide Auth information", headers)


def _decoded(credentials: str) -> tuple[str, str]:
    """User and password; empty ones for what cannot be read."""
    try:
        user, _, password = base64.b64decode(credentials, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return user, password
