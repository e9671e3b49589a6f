"""What people write in the comments of records: asked for now and then, and each handed over once."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256

import structlog

from versus_py.clock import Clock
from versus_py.config import ServiceNowInstance
from versus_py.errors import Permanent
from versus_py.incidents.model import Comment, Incident, Status
from versus_py.targets.remote_clock import RemoteClock
from versus_py.targets.servicenow.key import shortened
from versus_py.targets.servicenow.record import Record, is_open
from versus_py.targets.servicenow.table_api import Row, TableApi, value_of

log = structlog.get_logger()

KEPT_MAX = 20
"""The most comments kept with one delivery."""

LOOKS_FOR_MS = 24 * 3600_000
"""How long after its last change an incident's record is looked at: what is never resolved is not asked for ever.

While an acknowledgment may end, it is looked at for as long as that lasts."""

_TEXT_MAX = 1000
_READ_MAX = 50
_KNOWN_MAX = 2 * _READ_MAX
_UNREADABLE_FOR_MS = 3600_000
_EVERY_MIN_MS = 1000
_JOURNAL = "sys_journal_field"
_COLUMNS = ("sys_id", "element_id", "element", "value", "sys_created_on", "sys_created_by")


@dataclass(frozen=True, slots=True)
class Heard:
    """Which comments of a record are no news: all from before *since_ms*, and the latest by name.

    *since_ms* is by the instance's clock.
    """

    since_ms: int
    names: tuple[str, ...] = ()

    @classmethod
    def of(cls, reference: Mapping[str, str]) -> "Heard | None":
        since, *names = reference.get("heard", "").split() or [""]
        return cls(int(since), tuple(names)) if since else None

    @property
    def reference(self) -> dict[str, str]:
        return {"heard": " ".join((str(self.since_ms), *self.names))}


class Comments:
    """The comments of one instance's records."""

    def __init__(self, api: TableApi, instance: ServiceNowInstance, clock: Clock, remote: RemoteClock) -> None:
        self._api = api
        self._instance = instance
        self._clock = clock
        self._remote = remote
        self._own_user = instance.own_user
        self._every_ms = max(_EVERY_MIN_MS, round(instance.comments_every_minutes * 60_000))
        self._is_readable = False  # rows were seen
        self._is_warned = False
        self._unreadable_until_ms = 0
        self.is_on = instance.lifecycle != "plain" and instance.comments_every_minutes > 0

    def next_look_ms(self, incident: Incident, record: Record | None = None) -> int | None:
        """When to look again at the *record*, if that is known; None for never, until the incident changes."""
        now_ms = self._clock.now_ms()
        end_ms = max(incident.updated_at_ms + LOOKS_FOR_MS, incident.ack_ends_at_ms or 0)
        if not self.is_on or incident.status is Status.RESOLVED or now_ms >= end_ms:
            return None
        if record is not None and not (record.state and is_open(record, self._instance.states)):
            return None
        return min(end_ms, max(now_ms + self._every_ms, self._unreadable_until_ms))

    async def after(self, heard: Heard, record: Record) -> tuple[tuple[Comment, ...], Heard]:
        """What is new since *heard*, oldest first, and what to remember then. Raises Transient.

        Nothing is new where comments cannot be read: that is found out once an hour.
        """
        if self._clock.now_ms() < self._unreadable_until_ms:
            return (), heard
        try:
            rows = await self._rows(record)
        except Permanent as exc:
            self._note_unreadable(str(exc))
            return (), heard
        if not rows and not self._is_readable and await self._has_comments(record):
            self._note_unreadable("all its rows are hidden from the user")
        if not rows:
            return (), heard
        self._is_readable, self._is_warned = True, False
        names = tuple(_name(row) for row in rows)
        known = dict.fromkeys((*reversed(names), *heard.names))
        new_rows = [row for row, name in zip(rows, names, strict=True) if name not in heard.names]
        # What moves up to the end of a full page, as one of the latest was deleted, is old.
        since_ms = max(heard.since_ms, self._at_ms(rows[0])) if len(rows) == _READ_MAX else heard.since_ms
        comments = [self._comment(row) for row in new_rows if self._at_ms(row) >= heard.since_ms]
        new = tuple(it for it in comments if it.text and not self._is_own(it))
        return new, Heard(since_ms, tuple(known)[:_KNOWN_MAX])

    async def _rows(self, record: Record) -> list[Row]:
        """The latest comments, oldest first.

        Their times are compared here: whether a query means them in UTC or in the user's time zone is not documented.
        """
        query = f"element_id={record.sys_id}^element=comments^ORDERBYDESCsys_created_on"
        rows = await self._api.search(_JOURNAL, query, _COLUMNS, limit=_READ_MAX)
        own = [row for row in rows if _is_comment_on(record, row)]
        return sorted(own, key=lambda row: value_of(row.get("sys_created_on")))

    async def _has_comments(self, record: Record) -> bool:
        """Whether the record shows comments of which the journal, as far as the user may read it, has none.

        What it shows is for people, in their words, date formats and time zones: not to be taken apart.
        """
        row = await self._api.read(self._instance.table, record.sys_id, ("comments",), as_shown=True)
        return bool(str(row.get("comments") or "").strip())

    def _note_unreadable(self, why: str) -> None:
        self._unreadable_until_ms = self._clock.now_ms() + _UNREADABLE_FOR_MS
        if not self._is_warned:
            hint = f"let the user read {_JOURNAL}, or set comments_every_minutes to 0"
            log.warning("servicenow.comments_unreadable", instance=self._api.url, why=why, hint=hint)
        self._is_warned = True

    def _comment(self, row: Row) -> Comment:
        text = shortened(value_of(row.get("value")).strip(), _TEXT_MAX)
        return Comment(self._remote.ours(self._at_ms(row)), value_of(row.get("sys_created_by")), text)

    def _at_ms(self, row: Row) -> int:
        """When it was written by the instance's clock; now, where the user may not know."""
        try:
            at = datetime.strptime(value_of(row.get("sys_created_on")), "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
        except ValueError:
            return self._remote.now_ms()
        return int(at.timestamp() * 1000)

    def _is_own(self, comment: Comment) -> bool:
        return bool(self._own_user) and comment.by.casefold() == self._own_user


def _is_comment_on(record: Record, row: Row) -> bool:
    """Checked here too: ServiceNow drops the conditions of a query that it does not understand."""
    asked_for = (record.sys_id, "comments")
    return (value_of(row.get("element_id")), value_of(row.get("element"))) == asked_for and bool(row.get("sys_id"))


def _name(row: Row) -> str:
    """What tells a comment from others, in less room than its sys_id; the parts of that are not all random."""
    return sha256(value_of(row.get("sys_id")).encode()).hexdigest()[:10]
