"""Socket Mode with Slack's own client, against the simulator's websocket."""

import asyncio
from contextlib import asynccontextmanager

import aiohttp
import pytest

from tests.integration.conftest import CHANNEL
from tests.support.waiting import DEADLINE_S, until
from versus_py.incidents.copies import replace
from versus_py.incidents.model import Status
from versus_py.simulators import Fault, SlackSimulator
from versus_py.simulators.slack import Press as SlackPress
from versus_py.simulators.slack.validation import Content
from versus_py.targets.slack.actions import RESOLVE_WITH_COMMENT
from versus_py.targets.slack.socket_mode import Pauses, SocketMode

APP_TOKEN = "xapp-1-A0DEMO-app-secret"
ALERT = {"title": "Disk full", "id": "d1", "severity": "high"}
PAUSES = Pauses(connect_s=5, look_s=0.01, ping_s=1, stable_s=0, retry_s=0.01, retry_max_s=0.02, refused_s=0.01)


@pytest.fixture
def slack_settings():
    return {"app_token": APP_TOKEN}


@pytest.fixture
def slack(clock, monkeypatch):
    found = SlackSimulator(token=None, app_token=APP_TOKEN, now_s=lambda: clock.now_ms() / 1000)
    monkeypatch.setattr(found._allowances, "spend", lambda *_args, **_rates: None)  # the clock stands still
    return found


@asynccontextmanager
async def running(engine, session, pauses=PAUSES):
    """Socket Mode, until the block is left; it then has to end soon and leave nothing behind."""
    before = asyncio.all_tasks()
    stop = asyncio.Event()
    task = asyncio.create_task(
        SocketMode(engine.config.alert.slack, engine.desk.take, session, pauses=pauses).run(stop)
    )
    try:
        yield
    finally:
        stop.set()
        async with asyncio.timeout(DEADLINE_S):
            await task
    await until(lambda: engine.slack.connections == 0)
    await until(lambda: not {it for it in asyncio.all_tasks() - before if "slack_sdk" in repr(it)})


async def connected(engine, number=1):
    """Wait until Slack has *number* connections. The client logs `slack.socket_connected` shortly after."""
    await until(lambda: engine.slack.connections == number)


async def said(logs, *events):
    """Wait until the log has exactly these `slack.socket_*` events, in this order."""
    expected = [f"slack.socket_{event}" for event in events]
    await until(lambda: [line["event"] for line in logs if line["event"].startswith("slack.socket_")] == expected)


@pytest.fixture
async def incident(engine):
    """The id of an incident that waits, and a message about it."""
    [created] = (await engine.post(ALERT))["incidents"]
    return created["id"], shown(engine, created["id"])


def shown(engine, incident_id):
    labels = {action: {"type": "plain_text", "text": action} for action in ("acknowledge", "unacknowledge", "other")}
    elements = [
        {"type": "button", "action_id": action, "value": incident_id, "text": text} for action, text in labels.items()
    ]
    return engine.slack.add_message(
        CHANNEL, Content("…", [], [{"type": "actions", "block_id": "versus", "elements": elements}])
    )


async def status(engine, incident_id):
    return (await engine.store.get(incident_id)).status


async def test_a_press_is_acknowledged_when_it_has_happened(engine, session, incident):
    incident_id, message = incident
    async with running(engine, session):
        await connected(engine)

        delivery = await engine.slack.press(message, "acknowledge")

        assert (delivery.via, delivery.status, delivery.body) == ("socket", 200, "")
        assert await status(engine, incident_id) is Status.ACKNOWLEDGED


async def test_what_is_not_ours_is_acknowledged_too(engine, session, incident):
    async with running(engine, session):
        await connected(engine)

        assert (await engine.slack.press(incident[1], "other")).status == 200
        assert (await engine.slack.socket.send({"type": "view_closed"}, within_s=3)).status == 200


async def test_the_same_envelope_twice_has_its_effect_once(engine, session, incident):
    incident_id, message = incident
    payload = engine.slack._interactions.payload(
        message, SlackPress(message.channel, message.ts, "acknowledge", "U0ANA", None)
    )
    async with running(engine, session):
        await connected(engine)

        for _ in range(2):
            assert (await engine.slack.socket.send(payload, within_s=3, envelope_id="e1")).status == 200
        await engine.follow_ups.settled()

    assert [it.event for it in await engine.store.timeline(incident_id)].count("acknowledged") == 1
    assert engine.slack.ephemerals == []


async def test_what_is_not_written_down_is_not_acknowledged(engine, session, incident):
    incident_id, message = incident
    engine.slack.answer_within_s = 0.3
    async with running(engine, session):
        await connected(engine)
        engine.redis_server.go_away()

        delivery = await engine.slack.press(message, "acknowledge")

        engine.redis_server.come_back()
        assert delivery.status is None
        assert await status(engine, incident_id) is Status.TRIGGERED
        assert (await engine.slack.press(message, "acknowledge")).status == 200
        assert engine.slack.socket.acks[-1].connection == 1  # the connection outlives it


async def test_what_cannot_be_read_is_not_acknowledged(engine, session, logs):
    async with running(engine, session):
        await connected(engine)

        delivery = await engine.slack.socket.send({"type": "block_actions"}, within_s=0.3)

    assert delivery.status is None
    assert "slack.envelope_refused" in [line["event"] for line in logs]


@pytest.mark.parametrize("reason", ["warning", "refresh_requested", "link_disabled"])
async def test_a_connection_that_slack_will_close_is_replaced_before(engine, session, incident, reason):
    async with running(engine, session):
        await connected(engine)

        await engine.slack.socket.disconnect(reason)
        await until(lambda: engine.slack.socket._opened == 2)
        await connected(engine)

        assert (await engine.slack.press(incident[1], "acknowledge")).status == 200
        assert engine.slack.socket.acks[-1].connection == 2


async def test_a_press_that_is_being_taken_is_acknowledged_although_the_connection_is_replaced(
    engine, session, incident, monkeypatch
):
    go_on, get = asyncio.Event(), engine.people.get

    async def wait(*person):
        await go_on.wait()
        return await get(*person)

    monkeypatch.setattr(engine.people, "get", wait)
    async with running(engine, session):
        await connected(engine)
        pressing = asyncio.create_task(engine.slack.press(incident[1], "acknowledge"))
        await until(lambda: engine.slack.socket._awaited)

        await engine.slack.socket.disconnect()
        await until(lambda: engine.slack.connections == 2)
        go_on.set()

        assert (await pressing).status == 200


async def test_a_connection_that_breaks_off_is_made_anew_and_it_is_said(engine, session, incident, logs):
    async with running(engine, session):
        await said(logs, "connected")

        engine.slack.socket.cut()
        await said(logs, "connected", "down", "connected")

        assert (await engine.slack.press(incident[1], "acknowledge")).status == 200


async def test_a_connection_that_slack_closes_is_made_anew(engine, session):
    async with running(engine, session):
        await connected(engine)

        await engine.slack.socket.close()

        await until(lambda: engine.slack.socket._opened == 2)


async def test_while_slack_is_down_it_is_tried_again_and_said_once(engine, session, logs):
    engine.slack.faults.order(Fault(kind="503", times=5))
    async with running(engine, session):
        await connected(engine)
        await said(logs, "down", "connected")


async def test_a_websocket_that_cannot_be_opened_is_given_up_and_tried_anew(engine, session, logs, monkeypatch):
    new_url = engine.slack.socket.new_url
    urls = iter(["ws://127.0.0.1:1/nobody"])
    monkeypatch.setattr(engine.slack.socket, "new_url", lambda request: next(urls, None) or new_url(request))

    async with running(engine, session, replace(PAUSES, connect_s=0.2)):
        await connected(engine)

    assert "could not be opened" in next(line["error"] for line in logs if line["event"] == "slack.socket_down")


async def test_a_wrong_token_is_one_error_that_says_what_to_do_then_warnings_and_heals(engine, session, logs):
    engine.slack._app_token = "xapp-another"
    async with running(engine, session, replace(PAUSES, reminder_s=0.05)):
        await until(lambda: [line["event"] for line in logs].count("slack.socket_still_refused") >= 2)
        tried = engine.slack.calls.count("apps.connections.open")
        engine.slack._app_token = APP_TOKEN
        await until(lambda: "slack.socket_connected" in [line["event"] for line in logs])

    assert "alert.slack.app_token is not valid" in logs.expect_error("slack.socket_refused")["advice"]
    assert tried > 3
    assert "app-secret" not in str(logs)


@pytest.mark.parametrize("slack_settings", [{"app_token": "xoxb-a-bot-token"}])
async def test_another_kind_of_token_is_named_as_such(engine, session, logs, slack_settings):
    async with running(engine, session):
        await until(lambda: "slack.socket_refused" in [line["event"] for line in logs])

    assert "app-level token, xapp-" in logs.expect_error("slack.socket_refused")["advice"]


async def test_a_stop_while_nothing_answers_is_a_stop(engine):
    engine.slack.faults.order(Fault(kind="slow", seconds=600, times=1))

    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout()) as patient, running(engine, patient):
        await until(lambda: engine.slack.faults.are_over)


async def test_nothing_of_a_payload_or_a_url_gets_into_the_log(engine, session, incident, logs, caplog):
    async with running(engine, session):
        await connected(engine)
        await engine.slack.press(incident[1], "acknowledge")
        engine.slack.socket.cut()
        await until(lambda: engine.slack.socket._opened == 2)

    assert "ticket=" not in str(logs) + caplog.text
    assert "trigger_id" not in str(logs) + caplog.text
    assert "app-secret" not in str(logs) + caplog.text


async def test_connections_that_do_not_last_are_made_less_and_less_often(engine, session, monkeypatch):
    waited: list[float] = []

    def at_once(_: float, most: float) -> float:
        waited.append(most)
        return 0

    monkeypatch.setattr("random.uniform", at_once)

    async with running(engine, session, replace(PAUSES, stable_s=60, retry_s=1, retry_max_s=5)):
        for number in range(1, 6):
            await until(lambda: engine.slack.socket._opened == number)  # noqa: B023 - it is awaited here
            await connected(engine)
            engine.slack.socket.cut()

        await until(lambda: len(waited) == 5)

    assert waited == [1, 2, 4, 5, 5]


async def test_a_form_opens_and_comes_back_by_the_socket(engine, session):
    [created] = (await engine.post(ALERT))["incidents"]
    await engine.settle()
    async with running(engine, session):
        await connected(engine)
        [message] = engine.slack.messages
        await engine.slack.press(message, RESOLVE_WITH_COMMENT)
        await until(lambda: list(engine.slack.views.open) == ["U0ANA"])

        delivery = await engine.slack.submit("U0ANA", comment="Rebooted")

        assert (delivery.via, delivery.status, delivery.body) == ("socket", 200, "")
        assert (await engine.store.get(created["id"])).resolve_comment == "Rebooted"
