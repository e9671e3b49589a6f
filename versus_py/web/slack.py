"""POST /api/slack/interactions: what people press in Slack, signed by Slack."""

import re
from typing import NamedTuple, NoReturn
from urllib.parse import parse_qs

import orjson
import structlog
from aiohttp import web
from slack_sdk.signature import Clock as SdkClock
from slack_sdk.signature import SignatureVerifier

from versus_py.clock import Clock
from versus_py.errors import BadPayload, ConfigError
from versus_py.interactions import Desk, read_presses
from versus_py.telemetry.refusals import Refusals
from versus_py.web.intake.overload import Arrivals

log = structlog.get_logger()

PATH = "/api/slack/interactions"

BODY_TIMEOUT_S = 2.0
"""Slack waits 3 seconds for its answer; who has not sent the request by then is not Slack."""

BODY_MAX_BYTES = 1024 * 1024
"""What is pressed comes with the whole message, which Slack keeps well below that."""

ARRIVING_MAX = 64
"""Most bodies that are being read, apart from those of the intake: neither keeps the other's out."""

SIGNED_WITHIN_S = 5 * 60

_SSL_CHECK_MAX_BYTES = 1000
_FIELDS_MAX = 20
_TIMESTAMP = re.compile(r"[0-9]{1,12}")
_SIGNATURE = re.compile(r"v0=[0-9a-f]{64}")


class _Signed(NamedTuple):
    timestamp: str
    signature: str


class SlackDoor:
    """Lets requests in that were signed with the app's signing secret within the last 5 minutes, by *clock*."""

    def __init__(self, signing_secret: str, desk: Desk, clock: Clock) -> None:
        if not signing_secret.strip():
            raise ConfigError(["alert.slack.signing_secret: is blank"])
        self._clock = _SdkClock(clock)
        self._verifier = SignatureVerifier(signing_secret, clock=self._clock)
        self._arrivals = Arrivals(most=ARRIVING_MAX)
        self._desk = desk
        self._refusals = Refusals("slack.request_refused", clock.now_ms)

    async def post(self, request: web.Request) -> web.Response:
        """200 once what was pressed has happened; 503 when it has not, and the person is told by Slack."""
        signed = self._signed(request)
        if signed is None and not _may_be_ssl_check(request):
            self._refuse(request)
        if "Content-Encoding" in request.headers:
            raise web.HTTPUnsupportedMediaType(text="Slack does not pack what it sends: leave Content-Encoding out")
        bounded = request.clone(client_max_size=BODY_MAX_BYTES)
        body = await self._arrivals.read(bounded, within_s=BODY_TIMEOUT_S)
        if signed is None or not self._is_right(signed, body):
            if _is_ssl_check(body):
                return web.Response()
            self._refuse(request)
        try:
            await self._desk.take(read_presses(_payload(body)))
        except BadPayload as exc:
            log.warning("slack.request_unreadable", error=str(exc))
            raise web.HTTPBadRequest(text=str(exc)) from None
        return web.Response()

    def _signed(self, request: web.Request) -> _Signed | None:
        """What the headers say; None when no body could make that right, so that none need be read."""
        timestamps = request.headers.getall("X-Slack-Request-Timestamp", [])
        signatures = request.headers.getall("X-Slack-Signature", [])
        if len(timestamps) != 1 or len(signatures) != 1:
            return None
        found = _Signed(timestamps[0], signatures[0])
        if not _TIMESTAMP.fullmatch(found.timestamp) or not _SIGNATURE.fullmatch(found.signature):
            return None
        return found if abs(self._clock.now() - int(found.timestamp)) <= SIGNED_WITHIN_S else None

    def _is_right(self, signed: _Signed, body: bytes) -> bool:
        try:
            return self._verifier.is_valid(body, signed.timestamp, signed.signature)
        except ValueError:  # a body that is not UTF-8
            return False

    def _refuse(self, request: web.Request) -> NoReturn:
        self._refusals.note(remote=request.remote)
        raise web.HTTPUnauthorized(text="this is not a request that Slack has signed for this app just now")


async def switched_off(_: web.Request) -> NoReturn:
    """Without a signing secret, nothing can be believed."""
    raise web.HTTPNotFound(
        text="Slack's requests are not taken here: alert.slack is not enabled, or its signing_secret is not set"
    )


class _SdkClock(SdkClock):
    """Our clock as slack-sdk asks for the time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def now(self) -> float:
        return self._clock.now_ms() / 1000


def _may_be_ssl_check(request: web.Request) -> bool:
    """Slack looks at certificates now and then, by a short form that need not be signed."""
    return request.content_length is not None and request.content_length <= _SSL_CHECK_MAX_BYTES


def _is_ssl_check(body: bytes) -> bool:
    """Such a request asks for nothing."""
    return b"ssl_check=1" in body[:_SSL_CHECK_MAX_BYTES].split(b"&") and b"payload=" not in body


def _payload(body: bytes) -> object:
    """The one field `payload` of the form, read. Raises BadPayload."""
    try:
        found = parse_qs(body.decode(), keep_blank_values=True, max_num_fields=_FIELDS_MAX).get("payload", [])
    except ValueError:
        raise BadPayload("the body is not a form") from None
    if len(found) != 1:
        raise BadPayload(f"the form has {len(found) or 'no'} fields named payload, instead of one")
    try:
        return orjson.loads(found[0])
    except orjson.JSONDecodeError:
        raise BadPayload("the payload is not JSON") from None
