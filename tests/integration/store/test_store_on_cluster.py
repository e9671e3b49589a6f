"""What holds for the store on one server holds on a cluster: the same tests, on three nodes."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.integration.store import test_store
from tests.support.redis_servers import ClusterWorld, redis_server, run_cluster
from versus_py.config import RedisConfig
from versus_py.incidents.model import Actor, IncidentId
from versus_py.incidents.partitions import partitions
from versus_py.store import Markers, Member, Rate, Storms, Turns, keys
from versus_py.store.calls import RedisClient
from versus_py.store.connection import connect
from versus_py.store.people import KnownPeople
from versus_py.store.requests import TakenRequests

pytestmark = pytest.mark.cluster

DAY_MS = 24 * 3600 * 1000

ABOUT_ONE_SERVER = {
    "test_a_server_that_is_gone_is_one_error",
    "test_a_server_that_refuses_writes_is_the_same_error",
    "test_what_was_claimed_before_redis_went_away_is_worked_on",
}

globals().update(
    {name: test for name, test in vars(test_store).items() if name.startswith("test_") and name not in ABOUT_ONE_SERVER}
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterWorld]:
    with run_cluster(tmp_path_factory.mktemp("cluster"), redis_server()) as found:
        yield found


@pytest.fixture
async def redis(world: ClusterWorld) -> AsyncIterator[RedisClient]:
    """A client of an empty cluster, in place of one of a server."""
    world.empty()
    async with connect(RedisConfig.model_validate(world.settings)) as client:
        yield client


async def test_a_storm_lives_on_a_cluster(redis, clock):
    storms, now_ms = Storms(redis, retention_ms=DAY_MS), clock.now_ms()
    member = Member("critical", "DiskFull", "triggered")
    storm_id = await storms.join("C1", IncidentId("a-1"), member, now_ms=now_ms)

    async with storms.lock("C1", storm_id) as is_ours, storms.lock("C1", storm_id) as is_theirs:
        assert (is_ours, is_theirs) == (True, False)
        await storms.note("C1", storm_id, ts="1.2", shown=1)
    async with storms.lock("C1", storm_id) as is_free_again:
        assert is_free_again

    storm = await storms.get("C1", storm_id)
    assert storm is not None
    assert (storm.ts, storm.shown, dict(storm.members)) == ("1.2", 1, {"a-1": member})
    assert await storms.kept() == [("C1", storm_id)]
    assert await storms.end(storm, now_ms=now_ms)


async def test_a_lock_that_took_too_long_is_left_to_who_holds_it_now(redis):
    storms = Storms(redis, retention_ms=DAY_MS)
    name = keys.storm_lock("C1", "storm")

    async with storms.lock("C1", "storm"):
        await redis.set(name, "somebody else's")

    assert await redis.get(name) == "somebody else's"


async def test_turns_people_and_requests_are_kept_on_a_cluster(redis, clock):
    turns, people, requests = Turns(redis), KnownPeople(redis), TakenRequests(redis)
    rate = Rate(interval_ms=1000)

    first = await turns.take("slack:C1", "a", rate, now_ms=clock.now_ms())
    second = await turns.take("slack:C1", "b", rate, now_ms=clock.now_ms())
    await turns.leave("slack:C1", "b")
    await turns.hold_back("slack:C1", rate, until_ms=clock.now_ms() + 5000)
    await people.keep("slack", Actor("ana", ids={"slack": "U1"}), for_ms=DAY_MS)
    await requests.add("request")

    assert (first.wait_until_ms, second.wait_until_ms) == (None, clock.now_ms() + 1000)
    assert await people.get("slack", "U1") == Actor("ana", ids={"slack": "U1"})
    assert await requests.has("request")


async def test_the_loss_of_one_nodes_data_is_noticed(redis, world, clock):
    markers = Markers(redis)
    await markers.look(now_ms=clock.now_ms())
    lost = [it for it in partitions() if world.owner_of(keys.in_partition(it, "marker")) is world.primaries[0]]
    with world.primaries[0].client() as meddler:
        meddler.flushall()

    found = await markers.look(now_ms=clock.advance(seconds=5))

    assert found is not None
    assert [*found.partitions] == lost
    assert 0 < len(lost) < len(partitions())
