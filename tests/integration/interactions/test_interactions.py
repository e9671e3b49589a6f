"""People press buttons in the simulated Slack: what happens, what they are told, and who is not believed."""

import asyncio
import gzip
import io
from urllib.parse import parse_qs, quote, urlencode

import orjson
import pytest
import structlog
from aiohttp import ClientSession

from tests.integration.conftest import CHANNEL, DAY_MS, TOKEN, make_storms
from tests.support.factories import POLICY, make_notification
from tests.support.waiting import DEADLINE_S, until
from versus_py.config import SlackConfig
from versus_py.engine.lifecycle import Lifecycle
from versus_py.engine.storms import StormAcknowledgment
from versus_py.errors import StoreUnavailable
from versus_py.incidents.actions import Action
from versus_py.incidents.model import Actor, Status
from versus_py.interactions import Desk
from versus_py.interactions.follow_ups import WAITING_MAX, FollowUps
from versus_py.simulators import Fault
from versus_py.simulators.slack import Press as SlackPress
from versus_py.simulators.slack.simulator import SIGNING_SECRET
from versus_py.simulators.slack.validation import Content
from versus_py.store import Store, keys
from versus_py.store.connection import connect
from versus_py.store.people import KnownPeople
from versus_py.store.requests import TakenRequests
from versus_py.systems import called
from versus_py.targets.interactive import IncidentPress, Permission
from versus_py.targets.slack import requests as door
from versus_py.targets.slack.actions import LINK_ACTION
from versus_py.targets.slack.allowed import Allowed
from versus_py.targets.slack.api import SlackApi
from versus_py.targets.slack.interactive import SlackInteractive
from versus_py.targets.slack.press import read_presses
from versus_py.targets.slack.requests import PATH
from versus_py.web import inbound

ALERT = {"title": "Disk full", "id": "d1", "severity": "high"}
ANA = Actor("Ana Diaz", "ana@example.com", {"slack": "U0ANA"})
BEN = Actor("Ben Okafor", "ben@example.com", {"slack": "U0BEN"})


@pytest.fixture
def slack_settings():
    return {"signing_secret": SIGNING_SECRET}


def buttons(incident_id):
    """Every button there is, also those that an up-to-date message would not have."""
    elements = [
        {"type": "button", "action_id": action, "value": incident_id, "text": {"type": "plain_text", "text": action}}
        for action in Action
        if action is not Action.SNOOZE
    ]
    options = [
        {"text": {"type": "plain_text", "text": choice}, "value": f"{incident_id} {choice}"}
        for choice in ("30", "09:00")
    ]
    select = {"type": "static_select", "action_id": "snooze", "options": options}
    link = {"type": "button", "action_id": LINK_ACTION, "url": "https://versus.example/ack"}
    text = {"text": {"type": "plain_text", "text": "…"}}
    return {
        "type": "actions",
        "block_id": "versus",
        "elements": [*elements, select | {"placeholder": text["text"]}, link | text],
    }


def message(engine, incident_id):
    return engine.slack.add_message(CHANNEL, Content("an incident", [], [buttons(incident_id)]))


@pytest.fixture
async def incident(engine):
    """The id of an incident that waits, and a message about it."""
    [created] = (await engine.post(ALERT))["incidents"]
    return created["id"], message(engine, created["id"])


async def press(engine, shown, action, user="U0ANA", option=None):
    """A press that Slack is satisfied with, and all that follows from it."""
    delivery = await engine.slack.press(shown, action, user=user, option=option)
    assert (delivery.status, delivery.body, delivery.trouble) == (200, "", "")
    await engine.follow_ups.settled()


def told(engine):
    """Who was told what."""
    return [(it.user, it.text) for it in engine.slack.ephemerals]


# What presses do


async def test_who_acknowledges_is_known_by_name_and_address(engine, incident):
    incident_id, shown = incident

    await press(engine, shown, "acknowledge")

    found = await engine.store.get(incident_id)
    assert found.status is Status.ACKNOWLEDGED
    assert found.acknowledged_by == ANA
    assert told(engine) == []


async def test_what_is_acknowledged_never_escalates(engine, incident):
    await press(engine, incident[1], "acknowledge")

    await engine.after(hours=2)

    assert engine.servicenow.incidents == []


async def test_people_may_take_it_give_it_back_and_end_it(engine, incident):
    incident_id, shown = incident
    states = []
    for action in ("acknowledge", "unacknowledge", "resolve"):
        await press(engine, shown, action)
        states.append((await engine.store.get(incident_id)).status)

    assert states == [Status.ACKNOWLEDGED, Status.TRIGGERED, Status.RESOLVED]


async def test_escalating_calls_the_provider_at_once(engine, incident):
    await press(engine, incident[1], "escalate")
    await engine.settle()

    [record] = engine.servicenow.incidents
    assert record["correlation_id"] == incident[0]


async def test_snoozing_puts_the_escalation_off(engine, incident, clock):
    incident_id, shown = incident

    await press(engine, shown, "snooze", option=f"{incident_id} 30")

    found = await engine.store.get(incident_id)
    assert found.snooze.until_ms == clock.now_ms() + 30 * 60_000
    assert found.snooze.by == ANA
    assert found.escalates_at_ms > clock.now_ms() + 30 * 60_000


async def test_a_button_that_is_only_a_link_is_answered_and_does_nothing(engine, incident):
    incident_id, shown = incident

    await press(engine, shown, LINK_ACTION)

    assert (await engine.store.get(incident_id)).status is Status.TRIGGERED
    assert told(engine) == []


async def test_a_press_costs_slack_one_answer_and_no_call_before_it(engine, incident):
    engine.slack.faults.order(Fault(kind="slow", seconds=1, times=None))

    delivery = await engine.slack.press(incident[1], "acknowledge")

    assert (delivery.status, (await engine.store.get(incident[0])).status) == (200, Status.ACKNOWLEDGED)
    assert engine.slack.calls == []


# What changes nothing


async def test_the_first_name_stands_and_the_second_hears_it(engine, incident):
    incident_id, shown = incident
    await press(engine, shown, "acknowledge")

    await press(engine, shown, "acknowledge", user="U0BEN")

    assert (await engine.store.get(incident_id)).acknowledged_by == ANA
    [(user, text)] = told(engine)
    assert user == "U0BEN"
    assert "*Disk full*: *Ana Diaz* acknowledged it <!date^" in text


async def test_a_double_click_is_answered_quietly(engine, incident):
    incident_id, shown = incident

    deliveries = await asyncio.gather(*(engine.slack.press(shown, "acknowledge") for _ in range(2)))
    await engine.follow_ups.settled()

    assert [it.status for it in deliveries] == [200, 200]
    timeline = [entry.event for entry in await engine.store.timeline(incident_id)]
    assert timeline.count("acknowledged") == 1
    [(user, text)] = told(engine)
    assert (user, "you acknowledged it" in text) == ("U0ANA", True)


@pytest.mark.parametrize("action", ["acknowledge", "unacknowledge", "resolve", "escalate"])
async def test_an_incident_that_is_forgotten_is_said_to_be(engine, action):
    shown = message(engine, "0123456789abcdef0123-1")

    await press(engine, shown, action)

    [(user, text)] = told(engine)
    assert (user, "not known any more" in text) == ("U0ANA", True)


async def test_a_value_that_is_no_incident_is_one_that_nobody_knows(engine):
    await press(engine, message(engine, "}{:*|x"), "resolve")

    assert "not known any more" in told(engine)[0][1]


async def test_the_same_request_once_more_does_nothing_and_says_nothing(engine, incident):
    incident_id, shown = incident
    body, headers = engine.slack.prepare_press(shown, "acknowledge")
    await engine.slack.deliver(body, headers)
    await press(engine, shown, "unacknowledge", user="U0BEN")

    again = await engine.slack.deliver(body, headers)
    await engine.follow_ups.settled()

    assert again.status == 200
    assert (await engine.store.get(incident_id)).status is Status.TRIGGERED
    assert told(engine) == []


async def take_elsewhere(engine, body, config=None):
    """Another replica takes that request, and says what it has to say."""
    async with connect(engine.redis_server.config) as redis, ClientSession() as session:
        config = config or engine.config.alert.slack
        store = Store(redis, retention_ms=DAY_MS, reopen_ms=0)
        lifecycle = Lifecycle(store, engine.clock)
        desk = Desk(
            {"slack": SlackInteractive(config, SlackApi(config, session), session, engine.clock)},
            lifecycle=lifecycle,
            storms=StormAcknowledgment(make_storms(store), lifecycle),
            people=KnownPeople(redis),
            requests=TakenRequests(redis),
            called=called(),
        )
        await desk.take(read_presses(orjson.loads(parse_qs(body.decode())["payload"][0])))
        stop = asyncio.Event()
        stop.set()
        await desk.run(stop)


async def test_the_same_request_at_another_replica_does_nothing_and_says_nothing(engine, incident):
    incident_id, shown = incident
    body, headers = engine.slack.prepare_press(shown, "acknowledge")
    await engine.slack.deliver(body, headers)
    await press(engine, shown, "unacknowledge", user="U0BEN")

    await take_elsewhere(engine, body)

    assert (await engine.store.get(incident_id)).status is Status.TRIGGERED
    assert told(engine) == []


async def test_a_press_that_changed_nothing_does_not_do_so_at_another_replica_either(engine, incident):
    incident_id, shown = incident
    await press(engine, shown, "acknowledge")
    body, headers = engine.slack.prepare_press(shown, "acknowledge", user="U0BEN")
    await engine.slack.deliver(body, headers)
    await press(engine, shown, "unacknowledge")
    engine.slack.ephemerals.clear()

    await take_elsewhere(engine, body)

    assert (await engine.store.get(incident_id)).status is Status.TRIGGERED
    assert told(engine) == []


async def test_a_request_is_not_forgotten_for_many_others(engine, incident):
    incident_id, shown = incident
    body, headers = engine.slack.prepare_press(shown, "acknowledge")
    await engine.slack.deliver(body, headers)
    for number in range(25):
        await press(engine, shown, "acknowledge" if number % 2 else "unacknowledge")

    await take_elsewhere(engine, body)

    assert (await engine.store.get(incident_id)).status is Status.TRIGGERED
    assert told(engine) == []


@pytest.mark.parametrize("slack_settings", [{"signing_secret": SIGNING_SECRET, "allowed_users": ["U0BEN"]}])
async def test_a_press_that_was_refused_stays_so_when_it_is_sent_again_to_one_who_would_take_it(engine, incident):
    incident_id, shown = incident
    body, headers = engine.slack.prepare_press(shown, "acknowledge")
    await engine.slack.deliver(body, headers)

    await take_elsewhere(engine, body, engine.config.alert.slack.model_copy(update={"allowed_users": ()}))

    assert (await engine.store.get(incident_id)).status is Status.TRIGGERED


async def test_a_press_that_failed_half_way_is_taken_when_it_is_sent_again(engine, incident, monkeypatch):
    incident_id, shown = incident
    body, headers = engine.slack.prepare_press(shown, "acknowledge")

    async def fail(*_):
        raise StoreUnavailable("gone")

    with monkeypatch.context() as patch:
        patch.setattr(engine.people, "get", fail)
        failed = await engine.slack.deliver(body, headers)
    again = await engine.slack.deliver(body, headers)
    await engine.follow_ups.settled()

    assert (failed.status, again.status) == (503, 200)
    assert (await engine.store.get(incident_id)).acknowledged_by == ANA


async def test_presses_are_remembered_for_as_long_as_their_signatures_can_hold(engine, incident):
    await press(engine, incident[1], "acknowledge")

    [key] = await engine.store._redis.keys(keys.taken_request("*"))

    assert 9 * 60_000 < await engine.store._redis.pttl(key) <= 10 * 60_000


async def test_a_press_that_changed_nothing_does_not_do_so_later_when_it_is_sent_again(engine, incident):
    incident_id, shown = incident
    await press(engine, shown, "acknowledge")
    body, headers = engine.slack.prepare_press(shown, "acknowledge", user="U0BEN")
    await engine.slack.deliver(body, headers)
    await press(engine, shown, "unacknowledge")

    await engine.slack.deliver(body, headers)

    assert (await engine.store.get(incident_id)).status is Status.TRIGGERED


@pytest.mark.parametrize("slack_settings", [{"signing_secret": SIGNING_SECRET, "actions": {"resolve": False}}])
async def test_a_button_that_is_switched_off_does_nothing_on_old_messages_either(engine, incident, slack_settings):
    incident_id, shown = incident

    await press(engine, shown, "resolve")

    assert (await engine.store.get(incident_id)).status is Status.TRIGGERED
    assert "resolving from Slack is switched off" in told(engine)[0][1]


async def test_an_answer_that_slack_refuses_is_a_warning(engine, incident, logs):
    await press(engine, incident[1], "unacknowledge", user="U0STRANGER")

    [line] = [line for line in logs if line["event"] == "interaction.follow_up_failed"]
    assert "user_not_in_channel" in line["error"]
    assert engine.slack.calls.count("chat.postEphemeral") == 1


async def test_an_answer_is_tried_again_while_slack_is_down(engine, incident):
    engine.slack.faults.order(Fault(kind="503", times=1, path="/api/chat.postEphemeral"))

    await press(engine, incident[1], "unacknowledge")

    assert len(told(engine)) == 1


# Who may


@pytest.mark.parametrize("slack_settings", [{"signing_secret": SIGNING_SECRET, "allowed_users": ["U0BEN"]}])
async def test_only_those_who_are_allowed_may_act(engine, incident, slack_settings):
    incident_id, shown = incident

    await press(engine, shown, "acknowledge")
    refused = await engine.store.get(incident_id)
    await press(engine, shown, "acknowledge", user="U0BEN")

    assert refused.status is Status.TRIGGERED
    [(user, text)] = told(engine)
    assert user == "U0ANA"
    assert "you are not among those who may do that. They are <@U0BEN>." in text
    assert (await engine.store.get(incident_id)).acknowledged_by == BEN


@pytest.mark.parametrize("slack_settings", [{"signing_secret": SIGNING_SECRET, "allowed_groups": ["S0ONCALL"]}])
async def test_members_of_a_group_may_act_and_others_may_not(engine, incident, slack_settings, logs):
    incident_id, shown = incident
    await until(lambda: any(line["event"] == "slack.group_loaded" for line in logs))

    await press(engine, shown, "acknowledge", user="U0BEN")
    await press(engine, shown, "acknowledge")

    assert [user for user, _ in told(engine)] == ["U0BEN"]
    assert "<!subteam^S0ONCALL>" in told(engine)[0][1]
    assert (await engine.store.get(incident_id)).acknowledged_by == ANA


@pytest.fixture
def groups_config(slack_url):
    return SlackConfig.model_validate(
        {"token": TOKEN, "api_url": f"{slack_url}/api", "allowed_groups": ["S0ONCALL"], "allowed_users": ["U0CHI"]}
    )


async def test_as_long_as_a_group_was_never_loaded_only_users_named_may(slack, groups_config, session, logs):
    allowed = Allowed(groups_config, SlackApi(groups_config, session))
    slack.faults.order(Fault(kind="503"))

    await allowed.load()
    before = {user: allowed.permission(user) for user in ("U0ANA", "U0CHI")}
    await allowed.load()
    after = {user: allowed.permission(user) for user in ("U0ANA", "U0CHI", "U0BEN")}

    assert before == {"U0ANA": Permission.UNKNOWN, "U0CHI": Permission.YES}
    assert after == {"U0ANA": Permission.YES, "U0CHI": Permission.YES, "U0BEN": Permission.NO}
    assert [line["event"] for line in logs] == ["slack.group_unreachable", "slack.group_loaded"]


async def test_a_group_that_cannot_be_loaded_any_more_keeps_its_members_and_says_so_once(
    slack, groups_config, session, logs
):
    allowed = Allowed(groups_config, SlackApi(groups_config, session))
    await allowed.load()
    slack.faults.order(Fault(kind="503", times=3))

    pauses = [await allowed.load() for _ in range(3)]

    assert allowed.permission("U0ANA") is Permission.YES
    assert all(pause_s < 60 for pause_s in pauses)
    assert [line["event"] for line in logs] == ["slack.group_loaded", "slack.group_unreachable"]


async def test_who_left_the_group_may_not_any_more_once_it_is_loaded_again(slack, groups_config, session):
    allowed = Allowed(groups_config, SlackApi(groups_config, session))
    await allowed.load()
    slack.groups["S0ONCALL"] = ["U0BEN"]

    await allowed.load()

    assert allowed.permission("U0ANA") is Permission.NO
    assert allowed.permission("U0BEN") is Permission.YES


async def test_a_missing_scope_is_an_error_that_says_what_to_do(slack, groups_config, session, logs):
    slack.scopes.remove("usergroups:read")
    allowed = Allowed(groups_config, SlackApi(groups_config, session))

    await allowed.load()
    await allowed.load()

    assert allowed.permission("U0ANA") is Permission.UNKNOWN
    assert len(logs) == 1
    assert "usergroups:read" in logs.expect_error("slack.group_refused")["advice"]


async def test_nobody_is_in_a_group_that_does_not_exist(slack, groups_config, session, logs):
    slack.groups.clear()
    allowed = Allowed(groups_config, SlackApi(groups_config, session))

    await allowed.load()

    assert allowed.permission("U0ANA") is Permission.NO
    logs.expect_error("slack.group_refused")


@pytest.mark.parametrize("slack_settings", [{"signing_secret": SIGNING_SECRET, "allowed_groups": ["S0ONCALL"]}])
async def test_who_cannot_be_told_to_be_a_member_is_refused_and_asked_to_try_again(engine, incident, slack_settings):
    engine.side._allowed._members.clear()

    await press(engine, incident[1], "acknowledge")

    assert (await engine.store.get(incident[0])).status is Status.TRIGGERED
    assert "try again" in told(engine)[0][1]


# Who it was


async def test_people_are_asked_for_once(engine, incident):
    incident_id, shown = incident

    for action in ("acknowledge", "unacknowledge", "resolve"):
        await press(engine, shown, action)

    assert engine.slack.calls.count("users.info") == 1
    assert (await engine.store.get(incident_id)).resolved_by == ANA


async def test_who_is_known_already_is_known_at_once(engine, incident):
    incident_id, shown = incident
    await engine.people.keep("slack", ANA, for_ms=60_000)

    await press(engine, shown, "acknowledge")

    assert (await engine.store.get(incident_id)).acknowledged_by == ANA
    assert "users.info" not in engine.slack.calls
    assert "identified" not in [entry.event for entry in await engine.store.timeline(incident_id)]


async def test_without_the_scope_the_handle_has_to_do_and_is_not_asked_for_again(engine, incident, logs):
    incident_id, shown = incident
    engine.slack.scopes.remove("users:read")

    await press(engine, shown, "acknowledge")
    await press(engine, shown, "unacknowledge")

    assert engine.slack.calls.count("users.info") == 1
    assert await engine.people.get("slack", "U0ANA") == Actor("ana", ids={"slack": "U0ANA"})
    assert [line["log_level"] for line in logs if line["event"] == "slack.names_unknown"] == ["info"]
    assert [entry.by.name for entry in await engine.store.timeline(incident_id) if entry.by] == ["ana", "ana"]


async def test_without_the_scope_for_addresses_there_is_a_name(engine, incident):
    engine.slack.scopes.remove("users:read.email")

    await press(engine, incident[1], "acknowledge")

    assert (await engine.store.get(incident[0])).acknowledged_by == Actor("Ana Diaz", "", {"slack": "U0ANA"})


async def test_while_slack_tells_nobody_the_handle_has_to_do_for_now(engine, incident, logs):
    incident_id, shown = incident
    engine.slack.faults.order(Fault(kind="503", times=3, path="/api/users.info"))

    await press(engine, shown, "acknowledge")

    assert (await engine.store.get(incident_id)).acknowledged_by == Actor("ana", ids={"slack": "U0ANA"})
    assert await engine.people.get("slack", "U0ANA") is None
    assert "interaction.follow_up_failed" in [line["event"] for line in logs]


@pytest.mark.parametrize(
    ("missing", "hours"),
    [
        pytest.param("nothing", 24, id="known by name"),
        pytest.param("users:read.email", 24, id="without an address"),
        pytest.param("users:read", 1, id="the handle alone, so that a scope that is added shows names soon"),
    ],
)
async def test_what_is_known_of_people_is_forgotten_after_a_while(engine, incident, missing, hours):
    engine.slack.scopes[:] = [scope for scope in engine.slack.scopes if scope != missing]

    await press(engine, incident[1], "acknowledge")

    ttl_ms = await engine.people._redis.pttl(keys.person("slack", "U0ANA"))
    assert (hours - 0.1) * 3600 * 1000 < ttl_ms <= hours * 3600 * 1000


# Redis is gone


async def test_while_redis_is_gone_the_person_is_told_that_it_failed_and_nothing_is_said(engine, incident):
    incident_id, shown = incident
    body, headers = engine.slack.prepare_press(shown, "acknowledge")
    engine.redis_server.go_away()
    gone = await engine.slack.deliver(body, headers)
    engine.redis_server.come_back()

    again = await engine.slack.deliver(body, headers)
    await engine.follow_ups.settled()

    assert (gone.status, again.status) == (503, 200)
    assert (await engine.store.get(incident_id)).acknowledged_by == ANA
    assert told(engine) == []


async def test_a_redis_that_is_too_slow_counts_as_gone(engine, incident, monkeypatch):
    async def hang(*_):
        await asyncio.Event().wait()

    monkeypatch.setattr(engine.people, "get", hang)
    engine.side.take_within_s = 0.05

    delivery = await engine.slack.press(incident[1], "acknowledge")

    assert delivery.status == 503
    assert (await engine.store.get(incident[0])).status is Status.TRIGGERED


async def test_a_redis_that_stands_still_is_given_up_before_slack_gives_up(redis, store, clock, session, groups_config):
    lifecycle = Lifecycle(store, clock)
    [accepted] = await lifecycle.accept([make_notification()], lambda *_: POLICY)
    assert accepted.incident is not None
    incident_id = accepted.incident.id
    known = KnownPeople(redis)
    config = groups_config.model_copy(update={"allowed_groups": (), "allowed_users": ()})
    side = SlackInteractive(config, SlackApi(config, session), session, clock)
    side.take_within_s = 0.2
    requests = TakenRequests(redis)
    storms = StormAcknowledgment(make_storms(store), lifecycle)
    desk = Desk({"slack": side}, lifecycle=lifecycle, storms=storms, people=known, requests=requests, called=called())
    ana = Actor("ana", ids={"slack": "U0ANA"})
    asked = IncidentPress(
        system="slack", action=Action.ACKNOWLEDGE, incident_id=incident_id, actor=ana, request_id="request-1"
    )
    await redis.client_pause(60_000, all=False)

    with pytest.raises(StoreUnavailable, match="within"):
        await desk.take([asked])
    await redis.client_unpause()
    await desk.take([asked])

    assert (await store.get(incident_id)).acknowledged_by == Actor("ana", ids={"slack": "U0ANA"})


# Who is not believed


def tampered(how, body, headers):
    now_s = int(headers["X-Slack-Request-Timestamp"])
    match how:
        case "altered":
            return body.replace(b"acknowledge", b"unacknowledge"), headers
        case "no signature" | "no timestamp":
            name = "X-Slack-Signature" if how == "no signature" else "X-Slack-Request-Timestamp"
            return body, {key: value for key, value in headers.items() if key != name}
        case "not ASCII":
            return body, headers | {"X-Slack-Signature": "v0=é"}
        case "empty":
            return body, headers | {"X-Slack-Signature": ""}
        case "v1":
            return body, headers | {"X-Slack-Signature": "v1" + headers["X-Slack-Signature"][2:]}
        case "not a number" | "huge" | "signed number" | "other digits" | "negative":
            odd = {"not a number": "now", "huge": "9" * 5000, "signed number": f"+{now_s}", "negative": f"-{now_s}"}
            return body, headers | {"X-Slack-Request-Timestamp": odd.get(how, "\u0661" * 10)}
    raise AssertionError(how)


@pytest.mark.parametrize(
    "how",
    [
        "altered",
        "no signature",
        "no timestamp",
        "not ASCII",
        "empty",
        "v1",
        "not a number",
        "huge",
        "signed number",
        "other digits",
        "negative",
    ],
)
async def test_what_slack_has_not_signed_is_401_and_does_nothing(engine, incident, how):
    incident_id, shown = incident
    body, headers = tampered(how, *engine.slack.prepare_press(shown, "acknowledge"))

    response = await engine.http.post(PATH, data=body, headers=headers)

    assert response.status == 401
    assert "signed" in (await response.json())["error"]
    assert (await engine.store.get(incident_id)).status is Status.TRIGGERED


@pytest.mark.parametrize(("age_s", "status"), [(299, 200), (301, 401), (-299, 200), (-301, 401)])
async def test_a_signature_holds_for_five_minutes(engine, incident, clock, age_s, status):
    timestamp = clock.now_ms() // 1000 - age_s
    body, headers = engine.slack.prepare_press(incident[1], "acknowledge", timestamp=timestamp)

    assert (await engine.http.post(PATH, data=body, headers=headers)).status == status


async def test_a_signature_by_another_secret_is_401(engine, incident):
    engine.slack._interactions._signing_secret = "another"
    body, headers = engine.slack.prepare_press(incident[1], "acknowledge")

    assert (await engine.http.post(PATH, data=body, headers=headers)).status == 401


async def test_refused_requests_are_counted_and_told_once_a_minute(engine, clock, logs):
    async def refuse(times):
        for _ in range(times):
            assert (await engine.http.post(PATH, data=b"payload={}")).status == 401

    await refuse(3)
    clock.advance(seconds=59)
    await refuse(2)
    clock.advance(seconds=1)
    await refuse(1)

    assert [line["requests"] for line in logs if line["event"] == "inbound.refused"] == [1, 5]


async def test_two_signatures_are_none(engine, incident):
    body, headers = engine.slack.prepare_press(incident[1], "acknowledge")
    twice = [*headers.items(), ("X-Slack-Signature", headers["X-Slack-Signature"])]

    assert (await engine.http.post(PATH, data=body, headers=twice)).status == 401


def signed(engine, body, clock):
    timestamp = clock.now_ms() // 1000
    return {
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Slack-Request-Timestamp": str(timestamp),
        "X-Slack-Signature": engine.slack.sign(body, timestamp),
    }


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"payload=", 400),
        (b"payload=%7B", 400),
        (b"payload=[]", 400),
        (b"payload=null", 400),
        (b"payload={}", 400),
        (b"payload={}&payload={}", 400),
        (b"other=1", 400),
        (b"a=1&" * 50, 400),
        (b"payload=" + quote(b"[" * 100_000).encode(), 400),
        (b'payload={"type":"\xff"}', 401),  # no text, so that it cannot be verified either
        (b'payload={"type":"view_closed"}', 200),
        (urlencode({"payload": orjson.dumps({"type": "block_actions", "actions": [1]})}).encode(), 400),
        (b"ssl_check=1&token=x", 400),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_what_is_signed_but_no_interaction_is_refused(engine, clock, body, status):
    response = await engine.http.post(PATH, data=body, headers=signed(engine, body, clock))

    assert response.status == status
    assert status == 200 or (await response.json())["error"]


async def test_slack_may_look_at_the_certificate(engine):
    response = await engine.http.post(PATH, data={"ssl_check": "1", "token": "x"})

    assert (response.status, await response.read()) == (200, b"")


async def test_a_press_does_not_come_in_as_a_look_at_the_certificate(engine, incident):
    body, _ = engine.slack.prepare_press(incident[1], "acknowledge")

    response = await engine.http.post(PATH, data=b"ssl_check=1&" + body)

    assert response.status == 401


async def endless():
    yield b"payload="
    await asyncio.Event().wait()


async def test_a_body_that_never_ends_is_given_up(engine, clock, monkeypatch):
    monkeypatch.setattr(door, "BODY_TIMEOUT_S", 0.05)

    response = await engine.http.post(PATH, data=endless(), headers=signed(engine, b"payload=", clock))

    assert response.status == 408


@pytest.mark.parametrize("how", ["no signature", "no timestamp", "not ASCII", "v1", "not a number", "huge"])
async def test_what_no_body_could_make_right_is_refused_before_it_is_read(engine, incident, how, monkeypatch):
    monkeypatch.setattr(door, "BODY_TIMEOUT_S", DEADLINE_S)
    _, headers = tampered(how, *engine.slack.prepare_press(incident[1], "acknowledge"))

    assert (await engine.http.post(PATH, data=endless(), headers=headers)).status == 401


async def test_what_is_too_old_is_refused_before_it_is_read(engine, incident, clock, monkeypatch):
    monkeypatch.setattr(door, "BODY_TIMEOUT_S", DEADLINE_S)
    _, headers = engine.slack.prepare_press(incident[1], "acknowledge")
    clock.advance(minutes=6)

    assert (await engine.http.post(PATH, data=endless(), headers=headers)).status == 401


async def test_for_one_more_body_the_one_that_arrives_for_longest_is_given_up_and_none_of_the_intakes(
    engine, clock, monkeypatch
):
    monkeypatch.setattr(door, "BODY_TIMEOUT_S", DEADLINE_S)
    finish, begun = asyncio.Event(), []

    async def dripping(data):
        yield data[:1]
        begun.append(data)
        await finish.wait()
        yield data[1:]

    def press():
        headers = signed(engine, b"payload=", clock)
        return group.create_task(engine.http.post(PATH, data=dripping(b"payload="), headers=headers))

    async with asyncio.timeout(DEADLINE_S / 2), asyncio.TaskGroup() as group:
        alert = group.create_task(engine.http.post("/api/incidents", data=dripping(orjson.dumps(ALERT))))
        await until(lambda: len(begun) == 1)
        presses = [press() for _ in range(inbound.ARRIVING_MAX + 1)]

        [given_up], _ = await asyncio.wait(presses, return_when=asyncio.FIRST_COMPLETED)
        finish.set()

    assert (given_up.result().status, given_up.result().headers["Retry-After"]) == (503, "5")
    assert {it.result().status for it in presses if it is not given_up} == {400}
    assert alert.result().status == 201


@pytest.mark.parametrize("settings", [{"max_body_bytes": 2 * door.BODY_MAX_BYTES}])
async def test_a_body_that_is_too_large_is_refused(engine, clock):
    body = b"x" * (door.BODY_MAX_BYTES + 1)

    assert (await engine.http.post(PATH, data=io.BytesIO(body), headers=signed(engine, body, clock))).status == 413


async def test_a_body_that_is_packed_is_refused(engine, clock):
    body = gzip.compress(b"payload={}")
    headers = signed(engine, b"payload={}", clock) | {"Content-Encoding": "gzip"}

    response = await engine.http.post(PATH, data=body, headers=headers)

    assert response.status == 415
    assert "Content-Encoding" in (await response.json())["error"]


async def test_a_get_is_no_press(engine):
    assert (await engine.http.get(PATH)).status == 405


@pytest.mark.parametrize("slack_settings", [{}])
async def test_without_a_signing_secret_there_is_nothing_to_post_to(engine, slack_settings):
    response = await engine.http.post(PATH, data=b"payload={}")

    assert response.status == 404
    assert "signing_secret" in (await response.json())["error"]


# What is done afterwards


async def test_a_follow_up_that_hangs_or_crashes_is_in_nobodys_way(logs):
    done = asyncio.Event()
    follow_ups = FollowUps(retry_s=0, deadline_s=0.05)

    async def hang():
        await asyncio.Event().wait()

    async def crash():
        raise RuntimeError

    async def finish():
        done.set()

    for _ in range(8):
        follow_ups.add("hang", hang)
        follow_ups.add("crash", crash)
    follow_ups.add("finish", finish)
    stop = asyncio.Event()
    running = asyncio.create_task(follow_ups.run(stop))
    async with asyncio.timeout(DEADLINE_S):
        await done.wait()
        await follow_ups.settled()
        stop.set()
        await running

    logs.expect_error("interaction.follow_up_crashed")


async def test_what_does_not_fit_the_queue_is_dropped_and_said_to_be(logs):
    follow_ups = FollowUps()

    async def nothing():
        raise StoreUnavailable("never called")

    for _ in range(WAITING_MAX + 1):
        follow_ups.add("an answer", nothing)

    assert [line["event"] for line in logs] == ["interaction.follow_up_dropped"]


async def test_whatever_is_logged_during_a_follow_up_names_its_incident(logs):
    bound = []

    async def work():
        bound.append(structlog.contextvars.get_contextvars())

    follow_ups = FollowUps()
    follow_ups.add("who that is", work, incident="0a-1")
    stop = asyncio.Event()
    stop.set()
    await follow_ups.run(stop)

    assert bound == [{"incident": "0a-1"}]


async def test_what_is_left_is_done_before_the_end(logs):
    done = []

    async def work():
        done.append(1)

    follow_ups = FollowUps()
    stop = asyncio.Event()
    for _ in range(20):
        follow_ups.add("an answer", work)
    stop.set()
    await follow_ups.run(stop)

    assert len(done) == 20


async def test_several_presses_in_one_payload_all_count(engine, incident):
    incident_id, shown = incident
    payload = engine.slack._interactions.payload(shown, _press_of(shown, "acknowledge"))
    payload["actions"] += engine.slack._interactions.payload(shown, _press_of(shown, "resolve"))["actions"]

    await engine.desk.take(read_presses(payload))

    found = await engine.store.get(incident_id)
    assert (found.status, found.acknowledged_at_ms is None) == (Status.RESOLVED, False)


def _press_of(shown, action):
    return SlackPress(shown.channel, shown.ts, action, "U0ANA", None)
