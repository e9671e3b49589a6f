"""The generated secret, as a replica knows it."""

import asyncio

import pytest

from tests.support.clock import FakeClock
from versus_py.errors import StoreUnavailable
from versus_py.web.guard import GeneratedSecret


class Kept:
    """What Redis would tell."""

    def __init__(self, secret: str) -> None:
        self.secret = secret
        self.asked = 0
        self.is_away = False

    async def ask(self, known: str | None) -> str:
        self.asked += 1
        await asyncio.sleep(0)
        if self.is_away:
            raise StoreUnavailable("away")
        return self.secret or known or ""


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def kept():
    return Kept("one")


@pytest.fixture
def generated(kept, clock):
    return GeneratedSecret(kept.ask, clock.now_ms)


async def test_the_secret_matches_and_nothing_else_does(generated):
    assert await generated.matches("one")
    assert not await generated.matches("on")
    assert not await generated.matches("")
    assert not await generated.matches("\udcff")


async def test_redis_is_not_asked_for_each_request(generated, kept):
    for _ in range(10):
        await generated.matches("one")

    assert kept.asked == 1


async def test_a_rotated_secret_is_taken_at_once_and_the_old_one_for_half_a_minute_at_most(generated, kept, clock):
    await generated.matches("one")
    clock.advance(seconds=29)
    kept.secret = "two"

    assert await generated.matches("one")
    clock.advance(seconds=1)
    assert not await generated.matches("one")
    assert await generated.matches("two")


async def test_the_new_secret_ends_the_old_one(generated, kept, clock):
    await generated.matches("one")
    kept.secret = "two"
    clock.advance(seconds=1)

    assert await generated.matches("two")
    assert not await generated.matches("one")


async def test_wrong_secrets_have_redis_asked_once_a_second_and_no_right_one_is_refused_meanwhile(generated, kept):
    answers = await asyncio.gather(*(generated.matches(it) for it in ("wrong", "one") * 50))

    assert answers == [False, True] * 50
    assert kept.asked == 1


async def test_while_redis_is_away_the_last_secret_counts(generated, kept, clock):
    await generated.matches("one")
    kept.is_away = True
    clock.advance(minutes=5)

    assert await generated.matches("one")
    assert not await generated.matches("two")
    assert kept.asked == 2


async def test_before_redis_has_told_it_nobody_is_let_in(generated, kept):
    kept.is_away = True

    for given in ("one", ""):
        with pytest.raises(StoreUnavailable):
            await generated.matches(given)


async def test_a_redis_that_hangs_delays_a_request_by_a_second_at_most(generated, kept, clock, monkeypatch):
    await generated.matches("one")
    clock.advance(minutes=5)
    monkeypatch.setattr("versus_py.web.guard.ASK_TIMEOUT_S", 0.01)
    monkeypatch.setattr(generated, "_ask", lambda _: asyncio.Event().wait())

    async with asyncio.timeout(5):
        assert await generated.matches("one")
