"""How far an incident has come in its escalation policy, as it is shown. Pure. Steps and rounds are counted from 1."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from versus_py.incidents.model import Incident
from versus_py.incidents.policies import Step


class State(StrEnum):
    """Whether a target of a step shows the incident."""

    TOLD = "told"
    FAILED = "failed"
    PENDING = "pending"  # the step has not begun, or the target does not show it yet


@dataclass(frozen=True, slots=True)
class Position:
    """A step of a policy."""

    step: int
    steps: int  # of a round
    round: int
    rounds: int


@dataclass(frozen=True, slots=True)
class Next:
    """The step to come unless somebody acknowledges."""

    position: Position
    targets: tuple[str, ...]
    due_ms: int | None  # None: nobody knows, as what fires is silenced


@dataclass(frozen=True, slots=True)
class StepProgress:
    """One step of the present round."""

    step: Step
    due_ms: int | None  # None: not known any more, or it is not to come
    began_ms: int | None  # None: it has not, or that is not known any more
    states: Mapping[str, State | None]  # by target; None: it is not to come


def position_of(incident: Incident) -> Position | None:
    """The latest step that has begun; None before the first."""
    return _position(incident, incident.next_step - 1) if incident.next_step else None


def next_of(incident: Incident) -> Next | None:
    """The step to come; None when there is none."""
    if not incident.is_waiting:
        return None
    due_ms = None if incident.suppression else incident.escalates_at_ms
    return Next(_position(incident, incident.next_step), incident.next_targets, due_ms)


def held_until_ms(incident: Incident) -> int | None:
    """When the hours of its policy begin, or began where its first step is due only after that; else None."""
    return incident.policy.opens_at_ms if incident.is_held else None


def steps_of(incident: Incident) -> tuple[StepProgress, ...]:
    """The steps of the present round."""
    timed = incident.policy.timed
    if not timed:
        return ()
    first = incident.policy.round(max(incident.next_step - 1, 0)) * len(timed)
    return tuple(_progress(incident, first + at) for at in range(len(timed)))


def _progress(incident: Incident, number: int) -> StepProgress:
    step = incident.policy.step(number)
    if number >= incident.next_step:
        state = State.PENDING if incident.is_waiting else None
        return StepProgress(step, _due_ms(incident, number), None, dict.fromkeys(step.targets, state))
    calls = [call for target in step.targets if (call := incident.calls.get(target)) and call.step == number]
    call = calls[0] if calls else None
    return StepProgress(
        step,
        call.due_ms if call else None,
        call.at_ms if call else None,
        {target: _state(incident, target, number) for target in step.targets},
    )


def _due_ms(incident: Incident, number: int) -> int | None:
    due_ms = incident.escalates_at_ms
    if not incident.is_waiting or due_ms is None or incident.suppression is not None:
        return None
    return due_ms + sum(map(incident.policy.delay_ms, range(incident.next_step + 1, number + 1)))


def _state(incident: Incident, target: str, number: int) -> State:
    """Of a step that has begun. What was told before a later call of the same target stays told."""
    call = incident.calls.get(target)
    is_called_again = call is not None and call.step > number
    if incident.has_told(target) or (is_called_again and incident.delivery(target).reference):
        return State.TOLD
    return State.FAILED if incident.has_failed(target) else State.PENDING


def _position(incident: Incident, number: int) -> Position:
    policy = incident.policy
    steps = len(policy.timed)
    return Position(number % steps + 1, steps, policy.round(number) + 1, 1 + policy.repeat)
