"""Requests to one instance: by its proxy, with its certificates, within its time; and what an answer is."""

import ssl
from collections.abc import Mapping
from typing import Any

import aiohttp
import orjson
from msgspec import Struct

from versus_py.clock import Clock, SystemClock
from versus_py.config import ServiceNowInstance
from versus_py.errors import ConfigError, RateLimited, Transient, Unreachable
from versus_py.targets import deadline
from versus_py.targets.remote_clock import RemoteClock, retry_after_s

UNANSWERED_SETTLES_S = 60.0
"""A request that got no answer may still be at work; ServiceNow cancels it after 60 s (default quota rules)."""

LOOK_S = 3.0
"""When to look whether a record was created by a request that was not answered."""

FAILED_RETRY_S = 2.0
"""When to try again what ServiceNow itself has ended with a server error."""

BODY_MAX = 16 * 1024 * 1024
"""The longest answer that is read: several times the largest that is asked for, 200 notes of 4000 characters."""
DETAIL_MAX = 300
_OUTAGES = frozenset([502, 503, 504])


class Effect(Struct, frozen=True):
    """What a request may still do that was not answered: nothing, or something within *settles_s*.

    *can_be_found*: a search tells whether it has done it.
    """

    settles_s: float | None = None
    can_be_found: bool = False

    @classmethod
    def of(cls, method: str) -> "Effect":
        """Of a request to the Table API: a new record has the incident's correlation_id."""
        return cls() if method == "GET" else cls(UNANSWERED_SETTLES_S, can_be_found=method == "POST")

    def unsettled(self, kind: type[Transient], message: str, *, retry_after_s: float | None = None) -> Transient:
        """The error that says so: it is searched for soon, or waited for."""
        wait_s = LOOK_S if self.can_be_found else self.settles_s
        if retry_after_s is not None:
            wait_s = max(retry_after_s, wait_s or 0)
        return kind(message, retry_after_s=wait_s, settles_s=self.settles_s if self.can_be_found else None)


NO_EFFECT = Effect()


class Answer(Struct, frozen=True):
    """What came back, whatever it is. *data* is None unless it is a JSON object."""

    status: int
    effect: Effect
    headers: Mapping[str, str]
    content_type: str
    data: Mapping[str, Any] | None

    @property
    def detail(self) -> str:
        """ServiceNow's own words about an error, in brackets and shortened; "" without any."""
        error = None if self.data is None else self.data.get("error")
        if isinstance(error, str):  # as /oauth_token.do says it
            error = {"message": error, "detail": (self.data or {}).get("error_description")}
        if not isinstance(error, Mapping):
            return ""
        words = ": ".join(str(error[key]) for key in ("message", "detail") if error.get(key))
        return f" ({words[:DETAIL_MAX]})" if words else ""

    def raise_if_it_may_heal(self) -> None:
        """Raises RateLimited and Unreachable, for what another time may be different."""
        if self.status == 429:  # noqa: PLR2004 - HTTP's
            raise RateLimited(
                f"ServiceNow's rate limit is reached{self.detail}", retry_after_s=retry_after_s(self.headers)
            )
        if self.status >= 500:  # noqa: PLR2004 - HTTP's
            said = f"ServiceNow answered {self.status}{self.detail}"
            raise self.effect.unsettled(Unreachable, said, retry_after_s=retry_after_s(self.headers))

    def raise_if_the_record_failed(self) -> None:
        """Raises Transient for a server error that ends a write of one record.

        ServiceNow itself says so in JSON, when a rule throws: other records may be written, and nothing more comes of
        this one. What stands before it (502, 503, 504) says so of everything.
        """
        is_outage = self.status < 500 or self.status in _OUTAGES  # noqa: PLR2004 - HTTP's
        if self.effect != NO_EFFECT and not is_outage and self.data is not None and self.data.get("error"):
            said = f"ServiceNow answered {self.status}{self.detail} when the record was written"
            raise Transient(said, retry_after_s=max(retry_after_s(self.headers) or 0, FAILED_RETRY_S))

    def unavailable(self) -> Transient:
        """The error for an answer that is neither a success nor a refusal, such as a hibernating instance's page."""
        has_error = self.data is not None and self.data.get("error")
        what = f"an error{self.detail}" if has_error else self.content_type or "no content"
        why = "is this a ServiceNow instance?" if self.status == 404 else "is it hibernating?"  # noqa: PLR2004 - HTTP's
        kind = Transient if 400 <= self.status < 500 else Unreachable  # noqa: PLR2004 - HTTP's
        return self.effect.unsettled(kind, f"ServiceNow answered {self.status} with {what}: {why}")


class Connection:
    """The way to one instance. *session* must send no cookies of its own and verify TLS.

    *clock* is the one to compare the instance's with.
    """

    def __init__(
        self, instance: ServiceNowInstance, session: aiohttp.ClientSession, clock: Clock | None = None
    ) -> None:
        self.url = instance.instance_url or ""
        self.clock = RemoteClock(self.url, clock or SystemClock())
        """The instance's."""
        self._session = session
        self._proxy = None if instance.proxy is None else instance.proxy.get_secret_value()
        self._tls = _tls(instance)
        self._timeout_s = instance.timeout_seconds

    async def send(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str],
        params: Mapping[str, str] | None = None,
        body: bytes | None = None,
        effect: Effect = NO_EFFECT,
    ) -> Answer:
        """The answer, with any status. Raises Unreachable when there is none. *effect* is what the request may do.

        Raises TimeoutError when the time of the sync is over; then nothing was sent.
        """
        deadline.raise_if_over()
        asked_at_ms = self.clock.asked_at_ms()
        try:
            async with self._session.request(
                method,
                f"{self.url}{path}",
                params=params,
                data=body,
                headers=headers,
                allow_redirects=False,
                proxy=self._proxy,
                ssl=self._tls,
                timeout=aiohttp.ClientTimeout(total=self._timeout_s),
            ) as response:
                self.clock.note(response.headers, asked_at_ms)
                body = await _read(response) if response.content_type.endswith("json") else b""
                if len(body) > BODY_MAX:
                    raise effect.unsettled(Transient, f"ServiceNow's answer has more than {BODY_MAX} bytes")
                return Answer(response.status, effect, response.headers, response.content_type, _json_object(body))
        except TimeoutError as exc:
            reason = f"did not answer within {self._timeout_s:g} s"
            raise effect.unsettled(Unreachable, f"ServiceNow {reason}") from exc
        except aiohttp.ClientHttpProxyError as exc:  # whose text has the proxy's URL in it
            raise Unreachable(f"the proxy on the way to ServiceNow answered {exc.status}") from None
        except (aiohttp.ClientConnectorError, aiohttp.ClientProxyConnectionError) as exc:
            raise Unreachable(f"ServiceNow cannot be reached: {exc}") from exc
        except (aiohttp.ClientError, OSError) as exc:
            raise effect.unsettled(Unreachable, f"ServiceNow cannot be reached: {exc}") from exc


def _tls(instance: ServiceNowInstance) -> ssl.SSLContext | bool:
    """True is aiohttp's own verification. Raises ConfigError when a file is not what it should be."""
    if instance.ca_file is None and instance.client_certificate is None:
        return True
    key = "ca_file"
    try:
        context = ssl.create_default_context(cafile=instance.ca_file)
        if instance.client_certificate is not None:
            key = "client_certificate"
            # The empty password: without one, an encrypted key would ask at the terminal.
            context.load_cert_chain(instance.client_certificate, instance.client_key, password="")
    except (OSError, ValueError) as exc:
        reason = exc.strerror or str(exc) if isinstance(exc, OSError) else str(exc)
        raise ConfigError([f"oncall.servicenow.{key}: cannot be used: {reason}"]) from None
    return context


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """The body; of one that is too long, a little more than it may have."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > BODY_MAX:
            break
    return bytes(body)


def _json_object(body: bytes) -> Mapping[str, Any] | None:
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return data if isinstance(data, dict) else None
