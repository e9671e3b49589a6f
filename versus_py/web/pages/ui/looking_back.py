"""The pages of the past: History, what was open at some moment, and what was given up."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from versus_py.clock import Clock
from versus_py.config import Config
from versus_py.incidents.model import Ending
from versus_py.incidents.moments import wall
from versus_py.incidents.searching import QUERY_MAX
from versus_py.store import SearchPage, Span, Store
from versus_py.targets import Called
from versus_py.web.pages.ui import choices
from versus_py.web.pages.ui.board import Board
from versus_py.web.pages.ui.failures import failures_of
from versus_py.web.pages.ui.guard import UiGuard
from versus_py.web.pages.ui.moments import iso
from versus_py.web.pages.ui.past import open_at, past_row
from versus_py.web.pages.ui.said import forget_said, said
from versus_py.web.pages.ui.shell import render
from versus_py.web.pages.ui.viewer import Viewer
from versus_py.web.searches import Asked, TooCostly, read_asked, read_moment, read_zone

PAGE = 50
OPEN_MAX = 150
"""The most incidents on a page of what was open at a moment."""

FIELDS = ("q", "time", "severity", "status", "outcome", "from", "to", "tz")
"""What a search is made of: links keep it."""

_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS
_LATELY = {"24h": _DAY_MS, "7d": 7 * _DAY_MS, "30d": 30 * _DAY_MS}
TIMES = {"": "Any time", "24h": "Last 24 hours", "7d": "Last 7 days", "30d": "Last 30 days"}
STATUSES = {
    "": "Any status",
    "triggered": "Triggered",
    "acknowledged": "Acknowledged",
    "resolved": "Resolved",
    "snoozed": "Snoozed",
    "held": "Outside of hours",
}
OUTCOMES: Mapping[str, str] = {
    "": "Ended in any way",
    Ending.ACKNOWLEDGED: "Acknowledged in time",
    Ending.ESCALATED: "Escalated",
    Ending.RESOLVED: "Resolved without acknowledgment",
    Ending.SUPPRESSED: "Silenced",
    Ending.FAILED: "Nobody could be notified",
}
_NO_CURSOR = "this is no link of a list: open the first page again"
_STEP_MS = 10 * 60_000


@dataclass(frozen=True, slots=True)
class Typed:
    """A moment as a form shows it: by the clock of the zone, and as an instant, from which the script makes its own."""

    value: str
    at: str

    @classmethod
    def of(cls, at_ms: int | None, zone: tzinfo) -> "Typed":
        if at_ms is None:
            return cls("", "")
        return cls(f"{wall(at_ms, zone):%Y-%m-%dT%H:%M}", iso(at_ms))


class LookingBack:
    """The handlers. *called* tells what people call a target."""

    def __init__(self, config: Config, board: Board, *, store: Store, clock: Clock, called: Called) -> None:
        self._config = config
        self._board = board
        self._store = store
        self._clock = clock
        self._called = called

    def routes(self, ui: UiGuard) -> list[web.RouteDef]:
        return [
            web.get("/history", ui(self.history), allow_head=False),
            web.get("/failed", ui(self.failed), allow_head=False),
        ]

    async def history(self, request: web.Request, viewer: Viewer) -> web.Response:  # noqa: ARG002 - the frame shows it
        """All incidents, or those that a search finds: see `asked_in`; `?older=` and `?newer=` turn the page."""
        fields = fields_of(request)
        try:
            asked, zone = asked_in(fields, self._clock.now_ms())
            page = await self._searched(asked, request.query)
        except (ValueError, web.HTTPBadRequest) as exc:
            text = str(exc.text if isinstance(exc, web.HTTPBadRequest) else exc)
            return await self._history(request, fields, status=400, error=f"{text[:1].upper()}{text[1:]}")
        is_whole = page.older is None and page.newer is None
        return await self._history(
            request,
            fields,
            rows=[past_row(it, self._called) for it in page.incidents],
            page_=page,
            total=await self._store.history.count(asked.span),
            matches=len(page.incidents) if is_whole and not asked.search.is_any else None,
            reached_ms=int((page.older or "0").partition(":")[0]),
            is_all=asked.is_all,
            now_typed=Typed.of(self._clock.now_ms(), zone),
        )

    async def failed(self, request: web.Request, viewer: Viewer) -> web.Response:  # noqa: ARG002 - as above
        """What was given up, the latest first; `?older=` continues it."""
        try:
            page = await self._store.given_up(limit=PAGE, cursor=request.query.get("older"))
        except ValueError:
            raise web.HTTPBadRequest(text=_NO_CURSOR) from None
        frame = await self._board.counts()
        response = render(
            request,
            "ui/failed.html",
            title="Failed",
            page="failed",
            failures=failures_of(page, self._called),
            older=page.cursor,
            is_first="older" not in request.query,
            flash=said(request),
            **frame,
        )
        return forget_said(request, response)

    async def at(self, request: web.Request, viewer: Viewer) -> web.Response:  # noqa: ARG002 - as above
        """What was open at the moment `?at=`, by the clock of the zone `?tz=`, or in UTC."""
        now_ms, text = self._clock.now_ms(), request.query["at"].strip()
        zone = read_zone(request.query.get("tz", ""))
        try:
            at_ms = read_moment("at", text, zone)
        except ValueError as exc:
            raise web.HTTPBadRequest(text=str(exc)) from None
        if at_ms > now_ms:
            raise web.HTTPBadRequest(text=f"at is {text}, which is still to come")
        try:
            found = await self._store.history.open_at(at_ms, limit=OPEN_MAX, older_than=request.query.get("older"))
        except ValueError:
            raise web.HTTPBadRequest(text=_NO_CURSOR) from None
        lost_at_ms = await self._store.history.lost_at_ms()
        kept_from_ms = now_ms - round(self._config.retention_days * _DAY_MS)
        return render(
            request,
            "ui/at.html",
            title="What was open",
            page="history",
            at_ms=at_ms,
            shown=open_at(found.found, at_ms, self._called),
            unread=len(found.unread),
            looked_at=found.looked_at,
            older=found.older and urlencode({"at": iso(at_ms), "older": found.older}),
            reached_ms=int((found.older or "0").partition(":")[0]),
            is_first="older" not in request.query,
            kept_from_ms=kept_from_ms if at_ms < kept_from_ms else None,
            lost_at_ms=lost_at_ms if lost_at_ms is not None and at_ms < lost_at_ms else None,
            typed=Typed.of(at_ms, zone),
            zone=request.query.get("tz", "") or "UTC",
            before=iso(at_ms - _STEP_MS),
            after=iso(at_ms + _STEP_MS) if at_ms + _STEP_MS <= now_ms else "",
            flash="",
            **await self._board.counts(),
        )

    async def _searched(self, asked: Asked, query: Mapping[str, str]) -> SearchPage:
        """Raises ValueError with a sentence, or TooCostly."""
        search = self._store.history.search
        try:
            if "newer" in query:
                page = await search(asked.wanted, asked.span, limit=PAGE, newer_than=query["newer"])
                if page.newer is not None:
                    return page
                return await search(asked.wanted, asked.span, limit=PAGE)  # all of the first page
            return await search(asked.wanted, asked.span, limit=PAGE, older_than=query.get("older"))
        except TooCostly:
            raise
        except ValueError:
            raise ValueError(_NO_CURSOR) from None

    async def _history(
        self, request: web.Request, fields: Mapping[str, str], *, status: int = 200, **values: Any
    ) -> web.Response:
        kept = {name: text for name, text in fields.items() if text}
        shown: dict[str, Any] = {"rows": [], "page_": None, "total": 0, "error": ""}
        begin, end = typed_in(fields)
        return render(
            request,
            "ui/history.html",
            status=status,
            title="History",
            page="history",
            asked=fields,
            zone=fields["tz"] or "UTC",
            link=lambda path, **more: f"{path}?{urlencode({**kept, **more})}" if kept or more else path,
            times=TIMES,
            severities={"": "Any severity", **{it: it.capitalize() for it in choices.SEVERITIES}},
            statuses=STATUSES,
            outcomes=OUTCOMES,
            begin=begin,
            end=end,
            query_max=QUERY_MAX,
            flash="",
            **shown | values,
            **await self._board.counts(),
        )


def fields_of(request: web.Request) -> dict[str, str]:
    """What is searched for, by FIELDS."""
    return {name: request.query.get(name, "").strip() for name in FIELDS}


def typed_in(fields: Mapping[str, str]) -> tuple[Typed, Typed]:
    """`from` and `to`, as the form shows them again; empty where they are not understood."""
    try:
        zone = read_zone(fields["tz"])
        span = read_asked({name: fields[name] for name in ("from", "to")}, zone).span
    except web.HTTPBadRequest:
        return Typed("", ""), Typed("", "")
    return Typed.of(span.from_ms, zone), Typed.of(span.until_ms, zone)


def asked_in(fields: Mapping[str, str], now_ms: int) -> tuple[Asked, tzinfo]:
    """As `read_asked`, and `time`, which counts where neither `from` nor `to` is given. Raises HTTPBadRequest."""
    zone = read_zone(fields["tz"])
    asked = read_asked(fields, zone)
    time = fields["time"]
    if time not in TIMES:
        raise web.HTTPBadRequest(text=f"time is {time!r}; allowed: {', '.join(filter(None, TIMES))}")
    if not time or asked.span != Span():
        return asked, zone
    return Asked(asked.search, Span(from_ms=now_ms - _LATELY[time])), zone
