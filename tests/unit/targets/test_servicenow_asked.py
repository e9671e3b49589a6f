"""What a ticket asks of the escalation."""

from typing import Any

import pytest

from versus_py.config import ServiceNowInstance
from versus_py.incidents.policies import Asked
from versus_py.systems import model
from versus_py.targets.servicenow.asked import asked_of, destinations


def instance(**settings: Any) -> ServiceNowInstance:
    return ServiceNowInstance.model_validate({"routing_field": "assignment_group", **settings})


def asked(settings: dict[str, Any], *, origin: str = "") -> tuple[Asked, str]:
    values = {"priority": "1", "assignment_group": "g1"}
    return asked_of(
        values, instance(**settings), {}, origin=origin, destinations_of=lambda it: {"slack": it} if it else {}
    )


def test_a_ticket_without_mappings_asks_nothing() -> None:
    assert asked({}, origin="servicenow") == (Asked(origin="servicenow"), "")


def test_priority_and_route_are_joined_and_the_wait_of_the_route_counts() -> None:
    priority = {"1": {"severity": "critical", "wait": "1m", "oncall": False}}
    route = {"g1": {"policy": "leads", "channel": "C0LEADS", "wait": "2m", "mention": "<!here>"}}

    found, said = asked({"priority_map": priority, "routing": route})

    assert found == Asked("leads", "critical", 120_000, False, {"slack": "C0LEADS"}, "<!here>")
    assert said == "to policy leads and to C0LEADS"


def test_a_route_says_whom_else_to_notify() -> None:
    found, said = asked({"routing": {"g1": {"notify": ["slack:dba", "servicenow:infra"]}}}, origin="servicenow")

    assert found == Asked(origin="servicenow", notify=("slack:dba", "servicenow:infra"))
    assert said == "also to slack:dba, servicenow:infra"
    assert asked({"routing": {"g1": {"policy": "leads", "notify": ["slack:dba"]}}})[1] == (
        "to policy leads, also to slack:dba"
    )


def test_a_route_without_a_wait_leaves_that_of_the_priority() -> None:
    priority = {"1": {"severity": "critical", "wait": "1m"}}

    assert asked({"priority_map": priority, "routing": {"g1": "leads"}})[0].wait_ms == 60_000


@pytest.mark.parametrize(
    ("channel", "found"),
    [
        ("", {}),
        ("leads", {"slack": "C0LEADS"}),
        ("C0OTHER", {"slack": "C0OTHER"}),
        ("slack:leads", {"slack": "C0LEADS"}),
    ],
)
def test_channels_are_named_as_people_do_elsewhere(channel: str, found: dict[str, str]) -> None:
    slack = {"enable": True, "token": "xoxb-1", "channel_id": "C0MAIN", "channels": {"leads": "C0LEADS"}}
    config = model().model_validate({"alert": {"slack": slack}})

    assert destinations(config)(channel) == found


def test_without_channels_there_is_no_destination() -> None:
    assert destinations(model().model_validate({}))("leads") == {}
