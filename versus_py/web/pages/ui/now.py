"""What Now shows: what waits for an acknowledgment, and what somebody has. Of each a page, the rest by cursor. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from versus_py.web.pages.ui.rows import Row

WAITING_BYTES = 90_000
TAKEN_BYTES = 40_000
"""What the rows of a page may take, so that it is read within a second on a phone."""

ROWS_MAX = 60

_DIGITS_MAX = 16
"""Of the longest `Row.sort`."""

Place = tuple[int, str]
"""Where a row is in its list: its `sort` and its id."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A part of a list."""

    rows: tuple[Row, ...]
    total: int  # in the list
    left: int  # after this part
    cursor: str  # continues it; "" at the end

    @property
    def next_size(self) -> int:
        return min(self.left, ROWS_MAX)


@dataclass(frozen=True, slots=True)
class Reach:
    """Whether alerts would get through."""

    redis: str  # "ok", or what is wrong
    targets: Mapping[str, str]  # what people call it -> "ok", or what is wrong
    overdue: int

    @property
    def is_well(self) -> bool:
        return self.redis == "ok" and not self.overdue and all(it == "ok" for it in self.targets.values())

    @property
    def troubled(self) -> tuple[tuple[str, str], ...]:
        """What is not reachable, and how."""
        redis = [] if self.redis == "ok" else [("Redis", self.redis)]
        return (*redis, *((name, it) for name, it in self.targets.items() if it != "ok"))


@dataclass(frozen=True, slots=True)
class Now:
    """*query* is the filter; the counts are those of what it leaves."""

    waiting: Shown
    taken: Shown
    waiting_in_all: int  # whatever the filter is
    query: str
    next: Row | None  # the one that escalates first
    unread: int  # incidents that this version cannot read

    @property
    def is_empty(self) -> bool:
        """Whether nothing is open at all."""
        return not (self.waiting_in_all or self.taken.total or self.query or self.unread)


def now_of(
    rows: Iterable[Row], *, query: str = "", waiting_after: str = "", taken_after: str = "", unread: int = 0
) -> Now:
    """Raises ValueError for a cursor that is none."""
    waiting, taken = in_order(rows)
    shown = [it for it in waiting if it.matches(query)]
    coming = (it for it in shown if it.due_ms is not None and not it.held_by)
    return Now(
        waiting=_part(shown, waiting_after, WAITING_BYTES),
        taken=_part([it for it in taken if it.matches(query)], taken_after, TAKEN_BYTES),
        waiting_in_all=len(waiting),
        query=query,
        next=next(coming, None),
        unread=unread,
    )


def in_order(rows: Iterable[Row]) -> tuple[list[Row], list[Row]]:
    """What waits, the soonest escalation first; and what somebody has, the oldest first."""
    ordered = sorted(rows, key=_place)
    return [it for it in ordered if not it.is_taken], [it for it in ordered if it.is_taken]


def _part(rows: Sequence[Row], after: str, size: int) -> Shown:
    """The rows after that cursor that fit, one at the least."""
    begin = parse_cursor(after) if after else None
    rest = [it for it in rows if begin is None or _place(it) > begin]
    kept: list[Row] = []
    for row in rest[:ROWS_MAX]:
        size -= row.size
        if size < 0 and kept:
            break
        kept.append(row)
    left = len(rest) - len(kept)
    return Shown(tuple(kept), len(rows), left, cursor_of(kept[-1]) if left else "")


def cursor_of(row: Row) -> str:
    return f"{row.sort}.{row.id}"


def parse_cursor(cursor: str) -> Place:
    """Raises ValueError."""
    sort, _, incident_id = cursor.partition(".")
    if not sort.isdecimal() or len(sort) > _DIGITS_MAX:
        raise ValueError("no cursor")
    return int(sort), incident_id


def _place(row: Row) -> Place:
    return row.sort, row.id
