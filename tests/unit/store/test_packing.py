"""What hiredis packs is what redis-py would have sent."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import BlockingConnectionPool, Connection, SSLConnection, UnixDomainSocketConnection
from redis.exceptions import DataError

from versus_py.config import RedisConfig
from versus_py.incidents.model import Status
from versus_py.store.connection import connect
from versus_py.store.packing import Packing, packed_by_hiredis

ARGUMENTS = st.text() | st.binary() | st.integers() | st.floats(allow_nan=False) | st.sampled_from(Status)
COMMANDS = st.lists(st.tuples(st.sampled_from(["GET", "CLIENT SETNAME", "EVALSHA"]), ARGUMENTS, ARGUMENTS))


def packing(pool: BlockingConnectionPool) -> Connection:
    packed_by_hiredis(pool)
    made = pool.make_connection()
    assert isinstance(made, Packing)
    return made


def test_each_kind_of_connection_stays_what_it_is():
    for url, kind in (
        ("redis://h", Connection),
        ("rediss://h", SSLConnection),
        ("unix:///s", UnixDomainSocketConnection),
    ):
        assert isinstance(packing(BlockingConnectionPool.from_url(url)), kind)


@given(COMMANDS)
def test_the_bytes_are_the_same(commands):
    theirs, ours = Connection(), packing(BlockingConnectionPool())

    assert b"".join(ours.pack_commands(commands)) == b"".join(theirs.pack_commands(commands))
    for command in commands:
        assert b"".join(ours.pack_command(*command)) == b"".join(theirs.pack_command(*command))


@pytest.mark.parametrize("argument", [None, True, ["a"], object()])
def test_what_is_no_argument_is_refused_as_by_redis_py(argument):
    ours = packing(BlockingConnectionPool())

    with pytest.raises(DataError):
        ours.pack_command("SET", argument)
    with pytest.raises(DataError):
        ours.pack_commands([("SET", argument)])


@pytest.mark.parametrize(
    "keys",
    [{}, {"url": "unix:///socket"}, {"tls": True}, {"sentinel": {"hosts": ["127.0.0.1:1"], "master_name": "m"}}],
    ids=["tcp", "unix", "tls", "sentinel"],
)
async def test_the_clients_pack_so(keys):
    async with connect(RedisConfig(**keys)) as client:
        assert isinstance(client.connection_pool.make_connection(), Packing)
