"""Escalation policies: whom an incident tells, step by step, as long as nobody acknowledges. Pure.

The steps of a policy are gone through in rounds. Every step of every round has a number, counted from 0 through all
rounds; `Policy.step` tells the step, `Policy.delay_ms` how much later than the one before it is due.
"""

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct, field
from propcache.api import cached_property

from versus_py.incidents.copies import replace

ROUND_MIN_MS = 60_000
"""The shortest time between the last step of a round and the first one of the next."""


class When(StrEnum):
    """What has a step's time come, beside the time."""

    UNACKNOWLEDGED = "unacknowledged"
    FAILED = "failed"  # the step before has failed for so long


class OnFailure(StrEnum):
    """What happens when nobody can be told by a step."""

    NEXT = "next"  # the following step is due at once
    WAIT = "wait"  # it is due at its time


class Step(Struct, frozen=True):
    """Targets that are told together."""

    targets: tuple[str, ...]
    after_ms: int = 0  # since the step before was due; of the first one, since the start of the round
    when: When = When.UNACKNOWLEDGED
    on_failure: OnFailure = OnFailure.NEXT
    mention: str = ""  # who its channels mention, instead of by route or severity
    fields: Mapping[str, str] = field(default_factory=dict)  # what its on-call providers' records get


class Asked(Struct, frozen=True):
    """What the request that an incident came with asked of its escalation; it holds for later rounds too."""

    policy: str = ""  # by its name; "": by the labels
    severity: str = ""  # what matchers see as the label severity; "": the label, or what was read where there is none
    wait_ms: int | None = None  # until the first step with an on-call provider; None: as the policy has it
    escalates: bool | None = None  # whether on-call providers are told; None: as the configuration has it
    destinations: Mapping[str, str] = field(default_factory=dict)  # target -> channel, instance
    mention: str = ""  # who its channels mention where no step says; "": by route or severity
    origin: str = ""  # the target whose record the incident came from: it never has another one there
    notify: tuple[str, ...] = ()  # further targets: channels at once, on-call providers when nobody acknowledges


class Policy(Struct, frozen=True, dict=True):
    """Whom an incident tells, and when; a copy of what the configuration said when its round began."""

    steps: tuple[Step, ...] = (Step(()),)
    name: str = ""  # "": made from the wait, the provider and the fallback of the configuration
    providers: tuple[str, ...] = ()  # those of its targets that keep a record: on-call providers
    repeat: int = 0  # further rounds
    ack_timeout_ms: int = 0  # how long an acknowledgment lasts while it still fires; 0: for ever
    opens_at_ms: int | None = None  # it was outside of its hours when it was made: nobody is told until then
    destinations: Mapping[str, str] = field(default_factory=dict)  # target -> channel, instance; else its default
    mentions: Mapping[str, str] = field(default_factory=dict)  # target -> who a route has it mention
    asked: Asked | None = None  # None: not known, so that it stays as it is

    @cached_property
    def timed(self) -> tuple[Step, ...]:
        """The steps of a round."""
        return tuple(step for step in self.steps if step.when is When.UNACKNOWLEDGED)

    @cached_property
    def fallback(self) -> Step | None:
        """What is told when the on-call provider fails."""
        for step in self.steps:
            if step.when is When.FAILED:
                return step
        return None

    @property
    def count(self) -> int:
        """The number of steps in all rounds."""
        return len(self.timed) * (1 + self.repeat)

    @property
    def channels(self) -> tuple[str, ...]:
        """The channels of the first step."""
        first = self.timed[0].targets if self.timed else ()
        return tuple(target for target in first if target not in self.providers)

    @property
    def oncall(self) -> str | None:
        """The first on-call provider; None where it has none."""
        return self.providers[0] if self.providers else None

    @cached_property
    def targets(self) -> tuple[str, ...]:
        """All that may be told."""
        return tuple(dict.fromkeys(target for step in self.steps for target in step.targets))

    @property
    def keeper(self) -> str | None:
        """The target with whose timer the incident is seen to after people dealt with it; None: nothing is to come."""
        if self.count <= 1 and not self.ack_timeout_ms and self.oncall is None:
            return None
        return self.oncall or next(iter(self.targets), None)

    @cached_property
    def places(self) -> tuple[object, ...]:
        """Whom it tells, whenever that is."""
        return tuple(step.targets for step in self.steps), dict(self.destinations)

    @property
    def wait_ms(self) -> int | None:
        """How long people have from the start of a round until somebody else is told; None: nobody else is."""
        return self._before(1) if self.count > 1 else None

    @property
    def oncall_after_ms(self) -> int | None:
        """How long after the start of a round the first on-call provider is told; None where it has none."""
        first = _first_with_provider(self)
        return None if first is None else self._before(first)

    @property
    def gives_time(self) -> bool:
        """Whether people have any time to acknowledge before somebody else is told."""
        return any(self.delay_ms(number) > 0 for number in range(1, self.count))

    def step(self, number: int) -> Step:
        """The step with that *number*."""
        return self.timed[number % len(self.timed)]

    def round(self, number: int) -> int:
        """The round of that step, counted from 0."""
        return number // len(self.timed)

    def delay_ms(self, number: int) -> int:
        """How much later than the one before that step is due."""
        if number and number % len(self.timed) == 0:
            return max(self.timed[-1].after_ms, ROUND_MIN_MS) + self.timed[0].after_ms
        return self.step(number).after_ms

    def _before(self, number: int) -> int:
        return sum(map(self.delay_ms, range(number + 1)))


def made(
    *,
    channels: tuple[str, ...] = (),
    oncall: str | None = None,
    wait_ms: int = 0,
    fallback: str | None = None,
    fallback_after_ms: int = 0,
    fallback_mention: str = "",
    ack_timeout_ms: int = 0,
    destinations: Mapping[str, str] | None = None,
    mentions: Mapping[str, str] | None = None,
    asked: Asked | None = None,
) -> Policy:
    """Channels at once, an on-call provider after the wait, and a fallback for when that one fails.

    Without a provider it never escalates, and *ack_timeout_ms* and *fallback* mean nothing.
    """
    steps = [Step(channels)]
    if oncall is not None:
        steps.append(Step((oncall,), wait_ms))
        if fallback is not None:
            steps.append(Step((fallback,), fallback_after_ms, When.FAILED, mention=fallback_mention))
    return Policy(
        steps=tuple(steps),
        providers=() if oncall is None else (oncall,),
        ack_timeout_ms=0 if oncall is None else ack_timeout_ms,
        destinations=destinations or {},
        mentions=mentions or {},
        asked=asked,
    )


def with_oncall_after(policy: Policy, wait_ms: int) -> Policy:
    """Its first on-call provider is told *wait_ms* after the start.

    Steps before it that would come later come with it, later ones keep their distance. Channels of its own step are
    told no later than they would have been.
    """
    policy = _with_channels_apart(policy)
    timed, dues = policy.timed, [policy._before(at) for at in range(len(policy.timed))]  # noqa: SLF001 - its own
    first = _first_with_provider(policy)
    if first is None:
        return policy
    moved_ms = wait_ms - dues[first]
    dues = [min(due, wait_ms) if at <= first else due + moved_ms for at, due in enumerate(dues)]
    dues[first] = wait_ms
    moved = [replace(step, after_ms=due - before) for step, due, before in zip(timed, dues, [0, *dues], strict=False)]
    return replace(policy, steps=(*moved, *(step for step in policy.steps if step.when is When.FAILED)))


def with_targets(policy: Policy, channels: tuple[str, ...], providers: tuple[str, ...], wait_ms: int) -> Policy:
    """It tells *channels* too with its first step, and *providers* with the first step that calls some.

    Without such a step, with the second one; without that, in a step of their own, *wait_ms* after the start.
    """
    timed, others = [*policy.timed], [it for it in policy.steps if it.when is When.FAILED]
    calls = _first_with_provider(policy)
    timed[0] = replace(timed[0], targets=tuple(dict.fromkeys((*timed[0].targets, *channels))))
    if providers and calls is None and len(timed) == 1:
        timed.append(Step((), max(wait_ms - timed[0].after_ms, 0)))
    if providers:
        at = 1 if calls is None else calls
        timed[at] = replace(timed[at], targets=tuple(dict.fromkeys((*timed[at].targets, *providers))))
    known = tuple(dict.fromkeys((*policy.providers, *providers)))
    return replace(policy, steps=(*timed, *others), providers=known)


def _with_channels_apart(policy: Policy) -> Policy:
    """The same, with the channels that are told with the first on-call provider in a step of their own before it."""
    first = _first_with_provider(policy)
    step = None if first is None else policy.timed[first]
    channels = () if step is None else tuple(it for it in step.targets if it not in policy.providers)
    if first is None or step is None or not channels:
        return policy
    records = tuple(it for it in step.targets if it in policy.providers)
    apart = (replace(step, targets=channels, fields={}), replace(step, targets=records, after_ms=0, mention=""))
    return replace(policy, steps=(*policy.steps[:first], *apart, *policy.steps[first + 1 :]))


def _first_with_provider(policy: Policy) -> int | None:
    with_provider = (at for at, step in enumerate(policy.timed) if set(step.targets) & set(policy.providers))
    return next(with_provider, None)


def without_providers(policy: Policy) -> Policy:
    """Nobody but channels is told; a step that has no targets left is gone, and the next one comes as it would have."""
    kept: list[Step] = []
    skipped_ms = 0
    for step in policy.timed:
        targets = tuple(target for target in step.targets if target not in policy.providers)
        if targets or not step.targets:
            kept.append(replace(step, targets=targets, after_ms=step.after_ms + skipped_ms, fields={}))
            skipped_ms = 0
        else:
            skipped_ms += step.after_ms
    if not kept:  # nobody is left to tell
        return replace(policy, steps=(Step(()),), providers=(), repeat=0, ack_timeout_ms=0)
    return replace(policy, steps=tuple(kept), providers=())


def without_target(policy: Policy, target: str) -> Policy:
    """*target* is not told; a step that has no targets left is gone, and the next one comes as it would have."""
    kept = without_providers(replace(policy, providers=(target,)))
    return replace(kept, providers=tuple(it for it in policy.providers if it in kept.targets))
