"""Claims of workers that are gone: what they had not begun to send is free soon, the rest when its lease ends."""

import pytest

from tests.integration.store.test_store import created
from versus_py.errors import StoreUnavailable
from versus_py.incidents.partitions import partitions
from versus_py.store import Claim, Completion, Store
from versus_py.store.calls import run_apart
from versus_py.store.timers import GONE_MS, LOST_MS

LEASE_MS = 120_000


@pytest.fixture
def looked(store: Store, clock):
    """A look of a worker; what it found to be due."""

    async def look(worker: str):
        return (await store.timers.look(now_ms=clock.now_ms(), lease_ms=LEASE_MS, limit=10, worker=worker)).due

    return look


@pytest.fixture
def claimed(store: Store, clock, looked):
    """What a worker claims of all that is due."""

    async def claim(worker: str) -> list[Claim]:
        found = await store.timers.claim(await looked(worker), now_ms=clock.now_ms(), lease_ms=LEASE_MS, worker=worker)
        return [it for it in found if it is not None]

    return claim


async def test_what_a_worker_that_is_gone_had_not_begun_to_send_is_free_and_was_no_attempt(
    store, clock, claimed, looked
):
    await created(store, clock)
    [held] = await claimed("one")
    clock.advance(ms=GONE_MS - 1)
    assert await claimed("other") == []

    clock.advance(ms=1)

    [taken] = await claimed("other")
    assert (taken.incident_id, taken.attempt) == (held.incident_id, 1)


async def test_what_a_worker_that_is_gone_may_have_sent_is_free_when_the_lease_ends(store, clock, claimed):
    await created(store, clock)
    [held] = await claimed("one")
    assert await store.timers.begin(held)
    clock.advance(ms=LEASE_MS - 1)
    assert await claimed("other") == []

    clock.advance(ms=1)

    [taken] = await claimed("other")
    assert taken.attempt == 2


async def test_what_was_taken_from_a_worker_that_only_stood_still_it_may_neither_send_nor_complete(
    store, clock, claimed
):
    await created(store, clock)
    [held] = await claimed("one")
    clock.advance(ms=GONE_MS)
    [taken] = await claimed("other")

    assert not await store.timers.begin(held)
    assert not await store.complete(held, Completion("done", 1), now_ms=clock.now_ms())
    assert await store.timers.begin(taken)


async def test_a_worker_that_looks_keeps_what_it_has_claimed(store, clock, claimed, looked):
    await created(store, clock)
    [held] = await claimed("one")
    for _ in range(5):
        clock.advance(ms=GONE_MS - 1)
        assert await looked("one") == ()
        assert await looked("other") == ()

    assert await store.timers.begin(held)


async def test_nothing_is_remembered_of_claims_that_were_given_back(store, clock, claimed, looked, redis):
    await created(store, clock)
    [held] = await claimed("one")
    assert await store.complete(held, Completion("postponed", 1, at_ms=clock.now_ms()), now_ms=clock.now_ms())

    assert await redis.keys("*:unsent") == []
    clock.advance(ms=GONE_MS)
    [taken] = await claimed("other")
    assert taken.attempt == 1


async def test_workers_are_forgotten_when_nobody_looks(store, clock, looked, redis):
    await looked("one")

    assert all([0 < await redis.pttl(name) <= 3600_000 for name in await redis.keys("*:workers")])


@pytest.fixture
def lose_an_answer(monkeypatch):
    """From now on, the first answer to a claim is lost: what was asked is done, and nobody hears of it."""

    def lose() -> None:
        async def unheard(redis, calls):
            found = await run_apart(redis, calls)
            if len(found[0]) and isinstance(found[0][0], list):  # of a claim: a look says first when the next is due
                monkeypatch.undo()
                return [StoreUnavailable("Redis did not take it: Connection reset by peer")] * len(found)
            return found

        monkeypatch.setattr("versus_py.store.timers.run_apart", unheard)

    return lose


async def test_what_a_worker_has_claimed_without_hearing_of_it_it_claims_again(
    store, clock, claimed, looked, lose_an_answer
):
    incident = (await created(store, clock)).incident
    lose_an_answer()
    with pytest.raises(StoreUnavailable):
        await claimed("one")
    clock.advance(ms=2_000)

    assert await claimed("other") == []
    [held] = await claimed("one")

    assert (held.incident_id, held.attempt, held.token) == (incident.id, 1, clock.now_ms() + LEASE_MS)
    assert held.incident() == incident
    assert await looked("one") == ()
    assert await store.timers.begin(held)
    assert await store.complete(held, Completion("done", 1), now_ms=clock.now_ms())


async def test_what_somebody_else_has_claimed_since_is_not_found_again(store, clock, claimed, looked, lose_an_answer):
    await created(store, clock)
    lose_an_answer()
    with pytest.raises(StoreUnavailable):
        await claimed("one")
    clock.advance(ms=GONE_MS)
    [taken] = await claimed("other")

    assert await claimed("one") == []
    assert await looked("one") == ()
    assert await store.timers.begin(taken)


async def test_a_claim_that_has_begun_or_is_newer_is_not_given_again(store, clock, claimed, looked):
    await created(store, clock)
    due = await looked("one")
    now_ms = clock.now_ms()

    async def again(now_ms: int):
        return (await store.timers.claim(due, now_ms=now_ms, lease_ms=LEASE_MS, worker="one"))[0]

    held = await again(now_ms + 5)
    assert await again(now_ms) is None  # it was on its way for long
    assert await again(now_ms + 5) == held
    assert await store.timers.begin(held)
    assert await again(now_ms + 10) is None


async def test_a_partition_that_was_lost_is_looked_at_again_although_the_clock_was_set_back(store, clock, looked):
    await created(store, clock)
    clock.advance(hours=1)
    store.timers._lost_until_ms = {str(it): clock.now_ms() + LOST_MS for it in partitions()}
    assert await looked("one") == ()

    clock.advance(minutes=-50)

    assert {it.target for it in await looked("one")} == {"slack", "servicenow"}


async def test_a_claim_that_never_came_to_redis_is_due_once(store, clock, claimed, looked, monkeypatch):
    await created(store, clock)
    due = await looked("one")

    async def unreachable(*_: object) -> None:
        raise StoreUnavailable("Redis did not take it: Connection refused")

    with monkeypatch.context() as down:
        down.setattr("versus_py.store.timers.run_apart", unreachable)
        with pytest.raises(StoreUnavailable):
            await store.timers.claim(due, now_ms=clock.now_ms(), lease_ms=LEASE_MS, worker="one")

    assert await looked("one") == due
    [held] = await claimed("one")
    assert await looked("one") == ()
    assert await store.timers.begin(held)
