"""What an incident looks like in Slack: escaped, within Block Kit's limits, and the same for the same state."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import orjson
from slack_sdk.models import extract_json
from slack_sdk.models.blocks import ActionsBlock, Block, ContextBlock, MarkdownTextObject, SectionBlock

from versus_py.config import SlackConfig
from versus_py.incidents.model import Delivery, Ending, Entry, Event, Incident, Status
from versus_py.incidents.overview import alert_count
from versus_py.incidents.rounds import step_of
from versus_py.incidents.severity import UNKNOWN_SEVERITY
from versus_py.sources import alertmanager, generic
from versus_py.targets.slack.actions import RENEW, ack_text, action_block
from versus_py.targets.slack.mrkdwn import countdown, date, escape, link, shorten, with_channels
from versus_py.targets.slack.who import Who
from versus_py.targets.target import Called
from versus_py.targets.values import common_links

# Limits: docs.slack.dev/reference/block-kit. A message's blocks together are refused from about 13,000 characters
# on (github.com/slackapi/bolt-js/issues/2509), so each part gets a share of what fits.
SECTION_MAX = 3000
BODY_MAX = 8000
HEADLINE_MAX = 1000
FACTS_MAX = 2000
WARNING_MAX = 300
WARNINGS_SHOWN = 5
LINKS_SHOWN = 5

_SNOOZED_COLOUR = "#667085"
_COLOURS = {Status.TRIGGERED: "#d92d20", Status.ACKNOWLEDGED: "#f79009", Status.RESOLVED: "#12b76a"}
_EMOJI = {
    Status.TRIGGERED: ":red_circle:",
    Status.ACKNOWLEDGED: ":large_orange_circle:",
    Status.RESOLVED: ":large_green_circle:",
}


@dataclass(frozen=True, slots=True)
class Message:
    """What chat.postMessage and chat.update send."""

    text: str
    attachments: tuple[dict[str, Any], ...] = ()

    @property
    def digest(self) -> str:
        """The same for messages that look the same."""
        return sha256(orjson.dumps([self.text, self.attachments], option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]


def build(
    incident: Incident,
    body: str,
    config: SlackConfig,
    *,
    called: Called,
    ack_url: str | None,
    warnings: tuple[str, ...] = (),
    name: str = SlackConfig.NAME,
    who: Who | None = None,
) -> Message:
    """The message for *incident* as it is now. *body* is mrkdwn; *ack_url* None leaves the link to acknowledge out.

    *called* tells what people call a target, *name* which one the message is of, *who* what to call people.
    """
    texts = _sections(body)
    if ack_url is not None and not config.is_interactive and config.message_properties.disable_button:
        texts.append(link(ack_url, ack_text(incident, config)))
    blocks: list[Block] = [SectionBlock(text=MarkdownTextObject(text=text)) for text in texts]
    blocks += _context(incident, config, called, ack_url, warnings, who or Who())
    actions: ActionsBlock | None = action_block(incident, config, ack_url=ack_url)
    if actions is not None:
        blocks.append(actions)
    headline = _headline(incident, config, name)
    return Message(headline, (_attachment(blocks, _colour(incident), headline),))


def build_plain(
    incident: Incident,
    config: SlackConfig,
    *,
    called: Called,
    ack_url: str | None,
    name: str = SlackConfig.NAME,
    who: Who | None = None,
) -> Message:
    """The least that can be said, for a Slack that refuses the blocks."""
    text = f"{_headline(incident, config, name)}\n{_next_step(incident, called, who or Who())}"
    return Message(f"{text}\n{link(ack_url, _ack_word(incident))}" if ack_url else text)


def build_moved(incident: Incident, moved_ms: int | None, *, called: Called, who: Who) -> Message:
    """What the message of an incident says that a person then had go to another channel: nothing can be done here."""
    headline = _line(incident, ":arrow_right:", "Routed")
    routed = next((it for it in incident.news if it.event is Event.ROUTED and it.at_ms == moved_ms), None)
    said = "It went to another channel."
    if routed is not None:
        said = f"{routed_by(routed, called, who)} {date(routed.at_ms)}."
    blocks: list[Block] = [
        SectionBlock(text=MarkdownTextObject(text=shorten(f"{said} Its message is there now.", SECTION_MAX))),
        ContextBlock(elements=[MarkdownTextObject(text=f"`{escape(incident.id)}`")]),
    ]
    return Message(headline, (_attachment(blocks, _SNOOZED_COLOUR, headline),))


def _attachment(blocks: Sequence[Block], colour: str, fallback: str) -> dict[str, Any]:
    """As slack_sdk's BlockAttachment, which converts and validates every block twice."""
    return {"blocks": extract_json(blocks), "color": colour, "fallback": fallback}


def routed_by(entry: Entry, called: Called, who: Who) -> str:
    """Who had it go where."""
    return f"Routed by {who.and_where(entry.by, called)} {with_channels(escape(entry.detail))}"


def mention_of(incident: Incident, config: SlackConfig, name: str = SlackConfig.NAME) -> str:
    """Who the target *name* mentions; only the configuration says so, and nothing that was sent."""
    return incident.mention_of(name) or config.mention_for(incident.severity)


def _headline(incident: Incident, config: SlackConfig, name: str) -> str:
    status, emoji = incident.status.capitalize(), _EMOJI[incident.status]
    if incident.ending is Ending.FAILED:
        status = "Escalation failed"
    elif incident.ending is Ending.SUPPRESSED:
        status = "Suppressed"
    elif incident.status is Status.TRIGGERED and incident.is_escalating:
        status = "Escalated" if _has_escalated(incident, name) else "Escalating"
    elif incident.snooze is not None:
        status, emoji = "Snoozed", ":zzz:"
    mention = mention_of(incident, config, name)
    return f"{_line(incident, emoji, status)} {mention}".rstrip()


def _has_escalated(incident: Incident, name: str) -> bool:
    """Where it escalates to channels alone, the message of one of them is the escalation: nothing edits it later."""
    is_to_channels = not incident.escalations.keys() & {*incident.providers}
    return incident.ending is Ending.ESCALATED or (is_to_channels and name in incident.escalations)


def _line(incident: Incident, emoji: str, status: str) -> str:
    severity = "" if incident.severity == UNKNOWN_SEVERITY else f"{escape(incident.severity)} · "
    return shorten(f"{emoji} *{status}* · {severity}{escape(incident.title)}", HEADLINE_MAX)


def _colour(incident: Incident) -> str:
    return _SNOOZED_COLOUR if incident.snooze is not None else _COLOURS[incident.status]


def _context(
    incident: Incident, config: SlackConfig, called: Called, ack_url: str | None, warnings: tuple[str, ...], who: Who
) -> list[ContextBlock]:
    """Below the body, a line each: what happens next, what there is to know, what is not in order."""
    record_notes = tuple(note for note in (incident.record.note, incident.record.end_note) if note)
    lines = [
        shorten(_next_step(incident, called, who), FACTS_MAX),
        shorten(" · ".join(_facts(incident, config, ack_url)), FACTS_MAX),
        "\n".join(_warning_lines(tuple(dict.fromkeys((*warnings, *record_notes, *incident.warnings))))),
    ]
    return [ContextBlock(elements=[MarkdownTextObject(text=line)]) for line in lines if line]


def _facts(incident: Incident, config: SlackConfig, ack_url: str | None) -> list[str]:
    facts = [alert_count(incident)]
    if incident.occurrences > 1:
        facts.append(f"seen {incident.occurrences} times")
    if incident.source != generic.NAME:  # whose page is in the body; the name says nothing to people
        facts.append(link(incident.url, incident.source) if incident.url else escape(incident.source))
    facts += [link(url, name) for name, url in [*common_links(incident).items()][:LINKS_SHOWN]]
    if silence := alertmanager.silence_url(incident):
        facts.append(link(silence, "Silence"))
    if ack_url is not None and config.is_interactive:
        facts.append(link(ack_url, f"{_ack_word(incident)} by link"))
    return [*facts, f"`{escape(incident.id)}`"]


def _ack_word(incident: Incident) -> str:
    return RENEW if incident.status is Status.ACKNOWLEDGED else "Acknowledge"


def _next_step(incident: Incident, called: Called, who: Who) -> str:
    """Where the incident stands, and what happens next."""
    parts = []
    if (routed := _routed(incident)) is not None:
        said = routed_by(routed, called, who)
        parts.append(f"{said[0].lower()}{said[1:]} {date(routed.at_ms)}")
    if incident.acknowledged_at_ms is not None:
        until = f", until {date(ends_ms)}" if (ends_ms := incident.ack_ends_at_ms) is not None else ""
        by = who.and_where(incident.acknowledged_by, called)
        parts.append(f"acknowledged by {by} {date(incident.acknowledged_at_ms)}{until}")
    if incident.snooze is not None:
        how, end = ("put on hold", " at the latest") if incident.snooze.record else ("snoozed", "")
        by = who.and_where(incident.snooze.by, called)
        parts.append(f"{how} by {by} until {date(incident.snooze.until_ms)}{end}")
    parts.append(_escalation(incident, called))
    if incident.resolved_at_ms is not None:
        parts.append(f"resolved by {who.and_where(incident.resolved_by, called)} {date(incident.resolved_at_ms)}")
    return " · ".join(part for part in parts if part)


def _routed(incident: Incident) -> Entry | None:
    """That a person had it go elsewhere the last time, as far as that is kept."""
    return next((it for it in reversed(incident.news) if it.event is Event.ROUTED), None)


def _escalation(incident: Incident, called: Called) -> str:
    """Who was told because nobody acknowledged, and who is next."""
    at_each = (_at_provider(incident, target, called) for target in incident.later_targets)
    shown = " · ".join(text for text in at_each if text)
    if incident.status is not Status.TRIGGERED:
        return shown
    if incident.policy.name or incident.origin or not shown:
        return " · ".join(text for text in (shown, _next(incident, called)) if text)
    if incident.record.label and incident.is_waiting:
        return f"{shown} · escalates again {countdown(incident.escalates_at_ms)}"
    return shown


def _next(incident: Incident, called: Called) -> str:
    """The step to come, and when; that of a policy with a name is told with its place among the others."""
    policy, due_ms = incident.policy, incident.escalates_at_ms
    if incident.suppression is not None and incident.is_waiting:
        until = incident.suppression.until_ms
        return f":mute: {escape(incident.suppression.by)}" + (f" until {date(until)}" if until else "")
    if incident.is_held:
        return f"held until {date(due_ms)}" if due_ms else ""
    if policy.count <= 1:
        return "no escalation"
    if policy.name or incident.origin:
        following = (
            f", next: {_names(incident.next_targets, called)} {countdown(due_ms)}" if incident.is_waiting else ""
        )
        return f"{step_of(incident)}{following}"
    name = called(policy.oncall or "")
    if incident.is_escalating or policy.wait_ms == 0:
        return f"escalating to {name} now"
    return f"escalates to {name} {countdown(due_ms)}"


def _names(targets: tuple[str, ...], called: Called) -> str:
    return ", ".join(map(called, targets))


def _at_provider(incident: Incident, target: str, called: Called) -> str:
    """What an on-call provider has, or why it has nothing; "" while that is not its turn."""
    name, record = called(target), incident.delivery(target)
    if record.label:
        return f"{name} {link(record.url, record.label)}" + _trouble(record.failed_at_ms, record.error)
    if incident.has_failed(target):
        return f":warning: escalation to {name} failed: {escape(record.error)}"
    if incident.status is Status.TRIGGERED and incident.is_escalating and _fails_since_the_wait(incident, record):
        return f":warning: {held_up(incident, target, called)}"
    return ""


def held_up(incident: Incident, target: str, called: Called) -> str:
    """What keeps an on-call provider from having the incident, and when it is tried again."""
    it, again = incident.delivery(target), ""
    if incident.is_refused_by(target):
        again = "; tried again every 5 minutes"
    elif it.retry_at_ms is not None:
        again = f"; next attempt {date(it.retry_at_ms)}"
    return f"escalation to {called(target)} is being retried: {escape(it.error)}{again}"


def _fails_since_the_wait(incident: Incident, record: Delivery) -> bool:
    """A failure of an earlier wait says nothing about this one."""
    return record.failing_since_ms is not None and record.failing_since_ms >= incident.waiting_since_ms


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
