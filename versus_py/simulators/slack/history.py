"""Reading what was said: a window in time, in pages."""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from versus_py.simulators.slack.answers import Arguments, SlackError, is_set
from versus_py.simulators.slack.messages import PostedMessage
from versus_py.simulators.slack.workspace import us_of

LIMIT_DEFAULT = 100
LIMIT_MAX = 999

_CURSOR = "next_ts:"


@dataclass(frozen=True, slots=True)
class Window:
    """From when until when, in microseconds; None is open."""

    oldest_us: int | None
    latest_us: int | None
    is_inclusive: bool

    def holds(self, message: PostedMessage) -> bool:
        at_us, edge = us_of(message.ts), 0 if self.is_inclusive else 1
        is_late_enough = self.oldest_us is None or at_us >= self.oldest_us + edge
        return is_late_enough and (self.latest_us is None or at_us <= self.latest_us - edge)


def page_of(messages: Sequence[PostedMessage], arguments: Arguments) -> dict[str, Any]:
    """One page of *messages*, which are in the order in which they are to be read; as the API answers it."""
    window = Window(
        _moment(arguments, "oldest"), _moment(arguments, "latest"), is_inclusive=is_set(arguments, "inclusive")
    )
    found = [message for message in messages if window.holds(message)]
    start = _start(found, arguments.get("cursor"))
    limit = _limit(arguments.get("limit", LIMIT_DEFAULT))
    shown, rest = found[start : start + limit], found[start + limit :]
    with_metadata = is_set(arguments, "include_all_metadata")
    answer: dict[str, Any] = {
        "messages": [message.described(with_metadata=with_metadata) for message in shown],
        "has_more": bool(rest),
    }
    return answer | ({"response_metadata": {"next_cursor": _cursor(rest[0])}} if rest else {})


def _moment(arguments: Arguments, name: str) -> int | None:
    value = arguments.get(name)
    if value is None or str(value) in {"", "now"}:
        return None
    try:
        return int(Decimal(str(value)) * 1_000_000)
    except (InvalidOperation, ValueError, OverflowError):
        raise SlackError(f"invalid_ts_{name}") from None


def _limit(value: Any) -> int:
    try:
        limit = int(value)
    except (TypeError, ValueError):
        raise SlackError("invalid_limit") from None
    if not 0 < limit <= LIMIT_MAX:
        raise SlackError("invalid_limit")
    return limit


def _cursor(message: PostedMessage) -> str:
    return base64.b64encode(f"{_CURSOR}{us_of(message.ts)}".encode()).decode()


def _start(messages: Sequence[PostedMessage], cursor: Any) -> int:
    """Where the page begins; a cursor holds although messages have come since."""
    if not cursor:
        return 0
    try:
        named = base64.b64decode(str(cursor), validate=True).decode()
    except (binascii.Error, ValueError):
        raise SlackError("invalid_cursor") from None
    found = [index for index, message in enumerate(messages) if f"{_CURSOR}{us_of(message.ts)}" == named]
    if not found:
        raise SlackError("invalid_cursor")
    return found[0]
