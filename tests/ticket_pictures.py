"""Pictures of a ticket, as the simulated ServiceNow and Slack show it: `python -m tests.ticket_pictures`."""

import argparse
import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from selenium.webdriver.common.by import By

from tests.pictures import CHANNEL, CONFIG, DRAW_EMOJI, browser, message_of
from tests.support.png import shrunk
from tests.support.two_sides import ANA, TwoSides
from versus_py.incidents import transitions
from versus_py.simulators import SlackSimulator, run_app
from versus_py.simulators.servicenow import BusinessRule, Passage
from versus_py.simulators.slack import read_content
from versus_py.systems import called
from versus_py.targets.slack.thread import Told, reply_of

NAMES = ("ticket-rule", "ticket-record", "ticket-slack")
WIDE_PX = 960
ENDPOINT = "https://versus.example.com/api/servicenow/events"

TEXTS = {"short_description": "Mails arrive late", "description": "Customers wait 20 minutes for their invoice."}
_HIDE = "for (const it of document.querySelectorAll('main > p.meta')) it.remove();"


async def acknowledged(it: TwoSides) -> None:
    """A ticket that was opened there, acknowledged here, and commented on there."""
    it.servicenow.properties["versus.token"] = "••••••••"
    it.servicenow.rules.add(BusinessRule(name="versus", url=ENDPOINT, token_property="versus.token"))
    it.servicenow.properties["glide.servlet.uri"] = "https://dev12345.service-now.com/"
    users = it.servicenow.tables["sys_user"]
    users[:] = [user for user in users if "(admin)" not in user["name"]]
    await it.begin(Passage(by_hand=True), by="ben", assignment_group="Mail desk", **TEXTS)
    it.clock.advance(minutes=2)
    it.here(lambda incident, now_ms: transitions.acknowledge(incident, ANA, now_ms), "acknowledge")
    await it.sync()
    it.clock.advance(minutes=3)
    it.there("note", work_notes="The queue of mx-2 is stuck since the upgrade")
    await it.until_quiet()


def in_slack(it: TwoSides) -> SlackSimulator:
    """Its message, and what its thread says of it."""
    slack = SlackSimulator(token="xoxb-x", now_s=lambda: it.clock.now_ms() / 1000)
    message = message_of(it.incident)
    content = read_content({"text": message.text, "attachments": list(message.attachments)}, text_max=4000)
    posted = slack.add_message(CHANNEL, content)
    said = reply_of(it.incident, Told(), CONFIG, called())
    assert said is not None
    slack.add_message(CHANNEL, read_content({"text": said.text}, text_max=4000), thread=posted)
    return slack


async def shots() -> AsyncIterator[tuple[str, bytes]]:
    """Each by its name."""
    with pytest.MonkeyPatch.context() as patch, browser() as driver:
        it = TwoSides.build(patch)
        await acknowledged(it)

        def shoot(url: str, element: str, script: str = "") -> bytes:
            driver.get(url)
            if script:
                driver.execute_script(script)
            return driver.find_element(By.CSS_SELECTOR, element).screenshot_as_png

        async with run_app(in_slack(it).app()) as url:
            yield "ticket-slack", await asyncio.to_thread(shoot, url, ".message", DRAW_EMOJI)
        size = {"width": WIDE_PX, "height": 1400, "deviceScaleFactor": 1, "mobile": False}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        async with run_app(it.servicenow.app()) as url:
            yield "ticket-rule", await asyncio.to_thread(shoot, f"{url}/rules", "main", _HIDE)
            page = f"{url}/incident.do?sys_id={it.record['sys_id']}"
            yield "ticket-record", await asyncio.to_thread(shoot, page, "main")


async def make(out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    async for name, picture in shots():
        (out / f"{name}.png").write_bytes(shrunk(picture))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/pictures"))
    asyncio.run(make(parser.parse_args().out))


if __name__ == "__main__":
    main()
