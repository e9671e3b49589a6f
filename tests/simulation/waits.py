"""When a wait begins, would end, and is ended: each between two moments, in ms of the world."""

from dataclasses import dataclass

from tests.simulation.history import Act


@dataclass(slots=True)
class Wait:
    """It began, would end, and was ended by somebody, each between two moments. `end_lo_ms` None: by nobody."""

    begin_lo_ms: float
    begin_hi_ms: float
    due_lo_ms: float
    due_hi_ms: float
    end_lo_ms: float | None = None
    end_hi_ms: float | None = None
    is_sure: bool = True  # it began at all

    def was_ended_in_time(self, slack_ms: float, after_ms: float = 0.0) -> bool:
        """For sure, for a step that comes so much later: the answer promised that it does not escalate."""
        return self.end_hi_ms is not None and self.end_hi_ms + slack_ms < self.due_lo_ms + after_ms

    def has_to_escalate(self) -> bool:
        return self.is_sure and self.end_lo_ms is None

    def end(self, act: Act) -> None:
        if self.end_lo_ms is None:
            self.end_lo_ms, self.end_hi_ms = act.sent_ms, act.over_ms

    def __str__(self) -> str:
        end = "" if self.end_lo_ms is None else f" ended {self.end_lo_ms:.0f}-{self.end_hi_ms:.0f}"
        return f"due {self.due_lo_ms:.0f}-{self.due_hi_ms:.0f}{end}{'' if self.is_sure else ' perhaps'}"


@dataclass(frozen=True, slots=True)
class Rules:
    """How long things last in this world, and how far the clocks of its parts may differ."""

    wait_ms: float
    record_after_ms: float = 0.0  # a record comes so much later than what the wait is for
    repeat: int = 0  # how often the steps are gone through again
    has_steps: bool = False  # others are told before the record, or again after it
    opens_ms: float = 0.0  # nobody is told before; 0: always
    ack_timeout_ms: float = 0.0
    reopen_ms: float = 300_000.0
    slack_ms: float = 500.0
    lead_ms: float = 0.0  # the service's clock is so far ahead of the world's
    has_sure_clock: bool = True  # False: Redis' clock jumps, and answered moments are not judged
    has_last_look: bool = False  # Alertmanager may say that it is over, and what fires then reopens it
    may_end_at_once: bool = False  # a wait does, where no channel takes the message
