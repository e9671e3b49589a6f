"""Tickets of ServiceNow under load, with kills, lost and doubled events, and people who act on both sides."""

from collections import Counter
from typing import Any

import pytest

from tests.faults.scenario import at_length, sampled, suffering
from tests.faults.test_scenarios import kill_one_every
from tests.faults.tickets import Played, TicketEvidence, add_business_rule, check, play, settings, settled
from tests.faults.world import OneRedis, World
from versus_py.incidents.copies import replace

pytestmark = pytest.mark.timeout(600)


async def judged(world: World[OneRedis], *, seed: int, tickets: int, seconds: float, kill_every_s: float) -> None:
    for _ in range(2):
        await world.add_replica(**settings(world))
    await add_business_rule(world, seed=seed)
    async with suffering(world, kill_one_every(kill_every_s), seed=seed):
        played = await play(world, tickets, seed=seed, seconds=seconds)
    evidence = await settled(world, played)
    print(
        f"seed {seed}: {len(evidence.incidents)} incidents of {len(played)} tickets, {evidence.writes.total()} writes"
    )
    assert check(evidence) == []
    assert len(evidence.incidents) > tickets / 3  # of the others, no event came while they were new


@sampled
async def test_with_a_fifth_of_the_events_lost_and_a_fifth_doubled_both_sides_agree_in_the_end(world: World[OneRedis]):
    await judged(world, seed=51, tickets=40, seconds=8, kill_every_s=4)


@at_length
@pytest.mark.parametrize("seed", [52, 53])
async def test_five_hundred_tickets_with_kills_agree_in_the_end(world: World[OneRedis], seed):
    await judged(world, seed=seed, tickets=500, seconds=60, kill_every_s=6)


# The checker, by made-up evidence

TICKET = Played("Ticket 0001.", "a1", ["ack", "comment", "resolve"])
RECORD = {"sys_id": "a1", "number": "INC1", "short_description": "Ticket 0001.", "state": "6", "sys_created_by": "ana"}
INCIDENT = {"title": "Ticket 0001.", "status": "resolved"}
IN_ORDER = TicketEvidence(
    [TICKET],
    records=[RECORD],
    incidents=[INCIDENT],
    answered=frozenset({"a1"}),
    writes=Counter({"a1": 3}),
    notes={"a1": ["2026-05-04 10:20:00 UTC: acknowledged by ana", "2026-05-04 10:21:00 UTC: ana: Is it db-7?"]},
    messages=[":large_green_circle: *Resolved* · Ticket 0001."],
)
OPEN: dict[str, Any] = {
    "played": [replace(TICKET, acts=["ack"])],
    "messages": [":large_orange_circle: *Acknowledged* · Ticket 0001."],
}


def test_what_is_in_order_is_no_finding():
    assert check(IN_ORDER) == []


def test_a_ticket_of_which_nothing_was_told_may_be_unknown():
    unknown = replace(IN_ORDER, incidents=[], answered=frozenset(), messages=[], writes=Counter())

    assert check(unknown) == []


@pytest.mark.parametrize("state", ["2", "3"])
def test_an_acknowledged_one_agrees_with_a_ticket_in_progress_or_on_hold(state):
    evidence = replace(
        IN_ORDER, records=[RECORD | {"state": state}], incidents=[INCIDENT | {"status": "acknowledged"}], **OPEN
    )

    assert check(replace(evidence, writes=Counter({"a1": 2}))) == []


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"records": []}, "ticket gone"),
        ({"records": [RECORD, RECORD | {"sys_id": "b2"}]}, "a second record"),
        ({"records": [RECORD | {"sys_created_by": "versus.integration"}]}, "a second record"),
        ({"incidents": []}, "incident not known"),
        ({"incidents": [INCIDENT, INCIDENT]}, "more than one incident"),
        ({"records": [RECORD | {"state": "2"}]}, "sides differ"),
        ({"incidents": [INCIDENT | {"status": "acknowledged"}], **OPEN}, "sides differ"),
        ({"incidents": [INCIDENT | {"status": "triggered"}]}, "wrong status"),
        (OPEN, "wrong status"),
        ({"writes": Counter({"a1": 4})}, "echo"),
        ({"notes": {"a1": [*IN_ORDER.notes["a1"], *IN_ORDER.notes["a1"]]}}, "noted twice"),
        ({"messages": []}, "not one message"),
        ({"messages": [*IN_ORDER.messages, *IN_ORDER.messages]}, "not one message"),
        ({"messages": [":large_orange_circle: *Acknowledged* · Ticket 0001."]}, "message not up to date"),
    ],
)
def test_the_checker_finds(changes: dict[str, Any], found: str):
    assert found in [it.what for it in check(replace(IN_ORDER, **changes))]
