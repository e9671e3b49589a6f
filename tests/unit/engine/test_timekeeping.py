"""How the shared clock is asked for."""

from tests.support.clock import START_MS, FakeClock
from versus_py.clock import ClockNotes, SharedClock
from versus_py.engine.timekeeping import Timekeeper
from versus_py.errors import StoreUnavailable
from versus_py.telemetry.metrics import Metrics


class Slow:
    """A server whose answers take so long, each on its way back. It takes no notes."""

    def __init__(self, counter: FakeClock, *took_ms: int) -> None:
        self._counter = counter
        self._took_ms = list(took_ms)

    async def notes(self) -> ClockNotes:
        return ClockNotes()

    async def server_ms(self) -> int:
        said = self._counter.now_ms()
        self._counter.advance(ms=self._took_ms.pop(0))
        return said

    async def note_seen(self, at_ms: int, *, machine_ahead_ms: int) -> None:
        raise StoreUnavailable("it is full")


async def test_the_first_time_is_asked_for_three_times_and_the_quickest_answer_counts_with_half_its_way():
    counter = FakeClock(START_MS)
    clock = SharedClock(counter.now_ms, counter.now_ms)

    await Timekeeper(clock, Slow(counter, 4000, 40, 3000), Metrics()).follow()  # type: ignore[arg-type]

    assert clock.now_ms() == counter.now_ms() - 20


async def test_later_it_is_asked_for_once():
    counter = FakeClock(START_MS)
    clock = SharedClock(counter.now_ms, counter.now_ms)
    server = Slow(counter, 0, 0, 0, 0)
    keeper = Timekeeper(clock, server, Metrics())  # type: ignore[arg-type]
    await keeper.follow()

    await keeper.follow()

    assert server._took_ms == []
