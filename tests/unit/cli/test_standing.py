"""How the command line says what an incident is about."""

from typing import Any

from tests.support.clock import START_MS
from tests.support.factories import make_alert, make_incident, make_policy
from versus_py.cli.standing import (
    alert_count,
    full_standing,
    incident_row,
    progress,
    story,
    time_of,
    to_come,
    what_fires,
)
from versus_py.incidents.copies import replace
from versus_py.incidents.model import Actor, Comment, Delivery, Entry, Event, Incident
from versus_py.incidents.policies import Policy, Step
from versus_py.incidents.transitions import acknowledge, resolve
from versus_py.web.api.views import detail, rfc3339

CHAIN = Policy(name="critical", steps=(Step(("slack",)), Step(("slack:leads", "servicenow"), 600_000)), repeat=2)


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


def test_comments_in_the_record_are_in_the_story_at_their_time_and_once():
    comments = (
        Comment(START_MS + 1500, "Beth", "On it:\n db-7", "beth@example.com"),
        Comment(START_MS + 2500, "Ana", "known here"),
    )
    timeline = (
        Entry(START_MS + 1000, Event.ESCALATED, "INC0010001"),
        Entry(START_MS + 2000, Event.COMMENTED, "known here", Actor("Ana")),
    )
    incident = make_incident()
    record = Delivery(label="INC0010001", comments=comments, comment_count=2)
    incident = replace(incident, deliveries={incident.providers[0]: record})

    told = story(detail(incident, timeline))

    assert [line.split("  ", 2)[2].split(maxsplit=1) for line in told] == [
        ["escalated", "INC0010001"],
        ["commented", "in INC0010001: On it: db-7 by Beth"],
        ["commented", "known here by Ana"],
    ]
    assert detail(incident, timeline)["comments"][0]["by_email"] == "beth@example.com"


def test_a_server_that_tells_no_comments_has_a_story_all_the_same():
    it = detail(make_incident(), (Entry(START_MS, Event.TRIGGERED),))
    del it["comments"]

    assert len(story(it)) == 1


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

    for name in ("held_until", "step", "next"):
        del it[name]
    del it["policy"]["steps"]
    del it["policy"]["name"]

    assert what_fires(it) == []
    assert alert_count(it) == "1 of 1 firing"
    assert incident_row(it)[1] == "triggered"
    assert progress(it) == []
    assert to_come(it) == [f"escalates {time_of(it['escalates_at'])}"]
    assert "never" not in full_standing(it)


def moment(after_ms: int) -> str:
    return time_of(rfc3339(START_MS + after_ms) or "")


def test_an_incident_is_shown_with_the_steps_of_its_policy():
    it = shown(make_incident(policy=CHAIN))

    assert to_come(it) == [f"next: slack:leads, servicenow at {moment(600_000)}, step 2 of 2, round 1 of 3"]
    assert progress(it) == [
        "policy critical: step 1 of 2, round 1 of 3",
        f"  1  slack pending, {moment(0)}",
        f"  2  slack:leads pending, servicenow pending, due {moment(600_000)}",
    ]


def test_what_is_acknowledged_has_steps_that_will_not_come():
    change = acknowledge(make_incident(policy=CHAIN), Actor("ana"), START_MS)

    assert change
    assert progress(shown(change.incident))[-1] == "  2  slack:leads, servicenow"
    assert to_come(shown(change.incident)) == []


def test_what_is_held_says_until_when():
    year_ms = 366 * 24 * 3600_000
    it = shown(make_incident(policy=replace(CHAIN, opens_at_ms=START_MS + 50 * year_ms)))

    assert (incident_row(it)[1], incident_row(it)[4]) == ("held", moment(50 * year_ms))
    assert to_come(it) == [f"held until {moment(50 * year_ms)}"]
    assert progress(it)[0] == "policy critical"


def test_what_has_opened_and_whose_first_step_comes_later_is_not_held_any_more():
    late = replace(CHAIN, steps=(replace(CHAIN.steps[0], after_ms=60_000),), opens_at_ms=START_MS + 60_000)

    it = shown(make_incident(policy=late))

    assert incident_row(it)[1] == "triggered"
    assert to_come(it) == [f"next: slack at {moment(120_000)}, step 1 of 1, round 1 of 3"]


def test_without_a_configured_policy_an_incident_escalates_or_never_does():
    escalating, never = shown(make_incident()), shown(make_incident(policy=make_policy(oncall=None)))

    assert (to_come(escalating), progress(escalating)) == ([f"escalates {moment(300_000)}"], [])
    assert full_standing(never).endswith("; never escalates")
    assert "never" not in full_standing(shown(make_incident(policy=CHAIN)))
