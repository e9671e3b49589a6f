"""Alertmanager's webhook, as its documentation and its source describe it."""

import copy
import json
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.factories import make_alert, make_incident
from tests.support.payloads import assert_is_sound, damaged, sample
from versus_py import sources
from versus_py.incidents.copies import replace
from versus_py.incidents.model import Alert, AlertStatus, Incident
from versus_py.sources.alertmanager import ALERTS_MAX, _canonical, silence_url


@given(st.dictionaries(st.text(), st.text()))
def test_labels_have_the_canonical_form_that_json_gives_them(labels):
    assert _canonical(labels) == json.dumps(labels, sort_keys=True)


@pytest.fixture
def payload():
    """The sample of the API facts: Alertmanager 0.32 or newer, one firing alert."""
    return sample("alertmanager_firing")


def test_one_group_is_one_notification(payload):
    found = sources.parse(payload)

    assert found.source == "alertmanager"
    assert found.title == "DiskFull: Disk 97% on db-7"
    assert found.severity == "critical"
    assert found.url == "http://am:9093"
    assert found.is_complete
    assert found.warnings == ()
    [alert] = found.alerts
    assert alert.fingerprint == "5ef77f1f8a3ecf8d"
    assert alert.status is AlertStatus.FIRING
    assert alert.url == "http://prom:9090/graph?g0.expr=x"


def test_nanoseconds_are_read_and_the_year_one_means_not_yet(payload):
    [alert] = sources.parse(payload).alerts

    assert alert.starts_at_ms == datetime(2026, 5, 4, 10, 20, 1, 123000, tzinfo=UTC).timestamp() * 1000
    assert alert.ends_at_ms is None


def test_an_offset_is_honoured(payload):
    payload["alerts"][0]["startsAt"] = "2026-05-04T12:20:01.5+02:00"

    [alert] = sources.parse(payload).alerts

    assert alert.starts_at_ms == datetime(2026, 5, 4, 10, 20, 1, 500000, tzinfo=UTC).timestamp() * 1000


def test_a_resolved_payload_resolves(payload):
    payload["status"] = "resolved"
    payload["alerts"][0] |= {"status": "resolved", "endsAt": "2026-05-04T10:30:01Z"}

    found = sources.parse(payload)

    assert not found.is_firing
    assert found.alerts[0].ends_at_ms == datetime(2026, 5, 4, 10, 30, 1, tzinfo=UTC).timestamp() * 1000


def test_firing_and_resolved_have_the_same_dedup_key_and_other_receivers_another(payload):
    firing = sources.parse(payload)
    over = copy.deepcopy(payload)
    over["alerts"][0]["status"] = "resolved"
    other = payload | {"receiver": "versus-immediate"}

    assert sources.parse(over).dedup_key == firing.dedup_key
    assert sources.parse(other).dedup_key != firing.dedup_key


def test_the_path_of_the_route_is_no_part_of_the_identity(payload):
    edited = payload | {"groupKey": '{}/{severity=~"critical|page"}:{alertname="DiskFull"}'}

    assert sources.parse(edited).dedup_key == sources.parse(payload).dedup_key
    assert sources.parse(edited).lister != sources.parse(payload).lister


def test_groups_without_labels_are_told_by_their_route(payload):
    one, other = (payload | {"groupLabels": {}, "groupKey": f'{{}}/{{team="{team}"}}:{{}}'} for team in "ab")

    assert sources.parse(one).dedup_key != sources.parse(other).dedup_key


def test_the_address_of_the_sender_is_no_part_of_the_identity_but_of_who_lists(payload):
    peer = payload | {"externalURL": "http://am-1:9093"}

    assert sources.parse(peer).dedup_key == sources.parse(payload).dedup_key
    assert sources.parse(peer).lister != sources.parse(payload).lister


def test_what_names_no_group_is_known_by_the_labels_that_its_alerts_share(payload):
    del payload["groupKey"], payload["groupLabels"]
    labels = payload["commonLabels"]

    found = sources.parse(payload)

    assert labels
    assert found.source == "alertmanager"
    assert not found.is_ungrouped
    assert found.dedup_key == sources.parse(payload | {"alerts": payload["alerts"] * 2}).dedup_key
    assert found.dedup_key != sources.parse(payload | {"commonLabels": {"alertname": "Other"}}).dedup_key


def test_what_names_no_group_and_shares_no_labels_is_of_single_alerts():
    payload = {"status": "firing", "alerts": [{"status": "firing", "labels": {"alertname": "X"}}]}

    found = sources.parse(payload)

    assert (found.source, found.title, found.is_ungrouped) == ("alertmanager", "X", True)


@pytest.mark.parametrize("alerts", [[], [{}], [{"labels": "none"}], "none", None])
def test_a_list_of_something_else_is_a_generic_alert(alerts):
    assert sources.parse({"alerts": alerts, "title": "T"}).source == "generic"


def test_without_a_group_key_the_group_labels_identify(payload):
    del payload["groupKey"]
    other = payload | {"groupLabels": {"alertname": "Other"}}

    assert sources.parse(payload).dedup_key == sources.parse(copy.deepcopy(payload)).dedup_key
    assert sources.parse(payload).dedup_key != sources.parse(other).dedup_key


def test_a_truncated_payload_is_not_complete_and_says_so(payload):
    found = sources.parse(payload | {"truncatedAlerts": 7})

    assert (found.truncated_alerts, found.is_complete) == (7, False)
    assert "7 alerts were cut off" in found.warnings[0]
    [said, *_] = sources.parse(payload | {"truncatedAlerts": 1}).warnings
    assert said.startswith("1 alert was cut off")


def test_the_severity_is_the_highest_of_what_fires(payload):
    template = payload["alerts"][0]
    payload["alerts"] = [
        template | {"labels": {"severity": "warning"}, "fingerprint": "1"},
        template | {"labels": {"severity": "critical"}, "fingerprint": "2", "status": "resolved"},
        template | {"labels": {"severity": "Error"}, "fingerprint": "3"},
        template | {"labels": {"severity": "odd"}, "fingerprint": "4"},
    ]

    assert sources.parse(payload).severity == "Error"


def test_alerts_that_are_no_objects_are_left_out_with_a_warning(payload):
    payload["alerts"] += ["x", None, 3]

    found = sources.parse(payload)

    assert len(found.alerts) == 1
    assert not found.is_complete
    assert "3 of 4 alerts" in found.warnings[0]


def test_a_payload_without_any_alert_is_read_as_generic_with_a_warning(payload):
    found = sources.parse(payload | {"alerts": [], "title": "Odd"})

    assert (found.source, found.title) == ("alertmanager", "Odd")
    assert "looks like alertmanager" in found.warnings[0]


@pytest.mark.parametrize(
    "damage",
    [
        {"labels": None},
        {"labels": ["a"]},
        {"annotations": 3},
        {"startsAt": "yesterday"},
        {"startsAt": 12},
        {"startsAt": "2026-05-04T10:20:01"},
        {"endsAt": {}},
        {"fingerprint": None},
        {"generatorURL": "javascript:alert(1)"},
        {"generatorURL": "http://[broken"},
        {"status": None},
        {"labels": {"a": {"b": "c"}, "n": 3, "t": True}},
    ],
)
def test_a_damaged_field_does_not_cost_the_alert(payload, damage):
    payload["alerts"][0] |= damage

    found = sources.parse(payload)

    assert found.source == "alertmanager"
    assert found.is_firing
    assert not found.alerts[0].url.startswith("javascript")


def test_without_names_the_group_labels_make_the_title(payload):
    payload["alerts"][0] |= {"labels": {}, "annotations": {}}

    assert sources.parse(payload).title == "alertname=DiskFull"


def test_a_title_is_one_line_and_not_too_long(payload):
    payload["alerts"][0]["annotations"]["summary"] = "a\nb " + "x" * 1000

    title = sources.parse(payload).title

    assert "\n" not in title
    assert len(title) == 250
    assert title.endswith("…")


@pytest.mark.parametrize(
    ("labels", "resource"),
    [
        ({"instance": "db-7:9100", "pod": "node-exporter-x2"}, "db-7:9100"),
        ({"pod": "cart-5f7", "namespace": "shop"}, "cart-5f7"),
        ({"hostname": "node-3"}, "node-3"),
        ({"instance": ""}, ""),
        ({}, ""),
    ],
)
def test_the_resource_comes_from_the_usual_labels(payload, labels, resource):
    payload["alerts"][0]["labels"] = labels

    assert sources.parse(payload).alerts[0].resource == resource


def test_a_runbook_and_a_dashboard_are_links_as_far_as_they_are_pages_of_the_web(payload):
    payload["alerts"][0]["annotations"] |= {
        "runbook_url": "https://wiki.example/DiskFull",
        "dashboard": "see the wiki",
        "dashboard_url": "javascript:alert(1)",
    }

    assert sources.parse(payload).alerts[0].links == {"Runbook": "https://wiki.example/DiskFull"}


@given(damaged(sample("alertmanager_firing")))
def test_whatever_is_in_a_group_it_is_read(payload):
    assert_is_sound(sources.parse(payload))


def incident_of(*alerts: Alert) -> Incident:
    return replace(make_incident(*alerts), url="http://am.example:9093/prefix/")


def test_the_silence_page_is_filled_in_with_what_all_that_fires_has_in_common():
    disk, host = make_alert("DiskFull", team='"storage" & more'), make_alert("HostDown", team='"storage" & more')

    url = urlsplit(silence_url(incident_of(disk, host)))

    assert f"{url.scheme}://{url.netloc}{url.path}" == "http://am.example:9093/prefix/"
    page, _, query = url.fragment.partition("?")
    assert page == "/silences/new"
    assert parse_qs(query, strict_parsing=True) == {
        "filter": ['{severity="critical",team="\\"storage\\" & more"}'],
    }


@pytest.mark.parametrize(
    "incident",
    [
        pytest.param(replace(incident_of(), source="grafana"), id="another source"),
        pytest.param(replace(incident_of(), has_other_senders=True), id="of several senders"),
        pytest.param(replace(incident_of(), url=""), id="nobody knows where"),
        pytest.param(incident_of(make_alert(firing=False)), id="nothing fires"),
    ],
)
def test_there_is_no_silence_page_for_what_is_not_all_alertmanagers(incident):
    assert silence_url(incident) == ""


def test_of_more_alerts_than_are_read_those_that_fire_come_first_and_the_rest_is_counted():
    resolved = {"status": "resolved", "labels": {"alertname": "Over"}, "fingerprint": "over"}
    firing = {"status": "firing", "labels": {"alertname": "DiskFull"}, "fingerprint": "fires"}

    found = sources.parse({"groupKey": "g", "alerts": [*[resolved] * (ALERTS_MAX + 6), firing]})

    assert len(found.alerts) == ALERTS_MAX
    assert found.alerts[0].fingerprint == "fires"
    assert (found.truncated_alerts, found.is_complete) == (7, False)
    assert found.warnings == (f"only {ALERTS_MAX} of {ALERTS_MAX + 7} alerts were read, those that fire first",)


def test_a_count_that_no_sender_means_stays_a_number_that_json_can_hold():
    found = sources.parse({"groupKey": "g", "alerts": [{}], "truncatedAlerts": 10**300})

    assert 0 < found.truncated_alerts < 2**53
