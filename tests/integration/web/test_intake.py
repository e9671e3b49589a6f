"""What senders of every kind get for an answer, and what becomes of what they send."""

import hashlib
import hmac
import json
from datetime import UTC, datetime

import orjson
import pytest

from versus_py.tools.samples import SAMPLES

NOW = datetime(2026, 5, 4, 10, 20, tzinfo=UTC)
# The words of the author of a webhook's test, as they stand in his shell.
MONASCA_CURL = (
    '{"alarm_id": "1234","alarm_definition_id": "freddef","alarm_name": "fire alarm",'
    '"alarm_description": "alarmDescription","alarm_timestamp": "timestamp","state": "Critical",'
    '"old_state": "oldState","message": "this is the message","tenant_id": "tenant1234","metrics": "1234"}'
)


async def post(engine, body, **query):
    data = body if isinstance(body, str | bytes) else orjson.dumps(body)
    headers = query.pop("headers", {})
    response = await engine.http.post("/api/incidents", data=data, params=query, headers=headers)
    return response, await response.json()


async def listed(engine):
    return (await (await engine.http.get("/api/incidents")).json())["incidents"]


@pytest.mark.parametrize("name", [name for name in SAMPLES if name != "cloudwatch"])
async def test_every_source_fires_escalates_and_resolves(engine, name):
    fired, _ = await post(engine, SAMPLES[name](name="Trouble", starts_at=NOW))
    await engine.after(minutes=6)
    [incident] = await listed(engine)
    assert fired.status == 201
    assert (incident["source"], incident["outcome"]) == (name, "escalated")
    assert "Trouble" in incident["title"]
    assert "Trouble" in engine.slack.messages[0].shown

    await post(engine, SAMPLES[name](name="Trouble", starts_at=NOW, is_resolved=True))
    await engine.settle()

    assert [record["state"] for record in engine.servicenow.incidents] == ["6"]


async def test_monascas_curl_works_as_it_was_published(engine):
    response, answer = await post(engine, MONASCA_CURL, headers={"Content-Type": "application/json"})

    assert (response.status, answer["warnings"]) == (201, [])
    [incident] = await listed(engine)
    assert (incident["source"], incident["title"], incident["severity"]) == ("monasca", "fire alarm", "Critical")


@pytest.mark.parametrize(
    ("settings", "outcome"),
    [
        ({}, "ignored"),
        ({"sources": {"monasca": {"undetermined": "fire"}}}, "updated"),
        ({"sources": {"monasca": {"undetermined": "resolve"}}}, "resolved"),
    ],
)
async def test_what_monascas_undetermined_does_is_a_choice(engine, outcome):
    alarm = json.loads(MONASCA_CURL)
    await post(engine, alarm | {"state": "ALARM"})

    response, answer = await post(engine, alarm | {"state": "UNDETERMINED"})

    assert response.status == 201
    assert answer["incidents"][0]["outcome"] == outcome


@pytest.mark.parametrize("separator", ["\n", "", " \n\r\n "], ids=["ndjson", "stream", "blank lines"])
async def test_records_one_after_the_other_are_many_payloads(engine, separator):
    records = [{"date": 1777890001.5, "log": f"{name} was killed", "level": "error"} for name in ("cart", "pay")]

    response, answer = await post(engine, separator.join(json.dumps(record) for record in records))

    assert (response.status, answer["count"]) == (201, 2)
    assert {incident["source"] for incident in await listed(engine)} == {"fluentbit"}


async def test_a_line_that_is_repeated_in_one_request_is_one_incident(engine):
    records = [{"date": 1777890001.5 + n, "log": f"killed process {n}", "level": "error"} for n in range(300)]

    _, answer = await post(engine, records)

    assert answer["count"] == 300
    [incident] = await listed(engine)
    assert incident["occurrences"] == 300


@pytest.mark.parametrize("rest", ['\n{"title": ', " x", '{"title": "B"} {"ti'])
async def test_what_is_cut_off_in_the_middle_costs_only_what_is_cut_off(engine, rest):
    response, answer = await post(engine, '{"title": "A"}' + rest)

    assert response.status == 201
    assert "was left out" in answer["warnings"][-1]
    assert {"A"} <= {incident["title"] for incident in await listed(engine)} <= {"A", "B"}


async def test_what_begins_broken_is_refused(engine):
    response, _ = await post(engine, '{"title": \n{"title": "B"}')

    assert response.status == 400


@pytest.mark.parametrize(
    ("body", "status"),
    [("nope", 400), ("", 400), ("{}\n" * 5001, 413)],
    ids=["no JSON", "empty", "many"],
)
async def test_a_request_that_is_refused_is_told_as_its_sender_may_never_come_again(engine, logs, body, status):
    response, answer = await post(engine, body)

    assert response.status == status
    [line] = [line for line in logs if line["event"] == "intake.refused"]
    assert (line["status"], line["error"], line["remote"]) == (status, answer["error"], "127.0.0.1")


async def test_one_payload_that_is_not_believed_does_not_cost_the_others(engine):
    alarm = json.loads(SAMPLES["cloudwatch"](starts_at=NOW)["Message"])

    response, answer = await post(engine, [{"title": "db down"}, alarm])

    assert response.status == 201
    assert "raw message delivery" in answer["warnings"][0]
    assert [incident["title"] for incident in await listed(engine)] == ["db down"]


async def test_many_resolves_of_nothing_known_are_ignored_and_what_follows_is_not(engine):
    health = {"id": "x", "title": "health"}

    response, answer = await post(engine, [health | {"status": "ok"}] * 60 + [health | {"status": "firing"}] * 2)

    assert response.status == 201
    assert [it["outcome"] for it in answer["incidents"]] == ["ignored"] * 60 + ["created", "updated"]


async def test_more_records_than_are_allowed_are_refused(engine):
    response, answer = await post(engine, "{}\n" * 5001)

    assert response.status == 413
    assert "at most 5000" in answer["error"]


async def test_news_of_something_else_is_taken_and_nothing_is_done(engine):
    comment = {"action": "created", "data": {"comment": "hm"}, "installation": {"uuid": "x"}}

    response, answer = await post(engine, [comment, {"title": "Real"}])

    assert response.status == 201
    assert [it["outcome"] for it in answer["incidents"]] == ["ignored", "created"]
    assert answer["warnings"][0].startswith("nothing to do: ")


async def test_a_broken_payload_becomes_a_generic_alert_with_a_warning(engine):
    response, answer = await post(engine, {"alerts": [], "groupKey": "x", "title": "Odd"})

    assert response.status == 201
    assert "looks like alertmanager, but" in answer["warnings"][0]
    [incident] = await listed(engine)
    assert (incident["source"], incident["title"]) == ("alertmanager", "Odd")


async def test_the_source_can_be_said(engine):
    _, answer = await post(engine, json.loads(MONASCA_CURL), source="generic")
    _, wrong = await post(engine, {"title": "Other"}, source="grafana")
    _, unknown = await post(engine, {"title": "Third"}, source="nagios")

    assert answer["warnings"] == []
    assert wrong["warnings"] == [
        "source=grafana was asked for, but its shape is another; it was read as a generic alert"
    ]
    assert "source=nagios was ignored; allowed: grafana, alertmanager, monasca" in unknown["warnings"][0]
    assert {incident["source"] for incident in await listed(engine)} == {"generic"}


SENTRY = {"sources": {"sentry": {"client_secret": "sentry-secret"}}}


@pytest.mark.parametrize("settings", [SENTRY])
async def test_what_sentry_signed_is_taken(engine):
    body = orjson.dumps(SAMPLES["sentry"](starts_at=NOW))
    signature = hmac.new(b"sentry-secret", body, hashlib.sha256).hexdigest()

    response, _ = await post(engine, body, headers={"Sentry-Hook-Signature": signature})

    assert response.status == 201


@pytest.mark.parametrize("settings", [SENTRY])
@pytest.mark.parametrize("query", [{}, {"source": "generic"}])
@pytest.mark.parametrize("signature", [None, "", "0" * 64, "é"])
async def test_what_only_says_to_be_sentrys_is_refused(engine, signature, query):
    headers = {} if signature is None else {"Sentry-Hook-Signature": signature}

    response, answer = await post(engine, SAMPLES["sentry"](starts_at=NOW), headers=headers, **query)

    assert response.status == 401
    assert "sources.sentry.client_secret" in answer["error"]
    assert "sentry-secret" not in answer["error"]
    assert await listed(engine) == []


async def test_a_topic_that_is_not_allowed_is_refused_and_named(engine):
    response, answer = await post(engine, SAMPLES["cloudwatch"](starts_at=NOW), headers={"Content-Type": "text/plain"})

    assert response.status == 403
    assert "sources.cloudwatch.topics" in answer["error"]
    assert await listed(engine) == []


TOPIC = SAMPLES["cloudwatch"](starts_at=NOW)["TopicArn"]


@pytest.mark.parametrize("settings", [{"sources": {"cloudwatch": {"topics": [TOPIC]}}}])
async def test_sns_is_asked_to_come_again_while_its_certificate_is_fetched(engine):
    response, _ = await post(engine, SAMPLES["cloudwatch"](starts_at=NOW))

    assert (response.status, response.headers["Retry-After"]) == (503, "20")
    assert await listed(engine) == []


async def test_an_alarm_without_its_envelope_is_refused(engine):
    alarm = json.loads(SAMPLES["cloudwatch"](starts_at=NOW)["Message"])

    response, answer = await post(engine, alarm)

    assert response.status == 403
    assert "raw message delivery" in answer["error"]
