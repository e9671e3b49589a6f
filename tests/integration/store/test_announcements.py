"""What is armed wakes workers, without anybody waiting for that."""

import asyncio

from tests.support.waiting import until
from versus_py.incidents.model import IncidentId
from versus_py.store import keys
from versus_py.store.announcements import Announcements
from versus_py.store.changes import NOT_DUE_MS

NOW_MS = 1_700_000_000_000


async def announced(redis):
    return {entry["incident"]: int(entry["due"]) for _, entry in await redis.xrange(keys.EVENTS)}


async def test_what_comes_at_once_and_what_comes_meanwhile_are_two_announcements(redis):
    announcements = Announcements(redis)
    await redis.config_resetstat()

    for number in range(20):
        announcements.make({IncidentId(f"a{number}-0"): NOW_MS})
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    for number in range(20):
        announcements.make({IncidentId(f"b{number}-0"): NOW_MS})

    async def are_all_there():
        return len(await announced(redis)) == 40

    await until(are_all_there)
    stats = await redis.info("commandstats")
    assert stats["cmdstat_xtrim"]["calls"] == 2


async def test_of_one_incident_the_earliest_time_is_announced(redis):
    announcements, incident_id = Announcements(redis), IncidentId("a-0")

    for due_ms in (NOW_MS + 5, NOW_MS + 1, NOW_MS + 3):
        announcements.make({incident_id: due_ms})

    await until(lambda: announced(redis))
    assert await announced(redis) == {incident_id: NOW_MS + 1}


async def test_a_change_that_arms_nothing_is_announced_too(redis):
    announcements = Announcements(redis)

    announcements.make({IncidentId("a-0"): None})

    await until(lambda: announced(redis))
    assert await announced(redis) == {"a-0": NOT_DUE_MS}
