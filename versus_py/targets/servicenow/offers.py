"""What an instance has to choose from: the priorities of its records, and the columns that can be routing_field."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from versus_py.config import ServiceNowInstance
from versus_py.config.tickets import PriorityLeads
from versus_py.incidents.severity import Level, level_of
from versus_py.targets.servicenow.sides import PRIORITY, STATE, severity_of, standings
from versus_py.targets.servicenow.table_api import TableApi, value_of

ROWS_MAX = 5000
_TABLES = ("incident", "task")
_PREFERRED_LANGUAGE = "en"

_ROUTING_TYPES = frozenset({"reference", "string", "integer", "choice", "boolean", "sys_class_name"})
_NOT_FOR_ROUTING = frozenset({"number", "description", "short_description", "close_notes", "correlation_id"})
"""Texts, and what is another one for every record."""


@dataclass(frozen=True, slots=True)
class RoutingColumn:
    """A column that can be routing_field."""

    name: str
    type: str
    label: str
    refers_to: str = ""  # the table that a reference names a row of


async def states(api: TableApi, table: str) -> Mapping[str, str]:
    """Every state that can be chosen: its number -> its label. Raises Transient and Permanent.

    A table with states of its own has none of those of the table that it inherits from.
    """
    tables = tuple(dict.fromkeys((table, *_TABLES)))
    query = f"nameIN{','.join(tables)}^element={STATE}^inactive=false^ORDERBYsequence"
    columns = ("name", "element", "value", "label", "inactive")
    rows = await api.search("sys_choice", query, columns, limit=ROWS_MAX)
    found: dict[str, dict[str, str]] = {}
    for row in rows:
        name, element, value, label, inactive = (value_of(row.get(it)) for it in columns)
        if element == STATE and value and inactive != "true":
            found.setdefault(name, {}).setdefault(value, label)
    return next((found[it] for it in tables if it in found), {})


async def priorities(api: TableApi, table: str) -> Mapping[str, str]:
    """Every priority that can be chosen: its number -> its label. Raises Transient and Permanent.

    A choice of *table* itself comes before one of those that it inherits from.
    """
    tables = tuple(dict.fromkeys((table, *_TABLES)))
    query = f"nameIN{','.join(tables)}^element={PRIORITY}^inactive=false^ORDERBYsequence"
    columns = ("name", "element", "value", "label", "language", "inactive")
    rows = await api.search("sys_choice", query, columns, limit=ROWS_MAX)
    chosen = [row for row in rows if value_of(row.get("element")) == PRIORITY and value_of(row.get("name")) in tables]
    active = [row for row in chosen if value_of(row.get("inactive")) != "true" and value_of(row.get("value"))]

    def rank(row: Mapping[str, object]) -> tuple[int, bool]:
        return tables.index(value_of(row.get("name"))), value_of(row.get("language")) != _PREFERRED_LANGUAGE

    found: dict[str, str] = {}
    for row in sorted(active, key=rank):
        found.setdefault(value_of(row.get("value")), value_of(row.get("label")))
    return dict(sorted(found.items(), key=lambda it: (len(it[0]), it[0])))


async def routing_columns(api: TableApi, table: str) -> list[RoutingColumn]:
    """By their names. Raises Transient and Permanent."""
    tables = {table, "task"} if not table.startswith(("u_", "x_")) else {table}
    query = f"nameIN{','.join(sorted(tables))}^active=true^ORDERBYelement"
    columns = ("name", "element", "internal_type", "column_label", "reference")
    rows = await api.search("sys_dictionary", query, columns, limit=ROWS_MAX)
    found: dict[str, RoutingColumn] = {}
    for row in rows:
        column = RoutingColumn(*(_plain(value_of(row.get(name))) for name in columns[1:]))
        if value_of(row.get("name")) in tables and _can_route(column):
            found.setdefault(column.name, column)
    return [found[name] for name in sorted(found)]


def _can_route(column: RoutingColumn) -> bool:
    is_of_the_system = column.name.startswith("sys_") or column.name in _NOT_FOR_ROUTING
    return bool(column.name) and column.type in _ROUTING_TYPES and not is_of_the_system


def unnamed(found: Mapping[str, str], instance: ServiceNowInstance) -> list[str]:
    """The states that `states` does not name, as people know them."""
    named = standings(instance.states)
    return [_called(value, label) for value, label in found.items() if value not in named]


def unmapped(found: Mapping[str, str], instance: ServiceNowInstance) -> list[str]:
    """The priorities that priority_map does not name, as people know them."""
    return [_called(value, label) for value, label in found.items() if value not in instance.priority_map]


def absent(found: Mapping[str, str], instance: ServiceNowInstance) -> list[str]:
    """What priority_map names and the instance does not have."""
    return [value for value in instance.priority_map if value not in found]


def priority_map(found: Mapping[str, str], instance: ServiceNowInstance) -> Iterator[str]:
    """A mapping to edit, in lines of YAML: what is configured, else what the label says, else ServiceNow's scale."""
    yield "priority_map:"
    for value, label in found.items():
        configured = instance.priority_map.get(value)
        level = level_of(label)
        by_scale = severity_of({PRIORITY: value}, instance) if level is Level.UNKNOWN else level.severity
        severity = by_scale if configured is None else configured.severity
        if configured is not None and (configured.wait is not None or configured.oncall is not None):
            severity = f"{{{', '.join(_settings(configured))}}}"
        yield f'  "{value}": {severity or "info"}  # {_plain(label)}'


def _settings(leads: PriorityLeads) -> Iterator[str]:
    yield f"severity: {leads.severity}"
    if leads.wait is not None:
        yield f"wait: {leads.wait}"
    if leads.oncall is not None:
        yield f"oncall: {str(leads.oncall).lower()}"


def _called(value: str, label: str) -> str:
    return f"{value} ({_plain(label)})" if label and label != value else value


def _plain(label: str) -> str:
    """Without what would end a comment, or move a terminal's cursor."""
    return "".join(it if it.isprintable() else " " for it in label)
