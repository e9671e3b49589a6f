"""Which incidents are open, and at which version."""

import time

import pytest

from tests.support.clock import FakeClock
from tests.support.factories import make_notification, make_policy
from versus_py.engine.lifecycle import Lifecycle
from versus_py.incidents.model import Actor, Incident
from versus_py.incidents.places import place_of
from versus_py.store import Store, keys, standings
from versus_py.store.standings import Standing

ANA = Actor("ana")
REOPEN_MINUTES = 10


@pytest.fixture
def clock() -> FakeClock:
    """Starts now: the server expires keys by its own clock."""
    return FakeClock(time.time_ns() // 1_000_000)


@pytest.fixture
def lifecycle(store: Store, clock: FakeClock) -> Lifecycle:
    return Lifecycle(store, clock)


async def created(lifecycle: Lifecycle, name: str) -> Incident:
    [accepted] = await lifecycle.accept([make_notification(dedup_key=name)], lambda _, __: make_policy())
    assert accepted.incident is not None
    return accepted.incident


async def test_open_ones_are_there_with_their_version_and_resolved_ones_are_not(store, lifecycle, clock):
    first, second = await created(lifecycle, "a"), await created(lifecycle, "b")
    await lifecycle.acknowledge(first.id, ANA)
    await lifecycle.resolve(second.id, ANA)

    found = await store.standings.all_open(now_ms=clock.now_ms())

    incident = await store.get(first.id)
    assert found == {first.id: Standing(incident.version, place_of(incident))}
    assert found[first.id].place.is_taken


async def test_what_fires_again_is_open_again_at_once(store, lifecycle, clock):
    incident = await created(lifecycle, "a")
    await lifecycle.resolve(incident.id, ANA)
    assert await store.standings.all_open(now_ms=clock.now_ms()) == {}
    clock.advance(seconds=1)
    await created(lifecycle, "a")

    assert [*await store.standings.all_open(now_ms=clock.now_ms())] == [incident.id]


async def test_more_than_one_script_takes_are_all_there(store, lifecycle, clock, monkeypatch):
    monkeypatch.setattr(standings, "STRETCH", 2)
    monkeypatch.setattr(standings, "TOGETHER", 2)
    ids = {(await created(lifecycle, str(number))).id for number in range(30)}

    assert {*await store.standings.all_open(now_ms=clock.now_ms())} == ids


async def test_what_expired_meanwhile_is_left_out(store, lifecycle, clock, redis):
    incident = await created(lifecycle, "a")
    await redis.delete(keys.incident(incident.id))

    assert await store.standings.all_open(now_ms=clock.now_ms()) == {}


async def test_what_was_resolved_long_ago_is_asked_about_once_a_minute(store, lifecycle, clock, redis):
    incident = await created(lifecycle, "a")
    await lifecycle.resolve(incident.id, ANA)
    for _ in range(2):
        await store.standings.all_open(now_ms=clock.now_ms())
        clock.advance(minutes=REOPEN_MINUTES)
    await store.standings.all_open(now_ms=clock.now_ms())
    await redis.hset(keys.incident(incident.id), "status", "triggered")  # a server that lost its last write

    assert await store.standings.all_open(now_ms=clock.now_ms()) == {}
    clock.advance(minutes=1)
    assert [*await store.standings.all_open(now_ms=clock.now_ms())] == [incident.id]
