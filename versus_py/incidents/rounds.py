"""Rounds: which step of its policy an incident has come to, and when the next one is due. Pure."""

from collections.abc import Callable, Mapping
from math import inf

from versus_py.incidents.copies import replace
from versus_py.incidents.model import Call, Incident, Status
from versus_py.incidents.policies import OnFailure, Policy

PolicyOf = Callable[[Incident, int], Policy]
"""What the configuration says of an incident by now: a round that begins then goes by it."""


def as_before(incident: Incident, now_ms: int) -> Policy:  # noqa: ARG001 - it is always the same
    """The policy that it has."""
    return incident.policy


def with_round(incident: Incident, policy: Policy, now_ms: int) -> Incident:
    """At the start of a first round by *policy*: the first step has begun, if it is due by now."""
    policy = _succeeding(incident, policy)
    due_ms = max(now_ms, policy.opens_at_ms or now_ms) + policy.delay_ms(0)
    waiting = replace(incident, policy=policy, next_step=0, escalates_at_ms=due_ms, calls={})
    return begun(waiting, due_ms, now_ms) if due_ms <= now_ms else waiting


def begun(incident: Incident, due_ms: int, now_ms: int) -> Incident:
    """With the next step begun, which was due then."""
    policy, number = incident.policy, incident.next_step
    step, fallback = policy.step(number), policy.fallback
    call = Call(number, due_ms, now_ms, step.mention, step.fields)
    steps_in = fallback.targets if fallback is not None and policy.oncall in step.targets else ()
    following = number + 1
    return replace(
        incident,
        next_step=following,
        escalates_at_ms=due_ms + policy.delay_ms(following) if following < policy.count else None,
        calls={**incident.calls, **dict.fromkeys(step.targets, call)},
        told=tuple(dict.fromkeys((*incident.told, *step.targets, *steps_in))),
    )


def opened(incident: Incident, now_ms: int) -> Incident:
    """With the first step begun, whatever the hours are."""
    return begun(incident, now_ms, now_ms) if incident.is_waiting and incident.next_step == 0 else incident


def at_next_round(incident: Incident, policy_of: PolicyOf, now_ms: int) -> Incident:
    """By the policy of now where the step to come begins a further round, and without it where there is none now."""
    if incident.next_step == 0 or incident.next_step % len(incident.policy.timed):
        return incident
    policy, begins = _succeeding(incident, policy_of(incident, now_ms)), incident.policy.round(incident.next_step)
    number = begins * len(policy.timed)
    if number >= policy.count:
        return replace(incident, policy=policy, next_step=policy.count, escalates_at_ms=None)
    return replace(incident, policy=policy, next_step=number)


def sooner(incident: Incident, policy: Policy, now_ms: int, *, is_graver: bool) -> Incident:
    """What joins it, or a severity that rose, has a *policy*: it is followed from now on where it tells people sooner.

    And where it tells nobody later who is still to be told: of what is graver, no on-call provider. Else that of the
    incident goes on. Nobody is told once more who was told in this wait. Of what is graver, the mention counts in any
    case.
    """
    candidate = with_round(replace(incident, status=Status.TRIGGERED), policy, now_ms)
    mentions = {**incident.policy.mentions, **(policy.mentions if is_graver else {})}
    if incident.snooze is None and _is_sooner(incident, candidate, now_ms, is_graver=is_graver):
        return _followed(incident, candidate, mentions, now_ms)
    return replace(incident, policy=replace(incident.policy, mentions=mentions))


def _is_sooner(incident: Incident, candidate: Incident, now_ms: int, *, is_graver: bool) -> bool:
    mine, theirs = (_untold(it, incident, now_ms) for it in (incident, candidate))
    if not incident.is_waiting:
        is_another = is_graver and candidate.policy.name != incident.policy.name
        may_follow = incident.policy.count <= 1 or (is_another and incident.status is Status.TRIGGERED)
        return may_follow and bool(theirs)
    if is_graver:
        is_no_later = _first_record(theirs, candidate) <= _first_record(mine, incident)
        return is_no_later and any(due_ms < mine.get(target, inf) for target, due_ms in theirs.items())
    is_no_later = all(theirs.get(target, inf) <= due_ms for target, due_ms in mine.items())
    return is_no_later and any(theirs[target] < due_ms for target, due_ms in mine.items())


def _untold(followed: Incident, incident: Incident, now_ms: int) -> dict[str, int]:
    """Who was not told in this wait of *incident* -> when they are, if what is *followed* goes on."""
    untold = (target for target in followed.policy.targets if target not in incident.calls)
    dues = {target: now_ms if target in followed.calls else followed.due_ms(target) for target in untold}
    return {target: due_ms for target, due_ms in dues.items() if due_ms is not None}


def _first_record(dues: Mapping[str, int], incident: Incident) -> float:
    return min((due_ms for target, due_ms in dues.items() if target in incident.policy.providers), default=inf)


def _followed(incident: Incident, candidate: Incident, mentions: Mapping[str, str], now_ms: int) -> Incident:
    policy = candidate.policy
    destinations = {**policy.destinations, **incident.policy.destinations}
    policy = replace(policy, destinations=destinations, mentions=mentions)
    if incident.status is Status.ACKNOWLEDGED:
        return replace(incident, policy=policy, ack_renewed_at_ms=now_ms)
    if incident.status is not Status.TRIGGERED:
        return replace(incident, policy=policy)
    since_ms = incident.waiting_since_ms if incident.is_waiting or incident.is_escalating else now_ms
    calls = {**candidate.calls, **incident.calls}
    return replace(candidate, policy=policy, calls=calls, waiting_since_ms=since_ms)


def no_more_than(incident: Incident, policy: Policy) -> Incident:
    """By *policy* from now on, whose steps are some of those that it has: where none is left to come, nobody waits."""
    followed = replace(incident, policy=_succeeding(incident, policy))
    if not incident.is_waiting or incident.next_step < policy.count:
        return followed
    return replace(followed, next_step=policy.count, escalates_at_ms=None)


def is_lost(incident: Incident, *, but: str) -> bool:
    """Whether the next step of the round is due because the latest has reached nobody, *but* having failed just now.

    What was given up, or refuses us, will not. The next round is not due sooner: it tries all of them again.
    """
    if incident.next_step % len(incident.policy.timed) == 0:
        return False
    step = incident.policy.step(incident.next_step - 1)
    others = (target for target in step.targets if target != but)
    has_failed = (incident.has_failed(target) or incident.is_refused_by(target) for target in others)
    is_reached = any(_is_reached(incident, target) for target in step.targets)
    return step.on_failure is OnFailure.NEXT and not is_reached and all(has_failed)


def _is_reached(incident: Incident, target: str) -> bool:
    """A message of an earlier wait shows what is told first; what is told later is not in it."""
    if target in incident.escalations:
        return incident.has_told(target)
    return bool(incident.delivery(target).label)


def step_of(incident: Incident, number: int | None = None) -> str:
    """The step with that *number*, else the one that it has come to, such as "step 2 of 3, round 1"."""
    policy, number = incident.policy, max(incident.next_step - 1, 0) if number is None else number
    steps = len(policy.timed)
    return f"step {number % steps + 1} of {steps}, round {policy.round(number) + 1}"


def _succeeding(incident: Incident, policy: Policy) -> Policy:
    """*policy*, with the providers of the one before that may have a record: they are told how it ends."""
    older = [it for it in incident.policy.providers if it in incident.told and it not in policy.providers]
    return replace(policy, providers=(*policy.providers, *older)) if older else policy
