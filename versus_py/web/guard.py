"""Who may read and act: those with the gateway secret, or without one those on this machine."""

import hmac
import ipaddress
from collections.abc import Awaitable, Callable, Sequence

from aiohttp import web
from pydantic import SecretStr

HEADER = "X-Gateway-Secret"

_FORWARDED = ("Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP")
_LOCAL_NAMES = {"localhost", "127.0.0.1", "[::1]"}


_Handler = Callable[[web.Request], Awaitable[web.Response]]


class Guard:
    """Lets requests through to a handler, or answers 401 or 403. One of the *previous* secrets will do as well."""

    def __init__(self, secret: SecretStr, previous: Sequence[SecretStr] = ()) -> None:
        self._secrets = [it.get_secret_value().encode() for it in (secret, *previous) if it.get_secret_value()]

    def __call__(self, handler: _Handler) -> _Handler:
        async def guarded(request: web.Request) -> web.Response:
            self._check(request)
            return await handler(request)

        return guarded

    def _check(self, request: web.Request) -> None:
        if self._secrets:
            given = _given(request).encode(errors="surrogateescape")
            if not sum(hmac.compare_digest(given, it) for it in self._secrets):  # always all of them
                raise web.HTTPUnauthorized(text=f"send the gateway secret in the header {HEADER}, or as a bearer token")
        elif not _is_local(request):
            raise web.HTTPForbidden(
                text="without a gateway_secret in the configuration this answers requests from this machine only"
            )


def _given(request: web.Request) -> str:
    """The secret as it was sent: in our own header, or as Prometheus and many others send one; "" without any."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return request.headers.get(HEADER) or (token.strip() if scheme.lower() == "bearer" else "")


def _is_local(request: web.Request) -> bool:
    """Whether a program on this machine asks, for itself: not a proxy for others, and not a web page in a browser."""
    if any(name in request.headers for name in _FORWARDED) or "Origin" in request.headers:
        return False
    if request.headers.get("Sec-Fetch-Site", "none") not in {"none", "same-origin"}:
        return False
    if request.host.rpartition(":")[0] not in _LOCAL_NAMES and request.host not in _LOCAL_NAMES:
        return False  # a name that somebody made to resolve to this machine
    try:
        return ipaddress.ip_address((request.remote or "").partition("%")[0]).is_loopback
    except ValueError:
        return False
