"""An incident has a size, whatever is sent."""

import pytest

from tests.support.factories import POLICY, make_alert, make_incident, make_notification
from tests.support.groups import alert, group
from versus_py import sources
from versus_py.incidents.copies import replace
from versus_py.incidents.model import Notification
from versus_py.incidents.transitions import observe, trigger
from versus_py.incidents.updates import ALERTS_TEXT_MAX
from versus_py.sources.bounds import KEY_MAX, NAME_MAX, PAIRS_MAX, URL_MAX, VALUE_MAX

LONG = "x" * 1_000_000


def size(notification: Notification) -> int:
    return sum(alert.text_size for alert in notification.alerts)


@pytest.mark.parametrize(
    "payload",
    [
        group(alert("A", summary=LONG, instance=LONG)),
        {"title": "T", "id": LONG, "description": LONG, "labels": {"host": LONG}},
        {"alarm_id": LONG, "alarm_name": LONG, "state": "ALARM", "message": LONG},
        {"date": 1.5, "log": LONG, "level": "error", "kubernetes": {"labels": {"a": LONG}}},
        {"title": LONG, "severity": LONG, "url": f"https://x.example/{LONG}", "dedup_key": LONG},
        {"title": "T", **{f"field{number}": "y" * 100 for number in range(5000)}},
    ],
    ids=["alertmanager", "generic", "monasca", "fluentbit", "long names", "many fields"],
)
def test_whatever_is_sent_an_alert_has_a_size(payload):
    found = sources.parse(payload)

    assert size(found) <= (PAIRS_MAX * 2 + 5) * VALUE_MAX / 10
    assert len(found.dedup_key or "") <= KEY_MAX
    assert all(len(it.fingerprint) <= KEY_MAX for it in found.alerts)
    assert all(len(it.resource) <= NAME_MAX and len(it.severity) <= NAME_MAX for it in found.alerts)
    assert len(found.url) <= URL_MAX
    assert any("was cut off" in warning for warning in found.warnings)
    assert sources.parse(payload) == found


def test_long_identities_that_differ_at_their_end_stay_different():
    one, other = (sources.parse({"title": "T", "dedup_key": LONG + end}) for end in "ab")

    assert one.dedup_key != other.dedup_key


def test_what_is_short_is_kept_as_it_is():
    found = sources.parse(group(alert("A", summary="y" * VALUE_MAX)))

    assert found.alerts[0].annotations["summary"] == "y" * VALUE_MAX
    assert found.warnings == ()


def test_the_alerts_of_one_incident_have_a_size_and_the_first_keep_their_texts():
    alerts = [replace(make_alert(str(number)), annotations={"summary": "y" * 4000}) for number in range(500)]

    change = trigger(make_notification(*alerts), POLICY, dedup_key="k", now_ms=1)
    again = observe(change.incident, make_notification(*alerts), 2)

    kept = change.incident.alerts
    assert len(kept) == 500
    assert sum(alert.text_size for alert in kept) <= ALERTS_TEXT_MAX + 500 * 50
    assert kept[0] == replace(alerts[0], listings=kept[0].listings)
    assert (kept[-1].annotations, kept[-1].labels) == ({}, {"alertname": "499"})
    assert again is not None
    assert again.incident.alerts == kept  # so that a repeat writes nothing
    assert make_incident().alerts


def test_secrets_are_no_labels_in_any_source_and_at_the_end_of_any_path():
    labels = {
        "alertname": "A",
        "API-Key": "hunter2",
        "token": "hunter2",
        "a.Authorization.value": "hunter2",
        "password": "hunter2",
    }

    found = sources.parse({"alerts": [{"labels": labels, "annotations": {"client_secret": "hunter2", "summary": "S"}}]})

    assert found.alerts[0].labels == {"alertname": "A"}
    assert found.alerts[0].annotations == {"summary": "S"}
    assert "hunter2" not in repr(found)
    assert found.warnings == ()


@pytest.mark.parametrize("labels", [{"tokens": "512"}, {"has_token": "true"}, {"keyspace": "orders"}])
def test_a_label_that_tells_no_secret_stays(labels):
    assert sources.parse({"title": "T", "labels": labels}).alerts[0].labels == labels


def test_what_a_sender_asks_for_has_a_size_too():
    asked = {"alias": "disk-db-7", "note": "x" * 100_000, "description": "y" * 100_000}

    found = sources.parse(asked | {"action": "UpdateDescription"}).asks

    assert found is not None
    assert (len(found.comment), len(found.description)) == (VALUE_MAX, VALUE_MAX)
