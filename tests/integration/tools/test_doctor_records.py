"""The doctor on open records: whether they are where the configuration says, as far as Redis knows."""

from typing import Any

import pytest
from redis.asyncio import Redis

from tests.integration.conftest import Engine
from tests.integration.engine.test_engine import firing
from tests.integration.targets.test_records import snapshot
from tests.support.servers import free_port
from versus_py.store.embedded import EmbeddedServer, run_embedded
from versus_py.systems import model
from versus_py.targets.check import Check, CheckStatus
from versus_py.targets.servicenow.record_checks import NAME
from versus_py.tools.doctor import diagnose, incidents

OK, WARNING, FAILED, SKIPPED = CheckStatus


@pytest.fixture
def examine(engine, tmp_path):
    """What the doctor says of open records with these settings of oncall.servicenow."""

    async def run(redis: dict[str, Any] | None = None, **changes: Any) -> list[Check]:
        known = engine.config.oncall.servicenow.model_dump(exclude_unset=True)
        config = model().model_validate(
            {
                "data_dir": tmp_path,
                "redis": engine.redis_server.config if redis is None else redis,
                "oncall": {"enable": True, "servicenow": known | changes},
            }
        )
        return [check for check in await diagnose(config) if check.name == NAME]

    return run


async def escalated(engine: Engine, *names: str, **query: str) -> None:
    for name in names:
        await engine.post(firing(engine, name), **query)
    await engine.after(minutes=6)


async def test_without_open_records_there_is_nothing_to_say(engine, examine):
    await engine.post(firing(engine))
    await engine.settle()

    assert await examine() == [Check(NAME, OK, "there are none")]


async def test_records_that_are_where_the_configuration_says_are_in_order_and_nothing_is_changed(engine, examine):
    await escalated(engine, "DiskFull", "HostDown")
    before = await snapshot(engine)

    assert await examine() == [Check(NAME, OK, "2 open records, at URLs that are configured")]
    assert await snapshot(engine) == before


async def test_records_at_an_old_url_are_counted_with_the_key_that_they_are_matched_to(
    engine, examine, servicenow_url, servicenow_infra_url
):
    await escalated(engine, "DiskFull", "HostDown")
    await escalated(engine, "QueueStuck", servicenow_other_instance="infra")

    new, new_infra = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
    checks = await examine(instance_url=new, other_instance_urls={"infra": new_infra})

    assert {check.status for check in checks} == {WARNING}
    one, two = sorted(check.found for check in checks)
    assert one == (
        f"1 open record at {servicenow_infra_url}, table incident, which is not configured any more; "
        "matched to oncall.servicenow.other_instance_urls.infra"
    )
    assert two == (
        f"2 open records at {servicenow_url}, table incident, which is not configured any more; "
        "matched to oncall.servicenow.instance_url"
    )


async def test_records_that_no_instance_is_matched_to_fail(engine, examine, servicenow_infra_url):
    await escalated(engine, "DiskFull", servicenow_other_instance="infra")

    [check] = await examine(other_instance_urls={})

    assert check.status is FAILED
    assert check.found == (
        f"1 open record at {servicenow_infra_url}, table incident, which is not configured any more; "
        "no instance is matched to it, so that they stay open"
    )
    assert "other_instance_urls" in check.advice


async def test_what_is_resolved_counts_as_long_as_its_record_was_not_told(engine, examine, logs):
    await escalated(engine, "DiskFull", "HostDown", servicenow_other_instance="infra")
    await engine.post(firing(engine, "DiskFull", is_resolved=True))
    await engine.settle()
    del engine.worker._targets["servicenow"]
    await engine.post(firing(engine, "HostDown", is_resolved=True))
    await engine.settle()
    logs.expect_error("sync.failed")

    [check] = await examine(other_instance_urls={})

    assert check.found.startswith("1 open record at ")


async def test_of_very_many_the_newest_are_read(engine, examine, monkeypatch):
    monkeypatch.setattr(incidents, "PAGE", 1)
    monkeypatch.setattr(incidents, "PAGES_MAX", 2)
    await escalated(engine, "DiskFull", "HostDown", "QueueStuck")

    [check] = await examine()

    assert check.found == "2 open records, of the newest incidents, at URLs that are configured"


async def copy_to(engine: Engine, server: EmbeddedServer) -> None:
    """What is in Redis, also to an embedded Valkey."""
    url = engine.redis_server.config.url
    assert url
    async with Redis.from_url(url.get_secret_value()) as source, Redis(unix_socket_path=str(server.socket)) as target:
        async for key in source.scan_iter("*"):
            value = await source.dump(key)
            assert value
            await target.restore(key, max(await source.pttl(key), 0), value)


@pytest.mark.parametrize("runs", [True, False], ids=["while a server runs", "while none runs"])
async def test_what_an_embedded_valkey_holds_is_read_and_nothing_is_changed(engine, examine, tmp_path, runs):
    await escalated(engine, "DiskFull", "HostDown")
    async with run_embedded(tmp_path) as server:
        await copy_to(engine, server)
        found = await examine({}) if runs else []
    found = found or await examine({})

    assert found == [Check(NAME, OK, "2 open records, at URLs that are configured")]
    async with run_embedded(tmp_path) as server, Redis(unix_socket_path=str(server.socket)) as client:
        assert await client.dbsize() == await engine.store._redis.dbsize()


async def test_where_nothing_was_ever_kept_no_server_is_started(engine, examine, tmp_path):
    assert await examine({}) == [Check(NAME, OK, "there are none")]
    assert [*tmp_path.iterdir()] == []


async def test_where_redis_cannot_be_read_it_says_so(engine, examine):
    [away] = await examine({"host": "127.0.0.1", "port": free_port()})

    assert away.status is SKIPPED
    assert "the incidents cannot be read: " in away.found
