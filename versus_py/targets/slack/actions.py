"""What people may do with a message: its buttons, and what a press of one asks for."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from slack_sdk.models.blocks import (
    ActionsBlock,
    ButtonElement,
    ConfirmObject,
    InteractiveElement,
    Option,
    PlainTextObject,
    StaticSelectElement,
)

from versus_py.config import SlackConfig, SlackSnooze
from versus_py.incidents.model import Ending, Incident, IncidentId, Status

BLOCK_ID = "versus"


class Action(StrEnum):
    """What a person may do, by the action_id of its button."""

    ACKNOWLEDGE = "acknowledge"
    UNACKNOWLEDGE = "unacknowledge"
    RESOLVE = "resolve"
    ESCALATE = "escalate"
    SNOOZE = "snooze"


LINK_ACTION = "ack"
"""The action_id of a button that only opens the signed link; Slack reports its presses all the same."""


def action_block(incident: Incident, config: SlackConfig, *, ack_url: str | None) -> ActionsBlock | None:
    """The buttons that would change something now; None when there is none.

    Without a way for Slack to tell who presses them, there is the link alone: *ack_url*, if there is one.
    """
    elements = list(_elements(incident, config)) if config.is_interactive else list(_link(config, ack_url))
    return ActionsBlock(block_id=BLOCK_ID, elements=elements) if elements else None


def offered(incident: Incident, config: SlackConfig) -> list[Action]:
    """What is switched on and would change something now."""
    possible = {
        Action.ACKNOWLEDGE: incident.status is Status.TRIGGERED,
        Action.UNACKNOWLEDGE: incident.status is Status.ACKNOWLEDGED,
        Action.RESOLVE: incident.status is not Status.RESOLVED,
        Action.ESCALATE: _may_escalate(incident),
        Action.SNOOZE: incident.is_waiting and bool(config.snooze.minutes or config.snooze.until),
    }
    return [action for action, is_possible in possible.items() if is_possible and getattr(config.actions, action)]


def read_value(value: str) -> tuple[IncidentId, str]:
    """The incident that a button is about, and the choice of a snooze; "" for other buttons."""
    incident_id, _, choice = value.partition(" ")
    return IncidentId(incident_id), choice


def snoozed_until_ms(choice: str, snooze: SlackSnooze, now_ms: int) -> int:
    """When a snooze with that choice ends: in so many minutes, or the next time that it is so late.

    Raises ValueError for a choice that is neither.
    """
    if ":" not in choice:
        return now_ms + int(choice) * 60_000
    here = datetime.fromtimestamp(now_ms / 1000, UTC).astimezone(ZoneInfo(snooze.timezone))
    hour, minute = map(int, choice.split(":"))
    today = here.replace(hour=hour, minute=minute, second=0, microsecond=0)
    tomorrow = today + timedelta(days=1)  # of the clock on the wall, also when it is set forward or back that night
    # Compared as instants: when the clock is set back, the same time comes twice that day.
    instants = (day.replace(fold=fold).timestamp() for day in (today, tomorrow) for fold in (0, 1))
    return next(at_ms for at_ms in (round(instant * 1000) for instant in instants) if at_ms > now_ms)


def _may_escalate(incident: Incident) -> bool:
    has_begun = incident.is_escalating and incident.ending is not Ending.FAILED
    is_open = incident.status is not Status.RESOLVED
    return incident.policy.oncall is not None and is_open and not (incident.status is Status.TRIGGERED and has_begun)


def _elements(incident: Incident, config: SlackConfig) -> Iterator[InteractiveElement]:
    for action in offered(incident, config):
        match action:
            case Action.ACKNOWLEDGE:
                properties = config.message_properties
                style = None if properties.button_style == "default" else properties.button_style
                yield _button(incident, action, properties.button_text, style=style)
            case Action.UNACKNOWLEDGE:
                yield _button(incident, action, "Un-acknowledge")
            case Action.RESOLVE:
                yield _button(incident, action, "Resolve")
            case Action.ESCALATE:
                yield _button(incident, action, "Escalate now", confirm=_ESCALATE_CONFIRM)
            case Action.SNOOZE:
                yield _snooze(incident, config.snooze)


_ESCALATE_CONFIRM = ConfirmObject(
    title="Escalate now?", text="The on-call provider is called at once.", confirm="Escalate", deny="Cancel"
)


def _button(
    incident: Incident, action: Action, label: str, *, style: str | None = None, confirm: ConfirmObject | None = None
) -> ButtonElement:
    return ButtonElement(text=label, action_id=action, value=incident.id, style=style, confirm=confirm)


def _snooze(incident: Incident, snooze: SlackSnooze) -> StaticSelectElement:
    choices = {str(minutes): _for_minutes(minutes) for minutes in snooze.minutes}
    choices |= {time: f"until {time} ({snooze.timezone})" for time in snooze.until}
    options = [
        Option(text=PlainTextObject(text=text), value=f"{incident.id} {choice}") for choice, text in choices.items()
    ]
    return StaticSelectElement(action_id=Action.SNOOZE, placeholder="Snooze", options=options)


def _for_minutes(minutes: int) -> str:
    if minutes % 60:
        return f"for {minutes} min"
    return f"for {minutes // 60} h"


def _link(config: SlackConfig, ack_url: str | None) -> Iterator[InteractiveElement]:
    properties = config.message_properties
    if ack_url is not None and not properties.disable_button:
        style = None if properties.button_style == "default" else properties.button_style
        yield ButtonElement(text=properties.button_text, action_id=LINK_ACTION, url=ack_url, style=style)
