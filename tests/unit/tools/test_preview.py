"""What would be posted, and which templates fail before an alert meets them."""

from datetime import UTC, datetime

import orjson
import pytest
from structlog.testing import capture_logs
from typer.testing import CliRunner

from versus_py.cli import app, serving
from versus_py.config import ExpectedHeartbeat
from versus_py.systems import model
from versus_py.targets.check import CheckStatus
from versus_py.tools.doctor import templates
from versus_py.tools.preview import incidents_of, previews, template_problems
from versus_py.tools.samples import SAMPLES

AT = datetime(2026, 5, 4, 10, 20, tzinfo=UTC)
AT_MS = round(AT.timestamp() * 1000)
SLACK = {"enable": True, "token": "xoxb-1", "channel_id": "C0ALERTS"}


def settings_with(*, slack=None, fields=None, **servicenow):
    login = {"instance_url": "https://dev.service-now.com", "username": "u", "password": "p"}
    provider = login | {"fields": fields or {}} | servicenow
    return {"alert": {"slack": SLACK | (slack or {})}, "oncall": {"enable": True, "servicenow": provider}}


def config_with(**settings):
    return model().model_validate(settings_with(**settings))


def body_of(source="alertmanager", **more):
    return orjson.dumps(SAMPLES[source](starts_at=AT, **more))


def previewed(config, body, query="", system=None):
    return [
        it for incident in incidents_of(config, body, query, now_ms=AT_MS) for it in previews(config, incident, system)
    ]


@pytest.mark.parametrize("source", SAMPLES)
def test_what_is_shipped_renders_with_every_sample(source):
    config = config_with(slack={"template_path": "config/slack_message.tmpl"})

    for is_resolved in (False, True):
        shown = previewed(config, body_of(source, is_resolved=is_resolved))
        assert [it.place for it in shown] == ["Slack", "ServiceNow"]
        assert [it.problems for it in shown] == [(), ()]
        assert ("*Resolved*" if is_resolved else "*Triggered*") in shown[0].shown["message"]


def test_a_record_is_shown_by_the_settings_that_write_it():
    config = config_with(
        fields={"short_description": "{{ labels.alertname }}"},
        on_update="fields",
        update_fields={"impact": "{{ 1 + 1 }}"},
    )

    [fires] = previewed(config, body_of(), system="servicenow")
    [over] = previewed(config, body_of(is_resolved=True), system="servicenow")

    assert fires.shown["fields.short_description"] == "DiskFull"
    assert fires.shown["update_fields.impact"] == "2"
    assert "fields.correlation_id" in fires.shown
    assert [*over.shown] == ["resolve_fields.close_code", "resolve_fields.close_notes"]


def test_the_query_chooses_the_instance():
    config = config_with(other_instance_urls={"infra": "https://infra.service-now.com"})

    shown = previewed(config, body_of(), "servicenow_other_instance=infra")

    assert [it.place for it in shown] == ["Slack", "ServiceNow infra"]


def test_templates_that_always_fail_are_told_from_those_that_some_sources_break(tmp_path):
    message = tmp_path / "message.tmpl"
    message.write_text("{{ .CommonLabels.alertname }}")
    fields = {"description": "{{ 1 // (incident.source != 'sentry') | int }}"}

    always, sometimes = template_problems(config_with(slack={"template_path": message}, fields=fields))

    assert always.is_always
    assert "Go template" in str(always)
    assert not sometimes.is_always
    assert "fields.description" in str(sometimes)
    assert str(sometimes).endswith("(with the sample of sentry)")


async def test_doctor_says_what_templates_come_to(tmp_path):
    message = tmp_path / "message.tmpl"
    message.write_text("{{ nothing.at.all }}")
    assert [it.status async for it in templates.examine(config_with(slack={"template_path": message}))] == [
        CheckStatus.OK
    ]

    message.write_text("{% for %}")
    [check] = [it async for it in templates.examine(config_with(slack={"template_path": message}))]
    assert check.status is CheckStatus.FAILED
    assert "message.tmpl" in check.found

    assert [it async for it in templates.examine(model().model_validate({}))] == []


@pytest.fixture
def versus(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "body.json").write_bytes(body_of())

    def run(*arguments):
        return CliRunner().invoke(app, [*arguments])

    return run


def test_check_config_refuses_a_template_that_always_fails(versus, tmp_path):
    (tmp_path / "message.tmpl").write_text("{{ range .Alerts }}x{{ end }}")
    (tmp_path / "config.yaml").write_text(
        "alert: {slack: {enable: true, token: xoxb-1, channel_id: C0ALERTS, template_path: message.tmpl}}"
    )

    result = versus("check-config", "-c", "config.yaml")

    assert result.exit_code == 1
    assert "'{{ range .Alerts' is of a Go template" in result.stderr


def test_a_template_is_rendered_with_a_payload_of_ones_own(versus, tmp_path):
    (tmp_path / "message.tmpl").write_text(
        "{% for alert in firing %}{{ alert.labels.instance }} is in trouble{% endfor %}"
    )

    result = versus("render", "message.tmpl", "--payload", "body.json")

    assert result.exit_code == 0, result.output
    assert "Slack\n  message:\n" in result.stdout
    assert "    db-7:9100 is in trouble\n" in result.stdout
    assert "ServiceNow\n" not in result.stdout


def test_a_template_that_fails_is_said_and_what_stands_in_is_shown(versus, tmp_path):
    (tmp_path / "message.tmpl").write_text("{{ 1 // 0 }}")

    result = versus("render", "message.tmpl", "-p", "body.json")

    assert result.exit_code == 1
    assert "DiskFull" in result.stdout
    assert "the template failed, so that this is the built-in body: " in result.stdout
    assert "message.tmpl" in result.stderr


def test_a_check_of_templates_that_crashes_is_logged_and_does_not_stop_the_start(monkeypatch):
    def crashes(_):
        raise ZeroDivisionError

    monkeypatch.setattr(serving, "template_problems", crashes)

    with capture_logs() as logged:
        serving.log_template_problems(config_with())

    assert [it["event"] for it in logged] == ["template.check_crashed"]


@pytest.mark.parametrize(
    ("template", "level", "event"),
    [
        pytest.param("{{ 1 // 0 }}", "error", "template.always_fails", id="whatever comes"),
        pytest.param(
            "{% if incident.source == 'grafana' %}{{ 1 // 0 }}{% endif %}", "warning", "template.fails", id="one source"
        ),
    ],
)
def test_a_template_that_fails_is_logged_at_the_start_which_goes_on(tmp_path, monkeypatch, template, level, event):
    served = []

    async def serve(config, *_args, **_options):
        served.append(config)

    (tmp_path / "message.tmpl").write_text(template)
    config = config_with(slack={"template_path": str(tmp_path / "message.tmpl")})
    monkeypatch.setattr(serving, "load", lambda _: config)
    monkeypatch.setattr(serving, "configure_logging", lambda *_, **__: None)
    monkeypatch.setattr(serving, "serve_until", serve)

    with capture_logs() as logged:
        serving.serve(tmp_path / "config.yaml")

    assert served == [config]
    assert [(it["log_level"], it["event"]) for it in logged] == [(level, event)]
    assert "message.tmpl" in logged[0]["error"]


def test_overrides_count_as_in_the_request(versus, tmp_path):
    settings = settings_with(other_instance_urls={"infra": "https://infra.service-now.com"})
    (tmp_path / "config.yaml").write_bytes(orjson.dumps(settings))
    overrides = ("-q", "servicenow_other_instance=infra", "-q", "severity=warning")

    result = versus("render", "config.yaml", "--payload", "body.json", *overrides)

    assert result.exit_code == 0, result.output
    assert "ServiceNow infra\n" in result.stdout
    assert "· warning ·" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-p", "missing.json"], "cannot read missing.json"),
        (["-p", "message.tmpl"], "the body is not JSON"),
        (["-p", "body.json", "--target", "pager"], "must be one of slack, servicenow"),
    ],
)
def test_mistakes_of_the_command_are_said(versus, tmp_path, arguments, said):
    (tmp_path / "message.tmpl").write_text("x")

    result = versus("render", "message.tmpl", *arguments)

    assert result.exit_code != 0
    assert said in " ".join(result.stderr.replace("│", " ").split())


def test_a_heartbeat_has_nothing_to_show():
    config = config_with().model_copy(
        update={"heartbeats": (ExpectedHeartbeat(name="all", match=('alertname!=""',), every="5m"),)}
    )

    assert previewed(config, body_of()) == []
