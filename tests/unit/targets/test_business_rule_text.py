"""The text of the business rule's script. That it runs, a browser shows: acceptance/test_business_rule.py."""

import re

import pytest
from typer.testing import CliRunner

from tests.support.tickets import TOKEN, ticket_config
from versus_py.cli import app
from versus_py.errors import ConfigError
from versus_py.targets.servicenow.business_rule import business_rule

OTHER = "other-token-0123456789"
OTHERS = {"other_instance_urls": {"in fra/é": {"instance_url": "https://i.example", "events": {"token": OTHER}}}}


def test_it_names_the_endpoint_the_property_and_no_token():
    script = business_rule(ticket_config())

    assert 'var ENDPOINT = "https://versus.example/api/servicenow/events";' in script
    assert 'var TOKEN_PROPERTY = "versus.token";' in script
    assert "oncall.servicenow.events.token of the configuration" in script
    assert TOKEN not in script
    assert not re.search(r"@[A-Z_]+@", script)


def test_another_instance_has_an_endpoint_of_its_own():
    script = business_rule(ticket_config(**OTHERS), instance="in fra/é")

    assert 'var ENDPOINT = "https://versus.example/api/servicenow/events/in%20fra%2F%C3%A9";' in script
    assert script.isascii()


def test_a_source_has_a_property_of_its_own():
    sources = {"sources": [{"name": "network", "token": OTHER}]}

    script = business_rule(ticket_config(events=sources), source="network")

    assert 'var TOKEN_PROPERTY = "versus.token.network";' in script
    assert "oncall.servicenow.events.sources.0.token of the configuration" in script


def test_it_sends_the_columns_that_are_read():
    settings = {"key_field": "u_alert_key", "routing_field": "u_team"}
    columns = re.search(r"var COLUMNS = (\[.*?\]);", business_rule(ticket_config(**settings)), re.DOTALL)

    assert columns
    for column in ("sys_id", "sys_mod_count", "number", "state", "close_notes", "u_alert_key", "u_team"):
        assert f'"{column}"' in columns[1]


def test_it_is_of_the_javascript_that_old_instances_have():
    code = business_rule(ticket_config()).partition("(function")[2]

    assert not re.search(r"\b(?:let|const|class)\s|=>|`|\.\.\.", code)


def test_names_end_no_comment_and_no_text():
    name = 'x"\n*/ alert(1); //\u2028</script>'
    others = {"other_instance_urls": {name: {"instance_url": "https://i.example", "events": {"token": OTHER}}}}

    script = business_rule(ticket_config(**others), instance=name)

    code = [line for line in script.splitlines() if "alert(1)" in line]
    assert all(line.lstrip().startswith(("//", "var INSTANCE")) for line in code)
    assert script.count("\n") == business_rule(ticket_config()).count("\n")
    assert "</script>" not in script.replace(script[: script.index("(function")], "")


@pytest.mark.parametrize(
    ("options", "settings", "said"),
    [
        ({"instance": "nobody"}, {}, "--instance: is 'nobody'; oncall.servicenow.other_instance_urls has none"),
        ({"source": "nobody"}, {}, "--source: is 'nobody'; oncall.servicenow.events.sources has none"),
        ({}, {"events": {"token": "", "sources": [{"name": "a", "token": OTHER}]}}, "or give --source: a"),
        ({"public_host": "versus.example"}, {}, "public_host: must be a URL"),
        ({"public_host": 'https://x.example/"\n'}, {}, "public_host: must be a URL"),
    ],
)
def test_what_is_missing_is_said(options, settings, said):
    with pytest.raises(ConfigError) as caught:
        business_rule(ticket_config(**settings), **options)

    assert said in str(caught.value)


def test_without_an_address_it_cannot_send():
    with pytest.raises(ConfigError, match="public_host: is not set"):
        business_rule(ticket_config().model_copy(update={"public_host": None}))


CONFIG = f"""
oncall:
  enable: true
  servicenow: {{instance_url: https://x.example, username: u, password: p, events: {{token: {TOKEN}}}}}
"""


def test_the_command_prints_it(tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text(CONFIG)
    command = ["servicenow", "business-rule", "--config", str(file)]

    refused = CliRunner().invoke(app, command)
    printed = CliRunner().invoke(app, [*command, "--public-host", "http://versus.example"])

    assert (refused.exit_code, printed.exit_code) == (1, 0)
    assert "public_host" in refused.output
    assert "in the clear" in printed.stderr
    assert printed.stdout.rstrip().endswith("})(current, previous);")
