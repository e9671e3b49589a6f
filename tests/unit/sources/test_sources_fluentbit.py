"""Records of Fluent Bit's http output, as its documentation describes them."""

import json

import pytest
from hypothesis import given

from tests.support.payloads import assert_is_sound, damaged, sample
from versus_py import sources

AT_MS = 1777890001123


@pytest.fixture
def record():
    return sample("fluentbit_records")[0]


def dedup_key(record):
    found = sources.parse(record)
    assert found.source == "fluentbit"
    return found.dedup_key


def test_a_record_fires(record):
    found = sources.parse(record)

    assert found.source == "fluentbit"
    assert (found.title, found.severity) == ("OOM killed process 4242 (java)", "error")
    assert found.warnings == ()
    [alert] = found.alerts
    assert alert.is_firing
    assert alert.resource == "cart-5f7"
    assert (alert.starts_at_ms, alert.ends_at_ms) == (AT_MS, None)
    assert alert.labels == {"level": "error", "namespace_name": "shop", "pod_name": "cart-5f7"}
    assert alert.annotations == {}


def test_a_record_without_kubernetes_is_about_its_host():
    found = sources.parse(sample("fluentbit_records")[1] | {"hostname": "db-7"})

    assert (found.title, found.severity, found.alerts[0].resource) == ("restarting", "warn", "db-7")


@pytest.mark.parametrize(
    ("line", "again"),
    [
        ("OOM killed process 4242 (java)", "OOM killed process 77 (java)"),
        ("job 3f2b8a1c-0000-4000-8000-00000000aB01 failed", "job 11111111-2222-3333-4444-555555555555 failed"),
        ("at 0x7ffe01 in main", "at 0xDEADBEEF in main"),
        ("commit 9fceb02d0ae598e95dc970b74767f19372d61af8", "commit 3a17155"),
        ("2026-05-04T10:20:00Z disk full", "2027-11-21T00:01:59Z disk full"),
        ("took 12.5 ms", "took 3.25 ms"),
        ("x" * 2000 + "this", "x" * 2000 + "that"),
    ],
)
def test_a_line_that_differs_in_numbers_only_or_far_from_its_start_is_the_same_incident(record, line, again):
    assert dedup_key(record | {"log": line}) == dedup_key(record | {"log": again})


@pytest.mark.parametrize(
    "change",
    [
        {"log": "OOM killed process 4242 (ruby)"},
        {"log": "facade of process 4242 (java)"},
        {"level": "warn"},
        {"kubernetes": {"pod_name": "cart-5f8"}},
    ],
)
def test_another_line_severity_or_pod_is_another_incident(record, change):
    assert dedup_key(record | change) != dedup_key(record)


def test_words_of_the_letters_a_to_f_are_no_hashes(record):
    assert dedup_key(record | {"log": "facade down"}) != dedup_key(record | {"log": "decade down"})


def test_how_the_severity_is_written_does_not_tell_incidents_apart(record):
    assert dedup_key(record | {"level": "ERROR"}) == dedup_key(record)


def test_the_labels_of_the_pod_are_labels(record):
    record["kubernetes"]["labels"] = {"app": "cart", "level": "x"}

    labels = sources.parse(record).alerts[0].labels

    assert (labels["app"], labels["level"]) == ("cart", "error")


def test_when_it_happened_does_not_tell_incidents_apart(record):
    assert dedup_key(record | {"date": 1777899999}) == dedup_key(record)


def test_an_identity_of_its_own_wins(record):
    assert dedup_key(record | {"fingerprint": "abc"}) == "fluentbit\nabc"


@pytest.mark.parametrize("status", ["resolved", "OK", "closed", "success"])
def test_a_status_in_a_line_is_about_something_else_and_the_line_fires(record, status):
    found = sources.parse(record | {"status": status})

    assert found.is_firing
    assert found.alerts[0].starts_at_ms == AT_MS


def test_a_status_ends_only_what_has_an_identity_of_its_own(record):
    over = sources.parse(record | {"status": "resolved", "level": "info", "dedup_key": "x", "date": 1777890601})

    assert not over.is_firing
    assert (over.alerts[0].starts_at_ms, over.alerts[0].ends_at_ms) == (None, 1777890601000)
    assert over.dedup_key == "fluentbit\nx"
    assert sources.parse(record | {"status": "resolved", "level": "info"}).is_firing


@pytest.mark.parametrize("level", ["warning", "error", "fatal"])
def test_a_line_of_level_warning_or_worse_ends_nothing(record, level):
    found = sources.parse(record | {"status": "resolved", "level": level, "dedup_key": "x"})

    assert found.is_firing
    assert found.warnings == (f"it fires although its status says otherwise: a line of level {level} ends nothing",)


def test_a_line_that_is_json_itself_is_read_and_keeps_its_incident(record):
    line = {"level": "fatal", "msg": "checkout crashed", "order": "17"}

    found = sources.parse(record | {"log": json.dumps(line)})

    assert (found.title, found.severity, found.alerts[0].labels["order"]) == ("checkout crashed", "fatal", "17")
    assert len(found.older_keys) == 1


@pytest.mark.parametrize("name", ["alert", "Alarm", "chart", "Title", "check_name"])
def test_what_names_an_alert_is_no_line_of_a_log(name):
    found = sources.parse({"date": 1777890001.5, "message": "disk 90 %", name: "disk_full"})

    assert found.source == "generic"


@pytest.mark.parametrize(
    ("date", "starts_at_ms"),
    [
        (1777890001.123456, AT_MS),
        (1777890001, 1777890001000),
        (1777890001123, AT_MS),
        ("2026-05-04T10:20:01.123456Z", AT_MS),
        ("2026-05-04 10:20:01.123456", AT_MS),
        ("2026-05-04T12:20:01.123+02:00", AT_MS),
        ("yesterday", None),
        (None, None),
        (True, None),
        ({}, None),
    ],
)
def test_the_date_is_read_in_every_format(record, date, starts_at_ms):
    [alert] = sources.parse(record | {"date": date}).alerts

    assert alert.starts_at_ms == starts_at_ms


@pytest.mark.parametrize("name", ["log", "message", "msg"])
def test_the_message_has_one_of_three_names(name):
    assert sources.parse({"date": 1777890001, name: "disk full"}).title == "disk full"


def test_a_message_of_many_lines_is_told_in_full_beside_its_title(record):
    found = sources.parse(record | {"log": "Traceback:\n  KeyError"})

    assert found.title == "Traceback: KeyError"
    assert found.alerts[0].annotations == {"message": "Traceback:\n  KeyError"}


@pytest.mark.parametrize(
    "payload",
    [
        {"date": 1777890001, "title": "Backup failed", "message": "disk full"},
        {"message": "disk full"},
        {"date": "tomorrow", "message": "disk full"},
        {"date": 1777890001, "log": {"nested": "x"}},
    ],
)
def test_what_may_be_something_else_is_left_to_the_generic_source(payload):
    assert sources.parse(payload).source == "generic"


def test_a_record_without_a_date_is_known_by_its_log():
    assert sources.parse({"log": "disk full"}).source == "fluentbit"


def test_a_very_long_line_is_read_in_reasonable_time(record):
    found = sources.parse(record | {"log": "a" * 500_000 + "1" * 500_000})

    assert len(found.title) == 250


@given(damaged(sample("fluentbit_records")[0]))
def test_whatever_is_in_a_record_it_is_read(payload):
    assert_is_sound(sources.parse(payload))


def test_the_same_pod_in_two_namespaces_is_two_incidents():
    one, other = (
        {"date": 1777890001.5, "log": "killed", "kubernetes": {"namespace_name": name, "pod_name": "db-0"}}
        for name in ("prod", "staging")
    )

    assert sources.parse(one).dedup_key != sources.parse(other).dedup_key


@pytest.mark.parametrize("name", ["alertname", "alert_name", "name", "title"])
def test_what_has_a_name_of_its_own_is_no_line_of_a_log(name):
    assert sources.parse({"date": 1777890001.5, "message": "threshold exceeded", name: "CPU"}).source == "generic"


@pytest.mark.parametrize(
    ("fields", "severity"),
    [
        ({"level": 3, "facility": "daemon"}, "error"),
        ({"priority": "2", "SYSLOG_IDENTIFIER": "sshd"}, "critical"),
        ({"level": 50, "pid": 7, "hostname": "web-1"}, "error"),
        ({"level": 60, "pid": 7, "hostname": "web-1"}, "fatal"),
        ({"level": 35, "pid": 7, "hostname": "web-1"}, "35"),
        ({"level": 3}, "3"),
    ],
)
def test_a_numeric_level_has_a_name_where_the_records_shape_tells_its_scale(fields, severity):
    assert sources.parse({"date": 1777890000.0, "log": "x"} | fields).severity == severity
