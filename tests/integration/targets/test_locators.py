"""By what the systems name their sides of an incident, as the worker writes it down."""

import pytest

from tests.integration.conftest import CHANNEL
from tests.support.groups import alert, group
from tests.support.stored import packed, unpacked
from versus_py.incidents.model import IncidentId
from versus_py.simulators.slack.errors import ErrorOrder
from versus_py.store import keys

LATER = {
    "policies": [{"name": "late", "steps": [{"notify": ["slack"]}, {"after": "1m", "notify": ["slack:leads"]}]}],
}


async def posted(engine, **query):
    [created] = (await engine.post(group(alert("Disk")), **query))["incidents"]
    await engine.settle()
    return IncidentId(created["id"])


def locator(message):
    return f"{message.channel}\n{message.ts}"


async def as_before_locators(engine, incident_id, message):
    """As an older version has stored it."""
    field, name = f"{keys.DELIVERY_FIELD}slack", keys.incident(incident_id)
    stored = unpacked(await engine.store._redis.hget(name, field))
    assert stored.pop("locator") == f"{CHANNEL}\n{message.ts}"
    await engine.store._redis.hset(name, field, packed(stored))
    await engine.store._redis.delete(keys.reference("slack", locator(message)))


async def test_the_message_of_an_incident_is_its_locator(engine):
    incident_id = await posted(engine)
    [message] = engine.slack.messages

    assert await engine.store.incident_at("slack", locator(message)) == incident_id
    assert locator(message).startswith(CHANNEL)


async def test_an_incident_that_an_older_version_posted_gets_its_locator_with_the_next_sync(engine):
    incident_id = await posted(engine)
    [message] = engine.slack.messages
    await as_before_locators(engine, incident_id, message)

    assert await engine.store.incident_at("slack", locator(message)) is None
    await engine.http.post(f"/api/incidents/{incident_id}/acknowledge?by=ana")
    await engine.settle()

    assert await engine.store.incident_at("slack", locator(message)) == incident_id


async def test_a_locator_that_is_told_without_a_call_does_not_prove_the_credentials(engine, logs):
    incident_id = await posted(engine)
    await as_before_locators(engine, incident_id, engine.slack.messages[0])
    engine.slack.errors.order(ErrorOrder(error="invalid_auth", times=None))
    await engine.post(group(alert("Other")))
    await engine.worker.run_due()
    logs.expect_error("credentials.refused")
    await engine.store.arm(incident_id, "slack", now_ms=engine.clock.now_ms())

    engine.clock.advance(minutes=5)
    await engine.worker.run_due()

    assert (await engine.store.get(incident_id)).delivery("slack").locator
    assert engine.worker.refusing == ("slack",)


async def test_syncs_that_go_on_for_days_keep_the_key_without_a_change_of_the_incident(engine):
    incident_id = await posted(engine, oncall_enable="false")
    [message] = engine.slack.messages
    key = keys.reference("slack", locator(message))
    await engine.store._redis.delete(key)
    await engine.store.arm(incident_id, "slack", now_ms=engine.clock.now_ms())
    await engine.settle()
    written_at_once = await engine.store._redis.exists(key)

    engine.clock.advance(hours=12)
    await engine.store.arm(incident_id, "slack", now_ms=engine.clock.now_ms())
    await engine.settle()

    assert not written_at_once
    assert await engine.store.incident_at("slack", locator(message)) == incident_id


@pytest.mark.parametrize(("settings", "slack_settings"), [(LATER, {"channels": {"leads": "C0LEADS"}})])
async def test_each_channel_of_an_incident_has_its_own(engine):
    incident_id = await posted(engine)
    await engine.after(minutes=2)
    first, second = engine.slack.messages

    assert {first.channel, second.channel} == {CHANNEL, "C0LEADS"}
    assert await engine.store.incident_at("slack", locator(first)) == incident_id
    assert await engine.store.incident_at("slack", locator(second)) == incident_id


async def test_a_storms_digest_is_no_incidents(engine, slack):
    for number in range(60):
        await engine.post(group(alert(f"Disk {number}")))
    await engine.settle()
    [digest] = [it for it in slack.messages if "storm" in it.text]

    assert await engine.store.incident_at("slack", locator(digest)) is None
