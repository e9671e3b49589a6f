"""A record as a business rule posts it: texts, whatever the shape of its values. Pure.

A GlideRecord gives strings, null for what is empty, "1" and "0" for booleans, bare sys_ids for references, and times in
UTC. The Table API gives {"value", "display_value"} or {"link", "value"}. Our own script adds the member `versus`.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from versus_py.errors import BadPayload
from versus_py.targets.feed import BODY_MAX_BYTES
from versus_py.targets.servicenow.key import shortened

COLUMNS_MAX = 2000
COLUMN_MAX = 80
"""Characters of a column's name: servicenow.com/docs, "Create a table"."""

TEXT_MAX = 4000
NAME_MAX = 100
EMAIL_MAX = 254  # RFC 5321, section 4.5.3.1.3

OURS = "versus"
"""The member that our script adds to the columns."""

_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_EMAIL = re.compile(r"[^\s@<>|]+@[^\s@<>|]+")
_SHOWN_MAX = 40


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who is named in a record, as far as it tells; "" for what it does not."""

    name: str = ""
    email: str = ""
    user: str = ""  # the user_name


NOBODY = Person()


@dataclass(frozen=True, slots=True)
class Posted:
    """One record."""

    values: Mapping[str, str]  # column -> raw value; "" for what is empty
    display: Mapping[str, str]  # column -> what people see, where that is told
    assigned_to: Person = NOBODY
    updated_by: Person = NOBODY

    def shown(self, column: str) -> str:
        """What people see of it, else its raw value."""
        return self.display.get(column) or self.values.get(column, "")


def read_record(body: bytes) -> Posted:
    """The one record that *body* is, itself or one level down. Raises BadPayload."""
    data = _record(_loaded(body))
    columns = [it for it in data.items() if it[0] != OURS and 0 < len(it[0]) <= COLUMN_MAX][:COLUMNS_MAX]
    pairs = {column: _value(value) for column, value in columns}
    ours = _mapping(data.get(OURS))
    told = [(column, line(value)) for column, value in _mapping(ours.get("display")).items()][:COLUMNS_MAX]
    values = {column: value for column, (value, _) in pairs.items()}
    display = {column: shown for column, (_, shown) in pairs.items() if shown}
    display |= {column: shown for column, shown in told if shown and len(column) <= COLUMN_MAX}
    return Posted(
        values,
        display,
        assigned_to=_assignee(ours, values, display),
        updated_by=_updater(ours, values, display),
    )


def line(value: Any, limit: int = NAME_MAX) -> str:
    """A scalar as one line of text; "" for anything else."""
    return shortened(" ".join(_text(value).split()), limit)


def quoted(text: str) -> str:
    """For a sentence to the sender."""
    return repr(shortened(text, _SHOWN_MAX))


def _loaded(body: bytes) -> Any:
    if len(body) > BODY_MAX_BYTES:
        raise BadPayload(f"the body has {len(body)} bytes; a record has at most {BODY_MAX_BYTES}")
    if not body.strip():
        raise BadPayload("the body is empty; send the record as a JSON object")
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        pass
    # Slower, and takes what orjson does not: halves of characters, bytes that are no UTF-8, NaN.
    try:
        data = json.loads(body.decode(json.detect_encoding(body), errors="replace"))
        return json.loads(json.dumps(data, ensure_ascii=False).encode(errors="replace"))
    except (ValueError, RecursionError) as exc:
        why = "it is nested too deeply" if isinstance(exc, RecursionError) else shortened(str(exc), 100)
        raise BadPayload(f"the body is not JSON ({why}); send the record as a JSON object") from None


def _record(data: Any) -> Mapping[str, Any]:
    """The object with the columns: the body, or the only such object in it."""
    if isinstance(data, list):
        raise BadPayload("the body is a JSON array; send one record with each request, as a JSON object")
    if not isinstance(data, Mapping):
        raise BadPayload("the body is no JSON object; send the record as one, with a member for each column")
    if "sys_id" in data:
        return data
    inner = [it for it in data.values() if isinstance(it, Mapping) and "sys_id" in it]
    return {OURS: data.get(OURS), **inner[0]} if len(inner) == 1 else data


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _value(value: Any) -> tuple[str, str]:
    """The raw value, and what people see of it; "" where that is not told."""
    if not isinstance(value, Mapping):
        return _text(value), ""
    shown = line(value.get("display_value"))
    if "value" in value:
        return _text(value["value"]), shown
    linked = _text(value.get("link")).rpartition("/")[2]  # asked for as it is shown, only the link has the sys_id
    return linked or _text(value.get("display_value")), shown


def _text(value: Any) -> str:
    match value:
        case bool():
            found = "1" if value else "0"
        case str():
            found = _CONTROLS.sub("", value).strip()
        case int():
            found = str(value)
        case float() if math.isfinite(value):
            found = str(int(value)) if value.is_integer() else str(value)
        case _:
            found = ""
    return shortened(found, TEXT_MAX)


def _assignee(ours: Mapping[str, Any], values: Mapping[str, str], display: Mapping[str, str]) -> Person:
    if not values.get("assigned_to"):
        return NOBODY
    told = _person(ours.get("assigned_to"))
    return told if told.name else Person(display.get("assigned_to", ""), told.email, told.user)


def _updater(ours: Mapping[str, Any], values: Mapping[str, str], display: Mapping[str, str]) -> Person:
    """Who changed it last. The column holds the user_name; what is told of another user is not about that one."""
    user = line(values.get("sys_updated_by", ""))
    told = [_person(ours.get(member)) for member in ("updated_by", "assigned_to")]
    same = next((it for it in told if user and it.user.casefold() == user.casefold()), NOBODY)
    return Person(same.name or display.get("sys_updated_by") or user, same.email, user)


def _person(value: Any) -> Person:
    told = _mapping(value)
    email = line(told.get("email"), EMAIL_MAX + 1)
    is_email = len(email) <= EMAIL_MAX and _EMAIL.fullmatch(email)
    return Person(line(told.get("name")), email if is_email else "", line(told.get("user_name")))
