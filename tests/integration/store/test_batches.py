"""Calls of one turn of the loop share a pipeline, and nothing else: each has its own answers and its own errors."""

import asyncio

import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from versus_py.errors import StoreUnavailable
from versus_py.store import batches, wire
from versus_py.store.calls import RedisClient, answers, run_apart
from versus_py.store.connection import connect


@pytest.fixture
def pipelines(monkeypatch):
    """Those that were made, each for one write."""
    made = []
    pipeline = Redis.pipeline

    def counting(self, *arguments, **options):
        made.append(self)
        return pipeline(self, *arguments, **options)

    monkeypatch.setattr(Redis, "pipeline", counting)
    return made


async def test_what_many_want_at_once_goes_in_one_write(redis, pipelines):
    found = await asyncio.gather(*(answers(redis, [("SET", f"k{it}", it), ("GET", f"k{it}")]) for it in range(20)))

    assert found == [[True, str(it)] for it in range(20)]
    assert len(pipelines) == 1


async def test_so_it_does_on_connections_of_our_own(shared_redis, monkeypatch):
    sent = []
    exchange = wire.Light.exchange

    async def noted(self, commands):
        sent.append(len(commands))
        return await exchange(self, commands)

    monkeypatch.setattr(wire.Light, "exchange", noted)
    async with connect(shared_redis.config) as client:
        found = await asyncio.gather(*(answers(client, [("SET", f"k{it}", it), ("GET", f"k{it}")]) for it in range(20)))

    assert found == [[True, str(it)] for it in range(20)]
    assert sent == [40]


async def test_what_cannot_be_sent_keeps_nobody_else_from_an_answer(redis):
    wanted = [("SET", "a", "1"), ("SET", "b", "\ud800"), ("GET", "a")]

    found = await asyncio.gather(*(answers(redis, [it]) for it in wanted), return_exceptions=True)

    assert [found[0], found[2]] == [[True], ["1"]]
    assert isinstance(found[1], UnicodeEncodeError)


async def test_what_redis_refuses_one_is_no_error_of_the_others(redis):
    wanted = [("SET", "a", "1"), ("HGET", "a", "x"), ("GET", "a")]

    found = await asyncio.gather(*(answers(redis, [it]) for it in wanted), return_exceptions=True)

    assert [found[0], found[2]] == [[True], ["1"]]
    assert isinstance(found[1], StoreUnavailable)
    assert isinstance(found[1].__cause__, ResponseError)


async def test_who_is_cancelled_keeps_nobody_else_from_an_answer(redis):
    first = asyncio.create_task(answers(redis, [("SET", "a", "1")]))
    second = asyncio.create_task(answers(redis, [("SET", "b", "2")]))
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    first.cancel()

    assert await second == [True]
    with pytest.raises(asyncio.CancelledError):
        await first


def noted_at_the_end_of(client: RedisClient, monkeypatch) -> list[int]:
    """How many pipelines are on their way when it is closed."""
    assert client in batches._sending.values()
    found, close = [], client.aclose

    async def noting(*arguments, **options):
        found.append(sum(it is client for it in batches._sending.values()))
        await close(*arguments, **options)

    monkeypatch.setattr(client, "aclose", noting)
    return found


@pytest.mark.parametrize("command", [("SET", "a", "1"), ("BLPOP", "nothing", "0")], ids=["in time", "too late"])
async def test_nothing_is_on_its_way_when_the_client_is_closed(shared_redis, monkeypatch, command):
    monkeypatch.setattr(batches, "FINISH_S", 0.1)
    async with connect(shared_redis.config) as client:
        gone = asyncio.create_task(answers(client, [command]))
        for _ in range(4):  # it connects, and has not been answered
            await asyncio.sleep(0)
        gone.cancel()
        left = noted_at_the_end_of(client, monkeypatch)

    assert left == [0]


async def test_everybody_learns_that_redis_is_away():
    async with Redis(port=1) as redis:
        found = await asyncio.gather(
            *(run_apart(redis, []), *(answers(redis, [("PING",)]) for _ in range(3))), return_exceptions=True
        )

    assert all(isinstance(it, StoreUnavailable) for it in found[1:])


def test_a_client_serves_one_loop_after_another(shared_redis, redis_socket):
    redis = Redis(unix_socket_path=redis_socket)

    async def leaves_at_once():
        asyncio.create_task(answers(redis, [("PING",)])).add_done_callback(lambda _: None)
        await asyncio.sleep(0)

    asyncio.run(leaves_at_once())

    async def asks():
        found = await answers(redis, [("PING",)])
        await redis.aclose()
        return found

    assert asyncio.run(asks()) == [True]
