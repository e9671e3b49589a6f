"""Who acts in another system is shown as the Slack user with the same e-mail address."""

import asyncio

import pytest

from tests.integration.conftest import TOKEN, Engine, make_turns
from tests.integration.targets.test_slack_thread import message
from tests.integration.targets.test_slack_thread import trigger as triggered
from tests.support.factories import make_incident
from versus_py.config import SlackConfig
from versus_py.incidents import transitions
from versus_py.incidents.copies import replace
from versus_py.incidents.model import Actor, Comment, Delivery, Entry, Event, Incident, IncidentId
from versus_py.simulators import Fault
from versus_py.simulators.slack.errors import ErrorOrder
from versus_py.targets.slack import users as slack_users
from versus_py.targets.slack.api import SlackApi
from versus_py.targets.slack.users import CACHED_MAX, Users, read_user
from versus_py.targets.slack.who import SlackUser, addresses_in
from versus_py.targets.slack.wire import Wire

LOOKUP = "users.lookupByEmail"
BEN = Actor("B. Okafor", "Ben@Example.com", {"servicenow": "b.okafor"})
STRANGER = Actor("Zoe", "zoe@example.com", {"servicenow": "zoe"})


async def trigger(engine: Engine) -> IncidentId:
    return IncidentId(await triggered(engine))


async def acknowledge(engine: Engine, incident_id: IncidentId, by: Actor) -> None:
    await engine.lifecycle.act(incident_id, lambda it, now_ms: transitions.acknowledge(it, by, now_ms))
    await engine.settle()


async def resolve(engine: Engine, incident_id: IncidentId, by: Actor, comment: str = "") -> None:
    await engine.lifecycle.act(incident_id, lambda it, now_ms: transitions.resolve(it, by, now_ms, comment))
    await engine.settle()


async def test_who_acknowledged_in_servicenow_is_a_mention_in_the_message_which_is_edited(engine):
    await acknowledge(engine, await trigger(engine), BEN)

    assert "acknowledged by <@U0BEN> in ServiceNow " in message(engine).shown
    assert message(engine).replies == []


async def test_who_acted_is_named_in_the_thread_as_slack_knows_them_and_not_notified(engine):
    await resolve(engine, await trigger(engine), BEN, "Replaced the disk")

    assert "resolved by <@U0BEN> in ServiceNow" in message(engine).shown
    assert message(engine).replies == [":white_check_mark: Resolved by *Ben Okafor* in ServiceNow: Replaced the disk"]


async def test_somebody_with_an_address_who_acts_in_the_web_ui_is_a_mention_too(engine):
    await acknowledge(engine, await trigger(engine), Actor("Ana D.", "ana@example.com"))

    assert "acknowledged by <@U0ANA> <!date" in message(engine).shown


async def test_who_is_no_user_of_slack_is_named_and_asked_for_once(engine):
    incident_id = await trigger(engine)
    await acknowledge(engine, incident_id, STRANGER)
    await resolve(engine, incident_id, STRANGER)

    assert "acknowledged by *Zoe* in ServiceNow " in message(engine).shown
    assert engine.slack.calls.count(LOOKUP) == 1


async def test_who_acts_in_slack_is_not_asked_for(engine):
    await acknowledge(engine, await trigger(engine), Actor("Ben", "ben@example.com", {"slack": "U0BEN"}))

    assert "acknowledged by *Ben* <!date" in message(engine).shown
    assert LOOKUP not in engine.slack.calls


async def test_a_first_message_waits_for_nobody_to_be_looked_up(engine):
    [incident] = (await engine.post({"title": "Disk full"}))["incidents"]
    await engine.lifecycle.act(incident["id"], lambda it, now_ms: transitions.acknowledge(it, BEN, now_ms))
    await engine.worker.run_due()

    assert engine.slack.calls.index("chat.postMessage") < len(engine.slack.calls)
    assert LOOKUP not in engine.slack.calls[: engine.slack.calls.index("chat.postMessage")]
    assert "<@U0BEN>" not in message(engine).versions[0]


async def test_without_the_scope_there_is_the_name_and_one_warning(engine, logs):
    engine.slack.scopes.remove("users:read.email")
    incident_id = await trigger(engine)
    await acknowledge(engine, incident_id, BEN)
    await engine.after(hours=2)
    await resolve(engine, incident_id, BEN)

    assert "resolved by *B. Okafor* in ServiceNow" in message(engine).shown
    [warning] = [line for line in logs if line["event"] == "slack.users_unknown"]
    assert "users:read.email" in warning["advice"]
    assert engine.slack.calls.count(LOOKUP) == 2


@pytest.mark.parametrize(
    "fault",
    [Fault(kind="503"), Fault(kind="429", retry_after=600), Fault(kind="slow", seconds=5)],
    ids=lambda it: it.kind,
)
async def test_a_lookup_that_fails_costs_the_message_nothing_and_is_not_repeated_at_once(engine, monkeypatch, fault):
    monkeypatch.setattr(slack_users, "WITHIN_S", 0.05)
    engine.slack.faults.order(fault.model_copy(update={"path": f"/api/{LOOKUP}"}))
    incident_id = await trigger(engine)
    await acknowledge(engine, incident_id, BEN)
    assert "acknowledged by *B. Okafor* in ServiceNow" in message(engine).shown

    await resolve(engine, incident_id, BEN)

    assert "*Resolved*" in message(engine).text
    assert "resolved by *B. Okafor* in ServiceNow" in message(engine).shown


async def test_after_a_failure_the_next_change_shows_the_user(engine):
    engine.slack.faults.order(Fault(kind="503", path=f"/api/{LOOKUP}"))
    incident_id = await trigger(engine)
    await acknowledge(engine, incident_id, BEN)
    await engine.after(minutes=2)
    await resolve(engine, incident_id, BEN)

    assert "resolved by <@U0BEN> in ServiceNow" in message(engine).shown


async def test_who_a_ticket_is_assigned_to_is_notified_but_for_who_did_that(engine):
    incident_id = await trigger(engine)
    ana = Actor("A. Diaz", "ana@example.com")

    async def assign(by: Actor) -> None:
        def decide(it: Incident, now_ms: int):
            return transitions.tell(it, it, (Entry(now_ms, Event.ASSIGNED, "to A. Diaz, DBA", by, whom=ana),), now_ms)

        await engine.lifecycle.act(incident_id, decide)
        await engine.settle()

    await assign(BEN)
    await assign(replace(ana, ids={"servicenow": "a.diaz"}))

    assert message(engine).replies == [
        ":bust_in_silhouette: Assigned to <@U0ANA>, DBA by *Ben Okafor* in ServiceNow",
        ":bust_in_silhouette: Assigned to *Ana Diaz*, DBA by *Ana Diaz* in ServiceNow",
    ]


# The cache


@pytest.fixture
def users(slack, slack_url, session, clock) -> Users:
    config = SlackConfig.model_validate({"api_url": f"{slack_url}/api", "token": TOKEN})
    api = SlackApi(config, session)
    return Users(api, Wire(api, make_turns(), clock), clock)


def of(*actors: Actor) -> Incident:
    news = tuple(Entry(0, Event.ASSIGNED, "", by) for by in actors)
    return replace(make_incident(), news=news)


async def test_a_user_is_asked_for_again_after_a_day_and_kept_while_slack_does_not_answer(users, slack, clock):
    assert (await users.who(of(BEN))).mention(BEN) == "<@U0BEN>"
    clock.advance(hours=23)
    assert (await users.who(of(BEN))).mention(BEN) == "<@U0BEN>"
    assert slack.calls.count(LOOKUP) == 1

    clock.advance(hours=2)
    slack.errors.order(ErrorOrder(error="internal_error", method=LOOKUP))

    assert (await users.who(of(BEN))).mention(BEN) == "<@U0BEN>"
    assert slack.calls.count(LOOKUP) == 2


async def test_somebody_who_is_not_found_is_asked_for_again_after_an_hour(users, slack, clock):
    for hours in (0, 0.5, 0.6):
        clock.advance(hours=hours)
        assert (await users.who(of(STRANGER))).mention(STRANGER) == "*Zoe*"

    assert slack.calls.count(LOOKUP) == 2


async def test_no_more_people_are_kept_than_there_is_room_for(users, monkeypatch):
    monkeypatch.setattr(slack_users, "CACHED_MAX", 2)
    for number in range(4):
        await users.who(of(Actor("x", f"{number}@example.com")))

    assert len(users._known) == 2 < CACHED_MAX


async def test_one_message_looks_up_a_few_and_never_what_is_no_address(users, slack):
    many = [Actor("x", f"{number}@example.com") for number in range(9)]
    await users.who(of(*many, Actor("y", "no address"), Actor("z", "a" * 250 + "@example.com")))

    assert slack.calls.count(LOOKUP) == 5


async def test_while_it_waits_out_a_rate_limit_nobody_is_asked_for(users, slack, clock):
    slack.faults.order(Fault(kind="429", retry_after=30, path=f"/api/{LOOKUP}"))
    await users.who(of(BEN))
    clock.advance(seconds=29)
    await users.who(of(BEN))
    assert slack.calls.count(LOOKUP) == 0

    clock.advance(seconds=2)

    assert (await users.who(of(BEN))).mention(BEN) == "<@U0BEN>"


async def test_no_more_are_asked_for_in_a_minute_than_slack_takes(users, slack):
    for number in range(60):
        await users.who(of(Actor("x", f"{number}@example.com")))

    assert slack.calls.count(LOOKUP) <= 25


async def test_a_cancelled_sync_is_cancelled_while_it_looks_somebody_up(users, slack):
    slack.faults.order(Fault(kind="slow", seconds=5, path=f"/api/{LOOKUP}"))
    task = asyncio.ensure_future(users.who(of(BEN)))
    await asyncio.sleep(0)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize(
    "told",
    [
        None,
        {},
        {"id": "U0BEN", "deleted": True},
        {"id": "U0BEN", "is_bot": True},
        {"id": "U0> <!channel"},
        {"id": 7},
    ],
)
def test_what_is_no_person_of_the_workspace_is_nobody(told):
    assert read_user(told) is None


def test_a_user_is_called_by_the_full_name():
    told = {"id": "U0BEN", "name": "ben", "profile": {"real_name": "Ben Okafor"}}

    assert read_user(told) == SlackUser("U0BEN", "Ben Okafor")


def test_those_who_wrote_comments_are_known_by_their_addresses_too():
    comment = Comment(0, "Beth", "on it", "Beth@example.com")
    incident = make_incident()
    target = incident.providers[0]
    incident = replace(incident, deliveries={target: Delivery(comments=(comment,), comment_count=1)})

    assert addresses_in(incident) == ["beth@example.com"]
