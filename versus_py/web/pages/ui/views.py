"""What open tabs show: each page as parts that have a mark, so that only those are sent that have another one.

Tabs that show the same share a view: what it shows is rendered once, however many they are.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlencode

from versus_py.errors import Unreadable
from versus_py.incidents.model import Incident, IncidentId
from versus_py.store import Store
from versus_py.web.pages.rendering import pages
from versus_py.web.pages.ui.board import Board
from versus_py.web.pages.ui.marks import mark
from versus_py.web.pages.ui.now import Now
from versus_py.web.pages.ui.rows import Row
from versus_py.web.pages.ui.shell import PART, Shell
from versus_py.web.pages.ui.viewer import Role, Viewer

STREAM_PATH = "/stream"
QUERY_MAX = 200


@dataclass(frozen=True, slots=True)
class NowView:
    """Now, with its filter, and the cursors of its lists."""

    query: str
    waiting_after: str
    taken_after: str
    may_act: bool

    @property
    def is_first_page(self) -> bool:
        return not (self.waiting_after or self.taken_after)

    @property
    def url(self) -> str:
        """Its stream."""
        part = {"q": self.query, "waiting_after": self.waiting_after, "acknowledged_after": self.taken_after}
        return f"{STREAM_PATH}?{urlencode({name: it for name, it in part.items() if it})}"


@dataclass(frozen=True, slots=True)
class IncidentView:
    """The page of one incident."""

    incident_id: IncidentId
    all_alerts: bool
    all_entries: bool
    may_act: bool

    @property
    def url(self) -> str:
        """Its stream."""
        part = {"incident": self.incident_id} | ({"alerts": "all"} if self.all_alerts else {})
        return f"{STREAM_PATH}?{urlencode(part | ({'timeline': 'all'} if self.all_entries else {}))}"


View = NowView | IncidentView


def now_view(query: Mapping[str, str], viewer: Viewer) -> NowView:
    """By the query of its page, or of its stream."""
    return NowView(
        query.get("q", "").strip()[:QUERY_MAX],
        query.get("waiting_after", ""),
        query.get("acknowledged_after", ""),
        viewer.may_act,
    )


def incident_view(query: Mapping[str, str], incident_id: IncidentId, viewer: Viewer) -> IncidentView:
    return IncidentView(incident_id, query.get("alerts") == "all", query.get("timeline") == "all", viewer.may_act)


class Values(Protocol):
    """What the templates of pages are rendered with: `Reading`."""

    async def now_values(self, now: Now) -> Mapping[str, Any]: ...

    async def incident_values(self, found: Incident, *, all_alerts: bool, all_entries: bool) -> Mapping[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Picture:
    """A view as it is now. *parts* renders some of its parts, those that are gone too; *whole* all of it."""

    marks: Mapping[str, str]
    whole: Callable[[], Awaitable[str]]
    parts: Callable[[Collection[str]], str] | None = None  # None: it is sent as a whole
    is_all: bool = False  # whether there are no other rows on further pages

    async def since(self, before: Mapping[str, str]) -> str:
        """The HTML of what is other than *before*; "" when nothing is."""
        changed = {it for it in before.keys() | self.marks.keys() if before.get(it) != self.marks.get(it)}
        if not changed:
            return ""
        return await self.whole() if self.parts is None or FRAME in changed else self.parts(changed)


FRAME = "frame"
"""The part of a picture that all others are in."""


class Views:
    """Takes pictures. Each row is rendered once for a change, whatever shows it, and whoever looks."""

    def __init__(self, shell: Shell, board: Board, store: Store, values: Values) -> None:
        self._shell = shell
        self._board = board
        self._store = store
        self._values = values
        self._rendered: dict[tuple[str, str, bool], str] = {}

    def count(self) -> str:
        """How many wait, as the navigation and the title have it."""
        return self._shell.html(pages.get_template("ui/count.html"), viewer=None, waiting=self._board.waiting)

    def begin_change(self) -> None:
        """Forget what was rendered: the times in it are old."""
        self._rendered.clear()

    async def picture(self, view: View) -> Picture | None:
        """None for an incident that is gone, or cannot be read. Raises ValueError for a cursor that is none."""
        return await (self._now(view) if isinstance(view, NowView) else self._incident(view))

    async def _now(self, view: NowView) -> Picture:
        now = await self._board.known_now(
            query=view.query, waiting_after=view.waiting_after, taken_after=view.taken_after
        )
        rows = {f"i-{row.id}": (row, name) for part, name in _lists(now) for row in part}
        marks = {part: f"{name} {row.mark}" for part, (row, name) in rows.items()}
        counts = (now.waiting.total, now.waiting.left, now.taken.total, now.taken.left, now.waiting_in_all, now.unread)
        about = {FRAME: str(now.is_empty), "head": mark((counts, now.next and (now.next.id, now.next.due_ms)))}

        def parts(wanted: Collection[str]) -> str:
            shown = [self._row(*rows[it], view) for it in rows if it in wanted]
            gone = [it for it in wanted if it.startswith("i-") and it not in rows]
            news = self._render("ui/now_news.html", view, now=now, gone=gone, query=view.query)
            return "".join([*shown, news])

        async def whole() -> str:
            return self._render("ui/now.html", view, frame=PART, **await self._values.now_values(now))

        is_all = view.is_first_page and not (now.waiting.left or now.taken.left)
        return Picture(marks | about, whole, None if now.is_empty else parts, is_all)

    async def _incident(self, view: IncidentView) -> Picture | None:
        try:
            found = await self._store.get(view.incident_id)
        except Unreadable:
            return None
        if found is None:
            return None
        values = await self._values.incident_values(found, all_alerts=view.all_alerts, all_entries=view.all_entries)

        async def whole() -> str:
            return self._render("ui/incident.html", view, frame=PART, **values)

        return Picture({FRAME: mark((values["it"], values["place"], values["payload"]))}, whole)

    def _row(self, row: Row, name: str, view: NowView) -> str:
        key = (f"{row.id} {row.mark}", name, view.may_act)
        if key not in self._rendered:
            self._rendered[key] = self._render("ui/one_row.html", view, it=row, list=name)
        return self._rendered[key]

    def _render(self, template: str, view: View, **values: Any) -> str:
        viewer = Viewer("", "", Role.RESPONDER if view.may_act else Role.VIEWER)
        return self._shell.html(pages.get_template(template), viewer=viewer, **values)


def _lists(now: Now) -> Sequence[tuple[Sequence[Row], str]]:
    return (now.waiting.rows, "waiting"), (now.taken.rows, "acknowledged")
