"""The checker finds what is broken: the same load against an engine that is sabotaged, one way at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import pytest
from _pytest.mark import ParameterSet

from tests.faults.checker import Report
from tests.faults.load import Load
from tests.faults.sabotage import SABOTAGES
from tests.faults.scenario import LATE_MS, Trouble, at_length, empty_redis, suffering
from tests.faults.stories import (
    CHANNELS,
    STORIES,
    STORIES_BEFORE_A_LOSS,
    STORIES_OF_ACK_TIMEOUTS,
    Hindrance,
    Story,
    make_plans,
)
from tests.faults.troubles import (
    be_slow,
    fill_redis,
    lose_replies,
    move_the_clock,
    refuse_credentials,
    refuse_edits,
    refuse_records,
)
from tests.faults.world import SLOW_INSTANCE, OneRedis, World

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
    "probe with what fails": "a record long after the wait was over",
    "share one queue": "a record long after the wait was over",
    "refuse what finishes": "a record long after the wait was over",
    "say nothing of a loss": "says nothing of its loss",
    "keep quiet about refused edits": "message not up to date",
    "believe every clock": "deadline not when the wait ends",
    "give up when refused": "no record",
}
AUDITED = {
    "forget every third": "audit: lost",
    "drop timers": "audit: overdue",
    "do not look at acknowledgments": "audit: contradicted",
}
"""Those of them that the audit finds by itself, with the journal and Redis alone."""


@dataclass(frozen=True, slots=True)
class Scene:
    """Where a sabotage shows."""

    trouble: Trouble[Any] = lose_replies
    stories: Sequence[Story] = STORIES
    seconds: float = 2
    rounds: int = 2  # how often each story is played
    ack_lasts_s: float = 0
    hindrances: Sequence[Hindrance] = ()
    late_ms: int | None = None
    is_emptied: bool = False  # Redis, when all is played


TO_THE_END_S = 3600
"""Something goes on for as long as the load is played."""

SCENES = {
    "acknowledge for ever": Scene(stories=STORIES_OF_ACK_TIMEOUTS, ack_lasts_s=4.0),
    "probe with what fails": Scene(
        refuse_records(TO_THE_END_S), hindrances=[Hindrance.REFUSED], seconds=12, late_ms=LATE_MS
    ),
    "share one queue": Scene(be_slow, hindrances=[Hindrance.SLOW], rounds=4, late_ms=LATE_MS),
    "refuse what finishes": Scene(fill_redis(TO_THE_END_S), late_ms=LATE_MS),
    "say nothing of a loss": Scene(stories=STORIES_BEFORE_A_LOSS, is_emptied=True),
    "keep quiet about refused edits": Scene(refuse_edits(*CHANNELS)),
    "believe every clock": Scene(move_the_clock(TO_THE_END_S), seconds=6),
    "give up when refused": Scene(refuse_credentials(TO_THE_END_S)),
}
"""Those of them that show only where something is the matter."""

SAMPLED = ("drop timers", "do not search")
"""With the first seed, by CI."""


def test_every_sabotage_is_tried():
    assert FOUND.keys() == SABOTAGES.keys()


def attempt(sabotage: str, seed: int) -> ParameterSet:
    is_sampled = sabotage in SAMPLED and seed == SEEDS[0]
    return pytest.param(sabotage, seed, marks=pytest.mark.sample if is_sampled else ())


@at_length
@pytest.mark.parametrize(("sabotage", "seed"), [attempt(*it) for it in product(FOUND, SEEDS)])
async def test_the_checker_finds_an_engine_that_is_told_to(world: World[OneRedis], sabotage, seed):
    report = await played(world, SCENES.get(sabotage, Scene()), seed, sabotage)

    found = {it.what for it in report.findings}
    assert FOUND[sabotage] in found
    assert AUDITED.get(sabotage) in {None, *found}


@at_length
@pytest.mark.parametrize("sabotage", SCENES)
async def test_the_checker_finds_nothing_where_the_same_is_the_matter_with_an_engine_as_it_is(world, sabotage):
    report = await played(world, SCENES[sabotage], SEEDS[0])

    assert not report.findings


async def played(world: World[OneRedis], scene: Scene, seed: int, sabotage: str | None = None) -> Report:
    """What the checker says when all is over."""
    world.oncall["ack_timeout_minutes"] = scene.ack_lasts_s / 60
    if Hindrance.SLOW in scene.hindrances:
        await world.add_instance(SLOW_INSTANCE)
    await world.add_replica(sabotage=sabotage)
    plans = make_plans(
        scene.rounds * len(scene.stories),
        seed=seed,
        seconds=scene.seconds,
        wait_s=3,
        stories=scene.stories,
        ack_lasts_s=scene.ack_lasts_s,
        hindrances=scene.hindrances,
    )
    async with suffering(world, scene.trouble, seed=seed):
        load = Load(world, seed=seed, patience_s=12)
        events = await load.run(plans)
        if scene.is_emptied:
            events = await empty_redis(world, load)
    return await world.judged(events, late_ms=scene.late_ms)
