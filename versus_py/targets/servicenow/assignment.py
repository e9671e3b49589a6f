"""The record's assigned_to: who acknowledged, unless somebody else has the record."""

from collections.abc import Mapping

import structlog
from msgspec import Struct

from versus_py.errors import Permanent, Transient
from versus_py.incidents.model import Incident, Status
from versus_py.targets.servicenow.fields import References, unresolved
from versus_py.targets.servicenow.record import Record
from versus_py.targets.servicenow.table_api import Row, TableApi, value_of

log = structlog.get_logger()

COLUMN = "assigned_to"
_USERS = "sys_user.email"


class Assignment(Struct, frozen=True):
    """What is known of it from earlier syncs."""

    settled_for: str = ""  # the acknowledgment that was dealt with, whatever came of it: never again for the same
    user: str = ""  # the sys_id of whom we assigned last

    @classmethod
    def of(cls, reference: Mapping[str, str]) -> "Assignment":
        return cls(reference.get("assigned_for", ""), reference.get("assigned", ""))

    @property
    def reference(self) -> dict[str, str]:
        return {"assigned_for": self.settled_for, "assigned": self.user}


class Assigned(Struct, frozen=True):
    """What came of it."""

    known: Assignment
    warnings: tuple[str, ...] = ()  # what people should know of it
    row: Row | None = None  # the record as it was answered when it was written to; None: it was not


class Assigner:
    """Assigns records of one table. A request of its own, so that whatever comes of it, the rest is written."""

    def __init__(self, api: TableApi, table: str, references: References, *, with_display: bool = False) -> None:
        self._with_display = with_display
        self._api = api
        self._table = table
        self._references = references

    def has_to(self, incident: Incident, known: Assignment) -> bool:
        """Whether somebody acknowledged who is known by e-mail, and that was not dealt with."""
        return _acknowledgment(incident) not in {"", known.settled_for}

    async def assign(
        self, before: Record, after: Record, incident: Incident, known: Assignment, *, is_retry: bool
    ) -> Assigned:
        """Assign the record if that is to be done.

        *before* and *after* are the record around what the sync wrote: that may have taken the assignment away, as a
        change of assignment_group does. Raises Transient.
        """
        is_ours = bool(known.user) and before.values.get(COLUMN) == known.user
        was_taken_by_us = is_ours and after.values.get(COLUMN) == ""
        acknowledgment = _acknowledgment(incident)
        if not acknowledgment or not (self.has_to(incident, known) or was_taken_by_us):
            return Assigned(known)
        settled = Assignment(acknowledgment, known.user)
        if COLUMN not in after.values:
            return Assigned(settled, (f"{after.number} is not assigned: it has no {COLUMN} that the user may read",))
        if after.values[COLUMN] not in {"", known.user}:
            return await self._left_alone(after, incident, settled, is_retry=is_retry)
        user, problem = await self._user(incident, is_retry=is_retry)
        row: Row | None = None
        if user and user != after.values[COLUMN]:
            row, problem = await self._write(after, user)
        if problem:
            return Assigned(settled, (f"{after.number} is not assigned to {_email(incident)}: {problem}",), row)
        log.info("servicenow.assigned", incident=incident.id, record=after.number)
        return Assigned(Assignment(acknowledgment, user), row=row)

    async def _left_alone(self, record: Record, incident: Incident, settled: Assignment, *, is_retry: bool) -> Assigned:
        """Somebody has it: most likely another, but after a reply that got lost, perhaps whom we assigned."""
        user = (await self._user(incident, is_retry=True))[0] if is_retry else ""
        is_ours = user == record.values[COLUMN]
        return Assigned(Assignment(settled.settled_for, user) if is_ours else settled)

    async def _user(self, incident: Incident, *, is_retry: bool) -> tuple[str, str]:
        """The sys_id of who acknowledged; else "" and why."""
        try:
            user, problem = await self._references.find(_USERS, _email(incident))
        except Transient as exc:
            if not is_retry:
                raise unresolved(exc) from exc
            return "", f"users cannot be looked up: {exc}"
        return user or "", problem

    async def _write(self, record: Record, user: str) -> tuple[Row | None, str]:
        """The record as it is then, None when it was refused; and what went wrong, "" for nothing."""
        try:
            row = await self._api.update(self._table, record.sys_id, {COLUMN: user}, with_display=self._with_display)
        except Permanent as exc:
            return None, str(exc)
        # Without the right to this one column, ServiceNow leaves it out of the update without a word.
        is_ignored = COLUMN in row and value_of(row[COLUMN]) != user
        return row, f"ServiceNow did not take it: may the user write {COLUMN}?" if is_ignored else ""


def _email(incident: Incident) -> str:
    return "" if incident.acknowledged_by is None else incident.acknowledged_by.email


def _acknowledgment(incident: Incident) -> str:
    """What tells this acknowledgment from others; "" when there is none, or nobody knows by whom."""
    if incident.status is not Status.ACKNOWLEDGED or not _email(incident):
        return ""
    return f"{incident.acknowledged_at_ms} {_email(incident)}"
