"""The manifest that a Slack app is created from."""

import re
from pathlib import Path

import pytest

from versus_py.errors import ConfigError
from versus_py.systems import model
from versus_py.targets.slack import scopes
from versus_py.tools.slack_manifest import slack_manifest

PAGE = Path(__file__).parents[3] / "docs" / "slack.md"


def config(**slack):
    return model().model_validate({"public_host": "https://versus.example.com/", "alert": {"slack": slack}})


def asked_for(manifest):
    return manifest["oauth_config"]["scopes"]["bot"]


def test_by_http_slack_is_told_where_to_send_what_people_press():
    manifest = slack_manifest(None, public_host="https://versus.example.com/base/")

    url = "https://versus.example.com/base/api/slack/interactions"
    assert manifest["settings"] == {
        "event_subscriptions": {"request_url": url, "bot_events": ["message.channels", "message.groups"]},
        "interactivity": {"is_enabled": True, "request_url": url},
        "org_deploy_enabled": False,
        "socket_mode_enabled": False,
        "token_rotation_enabled": False,
    }


def test_in_socket_mode_there_is_no_address_not_even_a_known_one():
    manifest = slack_manifest(config(), socket_mode=True)

    assert manifest["settings"]["interactivity"] == {"is_enabled": True}
    assert manifest["settings"]["socket_mode_enabled"] is True


def test_in_socket_mode_the_app_subscribes_to_what_is_written_too():
    settings = slack_manifest(config(), socket_mode=True)["settings"]

    assert settings["event_subscriptions"] == {"bot_events": ["message.channels", "message.groups"]}


def test_an_app_whose_replies_are_not_taken_subscribes_to_nothing():
    assert "event_subscriptions" not in slack_manifest(config(take_replies=False))["settings"]


def test_the_scopes_that_the_events_take_are_asked_for():
    assert {"channels:history", "groups:history"} <= {*asked_for(slack_manifest(config()))}


def test_a_configuration_with_an_app_token_means_socket_mode():
    manifest = slack_manifest(config(app_token="xapp-1"))

    assert manifest["settings"]["interactivity"] == {"is_enabled": True}
    assert manifest["settings"]["socket_mode_enabled"] is True


def test_an_address_that_is_given_means_http_whatever_the_configuration_says():
    manifest = slack_manifest(config(app_token="xapp-1"), public_host="https://other.example.com")

    url = "https://other.example.com/api/slack/interactions"
    assert manifest["settings"]["interactivity"] == {"is_enabled": True, "request_url": url}
    assert manifest["settings"]["socket_mode_enabled"] is False


def test_the_address_is_the_configurations_unless_another_is_given():
    def url(public_host):
        manifest = slack_manifest(config(), public_host=public_host)
        return manifest["settings"]["interactivity"]["request_url"]

    assert url(None) == "https://versus.example.com/api/slack/interactions"
    assert url("https://other.example.com") == "https://other.example.com/api/slack/interactions"


@pytest.mark.parametrize("given", [None, model()()], ids=["no configuration", "one without"])
def test_without_an_address_it_says_what_to_give(given):
    with pytest.raises(ConfigError, match=r"--public-host.*--socket-mode"):
        slack_manifest(given)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("http://localhost:3000", "https:// only"),
        ("versus.example.com", "must be a URL"),
        ("https://user:secret@versus.example.com", "must not carry credentials"),
    ],
)
def test_an_address_that_slack_cannot_use_is_refused_without_its_secrets(address, said):
    with pytest.raises(ConfigError, match=said) as caught:
        slack_manifest(None, public_host=address)

    assert "secret" not in str(caught.value)


def test_it_is_within_slacks_limits():
    shown = slack_manifest(None, socket_mode=True)["display_information"]

    assert len(shown["name"]) <= 35
    assert len(shown["description"]) <= 140


@pytest.mark.parametrize("name", ["", "  ", "x" * 36])
def test_a_name_that_slack_would_refuse_is_refused(name):
    with pytest.raises(ConfigError, match="1 to 35 characters"):
        slack_manifest(None, name=name, socket_mode=True)


@pytest.mark.parametrize(("name", "handle"), [("Versus", "versus"), ("Ops: Alerts!", "ops-alerts"), ("警報", "versus")])
def test_the_bot_is_called_after_the_app_as_far_as_slack_allows(name, handle):
    manifest = slack_manifest(None, name=name, socket_mode=True)

    assert manifest["display_information"]["name"] == name
    assert manifest["features"]["bot_user"]["display_name"] == handle


def test_scopes_are_those_that_the_configuration_makes_use_of():
    without, with_groups = (asked_for(slack_manifest(it)) for it in (config(), config(allowed_groups=["S0123456789"])))

    assert set(without) == {
        "chat:write",
        "chat:write.public",
        "channels:history",
        "groups:history",
        "users:read",
        "users:read.email",
    }
    assert set(with_groups) == {*without, "usergroups:read"}


def test_without_a_configuration_whatever_one_may_use_is_asked_for():
    asked = asked_for(slack_manifest(None, socket_mode=True))

    assert asked == asked_for(slack_manifest(config(allowed_groups=["S0123456789"])))
    assert set(asked) <= scopes.PURPOSES.keys()


def test_every_scope_is_on_the_page_and_no_other_is():
    [section] = re.findall(r"^## Scopes\n(.*?)^## ", PAGE.read_text(), re.MULTILINE | re.DOTALL)

    table = re.findall(r"^\| `([a-z:._]+)` \|", section, re.MULTILINE)

    assert set(table) == scopes.PURPOSES.keys()


def test_the_doctor_tells_of_every_scope_that_is_not_needed_by_all():
    assert {*scopes.OPTIONAL, scopes.WRITE, scopes.GROUPS} == scopes.PURPOSES.keys()
