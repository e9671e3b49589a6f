"""A record, and what is written into it so that it says what the incident is. Pure: decisions, no requests."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct, field

from versus_py.config import ServiceNowInstance, ServiceNowStates
from versus_py.incidents.model import Actor, Entry, Event, Incident, Status
from versus_py.targets.servicenow.table_api import shown_of, value_of

NEEDED_BY_LIFECYCLE = ("state", "close_code")
"""Without these columns, a record has no states that could be followed."""

_HTML = re.compile(r"\[(/?code)\]", re.IGNORECASE)
"""Between these, ServiceNow shows a work note as HTML; what alerts and people say is text."""

LINE_MIN = 100
"""How many characters tell a line of a work note from others: its time, and how it begins."""


class Record(Struct, frozen=True):
    """A row of the table, as far as it matters."""

    sys_id: str
    number: str
    state: str  # "" on tables that have none
    values: Mapping[str, str]  # every column that was asked for, raw
    display: Mapping[str, str] = field(default_factory=dict)  # what people see of them, where that was asked for

    @classmethod
    def parse(cls, row: Mapping[str, Any]) -> "Record | None":
        """None when there is no sys_id, so that it is no record."""
        values = {name: value_of(value) for name, value in row.items()}
        display = {name: shown for name, value in row.items() if (shown := shown_of(value))}
        sys_id = values.get("sys_id", "")
        return cls(sys_id, values.get("number") or sys_id, values.get("state", ""), values, display) if sys_id else None


def identity(key_field: str) -> tuple[str, ...]:
    """The columns that are always asked for."""
    return ("sys_id", "number", "state", key_field, "sys_created_on")


def lacking(row: Mapping[str, Any]) -> tuple[str, ...]:
    """What a table with this row lacks to be followed; empty where the row does not tell, as it is not whole."""
    is_whole = "sys_mod_count" in row
    return tuple(name for name in NEEDED_BY_LIFECYCLE if name not in row) if is_whole else ()


def is_open(record: Record, states: ServiceNowStates) -> bool:
    """Whether people still have to work on it; a table without states has only open ones."""
    return record.state in {"", states.new, states.acknowledged, *states.open}


def is_closed(record: Record, states: ServiceNowStates) -> bool:
    """Whether it is over for good: Closed, Canceled, or a state of the instance's own beyond those."""
    return not is_open(record, states) and record.state != states.resolved


def next_state(record: Record, incident: Incident, instance: ServiceNowInstance, *, is_reopened: bool) -> str | None:
    """The state to move the record to; None to leave it: it is there, or somebody moved it further on.

    *is_reopened*: the incident has escalated once more since the record was written.
    """
    states = instance.states
    if instance.lifecycle == "plain" or record.state == "":
        return None
    if incident.status is Status.RESOLVED:
        return states.resolved if instance.on_resolve == "resolve" and is_open(record, states) else None
    if incident.status is Status.ACKNOWLEDGED:
        return states.acknowledged if record.state == states.new else None
    return states.acknowledged if is_reopened and record.state == states.resolved else None


_OUR_LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC: |Follows \S+, which is (gone|closed)\.")


def is_ours(note: str) -> bool:
    """Whether a work note begins as those that are written here do."""
    return _OUR_LINE.match(note) is not None


class Line(Struct, frozen=True):
    """A line of a work note."""

    text: str
    begins: str  # so does what an earlier attempt wrote, whatever the people in it were called then


def line(text: str) -> Line:
    """A line that an earlier attempt wrote in the same words."""
    return Line(text, text[:LINE_MIN])


class Predecessor(Struct, frozen=True):
    """The record of an earlier wait that a new one follows."""

    number: str
    is_gone: bool  # deleted or hidden; else closed


def following(record: Predecessor) -> Line:
    """What the new one says of it."""
    begins = f"Follows {record.number}, which is "
    return Line(f"{begins}{'gone' if record.is_gone else 'closed'}.", begins)


def notes(news: Sequence[Entry], instance: ServiceNowInstance) -> list[Line]:
    """A line for each of *news* that belongs into the record."""
    return [_as_text(_note(entry)) for entry in news if _is_wanted(entry, instance)]


def _is_wanted(entry: Entry, instance: ServiceNowInstance) -> bool:
    match entry.event:
        case Event.SNOOZE_OVER | Event.ON_HOLD | Event.REOPENED_THERE | Event.REPAIRED:
            return False
        case Event.JOINED | Event.LEFT:
            return instance.on_update != "nothing"
        case Event.SEVERITY_RAISED:  # by alerts; what a person says is noted in any case
            return entry.by is not None or instance.on_update != "nothing"
        case Event.RESOLVED:
            return instance.on_resolve != "nothing"
        case _:
            return True


def _as_text(it: Line) -> Line:
    return Line(_HTML.sub(r"(\1)", it.text), _HTML.sub(r"(\1)", it.begins))


def contradiction(record: Record, incident: Incident, states: ServiceNowStates) -> str:
    """What people should know when the record is further on than the incident; "" when it is not."""
    if incident.status is Status.RESOLVED or is_open(record, states):
        return ""
    how = "resolved" if record.state == states.resolved else "closed"
    return f"{record.number} was {how} in ServiceNow and is left so, although the incident is {incident.status}"


def utc(at_ms: int | None) -> str:
    """A moment as ServiceNow takes it: UTC, without saying so; "" for None."""
    return "" if at_ms is None else datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def ms_of(text: str) -> int | None:
    """The moment of a time as ServiceNow stores it, by its clock; None for what is none."""
    try:
        at = datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        return None
    return int(at.timestamp() * 1000)


_SAID = {
    Event.REOPENED: "reopened",
    Event.RETRIGGERED: "triggered again",
    Event.ACK_ENDED: "the acknowledgment has ended",
    Event.CALLED_AGAIN: "nobody has acknowledged",
    Event.STILL_FIRING: "it still fires",
    Event.ASSIGNED: "assigned",
    Event.RESCHEDULED: "the priority of the ticket was changed",
}


def _by(text: str, person: Actor | None) -> Line:
    """The person last: it may have a name by the next attempt."""
    return line(text) if person is None else Line(f"{text} by {person}", f"{text} by ")


def _note(entry: Entry) -> Line:
    at = f"{utc(entry.at_ms)} UTC: "
    if entry.event in _SAID:
        return line(f"{at}{_SAID[entry.event]}: {entry.detail}")
    match entry.event:
        case Event.SEVERITY_RAISED | Event.SEVERITY_CHANGED | Event.ROUTED:
            what = "routed" if entry.event is Event.ROUTED else "severity"
            return _by(f"{at}{what} {entry.detail}", entry.by)
        case Event.JOINED | Event.LEFT | Event.COMMENTED:
            return line(f"{at}{entry.by}: {entry.detail}" if entry.by else at + entry.detail)
        case Event.GIVEN_UP | Event.REFUSED:
            how = (
                "not tried any more" if entry.event is Event.GIVEN_UP else "not shown, and tried again every 5 minutes"
            )
            return line(f"{at}{how}: {entry.detail}")
        case Event.ESCALATING:
            begins = f"{at}escalated by "
            return Line(f"{begins}{entry.by} before the wait was over", begins)
        case _:
            begins = f"{at}{entry.event} by "
            comment = f": {entry.detail}" if entry.event is Event.RESOLVED and entry.detail else ""
            return Line(f"{begins}{entry.by}{comment}", begins)
