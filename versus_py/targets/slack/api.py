"""Slack's Web API: one method called once, and what its refusals mean.

slack-sdk's own retries are off: after a dropped connection they would post a second time. Callers retry.
"""

from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import aiohttp
from multidict import CIMultiDict
from pydantic import SecretStr
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from versus_py import errors
from versus_py.clock import Clock, SystemClock
from versus_py.config import SlackConfig
from versus_py.errors import Permanent, Transient, Unreachable
from versus_py.targets import deadline
from versus_py.targets.remote_clock import RemoteClock, retry_after_s
from versus_py.targets.slack.scopes import WRITE

TIMEOUT_S = 15.0
QUOTA_RETRY_S = 600.0

LATE_POST_S = 30.0
"""How long to wait after a post that Slack got and did not answer: it may still be at it, and what is looked for in
the channel before it is there is posted twice. An edit that is made twice does not show."""

LATE_EDIT_S = 30.0
"""When the message is edited once more after an edit that Slack did not answer: until then, that edit may still take
effect, and undo a newer one."""

# What Slack's method reference lists, by what helps. Anything that is in none of these is permanent.
_RATE_LIMITED = frozenset(["ratelimited", "rate_limited"])
_MIDWAY = frozenset(["internal_error", "fatal_error"])
"""Some of it may have been done."""

_NOT_BEGUN = frozenset(
    [
        "request_timeout",
        "update_failed",
        "external_channel_migrating",
        "team_added_to_org",
        "org_login_required",
    ]
)
_DOWN = "service_unavailable"
_QUOTA = "message_limit_exceeded"

PAYLOAD = frozenset(
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
"""It does not take the message as it was built."""

CREDENTIALS = frozenset(
    [
        "invalid_auth",
        "not_authed",
        "account_inactive",
        "token_revoked",
        "token_expired",
        "not_allowed_token_type",
        "two_factor_setup_required",
        "missing_scope",
        "accesslimited",
        "app_access_restricted",
        "team_access_not_granted",
        "ekm_access_denied",
        "enterprise_is_restricted",
    ]
)
"""It does not take the token, or the app may not do this, whatever the message and the channel."""

GONE = frozenset(["message_not_found", "thread_not_found", "cannot_reply_to_message"])
"""Somebody deleted the message that is to be edited or replied to."""

_CHANNEL = frozenset(
    [
        "channel_not_found",
        "not_in_channel",
        "is_archived",
        "is_inactive",
        "no_permission",
        "access_denied",
        "messages_tab_disabled",
    ]
)
_RESTRICTED = "restricted_action"

_NO_REPLIES = frozenset(["restricted_action_thread_locked", "restricted_action_non_threadable_channel"])

THREAD = PAYLOAD | GONE | _NO_REPLIES
"""It takes no line in this thread, and may well take messages in the channel."""

ADVICE = {
    "channel_not_found": "check the channel's id, and invite the bot if the channel is private",
    "not_in_channel": "invite the bot to the channel, or give it the scope chat:write.public",
    "is_archived": "the channel is archived: unarchive it or name another",
    "is_inactive": "the channel is archived or deleted: unarchive it or name another",
    "invalid_auth": "alert.slack.token is not valid",
    "not_authed": "alert.slack.token is empty",
    "account_inactive": "the bot of alert.slack.token was removed from the workspace",
    "token_revoked": "alert.slack.token was revoked: install the app again",
    "token_expired": "alert.slack.token has expired: install the app again",
}
"""What to do about a refusal, by Slack's word for it."""


class Refused(Permanent):
    """Slack said no: *code* is its word for why, and *needed* the scope that is missing, if that is why."""

    without_effect = True

    def __init__(self, code: str, needed: str = "") -> None:
        scope = f"give the app the scope {needed or WRITE} and install it again"
        self.advice = scope if code == "missing_scope" else ADVICE.get(code, "")
        super().__init__(f"Slack says {code}" + (f": {self.advice}" if self.advice else ""))
        self.code = code
        self.needed = needed


def is_about_channel(exc: Refused) -> bool:
    """Whether the channel takes no messages, whatever they are."""
    return exc.code in _CHANNEL or (exc.code.startswith(_RESTRICTED) and exc.code not in _NO_REPLIES)


def channel_url(config: SlackConfig, channel: str) -> str:
    """A page that opens *channel* in Slack: docs.slack.dev/interactivity/deep-linking."""
    return f"{config.api_url.removesuffix('/api')}/app_redirect?channel={quote(channel)}"


def locator_of(channel: str, ts: str) -> str:
    """The `Delivery.locator` of a message: what Slack's own requests name it by."""
    return f"{channel}\n{ts}"


class RateLimited(errors.RateLimited):
    """Slack asks to be left alone for `retry_after_s`, by this method, and for a post in this channel."""

    retry_after_s: float


class SlackApi:
    """The methods that the bot may call, or whoever else has *token*.

    *session* is one with a timeout: slack-sdk leaves it to the session. *clock* is the one to compare Slack's with.
    """

    def __init__(
        self,
        config: SlackConfig,
        session: aiohttp.ClientSession,
        *,
        token: SecretStr | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.clock = RemoteClock(SlackConfig.TITLE, clock or SystemClock())
        """Slack's."""
        self._client = AsyncWebClient(
            token=(token or config.token).get_secret_value(),
            base_url=f"{config.api_url}/",
            session=session,
            retry_handlers=[],
        )

    async def post(self, method: str, **arguments: Any) -> AsyncSlackResponse:
        """Call a method that takes JSON. Raises Refused, RateLimited, and Transient.

        It may have had its effect unless the error says `without_effect`: Slack refused it, or was never reached.
        Raises TimeoutError when the time of the sync is over; then nothing was sent.
        """
        return await self._call(method, json=arguments)

    async def get(self, method: str, **arguments: str) -> AsyncSlackResponse:
        """Call a method that reads. Raises the same."""
        return await self._call(method, http_verb="GET", params=arguments)

    async def _call(self, method: str, **how: Any) -> AsyncSlackResponse:
        wait_s = LATE_POST_S if method == "chat.postMessage" else None
        deadline.raise_if_over()
        asked_at_ms = self.clock.asked_at_ms()
        try:
            reply = await self._client.api_call(method, **how)
        except SlackApiError as exc:
            self.clock.note(CIMultiDict(exc.response.headers or {}), asked_at_ms)
            raise _translated(exc, wait_s) from None
        except aiohttp.ConnectionTimeoutError as exc:
            raise Unreachable("Slack cannot be reached in time", without_effect=True) from exc
        except TimeoutError as exc:
            raise Unreachable("Slack did not answer in time", retry_after_s=wait_s) from exc
        except aiohttp.ClientConnectorError as exc:  # nothing was sent
            raise Unreachable(f"Slack cannot be reached: {exc}", without_effect=True) from exc
        except (aiohttp.ClientError, OSError) as exc:
            raise Unreachable(f"Slack cannot be reached: {exc or type(exc).__name__}", retry_after_s=wait_s) from exc
        except (AttributeError, ValueError) as exc:  # slack-sdk, on a body that is not JSON
            raise Unreachable("Slack answered with something that is not JSON", retry_after_s=wait_s) from exc
        self.clock.note(CIMultiDict(reply.headers), asked_at_ms)
        if not isinstance(reply.data, dict):
            raise Unreachable("Slack answered with something that is not JSON", retry_after_s=wait_s)
        return reply


def _translated(exc: SlackApiError, wait_s: float | None) -> Refused | Transient:
    """What a refusal means; `response` is a SlackResponse, or aiohttp's own when the body was broken JSON.

    *wait_s* is how long to wait after what is no word of Slack's, or says that it failed midway.
    """
    response = exc.response
    status = getattr(response, "status_code", None) or getattr(response, "status", None) or 0
    data = getattr(response, "data", None)
    data = data if isinstance(data, dict) else {}
    code = data.get("error")
    if status == HTTPStatus.TOO_MANY_REQUESTS or code in _RATE_LIMITED:
        asked_s = max(1.0, retry_after_s(CIMultiDict(response.headers)) or 0)
        return RateLimited(f"Slack asks to wait {asked_s:g} s", retry_after_s=asked_s, without_effect=True)
    if code is None:
        hint = "; is alert.slack.api_url right?" if status in {HTTPStatus.OK, HTTPStatus.NOT_FOUND} else ""
        said = f"Slack answered {status} without a reason{hint}"
        if HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR:
            return Transient(said)
        return Unreachable(said, retry_after_s=wait_s)
    if code == _QUOTA:
        said = "Slack's message quota of the workspace is used up"
        return Transient(said, retry_after_s=QUOTA_RETRY_S, without_effect=True)
    if code == _DOWN or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Unreachable(f"Slack says {code}", retry_after_s=wait_s)
    if code in _MIDWAY | _NOT_BEGUN:
        return Transient(f"Slack says {code}", without_effect=code in _NOT_BEGUN)
    return Refused(str(code), str(data.get("needed", "")))
