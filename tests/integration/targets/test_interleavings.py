"""Two sides of an incident that people change at the same time, in every order, with events as bad as they get.

A ticket's events are lost, doubled, late and in another order; syncs and comparisons come in between. When all is
quiet, both sides agree, and nothing was done twice.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from itertools import permutations

import pytest

from tests.support.two_sides import ANA, TwoSides, problems
from versus_py.incidents import transitions, triage
from versus_py.incidents.sides import Standing
from versus_py.simulators.servicenow import Passage

WRITES_MAX = 4
SAMPLES = 150

Act = Callable[[TwoSides], None]


@pytest.fixture
def both(monkeypatch) -> TwoSides:
    return TwoSides.build(monkeypatch)


def acknowledge(it: TwoSides) -> None:
    it.here(lambda incident, now_ms: transitions.acknowledge(incident, ANA, now_ms), "acknowledge")


def resolve(it: TwoSides) -> None:
    it.here(lambda incident, now_ms: transitions.resolve(incident, ANA, now_ms, "Disk replaced"), "resolve")


def comment(it: TwoSides) -> None:
    text = f"Is it db-{it.incident.news_count}?"
    it.here(lambda incident, now_ms: transitions.comment(incident, text, ANA, now_ms), "comment")


def send_to_net(it: TwoSides) -> None:
    to = triage.Route("to policy net", policy="net")
    it.here(lambda incident, now_ms: triage.route(incident, to, ANA, now_ms, it.policies.of_known), "route")


def call_it_critical(it: TwoSides) -> None:
    it.here(
        lambda incident, now_ms: triage.set_severity(incident, "critical", ANA, now_ms, it.policies.of_known),
        "critical",
    )


def take_back(it: TwoSides) -> None:
    it.here(
        lambda incident, now_ms: transitions.unacknowledge(incident, ANA, now_ms, it.policies.of_known), "take back"
    )


def there(do: str, **columns: str) -> Act:
    """By Ben, who does only what people do to a ticket that is not over."""

    def act(it: TwoSides) -> None:
        if not it.side.standing.is_over:
            it.there(do, **columns)

    return act


def note(it: TwoSides) -> None:
    if it.side.standing is not Standing.CLOSED:
        it.there("note", work_notes=f"It is db-{len(it.did)}")


HERE: Mapping[str, Act] = {
    "acknowledge": acknowledge,
    "resolve": resolve,
    "comment": comment,
    "re-route": send_to_net,
    "critical": call_it_critical,
    "take back": take_back,
}
THERE: Mapping[str, Act] = {
    "start": there("start"),
    "resolve": there("resolve", close_notes="Disk replaced there"),
    "note": note,
    "reassign": there("reassign", assignment_group="Mail desk"),
    "high": there("change", urgency="1"),
    "hold": there("hold"),
    "low": there("change", urgency="3"),
    "cancel": there("cancel"),
    "take": there("reassign", assigned_to="ben"),
}

TO_THE_END = [HERE["acknowledge"], HERE["resolve"], HERE["comment"], THERE["start"], THERE["resolve"], THERE["note"]]
OPEN = [HERE["acknowledge"], HERE["re-route"], HERE["critical"], THERE["hold"], THERE["reassign"], THERE["high"]]


def passage(seed: int) -> Passage:
    return Passage(seed=seed, by_hand=True, lost=0.2, doubled=0.2, reordered=0.3, coalesced=0.5, delay_s=(0.0, 20.0))


async def something_between(it: TwoSides) -> None:
    """What may happen before somebody acts again: time passes, events arrive, syncs are done."""
    it.clock.advance(seconds=it.chance.choice([0, 1, 15]))
    for do in it.chance.sample([it.deliver, it.sync, it.sweep], k=it.chance.choice([0, 0, 1, 2, 3])):
        await do()


async def played(it: TwoSides, acts: Sequence[Act], seed: int) -> None:
    await it.begin(passage(seed))
    for act in acts:
        await something_between(it)
        act(it)
    await it.until_quiet()


@pytest.mark.parametrize("first", [0, 1, *(pytest.param(it, marks=pytest.mark.long) for it in range(2, 6))])
@pytest.mark.parametrize(
    "acts",
    [pytest.param(TO_THE_END, id="to-the-end"), pytest.param(OPEN, id="open", marks=pytest.mark.long)],
)
async def test_in_every_order_of_six_acts_both_sides_agree_in_the_end_after_at_most_four_writes(both, acts, first):
    for seed, order in enumerate(permutations(acts)):
        if order[0] is acts[first]:
            await played(both, order, seed)

            assert problems(both, writes_max=WRITES_MAX) == [], "\n".join([f"seed {seed}", *both.did])


@pytest.mark.parametrize(("shape", "samples"), [("script", SAMPLES), ("raw", SAMPLES // 3)])
async def test_whatever_people_do_both_sides_agree_in_the_end_after_a_write_for_each_act_and_one_to_assign(
    monkeypatch, shape, samples
):
    both = TwoSides.build(monkeypatch, shape=shape)
    for seed in range(samples):
        chance = random.Random(seed)
        acts = chance.sample([*HERE.values(), *THERE.values()], k=8)

        await played(both, acts, seed)

        here = sum(act in HERE.values() for act in acts)
        assert problems(both, writes_max=here + 1) == [], "\n".join([f"seed {seed}", *both.did])


@pytest.mark.parametrize("here", HERE)
async def test_while_both_sides_change_at_once_over_and_over_there_are_few_writes_until_it_is_quiet(both, here):
    for seed, act_there in enumerate(THERE.values()):
        await both.begin(passage(seed))
        for _ in range(3):
            HERE[here](both)
            act_there(both)
            await both.deliver()
            await both.sync()
            both.clock.advance(seconds=15)
        await both.until_quiet()

        assert problems(both, writes_max=WRITES_MAX, times=3) == [], "\n".join([f"seed {seed}", *both.did])


@pytest.mark.parametrize("seed", range(5))
async def test_what_comes_of_our_own_writes_is_no_news_in_whatever_order_and_however_often(both, seed):
    await both.begin(Passage(seed=seed, by_hand=True, doubled=1.0, reordered=1.0, coalesced=0.5))
    for act in (acknowledge, comment, resolve):
        act(both)
        await both.sync()
    writes, news = both.writes, both.incident.news_count

    await both.until_quiet()

    assert (both.writes, both.incident.news_count) == (writes, news)
    assert problems(both, writes_max=WRITES_MAX) == []
    assert sum(it.report.is_own for it in both.heard) > writes
