"""What Slack says that was written: the event `message`, docs.slack.dev/reference/events/message."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import structlog

from versus_py.config import SlackConfig
from versus_py.errors import BadPayload
from versus_py.incidents.model import Actor
from versus_py.targets.interactive import Reply
from versus_py.targets.slack.api import locator_of
from versus_py.targets.slack.plain import mentioned
from versus_py.targets.slack.press import ID, TS, mapping, matching, request_id

log = structlog.get_logger()

TEXT_MAX = 40_000
"""Slack cuts what people write there: docs.slack.dev/changelog/2018-truncating-really-long-messages."""

FILES_MAX = 10
FILE_NAME_MAX = 100

_WRITTEN = ("", "thread_broadcast", "file_share")
"""The subtypes of what a person has written; the others tell of edits, deletions, bots, or who came and went."""

SLACKBOT = "USLACKBOT"
"""Slack's own bot, whose messages have no bot_id."""

_CHALLENGE = re.compile(r"[!-~]{1,255}")


def challenge_of(payload: Mapping[str, Any]) -> str:
    """What Slack wants to hear back when somebody enters our address; "" when it asks nothing like that."""
    if payload.get("type") != "url_verification":
        return ""
    return matching(_CHALLENGE, payload.get("challenge"), "challenge")


def read_replies(payload: Any) -> tuple[Reply, ...]:
    """What a person wrote in a thread; nothing in events of other kinds.

    Raises BadPayload when it is no event of Slack's at all.
    """
    kind = mapping(payload, "the payload").get("type")
    if not isinstance(kind, str):
        raise BadPayload("the payload has no type")
    if kind == "app_rate_limited":
        log.warning("slack.events_limited", advice="Slack leaves out events of this app for a minute: replies are lost")
    return tuple(_replies(payload)) if kind == "event_callback" else ()


def _replies(payload: Mapping[str, Any]) -> Iterator[Reply]:
    event = mapping(payload.get("event"), "event")
    if not _is_written_in_thread(event):
        return
    channel = matching(ID, event.get("channel"), "event.channel")
    ts, thread_ts = (matching(TS, event.get(name), f"event.{name}") for name in ("ts", "thread_ts"))
    user_id = matching(ID, event.get("user"), "event.user")
    text = "\n".join(filter(None, (_text(event), *_files(event))))
    if text:
        yield Reply(
            system=SlackConfig.NAME,
            actor=Actor(user_id, ids={SlackConfig.NAME: user_id}),
            request_id=request_id("message", channel, ts),  # one message may be told of in more than one event
            locator=locator_of(channel, thread_ts),
            text=text,
            mentioned=mentioned(text),
        )


def _is_written_in_thread(event: Mapping[str, Any]) -> bool:
    """By a person, who may be of another workspace, and not as a bot."""
    is_message = event.get("type") == "message" and (event.get("subtype") or "") in _WRITTEN
    is_in_thread = bool(event.get("thread_ts")) and event.get("thread_ts") != event.get("ts")
    is_by_person = event.get("user") not in (None, "", SLACKBOT) and not event.get("bot_id") and not event.get("hidden")
    return is_message and is_in_thread and is_by_person


def _text(event: Mapping[str, Any]) -> str:
    text = event.get("text") or ""
    if not isinstance(text, str):
        raise BadPayload("event.text is not a text")
    return text[:TEXT_MAX].strip()


def _files(event: Mapping[str, Any]) -> Iterator[str]:
    """Those that came with it, in Slack's markup: their names, as links to where the workspace has them."""
    files = event.get("files")
    for it in files[:FILES_MAX] if isinstance(files, Sequence) and not isinstance(files, str) else ():
        name, url = (it.get("name"), it.get("permalink")) if isinstance(it, Mapping) else (None, None)
        if isinstance(name, str) and name.strip():
            label = re.sub(r"[<>|&\s]+", " ", name).strip()[:FILE_NAME_MAX]
            is_link = isinstance(url, str) and re.fullmatch(r"https://[^\s<>|]{1,1500}", url)
            yield f"<{url}|{label}>" if is_link else label
