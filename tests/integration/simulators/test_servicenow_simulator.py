"""The simulated ServiceNow is as hard to deal with as an instance, seen as a client sees it."""

import asyncio
import base64
import io
import json
import re
import time
from contextlib import suppress
from typing import Any

import aiohttp
import pytest

from tests.integration.conftest import PASSWORD, TOKEN
from versus_py.simulators import Fault, ServiceNowSimulator
from versus_py.simulators.servicenow.record_page import KEEP

USER = "versus.integration"
CLIENT = {"client_id": "versus-client", "client_secret": "client-secret"}
PASSWORD_GRANT = {"grant_type": "password", "username": USER, "password": PASSWORD, **CLIENT}
CLIENT_GRANT = {"grant_type": "client_credentials", **CLIENT}
DENIED = {"error_description": "access_denied", "error": "server_error"}


def basic(password: str) -> str:
    return f"Basic {base64.b64encode(f'{USER}:{password}'.encode()).decode()}"


@pytest.fixture
def servicenow(clock):
    return ServiceNowSimulator(password=PASSWORD, api_key="key-1", now_s=lambda: clock.now_ms() / 1000)


class Api:
    """A client that logs in with Basic unless it is told other headers."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self.session = session
        self.url = url
        self.basic = {"Authorization": basic(PASSWORD)}

    async def ask(
        self,
        method: str,
        path: str,
        fields: dict[str, Any] | None = None,
        *,
        headers: dict[str, str] | None = None,
        **params: str,
    ) -> tuple[aiohttp.ClientResponse, Any]:
        """The response, and its JSON if it is any."""
        url = f"{self.url}/api/now/table/{path}"
        options: dict[str, Any] = {} if fields is None else {"json": fields}
        headers = self.basic if headers is None else headers
        async with self.session.request(
            method, url, params=params, headers=headers, allow_redirects=False, **options
        ) as response:
            text = await response.text()
            return response, json.loads(text) if text and response.content_type == "application/json" else None

    async def get(self, path: str, **params: str) -> Any:
        """The result of a search or of a read that succeeds."""
        response, body = await self.ask("GET", path, None, headers=None, **params)
        assert response.status == 200, body
        return body["result"]

    async def create(self, table: str = "incident", **fields: Any) -> Any:
        """The new record."""
        response, body = await self.ask("POST", table, fields, sysparm_exclude_reference_link="true")
        assert response.status == 201, body
        return body["result"]

    async def change(self, record: Any, **fields: Any) -> tuple[int, str]:
        """The status, and what the error says in detail."""
        response, body = await self.ask("PATCH", f"incident/{record['sys_id']}", fields)
        return response.status, str(body["error"]["detail"]) if "error" in body else ""

    async def token(self, **form: str) -> tuple[int, Any]:
        async with self.session.post(f"{self.url}/oauth_token.do", data=form) as response:
            return response.status, await response.json()

    async def status_with(self, token: str) -> int:
        response, _ = await self.ask("GET", "incident", headers={"Authorization": f"Bearer {token}"})
        return response.status


@pytest.fixture
def api(session, servicenow_url):
    return Api(session, servicenow_url)


async def test_a_token_lives_1799_seconds_and_is_given_again_meanwhile(api, clock):
    _, first = await api.token(**PASSWORD_GRANT)
    clock.advance(seconds=1000)
    _, second = await api.token(**PASSWORD_GRANT)
    clock.advance(seconds=798)
    last_second = await api.status_with(first["access_token"])
    clock.advance(seconds=1)

    assert (first["expires_in"], second["expires_in"]) == (1799, 799)
    assert second["access_token"] == first["access_token"]
    assert {first["token_type"], first["scope"]} == {"Bearer", "useraccount"}
    assert (last_second, await api.status_with(first["access_token"])) == (200, 401)
    _, third = await api.token(**PASSWORD_GRANT)
    assert third["access_token"] != first["access_token"]
    assert third["refresh_token"] == first["refresh_token"]


async def test_a_refresh_gives_a_new_access_token_and_keeps_the_refresh_token(api):
    _, first = await api.token(**PASSWORD_GRANT)

    _, second = await api.token(grant_type="refresh_token", refresh_token=first["refresh_token"], **CLIENT)

    assert second["access_token"] != first["access_token"]
    assert second["refresh_token"] == first["refresh_token"]
    assert await api.status_with(second["access_token"]) == 200
    assert await api.status_with(first["access_token"]) == 200  # it has not come to its end


async def test_client_credentials_come_without_a_refresh_token(api):
    status, reply = await api.token(**CLIENT_GRANT)

    assert status == 200
    assert "refresh_token" not in reply
    assert await api.status_with(reply["access_token"]) == 200


async def test_revoked_tokens_are_refused_and_a_refresh_helps(api, servicenow):
    _, first = await api.token(**PASSWORD_GRANT)

    servicenow.revoke_tokens()

    assert await api.status_with(first["access_token"]) == 401
    _, second = await api.token(grant_type="refresh_token", refresh_token=first["refresh_token"], **CLIENT)
    assert await api.status_with(second["access_token"]) == 200


async def test_a_refresh_token_ends_after_100_days(api, clock):
    _, first = await api.token(**PASSWORD_GRANT)

    clock.advance(hours=100 * 24)

    refresh = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"], **CLIENT}
    assert await api.token(**refresh) == (401, DENIED)
    assert (await api.token(**PASSWORD_GRANT))[1]["refresh_token"] != first["refresh_token"]


@pytest.mark.parametrize(
    "form",
    [
        {},
        PASSWORD_GRANT | {"password": "wrong"},
        PASSWORD_GRANT | {"username": "other"},
        PASSWORD_GRANT | {"client_secret": "wrong"},
        CLIENT_GRANT | {"client_id": "other"},
        CLIENT_GRANT | {"grant_type": "authorization_code"},
        {"grant_type": "refresh_token", "refresh_token": "made-up", **CLIENT},
    ],
    ids=str,
)
async def test_every_failure_to_get_a_token_looks_the_same(api, form):
    assert await api.token(**form) == (401, DENIED)


async def test_a_token_is_given_for_a_plain_form_only(api):
    with aiohttp.MultipartWriter("form-data") as parts:
        for name, value in PASSWORD_GRANT.items():
            parts.append(value).set_content_disposition("form-data", name=name)

    for body in ({"json": PASSWORD_GRANT}, {"data": parts}):
        async with api.session.post(f"{api.url}/oauth_token.do", **body) as response:
            assert (response.status, await response.json()) == (401, DENIED)


@pytest.mark.parametrize("form", [PASSWORD_GRANT, CLIENT_GRANT], ids=["password", "client_credentials"])
async def test_a_grant_that_is_switched_off_is_denied(api, servicenow, form):
    servicenow.grants.discard(form["grant_type"])

    assert await api.token(**form) == (401, DENIED)


async def test_requests_for_tokens_are_counted_as_calls_and_suffer_faults(api, servicenow):
    await api.token(**CLIENT_GRANT)
    async with api.session.post(f"{api.url}/control/faults", json={"kind": "html200"}) as ordered:
        assert ordered.status == 201

    async with api.session.post(f"{api.url}/oauth_token.do", data=CLIENT_GRANT) as response:
        assert (response.status, response.content_type) == (200, "text/html")
    assert servicenow.calls == ["POST /oauth_token.do"]


@pytest.mark.parametrize(
    ("headers", "scheme", "message"),
    [
        ({}, "BASIC", "User is not authenticated"),
        ({"Authorization": basic("wrong")}, "BASIC", "User is not authenticated"),
        ({"Authorization": "Basic !"}, "BASIC", "User is not authenticated"),
        ({"Authorization": "Bearer made-up"}, "BEARER", "User Not Authenticated"),
        ({"x-sn-apikey": "key-2"}, "BASIC", "User is not authenticated"),
    ],
)
async def test_who_does_not_log_in_is_told_so_in_two_ways(api, headers, scheme, message):
    response, body = await api.ask("GET", "incident", headers=headers)

    assert response.status == 401
    assert response.headers["WWW-Authenticate"] == f'{scheme} realm="Service-now"'
    assert body == {
        "error": {"message": message, "detail": "Required to provide Auth information"},
        "status": "failure",
    }
    assert "JSESSIONID" in response.cookies


async def test_the_right_password_is_refused_where_basic_is_not_allowed(api, servicenow):
    servicenow.allows_basic = False

    response, _ = await api.ask("GET", "incident")

    assert response.status == 401
    assert await api.status_with((await api.token(**PASSWORD_GRANT))[1]["access_token"]) == 200


async def test_an_api_key_is_a_login_of_its_own(api):
    response, _ = await api.ask("GET", "incident", headers={"x-sn-apikey": "key-1"})

    assert response.status == 200


async def test_without_an_api_key_no_key_gets_in(api, servicenow):
    servicenow._login._api_key = None

    response, _ = await api.ask("GET", "incident", headers={"x-sn-apikey": "None"})

    assert response.status == 401


async def test_one_email_may_belong_to_several_active_users(api):
    found = await api.get("sys_user", sysparm_query="email=ben@example.com^active=true")
    former = await api.get("sys_user", sysparm_query="email=carla@example.com")

    assert len(found) == 2
    assert {"sys_id", "user_name", "email", "name", "active"} <= set(found[0])
    assert [it["active"] for it in former] == ["false"]


@pytest.mark.parametrize(("table", "name"), [("sys_user_group", "Database"), ("cmdb_ci", "db-7")])
async def test_names_of_groups_and_of_cis_are_not_unique(api, table, name):
    assert len(await api.get(table, sysparm_query=f"name={name}")) == 2


async def test_users_groups_and_cis_can_be_added(api, servicenow):
    user = servicenow.add_user("dora@example.com", name="Dora Lind")
    group = servicenow.add_group("On-call")
    ci = servicenow.add_ci("web-1")

    [found] = await api.get("sys_user", sysparm_query="email=dora@example.com^active=true")
    assert (found["sys_id"], found["name"], found["user_name"]) == (user, "Dora Lind", "dora")
    assert (await api.get(f"sys_user_group/{group}"))["name"] == "On-call"
    assert (await api.get(f"cmdb_ci/{ci}"))["name"] == "web-1"


@pytest.mark.parametrize(
    ("element", "value", "label"),
    [
        ("state", "6", "Resolved"),
        ("close_code", "Solution provided", "Solution provided"),
        ("impact", "1", "1 - High"),
        ("urgency", "3", "3 - Low"),
        ("contact_type", "monitoring", "Monitoring"),
    ],
)
async def test_choices_can_be_read(api, element, value, label):
    query = f"nameINincident,task^element={element}^value={value}^inactive=false^language=en"

    assert [it["label"] for it in await api.get("sys_choice", sysparm_query=query)] == [label]


async def test_choices_have_an_order(api):
    found = await api.get("sys_choice", sysparm_query="name=task^element=priority^ORDERBYsequence")

    assert [it["value"] for it in found] == ["1", "2", "3", "4", "5"]


async def test_services_and_offerings_can_be_added_and_referred_to(api, servicenow):
    record = await api.create(
        business_service=servicenow.add_service("Shop"), service_offering=servicenow.add_offering("Shop in Asia")
    )

    shown = await api.get(f"incident/{record['sys_id']}", sysparm_display_value="true")
    assert shown["business_service"]["display_value"] == "Shop"
    assert shown["service_offering"]["display_value"] == "Shop in Asia"


async def test_a_hundred_records_can_be_asked_for_at_once(api):
    wanted = [(await api.create())["sys_id"] for _ in range(100)]
    await api.create()
    names = "sys_id,sys_mod_count,sys_updated_by,sys_updated_on,priority,urgency,impact,assigned_to,assignment_group"

    found = await api.get("incident", sysparm_query=f"sys_idIN{','.join(wanted)}", sysparm_fields=names)

    assert [it["sys_id"] for it in found] == wanted
    assert all(list(it) == names.split(",") for it in found)


async def test_a_choice_of_an_older_release_is_still_there_but_inactive(api):
    [found] = await api.get("sys_choice", sysparm_query="element=close_code^value=Solved (Permanently)")

    assert found["inactive"] == "true"


async def test_the_dictionary_lists_each_column_once_and_inherited_ones_on_task(api):
    rows = await api.get("sys_dictionary", sysparm_query="nameINincident,task^elementISNOTEMPTY")

    tables = {it["element"]: it["name"] for it in rows}
    assert len(tables) == len(rows)
    assert (tables["short_description"], tables["correlation_id"]) == ("task", "task")
    assert (tables["caller_id"], tables["close_code"]) == ("incident", "incident")
    assert (tables["business_service"], tables["service_offering"]) == ("task", "task")
    [service] = [it for it in rows if it["element"] == "business_service"]
    assert (service["column_label"], service["reference"]) == ("Service", "cmdb_ci_service")
    found = {it["element"]: (it["internal_type"], it["max_length"], it["read_only"]) for it in rows}
    assert found["correlation_id"] == ("string", "100", "false")
    assert found["assignment_group"] == ("reference", "32", "false")
    assert found["work_notes"] == ("journal_input", "4000", "false")
    assert found["priority"][2] == "true"


@pytest.mark.parametrize("table", ["sys_user", "sys_choice", "sys_journal_field"])
async def test_tables_to_look_things_up_in_are_not_written_to(api, table):
    response, body = await api.ask("POST", table, {"name": "x"})

    assert response.status == 403
    assert body["error"]["detail"] == "ACL Exception Insert Failed due to security constraints"


async def test_journals_are_written_to_the_record_and_read_from_a_table(api, servicenow, clock):
    record = await api.create(work_notes="first", comments="for the customer")
    clock.advance(seconds=1)
    await api.change(record, work_notes="second")

    again = await api.get(f"incident/{record['sys_id']}")
    query = f"element_id={record['sys_id']}^element=work_notes^ORDERBYsys_created_on"
    rows = await api.get("sys_journal_field", sysparm_query=query)
    assert (again["work_notes"], again["comments"]) == ("", "")
    assert [(it["value"], it["name"], it["sys_created_by"]) for it in rows] == [
        ("first", "incident", USER),
        ("second", "incident", USER),
    ]
    assert servicenow.notes == {record["sys_id"]: ["first", "second"]}


async def test_journal_rows_of_one_second_keep_their_order(api, servicenow):
    record = await api.create()
    for number in range(5):
        await api.change(record, work_notes=str(number))

    for query in ("ORDERBYsys_created_on", "ORDERBYDESCsys_created_on"):
        rows = await api.get("sys_journal_field", sysparm_query=query)
        assert [it["value"] for it in rows] == ["0", "1", "2", "3", "4"]


async def test_a_person_comments_by_the_control_route_and_the_page_shows_it(api):
    record = await api.create()
    url = f"{api.url}/control/comments"

    async with api.session.post(url, json={"record": record["number"], "text": "On it", "by": "ana"}) as response:
        assert response.status == 201

    query = f"element_id={record['sys_id']}^element=comments"
    [row] = await api.get("sys_journal_field", sysparm_query=query)
    assert (row["value"], row["sys_created_by"]) == ("On it", "ana")
    changed = await api.get(f"incident/{record['sys_id']}")
    assert (changed["sys_mod_count"], changed["sys_updated_by"]) == ("1", "ana")
    page = await page_of(api, f"incident.do?sys_id={record['sys_id']}")
    assert page.index("· Ana Diaz</span>") < page.index("On it")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"record": "INC404", "text": "x"}, 404),
        ({"record": "REC", "text": "x"}, 404),
        ({"record": "INC404"}, 400),
        ({"record": "INC404", "text": ""}, 400),
    ],
)
async def test_a_comment_needs_a_record_that_has_comments_and_a_text(api, body, status):
    plain = await api.create("u_versus_alert")
    body = body | ({"record": plain["number"]} if body["record"] == "REC" else {})

    async with api.session.post(f"{api.url}/control/comments", json=body) as response:
        assert response.status == status
        assert "error" in await response.json()


async def test_columns_are_refused_or_ignored_as_administrators_set_it(api, servicenow):
    record = await api.create(description="old")
    path = f"incident/{record['sys_id']}"
    servicenow.refused_columns, servicenow.ignored_columns = {"impact"}, {"description"}

    refused, _ = await api.ask("PATCH", path, {"impact": "1", "category": "software"})
    await api.change(record, description="new", category="network")

    assert refused.status == 403
    again = await api.get(path)
    assert (again["impact"], again["description"], again["category"]) == ("3", "old", "network")


async def test_a_journal_that_the_user_may_not_read_looks_empty(api, servicenow):
    servicenow.journal_is_readable = False
    record = await api.create(work_notes="first")
    sys_id = servicenow.tables["sys_journal_field"][0]["sys_id"]

    response, body = await api.ask("GET", "sys_journal_field")
    assert (response.status, body) == (200, {"result": []})
    assert (await api.ask("GET", f"sys_journal_field/{sys_id}"))[0].status == 404
    assert servicenow.notes[record["sys_id"]] == ["first"]


async def test_a_reset_leaves_an_instance_as_it_was_at_first(api, servicenow):
    before = {table: len(rows) for table, rows in servicenow.tables.items()}
    _, first = await api.token(**PASSWORD_GRANT)
    await api.create(work_notes="x")
    await api.create("u_versus_alert")
    servicenow.add_group("On-call")

    servicenow.reset()

    assert {table: len(rows) for table, rows in servicenow.tables.items()} == before
    assert servicenow.state() == {"tables": {"incident": []}, "notes": {}, "calls": []}
    assert await api.status_with(first["access_token"]) == 401


async def error_of(api: Api, method: str, path: str, fields: dict[str, Any] | None = None) -> tuple[int, Any]:
    response, body = await api.ask(method, path, fields)
    assert body["status"] == "failure"
    return response.status, body["error"]


async def test_a_reference_is_read_as_a_link_and_a_value(api, servicenow):
    group = servicenow.add_group("On-call")
    record = await api.create(assignment_group=group)

    raw = await api.get(f"incident/{record['sys_id']}", sysparm_fields="assignment_group,assigned_to,no_such_column")
    bare = await api.get(
        f"incident/{record['sys_id']}",
        sysparm_fields="assignment_group,assigned_to",
        sysparm_exclude_reference_link="true",
    )

    link = f"{api.url}/api/now/table/sys_user_group/{group}"
    assert raw == {"assignment_group": {"link": link, "value": group}, "assigned_to": ""}
    assert bare == {"assignment_group": group, "assigned_to": ""}
    async with api.session.get(link, headers=api.basic) as response:
        assert (await response.json())["result"]["name"] == "On-call"


async def test_display_values_are_labels_and_names(api, servicenow):
    user = servicenow.add_user("dora@example.com", name="Dora Lind")
    record = await api.create(impact="1", urgency="2", assigned_to=user)
    fields = "state,impact,urgency,priority,assigned_to,caller_id,correlation_id"

    shown = await api.get(f"incident/{record['sys_id']}", sysparm_display_value="true", sysparm_fields=fields)

    link = f"{api.url}/api/now/table/sys_user/{user}"
    assert shown == {
        "state": "New",
        "impact": "1 - High",
        "urgency": "2 - Medium",
        "priority": "2 - High",
        "assigned_to": {"display_value": "Dora Lind", "link": link},
        "caller_id": "",
        "correlation_id": "",
    }


async def test_both_raw_and_display_values_can_be_asked_for(api, servicenow):
    user = servicenow.add_user("dora@example.com", name="Dora Lind")
    record = await api.create(assigned_to=user)
    asked = {"sysparm_display_value": "all", "sysparm_fields": "state,assigned_to"}

    linked = await api.get(f"incident/{record['sys_id']}", **asked)
    bare = await api.get(f"incident/{record['sys_id']}", **asked, sysparm_exclude_reference_link="true")

    person = {"display_value": "Dora Lind", "value": user}
    state = {"display_value": "New", "value": "1"}
    assert bare == {"state": state, "assigned_to": person}
    assert linked == {
        "state": state,
        "assigned_to": person | {"link": f"{api.url}/api/now/table/sys_user/{user}"},
    }


async def test_the_display_value_of_a_journal_is_its_history_newest_first(api, clock):
    record = await api.create(work_notes="first")
    clock.advance(minutes=1)
    await api.change(record, work_notes="second")

    shown = await api.get(f"incident/{record['sys_id']}", sysparm_display_value="true")

    entries = shown["work_notes"].split("\n\n")
    assert [entry.partition("\n")[2] for entry in entries] == ["second", "first", ""]
    assert entries[0].startswith(f"{shown['sys_updated_on']} - Versus Integration (Work notes)\n")
    assert shown["comments"] == ""


@pytest.mark.parametrize("value", ["Ana Diaz", "ana@example.com", "0" * 32, "x"])
async def test_a_reference_to_what_does_not_exist_is_stored_blank(api, value):
    record = await api.create(assigned_to=value)

    assert record["assigned_to"] == ""


async def test_names_and_labels_can_be_written_when_that_is_said(api, servicenow):
    group = servicenow.add_group("On-call")
    fields = {"assignment_group": "On-call", "caller_id": group, "impact": "1 - High", "short_description": "New"}

    response, body = await api.ask(
        "POST", "incident", fields, sysparm_input_display_value="true", sysparm_exclude_reference_link="true"
    )

    assert response.status == 201
    assert (body["result"]["assignment_group"], body["result"]["caller_id"]) == (group, "")
    assert (body["result"]["impact"], body["result"]["short_description"]) == ("1", "New")


async def test_another_group_takes_the_record_from_the_person(api, servicenow):
    first, second = servicenow.add_group("First"), servicenow.add_group("Second")
    user = servicenow.add_user("dora@example.com")
    record = await api.create(assignment_group=first, assigned_to=user)

    await api.change(record, assignment_group=first)
    assert servicenow.incidents[0]["assigned_to"] == user
    await api.change(record, assignment_group=second)
    assert servicenow.incidents[0]["assigned_to"] == ""
    await api.change(record, assignment_group=first, assigned_to=user)
    assert servicenow.incidents[0]["assigned_to"] == user


async def test_what_cannot_be_written_is_ignored(api):
    record = await api.create(
        u_missing="x", number="INC1", sys_id="abc", sys_mod_count="9", priority="1", resolved_at="x", work_notes=None
    )

    assert "u_missing" not in record
    assert record["number"] == "INC0010001"
    assert len(record["sys_id"]) == 32
    assert (record["sys_mod_count"], record["priority"], record["resolved_at"]) == ("0", "5", "")


async def test_values_are_strings_whatever_is_sent(api):
    record = await api.create(short_description=1, description=None, correlation_id=True)

    assert (record["short_description"], record["description"], record["correlation_id"]) == ("1", "", "true")


async def test_what_is_too_long_is_cut(api):
    record = await api.create(short_description="x" * 161, description="y" * 4000)

    assert (len(record["short_description"]), len(record["description"])) == (160, 4000)


async def test_an_empty_string_clears_a_text_and_not_a_choice(api, servicenow):
    record = await api.create(description="x", impact="1", contact_type="email")

    await api.change(record, description="", impact="", contact_type="")

    [found] = servicenow.incidents
    assert (found["description"], found["impact"], found["contact_type"]) == ("", "1", "email")


async def test_every_write_counts_and_says_when_and_by_whom(api, clock):
    record = await api.create()
    clock.advance(minutes=1)
    await api.change(record, impact="1", urgency="1")
    await api.change(record, short_description="y")

    found = await api.get(f"incident/{record['sys_id']}")
    assert (found["sys_mod_count"], found["sys_updated_by"]) == ("2", USER)
    assert found["sys_updated_on"] > found["sys_created_on"] == record["sys_created_on"] == record["opened_at"]
    assert found["priority"] == "1"


async def test_a_resolved_record_is_active_and_a_closed_one_is_not(api, servicenow):
    record = await api.create()
    own = await api.get("sys_user", sysparm_query=f"user_name={USER}")

    await api.change(record, state="6", close_code="Solution provided", close_notes="x")
    [resolved] = [dict(it) for it in servicenow.incidents]
    await api.change(record, state="7")

    [closed] = servicenow.incidents
    assert (resolved["active"], resolved["incident_state"], resolved["closed_at"]) == ("true", "6", "")
    assert resolved["resolved_by"] == own[0]["sys_id"]
    assert resolved["resolved_at"] == closed["resolved_at"] != ""
    assert (closed["active"], closed["incident_state"]) == ("false", "7")
    assert closed["closed_at"] != ""


async def test_a_move_is_noted_once(api, servicenow, clock):
    record = await api.create()
    done = {"state": "6", "close_code": "Solution provided", "close_notes": "x"}

    await api.change(record, **done)
    resolved_at = servicenow.incidents[0]["resolved_at"]
    clock.advance(minutes=1)
    await api.change(record, **done)

    assert servicenow.incidents[0]["resolved_at"] == resolved_at


@pytest.mark.parametrize("state", ["7", "8"])
async def test_a_closed_record_is_read_only(api, servicenow, state):
    record = await api.create()
    servicenow.incidents[0]["state"] = state

    assert await api.change(record, work_notes="x") == (
        403,
        "ACL Exception Update Failed due to security constraints",
    )
    assert servicenow.notes == {}


@pytest.mark.parametrize(
    ("fields", "missing"),
    [
        ({"state": "6"}, "close_code, close_notes"),
        ({"state": "7", "close_notes": "x"}, "close_code"),
        ({"state": "6", "close_code": "No such code", "close_notes": "x"}, "close_code"),
        ({"state": "6", "close_code": "Solved (Permanently)", "close_notes": "x"}, "close_code"),
        ({"state": "6", "close_code": "Duplicate", "close_notes": ""}, "close_notes"),
        ({"state": "3"}, "hold_reason"),
        ({"state": "3", "hold_reason": "1"}, "comments"),
    ],
    ids=str,
)
async def test_a_data_policy_names_what_is_mandatory_and_nothing_is_written(api, servicenow, fields, missing):
    record = await api.create()

    status, detail = await api.change(record, work_notes="x", **fields)

    assert status == 403
    assert detail == f"Data Policy Exception: The following fields are mandatory: {missing}"
    assert (servicenow.incidents[0]["state"], servicenow.incidents[0]["sys_mod_count"]) == ("1", "0")
    assert servicenow.notes == {}


@pytest.mark.parametrize("fields", [{"hold_reason": "4"}, {"hold_reason": "1", "comments": "please call"}], ids=str)
async def test_a_record_on_hold_has_a_reason(api, fields):
    assert await api.change(await api.create(), state="3", **fields) == (200, "")


async def test_without_the_data_policy_a_record_is_resolved_without_code_and_notes(api, servicenow):
    servicenow.requires_close_fields = False

    assert await api.change(await api.create(), state="6", close_code="No such code") == (200, "")
    assert servicenow.incidents[0]["close_code"] == ""


async def test_what_people_may_choose_is_what_sys_choice_says(api, servicenow):
    for row in servicenow.tables["sys_choice"]:
        if row["value"] == "Solution provided":
            row["inactive"] = "true"

    record = await api.create(close_code="Solution provided")

    assert record["close_code"] == ""


async def test_a_caller_can_be_mandatory(api, servicenow):
    servicenow.requires_caller = True

    status, error = await error_of(api, "POST", "incident", {"caller_id": "Nobody"})

    assert (status, error["message"]) == (403, "Operation Failed")
    assert error["detail"] == "Data Policy Exception: The following fields are mandatory: caller_id"
    assert servicenow.incidents == []
    assert (await api.create(caller_id=servicenow.add_user("dora@example.com")))["state"] == "1"
    await api.create("u_versus_alert")


async def test_a_table_may_be_closed_to_the_user(api, servicenow):
    servicenow.closed_tables.add("sys_choice")

    status, error = await error_of(api, "GET", "sys_choice")

    assert status == 403
    assert error == {"message": "User Not Authorized", "detail": "Failed API level ACL Validation"}
    assert await api.get("incident") == []


async def test_a_user_who_may_only_read_writes_nothing(api, servicenow):
    record = await api.create()
    servicenow.read_only_user = True

    status, error = await error_of(api, "POST", "incident", {})
    assert (status, error["message"]) == (403, "Operation Failed")
    assert error["detail"] == "ACL Exception Insert Failed due to security constraints"
    assert (await api.change(record, impact="1"))[1] == "ACL Exception Update Failed due to security constraints"
    assert len(await api.get("incident")) == 1
    assert servicenow.incidents[0]["impact"] == "3"


async def test_records_that_the_user_may_not_read_are_created_and_not_shown(api, servicenow):
    servicenow.readable = False

    response, body = await api.ask("POST", "incident", {"correlation_id": "x"})

    [record] = servicenow.incidents
    assert (response.status, body) == (201, {"result": {}})
    assert response.headers["Location"] == f"{api.url}/api/now/table/incident/{record['sys_id']}"
    assert await api.get("incident", sysparm_query="correlation_id=x") == []
    status, error = await error_of(api, "GET", f"incident/{record['sys_id']}")
    assert (status, error["message"]) == (404, "No Record found")
    assert (await api.change(record, state="2"))[0] == 404
    assert len(await api.get("sys_user_group")) == 3


async def test_a_business_rule_can_abort_writes_and_does_not_say_why(api, servicenow):
    record = await api.create()
    servicenow.abort_rule = "Check CI"

    status, error = await error_of(api, "POST", "incident", {})

    assert (status, error["message"]) == (403, "Operation Failed")
    assert error["detail"].startswith("Operation against file 'incident' was aborted by Business Rule 'Check CI^")
    assert (await api.change(record, work_notes="x"))[0] == 403
    assert (len(servicenow.incidents), servicenow.notes) == (1, {})


async def test_the_limit_is_applied_before_hidden_rows_are_taken_out(api, servicenow):
    for number in "123":
        await api.create(correlation_id=number)
    servicenow.hides = lambda row: row.get("correlation_id") == "1"

    assert await api.get("incident", sysparm_limit="1") == []
    assert [it["correlation_id"] for it in await api.get("incident", sysparm_limit="2")] == ["2"]
    assert [it["correlation_id"] for it in await api.get("incident", sysparm_limit="1", sysparm_offset="2")] == ["3"]


async def test_records_of_one_second_keep_the_order_of_their_creation(api):
    numbers = [(await api.create())["number"] for _ in range(5)]

    found = await api.get("incident", sysparm_query="ORDERBYsys_created_on")

    assert len({it["sys_created_on"] for it in found}) == 1
    assert [it["number"] for it in found] == numbers


@pytest.mark.parametrize("limit", ["-1", "x"])
async def test_a_limit_that_is_no_number_is_refused(api, limit):
    response, body = await api.ask("GET", "incident", sysparm_limit=limit)

    assert (response.status, body["error"]["message"]) == (400, f"Invalid sysparm_limit {limit}")


async def test_the_body_of_an_answer_can_be_left_out(api, servicenow):
    headers = api.basic | {"X-no-response-body": "true"}

    created, body = await api.ask("POST", "incident", {}, headers=headers)
    path = created.headers["Location"].partition("/api/now/table/")[2]
    changed, changed_body = await api.ask("PUT", path, {"state": "2"}, headers=headers)

    assert (created.status, body, changed.status, changed_body) == (201, None, 200, None)
    assert servicenow.incidents[0]["state"] == "2"


async def test_a_custom_table_has_no_states_and_no_journals(api, servicenow):
    record = await api.create(
        "u_versus_alert", short_description="x", state="6", work_notes="y", close_notes="z", correlation_id="1"
    )

    assert set(record) == {
        *("sys_id", "sys_created_on", "sys_created_by", "sys_updated_on", "sys_updated_by", "sys_mod_count"),
        *("number", "short_description", "description", "correlation_id"),
    }
    assert servicenow.notes == {}


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("DELETE", "incident", {}, 405),
        ("POST", "incident/abc", {}, 405),
        ("GET", "incident", {"Accept": "text/csv"}, 406),
        ("GET", "incident", {"Accept": "text/html, application/json;q=0.9"}, 200),
        ("GET", "incident", {"Accept": "*/*"}, 200),
        ("POST", "incident", {"Content-Type": "text/plain"}, 415),
        ("GET", "sys_user_role", {}, 400),
        ("POST", "task", {}, 400),
        ("DELETE", "incident/abc", {}, 403),
        ("HEAD", "incident", {}, 200),
    ],
)
async def test_verb_and_headers_are_checked(api, method, path, headers, status):
    response, body = await api.ask(method, path, headers=api.basic | headers)

    assert response.status == status
    if status != 200:
        assert (body["status"], set(body["error"])) == ("failure", {"message", "detail"})


TOO_LARGE = b'{"description": "' + b"x" * 10 * 1024 * 1024 + b'"}'


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'"x"', b"\xff", pytest.param(TOO_LARGE, id="too large")],
)
async def test_a_body_that_cannot_be_read_is_refused(api, servicenow, body):
    headers = api.basic | {"Content-Type": "application/json"}
    url = f"{api.url}/api/now/table/incident"
    async with api.session.post(url, data=io.BytesIO(body), headers=headers) as response:
        error = (await response.json())["error"]

    assert (response.status, error["message"]) == (400, "Exception while reading request")
    assert servicenow.incidents == []


async def test_a_query_may_step_through_a_reference(api, servicenow):
    user = servicenow.add_user("dora@example.com")
    record = await api.create(caller_id=user)
    await api.create()

    found = await api.get("incident", sysparm_query="caller_id.email=dora@example.com")

    assert [it["number"] for it in found] == [record["number"]]


async def test_a_query_with_a_misspelt_column_finds_everything_or_nothing(api, servicenow):
    await api.create()

    by_default = await api.get("incident", sysparm_query="corelation_id=x")
    servicenow.invalid_query_returns_no_rows = True

    assert len(by_default) == 1
    assert await api.get("incident", sysparm_query="corelation_id=x") == []


async def test_a_query_with_a_script_is_refused(api):
    response, body = await api.ask("GET", "incident", sysparm_query="correlation_id=javascript:gs.getUserID()")

    assert response.status == 400
    assert body["error"]["message"] == "Refused by the simulator"


async def test_a_search_that_is_cut_off_answers_200_with_half_of_the_rows_and_an_error(api, servicenow):
    for _ in range(3):
        await api.create()
    servicenow.faults.order(Fault(kind="cut_off"))

    response, body = await api.ask("GET", "incident")

    assert response.status == 200
    assert response.headers["X-Total-Count"] == "3"
    assert [it["number"] for it in body["result"]] == ["INC0010001"]
    assert (body["status"], body["error"]["message"][:21]) == ("failure", "Transaction cancelled")


async def test_a_write_that_is_cut_off_is_done_late_and_not_answered(api, servicenow):
    servicenow.faults.order(Fault(kind="cut_off", seconds=0.05))
    started_s = time.monotonic()

    with pytest.raises(aiohttp.ServerDisconnectedError):
        await api.create()

    assert time.monotonic() - started_s > 0.04
    assert len(servicenow.incidents) == 1


@pytest.mark.parametrize(("method", "status"), [("GET", 200), ("POST", 201)])
async def test_a_truncated_answer_ends_in_the_middle_and_what_was_asked_is_done(api, servicenow, method, status):
    servicenow.faults.order(Fault(kind="truncated"))
    fields = None if method == "GET" else "{}"
    url = f"{api.url}/api/now/table/incident"
    headers = api.basic | {"Content-Type": "application/json"}

    async with api.session.request(method, url, data=fields, headers=headers) as response:
        text = await response.text()

    assert (response.status, response.content_type) == (status, "application/json")
    with pytest.raises(ValueError, match=r"."):
        json.loads(text)
    assert text
    assert len(servicenow.incidents) == (0 if method == "GET" else 1)


@pytest.mark.parametrize(
    ("kind", "status", "content_type"),
    [
        ("401", 401, "application/json"),
        ("429", 429, "application/json"),
        ("500", 500, "application/json"),
        ("503", 503, "application/json"),
        ("html503", 503, "text/html"),
        ("html200", 200, "text/html"),
        ("302", 302, "application/octet-stream"),
    ],
)
async def test_an_answer_of_another_kind_means_that_nothing_was_done(api, servicenow, kind, status, content_type):
    servicenow.faults.order(Fault(kind=kind))

    response, _ = await api.ask("POST", "incident", {})

    assert (response.status, response.content_type) == (status, content_type)
    assert (servicenow.incidents, servicenow.calls) == ([], [])
    assert (await api.create())["number"] == "INC0010001"


async def test_an_instance_that_sleeps_may_send_clients_to_the_developer_site(api, servicenow):
    servicenow.faults.order(Fault(kind="302"))

    response, _ = await api.ask("GET", "incident")

    assert response.headers["Location"] == "https://developer.servicenow.com"


@pytest.mark.parametrize("retry_after", [None, 1800])
async def test_a_rate_limit_may_or_may_not_say_how_long(api, servicenow, retry_after):
    servicenow.faults.order(Fault(kind="429", retry_after=retry_after))

    response, body = await api.ask("GET", "incident")

    assert body["error"]["message"] == "Rate limit exceeded"
    assert response.headers.get("Retry-After") == (None if retry_after is None else "1800")


async def test_a_fault_can_be_kept_to_a_path_and_a_method(api, servicenow):
    servicenow.faults.order(Fault(kind="503", path="/oauth_token.do"))
    servicenow.faults.order(Fault(kind="500", path="/api/now/table/sys_", method="GET"))

    await api.create()
    assert (await api.ask("POST", "sys_user", {}))[0].status == 403
    assert (await api.ask("GET", "sys_user"))[0].status == 500
    assert (await api.token(**CLIENT_GRANT))[0] == 503
    assert (await api.token(**CLIENT_GRANT))[0] == 200


async def test_a_rule_may_refuse_one_record_each_time_and_take_the_others(api, servicenow):
    servicenow.faults.order(Fault(kind="500", text="Poison", times=None))

    response, body = await api.ask("POST", "incident", {"short_description": "Poison"})
    assert (response.status, body["error"]["message"]) == (500, "Internal error")
    assert (await api.ask("POST", "incident", {"short_description": "Poison"}))[0].status == 500
    await api.create(short_description="Healthy")
    assert [it["short_description"] for it in servicenow.incidents] == ["Healthy"]


async def test_a_rule_may_throw_after_the_record_was_made(api, servicenow):
    servicenow.faults.order(Fault(kind="late500"))

    response, _ = await api.ask("POST", "incident", {"short_description": "x"})

    assert response.status == 500
    assert len(servicenow.incidents) == 1


async def test_a_full_queue_refuses_what_comes_while_others_are_answered(api, servicenow):
    servicenow.faults.order(Fault(kind="429", times=None, above=2))
    servicenow.faults.order(Fault(kind="slow", times=None, seconds=0.2))

    answers = await asyncio.gather(*(api.ask("GET", "incident") for _ in range(5)))

    assert sorted(response.status for response, _ in answers) == [200, 200, 429, 429, 429]
    assert (await api.ask("GET", "incident"))[0].status == 200


@pytest.mark.parametrize(("kind", "posted"), [("cut_off", 1), ("truncated", 1), ("302", 0), ("html503", 0)])
async def test_slack_suffers_them_as_any_server_would(session, slack, slack_url, kind, posted):
    slack.faults.order(Fault(kind=kind, seconds=0))
    headers = {"Authorization": f"Bearer {TOKEN}"}
    url = f"{slack_url}/api/chat.postMessage"
    text = ""

    with suppress(aiohttp.ServerDisconnectedError):
        async with session.post(
            url, json={"channel": "C1", "text": "x"}, headers=headers, allow_redirects=False
        ) as response:
            text = await response.text()

    assert not text.endswith("}")
    assert len(slack.messages) == posted


async def page_of(api: Api, path: str) -> str:
    async with api.session.get(f"{api.url}/{path}") as response:
        assert response.status == 200
        return await response.text()


async def test_the_page_of_a_record_shows_names_and_the_journals_with_time_and_user(api, servicenow):
    group = servicenow.add_group("On-call <b>")
    record = await api.create(assignment_group=group, work_notes="first\nline", comments="for the customer")

    page = await page_of(api, f"incident.do?sys_id={record['sys_id']}")

    assert f"{record['number']} · New" in page
    assert "On-call &lt;b&gt;" in page
    assert group not in page
    for journal, text in (("work_notes", "first\nline"), ("comments", "for the customer")):
        heading = f'{journal}<br><span class="meta">{record["sys_created_on"]} · Versus Integration</span>'
        assert page.index(heading) < page.index(text)
    assert page.count("first") == 1


async def test_the_page_of_an_instance_lists_records_and_not_what_they_refer_to(api):
    record = await api.create()
    await api.create("u_versus_alert", short_description="plain")

    page = await page_of(api, "")

    assert record["number"] in page
    assert "plain" in page
    assert "sys_user" not in page


async def test_there_is_no_page_of_a_record_that_does_not_exist(api):
    for path in ("incident.do?sys_id=x", "oauth_token.do", "no_table.do"):
        async with api.session.get(f"{api.url}/{path}") as response:
            assert response.status == 404


async def act(api: Api, **order: Any) -> tuple[int, Any]:
    """A person does something to a record."""
    async with api.session.post(f"{api.url}/control/records", json=order) as response:
        return response.status, await response.json()


@pytest.mark.parametrize(
    ("order", "changed"),
    [
        ({"do": "start"}, {"state": "2"}),
        ({"do": "hold", "hold_reason": "Awaiting Change"}, {"state": "3", "hold_reason": "5"}),
        ({"do": "resolve"}, {"state": "6", "close_code": "Solution provided", "close_notes": "Done."}),
        ({"do": "close", "close_code": "Duplicate"}, {"state": "7", "close_code": "Duplicate", "active": "false"}),
        ({"do": "cancel"}, {"state": "8", "active": "false"}),
        ({"do": "note", "work_notes": "On it"}, {"state": "1"}),
    ],
)
async def test_people_move_records_as_users_of_their_own(api, servicenow, order, changed):
    record = await api.create(short_description="x")

    status, _ = await act(api, record=record["number"], by="ben", **order)

    [row] = servicenow.incidents
    assert (status, changed.items() <= row.items()) == (200, True)
    assert (row["sys_updated_by"], row["sys_mod_count"]) == ("ben", "1")
    if order["do"] == "resolve":
        [ben] = [it for it in servicenow.tables["sys_user"] if it["sys_id"] == row["resolved_by"]]
        assert ben["user_name"] == "ben"
    if order["do"] == "note":
        assert servicenow.notes == {record["sys_id"]: ["On it"]}


async def test_people_assign_records_by_name_and_take_that_back(api, servicenow):
    record = await api.create(short_description="x")
    order = {"record": record["sys_id"], "do": "reassign"}

    await act(api, **order, assignment_group="Network", assigned_to="Ana Diaz")
    [assigned] = await api.get("incident", sysparm_display_value="true", sysparm_exclude_reference_link="true")
    await act(api, **order, assigned_to="")

    assert (assigned["assignment_group"], assigned["assigned_to"]) == ("Network", "Ana Diaz")
    assert servicenow.incidents[0]["assigned_to"] == ""
    assert servicenow.incidents[0]["assignment_group"]


async def test_people_change_what_the_integration_may_not_and_delete_records(api, servicenow):
    record = await api.create(short_description="x")
    servicenow.read_only_user = True
    await act(api, record=record["number"], do="close")

    assert (await act(api, record=record["number"], do="reopen"))[0] == 200
    assert servicenow.incidents[0]["state"] == "2"
    assert (await act(api, record=record["number"], do="delete"))[0] == 200
    assert (await api.ask("GET", f"incident/{record['sys_id']}"))[0].status == 404


async def test_policies_hold_for_people(api, servicenow):
    record = await api.create(short_description="x")

    status, refused = await act(api, record=record["number"], do="hold", hold_reason="Awaiting Caller")

    assert (status, "mandatory: comments" in refused["error"]["detail"]) == (403, True)
    assert servicenow.incidents[0]["state"] == "1"


@pytest.mark.parametrize(
    ("order", "status", "said"),
    [
        ({"record": "INC0000000", "do": "resolve"}, 404, "there is no record 'INC0000000'"),
        ({"do": "burn"}, 400, "do: Input should be 'start', 'hold', 'resolve'"),
        ({"do": "resolve", "what": "x"}, 400, "what: Extra inputs are not permitted; allowed are record, do, by"),
        ({"do": "resolve", "by": "nobody"}, 400, "by: 'nobody' does not exist; allowed are "),
        ({"do": "reassign", "assignment_group": "Netwrok"}, 400, "assignment_group: 'Netwrok' does not exist"),
        ({"do": "hold", "hold_reason": "Lunch"}, 400, "allowed are Awaiting Caller, Awaiting Problem"),
        ({"do": "reassign"}, 400, "reassign: needs assigned_to, assignment_group, work_notes or comments"),
    ],
)
async def test_orders_to_people_that_make_no_sense_say_what_is_allowed(api, order, status, said):
    record = await api.create(short_description="x")

    answered, body = await act(api, **({"record": record["number"]} | order))

    assert answered == status
    assert said in body["error"]


async def test_a_record_without_states_can_be_deleted_only(api, servicenow):
    record = await api.create("u_versus_alert", short_description="plain")

    assert (await act(api, record=record["sys_id"], do="resolve"))[1]["error"].startswith("records of u_versus_alert")
    assert (await act(api, record=record["sys_id"], do="delete"))[0] == 200
    assert servicenow.tables["u_versus_alert"] == []


async def press(api: Api, record: Any, **form: str) -> tuple[int, str]:
    """A button of a record's page; the status and the page that follows."""
    url = f"{api.url}/incident.do?sys_id={record['sys_id']}"
    async with api.session.post(url, data=form) as response:
        return response.status, await response.text()


async def test_the_page_of_a_record_changes_it_as_the_person_who_is_chosen(api, servicenow):
    record = await api.create(short_description="x")
    as_it_is = {"assigned_to": KEEP, "assignment_group": KEEP}
    chosen = re.findall(
        r'<option value="([^"]*)" selected>', await page_of(api, f"incident.do?sys_id={record['sys_id']}")
    )
    assert chosen == ["ana", *8 * [KEEP], "Solution provided", "Awaiting Vendor"]

    status, page = await press(api, record, do="resolve", by="ben", close_code="Duplicate", **as_it_is)
    refused, said = await press(api, record, do="reassign", by="ben", **as_it_is)
    _, listing = await press(api, record, do="delete", by="ben")

    assert (status, "· Resolved" in page, '<option value="ben" selected>' in page) == (200, True, True)
    assert (refused, "⚠️ reassign: needs assigned_to" in said) == (400, True)
    assert "0 records" in listing


async def test_columns_that_no_table_has_are_ignored_in_writes_and_queries_and_left_out_of_answers(api, servicenow):
    servicenow.absent_columns = {"close_code", "correlation_id"}
    record = await api.create(correlation_id="a", short_description="x")

    await api.change(record, state="6", close_code="Solution provided", close_notes="over")
    resolved = await api.get(f"incident/{record['sys_id']}")
    _, found = await api.ask("GET", "incident?sysparm_query=correlation_id=other")
    _, listed = await api.ask("GET", "sys_dictionary?sysparm_query=elementINclose_code,close_notes")

    assert not {"close_code", "correlation_id"} & resolved.keys()
    assert resolved["state"] == "6"
    assert [row["sys_id"] for row in found["result"]] == [record["sys_id"]]
    assert [row["element"] for row in listed["result"]] == ["close_notes"]
