"""The forms that ask for more before something is done: what Slack opens, and what comes back.

Source: docs.slack.dev/surfaces/modals and …/reference/interaction-payloads/view-interactions-payload.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from slack_sdk.models.blocks import (
    ConversationFilter,
    ConversationSelectElement,
    InputBlock,
    InputInteractiveElement,
    Option,
    PlainTextInputElement,
    PlainTextObject,
    SectionBlock,
    StaticSelectElement,
)
from slack_sdk.models.views import View

from versus_py.errors import BadPayload
from versus_py.incidents.actions import Action
from versus_py.incidents.model import Incident, IncidentId
from versus_py.incidents.severity import Level
from versus_py.incidents.transitions import COMMENT_MAX
from versus_py.targets.slack.mrkdwn import shorten

CALLBACKS = {
    "versus_resolve": Action.RESOLVE,
    "versus_severity": Action.SEVERITY,
    "versus_route": Action.ROUTE,
}

TITLE_MAX = 300
OPTIONS_MAX = 100
"""What a menu offers at the most: docs.slack.dev/reference/block-kit/block-elements/select-menu-element."""

_COMMENT, _SEVERITY, _POLICY, _PLACE = "comment", "severity", "policy", "place"
_INCIDENT = re.compile(r"[!-~]{1,255}")
_CHANNEL = re.compile(r"[A-Z0-9]{1,40}")


@dataclass(frozen=True, slots=True)
class Submitted:
    """What somebody wrote and chose, and about what; *channel* is where the form was asked for."""

    action: Action
    incident_id: IncidentId
    channel: str
    comment: str = ""
    choice: str = ""  # a severity, or a policy
    place: str = ""  # another channel


def form(action: Action, incident: Incident, channel: str, policies: Sequence[str] = ()) -> dict[str, Any]:
    """The view to open for that *action*."""
    match action:
        case Action.SEVERITY:
            return _view(action, incident, channel, "Set the severity", "Set", [_severity(incident)])
        case Action.ROUTE:
            inputs = [*([_policy(policies)] if policies else []), _place(is_alone=not policies)]
            return _view(action, incident, channel, "Route the incident", "Route", inputs)
        case _:
            return _view(Action.RESOLVE, incident, channel, "Resolve the incident", "Resolve", [_comment()])


def _view(
    action: Action, incident: Incident, channel: str, title: str, submit: str, inputs: Sequence[InputBlock]
) -> dict[str, Any]:
    about = shorten(" ".join(incident.title.split()), TITLE_MAX)
    view = View(
        type="modal",
        callback_id=next(name for name, it in CALLBACKS.items() if it is action),
        title=title,
        submit=submit,
        close="Cancel",
        private_metadata=orjson.dumps({"incident": incident.id, "channel": channel}).decode(),
        blocks=[SectionBlock(text=PlainTextObject(text=about)), *inputs],
    )
    found: dict[str, Any] = view.to_dict()
    return found


def _input(name: str, label: str, hint: str, element: InputInteractiveElement, *, optional: bool = False) -> InputBlock:
    return InputBlock(block_id=name, label=label, hint=hint, element=element, optional=optional)


def _comment() -> InputBlock:
    element = PlainTextInputElement(action_id=_COMMENT, multiline=True, max_length=COMMENT_MAX)
    hint = "In the thread, the timeline, and the close notes of the record."
    return _input(_COMMENT, "Why is it over?", hint, element, optional=True)


def _severity(incident: Incident) -> InputBlock:
    levels = [it.severity for it in Level if it is not Level.UNKNOWN and it.severity != incident.severity]
    hint = "A graver one is news: the incident is told by its policy, and who acknowledged it hears of it."
    return _input(_SEVERITY, f"Instead of {incident.severity}", hint, _menu(_SEVERITY, levels))


def _policy(policies: Sequence[str]) -> InputBlock:
    hint = "The escalation starts again, with its first step."
    return _input(_POLICY, "Policy", hint, _menu(_POLICY, policies), optional=True)


def _place(*, is_alone: bool) -> InputBlock:
    channels = ConversationFilter(include=["public", "private"], exclude_bot_users=True)
    hint = "The incident is posted there, and its escalation starts again. This app has to be in the channel."
    element = ConversationSelectElement(action_id=_PLACE, filter=channels)
    return _input(_PLACE, "Channel", hint, element, optional=not is_alone)


def _menu(name: str, choices: Sequence[str]) -> StaticSelectElement:
    options = [Option(text=PlainTextObject(text=it), value=it) for it in choices[:OPTIONS_MAX]]
    return StaticSelectElement(action_id=name, options=options)


def read_submitted(view: Mapping[str, Any]) -> Submitted | None:
    """What a form that was sent says; None where it is none of ours. Raises BadPayload."""
    callback_id = view.get("callback_id")
    action = CALLBACKS.get(callback_id) if isinstance(callback_id, str) else None
    if action is None:
        return None
    try:
        about = orjson.loads(view["private_metadata"])
        incident_id, channel = about["incident"], about["channel"]
        said = _said(view["state"]["values"], action)
        is_right = bool(_INCIDENT.fullmatch(incident_id) and _CHANNEL.fullmatch(channel))
        found = Submitted(action, IncidentId(incident_id), channel, **said)
    except (KeyError, TypeError, AttributeError, ValueError):
        is_right = False
    if not is_right:
        raise BadPayload("the view is not what Slack sends of the form that was opened")
    return found


def _said(values: Mapping[str, Any], action: Action) -> dict[str, str]:
    """What is in the inputs of that form. Raises KeyError and the like where they are others."""
    match action:
        case Action.SEVERITY:
            return {"choice": _chosen(values, _SEVERITY)}
        case Action.ROUTE:
            policy = _chosen(values, _POLICY) if _POLICY in values else ""
            place = values[_PLACE][_PLACE].get("selected_conversation") or ""
            if place and not _CHANNEL.fullmatch(place):
                raise ValueError(place)
            return {"choice": policy, "place": place}
        case _:
            comment = values[_COMMENT][_COMMENT].get("value") or ""
            return {"comment": comment.strip()[:COMMENT_MAX]}


def _chosen(values: Mapping[str, Any], name: str) -> str:
    option = values[name][name].get("selected_option") or {"value": ""}
    return str(option["value"])
