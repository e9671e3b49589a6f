"""Records of an instance whose URL was changed in the configuration: they are followed to the new one."""

from typing import Any

import pytest

from tests.integration.conftest import Engine, make_turns
from tests.integration.targets.test_notes import the_incident
from tests.integration.targets.test_records import acknowledge, group, notes
from tests.support.stored import packed, unpacked
from versus_py.config import ServiceNowConfig
from versus_py.engine.retries import SPREAD
from versus_py.incidents.model import Delivery
from versus_py.simulators import Fault, run_app
from versus_py.targets.servicenow.target import ServiceNowTarget


@pytest.fixture(autouse=True)
def _no_jitter(monkeypatch):
    monkeypatch.setattr(SPREAD, "uniform", lambda low, _high: low)


@pytest.fixture
async def new_url(servicenow):
    """The same instance under another URL."""
    async with run_app(servicenow.app()) as url:
        yield url


@pytest.fixture
async def new_infra_url(servicenow_infra):
    async with run_app(servicenow_infra.app()) as url:
        yield url


@pytest.fixture
def configure(engine, session, clock):
    """Goes on with these settings of oncall.servicenow, as after a restart."""

    def restart(**changes: Any) -> ServiceNowTarget:
        settings = engine.config.oncall.servicenow.model_dump(exclude_unset=True) | changes
        config = ServiceNowConfig.model_validate(settings)
        target = ServiceNowTarget(config, clock=clock, session=session, turns=make_turns())
        engine.worker._targets["servicenow"] = target
        return target

    return restart


async def escalated(engine: Engine, **query: str) -> None:
    await engine.post(group("DiskFull"), **query)
    await engine.after(minutes=6)


async def delivery(engine: Engine) -> Delivery:
    incident = await engine.store.get(await the_incident(engine))
    assert incident is not None
    return incident.delivery("servicenow")


async def as_written_before(engine: Engine) -> None:
    """By a version that noted no key."""
    redis = engine.store._redis
    [key] = [name async for name in redis.scan_iter("*incident:*")]
    stored = unpacked(await redis.hget(key, "delivery:servicenow"))
    del stored["reference"]["key"]
    await redis.hset(key, "delivery:servicenow", packed(stored))


@pytest.mark.parametrize("is_old", [False, True], ids=["with a key", "written before there were keys"])
async def test_a_record_of_the_default_instance_is_followed_to_its_new_url(engine, configure, new_url, is_old):
    await escalated(engine)
    if is_old:
        await as_written_before(engine)
    configure(instance_url=new_url)

    await acknowledge(engine)

    known = await delivery(engine)
    assert known.reference["instance"] == new_url
    assert known.url.startswith(f"{new_url}/incident.do?sys_id=")
    assert new_url in engine.slack.messages[0].shown
    await engine.post(group(resolved=("DiskFull",)))
    await engine.settle()
    [record] = engine.servicenow.incidents
    assert record["state"] == "6"
    assert notes(engine) == ["acknowledged by ana", "resolved by alertmanager"]


@pytest.mark.parametrize("is_old", [False, True], ids=["with a key", "written before there were keys"])
async def test_a_record_of_another_instance_is_followed_to_its_new_url(
    engine, configure, new_infra_url, servicenow_infra, is_old
):
    await escalated(engine, servicenow_other_instance="infra")
    if is_old:
        await as_written_before(engine)
    target = configure(other_instance_urls={"infra": new_infra_url})
    assert target.system(await engine.store.get(await the_incident(engine))) == "servicenow:infra"

    await engine.post(group(resolved=("DiskFull",)))
    await engine.settle()

    [record] = servicenow_infra.incidents
    assert record["state"] == "6"
    assert (await delivery(engine)).reference["instance"] == new_infra_url
    assert engine.servicenow.calls == []


async def test_a_look_at_a_record_is_enough_to_know_its_new_url(engine, configure, new_url):
    await escalated(engine)
    configure(instance_url=new_url)
    engine.servicenow.comment(engine.servicenow.incidents[0]["number"], "On my way", by="ana")
    written = [call for call in engine.servicenow.calls if not call.startswith("GET")]

    await engine.after(minutes=6)

    known = await delivery(engine)
    assert [it.text for it in known.comments] == ["On my way"]
    assert known.reference["instance"] == new_url
    assert known.url.startswith(new_url)
    assert [call for call in engine.servicenow.calls if not call.startswith("GET")] == written


async def test_a_default_instance_that_became_a_further_one_keeps_its_records(
    engine, configure, servicenow_url, servicenow_infra, servicenow_infra_url
):
    await escalated(engine)
    configure(instance_url=servicenow_infra_url, other_instance_urls={"old": servicenow_url})

    await engine.post(group(resolved=("DiskFull",)))
    await engine.settle()

    assert engine.servicenow.incidents[0]["state"] == "6"
    assert servicenow_infra.calls == []
    assert (await delivery(engine)).reference["key"] == "old"


async def test_a_record_that_is_not_at_the_new_url_counts_as_deleted(
    engine, configure, servicenow_infra, servicenow_infra_url
):
    await escalated(engine)
    configure(instance_url=servicenow_infra_url, other_instance_urls={})

    await engine.post(group("DiskFull", "HostDown"))
    await engine.settle()

    assert servicenow_infra.incidents == []
    assert "INC0010001 is gone, or the user may not read it any more" in engine.slack.messages[0].shown


async def test_one_that_was_given_up_goes_on_once_its_instance_is_configured_again(engine, configure, new_url, logs):
    await escalated(engine)
    configure(instance_url=new_url, table="u_versus_alert")
    await engine.post(group(resolved=("DiskFull",)))
    await engine.settle()
    assert "not configured any more" in logs.expect_error("sync.failed")["error"]

    configure(instance_url=new_url)
    await engine.http.post("/api/retry", params={"by": "ana"})
    await engine.settle()

    assert engine.servicenow.incidents[0]["state"] == "6"


INFRA = {"servicenow_other_instance": "infra"}


@pytest.mark.parametrize("fallback", [INFRA])
async def test_the_record_of_the_fallback_is_followed_too(
    engine, session, clock, servicenow_infra, new_infra_url, logs
):
    engine.servicenow.faults.order(Fault(kind="400", times=None))
    await escalated(engine)
    [record] = servicenow_infra.incidents
    settings = engine.config.oncall.servicenow.model_dump(exclude_unset=True)
    config = ServiceNowConfig.model_validate(settings | {"other_instance_urls": {"infra": new_infra_url}})
    engine.worker._targets["servicenow:infra"] = ServiceNowTarget(
        config, clock=clock, session=session, turns=make_turns(), name="servicenow:infra", default="infra"
    )

    await engine.post(group(resolved=("DiskFull",)))
    await engine.settle()

    assert record["state"] == "6"
    logs.expect_error("sync.failed")
