"""What the thread says: one line for each event that somebody would want to be pinged about, and none twice.

Slack does not notify of edits, so these are posts of their own. What has been said is kept with the delivery, and
in the metadata of each post, so that it can be found there after a lost answer.
"""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct, structs

from versus_py.config import SlackConfig
from versus_py.incidents.copies import replace
from versus_py.incidents.model import Delivery, Ending, Entry, Event, Incident, Status
from versus_py.incidents.rounds import step_of
from versus_py.targets.slack.message import HEADLINE_MAX, held_up, mention_of, routed_by
from versus_py.targets.slack.mrkdwn import escape, link, shorten
from versus_py.targets.slack.who import Who, address
from versus_py.targets.target import Called

LINES_MAX = 5
"""The most lines of one post beside those about an escalation; of more, the latest."""

COMMENT_MAX = 1000

_EMOJI = {
    Event.JOINED: ":heavy_plus_sign:",
    Event.REOPENED: ":repeat:",
    Event.UNACKNOWLEDGED: ":leftwards_arrow_with_hook:",
    Event.SNOOZE_OVER: ":bell:",
    Event.SEVERITY_RAISED: ":small_red_triangle:",
    Event.SEVERITY_CHANGED: ":small_red_triangle_down:",
    Event.RESCHEDULED: ":fast_forward:",
    Event.ROUTED: ":arrow_right:",
    Event.ACK_ENDED: ":alarm_clock:",
    Event.RETRIGGERED: ":bangbang:",
    Event.RESOLVED: ":white_check_mark:",
    Event.COMMENTED: ":speech_balloon:",
    Event.ASSIGNED: ":bust_in_silhouette:",
    Event.ON_HOLD: ":double_vertical_bar:",
    Event.REOPENED_THERE: ":information_source:",
    Event.STILL_FIRING: ":fire:",
}
_PINGING = {Event.SEVERITY_RAISED, Event.RESCHEDULED, Event.ACK_ENDED, Event.RETRIGGERED}
"""Of what those have to hear who dealt with the incident: it is said with the mention."""


class Told(Struct, frozen=True):
    """How much the thread has been told."""

    news: int = 0  # the number of the last news
    comments: int = 0  # the number of the on-call provider's last comment
    escalation: str = ""  # the record that it last escalated as, and when
    failure: str = ""  # the escalation that was given up
    hold_up: str = ""  # the escalation that is held up
    record: str = ""  # what went wrong with the record, and at which status
    call: str = ""  # the step that its own target was last told by

    @classmethod
    def everything(cls, incident: Incident, name: str) -> "Told":
        """All there is to tell the thread of the target *name*; what a new message shows by itself."""
        told = (_written(_escalations(incident, name)), _failure(incident), _hold_up(incident), _record(incident))
        return cls(incident.news_count, incident.comment_count, *told, _call(incident, name))

    @classmethod
    def by_message(cls, incident: Incident, name: str) -> "Told":
        """What a new message of it shows by itself: all but comments, and what came after the first here."""
        everything = cls.everything(incident, name)
        commented = [number for number, it in enumerate(incident.news) if it.event is Event.COMMENTED]
        untold = len(incident.news) - commented[0] if commented else 0
        return replace(everything, news=everything.news - untold, comments=0)

    def with_all(self, incident: "Incident", name: str) -> "Told":
        """The same once that is told.

        The last escalation to each, and the last one that was held up, are known until there is another: what holds
        one up may pass and come back.
        """
        everything = Told.everything(incident, name)
        escalation = _written(self.escalations | everything.escalations)
        hold_up, call = everything.hold_up or self.hold_up, everything.call or self.call
        return replace(everything, escalation=escalation, hold_up=hold_up, call=call)

    @property
    def escalations(self) -> dict[str, str]:
        """What it escalated as -> when; as kept in `escalation`."""
        told = (line.rpartition(" ") for line in self.escalation.split("\n") if line)
        return {record: at for record, _, at in told}

    @classmethod
    def read(cls, said: Mapping[str, Any]) -> "Told":
        """From what `written` made; whatever is missing or odd has not been told."""

        def number(key: str) -> int:
            value = str(said.get(key, ""))
            return int(value) if value.isdecimal() else 0

        keys = ("told_escalation", "told_failure", "told_hold_up", "told_record", "told_call")
        return cls(number("told_news"), number("told_comments"), *(str(said.get(key, "")) for key in keys))

    def within(self, incident: Incident) -> "Told":
        """No more than there is: what was told before Redis was emptied is no news of an incident that began anew."""
        news, comments = min(self.news, incident.news_count), min(self.comments, incident.comment_count)
        return replace(self, news=news, comments=comments)

    def written(self) -> dict[str, str]:
        return {f"told_{name}": str(value) for name, value in structs.asdict(self).items()}


class Reply(Struct, frozen=True):
    """A post in the thread."""

    text: str
    is_urgent: bool  # it tells of an escalation, or of news that people have to hear


def reply_of(
    incident: Incident,
    told: Told,
    config: SlackConfig,
    called: Called,
    name: str = SlackConfig.NAME,
    *,
    locator: str = "",
    who: Who | None = None,
) -> Reply | None:
    """What the thread of the target *name* is to be told now, but for what was written in it; None for nothing.

    *locator* is that of the thread's message. *who* tells what to call people.
    """
    mention, known, who = mention_of(incident, config, name), told.escalations, who or Who()
    urgent = []
    if _call(incident, name) not in {"", told.call} and incident.status is Status.TRIGGERED:
        urgent.append(_called_again(incident, name, who))
    for target in incident.later_targets:
        for record, at in _escalations(incident, name, target).items():
            if known.get(record) != at:
                urgent.append(_escalated(incident, target, called, who, is_again=record in known))
    if _failure(incident) not in {"", told.failure}:
        urgent.append(_failed(incident, called))
    if _hold_up(incident) not in {"", told.hold_up}:
        urgent.append(_held_up(incident, called))
    urgent = [f"{line} {mention}".rstrip() for line in urgent]
    news = [it for it in incident.news_after(told.news) if _is_told(it) and not (it.locator and it.locator == locator)]
    lines = [_news(entry, called, who) for entry in news]
    if _record(incident) not in {"", told.record}:
        lines += _at_records(incident, called)
    lines += _comments(incident, told, who)
    if not urgent and not lines:
        return None
    left_out = len(lines) - LINES_MAX
    earlier = [f"… {left_out} more"] if left_out > 0 else []
    shown = [*urgent, *earlier, *lines[-LINES_MAX:]]
    is_pinging = not urgent and any(_is_pinging(incident, entry) for entry in news)
    if is_pinging:
        shown[-1] = f"{shown[-1]} {mention}".rstrip()
    return Reply("\n".join(shown), is_urgent=bool(urgent) or is_pinging)


def _is_pinging(incident: Incident, entry: Entry) -> bool:
    """Whether somebody has to hear of it: while nobody deals with it, or of who does that it is graver than it was."""
    if entry.event is Event.SEVERITY_RAISED and entry.by is not None and incident.status is Status.ACKNOWLEDGED:
        return (incident.acknowledged_at_ms or 0) <= entry.at_ms
    if entry.event is Event.RESCHEDULED and not incident.is_waiting:
        return False
    return incident.status is Status.TRIGGERED and not incident.is_held and entry.event in _PINGING


def _escalations(incident: Incident, name: str, *targets: str) -> dict[str, str]:
    """What tells the escalations of *targets*, or of all, from others: what each is told as -> since when.

    But for the thread's own target *name*.
    """
    told = (it for it in targets or incident.later_targets if it != name and incident.has_told(it))
    calls = ((target, incident.call_of(target)) for target in told)
    return {_record_name(incident, target): str(call.at_ms) for target, call in calls if call is not None}


def _written(escalations: Mapping[str, str]) -> str:
    return "\n".join(f"{record} {at}" for record, at in escalations.items())


def _record_name(incident: Incident, target: str) -> str:
    """Of the records of all targets: each counts its own from one."""
    label = incident.delivery(target).label
    return label if target == incident.policy.oncall else f"{target} {label}"


def _call(incident: Incident, name: str) -> str:
    """What tells a step that has come for the thread's own target from others; "" for a first one without a hold."""
    call = incident.calls.get(name)
    is_late = call is not None and (call.step > 0 or call.at_ms > incident.waiting_since_ms)
    return f"{call.step} {call.at_ms}" if call is not None and is_late else ""


def _called_again(incident: Incident, name: str, who: Who) -> str:
    call, asked = incident.calls[name], incident.escalated_by
    why = f"Escalated by {who(asked)}" if asked and call == incident.latest_call else "Nobody has acknowledged"
    return f":loudspeaker: {why}: {step_of(incident, call.step)}"


def _failure(incident: Incident) -> str:
    """What tells one failed escalation from others: repeats of the alert try it again, and fail again."""
    call = incident.latest_call
    return str(call.at_ms) if call is not None and incident.ending is Ending.FAILED else ""


def _hold_up(incident: Incident) -> str:
    """What tells one escalation that is held up from others: people are told once, whatever the reasons are."""
    call = None if incident.held_up_by is None else incident.call_of(incident.held_up_by)
    return "" if call is None else str(call.at_ms)


def _record(incident: Incident) -> str:
    """What tells trouble with records from other trouble; repeats try again, and mostly fail in the same way."""
    sides = ((target, incident.delivery(target)) for target in incident.providers)
    found = [f"{target} {_went_wrong(it)}" for target, it in sides if _went_wrong(it)]
    return f"{incident.status} {' '.join(found)}" if found else ""


def _went_wrong(record: Delivery) -> str:
    if record.label and record.failed_at_ms is not None:
        return "refused"
    return "ended otherwise" if record.end_note else ""


def _at_records(incident: Incident, called: Called) -> list[str]:
    lines = []
    for target in incident.providers:
        it = incident.delivery(target)
        match _went_wrong(it):
            case "refused":
                still = ", and may still be open" if incident.status is Status.RESOLVED else ""
                said = f"{called(target)} {it.label} is not up to date{still}: {it.error}"
            case "ended otherwise":
                said = it.end_note
            case _:
                continue
        lines.append(shorten(f":warning: {escape(said)}", HEADLINE_MAX))
    return lines


def _is_told(entry: Entry) -> bool:
    """The message itself says by whom it is resolved, but not why."""
    return entry.event in _EMOJI and (entry.event is not Event.RESOLVED or bool(entry.detail))


def _news(entry: Entry, called: Called, who: Who) -> str:
    if entry.event is Event.COMMENTED:
        return f"{_EMOJI[entry.event]} {who(entry.by)}: {shorten(escape(entry.detail), COMMENT_MAX)}"
    said = _said_of_deed(entry, called, who) or _said_of_event(entry)
    return shorten(f"{_EMOJI[entry.event]} {said}", HEADLINE_MAX)


def _said_of_deed(entry: Entry, called: Called, who: Who) -> str:
    """What somebody did; "" for what came about by itself."""
    by, detail = who.and_where(entry.by, called), escape(entry.detail)
    if entry.event is Event.ROUTED:
        return f"{routed_by(entry, called, who)}: the escalation starts again"
    if entry.event is Event.SEVERITY_RAISED:
        return f"The severity was raised by {by}: {detail}" if entry.by is not None else ""
    deeds = {
        Event.RESOLVED: f"Resolved by {by}: {detail}",
        Event.UNACKNOWLEDGED: f"Given back by {by}: the wait starts again",
        Event.SEVERITY_CHANGED: f"The severity was changed by {by}: {detail}",
        Event.RESCHEDULED: f"The priority was changed by {by}: {detail}",
        Event.ASSIGNED: f"Assigned {_to_whom(entry, who)} by {by}",
        Event.ON_HOLD: f"Put on hold by {by}: {detail}",
        Event.REOPENED_THERE: f"Reopened by {by}: {detail}, and the incident stays resolved",
    }
    return deeds.get(entry.event, "")


def _to_whom(entry: Entry, who: Who) -> str:
    """To whom it was assigned: they are mentioned, as they have to hear of it, unless they did it themselves."""
    detail, whom = escape(entry.detail), entry.whom
    if whom is None:
        return detail
    is_own = entry.by is not None and address(entry.by.email) == address(whom.email)
    return detail.replace(escape(whom.name), who(whom) if is_own else who.mention(whom), 1)


def _said_of_event(entry: Entry) -> str:
    match entry.event:
        case Event.REOPENED:
            said = f"Reopened: {escape(entry.detail)}"
        case Event.SNOOZE_OVER:
            said = "The snooze is over: the wait goes on"
        case Event.SEVERITY_RAISED:
            said = f"The severity rose: {escape(entry.detail)}"
        case Event.ACK_ENDED:
            said = f"The acknowledgment has ended, and the wait starts again: {escape(entry.detail)}"
        case Event.STILL_FIRING:
            said = f"Still firing: {escape(entry.detail)}"
        case Event.RETRIGGERED:
            said = f"Triggered again, and the wait starts again: {escape(entry.detail)}"
        case _:
            said = escape(entry.detail)
    return said


def _escalated(incident: Incident, target: str, called: Called, who: Who, *, is_again: bool) -> str:
    """With its record; *is_again* where that is the one of an earlier escalation."""
    record, asked = incident.delivery(target), incident.escalated_by
    if target == incident.origin:  # it has been there from the start
        why = f"{who(asked)} has escalated it" if asked else "nobody has acknowledged"
        return f":rotating_light: {called(target)} {link(record.url, record.label)} was told that {why}"
    where = "again, noted in" if is_again else "as"
    wish = f", as {who(asked)} asked" if asked else ""
    return f":rotating_light: Escalated to {called(target)} {where} {link(record.url, record.label)}{wish}"


def _failed(incident: Incident, called: Called) -> str:
    failed = [target for target in incident.later_targets if incident.has_failed(target)]
    names, error = ", ".join(map(called, failed[:1])), incident.delivery(failed[0]).error if failed else ""
    return shorten(f":warning: Escalation to {names} failed: {escape(error)}", HEADLINE_MAX)


def _held_up(incident: Incident, called: Called) -> str:
    target = incident.held_up_by or ""
    return shorten(f":warning: {held_up(incident, target, called)}", HEADLINE_MAX)


def _comments(incident: Incident, told: Told, who: Who) -> list[str]:
    missed = incident.comment_count - told.comments
    comments = incident.comments[-missed:] if missed > 0 else ()
    return [
        f":speech_balloon: *{who.called(it.by, it.email)}* in {link(record.url, record.label)}: "
        f"{shorten(escape(it.text), COMMENT_MAX)}"
        for record, it in comments
    ]
