"""Checks are run at once, each with a deadline, and whatever happens in one is one line of the result."""

import asyncio

import pytest

from versus_py.errors import VersusError
from versus_py.targets.check import Check, CheckStatus
from versus_py.tools.doctor.running import run_examinations

FINE = Check("fine", CheckStatus.OK, "all of it")


async def fine():
    yield FINE


def failing(error):
    async def examine():
        yield FINE
        raise error

    return examine


async def hanging():
    yield FINE
    await asyncio.Event().wait()


async def test_checks_come_in_the_order_of_the_examinations_however_long_each_takes():
    is_over = asyncio.Event()

    async def slow():
        await is_over.wait()
        yield Check("slow", CheckStatus.OK, "")

    async def fast():
        is_over.set()
        yield Check("fast", CheckStatus.OK, "")

    checks = await run_examinations({"slow": slow, "fast": fast})

    assert [check.name for check in checks] == ["slow", "fast"]


async def test_one_that_hangs_keeps_what_it_found_and_fails_alone():
    checks = await run_examinations({"hanging": hanging, "fine": fine}, deadline_s=0.01)

    first, late, other = checks
    assert (first, other) == (FINE, FINE)
    assert (late.name, late.status, late.found) == ("hanging", CheckStatus.FAILED, "no answer within 0.01 s")
    assert late.advice


async def test_an_error_of_ours_is_a_failed_check_in_its_own_words():
    checks = await run_examinations({"x": failing(VersusError("the disk is full")), "fine": fine})

    assert checks == [FINE, Check("x", CheckStatus.FAILED, "the disk is full"), FINE]


@pytest.mark.parametrize("error", [ValueError("s3cret"), KeyError("s3cret"), AssertionError(), OSError("s3cret")])
async def test_an_unexpected_exception_is_a_failed_check_that_names_its_type_and_no_more(error):
    checks = await run_examinations({"x": failing(error), "fine": fine})

    assert checks == [
        FINE,
        Check("x", CheckStatus.FAILED, f"unexpected {type(error).__name__}", "report it as a bug"),
        FINE,
    ]


async def test_a_cancellation_is_not_kept():
    async def never():
        yield FINE
        await asyncio.Event().wait()

    task = asyncio.create_task(run_examinations({"x": never}))
    await asyncio.sleep(0)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
