"""The settings of the web UI: what does not go together is told with its key."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from versus_py.errors import ConfigError
from versus_py.systems import parse_config

ROOT = Path(__file__).parents[3]
PROXY = {"auth": "proxy", "trusted_proxies": ["10.0.0.1"], "headers": {"preset": "authelia"}}


def problems(ui: dict[str, Any]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse_config(json.dumps({"ui": ui}), {})
    return list(caught.value.problems)


def warnings(ui: dict[str, Any], **settings: Any) -> list[str]:
    found = parse_config(json.dumps({"ui": ui, **settings}), {}).warnings()
    return [it for it in found if it.startswith("ui.") or "web UI" in it]


@pytest.mark.parametrize(
    ("ui", "said"),
    [
        ({"auth": "basic"}, "ui.auth: "),
        ({"auth": "proxy", "headers": {"preset": "authelia"}}, "ui.trusted_proxies: is required"),
        ({"auth": "proxy", "trusted_proxies": ["10.0.0.1"]}, "ui.headers.preset: is required"),
        (PROXY | {"headers": {"user": "X-User"}, "roles": {"viewer": ["a"]}}, "ui.headers.groups: is required"),
        (
            PROXY | {"headers": {"preset": "authelia", "user": "X User"}},
            "ui.headers.user: is 'X User'; must be",
        ),
        (PROXY | {"headers": {"preset": "nginx"}}, "ui.headers.preset: is 'nginx'; "),
        (PROXY | {"trusted_proxies": []}, "ui.trusted_proxies: "),
        (PROXY | {"trusted_proxies": ["proxy.corp"]}, "ui.trusted_proxies.0: is 'proxy.corp'; must be an address"),
        (PROXY | {"trusted_proxies": ["10.0.0.1/8"]}, "ui.trusted_proxies.0: is '10.0.0.1/8'; must be an address"),
        (PROXY | {"trusted_proxies": ["10.0.0.1", "0.0.0.0/0"]}, "ui.trusted_proxies.1: is '0.0.0.0/0'; must not be"),
        (PROXY | {"trusted_proxies": ["::/0"]}, "ui.trusted_proxies.0: is '::/0'; must not be every address"),
        ({"session_hours": 0}, "ui.session_hours: "),
        ({"session_hours": 721}, "ui.session_hours: "),
        ({"roles": {"admin": ["a"]}}, "ui.roles.admin: "),
    ],
)
def test_what_is_wrong_is_said_with_its_key(ui, said):
    [problem] = problems(ui)

    assert problem.startswith(said)


@pytest.mark.parametrize(
    ("ui", "said"),
    [
        ({"trusted_proxies": ["10.0.0.1"]}, "ui.trusted_proxies has no effect"),
        ({"headers": {"user": "X-User"}}, "ui.headers has no effect"),
        ({"roles": {"viewer": ["a"]}}, "ui.roles has no effect"),
        (PROXY | {"session_hours": 1}, "ui.session_hours has no effect"),
    ],
)
def test_what_has_no_effect_is_warned_about(ui, said):
    [warning] = warnings(ui)

    assert warning.startswith(said)


@pytest.mark.parametrize(
    ("public_host", "ui", "count"),
    [
        ("http://versus.corp", {}, 1),
        ("http://versus.corp", PROXY, 0),
        ("http://localhost:3000", {}, 0),
        ("https://versus.corp", {}, 0),
    ],
)
def test_signing_in_over_plain_http_from_elsewhere_is_warned_about(public_host, ui, count):
    found = warnings(ui, public_host=public_host)

    assert len(found) == count
    assert all("unencrypted" in it for it in found)


def test_a_key_replaces_one_header_of_a_preset():
    ui = parse_config(json.dumps({"ui": PROXY | {"headers": {"preset": "oauth2-proxy", "name": "X-Name"}}}), {}).ui

    assert ui.headers.header("name") == "X-Name"
    assert ui.headers.header("groups") == "X-Forwarded-Groups"


def test_what_the_page_about_the_ui_shows_is_accepted():
    blocks = re.findall(r"^```yaml\n(.*?)^```", (ROOT / "docs" / "ui.md").read_text(), re.MULTILINE | re.DOTALL)

    assert len(blocks) > 4
    for block in blocks:
        assert warnings(yaml.safe_load(block)["ui"]) == []


def test_the_page_about_the_ui_names_the_headers_of_the_presets():
    page = (ROOT / "docs" / "ui.md").read_text()

    for what in ("user", "name", "email", "groups"):
        shown = []
        for preset in ("oauth2-proxy", "authelia"):
            headers = {"preset": preset}
            shown.append(parse_config(json.dumps({"ui": PROXY | {"headers": headers}}), {}).ui.headers.header(what))
        assert f"| `{what}` | `{shown[0]}` | `{shown[1]}` |" in page
