"""Tokens of senders: who may post, what, and with which overrides. An alert of a known sender is never lost to one."""

import hashlib
import hmac
from base64 import b64encode
from datetime import UTC, datetime
from urllib.parse import quote

import orjson
import pytest

from tests.support.amazon import TOPIC, Amazon
from versus_py.sources.sns import SnsDoor
from versus_py.tools.client import RequestRefused, open_client
from versus_py.tools.samples import SAMPLES

PATH = "/api/incidents"
ALERT = {"title": "Disk full", "id": "d1"}
OPS, APPS, OLD_APPS = "ops-token-0123456789", "apps-token-0123456789", "apps-token-9876543210"
GRAFANA = "grafana-token-0123456789"
NOW = datetime.now(UTC)
TOKENS = [
    {"name": "ops", "token": OPS},
    {
        "name": "apps",
        "token": APPS,
        "previous_tokens": [OLD_APPS],
        "sources": ["alertmanager", "generic"],
        "overrides": {
            "channels": ["C0APPS"],
            "instances": [],
            "min_wait_minutes": 2,
            "max_wait_minutes": 30,
            "oncall": False,
        },
    },
    {"name": "grafana", "token": GRAFANA, "sources": ["grafana"]},
]
SENTRY_SECRET = "sentry-secret-0123456789"


@pytest.fixture
def settings():
    return {"intake": {"tokens": TOKENS}, "sources": {"sentry": {"client_secret": SENTRY_SECRET}}}


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def basic(user, token):
    return {"Authorization": f"Basic {b64encode(f'{user}:{token}'.encode()).decode()}"}


async def post(engine, payload=ALERT, *, headers=None, **query):
    response = await engine.http.post(PATH, data=orjson.dumps(payload), headers=headers, params=query)
    return response, await response.json()


async def listed(engine):
    return (await (await engine.http.get(PATH)).json())["incidents"]


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param(bearer(OPS), id="bearer"),
        pytest.param({"Authorization": f"bearer  {OPS}"}, id="the scheme in any case"),
        pytest.param(basic("ops", OPS), id="basic"),
        pytest.param(bearer(APPS), id="another sender"),
        pytest.param(bearer(OLD_APPS), id="a token that is being replaced"),
        pytest.param(basic("apps", OLD_APPS), id="the same by basic"),
    ],
)
async def test_who_has_a_token_may_post(engine, headers):
    response, answer = await post(engine, headers=headers)

    assert (response.status, answer["warnings"]) == (201, [])


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="nothing"),
        pytest.param(bearer("wrong"), id="a wrong token"),
        pytest.param(bearer(""), id="an empty one"),
        pytest.param(bearer(OPS + "x"), id="one that is too long"),
        pytest.param(bearer(OPS[:-1]), id="one that is too short"),
        pytest.param(bearer("é" * 10_00), id="one that is not ASCII"),
        pytest.param(basic("apps", OPS), id="another's token"),
        pytest.param(basic("", OPS), id="no name"),
        pytest.param({"Authorization": "Basic ???"}, id="no base64"),
        pytest.param({"Authorization": "Basic /////w=="}, id="no UTF-8"),
        pytest.param({"Authorization": f"Digest {OPS}"}, id="another scheme"),
        pytest.param({"Authorization": OPS}, id="no scheme"),
        pytest.param([("Authorization", f"Bearer {OPS}"), ("Authorization", "Bearer x")], id="two at once"),
        pytest.param({"X-Gateway-Secret": OPS}, id="another header"),
    ],
)
async def test_who_has_none_is_challenged_and_changes_nothing(engine, headers):
    response, answer = await post(engine, headers=headers)

    assert response.status == 401
    assert "Bearer" in response.headers["WWW-Authenticate"]
    assert "Basic" in response.headers["WWW-Authenticate"]
    assert "intake.tokens" in answer["error"]
    assert await listed(engine) == []


async def test_the_same_query_is_read_by_the_limits_of_each_sender_however_often_it_came(engine):
    waits = []
    for number, (token, minutes) in enumerate([(OPS, 60), (APPS, 60), (OPS, 60), (APPS, 60), (OPS, 45), (APPS, 1)]):
        payload = {"title": f"Disk {number}", "id": f"d{number}"}
        _, answer = await post(engine, payload, headers=bearer(token), oncall_wait_minutes=minutes)
        incident = await engine.store.get(answer["incidents"][0]["id"])
        waits.append((incident.policy.asked.wait_ms // 60_000, len(answer["warnings"])))

    assert waits == [(60, 0), (30, 1), (60, 0), (30, 1), (45, 0), (2, 1)]


async def test_a_wrong_token_is_refused_without_reading_the_body(engine):
    async def never_ending():
        yield b'{"title": '
        raise AssertionError("the body was asked for")

    response = await engine.http.post(PATH, data=never_ending(), headers=bearer("wrong") | {"Expect": "100-continue"})

    assert response.status == 401


async def test_refused_senders_are_told_without_what_they_sent(engine, logs, clock):
    for _ in range(3):
        await post(engine, headers=bearer("guess-guess-guess"))
    clock.advance(minutes=1)
    await post(engine, headers=bearer("guess-guess-guess"))

    told = [line for line in logs if line["event"] == "intake.sender_refused"]
    assert [line["requests"] for line in told] == [1, 3]
    assert "guess" not in str(logs)


async def test_the_log_tells_who_sent(engine, logs):
    await post(engine, headers=bearer(OLD_APPS))

    [line] = [line for line in logs if line["event"] == "intake.accepted"]
    assert line["sender"] == "apps"
    assert OLD_APPS not in str(logs)


async def test_a_payload_of_another_source_is_refused(engine):
    response, answer = await post(engine, SAMPLES["grafana"](starts_at=NOW), headers=bearer(APPS))

    assert response.status == 403
    assert answer["error"] == "a payload of grafana was left out: the token of 'apps' is for alertmanager, generic"
    assert await listed(engine) == []


async def test_a_payload_of_another_source_does_not_cost_the_others(engine):
    response, answer = await post(engine, [ALERT, SAMPLES["grafana"](starts_at=NOW)], headers=bearer(APPS))

    assert (response.status, answer["count"]) == (201, 1)
    assert answer["warnings"] == ["a payload of grafana was left out: the token of 'apps' is for alertmanager, generic"]


@pytest.mark.parametrize("query", [{}, {"incident_per": "alert"}, {"source": "grafana"}])
async def test_a_broken_payload_resolves_nothing_of_another_source(engine, query):
    await post(engine, ALERT, headers=bearer(OPS), **query)
    broken = {"alerts": [], "groupKey": "x", "orgId": 1, "version": "1", "status": "resolved"}

    response, answer = await post(engine, ALERT | broken, headers=bearer(GRAFANA), **query)

    assert response.status == 201
    assert [it["outcome"] for it in answer["incidents"]] == ["ignored"]
    assert [it["status"] for it in await listed(engine)] == ["triggered"]


async def test_a_broken_payload_of_its_source_is_an_incident(engine):
    response, answer = await post(
        engine, ALERT | {"alerts": [], "groupKey": "x", "orgId": 1, "version": "1"}, headers=bearer(GRAFANA)
    )

    assert response.status == 201
    assert "this looks like grafana, but its list of alerts holds no alert" in answer["warnings"][0]
    assert [(it["source"], it["status"]) for it in await listed(engine)] == [("grafana", "triggered")]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"slack_channel_id": "C0OPS"}, "slack_channel_id=C0OPS was ignored; this sender's token allows: C0APPS"),
        ({"servicenow_other_instance": "infra"}, "servicenow_other_instance=infra was ignored"),
        ({"oncall_enable": "false"}, "oncall_enable was ignored"),
    ],
)
async def test_an_override_that_the_token_does_not_allow_is_ignored_with_a_warning(engine, query, said):
    response, answer = await post(engine, headers=bearer(APPS), **query)

    assert response.status == 201
    [warning] = answer["warnings"]
    assert said in warning
    policy = (await engine.store.get(answer["incidents"][0]["id"])).policy
    assert policy.destinations == {}
    assert policy.oncall == "servicenow"


@pytest.mark.parametrize(("asked", "minutes"), [("0", 2), ("2", 2), ("7", 7), ("30", 30), ("10080", 30)])
async def test_a_wait_outside_of_the_tokens_bounds_is_moved_to_them(engine, asked, minutes):
    response, answer = await post(engine, headers=bearer(APPS), oncall_wait_minutes=asked)

    assert response.status == 201
    assert len(answer["warnings"]) == (float(asked) != minutes)
    policy = (await engine.store.get(answer["incidents"][0]["id"])).policy
    assert policy.wait_ms == minutes * 60_000


async def test_what_the_token_allows_is_done(engine):
    _, answer = await post(engine, headers=bearer(APPS), slack_channel_id="C0APPS")

    assert answer["warnings"] == []
    policy = (await engine.store.get(answer["incidents"][0]["id"])).policy
    assert policy.destinations == {"slack": "C0APPS"}


async def test_a_sender_without_limits_may_ask_for_anything(engine):
    query = {"slack_channel_id": "C0ANY", "servicenow_other_instance": "infra", "oncall_wait_minutes": "0"}

    _, answer = await post(engine, headers=bearer(OPS), **query)

    assert answer["warnings"] == []


def signed(body: bytes) -> dict[str, str]:
    return {"Sentry-Hook-Signature": hmac.new(SENTRY_SECRET.encode(), body, hashlib.sha256).hexdigest()}


async def test_a_source_that_signs_what_it_sends_needs_no_token(engine):
    body = orjson.dumps(SAMPLES["sentry"](starts_at=NOW))

    response = await engine.http.post(PATH, data=body, headers=signed(body))

    assert response.status == 201


@pytest.mark.parametrize("query", [{}, {"source": "sentry"}, {"source": "generic"}])
async def test_a_signature_lets_nothing_in_but_its_source(engine, query):
    body = orjson.dumps(ALERT)

    response = await engine.http.post(PATH, data=body, headers=signed(body), params=query)

    assert response.status == 403
    assert await listed(engine) == []


async def test_a_signature_that_is_wrong_lets_nothing_in(engine):
    response, _ = await post(engine, SAMPLES["sentry"](starts_at=NOW), headers={"Sentry-Hook-Signature": "0" * 64})

    assert response.status == 401
    assert await listed(engine) == []


@pytest.fixture
def amazon(monkeypatch):
    """SNS, its certificate here already."""
    found = Amazon()
    monkeypatch.setattr(SnsDoor, "_key", lambda *_: found.key())
    return found


BOTH_SIGN = {
    "intake": {"tokens": TOKENS},
    "sources": {"sentry": {"client_secret": SENTRY_SECRET}, "cloudwatch": {"topics": [TOPIC]}},
}
BY_SNS = {"x-amz-sns-message-type": "Notification"}
SENTRYS = {"action": "resolved", "data": {"issue": {"id": "4711", "title": "Forged"}}, "installation": {}}


@pytest.mark.parametrize("settings", [BOTH_SIGN])
@pytest.mark.parametrize("query", [{}, {"source": "sentry"}, {"source": "cloudwatch"}])
@pytest.mark.parametrize("headers", [{"Sentry-Hook-Signature": "0" * 64}, BY_SNS, bearer(OPS)])
async def test_the_signature_of_one_source_does_not_stand_for_that_of_another(engine, amazon, headers, query):
    response, answer = await post(engine, amazon.notification() | SENTRYS, headers=headers, **query)

    assert response.status == 401
    assert "Sentry-Hook-Signature" in answer["error"]
    assert await listed(engine) == []


@pytest.mark.parametrize("settings", [BOTH_SIGN])
@pytest.mark.parametrize(
    "unsigned",
    [
        pytest.param({"title": "Forged", "id": "d1", "status": "resolved"}, id="an identity"),
        pytest.param({"alerts": [{}], "groupKey": "x"}, id="the shape of another source"),
    ],
)
async def test_only_what_sns_signed_is_read(engine, amazon, unsigned):
    message = amazon.notification(subject="Backup failed", Message="in words") | unsigned

    response, _ = await post(engine, message, headers=BY_SNS)

    assert response.status == 201
    assert [(it["source"], it["title"], it["status"]) for it in await listed(engine)] == [
        ("cloudwatch", "Backup failed", "triggered")
    ]


@pytest.mark.parametrize("settings", [BOTH_SIGN])
async def test_a_token_is_for_the_source_of_what_is_signed(engine, amazon):
    message = amazon.notification() | {"alerts": [{}], "groupKey": "x"}

    response, answer = await post(engine, message, headers=bearer(APPS))

    assert response.status == 403
    assert answer["error"].startswith("a payload of cloudwatch was left out")


async def test_the_header_of_a_source_that_is_not_set_up_is_worth_nothing(engine):
    response, _ = await post(engine, headers={"x-amz-sns-message-type": "Notification"})

    assert response.status == 401


async def test_the_command_sends_a_token_and_says_what_to_give_without_one(engine):
    url = str(engine.http.make_url(""))
    async with open_client(url, intake_token=OPS) as client:
        answer = await client.send(orjson.dumps(ALERT), {})
    assert answer["status"] == "Incident created"

    async with open_client(url) as client:
        with pytest.raises(RequestRefused, match="--intake-token"):
            await client.send(orjson.dumps(ALERT), {})


async def test_tokens_guard_the_intake_alone(engine):
    assert (await engine.http.get("/healthz")).status == 200
    assert (await engine.http.get(PATH)).status == 200
    assert (await engine.http.get(f"{PATH}/{quote('x')}")).status == 404
