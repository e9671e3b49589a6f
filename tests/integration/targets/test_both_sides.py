"""People on both sides act in any order, with a sync after each act or only at the end: both sides agree in the end."""

from itertools import permutations

import pytest

from tests.integration.conftest import make_turns
from tests.support.two_way import ANA, NAME, TwoWay, begun, make_target
from versus_py.incidents import transitions
from versus_py.incidents.model import Status
from versus_py.simulators.servicenow.answers import Refused

WRITES_MAX = 4


@pytest.fixture
def target(session, clock, servicenow_url):
    return make_target(servicenow_url, clock=clock, session=session, turns=make_turns())


def acts_here(it: TwoWay, act: str) -> None:
    it.clock.advance(seconds=1)
    now_ms = it.clock.now_ms()
    change = {
        "acknowledged": lambda: transitions.acknowledge(it.incident, ANA, now_ms),
        "resolved": lambda: transitions.resolve(it.incident, ANA, now_ms, "done"),
        "commented": lambda: transitions.comment(it.incident, "On it", ANA, now_ms),
    }[act]()
    if change is not None:
        it.incident = change.incident


def acts_there(it: TwoWay, act: str) -> None:
    deeds = {
        "started": ("start", {"assigned_to": "Ana Diaz"}),
        "closed": ("close", {}),
        "noted": ("note", {"work_notes": "looking"}),
    }
    do, keys = deeds[act]
    if it.record["state"] in {"6", "7"} and do == "start":
        return  # that would reopen it
    try:
        it.there(do, **keys)
    except Refused:  # a closed record is read-only
        return


HERE, THERE = ("acknowledged", "resolved", "commented"), ("started", "closed", "noted")
ORDERS = [it for it in permutations((*HERE, *THERE), 3) if {*it} & {*HERE} and {*it} & {*THERE}]


@pytest.mark.parametrize("syncs", [False, True], ids=["in the end", "after each"])
@pytest.mark.parametrize("first", [*HERE, *THERE])
async def test_any_three_acts_end_the_same_on_both_sides_with_few_writes(target, servicenow, clock, first, syncs):
    for order in (it for it in ORDERS if it[0] == first):
        servicenow.incidents.clear()
        servicenow.tables["sys_journal_field"].clear()
        both = begun(target, servicenow, clock)
        await both.sync()
        writes = both.writes
        for act in order:
            (acts_here if act in HERE else acts_there)(both, act)
            if syncs:
                await both.sync()
        await both.until_quiet()

        is_over = both.record["state"] in {"6", "7"}
        assert is_over == (both.incident.status is Status.RESOLVED), order
        if not is_over:
            assert (both.record["state"] == "2") == (both.incident.status is Status.ACKNOWLEDGED), order
        assert both.writes - writes <= WRITES_MAX, order
        assert len(both.notes) == len({*both.notes}), order
        written_back = [it for it in both.notes if "servicenow" in it or "looking" in it]
        assert written_back == [], order
        assert int(both.record["sys_mod_count"]) == both.incident.sides[NAME].revision, order
