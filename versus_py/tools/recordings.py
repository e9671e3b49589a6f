"""Recordings: what was posted, and what people did, a line of JSON each."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

import orjson
from multidict import MultiDict
from pydantic import SecretStr

from versus_py.config import Config, IntakeToken
from versus_py.engine.policies import Policies
from versus_py.incidents import heartbeats
from versus_py.incidents.model import Event, Notification, Outcome, PolicyFor
from versus_py.incidents.severity import is_severity
from versus_py.sources import SOURCES
from versus_py.sources.fields import time_ms
from versus_py.web.intake.overrides import read_overrides
from versus_py.web.intake.reading import Reader, read_body


@dataclass(frozen=True, slots=True)
class Posted:
    """A body that was posted, and where it is recorded."""

    where: str
    at_ms: int
    body: bytes
    query: str
    sender: str = ""  # the name of the intake token that it came with


class Action(StrEnum):
    """What people do to an incident."""

    ACKNOWLEDGE = "acknowledge"
    UNACKNOWLEDGE = "unacknowledge"
    RESOLVE = "resolve"
    ESCALATE = "escalate"
    SNOOZE = "snooze"
    SET_SEVERITY = "set_severity"


_NO_TOKEN = IntakeToken(name="none", token=SecretStr("none"))

_LOGGED = {
    Event.ACKNOWLEDGED: Action.ACKNOWLEDGE,
    Event.UNACKNOWLEDGED: Action.UNACKNOWLEDGE,
    Event.RESOLVED: Action.RESOLVE,
    Event.ESCALATING: Action.ESCALATE,
    Event.SNOOZED: Action.SNOOZE,
    Event.SEVERITY_RAISED: Action.SET_SEVERITY,
    Event.SEVERITY_CHANGED: Action.SET_SEVERITY,
}
"""What people did, by what the log says of it."""

_NO_PERSON = {*SOURCES, heartbeats.TARGET}


@dataclass(frozen=True, slots=True)
class Acted:
    """What somebody did to the open incident with this title, dedup key or id."""

    where: str
    at_ms: int
    action: Action
    incident: str
    by: str
    until_ms: int | None = None  # of a snooze
    severity: str = ""  # that is set


Record = Posted | Acted

Read = Callable[[Posted], tuple[list[Notification], PolicyFor, list[str]]]
"""What a body and its query string say, the policy for each notification, and warnings. Raises BadPayload."""


def read_lines(name: str, lines: Iterable[bytes]) -> tuple[list[Record], list[str]]:
    """The records of one file, and a sentence with file and line for each line that is broken.

    Empty lines, and lines of versus_py's log that hold no body, are left out. So is what people did to incidents which
    no payload leads to: those of silent heartbeats, and those that began with a ticket.
    """
    records: list[Record] = []
    problems = []
    others: set[str] = set()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            data = _object(line)
            record = _record(f"{name}:{number}", data)
        except ValueError as exc:
            problems.append(f"{name}:{number}: {exc}")
        else:
            records += [] if record is None else [record]
            others |= {str(data.get("incident"))} if _begins_without_payload(data) else set()
    return [it for it in records if isinstance(it, Posted) or it.incident not in others], problems


def reader(config: Config) -> Read:
    """How the server reads what is posted."""
    payload_reader, policies = Reader(config), Policies(config)
    tokens = {it.name: it for it in config.intake.tokens}

    def read(posted: Posted) -> tuple[list[Notification], PolicyFor, list[str]]:
        token = tokens.get(posted.sender, _NO_TOKEN)
        query = MultiDict(parse_qsl(posted.query, keep_blank_values=True))
        overrides = read_overrides(query, config, token.overrides, policy=token.policy)
        _, payloads, left_out = read_body(posted.body)
        found = payload_reader.read(payloads, overrides, posted.sender)
        notifications = [it for it in found.notifications if it is not None]
        policy_for = partial(policies.of, asked=overrides.asked)
        beats = [f"a beat of {it.heartbeat}: what its silence leads to is not replayed" for it in found.beats]
        unknown = [f"no intake token is called {posted.sender!r}"] if posted.sender not in {"", *tokens} else []
        return notifications, policy_for, [*unknown, *overrides.warnings, *left_out, *found.warnings, *beats]

    return read


def _object(line: bytes) -> Mapping[str, Any]:
    """Raises ValueError with a sentence."""
    try:
        data = orjson.loads(line)
    except orjson.JSONDecodeError as exc:
        raise ValueError(f"this is not JSON: {exc.msg}") from None
    if not isinstance(data, dict):
        raise ValueError("this is no JSON object")  # noqa: TRY004 - one error for whatever is wrong with a line
    return data


def _record(where: str, data: Mapping[str, Any]) -> Record | None:
    """Raises ValueError with a sentence."""
    if "event" in data:
        return _logged(where, data)
    at_ms = _time(data, "at")
    if "payload" in data:
        body = orjson.dumps(data["payload"])
        return Posted(where, at_ms, body, _text(data, "query", ""), _text(data, "sender", ""))
    action = next((it for it in Action if it in data), None)
    if action is None:
        raise ValueError(f"one of payload, {', '.join(Action)} is required")
    return Acted(
        where,
        at_ms,
        action,
        _text(data, action),
        _text(data, "by", "somebody"),
        _time(data, "until") if action is Action.SNOOZE else None,
        _severity(data) if action is Action.SET_SEVERITY else "",
    )


def _begins_without_payload(data: Mapping[str, Any]) -> bool:
    match data:
        case {"event": "heartbeat.silent"} | {"event": "intake.accepted", "ticket": _, "outcome": Outcome.CREATED}:
            return True
        case _:
            return False


def _severity(data: Mapping[str, Any]) -> str:
    severity = _text(data, "severity")
    if not is_severity(severity):
        raise ValueError(f"severity is {severity!r}; write one such as critical, error, warning, notice or info")
    return severity


def _logged(where: str, data: Mapping[str, Any]) -> Record | None:
    """A line of versus_py's own log: a body, or what a person did. What others did is no person's."""
    match data:
        case {"event": "intake.body"}:
            body, query, sender = _text(data, "body").encode(), _text(data, "query", ""), _text(data, "sender", "")
            return Posted(where, _time(data, "timestamp"), body, query, sender)
        case {"event": "incident.changed", "what": what, "by": by} if what in _LOGGED and by not in _NO_PERSON:
            return _act(where, data, _LOGGED[what])
        case _:
            return None


def _act(where: str, data: Mapping[str, Any], action: Action) -> Acted:
    """Its detail says until when a snooze lasts, and what a severity was and is."""
    detail = _text(data, "detail", "")
    return Acted(
        where,
        _time(data, "timestamp"),
        action,
        _text(data, "incident"),
        _text(data, "by"),
        _until_ms(detail) if action is Action.SNOOZE else None,
        detail.rpartition(" → ")[2] if action is Action.SET_SEVERITY else "",
    )


def _until_ms(detail: str) -> int:
    try:
        return round(datetime.strptime(f"{detail} +0000", "until %Y-%m-%d %H:%M UTC %z").timestamp() * 1000)
    except ValueError:
        raise ValueError(f"detail is {detail!r}; of a snooze, it is until when it lasts") from None


def _time(data: Mapping[str, Any], name: str) -> int:
    found = time_ms(data.get(name))
    if found is None:
        raise ValueError(f"{name} is {data.get(name)!r}; write an RFC 3339 time such as 2026-05-04T10:20:01Z")
    return found


def _text(data: Mapping[str, Any], name: str, default: str | None = None) -> str:
    value = default if data.get(name) is None else data[name]
    if not isinstance(value, str):
        raise ValueError(f"{name} is {value!r}; write text")  # noqa: TRY004 - one error for whatever is wrong with a line
    return value
