"""What people write in a record's comments is heard, once each, and whatever comes of asking costs nobody anything."""

import asyncio
from typing import Any

import pytest

from tests.integration.conftest import Engine
from tests.integration.targets.test_notes import ANA, the_incident
from tests.integration.targets.test_records import PLAIN, escalated, group, set_back, snapshot
from tests.support.stored import packed, unpacked
from tests.support.waiting import DEADLINE_S
from versus_py.engine.retries import SPREAD
from versus_py.incidents import transitions
from versus_py.incidents.model import Comment, Delivery
from versus_py.simulators import Fault
from versus_py.store import keys
from versus_py.targets.servicenow.comments import Heard

JOURNAL = "/api/now/table/sys_journal_field"
READS = f"GET {JOURNAL}"


@pytest.fixture(autouse=True)
def _no_jitter(monkeypatch):
    monkeypatch.setattr(SPREAD, "uniform", lambda low, _high: low)


async def delivery(engine: Engine) -> Delivery:
    incident = await engine.store.get(await the_incident(engine))
    assert incident is not None
    return incident.delivery("servicenow")


async def heard(engine: Engine) -> list[str]:
    """What was handed over, oldest first."""
    return [comment.text for comment in (await delivery(engine)).comments]


def say(engine: Engine, *texts: str, by: str = "ana") -> None:
    """A person comments on the last record."""
    for text in texts:
        engine.servicenow.comment(engine.servicenow.incidents[-1]["number"], text, by=by)


def asked(engine: Engine) -> int:
    """How often comments were asked for."""
    return engine.servicenow.calls.count(READS)


async def pass_time(engine: Engine, *, minutes: int) -> None:
    """So much time, with everything done when it is due."""
    for _ in range(minutes):
        engine.clock.advance(minutes=1)
        await engine.worker.run_due()


async def test_comments_are_heard_with_who_wrote_them_and_when(engine):
    await escalated(engine)
    say(engine, "On it")
    at_ms = engine.clock.now_ms() // 1000 * 1000

    await pass_time(engine, minutes=6)

    found = await delivery(engine)
    assert found.comments == (Comment(at_ms, "ana", "On it"),)
    assert found.comment_count == 1


async def test_no_look_hands_over_a_comment_again_and_two_of_one_second_are_two(engine):
    await escalated(engine)
    say(engine, "one", "two")
    await pass_time(engine, minutes=6)
    say(engine, "three")
    await pass_time(engine, minutes=6)
    say(engine, "three")

    await pass_time(engine, minutes=20)

    assert await heard(engine) == ["one", "two", "three", "three"]
    assert (await delivery(engine)).comment_count == 4


async def test_a_comment_that_is_seen_late_is_heard_all_the_same(engine):
    await escalated(engine)
    say(engine, "slow node", "quick node")
    journal = engine.servicenow.tables["sys_journal_field"]
    late = journal.pop(0)
    await pass_time(engine, minutes=6)

    journal.append(late)
    await pass_time(engine, minutes=6)

    assert await heard(engine) == ["quick node", "slow node"]


async def test_comments_between_the_creation_and_the_first_look_are_news(engine):
    await engine.post(group("DiskFull"))
    engine.clock.advance(minutes=5)
    await engine.worker.run_due()
    say(engine, "already looking")
    await engine.post(group("DiskFull", "HostDown"))

    await pass_time(engine, minutes=6)

    assert await heard(engine) == ["already looking"]


@pytest.mark.parametrize("behind_s", [-120, 120])
async def test_the_clock_of_the_instance_matters_not(engine, behind_s):
    engine.servicenow._database._now_s = lambda: engine.clock.now_ms() / 1000 - behind_s
    await escalated(engine)
    say(engine, "On it")

    await pass_time(engine, minutes=12)

    assert await heard(engine) == ["On it"]


@pytest.mark.parametrize("when", ["before", "after"])
async def test_of_a_record_that_is_found_again_only_what_comes_later_is_news(engine, when):
    await escalated(engine)
    say(engine, "old")
    await engine.store._redis.flushall()
    engine.clock.advance(minutes=1)
    await engine.post(group("DiskFull"))
    await engine.after(minutes=6)
    say(engine, *(["new"] if when == "after" else []))

    await pass_time(engine, minutes=6)

    assert await heard(engine) == (["new"] if when == "after" else [])


async def test_of_a_record_whose_creation_got_no_answer_everything_is_news(engine):
    engine.servicenow.faults.order(Fault(kind="lost_reply", method="POST"))
    await engine.post(group("DiskFull"))
    await engine.after(minutes=5)
    say(engine, "what is this?")

    await pass_time(engine, minutes=8)

    assert await heard(engine) == ["what is this?"]


async def test_a_record_of_an_earlier_version_is_heard_from_now_on(engine):
    await escalated(engine)
    say(engine, "old")
    stored = await delivery(engine)
    assert Heard.of(stored.reference)
    redis = engine.store._redis
    key = keys.incident(await the_incident(engine))
    text = unpacked(await redis.hget(key, "delivery:servicenow"))
    del text["reference"]["heard"]
    await redis.hset(key, "delivery:servicenow", packed(text))
    assert Heard.of((await delivery(engine)).reference) is None

    await pass_time(engine, minutes=6)
    assert await heard(engine) == []
    say(engine, "new")
    await pass_time(engine, minutes=6)

    assert await heard(engine) == ["new"]


async def test_our_own_users_comments_are_no_news(engine):
    await escalated(engine)
    say(engine, "said by versus", by="Versus.Integration")
    say(engine, "said by ana")

    await pass_time(engine, minutes=6)

    assert await heard(engine) == ["said by ana"]


async def test_twenty_are_kept_each_cut_and_all_are_counted(engine):
    await escalated(engine)
    say(engine, *(f"{number} {'x' * 2000}" for number in range(25)))

    await pass_time(engine, minutes=6)

    found = await delivery(engine)
    assert [len(comment.text) for comment in found.comments] == [1000] * 20
    assert [comment.text.split()[0] for comment in found.comments] == [str(number) for number in range(5, 25)]
    assert found.comments[0].text.endswith("…")
    assert found.comment_count == 25


async def test_of_very_many_none_becomes_news_when_a_later_one_is_deleted(engine):
    await escalated(engine)
    for number in range(60):
        say(engine, str(number))
        engine.clock.advance(seconds=1)
    await pass_time(engine, minutes=6)
    assert (await delivery(engine)).comment_count == 50

    engine.servicenow.tables["sys_journal_field"].pop()
    await pass_time(engine, minutes=6)

    assert (await delivery(engine)).comment_count == 50


@pytest.mark.parametrize("servicenow_settings", [{"comments_every_minutes": 30}])
async def test_the_record_is_asked_as_often_as_is_set_however_much_is_written_to_it(engine):
    await escalated(engine)
    say(engine, "On it")
    for number in range(29):
        await engine.post(group("DiskFull", f"Host{number}"))
        await pass_time(engine, minutes=1)

    await pass_time(engine, minutes=2)

    assert await heard(engine) == ["On it"]


async def test_without_comments_the_record_is_left_alone_between_looks(engine):
    await escalated(engine)
    before = len(engine.servicenow.calls)

    await pass_time(engine, minutes=4)
    assert len(engine.servicenow.calls) == before
    await pass_time(engine, minutes=2)

    assert set(engine.servicenow.calls[before:]) <= {
        READS,
        f"GET /api/now/table/incident/{engine.servicenow.incidents[0]['sys_id']}",
    }


@pytest.mark.parametrize("servicenow_settings", [{"comments_every_minutes": 0}, PLAIN])
async def test_where_it_is_not_wanted_nobody_asks(engine, servicenow_settings):
    await engine.post(group("DiskFull"))
    await engine.after(minutes=6)
    before = len(engine.servicenow.calls)

    await pass_time(engine, minutes=60)

    assert len(engine.servicenow.calls) == before
    assert (await delivery(engine)).look_again_at_ms is None
    assert "heard" not in (await delivery(engine)).reference


async def test_looking_ends_when_the_incident_is_resolved(engine):
    await escalated(engine)
    await pass_time(engine, minutes=6)
    await engine.post(group(resolved=("DiskFull",)))
    await engine.settle()
    before = len(engine.servicenow.calls)

    await pass_time(engine, minutes=60)

    assert len(engine.servicenow.calls) == before


@pytest.mark.parametrize("state", ["6", "7"])
async def test_looking_ends_when_people_end_the_record_and_their_last_word_is_heard(engine, state):
    record = await escalated(engine)
    say(engine, "The disk is replaced")
    record["state"] = state

    await pass_time(engine, minutes=6)
    before = len(engine.servicenow.calls)
    await pass_time(engine, minutes=60)

    assert await heard(engine) == ["The disk is replaced"]
    await engine.settle()
    assert "in ServiceNow and is left so" in engine.slack.messages[0].shown
    assert len(engine.servicenow.calls) == before


async def test_looking_ends_a_day_after_the_last_change_and_what_is_kept_of_it_too(engine):
    await escalated(engine)
    await engine.lifecycle.acknowledge(await the_incident(engine), ANA)  # its message has no link to be renewed
    await engine.settle()
    incident = await engine.store.get(await the_incident(engine))
    assert incident
    last_change_ms = incident.updated_at_ms
    await pass_time(engine, minutes=24 * 60 - 20)
    say(engine, "Good morning")
    await pass_time(engine, minutes=20)
    assert await heard(engine) == ["Good morning"]
    before = len(engine.servicenow.calls)

    await pass_time(engine, minutes=120)

    assert len(engine.servicenow.calls) == before
    assert (await delivery(engine)).look_again_at_ms is None
    expires_ms = await engine.store._redis.pexpiretime(keys.incident(incident.id))
    assert expires_ms <= last_change_ms + 8 * 24 * 3600_000 + 60_000


@pytest.mark.parametrize("servicenow_settings", [{"comments_every_minutes": 1440}])
async def test_the_last_look_is_no_later_than_a_day_after_the_last_change(engine):
    await escalated(engine)
    incident = await engine.store.get(await the_incident(engine))
    assert incident

    assert (await delivery(engine)).look_again_at_ms == incident.updated_at_ms + 24 * 3600_000


async def test_a_last_look_that_fails_is_the_last_one(engine):
    await escalated(engine)
    engine.servicenow.faults.order(Fault(kind="503", times=None))

    async with asyncio.timeout(DEADLINE_S):
        await pass_time(engine, minutes=25 * 60)

    found = await delivery(engine)
    assert (found.look_again_at_ms, found.error) == (None, "")


async def test_looking_ends_when_the_record_is_gone(engine):
    record = await escalated(engine)
    engine.servicenow.incidents.remove(record)

    async with asyncio.timeout(DEADLINE_S):
        await pass_time(engine, minutes=6)
    await engine.settle()
    before = len(engine.servicenow.calls)
    await pass_time(engine, minutes=60)

    assert "is gone, or the user may not read it any more" in engine.slack.messages[0].shown
    assert len(engine.servicenow.calls) == before


async def test_a_look_writes_nothing_whatever_people_did(engine):
    record = await escalated(engine)
    await engine.lifecycle.acknowledge(await the_incident(engine), ANA)
    await engine.settle()
    record["state"] = "1"
    writes = [call for call in engine.servicenow.calls if not call.startswith("GET")]

    await pass_time(engine, minutes=20)

    assert record["state"] == "1"
    assert [call for call in engine.servicenow.calls if not call.startswith("GET")] == writes


@pytest.mark.parametrize("kind", ["down", "503", "429", "truncated", "html200", "cut_off", "lost_reply"])
async def test_a_look_that_fails_is_nobodys_trouble_and_the_next_one_hears_it(engine, kind):
    await escalated(engine)
    edits = engine.slack.messages[0].edits
    engine.servicenow.faults.order(Fault(kind=kind, method="GET", times=2))
    say(engine, "On it")

    await pass_time(engine, minutes=6)
    found = await delivery(engine)
    assert (found.attempts, found.error, found.failing_since_ms, found.comments) == (0, "", None, ())
    assert engine.slack.messages[0].edits == edits
    await pass_time(engine, minutes=12)

    assert await heard(engine) == ["On it"]


@pytest.mark.parametrize("kind", ["down", "503", "401", "truncated"])
async def test_a_comment_query_that_fails_holds_nothing_up(engine, kind):
    record = await escalated(engine)
    await pass_time(engine, minutes=6)
    record["state"] = "6"
    engine.servicenow.faults.order(Fault(kind=kind, path=JOURNAL))

    await pass_time(engine, minutes=6)
    await engine.settle()

    assert "was resolved in ServiceNow" in engine.slack.messages[0].shown
    assert (await delivery(engine)).error == ""


async def test_what_is_to_be_written_does_not_wait_for_comments(engine, logs):
    await escalated(engine)
    engine.servicenow.faults.order(Fault(kind="slow", path=JOURNAL, seconds=0))  # work notes are asked for first
    engine.servicenow.faults.order(Fault(kind="down", path=JOURNAL, times=None))
    engine.clock.advance(minutes=10)  # a look is overdue

    await engine.post(group("DiskFull", "HostDown"))
    await engine.worker.run_due()
    assert len(engine.servicenow.notes) == 1
    await engine.settle()

    assert [line["event"] for line in logs if line["log_level"] == "warning"] == ["servicenow.comments_not_read"]
    found = await delivery(engine)
    assert (found.attempts, found.error) == (0, "")


async def test_while_the_instance_asks_to_be_left_alone_nobody_looks(engine):
    await escalated(engine)
    engine.servicenow.faults.order(Fault(kind="429", path=JOURNAL, retry_after=1800))
    await pass_time(engine, minutes=6)
    before = len(engine.servicenow.calls)

    await pass_time(engine, minutes=25)

    assert len(engine.servicenow.calls) == before


@pytest.mark.parametrize("how", ["forbidden", "hidden"])
async def test_a_journal_that_cannot_be_read_is_said_once_and_asked_for_once_an_hour(engine, logs, how):
    await escalated(engine)
    say(engine, "On it")
    if how == "forbidden":
        engine.servicenow.closed_tables.add("sys_journal_field")
    else:
        engine.servicenow.journal_is_readable = False

    await pass_time(engine, minutes=180)

    assert [line["log_level"] for line in logs if line["event"] == "servicenow.comments_unreadable"] == ["warning"]
    assert asked(engine) <= 3
    engine.servicenow.closed_tables.clear()
    engine.servicenow.journal_is_readable = True
    await pass_time(engine, minutes=70)
    assert await heard(engine) == ["On it"]


async def test_what_one_look_finds_unreadable_no_other_asks_for_within_the_hour(engine):
    engine.servicenow.closed_tables.add("sys_journal_field")
    await engine.post(group("DiskFull"))
    await pass_time(engine, minutes=2)
    await engine.post(group("HostDown") | {"groupLabels": {"alertname": "HostDown"}})
    await pass_time(engine, minutes=14)
    assert asked(engine) == 1
    before = len(engine.servicenow.calls)

    await pass_time(engine, minutes=45)

    assert len(engine.servicenow.incidents) == 2
    assert len(engine.servicenow.calls) == before


async def test_a_journal_that_is_hidden_for_a_while_makes_no_old_comment_news(engine):
    await escalated(engine)
    say(engine, "On it")
    await pass_time(engine, minutes=6)
    engine.servicenow.journal_is_readable = False
    await pass_time(engine, minutes=6)

    engine.servicenow.journal_is_readable = True
    await pass_time(engine, minutes=6)

    assert (await delivery(engine)).comment_count == 1


async def test_a_redis_that_lost_its_last_second_hands_over_what_it_forgot(engine):
    await escalated(engine)
    say(engine, "On it")
    before = await snapshot(engine)
    await pass_time(engine, minutes=6)
    await set_back(engine, before)

    await pass_time(engine, minutes=6)

    assert await heard(engine) == ["On it"]
    assert (await delivery(engine)).comment_count == 1


async def test_what_is_written_later_keeps_the_comments(engine):
    await escalated(engine)
    say(engine, "On it")
    await pass_time(engine, minutes=6)

    await engine.lifecycle.acknowledge(await the_incident(engine), ANA)
    await pass_time(engine, minutes=1)

    assert await heard(engine) == ["On it"]


async def test_the_comments_of_a_successor_come_after_those_of_the_record_before(engine):
    old = await escalated(engine)
    say(engine, "first")
    await pass_time(engine, minutes=6)
    await engine.post(group(resolved=("DiskFull",)))
    await engine.settle()
    old["state"] = "7"
    await engine.post(group("DiskFull"))
    await engine.after(minutes=6)

    say(engine, "second")
    await pass_time(engine, minutes=6)

    assert len(engine.servicenow.incidents) == 2
    assert await heard(engine) == ["first", "second"]


async def test_looking_goes_on_after_somebody_gave_it_back_and_it_escalated_again(engine):
    await escalated(engine)
    incident_id = await the_incident(engine)
    await engine.lifecycle.acknowledge(incident_id, ANA)
    await engine.settle()
    await engine.lifecycle.act(incident_id, lambda it, now_ms: transitions.unacknowledge(it, ANA, now_ms))
    say(engine, "meanwhile")

    await pass_time(engine, minutes=12)

    assert await heard(engine) == ["meanwhile"]


async def test_rows_that_are_no_comments_on_the_record_are_left_out(engine, monkeypatch):
    await escalated(engine)
    say(engine, "On it")
    instance: Any = engine.worker._targets["servicenow"]._instances[None]
    search = instance.api.search

    async def without_conditions(table: str, query: str, fields: Any, *, limit: int) -> Any:
        rows = await search(table, "" if table == "sys_journal_field" else query, fields, limit=limit)
        odd = [{"element_id": it["element_id"], "element": "comments", "value": "no sys_id"} for it in rows]
        return [*rows, *odd] if table == "sys_journal_field" else rows

    monkeypatch.setattr(instance.api, "search", without_conditions)
    other = {"element_id": "0" * 32, "element": "comments", "value": "of another record"}
    engine.servicenow._database.add("sys_journal_field", **other)

    await pass_time(engine, minutes=6)

    assert await heard(engine) == ["On it"]


async def test_of_a_comment_with_formatted_text_the_text_is_heard(engine):
    await escalated(engine)
    say(engine, "[code]<p>On it &amp; <b>soon</b> done</p>[/code]")

    await pass_time(engine, minutes=6)

    assert [it.text for it in (await delivery(engine)).comments] == ["On it & soon done"]
