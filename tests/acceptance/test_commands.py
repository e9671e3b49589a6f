"""The command line, as it is typed."""

import json
import os
import re
import signal
import subprocess
import time
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

import jsonschema
import pytest
import yaml

from tests.acceptance.conftest import PASSWORD, ROOT, TOKEN, VERSUS, Simulator, request
from tests.support.forking import call_versus, running_versus
from tests.support.servers import find_program
from tests.support.waiting import wait_until
from versus_py import __version__
from versus_py.simulators.slack import SIGNING_SECRET


def versus(*arguments: str, stdin: str | None = None, **environ: str) -> subprocess.CompletedProcess[str]:
    return call_versus(*arguments, stdin=stdin, env=os.environ | {"COLUMNS": "200"} | environ)


def started(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The same with an interpreter of its own, as a shell starts it."""
    command = [*VERSUS, *arguments]
    env = os.environ | {"COLUMNS": "200"}
    return subprocess.run(command, capture_output=True, text=True, timeout=90, check=False, env=env)


def test_the_demo_tells_its_story_and_ends_well():
    shown = started("demo", "--once")

    assert shown.returncode == 0, shown.stdout + shown.stderr
    for said in ("DiskFull", "acknowledged", "HostDown", "escalated", "HighLatency", "resolved", "QueueStuck"):
        assert said in shown.stdout
    assert shown.stdout.count("✓") == 4
    assert shown.stdout.count("not called") == 2
    assert "acknowledged by Ana Diaz" in shown.stdout
    assert "Everything ended as it should." in shown.stdout
    assert shown.stderr == ""


@pytest.mark.long
def test_after_the_demos_story_buttons_can_still_be_pressed(tmp_path):
    log = tmp_path / "log"
    as_in_a_terminal = {"COLUMNS": "200", "TERM": "dumb", "FORCE_COLOR": "1"}
    with running_versus(["demo"], log=log, env=os.environ | as_in_a_terminal):
        wait_until(lambda: "Ctrl-C ends it." in log.read_text(), timeout_s=60, what="the end of the story")
        slack = Simulator(re.findall(r"http://[0-9.:]+", log.read_text())[1])
        [message] = slack.messages("HostDown")
        press = {"channel": message["channel"], "ts": message["ts"], "action_id": "resolve", "user": "U0BEN"}

        request(f"{slack.url}/control/press", press)

        wait_until(lambda: slack.shows("HostDown", "Resolved"), what="the message that says so")


def test_the_demo_stays_with_four_open_incidents_in_the_web_ui_and_leaves_nothing_behind(tmp_path):
    log, folder = tmp_path / "log", tmp_path / "tmp"
    folder.mkdir()
    environment = os.environ | {"TMPDIR": str(folder), "TERM": "dumb", "FORCE_COLOR": "1", "COLUMNS": "80"}
    with running_versus(["demo"], log=log, env=environment) as process:
        wait_until(lambda: "Ctrl-C ends it." in log.read_text(), what="the end of the four alerts")
        said = re.sub(r"\x1b\[[0-9;]*m", "", log.read_text())
        first = urllib.request.Request(re.findall(r"http://[0-9.:]+", said)[0], headers={"Accept": "text/html"})
        with urllib.request.urlopen(first, timeout=10) as answer:
            page = answer.read().decode()

        os.kill(process.pid, signal.SIGINT)

        assert process.wait(60) == 0
    assert list(folder.glob("versus-demo-*")) == []
    assert [line for line in said.splitlines() if len(line) > 80 and " send --url" not in line] == []
    waiting, _, taken = page.partition('id="acknowledged"')
    assert re.findall(r"<h3><a [^>]*>(\w+)", waiting) == ["HostDown", "PodsCrashLooping", "ReplicationLag"]
    assert "INC0010001" in waiting
    assert re.findall(r"<h3><a [^>]*>(\w+)", taken) == ["DiskFull"]
    assert "Ana Diaz" in taken


def test_a_demo_that_is_told_to_end_leaves_nothing_behind(tmp_path):
    log, folder = tmp_path / "log", tmp_path / "tmp"
    folder.mkdir()
    environment = os.environ | {"TMPDIR": str(folder), "TERM": "dumb", "FORCE_COLOR": "1"}
    with running_versus(["demo"], log=log, env=environment) as process:
        wait_until(lambda: list(folder.glob("versus-demo-*")) and "simulator" in log.read_text())

        os.kill(process.pid, signal.SIGTERM)

        assert process.wait(60) == 130
    assert list(folder.glob("versus-demo-*")) == []


@pytest.mark.long
def test_the_demos_table_fits_a_terminal():
    shown = versus("demo", "--once", COLUMNS="80")

    [row] = [line for line in shown.stdout.splitlines() if "DiskFull" in line]
    assert "acknowledged by Ana Diaz" in row
    assert "✓" in row


@pytest.mark.long
def test_the_demo_fails_when_an_outcome_is_wrong():
    """The same story, with an engine that forgets acknowledgments."""
    sabotage = (
        "import versus_py.incidents.transitions as t, versus_py.cli as c\n"
        "t.acknowledge = lambda incident, by, now_ms: None\n"
        "c.app(['demo', '--once'])"
    )
    command = [VERSUS[0], "-c", sabotage]

    shown = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)

    assert shown.returncode == 1
    assert "Something is wrong." in shown.stdout


def test_the_version():
    assert started("--version").stdout == f"versus {__version__}\n"


COMMANDS = ["serve", "worker", "demo", "check-config", "doctor", "render", "config-schema", "slack-manifest"]
COMMANDS += ["audit", "lint-alertmanager", "send", "replay", "simulate", "policy", "incidents", "comment", "retry"]
INCIDENT_COMMANDS = ["list", "show", "ack", "unack", "resolve", "escalate", "snooze", "comment"]


@pytest.mark.parametrize("command", [[], *([it] for it in COMMANDS), *(["incidents", it] for it in INCIDENT_COMMANDS)])
def test_every_command_explains_itself(command):
    shown = versus(*command, "--help")

    assert shown.returncode == 0
    assert "Usage:" in shown.stdout
    assert len(shown.stdout) > 200


def test_what_the_list_calls_something_is_what_it_can_be_asked_for():
    shown = " ".join(versus("incidents", "list", "--help").stdout.replace("│", " ").split())

    assert "or, of triggered ones: snoozed, held, suppressed, escalated, failed." in shown


def test_check_config_prints_what_it_comes_to_with_secrets_masked(tmp_path):
    environ = {
        "SLACK_TOKEN": TOKEN,
        "SLACK_CHANNEL_ID": "C1",
        "SERVICENOW_INSTANCE_URL": "https://dev1.service-now.com",
        "SERVICENOW_USERNAME": "versus.integration",
        "SERVICENOW_PASSWORD": PASSWORD,
    }

    shown = versus("check-config", "-c", str(ROOT / "config" / "config.yaml"), **environ)

    assert shown.returncode == 0
    effective = yaml.safe_load(shown.stdout)
    assert effective["oncall"]["servicenow"]["instance_url"] == "https://dev1.service-now.com"
    assert effective["alert"]["slack"]["token"] == "**********"
    assert PASSWORD not in shown.stdout + shown.stderr
    assert TOKEN not in shown.stdout + shown.stderr
    assert "is usable" in shown.stderr
    assert "public_host is not set" in shown.stderr


def test_check_config_tells_every_problem_and_fails(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("prot: 1\noncall: {enable: true}\n")

    shown = versus("check-config", "-c", str(path))

    assert shown.returncode == 1
    assert "did you mean 'port'?" in shown.stderr
    assert "oncall.servicenow.instance_url: is required" in shown.stderr
    assert versus("serve", "-c", str(path)).stderr == shown.stderr


def test_a_configuration_that_is_not_there_is_one_sentence():
    shown = versus("serve", "-c", "/nowhere/config.yaml")

    assert shown.returncode == 1
    assert shown.stderr == "error: cannot read /nowhere/config.yaml: No such file or directory\n"


def test_config_schema_is_a_schema_of_the_shipped_configuration():
    schema = json.loads(versus("config-schema").stdout)

    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["properties"]["oncall"]


def test_slack_manifest_prints_yaml_for_slack_or_says_what_it_lacks():
    printed = versus("slack-manifest", "--public-host", "https://versus.example.com", "--name", "Night watch")
    by_socket = versus("slack-manifest", "--socket-mode")
    neither = versus("slack-manifest")

    manifest = yaml.safe_load(printed.stdout)
    assert manifest["display_information"]["name"] == "Night watch"
    url = "https://versus.example.com/api/slack/interactions"
    assert manifest["settings"]["interactivity"] == {"is_enabled": True, "request_url": url}
    assert yaml.safe_load(by_socket.stdout)["settings"]["socket_mode_enabled"] is True
    assert (neither.returncode, neither.stdout) == (1, "")
    assert neither.stderr.startswith("error: public_host is not known")


def test_slack_manifest_is_for_socket_mode_when_the_file_has_an_app_token(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("alert: {slack: {app_token: xapp-secret}}")

    printed = versus("slack-manifest", "-c", str(path))

    assert yaml.safe_load(printed.stdout)["settings"]["socket_mode_enabled"] is True
    assert "xapp-secret" not in printed.stdout + printed.stderr


def test_lint_alertmanager_is_content_with_the_shipped_file_and_not_with_one_that_tells_no_resolves():
    good = versus("lint-alertmanager", str(ROOT / "config" / "alertmanager" / "alertmanager.yml"))
    bad = versus("lint-alertmanager", str(ROOT / "tests" / "data" / "versus_incident_alertmanager.yml"))
    broken = versus("lint-alertmanager", "-", stdin="route: [")

    assert (good.returncode, good.stdout) == (0, "")
    assert bad.returncode == 1
    assert "warning: line 22, receiver 'versus-no-oncall': send_resolved is false" in bad.stdout
    assert broken.returncode == 1
    assert broken.stderr.startswith("error: this is not YAML in line 1")


def test_lint_alertmanager_goes_by_the_configuration_that_is_given(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("oncall: {wait_minutes: 0}")

    shown = versus("lint-alertmanager", str(ROOT / "config" / "alertmanager" / "alertmanager.yml"), "-c", str(path))

    assert shown.returncode == 1
    assert "oncall_wait_minutes has no effect: on-call is off in the configuration" in shown.stdout
    assert "servicenow_other_instance=infra was ignored; allowed: none" in shown.stdout


def test_doctor_looks_at_a_running_stack_and_posts_only_when_asked(world):
    server, _ = world.serve()
    config = str(world.folder / f"config-{server.rpartition(':')[2]}.yaml")

    shown = versus("doctor", "-c", config)
    posts = len(world.slack.messages())
    with_post = versus("doctor", "-c", config, "--post")

    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert [line.split(": ")[:2] for line in shown.stdout.splitlines()] == [
        ["ok", "Redis"],
        ["ok", "Templates"],
        ["ok", "Slack"],
        ["ok", "Slack scopes"],
        ["ok", "Slack channel"],
        ["ok", "public_host"],
        ["warning", "Alertmanager"],
        *(
            [status, f"{name}{what}"]
            for name in ("ServiceNow", "ServiceNow infra")
            for status, what in (
                ("ok", ""),
                ("warning", " fields"),
                ("ok", " columns"),
                ("ok", " state"),
                ("ok", " close_code"),
                ("ok", " work notes"),
                ("skipped", " references"),
            )
        ),
        ["ok", "ServiceNow open records"],
    ]
    assert posts == 0
    assert "ok: Slack test message: posted to C0ALERTS" in with_post.stdout
    assert [it["text"].startswith("This is a test message") for it in world.slack.messages()] == [True]
    assert TOKEN not in shown.stdout + shown.stderr


def test_doctor_fails_when_something_failed_and_says_what_to_do(world):
    path = world.write_config(public_host="http://127.0.0.1:9")

    shown = versus("doctor", "-c", str(path))

    assert shown.returncode == 1
    assert "failed: public_host: http://127.0.0.1:9/healthz cannot be reached" in shown.stdout
    assert "start `versus serve`" in shown.stdout
    assert shown.stderr == ""


RECORDING = str(ROOT / "tests" / "data" / "replay_morning.jsonl")


def test_replay_tells_what_a_recording_would_have_led_to():
    shown = versus("replay", RECORDING, TZ="UTC")
    events = [json.loads(line) for line in versus("replay", RECORDING, "--json").stdout.splitlines()]

    assert shown.returncode == 0, shown.stderr
    *lines, blank, summary = shown.stdout.splitlines()
    assert lines[0] == (
        "2026-05-04 10:20:01  DiskFull                      triggered     1 alert from alertmanager; Slack; "
        "escalates 10:25:01 unless acknowledged"
    )
    assert [line.split("  ")[0][11:] for line in lines if "record would be created" in line] == ["10:24:00"]
    assert blank == ""
    assert summary == (
        "payloads 8, incidents 4, held 0, messages 4, reminders 0, edits 7, acknowledged 1, resolved in time 2, "
        "reopened 1, records created 1, records resolved 1, still open 2"
    )
    assert [event["event"] for event in events[:-1]] == [
        "triggered",
        "triggered",
        "acknowledged",
        "triggered",
        "escalated",
        "resolved",
        "updated",
        "reopened",
        "resolved",
        "resolved",
        "triggered",
    ]
    assert events[-1]["summary"]["records_created"] == 1


def test_replay_goes_by_the_configuration_that_is_given(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("alert: {slack: {enable: true, token: xoxb-1, channel_id: C0ALERTS}}")

    shown = versus("replay", RECORDING, "-c", str(path))

    assert "Slack C0ALERTS" in shown.stdout
    assert "records created 0" in shown.stdout


def test_replay_goes_by_the_routes_that_are_configured(tmp_path):
    path = tmp_path / "config.yaml"
    routes = "[{matchers: ['alertname=HostDown'], channel_id: C0HOSTS}]"
    path.write_text(f"alert: {{slack: {{enable: true, token: xoxb-1, channel_id: C0ALERTS, routes: {routes}}}}}")

    shown = versus("replay", RECORDING, "-c", str(path))

    triggered = [line for line in shown.stdout.splitlines() if "  triggered  " in line]
    assert {("Slack C0HOSTS" in line) == ("HostDown" in line) for line in triggered} == {True}
    assert "Slack C0HOSTS" in shown.stdout


def test_replay_merges_its_files_and_reports_the_lines_it_left_out(tmp_path):
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"
    first.write_text('{"at": "2026-05-04T10:22:00Z", "payload": {"title": "Later"}}\n{"at": \n')
    second.write_text('{"at": "2026-05-04T10:21:00Z", "payload": {"title": "Earlier"}}\n')
    from_stdin = '{"at": "2026-05-04T10:22:01Z", "payload": []}\n{"at": "2026-05-04T10:22:02Z", "resolve": "None"}'

    shown = versus("replay", str(first), str(second), "-", stdin=from_stdin)

    assert shown.returncode == 1
    assert shown.stdout.index("Earlier") < shown.stdout.index("Later")
    assert [line.partition(": ")[2] for line in shown.stderr.splitlines()] == [
        f"{first}:2: this is not JSON: unexpected end of data",
        "-:1: the array holds no JSON object; send at least one",
        "-:2: no incident is open whose title, dedup key or id is 'None'",
    ]


def test_replay_can_take_its_time():
    lines = [{"at": f"2026-05-04T10:20:0{second}Z", "payload": {"title": "x"}} for second in (0, 3)]
    recording = "\n".join(json.dumps(line | {"query": "oncall_enable=false"}) for line in lines)

    started = time.monotonic()
    shown = versus("replay", "-", "--speed", "2", stdin=recording)

    assert shown.returncode == 0
    assert time.monotonic() - started >= 1.5


def test_send_incidents_and_acting_on_them(world, tmp_path):
    server, _ = world.serve(gateway_secret="s3cret")
    at = {"VERSUS_URL": server, "VERSUS_GATEWAY_SECRET": "s3cret"}
    payload = tmp_path / "payload.json"
    payload.write_text('{"title": "From a file", "id": "f1"}')

    sample = json.loads(versus("send", "-q", "oncall_wait_minutes=5", **at).stdout)
    from_file = json.loads(versus("send", str(payload), **at).stdout)
    from_stdin = json.loads(versus("send", "-", stdin='{"title": "From stdin", "id": "f2"}', **at).stdout)
    resolved = json.loads(versus("send", "--resolved", **at).stdout)
    acked = versus("incidents", "ack", from_file["incidents"][0]["id"], "--by", "ana", **at)
    resolve = ("incidents", "resolve", from_stdin["incidents"][0]["id"], "--by", "ben", "--comment")
    ended, again = versus(*resolve, "Rotated", **at), versus(*resolve, "Rotated twice", **at)
    listed = versus("incidents", "list", **at)
    as_json = json.loads(versus("incidents", "list", "--json", "--status", "acknowledged", **at).stdout)
    shown = json.loads(versus("incidents", "show", from_file["incidents"][0]["id"], "--json", **at).stdout)
    story = versus("incidents", "show", from_file["incidents"][0]["id"], **at).stdout

    assert [it["incidents"][0]["outcome"] for it in (sample, from_file, from_stdin)] == ["created"] * 3
    assert resolved["incidents"][0] == sample["incidents"][0] | {
        "outcome": "resolved",
        "status": "resolved",
        "escalates_at": None,
    }
    assert "acknowledged by ana" in acked.stdout
    assert "resolved by ben" in ended.stdout
    assert again.returncode == 1
    assert "nothing was changed: " in again.stderr
    assert "Rotated by ben" in versus("incidents", "show", from_stdin["incidents"][0]["id"], **at).stdout
    assert "From a file" in listed.stdout
    assert [it["title"] for it in as_json["incidents"]] == ["From a file"]
    # It may be posted to Slack before that or after.
    assert [it["by"] for it in shown["timeline"] if it["event"] == "acknowledged"] == ["ana"]
    assert any("acknowledged" in line and "by ana" in line for line in story.splitlines()[3:])
    assert listed.stdout.splitlines()[-1].split("\t")[0] == sample["incidents"][0]["id"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["incidents", "list"], "401: send the gateway secret"),
        (["incidents", "show", "x-0", "--gateway-secret", "s3cret"], "404: no incident 'x-0'"),
        (["send", "/nowhere.json"], "cannot read /nowhere.json"),
        (["send", "--source", "odd"], "no sample 'odd'"),
        (["send", "-q", "oncall_wait_minutes"], "write NAME=VALUE"),
        (["incidents", "list"], "--gateway-secret"),
    ],
)
def test_what_goes_wrong_is_said_in_a_sentence(world, arguments, said):
    server, _ = world.serve(gateway_secret="s3cret")

    shown = versus(*arguments, VERSUS_URL=server)

    assert shown.returncode in {1, 2}
    assert said in shown.stderr
    assert "Traceback" not in shown.stderr


def test_without_a_server_it_says_what_to_start():
    shown = versus("send", "--url", "http://127.0.0.1:9")

    assert shown.returncode == 1
    assert "is `versus serve` running?" in shown.stderr


def test_the_compose_file_is_valid_without_any_env_file(tmp_path):
    compose = find_program("docker-compose", "docker-compose")

    shown = subprocess.run(
        [compose, "-f", str(ROOT / "docker-compose.yml"), "--profile", "demo", "config"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )

    assert shown.returncode == 0, shown.stderr
    services = yaml.safe_load(shown.stdout)["services"]
    usual = {name for name, service in services.items() if "profiles" not in service}
    assert usual == {"versus", "redis", "prometheus", "alertmanager"}
    assert all(services[name]["profiles"] == ["demo"] for name in services.keys() - usual)


def test_the_stacks_environment_makes_a_usable_configuration(tmp_path):
    """What docker-compose hands to the container is enough for the shipped configuration, without an account."""
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    environ = {}
    for name, value in compose["services"]["versus"]["environment"].items():
        default = re.fullmatch(r"\$\{\w+:?-(.*)\}", value)
        environ[name] = default[1] if default else value

    shown = versus("check-config", "-c", str(ROOT / "config" / "config.yaml"), **environ)

    assert shown.returncode == 0, shown.stderr
    effective = yaml.safe_load(shown.stdout)
    assert effective["alert"]["slack"]["api_url"] == "http://slack-simulator:8080/api"
    assert effective["alert"]["slack"]["app_token"]  # so that the simulator's buttons work, by Socket Mode
    assert effective["alert"]["slack"]["signing_secret"] == ""  # one that anybody can read would let anybody in
    assert (
        effective["oncall"]["servicenow"]["other_instance_urls"]["infra"]["instance_url"]
        == "http://servicenow-infra-simulator:8080"
    )
    assert effective["redis"]["host"] == "redis"


def test_the_example_environment_names_what_the_stack_reads():
    compose = (ROOT / "docker-compose.yml").read_text()
    names = [line.partition("=")[0] for line in (ROOT / ".env.example").read_text().splitlines() if "=" in line]

    assert names
    for name in names:
        if not name.startswith("#"):
            assert re.search(rf"\$\{{{name}:?-", compose)


def test_a_simulator_says_how_to_use_it(world):
    assert request(f"{world.servicenow.url}/control/state")["tables"] == {"incident": []}
    text = next(Path(world.folder).glob("servicenow-1.log")).read_text()

    assert f"servicenow simulator: {world.servicenow.url}" in text
    assert f"instance_url: {world.servicenow.url}, username: versus.integration, password: {PASSWORD}" in text


def standing(incident_id: str, server: str) -> tuple[str, list[str]]:
    """The list's word for it, and the lines that tell of it."""
    rows = versus("incidents", "list", VERSUS_URL=server).stdout.splitlines()
    [word] = [row.split("\t")[1] for row in rows if row.startswith(incident_id)]
    return word, versus("incidents", "show", incident_id, VERSUS_URL=server).stdout.splitlines()


def test_the_list_and_the_story_tell_of_a_snooze_and_who_acknowledged_with_the_address(world):
    server, _ = world.serve(alert=world.alert(signing_secret=SIGNING_SECRET))
    request(f"{world.slack.url}/control/interactions", {"url": f"{server}/api/slack/interactions"})
    created = json.loads(versus("send", "-q", "oncall_wait_minutes=5", VERSUS_URL=server).stdout)
    incident_id = created["incidents"][0]["id"]

    versus("incidents", "snooze", incident_id, "15", "--by", "ben", VERSUS_URL=server)
    snoozed, snooze_told = standing(incident_id, server)
    found = versus("incidents", "list", "--status", "triggered", VERSUS_URL=server).stdout
    wait_until(lambda: len(world.slack.messages()) == 1, what="the message")
    world.slack.press(world.slack.messages()[0], "acknowledge")
    detail = f"{server}/api/incidents/{incident_id}"
    wait_until(lambda: request(detail).get("acknowledged_by_email"), what="the address of who pressed")
    acknowledged, acknowledgment_told = standing(incident_id, server)

    assert (snoozed, acknowledged) == ("snoozed", "acknowledged")
    assert found.split("\t")[:2] == [incident_id, "snoozed"]
    assert any(line.startswith("snoozed by ben until ") for line in snooze_told)
    assert any(line.startswith("acknowledged by Ana Diaz (ana@example.com) at ") for line in acknowledgment_told)
    assert not any(line.startswith("snoozed") for line in acknowledgment_told)


def test_a_snooze_that_is_over_is_not_told_where_no_channel_ends_it(world):
    server, _ = world.serve(alert=world.alert(enable=False))
    created = json.loads(versus("send", "-q", "oncall_wait_minutes=5", VERSUS_URL=server).stdout)
    incident_id = created["incidents"][0]["id"]

    versus("incidents", "snooze", incident_id, "0.01", "--by", "ben", VERSUS_URL=server)
    until = datetime.fromisoformat(request(f"{server}/api/incidents/{incident_id}")["snoozed_until"])
    wait_until(lambda: datetime.now(UTC) > until, what="the end of the snooze")
    word, told = standing(incident_id, server)

    assert word == "triggered"
    assert not any(line.startswith("snoozed") for line in told)


def test_an_action_that_changes_nothing_says_how_it_stands_and_fails(world):
    server, _ = world.serve()
    created = json.loads(versus("send", "-q", "oncall_enable=false", VERSUS_URL=server).stdout)
    incident_id = created["incidents"][0]["id"]

    def fails(command: str, *more: str) -> str:
        shown = versus("incidents", command, incident_id, *more, "--by", "ben", VERSUS_URL=server)
        assert (shown.returncode, shown.stdout) == (1, "")
        return shown.stderr

    assert fails("unack") == f"nothing was changed: {incident_id} is triggered; never escalates\n"
    assert fails("escalate") == fails("snooze", "15") == fails("unack")
    versus("incidents", "resolve", incident_id, "--by", "ana", VERSUS_URL=server)
    assert "is resolved; resolved by ana" in fails("escalate")
    assert fails("snooze", "0") == "error: 400: say for how long: minutes, more than 0 and up to 10080\n"


@pytest.mark.parametrize(("command", "said"), [("ack", "acknowledged"), ("resolve", "resolved")])
def test_what_somebody_has_done_before_may_be_done_again(world, command, said):
    server, _ = world.serve()
    created = json.loads(versus("send", VERSUS_URL=server).stdout)
    incident_id = created["incidents"][0]["id"]

    first = versus("incidents", command, incident_id, "--by", "ana", VERSUS_URL=server)
    second = versus("incidents", command, incident_id, "--by", "ben", VERSUS_URL=server)

    assert (first.returncode, second.returncode) == (0, 0)
    assert f"{said} by ana" in second.stdout


def test_snoozing_giving_back_and_escalating_from_the_command_line(world):
    server, _ = world.serve()
    created = json.loads(versus("send", "-q", "oncall_wait_minutes=5", VERSUS_URL=server).stdout)
    incident = ["incidents", created["incidents"][0]["id"]]

    def act(command: str, *more: str) -> str:
        return versus(incident[0], command, incident[1], *more, "--by", "ana", VERSUS_URL=server).stdout

    assert "snoozed by ana until" in act("snooze", "15")
    assert "is acknowledged; acknowledged by ana" in act("ack")
    given_back = act("unack")
    assert "is triggered; escalates" in given_back
    assert "is triggered" in act("escalate")
    wait_until(lambda: len(world.servicenow.records) == 1, what="the record")
    assert "record INC" in act("resolve")


def test_comments_from_the_command_line(world):
    server, _ = world.serve()
    created = json.loads(versus("send", VERSUS_URL=server).stdout)
    incident_id = created["incidents"][0]["id"]

    first = versus("comment", incident_id, "The disk is being replaced", "--by", "ana", VERSUS_URL=server)
    again = versus("incidents", "comment", incident_id, "The disk is being replaced", "--by", "ana", VERSUS_URL=server)
    longest = versus("incidents", "comment", incident_id, "ä" * 1000, "--by", "ana", VERSUS_URL=server)
    too_long = versus("comment", incident_id, "x" * 1001, "--by", "ana", VERSUS_URL=server)

    assert (first.returncode, again.returncode, longest.returncode, too_long.returncode) == (0, 1, 0, 1)
    assert first.stdout.startswith(f"commented: {incident_id} is triggered")
    assert again.stderr.startswith("nothing was changed: ")
    assert too_long.stderr == "error: 400: say what: text, 1 to 1000 characters\n"
    shown = versus("incidents", "show", incident_id, VERSUS_URL=server).stdout
    assert "The disk is being replaced by ana" in shown


def test_what_was_given_up_is_listed_and_tried_again_from_the_command_line(world):
    server, _ = world.serve()
    request(f"{world.servicenow.url}/control/faults", {"kind": "400", "times": None})
    created = json.loads(versus("send", "-q", "oncall_wait_minutes=0", VERSUS_URL=server).stdout)
    incident_id = created["incidents"][0]["id"]

    def given_up() -> list[list[str]]:
        shown = versus("incidents", "--failed", VERSUS_URL=server).stdout
        return [line.split("\t") for line in shown.splitlines()]

    wait_until(given_up, what="the escalation being given up")
    [[listed_id, status, target, _, error, _]] = given_up()
    assert (listed_id, status, target) == (incident_id, "triggered", "servicenow")
    assert "ServiceNow answered 400" in error
    assert versus("incidents", "list", "--failed", VERSUS_URL=server).stdout.startswith(incident_id)

    assert f"tried again: {incident_id} is triggered" in versus("retry", incident_id, VERSUS_URL=server).stdout
    wait_until(given_up, what="being given up once more")
    request(f"{world.servicenow.url}/control/faults", method="DELETE")
    assert "incidents that are tried again: 1" in versus("retry", "--all", VERSUS_URL=server).stdout

    wait_until(lambda: len(world.servicenow.records) == 1, what="the record")
    assert versus("retry", VERSUS_URL=server).returncode == 2
