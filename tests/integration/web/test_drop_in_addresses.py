"""Senders of PagerDuty, Opsgenie and Jira Service Management, of which only the host was changed."""

import json

import pytest
from yarl import URL

from versus_py.sources import parse

KEY, SILENT = "ops-token-0123456789", "checks-token-0123456789"
TOKENS = {
    "intake": {
        "tokens": [
            {"name": "ops", "token": KEY, "acknowledge": True},
            {"name": "checks", "token": SILENT, "sources": ["pagerduty", "opsgenie"]},
            {"name": "grafana", "token": "grafana-token-0123456789", "sources": ["grafana"]},
        ]
    }
}
EVENT = {
    "routing_key": KEY,
    "event_action": "trigger",
    "dedup_key": "disk-db-7",
    "payload": {"summary": "The disk of db-7 is full", "source": "db-7", "severity": "critical"},
}
ALERT = {"message": "The disk of db-7 is full", "alias": "disk/db 7", "priority": "P1", "details": {"team": "db"}}
BASES = pytest.mark.parametrize("base", ["", "/jsm/ops/integration"], ids=["opsgenie", "jira service management"])
WITH_TOKENS = pytest.mark.parametrize("settings", [TOKENS])


async def enqueue(engine, action="trigger", headers=None, params=None, **changes):
    body = {key: it for key, it in (EVENT | {"event_action": action} | changes).items() if it is not None}
    response = await engine.http.post("/v2/enqueue", json=body, headers=headers, params=params)
    return response.status, await response.json()


async def ask(engine, path="", body=None, *, method="POST", key=KEY, base="", status=202, **query):
    """A request below /v2/alerts, and its answer."""
    response = await engine.http.request(
        method,
        URL(f"{base}/v2/alerts{path}", encoded=True),
        json=body,
        params=query,
        headers={"Authorization": f"GenieKey {key}"},
    )
    assert response.status == status, await response.text()
    return await response.json()


async def about(engine, action, body=None, *, alias="disk%2Fdb%207", method="POST", **more):
    return await ask(engine, f"/{alias}/{action}", body, method=method, identifierType="alias", **more)


async def result_of(engine, answer, **more):
    return (await ask(engine, f"/requests/{answer['requestId']}", method="GET", status=200, **more))["data"]


async def listed(engine):
    return (await (await engine.http.get("/api/incidents")).json())["incidents"]


async def timeline(engine):
    [incident] = await listed(engine)
    shown = await (await engine.http.get(f"/api/incidents/{incident['id']}")).json()
    return [(it["event"], it["detail"], it["by"]) for it in shown["timeline"]]


async def test_an_event_fires_repeats_and_resolves_one_incident(engine):
    assert await enqueue(engine) == (
        202,
        {"status": "success", "message": "Event processed", "dedup_key": "disk-db-7"},
    )
    await enqueue(engine)
    [incident] = await listed(engine)
    assert (incident["source"], incident["title"], incident["occurrences"]) == (
        "pagerduty",
        "The disk of db-7 is full",
        2,
    )

    await enqueue(engine, "resolve", payload=None)
    await engine.settle()

    assert [it["status"] for it in await listed(engine)] == ["resolved"]
    assert KEY not in json.dumps([it.shown for it in engine.slack.messages])


async def test_an_event_without_a_dedup_key_gets_one_that_resolves_it(engine):
    _, answer = await enqueue(engine, dedup_key=None)

    await enqueue(engine, "resolve", dedup_key=answer["dedup_key"], payload=None)

    assert [it["status"] for it in await listed(engine)] == ["resolved"]


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"action": "explode"}, "event_action"),
        ({"payload": {"source": "db-7"}}, "payload.summary"),
        ({"payload": "full"}, "payload.summary"),
        ({"action": "resolve", "dedup_key": " "}, "dedup_key"),
    ],
)
async def test_what_pagerduty_refuses_is_refused_in_its_words(engine, changes, error):
    status, answer = await enqueue(engine, **changes)

    assert (status, answer["status"], answer["message"]) == (400, "invalid event", "Event object is invalid")
    assert error in answer["errors"][0]


@pytest.mark.parametrize("body", [b"", b"{", b"[{}, {}]", b'"x"'])
async def test_a_body_that_is_no_event_is_an_invalid_one(engine, body):
    response = await engine.http.post("/v2/enqueue", data=body)

    assert (response.status, (await response.json())["status"]) == (400, "invalid event")


@WITH_TOKENS
@pytest.mark.parametrize(
    ("routing_key", "headers"),
    [
        (KEY, {}),
        (None, {"X-Routing-Key": KEY}),
        ("other", {"X-Routing-Key": KEY}),
        (None, {"Authorization": f"Bearer {KEY}"}),
    ],
    ids=["in the body", "in the head", "the head counts", "bearer"],
)
async def test_a_routing_key_is_a_token_of_the_intake(engine, routing_key, headers):
    status, _ = await enqueue(engine, routing_key=routing_key, headers=headers)

    assert status == 202
    [incident] = await listed(engine)
    assert (await engine.store.get(incident["id"])).sender == "ops"


@WITH_TOKENS
@pytest.mark.parametrize("routing_key", [None, "guess-guess-guess", "grafana-token-0123456789"])
async def test_an_event_whose_routing_key_is_no_token_for_it_is_invalid_and_nothing_of_it_is_told(
    engine, logs, routing_key
):
    status, answer = await enqueue(engine, routing_key=routing_key)

    assert (status, answer["status"]) == (400, "invalid event")
    assert await listed(engine) == []
    assert "guess" not in str(logs) + str(answer)


@WITH_TOKENS
async def test_an_event_acknowledges_by_the_name_of_its_token(engine):
    await enqueue(engine)

    status, _ = await enqueue(engine, "acknowledge", payload=None)
    await engine.after(minutes=10)

    assert status == 202
    [incident] = await listed(engine)
    assert (incident["status"], incident["acknowledged_by"]) == ("acknowledged", "ops")
    assert engine.servicenow.incidents == []


@WITH_TOKENS
async def test_a_token_that_may_not_acknowledge_does_not_hold_up_the_escalation(engine):
    await enqueue(engine, routing_key=SILENT)

    status, answer = await enqueue(engine, "acknowledge", payload=None, routing_key=SILENT)
    await engine.after(minutes=10)

    assert status == 400
    assert "acknowledge: true" in answer["errors"][0]
    assert [it["outcome"] for it in await listed(engine)] == ["escalated"]


async def test_without_tokens_nobody_acknowledges_from_here(engine):
    await enqueue(engine)
    await ask(engine, "", ALERT)

    status, _ = await enqueue(engine, "acknowledge", payload=None)
    answer = await about(engine, "acknowledge", status=403)

    assert status == 400
    assert "acknowledge: true" in answer["message"]
    assert {it["status"] for it in await listed(engine)} == {"triggered"}


@WITH_TOKENS
async def test_an_event_at_the_usual_address_acknowledges_too(engine):
    await enqueue(engine)

    response = await engine.http.post(
        "/api/incidents",
        json={"event_action": "acknowledge", "dedup_key": "disk-db-7"},
        headers={"Authorization": f"Bearer {KEY}"},
    )

    [answer] = (await response.json())["incidents"]
    assert (answer["outcome"], answer["status"]) == ("updated", "acknowledged")


@WITH_TOKENS
async def test_an_acknowledge_among_other_payloads_is_left_out_where_it_is_not_allowed(engine):
    acknowledge = {"event_action": "acknowledge", "dedup_key": "disk-db-7"}

    response = await engine.http.post(
        "/api/incidents", json=[EVENT, acknowledge], headers={"Authorization": f"Bearer {SILENT}"}
    )

    answer = await response.json()
    assert [it["outcome"] for it in answer["incidents"]] == ["created", "ignored"]
    assert "an acknowledgment was left out" in answer["warnings"][0]


async def test_acknowledging_and_resolving_what_is_not_known_is_accepted_as_there(engine):
    assert (await enqueue(engine, "resolve", payload=None))[0] == 202
    assert await listed(engine) == []


async def test_overrides_of_the_query_go_on_working(engine):
    await enqueue(engine, params={"slack_channel_id": "C0OTHER", "oncall_wait_minutes": "1"})
    await ask(engine, "", ALERT, slack_channel_id="C0OTHER")
    await engine.settle()

    assert {it.channel for it in engine.slack.messages} == {"C0OTHER"}


@BASES
@WITH_TOKENS
async def test_an_alert_is_created_acknowledged_noted_changed_and_closed(engine, base):
    created = await ask(engine, "", ALERT, base=base)
    assert created["result"] == "Request will be processed"
    result = await result_of(engine, created, base=base)
    [incident] = await listed(engine)
    assert (result["isSuccess"], result["alertId"], result["alias"]) == (True, incident["id"], "disk/db 7")
    assert (incident["source"], incident["severity"], incident["title"]) == ("opsgenie", "P1", ALERT["message"])

    await about(engine, "acknowledge", {"user": "ana"}, base=base)
    await about(engine, "notes", {"note": "I look at it", "user": "ana"}, base=base)
    await about(engine, "message", {"message": "The disk is fuller"}, method="PUT", base=base)
    await about(engine, "description", {"description": "1 % is free"}, method="PUT", base=base)
    await engine.settle()

    [incident] = await listed(engine)
    assert (incident["status"], incident["title"]) == ("acknowledged", "The disk is fuller")
    assert incident["acknowledged_by"] == "ops"
    assert "1 % is free" in str(engine.slack.messages[0].shown)
    assert engine.slack.messages[0].replies == [":speech_balloon: *ops*: ana: I look at it"]
    assert ("commented", "ana: I look at it") in [it[:2] for it in await timeline(engine)]

    closed = await about(engine, "close", {"note": "rebooted"}, base=base)
    assert (await result_of(engine, closed, base=base))["action"] == "Close"
    assert [it["status"] for it in await listed(engine)] == ["resolved"]


@BASES
@WITH_TOKENS
@pytest.mark.parametrize(
    ("method", "action", "body"),
    [
        ("POST", "acknowledge", None),
        ("POST", "close", {}),
        ("POST", "notes", {"note": "x"}),
        ("PUT", "message", {"message": "x"}),
        ("PUT", "description", {"description": "x"}),
    ],
)
async def test_what_is_asked_of_an_unknown_alert_is_accepted_and_its_result_says_so(engine, base, method, action, body):
    answer = await about(engine, action, body, method=method, base=base)

    result = await result_of(engine, answer, base=base)
    assert (result["isSuccess"], result["status"]) == (False, "Alert does not exist")
    assert await listed(engine) == []


@WITH_TOKENS
async def test_an_alert_is_known_by_the_id_that_the_result_gave(engine):
    created = await result_of(engine, await ask(engine, "", ALERT))

    await ask(engine, f"/{created['alertId']}/close")

    assert [it["status"] for it in await listed(engine)] == ["resolved"]


@WITH_TOKENS
async def test_of_another_senders_alerts_and_requests_nothing_is_told_or_done(engine):
    answer = await ask(engine, "", ALERT)
    created = await result_of(engine, answer)

    await about(engine, "close", key=SILENT)
    await ask(engine, f"/{created['alertId']}/close", key=SILENT)

    await ask(engine, f"/requests/{answer['requestId']}", method="GET", key=SILENT, status=404)
    assert [it["status"] for it in await listed(engine)] == ["triggered"]


async def test_alerts_without_an_alias_are_incidents_of_their_own(engine):
    body = {"message": "Backup failed"}
    for _ in range(2):
        await ask(engine, "", body)

    assert [it["source"] for it in await listed(engine)] == ["opsgenie", "opsgenie"]


@pytest.mark.parametrize(
    ("path", "method", "body", "said"),
    [
        ("", "POST", {"alias": "a"}, "message is missing"),
        ("/a/notes", "POST", {"note": ""}, "note is missing"),
        ("/a/message", "PUT", {}, "message is missing"),
        ("/a/close?identifierType=tiny", "POST", {}, "identifierType is 'tiny'"),
    ],
)
async def test_what_opsgenie_cannot_process_is_unprocessable(engine, path, method, body, said):
    answer = await ask(engine, path, body, method=method, status=422)

    assert said in answer["message"]
    assert answer["requestId"]


@WITH_TOKENS
async def test_a_genie_key_that_is_no_token_is_refused(engine):
    assert "intake.tokens" in (await ask(engine, "", ALERT, key="guess", status=401))["message"]
    await ask(engine, "/requests/x", method="GET", key="guess", status=401)
    await ask(engine, "", ALERT, key="grafana-token-0123456789", status=403)


async def test_a_request_that_never_was_is_not_found(engine):
    await ask(engine, "/requests/never", method="GET", status=404)


@pytest.mark.parametrize("settings", [{"intake": {"requests_per_second": 0.001, "burst": 1}}])
async def test_overload_is_answered_as_there_so_that_it_is_sent_again(engine):
    await enqueue(engine)

    status, answer = await enqueue(engine)
    refused = await ask(engine, "", ALERT, status=429)

    assert (status, answer["status"]) == (429, "throttle exceeded")
    assert "slow down" in refused["message"]


@pytest.mark.parametrize("settings", [{"max_body_bytes": 1024}])
async def test_a_body_that_is_too_large_is_refused_in_the_words_of_each(engine):
    status, answer = await enqueue(engine, client="x" * 2000)
    refused = await ask(engine, "", ALERT | {"description": "x" * 2000}, status=413)

    assert (status, answer["status"]) == (413, "error")
    assert "max_body_bytes" in refused["message"]


async def test_while_redis_is_away_senders_are_told_to_try_again(engine):
    engine.redis_server.go_away()

    status, answer = await enqueue(engine)
    refused = await ask(engine, "", ALERT, status=503)

    assert (status, answer["status"]) == (503, "error")
    assert "send it again" in refused["message"]


@pytest.mark.parametrize("settings", [{"alert": {"debug_body": True}}])
async def test_a_routing_key_is_not_in_the_log_either(engine, logs):
    await enqueue(engine)

    assert [line for line in logs if line["event"] == "intake.body"]
    assert KEY not in str(logs)


async def test_a_comment_is_said_once_though_its_request_comes_again(engine):
    await ask(engine, "", ALERT)
    for _ in range(2):
        await about(engine, "notes", {"note": "I look at it"})

    assert [it[0] for it in await timeline(engine)].count("commented") == 1


async def test_a_comment_after_the_escalation_is_in_the_record(engine):
    await ask(engine, "", ALERT)
    await engine.after(minutes=10)

    await about(engine, "notes", {"note": "I look at it", "user": "ana"})
    await engine.settle()

    assert "opsgenie: ana: I look at it" in str(engine.servicenow.notes)


async def test_what_comes_to_sns_is_taken_as_at_the_usual_address(engine):
    response = await engine.http.post("/sns", json={"title": "Disk full", "id": "d1"})

    assert (response.status, (await response.json())["status"]) == (201, "Incident created")


def test_what_was_open_as_a_generic_alert_is_found_by_its_key():
    assert parse(EVENT).older_keys == ("generic\ndisk-db-7",)
