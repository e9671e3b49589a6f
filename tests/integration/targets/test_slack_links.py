"""The links that messages show: good for as long as they are shown, and renewed without an edit that nobody needs."""

import re
from collections.abc import AsyncIterator
from urllib.parse import parse_qsl, urlsplit

import pytest
from fakeredis import FakeAsyncRedis

from tests.integration.conftest import CHANNEL, DAY_MS, Engine, around
from tests.integration.engine.test_engine import firing, press_button
from tests.integration.targets.test_storm import break_out, counted, digest, until_quiet
from tests.support.answers import canned_answers
from tests.support.factories import make_incident, make_policy
from versus_py.ack_links import PATH, STORM_PATH, AckLinks, Verdict, storm_subject
from versus_py.simulators import Fault
from versus_py.simulators.slack import PostedMessage
from versus_py.store import Store
from versus_py.systems import model
from versus_py.targets.slack.system import SLACK


def verdict(engine: Engine, message: PostedMessage) -> Verdict:
    """What the link to acknowledge is worth, wherever it is in the message."""
    found = re.search(rf"{PATH}/([^?]+)\?exp=(\d+)&(?:amp;)?sig=(\w+)", f"{message.shown} {message.button_url}")
    assert found, "the message has no link"
    return engine.links.check(*found.groups())


async def hours_pass(engine: Engine, hours: int) -> AsyncIterator[None]:
    for _ in range(hours):
        await engine.after(hours=1)
        yield


@pytest.mark.parametrize(
    "slack_settings",
    [
        pytest.param({}, id="a button that is a link"),
        pytest.param({"signing_secret": "s"}, id="a link below the message"),
        pytest.param({"message_properties": {"disable_button": True}}, id="a link in the text"),
    ],
)
async def test_an_incident_that_is_open_for_days_has_a_good_link_at_any_time(engine, slack_settings):
    await engine.post(firing(engine))
    await engine.after(minutes=6)
    [message] = engine.slack.messages

    async for _ in hours_pass(engine, 100):
        assert verdict(engine, message) is Verdict.VALID


async def test_an_incident_that_is_open_for_three_days_is_acknowledged_by_its_link(engine):
    await engine.post(firing(engine))
    async for _ in hours_pass(engine, 72):
        pass

    response = await press_button(engine)

    assert response.status == 201
    await engine.settle()
    assert "*Acknowledged*" in engine.slack.messages[0].text


async def test_a_message_is_edited_for_its_link_once_a_day_and_not_looked_at_oftener(engine):
    await engine.post(firing(engine))
    await engine.after(minutes=6)
    [message] = engine.slack.messages
    edits, syncs = message.edits, engine.measured("versus_syncs_total", target="slack", result="done")

    async for _ in hours_pass(engine, 10 * 24):
        pass

    assert message.edits - edits == 10
    assert engine.measured("versus_syncs_total", target="slack", result="done") - syncs == 10


async def test_a_link_that_lasts_for_a_long_wait_is_not_renewed_meanwhile(engine):
    await engine.post(firing(engine), oncall_wait_minutes=str(7 * 24 * 60))
    await engine.settle()
    [message] = engine.slack.messages

    async for _ in hours_pass(engine, 7 * 24 - 1):
        assert verdict(engine, message) is Verdict.VALID

    assert message.edits == 0


async def test_a_message_without_a_link_is_not_looked_at_again(engine):
    [created] = (await engine.post(firing(engine)))["incidents"]
    await engine.settle()
    await engine.http.post(f"/api/incidents/{created['id']}/acknowledge?by=ana")
    await engine.settle()

    incident = await engine.store.get(created["id"])

    assert incident.delivery("slack").look_again_at_ms is None


async def test_a_snooze_ends_in_time_although_the_link_lasts_longer(engine):
    [created] = (await engine.post(firing(engine)))["incidents"]
    await engine.settle()
    await engine.http.post(f"/api/incidents/{created['id']}/snooze?minutes=15&by=ana")
    await engine.settle()
    assert "*Snoozed*" in engine.slack.messages[0].text

    await engine.after(minutes=16)

    assert "*Snoozed*" not in engine.slack.messages[0].text


@pytest.mark.parametrize("fallback", [{"slack_channel_id": "C0FALLBACK"}])
async def test_the_message_of_the_fallback_has_a_good_link_too(engine, logs):
    engine.servicenow.faults.order(Fault(kind="400", times=None))
    await engine.post(firing(engine))
    await engine.after(minutes=6)
    logs.expect_error("sync.failed")
    [message] = [it for it in engine.slack.messages if it.channel == "C0FALLBACK"]

    async for _ in hours_pass(engine, 72):
        assert verdict(engine, message) is Verdict.VALID


async def test_a_link_that_was_made_before_midnight_is_renewed_also_when_slack_answered_after_it(session, clock):
    clock.advance(ms=DAY_MS - clock.now_ms() % DAY_MS - 10)
    made_ms = clock.now_ms()
    slack = {"enable": True, "token": "xoxb-secret", "channel_id": "C1", "api_url": "https://slack.example/api"}
    config = model().model_validate({"alert": {"slack": slack}})
    links = AckLinks("https://versus.example", clock, "key")

    def answers_late(*_, **__) -> None:
        clock.advance(seconds=1)

    async with FakeAsyncRedis(decode_responses=True) as redis:
        store = Store(redis, retention_ms=DAY_MS, reopen_ms=0)
        target = SLACK.build(around(config, clock, store, session, links)).targets["slack"]
        with canned_answers() as answers:
            answers.post(
                "https://slack.example/api/chat.postMessage",
                payload={"ok": True, "channel": "C1", "ts": "1700000000.000100"},
                callback=answers_late,
            )
            shown = await target.sync(make_incident(policy=make_policy(wait_ms=1), now_ms=made_ms), attempt=1)

    assert shown.look_again_at_ms <= made_ms + DAY_MS


def list_verdict(engine: Engine) -> Verdict:
    """What the digest's link to its list is worth."""
    found = re.search(rf"<[^|>]+{STORM_PATH}/{CHANNEL}/([^?]+)(\?[^|]+)\|", digest(engine).text)
    assert found
    query = dict(parse_qsl(urlsplit(found[2].replace("&amp;", "&")).query))
    return engine.links.check(storm_subject(CHANNEL, found[1]), query["exp"], query["sig"])


@pytest.mark.long
@pytest.mark.orderly
async def test_the_list_of_a_storm_is_reached_for_as_long_as_one_of_its_incidents_needs_somebody(engine):
    ids = await break_out(engine, 30)
    await until_quiet(engine)
    [*others, last] = await counted(engine, ids)
    for incident_id in others:
        await engine.http.post(f"/api/incidents/{incident_id}/resolve?by=ana")
    await engine.settle()
    edits = digest(engine).edits

    for _ in range(20):
        await engine.after(hours=24)
        assert list_verdict(engine) is Verdict.VALID
    assert 2 <= digest(engine).edits - edits <= 4

    await engine.http.post(f"/api/incidents/{last}/acknowledge?by=ana")
    await engine.settle()
    edits = digest(engine).edits
    for _ in range(20):
        await engine.after(hours=24)
    assert digest(engine).edits == edits
