"""Keeps open tabs up to date: one reader of the stream of changes, whatever their number.

It reads what has changed once, renders what a view shows of it once, and sends the same bytes to each tab that shows
that view. While no tab is open, it does nothing.
"""

import asyncio
import re
from collections import deque
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from random import Random

import structlog
from aiohttp import web

from versus_py.clock import Clock, monotonic_ms
from versus_py.errors import StoreUnavailable
from versus_py.incidents.heartbeats import is_heartbeat
from versus_py.incidents.model import IncidentId
from versus_py.store import Store
from versus_py.store.changes import KEPT, Changed, position
from versus_py.telemetry.throttled import ThrottledLog
from versus_py.web.pages.ui.board import Board
from versus_py.web.pages.ui.guard import ENDS_AT_MS, UiGuard
from versus_py.web.pages.ui.streams import Message, Stream, Streams
from versus_py.web.pages.ui.viewer import Viewer
from versus_py.web.pages.ui.views import STREAM_PATH, IncidentView, Picture, View, Views, incident_view, now_view

log = structlog.get_logger()

BEAT_EVERY_S = 14.0
"""A tab warns after 20 s of silence."""

BLOCK_MS = 4_000
"""The longest that one call waits for changes: an answer has to come within five seconds."""

BUNDLE_S = 0.1
"""What changes within so long is sent at once."""

SHARE = 0.2
"""The most of this process' time that goes into telling tabs: under more, they are told less often."""

REST_MAX_S = 4.0
"""The longest that they wait for that: without a beat, they would warn."""

AFTER_A_BUG_S = 5.0
"""How long nothing is read after what nobody expected."""

TRIES = 3
"""How often a page is rendered anew because something has changed meanwhile."""

LOOK_EVERY_S = 30.0
"""How often all that is open is looked at, should the news of a change have got lost."""

READY_TIMEOUT_S = 3.0
PARTS_MAX = 20
"""A tab that has missed more changes than these gets its page again."""

LASTS_MS = 30 * 60_000
"""A stream that is older ends, and its tab opens another one: whether it may is asked again."""

RETRY_MS = (1_000, 4_000)
"""After how long a tab opens its stream again: not all of them at once."""


_LINE_END = re.compile(r"\r\n|\r|\n")


@dataclass
class _Watched:
    """A view that tabs show, and the marks of what they were sent."""

    view: View
    marks: dict[str, str]
    streams: set[Stream] = field(default_factory=set)


class Live:
    """The handler of the stream, and the loop that feeds it."""

    def __init__(self, views: Views, board: Board, store: Store, streams: Streams, clock: Clock) -> None:
        self._views = views
        self._board = board
        self._store = store
        self._streams = streams
        self._clock = clock
        self._random = Random()  # noqa: S311 - spreads tabs
        self._watched: dict[View, _Watched] = {}
        self._recent: deque[Changed] = deque(maxlen=2 * KEPT)
        self._at = ""
        self._ready = asyncio.Event()
        self._pages: dict[View, str] = {}
        self._told = 0  # how often tabs were told of changes
        self._beaten_ms = self._looked_ms = self._waiting = 0
        self._unavailable = ThrottledLog("ui.store_unavailable", monotonic_ms, counted_as="times")

    def routes(self, ui: UiGuard) -> list[web.RouteDef]:
        return [web.get(STREAM_PATH, ui(self.stream), allow_head=False)]

    async def stream(self, request: web.Request, viewer: Viewer) -> web.StreamResponse:
        """Server-sent events: `swap` with the HTML of what changed, and a `beat` at the least every 14 s.

        `?after=`, or Last-Event-ID, is what the tab knows of.
        """
        if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
            raise web.HTTPForbidden(text="No page of this server asks for this stream.")
        view, after = _view_of(request, viewer), request.headers.get("Last-Event-ID") or request.query.get("after", "")
        ends = [it for it in (request.get(ENDS_AT_MS), self._clock.now_ms() + LASTS_MS) if it is not None]
        stream = Stream(min(ends))
        with self._streams.opened(stream):
            await self._until_ready()
            watched = await self._watch(view, stream)
            try:
                return await self._send(request, watched, stream, after)
            finally:
                watched.streams.discard(stream)
                if not watched.streams and self._watched.get(view) is watched:
                    del self._watched[view]

    async def run(self, stop: asyncio.Event) -> None:
        """Until *stop*. Redis may come and go meanwhile: tabs hear nothing then, and say so."""
        while not stop.is_set():
            await self._streams.wait()
            try:
                await self._follow()
            except StoreUnavailable as exc:
                self._unavailable.note(error=str(exc))
                await asyncio.sleep(1)
            except Exception:  # alerts go on, whatever a page cannot show
                log.exception("ui.stream_failed", view="all")
                self._end_all()
                await asyncio.sleep(AFTER_A_BUG_S)

    async def _until_ready(self) -> None:
        try:
            async with asyncio.timeout(READY_TIMEOUT_S):
                await self._ready.wait()
        except TimeoutError:
            raise StoreUnavailable("the stream of changes is not read") from None

    async def _watch(self, view: View, stream: Stream) -> _Watched:
        if view not in self._watched:
            try:
                picture = await self._views.picture(view)
            except ValueError:
                raise web.HTTPBadRequest(text="this is no link of a list: open the first page again") from None
            if picture is None:
                raise web.HTTPNotFound(text="No such incident.")
            self._watched.setdefault(view, _Watched(view, dict(picture.marks)))
        watched = self._watched[view]
        watched.streams.add(stream)
        return watched

    async def _send(self, request: web.Request, watched: _Watched, stream: Stream, after: str) -> web.StreamResponse:
        missed = await self._catch_up(watched, after)
        # Before every beat: a tab that got a beat alone would take itself to be up to date.
        stream.begin_with([Message(f"retry: {self._random.randint(*RETRY_MS)}\n\n".encode()), *missed])
        stream.put(self._beat())
        return await stream.send(request)

    async def _catch_up(self, watched: _Watched, after: str) -> list[Message]:
        """What a tab has missed: what changed, where that is known and little, else its page."""
        missed = await self._missed(after)
        if missed is not None and not _concerns(watched.view, missed):
            return []
        picture = await self._views.picture(watched.view)
        if picture is None:
            return []
        if missed is not None and len(missed) <= PARTS_MAX and picture.is_all and picture.parts is not None:
            return [self._message(picture.parts([f"i-{it}" for it in missed]))]
        return [self._message(await self._page(watched.view, picture))]

    async def _page(self, view: View, picture: Picture) -> str:
        """All of the view, as new as what other tabs were told while it was rendered."""
        for _ in range(TRIES):
            if view in self._pages:
                return self._pages[view]
            told = self._told
            html = await picture.whole()
            if told == self._told:
                self._pages[view] = html
                return html
            picture = await self._views.picture(view) or picture
        return html

    async def _missed(self, after: str) -> set[IncidentId] | None:
        """Those that have changed since; None when that is not known, as after the stream was trimmed or lost."""
        try:
            known = position(after)
        except ValueError:
            return None
        if known >= position(self._at):
            is_known = known == position(self._at) or known <= position(await self._store.changes.latest())
            return set() if is_known else None
        if not self._recent or known < position(self._recent[0].id):
            return None
        return _incidents(it for it in self._recent if position(it.id) > known)

    async def _follow(self) -> None:
        """While there are streams."""
        self._recent.clear()  # what came since may be trimmed: the rest would have a gap
        self._recent.extend(await self._store.changes.kept())
        self._at = self._recent[-1].id if self._recent else await self._store.changes.latest()
        await self._look(tells_all=True)
        self._ready.set()
        try:
            await self._read_on()
        finally:
            self._ready.clear()

    async def _read_on(self) -> None:
        while self._streams:
            until_beat_ms = self._beaten_ms + round(BEAT_EVERY_S * 1000) - monotonic_ms()
            found = await self._store.changes.after(self._at, block_ms=max(1, min(BLOCK_MS, until_beat_ms)))
            if found:
                await asyncio.sleep(BUNDLE_S)
                found = [*found, *await self._store.changes.after(found[-1].id, block_ms=None)]
                await self._note(found)
            elif monotonic_ms() - self._looked_ms >= LOOK_EVERY_S * 1000:
                await self._look()
            if monotonic_ms() - self._beaten_ms >= BEAT_EVERY_S * 1000:
                self._beaten_ms = monotonic_ms()
                self._end_old_ones()
                self._put(self._streams, self._beat())

    async def _note(self, found: Sequence[Changed]) -> None:
        """Tell tabs, and then let others have their time."""
        begun_ms = monotonic_ms()
        may_have_gap = len(found) >= KEPT
        if may_have_gap:
            self._recent.clear()
        self._recent.extend(found)
        ids = _incidents(found)
        await self._board.read_again(ids)
        self._at = found[-1].id
        await (self._look(tells_all=True) if may_have_gap else self._tell(ids))
        await asyncio.sleep(min(REST_MAX_S, (monotonic_ms() - begun_ms) / 1000 * (1 - SHARE) / SHARE))

    async def _look(self, *, tells_all: bool = False) -> None:
        before = self._board.versions
        await self._board.look()
        self._looked_ms, now = monotonic_ms(), self._board.versions
        changed = {it for it in before.keys() | now.keys() if before.get(it) != now.get(it)}
        await self._tell(None if tells_all else changed)

    async def _tell(self, ids: Collection[IncidentId] | None) -> None:
        """What is new to tabs; None: whatever has changed."""
        self._told += 1
        self._pages.clear()
        self._views.begin_change()
        self._end_old_ones()
        for watched in [*self._watched.values()]:
            if ids is None or _concerns(watched.view, ids):
                await self._tell_one(watched)
                await asyncio.sleep(0)
        await self._tell_count()

    async def _tell_count(self) -> None:
        """Those whose page says nothing else of it."""
        if self._waiting != self._board.waiting:
            self._waiting = self._board.waiting
            message = self._message(self._views.count())
            for watched in self._watched.values():
                if isinstance(watched.view, IncidentView):
                    self._put(watched.streams, message)

    async def _tell_one(self, watched: _Watched) -> None:
        try:
            picture = await self._views.picture(watched.view)
            if picture is None:
                return
            html = await picture.since(watched.marks)
            watched.marks = dict(picture.marks)  # not before: Redis may be away when it is rendered
        except StoreUnavailable:
            raise
        except Exception:
            log.exception("ui.stream_failed", view=type(watched.view).__name__)
            for stream in watched.streams:
                stream.end()
            return
        if html:
            self._put(watched.streams, self._message(html))

    def _put(self, streams: Collection[Stream] | Streams, message: Message) -> None:
        for stream in [*streams]:
            if not stream.put(message):
                log.info("ui.slow_tab_dropped")

    def _end_all(self) -> None:
        for stream in self._streams:
            stream.end()

    def _end_old_ones(self) -> None:
        now_ms = self._clock.now_ms()
        for stream in self._streams:
            if stream.ends_at_ms <= now_ms:
                stream.end()

    def _beat(self) -> Message:
        return self._event("beat", str(self._clock.now_ms()))

    def _message(self, html: str) -> Message:
        return self._event("swap", html)

    def _event(self, name: str, data: str) -> Message:
        lines = "\n".join(f"data: {it}" for it in _LINE_END.split(data))
        return Message(f"id: {self._at}\nevent: {name}\n{lines}\n\n".encode(errors="replace"))


def _view_of(request: web.Request, viewer: Viewer) -> View:
    if "incident" in request.query:
        incident_id = IncidentId(request.query["incident"])
        if is_heartbeat(incident_id):
            raise web.HTTPNotFound(text="No such incident: it is a heartbeat.")
        return incident_view(request.query, incident_id, viewer)
    return now_view(request.query, viewer)


def _concerns(view: View, ids: Collection[IncidentId]) -> bool:
    return view.incident_id in ids if isinstance(view, IncidentView) else bool(ids)


def _incidents(found: Iterable[Changed]) -> set[IncidentId]:
    return {it.incident_id for it in found if not is_heartbeat(it.incident_id)}
