"""Several processes of one server: ready is what all of them are."""

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from tests.support.waiting import until
from versus_py.engine.group import Group, Member, worst
from versus_py.engine.health import Readiness

READY = Readiness("ok", "ok", {"slack": "ok"}, 0)


@asynccontextmanager
async def running(group, member):
    stop = asyncio.Event()
    task = asyncio.create_task(group.run(stop))
    await until(lambda: task.done() or member.socket(member.number).exists())
    try:
        yield
    finally:
        stop.set()
        await task


def group_of(member, stands, trouble=""):
    async def own():
        return stands

    async def why():
        return trouble

    return Group(member, own, why)


@pytest.mark.parametrize("asked", [0, 1])
async def test_any_process_tells_the_worst_of_all(tmp_path, asked):
    members = [Member(number, 2, tmp_path) for number in range(2)]
    stalled = Readiness("ok", "stalled", {"slack": "open"}, 3)
    groups = [group_of(it, stands) for it, stands in zip(members, (READY, stalled), strict=True)]
    async with AsyncExitStack() as stack:
        for it in zip(groups, members, strict=True):
            await stack.enter_async_context(running(*it))

        found = await groups[asked].readiness()

    assert found == Readiness("ok", "stalled", {"slack": "open"}, 3)
    assert not found.is_ready


async def test_a_process_that_is_not_there_makes_the_whole_not_ready(tmp_path):
    group = group_of(Member(0, 2, tmp_path), READY)

    found = await group.readiness()

    assert not found.is_ready
    assert found.worker == "process 1 does not answer"
    assert await group.trouble() == "not all processes are ready: worker process 1 does not answer, Redis ok"


async def test_a_process_that_says_nothing_is_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr("versus_py.engine.group.ANSWER_TIMEOUT_S", 0.05)
    waits = asyncio.Event()

    async def say_nothing(_, writer):
        await waits.wait()
        writer.close()

    member = Member(0, 2, tmp_path)
    async with await asyncio.start_unix_server(say_nothing, member.socket(1)):
        assert (await group_of(member, READY).readiness()).worker == "process 1 does not answer"
        waits.set()


@pytest.mark.parametrize(
    ("redis", "whole"),
    [
        (("ok", "ok"), "ok"),
        (("ok", "full"), "full"),
        (("emptied", "unavailable"), "unavailable"),
        (("not_on_disk", "ok"), "not_on_disk"),
    ],
)
def test_what_keeps_one_from_being_ready_counts_first(redis, whole):
    assert worst([Readiness(it, "ok", {}, 0) for it in redis]).redis == whole


def test_one_leads():
    assert [Member(number, 3, Path()).leads for number in range(3)] == [True, False, False]
