"""What a seed plays: how many replicas and alerts, which faults how often, and what people do.

Each seed turns on some faults and some kinds of load only: a fault that hides another one is off in many seeds.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from versus_py.incidents.copies import replace


class FaultKind(StrEnum):
    """What may go wrong at an effect; its chance is in `Knobs.faults`.

    The word before the dot says at which effects: a call of Redis, a request to a remote system, a request of people
    to a replica, or any effect of a replica (a process fault).
    """

    REDIS_LOST_BEFORE = "redis.lost_before"  # the call never arrives
    REDIS_LOST_AFTER = "redis.lost_after"  # its answer never arrives
    REDIS_SLOW = "redis.slow"  # 0.05 to 6 s on the way there or back
    REDIS_DOWN = "redis.down"  # nobody reaches it for 0.3 to 20 s
    REDIS_FULL = "redis.full"  # no memory for 5 to 60 s
    REDIS_LOSES = "redis.loses"  # it starts again without its last 0 to 1000 ms
    REDIS_EMPTIED = "redis.emptied"  # all its data is gone
    REDIS_STEPS = "redis.steps"  # its clock steps by up to 2 s
    REDIS_JUMPS = "redis.jumps"  # its clock jumps by minutes or an hour

    HTTP_LOST_BEFORE = "http.lost_before"
    HTTP_LOST_AFTER = "http.lost_after"
    HTTP_SLOW = "http.slow"  # within what the system may take: ServiceNow 60 s, Slack 30 s
    HTTP_DOUBLED = "http.doubled"  # a proxy sends what can be repeated (GET) twice
    HTTP_LIMITED = "http.limited"  # this system answers 429 for a while
    HTTP_FAILS = "http.fails"  # this system answers 500 for a while
    HTTP_REFUSED = "http.refused"  # this system refuses the credentials for a while

    FRONT_LOST_BEFORE = "front.lost_before"
    FRONT_LOST_AFTER = "front.lost_after"
    FRONT_SLOW = "front.slow"

    PROCESS_KILLED = "process.killed"  # SIGKILL 0 to 4 ms (Redis) or 0 to 400 ms (HTTP) after the effect began
    PROCESS_FROZEN = "process.frozen"  # stands still for 0.1 to 200 s; its clocks go on
    PROCESS_SUSPENDED = "process.suspended"  # the machine sleeps: the monotonic clock of its loop stands still too
    PROCESS_STOPPED = "process.stopped"  # SIGTERM, and a new start


class Load(StrEnum):
    """A kind of load. Without any, alerts fire, are acknowledged by the API, and resolve."""

    REPEATS = "repeats"  # Alertmanager sends again what fires
    RACES = "races"  # at two replicas at once
    PRESSES = "presses"  # Slack's buttons
    LINKS = "links"  # the page behind the link of a message
    GIVE_BACK = "give back"
    SNOOZES = "snoozes"
    ESCALATIONS = "escalations"  # somebody escalates at once
    EPISODES = "episodes"  # what has resolved fires again
    JOINS = "joins"  # another alert joins the group
    PEERS = "peers"  # another sender lists the same alert
    RECORDS = "records"  # people comment on records, resolve and close them
    SILENT_ENDS = "silent ends"  # it is over, and only the Alertmanager knows
    POISON = "poison"  # a business rule of ServiceNow refuses some records
    ROUTES = "routes"  # a matcher of the route is edited: the groupKey is another one
    FLIPS = "flips"  # an incident is given back, and acknowledged again at once
    SLOW_INSTANCE = "slow instance"  # some alerts go to an instance that takes seconds
    TICKETS = "tickets"  # people open tickets, which business rules post here, and work on them on both sides


@dataclass(frozen=True, slots=True)
class Knobs:
    """All that a seed has chosen before it begins."""

    profile: str
    replicas: int = 2
    alerts: int = 6
    minutes: float = 15.0  # how long alerts begin, and faults happen
    wait_minutes: float = 3.0
    ack_timeout_minutes: float = 0.0  # 0: an acknowledgment lasts for ever
    reopen_minutes: float = 5.0
    durability: str = "memory"
    storm_threshold: int = 1000
    fallback_after_minutes: float | None = None
    record_after_minutes: float | None = (
        None  # a policy: the wait is that until leads are told, this that of the record
    )
    repeat: int = 0  # how often the steps of the policy are gone through again
    opens_after_minutes: float = 0.0  # when its hours begin; 0: it has none
    has_alertmanager: bool = False  # it is asked before a record is created
    is_told_all: bool = False  # business rules lose no event, so that nobody looks at records by the clock
    has_journal: bool = False
    has_key_template: bool = False  # the configuration says what an incident is, not the source
    frozen_s: tuple[float, float] | None = None  # how long processes stand still; None: a moment, or some minutes
    takes_edits: bool = True  # False: Slack refuses every edit in the channel
    partitions: int = 4  # over which incidents are spread in Redis; each look asks all of them
    redis_offset_ms: int = 0  # how far Redis' clock is ahead of everybody else's
    faults: Mapping[FaultKind, float] = field(default_factory=lambda: MappingProxyType({}))
    loads: frozenset[Load] = frozenset()
    wild: bool = False  # deeds of people overlap, and only what holds in any order is judged

    def chance(self, fault: FaultKind) -> float:
        """At one effect."""
        return self.faults.get(fault, 0.0)

    def plays(self, load: Load) -> bool:
        return load in self.loads

    @property
    def looks_at_records(self) -> bool:
        """Every few minutes, as people may have written there."""
        return not self.is_told_all and (self.plays(Load.RECORDS) or self.plays(Load.TICKETS))


_USUAL: Mapping[FaultKind, tuple[float, tuple[float, ...]]] = MappingProxyType(
    {
        FaultKind.REDIS_LOST_BEFORE: (0.4, (0.001, 0.01, 0.05)),
        FaultKind.REDIS_LOST_AFTER: (0.4, (0.001, 0.01, 0.05)),
        FaultKind.REDIS_SLOW: (0.4, (0.002, 0.02, 0.1)),
        FaultKind.REDIS_DOWN: (0.3, (0.0002, 0.001)),
        FaultKind.HTTP_LOST_BEFORE: (0.4, (0.02, 0.1, 0.3)),
        FaultKind.HTTP_LOST_AFTER: (0.4, (0.02, 0.1, 0.3)),
        FaultKind.HTTP_SLOW: (0.4, (0.02, 0.1, 0.4)),
        FaultKind.HTTP_DOUBLED: (0.2, (0.05,)),
        FaultKind.HTTP_LIMITED: (0.2, (0.01, 0.03)),
        FaultKind.HTTP_FAILS: (0.3, (0.01, 0.03)),
        FaultKind.FRONT_LOST_BEFORE: (0.3, (0.05, 0.3)),
        FaultKind.FRONT_LOST_AFTER: (0.4, (0.05, 0.3)),
        FaultKind.FRONT_SLOW: (0.2, (0.1,)),
        FaultKind.PROCESS_KILLED: (0.5, (0.0003, 0.002, 0.01)),
        FaultKind.PROCESS_FROZEN: (0.2, (0.0005, 0.002)),
        FaultKind.PROCESS_STOPPED: (0.3, (0.0003, 0.002)),
        FaultKind.REDIS_STEPS: (0.1, (0.0005,)),
    }
)
"""How often a seed has the fault at all, and the chances at an effect that it chooses from."""


def _calm(_: random.Random, knobs: Knobs) -> Knobs:
    """Nothing goes wrong."""
    return replace(knobs, faults={})


def _all(_: random.Random, knobs: Knobs) -> Knobs:
    return knobs


def _only(*kinds: FaultKind, chances: tuple[float, ...]) -> Callable[[random.Random, Knobs], Knobs]:
    """These in each seed, beside half of the others."""

    def chosen(dice: random.Random, knobs: Knobs) -> Knobs:
        kept = {kind: chance for kind, chance in knobs.faults.items() if dice.random() < 0.5}
        return replace(knobs, faults=kept | {kind: dice.choice(chances) for kind in kinds})

    return chosen


def _with_load(*loads: Load) -> Callable[[random.Random, Knobs], Knobs]:
    def chosen(_: random.Random, knobs: Knobs) -> Knobs:
        return replace(knobs, loads=_together(knobs.loads, *loads))

    return chosen


def _together(loads: frozenset[Load], *more: Load) -> frozenset[Load]:
    """Where an instance is slow, looking at records every few minutes would never end."""
    both = loads | set(more)
    return both - {Load.RECORDS} if Load.SLOW_INSTANCE in both else both


def _calm_with(load: Load) -> Callable[[random.Random, Knobs], Knobs]:
    """Whom the load does not hinder has to be served in time."""

    def chosen(_: random.Random, knobs: Knobs) -> Knobs:
        return replace(knobs, faults={}, loads=_together(knobs.loads, load), alerts=20, wait_minutes=1.0)

    return chosen


def _frozen(dice: random.Random, knobs: Knobs) -> Knobs:
    """Workers stand still in the middle of a sync, while others take over."""
    faults = {FaultKind.PROCESS_FROZEN: dice.choice((0.002, 0.01)), FaultKind.HTTP_SLOW: 0.3}
    return replace(knobs, faults=dict(knobs.faults) | faults, replicas=3, alerts=10)


def _suspended(dice: random.Random, knobs: Knobs) -> Knobs:
    faults = {FaultKind.PROCESS_SUSPENDED: dice.choice((0.001, 0.005)), FaultKind.HTTP_SLOW: 0.2}
    return replace(knobs, faults=dict(knobs.faults) | faults, replicas=3)


def _jumping(dice: random.Random, knobs: Knobs) -> Knobs:
    faults = {FaultKind.REDIS_JUMPS: dice.choice((0.0002, 0.001)), FaultKind.HTTP_SLOW: 0.3}
    return replace(knobs, faults=dict(knobs.faults) | faults)


def _offset(dice: random.Random, knobs: Knobs) -> Knobs:
    return replace(knobs, redis_offset_ms=dice.choice((-3_600_000, -90_000, 90_000, 300_000, 3_600_000)))


def _synced_to_disk(dice: random.Random, knobs: Knobs) -> Knobs:
    """Redis confirms each write when it is on disk: what was answered survives the loss of the last second."""
    faults = {FaultKind.REDIS_LOSES: dice.choice((0.0005, 0.002))}
    return replace(knobs, faults=dict(knobs.faults) | faults, durability="fsync")


def _storm(dice: random.Random, knobs: Knobs) -> Knobs:
    return replace(knobs, storm_threshold=3, alerts=12, minutes=dice.choice((2.0, 8.0)))


def _fallback(dice: random.Random, knobs: Knobs) -> Knobs:
    """The provider fails or refuses long enough for the second channel to be told."""
    faults = {dice.choice((FaultKind.HTTP_FAILS, FaultKind.HTTP_REFUSED)): 0.05}
    return replace(knobs, faults=dict(knobs.faults) | faults, fallback_after_minutes=dice.choice((1.0, 3.0)))


def _last_look(_: random.Random, knobs: Knobs) -> Knobs:
    return replace(knobs, has_alertmanager=True, loads=knobs.loads | {Load.SILENT_ENDS})


def _wild(_: random.Random, knobs: Knobs) -> Knobs:
    return replace(knobs, wild=True)


def _ack_timeout(dice: random.Random, knobs: Knobs) -> Knobs:
    return replace(knobs, ack_timeout_minutes=dice.choice((2.0, 4.0)))


def _steps(dice: random.Random, knobs: Knobs) -> Knobs:
    """A policy of several steps, mostly in rounds, and sometimes held for minutes."""
    return replace(
        knobs,
        record_after_minutes=dice.choice((0.0, 1.0, 2.0)),
        repeat=dice.choice((0, 1, 2)),
        opens_after_minutes=dice.choice((0.0, 0.0, 6.0)),
        ack_timeout_minutes=dice.choice((0.0, 3.0)),
    )


def _calm_steps(dice: random.Random, knobs: Knobs) -> Knobs:
    """The same where nothing goes wrong, so that each step has to be told in time."""
    return replace(_steps(dice, knobs), faults={}, alerts=10)


def _crowd(_: random.Random, knobs: Knobs) -> Knobs:
    """Two replicas or more meet on the same incidents: few alerts, many deeds."""
    return replace(knobs, replicas=3, alerts=3, loads=knobs.loads | {Load.RACES, Load.REPEATS, Load.EPISODES})


def _nothing_but(kind: FaultKind, *chances: float) -> Callable[[random.Random, Knobs], Knobs]:
    """What has to go on in time although this goes wrong."""

    def chosen(dice: random.Random, knobs: Knobs) -> Knobs:
        return replace(knobs, faults={kind: dice.choice(chances)})

    return chosen


def _journal(_: random.Random, knobs: Knobs) -> Knobs:
    return replace(knobs, faults={}, has_journal=True)


def _no_edits(_: random.Random, knobs: Knobs) -> Knobs:
    return replace(knobs, takes_edits=False)


def _lost_answers(dice: random.Random, knobs: Knobs) -> Knobs:
    """What was sent has its effect, and nobody is told: deeds come between an attempt and the next."""
    faults = {FaultKind.HTTP_LOST_AFTER: dice.choice((0.2, 0.4)), FaultKind.HTTP_SLOW: dice.choice((0.0, 0.1))}
    loads = (knobs.loads & {Load.REPEATS, Load.RACES, Load.GIVE_BACK, Load.JOINS}) | {Load.EPISODES}
    return replace(knobs, faults=faults, loads=loads, alerts=10)


def _late_effects(dice: random.Random, knobs: Knobs) -> Knobs:
    """What was sent has its effect after whoever sent it has given up waiting, and has sent something newer."""
    faults = {FaultKind.HTTP_SLOW: dice.choice((0.3, 0.5))}
    return replace(knobs, faults=faults, alerts=10)


def _frozen_for_a_lease(_: random.Random, knobs: Knobs) -> Knobs:
    """Workers go on when their claims are about to end, and what they send then takes long."""
    faults = {FaultKind.PROCESS_FROZEN: 0.05, FaultKind.HTTP_SLOW: 0.4}
    return replace(knobs, faults=faults, replicas=3, alerts=10, frozen_s=(85.0, 120.0))


def _keyed(_: random.Random, knobs: Knobs) -> Knobs:
    """Nothing but its key and its id tells an incident, and what has resolved fires again when its key is gone."""
    loads = frozenset({Load.EPISODES, Load.REPEATS})
    return replace(knobs, faults={}, loads=loads, alerts=10, has_key_template=True)


def _stopped(dice: random.Random, knobs: Knobs) -> Knobs:
    """Replicas are stopped while what they have sent is on its way."""
    faults = {FaultKind.PROCESS_STOPPED: dice.choice((0.05, 0.15)), FaultKind.HTTP_SLOW: 0.5}
    return replace(knobs, faults=faults, loads=knobs.loads | {Load.FLIPS}, replicas=3, alerts=10, wait_minutes=1.0)


def _tickets(dice: random.Random, knobs: Knobs) -> Knobs:
    """Few alerts. What people do to the records of those counts here too, which their stories do not know of."""
    loads = (knobs.loads - {Load.RECORDS}) | {Load.TICKETS}
    return replace(knobs, loads=loads, alerts=2, ack_timeout_minutes=0.0, wait_minutes=dice.choice((1.0, 3.0)))


def _tickets_told(dice: random.Random, knobs: Knobs) -> Knobs:
    """What goes wrong in the telling is not made good by looking; people act while what they did is being told."""
    return replace(_tickets(dice, knobs), faults={FaultKind.HTTP_SLOW: dice.choice((0.2, 0.5))}, is_told_all=True)


def _tickets_unheard(dice: random.Random, knobs: Knobs) -> Knobs:
    """Most requests never arrive, so that people write in a ticket before there is a thread."""
    return replace(_tickets(dice, knobs), faults={FaultKind.HTTP_LOST_BEFORE: dice.choice((0.4, 0.6))})


PROFILES: Mapping[str, Callable[[random.Random, Knobs], Knobs]] = MappingProxyType(
    {
        "calm": _calm,
        "all": _all,
        "crowd": _crowd,
        "freeze": _frozen,
        "suspend": _suspended,
        "jump": _jumping,
        "offset": _offset,
        "lose": _only(FaultKind.REDIS_LOSES, chances=(0.0005, 0.002)),
        "fsync": _synced_to_disk,
        "empty": _only(FaultKind.REDIS_EMPTIED, chances=(0.0002, 0.001)),
        "full": _only(FaultKind.REDIS_FULL, chances=(0.0005, 0.002)),
        "refused": _only(FaultKind.HTTP_REFUSED, chances=(0.01, 0.05)),
        "poison": _with_load(Load.POISON),
        "poison-only": _calm_with(Load.POISON),
        "slow": _with_load(Load.SLOW_INSTANCE),
        "slow-only": _calm_with(Load.SLOW_INSTANCE),
        "storm": _storm,
        "fallback": _fallback,
        "last-look": _last_look,
        "ack-timeout": _ack_timeout,
        "steps": _steps,
        "steps-only": _calm_steps,
        "groups": _with_load(Load.JOINS, Load.PEERS, Load.EPISODES),
        "records": _with_load(Load.RECORDS, Load.EPISODES),
        "wild": _wild,
        "frozen-for-a-lease": _frozen_for_a_lease,
        "stopped": _stopped,
        "keyed": _keyed,
        "lost-answers": _lost_answers,
        "late-effects": _late_effects,
        "full-only": _nothing_but(FaultKind.REDIS_FULL, 0.002, 0.01),
        "empty-only": _nothing_but(FaultKind.REDIS_EMPTIED, 0.0005),
        "journal": _journal,
        "no-edits": _no_edits,
        "tickets": _tickets,
        "tickets-told": _tickets_told,
        "tickets-unheard": _tickets_unheard,
    }
)
"""What each profile adds to the swarm's choice."""


def knobs_for(seed: int, profile: str = "all") -> Knobs:
    """The same for the same arguments, in any process. Raises ValueError for an unknown profile."""
    if profile not in PROFILES:
        raise ValueError(f"profile: {profile!r} does not exist; allowed are {', '.join(PROFILES)}")
    dice = random.Random(f"{seed} {profile}")
    knobs = Knobs(
        profile=profile,
        replicas=dice.choice((1, 2, 3, 3)),
        alerts=dice.choice((3, 6, 10)),
        minutes=dice.choice((8.0, 15.0, 25.0)),
        wait_minutes=dice.choice((1.0, 3.0, 5.0)),
        ack_timeout_minutes=dice.choice((0.0, 0.0, 4.0)),
        faults=_swarm(dice),
        loads=frozenset(load for load in _SWARM_LOADS if dice.random() < 0.5),
        partitions=random.Random(f"partitions {seed}").choice((1, 1, 2, 4)),
    )
    return PROFILES[profile](dice, knobs)


_SWARM_LOADS = tuple(
    load for load in Load if load not in {Load.POISON, Load.SLOW_INSTANCE, Load.SILENT_ENDS, Load.TICKETS}
)


def _swarm(dice: random.Random) -> dict[FaultKind, float]:
    return {kind: dice.choice(chances) for kind, (often, chances) in _USUAL.items() if dice.random() < often}
