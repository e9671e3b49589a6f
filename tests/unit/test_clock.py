"""The clock that all replicas share: as right as the server's answers were quick, and deaf to its jumps."""

from dataclasses import dataclass, field

import pytest

from tests.support.clock import START_MS, FakeClock
from versus_py.clock import STEADY_MS, ClockNotes, Judgment, SharedClock
from versus_py.errors import StoreUnavailable
from versus_py.incidents.copies import replace

HOUR_MS = 3_600_000
MINUTE_MS = 60_000


@dataclass
class World:
    """A machine with a counter and a clock, and a server whose answer is *back_ms* on its way."""

    counter: FakeClock
    machine_ahead_ms: int = START_MS - START_MS % HOUR_MS  # of the counter
    server_ahead_ms: int = START_MS - START_MS % HOUR_MS
    there_ms: int = 0
    back_ms: int = 0
    notes: ClockNotes = field(default_factory=ClockNotes)

    def __post_init__(self):
        self.shared = self.another_replica()

    def another_replica(self) -> SharedClock:
        return SharedClock(self.counter.now_ms, lambda: self.machine_ms)

    @property
    def machine_ms(self) -> int:
        return self.counter.now_ms() + self.machine_ahead_ms

    @property
    def server_ms(self) -> int:
        return self.counter.now_ms() + self.server_ahead_ms

    async def _asked(self) -> int:
        self.counter.advance(ms=self.there_ms)
        said = self.server_ms
        self.counter.advance(ms=self.back_ms)
        return said

    async def follow(self, clock: SharedClock | None = None) -> Judgment:
        clock = clock or self.shared
        judgment = clock.consider(await clock.ask(self._asked), self.notes)
        if judgment is Judgment.FOLLOWED and (self.notes.seen_ms is None or clock.is_proven):
            self.note_seen(clock)
        return judgment

    def note_seen(self, clock: SharedClock) -> None:
        self.notes = replace(self.notes, seen_ms=clock.now_ms(), machine_ahead_ms=clock.machine_ahead_ms)

    def keep(self, clock: SharedClock | None = None) -> None:
        """Note the lead of the server's clock, as the timekeeper does."""
        lead_ms = (clock or self.shared).server_ahead_ms
        self.notes = replace(self.notes, lead_ms=lead_ms, lead_since_ms=self.server_ms)


@pytest.fixture
def world() -> World:
    return World(FakeClock(START_MS % HOUR_MS))


async def test_there_is_no_time_before_the_server_has_told_it(world):
    with pytest.raises(StoreUnavailable):
        world.shared.now_ms()

    await world.follow()

    assert world.shared.now_ms() == world.server_ms


@pytest.mark.parametrize("off_ms", [HOUR_MS, -HOUR_MS])
async def test_a_machine_whose_clock_is_wrong_goes_by_the_server(world, off_ms):
    world.machine_ahead_ms += off_ms

    assert await world.follow() is Judgment.FOLLOWED
    world.counter.advance(minutes=5)
    world.machine_ahead_ms -= 2 * off_ms

    assert await world.follow() is Judgment.FOLLOWED
    assert world.shared.now_ms() == world.server_ms


async def test_it_is_the_servers_time_carried_forward(world):
    await world.follow()
    world.counter.advance(minutes=5)

    assert world.shared.now_ms() == world.server_ms


@pytest.mark.parametrize(("there_ms", "back_ms"), [(4000, 0), (0, 4000)])
async def test_an_answer_that_took_long_moves_a_clock_that_is_right_by_nothing(world, there_ms, back_ms):
    await world.follow()
    world.there_ms, world.back_ms = there_ms, back_ms

    assert await world.follow() is Judgment.TOO_SLOW

    assert world.shared.now_ms() == world.server_ms


async def test_a_first_answer_that_took_long_is_better_than_none(world):
    world.back_ms = 4000

    await world.follow()

    assert abs(world.shared.now_ms() - world.server_ms) <= 2000


async def test_a_quick_answer_mends_a_first_one_that_took_long(world):
    world.back_ms = 4000
    await world.follow()
    world.back_ms = 0

    await world.follow()

    assert world.shared.now_ms() == world.server_ms


@pytest.mark.parametrize("step_ms", [1900, -1900])
async def test_a_small_step_of_the_server_is_followed_at_the_next_answer(world, step_ms):
    world.there_ms = world.back_ms = 20
    await world.follow()
    world.server_ahead_ms += step_ms

    await world.follow()

    assert abs(world.shared.now_ms() - world.server_ms) <= 1


async def test_a_server_that_always_takes_long_is_followed_once_the_own_clock_may_be_worse(world):
    await world.follow()
    world.there_ms = world.back_ms = 200
    world.server_ahead_ms += 60  # what this machine's clock lost
    world.counter.advance(minutes=20)

    await world.follow()

    assert world.shared.now_ms() == world.server_ms


@pytest.mark.parametrize("jump_ms", [HOUR_MS, -HOUR_MS, 3000, -3000])
async def test_a_jump_of_the_server_is_not_believed(world, jump_ms):
    await world.follow()
    world.server_ahead_ms += jump_ms
    world.counter.advance(seconds=30)

    assert await world.follow() is Judgment.DOUBTED

    assert world.shared.now_ms() == world.server_ms - jump_ms
    assert world.shared.server_ahead_ms == jump_ms


async def test_a_jump_that_is_taken_back_was_none(world):
    await world.follow()
    world.server_ahead_ms += HOUR_MS
    await world.follow()
    world.server_ahead_ms -= HOUR_MS

    assert await world.follow() is Judgment.BACK
    assert world.shared.doubt is None
    assert world.shared.now_ms() == world.server_ms


@pytest.mark.parametrize("jump_ms", [HOUR_MS, -HOUR_MS])
async def test_a_jump_that_stays_for_five_minutes_is_made_up_for_and_no_wait_is_shorter_or_longer(world, jump_ms):
    await world.follow()
    began_ms, counted_ms = world.shared.now_ms(), world.counter.now_ms()
    world.server_ahead_ms += jump_ms
    assert await world.follow() is Judgment.DOUBTED
    for _ in range(STEADY_MS // 5000 - 1):
        world.counter.advance(seconds=5)
        assert await world.follow() is Judgment.STILL_DOUBTED
    world.counter.advance(seconds=5)
    assert await world.follow() is Judgment.STEADY
    world.keep()

    assert await world.follow() is Judgment.BACK
    assert world.counter.now_ms() - counted_ms == STEADY_MS
    assert world.shared.now_ms() - began_ms == STEADY_MS
    world.counter.advance(minutes=30)
    await world.follow()
    assert world.shared.now_ms() - began_ms == pytest.approx(STEADY_MS + 30 * MINUTE_MS, abs=400)


async def test_a_clock_that_jumps_on_and_on_is_never_steady(world):
    await world.follow()
    for _ in range(100):
        world.server_ahead_ms += MINUTE_MS
        world.counter.advance(seconds=5)
        assert await world.follow() is Judgment.DOUBTED


async def test_another_replica_takes_what_was_noted_for_its_own(world):
    other = world.another_replica()
    await world.follow()
    await world.follow(other)
    world.server_ahead_ms += HOUR_MS
    await world.follow()
    await world.follow(other)
    world.counter.advance(ms=STEADY_MS)
    assert await world.follow() is Judgment.STEADY
    world.keep()

    assert await world.follow(other) is Judgment.BACK
    await world.follow()

    late = world.another_replica()
    assert await world.follow(late) is Judgment.FOLLOWED
    assert late.now_ms() == other.now_ms() == world.shared.now_ms() == world.machine_ms


async def test_what_the_time_is_behind_the_server_after_a_jump_fades_slower_than_a_crystal_drifts(world):
    await world.follow()
    world.server_ahead_ms += HOUR_MS
    await world.follow()
    world.counter.advance(ms=STEADY_MS)
    await world.follow()
    world.keep()
    await world.follow()

    for _ in range(120):
        world.counter.advance(seconds=30)
        await world.follow()

    assert world.shared.now_ms() == pytest.approx(world.machine_ms + 720, abs=10)


@pytest.mark.parametrize("off_ms", [HOUR_MS, -HOUR_MS])
async def test_a_server_that_is_set_to_what_this_machine_says_ends_no_wait_early(world, off_ms):
    world.server_ahead_ms += off_ms
    await world.follow()
    began_ms = world.shared.now_ms()
    world.server_ahead_ms -= off_ms
    world.counter.advance(seconds=30)

    assert await world.follow() is Judgment.SET_RIGHT
    world.keep()
    await world.follow()

    assert world.shared.now_ms() - began_ms == 30_000


async def test_a_server_that_is_set_back_after_its_jump_was_made_up_for_is_followed_again(world):
    world.machine_ahead_ms += 7 * HOUR_MS  # nobody asks this one
    await world.follow()
    world.server_ahead_ms += HOUR_MS
    await world.follow()
    world.counter.advance(ms=STEADY_MS)
    await world.follow()
    world.keep()
    await world.follow()
    began_ms = world.shared.now_ms()
    world.server_ahead_ms -= HOUR_MS

    assert await world.follow() is Judgment.SET_RIGHT
    world.keep()

    assert await world.follow() is Judgment.BACK
    assert world.shared.now_ms() == began_ms == world.server_ms
    assert world.notes.lead_ms == 0


async def test_time_that_passed_while_the_machine_stood_still_is_believed_once_its_clock_was_set(world):
    await world.follow()
    world.server_ahead_ms += HOUR_MS  # neither the counter nor the machine's clock went on
    assert await world.follow() is Judgment.DOUBTED
    world.machine_ahead_ms += HOUR_MS

    assert await world.follow() is Judgment.CONFIRMED

    assert world.shared.now_ms() == world.server_ms == world.machine_ms
    assert world.shared.server_ahead_ms == 0


@pytest.mark.parametrize("back_ms", [3_000, 30_000, HOUR_MS])
async def test_a_machine_that_is_set_back_together_with_its_server_gives_no_time_back(world, back_ms):
    await world.follow()
    world.counter.advance(minutes=10)
    await world.follow()
    began_ms = world.shared.now_ms()
    world.server_ahead_ms -= back_ms
    world.machine_ahead_ms -= back_ms

    assert await world.follow() is Judgment.SET_RIGHT
    world.keep()
    world.counter.advance(seconds=5)

    assert await world.follow() is Judgment.BACK
    assert world.shared.now_ms() == pytest.approx(began_ms + 5_000, abs=1)
    assert world.shared.server_ahead_ms == pytest.approx(-back_ms, abs=1)


async def test_a_machine_that_began_with_a_wrong_clock_is_followed_when_that_is_set_right_soon(world):
    """As at a boot, before NTP has answered."""
    await world.follow()
    world.counter.advance(seconds=30)
    await world.follow()
    world.server_ahead_ms -= HOUR_MS
    world.machine_ahead_ms -= HOUR_MS

    assert await world.follow() is Judgment.CONFIRMED
    assert world.shared.now_ms() == world.server_ms


async def test_time_that_passed_while_the_machine_stood_still_is_believed_when_another_replica_saw_it(world):
    await world.follow()
    world.server_ahead_ms += HOUR_MS
    world.notes = replace(world.notes, seen_ms=world.server_ms - 20_000)

    assert await world.follow() is Judgment.CONFIRMED
    assert world.shared.now_ms() == world.server_ms


@pytest.mark.parametrize("pause_ms", [2500, 10_000, HOUR_MS])
async def test_a_machine_that_stood_still_follows_as_soon_as_another_one_has_looked_since(world, pause_ms):
    await world.follow()
    world.counter.advance(minutes=10)
    await world.follow()
    world.server_ahead_ms += pause_ms  # neither the counter nor the machine's clock went on
    assert await world.follow() is Judgment.DOUBTED
    world.counter.advance(seconds=5)
    assert await world.follow() is Judgment.STILL_DOUBTED

    world.notes = replace(world.notes, seen_ms=world.server_ms - 1000)  # as the other one says

    assert await world.follow() is Judgment.CONFIRMED
    assert world.shared.now_ms() == world.server_ms


@pytest.mark.parametrize("jump_ms", [-20_000, -HOUR_MS, 3000, HOUR_MS])
async def test_what_was_seen_before_a_jump_vouches_for_nothing(world, jump_ms):
    other = world.another_replica()
    await world.follow()
    await world.follow(other)
    world.counter.advance(minutes=10)
    await world.follow()
    world.server_ahead_ms += jump_ms

    assert await world.follow(other) is Judgment.DOUBTED
    world.notes = replace(world.notes, seen_ms=world.shared.now_ms() + 1)  # by a replica that has not heard of it yet
    for _ in range(20):
        world.counter.advance(seconds=5)
        assert await world.follow(other) is Judgment.STILL_DOUBTED


async def test_a_machine_that_was_as_wrong_before_starts_by_the_server(world):
    world.machine_ahead_ms -= 5 * MINUTE_MS
    await world.follow()
    world.counter.advance(minutes=20)

    late = world.another_replica()

    assert await world.follow(late) is Judgment.FOLLOWED
    assert late.now_ms() == world.server_ms


async def test_a_leap_of_the_time_is_known_for_as_long_as_it_is_asked_for(world):
    await world.follow()
    world.server_ahead_ms += HOUR_MS
    world.machine_ahead_ms += HOUR_MS
    await world.follow()
    world.counter.advance(minutes=2)

    assert world.shared.leapt_ms(3 * MINUTE_MS) == HOUR_MS
    assert world.shared.leapt_ms(1 * MINUTE_MS) == 0


@pytest.mark.parametrize("jump_ms", [HOUR_MS, -HOUR_MS])
async def test_a_replica_that_starts_after_a_jump_goes_by_its_machine(world, jump_ms):
    await world.follow()
    world.server_ahead_ms += jump_ms
    world.counter.advance(minutes=2)
    late = world.another_replica()

    assert await world.follow(late) is Judgment.DOUBTED
    await world.follow()

    assert late.now_ms() == world.machine_ms == world.shared.now_ms()


@pytest.mark.parametrize("off_ms", [HOUR_MS, -HOUR_MS])
async def test_a_replica_whose_machine_is_wrong_starts_by_what_others_have_just_seen(world, off_ms):
    await world.follow()
    world.counter.advance(seconds=60)
    world.machine_ahead_ms += off_ms
    late = world.another_replica()

    assert await world.follow(late) is Judgment.FOLLOWED
    assert late.now_ms() == world.server_ms


async def test_after_a_pause_of_all_replicas_a_machine_that_is_ahead_does_not_make_anything_early(world):
    await world.follow()
    world.counter.advance(hours=2)
    world.machine_ahead_ms += HOUR_MS
    late = world.another_replica()

    assert await world.follow(late) is Judgment.FOLLOWED
    assert late.now_ms() == world.server_ms


async def test_a_time_that_was_seen_does_not_come_again_at_a_start(world):
    await world.follow()
    seen_ms = world.shared.now_ms()
    world.server_ahead_ms -= HOUR_MS
    world.machine_ahead_ms -= 2 * HOUR_MS
    late = world.another_replica()

    assert await world.follow(late) is Judgment.DOUBTED
    assert late.now_ms() == seen_ms


async def test_replicas_that_judge_a_jump_differently_agree_in_the_end(world):
    """The server and one machine were slow together, and are set right together; the other machine was right before."""
    world.server_ahead_ms = world.machine_ahead_ms = world.machine_ahead_ms - 3 * MINUTE_MS
    other_ahead_ms = world.machine_ahead_ms + 3 * MINUTE_MS
    other = SharedClock(world.counter.now_ms, lambda: world.counter.now_ms() + other_ahead_ms)
    for _ in range(3):
        await world.follow()
        await world.follow(other)
        world.counter.advance(minutes=5)
    world.server_ahead_ms += 3 * MINUTE_MS
    world.machine_ahead_ms += 3 * MINUTE_MS

    for _ in range(10):
        for clock in (world.shared, other):
            if await world.follow(clock) is Judgment.SET_RIGHT:
                world.keep(clock)
        world.counter.advance(seconds=30)

    assert abs(world.shared.now_ms() - other.now_ms()) < 1000


async def test_a_leap_that_another_replica_vouches_for_is_one_too(world):
    stays = world.another_replica()
    await world.follow()
    await world.follow(stays)
    world.counter.advance(minutes=10)
    await world.follow()
    world.server_ahead_ms += 10 * MINUTE_MS
    world.machine_ahead_ms += 10 * MINUTE_MS
    assert await world.follow() is Judgment.CONFIRMED
    world.note_seen(world.shared)
    world.machine_ahead_ms -= 10 * MINUTE_MS  # that of the other replica

    assert await world.follow(stays) is Judgment.CONFIRMED
    assert stays.leapt_ms(HOUR_MS) == 10 * MINUTE_MS
