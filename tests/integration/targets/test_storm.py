"""More incidents than a channel takes: one message stands for those beyond, and each keeps its own wait."""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.integration.conftest import CHANNEL, Engine, make_storms
from tests.integration.engine.test_engine import firing
from tests.support.claims import claim_due
from tests.support.waiting import DEADLINE_S, until
from versus_py.errors import StoreUnavailable
from versus_py.incidents.model import IncidentId, Status
from versus_py.simulators import Fault
from versus_py.simulators.slack import PostedMessage
from versus_py.store import Member, keys
from versus_py.targets.slack import storm
from versus_py.targets.slack.history import metadata
from versus_py.targets.slack.message import Message
from versus_py.targets.slack.storm import QUIET_MS
from versus_py.targets.target import NotYet

pytestmark = pytest.mark.orderly

COUNT = 40
THRESHOLD = 20


async def break_out(engine, count: int = COUNT) -> list[str]:
    """So many incidents at once; their ids."""
    return [(await engine.post(firing(engine, f"Alert{number:02}")))["incidents"][0]["id"] for number in range(count)]


def digest(engine: Engine) -> PostedMessage:
    [found] = [message for message in engine.slack.messages if "storm" in message.text]
    return found


async def counted(engine, ids: list[str]) -> list[str]:
    """Those that have no message of their own."""
    found = [await engine.store.get(incident_id) for incident_id in ids]
    return [incident.id for incident in found if "storm" in incident.delivery("slack").reference]


async def until_quiet(engine) -> None:
    for _ in range(QUIET_MS // 1000 // 12 + 3):
        await engine.settle()


async def test_one_message_stands_for_what_comes_beyond_the_threshold(engine):
    await break_out(engine)

    for _ in range(4):
        await engine.settle()

    own = len(engine.slack.messages) - 1
    assert own < THRESHOLD + 10  # some of those that waited got their turn while the others came
    assert f"{COUNT - own} incidents" in digest(engine).text
    assert f"{COUNT - own} triggered" in digest(engine).text
    assert "critical" in digest(engine).text
    assert "those posted before it have messages of their own" in digest(engine).text
    assert f"https://versus.example/api/storms/{CHANNEL}/" in digest(engine).text


async def test_as_many_as_the_threshold_each_get_a_message(engine):
    await break_out(engine, THRESHOLD)

    await engine.settle()
    await engine.settle()

    assert len(engine.slack.messages) == THRESHOLD
    assert not any("storm" in message.text for message in engine.slack.messages)


async def test_every_incident_of_a_storm_keeps_its_own_wait_and_escalation(engine):
    ids = await break_out(engine)
    await engine.settle()
    await engine.http.post(f"/api/incidents/{ids[-1]}/acknowledge", params={"by": "ana"})

    await engine.after(minutes=5)

    assert {record["correlation_id"] for record in engine.servicenow.incidents} == set(ids[:-1])
    assert len(engine.servicenow.incidents) == COUNT - 1


async def test_the_digest_counts_how_its_incidents_stand(engine):
    ids = await break_out(engine)
    await engine.settle()
    for incident_id in (await counted(engine, ids))[:3]:
        await engine.http.post(f"/api/incidents/{incident_id}/acknowledge", params={"by": "ana"})

    await engine.settle()

    assert "3 acknowledged" in digest(engine).text


async def test_a_storm_ends_by_itself_and_says_so(engine):
    await break_out(engine)
    await until_quiet(engine)

    assert "*The alert storm is over*" in digest(engine).text

    await engine.post(firing(engine, "Afterwards"))
    await engine.settle()
    assert "Afterwards" in engine.slack.messages[-1].text


async def test_what_changes_after_the_storm_is_still_counted_and_what_is_reopened_gets_its_own_message(engine):
    ids = await break_out(engine)
    await until_quiet(engine)
    before = len(engine.slack.messages)
    one = (await counted(engine, ids))[0]
    name = f"Alert{ids.index(one):02}"

    await engine.http.post(f"/api/incidents/{one}/resolve", params={"by": "ana"})
    await engine.settle()
    assert "1 resolved" in digest(engine).text
    assert len(engine.slack.messages) == before

    await engine.post(firing(engine, name))
    await engine.settle()
    assert name in engine.slack.messages[-1].text
    assert len(engine.slack.messages) == before + 1


async def test_a_second_storm_is_a_second_message(engine):
    await break_out(engine)
    await until_quiet(engine)
    for number in range(COUNT):
        await engine.post(firing(engine, f"Later{number:02}"))

    await engine.settle()

    texts = [message.text for message in engine.slack.messages if "storm" in message.text]
    assert ["is over" in text for text in texts] == [True, False]


@pytest.mark.parametrize("kind", ["lost_reply", "down", "500", "429"])
async def test_a_digest_whose_post_fails_is_there_once(engine, kind):
    ids = await break_out(engine, THRESHOLD + 10)
    engine.slack.faults.order(Fault(kind=kind, path="/api/chat.postMessage", times=1))

    for _ in range(12):
        await engine.settle()

    assert f"{len(ids) - (len(engine.slack.messages) - 1)} incidents" in digest(engine).text


async def test_a_digest_that_slack_posts_late_is_there_once(engine):
    await break_out(engine)
    while not (kept := await make_storms(engine.store).kept()):
        await engine.worker.run_due()
    [(_, storm_id)] = kept
    engine.slack.faults.order(Fault(kind="503", path="/api/chat.postMessage"))

    for _ in range(5):
        engine.clock.advance(seconds=1)
        await engine.digests.keep_all()
    await engine.digests._wire.post(CHANNEL, Message("*Alert storm*, late"), metadata=metadata(storm=storm_id))
    for _ in range(6):
        await engine.settle()

    assert "incidents" in digest(engine).text


async def test_a_digest_that_people_delete_is_posted_again_while_the_storm_goes_on(engine):
    ids = await break_out(engine)
    await engine.settle()
    engine.slack.delete_message(digest(engine).ts)

    one = (await counted(engine, ids))[0]
    await engine.http.post(f"/api/incidents/{one}/acknowledge", params={"by": "ana"})
    await engine.settle()

    assert "1 acknowledged" in digest(engine).text


async def test_a_digest_that_is_deleted_before_its_ping_is_posted_again_with_it(engine):
    ids = await break_out(engine)
    await engine.settle()
    members = await counted(engine, ids)
    await engine.http.post(f"/api/incidents/{members[0]}/acknowledge", params={"by": "ana"})
    while "1 acknowledged" not in digest(engine).text:
        await engine.worker.run_due()
        await engine.digests.keep_all()
        engine.clock.advance(seconds=1)
    engine.slack.delete_message(digest(engine).ts)

    await engine.http.post(f"/api/incidents/{members[1]}/escalate", params={"by": "ana"})
    for _ in range(3):
        await engine.settle()

    assert ["1 escalated" in reply for reply in digest(engine).replies] == [True]
    assert await counted(engine, ids) == members


async def test_escalations_that_are_held_up_are_told_in_the_thread_of_the_digest(engine):
    ids = await break_out(engine)
    await engine.settle()
    members = await counted(engine, ids)
    engine.servicenow.faults.order(Fault(kind="429", retry_after=3500))

    await engine.http.post(f"/api/incidents/{members[0]}/escalate", params={"by": "ana"})
    for _ in range(8):
        await engine.settle()

    assert ["1 held up" in reply for reply in digest(engine).replies] == [True]


async def test_a_storm_in_one_channel_is_none_in_another(engine):
    await break_out(engine)

    await engine.post(firing(engine, "Elsewhere"), slack_channel_id="C0OTHER")
    await engine.settle()

    assert any(message.channel == "C0OTHER" and "Elsewhere" in message.text for message in engine.slack.messages)


async def open_list(engine: Engine, **changed: str):
    """The page behind the digest's link, or behind a link with other values in it."""
    found = re.search(r"<(https://versus.example/api/storms/[^|]+)\|", digest(engine).text)
    assert found
    url = urlsplit(found[1].replace("&amp;", "&"))
    return await engine.http.get(url.path, params=dict(parse_qsl(url.query)) | changed)


async def test_the_link_lists_the_incidents_with_a_way_to_acknowledge_each(engine):
    ids = await break_out(engine)
    await engine.settle()
    [one, other, *_] = await counted(engine, ids)
    await engine.http.post(f"/api/incidents/{other}/acknowledge", params={"by": "<b>ana</b>"})

    page = await open_list(engine)

    text = await page.text()
    assert page.status == 200
    assert all(incident_id in text for incident_id in await counted(engine, ids))
    assert f"/api/ack/{one}?" in text
    assert f"/api/ack/{other}?" not in text
    assert "&lt;b&gt;ana&lt;/b&gt;" in text
    assert (await engine.store.get(one)).status is Status.TRIGGERED


@pytest.mark.parametrize("changed", [{"sig": "0" * 64}, {"exp": "99999999999"}, {"sig": "", "exp": ""}])
async def test_a_link_that_was_not_signed_for_this_storm_lists_nothing(engine, changed):
    await break_out(engine)
    await engine.settle()

    page = await open_list(engine, **changed)

    assert page.status == 401
    assert "Alert" not in await page.text()


async def test_a_link_to_a_list_expires(engine):
    await break_out(engine)
    await engine.settle()
    engine.clock.advance(hours=24 * 9)

    assert (await open_list(engine)).status == 403


async def test_a_link_to_acknowledge_opens_no_list(engine):
    ids = await break_out(engine, 1)
    query = urlsplit(engine.links.url(await engine.store.get(ids[0]))).query

    page = await engine.http.get(f"/api/storms/{CHANNEL}/{ids[0]}?{query}")

    assert page.status == 401


def channels(engine: Engine) -> dict[str, int]:
    """How many messages each channel has."""
    return dict(Counter(message.channel for message in engine.slack.messages))


async def told(engine: Engine, ids: list[str]) -> list[str]:
    """Those that have a message of their own, or are counted in one that there is."""
    has_digest = any("storm" in message.text for message in engine.slack.messages)
    texts = "\n".join(message.shown for message in engine.slack.messages)
    in_digest = set(await counted(engine, ids)) if has_digest else set()
    return [incident_id for incident_id in ids if incident_id in texts or incident_id in in_digest]


async def test_a_storm_in_a_dead_channel_goes_to_the_default_one(engine, slack):
    slack.archived.add("C0TEAM")
    payloads = [firing(engine, f"Alert{number:02}") for number in range(COUNT)]
    ids = [(await engine.post(it, slack_channel_id="C0TEAM"))["incidents"][0]["id"] for it in payloads]

    for _ in range(8):
        await engine.settle()

    assert set(channels(engine)) == {CHANNEL}
    assert await told(engine, ids) == ids
    assert digest(engine).channel == CHANNEL


async def test_a_channel_that_dies_during_a_storm_leaves_nobody_untold(engine, slack):
    payloads = [firing(engine, f"Alert{number:02}") for number in range(COUNT)]
    ids = [(await engine.post(it, slack_channel_id="C0TEAM"))["incidents"][0]["id"] for it in payloads]
    await engine.settle()
    members = await counted(engine, ids)
    slack.archived.add("C0TEAM")

    await engine.http.post(f"/api/incidents/{members[0]}/acknowledge", params={"by": "ana"})
    for _ in range(8):
        await engine.settle()

    alive = "\n".join(message.shown for message in engine.slack.messages if message.channel == CHANNEL)
    in_digest = await counted(engine, members)
    assert all(incident_id in alive or incident_id in in_digest for incident_id in members[1:])


async def test_where_no_channel_can_be_told_everybody_escalates_at_once(engine, slack, logs):
    slack.archived.add(CHANNEL)
    ids = await break_out(engine, 40)

    for _ in range(5):
        await engine.settle()

    assert {record["correlation_id"] for record in engine.servicenow.incidents} == set(ids)
    logs.expect_error("sync.failed")


async def test_a_line_that_the_digests_thread_does_not_take_is_left_out(engine, slack, logs):
    ids = await break_out(engine, THRESHOLD + 15)
    await engine.settle()
    [one, *others] = await counted(engine, ids)
    slack.locked.add(digest(engine).ts)

    await engine.http.post(f"/api/incidents/{one}/escalate", params={"by": "ana"})
    for _ in range(4):
        await engine.settle()

    assert "1 escalated" in digest(engine).text
    assert digest(engine).replies == []
    assert len([line for line in logs if line["event"] == "slack.thread_refused"]) == 1
    assert [record["correlation_id"] for record in engine.servicenow.incidents] == [one]
    assert await counted(engine, ids) == [one, *others]


async def test_a_digest_that_cannot_be_edited_any_more_ends_nobodys_wait(engine, slack, logs):
    ids = await break_out(engine)
    for _ in range(3):  # until nobody waits to be told
        await engine.settle()
    [one, *others] = await counted(engine, ids)
    slack.archived.add(CHANNEL)

    await engine.http.post(f"/api/incidents/{one}/acknowledge", params={"by": "ana"})
    for _ in range(4):
        await engine.settle()
    for incident_id in others:  # which is tried once more, and counted in another digest that cannot be posted
        await engine.post(firing(engine, f"Alert{ids.index(incident_id):02}"))
    for _ in range(8):
        await engine.settle()

    assert engine.servicenow.incidents == []
    await engine.after(minutes=5)
    assert {record["correlation_id"] for record in engine.servicenow.incidents} == set(ids) - {one}
    logs.expect_error("sync.failed")


async def test_who_was_counted_in_a_refused_digest_gets_a_message_once_slack_takes_one(engine, slack, logs):
    ids = await break_out(engine, THRESHOLD + 10)
    await engine.settle()
    [one, another, *others] = await counted(engine, ids)
    slack.archived.add(CHANNEL)
    for incident_id in (one, another):
        await engine.http.post(f"/api/incidents/{incident_id}/acknowledge", params={"by": "ana"})
    for _ in range(4):
        await engine.settle()
    logs.expect_error("sync.failed")
    slack.archived.clear()

    await engine.http.post("/api/retry", params={"by": "ana"})
    await engine.http.post(f"/api/incidents/{one}/unacknowledge", params={"by": "ana"})
    for _ in range(4):
        await engine.settle()

    shown = "\n".join(message.shown for message in slack.messages)
    assert [it for it in (one, another, *others) if it not in shown] == [another]


async def test_a_worker_that_dies_while_it_joins_leaves_one_place_for_the_incident(engine):
    ids = await break_out(engine, THRESHOLD + 10)
    claims, _ = await claim_due(engine.store, now_ms=engine.clock.now_ms(), lease_ms=60_000, limit=100)
    for claim in claims:
        incident = await engine.store.get(claim.incident_id)
        with suppress(NotYet):
            await engine.worker._targets["slack"].sync(incident, attempt=1)  # and it is never written down

    for _ in range(14):
        await engine.settle()

    in_digest = await counted(engine, ids)
    own = [it for it in ids if any(it in message.shown for message in engine.slack.messages)]
    assert sorted([*in_digest, *own]) == sorted(ids)
    digests = [message.text for message in engine.slack.messages if "storm" in message.text]
    counts = [int(count) for text in digests for count in re.findall(r"· (\d+) incidents? since", text)]
    assert sum(counts) == len(in_digest)  # the lease was as long as the storm, so that there may be a second one


async def test_a_digest_that_is_deleted_after_the_storm_leaves_open_incidents_with_their_own_messages(engine):
    ids = await break_out(engine, THRESHOLD + 10)
    await until_quiet(engine)
    [kept, over, *_] = await counted(engine, ids)
    engine.slack.delete_message(digest(engine).ts)

    await engine.http.post(f"/api/incidents/{over}/resolve", params={"by": "ana"})
    for _ in range(4):
        await engine.settle()

    shown = "\n".join(message.shown for message in engine.slack.messages)
    assert kept in shown
    assert over not in shown


async def test_who_has_a_message_of_their_own_is_counted_no_more(engine):
    ids = await break_out(engine)
    await until_quiet(engine)
    members = await counted(engine, ids)
    for action in ("acknowledge", "unacknowledge", "resolve"):
        await engine.http.post(f"/api/incidents/{members[0]}/{action}", params={"by": "ana"})
        await engine.settle()

    assert f"· {len(members) - 1} incidents" in digest(engine).text
    assert "acknowledged" not in digest(engine).text


async def test_a_snooze_of_a_counted_incident_ends_in_time(engine):
    ids = await break_out(engine)
    await engine.settle()
    one = (await counted(engine, ids))[0]
    await engine.http.post(f"/api/incidents/{one}/snooze", params={"by": "ana", "minutes": 1})
    await engine.settle()
    assert "1 snoozed" in digest(engine).text

    await engine.after(minutes=1)

    assert "snoozed" not in digest(engine).text


async def test_escalations_of_a_storm_ping_in_its_thread(engine):
    await break_out(engine)
    await engine.settle()

    await engine.after(minutes=5)
    for _ in range(6):
        await engine.settle()

    found = re.search(r"(\d+) incidents", digest(engine).text)
    assert found
    members = found[1]
    assert any(f"{members} escalated" in reply for reply in digest(engine).replies)
    assert len(set(digest(engine).replies)) == len(digest(engine).replies)


async def test_escalations_ping_while_the_storm_goes_on(engine):
    ids = await break_out(engine)
    await engine.settle()
    one = (await counted(engine, ids))[0]

    await engine.http.post(f"/api/incidents/{one}/escalate", params={"by": "ana"})
    for number in range(30):
        await engine.post(firing(engine, f"More{number:02}"))
        await engine.worker.run_due()
        await engine.digests.keep_all()
        engine.clock.advance(seconds=1)

    assert ["1 escalated" in reply for reply in digest(engine).replies] == [True]
    assert "is over" not in digest(engine).text


@pytest.mark.parametrize("kind", ["429", "503", "down", "lost_reply"])
async def test_a_ping_whose_post_fails_is_there_once(engine, kind):
    ids = await break_out(engine)
    await engine.settle()
    one = (await counted(engine, ids))[0]
    for _ in range(2):  # until nobody else posts
        await engine.settle()
    engine.slack.faults.order(Fault(kind=kind, path="/api/chat.postMessage"))

    await engine.http.post(f"/api/incidents/{one}/escalate", params={"by": "ana"})
    for _ in range(12):
        await engine.settle()

    assert ["1 escalated" in reply for reply in digest(engine).replies] == [True]


async def test_a_storm_of_many_costs_each_of_them_one_sync_or_two(engine, monkeypatch):
    syncs: Counter[str] = Counter()
    sync = engine.worker._targets["slack"].sync

    async def counting(incident, *, attempt):
        syncs[incident.id] += 1
        return await sync(incident, attempt=attempt)

    monkeypatch.setattr(engine.worker._targets["slack"], "sync", counting)
    ids = await break_out(engine, 200)
    for _ in range(3):
        await engine.settle()

    assert max(syncs[it] for it in await counted(engine, ids)) <= 4


async def test_a_storm_that_a_newer_version_wrote_is_told_once_and_stops_no_other(engine, logs):
    member, now_ms = Member("critical", "Alert", "triggered"), engine.clock.now_ms()
    storms = make_storms(engine.store)
    newer, _ = [await storms.join(channel, IncidentId("a-1"), member, now_ms=now_ms) for channel in ("C0A", "C0B")]
    await engine.store._redis.hset(keys.storm("C0A", newer), "member:b-1", '{"severity": "high", "since": 1}')

    for _ in range(2):
        await engine.digests.keep_all()

    assert channels(engine) == {"C0B": 1}
    assert len([line for line in logs if line["event"] == "slack.storm_unreadable"]) == 1
    assert newer in logs.expect_error("slack.storm_unreadable")["error"]


@dataclass
class Writing:
    """The loop is writing the digest of C0A; C0B waits for its own."""

    posts: list[str]
    answer: asyncio.Event  # of Slack
    stop: asyncio.Event
    loop: asyncio.Task[None]


@pytest.fixture
async def writing(engine, monkeypatch) -> AsyncIterator[Writing]:
    member, now_ms = Member("critical", "Alert", "triggered"), engine.clock.now_ms()
    for place in ("C0A", "C0B"):
        await make_storms(engine.store).join(place, IncidentId("a-1"), member, now_ms=now_ms)
    stop, posts, answer = asyncio.Event(), [], asyncio.Event()

    async def post(channel, *_, **__):
        posts.append(channel)
        await answer.wait()
        return {"ts": "1.2"}

    monkeypatch.setattr(engine.digests._wire, "post", post)
    loop = asyncio.create_task(engine.digests.run(stop))
    await until(lambda: posts)
    yield Writing(posts, answer, stop, loop)
    loop.cancel()


async def test_a_digest_that_is_being_written_is_finished_after_the_word_to_stop(engine, writing, monkeypatch):
    monkeypatch.setattr(storm, "STOP_GRACE_S", DEADLINE_S)

    writing.stop.set()
    writing.answer.set()
    async with asyncio.timeout(DEADLINE_S):
        await writing.loop

    storms = make_storms(engine.store)
    found = [await storms.summary(channel, storm_id) for channel, storm_id in await storms.kept()]
    assert [(it.place, it.ts) for it in found if it is not None] == [("C0A", "1.2"), ("C0B", "")]


async def test_a_slack_that_hangs_keeps_nobody_from_stopping_and_is_asked_again_as_late_as_after_a_crash(
    engine, writing, monkeypatch
):
    monkeypatch.setattr(storm, "STOP_GRACE_S", 0)

    writing.stop.set()
    async with asyncio.timeout(DEADLINE_S):
        await writing.loop
    writing.answer.set()
    engine.clock.advance(seconds=5)
    await engine.digests.keep_all()  # as another process does

    assert writing.posts == ["C0A", "C0B"]


async def test_who_could_not_be_woken_when_a_digest_was_refused_is_woken_later(engine, slack, logs, monkeypatch):
    ids = await break_out(engine, THRESHOLD + 10)
    await engine.settle()
    [one, *others] = await counted(engine, ids)
    slack.archived.add(CHANNEL)
    wake, woken = engine.digests._wake, []

    async def wake_unless_redis_is_away(incident_id):
        woken.append(incident_id)
        if len(woken) == 3:
            raise StoreUnavailable("gone")
        await wake(incident_id)

    monkeypatch.setattr(engine.digests, "_wake", wake_unless_redis_is_away)
    await engine.http.post(f"/api/incidents/{one}/acknowledge", params={"by": "ana"})
    for _ in range(2):
        await engine.settle()

    assert all([(await engine.store.get(it)).delivery("slack").failed_at_ms for it in others])
    logs.expect_error("sync.failed")


async def test_a_worker_that_dies_right_after_it_has_begun_a_storm_leaves_one_that_is_posted(engine, monkeypatch):
    storms = make_storms(engine.store)
    change = storms._change

    async def died(*args, **kwargs):
        await change(*args, **kwargs)
        raise asyncio.CancelledError

    monkeypatch.setattr(storms, "_change", died)
    with pytest.raises(asyncio.CancelledError):
        await storms.join(CHANNEL, IncidentId("one-0"), Member("critical", "One", "triggered"), now_ms=now_ms(engine))

    await engine.digests.keep_all()

    assert "storm" in digest(engine).text


async def test_a_storm_that_was_dismissed_while_somebody_joined_is_kept_once_they_come_again(engine):
    storms = make_storms(engine.store)
    storm_id = await storms.join(
        CHANNEL, IncidentId("one-0"), Member("critical", "One", "triggered"), now_ms=now_ms(engine)
    )
    await engine.store._redis.delete(keys.STORMS)

    assert await storms.joined(CHANNEL, IncidentId("one-0")) == storm_id
    assert await storms.kept() == [(CHANNEL, storm_id)]


async def test_the_incidents_of_a_refused_digest_are_woken_by_one_replica_and_once(engine, slack, logs, monkeypatch):
    ids = await break_out(engine, THRESHOLD + 10)
    await engine.settle()
    in_digest = await counted(engine, ids)
    [(channel, storm_id)] = await make_storms(engine.store).kept()
    storm_now = await make_storms(engine.store).get(channel, storm_id)
    assert storm_now is not None
    await make_storms(engine.store).end(storm_now, now_ms=now_ms(engine), refused="is_archived")
    woken, may_go_on = [], asyncio.Event()

    async def wake(incident_id):
        await may_go_on.wait()
        woken.append(incident_id)

    monkeypatch.setattr(engine.digests, "_wake", wake)

    replicas = [asyncio.create_task(engine.digests.keep_all()) for _ in range(3)]
    await until(lambda: sum(it.done() for it in replicas) == 2)
    may_go_on.set()
    await asyncio.gather(*replicas)
    await engine.digests.keep_all()

    assert sorted(woken) == sorted(in_digest)


def now_ms(engine: Engine) -> int:
    return engine.clock.now_ms()


async def ends_of_keys(engine: Engine) -> dict[str, int]:
    """When each key about the channel's storms expires, ms; -1 never."""
    redis = engine.store._redis
    return {name: await redis.pexpiretime(name) async for name in redis.scan_iter(keys.at_destination(CHANNEL, "*"))}


async def test_everything_that_a_storm_keeps_ends(engine):
    await break_out(engine)
    await until_quiet(engine)

    ends = await ends_of_keys(engine)
    assert {name.split(":")[2] for name in ends} == {"storm", "counted"}
    assert min(ends.values()) > engine.clock.now_ms()
    assert await engine.store._redis.smembers(keys.STORMS) == set()
    member, later_ms = Member("critical", "Later", "triggered"), engine.clock.now_ms() + 24 * 3_600_000
    await make_storms(engine.store).join(CHANNEL, IncidentId("later-0"), member, now_ms=later_ms)
    assert ends.items() < (await ends_of_keys(engine)).items()  # another storm prolongs nothing of this one


async def test_the_gravest_get_messages_of_their_own_first(engine):
    for number in range(60):
        payload = firing(engine, f"Alert{number:02}")
        severity = "critical" if number >= 50 else "warning"
        for labels in (payload["commonLabels"], *(alert["labels"] for alert in payload["alerts"])):
            labels["severity"] = severity
        await engine.post(payload)
        engine.clock.advance(ms=10)

    for _ in range(4):
        await engine.settle()

    own = [message.text for message in engine.slack.messages if "storm" not in message.text]
    assert len([text for text in own if "critical" in text]) == 10


async def test_the_list_tells_what_waits_from_what_is_over(engine):
    ids = await break_out(engine, THRESHOLD + 10)
    await until_quiet(engine)
    members = await counted(engine, ids)
    waiting = await (await open_list(engine)).text()
    assert f'<span class="dim">{len(members)}, gravest first</span>' in waiting
    assert "Acknowledged or resolved" not in waiting

    for incident_id in members:
        await engine.http.post(f"/api/incidents/{incident_id}/resolve", params={"by": "ana"})
    over = await (await open_list(engine)).text()
    assert "gravest first" not in over
    assert f'Acknowledged or resolved <span class="dim">{len(members)}</span>' in over
