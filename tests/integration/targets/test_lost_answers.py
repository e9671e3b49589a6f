"""A record whose creation was not answered: it is found when nobody needs it, and does its part when somebody does."""

from datetime import UTC, datetime

import pytest

from tests.integration.conftest import Engine
from versus_py.simulators import Fault
from versus_py.tools.samples import alertmanager

LOST = Fault(kind="lost_reply", method="POST")


def group(*, is_resolved: bool = False):
    return alertmanager("DiskFull", starts_at=datetime(2026, 5, 4, tzinfo=UTC), is_resolved=is_resolved)


async def act(engine: Engine, action: str) -> None:
    [listed] = (await (await engine.http.get("/api/incidents")).json())["incidents"]
    assert (await engine.http.post(f"/api/incidents/{listed['id']}/{action}?by=ana")).status == 201


async def lost(engine: Engine) -> dict[str, str]:
    """The record of an escalation, of which nobody knows yet."""
    await engine.post(group())
    await engine.settle()
    engine.servicenow.faults.order(LOST)
    engine.clock.advance(minutes=5)
    await engine.worker.run_due()  # it is looked for some seconds later
    [record] = engine.servicenow.incidents
    assert record["number"] not in engine.slack.messages[0].shown
    return record


async def found_after_the_resolve(engine: Engine) -> dict[str, str]:
    record = await lost(engine)
    await engine.post(group(is_resolved=True))
    await engine.after(minutes=2)
    assert record["state"] == "6"
    assert record["number"] in engine.slack.messages[0].shown
    return record


async def found_after_the_acknowledgment(engine: Engine) -> dict[str, str]:
    record = await lost(engine)
    await act(engine, "acknowledge")
    await engine.after(minutes=2)
    assert record["number"] in engine.slack.messages[0].shown
    return record


async def outcome(engine: Engine) -> tuple[str, str]:
    [listed] = (await (await engine.http.get("/api/incidents")).json())["incidents"]
    return listed["outcome"], listed["record"]


async def test_a_record_found_after_the_resolve_is_reopened_when_it_escalates_again(engine):
    record = await found_after_the_resolve(engine)

    await engine.post(group())
    await engine.after(minutes=6)

    assert engine.servicenow.incidents == [record]
    assert record["state"] == "2"
    assert await outcome(engine) == ("escalated", record["number"])


async def test_one_that_was_closed_since_gets_a_successor(engine):
    record = await found_after_the_resolve(engine)
    record["state"] = "7"

    await engine.post(group())
    await engine.after(minutes=6)

    [_, successor] = engine.servicenow.incidents
    assert successor["state"] == "1"
    assert await outcome(engine) == ("escalated", successor["number"])
    assert f"Follows {record['number']}" in engine.servicenow.notes[successor["sys_id"]][0]


async def test_a_successor_whose_creation_was_not_answered_is_found_and_ended_too(engine):
    record = await found_after_the_acknowledgment(engine)
    record["state"] = "7"
    await act(engine, "unacknowledge")
    engine.servicenow.faults.order(LOST)
    engine.clock.advance(minutes=5)
    await engine.worker.run_due()
    assert [it["state"] for it in engine.servicenow.incidents] == ["7", "1"]

    await engine.post(group(is_resolved=True))
    await engine.after(minutes=2)

    assert [it["state"] for it in engine.servicenow.incidents] == ["7", "6"]


@pytest.mark.parametrize(("state", "is_open"), [("6", ["2"]), ("7", ["7", "1"])], ids=["resolved", "closed"])
async def test_the_same_after_an_acknowledgment_that_is_given_back(engine, state, is_open):
    record = await found_after_the_acknowledgment(engine)
    record["state"] = state

    await act(engine, "unacknowledge")
    await engine.after(minutes=6)

    assert [it["state"] for it in engine.servicenow.incidents] == is_open


async def test_what_people_close_after_that_stays_closed(engine):
    record = await found_after_the_resolve(engine)
    await engine.post(group())
    await engine.after(minutes=6)
    record["state"] = "7"

    await engine.post(group())
    await engine.after(minutes=12)

    assert engine.servicenow.incidents == [record]


async def test_further_news_of_the_same_wait_is_no_second_life(engine):
    record = await found_after_the_resolve(engine)

    await engine.after(minutes=30)

    assert (record["state"], len(engine.servicenow.incidents)) == ("6", 1)


@pytest.mark.parametrize(("state", "is_open"), [("6", ["2"]), ("7", ["7", "1"])], ids=["resolved", "closed"])
async def test_the_same_when_people_ended_it_before_it_was_found(engine, state, is_open):
    record = await lost(engine)
    record["state"] = state
    engine.clock.advance(seconds=1)  # its time of creation is no finer
    await engine.post(group(is_resolved=True))
    await engine.post(group())

    await engine.after(minutes=6)

    assert [it["state"] for it in engine.servicenow.incidents] == is_open
