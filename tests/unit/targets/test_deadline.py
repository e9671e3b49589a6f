"""The time of a sync, also where the machine is suspended."""

import asyncio

import pytest

from tests.support.clock import FakeClock
from versus_py.targets import deadline


async def test_what_is_sent_within_the_time_of_a_sync_is_sent():
    clock = FakeClock()

    async with deadline.within(clock, 50):
        clock.advance(seconds=49)

        deadline.raise_if_over()


async def test_nothing_is_sent_after_a_suspension_that_outlasts_the_sync():
    clock = FakeClock()

    async with deadline.within(clock, 50):
        clock.advance(seconds=50)

        with pytest.raises(TimeoutError):
            deadline.raise_if_over()


async def test_a_sync_that_takes_too_long_ends():
    with pytest.raises(TimeoutError):
        async with deadline.within(FakeClock(), 0):
            await asyncio.Event().wait()


async def test_what_belongs_to_no_sync_has_no_deadline():
    clock = FakeClock()
    async with deadline.within(clock, 50):
        pass
    clock.advance(seconds=143)

    deadline.raise_if_over()
