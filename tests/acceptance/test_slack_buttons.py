"""People press buttons in Slack: by HTTP and by Socket Mode, in a browser, and with replicas that come and go."""

from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.support.ui import WebDriverWait

from tests.acceptance.conftest import World, kill, request
from tests.support.waiting import wait_until
from versus_py.tools.samples import alertmanager

SIGNING_SECRET = "slack-signing-secret"
APP_TOKEN = "xapp-acceptance-secret"


def serve_http(world: World) -> str:
    """A server to which the simulator sends what people press."""
    server, _ = world.serve(alert=world.alert(signing_secret=SIGNING_SECRET))
    request(f"{world.slack.url}/control/interactions", {"url": f"{server}/api/slack/interactions"})
    return server


def fire(server: str, name: str, wait_minutes: float) -> dict[str, str]:
    payload = alertmanager(name, starts_at=datetime.now(UTC))
    found: dict[str, str] = request(f"{server}/api/incidents?oncall_wait_minutes={wait_minutes}", payload)["incidents"][
        0
    ]
    return found


def message(world: World, name: str):
    wait_until(lambda: world.slack.messages(name), what=f"the message about {name}")
    [found] = world.slack.messages(name)
    return found


def click(browser: WebDriver, label: str) -> None:
    browser.refresh()  # the page does that by itself every other second: now it stays for that long
    browser.find_element(By.XPATH, f"//button[normalize-space()='{label}']").click()


def wait_for(browser: WebDriver, text: str) -> None:
    WebDriverWait(browser, 15, ignored_exceptions=[WebDriverException]).until(  # it may be gone while it is looked at
        lambda it: text in it.find_element(By.TAG_NAME, "main").text
    )


def buttons(browser: WebDriver) -> list[str]:
    """Those of the messages, and not those by which people delete them."""
    return [it.text for it in browser.find_elements(By.CSS_SELECTOR, ".press button")]


def test_the_button_in_slack_acknowledges_with_a_name_and_no_record_appears(world, browser):
    server = serve_http(world)
    created = fire(server, "DiskFull", 0.3)
    message(world, "DiskFull")

    browser.get(f"{world.slack.url}/?as=U0ANA")
    assert "escalates to ServiceNow" in browser.find_element(By.TAG_NAME, "main").text
    browser.save_screenshot(str(world.folder / "triggered.png"))
    click(browser, "Acknowledge Alert")
    wait_for(browser, "acknowledged by Ana Diaz")
    browser.save_screenshot(str(world.folder / "acknowledged.png"))

    assert "Acknowledge Alert" not in buttons(browser)
    assert {"Un-acknowledge", "Resolve", "Escalate now"} <= set(buttons(browser))
    due = datetime.fromisoformat(created["escalates_at"])
    wait_until(lambda: datetime.now(UTC) > due + timedelta(seconds=1), what="the end of the wait")
    assert world.servicenow.state()["calls"] == []
    detail = request(f"{server}/api/incidents/{created['id']}")
    assert (detail["acknowledged_by"], detail["acknowledged_by_email"]) == ("Ana Diaz", "ana@example.com")
    assert detail["status"] == "acknowledged"


@pytest.mark.long
def test_every_button_does_what_it_says(world, browser):
    server = serve_http(world)
    created = fire(server, "QueueStuck", 10)
    message(world, "QueueStuck")
    browser.get(f"{world.slack.url}/?as=U0BEN")

    click(browser, "for 15 min")
    wait_for(browser, "snoozed by Ben Okafor until")
    click(browser, "Acknowledge Alert")
    wait_for(browser, "acknowledged by Ben Okafor")
    click(browser, "Un-acknowledge")
    wait_for(browser, "Given back by Ben Okafor")
    click(browser, "Escalate now")
    wait_for(browser, "Escalated to ServiceNow as INC")
    browser.save_screenshot(str(world.folder / "escalated.png"))
    click(browser, "Resolve")
    wait_for(browser, "resolved by Ben Okafor")
    browser.save_screenshot(str(world.folder / "resolved.png"))

    wait_until(lambda: [it["state"] for it in world.servicenow.records] == ["6"], what="the record to be resolved")
    assert buttons(browser) == []
    events = [entry["event"] for entry in request(f"{server}/api/incidents/{created['id']}")["timeline"]]
    for event in ("snoozed", "acknowledged", "unacknowledged", "escalating", "escalated", "resolved"):
        assert event in events
    assert len(world.slack.messages("QueueStuck")) == 1


def test_socket_mode_with_two_replicas_goes_on_when_one_is_killed(world, redis_settings):
    alert = world.alert(app_token=APP_TOKEN)
    servers = [world.serve(alert=alert, **redis_settings) for _ in range(2)]
    wait_until(lambda: world.slack.state()["connections"] == 2, what="both replicas to be connected")
    (server, _), (_, other) = servers

    for number in range(3):
        fire(server, f"Before{number}", 5)
        assert world.slack.press(message(world, f"Before{number}"), "acknowledge")["in_time"]
        wait_until(partial(world.slack.shows, f"Before{number}", "*Acknowledged*"), what="the message to change")
    kill(other)
    wait_until(lambda: world.slack.state()["connections"] == 1, what="the killed one's connection to be gone")
    fire(server, "After", 5)
    assert world.slack.press(message(world, "After"), "acknowledge", user="U0BEN")["in_time"]

    wait_until(lambda: "acknowledged by *Ben Okafor*" in str(message(world, "After")), what="the message to change")
    incidents = request(f"{server}/api/incidents")["incidents"]
    assert {it["status"] for it in incidents} == {"acknowledged"}


def test_a_wrong_app_token_is_said_once_and_alerts_go_out_all_the_same(world):
    server, _ = world.serve(alert=world.alert(app_token="xoxb-of-the-wrong-kind-secret"))
    fire(server, "DiskFull", 5)

    message(world, "DiskFull")
    wait_until(lambda: "slack.socket_refused" in world.logged(), what="the error")

    assert world.logged().count("slack.socket_refused") == 1
    assert "alert.slack.app_token" in world.logged()
    assert "wrong-kind-secret" not in world.logged()


def test_what_slack_did_not_sign_changes_nothing(world):
    server = serve_http(world)
    created = fire(server, "DiskFull", 5)
    found = message(world, "DiskFull")

    other, _ = world.serve(alert=world.alert(signing_secret="another-secret"), data_dir=str(world.folder / "other"))
    request(f"{world.slack.url}/control/interactions", {"url": f"{other}/api/slack/interactions"})
    delivery = world.slack.press(found, "acknowledge")

    assert delivery["status"] == 401
    assert request(f"{server}/api/incidents/{created['id']}")["status"] == "triggered"
    assert "another-secret" not in world.logged()
