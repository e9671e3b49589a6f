"""Records of ServiceNow among payloads, and echoes of our own."""

import json

import pytest

from tests.support.tickets import OURS, RAW, SYS_ID
from versus_py.errors import NotAnAlert, WrongAddress
from versus_py.incidents.model import incident_id
from versus_py.sources import SOURCES, parse

OUR_ID = incident_id("a key", 1)
ALERT = {"title": "DiskFull", "status": "firing"}


@pytest.mark.parametrize("name", [None, *SOURCES])
@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(RAW, id="a GlideRecord"),
        pytest.param(OURS, id="ours"),
        pytest.param({"result": RAW}, id="one level down"),
        pytest.param({"records": [ALERT, RAW]}, id="in a list"),
        pytest.param({**ALERT, "incident": RAW}, id="beside an alert"),
        pytest.param({"sys_id": None, "sys_mod_count": {"value": "1"}, "number": ""}, id="by the names alone"),
        pytest.param({**RAW, "correlation_id": OUR_ID}, id="of an incident of ours"),
    ],
)
def test_a_record_is_no_alert_of_any_source_and_the_right_address_is_named(payload, name):
    with pytest.raises(WrongAddress, match="/api/servicenow/events"):
        parse(payload, name=name)


def test_a_record_that_sns_carries_is_none_either():
    envelope = {"Type": "Notification", "MessageId": "m1", "TopicArn": "arn:x", "Message": json.dumps(dict(RAW))}

    with pytest.raises(WrongAddress):
        parse(envelope)


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param({**ALERT, "sys_id": SYS_ID, "number": "INC1"}, id="two of three"),
        pytest.param({**ALERT, "a": {"sys_id": SYS_ID}, "b": {"sys_mod_count": 1, "number": 1}}, id="in two objects"),
        pytest.param({**ALERT, "details": {"fields": dict(RAW)}}, id="deeper"),
        pytest.param({**ALERT, "ticket": dict(RAW)}, id="a ticket that an alert names"),
        pytest.param({**ALERT, "sys_id,sys_mod_count,number": 1}, id="in one name"),
        pytest.param({**ALERT, "description": json.dumps(dict(RAW))}, id="in a text"),
        pytest.param({**ALERT, "correlation_id": "order-77"}, id="another service's id"),
        pytest.param({**ALERT, "correlation_id": f"{OUR_ID}-1"}, id="a longer id"),
        pytest.param({**ALERT, "correlation_id": f"{OUR_ID}\nx"}, id="an id and more"),
        pytest.param({**ALERT, "correlation_id": [OUR_ID]}, id="a list"),
        pytest.param({**ALERT, "correlation_id": OUR_ID.upper()}, id="in upper case"),
        pytest.param({**ALERT, "correlation_id": {"value": {"value": OUR_ID}}}, id="deep in a value"),
        pytest.param({**ALERT, "correlation": OUR_ID}, id="another name"),
    ],
)
def test_what_only_resembles_one_stays_an_alert(payload):
    assert parse(payload).is_firing


@pytest.mark.parametrize("name", [None, *SOURCES])
@pytest.mark.parametrize(
    "payload",
    [
        {**ALERT, "correlation_id": OUR_ID},
        {**ALERT, "correlation_id": f" {OUR_ID} "},
        {**ALERT, "correlation_id": {"value": OUR_ID, "display_value": OUR_ID}},
        {"result": {**ALERT, "correlation_id": OUR_ID}},
        {**ALERT, "records": ["x", {"correlation_id": OUR_ID}]},
    ],
)
def test_what_is_about_an_incident_of_ours_is_an_echo(payload, name):
    with pytest.raises(NotAnAlert, match=f"echo.*{OUR_ID}"):
        parse(payload, name=name)
