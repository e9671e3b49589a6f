"""Records that were created from here, at an instance that tells of changes: what people do to them is heard."""

from typing import Any

import pytest

from tests.integration.conftest import make_turns
from tests.support.factories import make_incident, make_policy
from tests.support.two_way import ANA, NAME, TwoWay, make_target
from versus_py.errors import Transient
from versus_py.incidents import transitions, triage
from versus_py.incidents.model import Status
from versus_py.incidents.sides import Standing
from versus_py.simulators import Fault


@pytest.fixture
def settings() -> dict[str, Any]:
    return {}


@pytest.fixture
def both(session, clock, servicenow, servicenow_url, settings) -> TwoWay:
    """An incident that has escalated."""
    target = make_target(servicenow_url, clock=clock, session=session, turns=make_turns(), **settings)
    incident = make_incident(policy=make_policy(), now_ms=clock.now_ms(), severity="warning")
    it = TwoWay(target, servicenow, clock, incident)
    clock.advance(minutes=5)
    it.here(transitions.begin_step)
    return it


async def test_a_record_that_was_just_created_says_nothing(both):
    report = await both.sync()

    assert report.is_own
    assert both.incident.sides[NAME].standing is Standing.NEW
    assert both.incident.news == ()
    assert both.delivery.locator == f"default\n{both.record['sys_id']}"


@pytest.mark.parametrize("kind", ["lost_reply", "truncated"])
async def test_a_record_whose_creation_was_not_answered_says_nothing(both, kind):
    both.servicenow.faults.order(Fault(kind=kind, method="POST"))
    with pytest.raises(Transient):
        await both.sync()

    await both.until_quiet()

    assert both.incident.news == ()
    assert len(both.servicenow.incidents) == 1


@pytest.mark.parametrize(
    ("do", "status"), [("start", Status.ACKNOWLEDGED), ("resolve", Status.RESOLVED), ("close", Status.RESOLVED)]
)
async def test_what_people_do_to_it_counts_here_and_is_not_written_back(both, do, status):
    await both.sync()
    writes = both.writes
    both.there(do)

    await both.until_quiet()

    assert both.incident.status is status
    assert both.writes == writes


async def test_a_record_that_people_reopen_after_a_resolve_here_stays_open(both):
    await both.sync()
    both.here(lambda it, now_ms: transitions.resolve(it, ANA, now_ms))
    await both.until_quiet()
    both.there("reopen")
    await both.until_quiet()

    both.here(lambda it, now_ms: transitions.comment(it, "odd", ANA, now_ms))
    await both.until_quiet()

    assert both.record["state"] == "2"
    assert both.incident.status is Status.RESOLVED


async def test_a_severity_that_rises_raises_it_and_the_person_who_acts_is_its_caller(both):
    await both.sync()
    both.here(lambda it, now_ms: triage.set_severity(it, "critical", ANA, now_ms))

    assert await both.until_quiet() == 1

    assert (both.record["impact"], both.record["urgency"]) == ("1", "1")
    assert both.record["caller_id"] != ""
    assert both.record["assigned_to"] == ""


async def test_it_is_assigned_on_an_acknowledgment_only_where_that_is_set(both):
    await both.sync()
    both.here(lambda it, now_ms: transitions.acknowledge(it, ANA, now_ms))

    await both.until_quiet()

    assert (both.record["state"], both.record["assigned_to"]) == ("2", "")


async def test_a_further_call_leaves_its_urgency(both):
    await both.sync()
    both.here(lambda it, now_ms: transitions.acknowledge(it, ANA, now_ms))
    both.here(lambda it, now_ms: transitions.unacknowledge(it, ANA, now_ms))
    both.clock.advance(minutes=6)
    both.here(transitions.begin_step)

    await both.until_quiet()

    assert both.record["urgency"] == "3"
    assert len(both.servicenow.incidents) == 1


@pytest.mark.parametrize("settings", [{"events": {}}])
async def test_without_two_ways_there_is_no_report_and_nothing_of_it_is_kept_or_asked_for(both):
    report = await both.sync()

    assert report is None
    assert not {"stood", "severity", "caller", "source"} & both.delivery.reference.keys()
    both.here(lambda it, now_ms: triage.set_severity(it, "critical", ANA, now_ms))
    await both.sync()
    assert both.record["urgency"] == "3"
