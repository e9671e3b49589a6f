"""Taking turns across replicas, against real servers."""

import time

import pytest

from tests.support.clock import FakeClock
from versus_py.store import keys
from versus_py.store.turns import GRACE_MS, KNOWN_MS, Rate, Turns

SECOND = Rate(interval_ms=1000)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(time.time_ns() // 1_000_000)


@pytest.fixture
def turns(redis) -> Turns:
    return Turns(redis)


async def when(turns: Turns, clock: FakeClock, who: str, *, rate: Rate = SECOND, behind_ms: int = 0) -> int | None:
    """How long *who* has to wait, ms; None when it is their turn."""
    turn = await turns.take("slack:C1", who, rate, now_ms=clock.now_ms(), behind_ms=behind_ms)
    return None if turn.wait_until_ms is None else turn.wait_until_ms - clock.now_ms()


async def served(turns: Turns, clock: FakeClock, waiting: list[str], **how) -> list[tuple[int, str]]:
    """Who gets a turn and when, ms from now, when everybody comes back as told."""
    start_ms = clock.now_ms()
    due = dict.fromkeys(waiting, start_ms)
    order = []
    while due:
        who, at_ms = min(due.items(), key=lambda item: item[1])
        clock.advance(ms=max(0, at_ms - clock.now_ms()))
        wait_ms = await when(turns, clock, who, **how)
        if wait_ms is None:
            order.append((clock.now_ms() - start_ms, who))
            del due[who]
        else:
            due[who] = clock.now_ms() + wait_ms
    return order


async def test_the_first_is_served_at_once_and_the_others_one_after_the_other(turns, clock):
    names = [f"i{number:02}" for number in range(30)]

    order = await served(turns, clock, names)

    assert order == [(1000 * number, name) for number, name in enumerate(names)]


async def test_what_was_saved_up_is_served_at_once(turns, clock):
    rate = Rate(interval_ms=1000, burst=3)

    order = await served(turns, clock, ["a", "b", "c", "d", "e"], rate=rate)

    assert order == [(0, "a"), (0, "b"), (0, "c"), (1000, "d"), (2000, "e")]


async def test_a_quiet_time_saves_up_no_more_than_the_burst(turns, clock):
    rate = Rate(interval_ms=1000, burst=2)
    await served(turns, clock, ["a"], rate=rate)
    clock.advance(minutes=30)

    assert await served(turns, clock, ["b", "c", "d"], rate=rate) == [(0, "b"), (0, "c"), (1000, "d")]


async def test_what_is_less_urgent_is_served_later_though_it_came_first(turns, clock):
    assert await when(turns, clock, "served") is None
    assert await when(turns, clock, "line", behind_ms=30_000) == 1000
    clock.advance(ms=10)
    assert await when(turns, clock, "incident") == 990

    clock.advance(ms=990)
    assert await when(turns, clock, "line", behind_ms=30_000) == 1000
    assert await when(turns, clock, "incident") is None


async def test_what_is_less_urgent_does_not_wait_for_ever(turns, clock):
    await when(turns, clock, "served")
    due = {"line": clock.now_ms()}
    for number in range(40):
        clock.advance(ms=500)
        due[f"incident{number:02}"] = clock.now_ms()
        for who in sorted(due, key=lambda it: due[it]):
            if due[who] <= clock.now_ms():
                wait_ms = await when(turns, clock, who, behind_ms=5_000 if who == "line" else 0)
                due[who] = clock.now_ms() + wait_ms if wait_ms is not None else 10**15

    assert due["line"] == 10**15


async def test_asking_again_neither_costs_nor_gains_a_place(turns, clock):
    await when(turns, clock, "served")
    assert await when(turns, clock, "a") == 1000
    assert await when(turns, clock, "b") == 2000

    for _ in range(5):
        assert await when(turns, clock, "b") == 2000
        assert await when(turns, clock, "a") == 1000


async def test_who_does_not_come_back_loses_the_place(turns, clock):
    await when(turns, clock, "served")
    await when(turns, clock, "a-gone")
    assert await when(turns, clock, "b") == 2000

    clock.advance(ms=1000 + GRACE_MS)

    assert await when(turns, clock, "b") is None


async def test_who_leaves_makes_room(turns, clock):
    await when(turns, clock, "served")
    await when(turns, clock, "a")
    await when(turns, clock, "b")

    await turns.leave("slack:C1", "a")

    assert await when(turns, clock, "b") == 1000


async def test_a_turn_says_how_many_are_ahead(turns, clock):
    now_ms = clock.now_ms()
    ahead = [(await turns.take("slack:C1", f"i{number}", SECOND, now_ms=now_ms)).ahead for number in range(5)]

    assert ahead == [0, 0, 1, 2, 3]


async def test_nobody_is_served_while_a_destination_is_held_back(turns, clock):
    rate = Rate(interval_ms=1000, burst=3)
    await turns.hold_back("slack:C1", rate, until_ms=clock.now_ms() + 30_000)

    assert await when(turns, clock, "a", rate=rate) == 30_000
    assert await when(turns, clock, "b", rate=rate) == 31_000


async def test_holding_back_never_makes_it_sooner(turns, clock):
    await turns.hold_back("slack:C1", SECOND, until_ms=clock.now_ms() + 30_000)
    await turns.hold_back("slack:C1", SECOND, until_ms=clock.now_ms() + 5_000)

    assert await when(turns, clock, "a") == 30_000


async def test_destinations_do_not_wait_for_each_other(turns, clock):
    await when(turns, clock, "a")

    other = await turns.take("slack:C2", "a", SECOND, now_ms=clock.now_ms())

    assert other.wait_until_ms is None


async def test_who_wants_a_place_only_takes_no_turn_and_keeps_the_place(turns, clock):
    async def place(who: str) -> int | None:
        turn = await turns.take("slack:C1", who, SECOND, now_ms=clock.now_ms(), only_place=True)
        return None if turn.wait_until_ms is None else turn.wait_until_ms - clock.now_ms()

    assert await place("a") is None
    assert await place("b") is None  # it is still there
    assert await when(turns, clock, "c") is None
    assert await place("a") == 1000
    assert await when(turns, clock, "d") == 2000

    clock.advance(ms=1000)

    assert await when(turns, clock, "d") == 1000
    assert await when(turns, clock, "a") is None


async def test_who_asks_for_a_place_when_the_turn_has_just_come_still_has_it(turns, clock):
    await when(turns, clock, "served")
    assert await when(turns, clock, "a") == 1000
    assert await when(turns, clock, "b") == 2000
    clock.advance(ms=1000)

    turn = await turns.take("slack:C1", "a", SECOND, now_ms=clock.now_ms(), only_place=True)

    assert turn.wait_until_ms is None
    assert await when(turns, clock, "a") is None


async def test_nothing_is_kept_for_ever(turns, redis, clock):
    await when(turns, clock, "served")
    await when(turns, clock, "a")

    keys = await redis.keys("versus:*")

    assert len(keys) == 3
    assert all([await redis.pttl(key) > 0 for key in keys])


async def test_what_one_replica_holds_back_the_others_leave_alone_and_nobody_asks_each_time(redis, clock):
    one, other = Turns(redis), Turns(redis)
    until_ms = clock.now_ms() + 60_000
    assert await other.held_back_until("servicenow:x", now_ms=clock.now_ms()) is None

    await one.hold_back("servicenow:x", Rate(interval_ms=0), until_ms=until_ms)
    assert await one.held_back_until("servicenow:x", now_ms=clock.now_ms()) == until_ms
    clock.advance(ms=KNOWN_MS)
    assert await other.held_back_until("servicenow:x", now_ms=clock.now_ms()) == until_ms

    await redis.delete(keys.at_destination("servicenow:x", "free_at"))
    assert await one.held_back_until("servicenow:x", now_ms=clock.now_ms() - 1) == until_ms  # as it was told
    assert await one.held_back_until("servicenow:x", now_ms=until_ms) is None
