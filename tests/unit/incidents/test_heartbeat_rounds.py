"""Heartbeats: each beat begins the time for the next one, and when that is over, the heartbeat is silent."""

import pytest

from tests.support.clock import START_MS
from tests.support.factories import make_alert, make_notification
from versus_py.incidents.copies import replace
from versus_py.incidents.heartbeats import (
    CATCH_UP_MS,
    LATE_MS,
    TARGET,
    Beat,
    beaten,
    expected_by_ms,
    fall_silent,
    first,
    heartbeat_id,
    heartbeat_key,
    is_heartbeat,
    is_silent,
    notification_of,
    opened_incident,
    reference,
    sent_by,
    without,
)
from versus_py.incidents.model import Delivery, Incident, IncidentId, incident_id
from versus_py.incidents.partitions import partition_of
from versus_py.incidents.policies import Asked

EVERY_MS = 5 * 60_000
BEAT = Beat("watchdog", EVERY_MS, labels={"alertname": "Watchdog", "severity": "none"}, sent_by="eu", sender="eu")
DUE_MS = START_MS + EVERY_MS


def known(*, told: str | None = "") -> Incident:
    """A heartbeat after its first beat; *told* is the incident that its target has opened, None: nothing yet."""
    heartbeat = first(BEAT, START_MS).incident
    delivery = Delivery() if told is None else Delivery({"incident": told})
    return replace(heartbeat, deliveries={TARGET: delivery})


def silent(*, told: str | None = "") -> Incident:
    change = fall_silent(known(told=told), DUE_MS)
    assert change is not None
    return change.incident


def notification(heartbeat: Incident, **of: str):
    return notification_of(heartbeat, of, every="5m", severity="critical")


def test_the_first_beat_says_when_the_next_one_is_due():
    change = first(BEAT, START_MS)

    assert expected_by_ms(change.incident) == change.incident.escalates_at_ms == DUE_MS
    assert not is_silent(change.incident)
    assert change.timers == {TARGET: START_MS}  # an incident of before Redis lost the heartbeat may be open
    assert change.entries == ()


def test_each_beat_moves_on_when_the_next_one_is_due():
    change = beaten(known(), BEAT, START_MS + 1000)

    assert change.timers == {TARGET: DUE_MS + 1000}
    assert change.incident.escalates_at_ms == expected_by_ms(change.incident) == DUE_MS + 1000
    assert change.entries == ()


def test_a_beat_goes_by_what_the_configuration_says_now():
    change = beaten(known(), replace(BEAT, every_ms=1000, asked=Asked(policy="low")), START_MS)

    assert change.timers == {TARGET: START_MS + 1000}
    assert change.incident.policy.asked == Asked(policy="low")


def test_who_sent_the_last_beat_is_known():
    assert sent_by(beaten(known(), replace(BEAT, sent_by="us"), START_MS).incident) == "us"


def test_a_heartbeat_is_not_silent_before_its_time():
    assert fall_silent(known(), DUE_MS - 1) is None


def test_a_heartbeat_is_silent_when_its_time_is_over():
    heartbeat = silent()

    assert is_silent(heartbeat)
    assert expected_by_ms(heartbeat) == DUE_MS
    assert fall_silent(heartbeat, DUE_MS + EVERY_MS) is None


@pytest.mark.parametrize(("every_ms", "more_ms"), [(EVERY_MS, EVERY_MS), (10_000, 10_000), (86_400_000, CATCH_UP_MS)])
def test_after_an_outage_of_ours_senders_have_time_to_come_again(every_ms, more_ms):
    heartbeat = first(replace(BEAT, every_ms=every_ms), START_MS).incident
    late_ms = START_MS + every_ms + LATE_MS + 1

    change = fall_silent(heartbeat, late_ms)

    assert change is not None
    assert not is_silent(change.incident)
    assert change.timers == {TARGET: late_ms + more_ms}
    assert change.incident.owed_at_ms == expected_by_ms(change.incident) == late_ms + more_ms
    after = fall_silent(change.incident, late_ms + more_ms)
    assert after is not None
    assert is_silent(after.incident)


def put_off() -> Incident:
    """After an outage that ended when it was due for a minute."""
    change = fall_silent(known(), DUE_MS + 60_000)
    assert change is not None
    return change.incident


def test_a_worker_that_is_always_late_does_not_put_a_silence_off_for_ever():
    change = fall_silent(put_off(), expected_by_ms(put_off()) + LATE_MS + 1)

    assert change is not None
    assert is_silent(change.incident)


def test_after_a_further_outage_senders_have_time_once_more():
    late_ms = expected_by_ms(put_off()) + CATCH_UP_MS + 1

    change = fall_silent(put_off(), late_ms)

    assert change is not None
    assert not is_silent(change.incident)
    assert expected_by_ms(change.incident) == late_ms + min(EVERY_MS, CATCH_UP_MS)


def test_a_silence_that_is_noticed_a_little_late_is_one():
    change = fall_silent(known(), DUE_MS + LATE_MS)

    assert change is not None
    assert is_silent(change.incident)


def test_a_silence_is_owed_until_it_is_told():
    assert known().owed_at_ms == DUE_MS
    assert silent().owed_at_ms == DUE_MS
    told = replace(silent(), deliveries={TARGET: Delivery({"incident": "i-0"}, synced_at_ms=DUE_MS)})
    assert told.owed_at_ms is None


@pytest.mark.parametrize("heartbeat", [silent(told="i-0"), silent(), known(told="i-0"), known(told=None)])
def test_a_beat_whose_silence_may_have_been_told_is_told_at_once(heartbeat):
    """Also a second beat, before the target has heard of the first."""
    change = beaten(heartbeat, BEAT, DUE_MS + 1)

    assert change.timers == {TARGET: DUE_MS + 1}
    assert not is_silent(change.incident)


def test_the_incident_of_a_silence_fires_since_the_last_beat():
    found = notification(silent())
    [alert] = found.alerts

    assert (found.title, found.severity) == ("watchdog has been silent for 5m", "critical")
    assert (alert.is_firing, alert.starts_at_ms) == (True, START_MS)
    assert alert.labels == {"alertname": "Watchdog", "severity": "critical", "heartbeat": "watchdog"}
    assert alert.annotations["description"].startswith("The last heartbeat came at 2026-05-04 10:20:00 UTC, from eu.")


def test_the_incident_of_a_silence_is_over_with_the_next_beat():
    found = notification(beaten(silent(), BEAT, DUE_MS + 1000).incident)
    [alert] = found.alerts

    assert found.dedup_key == notification(silent()).dedup_key
    assert alert.fingerprint == notification(silent()).alerts[0].fingerprint
    assert (alert.is_firing, alert.ends_at_ms) == (False, DUE_MS + 1000)


def test_heartbeats_of_one_name_are_called_by_what_tells_them_apart():
    assert (
        notification(silent(), cluster="eu", zone="").title == "watchdog (cluster=eu, zone=none) has been silent for 5m"
    )


def test_the_incident_of_the_silence_is_known_while_it_goes_on():
    assert opened_incident(silent(told="i-0")) == "i-0"
    assert opened_incident(silent()) is None
    assert opened_incident(known(told="i-0")) is None
    assert reference(IncidentId("i-0")) == {"incident": "i-0"}


def test_ids_of_heartbeats_are_told_from_those_of_incidents_and_end_in_their_partition():
    found = heartbeat_id(BEAT.key)

    assert is_heartbeat(found)
    assert not is_heartbeat(incident_id(BEAT.key, START_MS))
    assert found.rpartition("-")[2] == str(partition_of(BEAT.key))


def test_heartbeats_are_told_apart_by_name_labels_and_installation():
    beats = [
        BEAT,
        replace(BEAT, heartbeat="other"),
        replace(BEAT, of={"cluster": "eu"}),
        replace(BEAT, of={"cluster": ""}),
    ]

    assert len({heartbeat_id(it.key, place) for it in beats for place in ("", "versus.example")}) == 8


def test_no_value_of_a_label_makes_two_heartbeats_one():
    one, other = {"a": "1\nb=2", "b": "3"}, {"a": "1", "b": "2\nb=3"}

    assert heartbeat_key("watchdog", one) != heartbeat_key("watchdog", other)


def test_a_long_value_of_a_label_is_cut_in_the_title():
    title = notification(silent(), cluster="eu\n" + "x" * 100).title

    assert title == f"watchdog (cluster=eu {'x' * 46}…) has been silent for 5m"


def test_what_is_left_without_a_beat_is_called_by_itself():
    watchdog, full = make_alert("Watchdog"), replace(make_alert("DiskFull"), title="DiskFull: db-7", severity="warning")
    found = without(make_notification(watchdog, full, title="Watchdog, DiskFull", severity="critical"), (watchdog,))

    assert (found.title, found.severity, found.alerts) == ("DiskFull: db-7", "warning", (full,))


def test_what_is_left_of_several_names_is_called_by_all_of_them():
    watchdog, full, slow = (replace(make_alert(it), title=f"{it}: bad") for it in ("Watchdog", "DiskFull", "Slow"))

    assert without(make_notification(watchdog, full, slow), (watchdog,)).title == "DiskFull, Slow"


def test_a_notification_without_a_beat_stays_as_it_is():
    notification = make_notification()

    assert without(notification, ()) is notification
