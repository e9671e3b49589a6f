"""The address where tickets come in: who may send, what is answered, and what becomes of it."""

import asyncio
import json
from base64 import b64encode
from io import BytesIO

import pytest

from tests.support.tickets import OURS, RAW, SYS_ID, TOKEN
from versus_py.errors import StoreUnavailable
from versus_py.targets.feed import BODY_MAX_BYTES

PATH = "/api/servicenow/events"
OTHER, OLD, RULE = "other-token-0123456789", "old-token-0123456789", "rule-token-0123456789"
BORN = {**RAW, "state": "1", "sys_mod_count": "0"}
EVENTS = {
    "events": {
        "token": TOKEN,
        "previous_tokens": [OLD],
        "sources": [{"name": "network", "token": RULE, "severity": "notice"}],
    },
    "other_instance_urls": {
        "infra": {"instance_url": "http://127.0.0.1:1", "events": {"token": OTHER}},
        "quiet": {"instance_url": "http://127.0.0.1:2"},
    },
}
on = pytest.mark.parametrize("servicenow_settings", [EVENTS])


async def send(engine, record=BORN, *, path=PATH, token=TOKEN, headers=None, **changes):
    data = BytesIO(record if isinstance(record, bytes) else json.dumps({**record, **changes}).encode())
    found = {"Authorization": f"Bearer {token}"} if headers is None else headers
    response = await engine.http.post(path, data=data, headers=found)
    return response.status, await response.json(), response


async def incidents(engine):
    return (await (await engine.http.get("/api/incidents")).json())["incidents"]


@on
async def test_a_new_ticket_is_an_incident_and_the_answer_is_that_of_alerts(engine):
    status, answer, _ = await send(engine)

    [incident] = await incidents(engine)
    assert status == 201
    assert answer == {
        "status": "Incident created",
        "incidents": [
            {
                "id": incident["id"],
                "outcome": "created",
                "status": "triggered",
                "escalates_at": incident["escalates_at"],
            }
        ],
        "warnings": [],
    }
    assert "Disk full on db-7" in incident["title"]
    assert engine.measured("versus_notifications_accepted_total", source="servicenow", outcome="created") == 1


@on
async def test_the_same_again_and_what_comes_late_change_nothing(engine):
    for count in ("0", "0", "2", "1"):
        status, answer, _ = await send(engine, sys_mod_count=count)
        assert status == 201

    assert [it["outcome"] for it in answer["incidents"]] == ["ignored"]
    assert len(await incidents(engine)) == 1


@on
async def test_twenty_at_once_are_one_incident(engine):
    answers = await asyncio.gather(*(send(engine) for _ in range(20)))

    assert {status for status, _, _ in answers} == {201}
    assert len(await incidents(engine)) == 1


@on
@pytest.mark.parametrize("state", ["2", "3", "6", "7", "8"])
async def test_what_is_not_new_and_not_known_is_refused(engine, state):
    status, answer, _ = await send(engine, state=state)

    assert status == 400
    assert "INC0012345" in answer["error"]
    assert await incidents(engine) == []


@on
async def test_an_unknown_state_is_refused_with_its_number_and_what_to_set(engine):
    status, answer, _ = await send(engine, state="42")

    assert status == 400
    assert "'42'" in answer["error"]
    assert "oncall.servicenow.states" in answer["error"]


def basic(token, user="anybody"):
    return {"Authorization": f"Basic {b64encode(f'{user}:{token}'.encode()).decode()}"}


@on
@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"Bearer {TOKEN}"},
        {"Authorization": f"bearer  {TOKEN} "},
        {"Authorization": f"Bearer {OLD}"},
        {"Authorization": f"Bearer {RULE}"},
        basic(TOKEN),
        basic(TOKEN, user=""),
        basic(RULE, user="somebody else"),
    ],
)
async def test_a_token_lets_in(engine, headers):
    assert (await send(engine, headers=headers))[0] == 201


@on
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer "},
        {"Authorization": f"Bearer {TOKEN}x"},
        {"Authorization": f"Bearer {TOKEN[:-1]}"},
        {"Authorization": f"Bearer {OTHER}"},
        {"Authorization": TOKEN},
        {"Authorization": f"Digest {TOKEN}"},
        {"Authorization": "Basic !!!"},
        {"Authorization": f"Bearer {'x' * 8000}"},
        basic("", user=TOKEN),
        basic("wrong"),
        [("Authorization", f"Bearer {TOKEN}"), ("Authorization", f"Bearer {TOKEN}")],
        {"X-Gateway-Secret": TOKEN},
    ],
    ids=str,
)
async def test_everything_else_is_kept_out_and_no_token_is_told(engine, headers, logs):
    status, answer, response = await send(engine, headers=headers)

    assert status == 401
    assert response.headers["WWW-Authenticate"].startswith("Bearer")
    assert TOKEN not in json.dumps(answer)
    assert TOKEN not in str(list(logs))
    assert await incidents(engine) == []


@on
@pytest.mark.parametrize(
    ("path", "headers", "said"),
    [
        (PATH, {}, "the request has no header Authorization: send that of oncall.servicenow.events "),
        (PATH, {"Authorization": f"Bearer {OTHER}"}, "the token is wrong: send that of oncall.servicenow.events "),
        (
            f"{PATH}/infra",
            {"Authorization": f"Bearer {TOKEN}"},
            "wrong: send that of oncall.servicenow.other_instance_urls.infra.events ",
        ),
    ],
)
async def test_a_refusal_names_the_setting_and_whether_a_token_came(engine, path, headers, said):
    _, answer, _ = await send(engine, path=path, headers=headers)

    assert said in answer["error"]


@on
@pytest.mark.parametrize("name", ["quiet", "nobody", "default", "infra%2F", "%00", "x" * 500])
async def test_an_instance_without_a_token_is_no_address(engine, name):
    status, answer, _ = await send(engine, path=f"{PATH}/{name}")

    assert status == 404
    assert "token" in answer["error"]
    assert len(answer["error"]) < 250


async def test_without_any_token_there_is_no_address(engine):
    assert (await send(engine))[0] == 404


@on
async def test_each_instance_has_tickets_of_its_own(engine):
    assert (await send(engine))[0] == 201
    assert (await send(engine, path=f"{PATH}/infra", token=OTHER))[0] == 201
    assert (await send(engine, path=f"{PATH}/infra", token=TOKEN))[0] == 401

    assert len(await incidents(engine)) == 2


@on
@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"null", b"[]", b"{}", b"\xff\xff", b"[" * 50_000, json.dumps([dict(BORN)]).encode()],
    ids=lambda it: it[:10].decode(errors="replace"),
)
async def test_what_is_no_record_is_refused_in_a_sentence(engine, body):
    status, answer, _ = await send(engine, body)

    assert status == 400
    assert len(answer["error"]) < 250


@on
async def test_a_body_has_a_bound(engine):
    status, answer, _ = await send(engine, description="x" * BODY_MAX_BYTES)

    assert status == 413
    assert str(BODY_MAX_BYTES) in answer["error"]


@on
async def test_who_brings_no_token_is_not_read(engine):
    status, _, _ = await send(engine, b"x" * (2 * BODY_MAX_BYTES), token="x")

    assert status == 401


@on
async def test_what_cannot_be_written_down_has_to_be_sent_again(engine, monkeypatch):
    async def unavailable(*_, **__):
        raise StoreUnavailable("no answer")

    monkeypatch.setattr(type(engine.store), "create", unavailable)

    status, _, response = await send(engine)

    assert status == 503
    assert response.headers["Retry-After"]


@on
async def test_too_many_at_once_have_to_be_sent_again(engine, monkeypatch):
    monkeypatch.setattr("versus_py.web.intake.overload.TURN_TIMEOUT_S", 0.01)
    held = asyncio.Event()

    async def slow(*_, **__):
        await held.wait()
        raise StoreUnavailable("late")

    monkeypatch.setattr(type(engine.store), "get", slow)
    waiting = [asyncio.create_task(send(engine, sys_id=f"{number:032x}")) for number in range(70)]
    try:
        async with asyncio.timeout(10):
            first = await next(asyncio.as_completed(waiting))
    finally:
        held.set()
    statuses = [status for status, _, _ in await asyncio.gather(*waiting)]

    assert first[0] == 503
    assert set(statuses) == {503}


@on
@pytest.mark.parametrize("settings", [{"intake": {"requests_per_second": 1, "burst": 1}}])
async def test_a_token_has_a_pace(engine):
    statuses = [(await send(engine))[0] for _ in range(3)]

    assert statuses == [201, 503, 503]


@on
async def test_what_the_integration_wrote_begins_no_incident(engine):
    status, _, _ = await send(engine, sys_updated_by="versus.integration")

    assert status == 400
    assert await incidents(engine) == []


@on
async def test_a_record_of_an_unknown_incident_of_ours_begins_none(engine):
    status, answer, _ = await send(engine, correlation_id="0123456789abcdef0123-1")

    assert status == 400
    assert "0123456789abcdef0123-1" in answer["error"]
    assert await incidents(engine) == []


@on
async def test_texts_are_texts_in_slack(engine):
    await send(engine, OURS, state="1", short_description="<!channel> *x* <https://evil.example|ok>", sys_mod_count="0")
    await engine.settle()

    shown = json.dumps([it.shown for it in engine.slack.messages])
    assert "<!channel>" not in shown
    assert "<https://evil.example" not in shown
    assert "&lt;!channel&gt;" in shown


@on
async def test_what_is_accepted_is_logged_with_its_number(engine, logs):
    status, answer, _ = await send(engine)

    assert (status, answer["warnings"]) == (201, [])
    accepted = [line for line in logs if line["event"] == "intake.accepted"]
    assert accepted[0] == {
        "event": "intake.accepted",
        "log_level": "info",
        "outcome": "created",
        "incident": answer["incidents"][0]["id"],
        "source": "servicenow",
        "sender": "servicenow",
        "ticket": "INC0012345",
    }


@pytest.mark.parametrize(
    "servicenow_settings",
    [{**EVENTS, "routing_field": "assignment_group", "routing": {"Leads": {"wait": "1m"}}}],
)
async def test_a_key_that_leads_nowhere_is_warned_about_once(engine, logs):
    named = {"versus": {"version": 1, "display": {"assignment_group": "Network"}}}
    _, first, _ = await send(engine, token=RULE, **named)
    _, second, _ = await send(engine, sys_mod_count="1", **named)

    assert (len(first["warnings"]), second["warnings"]) == (1, [])
    assert "'Network'" in first["warnings"][0]
    said = [line for line in logs if line["event"] == "intake.warning"]
    assert [(line["sender"], "'Network'" in line["warning"]) for line in said] == [("servicenow/network", True)]


@on
@pytest.mark.parametrize("settings", [{"journal": {"keep": "redis"}}])
async def test_what_is_accepted_is_in_the_journal(engine, journal):
    written = []
    add = journal.add

    async def keep(accepted):
        written.extend(accepted)
        await add(accepted)

    journal.add = keep
    _, answer, _ = await send(engine, token=RULE)

    [line] = written
    assert (line.source, line.sender, line.item, line.outcome) == ("servicenow", "network", 1, "created")
    assert line.incident == answer["incidents"][0]["id"]


@on
async def test_the_reference_of_the_ticket_is_written_with_its_incident(engine):
    _, answer, _ = await send(engine)

    incident = await engine.store.get(answer["incidents"][0]["id"])

    assert incident.origin == "servicenow"
    assert incident.delivery("servicenow").reference["sys_id"] == SYS_ID


@on
@pytest.mark.parametrize("priority", [None, "77"])
async def test_a_ticket_without_a_known_priority_is_of_unknown_severity(engine, priority):
    _, answer, _ = await send(engine, priority=priority)
    await engine.settle()

    assert (await engine.detail(answer["incidents"][0]["id"]))["severity"] == "unknown"
