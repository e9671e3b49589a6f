"""What people write in the comments of records: asked for now and then, and each handed over once.

Of records that are kept in sync both ways, work notes are handed over too, but for those that were written from here.
"""

from collections.abc import Mapping
from hashlib import sha256

import structlog
from msgspec import Struct

from versus_py.clock import Clock
from versus_py.config import ServiceNowInstance
from versus_py.errors import Permanent
from versus_py.incidents.model import Comment, Incident, Status
from versus_py.targets.remote_clock import RemoteClock
from versus_py.targets.servicenow.journal_text import plain
from versus_py.targets.servicenow.key import shortened
from versus_py.targets.servicenow.people import OwnUser, People, Person
from versus_py.targets.servicenow.record import Record, is_open, is_ours, ms_of
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


class Heard(Struct, frozen=True):
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

    def __init__(
        self,
        api: TableApi,
        instance: ServiceNowInstance,
        clock: Clock,
        remote: RemoteClock,
        own_user: OwnUser,
        people: People,
    ) -> None:
        self._api = api
        self._instance = instance
        self._clock = clock
        self._remote = remote
        self._own_user = own_user
        self._people = people if instance.is_two_way else None
        self._elements = ("comments", "work_notes") if instance.is_two_way else ("comments",)
        self._every_ms = max(_EVERY_MIN_MS, round(instance.comments_every_minutes * 60_000))
        self._is_readable = False  # rows were seen
        self._is_warned = False
        self._unreadable_until_ms = 0
        self.is_on = instance.lifecycle != "plain" and instance.comments_every_minutes > 0

    def next_look_ms(self, incident: Incident, record: Record | None = None, *, is_unread: bool = False) -> int | None:
        """When to look again at the *record*, if that is known; None for never, until the incident changes.

        Where its comments could not be read (*is_unread*), also at one that is over: they may have said why.
        """
        now_ms = self._clock.now_ms()
        end_ms = max(incident.updated_at_ms + LOOKS_FOR_MS, incident.ack_ends_at_ms or 0)
        if not self.is_on or now_ms >= end_ms:
            return None
        if is_unread:
            return min(end_ms, now_ms + self._every_ms)
        if incident.status is Status.RESOLVED:
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
        told = [row for row in new_rows if self._at_ms(row) >= heard.since_ms and not self._is_own(row)]
        new = tuple(it for it in await self._with_authors(told) if it.text)
        return new, Heard(since_ms, tuple(known)[:_KNOWN_MAX])

    async def _rows(self, record: Record) -> list[Row]:
        """The latest comments, oldest first.

        Their times are compared here: whether a query means them in UTC or in the user's time zone is not documented.
        """
        elements = f"={self._elements[0]}" if len(self._elements) == 1 else f"IN{','.join(self._elements)}"
        query = f"element_id={record.sys_id}^element{elements}^ORDERBYDESCsys_created_on"
        rows = await self._api.search(_JOURNAL, query, _COLUMNS, limit=_READ_MAX)
        own = [row for row in rows if self._is_comment_on(record, row)]
        return sorted(own, key=lambda row: value_of(row.get("sys_created_on")))

    async def _has_comments(self, record: Record) -> bool:
        """Whether the record shows comments of which the journal, as far as the user may read it, has none.

        What it shows is for people, in their words, date formats and time zones: not to be taken apart.
        """
        row = await self._api.read(self._instance.table, record.sys_id, self._elements, as_shown=True)
        return any(str(row.get(element) or "").strip() for element in self._elements)

    def _note_unreadable(self, why: str) -> None:
        self._unreadable_until_ms = self._clock.now_ms() + _UNREADABLE_FOR_MS
        if not self._is_warned:
            hint = f"let the user read {_JOURNAL}, or set comments_every_minutes to 0"
            log.warning("servicenow.comments_unreadable", instance=self._api.url, why=why, hint=hint)
        self._is_warned = True

    async def _with_authors(self, rows: list[Row]) -> list[Comment]:
        """By their names where users can be looked up."""
        authors = [_author(row) for row in rows]
        known = await self._people.named(authors) if self._people is not None and authors else {}
        return [self._comment(row, known.get(it, Person(it))) for row, it in zip(rows, authors, strict=True)]

    def _comment(self, row: Row, by: Person) -> Comment:
        text = shortened(plain(value_of(row.get("value"))), _TEXT_MAX)
        return Comment(self._remote.ours(self._at_ms(row)), by.called, text, by.email)

    def _at_ms(self, row: Row) -> int:
        """When it was written by the instance's clock; now, where the user may not know."""
        at_ms = ms_of(value_of(row.get("sys_created_on")))
        return self._remote.now_ms() if at_ms is None else at_ms

    def _is_own(self, row: Row) -> bool:
        """Whether it was written from here: by the integration's user, or where nobody knows that one, in our words."""
        if self._own_user.is_known:
            return self._own_user.is_it(_author(row))
        return value_of(row.get("element")) == "work_notes" and is_ours(value_of(row.get("value")).strip())

    def _is_comment_on(self, record: Record, row: Row) -> bool:
        """Checked here too: ServiceNow drops the conditions of a query that it does not understand."""
        is_element = value_of(row.get("element")) in self._elements
        return value_of(row.get("element_id")) == record.sys_id and is_element and bool(row.get("sys_id"))


def _author(row: Row) -> str:
    return value_of(row.get("sys_created_by"))


def _name(row: Row) -> str:
    """What tells a comment from others, in less room than its sys_id; the parts of that are not all random."""
    return sha256(value_of(row.get("sys_id")).encode()).hexdigest()[:10]
