"""The audit: what was accepted is accounted for, or named."""

from datetime import UTC, datetime

import pytest

from tests.support.journals import full_disk, lines_of
from versus_py.errors import VersusError
from versus_py.simulators.faults import Fault
from versus_py.store import keys
from versus_py.store.inspection import Inspection
from versus_py.store.journal import JournalFile, StoredJournal
from versus_py.tools.audit import Audit, What, report
from versus_py.tools.audit.audit import TOGETHER
from versus_py.tools.samples import SAMPLES

DAY_MS = 24 * 3600 * 1000
GRACE_MS = 135_000


@pytest.fixture(params=["redis"])
def settings(request, tmp_path):
    return {"journal": {"keep": request.param, "file": tmp_path / "journal.jsonl"}}


in_a_file = pytest.mark.parametrize("settings", ["file"], indirect=True)


@pytest.fixture
def audited(engine, engine_redis):
    """Runs an audit, by the clock of the engine."""

    async def audited(*journals):
        async def now_ms():
            return engine.clock.now_ms()

        is_file = engine.config.journal.keep == "file"
        own = JournalFile(engine.config.journal_file) if is_file else StoredJournal(engine_redis)
        audit = Audit(Inspection(engine_redis), now_ms, retention_ms=7 * DAY_MS, grace_ms=GRACE_MS)
        return await audit.run(journals or [own])

    return audited


async def fire(engine, name, *, query=None, **more):
    """The id of its incident."""
    [answer] = (await engine.post({"title": name, "dedup_key": name} | more, **(query or {})))["incidents"]
    return answer["id"]


async def act(engine, incident_id, action):
    response = await engine.http.post(f"/api/incidents/{incident_id}/{action}", params={"by": "ana"})
    assert response.status == 201, await response.text()


def said(found):
    return [(it.what, it.line, it.incident) for it in found.findings]


async def test_everything_that_came_to_an_outcome_is_accounted_for(engine, audited):
    acknowledged, resolved = await fire(engine, "acknowledged"), await fire(engine, "resolved")
    await fire(engine, "escalated")
    await act(engine, acknowledged, "acknowledge")
    await fire(engine, "resolved", status="resolved")
    await engine.after(minutes=6)
    await act(engine, await fire(engine, "escalated and acknowledged later"), "escalate")
    await engine.settle()
    await fire(engine, "waits")
    await fire(engine, "stays", query={"oncall_enable": "false"})
    await fire(engine, "nothing", status="resolved")
    await fire(engine, "resolved", status="resolved")

    found = await audited()

    assert said(found) == []
    assert +found.standings == {"acknowledged": 1, "resolved": 1, "escalated": 2, "waiting": 1, "open": 1}
    assert (found.lines, found.payloads, found.incidents, found.ignored) == (9, 9, 6, 2)
    assert resolved != acknowledged


async def test_whatever_people_do_is_no_contradiction(engine, audited):
    one, other, third = await fire(engine, "one"), await fire(engine, "other"), await fire(engine, "third")
    for action in ("acknowledge", "unacknowledge", "acknowledge", "escalate"):
        await act(engine, one, action)
    await engine.settle()
    await act(engine, one, "acknowledge")
    await act(engine, one, "unacknowledge")
    await act(engine, other, "resolve")
    await fire(engine, "other")
    await engine.after(minutes=6)
    for incident_id in (one, other, third):
        await act(engine, incident_id, "resolve")
        await engine.settle()

    found = await audited()

    assert said(found) == []
    assert found.standings.total() == 3


async def test_a_payload_of_many_alerts_is_one(engine, audited):
    await engine.post([{"title": f"n{number}", "dedup_key": f"n{number}"} for number in range(2 * TOGETHER + 1)])

    found = await audited()

    assert (found.lines, found.payloads, found.incidents) == (2 * TOGETHER + 1, 1, 2 * TOGETHER + 1)
    assert said(found) == []


async def test_an_incident_that_redis_does_not_have_is_lost(engine, engine_redis, audited):
    await fire(engine, "kept")
    lost = await fire(engine, "lost")
    await fire(engine, "lost", severity="critical")
    await engine_redis.delete(keys.incident(lost))

    assert said(await audited()) == [(What.LOST, 3, lost)]


async def test_an_incident_whose_retention_is_over_is_gone_by_age(engine, engine_redis, audited):
    old = await fire(engine, "old", query={"oncall_enable": "false"})
    await fire(engine, "goes on", query={"oncall_enable": "false"})
    await engine.settle()
    await engine_redis.delete(keys.incident(old))
    engine.clock.advance(hours=24 * 7)
    await fire(engine, "goes on", severity="critical")

    found = await audited()

    assert found.standings["gone by age"] == 1
    assert said(found) == []


@pytest.mark.parametrize(("late_ms", "is_found"), [(GRACE_MS - 1000, False), (GRACE_MS, True)])
async def test_an_escalation_that_is_due_for_longer_than_a_lease_is_overdue(engine, audited, late_ms, is_found):
    incident_id = await fire(engine, "late")
    engine.clock.advance(minutes=5, ms=late_ms)

    found = await audited()

    assert said(found) == ([(What.OVERDUE, 1, incident_id)] if is_found else [])
    assert found.standings["waiting"] == (not is_found)


async def test_an_escalation_that_was_given_up_is_an_outcome(engine, audited, logs):
    engine.servicenow.faults.order(Fault(kind="400", times=None))
    await fire(engine, "refused")
    await engine.after(minutes=6)
    logs.expect_error("sync.failed")

    found = await audited()

    assert (said(found), found.standings["failed"]) == ([], 1)


async def test_an_incident_that_went_back_to_an_earlier_version_is_named(engine, engine_redis, audited):
    incident_id = await fire(engine, "set back")
    before = await engine_redis.hgetall(keys.incident(incident_id))
    await fire(engine, "set back", severity="critical")
    await engine_redis.hset(keys.incident(incident_id), mapping=before)

    assert said(await audited()) == [(What.SET_BACK, 2, incident_id)]


async def test_an_incident_that_was_lost_and_made_anew_by_a_repeat_is_accounted_for(engine, engine_redis, audited):
    alert = SAMPLES["alertmanager"](name="Trouble", starts_at=datetime(2026, 5, 4, 10, 20, tzinfo=UTC))
    for _ in range(3):
        await engine.post(alert)
    [first] = [it async for it in engine_redis.scan_iter("*:incident:*")]
    incident_id = first.rpartition(":")[2]
    await engine_redis.delete(first, keys.timeline(incident_id))
    engine.clock.advance(seconds=1)

    [again] = (await engine.post(alert))["incidents"]

    assert (again["id"], again["outcome"]) == (incident_id, "created")
    assert said(await audited()) == []


async def test_two_open_incidents_of_one_key_are_named(engine, engine_redis, audited):
    first = await fire(engine, "twice")
    key = (await engine.store.get(first)).dedup_key
    await engine_redis.delete(keys.dedup(key))
    engine.clock.advance(seconds=1)
    second = await fire(engine, "twice")

    [finding] = (await audited()).findings

    assert finding.what is What.TWO_OPEN
    assert {first, second} == {finding.incident, finding.detail.split()[0]}


@in_a_file
async def test_one_that_the_journal_does_not_know_counts_too(engine, engine_redis, audited):
    first = await fire(engine, "twice")
    key = (await engine.store.get(first)).dedup_key
    await engine_redis.delete(keys.dedup(key))
    engine.clock.advance(seconds=1)
    second = await fire(engine, "twice")
    path = engine.config.journal_file
    path.write_text("\n".join(lines_of(path)[:-1]))

    assert said(await audited()) == [(What.TWO_OPEN, 1, first)]
    assert first != second


async def test_a_resolved_one_beside_an_open_one_is_in_order(engine, engine_redis, audited):
    first = await fire(engine, "twice")
    await act(engine, first, "resolve")
    await engine_redis.delete(keys.dedup((await engine.store.get(first)).dedup_key))  # reopen_minutes later
    engine.clock.advance(minutes=6)
    second = await fire(engine, "twice")

    assert first != second
    assert said(await audited()) == []


async def test_an_outcome_that_the_timeline_contradicts_is_named(engine, engine_redis, audited):
    incident_id = await fire(engine, "changed")
    await engine_redis.hset(keys.incident(incident_id), "status", "resolved")

    [finding] = (await audited()).findings

    assert (finding.what, finding.incident) == (What.CONTRADICTED, incident_id)
    assert finding.detail == "it is resolved, and by its timeline triggered"


async def test_an_incident_that_changes_between_two_reads_contradicts_nothing(engine, audited, monkeypatch):
    incident_id = await fire(engine, "moves on")
    look, looks = Inspection.look, []

    async def while_it_changes(self, incident_ids):
        found = await look(self, incident_ids)
        looks.append(incident_ids)
        if len(looks) == 1:
            await act(engine, incident_id, "acknowledge")
            [later] = await look(self, incident_ids)
            return [type(it)(it.incident, later.timeline) for it in found]
        return found

    monkeypatch.setattr(Inspection, "look", while_it_changes)

    assert said(await audited()) == []
    assert len(looks) == 2


@pytest.mark.parametrize("text", ['{"schema":99,"readable_from":99,', "nonsense"])
async def test_an_incident_that_cannot_be_read_is_named(engine, engine_redis, audited, text):
    incident_id = await fire(engine, "newer")
    await engine_redis.hset(keys.incident(incident_id), "incident", text)

    assert said(await audited()) == [(What.UNREADABLE, 1, incident_id)]


async def test_a_line_that_was_changed_is_named_and_not_believed(engine, engine_redis, audited):
    for name in ("a", "b", "c"):
        await fire(engine, name)
    line = await engine_redis.lindex(keys.JOURNAL, 2)
    await engine_redis.lset(keys.JOURNAL, 2, line.replace('"outcome":"created"', '"outcome":"ignored"'))

    found = await audited()

    assert said(found) == [(What.CHAIN_BROKEN, 2, None)]
    assert found.lines == 2


@in_a_file
async def test_what_could_not_be_journalled_is_not_accounted_for(engine, audited, logs):
    await fire(engine, "a")
    with full_disk(engine.config.journal_file.stat().st_size):
        await fire(engine, "b")
    await fire(engine, "c")
    logs.expect_error("journal.not_written")

    found = await audited()
    engine.clock.advance(hours=24 * 8)
    later = await audited()

    assert said(found) == [(What.NOT_JOURNALLED, 2, None)]
    assert found.findings[0].detail == "before it, 1 accepted notification could not be written to the journal"
    assert What.NOT_JOURNALLED not in {it.what for it in later.findings}


@in_a_file
async def test_a_line_that_was_cut_off_is_a_remark(engine, audited):
    await fire(engine, "a")
    path = engine.config.journal_file
    path.write_text(path.read_text() + '{"n":2,"previous":')

    found = await audited()

    assert said(found) == []
    assert found.remarks == [f"{path}: line 2 was not written to its end"]


@in_a_file
async def test_journals_of_several_replicas_are_read_together(engine, audited, tmp_path):
    await fire(engine, "a")
    other = tmp_path / "other.jsonl"
    other.write_text(engine.config.journal_file.read_text())
    await fire(engine, "b")

    found = await audited(JournalFile(engine.config.journal_file), JournalFile(other))

    assert (said(found), found.lines, found.incidents) == ([], 3, 2)
    assert [(it.name, it.first, it.last) for it in found.journals] == [
        (str(engine.config.journal_file), 1, 2),
        (str(other), 1, 1),
    ]


async def test_a_journal_that_is_not_there_is_no_journal_of_nothing(audited):
    with pytest.raises(VersusError, match="there is no journal in Redis"):
        await audited()


async def test_findings_without_end_are_counted(engine, engine_redis, audited, monkeypatch):
    monkeypatch.setattr(report, "FINDINGS_MAX", 3)
    await engine.post([{"title": f"n{number}", "dedup_key": f"n{number}"} for number in range(10)])
    await engine_redis.delete(*[it async for it in engine_redis.scan_iter("versus:{*}:incident:*")])

    found = await audited()

    assert (len(found.findings), found.more_findings) == (3, 7)
