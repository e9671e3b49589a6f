"""People renew an acknowledgment that ends: by the button in Slack, and by the page of the link."""

import re
from urllib.parse import urlsplit

import pytest

from tests.integration.conftest import Engine
from tests.integration.interactions.test_interactions import press
from tests.support.groups import alert, group
from versus_py.ack_links import PATH, Verdict
from versus_py.incidents.actions import Action
from versus_py.incidents.model import IncidentId
from versus_py.simulators.slack.simulator import SIGNING_SECRET
from versus_py.targets.slack.actions import RENEW

HTML = {"Accept": "text/html"}
HOUR_MS = 3600_000
INTERACTIVE = {"signing_secret": SIGNING_SECRET}
by_button = pytest.mark.parametrize("slack_settings", [INTERACTIVE])


@pytest.fixture
def ack_timeout_minutes():
    return 240


@pytest.fixture
def config(config, ack_timeout_minutes):
    oncall = config.oncall.model_copy(update={"ack_timeout_minutes": ack_timeout_minutes})
    return config.model_copy(update={"oncall": oncall})


@pytest.fixture
async def acknowledged(engine) -> str:
    """The id of an incident that somebody acknowledged three hours ago."""
    [created] = (await engine.post(group(alert("Disk"))))["incidents"]
    await engine.settle()
    await engine.http.post(f"/api/incidents/{created['id']}/acknowledge?by=ana")
    await engine.after(hours=3)
    return str(created["id"])


async def ends_in_ms(engine: Engine, incident_id: str) -> int:
    incident = await engine.store.get(IncidentId(incident_id))
    assert incident is not None
    assert incident.ack_ends_at_ms is not None
    return incident.ack_ends_at_ms - engine.clock.now_ms()


def labels(engine: Engine) -> list[str]:
    blocks = engine.slack.messages[0].attachments[0]["blocks"]
    return [it["text"]["text"] for block in blocks for it in block.get("elements", []) if it["type"] == "button"]


def link(engine: Engine) -> str:
    split = urlsplit(engine.slack.messages[0].button_url or "")
    return f"{split.path}?{split.query}"


async def page(engine: Engine, incident_id: str) -> str:
    """What somebody sees who opens a link."""
    incident = await engine.store.get(IncidentId(incident_id))
    assert incident is not None
    split = urlsplit(engine.links.url(incident))
    return await (await engine.http.get(f"{split.path}?{split.query}", headers=HTML)).text()


@by_button
async def test_a_press_renews_it_and_the_message_and_the_answer_say_until_when(engine, acknowledged):
    before = engine.slack.messages[0].shown
    assert labels(engine) == [RENEW, "Un-acknowledge", "Resolve", "Resolve with comment", "Escalate now"]

    await press(engine, engine.slack.messages[0], Action.ACKNOWLEDGE)
    await engine.settle()

    assert await ends_in_ms(engine, acknowledged) == pytest.approx(4 * HOUR_MS, abs=60_000)
    assert engine.slack.messages[0].shown != before
    assert ", until " in engine.slack.messages[0].shown
    [told] = engine.slack.ephemerals
    assert "That lasts until " in told.text
    await engine.after(hours=3)
    assert (await engine.detail(acknowledged))["status"] == "acknowledged"


async def test_without_presses_the_button_is_a_link_that_renews_it(engine, acknowledged):
    assert labels(engine) == [RENEW]

    response = await engine.http.post(link(engine), headers=HTML)

    shown = await response.text()
    assert response.status == 200
    assert "Acknowledgment renewed" in shown
    assert "will not be called before" in shown
    assert await ends_in_ms(engine, acknowledged) == pytest.approx(4 * HOUR_MS, abs=60_000)


async def test_looking_at_the_page_offers_to_renew_and_renews_nothing(engine, acknowledged):
    left_ms = await ends_in_ms(engine, acknowledged)

    shown = await page(engine, acknowledged)
    told = await (await engine.http.get(link(engine))).json()

    assert re.search(rf'<form method="post" action=""[^>]*>.*<button[^>]*>{RENEW}</button>', shown, re.DOTALL)
    assert "<script" not in shown
    assert told["message"].endswith("POST to this URL to renew the acknowledgment")
    assert await ends_in_ms(engine, acknowledged) == left_ms


async def test_a_link_that_nobody_signed_renews_nothing(engine, acknowledged):
    left_ms = await ends_in_ms(engine, acknowledged)

    response = await engine.http.post(f"{PATH}/{acknowledged}?exp=99999999999&sig=0")

    assert response.status == 401
    assert await ends_in_ms(engine, acknowledged) == left_ms


@pytest.mark.parametrize("ack_timeout_minutes", [3 * 24 * 60])
async def test_the_link_is_good_until_the_acknowledgment_ends(engine, acknowledged):
    for _ in range(2 * 24):
        await engine.after(hours=1)
        found = re.search(rf"{PATH}/([^?]+)\?exp=(\d+)&sig=(\w+)", engine.slack.messages[0].button_url)
        assert found
        assert engine.links.check(*found.groups()) is Verdict.VALID


@pytest.mark.parametrize("slack_settings", [INTERACTIVE, {}])
async def test_an_acknowledgment_that_cannot_last_longer_is_not_offered_to_be_renewed(engine, acknowledged):
    for hours in [3] * (7 * 8 - 2) + [0]:
        await engine.http.post(f"/api/incidents/{acknowledged}/acknowledge?by=ana")
        await engine.after(hours=hours)

    assert (await engine.detail(acknowledged))["status"] == "acknowledged"
    assert RENEW not in labels(engine)
    assert "<button" not in await page(engine, acknowledged)


@pytest.mark.parametrize("ack_timeout_minutes", [0])
@pytest.mark.parametrize("slack_settings", [INTERACTIVE, {}])
async def test_an_acknowledgment_without_an_end_is_not_offered_to_be_renewed(engine, acknowledged):
    assert RENEW not in labels(engine)
    assert "<button" not in await page(engine, acknowledged)
