"""The simulators behave like the originals where it hurts, or tests against them would prove nothing."""

import base64

import aiohttp
import pytest

from tests.integration.conftest import PASSWORD

AUTH = {"Authorization": "Basic dmVyc3VzLmludGVncmF0aW9uOnNlcnZpY2Vub3ctc2VjcmV0"}


@pytest.fixture
def table(servicenow_url):
    return f"{servicenow_url}/api/now/table/incident"


async def create(session, table, **fields):
    async with session.post(table, json=fields, headers=AUTH) as response:
        return response.status, await response.json()


async def test_servicenow_does_not_prevent_two_records_with_one_correlation_id(session, table):
    first = await create(session, table, correlation_id="x")
    second = await create(session, table, correlation_id="x")

    async with session.get(table, params={"sysparm_query": "correlation_id=x"}, headers=AUTH) as response:
        found = (await response.json())["result"]
    assert (first[0], second[0]) == (201, 201)
    assert [it["number"] for it in found] == ["INC0010001", "INC0010002"]
    assert response.headers["X-Total-Count"] == "2"
    assert all(isinstance(value, str) for it in found for value in it.values())


async def test_servicenow_computes_the_priority_and_ignores_one_that_is_sent(session, table):
    _, created = await create(session, table, impact="1", urgency="2", priority="5")

    assert created["result"]["priority"] == "2"


async def test_servicenow_resolves_only_with_code_and_notes_and_leaves_closed_records_alone(session, table):
    _, created = await create(session, table, short_description="x")
    url = f"{table}/{created['result']['sys_id']}"

    async def patch(**fields: str) -> tuple[int, str]:
        async with session.patch(url, json=fields, headers=AUTH) as response:
            return response.status, await response.text()

    assert (await patch(state="6"))[0] == 403
    assert "mandatory: close_code, close_notes" in (await patch(state="6"))[1]
    assert (await patch(state="6", close_code="No such code", close_notes="x"))[0] == 403
    assert (await patch(state="6", close_code="Solution provided", close_notes="x"))[0] == 200
    assert (await patch(state="7"))[0] == 200
    assert "ACL Exception Update Failed" in (await patch(state="2"))[1]


@pytest.mark.parametrize(
    ("path", "headers", "status", "said"),
    [
        ("incident", {}, 401, "User is not authenticated"),
        ("incident", {"Authorization": "Basic !"}, 401, "Required to provide Auth information"),
        ("no_table", AUTH, 400, "Invalid table no_table"),
        ("incident/none", AUTH, 404, "No Record found"),
    ],
)
async def test_servicenow_refuses_in_its_own_words(session, servicenow_url, path, headers, status, said):
    async with session.get(f"{servicenow_url}/api/now/table/{path}", headers=headers) as response:
        body = await response.json()

    assert response.status == status
    assert body["status"] == "failure"
    assert said in str(body["error"])


async def test_faults_are_ordered_over_http_and_taken_back(session, servicenow_url, table):
    async with session.post(f"{servicenow_url}/control/faults", json={"kind": "odd"}) as response:
        assert response.status == 400
        assert "lost_reply" in (await response.json())["error"]
    async with session.post(f"{servicenow_url}/control/faults", json={"kind": "lost_reply", "times": None}) as response:
        assert response.status == 201
    with pytest.raises(aiohttp.ClientError):
        await create(session, table, short_description="committed all the same")
    async with session.delete(f"{servicenow_url}/control/faults") as response:
        assert response.status == 204

    async with session.get(f"{servicenow_url}/control/state") as response:
        records = (await response.json())["tables"]["incident"]
    assert [it["short_description"] for it in records] == ["committed all the same"]
    async with session.post(f"{servicenow_url}/control/reset") as response:
        assert response.status == 204
    async with session.get(table, headers=AUTH) as response:
        assert (await response.json())["result"] == []


def test_the_credentials_of_this_page_are_those_of_the_others():

    assert base64.b64decode(AUTH["Authorization"].split()[1]).decode() == f"versus.integration:{PASSWORD}"
