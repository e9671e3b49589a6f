"""The journal in Redis: one chain, whoever appends, that is bounded and forgotten in the end."""

import asyncio

import pytest

from tests.support.clock import START_MS
from tests.support.journals import Followed, followed, make_acceptance, read
from tests.support.redis_servers import RedisServer, valkey_server
from versus_py.config import RedisConfig
from versus_py.errors import StoreUnavailable, VersusError
from versus_py.store import keys
from versus_py.store.calls import run_all
from versus_py.store.connection import connect
from versus_py.store.durability import durability_for
from versus_py.store.journal import RedisJournal, StoredJournal, in_redis
from versus_py.telemetry.metrics import Metrics

HOUR_MS = 3600 * 1000
DAY_MS = 24 * HOUR_MS


def make_journal(redis, **how):
    return RedisJournal(redis, **{"keep_ms": 8 * DAY_MS} | how)


def at(now_ms, number=1):
    return [make_acceptance(at_ms=now_ms, item=item) for item in range(1, number + 1)]


@pytest.fixture
def now_ms(clock, redis):
    """Keys expire by the server's own clock."""
    clock.advance(ms=4 * 365 * DAY_MS)
    return clock.now_ms()


async def test_what_is_added_is_read_as_one_chain(redis, now_ms):
    journal = make_journal(redis)
    await journal.add(at(now_ms, 3))
    await journal.add(at(now_ms, 2))

    found = await followed(StoredJournal(redis))

    assert (found.broken, [line.n for line in found.lines]) == ([], [1, 2, 3, 4, 5])
    assert [line.item for line in found.lines] == [1, 2, 3, 1, 2]
    assert found.chain.algorithm == "sha1"


async def test_replicas_that_append_at_once_make_one_chain(redis, redis_socket, now_ms):
    async with connect(RedisConfig.model_validate({"url": f"unix://{redis_socket}"})) as other:
        replicas = [make_journal(redis), make_journal(other)]
        additions = [replica.add(at(now_ms, 1 + index % 4)) for index in range(100) for replica in replicas]
        await asyncio.gather(*additions)

    found = await followed(StoredJournal(redis))

    assert found.broken == []
    assert len(found.lines) == 2 * 25 * (1 + 2 + 3 + 4)


async def test_a_request_of_thousands_is_one_chain_by_one_round_trip(redis, now_ms, monkeypatch):
    trips = []

    async def counted(client, calls):
        trips.append(len(calls))
        return await run_all(client, calls)

    monkeypatch.setattr(in_redis, "run_all", counted)

    await make_journal(redis).add(at(now_ms, 2500))

    found = await followed(StoredJournal(redis))
    assert trips == [25]
    assert (found.broken, [line.item for line in found.lines]) == ([], [*range(1, 2501)])


@pytest.mark.parametrize("durability", ["memory", "fsync"])
async def test_it_is_as_sure_as_everything_else(durability, tmp_path, now_ms):
    options = ("--appendonly", "yes", "--appendfsync", "always")
    with RedisServer(valkey_server(), tmp_path / "server", options) as server:
        config = RedisConfig.model_validate({"url": server.url, "durability": durability})
        async with connect(config) as client:
            await make_journal(client, durability=durability_for(client, config)).add(at(now_ms))
            server.kill()
            server.start()

            assert len((await followed(StoredJournal(client))).lines) == 1


async def test_a_line_that_is_too_old_is_dropped_and_the_chain_begins_at_its_anchor(redis, now_ms):
    journal = make_journal(redis)
    await journal.add(at(now_ms, 3))
    await journal.add(at(now_ms + 4 * DAY_MS, 2))

    await journal.add(at(now_ms + 9 * DAY_MS))

    found = await followed(StoredJournal(redis))
    assert (found.broken, found.chain.first, [line.n for line in found.lines]) == ([], 4, [4, 5, 6])


async def test_one_call_drops_a_bounded_number(redis, now_ms):
    journal = make_journal(redis)
    await journal.add(at(now_ms, 450))

    left = []
    for _ in range(4):
        await journal.add(at(now_ms + 9 * DAY_MS))
        left.append(await redis.llen(keys.JOURNAL))

    assert left == [1 + 251, 1 + 52, 1 + 3, 1 + 4]
    assert (await followed(StoredJournal(redis))).broken == []


async def test_it_is_forgotten_when_nothing_is_added_any_more(redis, now_ms):
    await make_journal(redis).add(at(now_ms))

    for key in (keys.JOURNAL, keys.JOURNAL_HEAD):
        assert await redis.pexpiretime(key) == now_ms + 8 * DAY_MS


@pytest.mark.parametrize("index", [0, 1, 2, -1])
async def test_whatever_somebody_wrote_into_it_what_comes_is_appended(redis, now_ms, index):
    journal = make_journal(redis)
    await journal.add(at(now_ms, 3))
    await redis.lset(keys.JOURNAL, index, "nonsense {")

    await journal.add(at(now_ms + 9 * DAY_MS, 2))
    await journal.add(at(now_ms + 18 * DAY_MS, 2))

    found = await followed(StoredJournal(redis))
    assert [line.n for line in found.lines] == [6, 7]


async def change_the_third(redis):
    await redis.lset(keys.JOURNAL, 3, "something else")


async def remove_the_third(redis):
    await redis.lrem(keys.JOURNAL, 1, await redis.lindex(keys.JOURNAL, 3))


async def remove_the_last(redis):
    await redis.rpop(keys.JOURNAL)


async def remove_the_anchor(redis):
    await redis.lpop(keys.JOURNAL)


@pytest.mark.parametrize(
    ("deed", "line"),
    [
        (change_the_third, 3),
        (remove_the_third, 3),
        (remove_the_last, 7),
        (remove_the_anchor, 1),
    ],
)
async def test_what_somebody_did_to_it_is_found_by_the_number_of_the_line(redis, now_ms, deed, line):
    journal = make_journal(redis)
    await journal.add(at(now_ms, 7))
    await deed(redis)

    found = await followed(StoredJournal(redis))

    assert [number for number, _ in found.broken] == [line]


async def test_lines_that_are_all_gone_are_missed_by_the_next_one(redis, now_ms):
    journal = make_journal(redis)
    await journal.add(at(now_ms, 6))
    await redis.delete(keys.JOURNAL)

    await journal.add(at(now_ms))

    found = await followed(StoredJournal(redis))
    assert found.broken == [(7, "the journal's first line is missing, or was changed")]


async def test_a_chain_that_lost_its_head_begins_anew_and_that_is_found(redis, now_ms):
    journal = make_journal(redis)
    await journal.add(at(now_ms, 6))
    await redis.delete(keys.JOURNAL_HEAD)

    await journal.add(at(now_ms))

    found = await followed(StoredJournal(redis))
    assert found.broken == [(1, "the chain begins anew after line 6")]


async def test_bytes_that_are_no_text_are_told(redis, now_ms):
    await make_journal(redis).add(at(now_ms))
    await redis.rpush(keys.JOURNAL, b"\xff\xfe")

    with pytest.raises(VersusError, match="no text"):
        await read(StoredJournal(redis))


async def test_lines_that_are_appended_and_dropped_meanwhile_do_not_disturb_who_reads(redis, now_ms, monkeypatch):
    monkeypatch.setattr(in_redis, "STRETCH", 100)
    journal = make_journal(redis)
    await journal.add(at(now_ms, 50))
    await journal.add(at(now_ms + 5 * DAY_MS, 200))

    texts: list[str] = []
    async for stretch in StoredJournal(redis).stretches():
        texts += stretch.lines
        if len(texts) < 250:
            await journal.add(at(now_ms + 9 * DAY_MS))

    found = Followed(texts)
    assert (found.broken, [line.n for line in found.lines]) == ([], [*range(1, 253)])


async def test_lines_that_are_dropped_before_they_could_be_read_are_told(redis, now_ms, monkeypatch):
    monkeypatch.setattr(in_redis, "STRETCH", 10)
    journal = make_journal(redis)
    await journal.add(at(now_ms, 50))
    stretches = StoredJournal(redis).stretches()
    await anext(stretches)

    await journal.add(at(now_ms + 9 * DAY_MS))

    with pytest.raises(VersusError, match="try again"):
        await anext(stretches)


async def test_a_redis_that_does_not_answer_is_told(shared_redis, clock):
    async with connect(shared_redis.config) as client:
        journal, metrics = make_journal(client), Metrics()
        shared_redis.go_away()

        with pytest.raises(StoreUnavailable):
            await journal.add(at(START_MS))

    assert metrics.registry.get_sample_value("versus_journal_lines_total", {"result": "written"}) == 0
