"""The rows of an instance."""

import itertools
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import UTC, datetime

from versus_py.simulators.servicenow import schema

Row = dict[str, str]


class Database:
    """All tables, the small ones for looking things up filled with a few rows. *now_s* is unix time.

    *absent_columns* tells which columns no table of records has.
    """

    def __init__(
        self, *, username: str, now_s: Callable[[], float], absent_columns: Callable[[], Collection[str]] = tuple
    ) -> None:
        self._username = username
        self._absent_columns = absent_columns
        self._now_s = now_s
        self._numbers = itertools.count(10001)
        self.tables: dict[str, list[Row]] = {}
        self.fill()

    def fill(self) -> None:
        """Back to the rows that an instance starts with; numbers go on."""
        self.tables.clear()
        self.tables["incident"] = []
        for table in schema.LOOKUPS:
            self.tables[table] = []
        self.own_sys_id = self.add_user(f"{self._username}@example.com", "Versus Integration")
        self.add_user("ana@example.com", "Ana Diaz")
        self.add_user("ben@example.com", "Ben Okafor")
        self.add_user("ben@example.com", "Ben Okafor (admin)")
        self.add_user("carla@example.com", "Carla Rossi", active="false")
        for group in ("Network", "Database", "Database"):
            self.add("sys_user_group", name=group, active="true")
        for ci in ("db-7", "db-7"):
            self.add("cmdb_ci", name=ci)
        for service in ("Mail", "Payments"):
            self.add("cmdb_ci_service", name=service)
        for offering in ("Mail for offices", "Payments in Europe"):
            self.add("service_offering", name=offering)
        for (table, element), choices in schema.CHOICES.items():
            for at, (value, label) in enumerate(choices.items(), 1):
                self._add_choice(table, element, value, label, sequence=str(at))
        for table, element, value in schema.INACTIVE_CHOICES:
            self._add_choice(table, element, value, value, inactive="true")
        for table, column in schema.dictionary():
            self.add(
                "sys_dictionary",
                name=table,
                element=column.name,
                column_label=column.label,
                internal_type=column.type,
                reference=column.refers_to,
                max_length=str(column.max_length),
                read_only="true" if column.is_read_only else "false",
                active="true",
                mandatory="false",
            )

    def add_user(self, email: str, name: str, *, active: str = "true") -> str:
        user_name = email.partition("@")[0]
        return self.add("sys_user", user_name=user_name, email=email, name=name, active=active)

    def add(self, table: str, **values: str) -> str:
        """Append a row; its sys_id."""
        row = self.new_row(table) | values
        self.rows(table).append(row)
        return row["sys_id"]

    def add_note(self, table: str, sys_id: str, journal: str, text: str, *, by: str | None = None) -> None:
        """Append to a record's journal; *by* is a user_name, the integration's user by default."""
        values = {"name": table, "element_id": sys_id, "element": journal, "value": text}
        self.add("sys_journal_field", **values, sys_created_by=by or self._username)

    def new_row(self, table: str, *, by: str | None = None) -> Row:
        """A row that is not in the table yet; *by* is a user_name, the integration's user by default."""
        now, user = self.now(), by or self._username
        row = {column.name: column.default for column in self.columns(table).values()}
        row |= {"sys_id": uuid.uuid4().hex, "sys_created_on": now, "sys_updated_on": now}
        row |= {"sys_created_by": user, "sys_updated_by": user}
        if "sys_class_name" in row:
            row["sys_class_name"] = table
        if "number" in row:
            row["number"] = f"{'INC' if table == 'incident' else 'REC'}{next(self._numbers):07d}"
        if "opened_at" in row:
            row["opened_at"] = now
        return row

    def columns(self, table: str) -> Mapping[str, schema.Column]:
        """By name, for a table that exists."""
        found = schema.columns(table)
        absent = self._absent_columns()
        if not absent or schema.is_lookup(table):
            return found
        return {name: column for name, column in found.items() if name not in absent}

    def entries_of_dictionary(self) -> list[Row]:
        """The rows of sys_dictionary."""
        absent = self._absent_columns()
        return [row for row in self.rows("sys_dictionary") if row["element"] not in absent]

    def touch(self, row: Row, *, by: str | None = None) -> None:
        """The row was changed once more; *by* is a user_name, the integration's user by default."""
        row["sys_mod_count"] = str(int(row["sys_mod_count"]) + 1)
        row["sys_updated_on"], row["sys_updated_by"] = self.now(), by or self._username

    def rows(self, table: str) -> list[Row]:
        """A table's rows, oldest first; a custom table comes to be when it is asked for."""
        return self.tables.setdefault(table, [])

    def find(self, table: str, sys_id: str) -> Row | None:
        return next((row for row in self.tables.get(table, []) if row["sys_id"] == sys_id), None)

    def find_record(self, name: str) -> tuple[str, Row] | None:
        """The table and the row of a record, by its sys_id or its number."""
        rows = ((table, row) for table, found in self.records().items() for row in found)
        return next((it for it in rows if name in {it[1]["sys_id"], it[1]["number"]}), None)

    def notes(self) -> dict[str, list[str]]:
        """The work notes by the record's sys_id, oldest first."""
        found: dict[str, list[str]] = {}
        for entry in self.tables["sys_journal_field"]:
            if entry["element"] == "work_notes":
                found.setdefault(entry["element_id"], []).append(entry["value"])
        return found

    def entries(self, sys_id: str, journal: str) -> list[Row]:
        """What was written to a record's journal, oldest first."""
        rows = self.tables["sys_journal_field"]
        return [row for row in rows if (row["element_id"], row["element"]) == (sys_id, journal)]

    def user_name(self, user: str) -> str:
        """What people call a user; the user_name itself where there is no such user."""
        found = self.user(user)
        return found["name"] if found else user

    def user(self, user_name: str) -> Row | None:
        """By user_name, active or not."""
        return next((row for row in self.tables["sys_user"] if row["user_name"] == user_name), None)

    def user_sys_id(self, user_name: str | None) -> str:
        """Of an active user; the integration's user for None."""
        rows = self.tables["sys_user"]
        found = (row["sys_id"] for row in rows if (row["user_name"], row["active"]) == (user_name, "true"))
        return next(found, self.own_sys_id)

    def records(self) -> dict[str, list[Row]]:
        """The tables that clients write to."""
        return {table: rows for table, rows in self.tables.items() if not schema.is_lookup(table)}

    def label(self, table: str, element: str, value: str) -> str:
        """What people see of a choice; the value itself where there is none."""
        return next((row["label"] for row in self._choices(table, element) if row["value"] == value), value)

    def value(self, table: str, element: str, label: str) -> str:
        """The choice that people see as *label*; the label itself where there is none."""
        return next((row["value"] for row in self._choices(table, element) if row["label"] == label), label)

    def is_choice(self, table: str, element: str, value: str) -> bool:
        """Whether people may choose the value."""
        return any((row["value"], row["inactive"]) == (value, "false") for row in self._choices(table, element))

    def now(self) -> str:
        return datetime.fromtimestamp(self._now_s(), UTC).strftime("%Y-%m-%d %H:%M:%S")

    def _choices(self, table: str, element: str) -> Iterator[Row]:
        rows = self.tables["sys_choice"]
        return (row for row in rows if row["element"] == element and row["name"] in {table, "task"})

    def _add_choice(
        self, table: str, element: str, value: str, label: str, *, sequence: str = "", inactive: str = "false"
    ) -> None:
        values = {"value": value, "label": label, "language": "en", "sequence": sequence, "inactive": inactive}
        self.add("sys_choice", name=table, element=element, **values)
