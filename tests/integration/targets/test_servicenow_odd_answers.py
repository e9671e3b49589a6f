"""Answers of ServiceNow, or of what stands before it, that are no news of the record; and long ones."""

import pytest

from tests.integration.targets.test_records import acknowledge, escalated, group
from versus_py.errors import Transient, Unreachable
from versus_py.incidents.copies import replace
from versus_py.simulators import Fault
from versus_py.targets.servicenow import connection, instance
from versus_py.targets.servicenow.connection import Connection
from versus_py.targets.servicenow.instance import Instance

NO_NEWS = [
    (404, {"message": "no Route matched with those values"}),
    (404, {"error": "Not Found"}),
    (200, {"result": {}}),
    (200, {"result": []}),
    (200, {"result": ""}),
    (200, {"result": None}),
]


@pytest.fixture
def answer_once(monkeypatch):
    """The next request for the record with this sys_id is answered so."""

    def order(sys_id, status, body):
        send, left = Connection.send, [1]

        async def odd(self, method, path, **more):
            found = await send(self, method, path, **more)
            if left and method == "GET" and sys_id in path:
                left.clear()
                return replace(found, status=status, data=body)
            return found

        monkeypatch.setattr(Connection, "send", odd)

    return order


@pytest.mark.parametrize(("status", "body"), NO_NEWS)
async def test_an_answer_without_a_word_of_the_record_does_not_leave_it_open(engine, answer_once, status, body):
    record = await escalated(engine)
    answer_once(record["sys_id"], status, body)

    await engine.post(group(resolved=("DiskFull",)))
    await engine.after(minutes=10)

    assert record["state"] == "6"


@pytest.mark.parametrize(("status", "body"), NO_NEWS)
async def test_nor_is_there_a_second_record_by_it(engine, answer_once, status, body):
    record = await escalated(engine)
    await acknowledge(engine)
    [listed] = (await (await engine.http.get("/api/incidents")).json())["incidents"]
    response = await engine.http.post(f"/api/incidents/{listed['id']}/unacknowledge", params={"by": "ana"})
    assert response.status == 201
    answer_once(record["sys_id"], status, body)

    await engine.after(minutes=20)

    assert len(engine.servicenow.incidents) == 1


async def test_a_record_with_many_long_notes_is_resolved(engine):
    record = await escalated(engine)
    for number in range(330):
        note = f"{number} " + "x" * 3900
        engine.servicenow._writer.change("incident", record, {"work_notes": note}, takes_names=False)

    await engine.post(group(resolved=("DiskFull",)))
    await engine.after(minutes=10)

    assert record["state"] == "6"


async def test_what_an_earlier_attempt_wrote_is_found_among_more_notes_than_are_read(engine, monkeypatch):
    monkeypatch.setattr(instance, "NOTES_MAX", 5)
    record = await escalated(engine)
    for number in range(10):
        engine.clock.advance(seconds=1)
        engine.servicenow._writer.change("incident", record, {"work_notes": f"note {number}"}, takes_names=False)
    engine.servicenow.faults.order(Fault(kind="lost_reply", method="PATCH"))

    await acknowledge(engine)
    await engine.after(minutes=10)

    notes = engine.servicenow.notes[record["sys_id"]]
    assert sum("acknowledged by ana" in it for it in notes) == 1


async def test_an_answer_that_is_too_long_is_no_outage(engine, monkeypatch):
    record = await escalated(engine)
    monkeypatch.setattr(connection, "BODY_MAX", 100)
    of_records = next(iter(engine.worker._targets["servicenow"]._instances.values()))

    with pytest.raises(Transient, match="more than 100 bytes") as failed:
        await of_records.read_many([record["sys_id"]])

    assert not isinstance(failed.value, Unreachable)


@pytest.mark.parametrize(
    "servicenow_settings",
    [{"events": {"token": "t" * 40}, "on_update": "fields", "update_fields": {"description": "{{ description }}"}}],
)
async def test_a_hundred_records_with_long_texts_are_compared_at_once(config, session, servicenow, clock):
    of_records = Instance(config.oncall.servicenow.instances()[None], service="versus", clock=clock, session=session)
    text = ("Диск db-7 заполнен: 97 %\n" * 400)[:4000]
    ids = [servicenow._database.add("incident", description=text, state="2") for _ in range(100)]

    assert len(await of_records.read_many(ids)) == 100


async def test_the_open_record_is_found_behind_many_closed_ones(engine):
    record = await escalated(engine)
    [listed] = (await (await engine.http.get("/api/incidents")).json())["incidents"]
    record["state"] = "7"
    for _ in range(20):
        engine.servicenow._database.add("incident", correlation_id=record["correlation_id"], state="7")
    for action in ("acknowledge", "unacknowledge"):
        response = await engine.http.post(f"/api/incidents/{listed['id']}/{action}", params={"by": "ana"})
        assert response.status == 201
    await engine.settle()
    engine.servicenow.faults.order(Fault(kind="lost_reply", method="POST"))

    await engine.after(minutes=6)
    await engine.after(minutes=6)

    assert len([it for it in engine.servicenow.incidents if it["state"] != "7"]) == 1


@pytest.mark.parametrize("body", [{"result": None}, {"result": ""}, {"result": {}}])
async def test_a_search_that_says_nothing_makes_no_second_record(engine, monkeypatch, body):
    send, left = Connection.send, [1]

    async def odd(self, method, path, **more):
        found = await send(self, method, path, **more)
        if left and method == "GET" and path.endswith("/incident") and engine.servicenow.incidents:
            left.clear()
            return replace(found, data=body)
        return found

    monkeypatch.setattr(Connection, "send", odd)
    await engine.post(group("DiskFull"))
    await engine.settle()
    engine.servicenow.faults.order(Fault(kind="lost_reply", method="POST"))
    for _ in range(12):
        await engine.after(minutes=1)

    assert not left
    assert len(engine.servicenow.incidents) == 1
