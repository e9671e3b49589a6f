"""What people write in threads: comments, written down before Slack has its answer, and never echoed."""

import asyncio

import orjson
import pytest

from tests.integration.conftest import CHANNEL
from tests.integration.interactions.test_socket_mode import connected, running
from tests.support.groups import alert, group
from versus_py.errors import StoreUnavailable
from versus_py.incidents.model import Event, IncidentId, Status
from versus_py.incidents.transitions import COMMENT_MAX
from versus_py.simulators.faults import Fault
from versus_py.simulators.slack.control import WriteOrder
from versus_py.simulators.slack.simulator import SIGNING_SECRET
from versus_py.store import keys
from versus_py.targets.slack.events import read_replies
from versus_py.targets.slack.requests import PATH

LEADS = "C0LEADS"
BOTH = {
    "policies": [
        {"name": "both", "steps": [{"notify": ["slack", "slack:leads"]}, {"after": "30m", "notify": ["servicenow"]}]}
    ]
}
both = pytest.mark.parametrize(
    ("settings", "slack_settings"), [(BOTH, {"signing_secret": SIGNING_SECRET, "channels": {"leads": LEADS}})], ids=[""]
)


@pytest.fixture
def slack_settings():
    return {"signing_secret": SIGNING_SECRET}


@pytest.fixture
def slack(slack):
    slack.events.waits_s = (0, 0, 0)
    return slack


@pytest.fixture
async def incident(engine):
    """Its id."""
    return await posted(engine)


async def posted(engine, name="Disk"):
    [created] = (await engine.post(group(alert(name))))["incidents"]
    await engine.settle()
    return IncidentId(created["id"])


def message(engine, channel=CHANNEL):
    return next(it for it in engine.slack.messages if it.channel == channel)


async def comments(engine, incident_id):
    """Who wrote what, as the incident has it."""
    found = await engine.store.get(incident_id)
    return [(it.by.name, it.detail) for it in found.news if it.event is Event.COMMENTED]


async def say(engine, text, **more):
    """A reply in the thread of the first message, and all that follows from it."""
    await engine.slack.reply(message(engine), text, **more)
    await engine.follow_ups.settled()


def work_notes(engine):
    rows = engine.servicenow.tables["sys_journal_field"]
    return "\n".join(row["value"] for row in rows if row["element"] == "work_notes")


def attempts(engine):
    return [it.status for it in engine.slack.events.deliveries]


async def test_a_reply_is_a_comment_by_the_persons_name(engine, incident):
    await say(engine, "The disk is being <https://acme.example/42|replaced> &amp; <@U0ANA> helps", user="U0BEN")

    text = "The disk is being replaced (https://acme.example/42) & @U0ANA helps"
    assert await comments(engine, incident) == [("Ben Okafor", text)]
    assert attempts(engine) == [200]
    assert [it["by"] for it in (await engine.detail(incident))["timeline"] if it["event"] == "commented"] == ["U0BEN"]


async def test_people_who_were_asked_for_before_are_mentioned_by_name(engine, incident):
    await say(engine, "On it", user="U0ANA")
    await say(engine, "Thanks, <@U0ANA>", user="U0BEN")

    assert (await comments(engine, incident))[-1] == ("Ben Okafor", "Thanks, @Ana Diaz")


async def test_it_is_written_down_before_slack_has_its_answer_and_slack_is_not_called_for_it(engine, incident):
    engine.slack.calls.clear()
    body, headers = engine.slack.prepare_event(event_of(engine, "On it"))
    saved = []
    save = engine.store.save

    async def noting(*args, **kwargs):
        saved.append(list(engine.slack.calls))
        return await save(*args, **kwargs)

    engine.store.save = noting
    response = await engine.http.post(PATH, data=body, headers=headers)

    assert response.status == 200
    assert saved[0] == []
    assert [text for _, text in await comments(engine, incident)] == ["On it"]


def event_of(engine, text, ts="1900000000.000100", **more):
    """The outer event of a reply that the workspace does not show."""
    about = {"type": "message", "user": "U0BEN", "text": text, "ts": ts, "channel": CHANNEL}
    return engine.slack.events.wrapped(about | {"thread_ts": message(engine).ts, "channel_type": "channel"} | more)


async def test_a_record_gets_it_as_a_work_note_with_its_author_and_not_as_an_id(engine, incident):
    await engine.after(minutes=6)

    engine.slack.faults.order(Fault(kind="slow", seconds=2, path="/api/users.info"))
    await engine.slack.reply(message(engine), "Rebooted it", user="U0BEN")
    await engine.worker.run_due()  # before it is known who that is
    before = "Rebooted it" in work_notes(engine)
    await engine.follow_ups.settled()
    await engine.settle()

    notes = work_notes(engine)
    assert not before
    assert "Ben Okafor (ben@example.com): Rebooted it" in notes
    assert "U0BEN" not in notes
    assert notes.count("Rebooted it") == 1


async def test_who_cannot_be_asked_for_is_shown_by_the_id_and_no_later_than_seconds(engine, incident):
    engine.slack.scopes.remove("users:read")
    await engine.after(minutes=6)

    await say(engine, "Rebooted it", user="U0BEN")
    await engine.settle()

    assert "U0BEN: Rebooted it" in work_notes(engine)


async def test_it_is_not_said_again_in_its_own_thread(engine, incident):
    await say(engine, "On it")
    await engine.settle()

    assert message(engine).replies == ["On it"]


@both
async def test_the_other_channels_thread_hears_of_it_and_its_own_does_not(engine, incident):
    await say(engine, "On it", user="U0BEN")
    await engine.settle()
    await engine.slack.reply(message(engine, LEADS), "Need help?", user="U0CHI")
    await engine.follow_ups.settled()
    await engine.settle()

    assert message(engine).replies == ["On it", ":speech_balloon: *Chi Tanaka*: Need help?"]
    assert message(engine, LEADS).replies == [":speech_balloon: *Ben Okafor*: On it", "Need help?"]


@both
async def test_with_other_news_in_the_same_post_it_is_left_out_of_its_own_thread_only(engine, incident):
    await say(engine, "On it", user="U0BEN")
    await engine.http.post(f"/api/incidents/{incident}/comments", json={"by": "ana", "text": "From the shell"})
    await engine.settle()

    assert message(engine).replies == ["On it", ":speech_balloon: *ana*: From the shell"]
    assert set("\n".join(message(engine, LEADS).replies).splitlines()) == {
        ":speech_balloon: *Ben Okafor*: On it",
        ":speech_balloon: *ana*: From the shell",
    }


async def test_a_message_in_another_channel_tells_what_was_written_in_the_thread_of_the_one_before(engine, incident):
    await say(engine, "On it", user="U0BEN")
    await engine.settle()
    await engine.http.post(f"/api/incidents/{incident}/route", json={"by": "ana", "channel": "C0OTHER"})
    await engine.settle()

    assert "*Ben Okafor*: On it" in "\n".join(message(engine, "C0OTHER").replies)
    assert sum("On it" in it for it in message(engine).replies) == 1


async def test_the_thread_of_a_message_that_another_took_the_place_of_is_no_incidents(engine, incident):
    await engine.http.post(f"/api/incidents/{incident}/route", json={"by": "ana", "channel": "C0OTHER"})
    await engine.settle()

    await say(engine, "Anybody here?")

    assert await comments(engine, incident) == []
    assert attempts(engine) == [200]


async def test_what_is_resolved_takes_comments(engine, incident):
    await engine.http.post(f"/api/incidents/{incident}/resolve?by=ana")
    await engine.settle()

    await say(engine, "It was the fan", user="U0BEN")

    assert await comments(engine, incident) == [("Ben Okafor", "It was the fan")]
    assert (await engine.store.get(incident)).status is Status.RESOLVED


async def test_a_comment_neither_acknowledges_nor_stops_the_escalation(engine, incident):
    await say(engine, "Looks bad")
    await engine.after(minutes=6)

    assert len(engine.servicenow.incidents) == 1


async def test_a_long_reply_is_cut(engine, incident):
    await say(engine, "x" * (COMMENT_MAX + 500))

    [(_, text)] = await comments(engine, incident)
    assert len(text) == COMMENT_MAX


@pytest.mark.parametrize("do", ["bot", "message", "edit", "delete"])
async def test_bots_edits_deletions_and_messages_beside_the_thread_are_no_comments(engine, incident, do):
    written = await engine.slack.reply(message(engine), "On it")
    ts = written.ts if do in {"edit", "delete"} else message(engine).ts

    await engine.slack.write(WriteOrder(channel=CHANNEL, ts=ts, text="Something else", do=do))

    assert [text for _, text in await comments(engine, incident)] == ["On it"]
    assert attempts(engine) == [200, 200]


async def test_a_reply_in_a_thread_of_other_peoples_is_no_comment(engine, incident):
    other = engine.slack.say(CHANNEL, "Lunch?")

    await engine.slack.reply(other, "Yes")

    assert await comments(engine, incident) == []
    assert attempts(engine) == [200]


async def test_a_reply_in_the_thread_of_a_storm_is_no_comment(engine):
    for number in range(40):
        await engine.post(group(alert(f"Disk {number}")))
    await engine.settle()
    digest = next(it for it in engine.slack.messages if "storm" in it.text)

    await engine.slack.reply(digest, "All of them?")

    page = await engine.store.page(limit=50)
    assert [it.id for it in page.incidents if any(entry.event is Event.COMMENTED for entry in it.news)] == []
    assert attempts(engine) == [200]


async def test_slacks_retries_have_one_effect(engine, incident):
    payload = event_of(engine, "On it")
    retried = {"X-Slack-Retry-Num": "1", "X-Slack-Retry-Reason": "http_timeout"}
    for more in ({}, retried, retried):
        body, headers = engine.slack.prepare_event(payload)
        assert (await engine.http.post(PATH, data=body, headers=headers | more)).status == 200

    assert len(await comments(engine, incident)) == 1


async def test_the_same_event_at_two_replicas_at_once_has_one_effect(engine, incident):
    taken = read_replies(event_of(engine, "On it"))

    await asyncio.gather(*(engine.desk.take(taken) for _ in range(5)))

    assert len(await comments(engine, incident)) == 1


async def test_what_slack_sends_again_after_hours_has_one_effect(engine, incident):
    taken = read_replies(event_of(engine, "On it"))
    await engine.desk.take(taken)
    engine.clock.advance(hours=2)
    await engine.store._redis.delete(keys.taken_request(taken[0].request_id))  # its time is over

    await engine.desk.take(taken)

    assert len(await comments(engine, incident)) == 1


async def test_the_same_words_in_two_replies_are_two_comments_minutes_apart(engine, incident):
    await say(engine, "Still on it")
    engine.clock.advance(minutes=6)
    await say(engine, "Still on it")

    assert len(await comments(engine, incident)) == 2


async def test_what_is_not_written_down_is_sent_again_by_slack(engine, incident, monkeypatch):
    act, failing = engine.lifecycle._store.save, [1, 1]

    async def save(*args, **kwargs):
        if failing:
            failing.pop()
            raise StoreUnavailable("Redis did not take it: away")
        return await act(*args, **kwargs)

    monkeypatch.setattr(engine.lifecycle._store, "save", save)
    await say(engine, "On it")

    assert attempts(engine) == [503, 503, 200]
    assert len(await comments(engine, incident)) == 1


async def test_an_incident_that_cannot_be_read_is_an_error_in_the_log_and_no_endless_retry(engine, incident, logs):
    name = keys.incident(incident)
    stored = await engine.store._redis.hget(name, "incident")
    await engine.store._redis.hset(name, "incident", '{"schema":99,"readable_from":99,' + stored.split(",", 2)[2])

    await say(engine, "On it")

    assert attempts(engine) == [200]
    assert logs.expect_error("incident.unreadable")["action"] == "comment"


@pytest.mark.parametrize("change", ["body", "signature", "late"])
async def test_only_what_slack_has_signed_just_now_is_taken(engine, incident, change):
    at = int(engine.clock.now_ms() / 1000) - (400 if change == "late" else 0)
    body, headers = engine.slack.prepare_event(event_of(engine, "On it"), timestamp=at)
    body = body.replace(b"On it", b"Off it") if change == "body" else body
    headers |= {"X-Slack-Signature": "v0=" + "0" * 64} if change == "signature" else {}

    response = await engine.http.post(PATH, data=body, headers=headers)

    assert response.status == 401
    assert await comments(engine, incident) == []


async def test_slacks_question_whether_the_address_is_ours_is_answered(engine):
    body, headers = engine.slack.prepare_event({"type": "url_verification", "token": "x", "challenge": "3eZbrw1aB"})

    response = await engine.http.post(PATH, data=body, headers=headers)

    assert (response.status, await response.text()) == (200, "3eZbrw1aB")
    assert response.content_type == "text/plain"


async def test_nobody_else_has_their_words_repeated(engine):
    body = orjson.dumps({"type": "url_verification", "challenge": "hello"})

    response = await engine.http.post(PATH, data=body, headers={"Content-Type": "application/json"})

    assert response.status == 401
    assert "hello" not in await response.text()


@pytest.mark.parametrize("body", [b"{", b"[]", b'"x"', b"payload=%7B%7D"])
async def test_what_is_signed_and_no_event_is_refused(engine, body):
    _, headers = engine.slack.prepare_event({})
    headers["X-Slack-Signature"] = engine.slack.sign(body, headers["X-Slack-Request-Timestamp"])

    response = await engine.http.post(PATH, data=body, headers=headers)

    assert response.status == 400


@pytest.mark.parametrize("slack_settings", [{"signing_secret": SIGNING_SECRET, "take_replies": False}])
async def test_replies_that_are_not_to_be_taken_are_answered_and_left(engine, incident):
    await say(engine, "On it")

    assert await comments(engine, incident) == []
    assert attempts(engine) == [200]


@pytest.mark.parametrize(
    "slack_settings", [{"signing_secret": SIGNING_SECRET, "allowed_users": ["U0ANA"]}], ids=["only ana may press"]
)
async def test_who_may_not_press_may_write_all_the_same(engine, incident):
    await say(engine, "Is anybody on it?", user="U0BEN")

    assert len(await comments(engine, incident)) == 1
    assert engine.slack.ephemerals == []


@pytest.mark.parametrize("slack_settings", [{"app_token": "xapp-secret-token"}])
async def test_by_socket_mode_a_reply_is_acknowledged_when_it_is_written_down(engine, session, incident):
    async with running(engine, session):
        await connected(engine)
        await say(engine, "On it", user="U0BEN")

    assert await comments(engine, incident) == [("Ben Okafor", "On it")]
    assert [(it.via, it.status) for it in engine.slack.events.deliveries] == [("socket", 200)]


@pytest.mark.parametrize("slack_settings", [{"app_token": "xapp-secret-token"}])
async def test_by_socket_mode_what_is_not_written_down_is_sent_again(engine, session, incident, monkeypatch):
    engine.slack.answer_within_s = 0.3
    act, failing = engine.lifecycle._store.save, [1]

    async def save(*args, **kwargs):
        if failing:
            failing.pop()
            raise StoreUnavailable("Redis did not take it: away")
        return await act(*args, **kwargs)

    monkeypatch.setattr(engine.lifecycle._store, "save", save)
    async with running(engine, session):
        await connected(engine)
        await say(engine, "On it")

    assert attempts(engine) == [None, 200]
    assert len(await comments(engine, incident)) == 1


@pytest.mark.parametrize("slack_settings", [{"app_token": "xapp-secret-token", "take_replies": False}])
async def test_by_socket_mode_replies_that_are_not_to_be_taken_are_acknowledged(engine, session, incident):
    async with running(engine, session):
        await connected(engine)
        await say(engine, "On it")

    assert await comments(engine, incident) == []
    assert attempts(engine) == [200]


@both
async def test_it_is_kept_where_it_was_said(engine, incident):
    await engine.slack.reply(message(engine, LEADS), "On it")
    await engine.slack.reply(message(engine), "Me too")
    await engine.http.post(f"/api/incidents/{incident}/comments", json={"by": "ana", "text": "And I"})

    found = [it for it in (await engine.store.get(incident)).news if it.event is Event.COMMENTED]
    assert [(it.said_at, it.locator.partition("\n")[0]) for it in found] == [
        ("slack:leads", LEADS),
        ("slack", CHANNEL),
        ("", ""),
    ]
