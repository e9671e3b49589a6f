"""What people do to an incident, as its record's work notes say it."""

import pytest

from tests.integration.conftest import Engine
from tests.integration.targets.test_records import escalated, group, notes
from versus_py.engine.retries import SPREAD
from versus_py.incidents import transitions
from versus_py.incidents.model import Actor, IncidentId
from versus_py.simulators import Fault

ANA = Actor("Ana Diaz", "ana@example.com")
SAID_BY_ANA = "by Ana Diaz (ana@example.com)"


@pytest.fixture(autouse=True)
def _no_jitter(monkeypatch):
    monkeypatch.setattr(SPREAD, "uniform", lambda low, _high: low)


async def the_incident(engine: Engine) -> IncidentId:
    [listed] = (await (await engine.http.get("/api/incidents")).json())["incidents"]
    return IncidentId(listed["id"])


async def test_who_gives_it_back_is_noted_when_it_escalates_again(engine):
    await escalated(engine)
    incident_id = await the_incident(engine)
    await engine.lifecycle.acknowledge(incident_id, ANA)
    await engine.settle()

    await engine.lifecycle.act(incident_id, lambda it, now_ms: transitions.unacknowledge(it, ANA, now_ms))
    await engine.after(minutes=6)

    assert notes(engine) == [f"acknowledged {SAID_BY_ANA}", f"unacknowledged {SAID_BY_ANA}"]


@pytest.mark.parametrize("kind", ["nothing", "lost_reply"])
async def test_a_record_says_who_did_not_wait_for_it(engine, kind):
    await engine.post(group("DiskFull"))
    await engine.settle()
    if kind != "nothing":
        engine.servicenow.faults.order(Fault(kind=kind, method="POST"))

    await engine.lifecycle.act(await the_incident(engine), lambda it, now_ms: transitions.escalate(it, ANA, now_ms))
    await engine.settle()
    await engine.after(minutes=2)

    assert notes(engine) == [f"escalated {SAID_BY_ANA} before the wait was over"]


async def test_what_is_given_back_and_escalated_again_says_so_in_its_record(engine):
    await escalated(engine)
    incident_id = await the_incident(engine)
    await engine.lifecycle.acknowledge(incident_id, ANA)
    await engine.lifecycle.act(incident_id, lambda it, now_ms: transitions.unacknowledge(it, ANA, now_ms))
    await engine.settle()

    await engine.lifecycle.act(incident_id, lambda it, now_ms: transitions.escalate(it, ANA, now_ms))
    await engine.settle()

    assert notes(engine)[-1] == f"escalated {SAID_BY_ANA} before the wait was over"


async def test_a_snooze_that_ends_is_no_note(engine):
    await escalated(engine)
    incident_id = await the_incident(engine)
    await engine.lifecycle.acknowledge(incident_id, ANA)
    await engine.lifecycle.act(incident_id, lambda it, now_ms: transitions.unacknowledge(it, ANA, now_ms))
    until_ms = engine.clock.now_ms() + 60 * 60_000
    await engine.lifecycle.act(incident_id, lambda it, now_ms: transitions.snooze(it, until_ms, ANA, now_ms))

    await engine.after(minutes=61)
    await engine.after(minutes=6)

    assert notes(engine) == [f"acknowledged {SAID_BY_ANA}", f"unacknowledged {SAID_BY_ANA}"]


async def test_a_note_whose_reply_was_lost_is_known_again_although_its_person_has_a_name_now(engine):
    await escalated(engine)
    incident_id = await the_incident(engine)
    engine.servicenow.faults.order(Fault(kind="lost_reply", method="PATCH"))
    await engine.lifecycle.acknowledge(incident_id, Actor("U0ANA", ids={"slack": "U0ANA"}))
    await engine.settle()

    await engine.lifecycle.identify(incident_id, Actor("Ana Diaz", "ana@example.com", {"slack": "U0ANA"}))
    await engine.after(minutes=2)

    assert notes(engine) == ["acknowledged by U0ANA"]
