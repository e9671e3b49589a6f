"""Every page of the web UI, in light and dark: axe-core finds nothing wrong, and it fits a window 320 px wide.

320 by 256 px is what is left of a window of 1280 by 1024 at a zoom of 400 %. With SCREENSHOTS in the environment,
a picture of each page is kept in the test's folder (`--basetemp`).
"""

import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from tests.acceptance.conftest import request
from tests.acceptance.test_ui_in_browser import SECRET, alerts, post
from tests.support.axe import axe_script
from tests.support.servers import missing
from tests.support.waiting import wait_until

SIGNED_OUT, EMPTY, FULL = "nobody has signed in", "nothing has come", "much has come"
"""When a page is looked at, in this order."""


@dataclass(frozen=True)
class Page:
    """A page, what is opened or pressed there, and when it is looked at."""

    name: str
    path: str
    opens: str = ""  # the id of a sheet
    presses: str = ""  # a button in main, which leads to the page that is meant
    at: str = FULL
    in_the_dark: str = "desk"  # the size of the window then


PAGES = (
    Page("login", "/login", at=SIGNED_OUT),
    Page("login-refused", "/login?link=x", at=SIGNED_OUT),
    Page("now-empty", "/", at=EMPTY),
    Page("history-empty", "/history", at=EMPTY),
    Page("failed-empty", "/failed", at=EMPTY),
    Page("now", "/"),
    Page("now-more", "/", opens="more", in_the_dark="phone"),
    Page("now-keys", "/", opens="keys"),
    Page("now-all", "/", opens="all"),
    Page("now-snooze", "/", opens="snooze"),
    Page("now-filtered-empty", "/?q=nothing-has-this"),
    Page("incident-triggered", "/incidents/{triggered}"),
    Page("incident-acts", "/incidents/{triggered}", opens="acts"),
    Page("incident-escalated", "/incidents/{escalated}"),
    Page("incident-acknowledged", "/incidents/{acknowledged}"),
    Page("incident-resolved", "/incidents/{resolved}"),
    Page("policies", "/policies"),
    Page("policies-tried", "/policies?labels=team%3Dnobody&at=2026-11-28T01:30&zone=Europe/Berlin"),
    Page("policies-mistake", "/policies?labels=x"),
    Page("health", "/health"),
    Page("history", "/history"),
    Page("history-searched", "/history?q=team%3Dstorage&from=2026-11-01T10:00", in_the_dark="phone"),
    Page("history-mistake", "/history?q=team%3D~%22("),
    Page("open-at", "/?at={moment}"),
    Page("open-at-nothing-known", "/?at=2020-01-01T00:00"),
    Page("failed", "/failed"),
    Page("you", "/you"),
    Page("not-found", "/incidents/none"),
    Page("not-understood", "/?waiting_after=x"),
    Page("ack", "{ack}"),
    Page("ack-done", "{ack}", presses="Acknowledge"),
    Page("ack-already", "{ack}"),
    Page("ack-resolved", "{ack_resolved}"),
    Page("ack-refused", "/api/ack/none?exp=1&sig=1"),
    Page("storm", "{storm}"),
    Page("storm-done", "{storm}", presses="Acknowledge all"),
    Page("simulated-slack", "{slack}"),
    Page("simulated-slack-admin", "{slack}/admin"),
    Page("simulated-servicenow", "{servicenow}"),
    Page("simulated-record", "{record}"),
    Page("simulated-rules", "{servicenow}/rules"),
)
"""A line adds a page."""

OFFICE = {"name": "office", "time_intervals": [{"weekdays": ["monday:friday"], "location": "Europe/Berlin"}]}
STEPS = [{"notify": ["slack"]}, {"after": "10m", "notify": ["servicenow"]}]
POLICIES = [{"name": "office", "match": ['team="nobody"'], "in": ["office"], "steps": STEPS, "repeat": 2}]

# Every rule but those of level AAA, also those that are off by themselves.
RUN = """
const done = arguments[arguments.length - 1];
const rules = axe.getRules().filter((it) => !it.tags.includes("wcag2aaa")).map((it) => [it.ruleId, { enabled: true }]);
axe.run(document, { rules: Object.fromEntries(rules), resultTypes: ["violations"] }).then(
  ({ violations }) => done(violations.map((it) => `${it.id}: ${it.help}: ${it.nodes.map((at) => at.html).join("; ")}`)),
  (error) => done([String(error)]));
"""

# What is pressed: at least 44 px high and wide for a finger.
SMALL = """
const named = "button, .btn, nav a, input:not([type=hidden], [type=checkbox]), select, textarea, summary, .pick";
return [...document.querySelectorAll(named)]
  .filter((el) => el.checkVisibility({ visibilityProperty: true }) && !el.closest(".vh"))
  .map((el) => [el.outerHTML, el.getBoundingClientRect()])
  .filter(([, at]) => at.height > 0 && Math.min(at.height, at.width) < 43.5)
  .map(([html, at]) => `${html.slice(0, 80)}: ${Math.round(at.width)} x ${Math.round(at.height)}`);
"""

# What reaches beyond the window, from the outside in.
WIDE = """
return [...document.querySelectorAll("body *")].filter((el) => el.getBoundingClientRect().right > window.innerWidth + 1)
  .slice(0, 5).map((el) => `${el.outerHTML.slice(0, 80)}`);
"""

SIZES = {"desk": (1280, 900), "phone": (390, 844), "zoomed": (320, 256)}


@cache
def axe() -> str:
    try:
        return axe_script()
    except OSError as exc:
        missing(f"axe-core cannot be fetched: {exc}")


def sized(browser, size: str) -> None:
    width, height = SIZES[size]
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": size == "phone"}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def coloured(browser, scheme: str) -> None:
    features = [
        {"name": "prefers-color-scheme", "value": scheme},
        {"name": "prefers-reduced-motion", "value": "reduce"},
    ]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def faults(browser, folder, page: Page) -> list[str]:
    """What is wrong with the page that is shown."""
    found, name = [], page.name
    for scheme, size in (("light", "phone"), ("dark", page.in_the_dark)):
        sized(browser, size)
        coloured(browser, scheme)
        found += [f"{name} {scheme}: {it}" for it in browser.execute_async_script(RUN)]
        if found or "SCREENSHOTS" in os.environ:
            browser.save_screenshot(str(folder / f"{name}-{size}-{scheme}.png"))
        if scheme == "light":
            found += [f"{name}: too small: {it}" for it in browser.execute_script(SMALL)]
    sized(browser, "zoomed")
    if not browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth"):
        found.append(f"{name}: wider than 320 px: {'; '.join(browser.execute_script(WIDE))}")
    return found


def opened(browser, url: str, page: Page) -> None:
    browser.get(url)
    if page.presses:
        button = next(it for it in browser.find_elements(By.CSS_SELECTOR, "main button") if page.presses in it.text)
        button.click()
        WebDriverWait(browser, 10).until(lambda it: it.find_elements(By.CSS_SELECTOR, ".note[role=status]"), page.name)
    if page.opens:
        browser.execute_script(f"document.getElementById('{page.opens}').showPopover()")


def looked_at(browser, world, server: str, at: str, **known: str) -> list[str]:
    found = []
    for page in PAGES:
        if page.at == at:
            path = page.path.format(**known)
            opened(browser, path if path.startswith("http") else f"{server}{path}", page)
            found += faults(browser, world.folder, page)
    return found


@pytest.fixture
def world_with_storms(world):
    world.settings["alert"] = world.alert(storm={"threshold": 4})
    return world


@pytest.mark.timeout(300)  # half a minute, but on a machine that is busy with something else
def test_every_page_is_for_everybody(world_with_storms, browser):
    world = world_with_storms
    browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": axe()})
    server, _ = world.serve(gateway_secret=SECRET, policies=POLICIES, time_intervals=[OFFICE])

    found = looked_at(browser, world, server, SIGNED_OUT)
    sign_in_by_keys(browser, server)
    found += looked_at(browser, world, server, EMPTY)
    found += looked_at(browser, world, server, FULL, **filled(world, server))

    assert not found, "\n".join(found)


def filled(world, server: str) -> dict[str, str]:
    """Incidents in each state, and a storm; what paths are made of."""
    crash = alerts("PodsCrashLooping", *"abcde", namespace="shop", cluster="eu-1")
    triggered = post(server, crash)
    escalated = post(server, alerts("DiskFull", instance="db-7", team="storage"), wait_minutes=0)
    acknowledged = post(server, alerts("HighLatency", severity="warning", service="checkout-api"))
    over = alerts("LinkDown", severity="info", interface="eth0")
    resolved = post(server, over)
    wait_until(lambda: len(world.slack.messages()) == 4, what="the messages")
    links = {name: world.slack.messages(name)[0]["button_url"] for name in ("PodsCrashLooping", "LinkDown")}
    moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    order = {"error": "channel_not_found", "method": "chat.postMessage", "times": 1}
    request(f"{world.slack.url}/control/errors", order)
    failed = post(server, alerts("FanFailed", severity="notice", node="n-0"))
    wait_until(lambda: has_failed(server, failed), what="the delivery that is given up")
    act(server, acknowledged, "acknowledge")
    act(server, resolved, "resolve")
    act(server, triggered, "comments", text="Looking")
    for number in range(8):
        post(server, alerts(f"Storm{number}", node=f"n-{number}"))
    wait_until(lambda: storm_url(world), what="the message of the storm")
    wait_until(lambda: len(world.servicenow.records) == 2, what="the records")
    return {
        "triggered": triggered,
        "escalated": escalated,
        "acknowledged": acknowledged,
        "resolved": resolved,
        "ack": links["PodsCrashLooping"],
        "ack_resolved": links["LinkDown"],
        "storm": storm_url(world),
        "moment": moment,
        "slack": world.slack.url,
        "servicenow": world.servicenow.url,
        "record": f"{world.servicenow.url}/incident.do?sys_id={world.servicenow.records[0]['sys_id']}",
    }


def act(server: str, incident_id: str, action: str, **said: str) -> None:
    secret = {"X-Gateway-Secret": SECRET, "Content-Type": "application/json"}
    request(f"{server}/api/incidents/{incident_id}/{action}", {"by": "Ben Okafor", **said}, headers=secret)


def has_failed(server: str, incident_id: str) -> bool:
    """Whether its message was given up."""
    found = request(f"{server}/api/incidents/{incident_id}", headers={"X-Gateway-Secret": SECRET})
    return bool(found["deliveries"].get("slack", {}).get("failed_at"))


def storm_url(world) -> str:
    """The link of the message that stands for the storm; "" as long as there is none."""
    for message in world.slack.messages("/api/storms/"):
        found = re.search(r"<(http[^|>]+/api/storms/[^|>]+)", message["text"])
        if found:
            return found[1].replace("&amp;", "&")
    return ""


def sign_in_by_keys(browser, server: str) -> None:
    browser.get(server)
    browser.find_element(By.TAG_NAME, "body").send_keys(Keys.TAB)
    assert browser.switch_to.active_element.text == "Skip to content"
    for pressed in (Keys.TAB, "Ana Diaz", Keys.TAB, SECRET, Keys.ENTER):
        ActionChains(browser).send_keys(pressed).perform()
    WebDriverWait(browser, 10).until(lambda it: it.find_elements(By.TAG_NAME, "nav"), "the first page")
