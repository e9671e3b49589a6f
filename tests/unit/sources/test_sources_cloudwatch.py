"""CloudWatch alarms in the envelopes of SNS, as AWS documents them."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.payloads import assert_is_sound, damaged, sample
from versus_py import sources
from versus_py.errors import NotAnAlert
from versus_py.sources.cloudwatch import is_raw

AT_MS = 1777890000123
ARN = "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:cpu-high"
TOPIC = "arn:aws:sns:eu-west-1:123456789012:alarms"


@pytest.fixture
def payload():
    return sample("cloudwatch_alarm")


def alarm(**changes):
    """The sample's alarm, changed; a field that is to be missing is `...`."""
    changed = json.loads(sample("cloudwatch_alarm")["Message"]) | changes
    return {name: value for name, value in changed.items() if value is not ...}


def in_envelope(message):
    return sample("cloudwatch_alarm") | {"Message": message if isinstance(message, str) else json.dumps(message)}


def test_an_alarm_fires(payload):
    found = sources.parse(payload)

    assert found.source == "cloudwatch"
    assert (found.title, found.severity) == ("cpu-high", "unknown")
    assert found.dedup_key == f"cloudwatch\n{ARN}"
    assert found.is_complete
    assert found.warnings == ()
    [alert] = found.alerts
    assert alert.is_firing
    assert alert.resource == "i-0abc"
    assert (alert.starts_at_ms, alert.ends_at_ms) == (AT_MS, None)
    assert alert.labels == {
        "alertname": "cpu-high",
        "region": "EU (Ireland)",
        "account": "123456789012",
        "namespace": "AWS/EC2",
        "metric": "CPUUtilization",
        "InstanceId": "i-0abc",
    }
    assert alert.annotations == {"message": "Threshold crossed"}


def test_ok_resolves_the_same_alarm(payload):
    over = sources.parse(in_envelope(alarm(NewStateValue="OK", OldStateValue="ALARM")))

    assert not over.is_firing
    assert (over.alerts[0].starts_at_ms, over.alerts[0].ends_at_ms) == (None, AT_MS)
    assert over.dedup_key == sources.parse(payload).dedup_key


def test_a_delivery_that_is_repeated_says_the_same(payload):
    assert sources.parse(payload) == sources.parse(payload | {"Timestamp": "2026-05-04T10:21:00Z"})


def test_the_description_joins_the_name_in_the_title():
    assert sources.parse(in_envelope(alarm(AlarmDescription="Too\nbusy"))).title == "cpu-high: Too busy"


@pytest.mark.parametrize("change", [{"Region": "US East"}, {"AWSAccountId": "2"}, {"AlarmName": "other"}])
def test_without_an_arn_account_region_and_name_identify(change):
    without = {"AlarmArn": ...}
    known = sources.parse(in_envelope(alarm(**without)))

    assert known.dedup_key == "cloudwatch\n123456789012:EU (Ireland):cpu-high"
    assert sources.parse(in_envelope(alarm(**without, **change))).dedup_key != known.dedup_key


def test_a_composite_alarm_has_no_trigger_and_no_resource():
    rule = 'ALARM("cpu-high") OR ALARM("disk-full")'

    found = sources.parse(in_envelope(alarm(Trigger=..., AlarmRule=rule, TriggeringChildren=[])))

    assert found.is_firing
    assert found.alerts[0].resource == ""
    assert found.alerts[0].labels["rule"] == rule


def test_an_alarm_on_a_calculation_is_about_what_goes_into_it():
    def stat(**dimensions):
        listed = [{"name": name, "value": value} for name, value in dimensions.items()]
        return {"MetricStat": {"Metric": {"Dimensions": listed, "MetricName": "Errors"}, "Period": 60}}

    trigger = {"Metrics": [{"Expression": "m1/m2"}, stat(Cluster="prod", Az=""), stat(Cluster="prod", Service="web")]}

    assert sources.parse(in_envelope(alarm(Trigger=trigger))).alerts[0].resource == "prod/web"


CONSOLE = "https://eu-west-1.console.aws.amazon.com/cloudwatch/deeplink.js?region=eu-west-1"


@pytest.mark.parametrize(
    ("arn", "url"),
    [
        (
            "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:cpu high/#1",
            f"{CONSOLE}#alarmsV2:alarm/cpu%20high%2F%231",
        ),
        ("arn:aws-cn:cloudwatch:cn-north-1:123456789012:alarm:x", ""),
        ("arn:aws:cloudwatch:evil.example/:1:alarm:x", ""),
        ("x", ""),
        (["x"], ""),
    ],
)
def test_the_link_leads_to_the_alarm_in_the_console(arn, url):
    assert sources.parse(in_envelope(alarm(AlarmArn=arn))).url == url


def test_missing_data_is_no_alert():
    with pytest.raises(NotAnAlert, match="alarm 'cpu-high' has INSUFFICIENT_DATA"):
        sources.parse(in_envelope(alarm(NewStateValue="INSUFFICIENT_DATA")))


@pytest.mark.parametrize("kind", ["SubscriptionConfirmation", "UnsubscribeConfirmation"])
def test_news_of_a_subscription_is_no_alert(kind):
    with pytest.raises(NotAnAlert, match=f"this is the {kind} of SNS topic '{TOPIC}'"):
        sources.parse(sample("cloudwatch_subscription") | {"Type": kind})


@pytest.mark.parametrize(
    "message",
    ["Disk full on db-7", "", "[1]", "{", "[" * 10_000, None, 7],
    ids=lambda message: repr(message)[:20],
)
def test_a_message_that_is_no_alarm_is_read_as_generic_by_its_subject(payload, message):
    found = sources.parse(payload | {"Subject": "Backup failed", "Message": message})

    assert (found.source, found.title) == ("cloudwatch", "Backup failed")
    assert found.dedup_key == "cloudwatch\nbroken 22b80b92-0000-4000-8000-000000000002"
    assert "its Message is no CloudWatch alarm" in found.warnings[0]


def carrying(message, **envelope):
    return sample("cloudwatch_alarm") | {"Message": json.dumps(message)} | envelope


def event(state):
    return {
        "detail-type": "CloudWatch Alarm State Change",
        "id": f"of the event {state}",
        "account": "123456789012",
        "region": "eu-west-1",
        "resources": [json.loads(sample("cloudwatch_alarm")["Message"])["AlarmArn"]],
        "detail": {
            "alarmName": "cpu-high",
            "configuration": {"description": "the shop is slow"},
            "state": {"value": state, "reason": "Threshold crossed", "timestamp": "2026-05-04T10:20:00.123+0000"},
            "previousState": {"value": "OK" if state == "ALARM" else "ALARM"},
        },
    }


def test_an_event_about_an_alarm_is_one_incident_with_the_alarm_itself_and_its_end(payload):
    fires, ends = sources.parse(carrying(event("ALARM"))), sources.parse(carrying(event("OK")))

    assert (fires.title, fires.is_firing, ends.is_firing) == ("cpu-high: the shop is slow", True, False)
    assert fires.dedup_key == ends.dedup_key == sources.parse(payload).dedup_key
    assert fires.warnings == ()


def test_a_message_that_is_another_object_is_read_as_what_it_is():
    fires, ends = (
        sources.parse(carrying({"incident": {"id": "x1", "name": "API down", "status": it}}))
        for it in ("open", "resolved")
    )

    assert (fires.source, fires.title) == ("cloudwatch", "API down")
    assert fires.dedup_key == ends.dedup_key
    assert (fires.dedup_key or "").startswith("cloudwatch\ngeneric\n")
    assert (fires.is_firing, ends.is_firing) == (True, False)


def test_an_object_without_a_title_has_the_subject_and_is_known_by_the_number_of_the_message():
    found = sources.parse(carrying({"source": {"kind": "x"}}, Subject="Backup failed"))

    assert found.title == "Backup failed"
    assert found.dedup_key == "cloudwatch\nmessage 22b80b92-0000-4000-8000-000000000002"


def test_a_message_in_words_is_told_and_what_only_serves_the_delivery_is_not(payload):
    [alert] = sources.parse(payload | {"Subject": "Backup failed", "Message": "Disk full on db-7"}).alerts

    assert alert.annotations == {"message": "Disk full on db-7"}
    assert alert.labels == {"Type": "Notification", "TopicArn": TOPIC, "Timestamp": "2026-05-04T10:20:00.500Z"}


def test_without_a_subject_the_message_is_the_title(payload):
    del payload["Subject"]

    assert sources.parse(payload | {"Message": "Disk full on db-7"}).title == "Disk full on db-7"


@pytest.mark.parametrize("state", ["alarm", "", None, ["ALARM"]])
def test_a_state_that_nobody_knows_is_read_as_generic_with_a_warning(state):
    found = sources.parse(in_envelope(alarm(NewStateValue=state)))

    assert found.source == "cloudwatch"
    assert "its NewStateValue is" in found.warnings[0]


@pytest.mark.parametrize("change", [{"Type": "Other"}, {"Type": ["Notification"]}, {"Type": None}])
def test_an_object_of_another_type_is_no_envelope(payload, change):
    assert sources.parse(payload | change).source == "generic"
    assert sources.parse(payload | change).warnings == ()


def test_an_alarm_without_its_envelope_is_told_from_one_in_it(payload):
    assert is_raw(alarm())
    assert not is_raw(payload)
    assert not is_raw({})


@given(damaged(alarm()), damaged(sample("cloudwatch_alarm")), st.sampled_from(["alarm", "envelope"]))
def test_whatever_is_in_a_message_it_is_read_or_no_alert(inner, envelope, broken):
    with suppress(NotAnAlert):
        assert_is_sound(sources.parse(in_envelope(inner) if broken == "alarm" else envelope))
