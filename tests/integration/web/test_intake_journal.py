"""What the intake tells the journal: a line for each notification that was accepted, and nothing of what it said."""

import os
from hashlib import sha256

import orjson
import pytest

from tests.support.journals import followed, full_disk, read
from versus_py.errors import StoreUnavailable
from versus_py.store.calls import run_all
from versus_py.store.journal import JournalFile, RedisJournal, StoredJournal, in_redis

TOKEN = "a-token-that-nobody-guesses"
SECRET = "nobody reads this"
IN_REDIS = {"journal": {"keep": "redis"}}
INTAKE = {"intake": {"tokens": [{"name": "ops", "token": TOKEN}]}}


@pytest.fixture(params=["redis", "file"])
def settings(request, tmp_path):
    return INTAKE | {"journal": {"keep": request.param, "file": tmp_path / "journal.jsonl"}}


@pytest.fixture
def written(engine, engine_redis):
    """The journal that the engine writes."""
    is_file = engine.config.journal.keep == "file"
    return JournalFile(engine.config.journal_file) if is_file else StoredJournal(engine_redis)


def alert(name="disk", **more):
    return {"title": f"{name}: {SECRET}", "dedup_key": f"{name} {SECRET}"} | more


async def post(engine, payload, status=201):
    body = orjson.dumps(payload)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    response = await engine.http.post("/api/incidents", data=body, headers=headers)
    assert response.status == status, await response.text()
    return body, (await response.json()).get("incidents")


def digest(text):
    return sha256(text if isinstance(text, bytes) else text.encode()).hexdigest()


async def test_a_notification_that_was_accepted_is_a_line(engine, written):
    body, [answer] = await post(engine, alert())

    [line] = (await followed(written)).lines
    [incident] = await engine.store.get_each([answer["id"]])
    assert (line.n, line.item, line.at_ms) == (1, 1, engine.clock.now_ms())
    assert (line.sender, line.source, line.body, line.key) == (
        "ops",
        "generic",
        digest(body),
        digest(incident.dedup_key),
    )
    assert (line.incident, line.outcome, line.version) == (incident.id, "created", incident.version)
    assert line.process.endswith(f":{os.getpid()}")


async def test_it_says_what_each_did_and_to_which_version(engine, written):
    for more in ({}, {"severity": "critical"}, {"status": "resolved"}, {"status": "resolved"}, {}):
        await post(engine, alert(**more))

    found = (await followed(written)).lines
    outcomes = [("created", 1), ("updated", 2), ("resolved", 3), ("ignored", 3), ("reopened", 4)]
    assert [(line.outcome, line.version) for line in found] == outcomes
    assert len({line.incident for line in found}) == 1


async def test_many_in_one_request_are_a_line_each(engine, written):
    body, answers = await post(engine, [alert("a"), alert("b"), alert("a")])

    found = (await followed(written)).lines
    assert [(line.item, line.body) for line in found] == [(item, digest(body)) for item in (1, 2, 3)]
    assert [line.incident for line in found] == [answer["id"] for answer in answers]


async def test_a_resolve_of_nothing_known_names_no_incident(engine, written):
    await post(engine, alert(status="resolved"))

    [line] = (await followed(written)).lines
    assert (line.outcome, line.incident, line.version) == ("ignored", None, None)
    assert line.key is not None


async def test_what_is_refused_is_not_in_it(engine, written):
    await post(engine, [], status=400)
    await post(engine, alert())

    assert len((await followed(written)).lines) == 1


async def test_no_text_of_a_payload_and_no_secret_is_in_it(engine, written):
    await post(engine, alert(text=SECRET, severity=SECRET, labels={"a": SECRET}))

    text = "\n".join(await read(written))
    assert SECRET not in text
    assert TOKEN not in text


@pytest.mark.parametrize("settings", [INTAKE])
async def test_it_is_off_unless_it_is_asked_for(engine, journal, engine_redis):
    await post(engine, alert())

    assert journal is None
    assert (await read(StoredJournal(engine_redis))) == []


@pytest.mark.parametrize("settings", [INTAKE | IN_REDIS])
async def test_it_costs_one_more_round_trip(engine, monkeypatch):
    trips = []

    async def counted(client, calls):
        trips.append(len(calls))
        return await run_all(client, calls)

    monkeypatch.setattr(in_redis, "run_all", counted)

    await post(engine, [alert(f"n{number}") for number in range(250)])

    assert trips == [3]


@pytest.mark.parametrize("settings", [INTAKE | IN_REDIS])
async def test_where_redis_does_not_take_it_the_sender_has_to_send_it_again(engine, written, monkeypatch):
    add = RedisJournal.add

    async def fail(self, accepted):
        raise StoreUnavailable("Redis did not take it")

    monkeypatch.setattr(RedisJournal, "add", fail)
    await post(engine, alert(), status=503)
    monkeypatch.setattr(RedisJournal, "add", add)

    await post(engine, alert())

    [line] = (await followed(written)).lines
    assert line.outcome == "updated"


@pytest.mark.parametrize("settings", ["file"], indirect=True)
async def test_a_disk_that_is_full_costs_no_alert(engine, written, logs):
    await post(engine, alert("a"))
    with full_disk(engine.config.journal_file.stat().st_size):
        _, [answer] = await post(engine, alert("b"))
    await post(engine, alert("c"))

    assert answer["outcome"] == "created"
    assert [line.missed for line in (await followed(written)).lines] == [0, 1]
    assert engine.measured("versus_journal_lines_total", result="not_written") == 1
    logs.expect_error("journal.not_written")
