"""The number of partitions: fixed at the first start, and checked afterwards."""

import pytest

from versus_py.incidents.model import incident_id, is_incident_id
from versus_py.incidents.partitions import DEFAULT, partitions, use_partitions
from versus_py.store import Markers, keys
from versus_py.store.partitioning import OtherPartitions, check_partitions, fix_partitions

NOW = 1_700_000_000_000


@pytest.fixture(autouse=True)
async def as_before(redis):
    """For what comes after the test, an empty Redis."""
    yield
    use_partitions(DEFAULT)
    await redis.flushall()


async def test_the_first_start_fixes_the_number(redis):
    use_partitions(16)
    await fix_partitions(redis)
    await fix_partitions(redis)
    await check_partitions(redis)

    use_partitions(8)

    for look in (fix_partitions, check_partitions):
        with pytest.raises(OtherPartitions, match=r"redis.partitions is 8, .* is spread over 16: set .* to 16"):
            await look(redis)


async def test_what_a_version_stored_that_did_not_write_the_number_is_spread_over_four(redis):
    await redis.hset(keys.in_partition(0, "marker"), mapping={"id": "a", "seen_ms": NOW, "made_ms": NOW})
    use_partitions(16)

    for look in (check_partitions, fix_partitions):
        with pytest.raises(OtherPartitions, match="is spread over 4"):
            await look(redis)
    use_partitions(4)
    await fix_partitions(redis)


async def test_the_number_survives_the_loss_of_all_data_while_a_replica_runs(redis, logs):
    use_partitions(16)
    await fix_partitions(redis)
    markers = Markers(redis)
    await markers.look(now_ms=NOW)
    await redis.flushall()

    loss = await markers.look(now_ms=NOW + 5_000)

    assert loss is not None
    assert len(loss.partitions) == 16
    use_partitions(4)
    with pytest.raises(OtherPartitions, match="spread over 16"):
        await fix_partitions(redis)


async def test_looking_fixes_nothing(redis):
    await check_partitions(redis)

    assert await redis.keys() == []


async def test_incidents_are_spread_over_all_partitions():
    use_partitions(16)
    ids = [incident_id(f"group {number}", NOW) for number in range(400)]

    assert {int(it.rpartition("-")[2]) for it in ids} == set(partitions())
    assert all(map(is_incident_id, ids))
