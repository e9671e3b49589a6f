"""The pages that show incidents: what is open now, and one of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from versus_py.clock import Clock
from versus_py.config import Config
from versus_py.engine.health import Health
from versus_py.engine.heartbeats import Heartbeats
from versus_py.engine.lifecycle import AFTER_A_LOSS, NOT_READ, Lifecycle
from versus_py.errors import Unreadable
from versus_py.incidents.heartbeats import called as heartbeat_called
from versus_py.incidents.heartbeats import is_heartbeat, is_silent, labels_of
from versus_py.incidents.model import Incident, IncidentId
from versus_py.incidents.transitions import COMMENT_MAX
from versus_py.store import Store
from versus_py.targets import Called
from versus_py.web.api.views import utc
from versus_py.web.pages.ui import choices
from versus_py.web.pages.ui.board import Board
from versus_py.web.pages.ui.detail import detail_of
from versus_py.web.pages.ui.guard import UiGuard
from versus_py.web.pages.ui.looking_back import LookingBack
from versus_py.web.pages.ui.now import Now, Reach, in_order
from versus_py.web.pages.ui.payload import payload_shown
from versus_py.web.pages.ui.rows import Row, Spot, cut, since_ms
from versus_py.web.pages.ui.said import forget_said, said
from versus_py.web.pages.ui.shell import VIEWER, render
from versus_py.web.pages.ui.viewer import Viewer
from versus_py.web.pages.ui.views import QUERY_MAX, incident_view, now_view

BEATS_MAX = 8


@dataclass(frozen=True, slots=True)
class Last:
    """The incident that began last."""

    id: str
    title: str
    source: str
    since_ms: int
    over_at_ms: int | None
    by: str


@dataclass(frozen=True, slots=True)
class BeatShown:
    """A heartbeat that is expected, and has come or not."""

    name: str
    at_ms: int | None
    is_silent: bool


@dataclass(frozen=True, slots=True)
class Place:
    """Where an incident is in Now, and its neighbours there."""

    number: int
    total: int
    before: str
    after: str


class Reading:
    """The handlers. *called* tells what people call a target."""

    def __init__(
        self,
        config: Config,
        board: Board,
        looking_back: LookingBack,
        *,
        store: Store,
        lifecycle: Lifecycle,
        heartbeats: Heartbeats,
        health: Health | None,
        clock: Clock,
        called: Called,
    ) -> None:
        self._config = config
        self._board = board
        self._looking_back = looking_back
        self._store = store
        self._lifecycle = lifecycle
        self._heartbeats = heartbeats
        self._health = health
        self._clock = clock
        self._called = called

    def routes(self, ui: UiGuard) -> list[web.RouteDef]:
        return [
            web.get("/", ui(self.now), allow_head=False),
            web.get("/incidents/{id}", ui(self.incident), allow_head=False),
        ]

    async def now(self, request: web.Request, viewer: Viewer) -> web.Response:
        """`?q=` filters; `?waiting_after=` and `?acknowledged_after=` continue a list; `?at=` is another moment."""
        if request.query.get("at"):
            return await self._looking_back.at(request, viewer)
        view, at = now_view(request.query, viewer), await self._store.changes.latest()
        try:
            now = await self._board.now(
                query=view.query, waiting_after=view.waiting_after, taken_after=view.taken_after
            )
        except ValueError:
            raise web.HTTPBadRequest(text="this is no link of a list: open the first page again") from None
        values = {**await self.now_values(now), "live": view.url, "at": at, "flash": said(request)}
        return forget_said(request, render(request, "ui/now.html", **values))

    async def now_values(self, now: Now) -> dict[str, Any]:
        """What its template is rendered with."""
        return {
            "title": "Now",
            "page": "now",
            "waiting": now.waiting_in_all,
            "failed": await self._store.history.failed_count(),
            "query": now.query,
            "now": now,
            "last": await self._last(),
            "reach": await self._reach(),
            "beats": await self._beats() if now.is_empty else (),
            "snoozes": choices.snoozes(self._config, self._clock.now_ms()),
            "comment_max": COMMENT_MAX,
        }

    async def incident(self, request: web.Request, viewer: Viewer) -> web.Response:  # noqa: ARG002 - as above
        """`?alerts=all` and `?timeline=all` show all that is kept."""
        found = await self.known(request)
        return forget_said(request, await self.page_of(request, found, flash=said(request)))

    async def known(self, request: web.Request) -> Incident:
        """The incident that is asked for. Raises the answer when there is none, or it cannot be read."""
        incident_id = IncidentId(request.match_info["id"])
        try:
            found = None if is_heartbeat(incident_id) else await self._store.get(incident_id)
        except Unreadable as exc:
            raise Unreadable(NOT_READ) from exc
        if found is None:
            raise await self.unknown(incident_id)
        return found

    async def unknown(self, incident_id: IncidentId) -> web.HTTPNotFound:
        """That nobody knows it, and why that may be."""
        lost_at_ms = await self._lifecycle.lost_at_ms(incident_id)
        if lost_at_ms is None:
            return web.HTTPNotFound(
                text="No such incident: it never existed, or it was resolved and its retention has ended."
            )
        return web.HTTPNotFound(
            text=f"No such incident any more: Redis lost its data at {utc(lost_at_ms)}. {AFTER_A_LOSS}"
        )

    async def page_of(self, request: web.Request, found: Incident, *, flash: str, status: int = 200) -> web.Response:
        """The page of that incident, which says *flash*."""
        at = await self._store.changes.latest()
        view = incident_view(request.query, found.id, request[VIEWER])
        values = await self.incident_values(found, all_alerts=view.all_alerts, all_entries=view.all_entries)
        return render(request, "ui/incident.html", status=status, **values, live=view.url, at=at, flash=flash)

    async def incident_values(self, found: Incident, *, all_alerts: bool, all_entries: bool) -> dict[str, Any]:
        """What its template is rendered with."""
        entries = await self._store.timeline(found.id)
        shown = detail_of(found, entries, self._called, all_alerts=all_alerts, all_entries=all_entries)
        counts = await self._board.counts()
        waiting, taken = in_order(self._board.sight.spots)
        return {
            "title": shown.row.title,
            "page": "incident",
            **counts,
            "it": shown,
            "all_alerts": all_alerts,
            "place": _place(found.id, [*waiting, *taken]),
            "payload": payload_shown(await self._store.payload(found.id)),
            "snoozes": choices.snoozes(self._config, self._clock.now_ms()),
            "severities": _severities(found.severity),
            "severity_now": found.severity,
            "policies": choices.policies(self._config),
            "channels": choices.channels(self._config, self._called),
            "comment_max": COMMENT_MAX,
        }

    async def _last(self) -> Last | None:
        page = await self._store.page(limit=1)
        if not page.incidents:
            return None
        [it] = page.incidents
        by = "" if it.resolved_by is None else it.resolved_by.name
        return Last(it.id, cut(it.title, QUERY_MAX), it.source, since_ms(it), it.resolved_at_ms, by)

    async def _reach(self) -> Reach | None:
        """None where nobody looks after the parts of this process."""
        if self._health is None:
            return None
        found = await self._health.readiness()
        targets: Mapping[str, str] = {self._called(name): said for name, said in found.targets.items()}
        return Reach(found.redis, targets, found.overdue)

    async def _beats(self) -> list[BeatShown]:
        shown: list[BeatShown] = []
        for expected, come in await self._heartbeats.known():
            shown += [
                BeatShown(
                    heartbeat_called(it.title, expected.of(labels_of(it))),
                    it.waiting_since_ms,
                    is_silent=is_silent(it),
                )
                for it in come
            ] or [BeatShown(expected.name, None, is_silent=False)]
        return shown[:BEATS_MAX]


def _place(incident_id: IncidentId, rows: list[Row | Spot]) -> Place | None:
    """None for one that is not open."""
    ids = [it.id for it in rows]
    if incident_id not in ids:
        return None
    at = ids.index(incident_id)
    return Place(at + 1, len(ids), ids[at - 1] if at else "", ids[at + 1] if at + 1 < len(ids) else "")


def _severities(present: str) -> tuple[str, ...]:
    return choices.SEVERITIES if present in choices.SEVERITIES else (present, *choices.SEVERITIES)
