"""What tells one incident from another."""

import pytest

from tests.support.factories import make_alert, make_incident, make_notification
from versus_py.incidents.copies import replace
from versus_py.incidents.identity import dedup_key, is_the_same, of_sender, shares_an_alert, steady_title


@pytest.mark.parametrize(
    ("fires", "ends"),
    [
        ("host1 DOWN", "host1 UP"),
        ("[FIRING:1] DiskFull", "[RESOLVED] DiskFull"),
        ("Triggered: CPU high", "Recovered: CPU high"),
        ("PROBLEM - db-7 is CRITICAL", "OK - db-7 is OK"),
        ("CPU high (open)", "CPU high (closed)"),
        ("Alert! Queue stuck", "queue stuck"),
        ("Disk 91 % full", "Disk 92.5% full"),
        ("Queue has > 120 messages", "Queue has > 7 messages"),
        ("p99 is 350ms (limit 200ms)", "p99 is 1.2 s (limit 200ms)"),
        ("load > 12.5, since 12:30", "load > 3, since 18:05"),
    ],
)
def test_a_title_without_its_state_is_the_same_for_an_alert_and_its_end(fires, ends):
    assert steady_title(fires) == steady_title(ends)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("backup is late", "payment database is down"),
        ("db-1 DOWN", "db-2 DOWN"),
        ("Update", "Upkeep"),
        ("10.0.0.1 DOWN", "10.0.0.2 DOWN"),
        ("node7 is gone", "node8 is gone"),
        ("Store 1204 offline", "Store 1317 offline"),
    ],
)
def test_titles_of_different_things_stay_different(one, other):
    assert steady_title(one) != steady_title(other)


def test_a_key_has_its_parts_in_lines_of_their_own():
    assert dedup_key("alertmanager", "versus", "g") == "alertmanager\nversus\ng"
    assert dedup_key("grafana", "versus", "g", "org 1") == "grafana\nversus\norg 1\ng"
    assert of_sender("k", "prod") == "token prod\nk"
    assert of_sender("k", "") == "k"


OLD = make_incident(replace(make_alert(), fingerprint="17"), title="backup is late", dedup_key="generic\n17")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({"title": "[RESOLVED] backup is late"}, True, id="the same title"),
        pytest.param({"title": "payment database is down"}, True, id="the same fields"),
        pytest.param({"title": "T", "alerts": (replace(make_alert(job="x"), fingerprint="17"),)}, False, id="neither"),
        pytest.param(
            {"title": "T", "alerts": (replace(make_alert(job="x", firing=False), fingerprint="17"),)},
            False,
            id="the end of a number",
        ),
        pytest.param(
            {"title": "T", "alerts": (replace(make_alert(job="x", firing=False), fingerprint="abc"),)},
            True,
            id="the end of a name",
        ),
    ],
)
def test_what_an_older_key_names_has_to_look_like_it(fields, expected):
    alerts = fields.pop("alerts", (replace(make_alert(), fingerprint="17"),))

    assert is_the_same(OLD, make_notification(*alerts, **fields)) is expected


@pytest.mark.parametrize(
    ("before", "now", "expected"), [("", "prod", True), ("prod", "", True), ("prod", "prod", True), ("eu", "us", False)]
)
def test_a_sender_may_have_got_a_token_but_not_that_of_another(before, now, expected):
    incident = make_incident(sender=before, group="g")
    notification = make_notification(sender=now, group="g")

    assert is_the_same(incident, notification) is expected
    assert shares_an_alert(incident, notification) is expected


@pytest.mark.parametrize(
    ("alert", "expected"),
    [
        pytest.param(make_alert(), True, id="the same"),
        pytest.param(make_alert(starts_at_ms=1), False, id="another start"),
        pytest.param(make_alert(fingerprint="fp-DiskFull", instance="b"), True, id="with further labels"),
        pytest.param(make_alert("Other", fingerprint="fp-DiskFull"), False, id="other labels"),
    ],
)
def test_an_alert_is_shared_by_its_labels_and_its_start(alert, expected):
    assert shares_an_alert(make_incident(group="g"), make_notification(alert, group="g")) is expected


def test_organisations_share_no_alerts():
    assert not shares_an_alert(make_incident(namespace="org 1"), make_notification(namespace="org 2"))
