"""Slack's markup: texts that are shown as they are, links, dates."""

import re
from datetime import UTC, datetime
from typing import Any

LINK_MAX = 1500

_CHANNEL_ID = re.compile(r"\b[CG](?=[A-Z]*\d)[A-Z0-9]{6,20}\b")
"""Every id has a digit; words in capital letters have none."""


class Mrkdwn(str):
    """Text that is Slack's markup already, and is not escaped again."""

    __slots__ = ()


def escape(value: Any) -> str:
    """Any value as text that Slack shows as it is: docs.slack.dev, "Formatting message text"."""
    if isinstance(value, Mrkdwn):
        return value
    return str(value).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def link(url: Any, label: Any = "") -> Mrkdwn:
    """`<url|label>`; only the label when the URL is none of the web's."""
    target = str(url).replace("|", "%7C").replace(">", "%3E").replace("<", "%3C").replace(" ", "%20")
    if not target.startswith(("https://", "http://")) or len(target) > LINK_MAX:
        return Mrkdwn(escape(label or url))
    text = escape(label or url).replace("|", "¦").replace("\n", " ")
    return Mrkdwn(f"<{target.replace('&', '&amp;')}|{text}>")


def date(at_ms: int | None) -> Mrkdwn:
    """A moment in the reader's own time zone, by Slack's date form; empty for None."""
    return _date(at_ms, "{date_short_pretty} {time_secs}")


def since(at_ms: int) -> Mrkdwn:
    """A moment to the minute, with how long ago that was, which Slack keeps up to date by itself."""
    return _date(at_ms, "{date_short_pretty} {time} ({ago})")


def clock_time(at_ms: int) -> Mrkdwn:
    """A moment of a day that is known from what stands around it, to the minute."""
    return _date(at_ms, "{time}")


def countdown(at_ms: int | None) -> Mrkdwn:
    """The same, with how long it is until then, which Slack keeps up to date by itself."""
    return _date(at_ms, "{date_short_pretty} {time_secs} ({ago})")


def with_channels(text: str) -> str:
    """*text*, escaped before, with the ids of channels as links that show their names."""
    return _CHANNEL_ID.sub(r"<#\g<0>>", text)


def shorten(text: str, limit: int) -> str:
    """At most *limit* characters of mrkdwn, with what is missing counted, and no entity or link cut in two."""
    if len(text) <= limit:
        return text
    kept = text[: limit - 30]
    for pattern in (r"<[^<>\n]*$", r"&[a-z]{0,3}$"):
        kept = re.sub(pattern, "", kept)
    return f"{kept.rstrip()}… {len(text) - len(kept)} more characters"


def _date(at_ms: int | None, form: str) -> Mrkdwn:
    """docs.slack.dev/messaging/formatting-message-text#date-formatting says what the form may hold."""
    if at_ms is None:
        return Mrkdwn("")
    fallback = datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return Mrkdwn(f"<!date^{at_ms // 1000}^{form}|{fallback}>")
