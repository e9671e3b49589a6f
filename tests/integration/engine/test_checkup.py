"""The doctor in the background of a server: it looks when somebody does, now and then, and all replicas show it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from tests.support.clock import FakeClock
from versus_py.engine.checkup import CHECKS_MAX, FRESH_MS, TEXT_MAX, Checkup, Findings
from versus_py.errors import StoreUnavailable
from versus_py.store import keys
from versus_py.store.replicas import Replicas
from versus_py.targets.check import Check, CheckStatus

FOUND = Check("Slack", CheckStatus.FAILED, "Slack says invalid_auth", "set the token")
DEADLINE_S = 5.0


class Doctor:
    """Counts how often it is asked, and may be held up."""

    def __init__(self, *checks: Check) -> None:
        self.checks = checks or (FOUND,)
        self.runs = 0
        self.may_end = asyncio.Event()
        self.may_end.set()

    async def __call__(self) -> Sequence[Check]:
        self.runs += 1
        await self.may_end.wait()
        return self.checks


async def latest(checkup: Checkup) -> Findings:
    """What there has to be."""
    found = await checkup.latest()
    assert found is not None
    return found


@pytest.fixture
def doctor() -> Doctor:
    return Doctor()


@asynccontextmanager
async def running(checkup: Checkup) -> AsyncIterator[Checkup]:
    task = asyncio.create_task(checkup.run(asyncio.Event()))
    try:
        yield checkup
    finally:
        task.cancel()


@pytest.fixture
async def checkup(engine_redis, clock, doctor) -> AsyncIterator[Checkup]:
    async with running(Checkup(doctor, Replicas(engine_redis), clock, by="versus-0", rest_ms=0)) as found:
        yield found


async def test_nobody_is_asked_before_somebody_looks(checkup, doctor):
    await asyncio.sleep(0)

    assert doctor.runs == 0
    assert await checkup.latest() is None


async def test_who_looks_first_starts_it_and_waits_for_nothing(checkup, doctor):
    doctor.may_end.clear()

    assert await checkup.refresh() is None
    assert checkup.is_under_way
    assert not await checkup.settled_within(0.01)
    doctor.may_end.set()
    assert await checkup.settled_within(DEADLINE_S)

    assert (await latest(checkup)).checks == (FOUND,)
    assert not checkup.is_under_way


async def test_what_is_fresh_is_shown_again_and_what_is_old_is_looked_for_again(checkup, doctor, clock: FakeClock):
    await checkup.refresh()
    await checkup.settled_within(DEADLINE_S)
    clock.advance(seconds=FRESH_MS / 1000 - 1)
    found = await checkup.refresh()
    assert found is not None
    assert (found.checks, found.by, doctor.runs) == ((FOUND,), "versus-0", 1)

    clock.advance(seconds=1)
    assert await checkup.refresh() == found, "the old ones, meanwhile"
    await checkup.settled_within(DEADLINE_S)

    assert doctor.runs == 2


async def test_however_many_ask_it_runs_once_and_then_rests(engine_redis, clock, doctor):
    async with running(Checkup(doctor, Replicas(engine_redis), clock, by="versus-0", rest_ms=60_000)) as checkup:
        for _ in range(5):
            checkup.ask()
        await checkup.settled_within(DEADLINE_S)
        checkup.ask()

        assert not checkup.is_under_way
        assert doctor.runs == 1


async def test_another_replica_shows_what_one_has_found(checkup, engine_redis, clock):
    checkup.ask()
    await checkup.settled_within(DEADLINE_S)
    asked_here = Doctor()
    other = Checkup(asked_here, Replicas(engine_redis), clock, by="versus-1")

    found = await other.refresh()

    assert found is not None
    assert (found.checks, found.by) == ((FOUND,), "versus-0")
    assert not other.is_under_way


async def test_a_check_that_crashes_is_said_and_does_not_end_the_loop(engine_redis, clock, logs):
    async def crashes() -> Sequence[Check]:
        raise RuntimeError("with-a-secret")

    async with running(Checkup(crashes, Replicas(engine_redis), clock, by="versus-0", rest_ms=0)) as checkup:
        for _ in range(2):
            checkup.ask()
            assert await checkup.settled_within(DEADLINE_S)
        [found] = (await latest(checkup)).checks

    assert (found.status, found.found) == (CheckStatus.FAILED, "unexpected RuntimeError")
    logs.expect_error("checkup.crashed")


async def test_findings_are_bounded(engine_redis, clock):
    long = Check("x" * 9000, CheckStatus.OK, "y" * 9000, "z" * 9000)
    doctor = Doctor(*[long] * (CHECKS_MAX + 1))
    async with running(Checkup(doctor, Replicas(engine_redis), clock, by="versus-0")) as checkup:
        checkup.ask()
        await checkup.settled_within(DEADLINE_S)
        found = await latest(checkup)

    assert len(found.checks) == CHECKS_MAX
    assert {len(text) for it in found.checks for text in (it.name, it.found, it.advice)} == {TEXT_MAX}
    assert 0 < await engine_redis.pttl(keys.CHECKUP) <= 24 * 3600_000


async def test_while_redis_is_away_a_replica_shows_its_own(engine_redis, clock, doctor, monkeypatch):
    replicas = Replicas(engine_redis)
    async with running(Checkup(doctor, replicas, clock, by="versus-0", rest_ms=0)) as checkup:
        monkeypatch.setattr(replicas, "checkup", _away)
        monkeypatch.setattr(replicas, "keep_checkup", _away)
        checkup.ask()
        await checkup.settled_within(DEADLINE_S)

        assert (await latest(checkup)).checks == (FOUND,)
        assert await checkup.refresh(alone=True) == await checkup.latest()


async def test_what_another_version_wrote_and_nobody_can_read_counts_as_none(engine_redis, clock, doctor):
    await engine_redis.set(keys.CHECKUP, '{"at_ms": 1}')

    assert await Checkup(doctor, Replicas(engine_redis), clock, by="versus-0").latest() is None


async def _away(*_: object) -> None:
    raise StoreUnavailable("away")
