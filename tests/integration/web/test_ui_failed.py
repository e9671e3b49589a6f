"""Failed: what was given up, and trying it again: one target, or all."""

import re

import pytest

from tests.integration.web.test_ui_incidents import (
    ANA,
    BEN,
    HOSTILE,
    OURS,
    SETTINGS,
    Elements,
    created,
    page,
    send,
)
from versus_py.simulators.faults import Fault
from versus_py.simulators.slack.errors import ErrorOrder


@pytest.fixture
def settings():
    return SETTINGS


async def given_up(engine, slack, logs, *names: str) -> list[str]:
    """Incidents that Slack refused for good, and that escalated because of it."""
    slack.errors.order(ErrorOrder(error="channel_not_found", method="chat.postMessage", times=None))
    ids = [await created(engine, name) for name in names]
    slack.errors.clear()
    logs.expect_error("sync.failed")
    return ids


def buttons(text: str) -> list[str]:
    return re.findall(r'action="([^"]*retry)"', text)


async def test_it_says_that_nothing_was_given_up(engine):
    text = await page(engine, "/failed")

    assert "Nothing was given up" in text
    assert buttons(text) == []


async def test_it_shows_the_target_the_error_and_the_incident(engine, slack, logs):
    [incident_id] = await given_up(engine, slack, logs, "Disk")

    text = await page(engine, "/failed")

    assert "channel_not_found" in text
    assert f'<h3><a href="/incidents/{incident_id}">Disk is bad</a></h3>' in text
    assert "</svg>Slack</span>" in text
    assert buttons(text) == ["/failed/retry", f"/incidents/{incident_id}/retry"]
    assert re.search(r'href="/failed".*<b>1</b><span class="vh">failed deliveries', text)


async def test_one_is_tried_again_and_leads_back(engine, slack, logs):
    first, second = await given_up(engine, slack, logs, "Disk", "Queue")

    answer = await send(engine, f"/incidents/{first}/retry", target="slack", back="failed")

    assert answer == (303, "/failed", "Tried again now: Slack")
    text = await page(engine, "/failed")
    assert buttons(text) == ["/failed/retry", f"/incidents/{second}/retry"]


async def test_of_an_incident_one_target_alone_is_tried_again(engine, slack, servicenow, logs):
    slack.errors.order(ErrorOrder(error="channel_not_found", method="chat.postMessage", times=None))
    servicenow.faults.order(Fault(kind="400", times=None))
    incident_id = await created(engine, "Disk")
    detail = await engine.detail(incident_id)
    logs.expect_error("sync.failed")
    failed = [name for name, it in detail["deliveries"].items() if it["failed_at"]]
    assert sorted(failed) == ["servicenow", "slack"]
    slack.errors.clear()
    servicenow.faults.clear()

    assert (await send(engine, f"/incidents/{incident_id}/retry", target="slack"))[2] == "Tried again now: Slack"

    after = await engine.detail(incident_id)
    assert [name for name, it in after["deliveries"].items() if it["failed_at"]] == ["servicenow"]
    assert [it["detail"] for it in after["timeline"] if it["event"] == "retry"] == ["Slack"]
    said = (await send(engine, f"/incidents/{incident_id}/retry", target="slack"))[2]
    assert said == "Nothing was given up: Slack"


async def test_all_are_tried_again(engine, slack, logs):
    await given_up(engine, slack, logs, "Disk", "Queue", "Host")

    assert await send(engine, "/failed/retry") == (303, "/failed", "3 incidents tried again")
    assert "Nothing was given up" in await page(engine, "/failed")
    assert (await send(engine, "/failed/retry"))[2] == "Nothing was given up"
    assert len(slack.messages) == 3


async def test_it_comes_in_pages(engine, slack, logs, monkeypatch):
    monkeypatch.setattr("versus_py.web.pages.ui.looking_back.PAGE", 2)
    ids = await given_up(engine, slack, logs, "A", "B", "C")

    first = await page(engine, "/failed")
    [older] = re.findall(r'rel="next" href="([^"]+)"', first)
    second = await page(engine, older)

    shown = [re.findall(r'<h3><a href="/incidents/([^"]+)"', it) for it in (first, second)]
    assert [len(it) for it in shown] == [2, 1]
    assert {*shown[0], *shown[1]} == {*ids}
    assert 'rel="prev" href="/failed"' in second
    assert "open the first page again" in await page(engine, "/failed?older=x", status=400)


async def test_what_cannot_be_read_is_listed_without_a_button(engine, engine_redis, slack, logs):
    [incident_id] = await given_up(engine, slack, logs, "Disk")
    name = f"versus:{{{incident_id[-1]}}}:incident:{incident_id}"
    await engine_redis.hset(name, "incident", '{"schema":99,"readable_from":99,"x":1}')

    text = await page(engine, "/failed")

    assert f'<a href="/incidents/{incident_id}">{incident_id}</a>' in text
    assert buttons(text) == ["/failed/retry"]


async def test_a_viewer_sees_it_without_buttons_and_may_press_none(engine, slack, logs):
    [incident_id] = await given_up(engine, slack, logs, "Disk")

    text = await page(engine, "/failed", BEN)

    assert "channel_not_found" in text
    assert buttons(text) == []
    assert (await send(engine, "/failed/retry", BEN))[0] == 403
    assert (await send(engine, f"/incidents/{incident_id}/retry", BEN, target="slack"))[0] == 403
    assert len(slack.messages) == 0


async def test_a_form_of_another_site_and_a_get_try_nothing_again(engine, slack, logs):
    await given_up(engine, slack, logs, "Disk")

    elsewhere = {**OURS, **ANA, "Sec-Fetch-Site": "cross-site"}
    assert (await engine.http.post("/failed/retry", headers=elsewhere)).status == 403
    assert (await engine.http.get("/failed/retry", headers=OURS | ANA)).status == 405
    await engine.settle()

    assert len(slack.messages) == 0


async def test_html_is_shown_as_text(engine, slack, logs):
    await given_up(engine, slack, logs, HOSTILE)
    found = Elements()

    found.feed(await page(engine, "/failed"))

    assert "img" not in found.names
    assert found.names.count("script") == 1
