"""The simulated ServiceNow is as hard to deal with as an instance, seen as a client sees it."""

import base64
import json
from typing import Any

import aiohttp
import pytest

from tests.integration.conftest import PASSWORD
from versus_py.simulators import ServiceNowSimulator

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


async def test_a_token_is_not_given_for_json(api):
    async with api.session.post(f"{api.url}/oauth_token.do", json=PASSWORD_GRANT) as response:
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


async def test_a_choice_of_an_older_release_is_still_there_but_inactive(api):
    [found] = await api.get("sys_choice", sysparm_query="element=close_code^value=Solved (Permanently)")

    assert found["inactive"] == "true"


async def test_the_dictionary_lists_each_column_once_and_inherited_ones_on_task(api):
    rows = await api.get("sys_dictionary", sysparm_query="nameINincident,task^elementISNOTEMPTY")

    tables = {it["element"]: it["name"] for it in rows}
    assert len(tables) == len(rows)
    assert (tables["short_description"], tables["correlation_id"]) == ("task", "task")
    assert (tables["caller_id"], tables["close_code"]) == ("incident", "incident")
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
