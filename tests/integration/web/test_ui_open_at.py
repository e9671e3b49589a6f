"""What was open at a moment: by the timelines, and honest about what is not kept."""

import re
from html import unescape
from urllib.parse import quote

import pytest

from tests.integration.web.test_ui_history import titles
from tests.integration.web.test_ui_incidents import (
    ANA,
    BEN,
    HOSTILE,
    PAGE_BYTES_MAX,
    SETTINGS,
    Elements,
    created,
    many,
    page,
    send,
)
from tests.support.groups import alert, group
from versus_py.store import history, keys
from versus_py.web.pages.ui.moments import iso

MINUTE_MS = 60_000


@pytest.fixture
def settings():
    return SETTINGS


def at(moment_ms: int) -> str:
    return f"/?at={iso(moment_ms)}"


def pills(text: str) -> list[str]:
    return re.findall(r'<p class="act"><span class="tag pill[^>]*><svg.*?</svg>([^<]+)</span>', text)


async def test_it_shows_how_each_stood_then_whatever_became_of_it(engine):
    engine.clock.advance(minutes=2)
    gone = await created(engine, "Gone")
    taken = await created(engine, "Taken", severity="critical")
    engine.clock.advance(minutes=1)
    await send(engine, f"/incidents/{gone}/acknowledge")
    await send(engine, f"/incidents/{gone}/resolve")
    engine.clock.advance(minutes=1)
    before_ms = engine.clock.now_ms()
    engine.clock.advance(minutes=2)
    await send(engine, f"/incidents/{taken}/acknowledge")
    engine.clock.advance(minutes=3)
    after_ms = engine.clock.now_ms()
    engine.clock.advance(minutes=9)
    await send(engine, f"/incidents/{taken}/resolve")
    await created(engine, "Later")
    engine.clock.advance(minutes=30)

    before = await page(engine, at(before_ms))
    after = await page(engine, at(after_ms))

    assert titles(before) == titles(after) == ["Taken is bad"]
    assert (pills(before), pills(after)) == (["Triggered"], ["Acknowledged"])
    assert "1 waiting for acknowledgment, 0 acknowledged or snoozed" in before
    assert re.search(r"(1 min|2 min|119 s) later: Ana Diaz acknowledged", before)
    assert re.search(r"Ana Diaz, (2|3) min before", after)
    assert re.search(r"(8|9) min later: Ana Diaz resolved", after)
    assert f'href="/incidents/{taken}"' in before


async def test_a_minute_without_a_zone_is_utc_and_a_zone_can_be_named(engine):
    engine.clock.advance(hours=20)
    await created(engine, "Disk")
    engine.clock.advance(minutes=2)
    text = iso(engine.clock.now_ms())[:16]
    engine.clock.advance(hours=6)

    assert titles(await page(engine, f"/?at={text}")) == ["Disk is bad"]
    assert titles(await page(engine, f"/?at={text}Z")) == ["Disk is bad"]
    assert titles(await page(engine, f"/?at={text}&tz=Asia/Tokyo")) == []
    assert titles(await page(engine, f"/?at={quote(text + '+09:00')}")) == []
    assert f'name="at" value="{text}" data-at="{text}:00Z"' in await page(engine, f"/?at={text}")


MISTAKES = {
    "at=yesterday": "At: 'yesterday' is no time: write one such as",
    "at=2099-01-01T00:00": "At is 2099-01-01T00:00, which is still to come",
    "at=2026-01-01T00:00&tz=Mars": "Tz is 'Mars', which is no time zone",
    "at=2026-01-01T00:00&older=x": "This is no link of a list: open the first page again",
}


async def test_what_is_no_moment_is_refused_with_a_page(engine):
    for query, why in MISTAKES.items():
        assert why in unescape(await page(engine, f"/?{query}", status=400)), query


async def test_nothing_open_is_said(engine):
    incident_id = await created(engine, "Disk")
    await send(engine, f"/incidents/{incident_id}/resolve")
    engine.clock.advance(minutes=5)

    text = await page(engine, at(engine.clock.now_ms() - 2 * MINUTE_MS))

    assert "Nothing was open" in text
    assert "Every incident that had begun by then was resolved" in text
    assert "This may not be all" not in text


async def test_what_retention_has_removed_is_said(engine):
    await created(engine, "Disk")
    text = await page(engine, at(engine.clock.now_ms() - 8 * 24 * 60 * MINUTE_MS))

    assert "This may not be all: incidents that were over before" in text
    assert "Nothing is known any more" in text
    assert "Nothing was open" not in text
    assert "This may not be all" not in await page(engine, at(engine.clock.now_ms() - 6 * 24 * 60 * MINUTE_MS))


async def test_what_redis_lost_is_said(engine, engine_redis):
    engine.clock.advance(minutes=30)
    lost_ms = engine.clock.now_ms() - 10 * MINUTE_MS
    await engine_redis.hset(keys.in_partition(2, "marker"), "lost_at_ms", lost_ms)

    assert "This may not be all: Redis lost data at" in await page(engine, at(lost_ms - MINUTE_MS))
    assert "This may not be all" not in await page(engine, at(lost_ms + MINUTE_MS))


async def test_what_reopened_was_not_open_in_between(engine):
    await created(engine, "Disk")
    engine.clock.advance(minutes=2)
    await engine.post(group(alert("Disk", over=True)))
    engine.clock.advance(minutes=1)
    between_ms = engine.clock.now_ms()
    engine.clock.advance(minutes=1)
    await engine.post(group(alert("Disk", minutes=9)))
    engine.clock.advance(minutes=1)

    assert titles(await page(engine, at(between_ms))) == []
    assert titles(await page(engine, at(between_ms - 2 * MINUTE_MS))) == ["Disk is bad"]
    assert titles(await page(engine, at(engine.clock.now_ms()))) == ["Disk is bad"]


async def test_many_come_in_parts_that_are_small(engine, monkeypatch):
    await many(engine, 400, **dict.fromkeys(("namespace", "pod"), '<"&>' * 200))
    engine.clock.advance(minutes=2)
    monkeypatch.setattr(history, "GLANCED_AT_MAX", 300)

    text = await page(engine, at(engine.clock.now_ms()))
    seen = titles(text)
    while following := re.search(r'rel="next" href="(/\?[^"]*older=[^"]*)"', text):
        assert "in this part" in text
        text = await page(engine, unescape(following[1]))
        assert len(text.encode()) <= PAGE_BYTES_MAX
        seen += titles(text)

    assert len(seen) == len(set(seen)) == 400


async def test_a_step_leads_to_ten_minutes_before_and_after(engine):
    moment_ms = engine.clock.now_ms() - 15 * MINUTE_MS

    text = await page(engine, at(moment_ms))
    later = await page(engine, at(moment_ms + 10 * MINUTE_MS))

    assert f'rel="prev" href="/?at={iso(moment_ms - 10 * MINUTE_MS)}"' in text
    assert f'rel="next" href="/?at={iso(moment_ms + 10 * MINUTE_MS)}"' in text
    assert 'rel="next"' not in later


async def test_html_is_shown_as_text_and_a_viewer_may_look(engine):
    incident_id = await created(engine, HOSTILE, team=HOSTILE)
    await send(engine, f"/incidents/{incident_id}/acknowledge", {**ANA, "Remote-Name": HOSTILE})
    engine.clock.advance(seconds=2)
    found = Elements()

    found.feed(await page(engine, at(engine.clock.now_ms()), BEN))

    assert "img" not in found.names
    assert found.names.count("script") == 1
    assert [value for name, value in found.attributes if name == "method" and value == "post"] == ["post"]
