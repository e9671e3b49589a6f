"""What people press and write in Slack, as Slack's own requests: signed by Slack, or not taken.

Both come to one address: a form with what was pressed, or JSON with an event.
"""

import re
from typing import NamedTuple
from urllib.parse import parse_qs

import orjson
from multidict import MultiMapping
from slack_sdk.signature import Clock as SdkClock
from slack_sdk.signature import SignatureVerifier

from versus_py.clock import Clock
from versus_py.errors import BadPayload, ConfigError
from versus_py.targets.interactive import NotSigned, Take
from versus_py.targets.slack.events import challenge_of, read_replies
from versus_py.targets.slack.press import mapping, read_presses

PATH = "/api/slack/interactions"

BODY_TIMEOUT_S = 2.0
"""Slack waits 3 seconds for its answer; who has not sent the request by then is not Slack."""

BODY_MAX_BYTES = 1024 * 1024
"""What is pressed comes with the whole message, which Slack keeps well below that."""

SIGNED_WITHIN_S = 5 * 60

_SSL_CHECK_MAX_BYTES = 1000
_FIELDS_MAX = 20
_TIMESTAMP = re.compile(r"[0-9]{1,12}")
_SIGNATURE = re.compile(r"v0=[0-9a-f]{64}")


class _Signed(NamedTuple):
    timestamp: str
    signature: str


class SlackRequests:
    """Those that were signed with the app's signing secret within the last 5 minutes, by *clock*: Slack's."""

    body_max_bytes = BODY_MAX_BYTES

    def __init__(self, signing_secret: str, take: Take, clock: Clock, *, takes_replies: bool = True) -> None:
        if not signing_secret.strip():
            raise ConfigError(["alert.slack.signing_secret: is blank"])
        self._clock = _SdkClock(clock)
        self._verifier = SignatureVerifier(signing_secret, clock=self._clock)
        self._take = take
        self._takes_replies = takes_replies

    @property
    def body_within_s(self) -> float:
        return BODY_TIMEOUT_S

    def may_be_signed(self, headers: MultiMapping[str], length: int | None) -> bool:
        """Also of the short form by which Slack looks at certificates now and then, and which need not be signed."""
        return self._signed(headers) is not None or (length is not None and length <= _SSL_CHECK_MAX_BYTES)

    async def take(self, headers: MultiMapping[str], body: bytes) -> str:
        signed = self._signed(headers)
        if signed is not None and self._is_right(signed, body):
            return await self._taken(headers, body)
        if not _is_ssl_check(body):
            raise NotSigned("this is not a request that Slack has signed for this app just now")
        return ""

    async def _taken(self, headers: MultiMapping[str], body: bytes) -> str:
        if not headers.get("Content-Type", "").lower().startswith("application/json"):
            await self._take(read_presses(_payload(body)))
            return ""
        event = mapping(_read(body, "the body"), "the body")
        if challenge := challenge_of(event):
            return challenge
        if self._takes_replies:
            await self._take(read_replies(event))
        return ""

    def _signed(self, headers: MultiMapping[str]) -> _Signed | None:
        """What the headers say; None when no body could make that right."""
        timestamps = headers.getall("X-Slack-Request-Timestamp", [])
        signatures = headers.getall("X-Slack-Signature", [])
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


class _SdkClock(SdkClock):
    """A clock as slack-sdk asks for the time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def now(self) -> float:
        return self._clock.now_ms() / 1000


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
    return _read(found[0], "the payload")


def _read(text: str | bytes, name: str) -> object:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        raise BadPayload(f"{name} is not JSON") from None
