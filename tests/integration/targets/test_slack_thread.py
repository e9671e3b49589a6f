"""One message and one thread for each incident: what they say, that nothing is said twice, and where they go."""

from datetime import UTC, datetime
from itertools import pairwise

import pytest

from tests.integration.conftest import CHANNEL, Engine, make_worker
from tests.integration.engine.test_engine import firing
from tests.integration.targets.test_records import group
from tests.support.claims import claim_due
from versus_py.config import Config
from versus_py.errors import StoreUnavailable
from versus_py.incidents.copies import replace
from versus_py.simulators import Fault
from versus_py.simulators.slack import PostedMessage
from versus_py.simulators.slack.validation import Content
from versus_py.store import Turns
from versus_py.targets.slack.target import SlackTarget
from versus_py.targets.slack.wire import EDITS, WORKSPACE, Wire
from versus_py.tools.samples import alertmanager

HISTORY = "channels:history"


@pytest.fixture
def slack_settings() -> dict[str, object]:
    """Settings below alert.slack, to be parametrized."""
    return {}


@pytest.fixture
def config(config: Config, slack_settings: dict[str, object]) -> Config:
    slack = config.alert.slack.model_validate(config.alert.slack.model_dump() | slack_settings)
    return config.model_copy(update={"alert": config.alert.model_copy(update={"slack": slack})})


def message(engine: Engine) -> PostedMessage:
    [found] = engine.slack.messages
    return found


async def act(engine: Engine, incident_id: str, action: str) -> None:
    response = await engine.http.post(f"/api/incidents/{incident_id}/{action}", params={"by": "ana"})
    assert response.status == 201


async def trigger(engine: Engine, **query: str) -> str:
    """An incident that is in Slack; its id."""
    [incident] = (await engine.post(group("DiskFull"), **query))["incidents"]
    await engine.settle()
    return str(incident["id"])


async def test_an_escalation_is_said_in_the_thread_once_with_a_link_to_the_record(engine):
    await trigger(engine)
    await engine.after(minutes=5)
    await engine.post(group("DiskFull"))
    await engine.after(minutes=5)

    [reply] = message(engine).replies
    assert reply.startswith(":rotating_light: Escalated to ServiceNow as <http")
    assert "|INC0010001>" in reply


async def test_after_the_thread_was_told_nobody_comes_back_before_the_turn_of_the_edit(engine, monkeypatch):
    await trigger(engine)
    edits = message(engine).edits
    turns = Turns(engine.store._redis)
    await turns.hold_back(f"slack:{WORKSPACE}", EDITS, until_ms=engine.clock.now_ms() + 6 * 60_000)
    synced, sync = [], SlackTarget.sync

    async def noted(target, incident, *, attempt):
        synced.append(engine.clock.now_ms())
        return await sync(target, incident, attempt=attempt)

    monkeypatch.setattr(SlackTarget, "sync", noted)

    await engine.after(minutes=5)
    assert len(message(engine).replies) == 1
    assert message(engine).edits == edits
    assert len(synced) == 1

    await engine.after(minutes=1)
    assert message(engine).edits == edits + 1
    assert len(synced) == 2


@pytest.mark.parametrize("is_noted", [True, False])
async def test_while_redis_is_away_and_before_its_escalation_is_noted_an_edit_is_not_put_off(
    engine, monkeypatch, is_noted
):
    incident = await engine.store.get(await trigger(engine))
    [target] = [it for name, it in engine.worker._targets.items() if name == "slack"]
    shown = replace(incident.delivery("slack"), reference=incident.delivery("slack").reference | {"standing": "other"})
    noted = replace(shown, synced_at_ms=shown.synced_at_ms if is_noted else None)
    incident = incident.with_deliveries({"slack": noted})
    asked = []

    async def take(*_, **options):
        asked.append(options)
        raise StoreUnavailable("away")

    monkeypatch.setattr(target._wire._turns, "take", take)

    assert await target._edited_at_ms(incident, shown) == engine.clock.now_ms()
    assert [it["only_place"] for it in asked] == [True] * is_noted


async def test_an_escalation_that_is_given_up_is_said_in_the_thread_once(engine, logs):
    engine.servicenow.faults.order(Fault(kind="400", times=None))
    await trigger(engine)
    await engine.after(minutes=5)
    await engine.after(minutes=5)

    [reply] = message(engine).replies
    assert reply.startswith(":warning: Escalation to ServiceNow failed: ")
    logs.expect_error("sync.failed")


async def test_an_acknowledgment_and_a_resolve_are_edits_alone(engine):
    incident_id = await trigger(engine)

    await act(engine, incident_id, "acknowledge")
    await engine.settle()
    await act(engine, incident_id, "resolve")
    await engine.settle()

    assert message(engine).replies == []
    assert "*Resolved*" in message(engine).text
    assert "acknowledged by *ana*" in message(engine).shown


@pytest.mark.parametrize("slack_settings", [{"broadcast_on_escalate": True}])
async def test_an_escalation_is_posted_to_the_channel_too_where_that_is_wanted(engine):
    await trigger(engine)
    await engine.post(group("DiskFull", "HostDown"))
    await engine.after(minutes=5)
    await engine.post(group("DiskFull", "HostDown", "QueueStuck"))
    await engine.after(minutes=5)

    broadcast = [reply.text for reply in message(engine).thread if reply.is_broadcast]
    assert len(broadcast) >= 1
    assert all("Escalated" in text for text in broadcast)
    assert any(not reply.is_broadcast for reply in message(engine).thread)


@pytest.mark.parametrize("slack_settings", [{"mention": {"critical": "<!subteam^S0ONCALL>"}}])
async def test_mentions_go_by_severity_on_trigger_and_on_escalation(engine):
    await trigger(engine)
    await engine.after(minutes=5)

    assert message(engine).versions[0].endswith(" <!subteam^S0ONCALL>")
    assert message(engine).replies[0].endswith(" <!subteam^S0ONCALL>")


@pytest.mark.parametrize("slack_settings", [{"mention": {"warning": "<!here>"}}])
async def test_nobody_is_mentioned_for_other_severities_nor_by_what_was_sent(engine):
    payload = group("DiskFull")
    for alert in payload["alerts"]:
        alert["labels"]["team"] = alert["annotations"]["summary"] = "<!channel> <@U0ANA>"
    await engine.post(payload)
    await engine.after(minutes=5)

    everything = "\n".join([message(engine).shown, *message(engine).replies])
    for mention in ("<!here", "<!channel", "<@U0ANA"):
        assert mention not in everything


@pytest.mark.parametrize("kind", ["lost_reply", "truncated"])
async def test_a_message_whose_answer_was_lost_is_found_and_not_posted_again(engine, kind):
    engine.slack.faults.order(Fault(kind=kind, path="/api/chat.postMessage"))
    incident_id = await trigger(engine)
    await engine.after(minutes=1)
    await act(engine, incident_id, "acknowledge")
    await engine.after(minutes=1)

    assert "*Acknowledged*" in message(engine).text


async def test_it_is_found_among_many_others(engine):
    engine.slack.faults.order(Fault(kind="lost_reply", path="/api/chat.postMessage"))
    await engine.post(group("DiskFull"))
    await engine.worker.run_due()
    for number in range(250):
        engine.slack.say(CHANNEL, f"chatter {number}")

    await engine.after(minutes=1)

    assert len([it for it in engine.slack.messages if "DiskFull" in it.text]) == 1


async def test_without_the_scope_it_cannot_be_told_and_is_posted_again(engine, slack):
    slack.scopes.remove(HISTORY)
    engine.slack.faults.order(Fault(kind="lost_reply", path="/api/chat.postMessage"))
    incident_id = await trigger(engine)
    await engine.after(minutes=1)

    assert len(engine.slack.messages) == 2
    await act(engine, incident_id, "acknowledge")
    await engine.settle()
    assert ["*Acknowledged*" in it.text for it in engine.slack.messages] == [False, True]


async def test_a_message_that_another_app_marks_as_ours_is_not_taken_for_it(engine):
    incident_id = await trigger(engine)
    about = message(engine).metadata
    engine.slack.messages.clear()
    engine.slack.add_message(CHANNEL, Content("not ours", [], []), user="U0OTHER", metadata=about)
    await engine.store._redis.hdel(f"versus:{{{incident_id[-1]}}}:incident:{incident_id}", "delivery:slack")
    engine.slack.faults.order(Fault(kind="500", path="/api/chat.postMessage"))

    await act(engine, incident_id, "acknowledge")
    await engine.settle()
    await engine.after(minutes=1)

    assert [it.text for it in engine.slack.messages if "Acknowledged" in it.text]


@pytest.mark.parametrize("kind", ["lost_reply", "truncated"])
async def test_a_line_whose_answer_was_lost_is_not_said_again(engine, kind):
    await trigger(engine)
    engine.slack.faults.order(Fault(kind=kind, path="/api/chat.postMessage"))

    await engine.after(minutes=5)
    await engine.after(minutes=2)

    assert len(message(engine).replies) == 1


async def test_what_happened_since_a_lost_line_is_still_said(engine):
    await trigger(engine)
    engine.slack.faults.order(Fault(kind="lost_reply", path="/api/chat.postMessage"))
    await engine.post(group("DiskFull", "HostDown"))
    await engine.worker.run_due()
    await engine.post(group("DiskFull", "HostDown", "QueueStuck"))

    await engine.after(minutes=2)

    said = "\n".join(message(engine).replies)
    assert said.count("HostDown on db-7") == 1
    assert said.count("QueueStuck on db-7") == 1


@pytest.mark.parametrize("kind", ["archived", "not_joined"])
async def test_a_channel_that_dies_is_replaced_by_the_default_one_with_a_note(engine, slack, kind):
    incident_id = await trigger(engine, slack_channel_id="C0TEAM")
    if kind == "archived":
        slack.archived.add("C0TEAM")
    else:
        slack.not_joined.add("C0TEAM")
        slack.scopes.remove("chat:write.public")

    await engine.post(group("DiskFull", "HostDown"), slack_channel_id="C0TEAM")
    await act(engine, incident_id, "acknowledge")
    await engine.settle()

    [old, new] = engine.slack.messages
    assert (old.channel, new.channel) == ("C0TEAM", CHANNEL)
    assert "*Acknowledged*" in new.text
    assert "posted here because channel C0TEAM cannot be used" in new.shown


async def test_new_incidents_go_before_replies(engine):
    await trigger(engine)
    for number in range(8):
        await engine.post(firing(engine, f"Alert{number}"))
    await engine.post(group("DiskFull", "HostDown"))

    await engine.settle()

    assert len(engine.slack.messages) == 9
    first = next(it for it in engine.slack.messages if "HostDown" in it.shown)
    [reply] = first.thread
    assert all(float(reply.ts) > float(it.ts) for it in engine.slack.messages)


async def test_two_replicas_together_keep_to_slacks_pace(engine, session):
    other = make_worker(engine.config, engine.clock, engine.store, session, engine.links)
    for number in range(15):
        await engine.post(firing(engine, f"Alert{number}"))

    for _ in range(20):
        await engine.worker.run_due()
        await other.run_due()
        engine.clock.advance(seconds=1)

    assert len(engine.slack.messages) == 15
    times = [float(it.ts) for it in engine.slack.messages]
    assert all(later - earlier >= 0.999 for earlier, later in pairwise(times))


async def test_many_changes_are_one_edit(engine):
    await trigger(engine)
    before = message(engine).edits

    for _ in range(20):
        await engine.post(group("DiskFull"))
    await engine.settle()

    assert message(engine).edits == before + 1
    assert "seen 21 times" in message(engine).shown


async def test_what_people_comment_in_servicenow_is_said_in_the_thread_once_and_pings_nobody(engine):
    await trigger(engine)
    await engine.after(minutes=5)
    number = engine.servicenow.incidents[-1]["number"]
    engine.servicenow.comment(number, "On my way <!channel>", by="ana")

    for _ in range(15):
        await engine.after(minutes=1)

    said = [reply for reply in message(engine).replies if "On my way" in reply]
    assert len(said) == 1
    assert said[0].startswith(":speech_balloon: *ana* in <http")
    assert f"|{number}>: On my way &lt;!channel&gt;" in said[0]


async def test_what_people_comment_in_servicenow_before_there_is_a_message_is_said_in_its_thread(engine):
    outage = Fault(kind="500", times=None, path="/api/chat.postMessage")
    engine.slack.faults.order(outage)
    await engine.post(group("DiskFull"))
    await engine.after(minutes=5)
    engine.servicenow.comment(engine.servicenow.incidents[-1]["number"], "On my way", by="ana")
    for _ in range(15):
        await engine.after(minutes=1)
    assert engine.slack.messages == []

    engine.slack.faults.clear()
    for _ in range(30):
        await engine.after(minutes=1)

    assert [reply.rpartition(": ")[2] for reply in message(engine).replies] == ["On my way"]


async def test_a_snoozed_incident_says_until_when_and_that_it_is_over(engine):
    incident_id = await trigger(engine)
    response = await engine.http.post(f"/api/incidents/{incident_id}/snooze", params={"by": "ana", "minutes": 15})
    assert response.status == 201
    await engine.settle()

    assert ":zzz: *Snoozed*" in message(engine).text
    assert "snoozed by *ana* until <!date^" in message(engine).shown
    await engine.after(minutes=10)
    assert engine.servicenow.incidents == []
    assert message(engine).replies == []

    await engine.after(minutes=6)
    assert "*Triggered*" in message(engine).text
    assert message(engine).replies == [":bell: The snooze is over: the wait goes on"]
    await engine.after(minutes=5)
    assert "*Escalated*" in message(engine).text
    assert len(engine.servicenow.incidents) == 1


async def test_what_is_given_back_escalates_again_into_the_record_that_there_is(engine):
    incident_id = await trigger(engine)
    await engine.after(minutes=5)
    await act(engine, incident_id, "acknowledge")
    await engine.settle()
    await act(engine, incident_id, "unacknowledge")
    await engine.after(minutes=6)

    assert len(engine.servicenow.incidents) == 1
    assert "*Escalated*" in message(engine).text
    escalations = [reply for reply in message(engine).replies if "Escalated to ServiceNow" in reply]
    assert len(escalations) == 2
    assert ":leftwards_arrow_with_hook: Given back by *ana*: the wait starts again" in message(engine).replies


@pytest.mark.parametrize("slack_settings", [{"signing_secret": "s", "allowed_users": ["U0ANA"]}])
async def test_where_only_some_may_act_no_link_lets_anybody_act(engine):
    await trigger(engine)

    assert "/api/ack/" not in message(engine).shown
    assert "Acknowledge Alert" in str(message(engine).attachments)


async def test_a_second_escalation_into_the_same_record_is_shown_whoever_is_first(engine):
    incident_id = await trigger(engine)
    await act(engine, incident_id, "escalate")
    await engine.settle()
    await act(engine, incident_id, "acknowledge")
    await engine.settle()
    await act(engine, incident_id, "unacknowledge")
    await act(engine, incident_id, "escalate")

    claims, _ = await claim_due(engine.store, now_ms=engine.clock.now_ms(), lease_ms=60_000, limit=10)
    for claim in sorted(claims, key=lambda it: it.target == "servicenow"):
        await engine.worker._work(claim)  # Slack first: it shows that it has begun
    await engine.after(minutes=5)

    assert "*Escalated*" in message(engine).text
    assert len([reply for reply in message(engine).replies if "Escalated to ServiceNow" in reply]) == 2


async def test_a_message_that_is_posted_again_is_found_when_that_answer_is_lost(engine):
    incident_id = await trigger(engine)
    engine.slack.delete_message(message(engine).ts)
    engine.slack.faults.order(Fault(kind="lost_reply", path="/api/chat.postMessage"))

    await engine.post(group("DiskFull", "HostDown"))
    await engine.settle()
    await engine.after(minutes=1)
    await act(engine, incident_id, "acknowledge")
    await engine.settle()

    assert "*Acknowledged*" in message(engine).text


async def test_a_message_that_is_posted_again_is_found_also_when_somebody_acknowledged_meanwhile(engine):
    incident_id = await trigger(engine)
    engine.slack.delete_message(message(engine).ts)
    engine.slack.faults.order(Fault(kind="lost_reply", path="/api/chat.postMessage"))

    await engine.post(group("DiskFull"))
    await engine.settle()
    await act(engine, incident_id, "acknowledge")
    await engine.after(minutes=1)

    assert "*Acknowledged*" in message(engine).text


async def test_a_message_that_moves_to_the_default_channel_is_found_also_when_it_is_over_meanwhile(engine, slack):
    incident_id = await trigger(engine, slack_channel_id="C0TEAM")
    slack.archived.add("C0TEAM")
    engine.slack.faults.order(Fault(kind="lost_reply", path="/api/chat.postMessage"))

    await act(engine, incident_id, "acknowledge")
    await engine.settle()
    await act(engine, incident_id, "resolve")
    await engine.after(minutes=1)

    [_, new] = engine.slack.messages
    assert "*Resolved*" in new.text
    assert "posted here because channel C0TEAM cannot be used" in new.shown


async def test_a_message_that_moves_to_the_default_channel_is_found_when_that_answer_is_lost(engine, slack):
    incident_id = await trigger(engine, slack_channel_id="C0TEAM")
    slack.archived.add("C0TEAM")
    engine.slack.faults.order(Fault(kind="lost_reply", path="/api/chat.postMessage"))

    await act(engine, incident_id, "acknowledge")
    await engine.settle()
    await engine.after(minutes=1)
    await act(engine, incident_id, "resolve")
    await engine.settle()

    [old, new] = engine.slack.messages
    assert (old.channel, new.channel) == ("C0TEAM", CHANNEL)
    assert "*Resolved*" in new.text


async def test_a_channel_without_threads_has_its_messages_edited(engine, slack):
    slack.without_threads.add(CHANNEL)
    incident_id = await trigger(engine)
    await engine.after(minutes=6)
    assert "Escalated" in message(engine).shown

    await act(engine, incident_id, "resolve")
    await engine.settle()

    assert "Resolved" in message(engine).shown
    assert message(engine).replies == []


SECOND = {"name": "two", "steps": [{"notify": ["slack"]}, {"notify": ["slack:C0SECOND"], "after": "5m"}]}


@pytest.mark.parametrize("settings", [{"policies": [SECOND]}])
@pytest.mark.parametrize("kind", ["429", "401", "down", "503"])
async def test_a_message_whose_thread_fails_right_after_its_post_is_not_posted_again(engine, monkeypatch, logs, kind):
    began = datetime.fromtimestamp(engine.clock.now_ms() / 1000, UTC)  # so that nobody can have posted it before
    [incident] = (await engine.post(alertmanager(starts_at=began)))["incidents"]
    await engine.settle()
    response = await engine.http.post(
        f"/api/incidents/{incident['id']}/comments", params={"by": "ana", "text": "on it"}
    )
    assert response.status == 201
    await engine.settle()
    post, faults = Wire.post, [Fault(kind=kind, path="/api/chat.postMessage", retry_after=1 if kind == "429" else None)]

    async def slow(wire, channel, content, **more):
        if channel == "C0SECOND" and "thread_ts" in more and faults:
            engine.slack.faults.order(faults.pop())
        reply = await post(wire, channel, content, **more)
        if channel == "C0SECOND" and "thread_ts" not in more:
            engine.clock.advance(seconds=1.3)  # so that the next post has its turn
        return reply

    monkeypatch.setattr(Wire, "post", slow)
    await engine.after(minutes=5)
    await engine.after(minutes=20)

    assert not faults
    [second] = [it for it in engine.slack.messages if it.channel == "C0SECOND"]
    assert any("on it" in it for it in second.replies)
    if kind == "401":
        logs.expect_error("credentials.refused")
