"""What a ticket's columns mean here."""

import pytest

from versus_py.config import ServiceNowInstance, ServiceNowStates
from versus_py.errors import BadPayload
from versus_py.incidents.sides import Side, Standing
from versus_py.targets.feed import UnknownState
from versus_py.targets.servicenow.sides import columns_of, route_of, side_of, standing_of

LEADS_GROUP = "287ebd7da9fe198100f92cc8d1d2154e"


def instance(**settings: object) -> ServiceNowInstance:
    return ServiceNowInstance.model_validate({"instance_url": "https://dev1.service-now.com", **settings})


VALUES = {
    "sys_mod_count": "3",
    "state": "2",
    "priority": "1",
    "assigned_to": "u1",
    "assignment_group": LEADS_GROUP,
    "short_description": "Disk full",
}


def test_a_side_is_made_of_the_columns() -> None:
    mapped = instance(priority_map={"1": "critical"}, routing_field="assignment_group")

    side = side_of(VALUES, mapped, {})

    assert side == Side(3, Standing.IN_PROGRESS, "u1", LEADS_GROUP, "critical", LEADS_GROUP, "Disk full", priority="1")


@pytest.mark.parametrize(
    ("state", "standing"),
    [
        ("1", Standing.NEW),
        ("2", Standing.IN_PROGRESS),
        ("3", Standing.ON_HOLD),
        ("6", Standing.RESOLVED),
        ("7", Standing.CLOSED),
        ("8", Standing.CLOSED),
    ],
)
def test_states_stand_for_what_they_are(state: str, standing: Standing) -> None:
    assert standing_of(state, ServiceNowStates()) is standing


def test_a_state_that_is_named_twice_is_what_the_earlier_setting_says() -> None:
    assert standing_of("7", ServiceNowStates(resolved="7")) is Standing.RESOLVED


@pytest.mark.parametrize("state", ["", "4", "9", "new", "1 ", "9" * 5000])
def test_a_state_without_a_name_is_refused_with_its_number_and_the_setting(state: str) -> None:
    with pytest.raises(UnknownState, match=r"oncall\.servicenow\.states") as caught:
        standing_of(state, ServiceNowStates())

    assert state[:30] in str(caught.value)
    assert len(str(caught.value)) < 300


def test_a_state_without_a_name_can_be_taken_for_what_it_was() -> None:
    assert side_of({**VALUES, "state": "4"}, instance(), {}, otherwise=Standing.ON_HOLD).standing is Standing.ON_HOLD


@pytest.mark.parametrize("count", ["", "-1", "x", "1.5", "٣", "9" * 20])
def test_without_a_revision_there_is_no_side(count: str) -> None:
    with pytest.raises(BadPayload, match="sys_mod_count"):
        side_of({**VALUES, "sys_mod_count": count}, instance(), {})


@pytest.mark.parametrize(
    ("priority", "of_rule", "severity"),
    [
        pytest.param("2", "notice", "warning", id="by the mapping"),
        pytest.param("1", "notice", "notice", id="else by the rule that sent it"),
        pytest.param("1", "", "critical", id="else by ServiceNow's own scale"),
        pytest.param("7", "", "", id="a number that nobody knows"),
        pytest.param("", "", "", id="none"),
    ],
)
def test_the_severity_is_that_of_the_priority(priority: str, of_rule: str, severity: str) -> None:
    mapped = instance(priority_map={"2": "warning"})

    assert side_of({**VALUES, "priority": priority}, mapped, {}, severity=of_rule).severity == severity


@pytest.mark.parametrize(
    ("routing", "shown", "key"),
    [
        pytest.param({LEADS_GROUP: "a"}, "Leads", LEADS_GROUP, id="by sys_id"),
        pytest.param({"Leads": "a"}, "leads ", "Leads", id="by name in any case"),
        pytest.param({LEADS_GROUP: "a", "Leads": "b"}, "Leads", LEADS_GROUP, id="sys_id before name"),
        pytest.param({"Other": "a"}, "Leads", LEADS_GROUP, id="none"),
    ],
)
def test_a_route_is_found_by_sys_id_or_by_name(routing: dict[str, str], shown: str, key: str) -> None:
    routed = instance(routing_field="assignment_group", routing=routing)
    display = {"assignment_group": shown}

    assert side_of(VALUES, routed, display).route == key
    assert (route_of(VALUES, routed, display) is not None) == (key in routing)


def test_without_a_routing_field_there_is_no_route() -> None:
    assert side_of(VALUES, instance(routing={"": "a"}), {"": "x"}).route == ""


def test_the_columns_that_are_read_are_those_of_a_side() -> None:
    assert "business_service" in columns_of(instance(routing_field="business_service"))
    assert columns_of(instance(routing_field="assignment_group")).count("assignment_group") == 1
