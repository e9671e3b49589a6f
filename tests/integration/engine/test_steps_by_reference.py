"""Whatever a policy says, and whatever happens: the engine tells the steps that a reference model says, when it says.

Hypothesis makes up policies and histories; one worker or two do the work, with a real store, targets that only note
what they are told, and a clock that stands still between events.
"""

import asyncio
import math
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.clock import FakeClock
from tests.support.factories import make_alert, make_notification
from tests.support.redis_servers import SharedRedis
from tests.support.reference import HOURS, Plan, Reference, Stage
from tests.support.waiting import DEADLINE_S
from versus_py.engine.lifecycle import Decision, Lifecycle
from versus_py.engine.policies import Policies
from versus_py.engine.worker import Worker
from versus_py.errors import Permanent
from versus_py.incidents import transitions
from versus_py.incidents.copies import replace
from versus_py.incidents.model import Actor, Call, Delivery, Incident, Status
from versus_py.incidents.partitions import partition_of
from versus_py.incidents.policies import Policy
from versus_py.store import Store, keys
from versus_py.store.calls import RedisClient
from versus_py.store.connection import connect
from versus_py.systems import model

DAY_MS = 24 * 3600_000
MINUTE_MS = 60_000
SETTLED_MS = 5_000
"""After this time channels show that an escalation has begun."""

LONG = 500
"""After so many minutes nothing is to come."""

SEVERITIES = ("info", "warning", "critical")
CHANNELS = ("slack", "slack:leads")
PROVIDERS = ("servicenow", "servicenow:infra")
SERVICENOW = {"username": "versus", "password": "secret", "instance_url": "https://sn.example"}
SYSTEMS = {
    "alert": {"slack": {"enable": True, "token": "xoxb-1", "channel_id": "C0ALERTS", "channels": {"leads": "C0LEADS"}}},
    "oncall": {
        "enable": True,
        "servicenow": SERVICENOW | {"other_instance_urls": {"infra": "https://infra.sn.example"}},
    },
    "time_intervals": [
        {
            "name": "every other hour",
            "time_intervals": [
                {"times": [{"start_time": f"{hour:02}:00", "end_time": f"{hour + 1:02}:00"}]}
                for hour in range(0, 24, 2)
            ],
        }
    ],
}
ANA = Actor("ana")

Plans = dict[str, Plan]
"""A configuration: severity -> policy."""


@dataclass(frozen=True)
class Happening:
    """What happens, so many minutes after what happened before."""

    what: str
    after: int = 0
    target: str = ""
    minutes: int = 0
    plans: Plans = field(default_factory=dict)


stages = st.builds(
    Stage,
    targets=st.lists(st.sampled_from(CHANNELS + PROVIDERS), min_size=1, max_size=2, unique=True).map(tuple),
    after=st.sampled_from([0, 0, 1, 2, 5, 10, 15]),
    waits=st.booleans(),
)
plans = st.builds(
    Plan,
    stages=st.lists(stages, min_size=1, max_size=4).map(tuple),
    repeat=st.sampled_from([0, 0, 1, 2]),
    ack_timeout=st.sampled_from([0, 3, 30]),
    has_hours=st.booleans(),
)
configurations = st.tuples(plans, plans, plans).map(
    lambda made: {name: replace(plan, name=name) for name, plan in zip(SEVERITIES, made, strict=True)}
)


def written(configuration: Plans) -> dict[str, Any]:
    """As it is written in a configuration file."""
    return {"policies": [_policy(it) for it in configuration.values()]}


def _policy(plan: Plan) -> dict[str, Any]:
    steps = [
        {"after": f"{it.after}m", "notify": list(it.targets), "on_failure": "wait" if it.waits else "next"}
        for it in plan.stages
    ]
    policy = {"name": plan.name, "match": [f'severity="{plan.name}"'], "steps": steps, "repeat": plan.repeat}
    policy |= {"ack_timeout": f"{plan.ack_timeout}m"}
    return policy | {"in": ["every other hour"]} if plan.has_hours else policy


gaps = st.sampled_from([1, 1, 2, 3, 5, 8, 13, 40, 70])
happenings = st.one_of(
    st.builds(Happening, st.sampled_from(["update", "rise", "acknowledge", "unacknowledge"]), gaps),
    st.builds(Happening, st.sampled_from(["acknowledge", "escalate", "resolve", "stop", "go on"]), gaps),
    st.builds(Happening, st.sampled_from(["fail", "mend"]), gaps, target=st.sampled_from(CHANNELS + PROVIDERS)),
    st.builds(Happening, st.just("snooze"), gaps, minutes=st.sampled_from([1, 4, 15, 80])),
    st.builds(Happening, st.just("configure"), gaps, plans=configurations),
)


@dataclass
class Noting:
    """A target that notes when it is told of which step, and may fail for good."""

    name: str
    played: "Played"
    latest: Call | None = None

    def system(self, incident: Incident) -> str:
        return self.name

    async def sync(self, incident: Incident, *, attempt: int) -> Delivery:
        assert self.name in incident.told, "it was never called"
        call = incident.calls.get(self.name)
        if incident.status is Status.TRIGGERED and call is not None and call != self.latest:
            self.latest = call
            self.played.told.append((self.played.now, self.name, call.step))
        await asyncio.sleep(0)
        if self.name in self.played.reference.down:
            raise Permanent("gone")
        again_ms = None if incident.snooze is None else incident.snooze.until_ms
        return Delivery(reference={"id": "1"}, label=self.name, look_again_at_ms=again_ms)


class Played:
    """A history as the engine has it, beside the model of it."""

    def __init__(self, redis: RedisClient, configuration: Plans, start: int, down: set[str], workers: int) -> None:
        self.redis = redis
        self.configure(configuration)
        self.store = Store(redis, retention_ms=30 * DAY_MS, reopen_ms=30 * DAY_MS)
        minute = time.time_ns() // 1_000_000 // MINUTE_MS // (2 * HOURS) * (2 * HOURS)
        self.zero_ms = minute * MINUTE_MS
        self.clock = FakeClock(self.zero_ms + start * MINUTE_MS)
        self.severity = 0
        self.reference = Reference(self.plan, frozenset(PROVIDERS), set(down))
        self.told: list[tuple[int, str, int]] = []
        self.targets = {name: Noting(name, self) for name in CHANNELS + PROVIDERS}
        self.lifecycle = self._lifecycle()
        self.workers = [
            Worker(self.store, self._lifecycle(), self.clock, targets=self.targets, called=str, settles_within_s=30)
            for _ in range(workers)
        ]
        self.is_at_work = True

    def _lifecycle(self) -> Lifecycle:
        return Lifecycle(self.store, self.clock, policy_of=self._policy_of)

    def _policy_of(self, incident: Incident, now_ms: int) -> Policy:
        return self.policies.of_known(incident, now_ms)

    @property
    def now(self) -> int:
        return (self.clock.now_ms() - self.zero_ms) // MINUTE_MS

    def plan(self) -> Plan:
        return self.configuration[SEVERITIES[self.severity]]

    def configure(self, configuration: Plans) -> None:
        self.configuration = configuration
        self.policies = Policies(model().model_validate(SYSTEMS | written(configuration)))

    async def play(self, history: list[Happening]) -> None:
        await self.happen(Happening("update"))
        for it in history:
            await self.pass_time(it.after)
            await self.happen(it)
        await self.happen(Happening("go on"))
        await self.pass_time(LONG)

    async def pass_time(self, minutes: int) -> None:
        for now in range(self.now + 1, self.now + 1 + minutes) if self.is_at_work else ():
            self.reference.work(now)
        await self._work(self.clock.now_ms() + minutes * MINUTE_MS)
        # What follows from a failure comes a second later, and the model has only minutes.
        while self.is_at_work and await self._due_ms() <= self.clock.now_ms() + SETTLED_MS:
            await self._work(self.clock.now_ms() + 1000)

    async def happen(self, it: Happening) -> None:
        await self._happens(it)
        if self.is_at_work:
            self.reference.work(self.now)
        await self._work(self.clock.now_ms())

    async def _happens(self, it: Happening) -> None:
        match it.what:
            case "update" | "rise" | "resolve":
                await self._is_sent(it.what)
            case "acknowledge" | "unacknowledge" | "escalate" | "snooze":
                await self._is_done(it)
            case "fail":
                self.reference.down.add(it.target)
            case "mend":
                self.reference.down.discard(it.target)
            case "configure":
                self.configure(it.plans)
            case "stop":
                await self._work(self.clock.now_ms() + SETTLED_MS)
                self.is_at_work = False
            case "go on":
                self.is_at_work = True

    async def _is_sent(self, what: str) -> None:
        is_graver = what == "rise" and self.severity < len(SEVERITIES) - 1
        self.severity += is_graver
        await self._send(firing=what != "resolve")
        if what == "resolve":
            self.reference.resolve()
        else:
            self.reference.update(self.now, is_graver=is_graver)

    async def _is_done(self, it: Happening) -> None:
        """By a person."""
        until_ms = self.clock.now_ms() + it.minutes * MINUTE_MS
        policy_of, now = self._policy_of, self.now
        match it.what:
            case "acknowledge":
                await self._act(lambda incident, now_ms: transitions.acknowledge(incident, ANA, now_ms))
                self.reference.acknowledge(now)
            case "unacknowledge":
                await self._act(lambda incident, now_ms: transitions.unacknowledge(incident, ANA, now_ms, policy_of))
                self.reference.unacknowledge(now)
            case "escalate":
                await self._act(lambda incident, now_ms: transitions.escalate(incident, ANA, now_ms, policy_of))
                self.reference.escalate(now)
            case "snooze":
                await self._act(lambda incident, now_ms: transitions.snooze(incident, until_ms, ANA, now_ms))
                self.reference.snooze(now, it.minutes)

    async def _send(self, *, firing: bool = True) -> None:
        alert = replace(
            make_alert(firing=firing, starts_at_ms=self.zero_ms), ends_at_ms=None if firing else self.clock.now_ms()
        )
        alert = replace(alert, labels={"severity": SEVERITIES[self.severity]})
        sent = make_notification(alert, severity=SEVERITIES[self.severity])
        [accepted] = await self.lifecycle.accept([sent], self.policies.of)
        assert accepted.incident is not None
        self.incident_id = accepted.incident.id

    async def _act(self, decide: Decision) -> None:
        await self.lifecycle.act(self.incident_id, decide)

    async def _work(self, until_ms: int) -> None:
        """What is due by then, each at its time; nothing when no worker is there."""
        while self.is_at_work and (due_ms := await self._due_ms()) <= until_ms:
            self.clock.advance(ms=max(0, round(due_ms) - self.clock.now_ms()))
            async with asyncio.timeout(DEADLINE_S):
                await asyncio.gather(*(it.run_due() for it in self.workers))
        self.clock.advance(ms=max(0, until_ms - self.clock.now_ms()))

    async def _due_ms(self) -> float:
        timers = keys.in_partition(partition_of("group"), "timers")
        first: Any = await self.redis.zrange(timers, 0, 0, withscores=True)
        return min((float(score) for _, score in first), default=math.inf)


def latest(told: list[tuple[int, str, int]]) -> dict[tuple[int, str], int]:
    """Of several steps that call one target at the same instant, it may hear of the last one only."""
    return dict(sorted(((now, target), number) for now, target, number in told))


def check(server: SharedRedis, configuration: Plans, history: list[Happening], **start: Any) -> Played:
    async def checked() -> Played:
        server.empty()
        async with connect(server.config) as redis:
            played = Played(redis, configuration, **start)
            await played.play(history)
            assert latest(played.told) == latest(played.reference.told)
            return played

    random.seed(0)
    with structlog.testing.capture_logs():  # targets fail all the time
        return asyncio.run(checked())


def told(server: SharedRedis, *history: Happening, of: Sequence[Plan], down: str = "") -> list[tuple[int, str, int]]:
    """In which minute who is told which step: of the only plan, or of that for each severity."""
    return check(server, configured(*of), list(history), start=0, down={down}, workers=1).told


def configured(*plans: Plan) -> Plans:
    return {name: replace(plans[at % len(plans)], name=name) for at, name in enumerate(SEVERITIES)}


def test_a_target_that_fails_is_told_its_own_next_step_at_once(running_valkey):
    plan = Plan((Stage(("slack",)), Stage(("slack",), 10), Stage(("servicenow",), 10)))

    assert told(running_valkey, of=[plan], down="slack") == [(0, "slack", 0), (0, "slack", 1), (0, "servicenow", 2)]


def test_a_step_after_one_that_came_sooner_keeps_its_distance_also_where_it_tells_whom_failed(running_valkey):
    plan = Plan((Stage(("slack",)), Stage(("servicenow",), 10), Stage(("slack:leads",), 10), Stage(("servicenow",), 5)))

    assert told(running_valkey, of=[plan], down="servicenow") == [
        (0, "slack", 0),
        (10, "servicenow", 1),
        (10, "slack:leads", 2),
        (15, "servicenow", 3),
    ]


def test_who_escalates_after_a_policy_without_a_further_round_has_its_first_step_told(running_valkey):
    before = Plan((Stage(("slack",)),), repeat=1)
    now = Plan((Stage(("slack", "slack:leads")), Stage(("slack",))))
    changed = Happening("configure", 0, plans=configured(now))

    assert told(running_valkey, changed, Happening("escalate", 5), of=[before]) == [
        (0, "slack", 0),
        (5, "slack", 1),
        (5, "slack:leads", 0),
    ]


def test_a_round_goes_by_the_policy_that_it_began_with_and_a_further_round_by_that_of_now(running_valkey):
    plan = Plan((Stage(("slack",)), Stage(("slack:leads",), 10)), repeat=1)
    later = replace(plan, stages=(Stage(("slack",)), Stage(("servicenow",), 3)))

    assert told(running_valkey, Happening("configure", 5, plans=configured(later)), of=[plan]) == [
        (0, "slack", 0),
        (10, "slack:leads", 1),
        (20, "slack", 2),
        (23, "servicenow", 3),
    ]


@pytest.mark.parametrize(
    ("target", "after", "expected"),
    [
        pytest.param("slack:leads", 5, (6, "slack:leads", 1), id="that of the severity that it has risen to"),
        pytest.param("servicenow", 30, (31, "servicenow", 1), id="that one, as it tells somebody more"),
        pytest.param("slack:leads", 30, (20, "slack:leads", 1), id="that which it had"),
    ],
)
def test_when_the_severity_rises_the_policy_that_tells_somebody_sooner_counts(running_valkey, target, after, expected):
    before = Plan((Stage(("slack",)), Stage(("slack:leads",), 20)))
    graver = Plan((Stage(("slack",)), Stage((target,), after)))

    assert told(running_valkey, Happening("rise", 1), of=[before, graver]) == [(0, "slack", 0), expected]


def test_when_the_severity_rises_before_the_hours_begin_others_are_told_at_the_same_time(running_valkey):
    before = Plan((Stage(("slack",)), Stage(("servicenow",), 10)), has_hours=True)
    graver = Plan((Stage(("slack:leads", "servicenow:infra")),), has_hours=True)

    played = check(running_valkey, configured(before, graver), [Happening("rise", 1)], start=80, down=set(), workers=1)

    assert played.told == [(120, "servicenow:infra", 0), (120, "slack:leads", 0)]


def test_a_snooze_that_is_over_hides_nothing_though_no_channel_had_to_show_it(running_valkey):
    before = Plan((Stage(("slack",), 2), Stage(("servicenow",))))
    graver = Plan((Stage(("slack",)),))
    history = Happening("snooze", 1, minutes=1), Happening("rise", 1)

    found = told(running_valkey, *history, of=[before, graver])

    assert sorted(found) == [(3, "servicenow", 1), (3, "slack", 0)]


def test_what_is_given_up_while_snoozed_has_the_next_step_come_when_the_snooze_is_over(running_valkey):
    plan = Plan((Stage(("slack",)), Stage(("servicenow",), 15)))
    unseen = Happening("acknowledge", 1), Happening("stop"), Happening("unacknowledge", 1)
    history = *unseen, Happening("snooze", 1, minutes=4), Happening("go on", 1)

    assert told(running_valkey, *history, of=[plan], down="slack") == [
        (0, "slack", 0),
        (0, "servicenow", 1),
        (4, "slack", 0),
        (7, "servicenow", 1),
    ]


@pytest.mark.parametrize(
    ("first", "again"),
    [
        pytest.param("slack:leads", [(4, "slack:leads", 2)], id="no news for the provider, so all was given up"),
        pytest.param("slack", [], id="the provider is tried again as it hears of another failure"),
    ],
)
def test_who_escalates_has_the_last_step_told_again_where_all_was_given_up(running_valkey, first, again):
    plan = Plan((Stage((first,), 2), Stage(("servicenow",), waits=True), Stage(("slack:leads",), 1)))
    history = Happening("fail", 1, "slack:leads"), Happening("mend", 1, "servicenow"), Happening("escalate", 2)

    assert sorted(told(running_valkey, *history, of=[plan], down="servicenow")) == [
        (2, "servicenow", 1),
        (2, first, 0),
        (3, "slack:leads", 2),
        *again,
    ]


def test_a_further_acknowledgment_restarts_the_ack_timeout_of_its_policy(running_valkey):
    plan = Plan((Stage(("slack",)), Stage(("servicenow",), 10)), ack_timeout=30)
    twice = Happening("acknowledge", 5), Happening("acknowledge", 20)

    assert told(running_valkey, *twice, of=[plan]) == [(0, "slack", 0), (55, "slack", 0), (65, "servicenow", 1)]


histories = given(
    configuration=configurations,
    start=st.sampled_from([0, 0, 0, 58, 80]),
    down=st.sets(st.sampled_from(CHANNELS + PROVIDERS), max_size=3),
    workers=st.sampled_from([1, 2]),
    history=st.lists(happenings, max_size=12),
)
with_examples = partial(settings, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)


@with_examples(max_examples=25, derandomize=True)
@histories
def test_the_engine_tells_the_steps_that_a_reference_model_says_at_the_same_instants(running_valkey, **played):
    check(running_valkey, **played)


@pytest.mark.long
@pytest.mark.timeout(600)
@with_examples(max_examples=3000)
@histories
def test_the_engine_agrees_with_the_reference_model_in_thousands_of_histories(running_valkey, **played):
    check(running_valkey, **played)


def test_a_provider_that_was_given_up_is_not_tried_again_because_the_same_fires_still(running_valkey):
    """Nobody was reached by then: a person who escalates has the last step notify once more."""
    before = Plan((Stage(("slack",), 2, waits=True), Stage(("servicenow",), 2)), repeat=1)
    after = Plan((Stage(("slack",)),), repeat=1)
    history = [
        Happening("mend", 6, "servicenow"),
        Happening("configure", 1, plans=configured(after)),
        Happening("update", 0),
        Happening("escalate", 2),
    ]

    found = check(running_valkey, configured(before), history, start=0, down={"slack", "servicenow"}, workers=1).told

    assert found == [(2, "slack", 0), (4, "servicenow", 1), (8, "slack", 1), (9, "slack", 1)]


def test_a_provider_that_was_given_up_is_tried_again_when_a_round_would_begin_that_the_policy_of_now_has_not(
    running_valkey,
):
    """It is reached by that, and a person who escalates afterwards notifies nobody else."""
    before = Plan((Stage(("slack",)), Stage(("servicenow",)), Stage(("slack",), 2)), repeat=2)
    after = Plan((Stage(("slack",)),), repeat=1)
    history = [
        Happening("mend", 2, "servicenow"),
        Happening("configure", 1, plans=configured(after)),
        Happening("escalate", 1),
    ]

    found = check(running_valkey, configured(before), history, start=0, down={"slack", "servicenow"}, workers=1).told

    assert max(found)[0] == 2
