"""Whose turn it is to be at work: by number, by bytes, in the order in which they came."""

import asyncio
from contextlib import suppress
from random import Random

import pytest
from aiohttp.test_utils import make_mocked_request

from tests.support.clock import FakeClock
from versus_py.config import IntakeConfig
from versus_py.web.intake import overload
from versus_py.web.intake.overload import Overloaded, Slots

REQUEST = make_mocked_request("POST", "/api/incidents")
SOON = 50
"""Turns of the loop, in which everything that can happen has happened."""


class Desk:
    """Who is at work, by name, until they are let go."""

    def __init__(self, **config: int) -> None:
        self._slots = Slots(IntakeConfig.model_validate(config), FakeClock())
        self._done: dict[str, asyncio.Event] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self.sizes: dict[str, int] = {}
        self.at_work: list[str] = []
        self.began: list[str] = []
        self.refused: list[str] = []

    async def comes(self, name: str, size: int = 1) -> None:
        self._done[name], self.sizes[name] = asyncio.Event(), size
        self._tasks[name] = asyncio.ensure_future(self._work(name, size))
        await _soon()

    async def is_done(self, name: str) -> None:
        self._done[name].set()
        await _soon()

    async def gives_up(self, *names: str) -> None:
        for name in names:
            self._tasks[name].cancel()
        await _soon()

    def leave_at_the_same_time(self, done: str, gone: str) -> None:
        self._done[done].set()
        self._tasks[gone].cancel()

    @property
    def is_idle(self) -> bool:
        slots = self._slots
        return (slots._working, slots._worked_bytes, slots._held_bytes, len(slots._line)) == (0, 0, 0, 0)

    async def _work(self, name: str, size: int) -> None:
        try:
            async with self._slots.slot(REQUEST, size):
                self.at_work.append(name)
                self.began.append(name)
                try:
                    await self._done[name].wait()
                finally:
                    self.at_work.remove(name)
        except Overloaded:
            self.refused.append(name)


async def _soon() -> None:
    for _ in range(SOON):
        await asyncio.sleep(0)


@pytest.fixture(autouse=True)
def small(monkeypatch) -> None:
    monkeypatch.setattr(overload, "WORKED_MAX_BYTES", 100)
    monkeypatch.setattr(overload, "ALWAYS_AT_WORK", 1)


async def test_no_more_are_at_work_than_their_bytes_allow():
    desk = Desk()

    for name in "abc":
        await desk.comes(name, 40)
    assert desk.at_work == ["a", "b"]

    await desk.is_done("a")
    assert desk.at_work == ["b", "c"]


async def test_one_of_any_size_has_its_turn_alone():
    desk = Desk()

    await desk.comes("large", 1000)
    await desk.comes("small")
    assert desk.at_work == ["large"]

    await desk.is_done("large")
    assert desk.at_work == ["small"]


async def test_some_are_at_work_whatever_their_size_is(monkeypatch):
    monkeypatch.setattr(overload, "ALWAYS_AT_WORK", 2)
    desk = Desk()

    for name in "abc":
        await desk.comes(name, 1000)

    assert desk.at_work == ["a", "b"]


async def test_who_comes_later_does_not_overtake_who_needs_more_room():
    desk = Desk()
    await desk.comes("a", 60)

    await desk.comes("large", 90)
    await desk.comes("small", 10)
    assert desk.at_work == ["a"]

    await desk.is_done("a")
    assert desk.began == ["a", "large", "small"]


async def test_who_waits_behind_one_that_gives_up_has_its_turn():
    desk = Desk()
    await desk.comes("a", 60)
    await desk.comes("large", 90)
    await desk.comes("small", 10)

    await desk.gives_up("large")

    assert desk.at_work == ["a", "small"]


async def test_a_turn_that_comes_while_its_request_is_cut_off_goes_to_the_next():
    desk = Desk(max_working=1)
    for name in "abc":
        await desk.comes(name)

    desk.leave_at_the_same_time(done="a", gone="b")
    await _soon()

    assert desk.at_work == ["c"]


async def test_who_is_cut_off_when_its_turn_has_just_come_gives_it_back():
    slots = Slots(IntakeConfig(max_working=1), FakeClock())
    await slots.enter(REQUEST, 1)
    waiting = asyncio.ensure_future(slots.enter(REQUEST, 1))
    await _soon()

    slots.leave(1)
    waiting.cancel()
    await asyncio.wait([waiting])

    assert waiting.cancelled()
    async with asyncio.timeout(10):
        await slots.enter(REQUEST, 1)


async def test_who_waits_for_too_long_is_refused_and_leaves_its_place(monkeypatch):
    monkeypatch.setattr(overload, "TURN_TIMEOUT_S", 0)
    desk = Desk(max_working=1)
    await desk.comes("a")

    await desk.comes("b")
    async with asyncio.timeout(10):
        while desk.refused != ["b"]:
            await asyncio.sleep(0)
    await desk.is_done("a")

    assert desk.is_idle


@pytest.mark.parametrize("seed", range(30))
async def test_whatever_happens_bounds_hold_and_all_who_stay_have_their_turn(seed):
    random, desk = Random(seed), Desk(max_working=3)
    waiting: list[str] = []
    for number in range(200):
        name = f"{number}"
        match random.randrange(3):
            case 0:
                waiting.append(name)
                await desk.comes(name, random.choice([1, 30, 60, 150]))
            case 1 if desk.at_work:
                await desk.is_done(random.choice(desk.at_work))
            case 2 if waiting:
                await desk.gives_up(waiting.pop(random.randrange(len(waiting))))
        waiting = [it for it in waiting if it not in desk.began]
        assert len(desk.at_work) <= 3
        assert len(desk.at_work) == 1 or sum(map(desk.sizes.__getitem__, desk.at_work)) <= 100
        assert not waiting or desk.at_work, "somebody waits for nobody"
    while desk.at_work:
        for name in [*desk.at_work]:
            with suppress(KeyError):
                await desk.is_done(name)

    assert not [it for it in waiting if it not in desk.began]
    assert desk.began == sorted(desk.began, key=int)
    assert desk.is_idle
