"""Tickets that came in, and the incidents that began with them: what is written there, and what is left to people."""

from typing import Any

import pytest

from tests.integration.conftest import make_turns
from tests.support.factories import make_policy
from tests.support.two_way import ANA, NAME, TwoWay, begun, make_target
from versus_py.errors import Transient
from versus_py.incidents import transitions, triage
from versus_py.incidents.copies import replace
from versus_py.incidents.model import Actor, Event, Status
from versus_py.incidents.sides import Standing
from versus_py.simulators import Fault


@pytest.fixture
def settings() -> dict[str, Any]:
    return {}


@pytest.fixture
def target(session, clock, servicenow_url, settings):
    return make_target(
        servicenow_url,
        clock=clock,
        session=session,
        turns=make_turns(),
        destinations_of=lambda it: {"slack": it} if it else {},
        **settings,
    )


@pytest.fixture
def both(target, servicenow, clock) -> TwoWay:
    return begun(target, servicenow, clock)


def acknowledge(it: TwoWay, by: Actor = ANA) -> None:
    it.here(lambda incident, now_ms: transitions.acknowledge(incident, by, now_ms))


def resolve(it: TwoWay, comment: str = "Disk replaced") -> None:
    it.here(lambda incident, now_ms: transitions.resolve(incident, ANA, now_ms, comment))


def sys_id(it: TwoWay, email: str) -> str:
    return next(row["sys_id"] for row in it.servicenow.tables["sys_user"] if row["email"] == email)


async def test_a_first_sync_writes_nothing_and_keeps_what_the_reference_says(both):
    report = await both.sync()

    assert both.writes == 0
    assert both.delivery.reference["source"] == "1"
    assert both.delivery.locator == f"default\n{both.record['sys_id']}"
    assert report.side.standing is Standing.NEW
    assert not report.news_since(both.incident.sides[NAME])
    assert both.incident.status is Status.TRIGGERED


async def test_acknowledged_here_is_in_progress_there_assigned_and_has_a_caller(both):
    await both.sync()
    acknowledge(both)

    writes = await both.until_quiet()

    ana = sys_id(both, "ana@example.com")
    assert (both.record["state"], both.record["assigned_to"], both.record["caller_id"]) == ("2", ana, ana)
    assert both.notes == ["acknowledged by Ana Diaz (ana@example.com)"]
    assert writes == 2
    assert [entry.event for entry in both.incident.news] == [Event.ACKNOWLEDGED]


@pytest.mark.parametrize("state", ["2", "3", "6", "7"])
async def test_an_acknowledgment_moves_only_a_new_ticket(both, state):
    await both.sync()
    acknowledge(both)
    both.there("change", state=state)
    before = both.record["state"]

    await both.sync()

    assert both.record["state"] == before


async def test_resolved_here_is_resolved_there_with_the_comment(both):
    await both.sync()
    resolve(both)

    await both.until_quiet()

    assert both.record["state"] == "6"
    assert both.record["close_code"] == "Solution provided"
    assert "Disk replaced" in both.record["close_notes"]
    assert both.incident.sides[NAME].standing is Standing.RESOLVED


async def test_what_people_reopen_stays_open_however_much_is_said_of_it(both):
    await both.sync()
    both.there("resolve", close_notes="Ben fixed it", close_code="Solution provided")
    await both.until_quiet()
    both.there("reopen")
    await both.until_quiet()

    for number in range(transitions.MAX_NEWS + 5):
        both.here(lambda it, now_ms, said=f"remark {number}": transitions.comment(it, said, ANA, now_ms))
        await both.sync()

    assert both.incident.dealt_with_by is None  # nobody can tell any more who resolved it, and where
    assert both.record["state"] == "2"


@pytest.mark.parametrize("do", ["resolve", "close", "cancel"])
async def test_what_is_over_there_is_not_resolved_again(both, do):
    await both.sync()
    resolve(both)
    both.there(do, close_notes="Mine")
    state, revision = both.record["state"], both.record["sys_mod_count"]

    await both.until_quiet()

    assert both.record["state"] == state
    assert both.record.get("close_notes") in {"Mine", ""}
    if do != "resolve":
        assert both.record["sys_mod_count"] == revision


async def test_a_ticket_that_people_reopen_after_a_resolve_here_stays_open(both):
    await both.sync()
    resolve(both)
    await both.until_quiet()
    both.there("reopen")
    await both.sync()

    both.here(lambda it, now_ms: transitions.comment(it, "odd", ANA, now_ms))
    await both.until_quiet()

    assert both.record["state"] == "2"
    assert both.incident.status is Status.RESOLVED
    assert both.notes[-1] == "Ana Diaz (ana@example.com): odd"


async def test_resolved_there_and_reopened_there_before_the_sync_stays_open(both):
    await both.sync()
    both.there("resolve", close_notes="Done there")
    await both.sync()
    assert both.incident.status is Status.RESOLVED
    assert both.incident.resolve_comment == "Done there"
    both.there("reopen")

    await both.until_quiet()

    assert both.record["state"] == "2"
    assert both.writes == 0


@pytest.mark.parametrize(
    ("do", "status"), [("start", Status.ACKNOWLEDGED), ("resolve", Status.RESOLVED), ("cancel", Status.RESOLVED)]
)
async def test_what_people_do_there_is_heard_with_their_name_and_never_written_back(both, do, status):
    await both.sync()
    both.there(do)

    await both.until_quiet()

    assert both.incident.status is status
    assert both.incident.news[-1].by == Actor("Ana Diaz", "ana@example.com", {"servicenow": "ana"})
    assert both.writes == 0


async def test_who_acknowledges_there_is_not_assigned_there(both):
    await both.sync()
    both.there("start")
    await both.until_quiet()

    assert both.record["assigned_to"] == ""


@pytest.mark.parametrize("ends", ["unacknowledged", "timed out"])
async def test_an_acknowledgment_that_ends_is_a_note_and_is_not_taken_back_or_repeated(target, servicenow, clock, ends):
    both = begun(target, servicenow, clock, make_policy(ack_timeout_ms=600_000))
    await both.sync()
    acknowledge(both)
    await both.until_quiet()
    if ends == "unacknowledged":
        both.here(lambda it, now_ms: transitions.unacknowledge(it, ANA, now_ms))
    else:
        clock.advance(minutes=11)
        both.here(transitions.end_acknowledgment)

    await both.until_quiet()
    both.there("note", work_notes="looking")
    await both.until_quiet()

    assert both.record["state"] == "2"
    assert both.incident.status is Status.TRIGGERED
    assert len(both.notes) == 2


async def test_both_sides_change_at_once_until_quiet(both):
    await both.sync()
    acknowledge(both)
    both.there("resolve", close_notes="Gone")
    assert await both.until_quiet() <= 4
    assert (both.incident.status, both.record["state"]) == (Status.RESOLVED, "6")


async def test_resolved_here_while_started_there_is_resolved_on_both_sides(both):
    await both.sync()
    resolve(both)
    both.there("start", assigned_to="Ben Okafor")

    assert await both.until_quiet() <= 4

    assert (both.incident.status, both.record["state"]) == (Status.RESOLVED, "6")


async def test_a_comment_here_becomes_a_note_and_one_from_there_does_not_come_back(both):
    await both.sync()
    both.here(lambda it, now_ms: transitions.comment(it, "On it", ANA, now_ms))
    both.here(lambda it, now_ms: transitions.comment(it, "From there", ANA, now_ms))
    said = replace(both.incident.news[-1], said_at=NAME)
    both.incident = replace(both.incident, news=(*both.incident.news[:-1], said))

    await both.until_quiet()

    assert both.notes == ["Ana Diaz (ana@example.com): On it"]


@pytest.mark.parametrize("settings", [{"bidirectional": False}])
async def test_without_bidirectional_nothing_is_written_and_reading_goes_on(both):
    await both.sync()
    acknowledge(both)
    both.here(lambda it, now_ms: transitions.comment(it, "On it", ANA, now_ms))
    both.here(lambda it, now_ms: triage.set_severity(it, "critical", ANA, now_ms))
    await both.sync()
    both.there("resolve", close_notes="Gone")

    await both.until_quiet()

    assert both.writes == 0
    assert both.incident.status is Status.RESOLVED


@pytest.mark.parametrize(
    ("severity", "settings", "columns"),
    [
        pytest.param("critical", {}, ("1", "1"), id="the ladder"),
        pytest.param("error", {}, ("2", "1"), id="one step of it"),
        pytest.param("critical", {"severities": {"critical": {"impact": 2, "urgency": 1}}}, ("2", "1"), id="own rows"),
        pytest.param("critical", {"severities": {"critical": {"team": "a"}}}, ("1", "1"), id="rows without a scale"),
        pytest.param(
            "critical", {"severities": {"default": {"impact": 3, "urgency": 3}}}, ("2", "2"), id="no lowering"
        ),
    ],
)
async def test_a_severity_that_is_raised_here_raises_the_ticket(both, severity, columns):
    await both.sync()
    both.here(lambda it, now_ms: triage.set_severity(it, severity, ANA, now_ms))

    await both.until_quiet()

    assert (both.record["impact"], both.record["urgency"]) == columns
    assert both.incident.severity == severity


async def test_a_severity_is_never_lowered_and_not_raised_where_the_ticket_is_graver(both):
    await both.sync()
    both.there("change", impact="1", urgency="1")
    both.here(lambda it, now_ms: triage.set_severity(it, "error", ANA, now_ms))
    await both.until_quiet()
    assert (both.record["impact"], both.record["urgency"]) == ("1", "1")
    assert both.incident.severity == "critical"

    both.here(lambda it, now_ms: triage.set_severity(it, "info", ANA, now_ms))
    await both.until_quiet()

    assert (both.record["impact"], both.record["urgency"]) == ("1", "1")


@pytest.mark.parametrize("settings", [{"priority_map": {"2": "critical", "3": "warning"}}])
async def test_a_priority_that_is_raised_there_raises_the_severity_and_is_not_written_back(both):
    await both.sync()
    both.there("change", urgency="1")

    await both.until_quiet()

    assert both.incident.severity == "critical"
    assert (both.record["impact"], both.record["urgency"]) == ("2", "1")
    assert both.writes == 0


ROUTING = {
    "routing_field": "assignment_group",
    "routing": {"Network": "network", "Leads": "leads"},
}


def route_to(it: TwoWay, policy: str) -> None:
    def policy_of(_: Any, __: int) -> Any:
        return replace(make_policy(), name=policy)

    to = triage.Route(f"to policy {policy}", policy)
    it.here(lambda incident, now_ms: triage.route(incident, to, ANA, now_ms, policy_of))


@pytest.mark.parametrize("settings", [ROUTING])
async def test_rerouted_here_is_assigned_to_the_group_of_that_policy(target, servicenow, clock):
    leads = servicenow.add_group("Leads")
    both = begun(target, servicenow, clock, assignment_group="Network")
    await both.sync()
    route_to(both, "leads")

    assert await both.until_quiet() == 1

    assert both.record["assignment_group"] == leads
    assert both.incident.policy.name == "leads"
    assert both.incident.sides[NAME].route == "Leads"


@pytest.mark.parametrize("settings", [ROUTING])
@pytest.mark.parametrize("is_written", [False, True], ids=["read", "read and written"])
async def test_a_group_that_an_event_has_not_named_is_read_by_the_sync(target, servicenow, clock, is_written):
    both = begun(target, servicenow, clock, assignment_group="Network")
    side = replace(both.incident.sides[NAME], is_route_unread=True)
    both.incident = replace(both.incident, sides={NAME: side})
    if is_written:
        both.here(lambda it, now_ms: transitions.comment(it, "Looking", ANA, now_ms))

    report = await both.sync()

    assert both.writes == int(is_written)
    assert report is not None
    assert report.routed == "to policy network"
    assert [it.event for it in both.incident.news][-1] is Event.ROUTED
    assert both.incident.sides[NAME].route == "Network"


@pytest.mark.parametrize("settings", [ROUTING])
async def test_rerouted_here_and_reassigned_there_later_stays_with_the_later_group(target, servicenow, clock):
    servicenow.add_group("Leads")
    both = begun(target, servicenow, clock)
    await both.sync()
    route_to(both, "leads")
    both.there("reassign", assignment_group="Network")
    network = both.record["assignment_group"]

    await both.sync()

    assert both.record["assignment_group"] == network


@pytest.mark.parametrize("settings", [ROUTING])
async def test_a_policy_without_a_group_leaves_the_group(both):
    await both.sync()
    route_to(both, "nobody")

    await both.until_quiet()

    assert both.record["assignment_group"] == ""
    assert both.notes == ["routed to policy nobody by Ana Diaz (ana@example.com)"]


def call(it: TwoWay) -> None:
    it.clock.advance(minutes=6)
    it.here(transitions.begin_step)


async def test_a_call_raises_the_urgency_by_one_with_a_note(both):
    await both.sync()
    call(both)

    assert await both.until_quiet() == 1

    assert (both.record["impact"], both.record["urgency"]) == ("2", "1")
    assert both.notes == ["nobody has acknowledged: step 2 of 2, round 1"]
    assert len(both.servicenow.incidents) == 1


async def test_the_greatest_urgency_gets_a_note_only(target, servicenow, clock):
    both = begun(target, servicenow, clock, urgency="1")
    await both.sync()
    call(both)

    await both.until_quiet()

    assert both.record["urgency"] == "1"
    assert len(both.notes) == 1


@pytest.mark.parametrize("kind", ["lost_reply", "late500", "truncated"])
async def test_a_call_whose_answer_is_lost_raises_once(target, servicenow, clock, kind):
    both = begun(target, servicenow, clock, urgency="3")
    await both.sync()
    call(both)
    servicenow.faults.order(Fault(kind=kind, method="PATCH"))

    with pytest.raises(Transient):
        await both.sync()
    await both.until_quiet()

    assert both.record["urgency"] == "2"
    assert len(both.notes) == 1


async def test_a_result_that_is_lost_is_neither_written_nor_heard_again(both):
    await both.sync()
    acknowledge(both)
    await both.sync(loses_its_result=True)
    writes = both.writes

    await both.until_quiet()

    assert both.writes == writes
    assert len(both.notes) == 1
    assert [entry.event for entry in both.incident.news if entry.said_at == NAME] in ([], [Event.ASSIGNED])


@pytest.mark.parametrize(
    ("caller", "settings"),
    [
        pytest.param("Ben Okafor", {}, id="there is one"),
        pytest.param("", {"map_caller": False}, id="switched off"),
        pytest.param("", {"fields": {"caller_id": "ben@example.com"}}, id="fields has one"),
    ],
)
async def test_a_caller_is_not_set_where_there_is_one_or_nobody_wants_that(target, servicenow, clock, caller):
    both = begun(target, servicenow, clock, caller_id=caller)
    before = both.record["caller_id"]
    await both.sync()
    acknowledge(both)

    await both.until_quiet()

    assert both.record["caller_id"] == before


async def test_a_caller_that_people_take_away_is_not_set_again(both):
    await both.sync()
    acknowledge(both)
    await both.until_quiet()
    both.there("change", caller_id="")
    both.here(lambda it, now_ms: transitions.comment(it, "On it", ANA, now_ms))

    await both.until_quiet()

    assert both.record["caller_id"] == ""


@pytest.mark.parametrize("email", ["ben@example.com", "carla@example.com", "x^ORactive=true", ""])
async def test_whoever_is_not_one_active_user_is_neither_caller_nor_assigned(both, email):
    await both.sync()
    acknowledge(both, Actor("Somebody", email))

    await both.until_quiet()

    assert (both.record["state"], both.record["assigned_to"], both.record["caller_id"]) == ("2", "", "")


async def test_a_policy_that_refuses_the_caller_does_not_keep_the_rest_from_being_written(both):
    both.servicenow.refused_columns = {"caller_id"}
    await both.sync()
    acknowledge(both)

    await both.until_quiet()

    assert both.record["state"] == "2"
    assert len(both.notes) == 1
    assert both.record["caller_id"] == ""
    assert "caller_id was not written" in both.delivery.note


async def test_somebody_who_changes_the_ticket_between_the_read_and_the_write_is_heard(both, monkeypatch):
    await both.sync()
    acknowledge(both)
    read = both.target._instances[None].read

    async def read_then_changed(sys_id, incident):
        record = await read(sys_id, incident)
        both.there("change", impact="1", urgency="1")
        return record

    monkeypatch.setattr(both.target._instances[None], "read", read_then_changed)
    await both.sync()
    monkeypatch.undo()

    assert both.record["state"] == "2"
    assert both.incident.severity == "critical"
    assert both.incident.sides[NAME].severity == "critical"


async def test_a_state_without_a_name_is_no_news_and_warned_about_once(both, logs):
    await both.sync()
    both.servicenow.incidents[0]["state"] = "42"
    both.there("note", work_notes="odd")

    await both.sync()
    both.there("note", work_notes="still odd")
    await both.sync()

    assert both.incident.status is Status.TRIGGERED
    assert [line["event"] for line in logs].count("servicenow.unknown_state") == 1


async def test_a_ticket_that_is_gone_is_neither_searched_nor_made_again(both):
    await both.sync()
    acknowledge(both)
    both.there("delete")

    await both.sync()
    await both.sync()

    assert both.servicenow.incidents == []
    assert both.writes == 0
    assert both.delivery.is_over


async def test_what_the_record_does_not_show_to_the_user_is_no_report(both):
    del both.record["sys_mod_count"]

    report = await both.sync()

    assert report is None


@pytest.mark.parametrize("settings", [ROUTING])
async def test_a_group_that_does_not_exist_is_told_and_the_note_is_written(both):
    await both.sync()
    route_to(both, "leads")

    await both.until_quiet()

    assert both.record["assignment_group"] == ""
    assert both.notes == ["routed to policy leads by Ana Diaz (ana@example.com)"]
    assert "assignment_group 'Leads': no row of sys_user_group" in both.delivery.note


async def test_columns_that_access_control_takes_out_are_told(both):
    both.servicenow.ignored_columns = {"urgency", "impact"}
    await both.sync()
    both.here(lambda it, now_ms: triage.set_severity(it, "critical", ANA, now_ms))

    await both.until_quiet()

    assert "ServiceNow did not take impact, urgency" in both.delivery.note


@pytest.mark.parametrize(("columns", "written"), [({"urgency"}, ("2", "2")), ({"caller_id"}, ("1", "1"))])
async def test_a_policy_that_refuses_a_column_is_asked_once(both, columns, written):
    both.servicenow.refused_columns = columns
    await both.sync()
    both.here(lambda it, now_ms: triage.set_severity(it, "critical", ANA, now_ms))
    await both.until_quiet()
    writes = both.writes

    both.here(lambda it, now_ms: transitions.comment(it, "On it", ANA, now_ms))
    await both.until_quiet()

    assert both.writes == writes + 1
    assert len(both.notes) == 2
    assert (both.record["impact"], both.record["urgency"]) == written
