"""What people do in the simulated ServiceNow, by Python, by control and on its pages."""

import re
from typing import Any

import pytest

from versus_py.simulators.servicenow import RecordOrder, Refused
from versus_py.simulators.servicenow.record_page import KEEP, NEW


@pytest.fixture
def order(session, servicenow_url):
    async def ordered(**fields: Any) -> tuple[int, Any]:
        async with session.post(f"{servicenow_url}/control/records", json=fields) as response:
            return response.status, await response.json()

    return ordered


@pytest.fixture
def form(session, servicenow_url):
    async def filled_in(sys_id: str, **fields: str) -> tuple[int, str]:
        url = f"{servicenow_url}/incident.do?sys_id={sys_id}"
        async with session.post(url, data=fields) as response:
            return response.status, await response.text()

    return filled_in


def name_of(servicenow, table: str, sys_id: str) -> str:
    return next(str(row["name"]) for row in servicenow.tables[table] if row["sys_id"] == sys_id)


async def test_a_person_creates_a_ticket_with_everything_by_name(order, servicenow):
    status, said = await order(
        do="create",
        by="ben",
        short_description="Mail is slow",
        impact="1 - High",
        urgency="2",
        caller_id="Ana Diaz",
        assignment_group="Network",
        assigned_to="ana",
        business_service="Mail",
        service_offering="Mail for offices",
        work_notes="Seen at noon",
    )

    [row] = servicenow.incidents
    assert (status, said["sys_id"], said["number"]) == (201, row["sys_id"], row["number"])
    assert (row["state"], row["impact"], row["urgency"], row["priority"]) == ("1", "1", "2", "2")
    assert (row["sys_created_by"], row["sys_updated_by"], row["sys_mod_count"]) == ("ben", "ben", "0")
    assert name_of(servicenow, "sys_user", row["opened_by"]) == "Ben Okafor"
    for column, table, name in (
        ("caller_id", "sys_user", "Ana Diaz"),
        ("assigned_to", "sys_user", "Ana Diaz"),
        ("assignment_group", "sys_user_group", "Network"),
        ("business_service", "cmdb_ci_service", "Mail"),
        ("service_offering", "service_offering", "Mail for offices"),
    ):
        assert name_of(servicenow, table, row[column]) == name
    [note] = servicenow.tables["sys_journal_field"]
    assert (note["value"], note["sys_created_by"], note["element_id"]) == ("Seen at noon", "ben", row["sys_id"])


async def test_python_orders_the_same_and_is_told_the_sys_id(servicenow):
    sys_id = servicenow.act(RecordOrder(do="create", short_description="x", state="In Progress"))

    servicenow.act(RecordOrder(record=sys_id, do="change", state="New", urgency="1", impact="1", by="ben"))

    [row] = servicenow.incidents
    assert (row["sys_id"], row["state"], row["priority"]) == (sys_id, "1", "1")
    assert (row["sys_updated_by"], row["sys_mod_count"]) == ("ben", "1")


@pytest.mark.parametrize(
    ("fields", "missing"),
    [
        ({"state": "Resolved", "close_notes": ""}, "close_notes"),
        ({"state": "3", "hold_reason": "Awaiting Caller"}, "comments"),
    ],
)
async def test_data_policies_hold_for_people_who_create(order, servicenow, fields, missing):
    status, said = await order(do="create", short_description="x", **fields)

    assert (status, servicenow.incidents) == (403, [])
    assert said["error"]["detail"].endswith(f"mandatory: {missing}")


async def test_a_caller_is_mandatory_for_people_too(order, servicenow):
    servicenow.requires_caller = True

    assert (await order(do="create", short_description="x"))[0] == 403
    assert (await order(do="create", short_description="x", caller_id="ana"))[0] == 201


@pytest.mark.parametrize("do", ["close", "cancel"])
async def test_a_closed_record_is_read_only_until_an_administrator_reopens_it(order, servicenow, do):
    number = (await order(do="create", short_description="x"))[1]["number"]
    await order(record=number, do=do)
    closed = dict(servicenow.incidents[0])

    for refused in ({"do": "note", "work_notes": "late"}, {"do": "change", "state": "New"}, {"do": "resolve"}):
        assert (await order(record=number, **refused))[0] == 403
    with pytest.raises(Refused):
        servicenow.comment(number, "late")

    assert (servicenow.incidents[0], servicenow.tables["sys_journal_field"]) == (closed, [])
    assert (await order(record=number, do="reopen"))[0] == 200
    assert servicenow.incidents[0]["state"] == "2"


async def test_a_comment_on_a_closed_record_is_refused_by_control(order, servicenow, session, servicenow_url):
    number = (await order(do="create", short_description="x"))[1]["number"]
    await order(record=number, do="close")

    async with session.post(f"{servicenow_url}/control/comments", json={"record": number, "text": "late"}) as response:
        assert response.status == 403


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"do": "create", "table": "sys_user"}, "table: there are no records of 'sys_user'; allowed are incident"),
        ({"do": "create", "state": "Done"}, "state: 'Done' does not exist; allowed are New, In Progress"),
        ({"do": "create", "impact": "4"}, "impact: '4' does not exist; allowed are 1 - High"),
        ({"do": "create", "business_service": "Fax"}, "'Fax' does not exist; allowed are Payments, Mail"),
        ({"do": "create", "by": "nobody"}, "by: 'nobody' does not exist; allowed are "),
        ({"do": "create", "table": "u_versus_alert", "urgency": "1"}, "records of u_versus_alert have no urgency"),
        ({"do": "start", "state": "New"}, "state: goes with create and change, not with start"),
        ({"do": "change"}, "change: needs assigned_to"),
    ],
)
async def test_orders_that_make_no_sense_change_nothing(order, servicenow, fields, said):
    record = servicenow.act(RecordOrder(do="create", short_description="x"))

    status, answered = await order(**({"record": record} | fields))

    assert (status, said in answered["error"]) == (400, True), answered
    assert (len(servicenow.incidents), servicenow.incidents[0]["sys_mod_count"]) == (1, "0")


async def test_a_person_creates_a_ticket_on_the_page_and_changes_its_priority(
    session, servicenow_url, servicenow, form
):
    async with session.get(f"{servicenow_url}/") as response:
        assert f"incident.do?sys_id={NEW}" in await response.text()
    async with session.get(f"{servicenow_url}/incident.do?sys_id={NEW}") as response:
        chosen = re.findall(r'<option value="([^"]*)" selected>', await response.text())

    status, created = await form(
        NEW, do="create", by="ben", short_description="Mail <b>", state="New", urgency="1 - High", assigned_to=""
    )

    [row] = servicenow.incidents
    assert chosen[:4] == ["ana", "New", "3 - Low", "3 - Low"]
    assert (status, f"{row['number']} · New" in created, "Mail &lt;b&gt;" in created) == (200, True, True)
    assert (row["sys_created_by"], row["urgency"], row["priority"]) == ("ben", "1", "3")
    await form(row["sys_id"], do="change", by="ana", impact="1 - High", state=KEEP, urgency=KEEP)
    assert (row["impact"], row["priority"], row["sys_updated_by"]) == ("1", "1", "ana")


async def test_the_page_of_a_closed_record_only_reopens_and_deletes(session, servicenow_url, servicenow, form):
    sys_id = servicenow.act(RecordOrder(do="create", short_description="x"))
    servicenow.act(RecordOrder(record=sys_id, do="cancel"))

    async with session.get(f"{servicenow_url}/incident.do?sys_id={sys_id}") as response:
        page = await response.text()
    refused, said = await form(sys_id, do="note", by="ana", comments="late")

    assert re.findall('name="do" value="([^"]*)"', page) == ["reopen", "delete"]
    assert (refused, "ACL Exception Update Failed" in said) == (400, True)


async def test_a_new_record_that_is_refused_says_why_on_its_page(servicenow, form):
    status, said = await form(NEW, do="create", by="ana", short_description="x", state="Resolved", close_notes="")

    assert (status, "mandatory: close_notes" in said, servicenow.incidents) == (400, True, [])
