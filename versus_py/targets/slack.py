"""Slack: one message for each incident, posted once and edited from then on.

slack-sdk's own retries are off: after a dropped connection they would post a second time. The engine retries.
"""

from collections.abc import Callable
from dataclasses import replace
from http import HTTPStatus
from typing import Any

import aiohttp
import structlog
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from versus_py.clock import Clock
from versus_py.config import SlackConfig
from versus_py.errors import Permanent, Transient
from versus_py.incident import Delivery, Incident, Status
from versus_py.targets.pace import Pace
from versus_py.targets.slack_message import (
    Message,
    build,
    build_plain,
    date,
    escape,
    link,
    plain_body,
    thread_text,
)
from versus_py.targets.target import NotYet
from versus_py.targets.values import incident_values
from versus_py.templating import TemplateFailed, TemplateFile

log = structlog.get_logger()

NAME = "slack"

INTERVAL_MS = 1000
"""Slack allows about one message a second in a channel: docs.slack.dev/apis/web-api/rate-limits."""

TIMEOUT_S = 15.0
QUOTA_RETRY_S = 600.0

# What Slack's method reference lists, by what helps. Anything that is in none of these is permanent.
_TRANSIENT = frozenset(
    [
        "ratelimited",
        "rate_limited",
        "service_unavailable",
        "internal_error",
        "fatal_error",
        "request_timeout",
        "update_failed",
        "external_channel_migrating",
        "team_added_to_org",
        "org_login_required",
    ]
)
_QUOTA = "message_limit_exceeded"
_PAYLOAD = frozenset(
    [
        "no_text",
        "msg_too_long",
        "invalid_blocks",
        "invalid_blocks_format",
        "msg_blocks_too_long",
        "too_many_attachments",
        "attachment_payload_limit_exceeded",
        "invalid_attachments",
        "markdown_text_conflict",
    ]
)
_CHANNEL = frozenset(["channel_not_found", "not_in_channel", "is_archived"])
_GONE = frozenset(["message_not_found"])

ADVICE = {
    "channel_not_found": "check the channel's id, and invite the bot if the channel is private",
    "not_in_channel": "invite the bot to the channel, or give it the scope chat:write.public",
    "is_archived": "the channel is archived: unarchive it or name another",
    "invalid_auth": "alert.slack.token is not valid",
    "not_authed": "alert.slack.token is empty",
    "account_inactive": "the bot of alert.slack.token was removed from the workspace",
    "token_revoked": "alert.slack.token was revoked: install the app again",
    "token_expired": "alert.slack.token has expired: install the app again",
    "missing_scope": "give the app the scope chat:write and install it again",
}
"""What to do about a refusal, by Slack's word for it."""


class _Refused(Permanent):
    """Slack said no, and *code* says why."""

    def __init__(self, code: str) -> None:
        advice = ADVICE.get(code)
        super().__init__(f"Slack says {code}" + (f": {advice}" if advice else ""))
        self.code = code


class SlackTarget:
    """The incident's message. *ack_url* makes the link that acknowledges an incident.

    *session* is one whose timeout is TIMEOUT_S: slack-sdk leaves the timeout to the session.
    """

    def __init__(
        self,
        config: SlackConfig,
        *,
        clock: Clock,
        session: aiohttp.ClientSession,
        ack_url: Callable[[Incident], str],
    ) -> None:
        self._config = config
        self._ack_url = ack_url
        self._clock = clock
        self._pace = Pace(clock, interval_ms=INTERVAL_MS)
        self._client = AsyncWebClient(
            token=config.token.get_secret_value(),
            base_url=f"{config.api_url}/",
            session=session,
            retry_handlers=[],
        )
        self._template: TemplateFile | None = None
        if config.template_path is not None:
            functions = {"link": link, "date": date}
            self._template = TemplateFile(config.template_path, finalize=escape, functions=functions)

    async def sync(self, incident: Incident, *, attempt: int) -> Delivery:  # noqa: ARG002 - Slack cannot be searched
        """Post the message, or edit the one there is when it would look different, and say what is new in its thread.

        A message that people deleted is posted again while the incident still needs somebody.
        """
        before = incident.delivery(NAME)
        if before.reference and (text := self._news(incident, before)):
            told = await self._say_news(incident, before, text)
            # The rest when it is its turn; what was said is not said again if that fails.
            raise NotYet(self._clock.now_ms(), "the message is edited next", told)
        return _told(await self._show(incident, before), incident)

    async def _show(self, incident: Incident, before: Delivery) -> Delivery:
        message = self._message(incident)
        if before.reference.get("digest") == message.digest:
            return before
        default = self._config.channel_id
        channel = before.reference.get("channel") or incident.policy.destinations.get(NAME) or default
        self._pace.take(channel, incident.id)
        try:
            if before.reference:
                return await self._edit(incident, before, message)
            return await self._post(incident, channel, message)
        except _Refused as exc:
            if exc.code not in _CHANNEL or channel == default or before.reference:
                raise
            log.warning("slack.channel_refused", incident=incident.id, channel=channel, error=str(exc))
            self._pace.take(default, incident.id)
            note = f"posted here because channel {channel} cannot be used: {exc}"
            return await self._post(incident, default, self._message(incident, note), note)

    def _news(self, incident: Incident, before: Delivery) -> str:
        """What the thread has not been told yet; earlier versions counted no news."""
        return thread_text(incident.news_after(int(before.reference.get("told", 0))))

    async def _say_news(self, incident: Incident, before: Delivery, text: str) -> Delivery:
        channel, ts = before.reference["channel"], before.reference["ts"]
        self._pace.take(channel, incident.id)
        try:
            await self._call("chat.postMessage", channel, Message(text, ()), thread_ts=ts)
        except _Refused as exc:
            log.warning("slack.thread_refused", incident=incident.id, error=exc.code)
        return _told(before, incident)

    async def _post(self, incident: Incident, channel: str, message: Message, note: str = "") -> Delivery:
        reply = await self._send("chat.postMessage", incident, channel, message)
        return _delivery(str(reply["channel"]), str(reply["ts"]), message, note)

    async def _edit(self, incident: Incident, before: Delivery, message: Message) -> Delivery:
        channel, ts = before.reference["channel"], before.reference["ts"]
        try:
            await self._send("chat.update", incident, channel, message, ts=ts)
        except _Refused as exc:
            if exc.code not in _GONE:
                raise
            if incident.status is Status.TRIGGERED:
                return await self._post(incident, channel, message, before.note)
        return _delivery(channel, ts, message, before.note)

    async def _send(
        self, method: str, incident: Incident, channel: str, message: Message, **more: str
    ) -> dict[str, Any]:
        """Call *method*, once more with plain text when Slack refuses the blocks."""
        try:
            return await self._call(method, channel, message, **more)
        except _Refused as exc:
            if exc.code not in _PAYLOAD:
                raise
            log.error("slack.blocks_refused", incident=incident.id, error=exc.code)  # noqa: TRY400 - it says which
            plain = build_plain(incident, ack_url=self._ack_link(incident))
            return await self._call(method, channel, plain, **more)

    def _message(self, incident: Incident, note: str = "") -> Message:
        ack_url = self._ack_link(incident)
        body, warning = self._body(incident, ack_url)
        note = note or incident.delivery(NAME).note
        return build(
            incident,
            body,
            ack_url=ack_url,
            properties=self._config.message_properties,
            warnings=tuple(text for text in (note, warning) if text),
        )

    def _body(self, incident: Incident, ack_url: str | None) -> tuple[str, str]:
        """The rendered template, or a plain body and a warning why."""
        if self._template is None:
            return plain_body(incident), ""
        try:
            return self._template.render(incident_values(incident) | {"ack_url": ack_url}), ""
        except TemplateFailed as exc:
            log.error("slack.template_failed", incident=incident.id, error=str(exc))  # noqa: TRY400 - it says where
            return plain_body(incident), f"the template failed: {exc}"

    def _ack_link(self, incident: Incident) -> str | None:
        """The link to acknowledge, while that would change anything."""
        has_wait = incident.policy.oncall is not None and incident.policy.wait_ms > 0
        return self._ack_url(incident) if has_wait and incident.status is Status.TRIGGERED else None

    async def _call(self, method: str, channel: str, message: Message, **more: str) -> dict[str, Any]:
        arguments = {
            "channel": channel,
            "text": message.text,
            "attachments": list(message.attachments),
            "unfurl_links": False,
            "unfurl_media": False,
            **more,
        }
        try:
            reply = await self._client.api_call(method, json=arguments)
        except SlackApiError as exc:
            raise self._translated(exc, channel) from None
        except TimeoutError as exc:
            raise Transient(f"Slack did not answer within {TIMEOUT_S:g} s") from exc
        except (aiohttp.ClientError, OSError) as exc:
            raise Transient(f"Slack cannot be reached: {exc or type(exc).__name__}") from exc
        except (AttributeError, ValueError) as exc:  # slack-sdk, on a body that is not JSON
            raise Transient("Slack answered with something that is not JSON") from exc
        if not isinstance(reply.data, dict):
            raise Transient("Slack answered with something that is not JSON")
        return reply.data

    def _translated(self, exc: SlackApiError, channel: str) -> Exception:
        """What a refusal means; `response` is a SlackResponse, or aiohttp's own when the body was broken JSON."""
        response = exc.response
        status = getattr(response, "status_code", None) or getattr(response, "status", None) or 0
        data = getattr(response, "data", None)
        code = data.get("error") if isinstance(data, dict) else None
        if status == HTTPStatus.TOO_MANY_REQUESTS or code in {"ratelimited", "rate_limited"}:
            wait_s = _retry_after_s(response.headers)
            self._pace.block(channel, wait_s)
            return Transient(f"Slack asks to wait {wait_s:g} s", retry_after_s=wait_s)
        if code is None:
            hint = "; is alert.slack.api_url right?" if status == HTTPStatus.NOT_FOUND else ""
            return Transient(f"Slack answered {status} without a reason{hint}")
        if code == _QUOTA:
            return Transient("Slack's message quota of the workspace is used up", retry_after_s=QUOTA_RETRY_S)
        if code in _TRANSIENT or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return Transient(f"Slack says {code}")
        return _Refused(code)


def _delivery(channel: str, ts: str, message: Message, note: str) -> Delivery:
    reference = {"channel": channel, "ts": ts, "digest": message.digest}
    return Delivery(reference=reference, label=f"message {ts} in {channel}", note=note)


def _told(delivery: Delivery, incident: Incident) -> Delivery:
    """With the number of the last news, as having been said."""
    return replace(delivery, reference={**delivery.reference, "told": str(incident.news_count)})


def _retry_after_s(headers: Any) -> float:
    """The header in seconds; 1 when it is missing or no number, 3600 at the most."""
    try:
        return min(3600.0, max(1.0, float(headers.get("Retry-After", "1"))))
    except ValueError:
        return 1.0
