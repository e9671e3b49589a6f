"""What the page behind the link of an incident shows."""

from tests.support.clock import START_MS
from tests.support.factories import make_alert, make_incident
from versus_py.incidents.copies import replace
from versus_py.incidents.model import Actor, Delivery, Entry, Event
from versus_py.web.pages.ack_view import PEOPLE_MAX, Deed, ack_view

ANA = Actor("Ana Diaz")


def view(incident, *entries):
    return ack_view(incident, entries, str.upper)


def test_it_says_who_did_what_and_when_and_not_what_they_wrote():
    shown = view(
        make_incident(),
        Entry(START_MS, Event.TRIGGERED, "alertmanager"),
        Entry(START_MS + 1, Event.COMMENTED, "the password is x", ANA),
        Entry(START_MS + 2, Event.SEVERITY_CHANGED, "critical to info", ANA),
        Entry(START_MS + 3, Event.ACKNOWLEDGED, "", Actor("Ben Okafor")),
    )

    assert shown.deeds == (
        Deed("Ana Diaz", "commented", START_MS + 1),
        Deed("Ana Diaz", "changed the severity", START_MS + 2),
        Deed("Ben Okafor", "acknowledged", START_MS + 3),
    )


def test_of_many_deeds_it_shows_the_latest():
    entries = [Entry(START_MS + at, Event.ACK_RENEWED, "", ANA) for at in range(PEOPLE_MAX + 3)]

    shown = view(make_incident(), *entries)

    assert [it.at_ms - START_MS for it in shown.deeds] == [3, 4, 5, 6, 7]


def test_links_lead_to_pages_only_and_back_to_each_channel():
    deliveries = {
        "slack": Delivery({"ts": "1.1"}, url="https://slack.example/1"),
        "slack:dba": Delivery({"ts": "1.2"}, url="https://slack.example/2"),
        "servicenow": Delivery({"sys_id": "x"}, url="https://dev.service-now.com/x"),
    }
    alert = replace(make_alert(), url="")

    shown = view(replace(make_incident(alert, url="javascript:alert(1)"), deliveries=deliveries))

    assert shown.links == (
        ("Back to the channel", "https://slack.example/1"),
        ("Back to the channel (2)", "https://slack.example/2"),
    )
