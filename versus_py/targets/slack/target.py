"""The incident's message: posted once, and edited from then on."""

from collections.abc import Callable
from dataclasses import replace

import aiohttp
import structlog
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from versus_py.clock import Clock
from versus_py.config import SlackConfig
from versus_py.incident import Delivery, Incident, Status
from versus_py.targets.pace import Pace
from versus_py.targets.slack.api import RateLimited, Refused, SlackApi
from versus_py.targets.slack.message import (
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
        self._api = SlackApi(config, session)
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
        except Refused as exc:
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
        except Refused as exc:
            log.warning("slack.thread_refused", incident=incident.id, error=exc.code)
        return _told(before, incident)

    async def _post(self, incident: Incident, channel: str, message: Message, note: str = "") -> Delivery:
        reply = await self._send("chat.postMessage", incident, channel, message)
        return _delivery(str(reply["channel"]), str(reply["ts"]), message, note)

    async def _edit(self, incident: Incident, before: Delivery, message: Message) -> Delivery:
        channel, ts = before.reference["channel"], before.reference["ts"]
        try:
            await self._send("chat.update", incident, channel, message, ts=ts)
        except Refused as exc:
            if exc.code not in _GONE:
                raise
            if incident.status is Status.TRIGGERED:
                return await self._post(incident, channel, message, before.note)
        return _delivery(channel, ts, message, before.note)

    async def _send(
        self, method: str, incident: Incident, channel: str, message: Message, **more: str
    ) -> AsyncSlackResponse:
        """Call *method*, once more with plain text when Slack refuses the blocks."""
        try:
            return await self._call(method, channel, message, **more)
        except Refused as exc:
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

    async def _call(self, method: str, channel: str, message: Message, **more: str) -> AsyncSlackResponse:
        try:
            return await self._api.post(
                method,
                channel=channel,
                text=message.text,
                attachments=list(message.attachments),
                unfurl_links=False,
                unfurl_media=False,
                **more,
            )
        except RateLimited as exc:
            self._pace.block(channel, exc.retry_after_s)
            raise


def _delivery(channel: str, ts: str, message: Message, note: str) -> Delivery:
    reference = {"channel": channel, "ts": ts, "digest": message.digest}
    return Delivery(reference=reference, label=f"message {ts} in {channel}", note=note)


def _told(delivery: Delivery, incident: Incident) -> Delivery:
    """With the number of the last news, as having been said."""
    return replace(delivery, reference={**delivery.reference, "told": str(incident.news_count)})
