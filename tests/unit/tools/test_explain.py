"""`versus explain`: where each thing was found, and the one line that would read the rest."""

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.support.groups import alert, group
from tests.support.payloads import sample
from versus_py.cli import app
from versus_py.sources.generic import read, tables
from versus_py.sources.generic.search import Table
from versus_py.systems import model
from versus_py.tools.explain import TABLES, Explanation
from versus_py.tools.explain import explain as explain_by

ROOT = Path(__file__).parents[3]

KNOWN = {
    "incident": {
        "incident_id": "f2e0",
        "state": "open",
        "summary": "CPU above 1%",
        "severity": "critical",
        "host": "db-1",
        "url": "https://x.example/y",
        "started_at": 1777890000,
    }
}
UNKNOWN = {
    "fault": {"part": {"faultSays": "The pump is hot", "hostLabel": "pump-3"}},
    "ref": "F-17",
    "how": "down",
    "grade": "critical",
    "page": "https://x.example/1",
}


def explain(payload, **settings) -> Explanation:
    return explain_by(payload, model().model_validate(settings))


def found_of(payload, **settings) -> dict[str, tuple[str, str]]:
    return {it.what: (it.value, it.where) for it in explain(payload, **settings).lines}


def test_everything_that_is_found_is_shown_with_its_field():
    found = explain(KNOWN)

    assert found.source == "generic"
    assert {it.what: it.where for it in found.lines if it.where} == {
        "title": "incident.summary",
        "status": "incident.state",
        "severity": "incident.severity",
        "identity": "incident.incident_id, incident.host",
        "resource": "incident.host",
        "link": "incident.url",
        "start": "incident.started_at",
    }
    assert not any(it.advice for it in found.lines)


def test_what_is_not_found_has_the_one_line_that_would_find_it():
    advice = {it.what: it.advice for it in explain(UNKNOWN).lines if it.advice}

    assert advice == {
        "title": f'to read fault.part.faultSays, add "part.faultSays" to MESSAGES in {TABLES}',
        "status": f'to read how, add "how" to STATUS in {TABLES}',
        "severity": f'to read grade, add "grade" to SEVERITIES in {TABLES}',
        "identity": "each POST is an incident of its own: send dedup_key; "
        f'to read ref, add "ref" to NUMBERS in {TABLES}',
        "resource": f'to read fault.part.hostLabel, add "part.hostLabel" to RESOURCES in {TABLES}',
        "link": f'to read page, add "page" to LINKS in {TABLES}',
    }


def test_the_line_that_is_advised_finds_the_field():
    fields = read(UNKNOWN).fields

    for line in explain(UNKNOWN).lines:
        if line.advice:
            path, name, table = re.findall(r'to read (\S+), add "(\S+)" to (\w+)', line.advice)[0]
            assert isinstance(getattr(tables, table), tuple)
            assert [it.path for it in fields.named(Table([name]))] == [path]


def test_what_nothing_identifies_says_what_that_means_and_what_to_send():
    [identity] = [it for it in explain({"title": "Disk full"}).lines if it.what == "identity"]

    assert (identity.value, identity.advice) == ("", "each POST is an incident of its own: send dedup_key")


@pytest.mark.parametrize(
    ("severity", "level"),
    [
        pytest.param("urgent", ("error", ""), id="by its name"),
        pytest.param("SEV Urgent", ("critical", "severity_map"), id="by severity_map"),
        pytest.param("sev_urgent", ("critical", "severity_map"), id="by severity_map, in another spelling"),
        pytest.param("purple", ("unknown", ""), id="unknown"),
        pytest.param("", ("warning", "sources.generic.severity"), id="by the source's default"),
    ],
)
def test_the_level_that_a_severity_counts_as_is_shown_with_the_setting_that_says_so(severity, level):
    settings = {"severity_map": {"sev-urgent": "critical"}, "sources": {"generic": {"severity": "warning"}}}

    assert found_of({"title": "x", "severity": severity}, **settings)["level"] == level


def test_the_warnings_are_those_of_a_post():
    assert "severity '7' is a number without a known scale" in explain({"severity": 7}).warnings[-1]


def test_an_identity_by_the_template_of_the_configuration_is_named_as_such():
    found = found_of({"title": "Disk full"}, dedup_key="{{ title }}")

    assert found["identity"] == ("template / Disk full", "dedup_key of the configuration")


@pytest.mark.parametrize("name", ["alertmanager_firing", "monasca_alarm", "cloudwatch_alarm", "grafana_firing"])
def test_a_source_of_its_own_is_named(name):
    found = explain(sample(name))

    assert found.source == name.split("_")[0]
    assert {"title", "status", "identity"} <= {it.what for it in found.lines if it.value}


def test_what_is_no_alert_says_why():
    assert "INSUFFICIENT_DATA" not in repr(explain(KNOWN))
    assert explain(sample("sentry_comment")).warnings[0].startswith("nothing to do: Sentry tells of comment")


def test_a_secret_is_neither_shown_nor_advised():
    assert "hunter2" not in repr(explain({"api_key": "hunter2 is secret", "x": {"token": "hunter2"}}))


def test_the_command_shows_each_payload_of_a_body():
    shown = CliRunner().invoke(app, ["explain", "-"], input=json.dumps([KNOWN, UNKNOWN]))

    assert shown.exit_code == 0
    assert "title     CPU above 1%   from incident.summary" in shown.stdout
    assert 'add "part.faultSays" to MESSAGES' in shown.stdout


def test_the_command_gives_json_to_programs():
    shown = CliRunner().invoke(app, ["explain", "-", "--json"], input=json.dumps(KNOWN))

    lines = json.loads(shown.stdout)["payloads"][0]["lines"]
    assert lines[0] == {"what": "title", "value": "CPU above 1%", "where": "incident.summary", "advice": ""}


@pytest.mark.parametrize("arguments", [["-"], ["-", "--source", "nagios"]])
def test_the_command_refuses_what_it_cannot_read(arguments):
    assert CliRunner().invoke(app, ["explain", *arguments], input="no JSON").exit_code != 0


def test_the_command_reads_by_the_configuration_that_the_environment_names(tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text("severity_map: {purple: critical}\n")

    shown = CliRunner().invoke(
        app, ["explain", "-"], input='{"title": "x", "severity": "purple"}', env={"VERSUS_CONFIG": str(config)}
    )

    assert "level     critical   from severity_map" in shown.stdout


def test_the_example_of_the_docs_is_what_the_command_prints():
    page = (ROOT / "docs" / "sources.md").read_text()
    payload, printed = re.findall(
        r"\$ cat payload.json\n(.*?)\n\$ versus explain payload.json\n(.*?)```", page, re.DOTALL
    )[0]

    shown = CliRunner().invoke(app, ["explain", "-"], input=payload)

    assert (shown.stdout, shown.stderr) == (printed, "")


def test_a_heartbeat_is_said_to_be_no_incident():
    expected = [{"name": "watchdog", "match": ['alertname="Watchdog"'], "every": "5m"}]

    found = explain(group(alert("Watchdog")), heartbeats=expected)

    assert (found.lines, found.warnings) == ((), ("a heartbeat, and no incident: watchdog",))


def test_what_comes_beside_a_heartbeat_is_explained():
    expected = [{"name": "watchdog", "match": ['alertname="Watchdog"'], "every": "5m"}]

    found = explain(group(alert("Watchdog"), alert("DiskFull", instance="db-1"), by=()), heartbeats=expected)

    assert {it.what: it.value for it in found.lines}.items() >= {
        ("title", "DiskFull is bad"),
        ("resource", "db-1"),
        ("alerts", "1"),
    }
    assert found.warnings == ("a heartbeat, and no incident: watchdog",)
