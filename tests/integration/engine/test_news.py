"""What an acknowledgment, a snooze or a closed record must not hide, and when an acknowledgment ends."""

import pytest

from tests.integration.conftest import Engine
from tests.support.groups import START, alert, group
from versus_py.incidents.model import IncidentId
from versus_py.simulators import Fault

MENTION = "<!here>"


@pytest.fixture
def slack_settings():
    return {"mention": {"critical": MENTION, "warning": MENTION}}


async def posted(engine: Engine, *alerts, **query: str) -> dict[str, str]:
    answer: dict[str, str]
    [answer] = (await engine.post(group(*alerts), **query))["incidents"]
    return answer


async def act(engine: Engine, incident_id: str, action: str, **query: object) -> int:
    more = "".join(f"&{name}={value}" for name, value in query.items())
    return (await engine.http.post(f"/api/incidents/{incident_id}/{action}?by=ana{more}")).status


async def acknowledged(engine: Engine, *alerts, **query: str) -> str:
    created = await posted(engine, *alerts, **query)
    await engine.settle()
    assert await act(engine, created["id"], "acknowledge") == 201
    await engine.settle()
    return created["id"]


def thread(engine: Engine) -> list[str]:
    return [line for reply in engine.slack.messages[0].replies for line in reply.splitlines()]


def states(engine: Engine) -> list[str]:
    return [it["state"] for it in engine.servicenow.incidents]


def notes(engine: Engine) -> list[str]:
    """What was appended to the only record, without the times; each a request of its own."""
    [record] = engine.servicenow.incidents
    found = engine.servicenow.notes.get(record["sys_id"], [])
    return ["\n".join(line.split("UTC: ")[-1] for line in note.splitlines()) for note in found]


# What fires behind an acknowledgment


@pytest.mark.parametrize("how", ["in the list that ends the other", "after the list that ends the other", "unlisted"])
@pytest.mark.parametrize("minutes", [-5, 1], ids=["began before the acknowledgment", "began after it"])
async def test_what_fires_when_what_was_acknowledged_is_over_waits_and_escalates(engine, how, minutes):
    incident_id = await acknowledged(engine, alert("Disk", instance="db-1"))
    joined = alert("Disk", minutes=minutes, instance="db-2")

    match how:
        case "in the list that ends the other":
            await posted(engine, alert("Disk", over=True, instance="db-1"), joined)
        case "after the list that ends the other":
            await posted(engine, alert("Disk", instance="db-1"), joined)
            await posted(engine, alert("Disk", over=True, instance="db-1"), joined)
        case "unlisted":  # its sender does not list what is over
            await posted(engine, joined)
    await engine.settle()

    assert (await engine.detail(incident_id))["status"] == "triggered"
    assert ":bangbang: Triggered again, and the wait starts again" in thread(engine)[-1]
    assert thread(engine)[-1].endswith(MENTION)
    await engine.after(minutes=6)
    assert states(engine) == ["1"]


async def test_what_joins_what_goes_on_is_told_and_stays_acknowledged(engine):
    incident_id = await acknowledged(engine, alert("Disk", instance="db-1"))

    await posted(engine, alert("Disk", instance="db-1"), alert("Disk", minutes=9, instance="db-2"))
    await engine.after(minutes=6)

    assert (await engine.detail(incident_id))["status"] == "acknowledged"
    assert thread(engine)[-1] == ":heavy_plus_sign: 1 alert joined: Disk on db-2"
    assert engine.servicenow.calls == []


async def test_a_start_that_moves_while_the_alert_goes_on_is_no_news(engine):
    """Alertmanager merges what several Prometheus say."""
    incident_id = await acknowledged(engine, alert("Disk"), alert("Disk", over=True, instance="db-2"))

    for minutes in (-10, 5):
        await posted(engine, alert("Disk", minutes=minutes))
    await engine.after(minutes=6)

    assert (await engine.detail(incident_id))["status"] == "acknowledged"
    assert engine.servicenow.calls == []


@pytest.mark.parametrize("action", ["acknowledge", "snooze"])
async def test_a_graver_alert_behind_it_begins_a_wait(engine, action):
    created = await posted(engine, alert("Disk", instance="db-1"))
    await engine.settle()
    assert await act(engine, created["id"], action, minutes=240) == 201

    await posted(engine, alert("Disk", instance="db-1"), alert("Disk", severity="critical", instance="db-2"))
    await engine.settle()

    detail = await engine.detail(created["id"])
    assert (detail["status"], detail["snoozed_until"], detail["severity"]) == ("triggered", None, "critical")
    assert thread(engine)[-1].endswith(MENTION)
    await engine.after(minutes=6)
    assert states(engine) == ["1"]


async def test_a_severity_that_rises_behind_an_acknowledgment_is_told_in_one_line(engine):
    await posted(engine, alert("Disk"))
    await engine.after(minutes=6)
    [record] = engine.servicenow.incidents
    assert await act(engine, record["correlation_id"], "acknowledge") == 201
    await engine.settle()
    told, noted = len(thread(engine)), len(notes(engine))

    await posted(engine, alert("Disk", severity="critical"))
    await engine.after(minutes=6)

    [said] = [line for line in thread(engine)[told:] if "severity rose" in line]
    assert said.startswith(":bangbang: Triggered again, and the wait starts again: what was known is over")
    assert said.endswith(f"this fires: Disk severity=critical; the severity rose from warning to critical {MENTION}")
    assert str(notes(engine)[noted:]).count("severity rose") == 1


async def test_a_severity_that_falls_and_rises_again_is_no_news(engine):
    incident_id = await acknowledged(
        engine, alert("Disk", severity="critical", instance="db-1"), alert("Disk", instance="db-2")
    )

    await posted(engine, alert("Disk", severity="critical", over=True, instance="db-1"), alert("Disk", instance="db-2"))
    await posted(engine, alert("Disk", severity="critical", minutes=9, instance="db-1"), alert("Disk", instance="db-2"))

    assert (await engine.detail(incident_id))["status"] == "acknowledged"


@pytest.mark.parametrize("again", [{"instance": "db-1"}, {"instance": "db-2"}], ids=["the same", "another"])
async def test_what_fires_after_a_silence_that_hid_the_end_of_what_was_acknowledged_waits(engine, again):
    await engine.post(group(alert("Host", over=True)))  # its sender lists what is over
    incident_id = await acknowledged(engine, alert("Disk", instance="db-1"))
    later = (engine.clock.now_ms() / 1000 - START.timestamp()) / 60 + 60

    engine.clock.advance(hours=2)
    await posted(engine, alert("Disk", minutes=later, instance=again["instance"]))
    await engine.after(minutes=6)

    assert (await engine.detail(incident_id))["outcome"] == "escalated"


# What fires behind a record that people closed


@pytest.mark.parametrize(
    "servicenow_settings",
    [{"comments_every_minutes": 5}, {"comments_every_minutes": 0}],
    ids=["looked at", "never looked at"],
)
@pytest.mark.parametrize(("state", "then"), [("6", ["2"]), ("7", ["7", "1"])], ids=["resolved", "closed"])
async def test_what_joins_behind_a_record_that_is_over_waits_and_escalates(engine, state, then):
    created = await posted(engine, alert("Disk", instance="db-1"))
    await engine.after(minutes=6)
    engine.servicenow.incidents[0]["state"] = state
    await engine.after(minutes=6)

    await posted(engine, alert("Disk", instance="db-1"), alert("Disk", minutes=9, instance="db-2"))
    await engine.settle()

    detail = await engine.detail(created["id"])
    assert detail["escalates_at"] is not None
    assert "is over, and this fires: Disk on db-2" in thread(engine)[-1]
    assert await act(engine, created["id"], "escalate") == 201
    await engine.settle()
    assert states(engine) == then


# The sooner of two waits


async def test_what_joins_with_a_shorter_wait_escalates_by_that(engine):
    created = await posted(engine, alert("Disk", instance="db-1"), oncall_wait_minutes="60")
    await engine.settle()

    await posted(
        engine,
        alert("Disk", instance="db-1"),
        alert("Disk", severity="critical", minutes=1, instance="db-2"),
        oncall_wait_minutes="5",
    )
    await engine.after(minutes=6)

    assert [it["correlation_id"] for it in engine.servicenow.incidents] == [created["id"]]


@pytest.mark.parametrize("again", ["the same", "a longer wait"])
async def test_what_is_only_said_again_moves_no_wait(engine, again):
    created = await posted(engine, alert("Disk", instance="db-1"), oncall_wait_minutes="10")
    before = (await engine.detail(created["id"]))["escalates_at"]
    alerts = [alert("Disk", instance="db-1")] + (
        [alert("Disk", minutes=1, instance="db-2")] if again == "a longer wait" else []
    )

    answer = await posted(engine, *alerts, oncall_wait_minutes="5" if again == "the same" else "60")

    assert answer["escalates_at"] == before


async def test_what_reopens_with_a_graver_alert_waits_by_that(engine):
    await posted(engine, alert("Disk", instance="db-1"), oncall_wait_minutes="60")
    await posted(engine, alert("Disk", over=True, instance="db-1"), oncall_wait_minutes="60")

    critical = alert("Disk", severity="critical", minutes=1, instance="db-2")
    answer = await posted(engine, critical, oncall_wait_minutes="5")
    await engine.after(minutes=6)

    assert answer["outcome"] == "reopened"
    assert states(engine) == ["1"]


async def test_what_joins_with_an_escalation_escalates_what_had_none(engine):
    await posted(engine, alert("Disk", instance="db-1"), oncall_enable="false")

    answer = await posted(engine, alert("Disk", instance="db-1"), alert("Disk", minutes=1, instance="db-2"))
    await engine.after(minutes=6)

    assert answer["escalates_at"] is not None
    assert states(engine) == ["1"]


# What reaches the record


UPDATES = {
    "on_update": "fields",
    "fields": {"short_description": "{{ incident.title }}", "description": "{{ annotations.summary }}"},
    "update_fields": {"description": "{{ annotations.summary }} ({{ incident.severity }})"},
}


@pytest.mark.parametrize("servicenow_settings", [UPDATES])
async def test_a_description_that_changes_is_written_to_the_record_once(engine):
    await posted(engine, alert("Disk", summary="90 %"))
    await engine.after(minutes=6)
    for _ in range(3):
        await posted(engine, alert("Disk", summary="97 %"))
        await engine.settle()

    [record] = engine.servicenow.incidents
    assert record["description"] == "97 % (warning)"
    assert [call.split()[0] for call in engine.servicenow.calls].count("PATCH") == 1


@pytest.mark.parametrize("servicenow_settings", [UPDATES])
async def test_a_description_that_people_wrote_stays(engine):
    await posted(engine, alert("Disk", summary="90 %"))
    await engine.after(minutes=6)
    engine.servicenow.incidents[0]["description"] = "by hand"

    await posted(engine, alert("Disk", summary="97 %"))
    await engine.settle()

    assert engine.servicenow.incidents[0]["description"] == "by hand"


@pytest.mark.parametrize("servicenow_settings", [UPDATES, {}], ids=["fields", "notes"])
async def test_a_severity_that_rises_is_told_in_the_thread_and_noted_in_the_record(engine):
    await posted(engine, alert("Disk"))
    await engine.after(minutes=6)

    await posted(engine, alert("Disk", severity="warning"), alert("Disk", severity="critical", instance="db-2"))
    await engine.settle()

    assert ":small_red_triangle: The severity rose: warning → critical" in "\n".join(thread(engine))
    assert thread(engine)[-1].endswith(MENTION)
    assert "severity warning → critical" in notes(engine)[-1]


# What a sender leaves out


async def test_what_a_sender_leaves_out_that_lists_what_is_over_goes_on(engine):
    three = [alert("Disk", instance=name) for name in "abc"]
    created = await posted(engine, *three)

    await posted(engine, three[0])
    answer = await posted(engine, alert("Disk", over=True, instance="a"))
    await engine.settle()

    assert answer["status"] == "triggered"
    detail = await engine.detail(created["id"])
    assert [(it["status"], it["not_listed_since"] is not None) for it in detail["alerts"]] == [
        ("resolved", False),
        ("firing", True),
        ("firing", True),
    ]
    assert "not listed since" in engine.slack.messages[0].shown
    await engine.after(minutes=6)
    assert states(engine) == ["1"]

    over = await posted(engine, *(alert("Disk", over=True, instance=name) for name in "bc"))
    assert over["outcome"] == "resolved"


async def warnings(engine: Engine, incident_id: str) -> list[str]:
    await engine.settle()
    found: list[str] = (await engine.detail(incident_id))["warnings"]
    assert all(it in engine.slack.messages[0].shown for it in found)
    assert ("not resolved" in engine.slack.messages[0].shown) is any("not resolved" in it for it in found)
    return found


async def test_that_it_is_not_resolved_for_what_is_left_out_is_told_until_that_is_listed_or_over(engine):
    a, b, c = (alert("Disk", instance=name) for name in "abc")
    incident_id = (await posted(engine, a, b, c))["id"]
    over = alert("Disk", over=True, instance="a")

    for _ in range(2):
        await posted(engine, over)
        assert await warnings(engine, incident_id) == [
            "not resolved: its sender does not list Disk on b, Disk on c any more, and did not say that it is over"
        ]
    await posted(engine, b)
    assert await warnings(engine, incident_id) == [
        "not resolved: its sender does not list Disk on c any more, and did not say that it is over"
    ]
    await posted(engine, b, c)
    assert await warnings(engine, incident_id) == []

    told = [it["detail"] for it in (await engine.detail(incident_id))["timeline"] if it["event"] == "warning"]
    assert len(told) == 1


async def test_what_a_person_resolves_does_not_say_why_it_is_not_resolved(engine):
    incident_id = (await posted(engine, alert("Disk", instance="a"), alert("Disk", instance="b")))["id"]
    await posted(engine, alert("Disk", over=True, instance="a"))
    assert await warnings(engine, incident_id)

    await act(engine, incident_id, "resolve")

    assert await warnings(engine, incident_id) == []


async def test_that_another_sender_lists_it_is_told_until_that_has_ended_too(engine):
    eu, us = (alert("Disk", minutes=minutes, instance="db") for minutes in (0, 1))
    incident_id = (await posted(engine, eu))["id"]
    await engine.post(group(us, sender="http://am-us:9093"))

    await posted(engine, alert("Disk", over=True, instance="db"))
    await engine.post(group(us, sender="http://am-us:9093"))

    assert await warnings(engine, incident_id) == [
        "not resolved: another sender lists Disk on db too, and did not say that it is over"
    ]
    await engine.post(group(alert("Disk", minutes=1, over=True, instance="db"), sender="http://am-us:9093"))
    assert await warnings(engine, incident_id) == []


async def test_a_sender_that_was_once_seen_to_list_what_is_over_is_known_to_everybody(engine):
    await engine.post(group(alert("Host", over=True)))
    engine.lifecycle._reporting._written_ms.clear()  # another process
    a, b = alert("Disk", instance="a"), alert("Disk", instance="b")
    created = await posted(engine, a, b)

    await posted(engine, a)

    assert [it["status"] for it in (await engine.detail(created["id"]))["alerts"]] == ["firing", "firing"]


async def test_what_a_sender_leaves_out_that_never_lists_what_is_over_has_ended(engine):
    a, b = alert("Disk", instance="a"), alert("Disk", instance="b")
    created = await posted(engine, a, b)

    await posted(engine, a)

    assert [it["status"] for it in (await engine.detail(created["id"]))["alerts"]] == ["firing", "resolved"]


async def test_a_sender_whose_lists_leave_out_in_turns_what_fires_ends_nothing_by_that(engine):
    """Two Alertmanagers with one address."""
    eu, us = alert("Disk", instance="eu"), alert("Disk", instance="us")
    created = await posted(engine, eu)

    for repeat in (us, eu, us, eu):
        await posted(engine, repeat)

    detail = await engine.detail(created["id"])
    assert [it["status"] for it in detail["alerts"]] == ["firing", "firing"]
    assert [it["event"] for it in detail["timeline"]].count("joined") == 2


async def test_a_list_that_was_cut_off_ends_nothing(engine):
    a, b = alert("Disk", instance="a"), alert("Disk", instance="b")
    created = await posted(engine, a, b)

    await engine.post(group(a) | {"truncatedAlerts": 1})

    assert [it["status"] for it in (await engine.detail(created["id"]))["alerts"]] == ["firing", "firing"]


# Acknowledgments that end


FOUR_HOURS = {"ack_timeout_minutes": 240}


@pytest.fixture
def config(config):
    return config.model_copy(update={"oncall": config.oncall.model_copy(update=FOUR_HOURS)})


async def test_an_acknowledgment_ends_and_what_still_fires_escalates(engine):
    incident_id = await acknowledged(engine, alert("Disk"))
    await engine.after(hours=3)
    assert (await engine.detail(incident_id))["status"] == "acknowledged"

    await engine.after(hours=1)

    assert (await engine.detail(incident_id))["status"] == "triggered"
    assert ":alarm_clock: The acknowledgment has ended" in thread(engine)[-1]
    assert thread(engine)[-1].endswith(MENTION)
    assert engine.servicenow.incidents == []
    await engine.after(minutes=6)
    assert states(engine) == ["1"]


async def acknowledged_record(engine: Engine) -> str:
    """The id of an incident whose record is open, and that somebody has acknowledged."""
    await posted(engine, alert("Disk"))
    await engine.after(minutes=6)
    [record] = engine.servicenow.incidents
    incident_id = str(record["correlation_id"])
    assert await act(engine, incident_id, "acknowledge") == 201
    await engine.settle()
    return incident_id


async def test_an_open_record_gets_one_note_when_the_acknowledgment_has_ended_and_stays_the_only_one(engine):
    await posted(engine, alert("Disk"))
    await engine.after(minutes=6)
    [record] = engine.servicenow.incidents
    incident_id = record["correlation_id"]
    assert await act(engine, incident_id, "acknowledge") == 201
    await engine.settle()
    before = len(notes(engine))

    await engine.after(hours=4)
    await engine.after(minutes=6)

    assert states(engine) == ["2"]
    [note] = notes(engine)[before:]
    assert note.startswith("the acknowledgment has ended")
    said = [line for line in thread(engine) if line.startswith(":rotating_light:")]
    assert len(said) == 2
    assert said[0].startswith(":rotating_light: Escalated to ServiceNow as <http")
    assert said[1].startswith(":rotating_light: Escalated to ServiceNow again, noted in <http")
    told = [it["detail"] for it in (await engine.detail(incident_id))["timeline"] if it["event"] == "escalated"]
    assert told == [f"ServiceNow {record['number']}", f"ServiceNow {record['number']}, noted again"]
    assert (await engine.detail(incident_id))["outcome"] == "escalated"


async def test_an_acknowledgment_ends_in_minutes_also_while_servicenow_asks_to_be_left_alone_for_hours(engine):
    incident_id = await acknowledged_record(engine)
    await engine.after(hours=3.5)
    engine.servicenow.faults.order(Fault(kind="429", times=None, retry_after=2 * 3600))
    await engine.post(group(alert("Other")))
    await engine.after(minutes=6)
    assert (await engine.detail(incident_id))["status"] == "acknowledged"

    for _ in range(15):
        await engine.after(minutes=2)

    assert (await engine.detail(incident_id))["status"] == "triggered"
    assert ":alarm_clock: The acknowledgment has ended" in "\n".join(thread(engine))


async def test_what_joins_and_escalates_gives_an_acknowledgment_its_end(engine):
    first = alert("Disk", instance="a")
    incident_id = await acknowledged(engine, first, oncall_enable="false")

    await posted(engine, first, alert("Disk", instance="b"))
    await engine.after(hours=3)
    assert (await engine.detail(incident_id))["status"] == "acknowledged"

    await engine.after(hours=1.1)
    assert (await engine.detail(incident_id))["status"] == "triggered"
    await engine.after(minutes=6)
    assert states(engine) == ["1"]


@pytest.mark.parametrize("heard_again", [False, True])
async def test_what_people_closed_comes_back_where_ends_are_never_told_only_when_it_is_told_again(engine, heard_again):
    one = {"title": "job failed", "dedup_key": "job"}
    await engine.post(one)
    await engine.after(minutes=6)
    [record] = engine.servicenow.incidents
    assert await act(engine, record["correlation_id"], "acknowledge") == 201
    await engine.settle()
    engine.clock.advance(minutes=1)
    await engine.post(one)
    await pass_hours(engine, 0.5)
    record["state"] = "7"
    await pass_hours(engine, 1)

    if heard_again:
        await engine.post(one)
    await pass_hours(engine, 12)

    assert len(engine.servicenow.incidents) == 1 + heard_again


async def test_what_is_over_in_time_does_not_come_back(engine):
    incident_id = await acknowledged(engine, alert("Disk"))
    await posted(engine, alert("Disk", over=True))

    await engine.after(hours=5)

    assert (await engine.detail(incident_id))["status"] == "resolved"
    assert engine.servicenow.calls == []


@pytest.mark.parametrize("sign", ["acknowledge", "snooze"])
async def test_somebody_who_says_so_keeps_the_acknowledgment_going(engine, sign):
    incident_id = await acknowledged(engine, alert("Disk"))
    await engine.after(hours=3)

    assert await act(engine, incident_id, sign, minutes=30) == {"acknowledge": 200, "snooze": 201}[sign]
    await engine.after(hours=3.5)
    assert (await engine.detail(incident_id))["status"] == "acknowledged"
    assert (await engine.detail(incident_id))["acknowledged_by"] == "ana"

    await engine.after(hours=1)
    assert (await engine.detail(incident_id))["status"] == "triggered"


@pytest.mark.parametrize("sign", ["a comment", "an assignment"])
async def test_somebody_who_works_on_the_record_keeps_the_acknowledgment_going(engine, sign):
    await posted(engine, alert("Disk"))
    await engine.after(minutes=6)
    [record] = engine.servicenow.incidents
    incident_id = record["correlation_id"]
    assert await act(engine, incident_id, "acknowledge") == 201
    await pass_hours(engine, 3.9)

    if sign == "a comment":
        engine.servicenow.comment(record["sys_id"], "On it", by="ben")
    else:
        record["assigned_to"] = engine.servicenow.add_user("ben@example.com")
    await pass_hours(engine, 3)
    assert (await engine.detail(incident_id))["status"] == "acknowledged"

    await pass_hours(engine, 1.5)
    assert (await engine.detail(incident_id))["status"] == "triggered"


async def pass_hours(engine: Engine, hours: float) -> None:
    for _ in range(round(hours * 12)):
        engine.clock.advance(minutes=5)
        await engine.worker.run_due()


async def test_an_acknowledgment_lasts_for_a_week_at_most(engine):
    incident_id = await acknowledged(engine, alert("Disk"))

    for _ in range(24 * 7 // 3):
        assert (await engine.detail(incident_id))["status"] == "acknowledged"
        await act(engine, incident_id, "acknowledge")
        await engine.after(hours=3)

    assert (await engine.detail(incident_id))["status"] == "triggered"


async def test_an_acknowledgment_that_nobody_remembered_is_overdue_and_brought_back(engine, logs):
    incident_id = await acknowledged(engine, alert("Disk"))
    redis = engine.store._redis
    for name in ("timers", "running"):
        async for key in redis.scan_iter(f"*:{name}"):
            await redis.delete(key)
    engine.clock.advance(hours=5)

    await engine.watchdog.look()
    await engine.settle()

    assert logs.expect_error("escalation.overdue")["incident"] == incident_id
    assert logs.expect_error("escalation.rearmed")["incident"] == incident_id
    assert (await engine.detail(incident_id))["status"] == "triggered"


async def test_an_incident_that_never_escalates_stays_acknowledged(engine):
    incident_id = await acknowledged(engine, alert("Disk"), oncall_enable="false")

    await engine.after(hours=5)

    assert (await engine.detail(incident_id))["status"] == "acknowledged"
    assert (await engine.store.get(IncidentId(incident_id))).ack_ends_at_ms is None
