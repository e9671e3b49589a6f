"""Any JSON object is an alert."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.payloads import assert_is_sound, json_values
from versus_py import sources
from versus_py.errors import NotAnAlert
from versus_py.incidents.grouping import Grouping


@pytest.mark.parametrize(
    ("payload", "title"),
    [
        ({"title": "T", "message": "M"}, "T"),
        ({"message": "M", "name": "N"}, "N"),
        ({"log": "OOM killed"}, "OOM killed"),
        ({"labels": {"alertname": "FromLabels"}}, "FromLabels"),
        ({"title": {"not": "text"}, "text": "x"}, "x"),
        ({"title": "  ", "msg": "m"}, "m"),
    ],
)
def test_the_title_comes_from_the_usual_fields(payload, title):
    assert sources.parse(payload).title == title


def test_a_payload_that_says_nothing_is_still_an_alert_with_a_warning():
    found = sources.parse({})

    assert found.is_firing
    assert found.title == "Alert without a title"
    assert "no title found" in found.warnings[0]


@pytest.mark.parametrize("status", ["resolved", "OK", "closed", "recovered", "normal"])
@pytest.mark.parametrize("field", ["status", "state", "event_action"])
def test_the_words_for_resolved(field, status):
    assert not sources.parse({"title": "T", field: status}).is_firing


@pytest.mark.parametrize("status", ["firing", "ALARM", "open", "", 7, None, ["resolved"]])
def test_everything_else_fires(status):
    assert sources.parse({"title": "T", "status": status}).is_firing


@pytest.mark.parametrize("field", ["dedup_key", "fingerprint", "alias", "incident_key"])
@pytest.mark.parametrize("value", ["abc", 17])
def test_a_field_that_is_there_to_identify_makes_the_dedup_key_by_itself(field, value):
    assert sources.parse({"title": "T", field: value}).dedup_key == f"generic\n{value}"


def key(**payload):
    return sources.parse(payload).dedup_key


@pytest.mark.parametrize("field", ["id", "uuid", "alert_id", "incident_id", "event_id"])
def test_a_field_that_numbers_things_names_no_incident_of_another_tool(field):
    theirs = key(**{field: "17", "title": "backup is late"})

    assert key(**{field: "17", "title": "payment database is down", "severity": "critical"}) != theirs
    assert key(**{field: "17", "title": "payment database is down"}) != theirs
    assert key(**{field: "17", "status": "closed"}) != theirs
    assert key(**{field: "17", "title": "backup is late", "host": "db-1"}) != theirs


@pytest.mark.parametrize("field", ["id", "uuid", "alert_id", "incident_id", "event_id"])
def test_a_repeat_and_the_end_of_an_alert_that_has_a_number_name_its_incident(field):
    fires = key(**{field: 17, "title": "[FIRING:1] host1 DOWN", "severity": "CRITICAL", "status": "DOWN"})
    ends = key(**{field: 17, "title": "[RESOLVED] host1 UP", "severity": "OK", "status": "UP", "ended_at": "now"})

    assert ends == fires


@pytest.mark.parametrize(
    "name", ["resolvedAt", "closed_at", "endTime", "end_time", "recovered_at", "updatedAt", "ended_on"]
)
def test_fields_that_say_when_may_come_and_go(name):
    assert key(**{"id": "c1", "title": "T", name: "now"}) == key(id="c1", title="T")


@pytest.mark.parametrize("name", ["host", "service", "check", "monitor", "instance"])
def test_the_numbers_of_things_about_different_resources_are_different(name):
    one, other = (key(**{"id": 17, "title": "T", name: value}) for value in ("a", "b"))

    assert one != other
    assert one == key(**{"id": 17, "title": "another title", name: "a"})


def test_an_identity_that_is_no_number_needs_no_title():
    assert key(id="c1", title="host1 is down") == key(id="c1", title="host1 is fine again")


@pytest.mark.parametrize("field", ["dedup_key", "id"])
def test_what_an_earlier_version_made_of_an_identity_is_still_tried(field):
    found = sources.parse({"title": "T", field: "abc"})

    assert "generic\nabc" in (found.dedup_key, *found.older_keys)


def test_without_an_identity_there_is_no_dedup_key():
    assert sources.parse({"title": "T", "id": {"x": 1}}).dedup_key is None


def test_severity_and_links_are_found():
    found = sources.parse({"title": "T", "labels": {"severity": "high"}, "link": "https://x.example/1"})

    assert (found.severity, found.url) == ("high", "https://x.example/1")
    assert sources.parse({"title": "T"}).severity == "unknown"


def test_the_resource_and_the_runbook_are_found():
    labels, annotations = {"host": "db-7"}, {"runbook_url": "https://wiki.example/backup"}

    [alert] = sources.parse({"title": "T", "labels": labels, "annotations": annotations}).alerts

    assert (alert.resource, alert.links) == ("db-7", {"Runbook": "https://wiki.example/backup"})


@pytest.mark.parametrize("url", ["javascript:alert(1)", "https://x.example/\n", "http://x.example/\u2028", "http://[x"])
def test_a_link_that_is_no_plain_url_is_dropped(url):
    assert sources.parse({"title": "T", "url": url + "x"}).url == ""


NAMED = {"id": "disk-7", "status": "resolved"}
BROKEN: dict[str, dict[str, Any]] = {
    "alertmanager": {"alerts": [], "groupKey": "x"},
    "grafana": {"alerts": [], "groupKey": "x", "orgId": 1, "version": "1"},
    "monasca": {"alarm_id": "", "alarm_name": "cpu", "state": "OK"},
    "sentry": {"action": "resolved", "data": None, "installation": {}},
}


@pytest.mark.parametrize("grouping", [Grouping(), Grouping(per_alert=True)], ids=["by group", "by alert"])
def test_a_broken_payload_names_no_incident_but_of_those_broken_alike(grouping):
    broken = [sources.parse(payload | NAMED) for payload in BROKEN.values()]
    sound = sources.parse(NAMED), sources.parse({"alarm_id": "disk-7", "alarm_name": "cpu", "state": "OK"})

    keys = [it.dedup_key for found in (*broken, *sound) for it in grouping.arrange(found)]

    assert [found.source for found in broken] == list(BROKEN)
    assert len({*keys}) == len(keys)
    assert sources.parse(BROKEN["monasca"] | {"state": "ALARM", "id": "disk-7"}).dedup_key == broken[2].dedup_key


def test_one_that_is_said_to_be_of_another_source_is_a_generic_one():
    found = sources.parse(NAMED, name="alertmanager")

    assert (found.source, found.dedup_key) == ("generic", sources.parse(NAMED).dedup_key)


known_names = st.sampled_from(
    [
        *("alerts", "groupKey", "groupLabels", "status", "title", "labels", "annotations", "id", "url"),
        *("truncatedAlerts", "orgId", "version", "alarm_id", "alarm_name", "state", "date", "log"),
    ]
)


@given(st.dictionaries(known_names | st.text(), json_values, max_size=8))
def test_no_object_whatever_is_refused(payload):
    assert_is_sound(sources.parse(payload))


@given(st.dictionaries(known_names, json_values), st.sampled_from([None, *sources.SOURCES]))
def test_what_is_said_is_said_for_the_source_that_the_payload_is_of(payload, name):
    with suppress(NotAnAlert):
        found = sources.parse(payload, name=name)

        assert found.source == sources.source_of(payload, name).NAME
        assert found.dedup_key is None or found.dedup_key.startswith(f"{found.source}\n")
