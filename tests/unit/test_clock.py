"""The clock that all replicas share: as right as the server's answers were quick."""

import pytest

from tests.support.clock import START_MS, FakeClock
from versus_py.clock import SharedClock
from versus_py.errors import StoreUnavailable

HOUR_MS = 3_600_000


class Server:
    """Its answer is *back_ms* on its way; *monotonic* is the asking machine's clock."""

    def __init__(self, monotonic: FakeClock) -> None:
        self._monotonic = monotonic
        self.ahead_ms = HOUR_MS
        self.there_ms = 0
        self.back_ms = 0

    @property
    def now_ms(self) -> int:
        return self._monotonic.now_ms() + self.ahead_ms

    async def time_ms(self) -> int:
        self._monotonic.advance(ms=self.there_ms)
        said = self.now_ms
        self._monotonic.advance(ms=self.back_ms)
        return said


@pytest.fixture
def monotonic() -> FakeClock:
    return FakeClock(START_MS % HOUR_MS)


@pytest.fixture
def server(monotonic) -> Server:
    return Server(monotonic)


@pytest.fixture
def shared(monotonic) -> SharedClock:
    return SharedClock(monotonic.now_ms)


async def test_there_is_no_time_before_the_server_has_told_it(shared, server):
    with pytest.raises(StoreUnavailable):
        shared.now_ms()

    await shared.follow(server.time_ms)

    assert shared.now_ms() == server.now_ms


async def test_it_is_the_servers_time_carried_forward(shared, server, monotonic):
    await shared.follow(server.time_ms)
    monotonic.advance(minutes=5)

    assert shared.now_ms() == server.now_ms


@pytest.mark.parametrize(("there_ms", "back_ms"), [(4000, 0), (0, 4000)])
async def test_an_answer_that_took_long_moves_a_clock_that_is_right_by_nothing(shared, server, there_ms, back_ms):
    await shared.follow(server.time_ms)
    server.there_ms, server.back_ms = there_ms, back_ms

    await shared.follow(server.time_ms)

    assert shared.now_ms() == server.now_ms


async def test_a_first_answer_that_took_long_is_better_than_none(shared, server):
    server.back_ms = 4000

    await shared.follow(server.time_ms)

    assert abs(shared.now_ms() - server.now_ms) <= 2000


async def test_a_quick_answer_mends_a_first_one_that_took_long(shared, server):
    server.back_ms = 4000
    await shared.follow(server.time_ms)
    server.back_ms = 0

    await shared.follow(server.time_ms)

    assert shared.now_ms() == server.now_ms


async def test_a_server_whose_clock_is_set_is_followed_at_the_next_answer(shared, server):
    server.there_ms = server.back_ms = 20
    await shared.follow(server.time_ms)
    server.ahead_ms -= HOUR_MS

    await shared.follow(server.time_ms)

    assert abs(shared.now_ms() - server.now_ms) <= 1


async def test_a_server_that_always_takes_long_is_followed_once_the_own_clock_may_be_worse(shared, server, monotonic):
    await shared.follow(server.time_ms)
    server.there_ms = server.back_ms = 200
    server.ahead_ms += 60  # what this machine's clock lost
    monotonic.advance(minutes=20)

    await shared.follow(server.time_ms)

    assert shared.now_ms() == server.now_ms
