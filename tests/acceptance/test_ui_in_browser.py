"""A person on call with a browser: sees what waits, takes it, works on it and ends it; on a desk and on a phone."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from tests.acceptance.conftest import request
from tests.support.waiting import wait_until

SECRET = "gateway-secret-of-a-test"
SIZES = {"desk": (1280, 800), "phone": (390, 844), "narrow": (320, 640)}


def alerts(name: str, *pods: str, severity: str = "critical", minutes: float = 12, **labels: str) -> dict[str, object]:
    """A group as Alertmanager posts it, of one alert for each pod."""
    began = (datetime.now(UTC) - timedelta(minutes=minutes)).isoformat()
    shared = {"alertname": name, "severity": severity, **labels}
    return {
        "receiver": "versus",
        "status": "firing",
        "alerts": [
            {
                "status": "firing",
                "labels": {**shared, **({"pod": pod} if pod else {})},
                "annotations": {
                    "summary": f"{name} in {labels.get('namespace', 'shop')}",
                    "description": f"{name}: look at it before customers do.",
                    "runbook_url": "https://runbooks.example/crash",
                },
                "startsAt": began,
                "endsAt": "0001-01-01T00:00:00Z",
                "generatorURL": "https://prometheus.example/graph",
                "fingerprint": f"{name}-{pod}",
            }
            for pod in pods or ("",)
        ],
        "groupLabels": {"alertname": name},
        "commonLabels": shared,
        "commonAnnotations": {},
        "externalURL": "http://alertmanager.example",
        "version": "4",
        "groupKey": f'{{}}:{{alertname="{name}"}}',
        "truncatedAlerts": 0,
    }


def post(server: str, payload: dict[str, object], wait_minutes: float = 5) -> str:
    found = request(f"{server}/api/incidents?oncall_wait_minutes={wait_minutes}", payload)
    return str(found["incidents"][0]["id"])


def sized(browser, size: str) -> None:
    width, height = SIZES[size]
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": size == "phone"}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def slow_down(browser) -> None:
    """As on a train: answers take 400 ms, and 50 KB/s come and go."""
    browser.execute_cdp_cmd("Network.enable", {})
    conditions = {"offline": False, "latency": 400, "downloadThroughput": 50_000, "uploadThroughput": 50_000}
    browser.execute_cdp_cmd("Network.emulateNetworkConditions", conditions)


def sign_in(browser, server: str) -> None:
    browser.get(server)
    browser.find_element(By.NAME, "name").send_keys("Ana Diaz")
    browser.find_element(By.NAME, "secret").send_keys(SECRET)
    browser.find_element(By.CSS_SELECTOR, "form.stack button").click()
    wait_for(browser, "#waiting .row")


def wait_for(browser, selector: str, text: str = "") -> None:
    """Until something there says so."""

    def is_there(_) -> bool:
        return any(text in it.text for it in browser.find_elements(By.CSS_SELECTOR, selector))

    WebDriverWait(browser, 10, ignored_exceptions=[Exception]).until(is_there, f"{selector}: {text}")


def press(browser, words: str, inside: str = "main") -> None:
    """The button with these words that can be seen."""

    def found(_):
        buttons = browser.find_elements(By.CSS_SELECTOR, f"{inside} button")
        return next(
            (it for it in buttons if it.is_displayed() and re.sub(r"\s+", " ", it.text).startswith(words)), None
        )

    button = WebDriverWait(browser, 10).until(found, f"a button {words!r} in {inside}")
    browser.execute_script("arguments[0].click()", button) if inside == "#waiting" else button.click()


def is_as_wide_as_the_window(browser) -> bool:
    return bool(browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth"))


def problems(browser) -> list[str]:
    """What the browser complains about, such as a style or a script that the policy forbids."""
    return [it["message"] for it in browser.get_log("browser") if it["level"] in {"SEVERE", "WARNING"}]


@pytest.mark.long
@pytest.mark.parametrize(
    ("size", "is_slow"), [("desk", False), ("phone", False), ("phone", True)], ids=["desk", "phone", "slow phone"]
)
def test_the_story_of_a_night(world, browser, size, is_slow):  # noqa: PLR0915 - one story
    server, _ = world.serve(gateway_secret=SECRET)
    crash = post(server, alerts("PodsCrashLooping", *"abcde", namespace="shop", cluster="eu-1"))
    post(server, alerts("PaymentQueueStuck", queue="settlement", team="payments"), wait_minutes=1.6)
    post(server, alerts("DiskFull", instance="db-7", team="storage"), wait_minutes=0)
    post(server, alerts("HighLatency", severity="warning", service="checkout-api"), wait_minutes=60)
    wait_until(lambda: len(world.servicenow.records) == 1, what="the record of what escalates at once")
    wait_until(lambda: len(world.slack.messages()) == 4, what="the messages")

    def shot(name: str) -> None:
        browser.save_screenshot(str(world.folder / f"{name}-{size}.png"))

    sized(browser, size)
    if is_slow:
        slow_down(browser)
    sign_in(browser, server)
    titles = [it.text for it in browser.find_elements(By.CSS_SELECTOR, "#waiting h3")]
    shot("now")
    assert [title.split()[0] for title in titles] == [
        "DiskFull",
        "PaymentQueueStuck",
        "PodsCrashLooping",
        "HighLatency",
    ]
    assert browser.title == "(4) Now · Versus"
    assert is_as_wide_as_the_window(browser)

    press(browser, "Acknowledge", inside="#waiting")
    wait_for(browser, "#said", "Acknowledged: DiskFull")
    wait_for(browser, "#acknowledged .row", "Ana Diaz")
    assert browser.title == "(3) Now · Versus"
    shot("now-acknowledged")

    browser.find_element(By.PARTIAL_LINK_TEXT, "PodsCrashLooping").click()
    wait_for(browser, "h1", "PodsCrashLooping")
    shot("incident")
    assert is_as_wide_as_the_window(browser)
    assert len(browser.find_elements(By.CSS_SELECTOR, "#alerts tbody tr")) == 5
    sized(browser, "narrow")
    assert is_as_wide_as_the_window(browser)
    sized(browser, size)
    press(browser, "Snooze")
    shot("snooze")
    press(browser, "15 minutes", inside="#snooze")
    wait_for(browser, "#said", "Snoozed: PodsCrashLooping")
    browser.find_element(By.NAME, "text").send_keys("the 02:55 deploy of cart; rolling back")
    press(browser, "Comment")
    wait_for(browser, "#timeline blockquote", "rolling back")
    press(browser, "Acknowledge", inside=".take")
    wait_for(browser, "#standing", "Acknowledged")
    shot("incident-acknowledged")
    press(browser, "Resolve", inside=".take")
    shot("acts")
    browser.find_element(By.NAME, "comment").send_keys("rolled back")
    press(browser, "Resolve anyway", inside="#acts")
    wait_for(browser, "#standing", "Resolved")
    shot("incident-resolved")

    detail = request(f"{server}/api/incidents/{crash}", headers={"X-Gateway-Secret": SECRET})
    assert (detail["status"], detail["resolved_by"]) == ("resolved", "Ana Diaz")
    wait_until(lambda: world.slack.shows("PodsCrashLooping", "Resolved"), what="Slack to show that it is resolved")

    browser.get(server)
    wait_for(browser, "#waiting .row")
    for box in browser.find_elements(By.CSS_SELECTOR, "#waiting .pick"):
        box.click()
    wait_for(browser, "#bulk", "selected")
    shot("now-bulk")
    press(browser, "Acknowledge", inside="#bulk")
    wait_for(browser, "#said", "2 incidents acknowledged")
    assert browser.find_elements(By.CSS_SELECTOR, "#waiting .row") == []
    shot("now-all-acknowledged")

    browser.execute_cdp_cmd("Emulation.setTimezoneOverride", {"timezoneId": "Asia/Tokyo"})
    browser.get(f"{server}/history?q=team%3Dstorage&from=2026-11-01T20:30")
    wait_for(browser, ".zone", "Asia/Tokyo")
    press(browser, "Search")
    wait_for(browser, ".list h3", "DiskFull")
    assert "from=2026-11-02T05%3A30" in browser.current_url
    assert "tz=Asia%2FTokyo" in browser.current_url
    assert browser.find_element(By.NAME, "from").get_attribute("value") == "2026-11-02T05:30"
    assert is_as_wide_as_the_window(browser)
    shot("history")
    assert problems(browser) == []


def test_the_keyboard_alone_takes_what_waits(world, browser):
    server, _ = world.serve(gateway_secret=SECRET)
    for name, wait_minutes in (("DiskFull", 4), ("QueueStuck", 5), ("HostDown", 6), ("LinkDown", 7)):
        post(server, alerts(name, instance=name), wait_minutes)

    sign_in(browser, server)
    keys(browser, "?")
    wait_for(browser, "#keys h2", "Keyboard")
    assert browser.switch_to.active_element.text == "Close", "the list of the keys has the focus"
    keys(browser, Keys.ESCAPE, "j", "s")
    wait_for(browser, "#snooze h2", "Snooze")
    keys(browser, Keys.ESCAPE, "j", "a")
    wait_for(browser, "#said", "Acknowledged: QueueStuck")
    assert browser.switch_to.active_element.text.startswith("HostDown"), "the next row has the focus"
    keys(browser, "x", "k", "x", "s")
    wait_for(browser, "#snooze h2", "Snooze")
    keys(browser, Keys.ENTER)
    wait_for(browser, "#said", "2 incidents snoozed")
    keys(browser, "j", Keys.ENTER)
    wait_for(browser, "h1", "LinkDown")
    keys(browser, "a")
    wait_for(browser, "#standing", "Acknowledged")
    tab_to(browser, "Comment")
    keys(browser, "the cable is out", Keys.TAB, Keys.ENTER)
    wait_for(browser, "#timeline blockquote", "the cable is out")
    tab_to(browser, "Resolve")
    keys(browser, Keys.ENTER)
    tab_to(browser, "Resolve with a comment")
    keys(browser, "plugged in again", Keys.TAB, Keys.ENTER)
    wait_for(browser, "#standing", "Resolved")

    browser.get(world.slack.messages("HostDown")[0]["button_url"])
    tab_to(browser, "Your name, for the timeline (optional)")
    keys(browser, Keys.TAB, Keys.ENTER)
    wait_for(browser, "[role=status]", "Acknowledged")


def tab_to(browser, name: str) -> None:
    """Press Tab until what has this name has the focus."""
    for _ in range(100):
        keys(browser, Keys.TAB)
        if browser.switch_to.active_element.accessible_name == name:
            return
    pytest.fail(f"Tab leads to nothing called {name!r}")


def keys(browser, *pressed: str) -> None:
    for key in pressed:
        ActionChains(browser).send_keys(key).perform()


def test_every_act_works_without_a_script(world, browser):
    server, _ = world.serve(gateway_secret=SECRET)
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    incident_id = post(server, alerts("DiskFull", instance="db-7"))

    sign_in(browser, server)
    press(browser, "Acknowledge all 1")
    press(browser, "Acknowledge 1 incident", inside="#all")
    wait_for(browser, "#said", "1 incident acknowledged")
    browser.find_element(By.PARTIAL_LINK_TEXT, "DiskFull").click()
    browser.find_element(By.CSS_SELECTOR, "[aria-label='More actions']").click()
    press(browser, "Un-acknowledge", inside="#acts")
    wait_for(browser, "#standing", "Triggered")

    detail = request(f"{server}/api/incidents/{incident_id}", headers={"X-Gateway-Secret": SECRET})
    assert detail["status"] == "triggered"


def test_a_quiet_night_says_so(world, browser):
    server, _ = world.serve(gateway_secret=SECRET)
    sized(browser, "phone")

    browser.get(server)
    browser.find_element(By.NAME, "name").send_keys("Ana Diaz")
    browser.find_element(By.NAME, "secret").send_keys(SECRET)
    browser.find_element(By.CSS_SELECTOR, "form.stack button").click()
    wait_for(browser, "h1", "Nothing is waiting")

    browser.save_screenshot(str(world.folder / "now-empty-phone.png"))
    assert "Alerts would reach you" in browser.find_element(By.TAG_NAME, "main").text
    assert is_as_wide_as_the_window(browser)


def test_what_the_doctor_finds_appears_by_itself_and_a_policy_is_tried_out(world, browser):
    steps = [{"notify": ["slack"]}, {"after": "10m", "notify": ["servicenow"]}]
    policy = {"name": "critical", "match": ['severity="critical"'], "steps": steps, "repeat": 1}
    server, _ = world.serve(gateway_secret=SECRET, policies=[policy])
    post(server, alerts("DiskFull", instance="db-7"))
    sized(browser, "narrow")
    sign_in(browser, server)

    browser.get(f"{server}/health")
    wait_for(browser, "#checks h3", "ServiceNow columns")
    assert is_as_wide_as_the_window(browser)
    press(browser, "Check now")
    wait_for(browser, "#said", "Checked")

    browser.get(f"{server}/policies")
    browser.find_element(By.NAME, "labels").send_keys("severity=critical team=db")
    press(browser, "Try", inside="#dry")
    wait_for(browser, "#dry [role=status]", "Policy critical")
    assert len(browser.find_elements(By.CSS_SELECTOR, "#dry tbody tr")) == 4
    assert is_as_wide_as_the_window(browser)
    assert problems(browser) == []
