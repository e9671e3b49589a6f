"""Which severity counts: the request's, the payload's, or the source's default."""

from datetime import UTC, datetime
from typing import get_args

import pytest
from multidict import MultiDict

from versus_py.config import OverrideLimits, SourcesConfig
from versus_py.config.intake import SourceName
from versus_py.engine.policies import Policies
from versus_py.incidents.model import Notification
from versus_py.incidents.policies import Asked
from versus_py.systems import model
from versus_py.tools.samples import SAMPLES
from versus_py.web.intake.overrides import Overrides, read_overrides
from versus_py.web.intake.reading import Reader

AT = datetime(2026, 5, 4, 10, 20, tzinfo=UTC)
CLOUDWATCH = SAMPLES["cloudwatch"](starts_at=AT)
OWN_NAMES = {"Sev-Urgent": "critical", 2: "error", "blue": "info"}


def asked(severity: str, limits: OverrideLimits | None = None, **settings) -> Overrides:
    config = model().model_validate(settings)
    return read_overrides(MultiDict({"severity": severity}), config, limits or OverrideLimits())


def read(payload, severity: str | None = None, **settings) -> Notification:
    config = model().model_validate(settings)
    overrides = read_overrides(MultiDict({} if severity is None else {"severity": severity}), config)
    [found] = Reader(config).read([payload], overrides).notifications
    assert found is not None
    return found


def group(*severities: str):
    """Alertmanager's group with a firing alert for each severity; for "" one without the label."""
    alerts = [
        {"status": "firing", "labels": {"alertname": f"A{index}"} | ({"severity": it} if it else {})}
        for index, it in enumerate(severities)
    ]
    return {"receiver": "r", "status": "firing", "alerts": alerts, "groupLabels": {"a": "b"}, "version": "4"}


def of_alerts(notification: Notification) -> list[str]:
    return [alert.severity for alert in notification.alerts]


def test_a_payload_without_a_severity_gets_that_of_its_source():
    found = read(CLOUDWATCH, sources={"cloudwatch": {"severity": "error"}})

    assert (found.severity, of_alerts(found)) == ("error", ["error"])
    assert read(CLOUDWATCH, sources={"monasca": {"severity": "error"}}).severity == "unknown"


def test_the_default_of_a_source_hides_no_severity_of_its_payloads():
    sources = {it: {"severity": "critical"} for it in ("generic", "alertmanager")}

    assert read({"title": "x", "severity": "info"}, sources=sources).severity == "info"
    assert read({"title": "x", "severity": "7"}, sources=sources).severity == "7"
    assert read(group("warning"), sources=sources).severity == "warning"


def test_the_alerts_of_a_group_that_have_none_get_the_default_and_the_highest_counts():
    found = read(group("warning", ""), sources={"alertmanager": {"severity": "critical"}})

    assert (found.severity, of_alerts(found)) == ("critical", ["warning", "critical"])


def test_names_of_ones_own_become_the_known_ones_in_any_case():
    found = read(group("SEV-URGENT", "blue", "warning"), severity_map=OWN_NAMES)

    assert of_alerts(found) == ["critical", "info", "warning"]
    assert found.severity == "critical"
    assert [alert.labels["severity"] for alert in found.alerts] == ["SEV-URGENT", "blue", "warning"]
    assert read({"title": "x", "severity": "Blue"}, severity_map=OWN_NAMES).severity == "info"


def test_a_known_name_may_count_as_another():
    found = read(group("critical", "info"), severity_map={"critical": "warning"})

    assert (found.severity, of_alerts(found)) == ("warning", ["warning", "info"])


@pytest.mark.parametrize("name", ["2", "10"])
def test_a_bare_number_stays_unknown_and_says_how_to_name_it(name):
    found = read({"title": "x", "severity": name})

    assert found.severity == name
    [warning] = found.warnings
    assert f'set severity_map: {{"{name}": …}}' in warning
    assert read({"title": "x", "severity": "P2"}).warnings == ()


@pytest.mark.parametrize("sent", ["sev_urgent", "SEV_URGENT", "sev-urgent"])
def test_a_name_of_ones_own_counts_before_the_known_name_that_it_ends_with(sent):
    names = {"sev-urgent": "critical", "urgent": "info"}

    assert read({"title": "x", "severity": sent}, severity_map=names).severity == "critical"
    assert read({"title": "x", "severity": "other_urgent"}, severity_map=names).severity == "info"


def test_a_number_that_severity_map_names_is_no_warning():
    found = read({"title": "x", "severity": 2}, severity_map=OWN_NAMES)

    assert (found.severity, found.warnings) == ("error", ())


@pytest.mark.parametrize("payload", [group("warning", ""), {"title": "x", "severity": "warning"}, CLOUDWATCH])
def test_the_severity_of_the_request_replaces_every_other(payload):
    sources = {"cloudwatch": {"severity": "error"}}

    found = read(payload, "P1", sources=sources)

    assert found.severity == "P1"
    assert set(of_alerts(found)) == {"P1"}


def test_the_request_may_ask_for_a_name_of_ones_own():
    assert asked("SEV-urgent", severity_map=OWN_NAMES).severity == "critical"


@pytest.mark.parametrize("severity", ["blue", "2", "", "unknown"])
def test_a_severity_of_the_request_that_is_not_known_is_ignored_with_a_warning(severity):
    found = asked(severity)

    assert found.severity is None
    [warning] = found.warnings
    assert f"severity={severity} was ignored; allowed: critical, error" in warning


def test_a_token_may_allow_some_severities_alone():
    limits = OverrideLimits(severities=("warning", "Info"))

    assert asked("WARNING", limits).severity == "warning"
    assert asked("info", limits).severity == "info"
    refused = asked("critical", limits)
    assert refused.severity is None
    assert refused.warnings == (
        "query parameter severity=critical was ignored; this sender's token allows: warning, Info",
    )
    assert asked("info", OverrideLimits(severities=())).severity is None


@pytest.mark.parametrize(
    ("payload", "severity", "is_matched"),
    [
        pytest.param(CLOUDWATCH, None, True, id="without-a-label-the-incident's"),
        pytest.param(group("warning"), None, False, id="the-label-as-it-was-sent"),
        pytest.param(group("warning"), "critical", True, id="the-request's"),
    ],
)
def test_routes_match_the_label_and_else_the_severity_of_the_incident(payload, severity, is_matched):
    settings = {
        "routes": [{"matchers": ['severity="critical"'], "wait_minutes": 60}],
        "oncall": {"enable": True},
        "sources": {"cloudwatch": {"severity": "critical"}},
    }
    config = model().model_validate(settings)
    overrides = read_overrides(MultiDict({"severity": severity} if severity else {}), config)

    policy = Policies(config).of(read(payload, severity, **settings), 0, overrides.asked)

    assert (policy.wait_ms == 3_600_000) is is_matched


def test_a_route_for_what_has_no_severity_matches_an_unknown_one():
    settings = {"routes": [{"matchers": ['severity=""'], "wait_minutes": 60}], "oncall": {"enable": True}}
    config = model().model_validate(settings)

    assert Policies(config).of(read(CLOUDWATCH), 0, Asked()).wait_ms == 3_600_000


def test_every_source_may_have_a_default_severity():
    settings = SourcesConfig.model_validate({name: {"severity": "info"} for name in get_args(SourceName)})

    assert {settings.of(name).severity for name in get_args(SourceName)} == {"info"}
    assert settings.of("of").severity == ""


@pytest.mark.parametrize("sent", ["house-fire", "HOUSE-FIRE", "House Fire", "housefire", "house_fire", " House  Fire "])
def test_a_name_of_ones_own_counts_in_any_spelling(sent):
    assert read({"title": "x", "severity": sent}, severity_map={"house-fire": "critical"}).severity == "critical"
    assert asked(sent, severity_map={"house-fire": "critical"}).severity == "critical"
    assert asked(sent, severity_map={"house-fire": "critical"}).warnings == ()
