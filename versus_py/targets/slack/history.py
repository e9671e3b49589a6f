"""Finding what an attempt whose answer was lost may have posted, by the metadata that every message carries.

Slack offers no key that would keep it from posting twice. With the scope that lets the bot read the channel's
history (channels:history, groups:history for private ones), the message is looked for before it is posted again;
without it, whether it was posted cannot be told.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from versus_py.clock import Clock
from versus_py.targets.slack.api import CREDENTIALS, Refused, SlackApi

log = structlog.get_logger()

EVENT_TYPE = "versus"
PAGE = 200
PAGES_MAX = 5
"""A search looks at so many messages at most; what is looked for is minutes old."""

BEFORE_S = 60
"""So much more is looked at: what `Date` tells of Slack's clock is a second or two off."""

ASK_AGAIN_MS = 10 * 60_000
"""How long to believe that the scope is missing: somebody may have added it."""


def metadata(**said: str) -> dict[str, Any]:
    """For chat.postMessage: what the message is about. It may be read by other apps of the workspace."""
    return {"event_type": EVENT_TYPE, "event_payload": said}


@dataclass(frozen=True, slots=True)
class Found:
    """A message of ours: where it is, and what its metadata say."""

    ts: str
    said: Mapping[str, Any]


class History:
    """What we posted. Raises Transient; what may not be read is as if it were empty."""

    def __init__(self, api: SlackApi, clock: Clock) -> None:
        self._api = api
        self._clock = clock
        self._forbidden_until_ms = 0
        self._bot_id = ""

    async def find(self, channel: str, about: Mapping[str, str], *, since_ms: int) -> Found | None:
        """The message whose metadata says all of *about*; None without one since *since_ms*, nor on the first page.

        Slack's times are by its own clock, so that it has to be known how far that is from ours. *since_ms* may be by a
        shared time that was set back since: it decides how many pages are read, and leaves nothing out of a page.
        """
        if not self._api.clock.is_known and self._clock.now_ms() >= self._forbidden_until_ms:
            await self._own_id()
        since_s = self._api.clock.theirs(since_ms) / 1000 - BEFORE_S
        async for message, said in self._ours("conversations.history", since_s=since_s, channel=channel):
            if about.items() <= said.items():
                return Found(str(message["ts"]), said)
        return None

    async def last_reply(self, channel: str, ts: str, *, of_standing: bool) -> Found | None:
        """Our last post in a message's thread that says how the incident stands, or that says news; None without one.

        Of a message that cannot be edited there are both, and each is posted again by itself.
        """
        last = None
        async for message, said in self._ours("conversations.replies", channel=channel, ts=ts):
            if message.get("ts") != ts and ("standing" in said) is of_standing:
                last = Found(str(message["ts"]), said)  # the oldest come first
        return last

    async def _ours(
        self, method: str, *, since_s: float = 0, **where: str
    ) -> AsyncIterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
        """Page by page, until one ends with a message from before *since_s*, by Slack's clock."""
        if self._clock.now_ms() < self._forbidden_until_ms:
            return
        cursor = ""
        for _ in range(PAGES_MAX):
            more = {"cursor": cursor} if cursor else {}
            try:
                page = await self._api.get(method, limit=str(PAGE), include_all_metadata="true", **where, **more)
            except Refused as exc:
                if exc.code in CREDENTIALS - {"missing_scope"}:
                    raise
                log.warning("slack.history_unreadable", method=method, channel=where["channel"], error=str(exc))
                if exc.code == "missing_scope":
                    self._forbidden_until_ms = self._clock.now_ms() + ASK_AGAIN_MS
                return
            own = await self._own_id()
            messages = page.get("messages") or []
            for message in messages:
                written = message.get("metadata") or {}
                if written.get("event_type") == EVENT_TYPE and message.get("bot_id") == own:
                    yield message, written.get("event_payload") or {}
            cursor = (page.get("response_metadata") or {}).get("next_cursor", "")
            if not cursor or (messages and float(messages[-1]["ts"]) < since_s):
                return

    async def _own_id(self) -> str:
        """The bot's: another app may write what metadata it likes."""
        if not self._bot_id:
            self._bot_id = str((await self._api.post("auth.test")).get("bot_id", ""))
        return self._bot_id
