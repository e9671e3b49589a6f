"""What is only counted when it is said again, and what has to be decided anew."""

import pytest

from tests.support.clock import START_MS
from tests.support.factories import make_alert, make_incident, make_notification
from versus_py.incidents.copies import replace
from versus_py.incidents.listings import seen
from versus_py.incidents.model import Actor, Delivery, Incident, Listing, Notification, Suppression
from versus_py.incidents.repeats import NAMED_AGAIN_MAX, WRITTEN_EVERY_MS, again, is_repeat
from versus_py.incidents.transitions import Change, acknowledge, observe

NOW = START_MS + 10_000
SAID = make_notification(make_alert("A"), make_alert("B"), group="list", url="http://am:9093")


def known(notification: Notification = SAID, **fields) -> Incident:
    """An incident as it is read, after *notification*."""
    incident = make_incident(*notification.alerts, group=notification.group, url=notification.url)
    return replace(incident, written_at_ms=START_MS, version=4, repeats=1, confirmations=1, **fields)


def heard(incident: Incident, notification: Notification = SAID, now_ms: int = NOW) -> Change:
    change = observe(incident, notification, now_ms)
    assert change is not None
    return replace(change, before=incident)


def test_the_same_once_more_is_counted():
    change = heard(known())

    assert is_repeat(change, NOW)
    found = again(change, SAID, NOW)
    assert found is not None
    assert (found.incident_id, found.dedup_key) == (change.incident.id, "group")
    assert found.written_version == 3
    assert found.targets == ("slack",)
    assert found.until_ms == START_MS + WRITTEN_EVERY_MS


@pytest.mark.parametrize(("alerts", "needed"), [(1, 1), (NAMED_AGAIN_MAX, 1), (NAMED_AGAIN_MAX + 1, 2)])
def test_it_is_written_as_a_whole_until_all_alerts_were_named_again(alerts, needed):
    told = make_notification(*(make_alert(f"A{it}") for it in range(alerts)), group="list", url="http://am:9093")
    for confirmations in range(needed + 1):
        change = heard(replace(known(told), confirmations=confirmations), told)

        assert is_repeat(change, NOW) is (confirmations == needed)
        assert (again(change, told, NOW) is not None) is (confirmations >= needed - 1)


def test_after_a_minute_it_is_written_and_counted_from_then_on():
    now_ms = START_MS + WRITTEN_EVERY_MS
    change = heard(known(), now_ms=now_ms)

    assert not is_repeat(change, now_ms)
    found = again(change, SAID, now_ms)
    assert found is not None
    assert (found.written_version, found.until_ms) == (4, now_ms + WRITTEN_EVERY_MS)


@pytest.mark.parametrize(
    "told",
    [
        make_notification(make_alert("A"), make_alert("B"), make_alert("C"), group="list", url="http://am:9093"),
        make_notification(make_alert("A"), make_alert("B", firing=False), group="list", url="http://am:9093"),
        make_notification(make_alert("A"), make_alert("B", severity="info"), group="list", url="http://am:9093"),
        replace(SAID, title="Another title"),
        replace(SAID, truncated_alerts=1),
        replace(SAID, url="http://other:9093"),
    ],
    ids=["joined", "left", "labels", "title", "truncated", "sender"],
)
def test_what_says_something_new_is_written(told):
    change = heard(known(), told)

    assert not is_repeat(change, NOW)
    assert again(change, told, NOW) is None


def test_a_body_that_is_another_one_is_written():
    change = replace(heard(known()), payload="packed")

    assert not is_repeat(change, NOW)
    assert again(change, SAID, NOW) is None


def listed_elsewhere(incident: Incident) -> Incident:
    other = {"u1.list": Listing(START_MS)}
    return replace(incident, alerts=tuple(replace(it, listings={**it.listings, **other}) for it in incident.alerts))


def dealt_with(incident: Incident) -> Incident:
    """Acknowledged when one of its alerts was not in it."""
    change = acknowledge(incident, Actor("ana"), START_MS)
    assert change is not None
    first, *others = change.incident.alerts
    unseen = replace(first, listings={name: replace(it, is_seen=False) for name, it in first.listings.items()})
    return replace(change.incident, alerts=(unseen, *others))


def failed(incident: Incident) -> Incident:
    call = replace(incident.calls["slack"], step=1, due_ms=START_MS, at_ms=START_MS)
    given_up = Delivery(failed_at_ms=START_MS + 1)
    calls, deliveries = {"slack": incident.calls["slack"], "servicenow": call}, {"servicenow": given_up}
    return replace(
        incident,
        alerts=seen(incident.alerts),
        seen_severity=incident.severity,
        escalates_at_ms=None,
        calls=calls,
        told=(*calls,),
        deliveries=deliveries,
    )


@pytest.mark.parametrize(
    "incident",
    [
        listed_elsewhere(known()),
        dealt_with(known()),
        failed(known()),
        known(suppression=Suppression(START_MS, "a silence")),
    ],
    ids=["another sender", "dealt with", "failed", "silenced"],
)
def test_what_more_than_the_incident_decides_is_decided_each_time(incident):
    change = heard(incident)

    assert is_repeat(change, NOW)
    assert again(change, SAID, NOW) is None


def test_of_a_part_of_the_alerts_it_is_decided_each_time():
    part = replace(SAID, alerts=SAID.alerts[:1], is_complete=False)
    change = heard(known(), part)

    assert is_repeat(change, NOW)
    assert again(change, part, NOW) is None


def test_what_is_no_list_is_decided_each_time():
    told = make_notification()
    change = heard(known(told), told)

    assert is_repeat(change, NOW)
    assert again(change, told, NOW) is None


def test_a_new_incident_is_no_repeat():
    change = replace(heard(known()), before=None)

    assert not is_repeat(change, NOW)
    assert again(change, SAID, NOW) is None
