"""From the payload to the record, with the simulators and a clock that is moved."""

import asyncio
from datetime import UTC, datetime
from urllib.parse import urlsplit

import pytest

from tests.integration.conftest import CHANNEL, LEASE_MS, Engine, make_worker
from tests.support.claims import claim_due
from tests.support.waiting import until
from versus_py.engine.retries import SPREAD
from versus_py.errors import Permanent, Transient
from versus_py.incidents.copies import replace
from versus_py.incidents.model import Delivery, Status
from versus_py.simulators import Fault
from versus_py.store import keys
from versus_py.tools.samples import alertmanager, generic


@pytest.fixture(autouse=True)
def _no_jitter(monkeypatch):
    """Retries after the shortest time, so that tests know when."""
    monkeypatch.setattr(SPREAD, "uniform", lambda low, _high: low)


def firing(engine: Engine, name: str = "DiskFull", *, is_resolved: bool = False):
    return alertmanager(name, starts_at=datetime.fromtimestamp(START_S, UTC), is_resolved=is_resolved)


START_S = 1_777_890_000


async def press_button(engine: Engine, index: int = 0):
    """What the browser of somebody who clicks does."""
    url = urlsplit(engine.slack.messages[index].button_url or "")
    return await engine.http.post(f"{url.path}?{url.query}", headers={"Accept": "application/json"})


async def test_nobody_acknowledges_and_one_record_is_created(engine):
    answer = await engine.post(firing(engine))
    [created] = answer["incidents"]
    assert (created["outcome"], created["status"]) == ("created", "triggered")
    assert answer["status"] == "Incident created"
    assert answer["warnings"] == []

    await engine.settle()
    assert len(engine.slack.messages) == 1
    assert engine.servicenow.calls == []
    await engine.after(minutes=5)

    [record] = engine.servicenow.incidents
    assert record["short_description"] == f"Incident {created['id']}"
    assert record["correlation_id"] == created["id"]
    assert record["description"] == ""
    [message] = engine.slack.messages
    assert record["number"] in message.shown
    detail = await engine.detail(created["id"])
    assert detail["outcome"] == "escalated"
    assert detail["record"] == record["number"]
    assert [entry["event"] for entry in detail["timeline"]] == ["triggered", "posted", "escalating", "escalated"]


async def test_acknowledged_in_time_servicenow_is_never_called(engine):
    [created] = (await engine.post(firing(engine)))["incidents"]
    await engine.settle()

    response = await press_button(engine)
    await engine.after(hours=2)

    assert response.status == 201
    assert "ServiceNow will not be called" in (await response.json())["message"]
    assert engine.servicenow.calls == []
    [message] = engine.slack.messages
    assert "*Acknowledged*" in message.text
    assert message.button_url is None
    assert (await engine.detail(created["id"]))["outcome"] == "acknowledged"


async def test_resolved_before_the_wait_is_over_nothing_escalates(engine):
    await engine.post(firing(engine))
    await engine.settle()

    answer = await engine.post(firing(engine, is_resolved=True))
    await engine.after(hours=2)

    assert answer["incidents"][0]["outcome"] == "resolved"
    assert answer["incidents"][0]["escalates_at"] is None
    assert engine.servicenow.calls == []
    assert "*Resolved*" in engine.slack.messages[0].text


async def test_resolved_after_the_escalation_the_record_is_resolved(engine):
    await engine.post(firing(engine))
    await engine.settle()
    await engine.after(minutes=5)

    await engine.post(firing(engine, is_resolved=True))
    await engine.settle()

    [record] = engine.servicenow.incidents
    assert (record["state"], record["close_code"]) == ("6", "Solution provided")
    assert record["close_notes"] == "Resolved by alertmanager."
    [note] = engine.servicenow.notes[record["sys_id"]]
    assert note.endswith(" UTC: resolved by alertmanager")


async def test_acknowledged_after_the_escalation_the_record_moves_on(engine):
    await engine.post(firing(engine))
    await engine.settle()
    await engine.after(minutes=5)

    response = await press_button(engine)
    await engine.settle()

    [record] = engine.servicenow.incidents
    assert f"escalated as {record['number']}" in (await response.json())["message"]
    assert record["state"] == "2"
    [note] = engine.servicenow.notes[record["sys_id"]]
    assert note.endswith(" UTC: acknowledged by the ACK link")


async def test_repeats_are_one_message_one_wait_one_record(engine):
    first = await engine.post(firing(engine))
    await engine.settle()
    for _ in range(4):
        answer = await engine.post(firing(engine))
        assert answer["incidents"][0] == first["incidents"][0] | {"outcome": "updated"}
        await engine.after(minutes=0.5)
    await engine.after(minutes=5)
    await engine.post(firing(engine))
    await engine.after(minutes=60)

    assert len(engine.slack.messages) == 1
    assert "seen 6 times" in engine.slack.messages[0].shown
    assert len(engine.servicenow.incidents) == 1


async def test_simultaneous_posts_are_one_incident(engine):
    answers = await asyncio.gather(*(engine.post(firing(engine)) for _ in range(10)))
    await engine.settle()

    assert len({answer["incidents"][0]["id"] for answer in answers}) == 1
    assert sorted(answer["incidents"][0]["outcome"] for answer in answers) == ["created"] + ["updated"] * 9
    assert len(engine.slack.messages) == 1


async def test_a_resolve_of_nothing_known_is_ignored(engine):
    answer = await engine.post(firing(engine, is_resolved=True))

    assert answer["incidents"] == [{"id": None, "outcome": "ignored", "status": None, "escalates_at": None}]
    await engine.settle()
    assert engine.slack.calls == []


async def test_a_flapping_alert_reopens_its_incident_and_waits_again(engine):
    [created] = (await engine.post(firing(engine)))["incidents"]
    await engine.settle()
    await engine.post(firing(engine, is_resolved=True))
    await engine.after(minutes=1)

    [again] = (await engine.post(firing(engine)))["incidents"]

    assert (again["id"], again["outcome"]) == (created["id"], "reopened")
    assert again["escalates_at"] > created["escalates_at"]
    await engine.after(minutes=5)
    assert len(engine.servicenow.incidents) == 1
    assert len(engine.slack.messages) == 1


async def test_a_reopened_incident_whose_record_was_resolved_reopens_the_record(engine):
    await engine.post(firing(engine))
    await engine.after(minutes=6)
    await engine.post(firing(engine, is_resolved=True))
    await engine.after(minutes=1)
    assert engine.servicenow.incidents[0]["state"] == "6"

    await engine.post(firing(engine))
    await engine.after(minutes=1)
    assert engine.servicenow.incidents[0]["state"] == "6"  # the wait starts again
    await engine.after(minutes=5)

    [record] = engine.servicenow.incidents
    assert record["state"] == "2"
    assert "*Escalated*" in engine.slack.messages[0].text


async def test_a_reopened_incident_whose_record_was_closed_gets_a_new_one(engine):
    await engine.post(firing(engine))
    await engine.after(minutes=6)
    await engine.post(firing(engine, is_resolved=True))
    await engine.after(minutes=1)
    engine.servicenow.incidents[0]["state"] = "7"

    await engine.post(firing(engine))
    engine.servicenow.faults.order(Fault(kind="lost_reply", method="POST"))
    await engine.after(minutes=6)
    await engine.after(minutes=2)

    assert [record["state"] for record in engine.servicenow.incidents] == ["7", "1"]


async def test_a_wait_of_zero_escalates_at_once_and_offers_no_button(engine):
    await engine.post(firing(engine), oncall_wait_minutes="0")
    await engine.settle()

    assert len(engine.servicenow.incidents) == 1
    assert engine.slack.messages[0].button_url is None


async def test_oncall_can_be_switched_off_for_a_request(engine):
    answer = await engine.post(firing(engine), oncall_enable="false")
    await engine.after(hours=24)

    assert answer["incidents"][0]["escalates_at"] is None
    assert engine.servicenow.calls == []
    assert engine.slack.messages[0].button_url is None
    assert "no escalation" in engine.slack.messages[0].shown


async def test_overrides_hold_for_their_incident_only(engine, servicenow_infra):
    overrides = {"oncall_wait_minutes": "1", "servicenow_other_instance": "infra", "slack_channel_id": "C0OTHER"}
    await engine.post(firing(engine, "Infra"), **overrides)
    await engine.post(firing(engine, "Usual"))
    await engine.after(minutes=1)
    assert [len(servicenow_infra.incidents), len(engine.servicenow.incidents)] == [1, 0]
    await engine.after(minutes=5)

    assert [len(servicenow_infra.incidents), len(engine.servicenow.incidents)] == [1, 1]
    assert sorted(message.channel for message in engine.slack.messages) == [CHANNEL, "C0OTHER"]


async def test_a_wrong_override_is_everywhere_but_loses_nothing(engine, logs):
    answer = await engine.post(firing(engine), oncall_wait_minutes="soon", slack_chanel_id="C1")
    await engine.settle()

    [created] = answer["incidents"]
    assert len(answer["warnings"]) == 2
    detail = await engine.detail(created["id"])
    for warning in answer["warnings"]:
        assert warning in engine.slack.messages[0].shown
        assert warning in [entry["detail"] for entry in detail["timeline"]]
        assert warning in [line.get("warning") for line in logs]
    assert detail["policy"]["wait_minutes"] == 5


async def test_a_channel_that_cannot_be_used_falls_back_to_the_default_with_a_note(engine):
    engine.slack.archived.add("C0OLD")

    await engine.post(firing(engine), slack_channel_id="C0OLD")
    await engine.settle()

    [message] = engine.slack.messages
    assert message.channel == CHANNEL
    assert "channel C0OLD cannot be used" in message.shown
    await press_button(engine)
    await engine.settle()
    assert "*Acknowledged*" in message.text
    assert "channel C0OLD cannot be used" in message.shown


async def test_when_nobody_can_be_told_it_escalates_at_once(engine, logs):
    engine.slack.archived.add(CHANNEL)

    [created] = (await engine.post(firing(engine)))["incidents"]
    await engine.settle()

    assert len(engine.servicenow.incidents) == 1
    assert "is_archived" in logs.expect_error("sync.failed")["error"]
    detail = await engine.detail(created["id"])
    assert any("cannot be told" in (entry["detail"] or "") for entry in detail["timeline"])
    assert detail["deliveries"]["slack"]["failed_at"]


async def test_slack_being_down_delays_the_message_and_not_the_escalation(engine):
    engine.slack.faults.order(Fault(kind="down", times=None))
    await engine.post(firing(engine))
    await engine.after(minutes=6)
    assert engine.slack.messages == []
    assert len(engine.servicenow.incidents) == 1

    engine.slack.faults.clear()
    await engine.after(minutes=6)

    [message] = engine.slack.messages
    assert engine.servicenow.incidents[0]["number"] in message.shown


async def test_slack_asking_to_wait_is_honoured(engine):
    engine.slack.faults.order(Fault(kind="429", retry_after=30, path="/api/chat.postMessage"))
    await engine.post(firing(engine))
    await engine.worker.run_due()
    await engine.post(firing(engine, "Other"))
    for _ in range(29):
        engine.clock.advance(seconds=1)
        await engine.worker.run_due()
    assert engine.slack.messages == []

    await engine.settle()

    assert len(engine.slack.messages) == 2


async def test_messages_of_one_channel_are_a_second_apart(engine):
    for number in range(5):
        await engine.post(firing(engine, f"Alert{number}"))
    seen = []
    for _ in range(5):
        await engine.worker.run_due()
        seen.append(len(engine.slack.messages))
        engine.clock.advance(seconds=1)

    assert seen == [1, 2, 3, 4, 5]
    assert "429" not in str(engine.slack.calls)


async def test_a_message_that_somebody_deleted_is_posted_again_while_it_matters(engine):
    await engine.post(firing(engine))
    await engine.settle()
    engine.slack.messages.clear()
    await engine.post(firing(engine))
    await engine.settle()
    assert len(engine.slack.messages) == 1

    engine.slack.messages.clear()
    await engine.post(firing(engine, is_resolved=True))
    await engine.settle()
    assert engine.slack.messages == []


@pytest.mark.parametrize("kind", ["down", "500", "503", "html200"])
async def test_servicenow_that_fails_is_tried_until_it_works(engine, kind):
    engine.servicenow.faults.order(Fault(kind=kind, times=None))
    [created] = (await engine.post(firing(engine)))["incidents"]
    await engine.after(minutes=5)
    assert engine.servicenow.incidents == []
    assert "is being retried" in engine.slack.messages[0].shown

    engine.servicenow.faults.clear()
    await engine.after(minutes=1.5)

    assert len(engine.servicenow.incidents) == 1
    assert "is being retried" not in engine.slack.messages[0].shown
    assert (await engine.detail(created["id"]))["outcome"] == "escalated"


@pytest.mark.parametrize("kind", ["lost_reply", "slow"])
async def test_a_lost_reply_makes_no_second_record(engine, kind, monkeypatch):
    monkeypatch.setattr(engine.worker._targets["servicenow"]._instances[None].api._connection, "_timeout_s", 0.3)
    engine.servicenow.faults.order(Fault(kind=kind, method="POST", seconds=0.6))
    await engine.post(firing(engine))
    await engine.after(minutes=5)
    if kind == "slow":
        await until(lambda: engine.servicenow.incidents)  # the simulator commits after our client gave up
    posts = [call for call in engine.servicenow.calls if call.startswith("POST")]
    await engine.after(minutes=2)

    assert len(posts) == 1
    [record] = engine.servicenow.incidents
    assert record["number"] in engine.slack.messages[0].shown


async def test_an_acknowledgment_after_an_unanswered_create_finds_the_record_and_moves_it(engine):
    engine.servicenow.faults.order(Fault(kind="lost_reply", method="POST"))
    await engine.post(firing(engine))
    await engine.settle()
    engine.clock.advance(minutes=5)
    await engine.worker.run_due()

    response = await press_button(engine)
    await engine.after(minutes=2)

    assert "may still create a record" in (await response.json())["message"]
    [record] = engine.servicenow.incidents
    assert record["state"] == "2"


async def test_an_acknowledgment_while_servicenow_is_away_creates_nothing_when_it_is_back(engine):
    engine.servicenow.faults.order(Fault(kind="503", times=None))
    [created] = (await engine.post(firing(engine)))["incidents"]
    await engine.after(minutes=6)
    await press_button(engine)

    engine.servicenow.faults.clear()
    await engine.after(minutes=30)

    assert engine.servicenow.incidents == []
    assert "is gone" not in engine.slack.messages[0].shown
    assert (await engine.detail(created["id"]))["outcome"] == "acknowledged"
    assert "retried" not in engine.slack.messages[0].shown


async def test_servicenows_rate_limit_is_honoured_for_all_incidents(engine):
    engine.servicenow.faults.order(Fault(kind="429", retry_after=600))
    await engine.post(firing(engine, "A"), oncall_wait_minutes="0")
    await engine.settle()
    await engine.post(firing(engine, "B"), oncall_wait_minutes="0")
    await engine.after(minutes=9)
    assert engine.servicenow.calls == []  # the one that was refused does not count as one

    await engine.after(minutes=2)

    assert len(engine.servicenow.incidents) == 2


async def test_what_is_refused_for_good_fails_at_once_and_everybody_sees_it(engine, logs):
    engine.servicenow.faults.order(Fault(kind="400", times=None))

    [created] = (await engine.post(firing(engine)))["incidents"]
    await engine.after(minutes=5)
    await engine.after(hours=1)

    error = logs.expect_error("sync.failed")["error"]
    assert "ServiceNow answered 400" in error
    assert "check oncall.servicenow.table" in error
    assert "escalation to ServiceNow failed" in engine.slack.messages[0].shown
    detail = await engine.detail(created["id"])
    assert detail["outcome"] == "failed"
    assert "failed" in [entry["event"] for entry in detail["timeline"]]


async def test_what_fails_for_too_long_is_given_up(engine, logs):
    engine.servicenow.faults.order(Fault(kind="503", times=None))
    await engine.post(firing(engine))
    await engine.after(minutes=5)
    for _ in range(30):
        await engine.after(hours=1)

    assert "failing for" in logs.expect_error("sync.failed")["error"]
    calls = len(engine.servicenow.calls)
    await engine.after(hours=10)
    assert len(engine.servicenow.calls) == calls


async def test_a_repeat_after_a_failure_tries_once_more(engine, logs):
    engine.servicenow.faults.order(Fault(kind="400", times=None))
    await engine.post(firing(engine))
    await engine.after(minutes=5)
    logs.expect_error("sync.failed")
    engine.servicenow.faults.clear()

    await engine.post(firing(engine))
    await engine.settle()

    assert len(engine.servicenow.incidents) == 1
    assert "*Escalated*" in engine.slack.messages[0].text


async def test_an_acknowledgment_does_not_hide_a_failed_escalation(engine, logs):
    engine.servicenow.faults.order(Fault(kind="400", times=None))
    await engine.post(firing(engine))
    await engine.after(minutes=5)
    logs.expect_error("sync.failed")
    assert "*Escalation failed*" in engine.slack.messages[0].text

    await press_button(engine)
    await engine.settle()

    logs.expect_error("sync.failed")  # it looked whether the earlier attempt had an effect, and was refused again
    assert "*Acknowledged*" in engine.slack.messages[0].text
    assert "escalation to ServiceNow failed" in engine.slack.messages[0].shown


async def test_a_record_that_people_closed_is_left_alone(engine):
    await engine.post(firing(engine))
    await engine.after(minutes=5)
    engine.servicenow.incidents[0]["state"] = "7"

    await engine.post(firing(engine, is_resolved=True))
    await engine.settle()

    assert engine.servicenow.incidents[0]["state"] == "7"
    assert not [call for call in engine.servicenow.calls if call.startswith("PATCH")]


async def test_a_record_that_people_took_further_is_not_taken_back(engine):
    await engine.post(firing(engine))
    await engine.after(minutes=5)
    engine.servicenow.incidents[0]["state"] = "3"

    await press_button(engine)
    await engine.settle()

    assert engine.servicenow.incidents[0]["state"] == "3"


async def test_a_record_that_people_deleted_is_no_error(engine):
    await engine.post(firing(engine))
    await engine.after(minutes=5)
    engine.servicenow.incidents.clear()

    await engine.post(firing(engine, is_resolved=True))
    await engine.settle()

    assert engine.servicenow.incidents == []
    assert "*Resolved*" in engine.slack.messages[0].text


class Killed(BaseException):
    """In place of a kill -9, which nobody catches."""


async def test_a_worker_that_dies_after_creating_leaves_one_record(engine, session, monkeypatch):
    await engine.post(firing(engine))
    await engine.settle()
    engine.clock.advance(minutes=5)

    async def die(*_args, **_kwargs):
        raise Killed

    dying = make_worker(engine.config, engine.clock, engine.store, session, engine.links)
    monkeypatch.setattr(dying, "_give_back", die)
    with pytest.raises(BaseExceptionGroup):
        await dying.run_due()
    assert len(engine.servicenow.incidents) == 1
    await engine.worker.run_due()
    assert len(engine.servicenow.calls) == 2  # the lease still holds

    engine.clock.advance(ms=LEASE_MS)
    await engine.settle()

    [record] = engine.servicenow.incidents
    assert record["number"] in engine.slack.messages[0].shown


async def test_two_workers_share_the_work_and_double_none(engine, session):
    other = make_worker(engine.config, engine.clock, engine.store, session, engine.links)
    for number in range(30):
        await engine.post(firing(engine, f"Alert{number}"))
        if number % 15 == 14:  # no more at once than get a message each
            for _ in range(40):
                engine.clock.advance(seconds=10)
                await asyncio.gather(engine.worker.run_due(), other.run_due())

    assert len(engine.servicenow.incidents) == 30
    assert len({record["correlation_id"] for record in engine.servicenow.incidents}) == 30
    assert len(engine.slack.messages) == 30


@pytest.mark.parametrize("_round", range(10))
async def test_an_acknowledgment_racing_a_due_timer_gets_the_truth(engine, _round):
    await engine.post(firing(engine))
    await engine.settle()
    engine.clock.advance(minutes=5)

    response, _ = await asyncio.gather(press_button(engine), engine.worker.run_due())
    await engine.after(minutes=5)

    said = (await response.json())["message"]
    if "ServiceNow will not be called" in said:
        assert engine.servicenow.calls == []
    else:
        assert "had begun" in said or "escalated as" in said


async def test_what_other_replicas_resolve_while_a_record_is_being_created_is_closed(engine):
    await engine.post(firing(engine))
    await engine.settle()
    engine.clock.advance(minutes=5)
    engine.servicenow.faults.order(Fault(kind="slow", method="POST", seconds=0.2))

    working = asyncio.ensure_future(engine.worker.run_due())
    await until(lambda: any(call.startswith("GET") for call in engine.servicenow.calls))
    await engine.post(firing(engine, is_resolved=True))
    await working
    await engine.settle()

    [record] = engine.servicenow.incidents
    assert record["state"] == "6"


async def test_a_crashing_target_takes_no_other_incident_with_it(engine, logs, monkeypatch):
    original = engine.worker._targets["slack"].sync

    async def crash(incident, *, attempt):
        if "Bad" in incident.title:
            raise RuntimeError("a bug")
        return await original(incident, attempt=attempt)

    monkeypatch.setattr(engine.worker._targets["slack"], "sync", crash)
    await engine.post(firing(engine, "Bad"))
    await engine.post(firing(engine, "Good"))
    await engine.settle()

    logs.expect_error("sync.crashed")
    assert [("Good" in message.text) for message in engine.slack.messages] == [True]


HALF = "\ud800"  # of a surrogate pair: JSON may hold it, UTF-8 has it not


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Delivery(reference={"ts": HALF}), "internal error"),
        (Delivery(reference={"ts": "1"}, label=HALF), "internal error"),
        (Delivery(reference={"ts": "1"}, locator=HALF), "internal error"),
        (Transient(f"bad {HALF}"), "bad ?"),
        (Permanent(f"bad {HALF}"), "bad ?"),
    ],
    ids=["reference", "label", "locator", "transient", "permanent"],
)
async def test_what_a_target_answers_and_nobody_can_write_down_fails_that_sync_only(
    engine, logs, monkeypatch, answer, said
):
    original = engine.worker._targets["slack"].sync

    async def sync(incident, *, attempt):
        if "Good" in incident.title:
            return await original(incident, attempt=attempt)
        if isinstance(answer, Delivery):
            return answer
        raise answer

    monkeypatch.setattr(engine.worker._targets["slack"], "sync", sync)
    [bad] = (await engine.post(firing(engine, "Bad")))["incidents"]
    await engine.post(firing(engine, "Good"))
    await engine.settle()

    assert ["Good" in message.text for message in engine.slack.messages] == [True]
    assert said in (await engine.detail(bad["id"]))["deliveries"]["slack"]["error"]
    if not isinstance(answer, Transient):
        logs.expect_error("sync.failed" if isinstance(answer, Permanent) else "sync.crashed")


async def test_what_came_of_a_sync_and_cannot_be_written_down_is_tried_again_and_takes_no_other_with_it(
    engine, logs, monkeypatch
):
    complete = engine.store.complete

    async def refused(claim, completion, *, now_ms):
        if completion.how == "done" and "Bad" in claim.incident().title:
            raise ValueError("a bug")
        return await complete(claim, completion, now_ms=now_ms)

    with monkeypatch.context() as broken:
        broken.setattr(engine.store, "complete", refused)
        await engine.post(firing(engine, "Bad"))
        await engine.post(firing(engine, "Good"))
        await engine.settle()
    logs.expect_error("sync.crashed")
    await engine.after(minutes=1)

    assert sorted("Good" in message.text for message in engine.slack.messages) == [False, True]


@pytest.mark.parametrize("damage", ["{}", b'{"schema":6,\xff'], ids=["a field is missing", "no text"])
async def test_an_incident_that_cannot_be_read_takes_no_other_with_it(engine, logs, damage):
    [bad] = (await engine.post(firing(engine, "Bad")))["incidents"]
    await engine.post(firing(engine, "Good"))
    await engine.store._redis.hset(keys.incident(bad["id"]), "incident", damage)

    await engine.settle()

    logs.expect_error("incident.unreadable")
    assert [message.text for message in engine.slack.messages if "Good" in message.text]


async def test_the_template_is_used_and_a_broken_one_falls_back(engine, logs, tmp_path, session):
    template = tmp_path / "message.tmpl"
    template.write_text("severity {{ incident.severity }} of {{ labels.instance }}")
    slack_config = engine.config.alert.slack.model_copy(update={"template_path": template})
    alert = engine.config.alert.model_copy(update={"slack": slack_config})
    config = engine.config.model_copy(update={"alert": alert})
    engine.worker = make_worker(config, engine.clock, engine.store, session, engine.links)

    await engine.post(firing(engine))
    await engine.settle()
    assert "severity critical of db-7:9100" in engine.slack.messages[0].shown

    template.write_text("{{ broken")
    await engine.post(firing(engine, "Other"))
    await engine.settle()
    logs.expect_error("slack.template_failed")
    assert "the template failed" in engine.slack.messages[1].shown
    assert "Other on db-7" in engine.slack.messages[1].shown


async def test_blocks_that_slack_refuses_are_replaced_by_plain_text(engine, logs, monkeypatch):
    monkeypatch.setattr("versus_py.simulators.slack.validation.BLOCKS_MAX", 0)

    await engine.post(firing(engine))
    await engine.settle()

    assert logs.expect_error("slack.blocks_refused")["error"] == "Slack says invalid_blocks"
    [message] = engine.slack.messages
    assert message.attachments == []
    assert "|Acknowledge>" in message.text


async def test_generic_payloads_with_and_without_identity(engine):
    sample = generic(starts_at=datetime.now(UTC))
    anonymous = {"title": "no identity"}
    for payload in (sample, sample, anonymous, anonymous):
        await engine.post(payload)
    await engine.settle()

    assert len(engine.slack.messages) == 3


async def test_nothing_is_left_to_do_when_all_has_ended(engine):
    for number, name in enumerate(("A", "B", "C")):
        await engine.post(firing(engine, name), oncall_wait_minutes=str(number))
    await engine.after(minutes=10)
    for name in ("A", "B", "C"):
        await engine.post(firing(engine, name, is_resolved=True))
    await engine.settle()

    _, next_ms = await claim_due(engine.store, now_ms=engine.clock.now_ms(), lease_ms=1, limit=1)
    assert next_ms is None
    page = await engine.store.page(wanted=lambda it: it.status is Status.RESOLVED)
    assert len(page.incidents) == 3
    assert [record["state"] for record in engine.servicenow.incidents] == ["6", "6", "6"]


async def test_a_target_that_is_not_configured_any_more_is_given_up(engine, logs):
    engine.worker._targets.pop("slack")

    await engine.post(firing(engine))
    await engine.settle()

    assert "not configured any more" in logs.expect_error("sync.failed")["error"]
    assert len(engine.servicenow.incidents) == 1


async def test_an_instance_that_is_not_configured_any_more_falls_back_to_the_default(engine, session):
    await engine.post(firing(engine), servicenow_other_instance="infra")
    servicenow = engine.config.oncall.servicenow.model_copy(update={"other_instance_urls": {}})
    oncall = engine.config.oncall.model_copy(update={"servicenow": servicenow})
    config = replace_config(engine.config, oncall)
    engine.worker = make_worker(config, engine.clock, engine.store, session, engine.links)
    await engine.after(minutes=6)

    assert len(engine.servicenow.incidents) == 1


def replace_config(config, oncall):
    return config.model_copy(update={"oncall": oncall})


async def test_the_policy_that_is_stored_is_the_one_that_counts(engine):
    [created] = (await engine.post(firing(engine), oncall_wait_minutes="30"))["incidents"]
    await engine.post(firing(engine), oncall_wait_minutes="1")
    await engine.after(minutes=29)
    assert engine.servicenow.calls == []

    await engine.after(minutes=1)

    assert len(engine.servicenow.incidents) == 1
    stored = await engine.store.get(created["id"])
    assert stored
    assert replace(stored.policy, destinations={}).wait_ms == 30 * 60_000


async def test_an_instance_that_asks_one_replica_to_wait_is_left_alone_by_all(engine, session):
    other = make_worker(engine.config, engine.clock, engine.store, session, engine.links)
    for name in ("DiskFull", "HostDown", "QueueStuck"):
        await engine.post(firing(engine, name))
    await engine.settle()
    engine.servicenow.faults.order(Fault(kind="429", retry_after=120))
    engine.clock.advance(minutes=5)

    [claim], _ = await claim_due(engine.store, now_ms=engine.clock.now_ms(), lease_ms=LEASE_MS, limit=1)
    await engine.worker._work(claim)
    asked = len(engine.servicenow.calls)
    engine.clock.advance(minutes=1)
    await other.run_due()
    assert len(engine.servicenow.calls) == asked

    engine.clock.advance(minutes=2)
    await other.run_due()
    assert len(engine.servicenow.incidents) == 3
