"""What is said again word for word is counted: without reading the body, and without writing the incident anew."""

import asyncio
import json
import random
from typing import Any

import pytest

from tests.support.groups import alert, group
from tests.support.waiting import DEADLINE_S, until
from versus_py.incidents.model import Actor, IncidentId
from versus_py.incidents.repeats import WRITTEN_EVERY_MS
from versus_py.incidents.transitions import acknowledge
from versus_py.store import keys
from versus_py.web import accepting
from versus_py.web.intake import intake, repeats
from versus_py.web.intake.contents import read_any

DISK = group(alert("Disk"))
MORE = group(alert("Disk", instance="a"), alert("Disk", instance="b"))


@pytest.fixture
def read(monkeypatch) -> list[bytes]:
    """The bodies that are read."""
    found: list[bytes] = []

    def noted(body: bytes) -> Any:
        found.append(body)
        return read_any(body)

    monkeypatch.setattr(intake, "read_posted", noted)
    return found


async def posted(engine, payload, **query):
    [answer] = (await engine.post(payload, **query))["incidents"]
    return answer


async def test_what_comes_a_third_time_within_a_minute_is_not_read_but_counted_and_shown(engine, read):
    answers = []
    for _ in range(5):
        answers.append(await posted(engine, DISK))
        engine.clock.advance(seconds=5)

    detail = await engine.detail(answers[0]["id"])
    await engine.settle()
    assert len(read) == 2
    assert {json.dumps(it) for it in answers[1:]} == {json.dumps(answers[1])}
    assert answers[1]["outcome"] == "updated"
    assert detail["occurrences"] == 5
    assert len(engine.slack.messages) == 1
    assert "seen 5 times" in engine.slack.messages[0].shown
    assert engine.measured("versus_notifications_accepted_total", source="alertmanager", outcome="updated") == 4


async def test_what_comes_many_times_at_once_is_read_until_it_is_known(engine, read):
    answers = await asyncio.gather(*(posted(engine, DISK) for _ in range(30)))

    assert len(read) == 2
    assert sorted(it["outcome"] for it in answers) == ["created", *["updated"] * 29]
    assert (await engine.detail(answers[0]["id"]))["occurrences"] == 30


async def test_who_waits_for_the_same_body_does_not_wait_for_long(engine, read, monkeypatch):
    monkeypatch.setattr(intake, "WAIT_S", 0.01)
    answer = await posted(engine, DISK)
    async with engine.lifecycle._lock(answer["id"]):  # whoever reads it now stands still
        posting = [asyncio.create_task(posted(engine, DISK)) for _ in range(3)]
        await until(lambda: len(read) == 4)

    assert {it["outcome"] for it in await asyncio.gather(*posting)} == {"updated"}
    assert (await engine.detail(answer["id"]))["occurrences"] == 4


async def test_whoever_waits_is_answered_before_its_sender_gives_up(engine, monkeypatch):
    monkeypatch.setattr(intake, "WAIT_S", 0.05)
    monkeypatch.setattr(accepting, "ACCEPT_TIMEOUT_S", 0.2)
    began = asyncio.get_running_loop().time()

    async def hangs(*_: Any) -> Any:
        await asyncio.sleep(DEADLINE_S)

    monkeypatch.setattr(engine.lifecycle, "accept", hangs)
    responses = await asyncio.gather(*(engine.http.post("/api/incidents", json=DISK) for _ in range(5)))

    assert [it.status for it in responses] == [503] * 5
    assert asyncio.get_running_loop().time() - began < DEADLINE_S / 2


async def test_what_never_becomes_known_is_waited_for_once(engine, read, monkeypatch):
    many = [DISK, group(alert("Other"))]
    at_once, most = 0, 0
    accept = engine.lifecycle.accept

    async def counting(*args: Any) -> Any:
        nonlocal at_once, most
        at_once, most = at_once + 1, max(most, at_once + 1)
        try:
            return await accept(*args)
        finally:
            at_once -= 1

    monkeypatch.setattr(engine.lifecycle, "accept", counting)
    await asyncio.gather(*(engine.http.post("/api/incidents", json=many) for _ in range(8)))

    assert len(read) == 8
    assert most == 7  # all but the first, which the others waited for


async def test_the_same_body_that_cannot_be_read_is_refused_each_time(engine):
    responses = await asyncio.gather(*(engine.http.post("/api/incidents", data=b"{") for _ in range(5)))

    assert [it.status for it in responses] == [400] * 5


async def test_a_message_is_edited_for_what_was_only_counted(engine):
    await posted(engine, DISK)
    await posted(engine, DISK)
    await engine.settle()

    await posted(engine, DISK)
    await engine.settle()

    assert "seen 3 times" in engine.slack.messages[0].shown


async def test_the_first_repeat_after_a_change_writes_the_names_again_that_may_have_been_lost(engine):
    await posted(engine, DISK)
    redis = engine.store._redis
    [name] = await redis.keys("versus:*alerts:*")
    await redis.delete(name)  # as if who created it had died before it wrote them

    await posted(engine, DISK)

    assert await redis.keys("versus:*alerts:*") == [name]


async def test_once_a_minute_the_incident_is_written_as_a_whole(engine, read):
    for _ in range(3):
        answer = await posted(engine, DISK)
    redis, name = engine.store._redis, keys.incident(IncidentId(answer["id"]))
    await redis.pexpire(name, 60_000)

    engine.clock.advance(ms=WRITTEN_EVERY_MS)
    await posted(engine, DISK)

    assert len(read) == 3
    assert await redis.pttl(name) > 24 * 3600_000
    assert (await engine.detail(answer["id"]))["occurrences"] == 4


async def test_what_is_no_longer_the_last_word_is_read(engine, read):
    over = group(alert("Disk", over=True))
    for payload in (DISK, DISK, DISK, over, DISK):
        answer = await posted(engine, payload)

    assert answer["outcome"] == "reopened"
    assert len(read) == 4
    assert (await engine.detail(answer["id"]))["status"] == "triggered"


async def test_a_request_that_asks_for_something_else_is_another_one(engine, read):
    for _ in range(3):
        await posted(engine, DISK)

    await posted(engine, DISK, oncall_wait_minutes="20")

    assert len(read) == 3


async def test_what_redis_has_lost_is_written_down_again(engine, read):
    for _ in range(3):
        await posted(engine, DISK)
    await engine.store._redis.flushall()

    answer = await posted(engine, DISK)

    assert answer["outcome"] == "created"


async def test_another_name_of_the_group_has_it_read(engine, read):
    for _ in range(3):
        answer = await posted(engine, DISK)
    incident = await engine.store.get(IncidentId(answer["id"]))
    await engine.store._redis.delete(keys.dedup(incident.dedup_key))

    await posted(engine, DISK)

    assert len(read) == 3


async def test_few_bodies_are_remembered(engine, read, monkeypatch):
    monkeypatch.setattr(repeats, "REMEMBERED_MAX", 1)
    other = group(alert("Memory"))
    for payload in (DISK, DISK, other, other, DISK):
        await posted(engine, payload)

    assert len(read) == 5


@pytest.mark.parametrize("settings", [{"alert": {"debug_body": True}}])
async def test_where_bodies_are_logged_each_is_read(engine, read, settings):
    for _ in range(3):
        await posted(engine, DISK)

    assert len(read) == 3


async def test_a_change_that_was_decided_before_a_repeat_is_saved_and_the_repeat_counts(engine):
    for _ in range(2):
        answer = await posted(engine, DISK)
    now_ms, incident = engine.clock.now_ms(), await engine.store.get(IncidentId(answer["id"]))
    change = acknowledge(incident, Actor("ana"), now_ms)

    await posted(engine, DISK)
    saved = await engine.store.save([change], now_ms=now_ms)

    detail = await engine.detail(answer["id"])
    assert saved == [True]
    assert (detail["status"], detail["occurrences"]) == ("acknowledged", 3)


async def test_pages_that_follow_changes_hear_of_repeats(engine):
    for _ in range(2):
        await posted(engine, DISK)
    seen, _ = await engine.store.next_change("0", block_ms=5000)

    await posted(engine, DISK)

    async def is_told():
        return (await engine.store.next_change(seen, block_ms=1))[0] != seen

    await until(is_told)


DEEDS = ("fire", "fire", "fire", "fire", "more", "less", "over", "ack", "unack", "work", "seconds", "minutes")


@pytest.mark.parametrize("seed", [0, *(pytest.param(it, marks=pytest.mark.long) for it in range(1, 30))])
async def test_what_is_counted_comes_to_the_same_as_what_is_read(engine, read, seed):
    dice = random.Random(seed)
    ids: dict[str, str] = {}
    last: dict[str, tuple[str, ...]] = {}
    for number in range(25):
        deed = dice.choice(DEEDS) if number else "fire"
        if deed in {"fire", "more", "less", "over"}:
            for name in ("counted", "read"):
                payload = _payload(name, deed)
                spaces = b" " * number if name == "read" else b""  # no body is like another one
                response = await engine.http.post("/api/incidents", data=json.dumps(payload).encode() + spaces)
                [answer] = (await response.json())["incidents"]
                last[name] = (answer["outcome"], answer["status"], answer["escalates_at"])
                ids[name] = answer["id"] or ids[name]
        elif deed == "work":
            await engine.worker.run_due()
        elif deed in {"ack", "unack"}:
            verb = "acknowledge" if deed == "ack" else "unacknowledge"
            for incident_id in ids.values():
                await engine.http.post(f"/api/incidents/{incident_id}/{verb}", json={"by": "ana"})
        else:
            engine.clock.advance(**{deed: dice.randint(1, 3) * (10 if deed == "seconds" else 1)})
        assert last["counted"] == last["read"]

    assert await _known(engine, ids["counted"]) == await _known(engine, ids["read"])


def _payload(name, deed):
    match deed:
        case "more":
            return group(alert("Disk", of=name), alert("Disk", of=name, instance="b"), by=("alertname", "of"))
        case "over":
            return group(alert("Disk", of=name, over=True), by=("alertname", "of"))
        case "less":
            return group(
                alert("Disk", of=name), alert("Disk", of=name, instance="b", over=True), by=("alertname", "of")
            )
    return group(alert("Disk", of=name), by=("alertname", "of"))


async def _known(engine, incident_id):
    detail = await engine.detail(incident_id)
    said = [(it["at"], it["event"]) for it in detail["timeline"] if it["event"] not in {"posted", "escalated"}]
    names = ("status", "outcome", "occurrences", "updated_at", "severity", "escalates_at", "resolved_at")
    return {name: detail.get(name) for name in names}, said
