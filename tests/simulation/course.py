"""What the answers promise about one incident: how it may stand, and which waits it has had.

Worked out from what people did and were answered, with intervals: a deed had its effect between the moment that it
was sent and the moment that its last attempt was surely over. It uses no code of the engine. What cannot be said for
sure is in doubt, with the reason.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tests.simulation.group import Alert, Group
from tests.simulation.history import Act, Did
from tests.simulation.waits import Rules, Wait

TRIGGERED, ACKNOWLEDGED, RESOLVED = "triggered", "acknowledged", "resolved"


@dataclass(slots=True)
class Course:
    """One incident, from its first alert on. `problems` are answers that were wrong by themselves."""

    rules: Rules
    id: str = ""
    statuses: frozenset[str] = frozenset()
    waits: list[Wait] = field(default_factory=list)
    acts: list[Act] = field(default_factory=list)
    doubt: str = ""
    problems: list[tuple[str, str]] = field(default_factory=list)
    given_back: int = 0  # at most
    reopened: int = 0  # at most
    retriggered: int = 0  # at most
    escalated_by_hand: int = 0  # at most
    is_over_at_alertmanager: bool = False
    closings: int = 0  # people resolved or closed its record
    comments: int = 0  # people commented on its record
    snoozed_until_ms: float | None = None
    ack_ends_ms: tuple[float, float] | None = None
    _group: Group = field(default_factory=Group)

    def put_in_doubt(self, why: str) -> None:
        """The first reason stays."""
        self.doubt = self.doubt or why

    @property
    def status(self) -> str:
        """The likeliest one, to decide what to do next."""
        return next((it for it in (TRIGGERED, ACKNOWLEDGED, RESOLVED) if it in self.statuses), "")

    @property
    def wait(self) -> Wait | None:
        """The one that goes on, or has ended without anybody; None after an acknowledgment or a resolve."""
        return self.waits[-1] if self.waits and self.waits[-1].end_lo_ms is None else None

    def take(self, act: Act) -> None:
        """What *act* changes. Acts come in the order in which they had their effects."""
        self.acts.append(act)
        if self.ack_ends_ms is not None and act.over_ms + self.rules.slack_ms >= self.ack_ends_ms[0]:
            self._let_acknowledgment_end(self.ack_ends_ms[0], act.over_ms)
        self._note_asked(act.over_ms)
        if act.is_unknown:
            self.put_in_doubt(f"nobody knows whether {act.did} was done")
            return
        match act.did:
            case Did.LIST:
                self._list(act)
            case Did.ACKNOWLEDGE:
                self._acknowledge(act)
            case Did.GIVE_BACK:
                self._give_back(act)
            case Did.RESOLVE:
                self._resolve(act)
            case Did.SNOOZE:
                self._snooze(act)
            case Did.ESCALATE:
                self._escalate(act)

    def fire_at_alertmanager(self, now_ms: float) -> None:
        """Its Alertmanager knows that it fires, from now on."""
        self._note_asked(now_ms)
        self.is_over_at_alertmanager = False

    def _note_asked(self, now_ms: float) -> None:
        if self.is_over_at_alertmanager and self._may_have_escalated(now_ms):
            self.put_in_doubt("its Alertmanager was asked, and may have said that it is over")

    def take_together(self, acts: Sequence[Act]) -> None:
        """Acts that were sent at once. Where their order decides how it stands, that is in doubt."""
        order = (Did.LIST, Did.ESCALATE, Did.SNOOZE, Did.GIVE_BACK, Did.ACKNOWLEDGE, Did.RESOLVE)
        sorted_acts = sorted(acts, key=lambda act: order.index(act.did))
        kinds = {act.did for act in acts}
        if not any(kinds <= pair for pair in _IN_ANY_ORDER):
            self.put_in_doubt(f"{' and '.join(sorted(kinds))} at once")
        sent_ms = min(act.sent_ms for act in acts)
        over_ms = max(act.over_ms for act in acts)
        before = self.statuses
        for act in sorted_acts:
            self.take(_as_one_of(act, sent_ms, over_ms))
        self._judge_statuses(acts, before)

    def finish(self, at_ms: float) -> None:
        """All has settled by *at_ms*: what ends by itself has ended, if it surely has."""
        is_over = True
        if self.ack_ends_ms is not None and self.ack_ends_ms[0] < at_ms and self._group.firing:
            is_over = self.ack_ends_ms[1] + self.rules.slack_ms < at_ms
            self._let_acknowledgment_end(self.ack_ends_ms[0], at_ms)
        is_open = not self.closings  # a closed record keeps acknowledgments
        if is_over and is_open and self.statuses == {ACKNOWLEDGED, TRIGGERED}:
            self.statuses = frozenset({TRIGGERED})
            self.waits[-1].is_sure = True

    def touch_record(self, at_ms: float, *, closes: bool) -> None:
        """Somebody works on the record: an acknowledgment lasts longer, if the service sees that in time."""
        if closes:
            self.closings += 1
            self._doubt_closed_record()
        else:
            self.comments += 1
        if self.ack_ends_ms is not None:
            lo, hi = self.ack_ends_ms
            self.ack_ends_ms = lo, max(hi, at_ms + self.rules.ack_timeout_ms)

    def _within(self, told_ms: float | None, lo_ms: float, hi_ms: float, what: str) -> bool:
        """Whether a moment of an answer is where it has to be; noted when it is not."""
        if told_ms is None or not self.rules.has_sure_clock or self.doubt:
            return False
        at_ms, slack_ms = told_ms - self.rules.lead_ms, self.rules.slack_ms
        if self.rules.may_end_at_once and at_ms < lo_ms:
            return False
        is_right = lo_ms - slack_ms <= at_ms <= hi_ms + slack_ms
        if not is_right:
            off_ms = at_ms - hi_ms if at_ms > hi_ms else at_ms - lo_ms
            self.problems.append((what, f"{self.id} told {at_ms:.0f}, {off_ms:+.0f} ms off"))
        return is_right

    def _judge_statuses(self, acts: Iterable[Act], before: frozenset[str]) -> None:
        allowed = before | self.statuses | {ACKNOWLEDGED, RESOLVED}
        for act in acts:
            told = act.said.get("status")
            if told and not self.doubt and told not in allowed:
                self.problems.append(("status answered", f"{self.id} {act.did}: {told}, not {sorted(allowed)}"))

    def _judge_status(self, act: Act) -> None:
        told = act.said.get("status")
        if told and not self.doubt and told not in self.statuses:
            wanted = " or ".join(sorted(self.statuses))
            self.problems.append(("status answered", f"{self.id} {act.did}: {told}, not {wanted}"))

    def _let_acknowledgment_end(self, lo_ms: float, hi_ms: float) -> None:
        """It may have ended in between; when the service noticed that, nobody knows."""
        self.ack_ends_ms = None
        self.retriggered += 1
        if self.statuses == {ACKNOWLEDGED}:
            self.statuses = frozenset({ACKNOWLEDGED, TRIGGERED})
            self._begin_wait(lo_ms, hi_ms, is_sure=False)

    def _learn(self, act: Act) -> None:
        """The answer says whether the acknowledgment had ended."""
        told = act.said.get("status")
        if act.attempts > 1 or self.statuses != {ACKNOWLEDGED, TRIGGERED} or told not in self.statuses:
            return
        self.statuses = frozenset({told})
        if told == TRIGGERED:
            self.waits[-1].is_sure = True
        elif not self.waits[-1].is_sure:
            lo_ms = self.waits.pop().begin_lo_ms
            self.ack_ends_ms = lo_ms, act.over_ms

    def _begin_wait(self, lo_ms: float, hi_ms: float, *, is_sure: bool = True) -> None:
        wait_ms, opens_ms = self.rules.wait_ms, self.rules.opens_ms
        due_lo_ms, due_hi_ms = max(lo_ms, opens_ms) + wait_ms, max(hi_ms, opens_ms) + wait_ms
        self.waits.append(Wait(lo_ms, hi_ms, due_lo_ms, due_hi_ms, is_sure=is_sure))

    def _may_be_held(self, act: Act) -> bool:
        """It may have come before the hours of its policy."""
        return act.sent_ms - self.rules.slack_ms < self.rules.opens_ms

    @property
    def may_be_untold(self) -> bool:
        """Each of its waits may have been ended before the hours of its policy began."""
        latest_ms = self.rules.opens_ms + self.rules.slack_ms
        return all(it.end_lo_ms is not None and it.end_lo_ms < latest_ms for it in self.waits)

    @property
    def is_untold(self) -> bool:
        """The same for sure."""
        earliest_ms = self.rules.opens_ms - self.rules.slack_ms
        return all(it.end_hi_ms is not None and it.end_hi_ms < earliest_ms for it in self.waits)

    def _may_have_escalated(self, now_ms: float) -> bool:
        """Whether the wait before may have ended by then: by its time, or at once because nobody could be told."""
        wait = self.waits[-1] if self.waits else None
        if wait is None:
            return False
        return self.rules.may_end_at_once or not now_ms + self.rules.slack_ms < wait.due_lo_ms

    def _may_be_escalating(self, act: Act) -> bool:
        """Nobody has acknowledged, and the wait may be over."""
        return TRIGGERED in self.statuses and self._may_have_escalated(act.over_ms)

    def _may_have_record(self, act: Act) -> bool:
        """By the time of *act*, of any wait before."""
        return act.over_ms + self.rules.slack_ms >= self.first_due_ms(self.rules.record_after_ms)

    def _refused(self, what: str, act: Act) -> None:
        if not self.doubt:
            self.problems.append((what, f"{self.id} {act.status} {dict(act.said)}"))

    # Lists

    def _list(self, act: Act) -> None:
        if not act.is_taken:
            self.problems.append(("list refused", f"{act.status} {dict(act.said)}"))
            return
        if self.statuses and act.attempts == 1 and act.said.get("outcome") == "created" and not self.doubt:
            self.problems.append(("created another time", f"{self.id} {act}"))
        before = self._group.firing
        self._group.note(act.alerts)
        if not self.statuses:
            self._begin(act)
        elif RESOLVED in self.statuses and any(not it.is_over for it in act.alerts):
            self._reopen(act)
        elif not self._group.firing:
            self._resolve(act)
            return
        else:
            self._learn(act)
            self._notice_news(act, before)
        self._judge_status(act)

    def _begin(self, act: Act) -> None:
        self.id = str(act.said.get("id") or "")
        self.statuses = frozenset({TRIGGERED})
        self._begin_wait(act.sent_ms, act.over_ms if act.attempts > 1 else act.answered_ms)
        self._tell_due(act)

    def _tell_due(self, act: Act) -> None:
        """The answer says when it escalates, which is known better than from outside then."""
        wait, told_ms = self.waits[-1], act.told_ms("escalates_at")
        if told_ms is None:
            may_be_due = act.over_ms + self.rules.slack_ms >= wait.due_lo_ms
            if act.said and not may_be_due and not self.doubt and not self.rules.may_end_at_once:
                self.problems.append(("does not wait", f"{self.id} {act}"))
            return
        if self._may_be_held(act):  # then it tells when the hours begin: the first step is to come
            self._within(told_ms, self.rules.opens_ms, wait.due_hi_ms, "another end of the hold")
            return
        if self._within(told_ms, wait.due_lo_ms, wait.due_hi_ms, "another end of the wait"):
            wait.due_lo_ms = wait.due_hi_ms = told_ms - self.rules.lead_ms

    def _reopen(self, act: Act) -> None:
        if len(self.statuses) > 1:
            self.put_in_doubt("fired when it may have been resolved")
        self.reopened += 1
        self._begin_anew(act)

    def _begin_anew(self, act: Act) -> None:
        """A wait begins with this act, and all that people knew is old."""
        self._forget_seen()
        self.ack_ends_ms = None
        self.statuses = frozenset({TRIGGERED})
        self._begin_wait(act.sent_ms, act.over_ms)
        self._tell_due(act)

    def _notice_news(self, act: Act, before: set[Alert]) -> None:
        """A wait begins when nothing that fires was known at the acknowledgment, or something graver has joined."""
        group, firing = self._group, self._group.firing
        self._doubt_closed_record()
        if self.statuses == {ACKNOWLEDGED}:
            if group.has_news:
                self.retriggered += 1
                self._begin_anew(act)
            return
        if self.snoozed_until_ms is not None and group.has_news:
            self._end_snooze(act)
            return
        if self.rules.has_steps and self._may_have_escalated(act.over_ms) and firing - before:
            self.put_in_doubt("news when another step was to come, or none")
            return
        if self._may_have_escalated(act.over_ms):  # people know of what fired then, and of nothing else
            group.late |= firing - before
        if firing <= group.late or (ACKNOWLEDGED in self.statuses and firing - before):
            self._ask_answer(act)

    def _doubt_closed_record(self) -> None:
        """What fires and joined after people had dealt with it is news when the service sees that they closed it."""
        group = self._group
        unseen = group.late if self.statuses == {TRIGGERED} else group.firing - group.seen
        if (self.closings or self.reopened) and unseen & group.firing:
            self.put_in_doubt("something fires that joined, and its record was closed, or resolved in an earlier wait")

    def _end_snooze(self, act: Act) -> None:
        """News ends a snooze, and a whole wait begins; after the snooze's end it is none."""
        assert self.snoozed_until_ms is not None
        if act.over_ms + self.rules.slack_ms >= self.snoozed_until_ms:
            if self.rules.has_steps and self._may_have_escalated(
                act.over_ms
            ):  # the answer tells when the next one is due
                self.put_in_doubt("news after a snooze when another step was to come, or none")
            else:
                self._ask_answer(act)
            return
        self._end_waits(act)
        self.retriggered += 1
        self._begin_anew(act)

    def _ask_answer(self, act: Act) -> None:
        """Whether a wait began, where it depends on what was first: by when it escalates then.

        The outcome that is answered does not tell: a replica that lost Redis' answer finds its own change done before.
        """
        if act.attempts > 1 or len(self.statuses) > 1 or "status" not in act.said or not self.rules.has_sure_clock:
            self.put_in_doubt("news when it may have been dealt with")
            return
        told_ms = act.told_ms("escalates_at")
        earliest_ms = act.sent_ms + self.rules.wait_ms - self.rules.slack_ms
        if told_ms is not None and told_ms - self.rules.lead_ms >= earliest_ms:
            self.retriggered += 1
            self._begin_anew(act)

    def _forget_seen(self) -> None:
        self._group.forget()
        self.snoozed_until_ms = None

    # People

    def _acknowledge(self, act: Act) -> None:
        if not act.is_taken:
            self._refused("acknowledgment refused", act)
            return
        if self.statuses == {RESOLVED}:
            self._judge_status(act)
            return
        if RESOLVED in self.statuses:
            self.put_in_doubt("acknowledged when it may have been resolved")
        self._end_waits(act)
        if TRIGGERED in self.statuses:
            self._group.see()
        self.statuses = frozenset({ACKNOWLEDGED})
        self._last(act)
        self._judge_status(act)

    def _last(self, act: Act) -> None:
        """Until when an acknowledgment lasts; at least as long as one before it said."""
        lasts_ms = self.rules.ack_timeout_ms
        if not lasts_ms:
            return
        lo, hi = act.sent_ms + lasts_ms, act.over_ms + lasts_ms
        if self.ack_ends_ms is not None:
            lo, hi = max(lo, self.ack_ends_ms[0]), max(hi, self.ack_ends_ms[1])
        self._within(act.told_ms("acknowledged_until"), lo, hi, "another end of the acknowledgment")
        self.ack_ends_ms = lo, hi

    def _end_waits(self, act: Act) -> None:
        self.snoozed_until_ms = None
        for wait in self.waits:
            wait.end(act)

    def _give_back(self, act: Act) -> None:
        if not act.is_taken or self.statuses in ({RESOLVED}, {TRIGGERED}):
            return
        if RESOLVED in self.statuses:
            self.put_in_doubt("given back when it may have been resolved")
        self.given_back += 1
        self.ack_ends_ms = None
        lo = act.sent_ms
        if self.statuses == {ACKNOWLEDGED}:
            self._begin_wait(lo, act.over_ms)
            self._tell_due(act)
        else:  # the acknowledgment may have ended by itself before
            earliest = self.waits.pop()
            self._begin_wait(min(earliest.begin_lo_ms, lo), act.over_ms)
        self._forget_seen()
        self.statuses = frozenset({TRIGGERED})
        self._judge_status(act)

    def _resolve(self, act: Act) -> None:
        if not act.is_taken:
            self._refused("resolve refused", act)
            return
        self._end_waits(act)
        self.ack_ends_ms = None
        self.statuses = frozenset({RESOLVED})
        self._judge_status(act)

    def _snooze(self, act: Act) -> None:
        if not act.is_taken or RESOLVED in self.statuses:
            return
        if self.statuses == {ACKNOWLEDGED}:
            if self.ack_ends_ms is not None:
                at_lo, at_hi = act.sent_ms + act.minutes * 60_000, act.over_ms + act.minutes * 60_000
                self.ack_ends_ms = max(self.ack_ends_ms[0], at_lo), max(self.ack_ends_ms[1], at_hi)
        elif self.wait is None or len(self.statuses) > 1:
            self.put_in_doubt("snoozed when it may have been acknowledged")
        elif self.rules.has_steps and (self._may_have_escalated(act.over_ms) or self._may_be_held(act)):
            self.put_in_doubt("snoozed when its hours had not begun, or another step was to come")
        else:
            self._snooze_wait(act, self.wait)

    def _snooze_wait(self, act: Act, wait: Wait) -> None:
        """What is left of the wait goes on afterwards, unless it was over before."""
        ms = act.minutes * 60_000
        lo, hi = act.sent_ms + ms, wait.due_hi_ms + ms + (act.over_ms - wait.begin_lo_ms)
        may_be_over, told_ms = self._may_have_escalated(act.over_ms), act.told_ms("escalates_at")
        if may_be_over and act.said and act.attempts == 1 and told_ms is None:
            return
        self.snoozed_until_ms = act.sent_ms if may_be_over and told_ms is None else lo
        self._group.see()
        if self._within(told_ms, lo, hi, "another end of the snoozed wait") and act.attempts == 1:
            assert told_ms is not None
            wait.due_lo_ms = wait.due_hi_ms = told_ms - self.rules.lead_ms
        else:
            wait.due_lo_ms, wait.due_hi_ms = min(lo, wait.due_lo_ms) if may_be_over else lo, hi

    def _escalate(self, act: Act) -> None:
        if not act.is_taken and (act.attempts > 1 or not self._may_have_record(act)):
            self.put_in_doubt("escalated by hand, perhaps by an attempt that nobody answered")
        if not act.is_taken or RESOLVED in self.statuses:
            return
        if self._may_be_held(act):
            self.put_in_doubt("escalated by hand before its hours")
        if act.status == 200 and act.attempts == 1:
            if self._may_be_escalating(act):  # it said that it changed nothing
                return
            if act.said.get("escalates_at"):  # else a replica that lost Redis' answer found its own change done before
                self._refused("escalation refused", act)
                return
        self.escalated_by_hand += 1
        wait = self.wait
        if act.attempts > 1 or len(self.statuses) > 1 or self._may_have_escalated(act.over_ms):
            self.put_in_doubt("escalated by hand when it may have been dealt with")
        elif wait is None:
            self.waits.append(Wait(act.sent_ms, act.over_ms, act.sent_ms, act.over_ms))
        else:
            wait.due_lo_ms, wait.due_hi_ms = act.sent_ms, act.over_ms
        self.ack_ends_ms = self.snoozed_until_ms = None
        self._group.see()
        self.statuses = frozenset({TRIGGERED})

    def first_due_ms(self, after_ms: float = 0.0) -> float:
        """Before which nobody is told by a step that comes so long after the waits that were not ended in time."""
        slack_ms = self.rules.slack_ms
        waits = [it for it in self.waits if not it.was_ended_in_time(slack_ms, after_ms)]
        return min((it.due_lo_ms + after_ms for it in waits), default=math.inf)

    def __str__(self) -> str:
        lines = [f"{self.id} {'/'.join(sorted(self.statuses))} {self.doubt}".rstrip()]
        return "; ".join([*lines, *map(str, self.waits), *map(str, self.acts)])


_IN_ANY_ORDER: tuple[frozenset[Did], ...] = (
    frozenset({Did.LIST}),
    frozenset({Did.ACKNOWLEDGE, Did.SNOOZE}),
    frozenset({Did.ACKNOWLEDGE, Did.RESOLVE}),
    frozenset({Did.GIVE_BACK}),
)
"""Deeds that lead to the same, whichever is first."""


def _as_one_of(act: Act, sent_ms: float, over_ms: float) -> Act:
    """What the answer says depends on the order."""
    return Act(
        act.did,
        sent_ms,
        act.answered_ms,
        over_ms,
        act.status,
        {},
        act.alerts,
        act.minutes,
        attempts=max(2, act.attempts),
    )
