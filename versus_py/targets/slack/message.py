"""What an incident looks like in Slack: escaped, within Block Kit's limits, and the same for the same state."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import orjson
from slack_sdk.models.attachments import BlockAttachment
from slack_sdk.models.blocks import (
    ActionsBlock,
    Block,
    ButtonElement,
    ContextBlock,
    MarkdownTextObject,
    SectionBlock,
)

from versus_py.config import MessageProperties
from versus_py.incident import Alert, Ending, Entry, Incident, Status
from versus_py.targets.target import display_name

# Limits: docs.slack.dev/reference/block-kit. A message's blocks together are refused from about 13,000 characters
# on (github.com/slackapi/bolt-js/issues/2509), so each part gets a share of what fits.
SECTION_MAX = 3000
BODY_MAX = 8000
LINK_MAX = 1500
HEADLINE_MAX = 1000
FACTS_MAX = 1000
WARNING_MAX = 300
ALERTS_SHOWN = 10
WARNINGS_SHOWN = 5
LABELS_SHOWN = 15
THREAD_LINES = 5
VALUE_MAX = 300

ACK_ACTION = "ack"

# Edits do not notify, so the news that people have to hear of are said in the thread too.
_SAID = {"joined": ":heavy_plus_sign: ", "reopened": ":repeat: Reopened: "}

_COLOURS = {Status.TRIGGERED: "#d92d20", Status.ACKNOWLEDGED: "#f79009", Status.RESOLVED: "#12b76a"}
_EMOJI = {
    Status.TRIGGERED: ":red_circle:",
    Status.ACKNOWLEDGED: ":large_orange_circle:",
    Status.RESOLVED: ":large_green_circle:",
}


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
    if at_ms is None:
        return Mrkdwn("")
    fallback = datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return Mrkdwn(f"<!date^{at_ms // 1000}^{{date_short_pretty}} {{time_secs}}|{fallback}>")


@dataclass(frozen=True, slots=True)
class Message:
    """What chat.postMessage and chat.update send."""

    text: str
    attachments: tuple[dict[str, Any], ...]

    @property
    def digest(self) -> str:
        """The same for messages that look the same."""
        return sha256(orjson.dumps([self.text, self.attachments], option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]


def plain_body(incident: Incident) -> str:
    """The body without a template: every firing alert with its summary, labels and link."""
    alerts = incident.firing or incident.alerts
    lines = [_alert_lines(alert) for alert in alerts[:ALERTS_SHOWN]]
    if len(alerts) > ALERTS_SHOWN:
        lines.append(f"… {len(alerts) - ALERTS_SHOWN} more alerts")
    return "\n\n".join(lines)


def build(
    incident: Incident,
    body: str,
    *,
    ack_url: str | None,
    properties: MessageProperties,
    warnings: tuple[str, ...] = (),
) -> Message:
    """The message for *incident* as it is now. *body* is mrkdwn; *ack_url* None leaves the way to acknowledge out."""
    texts = _sections(body)
    if ack_url is not None and properties.disable_button:
        texts.append(link(ack_url, properties.button_text))
        ack_url = None
    blocks: list[Block] = [SectionBlock(text=MarkdownTextObject(text=text)) for text in texts]
    blocks.append(_context(incident, warnings))
    if ack_url is not None:
        style = None if properties.button_style == "default" else properties.button_style
        button = ButtonElement(text=properties.button_text, action_id=ACK_ACTION, url=ack_url, style=style)
        blocks.append(ActionsBlock(block_id=ACK_ACTION, elements=[button]))
    headline = _headline(incident)
    attachment = BlockAttachment(blocks=blocks, color=_COLOURS[incident.status], fallback=headline)
    return Message(headline, (attachment.to_dict(),))


def build_plain(incident: Incident, *, ack_url: str | None) -> Message:
    """The least that can be said, for a Slack that refuses the blocks."""
    text = f"{_headline(incident)}\n{_next_step(incident)}"
    return Message(f"{text}\n{link(ack_url, 'Acknowledge')}" if ack_url else text, ())


def shorten(text: str, limit: int) -> str:
    """At most *limit* characters of mrkdwn, with what is missing counted, and no entity or link cut in two."""
    if len(text) <= limit:
        return text
    kept = text[: limit - 30]
    for pattern in (r"<[^<>\n]*$", r"&[a-z]{0,3}$"):
        kept = re.sub(pattern, "", kept)
    return f"{kept.rstrip()}… {len(text) - len(kept)} more characters"


def thread_text(news: Sequence[Entry]) -> str:
    """What the thread says of *news*, as far as people want to be told; "" when they do not."""
    said = [_SAID[entry.event] + escape(entry.detail) for entry in news if entry.event in _SAID]
    return "\n".join(shorten(line, HEADLINE_MAX) for line in said[-THREAD_LINES:])


def _headline(incident: Incident) -> str:
    status = incident.status.capitalize()
    if incident.ending is Ending.FAILED:
        status = "Escalation failed"
    elif incident.ending is Ending.SUPPRESSED:
        status = "Suppressed"
    elif incident.status is Status.TRIGGERED and incident.is_escalating:
        status = "Escalated" if incident.ending is Ending.ESCALATED else "Escalating"
    line = f"{_EMOJI[incident.status]} *{status}* · {escape(incident.severity)} · {escape(incident.title)}"
    return shorten(line, HEADLINE_MAX)


def _context(incident: Incident, warnings: tuple[str, ...]) -> ContextBlock:
    count = len(incident.firing) or len(incident.alerts)
    alerts = f"{count} alert{'' if count == 1 else 's'}"
    if incident.truncated_alerts:
        alerts += f" and {incident.truncated_alerts} more that the sender cut off"
    if incident.occurrences > 1:
        alerts += f", seen {incident.occurrences} times"
    source = link(incident.url, incident.source) if incident.url else escape(incident.source)
    facts = f"severity *{escape(incident.severity)}* · {source} · {alerts} · `{escape(incident.id)}`"
    texts = [shorten(facts, FACTS_MAX), shorten(_next_step(incident), FACTS_MAX)]
    record_notes = (incident.record.note,) if incident.record.note else ()
    texts += _warning_lines((*warnings, *record_notes, *incident.warnings))
    return ContextBlock(elements=[MarkdownTextObject(text=text) for text in texts if text])


def _next_step(incident: Incident) -> str:
    """Where the incident stands, and what happens next."""
    parts = []
    if incident.acknowledged_at_ms is not None:
        parts.append(f"acknowledged by *{escape(incident.acknowledged_by)}* {date(incident.acknowledged_at_ms)}")
    parts.append(_escalation(incident))
    if incident.resolved_at_ms is not None:
        parts.append(f"resolved by *{escape(incident.resolved_by)}* {date(incident.resolved_at_ms)}")
    return " · ".join(part for part in parts if part)


def _escalation(incident: Incident) -> str:
    oncall, record = incident.policy.oncall, incident.record
    if oncall is None:
        return "no escalation" if incident.status is Status.TRIGGERED else ""
    name = display_name(oncall)
    if record.label:
        shown = f"{name} {link(record.url, record.label)}" + _trouble(record.failed_at_ms, record.error)
        is_waiting = incident.status is Status.TRIGGERED and not incident.is_escalating
        return f"{shown} · escalates again {date(incident.escalates_at_ms)}" if is_waiting else shown
    if record.failed_at_ms is not None:
        return f":warning: escalation to {name} failed: {escape(record.error)}"
    if record.failing_since_ms is not None and incident.status is Status.TRIGGERED:
        return f":warning: escalation to {name} is being retried: {escape(record.error)}"
    if incident.status is not Status.TRIGGERED:
        return ""
    if incident.suppression is not None and incident.is_waiting:
        until = incident.suppression.until_ms
        return f":mute: {escape(incident.suppression.by)}" + (f" until {date(until)}" if until else "")
    if incident.is_escalating or incident.policy.wait_ms == 0:
        return f"escalating to {name} now"
    return f"escalates to {name} {date(incident.escalates_at_ms)}"


def _trouble(failed_at_ms: int | None, error: str) -> str:
    return f" (:warning: not up to date: {escape(error)})" if failed_at_ms is not None else ""


def _warning_lines(warnings: tuple[str, ...]) -> list[str]:
    lines = [shorten(f":warning: {escape(warning)}", WARNING_MAX) for warning in warnings[:WARNINGS_SHOWN]]
    if len(warnings) > WARNINGS_SHOWN:
        lines.append(f"… {len(warnings) - WARNINGS_SHOWN} more warnings")
    return lines


def _sections(body: str) -> list[str]:
    """*body* in parts that fit a section each, split between lines where that is possible."""
    parts: list[str] = []
    for line in shorten(body.strip() or "(no details)", BODY_MAX).split("\n"):
        whole = shorten(line, SECTION_MAX)
        if parts and len(parts[-1]) + 1 + len(whole) <= SECTION_MAX:
            parts[-1] += f"\n{whole}"
        elif whole.strip():
            parts.append(whole)
    return parts


def _alert_lines(alert: Alert) -> str:
    name = alert.labels.get("alertname") or alert.labels.get("title") or "Alert"
    lines = [f"*{link(alert.url, name) if alert.url else escape(name)}*"]
    said = (alert.annotations.get(key) for key in ("summary", "description", "message"))
    lines += [escape(shorten(text, VALUE_MAX)) for text in said if text]
    labels = [f"{key}={value[:VALUE_MAX]}" for key, value in alert.labels.items() if key != "alertname"]
    if alert.links:
        lines.append(" · ".join(link(url, name) for name, url in alert.links.items()))
    if labels:
        more = f" … {len(labels) - LABELS_SHOWN} more" if len(labels) > LABELS_SHOWN else ""
        lines.append(f"`{escape(' '.join(labels[:LABELS_SHOWN]).replace('`', chr(39)))}`{more}")
    return "\n".join(lines)
