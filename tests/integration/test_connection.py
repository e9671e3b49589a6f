"""Connecting to a Redis that wants a password, or TLS."""

import asyncio
import subprocess
from pathlib import Path

import pytest
from redis.exceptions import RedisError

from tests.support.servers import find_program, free_port, run_program, wait_until
from versus_py.config import RedisConfig
from versus_py.store.connection import connect


@pytest.fixture(scope="module")
def guarded_redis(tmp_path_factory):
    """A redis-server with a password, on a plain port and a TLS port; yields both ports."""
    binary = find_program("redis-server", "redis-server")
    folder: Path = tmp_path_factory.mktemp("tls")
    key, certificate = str(folder / "key.pem"), str(folder / "cert.pem")
    make_certificate = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"]
    make_certificate += ["-subj", "/CN=localhost", "-keyout", key, "-out", certificate]
    subprocess.run(make_certificate, check=True, capture_output=True)
    port, tls_port = free_port(), free_port()
    command = [binary, "--port", str(port), "--tls-port", str(tls_port), "--dir", str(folder), "--save", ""]
    command += ["--tls-cert-file", str(folder / "cert.pem"), "--tls-key-file", str(folder / "key.pem")]
    command += [
        "--tls-ca-cert-file",
        str(folder / "cert.pem"),
        "--tls-auth-clients",
        "no",
        "--requirepass",
        "pass word",
    ]
    with run_program(command, log=folder / "redis.log"):
        wait_until(lambda: "Ready to accept" in (folder / "redis.log").read_text(), what="redis with TLS")
        yield port, tls_port


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


async def test_verification_can_be_switched_off(guarded_redis):
    assert await ping(port=guarded_redis[1], password="pass word", tls=True, insecure_skip_verify=True)
    url = f"rediss://:pass%20word@localhost:{guarded_redis[1]}"
    assert await ping(host=None, url=url, insecure_skip_verify=True)


async def test_more_callers_than_connections_wait_for_their_turn(guarded_redis):
    config = RedisConfig.model_validate({"host": "localhost", "port": guarded_redis[0], "password": "pass word"})
    async with connect(config) as client:
        assert all(await asyncio.gather(*(client.ping() for _ in range(200))))
