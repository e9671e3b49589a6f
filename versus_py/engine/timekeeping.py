"""The shared clock is set by Redis' again and again; a jump of that is logged, counted, and made up for."""

from contextlib import suppress

import structlog

from versus_py.clock import Answer, Judgment, SharedClock
from versus_py.errors import StoreUnavailable
from versus_py.store import SharedTime
from versus_py.telemetry.metrics import Metrics

log = structlog.get_logger()

CLOCK_EVERY_S = 30.0
"""How often Redis is asked; a crystal drifts by less than 10 ms in that time."""

CLOCK_IN_DOUBT_EVERY_S = 5.0
"""The same while a jump is not confirmed."""

FIRST_ASKED = 3
"""How often Redis is asked for the first time; the answer that came quickest counts."""


class Timekeeper:
    """Sets *clock*, of which a process has one."""

    def __init__(self, clock: SharedClock, shared: SharedTime, metrics: Metrics) -> None:
        self._clock = clock
        self._shared = shared
        self._metrics = metrics

    @property
    def every_s(self) -> float:
        """How long to wait until the next `follow`."""
        return CLOCK_EVERY_S if self._clock.doubt is None else CLOCK_IN_DOUBT_EVERY_S

    async def follow(self) -> None:
        """Ask Redis for the time, and go by that unless it has jumped. Raises StoreUnavailable."""
        notes = await self._shared.notes()
        answer = await self._asked()
        judgment = self._clock.consider(answer, notes)
        self._metrics.clock_ahead.set(self._clock.server_ahead_ms / 1000)
        match judgment:
            case Judgment.FOLLOWED if notes.seen_ms is None or self._clock.is_proven:
                await self._vouch()
            case Judgment.DOUBTED:
                self._note("noticed")
                log.warning("clock.jumped", **self._about())
            case Judgment.BACK:
                self._note("over")
                log.warning("clock.jump_over")
                if self._clock.is_proven:
                    await self._vouch()
            case Judgment.CONFIRMED:
                self._note("confirmed")
                log.warning("clock.jump_confirmed", machine_ahead_s=_seconds(self._clock.machine_ahead_ms))
            case Judgment.SET_RIGHT | Judgment.STEADY:
                lead_ms = self._clock.server_ahead_ms
                if await self._shared.set_lead(notes, lead_ms, server_ms=answer.server_ms):
                    self._tell_kept(judgment)
                    await self._vouch()
            case Judgment.FOLLOWED | Judgment.STILL_DOUBTED | Judgment.TOO_SLOW:
                pass

    async def _vouch(self) -> None:
        """Tell replicas that start what time it is at least: a clock that says less was set back."""
        with suppress(StoreUnavailable):  # a Redis that is full tells the time all the same
            ahead_ms = self._clock.machine_ahead_ms
            await self._shared.note_seen(self._clock.now_ms(), machine_ahead_ms=ahead_ms)

    async def _asked(self) -> Answer:
        number = 1 if self._clock.is_set else FIRST_ASKED
        answers = [await self._clock.ask(self._shared.server_ms) for _ in range(number)]
        return min(answers, key=lambda it: it.took_ms)

    def _tell_kept(self, judgment: Judgment) -> None:
        if judgment is Judgment.SET_RIGHT:
            self._note("set_right")
            log.warning("clock.set_right", **self._about())
        else:
            self._note("unconfirmed")
            log.error("clock.jump_stays", **self._about())

    def _about(self) -> dict[str, float]:
        """How far the two clocks are from the time that replicas go by."""
        return {
            "redis_ahead_s": _seconds(self._clock.server_ahead_ms),
            "machine_ahead_s": _seconds(self._clock.machine_ahead_ms),
        }

    def _note(self, outcome: str) -> None:
        self._metrics.clock_jumps.labels(outcome).inc()


def _seconds(duration_ms: int) -> float:
    return round(duration_ms / 1000, 1)
