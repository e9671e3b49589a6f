"""The description of a record: what happened, in plain text."""

from tests.support.clock import START_MS
from tests.support.factories import make_alert, make_incident, make_policy
from versus_py.incidents.copies import replace
from versus_py.incidents.model import Actor, Delivery
from versus_py.incidents.policies import Policy, Step
from versus_py.incidents.transitions import begin_step, escalate, give_up
from versus_py.targets.servicenow.description import LINES, describe
from versus_py.targets.servicenow.fields import truncated
from versus_py.targets.servicenow.key import LENGTHS

DISK = replace(
    make_alert("DiskFull", instance="db-7", namespace="shop"),
    annotations={"summary": "Disk full on db-7", "values": "A=97.123456"},
    links={"Runbook": "https://wiki.example/disk"},
)
HOST = replace(make_alert("HostDown", instance="db-8", namespace="shop"), url="http://other/graph")


def test_a_single_alert_is_described_by_its_texts_values_links_and_labels():
    text = describe(make_incident(DISK, url="http://am:9093"))

    assert text == (
        "Severity critical, 1 alert, since 2026-05-04 10:20:00 UTC, from alertmanager.\n"
        f"Incident {make_incident(DISK).id}.\n\n"
        "Disk full on db-7\n\n"
        "Values: A=97.1235\n\n"
        "Runbook: https://wiki.example/disk\n"
        "Source: http://prometheus/graph\n"
        "Silence: http://am:9093/#/silences/new?filter=%7Balertname%3D%22DiskFull%22%2Cseverity%3D%22critical%22"
        "%2Cinstance%3D%22db-7%22%2Cnamespace%3D%22shop%22%7D\n"
        "Alertmanager: http://am:9093\n\n"
        "Labels: namespace=shop, instance=db-7"
    )


def test_of_several_alerts_each_has_what_tells_it_from_the_others_and_its_own_texts():
    text = describe(make_incident(DISK, HOST))

    assert text.partition("Alerts:\n")[2] == (
        "- DiskFull instance=db-7\n"
        "  Disk full on db-7\n"
        "  Values: A=97.1235\n"
        "  Runbook: https://wiki.example/disk\n"
        "  Source: http://prometheus/graph\n"
        "- HostDown instance=db-8\n"
        "  HostDown happened\n"
        "  Source: http://other/graph"
    )
    assert "Labels: namespace=shop\n" in text


def test_alerts_that_began_at_other_times_say_when():
    later = replace(HOST, starts_at_ms=START_MS + 3600_000)

    assert "- HostDown instance=db-8, since 2026-05-04 11:20:00 UTC" in describe(make_incident(DISK, later))


def test_a_record_that_follows_another_names_it():
    assert describe(make_incident(), previous_record="INC0010001").splitlines()[1].endswith(", after INC0010001.")


def test_of_many_alerts_the_first_are_described_and_the_rest_is_counted():
    alerts = [make_alert("Pod", fingerprint=str(number), pod=f"pod-{number}") for number in range(LINES + 5)]

    text = describe(make_incident(*alerts))

    assert text.count("- pod=pod-") == LINES
    assert text.endswith("… and 5 more")


def test_the_links_survive_where_a_long_description_is_cut():
    alerts = [
        replace(
            make_alert("Pod", fingerprint=str(number), pod=f"p{number}"), annotations={"summary": f"{number}" * 500}
        )
        for number in range(LINES)
    ]

    text = truncated("description", describe(make_incident(*alerts)))

    assert len(text) == LENGTHS["description"]
    assert "Source: http://prometheus/graph" in text


def changed(change):
    assert change is not None
    return change.incident


def test_a_record_says_first_that_nobody_acknowledged_and_within_what_time():
    incident = changed(begin_step(make_incident(), START_MS + 300_900))

    assert describe(incident).startswith("Nobody acknowledged within 5 minutes.\n\nSeverity critical, ")


def test_a_record_of_an_escalation_by_hand_names_who_escalated():
    incident = changed(escalate(make_incident(), Actor("Ben"), START_MS + 60_000))

    assert describe(incident).startswith("Escalated by Ben.\n\n")


def test_a_record_of_what_no_channel_took_says_so():
    given_up = changed(give_up(unposted(), "slack", "Slack: not_in_channel", START_MS + 1000))

    incident = changed(begin_step(given_up, START_MS + 1000))

    assert describe(incident).startswith("No channel could show the incident, so that nobody could acknowledge it.\n\n")


def unposted():
    return make_incident().with_deliveries({"slack": Delivery(failed_at_ms=START_MS, error="not_in_channel")})


def test_a_record_of_an_incident_without_a_wait_says_so():
    incident = changed(begin_step(make_incident(policy=make_policy(wait_ms=0)), START_MS))

    assert describe(incident).startswith("Escalated without a wait.\n\n")


def test_a_record_links_to_where_the_incident_was_posted():
    posted = {"slack": Delivery(label="message 1.2 in C0ALERTS", url="https://slack.com/app_redirect?channel=C0ALERTS")}

    assert "\nSlack: https://slack.com/app_redirect?channel=C0ALERTS\n" in describe(
        make_incident(DISK).with_deliveries(posted)
    )


def test_the_step_of_a_policy_is_named_with_who_is_next():
    steps = (Step(("slack",)), Step(("servicenow",), 60_000), Step(("slack:leads",), 600_000))
    waiting = make_incident(policy=Policy(steps, name="critical", providers=("servicenow",)))

    described = describe(changed(begin_step(waiting, START_MS + 60_000)))

    assert "Policy critical: step 2 of 3, round 1, next: slack:leads at 2026-" in described
