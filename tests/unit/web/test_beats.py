"""Beats among what is posted."""

from tests.support.factories import make_alert, make_notification
from versus_py.config import ExpectedHeartbeat
from versus_py.incidents.copies import replace
from versus_py.incidents.policies import Asked
from versus_py.web.intake.beats import found_in

WATCHDOG = ExpectedHeartbeat(name="watchdog", match=('alertname="Watchdog"',), every="5m", per=("cluster",))
EU = make_alert("Watchdog", cluster="eu")


def found(*alerts, expected=(WATCHDOG,), asked=None, sender="", **fields):
    return found_in(make_notification(*alerts, **fields), expected, asked or Asked(), sender)


def test_what_is_no_beat_stays_as_it_is():
    notification = make_notification()

    said = found_in(notification, (WATCHDOG,), Asked(), "")

    assert (said.rest, said.beats) == (notification, ())


def test_a_beat_is_nothing_else():
    said = found(EU)
    [beat] = said.beats

    assert said.rest is None
    assert (beat.heartbeat, beat.every_ms, beat.of) == ("watchdog", 5 * 60_000, {"cluster": "eu"})
    assert beat.labels == EU.labels


def test_of_a_list_the_empty_rest_says_that_the_others_are_over():
    rest = found(EU, group="group").rest

    assert rest is not None
    assert rest.alerts == ()


def test_an_end_is_no_beat_and_no_alert_either():
    said = found(make_alert("Watchdog", firing=False, cluster="eu"), make_alert())

    assert said.beats == ()
    assert said.rest is not None
    assert [it.labels["alertname"] for it in said.rest.alerts] == ["DiskFull"]


def test_each_of_several_in_one_payload_is_a_beat():
    assert [it.of for it in found(EU, make_alert("Watchdog", cluster="us")).beats] == [
        {"cluster": "eu"},
        {"cluster": "us"},
    ]


def test_one_alert_is_a_beat_of_all_heartbeats_that_it_matches():
    other = ExpectedHeartbeat(name="all", match=('severity="critical"',), every="1h")

    assert [it.heartbeat for it in found(EU, expected=(WATCHDOG, other)).beats] == ["watchdog", "all"]


def test_matchers_see_the_severity_of_an_alert_whose_labels_have_none():
    alert = replace(make_alert(), labels={"alertname": "Watchdog"}, severity="none")
    expected = ExpectedHeartbeat(name="none", match=('severity="none"',), every="1h")

    assert len(found(alert, expected=(expected,)).beats) == 1


def test_who_sent_it_is_the_token_or_else_the_address_that_its_sender_gives():
    assert [it.sent_by for it in found(EU, sender="prometheus", url="http://am:9093").beats] == ["prometheus"]
    assert [it.sent_by for it in found(EU, url="http://am:9093").beats] == ["http://am:9093"]
    assert [it.sent_by for it in found(EU).beats] == ["alertmanager"]


def test_the_silence_goes_where_the_request_asked_but_for_its_severity():
    asked = Asked(policy="low", severity="info", destinations={"slack": "C0DEADMAN"})
    [beat] = found(EU, asked=asked).beats

    assert beat.asked == replace(asked, severity="")


def test_the_policy_of_the_configuration_comes_before_that_of_the_request():
    [beat] = found(EU, expected=(WATCHDOG.model_copy(update={"policy": "deadman"}),), asked=Asked(policy="low")).beats

    assert beat.asked.policy == "deadman"
