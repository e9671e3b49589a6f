"""What an instance makes of a write: what it takes over, what its policies ask for, and what it computes."""

from http import HTTPStatus

from versus_py.simulators.servicenow import schema
from versus_py.simulators.servicenow.answers import OPERATION_FAILED, Refused, acl_exception
from versus_py.simulators.servicenow.database import Database, Row
from versus_py.simulators.servicenow.switches import Switches

RESOLVED = "6"
CLOSED, CANCELED = "7", "8"
_PRIORITIES = {"11": "1", "12": "2", "13": "3", "21": "2", "22": "3", "23": "4", "31": "3", "32": "4", "33": "5"}


class Writer:
    """Writes records to *database* under the policies of *switches*. Its methods raise Refused."""

    def __init__(self, database: Database, switches: Switches) -> None:
        self._database = database
        self._switches = switches

    def create(self, table: str, fields: Row) -> Row:
        if schema.is_lookup(table):
            raise acl_exception("Insert")
        row = self._database.new_row(table)
        self._write(table, row, fields)
        self._database.rows(table).append(row)
        return row

    def change(self, table: str, row: Row, fields: Row) -> None:
        if schema.is_lookup(table) or row.get("state") in {CLOSED, CANCELED}:
            raise acl_exception("Update")
        self._write(table, row, fields)
        row["sys_mod_count"] = str(int(row["sys_mod_count"]) + 1)

    def _write(self, table: str, row: Row, fields: Row) -> None:
        wanted = self._accepted(table, fields)
        self._check_policies(row, wanted)
        for journal in schema.JOURNALS:
            if note := wanted.pop(journal, ""):
                self._database.add_note(table, row["sys_id"], journal, note)
        row |= wanted
        row["sys_updated_on"] = self._database.now()
        if "state" in row:
            self._compute(row, wanted)

    def _accepted(self, table: str, fields: Row) -> Row:
        """What the table has a column for; the rest is ignored, as is a close code that does not exist."""
        columns = schema.columns(table)
        wanted = {
            name: value[: columns[name].max_length]
            for name, value in fields.items()
            if name in columns and not columns[name].is_read_only
        }
        code = wanted.get("close_code", "")
        if code and not self._database.is_choice(table, "close_code", code):
            del wanted["close_code"]
        return wanted

    def _check_policies(self, row: Row, wanted: Row) -> None:
        if wanted.get("state") in {RESOLVED, CLOSED} and self._switches.requires_close_fields:
            missing = [name for name in ("close_code", "close_notes") if not (wanted.get(name) or row[name])]
            if missing:
                mandatory = f"Data Policy Exception: The following fields are mandatory: {', '.join(missing)}"
                raise Refused(HTTPStatus.FORBIDDEN, OPERATION_FAILED, mandatory)

    def _compute(self, row: Row, wanted: Row) -> None:
        row["priority"] = _PRIORITIES.get(row["impact"] + row["urgency"], "5")
        row["active"] = "false" if row["state"] in {CLOSED, CANCELED} else "true"
        if wanted.get("state") == RESOLVED:
            row["resolved_at"] = self._database.now()
