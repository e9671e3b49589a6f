"""Open tabs: what each is sent, what it has missed, how many there may be, and when their streams end."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import TestServer

from tests.integration.conftest import Engine
from tests.integration.web.test_ui_incidents import ANA, BEN, SETTINGS, created, page, row_ids
from tests.support.groups import alert, group
from versus_py.engine.choices import Choices
from versus_py.errors import StoreUnavailable
from versus_py.incidents.model import Actor, IncidentId
from versus_py.store import keys
from versus_py.web import LIVE
from versus_py.web.deeds import Deeds
from versus_py.web.pages.ui import live, streams

CAI = Actor("Cai")


@pytest.fixture
def settings() -> dict[str, Any]:
    return SETTINGS


@dataclass
class Event:
    """One that a tab was sent."""

    name: str
    id: str
    data: str

    def says(self, text: str) -> bool:
        return text in self.data

    @property
    def rows(self) -> list[str]:
        return re.findall(r'<li class="row" id="i-([^"]+)"', self.data)

    @property
    def gone(self) -> list[str]:
        return re.findall(r'<li id="i-([^"]+)" data-gone>', self.data)


class Tab:
    """A tab that listens."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response
        self.at = ""
        self.missed: list[Event] = []  # what came before the first beat

    async def event(self) -> Event | None:
        """The next one; None when the stream has ended."""
        found: dict[str, list[str]] = {}
        while line := (await self.response.content.readline()).decode():
            name, _, value = line.rstrip("\n").partition(": ")
            if name:
                found.setdefault(name.rstrip(":"), []).append(value)
            elif "event" in found:
                [self.at] = found["id"]
                return Event(found["event"][0], self.at, "\n".join(found["data"]))
        return None

    async def news(self) -> Event:
        """The next that is no beat."""
        if self.missed:
            return self.missed.pop(0)
        async with asyncio.timeout(10):
            while True:
                found = await self.event()
                assert found is not None, "the stream has ended"
                if found.name != "beat":
                    return found

    async def ends(self) -> None:
        async with asyncio.timeout(10):
            while await self.event() is not None:
                pass


class Tabs:
    """Opens tabs."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @asynccontextmanager
    async def __call__(
        self, path: str = "/", who: Mapping[str, str] = ANA, at: str | None = None, last_event_id: str = ""
    ) -> AsyncIterator[Tab]:
        """The stream of that page, as it was shown now, or at another time."""
        url = await stream_url(self.engine, path, who, at)
        async with await self.ask(url, who, last_event_id) as response:
            assert response.status == 200, await response.text()
            tab = Tab(response)
            while (found := await tab.event()) is not None and found.name != "beat":
                tab.missed.append(found)
            assert found is not None
            yield tab

    async def ask(self, url: str, who: Mapping[str, str] = ANA, last_event_id: str = "") -> aiohttp.ClientResponse:
        again = {"Last-Event-ID": last_event_id} if last_event_id else {}
        return await self.engine.http.get(url, headers={"Accept": "text/event-stream", **who, **again})


async def stream_url(engine: Engine, path: str, who: Mapping[str, str] = ANA, at: str | None = None) -> str:
    text = await page(engine, path, who)
    found = re.search(r'data-live="([^"]+)" data-at="([^"]+)"', text)
    assert found is not None
    url = found[1].replace("&amp;", "&")
    return f"{url}{'' if url.endswith('?') else '&'}after={found[2] if at is None else at}"


@pytest.fixture
async def open_tab(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Tabs]:
    """With the loop that feeds tabs."""
    monkeypatch.setattr(live, "BUNDLE_S", 0.01)
    monkeypatch.setattr(live, "BLOCK_MS", 100)
    stop = asyncio.Event()
    feeding = asyncio.create_task(live_of(engine).run(stop))
    yield Tabs(engine)
    stop.set()
    feeding.cancel()
    with suppress(asyncio.CancelledError):
        await feeding


def live_of(engine: Engine) -> live.Live:
    server = engine.http.server
    assert isinstance(server, TestServer)
    return server.app[LIVE]


async def test_a_tab_sees_what_another_person_does(engine, open_tab):
    first, second = await created(engine, "Disk"), await created(engine, "Queue")
    async with open_tab() as tab:
        await engine.lifecycle.acknowledge(IncidentId(second), CAI)

        news = await tab.news()

    assert news.rows == [second]
    assert news.says('data-in="acknowledged"')
    assert news.says("Cai")
    assert news.says("1 waiting for acknowledgment")
    assert news.says('<b id="n">1<')
    assert first not in news.data


async def test_what_is_new_comes_in_and_what_is_over_goes(engine, open_tab):
    first = await created(engine, "Disk")
    async with open_tab() as tab:
        second = (await engine.post(group(alert("Queue"))))["incidents"][0]["id"]
        assert (await tab.news()).rows == [second]

        await engine.lifecycle.resolve(IncidentId(first), CAI)

        assert (await tab.news()).gone == [first]


async def test_a_delivery_that_moves_no_version_is_told_too(engine, open_tab):
    incident_id = (await engine.post(group(alert("Disk"))))["incidents"][0]["id"]
    async with open_tab(f"/incidents/{incident_id}") as tab:
        await engine.worker.run_due()

        while not (news := await tab.news()).says("In sync"):
            pass

    assert news.says('<div id="page">')
    assert "<html" not in news.data


async def test_an_open_incident_is_told_of_itself_and_of_the_count(engine, open_tab):
    incident_id = await created(engine, "Disk")
    async with open_tab(f"/incidents/{incident_id}") as tab:
        await engine.post(group(alert("Queue")))
        news = await tab.news()
        assert (news.says('<b id="n">2<'), news.says('<div id="page">')) == (True, False)

        deeds = Deeds(engine.lifecycle, Choices.of(engine.config, str), str)
        await engine.lifecycle.act(IncidentId(incident_id), deeds.comment({"text": "on it"}, CAI))

        assert (await tab.news()).says("on it")


async def test_a_viewer_is_sent_no_forms_and_a_responder_is(engine, open_tab):
    await created(engine, "Disk")
    async with open_tab(who=BEN) as viewer, open_tab() as responder:
        await engine.post(group(alert("Queue")))

        seen, acted = await viewer.news(), await responder.news()

    assert seen.rows == acted.rows != []
    assert "<form" not in seen.data
    assert "<button" not in seen.data
    assert acted.says("<form")


async def test_a_filter_leaves_out_what_does_not_match(engine, open_tab):
    await created(engine, "Disk", team="storage")
    async with open_tab("/?q=team=storage") as tab:
        await engine.post(group(alert("Queue", team="payments")))
        news = await tab.news()
        assert (news.rows, news.gone) == ([], [])
        assert news.says("2 without the filter")
        third = (await engine.post(group(alert("Host", team="storage"))))["incidents"][0]["id"]

        assert (await tab.news()).rows == [third]


async def test_what_is_on_another_page_takes_no_room_on_this_one(engine, open_tab, monkeypatch):
    monkeypatch.setattr("versus_py.web.pages.ui.now.ROWS_MAX", 2)
    ids = []
    for name in ("A", "B", "C"):
        ids.append((await engine.post(group(alert(name))))["incidents"][0]["id"])
        engine.clock.advance(seconds=1)
    async with open_tab() as tab:
        await engine.lifecycle.resolve(IncidentId(ids[0]), CAI)

        news = await tab.news()

    assert (news.gone, news.rows) == ([ids[0]], [ids[2]])
    assert news.says('id="more-waiting"')


async def test_the_first_incident_and_the_last_change_the_page(engine, open_tab):
    async with open_tab() as tab:
        incident_id = await created(engine, "Disk")
        began = await tab.news()
        await engine.lifecycle.resolve(IncidentId(incident_id), CAI)
        while not (ended := await tab.news()).says("Nothing is waiting"):
            pass

    assert began.says('<ul class="list" id="waiting">')
    assert ended.says("All quiet")
    assert ended.says('<b id="n" hidden>')


async def test_a_tab_that_comes_back_hears_what_it_has_missed_and_nothing_else(engine, open_tab):
    first, second = await created(engine, "Disk"), await created(engine, "Queue")
    async with open_tab() as tab, open_tab():  # another one keeps the reader going
        at = tab.at
        await engine.lifecycle.acknowledge(IncidentId(first), CAI)
        await tab.news()

        async with open_tab(at="0-0", last_event_id=at) as again:
            assert (await again.news()).rows == [first]
        async with open_tab(at=tab.at) as current:
            await engine.lifecycle.acknowledge(IncidentId(second), CAI)
            assert (await current.news()).rows == [second]


async def test_a_page_hears_what_changed_between_its_request_and_that_for_its_stream(engine, open_tab):
    incident_id = await created(engine, "Disk")
    url = await stream_url(engine, "/")
    await engine.lifecycle.acknowledge(IncidentId(incident_id), CAI)

    async with await open_tab.ask(url) as response:
        assert (await Tab(response).news()).rows == [incident_id]


@pytest.mark.parametrize("at", ["1-0", "0-0", "", "nonsense", "9" * 60, "9999999999999-0"])
async def test_a_tab_that_missed_more_than_is_kept_gets_its_page_again(engine, open_tab, at):
    incident_id = await created(engine, "Disk")
    await engine.store._redis.xtrim(keys.EVENTS, maxlen=1, approximate=False)

    async with open_tab(at=at) as tab:
        news = await tab.news()

    assert news.says('<div id="page">')
    assert row_ids(news.data, "waiting") == [incident_id]


async def test_a_tab_that_missed_more_than_is_kept_while_no_tab_was_open_gets_its_page_again(engine, open_tab):
    first = await created(engine, "Disk")
    async with open_tab() as tab:
        at = tab.at
        await engine.post(group(alert("Queue")))
        await tab.news()
    await asyncio.wait_for(until_not_ready(engine), 5)
    await engine.lifecycle.acknowledge(IncidentId(first), CAI)
    await engine.post(group(alert("Host")))
    await engine.store._redis.xtrim(keys.EVENTS, maxlen=1, approximate=False)

    async with open_tab(at=at) as again:
        news = await again.news()

    assert row_ids(news.data, "acknowledged") == [first]


async def test_what_was_trimmed_before_it_was_read_is_told_too(engine, open_tab, monkeypatch):
    first, second = await created(engine, "Disk"), await created(engine, "Queue")
    monkeypatch.setattr(live, "KEPT", 1)
    changes = engine.store.changes
    after = changes.after

    async def trimmed(*args: Any, **more: Any) -> Any:
        return [it for it in await after(*args, **more) if it.incident_id != first]

    monkeypatch.setattr(changes, "after", trimmed)
    async with open_tab() as tab:
        await engine.lifecycle.acknowledge(IncidentId(first), CAI)
        await engine.lifecycle.acknowledge(IncidentId(second), CAI)

        rows: set[str] = set()
        while rows != {first, second}:
            rows |= {*(await tab.news()).rows}


async def test_a_page_is_no_older_than_what_came_while_it_was_made(engine, open_tab, monkeypatch):
    incident_id = await created(engine, "Disk")
    views = live_of(engine)._views
    now_values = views._values.now_values

    async def slow(now: Any) -> Any:
        values = await now_values(now)
        if now.waiting.rows:
            await engine.lifecycle.acknowledge(IncidentId(incident_id), CAI)
            await first.news()
        return values

    url = await stream_url(engine, "/", at="")
    async with open_tab() as first:
        monkeypatch.setattr(views._values, "now_values", slow)
        async with await open_tab.ask(url) as response:
            while not (news := await Tab(response).news()).says('<div id="page">'):
                pass

    assert row_ids(news.data, "acknowledged") == [incident_id]


async def test_a_beat_comes_after_what_was_missed(engine, open_tab):
    await created(engine, "Disk")
    url = await stream_url(engine, "/", at="")

    async with await open_tab.ask(url) as response:
        tab = Tab(response)
        names = [found.name for _ in range(2) if (found := await tab.event()) is not None]

    assert names == ["swap", "beat"], "a tab that gets the beat alone would take itself to be up to date"


async def test_tabs_that_show_the_same_share_what_is_rendered(engine, open_tab, monkeypatch):
    await created(engine, "Disk")
    rendered = []
    async with open_tab() as first, open_tab() as second, open_tab("/?q=queue") as filtered:
        views = live_of(engine)._views
        render = views._render

        def counted(template: str, *args: Any, **values: Any) -> str:
            rendered.append(template)
            return str(render(template, *args, **values))

        monkeypatch.setattr(views, "_render", counted)
        await engine.post(group(alert("Queue")))
        found = [await first.news(), await second.news(), await filtered.news()]

    assert len({it.rows[0] for it in found}) == 1
    assert found[0].data == found[1].data
    assert sorted(rendered) == ["ui/now_news.html", "ui/now_news.html", "ui/one_row.html"]


async def test_there_are_so_many_streams_and_the_next_is_told_to_come_again(engine, open_tab, monkeypatch):
    url = await stream_url(engine, "/")
    monkeypatch.setattr(streams_of(engine), "_most", 2)
    async with open_tab(), open_tab():
        assert engine.measured("versus_ui_streams") == 2
        response = await open_tab.ask(url)
        assert (response.status, response.headers["Retry-After"]) == (503, "10")
    async with open_tab():
        pass


def streams_of(engine: Engine) -> streams.Streams:
    return live_of(engine)._streams


async def test_a_server_that_ends_ends_its_streams_and_takes_no_more(engine, open_tab):
    url = await stream_url(engine, "/")
    async with open_tab() as tab:
        await streams_of(engine).close()

        await tab.ends()

    assert (await open_tab.ask(url)).status == 503


async def test_a_stream_ends_with_its_session(engine, open_tab, monkeypatch):
    await created(engine, "Disk")
    async with open_tab() as tab:
        engine.clock.advance(ms=live.LASTS_MS)
        await engine.post(group(alert("Queue")))

        await tab.ends()


async def test_while_redis_is_away_tabs_hear_nothing_and_afterwards_what_they_missed(engine, open_tab, monkeypatch):
    incident_id = await created(engine, "Disk")
    changes = engine.store.changes
    monkeypatch.setattr(live, "BEAT_EVERY_S", 0)
    async with open_tab() as tab:
        after = changes.after

        async def away(*_: Any, **__: Any) -> Any:
            raise StoreUnavailable("it is away")

        monkeypatch.setattr(changes, "after", away)
        await asyncio.wait_for(until_not_ready(engine), 5)
        await engine.lifecycle.acknowledge(IncidentId(incident_id), CAI)
        monkeypatch.setattr(changes, "after", after)

        assert (await tab.news()).rows == [incident_id]


async def test_what_could_not_be_rendered_without_redis_is_sent_once_it_is_back(engine, open_tab, monkeypatch):
    async with open_tab() as tab:
        values = live_of(engine)._views._values
        now_values = values.now_values

        async def away(_: Any) -> Any:
            monkeypatch.setattr(values, "now_values", now_values)
            raise StoreUnavailable("it is away")

        monkeypatch.setattr(values, "now_values", away)
        incident_id = await created(engine, "Disk")

        assert row_ids((await tab.news()).data, "waiting") == [incident_id]


async def test_a_bug_ends_the_streams_and_not_the_server(engine, open_tab, logs, monkeypatch):
    await created(engine, "Disk")
    monkeypatch.setattr(live, "AFTER_A_BUG_S", 0.01)
    board = live_of(engine)._board
    async with open_tab() as tab:
        read_again = board.read_again

        async def broken(_: Any) -> None:
            raise RuntimeError("a bug")

        monkeypatch.setattr(board, "read_again", broken)
        await engine.post(group(alert("Queue")))
        await tab.ends()
        monkeypatch.setattr(board, "read_again", read_again)
    async with open_tab() as tab:
        incident_id = (await engine.post(group(alert("Host"))))["incidents"][0]["id"]
        assert (await tab.news()).rows == [incident_id]
    logs.expect_error("ui.stream_failed")


async def test_however_long_it_took_to_tell_tabs_they_hear_soon_again(engine, open_tab, monkeypatch):
    first, second = await created(engine, "Disk"), await created(engine, "Queue")
    monkeypatch.setattr(live, "SHARE", 1e-6)
    monkeypatch.setattr(live, "REST_MAX_S", 0.01)
    async with open_tab() as tab:
        await engine.lifecycle.acknowledge(IncidentId(first), CAI)
        await tab.news()
        await engine.lifecycle.acknowledge(IncidentId(second), CAI)

        assert (await tab.news()).rows == [second]


async def until_not_ready(engine: Engine) -> None:
    ready = live_of(engine)._ready
    while ready.is_set():
        await asyncio.sleep(0.01)


async def test_a_page_that_cannot_be_rendered_ends_its_own_streams_only(engine, open_tab, logs, monkeypatch):
    incident_id = await created(engine, "Disk")
    async with open_tab() as now, open_tab(f"/incidents/{incident_id}") as one:
        views = live_of(engine)._views

        async def broken(*_: Any) -> Any:
            raise RuntimeError("a bug")

        monkeypatch.setattr(views, "_incident", broken)
        await engine.lifecycle.acknowledge(IncidentId(incident_id), CAI)

        assert (await now.news()).rows == [incident_id]
        await one.ends()
    logs.expect_error("ui.stream_failed")


async def test_heartbeats_are_no_news(engine, open_tab):
    await created(engine, "Disk")
    async with open_tab() as tab:
        engine.store._announcements.make({IncidentId("heartbeat-x-0"): None})
        second = await created(engine, "Queue")

        assert (await tab.news()).rows == [second]


async def test_other_sites_and_strangers_have_no_stream(engine, open_tab):
    url = await stream_url(engine, "/")

    assert (await open_tab.ask(url, {**ANA, "Sec-Fetch-Site": "cross-site"})).status == 403
    assert (await open_tab.ask(url, {})).status in {401, 403}
    assert (await open_tab.ask("/stream?incident=unknown-0")).status == 404
    assert (await open_tab.ask("/stream?waiting_after=x")).status == 400


async def test_proxies_are_asked_not_to_hold_it_back(engine, open_tab):
    async with open_tab() as tab:
        said = tab.response.headers

    assert said["Content-Type"] == "text/event-stream"
    assert (said["X-Accel-Buffering"], said["Cache-Control"]) == ("no", "no-store")


async def test_labels_full_of_html_and_line_ends_stay_text(engine, open_tab):
    await created(engine, "Disk")
    async with open_tab() as tab:
        await engine.post(group(alert('Evil"><script>alert(1)</script>\r\nevent: beat\rdata: x')))

        news = await tab.news()

    assert "<script" not in news.data
    assert news.says("&lt;script&gt;")
    assert news.name == "swap"
