"""What Redis forgot and Slack still shows: the same alert comes again, and nobody is told twice."""

import asyncio
from datetime import UTC, datetime

import pytest

from tests.integration.conftest import CHANNEL, Engine
from tests.integration.engine.test_engine import firing, press_button
from tests.integration.targets.test_records import group
from versus_py.incidents.copies import replace
from versus_py.simulators import Fault
from versus_py.simulators.slack.answers import SlackError
from versus_py.targets.slack import target
from versus_py.tools.samples import alertmanager

HISTORY = "conversations.history"
POST = "chat.postMessage"
IN_SLACK = {"slack_channel_id": "C0FALLBACK", "mention": "<!subteam^S0ONCALL>"}


def fresh(engine: Engine, *, seconds: float):
    """An alert that began so many seconds ago."""
    return alertmanager(starts_at=datetime.fromtimestamp(engine.clock.now_ms() / 1000 - seconds, UTC))


async def forget(engine: Engine, *, minutes: float = 30) -> None:
    """Redis loses everything, so long after the last message; Slack and ServiceNow lose nothing."""
    await engine.store._redis.flushall()
    engine.clock.advance(minutes=minutes)
    engine.slack.calls.clear()


@pytest.mark.parametrize("slack_settings", [{"mention": {"critical": "<!here>"}}])
async def test_an_alert_that_comes_again_after_redis_lost_everything_is_one_message_and_one_ping(engine):
    await engine.post(firing(engine))
    await engine.settle()
    await forget(engine)

    await engine.post(firing(engine))
    await engine.settle()

    [message] = engine.slack.messages
    assert POST not in engine.slack.calls
    assert (await press_button(engine)).status == 201
    await engine.settle()
    assert "*Acknowledged*" in message.text


async def test_the_message_is_found_however_much_was_said_since(engine):
    await engine.post(firing(engine))
    await engine.settle()
    for number in range(450):
        engine.slack.say(CHANNEL, f"chatter {number}")
    await forget(engine)

    await engine.post(firing(engine))
    await engine.settle()

    assert POST not in engine.slack.calls


async def test_of_many_incidents_none_is_posted_again(engine):
    names = [f"Alert{number:02}" for number in range(18)]  # more than Slack lets us edit at once
    for _ in range(2):
        for name in names:
            await engine.post(firing(engine, name))
        for _ in range(3):
            await engine.settle()
        calls = engine.slack.calls.copy()
        await forget(engine)

    assert POST not in calls
    assert calls.count("chat.update") == calls.count(HISTORY) == len(engine.slack.messages) == len(names)


@pytest.mark.parametrize(
    ("minutes", "is_repaired"),
    [(5, False), (30, False), (30, True)],
    ids=["known to be dead", "still dead", "repaired"],
)
async def test_a_message_that_was_moved_to_the_default_channel_is_found_there(engine, slack, minutes, is_repaired):
    slack.archived.add("C0TEAM")
    await engine.post(firing(engine), slack_channel_id="C0TEAM")
    await engine.settle()
    await forget(engine, minutes=minutes)
    if is_repaired:
        slack.archived.clear()

    await engine.post(firing(engine), slack_channel_id="C0TEAM")
    await engine.settle()

    [message] = engine.slack.messages
    assert message.channel == CHANNEL
    assert "posted here because channel C0TEAM" in message.shown


async def test_a_message_in_a_channel_that_has_died_since_is_posted_in_the_default_one(engine, slack):
    await engine.post(firing(engine), slack_channel_id="C0TEAM")
    await engine.settle()
    await forget(engine)
    slack.archived.add("C0TEAM")

    await engine.post(firing(engine), slack_channel_id="C0TEAM")
    await engine.settle()

    assert [it.channel for it in engine.slack.messages] == ["C0TEAM", CHANNEL]


@pytest.mark.parametrize("fallback", [IN_SLACK])
@pytest.mark.parametrize("channel", [CHANNEL, "C0FALLBACK"])
async def test_the_message_of_the_fallback_is_found_and_not_taken_for_another(engine, logs, channel):
    engine.servicenow.faults.order(Fault(kind="400", times=None))
    for _ in range(2):
        await engine.post(firing(engine), slack_channel_id=channel)
        await engine.settle()
        await engine.after(minutes=6)
        await forget(engine)

    logs.expect_error("sync.failed")
    own, called = engine.slack.messages
    assert (own.channel, called.channel) == (channel, "C0FALLBACK")
    assert "<!subteam^S0ONCALL>" in called.text
    assert "<!subteam^S0ONCALL>" not in own.text


@pytest.mark.parametrize("seconds", [0, 59])
async def test_an_incident_that_has_just_begun_costs_no_search(engine, seconds):
    await engine.post(fresh(engine, seconds=seconds))
    await engine.settle()

    assert HISTORY not in engine.slack.calls
    assert len(engine.slack.messages) == 1


async def test_an_incident_without_a_start_costs_no_search(engine):
    await engine.post({"title": "disk full", "dedup_key": "disk"})
    await engine.settle()

    assert HISTORY not in engine.slack.calls


async def test_an_incident_that_comes_late_is_searched_for_once_and_posted(engine):
    await engine.post(fresh(engine, seconds=61))
    await engine.worker.run_due()
    await engine.post(fresh(engine, seconds=61))
    await engine.settle()

    assert engine.slack.calls.count(HISTORY) == 1
    assert len(engine.slack.messages) == 1


@pytest.mark.parametrize("kind", ["down", "500", "429", "truncated", "html200"])
async def test_a_search_that_fails_does_not_hold_up_the_message(engine, kind):
    engine.slack.faults.order(Fault(kind=kind, path=f"/api/{HISTORY}", times=None))
    await engine.post(firing(engine))

    await engine.worker.run_due()

    assert len(engine.slack.messages) == 1


async def test_a_search_that_hangs_does_not_hold_up_the_message(engine, monkeypatch):
    monkeypatch.setattr(target, "SEARCH_S", 0.05)
    engine.slack.faults.order(Fault(kind="slow", path=f"/api/{HISTORY}", seconds=4))
    await engine.post(firing(engine))

    async with asyncio.timeout(3):
        await engine.worker.run_due()

    assert len(engine.slack.messages) == 1


async def test_while_slack_asks_to_be_left_alone_nobody_searches(engine):
    engine.slack.faults.order(Fault(kind="429", path=f"/api/{HISTORY}", retry_after=60))
    for number in range(3):
        await engine.post(firing(engine, f"Alert{number}"))
        await engine.settle()

    assert HISTORY not in engine.slack.calls
    assert len(engine.slack.messages) == 3


async def test_without_the_scope_it_is_posted_again_at_once(engine, slack):
    slack.scopes.remove("channels:history")
    await engine.post(firing(engine))
    await engine.settle()
    await forget(engine)

    await engine.post(firing(engine))
    await engine.worker.run_due()

    assert len(engine.slack.messages) == 2


async def test_a_message_that_slack_does_not_let_us_edit_any_more_is_posted_again(engine, monkeypatch):
    await engine.post(firing(engine))
    await engine.settle()
    await forget(engine)

    def refuse(_):
        raise SlackError("edit_window_closed")

    methods = engine.slack._methods.by_name
    monkeypatch.setitem(methods, "chat.update", replace(methods["chat.update"], perform=refuse))
    await engine.post(firing(engine))
    await engine.settle()

    assert len(engine.slack.messages) == 2


async def test_it_is_found_also_when_the_first_attempt_failed(engine):
    await engine.post(firing(engine))
    await engine.settle()
    await forget(engine)
    engine.slack.faults.order(Fault(kind="500", path=f"/api/{HISTORY}"))
    engine.slack.faults.order(Fault(kind="500", path=f"/api/{POST}"))

    await engine.post(firing(engine))
    await engine.settle()
    for _ in range(5):
        await engine.after(minutes=2)

    assert len(engine.slack.messages) == 1


async def test_what_was_told_before_redis_lost_everything_hides_no_news(engine):
    await engine.post(group("DiskFull"))
    await engine.post(group("DiskFull", "HostDown"))
    await engine.settle()  # the message is posted when there were news already
    [message] = engine.slack.messages
    assert message.metadata["event_payload"]["told_news"] == "1"
    await forget(engine)

    await engine.post(group("DiskFull"))
    await engine.settle()
    await engine.post(group("DiskFull", "QueueStuck"))
    await engine.settle()

    assert message.replies == [":heavy_plus_sign: 1 alert joined: QueueStuck on db-7"]
