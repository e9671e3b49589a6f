"""versus policy: what it prints, and its exit status."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from tests.support.policies import CRITICAL, LOW, OFFICE
from versus_py.cli import app

ROOT = Path(__file__).parents[3]
SETTINGS: dict[str, Any] = {
    "alert": {
        "slack": {"enable": True, "token": "xoxb-1", "channel_id": "C0ALERTS", "channels": {"leads": "C0LEADS0"}}
    },
    "oncall": {
        "enable": True,
        "servicenow": {"instance_url": "https://x.service-now.com", "username": "u", "password": "not-shown"},
    },
    "intake": {
        "tokens": [
            {"name": "kube", "token": "0123456789abcdef", "policy": "low"},
            {"name": "free", "token": "0123456789abcdeg"},
        ]
    },
    "time_intervals": [OFFICE],
    "policies": [CRITICAL, LOW],
}
AT = ["--at", "2027-03-28T01:30", "--timezone", "Europe/Berlin"]


@pytest.fixture
def policy(tmp_path):
    """Runs the command with a configuration that has policies; says its status, and what it printed."""
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(SETTINGS))

    def run(*arguments, **options):
        result = CliRunner().invoke(app, ["policy", *arguments, "-c", str(config)], **options)
        return result.exit_code, result.stdout, result.stderr

    return run


def test_policies_are_listed_a_line_each(policy):
    status, printed, _ = policy("list")

    assert status == 0
    assert [line.split("\t")[0] for line in printed.splitlines()] == ["critical", "low", "(from oncall)"]
    assert [it["name"] for it in json.loads(policy("list", "--json")[1])] == ["critical", "low", None]


def test_one_is_shown_by_its_name(policy):
    assert "step 2: after 10m: slack:leads (C0LEADS0), mentions <!subteam^S0123456789>" in policy("show", "critical")[1]
    assert "match: what no policy matches" in policy("show")[1]
    assert json.loads(policy("show", "low", "--json")[1])["in"] == ["office"]


def test_a_name_that_no_policy_has_is_refused_with_those_that_there_are(policy):
    status, _, said = policy("show", "crtical")

    assert status == 2
    assert "no policy 'crtical'; there are critical, low" in " ".join(said.replace("│", " ").split())


def test_an_incident_is_tried_out_with_its_labels_time_and_query(policy):
    status, printed, _ = policy("test", "-l", "severity=critical,team=db", *AT, "-q", "oncall_wait_minutes=5")

    lines = printed.splitlines()
    assert status == 0
    assert lines[1] == 'labels       severity="critical", team="db"'
    assert (
        lines[6]
        == "round 1, step 3  2027-03-28 01:35:00 +01:00  servicenow, urgency: 1, the next step waits if it fails"
    )


def test_a_query_that_is_wrong_is_warned_about_as_the_intake_does(policy):
    assert "warning: query parameter polcy is not known" in policy("test", *AT, "-q", "polcy=low")[2]


def test_an_incident_comes_with_the_policy_of_its_token(policy):
    assert json.loads(policy("test", "-l", "severity=critical", *AT, "--token", "kube", "--json")[1])["policy"] == "low"


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--at", "2027-03-28T02:30", "--timezone", "Europe/Berlin"], "does not exist: the clock is put forward"),
        (["--at", "noon"], "'noon' is no time"),
        (["--timezone", "Berlin"], "no time zone 'Berlin'"),
        (["-l", "severity"], "'severity' is no matcher"),
        (["--token", "who"], "no intake token is called 'who'; there are kube, free"),
    ],
)
def test_what_cannot_be_read_is_refused(policy, arguments, problem):
    status, _, said = policy("test", *arguments)

    assert status == 2
    assert problem in " ".join(said.replace("│", " ").split())


def test_a_promise_that_holds_is_success(policy):
    promise = 'severity="critical" reaches servicenow within 2h'

    status, printed, _ = policy("prove", promise, "--token", "free")

    assert status == 0
    assert printed.startswith('holds: severity="critical" reaches servicenow within 2h (1 kind of incidents, ')


def test_one_that_does_not_hold_fails_with_an_incident(policy):
    status, printed, _ = policy("prove", "severity=info never reaches slack", "{} reaches slack within 7d", "--json")

    first, second = json.loads(printed)
    assert status == 1
    assert (first["holds"], first["counter_example"]["labels"]) == (False, {"severity": "info"})
    assert second["holds"]


def test_a_promise_is_checked_with_the_tokens_that_have_a_policy_of_their_own(policy):
    status, printed, _ = policy("prove", 'severity="critical" reaches servicenow within 2h')

    assert status == 1
    assert "  from         token 'kube'" in printed.splitlines()


def test_promises_are_read_from_a_file(policy, tmp_path):
    file = tmp_path / "promises.txt"
    file.write_text(
        "# everybody is told\n\n{} reaches slack within 7d\n  severity=critical never reaches slack:leads\n"
    )

    status, printed, _ = policy("prove", "--file", str(file))

    assert status == 1
    assert [line.partition(":")[0] for line in printed.splitlines() if line[0] != " "] == ["holds", "fails"]


def test_recorded_incidents_are_checked_with_the_place_of_the_record(policy):
    line = {"at": "2026-05-04T10:20:01Z", "payload": {"title": "Disk full", "severity": "critical", "id": "d1"}}
    recording = json.dumps(line)

    status, printed, _ = policy("prove", "{} reaches servicenow within 5m", "--recorded", "-", input=recording)

    assert status == 1
    assert "  from         -:1" in printed.splitlines()
    assert policy("prove", "{} reaches servicenow within 2h", "--recorded", "-", input=recording)[0] == 0


def test_a_recorded_incident_has_the_policy_of_the_token_that_it_came_with(policy):
    payload = {"title": "Disk full", "severity": "critical", "id": "d1"}
    line = {"at": "2026-05-04T10:20:01Z", "payload": payload, "sender": "kube"}

    def prove(sender):
        recording = json.dumps({**line, "sender": sender})
        return policy("prove", "{} reaches servicenow within 2h", "--recorded", "-", input=recording)

    assert [prove("free")[0], prove("kube")[0]] == [0, 1]
    assert "policy       low" in prove("kube")[1]


def test_a_recording_that_cannot_be_read_is_no_proof(policy):
    status, _, said = policy("prove", "{} reaches slack within 1m", "--recorded", "-", input="{}\n")

    assert status == 2
    assert "error: -:1: at is None" in said


@pytest.mark.parametrize(
    "arguments", [["{} reaches slak within 1m"], [], ["{} never reaches slack", "--recorded", "no"]]
)
def test_what_is_no_promise_or_no_file_is_refused(policy, arguments):
    assert policy("prove", *arguments)[0] == 2


def test_a_configuration_that_cannot_be_read_is_no_failed_promise(tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text("policies: 5")

    assert CliRunner().invoke(app, ["policy", "prove", "{} never reaches slack", "-c", str(config)]).exit_code == 2


def test_a_recording_is_played_through_changed_policies_too(tmp_path):
    changed = {**SETTINGS, "policies": [{**CRITICAL, "steps": [{"notify": ["slack"]}]}, LOW]}
    paths = [tmp_path / name for name in ("now.yaml", "then.yaml")]
    for path, settings in zip(paths, (SETTINGS, changed), strict=True):
        path.write_text(yaml.safe_dump(settings))
    payload = {"title": "Disk full", "severity": "critical", "id": "d1"}
    recording = json.dumps({"at": "2026-05-04T10:20:01Z", "payload": payload})

    def replay(*more):
        arguments = ["replay", "-", "-c", str(paths[0]), "--against", str(paths[1]), *more]
        return CliRunner().invoke(app, arguments, input=recording)

    shown, said = replay(), replay("--json")
    assert shown.stdout.splitlines()[-1] == "records: 1 fewer; messages: 1 fewer; reminders: 2 fewer, 1 sooner"
    assert json.loads(said.stdout.splitlines()[-1])["differences"]["record"]["fewer"] == 1
    assert replay("--speed", "1").exit_code == 2
