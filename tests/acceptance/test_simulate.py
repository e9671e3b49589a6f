"""`versus simulate` says which settings lead to what it runs."""

import pytest
import yaml

from tests.acceptance.conftest import request
from tests.support.forking import running_versus
from tests.support.waiting import wait_until
from versus_py.config import ServiceNowConfig
from versus_py.simulators.slack import SIGNING_SECRET


@pytest.mark.parametrize(
    ("options", "auth"),
    [
        ([], {}),
        (
            ["--client-id", "c-1", "--client-secret", "s-1"],
            {"type": "oauth_password", "client_id": "c-1", "client_secret": "s-1"},
        ),
        (["--api-key", "k-1"], {"type": "api_key", "api_key": "k-1"}),
    ],
)
def test_the_setting_that_is_printed_logs_in_as_the_simulator_was_told(tmp_path, options, auth):
    log = tmp_path / "log"
    with running_versus(["simulate", "servicenow", *options], log=log):
        wait_until(lambda: log.read_text().count("\n") == 2, what="the setting")

    url, setting = log.read_text().splitlines()
    [values] = yaml.safe_load(setting).values()
    config = ServiceNowConfig.model_validate(values)
    assert url == f"servicenow simulator: {str(config.instance_url).rstrip('/')}"
    assert values.get("auth", {}) == auth


@pytest.mark.parametrize(
    ("options", "more"),
    [
        ([], {}),
        (
            ["--signing-secret", "s-1", "--app-token", "xapp-1"],
            {"signing_secret": "s-1", "app_token": "xapp-1"},
        ),
        (["--interactions-url", "http://127.0.0.1:9/"], {"signing_secret": SIGNING_SECRET}),
        (["--interactions-url", "http://127.0.0.1:9/", "--signing-secret", "s-1"], {"signing_secret": "s-1"}),
    ],
)
def test_the_setting_for_slack_names_the_secrets_that_it_takes(tmp_path, options, more):
    log = tmp_path / "log"
    with running_versus(["simulate", "slack", *options], log=log):
        wait_until(lambda: log.read_text().count("\n") == 2, what="the setting")

    url, setting = log.read_text().splitlines()
    [values] = yaml.safe_load(setting).values()
    api_url = url.removeprefix("slack simulator: ") + "/api"
    assert values == {"api_url": api_url, "token": "xoxb-any", "channel_id": "C0ANY"} | more


def test_what_is_pressed_in_slack_is_posted_where_it_was_told(tmp_path):
    log = tmp_path / "log"
    with running_versus(["simulate", "slack", "--interactions-url", "http://127.0.0.1:9/"], log=log):
        wait_until(lambda: log.read_text().count("\n") == 2, what="the setting")
        url = log.read_text().split()[2]
        button = {"type": "button", "action_id": "ack", "text": {"type": "plain_text", "text": "Acknowledge"}}
        message = {"channel": "C1", "text": "x", "blocks": [{"type": "actions", "elements": [button]}]}
        headers = {"Content-Type": "application/json", "Authorization": "Bearer xoxb-any"}
        posted = request(f"{url}/api/chat.postMessage", message, headers=headers)
        pressed = request(f"{url}/control/press", {"channel": "C1", "ts": posted["ts"], "action_id": "ack"})

    assert (pressed["via"], pressed["in_time"]) == ("http", False)
    assert "cannot be reached" in pressed["trouble"]


def test_what_is_written_in_servicenow_is_posted_where_it_was_told(tmp_path):
    log = tmp_path / "log"
    options = ["--events-url", "http://127.0.0.1:9/events", "--events-token", "t-1"]
    with running_versus(["simulate", "servicenow", *options], log=log):
        wait_until(lambda: log.read_text().count("\n") == 2, what="the setting")
        url = log.read_text().split()[2]
        request(f"{url}/control/records", {"do": "create", "short_description": "x"})
        wait_until(lambda: request(f"{url}/control/rules/journal")["journal"], what="the post")
        [line] = request(f"{url}/control/rules/journal")["journal"]

    assert (line["rule"], line["number"], line["operation"]) == ("versus", "INC0010001", "insert")
    assert "t-1" not in log.read_text()
