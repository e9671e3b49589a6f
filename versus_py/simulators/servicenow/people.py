"""The people of an instance: what they do to records beside the integration, as control and the pages order it."""

from collections.abc import Collection, Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict

from versus_py.simulators.servicenow import schema
from versus_py.simulators.servicenow.database import Database, Row
from versus_py.simulators.servicenow.writing import CANCELED, CLOSED, ON_HOLD, RESOLVED, Writer

IN_PROGRESS = "2"

Deed = Literal["start", "hold", "resolve", "close", "cancel", "reopen", "reassign", "note", "delete"]

_STATES: Mapping[str, str] = {
    "start": IN_PROGRESS,
    "hold": ON_HOLD,
    "resolve": RESOLVED,
    "close": CLOSED,
    "cancel": CANCELED,
    "reopen": IN_PROGRESS,
}


class NoRecord(LookupError):
    """There is no such record."""


class Unknown(ValueError):
    """An order that cannot be carried out; the message says what is allowed."""


class RecordOrder(BaseModel):
    """What a person does to a record.

    *record* is its sys_id or number, *by* a user_name. People and groups are given by name, people also by user_name;
    "" takes the assignment away, None leaves it. *hold_reason* is its label.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    record: str
    do: Deed
    by: str = "ana"
    assigned_to: str | None = None
    assignment_group: str | None = None
    close_code: str = "Solution provided"
    close_notes: str = "Done."
    hold_reason: str = "Awaiting Vendor"
    work_notes: str = ""
    comments: str = ""


class People:
    """Changes *database* as administrators may: also closed records, whatever the integration's user may not do.

    The policies of *writer* hold for them, too.
    """

    def __init__(self, database: Database, writer: Writer) -> None:
        self._database = database
        self._writer = writer

    def act(self, order: RecordOrder) -> None:
        """Raises NoRecord, Unknown, and Refused for what a policy does not allow."""
        found = self._database.find_record(order.record)
        if found is None:
            raise NoRecord(f"there is no record {order.record!r}")
        table, row = found
        self._sys_id("sys_user", order.by, "by", ("user_name",))
        if order.do == "delete":
            self._database.rows(table).remove(row)
            return
        self._writer.change_by(order.by, table, row, self._fields(table, order))

    def names(self, table: str) -> list[str]:
        """What the active rows of a table are called, each name once."""
        rows = self._database.rows(table)
        return list(dict.fromkeys(row["name"] for row in rows if row.get("active") != "false"))

    def user_names(self) -> list[str]:
        """Of the active users."""
        return [row["user_name"] for row in self._database.rows("sys_user") if row["active"] == "true"]

    def _fields(self, table: str, order: RecordOrder) -> Row:
        fields = {journal: text for journal in schema.JOURNALS if (text := getattr(order, journal))}
        if order.assigned_to is not None:
            fields["assigned_to"] = self._sys_id("sys_user", order.assigned_to, "assigned_to", ("name", "user_name"))
        if order.assignment_group is not None:
            names = ("name",)
            fields["assignment_group"] = self._sys_id(
                "sys_user_group", order.assignment_group, "assignment_group", names
            )
        if state := _STATES.get(order.do):
            fields |= {"state": state} | self._about(table, state, order)
        if lacking := [name for name in fields if name not in schema.columns(table)]:
            raise Unknown(f"records of {table} have no {', '.join(lacking)}")
        if not fields:
            raise Unknown(f"{order.do}: needs assigned_to, assignment_group, work_notes or comments")
        return fields

    def _about(self, table: str, state: str, order: RecordOrder) -> Row:
        """What goes with the state."""
        if state in {RESOLVED, CLOSED}:
            return {"close_code": order.close_code, "close_notes": order.close_notes}
        if state == ON_HOLD:
            reasons = {label: value for value, label in schema.CHOICES["incident", "hold_reason"].items()}
            _check("hold_reason", order.hold_reason, reasons)
            return {"hold_reason": self._database.value(table, "hold_reason", order.hold_reason)}
        return {}

    def _sys_id(self, table: str, name: str, field: str, columns: tuple[str, ...]) -> str:
        """Of the active row that is called so in one of *columns*; "" of nobody."""
        rows = [row for row in self._database.rows(table) if row["active"] == "true"]
        named = {row[column]: row["sys_id"] for column in columns for row in reversed(rows)}
        if name:
            _check(field, name, named)
        return named[name] if name else ""


def _check(field: str, name: str, known: Collection[str]) -> None:
    if name not in known:
        raise Unknown(f"{field}: {name!r} does not exist; allowed are {', '.join(known)}")
