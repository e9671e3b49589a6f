"""How the command line says what an incident is about."""

from dataclasses import replace
from typing import Any

from tests.support.factories import make_alert, make_incident
from versus_py.cli.standing import alert_count, time_of, what_fires
from versus_py.incidents.model import Actor, Incident
from versus_py.incidents.transitions import resolve
from versus_py.web.api.views import detail


def shown(incident: Incident) -> dict[str, Any]:
    return detail(incident, ())


def pod(name: str):
    alert = replace(make_alert("KubePodCrashLooping", namespace="shop", pod=name), fingerprint=name)
    return replace(
        alert, annotations={"summary": f"Pod {name}\ncrashes", "values": "A=1"}, links={"Runbook": "http://r"}
    )


def test_a_group_is_shown_with_what_differs_once_each_text_and_links():
    it = shown(make_incident(pod("a-1"), pod("b-2")))

    assert what_fires(it) == [
        f"since {time_of(it['overview']['since'])}",
        "values: A=1",
        "- pod=a-1; Pod a-1 crashes",
        "- pod=b-2; Pod b-2 crashes",
        "namespace=shop severity=critical",
        "Source: http://prometheus/graph",
        "Runbook: http://r",
    ]


def test_what_does_not_fit_is_counted():
    lines = what_fires(shown(make_incident(*(pod(f"a-{number}") for number in range(25)))))

    assert "… 5 more: --json" in lines


def test_a_resolved_incident_does_not_say_that_its_alerts_fire():
    change = resolve(make_incident(), Actor("ana"), 1)

    assert change
    assert alert_count(shown(make_incident(pod("a-1"), make_alert("Over", firing=False)))) == "1 of 2 alerts firing"
    assert alert_count(shown(change.incident)) == "1 alert"


def test_text_of_alerts_cannot_steer_the_terminal():
    alert = replace(pod("a-1"), annotations={"summary": "\x1b[2Jgone"})

    assert not any("\x1b" in line for line in what_fires(shown(make_incident(alert))))


def test_the_answer_of_an_older_server_is_shown_as_before():
    it = shown(make_incident())
    del it["overview"]

    assert what_fires(it) == []
    assert alert_count(it) == "1 of 1 firing"
