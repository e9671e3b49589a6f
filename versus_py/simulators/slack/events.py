"""The Events API: the app is told what is written, and told again while it does not answer with 200.

docs.slack.dev/apis/events-api says in what form, and how often.
"""

import asyncio
import itertools
import json
import re
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from typing import Any

from versus_py.simulators.slack.delivery import Delivery
from versus_py.simulators.slack.messages import APP_ID, BOT_USER_ID, TEAM_ID, PostedMessage, User

RETRY_WAITS_S = (0.0, 60.0, 300.0)
"""Three times more: at once, after a minute, and after five."""

OTHER_BOT_ID = "B0OTHER"
"""Of another app, whose messages are no person's."""

Event = dict[str, Any]
Send = Callable[[Event, dict[str, str]], Awaitable[Delivery]]

_MARK = re.compile(r"(https?://[^\s<>|]+)|@([a-z][a-z0-9._-]*)")


class Events:
    """What is sent of one workspace: each event by *send*, with the headers of a retry."""

    def __init__(self, send: Send, now_s: Callable[[], float]) -> None:
        self._send = send
        self._now_s = now_s
        self._numbers = itertools.count(1)
        self._later: set[asyncio.Task[None]] = set()
        self.waits_s: Sequence[float] = RETRY_WAITS_S
        self.deliveries: list[Delivery] = []  # how the app took each attempt, in order

    def wrapped(self, event: Event) -> Event:
        """The outer event."""
        return {
            "token": "deprecated",
            "team_id": TEAM_ID,
            "api_app_id": APP_ID,
            "event": event,
            "type": "event_callback",
            "event_id": f"Ev{next(self._numbers):010d}",
            "event_time": int(self._now_s()),
            "authorizations": [{"team_id": TEAM_ID, "user_id": BOT_USER_ID, "is_bot": True}],
            "is_ext_shared_channel": False,
            "event_context": "4-demo",
        }

    async def tell(self, payload: Event) -> None:
        """Until the app takes it, or for the last time."""
        if failed := await self._attempt(payload, 0, ""):
            await self._again(payload, failed)

    async def tell_soon(self, payload: Event) -> None:
        """The same without waiting for more than the first attempt."""
        if failed := await self._attempt(payload, 0, ""):
            task = asyncio.create_task(self._again(payload, failed))
            self._later.add(task)
            task.add_done_callback(self._later.discard)

    async def close(self) -> None:
        """Nothing is told again."""
        for task in self._later:
            task.cancel()
        await asyncio.gather(*self._later, return_exceptions=True)

    async def _again(self, payload: Event, reason: str) -> None:
        for number, wait_s in enumerate(self.waits_s, start=1):
            await asyncio.sleep(wait_s)
            reason = await self._attempt(payload, number, reason)
            if not reason:
                return

    async def _attempt(self, payload: Event, number: int, reason: str) -> str:
        """Why it was not taken; "" when it was."""
        headers = {"X-Slack-Retry-Num": str(number), "X-Slack-Retry-Reason": reason} if number else {}
        delivery = await self._send(payload, headers)
        self.deliveries.append(delivery)
        if delivery.status == HTTPStatus.OK:
            return ""
        if delivery.status is not None:
            return "http_error"
        return "http_timeout" if "did not answer" in delivery.trouble else "connection_failed"


def message_event(message: PostedMessage, *, channel_type: str, **more: Any) -> Event:
    """That it was written."""
    about: Event = {"type": "message", "user": message.user, "text": message.text, "ts": message.ts, "team": TEAM_ID}
    about |= {"channel": message.channel, "event_ts": message.ts, "channel_type": channel_type}
    about |= {"thread_ts": message.thread_ts} if message.thread_ts else {}
    about |= {"subtype": "thread_broadcast"} if message.is_broadcast else {}
    return about | more


def edit_event(message: PostedMessage, *, channel_type: str, ts: str, previous: str) -> Event:
    """That its text is another one now."""
    now = message_event(message, channel_type=channel_type) | {"edited": {"user": message.user, "ts": ts}}
    about = {"type": "message", "subtype": "message_changed", "channel": message.channel, "hidden": True, "ts": ts}
    return about | {"message": now, "previous_message": now | {"text": previous}, "event_ts": ts}


def deletion_event(message: PostedMessage, *, channel_type: str, ts: str) -> Event:
    before = message_event(message, channel_type=channel_type)
    about = {"type": "message", "subtype": "message_deleted", "channel": message.channel, "hidden": True, "ts": ts}
    return about | {"previous_message": before, "deleted_ts": message.ts, "event_ts": ts}


def as_typed(text: str, people: Sequence[User]) -> str:
    """What Slack makes of a text that a person types: nothing in it is markup but URLs and the handles of people."""
    handles = {user.name: user.id for user in people}
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

    def marked(found: re.Match[str]) -> str:
        if found[1]:
            return f"<{found[1]}>"
        return f"<@{handles[found[2]]}>" if found[2] in handles else found[0]

    return _MARK.sub(marked, escaped)


def as_request(payload: Event) -> bytes:
    return json.dumps(payload).encode()
