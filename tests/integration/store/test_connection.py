"""Connecting to a Redis that wants a password, or TLS."""

import asyncio
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest
from redis.exceptions import RedisClusterException, RedisError

from tests.faults.proxy import run_proxy
from tests.support.redis_servers import SLOTS, RedisServer, cluster_port, redis_server
from tests.support.servers import find_program, free_port, run_program
from tests.support.waiting import wait_until
from versus_py.config import RedisConfig
from versus_py.errors import StoreUnavailable
from versus_py.store.calls import answers
from versus_py.store.connection import ServerFacts, connect, inspect_server


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> tuple[str, ...]:
    """What makes a server take TLS: a certificate that nobody has signed."""
    folder: Path = tmp_path_factory.mktemp("certificate")
    key, certificate = str(folder / "key.pem"), str(folder / "cert.pem")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    files = ("--tls-cert-file", certificate, "--tls-key-file", key, "--tls-ca-cert-file", certificate)
    return (*files, "--tls-auth-clients", "no")


@pytest.fixture(scope="module")
def guarded_redis(tmp_path_factory, certificate):
    """A redis-server with a password, on a plain port and a TLS port; yields both ports."""
    binary = find_program("redis-server", "redis-server")
    folder: Path = tmp_path_factory.mktemp("tls")
    port, tls_port = free_port(), free_port()
    command = [binary, "--port", str(port), "--tls-port", str(tls_port), "--dir", str(folder), "--save", ""]
    command += [*certificate, "--requirepass", "pass word"]
    with run_program(command, log=folder / "redis.log"):
        wait_until(lambda: "Ready to accept" in (folder / "redis.log").read_text(), what="redis with TLS")
        yield port, tls_port


@pytest.fixture(scope="module")
def guarded_sentinel(tmp_path_factory, certificate):
    """A primary and its only sentinel, which talk TLS with each other; yields the sentinel's address for TLS."""
    folder, tls_port, sentinel_port = tmp_path_factory.mktemp("sentinel"), free_port(), free_port()
    with ExitStack() as stack:
        options = (*certificate, "--tls-port", str(tls_port))
        stack.enter_context(RedisServer(redis_server(), folder / "primary", options))
        file = folder / "sentinel" / "server.conf"
        file.parent.mkdir()
        file.write_text(f"sentinel monitor alerts 127.0.0.1 {tls_port} 1\n")
        options = (*certificate, "--tls-port", str(sentinel_port), "--tls-replication", "yes", "--sentinel")
        sentinel = stack.enter_context(RedisServer(redis_server(), file.parent, options))
        with sentinel.client() as client:
            wait_until(lambda: client.sentinel_master("alerts")["flags"] == "master", what="the sentinel's primary")
        yield f"127.0.0.1:{sentinel_port}"


@pytest.fixture(scope="module")
def guarded_cluster(tmp_path_factory, certificate):
    """A cluster of one node that tells clients its TLS port; yields its address for TLS."""
    tls_port = cluster_port()
    options = (*certificate, "--tls-port", str(tls_port), "--tls-cluster", "yes", "--cluster-enabled", "yes")
    with RedisServer(redis_server(), tmp_path_factory.mktemp("cluster"), options, port=cluster_port()) as node:
        with node.client() as client:
            client.execute_command("CLUSTER ADDSLOTSRANGE", 0, SLOTS - 1)
            wait_until(lambda: client.cluster("INFO")["cluster_state"] == "ok", what="the cluster")
        yield f"127.0.0.1:{tls_port}"


async def ping(**config) -> bool:
    async with connect(RedisConfig.model_validate({"host": "localhost"} | config)) as client:
        return bool(await client.ping())


async def test_a_password_is_sent(guarded_redis):
    assert await ping(port=guarded_redis[0], password="pass word")


async def test_the_wrong_password_is_an_error(guarded_redis):
    with pytest.raises(RedisError):
        await ping(port=guarded_redis[0], password="wrong")


async def test_a_url_does_the_same(guarded_redis):
    assert await ping(host=None, url=f"redis://:pass%20word@localhost:{guarded_redis[0]}/3")


async def test_a_certificate_that_cannot_be_verified_is_refused(guarded_redis):
    with pytest.raises(RedisError):
        await ping(port=guarded_redis[1], password="pass word", tls=True)
    with pytest.raises(RedisError):
        await ping(host=None, url=f"rediss://:pass%20word@localhost:{guarded_redis[1]}")


async def test_an_authority_of_ones_own_is_trusted(guarded_redis, certificate):
    authority = {"tls_ca_file": certificate[1]}

    assert await ping(port=guarded_redis[1], password="pass word", tls=True, **authority)
    url = f"rediss://:pass%20word@localhost:{guarded_redis[1]}"
    assert await ping(host=None, url=url, **authority)


async def test_redis_is_shown_a_certificate_where_it_asks_for_one(tmp_path, certificate):
    tls_port = free_port()
    options = (*certificate[:-1], "yes", "--tls-port", str(tls_port))
    with RedisServer(redis_server(), tmp_path, options):
        files = {"tls_ca_file": certificate[1], "tls_cert_file": certificate[1], "tls_key_file": certificate[3]}
        assert await ping(port=tls_port, tls=True, **files)
        with pytest.raises(RedisError):
            await ping(port=tls_port, tls=True, tls_ca_file=certificate[1])


async def test_verification_can_be_switched_off(guarded_redis):
    assert await ping(port=guarded_redis[1], password="pass word", tls=True, insecure_skip_verify=True)
    url = f"rediss://:pass%20word@localhost:{guarded_redis[1]}"
    assert await ping(host=None, url=url, insecure_skip_verify=True)


async def test_the_way_to_sentinels_and_to_the_primary_is_tls(guarded_sentinel):
    sentinel = {"sentinel": {"hosts": [guarded_sentinel], "master_name": "alerts"}, "tls": True, "host": None}

    assert await ping(**sentinel, insecure_skip_verify=True)
    with pytest.raises(RedisError):
        await ping(**sentinel)
    with pytest.raises(RedisError):
        await ping(**sentinel | {"tls": False})


async def test_the_way_to_a_cluster_is_tls(guarded_cluster):
    cluster = {"cluster": {"hosts": [guarded_cluster]}, "tls": True, "host": None}

    assert await ping(**cluster, insecure_skip_verify=True)
    with pytest.raises(RedisClusterException):
        await ping(**cluster)
    with pytest.raises(RedisClusterException):
        await ping(**cluster | {"tls": False})


async def test_a_server_tells_what_it_is(guarded_redis):
    config = RedisConfig.model_validate({"host": "localhost", "port": guarded_redis[0], "password": "pass word"})

    facts = await inspect_server(config)

    assert (facts.is_replica, facts.is_too_old, facts.tells_settings) == (False, False, True)
    assert facts.warnings == ("appendonly is off: a restart of Redis loses incidents; set appendonly yes",)


@pytest.mark.parametrize(
    ("settings", "warnings"),
    [
        ({}, []),
        ({"appendfsync": "always"}, []),
        ({"appendonly": "no"}, ["appendonly is off"]),
        ({"appendfsync": "no"}, ["appendfsync is no"]),
        ({"maxmemory-policy": "volatile-lru"}, ["maxmemory-policy is volatile-lru: Redis drops incidents as soon as"]),
        (
            {"maxmemory-policy": "allkeys-lru", "maxmemory": "100mb"},
            ["maxmemory-policy is allkeys-lru: Redis drops incidents once 104857600 bytes"],
        ),
    ],
    ids=str,
)
async def test_what_could_lose_incidents_is_told(redis, redis_socket, settings, warnings):
    usual = {"appendonly": "no", "appendfsync": "everysec", "maxmemory-policy": "noeviction", "maxmemory": "0"}
    for name, value in ({"appendonly": "yes"} | settings).items():
        await redis.config_set(name, value)
    try:
        facts = await inspect_server(RedisConfig.model_validate({"url": f"unix://{redis_socket}"}))
    finally:
        for name, value in usual.items():
            await redis.config_set(name, value)

    assert [told[: len(expected)] for told, expected in zip(facts.warnings, warnings, strict=True)] == warnings


async def test_a_server_that_forbids_questions_is_no_failure(redis, redis_socket):
    await redis.acl_setuser(
        "quiet", enabled=True, passwords=["+pass"], keys=["*"], commands=["+@all", "-config", "-info"]
    )
    try:
        facts = await inspect_server(RedisConfig.model_validate({"url": f"unix://quiet:pass@{redis_socket}"}))
    finally:
        await redis.acl_deluser("quiet")

    assert facts == ServerFacts(version="", is_replica=False, tells_settings=False, warnings=())
    assert not facts.is_too_old


@pytest.mark.parametrize("password", ["pr1vate", ""])
async def test_a_server_that_does_not_let_us_in_is_an_error_without_the_password(guarded_redis, password):
    config = RedisConfig.model_validate({"host": "localhost", "port": guarded_redis[0], "password": password})

    with pytest.raises(StoreUnavailable) as caught:
        await inspect_server(config)
    assert "pr1vate" not in str(caught.value)


async def test_a_server_that_is_not_there_is_an_error_that_names_it():
    port = free_port()

    with pytest.raises(StoreUnavailable, match=str(port)):
        await inspect_server(RedisConfig.model_validate({"host": "localhost", "port": port}))


@pytest.mark.parametrize(
    ("version", "is_too_old"),
    [("", False), ("5.0.14", True), ("6.0.16", True), ("6.2.0", False), ("7.2.4", False), ("10.0", False)],
)
def test_versions_are_compared_as_numbers(version, is_too_old):
    assert ServerFacts(version, is_replica=False, tells_settings=True, warnings=()).is_too_old is is_too_old


async def test_more_callers_than_connections_wait_for_their_turn(guarded_redis):
    config = RedisConfig.model_validate({"host": "localhost", "port": guarded_redis[0], "password": "pass word"})
    async with connect(config) as client:
        assert all(await asyncio.gather(*(client.ping() for _ in range(200))))


async def test_an_address_that_moves_to_another_primary_is_followed_without_a_refusal(tmp_path):
    """As a DNS name or a Kubernetes service does. The old primary still answers on its open connections."""
    with RedisServer(redis_server(), tmp_path / "a") as old, RedisServer(redis_server(), tmp_path / "b") as new:
        async with run_proxy(("127.0.0.1", old.port)) as proxy, connect(RedisConfig(port=proxy.port)) as client:
            await answers(client, [("SET", "k", "before")])
            assert await asyncio.gather(*(client.get("k") for _ in range(3))) == ["before"] * 3  # a connection for each
            with old.client() as before, new.client() as after:
                after.replicaof("127.0.0.1", str(old.port))
                wait_until(lambda: after.get("k") == "before", what="the replica")
                after.replicaof("NO", "ONE")
                before.replicaof("127.0.0.1", "1")  # so that it stays behind
                proxy.upstreams = [("127.0.0.1", new.port)]

                assert await answers(client, [("SET", "k", "after"), ("GET", "k")]) == [True, "after"]
                assert await asyncio.gather(*(client.get("k") for _ in range(3))) == ["after"] * 3
