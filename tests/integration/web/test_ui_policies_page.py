"""The page of policies in the web UI: who sees it, the dry run as a form, and that it sends nothing."""

import re
from collections.abc import Mapping
from html import unescape
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.integration.conftest import Engine
from tests.integration.web.test_ui_incidents import ANA, BEN, HOSTILE, OURS, SETTINGS
from versus_py.errors import StoreUnavailable

MINUTE_MS = 60_000
DAY_MS = 24 * 60 * MINUTE_MS
OFFICE = {"name": "office", "time_intervals": [{"weekdays": ["monday:friday"], "location": "Europe/Berlin"}]}


@pytest.fixture
def settings() -> dict[str, Any]:
    low = {
        "name": "low",
        "match": ['severity="info"', 'team="<b>"'],
        "in": ["office"],
        "steps": [{"notify": ["slack"]}],
    }
    return {**SETTINGS, "time_intervals": [OFFICE], "policies": [low, *SETTINGS["policies"]]}


@pytest.fixture
def slack_settings() -> dict[str, Any]:
    return {"channels": {"leads": "C0LEADS"}}


async def policies(engine: Engine, who: Mapping[str, str] = ANA, status: int = 200, **asked: str) -> str:
    response = await engine.http.get(f"/policies?{urlencode(asked)}", headers={**OURS, **who})
    text = await response.text()
    assert response.status == status, text
    return text


@pytest.mark.parametrize("who", [ANA, BEN], ids=["responder", "viewer"])
async def test_every_policy_is_there_in_its_order(engine, who):
    text = await policies(engine, who)

    assert re.findall(r'<h2 id="p-\d" class="grow">(.*?)<', text) == ["1. low", "2. later", "3. leads", "4. all"]
    assert "everything else" not in text, "all matches what is left"
    assert 'role="img"' in text
    assert 'href="/policies" aria-current="page"' in text


async def test_a_dry_run_says_which_policy_and_when_each_step_comes(engine):
    text = await policies(engine, BEN, labels="team=db", severity="critical", at="2026-11-28T01:30", zone="UTC")

    assert "Policy all." in text
    assert "Sat 28 Nov 01:30" in text
    assert "Sat 28 Nov 01:35" in text
    assert 'value="team=db"' in text, "what was typed stays"
    assert 'value="2026-11-28T01:30"' in text
    assert "<option selected>critical</option>" in text
    assert "<option selected>UTC</option>" in text


async def test_a_dry_run_sends_and_keeps_nothing(engine, slack):
    await policies(engine, labels="severity=critical")
    await engine.settle()

    assert slack.messages == []
    assert (await engine.store.page(limit=10)).incidents == ()


async def test_a_mistake_is_said_beside_the_field_that_keeps_it(engine):
    text = await policies(engine, status=400, labels="severity!=critical", at="2026-11-28T01:30")

    assert "is no label: write NAME=VALUE" in unescape(text)
    assert 'value="severity!=critical"' in unescape(text)
    assert 'value="2026-11-28T01:30"' in text
    assert ">1. low<" in text, "the policies are there all the same"


async def test_html_in_labels_times_and_zones_is_shown_as_text(engine):
    assert "<script>alert" not in await policies(engine, status=400, labels=f"team={HOSTILE}")
    assert "<script>alert" not in await policies(engine, status=400, at=HOSTILE)
    assert "<script>alert" not in await policies(engine, status=400, labels="a=b", zone=HOSTILE)
    value = HOSTILE.replace('"', '\\"')
    text = await policies(engine, labels=f'team="{value}"', severity=HOSTILE)

    assert "<script>alert" not in text
    assert HOSTILE in unescape(text)
    assert "<b>&lt;b&gt;</b>" in text, "a matcher's value"


async def test_the_week_begins_anew_with_the_day(engine):
    engine.clock.advance(minutes=(DAY_MS - engine.clock.now_ms() % DAY_MS) / MINUTE_MS - 121)
    before = re.search(r"clock of Europe/Berlin. (\w+ \d+):", await policies(engine))
    engine.clock.advance(minutes=121)
    after = re.search(r"clock of Europe/Berlin. (\w+ \d+):", await policies(engine))

    assert before is not None
    assert after is not None
    assert before[1] != after[1]


async def test_the_page_is_there_while_redis_is_away(engine, monkeypatch):
    async def away(**_: object) -> object:
        raise StoreUnavailable("away")

    monkeypatch.setattr(engine.store.standings, "all_open", away)

    assert ">1. low<" in await policies(engine)
