"""A message that Slack does not let be edited: its thread is told first, and then it is posted anew, once."""

import asyncio
from collections import Counter
from collections.abc import Iterable

import pytest

from tests.integration.conftest import Engine
from tests.integration.engine.test_engine import press_button
from tests.integration.targets.test_records import group
from tests.integration.targets.test_slack_thread import act, message, trigger
from tests.integration.targets.test_storm import break_out, counted, until_quiet
from tests.support.waiting import DEADLINE_S
from versus_py.incidents.model import IncidentId
from versus_py.simulators import Fault
from versus_py.simulators.slack.errors import ErrorOrder
from versus_py.targets.slack.wire import Wire

UPDATE, POST = "chat.update", "chat.postMessage"
FOR_GOOD = ["cant_update_message", "edit_window_closed", "block_mismatch", "msg_too_long"]
MENTION = "<!subteam^S0ONCALL>"


def refuse_edits(engine: Engine, error: str = "edit_window_closed") -> None:
    engine.slack.errors.order(ErrorOrder(error=error, method=UPDATE, times=None))


def texts(engine: Engine) -> list[str]:
    return [it.text for it in engine.slack.messages]


def are_in(words: Iterable[str], lines: list[str]) -> list[bool]:
    """Whether each line has its word."""
    return [word in line for word, line in zip(words, lines, strict=True)]


@pytest.mark.parametrize("error", FOR_GOOD)
async def test_an_escalation_is_said_in_the_thread_and_then_in_one_new_message(engine, error, logs):
    await trigger(engine)
    refuse_edits(engine, error)
    await engine.after(minutes=5)
    for _ in range(3):
        await engine.post(group("DiskFull"))
        await engine.after(minutes=5)

    [old, new] = engine.slack.messages
    assert are_in(["Escalated to ServiceNow"], old.replies) == [True]
    assert "*Escalated*" in new.text
    assert "posted anew" in new.shown
    assert float(old.thread[0].ts) < float(new.ts)
    if error == "msg_too_long":
        logs.expect_error("slack.blocks_refused")


async def test_the_new_message_is_the_incidents_and_the_links_of_the_old_one_go_on_working(engine):
    incident_id = await trigger(engine)
    refuse_edits(engine)
    await engine.after(minutes=5)
    engine.slack.errors.clear()

    assert (await press_button(engine)).status == 201
    await engine.settle()

    [old, new] = engine.slack.messages
    assert "*Triggered*" in old.text
    assert "*Acknowledged*" in new.text
    assert (await engine.detail(incident_id))["status"] == "acknowledged"


async def test_a_mere_count_that_cannot_be_shown_never_escalates_early(engine):
    await trigger(engine)
    refuse_edits(engine)
    await engine.post(group("DiskFull"))
    await engine.after(minutes=1)

    assert engine.servicenow.incidents == []
    assert len(engine.slack.messages) == 2


async def test_where_no_edit_is_taken_the_thread_says_how_the_incident_stands(engine):
    incident_id = await trigger(engine)
    refuse_edits(engine)
    await engine.after(minutes=5)

    await act(engine, incident_id, "acknowledge")
    await engine.settle()
    await act(engine, incident_id, "resolve")
    await engine.settle()
    for _ in range(3):
        await engine.after(hours=1)

    [_, new] = engine.slack.messages
    assert are_in(["*Acknowledged*", "*Resolved*"], new.replies) == [True, True]


@pytest.mark.parametrize("is_armed", [False, True], ids=["without it", "with it"])
@pytest.mark.parametrize(("error", "replies"), [("message_not_found", [0, 1]), ("edit_window_closed", [0, 2])])
async def test_a_sync_without_news_changes_nothing_about_what_is_posted_anew(engine, error, replies, is_armed):
    incident_id = await trigger(engine)
    refuse_edits(engine, error)
    await engine.post(group("DiskFull"))
    await engine.settle()
    await act(engine, incident_id, "acknowledge")
    await engine.settle()
    if is_armed:
        await engine.store.arm(IncidentId(incident_id), "slack", now_ms=engine.clock.now_ms())
        await engine.settle()
    await act(engine, incident_id, "unacknowledge")
    await engine.settle()

    assert [len(it.replies) for it in engine.slack.messages] == replies


async def test_a_message_that_takes_no_edit_takes_no_turns_of_the_others(engine, monkeypatch):
    turns = []
    take = Wire.take

    async def noted(self, *args, **options):
        turns.append(args)
        await take(self, *args, **options)

    monkeypatch.setattr(Wire, "take", noted)
    incident_id = await trigger(engine)
    refuse_edits(engine, "message_not_found")
    await act(engine, incident_id, "acknowledge")
    await engine.settle()
    for _ in range(2):  # the first of them finds that it would look the same
        turns.clear()
        await engine.store.arm(IncidentId(incident_id), "slack", now_ms=engine.clock.now_ms())
        await engine.settle()

    assert turns == []


async def test_an_incident_that_needs_somebody_again_is_posted_anew_with_its_button(engine):
    incident_id = await trigger(engine)
    await act(engine, incident_id, "acknowledge")
    await engine.settle()
    refuse_edits(engine)
    await act(engine, incident_id, "resolve")
    await engine.settle()

    await engine.post(group("DiskFull"))
    await engine.after(minutes=1)

    assert are_in(["*Acknowledged*", "*Resolved*", "*Triggered*"], texts(engine)) == [True] * 3
    assert (await press_button(engine, index=2)).status == 201


@pytest.mark.parametrize("slack_settings", [{"mention": {"critical": MENTION}}])
async def test_a_message_that_nobody_has_to_deal_with_is_posted_anew_without_the_mention(engine):
    incident_id = await trigger(engine)
    refuse_edits(engine)
    await act(engine, incident_id, "resolve")
    await engine.settle()

    [old, new] = engine.slack.messages
    assert MENTION in old.text
    assert "*Resolved*" in new.text
    assert MENTION not in new.text


async def test_a_new_message_whose_answer_was_lost_is_there_once(engine):
    incident_id = await trigger(engine)
    refuse_edits(engine)
    engine.slack.faults.order(Fault(kind="lost_reply", path=f"/api/{POST}"))
    await act(engine, incident_id, "acknowledge")
    for _ in range(4):
        await engine.after(minutes=1)

    assert are_in(["*Triggered*", "*Acknowledged*"], texts(engine)) == [True, True]


async def test_a_new_message_whose_answers_are_lost_again_and_again_is_there_once(engine, monkeypatch):
    edit = Wire.edit

    async def slow_edit(*args):
        engine.clock.advance(seconds=2)  # so that the channel has its next turn
        await edit(*args)

    monkeypatch.setattr(Wire, "edit", slow_edit)
    refuse_edits(engine)
    engine.slack.faults.order(Fault(kind="lost_reply", path=f"/api/{POST}", times=3))
    [incident] = (await engine.post(group("DiskFull")))["incidents"]
    await engine.worker.run_due()
    await act(engine, incident["id"], "acknowledge")
    for _ in range(8):
        await engine.after(minutes=1)

    assert are_in(["*Triggered*", "*Acknowledged*"], texts(engine)) == [True, True]


async def test_a_line_of_how_it_stands_whose_answer_was_lost_is_there_once(engine):
    incident_id = await trigger(engine)
    refuse_edits(engine)
    await engine.after(minutes=5)
    engine.slack.faults.order(Fault(kind="lost_reply", path=f"/api/{POST}"))
    await act(engine, incident_id, "acknowledge")
    for _ in range(4):
        await engine.after(minutes=1)

    assert are_in(["*Acknowledged*"], engine.slack.messages[1].replies) == [True]


async def test_a_message_that_slack_says_is_gone_is_not_posted_at_every_change(engine):
    await trigger(engine)
    refuse_edits(engine, "message_not_found")
    for _ in range(4):
        await engine.post(group("DiskFull"))
        await engine.after(minutes=1)
    assert len(engine.slack.messages) == 2

    await engine.after(minutes=5)

    assert are_in(["*Triggered*", "*Triggered*", "*Escalated*"], texts(engine)) == [True] * 3


@pytest.mark.parametrize("slack_settings", [{"mention": {"critical": MENTION}}])
async def test_an_escalation_is_said_while_slack_takes_no_edits_for_a_while(engine):
    await trigger(engine)
    engine.slack.errors.order(ErrorOrder(error="ratelimited", method=UPDATE, retry_after=600))
    await engine.post(group("DiskFull"))
    await engine.settle()
    assert engine.slack.calls.count(UPDATE) == 1

    await engine.after(minutes=5)

    assert MENTION in message(engine).replies[0]
    assert "*Triggered*" in message(engine).text
    await engine.after(minutes=6)
    assert "*Escalated*" in message(engine).text


async def test_an_edit_waits_for_no_line_of_its_thread(engine):
    incident_id = await trigger(engine)
    engine.slack.errors.order(ErrorOrder(error="ratelimited", method=POST, retry_after=600))
    await engine.post(group("DiskFull", "HostDown"))
    await act(engine, incident_id, "acknowledge")
    await engine.settle()

    assert "*Acknowledged*" in message(engine).text
    assert message(engine).replies == []
    await engine.after(minutes=11)
    assert are_in(["HostDown"], message(engine).replies) == [True]


@pytest.mark.orderly
async def test_the_digest_of_a_storm_is_posted_anew_once_and_its_incidents_stay_counted(engine):
    ids = await break_out(engine)
    await until_quiet(engine)
    members = await counted(engine, ids)
    refuse_edits(engine)

    for one in members[:3]:
        await act(engine, one, "acknowledge")
        await engine.settle()

    digests = [text for text in texts(engine) if "storm" in text]
    assert are_in(["is over", "1 acknowledged"], digests) == [True, True]
    assert await counted(engine, ids) == members
    assert engine.servicenow.incidents == []


@pytest.mark.orderly
async def test_a_digest_that_slack_says_is_gone_is_not_posted_at_every_change(engine):
    ids = await break_out(engine)
    async with asyncio.timeout(DEADLINE_S):
        while not any("storm" in text for text in texts(engine)):
            await engine.worker.run_due()
            await engine.digests.keep_all()
            engine.clock.advance(seconds=1)
    refuse_edits(engine, "message_not_found")

    for one in (await counted(engine, ids))[:4]:
        await act(engine, one, "acknowledge")
        await engine.settle()

    storms = Counter(it.metadata["event_payload"].get("storm") for it in engine.slack.messages if "storm" in it.text)
    assert storms.most_common(1)[0][1] == 2


async def test_a_new_message_that_is_found_and_old_by_then_says_in_its_thread_how_it_stands(engine):
    incident_id = await trigger(engine)
    refuse_edits(engine)
    engine.slack.faults.order(Fault(kind="lost_reply", path=f"/api/{POST}"))
    await act(engine, incident_id, "acknowledge")
    await engine.worker.run_due()
    await act(engine, incident_id, "resolve")

    await is_left_alone_after(engine, minutes=4)

    assert are_in(["*Resolved*"], engine.slack.messages[-1].replies) == [True]


async def test_a_line_of_how_it_stands_is_there_once_where_message_and_line_lost_their_answers(engine):
    incident_id = await trigger(engine)
    refuse_edits(engine)
    engine.slack.faults.order(Fault(kind="lost_reply", path=f"/api/{POST}"))
    await act(engine, incident_id, "acknowledge")
    await engine.settle()
    engine.slack.faults.order(Fault(kind="lost_reply", path=f"/api/{POST}"))
    await act(engine, incident_id, "resolve")
    for _ in range(4):
        await engine.after(minutes=1)

    [_, new] = engine.slack.messages
    assert are_in(["*Resolved*"], new.replies) == [True]


async def test_a_second_new_message_that_nobody_needs_any_more_when_it_is_found_says_how_it_stands(engine):
    incident_id = await trigger(engine)
    refuse_edits(engine)
    await act(engine, incident_id, "acknowledge")
    await engine.after(minutes=1)
    engine.slack.faults.order(Fault(kind="lost_reply", path=f"/api/{POST}", text="posted anew"))
    await act(engine, incident_id, "unacknowledge")
    await engine.after(minutes=1 / 20)
    await act(engine, incident_id, "acknowledge")

    await is_left_alone_after(engine, minutes=4)

    assert are_in(["*Triggered*", "*Acknowledged*", "*Triggered*"], texts(engine)) == [True, True, True]
    assert are_in(["*Acknowledged*"], engine.slack.messages[-1].replies) == [True]


async def test_a_first_message_that_is_found_and_old_by_then_is_posted_anew(engine):
    refuse_edits(engine)
    engine.slack.faults.order(Fault(kind="lost_reply", path=f"/api/{POST}"))
    [incident] = (await engine.post(group("DiskFull")))["incidents"]
    await engine.worker.run_due()
    await act(engine, incident["id"], "acknowledge")

    await is_left_alone_after(engine, minutes=4)

    assert are_in(["*Triggered*", "*Acknowledged*"], texts(engine)) == [True, True]


async def is_left_alone_after(engine: Engine, *, minutes: int) -> None:
    """Everything is said by then, and Slack is asked nothing more."""
    for _ in range(minutes * 20):
        await engine.after(minutes=1 / 20)
    engine.slack.calls.clear()
    await engine.after(minutes=1)
    assert engine.slack.calls == []


async def test_a_line_of_an_escalation_that_comes_after_the_resolve_does_not_stand_for_that(engine):
    incident_id = await trigger(engine)
    refuse_edits(engine)
    await engine.post(group("DiskFull"))
    await engine.after(minutes=1)
    engine.slack.errors.order(ErrorOrder(error="ratelimited", method=POST, retry_after=60))
    await engine.after(minutes=4)
    await act(engine, incident_id, "resolve")
    await engine.settle()

    await engine.after(minutes=2)
    await engine.after(minutes=2)

    assert are_in(["Escalated to ServiceNow", "*Resolved*"], engine.slack.messages[-1].replies) == [True, True]


async def test_a_line_whose_answer_was_lost_is_said_once_also_before_how_it_stands(engine, monkeypatch):
    edit = Wire.edit

    async def slow_edit(*args):
        engine.clock.advance(seconds=2)  # so that the thread has its next turn
        await edit(*args)

    await trigger(engine)
    refuse_edits(engine)
    await trigger(engine)  # which is posted anew, the one time that it is
    await engine.settle()
    monkeypatch.setattr(Wire, "edit", slow_edit)
    engine.slack.faults.order(Fault(kind="lost_reply", path=f"/api/{POST}", text="Escalated to"))

    for minutes in (5, 1, 1, 1):
        await engine.after(minutes=minutes)

    told = [reply.text for it in engine.slack.messages for reply in it.thread]
    assert engine.slack.faults.are_over
    assert are_in(["Escalated to", "*Escalated*"], told) == [True, True]
