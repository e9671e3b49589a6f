"""The configuration that is shipped: as it stands, and with what is commented out in it."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.factories import make_alert, make_incident
from versus_py.config.servicenow import RECOMMENDED_FIELDS, RECOMMENDED_SEVERITIES
from versus_py.systems import parse_config
from versus_py.targets.servicenow.fields import FieldTemplates, values_for

CONFIG = Path(__file__).parents[3] / "config" / "config.yaml"
ENVIRON = {
    "SLACK_TOKEN": "xoxb-1",
    "SLACK_CHANNEL_ID": "C1",
    "SERVICENOW_INSTANCE_URL": "https://dev1.service-now.com",
    "SERVICENOW_USERNAME": "u",
    "SERVICENOW_PASSWORD": "p",
}


def servicenow(text: str):
    return parse_config(text, ENVIRON, folder=CONFIG.parent).oncall.servicenow


def rendered(severity: str = "critical", **labels: Any) -> dict[str, str]:
    instance = servicenow(CONFIG.read_text())
    alerts = [make_alert("DiskFull", severity=severity, **labels), make_alert("HostDown", severity=severity, **labels)]
    fields = FieldTemplates(instance.fields, "fields").render(
        values_for(make_incident(*alerts, severity=severity), instance)
    )
    assert fields.warnings == ()
    return fields.fields


def optional_fields() -> str:
    """The file with the comment signs taken off the fields that are not for every instance."""
    return re.sub(
        r"^      # (caller_id|assignment_group|cmdb_ci):", r"      \1:", CONFIG.read_text(), flags=re.MULTILINE
    )


def test_as_it_stands_records_have_the_fields_that_the_demo_has_too():
    found = servicenow(CONFIG.read_text())

    assert found.fields == RECOMMENDED_FIELDS
    assert found.severities == RECOMMENDED_SEVERITIES


def shipped(text: str, **environ: str):
    return parse_config(text, ENVIRON | environ, folder=CONFIG.parent)


def test_as_it_stands_everybody_may_act_and_nobody_is_mentioned():
    config = shipped(CONFIG.read_text())

    found = config.alert.slack
    assert (found.is_restricted, found.mention, config.routes) == (False, {}, ())


@pytest.mark.parametrize(
    ("environ", "is_interactive"),
    [({}, False), ({"SLACK_APP_TOKEN": "xapp-1"}, True), ({"SLACK_SIGNING_SECRET": "0123456789abcdef" * 2}, True)],
    ids=["neither", "Socket Mode", "requests"],
)
def test_buttons_tell_who_pressed_them_as_soon_as_the_environment_says_how(environ, is_interactive):
    config = shipped(CONFIG.read_text(), **environ)

    assert config.alert.slack.is_interactive is is_interactive
    assert [it for it in config.alert.slack.warnings(config) if "public_host" not in it] == []


def test_docker_compose_passes_every_variable_on_that_the_file_reads():
    """Also those in comments: whoever takes the comment signs off sets them in .env like the others."""
    compose = yaml.safe_load((CONFIG.parent.parent / "docker-compose.yml").read_text())

    names = set(re.findall(r"\$\{([A-Z][A-Z0-9_]+)", CONFIG.read_text())) - {"VAR"}  # which explains the syntax

    assert {"SLACK_APP_TOKEN", "INTAKE_TOKEN", "SERVICENOW_PUBLIC_URL"} < names
    assert names <= compose["services"]["versus"]["environment"].keys()


def test_the_examples_for_slack_are_settings_that_work():
    block = re.search(r"^    # allowed_users:(\n|.)*?(?=^    [^#])", CONFIG.read_text(), flags=re.MULTILINE)
    assert block
    text = CONFIG.read_text().replace(block[0], re.sub(r"^    # ", "    ", block[0], flags=re.MULTILINE))
    routes = re.search(r"^# routes:(\n|.)*?(?=^$)", text, flags=re.MULTILINE)
    assert routes
    text = text.replace(routes[0], re.sub(r"^# ", "", routes[0], flags=re.MULTILINE))

    config = shipped(text, SLACK_APP_TOKEN="xapp-1")

    found, [route] = config.alert.slack, config.route_leads()
    assert route.matches({"team": "db", "severity": "error"})
    assert route.leads_to["slack"].destination == "C0123456789"
    assert (found.allowed_users, found.allowed_groups) == (("U0123456789",), ("S0123456789",))
    assert found.mention == {"critical": "<!subteam^S0123456789>"}
    assert (found.actions.escalate, found.actions.acknowledge) == (False, True)
    assert found.broadcast_on_escalate
    assert "storm" in found.model_fields_set
    assert (found.snooze.minutes, found.snooze.timezone) == ((15, 60), "Europe/Berlin")
    assert list(found.warnings(config)) == []


def uncommented(text: str, begin: str) -> str:
    """With the comment signs taken off the lines from *begin* to the next blank one."""
    block = re.search(rf"^# {begin}:(\n|.)*?(?=^$)", text, flags=re.MULTILINE)
    assert block
    return text.replace(block[0], re.sub(r"^# ", "", block[0], flags=re.MULTILINE))


def test_the_examples_for_policies_are_settings_that_work():
    text = CONFIG.read_text().replace("    # channels:", "    channels:")

    config = shipped(uncommented(uncommented(text, "time_intervals"), "policies"))

    critical, low = config.policies
    assert critical.matches({"severity": "critical"})
    assert [it.after_ms for it in critical.steps] == [0, 600_000, 900_000]
    assert low.hours is not None
    assert low.hours.contains(1_779_436_800_000)  # Friday 22 May 2026, 10:00 in Berlin
    assert not low.hours.contains(1_779_696_000_000)  # the Monday after, a holiday
    assert config.places("slack") == {"slack:leads": "C0123456789"}


def test_records_describe_every_alert():
    fields = rendered(instance="db-7")

    assert fields["short_description"] == "DiskFull"
    assert fields["description"].startswith("Severity critical, 2 alerts, since 2026-05-04 10:20:00 UTC, from alert")
    for said in ("DiskFull happened", "HostDown happened", "instance=db-7", "Source: http://prometheus/graph"):
        assert said in fields["description"]
    assert fields["correlation_display"] == "versus"


@pytest.mark.parametrize(
    ("severity", "impact", "urgency"),
    [("critical", "1", "1"), ("P1", "1", "1"), ("high", "2", "1"), ("warning", "2", "2"), ("unheard-of", "3", "3")],
)
def test_records_have_impact_and_urgency_by_the_level_of_their_severity(severity, impact, urgency):
    fields = rendered(severity)

    assert (fields["impact"], fields["urgency"]) == (impact, urgency)


def test_the_optional_fields_are_templates_that_work():
    instance = servicenow(optional_fields())
    alert = make_alert(assignment_group="Storage", cmdb_ci="db-7")
    values = values_for(make_incident(alert), instance)

    fields = FieldTemplates(instance.fields, "fields").render(values).fields

    assert (fields["assignment_group"], fields["cmdb_ci"]) == ("Storage", "db-7")
    assert fields["caller_id"] == "prometheus@example.com"
    without = FieldTemplates(instance.fields, "fields").render(values_for(make_incident(), instance)).fields
    assert without["assignment_group"] == "Operations"
    assert "cmdb_ci" not in without
