"""Incidents of the past, in pages that are stable and that read so much and no more."""

import time

import pytest

from tests.support.clock import FakeClock
from tests.support.factories import make_notification, make_policy
from versus_py.engine.lifecycle import Lifecycle
from versus_py.incidents.model import Actor, Incident, IncidentId, Status
from versus_py.incidents.partitions import partitions
from versus_py.store import Span, Store, history, keys
from versus_py.web.searches import TooCostly

ANA = Actor("ana")


@pytest.fixture
def clock() -> FakeClock:
    """Starts now: the server expires keys by its own clock."""
    return FakeClock(time.time_ns() // 1_000_000)


@pytest.fixture
def lifecycle(store: Store, clock: FakeClock) -> Lifecycle:
    return Lifecycle(store, clock)


async def created(lifecycle: Lifecycle, clock: FakeClock, *names: str) -> list[IncidentId]:
    """Incidents of these names, a second apart."""
    ids = []
    for name in names:
        [accepted] = await lifecycle.accept(
            [make_notification(dedup_key=name, title=name)], lambda _, __: make_policy()
        )
        assert accepted.incident is not None
        ids.append(accepted.incident.id)
        clock.advance(seconds=1)
    return ids


async def together(lifecycle: Lifecycle, number: int) -> None:
    """So many that were created in the same millisecond."""
    notifications = [make_notification(dedup_key=f"many {it}", title=f"many {it}") for it in range(number)]
    await lifecycle.accept(notifications, lambda _, __: make_policy())


def names(incidents: "tuple[Incident, ...]") -> list[str]:
    return [it.title for it in incidents]


async def test_pages_go_down_and_up_again_without_losing_or_repeating_any(store, lifecycle, clock):
    await created(lifecycle, clock, *"abcdefghij")

    first = await store.history.search(limit=4)
    second = await store.history.search(limit=4, older_than=first.older)
    third = await store.history.search(limit=4, older_than=second.older)
    back = await store.history.search(limit=4, newer_than=third.newer)
    top = await store.history.search(limit=4, newer_than=back.newer)

    assert [names(it.incidents) for it in (first, second, third)] == [[*"jihg"], [*"fedc"], [*"ba"]]
    assert (first.newer, third.older) == (None, None)
    assert names(back.incidents) == [*"fedc"]
    assert (names(top.incidents), top.newer) == ([*"jihg"], None)
    assert names((await store.history.search(limit=4, older_than=back.older)).incidents) == [*"ba"]


async def test_pages_stay_as_they_are_while_new_incidents_come(store, lifecycle, clock):
    await created(lifecycle, clock, *"abcdef")
    first = await store.history.search(limit=3)
    before = await store.history.search(limit=3, older_than=first.older)

    await created(lifecycle, clock, *"ghi")

    assert await store.history.search(limit=3, older_than=first.older) == before
    up = await store.history.search(limit=3, newer_than=before.newer)
    assert names(up.incidents) == [*"fed"]


async def test_what_was_created_in_one_millisecond_is_told_apart_by_id(store, lifecycle):
    await together(lifecycle, 130)

    seen: list[str] = []
    cursor: str | None = None
    while True:
        page = await store.history.search(limit=40, older_than=cursor)
        seen += names(page.incidents)
        cursor = page.older
        if cursor is None:
            break
    up = await store.history.search(limit=40, newer_than=page.newer)

    assert len(seen) == len(set(seen)) == 130
    assert names(up.incidents) == seen[80:120]


async def test_a_search_keeps_to_what_is_wanted_and_to_its_time(store, lifecycle, clock):
    began_ms = clock.now_ms()
    await created(lifecycle, clock, *"abcdef")

    odd = await store.history.search(lambda it: it.title in "ace")
    within = await store.history.search(span=Span(began_ms + 1000, began_ms + 3000))

    assert names(odd.incidents) == [*"eca"]
    assert names(within.incidents) == [*"dcb"]
    assert await store.history.count(Span(began_ms + 1000, began_ms + 3000)) == 3
    assert await store.history.count(Span()) == 6


async def test_one_search_looks_at_so_many_and_says_where_to_go_on(store, lifecycle, clock, monkeypatch):
    monkeypatch.setattr(history, "LOOKED_AT_MAX", 50)
    await created(lifecycle, clock, "first")
    await together(lifecycle, 120)

    first = await store.history.search(lambda it: it.title == "first")
    second = await store.history.search(lambda it: it.title == "first", older_than=first.older)
    third = await store.history.search(lambda it: it.title == "first", older_than=second.older)

    assert [(names(it.incidents), it.looked_at, it.is_cut) for it in (first, second, third)] == [
        ([], 50, True),
        ([], 50, True),
        (["first"], 21, False),
    ]
    assert third.older is None


async def test_a_search_that_takes_long_stops_too(store, lifecycle, clock, monkeypatch):
    await together(lifecycle, 60)
    ticks = iter(range(0, 100_000, 3000))
    monkeypatch.setattr(history, "monotonic_ms", lambda: next(ticks))

    page = await store.history.search(lambda _: False)

    assert (page.looked_at, page.is_cut) == (25, True)


async def test_what_cannot_be_read_is_said_and_keeps_nothing_back(store, lifecycle, clock, redis):
    [first, second] = await created(lifecycle, clock, "a", "b")
    await redis.hset(keys.incident(second), "incident", '{"schema":99,"readable_from":99,"x":1}')

    page = await store.history.search()
    then = await store.history.open_at(clock.now_ms(), limit=10)

    assert names(page.incidents) == ["a"]
    assert [it.incident_id for it in page.unread] == [second]
    assert [it.incident.id for it in then.found] == [first]
    assert [it.incident_id for it in then.unread] == [second]


async def test_what_is_no_cursor_is_refused(store):
    for cursor in ("", "x", "1", ":", "-5:x", "1.5:x", "9" * 5000 + ":x", "1:" + "x" * 100, "²:x"):
        with pytest.raises(ValueError, match="no cursor"):
            await store.history.search(older_than=cursor)
        with pytest.raises(ValueError, match="no cursor"):
            await store.history.search(newer_than=cursor)
        with pytest.raises(ValueError, match="no cursor"):
            await store.history.open_at(1, limit=1, older_than=cursor)


async def test_what_the_search_raises_is_raised(store, lifecycle, clock):
    await created(lifecycle, clock, "a")

    def fails(_):
        raise TooCostly("too long")

    with pytest.raises(TooCostly):
        await store.history.search(fails)


async def test_what_was_open_at_a_moment_is_found_however_it_ended(store, lifecycle, clock):
    gone, taken, still = await created(lifecycle, clock, "gone", "taken", "still")
    await lifecycle.resolve(gone, ANA)
    moment_ms = clock.now_ms()
    clock.advance(seconds=5)
    await created(lifecycle, clock, "later")
    await lifecycle.acknowledge(taken, ANA)
    await lifecycle.resolve(taken, ANA)

    found = await store.history.open_at(moment_ms, limit=10)

    assert [it.incident.id for it in found.found] == [still, taken]
    assert found.found[1].incident.status is Status.RESOLVED
    assert [it.event.value for it in found.found[1].timeline] == ["triggered", "acknowledged", "resolved"]
    assert (found.older, found.looked_at) == (None, 3)


async def test_what_was_open_comes_in_parts_too(store, lifecycle, clock, monkeypatch):
    monkeypatch.setattr(history, "GLANCED_AT_MAX", 250)
    await created(lifecycle, clock, "first")
    await together(lifecycle, 300)
    clock.advance(seconds=1)

    seen: list[str] = []
    cursor: str | None = None
    parts = 0
    while True:
        part = await store.history.open_at(clock.now_ms(), limit=100, older_than=cursor)
        seen += [it.incident.title for it in part.found]
        parts, cursor = parts + 1, part.older
        if cursor is None:
            break

    assert len(seen) == len(set(seen)) == 301
    assert parts == 4


async def test_failed_deliveries_and_the_last_loss_are_told(store, redis):
    assert await store.history.failed_count() == 0
    assert await store.history.lost_at_ms() is None

    await redis.zadd(keys.in_partition(2, "failed"), {"x|slack": 1})
    await redis.hset(keys.in_partition(1, "marker"), "lost_at_ms", 7)

    assert await store.history.failed_count() == 1
    assert await store.history.lost_at_ms() == 7


async def test_the_first_page_costs_the_same_however_many_are_stored(store, lifecycle, clock, redis):
    """Listed are those of the page and some more, whatever there is below them; `make bench` takes the time of it."""
    await created(lifecycle, clock, *(f"new {number}" for number in range(60)))

    async def cost():
        before = await redis.info("commandstats")
        page = await store.history.search(limit=50)
        after = await redis.info("commandstats")
        assert len(page.incidents) == 50
        counts = {name: it["calls"] - before.get(name, {"calls": 0})["calls"] for name, it in after.items()}
        return {name: count for name, count in counts.items() if count and name != "cmdstat_info"}

    await cost()  # which opens connections
    few = await cost()
    for partition in partitions():
        older = {f"{number:020x}-{partition}": number for number in range(5_000)}
        await redis.zadd(keys.in_partition(partition, "incidents"), older)

    assert await cost() == few
