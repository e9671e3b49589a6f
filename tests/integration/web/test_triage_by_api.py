"""By the API, people say how grave an incident is and who deals with it; what Slack and ServiceNow show of that."""

from typing import Any

import pytest

from tests.integration.conftest import CHANNEL, Engine
from tests.support.groups import alert, group
from versus_py.incidents.model import IncidentId
from versus_py.simulators import Fault

DBA = "C0DATABASE"
MENTION = "<!subteam^S0CRITICAL>"


@pytest.fixture
def settings() -> dict[str, Any]:
    return {
        "policies": [
            {
                "name": "critical",
                "match": ['severity="critical"'],
                "steps": [{"notify": ["slack", "slack:leads"]}, {"after": "2m", "notify": ["servicenow"]}],
            },
            {"name": "dba", "match": ['team="dba"'], "steps": [{"notify": ["slack:leads"]}]},
            {
                "name": "leads later",
                "match": ['team="leads"'],
                "steps": [{"notify": ["slack"]}, {"after": "10m", "notify": ["slack:leads"]}],
            },
            {"name": "later", "match": ['team="later"'], "steps": [{"after": "10m", "notify": ["slack"]}]},
        ]
    }


@pytest.fixture
def slack_settings() -> dict[str, Any]:
    return {"channels": {"leads": "C0LEADS"}, "mention": {"critical": MENTION}}


@pytest.fixture
def servicenow_settings() -> dict[str, Any]:
    return {"on_update": "fields", "update_fields": {"short_description": "{{ severity }}: {{ incident.title }}"}}


async def created(engine: Engine, name: str) -> str:
    """The id of an incident of severity warning."""
    [found] = (await engine.post(group(alert(name, severity="warning"))))["incidents"]
    return str(found["id"])


async def posted(engine: Engine) -> str:
    """The same of one whose message is posted."""
    found = await created(engine, "Disk")
    await engine.settle()
    return found


async def act(engine: Engine, incident_id: str, action: str, **said: object) -> tuple[int, Any]:
    response = await engine.http.post(f"/api/incidents/{incident_id}/{action}", json={"by": "ana"} | said)
    body = await response.json()
    await engine.settle()
    return response.status, body


def shown_in(engine: Engine, channel: str) -> list[str]:
    """What the messages of a channel say first, in the order in which they were posted."""
    return [it.text for it in engine.slack.messages if it.channel == channel]


def thread(engine: Engine, number: int = 0) -> list[str]:
    return [line for reply in engine.slack.messages[number].replies for line in reply.splitlines()]


def notes(engine: Engine) -> list[str]:
    [record] = engine.servicenow.incidents
    found = engine.servicenow.notes.get(record["sys_id"], [])
    return [line.split("UTC: ")[-1] for note in found for line in note.splitlines()]


async def test_a_graver_severity_is_told_with_the_mention_and_followed_by_its_policy(engine):
    incident_id = await posted(engine)

    status, body = await act(engine, incident_id, "severity", severity="critical")

    assert (status, body["severity"], body["policy"]["name"]) == (201, "critical", "critical")
    assert thread(engine) == [
        f":small_red_triangle: The severity was raised by *ana*: warning → critical {MENTION}",
    ]
    assert [text.startswith(":red_circle: *Triggered* · critical ·") for text in shown_in(engine, CHANNEL)] == [True]
    assert len(shown_in(engine, "C0LEADS")) == 1
    assert (await act(engine, incident_id, "severity", severity="critical"))[0] == 200


async def test_who_acknowledged_hears_that_somebody_else_says_it_is_graver(engine):
    incident_id = await posted(engine)
    await act(engine, incident_id, "acknowledge", by="ben")

    status, body = await act(engine, incident_id, "severity", severity="critical")

    assert (status, body["status"]) == (201, "triggered")
    assert thread(engine) == [
        ":small_red_triangle: The severity was raised by *ana*: warning → critical",
        f":bangbang: Triggered again, and the wait starts again: the severity rose from warning to critical {MENTION}",
    ]


async def test_who_acknowledged_and_says_that_it_is_graver_keeps_it_and_others_hear(engine):
    incident_id = await posted(engine)
    await act(engine, incident_id, "acknowledge")

    status, body = await act(engine, incident_id, "severity", severity="critical")

    assert (status, body["status"]) == (201, "acknowledged")
    assert thread(engine)[-1].endswith(MENTION)


async def test_the_record_has_a_note_and_fields_of_a_severity_that_a_person_gave(engine):
    incident_id = await posted(engine)
    await engine.after(minutes=6)

    await act(engine, incident_id, "severity", severity="notice")

    assert notes(engine) == ["severity warning → notice by ana"]
    assert engine.servicenow.incidents[0]["short_description"].startswith("notice: ")
    assert thread(engine)[-1] == ":small_red_triangle_down: The severity was changed by *ana*: warning → notice"


async def test_a_severity_counts_against_the_alerts_that_come_after_it(engine):
    incident_id = await posted(engine)
    await act(engine, incident_id, "severity", severity="info")

    await engine.post(group(alert("Disk", severity="warning")))
    assert (await engine.detail(incident_id))["severity"] == "info"

    await engine.post(group(alert("Disk", severity="critical")))
    assert (await engine.detail(incident_id))["severity"] == "critical"


async def test_routed_to_a_policy_it_is_told_where_that_says_and_the_message_before_stays(engine):
    incident_id = await posted(engine)

    status, body = await act(engine, incident_id, "route", policy="dba")

    assert (status, body["policy"]["name"]) == (201, "dba")
    assert len(shown_in(engine, CHANNEL)) == len(shown_in(engine, "C0LEADS")) == 1
    assert thread(engine) == [":arrow_right: Routed by *ana* to policy dba: the escalation starts again"]
    assert "routed by *ana* to policy dba" in str(engine.slack.messages[0].attachments)
    assert (await act(engine, incident_id, "route", policy="dba"))[0] == 200
    await engine.after(minutes=6)
    assert engine.servicenow.incidents == []


async def test_routed_to_a_channel_it_is_posted_there_and_the_message_before_says_where_it_went(engine):
    incident_id = await posted(engine)

    status, body = await act(engine, incident_id, "route", channel=DBA)

    assert (status, body["policy"]["destinations"]) == (201, {"slack": DBA})
    [before, now] = engine.slack.messages
    assert before.text == ":arrow_right: *Routed* · warning · Disk is bad"
    assert f"Routed by *ana* to Slack <#{DBA}>" in str(before.attachments)
    assert "actions" not in str(before.attachments)
    assert thread(engine) == [f":arrow_right: Routed by *ana* to Slack <#{DBA}>: the escalation starts again"]
    assert (now.channel, now.text.startswith(":red_circle: *Triggered*")) == (DBA, True)
    await act(engine, incident_id, "acknowledge")
    assert now.text.startswith(":large_orange_circle:")
    assert before.text.startswith(":arrow_right:")
    assert (await engine.detail(incident_id))["deliveries"]["slack"]["label"] == f"message {now.ts} in {DBA}"


async def test_its_record_stays_its_record_and_notes_the_route(engine):
    incident_id = await posted(engine)
    await engine.after(minutes=6)

    await act(engine, incident_id, "route", policy="dba")

    assert notes(engine) == ["routed to policy dba by ana"]
    await act(engine, incident_id, "resolve")
    assert len(engine.servicenow.incidents) == 1
    assert notes(engine)[-1].startswith("resolved by ana")


async def test_where_the_channel_takes_no_messages_the_one_before_stays_and_says_so(engine):
    incident_id = await posted(engine)
    engine.slack.unknown.add(DBA)

    await act(engine, incident_id, "route", channel=DBA)

    [message] = engine.slack.messages
    assert message.text.startswith(":red_circle: *Triggered*")
    assert f"not moved: channel {DBA} cannot be used: Slack says channel_not_found" in str(message.attachments)
    assert len(thread(engine)) == 1
    await act(engine, incident_id, "acknowledge")
    assert message.text.startswith(":large_orange_circle:")


async def test_routed_to_the_channel_of_a_later_step_it_is_told_there_again_and_not_posted_twice(engine):
    incident_id = await posted(engine)

    await act(engine, incident_id, "route", policy="leads later", channel="leads")
    await engine.after(minutes=10)

    assert [it.channel for it in engine.slack.messages] == [CHANNEL, "C0LEADS"]
    assert "Nobody has acknowledged: step 2 of 2" in thread(engine, 1)[-1]


async def test_back_in_the_first_channel_it_has_a_message_of_its_own(engine):
    incident_id = await posted(engine)
    await act(engine, incident_id, "route", channel=DBA)

    await act(engine, incident_id, "route", channel=CHANNEL)

    assert [it.channel for it in engine.slack.messages] == [CHANNEL, DBA, CHANNEL]
    assert [it.text.split()[0] for it in engine.slack.messages] == [":arrow_right:", ":arrow_right:", ":red_circle:"]


async def test_where_the_first_step_is_to_come_the_message_says_so_and_moves_when_it_comes(engine):
    incident_id = await posted(engine)

    await act(engine, incident_id, "route", policy="later", channel=DBA)

    [message] = engine.slack.messages
    assert "routed by *ana* to policy later" in str(message.attachments)
    assert len(thread(engine)) == 1
    await engine.after(minutes=10)
    assert [it.channel for it in engine.slack.messages] == [CHANNEL, DBA]
    assert message.text.startswith(":arrow_right:")


@pytest.mark.parametrize("slack_settings", [{"channels": {"leads": "C0LEADS"}, "storm": {"threshold": 1}}])
async def test_what_was_counted_in_a_storm_leaves_it_for_a_message_in_the_other_channel(engine):
    ids = [await created(engine, f"Disk {number}") for number in range(4)]
    await engine.settle()
    storm = next(it for it in engine.slack.messages if "storm" in it.text)
    counted = [it for it in ids if "storm" in (await engine.store.get(IncidentId(it))).delivery("slack").reference]
    before = storm.text

    await act(engine, counted[-1], "route", channel=DBA)

    assert (await engine.detail(counted[-1]))["deliveries"]["slack"]["label"].endswith(f"in {DBA}")
    assert f"{len(counted)} incidents" in before
    assert f"{len(counted) - 1} incident" in storm.text


async def test_the_message_of_before_is_not_taken_for_the_one_of_the_way_back(engine):
    incident_id = await posted(engine)
    await act(engine, incident_id, "route", channel=DBA)
    engine.slack.faults.order(Fault(kind="down", path="/api/chat.postMessage"))

    await act(engine, incident_id, "route", channel=CHANNEL)
    await engine.after(minutes=1)

    assert [it.channel for it in engine.slack.messages] == [CHANNEL, DBA, CHANNEL]


@pytest.mark.parametrize(
    ("path", "times"), [("/api/chat.postMessage", 1), ("/api/chat.postMessage", 2), ("/api/chat.update", 1)]
)
async def test_a_lost_answer_leaves_one_message_in_the_new_channel_and_one_line_in_the_old_thread(engine, path, times):
    incident_id = await posted(engine)
    engine.slack.faults.order(Fault(kind="lost_reply", path=path, times=times))

    await act(engine, incident_id, "route", channel=DBA)
    await engine.after(minutes=3)
    await engine.after(minutes=3)

    assert [it.channel for it in engine.slack.messages] == [CHANNEL, DBA]
    assert len(thread(engine)) == 1
    assert engine.slack.messages[0].text.startswith(":arrow_right:")


async def test_a_message_that_cannot_say_where_it_went_holds_up_nothing(engine):
    incident_id = await posted(engine)
    engine.slack.delete_message(engine.slack.messages[0].ts)

    await act(engine, incident_id, "route", channel=DBA)

    [message] = engine.slack.messages
    assert message.channel == DBA
    assert (await engine.detail(incident_id))["deliveries"]["slack"]["error"] is None


@pytest.mark.parametrize(
    ("action", "said", "error"),
    [
        ("severity", {}, "severity is ''; allowed: critical, error, warning, notice, info and what else"),
        ("severity", {"severity": "purple"}, "severity is 'purple'; allowed: critical, error"),
        ("severity", {"severity": 1}, "severity is not a text"),
        ("route", {}, "say where to: policy, channel, or both"),
        (
            "route",
            {"policy": "dbas"},
            "policy is 'dbas'; did you mean 'dba'? allowed: critical, dba, leads later, later",
        ),
        ("route", {"channel": "lead"}, "channel is 'lead'; allowed: a name of alert.slack.channels (leads), or"),
        ("route", {"channel": "pager:x"}, "channel is 'pager:x'; allowed: a name of alert.slack.channels"),
    ],
)
async def test_what_does_not_exist_is_refused_with_what_is_allowed(engine, action, said, error):
    incident_id = await posted(engine)

    status, body = await act(engine, incident_id, action, **said)

    assert status == 400
    assert body["error"].startswith(error)
    assert (await engine.detail(incident_id))["severity"] == "warning"


async def test_a_channel_that_no_step_notifies_cannot_be_exchanged(engine):
    incident_id = await posted(engine)
    await act(engine, incident_id, "route", policy="dba")

    status, body = await act(engine, incident_id, "route", channel="slack:C0OTHER")

    assert (status, body["error"]) == (409, "no step of its policy notifies slack: name a policy that does")
