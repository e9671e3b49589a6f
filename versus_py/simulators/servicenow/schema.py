"""The tables of an instance, their columns and their choices, as far as a client of records meets them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True, slots=True)
class Column:
    """A column; *type* is the internal_type in sys_dictionary."""

    name: str
    max_length: int = 40
    type: str = "string"
    default: str = ""
    refers_to: str = ""  # the table whose sys_id a reference holds
    is_read_only: bool = False

    @property
    def label(self) -> str:
        """What forms call it: the column_label in sys_dictionary."""
        return _LABELS.get(self.name, self.name.replace("_", " ").capitalize())


_LABELS = {
    "business_service": "Service",
    "caller_id": "Caller",
    "cmdb_ci": "Configuration item",
    "comments": "Additional comments",
    "contact_type": "Channel",
    "correlation_id": "Correlation ID",
    "hold_reason": "On hold reason",
    "service_offering": "Service offering",
    "sys_class_name": "Task type",
    "sys_created_on": "Created",
    "sys_id": "Sys ID",
    "sys_updated_on": "Updated",
}


def _reference(name: str, table: str, *, is_read_only: bool = False) -> Column:
    return Column(name, 32, "reference", refers_to=table, is_read_only=is_read_only)


def _time(name: str) -> Column:
    return Column(name, 40, "glide_date_time", is_read_only=True)


def _choice(name: str, default: str = "", *, is_read_only: bool = False) -> Column:
    return Column(name, 40, "integer", default, is_read_only=is_read_only)


SYSTEM = (
    Column("sys_id", 32, "GUID", is_read_only=True),
    _time("sys_created_on"),
    Column("sys_created_by", is_read_only=True),
    _time("sys_updated_on"),
    Column("sys_updated_by", is_read_only=True),
    Column("sys_mod_count", 40, "integer", "0", is_read_only=True),
)
JOURNALS = ("work_notes", "comments")
TASK = (
    *SYSTEM,
    Column("sys_class_name", 80, "sys_class_name", is_read_only=True),
    Column("number", is_read_only=True),
    _choice("state", "1"),
    Column("active", 40, "boolean", "true"),
    _choice("impact", "3"),
    _choice("urgency", "3"),
    _choice("priority", "5", is_read_only=True),
    Column("short_description", 160),
    Column("description", 4000),
    Column("correlation_id", 100),
    Column("correlation_display", 100),
    Column("contact_type", default="phone"),
    _reference("assigned_to", "sys_user"),
    _reference("assignment_group", "sys_user_group"),
    _reference("cmdb_ci", "cmdb_ci"),
    _reference("business_service", "cmdb_ci_service"),
    _reference("service_offering", "service_offering"),
    _reference("opened_by", "sys_user"),
    _time("opened_at"),
    _time("closed_at"),
    Column("close_notes", 4000),
    *(Column(name, 4000, "journal_input") for name in JOURNALS),
)
INCIDENT = (
    _reference("caller_id", "sys_user"),
    Column("category", default="inquiry"),
    Column("close_code"),
    _choice("hold_reason"),
    _choice("incident_state", "1", is_read_only=True),
    _time("resolved_at"),
    _reference("resolved_by", "sys_user", is_read_only=True),
)
CUSTOM = (
    *SYSTEM,
    Column("number", is_read_only=True),
    Column("short_description", 160),
    Column("description", 4000),
    Column("correlation_id", 100),
)


def _strings(*names: str) -> tuple[Column, ...]:
    return (*SYSTEM, *(Column(name, 4000) for name in names))


LOOKUPS: Mapping[str, tuple[Column, ...]] = {
    "sys_user": _strings("user_name", "email", "name", "active"),
    "sys_user_group": _strings("name", "active"),
    "cmdb_ci": _strings("name"),
    "cmdb_ci_service": _strings("name"),
    "service_offering": _strings("name"),
    "sys_choice": _strings("name", "element", "value", "label", "language", "sequence", "inactive"),
    "sys_dictionary": _strings(
        "name",
        "element",
        "column_label",
        "internal_type",
        "reference",
        "max_length",
        "read_only",
        "active",
        "mandatory",
    ),
    "sys_journal_field": _strings("name", "element_id", "element", "value"),
}

_SCALE = {"1": "1 - High", "2": "2 - Medium", "3": "3 - Low"}
CHOICES: Mapping[tuple[str, str], Mapping[str, str]] = {
    ("incident", "state"): {
        "1": "New",
        "2": "In Progress",
        "3": "On Hold",
        "6": "Resolved",
        "7": "Closed",
        "8": "Canceled",
    },
    ("incident", "hold_reason"): {
        "1": "Awaiting Caller",
        "3": "Awaiting Problem",
        "4": "Awaiting Vendor",
        "5": "Awaiting Change",
    },
    ("incident", "close_code"): {
        label: label
        for label in (
            "Duplicate",
            "Known error",
            "No resolution provided",
            "Resolved by caller",
            "Resolved by change",
            "Resolved by problem",
            "Resolved by request",
            "Solution provided",
            "Workaround provided",
            "User error",
        )
    },
    ("task", "impact"): _SCALE,
    ("task", "urgency"): _SCALE,
    ("task", "priority"): {
        "1": "1 - Critical",
        "2": "2 - High",
        "3": "3 - Moderate",
        "4": "4 - Low",
        "5": "5 - Planning",
    },
    ("task", "contact_type"): {
        "email": "Email",
        "monitoring": "Monitoring",
        "phone": "Phone",
        "self-service": "Self-service",
        "walk-in": "Walk-in",
    },
}
CHOICE_ELEMENTS = {element for _, element in CHOICES}
INACTIVE_CHOICES = (("incident", "close_code", "Solved (Permanently)"),)  # what an upgrade leaves behind


def exists(table: str) -> bool:
    """Whether there is such a table; every custom one (`u_…`) is."""
    return table == "incident" or table in LOOKUPS or table.startswith("u_")


def is_lookup(table: str) -> bool:
    """Whether the table is one that the integration's user reads only."""
    return table in LOOKUPS


@cache
def columns(table: str) -> Mapping[str, Column]:
    """By name, for a table that exists."""
    found = (*TASK, *INCIDENT) if table == "incident" else LOOKUPS.get(table, CUSTOM)
    return {column.name: column for column in found}


def dictionary() -> Iterator[tuple[str, Column]]:
    """What sys_dictionary lists: each column with the table that it is defined on, inherited ones on task."""
    yield from (("task", column) for column in TASK)
    yield from (("incident", column) for column in INCIDENT)
