"""Due timers are read page by page, in the order of their times, whatever is claimed meanwhile."""

import pytest

from versus_py.incidents.model import IncidentId
from versus_py.incidents.partitions import partitions
from versus_py.store import Due, keys

LEASE_MS = 60_000
NOW_MS = 1_700_000_000_000


async def armed(redis, dues: dict[int, list[int]]) -> list[Due]:
    """Timers of each partition, at these times before now; earliest first."""
    found = []
    for partition, times in dues.items():
        for number, before_ms in enumerate(times):
            due = Due(NOW_MS - before_ms, IncidentId(f"{number:020x}-{partition}"), "slack")
            await redis.zadd(
                keys.in_partition(partition, "timers"), {keys.member(due.incident_id, due.target): due.due_ms}
            )
            found.append(due)
    return sorted(found)


async def told(store, *, limit: int = 5, from_ms: int | None = None, is_claimed: bool = False) -> list[Due]:
    found: list[Due] = []
    async for page in store.timers.pages(now_ms=NOW_MS, lease_ms=LEASE_MS, limit=limit, from_ms=from_ms):
        new = [it for it in page.due if it not in found]
        found += new
        if is_claimed:
            await store.timers.claim(new, now_ms=NOW_MS, lease_ms=LEASE_MS)
    return found


@pytest.mark.parametrize("is_claimed", [False, True])
@pytest.mark.parametrize("limit", [3, 5, 50])
async def test_all_that_is_due_is_told_in_its_order(store, redis, limit, is_claimed):
    times = {it: [7 * number + it for number in range(9 + 3 * it)] for it in partitions()}
    due = await armed(redis, times)

    assert await told(store, limit=limit, is_claimed=is_claimed) == due


async def test_a_partition_with_little_waits_for_what_is_due_before_in_others(store, redis):
    due = await armed(redis, {0: [100, 90, 80, 70, 60, 50], 1: [75, 5]})

    assert await told(store, limit=2) == due


async def test_more_than_a_page_of_the_same_moment_is_told(store, redis):
    due = await armed(redis, {0: [50] * 12 + [40], 1: [60, 50, 30]})

    assert await told(store) == due
    assert await told(store, is_claimed=True) == due


async def test_what_was_due_before_is_left_out(store, redis):
    due = await armed(redis, {it: list(range(10)) for it in partitions()})

    assert await told(store, from_ms=NOW_MS - 4) == [it for it in due if it.due_ms >= NOW_MS - 4]


async def test_nobody_reads_on_who_has_enough(store, redis):
    await armed(redis, {0: list(range(30))})
    pages = store.timers.pages(now_ms=NOW_MS, lease_ms=LEASE_MS, limit=5, from_ms=None)

    first = await anext(pages)
    await pages.aclose()

    assert len(first.due) == 5
    assert first.more_from_ms == first.due[-1].due_ms
