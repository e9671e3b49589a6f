"""Logging in: Basic, an API key, or OAuth tokens that are fetched, renewed, and shared by all who wait for one.

Source of the OAuth grants and their answers: servicenow.com/docs, "OAuth API request parameters".
"""

import asyncio
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlencode

import aiohttp
import structlog

from versus_py.clock import Clock
from versus_py.config import ServiceNowInstance
from versus_py.errors import Permanent, Transient, VersusError
from versus_py.targets.servicenow.connection import Connection

log = structlog.get_logger()

TOKEN_PATH = "/oauth_token.do"  # noqa: S105 - a path
RENEWED_BEFORE_MS = 60_000
"""A token is renewed this much before its end; or half-way, when it lives shorter than twice that."""

LIFE_UNKNOWN_S = 300.0


class LoginRefused(Permanent):
    """The instance does not let the integration user in."""


class Login(Protocol):
    """What makes a request one of the integration user's."""

    async def headers(self) -> Mapping[str, str]:
        """The headers that log in. Raises Transient, or LoginRefused."""

    def is_renewed(self, refused: Mapping[str, str]) -> bool:
        """Told that these headers were refused (401): whether asking again with new ones makes sense."""


class FixedLogin:
    """Headers that are always the same: Basic, or an API key."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = headers

    async def headers(self) -> Mapping[str, str]:
        return self._headers

    def is_renewed(self, refused: Mapping[str, str]) -> bool:  # noqa: ARG002 - there are no others
        return False


@dataclass(frozen=True, slots=True)
class _Token:
    value: str
    renew_at_ms: int


class OAuthLogin:
    """An access token of /oauth_token.do. Many that wait for one at the same time cost one request."""

    def __init__(self, instance: ServiceNowInstance, connection: Connection, clock: Clock) -> None:
        auth = instance.auth
        self._connection = connection
        self._clock = clock
        self._client = {"client_id": auth.client_id, "client_secret": auth.client_secret.get_secret_value()}
        self._grant = {"grant_type": "client_credentials"}
        if auth.type == "oauth_password":
            password = instance.password.get_secret_value()
            self._grant = {"grant_type": "password", "username": instance.username, "password": password}
        if auth.scope:
            self._grant["scope"] = auth.scope
        self._token: _Token | None = None
        self._refresh_token = ""
        self._lock = asyncio.Lock()
        self._fetches = 0
        self._error: VersusError | None = None  # of the last fetch

    async def headers(self) -> Mapping[str, str]:
        fetches = self._fetches
        async with self._lock:
            if self._fetches != fetches and self._error is not None:
                raise self._error  # somebody asked while we waited; asking again would get the same
            if self._token is None or self._clock.now_ms() >= self._token.renew_at_ms:
                await self._renew()
            assert self._token is not None  # noqa: S101 - _renew raises otherwise
            return _bearer(self._token.value)

    def is_renewed(self, refused: Mapping[str, str]) -> bool:
        if self._token is not None and refused == _bearer(self._token.value):
            self._token = None  # revoked, or ended sooner than it said
        return True

    async def _renew(self) -> None:
        self._error = None
        try:
            self._token = await self._fetched()
        except (Transient, Permanent) as exc:
            self._error = exc
            raise
        finally:
            self._fetches += 1

    async def _fetched(self) -> _Token:
        if self._refresh_token:
            grant = {"grant_type": "refresh_token", "refresh_token": self._refresh_token}
            try:
                return await self._request(grant)
            except LoginRefused:
                self._refresh_token = ""  # it has ended, or was revoked: log in anew
        return await self._request(self._grant)

    async def _request(self, grant: Mapping[str, str]) -> _Token:
        answer = await self._connection.send(
            "POST",
            TOKEN_PATH,
            headers={"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"},
            body=urlencode({**grant, **self._client}).encode(),
        )
        answer.raise_if_it_may_heal()
        data = answer.data or {}
        value, life_s = data.get("access_token"), _seconds(data.get("expires_in"))
        if answer.status == 200 and isinstance(value, str) and value:  # noqa: PLR2004 - HTTP's
            refresh_token = data.get("refresh_token")
            if isinstance(refresh_token, str) and refresh_token:
                self._refresh_token = refresh_token
            life_ms = round(life_s * 1000)
            log.debug("servicenow.token", grant=grant["grant_type"], life_s=life_s)
            return _Token(value, self._clock.now_ms() + life_ms - min(RENEWED_BEFORE_MS, life_ms // 2))
        if answer.data is not None and 400 <= answer.status < 500:  # noqa: PLR2004 - HTTP's
            raise LoginRefused(
                f"ServiceNow's {TOKEN_PATH} refused the login with {answer.status}{answer.detail}; check username, "
                f"password, auth.client_id, auth.client_secret, and that {grant['grant_type']} is an allowed grant"
            )
        raise answer.unavailable()


def make_login(instance: ServiceNowInstance, connection: Connection, clock: Clock) -> Login:
    """The login that the configuration asks for."""
    match instance.auth.type:
        case "basic":
            password = instance.password.get_secret_value()
            return FixedLogin({"Authorization": aiohttp.encode_basic_auth(instance.username, password)})
        case "api_key":
            return FixedLogin({"x-sn-apikey": instance.auth.api_key.get_secret_value()})
        case _:
            return OAuthLogin(instance, connection, clock)


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _seconds(value: object) -> float:
    """The life of a token; it may come as text."""
    try:
        seconds = float(str(value))
    except ValueError:
        seconds = math.nan
    return max(1.0, seconds) if math.isfinite(seconds) else LIFE_UNKNOWN_S
