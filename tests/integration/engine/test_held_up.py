"""An escalation that comes late: the message says why and until when, and the thread tells people once."""

import re
from datetime import UTC, datetime

import pytest

from tests.integration.conftest import Engine
from versus_py.simulators import Fault
from versus_py.tools.samples import alertmanager

MENTION = "<!subteam^S0ONCALL>"

mentioning = pytest.mark.parametrize("slack_settings", [{"mention": {"critical": MENTION}}])


def firing(name: str = "DiskFull", *, is_resolved: bool = False):
    return alertmanager(name, starts_at=datetime(2026, 5, 4, tzinfo=UTC), is_resolved=is_resolved)


async def minutes_pass(engine: Engine, minutes: int) -> None:
    for _ in range(minutes):
        await engine.after(minutes=0.8)  # and 12 s in which all that is due is done


async def escalated(engine: Engine, *names: str) -> None:
    for name in names:
        await engine.post(firing(name))
    await engine.settle()
    await engine.after(minutes=4.8)


def replies(engine: Engine) -> list[list[str]]:
    return [message.replies for message in engine.slack.messages]


def next_attempt_ms(shown: str) -> int:
    [second] = re.findall(r"next attempt <!date\^(\d+)\^", shown)
    return int(second) * 1000


@mentioning
async def test_a_rate_limit_of_an_hour_is_shown_with_its_end_and_told_at_once(engine):
    engine.servicenow.faults.order(Fault(kind="429", retry_after=3500))
    await escalated(engine, "DiskFull", "HostDown")
    await minutes_pass(engine, 2)

    for message in engine.slack.messages:
        assert "escalation to ServiceNow is being retried: ServiceNow's rate limit is reached" in message.shown
        assert 55 * 60_000 < next_attempt_ms(message.shown) - engine.clock.now_ms() < 58 * 60_000
        assert "now" not in message.shown.split("being retried")[0]
    for said in replies(engine):
        assert len(said) == 1
        assert "ServiceNow's rate limit is reached" in said[0]
        assert said[0].endswith(MENTION)

    await engine.after(minutes=58)

    assert len(engine.servicenow.incidents) == 2
    assert all("being retried" not in message.shown for message in engine.slack.messages)
    assert all("Escalated to ServiceNow" in said[-1] and len(said) == 2 for said in replies(engine))


@mentioning
@pytest.mark.parametrize("fault", ["down", "503", "html200"])
async def test_a_servicenow_that_is_down_for_minutes_is_told_once_with_the_mention(engine, fault):
    engine.servicenow.faults.order(Fault(kind=fault, times=None))
    await escalated(engine, "DiskFull")
    await engine.after(minutes=0.5)
    assert replies(engine) == [[]]

    await minutes_pass(engine, 60)

    [[said]] = replies(engine)
    assert said.startswith(":warning: escalation to ServiceNow is being retried: ")
    assert said.endswith(MENTION)


async def test_a_servicenow_that_is_back_within_minutes_pings_nobody(engine):
    engine.servicenow.faults.order(Fault(kind="down", times=2))
    await escalated(engine, "DiskFull")
    await minutes_pass(engine, 10)

    [[said]] = replies(engine)
    assert "Escalated to ServiceNow" in said


async def test_what_somebody_acknowledges_is_not_told_as_late(engine):
    engine.servicenow.faults.order(Fault(kind="down", times=None))
    await escalated(engine, "DiskFull")
    [listed] = (await (await engine.http.get("/api/incidents")).json())["incidents"]
    await engine.http.post(f"/api/incidents/{listed['id']}/acknowledge?by=ana")

    await minutes_pass(engine, 20)

    assert replies(engine) == [[]]


@mentioning
async def test_the_next_escalation_that_is_late_is_told_again(engine):
    engine.servicenow.faults.order(Fault(kind="down", times=None))
    await escalated(engine, "DiskFull")
    await minutes_pass(engine, 10)
    [listed] = (await (await engine.http.get("/api/incidents")).json())["incidents"]
    for action in ("acknowledge", "unacknowledge"):
        await engine.http.post(f"/api/incidents/{listed['id']}/{action}?by=ana")
    await minutes_pass(engine, 4)
    [said] = replies(engine)
    assert sum("being retried" in it for it in said) == 1

    await minutes_pass(engine, 15)

    [said] = replies(engine)
    assert sum("being retried" in it for it in said) == 2


@pytest.mark.parametrize("fallback", [{"servicenow_other_instance": "infra"}])
async def test_a_fallback_need_not_wait_for_its_turn_to_be_over_to_step_in(engine, servicenow_infra):
    """Of two that wait for the end of the rate limit, also the one that was not refused itself."""
    engine.servicenow.faults.order(Fault(kind="429", retry_after=3500))
    await escalated(engine, "DiskFull", "HostDown")

    await minutes_pass(engine, 17)

    assert len(servicenow_infra.incidents) == 2
