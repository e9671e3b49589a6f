"""Escalation policies in a few lines that share no code with the engine: which step is told where, and when.

Times are minutes. It hears what happens, in order; `work` has workers look, which tell then what is due by then.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

NEVER = math.inf
WEEK = 7 * 24 * 60
HOURS = 60
"""A policy with hours is open for so many minutes, and then closed for as many."""


@dataclass(frozen=True)
class Stage:
    """A step: targets that are told together."""

    targets: tuple[str, ...]
    after: int = 0
    waits: bool = False  # also when nobody can be told


@dataclass(frozen=True)
class Plan:
    """A policy."""

    stages: tuple[Stage, ...]
    name: str = "plan"
    repeat: int = 0
    ack_timeout: int = 0
    has_hours: bool = False

    @property
    def count(self) -> int:
        return len(self.stages) * (1 + self.repeat)

    def delay(self, number: int) -> int:
        pause = max(self.stages[-1].after, 1) if number and number % len(self.stages) == 0 else 0
        return pause + self.stages[number % len(self.stages)].after

    def round_from(self, number: int, due: int) -> dict[str, int]:
        """Whom the round tells that begins with that step, and when, if that one is due then."""
        found: dict[str, int] = {}
        for at in range(number, number + len(self.stages)):
            due += self.delay(at) if at > number else 0
            for target in self.stages[at % len(self.stages)].targets:
                found.setdefault(target, due)
        return found

    def opening(self, now: int) -> int:
        return now if not self.has_hours or now // HOURS % 2 == 0 else (now // HOURS + 1) * HOURS


@dataclass
class Reference:
    """One incident."""

    current: Callable[[], Plan]  # what the configuration says of it by now
    keep_records: frozenset[str]  # the targets that are on-call providers
    down: set[str] = field(default_factory=set)  # who fails, and for good
    told: list[tuple[int, str, int]] = field(default_factory=list)  # when, whom, the number of the step
    status: str = "resolved"
    plan: Plan = Plan(())
    next: int = 0  # the number of the next step
    due: int = 0  # when it is
    opens: int = 0  # when the hours of the policy begin
    snoozed: int = 0  # until when
    acknowledged: int = 0  # when
    seen: int = 0  # when somebody was seen to be at it
    calls: dict[str, int] = field(default_factory=dict)  # whom a step of this wait has called, and its number
    unsent: dict[str, int] = field(default_factory=dict)  # those of them whom nobody has told yet
    reached: set[str] = field(default_factory=set)  # those whom somebody could tell
    known: set[str] = field(default_factory=set)  # whom any wait has called
    shown: set[str] = field(default_factory=set)  # those whom somebody could tell ever
    failed: set[str] = field(default_factory=set)  # those of whom this wait has as news that nobody could tell them
    is_touched: bool = False  # something has happened that workers have not looked at
    is_news: bool = False  # and it is more than that the same fires still
    looks: dict[str, int] = field(default_factory=dict)  # target -> when it is tried, though its step is gone

    @property
    def is_waiting(self) -> bool:
        return self.status == "triggered" and self.next < self.plan.count

    @property
    def is_lost(self) -> bool:
        """Whether the next step of the round need not wait, as nobody can be told by the latest."""
        at = self.next % len(self.plan.stages)
        stage = self.plan.stages[at - 1]
        return at > 0 and not stage.waits and not any(map(self._is_reached, stage.targets))

    def _is_reached(self, target: str) -> bool:
        is_first = self.calls.get(target) == 0 and target not in self.keep_records
        return target in (self.shown if is_first else self.reached)

    def update(self, now: int, *, is_graver: bool = False) -> None:
        """It fires: for the first time, still, again, or for something graver."""
        self.is_touched, self.is_news = True, self.is_news or is_graver
        self.snoozed = self.snoozed if self.snoozed > now else 0
        if self.status == "resolved" or (is_graver and (self.status == "acknowledged" or self.snoozed)):
            self._begin(now)
        elif is_graver:
            self._follow_if_sooner(now)

    def acknowledge(self, now: int) -> None:
        if self.status == "triggered":
            self.status, self.acknowledged, self.seen = "acknowledged", now, now
            self._touch()
        elif self.status == "acknowledged" and self.plan.ack_timeout:
            self.seen = max(self.seen, now)
            self._touch()

    def unacknowledge(self, now: int) -> None:
        if self.status == "acknowledged":
            self._begin(now)

    def resolve(self) -> None:
        if self.status != "resolved":
            self._touch()
        self.status = "resolved"

    def snooze(self, now: int, minutes: int) -> None:
        if self.is_waiting:
            left = max(0, self.due - max(now, self.snoozed, self.opens))
            self.snoozed = now + minutes
            self._touch()
            self.due = max(self.snoozed, self.opens) + left
        elif self.status == "acknowledged" and self.plan.ack_timeout:
            self.seen = max(self.seen, now, now + minutes - self.plan.ack_timeout)
            self._touch()

    def escalate(self, now: int) -> None:
        if self.status == "resolved" or self.plan.count <= 1:
            return
        if self.status == "acknowledged":
            self._go_on(now)
        elif not self.is_waiting:
            if self.reached & self._escalated:
                return
            if self._escalated:  # and all of that was given up
                self.next -= 1
            else:  # its round ended early, by a policy of now that is shorter
                self._begin(now)
        self.opens, self.snoozed = min(self.opens, now), 0
        self._touch()
        if self.next == 0:
            self._call(now)
        self._begin_round()
        if self.is_waiting:
            self._call(now)

    def work(self, now: int) -> None:
        """Workers do what time has brought by now."""
        ends = min(self.seen + self.plan.ack_timeout, self.acknowledged + WEEK)
        if self.status == "acknowledged" and self.plan.ack_timeout and ends <= now:
            self._begin(now)
        if self.snoozed and self.snoozed <= now:
            self.snoozed = 0
            self._touch()
        while self.is_touched or self._is_looked_at(now) or (self.is_waiting and self.due <= now):
            while self.is_waiting and self.due <= now:
                self._begin_round()
                if self.is_waiting:
                    self._call(self.due)
            self._sync(now)
            if self.is_waiting and self.is_lost and not self.snoozed:
                self.due = min(self.due, now)

    def _is_looked_at(self, now: int) -> bool:
        return any(due <= now for due in self.looks.values())

    def _begin(self, now: int) -> None:
        """Triggered, with the first round before it."""
        self.plan, self.status, self.next, self.snoozed = self.current(), "triggered", 0, 0
        self.calls, self.unsent, self.looks, self.reached, self.failed = {}, {}, {}, set(), set()
        self.opens = self.plan.opening(now)
        self._touch()
        self.due = self.opens + self.plan.delay(0)
        if self.due <= now:
            self._call(now)

    def _go_on(self, now: int) -> None:
        """Triggered again in the middle of its round; after its end, or by another policy, from the first step on."""
        plan, number, calls, unsent, reached = self.plan, self.next, self.calls, self.unsent, self.reached
        self._begin(now)
        if number < plan.count and number and (plan.name, plan.stages) == (self.plan.name, self.plan.stages):
            self.next, self.calls, self.unsent, self.reached = number, calls, unsent, reached

    def _begin_round(self) -> None:
        """A further round goes by the policy that there is by then."""
        rounds, begins = divmod(self.next, len(self.plan.stages))
        if rounds and not begins:
            before, self.plan = self.plan, self.current()
            if before.stages != self.plan.stages:
                self.looks = before.round_from(self.next, self.due)
            self.next = min(rounds * len(self.plan.stages), self.plan.count)

    def _call(self, due: int) -> None:
        targets = self.plan.stages[self.next % len(self.plan.stages)].targets
        self.calls |= dict.fromkeys(targets, self.next)
        self.unsent |= dict.fromkeys(targets, self.next)
        self.reached -= {*targets}
        self.known |= {*targets}
        self.next += 1
        self.due = due + self.plan.delay(self.next)

    def _sync(self, now: int) -> None:
        """What an on-call provider has failed at is tried again for news, and not for a step that tells others.

        Where nobody was reached and nothing is to come, also for what only fires still.
        """
        is_over = not self.is_waiting and not self.reached & self._escalated
        hear_all = self.is_news or (self.is_touched and is_over)
        hear = {*self.unsent, *(it for it, due in self.looks.items() if due <= now)}
        tried = {it for it in self.calls if hear_all or it in hear or it not in self.keep_records}
        failed = {it for it in tried & self.down if self.is_waiting or it not in self.keep_records}
        if failed - self.failed:
            tried = {*self.calls}
        if self.status == "triggered":
            self.told += [(now, target, number) for target, number in self.unsent.items()]
            self.unsent = {}
        self.shown |= self.known - self.down
        self.reached |= tried - self.down
        self.failed |= failed
        self.is_touched = self.is_news = False
        self.looks = {it: due for it, due in self.looks.items() if due > now}

    @property
    def _escalated(self) -> set[str]:
        """Those who were called in this wait because nobody had acknowledged."""
        return {it for it, number in self.calls.items() if number or it in self.keep_records}

    def _touch(self) -> None:
        self.is_touched = self.is_news = True

    def _follow_if_sooner(self, now: int) -> None:
        """The policy of what is graver tells somebody sooner who was not told, and no on-call provider later."""
        plan = self.current()
        opens = plan.opening(now)
        mine, theirs = self._untold(self.plan, self.next, self.due), self._untold(plan, 0, opens + plan.delay(0))
        if self.is_waiting:
            is_later = self._first_record(theirs) > self._first_record(mine)
            is_followed = not is_later and any(due < mine.get(target, NEVER) for target, due in theirs.items())
        else:
            is_followed = bool(theirs) and (plan.name != self.plan.name or self.plan.count <= 1)
        if is_followed:
            self._follow(plan, opens, now)

    def _untold(self, plan: Plan, number: int, due: int) -> dict[str, int]:
        """Whom the steps of *plan* from that on tell whom this wait has not called, and when."""
        found: dict[str, int] = {}
        while number < plan.count:
            for target in plan.stages[number % len(plan.stages)].targets:
                found.setdefault(target, due)
            number += 1
            due += plan.delay(number)
        return {target: at for target, at in found.items() if target not in self.calls}

    def _first_record(self, dues: dict[str, int]) -> float:
        return min((due for target, due in dues.items() if target in self.keep_records), default=NEVER)

    def _follow(self, plan: Plan, opens: int, now: int) -> None:
        """From its first step on, without telling anybody again."""
        calls, unsent, reached = dict(self.calls), dict(self.unsent), set(self.reached)
        self.plan, self.next, self.opens, self.due = plan, 0, opens, opens + plan.delay(0)
        if self.due <= now:
            self._call(now)
            self.unsent = {it: number for it, number in self.unsent.items() if it not in calls} | unsent
        self.calls |= calls
        self.reached |= reached
