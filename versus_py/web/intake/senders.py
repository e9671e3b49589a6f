"""Who posts alerts: told by a token, where tokens are configured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aiohttp import web

from versus_py.clock import Clock
from versus_py.config import Config, IntakeToken, OverrideLimits
from versus_py.incidents import heartbeats
from versus_py.incidents.model import Notification
from versus_py.sources import cloudwatch, sentry, source_of
from versus_py.telemetry.throttled import ThrottledLog
from versus_py.web.intake.reading import Payload
from versus_py.web.tokens import CHALLENGE, Tokens

_HOW = (
    "send a token of intake.tokens: Authorization: Bearer <token>, or Basic with its name and the token; "
    "PagerDuty's routing_key and Opsgenie's GenieKey are such tokens too"
)


@dataclass(frozen=True, slots=True, eq=False)  # one is the same as itself only, so that it can be a key
class Sender:
    """Who posts, and what it may post and ask for."""

    name: str  # "": not known, as no tokens are configured, or as only its payloads are signed
    sources: frozenset[str] | None  # None: all of them
    limits: OverrideLimits
    may_acknowledge: bool = False
    policy: str = ""  # of all that it posts; "": by the labels

    def may_ask(self, notifications: Sequence[Notification | None]) -> tuple[Sequence[Notification | None], str]:
        """*notifications* without those that acknowledge, where it may not, and why; "" when there are none."""
        if self.may_acknowledge or not any(map(_acknowledges, notifications)):
            return notifications, ""
        who = f"the token of {self.name!r}" if self.name else "a sender without a token of intake.tokens"
        why = f"{who} may not acknowledge; set acknowledge: true for it in intake.tokens"
        return [None if _acknowledges(it) else it for it in notifications], f"an acknowledgment was left out: {why}"

    def expect_heartbeats(self) -> None:
        """Raises 403 where it may not send heartbeats at their own address, as one who only signs payloads."""
        if self.sources is not None and heartbeats.TARGET not in self.sources:
            raise web.HTTPForbidden(text=f"{self._who} is for {self._allowed}, and sends no heartbeats")

    def may_post(self, payloads: Sequence[Payload], source: str | None) -> tuple[list[Payload], list[str]]:
        """Those of its sources, read as *source* if that is said, and a warning for each that is left out.

        Raises 403 when nothing is left.
        """
        if self.sources is None:
            return list(payloads), []
        names = [source_of(payload, source).NAME for payload in payloads]
        found = [payload for payload, name in zip(payloads, names, strict=True) if name in self.sources]
        refused = [
            f"a payload of {name} was left out: {self._who} is for {self._allowed}"
            for name in names
            if name not in self.sources
        ]
        if refused and not found:
            raise web.HTTPForbidden(text=refused[0])
        return found, refused

    @property
    def _who(self) -> str:
        return f"the token of {self.name!r}" if self.name else "a request without a token"

    @property
    def _allowed(self) -> str:
        return ", ".join(sorted(self.sources or ()))


_ANYBODY = Sender("", None, OverrideLimits())
"""Where no tokens are configured."""


class Senders:
    """The senders that are configured."""

    def __init__(self, config: Config, clock: Clock) -> None:
        self._known = Tokens((_sender(it), token) for it in config.intake.tokens for _, token in it.accepted())
        self._signing = {
            header: Sender("", frozenset({source}), OverrideLimits())
            for header, source in _signing_sources(config).items()
        }
        self._refusals = ThrottledLog("intake.sender_refused", clock.now_ms)

    def identify(self, request: web.Request, key: str = "") -> Sender:
        """Who sends this, told from its head, or from the token *key* where that has none. Raises 401."""
        if not self._known:
            return _ANYBODY
        authorization = request.headers.getall("Authorization", [])
        if not authorization and (source := self._signing_source(request.headers)):
            return source
        authorization = authorization or ([f"Bearer {key}"] if key else [])
        found = self._sender_with(authorization[0]) if len(authorization) == 1 else None
        if found is None:
            self._refusals.note(remote=request.remote)
            raise web.HTTPUnauthorized(text=_HOW, headers=CHALLENGE)
        return found

    def _signing_source(self, headers: Mapping[str, str]) -> Sender | None:
        """A source that signs what it sends and has no way to send a token, if this says to be of one."""
        return next((source for header, source in self._signing.items() if header in headers), None)

    def _sender_with(self, authorization: str) -> Sender | None:
        user, matching = self._known.shown_in(authorization)
        return next((it for it in matching if user in {None, it.name}), None)


def _sender(token: IntakeToken) -> Sender:
    sources = None if token.sources is None else frozenset(token.sources)
    return Sender(token.name, sources, token.overrides, token.acknowledge, token.policy)


def _acknowledges(notification: Notification | None) -> bool:
    return notification is not None and notification.asks is not None and notification.asks.acknowledges


def _signing_sources(config: Config) -> dict[str, str]:
    """Header -> source, of those whose signatures are verified here."""
    found = {}
    if config.sources.cloudwatch.topics:
        found["x-amz-sns-message-type"] = cloudwatch.NAME
    if config.sources.sentry.client_secret.get_secret_value():
        found["Sentry-Hook-Signature"] = sentry.NAME
    return found
