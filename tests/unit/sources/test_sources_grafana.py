"""Grafana's alerting webhook, as its documentation shows it."""

import pytest
from hypothesis import given

from tests.support.payloads import assert_is_sound, damaged, sample
from versus_py import sources


@pytest.fixture
def payload():
    return sample("grafana_firing")


def test_a_group_of_grafana_is_told_from_one_of_alertmanager(payload):
    found = sources.parse(payload)

    assert found.source == "grafana"
    assert found.title == "High CPU: CPU 93%"
    assert found.url == "https://g/"
    assert found.is_complete
    assert found.warnings == ()
    [alert] = found.alerts
    assert alert.fingerprint == "c6eadffa33fcdf37"
    assert alert.url == "https://g/alerting/grafana/ab1/view?orgId=1"
    assert alert.starts_at_ms == 1777890000000


def test_the_documented_example_is_two_alerts_of_one_incident():
    found = sources.parse(sample("grafana_documented"))

    assert found.source == "grafana"
    assert found.title == "High memory usage, High CPU usage"
    assert [alert.labels["zone"] for alert in found.alerts] == ["us-1", "eu-1"]
    assert found.alerts[0].links["Runbook"] == "https://myrunbook.com/runbook/1234"
    assert found.warnings == ()


@pytest.mark.parametrize(
    "differently", [{"version": "4"}, {"version": 1}, {"version": None}], ids=lambda change: repr(change["version"])
)
def test_another_version_is_read_as_alertmanagers(payload, differently):
    assert sources.parse(payload | differently).source == "alertmanager"


def test_without_an_organisation_it_is_read_as_alertmanagers(payload):
    del payload["orgId"]

    assert sources.parse(payload).source == "alertmanager"


def test_a_resolved_group_has_the_dedup_key_of_the_firing_one(payload):
    firing = sources.parse(payload)
    payload |= {"status": "resolved", "state": "ok", "title": "[RESOLVED] High CPU"}
    payload["alerts"][0] |= {"status": "resolved", "endsAt": "2026-05-04T10:30:00Z"}

    over = sources.parse(payload)

    assert not over.is_firing
    assert over.alerts[0].ends_at_ms == 1777890600000
    assert over.dedup_key == firing.dedup_key


def test_links_lead_to_the_silence_the_dashboard_the_panel_and_the_image_where_there_are_any(payload):
    payload["alerts"][0] |= {
        "dashboardURL": "https://g/d/1",
        "panelURL": "javascript:alert(1)",
        "imageURL": "https://g/i.png",
    }

    assert sources.parse(payload).alerts[0].links == {
        "Silence": "https://g/alerting/silence/new",
        "Dashboard": "https://g/d/1",
        "Image": "https://g/i.png",
    }


@pytest.mark.parametrize(
    ("said", "values"),
    [
        ({"values": {"A": 93.1, "C": 1}}, "A=93.1, C=1"),
        ({"values": None, "valueString": "[ value=93.1 ]"}, "[ value=93.1 ]"),
        ({"values": {}, "valueString": ""}, None),
        ({"values": [1], "valueString": {"A": 1}}, None),
    ],
)
def test_the_values_are_an_annotation(payload, said, values):
    payload["alerts"][0] |= said

    assert sources.parse(payload).alerts[0].annotations.get("values") == values


def test_missing_data_is_an_alert_like_others(payload):
    payload["alerts"][0]["labels"] = {"alertname": "DatasourceNoData", "rulename": "High CPU"}

    found = sources.parse(payload)

    assert found.is_firing
    assert found.title == "DatasourceNoData of High CPU: CPU 93%"


def test_a_group_without_alerts_is_read_as_generic_with_a_warning(payload):
    found = sources.parse(payload | {"alerts": []})

    assert found.source == "grafana"
    assert found.warnings[0].startswith("this looks like grafana, but its list of alerts holds no alert")


@given(damaged(sample("grafana_firing")))
def test_whatever_is_in_a_group_it_is_read(payload):
    assert_is_sound(sources.parse(payload))


def test_a_rule_that_cannot_be_evaluated_is_called_by_its_name(payload):
    def about(rule):
        labels = {"alertname": "DatasourceNoData", "rulename": rule}
        return payload["alerts"][0] | {"labels": labels, "annotations": {}, "fingerprint": rule}

    one = sources.parse(payload | {"alerts": [about("Checkout errors")]})
    two = sources.parse(payload | {"alerts": [about("Checkout errors"), about("Queue length")]})

    assert one.title == one.alerts[0].title == "DatasourceNoData of Checkout errors"
    assert two.title == "DatasourceNoData of Checkout errors, DatasourceNoData of Queue length"


LEGACY = {
    "dashboardId": 1,
    "evalMatches": [
        {"value": 93.1, "metric": "cpu db-1", "tags": {"host": "db-1", "cpu": "0"}},
        {"value": 91, "metric": "cpu db-1", "tags": {"host": "db-1", "cpu": "1"}},
    ],
    "imageUrl": "https://g.example/cpu.png",
    "message": "CPU is busy",
    "orgId": 1,
    "panelId": 2,
    "ruleId": 17,
    "ruleName": "CPU high",
    "ruleUrl": "https://g.example/d/cpu?tab=alert",
    "state": "alerting",
    "tags": {"severity": "critical"},
    "title": "[Alerting] CPU high",
}


def test_a_rule_of_legacy_alerting_fires():
    found = sources.parse(LEGACY)

    assert (found.source, found.title, found.severity, found.warnings) == (
        "grafana",
        "[Alerting] CPU high",
        "critical",
        (),
    )
    assert found.url == "https://g.example/d/cpu?tab=alert"
    [alert] = found.alerts
    assert alert.is_firing
    assert alert.resource == "db-1"
    assert alert.labels == {"alertname": "CPU high", "severity": "critical", "host": "db-1"}
    assert alert.annotations == {"message": "CPU is busy", "values": "cpu db-1=93.1, cpu db-1=91"}
    assert alert.links == {"Image": "https://g.example/cpu.png"}


@pytest.mark.parametrize("state", ["ok", "OK", "paused"])
def test_a_rule_of_legacy_alerting_is_over_when_it_is_ok_or_paused(state):
    over = sources.parse(LEGACY | {"state": state, "evalMatches": None})

    assert not over.is_firing
    assert over.dedup_key == sources.parse(LEGACY).dedup_key


@pytest.mark.parametrize("change", [{"orgId": 2}, {"ruleId": 18}])
def test_rules_of_legacy_alerting_are_told_apart_by_organisation_and_number(change):
    assert sources.parse(LEGACY | change).dedup_key != sources.parse(LEGACY).dedup_key


@pytest.mark.parametrize("state", ["alerting", "no_data", "pending", "execution_error"])
def test_every_other_state_of_legacy_alerting_fires(state):
    assert sources.parse(LEGACY | {"state": state}).is_firing


def test_a_rule_of_legacy_alerting_without_a_number_is_read_as_generic():
    found = sources.parse(LEGACY | {"ruleId": None})

    assert (found.source, found.title) == ("grafana", "[Alerting] CPU high")
    assert "its ruleId is empty" in found.warnings[0]


@given(damaged(LEGACY))
def test_whatever_is_in_a_rule_of_legacy_alerting_it_is_read(payload):
    assert_is_sound(sources.parse(payload))
