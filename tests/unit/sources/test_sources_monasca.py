"""Monasca's webhook notifications, as its notification engine sends them and as people try them with curl."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.payloads import assert_is_sound, damaged, sample
from versus_py import sources
from versus_py.config import SourcesConfig
from versus_py.errors import NotAnAlert

AT_MS = 1777890001000


@pytest.fixture
def payload():
    return sample("monasca_alarm")


def settings(undetermined):
    return SourcesConfig.model_validate({"monasca": {"undetermined": undetermined}})


def metric(name, **dimensions):
    return {"id": None, "name": name, "dimensions": dimensions}


def test_an_alarm_fires(payload):
    found = sources.parse(payload)

    assert found.source == "monasca"
    assert found.title == "cpu idle low on node-3"
    assert found.severity == "unknown"
    assert found.dedup_key == "monasca\n20a54a65-44b8-4ac9-a398-000000000001"
    assert not found.is_complete  # it was UNDETERMINED before, and may never have been over
    assert found.warnings == ()
    [alert] = found.alerts
    assert alert.is_firing
    assert alert.resource == "node-3"
    assert (alert.starts_at_ms, alert.ends_at_ms) == (AT_MS, None)
    assert alert.labels == {
        "alertname": "cpu idle low",
        "metric": "cpu.idle_perc",
        "hostname": "node-3",
        "service": "compute",
        "alarm_definition_id": "78ce7b53-f7e6-4b51-88d0-000000000002",
        "tenant_id": "62f7a7a314904aa3ab137d569d6b4fde",
    }
    assert alert.annotations["description"] == "idle under 5"
    assert alert.annotations["message"].startswith("Thresholds were exceeded")


def test_ok_resolves_the_same_alarm(payload):
    over = sources.parse(payload | {"state": "OK", "old_state": "ALARM"})

    assert not over.is_firing
    assert (over.alerts[0].starts_at_ms, over.alerts[0].ends_at_ms) == (None, AT_MS)
    assert over.dedup_key == sources.parse(payload).dedup_key


def test_another_alarm_of_the_same_definition_is_another_incident(payload):
    assert sources.parse(payload | {"alarm_id": "other"}).dedup_key != sources.parse(payload).dedup_key


def test_what_people_try_with_curl_fires():
    found = sources.parse(sample("monasca_curl"))

    assert found.source == "monasca"
    assert found.is_firing
    assert (found.title, found.severity, found.dedup_key) == ("fire alarm", "Critical", "monasca\n1234")
    assert found.alerts[0].starts_at_ms is None
    assert found.alerts[0].labels == {
        "alertname": "fire alarm",
        "metric": "1234",
        "alarm_definition_id": "freddef",
        "tenant_id": "tenant1234",
    }
    assert found.alerts[0].annotations["message"] == "this is the message"
    assert found.warnings == ()


@pytest.mark.parametrize(
    ("state", "severity"),
    [("ALARM", "unknown"), ("alarm", "unknown"), ("HIGH", "HIGH"), ("", "unknown"), (None, "unknown"), (7, "unknown")],
)
def test_every_other_state_fires_and_is_the_severity_where_it_is_one(payload, state, severity):
    found = sources.parse(payload | {"state": state})

    assert found.is_firing
    assert found.severity == severity


def test_undetermined_is_no_alert_unless_the_settings_say_so(payload):
    payload["state"] = "UNDETERMINED"

    with pytest.raises(NotAnAlert, match=r"'cpu idle low' is UNDETERMINED, .* sources\.monasca\.undetermined"):
        sources.parse(payload)

    assert sources.parse(payload, settings("fire")).is_firing
    assert not sources.parse(payload, settings("resolve")).is_firing


@pytest.mark.parametrize(
    ("metrics", "named", "resource"),
    [
        (metric("cpu", hostname="a"), "cpu", "a"),
        ([metric("cpu", hostname="a"), metric("mem", hostname="a")], "cpu, mem", "a"),
        ([metric("cpu", hostname="a"), metric("cpu", hostname="b")], "cpu", ""),
        (["cpu", None, 3, ["x"]], "cpu, 3", ""),
        ([], None, ""),
        (None, None, ""),
        ({"dimensions": "x"}, None, ""),
    ],
)
def test_metrics_are_read_in_every_form(payload, metrics, named, resource):
    [alert] = sources.parse(payload | {"metrics": metrics}).alerts

    assert (alert.labels.get("metric"), alert.resource) == (named, resource)


@pytest.mark.parametrize(
    ("timestamp", "starts_at_ms"),
    [
        (1777890001, AT_MS),
        (1777890001.25, AT_MS + 250),
        (1777890001000, AT_MS),
        (0, None),
        (-1, None),
        (True, None),
        (10**30, None),
        (float("nan"), None),
        (float("inf"), None),
        ([1777890001], None),
    ],
)
def test_the_timestamp_is_in_seconds_and_nonsense_is_none(payload, timestamp, starts_at_ms):
    assert sources.parse(payload | {"alarm_timestamp": timestamp}).alerts[0].starts_at_ms == starts_at_ms


def test_without_a_name_the_id_is_the_title(payload):
    assert sources.parse(payload | {"alarm_name": None, "metrics": []}).title == payload["alarm_id"]


@pytest.mark.parametrize("alarm_id", ["", None, {}, " "])
def test_without_an_alarm_id_it_is_read_as_generic_with_a_warning(payload, alarm_id):
    found = sources.parse(payload | {"alarm_id": alarm_id})

    assert found.source == "monasca"
    assert found.warnings[0].startswith("this looks like monasca, but its alarm_id is empty; ")


@given(damaged(sample("monasca_alarm")), st.sampled_from(["ignore", "fire", "resolve"]))
def test_whatever_is_in_a_notification_it_is_read(payload, undetermined):
    assert_is_sound(sources.parse(payload, settings(undetermined)))
