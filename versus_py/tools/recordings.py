"""Recordings: what was posted, and what people did, a line of JSON each."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal
from urllib.parse import parse_qsl

import orjson
from multidict import MultiDict

from versus_py.config import Config
from versus_py.engine.policies import Policies
from versus_py.incidents.model import Notification, PolicyFor
from versus_py.sources import SOURCES
from versus_py.sources.fields import time_ms
from versus_py.web.intake.overrides import read_overrides
from versus_py.web.intake.reading import Reader, read_body

Read = Callable[[bytes, str], tuple[list[Notification], PolicyFor, list[str]]]
"""What a body and its query string say, the policy for each notification, and warnings. Raises BadPayload."""


@dataclass(frozen=True, slots=True)
class Posted:
    """A body that was posted, and where it is recorded."""

    where: str
    at_ms: int
    body: bytes
    query: str


@dataclass(frozen=True, slots=True)
class Acted:
    """What somebody did to the open incident with this title, dedup key or id."""

    where: str
    at_ms: int
    action: Literal["acknowledge", "resolve"]
    incident: str
    by: str


Record = Posted | Acted


def read_lines(name: str, lines: Iterable[bytes]) -> tuple[list[Record], list[str]]:
    """The records of one file, and a sentence with file and line for each line that is broken.

    Empty lines, and lines of versus_py's log that hold no body, are left out.
    """
    records: list[Record] = []
    problems = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            record = _record(f"{name}:{number}", line)
        except ValueError as exc:
            problems.append(f"{name}:{number}: {exc}")
        else:
            records += [] if record is None else [record]
    return records, problems


def reader(config: Config) -> Read:
    """How the server reads a body and its query string."""
    payload_reader, policies = Reader(config), Policies(config)

    def read(body: bytes, query: str) -> tuple[list[Notification], PolicyFor, list[str]]:
        overrides = read_overrides(MultiDict(parse_qsl(query, keep_blank_values=True)), config)
        _, payloads, left_out = read_body(body)
        found = payload_reader.read(payloads, overrides)
        notifications = [it for it in found.notifications if it is not None]
        policy_for = partial(policies.of, asked=overrides.asked)
        return notifications, policy_for, [*overrides.warnings, *left_out, *found.warnings]

    return read


def _record(where: str, line: bytes) -> Record | None:
    """Raises ValueError with a sentence."""
    try:
        data = orjson.loads(line)
    except orjson.JSONDecodeError as exc:
        raise ValueError(f"this is not JSON: {exc.msg}") from None
    if not isinstance(data, dict):
        raise ValueError("this is no JSON object")  # noqa: TRY004 - one error for whatever is wrong with a line
    if "event" in data:
        return _logged(where, data)
    at_ms = _time(data, "at")
    if "payload" in data:
        return Posted(where, at_ms, orjson.dumps(data["payload"]), _text(data, "query", ""))
    if "acknowledge" in data:
        return Acted(where, at_ms, "acknowledge", _text(data, "acknowledge"), _text(data, "by", "somebody"))
    if "resolve" in data:
        return Acted(where, at_ms, "resolve", _text(data, "resolve"), _text(data, "by", "somebody"))
    raise ValueError("one of payload, acknowledge and resolve is required")


def _logged(where: str, data: Mapping[str, Any]) -> Record | None:
    """A line of versus_py's own log: a body, or what a person did. What senders did, their bodies say."""
    match data:
        case {"event": "intake.body"}:
            return Posted(where, _time(data, "timestamp"), _text(data, "body").encode(), _text(data, "query", ""))
        case {"event": "incident.changed", "what": "acknowledged" | "resolved" as what, "by": by} if by not in SOURCES:
            action: Literal["acknowledge", "resolve"] = "acknowledge" if what == "acknowledged" else "resolve"
            return Acted(where, _time(data, "timestamp"), action, _text(data, "incident"), _text(data, "by"))
        case _:
            return None


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
