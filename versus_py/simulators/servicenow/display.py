"""How rows are shown to a client: raw, with labels, or both."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from versus_py.simulators.servicenow import schema
from versus_py.simulators.servicenow.database import Database, Row

_JOURNAL_NAMES = {"work_notes": "Work notes", "comments": "Additional comments"}


@dataclass(frozen=True, slots=True)
class View:
    """What a request's `sysparm_` parameters say about the rows it wants to see; *fields* empty: all of them."""

    origin: str
    display_value: str
    has_links: bool
    fields: tuple[str, ...]

    @classmethod
    def of(cls, request: web.Request) -> "View":
        query = request.query
        return cls(
            origin=str(request.url.origin()),
            display_value=query.get("sysparm_display_value", "false"),
            has_links=query.get("sysparm_exclude_reference_link") != "true",
            fields=tuple(filter(None, query.get("sysparm_fields", "").split(","))),
        )


def shown(database: Database, table: str, row: Row, view: View) -> dict[str, Any]:
    """The fields that were asked for; unknown names are ignored."""
    columns = schema.columns(table)
    names = [name for name in view.fields if name in row] if view.fields else row
    return {name: _field(database, table, row, columns[name], view) for name in names}


def labels(database: Database, table: str, row: Row) -> Mapping[str, str]:
    """The row as people see it."""
    columns = schema.columns(table)
    return {name: _label(database, table, row, columns[name]) for name in row}


def _field(database: Database, table: str, row: Row, column: schema.Column, view: View) -> Any:
    value = row[column.name]
    link = {}
    if value and column.refers_to and view.has_links:
        link = {"link": f"{view.origin}/api/now/table/{column.refers_to}/{value}"}
    if view.display_value == "all":
        return {"display_value": _label(database, table, row, column), "value": value, **link}
    if view.display_value == "true":
        label = _label(database, table, row, column)
        return {"display_value": label, **link} if link else label
    return {**link, "value": value} if link else value


def _label(database: Database, table: str, row: Row, column: schema.Column) -> str:
    value = row[column.name]
    if column.refers_to:
        referred = database.find(column.refers_to, value)
        return referred["name"] if referred else ""
    if column.name in schema.JOURNALS:
        return _history(database, row["sys_id"], column.name)
    return database.label(table, column.name, value)


def _history(database: Database, sys_id: str, journal: str) -> str:
    """A journal as forms show it, the newest entry first."""
    entries = database.entries(sys_id, journal)
    return "".join(
        f"{entry['sys_created_on']} - {database.user_name(entry['sys_created_by'])} ({_JOURNAL_NAMES[journal]})\n"
        f"{entry['value']}\n\n"
        for entry in reversed(entries)
    )
