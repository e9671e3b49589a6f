"""How replicas notice that Redis lost its data, and what they do not take for that."""

from itertools import count

import pytest

from versus_py.incidents.partitions import partitions
from versus_py.store import Markers, Store, keys
from versus_py.store.markers import BEGINNING_MS, SET_BACK_MS

NOW = 1_700_000_000_000
EVERY_MS = 5_000
ALL = partitions()


def marker(partition: int) -> str:
    return keys.in_partition(partition, "marker")


async def running(redis, *, looks: int = 20) -> Markers:
    """A replica that has run for a while."""
    found = Markers(redis)
    for number in range(looks):
        assert await found.look(now_ms=NOW + number * EVERY_MS) is None
    return found


LATER = NOW + 20 * EVERY_MS


async def test_an_empty_redis_at_the_very_first_start_is_no_loss(redis, logs):
    markers = Markers(redis)

    assert await markers.look(now_ms=NOW) is None
    assert await markers.look(now_ms=NOW + EVERY_MS) is None
    assert [line["event"] for line in logs] == ["store.begun"]


async def test_a_replica_that_starts_beside_others_is_no_loss(redis):
    first = await running(redis)

    second = Markers(redis)

    for number in count(1):
        now_ms = LATER + number * EVERY_MS
        assert (await first.look(now_ms=now_ms), await second.look(now_ms=now_ms)) == (None, None)
        if number == 20:
            break


async def test_replicas_that_start_together_are_no_loss(redis):
    """One writes the first markers, and the other comes in between."""
    await redis.hset(marker(0), mapping={"id": "a", "seen_ms": NOW, "made_ms": NOW})

    assert await Markers(redis).look(now_ms=NOW + 100) is None


async def test_a_replica_that_died_in_its_first_look_has_lost_nothing_when_it_starts_again_much_later(redis):
    await Markers(redis).look(now_ms=NOW)
    await redis.delete(marker(3))  # it had not come so far

    assert await Markers(redis).look(now_ms=NOW + 10 * BEGINNING_MS) is None


async def test_replicas_that_stood_still_in_their_first_looks_have_lost_nothing(redis):
    """One made the first marker, another has seen it since, and neither has come to the last one."""
    first, second = Markers(redis), Markers(redis)
    await first.look(now_ms=NOW)
    await second.look(now_ms=NOW + 2 * BEGINNING_MS)
    await redis.delete(marker(3))

    assert await Markers(redis).look(now_ms=NOW + 2 * BEGINNING_MS) is None


async def test_deleted_data_is_a_loss_until_it_is_accepted(redis):
    markers = await running(redis)
    await redis.flushall()

    found = await markers.look(now_ms=LATER)
    again = await markers.look(now_ms=LATER + EVERY_MS)
    is_open = await Markers(redis).open_loss()
    accepted = await Markers(redis).accept()
    after = await markers.look(now_ms=LATER + 2 * EVERY_MS)

    assert found
    assert again
    assert (found.at_ms, dict(found.partitions), found.is_found_here) == (LATER, dict.fromkeys(ALL, "emptied"), True)
    assert (again.at_ms, again.is_found_here) == (LATER, False)
    assert accepted
    assert is_open == accepted
    assert str(accepted) == "emptied"
    assert await Markers(redis).open_loss() is None
    assert after is None
    assert await Markers(redis).accept() is None


async def test_every_replica_knows_of_a_loss_also_one_that_starts_later(redis):
    first, second = await running(redis), await running(redis)
    await redis.flushall()

    ways = [await it.look(now_ms=LATER) for it in (first, second, Markers(redis))]

    assert [(it.at_ms, it.is_found_here) for it in ways if it] == [(LATER, True), (LATER, False), (LATER, False)]


async def test_a_replica_that_looks_after_the_loss_was_accepted_does_not_find_it_again(redis):
    first, second = await running(redis), await running(redis)
    await redis.flushall()
    await first.look(now_ms=LATER)
    await Markers(redis).accept()

    assert await second.look(now_ms=LATER + EVERY_MS) is None


async def test_a_replica_that_starts_on_the_emptied_data_does_not_hide_the_loss(redis):
    markers = await running(redis)
    await redis.flushall()
    await Markers(redis).look(now_ms=LATER)

    found = await markers.look(now_ms=LATER + 1)

    assert found
    assert str(found) == "replaced"


async def test_other_data_is_a_loss_and_so_is_the_way_back(redis):
    markers = await running(redis)
    await redis.execute_command("SWAPDB", 0, 1)
    there = await markers.look(now_ms=LATER)
    await Markers(redis).accept()
    await redis.execute_command("SWAPDB", 0, 1)

    back = await markers.look(now_ms=LATER + EVERY_MS)

    await redis.execute_command("FLUSHALL")
    assert there
    assert back
    assert (str(there), str(back)) == ("emptied", "replaced")


@pytest.mark.parametrize(("older_ms", "said"), [(SET_BACK_MS - EVERY_MS, None), (SET_BACK_MS + EVERY_MS, "set back")])
async def test_a_backup_is_a_loss_and_the_last_seconds_are_none(redis, older_ms, said):
    markers = await running(redis)
    for partition in ALL:
        await redis.hset(marker(partition), "seen_ms", LATER - EVERY_MS - older_ms)

    found = await markers.look(now_ms=LATER)

    assert (str(found) if found else None) == said


async def test_one_partition_that_lost_its_data_is_named(redis):
    markers = await running(redis)
    await redis.delete(marker(2))

    found = await markers.look(now_ms=LATER)

    assert found
    assert str(found) == "emptied in 1 of 4 partitions"
    assert list(found.partitions) == [2]


async def test_a_partition_that_was_emptied_while_no_replica_ran_is_found_by_the_others(redis):
    await running(redis)
    await redis.delete(marker(1))

    found = await Markers(redis).look(now_ms=NOW + BEGINNING_MS + 1)

    assert found
    assert list(found.partitions) == [1]


async def test_with_a_memory_data_that_was_lost_between_two_processes_is_a_loss(redis, tmp_path):
    memory = tmp_path / "markers.json"
    await Markers(redis, memory).look(now_ms=NOW)
    kept = await Markers(redis, memory).look(now_ms=LATER)
    await redis.flushall()

    found = await Markers(redis, memory).look(now_ms=LATER + EVERY_MS)

    assert kept is None
    assert found
    assert str(found) == "emptied"


@pytest.mark.parametrize("content", ["", "[]", '{"0": 1}', '{"x": {}}'])
async def test_a_memory_that_cannot_be_read_is_none(redis, tmp_path, content):
    memory = tmp_path / "markers.json"
    memory.write_text(content)

    assert await Markers(redis, memory).look(now_ms=NOW) is None


async def test_a_memory_that_cannot_be_written_is_said_and_nothing_fails(redis, tmp_path, logs):
    markers = Markers(redis, tmp_path / "gone" / "markers.json")

    assert await markers.look(now_ms=NOW) is None
    assert "store.not_remembered" in [line["event"] for line in logs]


async def test_a_full_redis_is_no_loss(redis):
    markers = await running(redis)
    await redis.config_set("maxmemory", 1)
    try:
        assert await markers.look(now_ms=LATER) is None
        assert await Markers(redis).accept() is None
    finally:
        await redis.config_set("maxmemory", 0)


async def test_the_key_that_signs_links_is_written_again_also_in_the_place_of_another(redis, store: Store):
    key = await store.signing_key()
    await redis.flushall()
    another = await store.signing_key()

    await store.keep_signing_key(key)

    assert another != key
    assert await store.signing_key() == key


async def test_the_key_that_a_replica_knows_takes_no_place_of_another(redis, store: Store):
    key = await store.signing_key("known")
    other = await store.signing_key("later")

    assert (key, other) == ("known", "known")
