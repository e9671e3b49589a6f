"""Open tabs: two people see what the other does, nothing is taken from under a hand, and a server may be restarted."""

import signal

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By

from tests.acceptance.conftest import request
from tests.acceptance.test_ui_in_browser import (
    SECRET,
    alerts,
    is_as_wide_as_the_window,
    keys,
    post,
    press,
    problems,
    sign_in,
    sized,
    wait_for,
)
from tests.support.servers import free_port
from tests.support.waiting import wait_until

TRIES = "const Plain = EventSource; window.made = []; window.EventSource = class extends Plain {"
TRIES += " constructor(url) { super(url); window.made.push(this); } };"
"""Counts the streams that a page opens."""


def open_streams(server: str) -> float:
    text = request_text(f"{server}/metrics")
    return float(next(line.split()[1] for line in text.splitlines() if line.startswith("versus_ui_streams ")))


def request_text(url: str) -> str:
    import urllib.request  # noqa: PLC0415

    asked = urllib.request.Request(url, headers={"X-Gateway-Secret": SECRET})
    with urllib.request.urlopen(asked, timeout=10) as response:
        return str(response.read().decode())


def shown(browser, selector: str) -> list[str]:
    return [it.text for it in browser.find_elements(By.CSS_SELECTOR, selector)]


def test_two_people_see_what_the_other_does_and_nothing_is_taken_from_under_a_hand(world, browser, other_browser):
    server, _ = world.serve(gateway_secret=SECRET)
    post(server, alerts("DiskFull", instance="db-7"), wait_minutes=4)
    queue = post(server, alerts("QueueStuck", queue="settlement"), wait_minutes=5)
    sign_in(browser, server)
    sign_in(other_browser, server)

    press(browser, "Acknowledge", inside="#waiting")
    wait_for(other_browser, "#acknowledged .row", "DiskFull")
    wait_for(other_browser, "#h1", "1 waiting")
    wait_until(lambda: other_browser.title == "(1) Now · Versus", what="the title to say it")
    assert "data:image/svg+xml" in other_browser.find_element(By.CSS_SELECTOR, "link[rel=icon]").get_attribute("href")
    wait_for(other_browser, "#news", "DiskFull")

    post(server, alerts("HostDown", instance="web-1"), wait_minutes=3)
    for each in (browser, other_browser):
        wait_for(each, "#waiting .row:first-child", "HostDown")

    keys(browser, "j")
    focused = browser.switch_to.active_element.text
    row = next(it for it in other_browser.find_elements(By.CSS_SELECTOR, "#waiting .row") if focused in it.text)
    other_browser.execute_script("arguments[0].click()", row.find_element(By.CSS_SELECTOR, ".act button"))
    wait_for(browser, "#waiting .row[data-changed]", focused)
    assert browser.switch_to.active_element.text == focused
    browser.execute_script("document.activeElement.blur()")
    wait_for(browser, "#acknowledged .row", focused)

    browser.get(f"{server}/incidents/{queue}")
    wait_for(browser, "#standing", "Triggered")
    text = browser.find_element(By.NAME, "text")
    text.send_keys("rolling ba")
    other_browser.find_element(By.PARTIAL_LINK_TEXT, "QueueStuck").click()
    wait_for(other_browser, "#standing", "Triggered")
    press(other_browser, "Acknowledge", inside=".take")
    wait_for(browser, "#standing", "Acknowledged")
    wait_for(browser, "#timeline", "acknowledged")
    text.send_keys("ck")
    assert text.get_attribute("value") == "rolling back"
    press(browser, "Comment")
    wait_for(other_browser, "#timeline blockquote", "rolling back")
    assert problems(browser) == []
    assert problems(other_browser) == []


@pytest.mark.long
def test_an_open_menu_stays_as_it_is_until_it_is_closed(world, browser):
    server, _ = world.serve(gateway_secret=SECRET)
    incident_id = post(server, alerts("DiskFull", instance="db-7"), wait_minutes=4)
    sign_in(browser, server)
    browser.get(f"{server}/incidents/{incident_id}")
    browser.find_element(By.CSS_SELECTOR, "[aria-label='More actions']").click()
    wait_for(browser, "#acts button", "Escalate now")
    browser.find_element(By.NAME, "comment").send_keys("it was the de")

    request(f"{server}/api/incidents/{incident_id}/acknowledge", {"by": "Ben"}, headers={"X-Gateway-Secret": SECRET})

    wait_for(browser, "#standing", "Acknowledged")
    wait_for(browser, "#acts[data-changed] button", "Escalate now")
    comment = browser.find_element(By.NAME, "comment")
    comment.send_keys("ploy")
    assert comment.get_attribute("value") == "it was the deploy"
    comment.clear()
    ActionChains(browser).send_keys("\ue00c").perform()
    browser.execute_script("document.activeElement.blur()")
    browser.find_element(By.CSS_SELECTOR, "[aria-label='More actions']").click()
    wait_for(browser, "#acts button", "Un-acknowledge")


@pytest.mark.long
def test_a_hidden_tab_has_no_stream_and_a_restart_of_the_server_loses_nothing(world, browser, redis_settings):
    port = free_port()
    server, process = world.serve(gateway_secret=SECRET, port=port, **redis_settings)
    first = post(server, alerts("DiskFull", instance="db-7"), wait_minutes=4)
    browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": TRIES})
    sign_in(browser, server)
    wait_until(lambda: open_streams(server) >= 1, what="the stream")

    hide(browser, hidden=True)
    wait_until(lambda: browser.execute_script("return made.at(-1).readyState") == 2, what="the stream to be closed")
    second = post(server, alerts("QueueStuck"), wait_minutes=5)
    hide(browser, hidden=False)
    wait_for(browser, "#waiting .row", "QueueStuck")

    process.send_signal(signal.SIGTERM)
    assert process.wait(15) == 0, "it does not wait for the stream"
    world.serve(gateway_secret=SECRET, port=port, **redis_settings)
    request(f"{server}/api/incidents/{second}/acknowledge", {"by": "Ben"}, headers={"X-Gateway-Secret": SECRET})

    wait_for(browser, "#acknowledged .row", "QueueStuck")
    assert shown(browser, "#stale") == [""]

    sized(browser, "narrow")
    keys(browser, "j")
    request(f"{server}/api/incidents/{first}/resolve", {"by": "Ben"}, headers={"X-Gateway-Secret": SECRET})
    wait_for(browser, ".row[data-changed]")
    browser.execute_script("heardMs = 0; tick()")
    wait_for(browser, "#stale", "Not live")
    assert is_as_wide_as_the_window(browser)


SAID_TWICE = """
const set = setTimeout, timers = [], cleared = [];
window.setTimeout = (act, ms) => { const id = set(act, ms); if (ms === 6000) timers.push(id); return id; };
window.clearTimeout = (id) => cleared.push(id);
say("one"); say("two");
return cleared.includes(timers[0]);
"""


def test_what_is_typed_stays_when_a_form_is_refused_and_a_tab_finds_back_to_its_stream(world, browser):
    server, _ = world.serve(gateway_secret=SECRET)
    incident_id = post(server, alerts("DiskFull", instance="db-7"), wait_minutes=4)
    browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": TRIES})
    sign_in(browser, server)
    browser.get(f"{server}/incidents/{incident_id}")
    text = browser.find_element(By.NAME, "text")
    text.send_keys("rolling back")

    browser.execute_script("arguments[0].form.action = '/incidents/unknown-0/comment'", text)
    press(browser, "Comment")
    wait_for(browser, "#said", "No such incident")
    assert text.get_attribute("value") == "rolling back"
    assert "DiskFull" in browser.find_element(By.TAG_NAME, "h1").text

    wait_until(lambda: browser.execute_script("return made.at(-1).readyState") == 1, what="the stream")
    opened = browser.execute_script("return made.length")
    browser.execute_script("const now = Date.now; Date.now = () => now() + 30_000")  # and nothing was heard since
    wait_until(lambda: browser.execute_script("return made.length") > opened, what="another stream")
    wait_until(lambda: shown(browser, "#stale") == [""], what="the warning to go")

    browser.get(f"{server}/?waiting_after=1.a")  # a later page of the list
    press(browser, "Acknowledge", inside="#waiting")
    wait_for(browser, "#acknowledged .row", "DiskFull")
    assert browser.current_url == f"{server}/"
    assert browser.execute_script("return document.documentElement.dataset.live") == "/stream?"
    assert browser.execute_script("return made.at(-1).url").startswith(f"{server}/stream?after=")

    assert browser.execute_script(SAID_TWICE), "what was said first takes away what is said next"


def hide(browser, *, hidden: bool) -> None:
    """As the browser does with a tab in the background."""
    browser.execute_script(
        "Object.defineProperty(document, 'hidden', { value: arguments[0], configurable: true });"
        "document.dispatchEvent(new Event('visibilitychange', { bubbles: true }));",
        hidden,
    )
