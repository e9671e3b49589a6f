"""A post that Slack surely did not make is made again without a search for it; any other is searched for first."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.integration.conftest import Engine, make_storms
from tests.support.waiting import DEADLINE_S
from versus_py.simulators import Fault
from versus_py.simulators.slack import PostedMessage
from versus_py.simulators.slack.errors import ErrorOrder
from versus_py.tools.samples import alertmanager

POST = "chat.postMessage"
SEARCHES = {"conversations.history", "conversations.replies"}
COUNT = 40
NOT_POSTED = ["ratelimited", "request_timeout", "message_limit_exceeded", "team_added_to_org", "org_login_required"]


def begun(engine: Engine, name: str) -> dict[str, Any]:
    """An alert that has just begun: it is not searched for as one that may have been here before."""
    return alertmanager(name, starts_at=datetime.fromtimestamp(engine.clock.now_ms() / 1000, UTC))


def searches(engine: Engine) -> list[str]:
    return [call for call in engine.slack.calls if call in SEARCHES]


def message(engine: Engine) -> PostedMessage:
    [found] = engine.slack.messages
    return found


async def refuse_post(engine: Engine, error: str, **order: Any) -> None:
    engine.slack.errors.order(ErrorOrder(error=error, method=POST, retry_after=5, **order))


async def trigger(engine: Engine) -> str:
    [incident] = (await engine.post(begun(engine, "DiskFull")))["incidents"]
    await engine.settle()
    return str(incident["id"])


@pytest.mark.parametrize("error", NOT_POSTED)
async def test_a_message_that_slack_refused_for_now_is_posted_without_a_search(engine, error):
    await refuse_post(engine, error)

    await trigger(engine)
    await engine.after(minutes=11)

    assert "DiskFull" in message(engine).text
    assert searches(engine) == []


@pytest.mark.parametrize("error", NOT_POSTED)
async def test_a_line_that_slack_refused_for_now_is_posted_without_a_search(engine, error):
    await trigger(engine)
    await refuse_post(engine, error)

    await engine.after(minutes=5)
    await engine.after(minutes=11)

    assert len(message(engine).replies) == 1
    assert searches(engine) == []


async def test_a_message_that_was_given_up_is_posted_without_a_search_after_a_retry(engine, logs):
    await refuse_post(engine, "invalid_arguments")
    incident_id = await trigger(engine)
    logs.expect_error("sync.failed")

    await engine.http.post(f"/api/incidents/{incident_id}/retry", params={"by": "ana"})
    await engine.settle()

    assert "DiskFull" in message(engine).text
    assert searches(engine) == []


@pytest.mark.parametrize("error", ["fatal_error", "internal_error", "service_unavailable"])
async def test_a_message_that_slack_may_have_posted_before_it_failed_is_searched_for(engine, error):
    await refuse_post(engine, error, done=True)

    await trigger(engine)
    await engine.after(minutes=1)

    assert "DiskFull" in message(engine).text
    assert searches(engine) == ["conversations.history"]


async def test_a_message_is_searched_for_when_a_rate_limit_came_after_a_lost_answer(engine):
    engine.slack.faults.order(Fault(kind="lost_reply", path=f"/api/{POST}"))
    engine.slack.errors.order(ErrorOrder(error="ratelimited", method="conversations.history", times=2))

    await trigger(engine)
    for _ in range(4):
        await engine.after(minutes=1)

    assert "DiskFull" in message(engine).text
    assert set(searches(engine)) == {"conversations.history"}


async def test_a_message_that_was_found_has_told_people_also_when_slack_then_refuses_the_credentials(engine, logs):
    engine.slack.faults.order(Fault(kind="lost_reply", path=f"/api/{POST}"))
    engine.slack.errors.order(ErrorOrder(error="invalid_auth", method="chat.update", times=None))

    incident_id = await trigger(engine)
    await engine.after(minutes=1)

    incident = await engine.store.get(incident_id)
    assert incident.delivery("slack").label
    assert incident.is_waiting
    assert engine.servicenow.incidents == []
    logs.expect_error("credentials.refused")


@pytest.mark.orderly
async def test_the_digest_of_a_storm_that_was_refused_for_now_is_posted_without_a_search(engine):
    for number in range(COUNT):
        await engine.post(begun(engine, f"Alert{number:02}"))
    async with asyncio.timeout(DEADLINE_S):
        while not await make_storms(engine.store).kept():
            await engine.worker.run_due()
            engine.clock.advance(seconds=1)
    await refuse_post(engine, "ratelimited")

    for _ in range(12):
        await engine.settle()

    assert len([it for it in engine.slack.messages if "storm" in it.text]) == 1
    assert searches(engine) == []
