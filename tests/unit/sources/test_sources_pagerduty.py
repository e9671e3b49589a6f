"""Events of PagerDuty's Events API v2: what is shown of them, and what they are about."""

from typing import Any

import pytest

from versus_py.incidents.model import SenderRequest
from versus_py.sources import parse, source_of

EVENT: dict[str, Any] = {
    "routing_key": "R0UTINGKEY0123456789",
    "event_action": "trigger",
    "dedup_key": "disk-db-7",
    "payload": {
        "summary": "The disk of db-7 is full",
        "source": "db-7",
        "severity": "critical",
        "timestamp": "2026-11-28T10:00:00Z",
        "component": "postgres",
        "group": "storage",
        "class": "disk",
        "custom_details": {
            "free": "2 %",
            "http": {"status": 503},
            "hosts": ["a", "b"],
            "log": "first line\nsecond line",
            "api_token": "s3cret",
        },
    },
    "client": "Checks",
    "client_url": "https://checks.example/1",
    "links": [{"href": "https://runbooks.example/disk", "text": "Runbook"}, {"href": "javascript:alert(1)"}],
    "images": [{"src": "https://graphs.example/1.png", "alt": "Graph"}, {"src": "https://graphs.example/2.png"}],
}
LISTED = [
    {"labels": {"alertname": "DiskFull", "team": "db", "instance": "a"}, "annotations": {"summary": "full"}},
    {"labels": {"alertname": "DiskFull", "team": "db", "instance": "b"}, "annotations": {"summary": "full"}},
]


def event(action="trigger", **changes):
    return EVENT | {"event_action": action} | changes


def test_an_event_is_read_fully():
    found = parse(EVENT)
    [alert] = found.alerts

    assert (found.source, found.title, found.severity) == ("pagerduty", "The disk of db-7 is full", "critical")
    assert (found.url, alert.resource, found.warnings) == ("https://checks.example/1", "db-7", ())
    assert alert.labels == {
        "free": "2 %",
        "http.status": "503",
        "hosts": "a, b",
        "source": "db-7",
        "component": "postgres",
        "group": "storage",
        "class": "disk",
        "client": "Checks",
    }
    assert alert.annotations == {"log": "first line\nsecond line"}
    assert alert.links == {
        "Runbook": "https://runbooks.example/disk",
        "Graph": "https://graphs.example/1.png",
        "Image 2": "https://graphs.example/2.png",
    }


def test_neither_the_routing_key_nor_another_secret_is_in_what_is_shown():
    shown = str(parse(EVENT))

    assert "R0UTINGKEY" not in shown
    assert "s3cret" not in shown


def test_labels_that_listed_alerts_have_in_common_are_labels_so_that_routes_match_them():
    [alert] = parse(event(payload=EVENT["payload"] | {"custom_details": {"firing": LISTED}})).alerts

    assert alert.labels["team"] == "db"
    assert "instance" not in alert.labels
    assert alert.annotations["summary"] == "full"


@pytest.mark.parametrize("body", [EVENT, event("resolve"), {"event_action": "resolve", "dedup_key": "disk-db-7"}])
def test_trigger_and_resolve_are_about_the_incident_of_their_dedup_key(body):
    assert parse(body).dedup_key == "pagerduty\ndisk-db-7"


def test_a_resolve_is_over_and_repeats_begin_nothing_anew():
    later = event(payload=EVENT["payload"] | {"timestamp": "2026-11-28T11:00:00Z"})

    assert not parse(event("resolve")).is_firing
    assert parse(later) == parse(EVENT)


def test_an_acknowledge_says_nothing_about_what_fires():
    found = parse({"event_action": "acknowledge", "dedup_key": "disk-db-7"})

    assert (found.alerts, found.asks) == ((), SenderRequest(acknowledges=True))


def test_without_a_dedup_key_each_event_is_an_incident_of_its_own():
    assert parse({key: value for key, value in EVENT.items() if key != "dedup_key"}).dedup_key is None


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (event(payload={"source": "db-7"}), "payload.summary is empty"),
        (event("resolve", dedup_key=""), "dedup_key is empty"),
    ],
)
def test_what_is_broken_is_read_as_a_generic_alert_with_a_warning(body, problem):
    found = parse(body)

    assert found.source == "pagerduty"
    assert problem in found.warnings[0]


@pytest.mark.parametrize(
    ("body", "source"),
    [
        ({"event_action": "trigger", "payload": {"summary": "x"}}, "pagerduty"),
        ({"event_action": "trigger", "title": "x"}, "generic"),
        ({"event_action": "renamed", "payload": {}, "routing_key": "x"}, "generic"),
    ],
)
def test_its_shape_is_told_from_others(body, source):
    assert source == source_of(body).NAME
