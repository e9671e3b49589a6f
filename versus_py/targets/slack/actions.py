"""What people may do with a message: its buttons, and what a press of one asks for."""

from collections.abc import Iterator, Sequence

from slack_sdk.models.blocks import (
    ActionsBlock,
    ButtonElement,
    ConfirmObject,
    InteractiveElement,
    Option,
    OverflowMenuElement,
    PlainTextObject,
    StaticSelectElement,
)

from versus_py.config import SlackConfig, SlackSnooze
from versus_py.incidents.actions import Action, possible_actions
from versus_py.incidents.model import Incident, IncidentId, Status
from versus_py.store import Storm

BLOCK_ID = "versus"


RENEW = "Renew acknowledgment"
"""Acknowledging again, where acknowledgments end."""

LINK_ACTION = "ack"
"""The action_id of a button that only opens the signed link; Slack reports its presses all the same."""


RESOLVE_WITH_COMMENT = "resolve_with_comment"
"""The action_id of the button that asks for a comment before it resolves."""

MORE = "more"
"""The action_id of the menu of actions that ask for more before they are done, in a form."""

MORE_ACTIONS = {Action.SEVERITY: "Set severity…", Action.ROUTE: "Route…"}
"""What it offers."""

ACKNOWLEDGE_ALL = "acknowledge_all"
"""The action_id of the button of a storm's message."""


def action_block(incident: Incident, config: SlackConfig, *, ack_url: str | None) -> ActionsBlock | None:
    """The buttons that would change something now; None when there is none.

    Without a way for Slack to tell who presses them, there is the link alone: *ack_url*, if there is one.
    """
    elements = list(_elements(incident, config)) if config.is_interactive else list(_link(incident, config, ack_url))
    return ActionsBlock(block_id=BLOCK_ID, elements=elements) if elements else None


def offered(incident: Incident, config: SlackConfig) -> list[Action]:
    """What is switched on and would change something now."""
    has_choices = bool(config.snooze.minutes or config.snooze.until)
    shown = (it for it in possible_actions(incident) if it is not Action.SNOOZE or has_choices)
    return [action for action in shown if getattr(config.actions, action)]


def ack_text(incident: Incident, config: SlackConfig) -> str:
    """What to call acknowledging it now."""
    return RENEW if incident.status is Status.ACKNOWLEDGED else config.message_properties.button_text


def acknowledge_all_block(storm: Storm, config: SlackConfig) -> ActionsBlock | None:
    """The button that acknowledges all incidents of *storm*; None where it would change nothing, or is switched off."""
    if not config.is_interactive or not config.actions.acknowledge or not storm.waiting:
        return None
    confirm = ConfirmObject(
        title="Acknowledge all?",
        text=f"You take every incident of this storm that needs somebody: {storm.waiting} when this was written.",
        confirm="Acknowledge all",
        deny="Cancel",
    )
    button = ButtonElement(
        text=f"Acknowledge all ({storm.waiting})",
        action_id=ACKNOWLEDGE_ALL,
        value=f"{storm.place} {storm.id}",
        style="primary",
        confirm=confirm,
    )
    return ActionsBlock(block_id=BLOCK_ID, elements=[button])


def read_storm(value: str) -> tuple[str, str]:
    """The place and the id of the storm that such a button is about."""
    place, _, storm_id = value.rpartition(" ")
    return place, storm_id


def read_value(value: str) -> tuple[IncidentId, str]:
    """The incident that a button is about, and what was chosen in a menu; "" for buttons."""
    incident_id, _, choice = value.partition(" ")
    return IncidentId(incident_id), choice


def _elements(incident: Incident, config: SlackConfig) -> Iterator[InteractiveElement]:
    for action in offered(incident, config):
        match action:
            case Action.ACKNOWLEDGE:
                yield _button(incident, action, ack_text(incident, config), style=_ack_style(incident, config))
            case Action.UNACKNOWLEDGE:
                yield _button(incident, action, "Un-acknowledge")
            case Action.RESOLVE:
                yield _button(incident, action, "Resolve")
                yield _button(incident, RESOLVE_WITH_COMMENT, "Resolve with comment")
            case Action.ESCALATE:
                yield _button(incident, action, "Escalate now", confirm=_ESCALATE_CONFIRM)
            case Action.SNOOZE:
                yield _snooze(incident, config.snooze)
    more = [action for action in offered(incident, config) if action in MORE_ACTIONS]
    if more:
        yield _more(incident, more)


_ESCALATE_CONFIRM = ConfirmObject(
    title="Escalate now?",
    text="The next step of the escalation begins at once. If somebody has acknowledged, that ends.",
    confirm="Escalate",
    deny="Cancel",
)


def _button(
    incident: Incident, action: str, label: str, *, style: str | None = None, confirm: ConfirmObject | None = None
) -> ButtonElement:
    return ButtonElement(text=label, action_id=action, value=incident.id, style=style, confirm=confirm)


def _snooze(incident: Incident, snooze: SlackSnooze) -> StaticSelectElement:
    choices = {str(minutes): _for_minutes(minutes) for minutes in snooze.minutes}
    choices |= {time: f"until {time} ({snooze.timezone})" for time in snooze.until}
    options = [
        Option(text=PlainTextObject(text=text), value=f"{incident.id} {choice}") for choice, text in choices.items()
    ]
    return StaticSelectElement(action_id=Action.SNOOZE, placeholder="Snooze", options=options)


def _more(incident: Incident, actions: Sequence[Action]) -> OverflowMenuElement:
    options = [
        Option(text=PlainTextObject(text=MORE_ACTIONS[action]), value=f"{incident.id} {action}") for action in actions
    ]
    return OverflowMenuElement(action_id=MORE, options=options)


def _for_minutes(minutes: int) -> str:
    if minutes % 60:
        return f"for {minutes} min"
    return f"for {minutes // 60} h"


def _link(incident: Incident, config: SlackConfig, ack_url: str | None) -> Iterator[InteractiveElement]:
    if ack_url is not None and not config.message_properties.disable_button:
        text, style = ack_text(incident, config), _ack_style(incident, config)
        yield ButtonElement(text=text, action_id=LINK_ACTION, url=ack_url, style=style)


def _ack_style(incident: Incident, config: SlackConfig) -> str | None:
    style = config.message_properties.button_style
    return None if style == "default" or incident.status is Status.ACKNOWLEDGED else style
