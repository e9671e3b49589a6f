"""Which alerts become one incident."""

import pytest

from tests.support.factories import make_alert, make_notification
from versus_py import sources
from versus_py.incidents.grouping import Grouping
from versus_py.templating import TemplateText

TEMPLATE = "{{ labels.alertname }}-{{ labels.namespace }}-{{ fingerprint }}"


def per_alert(template=None):
    return Grouping(per_alert=True, dedup_key=None if template is None else TemplateText(template, "dedup_key"))


def per_group(template):
    return Grouping(dedup_key=TemplateText(template, "dedup_key"))


def test_a_group_is_one_incident():
    notification = make_notification(make_alert("A"), make_alert("B"))

    assert Grouping().arrange(notification) == [notification]


def test_each_alert_is_one_incident_with_its_own_title_severity_and_key():
    notification = make_notification(
        make_alert("A", severity="warning"), make_alert("B", firing=False), receiver="team", truncated_alerts=3
    )

    first, second = per_alert().arrange(notification)

    assert [it.labels["alertname"] for it in (*first.alerts, *second.alerts)] == ["A", "B"]
    assert (first.dedup_key, second.dedup_key) == ("alertmanager\nteam\nfp-A", "alertmanager\nteam\nfp-B")
    assert (first.is_firing, second.is_firing) == (True, False)
    assert first.truncated_alerts == 0


def test_an_alert_without_identity_stays_an_incident_of_its_own():
    notification = make_notification(make_alert(fingerprint=""), dedup_key=None)

    [found] = per_alert().arrange(notification)

    assert found.dedup_key is None


def test_a_template_makes_the_key_of_each_alert():
    notification = make_notification(make_alert("A", namespace="shop"), make_alert("B", namespace="shop"))

    keys = [it.dedup_key for it in per_alert(TEMPLATE).arrange(notification)]

    assert keys == ["template\nA-shop-fp-A", "template\nB-shop-fp-B"]


@pytest.mark.parametrize("template", [None, "{{ labels.team }}"])
def test_a_part_says_nothing_of_the_list_it_came_in_and_who_lists_it_is_the_same_whatever_is_first(template):
    a, b = make_alert("A", team="db"), make_alert("B", team="db")

    one, other = (per_alert(template).arrange(make_notification(*alerts, group="g")) for alerts in ((a, b), (b, a)))

    assert {it.lister for it in one} == {it.lister for it in other}
    assert template or make_notification(a, group="g").lister not in {it.lister for it in one}


def test_alerts_with_the_same_key_are_one_incident():
    alerts = [make_alert("A", team="db"), make_alert("B", team="db", severity="fatal"), make_alert("C", team="web")]

    first, second = per_alert("{{ labels.team }}").arrange(make_notification(*alerts))

    assert [alert.labels["alertname"] for alert in first.alerts] == ["A", "B"]
    assert not first.is_complete
    assert second.dedup_key == "template\nweb"


def test_the_key_of_a_group_sees_what_its_alerts_have_in_common():
    notification = make_notification(make_alert("A", team="db"), make_alert("B", team="db"))

    [found] = per_group("{{ labels.team }}/{{ labels.alertname }}/{{ fingerprint }}").arrange(notification)

    assert found.dedup_key == "template\ndb//"


@pytest.mark.parametrize("template", ["{{ 1 / 0 }}", "{{ labels.nothing }}"], ids=["fails", "empty"])
def test_a_key_that_cannot_be_made_is_the_sources_own_with_a_warning(template):
    [found] = per_group(template).arrange(make_notification())

    assert found.dedup_key == "group"
    assert found.is_complete
    assert "dedup_key" in found.warnings[0]


@pytest.mark.parametrize(
    ("begin", "later"),
    [
        (
            {"event_action": "trigger", "dedup_key": "k", "payload": {"summary": "Disk full", "source": "db-1"}},
            [{"event_action": "acknowledge", "dedup_key": "k"}, {"event_action": "resolve", "dedup_key": "k"}],
        ),
        (
            {"action": "Create", "alias": "k", "message": "Disk full", "entity": "db-1"},
            [{"action": action, "alias": "k", "note": "seen"} for action in ("Acknowledge", "AddNote", "Close")],
        ),
    ],
    ids=["pagerduty", "opsgenie"],
)
def test_what_a_sender_does_later_by_its_key_alone_is_about_the_same_incident(begin, later):
    grouping = per_group("{{ title }} {{ labels.source }} {{ labels.entity }}")

    keys = {grouping.arrange(sources.parse(payload))[0].dedup_key for payload in (begin, *later)}

    assert len(keys) == 1
