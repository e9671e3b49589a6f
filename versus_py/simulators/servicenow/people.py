"""The people of an instance: what they do to records beside the integration, as control and the pages order it."""

from collections.abc import Collection, Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict

from versus_py.simulators.servicenow import schema
from versus_py.simulators.servicenow.answers import acl_exception
from versus_py.simulators.servicenow.database import Database, Row
from versus_py.simulators.servicenow.writing import CANCELED, CLOSED, ON_HOLD, RESOLVED, Writer, is_closed

IN_PROGRESS = "2"

Deed = Literal[
    "start", "hold", "resolve", "close", "cancel", "reopen", "reassign", "note", "delete", "create", "change"
]

_STATES: Mapping[str, str] = {
    "start": IN_PROGRESS,
    "hold": ON_HOLD,
    "resolve": RESOLVED,
    "close": CLOSED,
    "cancel": CANCELED,
    "reopen": IN_PROGRESS,
}
_SETS_STATE = ("create", "change")
_OF_ADMINISTRATORS = {"reopen", "delete"}  # what can be done to a closed record
_TEXTS = ("short_description", "description", "correlation_id", *schema.JOURNALS)
_CHOICES = ("impact", "urgency")
_PEOPLE = ("name", "user_name")  # columns that name a user


class NoRecord(LookupError):
    """There is no such record."""


class Unknown(ValueError):
    """An order that cannot be carried out; the message says what is allowed."""


class RecordOrder(BaseModel):
    """What a person does to a record.

    *record* is its sys_id or number, and of no meaning for "create", which takes *table*; *by* is a user_name.
    References are given by name, people also by user_name; "" takes them away. *state* is for "create" and "change".
    It, *impact*, *urgency* and *hold_reason* are labels or values. None leaves a column as it is.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    record: str = ""
    do: Deed
    by: str = "ana"
    table: str = "incident"
    state: str | None = None
    impact: str | None = None
    urgency: str | None = None
    short_description: str | None = None
    description: str | None = None
    correlation_id: str | None = None
    caller_id: str | None = None
    assigned_to: str | None = None
    assignment_group: str | None = None
    business_service: str | None = None
    service_offering: str | None = None
    cmdb_ci: str | None = None
    close_code: str = "Solution provided"
    close_notes: str = "Done."
    hold_reason: str = "Awaiting Vendor"
    work_notes: str = ""
    comments: str = ""


class People:
    """Changes *database* as people may, whatever the integration's user may not do.

    The policies of *writer* hold for them, too. A closed record is read-only; administrators reopen or delete it.
    """

    def __init__(self, database: Database, writer: Writer) -> None:
        self._database = database
        self._writer = writer

    def act(self, order: RecordOrder) -> Row:
        """The record, also one that is gone now.

        Raises NoRecord, Unknown, and Refused for what a policy does not allow.
        """
        if order.do == "create":
            return self._create(order)
        found = self._database.find_record(order.record)
        if found is None:
            raise NoRecord(f"there is no record {order.record!r}")
        table, row = found
        self._sys_id("sys_user", order.by, "by", ("user_name",))
        if is_closed(row) and order.do not in _OF_ADMINISTRATORS:
            raise acl_exception("Update")
        if order.do == "delete":
            self._database.rows(table).remove(row)
        else:
            self._writer.change_by(order.by, table, row, self._fields(table, order))
        return row

    def names(self, table: str) -> list[str]:
        """What the active rows of a table are called, each name once."""
        return list(dict.fromkeys(row["name"] for row in self._active(table)))

    def user_names(self) -> list[str]:
        """Of the active users."""
        return [row["user_name"] for row in self._active("sys_user")]

    def _create(self, order: RecordOrder) -> Row:
        if not schema.exists(order.table) or schema.is_lookup(order.table):
            raise Unknown(f"table: there are no records of {order.table!r}; allowed are incident and u_…")
        self._sys_id("sys_user", order.by, "by", ("user_name",))
        return self._writer.create_by(order.by, order.table, self._fields(order.table, order))

    def _fields(self, table: str, order: RecordOrder) -> Row:
        columns = schema.columns(table)
        fields = {name: text for name in _TEXTS if (text := getattr(order, name))}
        fields |= {name: self._choice(name, text) for name in _CHOICES if (text := getattr(order, name))}
        for name, column in schema.columns("incident").items():
            if column.refers_to and (given := getattr(order, name, None)) is not None:
                named_by = _PEOPLE if column.refers_to == "sys_user" else ("name",)
                fields[name] = self._sys_id(column.refers_to, given, name, named_by)
        if state := self._state(order):
            fields |= {"state": state} | self._about(state, order)
        if lacking := [name for name in fields if name not in columns]:
            raise Unknown(f"records of {table} have no {', '.join(lacking)}")
        if not fields and order.do != "create":
            raise Unknown(f"{order.do}: needs assigned_to, assignment_group, work_notes or comments, or another column")
        return fields

    def _state(self, order: RecordOrder) -> str | None:
        if order.state and order.do not in _SETS_STATE:
            raise Unknown(f"state: goes with {' and '.join(_SETS_STATE)}, not with {order.do}")
        return self._choice("state", order.state) if order.state else _STATES.get(order.do)

    def _about(self, state: str, order: RecordOrder) -> Row:
        """What goes with the state."""
        if state in {RESOLVED, CLOSED}:
            return {"close_code": order.close_code, "close_notes": order.close_notes}
        if state == ON_HOLD:
            return {"hold_reason": self._choice("hold_reason", order.hold_reason)}
        return {}

    def _choice(self, name: str, given: str) -> str:
        """The value of a label or of itself."""
        choices = schema.CHOICES.get(("incident", name)) or schema.CHOICES["task", name]
        if given in choices:
            return given
        _check(name, given, choices.values())
        return self._database.value("incident", name, given)

    def _sys_id(self, table: str, name: str, field: str, columns: tuple[str, ...]) -> str:
        """Of the active row that is called so in one of *columns*; "" of nobody."""
        rows = self._active(table)
        named = {row[column]: row["sys_id"] for column in columns for row in reversed(rows)}
        if name:
            _check(field, name, named)
        return named[name] if name else ""

    def _active(self, table: str) -> list[Row]:
        return [row for row in self._database.rows(table) if row.get("active") != "false"]


def _check(field: str, name: str, known: Collection[str]) -> None:
    if name not in known:
        raise Unknown(f"{field}: {name!r} does not exist; allowed are {', '.join(known)}")
