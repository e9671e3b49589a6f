"""The checker finds what is broken: the same load against an engine that is sabotaged, one way at a time."""

from itertools import product

import pytest
from _pytest.mark import ParameterSet

from tests.faults.load import Load
from tests.faults.sabotage import SABOTAGES
from tests.faults.scenario import at_length
from tests.faults.stories import STORIES, STORIES_OF_ACK_TIMEOUTS, make_plans
from tests.faults.world import OneRedis, World

pytestmark = pytest.mark.timeout(300)

SEEDS = (7, 8, 9, 10, 11)

FOUND = {
    "forget every third": "lost",
    "drop timers": "no record",
    "do not look at acknowledgments": "a record although it was ended in time",
    "forget acknowledgments": "wrong status",
    "do not search": "more than one record",
    "forget resolves": "record open although it is resolved",
    "do not edit": "message not up to date",
    "do not look for messages": "more than one message",
    "be early": "deadline not when the wait ends",
    "hurry": "a record before the wait was over",
    "forget snoozes": "deadline not when the wait ends",
    "keep what is given back": "does not wait although that was taken",
    "lose journal lines": "audit: chain broken",
    "forget who lists": "no record",
    "keep quiet about what joins": "does not wait although that was taken",
    "forget older names": "more than one incident",
    "acknowledge for ever": "no record",
}
AUDITED = {
    "forget every third": "audit: lost",
    "drop timers": "audit: overdue",
    "do not look at acknowledgments": "audit: contradicted",
}
"""Those of them that the audit finds by itself, with the journal and Redis alone."""

ACK_LASTS_S = {"acknowledge for ever": 4.0}
"""Where it shows only in a world in which acknowledgments end."""

SAMPLED = ("drop timers", "do not look at acknowledgments", "do not search")
"""With the first seed, by CI."""


def test_every_sabotage_is_tried():
    assert FOUND.keys() == SABOTAGES.keys()


def attempt(sabotage: str, seed: int) -> ParameterSet:
    is_sampled = sabotage in SAMPLED and seed == SEEDS[0]
    return pytest.param(sabotage, seed, marks=pytest.mark.sample if is_sampled else ())


@at_length
@pytest.mark.parametrize(("sabotage", "seed"), [attempt(*it) for it in product(FOUND, SEEDS)])
async def test_the_checker_finds_an_engine_that_is_told_to(world: World[OneRedis], sabotage, seed):
    ack_lasts_s = ACK_LASTS_S.get(sabotage, 0)
    stories = STORIES_OF_ACK_TIMEOUTS if ack_lasts_s else STORIES
    world.oncall["ack_timeout_minutes"] = ack_lasts_s / 60
    await world.add_replica(sabotage=sabotage)
    await world.servicenow.fault(kind="lost_reply", times=10, method="POST", path="/api/now/table/incident")
    await world.slack.fault(kind="lost_reply", times=3, path="/api/chat.postMessage")

    plans = make_plans(2 * len(stories), seed=seed, seconds=2, wait_s=3, stories=stories, ack_lasts_s=ack_lasts_s)
    events = await Load(world, seed=seed, patience_s=12).run(plans)

    report = await world.judged(events)
    found = {it.what for it in report.findings}
    assert FOUND[sabotage] in found
    assert AUDITED.get(sabotage) in {None, *found}
