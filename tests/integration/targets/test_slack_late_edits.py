"""An edit that Slack did not answer may take effect late, and undo a newer one: the message is put right."""

import asyncio
from typing import Any

import pytest

from tests.integration.conftest import Engine, make_storms
from tests.integration.engine.test_engine import firing
from tests.integration.targets.test_forgotten_messages import forget
from tests.integration.targets.test_records import group
from tests.integration.targets.test_slack_thread import act, message, trigger
from tests.integration.targets.test_storm import break_out, counted, digest, until_quiet
from tests.support.waiting import DEADLINE_S
from versus_py.incidents.copies import replace
from versus_py.simulators import Fault
from versus_py.simulators.slack import PostedMessage
from versus_py.simulators.slack.errors import ErrorOrder

UPDATE = "chat.update"


def edits(engine: Engine) -> int:
    return engine.slack.calls.count(UPDATE)


def copy_of(posted: PostedMessage) -> tuple[Any, ...]:
    """What it shows, to be shown again by an edit that comes late."""
    return posted.text, posted.attachments, posted.blocks


async def test_an_edit_that_comes_late_is_undone_after_half_a_minute(engine):
    incident_id = await trigger(engine)
    stale = copy_of(message(engine))
    engine.slack.faults.order(Fault(kind="down", path=f"/api/{UPDATE}"))
    await act(engine, incident_id, "acknowledge")
    await engine.worker.run_due()
    await act(engine, incident_id, "resolve")
    await engine.settle()
    assert "*Resolved*" in message(engine).text

    message(engine).edit(*stale)
    await engine.after(minutes=0.5)

    assert "*Resolved*" in message(engine).text


async def test_also_the_edit_of_a_message_that_was_only_found(engine):
    engine.slack.faults.order(Fault(kind="lost_reply", path="/api/chat.postMessage"))
    engine.slack.faults.order(Fault(kind="down", path=f"/api/{UPDATE}"))
    [incident] = (await engine.post(group("DiskFull")))["incidents"]
    for _ in range(4):
        await engine.settle()
        if engine.slack.faults.are_over:
            break
    stale = copy_of(message(engine))
    await act(engine, str(incident["id"]), "acknowledge")
    await engine.settle()
    assert "*Acknowledged*" in message(engine).text

    message(engine).edit(*stale)
    await engine.after(minutes=0.5)

    assert "*Acknowledged*" in message(engine).text


async def test_also_the_edit_of_a_message_that_was_adopted_after_redis_lost_everything(engine):
    await engine.post(firing(engine))
    await engine.settle()
    stale = copy_of(message(engine))
    await forget(engine)
    engine.slack.faults.order(Fault(kind="down", path=f"/api/{UPDATE}"))
    [incident] = (await engine.post(firing(engine)))["incidents"]
    await engine.worker.run_due()
    assert engine.slack.faults.are_over
    await act(engine, str(incident["id"]), "acknowledge")
    await engine.worker.run_due()
    assert "*Acknowledged*" in message(engine).text

    message(engine).edit(*stale)
    await engine.after(minutes=1)

    assert "*Acknowledged*" in message(engine).text


async def test_a_message_that_looks_as_before_is_edited_all_the_same_after_an_edit_without_an_answer(engine):
    incident_id = await trigger(engine)
    incident = await engine.store.get(incident_id)
    looks = copy_of(message(engine))
    message(engine).edit("what the edit without an answer showed", [], [])

    await engine.worker._targets["slack"].sync(incident, attempt=2)

    assert copy_of(message(engine)) == looks


async def test_a_message_is_edited_once_more_and_no_more(engine):
    incident_id = await trigger(engine)
    engine.slack.faults.order(Fault(kind="down", path=f"/api/{UPDATE}"))
    await act(engine, incident_id, "acknowledge")
    await engine.settle()
    before = edits(engine)

    for _ in range(5):
        await engine.after(minutes=1)

    assert edits(engine) == before + 1


async def test_an_edit_that_was_surely_not_made_is_not_made_good(engine):
    incident_id = await trigger(engine)
    engine.slack.errors.order(ErrorOrder(error="ratelimited", method=UPDATE, retry_after=5))
    await act(engine, incident_id, "acknowledge")
    await engine.settle()
    before = edits(engine)

    await engine.after(minutes=1)

    assert "*Acknowledged*" in message(engine).text
    assert edits(engine) == before


@pytest.mark.orderly
async def test_an_edit_of_a_digest_that_comes_late_is_undone(engine):
    ids = await break_out(engine)
    await until_quiet(engine)
    one, other = (await counted(engine, ids))[:2]
    engine.slack.faults.order(Fault(kind="down", path=f"/api/{UPDATE}"))
    await act(engine, one, "acknowledge")
    async with asyncio.timeout(DEADLINE_S):
        while not engine.slack.faults.are_over:
            await engine.worker.run_due()
            await engine.digests.keep_all()
            engine.clock.advance(seconds=1)
    stale = copy_of(digest(engine))
    await act(engine, other, "acknowledge")
    await engine.settle()
    assert "2 acknowledged" in digest(engine).text

    digest(engine).edit(*stale)
    for _ in range(4):
        await engine.settle()

    assert "2 acknowledged" in digest(engine).text
    assert await make_storms(engine.store).kept() == []


@pytest.mark.orderly
async def test_what_is_only_counted_in_a_digest_has_no_edit_to_be_made_good(engine):
    ids = await break_out(engine)
    await until_quiet(engine)
    known = await engine.store.get((await counted(engine, ids))[0])

    shown = await engine.worker._targets["slack"].sync(replace(known, deliveries={}), attempt=3)

    assert "storm" in shown.reference
    assert shown.look_again_at_ms == known.delivery("slack").look_again_at_ms
