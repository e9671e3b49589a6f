"""What the answers about one alert have promised: when a wait ends, whether it escalates, how it stands in the end.

An attempt without an answer may have happened, and one that its sender gave up waiting for may happen at any later
time. What depends on that is promised by nobody.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.faults.journal import Answer, Did, Event
from tests.faults.policies import Kind

NEVER_MS = 1 << 62

BEGINNINGS = (Did.GIVE_BACK, Did.JOIN)
"""What begins a wait behind an acknowledgment."""

ENDS = (Did.ACKNOWLEDGE, Did.RESOLVE)
"""What ends a wait."""


@dataclass(frozen=True, slots=True)
class Promise:
    """An answer that says when a wait ends, and between when that has to be."""

    event: Event
    earliest_ms: int
    latest_ms: int
    waits_until_ms: int
    """An answer that comes before this and tells no end says that it does not wait."""


class Alert:
    """One alert's part of the journal. *clock_slack_ms* is how far the service's clock may be from this machine's."""

    def __init__(self, name: str, events: Sequence[Event], *, clock_slack_ms: int) -> None:
        self.name = name
        self._events = events
        self._clock_slack_ms = clock_slack_ms
        self.taken = [it for it in self._of(Did.TRIGGER) if it.answer is Answer.TAKEN]
        self.ids = {it.incident_id for it in events if it.incident_id}
        self.answers = [it.answer for it in events if it.did is not Did.SAW_RECORD]
        self.is_hindered = any(it.is_hindered for it in events)

    def _of(self, *did: Did) -> list[Event]:
        return [it for it in self._events if it.did in did]

    def attempts(self, *did: Did) -> list[Event]:
        """Those that happened, or may have, in the order of their answers."""
        return [it for it in self._of(*did) if it.answer is not Answer.REFUSED]

    def is_sure(self, did: Did) -> bool:
        return any(it.answer is Answer.TAKEN for it in self._of(did))

    def is_possible(self, did: Did) -> bool:
        return bool(self.attempts(did))

    @property
    def wait_ms(self) -> int:
        return self.attempts(Did.TRIGGER)[0].wait_ms

    @property
    def has_rounds(self) -> bool:
        """It waits on after its record: its steps are gone through again."""
        return self.name.startswith(Kind.CHAIN)

    @property
    def opens_ms(self) -> int:
        """When the hours of its policy begin; 0: it has none."""
        return self._events[0].opens_ms

    @property
    def earliest_due_ms(self) -> int:
        return max(self.attempts(Did.TRIGGER)[0].sent_ms, self.opens_ms) + self.wait_ms

    @property
    def latest_due_ms(self) -> int:
        return max(self.taken[0].answered_ms, self.opens_ms) + self.wait_ms

    @property
    def told_due_ms(self) -> int | None:
        """Where it has hours, the answer may tell when they begin, as the first step is not told before."""
        return None if self.opens_ms else self.taken[0].escalates_at_ms

    @property
    def first_due_ms(self) -> int:
        """When its first wait ends at the earliest."""
        return self.earliest_due_ms if self.told_due_ms is None else self.told_due_ms

    @property
    def due_ms(self) -> int:
        """Before when it has no record, as it was promised last; NEVER_MS when it was ended before that.

        Whoever is too late to end a wait is promised nothing: a record may be there, and stay.
        """
        due_ms = self.first_due_ms
        for it in self.attempts(*BEGINNINGS, *ENDS, Did.SNOOZE):
            is_in_time = it.answer is Answer.TAKEN and it.answered_ms < due_ms - self._clock_slack_ms
            if it.did is Did.SNOOZE and (is_in_time or not self.has_rounds):
                due_ms = max(due_ms, it.escalates_at_ms or 0)
            elif it.did is Did.SNOOZE:  # that of a later round is no matter of the first record
                continue
            elif it.did in BEGINNINGS:
                begun_ms = self._earliest_end_ms(it)
                due_ms = it.escalates_at_ms or begun_ms if is_in_time else min(due_ms, begun_ms)
            elif is_in_time:
                due_ms = max(due_ms, self._ended(it))
        return due_ms

    def _earliest_end_ms(self, beginning: Event) -> int:
        """Of the wait that it begins: the first attempt may have been what counts."""
        return self.attempts(beginning.did)[0].sent_ms + beginning.wait_ms

    def _ended(self, end: Event) -> int:
        """When it escalates at the earliest after that: an acknowledgment may end itself, and a wait begin."""
        if not end.lasts_ms:
            return NEVER_MS
        until_ms = end.sent_ms + end.lasts_ms if end.lasts_until_ms is None else end.lasts_until_ms
        return until_ms + self.wait_ms

    @property
    def was_ended_in_time(self) -> bool:
        """Somebody was promised, before each wait was over, that it would not escalate."""
        return self.due_ms == NEVER_MS

    @property
    def may_be_acknowledged(self) -> bool:
        """In the end."""
        return bool(self._held_by)

    @property
    def is_acknowledged(self) -> bool:
        """In the end, for sure, unless it is over."""
        begun = self.attempts(*BEGINNINGS)
        after = self._after(begun[-1]) if begun else self._events
        return any(it.answer is Answer.TAKEN and not it.lasts_ms for it in after if it.did is Did.ACKNOWLEDGE)

    @property
    def _held_by(self) -> list[Event]:
        """Acknowledgments that may hold in the end: nothing has begun a wait after them for sure, nor do they end."""
        lasting = [it for it in self.attempts(Did.ACKNOWLEDGE) if not it.lasts_ms]
        begun = [it for it in self._of(*BEGINNINGS) if it.answer is Answer.TAKEN]
        if not begun or any(it.may_come_late for it in lasting):
            return lasting
        after = self._after(begun[-1])
        return [it for it in lasting if it in after]

    def _after(self, event: Event) -> Sequence[Event]:
        return self._events[self._events.index(event) + 1 :]

    @property
    def has_to_escalate(self) -> bool:
        """Nobody even tried to end it before its record was seen, or a wait has begun after that."""
        seen_ms = min((it.sent_ms for it in self._of(Did.SAW_RECORD)), default=NEVER_MS)
        return all(it.sent_ms >= seen_ms for it in [*self.attempts(Did.RESOLVE), *self._held_by])

    @property
    def is_due_for_sure(self) -> bool:
        """It has to escalate when the last wait of its ends that somebody was told of."""
        changed = self._of(*BEGINNINGS, *ENDS, Did.SNOOZE)
        is_known = all(it.answer is not Answer.UNKNOWN for it in changed) and self.told_due_ms is not None
        return is_known and self.has_to_escalate and not self.was_ended_in_time

    @property
    def was_ended_before_its_hours(self) -> bool:
        """So that nobody is ever told."""
        ends = [it.answered_ms for it in self._of(*ENDS) if it.answer is Answer.TAKEN]
        begun = [it.answered_ms for it in self.attempts(*BEGINNINGS)]
        return min(ends, default=NEVER_MS) < self.opens_ms - self._clock_slack_ms and not begun

    @property
    def may_end_before_its_hours(self) -> bool:
        return any(it.sent_ms < self.opens_ms + self._clock_slack_ms for it in self.attempts(*ENDS))

    def promises(self) -> Iterator[Promise]:
        """The answers to those who changed a wait, or did not: when it escalates after that."""
        for it in self._of(*BEGINNINGS):
            if it.answer is Answer.TAKEN:
                yield self._of_beginning(it)
        for it in self._of(Did.SNOOZE):
            if it.answer is Answer.TAKEN:
                yield self._of_snooze(it)
        for it in self._of_first_wait():
            yield self._of_what_changes_nothing(it)

    def _of_beginning(self, it: Event) -> Promise:
        earliest_ms = self._earliest_end_ms(it)
        may_be_acknowledged = any(ack.may_come_late for ack in self._of(Did.ACKNOWLEDGE))
        return Promise(it, earliest_ms, it.answered_ms + it.wait_ms, 0 if may_be_acknowledged else earliest_ms)

    def _of_snooze(self, it: Event) -> Promise:
        took_ms = it.answered_ms - self.attempts(Did.SNOOZE)[0].sent_ms
        earliest_ms, latest_ms = self.earliest_due_ms + it.wait_ms, self.latest_due_ms + it.wait_ms + took_ms
        return Promise(it, *self._also_of_rounds(it, earliest_ms, latest_ms), self.earliest_due_ms)

    def _also_of_rounds(self, it: Event, earliest_ms: int, latest_ms: int) -> tuple[int, int]:
        """When the next step is due: that of a further round, once the first may be over; or when its hours begin."""
        if self.has_rounds and it.answered_ms >= self.earliest_due_ms - self._clock_slack_ms:
            return self.earliest_due_ms, NEVER_MS
        return min(earliest_ms, self.opens_ms or earliest_ms), latest_ms

    def _of_first_wait(self) -> list[Event]:
        """What was said of it again before anybody did anything about it."""
        again = self._of(Did.TRIGGER, Did.END_FOR_ONE)
        deeds = self.attempts(*BEGINNINGS, *ENDS, Did.SNOOZE)
        before = again if not deeds else [it for it in again if it not in self._after(deeds[0])]
        return [it for it in before if it.answer is Answer.TAKEN and it is not self.taken[0]]

    def _of_what_changes_nothing(self, it: Event) -> Promise:
        """Unless it had escalated before another sender's was known: what fires on then is news, and a wait begins."""
        known_ms = max((told.answered_ms for told in self.taken), default=0)
        may_be_news = it.did is Did.END_FOR_ONE and known_ms >= self.first_due_ms - self._clock_slack_ms
        latest_ms = it.answered_ms + it.wait_ms if may_be_news else self.latest_due_ms
        return Promise(it, *self._also_of_rounds(it, self.earliest_due_ms, latest_ms), self.earliest_due_ms)

    @property
    def may_be_reopened(self) -> bool:
        """A trigger that somebody stopped waiting for may have come after the resolve."""
        return self.is_possible(Did.RESOLVE) and any(it.may_come_late for it in self._of(Did.TRIGGER))
