"""Receivers of PagerDuty and Opsgenie whose address was changed lead here too, and are looked at."""

import pytest
import yaml

from versus_py.systems import model
from versus_py.tools.lint import Severity, lint

PAGERDUTY = {"routing_key": "x", "url": "http://versus:3000/v2/enqueue"}
OPSGENIE = {"api_key": "x", "api_url": "http://versus:3000/"}
GROUPED = {"group_by": ["alertname", "cluster"], "group_interval": "1m"}


def lint_receiver(kind, settings, *, config=None, everywhere=None, **route):
    data = {
        "global": everywhere or {},
        "route": {"receiver": "versus", **GROUPED, **route},
        "receivers": [{"name": "versus", kind: [settings]}],
    }
    return [(it.severity, it.what) for it in lint(yaml.safe_dump(data), config)]


@pytest.mark.parametrize(
    ("kind", "settings", "everywhere"),
    [
        ("pagerduty_configs", PAGERDUTY, {}),
        ("opsgenie_configs", OPSGENIE, {}),
        ("opsgenie_configs", OPSGENIE | {"api_url": "http://versus:3000/jsm/ops/integration/"}, {}),
        ("pagerduty_configs", {"routing_key": "x"}, {"pagerduty_url": PAGERDUTY["url"]}),
        ("opsgenie_configs", {"api_key": "x"}, {"opsgenie_api_url": OPSGENIE["api_url"]}),
    ],
)
def test_a_receiver_whose_address_was_changed_leads_here(kind, settings, everywhere):
    assert lint_receiver(kind, settings, everywhere=everywhere) == []


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("pagerduty_configs", {"routing_key": "x"}),
        ("pagerduty_configs", PAGERDUTY | {"url": "https://events.eu.pagerduty.com/v2/enqueue"}),
        ("pagerduty_configs", PAGERDUTY | {"url": "https://other.example/events"}),
        ("opsgenie_configs", OPSGENIE | {"api_url": "https://api.eu.opsgenie.com/"}),
        ("opsgenie_configs", OPSGENIE | {"api_url": "https://api.atlassian.com/jsm/ops/integration/"}),
    ],
)
def test_a_receiver_that_sends_to_the_service_itself_does_not(kind, settings):
    [(severity, what)] = lint_receiver(kind, settings)

    assert severity is Severity.ERROR
    assert "no alert arrives here" in what


@pytest.mark.parametrize(
    ("kind", "settings", "severity", "what"),
    [
        ("opsgenie_configs", OPSGENIE | {"api_url": "http://versus:3000/v2/alerts"}, Severity.ERROR, "adds /v2/alerts"),
        ("opsgenie_configs", OPSGENIE | {"api_url": "http://versus:3000/v2/"}, Severity.ERROR, "adds /v2/alerts"),
        ("pagerduty_configs", PAGERDUTY | {"service_key": "x"}, Severity.ERROR, "service_key"),
        ("pagerduty_configs", PAGERDUTY | {"url": f"{PAGERDUTY['url']}/"}, Severity.ERROR, "a slash at the end"),
        ("pagerduty_configs", PAGERDUTY | {"send_resolved": False}, Severity.WARNING, "send_resolved is false"),
        ("opsgenie_configs", OPSGENIE | {"api_url": "http://v/?slack_chanel_id=C1"}, Severity.WARNING, "did you mean"),
    ],
)
def test_what_keeps_its_alerts_from_arriving_is_told(kind, settings, severity, what):
    [(found, said)] = lint_receiver(kind, settings)

    assert found is severity
    assert what in said


@pytest.mark.parametrize(("kind", "settings"), [("pagerduty_configs", PAGERDUTY), ("opsgenie_configs", OPSGENIE)])
def test_late_news_matters_also_where_alertmanager_is_asked_as_its_alerts_are_not_listed(kind, settings):
    config = model().model_validate(
        {"oncall": {"enable": True, "wait_minutes": 5}, "alertmanager": {"url": "http://alertmanager:9093"}}
    )

    [(_, said)] = lint_receiver(kind, settings, config=config, group_interval="10m")

    assert "group_interval (10m) is not shorter" in said


def test_each_group_is_an_incident_whatever_incident_per_says():
    found = lint_receiver("opsgenie_configs", OPSGENIE | {"api_url": "http://v/?incident_per=alert"}, group_by=[])

    assert any("no group_by on the way" in said for _, said in found)
