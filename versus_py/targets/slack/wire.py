"""What goes out to Slack, at the pace it allows: posts by channel, edits by workspace, for all replicas together."""

from enum import IntEnum
from typing import Any

from slack_sdk.web.async_slack_response import AsyncSlackResponse

from versus_py.clock import Clock
from versus_py.store import Rate, Turns
from versus_py.targets.slack.api import RateLimited, SlackApi
from versus_py.targets.slack.message import Message
from versus_py.targets.target import NotYet

POSTS = Rate(interval_ms=1_000)
"""About one message a second in a channel: docs.slack.dev/apis/web-api/rate-limits."""

EDITS = Rate(interval_ms=1_200, burst=10)
"""Tier 3, of chat.update, in a workspace: about 50 a minute, with occasional bursts."""

SEARCHES = Rate(interval_ms=3_000, burst=20)
"""Of channels, just in case: some of Tier 3, of conversations.history, which leaves the rest for lost answers."""

WORKSPACE = "edits"
SEARCHING = "searches"


class Urgency(IntEnum):
    """Who goes first: as if they had come so many ms later, so that nobody waits for ever."""

    STORM = -600_000
    INCIDENT = 0  # of the gravest severity; less grave ones are GRADE later each
    GRADE = 2_000
    REPLY = 30_000


class Wire:
    """Posts and edits. Raises NotYet while it is not their turn, and what SlackApi raises."""

    def __init__(self, api: SlackApi, turns: Turns, clock: Clock) -> None:
        self._api = api
        self._turns = turns
        self._clock = clock

    async def take(self, place: str, who: str, rate: Rate, *, urgency: int = Urgency.INCIDENT) -> None:
        """The turn of *who* in that place, which `post` and `edit` need. Raises NotYet when it has not come."""
        await self.take_among(place, who, rate, urgency=urgency, most=None)

    async def take_among(self, place: str, who: str, rate: Rate, *, urgency: int, most: int | None) -> bool:
        """The same; False, and no place, when so many or more wait before."""
        now_ms = self._clock.now_ms()
        turn = await self._turns.take(_destination(place), who, rate, now_ms=now_ms, behind_ms=urgency)
        if turn.wait_until_ms is None:
            return True
        if most is not None and turn.ahead >= most:
            await self._turns.leave(_destination(place), who)
            return False
        raise NotYet(turn.wait_until_ms, f"waiting for its turn at {place}")

    async def turn_at_ms(self, place: str, who: str, rate: Rate, *, urgency: int) -> int:
        """When the turn of *who* will be there: now, or when a place among those who wait says so."""
        now_ms = self._clock.now_ms()
        turn = await self._turns.take(_destination(place), who, rate, now_ms=now_ms, behind_ms=urgency, only_place=True)
        return turn.wait_until_ms or now_ms

    async def take_at_once(self, place: str, who: str, rate: Rate) -> bool:
        """The turn of *who*; False, and no place, when it has not come."""
        return await self.take_among(place, who, rate, urgency=Urgency.INCIDENT, most=0)

    async def post(
        self, channel: str, message: Message, *, metadata: dict[str, Any] | None = None, **more: Any
    ) -> AsyncSlackResponse:
        """A new message, or a reply with `thread_ts`."""
        try:
            return await self._api.post(
                "chat.postMessage", channel=channel, **_content(message), **_given(metadata=metadata), **more
            )
        except RateLimited as exc:
            await self.hold_back(channel, POSTS, exc.retry_after_s)
            raise

    async def edit(self, channel: str, ts: str, message: Message) -> None:
        """The message at *ts* is *message* from now on; its metadata stays.

        Raises NotYet when Slack takes no edits for a while: that is no failure, and delays nothing but edits.
        """
        try:
            await self._api.post("chat.update", channel=channel, ts=ts, **_content(message))
        except RateLimited as exc:
            await self.hold_back(WORKSPACE, EDITS, exc.retry_after_s)
            at_ms = self._clock.now_ms() + round(exc.retry_after_s * 1000)
            raise NotYet(at_ms, f"waiting for its turn at {WORKSPACE}: {exc}") from exc

    async def hold_back(self, place: str, rate: Rate, seconds: float) -> None:
        """Nobody's turn comes there for so long."""
        until_ms = self._clock.now_ms() + round(seconds * 1000)
        await self._turns.hold_back(_destination(place), rate, until_ms=until_ms)


def _destination(place: str) -> str:
    return f"slack:{place}"


def _content(message: Message) -> dict[str, Any]:
    return {
        "text": message.text,
        "attachments": list(message.attachments),
        "unfurl_links": False,
        "unfurl_media": False,
    }


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
