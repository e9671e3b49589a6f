"""Alerts as Opsgenie and Jira Service Management take them, and what is done about them."""

import pytest

from versus_py.incidents.model import SenderRequest
from versus_py.sources import parse, source_of

ALERT = {
    "message": "The disk of db-7 is full",
    "alias": "disk-db-7",
    "description": "2 % are free.\nIt fills within the hour.",
    "priority": "P1",
    "entity": "db-7",
    "source": "checks",
    "tags": ["storage", "prod"],
    "details": {"mount": "/var", "runbook_url": "https://runbooks.example/disk", "apiKey": "s3cret"},
    "responders": [{"type": "team", "name": "storage"}, {"type": "user", "username": "ana@example.com"}],
    "note": "seen before",
}


def done(action, **body):
    return parse({"action": action, "alias": "disk-db-7"} | body)


def test_an_alert_is_read_fully():
    found = parse(ALERT)
    [alert] = found.alerts

    assert (found.source, found.title, found.severity) == ("opsgenie", "The disk of db-7 is full", "P1")
    assert (found.dedup_key, alert.resource, found.warnings) == ("opsgenie\ndisk-db-7", "db-7", ())
    assert alert.labels == {
        "mount": "/var",
        "runbook_url": "https://runbooks.example/disk",
        "entity": "db-7",
        "source": "checks",
        "tags": "storage, prod",
        "responders": "storage, ana@example.com",
    }
    assert alert.annotations == {"description": ALERT["description"], "note": "seen before"}
    assert alert.links == {"Runbook": "https://runbooks.example/disk"}


@pytest.mark.parametrize("how", [{"status": "resolved"}, {"state": "closed"}, {"resolved": True}, {"action": "close"}])
def test_another_tools_alert_of_the_same_fields_is_over_when_it_says_so(how):
    found = parse(ALERT | how)

    assert (found.source, found.is_firing) == ("generic", False)
    assert found.dedup_key == "generic\ndisk-db-7"


def test_a_source_that_is_an_address_is_where_the_alert_leads():
    found = parse(ALERT | {"source": "http://alertmanager.example/#/alerts"})

    assert found.url == "http://alertmanager.example/#/alerts"
    assert "source" not in found.alerts[0].labels


def test_without_a_priority_the_severity_among_its_details_counts():
    alert = {"action": "Create", "alias": "a", "message": "x", "details": {"severity": "critical"}}

    assert parse(alert).severity == "critical"


def test_a_close_is_the_end_and_may_come_with_a_comment():
    found = done("Close", note="rebooted", user="ana")

    assert not found.is_firing
    assert found.dedup_key == "opsgenie\ndisk-db-7"
    assert found.asks == SenderRequest(comment="ana: rebooted")


@pytest.mark.parametrize(
    ("action", "body", "asked"),
    [
        ("Acknowledge", {}, SenderRequest(acknowledges=True)),
        ("Acknowledge", {"note": "mine"}, SenderRequest(acknowledges=True, comment="mine")),
        ("AddNote", {"note": "mine", "user": "ana"}, SenderRequest(comment="ana: mine")),
        ("UpdateMessage", {"message": "Fuller"}, SenderRequest(title="Fuller")),
        ("UpdateDescription", {"description": "1 %"}, SenderRequest(description="1 %")),
    ],
)
def test_requests_about_an_alert_say_nothing_about_whether_it_fires(action, body, asked):
    found = done(action, **body)

    assert (found.alerts, found.asks) == ((), asked)


@pytest.mark.parametrize(
    ("body", "source"),
    [
        ({"message": "x", "priority": "P3", "alias": "a"}, "opsgenie"),
        ({"message": "x", "responders": [{"type": "team", "name": "a"}]}, "opsgenie"),
        ({"message": "x", "priority": "P3"}, "generic"),
        ({"message": "x", "priority": "high", "alias": "a"}, "generic"),
        ({"action": "Create", "alert": {"alias": "a", "message": "x"}}, "generic"),
    ],
)
def test_its_shape_is_told_from_others(body, source):
    assert source == source_of(body).NAME
