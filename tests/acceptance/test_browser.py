"""A person with a browser: presses the button in Slack, and sees what came of it."""

import subprocess
from datetime import UTC, datetime

from selenium.webdriver.common.by import By
from selenium.webdriver.support import expected_conditions
from selenium.webdriver.support.ui import WebDriverWait

from tests.acceptance.conftest import request
from tests.support.servers import find_program
from tests.support.waiting import wait_until
from versus_py.tools.samples import alertmanager


def test_a_click_on_the_page_acknowledges_and_the_page_says_what_that_means(world, browser):
    server, _ = world.serve()
    payload = alertmanager("DiskFull", starts_at=datetime.now(UTC))
    [created] = request(f"{server}/api/incidents?oncall_wait_minutes=0.2", payload)["incidents"]
    wait_until(lambda: world.slack.messages("DiskFull"), what="the message")

    browser.get(world.slack.url)
    browser.save_screenshot(str(world.folder / "slack.png"))
    browser.find_element(By.LINK_TEXT, "Acknowledge Alert").click()
    WebDriverWait(browser, 10).until(expected_conditions.number_of_windows_to_be(2))
    browser.switch_to.window(browser.window_handles[1])
    shown(browser, "h1", "DiskFull")
    browser.find_element(By.CSS_SELECTOR, "button.primary").click()
    shown(browser, "[role=status]", "Acknowledged")
    browser.save_screenshot(str(world.folder / "acknowledged.png"))

    assert "ServiceNow will not be called." in browser.find_element(By.TAG_NAME, "main").text
    wait_until(lambda: "*Acknowledged*" in world.slack.messages("DiskFull")[0]["text"], what="the message to change")
    due = datetime.fromisoformat(created["escalates_at"])
    wait_until(lambda: datetime.now(UTC) > due, what="the end of the wait")
    assert world.servicenow.state()["calls"] == []
    browser.switch_to.window(browser.window_handles[0])
    browser.get(world.slack.url)
    assert browser.find_elements(By.LINK_TEXT, "Acknowledge Alert") == []


def shown(browser, selector: str, text: str) -> None:
    """Wait for the page that says so there."""
    there = (By.CSS_SELECTOR, selector)
    WebDriverWait(browser, 10).until(expected_conditions.text_to_be_present_in_element(there, text))


def test_a_scanner_that_renders_the_page_acknowledges_nothing(world):
    server, _ = world.serve()
    request(f"{server}/api/incidents?oncall_wait_minutes=5", alertmanager("HostDown", starts_at=datetime.now(UTC)))
    wait_until(lambda: world.slack.messages("HostDown"), what="the message")
    link = world.slack.messages("HostDown")[0]["button_url"]

    page = rendered(world, link)

    assert "<title>Not acknowledged yet: HostDown" in page
    [incident] = request(f"{server}/api/incidents")["incidents"]
    assert incident["status"] == "triggered"


def rendered(world, url: str) -> str:
    """What a headless browser makes of a page, ten seconds of its time after it was loaded; with a screenshot."""
    command = [find_program("chromium", "chromium"), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"]
    command += [f"--user-data-dir={world.folder / 'scanner'}", "--virtual-time-budget=10000", "--dump-dom"]
    command += [f"--screenshot={world.folder / 'scanned.png'}", url]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


def test_the_record_can_be_looked_at(world, browser):
    server, _ = world.serve()
    request(f"{server}/api/incidents?oncall_wait_minutes=0", alertmanager("QueueStuck", starts_at=datetime.now(UTC)))
    wait_until(lambda: len(world.servicenow.records) == 1, what="the record")
    [record] = world.servicenow.records

    browser.get(world.servicenow.url)
    browser.save_screenshot(str(world.folder / "servicenow.png"))
    browser.find_element(By.LINK_TEXT, record["number"]).click()

    assert record["correlation_id"] in browser.find_element(By.TAG_NAME, "main").text
