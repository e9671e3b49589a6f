"""What Now shows: what waits for an acknowledgment, and what somebody has. Of each a page, the rest by cursor. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from versus_py.incidents.model import IncidentId
from versus_py.web.pages.ui.rows import FRAME_BYTES, Row, Spot

WAITING_BYTES = 90_000
TAKEN_BYTES = 40_000
"""What the rows of a page may take, so that it is read within a second on a phone."""

ROWS_MAX = 60

_DIGITS_MAX = 16
"""Of the longest `Row.sort`."""

_Begin = tuple[int, str]
"""Where a part begins: after the `sort` and the id of a row."""


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
    rows: Iterable[Row | Spot], *, query: str = "", waiting_after: str = "", taken_after: str = "", unread: int = 0
) -> Now:
    """From all that is open: those that `wanted` names have to be rows. Raises ValueError for a bad cursor."""
    waiting, taken = in_order(rows)
    shown = _matching(waiting, query)
    coming = next((it for it in shown if it.is_coming), None)
    return Now(
        waiting=_part(shown, waiting_after, WAITING_BYTES),
        taken=_part(_matching(taken, query), taken_after, TAKEN_BYTES),
        waiting_in_all=len(waiting),
        query=query,
        next=coming if isinstance(coming, Row) else None,
        unread=unread,
    )


def wanted(
    spots: Iterable[Row | Spot], *, query: str = "", waiting_after: str = "", taken_after: str = ""
) -> list[IncidentId]:
    """Those that `now_of` has to have as rows. Raises ValueError for a bad cursor."""
    waiting, taken = in_order(spots)
    if query:
        return [it.id for it in (*waiting, *taken)]
    found = [
        *_after(waiting, waiting_after)[: _most(WAITING_BYTES)],
        *_after(taken, taken_after)[: _most(TAKEN_BYTES)],
        *[it for it in waiting if it.is_coming][:1],
    ]
    return [*dict.fromkeys(it.id for it in found)]


def in_order(rows: Iterable[Row | Spot]) -> tuple[list[Row | Spot], list[Row | Spot]]:
    """What waits, the soonest escalation first; and what somebody has, the oldest first."""
    ordered = sorted(rows, key=_begin)
    return [it for it in ordered if not it.is_taken], [it for it in ordered if it.is_taken]


def _matching(rows: Sequence[Row | Spot], query: str) -> Sequence[Row | Spot]:
    return [it for it in rows if isinstance(it, Row) and it.matches(query)] if query else rows


def _part(rows: Sequence[Row | Spot], after: str, size: int) -> Shown:
    """The rows after that cursor that fit, one at the least."""
    rest = _after(rows, after)
    kept: list[Row] = []
    for row in rest[: _most(size)]:
        if not isinstance(row, Row):
            break
        size -= row.size
        if size < 0 and kept:
            break
        kept.append(row)
    left = len(rest) - len(kept)
    return Shown(tuple(kept), len(rows), left, cursor_of(kept[-1]) if left and kept else "")


def _after(rows: Sequence[Row | Spot], cursor: str) -> Sequence[Row | Spot]:
    if not cursor:
        return rows
    begin = parse_cursor(cursor)
    return [it for it in rows if _begin(it) > begin]


def _most(size: int) -> int:
    """How many rows fit at the most."""
    return min(ROWS_MAX, size // FRAME_BYTES + 1)


def cursor_of(row: Row) -> str:
    return f"{row.sort}.{row.id}"


def parse_cursor(cursor: str) -> _Begin:
    """Raises ValueError."""
    sort, _, incident_id = cursor.partition(".")
    if not sort.isdecimal() or len(sort) > _DIGITS_MAX:
        raise ValueError("no cursor")
    return int(sort), incident_id


def _begin(row: Row | Spot) -> _Begin:
    return row.sort, row.id
