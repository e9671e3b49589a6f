"""Clocks of other systems that say something else than ours: nothing is posted twice, refused or overheard by that."""

from datetime import UTC, datetime

import pytest

from tests.integration.conftest import CHANNEL, LEASE_MS, PASSWORD, TOKEN, make_worker
from tests.integration.targets.test_comments import delivery, pass_time, say
from tests.integration.targets.test_records import escalated
from versus_py.engine.retries import SPREAD
from versus_py.simulators import Fault, ServiceNowSimulator, SlackSimulator
from versus_py.simulators.slack.simulator import SIGNING_SECRET
from versus_py.simulators.slack.validation import Content
from versus_py.targets.slack.history import PAGE
from versus_py.tools.samples import alertmanager

APART_S = [-3600, -61, 61, 3600]
LOST = Fault(kind="lost_reply", path="/api/chat.postMessage")


@pytest.fixture(params=APART_S, ids=lambda it: f"{it:+d}s")
def ahead_s(request) -> int:
    """How far the other systems' clocks are ahead."""
    return int(request.param)


@pytest.fixture
def set_back_s() -> list[int]:
    """By how many seconds the shared time was set back, each time."""
    return []


@pytest.fixture
def slack(clock, ahead_s, set_back_s):
    return SlackSimulator(token=TOKEN, now_s=lambda: clock.now_ms() / 1000 + ahead_s + sum(set_back_s))


@pytest.fixture
def servicenow(clock, ahead_s):
    return ServiceNowSimulator(password=PASSWORD, now_s=lambda: clock.now_ms() / 1000 + ahead_s)


@pytest.fixture(autouse=True)
def _no_jitter(monkeypatch):
    monkeypatch.setattr(SPREAD, "uniform", lambda low, _high: low)


def firing(engine, *, seconds: float = 0):
    """An alert that began so many seconds ago."""
    return alertmanager(starts_at=datetime.fromtimestamp(engine.clock.now_ms() / 1000 - seconds, UTC))


async def test_an_answer_of_slack_that_is_lost_posts_no_second_message(engine):
    engine.slack.faults.order(LOST)
    await engine.post(firing(engine))
    await engine.settle()

    await engine.after(minutes=2)

    assert engine.slack.calls.count("chat.update") == 1
    assert engine.slack.faults.are_over
    assert len(engine.slack.messages) == 1


async def test_nor_does_it_where_another_process_goes_on_that_has_not_heard_from_slack(engine, session):
    engine.slack.faults.order(LOST)
    await engine.post(firing(engine))
    await engine.worker.run_due()
    engine.clock.advance(ms=LEASE_MS)
    other = make_worker(engine.config, engine.clock, engine.store, session, engine.links)

    await other.run_due()

    assert len(engine.slack.messages) == 1


async def test_nor_does_it_where_the_shared_time_was_set_back_since(engine, session, set_back_s):
    engine.slack.faults.order(LOST)
    await engine.post(firing(engine))
    await engine.worker.run_due()
    engine.clock.advance(seconds=-300)
    set_back_s.append(300)
    other = make_worker(engine.config, engine.clock, engine.store, session, engine.links)
    engine.clock.advance(seconds=300, ms=LEASE_MS)

    await other.run_due()

    assert engine.slack.calls.count("conversations.history") == 1
    assert len(engine.slack.messages) == 1


def chatter(engine) -> None:
    """More than one page of the channel."""
    for number in range(PAGE + 1):
        engine.slack.say(CHANNEL, f"message {number}")


async def test_what_slack_lists_is_read_as_far_back_as_the_incident_goes(engine):
    engine.slack.faults.order(LOST)
    await engine.post(firing(engine))
    await engine.worker.run_due()
    chatter(engine)

    await engine.after(minutes=2)

    assert engine.slack.calls.count("conversations.history") == 2
    assert [it for it in engine.slack.messages if it.is_own and it.edits == 0] == []


async def test_and_no_further(engine):
    chatter(engine)
    engine.clock.advance(minutes=10)
    engine.slack.faults.order(Fault(kind="500", path="/api/chat.postMessage"))
    await engine.post(firing(engine))
    await engine.worker.run_due()

    await engine.after(minutes=2)

    assert engine.slack.calls.count("conversations.history") == 1
    assert len([it for it in engine.slack.messages if it.is_own]) == 1


@pytest.mark.parametrize("began_s", [120, -120], ids=["behind", "ahead"])
async def test_what_redis_forgot_is_found_whatever_the_senders_clock_says(engine, began_s):
    payload = firing(engine, seconds=began_s)
    await engine.post(payload)
    await engine.settle()
    await engine.store._redis.flushall()

    await engine.post(payload)
    await engine.settle()

    assert len(engine.slack.messages) == 1


@pytest.mark.parametrize("slack_settings", [{"signing_secret": SIGNING_SECRET}])
async def test_what_slack_signs_by_its_own_clock_is_taken(engine):
    [created] = (await engine.post(firing(engine)))["incidents"]
    await engine.settle()
    await engine.side._api.post("auth.test")
    button = {"type": "button", "action_id": "acknowledge", "value": created["id"]}
    button |= {"text": {"type": "plain_text", "text": "ACK"}}
    blocks = [{"type": "actions", "block_id": "b", "elements": [button]}]

    pressed = await engine.slack.press(engine.slack.add_message(CHANNEL, Content("…", [], blocks)), "acknowledge")

    assert pressed.status == 200
    assert (await engine.detail(created["id"]))["status"] == "acknowledged"


async def test_clocks_that_are_far_apart_are_told_once(engine, ahead_s, logs):
    await engine.post(firing(engine))
    await engine.after(minutes=6)

    told = {line["system"]: line["ahead_s"] for line in logs if line["event"] == "clock.differs"}
    assert told == {
        "Slack": pytest.approx(ahead_s, abs=1),
        engine.config.oncall.servicenow.instance_url: pytest.approx(ahead_s, abs=1),
    }
    assert len([line for line in logs if line["event"] == "clock.differs"]) == 2


async def test_a_comment_in_servicenow_is_heard_and_has_its_time_by_our_clock(engine):
    await escalated(engine)
    engine.clock.advance(seconds=5)
    say(engine, "On it")
    at_ms = engine.clock.now_ms()

    await pass_time(engine, minutes=6)

    [comment] = (await delivery(engine)).comments
    assert comment.text == "On it"
    assert comment.at_ms == pytest.approx(at_ms, abs=2000)


async def test_of_a_record_that_was_adopted_what_was_said_before_the_escalation_is_no_news(engine):
    engine.servicenow.faults.order(Fault(kind="lost_reply", method="POST"))
    await escalated(engine)
    say(engine, "after")

    await pass_time(engine, minutes=20)

    assert [it.text for it in (await delivery(engine)).comments] == ["after"]


@pytest.mark.parametrize("ahead_s", [0.0], ids=["together"], indirect=False)
async def test_clocks_that_agree_are_not_told(engine, logs, ahead_s):
    await engine.post(firing(engine))
    await engine.after(minutes=6)

    assert [line for line in logs if line["event"] == "clock.differs"] == []
