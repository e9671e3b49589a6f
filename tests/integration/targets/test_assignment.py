"""Records are assigned to who acknowledged, where that is asked for and nobody else has them."""

import pytest

from tests.integration.conftest import Engine, make_worker
from tests.integration.targets.test_notes import ANA, the_incident
from tests.integration.targets.test_records import escalated, group, notes, sys_id_of
from versus_py.engine.retries import SPREAD
from versus_py.incidents import transitions
from versus_py.incidents.model import Actor
from versus_py.simulators import Fault

USERS = "GET /api/now/table/sys_user"
ON = {"assign_on_ack": True}


@pytest.fixture(autouse=True)
def _no_jitter(monkeypatch):
    monkeypatch.setattr(SPREAD, "uniform", lambda low, _high: low)


@pytest.fixture
def servicenow_settings():
    return ON


async def acknowledge(engine: Engine, by: Actor = ANA) -> None:
    await engine.lifecycle.acknowledge(await the_incident(engine), by)
    await engine.settle()


async def unacknowledge(engine: Engine) -> None:
    incident_id = await the_incident(engine)
    await engine.lifecycle.act(incident_id, lambda it, now_ms: transitions.unacknowledge(it, ANA, now_ms))
    await engine.after(minutes=6)


def ana(engine: Engine) -> str:
    return sys_id_of(engine, "sys_user", email="ana@example.com")


def shown(engine: Engine) -> str:
    text: str = engine.slack.messages[0].shown
    return text


async def test_a_record_is_assigned_to_who_acknowledges(engine):
    record = await escalated(engine)

    await acknowledge(engine)

    assert record["assigned_to"] == ana(engine)
    assert record["state"] == "2"
    assert notes(engine) == ["acknowledged by Ana Diaz (ana@example.com)"]


@pytest.mark.parametrize("servicenow_settings", [{}])
async def test_without_the_setting_nobody_is_looked_up_or_assigned(engine):
    record = await escalated(engine)

    await acknowledge(engine)

    assert record["assigned_to"] == ""
    assert USERS not in engine.servicenow.calls


async def test_who_has_no_email_is_not_looked_up(engine):
    record = await escalated(engine)

    await acknowledge(engine, Actor("ana"))

    assert record["assigned_to"] == ""
    assert USERS not in engine.servicenow.calls


async def test_a_record_that_somebody_has_stays_theirs_also_after_they_gave_it_back(engine):
    record = await escalated(engine)
    record["assigned_to"] = other = engine.servicenow.add_user("eve@example.com")

    await acknowledge(engine)
    assert record["assigned_to"] == other
    record["assigned_to"] = ""
    await engine.post(group("DiskFull", "HostDown"))
    await engine.after(minutes=6)

    assert record["assigned_to"] == ""


async def test_an_assignment_that_people_took_back_stays_so_until_the_next_acknowledgment(engine):
    record = await escalated(engine)
    await acknowledge(engine)
    record["assigned_to"] = ""

    await engine.post(group("DiskFull", "HostDown"))
    await engine.after(minutes=6)
    assert record["assigned_to"] == ""
    await unacknowledge(engine)
    await acknowledge(engine)

    assert record["assigned_to"] == ana(engine)


async def test_giving_it_back_leaves_the_assignment_and_the_next_one_gets_it(engine):
    record = await escalated(engine)
    eve = engine.servicenow.add_user("eve@example.com")
    await acknowledge(engine)

    await unacknowledge(engine)
    assert record["assigned_to"] == ana(engine)
    await acknowledge(engine, Actor("Eve", "eve@example.com"))

    assert record["assigned_to"] == eve


async def test_an_email_that_becomes_known_later_assigns_without_a_second_note(engine):
    record = await escalated(engine)
    await acknowledge(engine, Actor("U0ANA", ids={"slack": "U0ANA"}))
    assert record["assigned_to"] == ""

    identified = Actor("Ana Diaz", "ana@example.com", {"slack": "U0ANA"})
    await engine.lifecycle.identify(await the_incident(engine), identified)
    await engine.settle()

    assert record["assigned_to"] == ana(engine)
    assert notes(engine) == ["acknowledged by U0ANA"]


async def test_nobody_creates_a_record_to_assign_it(engine):
    await engine.post(group("DiskFull"))
    await engine.settle()

    await acknowledge(engine)
    await engine.after(minutes=6)

    assert engine.servicenow.calls == []


@pytest.mark.parametrize(
    ("email", "said"),
    [
        ("nobody@example.com", "no row of sys_user"),
        ("ben@example.com", "2 rows of sys_user"),
        ("carla@example.com", "no row of sys_user"),
        ("ana@example.com^ORactive=true", "mean something in a query"),
    ],
)
async def test_who_is_not_exactly_one_user_is_told_once_and_the_rest_is_written(engine, logs, email, said):
    record = await escalated(engine)

    await acknowledge(engine, Actor("Somebody", email))
    await engine.after(minutes=6)
    assert said in shown(engine)
    await engine.post(group("DiskFull", "HostDown"))
    await engine.settle()

    assert (record["assigned_to"], record["state"]) == ("", "2")
    assert notes(engine)[0].startswith("acknowledged by Somebody")
    assert sum(said in line.get("warning", "") for line in logs) == 1


@pytest.mark.parametrize("how", ["refused", "ignored"])
async def test_an_assignment_that_is_refused_is_told_and_the_rest_is_written(engine, how):
    record = await escalated(engine)
    getattr(engine.servicenow, f"{how}_columns").add("assigned_to")

    await acknowledge(engine)
    await engine.after(minutes=6)

    assert (record["assigned_to"], record["state"]) == ("", "2")
    assert notes(engine) == ["acknowledged by Ana Diaz (ana@example.com)"]
    assert "is not assigned to ana@example.com" in shown(engine)
    assert len([call for call in engine.servicenow.calls if call.startswith("PATCH")]) == 2


async def test_while_users_cannot_be_looked_up_the_rest_is_written_and_it_is_tried_once_more(engine):
    record = await escalated(engine)
    engine.servicenow.faults.order(Fault(kind="503", path="/api/now/table/sys_user", times=None))

    await acknowledge(engine)
    assert record["state"] == "2"
    await engine.after(minutes=1)

    assert record["assigned_to"] == ""
    assert notes(engine) == ["acknowledged by Ana Diaz (ana@example.com)"]
    assert "users cannot be looked up" in shown(engine)


@pytest.mark.parametrize("nth", [1, 2], ids=["the note", "the assignment"])
@pytest.mark.parametrize("kind", ["lost_reply", "down", "503", "truncated"])
async def test_whatever_answer_gets_lost_it_is_assigned_and_noted_once(engine, config, clock, session, kind, nth):
    record = await escalated(engine)
    eve = engine.servicenow.add_user("eve@example.com")
    if nth == 2:
        engine.servicenow.faults.order(Fault(kind="slow", method="PATCH", seconds=0))
    engine.servicenow.faults.order(Fault(kind=kind, method="PATCH"))

    await acknowledge(engine)
    await engine.after(minutes=2)

    assert record["assigned_to"] == ana(engine)
    assert notes(engine) == ["acknowledged by Ana Diaz (ana@example.com)"]
    engine.worker = make_worker(config, clock, engine.store, session, engine.links)
    await unacknowledge(engine)
    await acknowledge(engine, Actor("Eve", "eve@example.com"))
    assert record["assigned_to"] == eve


async def test_an_own_choice_of_the_same_user_is_not_taken_for_ours(engine):
    record = await escalated(engine)
    engine.servicenow.add_user("eve@example.com")
    record["assigned_to"] = ana(engine)

    await acknowledge(engine)
    await unacknowledge(engine)
    await acknowledge(engine, Actor("Eve", "eve@example.com"))

    assert record["assigned_to"] == ana(engine)


BY_TEMPLATE = {"assigned_to": "eve@example.com"}


@pytest.mark.parametrize(
    "servicenow_settings",
    [ON | {"fields": BY_TEMPLATE}, ON | {"on_update": "fields", "update_fields": BY_TEMPLATE}],
    ids=["created", "updated"],
)
async def test_whom_a_template_chose_gives_way_to_who_acknowledges(engine):
    eve = engine.servicenow.add_user("eve@example.com")
    record = await escalated(engine)
    await engine.post(group("DiskFull", "HostDown"))
    await engine.settle()
    assert record["assigned_to"] == eve

    await acknowledge(engine)

    assert record["assigned_to"] == ana(engine)


@pytest.mark.parametrize(
    "servicenow_settings",
    [
        ON
        | {
            "on_update": "fields",
            "fields": {"assignment_group": "Network"},
            "update_fields": {"assignment_group": "{{ 'Storage' if firing | length > 1 else 'Network' }}"},
        }
    ],
)
@pytest.mark.parametrize("is_acknowledged_first", [True, False])
async def test_a_group_that_we_change_takes_nobodys_assignment_away(engine, is_acknowledged_first):
    storage = engine.servicenow.add_group("Storage")
    record = await escalated(engine)

    if is_acknowledged_first:
        await acknowledge(engine)
    await engine.post(group("DiskFull", "HostDown"))
    if is_acknowledged_first:
        await engine.settle()
    else:
        await acknowledge(engine)

    assert (record["assignment_group"], record["assigned_to"]) == (storage, ana(engine))


async def test_a_record_that_somebody_resolved_is_not_assigned(engine):
    record = await escalated(engine)
    record["state"] = "6"

    await acknowledge(engine)

    assert record["assigned_to"] == ""


@pytest.mark.parametrize(
    "servicenow_settings",
    [ON | {"table": "u_versus_alert", "lifecycle": "plain", "fields": {"description": "{{ incident.title }}"}}],
)
async def test_a_table_without_the_column_says_so(engine):
    await engine.post(group("DiskFull"))
    await engine.after(minutes=6)

    await acknowledge(engine)

    assert "has no assigned_to that the user may read" in shown(engine)
    assert not [call for call in engine.servicenow.calls if call.startswith("PATCH")]
