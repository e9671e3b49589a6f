"""Trust in SNS: whether a message is Amazon's and of a topic that is wanted, and the remote work that this takes.

Source: docs.aws.amazon.com/sns, "Verifying the signatures of Amazon SNS messages";
github.com/aws/aws-js-sns-message-validator.
"""

import asyncio
import base64
import math
import re
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar

import aiohttp
import structlog

from versus_py.config import CloudWatchConfig
from versus_py.errors import VersusError
from versus_py.sources.cloudwatch import NOTIFICATION, SUBSCRIPTION, UNSUBSCRIPTION
from versus_py.telemetry.throttled import ThrottledLog

if TYPE_CHECKING:
    from versus_py.sources.sns_signatures import Key

log = structlog.get_logger()

TIMEOUT_S = 5.0
"""For one request."""

BODY_MAX = 64 * 1024
CERTIFICATES_MAX = 32
"""Most certificates kept that a message was let in by, and as many others; a region has one at a time."""

LEFT_ALONE_FOR_S = 10.0
"""How long a certificate that could not be had is not asked for again; SNS sends a message again after 20 s."""

ASKED_MAX = 20
"""Most certificates that a host is asked for in that time: who knows a topic can make up messages that name more."""

QUEUE_MAX = 32
"""Most subscriptions that wait for their turn."""

PAUSES_S = (1.0, 5.0, 25.0)
"""Between the tries to confirm a subscription."""

# The whole of a URL is spelled out, so that no other reader of it finds another host in it. A certificate has only one
# spelling: it is known by it.
_HOST = r"https://sns\.([a-z0-9-]{3,})\.amazonaws\.com(?:\.cn)?"
_CERTIFICATE_URL = re.compile(rf"{_HOST}/SimpleNotificationService-[A-Za-z0-9]{{1,100}}\.pem")
_SUBSCRIBE_URL = re.compile(rf"{_HOST}/\?[A-Za-z0-9._~:/?@!$&'()*+,;=%-]+")
_ALLOWED = {
    "SigningCertURL": (_CERTIFICATE_URL, "https://sns.<region>.amazonaws.com/SimpleNotificationService-<name>.pem"),
    "SubscribeURL": (_SUBSCRIBE_URL, "https://sns.<region>.amazonaws.com/?<query>"),
}

_OF_SUBSCRIPTIONS = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
_SIGNED = {
    NOTIFICATION: ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    SUBSCRIPTION: _OF_SUBSCRIPTIONS,
    UNSUBSCRIPTION: _OF_SUBSCRIPTIONS,
}
_OPTIONAL = {"Subject"}
_VERSIONS = ("1", "2")
"""Of signatures."""

_T = TypeVar("_T")


class Untrusted(VersusError):
    """A message that is not to be believed. The text tells the sender which rule it breaks."""


class CertificateMissing(VersusError):
    """The certificate that a message is signed with is not here yet: the sender should try again shortly."""


class _Refused(Exception):
    """A request came back with nothing that can be used."""


class SnsDoor:
    """Lets messages of SNS in. *session* must send no cookies of its own and verify TLS; *now_s* only moves forward.

    What has to be fetched for that is fetched by `run`, never while a sender waits.
    """

    def __init__(
        self, config: CloudWatchConfig, session: aiohttp.ClientSession, *, now_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._topics = frozenset(config.topics)
        self._session = session
        self._now_s = now_s
        self._proven: dict[str, Key] = {}  # URL of a certificate -> its key, by which a message was let in
        self._fetched: dict[str, Key] = {}  # the same, by which none was yet
        self._asked_until_s: dict[str, float] = {}  # URL of a certificate -> when to ask again; inf: it is asked for
        self._certificates: asyncio.Queue[str] = asyncio.Queue()  # bounded by what may be asked for
        self._failures = ThrottledLog("sns.certificate_failed", lambda: int(now_s() * 1000))
        self._seen: dict[str, None] = {}  # SubscribeURLs in the queue, being tried, or confirmed
        self._subscriptions: asyncio.Queue[tuple[str, str]] = asyncio.Queue(QUEUE_MAX)  # SubscribeURL and topic

    def check(self, envelope: Mapping[str, Any]) -> Mapping[str, str]:
        """What of *envelope* SNS has signed, for a topic that is wanted; a subscription is then confirmed soon.

        Whoever has seen a message can add fields to it: they are left out. Raises Untrusted when it is not from SNS,
        and CertificateMissing when that can only be told once its certificate has been fetched. The same envelope is
        let in however often it comes.
        """
        signed = _signed(envelope)
        topic = signed["TopicArn"]
        if topic not in self._topics:
            raise Untrusted(
                f"topic {topic[:300]!r} is not accepted here; to accept it, add it to sources.cloudwatch.topics"
            )
        version, signature = _signature(envelope)
        certificate_url = _url(envelope, "SigningCertURL", topic)
        key = self._key(certificate_url)
        try:
            key.verify(signature, _canonical(signed), version)
        except ValueError as exc:
            raise Untrusted(str(exc)) from None
        self._fetched.pop(certificate_url, None)
        _remember(self._proven, certificate_url, key, most=CERTIFICATES_MAX)
        if signed["Type"] == SUBSCRIPTION:
            self._want_confirmed(_url(envelope, "SubscribeURL", topic), topic)
        return signed

    async def run(self, stop: asyncio.Event) -> None:
        """Fetch certificates and confirm subscriptions, one of each at a time, until *stop* is set."""
        async with asyncio.TaskGroup() as loops:
            working = [
                loops.create_task(self._fetch_certificates(stop)),
                loops.create_task(self._confirm_subscriptions(stop)),
            ]
            await stop.wait()
            for task in working:
                task.cancel()

    def _key(self, url: str) -> "Key":
        key = self._proven.get(url) or self._fetched.get(url)
        if key is None:
            self._want_fetched(url)
            raise CertificateMissing("the certificate of this message is being fetched; send it again in some seconds")
        return key

    def _want_fetched(self, url: str) -> None:
        now_s = self._now_s()
        self._asked_until_s = {it: until_s for it, until_s in self._asked_until_s.items() if until_s > now_s}
        host = url.rpartition("/")[0]
        of_host = [it for it in self._asked_until_s if it.startswith(f"{host}/")]
        if url not in of_host and len(of_host) < ASKED_MAX:
            self._asked_until_s[url] = math.inf
            self._certificates.put_nowait(url)

    def _want_confirmed(self, url: str, topic: str) -> None:
        if url in self._seen:
            return
        if self._subscriptions.full():
            _log_unconfirmed(topic, "too many subscriptions wait to be confirmed")
            return
        _remember(self._seen, url, None, most=2 * QUEUE_MAX)
        self._subscriptions.put_nowait((url, topic))

    async def _fetch_certificates(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            url = await self._certificates.get()
            try:
                key = _key_of(await self._get(url))
            except (_Refused, ValueError) as exc:
                self._failures.note(url=url, error=str(exc))
            else:
                log.info("sns.certificate_fetched", url=url)
                _remember(self._fetched, url, key, most=CERTIFICATES_MAX)
            self._asked_until_s[url] = self._now_s() + LEFT_ALONE_FOR_S

    async def _confirm_subscriptions(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            url, topic = await self._subscriptions.get()
            try:
                await self._confirm(url, topic)
            except _Refused as exc:
                _log_unconfirmed(topic, str(exc))
                self._seen.pop(url, None)  # when SNS asks again, it is tried again

    async def _confirm(self, url: str, topic: str) -> None:
        for pause_s in PAUSES_S:
            try:
                await self._get(url)
            except _Refused as exc:
                log.warning("sns.confirm_retry", topic=topic, error=str(exc), retry_in_s=pause_s)
                await asyncio.sleep(pause_s)
            else:
                break
        else:
            await self._get(url)
        log.info("sns.confirmed", topic=topic)

    async def _get(self, url: str) -> bytes:
        """The body of a 200. Raises _Refused."""
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        try:
            async with self._session.get(url, allow_redirects=False, timeout=timeout) as response:
                if response.status != HTTPStatus.OK:
                    raise _Refused(f"SNS answered {response.status}")
                body = bytearray()
                async for chunk in response.content.iter_any():
                    body += chunk
                    if len(body) > BODY_MAX:
                        raise _Refused(f"the answer is larger than {BODY_MAX} bytes")
                return bytes(body)
        except TimeoutError as exc:
            raise _Refused(f"SNS did not answer within {TIMEOUT_S:g} s") from exc
        except (aiohttp.ClientError, OSError) as exc:
            raise _Refused(f"SNS cannot be reached: {exc or type(exc).__name__}") from exc


def _signed(envelope: Mapping[str, Any]) -> dict[str, str]:
    """The fields that the signature is about, in its order."""
    kind = envelope.get("Type")
    names = _SIGNED.get(kind) if isinstance(kind, str) else None
    if names is None:
        raise Untrusted(f"Type is none of {', '.join(_SIGNED)}")
    given = {name: envelope.get(name) for name in names if name not in _OPTIONAL or envelope.get(name) is not None}
    signed = {name: value for name, value in given.items() if isinstance(value, str)}
    if missing := given.keys() - signed.keys():
        raise Untrusted(f"{min(missing)} is missing, or no text")
    return signed


def _canonical(signed: Mapping[str, str]) -> bytes:
    return "".join(f"{name}\n{value}\n" for name, value in signed.items()).encode(errors="replace")


def _signature(envelope: Mapping[str, Any]) -> tuple[str, bytes]:
    """Its version, and the signature itself."""
    version, signature = envelope.get("SignatureVersion"), envelope.get("Signature")
    if version not in _VERSIONS:
        raise Untrusted(f"SignatureVersion is none of {', '.join(_VERSIONS)}")
    try:
        return version, base64.b64decode(signature if isinstance(signature, str) else "", validate=True)
    except ValueError:
        raise Untrusted("Signature is no base64") from None


def _url(envelope: Mapping[str, Any], name: str, topic: str) -> str:
    """The URL in field *name*, which is one of SNS in the region of *topic*."""
    url = envelope.get(name)
    pattern, allowed = _ALLOWED[name]
    found = pattern.fullmatch(url) if isinstance(url, str) else None
    if found is None:
        raise Untrusted(f"{name} is refused: allowed is {allowed}")
    match topic.split(":"):
        case [_, _, _, region, *_] if found[1] == region:
            return found[0]
    raise Untrusted(f"{name} is in region {found[1]!r}, which is not the one of topic {topic!r}")


def _key_of(certificate: bytes) -> "Key":
    """Raises ValueError."""
    from versus_py.sources.sns_signatures import Key  # noqa: PLC0415 - most servers never need the 8 MB that it takes

    return Key.read(certificate)


def _remember(known: dict[str, _T], key: str, value: _T, *, most: int) -> None:
    """Keep it, and forget the oldest beyond *most*."""
    known.pop(key, None)
    known[key] = value
    while len(known) > most:
        del known[next(iter(known))]


def _log_unconfirmed(topic: str, error: str) -> None:
    hint = "in the console of SNS, request the confirmation of this subscription again"
    log.error("sns.not_confirmed", topic=topic, error=error, hint=hint)
