"""What the script of a business rule makes of a record."""

from typing import Any, Literal

from versus_py.simulators.servicenow.database import Database, Row
from versus_py.simulators.servicenow.display import labels
from versus_py.simulators.servicenow.properties import INSTANCE_NAME, SERVLET_URI, Properties

Shape = Literal["script", "raw"]
Operation = Literal["insert", "update"]

VERSION = 1
"""Of what the script adds to the columns."""

DISPLAYED = (
    "state",
    "priority",
    "assigned_to",
    "assignment_group",
    "caller_id",
    "cmdb_ci",
    "business_service",
    "service_offering",
)


class Bodies:
    """Reads records of *database* as scripts do: GlideRecord's getValue knows strings and null only."""

    def __init__(self, database: Database, properties: Properties) -> None:
        self._database = database
        self._properties = properties

    def body(self, shape: Shape, table: str, row: Row, operation: Operation) -> dict[str, Any]:
        """In the shape *raw*, of a loop over all that a GlideRecord has, nothing tells what was done."""
        columns = self._values(table, row)
        if shape == "raw":
            return {"sys_meta": None} | columns | {"server_url": self._properties[SERVLET_URI]}
        return columns | {"versus": self._added(table, row, operation)}

    def _values(self, table: str, row: Row) -> dict[str, Any]:
        columns = self._database.columns(table)
        return {name: _value(columns[name].type, text) for name, text in row.items() if name in columns}

    def _added(self, table: str, row: Row, operation: Operation) -> dict[str, Any]:
        shown = labels(self._database, table, row)
        return {
            "version": VERSION,
            "instance": self._properties[INSTANCE_NAME],
            "operation": operation,
            "display": {name: shown[name] for name in DISPLAYED if name in shown},
            "assigned_to": _person(self._database.find("sys_user", row.get("assigned_to", ""))),
            "updated_by": _person(self._database.user(row["sys_updated_by"])),
        }


def _value(kind: str, text: str) -> str | None:
    if kind == "boolean":
        return "1" if text == "true" else "0"
    return text or None


def _person(row: Row | None) -> dict[str, str] | None:
    return {name: row[name] for name in ("email", "user_name", "name")} if row else None
