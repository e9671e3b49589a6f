"""What History shows, as a file that is sent while it is read: the same search, with a bound."""

from collections.abc import AsyncIterator
from typing import Literal

import structlog
from aiohttp import web

from versus_py.clock import Clock
from versus_py.errors import StoreUnavailable
from versus_py.store import SearchPage, Store
from versus_py.web.answers import RETRY_AFTER_S
from versus_py.web.api.views import unread, utc
from versus_py.web.pages.ui.exporting import csv_head, csv_rest, csv_row, json_row, json_tail
from versus_py.web.pages.ui.guard import UiGuard
from versus_py.web.pages.ui.looking_back import asked_in, fields_of
from versus_py.web.pages.ui.moments import iso
from versus_py.web.pages.ui.shell import PAGE_HEADERS
from versus_py.web.pages.ui.viewer import Viewer
from versus_py.web.searches import Asked, TooCostly

log = structlog.get_logger()

ROWS_MAX = 10_000
LOOKED_AT_MAX = 100_000
"""The most incidents in one file, and the most that are looked at for it."""

AT_ONCE = 2
"""The most files that are made at the same time by this process."""

_TOGETHER = 25
"""Incidents may be large: only so many are in memory at once."""

Kind = Literal["csv", "json"]


class Downloads:
    """The handlers."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._running = 0

    def routes(self, ui: UiGuard) -> list[web.RouteDef]:
        return [
            web.get("/history.csv", ui(self.as_csv), allow_head=False),
            web.get("/history.json", ui(self.as_json), allow_head=False),
        ]

    async def as_csv(self, request: web.Request, viewer: Viewer) -> web.StreamResponse:  # noqa: ARG002 - may look
        """As History; the last row says so when the file does not hold all."""
        return await self._download(request, "csv")

    async def as_json(self, request: web.Request, viewer: Viewer) -> web.StreamResponse:  # noqa: ARG002 - as above
        """As `GET /api/incidents`; `?older=` goes on where `next` says."""
        return await self._download(request, "json")

    async def _download(self, request: web.Request, kind: Kind) -> web.StreamResponse:
        if self._running >= AT_ONCE:
            headers = {"Retry-After": str(RETRY_AFTER_S)}
            raise web.HTTPServiceUnavailable(text="Other files are being made: try again in a moment", headers=headers)
        asked, _ = asked_in(fields_of(request), self._clock.now_ms())
        self._running += 1
        try:
            first = await self._read(asked, request.query.get("older"))
            return await self._send(request, kind, asked, first)
        finally:
            self._running -= 1

    async def _read(self, asked: Asked, cursor: str | None) -> SearchPage:
        try:
            return await self._store.history.search(asked.wanted, asked.span, limit=_TOGETHER, older_than=cursor)
        except TooCostly as exc:
            raise web.HTTPBadRequest(text=str(exc)) from None
        except ValueError:
            raise web.HTTPBadRequest(text="older is not one that a file gave as next") from None

    async def _send(self, request: web.Request, kind: Kind, asked: Asked, first: SearchPage) -> web.StreamResponse:
        name = f"incidents-{iso(self._clock.now_ms())[:10]}.{kind}"
        response = web.StreamResponse(
            headers={**PAGE_HEADERS, "Content-Disposition": f'attachment; filename="{name}"'},
        )
        response.content_type = {"csv": "text/csv", "json": "application/json"}[kind]
        response.charset = "utf-8"
        await response.prepare(request)
        try:
            async for part in self._csv(asked, first) if kind == "csv" else self._json(asked, first):
                await response.write(part)
            await response.write_eof()
        except ConnectionError:
            log.info("ui.download_left", path=request.path)
        except (StoreUnavailable, web.HTTPBadRequest) as exc:
            # What was sent cannot be taken back: the file must not look like all of it.
            log.warning("ui.download_failed", path=request.path, error=str(exc))
            if request.transport is not None:
                request.transport.abort()
        return response

    async def _csv(self, asked: Asked, first: SearchPage) -> AsyncIterator[bytes]:
        yield csv_head()
        last = first
        unread_count = 0
        async for page in self._pages(asked, first):
            last = page
            unread_count += len(page.unread)
            yield b"".join(map(csv_row, page.incidents))
        if last.older is not None:
            reached_ms = int(last.older.partition(":")[0])
            yield csv_rest(f"older incidents, from {utc(reached_ms)} on back, are not in this file; narrow the search")
        if unread_count:
            yield csv_rest(f"{unread_count} incidents cannot be read by this version; the JSON names them")

    async def _json(self, asked: Asked, first: SearchPage) -> AsyncIterator[bytes]:
        yield b'{"incidents":['
        last = first
        unreadable = []
        comma = b""
        async for page in self._pages(asked, first):
            last = page
            unreadable += [unread(it) for it in page.unread]
            if page.incidents:
                yield comma + b",".join(map(json_row, page.incidents))
                comma = b","
        yield json_tail(unreadable, last.older)

    async def _pages(self, asked: Asked, first: SearchPage) -> AsyncIterator[SearchPage]:
        page = first
        rows, looked_at = len(page.incidents), page.looked_at
        yield page
        while page.older is not None and rows < ROWS_MAX and looked_at < LOOKED_AT_MAX:
            page = await self._read(asked, page.older)
            rows, looked_at = rows + len(page.incidents), looked_at + page.looked_at
            yield page
