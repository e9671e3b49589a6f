"""ServiceNow's odd answers, each translated into what to do next; and what is asked of it."""

import aiohttp
import pytest
from yarl import URL

from tests.integration.conftest import make_turns
from tests.support.answers import canned_answers
from tests.support.clock import START_MS
from tests.support.factories import make_incident
from versus_py.config import ServiceNowConfig
from versus_py.errors import CredentialsRefused, Permanent, Transient
from versus_py.incidents.copies import replace
from versus_py.incidents.model import Actor, IncidentId
from versus_py.incidents.transitions import acknowledge, begin_step
from versus_py.simulators import ServiceNowSimulator, run_app
from versus_py.targets.servicenow.connection import LOOK_S
from versus_py.targets.servicenow.target import ServiceNowTarget

URL_OF_TABLE = "https://sn.example/api/now/table/incident"


@pytest.fixture
def target(session, clock):
    config = ServiceNowConfig(instance_url="https://sn.example", username="u", password="hunter2-secret")
    return ServiceNowTarget(config, clock=clock, session=session, turns=make_turns())


@pytest.fixture
def answers():
    with canned_answers() as found:
        yield found


def escalating():
    change = begin_step(make_incident(), START_MS + 5 * 60_000)
    assert change
    return change.incident


SEARCH = URL(URL_OF_TABLE).with_query(
    {
        "sysparm_query": f"correlation_id={escalating().id}^ORDERBYsys_created_on",
        "sysparm_fields": "sys_id,number,state,correlation_id,sys_created_on",
        "sysparm_exclude_reference_link": "true",
        "sysparm_limit": "20",
    }
)
ERROR = {"error": {"message": "Operation Failed", "detail": "ACL Exception"}, "status": "failure"}


async def test_a_record_with_the_two_fields_is_created_after_a_search(target, answers):
    answers.get(SEARCH, payload={"result": []})
    answers.post(URL_OF_TABLE, status=201, payload={"result": {"sys_id": "abc", "number": "INC1", "state": "1"}})

    delivery = await target.sync(escalating(), attempt=1)

    posted = answers.requests["POST", URL(URL_OF_TABLE)][0].kwargs
    assert posted["data"] == (
        f'{{"short_description":"Incident {escalating().id}","correlation_id":"{escalating().id}"}}'.encode()
    )
    assert posted["headers"]["Accept"] == posted["headers"]["Content-Type"] == "application/json"
    assert posted["headers"]["Authorization"] == "Basic dTpodW50ZXIyLXNlY3JldA=="
    assert posted["allow_redirects"] is False
    assert (delivery.label, delivery.url) == ("INC1", "https://sn.example/incident.do?sys_id=abc")


async def test_what_the_search_finds_is_adopted(target, answers):
    row = {"sys_id": "abc", "number": "INC1", "state": "1", "correlation_id": escalating().id}
    answers.get(SEARCH, payload={"result": [row]})

    assert (await target.sync(escalating(), attempt=2)).label == "INC1"


async def test_rows_with_another_correlation_id_are_not(target, answers, logs):
    rows = [{"sys_id": "x", "number": "INC9", "correlation_id": "other"}, "odd", {"correlation_id": escalating().id}]
    answers.get(SEARCH, payload={"result": rows})
    answers.post(URL_OF_TABLE, status=201, payload={"result": {"sys_id": "abc", "number": "INC1"}})

    assert (await target.sync(escalating(), attempt=1)).label == "INC1"


async def test_a_query_that_was_ignored_is_warned_about(target, answers, logs):
    answers.get(SEARCH, payload={"result": [{"sys_id": "x", "number": "INC9"}]})
    answers.post(URL_OF_TABLE, status=201, payload={"result": {"sys_id": "abc", "number": "INC1"}})

    await target.sync(escalating(), attempt=1)

    assert "servicenow.query_ignored" in [line["event"] for line in logs]


async def test_of_several_matches_the_oldest_open_one_is_taken_with_a_warning(target, answers, logs):
    rows = [
        {"sys_id": str(number), "number": f"INC{number}", "state": state, "correlation_id": escalating().id}
        for number, state in enumerate(("7", "1", "2"))
    ]
    answers.get(SEARCH, payload={"result": rows})

    assert (await target.sync(escalating(), attempt=1)).label == "INC1"
    assert "servicenow.duplicates" in [line["event"] for line in logs]


@pytest.mark.parametrize("status", [400, 404, 405, 415])
async def test_refusals_are_permanent_and_say_why(target, answers, status):
    answers.get(SEARCH, status=status, payload=ERROR)

    with pytest.raises(Permanent, match=rf"ServiceNow answered {status} \(Operation Failed: ACL Exception\)") as caught:
        await target.sync(escalating(), attempt=1)
    assert "hunter2" not in f"{caught.value!r} {target!r}"


@pytest.mark.parametrize(
    ("status", "detail"), [(401, "User is not authenticated"), (403, "User Not Authorized")], ids=["login", "table"]
)
async def test_what_is_about_the_user_and_not_the_record_is_refused_credentials(target, answers, status, detail):
    error = {"error": {"message": detail, "detail": "Failed API level ACL Validation"}, "status": "failure"}
    answers.get(SEARCH, status=status, payload=error, repeat=True)

    with pytest.raises(CredentialsRefused, match=rf"ServiceNow answered {status} \({detail}") as caught:
        await target.sync(escalating(), attempt=2)
    assert "hunter2" not in f"{caught.value!r} {target!r}"


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 500, "payload": ERROR},
        {"status": 503, "body": "<html>", "content_type": "text/html"},
        {"status": 200, "body": "<title>Instance Hibernating page</title>", "content_type": "text/html"},
        {"status": 200, "body": '{"result": [', "content_type": "application/json"},
        {"status": 200, "payload": {"other": 1}},
        {"status": 200, "payload": {"result": [], **ERROR}},
        {"status": 302, "headers": {"Location": "https://developer.servicenow.com"}, "body": ""},
        {"status": 404, "body": "<html>", "content_type": "text/html"},
        {"exception": aiohttp.ClientPayloadError("cut")},
        {"exception": TimeoutError()},
    ],
    ids=str,
)
async def test_an_instance_that_is_unavailable_is_tried_again(target, answers, answer):
    answers.get(SEARCH, **answer)

    with pytest.raises(Transient):
        await target.sync(escalating(), attempt=1)


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 200, "payload": {"result": {"sys_id": "abc"}}},
        {"status": 200, "body": "<title>Instance Hibernating page</title>", "content_type": "text/html"},
    ],
    ids=str,
)
async def test_a_create_succeeds_only_with_201_and_a_sys_id(target, answers, answer):
    answers.get(SEARCH, payload={"result": []})
    answers.post(URL_OF_TABLE, **answer)

    with pytest.raises(Transient):
        await target.sync(escalating(), attempt=1)


async def test_a_record_that_the_user_may_not_read_is_known_by_its_location(target, answers):
    answers.get(SEARCH, payload={"result": []})
    headers = {"Location": f"{URL_OF_TABLE}/abc"}
    answers.post(URL_OF_TABLE, status=201, payload={"result": {}}, headers=headers)

    assert (await target.sync(escalating(), attempt=1)).reference["sys_id"] == "abc"


@pytest.mark.parametrize("result", [{}, [], None])
async def test_a_record_that_cannot_be_known_is_not_created_again_and_again(target, answers, result):
    answers.get(SEARCH, payload={"result": []})
    answers.post(URL_OF_TABLE, status=201, payload={"result": result})

    with pytest.raises(Permanent, match="let the user read the table"):
        await target.sync(escalating(), attempt=1)


async def test_a_role_that_may_only_create_is_enough_for_the_first_attempt(target, answers, logs):
    answers.get(SEARCH, status=403, payload=ERROR)
    answers.post(URL_OF_TABLE, status=201, payload={"result": {"sys_id": "abc", "number": "INC1"}})

    assert (await target.sync(escalating(), attempt=1)).label == "INC1"


async def test_but_not_when_an_earlier_attempt_may_have_created_one(target, answers):
    answers.get(SEARCH, status=403, payload=ERROR)

    with pytest.raises(Permanent, match="ServiceNow answered 403"):
        await target.sync(escalating(), attempt=2)


async def test_a_short_retry_after_does_not_shorten_the_time_a_create_may_take(target, answers):
    answers.get(SEARCH, payload={"result": []})
    answers.post(URL_OF_TABLE, status=503, payload=ERROR, headers={"Retry-After": "1"})

    with pytest.raises(Transient) as caught:
        await target.sync(escalating(), attempt=1)
    assert (caught.value.retry_after_s, caught.value.settles_s) == (LOOK_S, 60)


@pytest.mark.parametrize(
    "answer",
    [{"exception": TimeoutError()}, {"exception": aiohttp.ServerDisconnectedError()}, {"status": 502, "body": ""}],
)
async def test_an_unanswered_create_is_looked_for_soon_and_may_settle_for_a_minute(target, answers, answer):
    answers.get(SEARCH, payload={"result": []})
    answers.post(URL_OF_TABLE, **answer)

    with pytest.raises(Transient) as caught:
        await target.sync(escalating(), attempt=1)
    assert (caught.value.retry_after_s, caught.value.settles_s) == (LOOK_S, 60)


async def test_an_incident_that_nobody_escalated_costs_no_request(target, answers):
    change = acknowledge(make_incident(), Actor("ana"), START_MS)
    assert change

    assert await target.sync(change.incident, attempt=1) == change.incident.delivery("servicenow")
    assert answers.requests == {}


async def test_an_id_that_could_change_the_query_is_refused(target, answers):
    with pytest.raises(Permanent, match="cannot be looked up"):
        await target.sync(replace(escalating(), id=IncidentId("x^ORactive=true")), attempt=1)


async def test_a_custom_table_without_states_works(session, clock):
    simulator = ServiceNowSimulator()
    async with run_app(simulator.app()) as url:
        config = ServiceNowConfig(
            instance_url=url,
            username="versus.integration",
            password="secret",
            table="u_versus_alert",
        )
        target = ServiceNowTarget(config, clock=clock, session=session, turns=make_turns())
        delivery = await target.sync(escalating(), attempt=1)
        change = acknowledge(replace(escalating(), deliveries={"servicenow": delivery}), Actor("ana"), START_MS)
        assert change
        await target.sync(change.incident, attempt=1)

    [record] = simulator.tables["u_versus_alert"]
    assert record["correlation_id"] == escalating().id
    assert not [call for call in simulator.calls if call.startswith("PATCH")]
