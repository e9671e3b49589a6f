"""What Slack says that somebody pressed: docs.slack.dev/reference/interaction-payloads/block_actions-payload."""

import re
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any

import orjson

from versus_py.config import MAX_WAIT_MINUTES, SlackConfig
from versus_py.errors import BadPayload
from versus_py.incidents.actions import Action
from versus_py.incidents.model import Actor
from versus_py.targets.interactive import FormPress, IncidentPress, Press, StormPress
from versus_py.targets.slack.actions import (
    ACKNOWLEDGE_ALL,
    MORE,
    MORE_ACTIONS,
    RESOLVE_WITH_COMMENT,
    read_storm,
    read_value,
)
from versus_py.targets.slack.forms import read_submitted
from versus_py.targets.slack.people import short_name

ACTIONS_MAX = 25
"""A block of actions has no more elements; a payload mostly tells of one."""

# No set: what is looked for in it may be anything.
_OURS = (*(it for it in Action if it not in MORE_ACTIONS), RESOLVE_WITH_COMMENT, MORE, ACKNOWLEDGE_ALL)
ID = re.compile(r"[A-Z0-9]{1,40}")
TS = re.compile(r"[0-9]{1,20}\.[0-9]{1,10}")
_STORM = re.compile(r"[!-~][ -~]{0,200} [0-9a-f]{1,40}")
_TRIGGER = re.compile(r"[!-~]{1,255}")
_VALUE = re.compile(r"[!-~][ -~]{0,254}")
_TIME = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")
_MINUTES = re.compile(r"[1-9][0-9]{0,5}")


def read_presses(payload: Any) -> tuple[Press, ...]:
    """The presses that ask for something; none in interactions of other kinds, or of a button that is only a link.

    Raises BadPayload when it is no interaction of Slack's at all.
    """
    kind = mapping(payload, "the payload").get("type")
    if not isinstance(kind, str):
        raise BadPayload("the payload has no type")
    match kind:
        case "block_actions":
            return tuple(_presses(payload))
        case "view_submission":
            return tuple(_submitted(payload))
        case _:
            return ()


def _submitted(payload: Mapping[str, Any]) -> Iterator[Press]:
    """A form that was sent, if it is one of ours."""
    view = mapping(payload.get("view"), "view")
    found = read_submitted(view)
    if found is not None:
        user_id, actor = _who(payload)
        view_id = matching(ID, view.get("id"), "view.id")
        yield IncidentPress(
            system=SlackConfig.NAME,
            actor=actor,
            where={"channel": found.channel},
            request_id=request_id(user_id, view_id, found.incident_id),
            action=found.action,
            incident_id=found.incident_id,
            choice=found.choice,
            place=found.place,
            comment=found.comment,
        )


def _presses(payload: Mapping[str, Any]) -> Iterator[Press]:
    actions = payload.get("actions")
    if not isinstance(actions, list) or len(actions) > ACTIONS_MAX:
        raise BadPayload("actions is not a list of actions")
    for it in actions:
        action = mapping(it, "an action")
        if action.get("action_id") in _OURS:
            yield _press(payload, action)


def _press(payload: Mapping[str, Any], action: Mapping[str, Any]) -> Press:
    user_id, actor = _who(payload)
    container = mapping(payload.get("container"), "container")
    channel = matching(ID, container.get("channel_id"), "container.channel_id")
    message_ts = matching(TS, container.get("message_ts"), "container.message_ts")
    action_ts = matching(TS, action.get("action_ts"), "action_ts")
    kind = action["action_id"]
    value = matching(_VALUE, _value(action), "the action's value")
    who: dict[str, Any] = {
        "system": SlackConfig.NAME,
        "actor": actor,
        "where": {"channel": channel},
        "request_id": request_id(user_id, channel, message_ts, kind, value, action_ts),
    }
    if kind == ACKNOWLEDGE_ALL:
        place, storm_id = read_storm(matching(_STORM, value, "the action's value"))
        return StormPress(place=place, storm_id=storm_id, **who)
    incident_id, choice = read_value(value)
    if kind in {RESOLVE_WITH_COMMENT, MORE}:
        if (choice in MORE_ACTIONS) is not (kind == MORE):
            raise BadPayload("the choice is none of those that are offered")
        trigger_id = matching(_TRIGGER, payload.get("trigger_id"), "trigger_id")
        who["where"] = {"channel": channel, "trigger_id": trigger_id}
        return FormPress(action=Action(choice or Action.RESOLVE), incident_id=incident_id, **who)
    if kind == Action.SNOOZE:
        _check_choice(choice)
    return IncidentPress(action=Action(kind), incident_id=incident_id, choice=choice, **who)


def _who(payload: Mapping[str, Any]) -> tuple[str, Actor]:
    """The user's id, and who that is as far as the payload tells."""
    user = mapping(payload.get("user"), "user")
    user_id = matching(ID, user.get("id"), "user.id")
    name = short_name(user.get("name"), user.get("username")) or user_id
    return user_id, Actor(name, ids={SlackConfig.NAME: user_id})


def _value(action: Mapping[str, Any]) -> Any:
    """That of a button, or of what was chosen in a menu."""
    if "selected_option" in action:
        return mapping(action["selected_option"], "selected_option").get("value")
    return action.get("value")


def _check_choice(choice: str) -> None:
    if _TIME.fullmatch(choice) or (_MINUTES.fullmatch(choice) and int(choice) <= MAX_WAIT_MINUTES):
        return
    raise BadPayload("the choice is neither a number of minutes nor a time of day")


def request_id(*parts: str) -> str:
    """An id of what these tell from all else."""
    return sha256(orjson.dumps(parts)).hexdigest()[:32]


def mapping(value: Any, name: str) -> Mapping[str, Any]:
    """*value*, which is an object; else BadPayload says what *name* is."""
    if not isinstance(value, dict):
        raise BadPayload(f"{name} is not an object")
    return value


def matching(pattern: re.Pattern[str], value: Any, name: str) -> str:
    """*value*, which is a text of that form; else BadPayload says what *name* is."""
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise BadPayload(f"{name} is missing or not what Slack sends")
    return value
