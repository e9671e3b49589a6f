"""People in ServiceNow and people in Slack, each in a browser of theirs: what one does, the other sees."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.support.ui import Select, WebDriverWait

from tests.acceptance.conftest import World, request
from tests.support.waiting import DEADLINE_S, wait_until
from versus_py.tools.samples import alertmanager

SIGNING_SECRET = "slack-signing-secret"
TICKETS_TOKEN = "a-token-of-the-business-rule"
MENTION = "<!subteam^S0TEAM>"


@pytest.fixture
def wait_minutes() -> float:
    return 10


@pytest.fixture
def server(world: World, wait_minutes: float) -> str:
    """Its tickets come in, and both sides are kept in sync. The business rule is not there yet."""
    oncall = world.settings["oncall"]
    servicenow = {**oncall["servicenow"], "events": {"token": TICKETS_TOKEN}}
    slack = {"signing_secret": SIGNING_SECRET, "mention": {"warning": MENTION}}
    url, _ = world.serve(
        alert=world.alert(**slack), oncall={**oncall, "wait_minutes": wait_minutes, "servicenow": servicenow}
    )
    request(f"{world.slack.url}/control/interactions", {"url": f"{url}/api/slack/interactions"})
    return url


class People:
    """A browser, in which Ben looks at ServiceNow, and Ana at Slack."""

    def __init__(self, world: World, browser: WebDriver) -> None:
        self._world = world
        self._browser = browser

    def set_up_business_rule(self, server: str) -> None:
        self._browser.get(f"{self._world.servicenow.url}/rules")
        self._fill("/rules/properties", "Set", name="versus.token", value=TICKETS_TOKEN)
        self._fill(
            "/rules", "Submit", name="versus", url=f"{server}/api/servicenow/events", token_property="versus.token"
        )
        assert "versus.token" in self._shown()

    def create(self, title: str) -> None:
        self._browser.get(f"{self._world.servicenow.url}/incident.do?sys_id=-1")
        self._choose("by", "ben")
        self._type("short_description", title)
        self._choose("impact", "2 - Medium")
        self._choose("urgency", "2 - Medium")
        self._submit("Submit")

    def in_servicenow(self, button: str, **fields: str) -> None:
        """Ben fills in fields of the only record's form, and presses a button."""
        self._open_record()
        self._choose("by", "ben")
        for name, text in fields.items():
            self._type(name, text)
        self._submit(button)
        assert not self._browser.find_elements(By.CLASS_NAME, "trouble")

    def sees_in_servicenow(self, *texts: str) -> None:
        self._sees(self._open_record, texts)

    def in_slack(self, button: str) -> None:
        """Ana presses a button of the only message."""
        self._open_slack()
        self._submit(button)

    def reply(self, text: str) -> None:
        self._open_slack()
        self._browser.find_element(By.NAME, "text").send_keys(text)
        self._submit("Reply")

    def resolve(self, comment: str) -> None:
        self.in_slack("Resolve with comment")
        self._browser.find_element(By.TAG_NAME, "textarea").send_keys(comment)
        self._browser.find_element(By.CSS_SELECTOR, "button[value=submit]").click()

    def sees_in_slack(self, *texts: str) -> None:
        self._sees(self._open_slack, texts)

    def buttons(self) -> set[str]:
        self._open_slack()
        return {it.text for it in self._browser.find_elements(By.CSS_SELECTOR, ".press button")}

    def _open_record(self) -> None:
        [record] = self._world.servicenow.records
        self._browser.get(f"{self._world.servicenow.url}/incident.do?sys_id={record['sys_id']}")

    def _open_slack(self) -> None:
        self._browser.get(f"{self._world.slack.url}/?as=U0ANA")

    def _sees(self, look: Callable[[], None], texts: tuple[str, ...]) -> None:
        def is_there() -> bool:
            look()
            return all(text in self._shown() for text in texts)

        wait_until(is_there, what=f"the page to show {texts}")
        self._browser.save_screenshot(str(self._world.folder / f"{datetime.now(UTC):%H%M%S%f}.png"))

    def _shown(self) -> str:
        """A page may be left while it is read: after a form, or as it loads itself anew."""
        wait = WebDriverWait(self._browser, DEADLINE_S, ignored_exceptions=[StaleElementReferenceException])
        return wait.until(lambda it: it.find_element(By.TAG_NAME, "main").text)

    def _fill(self, action: str, button: str, **fields: str) -> None:
        form = self._browser.find_element(By.CSS_SELECTOR, f"form[action='{action}']")
        for name, text in fields.items():
            form.find_element(By.NAME, name).send_keys(text)
        form.find_element(By.XPATH, f".//button[normalize-space()='{button}']").click()

    def _type(self, name: str, text: str) -> None:
        found = self._browser.find_element(By.NAME, name)
        found.clear()
        found.send_keys(text)

    def _choose(self, name: str, label: str) -> None:
        Select(self._browser.find_element(By.NAME, name)).select_by_visible_text(label)

    def _submit(self, label: str) -> None:
        self._browser.find_element(By.XPATH, f"//button[normalize-space()='{label}']").click()


@pytest.fixture
def people(world: World, browser: WebDriver, server: str) -> People:
    found = People(world, browser)
    found.set_up_business_rule(server)
    return found


def only_incident(server: str) -> dict[str, Any]:
    [listed] = request(f"{server}/api/incidents")["incidents"]
    found: dict[str, Any] = request(f"{server}/api/incidents/{listed['id']}")
    return found


def thread(world: World) -> list[str]:
    """The lines below the only message, oldest first."""
    messages = world.slack.messages()
    assert len(messages) <= 1
    return [text for message in messages for text in message["replies"]]


def test_a_ticket_is_acknowledged_in_slack_and_resolved_in_servicenow(world, server, people):
    people.create("The mail is down")
    people.sees_in_slack("The mail is down", "Acknowledge Alert")

    people.in_slack("Acknowledge Alert")
    people.sees_in_servicenow("In Progress", "Ana Diaz", "acknowledged by Ana Diaz")
    people.in_servicenow("Write", work_notes="Queue 3 is stuck")
    people.sees_in_slack("Queue 3 is stuck", "Ben Okafor")
    people.in_servicenow("Resolve", close_notes="Queue 3 was restarted")
    people.sees_in_slack("resolved by @Ben Okafor in ServiceNow", "Queue 3 was restarted")

    [message] = world.slack.messages()
    assert message["text"].startswith(":large_green_circle:")
    assert "Resolve" not in people.buttons()
    [record] = world.servicenow.records
    assert (record["state"], record["correlation_id"]) == ("6", "")
    found = only_incident(server)
    assert (found["status"], found["escalates_at"]) == ("resolved", None)
    assert sum("Queue 3 is stuck" in line for line in thread(world)) == 1


def test_an_alert_is_acknowledged_in_servicenow_and_resolved_in_slack(world, server, people):
    request(f"{server}/api/incidents?oncall_wait_minutes=0", alertmanager("DiskFull", starts_at=datetime.now(UTC)))
    wait_until(lambda: len(world.servicenow.records) == 1, what="the record")

    people.in_servicenow("Start work")
    people.sees_in_slack("acknowledged by @Ben Okafor in ServiceNow")
    assert "Acknowledge Alert" not in people.buttons()
    assert only_incident(server)["escalates_at"] is None
    people.reply("Is it db-7?")
    people.sees_in_servicenow("Ana Diaz (ana@example.com): Is it db-7?")
    people.resolve("The disk was replaced")
    people.sees_in_servicenow("Resolved", "The disk was replaced")

    [record] = world.servicenow.records
    assert (record["state"], record["close_code"]) == ("6", "Solution provided")
    assert record["close_notes"].startswith("The disk was replaced")
    assert sum("Is it db-7?" in line for line in thread(world)) == 1  # what she wrote


@pytest.mark.parametrize("wait_minutes", [0.05])
def test_a_ticket_that_nobody_acknowledges_becomes_more_urgent_and_the_thread_mentions_people(world, people):
    people.create("The mail is down")
    wait_until(lambda: thread(world), what="a line in the thread")

    assert MENTION in thread(world)[0]
    people.sees_in_servicenow("nobody has acknowledged", "1 - High")
    [record] = world.servicenow.records
    assert (record["urgency"], record["state"]) == ("1", "1")
