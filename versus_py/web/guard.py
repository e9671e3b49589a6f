"""Who may read and act: those with the gateway secret; where nobody else is expected, programs on this machine."""

import asyncio
import hmac
import ipaddress
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from aiohttp import HttpVersion11, web

from versus_py.clock import monotonic_ms
from versus_py.config import Config
from versus_py.errors import StoreUnavailable
from versus_py.store import Store

HEADER = "X-Gateway-Secret"

FRESH_MS = 30_000
"""For how long a generated secret is taken that another replica, or the command line, may have rotated."""

ASK_EVERY_MS = 1_000
"""How often Redis is asked at most, however many wrong secrets are sent."""

ASK_TIMEOUT_S = 1.0
"""How long Redis may take to answer. Monitoring has to be answered also while it does not."""

_LOCAL_NAMES = {"localhost", "127.0.0.1", "[::1]"}
_PROXIES_SET = {"forwarded", "via", "cdn-loop", "x-host"}
_PROXIES_SET_STARTS = ("x-forwarded", "x-original", "x-envoy-")
_PROXIES_SET_ENDS = ("-ip",)  # X-Real-IP, X-Client-IP, True-Client-IP, CF-Connecting-IP


_Handler = Callable[[web.Request], Awaitable[web.Response]]


class GeneratedSecret:
    """The secret that the replicas share, as Redis last told it.

    *ask* is called with the secret that is known, if any, and returns the one that counts.
    """

    def __init__(
        self, ask: Callable[[str | None], Awaitable[str]], monotonic_ms: Callable[[], int] = monotonic_ms
    ) -> None:
        self._ask = ask
        self._monotonic_ms = monotonic_ms
        self._asking = asyncio.Lock()
        self._known: str | None = None
        self._asked_ms: int | None = None

    async def prepare(self) -> None:
        """Have Redis tell it before it is needed, if it answers soon."""
        async with self._asking:
            await self._refresh()

    async def matches(self, given: str) -> bool:
        """Whether this is the secret; see `satisfies`."""
        return await self.satisfies(lambda secret: hmac.compare_digest(_bytes(given), _bytes(secret)))

    async def satisfies(self, test: Callable[[str], bool]) -> bool:
        """Whether *test* holds for the secret. While Redis does not answer, the one counts that it told last.

        Raises StoreUnavailable when it has not told any.
        """
        if not (self._is_younger_than(FRESH_MS) and self._known is not None and test(self._known)):
            async with self._asking:
                if not self._is_younger_than(ASK_EVERY_MS):
                    await self._refresh()
        if self._known is None:
            raise StoreUnavailable("the gateway secret is in Redis, which does not answer")
        return test(self._known)

    async def _refresh(self) -> None:
        try:
            with suppress(StoreUnavailable, TimeoutError):
                async with asyncio.timeout(ASK_TIMEOUT_S):
                    self._known = await self._ask(self._known)
        finally:
            self._asked_ms = self._monotonic_ms()

    def _is_younger_than(self, age_ms: int) -> bool:
        return self._asked_ms is not None and self._monotonic_ms() - self._asked_ms < age_ms


class Guard:
    """Lets requests through to a handler, or answers 401 or 403.

    Any of the *secrets* will do. Without one, the *generated* secret counts; without that either, programs on this
    machine are let through.
    """

    def __init__(self, secrets: Sequence[str] = (), generated: GeneratedSecret | None = None) -> None:
        self._secrets = [it for it in secrets if it]
        self._generated = generated

    @classmethod
    def of(cls, config: Config, store: Store) -> "Guard":
        """As configured; a generated secret is in the *store*."""
        secrets = [it.get_secret_value() for it in (config.gateway_secret, *config.previous_gateway_secrets)]
        return cls(secrets, GeneratedSecret(store.gateway_secret) if config.generates_gateway_secret else None)

    async def prepare(self, _: web.Application) -> None:
        """At the start, so that monitoring is answered also when Redis is gone by the first request."""
        if self._generated is not None:
            await self._generated.prepare()

    def __call__(self, handler: _Handler) -> _Handler:
        async def guarded(request: web.Request) -> web.Response:
            await self._check(request)
            return await handler(request)

        return guarded

    async def matches(self, given: str) -> bool:
        """Whether this is a secret that counts. Without any, nothing is."""
        return await self.satisfies(lambda secret: hmac.compare_digest(_bytes(given), _bytes(secret)))

    async def satisfies(self, test: Callable[[str], bool]) -> bool:
        """Whether *test* holds for a secret that counts. It is asked of all of them."""
        if self._secrets or self._generated is None:
            return any([test(it) for it in self._secrets])  # noqa: C419 - always all of them
        return await self._generated.satisfies(test)

    async def _check(self, request: web.Request) -> None:
        if self._secrets or self._generated is not None:
            if not await self.matches(given_secret(request)):
                raise _unauthorized("" if self._secrets else ", which `versus gateway-secret` shows")
        elif not _is_local(request):
            raise web.HTTPForbidden(
                text="without a gateway_secret in the configuration this answers requests from this machine only"
            )


def _unauthorized(more: str = "") -> web.HTTPUnauthorized:
    return web.HTTPUnauthorized(text=f"send the gateway secret in the header {HEADER}, or as a bearer token{more}")


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogateescape")


def given_secret(request: web.Request) -> str:
    """The secret as it was sent: in our own header, or as Prometheus and many others send one; "" without any."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return request.headers.get(HEADER) or (token.strip() if scheme.lower() == "bearer" else "")


def _is_local(request: web.Request) -> bool:
    """Whether a program on this machine asks, for itself: not a proxy for others, and not a web page in a browser."""
    if "Origin" in request.headers:
        return False
    return request.headers.get("Sec-Fetch-Site", "none") in {"none", "same-origin"} and is_on_this_machine(request)


def is_on_this_machine(request: web.Request) -> bool:
    """Whether a program on this machine asks, a browser too, and no proxy for others.

    A proxy that says nothing of itself cannot be told from such a program. Stock nginx can: it asks in HTTP/1.0.
    """
    if request.version < HttpVersion11 or any(map(_is_set_by_proxies, request.headers)):
        return False
    if request.host.rpartition(":")[0] not in _LOCAL_NAMES and request.host not in _LOCAL_NAMES:
        return False  # a name that somebody made to resolve to this machine
    try:
        return ipaddress.ip_address((request.remote or "").partition("%")[0]).is_loopback
    except ValueError:
        return False


def _is_set_by_proxies(header: str) -> bool:
    name = header.lower()
    return name in _PROXIES_SET or name.startswith(_PROXIES_SET_STARTS) or name.endswith(_PROXIES_SET_ENDS)
