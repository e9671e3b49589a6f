"""How far an incident has come in its policy, as it is shown."""

import pytest

from tests.support.clock import START_MS
from tests.support.factories import make_incident
from versus_py.incidents.copies import replace
from versus_py.incidents.model import Actor, Delivery, Suppression
from versus_py.incidents.policies import Policy, Step
from versus_py.incidents.progress import Position, State, held_until_ms, next_of, position_of, steps_of
from versus_py.incidents.transitions import acknowledge, begin_step, snooze

MINUTE_MS = 60_000
CHAIN = Policy(
    name="critical",
    steps=(Step(("slack",)), Step(("slack:leads",), 10 * MINUTE_MS), Step(("servicenow", "slack"), 15 * MINUTE_MS)),
    providers=("servicenow",),
    repeat=1,
)
ANA = Actor("ana")


def at(minute):
    return START_MS + minute * MINUTE_MS


def begun_by(minute, incident):
    """The incident when all steps that are due by then have begun, each at its time."""
    while incident.escalates_at_ms is not None and incident.escalates_at_ms <= at(minute):
        change = begin_step(incident, incident.escalates_at_ms)
        assert change
        incident = change.incident
    return incident


def told(incident, *targets, failed=()):
    sides = {target: Delivery(reference={"ts": "1"}, synced_at_ms=at(60)) for target in targets}
    return replace(incident, deliveries=sides | {target: Delivery(failed_at_ms=at(60)) for target in failed})


def states(incident):
    return [dict(it.states) for it in steps_of(incident)]


@pytest.mark.parametrize(
    ("minute", "position", "following", "due"),
    [
        (0, Position(1, 3, 1, 2), Position(2, 3, 1, 2), 10),
        (10, Position(2, 3, 1, 2), Position(3, 3, 1, 2), 25),
        (25, Position(3, 3, 1, 2), Position(1, 3, 2, 2), 40),
        (40, Position(1, 3, 2, 2), Position(2, 3, 2, 2), 50),
    ],
)
def test_the_latest_step_and_the_next_one_are_counted_from_one_through_the_rounds(minute, position, following, due):
    incident = begun_by(minute, make_incident(policy=CHAIN))

    coming = next_of(incident)
    assert position_of(incident) == position
    assert coming is not None
    assert (coming.position, coming.due_ms) == (following, at(due))


def test_after_the_last_step_nothing_is_to_come():
    incident = begun_by(65, make_incident(policy=CHAIN))

    assert position_of(incident) == Position(3, 3, 2, 2)
    assert next_of(incident) is None
    assert [it.due_ms for it in steps_of(incident)] == [None, at(50), at(65)]  # the first one's target was told again


def test_steps_to_come_have_their_instants_and_those_that_have_begun_theirs():
    incident = begun_by(10, make_incident(policy=CHAIN))

    assert [it.due_ms for it in steps_of(incident)] == [at(0), at(10), at(25)]
    assert [it.began_ms for it in steps_of(incident)] == [at(0), at(10), None]


def test_each_target_of_a_step_is_told_failed_or_pending():
    incident = told(begun_by(10, make_incident(policy=CHAIN)), "slack", failed=["slack:leads"])

    assert states(incident) == [
        {"slack": State.TOLD},
        {"slack:leads": State.FAILED},
        {"servicenow": State.PENDING, "slack": State.PENDING},
    ]


def test_what_was_told_stays_told_when_the_same_target_is_called_again():
    incident = begun_by(25, make_incident(policy=CHAIN))
    incident = replace(incident, deliveries={"slack": Delivery(reference={"ts": "1"}, synced_at_ms=at(1))})

    assert [it["slack"] for it in states(incident) if "slack" in it] == [State.TOLD, State.PENDING]


def test_what_is_acknowledged_has_no_state_for_the_steps_that_will_not_come():
    change = acknowledge(begun_by(10, make_incident(policy=CHAIN)), ANA, at(11))

    assert change
    assert next_of(change.incident) is None
    assert states(change.incident)[2] == {"servicenow": None, "slack": None}
    assert [it.due_ms for it in steps_of(change.incident)][2] is None


def test_a_snooze_moves_the_instants_of_what_is_to_come():
    change = snooze(begun_by(0, make_incident(policy=CHAIN)), at(60), ANA, at(5))

    assert change
    assert [it.due_ms for it in steps_of(change.incident)] == [at(0), at(65), at(80)]


def test_what_is_held_has_come_to_no_step_and_says_when_its_hours_begin():
    incident = make_incident(policy=replace(CHAIN, opens_at_ms=at(120)))

    coming = next_of(incident)
    assert held_until_ms(incident) == at(120)
    assert position_of(incident) is None
    assert coming is not None
    assert (coming.position, coming.targets) == (Position(1, 3, 1, 2), ("slack",))
    assert [it.due_ms for it in steps_of(incident)] == [at(120), at(130), at(145)]


def test_a_first_step_that_waits_is_held_by_no_hours():
    incident = make_incident(policy=replace(CHAIN, steps=(replace(CHAIN.steps[0], after_ms=MINUTE_MS),)))

    assert (held_until_ms(incident), position_of(incident)) == (None, None)
    assert [it.due_ms for it in steps_of(incident)] == [at(1)]


def test_nobody_knows_when_what_is_silenced_goes_on():
    incident = replace(begun_by(0, make_incident(policy=CHAIN)), suppression=Suppression(at(10), "inhibited"))

    coming = next_of(incident)
    assert coming is not None
    assert coming.due_ms is None
    assert [it.due_ms for it in steps_of(incident)] == [at(0), None, None]
