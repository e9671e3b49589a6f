"""versus migrate: a configuration of Versus Incident as one of this server."""

from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from tests.support import versus_incident_page
from tests.support.versus_incident_page import rows
from versus_py.cli import app
from versus_py.errors import ConfigError
from versus_py.systems import parse_config
from versus_py.tools.migrate import migrate

ENVIRON = versus_incident_page.ENVIRON | {"REDIS_HOST": "redis", "GATEWAY_SECRET": "a-secret-of-24-characters"}
BY_DEFAULT = {"alert": {"debug_body": True}, "redis": {"tls": True}}


def merged(one: Any, other: Any) -> Any:
    if not isinstance(one, dict) or not isinstance(other, dict):
        return other
    return {**one, **{key: merged(one.get(key), value) for key, value in other.items()}}


def everything() -> dict[str, Any]:
    """All that is not refused, in one file."""
    found: dict[str, Any] = {}
    for key, text, here in rows("Every key"):
        if not here.startswith("refused") and "cluster: true" not in text and not key.startswith("redis.tls_"):
            found = merged(found, yaml.safe_load(text))
    return found


def test_what_is_printed_loads_as_the_file_does_without_a_word_on_what_is_not_read():
    before = everything()

    found = migrate(yaml.safe_dump(before, sort_keys=False))

    assert found.lost == ()
    after = parse_config(found.text, ENVIRON)
    there = merged(merged(BY_DEFAULT, before), {"oncall": {"initialized_only": False}})  # enable wins over it
    assert after.masked() == parse_config(yaml.safe_dump(there), ENVIRON).masked()
    assert not [it for it in after.warnings() if "Versus Incident" in it]


def test_a_file_that_relies_on_built_in_defaults_says_them():
    text = "{alert: {slack: {enable: true}}, oncall: {enable: true, initialized_only: true, servicenow: {}}, redis: {}}"

    found = yaml.safe_load(migrate(text).text)

    assert found["alert"] == {
        "slack": {"enable": True, "token": "${SLACK_TOKEN}", "channel_id": "${SLACK_CHANNEL_ID}"},
        "debug_body": True,
    }
    assert found["redis"] == {
        "host": "${REDIS_HOST}",
        "port": "${REDIS_PORT}",
        "password": "${REDIS_PASSWORD}",
        "tls": True,
    }
    assert found["oncall"]["initialized_only"] is False
    assert found["oncall"]["servicenow"]["username"] == "${SERVICENOW_USERNAME}"
    assert found["gateway_secret"] == "${GATEWAY_SECRET}"


def test_it_says_what_each_setting_is():
    lines = migrate("{oncall: {wait_minutes: 5}}").text.splitlines()

    assert "  wait_minutes: 5 # how long people have to acknowledge; 0 escalates at once" in lines


def test_references_stay_and_get_their_braces():
    found = yaml.safe_load(migrate("{public_host: $PUBLIC_HOST, alert: {slack: {token: '${MY_TOKEN}'}}}").text)

    assert found["public_host"] == "${PUBLIC_HOST}"
    assert found["alert"]["slack"]["token"] == "${MY_TOKEN}"


def test_names_and_texts_are_written_so_that_yaml_reads_them_as_they_were():
    instances = {
        "on": {"username": "u", "fields": {"description": "one\ntwo # three"}},
        "a: b": "https://x.example.com",
    }

    found = migrate(yaml.safe_dump({"oncall": {"servicenow": {"other_instance_urls": instances}}}))

    written = yaml.safe_load(found.text)["oncall"]["servicenow"]["other_instance_urls"]
    assert {name: written[name] for name in instances} == instances


def test_what_is_lost_is_in_the_output_and_the_exit_status(tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text("{alert: {lark: {enable: true, webhook_url: x}, slack: {enable: true}}}")

    result = CliRunner().invoke(app, ["migrate", str(file)])

    assert result.exit_code == 1
    assert "# LOST: alert.lark.enable: is true, but this server does not post to Lark" in result.stdout
    assert "# these settings of Versus Incident are not read: alert.lark;" in result.stdout
    assert "alert.lark.enable: is true" in result.stderr
    assert yaml.safe_load(result.stdout)["alert"]["slack"]["enable"] is True


def test_what_is_no_yaml_is_refused():
    with pytest.raises(ConfigError, match="this is not YAML"):
        migrate("a: [")
