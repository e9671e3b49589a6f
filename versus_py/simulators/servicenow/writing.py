"""What an instance makes of a write: what it takes over, what its policies ask for, and what it computes."""

from collections.abc import Callable
from http import HTTPStatus

from versus_py.simulators.servicenow import schema
from versus_py.simulators.servicenow.answers import OPERATION_FAILED, Refused, acl_exception
from versus_py.simulators.servicenow.database import Database, Row
from versus_py.simulators.servicenow.rule_bodies import Operation
from versus_py.simulators.servicenow.switches import Switches

ON_HOLD = "3"
RESOLVED = "6"
CLOSED, CANCELED = "7", "8"
AWAITING_CALLER = "1"  # of hold_reason; a comment has to tell the caller
_PRIORITIES = {"11": "1", "12": "2", "13": "3", "21": "2", "22": "3", "23": "4", "31": "3", "32": "4", "33": "5"}
_RULE_SYS_ID = "5f1e7a0c0a0a0b4d00c1a2b3c4d5e6f7"


def is_closed(row: Row) -> bool:
    """Whether the record is read-only for all but administrators."""
    return row.get("state") in {CLOSED, CANCELED}


class Writer:
    """Writes records to *database* under the policies of *switches*, and tells *written* of each that it has written.

    Its methods raise Refused.

    With *takes_names*, references may be given by name and choices by label; otherwise what is no sys_id of a row
    leaves a reference blank.
    """

    def __init__(self, database: Database, switches: Switches, written: Callable[[str, Row, Operation], None]) -> None:
        self._database = database
        self._switches = switches
        self._written = written

    def create(self, table: str, fields: Row, *, takes_names: bool) -> Row:
        if schema.is_lookup(table) or self._switches.read_only_user:
            raise acl_exception("Insert")
        return self._insert(table, self._accepted(table, fields, takes_names=takes_names))

    def change(self, table: str, row: Row, fields: Row, *, takes_names: bool) -> None:
        if schema.is_lookup(table) or self._switches.read_only_user or is_closed(row):
            raise acl_exception("Update")
        if refused := sorted(self._switches.refused_columns & fields.keys()):
            raise Refused(HTTPStatus.FORBIDDEN, OPERATION_FAILED, f"Data Policy Exception: read-only: {refused[0]}")
        allowed = {name: text for name, text in fields.items() if name not in self._switches.ignored_columns}
        self._update(table, row, self._accepted(table, allowed, takes_names=takes_names))

    def create_by(self, user_name: str, table: str, fields: Row) -> Row:
        """A person opens a record; the policies hold all the same."""
        return self._insert(table, self._accepted(table, fields, takes_names=False), by=user_name)

    def change_by(self, user_name: str, table: str, row: Row, fields: Row) -> None:
        """A person who may write everything changes a record; the policies hold all the same."""
        self._update(table, row, self._accepted(table, fields, takes_names=False), by=user_name)

    def comment_by(self, user_name: str, table: str, row: Row, text: str) -> None:
        """A person, or a user_name that nobody has, writes in the comments of a record that is not closed."""
        if is_closed(row):
            raise acl_exception("Update")
        self._database.add_note(table, row["sys_id"], "comments", text, by=user_name)
        self._touch(table, row, by=user_name)

    def _insert(self, table: str, wanted: Row, *, by: str | None = None) -> Row:
        row = self._database.new_row(table, by=by)
        if self._switches.requires_caller and "caller_id" in row and not wanted.get("caller_id"):
            raise _data_policy(["caller_id"])
        if by is not None and "opened_by" in row:
            row["opened_by"] = self._database.user_sys_id(by)
        self._write(table, row, wanted, by=by)
        self._database.rows(table).append(row)
        self._written(table, row, "insert")
        return row

    def _update(self, table: str, row: Row, wanted: Row, *, by: str | None = None) -> None:
        if wanted.get("assignment_group", row.get("assignment_group")) != row.get("assignment_group"):
            wanted.setdefault("assigned_to", "")
        self._write(table, row, wanted, by=by)
        self._touch(table, row, by=by)

    def _touch(self, table: str, row: Row, *, by: str | None) -> None:
        self._database.touch(row, by=by)
        self._written(table, row, "update")

    def _accepted(self, table: str, fields: Row, *, takes_names: bool) -> Row:
        """What the table has a column for; the rest is ignored, as is a close code that does not exist."""
        accepted = {}
        for name, column in self._database.columns(table).items():
            if name not in fields or column.is_read_only:
                continue
            value = self._meant(table, column, fields[name]) if takes_names else fields[name]
            if column.refers_to and self._database.find(column.refers_to, value) is None:
                value = ""
            if name in schema.CHOICE_ELEMENTS and not value:
                continue
            if name == "close_code" and not self._database.is_choice(table, name, value):
                continue
            accepted[name] = value[: column.max_length]
        return accepted

    def _meant(self, table: str, column: schema.Column, text: str) -> str:
        """The value behind a name or a label; *text* itself where it is neither. Names need not be unique."""
        if not column.refers_to:
            return self._database.value(table, column.name, text)
        named = (row["sys_id"] for row in self._database.rows(column.refers_to) if row["name"] == text)
        return next(named, text)

    def _write(self, table: str, row: Row, wanted: Row, *, by: str | None = None) -> None:
        if missing := self._missing(row, wanted):
            raise _data_policy(missing)
        if rule := self._switches.abort_rule:
            detail = f"Operation against file '{table}' was aborted by Business Rule '{rule}^{_RULE_SYS_ID}'"
            raise Refused(HTTPStatus.FORBIDDEN, OPERATION_FAILED, f"{detail}. Business Rule Stack:{rule}")
        for journal in schema.JOURNALS:
            if note := wanted.pop(journal, ""):
                self._database.add_note(table, row["sys_id"], journal, note, by=by)
        state_before = row.get("state")
        row |= wanted
        if "state" in row:
            self._compute(row, has_moved=row["state"] != state_before, by=by)

    def _missing(self, row: Row, wanted: Row) -> list[str]:
        """What a move to another state needs and does not have."""
        state = wanted.get("state")
        needed: list[str] = []
        if state in {RESOLVED, CLOSED} and self._switches.requires_close_fields:
            needed = ["close_code", "close_notes"]
        elif state == ON_HOLD:
            needed = ["hold_reason"]
            if wanted.get("hold_reason") == AWAITING_CALLER:
                needed.append("comments")
        return [name for name in needed if name in row and not wanted.get(name, row[name])]

    def _compute(self, row: Row, *, has_moved: bool, by: str | None) -> None:
        row["priority"] = _PRIORITIES.get(row["impact"] + row["urgency"], "5")
        row["active"] = "false" if is_closed(row) else "true"
        row["incident_state"] = row["state"]
        if has_moved and row["state"] == RESOLVED:
            row["resolved_at"], row["resolved_by"] = self._database.now(), self._database.user_sys_id(by)
        if has_moved and is_closed(row):
            row["closed_at"] = self._database.now()


def _data_policy(missing: list[str]) -> Refused:
    detail = f"Data Policy Exception: The following fields are mandatory: {', '.join(missing)}"
    return Refused(HTTPStatus.FORBIDDEN, OPERATION_FAILED, detail)
