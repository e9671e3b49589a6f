"""What a business rule posts to an address for alerts: refused, or nothing to do, and never an incident."""

import json

import pytest
from typer.testing import CliRunner

from tests.support.tickets import OURS, RAW
from versus_py.cli import app
from versus_py.incidents.model import incident_id
from versus_py.sources import SOURCES

OUR_ID = incident_id("a key", 1)
ALERT = {"title": "DiskFull", "status": "firing"}
ADDRESS = "/api/servicenow/events"


async def post(engine, body, path="/api/incidents", **query):
    response = await engine.http.post(path, data=body if isinstance(body, bytes) else json.dumps(body), params=query)
    return response.status, await response.json()


async def listed(engine):
    return (await (await engine.http.get("/api/incidents")).json())["incidents"]


@pytest.mark.parametrize("query", [{}, *({"source": name} for name in SOURCES)], ids=str)
async def test_a_record_is_refused_with_the_right_address(engine, query):
    status, answer = await post(engine, dict(RAW), **query)

    assert status == 400
    assert ADDRESS in answer["error"]
    assert await listed(engine) == []


@pytest.mark.parametrize("body", [[dict(RAW), dict(OURS)], {"result": [dict(RAW)]}, [{"record": dict(RAW)}]])
async def test_records_in_lists_are_refused_too(engine, body):
    assert (await post(engine, body))[0] == 400
    assert await listed(engine) == []


async def test_records_one_after_the_other_are_refused_too(engine):
    line = json.dumps(dict(RAW)).encode()

    assert (await post(engine, line + b"\n" + line))[0] == 400


@pytest.mark.parametrize("path", ["/sns", "/v2/enqueue", "/v2/alerts", "/jsm/ops/integration/v2/alerts"])
async def test_no_other_address_takes_a_record(engine, path):
    senders = {"routing_key": "k", "event_action": "trigger", "payload": {"summary": "x"}, "message": "x"}

    status, answer = await post(engine, {**senders, **RAW}, path)

    assert status == 400
    assert ADDRESS in json.dumps(answer)
    assert await listed(engine) == []


async def test_of_several_payloads_only_the_records_are_left_out(engine):
    status, answer = await post(engine, [dict(RAW), ALERT, dict(RAW)])

    assert status == 201
    assert [it["outcome"] for it in answer["incidents"]] == ["created"]
    [warning] = answer["warnings"]
    assert ADDRESS in warning
    assert [it["title"] for it in await listed(engine)] == ["DiskFull"]


async def test_an_echo_is_nothing_to_do_with_a_warning(engine):
    status, answer = await post(engine, {**ALERT, "correlation_id": OUR_ID})

    assert status == 201
    assert [it["outcome"] for it in answer["incidents"]] == ["ignored"]
    assert answer["warnings"] == [f"nothing to do: it is an echo: its correlation_id is the id of incident {OUR_ID}"]
    assert await listed(engine) == []


async def test_what_the_service_wrote_into_a_record_never_comes_back_as_an_incident(engine):
    """A rule that posts every state of every record, to an address that takes alerts."""
    await post(engine, ALERT)
    await engine.after(minutes=6)
    [record] = engine.servicenow.incidents

    for _ in range(3):
        await post(engine, {**ALERT, "correlation_id": record["correlation_id"]})
        await post(engine, {**ALERT, **record})
        await engine.after(minutes=6)

    assert len(engine.servicenow.incidents) == 1
    assert len(await listed(engine)) == 1


async def test_another_services_correlation_id_is_an_alerts(engine):
    status, answer = await post(engine, {**ALERT, "correlation_id": "order-77"})

    assert (status, [it["outcome"] for it in answer["incidents"]]) == (201, ["created"])


def test_explain_says_so_in_a_sentence(tmp_path):
    file = tmp_path / "record.json"
    file.write_text(json.dumps(dict(RAW)))

    result = CliRunner().invoke(app, ["explain", str(file)])

    assert result.exit_code == 1
    assert ADDRESS in result.output
