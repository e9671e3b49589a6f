"""Which incident a system's message or record belongs to: written before the delivery, checked by who reads it."""

import time

import pytest

from tests.integration.store.test_store import claim, created, save
from tests.support.clock import FakeClock
from tests.support.factories import make_notification
from versus_py.errors import StoreUnavailable
from versus_py.incidents.copies import replace
from versus_py.incidents.model import Actor, Delivery
from versus_py.incidents.transitions import observe, resolve
from versus_py.store import Completion, keys

LOCATOR = "C0ALERTS\n1700000000.0001"
RETENTION_MS = 7 * 24 * 3600_000
HOUR_MS = 3600_000


@pytest.fixture
def clock() -> FakeClock:
    """Starts now: the server expires keys by its own clock."""
    return FakeClock(time.time_ns() // 1_000_000)


async def posted(store, clock):
    """The id of an incident whose message is at LOCATOR."""
    change = await created(store, clock)
    [taken] = await claim(store, clock)
    done = Completion("done", 1, delivery=Delivery({"ts": "1"}, locator=LOCATOR), names_locator=True)
    assert await store.complete(taken, done, now_ms=clock.now_ms())
    return change.incident.id


async def left_ms(redis, locator=LOCATOR):
    return await redis.pttl(keys.reference("slack", locator))


async def test_an_incident_is_found_by_what_its_system_calls_its_message(store, clock):
    incident_id = await posted(store, clock)

    assert await store.incident_at("slack", LOCATOR) == incident_id
    assert await store.incident_at("servicenow", LOCATOR) is None
    assert await store.incident_at("slack", f"{LOCATOR}2") is None


async def test_a_message_that_was_never_recorded_leads_nowhere(store, clock, redis):
    incident_id = await posted(store, clock)
    await redis.hdel(keys.incident(incident_id), f"{keys.DELIVERY_FIELD}slack")

    assert await store.incident_at("slack", LOCATOR) is None


async def test_a_message_in_place_of_another_is_found_and_the_other_is_not(store, clock):
    incident_id = await posted(store, clock)
    await store.arm(incident_id, "slack", now_ms=clock.now_ms())
    [taken] = await claim(store, clock)
    moved = Completion("done", 1, delivery=Delivery({"ts": "2"}, locator="C0OTHER\n2"), names_locator=True)
    await store.complete(taken, moved, now_ms=clock.now_ms())

    assert await store.incident_at("slack", "C0OTHER\n2") == incident_id
    assert await store.incident_at("slack", LOCATOR) is None


async def test_what_a_worker_posted_that_lost_its_lease_leads_nowhere(store, clock):
    change = await created(store, clock)
    [late] = await claim(store, clock)
    clock.advance(seconds=61)
    [taken] = await claim(store, clock)
    first = Completion("done", 1, delivery=Delivery({"ts": "1"}, locator=LOCATOR), names_locator=True)
    second = replace(first, delivery=Delivery({"ts": "2"}, locator="C0ALERTS\n2"))
    assert await store.complete(taken, second, now_ms=clock.now_ms())

    assert not await store.complete(late, first, now_ms=clock.now_ms())

    assert await store.incident_at("slack", LOCATOR) is None
    assert await store.incident_at("slack", "C0ALERTS\n2") == change.incident.id


async def test_what_cannot_be_indexed_is_not_given_back_yet(store, clock, monkeypatch):
    change = await created(store, clock)
    [taken] = await claim(store, clock)

    async def away(_calls):
        raise StoreUnavailable("Redis did not take it: away")

    monkeypatch.setattr(store._references, "run", away)
    done = Completion("done", 1, delivery=Delivery({"ts": "1"}, locator=LOCATOR), names_locator=True)
    with pytest.raises(StoreUnavailable):
        await store.complete(taken, done, now_ms=clock.now_ms())

    assert (await store.get(change.incident.id)).delivery("slack") == Delivery()
    monkeypatch.undo()
    assert await store.complete(taken, done, now_ms=clock.now_ms())
    assert await store.incident_at("slack", LOCATOR) == change.incident.id


async def test_it_is_kept_as_long_as_the_incident_that_changes(store, clock, redis):
    incident_id = await posted(store, clock)
    await redis.pexpire(keys.reference("slack", LOCATOR), HOUR_MS)
    incident = await store.get(incident_id)

    await save(store, observe(incident, make_notification(), clock.now_ms()), now_ms=clock.now_ms())
    renewed_ms = await left_ms(redis)
    await redis.pexpire(keys.reference("slack", LOCATOR), HOUR_MS)
    await save(store, resolve(await store.get(incident_id), Actor("ana"), clock.now_ms()), now_ms=clock.now_ms())

    assert renewed_ms == pytest.approx(await redis.pttl(keys.incident(incident_id)), abs=5_000)
    assert await left_ms(redis) == pytest.approx(await redis.pttl(keys.incident(incident_id)), abs=5_000)


async def test_it_is_written_again_with_all_that_is_open(store, clock, redis):
    incident_id = await posted(store, clock)
    await redis.delete(keys.reference("slack", LOCATOR))
    await redis.pexpire(keys.incident(incident_id), RETENTION_MS // 2)

    for partition in range(4):
        await store.renew(partition, 0, now_ms=clock.now_ms())

    assert await store.incident_at("slack", LOCATOR) == incident_id
    assert await left_ms(redis) >= RETENTION_MS - 60_000


async def test_a_completion_that_has_nothing_new_writes_no_key(store, clock, redis):
    incident_id = await posted(store, clock)
    await redis.delete(keys.reference("slack", LOCATOR))
    await store.arm(incident_id, "slack", now_ms=clock.now_ms())
    [taken] = await claim(store, clock)

    await store.complete(
        taken, Completion("done", 1, delivery=Delivery({"ts": "1"}, locator=LOCATOR)), now_ms=clock.now_ms()
    )

    assert not await redis.exists(keys.reference("slack", LOCATOR))
